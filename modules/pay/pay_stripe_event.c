/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Stripe tells: its objects and events as facts, and events like its own for
 * `halobuzzctl webhook send`. Every enumeration of Stripe is open-ended: a word that is not
 * in the tables here is HB_PAY_UNKNOWN, kept and not acted on.
 */
#include "pay_stripe.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define EVENT_BYTES_MAX (1024 * 1024)

/* A member that is an id, or the object itself when the call asked to expand it. */
static const char *id_at(const hb_json_t *object, const char *key)
{
    const hb_json_t *value = hb_json_get(object, key);

    return pay_plain(hb_json_type(value) == HB_JSON_OBJECT ? hb_json_string(value, "id")
                     : hb_json_string_value(value));
}

static void common(hb_pay_fact_t *fact, const hb_json_t *object)
{
    fact->order_id = pay_plain(hb_json_string(hb_json_get(object, "metadata"), "order_id"));
    fact->currency = pay_plain(hb_json_string(object, "currency"));
    fact->is_live = hb_json_bool(object, "livemode", -1);
}

static hb_pay_outcome_e intent_outcome(const char *status)
{
    static const struct {
        const char *status;
        hb_pay_outcome_e outcome;
    } rows[] = {
        { "succeeded",               HB_PAY_PAID },
        { "canceled",                HB_PAY_CANCELED },
        { "requires_payment_method", HB_PAY_OPEN },
        { "requires_confirmation",   HB_PAY_OPEN },
        { "requires_action",         HB_PAY_OPEN },
        { "requires_capture",        HB_PAY_OPEN },
        { "processing",              HB_PAY_OPEN },
    };
    apr_size_t i;

    for (i = 0; status != NULL && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].status, status) == 0) {
            return rows[i].outcome;
        }
    }
    return HB_PAY_UNKNOWN;
}

/* What only an expanded charge tells: money that went back meanwhile. */
static void add_charge(hb_pay_fact_t *fact, const hb_json_t *charge)
{
    apr_int64_t refunded = hb_json_int(charge, "amount_refunded", -1);

    if (hb_json_type(charge) != HB_JSON_OBJECT || fact->outcome != HB_PAY_PAID) {
        return;
    }
    fact->refunded_minor = refunded;
    if (refunded > 0) {
        fact->outcome = HB_PAY_REFUNDED;
    }
    if (hb_json_bool(charge, "disputed", 0)) {
        fact->outcome = HB_PAY_AMBIGUOUS;   /* how the dispute stands comes by webhook only */
        fact->status = "disputed";
    }
}

void stripe_intent_fact(hb_pay_fact_t *fact, const hb_json_t *intent)
{
    common(fact, intent);
    fact->status = pay_plain(hb_json_string(intent, "status"));
    fact->outcome = intent_outcome(fact->status);
    fact->payment_id = fact->attempt_id = id_at(intent, "id");
    fact->charge_id = id_at(intent, "latest_charge");
    fact->amount_minor = hb_json_int(intent, fact->outcome == HB_PAY_PAID ? "amount_received"
                                     : "amount", -1);
    add_charge(fact, hb_json_get(intent, "latest_charge"));
}

void stripe_session_fact(hb_pay_fact_t *fact, const hb_json_t *session)
{
    const hb_json_t *intent = hb_json_get(session, "payment_intent");
    const char *paid = pay_plain(hb_json_string(session, "payment_status"));
    const char *status = pay_plain(hb_json_string(session, "status"));

    common(fact, session);
    if (fact->order_id == NULL) {
        fact->order_id = pay_plain(hb_json_string(session, "client_reference_id"));
    }
    fact->status = paid != NULL ? paid : status;
    fact->attempt_id = id_at(session, "id");
    fact->payment_id = id_at(session, "payment_intent");
    fact->amount_minor = hb_json_int(session, "amount_total", -1);
    if (paid != NULL
        && (strcmp(paid, "paid") == 0 || strcmp(paid, "no_payment_required") == 0)) {
        fact->outcome = HB_PAY_PAID;
        if (fact->payment_id == NULL) {
            fact->payment_id = fact->attempt_id;    /* nothing was charged; once all the same */
        }
    }
    else if (status != NULL && strcmp(status, "expired") == 0) {
        fact->outcome = HB_PAY_EXPIRED;
        fact->status = status;
    }
    else if (paid != NULL && strcmp(paid, "unpaid") == 0) {
        fact->outcome = HB_PAY_OPEN;    /* or paid by a method that takes days */
    }
    if (hb_json_type(intent) == HB_JSON_OBJECT) {
        fact->charge_id = id_at(intent, "latest_charge");
        add_charge(fact, hb_json_get(intent, "latest_charge"));
    }
}

void stripe_refund_fact(hb_pay_fact_t *fact, const hb_json_t *refund)
{
    const hb_json_t *charge = hb_json_get(refund, "charge");

    common(fact, refund);
    fact->status = pay_plain(hb_json_string(refund, "status"));
    fact->refund_id = id_at(refund, "id");
    fact->charge_id = id_at(refund, "charge");
    fact->payment_id = fact->attempt_id = id_at(refund, "payment_intent");
    fact->amount_minor = hb_json_int(refund, "amount", -1);
    if (hb_json_type(charge) == HB_JSON_OBJECT) {
        fact->refunded_minor = hb_json_int(charge, "amount_refunded", -1);
    }
    if (fact->status == NULL) {
        return;
    }
    if (strcmp(fact->status, "failed") == 0 || strcmp(fact->status, "canceled") == 0) {
        fact->outcome = HB_PAY_REFUND_FAILED;
    }
    else if (strcmp(fact->status, "succeeded") == 0 || strcmp(fact->status, "pending") == 0
             || strcmp(fact->status, "requires_action") == 0) {
        fact->outcome = HB_PAY_REFUNDED;
    }
}

/* --- events --- */

static void session_event(hb_pay_fact_t *fact, const hb_json_t *session)
{
    stripe_session_fact(fact, session);
}

static void session_failed(hb_pay_fact_t *fact, const hb_json_t *session)
{
    stripe_session_fact(fact, session);
    fact->outcome = HB_PAY_FAILED;
}

static void intent_event(hb_pay_fact_t *fact, const hb_json_t *intent)
{
    stripe_intent_fact(fact, intent);
}

/* The intent itself says requires_payment_method then: it may still be paid later. */
static void intent_failed(hb_pay_fact_t *fact, const hb_json_t *intent)
{
    const hb_json_t *error = hb_json_get(intent, "last_payment_error");
    const char *code = pay_plain(hb_json_string(error, "decline_code"));

    stripe_intent_fact(fact, intent);
    fact->outcome = HB_PAY_FAILED;
    if (code == NULL) {
        code = pay_plain(hb_json_string(error, "code"));
    }
    if (code != NULL) {
        fact->status = code;
    }
}

static void charge_refunded(hb_pay_fact_t *fact, const hb_json_t *charge)
{
    common(fact, charge);
    fact->outcome = HB_PAY_REFUNDED;
    fact->status = "refunded";
    fact->charge_id = id_at(charge, "id");
    fact->payment_id = fact->attempt_id = id_at(charge, "payment_intent");
    fact->amount_minor = hb_json_int(charge, "amount", -1);
    fact->refunded_minor = hb_json_int(charge, "amount_refunded", -1);
}

/* charge.refunded tells the sum; of a single refund only that it failed is news. */
static void refund_event(hb_pay_fact_t *fact, const hb_json_t *refund)
{
    stripe_refund_fact(fact, refund);
    if (fact->outcome == HB_PAY_REFUNDED) {
        fact->outcome = HB_PAY_UNKNOWN;
    }
}

static void dispute_common(hb_pay_fact_t *fact, const hb_json_t *dispute)
{
    common(fact, dispute);
    fact->status = pay_plain(hb_json_string(dispute, "status"));
    fact->refund_id = id_at(dispute, "id");
    fact->charge_id = id_at(dispute, "charge");
    fact->payment_id = fact->attempt_id = id_at(dispute, "payment_intent");
    fact->amount_minor = hb_json_int(dispute, "amount", -1);
}

/* An inquiry (warning_...) takes no money; staff reads of it in the order's time line. */
static void dispute_created(hb_pay_fact_t *fact, const hb_json_t *dispute)
{
    dispute_common(fact, dispute);
    fact->outcome = fact->status != NULL && strncmp(fact->status, "warning_", 8) == 0
                    ? HB_PAY_UNKNOWN : HB_PAY_DISPUTED;
}

static void dispute_withdrawn(hb_pay_fact_t *fact, const hb_json_t *dispute)
{
    dispute_common(fact, dispute);
    fact->outcome = HB_PAY_DISPUTED;
}

static void dispute_reinstated(hb_pay_fact_t *fact, const hb_json_t *dispute)
{
    dispute_common(fact, dispute);
    fact->outcome = HB_PAY_DISPUTE_WON;
}

static void dispute_closed(hb_pay_fact_t *fact, const hb_json_t *dispute)
{
    dispute_common(fact, dispute);
    if (fact->status == NULL) {
        return;
    }
    fact->outcome = strcmp(fact->status, "lost") == 0 ? HB_PAY_DISPUTE_LOST
        : strcmp(fact->status, "won") == 0 || strcmp(fact->status, "prevented") == 0
        ? HB_PAY_DISPUTE_WON : HB_PAY_UNKNOWN;
}

static const struct {
    const char *type;
    const char *object;         /* what data.object has to be */
    void (*read)(hb_pay_fact_t *fact, const hb_json_t *object);
} handled[] = {
    { "checkout.session.completed",               "checkout.session", session_event },
    { "checkout.session.async_payment_succeeded", "checkout.session", session_event },
    { "checkout.session.async_payment_failed",    "checkout.session", session_failed },
    { "checkout.session.expired",                 "checkout.session", session_event },
    { "payment_intent.succeeded",                 "payment_intent",   intent_event },
    { "payment_intent.payment_failed",            "payment_intent",   intent_failed },
    { "payment_intent.canceled",                  "payment_intent",   intent_event },
    { "payment_intent.processing",                "payment_intent",   intent_event },
    { "payment_intent.requires_action",           "payment_intent",   intent_event },
    { "charge.refunded",                          "charge",           charge_refunded },
    { "refund.created",                           "refund",           refund_event },
    { "refund.updated",                           "refund",           refund_event },
    { "refund.failed",                            "refund",           refund_event },
    { "charge.refund.updated",                    "refund",           refund_event },
    { "charge.dispute.created",                   "dispute",          dispute_created },
    { "charge.dispute.funds_withdrawn",           "dispute",          dispute_withdrawn },
    { "charge.dispute.funds_reinstated",          "dispute",          dispute_reinstated },
    { "charge.dispute.closed",                    "dispute",          dispute_closed },
};

static apr_status_t read_event(hb_pay_event_t *event, const hb_json_t *json)
{
    const hb_json_t *object = hb_json_get(hb_json_get(json, "data"), "object");
    const char *id = pay_plain(hb_json_string(json, "id"));
    const char *type = pay_plain(hb_json_string(json, "type"));
    const char *kind = hb_json_string(object, "object");
    apr_size_t i;

    if (id == NULL || type == NULL) {
        return pay_malformed(event, "it is no event of Stripe: id and type are needed");
    }
    event->verdict = HB_PAY_TRUSTED;
    event->event_id = id;
    event->type = type;
    for (i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
        if (strcmp(handled[i].type, type) != 0) {
            continue;
        }
        if (kind == NULL || strcmp(kind, handled[i].object) != 0) {
            return pay_malformed(event, "the event's object is not what its type says");
        }
        handled[i].read(&event->fact, object);
    }
    if (event->fact.is_live < 0) {
        event->fact.is_live = hb_json_bool(json, "livemode", -1);
    }
    return APR_SUCCESS;
}

static apr_status_t read_return(hb_pay_event_t *event, hb_op_t *op,
                                const hb_pay_message_t *message)
{
    event->fact.order_id = message->order_id;
    event->fact.attempt_id = pay_plain(pay_query_value(message->body, "session_id", op->pool));
    return pay_came_back(event, op, "return_", message);
}

apr_status_t stripe_read(hb_pay_event_t *event, hb_op_t *op, const hb_pay_message_t *message)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char *why;
    hb_json_t *json;

    memset(event, 0, sizeof(*event));
    pay_fact_clear(&event->fact);
    if (message->is_return) {
        return read_return(event, op, message);
    }
    why = keys == NULL || keys->stripe_webhook[0] == NULL
        ? "HaloBuzzStripeWebhookSecret is not set"
        : pay_signature_check(message->signature, message->body, message->len,
                              keys->stripe_webhook, message->received_at);
    if (why != NULL) {
        return pay_forged(event, why);
    }
    if (message->len > EVENT_BYTES_MAX
        || hb_json_parse(&json, &why, message->body, message->len, op->pool) != APR_SUCCESS) {
        return pay_malformed(event, "the body is no JSON");
    }
    return read_event(event, json);
}

/* --- samples --- */

const char *const stripe_samples[] = {
    "payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled",
    "checkout.session.completed", "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed", "checkout.session.expired", "charge.refunded",
    "refund.failed", "charge.dispute.created", "charge.dispute.funds_reinstated",
    "charge.dispute.closed", NULL
};

static int ends_with(const char *text, const char *end)
{
    apr_size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

static void sample_session(hb_json_t *object, hb_op_t *op, const hb_order_t *order,
                           const char *type, const char *intent)
{
    int is_expired = ends_with(type, ".expired");
    int is_paid = !is_expired && !ends_with(type, "_failed");

    hb_json_set_string(object, "id", order->session_id != NULL ? order->session_id
                       : apr_pstrcat(op->pool, "cs_test_", order->id, NULL));
    hb_json_set_string(object, "mode", "payment");
    hb_json_set_string(object, "status", is_expired ? "expired" : "complete");
    hb_json_set_string(object, "payment_status", is_paid ? "paid" : "unpaid");
    hb_json_set_string(object, "payment_intent", is_expired ? NULL : intent);
    hb_json_set_string(object, "client_reference_id", order->id);
    hb_json_set_int(object, "amount_total", order->amount_minor);
}

static void sample_intent(hb_json_t *object, hb_op_t *op, const hb_order_t *order,
                          const char *type, const char *intent)
{
    int is_paid = ends_with(type, ".succeeded");

    hb_json_set_string(object, "id", intent);
    hb_json_set_string(object, "status", is_paid ? "succeeded"
                       : ends_with(type, ".canceled") ? "canceled" : "requires_payment_method");
    hb_json_set_int(object, "amount", order->amount_minor);
    hb_json_set_int(object, "amount_received", is_paid ? order->amount_minor : 0);
    hb_json_set_string(object, "latest_charge", apr_pstrcat(op->pool, "ch_", order->id, NULL));
    if (ends_with(type, "_failed")) {
        hb_json_t *error = hb_json_object_make(op->pool);

        hb_json_set_string(error, "type", "card_error");
        hb_json_set_string(error, "code", "card_declined");
        hb_json_set_string(error, "decline_code", "generic_decline");
        hb_json_set(object, "last_payment_error", error);
    }
}

/* Of a charge, a refund or a dispute. */
static void sample_back(hb_json_t *object, hb_op_t *op, const hb_order_t *order,
                        const char *type, const char *intent)
{
    const char *charge = order->charge_id != NULL ? order->charge_id
                         : apr_pstrcat(op->pool, "ch_", order->id, NULL);
    int is_charge = strcmp(type, "charge.refunded") == 0;
    int is_refund = strncmp(type, "refund.", 7) == 0;

    hb_json_set_string(object, "id", is_charge ? charge
                       : apr_pstrcat(op->pool, is_refund ? "re_" : "dp_", order->id, NULL));
    hb_json_set_string(object, "payment_intent", intent);
    hb_json_set_int(object, "amount", order->amount_minor);
    if (is_charge) {
        hb_json_set_int(object, "amount_refunded", order->amount_minor);
        hb_json_set_bool(object, "refunded", 1);
        return;
    }
    hb_json_set_string(object, "charge", charge);
    hb_json_set_string(object, "status", is_refund ? "failed"
                       : ends_with(type, ".closed") ? "lost"
                       : ends_with(type, "_reinstated") ? "won" : "needs_response");
}

static hb_json_t *sample_object(hb_op_t *op, const hb_order_t *order, const char *type,
                                const char *kind)
{
    hb_json_t *object = hb_json_object_make(op->pool);
    hb_json_t *metadata = hb_json_object_make(op->pool);
    const char *intent = order->payment_id != NULL ? order->payment_id
        : order->attempt_id != NULL && strncmp(order->attempt_id, "pi_", 3) == 0
        ? order->attempt_id : apr_pstrcat(op->pool, "pi_", order->id, NULL);

    hb_json_set_string(metadata, "order_id", order->id);
    hb_json_set_string(object, "object", kind);
    hb_json_set_string(object, "currency", order->currency);
    hb_json_set_bool(object, "livemode", op->site->settings->payments_live);
    hb_json_set(object, "metadata", metadata);
    if (strcmp(kind, "checkout.session") == 0) {
        sample_session(object, op, order, type, intent);
    }
    else if (strcmp(kind, "payment_intent") == 0) {
        sample_intent(object, op, order, type, intent);
    }
    else {
        sample_back(object, op, order, type, intent);
    }
    return object;
}

static const char *object_of_type(const char *type)
{
    apr_size_t i;

    for (i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
        if (strcmp(handled[i].type, type) == 0) {
            return handled[i].object;
        }
    }
    return NULL;
}

apr_status_t stripe_sample(hb_pay_message_t *message, hb_op_t *op, const hb_order_t *order,
                           const char *type)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char *kind = object_of_type(type), *token;
    hb_json_t *json, *data;

    if (kind == NULL) {
        return hb_fail(op, HB_E_INPUT_INVALID, "there is no sample of %s", type);
    }
    if (keys == NULL || keys->stripe_webhook[0] == NULL) {
        return hb_fail(op, HB_E_PAY_UNSET, "HaloBuzzStripeWebhookSecret is not set");
    }
    token = hb_random_token(op, 12);
    if (token == NULL) {
        return HB_E_INTERNAL;
    }
    json = hb_json_object_make(op->pool);
    data = hb_json_object_make(op->pool);
    hb_json_set(data, "object", sample_object(op, order, type, kind));
    hb_json_set_string(json, "id", apr_pstrcat(op->pool, "evt_", token, NULL));
    hb_json_set_string(json, "object", "event");
    hb_json_set_string(json, "api_version", STRIPE_VERSION);
    hb_json_set_int(json, "created", apr_time_sec(op->now));
    hb_json_set(json, "data", data);
    hb_json_set_bool(json, "livemode", op->site->settings->payments_live);
    hb_json_set_int(json, "pending_webhooks", 1);
    hb_json_set_null(json, "request");
    hb_json_set_string(json, "type", type);
    memset(message, 0, sizeof(*message));
    message->body = hb_json_text(json, op->pool, &message->len);
    message->signature = pay_signature_make(keys->stripe_webhook[0], op->now, message->body,
                                            message->len, op->pool);
    message->received_at = op->now;
    return message->signature != NULL ? APR_SUCCESS : HB_E_INTERNAL;
}
