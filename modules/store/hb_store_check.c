/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks before a backend is called: every field that is named exists in
 * hb_schema.def and has the kind that the condition or edit needs. So nothing a client
 * sends can become part of a query's text, and a misspelt field is found by the first
 * test that runs it. A failure here is a mistake in our own code.
 */
#include "hb_store_backend.h"

#include <string.h>

typedef enum sort_of_field_e {
    IS_TEXT, IS_INTEGER, IS_BOOLEAN, IS_REAL, IS_ARRAY, IS_OBJECT
} sort_of_field_e;

static apr_status_t mistake(hb_op_t *op, const char *what, hb_collection_e in,
                            const char *field, const char *why)
{
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(01030) "store %s in %s: %s%s%s", what,
           in > HB_SHAPE_NONE && in < HB_SHAPE_COUNT ? hb_shape(in)->name : "nothing",
           field != NULL ? field : "", field != NULL ? ": " : "", why);
    return HB_E_INTERNAL;
}

apr_status_t hb_store_mistake(hb_op_t *op, const char *what, hb_collection_e in,
                              const char *why)
{
    return mistake(op, what, in, NULL, why);
}

static sort_of_field_e sort_of(hb_kind_e kind)
{
    switch (kind) {
    case HB_KIND_INT:
    case HB_KIND_TIME:
    case HB_KIND_COINS:
        return IS_INTEGER;
    case HB_KIND_BOOL:
        return IS_BOOLEAN;
    case HB_KIND_REAL:
        return IS_REAL;
    case HB_KIND_ARRAY:
        return IS_ARRAY;
    case HB_KIND_OBJECT:
        return IS_OBJECT;
    default:
        return IS_TEXT;
    }
}

static int value_fits(sort_of_field_e sort, const hb_value_t *value)
{
    switch (value->kind) {
    case HB_VALUE_STRING:
        return sort == IS_TEXT && value->string != NULL;
    case HB_VALUE_INT:
        return sort == IS_INTEGER;
    case HB_VALUE_BOOL:
        return sort == IS_BOOLEAN;
    default:
        return 0;
    }
}

static int json_fits(sort_of_field_e sort, const hb_json_t *json)
{
    switch (hb_json_type(json)) {
    case HB_JSON_NULL:
        return 1;
    case HB_JSON_BOOL:
        return sort == IS_BOOLEAN;
    case HB_JSON_INT:
        return sort == IS_INTEGER || sort == IS_REAL;
    case HB_JSON_REAL:
        return sort == IS_REAL;
    case HB_JSON_STRING:
        return sort == IS_TEXT;
    case HB_JSON_ARRAY:
        return sort == IS_ARRAY;
    case HB_JSON_OBJECT:
        return sort == IS_OBJECT;
    }
    return 0;
}

/* Is the path an object that rows of the table lie in ("coins" of "coins.balance")? */
static int holds_fields(hb_collection_e in, const char *path)
{
    const hb_shape_row_t *shape = hb_shape(in);
    apr_size_t n = strlen(path);
    int i;

    for (i = 0; i < shape->n_fields; i++) {
        if (shape->fields[i].path[0] == path[0]
            && strncmp(shape->fields[i].path, path, n) == 0
            && shape->fields[i].path[n] == '.') {
            return 1;
        }
    }
    return 0;
}

int hb_store_id_is_usable(const char *id)
{
    apr_size_t n = id != NULL ? strlen(id) : 0;
    apr_size_t i;

    if (n == 0 || n > HB_STORE_ID_MAX) {
        return 0;
    }
    for (i = 0; i < n; i++) {
        if ((unsigned char)id[i] <= ' ' || (unsigned char)id[i] >= 0x7f) {
            return 0;
        }
    }
    return 1;
}

apr_status_t hb_store_check_collection(hb_op_t *op, const char *what, hb_collection_e in)
{
    if (in <= HB_SHAPE_NONE || in >= HB_SHAPE_COUNT
        || hb_shape(in)->role != HB_IS_COLLECTION) {
        return mistake(op, what, in, NULL, "this is no collection");
    }
    return APR_SUCCESS;
}

static apr_status_t check_cond(hb_op_t *op, const char *what, hb_collection_e in,
                               const hb_cond_t *cond)
{
    const hb_field_row_t *row;
    sort_of_field_e sort = IS_TEXT;
    int i;

    if (cond->field == NULL) {
        return mistake(op, what, in, NULL, "a condition names no field");
    }
    if (strcmp(cond->field, "_id") != 0) {
        row = hb_shape_field(in, cond->field);
        if (row == NULL) {
            return mistake(op, what, in, cond->field, "hb_schema.def has no such field");
        }
        sort = sort_of(row->kind);
    }
    switch (cond->how) {
    case HB_IS:
    case HB_IS_NOT:
        if (cond->value.kind == HB_VALUE_NULL || value_fits(sort, &cond->value)) {
            return APR_SUCCESS;
        }
        break;
    case HB_BELOW:
    case HB_AT_MOST:
    case HB_ABOVE:
    case HB_AT_LEAST:
        if (value_fits(sort, &cond->value)) {
            return APR_SUCCESS;
        }
        break;
    case HB_STARTS_WITH:
        if (sort == IS_TEXT && value_fits(sort, &cond->value)) {
            return APR_SUCCESS;
        }
        break;
    case HB_ONE_OF:
        if (cond->n_any < 0 || cond->n_any > HB_STORE_LIMIT_MAX) {
            return mistake(op, what, in, cond->field, "too many values to be one of");
        }
        for (i = 0; i < cond->n_any; i++) {
            if (!value_fits(sort, &cond->any[i])) {
                return mistake(op, what, in, cond->field, "a value is of another kind");
            }
        }
        return APR_SUCCESS;
    case HB_HAS:
        if (sort == IS_ARRAY && (value_fits(IS_TEXT, &cond->value)
                                 || value_fits(IS_INTEGER, &cond->value))) {
            return APR_SUCCESS;
        }
        break;
    }
    return mistake(op, what, in, cond->field, "the value is of another kind than the field");
}

apr_status_t hb_store_check_conds(hb_op_t *op, const char *what, hb_collection_e in,
                                  const hb_cond_t *conds, int n_conds)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < n_conds && rv == APR_SUCCESS; i++) {
        rv = check_cond(op, what, in, &conds[i]);
    }
    return rv;
}

apr_status_t hb_store_check_query(hb_op_t *op, const char *what, const hb_query_t *query)
{
    apr_status_t rv = hb_store_check_collection(op, what, query->in);
    const hb_field_row_t *row;
    sort_of_field_e sort;
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_store_check_conds(op, what, query->in, query->where, query->n_where);
    }
    for (i = 0; i < 2 && rv == APR_SUCCESS && query->sort[i].field != NULL; i++) {
        if (strcmp(query->sort[i].field, "_id") == 0) {
            continue;
        }
        row = hb_shape_field(query->in, query->sort[i].field);
        if (row == NULL) {
            return mistake(op, what, query->in, query->sort[i].field,
                           "hb_schema.def has no such field");
        }
        sort = sort_of(row->kind);
        if (sort != IS_TEXT && sort != IS_INTEGER && sort != IS_BOOLEAN) {
            return mistake(op, what, query->in, query->sort[i].field,
                           "lists are not sorted by this kind of field");
        }
    }
    return rv;
}

/* "analytics.watchSec": a member of a field that holds another shape. */
static const hb_field_row_t *member_row(hb_collection_e in, const char *path)
{
    const char *dot = strchr(path, '.');
    const hb_shape_row_t *shape = hb_shape(in);
    const hb_shape_row_t *inner;
    int i;

    for (i = 0; dot != NULL && i < shape->n_fields; i++) {
        const hb_field_row_t *row = &shape->fields[i];

        if (row->kind == HB_KIND_OBJECT && strlen(row->path) == (apr_size_t)(dot - path)
            && strncmp(row->path, path, (apr_size_t)(dot - path)) == 0) {
            inner = hb_shape_by_name(row->extra);
            return inner != NULL ? hb_shape_field(inner->shape, dot + 1) : NULL;
        }
    }
    return NULL;
}

apr_status_t hb_store_check_field(hb_op_t *op, const char *what, hb_collection_e in,
                                  const char *field, hb_store_sort_e wanted)
{
    const hb_field_row_t *row;

    if (wanted == HB_STORE_TEXT && strcmp(field, "_id") == 0) {
        return APR_SUCCESS;
    }
    row = hb_shape_field(in, field);
    row = row != NULL ? row : member_row(in, field);
    if (row == NULL) {
        return mistake(op, what, in, field, "hb_schema.def has no such field");
    }
    return sort_of(row->kind) == (wanted == HB_STORE_TEXT ? IS_TEXT : IS_INTEGER) ? APR_SUCCESS
        : mistake(op, what, in, field, "the field is of another kind");
}

static int edit_fits(sort_of_field_e sort, const hb_edit_t *edit)
{
    const hb_value_t *value = &edit->value;

    switch (edit->how) {
    case HB_SET:
    case HB_SET_IF_ABSENT:
        return value->kind == HB_VALUE_NULL || value_fits(sort, value)
            || (value->kind == HB_VALUE_JSON && json_fits(sort, value->json));
    case HB_INC:
        return sort == IS_INTEGER && value->kind == HB_VALUE_INT;
    case HB_PUSH:
    case HB_PULL:
        return sort == IS_ARRAY && (value->kind != HB_VALUE_STRING || value->string != NULL);
    case HB_UNSET:
        return 1;
    }
    return 0;
}

apr_status_t hb_store_check_edits(hb_op_t *op, const char *what, hb_collection_e in,
                                  const hb_edit_t *edits, int n_edits)
{
    const hb_field_row_t *row;
    sort_of_field_e sort;
    int i;

    for (i = 0; i < n_edits; i++) {
        const char *field = edits[i].field;

        if (field == NULL || strcmp(field, "_id") == 0) {
            return mistake(op, what, in, field, "the id is never edited");
        }
        row = hb_shape_field(in, field);
        if (row == NULL && !holds_fields(in, field)) {
            return mistake(op, what, in, field, "hb_schema.def has no such field");
        }
        sort = row != NULL ? sort_of(row->kind) : IS_OBJECT;
        if (!edit_fits(sort, &edits[i])) {
            return mistake(op, what, in, field,
                           "the value is of another kind than the field");
        }
    }
    return APR_SUCCESS;
}

typedef struct members_t {
    hb_op_t *op;
    const char *what;
    hb_collection_e in;
    apr_status_t rv;
} members_t;

static int check_member(void *baton, const char *key, hb_json_t *value)
{
    members_t *m = baton;
    const hb_field_row_t *row;

    if (strcmp(key, "_id") == 0) {
        return 0;
    }
    row = hb_shape_field(m->in, key);
    if (row == NULL && !holds_fields(m->in, key)) {
        m->rv = mistake(m->op, m->what, m->in, key, "hb_schema.def has no such field");
    }
    else if (!json_fits(row != NULL ? sort_of(row->kind) : IS_OBJECT, value)) {
        m->rv = mistake(m->op, m->what, m->in, key,
                        "the value is of another kind than the field");
    }
    return m->rv != APR_SUCCESS;
}

apr_status_t hb_store_check_doc(hb_op_t *op, const char *what, hb_collection_e in,
                                const hb_json_t *doc)
{
    members_t m = { op, what, in, APR_SUCCESS };

    if (hb_json_type(doc) != HB_JSON_OBJECT) {
        return mistake(op, what, in, NULL, "the document is no object");
    }
    if (hb_json_has(doc, "_id") && !hb_store_id_is_usable(hb_json_string(doc, "_id"))) {
        return mistake(op, what, in, "_id", "ids are 1 to 128 visible ASCII characters");
    }
    hb_json_each(doc, check_member, &m);
    return m.rv;
}
