/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_schema.h
 * What data may look like: the table hb_schema.def at run time. Checks what comes in,
 * shows what goes out, tells backends which indexes to keep. None of it waits.
 */
#ifndef HB_SCHEMA_H
#define HB_SCHEMA_H

#include "hb_json.h"
#include "hb_op.h"

typedef enum hb_shape_e {
    HB_SHAPE_NONE = 0,
#define HB_COLLECTION(symbol, name, sentence) HB_C_##symbol,
#define HB_FORM(symbol, name, sentence) HB_F_##symbol,
#define HB_REPLY(symbol, name, sentence) HB_R_##symbol,
#define HB_FIELD(shape, path, kind, low, high, flags, extra, sentence)
#define HB_INDEX(shape, name, flags, fields)
#include "hb_schema.def"
#undef HB_COLLECTION
#undef HB_FORM
#undef HB_REPLY
#undef HB_FIELD
#undef HB_INDEX
    HB_SHAPE_COUNT
} hb_shape_e;

/** A shape that is stored: only the HB_C_ ones. */
typedef hb_shape_e hb_collection_e;

typedef enum hb_role_of_shape_e { HB_IS_COLLECTION, HB_IS_FORM, HB_IS_REPLY } hb_shape_role_e;

typedef enum hb_kind_e {
    HB_KIND_STRING, HB_KIND_INT, HB_KIND_REAL, HB_KIND_BOOL, HB_KIND_TIME, HB_KIND_ID,
    HB_KIND_EMAIL, HB_KIND_USERNAME, HB_KIND_PASSWORD, HB_KIND_URL, HB_KIND_COUNTRY,
    HB_KIND_LANGUAGE, HB_KIND_ZONE, HB_KIND_PHONE, HB_KIND_DATE, HB_KIND_ENUM,
    HB_KIND_ARRAY, HB_KIND_OBJECT, HB_KIND_CURSOR, HB_KIND_COINS
} hb_kind_e;

#define HB_ALL      0x01        /* anybody may see it */
#define HB_SELF     0x02        /* the record's owner may see it */
#define HB_STAFF    0x04        /* staff may see it */
#define HB_NEEDED   0x10        /* has to be there */
#define HB_NULLABLE 0x20        /* null is accepted or may stand there */

#define HB_INDEX_UNIQUE 0x01
#define HB_INDEX_SPARSE 0x02

typedef struct hb_field_row_t {
    hb_shape_e shape;
    const char *path;
    hb_kind_e kind;
    apr_int64_t low, high;      /* both 0: the kind's own bounds */
    unsigned int flags;
    const char *extra;          /* forms: a default for INT and ENUM, words for ENUM ... */
    const char *sentence;
} hb_field_row_t;

typedef struct hb_index_row_t {
    hb_shape_e shape;
    const char *name;
    unsigned int flags;
    const char *fields;
} hb_index_row_t;

typedef struct hb_shape_row_t {
    hb_shape_e shape;
    hb_shape_role_e role;
    const char *name;           /* "users" */
    const char *sentence;
    const hb_field_row_t *fields;
    int n_fields;
    const hb_index_row_t *indexes;
    int n_indexes;
} hb_shape_row_t;

/** Version of the layout of records; a store of a newer one is refused. */
#define HB_SCHEMA_VERSION 1

const hb_shape_row_t *hb_shape(hb_shape_e shape);
const hb_shape_row_t *hb_shape_by_name(const char *name);   /* or NULL */
const hb_field_row_t *hb_shape_field(hb_shape_e shape, const char *path);   /* or NULL */

/**
 * Check outside input against a form. Gives a new object that holds the form's fields
 * and nothing else (unknown members are ignored and never stored, REQ design 5); strings
 * are trimmed of nothing and kept byte for byte, EMAIL is put into lower case, defaults
 * are filled in.
 * @return HB_E_INPUT_INVALID with one hb_fail_field per unacceptable field:
 *         "required", "type", "length", "range", "format", "value".
 */
apr_status_t hb_schema_check(hb_json_t **clean, hb_op_t *op, hb_shape_e form,
                             const hb_json_t *input);

/**
 * The same for name=value pairs of a query string, whose values are text: INT and
 * BOOL are read from it. A name given twice is "value".
 */
apr_status_t hb_schema_check_query(hb_json_t **clean, hb_op_t *op, hb_shape_e form,
                                   const char *query_string);

/**
 * What a reader of a record may see: "id", then the fields whose flags meet `who`
 * (HB_ALL, HB_ALL | HB_SELF, HB_ALL | HB_STAFF ...), TIME as RFC 3339, missing NULLABLE
 * ones as null. The result lives in op->pool and shares its values with the record: change
 * neither's arrays or objects afterwards.
 */
hb_json_t *hb_schema_view(hb_op_t *op, hb_collection_e collection, const hb_json_t *doc,
                          unsigned int who);

/** Does an outgoing reply fit its shape? For tests and debug builds. NULL or a sentence. */
const char *hb_schema_misfit(hb_shape_e reply, const hb_json_t *json, apr_pool_t *pool);

/** The same for a shape or a view by name ("users:self"). */
const char *hb_schema_misfit_of(const char *name, const hb_json_t *json, apr_pool_t *pool);

/**
 * JSON Schema (2020-12) of a shape or of a view ("users:self"), for /openapi.json; NULL when
 * there is none of that name. Inner shapes are "$ref": "#/components/schemas/NAME" with
 * the name as the table has it.
 */
hb_json_t *hb_schema_openapi(const char *name, apr_pool_t *pool);

#endif /* HB_SCHEMA_H */
