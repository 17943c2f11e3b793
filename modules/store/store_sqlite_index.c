/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes of the SQLite file: which are there, and making them. Those of one table are made in
 * one transaction, with the writers' lock, on a connection that sorts in files: an index of ten
 * million records must not need the memory for them.
 */
#include "store_sqlite.h"

#include <string.h>

#include <apr_strings.h>

#define LOCK_WAIT_USEC 30000000     /* an operator waits longer than a request */
#define LOG_PAGES 8192              /* a longer log goes into the file before the next table */

/* --- which there are --- */

static hb_json_t *index_json(apr_pool_t *pool, const char *collection, const char *name,
                             const char *state)
{
    hb_json_t *json = hb_json_object_make(pool);

    hb_json_set_string(json, "collection", collection);
    hb_json_set_string(json, "index", name);
    hb_json_set_string(json, "state", state);
    return json;
}

static void list_wanted(hb_json_t *list, store_conn_t *conn, apr_pool_t *pool)
{
    const char *const *layout = store_sqlite_layout(pool);
    const hb_shape_row_t *shape = NULL;
    int i = 0;

    for (; layout[0] != NULL; layout += 2) {
        const hb_shape_row_t *next = hb_shape_by_name(layout[0]);
        const char *sql;
        hb_json_t *json;

        if (next != NULL && strncmp(layout[1], "CREATE TABLE", 12) == 0) {
            shape = next;       /* its indexes follow, in their order */
            i = 0;
            continue;
        }
        sql = store_sql_of(conn, layout[0], pool);
        json = index_json(pool, shape->name, shape->indexes[i].name, sql == NULL ? "missing"
                          : strcmp(sql, layout[1]) == 0 ? "good" : "different");
        hb_json_set_string(json, "fields", shape->indexes[i].fields);
        hb_json_set_bool(json, "unique", (shape->indexes[i].flags & HB_INDEX_UNIQUE) != 0);
        hb_json_set_bool(json, "partial", (shape->indexes[i].flags & HB_INDEX_SPARSE) != 0);
        hb_json_push(list, json);
        i++;
    }
}

/* Those of somebody who was here with another tool; the next start of a new version drops them. */
static int list_extra(hb_json_t *list, store_conn_t *conn, apr_pool_t *pool)
{
    const char *const *layout;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, "SELECT tbl_name,name FROM sqlite_schema WHERE "
                                "type='index' AND sql IS NOT NULL", -1, &stmt, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 1);

        for (layout = store_sqlite_layout(pool); layout[0] != NULL; layout += 2) {
            if (strcmp(layout[0], name) == 0) {
                break;
            }
        }
        if (layout[0] == NULL) {
            hb_json_push(list, index_json(pool, (const char *)sqlite3_column_text(stmt, 0), name,
                                          "extra"));
        }
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

apr_status_t store_sqlite_indexes(void *baton, hb_json_t **list, hb_op_t *op)
{
    store_sqlite_t *self = baton;
    hb_json_t *made = hb_json_array_make(op->pool);
    store_conn_t *conn;
    apr_status_t rv;
    int rc;

    conn = store_conn_open(&rc, self, self->path, STORE_CONN_READER);
    if (conn == NULL) {
        return store_fail(self, NULL, rc, op, "indexes");
    }
    list_wanted(made, conn, op->pool);
    rc = list_extra(made, conn, op->pool);
    rv = rc == SQLITE_OK ? APR_SUCCESS : store_fail(self, conn, rc, op, "indexes");
    store_conn_close(conn);
    if (rv == APR_SUCCESS) {
        *list = made;
    }
    return rv;
}

/* --- making them --- */

/* What brings one index about; NULL when nothing has to be done. */
static const char *remedy_of(store_conn_t *conn, const char *const *row, int all,
                             apr_pool_t *pool)
{
    const char *sql = hb_shape_by_name(row[0]) == NULL ? store_sql_of(conn, row[0], pool) : row[1];

    if (sql == NULL) {
        return row[1];
    }
    if (strcmp(sql, row[1]) != 0) {
        return apr_pstrcat(pool, "DROP INDEX \"", row[0], "\"; ", row[1], NULL);
    }
    return all && sql != row[1] ? apr_pstrcat(pool, "REINDEX \"", row[0], "\"", NULL) : NULL;
}

typedef struct job_t {
    store_sqlite_t *self;
    store_conn_t *conn;
    hb_op_t *op;
    int all;
    hb_store_report_fn *report;
    void *baton;
    apr_int64_t done, total;
} job_t;

/* The indexes of one table, whose row is the first, in one transaction with the lock held. */
static apr_status_t make_some(job_t *job, const char *const *row)
{
    store_conn_t *conn = job->conn;
    apr_status_t rv = APR_SUCCESS;
    int rc = store_exec(conn, "BEGIN IMMEDIATE");

    for (row += 2; rc == SQLITE_OK && rv == APR_SUCCESS && row[0] != NULL
         && hb_shape_by_name(row[0]) == NULL; row += 2) {
        const char *sql = remedy_of(conn, row, job->all, job->op->pool);

        if (sql == NULL) {
            continue;
        }
        if (job->report != NULL && job->report(job->baton, row[0], job->done, job->total) != 0) {
            rv = APR_EINTR;
            break;
        }
        job->done++;
        rc = store_exec(conn, sql);
        if ((rc & 0xff) == SQLITE_CONSTRAINT) {
            rc = SQLITE_OK;
            rv = hb_fail(job->op, HB_E_STORE_DUPLICATE, "two records have the same values in the "
                         "unique index %s", row[0]);
        }
    }
    if (rc == SQLITE_OK && rv == APR_SUCCESS) {
        rc = store_exec(conn, "COMMIT");
    }
    if (rc != SQLITE_OK) {
        rv = store_fail(job->self, conn, rc, job->op, "reindex");
    }
    if (!sqlite3_get_autocommit(conn->db)) {
        store_exec(conn, "ROLLBACK");
    }
    return rv;
}

static apr_status_t make_with_lock(job_t *job, const char *const *row, int is_last)
{
    store_conn_t *conn = job->conn;
    int died;
    apr_status_t rv = store_lock_take(job->self->lock, hb_clock() + LOCK_WAIT_USEC, &died);

    if (rv != APR_SUCCESS) {
        return hb_fail_later(job->op, HB_E_STORE_CONFLICT, 1, "others write without a break");
    }
    rv = make_some(job, row);
    if (rv == APR_SUCCESS && (conn->wal_pages > LOG_PAGES || is_last)) {
        sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        conn->wal_pages = 0;
    }
    store_lock_give(job->self->lock);
    return rv;
}

/* How much is to be done for the table whose row it is. */
static int n_remedies(const job_t *job, const char *const *row)
{
    int n = 0;

    for (row += 2; row[0] != NULL && hb_shape_by_name(row[0]) == NULL; row += 2) {
        n += remedy_of(job->conn, row, job->all, job->op->pool) != NULL;
    }
    return n;
}

apr_status_t store_sqlite_reindex(void *baton, hb_op_t *op, int all,
                                  hb_store_report_fn *report, void *report_baton)
{
    store_sqlite_t *self = baton;
    const char *const *layout = store_sqlite_layout(op->pool), *const *row;
    job_t job = { self, NULL, op, all, report, report_baton, 0, 0 };
    apr_status_t rv = APR_SUCCESS;
    int rc;

    job.conn = store_conn_open(&rc, self, self->path, 0);
    if (job.conn == NULL) {
        return store_fail(self, NULL, rc, op, "reindex");
    }
    store_exec(job.conn, "PRAGMA temp_store=FILE");
    for (row = layout; row[0] != NULL; row += 2) {
        job.total += hb_shape_by_name(row[0]) != NULL ? n_remedies(&job, row) : 0;
    }
    for (row = layout; row[0] != NULL && rv == APR_SUCCESS && job.done < job.total; row += 2) {
        int n = hb_shape_by_name(row[0]) != NULL ? n_remedies(&job, row) : 0;

        if (n > 0) {
            rv = make_with_lock(&job, row, job.done + n >= job.total);
        }
    }
    if (rv == APR_SUCCESS && report != NULL) {
        report(report_baton, "indexes", job.done, job.total);
    }
    store_conn_close(job.conn);
    return rv;
}
