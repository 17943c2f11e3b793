/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a session: begin, heartbeat, packets, end. Ending has two steps, because who ends
 * it may be the application in the middle of a callback: sockets are gone at once, the rest
 * is told and freed at the end of the turn.
 */
#include "rt_session.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hb_json.h"
#include "rt_eio.h"
#include "rt_memory.h"

#define TABLE_FIRST_SIZE 256

/* Ids are random, so some of their bytes are as good as a hash. */
static uint32_t place_of(const rt_loop_t *loop, const char *sid)
{
    uint64_t bits;

    memcpy(&bits, sid + 4, sizeof(bits));
    bits *= 0x9e3779b97f4a7c15ull;
    return (uint32_t)(bits >> 32) & (loop->table_size - 1);
}

static void table_grow(rt_loop_t *loop)
{
    uint32_t old_size = loop->table_size, i;
    rt_session_t **old = loop->table;

    loop->table_size = old_size == 0 ? TABLE_FIRST_SIZE : old_size * 2;
    loop->table = rt_need(loop->table_size * sizeof(*loop->table));
    for (i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            rt_session_t *session = old[i];
            uint32_t place = place_of(loop, session->sid);

            old[i] = session->table_next;
            session->table_next = loop->table[place];
            loop->table[place] = session;
        }
    }
    free(old);
}

static void table_add(rt_session_t *session)
{
    rt_loop_t *loop = session->loop;
    uint32_t place;

    if (loop->n_sessions >= loop->table_size) {
        table_grow(loop);
    }
    place = place_of(loop, session->sid);
    session->table_next = loop->table[place];
    loop->table[place] = session;
    loop->n_sessions++;
    session->is_listed = 1;
}

static void table_remove(rt_session_t *session)
{
    rt_loop_t *loop = session->loop;
    rt_session_t **at;

    if (!session->is_listed) {
        return;
    }
    at = &loop->table[place_of(loop, session->sid)];
    while (*at != session) {
        at = &(*at)->table_next;
    }
    *at = session->table_next;
    loop->n_sessions--;
    session->is_listed = 0;
}

rt_session_t *rt_session_find(rt_loop_t *loop, const char *sid)
{
    rt_session_t *session;

    if (loop->table_size == 0 || strlen(sid) != RT_SID_BYTES) {
        return NULL;
    }
    session = loop->table[place_of(loop, sid)];
    while (session != NULL && memcmp(session->sid, sid, RT_SID_BYTES) != 0) {
        session = session->table_next;
    }
    return session;
}

static rt_alarm_t *ring_set(rt_session_t *session, rt_alarm_t *alarm, rt_ring_e kind,
                            uint64_t from_msec)
{
    rt_alarm_set(alarm, &session->loop->rings[kind], from_msec);
    return alarm;
}

static int is_eio(const rt_session_t *session)
{
    return session->door == RT_DOOR_SOCKET_IO || session->door == RT_DOOR_ENGINE_IO;
}

static void session_free(rt_session_t *session)
{
    rt_loop_t *loop = session->loop;

    table_remove(session);
    if (session->address != NULL) {
        rt_address_leave(loop->engine->addresses, session->address);
        free((char *)session->address);
    }
    *session->link = session->next;
    if (session->next != NULL) {
        session->next->link = session->link;
    }
    rt_alarm_clear(&session->beat);
    rt_alarm_clear(&session->other);
    rt_queue_clear(&session->queue);
    rt_pending_free(session->pending);
    if (session->is_counted) {
        RT_COUNT(loop, sessions, -1);
    }
    free(session);
}

rt_session_t *rt_session_open(const char **why, rt_conn_t *conn, const rt_head_t *head,
                              rt_door_e door, rt_transport_e transport)
{
    rt_loop_t *loop = conn->loop;
    const rt_config_t *config = rt_config(loop);
    const rt_app_t *app = loop->engine->app;
    rt_session_t *session;
    uint64_t now = rt_now(loop);

    *why = NULL;
    if (!rt_address_enter(loop->engine->addresses, head->address, config->per_address_max)) {
        RT_COUNT(loop, refused, 1);
        return NULL;
    }
    session = rt_need(sizeof(*session));
    session->loop = loop;
    session->address = rt_need_text(head->address);
    session->door = (unsigned char)door;
    session->transport = (unsigned char)transport;
    session->queue.door = door;
    session->allowance = config->events_burst * 1000;
    session->allowance_msec = now;
    session->next = loop->sessions;
    session->link = &loop->sessions;
    if (session->next != NULL) {
        session->next->link = &session->next;
    }
    loop->sessions = session;
    rt_loop_new_id(loop, session->sid);
    if (app->open != NULL) {
        *why = app->open(loop->engine->app_data, session, head);
        if (*why != NULL) {
            RT_COUNT(loop, refused, 1);
            session_free(session);
            return NULL;
        }
    }
    session->is_counted = 1;
    RT_COUNT(loop, sessions, 1);
    RT_COUNT(loop, opened, 1);
    if (transport == RT_WEBSOCKET) {
        RT_COUNT(loop, websockets, 1);
    }
    if (is_eio(session)) {
        table_add(session);
        ring_set(session, &session->beat, RT_RING_PING, now);
        if (door == RT_DOOR_SOCKET_IO) {
            ring_set(session, &session->other, RT_RING_JOIN, now);
        }
    }
    else {
        ring_set(session, &session->beat, RT_RING_PLAIN_PING, now);
    }
    return session;
}

/* Sending. */

void rt_session_mark(rt_session_t *session)
{
    if (!session->is_dirty) {
        session->is_dirty = 1;
        session->dirty_next = session->loop->dirty;
        session->loop->dirty = session;
    }
}

void rt_session_put(rt_session_t *session, rt_frame_t *frame)
{
    rt_queue_force(&session->queue, frame);
    rt_frame_release(frame);
    RT_COUNT(session->loop, emitted, 1);
    rt_session_mark(session);
}

void rt_session_flush(rt_session_t *session)
{
    if (session->transport == RT_POLLING) {
        if (session->poll != NULL && !rt_queue_is_empty(&session->queue)) {
            rt_polling_flush(session);
        }
    }
    else if (session->main != NULL) {
        rt_conn_t *main = session->main;

        rt_conn_flush(main);
        if (main->is_released) {
            main->is_released = 0;
            rt_conn_resume(main);
        }
    }
}

/* Heartbeat. */

static rt_session_t *session_of(rt_alarm_t *alarm, apr_size_t offset)
{
    return (rt_session_t *)((char *)alarm - offset);
}

static void put_shared(rt_session_t *session, rt_frame_t *frame)
{
    rt_frame_hold(frame);
    rt_session_put(session, frame);
}

void rt_session_ping_due(rt_alarm_t *alarm)
{
    rt_session_t *session = session_of(alarm, offsetof(rt_session_t, beat));
    rt_loop_t *loop = session->loop;

    /* Times follow from when the ping was due, not from when we came to it: a pong that is late
     * by the client's clock has to be late by ours. */
    if (is_eio(session)) {
        put_shared(session, loop->ping);
        session->waits_pong = 1;
        ring_set(session, alarm, RT_RING_PONG, alarm->at_msec);
    }
    else if (session->door == RT_DOOR_PLAIN) {
        put_shared(session, loop->ws_ping);
        session->waits_pong = 1;
        ring_set(session, alarm, RT_RING_PLAIN_PONG, alarm->at_msec);
    }
    else {
        put_shared(session, loop->comment);
        ring_set(session, alarm, RT_RING_PLAIN_PING, alarm->at_msec);
    }
}

void rt_session_pong_late(rt_alarm_t *alarm)
{
    rt_session_end(session_of(alarm, offsetof(rt_session_t, beat)), RT_GONE_PING_TIMEOUT, 0);
}

void rt_session_other_due(rt_alarm_t *alarm)
{
    rt_session_t *session = session_of(alarm, offsetof(rt_session_t, other));

    rt_session_end(session, RT_GONE_FORCED_CLOSE, session->life == RT_OPEN);
}

void rt_session_pong(rt_session_t *session)
{
    session->waits_pong = 0;
    if (session->life == RT_OPEN) {
        ring_set(session, &session->beat, is_eio(session) ? RT_RING_PING : RT_RING_PLAIN_PING,
                 rt_now(session->loop));
    }
}

int rt_session_is_late(const rt_session_t *session)
{
    return session->waits_pong && rt_alarm_is_set(&session->beat)
           && session->beat.at_msec <= rt_now(session->loop);
}

/* Packets. */

static int is_open(const rt_session_t *session)
{
    return session->life == RT_OPEN;
}

int rt_session_binary(rt_session_t *session, const char *bytes, apr_size_t len)
{
    if (is_open(session)) {
        if (session->door == RT_DOOR_ENGINE_IO) {
            rt_socket_message(session, bytes, len, 1);
        }
        else {
            rt_socket_binary(session, bytes, len);
        }
    }
    return 1;
}

/* The client ends it: what is held is released, nobody is waited for. */
static void client_closes(rt_session_t *session)
{
    if (session->transport == RT_POLLING && session->poll != NULL) {
        rt_polling_release(session, "6");
    }
    rt_session_end(session, RT_GONE_TRANSPORT_CLOSE, 0);
}

int rt_session_packet(rt_session_t *session, char *text, apr_size_t len)
{
    apr_ssize_t n;

    if (!is_open(session)) {
        return 1;
    }
    RT_COUNT(session->loop, messages_in, 1);
    switch (len > 0 ? text[0] : '\0') {
    case '0':
    case '5':
    case '6':
        return 1;
    case '1':
        client_closes(session);
        return 1;
    case '2':
        rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
        return 0;
    case '3':
        rt_session_pong(session);
        return 1;
    case '4':
        if (session->door == RT_DOOR_ENGINE_IO) {
            rt_socket_message(session, text + 1, len - 1, 0);
        }
        else {
            rt_socket_text(session, text + 1, len - 1);
        }
        return 1;
    case 'b':
        n = rt_base64_read(text, text + 1, len - 1);
        if (n >= 0) {
            return rt_session_binary(session, text, (apr_size_t)n);
        }
        break;
    default:
        break;
    }
    rt_session_end(session, RT_GONE_PARSE_ERROR, 0);
    return 0;
}

/* The end. */

void rt_session_ended(rt_session_t *session)
{
    if (!session->is_ending) {
        session->is_ending = 1;
        session->ended_next = session->loop->ended;
        session->loop->ended = session;
    }
}

void rt_session_doom(rt_session_t *session)
{
    session->is_doomed = 1;
    rt_session_ended(session);
}

static int code_of(rt_reason_e reason)
{
    static const int codes[] = {
#define RT_REASON(symbol, code, text, sentence) code,
#include "rt_reason.def"
#undef RT_REASON
    };

    return codes[reason];
}

const char *rt_reason_text(rt_reason_e reason)
{
    static const char *const texts[] = {
#define RT_REASON(symbol, code, text, sentence) text,
#include "rt_reason.def"
#undef RT_REASON
    };

    return texts[reason];
}

/* Engine.IO errors have no code of their own: their close frame is bare. */
static void end_main(rt_session_t *session, rt_reason_e reason)
{
    rt_conn_t *main = session->main;

    if (main == NULL || main->mode == RT_CONN_CLOSED || main->mode == RT_CONN_DRAIN) {
        return;
    }
    if (session->transport == RT_STREAM || main->mode == RT_CONN_WAIT) {
        rt_conn_drain(main);
        return;
    }
    if (reason == RT_GONE_SLOW_READER) {
        rt_queue_cut(&session->queue);
    }
    rt_websocket_close(main, code_of(reason), code_of(reason) != 0 ? rt_reason_text(reason)
                       : "");
}

static void end_polling(rt_session_t *session, int politely)
{
    if ((session->poll != NULL || politely) && !session->said_close) {
        session->said_close = 1;
        rt_session_put(session, rt_frame_eio("1", 1));
    }
    if (session->poll == NULL && politely) {
        /* The next poll is told. */
        ring_set(session, &session->other, RT_RING_CLOSE, rt_now(session->loop));
        return;
    }
    if (session->poll != NULL) {
        rt_polling_flush(session);
    }
    session->life = RT_ENDED;
}

void rt_session_end(rt_session_t *session, rt_reason_e reason, int politely)
{
    rt_loop_t *loop = session->loop;
    rt_conn_t *probe = session->probe;

    if (session->life == RT_ENDED || (session->life == RT_CLOSING && politely)) {
        return;
    }
    if (session->life == RT_OPEN) {
        session->reason = (unsigned char)reason;
        RT_COUNT(loop, gone[reason], 1);
        rt_alarm_clear(&session->beat);
        session->life = RT_CLOSING;
        rt_socket_all_gone(session, reason);
        rt_pending_free(session->pending);
        session->pending = NULL;
    }
    rt_alarm_clear(&session->other);
    /* Who waits for a client that is just changing to a WebSocket waits for that, too. */
    if (probe != NULL && !(politely && session->poll == NULL)) {
        session->probe = NULL;
        probe->session = NULL;
        rt_websocket_close(probe, 0, "");
    }
    if (session->transport == RT_POLLING) {
        end_polling(session, politely);
    }
    else {
        if (session->transport == RT_WEBSOCKET && session->is_counted) {
            RT_COUNT(loop, websockets, -1);
        }
        end_main(session, reason);
        session->life = RT_ENDED;
    }
    if (session->life == RT_ENDED) {
        table_remove(session);
        if (session->post != NULL) {
            session->post->session = NULL;
            session->post = NULL;
        }
    }
    rt_session_ended(session);
}

void rt_session_lost_conn(rt_session_t *session, rt_conn_t *conn)
{
    if (session->probe == conn) {
        session->probe = NULL;
        session->is_probed = 0;
        return;
    }
    if (session->main == conn) {
        session->main = NULL;
        rt_session_end(session, RT_GONE_TRANSPORT_CLOSE, 0);
    }
    else {
        /* A poll or a POST that breaks off means that the client is gone. */
        if (session->poll == conn) {
            session->poll = NULL;
        }
        if (session->post == conn) {
            session->post = NULL;
        }
        if (session->transport == RT_POLLING) {
            rt_session_end(session, RT_GONE_TRANSPORT_ERROR, 0);
        }
    }
    if (session->life == RT_ENDED) {
        rt_session_ended(session);
    }
}

void rt_session_close(rt_session_t *session, rt_reason_e reason)
{
    rt_session_end(session, reason, 1);
}

void rt_session_reap(rt_loop_t *loop)
{
    const rt_app_t *app = loop->engine->app;

    while (loop->ended != NULL) {
        rt_session_t *session = loop->ended;

        loop->ended = session->ended_next;
        session->is_ending = 0;
        if (session->life == RT_OPEN) {
            rt_session_end(session, RT_GONE_SLOW_READER, 0);
            continue;
        }
        if (!session->is_told) {
            session->is_told = 1;
            if (app->close != NULL) {
                app->close(loop->engine->app_data, session, (rt_reason_e)session->reason);
            }
        }
        if (session->life == RT_ENDED && session->main == NULL && session->poll == NULL
            && session->post == NULL && session->probe == NULL && !session->is_dirty) {
            session_free(session);
        }
    }
}

rt_door_e rt_session_door(const rt_session_t *session)
{
    return (rt_door_e)session->door;
}

void *rt_session_data(const rt_session_t *session)
{
    return session->data;
}

void rt_session_set_data(rt_session_t *session, void *data)
{
    session->data = data;
}
