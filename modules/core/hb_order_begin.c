/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning an order: its record, then the provider, then its record again. The provider is
 * called outside any transaction, so there are two places to die between:
 *
 *   before the call     The order stands as "created". The client's retry with its
 *                       Idempotency-Key finds it and goes on; else it expires.
 *   behind the call     The payment exists there, and we do not know its id. The retry makes the
 *                       same call: the provider's idempotency key is made from the order's
 *                       id, so it finds the same payment. Nobody was sent to pay yet but by an
 *                       answer that did not arrive.
 *
 * Where a provider has no such keys (Khalti) two calls make two payments; the first whose id
 * is written down counts, and both callers are sent to that one. A provider's message may be here
 * before our call has returned: then the order has moved on, and only what it lacks is added.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_festival.h"
#include "hb_idem.h"
#include "hb_log.h"
#include "hb_metrics.h"
#include "hb_og.h"
#include "hb_price.h"
#include "hb_time.h"
#include "hb_user.h"

typedef struct begin_t {
    const char *id;             /* made once, so that a second try of the transaction is the same */
    const hb_pay_provider_t *provider;
    const char *product;
    hb_festival_now_t festivals;        /* as they were before the transaction */
    hb_price_t price;           /* as the transaction found it */
    apr_int64_t festival_bonus; /* of its bonus */
    hb_og_terms_t terms;        /* of OG */
    const char *success_url, *cancel_url;
    int how;
    /* what the provider said */
    hb_pay_start_t start;
    hb_json_t *doc;             /* the record, as it stands now */
} begin_t;

/* --- the order --- */

/*
 * Is it sold, to this payer, in money of this provider? Asked inside, behind the look for
 * an earlier answer, so that a repeated call gets its order whatever has changed since.
 */
static apr_status_t check_price(begin_t *begin, hb_op_t *op)
{
    const hb_pay_provider_t *provider = begin->provider;
    hb_json_t *user;
    apr_status_t rv = hb_price_load(&begin->price, op, begin->product);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!hb_pay_takes(provider, begin->price.currency)) {
        return hb_fail_field(op, "product", "value", "%s takes %s; this is sold in %s",
                             provider->title, provider->currencies, begin->price.currency);
    }
    if (begin->price.og_tier == 0) {
        begin->festival_bonus = hb_festival_bonus(begin->price.coins,
                                                  begin->festivals.coin_percent);
        begin->price.bonus += begin->festival_bonus;
        return APR_SUCCESS;
    }
    rv = hb_og_terms(&begin->terms, op, begin->price.og_tier);
    if (rv == APR_SUCCESS) {
        rv = hb_debt_check(op, op->actor.user_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_user_load(&user, op, op->actor.user_id);
    }
    if (rv == APR_SUCCESS && hb_og_level(user, op->now) > begin->price.og_tier) {
        return hb_fail(op, HB_E_OG_LOWER, NULL);
    }
    return rv;
}

static void set_when_there(hb_json_t *json, const char *key, const char *value)
{
    if (value != NULL) {
        hb_json_set_string(json, key, value);
    }
}

static hb_json_t *record_make(const begin_t *begin, hb_op_t *op)
{
    const hb_price_t *price = &begin->price;
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_int64_t expires = hb_time_to_msec(op->now + op->site->settings->order_ttl);

    hb_json_set_string(doc, "_id", begin->id);
    hb_json_set_string(doc, "userId", op->actor.user_id);
    hb_json_set_string(doc, "provider", begin->provider->name);
    hb_json_set_string(doc, "kind", price->kind);
    hb_json_set_string(doc, "product", price->code);
    hb_json_set_string(doc, "title", price->title);
    hb_json_set_int(doc, "coins", price->coins);
    hb_json_set_int(doc, "bonus", price->bonus);
    if (begin->festival_bonus > 0) {
        hb_json_set_int(doc, "festivalBonus", begin->festival_bonus);
        hb_json_set_string(doc, "festivalId", begin->festivals.coin_id);
    }
    hb_json_set_int(doc, "ogTier", price->og_tier);
    if (price->og_tier > 0) {
        hb_json_set_int(doc, "ogDays", begin->terms.duration_days);
        hb_json_set_int(doc, "ogCoins", begin->terms.price_coins);
    }
    hb_json_set_int(doc, "amountMinor", price->amount_minor);
    hb_json_set_string(doc, "currency", price->currency);
    hb_json_set_bool(doc, "isLive", op->site->settings->payments_live);
    hb_json_set_string(doc, "how", begin->how == HB_PAY_AS_INTENT ? "intent" : "page");
    hb_json_set_int(doc, "refundedMinor", 0);
    set_when_there(doc, "successUrl", begin->success_url);
    set_when_there(doc, "cancelUrl", begin->cancel_url);
    set_when_there(doc, "address", op->address);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    hb_json_set_int(doc, "expiresAt", expires);
    hb_json_set_int(doc, "openUntil", expires);
    hb_order_set_state(doc, HB_ORDER_CREATED);
    hb_order_step(op, doc, "created", price->title);
    return doc;
}

static apr_status_t make_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    begin_t *begin = baton;
    apr_status_t rv = check_price(begin, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *answer = hb_json_object_make(op->pool);
    hb_json_set_string(*answer, "order", begin->id);
    begin->doc = record_make(begin, op);
    return hb_store_insert(NULL, op, HB_C_ORDERS, begin->doc);
}

/* The record: a new one, or the one that was made by an earlier call with this key. */
static apr_status_t make(begin_t *begin, hb_op_t *op)
{
    hb_json_t *body = hb_json_object_make(op->pool), *answer;
    apr_status_t rv;

    begin->id = hb_id_make(op);
    hb_json_set_string(body, "provider", begin->provider->name);
    hb_json_set_string(body, "product", begin->product);
    hb_json_set_int(body, "how", begin->how);
    hb_json_set_string(body, "successUrl", begin->success_url);
    hb_json_set_string(body, "cancelUrl", begin->cancel_url);
    rv = hb_idem_transact(&answer, op, "order", body, make_work, begin);
    if (rv == APR_SUCCESS && op->is_replayed) {
        rv = hb_store_get(&begin->doc, op, HB_C_ORDERS, hb_json_string(answer, "order"));
    }
    else if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_ORDERS, 1);
    }
    return rv;
}

/* --- the provider --- */

/* The ids of a payment belong to one order, or the provider is out of its mind. */
static apr_status_t take_ids(begin_t *begin, hb_op_t *op, const hb_order_t *order)
{
    const char *owner;
    apr_status_t rv = hb_order_ref_take(&owner, op, order->provider, begin->start.attempt_id,
                                        order->id);

    if (rv == APR_SUCCESS && begin->start.session_id != NULL
        && strcmp(owner, order->id) == 0) {
        rv = hb_order_ref_take(&owner, op, order->provider, begin->start.session_id, order->id);
    }
    if (rv == APR_SUCCESS && strcmp(owner, order->id) != 0) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00460) "%s gives order %s the payment of order %s",
               order->provider, order->id, owner);
        return hb_fail(op, HB_E_PAY_UPSTREAM, "the provider's answer makes no sense");
    }
    return rv;
}

static apr_status_t started_tx(hb_op_t *op, void *baton)
{
    begin_t *begin = baton;
    const hb_pay_start_t *start = &begin->start;
    hb_json_t *doc, *page;
    hb_order_t order;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ORDERS, hb_json_string(begin->doc, "_id"));

    if (rv != APR_SUCCESS) {
        return rv;
    }
    begin->doc = doc;
    hb_order_read(&order, doc);
    if (hb_json_has(doc, "start")) {
        return APR_SUCCESS;             /* another call with this key was quicker */
    }
    rv = take_ids(begin, op, &order);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    page = hb_json_object_make(op->pool);
    hb_json_set_string(page, "url", start->url);
    if (start->form != NULL) {
        hb_json_set(page, "form", start->form);
    }
    hb_json_set_string(page, "publicKey", start->public_key);
    hb_json_set(doc, "start", page);
    if (order.attempt_id == NULL) {
        hb_json_set_string(doc, "attemptId", start->attempt_id);
    }
    set_when_there(doc, "sessionId", start->session_id);
    if (order.at == HB_ORDER_CREATED) {
        hb_order_set_state(doc, HB_ORDER_OPEN);
        if (start->expires_at > op->now) {
            hb_json_set_int(doc, "expiresAt", hb_time_to_msec(start->expires_at));
            hb_json_set_int(doc, "openUntil", hb_time_to_msec(start->expires_at));
        }
    }
    hb_order_step(op, doc, "open", begin->how == HB_PAY_AS_INTENT ? "an intent for the app"
                                                                 : "the payer is sent to pay");
    return hb_store_replace(NULL, op, HB_C_ORDERS, doc);
}

static apr_status_t refused_tx(hb_op_t *op, void *baton)
{
    begin_t *begin = baton;
    hb_json_t *doc;
    hb_order_t order;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ORDERS, hb_json_string(begin->doc, "_id"));

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_order_read(&order, doc);
    if (order.at != HB_ORDER_CREATED) {
        return APR_SUCCESS;
    }
    hb_order_set_state(doc, HB_ORDER_FAILED);
    hb_order_step(op, doc, "failed", "the provider does not take this order");
    return hb_store_replace(NULL, op, HB_C_ORDERS, doc);
}

static apr_status_t begin_payment(begin_t *begin, hb_op_t *op)
{
    hb_order_t order;
    apr_status_t rv, kept;

    hb_order_read(&order, begin->doc);
    rv = begin->provider->start(&begin->start, op, &order, begin->how);
    if (rv == HB_E_PAY_REFUSED) {
        const hb_problem_t problem = op->problem;

        kept = hb_store_transact(op, refused_tx, begin);
        op->problem = problem;          /* the client hears the first one */
        return kept == APR_SUCCESS ? rv : kept;
    }
    return rv == APR_SUCCESS ? hb_store_transact(op, started_tx, begin) : rv;
}

/* --- the answer --- */

static hb_json_t *started_json(const begin_t *begin, hb_op_t *op)
{
    const hb_json_t *page = hb_json_get(begin->doc, "start");
    hb_json_t *json = hb_json_object_make(op->pool), *form = hb_json_get(page, "form");
    hb_order_t order;
    int is_payable;

    hb_order_read(&order, begin->doc);
    is_payable = hb_order_is_awaited(order.at) && order.expires_at > op->now;
    hb_json_set(json, "order", hb_schema_view(op, HB_C_ORDERS, begin->doc, HB_ALL | HB_SELF));
    hb_json_set_string(json, "url", is_payable ? hb_json_string(page, "url") : NULL);
    if (is_payable && form != NULL) {
        hb_json_set(json, "form", form);
    }
    else {
        hb_json_set_null(json, "form");
    }
    hb_json_set_string(json, "clientSecret", is_payable ? begin->start.client_secret : NULL);
    hb_json_set_string(json, "publicKey", hb_json_string(page, "publicKey"));
    return json;
}

static apr_status_t begin_order(hb_json_t **reply, hb_op_t *op, begin_t *begin)
{
    hb_order_t order;
    apr_status_t rv = hb_festival_now(&begin->festivals, op);

    if (rv == APR_SUCCESS) {
        rv = make(begin, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_order_read(&order, begin->doc);
    if (order.at == HB_ORDER_FAILED && !hb_json_has(begin->doc, "start")) {
        return hb_fail(op, HB_E_PAY_REFUSED, "the provider does not take this order");
    }
    /* An intent is asked for again each time, because its secret is not kept here. */
    if (order.expires_at > op->now && hb_order_is_startable(order.at)
        && (begin->how == HB_PAY_AS_INTENT || !hb_json_has(begin->doc, "start"))) {
        rv = begin_payment(begin, op);
    }
    if (rv == APR_SUCCESS) {
        *reply = started_json(begin, op);
    }
    return rv;
}

/* Whoever asks, and the provider: may there be an order at all? */
static apr_status_t check_ways(hb_op_t *op, const hb_pay_provider_t *provider, int how)
{
    const char *why = hb_pay_unusable(op->site, provider);

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "sign in to buy");
    }
    if (why == NULL && how == HB_PAY_AS_INTENT && (provider->can & HB_PAY_CAN_INTENT) == 0) {
        return hb_fail(op, HB_E_PAY_UNSET, "%s is not paid inside an app: make an order at "
                       "/api/v1/payments/%s/orders", provider->name, provider->name);
    }
    if (why != NULL) {
        hb_log(op, HB_LOG_INFO, 0, HBLOGNO(00461) "no order by %s: %s", provider->name, why);
        return hb_fail(op, HB_E_PAY_UNSET, NULL);
    }
    return APR_SUCCESS;
}

apr_status_t hb_order_begin(hb_json_t **reply, hb_op_t *op, const hb_pay_provider_t *provider,
                            const hb_json_t *input, int how)
{
    begin_t begin = { .provider = provider, .how = how,
                      .product = hb_json_string(input, "product"),
                      .success_url = hb_json_string(input, "successUrl"),
                      .cancel_url = hb_json_string(input, "cancelUrl") };
    apr_status_t rv = check_ways(op, provider, how);

    if (rv == APR_SUCCESS) {
        rv = hb_order_return_check(op, "successUrl", begin.success_url);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_order_return_check(op, "cancelUrl", begin.cancel_url);
    }
    return rv == APR_SUCCESS ? begin_order(reply, op, &begin) : rv;
}

apr_status_t hb_order_begin_amount(hb_json_t **reply, hb_op_t *op,
                                   const hb_pay_provider_t *provider, const hb_json_t *input)
{
    begin_t begin = { .provider = provider, .how = HB_PAY_AS_INTENT };
    char *currency = apr_pstrdup(op->pool, hb_json_string(input, "currency")), *c;
    apr_status_t rv = check_ways(op, provider, begin.how);

    for (c = currency; *c != '\0'; c++) {
        *c = (char)apr_tolower(*c);
    }
    if (rv == APR_SUCCESS && !hb_pay_takes(provider, currency)) {
        return hb_fail_field(op, "currency", "value", "%s takes %s here", provider->title,
                             provider->currencies);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_price_of_amount(&begin.price, op, currency, hb_json_int(input, "amount", 0));
    }
    if (rv == HB_E_PRICE_UNKNOWN) {
        return hb_fail_field(op, "amount", "value", "no coin pack costs this; see "
                             "/api/v1/payments/prices");
    }
    begin.product = begin.price.code;
    return rv == APR_SUCCESS ? begin_order(reply, op, &begin) : rv;
}
