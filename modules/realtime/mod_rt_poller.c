/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for links. On the event MPM a connection whose request is suspended is nobody's: a few
 * threads of ours own thousands of them, each thread with an epoll set. What they do never
 * waits (sockets without waiting, filters that are given little at a time). What a link does when
 * its turn has come is mod_rt_turn.c.
 */
#include "mod_rt_poller.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ap_mpm.h>
#include <apr_portable.h>
#include <apr_thread_proc.h>
#include <scoreboard.h>

#include "hb_clock.h"

APLOG_USE_MODULE(halobuzz_realtime);

#define POLLERS_MAX 4
#define CORES_A_POLLER 4
#define EVENTS 256

#define HANDSHAKE_WAIT apr_time_from_sec(10)
#define RETRY_WAIT     apr_time_from_msec(50)
#define CLOSING_WAIT   apr_time_from_sec(1)
#define DRAIN_WAIT     apr_time_from_sec(2)
#define STOP_WAIT      apr_time_from_msec(1500)
#define GRACE_TICK     apr_time_from_msec(100)

#define CLOSE_GOING_AWAY      1001
#define CLOSE_SERVICE_RESTART 1012

enum { RUN, STOP_GRACEFUL, STOP_NOW };

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
    rt_link_give_turn(link);
}

static void expire(rt_link_t *link, int which)
{
    switch (which) {
    case RT_T_RETRY:
        rt_link_disarm(link);
        rt_link_give_turn(link);
        break;
    case RT_T_DRAIN:
        rt_link_close(link);
        break;
    case RT_T_GRAVE:
        rt_link_settle(link);
        break;
    case RT_T_CLOSING:
        rt_link_finish(link, RT_END_STOPPING);
        break;
    default:
        if (link->state == RT_TUNNEL || link->state == RT_REPLY || link->state == RT_FLUSH) {
            rt_link_finish(link, RT_END_IDLE);
        }
        else if (rt_reply_failed(link) == RT_PUMP_END) {
            rt_link_finish(link, RT_END_FAILED);
        }
        else {
            rt_link_arm(link, RT_T_IDLE);
            rt_link_give_turn(link);    /* the refusal is on its way */
        }
    }
}

/* Milliseconds to the next one. */
static int run_timers(rt_poller_t *poller)
{
    apr_interval_time_t wait = apr_time_from_sec(1);
    int i;

    for (i = 0; i < RT_TIMERS; i++) {
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

        rt_link_take_turn(link);
        rt_link_turn(link);
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
    if (!rt_link_watch_client(link)
        || (link->state != RT_CONNECT && !rt_link_watch_sidecar(link))) {
        rt_link_finish(link, RT_END_FAILED);
        return;
    }
    rt_link_arm(link, link->state < RT_TUNNEL && link->is_upgrade ? RT_T_HANDSHAKE : RT_T_IDLE);
    rt_link_give_turn(link);
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
    struct rt_ring_t *links = &poller->timers[RT_T_IDLE].links;
    rt_link_t *link = APR_RING_FIRST(links);

    while (n != 0 && link != APR_RING_SENTINEL(links, rt_link_t, waiting)) {
        rt_link_t *next = APR_RING_NEXT(link, waiting);

        if (link->state == RT_TUNNEL) {
            rt_tunnel_close(link, code);
            rt_link_arm(link, RT_T_CLOSING);
            rt_link_give_turn(link);
            n--;
        }
        else if (link->state == RT_REPLY && link->body_left < 0) {
            if (rt_reply_close(link) == RT_PUMP_END) {
                rt_link_finish(link, RT_END_STOPPING);
            }
            else {
                rt_link_give_turn(link);
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
        rt_poller_make_lean(poller);
        rt_poller_free_buried(poller);
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
    for (i = 0; i < RT_TIMERS; i++) {
        APR_RING_INIT(&poller->timers[i].links, rt_link_t, waiting);
    }
    APR_RING_INIT(&poller->ready, rt_link_t, turn);
    APR_RING_INIT(&poller->running, rt_link_t, turn);
    poller->timers[RT_T_RETRY].after = RETRY_WAIT;
    poller->timers[RT_T_CLOSING].after = CLOSING_WAIT;
    poller->timers[RT_T_DRAIN].after = DRAIN_WAIT;
    poller->timers[RT_T_GRAVE].after = RT_LET_GO;
    poller->timers[RT_T_HANDSHAKE].after = HANDSHAKE_WAIT;
    poller->timers[RT_T_IDLE].after = idle;
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
