/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards and edits applied to one document in memory, for backends that read, change
 * and write it inside their own transaction. Conditions mean here what they mean in a
 * query: values of different types never compare, missing and null are the same.
 */
#include "hb_store_backend.h"

#include <string.h>

/* Sets *order as strcmp does; 0 when the two do not compare. */
static int compare(int *order, const hb_json_t *json, const hb_value_t *value)
{
    hb_json_type_e type = hb_json_type(json);
    apr_int64_t n;

    switch (value->kind) {
    case HB_VALUE_STRING:
        if (type != HB_JSON_STRING) {
            return 0;
        }
        *order = strcmp(hb_json_string_value(json), value->string);
        return 1;
    case HB_VALUE_INT:
        if (type != HB_JSON_INT) {
            return 0;
        }
        n = hb_json_int_value(json, 0);
        *order = (n > value->integer) - (n < value->integer);
        return 1;
    case HB_VALUE_BOOL:
        if (type != HB_JSON_BOOL) {
            return 0;
        }
        *order = (hb_json_bool_value(json, 0) != 0) - (value->integer != 0);
        return 1;
    case HB_VALUE_NULL:
        *order = 0;
        return type == HB_JSON_NULL;
    case HB_VALUE_JSON:
        *order = 0;
        return hb_json_equal(json, value->json);
    }
    return 0;
}

static int equals(const hb_json_t *json, const hb_value_t *value)
{
    int order;

    return compare(&order, json, value) && order == 0;
}

static int has_item(const hb_json_t *json, const hb_value_t *value)
{
    int i, n;

    if (hb_json_type(json) != HB_JSON_ARRAY) {
        return 0;
    }
    n = hb_json_length(json);
    for (i = 0; i < n; i++) {
        if (equals(hb_json_item(json, i), value)) {
            return 1;
        }
    }
    return 0;
}

static int meets(const hb_json_t *doc, const hb_cond_t *cond)
{
    const hb_json_t *json = hb_json_at(doc, cond->field);
    int order, i;

    switch (cond->how) {
    case HB_IS:
        return equals(json, &cond->value);
    case HB_IS_NOT:
        return !equals(json, &cond->value);
    case HB_BELOW:
        return compare(&order, json, &cond->value) && order < 0;
    case HB_AT_MOST:
        return compare(&order, json, &cond->value) && order <= 0;
    case HB_ABOVE:
        return compare(&order, json, &cond->value) && order > 0;
    case HB_AT_LEAST:
        return compare(&order, json, &cond->value) && order >= 0;
    case HB_STARTS_WITH:
        return hb_json_type(json) == HB_JSON_STRING
            && strncmp(hb_json_string_value(json), cond->value.string,
                       strlen(cond->value.string)) == 0;
    case HB_ONE_OF:
        for (i = 0; i < cond->n_any; i++) {
            if (equals(json, &cond->any[i])) {
                return 1;
            }
        }
        return 0;
    case HB_HAS:
        return has_item(json, &cond->value);
    }
    return 0;
}

int hb_store_match(const hb_json_t *doc, const hb_cond_t *conds, int n_conds)
{
    int i;

    for (i = 0; i < n_conds; i++) {
        if (!meets(doc, &conds[i])) {
            return 0;
        }
    }
    return 1;
}

/* A value as JSON of its own: what the caller gave may be shared or used again. */
static hb_json_t *json_of(const hb_value_t *value, apr_pool_t *pool)
{
    switch (value->kind) {
    case HB_VALUE_STRING:
        return hb_json_string_make(value->string, pool);
    case HB_VALUE_INT:
        return hb_json_int_make(value->integer, pool);
    case HB_VALUE_BOOL:
        return hb_json_bool_make(value->integer != 0, pool);
    case HB_VALUE_JSON:
        return value->json != NULL ? hb_json_copy(value->json, pool) : NULL;
    case HB_VALUE_NULL:
        break;
    }
    return NULL;
}

static apr_status_t wrong_type(hb_op_t *op, const hb_json_t *doc, const hb_edit_t *edit)
{
    const char *id = hb_json_string(doc, "_id");

    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(01020) "field %s of record %s holds another type "
           "than the change needs", edit->field, id != NULL ? id : "(unknown)");
    return HB_E_STORE_DAMAGED;
}

static apr_status_t increment(hb_op_t *op, hb_json_t *doc, const hb_edit_t *edit,
                                  apr_pool_t *pool)
{
    const hb_json_t *old = hb_json_at(doc, edit->field);
    apr_int64_t sum;

    if (hb_json_type(old) != HB_JSON_NULL && hb_json_type(old) != HB_JSON_INT) {
        return wrong_type(op, doc, edit);
    }
    if (__builtin_add_overflow(hb_json_int_value(old, 0), edit->value.integer, &sum)) {
        return hb_fail_field(op, edit->field, "range", "the sum is beyond 64 bits");
    }
    hb_json_put_at(doc, edit->field, hb_json_int_make(sum, pool));
    return APR_SUCCESS;
}

static apr_status_t push(hb_op_t *op, hb_json_t *doc, const hb_edit_t *edit,
                             apr_pool_t *pool)
{
    hb_json_t *array = hb_json_at(doc, edit->field);

    if (hb_json_type(array) == HB_JSON_NULL) {
        array = hb_json_array_make(pool);
        hb_json_put_at(doc, edit->field, array);
    }
    else if (hb_json_type(array) != HB_JSON_ARRAY) {
        return wrong_type(op, doc, edit);
    }
    hb_json_push(array, json_of(&edit->value, pool));
    return APR_SUCCESS;
}

static apr_status_t pull(hb_op_t *op, hb_json_t *doc, const hb_edit_t *edit,
                             apr_pool_t *pool)
{
    const hb_json_t *array = hb_json_at(doc, edit->field);
    hb_json_t *kept;
    int i, n;

    if (hb_json_type(array) == HB_JSON_NULL) {
        return APR_SUCCESS;
    }
    if (hb_json_type(array) != HB_JSON_ARRAY) {
        return wrong_type(op, doc, edit);
    }
    kept = hb_json_array_make(pool);
    n = hb_json_length(array);
    for (i = 0; i < n; i++) {
        if (!equals(hb_json_item(array, i), &edit->value)) {
            hb_json_push(kept, hb_json_item(array, i));
        }
    }
    hb_json_put_at(doc, edit->field, kept);
    return APR_SUCCESS;
}

apr_status_t hb_store_edit(hb_op_t *op, hb_json_t *doc, const hb_edit_t *edits, int n_edits,
                           apr_pool_t *pool)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < n_edits && rv == APR_SUCCESS; i++) {
        const hb_edit_t *edit = &edits[i];

        switch (edit->how) {
        case HB_SET:
            hb_json_put_at(doc, edit->field, json_of(&edit->value, pool));
            break;
        case HB_INC:
            rv = increment(op, doc, edit, pool);
            break;
        case HB_PUSH:
            rv = push(op, doc, edit, pool);
            break;
        case HB_PULL:
            rv = pull(op, doc, edit, pool);
            break;
        case HB_UNSET:
            hb_json_remove_at(doc, edit->field);
            break;
        case HB_SET_IF_ABSENT:
            if (hb_json_type(hb_json_at(doc, edit->field)) == HB_JSON_NULL) {
                hb_json_put_at(doc, edit->field, json_of(&edit->value, pool));
            }
            break;
        }
    }
    return rv;
}
