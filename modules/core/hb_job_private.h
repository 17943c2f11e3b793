/* SPDX-License-Identifier: Apache-2.0 */
/** @file hb_job_private.h The functions of hb_job.def, and what a run under way holds. */
#ifndef HB_JOB_PRIVATE_H
#define HB_JOB_PRIVATE_H

#include "hb_job.h"

#define HB_JOB_NOTE_MAX 300

/** A run that a process of ours does just now. */
typedef struct hb_job_lease_t {
    char note[HB_JOB_NOTE_MAX + 1]; /* what the function said */
} hb_job_lease_t;

#define HB_JOB(name, schedule, zone, jitter, needs, limit, catch_up, function, sentence) \
    hb_job_fn function;
#include "hb_job.def"
#undef HB_JOB

#endif /* HB_JOB_PRIVATE_H */
