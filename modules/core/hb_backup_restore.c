/* SPDX-License-Identifier: Apache-2.0 */
/* Backups made into stores again: for the proof of them, and in earnest. */
#include "hb_backup_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_cache.h"
#include "hb_file.h"
#include "hb_metrics.h"
#include "hb_time.h"

#define FILE_MODE 0640          /* a store's */

/* --- a store out of a backup --- */

static apr_status_t apply_one(backup_work_t *work, const hb_backup_t *link, const char *file)
{
    const char *digest;
    apr_hash_t *sums;
    apr_status_t rv = backup_check_read(&sums, work->op, link);
    int fd;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (link->is_full) {
        rv = backup_copy(&digest, work, apr_pstrcat(work->op->pool, link->path,
                                                    "/" BACKUP_STORE, NULL), file);
        return rv != APR_SUCCESS ? rv
            : backup_check_one(work->op, link, sums, BACKUP_STORE, digest);
    }
    rv = backup_digest(&digest, work, apr_pstrcat(work->op->pool, link->path,
                                                  "/" BACKUP_PAGES, NULL));
    if (rv == APR_SUCCESS) {
        rv = backup_check_one(work->op, link, sums, BACKUP_PAGES, digest);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return backup_io(work->op, file, errno);
    }
    rv = backup_pages_apply(work, link, fd);
    if (rv == APR_SUCCESS && fsync(fd) != 0) {
        rv = backup_io(work->op, file, errno);
    }
    close(fd);
    return rv;
}

static apr_status_t unpack(backup_work_t *work, const hb_backup_t *backup, const char *file)
{
    const hb_backup_t **chain;
    int i, n;
    apr_status_t rv = backup_chain(&chain, &n, work->op, backup);

    if (rv == APR_SUCCESS) {
        rv = backup_check_files(work, backup);
    }
    for (i = 0; rv == APR_SUCCESS && i < n; i++) {
        rv = apply_one(work, chain[i], file);
    }
    if (rv == APR_SUCCESS) {
        rv = backup_pages_check(work, backup, file);
    }
    if (rv == APR_SUCCESS && chmod(file, FILE_MODE) != 0) {
        rv = backup_io(work->op, file, errno);
    }
    return rv;
}

apr_status_t hb_backup_unpack(hb_op_t *op, const hb_backup_t *backup, const char *file,
                              const hb_backup_way_t *way)
{
    backup_work_t work = { op, way, 0 };
    apr_status_t rv;

    if (access(file, F_OK) == 0) {
        return hb_fail(op, HB_E_UNAVAILABLE, "%s: there is a file of that name", file);
    }
    rv = unpack(&work, backup, file);
    if (rv != APR_SUCCESS) {
        unlink(file);
    }
    return rv;
}

/* --- the proof --- */

typedef struct seen_t {
    const hb_backup_way_t *way;
    hb_backup_proof_t *proof;
    apr_pool_t *pool;
} seen_t;

static int see(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    seen_t *seen = baton;

    if (done < 0 && seen->proof->finding == NULL) {
        seen->proof->finding = apr_pstrdup(seen->pool, what);
    }
    return seen->way->report != NULL
        ? seen->way->report(seen->way->baton, what, done, total) : 0;
}

static int count_records(void *baton, const char *name, hb_json_t *figures)
{
    hb_backup_proof_t *proof = baton;
    apr_int64_t n = hb_json_int(figures, "records", 0);

    proof->records += n;
    if (strcmp(name, "users") == 0) {
        proof->users = n;
    }
    return 0;
}

/* Open the file as the store of a site of its own, and look at all of it. */
static apr_status_t look_at(hb_backup_proof_t *proof, hb_op_t *op, const char *file,
                            const hb_backup_way_t *way)
{
    hb_settings_t settings = *op->site->settings;
    hb_site_t site = *op->site;
    seen_t seen = { way, proof, op->pool };
    apr_pool_t *pool;
    hb_json_t *stats;
    hb_op_t *inner;
    apr_status_t rv;

    apr_pool_create(&pool, op->pool);
    settings.store_url = apr_pstrcat(pool, "sqlite:", file, NULL);
    site.settings = &settings;
    site.pool = pool;
    site.store = NULL;
    rv = hb_store_open(&site.store, &site, settings.store_url, pool);
    if (rv == APR_SUCCESS) {
        inner = hb_op_make_as(&site, pool, op->request_id);
        inner->actor.is_system = 1;
        inner->log = op->log;
        rv = hb_store_verify(&proof->findings, inner, see, &seen);
        if (rv == APR_SUCCESS) {
            rv = hb_ledger_verify(&proof->ledger, inner, see, &seen);
        }
        if (rv == APR_SUCCESS) {
            rv = hb_store_stats(&stats, inner);
        }
        if (rv == APR_SUCCESS) {
            hb_json_each(hb_json_get(stats, "collections"), count_records, proof);
        }
        if (rv != APR_SUCCESS && inner->problem.detail != NULL) {
            hb_fail(op, rv, "%s", inner->problem.detail);
        }
    }
    /* What the proof names has to outlive the pool of this store. */
    if (proof->ledger.what != NULL) {
        proof->ledger.what = apr_pstrdup(op->pool, proof->ledger.what);
    }
    if (proof->ledger.first_wrong != NULL) {
        proof->ledger.first_wrong = apr_pstrdup(op->pool, proof->ledger.first_wrong);
    }
    if (proof->ledger.root != NULL) {
        proof->ledger.root = apr_pstrdup(op->pool, proof->ledger.root);
    }
    apr_pool_destroy(pool);
    return rv;
}

static void remove_store(hb_op_t *op, const char *file)
{
    static const char *const parts[] = { "", "-wal", "-shm", "-lock", NULL };
    int i;

    for (i = 0; parts[i] != NULL; i++) {
        unlink(apr_pstrcat(op->pool, file, parts[i], NULL));
    }
}

/* Make the store in a directory of ours and prove it. */
static apr_status_t make_proved(hb_backup_proof_t *proof, hb_op_t *op,
                                const hb_backup_t *backup, const char *dir, const char *file,
                                const hb_backup_way_t *way)
{
    apr_status_t rv = backup_dir_remove(dir, op->pool);     /* of one that was killed */

    memset(proof, 0, sizeof(*proof));
    if (rv == APR_SUCCESS) {
        rv = backup_dir_make(dir, op->pool);
    }
    if (rv != APR_SUCCESS) {
        return backup_io(op, dir, rv);
    }
    rv = hb_backup_unpack(op, backup, file, way);
    if (rv == APR_SUCCESS) {
        rv = look_at(proof, op, file, way);
    }
    if (rv == APR_SUCCESS && !HB_BACKUP_IS_WHOLE(proof)) {
        rv = backup_damaged(op, "the store that %s makes: %s", backup->name,
                            proof->finding != NULL ? proof->finding : proof->ledger.what);
    }
    return rv;
}

static apr_status_t note_proved(hb_op_t *op, const hb_backup_t *backup)
{
    const char *path = apr_pstrcat(op->pool, backup->path, "/" BACKUP_PROVED, NULL);
    const char *part = apr_pstrcat(op->pool, path, BACKUP_NEW, NULL);
    const char *text = apr_pstrcat(op->pool, hb_time_text(op->pool, op->now), "\n", NULL);
    apr_status_t rv = APR_SUCCESS;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || (errno = hb_file_write(fd, text, strlen(text))) != 0 || fsync(fd) != 0
        || rename(part, path) != 0) {
        rv = backup_io(op, path, errno);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rv;
}

/* Not BACKUP_NEW: that is swept away when the next backup is taken, which may be meanwhile. */
static const char *proof_dir(const hb_op_t *op)
{
    return apr_pstrcat(op->pool, op->site->settings->backup_dir, "/proof", NULL);
}

apr_status_t hb_backup_test(hb_backup_proof_t *proof, hb_op_t *op, const hb_backup_t *backup,
                            const hb_backup_way_t *way)
{
    const char *dir = proof_dir(op);
    int lock;
    apr_status_t rv = backup_lock(&lock, op, BACKUP_PROOF_LOCK);

    memset(proof, 0, sizeof(*proof));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = make_proved(proof, op, backup, dir,
                     apr_pstrcat(op->pool, dir, "/" BACKUP_STORE, NULL), way);
    backup_dir_remove(dir, op->pool);
    close(lock);
    if (rv == APR_SUCCESS) {
        rv = note_proved(op, backup);
    }
    if (rv == APR_SUCCESS) {
        hb_metric_set(op->site->metrics, HB_M_BACKUP_PROVED, apr_time_sec(backup->taken_at));
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00500) "backup %s was restored and is whole: %"
               APR_INT64_T_FMT " records, %" APR_INT64_T_FMT " ledger entries", backup->name,
               proof->records, proof->ledger.entries);
    }
    return rv;
}

void hb_backup_sweep(hb_op_t *op)
{
    const char *dir = proof_dir(op);
    int lock;

    if (access(dir, F_OK) == 0 && backup_lock(&lock, op, BACKUP_PROOF_LOCK) == APR_SUCCESS) {
        apr_status_t rv = backup_dir_remove(dir, op->pool);

        close(lock);
        hb_log(op, rv == APR_SUCCESS ? HB_LOG_NOTICE : HB_LOG_WARNING, rv, HBLOGNO(00527) "%s is of a "
               "proof that was killed%s", dir, rv == APR_SUCCESS ? "; it is removed"
               : " and cannot be removed");
    }
    hb_op_recover(op);
}

/* --- in earnest --- */

/* What readers of the bus know is of a time that is no more: another epoch tells them. */
static void forget_events(hb_op_t *op)
{
    const char *url = hb_bus_url(op->site->settings);

    if (strncmp(url, "local:", 6) == 0) {
        unlink(url[6] == '/' ? url + 6
               : apr_pstrcat(op->pool, op->site->settings->state_dir, "/", url + 6, NULL));
    }
}

static apr_status_t restore(hb_backup_proof_t *proof, const char **aside, hb_op_t *op,
                            const hb_backup_t *backup, int is_forced,
                            const hb_backup_way_t *way)
{
    const char *dir = apr_pstrcat(op->pool, op->site->settings->state_dir, "/restore"
                                  BACKUP_NEW, NULL);
    const char *file = apr_pstrcat(op->pool, dir, "/" BACKUP_STORE, NULL);
    backup_work_t work = { op, way, 0 };
    int is_used, n_files = 0;
    apr_status_t rv;

    rv = hb_store_is_used(&is_used, op);
    if (rv == APR_SUCCESS && is_used && !is_forced) {
        rv = hb_fail(op, HB_E_BACKUP_IN_USE, "the server, or another process, has the records "
                     "open: stop it first");
    }
    if (rv == APR_SUCCESS) {
        rv = make_proved(proof, op, backup, dir, file, way);
    }
    if (rv == APR_SUCCESS) {
        rv = backup_files_restore(&n_files, &work, backup);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_put(aside, op, file, is_forced);
    }
    if (rv == APR_SUCCESS) {
        if (!is_used) {
            forget_events(op);
        }
        hb_cache_flush(op, "cache");
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00501) "the records are those of backup %s now, of %s",
               backup->name, hb_time_text(op->pool, backup->taken_at));
    }
    remove_store(op, file);
    backup_dir_remove(dir, op->pool);
    return rv;
}

apr_status_t hb_backup_restore(hb_backup_proof_t *proof, const char **aside, hb_op_t *op,
                               const hb_backup_t *backup, int is_forced,
                               const hb_backup_way_t *way)
{
    int lock;
    apr_status_t rv = backup_lock(&lock, op, BACKUP_PROOF_LOCK);

    *aside = NULL;
    memset(proof, 0, sizeof(*proof));
    if (rv == APR_SUCCESS) {
        rv = restore(proof, aside, op, backup, is_forced, way);
        close(lock);
    }
    return rv;
}
