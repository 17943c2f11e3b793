/* SPDX-License-Identifier: Apache-2.0 */
/* Taking backups, and letting go of old ones. */
#include "hb_backup_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_file.h"
#include "hb_metrics.h"
#include "hb_time.h"

#define FILE_MODE 0600
#define SPARE_BYTES APR_INT64_C(16777216)   /* left to others on the disk */
#define REST_TIMES 4
#define REST_MAX_USEC 50000

/* --- what all of it uses --- */

apr_status_t backup_step(backup_work_t *work, const char *what, apr_int64_t done,
                         apr_int64_t total)
{
    apr_time_t spent;

    if (work->way->is_gentle) {     /* four fifths of the time are others' */
        spent = hb_clock() - work->went_at;
        if (work->went_at != 0 && spent > 0) {
            spent *= REST_TIMES;
            apr_sleep(spent < REST_MAX_USEC ? spent : REST_MAX_USEC);
        }
        work->went_at = hb_clock();
    }
    return work->way->report != NULL
        && work->way->report(work->way->baton, what, done, total) != 0 ? APR_EINTR : APR_SUCCESS;
}

static int step_of_store(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    backup_work_t *work = baton;

    if (done < 0) {
        return work->way->report != NULL
            ? work->way->report(work->way->baton, what, done, total) : 0;
    }
    return backup_step(work, what, done, total) != APR_SUCCESS;
}

apr_status_t backup_damaged(hb_op_t *op, const char *fmt, ...)
{
    va_list args;
    const char *why;

    va_start(args, fmt);
    why = apr_pvsprintf(op->pool, fmt, args);
    va_end(args);
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00492) "a backup is damaged: %s", why);
    return hb_fail(op, HB_E_BACKUP_DAMAGED, "%s", why);
}

apr_status_t backup_io(hb_op_t *op, const char *path, apr_status_t error)
{
    char text[128];

    error = error == APR_SUCCESS ? EIO : error;
    hb_log(op, HB_LOG_ERR, error, HBLOGNO(00493) "backup: %s failed", path);
    return hb_fail(op, error == ENOSPC || error == EDQUOT ? HB_E_BACKUP_ROOM : HB_E_UNAVAILABLE,
                   "%s: %s", path, apr_strerror(error, text, sizeof(text)));
}

/* --- the directory --- */

apr_status_t backup_lock(int *fd, hb_op_t *op, const char *name)
{
    const char *dir = op->site->settings->backup_dir;
    const char *path = apr_pstrcat(op->pool, dir, "/", name, NULL);
    apr_status_t rv = backup_dir_make(dir, op->pool);
    struct stat st;

    *fd = -1;
    if (rv == APR_SUCCESS && stat(dir, &st) != 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        return backup_io(op, dir, rv);
    }
    if (st.st_mode & (S_IWOTH | S_IROTH | S_IXOTH)) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00494) "others can look into %s, and backups hold keys: "
               "chmod 0750 it", dir);
        return hb_fail(op, HB_E_UNAVAILABLE, "others can look into %s: chmod 0750 it", dir);
    }
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (*fd < 0) {
        return backup_io(op, path, errno);
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        close(*fd);
        *fd = -1;
        return hb_fail(op, HB_E_BACKUP_BUSY, "another process is busy in %s", dir);
    }
    return APR_SUCCESS;
}

/* Remove what killed processes left. */
static void sweep(hb_op_t *op)
{
    const char *dir = op->site->settings->backup_dir;
    struct dirent *entry;
    DIR *open_dir = opendir(dir);

    while (open_dir != NULL && (entry = readdir(open_dir)) != NULL) {
        apr_size_t len = strlen(entry->d_name);

        if (len > sizeof(BACKUP_NEW) && strcmp(entry->d_name + len + 1 - sizeof(BACKUP_NEW),
                                               BACKUP_NEW) == 0) {
            backup_dir_remove(apr_pstrcat(op->pool, dir, "/", entry->d_name, NULL), op->pool);
        }
    }
    if (open_dir != NULL) {
        closedir(open_dir);
    }
}

/* A backup that cannot end should not begin: it would only fill the disk for others. */
static apr_status_t check_room(hb_op_t *op)
{
    const char *dir = op->site->settings->backup_dir;
    apr_int64_t wanted, free_bytes;
    struct statvfs vfs;
    hb_json_t *stats;
    apr_status_t rv = hb_store_stats(&stats, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (statvfs(dir, &vfs) != 0) {
        return backup_io(op, dir, errno);
    }
    wanted = hb_json_int(stats, "bytes", 0) + hb_json_int(stats, "bytes", 0) / 16 + SPARE_BYTES;
    free_bytes = (apr_int64_t)vfs.f_bavail * (apr_int64_t)vfs.f_frsize;
    if (free_bytes < wanted) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00502) "no backup: %s has %" APR_INT64_T_FMT
               " MB free, and it takes %" APR_INT64_T_FMT, dir, free_bytes >> 20, wanted >> 20);
        return hb_fail(op, HB_E_BACKUP_ROOM, "%s has %" APR_INT64_T_FMT " MB free, and a backup "
                       "takes %" APR_INT64_T_FMT, dir, free_bytes >> 20, wanted >> 20);
    }
    return APR_SUCCESS;
}

/* --- taking one --- */

typedef struct taking_t {
    backup_work_t work;
    hb_backup_t made;
    const hb_backup_t *base;    /* NULL: a full one */
    const char *dir;            /* being filled */
} taking_t;

static const char *inside(const taking_t *taking, const char *file)
{
    return apr_pstrcat(taking->work.op->pool, taking->dir, "/", file, NULL);
}

static apr_status_t write_manifest(taking_t *taking)
{
    hb_op_t *op = taking->work.op;
    const char *path = inside(taking, BACKUP_MANIFEST), *text;
    hb_json_t *json = hb_json_object_make(op->pool);
    apr_status_t rv = APR_SUCCESS;
    int fd;

    hb_json_set_int(json, "format", BACKUP_FORMAT);
    hb_json_set_string(json, "name", taking->made.name);
    hb_json_set_bool(json, "full", taking->base == NULL);
    hb_json_set_string(json, "base", taking->base != NULL ? taking->base->name : NULL);
    hb_json_set_time(json, "takenAt", taking->made.taken_at);
    hb_json_set_int(json, "pageBytes", taking->made.page_bytes);
    hb_json_set_int(json, "pages", taking->made.pages);
    hb_json_set_int(json, "schemaVersion", HB_SCHEMA_VERSION);
    hb_json_set_string(json, "store", hb_url_shown(op->site->settings->store_url, op->pool));
    text = apr_pstrcat(op->pool, hb_json_pretty(json, op->pool), "\n", NULL);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0 || (errno = hb_file_write(fd, text, strlen(text))) != 0) {
        rv = backup_io(op, path, errno);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rv;
}

/* The store as pages: all of them, or those that are new. */
static apr_status_t take_store(taking_t *taking)
{
    hb_op_t *op = taking->work.op;
    const char *store = inside(taking, BACKUP_STORE);
    const char *base_sums = taking->base == NULL ? NULL
        : apr_pstrcat(op->pool, taking->base->path, "/" BACKUP_SUMS, NULL);
    apr_int64_t changed;
    apr_status_t rv = hb_store_backup(op, store, step_of_store, &taking->work);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    taking->made.page_bytes = backup_page_bytes(store);
    if (taking->made.page_bytes == 0) {
        return backup_io(op, store, EIO);
    }
    if (taking->base != NULL && taking->base->page_bytes != taking->made.page_bytes) {
        taking->base = NULL;
        base_sums = NULL;
    }
    rv = backup_pages_write(&taking->made.pages, &changed, &taking->work, store,
                            taking->made.page_bytes, inside(taking, BACKUP_SUMS), base_sums,
                            inside(taking, BACKUP_PAGES));
    if (rv == APR_SUCCESS && taking->base != NULL && unlink(store) != 0) {
        rv = backup_io(op, store, errno);
    }
    return rv;
}

static apr_status_t fill(taking_t *taking)
{
    apr_status_t rv = take_store(taking);

    if (rv == APR_SUCCESS) {
        rv = backup_files_copy(&taking->work, taking->dir);
    }
    if (rv == APR_SUCCESS) {    /* it may have turned out to be a full one */
        taking->made.is_full = taking->base == NULL;
        taking->made.name = backup_name(taking->work.op->pool, taking->made.number,
                                        taking->made.taken_at, taking->made.is_full);
        rv = write_manifest(taking);
    }
    if (rv == APR_SUCCESS) {
        rv = backup_check_write(&taking->work, taking->dir);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_file_sync(taking->dir);
    }
    return rv;
}

static apr_status_t make_one(taking_t *taking)
{
    hb_op_t *op = taking->work.op;
    const char *top = op->site->settings->backup_dir;
    apr_status_t rv = APR_SUCCESS;

    taking->dir = apr_pstrcat(op->pool, top, "/", backup_name(op->pool, taking->made.number,
        taking->made.taken_at, taking->base == NULL), BACKUP_NEW, NULL);
    if (mkdir(taking->dir, 0750) != 0) {
        return backup_io(op, taking->dir, errno);
    }
    rv = fill(taking);
    if (rv == APR_SUCCESS) {
        taking->made.path = apr_pstrcat(op->pool, top, "/", taking->made.name, NULL);
        if (rename(taking->dir, taking->made.path) != 0) {
            rv = backup_io(op, taking->made.path, errno);
        }
    }
    if (rv == APR_SUCCESS && (rv = hb_file_sync(top)) != APR_SUCCESS) {
        rv = backup_io(op, top, rv);
    }
    if (rv != APR_SUCCESS) {
        backup_dir_remove(taking->dir, op->pool);
    }
    return rv;
}

static apr_status_t take_locked(const hb_backup_t **backup, hb_op_t *op,
                                const hb_backup_way_t *way)
{
    taking_t taking = { .work = { op, way, 0 } };
    const hb_backup_t *list;
    hb_backup_t *made;
    int n;
    apr_status_t rv;

    sweep(op);
    rv = hb_backup_list(&list, &n, op);
    if (rv == APR_SUCCESS) {
        rv = check_room(op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    taking.made.number = n > 0 ? list[0].number + 1 : 1;
    taking.made.taken_at = op->now;
    taking.base = !way->is_full && n > 0 && list[0].damage == NULL ? &list[0] : NULL;
    rv = make_one(&taking);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    made = apr_palloc(op->pool, sizeof(*made));
    backup_read(made, op, op->site->settings->backup_dir, taking.made.name);
    hb_metric_set(op->site->metrics, HB_M_BACKUP_TAKEN, apr_time_sec(op->now));
    hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00503) "backup %s was taken: %" APR_INT64_T_FMT " kB",
           made->name, made->bytes >> 10);
    if (backup != NULL) {
        *backup = made;
    }
    return APR_SUCCESS;
}

apr_status_t hb_backup_take(const hb_backup_t **backup, hb_op_t *op,
                            const hb_backup_way_t *way)
{
    int lock;
    apr_status_t rv = backup_lock(&lock, op, BACKUP_LOCK);

    if (rv == APR_SUCCESS) {
        rv = take_locked(backup, op, way);
        close(lock);
    }
    if (rv != APR_SUCCESS) {
        hb_log(op, rv == APR_EINTR ? HB_LOG_NOTICE : HB_LOG_ERR, rv, HBLOGNO(00504)
               "no backup was taken; those that stand are as they were: %s",
               op->problem.detail != NULL ? op->problem.detail : "");
    }
    return rv;
}

/* --- letting go --- */

static int find_index(const hb_backup_t *list, int n, const char *name)
{
    int i;

    for (i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* It is renamed first, so that nobody takes half of it for a backup. */
static apr_status_t let_go(hb_op_t *op, const hb_backup_t *backup)
{
    const char *away = apr_pstrcat(op->pool, backup->path, BACKUP_NEW, NULL);
    apr_status_t rv = rename(backup->path, away) != 0 ? errno : APR_SUCCESS;

    if (rv == APR_SUCCESS) {
        rv = backup_dir_remove(away, op->pool);
    }
    if (rv != APR_SUCCESS) {
        return backup_io(op, backup->path, rv);
    }
    hb_log(op, HB_LOG_INFO, 0, HBLOGNO(00505) "backup %s was removed: it is older than "
           "HaloBuzzBackupKeep", backup->name);
    return APR_SUCCESS;
}

static apr_status_t prune(int *n_gone, hb_op_t *op)
{
    apr_time_t before = op->now - op->site->settings->backup_keep;
    const hb_backup_t *list;
    int i, at, n, n_full = 0;
    char *is_kept;
    apr_status_t rv = hb_backup_list(&list, &n, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    is_kept = apr_pcalloc(op->pool, (apr_size_t)n + 1);
    for (i = 0; i < n; i++) {
        int is_usable_full = list[i].is_full && list[i].damage == NULL;

        /* A damaged one has no time; it goes with those around it. */
        if ((list[i].damage == NULL && list[i].taken_at >= before)
            || (list[i].damage != NULL && n_full < 2) || (is_usable_full && n_full < 2)) {
            for (at = i; at >= 0 && !is_kept[at];
                 at = list[at].base != NULL ? find_index(list, n, list[at].base) : -1) {
                is_kept[at] = 1;
            }
        }
        n_full += is_usable_full;
    }
    for (i = 0; rv == APR_SUCCESS && i < n; i++) {      /* the newest first: none loses its base */
        if (!is_kept[i]) {
            rv = let_go(op, &list[i]);
            *n_gone += rv == APR_SUCCESS;
        }
    }
    return rv;
}

apr_status_t hb_backup_prune(int *n, hb_op_t *op)
{
    int lock;
    apr_status_t rv = backup_lock(&lock, op, BACKUP_LOCK);

    *n = 0;
    if (rv == APR_SUCCESS) {
        sweep(op);
        rv = prune(n, op);
        close(lock);
    }
    return rv;
}
