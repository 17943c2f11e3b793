/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in one SQLite file: the driver. Reads use a borrowed connection, or the writing
 * one inside a transaction; writes go through the group (store_sqlite_group.c).
 */
#include "store_sqlite.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

/* Documents of a change of many are made and dropped in a pool of their own. */
#define MANY_PER_POOL 64

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

/* The document of a row, with its id. */
static apr_status_t doc_of(hb_json_t **doc, hb_op_t *op, hb_collection_e in, const char *id,
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

/* The document's text as it is stored: without the id, which has a column of its own. */
static apr_status_t text_of(const char **text, apr_size_t *len, hb_op_t *op,
                            const hb_json_t *doc, apr_pool_t *pool)
{
    *text = hb_json_text_without(doc, "_id", pool, len);
    if (*len > HB_STORE_DOC_MAX) {
        return hb_fail(op, HB_E_INPUT_INVALID, "the record is too large");
    }
    return APR_SUCCESS;
}

/* Read one document by id. seq may be NULL. */
static apr_status_t read_one(hb_json_t **doc, apr_int64_t *seq, store_sqlite_t *self,
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
        rv = doc_of(doc, op, in, id, stmt, 1, op->pool);
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
        rv = read_one(doc, NULL, self, conn, op, in, id);
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
        rv = doc_of(&page->items[page->n_items++], op, query->in,
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

/* --- writes: each a function for the group --- */

typedef struct write_t {
    hb_collection_e in;
    const char *id;
    const hb_json_t *doc;       /* to be written, and as text */
    const char *text;
    apr_size_t len;
    const char **index;
    hb_json_t **after;
    const hb_query_t *query;
    const hb_cond_t *guards;
    int n_guards;
    const hb_edit_t *edits;
    int n_edits;
    apr_int64_t n;
    hb_store_tx_fn *fn;
    void *baton;
} write_t;

/* Step a statement that gives nothing back, whose values are bound, or failed to be: rc. */
static apr_status_t run(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                        const write_t *w, sqlite3_stmt *stmt, int rc)
{
    apr_status_t rv = APR_SUCCESS;

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc != SQLITE_DONE) {
        rv = store_fail(self, conn, rc, op, "write");
        if (rv == HB_E_STORE_DUPLICATE && w->index != NULL) {
            *w->index = store_dup_index(conn, op, w->in);
        }
    }
    sqlite3_reset(stmt);
    return rv;
}

static apr_status_t no_stmt(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op)
{
    return store_fail(self, conn, sqlite3_extended_errcode(conn->db), op, "write");
}

static int bind_doc(sqlite3_stmt *stmt, const write_t *w)
{
    return sqlite3_bind_text64(stmt, 2, w->text, w->len, SQLITE_STATIC, SQLITE_UTF8);
}

static apr_status_t run_insert(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                               void *baton)
{
    write_t *w = baton;
    sqlite3_stmt *stmt;
    store_sql_t sql;
    int rc;

    store_sql_start(&sql, w->in, op->pool);
    store_columns_insert_sql(&sql, w->in);
    stmt = store_stmt(self, conn, sql.text, 0);
    if (stmt == NULL) {
        return no_stmt(self, conn, op);
    }
    rc = sqlite3_bind_text(stmt, 1, w->id, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) {
        rc = bind_doc(stmt, w);
    }
    if (rc == SQLITE_OK) {
        rc = store_columns_bind(stmt, 3, w->in, w->doc, STORE_COLUMNS_ALL);
    }
    return run(self, conn, op, w, stmt, rc);
}

/* Write w->doc over a row; these columns may have changed. */
static apr_status_t update(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                           const write_t *w, apr_int64_t seq, apr_uint64_t changed,
                           apr_pool_t *pool)
{
    sqlite3_stmt *stmt;
    store_sql_t sql;
    int rc;

    store_sql_start(&sql, w->in, pool);
    store_columns_update_sql(&sql, w->in, changed);
    stmt = store_stmt(self, conn, sql.text, 0);
    if (stmt == NULL) {
        return no_stmt(self, conn, op);
    }
    rc = sqlite3_bind_int64(stmt, 1, seq);
    if (rc == SQLITE_OK) {
        rc = bind_doc(stmt, w);
    }
    if (rc == SQLITE_OK) {
        rc = store_columns_bind(stmt, 3, w->in, w->doc, changed);
    }
    return run(self, conn, op, w, stmt, rc);
}

static apr_status_t delete_row(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                               const write_t *w, apr_int64_t seq)
{
    char sql[128];
    sqlite3_stmt *stmt;

    apr_snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE seq=?", hb_shape(w->in)->name);
    stmt = store_stmt(self, conn, sql, 0);
    return stmt != NULL ? run(self, conn, op, w, stmt, sqlite3_bind_int64(stmt, 1, seq))
                        : no_stmt(self, conn, op);
}

static apr_status_t sqlite_insert(void *self, const char **index, hb_op_t *op,
                                  hb_collection_e in, hb_json_t *doc)
{
    const char *id = hb_json_string(doc, "_id");
    write_t w = { .in = in, .index = index, .doc = doc,
                  .id = id != NULL ? apr_pstrdup(op->pool, id) : hb_id_make(op) };
    apr_status_t rv = text_of(&w.text, &w.len, op, doc, op->pool);

    if (id == NULL) {
        hb_json_set_string(doc, "_id", w.id);
    }
    if (rv == APR_SUCCESS) {
        rv = store_write(self, op, run_insert, &w, 0,
                         ((store_sqlite_t *)self)->site->settings->store_wait);
    }
    return rv;
}

/* Edit one document that was read, and write it back. */
static apr_status_t edit_and_write(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                   write_t *w, hb_json_t *doc, apr_int64_t seq,
                                   apr_pool_t *pool)
{
    apr_status_t rv = hb_store_edit(op, doc, w->edits, w->n_edits, pool);

    if (rv == APR_SUCCESS) {
        rv = text_of(&w->text, &w->len, op, doc, pool);
    }
    if (rv == APR_SUCCESS) {
        w->doc = doc;
        rv = update(self, conn, op, w, seq, store_columns_edited(w->in, w->edits, w->n_edits),
                    pool);
    }
    return rv;
}

static apr_status_t run_change(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                               void *baton)
{
    write_t *w = baton;
    hb_json_t *doc;
    apr_int64_t seq;
    apr_status_t rv = read_one(&doc, &seq, self, conn, op, w->in, w->id);

    if (rv == APR_SUCCESS && !hb_store_match(doc, w->guards, w->n_guards)) {
        return HB_E_STORE_GUARD;
    }
    if (rv == APR_SUCCESS) {
        rv = edit_and_write(self, conn, op, w, doc, seq, op->pool);
    }
    if (rv == APR_SUCCESS) {
        *w->after = doc;
    }
    return rv;
}

static apr_status_t sqlite_change(void *self, hb_json_t **after, const char **index,
                                  hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards,
                                  const hb_edit_t *edits, int n_edits)
{
    write_t w = { .in = in, .id = id, .index = index, .after = after, .guards = guards,
                  .n_guards = n_guards, .edits = edits, .n_edits = n_edits };
    apr_status_t rv = store_write(self, op, run_change, &w, 0,
                                  ((store_sqlite_t *)self)->site->settings->store_wait);

    if (rv != APR_SUCCESS) {
        *after = NULL;
    }
    return rv;
}

/* Which columns differ is seen in the row: an index entry that stays is not written again. */
static apr_status_t run_replace(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                void *baton)
{
    write_t *w = baton;
    apr_uint64_t changed = 0;
    apr_int64_t seq = 0;
    sqlite3_stmt *stmt;
    store_sql_t sql;
    int rc;

    store_sql_start(&sql, w->in, op->pool);
    store_columns_select_sql(&sql, w->in);
    stmt = store_stmt(self, conn, sql.text, 0);
    if (stmt == NULL) {
        return no_stmt(self, conn, op);
    }
    rc = sqlite3_bind_text(stmt, 1, w->id, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        seq = sqlite3_column_int64(stmt, 0);
        changed = store_columns_differ(stmt, 1, w->in, w->doc);
    }
    sqlite3_reset(stmt);
    if (rc == SQLITE_DONE) {
        return HB_E_STORE_MISSING;
    }
    return rc == SQLITE_ROW ? update(self, conn, op, w, seq, changed, op->pool)
                            : store_fail(self, conn, rc, op, "write");
}

static apr_status_t sqlite_replace(void *self, const char **index, hb_op_t *op,
                                   hb_collection_e in, hb_json_t *doc)
{
    write_t w = { .in = in, .index = index, .doc = doc,
                  .id = apr_pstrdup(op->pool, hb_json_string(doc, "_id")) };
    apr_status_t rv = text_of(&w.text, &w.len, op, doc, op->pool);

    if (rv == APR_SUCCESS) {
        rv = store_write(self, op, run_replace, &w, 0,
                         ((store_sqlite_t *)self)->site->settings->store_wait);
    }
    return rv;
}

static apr_status_t run_remove(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                               void *baton)
{
    write_t *w = baton;
    hb_json_t *doc;
    apr_int64_t seq;
    apr_status_t rv = read_one(&doc, &seq, self, conn, op, w->in, w->id);

    if (rv == HB_E_STORE_DAMAGED && w->n_guards == 0) {
        rv = APR_SUCCESS;       /* what cannot be read may still be removed */
    }
    else if (rv == APR_SUCCESS && !hb_store_match(doc, w->guards, w->n_guards)) {
        rv = HB_E_STORE_GUARD;
    }
    if (rv == APR_SUCCESS) {
        rv = delete_row(self, conn, op, w, seq);
    }
    return rv;
}

static apr_status_t sqlite_remove(void *self, hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards)
{
    write_t w = { .in = in, .id = id, .guards = guards, .n_guards = n_guards };

    return store_write(self, op, run_remove, &w, 0,
                       ((store_sqlite_t *)self)->site->settings->store_wait);
}

/* The rows of a query, before any of them is changed: a change may move a row to where the
 * query would find it again. */
static apr_status_t rows_of(apr_array_header_t **rows, store_sqlite_t *self,
                            store_conn_t *conn, hb_op_t *op, const hb_query_t *query,
                            int is_limited)
{
    store_sql_t sql;
    sqlite3_stmt *stmt;
    apr_status_t rv = APR_SUCCESS;
    int rc;

    *rows = apr_array_make(op->pool, 64, sizeof(apr_int64_t));
    store_sql_start(&sql, query->in, op->pool);
    store_sql_add(&sql, "SELECT seq FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, 0);
    if (is_limited) {
        if (hb_store_n_keys(query) > 0) {
            store_sql_order(&sql, query, 0);
        }
        store_sql_limit(&sql, query->limit);
    }
    stmt = store_stmt(self, conn, sql.text, query->n_where > 0 ? STORE_STMT_LOOK : 0);
    rc = stmt != NULL ? store_sql_bind(&sql, stmt) : sqlite3_extended_errcode(conn->db);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        APR_ARRAY_PUSH(*rows, apr_int64_t) = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_DONE) {
        rv = store_fail(self, conn, rc, op, "write");
    }
    sqlite3_reset(stmt);
    return rv;
}

/* Read the document of a row that rows_of found. */
static apr_status_t read_row(hb_json_t **doc, store_sqlite_t *self, store_conn_t *conn,
                             hb_op_t *op, hb_collection_e in, apr_int64_t seq,
                             apr_pool_t *pool)
{
    char sql[128];
    sqlite3_stmt *stmt;
    apr_status_t rv;
    int rc;

    apr_snprintf(sql, sizeof(sql), "SELECT id,doc FROM \"%s\" WHERE seq=?",
                 hb_shape(in)->name);
    stmt = store_stmt(self, conn, sql, 0);
    rc = stmt != NULL ? sqlite3_bind_int64(stmt, 1, seq)
        : sqlite3_extended_errcode(conn->db);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        rv = doc_of(doc, op, in, (const char *)sqlite3_column_text(stmt, 0), stmt, 1, pool);
    }
    else {
        rv = store_fail(self, conn, rc, op, "write");
    }
    sqlite3_reset(stmt);
    return rv;
}

static apr_status_t run_change_all(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                   void *baton)
{
    write_t *w = baton;
    apr_array_header_t *rows;
    apr_pool_t *scratch;
    apr_status_t rv = rows_of(&rows, self, conn, op, w->query, 0);
    int i;

    apr_pool_create(&scratch, op->pool);
    for (i = 0; i < rows->nelts && rv == APR_SUCCESS; i++) {
        apr_int64_t seq = APR_ARRAY_IDX(rows, i, apr_int64_t);
        hb_json_t *doc;

        rv = read_row(&doc, self, conn, op, w->in, seq, scratch);
        if (rv == APR_SUCCESS) {
            rv = edit_and_write(self, conn, op, w, doc, seq, scratch);
        }
        if (i % MANY_PER_POOL == MANY_PER_POOL - 1) {
            apr_pool_clear(scratch);
        }
    }
    apr_pool_destroy(scratch);
    w->n = rows->nelts;
    return rv;
}

static apr_status_t sqlite_change_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query, const hb_edit_t *edits,
                                      int n_edits)
{
    write_t w = { .in = query->in, .query = query, .edits = edits, .n_edits = n_edits };
    apr_status_t rv = store_write(self, op, run_change_all, &w, 1,
                                  ((store_sqlite_t *)self)->site->settings->store_wait);

    *n = rv == APR_SUCCESS ? w.n : 0;
    return rv;
}

static apr_status_t run_remove_all(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                   void *baton)
{
    write_t *w = baton;
    apr_array_header_t *rows;
    apr_status_t rv = rows_of(&rows, self, conn, op, w->query, w->query->limit > 0);
    int i;

    for (i = 0; i < rows->nelts && rv == APR_SUCCESS; i++) {
        rv = delete_row(self, conn, op, w, APR_ARRAY_IDX(rows, i, apr_int64_t));
    }
    w->n = rows->nelts;
    return rv;
}

static apr_status_t sqlite_remove_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query)
{
    write_t w = { .in = query->in, .query = query };
    apr_status_t rv = store_write(self, op, run_remove_all, &w, 1,
                                  ((store_sqlite_t *)self)->site->settings->store_wait);

    *n = rv == APR_SUCCESS ? w.n : 0;
    return rv;
}

static apr_status_t run_transact(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op,
                                 void *baton)
{
    write_t *w = baton;
    store_tx_t tx = { { self }, conn, 0 };
    apr_status_t rv;

    if (op->tx != NULL) {       /* inside another: that one's savepoints are counted on */
        return w->fn(op, w->baton);
    }
    op->tx = &tx.head;
    rv = w->fn(op, w->baton);
    op->tx = NULL;
    return rv;
}

static apr_status_t sqlite_transact(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton)
{
    write_t w = { .fn = fn, .baton = baton };

    return store_write(self, op, run_transact, &w, 1,
                       ((store_sqlite_t *)self)->site->settings->store_wait);
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
    .insert = sqlite_insert,
    .change = sqlite_change,
    .replace = sqlite_replace,
    .walk = sqlite_walk,
    .values = store_sqlite_values,
    .groups = store_sqlite_groups,
    .change_all = sqlite_change_all,
    .remove = sqlite_remove,
    .remove_all = sqlite_remove_all,
    .transact = sqlite_transact,
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
