/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of wallets, and of finance for them. The rules are hb_wallet.h's. */
#include "mod_halobuzz_api.h"

#include <apr_strings.h>

#include "hb_role.h"
#include "hb_wallet.h"

static apr_status_t wallet(hb_ap_call_t *call)
{
    return hb_wallet_show(&call->reply, call->op, call->op->actor.user_id);
}

static apr_status_t transactions(hb_ap_call_t *call)
{
    return hb_wallet_list(&call->reply, call->op, call->op->actor.user_id,
                          hb_json_string(call->query, "purse"),
                          hb_ap_limit_of(call), hb_ap_after_of(call));
}

static apr_status_t statement(hb_ap_call_t *call)
{
    const char *purse = hb_json_string(call->query, "purse");
    apr_status_t rv = hb_wallet_csv(&call->reply_text, &call->reply_bytes, call->op,
                                    call->op->actor.user_id, purse,
                                    hb_json_string(call->query, "from"),
                                    hb_json_string(call->query, "to"));

    if (rv == APR_SUCCESS) {
        call->reply_type = "text/csv; charset=utf-8";
        apr_table_setn(call->r->headers_out, "Content-Disposition",
                       apr_pstrcat(call->op->pool, "attachment; filename=\"halobuzz-", purse,
                                   ".csv\"", NULL));
    }
    return rv;
}

static apr_status_t adjust(hb_ap_call_t *call)
{
    return hb_wallet_adjust(&call->reply, call->op, call->input);
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/wallet", .rate = "api", .action = wallet,
      .needs = HB_NEED_USER,
      .sentence = "one's own coins", .output = "wallet", .tag = "money" },
    { .method = M_HB_GET, .path = "/wallet/transactions", .rate = "api",
      .action = transactions, .needs = HB_NEED_USER,
      .sentence = "what moved in a purse, newest first", .query = HB_F_WALLET_LIST,
      .output = "[walletLine]", .tag = "money", .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/wallet/statement.csv", .rate = "api",
      .action = statement, .needs = HB_NEED_USER,
      .sentence = "the same as CSV, oldest first, with the running balance",
      .query = HB_F_WALLET_STATEMENT, .media = "text/csv", .tag = "money" },
    { .method = M_HB_POST, .path = "/admin/adjustments", .rate = "api", .action = adjust,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .roles = HB_ROLE_FINANCE,
      .sentence = "correct somebody's purses, with a reason", .input = HB_F_ADJUSTMENT_NEW,
      .output = "adjustment", .tag = "money",
      .errors = "wallet.short user.unknown approval.four_eyes idempotency.missing "
                "idempotency.mismatch" },
};

const hb_route_set_t hb_routes_wallet = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
