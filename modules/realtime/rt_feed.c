/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bus to the rooms. Each loop reads the log for itself and has every room's history, so a
 * client may come back to any of them. At the start the whole log is read, which is how a
 * program that was killed goes on where it was. Loop 0 is the one that publishers wake; it
 * wakes the others.
 */
#include "rt_house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_session.h"
#include "rt_memory.h"

/* Events of one turn; clients are served in between. */
#define TURN_MAX 256

static const char *const target_kinds[] = {
    [HB_TO_STREAM] = "stream", [HB_TO_USER] = "user", [HB_TO_SESSION] = "session",
    [HB_TO_ALL] = NULL
};

unsigned int rt_hub_forms(const rt_hub_t *hub)
{
    return (hub->n_plain > 0 ? RT_FORM_PLAIN : 0) | (hub->n_stream > 0 ? RT_FORM_STREAM : 0);
}

/* --- to members --- */

typedef struct delivery_t {
    rt_frame_t *frame;
    rt_lane_e lane;
    const char *only_user;
    const char *stream_id;      /* of the room, or NULL */
    apr_uint64_t seq;           /* 0: it is new to everybody */
} delivery_t;

/* Did it happen before the peer was there? */
static int is_before(const rt_peer_t *peer, const delivery_t *delivery)
{
    const rt_kept_room_t *watch = delivery->stream_id != NULL
        ? rt_peer_watch(peer, delivery->stream_id) : NULL;

    return delivery->seq <= (watch != NULL ? watch->since : peer->since);
}

static void deliver_one(void *baton, rt_member_t *member)
{
    const delivery_t *delivery = baton;
    const rt_peer_t *peer = (const rt_peer_t *)member;

    if ((delivery->only_user == NULL || strcmp(delivery->only_user, peer->user_id) == 0)
        && (delivery->seq == 0 || !is_before(peer, delivery))) {
        rt_emit(peer->socket, delivery->frame, delivery->lane);
    }
}

apr_uint64_t rt_feed_newest(hb_site_t *site, const char *epoch, apr_uint64_t seq)
{
    hb_bus_stats_t stats;

    return hb_bus_stats(&stats, site) == APR_SUCCESS && strcmp(stats.epoch, epoch) == 0
        && stats.newest > seq ? stats.newest : seq;
}

void rt_feed_not_before(rt_hub_t *hub, apr_uint64_t since)
{
    if (since > hub->late_until) {
        hub->late_until = since;
    }
}

/* What is kept: into the history, then to who is there. */
static void publish(rt_hub_t *hub, rt_room_t *room, const hb_event_t *event)
{
    rt_news_t *news = rt_news_make(event);
    delivery_t delivery = { .lane = rt_news_lane(event->event), .only_user = event->only_user,
                            .stream_id = rt_room_stream(room),
                            .seq = event->seq <= hub->late_until ? event->seq : 0 };

    rt_room_keep(room, news);
    if (rt_room_members(room) > 0) {
        rt_frame_t *frame = rt_news_frame(news, hub->epoch, rt_hub_forms(hub));

        delivery.frame = frame;
        rt_room_each(room, deliver_one, &delivery);
        rt_frame_release(frame);
    }
    rt_news_drop(news);
}

/* --- what a room tells once a beat --- */

static void put_on_list(rt_hub_t *hub, rt_room_t *room, rt_beat_t *beat)
{
    int *is_listed = rt_beat_is_listed(beat);

    if (*is_listed) {
        return;
    }
    *is_listed = 1;
    if (hub->n_beating == hub->beating_size) {
        hub->beating_size = hub->beating_size == 0 ? 16 : hub->beating_size * 2;
        hub->beating = rt_need_more(hub->beating,
                                    sizeof(*hub->beating) * (apr_size_t)hub->beating_size);
    }
    hub->beating[hub->n_beating++] = rt_room_hold(hub->rooms, rt_room_name(room));
}

typedef struct telling_t {
    rt_hub_t *hub;
    rt_room_t *room;
} telling_t;

static void tell(void *baton, hb_event_e event, const char *payload, apr_size_t len)
{
    const telling_t *telling = baton;
    rt_frame_t *frame = rt_news_frame_of(event, payload, len, rt_hub_forms(telling->hub));
    delivery_t delivery = { .frame = frame, .lane = rt_news_lane(event) };

    if (hb_event_row(event)->lane == HB_LANE_METRIC && event != HB_EV_PRESENCE_UPDATE) {
        /* A reader who has not taken the one before gets this one in its place. */
        rt_frame_set_key(frame, (apr_uint64_t)(apr_uintptr_t)telling->room ^ event);
    }
    rt_room_each(telling->room, deliver_one, &delivery);
    rt_frame_release(frame);
}

static void beat(rt_hub_t *hub)
{
    while (hub->n_beating > 0) {
        telling_t telling = { hub, hub->beating[--hub->n_beating] };
        rt_beat_t *beat = rt_beat_of(telling.room);

        *rt_beat_is_listed(beat) = 0;
        rt_beat_flush(beat, rt_room_stream(telling.room), hub->scratch, tell, &telling);
        rt_room_release(telling.room);
        apr_pool_clear(hub->scratch);
    }
}

/* --- what has to be obeyed --- */

static void note_revoked(rt_hub_t *hub, const char *id)
{
    char *place = hub->revoked[hub->n_revoked++ % RT_REVOKED_KEPT];

    apr_cpystrn(place, id, sizeof(hub->revoked[0]));
}

static void sign_out(void *baton, rt_member_t *member)
{
    (void)baton;
    rt_peer_end((rt_peer_t *)member, RT_GONE_SIGNED_OUT);
}

typedef struct check_t {
    rt_task_t task;
    rt_peer_t *peer;
    const char *token, *session_id;
} check_t;

/* Whoever changed it may have had a cache of its own (halobuzzctl has): what ours says of the
 * session is older than the event. */
static void check_run(rt_task_t *task)
{
    const check_t *check = (const check_t *)task;

    hb_session_forget(task->op, check->session_id);
    task->rv = hb_session_check(task->op, check->token);
}

static void check_done(rt_task_t *task)
{
    rt_peer_t *peer = ((check_t *)task)->peer;

    switch (hb_error_row(task->rv)->class) {
    case HB_CLASS_UNAUTHENTICATED:
    case HB_CLASS_FORBIDDEN:
        rt_peer_end(peer, task->rv == HB_E_ACCOUNT_DISABLED ? RT_GONE_BANNED
                    : RT_GONE_SIGNED_OUT);
        break;
    default:
        break;                  /* fine, or nobody can say just now: each call asks again */
    }
    rt_peer_release(peer);
}

/* Something about the account changed: does the token still hold? */
static void check_again(void *baton, rt_member_t *member)
{
    rt_peer_t *peer = (rt_peer_t *)member;
    rt_hub_t *hub = baton;
    check_t *check = rt_task_make_always(hub->works, sizeof(*check));

    check->task.run = check_run;
    check->task.done = check_done;
    check->peer = peer;
    check->token = apr_pstrdup(check->task.op->pool, peer->token);
    check->session_id = apr_pstrdup(check->task.op->pool, peer->session_id);
    rt_peer_hold(peer);
    rt_task_start(&check->task, NULL);
}

typedef struct forget_t {
    rt_task_t task;
    const char *user_id;
} forget_t;

static void forget_run(rt_task_t *task)
{
    hb_session_forget_all(task->op, ((forget_t *)task)->user_id);
}

static void forget_done(rt_task_t *task)
{
    (void)task;
}

/*
 * The same for all sessions of a user, who may have no connection here but call over HTTP. Old
 * events of the log are of no interest: what the cache says of a session lives a minute.
 */
static void forget_user(rt_hub_t *hub, const hb_event_t *event)
{
    forget_t *forget;

    if (rt_loop_index(hub->loop) != 0
        || event->at < apr_time_now() - apr_time_from_sec(120)) {
        return;
    }
    forget = rt_task_make_always(hub->works, sizeof(*forget));
    forget->task.run = forget_run;
    forget->task.done = forget_done;
    forget->user_id = apr_pstrdup(forget->task.op->pool, event->id);
    rt_task_start(&forget->task, NULL);
}

/* The core has taken the viewer out of the stream already. */
static void leave_room(rt_room_t *room, rt_peer_t *peer)
{
    const char *stream_id = rt_room_stream(room);
    rt_kept_room_t *watch = rt_peer_watch(peer, stream_id);

    rt_room_leave(room, &peer->member);
    if (watch != NULL) {
        rt_viewers_drop(peer->hub->house->viewers, stream_id, peer->user_id);
        rt_peer_watch_remove(peer, watch);
    }
    if (peer->door == RT_DOOR_STREAM) {
        rt_peer_end(peer, RT_GONE_ROOM_ENDED);
    }
}

static void leave_ended(void *baton, rt_member_t *member)
{
    leave_room(baton, (rt_peer_t *)member);
}

typedef struct kick_t {
    rt_room_t *room;
    const char *user_id;
} kick_t;

static void send_out(void *baton, rt_member_t *member)
{
    const kick_t *kick = baton;

    if (strcmp(((rt_peer_t *)member)->user_id, kick->user_id) == 0) {
        leave_room(kick->room, (rt_peer_t *)member);
    }
}

static void obey(rt_hub_t *hub, rt_room_t *room, const hb_event_t *event)
{
    kick_t kick = { room, NULL };

    switch (event->event) {
    case HB_EV_SESSION_ENDED:
        note_revoked(hub, event->id);
        hb_session_forget(hb_op_make(hub->house->site, hub->scratch), event->id);
        rt_room_each(room, sign_out, NULL);
        break;
    case HB_EV_USER_CHANGED:
        forget_user(hub, event);
        note_revoked(hub, event->id);
        rt_room_each(room, check_again, hub);
        break;
    case HB_EV_ROOM_KICK:
        kick.user_id = event->only_user != NULL ? event->only_user : "";
        rt_room_each(room, send_out, &kick);
        break;
    case HB_EV_VIEWER_MOVED:
        if (rt_room_members(room) > 0) {
            rt_beat_t *beat = rt_beat_of(room);

            rt_beat_moved(beat, event->payload, event->payload_bytes, hub->scratch);
            put_on_list(hub, room, beat);
        }
        break;
    default:
        break;
    }
}

/* --- reading --- */

static const char *room_of(const hb_event_t *event, apr_pool_t *pool)
{
    const char *kind = target_kinds[hb_event_row(event->event)->target];

    return kind != NULL ? rt_room_name_of(kind, event->id, pool) : "all";
}

static void take(rt_hub_t *hub, const hb_event_t *event)
{
    const hb_event_row_t *row = hb_event_row(event->event);
    rt_room_t *room = rt_room_hold(hub->rooms, room_of(event, hub->scratch));

    hub->seq = event->seq;
    switch (row->lane) {
    case HB_LANE_INTERNAL:
        obey(hub, room, event);
        break;
    case HB_LANE_METRIC:
        if (rt_room_members(room) > 0) {
            rt_beat_t *beat = rt_beat_of(room);

            rt_beat_count(beat, event->event, event->payload, event->payload_bytes);
            put_on_list(hub, room, beat);
        }
        break;
    default:
        publish(hub, room, event);
        if (event->event == HB_EV_STREAM_ENDED) {
            rt_room_each(room, leave_ended, room);
        }
        break;
    }
    rt_room_release(room);
    apr_pool_clear(hub->scratch);
}

static void drop_all(void *baton, rt_member_t *member)
{
    rt_peer_t *peer = (rt_peer_t *)member;

    (void)baton;
    rt_session_close(rt_socket_session(peer->socket), RT_GONE_FORCED_CLOSE);
}

/*
 * Events are lost, or the log is another one. Who is connected has missed something: all are
 * closed, come back by themselves, and are told that they are not recovered.
 */
static void lose(rt_hub_t *hub)
{
    rt_room_t *all = rt_room_find(hub->rooms, "all");
    const char *epoch = hb_bus_reader_epoch(hub->reader);
    int is_new = strcmp(hub->epoch, epoch) != 0, had_none = hub->epoch[0] == '\0';

    apr_cpystrn(hub->epoch, epoch, sizeof(hub->epoch));
    hub->seq = hb_bus_reader_oldest(hub->reader);
    hub->seq -= hub->seq > 0;
    hub->late_until = 0;
    rt_rooms_forget(hub->rooms, hub->seq);
    if (is_new && rt_loop_index(hub->loop) == 0) {
        apr_cpystrn(hub->house->epoch, epoch, sizeof(hub->house->epoch));
        rt_recover_restart(hub->house->recover, epoch);
    }
    if (had_none) {
        return;                 /* the log was only late */
    }
    hb_log_to(&hub->house->site->log, HB_LOG_WARNING, 0, HBLOGNO(06202) "events were lost "
              "before number %" APR_UINT64_T_FMT "; clients reconnect", hub->seq);
    if (all != NULL) {
        rt_room_each(all, drop_all, NULL);
    }
}

static void read_more(rt_loop_t *loop, void *baton)
{
    rt_hub_t *hub = rt_loop_data(loop);

    (void)baton;
    if (hub != NULL && hub->feed_stopped == NULL) {
        hub->is_reading = 0;
        rt_feed_read(hub);
    }
}

/* @return is there nothing left? */
static int read_some(rt_hub_t *hub, int max)
{
    hb_event_t event;
    apr_status_t rv;

    while (max-- > 0) {
        rv = hb_bus_read(&event, hub->reader);
        if (rv == HB_E_BUS_GAP) {
            lose(hub);
        }
        else if (rv != APR_SUCCESS) {
            return 1;
        }
        else {
            take(hub, &event);
        }
    }
    return 0;
}

void rt_feed_read(rt_hub_t *hub)
{
    apr_uint64_t now = rt_loop_now(hub->loop);

    if (hub->feed_stopped != NULL) {
        return;
    }
    if (!hub->is_reading && !read_some(hub, TURN_MAX)) {
        hub->is_reading = 1;
        rt_post(hub->loop, read_more, NULL);
    }
    if (now >= hub->beat_at) {
        hub->beat_at = now + RT_BEAT_MSEC;
        beat(hub);
    }
}

static void nudged(uv_poll_t *poll, int status, int events)
{
    rt_hub_t *hub = poll->data;
    rt_engine_t *engine = rt_loop_engine(hub->loop);
    int i;

    (void)status;
    (void)events;
    rt_feed_read(hub);
    for (i = 1; i < rt_engine_loops(engine); i++) {
        rt_post(rt_engine_loop(engine, i), read_more, NULL);
    }
}

void rt_feed_start(rt_hub_t *hub)
{
    int is_main = rt_loop_index(hub->loop) == 0, fd;

    hb_bus_reader_open(&hub->reader, hub->house->site, HB_BUS_OLDEST, is_main, hub->pool);
    apr_cpystrn(hub->epoch, hb_bus_reader_epoch(hub->reader), sizeof(hub->epoch));
    hub->seq = hb_bus_reader_oldest(hub->reader);
    hub->seq -= hub->seq > 0;
    rt_rooms_forget(hub->rooms, hub->seq);
    if (is_main && strcmp(hub->epoch, hub->house->epoch) != 0) {
        apr_cpystrn(hub->house->epoch, hub->epoch, sizeof(hub->house->epoch));
        rt_recover_restart(hub->house->recover, hub->epoch);
    }
    while (!read_some(hub, TURN_MAX)) {
        /* Nobody is served before the rooms are as they were. */
    }
    fd = hb_bus_reader_fd(hub->reader);
    if (fd >= 0 && uv_poll_init(rt_loop_uv(hub->loop), &hub->poll, fd) == 0) {
        hub->poll.data = hub;
        hub->is_polling = uv_poll_start(&hub->poll, UV_READABLE, nudged) == 0;
    }
}

static void poll_closed(uv_handle_t *handle)
{
    rt_hub_t *hub = handle->data;

    hub->feed_stopped(hub);
}

void rt_feed_stop(rt_hub_t *hub, void (*stopped)(rt_hub_t *hub))
{
    hub->is_reading = 1;        /* never again */
    hub->feed_stopped = stopped;
    if (hub->is_polling) {
        uv_close((uv_handle_t *)&hub->poll, poll_closed);
    } else {
        stopped(hub);
    }
}

/* --- what somebody missed --- */

void rt_feed_emit(rt_peer_t *peer, const rt_news_t *news)
{
    const char *only_user = rt_news_only_user(news);
    unsigned int forms = peer->door == RT_DOOR_PLAIN ? RT_FORM_PLAIN
        : peer->door == RT_DOOR_STREAM ? RT_FORM_STREAM : 0;
    rt_frame_t *frame;

    if (only_user == NULL || strcmp(only_user, peer->user_id) == 0) {
        frame = rt_news_frame(news, peer->hub->epoch, forms);
        rt_emit(peer->socket, frame, rt_news_lane(rt_news_event(news)));
        rt_frame_release(frame);
    }
}

void rt_feed_replay(rt_peer_t *peer, rt_room_t *const *rooms, const apr_uint64_t *after, int n)
{
    rt_past_t *at[RT_RECOVER_ROOMS + 3];
    int i;

    for (i = 0; i < n; i++) {
        at[i] = rt_chain_after(rt_room_chain(rooms[i]), after[i]);
    }
    for (;;) {
        int first = -1;

        for (i = 0; i < n; i++) {
            if (at[i] != NULL && (first < 0 || rt_news_seq(rt_past_news(at[i]))
                                               < rt_news_seq(rt_past_news(at[first])))) {
                first = i;
            }
        }
        if (first < 0 || peer->socket == NULL) {
            return;
        }
        rt_feed_emit(peer, rt_past_news(at[first]));
        at[first] = rt_past_next(at[first]);
    }
}
