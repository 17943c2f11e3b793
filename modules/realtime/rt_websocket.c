/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket connections: the handshake, messages out of frames, the probe of an upgrade. */
#include "rt_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_json.h"
#include "rt_deflate.h"
#include "rt_memory.h"
#include "rt_ws.h"

int rt_websocket_open(rt_conn_t *conn, const rt_head_t *head, int is_held)
{
    const char *key = rt_head_field(head, "sec-websocket-key");
    const char *version = rt_head_field(head, "sec-websocket-version");
    char accept[29], *text;
    apr_size_t len;

    if (!rt_head_is_method(head, "GET") || key == NULL || !rt_ws_accept(accept, key)
        || version == NULL || strcmp(version, "13") != 0) {
        return 0;
    }
    conn->is_packed = rt_config(conn->loop)->may_deflate
        && rt_deflate_accepts(rt_head_field(head, "sec-websocket-extensions"));
    text = apr_psprintf(head->pool, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n", accept,
                        conn->is_packed ? "Sec-WebSocket-Extensions: " RT_DEFLATE_ANSWER "\r\n"
                        : "");
    len = strlen(text);
    conn->is_held = is_held != 0;
    conn->mode = is_held ? RT_CONN_WAIT : RT_CONN_WS;
    rt_alarm_clear(&conn->alarm);
    rt_conn_write(conn, text, len);
    return 1;
}

static int is_main(const rt_conn_t *conn)
{
    return conn->session != NULL && conn->session->main == conn;
}

/* A frame of WebSocket's own, in its turn. Takes the caller's hold. */
static void put_control(rt_conn_t *conn, rt_frame_t *frame)
{
    if (is_main(conn)) {
        rt_session_put(conn->session, frame);
    }
    else {
        rt_conn_write(conn, frame->eio.at, frame->eio.len);
        rt_frame_release(frame);
    }
}

void rt_websocket_close(rt_conn_t *conn, int code, const char *text)
{
    rt_session_t *session = conn->session;

    if (conn->mode == RT_CONN_CLOSED || conn->mode == RT_CONN_DRAIN) {
        return;
    }
    if (session != NULL && session->probe == conn) {
        session->probe = NULL;
        session->is_probed = 0;
        conn->session = NULL;
    }
    put_control(conn, rt_frame_close(code, text));
    rt_conn_drain(conn);
}

/* The client broke a rule. */
static void fail(rt_conn_t *conn, rt_reason_e reason)
{
    if (is_main(conn)) {
        rt_session_end(conn->session, reason, 0);
    }
    rt_websocket_close(conn, reason == RT_GONE_TOO_BIG ? 1009
                       : reason == RT_GONE_BAD_TEXT ? 1007 : 1002, "");
}

static void deliver(rt_conn_t *conn, char *bytes, apr_size_t len, int is_binary)
{
    rt_session_t *session = conn->session;

    if (!is_binary && !hb_utf8_is_valid(bytes, len)) {
        fail(conn, RT_GONE_BAD_TEXT);
    }
    else if (!is_main(conn)) {
        rt_probe_message(conn, bytes, len, is_binary);
    }
    else if (session->door == RT_DOOR_PLAIN) {
        RT_COUNT(session->loop, messages_in, 1);
        rt_socket_message(session, bytes, len, is_binary);
    }
    else if (is_binary) {
        RT_COUNT(session->loop, messages_in, 1);
        rt_session_binary(session, bytes, len);
    }
    else {
        rt_session_packet(session, bytes, len);
    }
}

/* What is not complete has to be kept meanwhile; for strangers that is not much. */
static uint32_t message_max(const rt_conn_t *conn)
{
    const rt_config_t *config = rt_config(conn->loop);

    if (conn->is_plain) {
        return config->plain_payload_max;
    }
    return conn->session != NULL && conn->session->has_joined ? config->payload_max
           : config->stranger_payload_max;
}

/* A message as it came off the wire. */
static void deliver_packed(rt_conn_t *conn, char *bytes, apr_size_t len, int is_binary)
{
    char *text;
    apr_size_t text_len;

    switch (rt_inflate(&text, &text_len, bytes, len, message_max(conn))) {
    case RT_INFLATED:
        deliver(conn, text, text_len, is_binary);
        free(text);
        break;
    case RT_INFLATED_TOO_BIG:
        fail(conn, RT_GONE_TOO_BIG);
        break;
    default:
        fail(conn, RT_GONE_BAD_TEXT);
        break;
    }
}

/* A message in several frames; its end is delivered from there. */
static void add_fragment(rt_conn_t *conn, const char *bytes, apr_size_t len)
{
    if (conn->frag_len + len > conn->frag_size) {
        apr_size_t size = conn->frag_size * 2;

        if (size < conn->frag_len + len) {
            size = conn->frag_len + len;
        }
        conn->frag = rt_need_more(conn->frag, size > 0 ? size : 1);
        conn->frag_size = (uint32_t)size;
    }
    if (len > 0) {
        memcpy(conn->frag + conn->frag_len, bytes, len);
        conn->frag_len += (uint32_t)len;
    }
}

static void on_data(rt_conn_t *conn, const rt_ws_frame_t *frame, char *payload, apr_size_t len)
{
    if (conn->frag_opcode == 0 && frame->is_last) {
        (frame->is_packed ? deliver_packed : deliver)(conn, payload, len,
                                                            frame->opcode == RT_WS_BINARY);
        return;
    }
    if (frame->opcode != RT_WS_CONTINUATION) {
        conn->frag_opcode = (unsigned)frame->opcode & 3;
        conn->frag_is_packed = frame->is_packed != 0;
    }
    add_fragment(conn, payload, len);
    if (frame->is_last) {
        char *bytes = conn->frag;
        int is_binary = conn->frag_opcode == RT_WS_BINARY;

        len = conn->frag_len;
        conn->frag = NULL;
        conn->frag_len = conn->frag_size = 0;
        conn->frag_opcode = 0;
        (conn->frag_is_packed ? deliver_packed : deliver)(conn, bytes, len, is_binary);
        free(bytes);
    }
}

static void on_close(rt_conn_t *conn, const char *payload, apr_size_t len)
{
    rt_session_t *session = is_main(conn) ? conn->session : NULL;

    rt_websocket_close(conn, rt_ws_close_read(payload, len), "");
    if (session != NULL) {
        rt_session_end(session, RT_GONE_TRANSPORT_CLOSE, 0);
    }
}

apr_size_t rt_websocket_read(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    uint32_t limit = message_max(conn);
    rt_ws_frame_t frame;
    int rv = rt_ws_head_read(&frame, bytes, len, conn->is_packed);
    apr_size_t all;
    char *payload;

    if (rv == 0) {
        return 0;
    }
    if (rv > 0 && frame.opcode < RT_WS_CLOSE
        && (frame.opcode == RT_WS_CONTINUATION) != (conn->frag_opcode != 0)) {
        rv = -1;
    }
    if (rv < 0) {
        fail(conn, RT_GONE_BAD_FRAME);
        return len;
    }
    if (frame.len > limit || (frame.opcode < RT_WS_CLOSE && frame.len + conn->frag_len > limit)) {
        fail(conn, RT_GONE_TOO_BIG);
        return len;
    }
    all = (apr_size_t)frame.head_len + (apr_size_t)frame.len;
    if (len < all) {
        conn->in_want = (uint32_t)all;
        return 0;
    }
    payload = bytes + frame.head_len;
    rt_ws_unmask(payload, (apr_size_t)frame.len, frame.mask);
    switch (frame.opcode) {
    case RT_WS_CLOSE:
        on_close(conn, payload, (apr_size_t)frame.len);
        break;
    case RT_WS_PING:
        put_control(conn, rt_frame_pong(payload, (apr_size_t)frame.len));
        break;
    case RT_WS_PONG:
        if (is_main(conn) && conn->is_plain) {
            rt_session_pong(conn->session);
        }
        break;
    default:
        on_data(conn, &frame, payload, (apr_size_t)frame.len);
        break;
    }
    return all;
}

/* The WebSocket takes the session over; what is queued leaves by it. */
static void take_over(rt_session_t *session, rt_conn_t *conn)
{
    rt_polling_release(session, "6");
    session->probe = NULL;
    session->is_probed = 0;
    session->main = conn;
    session->transport = RT_WEBSOCKET;
    if (conn->is_packed) {
        rt_queue_pack(&session->queue);
    }
    rt_alarm_clear(&conn->alarm);
    RT_COUNT(session->loop, websockets, 1);
    RT_COUNT(session->loop, upgrades, 1);
    if (session->life == RT_CLOSING) {
        /* What is queued leaves before the close frame. */
        rt_session_end(session, (rt_reason_e)session->reason, 0);
    }
    else {
        rt_session_mark(session);
    }
}

void rt_probe_message(rt_conn_t *conn, const char *text, apr_size_t len, int is_binary)
{
    rt_session_t *session = conn->session;

    if (session != NULL && !is_binary && len == 6 && memcmp(text, "2probe", 6) == 0) {
        rt_frame_t *frame = rt_frame_eio("3probe", 6);

        session->is_probed = 1;
        put_control(conn, frame);
        if (rt_queue_is_empty(&session->queue)) {
            rt_polling_release(session, "6");
        }
    }
    else if (session != NULL && session->life != RT_ENDED && !is_binary && len == 1
             && text[0] == '5') {
        take_over(session, conn);
    }
    else {
        /* Polling goes on. */
        rt_websocket_close(conn, 0, "");
    }
}
