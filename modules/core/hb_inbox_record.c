/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what came in. Nothing here acts on them.
 */
#include "hb_inbox_private.h"

#include <string.h>

#include <apr_base64.h>
#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_metrics.h"
#include "hb_time.h"

#define KEPT_APART apr_time_from_sec(1)

/* --- facts --- */

static void set_text(hb_json_t *json, const char *key, const char *text)
{
    if (text != NULL) {
        hb_json_set_string(json, key, text);
    }
}

hb_json_t *hb_inbox_fact_json(hb_op_t *op, const hb_pay_fact_t *fact)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "outcome", hb_pay_outcome_name(fact->outcome));
    set_text(json, "orderId", fact->order_id);
    set_text(json, "attemptId", fact->attempt_id);
    set_text(json, "paymentId", fact->payment_id);
    set_text(json, "chargeId", fact->charge_id);
    set_text(json, "refundId", fact->refund_id);
    if (fact->amount_minor >= 0) {
        hb_json_set_int(json, "amountMinor", fact->amount_minor);
    }
    if (fact->refunded_minor >= 0) {
        hb_json_set_int(json, "refundedMinor", fact->refunded_minor);
    }
    set_text(json, "currency", fact->currency);
    set_text(json, "status", fact->status);
    if (fact->is_live >= 0) {
        hb_json_set_bool(json, "isLive", fact->is_live);
    }
    return json;
}

void hb_inbox_fact_read(hb_pay_fact_t *fact, const hb_json_t *json)
{
    memset(fact, 0, sizeof(*fact));
    fact->outcome = hb_pay_outcome_read(hb_json_string(json, "outcome"));
    fact->order_id = hb_json_string(json, "orderId");
    fact->attempt_id = hb_json_string(json, "attemptId");
    fact->payment_id = hb_json_string(json, "paymentId");
    fact->charge_id = hb_json_string(json, "chargeId");
    fact->refund_id = hb_json_string(json, "refundId");
    fact->amount_minor = hb_json_int(json, "amountMinor", -1);
    fact->refunded_minor = hb_json_int(json, "refundedMinor", -1);
    fact->currency = hb_json_string(json, "currency");
    fact->status = hb_json_string(json, "status");
    fact->is_live = hb_json_has(json, "isLive") ? hb_json_bool(json, "isLive", 0) : -1;
}

/* --- making a record --- */

const char *hb_inbox_event_id(hb_op_t *op, const char *provider, const char *id)
{
    return apr_pstrcat(op->pool, provider, ":", id, NULL);
}

static void set_body(hb_json_t *record, const char *body, apr_size_t len, apr_pool_t *pool)
{
    hb_json_set_int(record, "bodyBytes", (apr_int64_t)len);
    if (memchr(body, '\0', len) == NULL && hb_utf8_is_valid(body, len)) {
        hb_json_set_string(record, "body", body[len] == '\0'
                           ? body : apr_pstrmemdup(pool, body, len));
        return;
    }
    {
        char *text = apr_palloc(pool, (apr_size_t)apr_base64_encode_len((int)len));

        apr_base64_encode(text, body, (int)len);
        hb_json_set_string(record, "body", text);
        hb_json_set_bool(record, "isBase64", 1);
    }
}

/* Outside texts go into a record as they are, or cut where they would not fit. */
static void set_outside(hb_json_t *record, const char *key, const char *text, apr_size_t max,
                        apr_pool_t *pool)
{
    apr_size_t len;

    if (text == NULL) {
        return;
    }
    len = strlen(text);
    if (!hb_utf8_is_valid(text, len)) {
        text = "(not UTF-8)";
    }
    else if (len > max) {
        while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80) {
            max--;
        }
        text = apr_pstrmemdup(pool, text, max);
    }
    hb_json_set_string(record, key, text);
}

hb_json_t *hb_inbox_record(hb_op_t *op, const hb_pay_provider_t *provider,
                           const hb_pay_message_t *message, const hb_pay_event_t *event,
                           apr_interval_time_t verify_usec)
{
    hb_json_t *record = hb_json_object_make(op->pool);
    int is_refused = event->verdict == HB_PAY_FORGED || event->verdict == HB_PAY_MALFORMED;

    hb_json_set_string(record, "provider", provider->name);
    if (!is_refused && event->event_id != NULL) {
        hb_json_set_string(record, "eventId",
                           hb_inbox_event_id(op, provider->name, event->event_id));
    }
    hb_json_set_string(record, "source", message == NULL ? "lookup"
                       : message->is_return ? "return" : "webhook");
    set_outside(record, "type", event->type, 100, op->pool);
    hb_json_set_string(record, "verdict", hb_pay_verdict_name(event->verdict));
    hb_json_set_int(record, "createdAt", hb_time_to_msec(message != NULL
                                                         ? message->received_at : op->now));
    set_outside(record, "address", op->address, 64, op->pool);
    set_outside(record, "requestId", op->request_id, 64, op->pool);
    if (!is_refused) {
        hb_json_set(record, "fact", hb_inbox_fact_json(op, &event->fact));
    }
    if (message == NULL) {
        return record;
    }
    hb_json_set_int(record, "verifyUsec", verify_usec > 0 ? verify_usec : 0);
    set_outside(record, "signature", message->signature, 1000, op->pool);
    if (is_refused && message->len > HB_INBOX_REFUSED_MAX) {
        hb_json_set_int(record, "bodyBytes", (apr_int64_t)message->len);
    }
    else {
        set_body(record, message->body, message->len, op->pool);
    }
    return record;
}

apr_status_t hb_inbox_body(const char **body, apr_size_t *len, hb_op_t *op,
                           const hb_json_t *record)
{
    const char *text = hb_json_string(record, "body");

    if (text == NULL) {
        return hb_fail(op, HB_E_EVENT_BODY, NULL);
    }
    *body = text;
    *len = strlen(text);
    if (hb_json_bool(record, "isBase64", 0)) {
        char *bytes = apr_palloc(op->pool, (apr_size_t)apr_base64_decode_len(text) + 1);
        int n = apr_base64_decode_binary((unsigned char *)bytes, text);

        bytes[n] = '\0';
        *body = bytes;
        *len = (apr_size_t)n;
    }
    return APR_SUCCESS;
}

apr_status_t hb_inbox_find(hb_json_t **record, hb_op_t *op, const char *event_id)
{
    const hb_cond_t where[] = { { "eventId", HB_IS, HB_STR(event_id) } };
    const hb_query_t query = { .in = HB_C_EVENTS, .where = where, .n_where = 1 };
    apr_status_t rv = hb_store_find_one(record, op, &query);

    if (rv != APR_SUCCESS) {
        *record = NULL;
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

/* --- what is refused --- */

typedef struct keep_t {
    hb_json_t *record;
    const char *slot;
} keep_t;

static apr_status_t keep_in_slot(hb_op_t *op, void *baton)
{
    const keep_t *keep = baton;
    const hb_cond_t where[] = { { "slot", HB_IS, HB_STR(keep->slot) } };
    const hb_query_t query = { .in = HB_C_EVENTS, .where = where, .n_where = 1, .limit = 1 };
    apr_status_t rv = hb_store_remove_all(NULL, op, &query);

    return rv == APR_SUCCESS ? hb_store_insert(NULL, op, HB_C_EVENTS, keep->record) : rv;
}

/*
 * One a second, counted in the cache that all processes share; without it every message would be
 * the first, and the slots still bound what is kept. A slot is a second, so those of the last
 * HB_INBOX_SLOTS seconds are there.
 */
void hb_inbox_keep_refused(const char **id, hb_op_t *op, const hb_pay_provider_t *provider,
                           hb_json_t *record, const char *why)
{
    const char *turn = apr_pstrcat(op->pool, "cache:hook:turn:", provider->name, NULL);
    const char *missed = apr_pstrcat(op->pool, "cache:hook:missed:", provider->name, NULL);
    apr_int64_t n = 1, n_missed = 0;
    keep_t keep = { .record = record };
    apr_status_t rv;

    *id = NULL;
    hb_metric_add(op->site->metrics, HB_M_HOOKS_REFUSED, 1);
    if (hb_cache_add(&n, op, turn, 1, KEPT_APART) == APR_SUCCESS && n > 1) {
        hb_cache_add(NULL, op, missed, 1, 0);
        return;
    }
    if (hb_cache_add(&n_missed, op, missed, 0, 0) == APR_SUCCESS && n_missed > 0) {
        hb_cache_add(NULL, op, missed, -n_missed, 0);
    }
    keep.slot = apr_psprintf(op->pool, "%s:%d", provider->name,
                             (int)(apr_time_sec(op->now) % HB_INBOX_SLOTS));
    set_outside(record, "why", why, 300, op->pool);
    hb_json_set_string(record, "state", "refused");
    hb_json_set_string(record, "slot", keep.slot);
    hb_json_set_int(record, "refusedAt", hb_json_int(record, "createdAt", 0));
    hb_json_set_int(record, "repeats", n_missed);
    hb_json_remove(record, "eventId");
    rv = hb_store_transact(op, keep_in_slot, &keep);
    if (rv == APR_SUCCESS) {
        *id = hb_json_string(record, "_id");
    }
    else {
        hb_op_recover(op);      /* the sender hears the verdict all the same */
    }
    hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00465) "a message for %s was refused: %s "
           "(%" APR_INT64_T_FMT " others since the last line); %s%s", provider->name, why,
           n_missed, *id != NULL ? "event " : "it could not be kept", *id != NULL ? *id : "");
}
