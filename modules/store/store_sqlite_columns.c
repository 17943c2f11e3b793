/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns beside a document: one for each field that an index of its collection names,
 * "$.path", written with the document from the value at hand. Indexes are on these. Indexes on
 * expressions over the document would need no columns, and had been there before; but each
 * write of a record then parsed its text once for every field of every index, and wrote every
 * index entry anew, also of those that had not changed: half of the time of a ledger entry
 * went into that, and most pages of a commit were of such entries.
 */
#include "store_sqlite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

static store_columns_t all[HB_SHAPE_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add_field(store_columns_t *columns, const char *field, apr_size_t n)
{
    int i;

    for (i = 0; i < columns->n; i++) {
        if (strncmp(columns->fields[i], field, n) == 0 && columns->fields[i][n] == '\0') {
            return;
        }
    }
    if (n == 3 && memcmp(field, "_id", 3) == 0) {
        return;
    }
    if (columns->n == STORE_COLUMNS_MAX) {
        abort();                /* a table of ours that grew: every test meets it */
    }
    columns->fields[columns->n] = strndup(field, n);
    columns->n++;
}

static void look_up(void)
{
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape((hb_shape_e)s);

        for (i = 0; i < shape->n_indexes; i++) {
            const char *c = shape->indexes[i].fields;

            while (*c != '\0') {
                apr_size_t n;

                c += strspn(c, " -");
                n = strcspn(c, " -");
                if (n > 0) {
                    add_field(&all[s], c, n);
                }
                c += n;
            }
        }
    }
}

const store_columns_t *store_columns(hb_collection_e in)
{
    pthread_once(&once, look_up);
    return &all[in];
}

int store_column_of(hb_collection_e in, const char *field)
{
    const store_columns_t *columns = store_columns(in);
    int i;

    for (i = 0; i < columns->n; i++) {
        if (strcmp(columns->fields[i], field) == 0) {
            return i;
        }
    }
    return -1;
}

/* --- SQL --- */

const char *store_columns_list(apr_pool_t *pool, hb_collection_e in, const char *before,
                               const char *behind)
{
    const store_columns_t *columns = store_columns(in);
    const char *list = "";
    int i;

    for (i = 0; i < columns->n; i++) {
        list = apr_pstrcat(pool, list, before, columns->fields[i], behind, NULL);
    }
    return list;
}

void store_columns_insert_sql(store_sql_t *sql, hb_collection_e in)
{
    const store_columns_t *columns = store_columns(in);
    int i;

    store_sql_add(sql, "INSERT INTO \"");
    store_sql_add(sql, hb_shape(in)->name);
    store_sql_add(sql, "\"(id,doc");
    for (i = 0; i < columns->n; i++) {
        store_sql_add(sql, ",\"$.");
        store_sql_add(sql, columns->fields[i]);
        store_sql_add(sql, "\"");
    }
    store_sql_add(sql, ") VALUES (?,?");
    for (i = 0; i < columns->n; i++) {
        store_sql_add(sql, ",?");
    }
    store_sql_add(sql, ")");
}

void store_columns_select_sql(store_sql_t *sql, hb_collection_e in)
{
    const store_columns_t *columns = store_columns(in);
    int i;

    store_sql_add(sql, "SELECT seq");
    for (i = 0; i < columns->n; i++) {
        store_sql_add(sql, ",\"$.");
        store_sql_add(sql, columns->fields[i]);
        store_sql_add(sql, "\"");
    }
    store_sql_add(sql, " FROM \"");
    store_sql_add(sql, hb_shape(in)->name);
    store_sql_add(sql, "\" WHERE id=?");
}

void store_columns_update_sql(store_sql_t *sql, hb_collection_e in, apr_uint64_t changed)
{
    const store_columns_t *columns = store_columns(in);
    int i;

    store_sql_add(sql, "UPDATE \"");
    store_sql_add(sql, hb_shape(in)->name);
    store_sql_add(sql, "\" SET doc=?2");
    for (i = 0; i < columns->n; i++) {
        if (changed >> i & 1) {
            store_sql_add(sql, ",\"$.");
            store_sql_add(sql, columns->fields[i]);
            store_sql_add(sql, "\"=?");
        }
    }
    store_sql_add(sql, " WHERE seq=?1");
}

/* --- values --- */

static int bind_one(sqlite3_stmt *stmt, int at, const hb_json_t *value)
{
    switch (hb_json_type(value)) {
    case HB_JSON_STRING:
        return sqlite3_bind_text64(stmt, at, hb_json_string_value(value),
                                   hb_json_string_bytes(value), SQLITE_STATIC, SQLITE_UTF8);
    case HB_JSON_INT:
        return sqlite3_bind_int64(stmt, at, hb_json_int_value(value, 0));
    case HB_JSON_BOOL:
        return sqlite3_bind_int(stmt, at, hb_json_bool_value(value, 0) != 0);
    case HB_JSON_REAL:
        return sqlite3_bind_double(stmt, at, hb_json_real_value(value, 0));
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

int store_columns_bind(sqlite3_stmt *stmt, int at, hb_collection_e in, const hb_json_t *doc,
                       apr_uint64_t which)
{
    const store_columns_t *columns = store_columns(in);
    int i, rc = SQLITE_OK;

    for (i = 0; i < columns->n && rc == SQLITE_OK; i++) {
        if (which >> i & 1) {
            rc = bind_one(stmt, at++, hb_json_at(doc, columns->fields[i]));
        }
    }
    return rc;
}

static int is_same(sqlite3_stmt *stmt, int at, const hb_json_t *value)
{
    switch (sqlite3_column_type(stmt, at)) {
    case SQLITE_TEXT:
        return hb_json_type(value) == HB_JSON_STRING
            && hb_json_string_bytes(value) == (apr_size_t)sqlite3_column_bytes(stmt, at)
            && memcmp(sqlite3_column_text(stmt, at), hb_json_string_value(value),
                      hb_json_string_bytes(value)) == 0;
    case SQLITE_INTEGER:
        return hb_json_type(value) == HB_JSON_INT
            ? hb_json_int_value(value, 0) == sqlite3_column_int64(stmt, at)
            : hb_json_type(value) == HB_JSON_BOOL
              && (hb_json_bool_value(value, 0) != 0) == sqlite3_column_int64(stmt, at);
    case SQLITE_NULL:
        return hb_json_type(value) == HB_JSON_NULL || hb_json_type(value) == HB_JSON_ARRAY
            || hb_json_type(value) == HB_JSON_OBJECT;
    default:
        return hb_json_type(value) == HB_JSON_REAL
            && hb_json_real_value(value, 0) == sqlite3_column_double(stmt, at);
    }
}

apr_uint64_t store_columns_differ(sqlite3_stmt *stmt, int at, hb_collection_e in,
                                  const hb_json_t *doc)
{
    const store_columns_t *columns = store_columns(in);
    apr_uint64_t changed = 0;
    int i;

    for (i = 0; i < columns->n; i++) {
        if (!is_same(stmt, at + i, hb_json_at(doc, columns->fields[i]))) {
            changed |= APR_UINT64_C(1) << i;
        }
    }
    return changed;
}

/* Is one path the other, or what the other is inside of? */
static int touches(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (*a == '\0' && (*b == '\0' || *b == '.')) || (*b == '\0' && *a == '.');
}

apr_uint64_t store_columns_edited(hb_collection_e in, const hb_edit_t *edits, int n_edits)
{
    const store_columns_t *columns = store_columns(in);
    apr_uint64_t changed = 0;
    int i, k;

    for (i = 0; i < columns->n; i++) {
        for (k = 0; k < n_edits; k++) {
            if (touches(columns->fields[i], edits[k].field)) {
                changed |= APR_UINT64_C(1) << i;
            }
        }
    }
    return changed;
}
