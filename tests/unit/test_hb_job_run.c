/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That each occurrence runs once: over hosts, deaths at any step, days on which clocks change, and
 * clocks that are put forward and back. Two hosts are two owners on one store; a host that dies
 * is one that does not go on.
 */
#include "hb_job_run.h"

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define HOUR apr_time_from_sec(3600)
#define DAY (24 * HOUR)

static hb_test_site_t *ts;
static hb_job_t job;            /* order-expire with a function of ours */
static apr_hash_t *runs;        /* occurrence: how often it ran to its end */
static int n_runs, n_tries;
static apr_status_t outcome;
static const char *last_date;

static apr_status_t work(hb_op_t *op, const hb_job_run_t *run)
{
    int *n = apr_hash_get(runs, run->occurrence, APR_HASH_KEY_STRING);
    apr_status_t rv = hb_job_alive(op, run, 1, 2);

    n_tries++;
    ck_assert(op->actor.is_system);
    last_date = apr_pstrdup(hb_test_pool, run->date);
    if (rv != APR_SUCCESS || outcome != APR_SUCCESS) {
        return rv != APR_SUCCESS ? rv : hb_fail(op, outcome, "told to fail");
    }
    if (n == NULL) {
        n = apr_pcalloc(hb_test_pool, sizeof(*n));
        apr_hash_set(runs, apr_pstrdup(hb_test_pool, run->occurrence), APR_HASH_KEY_STRING, n);
    }
    ++*n;
    n_runs++;
    hb_job_say(run, "did %d", n_runs);
    return APR_SUCCESS;
}

static apr_time_t at(const char *text)
{
    apr_time_t when;

    ck_assert_msg(hb_time_read(&when, text), "%s", text);
    return when;
}

static void begin(const char *schedule, hb_job_catch_up_e catch_up, const char *now)
{
    ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzJob order-expire ", schedule,
                                            "\n", NULL), hb_test_pool);
    hb_test_site_open(ts);
    ts->now = at(now);
    job = *hb_job_named("order-expire");
    job.run = work;
    job.catch_up = catch_up;
    job.jitter_sec = 0;
    runs = apr_hash_make(hb_test_pool);
    n_runs = n_tries = 0;
    outcome = APR_SUCCESS;
}

static apr_time_t plan(void)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_job_schedule_t schedule;
    apr_time_t next;
    apr_status_t rv;

    ck_assert_ptr_null(hb_job_schedule(&schedule, ts->site->settings, &job, op->pool));
    rv = hb_job_plan(&next, op, &job, &schedule);
    ck_assert_msg(rv == APR_SUCCESS, "%d %s %s", rv, op->problem.detail, ts->lines->nelts > 0 ? APR_ARRAY_IDX(ts->lines, ts->lines->nelts - 1, const char *) : "");
    ck_assert(next > ts->now || n_tries >= 0);
    apr_pool_destroy(op->pool);
    return next;
}

static apr_status_t claim(hb_job_claim_t *taken, const char *owner)
{
    apr_status_t rv = hb_job_claim(taken, hb_test_site_op(ts), owner, NULL);

    taken->job = &job;
    return rv;
}

/* Do all that is due. */
static void work_off(void)
{
    hb_job_claim_t taken;

    plan();
    while (claim(&taken, "host-a") == APR_SUCCESS) {
        hb_job_do(hb_test_site_op(ts), &taken);
    }
}

static int times(const char *occurrence)
{
    const int *n = apr_hash_get(runs, apr_pstrcat(hb_test_pool, "order-expire:", occurrence, NULL),
                                APR_HASH_KEY_STRING);

    return n != NULL ? *n : 0;
}

static const hb_json_t *newest(void)
{
    hb_json_t *list;

    ck_assert(hb_job_history(&list, hb_test_site_op(ts), "order-expire", 20, NULL) == APR_SUCCESS);
    return hb_json_item(hb_json_get(list, "items"), 0);
}

static const hb_json_t *listed(void)
{
    hb_json_t *list;
    int i;

    ck_assert(hb_job_list(&list, hb_test_site_op(ts)) == APR_SUCCESS);
    for (i = 0; i < hb_json_length(hb_json_get(list, "items")); i++) {
        const hb_json_t *item = hb_json_item(hb_json_get(list, "items"), i);

        if (strcmp(hb_json_string(item, "name"), "order-expire") == 0) {
            return item;
        }
    }
    ck_abort_msg("not listed");
    return NULL;
}

/* --- cases --- */

START_TEST(days_of_change_run_once)
{
    static const char *const weeks[] = {
        "2026-04-03", "2026-10-02", "2027-04-02", "2027-10-01", NULL
    };
    static const char *const schedules[] = { "0 2 * * *", "30 2 * * *", "0 0 * * *", NULL };
    int i, k, day;

    for (k = 0; schedules[k] != NULL; k++) {
        begin(schedules[k], HB_JOB_EACH, "2026-01-01T00:00:00Z");
        plan();
        for (i = 0; weeks[i] != NULL; i++) {
            apr_time_t end;

            ts->now = at(apr_pstrcat(hb_test_pool, weeks[i], "T00:00:00Z", NULL));
            work_off();         /* all days before */
            for (end = ts->now + 5 * DAY; ts->now < end; ts->now += 20 * apr_time_from_sec(60)) {
                work_off();
            }
        }
        /* Of each day since the first one. */
        for (day = 2; day < 640; day++) {
            char date[HB_TIME_BYTES];

            hb_time_write(date, at("2026-01-01T00:00:00Z") + (day - 1) * DAY);
            date[10] = '\0';
            ck_assert_msg(times(date) == 1, "%s: %s ran %d times", schedules[k], date, times(date));
        }
    }
}
END_TEST

START_TEST(hours_that_come_twice_run_twice_by_time)
{
    begin("0 * * * *", HB_JOB_EACH, "2026-04-04T12:30:00Z");
    for (; ts->now < at("2026-04-04T18:00:00Z"); ts->now += apr_time_from_sec(600)) {
        work_off();
    }
    ck_assert_int_eq(n_runs, 5);
    ck_assert_int_eq(times("2026-04-05T02:00+11:00"), 1);
    ck_assert_int_eq(times("2026-04-05T02:00+10:00"), 1);
}
END_TEST

START_TEST(what_was_missed_is_caught_up_by_policy)
{
    static const struct { hb_job_catch_up_e how; int n; const char *last; } rows[] = {
        { HB_JOB_EACH, 5, "2026-07-06" }, { HB_JOB_ONCE, 1, "2026-07-06" }, { HB_JOB_SKIP, 0, NULL }
    };
    int i;

    for (i = 0; i < 3; i++) {
        begin("0 2 * * *", rows[i].how, "2026-07-01T00:00:00Z");
        plan();
        ts->now += 5 * DAY;
        work_off();
        ck_assert_int_eq(n_runs, rows[i].n);
        if (rows[i].last != NULL) {
            ck_assert_str_eq(last_date, rows[i].last);
        }
        /* On time all run. */
        ts->now = at("2026-07-06T16:00:30Z");
        work_off();
        ck_assert_int_eq(n_runs, rows[i].n + 1);
        ck_assert_str_eq(last_date, "2026-07-07");
    }
}
END_TEST

START_TEST(a_long_absence_is_caught_up_in_pieces)
{
    int i;

    begin("*/10 * * * *", HB_JOB_EACH, "2026-07-01T00:05:00Z");
    plan();
    ts->now += DAY;
    for (i = 0; i < 5; i++) {
        work_off();
    }
    ck_assert_int_eq(n_runs, 144);
    ck_assert_int_eq(times("2026-07-01T10:10+10:00"), 1);
    ck_assert_int_eq(times("2026-07-02T10:00+10:00"), 1);
}
END_TEST

/* Planning is quicker than the runs: what waits for its turn is older than history is kept. */
START_TEST(what_waits_is_no_history)
{
    int i;

    begin("0 * * * *", HB_JOB_EACH, "2026-07-01T00:05:00Z");
    plan();
    ts->now += 11 * DAY;
    for (i = 0; i < 6; i++) {
        plan();
    }
    work_off();
    ck_assert_int_eq(n_runs, 264);
}
END_TEST

START_TEST(what_waits_behind_one_holds_nobody_else_up)
{
    hb_job_claim_t first, other;
    const char *id;

    begin("*/10 * * * *", HB_JOB_EACH, "2026-07-01T00:05:00Z");
    plan();
    ts->now += 10 * HOUR;
    plan();                     /* more than a page of them */
    ts->now += apr_time_from_sec(1);
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "hold-expire", NULL) == APR_SUCCESS);
    ck_assert(claim(&first, "host-a") == APR_SUCCESS);
    ck_assert(hb_job_claim(&other, hb_test_site_op(ts), "host-a", NULL) == APR_SUCCESS);
    ck_assert_str_eq(other.job->name, "hold-expire");
    ck_assert(hb_job_do(hb_test_site_op(ts), &other) == APR_SUCCESS);
}
END_TEST

START_TEST(clocks_that_jump_repeat_nothing)
{
    static const apr_int64_t jumps[] = { -3600, 3600, -3 * 86400, 3 * 86400, 0 };
    int i, k;

    for (i = 0; jumps[i] != 0; i++) {
        apr_hash_index_t *hi;
        apr_time_t end;

        begin(i % 2 ? "0 2 * * *" : "*/5 * * * *", HB_JOB_EACH, "2026-07-01T15:30:00Z");
        for (k = 0; k < 3; k++) {
            for (end = ts->now + HOUR; ts->now < end; ts->now += apr_time_from_sec(300)) {
                work_off();
            }
            ts->now += k == 1 ? -apr_time_from_sec(jumps[i]) : apr_time_from_sec(jumps[i]);
        }
        for (end = ts->now + HOUR; ts->now < end; ts->now += apr_time_from_sec(300)) {
            work_off();
        }
        ck_assert(n_runs > 0);
        for (hi = apr_hash_first(hb_test_pool, runs); hi != NULL; hi = apr_hash_next(hi)) {
            ck_assert_msg(*(int *)apr_hash_this_val(hi) == 1, "%s ran %d times after %d s",
                          (const char *)apr_hash_this_key(hi), *(int *)apr_hash_this_val(hi),
                          (int)jumps[i]);
        }
    }
    ck_assert(hb_test_site_logged(ts, "the clock is "));
}
END_TEST

START_TEST(after_a_jump_back_jobs_of_minutes_go_on)
{
    begin("* * * * *", HB_JOB_ONCE, "2026-07-01T00:00:30Z");
    plan();
    ts->now += 3 * DAY;
    work_off();
    ck_assert_int_eq(n_runs, 1);
    ts->now -= 3 * DAY - apr_time_from_sec(120);
    work_off();
    ts->now += apr_time_from_sec(60);
    work_off();
    ck_assert_int_eq(n_runs, 2);
}
END_TEST

START_TEST(two_hosts_run_it_once)
{
    hb_job_claim_t a, b;

    begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T00:00:00Z");
    plan();
    ts->now += DAY;
    plan();
    plan();
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    ck_assert(claim(&b, "host-b") == HB_E_STORE_MISSING);
    ck_assert_str_eq(hb_json_string(listed(), "state"), "running");
    ck_assert_str_eq(hb_json_string(listed(), "owner"), "host-a");
    ck_assert(hb_job_do(hb_test_site_op(ts), &a) == APR_SUCCESS);
    ck_assert(claim(&b, "host-b") == HB_E_STORE_MISSING);
    ck_assert_int_eq(n_runs, 1);
    ck_assert_str_eq(hb_json_string(newest(), "note"), "did 1");
    ck_assert_str_eq(hb_json_string(newest(), "state"), "done");
    ck_assert_str_eq(hb_json_string(listed(), "state"), "on");
    ck_assert_str_eq(hb_json_string(listed(), "lastState"), "done");
    /* It is over: nobody can say otherwise, nor hold on to it. */
    ck_assert(hb_job_failed(hb_test_site_op(ts), &a, "late") == HB_E_JOB_LOST);
    ck_assert(hb_job_renew(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
    ck_assert(hb_job_give_back(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
}
END_TEST

START_TEST(who_is_not_heard_of_loses_it_for_good)
{
    hb_job_claim_t a, b;

    begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T00:00:00Z");
    plan();
    ts->now += DAY;
    plan();
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    ts->now += apr_time_from_sec(20);
    ck_assert(hb_job_renew(hb_test_site_op(ts), &a) == APR_SUCCESS);
    ts->now += apr_time_from_sec(29);
    ck_assert(claim(&b, "host-b") == HB_E_STORE_MISSING);
    ts->now += apr_time_from_sec(2);
    ck_assert(claim(&b, "host-b") == APR_SUCCESS);
    ck_assert(b.fence > a.fence);
    ck_assert(hb_test_site_logged(ts, "taken over from host-a"));
    /* The first was only slow. */
    ck_assert(hb_job_renew(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
    ck_assert(hb_job_do(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
    ck_assert_int_eq(n_tries, 0);
    ck_assert(hb_job_failed(hb_test_site_op(ts), &a, "killed") == HB_E_JOB_LOST);
    ck_assert(hb_job_do(hb_test_site_op(ts), &b) == APR_SUCCESS);
    ck_assert_int_eq(n_runs, 1);
    ck_assert_int_eq((int)hb_json_int(newest(), "tries", 0), 2);
    ck_assert_str_eq(hb_json_string(newest(), "owner"), "host-b");
}
END_TEST

/* The host died, and its clock was ahead: nobody waits for that time. */
START_TEST(a_lease_by_a_clock_that_was_ahead_is_cut)
{
    static const apr_int64_t ahead[] = { HOUR, 3 * DAY, 0 };
    hb_job_claim_t a, b;
    int i;

    for (i = 0; ahead[i] != 0; i++) {
        begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T15:59:00Z");
        plan();
        ts->now += apr_time_from_sec(60);
        plan();
        ck_assert(claim(&a, "host-a") == APR_SUCCESS);
        ts->now += ahead[i];
        ck_assert(hb_job_renew(hb_test_site_op(ts), &a) == APR_SUCCESS);
        ts->now -= ahead[i];
        plan();
        ck_assert(hb_test_site_logged(ts, "s longer than any"));
        ck_assert(claim(&b, "host-b") == HB_E_STORE_MISSING);     /* it may be alive after all */
        ts->now += apr_time_from_sec(31);
        plan();
        ck_assert(claim(&b, "host-b") == APR_SUCCESS);
        ck_assert(hb_job_do(hb_test_site_op(ts), &b) == APR_SUCCESS);
        ck_assert(hb_job_renew(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
        ck_assert_int_eq(times("2026-07-02"), 1);
    }
}
END_TEST

/* The function meets it when the lease went while it worked. */
static hb_job_claim_t thief;
static apr_status_t work_long(hb_op_t *op, const hb_job_run_t *run)
{
    apr_time_t before = op->now;
    apr_status_t rv;
    int i;

    for (i = 0; i < 20; i++) {
        ts->now += apr_time_from_sec(10);
        rv = hb_job_alive(op, run, i, 20);
        ck_assert_msg(rv == APR_SUCCESS, "%d", i);
    }
    ck_assert(op->now == before + apr_time_from_sec(200));
    ck_assert_int_eq((int)hb_json_int(newest(), "done", 0), 19);
    ts->now += apr_time_from_sec(40);
    ck_assert(claim(&thief, "host-b") == APR_SUCCESS);
    rv = hb_job_alive(op, run, 20, 20);
    ck_assert(rv == HB_E_JOB_LOST);
    return rv;
}

START_TEST(a_function_keeps_its_lease_and_learns_of_its_loss)
{
    hb_job_claim_t a;

    begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T00:00:00Z");
    plan();
    ts->now += DAY;
    plan();
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    job.run = work_long;
    ck_assert(hb_job_do(hb_test_site_op(ts), &a) == HB_E_JOB_LOST);
    job.run = work;
    ck_assert(hb_job_do(hb_test_site_op(ts), &thief) == APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(newest(), "state"), "done");
    ck_assert_int_eq(n_runs, 1);
}
END_TEST

/* What waits to be told to the team. */
static apr_int64_t alerts(void)
{
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX };
    apr_int64_t n;

    ck_assert(hb_store_count(&n, hb_test_site_op(ts), &all) == APR_SUCCESS);
    return n;
}

START_TEST(failures_are_tried_again_later_and_later)
{
    static const int delays[] = { 5, 20, 80, 320, 1280, 1800, 1800 };
    hb_job_claim_t a;
    char why[320];
    const char *id;
    int i;

    begin("0 2 * * *", HB_JOB_ONCE, "2026-07-01T00:00:00Z");
    ts->site->team_hook = "http://127.0.0.1:1/hook";
    plan();
    ts->now += DAY;
    plan();
    outcome = HB_E_UPSTREAM;
    for (i = 0; i < 8; i++) {
        ck_assert_msg(claim(&a, "host-a") == APR_SUCCESS, "try %d", i);
        ck_assert(hb_job_do(hb_test_site_op(ts), &a) == HB_E_UPSTREAM);
        ck_assert_str_eq(hb_json_string(newest(), "error"), "told to fail");
        ck_assert_int_eq(alerts(), 1);  /* the team is told once of failures in a row */
        if (i < 7) {
            ts->now += apr_time_from_sec(delays[i] - 1);
            ck_assert_msg(claim(&a, "host-a") == HB_E_STORE_MISSING, "try %d", i);
            ts->now += apr_time_from_sec(1);
        }
    }
    ts->now += 2 * HOUR;
    ck_assert(claim(&a, "host-a") == HB_E_STORE_MISSING);
    ck_assert_str_eq(hb_json_string(newest(), "state"), "failed");
    ck_assert_int_eq((int)hb_json_int(listed(), "failures", 0), 8);
    ck_assert_str_eq(hb_json_string(listed(), "lastError"), "told to fail");
    ck_assert(hb_test_site_logged(ts, "it is given up"));
    /* The next day is another occurrence. */
    outcome = APR_SUCCESS;
    ts->now += DAY;
    work_off();
    ck_assert_int_eq(n_runs, 1);
    ck_assert_int_eq((int)hb_json_int(listed(), "failures", 9), 0);
    outcome = HB_E_UPSTREAM;    /* and again when it had been well */
    ts->now += DAY;
    work_off();
    ck_assert_int_eq(alerts(), 2);
    /* What others say may be long, and in any script. */
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "order-expire", NULL) == APR_SUCCESS);
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    memset(why, 'x', 299);
    strcpy(why + 299, "\xe0\xa4\xa8\xe0\xa5\x87");
    ck_assert(hb_job_failed(hb_test_site_op(ts), &a, why) == APR_SUCCESS);
    ck_assert_uint_eq(strlen(hb_json_string(newest(), "error")), 299);
}
END_TEST

START_TEST(a_later_occurrence_takes_the_place_of_a_failing_one)
{
    hb_job_claim_t a;
    hb_json_t *list;

    begin("*/5 * * * *", HB_JOB_ONCE, "2026-07-01T00:00:30Z");
    plan();
    outcome = HB_E_UPSTREAM;
    ts->now += apr_time_from_sec(300);
    plan();
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    ck_assert(hb_job_failed(hb_test_site_op(ts), &a, "killed by signal 9") == APR_SUCCESS);
    outcome = APR_SUCCESS;
    ts->now += apr_time_from_sec(300);
    work_off();
    ck_assert_int_eq(n_runs, 1);
    ck_assert(hb_job_history(&list, hb_test_site_op(ts), "order-expire", 20, NULL) == APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 1), "state"),
                     "skipped");
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 1), "error"),
                     "killed by signal 9");
}
END_TEST

START_TEST(what_is_given_back_goes_on_at_once)
{
    hb_job_claim_t a, b;

    begin("0 2 * * *", HB_JOB_ONCE, "2026-07-01T00:00:00Z");
    plan();
    ts->now += DAY;
    plan();
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    ck_assert(hb_job_give_back(hb_test_site_op(ts), &a) == APR_SUCCESS);
    ck_assert(claim(&b, "host-b") == APR_SUCCESS);
    ck_assert(hb_job_do(hb_test_site_op(ts), &b) == APR_SUCCESS);
    ck_assert_int_eq((int)hb_json_int(newest(), "tries", 0), 1);
}
END_TEST

START_TEST(pausing_holds_for_all_and_resuming_catches_up)
{
    begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T00:00:00Z");
    plan();
    ck_assert(hb_job_pause(hb_test_site_op(ts), "order-expire", 1) == APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(listed(), "state"), "paused");
    ck_assert_ptr_null(hb_json_string(listed(), "next"));
    ts->now += 3 * DAY;
    ck_assert(plan() <= ts->now + apr_time_from_sec(10));
    work_off();
    ck_assert_int_eq(n_runs, 0);
    ck_assert(hb_job_pause(hb_test_site_op(ts), "order-expire", 0) == APR_SUCCESS);
    work_off();
    ck_assert_int_eq(n_runs, 3);
    ck_assert_str_eq(hb_json_string(listed(), "nextLocal"), "2026-07-05T02:00:00+10:00");
    ck_assert(hb_job_pause(hb_test_site_op(ts), "none", 1) == HB_E_JOB_UNKNOWN);
    /* Also before it was ever planned. */
    ck_assert(hb_job_pause(hb_test_site_op(ts), "og-bonus", 1) == APR_SUCCESS);
}
END_TEST

START_TEST(an_operator_runs_one_now)
{
    const char *id, *again;
    hb_json_t *run;
    hb_job_claim_t a, b;
    hb_op_t *op;

    begin("0 2 * * *", HB_JOB_EACH, "2026-07-01T00:00:00Z");
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "order-expire", "2026-07-02")
              == HB_E_JOB_STATE);
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "order-expire", NULL) == APR_SUCCESS);
    ck_assert(hb_job_claim(&a, hb_test_site_op(ts), "host-a", id) == APR_SUCCESS);
    ck_assert(hb_job_give_back(hb_test_site_op(ts), &a) == APR_SUCCESS);
    /* Also while it is paused. */
    ck_assert(hb_job_pause(hb_test_site_op(ts), "order-expire", 1) == APR_SUCCESS);
    ck_assert(hb_job_claim(&a, hb_test_site_op(ts), "host-a", id) == APR_SUCCESS);
    ck_assert(hb_job_request(&again, hb_test_site_op(ts), "order-expire", NULL) == HB_E_JOB_STATE);
    a.job = &job;
    ck_assert(hb_job_do(hb_test_site_op(ts), &a) == APR_SUCCESS);
    ck_assert_int_eq(times("2026-07-01"), 1);
    ck_assert(hb_job_run_get(&run, hb_test_site_op(ts), id) == APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(run, "state"), "done");
    /* Done before: again, under another name, for the same date. */
    ck_assert(hb_job_request(&again, hb_test_site_op(ts), "order-expire", "2026-07-01")
              == APR_SUCCESS);
    ck_assert_str_ne(id, again);
    ck_assert(claim(&a, "host-a") == APR_SUCCESS);
    ck_assert(hb_job_do(hb_test_site_op(ts), &a) == APR_SUCCESS);
    ck_assert_int_eq(n_runs, 2);
    ck_assert_int_eq(times("2026-07-01"), 1);
    ck_assert_str_eq(last_date, "2026-07-01");
    /* As if it were another day (--at): the lease is of today. */
    ts->now -= 10 * DAY;
    op = hb_test_site_op(ts);
    ts->now += 10 * DAY;
    ck_assert(hb_job_request(&id, op, "order-expire", NULL) == APR_SUCCESS);
    ck_assert(hb_job_claim(&a, op, "by hand", id) == APR_SUCCESS);
    ck_assert(claim(&b, "host-a") == HB_E_STORE_MISSING);
    a.job = &job;
    ck_assert(hb_job_do(op, &a) == APR_SUCCESS);
    ck_assert_str_eq(last_date, "2026-06-21");
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "none", NULL) == HB_E_JOB_UNKNOWN);
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "reconcile", NULL) == HB_E_JOB_STATE);
    ck_assert(hb_job_request(&id, hb_test_site_op(ts), "order-expire", "tomorrow")
              == HB_E_JOB_STATE);
}
END_TEST

START_TEST(history_is_kept_for_a_week_and_no_longer)
{
    hb_json_t *list;
    int n = 0;

    begin("*/30 * * * *", HB_JOB_ONCE, "2026-07-01T00:10:00Z");
    for (; ts->now < at("2026-07-11T00:00:00Z"); ts->now += 30 * apr_time_from_sec(60)) {
        work_off();
    }
    ck_assert(hb_job_history(&list, hb_test_site_op(ts), "order-expire", 1000, NULL) == APR_SUCCESS);
    n = hb_json_length(hb_json_get(list, "items"));
    ck_assert_msg(n >= 7 * 48 && n <= 7 * 48 + 50, "%d", n);
}
END_TEST

START_TEST(settings_say_what_is_wrong_with_a_schedule)
{
    static const struct { const char *line, *part; } bad[] = {
        { "no-such 0 0 * * *", "there is no job" }, { "og-bonus", "needs a schedule" },
        { "og-bonus 0 0 * *", "needs a schedule" }, { "og-bonus 0 25 * * *", "no hour" },
        { "og-bonus 0 0 * * * Mars/Base", "no time zone" },
        { "og-bonus off;reconcile 61 0 * * *", "no minute" },
        { "og-bonus 0 0 * * * UTC x", "needs a schedule" },
    };
    hb_job_schedule_t schedule;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = hb_job_schedules_check(bad[i].line, hb_test_pool);

        ck_assert_msg(why != NULL && strstr(why, bad[i].part) != NULL, "%s: %s", bad[i].line,
                      why != NULL ? why : "taken");
    }
    begin("0 2 * * * Asia/Kathmandu;order-expire off;og-bonus 5 0 * * *", HB_JOB_ONCE,
          "2026-07-01T00:00:00Z");
    ck_assert_ptr_null(hb_job_schedule(&schedule, ts->site->settings, &job, hb_test_pool));
    ck_assert(schedule.is_off);
    ck_assert_str_eq(hb_json_string(listed(), "state"), "off");
    ck_assert_str_eq(hb_json_string(listed(), "why"), "HaloBuzzJob switches it off");
    ck_assert_ptr_null(hb_job_schedule(&schedule, ts->site->settings, hb_job_named("og-bonus"),
                                       hb_test_pool));
    ck_assert_str_eq(schedule.text, "5 0 * * *");
    ck_assert_str_eq(hb_zone_name(schedule.zone), "Australia/Sydney");
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        days_of_change_run_once, hours_that_come_twice_run_twice_by_time,
        what_was_missed_is_caught_up_by_policy, a_long_absence_is_caught_up_in_pieces,
        what_waits_is_no_history, what_waits_behind_one_holds_nobody_else_up,
        clocks_that_jump_repeat_nothing, after_a_jump_back_jobs_of_minutes_go_on,
        two_hosts_run_it_once, who_is_not_heard_of_loses_it_for_good,
        a_lease_by_a_clock_that_was_ahead_is_cut,
        a_function_keeps_its_lease_and_learns_of_its_loss,
        failures_are_tried_again_later_and_later,
        a_later_occurrence_takes_the_place_of_a_failing_one, what_is_given_back_goes_on_at_once,
        pausing_holds_for_all_and_resuming_catches_up, an_operator_runs_one_now,
        history_is_kept_for_a_week_and_no_longer, settings_say_what_is_wrong_with_a_schedule, NULL
    };
    return hb_test_main("hb_job_run", cases);
}
