/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 7692 over zlib. */
#include "rt_deflate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#include "rt_frame.h"
#include "rt_memory.h"
#include "rt_ws.h"

#define WINDOW_BITS (-15)       /* raw, the largest */
#define LEVEL 6
#define TAIL_BYTES 4            /* 00 00 ff ff: ends each message, and is not sent */
#define OUT_FIRST 4096

/* --- the bargain --- */

/* One parameter of an offer: "name" or "name=value"; @return what stands behind it. */
static const char *param_read(char name[32], char value[8], const char *at)
{
    apr_size_t n = 0;
    int is_quoted;

    at += strspn(at, " \t");
    while (*at != '\0' && strchr(" \t=;,", *at) == NULL) {
        if (n + 1 < 32) {
            name[n++] = *at;
        }
        at++;
    }
    name[n] = '\0';
    value[0] = '\0';
    at += strspn(at, " \t");
    if (*at == '=') {
        at++;
        at += strspn(at, " \t");
        is_quoted = *at == '"';
        at += is_quoted;
        for (n = 0; *at != '\0' && strchr(is_quoted ? "\"" : " \t;,", *at) == NULL; at++) {
            if (n + 1 < 8) {
                value[n++] = *at;
            }
        }
        value[n] = '\0';
        if (n == 0) {
            strcpy(value, "-");     /* not the same as none */
        }
        at += is_quoted && *at == '"';
        at += strspn(at, " \t");
    }
    return at;
}

static int is_bits(const char *value)
{
    int bits = atoi(value);

    return strspn(value, "0123456789") == strlen(value) && value[0] != '0' && bits >= 8
        && bits <= 15;
}

/* May this parameter be in an offer that we take? */
static int takes(const char *name, const char *value, unsigned *seen)
{
    static const char *const names[] = { "server_no_context_takeover",
                                         "client_no_context_takeover",
                                         "client_max_window_bits", "server_max_window_bits" };
    unsigned i;

    for (i = 0; i < 4 && strcasecmp(name, names[i]) != 0; i++) {
    }
    if (i == 4 || (*seen & 1u << i) != 0) {
        return 0;
    }
    *seen |= 1u << i;
    switch (i) {
    case 2:
        return value[0] == '\0' || is_bits(value);
    case 3:
        return strcmp(value, "15") == 0;
    default:
        return value[0] == '\0';
    }
}

int rt_deflate_accepts(const char *offers)
{
    char name[32], value[8];
    const char *at = offers;

    while (at != NULL && *at != '\0') {
        unsigned seen = 0;
        int is_good;

        at = param_read(name, value, at);
        is_good = strcasecmp(name, "permessage-deflate") == 0 && value[0] == '\0';
        while (*at == ';') {
            at = param_read(name, value, at + 1);
            is_good = is_good && takes(name, value, &seen);
        }
        if (is_good && (*at == ',' || *at == '\0')) {
            return 1;
        }
        at += strcspn(at, ",");
        at += *at == ',';
    }
    return 0;
}

/* --- zlib, one of each for a thread --- */

typedef struct engines_t {
    z_stream out, in;
} engines_t;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void engines_free(void *data)
{
    engines_t *engines = data;

    deflateEnd(&engines->out);
    inflateEnd(&engines->in);
    free(engines);
}

static void key_make(void)
{
    if (pthread_key_create(&key, engines_free) != 0) {
        abort();
    }
}

static engines_t *engines_of_thread(void)
{
    engines_t *engines;

    pthread_once(&once, key_make);
    engines = pthread_getspecific(key);
    if (engines == NULL) {
        engines = rt_need(sizeof(*engines));
        memset(engines, 0, sizeof(*engines));
        if (deflateInit2(&engines->out, LEVEL, Z_DEFLATED, WINDOW_BITS, 8,
                         Z_DEFAULT_STRATEGY) != Z_OK
            || inflateInit2(&engines->in, WINDOW_BITS) != Z_OK
            || pthread_setspecific(key, engines) != 0) {
            abort();
        }
    }
    return engines;
}

/* @return the compressed length without its tail, 0 when it does not fit into room */
static apr_size_t squeeze(char *to, apr_size_t room, const char *from, apr_size_t len)
{
    z_stream *z = &engines_of_thread()->out;
    apr_size_t n;

    deflateReset(z);
    z->next_in = (unsigned char *)from;
    z->avail_in = (unsigned)len;
    z->next_out = (unsigned char *)to;
    z->avail_out = (unsigned)room;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in > 0 || z->avail_out == 0) {
        return 0;
    }
    n = room - z->avail_out;
    return n > TAIL_BYTES ? n - TAIL_BYTES : 0;
}

/* --- out --- */

rt_bytes_t rt_deflate_frames(rt_bytes_t frames)
{
    rt_bytes_t rest = frames, payload, made = { NULL, 0 };
    char *memory = rt_need(frames.len), *to = memory, *packed;
    const char *frame = frames.at;
    int is_binary, gains = 0;

    for (; rt_frame_next(&payload, &is_binary, &rest); frame = rest.at) {
        apr_size_t whole = (apr_size_t)(rest.at - frame), n = 0;

        if (payload.len >= RT_DEFLATE_MIN && (frame[0] & 8) == 0) {
            /* Behind the largest head it may have; more than it is now it may not get. */
            packed = rt_need(payload.len + TAIL_BYTES);
            n = squeeze(packed, payload.len + TAIL_BYTES, payload.at, payload.len);
            if (n > 0 && n < payload.len) {
                int head = rt_ws_head_write(to, is_binary ? RT_WS_BINARY : RT_WS_TEXT, n);

                to[0] = (char)(to[0] | RT_WS_PACKED);
                memcpy(to + head, packed, n);
                to += (apr_size_t)head + n;
                gains = 1;
            }
            else {
                n = 0;
            }
            free(packed);
        }
        if (n == 0) {
            memcpy(to, frame, whole);
            to += whole;
        }
    }
    if (!gains) {
        free(memory);
        return made;
    }
    made.at = memory;
    made.len = (apr_size_t)(to - memory);
    return made;
}

/* --- in --- */

/* One run of zlib over a piece of the input; the output grows, but not beyond max. */
static rt_inflated_e pour(z_stream *z, char **out, apr_size_t *len, apr_size_t *size,
                          const char *bytes, apr_size_t n, apr_size_t max)
{
    z->next_in = (unsigned char *)bytes;
    z->avail_in = (unsigned)n;
    for (;;) {
        apr_size_t room;
        int rc;

        if (*len == *size) {
            if (*size > max) {
                return RT_INFLATED_TOO_BIG;
            }
            *size = *size * 2 < max ? *size * 2 : max + 1;
            *out = rt_need_more(*out, *size + 1);
        }
        room = *size - *len;
        z->next_out = (unsigned char *)*out + *len;
        z->avail_out = (unsigned)room;
        rc = inflate(z, Z_SYNC_FLUSH);
        *len += room - z->avail_out;
        if (rc == Z_STREAM_END) {   /* a last block; another may follow (RFC 7692 7.2.3.5) */
            inflateReset(z);
        }
        else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return RT_INFLATED_BAD;
        }
        if (z->avail_out > 0 && (z->avail_in == 0 || rc == Z_BUF_ERROR)) {
            return z->avail_in == 0 ? RT_INFLATED : RT_INFLATED_BAD;
        }
    }
}

rt_inflated_e rt_inflate(char **out, apr_size_t *out_len, const char *bytes, apr_size_t len,
                         apr_size_t max)
{
    static const char tail[TAIL_BYTES] = { 0, 0, (char)0xff, (char)0xff };
    z_stream *z = &engines_of_thread()->in;
    apr_size_t size = OUT_FIRST < max ? OUT_FIRST : max + 1;
    rt_inflated_e how;

    *out = rt_need(size + 1);
    *out_len = 0;
    inflateReset(z);
    how = pour(z, out, out_len, &size, bytes, len, max);
    if (how == RT_INFLATED) {
        how = pour(z, out, out_len, &size, tail, sizeof(tail), max);
    }
    if (how == RT_INFLATED && *out_len > max) {
        how = RT_INFLATED_TOO_BIG;
    }
    if (how != RT_INFLATED) {
        free(*out);
        *out = NULL;
        *out_len = 0;
        return how;
    }
    (*out)[*out_len] = '\0';
    return how;
}
