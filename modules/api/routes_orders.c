/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of buying with money: prices, orders, and those of finance for them. The rules are
 * hb_order*.c's and hb_price.c's; where payers come back to is routes_returns.c.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_order.h"
#include "hb_price.h"
#include "hb_role.h"

static apr_status_t provider_of(const hb_pay_provider_t **provider, hb_ap_call_t *call,
                                const char *name)
{
    *provider = hb_pay_provider(name);
    return *provider != NULL ? APR_SUCCESS : hb_fail(call->op, HB_E_PAY_UNKNOWN, NULL);
}

static apr_status_t prices(hb_ap_call_t *call)
{
    const char *name = hb_json_string(call->query, "provider");
    const char *currency = hb_json_string(call->query, "currency");
    const hb_pay_provider_t *provider = NULL;
    apr_status_t rv = name != NULL ? provider_of(&provider, call, name) : APR_SUCCESS;
    char *lower = NULL, *c;

    if (currency != NULL) {
        lower = apr_pstrdup(call->op->pool, currency);
        for (c = lower; *c != '\0'; c++) {
            *c = (char)apr_tolower(*c);
        }
    }
    return rv == APR_SUCCESS ? hb_price_list(&call->reply, call->op, lower, provider) : rv;
}

static apr_status_t buy(hb_ap_call_t *call)
{
    const hb_pay_provider_t *provider;
    apr_status_t rv = provider_of(&provider, call, hb_ap_path_value(call, "provider"));

    return rv == APR_SUCCESS ? hb_order_begin(&call->reply, call->op, provider, call->input,
                                              HB_PAY_AS_PAGE) : rv;
}

static apr_status_t buy_in_app(hb_ap_call_t *call)
{
    const hb_pay_provider_t *provider;
    apr_status_t rv = provider_of(&provider, call, hb_ap_path_value(call, "provider"));

    return rv == APR_SUCCESS ? hb_order_begin(&call->reply, call->op, provider, call->input,
                                              HB_PAY_AS_INTENT) : rv;
}

static apr_status_t stripe_intent(hb_ap_call_t *call)
{
    const hb_pay_provider_t *provider;
    apr_status_t rv = provider_of(&provider, call, "stripe");

    return rv == APR_SUCCESS ? hb_order_begin_amount(&call->reply, call->op, provider,
                                                     call->input) : rv;
}

static apr_status_t own_orders(hb_ap_call_t *call)
{
    return hb_order_list_own(&call->reply, call->op, hb_ap_limit_of(call),
                             hb_ap_after_of(call));
}

static apr_status_t own_order(hb_ap_call_t *call)
{
    return hb_order_show_own(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

/* The app asks because it waits for too long; so that nobody has to send the payer around. */
static apr_status_t check_own(hb_ap_call_t *call)
{
    const char *id = hb_ap_path_value(call, "id");
    hb_order_t own;
    apr_status_t rv = hb_order_show_own(&call->reply, call->op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_order_load(&own, call->op, id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_order_check(&own, call->op, "payer");
    }
    return rv == APR_SUCCESS ? hb_order_show_own(&call->reply, call->op, id) : rv;
}

/* --- finance --- */

static apr_status_t check(hb_ap_call_t *call)
{
    const char *id = hb_ap_path_value(call, "id");
    hb_order_t asked;
    apr_status_t rv = hb_order_load(&asked, call->op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_order_check(&asked, call->op, "operator");
    }
    return rv == APR_SUCCESS ? hb_order_show(&call->reply, call->op, id) : rv;
}

static apr_status_t orders(hb_ap_call_t *call)
{
    return hb_order_list(&call->reply, call->op, call->query);
}

static apr_status_t order(hb_ap_call_t *call)
{
    return hb_order_show(&call->reply, call->op, hb_ap_path_value(call, "id"));
}

static apr_status_t flags(hb_ap_call_t *call)
{
    return hb_order_flag_list(&call->reply, call->op, call->query);
}

static apr_status_t resolve(hb_ap_call_t *call)
{
    return hb_order_flag_resolve(&call->reply, call->op, hb_ap_path_value(call, "id"),
                                 hb_json_string(call->input, "note"));
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/payments/prices", .rate = "api", .action = prices,
      .sentence = "what is sold for money, and by whom it can be paid here",
      .query = HB_F_PRICE_LIST, .output = "priceListing", .tag = "payments",
      .errors = "pay.unknown" },
    { .method = M_HB_POST, .path = "/payments/{provider}/orders", .rate = "api", .action = buy,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .sentence = "buy something of the price list; the answer says where the payer goes",
      .input = HB_F_ORDER_NEW, .output = "orderStarted", .tag = "payments",
      .errors = "pay.unknown pay.unconfigured price.unknown og.lower og.unknown wallet.debt "
                "pay.upstream pay.refused idempotency.missing idempotency.mismatch" },
    { .method = M_HB_POST, .path = "/payments/{provider}/intents", .rate = "api",
      .action = buy_in_app,
      .needs = HB_NEED_USER | HB_NEED_BODY | HB_NEED_IDEM_KEY | HB_GIVES_CREATED,
      .sentence = "the same, to be paid inside the app by the provider's SDK",
      .input = HB_F_ORDER_NEW, .output = "orderStarted", .tag = "payments",
      .errors = "pay.unknown pay.unconfigured price.unknown og.lower og.unknown wallet.debt "
                "pay.upstream pay.refused idempotency.missing idempotency.mismatch" },
    { .method = M_HB_POST, .path = "/payments/stripe/create-payment-intent", .rate = "api",
      .action = stripe_intent, .needs = HB_NEED_USER | HB_NEED_BODY | HB_GIVES_CREATED,
      .sentence = "an intent over the price of a coin pack; send an Idempotency-Key",
      .input = HB_F_INTENT_NEW, .output = "orderStarted", .tag = "payments",
      .errors = "pay.unconfigured pay.upstream pay.refused idempotency.mismatch" },
    { .method = M_HB_GET, .path = "/payments/orders", .rate = "api", .action = own_orders,
      .needs = HB_NEED_USER, .sentence = "one's own orders, newest first",
      .query = HB_F_LIST, .output = "[paymentOrders:self]", .tag = "payments",
      .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/payments/orders/{id}", .rate = "api", .action = own_order,
      .needs = HB_NEED_USER, .sentence = "one of one's own orders",
      .output = "paymentOrders:self", .tag = "payments", .errors = "order.unknown" },
    { .method = M_HB_POST, .path = "/payments/orders/{id}/check", .rate = "api",
      .action = check_own, .needs = HB_NEED_USER,
      .sentence = "ask the provider what became of it, when no answer came by itself",
      .output = "paymentOrders:self", .tag = "payments",
      .errors = "order.unknown pay.upstream pay.unconfigured" },
    { .method = M_HB_GET, .path = "/admin/orders", .rate = "api", .action = orders,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "orders, newest first; in one state, or of one user",
      .query = HB_F_ORDER_LIST, .output = "[paymentOrders:staff]", .tag = "payments",
      .errors = "cursor.invalid" },
    { .method = M_HB_GET, .path = "/admin/orders/{id}", .rate = "api", .action = order,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "an order with its flags and its time line: every message, every step",
      .output = "orderShown", .tag = "payments", .errors = "order.unknown" },
    { .method = M_HB_POST, .path = "/admin/orders/{id}/check", .rate = "api", .action = check,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "ask the provider what became of it", .output = "orderShown",
      .tag = "payments", .errors = "order.unknown pay.upstream pay.unconfigured" },
    { .method = M_HB_GET, .path = "/admin/payment-flags", .rate = "api", .action = flags,
      .needs = HB_NEED_USER, .roles = HB_ROLE_FINANCE,
      .sentence = "payments that do not fit their order, newest first",
      .query = HB_F_FLAG_LIST, .output = "[paymentFlags:staff]", .tag = "payments",
      .errors = "cursor.invalid" },
    { .method = M_HB_POST, .path = "/admin/payment-flags/{id}/resolve", .rate = "api",
      .action = resolve, .needs = HB_NEED_USER | HB_NEED_BODY, .roles = HB_ROLE_FINANCE,
      .sentence = "say what was done about a flag", .input = HB_F_FLAG_RESOLVE,
      .output = "paymentFlags:staff", .tag = "payments", .errors = "flag.unknown flag.state" },
};

const hb_route_set_t hb_routes_orders = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
