/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_app.h
 * What an application on the engine gives (rt_app_t) and may call. The engine owns sockets,
 * framing, heartbeats, queues and limits; the application decides who may connect, what events
 * mean and who receives what. Applications: rt_echo.c (conformance), the rooms.
 *
 * Words. A *session* is one client behind one door; it may change its transport (polling to
 * WebSocket). A *socket* is the presence of a session in one Socket.IO namespace; a session of
 * the plain or the stream door has exactly one. A *loop* is an event loop with its thread;
 * a session lives and dies on one loop.
 *
 * Threads. Every callback runs on the thread of the session's loop and must not wait. Every call
 * here belongs on that thread too, except those marked "any thread". Slow work goes to a thread
 * of the application, which comes back by rt_post() and finds the socket again by its id.
 *
 * A socket pointer is good until gone() returned for it (or, before connect() was answered, until
 * gone() too: it is called for every socket that connect() was called for and that was not
 * refused).
 */
#ifndef RT_APP_H
#define RT_APP_H

#include <apr_errno.h>
#include <apr_pools.h>

typedef struct rt_engine_t rt_engine_t;
typedef struct rt_loop_t rt_loop_t;
typedef struct rt_session_t rt_session_t;
typedef struct rt_socket_t rt_socket_t;
typedef struct rt_frame_t rt_frame_t;
typedef struct rt_head_t rt_head_t;
struct uv_loop_s;

/** Bytes of somebody else; no 0 behind. */
typedef struct rt_bytes_t {
    const char *at;
    apr_size_t len;
} rt_bytes_t;

/**
 * What happens to a frame when its reader is slow. Frames leave in the order they were
 * emitted, whatever their lane: an offset that was seen covers all lower ones.
 */
typedef enum rt_lane_e {
    RT_LANE_MONEY,      /* never dropped: the reader is cut when the queue is full */
    RT_LANE_CHAT,       /* the same, with a smaller bound */
    RT_LANE_REACTION,   /* the oldest are dropped when the lane is full */
    RT_LANE_METRIC,     /* a queued frame with the same key is replaced; dropped when full */
    RT_LANES
} rt_lane_e;

typedef enum rt_reason_e {
#define RT_REASON(symbol, code, text, sentence) RT_GONE_##symbol,
#include "rt_reason.def"
#undef RT_REASON
    RT_REASONS
} rt_reason_e;

/** As the reference server names it ("transport close"); never NULL. Any thread. */
const char *rt_reason_text(rt_reason_e reason);

/** How a client is served. */
typedef enum rt_door_e {
    RT_DOOR_NONE,       /* not ours: 404 */
    RT_DOOR_SOCKET_IO,  /* Engine.IO with Socket.IO in it */
    RT_DOOR_ENGINE_IO,  /* Engine.IO alone: messages go to event() with no name */
    RT_DOOR_PLAIN,      /* WebSocket: each message goes to event() with no name */
    RT_DOOR_STREAM      /* text/event-stream, one way */
} rt_door_e;

/* The request a session began with; good during the callback that got it. */

const char *rt_head_path(const rt_head_t *head);            /* without the query, as sent */
/** A header by its name in lower case, NULL when absent; several are joined by ", ". */
const char *rt_head_field(const rt_head_t *head, const char *lower_name);
/** A query parameter, decoded, in pool; NULL when absent, "" when it is no UTF-8. */
const char *rt_head_query(const rt_head_t *head, const char *name, apr_pool_t *pool);
/** A cookie, in pool, NULL when absent. */
const char *rt_head_cookie(const rt_head_t *head, const char *name, apr_pool_t *pool);
/** The client's address and the request id as the module in httpd told them; never NULL. */
const char *rt_head_address(const rt_head_t *head);
const char *rt_head_request_id(const rt_head_t *head);

/** What a client sent. Good during the callback. */
typedef struct rt_event_t {
    rt_bytes_t name;            /* raw JSON of a Socket.IO event name without quotes and not
                                 * unescaped; at is NULL for doors without names */
    int name_is_number;
    rt_bytes_t args;            /* Socket.IO: the JSON array without the name, as "[...]" (valid
                                 * JSON, at most 200 deep); other doors: the message as it came */
    int is_binary;              /* other doors: the message was binary */
    const rt_bytes_t *attachments;  /* Socket.IO: what the placeholders in args stand for */
    int n_attachments;
    int wants_ack;
    apr_uint64_t ack_id;        /* for rt_ack() when wants_ack */
} rt_event_t;

typedef struct rt_app_t {
    const char *name;

    /* A loop begins and ends, on its thread. Not required. */
    void (*loop_start)(void *app, rt_loop_t *loop);
    void (*loop_stop)(void *app, rt_loop_t *loop);

    /* Every tick_msec while the loop runs. Not required. */
    void (*tick)(void *app, rt_loop_t *loop);
    int tick_msec;

    /* Which door is at this address? Paths of other requests are 404. Required. */
    rt_door_e (*door)(void *app, const rt_head_t *head);

    /* A session begins: take what you need of the head (address, cookie, token, query) and keep
     * it by rt_session_set_data(). Gives NULL to go on, or a short plain text that goes
     * out with status 403. Not required. */
    const char *(*open)(void *app, rt_session_t *session, const rt_head_t *head);

    /* The session is over and all its sockets are gone: free its data. Not required. */
    void (*close)(void *app, rt_session_t *session, rt_reason_e reason);

    /* Is there such a namespace? Not required: "/" alone. */
    int (*has_namespace)(void *app, rt_bytes_t name);

    /* A socket asks to come in. auth is the JSON object of CONNECT ("{}" when none was sent, or
     * for other doors). Answer now or later by rt_accept() or rt_refuse(). Required. */
    void (*connect)(void *app, rt_socket_t *socket, rt_bytes_t auth);

    /* Something came from an accepted socket. Required. */
    void (*event)(void *app, rt_socket_t *socket, const rt_event_t *event);

    /* The socket is over: nothing can be emitted to it any more. Required. */
    void (*gone)(void *app, rt_socket_t *socket, rt_reason_e reason);
} rt_app_t;

/* The engine and its loops. */

int rt_engine_loops(const rt_engine_t *engine);
rt_loop_t *rt_engine_loop(const rt_engine_t *engine, int index);   /* any thread */
rt_engine_t *rt_loop_engine(const rt_loop_t *loop);
int rt_loop_index(const rt_loop_t *loop);
struct uv_loop_s *rt_loop_uv(rt_loop_t *loop);      /* to watch descriptors of one's own */
void *rt_loop_data(const rt_loop_t *loop);
void rt_loop_set_data(rt_loop_t *loop, void *data);

/** The application refused a client by a limit of its own: it counts as those of the engine. */
void rt_loop_limited(rt_loop_t *loop);

/** Milliseconds of a clock that never jumps, read once a turn of the loop. */
apr_uint64_t rt_loop_now(const rt_loop_t *loop);

/**
 * Run fn on the loop's thread, soon and in the order of posting. Any thread; does not wait.
 * After the loop stopped fn is run by the thread that ends the engine, so that what
 * baton holds is freed; rt_socket_find() finds nothing then.
 */
void rt_post(rt_loop_t *loop, void (*fn)(rt_loop_t *loop, void *baton), void *baton);

/* Sessions. */

rt_door_e rt_session_door(const rt_session_t *session);
void *rt_session_data(const rt_session_t *session);
void rt_session_set_data(rt_session_t *session, void *data);

/**
 * End a session: its sockets are told (gone()) before this returns, close() comes after the
 * current callback. What is queued still leaves within a few seconds. WebSocket clients see the
 * reason's code.
 */
void rt_session_close(rt_session_t *session, rt_reason_e reason);

/* Sockets. */

rt_session_t *rt_socket_session(const rt_socket_t *socket);
rt_loop_t *rt_socket_loop(const rt_socket_t *socket);
const char *rt_socket_namespace(const rt_socket_t *socket);
const char *rt_socket_sid(const rt_socket_t *socket);   /* public id; "" before rt_accept() */
void *rt_socket_data(const rt_socket_t *socket);
void rt_socket_set_data(rt_socket_t *socket, void *data);

/** A number that no other socket of this process ever has; names its loop. */
apr_uint64_t rt_socket_id(const rt_socket_t *socket);
/** The loop of such a number. Any thread. */
rt_loop_t *rt_socket_id_loop(const rt_engine_t *engine, apr_uint64_t id);
/** The socket while it is there, else NULL. */
rt_socket_t *rt_socket_find(const rt_loop_t *loop, apr_uint64_t id);

/**
 * Let a socket in. Nothing is written before the turn is over, so the socket is still there when
 * this returns, whatever became of its peer.
 * @param sid      public id, at most 24 bytes; NULL for a fresh one
 * @param members  further members of the CONNECT answer as JSON text without braces
 *                 ("pid":"..."), NULL for none; Socket.IO only
 */
void rt_accept(rt_socket_t *socket, const char *sid, const char *members);

/**
 * Turn a socket away. Socket.IO: CONNECT_ERROR, the session goes on and may ask again. Other doors:
 * the HTTP request is answered with status and data as its body. The socket is over
 * when this returns; gone() is not called.
 * @param data    JSON text, NULL for none; for other doors than Socket.IO a problem document
 * @param status  for doors that are plain HTTP until now, 400 to 599
 */
void rt_refuse(rt_socket_t *socket, const char *message, const char *data, int status);

/**
 * Emit one frame; takes a hold of its own. Nothing happens when the socket has gone. A reader
 * that is too slow is cut at the end of the turn: no callback is made from here.
 */
void rt_emit(rt_socket_t *socket, rt_frame_t *frame, rt_lane_e lane);

/**
 * Answer an event, at most once per ack_id: the caller sees to that.
 * @param args  JSON texts joined by commas, without brackets; "" for none
 */
void rt_ack(rt_socket_t *socket, apr_uint64_t ack_id, const char *args, apr_size_t len);
/** The same with attachments, which are copied. */
void rt_ack_binary(rt_socket_t *socket, apr_uint64_t ack_id, const char *args, apr_size_t len,
                   const rt_bytes_t *attachments, int n_attachments);

/** Take a socket out of its namespace ("io server disconnect"); gone() is called before this
 *  returns. Plain and stream sessions end. */
void rt_kick(rt_socket_t *socket, rt_reason_e reason);

/* Frames: made once for all receivers, counted references, not changed once emitted. */

/**
 * An event for Socket.IO clients.
 * @param nsp   namespace, "/" usually
 * @param name  event name as it is (is quoted here)
 * @param args  JSON texts joined by commas, without brackets; "" for none; copied
 * @return with one hold, the caller's. Any thread.
 */
rt_frame_t *rt_frame_event(const char *nsp, const char *name, const char *args,
                           apr_size_t len);
/** With attachments (1 to 10), copied; args has the placeholders. Any thread. */
rt_frame_t *rt_frame_binary(const char *nsp, const char *name, const char *args, apr_size_t len,
                            const rt_bytes_t *attachments, int n_attachments);
/** One message for the door RT_DOOR_ENGINE_IO; copied. Any thread. */
rt_frame_t *rt_frame_message(const char *bytes, apr_size_t len, int is_binary);
/** A frame that has no form for these two doors and never will. Any thread. */
rt_frame_t *rt_frame_bare(void);

/* What the same frame is for other doors, set before the first rt_emit(); a door whose form is
 * not set does not get the frame. Copied. Any thread. */
void rt_frame_set_plain(rt_frame_t *frame, const char *text, apr_size_t len, int is_binary);
/** @param text  whole, as it goes out ("id: 5\nevent: x\ndata: {}\n\n") */
void rt_frame_set_stream(rt_frame_t *frame, const char *text, apr_size_t len);
/** For RT_LANE_METRIC: a queued frame with the same key is replaced. 0 for none. */
void rt_frame_set_key(rt_frame_t *frame, apr_uint64_t key);

void rt_frame_hold(rt_frame_t *frame);      /* any thread */
void rt_frame_release(rt_frame_t *frame);   /* any thread */

#endif /* RT_APP_H */
