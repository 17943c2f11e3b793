/* SPDX-License-Identifier: Apache-2.0 */
/* Many ids in little memory. When it is full, doubles go before it grows. */
#include "hb_crowd.h"

#include <stdlib.h>
#include <string.h>

#include "hb_store.h"

#define ID_BYTES (HB_ID_LENGTH / 2)

struct hb_crowd_t {
    unsigned char *ids;
    apr_size_t n, size;
    int is_short;
};

static apr_status_t drop(void *baton)
{
    hb_crowd_t *crowd = baton;

    free(crowd->ids);
    return APR_SUCCESS;
}

hb_crowd_t *hb_crowd_make(apr_pool_t *pool)
{
    hb_crowd_t *crowd = apr_pcalloc(pool, sizeof(*crowd));

    apr_pool_cleanup_register(pool, crowd, drop, apr_pool_cleanup_null);
    return crowd;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

apr_size_t hb_crowd_sort(hb_crowd_t *crowd)
{
    apr_size_t i, n = 0;

    if (crowd->n > 1) {
        qsort(crowd->ids, crowd->n, ID_BYTES, compare);
    }
    for (i = 0; i < crowd->n; i++) {
        if (n == 0 || compare(crowd->ids + (n - 1) * ID_BYTES, crowd->ids + i * ID_BYTES) != 0) {
            memmove(crowd->ids + n++ * ID_BYTES, crowd->ids + i * ID_BYTES, ID_BYTES);
        }
    }
    crowd->n = n;
    return n;
}

static int grow(hb_crowd_t *crowd)
{
    apr_size_t size;
    unsigned char *ids;

    if (crowd->size > 0 && hb_crowd_sort(crowd) <= crowd->size / 2) {
        return 1;
    }
    size = crowd->size == 0 ? 1024 : 2 * crowd->size;
    ids = realloc(crowd->ids, size * ID_BYTES);
    if (ids == NULL) {
        crowd->is_short = 1;
        return 0;
    }
    crowd->ids = ids;
    crowd->size = size;
    return 1;
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

int hb_crowd_add(void *baton, const char *id)
{
    hb_crowd_t *crowd = baton;
    unsigned char *to;
    int i;

    if (!hb_id_is_valid(id)) {
        return 0;
    }
    if (crowd->n == crowd->size && !grow(crowd)) {
        return 1;
    }
    to = crowd->ids + crowd->n++ * ID_BYTES;
    for (i = 0; i < ID_BYTES; i++) {
        to[i] = (unsigned char)(digit(id[2 * i]) << 4 | digit(id[2 * i + 1]));
    }
    return 0;
}

int hb_crowd_is_short(const hb_crowd_t *crowd)
{
    return crowd->is_short;
}

const char *hb_crowd_at(const hb_crowd_t *crowd, apr_size_t at, apr_pool_t *pool)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = crowd->ids + at * ID_BYTES;
    char *id = apr_palloc(pool, HB_ID_LENGTH + 1);
    int i;

    for (i = 0; i < ID_BYTES; i++) {
        id[2 * i] = digits[from[i] >> 4];
        id[2 * i + 1] = digits[from[i] & 15];
    }
    id[HB_ID_LENGTH] = '\0';
    return id;
}
