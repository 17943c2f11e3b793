/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs, and what their functions may call. */
#include "hb_job.h"

#include <stdarg.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_job_private.h"

static const hb_job_t jobs[] = {
#define HB_JOB(name, schedule, zone, jitter, needs, limit, catch_up, function, sentence) \
    { name, schedule, zone, jitter, needs, limit, HB_JOB_##catch_up, function, sentence, \
      HB_M_##function##_done, HB_M_##function##_failed, HB_M_##function##_msec, \
      HB_M_##function##_success },
#include "hb_job.def"
#undef HB_JOB
    { .name = NULL }
};

const hb_job_t *hb_jobs(void)
{
    return jobs;
}

const hb_job_t *hb_job_named(const char *name)
{
    const hb_job_t *job;

    for (job = jobs; job->name != NULL; job++) {
        if (strcmp(job->name, name) == 0) {
            return job;
        }
    }
    return NULL;
}

/*
 * Renews a lease six times while it lasts. The op's clock goes on with the site's, so that a run of
 * an hour does not write its last records with the time of its start.
 */
apr_status_t hb_job_alive(hb_op_t *op, const hb_job_run_t *run, apr_int64_t done,
                          apr_int64_t total)
{
    hb_job_lease_t *lease = run->lease;
    apr_pool_t *whole = op->pool, *step;
    apr_time_t now;
    apr_status_t rv;

    if (lease == NULL || op->tx != NULL) {
        return APR_SUCCESS;
    }
    now = op->site->clock(op->site->baton);
    if (now > lease->seen_at) {
        op->now += now - lease->seen_at;
    }
    lease->seen_at = now;
    if (now >= lease->renewed_at
        && now - lease->renewed_at < op->site->settings->job_lease / 6) {
        return APR_SUCCESS;
    }
    lease->renewed_at = now;
    apr_pool_create(&step, whole);
    op->pool = step;
    rv = hb_job_keep(op, &lease->claim, done, total);
    op->pool = whole;
    if (rv == APR_SUCCESS) {
        apr_pool_destroy(step);     /* else the problem is told in it */
    }
    return rv;
}

void hb_job_say(const hb_job_run_t *run, const char *fmt, ...)
{
    va_list args;

    if (run->lease != NULL) {
        va_start(args, fmt);
        apr_vsnprintf(run->lease->note, sizeof(run->lease->note), fmt, args);
        va_end(args);
    }
}
