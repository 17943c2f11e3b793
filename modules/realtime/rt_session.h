/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_session.h
 * Inside of sessions and sockets. A session begins with a handshake (rt_request.c), lives on one
 * transport at a time (rt_polling.c, rt_websocket.c), and ends once: rt_session_end().
 */
#ifndef RT_SESSION_H
#define RT_SESSION_H

#include "rt_conn.h"
#include "rt_queue.h"

typedef enum rt_transport_e { RT_POLLING, RT_WEBSOCKET, RT_STREAM } rt_transport_e;

/**
 * open: begun, traffic flows. closing: over for the application, but a poll has still to be told.
 * ended: over; freed when its last connection is closed.
 */
typedef enum rt_life_e { RT_OPEN, RT_CLOSING, RT_ENDED } rt_life_e;

/** A packet whose attachments are still to come. */
typedef struct rt_pending_t {
    uint64_t socket_id;
    rt_packet_t packet;         /* of text */
    char *text;
    rt_bytes_t attachments[RT_ATTACHMENTS_MAX];
    int n;
    apr_size_t bytes;
} rt_pending_t;

struct rt_session_t {
    rt_loop_t *loop;
    rt_session_t *table_next;
    rt_session_t *next, **link;         /* all of the loop */
    rt_session_t *dirty_next, *ended_next;
    void *data;                         /* the application's */
    const char *address;                /* counted under this, NULL when it is not */
    rt_socket_t *sockets;
    rt_conn_t *main;                    /* WebSocket or stream */
    rt_conn_t *poll;                    /* a GET that is held */
    rt_conn_t *post;                    /* a POST whose body comes */
    rt_conn_t *probe;                   /* a WebSocket that would become main */
    rt_pending_t *pending;
    rt_queue_t queue;
    rt_alarm_t beat;                    /* next ping, or the pong we wait for */
    rt_alarm_t other;                   /* to join; then, to be told the end */
    uint64_t allowance_msec;            /* when the allowance was last counted */
    uint32_t allowance;                 /* thousandths of an event */
    unsigned char door;                 /* rt_door_e */
    unsigned char transport;            /* rt_transport_e */
    unsigned char life;                 /* rt_life_e */
    unsigned char reason;               /* rt_reason_e, when over */
    unsigned is_dirty:1;
    unsigned is_probed:1;               /* "3probe" went out on probe */
    unsigned waits_pong:1;
    unsigned wants_base64:1;            /* its WebSocket takes no binary */
    unsigned is_told:1;                 /* close() of the application was called */
    unsigned is_counted:1;
    unsigned has_joined:1;
    unsigned is_listed:1;               /* in the table of sids */
    unsigned is_doomed:1;               /* to be cut at the end of the turn: reads too slowly */
    unsigned said_close:1;              /* packet '1' is queued */
    unsigned is_ending:1;               /* in the loop's list of those */
    uint16_t n_sockets;
    char sid[RT_SID_BYTES + 1];
};

typedef enum rt_standing_e { RT_ASKING, RT_IN, RT_OUT } rt_standing_e;

struct rt_socket_t {
    rt_session_t *session;
    rt_socket_t *next;
    void *data;
    uint64_t id;
    unsigned char standing;             /* rt_standing_e */
    char sid[25];
    char nsp[];                         /* with a 0 behind */
};

/** Sockets of a loop by number. */
typedef struct rt_slot_t {
    rt_socket_t *socket;                /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
} rt_slot_t;

/* rt_session.c: life. */

/**
 * Begin; the application was asked. conn is the one the handshake came on.
 * @return NULL when refused; *why is then the application's text, or NULL for a limit
 */
rt_session_t *rt_session_open(const char **why, rt_conn_t *conn, const rt_head_t *head,
                              rt_door_e door, rt_transport_e transport);
rt_session_t *rt_session_find(rt_loop_t *loop, const char *sid);

/**
 * Over. politely: a poll that is not there yet is waited for, and what is queued still leaves;
 * otherwise the sid is unknown from now on.
 */
void rt_session_end(rt_session_t *session, rt_reason_e reason, int politely);

/** A connection that served it has closed. */
void rt_session_lost_conn(rt_session_t *session, rt_conn_t *conn);

/** The heartbeat: what rings, and the pong. Does a late pong matter? */
void rt_session_ping_due(rt_alarm_t *alarm);
void rt_session_pong_late(rt_alarm_t *alarm);
void rt_session_other_due(rt_alarm_t *alarm);
void rt_session_pong(rt_session_t *session);
/** Its time ran out, though the loop has not come to look. */
int rt_session_is_late(const rt_session_t *session);

/** Queue one of the protocol's own packets; takes the caller's hold. */
void rt_session_put(rt_session_t *session, rt_frame_t *frame);
/** Something waits: send it at the end of the turn. */
void rt_session_mark(rt_session_t *session);
/** It reads too slowly: cut it at the end of the turn. */
void rt_session_doom(rt_session_t *session);
/** It ended, or has to: rt_session_reap() looks at it at the end of the turn. */
void rt_session_ended(rt_session_t *session);
/** Send what waits. */
void rt_session_flush(rt_session_t *session);
/** Those that ended this turn: tell the application, free what nothing holds. */
void rt_session_reap(rt_loop_t *loop);

/** One Engine.IO packet. @return 0 when the session ended by it, because it was no packet */
int rt_session_packet(rt_session_t *session, char *text, apr_size_t len);
int rt_session_binary(rt_session_t *session, const char *bytes, apr_size_t len);

/* rt_polling.c */

void rt_polling_get(rt_session_t *session, rt_conn_t *conn);
/** A POST's head was read. */
void rt_polling_post(rt_session_t *session, rt_conn_t *conn, const rt_head_t *head);
/** Its body is there. */
void rt_polling_body(rt_conn_t *conn, char *body, apr_size_t len);
/** Answer the held poll with what is queued. */
void rt_polling_flush(rt_session_t *session);
/** Answer the held poll with this one packet. */
void rt_polling_release(rt_session_t *session, const char *packet);
/** Header lines of answers to pages of other origins; "" when there are none. */
const char *rt_cors_headers(rt_loop_t *loop, const rt_head_t *head, apr_pool_t *pool);

/* rt_websocket.c */

/**
 * Make conn a WebSocket; its 101 goes out at once, or is held for the application's yes. A peer that has
 * left makes the write fail: conn is closed then, and nobody may hold on to it.
 * @return 0 for no handshake; nothing is written then
 */
int rt_websocket_open(rt_conn_t *conn, const rt_head_t *head, int is_held);
/** Close frame, then drain. */
void rt_websocket_close(rt_conn_t *conn, int code, const char *text);
/** A message on a connection that is not the session's transport yet. */
void rt_probe_message(rt_conn_t *conn, const char *text, apr_size_t len, int is_binary);

/* rt_socket.c: namespaces. */

void rt_socket_text(rt_session_t *session, char *text, apr_size_t len);
void rt_socket_binary(rt_session_t *session, const char *bytes, apr_size_t len);
/** The one socket of the other doors. */
rt_socket_t *rt_socket_make(rt_session_t *session, rt_bytes_t nsp);
void rt_socket_message(rt_session_t *session, const char *bytes, apr_size_t len,
                       int is_binary);
/** All of them are over. */
void rt_socket_all_gone(rt_session_t *session, rt_reason_e reason);
/** Those that went this turn: their memory. */
void rt_socket_reap(rt_loop_t *loop);
void rt_pending_free(rt_pending_t *pending);

#endif /* RT_SESSION_H */
