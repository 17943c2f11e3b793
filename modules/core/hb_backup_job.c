/* SPDX-License-Identifier: Apache-2.0 */
/* Backups by the clock: what changed, each hour; all of it, each night, with the proof. */
#include "hb_backup_private.h"

#include <apr_strings.h>

#include "hb_job_private.h"

typedef struct running_t {
    hb_op_t *op;
    const hb_job_run_t *run;
    apr_status_t lost;          /* why it has to stop */
} running_t;

static int stay_alive(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    running_t *running = baton;

    (void)what;
    if (done >= 0) {            /* findings have nothing to do with it */
        running->lost = hb_job_alive(running->op, running->run, done, total);
    }
    return running->lost != APR_SUCCESS;
}

static apr_status_t take(const hb_backup_t **backup, running_t *running, int is_full)
{
    const hb_backup_way_t way = { is_full, 1, stay_alive, running };
    apr_status_t rv = hb_backup_take(backup, running->op, &way);

    return running->lost != APR_SUCCESS ? running->lost : rv;
}

apr_status_t hb_job_backup_hourly(hb_op_t *op, const hb_job_run_t *run)
{
    running_t running = { op, run, APR_SUCCESS };
    const hb_backup_t *backup;
    apr_status_t rv = take(&backup, &running, 0);

    if (rv == APR_SUCCESS) {
        hb_job_say(run, "%s, %" APR_INT64_T_FMT " kB", backup->name, backup->bytes >> 10);
    }
    return rv;
}

static apr_status_t prove(hb_backup_proof_t *proof, running_t *running,
                          const hb_backup_t *backup)
{
    const hb_backup_way_t way = { 0, 1, stay_alive, running };
    apr_status_t rv = hb_backup_test(proof, running->op, backup, &way);

    return running->lost != APR_SUCCESS ? running->lost : rv;
}

/*
 * The day's last backup is proved before the new full one stands, so that each chain of parts
 * is restored once as a whole; one that turns out damaged does not keep the new one from being
 * taken, but makes the job fail, which is what somebody is told of.
 */
apr_status_t hb_job_backup_nightly(hb_op_t *op, const hb_job_run_t *run)
{
    static const hb_backup_choice_t newest;
    running_t running = { op, run, APR_SUCCESS };
    const hb_backup_t *before = NULL, *backup;
    hb_backup_proof_t proof;
    apr_status_t rv, worse = APR_SUCCESS;
    int n_gone = 0;

    rv = hb_backup_find(&before, op, &newest);
    if (rv == HB_E_BACKUP_UNKNOWN) {
        hb_op_recover(op);
    }
    else if (rv == APR_SUCCESS && before->proved_at == 0) {
        worse = prove(&proof, &running, before);
        if (running.lost != APR_SUCCESS) {
            return running.lost;
        }
        if (worse != APR_SUCCESS) {
            hb_op_recover(op);
        }
    }
    rv = take(&backup, &running, 1);
    if (rv == APR_SUCCESS) {
        rv = prove(&proof, &running, backup);
    }
    if (rv == APR_SUCCESS) {    /* only what was proved lets old ones go */
        rv = hb_backup_prune(&n_gone, op);
    }
    if (rv == APR_SUCCESS && worse != APR_SUCCESS) {
        rv = hb_fail(op, worse, "%s, of the day before, is damaged", before->name);
    }
    if (rv == APR_SUCCESS) {
        hb_job_say(run, "%s, %" APR_INT64_T_FMT " kB, restored and found whole: %"
                   APR_INT64_T_FMT " records; %d old ones removed", backup->name,
                   backup->bytes >> 10, proof.records, n_gone);
    }
    return rv;
}
