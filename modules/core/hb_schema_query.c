/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query string against a form. Names are compared after decoding; those the form does
 * not know are ignored, but have to be well-formed all the same.
 */
#include "hb_schema.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_schema_check.h"

static int hex_value(char c)
{
    return apr_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Percent-decode in place; 0 when malformed, no UTF-8, or with a 0 byte in it. */
static int decode(char *text)
{
    char *from = text, *to = text;

    for (; *from != '\0'; from++, to++) {
        *to = *from == '+' ? ' ' : *from;
        if (*from == '%') {
            if (!apr_isxdigit(from[1]) || !apr_isxdigit(from[2])) {
                return 0;
            }
            *to = (char)(hex_value(from[1]) * 16 + hex_value(from[2]));
            from += 2;
            if (*to == '\0') {
                return 0;
            }
        }
    }
    *to = '\0';
    return hb_utf8_is_valid(text, (apr_size_t)(to - text));
}

/* Values by name; *twice gets the names that came more than once. */
static int read_pairs(hb_json_t *pairs, hb_json_t *twice, const char *query,
                      apr_pool_t *pool)
{
    char *state, *pair, *value, *copy = apr_pstrdup(pool, query);

    for (pair = apr_strtok(copy, "&", &state); pair != NULL;
         pair = apr_strtok(NULL, "&", &state)) {
        value = strchr(pair, '=');
        if (value != NULL) {
            *value++ = '\0';
        }
        if (!decode(pair) || (value != NULL && !decode(value))) {
            return 0;
        }
        if (hb_json_has(pairs, pair)) {
            hb_json_set_bool(twice, pair, 1);
        }
        hb_json_set_string(pairs, pair, value != NULL ? value : "");
    }
    return 1;
}

apr_status_t hb_schema_check_query(hb_json_t **clean, hb_op_t *op, hb_shape_e form,
                                   const char *query_string)
{
    const hb_shape_row_t *shape = hb_shape(form);
    const hb_field_plan_t *plans = hb_shape_plans(shape);
    hb_check_t check = { .op = op, .is_text = 1 };
    hb_json_t *pairs = hb_json_object_make(op->pool);
    hb_json_t *twice = hb_json_object_make(op->pool);
    hb_json_t *value, *checked = hb_json_object_make(op->pool);
    int i, all_good = 1;

    *clean = NULL;
    if (query_string != NULL && !read_pairs(pairs, twice, query_string, op->pool)) {
        return hb_fail(op, HB_E_URI_INVALID, "the query string must be UTF-8 in %%XX form");
    }
    for (i = 0; i < shape->n_fields; i++) {
        const hb_field_row_t *row = &shape->fields[i];

        value = NULL;
        if (hb_json_has(twice, row->path)) {
            hb_fail_field(op, row->path, "value", "must be given once");
            all_good = 0;
        }
        else if (hb_json_has(pairs, row->path)) {
            all_good &= hb_check_value(&value, &check, &plans[i], row->path,
                                       hb_json_get(pairs, row->path));
        }
        else if ((value = hb_check_default(&check, row)) == NULL
                 && (row->flags & HB_NEEDED) != 0) {
            hb_fail_field(op, row->path, "required", "has to be there");
            all_good = 0;
        }
        if (value != NULL) {
            hb_json_put_at(checked, row->path, value);
        }
    }
    if (!all_good) {
        return HB_E_INPUT_INVALID;
    }
    *clean = checked;
    return APR_SUCCESS;
}
