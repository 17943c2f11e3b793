/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single fields and sums of what a query finds, without making documents of it: the file's own
 * functions look into each row.
 */
#include "store_sqlite.h"

#include <apr_strings.h>
#include <apr_tables.h>

/* "SELECT <fields> FROM <table> WHERE ..." is begun; the connection is the transaction's or
 * borrowed. */
static apr_status_t open_query(store_conn_t **conn, sqlite3_stmt **stmt, int *rc,
                               store_sqlite_t *self, hb_op_t *op, const store_sql_t *sql,
                               int flags)
{
    apr_status_t rv = APR_SUCCESS;

    if (op->tx != NULL) {
        *conn = ((store_tx_t *)op->tx)->conn;
    }
    else {
        rv = store_reader_take(conn, self, op);
    }
    if (rv == APR_SUCCESS) {
        *stmt = store_stmt(self, *conn, sql->text, flags);
        *rc = *stmt != NULL ? store_sql_bind(sql, *stmt)
                            : sqlite3_extended_errcode((*conn)->db);
    }
    return rv;
}

static apr_status_t close_query(store_sqlite_t *self, hb_op_t *op, store_conn_t *conn,
                                sqlite3_stmt *stmt, int rc, const char *what)
{
    apr_status_t rv = APR_SUCCESS;

    if (rc == SQLITE_ERROR && stmt != NULL) {       /* the only mistake a prepared one can make */
        rv = hb_fail(op, HB_E_INPUT_INVALID, "the sum is beyond 64 bits");
    }
    else if (rc != SQLITE_DONE && rc != SQLITE_OK) {
        rv = store_fail(self, conn, rc, op, what);
    }
    if (stmt != NULL) {
        sqlite3_reset(stmt);
    }
    if (op->tx == NULL) {
        store_reader_give(self, conn);
    }
    return rv;
}

apr_status_t store_sqlite_values(void *self, hb_op_t *op, const hb_query_t *query,
                                 const char *field, hb_store_value_fn *fn, void *baton)
{
    sqlite3_stmt *stmt = NULL;
    store_conn_t *conn;
    store_sql_t sql;
    apr_status_t rv;
    int rc = SQLITE_OK;

    store_sql_start(&sql, query->in, op->pool);
    store_sql_add(&sql, "SELECT ");
    store_sql_field(&sql, field);
    store_sql_add(&sql, " FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, 0);
    if (hb_store_n_keys(query) > 0) {
        store_sql_order(&sql, query, 0);
    }
    if (query->limit > 0) {
        store_sql_limit(&sql, query->limit);
    }
    rv = open_query(&conn, &stmt, &rc, self, op, &sql,
                    query->n_where > 0 ? STORE_STMT_LOOK : STORE_STMT_LOOK | STORE_STMT_WALKS);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);

        if (text != NULL && fn(baton, text) != 0) {
            rc = SQLITE_DONE;
            break;
        }
        rc = SQLITE_OK;
    }
    return close_query(self, op, conn, stmt, rc, "values");
}

static const char *key_of(hb_op_t *op, sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return text != NULL ? apr_pstrdup(op->pool, text) : "";
}

apr_status_t store_sqlite_groups(void *self, hb_group_t **groups, int *n, hb_op_t *op,
                                 const hb_query_t *query, const char *const by[2],
                                 const char *sum)
{
    apr_array_header_t *all = apr_array_make(op->pool, 8, sizeof(hb_group_t));
    sqlite3_stmt *stmt = NULL;
    store_conn_t *conn;
    store_sql_t sql;
    apr_status_t rv;
    int i, rc = SQLITE_OK;

    store_sql_start(&sql, query->in, op->pool);
    store_sql_add(&sql, "SELECT ");
    for (i = 0; i < 2; i++) {
        if (by[i] != NULL) {
            store_sql_field(&sql, by[i]);
        }
        store_sql_add(&sql, by[i] != NULL ? "," : "'',");
    }
    store_sql_add(&sql, "count(*),");
    if (sum != NULL) {
        store_sql_add(&sql, "sum(");
        store_sql_field(&sql, sum);
        store_sql_add(&sql, ")");
    }
    store_sql_add(&sql, sum != NULL ? " FROM \"" : "0 FROM \"");
    store_sql_add(&sql, hb_shape(query->in)->name);
    store_sql_add(&sql, "\"");
    store_sql_where(&sql, query, 0);
    store_sql_add(&sql, " GROUP BY 1,2 ORDER BY 1,2");
    rv = open_query(&conn, &stmt, &rc, self, op, &sql, STORE_STMT_LOOK | STORE_STMT_SORTS
                    | (query->n_where > 0 ? 0 : STORE_STMT_WALKS));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        APR_ARRAY_PUSH(all, hb_group_t) = (hb_group_t){
            { key_of(op, stmt, 0), key_of(op, stmt, 1) },
            sqlite3_column_int64(stmt, 2), sqlite3_column_int64(stmt, 3)
        };
        rc = SQLITE_OK;
    }
    rv = close_query(self, op, conn, stmt, rc, "groups");
    *groups = (hb_group_t *)(void *)all->elts;
    *n = rv == APR_SUCCESS ? all->nelts : 0;
    return rv;
}
