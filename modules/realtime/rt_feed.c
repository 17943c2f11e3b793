/* SPDX-License-Identifier: Apache-2.0 */
/* From events to the rooms of one loop. Where events come from is rt_reader.c's. */
#include "rt_house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "rt_memory.h"
#include "rt_veil.h"

unsigned int rt_hub_forms(const rt_hub_t *hub)
{
    return (hub->n_plain > 0 ? RT_FORM_PLAIN : 0) | (hub->n_stream > 0 ? RT_FORM_STREAM : 0);
}

/* --- to members --- */

typedef struct delivery_t {
    rt_frame_t *frame;
    rt_lane_e lane;
    const char *only_user;
    const char *author;         /* whose words they are, or NULL */
    const char *stream_id;      /* of the room, or NULL */
    apr_uint64_t seq;           /* 0: it is new to everybody */
    const rt_news_t *news;      /* what the frame is made of, or NULL: of the beat */
    rt_veil_t *veil;            /* when it names people, or NULL */
} delivery_t;

/* Did it happen before the peer was there? */
static int is_before(const rt_peer_t *peer, const delivery_t *delivery)
{
    const rt_kept_room_t *watch = delivery->stream_id != NULL
        ? rt_peer_watch(peer, delivery->stream_id) : NULL;

    return delivery->seq <= (watch != NULL ? watch->since : peer->since);
}

/* May the peer see it? A member without blocks, which is nearly everybody, costs two looks. */
static int is_for(const rt_peer_t *peer, const char *only_user, const char *author)
{
    return (only_user == NULL || strcmp(only_user, peer->user_id) == 0)
        && (author == NULL || peer->blocks == NULL || !rt_blocks_has(peer->blocks, author));
}

static unsigned int form_of(const rt_peer_t *peer)
{
    return peer->door == RT_DOOR_PLAIN ? RT_FORM_PLAIN
        : peer->door == RT_DOOR_STREAM ? RT_FORM_STREAM : 0;
}

/* What may be shown of it to who has blocks, in a frame of its own when that is not all. */
static void deliver_veiled(const delivery_t *delivery, const rt_peer_t *peer)
{
    const char *text = rt_veil_text(delivery->veil, peer->blocks);
    rt_frame_t *frame;

    if (text == delivery->veil->payload) {
        rt_emit(peer->socket, delivery->frame, delivery->lane);
    }
    else if (text != NULL) {
        frame = delivery->news != NULL
            ? rt_news_frame_with(delivery->news, text, peer->hub->epoch, form_of(peer))
            : rt_news_frame_of(delivery->veil->event, text, strlen(text), form_of(peer));
        rt_emit(peer->socket, frame, delivery->lane);
        rt_frame_release(frame);
    }
}

static void deliver_one(void *baton, rt_member_t *member)
{
    const delivery_t *delivery = baton;
    const rt_peer_t *peer = (const rt_peer_t *)member;

    if (!is_for(peer, delivery->only_user, delivery->author)
        || (delivery->seq != 0 && is_before(peer, delivery))) {
        return;
    }
    if (delivery->veil != NULL && peer->blocks != NULL) {
        deliver_veiled(delivery, peer);
    }
    else {
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

/* One frame for all of them. */
static void tell_members(rt_hub_t *hub, rt_room_t *room, const rt_news_t *news)
{
    apr_uint64_t seq = rt_news_seq(news);
    delivery_t delivery = { .lane = rt_news_lane(rt_news_event(news)),
                            .only_user = rt_news_only_user(news),
                            .author = rt_news_author(news), .stream_id = rt_room_stream(room),
                            .seq = seq <= hub->late_until ? seq : 0, .news = news };
    rt_veil_t veil;

    if (rt_veil_is_needed(rt_news_event(news))) {
        rt_veil_make(&veil, rt_news_event(news), rt_news_payload(news),
                     rt_news_payload_bytes(news), hub->scratch);
        delivery.veil = &veil;
    }
    delivery.frame = rt_news_frame(news, hub->epoch, rt_hub_forms(hub));
    rt_room_each(room, deliver_one, &delivery);
    rt_frame_release(delivery.frame);
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
    rt_veil_t veil;

    if (rt_veil_is_needed(event)) {
        rt_veil_make(&veil, event, payload, len, telling->hub->scratch);
        delivery.veil = &veil;
    }
    if (hb_event_row(event)->lane == HB_LANE_METRIC && event != HB_EV_PRESENCE_UPDATE) {
        /* A reader who has not taken the one before gets this one in its place. */
        rt_frame_set_key(frame, (apr_uint64_t)(apr_uintptr_t)telling->room ^ event);
    }
    rt_room_each(telling->room, deliver_one, &delivery);
    rt_frame_release(frame);
}

typedef struct reactions_task_t {
    rt_task_t task;
    const char *stream_id;
    hb_reactions_t own;
} reactions_task_t;

static void reactions_run(rt_task_t *task)
{
    const reactions_task_t *reactions = (const reactions_task_t *)task;

    hb_reaction_tell(task->op, reactions->stream_id, &reactions->own);
}

static void reactions_done(rt_task_t *task)
{
    (void)task;
}

/* What our clients sent in this beat goes to the log, and comes back to all hosts as one event. */
static void tell_own(rt_hub_t *hub, rt_room_t *room, rt_beat_t *beat)
{
    reactions_task_t *reactions;
    hb_reactions_t own;

    if (!rt_beat_take_own(&own, beat)) {
        return;
    }
    reactions = rt_task_make_always(hub->works, sizeof(*reactions));
    reactions->task.run = reactions_run;
    reactions->task.done = reactions_done;
    reactions->stream_id = apr_pstrdup(reactions->task.op->pool, rt_room_stream(room));
    reactions->own = own;
    rt_task_start(&reactions->task, NULL);
}

static void beat(rt_hub_t *hub)
{
    int i, n_left = 0;

    for (i = 0; i < hub->n_beating; i++) {
        telling_t telling = { hub, hub->beating[i] };
        rt_beat_t *beat = rt_beat_of(telling.room);

        tell_own(hub, telling.room, beat);
        if (rt_beat_flush(beat, rt_room_stream(telling.room), rt_loop_now(hub->loop),
                          rt_room_members(telling.room), hub->scratch, tell, &telling)) {
            *rt_beat_is_listed(beat) = 0;
            rt_room_release(telling.room);
        } else {
            hub->beating[n_left++] = telling.room;
        }
        apr_pool_clear(hub->scratch);
    }
    hub->n_beating = n_left;
}

void rt_feed_moved(rt_hub_t *hub, rt_room_t *room, const rt_news_t *news)
{
    rt_beat_t *beat = rt_beat_of(room);

    rt_beat_moved(beat, rt_news_payload(news), rt_news_payload_bytes(news), hub->scratch);
    put_on_list(hub, room, beat);
}

void rt_feed_react(rt_hub_t *hub, rt_room_t *room, int kind)
{
    rt_beat_t *beat = rt_beat_of(room);

    rt_beat_react(beat, kind);
    put_on_list(hub, room, beat);
}

void rt_feed_beat(rt_hub_t *hub)
{
    apr_uint64_t now = rt_loop_now(hub->loop);

    if (now >= hub->beat_at) {
        hub->beat_at = now + RT_BEAT_MSEC;
        beat(hub);
    }
}

/* --- one event --- */

void rt_feed_take(rt_hub_t *hub, const rt_news_t *news)
{
    hb_event_e event = rt_news_event(news);
    rt_room_t *room = rt_room_find(hub->rooms, rt_news_room(news));

    hub->seq = rt_news_seq(news);
    if (event == HB_EV_STREAM_ENDED) {
        rt_note_sent_out(hub, rt_news_id(news), "");    /* for those who are just coming */
    }
    if (room == NULL && hb_event_row(event)->lane != HB_LANE_INTERNAL) {
        return;                 /* nobody is there */
    }
    room = rt_room_hold(hub->rooms, rt_news_room(news));
    switch (hb_event_row(event)->lane) {
    case HB_LANE_INTERNAL:
        rt_obey(hub, room, news);
        break;
    case HB_LANE_METRIC: {
        rt_beat_t *beat = rt_beat_of(room);

        rt_beat_count(beat, event, rt_news_payload(news), rt_news_payload_bytes(news));
        put_on_list(hub, room, beat);
        break;
    }
    case HB_LANE_REACTION: {
        rt_beat_t *beat = rt_beat_of(room);

        rt_beat_reacted(beat, rt_news_payload(news), rt_news_payload_bytes(news), hub->scratch);
        put_on_list(hub, room, beat);
        break;
    }
    default:
        tell_members(hub, room, news);
        if (event == HB_EV_STREAM_ENDED) {
            rt_room_empty(room);
        }
        break;
    }
    rt_room_release(room);
    apr_pool_clear(hub->scratch);
}

static void drop_one(void *baton, rt_member_t *member)
{
    rt_peer_t *peer = (rt_peer_t *)member;

    (void)baton;
    /* Its offset may be one of the new log, too, and mean another event there. */
    if (peer->place >= 0) {
        rt_recover_spoil(peer->hub->house->recover, peer->place);
    }
    rt_session_close(rt_socket_session(peer->socket), RT_GONE_FORCED_CLOSE);
}

void rt_feed_begin(rt_hub_t *hub, const char *epoch, apr_uint64_t seq, int is_lost)
{
    rt_room_t *all = rt_room_find(hub->rooms, "all");

    apr_cpystrn(hub->epoch, epoch, sizeof(hub->epoch));
    hub->seq = seq;
    hub->late_until = 0;
    if (is_lost && all != NULL) {
        rt_room_each(all, drop_one, NULL);
    }
}

/* --- what somebody missed --- */

void rt_feed_emit(rt_peer_t *peer, const rt_news_t *news)
{
    const char *text = rt_news_payload(news);
    apr_pool_t *pool = NULL;
    rt_frame_t *frame;
    rt_veil_t veil;

    if (!is_for(peer, rt_news_only_user(news), rt_news_author(news))) {
        return;
    }
    if (peer->blocks != NULL && rt_veil_is_needed(rt_news_event(news))) {
        apr_pool_create(&pool, peer->hub->scratch);
        rt_veil_make(&veil, rt_news_event(news), text, rt_news_payload_bytes(news), pool);
        text = rt_veil_text(&veil, peer->blocks);
    }
    if (text != NULL) {
        frame = rt_news_frame_with(news, text, peer->hub->epoch, form_of(peer));
        rt_emit(peer->socket, frame, rt_news_lane(rt_news_event(news)));
        rt_frame_release(frame);
    }
    if (pool != NULL) {
        apr_pool_destroy(pool);
    }
}

void rt_feed_replay(rt_peer_t *peer, rt_missed_t *missed)
{
    int i;

    for (i = 0; i < missed->n && peer->socket != NULL; i++) {
        rt_feed_emit(peer, missed->news[i]);
    }
    rt_missed_free(missed);
}
