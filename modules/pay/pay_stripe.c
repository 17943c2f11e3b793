/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stripe: what we ask of its API. Intents for apps with a payment sheet of their own, Checkout
 * sessions for a page. Every POST carries an Idempotency-Key made from our order or refund,
 * so that a repeated call, also after a timeout or a death of this process, is the same call.
 * What Stripe tells us by webhook is read in pay_stripe_event.c.
 */
#include "pay_stripe.h"

#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_fetch.h"
#include "hb_metrics.h"

#define API "https://api.stripe.com"
#define TRIES 3
#define SESSION_MIN_SEC (31 * 60)           /* Stripe takes 30 minutes to 24 hours */
#define SESSION_MAX_SEC (24 * 3600 - 300)

/* A call being put together: "name=value&name=value". */
typedef struct form_t {
    apr_pool_t *pool;
    const char *text;
} form_t;

static void form_add(form_t *form, const char *name, const char *value)
{
    form->text = apr_pstrcat(form->pool, form->text, *form->text != '\0' ? "&" : "", name, "=",
                             apr_pescape_urlencoded(form->pool, value), NULL);
}

static void form_add_int(form_t *form, const char *name, apr_int64_t value)
{
    form_add(form, name, apr_psprintf(form->pool, "%" APR_INT64_T_FMT, value));
}

static int starts_with(const char *text, const char *start)
{
    return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

static const char *missing(const hb_site_t *site)
{
    const hb_pay_keys_t *keys = site->pay_keys;
    const char *key = keys != NULL ? keys->stripe_key[0] : NULL;

    if (key == NULL) {
        return "HaloBuzzStripeKey is not set";
    }
    if (keys->stripe_webhook[0] == NULL) {
        return "HaloBuzzStripeWebhookSecret is not set";
    }
    if (site->settings->payments_live && strstr(key, "_test_") != NULL) {
        return "HaloBuzzStripeKey is a test key, but HaloBuzzPaymentsLive is on";
    }
    if (!site->settings->payments_live && strstr(key, "_live_") != NULL) {
        return "HaloBuzzStripeKey is a live key, but HaloBuzzPaymentsLive is off";
    }
    return NULL;
}

/* --- calls --- */

/*
 * One call. @param body NULL for a GET. @param idem_key NULL for a GET
 * @return HB_E_PAY_UPSTREAM when nothing useful came, HB_E_PAY_REFUSED for a 4xx that is
 *         about what we asked
 */
static apr_status_t call(hb_json_t **json, hb_op_t *op, const char *path, const char *body,
                         const char *idem_key)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char *key = keys != NULL && keys->stripe_key[0] != NULL ? keys->stripe_key[0] : "";
    const char *headers[] = {
        apr_pstrcat(op->pool, "Authorization: Bearer ", key, NULL),
        "Stripe-Version: " STRIPE_VERSION,
        idem_key != NULL ? apr_pstrcat(op->pool, "Idempotency-Key: ", idem_key, NULL) : NULL,
        NULL
    };
    const hb_fetch_t fetch = {
        .service = "stripe",
        .count = HB_M_FETCH_STRIPE,
        .method = body != NULL ? "POST" : "GET",
        .url = apr_pstrcat(op->pool, pay_base_url(op, op->site->settings->stripe_url, API, API),
                           path, NULL),
        .type = "application/x-www-form-urlencoded",
        .body = body,
        .len = body != NULL ? strlen(body) : 0,
        .headers = headers,
        .tries = TRIES
    };
    hb_fetch_answer_t answer;
    const hb_json_t *error;
    const char *code;

    if (hb_fetch(&answer, op, &fetch) != APR_SUCCESS) {
        return pay_no_answer(op, "Stripe", &answer);
    }
    *json = answer.json;
    if (answer.status == 200 && hb_json_type(answer.json) == HB_JSON_OBJECT) {
        return APR_SUCCESS;
    }
    error = hb_json_get(answer.json, "error");
    code = pay_plain(hb_json_string(error, "code"));
    if (code == NULL) {
        code = pay_plain(hb_json_string(error, "type"));
    }
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08004) "Stripe answers %d (%s, parameter %s) to %s, "
           "request id %s%s", answer.status, code != NULL ? code : "no reason",
           pay_plain(hb_json_string(error, "param")) != NULL
           ? hb_json_string(error, "param") : "-", path,
           answer.request_id != NULL ? answer.request_id : "-",
           answer.status == 401 ? ": look at HaloBuzzStripeKey"
           : answer.status == 403 ? ": the key of HaloBuzzStripeKey lacks the right to this" : "");
    if (answer.status == 400 || answer.status == 402 || answer.status == 404) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Stripe refuses this%s%s", code != NULL ? ": " : "",
                       code != NULL ? code : "");
    }
    return pay_no_answer(op, "Stripe", &answer);
}

/* An answer that is not what was asked for. */
static apr_status_t odd(hb_op_t *op, const char *what)
{
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08005) "Stripe's answer is not used: %s", what);
    return hb_fail_later(op, HB_E_PAY_UPSTREAM, 10, "Stripe's answer makes no sense");
}

/* --- beginning --- */

static void add_metadata(form_t *form, const char *prefix, const hb_order_t *order)
{
    form_add(form, apr_pstrcat(form->pool, prefix, "[order_id]", NULL), order->id);
    form_add(form, apr_pstrcat(form->pool, prefix, "[user_id]", NULL), order->user_id);
}

/* Is it about this amount? Checked before the payer is sent on to pay another. */
static int is_amount(const hb_json_t *json, const char *member, const hb_order_t *order)
{
    const char *currency = hb_json_string(json, "currency");

    return hb_json_int(json, member, -1) == order->amount_minor
        && currency != NULL && strcmp(currency, order->currency) == 0;
}

static apr_status_t start_intent(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order)
{
    form_t form = { op->pool, "" };
    hb_json_t *json;
    apr_status_t rv;

    form_add_int(&form, "amount", order->amount_minor);
    form_add(&form, "currency", order->currency);
    form_add(&form, "automatic_payment_methods[enabled]", "true");
    form_add(&form, "description", order->title);
    add_metadata(&form, "metadata", order);
    rv = call(&json, op, "/v1/payment_intents", form.text,
              apr_pstrcat(op->pool, "order-", order->id, "-pi", NULL));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    start->attempt_id = pay_plain(hb_json_string(json, "id"));
    start->client_secret = pay_plain(hb_json_string(json, "client_secret"));
    if (!starts_with(start->attempt_id, "pi_") || start->client_secret == NULL
        || !is_amount(json, "amount", order)) {
        return odd(op, "it is not the payment intent that was asked for");
    }
    return APR_SUCCESS;
}

/*
 * When the page closes: with the order, within what Stripe takes. Counted from the order, so
 * that a repeated call is the same call.
 */
static apr_int64_t session_end_sec(const hb_order_t *order)
{
    apr_int64_t begun = apr_time_sec(order->created_at);
    apr_int64_t end = apr_time_sec(order->expires_at);

    return end < begun + SESSION_MIN_SEC ? begun + SESSION_MIN_SEC
        : end > begun + SESSION_MAX_SEC ? begun + SESSION_MAX_SEC : end;
}

static apr_status_t start_session(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order)
{
    form_t form = { op->pool, "" };
    hb_json_t *json;
    apr_status_t rv;

    form_add(&form, "mode", "payment");
    form_add(&form, "client_reference_id", order->id);
    form_add(&form, "success_url", pay_return_url(op, "stripe", order->id,
                                                  "?session_id={CHECKOUT_SESSION_ID}"));
    form_add(&form, "cancel_url", pay_return_url(op, "stripe", order->id, "/failure"));
    form_add_int(&form, "expires_at", session_end_sec(order));
    form_add(&form, "line_items[0][quantity]", "1");
    form_add(&form, "line_items[0][price_data][currency]", order->currency);
    form_add_int(&form, "line_items[0][price_data][unit_amount]", order->amount_minor);
    form_add(&form, "line_items[0][price_data][product_data][name]", order->title);
    add_metadata(&form, "metadata", order);
    add_metadata(&form, "payment_intent_data[metadata]", order);
    rv = call(&json, op, "/v1/checkout/sessions", form.text,
              apr_pstrcat(op->pool, "order-", order->id, "-cs", NULL));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    start->session_id = start->attempt_id = pay_plain(hb_json_string(json, "id"));
    start->url = hb_json_string(json, "url");
    start->expires_at = apr_time_from_sec(hb_json_int(json, "expires_at", 0));
    if (!starts_with(start->session_id, "cs_") || !pay_is_page(start->url, op->pool)
        || !is_amount(json, "amount_total", order)) {
        return odd(op, "it is not the session that was asked for");
    }
    return APR_SUCCESS;
}

static apr_status_t start(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order, int how)
{
    const char *public_key = op->site->settings->stripe_public_key;

    memset(start, 0, sizeof(*start));
    start->public_key = *public_key != '\0' ? public_key : NULL;
    return how == HB_PAY_AS_INTENT ? start_intent(start, op, order)
                                   : start_session(start, op, order);
}

/* --- asking --- */

static int is_id(const char *id, const char *prefix)
{
    return starts_with(id, prefix) && pay_is_name(id);
}

/* Does the answer speak of what was asked? An id of another payment would be another's money. */
static int is_about(const hb_pay_fact_t *fact, const hb_order_t *order, const char *asked)
{
    return fact->attempt_id != NULL && strcmp(fact->attempt_id, asked) == 0
        && (fact->order_id == NULL || strcmp(fact->order_id, order->id) == 0);
}

static apr_status_t lookup(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order)
{
    const char *intent = is_id(order->payment_id, "pi_") ? order->payment_id
                         : is_id(order->attempt_id, "pi_") ? order->attempt_id : NULL;
    const char *session = is_id(order->session_id, "cs_") ? order->session_id
                          : is_id(order->attempt_id, "cs_") ? order->attempt_id : NULL;
    const char *asked = intent != NULL ? intent : session;
    hb_json_t *json;
    apr_status_t rv;

    pay_fact_clear(fact);
    if (asked == NULL) {
        fact->outcome = HB_PAY_OPEN;    /* Stripe never told us an id, so no payer was sent on */
        fact->order_id = order->id;
        fact->status = "not started";
        return APR_SUCCESS;
    }
    rv = call(&json, op, intent != NULL
              ? apr_pstrcat(op->pool, "/v1/payment_intents/", asked, "?expand[0]=latest_charge",
                            NULL)
              : apr_pstrcat(op->pool, "/v1/checkout/sessions/", asked,
                            "?expand[0]=payment_intent.latest_charge", NULL), NULL, NULL);
    if (rv == HB_E_PAY_REFUSED) {
        return HB_E_PAY_UPSTREAM;       /* logged; another account or mode: nothing is known */
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (intent != NULL) {
        stripe_intent_fact(fact, json);
    }
    else {
        stripe_session_fact(fact, json);
    }
    if (!is_about(fact, order, asked)) {
        return odd(op, "it is about another payment");
    }
    fact->order_id = order->id;
    return APR_SUCCESS;
}

/* --- giving back --- */

static apr_status_t refund(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order,
                           apr_int64_t amount_minor, const char *refund_key)
{
    form_t form = { op->pool, "" };
    hb_json_t *json;
    apr_status_t rv;

    pay_fact_clear(fact);
    if (!is_id(order->payment_id, "pi_")) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Stripe holds no payment of this order");
    }
    form_add(&form, "payment_intent", order->payment_id);
    form_add_int(&form, "amount", amount_minor);
    form_add(&form, "reason", "requested_by_customer");
    form_add(&form, "metadata[order_id]", order->id);
    form_add(&form, "metadata[refund_id]", refund_key);
    form_add(&form, "expand[0]", "charge");
    rv = call(&json, op, "/v1/refunds", form.text,
              apr_pstrcat(op->pool, "refund-", refund_key, NULL));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    stripe_refund_fact(fact, json);
    if (fact->refund_id == NULL || fact->payment_id == NULL
        || strcmp(fact->payment_id, order->payment_id) != 0) {
        return odd(op, "it is not the refund that was asked for");
    }
    fact->order_id = order->id;
    return APR_SUCCESS;
}

/* A read that restricted keys need anyway. Whether the key fits the mode, missing() says. */
static apr_status_t probe(const char **said, hb_op_t *op)
{
    hb_json_t *json;
    apr_status_t rv = call(&json, op, "/v1/payment_intents?limit=1", NULL, NULL);

    if (rv == APR_SUCCESS) {
        *said = op->site->settings->payments_live ? "the key is accepted; money is real"
                : "the key is accepted; test mode";
        return APR_SUCCESS;
    }
    *said = op->problem.detail != NULL ? op->problem.detail : "no useful answer";
    return rv;
}

const hb_pay_provider_t pay_stripe = {
    .name = "stripe",
    .title = "Stripe",
    .can = HB_PAY_CAN_WEBHOOK | HB_PAY_CAN_RETURN | HB_PAY_CAN_REFUND | HB_PAY_CAN_INTENT,
    .currencies = "usd",
    .sig_header = "Stripe-Signature",
    .missing = missing,
    .start = start,
    .read = stripe_read,
    .lookup = lookup,
    .refund = refund,
    .sample = stripe_sample,
    .samples = stripe_samples,
    .probe = probe,
};
