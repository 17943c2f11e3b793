/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_deflate.h
 * permessage-deflate (RFC 7692), without context takeover either way: each message is compressed
 * by itself. So a connection costs no memory for it, and one compressed frame serves a whole room.
 * What zlib needs belongs to the thread. Nothing here waits.
 */
#ifndef RT_DEFLATE_H
#define RT_DEFLATE_H

#include "rt_app.h"

/** Our side of the bargain, when it was struck. */
#define RT_DEFLATE_ANSWER \
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/** Messages below this go as they are: what is saved is less than what it costs. */
#define RT_DEFLATE_MIN 256

/**
 * Is one of a client's offers (Sec-WebSocket-Extensions, NULL for none) one that we take? One that
 * wants a smaller window of us is not: the room's frame has one window (RFC 7692 7.1.2.1).
 */
int rt_deflate_accepts(const char *offers);

/**
 * The same WebSocket frames with each message of RT_DEFLATE_MIN or more that gets smaller
 * compressed.
 * @param frames  unfragmented frames of a server
 * @return malloc'd; at NULL when there is nothing to gain
 */
rt_bytes_t rt_deflate_frames(rt_bytes_t frames);

typedef enum rt_inflated_e { RT_INFLATED, RT_INFLATED_BAD, RT_INFLATED_TOO_BIG } rt_inflated_e;

/**
 * A message of a client as it was.
 * @param out  malloc'd when RT_INFLATED, with a 0 byte behind its len
 * @param max  bytes it may have; no more than a little over that is ever made of it
 */
rt_inflated_e rt_inflate(char **out, apr_size_t *out_len, const char *bytes, apr_size_t len,
                         apr_size_t max);

#endif /* RT_DEFLATE_H */
