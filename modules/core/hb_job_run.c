/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running: leases, and how a run ends. The lease is the job's, so that of one job one run
 * is under way; its number is in the run as well, and every change of either is guarded by
 * it.
 */
#include "hb_job_private.h"

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_notice.h"
#include "hb_store.h"
#include "hb_time.h"

#define DUE_PAGE 50

/* A try that failed is followed by another after 5 s, 20 s, 80 s ... at most half an hour. Of jobs
 * that catch up on each occurrence none is given up within a day of failures. */
#define BACKOFF_SEC 5
#define BACKOFF_MAX_SEC 1800
#define TRIES_MAX 8
#define TRIES_EACH_MAX 60

/* History: at least so many runs of a job, and all of so many days, which is also how far
 * back a clock may be put without anything being run again. Looked at each PRUNE_EVERY
 * runs. */
#define HISTORY_RUNS 100
#define HISTORY_DAYS 7
#define PRUNE_EVERY 50

static apr_time_t now_of(const hb_site_t *site)
{
    return site->clock(site->baton);
}

static apr_status_t lost(hb_op_t *op, const hb_job_claim_t *claim, apr_status_t rv)
{
    if (rv != HB_E_STORE_GUARD && rv != HB_E_STORE_MISSING) {
        return rv;
    }
    hb_op_recover(op);
    return hb_fail(op, HB_E_JOB_LOST, "run %s of job %s is no longer ours", claim->run_id,
                   claim->job->name);
}

/* Edits of the job's record and the run's, if both still have our number. */
typedef struct change_t {
    const hb_job_claim_t *claim;
    const hb_edit_t *of_job;
    int n_of_job;
    const hb_edit_t *of_run;
    int n_of_run;
    const char *error;          /* of a try that failed; NULL else */
} change_t;

/* The first failure in a row; the rest is known by then, and in the history. */
static apr_status_t tell_team(hb_op_t *op, const change_t *change, const hb_json_t *job)
{
    hb_json_t *values, *run;
    apr_status_t rv;

    if (change->error == NULL || hb_json_int(job, "failures", 0) > 0) {
        return APR_SUCCESS;
    }
    rv = hb_store_get(&run, op, HB_C_JOB_RUNS, change->claim->run_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    values = hb_json_object_make(op->pool);
    hb_json_set_string(values, "job", change->claim->job->sentence);
    hb_json_set_string(values, "occurrence", hb_json_string(run, "occurrence"));
    hb_json_set_string(values, "error", change->error);
    return hb_notice_team(op, HB_N_JOB_FAILED, values);
}

static apr_status_t change_tx(hb_op_t *op, void *baton)
{
    const change_t *change = baton;
    const hb_cond_t guards[] = {
        { "fence", HB_IS, HB_INT(change->claim->fence) },
        { "state", HB_IS, HB_STR("running") },
    };
    hb_json_t *job;
    apr_status_t rv = hb_job_record(&job, op, change->claim->job->name);

    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_JOBS, hb_json_string(job, "_id"), guards, 1,
                             change->of_job, change->n_of_job);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS, change->claim->run_id, guards, 2,
                             change->of_run, change->n_of_run);
    }
    return rv == APR_SUCCESS ? tell_team(op, change, job) : rv;
}

/* --- leases --- */

apr_status_t hb_job_keep(hb_op_t *op, const hb_job_claim_t *claim, apr_int64_t done,
                         apr_int64_t total)
{
    apr_int64_t until = hb_time_to_msec(now_of(op->site) + op->site->settings->job_lease);
    const hb_edit_t of_job[] = { { "leaseUntil", HB_SET, HB_INT(until) } };
    const hb_edit_t of_run[] = {
        { "dueAt", HB_SET, HB_INT(until) },
        { "done", HB_SET, HB_INT(done) },
        { "total", HB_SET, HB_INT(total) },
    };
    change_t change = { claim, of_job, 1, of_run, done >= 0 ? 3 : 1, NULL };

    return lost(op, claim, hb_store_transact(op, change_tx, &change));
}

apr_status_t hb_job_renew(hb_op_t *op, const hb_job_claim_t *claim)
{
    return hb_job_keep(op, claim, -1, 0);
}

typedef struct take_t {
    hb_job_claim_t *claim;
    const char *owner;
    const char *run_id;
    const char *was_owner;      /* of a run that is taken over */
    apr_int64_t tries;
} take_t;

/* May the run be ours now? HB_E_STORE_GUARD when not, HB_E_JOB_STATE when none of the job may. */
static apr_status_t look(hb_json_t **job, hb_json_t **run, hb_op_t *op, const take_t *take)
{
    const char *state;
    apr_status_t rv = hb_store_get(run, op, HB_C_JOB_RUNS, take->run_id);

    if (rv == APR_SUCCESS) {
        rv = hb_job_record(job, op, take->claim->job->name);
    }
    if (rv != APR_SUCCESS) {
        return rv == HB_E_STORE_MISSING ? HB_E_STORE_GUARD : rv;
    }
    state = hb_json_string(*run, "state");
    if (hb_json_int(*job, "leaseUntil", 0) > hb_time_to_msec(now_of(op->site))) {
        return HB_E_JOB_STATE;
    }
    if (hb_json_int(*run, "dueAt", APR_INT64_MAX) > hb_time_to_msec(op->now)
        || (strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0)
        || (hb_json_bool(*job, "isPaused", 0) && !hb_json_bool(*run, "isManual", 0))) {
        return HB_E_STORE_GUARD;
    }
    return APR_SUCCESS;
}

/* Leases go by the site's clock: the op may play another day (halobuzz-crond --once --at). */
static apr_status_t take_tx(hb_op_t *op, void *baton)
{
    take_t *take = baton;
    hb_json_t *job, *run;
    apr_status_t rv = look(&job, &run, op, take);
    apr_int64_t until = hb_time_to_msec(now_of(op->site) + op->site->settings->job_lease);
    apr_int64_t fence;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    fence = hb_json_int(job, "fence", 0) + 1;
    take->was_owner = strcmp(hb_json_string(run, "state"), "running") == 0
        ? hb_json_string(run, "owner") : NULL;
    take->tries = hb_json_int(run, "tries", 0) + 1;
    take->claim->fence = fence;
    take->claim->run_id = take->run_id;
    {
        const hb_cond_t guards[] = { { "fence", HB_IS, HB_INT(fence - 1) } };
        const hb_edit_t of_job[] = {
            { "fence", HB_SET, HB_INT(fence) },
            { "runId", HB_SET, HB_STR(take->run_id) },
            { "owner", HB_SET, HB_STR(take->owner) },
            { "leaseUntil", HB_SET, HB_INT(until) },
        };
        const hb_edit_t of_run[] = {
            { "state", HB_SET, HB_STR("running") },
            { "fence", HB_SET, HB_INT(fence) },
            { "owner", HB_SET, HB_STR(take->owner) },
            { "dueAt", HB_SET, HB_INT(until) },
            { "startedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
            { "tries", HB_SET, HB_INT(take->tries) },
        };

        rv = hb_store_change(NULL, NULL, op, HB_C_JOBS, hb_json_string(job, "_id"), guards, 1,
                             of_job, 4);
        if (rv == APR_SUCCESS) {
            rv = hb_store_change(NULL, NULL, op, HB_C_JOB_RUNS, take->run_id, NULL, 0, of_run,
                                 6);
        }
    }
    return rv;
}

static int tries_max(const hb_job_t *job)
{
    return job->catch_up == HB_JOB_EACH ? TRIES_EACH_MAX : TRIES_MAX;
}

/* As look(). */
static apr_status_t take(hb_job_claim_t *claim, hb_op_t *op, const hb_json_t *run,
                         const char *owner)
{
    take_t take = { claim, owner, hb_json_string(run, "_id"), NULL, 0 };
    hb_job_schedule_t schedule;
    apr_status_t rv;

    claim->job = hb_job_named(hb_json_string(run, "job"));
    /* A newer version on another host may know jobs that this one does not. */
    if (claim->job == NULL
        || hb_job_schedule(&schedule, op->site->settings, claim->job, op->pool) != NULL
        || hb_job_is_off(op->site, claim->job, &schedule) != NULL) {
        return HB_E_JOB_STATE;
    }
    rv = hb_store_transact(op, take_tx, &take);
    if (rv == APR_SUCCESS && take.was_owner != NULL) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00496) "run %s is taken over from %s, who was not heard of "
               "for a lease", hb_json_string(run, "occurrence"), take.was_owner);
        if (take.tries > tries_max(claim->job)) {
            rv = hb_job_failed(op, claim, "whoever did it ended without a word, each time");
            rv = rv == APR_SUCCESS ? HB_E_STORE_GUARD : rv;
        }
    }
    return rv;
}

/* What of a page can be ours. Of a job that is refused for itself (it runs, or is off here) no
 * other run is looked at: a hundred may wait behind the one that runs.
 * @return HB_E_STORE_MISSING when there is none */
static apr_status_t take_one(hb_job_claim_t *claim, hb_op_t *op, const hb_page_t *page,
                             const char *owner, apr_hash_t *refused)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page->n_items; i++) {
        const char *name = hb_json_string(page->items[i], "job");

        if (apr_hash_get(refused, name, APR_HASH_KEY_STRING) != NULL) {
            continue;
        }
        rv = take(claim, op, page->items[i], owner);
        if (rv == APR_SUCCESS) {
            return rv;
        }
        if (rv == HB_E_STORE_GUARD || rv == HB_E_JOB_LOST || rv == HB_E_JOB_STATE) {
            hb_op_recover(op);
            if (rv == HB_E_JOB_STATE) {
                apr_hash_set(refused, name, APR_HASH_KEY_STRING, name);
            }
            rv = APR_SUCCESS;
        }
    }
    return rv == APR_SUCCESS ? HB_E_STORE_MISSING : rv;
}

apr_status_t hb_job_claim(hb_job_claim_t *claim, hb_op_t *op, const char *owner,
                          const char *only)
{
    const hb_cond_t where[] = {
        { "dueAt", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t query = { .in = HB_C_JOB_RUNS, .where = where, .n_where = 1,
                         .sort = { { "dueAt", 0 } }, .limit = DUE_PAGE };
    apr_hash_t *refused = apr_hash_make(op->pool);
    hb_json_t *one[1];
    hb_page_t page = { one, 1, NULL };
    apr_status_t rv;

    if (only != NULL) {
        rv = hb_store_get(&one[0], op, HB_C_JOB_RUNS, only);
        return rv == APR_SUCCESS ? take_one(claim, op, &page, owner, refused) : rv;
    }
    do {
        rv = hb_store_find(&page, op, &query);
        if (rv == APR_SUCCESS) {
            rv = take_one(claim, op, &page, owner, refused);
        }
        query.after = page.next;
    } while (rv == HB_E_STORE_MISSING && query.after != NULL);
    return rv;
}

/* --- the end of a run --- */

typedef struct end_t {
    const char *state;          /* of the try: done, failed */
    const char *note, *error;   /* may be NULL */
    apr_int64_t msec;
    apr_int64_t tries;
} end_t;

static const char *cut(const char *text, apr_pool_t *pool)
{
    return text != NULL ? hb_utf8_cut(pool, text, HB_JOB_NOTE_MAX) : NULL;
}

static int backoff_sec(apr_int64_t tries)
{
    int sec = BACKOFF_SEC;

    while (--tries > 0 && sec < BACKOFF_MAX_SEC) {
        sec *= 4;
    }
    return sec < BACKOFF_MAX_SEC ? sec : BACKOFF_MAX_SEC;
}

static apr_status_t end(hb_op_t *op, const hb_job_claim_t *claim, const end_t *how)
{
    apr_time_t now = now_of(op->site);
    int is_done = strcmp(how->state, "done") == 0;
    int is_over = is_done || how->tries >= tries_max(claim->job);
    int delay_sec = backoff_sec(how->tries);
    const hb_edit_t of_job[] = {
        { "leaseUntil", HB_UNSET, HB_NIL },
        { "owner", HB_UNSET, HB_NIL },
        { "runId", HB_UNSET, HB_NIL },
        { "lastState", HB_SET, HB_STR(how->state) },
        { "lastEndedAt", HB_SET, HB_INT(hb_time_to_msec(now)) },
        { "lastMsec", HB_SET, HB_INT(how->msec) },
        { "failures", is_done ? HB_SET : HB_INC, HB_INT(is_done ? 0 : 1) },
        { is_done ? "lastSuccessAt" : "lastError", HB_SET, HB_STR(how->error) },
    };
    const hb_edit_t of_run[] = {
        { "state", HB_SET, HB_STR(is_over ? how->state : "waiting") },
        { "endedAt", HB_SET, HB_INT(hb_time_to_msec(now)) },
        { "msec", HB_SET, HB_INT(how->msec) },
        { "note", how->note != NULL ? HB_SET : HB_UNSET, HB_STR(how->note) },
        { "error", how->error != NULL ? HB_SET : HB_UNSET, HB_STR(how->error) },
        { "dueAt", is_over ? HB_UNSET : HB_SET,
          HB_INT(hb_time_to_msec(now + apr_time_from_sec(delay_sec))) },
    };
    hb_edit_t job_edits[8];
    change_t change = { claim, job_edits, 8, of_run, 6, how->error };
    apr_status_t rv;

    memcpy(job_edits, of_job, sizeof(job_edits));
    if (is_done) {
        job_edits[7].value = (hb_value_t)HB_INT(hb_time_to_msec(now));
    }
    rv = lost(op, claim, hb_store_transact(op, change_tx, &change));
    if (rv == APR_SUCCESS && !is_done) {
        const char *then = is_over ? "it is given up" : apr_psprintf(op->pool, "it is tried again in "
                                                                     "%d s", delay_sec);

        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00497) "job %s failed: %s; %s", claim->job->name,
               how->error, then);
    }
    if (rv == APR_SUCCESS) {
        hb_metrics_t *metrics = op->site->metrics;

        hb_metric_add(metrics, is_done ? claim->job->m_done : claim->job->m_failed, 1);
        hb_metric_set(metrics, claim->job->m_msec, how->msec);
        if (is_done) {
            hb_metric_set(metrics, claim->job->m_success, apr_time_sec(now));
        }
    }
    return rv;
}

/* Old runs go, a page at a time; what fails here is done at the next occasion. */
static void prune(hb_op_t *op, const hb_job_claim_t *claim)
{
    const hb_cond_t of_job[] = { { "job", HB_IS, HB_STR(claim->job->name) } };
    const hb_query_t newest = { .in = HB_C_JOB_RUNS, .where = of_job, .n_where = 1,
                                .sort = { { "plannedAt", 1 } }, .limit = HISTORY_RUNS };
    apr_time_t oldest = now_of(op->site) - apr_time_from_sec(HISTORY_DAYS * 86400);
    apr_int64_t before = hb_time_to_msec(oldest);
    hb_page_t page;

    if (claim->fence % PRUNE_EVERY != 0 || hb_store_find(&page, op, &newest) != APR_SUCCESS
        || page.n_items < HISTORY_RUNS) {
        hb_op_recover(op);
        return;
    }
    if (hb_json_int(page.items[HISTORY_RUNS - 1], "plannedAt", 0) < before) {
        before = hb_json_int(page.items[HISTORY_RUNS - 1], "plannedAt", 0);
    }
    {
        const hb_cond_t where[] = {
            { "job", HB_IS, HB_STR(claim->job->name) },
            { "plannedAt", HB_BELOW, HB_INT(before) },
            { "dueAt", HB_IS, HB_NIL },     /* over: what is caught up on late is no history yet */
        };
        const hb_query_t old = { .in = HB_C_JOB_RUNS, .where = where, .n_where = 3,
                                 .limit = 1000 };

        if (hb_store_remove_all(NULL, op, &old) != APR_SUCCESS) {
            hb_op_recover(op);
        }
    }
}

static apr_status_t run_read(hb_job_run_t *run, apr_int64_t *tries, hb_op_t *op,
                             const hb_job_claim_t *claim)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_JOB_RUNS, claim->run_id);

    if (rv != APR_SUCCESS) {
        return lost(op, claim, rv);
    }
    if (hb_json_int(doc, "fence", 0) != claim->fence
        || strcmp(hb_json_string(doc, "state"), "running") != 0) {
        return lost(op, claim, HB_E_STORE_GUARD);
    }
    run->name = claim->job->name;
    run->occurrence = hb_json_string(doc, "occurrence");
    run->planned_at = hb_json_int(doc, "plannedAt", 0);
    run->date = hb_json_string(doc, "date");
    *tries = hb_json_int(doc, "tries", 1);
    rv = hb_zone_load(&run->zone, hb_json_string(doc, "zone"), op->pool);
    if (rv == APR_SUCCESS && !hb_zone_day_begins(&run->day_begins, run->zone, run->date)) {
        rv = HB_E_STORE_DAMAGED;
    }
    return rv;
}

apr_status_t hb_job_do(hb_op_t *op, const hb_job_claim_t *claim)
{
    hb_job_lease_t *lease = apr_pcalloc(op->pool, sizeof(*lease));
    hb_job_run_t run = { .lease = lease };
    end_t how = { "done", NULL, NULL, 0, 0 };
    apr_time_t began = now_of(op->site);
    apr_status_t rv = run_read(&run, &how.tries, op, claim), ended;
    char space[200];

    if (rv == HB_E_JOB_LOST) {
        return rv;
    }
    lease->claim = *claim;
    lease->seen_at = lease->renewed_at = began;
    if (rv == APR_SUCCESS) {
        op->actor.is_system = 1;
        op->site->is_background = 1;
        rv = claim->job->run(op, &run);
    }
    if (rv == HB_E_JOB_LOST) {
        return rv;
    }
    how.note = *lease->note != '\0' ? cut(lease->note, op->pool) : NULL;
    how.msec = (now_of(op->site) - began) / 1000;
    if (rv != APR_SUCCESS) {
        how.state = "failed";
        how.error = cut(op->problem.detail != NULL ? op->problem.detail
                        : hb_strerror(rv, space, sizeof(space)), op->pool);
        hb_op_recover(op);
    }
    ended = end(op, claim, &how);
    if (ended == APR_SUCCESS && rv == APR_SUCCESS) {
        prune(op, claim);
    }
    return ended != APR_SUCCESS ? ended : rv;
}

apr_status_t hb_job_failed(hb_op_t *op, const hb_job_claim_t *claim, const char *why)
{
    hb_json_t *doc;
    end_t how = { "failed", NULL, cut(why, op->pool), 0, 1 };
    apr_status_t rv = hb_store_get(&doc, op, HB_C_JOB_RUNS, claim->run_id);

    if (rv == APR_SUCCESS) {
        how.tries = hb_json_int(doc, "tries", 1);
        how.msec = hb_time_to_msec(now_of(op->site)) - hb_json_int(doc, "startedAt", 0);
    }
    return rv == APR_SUCCESS ? end(op, claim, &how) : lost(op, claim, rv);
}

apr_status_t hb_job_give_back(hb_op_t *op, const hb_job_claim_t *claim)
{
    const hb_edit_t of_job[] = {
        { "leaseUntil", HB_UNSET, HB_NIL },
        { "owner", HB_UNSET, HB_NIL },
        { "runId", HB_UNSET, HB_NIL },
    };
    const hb_edit_t of_run[] = {
        { "state", HB_SET, HB_STR("waiting") },
        { "dueAt", HB_SET, HB_INT(hb_time_to_msec(now_of(op->site))) },
        { "tries", HB_INC, HB_INT(-1) },
    };
    change_t change = { claim, of_job, 3, of_run, 3, NULL };

    return lost(op, claim, hb_store_transact(op, change_tx, &change));
}
