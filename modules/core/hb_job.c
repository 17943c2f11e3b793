/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs, and what their functions may call. */
#include "hb_job.h"

#include <stdarg.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_job_private.h"

static const hb_job_t jobs[] = {
#define HB_JOB(name, schedule, zone, jitter, needs, limit, catch_up, function, sentence) \
    { name, schedule, zone, jitter, needs, limit, HB_JOB_##catch_up, function, sentence },
#include "hb_job.def"
#undef HB_JOB
    { NULL, NULL, NULL, 0, 0, 0, HB_JOB_ONCE, NULL, NULL }
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

apr_status_t hb_job_alive(hb_op_t *op, const hb_job_run_t *run, apr_int64_t done,
                          apr_int64_t total)
{
    (void)op;
    (void)run;
    (void)done;
    (void)total;
    return APR_SUCCESS;
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

const char *hb_job_said(const hb_job_run_t *run)
{
    return run->lease != NULL ? run->lease->note : "";
}
