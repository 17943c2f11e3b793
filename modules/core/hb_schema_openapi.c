/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes for other programs: JSON Schema 2020-12, as OpenAPI 3.1 takes it. A form stays
 * open, because members it does not know are ignored; so do replies, because they may
 * get more members in a later version. Whoever puts these together resolves "$ref", which
 * names a shape or a view as the table does ("users:self").
 */
#include "hb_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema_private.h"

#define REF "#/components/schemas/"

/* What hb_schema_format.c takes, as far as a pattern says it. */
#define ATOM_PATTERN "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define HOST_PATTERN "([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?"
#define EMAIL_PATTERN "^" ATOM_PATTERN "(\\." ATOM_PATTERN ")*@" HOST_PATTERN "$"

/* How each kind looks from outside. */
static const struct {
    const char *type, *format, *pattern;
    int says_length;            /* its bounds are characters */
} kinds[] = {
    [HB_KIND_STRING]   = { "string", NULL, NULL, 1 },
    [HB_KIND_INT]      = { "integer", "int64", NULL, 0 },
    [HB_KIND_REAL]     = { "number", NULL, NULL, 0 },
    [HB_KIND_BOOL]     = { "boolean", NULL, NULL, 0 },
    [HB_KIND_TIME]     = { "string", "date-time", NULL, 0 },
    [HB_KIND_ID]       = { "string", NULL, "^[0-9a-f]{24}$", 0 },
    [HB_KIND_EMAIL]    = { "string", "email", EMAIL_PATTERN, 1 },
    [HB_KIND_USERNAME] = { "string", NULL, "^[A-Za-z0-9_]+(\\.[A-Za-z0-9_]+)*$", 1 },
    [HB_KIND_PASSWORD] = { "string", "password", NULL, 1 },
    [HB_KIND_URL]      = { "string", "uri", "^https://" HOST_PATTERN "(:[0-9]{1,5})?([/?#]|$)", 1 },
    [HB_KIND_COUNTRY]  = { "string", NULL, "^[A-Z]{2}$", 0 },
    [HB_KIND_LANGUAGE] = { "string", NULL, "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", 1 },
    [HB_KIND_ZONE]     = { "string", NULL, "^[A-Za-z][A-Za-z0-9_+/-]*$", 1 },
    [HB_KIND_PHONE]    = { "string", NULL, "^\\+[1-9][0-9]{6,14}$", 0 },
    [HB_KIND_DATE]     = { "string", "date", NULL, 0 },
    [HB_KIND_ENUM]     = { "string", NULL, NULL, 0 },
    [HB_KIND_ARRAY]    = { "array", NULL, NULL, 0 },
    [HB_KIND_OBJECT]   = { "object", NULL, NULL, 0 },
    [HB_KIND_CURSOR]   = { "string", NULL, NULL, 1 },
    [HB_KIND_COINS]    = { "integer", "int64", NULL, 0 },
};

static hb_json_t *reference(const char *name, apr_pool_t *pool)
{
    hb_json_t *ref = hb_json_object_make(pool);

    hb_json_set_string(ref, "$ref", apr_pstrcat(pool, REF, name, NULL));
    return ref;
}

static void set_bounds(hb_json_t *schema, const hb_field_row_t *row)
{
    apr_int64_t low, high;

    hb_field_bounds(&low, &high, row);
    if (kinds[row->kind].says_length) {
        hb_json_set_int(schema, "minLength", low);
        hb_json_set_int(schema, "maxLength", high);
    }
    else if (row->kind == HB_KIND_ARRAY) {
        hb_json_set_int(schema, "minItems", low);
        hb_json_set_int(schema, "maxItems", high);
    }
    else if (row->kind == HB_KIND_INT || row->kind == HB_KIND_REAL
             || row->kind == HB_KIND_COINS) {
        if (low != APR_INT64_MIN) {
            hb_json_set_int(schema, "minimum", low);
        }
        if (high != APR_INT64_MAX) {
            hb_json_set_int(schema, "maximum", high);
        }
    }
}

static void set_words(hb_json_t *schema, const hb_field_row_t *row, int is_form,
                      apr_pool_t *pool)
{
    hb_json_t *words = hb_json_array_make(pool);
    const char *rest = row->extra;
    char word[64];
    int is_default;

    while ((rest = hb_words_next(word, sizeof(word), &is_default, rest)) != NULL) {
        hb_json_push_string(words, word);
        if (is_default && is_form) {
            hb_json_set_string(schema, "default", word);
        }
    }
    if ((row->flags & HB_NULLABLE) != 0) {
        hb_json_push(words, NULL);
    }
    hb_json_set(schema, "enum", words);
}

static hb_json_t *item_schema(const hb_field_plan_t *plan, apr_pool_t *pool);

static hb_json_t *field_schema(const hb_field_plan_t *plan, int is_form, apr_pool_t *pool)
{
    const hb_field_row_t *row = plan->row;
    hb_json_t *schema = hb_json_object_make(pool);
    hb_json_t *types;

    if (row->kind == HB_KIND_OBJECT && plan->inner != NULL) {
        if ((row->flags & HB_NULLABLE) == 0) {
            return reference(row->extra, pool);
        }
        types = hb_json_array_make(pool);
        hb_json_push(types, reference(row->extra, pool));
        hb_json_push(types, hb_json_object_make(pool));
        hb_json_set_string(hb_json_item(types, 1), "type", "null");
        hb_json_set(schema, "anyOf", types);
        return schema;
    }
    hb_json_set_string(schema, "type", kinds[row->kind].type);
    if ((row->flags & HB_NULLABLE) != 0) {
        types = hb_json_array_make(pool);
        hb_json_push_string(types, kinds[row->kind].type);
        hb_json_push_string(types, "null");
        hb_json_set(schema, "type", types);
    }
    if (kinds[row->kind].format != NULL) {
        hb_json_set_string(schema, "format", kinds[row->kind].format);
    }
    if (kinds[row->kind].pattern != NULL) {
        hb_json_set_string(schema, "pattern", kinds[row->kind].pattern);
    }
    set_bounds(schema, row);
    if (row->kind == HB_KIND_ENUM) {
        set_words(schema, row, is_form, pool);
    }
    else if (row->kind == HB_KIND_ARRAY) {
        hb_json_set(schema, "items", item_schema(plan, pool));
    }
    else if (is_form && row->kind == HB_KIND_INT && *row->extra != '\0') {
        hb_json_set_int(schema, "default", apr_atoi64(row->extra));
    }
    return schema;
}

static hb_json_t *item_schema(const hb_field_plan_t *plan, apr_pool_t *pool)
{
    hb_field_row_t row = { .extra = plan->row->extra };
    hb_field_plan_t item = { .row = &row, .item_kind = -1 };

    if (plan->inner != NULL) {
        return reference(plan->row->extra, pool);
    }
    row.kind = plan->item_kind >= 0 ? (hb_kind_e)plan->item_kind : HB_KIND_OBJECT;
    return field_schema(&item, 0, pool);
}

static void set_sentence(hb_json_t *schema, const char *sentence)
{
    hb_json_set_string(schema, "description", sentence);
}

static void need(hb_json_t *object, const char *name, apr_pool_t *pool)
{
    hb_json_t *required = hb_json_get(object, "required");

    if (required == NULL) {
        required = hb_json_array_make(pool);
        hb_json_set(object, "required", required);
    }
    hb_json_push_string(required, name);
}

static void set_object(hb_json_t *schema, apr_pool_t *pool)
{
    hb_json_set_string(schema, "type", "object");
    hb_json_set(schema, "properties", hb_json_object_make(pool));
}

/* The schema of the object a field's last name stands in; made on the way. */
static hb_json_t *home_of(hb_json_t *schema, const hb_field_plan_t *plan, apr_pool_t *pool)
{
    hb_json_t *properties, *next;
    int i;

    for (i = 0; i < plan->n_parts - 1; i++) {
        properties = hb_json_get(schema, "properties");
        next = hb_json_get(properties, plan->parts[i]);
        if (next == NULL) {
            next = hb_json_object_make(pool);
            set_object(next, pool);
            hb_json_set(properties, plan->parts[i], next);
        }
        if ((plan->row->flags & HB_NEEDED) != 0 && !hb_json_has(next, "required")) {
            need(schema, plan->parts[i], pool);
        }
        schema = next;
    }
    return schema;
}

hb_json_t *hb_schema_openapi(const char *name, apr_pool_t *pool)
{
    unsigned int who;
    const hb_shape_row_t *shape = hb_shape_read(&who, name);
    const hb_field_plan_t *plans;
    hb_json_t *schema, *home, *field;
    int i;

    if (shape == NULL) {
        return NULL;
    }
    plans = hb_shape_plans(shape);
    schema = hb_json_object_make(pool);
    set_object(schema, pool);
    set_sentence(schema, shape->sentence);
    if (shape->role == HB_IS_COLLECTION) {
        field = hb_json_object_make(pool);
        hb_json_set_string(field, "type", "string");
        set_sentence(field, "id of the record");
        hb_json_put_at(schema, "properties.id", field);
        need(schema, "id", pool);
    }
    for (i = 0; i < shape->n_fields; i++) {
        const hb_field_row_t *row = plans[i].row;
        const char *leaf = plans[i].parts[plans[i].n_parts - 1];

        if (shape->role == HB_IS_COLLECTION && (row->flags & (who != 0 ? who : HB_ALL)) == 0) {
            continue;
        }
        home = home_of(schema, &plans[i], pool);
        field = field_schema(&plans[i], shape->role == HB_IS_FORM, pool);
        set_sentence(field, row->sentence);
        hb_json_set(hb_json_get(home, "properties"), leaf, field);
        /* A view shows null where a nullable field is missing, so it is always there. */
        if ((row->flags & HB_NEEDED) != 0
            || (shape->role == HB_IS_COLLECTION && (row->flags & HB_NULLABLE) != 0)) {
            need(home, leaf, pool);
        }
    }
    return schema;
}
