/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the SQLite backend: how they are set, which statements they keep, whose
 * turn it is, and what SQLite's errors mean for the caller.
 */
#include "store_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#define WRITER_CACHE_KB 16000
#define READER_CACHE_KB 2000
#define LOG_KEPT_BYTES 67108864     /* of the write-ahead log's file, once it was larger */
#define COMPLAIN_EVERY_USEC 5000000
#define RETRY_AFTER_SEC 2

static int on_commit(void *baton, sqlite3 *db, const char *schema, int wal_pages)
{
    store_conn_t *conn = baton;

    (void)db;
    (void)schema;
    conn->wal_pages = wal_pages;
    return SQLITE_OK;
}

static int set_up(store_sqlite_t *self, store_conn_t *conn, int flags)
{
    /* TRUSTED_SCHEMA stays on: without it SQLite 3.40 refuses json_extract in an index, which
     * stores of an earlier layout have. A
     * file with anything in its schema that could run by itself is refused at open. */
    static const int off[] = {
        SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL,
        SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION
    };
    char sql[256];
    unsigned int i;
    int rc;

    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_timeout(conn->db, (int)(self->site->settings->store_wait / 1000));
    sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 0);
    for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        sqlite3_db_config(conn->db, off[i], 0, NULL);
    }
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Checkpoints are made by whoever holds the writers' lock, and by nobody else. */
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_hook(conn->db, on_commit, conn);
    apr_snprintf(sql, sizeof(sql),
                 "PRAGMA synchronous=FULL; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
                 "PRAGMA journal_size_limit=%d; PRAGMA cache_size=-%d; PRAGMA query_only=%d",
                 LOG_KEPT_BYTES, flags & STORE_CONN_READER ? READER_CACHE_KB : WRITER_CACHE_KB,
                 flags & STORE_CONN_READER ? 1 : 0);
    rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {      /* reads the file's head, so that a strange file shows here */
        rc = sqlite3_exec(conn->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    }
    return rc;
}

store_conn_t *store_conn_open(int *rc, store_sqlite_t *self, const char *path, int flags)
{
    store_conn_t *conn = calloc(1, sizeof(*conn));

    *rc = SQLITE_NOMEM;
    if (conn == NULL) {
        return NULL;
    }
    /* path starts with '/', so it is never taken for a URI. */
    *rc = sqlite3_open_v2(path, &conn->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX
                          | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (*rc == SQLITE_OK) {
        *rc = set_up(self, conn, flags);
    }
    if (*rc != SQLITE_OK) {
        store_conn_close(conn);
        return NULL;
    }
    return conn;
}

void store_conn_close(store_conn_t *conn)
{
    int i;

    for (i = 0; i < HB_SHAPE_COUNT; i++) {
        sqlite3_finalize(conn->get[i]);
    }
    for (i = 0; i < STORE_STMTS_MAX; i++) {
        sqlite3_finalize(conn->slots[i].stmt);
    }
    sqlite3_close(conn->db);
    free(conn);
}

apr_status_t store_reader_take(store_conn_t **conn, store_sqlite_t *self, hb_op_t *op)
{
    apr_int64_t deadline = 0;
    int may_open = 0, rc = SQLITE_OK;
    struct timespec at;

    *conn = NULL;
    if (!store_sqlite_is_same_file(self, 0)) {
        return store_fail(self, NULL, SQLITE_READONLY_DBMOVED, op, "read");
    }
    pthread_mutex_lock(&self->readers_lock);
    while (*conn == NULL && !may_open) {
        if (self->readers != NULL) {
            *conn = self->readers;
            self->readers = (*conn)->next;
        }
        else if (self->n_readers < STORE_READERS_MAX) {
            self->n_readers++;
            may_open = 1;
        }
        else {
            if (deadline == 0) {
                deadline = hb_clock() + self->site->settings->store_wait;
                at = hb_clock_at(deadline);
            }
            if (pthread_cond_timedwait(&self->reader_freed, &self->readers_lock, &at) != 0) {
                break;
            }
        }
    }
    pthread_mutex_unlock(&self->readers_lock);
    if (may_open) {
        *conn = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
        if (*conn == NULL) {
            pthread_mutex_lock(&self->readers_lock);
            self->n_readers--;
            pthread_cond_signal(&self->reader_freed);
            pthread_mutex_unlock(&self->readers_lock);
        }
    }
    if (*conn == NULL) {
        return store_fail(self, NULL, rc != SQLITE_OK ? rc : SQLITE_BUSY, op, "read");
    }
    return APR_SUCCESS;
}

void store_reader_give(store_sqlite_t *self, store_conn_t *conn)
{
    int is_bad = conn->is_bad;

    if (is_bad) {
        store_conn_close(conn);
    }
    pthread_mutex_lock(&self->readers_lock);
    if (is_bad) {
        self->n_readers--;
    }
    else {
        conn->next = self->readers;
        self->readers = conn;
    }
    pthread_cond_signal(&self->reader_freed);
    pthread_mutex_unlock(&self->readers_lock);
}

void store_readers_close(store_sqlite_t *self)
{
    store_conn_t *conn;

    while ((conn = self->readers) != NULL) {
        self->readers = conn->next;
        store_conn_close(conn);
    }
}

static apr_uint64_t hash_of(const char *text)
{
    apr_uint64_t hash = 0xcbf29ce484222325ULL;

    while (*text != '\0') {
        hash = (hash ^ (unsigned char)*text++) * 0x100000001b3ULL;
    }
    return hash;
}

static int is_news(store_sqlite_t *self, apr_uint64_t hash)
{
    int i, is_new = 1;

    pthread_mutex_lock(&self->notes_lock);
    for (i = 0; i < self->n_warned; i++) {
        is_new = is_new && self->warned[i] != hash;
    }
    if (is_new && self->n_warned < (int)(sizeof(self->warned) / sizeof(self->warned[0]))) {
        self->warned[self->n_warned++] = hash;
    }
    else {
        is_new = 0;             /* with that many bad plans, more lines help nobody */
    }
    pthread_mutex_unlock(&self->notes_lock);
    return is_new;
}

/* Every query is meant to find an index. One that does not is fast in every test and
 * slow in production, so it is told the first time it is made. */
static void look_at_plan(store_sqlite_t *self, store_conn_t *conn, const char *sql,
                         apr_uint64_t hash, int flags)
{
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *stmt = NULL;
    const char *detail;
    int is_walk, is_sort;

    if (explain != NULL
        && sqlite3_prepare_v2(conn->db, explain, -1, &stmt, NULL) == SQLITE_OK) {
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            detail = (const char *)sqlite3_column_text(stmt, 3);
            if (detail == NULL) {
                continue;
            }
            is_sort = !(flags & STORE_STMT_SORTS) && strstr(detail, "TEMP B-TREE") != NULL;
            is_walk = strncmp(detail, "SCAN ", 5) == 0
                && strstr(detail, "VIRTUAL TABLE") == NULL
                && !((flags & STORE_STMT_WALKS) && strstr(detail, "USING") != NULL);
            if ((is_sort || is_walk) && is_news(self, hash)) {
                hb_log_to(&self->site->log, HB_LOG_WARNING, 0, HBLOGNO(01101)
                          "no index serves this query (%s): %s", detail, sql);
            }
        }
    }
    sqlite3_finalize(stmt);
    sqlite3_free(explain);
}

sqlite3_stmt *store_stmt(store_sqlite_t *self, store_conn_t *conn, const char *sql, int flags)
{
    apr_uint64_t hash = hash_of(sql);
    store_slot_t *oldest = &conn->slots[0];
    sqlite3_stmt *stmt = NULL;
    int i;

    for (i = 0; i < STORE_STMTS_MAX; i++) {
        store_slot_t *slot = &conn->slots[i];

        if (slot->hash == hash && slot->stmt != NULL
            && strcmp(sqlite3_sql(slot->stmt), sql) == 0) {
            slot->used_at = ++conn->n_used;
            return slot->stmt;
        }
        if (slot->used_at < oldest->used_at) {
            oldest = slot;
        }
    }
    if (sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL)
        != SQLITE_OK) {
        return NULL;
    }
    if (flags & STORE_STMT_LOOK) {
        look_at_plan(self, conn, sql, hash, flags);
    }
    sqlite3_finalize(oldest->stmt);
    oldest->stmt = stmt;
    oldest->hash = hash;
    oldest->used_at = ++conn->n_used;
    return stmt;
}

sqlite3_stmt *store_stmt_get(store_sqlite_t *self, store_conn_t *conn, hb_collection_e in)
{
    char sql[128];

    (void)self;
    if (conn->get[in] == NULL) {
        apr_snprintf(sql, sizeof(sql), "SELECT seq,doc FROM \"%s\" WHERE id=?",
                     hb_shape(in)->name);
        sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &conn->get[in],
                           NULL);
    }
    return conn->get[in];
}

int store_run(store_sqlite_t *self, store_conn_t *conn, const char *sql)
{
    sqlite3_stmt *stmt = store_stmt(self, conn, sql, 0);
    int rc;

    if (stmt == NULL) {
        return sqlite3_extended_errcode(conn->db);
    }
    rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_exec(store_conn_t *conn, const char *sql)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

/* What the system said to a failed read or write of the database or its log. SQLite keeps
 * it per file; its own sqlite3_system_errno() is often overwritten. */
static int os_error_of(store_conn_t *conn)
{
    sqlite3_file *files[2] = { NULL, NULL };
    int i, os_error = 0;

    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &files[0]);
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_FILE_POINTER, &files[1]);
    for (i = 0; i < 2 && os_error == 0; i++) {
        if (files[i] != NULL && files[i]->pMethods != NULL) {
            files[i]->pMethods->xFileControl(files[i], SQLITE_FCNTL_LAST_ERRNO, &os_error);
        }
    }
    return os_error != 0 ? os_error : sqlite3_system_errno(conn->db);
}

/* What an error means: the caller's status. */
static apr_status_t meaning_of(int rc, int os_error)
{
    switch (rc) {
    case SQLITE_READONLY_DBMOVED:
        return HB_E_STORE_DOWN;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return HB_E_STORE_DUPLICATE;
    }
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return HB_E_STORE_CONFLICT;
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return HB_E_STORE_READONLY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return os_error == ENOSPC || os_error == EDQUOT || os_error == EFBIG
            || os_error == EROFS ? HB_E_STORE_READONLY : HB_E_STORE_DOWN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return HB_E_STORE_DAMAGED;
    case SQLITE_TOOBIG:
        return HB_E_INPUT_INVALID;
    case SQLITE_INTERRUPT:
    case SQLITE_NOMEM:
        return HB_E_STORE_DOWN;
    default:
        return HB_E_INTERNAL;
    }
}

/* The same trouble for each request of a storm is one line every few seconds. */
static int may_complain(store_sqlite_t *self, apr_status_t rv)
{
    int kind = rv == HB_E_STORE_READONLY ? 0 : rv == HB_E_STORE_DOWN ? 1
        : rv == HB_E_STORE_CONFLICT ? 2 : 3;
    apr_int64_t now = hb_clock();
    int may;

    pthread_mutex_lock(&self->notes_lock);
    may = self->complained_at[kind] == 0
        || now - self->complained_at[kind] >= COMPLAIN_EVERY_USEC;
    if (may) {
        self->complained_at[kind] = now;
    }
    if (rv == HB_E_STORE_READONLY || rv == HB_E_STORE_DOWN) {
        self->written_at = 0;   /* proves nothing any more */
    }
    pthread_mutex_unlock(&self->notes_lock);
    return may;
}

apr_status_t store_fail(store_sqlite_t *self, store_conn_t *conn, int rc, hb_op_t *op,
                        const char *what)
{
    apr_status_t rv;
    int os_error = 0;

    if (conn != NULL && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN)) {
        os_error = os_error_of(conn);
    }
    rv = meaning_of(rc, os_error);
    if (rv == HB_E_STORE_DUPLICATE) {
        return rv;
    }
    if (conn != NULL && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN
                         || (rc & 0xff) == SQLITE_READONLY)) {
        conn->is_bad = 1;       /* a new one finds out whether that is still so */
    }
    if (rv == HB_E_STORE_DAMAGED) {
        __atomic_store_n(&self->is_lost, 1, __ATOMIC_RELAXED);
    }
    if (may_complain(self, rv)) {
        hb_log(op, rv == HB_E_STORE_DAMAGED ? HB_LOG_CRIT
               : rv == HB_E_STORE_CONFLICT ? HB_LOG_WARNING : HB_LOG_ERR,
               os_error, HBLOGNO(01102) "store %s failed on %s: %s (%d): %s", what,
               self->path, sqlite3_errstr(rc), rc, conn != NULL ? sqlite3_errmsg(conn->db)
               : rc == SQLITE_READONLY_DBMOVED ? "it was taken away or replaced"
               : "no connection");
    }
    switch (rv) {
    case HB_E_STORE_CONFLICT:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "too many writers at once; try again");
    case HB_E_STORE_READONLY:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "records cannot be written just now");
    case HB_E_STORE_DOWN:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "records cannot be reached just now");
    case HB_E_INPUT_INVALID:
        return hb_fail(op, rv, "the record is too large");
    default:
        return rv;
    }
}

const char *store_dup_index(store_conn_t *conn, hb_op_t *op, hb_collection_e in)
{
    /* "UNIQUE constraint failed: views.$.streamId, views.$.userId", or "...: users.id" */
    const char *columns = strstr(sqlite3_errmsg(conn->db), ": ");
    const hb_shape_row_t *shape = hb_shape(in);
    int i;

    for (i = 0; columns != NULL && i < shape->n_indexes; i++) {
        const char *wanted = ": ", *field;
        char *state = NULL;
        char *fields = apr_pstrdup(op->pool, shape->indexes[i].fields);

        while ((field = apr_strtok(fields, " -", &state)) != NULL) {
            wanted = apr_pstrcat(op->pool, wanted, fields == NULL ? ", " : "", shape->name,
                                 ".$.", field, NULL);
            fields = NULL;
        }
        if ((shape->indexes[i].flags & HB_INDEX_UNIQUE) && strcmp(wanted, columns) == 0) {
            return shape->indexes[i].name;
        }
    }
    return "_id";
}
