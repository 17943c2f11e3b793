/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in one SQLite file: the driver, and its reads, which use a borrowed connection, or the
 * writing one inside a transaction. Writes are in store_sqlite_write.c.
 */
#include "store_sqlite.h"

#include <string.h>

#include <apr_strings.h>

/* The connection for a read: the transaction's, or a borrowed one. */
static apr_status_t conn_for_read(store_conn_t **conn, store_sqlite_t *self, hb_op_t *op)
{
    if (op->tx != NULL) {
        *conn = ((store_tx_t *)op->tx)->conn;
        return APR_SUCCESS;
    }
    return store_reader_take(conn, self, op);
}

static void conn_done(store_sqlite_t *self, hb_op_t *op, store_conn_t *conn)
{
    if (op->tx == NULL) {
        store_reader_give(self, conn);
    }
}

apr_status_t store_doc_of(hb_json_t **doc, hb_op_t *op, hb_collection_e in, const char *id,
                          sqlite3_stmt *stmt, int column, apr_pool_t *pool)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    int n = sqlite3_column_bytes(stmt, column);

    *doc = text != NULL ? hb_json_parse_own(text, (apr_size_t)n, pool) : NULL;
    if (*doc == NULL || hb_json_type(*doc) != HB_JSON_OBJECT) {
        *doc = NULL;
        hb_log(op, HB_LOG_CRIT, 0, HBLOGNO(01130) "record %s of %s is damaged: it is no JSON "
               "object; `halobuzzctl store verify` lists all such", id, hb_shape(in)->name);
        return HB_E_STORE_DAMAGED;
    }
    hb_json_set_string(*doc, "_id", id);
    return APR_SUCCESS;
}

apr_status_t store_read_one(hb_json_t **doc, apr_int64_t *seq, store_sqlite_t *self,
                            store_conn_t *conn, hb_op_t *op, hb_collection_e in,
                            const char *id)
{
    sqlite3_stmt *stmt = store_stmt_get(self, conn, in);
    apr_status_t rv;
    int rc;

    if (stmt == NULL) {
        return store_fail(self, conn, sqlite3_extended_errcode(conn->db), op, "get");
    }
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        if (seq != NULL) {
            *seq = sqlite3_column_int64(stmt, 0);
        }
        rv = store_doc_of(doc, op, in, id, stmt, 1, op->pool);
    }
    else {
        rv = rc == SQLITE_DONE ? HB_E_STORE_MISSING : store_fail(self, conn, rc, op, "get");
    }
    sqlite3_reset(stmt);
    return rv;
}

static apr_status_t sqlite_get(void *self, hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                               const char *id)
{
    store_conn_t *conn;
    apr_status_t rv = conn_for_read(&conn, self, op);

    if (rv == APR_SUCCESS) {
        rv = store_read_one(doc, NULL, self, conn, op, in, id);
        conn_done(self, op, conn);
    }
    return rv;
}

/* A list is only walked in its order when nothing has to be filtered out on the way. */
static int look_flags(const hb_query_t *query)
{
    return query->n_where == 0 ? STORE_STMT_LOOK | STORE_STMT_WALKS : STORE_STMT_LOOK;
}

/* Append what one step of a page finds. */
static apr_status_t find_step(hb_page_t *page, store_sqlite_t *self, store_conn_t *conn,
                              hb_op_t *op, const hb_query_t *query,
                              const hb_store_cursor_t *cursor, int n_same)
{
    sqlite3_stmt *stmt;
    store_sql_t sql;
    apr_status_t rv = APR_SUCCESS;
    int rc;

    store_sql_start(&sql, query->in, op->pool);
    store_sql_add(&sql, "SELECT id,doc FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, n_same);
    if (cursor != NULL) {
        store_sql_behind(&sql, query, cursor, n_same);
    }
    store_sql_order(&sql, query, n_same);
    store_sql_limit(&sql, query->limit + 1 - page->n_items);
    stmt = store_stmt(self, conn, sql.text, look_flags(query));
    if (stmt == NULL) {
        return store_fail(self, conn, sqlite3_extended_errcode(conn->db), op, "find");
    }
    rc = store_sql_bind(&sql, stmt);
    while (rc == SQLITE_OK && rv == APR_SUCCESS && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        rv = store_doc_of(&page->items[page->n_items++], op, query->in,
                          (const char *)sqlite3_column_text(stmt, 0), stmt, 1, op->pool);
        rc = SQLITE_OK;
    }
    if (rv == APR_SUCCESS && rc != SQLITE_DONE) {
        rv = store_fail(self, conn, rc, op, "find");
    }
    sqlite3_reset(stmt);
    return rv;
}

/* The steps of a page behind a cursor have to see the same moment. */
static apr_status_t find_behind(hb_page_t *page, store_sqlite_t *self, store_conn_t *conn,
                                hb_op_t *op, const hb_query_t *query,
                                const hb_store_cursor_t *cursor)
{
    int own = sqlite3_get_autocommit(conn->db);
    apr_status_t rv = APR_SUCCESS;
    int n_same, rc;

    if (own && (rc = store_run(self, conn, "BEGIN")) != SQLITE_OK) {
        return store_fail(self, conn, rc, op, "find");
    }
    for (n_same = cursor->n_keys; n_same >= 0 && rv == APR_SUCCESS
             && page->n_items <= query->limit; n_same--) {
        rv = find_step(page, self, conn, op, query, cursor, n_same);
    }
    if (own && store_run(self, conn, "COMMIT") != SQLITE_OK) {
        conn->is_bad = 1;
    }
    return rv;
}

static apr_status_t sqlite_find(void *self, hb_page_t *page, hb_op_t *op,
                                const hb_query_t *query)
{
    hb_store_cursor_t cursor;
    store_conn_t *conn;
    apr_status_t rv = APR_SUCCESS;

    page->items = apr_palloc(op->pool, (apr_size_t)(query->limit + 1) * sizeof(*page->items));
    if (query->after != NULL) {
        rv = hb_store_cursor_read(&cursor, op, query);
    }
    if (rv == APR_SUCCESS) {
        rv = conn_for_read(&conn, self, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (query->after == NULL) {
        rv = find_step(page, self, conn, op, query, NULL, 0);
    }
    else {
        rv = find_behind(page, self, conn, op, query, &cursor);
    }
    conn_done(self, op, conn);
    if (rv != APR_SUCCESS) {
        memset(page, 0, sizeof(*page));
        return rv;
    }
    if (page->n_items > query->limit) {     /* one more was read, to know whether there is */
        page->n_items = query->limit;
        page->next = hb_store_cursor_make(op, query, page->items[page->n_items - 1]);
    }
    return APR_SUCCESS;
}

static apr_status_t sqlite_count(void *self, apr_int64_t *n, hb_op_t *op,
                                 const hb_query_t *query)
{
    store_conn_t *conn;
    apr_status_t rv = conn_for_read(&conn, self, op);
    sqlite3_stmt *stmt;
    store_sql_t sql;
    int rc;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    store_sql_start(&sql, query->in, op->pool);
    store_sql_add(&sql, "SELECT count(*) FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, 0);
    stmt = store_stmt(self, conn, sql.text, look_flags(query));
    rc = stmt != NULL ? store_sql_bind(&sql, stmt) : sqlite3_extended_errcode(conn->db);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *n = sqlite3_column_int64(stmt, 0);
    }
    else {
        rv = store_fail(self, conn, rc, op, "count");
    }
    sqlite3_reset(stmt);
    conn_done(self, op, conn);
    return rv;
}

#define WALK_PAGE 1000

/* One page of a walk; *at is where the next one starts. Sets *n to the rows it met. */
static apr_status_t walk_page(int *n, hb_value_t *at, store_sqlite_t *self,
                              store_conn_t *conn, hb_op_t *op, const hb_query_t *query,
                              hb_store_walk_fn *fn, void *baton, apr_pool_t *pool)
{
    int by_id = strcmp(query->sort[0].field, "_id") == 0;
    apr_status_t rv = APR_SUCCESS;
    sqlite3_stmt *stmt;
    store_sql_t sql;
    int rc, stop = 0;

    store_sql_start(&sql, query->in, pool);
    store_sql_add(&sql, "SELECT id,doc,");
    store_sql_field(&sql, query->sort[0].field);
    store_sql_add(&sql, " FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, 0);
    store_sql_order(&sql, query, 0);
    store_sql_limit(&sql, WALK_PAGE);
    stmt = store_stmt(self, conn, sql.text, STORE_STMT_LOOK | STORE_STMT_WALKS);
    rc = stmt != NULL ? store_sql_bind(&sql, stmt) : sqlite3_extended_errcode(conn->db);
    for (*n = 0; rc == SQLITE_OK && !stop && (rc = sqlite3_step(stmt)) == SQLITE_ROW; ++*n) {
        const char *id = (const char *)sqlite3_column_text(stmt, 0);
        const char *text = (const char *)sqlite3_column_text(stmt, 1);

        if (*n == WALK_PAGE - 1) {
            *at = (hb_value_t){ by_id ? HB_VALUE_STRING : HB_VALUE_INT,
                                by_id ? apr_pstrdup(pool, id) : NULL,
                                by_id ? 0 : sqlite3_column_int64(stmt, 2), NULL };
        }
        stop = fn(baton, id, text != NULL ? text : "",
                  text != NULL ? (apr_size_t)sqlite3_column_bytes(stmt, 1) : 0);
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        rv = store_fail(self, conn, rc, op, "walk");
    }
    if (stmt != NULL) {
        sqlite3_reset(stmt);
    }
    if (stop) {
        *n = 0;
    }
    return rv;
}

static apr_status_t sqlite_walk(void *self, hb_op_t *op, hb_collection_e in,
                                const char *field, const hb_value_t *above,
                                hb_store_walk_fn *fn, void *baton)
{
    hb_cond_t cond = { field, HB_ABOVE, HB_NIL };
    hb_query_t query = { in, &cond, above != NULL, { { field, 0 } } };
    apr_status_t rv = APR_SUCCESS;
    apr_pool_t *pool, *next, *page;
    store_conn_t *conn;
    int n = WALK_PAGE;

    if (above != NULL) {
        cond.value = *above;
    }
    apr_pool_create(&pool, op->pool);
    apr_pool_create(&next, op->pool);
    while (n == WALK_PAGE && rv == APR_SUCCESS
           && (rv = conn_for_read(&conn, self, op)) == APR_SUCCESS) {
        apr_pool_clear(next);
        rv = walk_page(&n, &cond.value, self, conn, op, &query, fn, baton, next);
        conn_done(self, op, conn);
        query.n_where = 1;
        page = pool;            /* the value to go on from lies in the other pool */
        pool = next;
        next = page;
    }
    apr_pool_destroy(pool);
    apr_pool_destroy(next);
    return rv;
}

static int sqlite_is_lost(void *self)
{
    return __atomic_load_n(&((store_sqlite_t *)self)->is_lost, __ATOMIC_RELAXED);
}

const hb_store_driver_t store_sqlite_driver = {
    .scheme = "sqlite",
    .accepts = "sqlite:FILE",
    .open = store_sqlite_open,
    .is_lost = sqlite_is_lost,
    .get = sqlite_get,
    .find = sqlite_find,
    .count = sqlite_count,
    .insert = store_sqlite_insert,
    .change = store_sqlite_change,
    .replace = store_sqlite_replace,
    .walk = sqlite_walk,
    .values = store_sqlite_values,
    .groups = store_sqlite_groups,
    .change_all = store_sqlite_change_all,
    .remove = store_sqlite_remove,
    .remove_all = store_sqlite_remove_all,
    .transact = store_sqlite_transact,
    .ping = store_sqlite_ping,
    .backup = store_sqlite_backup,
    .is_used = store_sqlite_is_used,
    .put = store_sqlite_put,
    .verify = store_sqlite_verify,
    .stats = store_sqlite_stats,
    .indexes = store_sqlite_indexes,
    .reindex = store_sqlite_reindex,
    .freeze = store_sqlite_freeze,
    .clear = store_sqlite_clear,
    .load = store_sqlite_load,
    .note = store_sqlite_note,
};
