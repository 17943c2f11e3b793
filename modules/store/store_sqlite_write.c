/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in one SQLite file: writes. Each is a function that the group runs on the writing
 * connection (store_sqlite_group.c), and the driver's call that hands it there.
 */
#include "store_sqlite.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

/* Documents of a change of many are made and dropped in a pool of their own. */
#define MANY_PER_POOL 64

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

apr_status_t store_sqlite_insert(void *self, const char **index, hb_op_t *op,
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
    apr_status_t rv = store_read_one(&doc, &seq, self, conn, op, w->in, w->id);

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

apr_status_t store_sqlite_change(void *self, hb_json_t **after, const char **index,
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

apr_status_t store_sqlite_replace(void *self, const char **index, hb_op_t *op,
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
    apr_status_t rv = store_read_one(&doc, &seq, self, conn, op, w->in, w->id);

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

apr_status_t store_sqlite_remove(void *self, hb_op_t *op, hb_collection_e in, const char *id,
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
        rv = store_doc_of(doc, op, in, (const char *)sqlite3_column_text(stmt, 0), stmt, 1, pool);
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

apr_status_t store_sqlite_change_all(void *self, apr_int64_t *n, hb_op_t *op,
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

apr_status_t store_sqlite_remove_all(void *self, apr_int64_t *n, hb_op_t *op,
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

apr_status_t store_sqlite_transact(void *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton)
{
    write_t w = { .fn = fn, .baton = baton };

    return store_write(self, op, run_transact, &w, 1,
                       ((store_sqlite_t *)self)->site->settings->store_wait);
}
