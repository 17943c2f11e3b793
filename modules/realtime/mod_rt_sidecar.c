/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting to the sidecar: connect, send the request, read the head of the answer; each step as
 * far as it goes without waiting. A sidecar that is just starting has no socket yet, and one to
 * which thousands come back at once has no room in its queue: both are a matter of a moment,
 * so whoever drives the link tries again.
 */
#include "mod_rt.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_config.h>

APLOG_USE_MODULE(halobuzz_realtime);

static rt_step_e connect_step(rt_link_t *link)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (link->fd < 0) {
        link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (link->fd < 0) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, errno, link->r, HBLOGNO(06509)
                          "no descriptor for a connection to the sidecar");
            return RT_STEP_FAILED;
        }
    }
    apr_cpystrn(address.sun_path, rt_socket_path, sizeof(address.sun_path));
    if (connect(link->fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        link->state = RT_SEND;
        return RT_STEP_DONE;
    }
    switch (errno) {
    case EAGAIN: case EINTR: case ENOENT: case ECONNREFUSED:
        return RT_STEP_LATER;
    default:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, errno, link->r, HBLOGNO(06510)
                      "cannot connect to the sidecar at %s", rt_socket_path);
        return RT_STEP_FAILED;
    }
}

static rt_step_e send_step(rt_link_t *link)
{
    while (link->send_len > 0) {
        ssize_t n = send(link->fd, link->send, link->send_len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return RT_STEP_WRITE;
        }
        if (n < 0) {
            break;              /* it may have answered before it closed: read that */
        }
        link->send += n;
        link->send_len -= (apr_size_t)n;
    }
    link->state = RT_HEAD;
    return RT_STEP_DONE;
}

/* Where the head ends in what came so far; 0 when not yet. */
static apr_size_t find_end(const rt_link_t *link, apr_size_t from)
{
    const char *end;

    from = from > 3 ? from - 3 : 0;
    end = memmem(link->head + from, link->head_len - from, "\r\n\r\n", 4);
    return end != NULL ? (apr_size_t)(end - link->head) + 4 : 0;
}

static rt_step_e head_step(rt_link_t *link)
{
    if (link->head == NULL) {
        link->head = apr_palloc(link->r->pool, RT_HEAD_MAX);
    }
    while (link->head_len < RT_HEAD_MAX) {
        ssize_t n = read(link->fd, link->head + link->head_len, RT_HEAD_MAX - link->head_len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return RT_STEP_READ;
        }
        if (n <= 0) {
            break;
        }
        link->head_len += (apr_size_t)n;
        link->head_end = find_end(link, link->head_len - (apr_size_t)n);
        if (link->head_end > 0) {
            return RT_STEP_DONE;
        }
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, link->r, HBLOGNO(06511)
                  "the sidecar gave no answer (%" APR_SIZE_T_FMT " bytes came)",
                  link->head_len);
    return RT_STEP_FAILED;
}

rt_step_e rt_sidecar_step(rt_link_t *link)
{
    rt_step_e step = RT_STEP_DONE;

    if (link->state == RT_CONNECT) {
        step = connect_step(link);
    }
    if (step == RT_STEP_DONE && link->state == RT_SEND) {
        step = send_step(link);
    }
    if (step == RT_STEP_DONE && link->state == RT_HEAD) {
        step = head_step(link);
    }
    return step;
}

void rt_sidecar_close(rt_link_t *link)
{
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
}
