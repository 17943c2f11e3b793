/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_schema_check.h
 * One value against one field, for whoever has values: a body, a query string.
 */
#ifndef HB_SCHEMA_CHECK_H
#define HB_SCHEMA_CHECK_H

#include "hb_schema_private.h"

/** A check under way. */
typedef struct hb_check_t {
    hb_op_t *op;                /* takes the field errors */
    int is_text;                /* every value is a string, numbers are read from it */
    int is_refused;             /* anything so far */
    const char *told;           /* path of the last "must be an object" */
} hb_check_t;

/**
 * @param clean  set to what is to be kept, which may be the value itself
 * @param path   of the field, for the error
 * @return 0 when it is not acceptable; the op has the field error then
 */
int hb_check_value(hb_json_t **clean, hb_check_t *check, const hb_field_plan_t *plan,
                   const char *path, const hb_json_t *value);

/** What a field is when it was left out; NULL for nothing. */
hb_json_t *hb_check_default(hb_check_t *check, const hb_field_row_t *row);

#endif /* HB_SCHEMA_CHECK_H */
