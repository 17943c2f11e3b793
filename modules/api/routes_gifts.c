/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of gifts, leaderboards and OG tiers. The rules are hb_gift.c's, hb_leaderboard.c's
 * and hb_og.c's.
 */
#include "mod_halobuzz_api.h"

#include "hb_gift.h"
#include "hb_leaderboard.h"
#include "hb_og.h"
#include "hb_role.h"

static apr_status_t catalog(hb_ap_call_t *call)
{
    return hb_gift_catalog(&call->reply, call->op, hb_ap_limit_of(call),
                           hb_ap_after_of(call));
}

static apr_status_t give(hb_ap_call_t *call)
{
    return hb_gift_send(&call->reply, call->op, hb_ap_path_value(call, "id"), call->input);
}

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_gift_list(&call->reply, call->op, hb_ap_path_value(call, "id"),
                        hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t room_board(hb_ap_call_t *call)
{
    return hb_leaderboard_room(&call->reply, call->op, hb_ap_path_value(call, "id"),
                               hb_ap_limit_of(call));
}

static apr_status_t gifters(hb_ap_call_t *call)
{
    return hb_leaderboard_gifters(&call->reply, call->op,
                                  hb_json_string(call->query, "period"), hb_ap_limit_of(call));
}

static apr_status_t catalog_all(hb_ap_call_t *call)
{
    return hb_gift_catalog_all(&call->reply, call->op, hb_ap_limit_of(call),
                               hb_ap_after_of(call));
}

static apr_status_t gift_edit(hb_ap_call_t *call)
{
    return hb_gift_edit(&call->reply, call->op, hb_ap_path_value(call, "id"), call->input);
}

static apr_status_t tiers(hb_ap_call_t *call)
{
    return hb_og_tiers(&call->reply, call->op);
}

static apr_status_t subscribe(hb_ap_call_t *call)
{
    return hb_og_subscribe(&call->reply, call->op, call->input);
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/gifts", .rate = "api", .action = catalog,
      .sentence = "the gift catalogue, cheapest first",
      .query = HB_F_LIST, .output = "[giftCatalog:all]",
      .errors = "input.invalid cursor.invalid", .tag = "gifts" },
    { .method = M_HB_GET, .path = "/admin/gifts", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = catalog_all,
      .sentence = "the whole catalogue, also what is off sale or waits for its festival",
      .query = HB_F_LIST, .output = "[giftCatalog:staff]",
      .errors = "input.invalid cursor.invalid", .tag = "gifts" },
    { .method = M_HB_PATCH, .path = "/admin/gifts/{id}", .needs = HB_NEED_USER | HB_NEED_BODY,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = gift_edit,
      .sentence = "take a gift from sale or give it back; keep it for festivals",
      .input = HB_F_GIFT_EDIT, .output = "giftCatalog:staff",
      .errors = "input.invalid gift.unknown", .tag = "gifts" },
    { .method = M_HB_POST, .path = "/streams/{id}/gifts",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .rate = "api", .action = give,
      .sentence = "send a gift to the host of a live stream; bonus coins buy none",
      .input = HB_F_GIFT_SEND, .output = "giftSent",
      .errors = "input.invalid idempotency.missing idempotency.mismatch stream.unknown stream.state "
                "stream.ended user.self user.blocked room.kicked gift.unknown gift.og_level "
                "gift.festival wallet.short",
      .tag = "gifts" },
    { .method = M_HB_GET, .path = "/streams/{id}/gifts", .rate = "api", .action = list,
      .sentence = "gifts of a stream, newest first; its host and staff see the host's share",
      .query = HB_F_LIST, .output = "[gifts:self]",
      .errors = "input.invalid cursor.invalid stream.unknown", .tag = "gifts" },
    { .method = M_HB_GET, .path = "/streams/{id}/leaderboard", .rate = "api",
      .action = room_board, .sentence = "who gave most in a room",
      .query = HB_F_ROOM_BOARD_LIST, .output = "leaderboard",
      .errors = "input.invalid stream.unknown", .tag = "gifts" },
    { .method = M_HB_GET, .path = "/leaderboards/gifters", .rate = "api", .action = gifters,
      .sentence = "who gives most, today or this week",
      .query = HB_F_LEADERBOARD_LIST, .output = "leaderboard",
      .errors = "input.invalid", .tag = "gifts" },
    { .method = M_HB_GET, .path = "/og/tiers", .rate = "api", .action = tiers,
      .sentence = "the OG tiers and what they bring", .output = "ogTierList", .tag = "og" },
    { .method = M_HB_POST, .path = "/og/subscribe",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY,
      .rate = "api", .action = subscribe,
      .sentence = "buy an OG tier with coins, bonus coins first; extends the tier that runs, and "
                  "credits what is left of a lower one",
      .input = HB_F_OG_SUBSCRIBE, .output = "ogSubscribed",
      .errors = "input.invalid idempotency.missing idempotency.mismatch og.unknown og.lower wallet.debt "
                "og.too_long wallet.short", .tag = "og" },
};

const hb_route_set_t hb_routes_gifts = { rows, sizeof(rows) / sizeof(rows[0]) };
