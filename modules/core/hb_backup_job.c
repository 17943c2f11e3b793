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

/* Tries of one night follow each other so closely. */
#define NIGHT apr_time_from_sec(6 * 3600)
#define TAKEN_MAX 2

/*
 * The full one that an earlier try of this night took and could not prove. Where the proof of it
 * fails for a reason of its own (the disk spoiled it), one more is taken; where it fails for
 * another (no room for the proof, records that are wrong), each try would leave one more, and
 * nothing goes before one is proved.
 * @param n  how many there are; *own is NULL for none
 */
static apr_status_t find_own(const hb_backup_t **own, int *n, hb_op_t *op,
                             const hb_job_run_t *run)
{
    apr_time_t since = apr_time_from_msec(run->planned_at);
    const hb_backup_t *list;
    int i, n_list;
    apr_status_t rv = hb_backup_list(&list, &n_list, op);

    since = since > op->now - NIGHT ? since : op->now - NIGHT;
    *own = NULL;
    *n = 0;
    for (i = 0; rv == APR_SUCCESS && i < n_list; i++) {
        if (list[i].proved_at != 0) {
            break;
        }
        if (list[i].is_full && list[i].damage == NULL && list[i].taken_at >= since
            && list[i].taken_at <= op->now) {
            *own = *own != NULL ? *own : &list[i];
            ++*n;
        }
    }
    return rv;
}

/*
 * The day's last backup is proved before the new full one stands, so that each chain of parts
 * is restored once as a whole; one that turns out damaged does not keep the new one from being
 * taken, but makes the job fail, which is what somebody is told of.
 */
static apr_status_t prove_day(const hb_backup_t **before, apr_status_t *worse, running_t *running)
{
    static const hb_backup_choice_t newest;
    hb_backup_proof_t proof;
    apr_status_t rv = hb_backup_find(before, running->op, &newest);

    if (rv == HB_E_BACKUP_UNKNOWN) {
        hb_op_recover(running->op);
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && (*before)->proved_at == 0) {
        *worse = prove(&proof, running, *before);
        if (*worse != APR_SUCCESS && running->lost == APR_SUCCESS) {
            hb_op_recover(running->op);
        }
    }
    return running->lost != APR_SUCCESS ? running->lost : rv;
}

apr_status_t hb_job_backup_nightly(hb_op_t *op, const hb_job_run_t *run)
{
    running_t running = { op, run, APR_SUCCESS };
    const hb_backup_t *before = NULL, *backup;
    hb_backup_proof_t proof;
    apr_status_t rv, worse = APR_SUCCESS;
    int n_own, n_gone = 0;

    rv = find_own(&backup, &n_own, op, run);
    if (rv == APR_SUCCESS && backup != NULL) {
        rv = prove(&proof, &running, backup);
        if (rv != APR_SUCCESS && running.lost == APR_SUCCESS && n_own < TAKEN_MAX) {
            hb_op_recover(op);
            backup = NULL;
            rv = APR_SUCCESS;
        }
    }
    else if (rv == APR_SUCCESS) {
        rv = prove_day(&before, &worse, &running);
    }
    if (rv == APR_SUCCESS && backup == NULL) {
        rv = take(&backup, &running, 1);
        if (rv == APR_SUCCESS) {
            rv = prove(&proof, &running, backup);
        }
    }
    if (rv == APR_SUCCESS) {    /* only what was proved lets old ones go */
        rv = hb_backup_prune(&n_gone, op);
    }
    if (rv == APR_SUCCESS && worse != APR_SUCCESS) {
        rv = hb_fail(op, worse, "%s, of the day before, %s", before->name,
                     worse == HB_E_BACKUP_DAMAGED ? "is damaged" : "could not be proved");
    }
    if (rv == APR_SUCCESS) {
        hb_job_say(run, "%s, %" APR_INT64_T_FMT " kB, restored and found whole: %"
                   APR_INT64_T_FMT " records; %d old ones removed", backup->name,
                   backup->bytes >> 10, proof.records, n_gone);
    }
    return rv;
}
