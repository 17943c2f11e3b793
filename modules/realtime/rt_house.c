/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of the house, its hubs and its peers. A peer lives as long as its socket or a task that
 * was begun for it; a task that comes back to a peer without socket only tidies up.
 */
#include "rt_house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_settings.h"
#include "hb_time.h"
#include "hb_token.h"
#include "rt_memory.h"
#include "rt_path.h"

#define RECOVER_FILE "realtime-connections"
#define TASKS_WAITING_MAX 20000
#define TICK_MSEC 100
#define FULL_SAID_MSEC 60000
#define ENDING_USEC apr_time_from_sec(3)

apr_time_t rt_house_now(const rt_house_t *house)
{
    return house->site->clock(house->site->baton);
}

int rt_house_may_say(apr_uint64_t *said_msec, const rt_hub_t *hub)
{
    apr_uint64_t now = rt_loop_now(hub->loop) + 1;
    apr_uint64_t said = __atomic_load_n(said_msec, __ATOMIC_RELAXED);

    return (said == 0 || now >= said + FULL_SAID_MSEC)
        && __atomic_compare_exchange_n(said_msec, &said, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

apr_size_t rt_replay_max(const rt_house_t *house)
{
    return (apr_size_t)house->site->settings->realtime_queue / 2;
}

const char *rt_room_name_of(const char *kind, const char *id, apr_pool_t *pool)
{
    return apr_pstrcat(pool, kind, ":", id, NULL);
}

/* --- the house --- */

static void assume_viewers(void *baton, const rt_kept_t *kept)
{
    rt_house_t *house = baton;
    apr_uint32_t i;

    for (i = 0; i < kept->n_rooms; i++) {
        rt_viewers_assume(house->viewers, kept->rooms[i].stream_id, kept->user_id);
        rt_viewers_cut(house->viewers, kept->rooms[i].stream_id, kept->user_id,
                       (apr_uint64_t)(hb_limit_now() / 1000));
    }
}

static apr_status_t open_recover(rt_house_t *house, apr_pool_t *pool)
{
    const hb_settings_t *settings = house->site->settings;
    const char *path = apr_pstrcat(pool, settings->state_dir, "/" RECOVER_FILE, NULL);
    hb_bus_stats_t stats;
    apr_status_t rv;

    if (hb_bus_stats(&stats, house->site) == APR_SUCCESS) {
        memcpy(house->epoch, stats.epoch, sizeof(house->epoch));
    }
    rv = rt_recover_open(&house->recover, path, house->epoch,
                         (apr_uint32_t)settings->realtime_remembered, settings->realtime_recovery,
                         hb_limit_now(), pool);
    if (rv != APR_SUCCESS) {
        hb_log_to(&house->site->log, HB_LOG_ERR, rv, HBLOGNO(06200) "%s cannot be used; "
                  "connections will not be recovered after a restart", path);
        rv = rt_recover_open(&house->recover, NULL, house->epoch,
                             (apr_uint32_t)settings->realtime_remembered, settings->realtime_recovery,
                             hb_limit_now(), pool);
    }
    return rv;
}

apr_status_t rt_house_make(rt_house_t **house, hb_site_t *site, apr_pool_t *pool)
{
    const hb_settings_t *settings = site->settings;
    rt_house_t *made = apr_pcalloc(pool, sizeof(*made));
    apr_status_t rv;

    made->site = site;
    made->pool = pool;
    rv = open_recover(made, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rt_work_threads((int)settings->realtime_threads);
    made->viewers = rt_viewers_make((apr_uint64_t)apr_time_as_msec(settings->realtime_viewer_grace));
    made->history = rt_history_make((int)settings->realtime_history,
                                    (apr_size_t)settings->realtime_history_size);
    made->by_user = rt_tally_make((int)settings->realtime_per_user);
    made->sockets = apr_pcalloc(pool, sizeof(*made->sockets)
                                * (apr_size_t)settings->realtime_remembered);
    rt_recover_each(made->recover, assume_viewers, made);
    made->node = rt_node_make(site, made->viewers, pool);
    *house = made;
    return APR_SUCCESS;
}

void rt_house_configure(rt_house_t *house)
{
    const hb_settings_t *settings = house->site->settings;

    rt_tally_set_max(house->by_user, (int)settings->realtime_per_user);
    rt_recover_set_keep(house->recover, settings->realtime_recovery);
    rt_viewers_set_grace(house->viewers,
                         (apr_uint64_t)apr_time_as_msec(settings->realtime_viewer_grace));
    rt_history_set_max(house->history, (int)settings->realtime_history,
                       (apr_size_t)settings->realtime_history_size);
}

void rt_house_free(rt_house_t *house)
{
    rt_viewers_free(house->viewers);
    rt_history_free(house->history);
    rt_tally_free(house->by_user);
}

/* --- hubs --- */

static void expire_peer(rt_due_entry_t *entry)
{
    rt_peer_end((rt_peer_t *)((char *)entry - offsetof(rt_peer_t, due)), RT_GONE_SIGNED_OUT);
}

/* It was told to go and has not gone. */
static void end_session(rt_due_entry_t *entry)
{
    rt_guest_t *guest = (rt_guest_t *)((char *)entry - offsetof(rt_guest_t, ending));

    if (guest->n_peers == 0) {
        rt_session_close(guest->session, RT_GONE_SERVER_LEFT);
    }
}

static void loop_start(void *app, rt_loop_t *loop)
{
    rt_house_t *house = app;
    rt_hub_t *hub = rt_need(sizeof(*hub));

    hub->house = house;
    hub->loop = loop;
    if (apr_pool_create_unmanaged(&hub->pool) != APR_SUCCESS
        || apr_pool_create_unmanaged(&hub->scratch) != APR_SUCCESS) {
        abort();
    }
    hub->rooms = rt_rooms_make(hub->pool);
    rt_rooms_on_gone(hub->rooms, rt_beat_free);
    hub->works = rt_works_make(rt_loop_uv(loop), house->site, TASKS_WAITING_MAX);
    hub->due = rt_due_make(rt_house_now(house));
    hub->endings = rt_due_make(hb_limit_now());
    hub->strangers = rt_due_make(hb_limit_now());
    rt_loop_set_data(loop, hub);
    rt_reader_start(hub);
}

static void free_hub(void *baton)
{
    rt_hub_t *hub = baton;

    while (hub->n_beating > 0) {
        rt_room_release(hub->beating[--hub->n_beating]);
    }
    free(hub->beating);
    rt_rooms_free(hub->rooms);
    rt_works_free(hub->works);
    rt_due_free(hub->due);
    rt_due_free(hub->endings);
    rt_due_free(hub->strangers);
    apr_pool_destroy(hub->scratch);
    apr_pool_destroy(hub->pool);
    rt_loop_set_data(hub->loop, NULL);
    free(hub);
}

static void feed_has_stopped(rt_hub_t *hub)
{
    rt_works_when_idle(hub->works, free_hub, hub);
}

/* Sockets are gone; the loop goes on until threads have come back, because they use the hub. */
static void loop_stop(void *app, rt_loop_t *loop)
{
    (void)app;
    rt_reader_stop(rt_loop_data(loop), feed_has_stopped);
}

typedef struct settle_t {
    rt_task_t task;
    rt_house_t *house;
    const char *stream_id;
} settle_t;

static void settle_run(rt_task_t *task)
{
    settle_t *settle = (settle_t *)task;

    task->rv = rt_viewers_settle(settle->house->viewers, task->op, settle->stream_id);
}

static void settle_done(rt_task_t *task)
{
    if (task->rv != APR_SUCCESS && task->rv != HB_E_STREAM_UNKNOWN) {
        /* It is tried again while the store is away. */
        hb_log(task->op, hb_error_row(task->rv)->class == HB_CLASS_UNAVAILABLE ? HB_LOG_INFO
               : HB_LOG_WARNING, task->rv, HBLOGNO(06201) "a viewer who left is still counted in "
               "stream %s", ((settle_t *)task)->stream_id);
    }
}

static void viewer_is_gone(void *baton, const char *stream_id, const char *user_id)
{
    rt_hub_t *hub = baton;
    settle_t *settle = rt_task_make_always(hub->works, sizeof(*settle));

    settle->task.run = settle_run;
    settle->task.done = settle_done;
    settle->task.op->actor.user_id = apr_pstrdup(settle->task.op->pool, user_id);
    settle->house = hub->house;
    settle->stream_id = apr_pstrdup(settle->task.op->pool, stream_id);
    rt_task_start(&settle->task, NULL);
}

static void tick(void *app, rt_loop_t *loop)
{
    rt_hub_t *hub = rt_loop_data(loop);
    apr_uint64_t now = rt_loop_now(loop);

    (void)app;
    if (hub == NULL) {
        return;                 /* the loop is ending */
    }
    rt_reader_read(hub);
    rt_feed_beat(hub);
    if (now >= hub->second_at) {
        hub->second_at = now + 1000;
        rt_due_run(hub->due, rt_house_now(hub->house), expire_peer);
        rt_due_run(hub->endings, hb_limit_now(), end_session);
        rt_due_run(hub->strangers, hb_limit_now(), expire_peer);
        if (rt_loop_index(loop) == 0) {
            rt_viewers_due(hub->house->viewers, (apr_uint64_t)(hb_limit_now() / 1000),
                           viewer_is_gone, hub);
            rt_node_tick(hub->house->node, hub->works);
            rt_status_tell(&hub->house->told, rt_loop_engine(loop), hub->house->site->metrics);
        }
    }
}

/* --- sessions --- */

static rt_door_e door(void *app, const rt_head_t *head)
{
    (void)app;
    return rt_path_door(rt_head_path(head));
}

static const char *bearer(const char *field)
{
    return field != NULL && strncasecmp(field, "Bearer ", 7) == 0 ? field + 7 : NULL;
}

static char *text_or_null(const char *text)
{
    return text != NULL ? rt_need_text(text) : NULL;
}

static const char *open_session(void *app, rt_session_t *session, const rt_head_t *head)
{
    rt_house_t *house = app;
    rt_guest_t *guest;
    apr_pool_t *pool;
    const char *token;

    guest = rt_need(sizeof(*guest));
    guest->house = house;
    guest->session = session;
    guest->address = rt_need_text(rt_head_address(head));
    guest->request_id = rt_need_text(rt_head_request_id(head));
    guest->agent = text_or_null(rt_head_field(head, "user-agent"));
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        abort();
    }
    token = bearer(rt_head_field(head, "authorization"));
    if (token == NULL) {
        token = rt_head_cookie(head, HB_TOKEN_COOKIE, pool);
    }
    guest->token = text_or_null(token);
    if (rt_session_door(session) == RT_DOOR_STREAM) {
        guest->stream_id = text_or_null(rt_path_stream(rt_head_path(head), pool));
        guest->last_id = text_or_null(rt_head_field(head, "last-event-id"));
        if (guest->last_id == NULL) {
            guest->last_id = text_or_null(rt_head_query(head, "lastEventId", pool));
        }
    }
    apr_pool_destroy(pool);
    rt_session_set_data(session, guest);
    return NULL;
}

static void close_session(void *app, rt_session_t *session, rt_reason_e reason)
{
    rt_guest_t *guest = rt_session_data(session);

    (void)app;
    (void)reason;
    if (guest == NULL) {
        return;
    }
    rt_due_clear(&guest->ending);
    free(guest->address);
    free(guest->request_id);
    free(guest->agent);
    free(guest->token);
    free(guest->stream_id);
    free(guest->last_id);
    free(guest);
}

/* --- peers --- */

rt_hub_t *rt_hub_of(const rt_socket_t *socket)
{
    return rt_loop_data(rt_socket_loop(socket));
}

rt_peer_t *rt_peer_make(rt_hub_t *hub, rt_socket_t *socket)
{
    rt_peer_t *peer = rt_need(sizeof(*peer));
    rt_guest_t *guest = rt_session_data(rt_socket_session(socket));

    guest->n_peers++;
    peer->hub = hub;
    peer->socket = socket;
    peer->holds = 1;
    peer->place = -1;
    peer->door = rt_session_door(rt_socket_session(socket));
    rt_socket_set_data(socket, peer);
    return peer;
}

void rt_peer_hold(rt_peer_t *peer)
{
    peer->holds++;
}

void rt_peer_wish_free(rt_peer_t *peer)
{
    if (peer->wish != NULL) {
        free(peer->wish->pid);
        free(peer->wish->offset);
        free(peer->wish);
        peer->wish = NULL;
    }
}

void rt_peer_release(rt_peer_t *peer)
{
    if (--peer->holds == 0) {
        rt_due_clear(&peer->due);
        rt_peer_wish_free(peer);
        rt_blocks_free(peer->blocks);
        free(peer->token);
        free(peer->watches);
        free(peer);
    }
}

void rt_peer_over(rt_peer_t *peer)
{
    rt_guest_t *guest = rt_session_data(rt_socket_session(peer->socket));

    guest->n_peers--;
    rt_due_clear(&peer->due);
    peer->state = RT_PEER_OVER;
    peer->socket = NULL;
    rt_peer_release(peer);
}

void rt_peer_mark(hb_op_t *op, const rt_peer_t *peer)
{
    const rt_guest_t *guest;

    if (peer->socket == NULL) {
        return;
    }
    guest = rt_session_data(rt_socket_session(peer->socket));
    if (guest != NULL) {
        op->address = apr_pstrdup(op->pool, guest->address);
        op->user_agent = guest->agent != NULL ? apr_pstrdup(op->pool, guest->agent) : NULL;
    }
}

/* --- what a peer watches --- */

rt_kept_room_t *rt_peer_watch(const rt_peer_t *peer, const char *stream_id)
{
    int i;

    for (i = 0; i < peer->n_watches; i++) {
        if (strcmp(peer->watches[i].stream_id, stream_id) == 0) {
            return &peer->watches[i];
        }
    }
    return NULL;
}

static void remember(rt_peer_t *peer)
{
    if (peer->place >= 0) {
        rt_recover_rooms(peer->hub->house->recover, peer->place, peer->watches,
                         peer->n_watches);
    }
}

void rt_peer_watch_add(rt_peer_t *peer, const char *stream_id, apr_uint64_t since)
{
    rt_kept_room_t *watch;

    peer->watches = rt_need_more(peer->watches,
                                 sizeof(*watch) * ((apr_size_t)peer->n_watches + 1));
    watch = &peer->watches[peer->n_watches++];
    memset(watch, 0, sizeof(*watch));
    apr_cpystrn(watch->stream_id, stream_id, sizeof(watch->stream_id));
    watch->since = since;
    remember(peer);
}

void rt_peer_watch_remove(rt_peer_t *peer, rt_kept_room_t *watch)
{
    *watch = peer->watches[--peer->n_watches];
    remember(peer);
}

/* --- the end of a peer --- */

static void say_why(rt_peer_t *peer, int code, const char *text)
{
    char payload[160];
    rt_frame_t *frame;
    int n = snprintf(payload, sizeof(payload), "{\"code\":%d,\"reason\":\"%s\"}", code, text);

    frame = rt_news_frame_of(HB_EV_CONNECTION_CLOSING, payload, (apr_size_t)n,
                             RT_FORM_PLAIN | RT_FORM_STREAM);
    rt_emit(peer->socket, frame, RT_LANE_MONEY);
    rt_frame_release(frame);
}

static int code_of(rt_reason_e reason)
{
    static const int codes[] = {
#define RT_REASON(symbol, code, text, sentence) [RT_GONE_##symbol] = code,
#include "rt_reason.def"
#undef RT_REASON
    };

    return codes[reason];
}

void rt_peer_end(rt_peer_t *peer, rt_reason_e reason)
{
    rt_session_t *session;
    rt_guest_t *guest;
    rt_hub_t *hub = peer->hub;

    if (peer->socket == NULL) {
        return;
    }
    session = rt_socket_session(peer->socket);
    guest = rt_session_data(session);
    if (peer->state == RT_PEER_IN) {
        say_why(peer, code_of(reason), rt_reason_text(reason));
    }
    if (peer->door != RT_DOOR_SOCKET_IO || reason == RT_GONE_FLOOD) {
        rt_session_close(session, reason);
        return;
    }
    /* It goes by itself when it has read that, maybe over a transport it is just changing to. */
    rt_kick(peer->socket, reason);
    rt_due_set(hub->endings, &guest->ending, hb_limit_now() + ENDING_USEC);
}

/* May this connection be taken up again? Not when one of us meant it to end. */
static int is_cut(rt_reason_e reason)
{
    switch (reason) {
    case RT_GONE_CLIENT_LEFT:
    case RT_GONE_SERVER_LEFT:
    case RT_GONE_SIGNED_OUT:
    case RT_GONE_BANNED:
    case RT_GONE_ROOM_ENDED:
    case RT_GONE_FLOOD:
        return 0;
    default:
        return 1;
    }
}

static void leave_streams(rt_peer_t *peer, rt_reason_e reason)
{
    rt_hub_t *hub = peer->hub;
    int i;

    for (i = 0; i < peer->n_watches; i++) {
        const char *stream_id = peer->watches[i].stream_id;

        if (is_cut(reason)) {
            rt_viewers_cut(hub->house->viewers, stream_id, peer->user_id,
                           (apr_uint64_t)(hb_limit_now() / 1000));
        }
        else if (rt_viewers_drop(hub->house->viewers, stream_id, peer->user_id)) {
            viewer_is_gone(hub, stream_id, peer->user_id);
        }
    }
}

static void gone(void *app, rt_socket_t *socket, rt_reason_e reason)
{
    rt_peer_t *peer = rt_socket_data(socket);
    rt_house_t *house = app;

    if (peer == NULL) {
        return;
    }
    if (peer->state == RT_PEER_IN) {
        rt_room_leave_all(&peer->member);
        leave_streams(peer, reason);
        rt_tally_give(house->by_user, peer->user_id);
        peer->hub->n_plain -= peer->door == RT_DOOR_PLAIN;
        peer->hub->n_stream -= peer->door == RT_DOOR_STREAM;
    }
    if (peer->place >= 0) {
        __atomic_store_n(&house->sockets[peer->place], 0, __ATOMIC_RELAXED);
        if (is_cut(reason)) {
            rt_recover_cut(house->recover, peer->place, hb_limit_now());
        } else {
            rt_recover_remove(house->recover, peer->place);
        }
        peer->place = -1;
    }
    rt_peer_over(peer);
}

/* --- coming and asking --- */

static void connect_socket(void *app, rt_socket_t *socket, rt_bytes_t auth)
{
    (void)app;
    rt_enter_begin(rt_peer_make(rt_hub_of(socket), socket), auth);
}

static void event(void *app, rt_socket_t *socket, const rt_event_t *event)
{
    rt_peer_t *peer = rt_socket_data(socket);

    (void)app;
    if (peer == NULL) {
        return;
    }
    if (peer->door == RT_DOOR_PLAIN) {
        rt_plain_message(peer, event);
    }
    else if (peer->state == RT_PEER_IN && !event->name_is_number) {
        rt_call(peer, event->name.at, event->name.len, event->args, event->wants_ack,
                event->ack_id);
    }
}

const rt_app_t rt_house_app = {
    .name = "rooms",
    .loop_start = loop_start,
    .loop_stop = loop_stop,
    .tick = tick,
    .tick_msec = TICK_MSEC,
    .door = door,
    .open = open_session,
    .close = close_session,
    .connect = connect_socket,
    .event = event,
    .gone = gone,
};
