/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_backup.h
 * Backups of the whole site (requirements 1.13, CRN-06, CRN-07): taken from the live store,
 * proved by restoring them, kept for HaloBuzzBackupKeep, put back. They lie in
 * HaloBuzzBackupDir, a directory each, named NUMBER-TIME-KIND:
 *
 *     00042-20261121T143000Z-full   store.db       a whole SQLite store; any sqlite3 opens it
 *     00043-20261121T153000Z-incr   pages          the pages that differ from the backup before it
 *                                   sums           16 bytes of SHA-256 of each page of the store
 *                                   files/         keys, spooled mail, HaloBuzzBackupFiles
 *                                   manifest.json  what it is, and which backup it stands on
 *                                   SHA256SUMS     of all of these: sha256sum -c SHA256SUMS
 *                                   proved         when it was restored and found whole
 *
 * A directory has its name only when all of it is on the disk; before, it ends in ".new".
 * Numbers order backups, for the clock may jump. Times are apr_time_t. All calls wait for
 * the disk, long.
 */
#ifndef HB_BACKUP_H
#define HB_BACKUP_H

#include "hb_ledger.h"
#include "hb_store.h"

typedef struct hb_backup_t {
    const char *name;
    const char *path;
    apr_int64_t number;
    int is_full;
    const char *base;           /* name of the one it stands on; NULL for a full one */
    apr_time_t taken_at;
    apr_time_t proved_at;       /* 0: not yet */
    apr_int64_t bytes;          /* that it takes on the disk */
    apr_int64_t page_bytes, pages;  /* of the store it makes */
    const char *damage;         /* NULL, or a sentence: why it cannot be restored */
} hb_backup_t;

/** All of them, newest first, the damaged ones too. @param n 0 when there are none */
apr_status_t hb_backup_list(const hb_backup_t **list, int *n, hb_op_t *op);

/** Which one to take. Zeroed: the newest that can be restored. */
typedef struct hb_backup_choice_t {
    const char *name;           /* this one */
    apr_time_t at;              /* the newest taken then or before */
    int is_previous;            /* the newest full one but one and all that stands on it: the newest of those */
} hb_backup_choice_t;

/** HB_E_BACKUP_UNKNOWN when there is none such; HB_E_BACKUP_DAMAGED for a named one that is. */
apr_status_t hb_backup_find(const hb_backup_t **backup, hb_op_t *op,
                            const hb_backup_choice_t *choice);

/** Progress comes as for hb_store_backup(); not 0 from it stops with APR_EINTR. */
typedef struct hb_backup_way_t {
    int is_full;                /* whole, not what has changed since the last one */
    int is_gentle;              /* leave disk and cores to others four fifths of the time */
    hb_store_report_fn *report;     /* may be NULL */
    void *baton;
} hb_backup_way_t;

/**
 * Take one. It is whole and on the disk when this returns, or it is not there. What cannot
 * be built on the last one (there is none, it is damaged) becomes a full one.
 * @param backup  may be NULL
 * @return HB_E_BACKUP_BUSY while another process takes one, HB_E_BACKUP_ROOM when the disk has too
 *         little, HB_E_UNAVAILABLE (the problem says why). Each of them is logged.
 */
apr_status_t hb_backup_take(const hb_backup_t **backup, hb_op_t *op,
                            const hb_backup_way_t *way);

/**
 * Remove what is older than HaloBuzzBackupKeep, but never what a younger one stands on, nor
 * the newest two full ones that can be restored. @param n how many went
 */
apr_status_t hb_backup_prune(int *n, hb_op_t *op);

/** What a restored store was found to be. */
typedef struct hb_backup_proof_t {
    apr_int64_t findings;       /* of the store's structure and records */
    const char *finding;        /* the first, NULL when there is none */
    apr_int64_t records, users;
    hb_ledger_proof_t ledger;
} hb_backup_proof_t;

#define HB_BACKUP_IS_WHOLE(proof) ((proof)->findings == 0 && (proof)->ledger.findings == 0)

/**
 * Make the store of a backup in a new file: every sum is checked on the way.
 * HB_E_BACKUP_DAMAGED names what is; then there is no file.
 */
apr_status_t hb_backup_unpack(hb_op_t *op, const hb_backup_t *backup, const char *file,
                              const hb_backup_way_t *way);

/**
 * Restore it into a scratch directory beside the backups, look at all of it, remove that
 * again; note in the backup that it is proved when it is whole. Backups can be taken
 * meanwhile. HB_E_BACKUP_DAMAGED when it is not (with proof set if it could be looked at),
 * HB_E_BACKUP_BUSY while another process does this or restores.
 */
apr_status_t hb_backup_test(hb_backup_proof_t *proof, hb_op_t *op, const hb_backup_t *backup,
                            const hb_backup_way_t *way);

/**
 * Remove the scratch directory of a proof that was killed, which is as large as the records; that
 * of one under way is left alone. For the start of the program that runs jobs.
 */
void hb_backup_sweep(hb_op_t *op);

/**
 * Put a backup in the place of the records of HaloBuzzStore, after it was proved. What was
 * there is kept beside it, in a directory that *aside names (NULL when there was nothing).
 * Keys of the state directory that are missing come back too; those that are there stay as
 * they are. Events of the time after the backup are forgotten. Killed at any line: either
 * the old or the new records are there, or none, and then the server refuses to start with
 * an empty store; run it again.
 * @param is_forced  also while other processes have the store open; they go over to the new
 *                   records within a second, and what they write until then goes to the old ones
 * @return HB_E_BACKUP_IN_USE otherwise, HB_E_BACKUP_BUSY, HB_E_BACKUP_DAMAGED, HB_E_UNAVAILABLE
 */
apr_status_t hb_backup_restore(hb_backup_proof_t *proof, const char **aside, hb_op_t *op,
                               const hb_backup_t *backup, int is_forced,
                               const hb_backup_way_t *way);

#endif /* HB_BACKUP_H */
