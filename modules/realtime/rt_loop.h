/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_loop.h
 * Inside of the engine and its loops. A loop is a thread with its connections, sessions, time
 * limits and counters; loops share nothing but the engine, which does not change, the count of
 * sessions per address, and what is posted.
 *
 * A turn of a loop: time limits ring, the kernel's news are read, then everything that was
 * queued is sent, one system call for each connection. Under load the last step waits up to
 * batch_msec, so that more leaves with each call.
 */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include <pthread.h>
#include <uv.h>

#include "hb_log.h"
#include "rt_app.h"
#include "rt_clock.h"
#include "rt_config.h"

typedef struct rt_conn_t rt_conn_t;

/** Kinds of time limits; the first group is about sessions, the second about connections. */
typedef enum rt_ring_e {
    RT_RING_PING, RT_RING_PONG, RT_RING_PLAIN_PING, RT_RING_PLAIN_PONG,
    RT_RING_JOIN, RT_RING_CLOSE,
    RT_RING_HEAD, RT_RING_IDLE, RT_RING_UPGRADE, RT_RING_STALL, RT_RING_LINGER,
    RT_RINGS
} rt_ring_e;

typedef struct rt_counters_t {
#define RT_COUNTER(kind, member, sentence) uint64_t member;
#include "rt_counter.def"
#undef RT_COUNTER
    uint64_t gone[RT_REASONS];          /* sessions ended, by reason */
} rt_counters_t;

/** Counters have one writer and readers in other threads. */
#define RT_COUNT(loop, member, n) \
    __atomic_store_n(&(loop)->counters.member, (loop)->counters.member + (uint64_t)(n), \
                     __ATOMIC_RELAXED)

typedef struct rt_posted_t rt_posted_t;

#define RT_READ_BYTES 65536
#define RT_RANDOM_BYTES 1000            /* a multiple of RT_SID_BYTES */

struct rt_loop_t {
    rt_engine_t *engine;
    int index;
    void *data;                         /* the application's */
    uv_loop_t uv;
    uv_thread_t thread;                 /* of all but the first loop */
    uv_async_t wake;
    uv_prepare_t turn;
    uv_timer_t clock;                   /* the next of all rings */
    uv_timer_t batch;                   /* the next sending under load */
    uv_timer_t tick;
    uint64_t clock_at;                  /* what clock is set to */
    rt_ring_t rings[RT_RINGS];

    pthread_mutex_t lock;               /* of the three below */
    rt_posted_t *posted_first, *posted_last;
    int is_over;                        /* the thread has ended: nothing runs here any more */

    rt_conn_t *conns;
    rt_session_t **table;               /* by sid, chained */
    uint32_t table_size;
    uint32_t n_sessions;
    rt_session_t *sessions;             /* of doors without sid too */
    rt_session_t *dirty;                /* have something to send */
    rt_session_t *ended;                /* the application is not told yet */
    rt_socket_t *gone;                  /* of this turn: still memory */
    struct rt_slot_t *slots;            /* sockets by number */
    uint32_t n_slots, free_slot;
    uint64_t flushed_nsec;              /* when everything queued was sent */
    uint64_t load_from_nsec, load_idle_nsec;
    int load;                           /* percent of its time it was busy lately */
    int is_stopping;                    /* 1: peers are told; 2: its handles are closed */
    uint64_t stop_msec;

    char *read_buf;                     /* RT_READ_BYTES */
    apr_pool_t *scratch;                /* cleared before a request */
    int n_reading;                      /* requests that are being read: one may lead to another */
    unsigned char random[RT_RANDOM_BYTES];
    int random_left;
    rt_frame_t *ping, *ws_ping, *comment;   /* the same for everybody */
    rt_counters_t counters;
};

struct rt_listener_t;

struct rt_engine_t {
    const rt_app_t *app;
    void *app_data;
    const rt_config_t *config;          /* replaced by a reload, never freed */
    hb_log_t log;
    apr_pool_t *pool;
    rt_loop_t *loops;
    int n_loops;
    int next_loop;                      /* of the next connection */
    struct rt_listener_t *listener;
    int n_connections;                  /* of all loops; atomic */
    struct rt_addresses_t *addresses;
    uint64_t started_msec;
};

static inline uint64_t rt_now(const rt_loop_t *loop)
{
    return uv_now(&loop->uv);
}

static inline const rt_config_t *rt_config(const rt_loop_t *loop)
{
    return __atomic_load_n(&loop->engine->config, __ATOMIC_ACQUIRE);
}

/* Loops, for rt_engine.c. */
void rt_loop_init(rt_loop_t *loop, rt_engine_t *engine, int index);
void rt_loop_run(rt_loop_t *loop);          /* until rt_loop_stop() */
/** Close everything politely, then end the loop. Its own thread; by rt_post() from others. */
void rt_loop_stop(rt_loop_t *loop);
void rt_loop_free(rt_loop_t *loop);
/** Waits of the rings, after a reload too. */
void rt_loop_configure(rt_loop_t *loop);

/** 20 characters of base64url; the first names the loop. out has room for 21 bytes. */
void rt_loop_new_id(rt_loop_t *loop, char out[21]);

/** How long such ids are, and the loop that made one (-1: no loop of ours). */
#define RT_SID_BYTES 20
int rt_sid_loop(const char *sid);

/* Sessions per address, by what hb_limit_address_key() counts of it; any thread. */
struct rt_addresses_t *rt_addresses_make(apr_pool_t *pool);
/** @return 0 when max are there already (0: any number) */
int rt_address_enter(struct rt_addresses_t *addresses, const char *address, int max);
void rt_address_leave(struct rt_addresses_t *addresses, const char *address);

#endif /* RT_LOOP_H */
