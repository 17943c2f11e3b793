/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told: the words, the list, what waits, what somebody wants, quiet hours. */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_account.h"
#include "hb_bus.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"
#include "hb_time.h"
#include "hb_user.h"
#include "notice_files.h"

static hb_test_site_t *ts;
static hb_test_person_t *anna, *bim;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static void open_with(const char *settings)
{
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    anna = hb_test_person(ts, "anna");
    bim = hb_test_person(ts, "bim");
    ear = hb_test_listen(ts);
    ts->now += apr_time_from_sec(1);
}

static void set_user(const hb_test_person_t *person, const char *field, const char *value)
{
    const hb_edit_t edits[] = { { field, HB_SET, HB_STR(value) } };

    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_USERS, person->id,
                                     NULL, 0, edits, 1), APR_SUCCESS);
}

/* A payment of so many rupees arrived. */
static apr_status_t tell(const hb_test_person_t *person, int rupees)
{
    ts->now += apr_time_from_sec(1);
    return hb_notice_add(hb_test_site_op(ts), HB_N_ORDER_PAID, person->id,
        hb_test_input("item", "200 coins", "amount",
                      hb_money_text(hb_test_pool, rupees * 100, "npr"), NULL));
}

/* "title: text" of each, "*" before what was not seen, with | between. */
static const char *page(hb_json_t **list, const hb_test_person_t *person, int limit,
                        const char *after)
{
    hb_json_t *items, *item;
    const char *text = "";
    int i;

    ck_assert_int_eq(hb_notice_list(list, as(person), limit, after), APR_SUCCESS);
    items = hb_json_get(*list, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        item = hb_json_item(items, i);
        ck_assert_ptr_null(hb_schema_misfit_of("notice", item, hb_test_pool));
        text = apr_pstrcat(hb_test_pool, text, i > 0 ? "|" : "",
                           hb_json_bool(item, "read", 0) ? "" : "*",
                           hb_json_string(item, "title"), ": ", hb_json_string(item, "text"),
                           NULL);
    }
    return text;
}

static const char *list_of(const hb_test_person_t *person)
{
    hb_json_t *list;

    return page(&list, person, 20, NULL);
}

static int waits(const hb_test_person_t *person)
{
    hb_json_t *reply;

    ck_assert_int_eq(hb_notice_unread(&reply, as(person)), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("noticeUnread", reply, hb_test_pool));
    return (int)hb_json_int(reply, "unread", -1);
}

static apr_status_t see(const hb_test_person_t *person, const char *id)
{
    hb_json_t *reply;

    return hb_notice_read(&reply, as(person), id);
}

static apr_int64_t outbox_of(const char *way)
{
    hb_op_t *op = hb_test_site_op(ts);
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX, .limit = 100 };
    hb_page_t found;
    int i, n = 0;

    ck_assert_int_eq(hb_store_find(&found, op, &all), APR_SUCCESS);
    for (i = 0; i < found.n_items; i++) {
        n += strcmp(hb_json_string(found.items[i], "way"), way) == 0;
    }
    return n;
}

static hb_json_t *wish(const hb_test_person_t *person, const char *json, apr_status_t expected)
{
    hb_json_t *raw, *input, *reply = NULL;
    hb_op_t *op = as(person);
    const char *why;

    ck_assert_int_eq(hb_json_parse(&raw, &why, json, strlen(json), hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_schema_check(&input, op, HB_F_NOTICE_WISHES, raw), APR_SUCCESS);
    ck_assert_int_eq(hb_notice_wish(&reply, op, input), expected);
    if (expected == APR_SUCCESS) {
        ck_assert_ptr_null(hb_schema_misfit_of("noticeSettings", reply, hb_test_pool));
    }
    return reply;
}

/* --- words --- */

/* The names in braces of a language's title and text, as the file has them; sorted by the table. */
static const char *names_in(const unsigned char *bytes, apr_size_t len, const char *kind)
{
    char *file = apr_pstrmemdup(hb_test_pool, (const char *)bytes, len);
    char *from = strstr(file, apr_pstrcat(hb_test_pool, "\n[", kind, "]\n", NULL)), *end;
    const char *names = "", *c;
    char *value, *last;

    ck_assert_msg(from != NULL, "%s is missing", kind);
    end = strstr(from + 2, "\n[");
    while (end != NULL && strchr("abcdefghijklmnopqrstuvwxyz", end[2]) == NULL) {
        end = strstr(end + 2, "\n[");
    }
    if (end != NULL) {
        *end = '\0';
    }
    c = hb_notice_row(hb_notice_named(kind))->values;
    for (value = apr_strtok(apr_pstrdup(hb_test_pool, c), " ", &last); value != NULL;
         value = apr_strtok(NULL, " ", &last)) {
        *strchr(value, ':') = '\0';
        if (strstr(from, apr_pstrcat(hb_test_pool, "{", value, "}", NULL)) != NULL) {
            names = apr_pstrcat(hb_test_pool, names, value, " ", NULL);
        }
    }
    return names;
}

START_TEST(both_languages_say_the_same)
{
    int i;

    for (i = 0; i < HB_N_COUNT; i++) {
        const char *kind = hb_notice_row(i)->name;

        ck_assert_str_eq(names_in(bytes_en_txt, sizeof(bytes_en_txt), kind),
                         names_in(bytes_ne_txt, sizeof(bytes_ne_txt), kind));
    }
}
END_TEST

START_TEST(words_are_checked)
{
    static const struct {
        const char *label, *text, *why;
    } rows[] = {
        { "unknown notice", "[no.such]\n", "x.txt line 1: there is no notice no.such" },
        { "unknown value", "[order.paid]\ntitle = {coins}\n",
          "x.txt line 2: {coins} is no value of this notice" },
        { "half a brace", "[order.paid]\n\ntitle = {item\n", "line 3: { without }" },
        { "half a bracket", "[order.paid]\ntext = a [b\n", "brackets come in pairs" },
        { "nested", "[order.paid]\ntext = a [b [c]]\n", "brackets come in pairs" },
        { "no text", "[order.paid]\ntitle = a\n", "order.paid needs a title and a text" },
        { "something else", "[order.paid]\nsubject = a\n", "expected hello" },
        { "empty", "[order.paid]\ntitle =\n", "1 to 1000 bytes" },
        { "not UTF-8", "[order.paid]\ntitle = \xff\n", "not UTF-8" },
        { "good", "hello = Hi {username}!\n[order.paid]\ntitle = a\ntext = b[ {item}]\n", NULL },
    };
    const char *dir, *why;
    hb_notice_texts_t *texts;
    apr_file_t *file;
    apr_status_t rv;
    unsigned int i;

    ts = hb_test_site_make(hb_test_pool);
    dir = ts->dir;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(apr_file_open(&file, apr_pstrcat(hb_test_pool, dir, "/x.txt", NULL),
                                       APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE,
                                       APR_FPROT_OS_DEFAULT, hb_test_pool), APR_SUCCESS);
        apr_file_puts(rows[i].text, file);
        apr_file_close(file);
        rv = hb_notice_texts_make(&texts, &why, dir, hb_test_pool);
        if (rows[i].why == NULL) {
            ck_assert_msg(rv == APR_SUCCESS, "%s: %s", rows[i].label, why);
        }
        else {
            ck_assert_msg(rv == HB_E_CONFIG && strstr(why, rows[i].why) != NULL, "%s: %s",
                          rows[i].label, why != NULL ? why : "no problem");
        }
    }
    ck_assert_str_eq(hb_notice_language(texts, "ne-NP"), "ne");
    ck_assert_str_eq(hb_notice_language(texts, "NE"), "ne");
    ck_assert_str_eq(hb_notice_language(texts, "x-y"), "x");
    ck_assert_str_eq(hb_notice_language(texts, "nep"), "en");
    ck_assert_str_eq(hb_notice_language(texts, NULL), "en");
}
END_TEST

START_TEST(times_are_the_readers)
{
    hb_notice_reader_t reader;
    hb_json_t *values = hb_json_object_make(hb_test_pool);
    hb_op_t *op;

    open_with("");
    set_user(anna, "zone", "Asia/Kathmandu");
    set_user(anna, "language", "ne-NP");
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_notice_reader_load(&reader, op, anna->id), APR_SUCCESS);
    hb_json_set_int(values, "startsAt", hb_time_to_msec(HB_TEST_SITE_START));
    ck_assert_ptr_nonnull(strstr(hb_notice_text(op, &reader, HB_N_DOWNTIME_STARTED, values),
                                 "2026-07-01 15:15 (Asia/Kathmandu)"));
    ck_assert_ptr_nonnull(strstr(hb_notice_text(op, &reader, HB_N_DOWNTIME_STARTED, values),
                                 "सुरु"));
    hb_notice_reader_any(&reader, op);
    ck_assert_str_eq(hb_notice_text(op, &reader, HB_N_DOWNTIME_STARTED, values),
                     "Maintenance that was planned for 2026-07-01 19:30 (Australia/Sydney) "
                     "begins now.");
}
END_TEST

/* --- the list --- */

START_TEST(what_was_told_waits_and_is_seen)
{
    hb_json_t *news, *list;

    open_with("");
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id);
    ck_assert_ptr_nonnull(news);
    ck_assert_int_eq(tell(anna, 2), APR_SUCCESS);
    ck_assert_int_eq(tell(bim, 3), APR_SUCCESS);
    ck_assert_str_eq(list_of(anna),
        "*Payment received: Your payment of NPR 2.00 arrived: 200 coins is yours.|"
        "*Payment received: Your payment of NPR 1.00 arrived: 200 coins is yours.");
    ck_assert_int_eq(waits(anna), 2);
    ck_assert_int_eq(see(anna, hb_json_string(hb_json_get(news, "notice"), "id")), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(hb_test_heard(ear, HB_EV_NOTICE_READ, anna->id), "unread", -1),
                     1);
    ck_assert_int_eq(see(anna, hb_json_string(hb_json_get(news, "notice"), "id")), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 1);
    ck_assert_int_eq(see(bim, hb_json_string(hb_json_get(news, "notice"), "id")),
                     HB_E_NOTICE_UNKNOWN);
    ck_assert_int_eq(see(bim, "x"), HB_E_NOTICE_UNKNOWN);
    ck_assert_int_eq(see(anna, NULL), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 0);
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_int_eq(hb_notice_list(&list, as(anna), 20, "nonsense"), HB_E_CURSOR_INVALID);
    ck_assert_int_eq(hb_notice_add(hb_test_site_op(ts), HB_N_ORDER_PAID,
                                   "0123456789abcdef01234567", NULL), APR_SUCCESS);
}
END_TEST

/* Within a second ids go by process: those of notices go by time. */
START_TEST(the_newest_is_first_also_within_a_second)
{
    hb_json_t *list, *items;
    int i;

    open_with("");
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(tell(anna, i), APR_SUCCESS);
        ts->now -= apr_time_from_msec(1100);
    }
    ck_assert_int_eq(hb_notice_list(&list, as(anna), 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    for (i = 0; i < 4; i++) {
        ck_assert_str_eq(hb_json_string(hb_json_get(hb_json_item(items, i), "values"), "amount"),
                         hb_money_text(hb_test_pool, i * 100, "npr"));
    }
}
END_TEST

START_TEST(what_all_were_told_is_one_record)
{
    const hb_query_t notices = { .in = HB_C_NOTICES };
    hb_json_t *values = hb_json_object_make(hb_test_pool), *list;
    hb_test_person_t *chi;
    apr_int64_t n;
    const char *text, *id;

    open_with("");
    hb_json_set_int(values, "startsAt", hb_time_to_msec(HB_TEST_SITE_START));
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_notice_announce(hb_test_site_op(ts), HB_N_DOWNTIME_CANCELLED, values, 0),
                     APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_ALL, ""));
    ck_assert_int_eq(tell(anna, 2), APR_SUCCESS);
    chi = hb_test_person(ts, "chi");
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &notices), APR_SUCCESS);
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(waits(anna), 3);
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_int_eq(waits(chi), 0);
    ck_assert_str_eq(list_of(chi), "");
    /* A page at a time it is the same list. */
    text = page(&list, anna, 2, NULL);
    ck_assert_ptr_nonnull(strstr(text, "|*Maintenance is cancelled: "));
    id = hb_json_string(hb_json_item(hb_json_get(list, "items"), 1), "id");
    ck_assert_ptr_nonnull(strstr(page(&list, anna, 2, hb_json_string(list, "next")), "NPR 1.00"));
    ck_assert_ptr_null(hb_json_string(list, "next"));
    ck_assert_int_eq(see(anna, id), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 2);
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_int_eq(see(bim, NULL), APR_SUCCESS);
    ck_assert_int_eq(waits(bim), 0);
    ts->now += apr_time_from_sec(1);
    ck_assert_int_eq(hb_notice_announce(hb_test_site_op(ts), HB_N_DOWNTIME_CANCELLED, values, 0),
                     APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 3);
    ck_assert_int_eq(waits(bim), 1);
    ck_assert_int_eq(waits(chi), 1);
}
END_TEST

/* --- wishes --- */

START_TEST(what_is_switched_off_is_not_told)
{
    open_with("");
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 1);    /* its code */
    wish(anna, "{\"choices\":[{\"kind\":\"order.paid\",\"way\":\"list\",\"on\":false},"
         "{\"kind\":\"order.paid\",\"way\":\"mail\",\"on\":true}]}", APR_SUCCESS);
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(tell(bim, 1), APR_SUCCESS);
    ck_assert_str_eq(list_of(anna), "");
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 2);
    ck_assert_int_eq(hb_test_mails(ts, bim->email), 1);
    ck_assert_int_eq(waits(bim), 1);
    wish(anna, "{\"choices\":[{\"kind\":\"order.paid\",\"way\":\"list\",\"on\":true},"
         "{\"kind\":\"order.paid\",\"way\":\"mail\",\"on\":false}]}", APR_SUCCESS);
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 1);
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 2);
    /* Neither what is fixed, nor ways a kind does not take, nor kinds that are nobody's. */
    wish(anna, "{\"choices\":[{\"kind\":\"refund.done\",\"way\":\"mail\",\"on\":false}]}",
         HB_E_INPUT_INVALID);
    wish(anna, "{\"choices\":[{\"kind\":\"maintenance.planned\",\"way\":\"list\",\"on\":false}]}",
         HB_E_INPUT_INVALID);
    wish(anna, "{\"choices\":[{\"kind\":\"room.muted\",\"way\":\"sms\",\"on\":true}]}",
         HB_E_INPUT_INVALID);
    wish(anna, "{\"choices\":[{\"kind\":\"dispute.opened\",\"way\":\"push\",\"on\":true}]}",
         HB_E_INPUT_INVALID);
    wish(anna, "{\"quietFrom\":\"22:00\"}", HB_E_INPUT_INVALID);
    wish(anna, "{\"quietFrom\":\"24:00\",\"quietTo\":\"07:00\"}", HB_E_INPUT_INVALID);
}
END_TEST

START_TEST(a_site_may_switch_notices_off)
{
    open_with("HaloBuzzNotices off\n");
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 0);
    ck_assert_int_eq(hb_notice_add(hb_test_site_op(ts), HB_N_REFUND_DONE, anna->id,
                                   hb_test_input("amount", "NPR 1.00", "provider", "khalti",
                                                 NULL)), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 0);
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 2);
}
END_TEST

START_TEST(quiet_hours_end_where_the_reader_is)
{
    static const struct {
        const char *label, *zone, *now;
        int from, to;
        const char *end;
    } rows[] = {
        { "before",           "Asia/Kathmandu", "2026-07-01T16:14:00Z", 1320, 420, NULL },
        { "begin, +05:45",    "Asia/Kathmandu", "2026-07-01T16:15:00Z", 1320, 420,
          "2026-07-02T01:15:00.000Z" },
        { "after midnight",   "Asia/Kathmandu", "2026-07-01T20:00:00Z", 1320, 420,
          "2026-07-02T01:15:00.000Z" },
        { "last minute",      "Asia/Kathmandu", "2026-07-02T01:14:59Z", 1320, 420,
          "2026-07-02T01:15:00.000Z" },
        { "end",              "Asia/Kathmandu", "2026-07-02T01:15:00Z", 1320, 420, NULL },
        { "within a day",     "UTC",            "2026-07-01T12:30:00Z", 720,  840,
          "2026-07-01T14:00:00.000Z" },
        { "same: none",       "UTC",            "2026-07-01T12:30:00Z", 720,  720, NULL },
        { "month's end",      "UTC",            "2026-12-31T23:00:00Z", 1320, 420,
          "2027-01-01T07:00:00.000Z" },
        { "02:30 is missing", "Australia/Sydney", "2026-10-03T15:00:00Z", 1320, 150,
          "2026-10-03T16:00:00.000Z" },
        { "02:30 comes twice, the first", "Australia/Sydney", "2026-04-04T15:00:00Z", 1320, 150,
          "2026-04-04T15:30:00.000Z" },
        { "02:30 comes twice, the second", "Australia/Sydney", "2026-04-04T16:10:00Z", 1320, 150,
          "2026-04-04T16:30:00.000Z" },
        { "over the change", "Australia/Sydney", "2026-10-03T13:00:00Z", 1320, 420,
          "2026-10-03T20:00:00.000Z" },
    };
    unsigned int i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_json_t *wishes = hb_json_object_make(hb_test_pool);
        hb_notice_reader_t reader = { .wishes = wishes };
        apr_time_t now, end;

        hb_json_set_int(wishes, "quietFrom", rows[i].from);
        hb_json_set_int(wishes, "quietTo", rows[i].to);
        ck_assert(hb_time_read(&now, rows[i].now));
        ck_assert_int_eq(hb_zone_load(&reader.zone, rows[i].zone, hb_test_pool), APR_SUCCESS);
        end = hb_notice_quiet_end(&reader, now);
        ck_assert_msg(rows[i].end == NULL ? end == 0
                      : strcmp(hb_time_text(hb_test_pool, end), rows[i].end) == 0,
                      "%s: %s", rows[i].label, end != 0 ? hb_time_text(hb_test_pool, end) : "0");
    }
}
END_TEST

START_TEST(quiet_hours_hold_back_what_is_not_urgent)
{
    hb_notice_run_t run;
    hb_json_t *reply;

    open_with("");
    set_user(anna, "zone", "UTC");          /* 09:30 now */
    reply = wish(anna, "{\"quietFrom\":\"09:00\",\"quietTo\":\"10:00\",\"choices\":["
                 "{\"kind\":\"order.paid\",\"way\":\"mail\",\"on\":true}]}", APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(reply, "quietFrom"), "09:00");
    ck_assert_str_eq(hb_json_string(reply, "zone"), "UTC");
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(waits(anna), 1);       /* who looks finds it */
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id));
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 1);
    ck_assert_int_eq(outbox_of("event"), 1);
    ck_assert_int_eq(outbox_of("mail"), 1);
    ck_assert_int_eq(hb_notice_run(&run, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(run.n_done, 0);
    ck_assert_int_eq(hb_account_password_tell(hb_test_site_op(ts), anna->id), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id));
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 2);
    ts->now += apr_time_from_sec(1800);
    ck_assert_int_eq(hb_notice_run(&run, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(run.n_done, 2);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id));
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 3);
    ck_assert_int_eq(hb_notice_run(&run, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(run.n_done, 0);
    wish(anna, "{\"quietFrom\":null,\"quietTo\":null}", APR_SUCCESS);
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id));
}
END_TEST

/* --- what tells --- */

START_TEST(a_new_device_is_told_of_once)
{
    hb_json_t *reply;
    hb_op_t *op;
    int i;

    open_with("");
    for (i = 0; i < 2; i++) {
        op = hb_test_site_op(ts);
        ck_assert_int_eq(hb_account_login(&reply, op, hb_test_input("email", anna->email,
            "password", HB_TEST_PASSWORD, "device", "Anna's phone", NULL)), APR_SUCCESS);
        ck_assert_int_eq(waits(anna), 1);
    }
    ck_assert_ptr_nonnull(strstr(list_of(anna), "with Anna's phone"));
}
END_TEST

START_TEST(nobody_is_flooded_by_what_one_may_repeat)
{
    int i;

    open_with("HaloBuzzSMSAccount AC1\n");
    set_user(anna, "phone", "+9779812345678");
    wish(anna, "{\"choices\":[{\"kind\":\"security.session\",\"way\":\"sms\",\"on\":true},"
         "{\"kind\":\"security.session\",\"way\":\"mail\",\"on\":true}]}", APR_SUCCESS);
    for (i = 0; i < 25; i++) {
        ts->now += apr_time_from_sec(1);
        ck_assert_int_eq(hb_notice_add(hb_test_site_op(ts), HB_N_NEW_SESSION, anna->id, NULL),
                         APR_SUCCESS);
        if (i == 10) {
            set_user(anna, "phone", "+9779812345679");
        }
    }
    ck_assert_int_eq(waits(anna), 25);
    ck_assert_int_eq(outbox_of("sms"), 20);
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 1 + 20);
    /* What is fixed always goes. */
    ck_assert_int_eq(hb_notice_add(hb_test_site_op(ts), HB_N_NEW_PASSWORD, anna->id, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 1 + 21);
}
END_TEST

START_TEST(an_account_that_goes_takes_its_notices)
{
    const hb_query_t notices = { .in = HB_C_NOTICES }, wishes = { .in = HB_C_WISHES };
    apr_int64_t n;

    open_with("");
    wish(anna, "{\"quietFrom\":\"00:00\",\"quietTo\":\"23:59\"}", APR_SUCCESS);
    ck_assert_int_eq(tell(anna, 1), APR_SUCCESS);
    ck_assert_int_eq(outbox_of("event"), 1);
    ck_assert_int_eq(hb_user_delete(as(anna), HB_TEST_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &notices), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &wishes), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(outbox_of("event"), 0);
    ck_assert_int_eq(tell(anna, 2), APR_SUCCESS);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &notices), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        both_languages_say_the_same, words_are_checked, times_are_the_readers,
        what_was_told_waits_and_is_seen,
        the_newest_is_first_also_within_a_second, what_all_were_told_is_one_record,
        what_is_switched_off_is_not_told, a_site_may_switch_notices_off,
        quiet_hours_end_where_the_reader_is, quiet_hours_hold_back_what_is_not_urgent,
        a_new_device_is_told_of_once, nobody_is_flooded_by_what_one_may_repeat,
        an_account_that_goes_takes_its_notices, NULL
    };

    return hb_test_main("hb_notice", cases);
}
