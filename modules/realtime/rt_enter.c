/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming in. A thread asks the core who holds the token, and when the client names an earlier
 * connection, takes that up and enters its streams again; the loop then decides whether
 * nothing would be missing. Only then the client is told that it is recovered.
 *
 * Meanwhile the world goes on: the socket may be gone when the thread comes back, the session may
 * have been ended after it was looked at (then it is looked at again), the earlier
 * connection may still stand because nobody noticed its end (then it is ended first).
 */
#include "rt_house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_session.h"
#include "hb_token.h"
#include "rt_answer.h"
#include "rt_memory.h"

#define TRIES 3
#define ID_RANDOM_BYTES (RT_ID_BYTES / 4 * 3)

typedef struct enter_t {
    rt_task_t task;
    rt_peer_t *peer;
    const char *token, *pid, *stream_id;
    char epoch[17];             /* of the log, and its newest event */
    apr_uint64_t newest;
    hb_claims_t claims;
    rt_found_e found;
    rt_kept_t kept;             /* when found is RT_FOUND_CUT */
    int place;
    int is_in[RT_RECOVER_ROOMS];        /* that stream was entered again */
    int may_all;                /* no stream refused but those that ended */
    const char *new_pid, *new_sid;
    rt_blocks_t *blocks;
} enter_t;

static void enter(rt_peer_t *peer);

/* --- in a thread --- */

static apr_status_t make_ids(enter_t *task)
{
    hb_op_t *op = task->task.op;

    task->new_pid = hb_random_token(op, ID_RANDOM_BYTES);
    task->new_sid = hb_random_token(op, ID_RANDOM_BYTES);
    return task->new_pid != NULL && task->new_sid != NULL ? APR_SUCCESS
        : hb_fail(op, HB_E_INTERNAL, NULL);
}

/* The streams of the earlier connection, under the rules of today. */
static void enter_streams(enter_t *task)
{
    hb_op_t *op = task->task.op;
    apr_uint32_t i;

    task->may_all = 1;
    for (i = 0; i < task->kept.n_rooms; i++) {
        hb_json_t *stream;
        apr_status_t rv = rt_node_join(&stream, task->peer->hub->house->node, op,
                                       task->kept.rooms[i].stream_id);

        task->is_in[i] = rv == APR_SUCCESS;
        if (rv != APR_SUCCESS) {
            hb_op_recover(op);
            if (rv != HB_E_STREAM_ENDED) {
                task->may_all = 0;
            }
        }
    }
}

static void enter_run(rt_task_t *base)
{
    enter_t *task = (enter_t *)base;
    hb_op_t *op = base->op;
    hb_json_t *stream;

    base->rv = hb_session_check(op, task->token);
    if (base->rv == APR_SUCCESS) {
        base->rv = hb_token_verify(&task->claims, op, task->token);
    }
    if (base->rv == APR_SUCCESS) {
        base->rv = make_ids(task);
    }
    if (base->rv == APR_SUCCESS) {
        task->newest = rt_feed_newest(op->site, task->epoch, task->newest);
    }
    if (base->rv == APR_SUCCESS) {
        base->rv = rt_blocks_read(&task->blocks, op);
    }
    if (base->rv == APR_SUCCESS && task->stream_id != NULL) {
        base->rv = rt_node_join(&stream, task->peer->hub->house->node, op, task->stream_id);
    }
    if (base->rv == APR_SUCCESS && task->pid != NULL) {
        task->found = rt_recover_take(&task->kept, &task->place,
                                      task->peer->hub->house->recover, task->pid,
                                      op->actor.user_id, hb_limit_now());
        if (task->found == RT_FOUND_CUT) {
            enter_streams(task);
        }
    }
}

/* --- back in the loop --- */

/* Nobody takes what the thread brought. */
static void undo(enter_t *task)
{
    rt_house_t *house = task->peer->hub->house;
    const char *user_id = task->task.op->actor.user_id;
    apr_uint64_t now_msec = (apr_uint64_t)(hb_limit_now() / 1000);
    apr_uint32_t i;

    if (task->task.rv == APR_SUCCESS && task->stream_id != NULL) {
        rt_viewers_cut(house->viewers, task->stream_id, user_id, now_msec);
    }
    for (i = 0; task->found == RT_FOUND_CUT && i < task->kept.n_rooms; i++) {
        if (task->is_in[i]) {
            rt_viewers_cut(house->viewers, task->kept.rooms[i].stream_id, user_id, now_msec);
        }
    }
}

static void refuse(rt_peer_t *peer, hb_op_t *op, apr_status_t rv)
{
    const hb_json_t *ack = rt_answer_failure(op, rv);
    const hb_json_t *error = hb_json_get(ack, "error");
    rt_socket_t *socket = peer->socket;

    if (peer->state == RT_PEER_ENTERING && peer->door == RT_DOOR_PLAIN
        && rt_socket_sid(socket)[0] != '\0') {
        /* It was let in to say who it is. */
        const char *text = hb_json_text(ack, op->pool, NULL);

        rt_answer_send(peer, 0, text, strlen(text));
        rt_session_close(rt_socket_session(socket), RT_GONE_SIGNED_OUT);
        return;
    }
    if (peer->door != RT_DOOR_SOCKET_IO) {
        error = rt_answer_problem(op, rv);
    }
    rt_peer_hold(peer);
    rt_peer_over(peer);
    rt_refuse(socket, hb_json_string(error, "detail"), hb_json_text(error, op->pool, NULL),
              (int)hb_json_int(error, "status", 500));
    rt_peer_release(peer);
}

int rt_was_revoked(const rt_hub_t *hub, apr_uint64_t before, const char *user_id,
                   const char *session_id)
{
    apr_uint64_t i;

    if (hub->n_revoked - before > RT_REVOKED_KEPT) {
        return 1;
    }
    for (i = before; i < hub->n_revoked; i++) {
        const char *id = hub->revoked[i % RT_REVOKED_KEPT];

        if (strcmp(id, user_id) == 0 || strcmp(id, session_id) == 0) {
            return 1;
        }
    }
    return 0;
}

void rt_peer_set_token(rt_peer_t *peer, const char *token, apr_time_t expires_at)
{
    if (token != peer->token) {
        free(peer->token);
        peer->token = rt_need_text(token);
    }
    rt_due_set(peer->hub->due, &peer->due, expires_at);
}

/* A decimal number and nothing else. */
static int read_offset(apr_uint64_t *offset, const char *text)
{
    char *end;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 19) {
        return 0;
    }
    *offset = (apr_uint64_t)apr_strtoi64(text, &end, 10);
    return *end == '\0';
}

/* Is everything after the client's offset known, in each of its rooms? */
static int find_missed(rt_missed_t *missed, apr_uint64_t *after_all, const enter_t *task)
{
    const rt_peer_t *peer = task->peer;
    const rt_hub_t *hub = peer->hub;
    apr_pool_t *pool = task->task.op->pool;
    rt_since_t rooms[RT_RECOVER_ROOMS + 3];
    apr_uint64_t after = task->kept.since;
    apr_uint32_t i, n = 0;

    if (peer->wish->offset != NULL && !read_offset(&after, peer->wish->offset)) {
        return 0;
    }
    if (after > task->newest) {
        return 0;               /* not of this log */
    }
    *after_all = after;
    rooms[n++] = (rt_since_t){ rt_room_name_of("user", peer->user_id, pool), after, hub->seq };
    rooms[n++] = (rt_since_t){ rt_room_name_of("session", peer->session_id, pool), after,
                               hub->seq };
    rooms[n++] = (rt_since_t){ "all", after, hub->seq };
    for (i = 0; i < task->kept.n_rooms; i++) {
        const rt_kept_room_t *room = &task->kept.rooms[i];

        /* Where it is not let in any more it hears the last words now or never. */
        rooms[n++] = (rt_since_t){ rt_room_name_of("stream", room->stream_id, pool),
                                   room->since > after ? room->since : after,
                                   task->is_in[i] ? hub->seq : (apr_uint64_t)-1 };
    }
    rt_history_missed(missed, hub->house->history, rooms, (int)n, rt_replay_max(hub->house));
    return task->may_all && missed->is_complete;
}

static void sit_down(rt_peer_t *peer, apr_pool_t *pool)
{
    rt_rooms_t *rooms = peer->hub->rooms;
    const char *names[3] = { rt_room_name_of("user", peer->user_id, pool),
                             rt_room_name_of("session", peer->session_id, pool), "all" };
    int i;

    for (i = 0; i < 3; i++) {
        rt_room_t *room = rt_room_hold(rooms, names[i]);

        rt_room_enter(room, &peer->member);
        rt_room_release(room);
    }
}

/* Take up the earlier connection. */
static void resume(rt_peer_t *peer, enter_t *task)
{
    apr_pool_t *pool = task->task.op->pool;
    apr_uint32_t i;

    peer->place = task->place;
    for (i = 0; i < task->kept.n_rooms; i++) {
        const rt_kept_room_t *kept = &task->kept.rooms[i];
        rt_room_t *room;

        if (!task->is_in[i]) {
            continue;           /* it ended; its last words are in the history */
        }
        room = rt_room_hold(peer->hub->rooms, rt_room_name_of("stream", kept->stream_id, pool));
        rt_room_enter(room, &peer->member);
        rt_room_release(room);
        rt_peer_watch_add(peer, kept->stream_id,
                          kept->since > peer->since ? kept->since : peer->since);
    }
}

/* A new connection, remembered from now on. */
static void begin_anew(rt_peer_t *peer, enter_t *task)
{
    rt_house_t *house = peer->hub->house;
    rt_kept_t kept;

    if (task->found == RT_FOUND_CUT) {
        undo(task);
        rt_recover_remove(house->recover, task->place);
    }
    memset(&kept, 0, sizeof(kept));
    apr_cpystrn(kept.pid, task->new_pid, sizeof(kept.pid));
    apr_cpystrn(kept.sid, task->new_sid, sizeof(kept.sid));
    apr_cpystrn(kept.user_id, peer->user_id, sizeof(kept.user_id));
    kept.since = task->newest;
    if (peer->door == RT_DOOR_STREAM) {
        peer->place = -1;
        return;
    }
    peer->place = rt_recover_add(house->recover, &kept, hb_limit_now());
    if (peer->place < 0 && rt_house_may_say(&house->full_said_msec, peer->hub)) {
        hb_log(task->task.op, HB_LOG_WARNING, 0, HBLOGNO(06515) "as many connections are open as are "
               "remembered; further ones cannot be taken up again when they are cut: raise "
               "HaloBuzzRealtimeRemembered");
    }
}

/* Was this person sent out of a stream after the thread had entered it? */
static int was_sent_out(const enter_t *task)
{
    const rt_peer_t *peer = task->peer;
    const char *user_id = task->task.op->actor.user_id;
    apr_uint64_t before = peer->wish->sent_out_before;
    apr_uint32_t i;

    if (task->stream_id != NULL
        && rt_was_sent_out(peer->hub, before, task->stream_id, user_id) != APR_SUCCESS) {
        return 1;
    }
    for (i = 0; task->found == RT_FOUND_CUT && i < task->kept.n_rooms; i++) {
        if (task->is_in[i]
            && rt_was_sent_out(peer->hub, before, task->kept.rooms[i].stream_id, user_id)
               != APR_SUCCESS) {
            return 1;
        }
    }
    return 0;
}

static void let_in(rt_peer_t *peer, enter_t *task)
{
    rt_hub_t *hub = peer->hub;
    const hb_op_t *op = task->task.op;
    rt_missed_t missed = { NULL, 0, 0, 0 };
    const char *sid = task->new_sid, *pid = task->new_pid;
    apr_uint64_t after;
    int is_recovered;

    if (strcmp(task->epoch, hub->epoch) != 0) {
        task->newest = hub->seq;        /* that was another log */
    }
    apr_cpystrn(peer->user_id, op->actor.user_id, sizeof(peer->user_id));
    apr_cpystrn(peer->session_id, op->actor.session_id, sizeof(peer->session_id));
    is_recovered = task->found == RT_FOUND_CUT
        && !rt_recover_is_spoilt(hub->house->recover, task->place)
        && find_missed(&missed, &after, task);
    peer->since = is_recovered ? after : task->newest;
    rt_blocks_free(peer->blocks);
    peer->blocks = task->blocks;
    task->blocks = NULL;
    rt_feed_not_before(hub, task->newest);
    if (is_recovered) {
        resume(peer, task);
        sid = task->kept.sid;
        pid = task->kept.pid;
    } else {
        begin_anew(peer, task);
    }
    if (peer->place >= 0) {
        __atomic_store_n(&hub->house->sockets[peer->place], peer->id, __ATOMIC_RELAXED);
    }
    peer->state = RT_PEER_IN;
    hub->n_plain += peer->door == RT_DOOR_PLAIN;
    hub->n_stream += peer->door == RT_DOOR_STREAM;
    rt_peer_set_token(peer, peer->token, task->claims.expires_at);
    if (rt_socket_sid(peer->socket)[0] == '\0') {
        rt_accept(peer->socket, sid, peer->place < 0 ? NULL
                  : apr_psprintf(op->pool, "\"pid\":\"%s\"", pid));
    }
    sit_down(peer, op->pool);
    if (peer->door == RT_DOOR_STREAM) {
        rt_stream_enter(peer);
    }
    else if (peer->door == RT_DOOR_PLAIN) {
        rt_plain_ready(peer, sid, peer->place < 0 ? NULL : pid, is_recovered);
    }
    if (is_recovered) {
        rt_feed_replay(peer, &missed);
    }
    rt_missed_free(&missed);
    if (hub->n_block_changes != peer->wish->blocks_before) {
        rt_blocks_again(peer);
    }
    rt_peer_wish_free(peer);
}

/* --- an earlier connection that still stands --- */

typedef struct replace_t {
    rt_loop_t *back;
    apr_uint64_t old_id, new_id;
    char user_id[RT_STREAM_ID_MAX + 1];
} replace_t;

static void try_again(rt_loop_t *loop, void *baton)
{
    replace_t *replace = baton;
    rt_socket_t *socket = rt_socket_find(loop, replace->new_id);
    rt_peer_t *peer = socket != NULL ? rt_socket_data(socket) : NULL;

    if (peer != NULL && peer->state == RT_PEER_ENTERING) {
        enter(peer);
    }
    free(replace);
}

static void end_old(rt_loop_t *loop, void *baton)
{
    replace_t *replace = baton;
    rt_socket_t *socket = rt_socket_find(loop, replace->old_id);
    const rt_peer_t *old = socket != NULL ? rt_socket_data(socket) : NULL;

    /* Its place may be somebody else's by now, if it went just before we came. */
    if (old != NULL && strcmp(old->user_id, replace->user_id) == 0) {
        rt_session_close(rt_socket_session(socket), RT_GONE_REPLACED);
    }
    rt_post(replace->back, try_again, replace);
}

static void replace_old(rt_peer_t *peer, const char *user_id, int place)
{
    rt_house_t *house = peer->hub->house;
    replace_t *replace = rt_need(sizeof(*replace));

    apr_cpystrn(replace->user_id, user_id, sizeof(replace->user_id));
    replace->back = peer->hub->loop;
    replace->old_id = __atomic_load_n(&house->sockets[place], __ATOMIC_RELAXED);
    replace->new_id = peer->id;
    rt_post(rt_socket_id_loop(rt_loop_engine(peer->hub->loop), replace->old_id), end_old,
            replace);
}

static void enter_done(rt_task_t *base)
{
    enter_t *task = (enter_t *)base;
    rt_peer_t *peer = task->peer;
    rt_hub_t *hub = peer->hub;
    rt_wish_t *wish = peer->wish;
    hb_op_t *op = base->op;

    if (peer->socket == NULL) {
        undo(task);
        if (task->found == RT_FOUND_CUT) {
            rt_recover_cut(hub->house->recover, task->place, hb_limit_now());
        }
    }
    else if (base->rv != APR_SUCCESS) {
        refuse(peer, op, base->rv);
    }
    else if (wish->tries < TRIES
             && (task->found == RT_FOUND_LIVE || was_sent_out(task)
                 || rt_was_revoked(hub, wish->revoked_before, op->actor.user_id,
                                   op->actor.session_id))) {
        undo(task);
        if (task->found == RT_FOUND_CUT) {
            rt_recover_cut(hub->house->recover, task->place, hb_limit_now());
        }
        if (task->found == RT_FOUND_LIVE
            && __atomic_load_n(&hub->house->sockets[task->place], __ATOMIC_RELAXED) != 0) {
            replace_old(peer, op->actor.user_id, task->place);
        } else {
            enter(peer);
        }
    }
    else if (!rt_tally_take(hub->house->by_user, op->actor.user_id)) {
        undo(task);
        if (task->found == RT_FOUND_CUT) {
            rt_recover_cut(hub->house->recover, task->place, hb_limit_now());
        }
        rt_loop_limited(hub->loop);
        refuse(peer, op, hb_fail(op, HB_E_CONNECTIONS, NULL));
    }
    else {
        let_in(peer, task);
    }
    rt_blocks_free(task->blocks);
    rt_peer_release(peer);
}

static void enter(rt_peer_t *peer)
{
    const rt_guest_t *guest = rt_session_data(rt_socket_session(peer->socket));
    enter_t *task = rt_task_make_always(peer->hub->works, sizeof(*task));
    apr_pool_t *pool = task->task.op->pool;

    task->task.run = enter_run;
    task->task.done = enter_done;
    task->peer = peer;
    memcpy(task->epoch, peer->hub->epoch, sizeof(task->epoch));
    task->newest = peer->hub->seq;
    task->token = apr_pstrdup(pool, peer->token);
    task->pid = peer->wish->pid != NULL ? apr_pstrdup(pool, peer->wish->pid) : NULL;
    if (peer->door == RT_DOOR_STREAM) {
        task->stream_id = apr_pstrdup(pool, guest->stream_id);
    }
    rt_peer_mark(task->task.op, peer);
    if (guest->request_id[0] != '\0') {
        task->task.op->request_id = apr_pstrdup(pool, guest->request_id);
    }
    peer->state = RT_PEER_ENTERING;
    peer->wish->tries++;
    peer->wish->revoked_before = peer->hub->n_revoked;
    peer->wish->blocks_before = peer->hub->n_block_changes;
    peer->wish->sent_out_before = peer->hub->n_sent_out;
    rt_peer_hold(peer);
    rt_task_start(&task->task, &peer->line);
}

/* --- what the client says --- */

static char *text_of(const hb_json_t *object, const char *key)
{
    const char *text = hb_json_string(object, key);

    return text != NULL ? rt_need_text(text) : NULL;
}

void rt_enter_with(rt_peer_t *peer, const hb_json_t *auth)
{
    const rt_guest_t *guest = rt_session_data(rt_socket_session(peer->socket));
    const char *token = hb_json_string(auth, "token");

    if (token == NULL) {
        token = guest->token;
    }
    free(peer->token);
    peer->token = rt_need_text(token != NULL ? token : "");
    peer->id = rt_socket_id(peer->socket);
    if (peer->wish == NULL) {
        peer->wish = rt_need(sizeof(*peer->wish));
        peer->wish->pid = text_of(auth, "pid");
        peer->wish->offset = text_of(auth, "offset");
    }
    enter(peer);
}

void rt_enter_begin(rt_peer_t *peer, rt_bytes_t auth)
{
    rt_hub_t *hub = peer->hub;
    const rt_guest_t *guest = rt_session_data(rt_socket_session(peer->socket));
    const char *why;
    hb_json_t *json;
    hb_op_t *op;

    if (peer->door == RT_DOOR_PLAIN && guest->token == NULL) {
        /* A browser's WebSocket can send no header: its first message says who it is. */
        peer->state = RT_PEER_WAITING;
        peer->id = rt_socket_id(peer->socket);
        rt_due_set(hub->strangers, &peer->due, hb_limit_now() + apr_time_from_sec(10));
        rt_accept(peer->socket, NULL, NULL);
        return;
    }
    op = hb_op_make(hub->house->site, hub->scratch);
    if (guest->request_id[0] != '\0') {
        op->request_id = guest->request_id;
    }
    if (auth.len > RT_ARGS_MAX_BYTES) {
        refuse(peer, op, hb_fail(op, HB_E_BODY_TOO_LARGE, "at most %d bytes", RT_ARGS_MAX_BYTES));
    }
    else if (hb_json_parse(&json, &why, auth.at, auth.len, hub->scratch) != APR_SUCCESS) {
        refuse(peer, op, hb_fail(op, HB_E_BODY_SYNTAX, "%s", why));
    }
    else if (hb_json_string(json, "token") == NULL && guest->token == NULL) {
        refuse(peer, op, hb_fail(op, HB_E_AUTH_REQUIRED, peer->door == RT_DOOR_SOCKET_IO
                                 ? "auth.token has to hold an access token"
                                 : "send Authorization: Bearer, or the cookie of /auth/cookie"));
    }
    else {
        rt_enter_with(peer, json);
    }
    apr_pool_clear(hub->scratch);
}
