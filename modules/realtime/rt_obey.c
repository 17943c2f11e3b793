/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log tells our processes and no client: who was signed out, changed, sent out of a room,
 * came and went, blocked somebody. It is obeyed by each loop for its own clients.
 */
#include "rt_house.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_session.h"
#include "hb_social.h"

/* --- signed out, or changed --- */

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
static void forget_user(rt_hub_t *hub, const rt_news_t *news)
{
    forget_t *forget;

    if (rt_loop_index(hub->loop) != 0
        || rt_news_at(news) < apr_time_now() - apr_time_from_sec(120)) {
        return;
    }
    forget = rt_task_make_always(hub->works, sizeof(*forget));
    forget->task.run = forget_run;
    forget->task.done = forget_done;
    forget->user_id = apr_pstrdup(forget->task.op->pool, rt_news_id(news));
    rt_task_start(&forget->task, NULL);
}

/* --- out of a room --- */

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

void rt_note_sent_out(rt_hub_t *hub, const char *stream_id, const char *user_id)
{
    rt_sent_out_t *out = &hub->sent_out[hub->n_sent_out++ % RT_SENT_OUT_KEPT];

    apr_cpystrn(out->stream_id, stream_id, sizeof(out->stream_id));
    apr_cpystrn(out->user_id, user_id, sizeof(out->user_id));
}

apr_status_t rt_was_sent_out(const rt_hub_t *hub, apr_uint64_t before, const char *stream_id,
                             const char *user_id)
{
    apr_uint64_t i;

    if (hub->n_sent_out - before > RT_SENT_OUT_KEPT) {
        return HB_E_UNAVAILABLE;
    }
    for (i = before; i < hub->n_sent_out; i++) {
        const rt_sent_out_t *out = &hub->sent_out[i % RT_SENT_OUT_KEPT];

        if (strcmp(out->stream_id, stream_id) == 0 && out->user_id[0] == '\0') {
            return HB_E_STREAM_ENDED;
        }
        if (strcmp(out->stream_id, stream_id) == 0 && strcmp(out->user_id, user_id) == 0) {
            return HB_E_ROOM_KICKED;
        }
    }
    return APR_SUCCESS;
}

void rt_room_empty(rt_room_t *room)
{
    rt_room_each(room, leave_ended, room);
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

/* --- blocks --- */

typedef struct block_change_t {
    const char *user_id;        /* the other one */
    int whose, is_blocked;
} block_change_t;

static void change_one(void *baton, rt_member_t *member)
{
    const block_change_t *change = baton;
    rt_peer_t *peer = (rt_peer_t *)member;

    rt_blocks_set(&peer->blocks, change->user_id, change->whose, change->is_blocked);
    peer->n_block_changes++;
}

/* What is said from the next event on is told accordingly. */
static void change_blocks(rt_room_t *room, const rt_news_t *news, apr_pool_t *pool)
{
    const hb_json_t *json = hb_json_parse_own(rt_news_payload(news),
                                              rt_news_payload_bytes(news), pool);
    block_change_t change = { hb_json_string(json, "userId"),
                              hb_json_bool(json, "isMine", 0) ? RT_BLOCK_MINE : RT_BLOCK_THEIRS,
                              hb_json_bool(json, "isBlocked", 0) };

    if (change.user_id != NULL) {
        rt_room_each(room, change_one, &change);
    }
}

typedef struct reading_t {
    rt_task_t task;
    rt_peer_t *peer;
    rt_blocks_t *blocks;
    apr_uint64_t n_before;
} reading_t;

static void note_block(void *baton, const char *user_id, int is_mine)
{
    rt_blocks_set(baton, user_id, is_mine ? RT_BLOCK_MINE : RT_BLOCK_THEIRS, 1);
}

apr_status_t rt_blocks_read(rt_blocks_t **blocks, hb_op_t *op)
{
    *blocks = NULL;
    return hb_block_each(op, RT_BLOCKS_READ, note_block, blocks);
}

static void reading_run(rt_task_t *task)
{
    reading_t *reading = (reading_t *)task;

    task->rv = rt_blocks_read(&reading->blocks, task->op);
}

/* What was told meanwhile is newer than what was read: read again. */
static void reading_done(rt_task_t *task)
{
    reading_t *reading = (reading_t *)task;
    rt_peer_t *peer = reading->peer;

    if (peer->socket != NULL && task->rv == APR_SUCCESS
        && reading->n_before != peer->n_block_changes) {
        rt_blocks_again(peer);
    }
    else if (peer->socket != NULL && task->rv == APR_SUCCESS) {
        rt_blocks_free(peer->blocks);
        peer->blocks = reading->blocks;
        reading->blocks = NULL;
    }
    rt_blocks_free(reading->blocks);
    rt_peer_release(peer);
}

void rt_blocks_again(rt_peer_t *peer)
{
    reading_t *reading = rt_task_make_always(peer->hub->works, sizeof(*reading));

    reading->task.run = reading_run;
    reading->task.done = reading_done;
    reading->task.op->actor.user_id = apr_pstrdup(reading->task.op->pool, peer->user_id);
    reading->peer = peer;
    reading->n_before = peer->n_block_changes;
    rt_peer_hold(peer);
    rt_task_start(&reading->task, NULL);
}

/* --- all of it --- */

void rt_obey(rt_hub_t *hub, rt_room_t *room, const rt_news_t *news)
{
    kick_t kick = { room, NULL };

    switch (rt_news_event(news)) {
    case HB_EV_SESSION_ENDED:
        note_revoked(hub, rt_news_id(news));
        hb_session_forget(hb_op_make(hub->house->site, hub->scratch), rt_news_id(news));
        rt_room_each(room, sign_out, NULL);
        break;
    case HB_EV_USER_CHANGED:
        forget_user(hub, news);
        note_revoked(hub, rt_news_id(news));
        rt_room_each(room, check_again, hub);
        break;
    case HB_EV_ROOM_KICK:
        kick.user_id = rt_news_only_user(news);
        if (kick.user_id != NULL) {
            rt_note_sent_out(hub, rt_news_id(news), kick.user_id);
            rt_room_each(room, send_out, &kick);
        }
        break;
    case HB_EV_VIEWER_MOVED:
        rt_feed_moved(hub, room, news);
        break;
    case HB_EV_BLOCK_CHANGED:
        hub->n_block_changes++;
        change_blocks(room, news, hub->scratch);
        break;
    default:
        break;
    }
}
