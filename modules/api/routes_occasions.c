/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the Halo Throne. The rules are hb_throne.h's. */
#include "mod_halobuzz_api.h"

#include "hb_role.h"
#include "hb_throne.h"

static int limit_of(const hb_ap_call_t *call)
{
    return (int)hb_json_int(call->query, "limit", 20);
}

static apr_status_t throne(hb_ap_call_t *call)
{
    return hb_throne_show(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t claim(hb_ap_call_t *call)
{
    return hb_throne_claim(&call->reply, call->op, hb_ap_path_value(call, "id"), call->input);
}

static apr_status_t reigns(hb_ap_call_t *call)
{
    return hb_throne_history(&call->reply, call->op, hb_ap_path_value(call, "id"),
                             limit_of(call), hb_json_string(call->query, "after"));
}

static apr_status_t vacate(hb_ap_call_t *call)
{
    return hb_throne_vacate(call->op, hb_ap_path_value(call, "id"),
                            hb_json_string(call->input, "reason"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/streams/{id}/throne", .rate = "api", .action = throne,
      .sentence = "who has the throne of a stream's room, and what it costs",
      .output = "throne", .errors = "stream.unknown", .tag = "throne" },
    { .method = M_HB_POST, .path = "/streams/{id}/throne",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .rate = "api", .action = claim,
      .sentence = "claim the throne of a live stream's room for its price or more; bonus coins do "
                  "not count, and no coins come back",
      .input = HB_F_THRONE_CLAIM, .output = "throneClaimed",
      .errors = "input.invalid idempotency.missing idempotency.mismatch stream.unknown stream.state "
                "stream.ended user.self user.underage user.blocked room.muted room.kicked throne.own "
                "throne.price wallet.short",
      .tag = "throne" },
    { .method = M_HB_GET, .path = "/streams/{id}/throne/history", .rate = "api",
      .action = reigns, .sentence = "who had the throne of a stream's room, newest claim first",
      .query = HB_F_LIST, .output = "[throneReign]",
      .errors = "input.invalid cursor.invalid stream.unknown", .tag = "throne" },
    { .method = M_HB_POST, .path = "/streams/{id}/throne/vacate",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_NOTHING, .roles = HB_ROLE_MODERATOR,
      .rate = "api", .action = vacate,
      .sentence = "take the throne from who has it, without refund",
      .input = HB_F_REASON, .errors = "input.invalid stream.unknown", .tag = "throne" },
};

const hb_route_set_t hb_routes_occasions = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
