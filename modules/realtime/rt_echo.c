/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo. /engine.io/ answers each message with itself; /socket.io/ has the namespaces / and
 * /custom, emits "auth" on connect, answers "message" by "message-back" and acks
 * "message-with-ack"; /ws-echo echoes WebSocket messages. Who connects to / is in one room, and
 * what comes as "m" goes to all in it, the sender included.
 */
#include "rt_echo.h"

#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

/* Those in the room on one loop. */
typedef struct members_t {
    rt_socket_t **sockets;
    apr_size_t n, size;
} members_t;

/* A socket's place in it, as its data: counted from 1, because 0 is no data. */
static void set_place(rt_socket_t *socket, apr_size_t place)
{
    rt_socket_set_data(socket, (void *)(place + 1));
}

static int begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static rt_door_e echo_door(void *app, const rt_head_t *head)
{
    const char *path = rt_head_path(head);

    (void)app;
    return begins_with(path, "/socket.io/") ? RT_DOOR_SOCKET_IO
           : begins_with(path, "/engine.io/") ? RT_DOOR_ENGINE_IO
           : strcmp(path, "/ws-echo") == 0 ? RT_DOOR_PLAIN : RT_DOOR_NONE;
}

static int echo_has_namespace(void *app, rt_bytes_t name)
{
    (void)app;
    return name.len == 1 || (name.len == 7 && memcmp(name.at, "/custom", 7) == 0);
}

static void echo_loop_start(void *app, rt_loop_t *loop)
{
    (void)app;
    rt_loop_set_data(loop, rt_need(sizeof(members_t)));
}

static void echo_loop_stop(void *app, rt_loop_t *loop)
{
    members_t *members = rt_loop_data(loop);

    (void)app;
    rt_loop_set_data(loop, NULL);
    free(members->sockets);
    free(members);
}

static int is_relayed(const rt_socket_t *socket)
{
    return rt_session_door(rt_socket_session(socket)) == RT_DOOR_SOCKET_IO
           && strcmp(rt_socket_namespace(socket), "/") == 0;
}

static void echo_connect(void *app, rt_socket_t *socket, rt_bytes_t auth)
{
    members_t *members = rt_loop_data(rt_socket_loop(socket));
    rt_frame_t *frame;

    (void)app;
    rt_accept(socket, NULL, NULL);
    if (rt_session_door(rt_socket_session(socket)) != RT_DOOR_SOCKET_IO) {
        return;
    }
    if (is_relayed(socket)) {
        if (members->n == members->size) {
            members->size = members->size == 0 ? 64 : members->size * 2;
            members->sockets = rt_need_more(members->sockets,
                                            members->size * sizeof(*members->sockets));
        }
        set_place(socket, members->n);
        members->sockets[members->n++] = socket;
    }
    frame = rt_frame_event(rt_socket_namespace(socket), "auth", auth.at, auth.len);
    rt_emit(socket, frame, RT_LANE_MONEY);
    rt_frame_release(frame);
}

static void echo_gone(void *app, rt_socket_t *socket, rt_reason_e reason)
{
    members_t *members = rt_loop_data(rt_socket_loop(socket));
    apr_size_t place = (apr_size_t)rt_socket_data(socket);

    (void)app;
    (void)reason;
    if (place > 0) {
        rt_socket_t *last = members->sockets[--members->n];

        members->sockets[place - 1] = last;
        set_place(last, place - 1);
    }
}

static void relay_here(rt_loop_t *loop, void *baton)
{
    members_t *members = rt_loop_data(loop);
    apr_size_t i;

    for (i = 0; members != NULL && i < members->n; i++) {
        rt_emit(members->sockets[i], baton, RT_LANE_CHAT);
    }
    rt_frame_release(baton);
}

/* On the first loop, so that all loops get all frames in one order. */
static void relay_to_all(rt_loop_t *first, void *baton)
{
    rt_engine_t *engine = rt_loop_engine(first);
    int i;

    for (i = 1; i < rt_engine_loops(engine); i++) {
        rt_frame_hold(baton);
        rt_post(rt_engine_loop(engine, i), relay_here, baton);
    }
    relay_here(first, baton);
}

/* One frame for all members on all loops. */
static void relay(rt_socket_t *socket, const char *args, apr_size_t len)
{
    rt_loop_t *own = rt_socket_loop(socket), *first = rt_engine_loop(rt_loop_engine(own), 0);
    rt_frame_t *frame = rt_frame_event("/", "m", args, len);

    if (own == first) {
        relay_to_all(first, frame);
    }
    else {
        rt_post(first, relay_to_all, frame);
    }
}

static int is_named(const rt_event_t *event, const char *name)
{
    return !event->name_is_number && event->name.len == strlen(name)
           && memcmp(event->name.at, name, event->name.len) == 0;
}

static void echo_message(rt_socket_t *socket, const rt_event_t *event)
{
    rt_frame_t *frame;

    if (rt_session_door(rt_socket_session(socket)) == RT_DOOR_ENGINE_IO) {
        frame = rt_frame_message(event->args.at, event->args.len, event->is_binary);
    }
    else {
        frame = rt_frame_bare();
        rt_frame_set_plain(frame, event->args.at, event->args.len, event->is_binary);
    }
    rt_emit(socket, frame, RT_LANE_MONEY);
    rt_frame_release(frame);
}

static void echo_event(void *app, rt_socket_t *socket, const rt_event_t *event)
{
    const char *args = event->args.at + 1;      /* inside of the brackets */
    apr_size_t len = event->args.len - 2;
    rt_frame_t *frame;

    (void)app;
    if (event->name.at == NULL) {
        echo_message(socket, event);
    }
    else if (is_named(event, "message")) {
        frame = rt_frame_binary(rt_socket_namespace(socket), "message-back", args, len,
                                event->attachments, event->n_attachments);
        rt_emit(socket, frame, RT_LANE_MONEY);
        rt_frame_release(frame);
    }
    else if (is_named(event, "message-with-ack") && event->wants_ack) {
        rt_ack_binary(socket, event->ack_id, args, len, event->attachments,
                      event->n_attachments);
    }
    else if (is_named(event, "m") && is_relayed(socket)) {
        relay(socket, args, len);
    }
}

const rt_app_t rt_echo_app = {
    .name = "echo",
    .loop_start = echo_loop_start,
    .loop_stop = echo_loop_stop,
    .door = echo_door,
    .has_namespace = echo_has_namespace,
    .connect = echo_connect,
    .event = echo_event,
    .gone = echo_gone
};
