/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another file in the place of this one. A database is up to three files, and a log (-wal) that
 * is read beside a database it does not belong to damages it. So the order is: what is there goes
 * aside, the database first, then its log; only then the new one gets the name. Killed in
 * between, there is no database, and store_sqlite_open.c refuses to make an empty one where
 * the lock's file says that one was; the next try takes up the log that was left behind.
 */
#include "store_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_file.h"
#include "hb_time.h"

#define BEFORE ".before-"
#define DIR_MODE 0750

apr_status_t store_sqlite_is_used(int *is_used, hb_op_t *op, const char *url)
{
    const char *path = apr_pstrcat(op->pool, store_sqlite_path(op->site, url, op->pool),
                                   "-lock", NULL);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    *is_used = 0;
    if (fd < 0 && errno != ENOENT) {
        hb_log(op, HB_LOG_ERR, errno, HBLOGNO(01157) "%s cannot be looked at", path);
        return hb_fail(op, HB_E_UNAVAILABLE, "%s cannot be looked at", path);
    }
    if (fd >= 0) {              /* whoever has the store open holds it, shared */
        *is_used = flock(fd, LOCK_EX | LOCK_NB) != 0;
        close(fd);
    }
    return APR_SUCCESS;
}

static apr_status_t failed(hb_op_t *op, const char *what, const char *path, apr_status_t error)
{
    char text[128];

    hb_log(op, HB_LOG_ERR, error, HBLOGNO(01158) "the store is not replaced: %s %s", what, path);
    return hb_fail(op, HB_E_UNAVAILABLE, "%s %s: %s", what, path,
                   apr_strerror(error, text, sizeof(text)));
}

static apr_status_t sync_dir(hb_op_t *op, const char *dir)
{
    apr_status_t rv = hb_file_sync(dir);

    return rv != APR_SUCCESS ? failed(op, "syncing", dir, rv) : rv;
}

/* Bring what is in its log into the file. What does not work here (it is damaged, others have
 * it open) leaves the log, which then goes where its file goes. */
static void fold(const char *path)
{
    sqlite3 *db = NULL;

    if (access(path, F_OK) == 0
        && sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    }
    sqlite3_close(db);
}

static apr_status_t move_if_there(hb_op_t *op, const char *path, const char *suffix,
                                  const char *dir, const char *name)
{
    const char *from = apr_pstrcat(op->pool, path, suffix, NULL);
    const char *to = apr_pstrcat(op->pool, dir, "/", name, suffix, NULL);

    return rename(from, to) == 0 || errno == ENOENT ? APR_SUCCESS
        : failed(op, "moving", from, errno);
}

/* The newest directory that an earlier call made. NULL for none. */
static const char *newest_before(hb_op_t *op, const char *dir, const char *name)
{
    const char *prefix = apr_pstrcat(op->pool, name, BEFORE, NULL), *newest = NULL;
    struct dirent *entry;
    DIR *open_dir = opendir(dir);

    while (open_dir != NULL && (entry = readdir(open_dir)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0
            && (newest == NULL || strcmp(entry->d_name, newest) > 0)) {
            newest = apr_pstrdup(op->pool, entry->d_name);
        }
    }
    if (open_dir != NULL) {
        closedir(open_dir);
    }
    return newest != NULL ? apr_pstrcat(op->pool, dir, "/", newest, NULL) : NULL;
}

/* Move the files that are there into a directory of their own. */
static apr_status_t set_aside(const char **aside, hb_op_t *op, const char *path,
                              const char *dir, const char *name)
{
    apr_status_t rv;
    int has_file = access(path, F_OK) == 0;

    *aside = has_file ? NULL : newest_before(op, dir, name);
    if (*aside == NULL) {
        *aside = apr_pstrcat(op->pool, path, BEFORE, hb_time_text(op->pool, op->now), NULL);
        if (mkdir(*aside, DIR_MODE) != 0) {
            return failed(op, "making", *aside, errno);
        }
    }
    rv = move_if_there(op, path, "", *aside, name);
    if (rv == APR_SUCCESS) {
        rv = move_if_there(op, path, "-wal", *aside, name);
    }
    if (rv == APR_SUCCESS) {
        rv = move_if_there(op, path, "-shm", *aside, name);
    }
    return rv == APR_SUCCESS ? sync_dir(op, *aside) : rv;
}

/* With nobody writing. */
static apr_status_t swap(const char **aside, hb_op_t *op, const char *path, const char *file)
{
    char *dir = apr_pstrdup(op->pool, path);
    const char *name = strrchr(path, '/') + 1;
    apr_status_t rv = APR_SUCCESS;

    *(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = '\0';
    if (access(path, F_OK) == 0
        || access(apr_pstrcat(op->pool, path, "-wal", NULL), F_OK) == 0) {
        rv = set_aside(aside, op, path, dir, name);
    }
    if (rv == APR_SUCCESS && rename(file, path) != 0) {
        rv = failed(op, "moving", file, errno);
    }
    return rv == APR_SUCCESS ? sync_dir(op, dir) : rv;
}

apr_status_t store_sqlite_put(const char **aside, hb_op_t *op, const char *url,
                              const char *file, int is_used)
{
    const char *path = store_sqlite_path(op->site, url, op->pool), *why;
    const char *lock_path = apr_pstrcat(op->pool, path, "-lock", NULL);
    apr_interval_time_t wait = op->site->settings->store_wait;
    store_lock_t *lock;
    apr_status_t rv;
    int died;

    fold(file);
    if (access(apr_pstrcat(op->pool, file, "-wal", NULL), F_OK) == 0) {
        return failed(op, "finishing", file, 0);
    }
    if (!is_used) {
        fold(path);
    }
    rv = store_lock_open(&lock, &why, lock_path, wait);
    if (rv != APR_SUCCESS) {
        return failed(op, why != NULL ? why : "opening", lock_path, rv);
    }
    rv = store_lock_take(lock, hb_clock() + wait, &died);
    if (rv == APR_SUCCESS) {
        rv = swap(aside, op, path, file);
        store_lock_give(lock);
    }
    else {
        rv = failed(op, "others write without a break to", path, rv);
    }
    store_lock_close(lock);
    return rv;
}
