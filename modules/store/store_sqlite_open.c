/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the SQLite backend: where it lies, who may open it, and its layout. The
 * layout follows hb_schema.def: a table for each collection with a column for each field
 * that an index names, an index for each row of HB_INDEX. A store that fits is opened
 * without a write; one that does not is brought forward under the writers' lock, in one
 * transaction.
 */
#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_tables.h>

#define FILE_MODE 0640
#define LOOK_EVERY_USEC 1000000

/* Where an SQL name is at most a collection's or an index's. */
#define NAME_BYTES 128

/* What turns a store of the version before into this one. Rows are never edited. */
static const struct {
    int version;
    const char *sentence;
    const char *sql;
} migrations[] = {
    { 1, "the first layout",
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
      "INSERT INTO meta VALUES ('schema', '0'), ('layout', ''),"
      " ('made', strftime('%Y-%m-%dT%H:%M:%SZ', 'now')), ('ping', '')" }
};

#define N_MIGRATIONS ((int)(sizeof(migrations) / sizeof(migrations[0])))

/* --- the layout that hb_schema.def asks for --- */

static const char *index_sql(apr_pool_t *pool, const hb_shape_row_t *shape,
                             const hb_index_row_t *index)
{
    const char *columns = "", *present = "", *last = "";
    char *fields = apr_pstrdup(pool, index->fields);
    char *state = NULL, *field;

    for (field = apr_strtok(fields, " ", &state); field != NULL;
         field = apr_strtok(NULL, " ", &state)) {
        apr_size_t n = strlen(field);
        const char *expr;

        last = "";
        if (field[n - 1] == '-') {
            field[n - 1] = '\0';
            last = " DESC";
        }
        expr = strcmp(field, "_id") == 0 ? "id"
            : apr_psprintf(pool, "\"$.%s\"", field);
        columns = apr_pstrcat(pool, columns, *columns != '\0' ? "," : "", expr, last, NULL);
        present = apr_pstrcat(pool, present, *present != '\0' ? " AND " : " WHERE ", expr,
                              " IS NOT NULL", NULL);
    }
    if (!(index->flags & HB_INDEX_UNIQUE)) {
        columns = apr_pstrcat(pool, columns, ",id", last, NULL);
    }
    return apr_psprintf(pool, "CREATE %sINDEX \"%s_%s\" ON \"%s\" (%s)%s",
                        index->flags & HB_INDEX_UNIQUE ? "UNIQUE " : "", shape->name,
                        index->name, shape->name, columns,
                        index->flags & HB_INDEX_SPARSE ? present : "");
}

/* The columns of indexes stand before the document: a long one ends on pages of its own. */
static const char *table_sql(apr_pool_t *pool, const char *name, hb_collection_e in)
{
    return apr_pstrcat(pool, "CREATE TABLE \"", name, "\" (seq INTEGER PRIMARY KEY, "
                       "id TEXT NOT NULL UNIQUE", store_columns_list(pool, in, ", \"$.", "\" ANY"),
                       ", doc TEXT NOT NULL) STRICT", NULL);
}

const char *const *store_sqlite_layout(apr_pool_t *pool)
{
    apr_array_header_t *list = apr_array_make(pool, 64, sizeof(const char *));
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape(s);

        if (shape->role != HB_IS_COLLECTION) {
            continue;
        }
        APR_ARRAY_PUSH(list, const char *) = shape->name;
        APR_ARRAY_PUSH(list, const char *) = table_sql(pool, shape->name, shape->shape);
        for (i = 0; i < shape->n_indexes; i++) {
            APR_ARRAY_PUSH(list, const char *) = apr_pstrcat(pool, shape->name, "_",
                                                             shape->indexes[i].name, NULL);
            APR_ARRAY_PUSH(list, const char *) = index_sql(pool, shape, &shape->indexes[i]);
        }
    }
    APR_ARRAY_PUSH(list, const char *) = NULL;
    return (const char *const *)list->elts;
}

static const char *layout_mark(const char *const *layout, apr_pool_t *pool)
{
    apr_uint64_t hash = 0xcbf29ce484222325ULL;
    const char *c;

    for (; *layout != NULL; layout++) {
        for (c = *layout; *c != '\0'; c++) {
            hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
        }
    }
    return apr_psprintf(pool, "%016" APR_UINT64_T_HEX_FMT, hash);
}

/* --- what the file has --- */

static const char *one_text(store_conn_t *conn, const char *sql, apr_pool_t *pool)
{
    sqlite3_stmt *stmt = NULL;
    const char *text = NULL;

    if (sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL) == SQLITE_OK
        && sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL) {
        text = apr_pstrdup(pool, (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    return text;
}

/* Views, triggers and virtual tables would run code of their own; we make none. */
#define FOREIGN_SQL "SELECT name FROM sqlite_schema WHERE type NOT IN ('table','index') " \
    "OR sql LIKE 'CREATE VIRTUAL%'"

/* The version of the records, 0 for an empty file, -1 for one that is not ours, -2 for
 * one that cannot be read. */
static int version_of(store_conn_t *conn, apr_pool_t *pool)
{
    const char *version = store_meta(conn, "schema", pool);
    const char *tables;

    if (one_text(conn, FOREIGN_SQL, pool) != NULL) {
        return -1;
    }
    if (version != NULL) {
        return atoi(version);
    }
    tables = one_text(conn, "SELECT count(*) FROM sqlite_schema", pool);
    if (tables == NULL) {
        return -2;
    }
    return strcmp(tables, "0") == 0 ? 0 : -1;
}

const char *store_meta(store_conn_t *conn, const char *key, apr_pool_t *pool)
{
    char *sql = sqlite3_mprintf("SELECT value FROM meta WHERE key=%Q", key);
    const char *value = sql != NULL ? one_text(conn, sql, pool) : NULL;

    sqlite3_free(sql);
    return value;
}

int store_set_meta(store_conn_t *conn, const char *key, const char *value)
{
    char *sql = value == NULL ? sqlite3_mprintf("DELETE FROM meta WHERE key=%Q", key)
        : sqlite3_mprintf("INSERT INTO meta VALUES (%Q,%Q) ON CONFLICT (key) "
                          "DO UPDATE SET value=excluded.value", key, value);
    int rc = sql != NULL ? store_exec(conn, sql) : SQLITE_NOMEM;

    sqlite3_free(sql);
    return rc;
}

static int wants(const char *const *layout, const char *name, const char *sql)
{
    for (; layout[0] != NULL; layout += 2) {
        if (strcmp(layout[0], name) == 0) {
            return strcmp(layout[1], sql) == 0;
        }
    }
    return 0;
}

const char *store_sql_of(store_conn_t *conn, const char *name, apr_pool_t *pool)
{
    char *sql = sqlite3_mprintf("SELECT sql FROM sqlite_schema WHERE name=%Q", name);
    const char *text = sql != NULL ? one_text(conn, sql, pool) : NULL;

    sqlite3_free(sql);
    return text;
}

/* A column of a program that did not know it, or of one that no longer kept it, says nothing. */
static int columns_fit(store_conn_t *conn, const hb_shape_row_t *shape, apr_pool_t *pool)
{
    const store_columns_t *columns = store_columns(shape->shape);
    const char *terms = "0";
    int i;

    for (i = 0; i < columns->n; i++) {
        terms = apr_psprintf(pool, "%s OR \"$.%s\" IS NOT json_extract(doc,'$.%s')", terms,
                             columns->fields[i], columns->fields[i]);
    }
    return one_text(conn, apr_psprintf(pool, "SELECT id FROM \"%s\" WHERE json_valid(doc) AND (%s)"
                                       " LIMIT 1", shape->name, terms), pool) == NULL;
}

/* Another table with the columns that are wanted now takes the place of one, with its rows. */
static int rebuild(store_conn_t *conn, const hb_shape_row_t *shape, apr_pool_t *pool)
{
    const char *name = apr_pstrcat(pool, "new_", shape->name, NULL);
    int rc = store_exec(conn, table_sql(pool, name, shape->shape));

    if (rc == SQLITE_OK) {
        rc = store_exec(conn, apr_pstrcat(pool, "INSERT INTO \"", name, "\" SELECT seq,id",
            store_columns_list(pool, shape->shape, ",CASE WHEN json_valid(doc) THEN "
                               "json_extract(doc,'$.", "') END"),
            ",doc FROM \"", shape->name, "\"; DROP TABLE \"", shape->name, "\"; ALTER TABLE \"",
            name, "\" RENAME TO \"", shape->name, "\"", NULL));
    }
    return rc;
}

/* @param before  what made the table; NULL when it is not there */
static int bring_table(store_conn_t *conn, const hb_shape_row_t *shape, const char *before,
                       const char *wanted, apr_pool_t *pool)
{
    if (before == NULL) {
        return store_exec(conn, wanted);
    }
    return strcmp(before, wanted) == 0 && columns_fit(conn, shape, pool)
        ? SQLITE_OK : rebuild(conn, shape, pool);
}

/* Drop the indexes that nothing asks for any more; a changed one is made again. */
static int drop_stale(store_conn_t *conn, const char *const *layout, apr_pool_t *pool)
{
    apr_array_header_t *stale = apr_array_make(pool, 8, sizeof(const char *));
    sqlite3_stmt *stmt = NULL;
    char sql[NAME_BYTES + 32];
    int i, rc;

    rc = sqlite3_prepare_v2(conn->db, "SELECT name,sql FROM sqlite_schema WHERE type='index' "
                            "AND sql IS NOT NULL", -1, &stmt, NULL);
    while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);

        if (!wants(layout, name, (const char *)sqlite3_column_text(stmt, 1))) {
            APR_ARRAY_PUSH(stale, const char *) = apr_pstrdup(pool, name);
        }
    }
    sqlite3_finalize(stmt);
    for (i = 0; i < stale->nelts && rc == SQLITE_OK; i++) {
        apr_snprintf(sql, sizeof(sql), "DROP INDEX \"%s\"",
                     APR_ARRAY_IDX(stale, i, const char *));
        rc = store_exec(conn, sql);
    }
    return rc;
}

static int bring_forward(store_conn_t *conn, int version, const char *const *layout,
                         apr_pool_t *pool)
{
    int i, rc = SQLITE_OK;

    for (i = 0; i < N_MIGRATIONS && rc == SQLITE_OK; i++) {
        if (migrations[i].version > version) {
            rc = store_exec(conn, migrations[i].sql);
        }
    }
    if (rc == SQLITE_OK) {
        rc = drop_stale(conn, layout, pool);
    }
    for (i = 0; layout[i] != NULL && rc == SQLITE_OK; i += 2) {
        const hb_shape_row_t *shape = hb_shape_by_name(layout[i]);
        const char *before = store_sql_of(conn, layout[i], pool);

        if (shape != NULL) {
            rc = bring_table(conn, shape, before, layout[i + 1], pool);
        }
        else if (before == NULL) {
            rc = store_exec(conn, layout[i + 1]);
        }
    }
    if (rc == SQLITE_OK) {
        rc = store_set_meta(conn, "schema", apr_itoa(pool, HB_SCHEMA_VERSION));
    }
    if (rc == SQLITE_OK) {
        rc = store_set_meta(conn, "layout", layout_mark(layout, pool));
    }
    return rc;
}

int store_set_layout_mark(store_conn_t *conn, int is_good, apr_pool_t *pool)
{
    return store_set_meta(conn, "layout", is_good
                          ? layout_mark(store_sqlite_layout(pool), pool) : "");
}

static int is_current(store_conn_t *conn, const char *const *layout, apr_pool_t *pool)
{
    const char *mark = store_meta(conn, "layout", pool);
    const char *journal = one_text(conn, "PRAGMA journal_mode", pool);

    return mark != NULL && strcmp(mark, layout_mark(layout, pool)) == 0
        && journal != NULL && strcmp(journal, "wal") == 0;
}

static apr_status_t refuse(store_sqlite_t *self, apr_status_t os_error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static apr_status_t refuse(store_sqlite_t *self, apr_status_t os_error, const char *fmt, ...)
{
    va_list args;
    char why[1024];

    va_start(args, fmt);
    apr_vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    hb_log_to(&self->site->log, HB_LOG_ERR, os_error, HBLOGNO(01120)
              "records cannot be reached: %s", why);
    return HB_E_STORE_DOWN;
}

static apr_status_t check_version(store_sqlite_t *self, store_conn_t *conn, int version)
{
    if (version == -2) {
        return refuse(self, 0, "%s cannot be read: %s", self->path, sqlite3_errmsg(conn->db));
    }
    if (version == -1) {
        return refuse(self, 0, "%s is an SQLite database, but none of HaloBuzz, or "
                      "somebody added to it", self->path);
    }
    if (version > HB_SCHEMA_VERSION) {
        return refuse(self, 0, "%s has records of version %d, this program knows versions up "
                      "to %d: run the newer program, or restore a backup of the older",
                      self->path, version, HB_SCHEMA_VERSION);
    }
    return APR_SUCCESS;
}

/* Is a copy into this file unfinished? Its layout is the copy's business. */
static int has_copy(store_sqlite_t *self, apr_pool_t *pool)
{
    return store_meta(self->writer, STORE_META_COPY, pool) != NULL;
}

/* With the writers' lock. */
static apr_status_t migrate(store_sqlite_t *self, store_conn_t *conn, apr_pool_t *pool)
{
    const char *const *layout = store_sqlite_layout(pool);
    const char *journal;
    apr_status_t rv;
    int version, rc;

    journal = one_text(conn, "PRAGMA journal_mode=WAL", pool);
    if (journal == NULL || strcmp(journal, "wal") != 0) {
        return refuse(self, 0, "%s cannot use a write-ahead log (%s): it needs a local, "
                      "writable file system", self->path, sqlite3_errmsg(conn->db));
    }
    rc = store_exec(conn, "BEGIN IMMEDIATE");
    if (rc != SQLITE_OK) {
        return refuse(self, 0, "%s cannot be written: %s", self->path,
                      sqlite3_errmsg(conn->db));
    }
    version = version_of(conn, pool);       /* again, for another may have been quicker */
    rv = check_version(self, conn, version);
    if (rv == APR_SUCCESS && !is_current(conn, layout, pool)) {
        rc = bring_forward(conn, version, layout, pool);
        if (rc == SQLITE_OK) {
            rc = store_exec(conn, "COMMIT");
        }
        if (rc != SQLITE_OK) {
            rv = refuse(self, 0, "the layout of %s cannot be brought to version %d: %s",
                        self->path, HB_SCHEMA_VERSION, sqlite3_errmsg(conn->db));
        }
        else {
            hb_log_to(&self->site->log, HB_LOG_NOTICE, 0, HBLOGNO(01121)
                      "%s %s version %d", self->path, version == 0 ? "was made, with records of"
                      : "has its columns and indexes as hb_schema.def wants them; records of",
                      HB_SCHEMA_VERSION);
        }
    }
    if (!sqlite3_get_autocommit(conn->db)) {
        store_exec(conn, "ROLLBACK");
    }
    return rv;
}

static apr_status_t copy_found(store_sqlite_t *self)
{
    return self->is_to_copy ? APR_SUCCESS
        : refuse(self, 0, "%s is a copy that is not finished: give the same `halobuzzctl store "
                 "copy` again", self->path);
}

static apr_status_t check_layout(store_sqlite_t *self, apr_pool_t *pool)
{
    int version = version_of(self->writer, pool);
    apr_status_t rv;
    int died;

    /* A file without our marks may be one that another process is just making. */
    if (version != -1) {
        rv = check_version(self, self->writer, version);
        if (rv != APR_SUCCESS || is_current(self->writer, store_sqlite_layout(pool), pool)) {
            return rv;
        }
        if (has_copy(self, pool)) {
            return copy_found(self);
        }
    }
    rv = store_lock_take(self->lock, hb_clock() + self->site->settings->store_wait,
                         &died);
    if (rv != APR_SUCCESS) {
        return refuse(self, rv, "other processes write to %s without a break; trying again",
                      self->path);
    }
    /* Nobody is making it now; and what is not ours is left as it is. */
    rv = check_version(self, self->writer, version_of(self->writer, pool));
    if (rv == APR_SUCCESS) {
        rv = has_copy(self, pool) ? copy_found(self) : migrate(self, self->writer, pool);
    }
    store_lock_give(self->lock);
    return rv;
}

/* --- the file itself --- */

static apr_status_t check_directory(store_sqlite_t *self, apr_pool_t *pool)
{
    char *dir = apr_pstrdup(pool, self->path);
    struct stat st;

    *(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = '\0';
    if (stat(dir, &st) != 0) {
        return refuse(self, errno, errno == EACCES
                      ? "the directory %s: this user may not pass what is above it; chmod o+x that"
                      : "the directory %s: make it, owned by the run user, mode 0750", dir);
    }
    if (!S_ISDIR(st.st_mode)) {
        return refuse(self, 0, "%s is no directory", dir);
    }
    if (st.st_mode & S_IWOTH) {
        return refuse(self, 0, "everybody may write to the directory %s: chmod o-w it, and "
                      "look at what is in it", dir);
    }
    if (geteuid() == 0 && st.st_uid != 0) {
        return refuse(self, 0, "%s belongs to uid %ld; what root makes there the server "
                      "cannot write: run this as that user (runuser -u)", dir,
                      (long)st.st_uid);
    }
    return APR_SUCCESS;
}

static apr_status_t make_file(store_sqlite_t *self, apr_pool_t *pool)
{
    char *dir = apr_pstrdup(pool, self->path);
    int fd;

    /* No connection of this process can have it open yet, so closing it harms no lock. */
    fd = open(self->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0) {
        return errno == EEXIST ? APR_SUCCESS
            : refuse(self, errno, "%s cannot be made", self->path);
    }
    close(fd);
    *strrchr(dir, '/') = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);              /* or the name may be lost with the power */
        close(fd);
    }
    return APR_SUCCESS;
}

static int is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 || errno != ENOENT;
}

static apr_status_t check_file(store_sqlite_t *self, apr_pool_t *pool)
{
    struct stat st;
    apr_status_t rv;

    if (!is_there(self->path)) {
        /* Who makes both makes the file first: seen after its lock it may be quite new. */
        if (access(self->lock_path, F_OK) == 0 && !is_there(self->path)) {
            return refuse(self, 0, "%s is gone, but %s says that it was there: restore a "
                          "backup, or remove the latter to begin with an empty store",
                          self->path, self->lock_path);
        }
        rv = make_file(self, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (stat(self->path, &st) != 0) {
        return refuse(self, errno, "%s", self->path);
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(self, 0, "%s is no plain file", self->path);
    }
    if (st.st_mode & (S_IWOTH | S_IROTH)) {
        return refuse(self, 0, "everybody may %s %s: chmod 0640 it", st.st_mode & S_IWOTH
                      ? "write to" : "read", self->path);
    }
    if (geteuid() == 0 && st.st_uid != 0) {
        return refuse(self, 0, "%s belongs to uid %ld: run this as that user (runuser -u)",
                      self->path, (long)st.st_uid);
    }
    self->dev = st.st_dev;
    self->ino = st.st_ino;
    return APR_SUCCESS;
}

int store_sqlite_is_same_file(store_sqlite_t *self, int look_now)
{
    apr_int64_t now = hb_clock();
    struct stat st;

    if (__atomic_load_n(&self->is_lost, __ATOMIC_RELAXED)) {
        return 0;
    }
    if (!look_now
        && now - __atomic_load_n(&self->looked_at, __ATOMIC_RELAXED) < LOOK_EVERY_USEC) {
        return 1;
    }
    __atomic_store_n(&self->looked_at, now, __ATOMIC_RELAXED);
    if (stat(self->path, &st) == 0 && st.st_dev == self->dev && st.st_ino == self->ino) {
        return 1;
    }
    __atomic_store_n(&self->is_lost, 1, __ATOMIC_RELAXED);
    return 0;
}

static apr_status_t close_all(void *data)
{
    store_sqlite_t *self = data;

    store_readers_close(self);
    store_group_close(self);
    if (self->lock != NULL) {
        store_lock_close(self->lock);
    }
    pthread_mutex_destroy(&self->readers_lock);
    pthread_cond_destroy(&self->reader_freed);
    pthread_mutex_destroy(&self->queue_lock);
    pthread_mutex_destroy(&self->notes_lock);
    return APR_SUCCESS;
}

const char *store_sqlite_path(const hb_site_t *site, const char *url, apr_pool_t *pool)
{
    const char *file = strchr(url, ':') + 1;

    return file[0] == '/' ? apr_pstrdup(pool, file)
        : apr_pstrcat(pool, site->settings->state_dir, "/", file, NULL);
}

static store_sqlite_t *make(hb_site_t *site, const char *url, apr_pool_t *pool)
{
    store_sqlite_t *self = apr_pcalloc(pool, sizeof(*self));

    self->site = site;
    self->pid = getpid();
    self->path = store_sqlite_path(site, url, pool);
    self->lock_path = apr_pstrcat(pool, self->path, "-lock", NULL);
    pthread_mutex_init(&self->readers_lock, NULL);
    pthread_mutex_init(&self->queue_lock, NULL);
    pthread_mutex_init(&self->notes_lock, NULL);
    hb_clock_cond_init(&self->reader_freed);
    apr_pool_cleanup_register(pool, self, close_all, apr_pool_cleanup_null);
    return self;
}

apr_status_t store_sqlite_open(void **out, hb_site_t *site, const char *url, int is_to_copy,
                               apr_pool_t *pool)
{
    store_sqlite_t *self = make(site, url, pool);
    const char *why;
    apr_status_t rv;
    int rc;

    self->is_to_copy = is_to_copy;

    if (sqlite3_threadsafe() == 0) {
        return refuse(self, 0, "this SQLite was built for one thread");
    }
    if (self->path[0] != '/') {
        return refuse(self, 0, "%s has to begin with / because HaloBuzzStateDir is not "
                      "absolute", self->path);
    }
    rv = check_directory(self, pool);
    if (rv == APR_SUCCESS) {
        rv = check_file(self, pool);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = store_lock_open(&self->lock, &why, self->lock_path, site->settings->store_wait);
    if (rv != APR_SUCCESS) {
        return refuse(self, rv, "%s %s", self->lock_path, why);
    }
    self->looked_at = hb_clock();
    self->writer = store_conn_open(&rc, self, self->path, 0);
    if (self->writer == NULL) {
        return refuse(self, 0, "%s: %s", self->path, sqlite3_errstr(rc));
    }
    rv = check_layout(self, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_log_to(&site->log, HB_LOG_INFO, 0, HBLOGNO(01122) "records are in %s (SQLite %s, "
              "write-ahead log, synchronous full, at most %d reading connections; a writer "
              "queues at most %" APR_INT64_T_FMT " ms)", self->path, sqlite3_libversion(),
              STORE_READERS_MAX, site->settings->store_wait / 1000);
    *out = self;
    return APR_SUCCESS;
}
