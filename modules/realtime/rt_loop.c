/* SPDX-License-Identifier: Apache-2.0 */
/* A loop: its turns, its clock, what others post to it, its end. */
#include "rt_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "rt_memory.h"
#include "rt_session.h"

/* How long peers have to take what is left when the program ends. */
#define STOP_MSEC 2000

/* Load is what a loop does of this much time; below the low mark nothing waits for company, from
 * the high mark on batch_msec. */
#define LOAD_WINDOW_NSEC 20000000u
#define LOAD_LOW 50
#define LOAD_HIGH 85

struct rt_posted_t {
    rt_posted_t *next;
    void (*fn)(rt_loop_t *loop, void *baton);
    void *baton;
};

/* Ids */

static const char id_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void rt_loop_new_id(rt_loop_t *loop, char out[21])
{
    const unsigned char *bytes;
    int i;

    if (loop->random_left < RT_SID_BYTES) {
        if (getrandom(loop->random, sizeof(loop->random), 0) != sizeof(loop->random)) {
            abort();
        }
        loop->random_left = (int)sizeof(loop->random);
    }
    loop->random_left -= RT_SID_BYTES;
    bytes = loop->random + loop->random_left;
    out[0] = id_alphabet[loop->index];
    for (i = 1; i < RT_SID_BYTES; i++) {
        out[i] = id_alphabet[bytes[i] & 63];
    }
    out[RT_SID_BYTES] = '\0';
}

int rt_sid_loop(const char *sid)
{
    const char *at = sid[0] != '\0' ? strchr(id_alphabet, sid[0]) : NULL;

    return at != NULL ? (int)(at - id_alphabet) : -1;
}

/* Posting */

void rt_post(rt_loop_t *loop, void (*fn)(rt_loop_t *loop, void *baton), void *baton)
{
    rt_posted_t *posted = rt_need(sizeof(*posted));
    int is_over;

    posted->fn = fn;
    posted->baton = baton;
    pthread_mutex_lock(&loop->lock);
    if (loop->posted_last != NULL) {
        loop->posted_last->next = posted;
    }
    else {
        loop->posted_first = posted;
    }
    loop->posted_last = posted;
    is_over = loop->is_over;
    if (!is_over) {
        uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&loop->lock);
}

static void run_posted(rt_loop_t *loop)
{
    rt_posted_t *posted, *next;

    pthread_mutex_lock(&loop->lock);
    posted = loop->posted_first;
    loop->posted_first = loop->posted_last = NULL;
    pthread_mutex_unlock(&loop->lock);
    for (; posted != NULL; posted = next) {
        next = posted->next;
        posted->fn(loop, posted->baton);
        free(posted);
    }
}

static void on_wake(uv_async_t *wake)
{
    run_posted(wake->data);
}

/* Turns */

/* How many milliseconds frames may wait for company now. */
static uint64_t batch_nsec(rt_loop_t *loop, uint64_t now_nsec)
{
    uint64_t elapsed = now_nsec - loop->load_from_nsec, idle;

    if (elapsed >= LOAD_WINDOW_NSEC) {
        idle = uv_metrics_idle_time(&loop->uv);
        loop->load = idle - loop->load_idle_nsec >= elapsed ? 0
                     : (int)(100 - (idle - loop->load_idle_nsec) * 100 / elapsed);
        loop->load_from_nsec = now_nsec;
        loop->load_idle_nsec = idle;
    }
    if (loop->load <= LOAD_LOW) {
        return 0;
    }
    return (uint64_t)rt_config(loop)->batch_msec * 1000000u
           * (uint64_t)((loop->load < LOAD_HIGH ? loop->load : LOAD_HIGH) - LOAD_LOW)
           / (LOAD_HIGH - LOAD_LOW);
}

static void flush_all(rt_loop_t *loop)
{
    rt_session_t *session = loop->dirty;

    loop->dirty = NULL;
    while (session != NULL) {
        rt_session_t *next = session->dirty_next;

        session->is_dirty = 0;
        rt_session_flush(session);
        if (session->life != RT_OPEN) {
            rt_session_ended(session);
        }
        session = next;
    }
}

static void on_batch(uv_timer_t *timer)
{
    /* The turn that follows sends. */
    (void)timer;
}

/* Send what was queued, unless more is to be waited for. */
static void send_queued(rt_loop_t *loop)
{
    uint64_t now, wait;

    if (loop->dirty == NULL) {
        return;
    }
    now = uv_hrtime();
    wait = loop->is_stopping ? 0 : batch_nsec(loop, now);
    if (wait > 0 && now - loop->flushed_nsec < wait) {
        if (!uv_is_active((uv_handle_t *)&loop->batch)) {
            uv_timer_start(&loop->batch, on_batch,
                           (wait - (now - loop->flushed_nsec)) / 1000000u + 1, 0);
        }
        return;
    }
    flush_all(loop);
    loop->flushed_nsec = uv_hrtime();
}

static void on_clock(uv_timer_t *timer)
{
    rt_loop_t *loop = timer->data;

    /* The turn that follows looks at the rings. */
    loop->clock_at = 0;
}

static void set_clock(rt_loop_t *loop)
{
    uint64_t at = loop->is_stopping == 1 ? loop->stop_msec : UINT64_MAX;
    int i;

    for (i = 0; i < RT_RINGS; i++) {
        uint64_t next = rt_ring_next(&loop->rings[i]);

        if (next < at) {
            at = next;
        }
    }
    if (at != loop->clock_at && at != UINT64_MAX) {
        uint64_t now = rt_now(loop);

        loop->clock_at = at;
        uv_timer_start(&loop->clock, on_clock, at > now ? at - now : 0, 0);
    }
}

static void close_handles(rt_loop_t *loop);

static void on_turn(uv_prepare_t *turn)
{
    rt_loop_t *loop = turn->data;
    uint64_t now = rt_now(loop);
    int i;

    for (i = 0; i < RT_RINGS; i++) {
        rt_ring_run(&loop->rings[i], now);
    }
    send_queued(loop);
    if (loop->ended != NULL) {
        rt_session_reap(loop);
    }
    /* Those that were cut have a close frame to send, those that were let in may have been answered. */
    if (loop->dirty != NULL && !uv_is_active((uv_handle_t *)&loop->batch)) {
        uv_timer_start(&loop->batch, on_batch, 0, 0);
    }
    rt_socket_reap(loop);
    set_clock(loop);
    if (loop->is_stopping == 1 && (loop->conns == NULL || now >= loop->stop_msec)) {
        close_handles(loop);
    }
}

static void on_tick(uv_timer_t *timer)
{
    rt_loop_t *loop = timer->data;

    loop->engine->app->tick(loop->engine->app_data, loop);
}

/* Beginning and end */

void rt_loop_configure(rt_loop_t *loop)
{
    const rt_config_t *config = rt_config(loop);
    rt_ring_t *rings = loop->rings;

    rings[RT_RING_PING].wait_msec = config->ping_interval_msec;
    rings[RT_RING_PONG].wait_msec = config->ping_timeout_msec;
    rings[RT_RING_PLAIN_PING].wait_msec = config->plain_ping_msec;
    rings[RT_RING_PLAIN_PONG].wait_msec = config->plain_pong_msec;
    rings[RT_RING_JOIN].wait_msec = config->join_timeout_msec;
    rings[RT_RING_CLOSE].wait_msec = config->close_timeout_msec;
    rings[RT_RING_HEAD].wait_msec = config->head_timeout_msec;
    rings[RT_RING_IDLE].wait_msec = config->idle_timeout_msec;
    rings[RT_RING_UPGRADE].wait_msec = config->upgrade_timeout_msec;
    rings[RT_RING_STALL].wait_msec = config->stall_timeout_msec;
    rings[RT_RING_LINGER].wait_msec = config->linger_msec;
}

void rt_loop_init(rt_loop_t *loop, rt_engine_t *engine, int index)
{
    static void (*const fns[RT_RINGS])(rt_alarm_t *) = {
        [RT_RING_PING] = rt_session_ping_due, [RT_RING_PONG] = rt_session_pong_late,
        [RT_RING_PLAIN_PING] = rt_session_ping_due,
        [RT_RING_PLAIN_PONG] = rt_session_pong_late,
        [RT_RING_JOIN] = rt_session_other_due, [RT_RING_CLOSE] = rt_session_other_due,
        [RT_RING_HEAD] = rt_conn_timed_out, [RT_RING_IDLE] = rt_conn_timed_out,
        [RT_RING_UPGRADE] = rt_conn_timed_out, [RT_RING_STALL] = rt_conn_timed_out,
        [RT_RING_LINGER] = rt_conn_timed_out
    };
    apr_allocator_t *allocator;
    int i;

    memset(loop, 0, sizeof(*loop));
    loop->engine = engine;
    loop->index = index;
    pthread_mutex_init(&loop->lock, NULL);
    uv_loop_init(&loop->uv);
    uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    loop->uv.data = loop;
    uv_async_init(&loop->uv, &loop->wake, on_wake);
    uv_prepare_init(&loop->uv, &loop->turn);
    uv_prepare_start(&loop->turn, on_turn);
    uv_timer_init(&loop->uv, &loop->clock);
    uv_timer_init(&loop->uv, &loop->batch);
    uv_timer_init(&loop->uv, &loop->tick);
    loop->wake.data = loop->turn.data = loop->clock.data = loop->batch.data = loop->tick.data
        = loop;
    for (i = 0; i < RT_RINGS; i++) {
        rt_ring_init(&loop->rings[i], 0, fns[i]);
    }
    rt_loop_configure(loop);
    loop->read_buf = rt_need(RT_READ_BYTES);
    loop->ping = rt_frame_eio("2", 1);
    loop->ws_ping = rt_frame_ping();
    loop->comment = rt_frame_bare();
    rt_frame_set_stream(loop->comment, ":\n\n", 3);
    /* Its own allocator: another thread's pool may not be shared. */
    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop->scratch, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop->scratch);
}

void rt_loop_run(rt_loop_t *loop)
{
    const rt_app_t *app = loop->engine->app;

    if (app->loop_start != NULL) {
        app->loop_start(loop->engine->app_data, loop);
    }
    if (app->tick != NULL) {
        uv_timer_start(&loop->tick, on_tick, (uint64_t)app->tick_msec,
                       (uint64_t)app->tick_msec);
    }
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    pthread_mutex_lock(&loop->lock);
    loop->is_over = 1;
    pthread_mutex_unlock(&loop->lock);
}

void rt_loop_stop(rt_loop_t *loop)
{
    rt_session_t *session, *next;
    rt_conn_t *conn, *after;

    if (loop->is_stopping) {
        return;
    }
    loop->is_stopping = 1;
    loop->stop_msec = rt_now(loop) + STOP_MSEC;
    for (session = loop->sessions; session != NULL; session = next) {
        next = session->next;
        rt_session_end(session, RT_GONE_SHUTTING_DOWN, 0);
    }
    for (conn = loop->conns; conn != NULL; conn = after) {
        after = conn->next;
        if (conn->mode == RT_CONN_HEAD) {
            rt_conn_drain(conn);
        }
        else if (conn->mode != RT_CONN_DRAIN) {
            rt_conn_close(conn);
        }
    }
    /* The next turn comes at once. */
    uv_timer_start(&loop->batch, on_batch, 0, 0);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* The last turn: with its handles closed, uv_run() returns. */
static void close_handles(rt_loop_t *loop)
{
    const rt_app_t *app = loop->engine->app;

    loop->is_stopping = 2;
    while (loop->conns != NULL) {
        rt_conn_close(loop->conns);
    }
    flush_all(loop);
    rt_session_reap(loop);
    rt_socket_reap(loop);
    if (app->loop_stop != NULL) {
        app->loop_stop(loop->engine->app_data, loop);
    }
    pthread_mutex_lock(&loop->lock);
    loop->is_over = 1;
    close_handle((uv_handle_t *)&loop->wake);
    pthread_mutex_unlock(&loop->lock);
    close_handle((uv_handle_t *)&loop->turn);
    close_handle((uv_handle_t *)&loop->clock);
    close_handle((uv_handle_t *)&loop->batch);
    close_handle((uv_handle_t *)&loop->tick);
}

static void close_any(uv_handle_t *handle, void *baton)
{
    (void)baton;
    close_handle(handle);
}

void rt_loop_free(rt_loop_t *loop)
{
    /* What came too late still holds memory and descriptors. */
    run_posted(loop);
    /* It may never have run. */
    uv_walk(&loop->uv, close_any, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    pthread_mutex_destroy(&loop->lock);
    rt_frame_release(loop->ping);
    rt_frame_release(loop->ws_ping);
    rt_frame_release(loop->comment);
    free(loop->read_buf);
    free(loop->table);
    free(loop->slots);
    apr_pool_destroy(loop->scratch);
}

/* What applications see of it. */

rt_engine_t *rt_loop_engine(const rt_loop_t *loop)
{
    return loop->engine;
}

int rt_loop_index(const rt_loop_t *loop)
{
    return loop->index;
}

void rt_loop_limited(rt_loop_t *loop)
{
    RT_COUNT(loop, refused, 1);
}

struct uv_loop_s *rt_loop_uv(rt_loop_t *loop)
{
    return &loop->uv;
}

void *rt_loop_data(const rt_loop_t *loop)
{
    return loop->data;
}

void rt_loop_set_data(rt_loop_t *loop, void *data)
{
    loop->data = data;
}

apr_uint64_t rt_loop_now(const rt_loop_t *loop)
{
    return rt_now(loop);
}
