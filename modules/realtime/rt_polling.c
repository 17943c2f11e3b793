/* SPDX-License-Identifier: Apache-2.0 */
/* Engine.IO over plain requests: polls that are held, and POSTs that bring packets. */
#include "rt_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hb_json.h"
#include "rt_eio.h"
#include "rt_memory.h"

#define POLL_TYPE "text/plain; charset=UTF-8"
#define POST_TYPE "text/html"
#define NO_STORE "Cache-Control: no-store\r\n"

static const char unknown_sid[] = "{\"code\":1,\"message\":\"Session ID unknown\"}";

static void answer_unknown(rt_conn_t *conn)
{
    rt_conn_answer(conn, 400, "application/json", "", unknown_sid, sizeof(unknown_sid) - 1);
}

static void detach_poll(rt_session_t *session)
{
    session->poll->session = NULL;
    session->poll = NULL;
}

void rt_polling_release(rt_session_t *session, const char *packet)
{
    rt_conn_t *conn = session->poll;

    if (conn != NULL) {
        detach_poll(session);
        rt_conn_answer(conn, 200, POLL_TYPE, NO_STORE, packet, strlen(packet));
    }
}

/* How much the payload of everything queued takes, separators included. */
static apr_size_t payload_bytes(const rt_queue_t *queue)
{
    apr_size_t bytes = 0;
    uint32_t i;

    for (i = 0; i < queue->n; i++) {
        const rt_frame_t *frame = rt_queue_at(queue, i);
        rt_bytes_t rest, packet;
        int is_binary;

        if (frame == NULL || rt_frame_is_control(frame)) {
            continue;
        }
        for (rest = frame->eio; rt_frame_next(&packet, &is_binary, &rest);) {
            bytes += 1 + (is_binary ? 1 + RT_BASE64_BYTES(packet.len) : packet.len);
        }
    }
    return bytes;
}

static apr_size_t payload_write(char *out, const rt_queue_t *queue)
{
    char *to = out;
    uint32_t i;

    for (i = 0; i < queue->n; i++) {
        const rt_frame_t *frame = rt_queue_at(queue, i);
        rt_bytes_t rest, packet;
        int is_binary;

        if (frame == NULL || rt_frame_is_control(frame)) {
            continue;
        }
        for (rest = frame->eio; rt_frame_next(&packet, &is_binary, &rest);) {
            if (to > out) {
                *to++ = RT_EIO_SEPARATOR;
            }
            if (is_binary) {
                *to++ = 'b';
                to += rt_base64_write(to, packet.at, packet.len);
            }
            else {
                memcpy(to, packet.at, packet.len);
                to += packet.len;
            }
        }
    }
    return (apr_size_t)(to - out);
}

void rt_polling_flush(rt_session_t *session)
{
    rt_conn_t *conn = session->poll;
    apr_size_t room = payload_bytes(&session->queue), len;
    char *payload;

    if (room == 0) {
        return;
    }
    payload = rt_need(room);
    len = payload_write(payload, &session->queue);
    RT_COUNT(session->loop, sent, session->queue.n);
    rt_queue_clear(&session->queue);
    detach_poll(session);
    rt_conn_answer(conn, 200, POLL_TYPE, NO_STORE, payload, len);
    free(payload);
}

void rt_polling_get(rt_session_t *session, rt_conn_t *conn)
{
    if (rt_session_is_late(session)) {
        rt_session_end(session, RT_GONE_PING_TIMEOUT, 0);
        answer_unknown(conn);
        return;
    }
    if (session->poll != NULL) {
        rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
        rt_conn_answer(conn, 400, "", "", "", 0);
        return;
    }
    session->poll = conn;
    conn->session = session;
    conn->mode = RT_CONN_WAIT;
    rt_alarm_clear(&conn->alarm);
    if (session->life == RT_CLOSING) {
        rt_session_end(session, (rt_reason_e)session->reason, 0);
    }
    else if (!rt_queue_is_empty(&session->queue)) {
        rt_session_mark(session);
    }
    else if (session->is_probed) {
        rt_polling_release(session, "6");
    }
}

void rt_polling_post(rt_session_t *session, rt_conn_t *conn, const rt_head_t *head)
{
    const char *type = rt_head_field(head, "content-type");
    uint32_t payload_max = rt_config(conn->loop)->payload_max;

    if (rt_session_is_late(session)) {
        rt_session_end(session, RT_GONE_PING_TIMEOUT, 0);
        session = NULL;
    }
    else if (session->post != NULL) {
        rt_conn_t *first = session->post;

        rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
        rt_conn_close(first);
        conn->keep_alive = 0;
        rt_conn_answer(conn, 400, "", "", "", 0);
        return;
    }
    else if (type != NULL && strncmp(type, "application/octet-stream", 24) == 0) {
        rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
        conn->keep_alive = 0;
        rt_conn_answer(conn, 400, "", "", "", 0);
        return;
    }
    if (head->body_len > (apr_int64_t)payload_max) {
        /* The session is not to blame; what comes is not read to its end. */
        conn->keep_alive = 0;
        rt_conn_answer(conn, 413, "", "", "", 0);
        return;
    }
    conn->mode = RT_CONN_BODY;
    conn->is_chunked = head->is_chunked != 0;
    conn->body_len = head->body_len > 0 ? (uint32_t)head->body_len : 0;
    memset(&conn->chunks, 0, sizeof(conn->chunks));
    if (session != NULL) {
        session->post = conn;
        conn->session = session;
    }
    if (!conn->is_chunked && conn->body_len == 0) {
        rt_polling_body(conn, (char *)"", 0);
    }
}

apr_size_t rt_body_read(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    apr_size_t body_len = conn->body_len;

    if (len < body_len) {
        conn->in_want = conn->body_len;
        return 0;
    }
    rt_polling_body(conn, bytes, body_len);
    return body_len;
}

/* @return were these packets? */
static int read_payload(rt_session_t *session, char *body, apr_size_t len)
{
    rt_bytes_t rest = { body, len }, packet;

    if (len == 0 || !hb_utf8_is_valid(body, len)) {
        rt_session_end(session, RT_GONE_PARSE_ERROR, 0);
        return 0;
    }
    while (rt_eio_next(&packet, &rest)) {
        if (!rt_session_packet(session, (char *)packet.at, packet.len)) {
            return 0;
        }
    }
    return 1;
}

void rt_polling_body(rt_conn_t *conn, char *body, apr_size_t len)
{
    rt_session_t *session = conn->session;

    conn->body_len = 0;
    conn->session = NULL;
    if (session != NULL) {
        session->post = NULL;
    }
    if (body == NULL || len > rt_config(conn->loop)->payload_max) {
        conn->keep_alive = 0;
        rt_conn_answer(conn, body == NULL ? 400 : 413, "", "", "", 0);
    }
    else if (session == NULL) {
        answer_unknown(conn);
    }
    else if (!read_payload(session, body, len)) {
        rt_conn_answer(conn, 400, "", "", "", 0);
    }
    else {
        rt_conn_answer(conn, 200, POST_TYPE, NO_STORE, "ok", 2);
    }
}
