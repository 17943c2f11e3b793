/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_rt_frame.h
 * Where WebSocket frames end in a stream of them (from server to client: not masked). Only
 * enough of RFC 6455 to put a close frame between two others.
 */
#ifndef MOD_RT_FRAME_H
#define MOD_RT_FRAME_H

#include <apr.h>

/** Zeroed: between two frames. */
typedef struct rt_frames_t {
    apr_uint64_t left;          /* of the payload that is passing */
    unsigned char head[10];     /* a frame's head that is not complete */
    unsigned char head_len;
} rt_frames_t;

/** These bytes pass. */
void rt_frames_pass(rt_frames_t *frames, const char *bytes, apr_size_t len);

/** Is this between two frames? */
int rt_frames_is_between(const rt_frames_t *frames);

/** How many bytes can pass, at most max, without the end of the frame being passed by. */
apr_size_t rt_frames_room(const rt_frames_t *frames, apr_size_t max);

/** A close frame with a code, as a server sends it: 4 bytes. */
void rt_frames_close(unsigned char *frame, int code);

#endif /* MOD_RT_FRAME_H */
