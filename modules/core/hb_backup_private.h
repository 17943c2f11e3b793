/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_backup_private.h
 * What the files of hb_backup share. hb_backup_list.c knows the directory, hb_backup_pages.c
 * the pages of a store, hb_backup_files.c plain files and their sums, hb_backup.c takes
 * and prunes, hb_backup_restore.c proves and puts back.
 */
#ifndef HB_BACKUP_PRIVATE_H
#define HB_BACKUP_PRIVATE_H

#include <stdio.h>

#include <apr_hash.h>
#include <apr_tables.h>

#include "hb_backup.h"

#define BACKUP_STORE "store.db"
#define BACKUP_PAGES "pages"
#define BACKUP_SUMS "sums"
#define BACKUP_FILES "files"
#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_CHECK "SHA256SUMS"
#define BACKUP_PROVED "proved"
#define BACKUP_NEW ".new"       /* being made, or being removed */
#define BACKUP_FORMAT 1
#define BACKUP_SUM_BYTES 16     /* of a page */

/** One piece of work, with its progress. */
typedef struct backup_work_t {
    hb_op_t *op;
    const hb_backup_way_t *way;
    apr_time_t went_at;         /* for the gentle: when it last rested */
} backup_work_t;

/** Tell of progress and rest when asked to. APR_EINTR when it is to stop. */
apr_status_t backup_step(backup_work_t *work, const char *what, apr_int64_t done,
                         apr_int64_t total);

/** HB_E_BACKUP_DAMAGED with a sentence, or the op's status for an error of the system. */
apr_status_t backup_damaged(hb_op_t *op, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** Reading or writing a file failed: noted for the operator, with the path. */
apr_status_t backup_io(hb_op_t *op, const char *path, apr_status_t error);

/**
 * Make the directory of backups and take one of its locks; held until fd is closed.
 * HB_E_BACKUP_BUSY.
 * @param name  BACKUP_LOCK for who writes backups, BACKUP_PROOF_LOCK for who makes stores of them: a
 *              proof takes longer than there may be without a backup
 */
apr_status_t backup_lock(int *fd, hb_op_t *op, const char *name);
#define BACKUP_LOCK "lock"
#define BACKUP_PROOF_LOCK "proof.lock"

/* --- hb_backup_list.c --- */

/** As a manifest tells of it; damage is set when it tells nothing sensible. */
void backup_read(hb_backup_t *backup, hb_op_t *op, const char *dir, const char *name);
/** "00042-20261121T143000Z-full" */
const char *backup_name(apr_pool_t *pool, apr_int64_t number, apr_time_t at, int is_full);
/** The backup and what it stands on, the full one first. They are none of them damaged. */
apr_status_t backup_chain(const hb_backup_t ***chain, int *n, hb_op_t *op,
                          const hb_backup_t *backup);

/* --- hb_backup_pages.c --- */

/** Size of a page, from the head of an SQLite file; 0 when it is none. */
apr_int64_t backup_page_bytes(const char *path);

/**
 * Read a store page by page: write the sums of its pages to sums_path, and those pages that differ
 * from base_sums (a file; NULL: none is wanted) to pages_path.
 * @param pages    how many the store has
 * @param changed  how many were written
 */
apr_status_t backup_pages_write(apr_int64_t *pages, apr_int64_t *changed, backup_work_t *work,
                                const char *store, apr_int64_t page_bytes,
                                const char *sums_path, const char *base_sums,
                                const char *pages_path);
/** Put the pages of a backup into the store made so far. */
apr_status_t backup_pages_apply(backup_work_t *work, const hb_backup_t *backup, int store_fd);
/** Is each page of a store what the sums say? */
apr_status_t backup_pages_check(backup_work_t *work, const hb_backup_t *backup,
                                const char *store);

/* --- hb_backup_files.c --- */

/** Make a directory and those above it that are missing. mode 0750. */
apr_status_t backup_dir_make(const char *path, apr_pool_t *pool);
/** Remove a directory with all in it; no error when it is not there. */
apr_status_t backup_dir_remove(const char *path, apr_pool_t *pool);
/** All bytes in it. */
apr_int64_t backup_dir_bytes(const char *path, apr_pool_t *pool);

/** Copy a plain file; the copy is on the disk. @param digest hex SHA-256; may be NULL */
apr_status_t backup_copy(const char **digest, backup_work_t *work, const char *from,
                         const char *to);
/** SHA-256 of a file, in hex. */
apr_status_t backup_digest(const char **digest, backup_work_t *work, const char *path);

/** Keys, mails and what HaloBuzzBackupFiles names, into dir/files. */
apr_status_t backup_files_copy(backup_work_t *work, const char *dir);
/** Keys that are missing come back; a mail of then was sent long ago. @param n how many */
apr_status_t backup_files_restore(int *n, backup_work_t *work, const hb_backup_t *backup);

/** Write dir/SHA256SUMS over all that is in dir, and sync it. */
apr_status_t backup_check_write(backup_work_t *work, const char *dir);
/**
 * What SHA256SUMS says: path below the backup -> hex digest.
 */
apr_status_t backup_check_read(apr_hash_t **sums, hb_op_t *op, const hb_backup_t *backup);
/** Compare every file of a backup but store.db and pages, which are checked when they are read. */
apr_status_t backup_check_files(backup_work_t *work, const hb_backup_t *backup);
/** Compare one digest. */
apr_status_t backup_check_one(hb_op_t *op, const hb_backup_t *backup, apr_hash_t *sums,
                              const char *file, const char *digest);

#endif /* HB_BACKUP_PRIVATE_H */
