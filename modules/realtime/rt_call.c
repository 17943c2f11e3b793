/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients ask for. A row of hb_event.def names the call and its form; a row of the table here
 * says what it does: begin and done in the loop, where rooms are, run in a thread, where the
 * core may be waited for. Calls of one client run one after the other. Who holds the token
 * is asked anew each time, so a call never has rights that the client has lost.
 */
#include "rt_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_chat.h"
#include "hb_reaction.h"
#include "hb_schema.h"
#include "hb_session.h"
#include "hb_stream.h"
#include "hb_token.h"
#include "rt_answer.h"

/* Calls of one client that wait for their turn. */
#define LINE_MAX_CALLS 32
#define MESSAGES_ON_JOIN 30

/* --- stream:join --- */

static void join_begin(rt_call_t *call)
{
    rt_peer_t *peer = call->peer;

    if (call->stream_id == NULL) {
        return;
    }
    call->is_again = rt_peer_watch(peer, call->stream_id) != NULL;
    call->is_full = !call->is_again && peer->n_watches >= RT_WATCH_MAX;
    call->room = rt_room_hold(peer->hub->rooms, rt_room_name_of("stream", call->stream_id,
                                                                call->task.op->pool));
    call->since = peer->hub->seq;
    call->sent_out_before = peer->hub->n_sent_out;
    memcpy(call->epoch, peer->hub->epoch, sizeof(call->epoch));
}

/* Newest last, as they are read. */
static apr_status_t last_messages(hb_json_t **messages, hb_op_t *op, const char *stream_id)
{
    const hb_json_t *items;
    hb_json_t *list;
    apr_status_t rv = hb_chat_history(&list, op, stream_id, MESSAGES_ON_JOIN, NULL);
    int i;

    *messages = hb_json_array_make(op->pool);
    items = rv == APR_SUCCESS ? hb_json_get(list, "items") : NULL;
    for (i = hb_json_length(items) - 1; i >= 0; i--) {
        hb_json_push(*messages, hb_json_item(items, i));
    }
    return rv;
}

static int copy_member(void *baton, const char *key, hb_json_t *value)
{
    hb_json_set(baton, key, value);
    return 0;
}

static apr_status_t join_run(hb_json_t **reply, rt_call_t *call, const hb_json_t *input)
{
    hb_op_t *op = call->task.op;
    hb_json_t *stream, *state, *made = hb_json_object_make(op->pool);
    apr_status_t rv;

    (void)input;
    if (call->is_full) {
        return hb_fail(op, HB_E_ROOMS_TOO_MANY, "leave a room first; %d at once", RT_WATCH_MAX);
    }
    rv = call->is_again ? hb_viewer_join(&stream, op, call->stream_id)
        : rt_node_join(&stream, call->peer->hub->house->node, op, call->stream_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call->did_join = !call->is_again;
    /* What is not newer is in what follows; the loop may read it only later. */
    call->since = rt_feed_newest(op->site, call->epoch, call->since);
    rv = hb_room_state(&state, op, call->stream_id);
    if (rv == APR_SUCCESS) {
        rv = last_messages(&call->messages, op, call->stream_id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set(made, "stream", hb_stream_to_public_json(op, stream));
    hb_json_set_int(made, "viewers", hb_json_int(stream, "viewers", 0));
    hb_json_each(state, copy_member, made);
    hb_json_set(made, "messages", call->messages);
    hb_json_set_string(made, "epoch", call->epoch);
    hb_json_set_string(made, "offset", apr_psprintf(op->pool, "%" APR_UINT64_T_FMT,
                                                    call->since));
    *reply = made;
    return APR_SUCCESS;
}

static int was_in_list(const rt_call_t *call, const rt_news_t *news)
{
    apr_pool_t *pool = call->task.op->pool;
    const char *payload = rt_news_payload(news), *id;
    int i;

    if (rt_news_event(news) != HB_EV_CHAT_NEW) {
        return 0;
    }
    id = hb_json_string(hb_json_parse_own(payload, strlen(payload), pool), "id");
    for (i = 0; id != NULL && i < hb_json_length(call->messages); i++) {
        const char *other = hb_json_string(hb_json_item(call->messages, i), "id");

        if (other != NULL && strcmp(other, id) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What happened in the room after a number, as far as this loop has told it. */
static void look_back(rt_missed_t *missed, const rt_call_t *call, apr_uint64_t after,
                      apr_size_t bytes_max)
{
    const rt_hub_t *hub = call->peer->hub;
    const rt_since_t since = { rt_room_name(call->room), after, hub->seq };

    rt_history_missed(missed, hub->house->history, &since, 1, bytes_max);
}

/* What happened while the core was asked, without messages that the answer holds already. */
static void tell_meanwhile(const rt_call_t *call)
{
    rt_peer_t *peer = call->peer;
    rt_missed_t missed;
    int i;

    look_back(&missed, call, call->since, (apr_size_t)-1);
    for (i = 0; i < missed.n && peer->socket != NULL; i++) {
        if (!was_in_list(call, missed.news[i])) {
            rt_feed_emit(peer, missed.news[i]);
        }
    }
    rt_missed_free(&missed);
}

/* A client that was in the room before and says up to where it saw everything. */
static int is_known_after(rt_missed_t *missed, const rt_call_t *call, apr_uint64_t *after)
{
    apr_uint64_t offset;
    char *end;

    if (call->offset == NULL || call->old_epoch == NULL
        || strcmp(call->old_epoch, call->epoch) != 0) {
        return 0;
    }
    offset = (apr_uint64_t)apr_strtoi64(call->offset, &end, 10);
    if (*end != '\0' || offset > call->since) {
        return 0;
    }
    look_back(missed, call, offset, rt_replay_max(call->peer->hub->house));
    if (!missed->is_complete) {
        rt_missed_free(missed);
        return 0;
    }
    *after = offset;
    return 1;
}

/* The core has let this person in, and then out again: the loop heard of that first. */
static void check_sent_out(rt_call_t *call)
{
    hb_op_t *op = call->task.op;
    apr_status_t rv = rt_was_sent_out(call->peer->hub, call->sent_out_before, call->stream_id,
                                      call->actor_id);

    if (rv != APR_SUCCESS) {
        call->task.rv = hb_fail(op, rv, NULL);
        call->answer = hb_json_text(rt_answer_failure(op, call->task.rv), op->pool,
                                    &call->answer_len);
    }
}

static void join_done(rt_call_t *call)
{
    rt_peer_t *peer = call->peer;
    rt_hub_t *hub = peer->hub;
    rt_missed_t missed;
    apr_uint64_t after;
    int is_in, is_recovered;

    if (call->task.rv == APR_SUCCESS && call->room != NULL) {
        check_sent_out(call);
    }
    is_in = call->task.rv == APR_SUCCESS && call->room != NULL;
    if (call->did_join && (!is_in || peer->socket == NULL)) {
        rt_viewers_cut(hub->house->viewers, call->stream_id, call->actor_id,
                       (apr_uint64_t)(hb_limit_now() / 1000));
        is_in = 0;
    }
    if (strcmp(call->epoch, hub->epoch) != 0) {
        call->since = hub->seq;         /* that was another log */
    }
    after = call->since;
    if (is_in && !call->is_again) {
        is_recovered = is_known_after(&missed, call, &after);
        rt_room_enter(call->room, &peer->member);
        rt_peer_watch_add(peer, call->stream_id, after);
        rt_feed_not_before(hub, after);
        rt_call_answer_with(call, is_recovered ? ",\"recovered\":true"
                                               : ",\"recovered\":false");
        if (is_recovered) {
            rt_feed_replay(peer, &missed);
        } else {
            tell_meanwhile(call);
        }
    }
    else {
        rt_call_answer_with(call, is_in ? ",\"recovered\":false" : "");
    }
    if (call->room != NULL) {
        rt_room_release(call->room);
    }
}

/* --- stream:leave --- */

static void leave_begin(rt_call_t *call)
{
    rt_peer_t *peer = call->peer;
    rt_kept_room_t *watch = call->stream_id != NULL ? rt_peer_watch(peer, call->stream_id)
        : NULL;
    rt_room_t *room;

    if (watch == NULL) {
        return;
    }
    room = rt_room_find(peer->hub->rooms, rt_room_name_of("stream", call->stream_id,
                                                          call->task.op->pool));
    if (room != NULL) {
        rt_room_leave(room, &peer->member);
    }
    rt_peer_watch_remove(peer, watch);
    /* Should the call be refused, the viewer is gone after a while. */
    call->was_in = 1;
    rt_viewers_cut(peer->hub->house->viewers, call->stream_id, peer->user_id,
                   (apr_uint64_t)(hb_limit_now() / 1000));
}

static apr_status_t leave_run(hb_json_t **reply, rt_call_t *call, const hb_json_t *input)
{
    rt_viewers_t *viewers = call->peer->hub->house->viewers;

    (void)reply;
    (void)input;
    return call->was_in ? rt_viewers_leave(viewers, call->task.op, call->stream_id)
        : rt_viewers_settle(viewers, call->task.op, call->stream_id);
}

/* --- chat:new --- */

static apr_status_t chat_run(hb_json_t **reply, rt_call_t *call, const hb_json_t *input)
{
    if (call->stream_id == NULL) {
        return hb_fail_field(call->task.op, "streamId", "required", "which room");
    }
    return hb_chat_say(reply, call->task.op, call->stream_id, input);
}

/* --- reaction:new --- */

static void react_begin(rt_call_t *call)
{
    call->is_again = call->stream_id != NULL
        && rt_peer_watch(call->peer, call->stream_id) != NULL;
}

static apr_status_t react_run(hb_json_t **reply, rt_call_t *call, const hb_json_t *input)
{
    (void)reply;
    if (call->stream_id == NULL) {
        return hb_fail_field(call->task.op, "streamId", "required", "which room");
    }
    if (!call->is_again) {
        return hb_fail(call->task.op, HB_E_FORBIDDEN, "enter the room first");
    }
    call->kind = hb_reaction_kind(hb_json_string(input, "kind"));
    return hb_reaction_check(&call->is_heard, call->task.op, call->stream_id);
}

static void react_done(rt_call_t *call)
{
    rt_hub_t *hub = call->peer->hub;
    rt_room_t *room = call->is_heard
        ? rt_room_find(hub->rooms, rt_room_name_of("stream", call->stream_id,
                                                   call->task.op->pool)) : NULL;

    if (room != NULL && call->task.rv == APR_SUCCESS) {
        rt_feed_react(hub, room, call->kind);
    }
    rt_call_answer_with(call, "");
}

/* --- auth:refresh --- */

static apr_status_t refresh_run(hb_json_t **reply, rt_call_t *call, const hb_json_t *input)
{
    hb_op_t *op = call->task.op;
    const char *token = hb_json_string(input, "token"), *user_id = op->actor.user_id;
    hb_claims_t claims;
    apr_status_t rv;

    (void)reply;
    rv = hb_session_check(op, token);
    if (rv == APR_SUCCESS) {
        rv = hb_token_verify(&claims, op, token);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcmp(op->actor.user_id, user_id) != 0
        || strcmp(op->actor.session_id, call->session_id) != 0) {
        return hb_fail(op, HB_E_FORBIDDEN, "a token of another session needs another "
                       "connection");
    }
    call->new_token = token;
    call->expires_at = claims.expires_at;
    return APR_SUCCESS;
}

static void refresh_done(rt_call_t *call)
{
    if (call->task.rv == APR_SUCCESS && call->peer->socket != NULL) {
        rt_peer_set_token(call->peer, call->new_token, call->expires_at);
    }
    rt_call_answer_with(call, "");
}

/* --- the table --- */

typedef struct call_row_t {
    void (*begin)(rt_call_t *call);     /* NULL for nothing */
    apr_status_t (*run)(hb_json_t **reply, rt_call_t *call, const hb_json_t *input);
    void (*done)(rt_call_t *call);      /* answers; NULL for no more than that */
} call_row_t;

static const call_row_t rows[HB_CALL_COUNT] = {
    [HB_CALL_STREAM_JOIN]  = { join_begin,  join_run,    join_done },
    [HB_CALL_STREAM_LEAVE] = { leave_begin, leave_run,   NULL },
    [HB_CALL_CHAT_NEW]     = { NULL,        chat_run,    NULL },
    [HB_CALL_REACTION_NEW] = { react_begin, react_run,   react_done },
    [HB_CALL_AUTH_REFRESH] = { NULL,        refresh_run, refresh_done },
};

/* --- from asking to answering --- */

void rt_call_answer_with(rt_call_t *call, const char *members)
{
    rt_peer_t *peer = call->peer;
    const char *text = call->answer;

    if (!call->wants_ack || peer->socket == NULL) {
        return;
    }
    if (*members != '\0') {
        text = apr_psprintf(call->task.op->pool, "%.*s%s}", (int)(call->answer_len - 1), text,
                            members);
    }
    rt_answer_send(peer, call->ack_id, text, strlen(text));
}

static void call_begin(rt_task_t *task)
{
    rt_call_t *call = (rt_call_t *)task;

    if (rows[call->number].begin != NULL && call->peer->state == RT_PEER_IN) {
        rows[call->number].begin(call);
    }
}

static void call_run(rt_task_t *task)
{
    rt_call_t *call = (rt_call_t *)task;
    const hb_call_row_t *row = hb_call_row(call->number);
    hb_op_t *op = task->op;
    hb_json_t *input, *reply = NULL;

    task->rv = call->rv;
    if (task->rv == APR_SUCCESS) {
        task->rv = hb_session_check(op, call->token);
    }
    if (task->rv == APR_SUCCESS) {
        call->actor_id = op->actor.user_id;
        task->rv = hb_schema_check(&input, op, hb_shape_by_name(row->form)->shape,
                                   call->input);
    }
    if (task->rv == APR_SUCCESS) {
        task->rv = rows[call->number].run(&reply, call, input);
    }
    call->answer = hb_json_text(task->rv == APR_SUCCESS ? rt_answer_success(reply, op->pool)
                                : rt_answer_failure(op, task->rv), op->pool, &call->answer_len);
    if (hb_error_row(task->rv)->class == HB_CLASS_INTERNAL && task->rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_ERR, task->rv, HBLOGNO(06203) "%s of %s failed", row->name,
               op->actor.user_id != NULL ? op->actor.user_id : "a stranger");
    }
}

static void call_done(rt_task_t *task)
{
    rt_call_t *call = (rt_call_t *)task;

    if (rows[call->number].done != NULL) {
        rows[call->number].done(call);
    } else {
        rt_call_answer_with(call, "");
    }
    if (task->rv == HB_E_TOKEN_EXPIRED || task->rv == HB_E_TOKEN_REVOKED
        || task->rv == HB_E_TOKEN_INVALID) {
        rt_peer_end(call->peer, RT_GONE_SIGNED_OUT);
    }
    rt_peer_release(call->peer);
}

/* Refused before it got into the line. */
static void answer_at_once(rt_peer_t *peer, int wants_ack, apr_uint64_t ack_id,
                           apr_status_t rv, int retry_sec)
{
    rt_hub_t *hub = peer->hub;
    const char *text;
    hb_op_t *op;

    if (!wants_ack) {
        return;
    }
    op = hb_op_make(hub->house->site, hub->scratch);
    if (retry_sec > 0) {
        hb_fail_later(op, rv, retry_sec, NULL);
    }
    text = hb_json_text(rt_answer_failure(op, rv), hub->scratch, NULL);
    rt_answer_send(peer, ack_id, text, strlen(text));
    apr_pool_clear(hub->scratch);
}

static int find_call(hb_call_e *number, const char *name, apr_size_t len)
{
    int i;

    for (i = 0; i < HB_CALL_COUNT; i++) {
        const char *known = hb_call_row((hb_call_e)i)->name;

        if (strlen(known) == len && memcmp(known, name, len) == 0) {
            *number = (hb_call_e)i;
            return 1;
        }
    }
    return 0;
}

/* So many a second, and three seconds' worth at once. */
static int is_allowed(rt_peer_t *peer)
{
    int per_sec = (int)peer->hub->house->site->settings->realtime_calls;
    apr_uint64_t now = rt_loop_now(peer->hub->loop);
    apr_uint64_t gained = (now - peer->rate_at) * (apr_uint64_t)per_sec;
    int most = per_sec * 3000;

    peer->rate_left = gained >= (apr_uint64_t)most || peer->rate_at == 0 ? most
        : peer->rate_left + (int)gained > most ? most : peer->rate_left + (int)gained;
    peer->rate_at = now;
    if (peer->rate_left < 1000) {
        peer->strikes++;
        return 0;
    }
    peer->rate_left -= 1000;
    peer->strikes = 0;
    return 1;
}

static const char *string_of(rt_call_t *call, const char *key)
{
    return hb_json_string(call->input, key);
}

static int is_id(const char *text)
{
    return text != NULL && strlen(text) == RT_STREAM_ID_MAX
        && strspn(text, "0123456789abcdef") == RT_STREAM_ID_MAX;
}

/* Outside bytes: a call that cannot be read is refused in its turn like any other. */
static void read_input(rt_call_t *call, rt_bytes_t args)
{
    hb_op_t *op = call->task.op;
    const char *why, *stream_id;
    hb_json_t *array;

    if (args.len > RT_ARGS_MAX_BYTES) {
        call->rv = hb_fail(op, HB_E_BODY_TOO_LARGE, "at most %d bytes", RT_ARGS_MAX_BYTES);
        return;
    }
    call->rv = hb_json_parse(&array, &why, args.at, args.len, op->pool);
    if (call->rv != APR_SUCCESS) {
        call->rv = hb_fail(op, HB_E_BODY_SYNTAX, "%s", why);
        return;
    }
    call->input = hb_json_item(array, 0);
    stream_id = string_of(call, "streamId");
    call->stream_id = is_id(stream_id) ? stream_id : NULL;
    call->offset = string_of(call, "offset");
    call->old_epoch = string_of(call, "epoch");
}

void rt_call(rt_peer_t *peer, const char *name, apr_size_t name_len, rt_bytes_t args,
             int wants_ack, apr_uint64_t ack_id)
{
    rt_hub_t *hub = peer->hub;
    hb_call_e number;
    rt_call_t *call;

    if (!is_allowed(peer)) {
        if (peer->strikes > (int)hub->house->site->settings->realtime_calls * 10) {
            rt_peer_end(peer, RT_GONE_FLOOD);
            return;
        }
        answer_at_once(peer, wants_ack, ack_id, HB_E_LIMITED, 1);
        return;
    }
    if (!find_call(&number, name, name_len)) {
        answer_at_once(peer, wants_ack, ack_id, HB_E_CALL_UNKNOWN, 0);
        return;
    }
    call = peer->line.n < LINE_MAX_CALLS ? rt_task_make(hub->works, sizeof(*call)) : NULL;
    if (call == NULL) {
        if (peer->line.n < LINE_MAX_CALLS
            && rt_house_may_say(&hub->house->busy_said_msec, hub)) {
            hb_log_to(&hub->house->site->log, HB_LOG_WARNING, 0, HBLOGNO(06514) "calls of clients are "
                      "refused: too many wait for the records; see HaloBuzzRealtimeThreads");
        }
        answer_at_once(peer, wants_ack, ack_id, HB_E_UNAVAILABLE, 1);
        return;
    }
    call->task.begin = call_begin;
    call->task.run = call_run;
    call->task.done = call_done;
    call->peer = peer;
    call->number = number;
    call->wants_ack = wants_ack;
    call->ack_id = ack_id;
    call->token = apr_pstrdup(call->task.op->pool, peer->token);
    call->session_id = apr_pstrdup(call->task.op->pool, peer->session_id);
    read_input(call, args);
    rt_peer_mark(call->task.op, peer);
    rt_peer_hold(peer);
    rt_task_start(&call->task, &peer->line);
}
