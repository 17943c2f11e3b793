/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that came late, or never ends (a held poll, an event stream): given to the client
 * by a poller, through the filters of its request, so that headers, chunks and the log are as in
 * any answer. The connection is closed behind it: 2.4 has no way to give it back to the MPM.
 */
#include "mod_rt.h"

#include <errno.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <util_filter.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define ROUNDS 4

static rt_pump_e end(rt_link_t *link, rt_end_e why)
{
    link->end = why;
    return RT_PUMP_END;
}

/* The request has had its answer; what is left is in the filters of the connection. */
static rt_pump_e complete(rt_link_t *link)
{
    ap_finalize_request_protocol(link->r);
    rt_link_log(link);
    rt_sidecar_close(link);
    link->state = RT_FLUSH;
    link->end = RT_END_ANSWERED;
    return link->c->aborted ? RT_PUMP_END : RT_PUMP_MORE;
}

static int pass(rt_link_t *link, const char *bytes, apr_size_t len)
{
    apr_bucket_alloc_t *list = link->c->bucket_alloc;
    apr_status_t rv;

    if (link->body_left >= 0) {
        len = (apr_int64_t)len < link->body_left ? len : (apr_size_t)link->body_left;
        link->body_left -= (apr_int64_t)len;
    }
    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(link->out, apr_bucket_transient_create(bytes, len, list));
    }
    APR_BRIGADE_INSERT_TAIL(link->out, rt_end_of_write(list));
    rv = ap_pass_brigade(link->r->output_filters, link->out);
    apr_brigade_cleanup(link->out);
    link->has_sent_head = 1;
    return rv == APR_SUCCESS && !link->c->aborted;
}

rt_pump_e rt_reply_start(rt_link_t *link)
{
    if (!rt_answer_read(link)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, link->r, HBLOGNO(06508)
                      "the sidecar's answer is not in HTTP, or not as agreed");
        return rt_reply_failed(link);
    }
    link->state = RT_REPLY;
    link->c->keepalive = AP_CONN_CLOSE;
    return RT_PUMP_MORE;
}

rt_pump_e rt_reply_pump(rt_link_t *link, char *space)
{
    int i;

    if (link->client_gone && link->body_left < 0) {
        return end(link, RT_END_CLIENT);        /* else it is noticed at the next event */
    }
    if (!link->has_sent_head) {
        if (!pass(link, link->head + link->head_end, link->head_len - link->head_end)) {
            return end(link, RT_END_CLIENT);
        }
        if (link->body_left == 0) {
            return complete(link);
        }
    }
    for (i = 0; i < ROUNDS; i++) {
        apr_size_t room = RT_CHUNK_BYTES;
        int flushed = rt_output_flush(link);
        ssize_t n;

        if (flushed < 0) {
            return end(link, RT_END_CLIENT);
        }
        if (!flushed) {
            link->client_out = 0;
            return RT_PUMP_WAIT;
        }
        if (!link->sidecar_in) {
            return RT_PUMP_WAIT;
        }
        if (link->body_left >= 0 && link->body_left < (apr_int64_t)room) {
            room = (apr_size_t)link->body_left;
        }
        n = read(link->fd, space, room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            link->sidecar_in = 0;
            return RT_PUMP_WAIT;
        }
        if (n <= 0 && link->body_left >= 0) {
            link->c->aborted = 1;       /* so that the client sees that it is not all */
            return end(link, RT_END_SIDECAR);
        }
        if (n <= 0) {
            return complete(link);
        }
        if (!pass(link, space, (apr_size_t)n)) {
            return end(link, RT_END_CLIENT);
        }
        if (link->body_left == 0) {
            return complete(link);
        }
    }
    return RT_PUMP_MORE;
}

rt_pump_e rt_reply_close(rt_link_t *link)
{
    return complete(link);
}

rt_pump_e rt_reply_failed(rt_link_t *link)
{
    APR_OPTIONAL_FN_TYPE(hb_ap_op) *op_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    hb_op_t *op = op_of(link->r);

    rt_count_add(HB_M_RT_REFUSED_DOWN);
    link->c->keepalive = AP_CONN_CLOSE;
    hb_ap_reply_problem(link->r, op, hb_fail_later(op, HB_E_UNAVAILABLE, 2,
                                                   "realtime is not available just now"));
    link->has_sent_head = 1;
    return complete(link);
}
