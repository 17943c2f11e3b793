/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a link does in its turn on a poller, from getting to the sidecar to its end, and what of it
 * is given back while it is quiet. Who gives turns is mod_rt_poller.c.
 *
 * Two things about the MPM have to be respected, and there is no call for either. After it has let
 * a connection go (suspend hook), its thread still writes two words into memory of the
 * connection's pool; so that pool is not destroyed before RT_LET_GO has passed. And when it is
 * destroyed the state has to be SUSPENDED, or the MPM's counts of connections go wrong.
 */
#include "mod_rt_poller.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include <http_connection.h>
#include <http_request.h>
#include <util_filter.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define CONNECT_WAIT   apr_time_from_sec(5)
#define LEAN_AFTER     apr_time_from_sec(1)

/* What the allocator of a busy connection may keep, and the least it hands out. */
#define KEPT_BYTES 32768
#define NODE_BYTES 8192

/* --- timers and turns --- */

void rt_link_disarm(rt_link_t *link)
{
    if (link->timer != NULL) {
        APR_RING_REMOVE(link, waiting);
        link->timer = NULL;
    }
}

void rt_link_arm(rt_link_t *link, int which)
{
    rt_timer_t *timer = &link->poller->timers[which];

    rt_link_disarm(link);
    link->timer = timer;
    link->touched_at = link->poller->now;
    APR_RING_INSERT_TAIL(&timer->links, link, rt_link_t, waiting);
}

void rt_link_give_turn(rt_link_t *link)
{
    if (!link->is_ready) {
        link->is_ready = 1;
        APR_RING_INSERT_TAIL(&link->poller->ready, link, rt_link_t, turn);
    }
}

void rt_link_take_turn(rt_link_t *link)
{
    if (link->is_ready) {
        link->is_ready = 0;
        APR_RING_REMOVE(link, turn);
    }
}

/* --- the end of a link --- */

void rt_link_log(rt_link_t *link)
{
    conn_rec *c = link->c;
    request_rec *r = link->r;
    apr_bucket_brigade *bb;

    if (r == NULL || link->is_sync) {
        return;                 /* a request thread sees to it */
    }
    link->r = NULL;
    link->send = NULL;
    link->head = NULL;
    bb = link->out != NULL ? link->out : apr_brigade_create(c->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_eor_create(c->bucket_alloc, r));
    ap_pass_brigade(c->output_filters, bb);
    apr_brigade_cleanup(bb);
}

static void bury(rt_link_t *link)
{
    rt_link_disarm(link);
    rt_link_take_turn(link);
    link->next = link->poller->buried;
    link->poller->buried = link;
}

void rt_poller_free_buried(rt_poller_t *poller)
{
    while (poller->buried != NULL) {
        rt_link_t *link = poller->buried;

        poller->buried = link->next;
        link->c->cs->state = CONN_STATE_SUSPENDED;
        apr_pool_destroy(link->c->pool);
        free(link);
    }
}

/* The pool goes when the MPM's thread has let go of it for certain. */
void rt_link_settle(rt_link_t *link)
{
    rt_link_take_turn(link);
    if (link->c->sbh == NULL && link->poller->now - link->handed_at >= RT_LET_GO) {
        bury(link);
    }
    else {
        rt_link_arm(link, RT_T_GRAVE);
    }
}

void rt_link_close(rt_link_t *link)
{
    apr_socket_close(link->socket);
    link->client_fd = -1;
    link->state = RT_DEAD;
    rt_link_settle(link);
}

void rt_link_finish(rt_link_t *link, rt_end_e why)
{
    if (link->state == RT_TUNNEL) {
        link->poller->n_tunnels--;
    }
    link->end = (unsigned char)why;
    rt_sidecar_close(link);
    free(link->aside);
    link->aside = NULL;
    rt_link_disarm(link);
    rt_link_take_turn(link);
    rt_count_release(link);
    if (link->is_sync) {
        link->state = RT_DEAD;
        return;
    }
    if (link->r != NULL && !link->has_sent_head) {
        link->c->aborted = 1;   /* nothing was said, and nothing can be */
    }
    rt_link_log(link);
    link->c->keepalive = AP_CONN_CLOSE;
    if (ap_start_lingering_close(link->c)) {
        rt_link_close(link);
        return;
    }
    link->state = RT_DRAIN;
    rt_link_arm(link, RT_T_DRAIN);
    link->client_in = 1;
    rt_link_give_turn(link);
}

/* What the client still sends is read, so that what we sent last is not lost. */
static void drain(rt_link_t *link)
{
    int i;

    for (i = 0; i < 8; i++) {
        apr_size_t n = RT_CHUNK_BYTES;
        apr_status_t rv = apr_socket_recv(link->socket, link->poller->space, &n);

        if (rv != APR_SUCCESS || n == 0) {
            if (!APR_STATUS_IS_EAGAIN(rv) && !APR_STATUS_IS_TIMEUP(rv)) {
                rt_link_close(link);
            }
            return;
        }
    }
    rt_link_give_turn(link);
}

/* --- memory --- */

/*
 * Reading from a connection takes a buffer each time, which its allocator keeps for the next:
 * 8 KB or more for each of thousands that say a word a minute. Giving it back at once would
 * cost a busy one two system calls a message. So it is given back when it is quiet.
 */
static void make_lean(rt_link_t *link)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(link->c->pool);
    apr_memnode_t *nodes = NULL;
    int i;

    apr_allocator_max_free_set(allocator, 1);
    /* Only what is taken can be given back. */
    for (i = 0; i < KEPT_BYTES / NODE_BYTES; i++) {
        apr_memnode_t *node = apr_allocator_alloc(allocator, 1);

        if (node == NULL) {
            break;
        }
        node->next = nodes;
        nodes = node;
    }
    if (nodes != NULL) {
        apr_allocator_free(allocator, nodes);
    }
    link->is_lean = 1;
}

/* The last ones to be touched are at the end; before one that is lean, all are. */
void rt_poller_make_lean(rt_poller_t *poller)
{
    struct rt_ring_t *links = &poller->timers[RT_T_IDLE].links;
    rt_link_t *link;

    if (poller->now < poller->lean_next) {
        return;
    }
    poller->lean_next = poller->now + LEAN_AFTER;
    for (link = APR_RING_LAST(links);
         link != APR_RING_SENTINEL(links, rt_link_t, waiting) && !link->is_lean;
         link = APR_RING_PREV(link, waiting)) {
        if (poller->now - link->touched_at >= LEAN_AFTER) {
            make_lean(link);
        }
    }
}

/* --- one link's turn --- */

static int watch(rt_poller_t *poller, int how, int fd, rt_link_t *link, apr_uint64_t side,
                 apr_uint32_t out)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET | out };

    event.data.u64 = (apr_uint64_t)(apr_uintptr_t)link | side;
    return epoll_ctl(poller->epoll, how, fd, &event) == 0;
}

int rt_link_watch_client(rt_link_t *link)
{
    return watch(link->poller, EPOLL_CTL_ADD, link->client_fd, link, 0, EPOLLOUT);
}

/* A unix socket says that it can be written each time its peer has read, so it is only asked
 * while something waits for that. */
int rt_link_watch_sidecar(rt_link_t *link)
{
    link->is_watched_out = link->state == RT_SEND;
    return watch(link->poller, EPOLL_CTL_ADD, link->fd, link, 1,
                 link->is_watched_out ? EPOLLOUT : 0);
}

static void adjust_watch(rt_link_t *link)
{
    int wanted = link->state == RT_SEND || (link->state == RT_TUNNEL && link->aside != NULL);

    if (wanted != link->is_watched_out && link->fd >= 0) {
        link->is_watched_out = wanted;
        watch(link->poller, EPOLL_CTL_MOD, link->fd, link, 1, wanted ? EPOLLOUT : 0);
    }
}

static rt_pump_e start_answer(rt_link_t *link)
{
    rt_pump_e pump;

    if (!rt_answer_is_upgrade(link)) {
        pump = rt_reply_start(link);
        if (pump != RT_PUMP_END && link->state == RT_REPLY) {
            rt_link_arm(link, RT_T_IDLE);
        }
        return pump;
    }
    link->r->status = HTTP_SWITCHING_PROTOCOLS;
    pump = rt_tunnel_start(link);
    if (pump == RT_PUMP_END) {
        link->state = RT_HEAD;  /* it is not counted as a tunnel */
        return pump;
    }
    link->poller->n_tunnels++;
    rt_link_log(link);
    rt_link_arm(link, RT_T_IDLE);
    return RT_PUMP_MORE;
}

static rt_pump_e get_there(rt_link_t *link)
{
    rt_poller_t *poller = link->poller;
    rt_state_e before = link->state;

    if (link->client_gone) {
        link->end = RT_END_CLIENT;
        return RT_PUMP_END;
    }
    switch (rt_sidecar_step(link)) {
    case RT_STEP_DONE:
        if (before == RT_CONNECT && !rt_link_watch_sidecar(link)) {
            return rt_reply_failed(link);
        }
        link->sidecar_in = link->sidecar_out = 1;
        return start_answer(link);
    case RT_STEP_LATER:
        if (poller->now - link->begun_at > CONNECT_WAIT) {
            return rt_reply_failed(link);
        }
        rt_link_arm(link, RT_T_RETRY);
        return RT_PUMP_WAIT;
    case RT_STEP_FAILED:
        return rt_reply_failed(link);
    default:
        if (before == RT_CONNECT) {
            if (!rt_link_watch_sidecar(link)) {
                return rt_reply_failed(link);
            }
            rt_link_arm(link, link->is_upgrade ? RT_T_HANDSHAKE : RT_T_IDLE);
        }
        return RT_PUMP_WAIT;
    }
}

static rt_pump_e flush(rt_link_t *link)
{
    int flushed = rt_output_flush(link);

    return flushed == 0 ? RT_PUMP_WAIT : RT_PUMP_END;
}

void rt_link_turn(rt_link_t *link)
{
    rt_pump_e pump = RT_PUMP_WAIT;

    if (link->is_lean) {
        link->is_lean = 0;
        apr_allocator_max_free_set(apr_pool_allocator_get(link->c->pool), KEPT_BYTES);
    }
    switch ((rt_state_e)link->state) {
    case RT_CONNECT: case RT_SEND: case RT_HEAD:
        pump = get_there(link);
        break;
    case RT_TUNNEL:
        if (!link->is_closing) {
            rt_link_arm(link, RT_T_IDLE);
        }
        pump = rt_tunnel_pump(link, link->poller->space);
        break;
    case RT_REPLY:
        rt_link_arm(link, RT_T_IDLE);
        pump = rt_reply_pump(link, link->poller->space);
        break;
    case RT_FLUSH:
        rt_link_arm(link, RT_T_IDLE);
        pump = flush(link);
        break;
    case RT_DRAIN:
        drain(link);
        break;
    case RT_DEAD:
        break;
    }
    if (pump == RT_PUMP_END) {
        rt_link_finish(link, (rt_end_e)link->end);
        return;
    }
    if (pump == RT_PUMP_MORE) {
        rt_link_give_turn(link);
    }
    adjust_watch(link);
}
