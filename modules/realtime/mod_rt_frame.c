/* SPDX-License-Identifier: Apache-2.0 */
/* Frames are counted, not checked: what the sidecar writes is right or the client says so. */
#include "mod_rt_frame.h"

#include <string.h>

/* How long the head is, as far as its first bytes tell. */
static unsigned int head_bytes(const rt_frames_t *frames)
{
    unsigned int n = 2;

    if (frames->head_len >= 2) {
        unsigned int len = frames->head[1] & 127;

        n += len == 126 ? 2 : len == 127 ? 8 : 0;
        n += (frames->head[1] & 128) != 0 ? 4 : 0;
    }
    return n;
}

static apr_uint64_t payload_bytes(const rt_frames_t *frames)
{
    unsigned int len = frames->head[1] & 127;
    unsigned int i, n = len == 126 ? 2 : len == 127 ? 8 : 0;
    apr_uint64_t bytes = n == 0 ? len : 0;

    for (i = 0; i < n; i++) {
        bytes = bytes << 8 | frames->head[2 + i];
    }
    return bytes;
}

void rt_frames_pass(rt_frames_t *frames, const char *bytes, apr_size_t len)
{
    while (len > 0) {
        if (frames->left > 0) {
            apr_size_t n = frames->left < len ? (apr_size_t)frames->left : len;

            frames->left -= n;
            bytes += n;
            len -= n;
            continue;
        }
        /* A mask's bytes say nothing, and there is no room for them. */
        if (frames->head_len < sizeof(frames->head)) {
            frames->head[frames->head_len] = (unsigned char)*bytes;
        }
        frames->head_len++;
        bytes++;
        len--;
        if (frames->head_len == head_bytes(frames)) {
            frames->left = payload_bytes(frames);
            frames->head_len = 0;
        }
    }
}

int rt_frames_is_between(const rt_frames_t *frames)
{
    return frames->left == 0 && frames->head_len == 0;
}

apr_size_t rt_frames_room(const rt_frames_t *frames, apr_size_t max)
{
    if (frames->left > 0) {
        return frames->left < max ? (apr_size_t)frames->left : max;
    }
    return frames->head_len > 0 ? head_bytes(frames) - frames->head_len : 0;
}

void rt_frames_close(unsigned char *frame, int code)
{
    frame[0] = 0x88;
    frame[1] = 2;
    frame[2] = (unsigned char)(code >> 8);
    frame[3] = (unsigned char)code;
}
