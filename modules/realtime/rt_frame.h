/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_frame.h
 * Inside of frames: what an event is on the wire, made once and shared by all who receive it.
 * Applications make them by rt_app.h. Every form is kept as whole WebSocket frames; payloads
 * of polling are made from those.
 */
#ifndef RT_FRAME_H
#define RT_FRAME_H

#include <stdint.h>

#include "rt_app.h"
#include "rt_sio.h"
#include "rt_ws.h"

/** A compressed form; at points into the frame when there is nothing to gain. */
typedef struct rt_packed_t {
    rt_bytes_t bytes;
    char *own;                  /* NULL then */
} rt_packed_t;

struct rt_frame_t {
    int refs;
    uint64_t key;               /* of RT_LANE_METRIC, 0 for none */
    rt_bytes_t eio;             /* Engine.IO packets, a WebSocket frame each */
    rt_bytes_t plain;           /* a WebSocket frame */
    rt_bytes_t stream;          /* text as it goes out */
    rt_packed_t *packed_eio;    /* compressed; made when first wanted, by any loop */
    rt_packed_t *packed_plain;
    char own[];                 /* the bytes of eio */
};

/** Bytes for this door; len 0 when it gets nothing. */
static inline rt_bytes_t rt_frame_form(const rt_frame_t *frame, rt_door_e door)
{
    return door == RT_DOOR_PLAIN ? frame->plain : door == RT_DOOR_STREAM ? frame->stream
           : frame->eio;
}

/** The same for a WebSocket that takes compressed messages. The same each time. */
rt_bytes_t rt_frame_packed(const rt_frame_t *frame, rt_door_e door);

/**
 * Any Socket.IO packet.
 * @param id    NULL, or the ack id
 * @param json  text, or NULL for a packet without payload
 */
rt_frame_t *rt_frame_packet(rt_packet_e type, const char *nsp, const apr_uint64_t *id,
                            const char *json, apr_size_t len, const rt_bytes_t *attachments,
                            int n_attachments);

/** What answers an event. args as in rt_app.h. */
rt_frame_t *rt_frame_answer(const char *nsp, apr_uint64_t id, const char *args, apr_size_t len,
                            const rt_bytes_t *attachments, int n_attachments);

/** An Engine.IO packet that is text ("2", "0{...}"). */
rt_frame_t *rt_frame_eio(const char *text, apr_size_t len);

/** WebSocket frames that were written elsewhere; copied. */
rt_frame_t *rt_frame_raw(const char *frames, apr_size_t len);

/** A control frame of WebSocket itself; for no other transport. code 0: no payload. */
rt_frame_t *rt_frame_close(int code, const char *text);
rt_frame_t *rt_frame_pong(const char *payload, apr_size_t len);
rt_frame_t *rt_frame_ping(void);

/** Is it one that only a WebSocket understands? */
int rt_frame_is_control(const rt_frame_t *frame);

/**
 * Walk the Engine.IO packets of a frame.
 * @param rest  starts as frame->eio
 * @return 0 at the end
 */
int rt_frame_next(rt_bytes_t *packet, int *is_binary, rt_bytes_t *rest);

/** "name" as JSON, quotes and all; @return its length; out has room for 6 * strlen + 2. */
apr_size_t rt_json_quote(char *out, const char *text);

#endif /* RT_FRAME_H */
