/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the file: is it well, a copy of it, is it whole, how large is it. All but ping use
 * a connection of their own, so that requests do not wait for them.
 */
#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#define PING_WAIT_USEC 1000000
#define PING_FRESH_USEC 5000000     /* a commit so young proves that writing works */
#define PING_AGAIN_USEC 1000000     /* a failure is told for so long without another try */
#define BACKUP_STEP_PAGES 64
#define REPORT_EVERY 1000           /* documents */
#define FILE_MODE 0640

/* --- ping --- */

static apr_status_t run_ping(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                             void *baton)
{
    int rc = store_exec(conn, "UPDATE meta SET value=strftime('%Y-%m-%dT%H:%M:%fZ','now') "
                        "WHERE key='ping'");

    (void)baton;
    return rc == SQLITE_OK ? APR_SUCCESS : store_fail(self, conn, rc, op, "ping");
}

apr_status_t store_sqlite_ping(void *baton, hb_op_t *op)
{
    store_sqlite_t *self = baton;
    apr_int64_t now = hb_clock();
    apr_status_t rv = APR_SUCCESS;
    int is_known;

    if (!store_sqlite_is_same_file(self, 1)) {
        return store_fail(self, NULL, SQLITE_READONLY_DBMOVED, op, "ping");
    }
    pthread_mutex_lock(&self->notes_lock);
    is_known = self->written_at != 0 && now - self->written_at < PING_FRESH_USEC
        && self->written_at >= self->pinged_at;
    if (!is_known && self->pinged_at != 0 && now - self->pinged_at < PING_AGAIN_USEC) {
        is_known = 1;
        rv = self->ping_rv;
    }
    if (!is_known) {
        self->pinged_at = now;  /* others take my answer, or the one before, meanwhile */
    }
    pthread_mutex_unlock(&self->notes_lock);
    if (is_known) {
        return rv == APR_SUCCESS ? rv
            : hb_fail_later(op, rv, 1, "records cannot be written just now");
    }
    rv = store_write(self, op, run_ping, NULL, 0, PING_WAIT_USEC);
    pthread_mutex_lock(&self->notes_lock);
    self->ping_rv = rv;
    pthread_mutex_unlock(&self->notes_lock);
    return rv;
}

/* --- backup --- */

/* Copy all pages of one moment: the open read transaction holds it while others write. */
static int copy_pages(store_conn_t *from, sqlite3 *to, int *stopped,
                      hb_store_report_fn *report, void *baton)
{
    sqlite3_backup *backup;
    int rc;

    rc = store_exec(from, "BEGIN; SELECT count(*) FROM meta");
    if (rc != SQLITE_OK) {
        return rc;
    }
    backup = sqlite3_backup_init(to, "main", from->db, "main");
    if (backup == NULL) {
        return sqlite3_extended_errcode(to);
    }
    do {
        rc = sqlite3_backup_step(backup, BACKUP_STEP_PAGES);
        if ((rc == SQLITE_OK || rc == SQLITE_DONE) && report != NULL
            && report(baton, "pages", sqlite3_backup_pagecount(backup)
                      - sqlite3_backup_remaining(backup),
                      sqlite3_backup_pagecount(backup)) != 0) {
            *stopped = 1;
        }
    } while (rc == SQLITE_OK && !*stopped);
    sqlite3_backup_finish(backup);
    store_exec(from, "COMMIT");
    return rc == SQLITE_DONE || *stopped ? SQLITE_OK : rc;
}

static apr_status_t copy_failed(hb_op_t *op, const char *path, const char *why,
                                apr_status_t rv)
{
    char text[128];

    hb_log(op, HB_LOG_ERR, rv, HBLOGNO(01140) "backup into %s failed: %s", path, why);
    return hb_fail(op, HB_E_UNAVAILABLE, "backup into %s failed: %s", path,
                   why[0] != '\0' ? why : apr_strerror(rv, text, sizeof(text)));
}

apr_status_t store_sqlite_backup(void *baton, hb_op_t *op, const char *path,
                                 hb_store_report_fn *report, void *report_baton)
{
    store_sqlite_t *self = baton;
    const char *part = apr_pstrcat(op->pool, path, ".part", NULL);
    store_conn_t *from = NULL;
    sqlite3 *to = NULL;
    struct stat st;
    apr_status_t rv = APR_SUCCESS;
    char why[256] = "";
    int fd, rc, stopped = 0;

    if (lstat(path, &st) == 0) {
        return copy_failed(op, path, "there is a file of that name", 0);
    }
    if (unlink(part) != 0 && errno != ENOENT) {     /* of a backup that was killed */
        return copy_failed(op, part, "", errno);
    }
    fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0) {
        return copy_failed(op, part, "", errno);
    }
    close(fd);
    from = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
    if (from != NULL) {
        rc = sqlite3_open_v2(part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    }
    if (rc == SQLITE_OK) {      /* one fsync at the end will do for a file nobody knows yet */
        sqlite3_exec(to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL);
        rc = copy_pages(from, to, &stopped, report, report_baton);
    }
    if (rc != SQLITE_OK) {
        apr_cpystrn(why, to != NULL && sqlite3_errcode(to) != SQLITE_OK ? sqlite3_errmsg(to)
                    : sqlite3_errstr(rc), sizeof(why));
    }
    sqlite3_close(to);
    if (from != NULL) {
        store_conn_close(from);
    }
    if (rc == SQLITE_OK && !stopped) {
        rv = hb_store_publish(part, path, op->pool);
    }
    if (rc != SQLITE_OK || rv != APR_SUCCESS || stopped) {
        unlink(part);
    }
    if (stopped) {
        return APR_EINTR;
    }
    return rc != SQLITE_OK || rv != APR_SUCCESS ? copy_failed(op, path, why, rv) : rv;
}

/* --- verify --- */

typedef struct inspection_t {
    hb_op_t *op;
    store_conn_t *conn;
    hb_store_report_fn *report;
    void *baton;
    apr_int64_t n;              /* findings */
    int stopped;
} inspection_t;

static void found(inspection_t *in, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void found(inspection_t *in, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    apr_vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    in->n++;
    if (in->report != NULL && in->report(in->baton, text, -1, 0) != 0) {
        in->stopped = 1;
    }
}

/* Pages, tables, and that each index has exactly what its table says. */
static int check_structure(inspection_t *in)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(in->conn->db, "PRAGMA integrity_check(1000)", -1, &stmt, NULL);

    while (rc == SQLITE_OK && !in->stopped && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(stmt, 0);

        if (line == NULL || strcmp(line, "ok") != 0) {
            found(in, "structure: %s", line != NULL ? line : "unreadable");
        }
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Tables and indexes that hb_schema.def wants. */
static int check_layout(inspection_t *in)
{
    const char *const *layout = store_sqlite_layout(in->op->pool);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(in->conn->db, "SELECT sql FROM sqlite_schema WHERE name=?", -1,
                                &stmt, NULL);

    for (; rc == SQLITE_OK && layout[0] != NULL && !in->stopped; layout += 2) {
        const char *sql = NULL;

        sqlite3_bind_text(stmt, 1, layout[0], -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW) {
            sql = (const char *)sqlite3_column_text(stmt, 0);
        }
        if (sql == NULL || strcmp(sql, layout[1]) != 0) {
            found(in, "layout: %s is %s", layout[0], sql == NULL ? "missing"
                  : "not as this program wants it");
        }
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* Rows are id, doc and the columns. */
static void check_document(inspection_t *in, const hb_shape_row_t *shape, sqlite3_stmt *stmt,
                           apr_pool_t *pool)
{
    const char *id = (const char *)sqlite3_column_text(stmt, 0);
    const char *text = (const char *)sqlite3_column_text(stmt, 1);
    int n = sqlite3_column_bytes(stmt, 1);
    hb_json_t *doc;

    if (!hb_store_id_is_usable(id)) {
        found(in, "%s: a record has an id that is none: %s", shape->name,
              hb_json_quote(pool, id != NULL ? id : "", id != NULL ? strlen(id) : 0));
        return;
    }
    doc = text != NULL && hb_utf8_is_valid(text, (apr_size_t)n)
        ? hb_json_parse_own(text, (apr_size_t)n, pool) : NULL;
    if (doc == NULL || hb_json_type(doc) != HB_JSON_OBJECT) {
        found(in, "%s: record %s is no JSON object", shape->name, id);
    }
    else if (hb_json_has(doc, "_id")) {
        found(in, "%s: record %s holds a second id", shape->name, id);
    }
    else if (store_columns_differ(stmt, 2, shape->shape, doc) != 0) {
        found(in, "%s: what indexes know of record %s is not what it holds", shape->name, id);
    }
}

static int check_documents(inspection_t *in, const hb_shape_row_t *shape)
{
    apr_pool_t *scratch;
    sqlite3_stmt *stmt = NULL;
    apr_int64_t n = 0;
    int rc = sqlite3_prepare_v2(in->conn->db, apr_pstrcat(in->op->pool, "SELECT id,doc",
        store_columns_list(in->op->pool, shape->shape, ",\"$.", "\""), " FROM \"", shape->name,
        "\"", NULL), -1, &stmt, NULL);

    apr_pool_create(&scratch, in->op->pool);
    while (rc == SQLITE_OK && !in->stopped && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        check_document(in, shape, stmt, scratch);
        if (++n % REPORT_EVERY == 0) {
            apr_pool_clear(scratch);
            if (in->report != NULL && in->report(in->baton, shape->name, n, 0) != 0) {
                in->stopped = 1;
            }
        }
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    if (rc == SQLITE_DONE && in->report != NULL
        && in->report(in->baton, shape->name, n, n) != 0) {
        in->stopped = 1;
    }
    apr_pool_destroy(scratch);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

apr_status_t store_sqlite_verify(void *baton, apr_int64_t *findings, hb_op_t *op,
                                 hb_store_report_fn *report, void *report_baton)
{
    store_sqlite_t *self = baton;
    inspection_t in = { .op = op, .report = report, .baton = report_baton };
    int s, rc;

    in.conn = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
    if (in.conn == NULL) {
        return store_fail(self, NULL, rc, op, "verify");
    }
    rc = store_exec(in.conn, "BEGIN");      /* all of it at one moment */
    if (rc == SQLITE_OK) {
        rc = check_structure(&in);
    }
    if (rc == SQLITE_OK) {
        rc = check_layout(&in);
    }
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rc == SQLITE_OK && !in.stopped; s++) {
        if (hb_shape(s)->role == HB_IS_COLLECTION) {
            rc = check_documents(&in, hb_shape(s));
        }
    }
    if (rc != SQLITE_OK && !in.stopped) {   /* so broken that it cannot be read on */
        found(&in, "structure: %s", sqlite3_errmsg(in.conn->db));
    }
    *findings = in.n;
    store_conn_close(in.conn);
    return in.stopped ? APR_EINTR : APR_SUCCESS;
}

/* --- stats --- */

static apr_int64_t number(store_conn_t *conn, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    apr_int64_t n = 0;

    if (sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) == SQLITE_OK
        && sqlite3_step(stmt) == SQLITE_ROW) {
        n = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return n;
}

static apr_int64_t bytes_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (apr_int64_t)st.st_size : 0;
}

apr_status_t store_sqlite_stats(void *baton, hb_json_t **stats, hb_op_t *op)
{
    store_sqlite_t *self = baton;
    hb_json_t *json = hb_json_object_make(op->pool);
    hb_json_t *collections = hb_json_object_make(op->pool);
    store_conn_t *conn;
    char sql[128];
    int s, rc;

    conn = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
    if (conn == NULL) {
        return store_fail(self, NULL, rc, op, "stats");
    }
    hb_json_set_string(json, "driver", "sqlite");
    hb_json_set_string(json, "version", sqlite3_libversion());
    hb_json_set_int(json, "schema", number(conn, "SELECT value FROM meta WHERE key='schema'"));
    hb_json_set_int(json, "bytes", bytes_of(self->path));
    hb_json_set_int(json, "logBytes",
                    bytes_of(apr_pstrcat(op->pool, self->path, "-wal", NULL)));
    hb_json_set_int(json, "freeBytes", number(conn, "PRAGMA freelist_count")
                    * number(conn, "PRAGMA page_size"));
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        hb_json_t *one;

        if (hb_shape(s)->role != HB_IS_COLLECTION) {
            continue;
        }
        one = hb_json_object_make(op->pool);
        apr_snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\"", hb_shape(s)->name);
        hb_json_set_int(one, "records", number(conn, sql));
        hb_json_set(collections, hb_shape(s)->name, one);
    }
    hb_json_set(json, "collections", collections);
    store_conn_close(conn);
    pthread_mutex_lock(&self->notes_lock);
    hb_json_set_int(json, "commits", self->n_groups);
    hb_json_set_int(json, "writes", self->n_items);
    pthread_mutex_unlock(&self->notes_lock);
    pthread_mutex_lock(&self->readers_lock);
    hb_json_set_int(json, "readers", self->n_readers);
    pthread_mutex_unlock(&self->readers_lock);
    *stats = json;
    return APR_SUCCESS;
}
