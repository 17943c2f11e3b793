/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning: what came due becomes runs. A job's record says up to when that was done; runs and
 * record change in one transaction, so hosts that plan at once make each occurrence once.
 */
#include "hb_job_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_store.h"
#include "hb_time.h"

/* More than the minutes of a missing hour, which are all due at once. */
#define EACH_MAX 64

/* Clocks of hosts differ by less; planning further ahead means that a clock was put back. */
#define AHEAD apr_time_from_sec(60)

/* SKIP takes what was due so long ago: a program that starts again misses nothing over it. */
#define SKIP_SLACK apr_time_from_sec(120)

#define WAITING_MAX 100
#define PAUSED_LOOK apr_time_from_sec(5)

apr_status_t hb_job_record(hb_json_t **doc, hb_op_t *op, const char *name)
{
    const hb_cond_t where[] = { { "name", HB_IS, HB_STR(name) } };
    const hb_query_t query = { .in = HB_C_JOBS, .where = where, .n_where = 1, .limit = 1 };

    return hb_store_find_one(doc, op, &query);
}

apr_status_t hb_job_record_make(hb_json_t **doc, hb_op_t *op, const char *name)
{
    *doc = hb_json_object_make(op->pool);
    hb_json_set_string(*doc, "name", name);
    /* By the site's clock: the op may play another day (halobuzz-crond --once --at). */
    hb_json_set_int(*doc, "plannedTo", hb_time_to_msec(op->site->clock(op->site->baton)));
    hb_json_set_bool(*doc, "isPaused", 0);
    hb_json_set_int(*doc, "fence", 0);
    hb_json_set_int(*doc, "failures", 0);
    return hb_store_insert(NULL, op, HB_C_JOBS, *doc);
}

apr_status_t hb_job_run_of(hb_json_t **doc, hb_op_t *op, const char *occurrence)
{
    const hb_cond_t where[] = { { "occurrence", HB_IS, HB_STR(occurrence) } };
    const hb_query_t query = { .in = HB_C_JOB_RUNS, .where = where, .n_where = 1, .limit = 1 };

    return hb_store_find_one(doc, op, &query);
}

const char *hb_job_occurrence(const hb_job_t *job, const hb_job_schedule_t *schedule,
                              const hb_due_t *due, apr_pool_t *pool)
{
    char mark[HB_CRON_MARK_BYTES];

    return apr_pstrcat(pool, job->name, ":", hb_cron_mark(mark, &schedule->cron, due), NULL);
}

apr_status_t hb_job_run_add(const char **run_id, hb_op_t *op, const hb_job_t *job,
                            const hb_job_schedule_t *schedule, const hb_due_t *due,
                            const char *occurrence, apr_time_t due_at, int is_manual)
{
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv;

    hb_json_set_string(doc, "job", job->name);
    hb_json_set_string(doc, "occurrence", occurrence);
    hb_json_set_int(doc, "plannedAt", hb_time_to_msec(due->at));
    hb_json_set_string(doc, "date", apr_psprintf(op->pool, "%04d-%02d-%02d", due->local.year,
                                                 due->local.month, due->local.day));
    hb_json_set_string(doc, "zone", hb_zone_name(schedule->zone));
    hb_json_set_string(doc, "state", "waiting");
    hb_json_set_int(doc, "dueAt", hb_time_to_msec(due_at));
    hb_json_set_bool(doc, "isManual", is_manual);
    hb_json_set_int(doc, "tries", 0);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_JOB_RUNS, doc);
    if (rv == APR_SUCCESS && run_id != NULL) {
        *run_id = hb_json_string(doc, "_id");
    }
    return rv;
}

/* --- planning --- */

typedef struct plan_t {
    const hb_job_t *job;
    const hb_job_schedule_t *schedule;
    int is_paused;
    int is_cut;                 /* there are more */
    apr_interval_time_t back;   /* so far was the clock put back */
    apr_interval_time_t over;   /* by so much a lease was longer than any */
    apr_time_t until;           /* planned up to */
    int n;                      /* of runs made */
    hb_due_t due[EACH_MAX];
} plan_t;

static apr_status_t waiting(hb_page_t *page, hb_op_t *op, const hb_job_t *job)
{
    const hb_cond_t where[] = {
        { "job", HB_IS, HB_STR(job->name) }, { "state", HB_IS, HB_STR("waiting") },
    };
    const hb_query_t query = { .in = HB_C_JOB_RUNS, .where = where, .n_where = 2,
                               .sort = { { "plannedAt", 0 } }, .limit = WAITING_MAX };

    return hb_store_find(page, op, &query);
}

/* The clock is behind what was planned. What ran by the wrong clock has run; what waits for a
 * time far off need not. */
static apr_status_t clock_was_put_back(hb_op_t *op, const hb_job_t *job)
{
    const hb_edit_t edits[] = {
        { "dueAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_page_t page;
    apr_status_t rv = waiting(&page, op, job);
    int i;

    for (i = 0; i < page.n_items && rv == APR_SUCCESS; i++) {
        if (hb_time_from_msec(hb_json_int(page.items[i], "dueAt", 0)) > op->now + AHEAD) {
            rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS,
                                 hb_json_string(page.items[i], "_id"), NULL, 0, edits, 1);
        }
    }
    return rv;
}

/* Of somebody by a clock that was ahead. Who is alive renews it before it ends. */
static apr_interval_time_t lease_is_over_long(const hb_op_t *op, const hb_json_t *record)
{
    apr_time_t until = hb_time_from_msec(hb_json_int(record, "leaseUntil", 0));
    apr_interval_time_t over = until - op->now - op->site->settings->job_lease;

    return over > AHEAD ? over : 0;
}

static apr_status_t cut_lease(hb_op_t *op, const hb_json_t *record)
{
    const apr_int64_t until = hb_time_to_msec(op->now + op->site->settings->job_lease);
    const hb_cond_t guards[] = {
        { "fence", HB_IS, HB_INT(hb_json_int(record, "fence", 0)) },
    };
    const hb_edit_t of_job[] = { { "leaseUntil", HB_SET, HB_INT(until) } };
    const hb_edit_t of_run[] = { { "dueAt", HB_SET, HB_INT(until) } };
    apr_status_t rv = hb_store_change(NULL, NULL, op, HB_C_JOBS, hb_json_string(record, "_id"),
                                      guards, 1, of_job, 1);

    if (rv == APR_SUCCESS && hb_json_string(record, "runId") != NULL) {
        rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS, hb_json_string(record, "runId"), guards,
                             1, of_run, 1);
        /* Without its run the lease holds nothing, and others may plan. */
        rv = rv == HB_E_STORE_MISSING || rv == HB_E_STORE_GUARD ? APR_SUCCESS : rv;
    }
    return rv;
}

/* Earlier occurrences that still wait (for another try) have no part left to play. */
static apr_status_t supersede(hb_op_t *op, const hb_job_t *job)
{
    const hb_edit_t edits[] = {
        { "state", HB_SET, HB_STR("skipped") },
        { "dueAt", HB_UNSET, HB_NIL },
        { "note", HB_SET, HB_STR("a later one took its place") },
    };
    hb_page_t page;
    apr_status_t rv = waiting(&page, op, job);
    int i;

    for (i = 0; i < page.n_items && rv == APR_SUCCESS; i++) {
        if (!hb_json_bool(page.items[i], "isManual", 0)) {
            rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS,
                                 hb_json_string(page.items[i], "_id"), NULL, 0, edits, 3);
        }
    }
    return rv;
}

static void find_due(plan_t *plan, apr_time_t after, apr_time_t now)
{
    const hb_cron_t *cron = &plan->schedule->cron;
    const hb_zone_t *zone = plan->schedule->zone;

    switch (plan->job->catch_up) {
    case HB_JOB_EACH:
        plan->n = hb_cron_find(plan->due, EACH_MAX, cron, zone, after, now);
        plan->is_cut = plan->n == EACH_MAX;
        break;
    case HB_JOB_SKIP:
        plan->n = hb_cron_last(plan->due, cron, zone,
                               after > now - SKIP_SLACK ? after : now - SKIP_SLACK, now);
        break;
    default:
        plan->n = hb_cron_last(plan->due, cron, zone, after, now);
        break;
    }
    /* The last of them again: another may be due at the same moment. */
    plan->until = plan->is_cut ? plan->due[plan->n - 1].at - 1000 : now;
}

static apr_time_t late_by(hb_op_t *op, int jitter_sec)
{
    apr_uint32_t n = 0;

    if (jitter_sec == 0
        || op->site->random(op->site->baton, (unsigned char *)&n, sizeof(n)) != APR_SUCCESS) {
        return 0;
    }
    return apr_time_from_msec(n % (jitter_sec * 1000u));
}

static apr_status_t add_runs(hb_op_t *op, plan_t *plan)
{
    apr_status_t rv = APR_SUCCESS;
    hb_json_t *there;
    int i;

    if (plan->n > 0 && plan->job->catch_up != HB_JOB_EACH) {
        rv = supersede(op, plan->job);
    }
    for (i = 0; i < plan->n && rv == APR_SUCCESS; i++) {
        const hb_due_t *due = &plan->due[i];
        const char *occurrence = hb_job_occurrence(plan->job, plan->schedule, due, op->pool);

        rv = hb_job_run_of(&there, op, occurrence);
        if (rv == HB_E_STORE_MISSING) {
            rv = hb_job_run_add(NULL, op, plan->job, plan->schedule, due, occurrence,
                                due->at + late_by(op, plan->job->jitter_sec), 0);
        }
    }
    return rv;
}

static apr_status_t plan_tx(hb_op_t *op, void *baton)
{
    plan_t *plan = baton;
    hb_json_t *record;
    apr_int64_t planned_to;
    apr_status_t rv = hb_job_record(&record, op, plan->job->name);

    plan->is_paused = plan->is_cut = plan->n = 0;
    plan->back = plan->over = 0;
    if (rv == HB_E_STORE_MISSING) {
        return hb_job_record_make(&record, op, plan->job->name);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    plan->over = lease_is_over_long(op, record);
    if (plan->over > 0) {
        rv = cut_lease(op, record);
    }
    plan->is_paused = hb_json_bool(record, "isPaused", 0);
    if (plan->is_paused || rv != APR_SUCCESS) {
        return rv;
    }
    planned_to = hb_json_int(record, "plannedTo", 0);
    plan->until = op->now;
    if (hb_time_from_msec(planned_to) > op->now + AHEAD) {
        plan->back = hb_time_from_msec(planned_to) - op->now;
        rv = clock_was_put_back(op, plan->job);
    }
    else {
        find_due(plan, hb_time_from_msec(planned_to), op->now);
        if (plan->n == 0) {
            return APR_SUCCESS;
        }
        rv = add_runs(op, plan);
    }
    if (rv == APR_SUCCESS) {
        const hb_cond_t guards[] = { { "plannedTo", HB_IS, HB_INT(planned_to) } };
        const hb_edit_t edits[] = {
            { "plannedTo", HB_SET, HB_INT(hb_time_to_msec(plan->until)) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_JOBS, hb_json_string(record, "_id"), guards, 1,
                             edits, 1);
    }
    return rv;
}

/* Most looks find nothing due: those open no transaction, which would keep writers waiting. */
static int is_idle(hb_op_t *op, const plan_t *plan)
{
    hb_json_t *record;
    apr_time_t planned_to;
    hb_due_t due;

    if (hb_job_record(&record, op, plan->job->name) != APR_SUCCESS) {
        hb_op_recover(op);
        return 0;
    }
    planned_to = hb_time_from_msec(hb_json_int(record, "plannedTo", 0));
    return !hb_json_bool(record, "isPaused", 0) && planned_to <= op->now + AHEAD
        && lease_is_over_long(op, record) == 0
        && hb_cron_find(&due, 1, &plan->schedule->cron, plan->schedule->zone, planned_to,
                        op->now) == 0;
}

apr_status_t hb_job_plan(apr_time_t *next, hb_op_t *op, const hb_job_t *job,
                         const hb_job_schedule_t *schedule)
{
    plan_t *plan = apr_pcalloc(op->pool, sizeof(*plan));
    apr_status_t rv = APR_SUCCESS;
    hb_due_t due;

    plan->job = job;
    plan->schedule = schedule;
    if (!is_idle(op, plan)) {
        rv = hb_store_transact(op, plan_tx, plan);
    }
    if (rv == HB_E_STORE_DUPLICATE || rv == HB_E_STORE_GUARD) {
        hb_op_recover(op);      /* another host did it at the same time */
        rv = APR_SUCCESS;
        plan->n = plan->is_cut = 0;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (plan->back > 0) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00495) "the clock is %" APR_TIME_T_FMT " s behind what job "
               "%s was planned to; what ran ahead of time is not run again",
               apr_time_sec(plan->back), job->name);
    }
    if (plan->over > 0) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00525) "the lease of job %s was %" APR_TIME_T_FMT " s longer "
               "than any: it is cut, so that the job does not wait for a clock that was ahead",
               plan->job->name, apr_time_sec(plan->over));
    }
    *next = op->now;
    if (plan->is_paused) {
        *next += PAUSED_LOOK;
    }
    else if (!plan->is_cut) {
        *next = hb_cron_find(&due, 1, &schedule->cron, schedule->zone, op->now, APR_INT64_MAX)
            ? due.at : APR_INT64_MAX;
    }
    return APR_SUCCESS;
}
