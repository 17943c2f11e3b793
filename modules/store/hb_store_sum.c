/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in one canonical form, and the sum over them. */
#include "hb_store_sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hb_crypto.h"

/* Text that grows; kept from one document to the next. */
typedef struct text_t {
    char *bytes;
    apr_size_t n, size;
} text_t;

static __thread text_t canon;

typedef struct member_t {
    const char *key;
    const hb_json_t *value;
} member_t;

typedef struct members_t {
    member_t *list;
    member_t few[48];           /* enough for nearly all documents */
    int n, size;
} members_t;

static void put(text_t *t, const char *bytes, apr_size_t n)
{
    if (t->n + n > t->size) {
        t->size = (t->n + n) * 2 + 1024;
        t->bytes = realloc(t->bytes, t->size);
        if (t->bytes == NULL) {
            abort();            /* as APR does without memory */
        }
    }
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
}

static void put_string(text_t *t, const char *bytes, apr_size_t n)
{
    apr_size_t i, from = 0;
    char escape[8];

    put(t, "\"", 1);
    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        put(t, bytes + from, i - from);
        put(t, escape, (apr_size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
        from = i + 1;
    }
    put(t, bytes + from, n - from);
    put(t, "\"", 1);
}

static int take_member(void *baton, const char *key, hb_json_t *value)
{
    members_t *m = baton;

    if (m->n == m->size) {
        member_t *more = malloc((apr_size_t)m->size * 2 * sizeof(*more));

        if (more == NULL) {
            abort();
        }
        memcpy(more, m->list, (apr_size_t)m->n * sizeof(*more));
        if (m->list != m->few) {
            free(m->list);
        }
        m->list = more;
        m->size *= 2;
    }
    m->list[m->n++] = (member_t){ key, value };
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const member_t *)a)->key, ((const member_t *)b)->key);
}

static void put_json(text_t *t, const hb_json_t *json);

static void put_object(text_t *t, const hb_json_t *json)
{
    members_t m = { .n = 0 };
    int i;

    m.list = m.few;
    m.size = (int)(sizeof(m.few) / sizeof(m.few[0]));
    hb_json_each(json, take_member, &m);
    qsort(m.list, (apr_size_t)m.n, sizeof(*m.list), by_key);
    put(t, "{", 1);
    for (i = 0; i < m.n; i++) {
        if (i > 0) {
            put(t, ",", 1);
        }
        put_string(t, m.list[i].key, strlen(m.list[i].key));
        put(t, ":", 1);
        put_json(t, m.list[i].value);
    }
    put(t, "}", 1);
    if (m.list != m.few) {
        free(m.list);
    }
}

static void put_json(text_t *t, const hb_json_t *json)
{
    char number[40];
    int i;

    switch (hb_json_type(json)) {
    case HB_JSON_NULL:
        put(t, "null", 4);
        break;
    case HB_JSON_BOOL:
        put(t, hb_json_bool_value(json, 0) ? "true" : "false",
            hb_json_bool_value(json, 0) ? 4 : 5);
        break;
    case HB_JSON_INT:
        put(t, number, (apr_size_t)snprintf(number, sizeof(number), "%lld",
                                            (long long)hb_json_int_value(json, 0)));
        break;
    case HB_JSON_REAL:          /* with its point: 1 and 1.0 are different values */
        put(t, number, (apr_size_t)snprintf(number, sizeof(number), "%#.17g",
                                            hb_json_real_value(json, 0)));
        break;
    case HB_JSON_STRING:
        put_string(t, hb_json_string_value(json), hb_json_string_bytes(json));
        break;
    case HB_JSON_ARRAY:
        put(t, "[", 1);
        for (i = 0; i < hb_json_length(json); i++) {
            if (i > 0) {
                put(t, ",", 1);
            }
            put_json(t, hb_json_item(json, i));
        }
        put(t, "]", 1);
        break;
    case HB_JSON_OBJECT:
        put_object(t, json);
        break;
    }
}

void hb_store_sum_add(hb_store_sum_t *sum, const char *id, const hb_json_t *doc)
{
    unsigned char digest[32];
    unsigned int carry = 0;
    int i;

    canon.n = 0;
    put(&canon, id, strlen(id));
    put(&canon, "\n", 1);
    put_json(&canon, doc);
    if (hb_sha256(digest, canon.bytes, canon.n, NULL, 0) != APR_SUCCESS) {
        memset(digest, 0, sizeof(digest));      /* the counts still differ */
    }
    for (i = (int)sizeof(digest) - 1; i >= 0; i--) {
        carry += (unsigned int)sum->bytes[i] + digest[i];
        sum->bytes[i] = (unsigned char)carry;
        carry >>= 8;
    }
}

int hb_store_sum_read(hb_store_sum_t *sum, const char *text)
{
    unsigned int byte;
    int i;

    if (text == NULL || strlen(text) != 2 * sizeof(sum->bytes)
        || strspn(text, "0123456789abcdef") != 2 * sizeof(sum->bytes)) {
        return 0;
    }
    for (i = 0; i < (int)sizeof(sum->bytes); i++) {
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return 0;
        }
        sum->bytes[i] = (unsigned char)byte;
    }
    return 1;
}
