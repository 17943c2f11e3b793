/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On a request thread: waiting for the sidecar's answer, and giving it to the client. On the event
 * MPM that is for a few milliseconds, which nearly all answers take less than (and then the
 * client's connection stays open for its next request); elsewhere it is as long as it takes.
 */
#include "mod_rt.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "hb_clock.h"

APLOG_USE_MODULE(halobuzz_realtime);

#define RETRY_MSEC 50
#define SLICE_MSEC 1000         /* between two looks at whether this child is to end */
#define BODY_WAIT apr_time_from_sec(5)

/*
 * Wait for the sidecar, and for the client to go. Its own pipelined requests are no reason to
 * wake, and an HTTP/2 stream has no socket to look at.
 * @return 1 ready, 0 not in this time, -1 the client is gone
 */
static int wait_for(rt_link_t *link, short events, apr_interval_time_t wait)
{
    struct pollfd fds[2] = { { link->fd, events, 0 }, { link->client_fd, POLLRDHUP, 0 } };
    int msec = (int)apr_time_as_msec(wait);
    int n;

    if (msec == 0 && wait > 0) {
        msec = 1;
    }
    n = poll(fds, link->client_fd >= 0 ? 2 : 1, msec < SLICE_MSEC ? msec : SLICE_MSEC);
    if (n > 0 && link->client_fd >= 0 && fds[1].revents != 0) {
        return -1;
    }
    return n > 0 && fds[0].revents != 0;
}

rt_step_e rt_wait_here(rt_link_t *link, apr_interval_time_t wait)
{
    apr_time_t until = hb_clock() + wait;
    apr_time_t connected_by = hb_clock() + apr_time_from_sec(3);

    for (;;) {
        rt_step_e step = rt_sidecar_step(link);
        apr_time_t now = hb_clock();
        int found;

        if (step == RT_STEP_DONE || step == RT_STEP_FAILED || now >= until) {
            return step;
        }
        if (step == RT_STEP_LATER) {
            /* A poller would try again without holding a thread. */
            if (!link->is_sync || now >= connected_by) {
                return step;
            }
            apr_sleep(apr_time_from_msec(RETRY_MSEC));
            continue;
        }
        found = wait_for(link, step == RT_STEP_WRITE ? POLLOUT : POLLIN, until - now);
        if (found < 0) {
            link->c->aborted = 1;
            return RT_STEP_FAILED;
        }
    }
}

/* The next bytes of the body. -1: there will be none, or not in time. */
static ssize_t read_body(rt_link_t *link, char *space, apr_size_t room, apr_interval_time_t wait)
{
    apr_time_t until = hb_clock() + wait;

    for (;;) {
        ssize_t n = read(link->fd, space, room);
        apr_time_t now;

        if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return n;
        }
        now = hb_clock();
        if (now >= until || wait_for(link, POLLIN, until - now) < 0
            || (link->body_left < 0 && rt_is_stopping())) {
            return -1;
        }
    }
}

int rt_reply_here(rt_link_t *link, apr_interval_time_t idle)
{
    request_rec *r = link->r;
    apr_bucket_brigade *out = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_interval_time_t wait = link->body_left < 0 ? idle : BODY_WAIT;
    const char *bytes = link->head + link->head_end;
    ssize_t n = (ssize_t)(link->head_len - link->head_end);
    char *space = NULL;

    for (;;) {
        apr_status_t rv;

        if (link->body_left >= 0) {
            n = n < link->body_left ? n : (ssize_t)link->body_left;
            link->body_left -= n;
        }
        if (n > 0) {
            APR_BRIGADE_INSERT_TAIL(out, apr_bucket_transient_create(
                                        bytes, (apr_size_t)n, out->bucket_alloc));
        }
        if (link->body_left == 0) {
            break;
        }
        if (link->body_left < 0) {
            APR_BRIGADE_INSERT_TAIL(out, apr_bucket_flush_create(out->bucket_alloc));
        }
        rv = ap_pass_brigade(r->output_filters, out);
        apr_brigade_cleanup(out);
        if (rv != APR_SUCCESS || r->connection->aborted) {
            return OK;
        }
        space = space != NULL ? space : apr_palloc(r->pool, RT_CHUNK_BYTES);
        n = read_body(link, space, RT_CHUNK_BYTES, wait);
        bytes = space;
        if (n <= 0) {
            if (link->body_left > 0) {
                r->connection->aborted = 1;     /* so that the client sees that it is not all */
                r->connection->keepalive = AP_CONN_CLOSE;
            }
            break;
        }
    }
    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_eos_create(out->bucket_alloc));
    ap_pass_brigade(r->output_filters, out);
    return OK;
}
