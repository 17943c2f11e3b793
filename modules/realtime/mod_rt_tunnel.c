/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes both ways between a client and the sidecar, never waiting for either. Each side is
 * read only while the other takes what it gets, so a client that does not read costs one
 * buffer of ours, and the sidecar decides how long it waits for it.
 *
 * The client's side goes through httpd's connection filters (TLS above all). They say of
 * themselves when they keep something: data_in_output_filters. What is peculiar about them
 * is said where it is dealt with.
 */
#include "mod_rt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <http_config.h>
#include <http_connection.h>
#include <util_filter.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define SHORT_READ 4096         /* APR reads sockets by 8000 bytes */
#define ROUNDS 4                /* chunks a turn and direction; then others have their turn */

static rt_pump_e end(rt_link_t *link, rt_end_e why)
{
    link->end = why;
    return RT_PUMP_END;
}

/* --- to the client --- */

/* mod_ssl's output filter collects small writes until something comes that is no data; a flush
 * would wait. So each write ends with this, which means nothing to anybody. */
static apr_status_t read_nothing(apr_bucket *b, const char **str, apr_size_t *len,
                                 apr_read_type_e block)
{
    (void)b;
    (void)block;
    *str = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t end_of_write = {
    "HB_END_OF_WRITE", 5, APR_BUCKET_METADATA,
    apr_bucket_destroy_noop, read_nothing, apr_bucket_setaside_noop, apr_bucket_split_notimpl,
    apr_bucket_simple_copy
};

apr_bucket *rt_end_of_write(apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &end_of_write;
    b->length = 0;
    b->start = 0;
    b->data = NULL;
    return b;
}

static int send_on(rt_link_t *link, const char *bytes, apr_size_t len)
{
    conn_rec *c = link->c;
    apr_status_t rv;

    APR_BRIGADE_INSERT_TAIL(link->out, apr_bucket_transient_create(bytes, len,
                                                                   c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(link->out, rt_end_of_write(c->bucket_alloc));
    rv = ap_pass_brigade(c->output_filters, link->out);
    apr_brigade_cleanup(link->out);
    return rv == APR_SUCCESS && !c->aborted;
}

int rt_output_flush(rt_link_t *link)
{
    conn_rec *c = link->c;
    ap_filter_t *core = c->output_filters;
    apr_status_t rv;

    if (!c->data_in_output_filters) {
        return c->aborted ? -1 : 1;
    }
    /* As the MPM does it: the last filter writes what it kept. */
    while (core->next != NULL) {
        core = core->next;
    }
    rv = core->frec->filter_func.out_func(core, NULL);
    if (rv != APR_SUCCESS || c->aborted) {
        return -1;
    }
    return !c->data_in_output_filters;
}

/* A close frame, where one frame has ended and no other begun. */
static rt_pump_e close_with(rt_link_t *link)
{
    unsigned char frame[4];

    rt_frames_close(frame, link->close_code);
    send_on(link, (char *)frame, sizeof(frame));
    return end(link, RT_END_STOPPING);
}

static rt_pump_e to_client(rt_link_t *link, char *space)
{
    int i, flushed;

    for (i = 0; i < ROUNDS; i++) {
        apr_size_t room = RT_CHUNK_BYTES;
        ssize_t n;

        flushed = rt_output_flush(link);
        if (flushed < 0) {
            return end(link, RT_END_CLIENT);
        }
        if (!flushed) {
            link->client_out = 0;
            return RT_PUMP_WAIT;
        }
        if (link->is_closing) {
            room = rt_frames_room(&link->frames, RT_CHUNK_BYTES);
            if (room == 0) {
                return close_with(link);
            }
        }
        if (link->sidecar_eof) {
            return end(link, link->client_eof ? RT_END_CLIENT : RT_END_SIDECAR);
        }
        if (!link->sidecar_in) {
            return RT_PUMP_WAIT;
        }
        n = read(link->fd, space, room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            link->sidecar_in = 0;
            return RT_PUMP_WAIT;
        }
        if (n <= 0) {
            link->sidecar_eof = 1;
            continue;
        }
        rt_frames_pass(&link->frames, space, (apr_size_t)n);
        if (!send_on(link, space, (apr_size_t)n)) {
            return end(link, RT_END_CLIENT);
        }
        /* Less than was asked for: it is empty, and what comes next is an event. */
        if ((apr_size_t)n < room && !link->sidecar_gone) {
            link->sidecar_in = 0;
        }
    }
    return RT_PUMP_MORE;
}

/* --- to the sidecar --- */

static int is_nothing_yet(apr_status_t rv)
{
    return APR_STATUS_IS_EAGAIN(rv) || APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_EINTR(rv);
}

/*
 * After a key update TLS reads a record and gives nothing, although the next one is here
 * already: the socket would never say so. The last filter knows.
 */
static int has_more(rt_link_t *link)
{
    ap_filter_t *core = link->c->input_filters;
    apr_off_t len = 0;
    apr_status_t rv;

    while (core->next != NULL) {
        core = core->next;
    }
    rv = ap_get_brigade(core, link->in, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
    if (rv == APR_SUCCESS) {
        apr_brigade_length(link->in, 0, &len);
    }
    apr_brigade_cleanup(link->in);
    return len > 0;
}

static int keep_aside(rt_link_t *link, const struct iovec *parts, int n, apr_size_t skip)
{
    apr_size_t len = 0;
    int i;

    for (i = 0; i < n; i++) {
        len += parts[i].iov_len;
    }
    link->aside = malloc(len - skip);
    if (link->aside == NULL) {
        return 0;
    }
    link->aside_at = 0;
    link->aside_len = 0;
    for (i = 0; i < n; i++) {
        if (skip >= parts[i].iov_len) {
            skip -= parts[i].iov_len;
            continue;
        }
        memcpy(link->aside + link->aside_len, (char *)parts[i].iov_base + skip,
               parts[i].iov_len - skip);
        link->aside_len += (unsigned int)(parts[i].iov_len - skip);
        skip = 0;
    }
    return 1;
}

/* 1 when it took all, 0 when it has to be asked again, -1 when it is gone. */
static int send_aside(rt_link_t *link)
{
    while (link->aside_at < link->aside_len) {
        ssize_t n = send(link->fd, link->aside + link->aside_at,
                         link->aside_len - link->aside_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            link->sidecar_out = 0;
            return 0;
        }
        if (n < 0) {
            return -1;
        }
        link->aside_at += (unsigned int)n;
    }
    free(link->aside);
    link->aside = NULL;
    return 1;
}

#define PARTS_MAX 32

/* What the filters gave, to the sidecar; what it does not take is kept. */
static int send_brigade(rt_link_t *link, apr_size_t *had)
{
    struct iovec parts[PARTS_MAX];
    struct msghdr message = { .msg_iov = parts };
    apr_size_t total = 0;
    apr_bucket *b;
    int n = 0, is_good = 1;
    ssize_t sent;

    for (b = APR_BRIGADE_FIRST(link->in); b != APR_BRIGADE_SENTINEL(link->in);
         b = APR_BUCKET_NEXT(b)) {
        const char *bytes;
        apr_size_t len;

        if (APR_BUCKET_IS_METADATA(b)
            || apr_bucket_read(b, &bytes, &len, APR_NONBLOCK_READ) != APR_SUCCESS || len == 0) {
            continue;
        }
        if (n == PARTS_MAX) {
            return 0;           /* READBYTES gives a bucket or a few */
        }
        parts[n].iov_base = (char *)bytes;
        parts[n++].iov_len = len;
        total += len;
    }
    *had = total;
    if (n == 0) {
        return 1;
    }
    message.msg_iovlen = (size_t)n;
    do {
        sent = sendmsg(link->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        return 0;
    }
    if (sent < (ssize_t)total) {
        is_good = keep_aside(link, parts, n, sent > 0 ? (apr_size_t)sent : 0);
        link->sidecar_out = 0;
    }
    return is_good;
}

static rt_pump_e client_ended(rt_link_t *link)
{
    link->client_in = 0;
    link->client_eof = 1;
    if (link->aside == NULL) {
        shutdown(link->fd, SHUT_WR);    /* the other direction may go on */
    }
    return RT_PUMP_WAIT;
}

typedef enum between_e { NOTHING, TLS, SOMETHING } between_e;

/* What keeps bytes between us and the socket. mod_logio only counts them. */
static between_e is_between(const conn_rec *c)
{
    between_e between = NOTHING;
    const ap_filter_t *f;

    for (f = c->input_filters; f->next != NULL; f = f->next) {
        if (strcasecmp(f->frec->name, "SSL/TLS Filter") == 0) {
            between = TLS;
        }
        else if (strcasecmp(f->frec->name, "LOG_INPUT_OUTPUT") != 0) {
            return SOMETHING;
        }
    }
    return between;
}

/* Is there nothing behind these few bytes? Without TLS one short read has emptied the socket. With
 * it a record has come to its end; the next one may be here as well. */
static int is_last(rt_link_t *link, between_e between, apr_size_t had)
{
    if (had >= SHORT_READ || !link->has_emptied || link->client_gone) {
        return 0;
    }
    return between == NOTHING || (between == TLS && !has_more(link));
}

static rt_pump_e from_client(rt_link_t *link)
{
    between_e between = is_between(link->c);
    int i, was_empty = 0;
    apr_size_t had;

    for (i = 0; i < ROUNDS; i++) {
        apr_status_t rv;

        if (link->aside != NULL) {
            int sent = link->sidecar_out ? send_aside(link) : 0;

            if (sent < 0) {
                return end(link, RT_END_SIDECAR);
            }
            if (sent == 0) {
                return RT_PUMP_WAIT;
            }
            if (link->client_eof) {
                shutdown(link->fd, SHUT_WR);
            }
        }
        if (link->client_eof || !link->client_in) {
            return RT_PUMP_WAIT;
        }
        rv = ap_get_brigade(link->c->input_filters, link->in, AP_MODE_READBYTES,
                            APR_NONBLOCK_READ, RT_CHUNK_BYTES);
        if (rv == APR_SUCCESS) {
            int is_good = send_brigade(link, &had);

            apr_brigade_cleanup(link->in);
            if (!is_good) {
                return end(link, RT_END_SIDECAR);
            }
            if (had > 0 && is_last(link, between, had)) {
                link->client_in = 0;
                return RT_PUMP_WAIT;
            }
            if (had > 0) {
                was_empty = 0;
                continue;
            }
        }
        else {
            apr_brigade_cleanup(link->in);
        }
        if (rv == APR_SUCCESS || is_nothing_yet(rv)) {
            /* Nothing means "not now", and means the end the first time: the next read says. */
            if (link->client_gone && !was_empty) {
                was_empty = 1;
                continue;
            }
            if (between != NOTHING && has_more(link)) {
                continue;
            }
            link->has_emptied = 1;
            link->client_in = 0;
            return RT_PUMP_WAIT;
        }
        if (APR_STATUS_IS_EOF(rv)) {
            return client_ended(link);
        }
        return end(link, RT_END_CLIENT);
    }
    return RT_PUMP_MORE;
}

/* --- both --- */

rt_pump_e rt_tunnel_start(rt_link_t *link)
{
    link->state = RT_TUNNEL;
    rt_frames_pass(&link->frames, link->head + link->head_end, link->head_len - link->head_end);
    link->has_sent_head = 1;
    return send_on(link, link->head, link->head_len) ? RT_PUMP_WAIT
                                                     : end(link, RT_END_CLIENT);
}

rt_pump_e rt_tunnel_pump(rt_link_t *link, char *space)
{
    rt_pump_e in, out;

    out = to_client(link, space);
    if (out == RT_PUMP_END) {
        return out;
    }
    in = link->is_closing ? RT_PUMP_WAIT : from_client(link);
    if (in == RT_PUMP_END) {
        return in;
    }
    return in == RT_PUMP_MORE || out == RT_PUMP_MORE ? RT_PUMP_MORE : RT_PUMP_WAIT;
}

void rt_tunnel_close(rt_link_t *link, int code)
{
    if (!link->is_closing) {
        free(link->aside);      /* the client will come back and say it again */
        link->aside = NULL;
        link->close_code = (unsigned short)code;
        link->is_closing = 1;
    }
}
