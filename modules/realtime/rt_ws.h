/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_ws.h
 * WebSocket framing (RFC 6455) of a server: heads, masks, close codes, the handshake's key.
 * Pure functions; putting messages together is rt_websocket.c's.
 */
#ifndef RT_WS_H
#define RT_WS_H

#include <apr.h>

typedef enum rt_opcode_e {
    RT_WS_CONTINUATION = 0, RT_WS_TEXT = 1, RT_WS_BINARY = 2,
    RT_WS_CLOSE = 8, RT_WS_PING = 9, RT_WS_PONG = 10
} rt_opcode_e;

#define RT_WS_PACKED 0x40           /* RSV1 of the first byte: compressed (RFC 7692 6) */
#define RT_WS_HEAD_MAX 10           /* of a frame we send */
#define RT_WS_CONTROL_MAX 125       /* bytes in a ping, pong or close frame */

typedef struct rt_ws_frame_t {
    int is_last;                    /* of its message */
    int is_packed;                  /* begins a compressed message */
    rt_opcode_e opcode;
    unsigned char mask[4];
    apr_uint64_t len;               /* of the payload */
    int head_len;                   /* bytes before the payload */
} rt_ws_frame_t;

/**
 * The head of a frame from a client.
 * @param may_pack  it may send compressed messages
 * @return 1 read, 0 not all of it is there, -1 no client may send this (code 1002)
 */
int rt_ws_head_read(rt_ws_frame_t *frame, const char *bytes, apr_size_t len, int may_pack);

/** Head of an unmasked, unfragmented frame; @return its length. */
int rt_ws_head_write(char out[RT_WS_HEAD_MAX], rt_opcode_e opcode, apr_uint64_t len);
/** The length that head will have. */
int rt_ws_head_len(apr_uint64_t len);

void rt_ws_unmask(char *bytes, apr_size_t len, const unsigned char mask[4]);

/**
 * What a client's close frame says.
 * @return the code to answer with: the same, 0 when there is none, or 1002 or 1007
 */
int rt_ws_close_read(const char *payload, apr_size_t len);

/** Sec-WebSocket-Accept of a key; out has room for 29 bytes. 0 when the key is none. */
int rt_ws_accept(char out[29], const char *key);

#endif /* RT_WS_H */
