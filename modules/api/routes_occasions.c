/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the Halo Throne and of festivals. The rules are hb_throne.h's and hb_festival.h's. */
#include "mod_halobuzz_api.h"

#include "hb_festival.h"
#include "hb_role.h"
#include "hb_throne.h"

static const char *id_of(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "id");
}

/* --- thrones --- */

static apr_status_t throne(hb_ap_call_t *call)
{
    return hb_throne_show(&call->reply, call->op, id_of(call));
}

static apr_status_t claim(hb_ap_call_t *call)
{
    return hb_throne_claim(&call->reply, call->op, id_of(call), call->input);
}

static apr_status_t reigns(hb_ap_call_t *call)
{
    return hb_throne_history(&call->reply, call->op, id_of(call),
                             hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t vacate(hb_ap_call_t *call)
{
    return hb_throne_vacate(call->op, id_of(call),
                            hb_json_string(call->input, "reason"));
}

/* --- festivals --- */

static apr_status_t festivals(hb_ap_call_t *call)
{
    return hb_festival_list(&call->reply, call->op, hb_ap_limit_of(call),
                            hb_ap_after_of(call));
}

static apr_status_t festivals_now(hb_ap_call_t *call)
{
    return hb_festival_show_now(&call->reply, call->op);
}

static apr_status_t festivals_all(hb_ap_call_t *call)
{
    return hb_festival_list_all(&call->reply, call->op, hb_ap_limit_of(call),
                                hb_ap_after_of(call));
}

static apr_status_t festival(hb_ap_call_t *call)
{
    return hb_festival_show(&call->reply, call->op, id_of(call));
}

static apr_status_t festival_new(hb_ap_call_t *call)
{
    return hb_festival_create(&call->reply, call->op, call->input);
}

static apr_status_t festival_edit(hb_ap_call_t *call)
{
    return hb_festival_edit(&call->reply, call->op, id_of(call), call->input);
}

static apr_status_t festival_remove(hb_ap_call_t *call)
{
    return hb_festival_remove(call->op, id_of(call));
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
    { .method = M_HB_GET, .path = "/festivals", .rate = "api", .action = festivals,
      .sentence = "festivals that are on or to come, by their end",
      .query = HB_F_LIST, .output = "[festivals:all]",
      .errors = "input.invalid cursor.invalid", .tag = "festivals" },
    { .method = M_HB_GET, .path = "/festivals/active", .rate = "api", .action = festivals_now,
      .sentence = "the festivals that are on now, and what they make of coins that are bought",
      .output = "festivalsNow", .tag = "festivals" },
    { .method = M_HB_GET, .path = "/admin/festivals", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = festivals_all,
      .sentence = "all festivals, the one that begins last first",
      .query = HB_F_LIST, .output = "[festivals:staff]",
      .errors = "input.invalid cursor.invalid", .tag = "festivals" },
    { .method = M_HB_POST, .path = "/admin/festivals",
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED, .roles = HB_ROLE_ADMIN,
      .rate = "api", .action = festival_new,
      .sentence = "add a festival: a window of local times in a zone, gifts, more coins for money",
      .input = HB_F_FESTIVAL_NEW, .output = "festivals:staff",
      .errors = "input.invalid", .tag = "festivals" },
    { .method = M_HB_GET, .path = "/admin/festivals/{id}", .needs = HB_NEED_USER,
      .roles = HB_ROLE_ADMIN, .rate = "api", .action = festival, .sentence = "one festival",
      .output = "festivals:staff", .errors = "festival.unknown", .tag = "festivals" },
    { .method = M_HB_PATCH, .path = "/admin/festivals/{id}",
      .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_ADMIN, .rate = "api",
      .action = festival_edit,
      .sentence = "change a festival; the rooms are told at once when that turns it on or off",
      .input = HB_F_FESTIVAL_EDIT, .output = "festivals:staff",
      .errors = "input.invalid festival.unknown", .tag = "festivals" },
    { .method = M_HB_DELETE, .path = "/admin/festivals/{id}",
      .needs = HB_NEED_USER | HB_GIVES_NOTHING, .roles = HB_ROLE_ADMIN, .rate = "api",
      .action = festival_remove, .sentence = "remove a festival; one that is on ends",
      .errors = "festival.unknown", .tag = "festivals" },
};

const hb_route_set_t hb_routes_occasions = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
