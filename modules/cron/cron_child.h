/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron_child.h
 * The processes that do runs: this same program, started anew for each. So a run that hangs can be
 * killed, one that leaks takes its memory along, and no connection or thread of a driver is
 * carried over a fork.
 */
#ifndef CRON_CHILD_H
#define CRON_CHILD_H

#include <sys/types.h>

#include "cron_site.h"
#include "hb_job_run.h"

#define CRON_ID_BYTES 32

typedef struct cron_child_t {
    pid_t pid;                  /* 0: none */
    hb_job_claim_t claim;       /* run_id is the one below */
    char run_id[CRON_ID_BYTES];
    apr_time_t started_at, renew_at;    /* monotonic */
    const char *killed_for;     /* NULL while it was not */
} cron_child_t;

/** Exit status of a process that wrote down how its run ended. */
#define CRON_WRITTEN 0
#define CRON_UNWRITTEN 3

/** Start one for a claim. @return 0, or -1 with errno */
int cron_child_start(cron_child_t *child, const hb_job_claim_t *claim, const char *settings_path,
                     hb_level_e level);

/** Kill it; the reason is a literal, for the record of the run. */
void cron_child_kill(cron_child_t *child, const char *why);

/** Has it ended? Then *status is wait()'s. Does not wait. */
int cron_child_has_ended(cron_child_t *child, int *status);

/** What became of a process that wrote nothing down. */
const char *cron_child_end(const cron_child_t *child, int status, apr_pool_t *pool);

/** In the process: die with who started it, and do the run. Gives the exit status. */
int cron_child_run(const cron_site_t *cron, const char *job, const char *run_id,
                   apr_int64_t fence, apr_pool_t *pool);

#endif /* CRON_CHILD_H */
