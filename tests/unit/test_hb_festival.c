/* SPDX-License-Identifier: Apache-2.0 */
/* Festivals over a real store: windows of walls, what is on at which moment, gifts, the rooms. */
#include "hb_festival.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_gift.h"
#include "hb_ledger.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define BOSS  "dddddddddddddddddddddddd"
#define HOST  "aaaaaaaaaaaaaaaaaaaaaaaa"
#define ANNA  "bbbbbbbbbbbbbbbbbbbbbbb1"
#define MINUTE apr_time_from_sec(60)

static hb_test_site_t *ts;
static const char *room;

static hb_op_t *as(const char *user_id)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = user_id;
    if (user_id != NULL && strcmp(user_id, BOSS) == 0) {
        op->actor.roles = HB_ROLE_ADMIN;
        op->actor.has_totp = 1;
    }
    return op;
}

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);       /* 2026-07-01T09:30Z: 15:15 in Kathmandu */
    hb_test_site_open(ts);
}

static hb_json_t *object(const char *text)
{
    char *json = apr_pstrdup(hb_test_pool, text), *c;
    hb_json_t *made;

    for (c = json; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    made = hb_json_parse_own(json, strlen(json), hb_test_pool);
    ck_assert_msg(made != NULL, "%s", text);
    return made;
}

static apr_status_t try_create(const char **id, hb_op_t *op, const char *input)
{
    hb_json_t *clean, *view;
    apr_status_t rv = hb_schema_check(&clean, op, HB_F_FESTIVAL_NEW, object(input));

    if (rv == APR_SUCCESS) {
        rv = hb_festival_create(&view, op, clean);
    }
    if (rv == APR_SUCCESS) {
        const char *misfit = hb_schema_misfit_of("festivals:staff", view, hb_test_pool);

        ck_assert_msg(misfit == NULL, "%s", misfit);
        *id = apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
    }
    return rv;
}

static const char *create(const char *input)
{
    const char *id = NULL;

    ck_assert_msg(try_create(&id, as(BOSS), input) == APR_SUCCESS, "%s", input);
    return id;
}

static void edit(const char *id, const char *input)
{
    hb_json_t *clean, *view;

    ck_assert_int_eq(hb_schema_check(&clean, as(BOSS), HB_F_FESTIVAL_EDIT, object(input)), 0);
    ck_assert_msg(hb_festival_edit(&view, as(BOSS), id, clean) == APR_SUCCESS, "%s", input);
}

/* "Tihar Dashain 150": what is on, and the percent. */
static const char *on_now(void)
{
    hb_json_t *now;
    const char *text = "", *misfit;
    int i;

    ck_assert_int_eq(hb_festival_show_now(&now, as(NULL)), APR_SUCCESS);
    misfit = hb_schema_misfit(HB_R_FESTIVALS_NOW, now, hb_test_pool);
    ck_assert_msg(misfit == NULL, "%s", misfit);
    for (i = 0; i < hb_json_length(hb_json_get(now, "items")); i++) {
        text = apr_pstrcat(hb_test_pool, text,
                           hb_json_string(hb_json_item(hb_json_get(now, "items"), i), "name"),
                           " ", NULL);
    }
    return apr_psprintf(hb_test_pool, "%s%d", text, (int)hb_json_int(now, "coinPercent", 0));
}

static void run_job(const char *name)
{
    const hb_job_t *job = hb_job_named(name);
    hb_job_run_t run = { .name = name, .occurrence = name, .date = "2026-07-01" };
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    ck_assert_int_eq(job->run(op, &run), APR_SUCCESS);
}

static void at(const char *when)
{
    ck_assert(hb_time_read(&ts->now, when));
}

/* --- windows --- */

static const struct {
    const char *label, *zone, *from, *to, *starts, *ends;
} windows[] = {
    { "+05:45", "Asia/Kathmandu", "2026-10-20T18:00", "2026-10-23T00:00",
      "2026-10-20T12:15:00.000Z", "2026-10-22T18:15:00.000Z" },
    { "the offset changes inside", "Australia/Sydney", "2026-10-03T12:00", "2026-10-05T12:00",
      "2026-10-03T02:00:00.000Z", "2026-10-05T01:00:00.000Z" },
    { "from is missing that day", "Australia/Sydney", "2026-10-04T02:30", "2026-10-04T12:00",
      "2026-10-03T16:00:00.000Z", "2026-10-04T01:00:00.000Z" },
    { "to is missing that day", "Australia/Sydney", "2027-10-02T12:00", "2027-10-03T02:30",
      "2027-10-02T02:00:00.000Z", "2027-10-02T16:00:00.000Z" },
    { "from comes twice", "Australia/Sydney", "2027-04-04T02:30", "2027-04-04T12:00",
      "2027-04-03T15:30:00.000Z", "2027-04-04T02:00:00.000Z" },
    { "to comes twice", "Australia/Sydney", "2026-04-04T12:00", "2026-04-05T02:30",
      "2026-04-04T01:00:00.000Z", "2026-04-04T16:30:00.000Z" },
    { "the hour that comes twice, whole", "Australia/Sydney", "2027-04-04T02:00", "2027-04-04T03:00",
      "2027-04-03T15:00:00.000Z", "2027-04-03T17:00:00.000Z" },
    { "one minute", "UTC", "2026-12-31T23:59", "2027-01-01T00:00",
      "2026-12-31T23:59:00.000Z", "2027-01-01T00:00:00.000Z" },
};

START_TEST(clocks_on_walls_become_moments)
{
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        hb_json_t *view;
        const char *id = create(apr_psprintf(hb_test_pool, "{'name':'F','zone':'%s','from':'%s',"
                                             "'to':'%s'}", windows[i].zone, windows[i].from,
                                             windows[i].to));

        ck_assert_int_eq(hb_festival_show(&view, as(BOSS), id), APR_SUCCESS);
        ck_assert_msg(strcmp(hb_json_string(view, "startsAt"), windows[i].starts) == 0,
                      "%s: from %s", windows[i].label, hb_json_string(view, "startsAt"));
        ck_assert_msg(strcmp(hb_json_string(view, "endsAt"), windows[i].ends) == 0,
                      "%s: to %s", windows[i].label, hb_json_string(view, "endsAt"));
        ck_assert_str_eq(hb_json_string(view, "from"), windows[i].from);
    }
}
END_TEST

static const struct { const char *field, *input; } refusals[] = {
    { "from", "{'name':'F','from':'2026-10-20 18:00','to':'2026-10-21T18:00'}" },
    { "from", "{'name':'F','from':'2026-02-29T18:00','to':'2026-10-21T18:00'}" },
    { "from", "{'name':'F','from':'2026-10-20T24:00','to':'2026-10-21T18:00'}" },
    { "to",   "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-20T18:60'}" },
    { "to",   "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-20T18:+1'}" },
    { "to",   "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-20T18:00'}" },
    { "to",   "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-19T18:00'}" },
    { "to",   "{'name':'F','from':'2026-10-20T18:00'}" },
    { "zone", "{'name':'F','zone':'Mars/Base','from':'2026-10-20T18:00','to':'2026-10-21T18:00'}" },
    { "name", "{'from':'2026-10-20T18:00','to':'2026-10-21T18:00'}" },
    { "coinPercent", "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-21T18:00','coinPercent':99}" },
    { "giftIds", "{'name':'F','from':'2026-10-20T18:00','to':'2026-10-21T18:00',"
                 "'giftIds':['0123456789abcdef01234567']}" },
};

START_TEST(what_cannot_be_a_festival)
{
    const char *id;
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        hb_op_t *op = as(BOSS);

        ck_assert_msg(try_create(&id, op, refusals[i].input) == HB_E_INPUT_INVALID, "%s",
                      refusals[i].input);
        ck_assert_msg(strcmp(op->problem.fields[0].field, refusals[i].field) == 0, "%s",
                      refusals[i].input);
    }
    ck_assert_int_eq(try_create(&id, as(ANNA), refusals[0].input), HB_E_ROLE_REQUIRED);
    ck_assert_int_eq(hb_festival_remove(as(BOSS), "0123456789abcdef01234567"),
                     HB_E_FESTIVAL_UNKNOWN);
    ck_assert_int_eq(hb_festival_remove(as(BOSS), "x"), HB_E_FESTIVAL_UNKNOWN);
}
END_TEST

/* --- what is on --- */

START_TEST(it_is_on_from_its_first_moment_to_its_last)
{
    int steps;

    open_site();
    ck_assert_str_eq(on_now(), "100");          /* and so it is in the cache */
    create("{'name':'Teej','zone':'Asia/Kathmandu','from':'2026-07-01T15:20','to':'2026-07-01T15:23'}");
    for (steps = 0; steps < 4; steps++) {       /* the cache is filled anew once a minute */
        ck_assert_str_eq(on_now(), "100");
        ts->now += MINUTE;
    }
    ts->now += MINUTE - apr_time_from_msec(1);
    ck_assert_str_eq(on_now(), "100");
    ts->now += apr_time_from_msec(1);
    ck_assert_str_eq(on_now(), "Teej 100");
    ts->now += 3 * MINUTE - apr_time_from_msec(1);
    ck_assert_str_eq(on_now(), "Teej 100");
    ts->now += apr_time_from_msec(1);
    ck_assert_str_eq(on_now(), "100");
    ts->now -= MINUTE;                          /* a clock that is set back */
    ck_assert_str_eq(on_now(), "Teej 100");
}
END_TEST

START_TEST(of_several_the_highest_counts_alone)
{
    const char *dashain, *tihar;

    open_site();
    dashain = create("{'name':'Dashain','zone':'UTC','from':'2026-07-01T00:00','to':'2026-07-03T00:00',"
                     "'coinPercent':150}");
    tihar = create("{'name':'Tihar','zone':'UTC','from':'2026-07-01T09:00','to':'2026-07-02T00:00',"
                   "'coinPercent':120}");
    ck_assert_str_eq(on_now(), "Tihar Dashain 150");
    edit(dashain, "{'isEnabled':false}");
    ck_assert_str_eq(on_now(), "Tihar 120");
    edit(dashain, "{'isEnabled':true,'coinPercent':300}");
    ck_assert_str_eq(on_now(), "Tihar Dashain 300");
    edit(dashain, "{'from':'2026-07-01T09:30'}");
    ck_assert_str_eq(on_now(), "Dashain Tihar 300");
    ck_assert_int_eq(hb_festival_remove(as(BOSS), dashain), APR_SUCCESS);
    ck_assert_str_eq(on_now(), "Tihar 120");
    edit(tihar, "{'zone':'Asia/Tokyo'}");       /* 00:00 to 15:00 UTC */
    ck_assert_str_eq(on_now(), "Tihar 120");
    edit(tihar, "{'zone':'America/Los_Angeles'}");
    ck_assert_str_eq(on_now(), "100");
}
END_TEST

START_TEST(what_others_write_is_seen_within_a_minute)
{
    const hb_edit_t edits[] = { { "name", HB_SET, HB_STR("Other") } };
    const char *id;

    open_site();
    id = create("{'name':'Teej','zone':'UTC','from':'2026-07-01T00:00','to':'2026-07-02T00:00'}");
    ck_assert_str_eq(on_now(), "Teej 100");
    ck_assert_int_eq(hb_store_change(NULL, NULL, as(NULL), HB_C_FESTIVALS, id, NULL, 0, edits, 1),
                     APR_SUCCESS);
    ts->now += MINUTE - apr_time_from_sec(1);
    ck_assert_str_eq(on_now(), "Teej 100");     /* from the cache */
    ts->now += apr_time_from_sec(2);
    ck_assert_str_eq(on_now(), "Other 100");
}
END_TEST

/* --- gifts --- */

static const char *gift_id(const char *code)
{
    const hb_cond_t where[] = { { "code", HB_IS, HB_STR(code) } };
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1 };
    hb_json_t *gift;

    ck_assert_int_eq(hb_store_find_one(&gift, hb_test_site_op(ts), &query), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(gift, "_id"));
}

static apr_status_t give(const char *code)
{
    static int n;
    hb_op_t *op = as(ANNA);
    hb_json_t *reply, *input = hb_json_object_make(op->pool);

    op->idem_key = apr_psprintf(op->pool, "g%d", n++);
    hb_json_set_string(input, "giftId", gift_id(code));
    hb_json_set_int(input, "quantity", 1);
    return hb_gift_send(&reply, op, room, input);
}

static const char *listed(void)
{
    const char *text = "";
    hb_json_t *list;
    int i;

    ck_assert_int_eq(hb_gift_catalog(&list, as(NULL), 20, NULL), APR_SUCCESS);
    for (i = 0; i < hb_json_length(hb_json_get(list, "items")); i++) {
        const hb_json_t *gift = hb_json_item(hb_json_get(list, "items"), i);

        text = apr_pstrcat(hb_test_pool, text, i > 0 ? " " : "", hb_json_string(gift, "code"),
                           hb_json_bool(gift, "isFestivalOnly", 0) ? "*" : "", NULL);
    }
    return text;
}

static void open_shop(void)
{
    hb_json_t *stream;
    int n;

    open_site();
    hb_test_add_user(ts, HOST, NULL);
    hb_test_add_user(ts, ANNA, NULL);
    hb_test_fund(ts, ANNA, 1000, 0);
    ck_assert_int_eq(hb_gift_seed(&n, hb_test_site_op(ts), object(
        "[{'code':'rose','name':'Rose','priceCoins':10},"
        "{'code':'diyo','name':'Diyo','priceCoins':20,'isFestivalOnly':true},"
        "{'code':'tika','name':'Tika','priceCoins':30,'isFestivalOnly':true}]")), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), object("{'title':'Songs'}")), 0);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), room), APR_SUCCESS);
}

START_TEST(gifts_of_a_festival_come_and_go_with_it)
{
    open_shop();
    ck_assert_str_eq(listed(), "rose");
    ck_assert_int_eq(give("diyo"), HB_E_GIFT_FESTIVAL);
    create(apr_psprintf(hb_test_pool, "{'name':'Tihar','zone':'UTC','from':'2026-07-01T09:35',"
                        "'to':'2026-07-01T10:00','giftIds':['%s','%s']}", gift_id("diyo"),
                        gift_id("rose")));
    ck_assert_str_eq(listed(), "rose");
    ck_assert_int_eq(give("rose"), APR_SUCCESS);        /* recommended, not reserved */
    ck_assert_int_eq(give("diyo"), HB_E_GIFT_FESTIVAL);
    at("2026-07-01T09:35:00Z");
    ck_assert_str_eq(listed(), "rose diyo*");
    ck_assert_int_eq(give("diyo"), APR_SUCCESS);
    ck_assert_int_eq(give("tika"), HB_E_GIFT_FESTIVAL);
    create(apr_psprintf(hb_test_pool, "{'name':'Dashain','zone':'UTC','from':'2026-07-01T09:00',"
                        "'to':'2026-07-01T09:50','giftIds':['%s']}", gift_id("tika")));
    ck_assert_str_eq(listed(), "rose diyo* tika*");
    ck_assert_int_eq(give("tika"), APR_SUCCESS);
    at("2026-07-01T09:50:00Z");
    ck_assert_str_eq(listed(), "rose diyo*");
    ck_assert_int_eq(give("tika"), HB_E_GIFT_FESTIVAL);
    at("2026-07-01T10:00:00Z");
    ck_assert_str_eq(listed(), "rose");
    ck_assert_int_eq(give("diyo"), HB_E_GIFT_FESTIVAL);
}
END_TEST

/* --- coins --- */

static const struct { const char *label; apr_int64_t coins; int percent; apr_int64_t more; } bonuses[] = {
    { "nothing more",            500,  100, 0 },
    { "half as many",            500,  150, 250 },
    { "rounded down",            333,  110, 33 },
    { "one of a hundred",        100,  101, 1 },
    { "none of ninety-nine",     99,   101, 0 },
    { "ten times as many",       7,    1000, 63 },
    { "never less",              500,  90,  0 },
    { "beyond what a double knows", APR_INT64_C(9007199254740993), 200, APR_INT64_C(9007199254740993) },
};

START_TEST(coins_are_whole)
{
    apr_size_t i;

    for (i = 0; i < sizeof(bonuses) / sizeof(bonuses[0]); i++) {
        ck_assert_msg(hb_festival_bonus(bonuses[i].coins, bonuses[i].percent) == bonuses[i].more,
                      "%s", bonuses[i].label);
    }
}
END_TEST

/* --- the rooms --- */

/* "+" for a beginning, "-" for an end, in order of kind. */
static const char *told(hb_bus_reader_t *ear)
{
    const char *text = "";
    hb_event_t event;

    while (hb_bus_read(&event, ear) == APR_SUCCESS) {
        if (event.event == HB_EV_FESTIVAL_STARTED || event.event == HB_EV_FESTIVAL_ENDED) {
            hb_json_t *news = hb_json_parse_own(event.payload, event.payload_bytes, hb_test_pool);
            const char *misfit = hb_schema_misfit_of("festivals:all", news, hb_test_pool);

            ck_assert_msg(misfit == NULL, "%s", misfit);
            text = apr_pstrcat(hb_test_pool, text,
                               event.event == HB_EV_FESTIVAL_STARTED ? "+" : "-",
                               hb_json_string(news, "name"), " ", NULL);
        }
    }
    return text;
}

/* Beginnings that stand in everybody's list of notices. */
static int in_lists(void)
{
    const hb_cond_t where[] = { { "audience", HB_IS, HB_STR("all") } };
    const hb_query_t query = { .in = HB_C_NOTICES, .where = where, .n_where = 1 };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, as(NULL), &query), APR_SUCCESS);
    return (int)n;
}

START_TEST(rooms_are_told_of_each_turn_once)
{
    hb_bus_reader_t *ear;
    int i;

    open_site();
    ear = hb_test_listen(ts);
    create("{'name':'Teej','zone':'UTC','from':'2026-07-01T09:31','to':'2026-07-01T09:33'}");
    run_job("festival-turn");
    ck_assert_str_eq(told(ear), "");
    ts->now += MINUTE;
    for (i = 0; i < 3; i++) {
        run_job(i == 1 ? "festival-check" : "festival-turn");
    }
    ck_assert_str_eq(told(ear), "+Teej ");
    ck_assert_int_eq(in_lists(), 1);
    ts->now += 2 * MINUTE;
    for (i = 0; i < 3; i++) {
        run_job(i == 0 ? "festival-check" : "festival-turn");
    }
    ck_assert_str_eq(told(ear), "-Teej ");
    ts->now -= apr_time_from_sec(1);            /* a host whose clock is behind */
    run_job("festival-turn");
    ck_assert_str_eq(told(ear), "");
    /* What nobody noticed in time is not told of afterwards. */
    create("{'name':'Short','zone':'UTC','from':'2026-07-01T09:35','to':'2026-07-01T09:36'}");
    ts->now += 10 * MINUTE;
    run_job("festival-turn");
    ck_assert_str_eq(told(ear), "");
}
END_TEST

START_TEST(edits_turn_it_at_once)
{
    hb_bus_reader_t *ear;
    const char *id;

    open_site();
    ear = hb_test_listen(ts);
    id = create("{'name':'Teej','zone':'UTC','from':'2026-07-01T09:00','to':'2026-07-01T10:00'}");
    ck_assert_str_eq(told(ear), "+Teej ");
    edit(id, "{'name':'Tij'}");
    ck_assert_str_eq(told(ear), "+Tij ");
    ck_assert_int_eq(in_lists(), 1);
    edit(id, "{'isEnabled':false}");
    ck_assert_str_eq(told(ear), "-Tij ");
    edit(id, "{'coinPercent':120}");
    ck_assert_str_eq(told(ear), "");
    edit(id, "{'isEnabled':true}");
    ck_assert_str_eq(told(ear), "+Tij ");
    edit(id, "{'to':'2026-07-01T09:30'}");
    ck_assert_str_eq(told(ear), "-Tij ");
    run_job("festival-turn");
    ck_assert_str_eq(told(ear), "");
    edit(id, "{'to':'2026-07-01T10:00'}");
    ck_assert_int_eq(hb_festival_remove(as(BOSS), id), APR_SUCCESS);
    ck_assert_str_eq(told(ear), "+Tij -Tij ");
    ck_assert_int_eq(hb_festival_remove(as(BOSS), id), HB_E_FESTIVAL_UNKNOWN);
}
END_TEST

START_TEST(the_check_follows_a_zone_whose_rules_change)
{
    const hb_edit_t edits[] = {
        { "startsAt", HB_SET, HB_INT(0) }, { "endsAt", HB_SET, HB_INT(APR_INT64_C(1800000000000)) },
    };
    hb_bus_reader_t *ear;
    hb_json_t *view;
    const char *id;

    open_site();
    ear = hb_test_listen(ts);
    id = create("{'name':'Tihar','zone':'Asia/Kathmandu','from':'2026-11-07T00:00','to':'2026-11-12T00:00'}");
    /* As other rules once reckoned it. */
    ck_assert_int_eq(hb_store_change(NULL, NULL, as(NULL), HB_C_FESTIVALS, id, NULL, 0, edits, 2),
                     APR_SUCCESS);
    run_job("festival-check");
    ck_assert_int_eq(hb_festival_show(&view, as(BOSS), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "startsAt"), "2026-11-06T18:15:00.000Z");
    ck_assert_str_eq(hb_json_string(view, "endsAt"), "2026-11-11T18:15:00.000Z");
    ck_assert(hb_test_site_logged(ts, "because the rules of zone"));
    ck_assert_str_eq(told(ear), "");
    ck_assert_str_eq(on_now(), "100");
}
END_TEST

START_TEST(lists)
{
    hb_json_t *list;

    open_site();
    create("{'name':'Over','zone':'UTC','from':'2026-07-01T00:00','to':'2026-07-01T09:30'}");
    create("{'name':'Later','zone':'UTC','from':'2026-08-01T00:00','to':'2026-08-02T00:00'}");
    create("{'name':'Off','zone':'UTC','from':'2026-07-01T00:00','to':'2026-07-02T00:00','isEnabled':false}");
    create("{'name':'On','zone':'UTC','from':'2026-07-01T00:00','to':'2026-07-02T00:00'}");
    ck_assert_int_eq(hb_festival_list(&list, as(NULL), 2, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);    /* one of two is over */
    ts->now += MINUTE;
    ck_assert_int_eq(hb_festival_list(&list, as(NULL), 2, hb_json_string(list, "next")), 0);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "name"), "Later");
    ck_assert_ptr_null(hb_json_string(list, "next"));
    ck_assert_int_eq(hb_festival_list_all(&list, as(BOSS), 10, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 4);
    ck_assert_int_eq(hb_festival_list_all(&list, as(ANNA), 10, NULL), HB_E_ROLE_REQUIRED);
    ck_assert_int_eq(hb_festival_list_all(&list, as(NULL), 10, NULL), HB_E_AUTH_REQUIRED);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        clocks_on_walls_become_moments, what_cannot_be_a_festival,
        it_is_on_from_its_first_moment_to_its_last, of_several_the_highest_counts_alone,
        what_others_write_is_seen_within_a_minute, gifts_of_a_festival_come_and_go_with_it,
        coins_are_whole, rooms_are_told_of_each_turn_once, edits_turn_it_at_once,
        the_check_follows_a_zone_whose_rules_change, lists, NULL
    };

    return hb_test_main("hb_festival", cases);
}
