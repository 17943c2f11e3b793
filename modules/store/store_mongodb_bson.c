/* SPDX-License-Identifier: Apache-2.0 */
/* Documents and queries become BSON, and what the server gives becomes JSON. */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#define PATH_MAX_BYTES 256
#define DEPTH_MAX (HB_JSON_DEPTH_MAX + 4)
#define FIRST_MSEC INT64_C(-62135596800000)     /* 0001-01-01: not every reader knows earlier ones */

/* Where in a document we are: the schema knows the kind of a field by its path. */
typedef struct place_t {
    hb_collection_e in;
    char path[PATH_MAX_BYTES];
    apr_size_t n;
    int is_unknown;             /* inside an array, or too deep: no row is of it */
} place_t;

typedef struct members_t {
    bson_t *to;
    place_t *place;
} members_t;

static void append_json(bson_t *to, const char *key, const hb_json_t *json, place_t *place);

static int is_time(const place_t *place)
{
    const hb_field_row_t *row = place->is_unknown ? NULL
        : hb_shape_field(place->in, place->path);

    return row != NULL && row->kind == HB_KIND_TIME;
}

static int append_member(void *baton, const char *key, hb_json_t *value)
{
    members_t *m = baton;
    place_t *place = m->place;
    apr_size_t before = place->n, n = strlen(key);
    int was_unknown = place->is_unknown;

    if (before == 0 && strcmp(key, "_id") == 0) {
        return 0;               /* it went first */
    }
    if (before + n + 2 > sizeof(place->path)) {
        place->is_unknown = 1;
    }
    if (!place->is_unknown) {
        if (before > 0) {
            place->path[place->n++] = '.';
        }
        memcpy(place->path + place->n, key, n + 1);
        place->n += n;
    }
    append_json(m->to, key, value, place);
    place->n = before;
    place->path[before] = '\0';
    place->is_unknown = was_unknown;
    return 0;
}

static void append_array(bson_t *to, const char *key, const hb_json_t *json, place_t *place)
{
    int was_unknown = place->is_unknown;
    int i, n = hb_json_length(json);
    bson_t array;

    place->is_unknown = 1;
    bson_append_array_begin(to, key, -1, &array);
    for (i = 0; i < n; i++) {
        char text[16];
        const char *index;

        bson_uint32_to_string((uint32_t)i, &index, text, sizeof(text));
        append_json(&array, index, hb_json_item(json, i), place);
    }
    bson_append_array_end(to, &array);
    place->is_unknown = was_unknown;
}

static void append_json(bson_t *to, const char *key, const hb_json_t *json, place_t *place)
{
    members_t m;
    bson_t object;

    switch (hb_json_type(json)) {
    case HB_JSON_NULL:
        bson_append_null(to, key, -1);
        break;
    case HB_JSON_BOOL:
        bson_append_bool(to, key, -1, hb_json_bool_value(json, 0) != 0);
        break;
    case HB_JSON_INT:
        if (is_time(place)) {
            bson_append_date_time(to, key, -1, hb_json_int_value(json, 0));
        }
        else {
            bson_append_int64(to, key, -1, hb_json_int_value(json, 0));
        }
        break;
    case HB_JSON_REAL:
        bson_append_double(to, key, -1, hb_json_real_value(json, 0));
        break;
    case HB_JSON_STRING:
        bson_append_utf8(to, key, -1, hb_json_string_value(json),
                         (int)hb_json_string_bytes(json));
        break;
    case HB_JSON_ARRAY:
        append_array(to, key, json, place);
        break;
    case HB_JSON_OBJECT:
        bson_append_document_begin(to, key, -1, &object);
        m = (members_t){ &object, place };
        hb_json_each(json, append_member, &m);
        bson_append_document_end(to, &object);
        break;
    }
}

bson_t *mongo_raw_bson(hb_collection_e in, const char *id, const hb_json_t *doc)
{
    bson_t *bson = bson_new();
    place_t place = { .in = in };
    members_t m = { bson, &place };

    if (id != NULL) {
        bson_append_utf8(bson, "_id", -1, id, -1);
    }
    hb_json_each(doc, append_member, &m);
    return bson;
}

bson_t *mongo_doc_bson(hb_collection_e in, const hb_json_t *doc)
{
    return mongo_raw_bson(in, hb_json_string(doc, "_id"), doc);
}

static hb_json_t *object_json(bson_iter_t *iter, apr_pool_t *pool, int depth);
static hb_json_t *array_json(bson_iter_t *iter, apr_pool_t *pool, int depth);

/* A member of an object under its own key; what JSON cannot say becomes null. */
static void set_member(hb_json_t *object, const char *key, const bson_iter_t *iter,
                       apr_pool_t *pool, int depth)
{
    bson_decimal128_t decimal;
    char text[BSON_DECIMAL128_STRING > 25 ? BSON_DECIMAL128_STRING : 25];
    bson_iter_t child;
    uint32_t n;

    switch (bson_iter_type(iter)) {
    case BSON_TYPE_UTF8:
        hb_json_set_string(object, key, bson_iter_utf8(iter, &n));
        break;
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        hb_json_set_int(object, key, bson_iter_as_int64(iter));
        break;
    case BSON_TYPE_DATE_TIME:
        hb_json_set_int(object, key, bson_iter_date_time(iter));
        break;
    case BSON_TYPE_DOUBLE:
        hb_json_set_real(object, key, bson_iter_double(iter));
        break;
    case BSON_TYPE_BOOL:
        hb_json_set_bool(object, key, bson_iter_bool(iter));
        break;
    case BSON_TYPE_OID:         /* of a document somebody else wrote */
        bson_oid_to_string(bson_iter_oid(iter), text);
        hb_json_set_string(object, key, text);
        break;
    case BSON_TYPE_DECIMAL128:
        bson_iter_decimal128(iter, &decimal);
        bson_decimal128_to_string(&decimal, text);
        hb_json_set_string(object, key, text);
        break;
    case BSON_TYPE_DOCUMENT:
        if (depth < DEPTH_MAX && bson_iter_recurse(iter, &child)) {
            hb_json_set(object, key, object_json(&child, pool, depth + 1));
        }
        break;
    case BSON_TYPE_ARRAY:
        if (depth < DEPTH_MAX && bson_iter_recurse(iter, &child)) {
            hb_json_set(object, key, array_json(&child, pool, depth + 1));
        }
        break;
    default:
        hb_json_set_null(object, key);
        break;
    }
}

static hb_json_t *object_json(bson_iter_t *iter, apr_pool_t *pool, int depth)
{
    hb_json_t *object = hb_json_object_make(pool);

    while (bson_iter_next(iter)) {
        set_member(object, bson_iter_key(iter), iter, pool, depth);
    }
    return object;
}

static hb_json_t *array_json(bson_iter_t *iter, apr_pool_t *pool, int depth)
{
    hb_json_t *array = hb_json_array_make(pool);
    hb_json_t *one = hb_json_object_make(pool);

    while (bson_iter_next(iter)) {
        set_member(one, "item", iter, pool, depth);
        hb_json_push(array, hb_json_get(one, "item"));
        hb_json_remove(one, "item");
    }
    return array;
}

hb_json_t *mongo_doc_json(const bson_t *bson, apr_pool_t *pool)
{
    bson_iter_t iter;

    return bson_iter_init(&iter, bson) ? object_json(&iter, pool, 0)
        : hb_json_object_make(pool);
}

/* --- queries --- */

static hb_kind_e kind_of(hb_collection_e in, const char *field)
{
    const hb_field_row_t *row = hb_shape_field(in, field);

    return row != NULL ? row->kind : HB_KIND_STRING;    /* _id is a string, too */
}

void mongo_append(bson_t *to, const char *key, hb_collection_e in, const char *field,
                  const hb_value_t *value)
{
    place_t place = { .in = in };

    switch (value->kind) {
    case HB_VALUE_NULL:
        bson_append_null(to, key, -1);
        break;
    case HB_VALUE_STRING:
        bson_append_utf8(to, key, -1, value->string, -1);
        break;
    case HB_VALUE_BOOL:
        bson_append_bool(to, key, -1, value->integer != 0);
        break;
    case HB_VALUE_INT:
        if (kind_of(in, field) == HB_KIND_TIME) {
            bson_append_date_time(to, key, -1, value->integer);
        }
        else {
            bson_append_int64(to, key, -1, value->integer);
        }
        break;
    case HB_VALUE_JSON:
        place.n = strlen(field);
        if (place.n < sizeof(place.path)) {
            memcpy(place.path, field, place.n + 1);
        }
        else {
            place.is_unknown = 1;
        }
        append_json(to, key, value->json, &place);
        break;
    }
}

void mongo_append_least(bson_t *to, const char *key, hb_kind_e kind)
{
    switch (kind) {
    case HB_KIND_INT:
    case HB_KIND_COINS:
        bson_append_int64(to, key, -1, INT64_MIN);
        break;
    case HB_KIND_REAL:
        bson_append_double(to, key, -1, -__builtin_inf());
        break;
    case HB_KIND_TIME:
        bson_append_date_time(to, key, -1, FIRST_MSEC);
        break;
    case HB_KIND_BOOL:
        bson_append_bool(to, key, -1, false);
        break;
    default:
        bson_append_utf8(to, key, -1, "", 0);
        break;
    }
}

/*
 * The first string behind all that start with a prefix: its last character counted up. Strings
 * compare byte by byte, and the order of UTF-8 is that of its characters. 0 when there is none.
 */
static int behind_prefix(char *next, apr_size_t size, const char *prefix)
{
    apr_size_t n = strlen(prefix), n_char;
    unsigned int c;

    while (n > 0) {
        apr_size_t at = n - 1;

        while (at > 0 && ((unsigned char)prefix[at] & 0xc0) == 0x80) {
            at--;
        }
        c = bson_utf8_get_char(prefix + at);
        if (c != 0x10ffff) {
            uint32_t len;

            c = c == 0xd7ff ? 0xe000 : c + 1;       /* surrogates are no characters */
            if (at + 6 >= size) {
                return 0;
            }
            memcpy(next, prefix, at);
            bson_utf8_from_unichar((bson_unichar_t)c, next + at, &len);
            n_char = len;
            next[at + n_char] = '\0';
            return 1;
        }
        n = at;
    }
    return 0;
}

/* One condition as a document of its own. */
static void append_cond(bson_t *to, hb_collection_e in, const hb_cond_t *cond)
{
    hb_kind_e kind = kind_of(in, cond->field);
    char next[PATH_MAX_BYTES * 4];
    bson_t test, list;
    int i;

    bson_append_document_begin(to, cond->field, -1, &test);
    switch (cond->how) {
    case HB_IS:
        mongo_append(&test, "$eq", in, cond->field, &cond->value);
        break;
    case HB_IS_NOT:
        mongo_append(&test, "$ne", in, cond->field, &cond->value);
        break;
    case HB_BELOW:              /* the least value lets a sparse index serve it */
        mongo_append_least(&test, "$gte", kind);
        mongo_append(&test, "$lt", in, cond->field, &cond->value);
        break;
    case HB_AT_MOST:
        mongo_append_least(&test, "$gte", kind);
        mongo_append(&test, "$lte", in, cond->field, &cond->value);
        break;
    case HB_ABOVE:
        mongo_append(&test, "$gt", in, cond->field, &cond->value);
        break;
    case HB_AT_LEAST:
        mongo_append(&test, "$gte", in, cond->field, &cond->value);
        break;
    case HB_STARTS_WITH:
        mongo_append(&test, "$gte", in, cond->field, &cond->value);
        if (behind_prefix(next, sizeof(next), cond->value.string)) {
            bson_append_utf8(&test, "$lt", -1, next, -1);
        }
        break;
    case HB_ONE_OF:
        bson_append_array_begin(&test, "$in", -1, &list);
        for (i = 0; i < cond->n_any; i++) {
            char text[16];
            const char *index;

            bson_uint32_to_string((uint32_t)i, &index, text, sizeof(text));
            mongo_append(&list, index, in, cond->field, &cond->any[i]);
        }
        bson_append_array_end(&test, &list);
        break;
    case HB_HAS:
        bson_append_document_begin(&test, "$elemMatch", -1, &list);
        mongo_append(&list, "$eq", in, cond->field, &cond->value);
        bson_append_document_end(&test, &list);
        break;
    }
    bson_append_document_end(to, &test);
}

static void begin_item(bson_t *list, int *n, bson_t *item)
{
    char text[16];
    const char *index;

    bson_uint32_to_string((uint32_t)(*n)++, &index, text, sizeof(text));
    bson_append_document_begin(list, index, -1, item);
}

static void append_test(bson_t *to, hb_collection_e in, const char *field, const char *how,
                        const hb_value_t *value)
{
    bson_t test;

    bson_append_document_begin(to, field, -1, &test);
    mongo_append(&test, how, in, field, value);
    bson_append_document_end(to, &test);
}

/* Behind a cursor: equal in the first sort fields and beyond it in the next, for each next. */
static void append_behind(bson_t *to, const hb_query_t *query, const hb_store_cursor_t *cursor)
{
    const hb_value_t id = { HB_VALUE_STRING, cursor->id, 0, NULL };
    int n_same, k, n = 0;
    bson_t list, item;

    bson_append_array_begin(to, "$or", -1, &list);
    for (n_same = cursor->n_keys; n_same >= 0; n_same--) {
        begin_item(&list, &n, &item);
        for (k = 0; k < n_same; k++) {
            append_test(&item, query->in, query->sort[k].field, "$eq", &cursor->keys[k]);
        }
        if (n_same == cursor->n_keys) {
            append_test(&item, query->in, "_id", hb_store_id_descends(query) ? "$lt" : "$gt",
                        &id);
        }
        else {
            append_test(&item, query->in, query->sort[n_same].field,
                        query->sort[n_same].descending ? "$lt" : "$gt", &cursor->keys[n_same]);
        }
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(to, &list);
}

void mongo_filter(bson_t *filter, const hb_query_t *query, const hb_store_cursor_t *cursor)
{
    int i, n = 0, n_keys = hb_store_n_keys(query);
    bson_t all, item, test;

    if (query->n_where + n_keys == 0 && cursor == NULL) {
        return;
    }
    bson_append_array_begin(filter, "$and", -1, &all);
    for (i = 0; i < query->n_where; i++) {
        begin_item(&all, &n, &item);
        append_cond(&item, query->in, &query->where[i]);
        bson_append_document_end(&all, &item);
    }
    for (i = 0; i < n_keys; i++) {
        const char *field = query->sort[i].field;

        begin_item(&all, &n, &item);
        bson_append_document_begin(&item, field, -1, &test);
        if (i == 0 && cursor != NULL) {     /* where an index may begin */
            mongo_append(&test, query->sort[0].descending ? "$lte" : "$gte", query->in, field,
                         &cursor->keys[0]);
        }
        if (i > 0 || cursor == NULL || query->sort[0].descending) {
            mongo_append_least(&test, "$gte", kind_of(query->in, field));
        }
        bson_append_document_end(&item, &test);
        bson_append_document_end(&all, &item);
    }
    if (cursor != NULL) {
        begin_item(&all, &n, &item);
        append_behind(&item, query, cursor);
        bson_append_document_end(&all, &item);
    }
    bson_append_array_end(filter, &all);
}

void mongo_filter_id(bson_t *filter, const char *id)
{
    bson_append_utf8(filter, "_id", -1, id, -1);
}

/*
 * _id last, but for an order that is total without it: a unique index has no _id, and the server
 * would sort in memory what that index gives in order, up to 100 MB and no further.
 */
void mongo_sort(bson_t *sort, const hb_query_t *query)
{
    int i, n_keys = hb_store_n_keys(query);

    for (i = 0; i < n_keys; i++) {
        bson_append_int32(sort, query->sort[i].field, -1, query->sort[i].descending ? -1 : 1);
    }
    if (!hb_store_is_sorted(query, n_keys)) {
        bson_append_int32(sort, "_id", -1, hb_store_id_descends(query) ? -1 : 1);
    }
}
