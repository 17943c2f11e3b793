/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames are written once, into the memory that is then shared: a broadcast costs each
 * receiver a counter and a place in his queue. Counters are atomic, because loops share frames.
 */
#include "rt_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt_deflate.h"
#include "rt_memory.h"

/* A digit for the type, ten attachments and a dash, commas, a 64-bit id. */
#define PACKET_HEAD_MAX 40

static rt_frame_t *frame_make(apr_size_t bytes)
{
    rt_frame_t *frame = malloc(sizeof(*frame) + bytes);

    if (frame == NULL) {
        abort();
    }
    memset(frame, 0, sizeof(*frame));
    frame->refs = 1;
    frame->eio.at = frame->own;
    return frame;
}

void rt_frame_hold(rt_frame_t *frame)
{
    __atomic_add_fetch(&frame->refs, 1, __ATOMIC_RELAXED);
}

static void packed_free(rt_packed_t *packed)
{
    if (packed != NULL) {
        free(packed->own);
        free(packed);
    }
}

void rt_frame_release(rt_frame_t *frame)
{
    if (__atomic_sub_fetch(&frame->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free((char *)frame->plain.at);
        free((char *)frame->stream.at);
        packed_free(frame->packed_eio);
        packed_free(frame->packed_plain);
        free(frame);
    }
}

rt_bytes_t rt_frame_packed(const rt_frame_t *frame, rt_door_e door)
{
    rt_frame_t *mine = (rt_frame_t *)frame;     /* what it says does not change by this */
    rt_packed_t **slot = door == RT_DOOR_PLAIN ? &mine->packed_plain : &mine->packed_eio;
    rt_packed_t *packed = __atomic_load_n(slot, __ATOMIC_ACQUIRE), *none = NULL;
    rt_bytes_t form = rt_frame_form(frame, door);

    if (form.len < RT_DEFLATE_MIN || door == RT_DOOR_STREAM) {
        return form;
    }
    if (packed == NULL) {
        packed = rt_need(sizeof(*packed));
        packed->bytes = rt_deflate_frames(form);
        packed->own = (char *)packed->bytes.at;
        if (packed->own == NULL) {
            packed->bytes = form;
        }
        if (!__atomic_compare_exchange_n(slot, &none, packed, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            packed_free(packed);    /* another loop was quicker */
            packed = none;
        }
    }
    return packed->bytes;
}

static char *put(char *to, const char *bytes, apr_size_t len)
{
    memcpy(to, bytes, len);
    return to + len;
}

apr_size_t rt_json_quote(char *out, const char *text)
{
    char *to = out;

    *to++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            *to++ = '\\';
            *to++ = *text;
        }
        else if ((unsigned char)*text < 0x20) {
            to += snprintf(to, 7, "\\u%04x", (unsigned char)*text);
        }
        else {
            *to++ = *text;
        }
    }
    *to++ = '"';
    return (apr_size_t)(to - out);
}

/*
 * The text packet: head and pieces of JSON joined, then the attachments, each a frame of its own.
 */
static rt_frame_t *packet_make(rt_packet_e type, const char *nsp, const apr_uint64_t *id,
                               const rt_bytes_t *pieces, int n_pieces,
                               const rt_bytes_t *attachments, int n_attachments)
{
    apr_size_t nsp_len = strcmp(nsp, "/") == 0 ? 0 : strlen(nsp), text_len, all;
    char head[PACKET_HEAD_MAX], tail[PACKET_HEAD_MAX];
    int head_len, tail_len = 0, i;
    rt_frame_t *frame;
    char *to;

    if (n_attachments > 0) {
        type = type == RT_PACKET_ACK ? RT_PACKET_BINARY_ACK : RT_PACKET_BINARY_EVENT;
        head_len = snprintf(head, sizeof(head), "4%d%d-", (int)type, n_attachments);
    }
    else {
        head_len = snprintf(head, sizeof(head), "4%d", (int)type);
    }
    if (nsp_len > 0) {
        tail[tail_len++] = ',';
    }
    if (id != NULL) {
        tail_len += snprintf(tail + tail_len, sizeof(tail) - (size_t)tail_len,
                             "%" APR_UINT64_T_FMT, *id);
    }
    text_len = (apr_size_t)head_len + nsp_len + (apr_size_t)tail_len;
    for (i = 0; i < n_pieces; i++) {
        text_len += pieces[i].len;
    }
    all = (apr_size_t)rt_ws_head_len(text_len) + text_len;
    for (i = 0; i < n_attachments; i++) {
        all += (apr_size_t)rt_ws_head_len(attachments[i].len) + attachments[i].len;
    }
    frame = frame_make(all);
    frame->eio.len = all;
    to = frame->own;
    to += rt_ws_head_write(to, RT_WS_TEXT, text_len);
    to = put(to, head, (apr_size_t)head_len);
    to = put(to, nsp, nsp_len);
    to = put(to, tail, (apr_size_t)tail_len);
    for (i = 0; i < n_pieces; i++) {
        to = put(to, pieces[i].at, pieces[i].len);
    }
    for (i = 0; i < n_attachments; i++) {
        to += rt_ws_head_write(to, RT_WS_BINARY, attachments[i].len);
        to = put(to, attachments[i].at, attachments[i].len);
    }
    return frame;
}

rt_frame_t *rt_frame_packet(rt_packet_e type, const char *nsp, const apr_uint64_t *id,
                            const char *json, apr_size_t len, const rt_bytes_t *attachments,
                            int n_attachments)
{
    rt_bytes_t piece = { json, len };

    return packet_make(type, nsp, id, &piece, json != NULL ? 1 : 0, attachments,
                       n_attachments);
}

/* ["name",args] */
static rt_frame_t *event_make(const char *nsp, const char *name, const char *args,
                              apr_size_t len, const rt_bytes_t *attachments,
                              int n_attachments)
{
    char *quoted = rt_need(strlen(name) * 6 + 2);
    rt_bytes_t pieces[5] = { { "[", 1 }, { quoted, 0 }, { ",", 0 }, { args, len },
                             { "]", 1 } };
    rt_frame_t *frame;

    pieces[1].len = rt_json_quote(quoted, name);
    pieces[2].len = len > 0 ? 1 : 0;
    frame = packet_make(RT_PACKET_EVENT, nsp, NULL, pieces, 5, attachments, n_attachments);
    free(quoted);
    return frame;
}

rt_frame_t *rt_frame_event(const char *nsp, const char *name, const char *args,
                           apr_size_t len)
{
    return event_make(nsp, name, args, len, NULL, 0);
}

rt_frame_t *rt_frame_binary(const char *nsp, const char *name, const char *args, apr_size_t len,
                            const rt_bytes_t *attachments, int n_attachments)
{
    return event_make(nsp, name, args, len, attachments, n_attachments);
}

rt_frame_t *rt_frame_answer(const char *nsp, apr_uint64_t id, const char *args, apr_size_t len,
                            const rt_bytes_t *attachments, int n_attachments)
{
    rt_bytes_t pieces[3] = { { "[", 1 }, { args, len }, { "]", 1 } };

    return packet_make(RT_PACKET_ACK, nsp, &id, pieces, 3, attachments, n_attachments);
}

/* One WebSocket frame in memory of its own. */
static rt_bytes_t ws_make(rt_opcode_e opcode, const char *bytes, apr_size_t len)
{
    apr_size_t head_len = (apr_size_t)rt_ws_head_len(len);
    char *memory = rt_need(head_len + len);
    rt_bytes_t made = { memory, head_len + len };

    rt_ws_head_write(memory, opcode, len);
    if (len > 0) {
        memcpy(memory + head_len, bytes, len);
    }
    return made;
}

/* The same in the frame's memory. */
static rt_frame_t *ws_frame_make(rt_opcode_e opcode, const char *prefix, const char *bytes,
                                 apr_size_t len)
{
    apr_size_t whole = strlen(prefix) + len;
    rt_frame_t *frame = frame_make((apr_size_t)rt_ws_head_len(whole) + whole);
    char *to = frame->own;

    to += rt_ws_head_write(to, opcode, whole);
    to = put(to, prefix, strlen(prefix));
    if (len > 0) {
        to = put(to, bytes, len);
    }
    frame->eio.len = (apr_size_t)(to - frame->own);
    return frame;
}

rt_frame_t *rt_frame_message(const char *bytes, apr_size_t len, int is_binary)
{
    return is_binary ? ws_frame_make(RT_WS_BINARY, "", bytes, len)
                     : ws_frame_make(RT_WS_TEXT, "4", bytes, len);
}

rt_frame_t *rt_frame_eio(const char *text, apr_size_t len)
{
    return ws_frame_make(RT_WS_TEXT, "", text, len);
}

rt_frame_t *rt_frame_raw(const char *frames, apr_size_t len)
{
    rt_frame_t *frame = frame_make(len);

    memcpy(frame->own, frames, len);
    frame->eio.len = len;
    return frame;
}

rt_frame_t *rt_frame_bare(void)
{
    return frame_make(0);
}

void rt_frame_set_plain(rt_frame_t *frame, const char *text, apr_size_t len, int is_binary)
{
    free((char *)frame->plain.at);
    frame->plain = ws_make(is_binary ? RT_WS_BINARY : RT_WS_TEXT, text, len);
}

void rt_frame_set_stream(rt_frame_t *frame, const char *text, apr_size_t len)
{
    char *memory = rt_need(len + 1);

    free((char *)frame->stream.at);
    memcpy(memory, text, len);
    frame->stream.at = memory;
    frame->stream.len = len;
}

void rt_frame_set_key(rt_frame_t *frame, apr_uint64_t key)
{
    frame->key = key;
}

/* Control frames look the same behind both WebSocket doors. */
static rt_frame_t *control_make(rt_opcode_e opcode, const char *bytes, apr_size_t len)
{
    rt_frame_t *frame = ws_frame_make(opcode, "", bytes, len);

    frame->plain = ws_make(opcode, bytes, len);
    return frame;
}

rt_frame_t *rt_frame_close(int code, const char *text)
{
    char payload[RT_WS_CONTROL_MAX];
    apr_size_t len = 0;

    if (code != 0) {
        payload[len++] = (char)(code >> 8);
        payload[len++] = (char)(code & 255);
        for (; *text != '\0' && len < sizeof(payload); text++) {
            payload[len++] = *text;
        }
    }
    return control_make(RT_WS_CLOSE, payload, len);
}

rt_frame_t *rt_frame_pong(const char *payload, apr_size_t len)
{
    return control_make(RT_WS_PONG, payload, len);
}

rt_frame_t *rt_frame_ping(void)
{
    return control_make(RT_WS_PING, "", 0);
}

int rt_frame_is_control(const rt_frame_t *frame)
{
    return frame->eio.len > 0 && (frame->own[0] & 8) != 0;
}

int rt_frame_next(rt_bytes_t *packet, int *is_binary, rt_bytes_t *rest)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    apr_uint64_t len;
    int head_len, i;

    if (rest->len == 0) {
        return 0;
    }
    *is_binary = (at[0] & 15) == RT_WS_BINARY;
    len = at[1];
    head_len = len == 126 ? 4 : len == 127 ? 10 : 2;
    if (head_len > 2) {
        for (len = 0, i = 2; i < head_len; i++) {
            len = len << 8 | at[i];
        }
    }
    packet->at = rest->at + head_len;
    packet->len = (apr_size_t)len;
    rest->at += (apr_size_t)head_len + packet->len;
    rest->len -= (apr_size_t)head_len + packet->len;
    return 1;
}
