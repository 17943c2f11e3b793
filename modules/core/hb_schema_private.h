/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_schema_private.h
 * What the files of hb_schema share: the plan of each field, worked out once from its
 * row, so that a list of records does no text work per field.
 */
#ifndef HB_SCHEMA_PRIVATE_H
#define HB_SCHEMA_PRIVATE_H

#include "hb_schema.h"

/* Names in a dotted path. */
#define HB_PATH_PARTS_MAX 4

/** A field's row, taken apart. Same order as the rows. */
typedef struct hb_field_plan_t {
    const hb_field_row_t *row;
    const char *parts[HB_PATH_PARTS_MAX];   /* of the path; they live for ever */
    int n_parts;
    const hb_shape_row_t *inner;    /* shape of an OBJECT or of an ARRAY's items; or NULL */
    unsigned int inner_who;         /* "users:self": who looks; 0 when inner is no view */
    int item_kind;                  /* ARRAY of plain values: their hb_kind_e; else -1 */
} hb_field_plan_t;

/** The plans of a shape's fields, n_fields of them. */
const hb_field_plan_t *hb_shape_plans(const hb_shape_row_t *shape);

/**
 * Take apart "users", "users:all", "users:self" or "users:staff". NULL when there is no
 * such shape. @param who  0 when it is no view
 */
const hb_shape_row_t *hb_shape_read(unsigned int *who, const char *name);

/** Is word one of the blank-separated words? A * before one marks the default. */
int hb_words_have(const char *words, const char *word);

/** Step through words: copies the next into buf, gives the rest, NULL at the end. */
const char *hb_words_next(char *buf, apr_size_t size, int *is_default, const char *words);

/** Bounds of a field: its own, or the kind's when its row has none. */
void hb_field_bounds(apr_int64_t *low, apr_int64_t *high, const hb_field_row_t *row);

/* --- formats (hb_schema_format.c): is the text one? --- */
int hb_is_id(const char *text);
int hb_is_email(const char *text);
int hb_is_username(const char *text);
int hb_is_https_url(const char *text);
int hb_is_country(const char *text);
int hb_is_language(const char *text);
int hb_is_phone(const char *text);
/** No control characters but newline and tab. */
int hb_is_clean_text(const char *text);
/** Characters (code points), not bytes. */
apr_size_t hb_text_length(const char *text);

#endif /* HB_SCHEMA_PRIVATE_H */
