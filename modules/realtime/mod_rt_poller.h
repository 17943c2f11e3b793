/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_rt_poller.h
 * What mod_rt_poller.c (who gives turns, and when) and mod_rt_turn.c (what a link does in its turn)
 * share. All of it is called by the thread of the poller that owns the link; none of it waits.
 */
#ifndef MOD_RT_POLLER_H
#define MOD_RT_POLLER_H

#include "mod_rt.h"

/** How long the MPM's thread may still write into a connection that it has let go. */
#define RT_LET_GO apr_time_from_sec(2)

/** In the order of their times, so that looking for the next one ends soon. */
enum {
    RT_T_RETRY, RT_T_CLOSING, RT_T_DRAIN, RT_T_GRAVE, RT_T_HANDSHAKE, RT_T_IDLE, RT_TIMERS
};

struct rt_poller_t {
    int epoll, wake;
    rt_link_t *inbound;         /* a stack; taken whole */
    rt_timer_t timers[RT_TIMERS];
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

/** Start one of its poller's timers, in place of the one that runs. @param which  RT_T_... */
void rt_link_arm(rt_link_t *link, int which);
void rt_link_disarm(rt_link_t *link);
/** It has something to do: its turn comes after the next look at the sockets. */
void rt_link_give_turn(rt_link_t *link);
void rt_link_take_turn(rt_link_t *link);
/** Its turn: go on as far as it goes without waiting. The link may have ended by it. */
void rt_link_turn(rt_link_t *link);

/** Have epoll tell of the client's and of the sidecar's socket. 0 when it cannot. */
int rt_link_watch_client(rt_link_t *link);
int rt_link_watch_sidecar(rt_link_t *link);

/** End it: its request goes to the log, and what the client still sends is read for a while. */
void rt_link_finish(rt_link_t *link, rt_end_e why);
/** Close the client's socket, too. */
void rt_link_close(rt_link_t *link);
/** Bury one that is closed, now or when the MPM has let go of it. */
void rt_link_settle(rt_link_t *link);
/** Free what was buried; call when no event at hand can point there. */
void rt_poller_free_buried(rt_poller_t *poller);

/** Give memory of links that are quiet back, once a second. */
void rt_poller_make_lean(rt_poller_t *poller);

#endif /* MOD_RT_POLLER_H */
