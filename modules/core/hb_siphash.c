/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4, written from its paper; the unit test holds the paper's vector. */
#include "hb_siphash.h"

#include <string.h>

#define ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

/* Eight bytes, the first one lowest, on machines of either byte order. */
static apr_uint64_t word_at(const unsigned char *p)
{
    return (apr_uint64_t)p[0] | (apr_uint64_t)p[1] << 8 | (apr_uint64_t)p[2] << 16
        | (apr_uint64_t)p[3] << 24 | (apr_uint64_t)p[4] << 32 | (apr_uint64_t)p[5] << 40
        | (apr_uint64_t)p[6] << 48 | (apr_uint64_t)p[7] << 56;
}

static inline void mix(apr_uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] = ROTATE(v[2], 32);
}

static inline void take(apr_uint64_t v[4], apr_uint64_t word)
{
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
}

apr_uint64_t hb_siphash(const apr_uint64_t key[2], const void *data, apr_size_t len)
{
    const unsigned char *p = data;
    apr_uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
        key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL
    };
    apr_uint64_t last = (apr_uint64_t)len << 56;
    apr_size_t left = len;
    int i;

    for (; left >= 8; left -= 8, p += 8) {
        take(v, word_at(p));
    }
    for (i = 0; i < (int)left; i++) {
        last |= (apr_uint64_t)p[i] << (8 * i);
    }
    take(v, last);
    v[2] ^= 0xff;
    for (i = 0; i < 4; i++) {
        mix(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
