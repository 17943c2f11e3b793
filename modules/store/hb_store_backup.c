/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups. SQLite copies its own pages; any other store is copied record by record, as it is at one
 * moment, into an SQLite file beside the one that is wanted, which gets its name when it is
 * whole and proved.
 */
#include "hb_store_front.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_strings.h>

#include "hb_file.h"
#include "hb_store_copy.h"

apr_status_t hb_store_publish(const char *part, const char *path, apr_pool_t *pool)
{
    apr_status_t rv = hb_file_sync(part);
    char *dir = apr_pstrdup(pool, path);
    char *slash = strrchr(dir, '/');

    if (rv == APR_SUCCESS && link(part, path) != 0) {
        rv = errno;
    }
    if (rv == APR_SUCCESS) {
        unlink(part);
        if (slash != NULL) {
            slash[slash == dir] = '\0';
        }
        rv = hb_file_sync(slash != NULL ? dir : ".");
    }
    return rv;
}

/* What SQLite and its writers' lock keep beside a file. */
static void remove_files(const char *path, apr_pool_t *pool)
{
    static const char *const ends[] = { "", "-lock", "-wal", "-shm" };
    unsigned int i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        unlink(apr_pstrcat(pool, path, ends[i], NULL));
    }
}

typedef struct into_t {
    hb_op_t *op;                /* of the file */
    hb_store_report_fn *report;
    void *baton;
} into_t;

/* At one moment of op's store. */
static apr_status_t copy_now(hb_op_t *op, void *baton)
{
    into_t *into = baton;
    hb_copy_source_t source;
    hb_copy_proof_t proof;

    hb_store_copy_source(&source, op);
    source.name = "backup";
    return hb_store_copy(&proof, into->op, &source, 0, into->report, into->baton);
}

static apr_status_t failed(hb_op_t *op, const char *path, const char *why)
{
    hb_op_recover(op);
    return hb_fail(op, HB_E_UNAVAILABLE, "backup into %s failed: %s", path, why);
}

static apr_status_t copy_into_file(hb_op_t *op, const char *path, hb_store_report_fn *report,
                                   void *baton)
{
    into_t into = { NULL, report, baton };
    hb_site_t *site = apr_pmemdup(op->pool, op->site, sizeof(*site));
    char text[128], *part;
    apr_pool_t *pool;
    struct stat st;
    apr_status_t rv;

    if (lstat(path, &st) == 0) {
        return failed(op, path, "there is a file of that name");
    }
    rv = apr_filepath_merge(&part, NULL, apr_pstrcat(op->pool, path, ".part", NULL), 0, op->pool);
    if (rv != APR_SUCCESS) {
        return failed(op, path, apr_strerror(rv, text, sizeof(text)));
    }
    remove_files(part, op->pool);       /* of a backup that was killed */
    apr_pool_create(&pool, op->pool);
    rv = hb_store_open_to_copy(&site->store, site, apr_pstrcat(pool, "sqlite:", part, NULL), pool);
    if (rv != APR_SUCCESS) {
        rv = failed(op, path, "the file cannot be made; the line of the log above says why");
    }
    else {
        into.op = hb_op_make(site, op->pool);
        rv = hb_store_freeze(op, copy_now, &into);
        if (rv != APR_SUCCESS && op->problem.status == APR_SUCCESS) {
            op->problem = into.op->problem;
        }
    }
    apr_pool_destroy(pool);     /* closes it, and its log goes into the file */
    if (rv == APR_SUCCESS && stat(apr_pstrcat(op->pool, part, "-wal", NULL), &st) == 0
        && st.st_size > 0) {
        rv = failed(op, path, "the file cannot be finished; is the disk full?");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_publish(part, path, op->pool);
        if (rv != APR_SUCCESS) {
            rv = failed(op, path, apr_strerror(rv, text, sizeof(text)));
        }
    }
    remove_files(part, op->pool);
    return rv;
}

apr_status_t hb_store_backup(hb_op_t *op, const char *path, hb_store_report_fn *report,
                             void *baton)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "backup", HB_SHAPE_NONE, HB_M_STORE_READS);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->backup != NULL
                        ? call.driver->backup(call.self, op, path, report, baton)
                        : copy_into_file(op, path, report, baton), NULL);
}
