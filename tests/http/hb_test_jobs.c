/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of jobs in place of the suite's, loaded in front of the library (LD_PRELOAD) by
 * test_cron.py: jobs that take long, hang and fail as files in the directory HB_TEST_JOBS say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_job.h"

#define STEPS 3

static const char *file(hb_op_t *op, const char *name)
{
    return apr_pstrcat(op->pool, getenv("HB_TEST_JOBS"), "/", name, NULL);
}

static void note(hb_op_t *op, const char *text)
{
    int fd = open(file(op, "notes"), O_WRONLY | O_CREAT | O_APPEND, 0666);

    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        abort();
    }
    close(fd);
}

/* What the file says, "" when there is none. */
static const char *told(hb_op_t *op, const char *name)
{
    char *text = apr_pcalloc(op->pool, 64);
    int fd = open(file(op, name), O_RDONLY);

    if (fd >= 0) {
        if (read(fd, text, 63) < 0) {
            abort();
        }
        close(fd);
    }
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* Three steps, each done once; the one that "hold" names never ends. */
static apr_status_t steps(hb_op_t *op, const hb_job_run_t *run)
{
    char *name;
    int step;

    for (step = 1; step <= STEPS; step++) {
        apr_status_t rv = hb_job_alive(op, run, step, STEPS);
        int fd;

        if (rv != APR_SUCCESS) {
            return rv;
        }
        note(op, apr_psprintf(op->pool, "at %d of %s %ld\n", step, run->occurrence,
                              (long)getpid()));
        while (atoi(told(op, "hold")) == step) {
            usleep(10000);
        }
        name = apr_psprintf(op->pool, "%s.%d", run->occurrence, step);
        while (strchr(name, '/') != NULL) {
            *strchr(name, '/') = '_';
        }
        fd = open(file(op, name), O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (fd >= 0) {
            note(op, apr_psprintf(op->pool, "did %d of %s\n", step, run->occurrence));
            close(fd);
        }
        else if (errno != EEXIST) {
            return errno;
        }
    }
    hb_job_say(run, "all %d", STEPS);
    return APR_SUCCESS;
}

static apr_status_t hang(hb_op_t *op, const hb_job_run_t *run)
{
    (void)run;
    note(op, apr_psprintf(op->pool, "hangs %ld\n", (long)getpid()));
    for (;;) {
        pause();
    }
    return APR_SUCCESS;
}

static apr_status_t fail(hb_op_t *op, const hb_job_run_t *run)
{
    (void)run;
    return hb_fail(op, HB_E_UPSTREAM, "the other side said no");
}

static const hb_job_t jobs[] = {
    { "steps", "0 0 * * *", NULL, 0, 0, 60, HB_JOB_EACH, steps, "takes steps",
      HB_M_hb_job_hold_expire_done, HB_M_hb_job_hold_expire_failed,
      HB_M_hb_job_hold_expire_msec, HB_M_hb_job_hold_expire_success },
    { "hang", "0 0 * * *", NULL, 0, 0, 1, HB_JOB_ONCE, hang, "hangs",
      HB_M_hb_job_order_expire_done, HB_M_hb_job_order_expire_failed,
      HB_M_hb_job_order_expire_msec, HB_M_hb_job_order_expire_success },
    { "fail", "0 0 * * *", NULL, 0, 0, 60, HB_JOB_ONCE, fail, "fails",
      HB_M_hb_job_og_bonus_done, HB_M_hb_job_og_bonus_failed,
      HB_M_hb_job_og_bonus_msec, HB_M_hb_job_og_bonus_success },
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
