/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doors without Socket.IO. A plain WebSocket carries JSON objects:
 *
 *     C  {"event":"auth","data":{"token":"...","pid":"...","offset":"..."}}    when no header has it
 *     S  {"event":"ready","data":{"sid":"...","pid":"...","epoch":"...","recovered":false}}
 *     C  {"event":"stream:join","data":{"streamId":"..."},"ack":1}
 *     S  {"ack":1,"ok":true,...}
 *     S  {"event":"chat:new","data":{...},"offset":"123"}
 *
 * A text/event-stream is one room to listen to; each event's id is EPOCH-OFFSET, which a browser
 * gives back in Last-Event-ID when it reconnects.
 */
#include "rt_house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_json.h"
#include "rt_answer.h"

/* Nothing a client may say is longer; reading it takes the loop's time. */
#define MESSAGE_MAX_BYTES 17000

static void emit_to(rt_peer_t *peer, const char *plain, apr_size_t plain_len,
                    const char *stream, apr_size_t stream_len)
{
    rt_frame_t *frame = rt_frame_bare();

    if (plain != NULL) {
        rt_frame_set_plain(frame, plain, plain_len, 0);
    }
    if (stream != NULL) {
        rt_frame_set_stream(frame, stream, stream_len);
    }
    rt_emit(peer->socket, frame, RT_LANE_MONEY);
    rt_frame_release(frame);
}

void rt_answer_send(rt_peer_t *peer, apr_uint64_t ack_id, const char *ack, apr_size_t len)
{
    if (peer->door == RT_DOOR_SOCKET_IO) {
        rt_ack(peer->socket, ack_id, ack, len);
    }
    else if (peer->door == RT_DOOR_PLAIN) {
        char *text = malloc(len + 40);
        int n;

        if (text == NULL) {
            abort();
        }
        n = snprintf(text, len + 40, "{\"ack\":%" APR_UINT64_T_FMT ",%.*s", ack_id,
                     (int)(len - 1), ack + 1);
        emit_to(peer, text, (apr_size_t)n, NULL, 0);
        free(text);
    }
}

static void unreadable(rt_peer_t *peer, const char *why)
{
    apr_pool_t *pool = peer->hub->scratch;
    hb_json_t *failed = hb_json_object_make(pool);
    const char *text;
    apr_size_t len;

    hb_json_set_bool(failed, "ok", 0);
    hb_json_set(failed, "error", rt_answer_error(HB_E_BODY_SYNTAX, why, pool));
    text = hb_json_text(failed, pool, &len);
    emit_to(peer, text, len, NULL, 0);
    rt_session_close(rt_socket_session(peer->socket), RT_GONE_PARSE_ERROR);
}

void rt_plain_message(rt_peer_t *peer, const rt_event_t *event)
{
    rt_hub_t *hub = peer->hub;
    const char *why = "a message is a JSON object with event, data and ack", *name, *data;
    const hb_json_t *ack;
    hb_json_t *json;
    rt_bytes_t args;

    if (event->is_binary || event->args.len > MESSAGE_MAX_BYTES
        || hb_json_parse(&json, &why, event->args.at, event->args.len, hub->scratch)
           != APR_SUCCESS
        || (name = hb_json_string(json, "event")) == NULL) {
        unreadable(peer, why);
    }
    else if (peer->state == RT_PEER_WAITING) {
        if (strcmp(name, "auth") == 0) {
            rt_enter_with(peer, hb_json_get(json, "data"));
        } else {
            unreadable(peer, "say who you are first: {\"event\":\"auth\",\"data\":"
                             "{\"token\":...}}");
        }
    }
    else if (peer->state == RT_PEER_IN) {
        ack = hb_json_get(json, "ack");
        data = hb_json_text(hb_json_get(json, "data"), hub->scratch, &args.len);
        args.at = apr_pstrmemdup(hub->scratch, data, args.len);
        args.at = apr_psprintf(hub->scratch, "[%s]", args.at);
        args.len += 2;
        rt_call(peer, name, strlen(name), args, hb_json_type(ack) == HB_JSON_INT,
                (apr_uint64_t)hb_json_int_value(ack, 0));
    }
    apr_pool_clear(hub->scratch);
}

void rt_plain_ready(rt_peer_t *peer, const char *sid, const char *pid, int is_recovered)
{
    char text[300];
    int n;

    n = snprintf(text, sizeof(text), "{\"event\":\"ready\",\"data\":{\"sid\":\"%s\",%s%s%s"
                 "\"epoch\":\"%s\",\"recovered\":%s}}", sid, pid != NULL ? "\"pid\":\"" : "",
                 pid != NULL ? pid : "", pid != NULL ? "\"," : "", peer->hub->epoch,
                 is_recovered ? "true" : "false");
    emit_to(peer, text, (apr_size_t)n, NULL, 0);
}

/* "EPOCH-OFFSET" of this log. */
static int read_last_id(apr_uint64_t *after, const rt_hub_t *hub, apr_uint64_t newest,
                        const char *text)
{
    apr_size_t len = strlen(hub->epoch);
    char *end;

    if (text == NULL || len == 0 || strncmp(text, hub->epoch, len) != 0 || text[len] != '-'
        || text[len + 1] < '0' || text[len + 1] > '9') {
        return 0;
    }
    *after = (apr_uint64_t)apr_strtoi64(text + len + 1, &end, 10);
    return *end == '\0' && *after <= newest;
}

void rt_stream_enter(rt_peer_t *peer)
{
    const rt_guest_t *guest = rt_session_data(rt_socket_session(peer->socket));
    rt_hub_t *hub = peer->hub;
    char name[64], text[300];
    rt_since_t since = { name, 0, hub->seq };
    rt_missed_t missed = { NULL, 0, 0, 0 };
    apr_uint64_t after;
    rt_room_t *room;
    int is_recovered, n;

    snprintf(name, sizeof(name), "stream:%s", guest->stream_id);
    room = rt_room_hold(hub->rooms, name);
    is_recovered = read_last_id(&after, hub, peer->since, guest->last_id);
    if (is_recovered) {
        since.after = after;
        rt_history_missed(&missed, hub->house->history, &since, 1, rt_replay_max(hub->house));
        is_recovered = missed.is_complete;
    }
    if (!is_recovered) {
        /* From now on; but what the loop has told since the thread asked for the newest was told without it. */
        rt_missed_free(&missed);
        since.after = after = peer->since;
        rt_history_missed(&missed, hub->house->history, &since, 1, (apr_size_t)-1);
    }
    rt_room_enter(room, &peer->member);
    rt_peer_watch_add(peer, guest->stream_id, after);
    n = snprintf(text, sizeof(text), "id: %s-%" APR_UINT64_T_FMT "\nevent: ready\ndata: "
                 "{\"streamId\":\"%s\",\"epoch\":\"%s\",\"offset\":\"%" APR_UINT64_T_FMT "\","
                 "\"recovered\":%s}\n\n", hub->epoch, after, guest->stream_id, hub->epoch,
                 after, is_recovered ? "true" : "false");
    emit_to(peer, NULL, 0, text, (apr_size_t)n);
    rt_feed_replay(peer, &missed);
    rt_room_release(room);
}
