/* SPDX-License-Identifier: Apache-2.0 */
/* Announcements: whom they reach, by which ways and when, and that a stop in the middle costs
 * nothing and tells nobody twice. */
#include "hb_announce.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_notice_private.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"
#include "hb_time.h"

static hb_test_site_t *ts;
static hb_test_person_t *anna, *bim;

static hb_op_t *op_of(void)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    return op;
}

static void open_site(void)
{
    setenv("HB_TEST_PUSH", "a secret of more than thirty-two letters", 1);
    ts = hb_test_site_make_with("HaloBuzzPushURL http://127.0.0.1:1/push\n"
                                "HaloBuzzPushSecret env:HB_TEST_PUSH\n", hb_test_pool);
    hb_test_site_open(ts);
    anna = hb_test_person(ts, "anna");
    bim = hb_test_person(ts, "bim");
    ts->now += apr_time_from_sec(1);
}

/* With ' for ". */
static hb_json_t *json_of(const char *text)
{
    char *own = apr_pstrdup(hb_test_pool, text), *c;
    const char *why;
    hb_json_t *json;

    for (c = own; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    ck_assert_int_eq(hb_json_parse(&json, &why, own, strlen(own), hb_test_pool), APR_SUCCESS);
    return json;
}

static apr_status_t announce_with(hb_json_t **view, hb_op_t *op, const char *json)
{
    hb_json_t *input;
    apr_status_t rv = hb_schema_check(&input, op, HB_F_ANNOUNCEMENT, json_of(json));

    return rv == APR_SUCCESS
        ? hb_announce(view, op, hb_notice_named(hb_json_string(input, "kind")), input) : rv;
}

static const char *announce(const char *json)
{
    hb_json_t *view;

    ck_assert_int_eq(announce_with(&view, op_of(), json), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("announcement", view, hb_test_pool));
    return apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
}

static int run(void)
{
    hb_notice_run_t did;

    ck_assert_int_eq(hb_notice_run(&did, op_of()), APR_SUCCESS);
    return did.n_done;
}

/* "done 2/3": told and seen. */
static const char *state(const char *id)
{
    hb_json_t *view;

    ck_assert_int_eq(hb_announce_show(&view, op_of(), id), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("announcement", view, hb_test_pool));
    return apr_psprintf(hb_test_pool, "%s %d/%d", hb_json_string(view, "state"),
                        (int)hb_json_int(view, "told", -1), (int)hb_json_int(view, "seen", -1));
}

/* "title: text" of each in the list, with | between. */
static const char *list_of(const hb_test_person_t *person)
{
    const char *text = "";
    hb_json_t *list, *items;
    int i;

    ck_assert_int_eq(hb_notice_list(&list, hb_test_op_of(ts, person), 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        text = apr_pstrcat(hb_test_pool, text, i > 0 ? "|" : "",
                           hb_json_string(hb_json_item(items, i), "title"), ": ",
                           hb_json_string(hb_json_item(items, i), "text"), NULL);
    }
    return text;
}

static int waits(const hb_test_person_t *person)
{
    hb_json_t *reply;

    ck_assert_int_eq(hb_notice_unread(&reply, hb_test_op_of(ts, person)), APR_SUCCESS);
    return (int)hb_json_int(reply, "unread", -1);
}

static void set_user(const char *id, const char *field, hb_value_t value)
{
    const hb_edit_t edits[] = { { field, HB_SET, value } };

    ck_assert_int_eq(hb_store_change(NULL, NULL, op_of(), HB_C_USERS, id, NULL, 0, edits, 1),
                     APR_SUCCESS);
}

static void wish(const hb_test_person_t *person, const char *json)
{
    hb_json_t *wishes = json_of(json);

    hb_json_set_string(wishes, "_id", person->id);
    ck_assert_int_eq(hb_store_insert(NULL, op_of(), HB_C_WISHES, wishes), APR_SUCCESS);
}

static int rows_of(const char *way)
{
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX, .limit = 1000 };
    hb_page_t page;
    int i, n = 0;

    ck_assert_int_eq(hb_store_find(&page, op_of(), &all), APR_SUCCESS);
    for (i = 0; i < page.n_items; i++) {
        n += strcmp(hb_json_string(page.items[i], "way"), way) == 0;
    }
    return n;
}

static apr_int64_t count(hb_collection_e in)
{
    const hb_query_t all = { .in = in };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, op_of(), &all), APR_SUCCESS);
    return n;
}

START_TEST(all_have_it_in_one_record_in_their_language)
{
    hb_bus_reader_t *ear;
    const char *id;
    hb_json_t *news;

    open_site();
    ear = hb_test_listen(ts);
    set_user(bim->id, "language", (hb_value_t)HB_STR("ne-NP"));
    wish(anna, "{'off':['announcement:push']}");
    id = announce("{'title':'Hello','text':'All {is} [well].','translations':"
                  "[{'language':'ne','title':'Namaste','text':'Thik chha.'}]}");
    ck_assert_str_eq(state(id), "waiting 0/0");
    ck_assert_str_eq(list_of(anna), "");
    run();
    ck_assert_str_eq(list_of(anna), "Hello: All {is} [well].");
    ck_assert_str_eq(list_of(bim), "Namaste: Thik chha.");
    ck_assert_int_eq(waits(anna), 1);
    ck_assert_str_eq(state(id), "running 0/0");
    run();
    ck_assert_str_eq(state(id), "done 2/2");
    ck_assert_int_eq(count(HB_C_NOTICES), 1);
    /* It is no urgent kind: no event to all, one to each who may listen; push to who wants it. */
    news = hb_test_heard(ear, HB_EV_NOTICE_NEW, bim->id);
    ck_assert_ptr_nonnull(news);
    ck_assert_str_eq(hb_json_string_value(hb_json_at(news, "notice.values.title")), "Namaste");
    ck_assert_int_eq(rows_of("push"), 1);
    ck_assert_int_eq(rows_of("each") + rows_of("announce"), 0);
}
END_TEST

START_TEST(who_switched_it_off_is_let_be)
{
    hb_bus_reader_t *ear;
    const char *id;

    open_site();
    ear = hb_test_listen(ts);
    wish(anna, "{'off':['announcement:list','announcement:push']}");
    wish(bim, "{'quietFrom':1140,'quietTo':1200}");     /* it is 19:30 */
    id = announce("{'title':'Hello','text':'All is well.'}");
    run();
    run();
    ck_assert_str_eq(state(id), "done 1/2");
    ck_assert_str_eq(list_of(anna), "");
    ck_assert_int_eq(waits(anna), 0);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_NOTICE_NEW, anna->id));
    /* The list has it at once; what lights up waits for 20:00. */
    ck_assert_str_eq(list_of(bim), "Hello: All is well.");
    ck_assert_int_eq(rows_of("event"), 1);
    ck_assert_int_eq(rows_of("push"), 1);
    ck_assert_int_eq(run(), 0);
    ear = hb_test_listen(ts);
    ts->now += apr_time_from_sec(1800);
    run();
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_NEW, bim->id));
}
END_TEST

START_TEST(a_leak_reaches_who_would_rather_sleep)
{
    hb_bus_reader_t *ear;
    const char *id;

    open_site();
    ear = hb_test_listen(ts);
    wish(anna, "{'quietFrom':1140,'quietTo':1200,'off':['security.leak:list','security.leak:mail']}");
    set_user(bim->id, "status", (hb_value_t)HB_STR("disabled"));
    id = announce("{'kind':'security.leak','data':'phone numbers','mail':false,'push':false}");
    run();
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_NOTICE_ALL, ""));
    run();
    ck_assert_str_eq(state(id), "done 2/2");
    ck_assert_ptr_nonnull(strstr(list_of(anna), "(phone numbers)"));
    /* Addresses that were never proved, too; one code came when they registered. */
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 2);
    ck_assert_int_eq(hb_test_mails(ts, bim->email), 2);
    ck_assert_int_eq(rows_of("push"), 0);
}
END_TEST

START_TEST(only_those_it_is_for_are_told)
{
    static const struct {
        const char *label, *audience, *told;
    } rows[] = {
        { "named",            "'userIds':['ID']",                    "bim" },
        { "a country",        "'country':'NP'",                      "bim" },
        { "a language",       "'language':'ne'",                     "bim" },
        { "staff",            "'role':'staff'",                      "anna" },
        { "a role",           "'role':'moderator'",                  "anna" },
        { "OG",               "'og':true",                           "bim" },
        { "who came earlier", "'registeredBefore':'2020-01-01T00:00:00Z'", "" },
        { "all of it",        "'country':'NP','role':'staff'",       "" },
        { "named, but not so", "'userIds':['ID'],'role':'staff'",    "" },
    };
    unsigned int i;

    open_site();
    set_user(bim->id, "country", (hb_value_t)HB_STR("NP"));
    set_user(bim->id, "language", (hb_value_t)HB_STR("ne-NP"));
    set_user(bim->id, "ogLevel", (hb_value_t)HB_INT(2));
    set_user(bim->id, "ogExpiresAt",
             (hb_value_t)HB_INT(hb_time_to_msec(ts->now + apr_time_from_sec(3600))));
    set_user(anna->id, "isStaff", (hb_value_t)HB_BOOL(1));
    set_user(anna->id, "roles", (hb_value_t)HB_DOC(json_of("['moderator']")));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *title = apr_psprintf(hb_test_pool, "T%u: ", i), *id, *at;
        const char *audience = rows[i].audience;

        at = strstr(audience, "ID");
        if (at != NULL) {
            audience = apr_pstrcat(hb_test_pool, apr_pstrmemdup(hb_test_pool, audience,
                                                                (apr_size_t)(at - audience)),
                                   bim->id, at + 2, NULL);
        }
        id = announce(apr_psprintf(hb_test_pool, "{'title':'T%u','text':'x',%s}", i, audience));
        ts->now += apr_time_from_sec(1);
        run();
        run();
        ck_assert_msg(strncmp(state(id), "done ", 5) == 0, "%s: %s", rows[i].label, state(id));
        ck_assert_msg((strstr(list_of(anna), title) != NULL) == (strcmp(rows[i].told, "anna") == 0),
                      "%s", rows[i].label);
        ck_assert_msg((strstr(list_of(bim), title) != NULL) == (strcmp(rows[i].told, "bim") == 0),
                      "%s", rows[i].label);
    }
    /* Theirs, not everybody's. */
    ck_assert_int_eq(waits(bim), 4);
    ck_assert_int_eq(count(HB_C_NOTICES), 6);
}
END_TEST

static apr_status_t add_users(hb_op_t *op, void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < 1198; i++) {
        hb_json_t *user = hb_json_object_make(hb_test_pool);

        hb_json_set_string(user, "username", apr_psprintf(hb_test_pool, "u%d", i));
        hb_json_set_string(user, "usernameSkeleton", apr_psprintf(hb_test_pool, "u%d", i));
        hb_json_set_string(user, "status", "active");
        hb_json_set_int(user, "createdAt", hb_time_to_msec(ts->now));
        ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_USERS, user), APR_SUCCESS);
    }
    return APR_SUCCESS;
}

/* 1200 users. A step is one transaction, so the count of notices tells of any that was done twice. */
START_TEST(each_is_told_once_at_a_measured_pace)
{
    const char *id;
    int i, steps = 0;

    open_site();
    ck_assert_int_eq(hb_store_transact(op_of(), add_users, NULL), APR_SUCCESS);
    id = announce("{'title':'Hello','text':'All is well.','country':'NP','push':false}");
    run();
    for (i = 0; i < 7; i++) {           /* nobody is meant: as fast as it can look */
        ck_assert_int_eq(run(), 1);
        ts->now += apr_time_from_msec(1);
    }
    ck_assert_str_eq(state(id), "done 0/1200");
    id = announce("{'title':'Hello','text':'All is well.','registeredBefore':'2100-01-01T00:00:00Z',"
                  "'push':false}");
    run();
    for (; strncmp(state(id), "running", 7) == 0; steps++) {
        ck_assert(steps < 20);
        ck_assert_int_eq(run(), 1);
        ck_assert_int_eq(run(), 0);
        if (steps == 3) {
            ck_assert_str_eq(state(id), "running 400/400");
        }
        ts->now += apr_time_from_sec(1);
    }
    ck_assert_str_eq(state(id), "done 1200/1200");
    ck_assert_int_eq(count(HB_C_NOTICES), 1200);
    ck_assert_int_eq(steps, 12);        /* a hundred a second */
}
END_TEST

/* Two hosts have the same row in hand: the later one's step leaves nothing. */
START_TEST(a_step_is_one_hosts)
{
    const hb_query_t each = { .in = HB_C_NOTICE_OUTBOX, .limit = 1 };
    const char *id;
    hb_page_t page;

    open_site();
    id = announce("{'title':'a','text':'b','registeredBefore':'2100-01-01T00:00:00Z'}");
    run();
    ck_assert_int_eq(hb_store_find(&page, op_of(), &each), APR_SUCCESS);
    ck_assert_int_eq(hb_store_transact(op_of(), hb_notice_each, page.items[0]), APR_SUCCESS);
    ck_assert_int_eq(hb_store_transact(op_of(), hb_notice_each, page.items[0]),
                     HB_E_STORE_MISSING);
    ck_assert_str_eq(state(id), "done 2/2");
    ck_assert_int_eq(count(HB_C_NOTICES), 2);
    ck_assert_int_eq(rows_of("push"), 2);
}
END_TEST

START_TEST(it_can_be_planned_and_called_off)
{
    hb_json_t *view;
    const char *id, *at;

    open_site();
    at = hb_time_text(hb_test_pool, ts->now + apr_time_from_sec(60));
    id = announce(apr_psprintf(hb_test_pool, "{'title':'a','text':'b','at':'%s'}", at));
    run();
    ck_assert_str_eq(state(id), "waiting 0/0");
    ck_assert_int_eq(hb_announce_cancel(&view, op_of(), id), APR_SUCCESS);
    ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), 0);
    ts->now += apr_time_from_sec(61);
    ck_assert_int_eq(run(), 0);
    ck_assert_str_eq(state(id), "cancelled 0/0");
    ck_assert_int_eq(hb_announce_cancel(&view, op_of(), id), HB_E_ANNOUNCEMENT_STATE);
    ck_assert_int_eq(hb_announce_cancel(&view, op_of(), "x"), HB_E_ANNOUNCEMENT_UNKNOWN);
    /* In the middle: who would hear of it at the end of quiet hours does not. */
    wish(bim, "{'quietFrom':1140,'quietTo':1200}");
    id = announce("{'title':'a','text':'b'}");
    run();
    ck_assert_int_eq(hb_announce_cancel(&view, op_of(), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "cancelled");
    ck_assert_int_eq(run(), 0);
    ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), 0);
    ck_assert_int_eq(count(HB_C_ANNOUNCEMENTS), 2);
}
END_TEST

START_TEST(it_is_checked_and_said_once_a_key)
{
    static const struct {
        const char *label, *json;
    } rows[] = {
        { "no title",          "{'text':'b'}" },
        { "no text",           "{'title':'a'}" },
        { "another kind",      "{'kind':'order.paid','title':'a','text':'b'}" },
        { "nobody's id",       "{'title':'a','text':'b','userIds':['65a1b2c3d4e5f60718293a4b']}" },
        { "no id",             "{'title':'a','text':'b','userIds':['x']}" },
        { "no such language",  "{'title':'a','text':'b','translations':[{'language':'fr','text':'c'}]}" },
        { "no such role",      "{'title':'a','text':'b','role':'king'}" },
    };
    hb_json_t *view, *again;
    hb_op_t *op;
    unsigned int i;

    open_site();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(announce_with(&view, op_of(), rows[i].json) == HB_E_INPUT_INVALID, "%s",
                      rows[i].label);
    }
    ck_assert_int_eq(count(HB_C_ANNOUNCEMENTS) + count(HB_C_NOTICE_OUTBOX), 0);
    for (i = 0; i < 2; i++) {
        op = op_of();
        op->idem_key = "k";
        ck_assert_int_eq(announce_with(i == 0 ? &view : &again, op, "{'title':'a','text':'b'}"),
                         APR_SUCCESS);
    }
    ck_assert_str_eq(hb_json_string(view, "id"), hb_json_string(again, "id"));
    op = op_of();
    op->idem_key = "k";
    ck_assert_int_eq(announce_with(&again, op, "{'title':'a','text':'c'}"), HB_E_IDEM_MISMATCH);
    ck_assert_int_eq(count(HB_C_ANNOUNCEMENTS), 1);
    ck_assert_int_eq(rows_of("announce"), 1);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        all_have_it_in_one_record_in_their_language, who_switched_it_off_is_let_be,
        a_leak_reaches_who_would_rather_sleep, only_those_it_is_for_are_told,
        each_is_told_once_at_a_measured_pace, a_step_is_one_hosts, it_can_be_planned_and_called_off,
        it_is_checked_and_said_once_a_key, NULL
    };

    return hb_test_main("hb_announce", cases);
}
