/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a list, and cursors: where a page ended, as text for the client to hand back. The
 * same for every backend. A cursor carries the hash of the query it belongs to; one that was made by
 * another query, or by hand, is refused. It is not signed: whoever forges one can only
 * start his own list at another place.
 *
 * Bytes: version, 8 hash, per sort field a tag and the value, length of id, id.
 */
#include "hb_store_backend.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define CURSOR_VERSION 1
#define CURSOR_TEXT_MAX 4096    /* a sort value is at most a few hundred bytes */

typedef struct writer_t {
    unsigned char *bytes;
    apr_size_t n, size;
} writer_t;

typedef struct reader_t {
    const unsigned char *bytes;
    apr_size_t n, at;
} reader_t;

static apr_uint64_t hash_bytes(apr_uint64_t hash, const void *bytes, apr_size_t n)
{
    const unsigned char *b = bytes;

    while (n-- > 0) {
        hash = (hash ^ *b++) * 0x100000001b3ULL;
    }
    return hash;
}

static apr_uint64_t hash_value(apr_uint64_t hash, const hb_value_t *value)
{
    hash = hash_bytes(hash, &value->kind, sizeof(value->kind));
    if (value->kind == HB_VALUE_STRING) {
        return hash_bytes(hash, value->string, strlen(value->string) + 1);
    }
    return hash_bytes(hash, &value->integer, sizeof(value->integer));
}

int hb_store_n_keys(const hb_query_t *query)
{
    int n = 0;

    while (n < 2 && query->sort[n].field != NULL
           && strcmp(query->sort[n].field, "_id") != 0) {
        n++;
    }
    return n;
}

int hb_store_id_descends(const hb_query_t *query)
{
    int n = hb_store_n_keys(query);

    if (n < 2 && query->sort[n].field != NULL) {
        return query->sort[n].descending != 0;  /* the id itself was asked for */
    }
    return n > 0 && query->sort[n - 1].descending != 0;
}

int hb_store_is_fixed(const hb_query_t *query, const char *field, apr_size_t n)
{
    int i;

    for (i = 0; i < query->n_where; i++) {
        const hb_cond_t *cond = &query->where[i];

        if (cond->how == HB_IS && cond->value.kind != HB_VALUE_NULL
            && strncmp(cond->field, field, n) == 0 && cond->field[n] == '\0') {
            return 1;
        }
    }
    return 0;
}

/* ... or is it sorted by before? */
static int is_settled(const hb_query_t *query, int n_sorted, const char *field, apr_size_t n)
{
    int i;

    if (hb_store_is_fixed(query, field, n)) {
        return 1;
    }
    for (i = 0; i < n_sorted; i++) {
        if (strncmp(query->sort[i].field, field, n) == 0
            && query->sort[i].field[n] == '\0') {
            return 1;
        }
    }
    return 0;
}

int hb_store_is_sorted(const hb_query_t *query, int n_sorted)
{
    const hb_shape_row_t *shape = hb_shape(query->in);
    const char *field;
    apr_size_t n;
    int i;

    if (is_settled(query, n_sorted, "_id", 3)) {
        return 1;
    }
    for (i = 0; i < shape->n_indexes; i++) {
        if (!(shape->indexes[i].flags & HB_INDEX_UNIQUE)) {
            continue;
        }
        for (field = shape->indexes[i].fields; *field != '\0'; field += n) {
            field += strspn(field, " -");
            n = strcspn(field, " -");
            if (n > 0 && !is_settled(query, n_sorted, field, n)) {
                break;
            }
        }
        if (*field == '\0') {
            return 1;
        }
    }
    return 0;
}

/* Which list is it? The limit may change between pages, the rest may not. */
static apr_uint64_t query_hash(const hb_query_t *query)
{
    const char *name = hb_shape(query->in)->name;
    apr_uint64_t hash = hash_bytes(0xcbf29ce484222325ULL, name, strlen(name) + 1);
    int n_keys = hb_store_n_keys(query);
    int down = hb_store_id_descends(query);
    int i, k;

    for (i = 0; i < n_keys; i++) {
        const hb_sort_t *sort = &query->sort[i];
        int descending = sort->descending != 0;

        hash = hash_bytes(hash, sort->field, strlen(sort->field) + 1);
        hash = hash_bytes(hash, &descending, sizeof(descending));
    }
    hash = hash_bytes(hash, &down, sizeof(down));
    for (i = 0; i < query->n_where; i++) {
        const hb_cond_t *cond = &query->where[i];

        hash = hash_bytes(hash, cond->field, strlen(cond->field) + 1);
        hash = hash_bytes(hash, &cond->how, sizeof(cond->how));
        hash = hash_value(hash, &cond->value);
        for (k = 0; k < cond->n_any; k++) {
            hash = hash_value(hash, &cond->any[k]);
        }
    }
    return hash;
}

static void put(writer_t *w, const void *bytes, apr_size_t n)
{
    memcpy(w->bytes + w->n, bytes, n);
    w->n += n;
}

static void put_number(writer_t *w, apr_uint64_t number, int n_bytes)
{
    while (n_bytes-- > 0) {
        w->bytes[w->n++] = (unsigned char)(number >> (8 * n_bytes));
    }
}

static int get_number(reader_t *r, apr_uint64_t *number, apr_size_t n_bytes)
{
    if (r->n - r->at < n_bytes) {
        return 0;
    }
    *number = 0;
    while (n_bytes-- > 0) {
        *number = *number << 8 | r->bytes[r->at++];
    }
    return 1;
}

static const char *get_string(reader_t *r, apr_size_t n_length_bytes, apr_pool_t *pool)
{
    apr_uint64_t n;
    const char *string;

    if (!get_number(r, &n, n_length_bytes) || r->n - r->at < n) {
        return NULL;
    }
    string = apr_pstrmemdup(pool, (const char *)r->bytes + r->at, (apr_size_t)n);
    r->at += (apr_size_t)n;
    return strlen(string) == n && hb_utf8_is_valid(string, (apr_size_t)n) ? string : NULL;
}

const char *hb_store_cursor_make(hb_op_t *op, const hb_query_t *query,
                                 const hb_json_t *last)
{
    const char *id = hb_json_string(last, "_id");
    int n_keys = hb_store_n_keys(query);
    const hb_json_t *keys[2] = { NULL, NULL };
    writer_t w = { NULL, 0, 1 + 8 + 2 + HB_STORE_ID_MAX };
    apr_size_t n;
    int i;

    for (i = 0; i < n_keys; i++) {
        keys[i] = hb_json_at(last, query->sort[i].field);
        w.size += 1 + 8 + (hb_json_type(keys[i]) == HB_JSON_STRING
                           ? hb_json_string_bytes(keys[i]) : 0);
    }
    w.bytes = apr_palloc(op->pool, w.size);
    put_number(&w, CURSOR_VERSION, 1);
    put_number(&w, query_hash(query), 8);
    for (i = 0; i < n_keys; i++) {
        switch (hb_json_type(keys[i])) {
        case HB_JSON_STRING:
            n = hb_json_string_bytes(keys[i]);
            put(&w, "s", 1);
            put_number(&w, n, 2);
            put(&w, hb_json_string_value(keys[i]), n);
            break;
        case HB_JSON_BOOL:
            put(&w, "b", 1);
            put_number(&w, (apr_uint64_t)(hb_json_bool_value(keys[i], 0) != 0), 8);
            break;
        default:                /* the front lets no other kind be sorted by */
            put(&w, "i", 1);
            put_number(&w, (apr_uint64_t)hb_json_int_value(keys[i], 0), 8);
            break;
        }
    }
    n = strlen(id);
    put_number(&w, n, 1);
    put(&w, id, n);
    return hb_base64url(op->pool, w.bytes, w.n);
}

static int read_key(hb_value_t *key, reader_t *r, apr_pool_t *pool)
{
    apr_uint64_t tag, number;

    memset(key, 0, sizeof(*key));
    if (!get_number(r, &tag, 1)) {
        return 0;
    }
    if (tag == 's') {
        key->kind = HB_VALUE_STRING;
        key->string = get_string(r, 2, pool);
        return key->string != NULL;
    }
    if ((tag != 'i' && tag != 'b') || !get_number(r, &number, 8)) {
        return 0;
    }
    key->kind = tag == 'i' ? HB_VALUE_INT : HB_VALUE_BOOL;
    key->integer = (apr_int64_t)number;
    return 1;
}

apr_status_t hb_store_cursor_read(hb_store_cursor_t *cursor, hb_op_t *op,
                                  const hb_query_t *query)
{
    reader_t r = { NULL, 0, 0 };
    apr_uint64_t version, hash;
    int i, good;

    memset(cursor, 0, sizeof(*cursor));
    cursor->n_keys = hb_store_n_keys(query);
    if (strlen(query->after) <= CURSOR_TEXT_MAX) {
        r.bytes = hb_base64url_read(op->pool, &r.n, query->after);
    }
    good = r.bytes != NULL && get_number(&r, &version, 1) && version == CURSOR_VERSION
        && get_number(&r, &hash, 8) && hash == query_hash(query);
    for (i = 0; good && i < cursor->n_keys; i++) {
        good = read_key(&cursor->keys[i], &r, op->pool);
    }
    if (good) {
        cursor->id = get_string(&r, 1, op->pool);
        good = cursor->id != NULL && r.at == r.n;
    }
    if (!good) {
        return hb_fail(op, HB_E_CURSOR_INVALID, "this cursor was not made by this list; "
                       "start again without it");
    }
    return APR_SUCCESS;
}
