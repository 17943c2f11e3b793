/* SPDX-License-Identifier: Apache-2.0 */
/* Refunds, disputes and cases of fraud, for finance. The rules are hb_refund.h's and hb_fraud.h's. */
#include "mod_halobuzz_api.h"

#include "hb_fraud.h"
#include "hb_refund.h"
#include "hb_role.h"

static const char *id_of(const hb_ap_call_t *call)
{
    return hb_ap_path_value(call, "id");
}

typedef apr_status_t list_fn(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                             const char *after);

static apr_status_t list_by(list_fn *fn, hb_ap_call_t *call)
{
    return fn(&call->reply, call->op, hb_json_string(call->query, "state"),
              hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t refund(hb_ap_call_t *call)
{
    return hb_refund_begin(&call->reply, call->op, call->input);
}

static apr_status_t refunds(hb_ap_call_t *call)
{
    return list_by(hb_refund_list, call);
}

static apr_status_t show(hb_ap_call_t *call)
{
    return hb_refund_show(&call->reply, call->op, id_of(call));
}

static apr_status_t send_it(hb_ap_call_t *call)
{
    return hb_refund_send(&call->reply, call->op, id_of(call));
}

static apr_status_t made(hb_ap_call_t *call)
{
    return hb_refund_made(&call->reply, call->op, id_of(call),
                          hb_json_string(call->input, "reference"));
}

static apr_status_t give_up(hb_ap_call_t *call)
{
    return hb_refund_give_up(&call->reply, call->op, id_of(call),
                             hb_json_string(call->input, "reason"));
}

static apr_status_t disputes(hb_ap_call_t *call)
{
    return list_by(hb_dispute_list, call);
}

static apr_status_t cases(hb_ap_call_t *call)
{
    return list_by(hb_fraud_list, call);
}

static apr_status_t release(hb_ap_call_t *call)
{
    return hb_fraud_release(&call->reply, call->op, id_of(call),
                            hb_json_string(call->input, "note"));
}

static apr_status_t undo(hb_ap_call_t *call)
{
    return hb_fraud_undo(&call->reply, call->op, id_of(call),
                         hb_json_string(call->input, "reason"));
}

static apr_status_t large(hb_ap_call_t *call)
{
    return hb_fraud_large(&call->reply, call->op,
                          call->op->now - apr_time_from_sec(
                              60 * hb_json_int(call->query, "minutes", 60)),
                          hb_json_int(call->query, "coins", 1000),
                          (int)hb_json_int(call->query, "limit", 100));
}

static const hb_route_t rows[] = {
    { .method = M_HB_POST, .path = "/admin/refunds", .rate = "api", .action = refund,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .roles = HB_ROLE_FINANCE,
      .sentence = "send money back; above a limit another member of finance approves first",
      .input = HB_F_REFUND_NEW, .output = "refunds:staff", .tag = "money",
      .errors = "order.unknown refund.too_much refund.nothing approval.four_eyes "
                "idempotency.missing idempotency.mismatch" },
    { .method = M_HB_GET, .path = "/admin/refunds", .rate = "api", .action = refunds,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "refunds in one state, newest first", .query = HB_F_REFUND_LIST,
      .output = "[refunds:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/refunds/{id}", .rate = "api", .action = show,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE, .sentence = "one refund",
      .output = "refunds:staff", .tag = "money", .errors = "refund.unknown" },
    { .method = M_HB_POST, .path = "/admin/refunds/{id}/send", .rate = "api",
      .action = send_it, .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "send it once more, when it is not known what came of it",
      .output = "refunds:staff", .tag = "money",
      .errors = "refund.unknown refund.state refund.busy" },
    { .method = M_HB_POST, .path = "/admin/refunds/{id}/made", .rate = "api", .action = made,
      .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "note that it was made in the provider's portal",
      .input = HB_F_REFUND_MADE, .output = "refunds:staff", .tag = "money",
      .errors = "refund.unknown refund.state" },
    { .method = M_HB_POST, .path = "/admin/refunds/{id}/give-up", .rate = "api",
      .action = give_up, .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "note that it will not be made", .input = HB_F_REASON,
      .output = "refunds:staff", .tag = "money", .errors = "refund.unknown refund.state" },
    { .method = M_HB_GET, .path = "/admin/disputes", .rate = "api", .action = disputes,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "chargebacks in one state, newest first", .query = HB_F_DISPUTE_LIST,
      .output = "[disputes:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/fraud", .rate = "api", .action = cases,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "orders and payouts that a rule found odd", .query = HB_F_FRAUD_LIST,
      .output = "[fraudCases:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_POST, .path = "/admin/fraud/{id}/release", .rate = "api",
      .action = release, .needs = HB_NEED_USER | HB_MAY_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "find it right: what was held goes on", .input = HB_F_APPROVAL_NOTE,
      .output = "fraudCases:staff", .tag = "money",
      .errors = "fraud.unknown fraud.state approval.four_eyes order.state" },
    { .method = M_HB_POST, .path = "/admin/fraud/{id}/undo", .rate = "api", .action = undo,
      .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "undo it: an order's money goes back, a payout is rejected",
      .input = HB_F_REASON, .output = "fraudCases:staff", .tag = "money",
      .errors = "fraud.unknown fraud.state approval.four_eyes" },
    { .method = M_HB_GET, .path = "/admin/reports/large-transactions", .rate = "api",
      .action = large, .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "large entries of the ledger in the last minutes",
      .query = HB_F_LARGE_LIST, .output = "[largeEntry]", .tag = "money" },
};

const hb_route_set_t hb_routes_refunds = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
