/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves the house: tries and leases, mail to all, planned maintenance. Sending itself is
 * tests/http/test_notices.py's. */
#include "hb_downtime.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_notice_private.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_time.h"

#define HOURS(n) apr_time_from_sec((n) * 3600)

static hb_test_site_t *ts;

/* A team whose channel nobody opens: nothing listens on port 1. */
static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    ts->site->team_hook = "http://127.0.0.1:1/hook";
}

static hb_op_t *op_of(void)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    return op;
}

static int run(void)
{
    hb_notice_run_t did;

    ck_assert_int_eq(hb_notice_run(&did, op_of()), APR_SUCCESS);
    return did.n_done;
}

/* The only row there is. */
static hb_json_t *row(void)
{
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX, .limit = 2 };
    hb_page_t page;

    ck_assert_int_eq(hb_store_find(&page, op_of(), &all), APR_SUCCESS);
    ck_assert_int_eq(page.n_items, 1);
    return page.items[0];
}

static apr_int64_t count(hb_collection_e in)
{
    const hb_query_t all = { .in = in };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, op_of(), &all), APR_SUCCESS);
    return n;
}

/* Kinds of what all were told, oldest first, with blanks between. */
static const char *told(void)
{
    const hb_query_t all = { .in = HB_C_NOTICES, .limit = 100, .sort = { { "_id", 0 } } };
    const char *text = "";
    hb_page_t page;
    int i;

    ck_assert_int_eq(hb_store_find(&page, op_of(), &all), APR_SUCCESS);
    for (i = 0; i < page.n_items; i++) {
        text = apr_pstrcat(hb_test_pool, text, i > 0 ? " " : "",
                           strchr(hb_json_string(page.items[i], "kind"), '.') + 1, NULL);
    }
    return text;
}

START_TEST(what_nobody_takes_is_given_up_after_ten_tries)
{
    apr_int64_t due, last = 0;
    int i;

    open_site();
    ck_assert_int_eq(hb_notice_team(op_of(), HB_N_TEST, hb_json_object_make(hb_test_pool)),
                     APR_SUCCESS);
    for (i = 1; i < 10; i++) {
        ck_assert_int_eq(run(), 1);
        ck_assert_int_eq(hb_json_int(row(), "tries", 0), i);
        due = hb_json_int(row(), "dueAt", 0);
        ck_assert(due > last && due > hb_time_to_msec(ts->now));
        ck_assert(due <= hb_time_to_msec(ts->now + HOURS(1)));
        last = due;
        ck_assert_int_eq(run(), 0);
        ts->now = hb_time_from_msec(due);
    }
    ck_assert(!hb_test_site_logged(ts, "is given up"));
    ck_assert_int_eq(run(), 1);
    ck_assert(hb_test_site_logged(ts, "(test by team) is given up after 10 tries"));
    ck_assert(!hb_test_site_logged(ts, "/hook"));       /* who knows it may call it */
    ck_assert(!hb_json_has(row(), "dueAt") && hb_json_has(row(), "deadAt"));
    ts->now += HOURS(1000);
    ck_assert_int_eq(run(), 0);
}
END_TEST

/* The rest of what goes the same way waits without a try; a hung one would hold up all else. */
START_TEST(a_service_that_does_not_answer_is_asked_once_a_round)
{
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX, .sort = { { "dueAt", 0 } }, .limit = 10 };
    hb_page_t page;
    int i, tries = 0;

    open_site();
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(hb_notice_team(op_of(), HB_N_TEST, hb_json_object_make(hb_test_pool)),
                         APR_SUCCESS);
    }
    ck_assert_int_eq(run(), 4);
    ck_assert_int_eq(run(), 0);
    ck_assert_int_eq(hb_store_find(&page, op_of(), &all), APR_SUCCESS);
    ck_assert_int_eq(page.n_items, 4);
    for (i = 0; i < 4; i++) {
        tries += (int)hb_json_int(page.items[i], "tries", 0);
        ck_assert_int_eq(hb_json_int(page.items[i], "dueAt", 0),
                         hb_time_to_msec(ts->now + apr_time_from_sec(30)));
    }
    ck_assert_int_eq(tries, 1);
    ts->now += HOURS(48);       /* nobody wants to hear of it so late */
    ck_assert_int_eq(run(), 4);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_TEAM_DEAD), 3);
}
END_TEST

/* Somebody took it and died. */
START_TEST(a_leased_row_is_left_alone_until_its_lease_ends)
{
    const hb_edit_t edits[] = {
        { "tries", HB_SET, HB_INT(1) },
        { "dueAt", HB_SET, HB_INT(hb_time_to_msec(HB_TEST_SITE_START + apr_time_from_sec(60))) },
    };

    open_site();
    ck_assert_int_eq(hb_notice_team(op_of(), HB_N_TEST, hb_json_object_make(hb_test_pool)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_store_change(NULL, NULL, op_of(), HB_C_NOTICE_OUTBOX,
                                     hb_json_string(row(), "_id"), NULL, 0, edits, 2),
                     APR_SUCCESS);
    ck_assert_int_eq(run(), 0);
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(run(), 1);
    ck_assert_int_eq(hb_json_int(row(), "tries", 0), 2);
}
END_TEST

/* --- mail to all --- */

static const char *add_user(int i, int is_verified, const char *status)
{
    hb_json_t *user = hb_json_object_make(hb_test_pool);

    hb_json_set_string(user, "username", apr_psprintf(hb_test_pool, "u%d", i));
    hb_json_set_string(user, "usernameKey", apr_psprintf(hb_test_pool, "u%d", i));
    hb_json_set_string(user, "usernameSkeleton", apr_psprintf(hb_test_pool, "u%d", i));
    hb_json_set_string(user, "email", apr_psprintf(hb_test_pool, "u%d@example.com", i));
    if (is_verified) {
        hb_json_set_int(user, "emailVerifiedAt", 1);
    }
    hb_json_set_string(user, "status", status);
    hb_json_set_int(user, "createdAt", hb_time_to_msec(ts->now));
    ck_assert_int_eq(hb_store_insert(NULL, op_of(), HB_C_USERS, user), APR_SUCCESS);
    return hb_json_string(user, "_id");
}

/* Quiet from 19:00 to 20:00 of Sydney, where it is 19:30 now. */
static void make_quiet(const char *user_id)
{
    hb_json_t *wishes = hb_json_object_make(hb_test_pool);

    hb_json_set_string(wishes, "_id", user_id);
    hb_json_set_int(wishes, "quietFrom", 19 * 60);
    hb_json_set_int(wishes, "quietTo", 20 * 60);
    ck_assert_int_eq(hb_store_insert(NULL, op_of(), HB_C_WISHES, wishes), APR_SUCCESS);
}

START_TEST(mail_to_all_reaches_each_once)
{
    hb_json_t *values = hb_json_object_make(hb_test_pool);
    hb_json_t *wishes = hb_json_object_make(hb_test_pool), *off;
    hb_test_person_t *anna;
    int i;

    open_site();
    ts->site->team_hook = NULL;
    anna = hb_test_person(ts, "anna");          /* whose address is not proved */
    for (i = 0; i < 202; i++) {
        const char *id = add_user(i, i != 7, i == 9 ? "disabled" : "active");

        if (i == 11) {
            make_quiet(id);
        }
    }
    hb_json_set_string(wishes, "_id", anna->id);
    off = hb_json_array_make(hb_test_pool);
    hb_json_push_string(off, "maintenance.cancelled:mail");
    hb_json_set(wishes, "off", off);
    ck_assert_int_eq(hb_store_insert(NULL, op_of(), HB_C_WISHES, wishes), APR_SUCCESS);
    ck_assert_int_eq(hb_test_mails(ts, anna->email), 1);
    hb_json_set_int(values, "startsAt", hb_time_to_msec(ts->now));
    ck_assert_int_eq(hb_notice_announce(op_of(), HB_N_DOWNTIME_CANCELLED, values,
                                        HB_BY_MAIL),
                     APR_SUCCESS);
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(run(), 1);
        ck_assert_int_eq(run(), 0);             /* a hundred a second are enough */
        ts->now += apr_time_from_sec(1);
    }
    ck_assert_int_eq(count(HB_C_OUTBOX), 199);
    ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), 1);
    ck_assert_int_eq(count(HB_C_NOTICES), 1);
    ck_assert_int_eq(run(), 0);
    ts->now += apr_time_from_sec(1800);
    ck_assert_int_eq(run(), 1);
    ck_assert_int_eq(count(HB_C_OUTBOX), 200);
    ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), 0);
}
END_TEST

/* --- planned maintenance --- */

static const char *plan_in(apr_interval_time_t from_now, apr_interval_time_t lasts)
{
    hb_json_t *input = hb_json_object_make(hb_test_pool), *view;

    hb_json_set_int(input, "startsAt", hb_time_to_msec(ts->now + from_now));
    if (lasts != 0) {
        hb_json_set_int(input, "endsAt", hb_time_to_msec(ts->now + from_now + lasts));
    }
    ck_assert_int_eq(hb_downtime_plan(&view, op_of(), input), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit_of("downtime", view, hb_test_pool));
    return hb_json_string(view, "id");
}

static const char *state(const char *id)
{
    hb_json_t *list, *items;
    int i;

    ck_assert_int_eq(hb_downtime_list(&list, op_of(), 20, NULL), APR_SUCCESS);
    items = hb_json_get(list, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        if (strcmp(hb_json_string(hb_json_item(items, i), "id"), id) == 0) {
            return hb_json_string(hb_json_item(items, i), "state");
        }
    }
    return "none";
}

START_TEST(all_are_told_48_hours_ahead_and_at_the_begin)
{
    const char *id;

    open_site();
    ts->site->team_hook = NULL;
    id = plan_in(HOURS(72), HOURS(2));
    run();
    ts->now += HOURS(24) - apr_time_from_sec(1);
    run();
    ck_assert_str_eq(told(), "");
    ts->now += apr_time_from_sec(1);
    run();
    run();
    ck_assert_str_eq(told(), "planned");
    ck_assert_str_eq(state(id), "planned");
    ts->now += HOURS(48);
    run();
    run();
    ck_assert_str_eq(told(), "planned started");
    ck_assert_str_eq(state(id), "begun");
    ts->now += HOURS(2);
    ck_assert_str_eq(state(id), "over");
}
END_TEST

/* The server was down from before the notice was due. */
START_TEST(what_is_over_is_not_announced)
{
    static const struct {
        int hours, away;
        const char *told;
    } rows[] = {
        { 2, 60, "planned" }, { 2, 73, "started" }, { 2, 74, "" }, { 0, 72, "started" }, { 0, 73, "" },
    };
    int i;

    for (i = 0; i < 5; i++) {
        open_site();
        ts->site->team_hook = NULL;
        plan_in(HOURS(72), HOURS(rows[i].hours));
        ts->now += HOURS(rows[i].away);
        run();
        run();
        ck_assert_str_eq(told(), rows[i].told);
        ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), rows[i].away < 72);
    }
}
END_TEST

START_TEST(who_was_told_is_told_when_it_is_cancelled)
{
    hb_json_t *view;
    const char *id;

    open_site();
    ts->site->team_hook = NULL;
    /* Nobody knows of it yet. */
    id = plan_in(HOURS(72), 0);
    ck_assert_int_eq(hb_downtime_cancel(&view, op_of(), id), APR_SUCCESS);
    ck_assert_str_eq(state(id), "cancelled");
    ck_assert_int_eq(hb_downtime_cancel(&view, op_of(), id), HB_E_DOWNTIME_STATE);
    ck_assert_int_eq(hb_downtime_cancel(&view, op_of(), "x"), HB_E_DOWNTIME_UNKNOWN);
    /* The same moment is free again, and closer than 48 hours they know at once. */
    ts->now += HOURS(62);
    id = plan_in(HOURS(10), 0);
    run();
    ck_assert_str_eq(told(), "planned");
    ts->now += HOURS(1);
    ck_assert_int_eq(hb_downtime_cancel(&view, op_of(), id), APR_SUCCESS);
    ck_assert_str_eq(told(), "planned cancelled");
    ts->now += HOURS(9);
    run();
    ck_assert_str_eq(told(), "planned cancelled");
    ts->now += HOURS(1);
    id = plan_in(HOURS(1), 0);
    ts->now += HOURS(1);
    ck_assert_int_eq(hb_downtime_cancel(&view, op_of(), id), HB_E_DOWNTIME_STATE);
}
END_TEST

START_TEST(a_plan_is_checked)
{
    hb_json_t *input = hb_json_object_make(hb_test_pool), *view;

    open_site();
    hb_json_set_int(input, "startsAt", hb_time_to_msec(ts->now) - 1);
    ck_assert_int_eq(hb_downtime_plan(&view, op_of(), input), HB_E_INPUT_INVALID);
    hb_json_set_int(input, "startsAt", hb_time_to_msec(ts->now));
    hb_json_set_int(input, "endsAt", hb_time_to_msec(ts->now));
    ck_assert_int_eq(hb_downtime_plan(&view, op_of(), input), HB_E_INPUT_INVALID);
    hb_json_remove(input, "endsAt");
    ck_assert_int_eq(hb_downtime_plan(&view, op_of(), input), APR_SUCCESS);
    ck_assert_int_eq(hb_downtime_plan(&view, op_of(), input), HB_E_DOWNTIME_STATE);
    ck_assert_int_eq(count(HB_C_DOWNTIMES), 1);
    ck_assert_int_eq(count(HB_C_NOTICE_OUTBOX), 2);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_nobody_takes_is_given_up_after_ten_tries,
        a_service_that_does_not_answer_is_asked_once_a_round,
        a_leased_row_is_left_alone_until_its_lease_ends, mail_to_all_reaches_each_once,
        all_are_told_48_hours_ahead_and_at_the_begin,
        what_is_over_is_not_announced, who_was_told_is_told_when_it_is_cancelled,
        a_plan_is_checked, NULL
    };

    return hb_test_main("hb_notice_outbox", cases);
}
