/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hb_schema.def at run time: rows and how to find them. Checking input is
 * hb_schema_check.c's, showing records hb_schema_view.c's, describing shapes to other
 * programs hb_schema_openapi.c's.
 */
#include "hb_schema.h"

#include <stdlib.h>
#include <string.h>

#include "hb_schema_private.h"

static const hb_field_row_t field_rows[] = {
#define HB_COLLECTION(symbol, name, sentence)
#define HB_FORM(symbol, name, sentence)
#define HB_REPLY(symbol, name, sentence)
#define HB_FIELD(shape, path, kind, low, high, flags, extra, sentence) \
    { shape, path, HB_KIND_##kind, low, high, flags, extra, sentence },
#define HB_INDEX(shape, name, flags, fields)
#include "hb_schema.def"
#undef HB_FIELD
#undef HB_INDEX
};

static const hb_index_row_t index_rows[] = {
#define HB_FIELD(shape, path, kind, low, high, flags, extra, sentence)
#define HB_INDEX(shape, name, flags, fields) { shape, name, flags, fields },
#include "hb_schema.def"
#undef HB_COLLECTION
#undef HB_FORM
#undef HB_REPLY
#undef HB_INDEX
};

#define FIELD_COUNT (int)(sizeof(field_rows) / sizeof(field_rows[0]))
#define INDEX_COUNT (int)(sizeof(index_rows) / sizeof(index_rows[0]))

/* Fields and indexes are found when the library is loaded. */
static hb_shape_row_t shape_rows[] = {
    { HB_SHAPE_NONE, HB_IS_FORM, "", "nothing", field_rows, 0, index_rows, 0 },
#define HB_COLLECTION(symbol, name, sentence) \
    { HB_C_##symbol, HB_IS_COLLECTION, name, sentence, field_rows, 0, index_rows, 0 },
#define HB_FORM(symbol, name, sentence) \
    { HB_F_##symbol, HB_IS_FORM, name, sentence, field_rows, 0, index_rows, 0 },
#define HB_REPLY(symbol, name, sentence) \
    { HB_R_##symbol, HB_IS_REPLY, name, sentence, field_rows, 0, index_rows, 0 },
#define HB_INDEX(shape, name, flags, fields)
#include "hb_schema.def"
};

static hb_field_plan_t plans[FIELD_COUNT];

static const char *const kind_names[] = {
    [HB_KIND_STRING] = "STRING", [HB_KIND_INT] = "INT", [HB_KIND_REAL] = "REAL",
    [HB_KIND_BOOL] = "BOOL", [HB_KIND_TIME] = "TIME", [HB_KIND_ID] = "ID",
    [HB_KIND_EMAIL] = "EMAIL", [HB_KIND_USERNAME] = "USERNAME",
    [HB_KIND_PASSWORD] = "PASSWORD", [HB_KIND_URL] = "URL", [HB_KIND_COUNTRY] = "COUNTRY",
    [HB_KIND_LANGUAGE] = "LANGUAGE", [HB_KIND_ZONE] = "ZONE", [HB_KIND_PHONE] = "PHONE",
    [HB_KIND_DATE] = "DATE", [HB_KIND_ENUM] = "ENUM", [HB_KIND_ARRAY] = "ARRAY",
    [HB_KIND_OBJECT] = "OBJECT", [HB_KIND_CURSOR] = "CURSOR", [HB_KIND_COINS] = "COINS",
};
#define KIND_COUNT (int)(sizeof(kind_names) / sizeof(kind_names[0]))

/* What a row without bounds of its own means. For texts these are characters. */
static const struct { apr_int64_t low, high; } kind_bounds[KIND_COUNT] = {
    [HB_KIND_STRING] = { 0, 1000 },
    [HB_KIND_INT] = { APR_INT64_MIN, APR_INT64_MAX },
    [HB_KIND_REAL] = { APR_INT64_MIN, APR_INT64_MAX },
    [HB_KIND_BOOL] = { 0, 1 },
    [HB_KIND_TIME] = { APR_INT64_MIN, APR_INT64_MAX },
    [HB_KIND_ID] = { 24, 24 },
    [HB_KIND_EMAIL] = { 3, 254 },
    [HB_KIND_USERNAME] = { 3, 30 },
    [HB_KIND_PASSWORD] = { 8, 128 },
    [HB_KIND_URL] = { 0, 500 },
    [HB_KIND_COUNTRY] = { 2, 2 },
    [HB_KIND_LANGUAGE] = { 2, 35 },
    [HB_KIND_ZONE] = { 1, 64 },
    [HB_KIND_PHONE] = { 8, 16 },
    [HB_KIND_DATE] = { 10, 10 },
    [HB_KIND_ENUM] = { 0, 100 },
    [HB_KIND_ARRAY] = { 0, 1000 },
    [HB_KIND_OBJECT] = { 0, 1000 },
    [HB_KIND_CURSOR] = { 1, 400 },
    [HB_KIND_COINS] = { 0, APR_INT64_MAX },
};

static void plan_path(hb_field_plan_t *plan)
{
    char *at = strchr(plan->row->path, '.') == NULL ? NULL : strdup(plan->row->path);

    plan->parts[0] = plan->row->path;
    plan->n_parts = 1;
    if (at == NULL) {
        return;
    }
    plan->parts[0] = at;
    while ((at = strchr(at, '.')) != NULL && plan->n_parts < HB_PATH_PARTS_MAX) {
        *at++ = '\0';
        plan->parts[plan->n_parts++] = at;
    }
}

static void plan_inner(hb_field_plan_t *plan)
{
    int kind;

    plan->item_kind = -1;
    if (plan->row->kind != HB_KIND_ARRAY && plan->row->kind != HB_KIND_OBJECT) {
        return;
    }
    for (kind = 0; kind < KIND_COUNT && plan->row->kind == HB_KIND_ARRAY; kind++) {
        if (strcmp(kind_names[kind], plan->row->extra) == 0) {
            plan->item_kind = kind;
            return;
        }
    }
    plan->inner = hb_shape_read(&plan->inner_who, plan->row->extra);
}

/*
 * Runs when the library is loaded, before there can be a second thread; what it fills is
 * only read afterwards.
 */
__attribute__((constructor)) static void link_rows(void)
{
    hb_shape_row_t *shape;
    int i;

    for (i = 0; i < FIELD_COUNT; i++) {
        shape = &shape_rows[field_rows[i].shape];
        if (shape->n_fields++ == 0) {
            shape->fields = &field_rows[i];
        }
    }
    for (i = 0; i < INDEX_COUNT; i++) {
        shape = &shape_rows[index_rows[i].shape];
        if (shape->n_indexes++ == 0) {
            shape->indexes = &index_rows[i];
        }
    }
    for (i = 0; i < FIELD_COUNT; i++) {
        plans[i].row = &field_rows[i];
        plan_path(&plans[i]);
        plan_inner(&plans[i]);
    }
}

const hb_shape_row_t *hb_shape(hb_shape_e shape)
{
    return &shape_rows[shape > HB_SHAPE_NONE && shape < HB_SHAPE_COUNT ? shape
                                                                     : HB_SHAPE_NONE];
}

const hb_shape_row_t *hb_shape_by_name(const char *name)
{
    int i;

    for (i = HB_SHAPE_NONE + 1; i < HB_SHAPE_COUNT; i++) {
        if (strcmp(shape_rows[i].name, name) == 0) {
            return &shape_rows[i];
        }
    }
    return NULL;
}

const hb_field_row_t *hb_shape_field(hb_shape_e shape, const char *path)
{
    const hb_shape_row_t *row = hb_shape(shape);
    int i;

    for (i = 0; i < row->n_fields; i++) {
        if (row->fields[i].path[0] == path[0] && strcmp(row->fields[i].path, path) == 0) {
            return &row->fields[i];
        }
    }
    return NULL;
}

const hb_field_plan_t *hb_shape_plans(const hb_shape_row_t *shape)
{
    return &plans[shape->fields - field_rows];
}

const hb_shape_row_t *hb_shape_read(unsigned int *who, const char *name)
{
    static const struct { const char *word; unsigned int who; } views[] = {
        { "all", HB_ALL }, { "self", HB_ALL | HB_SELF }, { "staff", HB_ALL | HB_STAFF },
    };
    char plain[64];
    const char *colon = strchr(name, ':');
    apr_size_t i, len = colon != NULL ? (apr_size_t)(colon - name) : strlen(name);

    *who = 0;
    if (colon == NULL) {
        return hb_shape_by_name(name);
    }
    for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (strcmp(colon + 1, views[i].word) == 0) {
            *who = views[i].who;
        }
    }
    if (*who == 0 || len >= sizeof(plain)) {
        return NULL;
    }
    memcpy(plain, name, len);
    plain[len] = '\0';
    return hb_shape_by_name(plain);
}

const char *hb_words_next(char *buf, apr_size_t size, int *is_default, const char *words)
{
    apr_size_t len;

    words += strspn(words, " ");
    *is_default = *words == '*';
    words += *is_default;
    len = strcspn(words, " ");
    if (len == 0 || len >= size) {
        return NULL;
    }
    memcpy(buf, words, len);
    buf[len] = '\0';
    return words + len;
}

int hb_words_have(const char *words, const char *word)
{
    char one[64];
    int is_default;

    while ((words = hb_words_next(one, sizeof(one), &is_default, words)) != NULL) {
        if (strcmp(one, word) == 0) {
            return 1;
        }
    }
    return 0;
}

void hb_field_bounds(apr_int64_t *low, apr_int64_t *high, const hb_field_row_t *row)
{
    *low = row->low;
    *high = row->high;
    if (row->low == 0 && row->high == 0) {
        *low = kind_bounds[row->kind].low;
        *high = kind_bounds[row->kind].high;
    }
}
