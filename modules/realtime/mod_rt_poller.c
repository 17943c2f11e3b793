/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for links. On the event MPM a connection whose request is suspended is nobody's: a few
 * threads of ours own thousands of them, each thread with an epoll set. What they do never
 * waits (sockets without waiting, filters that are given little at a time).
 *
 * Two things about the MPM have to be respected, and there is no call for either. After it has let
 * a connection go (suspend hook), its thread still writes two words into memory of the
 * connection's pool; so that pool is not destroyed before LET_GO has passed. And when it is
 * destroyed the state has to be SUSPENDED, or the MPM's counts of connections go wrong.
 */
#include "mod_rt.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ap_mpm.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_request.h>
#include <scoreboard.h>
#include <util_filter.h>

#include "hb_clock.h"

APLOG_USE_MODULE(halobuzz_realtime);

#define POLLERS_MAX 4
#define CORES_A_POLLER 4
#define EVENTS 256

#define LET_GO         apr_time_from_sec(2)
#define CONNECT_WAIT   apr_time_from_sec(5)
#define HANDSHAKE_WAIT apr_time_from_sec(10)
#define RETRY_WAIT     apr_time_from_msec(50)
#define CLOSING_WAIT   apr_time_from_sec(1)
#define DRAIN_WAIT     apr_time_from_sec(2)
#define STOP_WAIT      apr_time_from_msec(1500)
#define GRACE_TICK     apr_time_from_msec(100)
#define LEAN_AFTER     apr_time_from_sec(1)

/* What the allocator of a busy connection may keep, and the least it hands out. */
#define KEPT_BYTES 32768
#define NODE_BYTES 8192

#define CLOSE_GOING_AWAY      1001
#define CLOSE_SERVICE_RESTART 1012

enum { RUN, STOP_GRACEFUL, STOP_NOW };

/* In the order of their times, so that looking for the next one ends soon. */
enum { T_RETRY, T_CLOSING, T_DRAIN, T_GRAVE, T_HANDSHAKE, T_IDLE, TIMERS };

struct rt_poller_t {
    int epoll, wake;
    rt_link_t *inbound;         /* a stack; taken whole */
    rt_timer_t timers[TIMERS];
    struct rt_ring_t ready;     /* whose turn comes */
    struct rt_ring_t running;   /* whose turn it is */
    rt_link_t *buried;          /* to be freed when no event points there any more */
    apr_time_t now;
    apr_time_t grace_until;     /* 0 while this child goes on */
    apr_time_t grace_next;
    apr_time_t lean_next;
    int n_tunnels;
    apr_thread_t *thread;
    char space[RT_CHUNK_BYTES];
};

static rt_poller_t *pollers[POLLERS_MAX];
static int n_pollers;
static unsigned int next_poller;
static apr_interval_time_t grace;
static int stopping;            /* RUN ...; read by all threads */

int rt_is_stopping(void)
{
    static int generation = -1;
    int running = 0;

    if (__atomic_load_n(&stopping, __ATOMIC_RELAXED) != RUN) {
        return 1;
    }
    /* A prefork child that serves a request is told nothing; so look. */
    if (ap_mpm_query(AP_MPMQ_GENERATION, &running) != APR_SUCCESS) {
        return 0;
    }
    if (generation < 0) {
        generation = running;
    }
    return ap_exists_scoreboard_image()
        && ap_scoreboard_image->global->running_generation != generation;
}

/* --- timers and turns --- */

static void disarm(rt_link_t *link)
{
    if (link->timer != NULL) {
        APR_RING_REMOVE(link, waiting);
        link->timer = NULL;
    }
}

static void arm(rt_link_t *link, int which)
{
    rt_timer_t *timer = &link->poller->timers[which];

    disarm(link);
    link->timer = timer;
    link->touched_at = link->poller->now;
    APR_RING_INSERT_TAIL(&timer->links, link, rt_link_t, waiting);
}

static void give_turn(rt_link_t *link)
{
    if (!link->is_ready) {
        link->is_ready = 1;
        APR_RING_INSERT_TAIL(&link->poller->ready, link, rt_link_t, turn);
    }
}

static void take_turn_away(rt_link_t *link)
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
    disarm(link);
    take_turn_away(link);
    link->next = link->poller->buried;
    link->poller->buried = link;
}

static void free_buried(rt_poller_t *poller)
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
static void settle(rt_link_t *link)
{
    take_turn_away(link);
    if (link->c->sbh == NULL && link->poller->now - link->handed_at >= LET_GO) {
        bury(link);
    }
    else {
        arm(link, T_GRAVE);
    }
}

static void close_client(rt_link_t *link)
{
    apr_socket_close(link->socket);
    link->client_fd = -1;
    link->state = RT_DEAD;
    settle(link);
}

static void finish(rt_link_t *link, rt_end_e why)
{
    if (link->state == RT_TUNNEL) {
        link->poller->n_tunnels--;
    }
    link->end = (unsigned char)why;
    rt_sidecar_close(link);
    free(link->aside);
    link->aside = NULL;
    disarm(link);
    take_turn_away(link);
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
        close_client(link);
        return;
    }
    link->state = RT_DRAIN;
    arm(link, T_DRAIN);
    link->client_in = 1;
    give_turn(link);
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
                close_client(link);
            }
            return;
        }
    }
    give_turn(link);
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
static void make_quiet_lean(rt_poller_t *poller)
{
    struct rt_ring_t *links = &poller->timers[T_IDLE].links;
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

static int watch_client(rt_link_t *link)
{
    return watch(link->poller, EPOLL_CTL_ADD, link->client_fd, link, 0, EPOLLOUT);
}

/* A unix socket says that it can be written each time its peer has read, so it is only asked
 * while something waits for that. */
static int watch_sidecar(rt_link_t *link)
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
            arm(link, T_IDLE);
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
    arm(link, T_IDLE);
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
        if (before == RT_CONNECT && !watch_sidecar(link)) {
            return rt_reply_failed(link);
        }
        link->sidecar_in = link->sidecar_out = 1;
        return start_answer(link);
    case RT_STEP_LATER:
        if (poller->now - link->begun_at > CONNECT_WAIT) {
            return rt_reply_failed(link);
        }
        arm(link, T_RETRY);
        return RT_PUMP_WAIT;
    case RT_STEP_FAILED:
        return rt_reply_failed(link);
    default:
        if (before == RT_CONNECT) {
            if (!watch_sidecar(link)) {
                return rt_reply_failed(link);
            }
            arm(link, link->is_upgrade ? T_HANDSHAKE : T_IDLE);
        }
        return RT_PUMP_WAIT;
    }
}

static rt_pump_e flush(rt_link_t *link)
{
    int flushed = rt_output_flush(link);

    return flushed == 0 ? RT_PUMP_WAIT : RT_PUMP_END;
}

static void turn(rt_link_t *link)
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
            arm(link, T_IDLE);
        }
        pump = rt_tunnel_pump(link, link->poller->space);
        break;
    case RT_REPLY:
        arm(link, T_IDLE);
        pump = rt_reply_pump(link, link->poller->space);
        break;
    case RT_FLUSH:
        arm(link, T_IDLE);
        pump = flush(link);
        break;
    case RT_DRAIN:
        drain(link);
        break;
    case RT_DEAD:
        break;
    }
    if (pump == RT_PUMP_END) {
        finish(link, (rt_end_e)link->end);
        return;
    }
    if (pump == RT_PUMP_MORE) {
        give_turn(link);
    }
    adjust_watch(link);
}

/* --- what wakes links --- */

static void happen(const struct epoll_event *event)
{
    rt_link_t *link = (rt_link_t *)(apr_uintptr_t)(event->data.u64 & ~(apr_uint64_t)1);
    int is_over = (event->events & (EPOLLHUP | EPOLLERR)) != 0;

    if (link->state == RT_DEAD) {
        return;
    }
    if ((event->data.u64 & 1) != 0) {
        link->sidecar_in |= (event->events & (EPOLLIN | EPOLLRDHUP)) != 0 || is_over;
        link->sidecar_out |= (event->events & EPOLLOUT) != 0 || is_over;
        link->sidecar_gone |= (event->events & EPOLLRDHUP) != 0 || is_over;
    }
    else {
        link->client_in |= (event->events & (EPOLLIN | EPOLLRDHUP)) != 0 || is_over;
        link->client_out |= (event->events & EPOLLOUT) != 0 || is_over;
        link->client_gone |= (event->events & EPOLLRDHUP) != 0 || is_over;
    }
    give_turn(link);
}

static void expire(rt_link_t *link, int which)
{
    switch (which) {
    case T_RETRY:
        disarm(link);
        give_turn(link);
        break;
    case T_DRAIN:
        close_client(link);
        break;
    case T_GRAVE:
        settle(link);
        break;
    case T_CLOSING:
        finish(link, RT_END_STOPPING);
        break;
    default:
        if (link->state == RT_TUNNEL || link->state == RT_REPLY || link->state == RT_FLUSH) {
            finish(link, RT_END_IDLE);
        }
        else if (rt_reply_failed(link) == RT_PUMP_END) {
            finish(link, RT_END_FAILED);
        }
        else {
            arm(link, T_IDLE);
            give_turn(link);    /* the refusal is on its way */
        }
    }
}

/* Milliseconds to the next one. */
static int run_timers(rt_poller_t *poller)
{
    apr_interval_time_t wait = apr_time_from_sec(1);
    int i;

    for (i = 0; i < TIMERS; i++) {
        rt_timer_t *timer = &poller->timers[i];

        while (!APR_RING_EMPTY(&timer->links, rt_link_t, waiting)) {
            rt_link_t *link = APR_RING_FIRST(&timer->links);
            apr_interval_time_t left = link->touched_at + timer->after - poller->now;

            if (left > 0) {
                wait = left < wait ? left : wait;
                break;
            }
            expire(link, i);
        }
    }
    if (poller->grace_until != 0 && poller->n_tunnels > 0 && wait > GRACE_TICK) {
        wait = GRACE_TICK;
    }
    return (int)(wait / 1000) + 1;
}

static void run_turns(rt_poller_t *poller)
{
    /* Who gets a new turn meanwhile has it after the next look at the sockets. */
    APR_RING_CONCAT(&poller->running, &poller->ready, rt_link_t, turn);
    while (!APR_RING_EMPTY(&poller->running, rt_link_t, turn)) {
        rt_link_t *link = APR_RING_FIRST(&poller->running);

        take_turn_away(link);
        turn(link);
    }
}

static void attach(rt_poller_t *poller, rt_link_t *link)
{
    conn_rec *c = link->c;

    link->poller = poller;
    link->begun_at = poller->now;
    apr_socket_timeout_set(link->socket, 0);
    apr_socket_opt_set(link->socket, APR_INCOMPLETE_READ, 0);
    link->in = apr_brigade_create(c->pool, c->bucket_alloc);
    link->out = apr_brigade_create(c->pool, c->bucket_alloc);
    link->client_in = link->client_out = link->sidecar_in = link->sidecar_out = 1;
    link->is_lean = !link->is_sync;
    if (link->state == RT_TUNNEL) {
        poller->n_tunnels++;
    }
    if (!watch_client(link) || (link->state != RT_CONNECT && !watch_sidecar(link))) {
        finish(link, RT_END_FAILED);
        return;
    }
    arm(link, link->state < RT_TUNNEL && link->is_upgrade ? T_HANDSHAKE : T_IDLE);
    give_turn(link);
}

static void attach_inbound(rt_poller_t *poller)
{
    rt_link_t *link = __atomic_exchange_n(&poller->inbound, NULL, __ATOMIC_ACQUIRE);

    while (link != NULL) {
        rt_link_t *next = link->next;

        attach(poller, link);
        link = next;
    }
}

/* --- the end of a child --- */

/* Tell the first n tunnels, or all when n is negative, that they are to come back elsewhere. */
static void close_some(rt_poller_t *poller, int n, int code)
{
    struct rt_ring_t *links = &poller->timers[T_IDLE].links;
    rt_link_t *link = APR_RING_FIRST(links);

    while (n != 0 && link != APR_RING_SENTINEL(links, rt_link_t, waiting)) {
        rt_link_t *next = APR_RING_NEXT(link, waiting);

        if (link->state == RT_TUNNEL) {
            rt_tunnel_close(link, code);
            arm(link, T_CLOSING);
            give_turn(link);
            n--;
        }
        else if (link->state == RT_REPLY && link->body_left < 0) {
            if (rt_reply_close(link) == RT_PUMP_END) {
                finish(link, RT_END_STOPPING);
            }
            else {
                give_turn(link);
            }
        }
        link = next;
    }
}

/* Evenly over the grace time, so that those who come back do not come all at once. */
static void be_graceful(rt_poller_t *poller)
{
    apr_interval_time_t left;

    if (poller->grace_until == 0) {
        poller->grace_until = poller->now + grace;
    }
    if (poller->now < poller->grace_next) {
        return;
    }
    poller->grace_next = poller->now + GRACE_TICK;
    left = poller->grace_until - poller->now;
    close_some(poller, left < GRACE_TICK ? -1
               : (int)((poller->n_tunnels * GRACE_TICK + left - 1) / left),
               CLOSE_SERVICE_RESTART);
}

static void look_at_sockets(rt_poller_t *poller, int msec)
{
    struct epoll_event events[EVENTS];
    int i, n;

    n = epoll_wait(poller->epoll, events, EVENTS,
                   APR_RING_EMPTY(&poller->ready, rt_link_t, turn) ? msec : 0);
    poller->now = hb_clock();
    for (i = 0; i < n; i++) {
        if (events[i].data.u64 == 0) {
            eventfd_t ignored;

            eventfd_read(poller->wake, &ignored);
            continue;
        }
        happen(&events[i]);
    }
}

static void loop(rt_poller_t *poller)
{
    apr_time_t stop_by = 0;

    for (;;) {
        int msec, stop;

        attach_inbound(poller);
        msec = run_timers(poller);
        make_quiet_lean(poller);
        free_buried(poller);
        look_at_sockets(poller, msec);
        stop = __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
        if (stop == STOP_GRACEFUL) {
            be_graceful(poller);
        }
        if (stop == STOP_NOW && stop_by == 0) {
            attach_inbound(poller);
            close_some(poller, -1, CLOSE_GOING_AWAY);
            stop_by = poller->now + STOP_WAIT;
        }
        run_turns(poller);
        if (stop_by != 0 && (poller->n_tunnels == 0 || poller->now >= stop_by)) {
            break;              /* the process ends, and with it what is left */
        }
    }
}

static rt_poller_t *poller_make(apr_interval_time_t idle)
{
    rt_poller_t *poller = calloc(1, sizeof(*poller));
    struct epoll_event event = { .events = EPOLLIN };
    int i;

    if (poller == NULL) {
        return NULL;
    }
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->epoll < 0 || poller->wake < 0
        || epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event) != 0) {
        int e = errno;

        close(poller->epoll);
        close(poller->wake);
        free(poller);
        errno = e;
        return NULL;
    }
    for (i = 0; i < TIMERS; i++) {
        APR_RING_INIT(&poller->timers[i].links, rt_link_t, waiting);
    }
    APR_RING_INIT(&poller->ready, rt_link_t, turn);
    APR_RING_INIT(&poller->running, rt_link_t, turn);
    poller->timers[T_RETRY].after = RETRY_WAIT;
    poller->timers[T_CLOSING].after = CLOSING_WAIT;
    poller->timers[T_DRAIN].after = DRAIN_WAIT;
    poller->timers[T_GRAVE].after = LET_GO;
    poller->timers[T_HANDSHAKE].after = HANDSHAKE_WAIT;
    poller->timers[T_IDLE].after = idle;
    poller->now = hb_clock();
    return poller;
}

/* --- for request threads and the main thread --- */

static void *APR_THREAD_FUNC thread_main(apr_thread_t *thread, void *data)
{
    loop(data);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static apr_status_t end_pollers(void *ignored)
{
    apr_status_t rv;
    int i;

    (void)ignored;
    rt_pollers_stop(0);
    for (i = 0; i < n_pollers; i++) {
        apr_thread_join(&rv, pollers[i]->thread);
    }
    return APR_SUCCESS;
}

apr_status_t rt_pollers_start(apr_pool_t *pchild, server_rec *s, const hb_settings_t *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t all, before;
    apr_status_t rv = APR_SUCCESS;
    int i, n;

    grace = settings->realtime_grace;
    stopping = RUN;
    n = cores > CORES_A_POLLER ? (int)(cores / CORES_A_POLLER) : 1;
    n = n < POLLERS_MAX ? n : POLLERS_MAX;
    /* The MPM's signals are for its own thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        pollers[i] = poller_make(rt_limits_idle(settings));
        rv = pollers[i] == NULL ? errno
            : apr_thread_create(&pollers[i]->thread, NULL, thread_main, pollers[i], pchild);
        if (rv == APR_SUCCESS) {
            n_pollers = i + 1;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (n_pollers > 0) {
        apr_pool_pre_cleanup_register(pchild, NULL, end_pollers);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, HBLOGNO(06507)
                     "a thread that holds sockets could not be started");
    }
    return n_pollers > 0 ? APR_SUCCESS : rv;
}

void rt_pollers_stop(int is_graceful)
{
    int i;

    if (is_graceful && __atomic_load_n(&stopping, __ATOMIC_RELAXED) != RUN) {
        return;
    }
    __atomic_store_n(&stopping, is_graceful ? STOP_GRACEFUL : STOP_NOW, __ATOMIC_RELEASE);
    for (i = 0; i < n_pollers; i++) {
        eventfd_write(pollers[i]->wake, 1);
    }
}

void rt_poller_take(rt_link_t *link)
{
    rt_poller_t *poller = pollers[__atomic_fetch_add(&next_poller, 1, __ATOMIC_RELAXED)
                                  % (unsigned int)n_pollers];

    link->handed_at = hb_clock();
    link->next = __atomic_load_n(&poller->inbound, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&poller->inbound, &link->next, link, 0,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        continue;
    }
    eventfd_write(poller->wake, 1);
}

void rt_poller_run_here(rt_link_t *link, const hb_settings_t *settings)
{
    rt_poller_t *poller = poller_make(rt_limits_idle(settings));
    apr_time_t close_at = 0;

    if (poller == NULL) {
        rt_sidecar_close(link);
        return;
    }
    attach(poller, link);
    while (link->state != RT_DEAD) {
        look_at_sockets(poller, run_timers(poller));
        if (close_at == 0 && rt_is_stopping()) {
            /* Each at a time of its own, as those of a poller. */
            close_at = poller->now + (apr_interval_time_t)((apr_uintptr_t)link / 64 % 1000)
                * settings->realtime_grace / 1000;
        }
        if (close_at != 0 && poller->now >= close_at && link->state != RT_DEAD
            && !link->is_closing) {
            close_some(poller, -1, CLOSE_SERVICE_RESTART);
        }
        run_turns(poller);
    }
    apr_socket_timeout_set(link->socket, link->c->base_server->timeout);
    close(poller->epoll);
    close(poller->wake);
    free(poller);
}
