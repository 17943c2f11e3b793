/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reader may see of a record. Runs for every entry of every list: values are
 * shared with the record instead of copied, and member names are the table's own.
 */
#include "hb_schema.h"

#include "hb_json_private.h"
#include "hb_schema_private.h"
#include "hb_time.h"

static void show_fields(hb_json_t *view, const hb_shape_row_t *shape, const hb_json_t *doc,
                        unsigned int who);

static void show_time(hb_json_t *view, const char *name, const hb_json_t *value)
{
    char text[HB_TIME_BYTES];

    if (hb_json_type(value) == HB_JSON_INT) {
        hb_time_write(text, hb_time_from_msec(hb_json_int_value(value, 0)));
        hb_json_add_text(view, name, text, HB_TIME_BYTES - 1);
    }
    else {
        hb_json_add(view, name, value);
    }
}

/* Objects of a shape, or an array of them. */
static void show_inner(hb_json_t *view, const hb_field_plan_t *plan, const char *name,
                       const hb_json_t *value)
{
    unsigned int who = plan->inner_who != 0 ? plan->inner_who : HB_ALL;
    hb_json_t *inner;
    int i;

    if (hb_json_type(value) == HB_JSON_OBJECT) {
        inner = hb_json_add_object(view, name);
        show_fields(inner, plan->inner, value, who);
    }
    else if (hb_json_type(value) == HB_JSON_ARRAY) {
        inner = hb_json_add_array(view, name);
        for (i = 0; i < hb_json_length(value); i++) {
            show_fields(hb_json_push_object(inner), plan->inner, hb_json_item(value, i), who);
        }
    }
    else {
        hb_json_add(view, name, value);
    }
}

static void show_value(hb_json_t *view, const hb_field_plan_t *plan, const char *name,
                       const hb_json_t *value)
{
    if (plan->row->kind == HB_KIND_TIME) {
        show_time(view, name, value);
    }
    else if (plan->inner != NULL) {
        show_inner(view, plan, name, value);
    }
    else {
        hb_json_add(view, name, value);
    }
}

/* A field below other names; the objects between are made when there is something to show. */
static void show_below(hb_json_t *view, const hb_field_plan_t *plan, const hb_json_t *doc)
{
    const char *leaf = plan->parts[plan->n_parts - 1];
    hb_json_t *next;
    int i;

    for (i = 0; i < plan->n_parts - 1; i++) {
        doc = hb_json_get(doc, plan->parts[i]);
    }
    if (!hb_json_has(doc, leaf) && (plan->row->flags & HB_NULLABLE) == 0) {
        return;
    }
    for (i = 0; i < plan->n_parts - 1; i++) {
        next = hb_json_get(view, plan->parts[i]);
        view = next != NULL ? next : hb_json_add_object(view, plan->parts[i]);
    }
    show_value(view, plan, leaf, hb_json_get(doc, leaf));
}

static void show_fields(hb_json_t *view, const hb_shape_row_t *shape, const hb_json_t *doc,
                        unsigned int who)
{
    const hb_field_plan_t *plan = hb_shape_plans(shape);
    const hb_field_plan_t *end = plan + shape->n_fields;
    hb_json_t *value;

    if (shape->role == HB_IS_COLLECTION) {
        hb_json_add(view, "id", hb_json_get(doc, "_id"));
    }
    for (; plan < end; plan++) {
        if ((plan->row->flags & who) == 0) {
            continue;
        }
        if (plan->n_parts > 1) {
            show_below(view, plan, doc);
            continue;
        }
        value = hb_json_get(doc, plan->parts[0]);
        if (value != NULL || (plan->row->flags & HB_NULLABLE) != 0) {
            show_value(view, plan, plan->parts[0], value);
        }
    }
}

hb_json_t *hb_schema_view(hb_op_t *op, hb_collection_e collection, const hb_json_t *doc,
                          unsigned int who)
{
    hb_json_t *view = hb_json_object_make(op->pool);

    show_fields(view, hb_shape(collection), doc, who);
    return view;
}
