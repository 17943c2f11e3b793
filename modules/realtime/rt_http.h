/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_http.h
 * HTTP/1.1 as far as the doors need it: reading request heads and chunked bodies, and the heads
 * of answers. Pure functions; what a request leads to is rt_request.c's.
 */
#ifndef RT_HTTP_H
#define RT_HTTP_H

#include "rt_app.h"

#define RT_HEAD_MAX 16384
#define RT_FIELDS_MAX 64

typedef struct rt_field_t {
    rt_bytes_t name, value;
} rt_field_t;

struct rt_head_t {
    apr_pool_t *pool;           /* for what the accessors give */
    rt_bytes_t method, path, query;
    int minor;                  /* HTTP/1.minor */
    const char *path_text;      /* path with a 0 behind */
    const char *address, *request_id;
    apr_int64_t body_len;       /* -1: none was told */
    int is_chunked;
    int is_upgrade;             /* asks for WebSocket */
    int keep_alive;
    int n_fields;
    rt_field_t fields[RT_FIELDS_MAX];
};

/** Where the head ends; 0 when its end is not there yet. from: where to go on looking. */
apr_size_t rt_head_end(const char *bytes, apr_size_t len, apr_size_t from);

/**
 * Read a whole head; its slices are the bytes given.
 * @return 0, or the status to answer with (400, 431, 501, 505)
 */
int rt_head_read(rt_head_t *head, const char *bytes, apr_size_t len, apr_pool_t *pool);

int rt_head_is_method(const rt_head_t *head, const char *method);

/** Are all characters of the value legal in a header? */
int rt_field_is_legal(const char *value);

/** Chunked bodies, decoded where they are. Zeroed at the start. */
typedef struct rt_chunks_t {
    int state;
    apr_uint32_t left;          /* of the chunk */
    apr_uint32_t trailer_bytes;
} rt_chunks_t;

/**
 * Decode more of a body.
 * @param body  decoded bytes so far; grows within the same memory
 * @param raw   raw bytes behind them; what is left of it
 * @return 1 the body is complete, 0 more is needed, -1 not chunked coding
 */
int rt_chunks_read(rt_chunks_t *chunks, char *bytes, apr_size_t *body, apr_size_t *raw);

/** "Bad Request"; never NULL. */
const char *rt_status_text(int status);

#endif /* RT_HTTP_H */
