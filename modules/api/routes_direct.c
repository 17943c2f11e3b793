/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of direct messages and the inbox. The rules are hb_direct.c's. */
#include "mod_halobuzz_api.h"

#include "hb_direct.h"

static const char *peer_id(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "userId");
}

static apr_status_t conversations(hb_ap_call_t *call)
{
    return hb_direct_conversations(&call->reply, call->op, hb_ap_limit_of(call),
                                   hb_ap_after_of(call));
}

static apr_status_t unread(hb_ap_call_t *call)
{
    return hb_direct_unread(&call->reply, call->op);
}

static apr_status_t messages(hb_ap_call_t *call)
{
    return hb_direct_messages(&call->reply, call->op, peer_id(call), hb_ap_limit_of(call),
                              hb_ap_after_of(call));
}

static apr_status_t write_to(hb_ap_call_t *call)
{
    return hb_direct_send(&call->reply, call->op, peer_id(call), call->input);
}

static apr_status_t read_all(hb_ap_call_t *call)
{
    return hb_direct_read(&call->reply, call->op, peer_id(call));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/conversations", .needs = HB_NEED_USER, .rate = "api",
      .action = conversations,
      .sentence = "the caller's conversations, newest first; without people who left or are blocked, so pages may be short",
      .query = HB_F_LIST, .output = "[conversation]",
      .errors = "input.invalid cursor.invalid", .tag = "chat" },
    { .method = M_HB_GET, .path = "/conversations/unread", .needs = HB_NEED_USER, .rate = "api",
      .action = unread, .sentence = "how much waits in the inbox", .output = "unread",
      .tag = "chat" },
    { .method = M_HB_GET, .path = "/conversations/{userId}/messages", .needs = HB_NEED_USER,
      .rate = "api", .action = messages,
      .sentence = "what the caller and somebody wrote to each other, newest first",
      .query = HB_F_LIST, .output = "[directMessages:all]",
      .errors = "input.invalid cursor.invalid user.unknown", .tag = "chat" },
    { .method = M_HB_POST, .path = "/conversations/{userId}/messages",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED, .rate = "api",
      .action = write_to,
      .sentence = "write to somebody; sent twice with one clientId, it is written once",
      .input = HB_F_DIRECT_SEND, .output = "directSent",
      .errors = "input.invalid user.unknown user.self user.blocked user.underage user.closed "
                "rate.limited", .tag = "chat" },
    { .method = M_HB_POST, .path = "/conversations/{userId}/read", .needs = HB_NEED_USER,
      .rate = "api", .action = read_all,
      .sentence = "all of a conversation was looked at", .output = "directRead",
      .errors = "user.unknown", .tag = "chat" },
};

const hb_route_set_t hb_routes_direct = { rows, sizeof(rows) / sizeof(rows[0]) };
