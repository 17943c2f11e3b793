/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket.IO on sessions: namespaces, events, acks, attachments. Also the calls of rt_app.h that
 * work on sockets, for every door.
 */
#include "rt_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "rt_eio.h"
#include "rt_memory.h"

#define NO_SLOT UINT32_MAX
#define SLOTS_FIRST 64

/* A socket's number: loop in the top byte, then the slot's generation, then the slot. */
#define ID_LOOP_SHIFT 56
#define ID_GENERATION_SHIFT 32
#define ID_GENERATION_MASK 0xffffffu

static void slots_grow(rt_loop_t *loop)
{
    uint32_t size = loop->n_slots == 0 ? SLOTS_FIRST : loop->n_slots * 2, i;

    loop->slots = rt_need_more(loop->slots, size * sizeof(*loop->slots));
    memset(loop->slots + loop->n_slots, 0, (size - loop->n_slots) * sizeof(*loop->slots));
    for (i = loop->n_slots; i < size; i++) {
        loop->slots[i].next_free = i + 1 < size ? i + 1 : NO_SLOT;
    }
    loop->free_slot = loop->n_slots;
    loop->n_slots = size;
}

static void slot_take(rt_socket_t *socket)
{
    rt_loop_t *loop = socket->session->loop;
    rt_slot_t *slot;
    uint32_t at;

    if (loop->n_slots == 0 || loop->free_slot == NO_SLOT) {
        slots_grow(loop);
    }
    at = loop->free_slot;
    slot = &loop->slots[at];
    loop->free_slot = slot->next_free;
    slot->generation = (slot->generation + 1) & ID_GENERATION_MASK;
    slot->socket = socket;
    socket->id = (uint64_t)loop->index << ID_LOOP_SHIFT
                 | (uint64_t)slot->generation << ID_GENERATION_SHIFT | at;
}

static void slot_give(const rt_socket_t *socket)
{
    rt_loop_t *loop = socket->session->loop;
    uint32_t at = (uint32_t)socket->id;

    loop->slots[at].socket = NULL;
    loop->slots[at].next_free = loop->free_slot;
    loop->free_slot = at;
}

apr_uint64_t rt_socket_id(const rt_socket_t *socket)
{
    return socket->id;
}

rt_loop_t *rt_socket_id_loop(const rt_engine_t *engine, apr_uint64_t id)
{
    return &engine->loops[id >> ID_LOOP_SHIFT];
}

rt_socket_t *rt_socket_find(const rt_loop_t *loop, apr_uint64_t id)
{
    uint32_t at = (uint32_t)id;
    rt_socket_t *socket = at < loop->n_slots ? loop->slots[at].socket : NULL;

    return socket != NULL && socket->id == id ? socket : NULL;
}

rt_socket_t *rt_socket_make(rt_session_t *session, rt_bytes_t nsp)
{
    rt_socket_t *socket = rt_need(sizeof(*socket) + nsp.len + 1);

    socket->session = session;
    memcpy(socket->nsp, nsp.at, nsp.len);
    socket->standing = RT_ASKING;
    socket->next = session->sockets;
    session->sockets = socket;
    session->n_sockets++;
    slot_take(socket);
    RT_COUNT(session->loop, sockets, 1);
    return socket;
}

/* Out of its session; nobody is told here. The memory stays until the turn has ended. */
static void unlink_socket(rt_socket_t *socket)
{
    rt_session_t *session = socket->session;
    rt_socket_t **at = &session->sockets;

    while (*at != socket) {
        at = &(*at)->next;
    }
    *at = socket->next;
    session->n_sockets--;
    socket->standing = RT_OUT;
    slot_give(socket);
    RT_COUNT(session->loop, sockets, -1);
    socket->next = session->loop->gone;
    session->loop->gone = socket;
}

static void over(rt_socket_t *socket, rt_reason_e reason)
{
    rt_engine_t *engine = socket->session->loop->engine;

    unlink_socket(socket);
    engine->app->gone(engine->app_data, socket, reason);
}

void rt_socket_all_gone(rt_session_t *session, rt_reason_e reason)
{
    while (session->sockets != NULL) {
        over(session->sockets, reason);
    }
}

void rt_socket_reap(rt_loop_t *loop)
{
    while (loop->gone != NULL) {
        rt_socket_t *socket = loop->gone;

        loop->gone = socket->next;
        free(socket);
    }
}

void rt_pending_free(rt_pending_t *pending)
{
    int i;

    if (pending != NULL) {
        for (i = 0; i < pending->n; i++) {
            free((char *)pending->attachments[i].at);
        }
        free(pending->text);
        free(pending);
    }
}

static rt_socket_t *socket_in(const rt_session_t *session, rt_bytes_t nsp)
{
    rt_socket_t *socket = session->sockets;

    while (socket != NULL
           && (strlen(socket->nsp) != nsp.len || memcmp(socket->nsp, nsp.at, nsp.len) != 0)) {
        socket = socket->next;
    }
    return socket;
}

static void parse_error(rt_session_t *session)
{
    rt_session_end(session, RT_GONE_PARSE_ERROR, 1);
}

/* Is this event or CONNECT within what one session may send? A bucket that fills by time. */
static int is_allowed(rt_session_t *session)
{
    const rt_config_t *config = rt_config(session->loop);
    uint64_t now = rt_now(session->loop), allowance;

    if (config->events_per_sec == 0) {
        return 1;
    }
    allowance = session->allowance
                + (now - session->allowance_msec) * config->events_per_sec;
    if (allowance > (uint64_t)config->events_burst * 1000) {
        allowance = (uint64_t)config->events_burst * 1000;
    }
    session->allowance_msec = now;
    if (allowance < 1000) {
        session->allowance = (uint32_t)allowance;
        return 0;
    }
    session->allowance = (uint32_t)(allowance - 1000);
    return 1;
}

static void give_event(rt_socket_t *socket, const rt_event_t *event)
{
    rt_session_t *session = socket->session;
    rt_engine_t *engine = session->loop->engine;

    if (!is_allowed(session)) {
        rt_session_end(session, RT_GONE_FLOOD, 1);
        return;
    }
    RT_COUNT(session->loop, events, 1);
    engine->app->event(engine->app_data, socket, event);
}

/* A packet with all its attachments. */
static void give_packet(rt_socket_t *socket, const rt_packet_t *packet,
                        const rt_bytes_t *attachments, int n)
{
    rt_event_t event;

    /* Nothing is asked of clients: what answers a question is none of ours, and goes. */
    if (packet->type == RT_PACKET_EVENT || packet->type == RT_PACKET_BINARY_EVENT) {
        rt_packet_event(&event, packet);
        event.attachments = attachments;
        event.n_attachments = n;
        give_event(socket, &event);
    }
}

static void send_error(rt_session_t *session, const char *nsp, const char *message,
                       const char *data)
{
    char *json = rt_need(strlen(message) * 6 + (data != NULL ? strlen(data) : 0) + 40);
    apr_size_t len = 11;

    memcpy(json, "{\"message\":", len);
    len += rt_json_quote(json + len, message);
    if (data != NULL) {
        len += (apr_size_t)sprintf(json + len, ",\"data\":%s", data);
    }
    json[len++] = '}';
    rt_session_put(session, rt_frame_packet(RT_PACKET_CONNECT_ERROR, nsp, NULL, json, len,
                                            NULL, 0));
    free(json);
}

static void on_connect(rt_session_t *session, const rt_packet_t *packet)
{
    rt_engine_t *engine = session->loop->engine;
    const rt_app_t *app = engine->app;
    rt_bytes_t auth = { "{}", 2 };
    int is_known = app->has_namespace != NULL ? app->has_namespace(engine->app_data, packet->nsp)
                   : packet->nsp.len == 1;

    if (!is_known) {
        char *nsp = rt_need(packet->nsp.len + 1);

        memcpy(nsp, packet->nsp.at, packet->nsp.len);
        send_error(session, nsp, "Invalid namespace", NULL);
        free(nsp);
        return;
    }
    if (session->n_sockets >= rt_config(session->loop)->sockets_max) {
        parse_error(session);
        return;
    }
    if (packet->json.at != NULL) {
        auth.at = packet->json.at + packet->scan.start;
        auth.len = packet->scan.end - packet->scan.start;
    }
    app->connect(engine->app_data, rt_socket_make(session, packet->nsp), auth);
}

/* The text comes first, so it is kept until its attachments are there. */
static void keep_pending(rt_session_t *session, const rt_socket_t *socket,
                         const rt_packet_t *packet, const char *text, apr_size_t len)
{
    rt_pending_t *pending = rt_need(sizeof(*pending));

    pending->socket_id = socket->id;
    pending->text = rt_need(len + 1);
    memcpy(pending->text, text, len);
    pending->packet = *packet;
    pending->packet.json.at = pending->text + (packet->json.at - text);
    session->pending = pending;
}

void rt_socket_text(rt_session_t *session, char *text, apr_size_t len)
{
    rt_packet_t packet;
    rt_socket_t *socket;

    if (session->pending != NULL || rt_packet_read(&packet, text, len) != NULL) {
        parse_error(session);
        return;
    }
    socket = socket_in(session, packet.nsp);
    if (packet.type == RT_PACKET_CONNECT) {
        if (socket != NULL) {
            parse_error(session);
        }
        else if (!is_allowed(session)) {
            /* Being refused costs us more than asking costs a stranger. */
            rt_session_end(session, RT_GONE_FLOOD, 1);
        }
        else {
            on_connect(session, &packet);
        }
        return;
    }
    if (socket == NULL || socket->standing != RT_IN) {
        parse_error(session);
        return;
    }
    if (packet.type == RT_PACKET_DISCONNECT) {
        over(socket, RT_GONE_CLIENT_LEFT);
    }
    else if (packet.n_attachments > 0) {
        keep_pending(session, socket, &packet, text, len);
    }
    else {
        give_packet(socket, &packet, NULL, 0);
    }
}

void rt_socket_binary(rt_session_t *session, const char *bytes, apr_size_t len)
{
    rt_pending_t *pending = session->pending;
    rt_socket_t *socket;
    char *copy;

    if (pending == NULL
        || pending->bytes + len > rt_config(session->loop)->attachments_max) {
        parse_error(session);
        return;
    }
    copy = rt_need(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    pending->attachments[pending->n].at = copy;
    pending->attachments[pending->n++].len = len;
    pending->bytes += len;
    if (pending->n == pending->packet.n_attachments) {
        session->pending = NULL;
        /* It may have been kicked meanwhile. */
        socket = rt_socket_find(session->loop, pending->socket_id);
        if (socket != NULL) {
            give_packet(socket, &pending->packet, pending->attachments, pending->n);
        }
        rt_pending_free(pending);
    }
}

void rt_socket_message(rt_session_t *session, const char *bytes, apr_size_t len, int is_binary)
{
    rt_event_t event;

    if (session->sockets == NULL || session->sockets->standing != RT_IN) {
        if (session->life == RT_OPEN) {
            parse_error(session);
        }
        return;
    }
    memset(&event, 0, sizeof(event));
    event.args.at = bytes;
    event.args.len = len;
    event.is_binary = is_binary;
    give_event(session->sockets, &event);
}

/* What an application may call. */

/* A plain or stream session whose answer was held goes on. */
static void release_door(rt_session_t *session)
{
    rt_conn_t *conn = session->main;

    if (conn != NULL && conn->is_held) {
        conn->is_held = 0;
        conn->is_released = 1;
        conn->mode = session->door == RT_DOOR_PLAIN ? RT_CONN_WS : RT_CONN_STREAM;
        rt_alarm_clear(&conn->alarm);
        rt_session_mark(session);
    }
}

void rt_accept(rt_socket_t *socket, const char *sid, const char *members)
{
    rt_session_t *session = socket->session;
    char fresh[RT_SID_BYTES + 1], json[512], *answer = json;
    int len;

    if (socket->standing != RT_ASKING || session->life != RT_OPEN) {
        return;
    }
    if (sid == NULL) {
        rt_loop_new_id(session->loop, fresh);
        sid = fresh;
    }
    apr_cpystrn(socket->sid, sid, sizeof(socket->sid));
    socket->standing = RT_IN;
    session->has_joined = 1;
    rt_alarm_clear(&session->other);
    if (session->door != RT_DOOR_SOCKET_IO) {
        release_door(session);
        return;
    }
    if (members != NULL && strlen(members) > sizeof(json) / 2) {
        answer = rt_need(strlen(members) + 64);
        len = sprintf(answer, "{\"sid\":\"%s\",%s}", socket->sid, members);
    }
    else {
        len = snprintf(json, sizeof(json), "{\"sid\":\"%s\"%s%s}", socket->sid,
                       members != NULL ? "," : "", members != NULL ? members : "");
    }
    rt_session_put(session, rt_frame_packet(RT_PACKET_CONNECT, socket->nsp, NULL, answer,
                                            (apr_size_t)len, NULL, 0));
    if (answer != json) {
        free(answer);
    }
}

/* The answer that was held becomes another one. */
static void refuse_door(rt_session_t *session, const char *message, const char *data, int status)
{
    rt_conn_t *conn = session->main;
    char *body;

    if (conn == NULL || !conn->is_held) {
        rt_session_end(session, RT_GONE_FORCED_CLOSE, 0);
        return;
    }
    body = rt_need(strlen(message) * 6 + (data != NULL ? strlen(data) : 0) + 32);
    if (data != NULL) {
        strcpy(body, data);
    }
    else {
        memcpy(body, "{\"message\":", 11);
        strcpy(body + 11 + rt_json_quote(body + 11, message), "}");
    }
    session->main = NULL;
    conn->session = NULL;
    conn->is_held = 0;
    conn->keep_alive = 0;
    rt_conn_answer(conn, status, data != NULL ? "application/problem+json" : "application/json",
                   status == 401 ? "Cache-Control: no-store\r\n"
                   "WWW-Authenticate: Bearer realm=\"halobuzz\"\r\n"
                   : "Cache-Control: no-store\r\n", body, strlen(body));
    rt_session_end(session, RT_GONE_FORCED_CLOSE, 0);
    free(body);
}

void rt_refuse(rt_socket_t *socket, const char *message, const char *data, int status)
{
    rt_session_t *session = socket->session;

    if (socket->standing != RT_ASKING) {
        return;
    }
    unlink_socket(socket);
    if (session->door == RT_DOOR_SOCKET_IO) {
        send_error(session, socket->nsp, message, data);
    }
    else {
        refuse_door(session, message, data, status);
    }
}

/* For a client whose WebSocket cannot take binary: the same with base64 in text. */
static rt_frame_t *in_base64(const rt_frame_t *frame)
{
    rt_bytes_t rest, packet;
    apr_size_t room = 0, len = 0;
    int is_binary;
    rt_frame_t *made;
    char *memory;

    for (rest = frame->eio; rt_frame_next(&packet, &is_binary, &rest);) {
        room += RT_WS_HEAD_MAX + 1 + (is_binary ? RT_BASE64_BYTES(packet.len) : packet.len);
    }
    memory = rt_need(room);
    for (rest = frame->eio; rt_frame_next(&packet, &is_binary, &rest);) {
        if (is_binary) {
            len += (apr_size_t)rt_ws_head_write(memory + len, RT_WS_TEXT,
                                                1 + RT_BASE64_BYTES(packet.len));
            memory[len++] = 'b';
            len += rt_base64_write(memory + len, packet.at, packet.len);
        }
        else {
            len += (apr_size_t)rt_ws_head_write(memory + len, RT_WS_TEXT, packet.len);
            memcpy(memory + len, packet.at, packet.len);
            len += packet.len;
        }
    }
    made = rt_frame_raw(memory, len);
    free(memory);
    return made;
}

void rt_emit(rt_socket_t *socket, rt_frame_t *frame, rt_lane_e lane)
{
    rt_session_t *session = socket->session;
    rt_loop_t *loop = session->loop;
    rt_frame_t *converted = NULL;
    apr_uint64_t n_dropped = 0;
    rt_queued_e queued;

    if (socket->standing != RT_IN || session->life != RT_OPEN || session->is_doomed) {
        return;
    }
    if (session->wants_base64) {
        frame = converted = in_base64(frame);
    }
    queued = rt_queue_push(&session->queue, frame, lane, &rt_config(loop)->queue, &n_dropped);
    if (n_dropped > 0) {
        RT_COUNT(loop, dropped, n_dropped);
    }
    if (queued == RT_QUEUED) {
        RT_COUNT(loop, emitted, 1);
        rt_session_mark(session);
    }
    else if (queued == RT_QUEUED_FULL) {
        /* Not now: the caller may be walking through a list that gone() changes. */
        rt_session_doom(session);
    }
    if (converted != NULL) {
        rt_frame_release(converted);
    }
}

static void emit_own(rt_socket_t *socket, rt_frame_t *frame)
{
    rt_emit(socket, frame, RT_LANE_MONEY);
    rt_frame_release(frame);
}

void rt_ack_binary(rt_socket_t *socket, apr_uint64_t ack_id, const char *args, apr_size_t len,
                   const rt_bytes_t *attachments, int n_attachments)
{
    if (socket->standing == RT_IN) {
        emit_own(socket, rt_frame_answer(socket->nsp, ack_id, args, len, attachments,
                                         n_attachments));
    }
}

void rt_ack(rt_socket_t *socket, apr_uint64_t ack_id, const char *args, apr_size_t len)
{
    rt_ack_binary(socket, ack_id, args, len, NULL, 0);
}

void rt_kick(rt_socket_t *socket, rt_reason_e reason)
{
    rt_session_t *session = socket->session;

    if (socket->standing == RT_OUT) {
        return;
    }
    if (session->door == RT_DOOR_SOCKET_IO) {
        rt_session_put(session, rt_frame_packet(RT_PACKET_DISCONNECT, socket->nsp, NULL, NULL,
                                                0, NULL, 0));
        over(socket, reason);
    }
    else {
        rt_session_end(session, reason, 1);
    }
}

rt_session_t *rt_socket_session(const rt_socket_t *socket)
{
    return socket->session;
}

rt_loop_t *rt_socket_loop(const rt_socket_t *socket)
{
    return socket->session->loop;
}

const char *rt_socket_namespace(const rt_socket_t *socket)
{
    return socket->nsp;
}

const char *rt_socket_sid(const rt_socket_t *socket)
{
    return socket->sid;
}

void *rt_socket_data(const rt_socket_t *socket)
{
    return socket->data;
}

void rt_socket_set_data(rt_socket_t *socket, void *data)
{
    socket->data = data;
}
