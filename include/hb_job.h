/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_job.h
 * Jobs: what one is, for those who write one. The table is hb_job.def; when they run is
 * hb_cron.h's, that each occurrence runs once hb_job_run.h's, the process they run in
 * halobuzz-crond.
 */
#ifndef HB_JOB_H
#define HB_JOB_H

#include "hb_metrics.h"
#include "hb_op.h"
#include "hb_zone.h"

struct hb_job_lease_t;

/** One occurrence of a job, as its function sees it. */
typedef struct hb_job_run_t {
    const char *name;           /* "og-bonus" */
    const char *occurrence;     /* "og-bonus:2026-10-04"; with a time for jobs of every few minutes.
                                 * The same again when a run that failed is repeated: a key
                                 * for what may happen once */
    apr_int64_t planned_at;     /* when it was due; milliseconds UTC */
    const char *date;           /* the local date it is due on, YYYY-MM-DD */
    apr_time_t day_begins;      /* the first moment of that date */
    const hb_zone_t *zone;      /* of date; hb_zone_name() tells */
    struct hb_job_lease_t *lease;   /* hb_job_run.c's; NULL in a test of the function alone */
} hb_job_run_t;

/**
 * Does one occurrence. The op's actor is the system, its clock the present. It may be killed at
 * any line and is then run again with the same occurrence: what it did stays done, what it does
 * twice has one effect. Calls hb_job_alive() between steps and returns what that returns when it
 * fails. Any other failure is logged, kept, and the run is tried again later.
 */
typedef apr_status_t hb_job_fn(hb_op_t *op, const hb_job_run_t *run);

/**
 * Between steps, as often as convenient: keeps the run ours, and its progress for people.
 * Moves op->now on. Does nothing inside hb_store_transact.
 * @param total  0 when unknown
 * @return HB_E_JOB_LOST when somebody else has it now: return at once. May wait for the store.
 */
apr_status_t hb_job_alive(hb_op_t *op, const hb_job_run_t *run, apr_int64_t done,
                          apr_int64_t total);

/** What came of it, one sentence for the history. The last one counts. Does not wait. */
void hb_job_say(const hb_job_run_t *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* --- the table --- */

/** Needs: see hb_job.def. */
#define HB_JOB_PAY  1u          /* a payment provider is configured */
#define HB_JOB_SITE_DAY 4u     /* HaloBuzzBonusDay is site */
#define HB_JOB_USER_DAY 8u     /* HaloBuzzBonusDay is user */
#define HB_JOB_SMTP 2u          /* HaloBuzzSMTP is set */

typedef enum hb_job_catch_up_e { HB_JOB_ONCE, HB_JOB_EACH, HB_JOB_SKIP } hb_job_catch_up_e;

typedef struct hb_job_t {
    const char *name;
    const char *schedule;
    const char *zone;           /* NULL: the site's */
    int jitter_sec;
    unsigned int needs;
    int limit_sec;
    hb_job_catch_up_e catch_up;
    hb_job_fn *run;
    const char *sentence;
    hb_metric_e m_done, m_failed, m_msec, m_success;
} hb_job_t;

/** All rows; ends where name is NULL. */
const hb_job_t *hb_jobs(void);

/** The row of a name, or NULL. */
const hb_job_t *hb_job_named(const char *name);

#endif /* HB_JOB_H */
