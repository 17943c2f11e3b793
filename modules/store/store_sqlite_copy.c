/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a copy (hb_store_copy.c) asks of its source and of its target: one moment to read, an empty
 * store without indexes, many records and the place where the copy stands in one commit.
 */
#include "store_sqlite.h"

#include <apr_strings.h>

apr_status_t store_sqlite_freeze(void *baton, hb_op_t *op, hb_store_tx_fn *fn, void *fn_baton)
{
    store_sqlite_t *self = baton;
    store_tx_t tx = { { self }, NULL, 0 };
    apr_status_t rv;
    int rc;

    tx.conn = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
    if (tx.conn != NULL) {
        rc = store_exec(tx.conn, "BEGIN; SELECT count(*) FROM meta");
    }
    if (rc != SQLITE_OK) {
        rv = store_fail(self, tx.conn, rc, op, "freeze");
    }
    else {
        op->tx = &tx.head;
        rv = fn(op, fn_baton);
        op->tx = NULL;
        store_exec(tx.conn, "COMMIT");
    }
    if (tx.conn != NULL) {
        store_conn_close(tx.conn);
    }
    return rv;
}

static apr_status_t run_clear(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op, void *baton)
{
    const char *const *layout = store_sqlite_layout(op->pool);
    int rc = store_set_layout_mark(conn, 0, op->pool);

    (void)baton;
    for (; layout[0] != NULL && rc == SQLITE_OK; layout += 2) {
        rc = store_exec(conn, apr_pstrcat(op->pool, hb_shape_by_name(layout[0]) != NULL
            ? "DELETE FROM \"" : "DROP INDEX IF EXISTS \"", layout[0], "\"", NULL));
    }
    return rc == SQLITE_OK ? APR_SUCCESS : store_fail(self, conn, rc, op, "clear");
}

apr_status_t store_sqlite_clear(void *baton, hb_op_t *op)
{
    store_sqlite_t *self = baton;

    return store_write(self, op, run_clear, NULL, 1, self->site->settings->store_wait);
}

typedef struct batch_t {
    hb_collection_e in;
    const hb_store_raw_t *docs;
    int n;
    const char *note;
} batch_t;

static int put_one(sqlite3_stmt *stmt, hb_collection_e in, const hb_store_raw_t *raw)
{
    int rc = sqlite3_bind_text(stmt, 1, raw->id, -1, SQLITE_STATIC);

    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text64(stmt, 2, raw->text, raw->len, SQLITE_STATIC, SQLITE_UTF8);
    }
    if (rc == SQLITE_OK) {
        rc = store_columns_bind(stmt, 3, in, raw->json, STORE_COLUMNS_ALL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static apr_status_t run_put(store_sqlite_t *self, store_conn_t *conn, hb_op_t *op, void *baton)
{
    const batch_t *batch = baton;
    sqlite3_stmt *stmt = NULL;
    store_sql_t sql;
    int i, rc = SQLITE_OK;

    if (batch->n > 0) {
        store_sql_start(&sql, batch->in, op->pool);
        store_columns_insert_sql(&sql, batch->in);
        stmt = store_stmt(self, conn, sql.text, 0);
        rc = stmt != NULL ? SQLITE_OK : sqlite3_extended_errcode(conn->db);
    }
    for (i = 0; i < batch->n && rc == SQLITE_OK; i++) {
        rc = put_one(stmt, batch->in, &batch->docs[i]);
    }
    if (rc == SQLITE_OK && batch->note == NULL) {
        rc = store_set_layout_mark(conn, 1, op->pool);
    }
    if (rc == SQLITE_OK) {
        rc = store_set_meta(conn, STORE_META_COPY, batch->note);
    }
    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        return hb_fail(op, HB_E_STORE_DUPLICATE, "somebody else writes into %s, too",
                       hb_shape(batch->in)->name);
    }
    return rc == SQLITE_OK ? APR_SUCCESS : store_fail(self, conn, rc, op, "load");
}

apr_status_t store_sqlite_load(void *baton, hb_op_t *op, hb_collection_e in,
                              const hb_store_raw_t *docs, int n, const char *note)
{
    store_sqlite_t *self = baton;
    batch_t batch = { in, docs, n, note };

    return store_write(self, op, run_put, &batch, 1, self->site->settings->store_wait);
}

apr_status_t store_sqlite_note(void *baton, const char **note, hb_op_t *op)
{
    store_sqlite_t *self = baton;
    store_conn_t *conn;
    apr_status_t rv = store_reader_take(&conn, self, op);

    if (rv == APR_SUCCESS) {
        *note = store_meta(conn, STORE_META_COPY, op->pool);
        store_reader_give(self, conn);
    }
    return rv;
}
