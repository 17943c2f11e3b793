/* SPDX-License-Identifier: Apache-2.0 */
/* Payouts of earned coins, and approvals by a second pair of eyes. The rules are
 * hb_payout.h's and hb_approval.h's. */
#include "mod_halobuzz_api.h"

#include <apr_strings.h>

#include "hb_approval.h"
#include "hb_payout.h"
#include "hb_role.h"

/* --- the host --- */

static apr_status_t request(hb_ap_call_t *call)
{
    return hb_payout_request(&call->reply, call->op, call->input);
}

static apr_status_t list_own(hb_ap_call_t *call)
{
    return hb_payout_list_own(&call->reply, call->op, hb_ap_limit_of(call),
                              hb_ap_after_of(call));
}

static apr_status_t cancel(hb_ap_call_t *call)
{
    return hb_payout_cancel(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

/* --- finance --- */

static apr_status_t list(hb_ap_call_t *call)
{
    return hb_payout_list(&call->reply, call->op, hb_json_string(call->query, "state"),
                          hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t show(hb_ap_call_t *call)
{
    return hb_payout_show(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t review(hb_ap_call_t *call)
{
    return hb_payout_review(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t reject(hb_ap_call_t *call)
{
    return hb_payout_reject(&call->reply, call->op, hb_ap_path_value(call, "id"),
                            hb_json_string(call->input, "reason"));
}

static apr_status_t paid(hb_ap_call_t *call)
{
    return hb_payout_paid(&call->reply, call->op, hb_ap_path_value(call, "id"),
                          hb_json_string(call->input, "reference"));
}

static apr_status_t batch(hb_ap_call_t *call)
{
    return hb_payout_batch(&call->reply, call->op, call->input);
}

static apr_status_t batches(hb_ap_call_t *call)
{
    return hb_payout_batches(&call->reply, call->op, hb_ap_limit_of(call),
                             hb_ap_after_of(call));
}

static apr_status_t batch_file(hb_ap_call_t *call)
{
    const char *id = hb_ap_path_value(call, "id");
    apr_status_t rv = hb_payout_batch_csv(&call->reply_text, &call->reply_bytes, call->op, id);

    if (rv == APR_SUCCESS) {
        call->reply_type = "text/csv; charset=utf-8";
        apr_table_setn(call->r->headers_out, "Content-Disposition",
                       apr_pstrcat(call->op->pool, "attachment; filename=\"payouts-", id,
                                   ".csv\"", NULL));
    }
    return rv;
}

/* --- approvals --- */

static apr_status_t approvals(hb_ap_call_t *call)
{
    return hb_approval_list(&call->reply, call->op, hb_json_string(call->query, "state"),
                            hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t approve(hb_ap_call_t *call)
{
    return hb_approval_decide(&call->reply, call->op, hb_ap_path_value(call, "id"), 1,
                              hb_json_string(call->input, "note"));
}

static apr_status_t refuse(hb_ap_call_t *call)
{
    return hb_approval_decide(&call->reply, call->op, hb_ap_path_value(call, "id"), 0,
                              hb_json_string(call->input, "reason"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_POST, .path = "/wallet/payouts", .rate = "api", .action = request,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .sentence = "ask for a payout of earned coins", .input = HB_F_PAYOUT_NEW,
      .output = "payouts:self", .tag = "money",
      .errors = "wallet.short wallet.debt payout.open idempotency.missing "
                "idempotency.mismatch" },
    { .method = M_HB_GET, .path = "/wallet/payouts", .rate = "api", .action = list_own,
      .needs = HB_NEED_USER, .sentence = "one's own payouts, newest first",
      .query = HB_F_LIST, .output = "[payouts:self]", .tag = "money",
      .errors = "cursor.invalid" },
    { .method = M_HB_DELETE, .path = "/wallet/payouts/{id}", .rate = "api", .action = cancel,
      .needs = HB_NEED_USER, .sentence = "take back a request that nobody has reviewed",
      .output = "payouts:self", .tag = "money", .errors = "payout.unknown payout.state" },
    { .method = M_HB_GET, .path = "/admin/payouts", .rate = "api", .action = list,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "payouts in one state, oldest first", .query = HB_F_PAYOUT_LIST,
      .output = "[payouts:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/payouts/{id}", .rate = "api", .action = show,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE, .sentence = "one payout",
      .output = "payouts:staff", .tag = "money", .errors = "payout.unknown" },
    { .method = M_HB_POST, .path = "/admin/payouts/{id}/review", .rate = "api",
      .action = review, .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "find it right, and ask another member of finance for approval",
      .output = "payouts:staff", .tag = "money",
      .errors = "payout.unknown payout.state payout.held wallet.debt approval.four_eyes "
                "fraud.held" },
    { .method = M_HB_POST, .path = "/admin/payouts/{id}/reject", .rate = "api",
      .action = reject, .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "give the coins back, with a reason that the host is told",
      .input = HB_F_REASON, .output = "payouts:staff", .tag = "money",
      .errors = "payout.unknown payout.state" },
    { .method = M_HB_POST, .path = "/admin/payouts/{id}/paid", .rate = "api", .action = paid,
      .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "note that the bank paid it", .input = HB_F_PAYOUT_PAID,
      .output = "payouts:staff", .tag = "money", .errors = "payout.unknown payout.state" },
    { .method = M_HB_POST, .path = "/admin/payout-batches", .rate = "api", .action = batch,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .roles = HB_ROLE_FINANCE, .sentence = "put approved payouts into a file for the bank",
      .input = HB_F_PAYOUT_BATCH_NEW, .output = "payoutBatches:staff", .tag = "money",
      .errors = "payout.none idempotency.missing idempotency.mismatch" },
    { .method = M_HB_GET, .path = "/admin/payout-batches", .rate = "api", .action = batches,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE, .sentence = "files made so far",
      .query = HB_F_LIST, .output = "[payoutBatches:staff]", .tag = "money",
      .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/payout-batches/{id}/file", .rate = "api",
      .action = batch_file, .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "the file, as CSV", .media = "text/csv", .tag = "money",
      .errors = "payout.unknown" },
    { .method = M_HB_GET, .path = "/admin/approvals", .rate = "api", .action = approvals,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "what waits for a second pair of eyes", .query = HB_F_APPROVAL_LIST,
      .output = "[approvals:staff]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_POST, .path = "/admin/approvals/{id}/approve", .rate = "api",
      .action = approve, .needs = HB_NEED_USER | HB_MAY_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "approve what somebody else asked for", .input = HB_F_APPROVAL_NOTE,
      .output = "approvals:staff", .tag = "money",
      .errors = "approval.unknown approval.state approval.four_eyes wallet.debt" },
    { .method = M_HB_POST, .path = "/admin/approvals/{id}/refuse", .rate = "api",
      .action = refuse, .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "refuse it", .input = HB_F_REASON, .output = "approvals:staff",
      .tag = "money", .errors = "approval.unknown approval.state approval.four_eyes" },
};

const hb_route_set_t hb_routes_payouts = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
