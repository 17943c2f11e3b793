/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Khalti ePayment (KPG-2). Nothing that comes from outside is signed: the payer's browser comes
 * back with an open query, and there are no webhooks. So a return is a reason to ask, and
 * the lookup with our secret key is the only proof. Amounts are whole paisa.
 */
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_fetch.h"
#include "hb_metrics.h"
#include "hb_time.h"
#include "pay_private.h"

#define LIVE_URL "https://khalti.com"
#define TEST_URL "https://dev.khalti.com"
#define AMOUNT_MIN_MINOR 1000
#define TRIES 2

static const char *missing(const hb_site_t *site)
{
    const hb_pay_keys_t *keys = site->pay_keys;

    return keys == NULL || keys->khalti[0] == NULL ? "HaloBuzzKhaltiSecret is not set" : NULL;
}

/* One POST of JSON. Whatever JSON comes back is the caller's to read. */
static apr_status_t call(hb_fetch_answer_t *answer, hb_op_t *op, const char *path,
                         const hb_json_t *body, int tries)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char *key = keys != NULL && keys->khalti[0] != NULL ? keys->khalti[0] : "";
    const char *headers[] = { apr_pstrcat(op->pool, "Authorization: Key ", key, NULL), NULL };
    hb_fetch_t fetch = {
        .service = "khalti",
        .count = HB_M_FETCH_KHALTI,
        .method = "POST",
        .url = apr_pstrcat(op->pool, pay_base_url(op, op->site->settings->khalti_url, LIVE_URL,
                                                  TEST_URL), path, NULL),
        .type = "application/json",
        .headers = headers,
        .tries = tries
    };

    fetch.body = hb_json_text(body, op->pool, &fetch.len);
    if (hb_fetch(answer, op, &fetch) != APR_SUCCESS) {
        return pay_no_answer(op, "Khalti", answer);
    }
    return APR_SUCCESS;
}

static apr_status_t odd(hb_op_t *op, const hb_fetch_answer_t *answer, const char *what)
{
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08001) "Khalti's answer (%d) is not used: %s%s",
           answer->status, what, answer->status == 401 ? "; look at HaloBuzzKhaltiSecret" : "");
    return pay_no_answer(op, "Khalti", answer);
}

/* --- beginning --- */

static apr_time_t end_of(const hb_op_t *op, const hb_json_t *json)
{
    const char *text = hb_json_string(json, "expires_at");
    apr_int64_t sec = hb_json_int(json, "expires_in", 0);
    apr_time_t when;

    if (text != NULL && hb_time_read(&when, text)) {
        return when;
    }
    return sec > 0 && sec <= 7 * 86400 ? op->now + apr_time_from_sec(sec) : 0;
}

/*
 * Khalti knows no idempotency key. Another try makes another pidx, and the earlier one ends
 * unpaid, because no payer was ever sent to it.
 */
static apr_status_t start(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order, int how)
{
    const hb_settings_t *settings = op->site->settings;
    hb_json_t *body = hb_json_object_make(op->pool);
    hb_fetch_answer_t answer;
    apr_status_t rv;

    memset(start, 0, sizeof(*start));
    if (how != HB_PAY_AS_PAGE) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti has a page only");
    }
    if (order->amount_minor < AMOUNT_MIN_MINOR) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti takes no less than NPR 10");
    }
    hb_json_set_string(body, "return_url", pay_return_url(op, "khalti", order->id, ""));
    hb_json_set_string(body, "website_url", settings->public_url);
    hb_json_set_int(body, "amount", order->amount_minor);
    hb_json_set_string(body, "purchase_order_id", order->id);
    hb_json_set_string(body, "purchase_order_name", order->title);
    rv = call(&answer, op, "/api/v2/epayment/initiate/", body, TRIES);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (answer.status == 400 && hb_json_string(answer.json, "error_key") != NULL) {
        const char *key = pay_plain(hb_json_string(answer.json, "error_key"));

        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08002) "Khalti refuses an order: %s",
               key != NULL ? key : "no reason");
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti refuses this order");
    }
    start->attempt_id = pay_plain(hb_json_string(answer.json, "pidx"));
    start->url = hb_json_string(answer.json, "payment_url");
    start->expires_at = end_of(op, answer.json);
    start->public_key = *settings->khalti_public_key != '\0' ? settings->khalti_public_key : NULL;
    if (answer.status != 200 || start->attempt_id == NULL || !pay_is_name(start->attempt_id)
        || !pay_is_page(start->url, op->pool)) {
        return odd(op, &answer, "it names no payment and page");
    }
    return APR_SUCCESS;
}

/* --- what it says --- */

static const struct {
    const char *status;
    hb_pay_outcome_e outcome;
} statuses[] = {
    { "Completed",          HB_PAY_PAID },
    { "Pending",            HB_PAY_OPEN },
    { "Initiated",          HB_PAY_OPEN },
    { "Refunded",           HB_PAY_REFUNDED },
    { "Partially refunded", HB_PAY_REFUNDED },
    { "Expired",            HB_PAY_EXPIRED },
    { "User canceled",      HB_PAY_CANCELED },
};

/* Its row's own spelling, which may be kept; NULL for a word that is not in the table. */
static const char *status_of(hb_pay_outcome_e *outcome, const char *status)
{
    apr_size_t i;

    *outcome = HB_PAY_UNKNOWN;
    for (i = 0; status != NULL && i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strcasecmp(statuses[i].status, status) == 0) {
            *outcome = statuses[i].outcome;
            return statuses[i].status;
        }
    }
    return NULL;
}

static apr_status_t read_message(hb_pay_event_t *event, hb_op_t *op,
                                 const hb_pay_message_t *message)
{
    const char *amount, *order_id;
    apr_status_t rv;
    char *end;

    memset(event, 0, sizeof(*event));
    pay_fact_clear(&event->fact);
    if (!message->is_return || message->order_id == NULL) {
        return pay_malformed(event, "Khalti sends no webhooks");
    }
    event->fact.attempt_id = pay_plain(pay_query_value(message->body, "pidx", op->pool));
    if (event->fact.attempt_id == NULL) {
        return pay_malformed(event, "pidx is missing");
    }
    order_id = pay_query_value(message->body, "purchase_order_id", op->pool);
    if (order_id != NULL && strcmp(order_id, message->order_id) != 0) {
        return pay_forged(event, "it is another order's");
    }
    rv = pay_came_back(event, op, "return_", message);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    event->fact.status = status_of(&event->fact.outcome,
                                   pay_query_value(message->body, "status", op->pool));
    event->fact.order_id = message->order_id;
    event->fact.payment_id = event->fact.attempt_id;
    event->fact.currency = "npr";
    amount = pay_query_value(message->body, "total_amount", op->pool);
    if (amount != NULL && *amount != '\0') {
        apr_int64_t minor = apr_strtoi64(amount, &end, 10);

        event->fact.amount_minor = *end == '\0' && minor >= 0 ? minor : -1;
    }
    return APR_SUCCESS;
}

const char *khalti_answer_fact(hb_pay_fact_t *fact, int *is_refunded, int http_status,
                               const hb_json_t *answer, const char *pidx)
{
    const char *status = pay_text(hb_json_string(answer, "status"));
    const char *given = hb_json_string(answer, "pidx");

    pay_fact_clear(fact);
    *is_refunded = 0;
    /* An expired or canceled payment is a whole answer under status 400. */
    if ((http_status != 200 && http_status != 400) || status == NULL) {
        return "it holds no status";
    }
    if (given == NULL || strcmp(given, pidx) != 0) {
        return "it is about another payment";
    }
    fact->status = status_of(&fact->outcome, status);
    if (http_status != 200 && fact->outcome == HB_PAY_PAID) {
        pay_fact_clear(fact);
        return "it is an error and says paid";
    }
    if (fact->status == NULL) {
        fact->status = status;
    }
    fact->attempt_id = fact->payment_id = pidx;
    fact->charge_id = pay_plain(hb_json_string(answer, "transaction_id"));
    fact->amount_minor = hb_json_int(answer, "total_amount", -1);
    fact->currency = "npr";
    *is_refunded = hb_json_bool(answer, "refunded", 0);
    return NULL;
}

static apr_status_t look(hb_pay_fact_t *fact, int *is_refunded, hb_op_t *op, const char *pidx)
{
    hb_json_t *body = hb_json_object_make(op->pool);
    hb_fetch_answer_t answer;
    const char *why;
    apr_status_t rv;

    hb_json_set_string(body, "pidx", pidx);
    rv = call(&answer, op, "/api/v2/epayment/lookup/", body, TRIES);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    why = khalti_answer_fact(fact, is_refunded, answer.status, answer.json, pidx);
    return why != NULL ? odd(op, &answer, why) : APR_SUCCESS;
}

static apr_status_t lookup(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order)
{
    int is_refunded = 0;
    apr_status_t rv;

    pay_fact_clear(fact);
    if (order->attempt_id == NULL) {
        fact->order_id = order->id;
        fact->outcome = HB_PAY_OPEN;    /* no pidx, so no payer was sent on */
        fact->status = "not started";
        return APR_SUCCESS;
    }
    rv = look(fact, &is_refunded, op, order->attempt_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    fact->order_id = order->id;
    /* It does not say; which of its two worlds was asked does. */
    fact->is_live = op->site->settings->payments_live;
    if (fact->outcome == HB_PAY_PAID && is_refunded) {
        fact->outcome = HB_PAY_REFUNDED;
    }
    if (fact->outcome == HB_PAY_REFUNDED && strcmp(fact->status, "Refunded") == 0) {
        fact->refunded_minor = fact->amount_minor;
    }
    return APR_SUCCESS;
}

/* --- giving back --- */

/*
 * There is no key that makes a refund happen once. So Khalti is asked before how things
 * stand: money that went back already is not sent again, and what we cannot tell apart
 * from an earlier try of ours is refused, for somebody to look at.
 */
static apr_status_t may_refund(hb_pay_fact_t *fact, int *is_done, hb_op_t *op,
                               const hb_order_t *order, int is_full)
{
    int is_refunded = 0;
    apr_status_t rv;

    *is_done = 0;
    if (order->attempt_id == NULL) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti holds no payment of this order");
    }
    rv = look(fact, &is_refunded, op, order->attempt_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (fact->outcome == HB_PAY_REFUNDED && strcmp(fact->status, "Refunded") == 0 && is_full) {
        *is_done = 1;
        return APR_SUCCESS;
    }
    if (fact->outcome == HB_PAY_REFUNDED && order->refunded_minor == 0) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti shows a refund that is not recorded here; "
                       "compare with the merchant portal");
    }
    if (fact->outcome != HB_PAY_PAID && fact->outcome != HB_PAY_REFUNDED) {
        return hb_fail(op, HB_E_PAY_REFUSED, "Khalti holds no money of this order");
    }
    if (fact->charge_id == NULL || !pay_is_name(fact->charge_id)) {
        return hb_fail(op, HB_E_PAY_UPSTREAM, "Khalti names no transaction");
    }
    return APR_SUCCESS;
}

static apr_status_t refund(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order,
                           apr_int64_t amount_minor, const char *refund_key)
{
    int is_full = order->refunded_minor == 0 && amount_minor == order->amount_minor;
    hb_json_t *body = hb_json_object_make(op->pool);
    hb_fetch_answer_t answer;
    apr_status_t rv;
    int is_done;

    (void)refund_key;
    pay_fact_clear(fact);
    rv = may_refund(fact, &is_done, op, order, is_full);
    if (rv == APR_SUCCESS && !is_done) {
        if (!is_full) {
            hb_json_set_int(body, "amount", amount_minor);
        }
        rv = call(&answer, op, apr_pstrcat(op->pool, "/api/merchant-transaction/",
                                           fact->charge_id, "/refund/", NULL), body, 1);
        if (rv == APR_SUCCESS && answer.status >= 400 && answer.status < 500
            && answer.status != 401 && answer.status != 408 && answer.status != 429) {
            hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08003) "Khalti answers %d to a refund",
                   answer.status);
            rv = hb_fail(op, HB_E_PAY_REFUSED, "Khalti refuses this refund");
        }
        else if (rv == APR_SUCCESS && answer.status != 200) {
            rv = odd(op, &answer, "it does not confirm the refund");
        }
        if (rv == HB_E_PAY_UPSTREAM && answer.was_sent && answer.status != 401
            && answer.status != 429) {
            fact->outcome = HB_PAY_AMBIGUOUS;
        }
    }
    if (rv == APR_SUCCESS) {
        fact->outcome = HB_PAY_REFUNDED;
        fact->order_id = order->id;
        fact->refund_id = refund_key;
        fact->refunded_minor = order->refunded_minor + amount_minor;
    }
    return rv;
}

/* --- samples --- */

static const char *const samples[] = { "return", "return.canceled", NULL };

static apr_status_t sample(hb_pay_message_t *message, hb_op_t *op, const hb_order_t *order,
                           const char *type)
{
    const char *pidx = order->attempt_id != NULL ? order->attempt_id : order->id;
    int is_paid = strcmp(type, "return") == 0;

    if (!is_paid && strcmp(type, "return.canceled") != 0) {
        return hb_fail(op, HB_E_INPUT_INVALID, "there is no sample of %s", type);
    }
    memset(message, 0, sizeof(*message));
    message->is_return = 1;
    message->order_id = order->id;
    message->received_at = op->now;
    message->body = apr_psprintf(op->pool, "pidx=%s&transaction_id=%s&tidx=%s&amount=%"
                                 APR_INT64_T_FMT "&total_amount=%" APR_INT64_T_FMT
                                 "&mobile=98XXXXX000&status=%s&purchase_order_id=%s"
                                 "&purchase_order_name=%s",
                                 apr_pescape_urlencoded(op->pool, pidx), is_paid ? order->id : "",
                                 is_paid ? order->id : "", order->amount_minor,
                                 order->amount_minor, is_paid ? "Completed" : "User+canceled",
                                 order->id, apr_pescape_urlencoded(op->pool, order->title));
    message->len = strlen(message->body);
    return APR_SUCCESS;
}

/* A payment that does not exist: "Not found." with a right key, 401 with a wrong one. */
static apr_status_t probe(const char **said, hb_op_t *op)
{
    hb_json_t *body = hb_json_object_make(op->pool);
    hb_fetch_answer_t answer;
    apr_status_t rv;

    hb_json_set_string(body, "pidx", "halobuzzprobe");
    rv = call(&answer, op, "/api/v2/epayment/lookup/", body, 1);
    *said = "the lookup does not answer usefully";
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (answer.status == 401 || answer.status == 403) {
        *said = "the key is not accepted: look at HaloBuzzKhaltiSecret and HaloBuzzPaymentsLive";
        return HB_E_CONFIG;
    }
    if ((answer.status != 404 && answer.status != 400)
        || (!hb_json_has(answer.json, "detail") && !hb_json_has(answer.json, "error_key"))) {
        return odd(op, &answer, "it is neither found nor refused");
    }
    *said = "the key is accepted";
    return APR_SUCCESS;
}

const hb_pay_provider_t pay_khalti = {
    .name = "khalti",
    .title = "Khalti",
    .can = HB_PAY_CAN_RETURN | HB_PAY_CAN_REFUND | HB_PAY_NO_REFUND_KEYS,
    .currencies = "npr",
    .missing = missing,
    .start = start,
    .read = read_message,
    .lookup = lookup,
    .refund = refund,
    .sample = sample,
    .samples = samples,
    .probe = probe,
};
