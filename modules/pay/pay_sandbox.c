/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider of play money that this server plays itself, so that everything around a
 * payment can be tried with nothing configured: a checkout page (routes_sandbox.c), signed
 * webhooks, a state that can be looked up, refunds. What its "bank" knows are the records
 * of sandboxPayments; orders and coins stay as far from it as from a real provider. Off
 * unless HaloBuzzPaySandbox is on, and never beside real money.
 */
#include "hb_sandbox.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_store.h"
#include "hb_time.h"
#include "pay_private.h"

#define EVENT_BYTES_MAX (64 * 1024)

/* What a message of a type says, and what the bank then holds. */
typedef struct kind_t {
    const char *type;
    hb_pay_outcome_e outcome;
    const char *state;
} kind_t;

static const kind_t kinds[] = {
    { "payment.paid",     HB_PAY_PAID,         "paid" },
    { "payment.failed",   HB_PAY_FAILED,       "failed" },
    { "payment.canceled", HB_PAY_CANCELED,     "canceled" },
    { "payment.refunded", HB_PAY_REFUNDED,     "paid" },
    { "dispute.opened",   HB_PAY_DISPUTED,     "paid" },
    { "dispute.won",      HB_PAY_DISPUTE_WON,  "paid" },
    { "dispute.lost",     HB_PAY_DISPUTE_LOST, "paid" },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const samples[] = {
    "payment.paid", "payment.failed", "payment.canceled", "payment.refunded",
    "dispute.opened", "dispute.won", "dispute.lost", NULL
};

static const kind_t *kind_of(const char *type)
{
    apr_size_t i;

    for (i = 0; type != NULL && i < N_KINDS; i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Known to whoever was sent to the page, and to nobody who only knows the order. */
const char *hb_sandbox_payment_id(hb_op_t *op, const char *order_id)
{
    const char *hash = hb_keyed_hash(op, "pay.sandbox.payment", order_id);

    return hash != NULL ? apr_psprintf(op->pool, "sbx_%.32s", hash) : NULL;
}

/* The configured secrets, or the one that follows from the site's keys. */
static apr_status_t secrets_of(const char *const **secrets, hb_op_t *op)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char **derived;

    if (keys != NULL && keys->sandbox[0] != NULL) {
        *secrets = keys->sandbox;
        return APR_SUCCESS;
    }
    derived = apr_pcalloc(op->pool, 2 * sizeof(*derived));
    derived[0] = hb_keyed_hash(op, "pay.sandbox.secret", "webhook");
    *secrets = derived;
    return derived[0] != NULL ? APR_SUCCESS : HB_E_INTERNAL;
}

static const char *missing(const hb_site_t *site)
{
    return !site->settings->pay_sandbox ? "HaloBuzzPaySandbox is off"
        : site->settings->payments_live ? "HaloBuzzPaymentsLive is on, so there is no play money"
        : NULL;
}

static apr_status_t start(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order, int how)
{
    memset(start, 0, sizeof(*start));
    if (how != HB_PAY_AS_PAGE) {
        return hb_fail(op, HB_E_PAY_REFUSED, "the sandbox has a page only");
    }
    start->attempt_id = hb_sandbox_payment_id(op, order->id);
    if (start->attempt_id == NULL) {
        return HB_E_INTERNAL;
    }
    start->url = apr_pstrcat(op->pool, op->site->settings->public_url,
                             "/api/v1/payments/sandbox/checkout/", order->id, "?key=",
                             start->attempt_id, NULL);
    return APR_SUCCESS;
}

/* --- messages --- */

static apr_status_t read_return(hb_pay_event_t *event, hb_op_t *op,
                                const hb_pay_message_t *message)
{
    event->fact.order_id = message->order_id;
    return pay_came_back(event, op, "sbr_", message);
}

static apr_status_t read_webhook(hb_pay_event_t *event, hb_op_t *op,
                                 const hb_pay_message_t *message)
{
    const char *const *secrets, *why;
    const hb_json_t *payment;
    const kind_t *kind;
    hb_json_t *json;
    apr_status_t rv = secrets_of(&secrets, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    why = pay_signature_check(message->signature, message->body, message->len, secrets,
                              message->received_at);
    if (why != NULL) {
        return pay_forged(event, why);
    }
    if (message->len > EVENT_BYTES_MAX
        || hb_json_parse(&json, &why, message->body, message->len, op->pool) != APR_SUCCESS) {
        return pay_malformed(event, "the body is no JSON");
    }
    event->event_id = pay_plain(hb_json_string(json, "id"));
    event->type = pay_plain(hb_json_string(json, "type"));
    payment = hb_json_get(json, "payment");
    if (event->event_id == NULL || event->type == NULL
        || hb_json_type(payment) != HB_JSON_OBJECT) {
        return pay_malformed(event, "it is no event: id, type and payment are needed");
    }
    event->verdict = HB_PAY_TRUSTED;
    kind = kind_of(event->type);
    event->fact.outcome = kind != NULL ? kind->outcome : HB_PAY_UNKNOWN;
    event->fact.order_id = pay_plain(hb_json_string(payment, "orderId"));
    event->fact.payment_id = pay_plain(hb_json_string(payment, "id"));
    event->fact.attempt_id = event->fact.payment_id;
    event->fact.refund_id = pay_plain(hb_json_string(payment, "refundId"));
    event->fact.amount_minor = hb_json_int(payment, "amount", -1);
    event->fact.refunded_minor = hb_json_int(payment, "refunded", -1);
    event->fact.currency = pay_plain(hb_json_string(payment, "currency"));
    event->fact.status = event->type;
    event->fact.is_live = 0;
    return APR_SUCCESS;
}

static apr_status_t read_message(hb_pay_event_t *event, hb_op_t *op,
                                 const hb_pay_message_t *message)
{
    memset(event, 0, sizeof(*event));
    pay_fact_clear(&event->fact);
    return message->is_return ? read_return(event, op, message)
                              : read_webhook(event, op, message);
}

static apr_status_t sample(hb_pay_message_t *message, hb_op_t *op, const hb_order_t *order,
                           const char *type)
{
    const kind_t *kind = kind_of(type);
    hb_json_t *json = hb_json_object_make(op->pool);
    hb_json_t *payment = hb_json_object_make(op->pool);
    const char *const *secrets;
    const char *payment_id = hb_sandbox_payment_id(op, order->id);
    const char *token = hb_random_token(op, 12);
    apr_status_t rv = secrets_of(&secrets, op);

    if (kind == NULL) {
        return hb_fail(op, HB_E_INPUT_INVALID, "the sandbox sends no %s", type);
    }
    if (rv != APR_SUCCESS || payment_id == NULL || token == NULL) {
        return HB_E_INTERNAL;
    }
    hb_json_set_string(payment, "id", payment_id);
    hb_json_set_string(payment, "orderId", order->id);
    hb_json_set_string(payment, "state", kind->state);
    hb_json_set_int(payment, "amount", order->amount_minor);
    hb_json_set_string(payment, "currency", order->currency);
    if (kind->outcome == HB_PAY_REFUNDED) {
        hb_json_set_int(payment, "refunded", order->amount_minor);
    }
    if (kind->outcome >= HB_PAY_REFUNDED) {
        hb_json_set_string(payment, "refundId",
                           pay_content_id(op, "sbf_", payment_id, kind->state));
    }
    hb_json_set_string(json, "id", apr_pstrcat(op->pool, "sbe_", token, NULL));
    hb_json_set_string(json, "type", type);
    hb_json_set_int(json, "created", apr_time_sec(op->now));
    hb_json_set(json, "payment", payment);
    memset(message, 0, sizeof(*message));
    message->body = hb_json_text(json, op->pool, &message->len);
    message->signature = pay_signature_make(secrets[0], op->now, message->body, message->len,
                                            op->pool);
    message->received_at = op->now;
    return message->signature != NULL ? APR_SUCCESS : HB_E_INTERNAL;
}

/* --- the bank --- */

apr_status_t hb_sandbox_settle(hb_op_t *op, const hb_order_t *order, hb_pay_outcome_e outcome)
{
    const char *id = hb_sandbox_payment_id(op, order->id);
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv;

    if (id == NULL) {
        return HB_E_INTERNAL;
    }
    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "orderId", order->id);
    hb_json_set_string(doc, "state", hb_pay_outcome_name(outcome));
    hb_json_set_int(doc, "amountMinor", order->amount_minor);
    hb_json_set_string(doc, "currency", order->currency);
    hb_json_set_int(doc, "refundedMinor", 0);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_SANDBOX_PAYMENTS, doc);
    return rv == HB_E_STORE_DUPLICATE
           ? hb_fail(op, HB_E_PAY_REFUSED, "this payment was settled before") : rv;
}

static void fact_of(hb_pay_fact_t *fact, const hb_json_t *doc)
{
    fact->refunded_minor = hb_json_int(doc, "refundedMinor", 0);
    fact->status = hb_json_string(doc, "state");
    fact->outcome = fact->refunded_minor > 0 ? HB_PAY_REFUNDED : hb_pay_outcome_read(fact->status);
    fact->payment_id = hb_json_string(doc, "_id");
    fact->amount_minor = hb_json_int(doc, "amountMinor", -1);
    fact->currency = hb_json_string(doc, "currency");
}

static apr_status_t lookup(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order)
{
    hb_json_t *doc;
    apr_status_t rv;

    pay_fact_clear(fact);
    fact->order_id = order->id;
    fact->is_live = 0;
    fact->attempt_id = hb_sandbox_payment_id(op, order->id);
    if (fact->attempt_id == NULL) {
        return HB_E_INTERNAL;
    }
    rv = hb_store_get(&doc, op, HB_C_SANDBOX_PAYMENTS, fact->attempt_id);
    if (rv == HB_E_STORE_MISSING) {
        fact->outcome = HB_PAY_OPEN;
        fact->status = "open";
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        fact_of(fact, doc);
    }
    return rv;
}

typedef struct refund_t {
    const char *payment_id, *key;
    apr_int64_t amount_minor;
    hb_json_t *doc;
} refund_t;

/* The key is pushed with the sum, so that the same refund counts once. */
static apr_status_t refund_once(hb_op_t *op, void *baton)
{
    refund_t *refund = baton;
    const hb_edit_t edits[] = {
        { "refundedMinor", HB_INC, HB_INT(refund->amount_minor) },
        { "refunds", HB_PUSH, HB_STR(refund->key) }
    };
    const hb_json_t *done;
    apr_int64_t paid, given;
    apr_status_t rv;
    int i;

    rv = hb_store_get(&refund->doc, op, HB_C_SANDBOX_PAYMENTS, refund->payment_id);
    if (rv == HB_E_STORE_MISSING) {
        return HB_E_PAY_REFUSED;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    done = hb_json_get(refund->doc, "refunds");
    for (i = 0; i < hb_json_length(done); i++) {
        const char *key = hb_json_string_value(hb_json_item(done, i));

        if (key != NULL && strcmp(key, refund->key) == 0) {
            return APR_SUCCESS;
        }
    }
    paid = hb_json_int(refund->doc, "amountMinor", 0);
    given = hb_json_int(refund->doc, "refundedMinor", 0);
    if (strcmp(hb_json_string(refund->doc, "state"), "paid") != 0
        || refund->amount_minor <= 0 || refund->amount_minor > paid - given) {
        return HB_E_PAY_REFUSED;
    }
    return hb_store_change(&refund->doc, NULL, op, HB_C_SANDBOX_PAYMENTS, refund->payment_id,
                           NULL, 0, edits, 2);
}

static apr_status_t refund(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order,
                           apr_int64_t amount_minor, const char *refund_key)
{
    refund_t job = { .key = refund_key, .amount_minor = amount_minor };
    apr_status_t rv;

    pay_fact_clear(fact);
    job.payment_id = hb_sandbox_payment_id(op, order->id);
    if (job.payment_id == NULL) {
        return HB_E_INTERNAL;
    }
    rv = hb_store_transact(op, refund_once, &job);
    if (rv == HB_E_PAY_REFUSED) {
        return hb_fail(op, HB_E_PAY_REFUSED, "there is not that much left to refund");
    }
    if (rv == APR_SUCCESS) {
        fact_of(fact, job.doc);
        fact->order_id = order->id;
        fact->refund_id = pay_content_id(op, "sbf_", job.payment_id, refund_key);
        fact->is_live = 0;
    }
    return rv;
}

static apr_status_t probe(const char **said, hb_op_t *op)
{
    (void)op;
    *said = "this server plays it itself";
    return APR_SUCCESS;
}

const hb_pay_provider_t pay_sandbox = {
    .name = "sandbox",
    .title = "Sandbox",
    .can = HB_PAY_CAN_WEBHOOK | HB_PAY_CAN_RETURN | HB_PAY_CAN_REFUND,
    .currencies = "npr usd",
    .sig_header = "HaloBuzz-Signature",
    .missing = missing,
    .start = start,
    .read = read_message,
    .lookup = lookup,
    .refund = refund,
    .sample = sample,
    .samples = samples,
    .probe = probe,
};
