/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_conn.h
 * Inside of connections: a descriptor, what was read and not yet understood, what has to go out
 * before frames. What the bytes mean is rt_request.c's (HTTP) and rt_websocket.c's.
 *
 * A connection is freed at the end of the turn in which it was closed, so pointers stay
 * good until the callback that closed it has returned.
 */
#ifndef RT_CONN_H
#define RT_CONN_H

#include "rt_http.h"
#include "rt_loop.h"

/** What its bytes are. Events of the connection and what they lead to: rt_conn.c. */
typedef enum rt_mode_e {
    RT_CONN_HEAD,       /* request heads */
    RT_CONN_BODY,       /* the body of a POST for its session */
    RT_CONN_WAIT,       /* nothing: an answer is awaited (a held poll, an application's yes) */
    RT_CONN_WS,         /* WebSocket frames */
    RT_CONN_STREAM,     /* nothing: an event stream goes out */
    RT_CONN_DRAIN,      /* nothing: what is left goes out, then it is closed */
    RT_CONN_CLOSED
} rt_mode_e;

struct rt_conn_t {
    uv_poll_t io;
    rt_loop_t *loop;
    rt_session_t *session;      /* that it serves now, NULL for none */
    rt_alarm_t alarm;           /* one at a time, by mode */
    rt_conn_t *next, **link;    /* all of the loop */
    int fd;
    unsigned char mode;         /* rt_mode_e */
    unsigned char events;       /* UV_READABLE, UV_WRITABLE: what the loop watches for */
    unsigned is_blocked:1;      /* the kernel takes no more for now */
    unsigned is_held:1;         /* out waits for the application's yes */
    unsigned is_released:1;     /* it has it: at the end of the turn out goes, and in is read */
    unsigned is_ended:1;        /* the peer has sent its last byte */
    unsigned is_local:1;        /* from the unix socket */
    unsigned keep_alive:1;
    unsigned is_chunked:1;
    unsigned is_plain:1;        /* WebSocket of the plain door */
    unsigned is_packed:1;       /* WebSocket on which messages may be compressed */
    unsigned frag_is_packed:1;
    unsigned frag_opcode:2;     /* of the message whose fragments are in frag, 0 for none */
    unsigned was_shut:1;        /* our end is closed */
    unsigned is_digesting:1;    /* its bytes are being read further up the stack */
    unsigned alarm_kind:4;      /* rt_ring_e of alarm */
    char *in;                   /* read and not understood */
    uint32_t in_len, in_size;
    uint32_t in_want;           /* so many bytes make the next step worth while, 0 unknown */
    uint32_t scanned;           /* so many bytes of a head do not hold its end */
    uint32_t body_len;          /* of in: decoded (chunked), or what it has to be */
    rt_chunks_t chunks;
    char *frag;                 /* a fragmented message so far */
    uint32_t frag_len, frag_size;
    char *cors;                 /* header lines of the answer, NULL for none */
    char *out;                  /* goes out before frames */
    uint32_t out_len, out_at;
};

/** Take a connected descriptor and bytes that were read of it already (NULL, 0: none). */
void rt_conn_open(rt_loop_t *loop, int fd, int is_local, const char *bytes, apr_size_t len);

/** Close at once. What it served is told (rt_session_lost_conn()). */
void rt_conn_close(rt_conn_t *conn);

/** Let what is queued leave, then close. */
void rt_conn_drain(rt_conn_t *conn);

/** Hand over to the loop that has its session; bytes: the request, unread. */
void rt_conn_move(rt_conn_t *conn, rt_loop_t *to, const char *bytes, apr_size_t len);

/** Append bytes that go out before frames, and send what can be sent. */
void rt_conn_write(rt_conn_t *conn, const char *bytes, apr_size_t len);
/** The same with memory that becomes the connection's; only while nothing is to go out. */
void rt_conn_write_own(rt_conn_t *conn, char *bytes, apr_size_t len);

/**
 * Answer the request that was read; the connection then reads the next one or closes.
 * @param headers  more header lines, each with CRLF; "" for none
 */
void rt_conn_answer(rt_conn_t *conn, int status, const char *type, const char *headers,
                    const char *body, apr_size_t len);

/** Send what waits, frames of its session included; as much as the kernel takes. */
void rt_conn_flush(rt_conn_t *conn);

/** Read on, after out was sent or the mode changed. */
void rt_conn_resume(rt_conn_t *conn);

/** Tell the loop what to watch for, when that has changed. */
void rt_conn_watch(rt_conn_t *conn);

/** The peer's address as text, in pool. */
const char *rt_conn_peer(const rt_conn_t *conn, apr_pool_t *pool);

/** An alarm rang: every ring of connections has this. */
void rt_conn_timed_out(rt_alarm_t *alarm);

/* What bytes mean. Each takes what is there and returns how many bytes were used, 0 when more is
 * needed or the mode changed. */
apr_size_t rt_request_read(rt_conn_t *conn, char *bytes, apr_size_t len);
apr_size_t rt_body_read(rt_conn_t *conn, char *bytes, apr_size_t len);
apr_size_t rt_websocket_read(rt_conn_t *conn, char *bytes, apr_size_t len);

#endif /* RT_CONN_H */
