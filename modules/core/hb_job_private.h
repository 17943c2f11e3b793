/* SPDX-License-Identifier: Apache-2.0 */
/** @file hb_job_private.h The functions of hb_job.def, and what a run under way holds. */
#ifndef HB_JOB_PRIVATE_H
#define HB_JOB_PRIVATE_H

#include "hb_job.h"
#include "hb_job_run.h"

#define HB_JOB_NOTE_MAX 300

/** A run that a process of ours does just now. */
typedef struct hb_job_lease_t {
    hb_job_claim_t claim;
    apr_time_t seen_at;         /* what the site's clock showed the function last */
    apr_time_t renewed_at;
    char note[HB_JOB_NOTE_MAX + 8]; /* what the function said; cut when it is kept */
} hb_job_lease_t;

/** Keep a lease; with progress unless done is below 0. */
apr_status_t hb_job_keep(hb_op_t *op, const hb_job_claim_t *claim, apr_int64_t done,
                         apr_int64_t total);

/** The record of a job; HB_E_STORE_MISSING before it was planned first. */
apr_status_t hb_job_record(hb_json_t **doc, hb_op_t *op, const char *name);

/** Make it: planned up to now. */
apr_status_t hb_job_record_make(hb_json_t **doc, hb_op_t *op, const char *name);

/** A run of an occurrence, HB_E_STORE_MISSING when there is none. */
apr_status_t hb_job_run_of(hb_json_t **doc, hb_op_t *op, const char *occurrence);

/** "og-bonus:2026-10-04". */
const char *hb_job_occurrence(const hb_job_t *job, const hb_job_schedule_t *schedule,
                              const hb_due_t *due, apr_pool_t *pool);

/** A new run of an occurrence, waiting. Inside hb_store_transact. */
apr_status_t hb_job_run_add(const char **run_id, hb_op_t *op, const hb_job_t *job,
                            const hb_job_schedule_t *schedule, const hb_due_t *due,
                            const char *occurrence, apr_time_t due_at, int is_manual);

#define HB_JOB(name, schedule, zone, jitter, needs, limit, catch_up, function, sentence) \
    hb_job_fn function;
#include "hb_job.def"
#undef HB_JOB

#endif /* HB_JOB_PRIVATE_H */
