/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries become SQL. Field names are those of hb_schema.def (the front has looked), values
 * are always bound. The text depends on the shape of a query only, so that a connection
 * prepares each shape once.
 *
 * A page behind a cursor is read in steps, for an index can seek for each: first what has
 * the same sort values and a later id, then what has the same first value and a later
 * second one, and so on. One comparison of rows would say the same but SQLite would then
 * walk over everything that shares the first value.
 */
#include "store_sqlite.h"

#include <string.h>

#include <apr_strings.h>

void store_sql_start(store_sql_t *sql, hb_collection_e in, apr_pool_t *pool)
{
    memset(sql, 0, sizeof(*sql));
    sql->in = in;
    sql->pool = pool;
    sql->size = 512;
    sql->text = apr_palloc(pool, sql->size);
    sql->text[0] = '\0';
}

void store_sql_add(store_sql_t *sql, const char *text)
{
    apr_size_t n = strlen(text);
    char *larger;

    if (sql->n + n >= sql->size) {
        sql->size = 2 * (sql->n + n + 1);
        larger = apr_palloc(sql->pool, sql->size);
        memcpy(larger, sql->text, sql->n);
        sql->text = larger;
    }
    memcpy(sql->text + sql->n, text, n + 1);
    sql->n += n;
}

static void bind_later(store_sql_t *sql, const hb_value_t *value)
{
    hb_value_t *more;

    if (sql->n_binds == sql->max_binds) {
        sql->max_binds = sql->max_binds == 0 ? 8 : 2 * sql->max_binds;
        more = apr_palloc(sql->pool, (apr_size_t)sql->max_binds * sizeof(*more));
        if (sql->n_binds > 0) {
            memcpy(more, sql->binds, (apr_size_t)sql->n_binds * sizeof(*more));
        }
        sql->binds = more;
    }
    sql->binds[sql->n_binds++] = *value;
}

static void bind_text_later(store_sql_t *sql, const char *text)
{
    hb_value_t value = HB_STR(text);

    bind_later(sql, &value);
}

void store_sql_field(store_sql_t *sql, const char *field)
{
    if (strcmp(field, "_id") == 0) {
        store_sql_add(sql, "id");
        return;
    }
    if (store_column_of(sql->in, field) >= 0) {
        store_sql_add(sql, "\"$.");
        store_sql_add(sql, field);
        store_sql_add(sql, "\"");
        return;
    }
    store_sql_add(sql, "json_extract(doc,'$.");
    store_sql_add(sql, field);
    store_sql_add(sql, "')");
}

static void compare(store_sql_t *sql, const char *field, const char *how,
                    const hb_value_t *value)
{
    store_sql_field(sql, field);
    store_sql_add(sql, how);
    bind_later(sql, value);
}

static void starts_with(store_sql_t *sql, const char *field, const char *prefix)
{
    char *behind = apr_pstrdup(sql->pool, prefix);
    apr_size_t n = strlen(behind);
    hb_value_t value = HB_STR(prefix);

    compare(sql, field, ">=?", &value);
    /* The first string behind all that start so; bytes are compared, so any byte will do. */
    while (n > 0 && (unsigned char)behind[n - 1] == 0xff) {
        n--;
    }
    if (n > 0) {
        behind[n] = '\0';
        behind[n - 1] = (char)((unsigned char)behind[n - 1] + 1);
        store_sql_add(sql, " AND ");
        store_sql_field(sql, field);
        store_sql_add(sql, "<?");
        bind_text_later(sql, behind);
    }
}

static void one_of(store_sql_t *sql, const hb_cond_t *cond)
{
    int i, n = 1;

    if (cond->n_any == 0) {
        store_sql_add(sql, "0");
        return;
    }
    if (cond->n_any == 1) {
        compare(sql, cond->field, "=?", &cond->any[0]);
        return;
    }
    while (n < cond->n_any) {
        n *= 2;                 /* few shapes, however many values */
    }
    store_sql_field(sql, cond->field);
    store_sql_add(sql, " IN (");
    for (i = 0; i < n; i++) {
        store_sql_add(sql, i == 0 ? "?" : ",?");
        bind_later(sql, &cond->any[i < cond->n_any ? i : cond->n_any - 1]);
    }
    store_sql_add(sql, ")");
}

static void condition(store_sql_t *sql, const hb_cond_t *cond)
{
    int is_nil = cond->value.kind == HB_VALUE_NULL;

    switch (cond->how) {
    case HB_IS:
        if (is_nil) {
            store_sql_field(sql, cond->field);
            store_sql_add(sql, " IS NULL");
        }
        else {
            compare(sql, cond->field, "=?", &cond->value);
        }
        break;
    case HB_IS_NOT:
        if (is_nil) {
            store_sql_field(sql, cond->field);
            store_sql_add(sql, " IS NOT NULL");
        }
        else {
            compare(sql, cond->field, " IS NOT ?", &cond->value);
        }
        break;
    case HB_BELOW:
        compare(sql, cond->field, "<?", &cond->value);
        break;
    case HB_AT_MOST:
        compare(sql, cond->field, "<=?", &cond->value);
        break;
    case HB_ABOVE:
        compare(sql, cond->field, ">?", &cond->value);
        break;
    case HB_AT_LEAST:
        compare(sql, cond->field, ">=?", &cond->value);
        break;
    case HB_STARTS_WITH:
        starts_with(sql, cond->field, cond->value.string);
        break;
    case HB_ONE_OF:
        one_of(sql, cond);
        break;
    case HB_HAS:
        store_sql_add(sql, "EXISTS (SELECT 1 FROM json_each(doc,'$.");
        store_sql_add(sql, cond->field);
        store_sql_add(sql, "') WHERE value=?)");
        bind_later(sql, &cond->value);
        break;
    }
}

static void next_term(store_sql_t *sql)
{
    store_sql_add(sql, sql->n_terms++ == 0 ? " WHERE " : " AND ");
}

void store_sql_where(store_sql_t *sql, const hb_query_t *query, int n_same)
{
    int n_keys = hb_store_n_keys(query);
    int i;

    for (i = 0; i < query->n_where; i++) {
        next_term(sql);
        condition(sql, &query->where[i]);
    }
    /* Lists leave out what lacks a sort field (hb_store.h); a sparse index serves then. */
    for (i = n_same; i < n_keys; i++) {
        if (hb_store_is_fixed(query, query->sort[i].field, strlen(query->sort[i].field))) {
            continue;
        }
        next_term(sql);
        store_sql_field(sql, query->sort[i].field);
        store_sql_add(sql, " IS NOT NULL");
    }
}

void store_sql_behind(store_sql_t *sql, const hb_query_t *query,
                      const hb_store_cursor_t *cursor, int n_same)
{
    int i;

    for (i = 0; i < n_same; i++) {
        next_term(sql);
        compare(sql, query->sort[i].field, "=?", &cursor->keys[i]);
    }
    next_term(sql);
    if (n_same < cursor->n_keys) {
        compare(sql, query->sort[n_same].field, query->sort[n_same].descending ? "<?" : ">?",
                &cursor->keys[n_same]);
    }
    else {
        store_sql_add(sql, hb_store_id_descends(query) ? "id<?" : "id>?");
        bind_text_later(sql, cursor->id);
    }
}

void store_sql_order(store_sql_t *sql, const hb_query_t *query, int n_same)
{
    int n_keys = hb_store_n_keys(query);
    int i;
    const char *joint = " ORDER BY ";

    for (i = n_same; i < n_keys && !hb_store_is_sorted(query, i); i++) {
        if (hb_store_is_fixed(query, query->sort[i].field, strlen(query->sort[i].field))) {
            continue;
        }
        store_sql_add(sql, joint);
        store_sql_field(sql, query->sort[i].field);
        store_sql_add(sql, query->sort[i].descending ? " DESC" : "");
        joint = ",";
    }
    if (!hb_store_is_sorted(query, n_keys)) {
        store_sql_add(sql, joint);
        store_sql_add(sql, hb_store_id_descends(query) ? "id DESC" : "id");
    }
}

void store_sql_limit(store_sql_t *sql, int limit)
{
    hb_value_t value = HB_INT(limit);

    store_sql_add(sql, " LIMIT ?");
    bind_later(sql, &value);
}

int store_sql_bind(const store_sql_t *sql, sqlite3_stmt *stmt)
{
    int i, rc = SQLITE_OK;

    for (i = 0; i < sql->n_binds && rc == SQLITE_OK; i++) {
        const hb_value_t *value = &sql->binds[i];

        switch (value->kind) {
        case HB_VALUE_STRING:
            rc = sqlite3_bind_text(stmt, i + 1, value->string, -1, SQLITE_STATIC);
            break;
        case HB_VALUE_BOOL:
            rc = sqlite3_bind_int(stmt, i + 1, value->integer != 0);
            break;
        case HB_VALUE_INT:
            rc = sqlite3_bind_int64(stmt, i + 1, value->integer);
            break;
        default:
            rc = sqlite3_bind_null(stmt, i + 1);
            break;
        }
    }
    return rc;
}
