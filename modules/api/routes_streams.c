/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of live rooms. The rules are hb_stream.c's, hb_viewer.c's and hb_stream_list.c's.
 */
#include "mod_halobuzz_api.h"

#include "hb_stream.h"
#include "hb_stream_list.h"
#include "hb_stream_quality.h"
#include "hb_viewer.h"

static const char *stream_id(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "id");
}

/* Put the media part in; without a media service the room still works (chat, counts). */
static apr_status_t add_media(hb_ap_call_t *call, const hb_json_t *stream,
                              hb_stream_role_e role)
{
    hb_json_t *media = NULL;
    apr_status_t rv = hb_stream_media(&media, call->op, stream, role);

    if (rv == HB_E_MEDIA_UNSET) {
        hb_op_recover(call->op);
        hb_json_set_null(call->reply, "media");
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        hb_json_set(call->reply, "media", media);
    }
    return rv;
}

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_stream_list(&call->reply_text, &call->reply_bytes, call->op, call->query);
}

static apr_status_t ranking(hb_ap_call_t *call)
{
    return hb_stream_ranking(&call->reply_text, &call->reply_bytes, call->op,
                             hb_ap_limit_of(call));
}

static apr_status_t create(hb_ap_call_t *call)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_create(&stream, call->op, call->input);

    if (rv == APR_SUCCESS) {
        call->reply = hb_stream_to_json(call->op, stream);
    }
    return rv;
}

static apr_status_t get(hb_ap_call_t *call)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_get(&stream, call->op, stream_id(call));

    if (rv == APR_SUCCESS) {
        call->reply = hb_stream_to_json(call->op, stream);
    }
    return rv;
}

static apr_status_t edit(hb_ap_call_t *call)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_edit(&stream, call->op, stream_id(call), call->input);

    if (rv == APR_SUCCESS) {
        call->reply = hb_stream_to_json(call->op, stream);
    }
    return rv;
}

static apr_status_t drop(hb_ap_call_t *call)
{
    return hb_stream_drop(call->op, stream_id(call));
}

static apr_status_t start(hb_ap_call_t *call)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_start(&stream, call->op, stream_id(call));

    if (rv == APR_SUCCESS) {
        call->reply = hb_json_object_make(call->op->pool);
        hb_json_set(call->reply, "stream", hb_stream_to_json(call->op, stream));
        rv = add_media(call, stream, HB_STREAM_HOST);
    }
    return rv;
}

static apr_status_t end(hb_ap_call_t *call)
{
    hb_json_t *stream;
    apr_status_t rv = hb_stream_end(&stream, call->op, stream_id(call));

    if (rv == APR_SUCCESS) {
        call->reply = hb_stream_to_json(call->op, stream);
    }
    return rv;
}

static apr_status_t join(hb_ap_call_t *call)
{
    hb_stream_role_e role;
    hb_json_t *stream;
    apr_status_t rv = hb_viewer_join(&stream, call->op, stream_id(call));

    if (rv == APR_SUCCESS) {
        role = hb_stream_is_host(call->op, stream) ? HB_STREAM_HOST : HB_STREAM_VIEWER;
        call->reply = hb_json_object_make(call->op->pool);
        hb_json_set(call->reply, "stream", hb_stream_to_public_json(call->op, stream));
        hb_json_set_string(call->reply, "role", hb_stream_role_name(role));
        rv = add_media(call, stream, role);
    }
    return rv;
}

static apr_status_t leave(hb_ap_call_t *call)
{
    return hb_viewer_leave(call->op, stream_id(call));
}

static apr_status_t token(hb_ap_call_t *call)
{
    return hb_stream_token(&call->reply, call->op, stream_id(call),
                           hb_json_string(call->query, "role"));
}

static apr_status_t report(hb_ap_call_t *call)
{
    return hb_stream_report(&call->reply, call->op, stream_id(call), call->input);
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/streams", .rate = "api", .action = list,
      .sentence = "streams, by default the live ones with most viewers first",
      .query = HB_F_STREAM_LIST, .output = "[liveStreams:all]",
      .errors = "input.invalid cursor.invalid forbidden", .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams", .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED,
      .rate = "api", .action = create,
      .sentence = "plan a stream; it is pending until its host starts it",
      .input = HB_F_STREAM_NEW, .output = "liveStreams:self",
      .errors = "input.invalid stream.already_live", .tag = "streams" },
    { .method = M_HB_GET, .path = "/streams/ranking", .rate = "api", .action = ranking,
      .sentence = "the most popular live streams",
      .query = HB_F_STREAM_RANK_LIST, .output = "streamRanks", .tag = "streams" },
    { .method = M_HB_GET, .path = "/streams/{id}", .rate = "api", .action = get,
      .sentence = "one stream; its host and staff see more of it",
      .output = "liveStreams:self", .errors = "stream.unknown", .tag = "streams" },
    { .method = M_HB_PATCH, .path = "/streams/{id}", .needs = HB_NEED_USER | HB_NEED_BODY,
      .rate = "api", .action = edit,
      .sentence = "change the title and the like of one's own stream",
      .input = HB_F_STREAM_EDIT, .output = "liveStreams:self",
      .errors = "input.invalid stream.unknown stream.ended forbidden", .tag = "streams" },
    { .method = M_HB_DELETE, .path = "/streams/{id}", .needs = HB_NEED_USER | HB_GIVES_NOTHING,
      .rate = "api", .action = drop,
      .sentence = "withdraw one's own stream before it starts",
      .errors = "stream.unknown stream.state stream.ended forbidden", .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams/{id}/start", .needs = HB_NEED_USER,
      .rate = "api", .action = start,
      .sentence = "go live; gives the token to publish with",
      .output = "streamStudio",
      .errors = "stream.unknown stream.state stream.ended forbidden", .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams/{id}/end", .needs = HB_NEED_USER,
      .rate = "api", .action = end,
      .sentence = "end a live stream and get its analytics; its host or a moderator",
      .output = "liveStreams:self",
      .errors = "stream.unknown stream.state stream.ended role.required totp.setup_required",
      .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams/{id}/join", .needs = HB_NEED_USER,
      .rate = "api", .action = join,
      .sentence = "enter the room; counts once however often",
      .output = "streamRoom",
      .errors = "stream.unknown stream.state stream.ended user.blocked room.kicked",
      .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams/{id}/leave",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .rate = "api", .action = leave,
      .sentence = "leave the room; also when not in it",
      .errors = "stream.unknown", .tag = "streams" },
    { .method = M_HB_GET, .path = "/streams/{id}/token", .needs = HB_NEED_USER,
      .rate = "api", .action = token,
      .sentence = "another media token, when the one from start or join runs out",
      .query = HB_F_STREAM_TOKEN, .output = "streamMedia",
      .errors = "stream.unknown stream.state stream.ended user.blocked room.kicked "
                "media.unconfigured forbidden", .tag = "streams" },
    { .method = M_HB_POST, .path = "/streams/{id}/quality",
      .needs = HB_NEED_USER | HB_NEED_BODY, .rate = "api", .action = report,
      .sentence = "report how the picture arrives; for who is in the room, every ten seconds or so",
      .input = HB_F_STREAM_REPORT, .output = "streamQuality",
      .errors = "input.invalid stream.unknown stream.state stream.ended forbidden",
      .tag = "streams" },
};

const hb_route_set_t hb_routes_streams = { rows, sizeof(rows) / sizeof(rows[0]) };
