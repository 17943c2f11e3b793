/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what we send fit what we say? Looked at by tests and debug builds: an answer that
 * drifts from its row would make the documentation lie.
 */
#include "hb_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema_private.h"
#include "hb_time.h"

/* Where in the reply, and what is wrong there. */
typedef struct misfit_t {
    apr_pool_t *pool;
    const char *problem;
} misfit_t;

static void look_at_fields(misfit_t *found, const hb_shape_row_t *shape, unsigned int who,
                           const char *prefix, const hb_json_t *json);

static void complain(misfit_t *found, const char *path, const char *wanted)
{
    if (found->problem == NULL) {
        found->problem = apr_psprintf(found->pool, "%s %s", *path != '\0' ? path : "the reply",
                                      wanted);
    }
}

static int text_fits(const hb_field_row_t *row, const char *text)
{
    apr_time_t when;
    apr_int64_t low, high, length = (apr_int64_t)hb_text_length(text);

    switch (row->kind) {
    case HB_KIND_TIME:
        return hb_time_read(&when, text);
    case HB_KIND_ENUM:
        return hb_words_have(row->extra, text);
    case HB_KIND_ID:
        return hb_is_id(text);
    case HB_KIND_DATE:
        return hb_date_is_valid(text);
    default:
        hb_field_bounds(&low, &high, row);
        return length >= low && length <= high;
    }
}

static void look_at_items(misfit_t *found, const hb_field_plan_t *plan, const char *path,
                          const hb_json_t *array)
{
    hb_field_row_t row = { .extra = "" };
    hb_field_plan_t item = *plan;
    apr_int64_t low, high;
    int i;

    hb_field_bounds(&low, &high, plan->row);
    if (hb_json_length(array) < low || hb_json_length(array) > high) {
        complain(found, path, "has too few or too many items");
    }
    for (i = 0; i < hb_json_length(array); i++) {
        const char *where = apr_psprintf(found->pool, "%s.%d", path, i);
        const hb_json_t *one = hb_json_item(array, i);

        if (item.inner != NULL) {
            look_at_fields(found, item.inner, item.inner_who, where, one);
        }
        else if (item.item_kind == HB_KIND_INT || item.item_kind == HB_KIND_COINS) {
            if (hb_json_type(one) != HB_JSON_INT) {
                complain(found, where, "is no whole number");
            }
        }
        else if (item.item_kind >= 0) {
            row.kind = (hb_kind_e)item.item_kind;
            if (hb_json_string_value(one) == NULL
                || !text_fits(&row, hb_json_string_value(one))) {
                complain(found, where, "does not have the form of its kind");
            }
        }
    }
}

static void look_at_value(misfit_t *found, const hb_field_plan_t *plan, const char *path,
                          const hb_json_t *value)
{
    hb_json_type_e type = hb_json_type(value);
    apr_int64_t low, high, n = hb_json_int_value(value, 0);

    hb_field_bounds(&low, &high, plan->row);
    switch (plan->row->kind) {
    case HB_KIND_INT:
    case HB_KIND_COINS:
        if (type != HB_JSON_INT || n < low || n > high) {
            complain(found, path, "is no whole number in its bounds");
        }
        break;
    case HB_KIND_REAL:
        if (type != HB_JSON_REAL && type != HB_JSON_INT) {
            complain(found, path, "is no number");
        }
        break;
    case HB_KIND_BOOL:
        if (type != HB_JSON_BOOL) {
            complain(found, path, "is neither true nor false");
        }
        break;
    case HB_KIND_ARRAY:
        if (type != HB_JSON_ARRAY) {
            complain(found, path, "is no array");
        }
        look_at_items(found, plan, path, value);
        break;
    case HB_KIND_OBJECT:
        if (type != HB_JSON_OBJECT) {
            complain(found, path, "is no object");
        }
        else if (plan->inner != NULL) {
            look_at_fields(found, plan->inner, plan->inner_who, path, value);
        }
        break;
    default:
        if (type != HB_JSON_STRING || !text_fits(plan->row, hb_json_string_value(value))) {
            complain(found, path, "does not have the form of its kind");
        }
    }
}

/* Null stands there, which is something else than nothing. */
static int is_null_there(const hb_field_plan_t *plan, const hb_json_t *json)
{
    int i;

    for (i = 0; i < plan->n_parts - 1; i++) {
        json = hb_json_get(json, plan->parts[i]);
    }
    return hb_json_has(json, plan->parts[plan->n_parts - 1]);
}

static int knows_member(void *baton, const char *key, hb_json_t *value)
{
    const hb_shape_row_t *shape = ((void **)baton)[0];
    const hb_field_plan_t *plans = hb_shape_plans(shape);
    int i;

    (void)value;
    if (shape->role == HB_IS_COLLECTION && strcmp(key, "id") == 0) {
        return 0;
    }
    for (i = 0; i < shape->n_fields; i++) {
        if (strcmp(plans[i].parts[0], key) == 0) {
            return 0;
        }
    }
    ((const void **)baton)[1] = key;
    return 1;
}

static void look_at_fields(misfit_t *found, const hb_shape_row_t *shape, unsigned int who,
                           const char *prefix, const hb_json_t *json)
{
    const hb_field_plan_t *plans = hb_shape_plans(shape);
    const void *extra[2] = { shape, NULL };
    const char *dot = *prefix != '\0' ? "." : "";
    int i;

    if (hb_json_type(json) != HB_JSON_OBJECT) {
        complain(found, prefix, "is no object");
        return;
    }
    if (shape->role == HB_IS_COLLECTION && hb_json_string(json, "id") == NULL) {
        complain(found, apr_pstrcat(found->pool, prefix, dot, "id", NULL), "is missing");
    }
    if (hb_json_each(json, knows_member, extra)) {
        complain(found, apr_pstrcat(found->pool, prefix, dot, extra[1], NULL),
                 "is not in the table");
    }
    for (i = 0; i < shape->n_fields; i++) {
        const hb_field_row_t *row = plans[i].row;
        const char *path = apr_pstrcat(found->pool, prefix, dot, row->path, NULL);
        const hb_json_t *value = hb_json_at(json, row->path);
        int is_shown = who == 0 || (row->flags & who) != 0;

        if (value != NULL && !is_shown) {
            complain(found, path, "must not be shown");
        }
        else if (value != NULL) {
            look_at_value(found, &plans[i], path, value);
        }
        else if (is_null_there(&plans[i], json)) {
            if ((row->flags & HB_NULLABLE) == 0) {
                complain(found, path, "is null");
            }
        }
        else if (is_shown && (row->flags & HB_NEEDED) != 0 && (row->flags & HB_NULLABLE) == 0) {
            complain(found, path, "is missing");
        }
    }
}

const char *hb_schema_misfit(hb_shape_e reply, const hb_json_t *json, apr_pool_t *pool)
{
    return hb_schema_misfit_of(hb_shape(reply)->name, json, pool);
}

const char *hb_schema_misfit_of(const char *name, const hb_json_t *json, apr_pool_t *pool)
{
    misfit_t found = { pool, NULL };
    unsigned int who;
    const hb_shape_row_t *shape = hb_shape_read(&who, name);

    if (shape == NULL) {
        return apr_psprintf(pool, "nothing is called \"%s\"", name);
    }
    look_at_fields(&found, shape, who, "", json);
    return found.problem;
}
