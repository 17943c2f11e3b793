/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: reading, sending, closing. Descriptors are watched by uv_poll and read and written
 * here, because a flush is one writev of everything that waits and a connection may have to
 * change its loop; libuv's streams offer neither.
 */
#include "rt_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <apr_strings.h>

#include "rt_memory.h"

#define READS_A_TURN 4
#define VECS_A_WRITE 256
#define BYTES_A_WRITE (256 * 1024)
#define BYTES_A_TURN (1024 * 1024)

static void digest_in(rt_conn_t *conn);
static void on_io(uv_poll_t *io, int status, int events);

/* The session whose frames go out here. */
static rt_session_t *sender(const rt_conn_t *conn)
{
    return conn->session != NULL && conn->session->main == conn ? conn->session : NULL;
}

static int has_out(const rt_conn_t *conn)
{
    return conn->out_at < conn->out_len;
}

static void set_alarm(rt_conn_t *conn, rt_ring_e kind)
{
    conn->alarm_kind = kind;
    rt_alarm_set(&conn->alarm, &conn->loop->rings[kind], rt_now(conn->loop));
}

/* Who does not take what we have for him is not listened to either. */
static int wants_read(const rt_conn_t *conn)
{
    const rt_session_t *session;

    if (conn->is_ended) {
        return 0;
    }
    switch ((rt_mode_e)conn->mode) {
    case RT_CONN_HEAD:
        return !has_out(conn);
    case RT_CONN_WAIT:
        return conn->in_len < RT_HEAD_MAX;
    case RT_CONN_WS:
        session = sender(conn);
        return session == NULL ? !has_out(conn)
               : rt_queue_bytes(&session->queue) < rt_config(conn->loop)->read_stop_bytes;
    case RT_CONN_BODY:
    case RT_CONN_STREAM:
    case RT_CONN_DRAIN:
        return 1;
    case RT_CONN_CLOSED:
        break;
    }
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    rt_conn_t *conn = handle->data;

    if (conn->fd >= 0) {
        close(conn->fd);
        __atomic_sub_fetch(&conn->loop->engine->n_connections, 1, __ATOMIC_RELAXED);
    }
    free(conn->in);
    free(conn->frag);
    free(conn->out);
    free(conn->cors);
    free(conn);
}

/* Leave the loop; the descriptor is closed at the end of the turn unless it was taken away. */
static void leave(rt_conn_t *conn)
{
    conn->mode = RT_CONN_CLOSED;
    rt_alarm_clear(&conn->alarm);
    *conn->link = conn->next;
    if (conn->next != NULL) {
        conn->next->link = conn->link;
    }
    RT_COUNT(conn->loop, connections, -1);
    uv_close((uv_handle_t *)&conn->io, on_closed);
}

void rt_conn_close(rt_conn_t *conn)
{
    if (conn->mode == RT_CONN_CLOSED) {
        return;
    }
    leave(conn);
    if (conn->session != NULL) {
        rt_session_t *session = conn->session;

        conn->session = NULL;
        rt_session_lost_conn(session, conn);
    }
}

/* What another loop is given. */
typedef struct moved_t {
    int fd, is_local;
    apr_size_t len;
    char bytes[];
} moved_t;

static void arrive(rt_loop_t *loop, void *baton)
{
    moved_t *moved = baton;

    rt_conn_open(loop, moved->fd, moved->is_local, moved->bytes, moved->len);
    free(moved);
}

void rt_conn_move(rt_conn_t *conn, rt_loop_t *to, const char *bytes, apr_size_t len)
{
    moved_t *moved = rt_need(sizeof(*moved) + len);

    moved->fd = conn->fd;
    moved->is_local = conn->is_local;
    moved->len = len;
    memcpy(moved->bytes, bytes, len);
    RT_COUNT(conn->loop, moved, 1);
    leave(conn);
    conn->fd = -1;
    rt_post(to, arrive, moved);
}

void rt_conn_watch(rt_conn_t *conn)
{
    int events;

    if (conn->mode == RT_CONN_CLOSED) {
        return;
    }
    events = (wants_read(conn) ? UV_READABLE : 0) | (conn->is_blocked ? UV_WRITABLE : 0);
    if (events != conn->events) {
        conn->events = (unsigned char)events;
        if (events == 0) {
            uv_poll_stop(&conn->io);
        }
        else if (uv_poll_start(&conn->io, events, on_io) != 0) {
            rt_conn_close(conn);
        }
    }
}

/* The peer has sent his last byte. */
static void peer_ended(rt_conn_t *conn)
{
    conn->is_ended = 1;
    switch ((rt_mode_e)conn->mode) {
    case RT_CONN_HEAD:
        if (has_out(conn)) {
            rt_conn_drain(conn);
            return;
        }
        break;
    case RT_CONN_WS:
        if (sender(conn) != NULL) {
            /* What was queued may still reach a peer that closed only his half. */
            rt_session_t *session = conn->session;

            rt_conn_drain(conn);
            rt_session_end(session, RT_GONE_TRANSPORT_CLOSE, 0);
            return;
        }
        break;
    case RT_CONN_DRAIN:
        if (!conn->was_shut) {
            return;
        }
        break;
    default:
        break;
    }
    rt_conn_close(conn);
}

static void stash(rt_conn_t *conn, const char *bytes, apr_size_t len)
{
    if (conn->in_len + len > conn->in_size) {
        apr_size_t size = conn->in_size * 2;

        if (size < conn->in_len + len) {
            size = conn->in_len + len;
        }
        conn->in = rt_need_more(conn->in, size);
        conn->in_size = (uint32_t)size;
    }
    memcpy(conn->in + conn->in_len, bytes, len);
    if (conn->mode == RT_CONN_HEAD && conn->in_len == 0 && len > 0 && !has_out(conn)) {
        set_alarm(conn, RT_RING_HEAD);
    }
    conn->in_len += (uint32_t)len;
}

/* As many steps as there are bytes for. @return how many bytes were used */
static apr_size_t digest(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    apr_size_t used = 0, n;

    conn->is_digesting = 1;
    while (used < len) {
        switch ((rt_mode_e)conn->mode) {
        case RT_CONN_HEAD:
            n = has_out(conn) ? 0 : rt_request_read(conn, bytes + used, len - used);
            break;
        case RT_CONN_BODY:
            n = conn->is_chunked ? 0 : rt_body_read(conn, bytes + used, len - used);
            break;
        case RT_CONN_WS:
            n = rt_websocket_read(conn, bytes + used, len - used);
            break;
        case RT_CONN_WAIT:
            n = 0;
            break;
        default:
            n = len - used;
            break;
        }
        if (n == 0) {
            break;
        }
        conn->in_want = 0;
        used += n;
    }
    conn->is_digesting = 0;
    return used;
}

/* A chunked body is decoded where it lies, so it has to be ours. */
static int digest_chunks(rt_conn_t *conn)
{
    apr_size_t body = conn->body_len, raw = conn->in_len - body;
    int done = rt_chunks_read(&conn->chunks, conn->in, &body, &raw);

    conn->body_len = (uint32_t)body;
    conn->in_len = (uint32_t)(body + raw);
    if (done == 0 && body <= rt_config(conn->loop)->payload_max) {
        return 0;
    }
    conn->is_chunked = 0;
    conn->is_digesting = 1;
    rt_polling_body(conn, done >= 0 ? conn->in : NULL, body);
    conn->is_digesting = 0;
    if (conn->mode != RT_CONN_CLOSED) {
        memmove(conn->in, conn->in + body, raw);
        conn->in_len = (uint32_t)raw;
    }
    return 1;
}

static void digest_in(rt_conn_t *conn)
{
    apr_size_t used;

    do {
        if (conn->mode == RT_CONN_BODY && conn->is_chunked && !digest_chunks(conn)) {
            return;
        }
        used = digest(conn, conn->in, conn->in_len);
        if (conn->mode == RT_CONN_CLOSED) {
            return;
        }
        conn->in_len -= (uint32_t)used;
        if (conn->in_len > 0 && used > 0) {
            memmove(conn->in, conn->in + used, conn->in_len);
        }
    } while (used > 0 && conn->in_len > 0);
    if (conn->in_len == 0) {
        free(conn->in);
        conn->in = NULL;
        conn->in_size = 0;
    }
}

static void take(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    apr_size_t used = 0;

    if (conn->in_len == 0 && !conn->is_chunked) {
        used = digest(conn, bytes, len);
    }
    if (conn->mode != RT_CONN_CLOSED && used < len) {
        int was_empty = conn->in_len == 0;

        stash(conn, bytes + used, len - used);
        if (!was_empty || conn->is_chunked) {
            digest_in(conn);
        }
    }
}

/* A message that is known to be long is read to where it has to be. */
static apr_ssize_t read_straight(rt_conn_t *conn)
{
    uint32_t size = conn->in_size * 2 > RT_READ_BYTES ? conn->in_size * 2 : RT_READ_BYTES;
    apr_ssize_t n;

    if (size > conn->in_want) {
        size = conn->in_want;
    }
    if (conn->in_len == conn->in_size) {
        conn->in = rt_need_more(conn->in, size);
        conn->in_size = size;
    }
    n = read(conn->fd, conn->in + conn->in_len, conn->in_size - conn->in_len);
    if (n > 0) {
        conn->in_len += (uint32_t)n;
        if (conn->in_len >= conn->in_want) {
            digest_in(conn);
        }
    }
    return n;
}

static void read_some(rt_conn_t *conn)
{
    rt_loop_t *loop = conn->loop;
    int round;

    for (round = 0; round < READS_A_TURN && wants_read(conn); round++) {
        int is_straight = conn->mode != RT_CONN_DRAIN && conn->in_len > 0
                          && conn->in_want > conn->in_len;
        apr_ssize_t n = is_straight ? read_straight(conn)
                                    : read(conn->fd, loop->read_buf, RT_READ_BYTES);

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                rt_conn_close(conn);
            }
            return;
        }
        if (n == 0) {
            peer_ended(conn);
            return;
        }
        RT_COUNT(loop, bytes_in, n);
        if (conn->mode == RT_CONN_BODY && n >= 1024) {
            set_alarm(conn, RT_RING_HEAD);
        }
        if (!is_straight) {
            take(conn, loop->read_buf, (apr_size_t)n);
            if (n < RT_READ_BYTES) {
                return;
            }
        }
    }
}

static void on_io(uv_poll_t *io, int status, int events)
{
    rt_conn_t *conn = io->data;

    if (status < 0) {
        rt_conn_close(conn);
        return;
    }
    if (events & UV_WRITABLE) {
        conn->is_blocked = 0;
        rt_conn_flush(conn);
        if (conn->mode == RT_CONN_HEAD && !has_out(conn)) {
            rt_conn_resume(conn);
        }
    }
    if (events & UV_READABLE) {
        read_some(conn);
    }
    rt_conn_watch(conn);
}

void rt_conn_open(rt_loop_t *loop, int fd, int is_local, const char *bytes, apr_size_t len)
{
    rt_conn_t *conn = rt_need(sizeof(*conn));

    conn->loop = loop;
    conn->fd = fd;
    conn->is_local = is_local != 0;
    if (loop->is_stopping || uv_poll_init(&loop->uv, &conn->io, fd) != 0) {
        close(fd);
        __atomic_sub_fetch(&loop->engine->n_connections, 1, __ATOMIC_RELAXED);
        free(conn);
        return;
    }
    conn->io.data = conn;
    conn->mode = RT_CONN_HEAD;
    conn->next = loop->conns;
    conn->link = &loop->conns;
    if (conn->next != NULL) {
        conn->next->link = &conn->next;
    }
    loop->conns = conn;
    RT_COUNT(loop, connections, 1);
    set_alarm(conn, RT_RING_HEAD);
    if (len > 0) {
        stash(conn, bytes, len);
        digest_in(conn);
    }
    rt_conn_watch(conn);
}

/* Everything has left. */
static void drained(rt_conn_t *conn)
{
    if (conn->is_ended) {
        rt_conn_close(conn);
    }
    else if (!conn->was_shut) {
        conn->was_shut = 1;
        shutdown(conn->fd, SHUT_WR);
    }
}

void rt_conn_drain(rt_conn_t *conn)
{
    if (conn->mode == RT_CONN_CLOSED || conn->mode == RT_CONN_DRAIN) {
        return;
    }
    conn->mode = RT_CONN_DRAIN;
    set_alarm(conn, RT_RING_LINGER);
    if (sender(conn) != NULL) {
        /* A close frame may follow in this turn. */
        rt_session_mark(conn->session);
    }
    else {
        rt_conn_flush(conn);
    }
    rt_conn_watch(conn);
}

/* Some bytes have left. */
static void account(rt_conn_t *conn, rt_session_t *session, apr_size_t sent)
{
    rt_loop_t *loop = conn->loop;

    RT_COUNT(loop, writes, 1);
    RT_COUNT(loop, bytes_out, sent);
    if (has_out(conn)) {
        apr_size_t part = conn->out_len - conn->out_at;

        if (part > sent) {
            part = sent;
        }
        conn->out_at += (uint32_t)part;
        sent -= part;
        if (!has_out(conn)) {
            free(conn->out);
            conn->out = NULL;
            conn->out_len = conn->out_at = 0;
        }
    }
    if (session != NULL && sent > 0) {
        RT_COUNT(loop, sent, rt_queue_sent(&session->queue, sent));
    }
}

void rt_conn_flush(rt_conn_t *conn)
{
    rt_session_t *session = sender(conn);
    apr_size_t turn = 0;

    if (conn->mode == RT_CONN_CLOSED || conn->is_blocked || conn->is_held) {
        return;
    }
    for (;;) {
        struct iovec vecs[VECS_A_WRITE];
        apr_size_t want = 0;
        apr_ssize_t sent;
        int n = 0, i;

        if (has_out(conn)) {
            vecs[0].iov_base = conn->out + conn->out_at;
            vecs[n++].iov_len = conn->out_len - conn->out_at;
        }
        if (session != NULL) {
            n += rt_queue_peek(&session->queue, vecs + n, VECS_A_WRITE - n, BYTES_A_WRITE);
        }
        if (n == 0) {
            break;
        }
        if (turn > BYTES_A_TURN) {
            /* Others want to be served, too. */
            conn->is_blocked = 1;
            break;
        }
        for (i = 0; i < n; i++) {
            want += vecs[i].iov_len;
        }
        sent = n == 1 ? write(conn->fd, vecs[0].iov_base, want) : writev(conn->fd, vecs, n);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                rt_conn_close(conn);
                return;
            }
            sent = 0;
        }
        account(conn, session, (apr_size_t)sent);
        turn += (apr_size_t)sent;
        if ((apr_size_t)sent < want) {
            conn->is_blocked = 1;
            break;
        }
    }
    if (conn->mode == RT_CONN_DRAIN) {
        if (!conn->is_blocked) {
            drained(conn);
        }
        else if (turn > 0) {
            set_alarm(conn, RT_RING_LINGER);
        }
    }
    else if (conn->is_blocked) {
        if (turn > 0 || conn->alarm_kind != RT_RING_STALL || !rt_alarm_is_set(&conn->alarm)) {
            set_alarm(conn, RT_RING_STALL);
        }
    }
    else if (conn->alarm_kind == RT_RING_STALL) {
        rt_alarm_clear(&conn->alarm);
        if (conn->mode == RT_CONN_HEAD) {
            set_alarm(conn, RT_RING_IDLE);
        }
    }
    rt_conn_watch(conn);
}

void rt_conn_write_own(rt_conn_t *conn, char *bytes, apr_size_t len)
{
    free(conn->out);
    conn->out = bytes;
    conn->out_len = (uint32_t)len;
    conn->out_at = 0;
    rt_conn_flush(conn);
}

void rt_conn_write(rt_conn_t *conn, const char *bytes, apr_size_t len)
{
    apr_size_t left = conn->out_len - conn->out_at;
    char *all = rt_need(left + len);

    if (left > 0) {
        memcpy(all, conn->out + conn->out_at, left);
    }
    memcpy(all + left, bytes, len);
    rt_conn_write_own(conn, all, left + len);
}

void rt_conn_resume(rt_conn_t *conn)
{
    if (conn->in_len > 0 && !conn->is_digesting && conn->mode != RT_CONN_CLOSED) {
        digest_in(conn);
    }
    rt_conn_watch(conn);
}

void rt_conn_answer(rt_conn_t *conn, int status, const char *type, const char *headers,
                    const char *body, apr_size_t len)
{
    const char *cors = conn->cors != NULL ? conn->cors : "";
    apr_size_t room = 256 + strlen(type) + strlen(headers) + strlen(cors) + len;
    char *all = rt_need(room);
    int n;

    n = snprintf(all, room, "HTTP/1.1 %d %s\r\n%s%s%s%s%s%sContent-Length: %" APR_SIZE_T_FMT
                 "\r\n\r\n", status, rt_status_text(status), type[0] != '\0' ? "Content-Type: "
                 : "", type, type[0] != '\0' ? "\r\n" : "", headers, cors,
                 conn->keep_alive ? "" : "Connection: close\r\n", len);
    if (len > 0) {
        memcpy(all + n, body, len);
    }
    free(conn->cors);
    conn->cors = NULL;
    conn->mode = RT_CONN_HEAD;
    set_alarm(conn, RT_RING_IDLE);
    rt_conn_write_own(conn, all, (apr_size_t)n + len);
    if (!conn->keep_alive) {
        rt_conn_drain(conn);
    }
    else {
        rt_conn_resume(conn);
    }
}

const char *rt_conn_peer(const rt_conn_t *conn, apr_pool_t *pool)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    char text[INET6_ADDRSTRLEN] = "";

    if (getpeername(conn->fd, (struct sockaddr *)&peer, &len) == 0) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer;

        inet_ntop(peer.ss_family, peer.ss_family == AF_INET6 ? (const void *)&in6->sin6_addr
                  : (const void *)&in->sin_addr, text, sizeof(text));
    }
    return apr_pstrdup(pool, text);
}

void rt_conn_timed_out(rt_alarm_t *alarm)
{
    rt_conn_t *conn = (rt_conn_t *)((char *)alarm - offsetof(rt_conn_t, alarm));

    if (conn->alarm_kind == RT_RING_STALL && sender(conn) != NULL) {
        rt_session_end(conn->session, RT_GONE_SLOW_READER, 0);
        rt_conn_close(conn);
    }
    else if (conn->alarm_kind == RT_RING_UPGRADE) {
        /* Polling goes on without it. */
        rt_websocket_close(conn, 0, "");
    }
    else {
        rt_conn_close(conn);
    }
}
