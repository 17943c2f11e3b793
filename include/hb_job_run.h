/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_job_run.h
 * When jobs run, and that each occurrence runs once over all hosts. For halobuzz-crond and
 * the operator; who writes a job needs hb_job.h only.
 *
 * Records: HB_C_JOBS has one of each job: up to when it is planned, and the lease of who
 * runs it. A lease has a number, one higher each time; everything a run writes about itself
 * is guarded by it, so a process that was taken for dead and is not can change nothing.
 * HB_C_JOB_RUNS has one of each occurrence, by a unique index. Planning makes those that
 * are due, and moves on, in one transaction; a clock that is put back finds them there.
 */
#ifndef HB_JOB_RUN_H
#define HB_JOB_RUN_H

#include "hb_cron.h"
#include "hb_job.h"
#include "hb_json.h"

/* --- when (hb_job_schedule.c); none of it waits but for a zone's file --- */

typedef struct hb_job_schedule_t {
    hb_cron_t cron;
    const char *text;
    const hb_zone_t *zone;
    int is_off;                 /* HaloBuzzJob says so */
} hb_job_schedule_t;

/**
 * The schedule in force: the row's, or that of HaloBuzzJob.
 * @return NULL, or a sentence for the operator
 */
const char *hb_job_schedule(hb_job_schedule_t *schedule, const hb_settings_t *settings,
                            const hb_job_t *job, apr_pool_t *pool);

/** Are these the values of HaloBuzzJob, one a line? NULL, or a sentence. */
const char *hb_job_schedules_check(const char *lines, apr_pool_t *pool);

/** NULL when there is something for the job to do here, or the sentence why not. */
const char *hb_job_is_off(const hb_site_t *site, const hb_job_t *job,
                          const hb_job_schedule_t *schedule);

/* --- running (hb_job_plan.c, hb_job_run.c) --- */

/**
 * Make the runs of a job that came due up to op->now; the first time none, from then on by the
 * row's policy.
 * @param next  when to call again at the latest
 */
apr_status_t hb_job_plan(apr_time_t *next, hb_op_t *op, const hb_job_t *job,
                         const hb_job_schedule_t *schedule);

/** What the lease of a run is known by. */
typedef struct hb_job_claim_t {
    const hb_job_t *job;
    const char *run_id;
    apr_int64_t fence;
} hb_job_claim_t;

/**
 * Take a run that is due: a waiting one, or one whose owner has not been heard of for the length of
 * a lease (HaloBuzzJobLease). Of one job one run is under way at a time.
 * @param owner  host and process, for people
 * @param only   a run's id, to take that one or none; or NULL
 * @return HB_E_STORE_MISSING when there is none for us
 */
apr_status_t hb_job_claim(hb_job_claim_t *claim, hb_op_t *op, const char *owner,
                          const char *only);

/** Keep it for another lease. HB_E_JOB_LOST. */
apr_status_t hb_job_renew(hb_op_t *op, const hb_job_claim_t *claim);

/** Do it in this process and write down how it ended. HB_E_JOB_LOST; else how the job ended. */
apr_status_t hb_job_do(hb_op_t *op, const hb_job_claim_t *claim);

/**
 * Write down that whoever did it failed: it was killed, or ended without a word. It is
 * tried again, with back-off. HB_E_JOB_LOST when it ended by itself after all.
 */
apr_status_t hb_job_failed(hb_op_t *op, const hb_job_claim_t *claim, const char *why);

/** Let it go unfinished, for whoever comes first: this host stops. */
apr_status_t hb_job_give_back(hb_op_t *op, const hb_job_claim_t *claim);

/* --- the operator (hb_job_list.c) --- */

/**
 * Every job: {name, sentence, schedule, zone, state, next, nextLocal, last...}; state is
 * "on", "paused", "running" or "off", and for the last "why" says it. HB_R_JOB_LIST.
 */
apr_status_t hb_job_list(hb_json_t **list, hb_op_t *op);

/** One of these (HB_R_JOB). HB_E_JOB_UNKNOWN. */
apr_status_t hb_job_show(hb_json_t **view, hb_op_t *op, const char *name);

/** Runs of a job, the last planned first: {items, next} of "jobRuns:staff". HB_E_JOB_UNKNOWN. */
apr_status_t hb_job_history(hb_json_t **list, hb_op_t *op, const char *name, int limit,
                            const char *after);

/** HB_E_JOB_UNKNOWN. While paused nothing is planned; resumed, the policy of the row decides. */
apr_status_t hb_job_pause(hb_op_t *op, const char *name, int is_paused);

/**
 * Have a job run now, whatever its schedule: the occurrence of a date, or the last one
 * there was. What was done before is done again, under a name of its own.
 * @param run_id  what to look at with hb_job_run_get()
 * @param date    YYYY-MM-DD, or NULL
 * @return HB_E_JOB_UNKNOWN; HB_E_JOB_STATE when it runs just now, was switched off, or the date has
 *         none that is due
 */
apr_status_t hb_job_request(const char **run_id, hb_op_t *op, const char *name,
                            const char *date);

/** One run as history shows it. */
apr_status_t hb_job_run_get(hb_json_t **view, hb_op_t *op, const char *run_id);

/** Put what the records know into the gauges of jobs, which are of one host otherwise. */
apr_status_t hb_job_gauges(hb_op_t *op);

#endif /* HB_JOB_RUN_H */
