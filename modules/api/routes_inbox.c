/* SPDX-License-Identifier: Apache-2.0 */
/* What payment providers told us, for finance. The rules are hb_inbox.h's. */
#include "mod_halobuzz_api.h"

#include "hb_audit.h"
#include "hb_inbox.h"
#include "hb_role.h"

#include <apr_strings.h>

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_inbox_list(&call->reply, call->op, call->query);
}

static apr_status_t show(hb_ap_call_t *call)
{
    return hb_inbox_show(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t replay(hb_ap_call_t *call)
{
    const char *id = hb_ap_path_value(call, "id");
    hb_inbox_result_t result;
    apr_status_t rv = hb_inbox_replay(&result, call->op, id);

    hb_audit_add(call->op, NULL, "event.replay", apr_pstrcat(call->op->pool, "event:", id, NULL),
                 rv == APR_SUCCESS, NULL);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call->reply = hb_inbox_result_json(call->op, &result);
    return APR_SUCCESS;
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/admin/events", .rate = "api", .action = list,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE, .query = HB_F_EVENT_LIST,
      .sentence = "what payment providers told us, newest first",
      .output = "[webhook_events:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/events/{id}", .rate = "api", .action = show,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "one event with the bytes that came",
      .output = "eventShown", .tag = "money", .errors = "event.unknown" },
    { .method = M_HB_POST, .path = "/admin/events/{id}/replay", .rate = "api",
      .action = replay, .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "judge an event anew and act on it again; harmless for one that was applied",
      .output = "eventReplayed", .tag = "money",
      .errors = "event.unknown event.body webhook.forged webhook.malformed order.unknown "
                "pay.upstream" },
};

const hb_route_set_t hb_routes_inbox = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
