/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs for the operator: how they stand, what they did, pausing them, running one now. */
#include "hb_job_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_store.h"
#include "hb_time.h"

/* How far back the last occurrence of a job may lie. */
#define LONG_AGO apr_time_from_sec(APR_INT64_C(5) * 366 * 86400)

/* More than hb_job.def ever has. */
#define JOBS_MAX 1000

static apr_status_t unknown(hb_op_t *op, const char *name)
{
    return hb_fail(op, HB_E_JOB_UNKNOWN, "there is no job %s", name);
}

/* --- the list --- */

static apr_status_t records(hb_page_t *page, hb_op_t *op)
{
    const hb_query_t query = { .in = HB_C_JOBS, .sort = { { "name", 0 } }, .limit = JOBS_MAX };

    return hb_store_find(page, op, &query);
}

static const hb_json_t *record_of(const hb_page_t *page, const char *name)
{
    int i;

    for (i = 0; i < page->n_items; i++) {
        if (strcmp(hb_json_string(page->items[i], "name"), name) == 0) {
            return page->items[i];
        }
    }
    return NULL;
}

static void set_time(hb_json_t *json, const char *key, const hb_json_t *record,
                     apr_pool_t *pool)
{
    apr_int64_t msec = hb_json_int(record, key, 0);

    if (msec > 0) {
        hb_json_set_string(json, key, hb_time_text(pool, hb_time_from_msec(msec)));
    }
    else {
        hb_json_set_null(json, key);
    }
}

static const char *state_of(const hb_json_t *record, const char *why, apr_time_t now)
{
    if (record != NULL && hb_json_int(record, "leaseUntil", 0) > hb_time_to_msec(now)) {
        return "running";
    }
    if (why != NULL) {
        return "off";
    }
    return hb_json_bool(record, "isPaused", 0) ? "paused" : "on";
}

static hb_json_t *view(hb_op_t *op, const hb_job_t *job, const hb_json_t *record)
{
    hb_json_t *json = hb_json_object_make(op->pool);
    hb_job_schedule_t schedule;
    const char *why = hb_job_schedule(&schedule, op->site->settings, job, op->pool), *state;
    int is_read = why == NULL;
    hb_due_t due;

    why = is_read ? hb_job_is_off(op->site, job, &schedule) : why;
    state = state_of(record, why, op->now);
    hb_json_set_string(json, "name", job->name);
    hb_json_set_string(json, "sentence", job->sentence);
    hb_json_set_string(json, "schedule", is_read ? schedule.text : job->schedule);
    hb_json_set_string(json, "zone", is_read ? hb_zone_name(schedule.zone) : NULL);
    hb_json_set_string(json, "state", state);
    hb_json_set_string(json, "why", why);
    if (why == NULL && strcmp(state, "paused") != 0
        && hb_cron_find(&due, 1, &schedule.cron, schedule.zone, op->now, APR_INT64_MAX)) {
        hb_json_set_string(json, "next", hb_time_text(op->pool, due.at));
        hb_json_set_string(json, "nextLocal", hb_zone_text(op->pool, schedule.zone, due.at));
    }
    else {
        hb_json_set_null(json, "next");
        hb_json_set_null(json, "nextLocal");
    }
    hb_json_set_string(json, "owner", hb_json_string(record, "owner"));
    hb_json_set_string(json, "lastState", hb_json_string(record, "lastState"));
    set_time(json, "lastEndedAt", record, op->pool);
    set_time(json, "lastSuccessAt", record, op->pool);
    hb_json_set_int(json, "lastMsec", hb_json_int(record, "lastMsec", 0));
    hb_json_set_string(json, "lastError", hb_json_string(record, "lastError"));
    hb_json_set_int(json, "failures", hb_json_int(record, "failures", 0));
    return json;
}

apr_status_t hb_job_list(hb_json_t **list, hb_op_t *op)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    const hb_job_t *job;
    hb_page_t page;
    apr_status_t rv = records(&page, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (job = hb_jobs(); job->name != NULL; job++) {
        hb_json_push(items, view(op, job, record_of(&page, job->name)));
    }
    *list = hb_json_object_make(op->pool);
    hb_json_set(*list, "items", items);
    return APR_SUCCESS;
}

apr_status_t hb_job_show(hb_json_t **shown, hb_op_t *op, const char *name)
{
    const hb_job_t *job = hb_job_named(name);
    hb_json_t *record = NULL;
    apr_status_t rv;

    if (job == NULL) {
        return unknown(op, name);
    }
    rv = hb_job_record(&record, op, name);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        rv = APR_SUCCESS;
    }
    *shown = rv == APR_SUCCESS ? view(op, job, record) : NULL;
    return rv;
}

apr_status_t hb_job_gauges(hb_op_t *op)
{
    hb_page_t page;
    apr_status_t rv = records(&page, op);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const hb_job_t *job = hb_job_named(hb_json_string(page.items[i], "name"));

        if (job != NULL) {
            hb_metric_set(op->site->metrics, job->m_success,
                          hb_json_int(page.items[i], "lastSuccessAt", 0) / 1000);
            hb_metric_set(op->site->metrics, job->m_msec,
                          hb_json_int(page.items[i], "lastMsec", 0));
        }
    }
    return rv;
}

/* --- runs --- */

apr_status_t hb_job_history(hb_json_t **list, hb_op_t *op, const char *name, int limit,
                            const char *after)
{
    const hb_cond_t where[] = { { "job", HB_IS, HB_STR(name) } };
    const hb_query_t query = { .in = HB_C_JOB_RUNS, .where = where, .n_where = 1,
                               .sort = { { "plannedAt", 1 } }, .limit = limit, .after = after };

    if (hb_job_named(name) == NULL) {
        return unknown(op, name);
    }
    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

apr_status_t hb_job_run_get(hb_json_t **view, hb_op_t *op, const char *run_id)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_JOB_RUNS, run_id);

    if (rv == APR_SUCCESS) {
        *view = hb_schema_view(op, HB_C_JOB_RUNS, doc, HB_ALL | HB_STAFF);
    }
    return rv;
}

/* --- pausing --- */

typedef struct pause_t {
    const char *name;
    int is_paused;
} pause_t;

static apr_status_t pause_tx(hb_op_t *op, void *baton)
{
    const pause_t *pause = baton;
    const hb_edit_t edits[] = {
        { "isPaused", HB_SET, HB_BOOL(pause->is_paused) },
        { "pausedAt", pause->is_paused ? HB_SET : HB_UNSET, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_json_t *record;
    apr_status_t rv = hb_job_record(&record, op, pause->name);

    if (rv == HB_E_STORE_MISSING) {
        rv = hb_job_record_make(&record, op, pause->name);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_JOBS, hb_json_string(record, "_id"), NULL, 0,
                             edits, 2);
    }
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, pause->is_paused ? "job.paused" : "job.resumed", pause->name, 1,
                       NULL) : rv;
}

apr_status_t hb_job_pause(hb_op_t *op, const char *name, int is_paused)
{
    pause_t pause = { name, is_paused };

    return hb_job_named(name) == NULL ? unknown(op, name)
        : hb_store_transact(op, pause_tx, &pause);
}

/* --- running one now --- */

typedef struct request_t {
    const hb_job_t *job;
    hb_job_schedule_t schedule;
    hb_due_t due;
    const char *run_id;
} request_t;

static apr_status_t request_tx(hb_op_t *op, void *baton)
{
    request_t *request = baton;
    const char *occurrence = hb_job_occurrence(request->job, &request->schedule, &request->due,
                                               op->pool);
    hb_json_t *run = NULL, *record;
    const char *state = "";
    apr_status_t rv = hb_job_record(&record, op, request->job->name);

    if (rv == HB_E_STORE_MISSING) {
        rv = hb_job_record_make(&record, op, request->job->name);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_job_run_of(&run, op, occurrence);
    }
    if (rv == APR_SUCCESS) {
        state = hb_json_string(run, "state");
    }
    else if (rv != HB_E_STORE_MISSING) {
        return rv;
    }
    if (strcmp(state, "running") == 0) {
        return hb_fail(op, HB_E_JOB_STATE, "%s runs just now", occurrence);
    }
    if (*state == '\0' || strcmp(state, "done") == 0) {
        if (*state != '\0') {
            occurrence = apr_pstrcat(op->pool, occurrence, "/", hb_id_make(op), NULL);
        }
        rv = hb_job_run_add(&request->run_id, op, request->job, &request->schedule,
                            &request->due, occurrence, op->now, 1);
    }
    else {
        const hb_edit_t edits[] = {
            { "state", HB_SET, HB_STR("waiting") },
            { "dueAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
            { "isManual", HB_SET, HB_BOOL(1) },
            { "tries", HB_SET, HB_INT(0) },
            { "error", HB_UNSET, HB_NIL },
        };

        request->run_id = hb_json_string(run, "_id");
        rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS, request->run_id, NULL, 0, edits, 5);
    }
    return rv == APR_SUCCESS ? hb_audit_add(op, NULL, "job.requested", occurrence, 1, NULL) : rv;
}

static int find_due(request_t *request, const char *date, apr_time_t now)
{
    const hb_zone_t *zone = request->schedule.zone;
    apr_time_t after = now - LONG_AGO, until = now;
    hb_local_t local;

    if (date != NULL) {
        if (!hb_zone_day_begins(&after, zone, date)) {
            return 0;
        }
        hb_zone_local(&local, zone, after);
        local.hour = 23;
        local.minute = local.second = 59;
        hb_zone_moment(NULL, &until, zone, &local);
        after--;
        until = until < now ? until : now;
    }
    return hb_cron_last(&request->due, &request->schedule.cron, zone, after, until);
}

apr_status_t hb_job_request(const char **run_id, hb_op_t *op, const char *name,
                            const char *date)
{
    request_t *request = apr_pcalloc(op->pool, sizeof(*request));
    const char *why;
    apr_status_t rv;

    request->job = hb_job_named(name);
    if (request->job == NULL) {
        return unknown(op, name);
    }
    why = hb_job_schedule(&request->schedule, op->site->settings, request->job, op->pool);
    why = why == NULL ? hb_job_is_off(op->site, request->job, &request->schedule) : why;
    if (why != NULL) {
        return hb_fail(op, HB_E_JOB_STATE, "%s cannot run: %s", name, why);
    }
    if (!find_due(request, date, op->now)) {
        return hb_fail(op, HB_E_JOB_STATE, "%s was not due on %s, or is not yet", name,
                       date != NULL ? date : "any day");
    }
    rv = hb_store_transact(op, request_tx, request);
    *run_id = request->run_id;
    return rv;
}
