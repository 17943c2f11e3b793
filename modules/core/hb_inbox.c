/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a message, by its verdict. hb_inbox_apply.c argues what is stored when.
 */
#include "hb_inbox.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_crypto.h"
#include "hb_inbox_private.h"
#include "hb_metrics.h"
#include "hb_time.h"

/* A payer who presses reload does not make us ask the provider each time. */
#define ASK_APART apr_time_from_sec(3)

static void tell(hb_inbox_result_t *result, const hb_inbox_work_t *work)
{
    result->id = work->id;
    result->is_repeat = work->is_repeat;
    result->effect = work->effect;
    result->order_id = work->order_id;
    result->note = work->note;
}

/* --- refused --- */

static apr_status_t refuse(hb_inbox_result_t *result, hb_op_t *op,
                           const hb_pay_provider_t *provider, const hb_pay_message_t *message,
                           const hb_pay_event_t *event, apr_interval_time_t usec)
{
    const char *why = event->why != NULL ? event->why : "no reason given";

    hb_inbox_keep_refused(&result->id, op, provider,
                          hb_inbox_record(op, provider, message, event, usec), why);
    return hb_fail(op, event->verdict == HB_PAY_FORGED ? HB_E_HOOK_FORGED : HB_E_HOOK_MALFORMED,
                   "%s", why);
}

/* --- trusted: what a provider signed --- */

static const char *seen_key(hb_op_t *op, const char *event_id)
{
    return apr_pstrcat(op->pool, "cache:hook:seen:", event_id, NULL);
}

/*
 * A copy of what was acted on within the last minute is answered from the cache: it was durable
 * before it got there, and copies so near are not counted anyway. The store is the truth; losing
 * the cache costs a look there.
 */
static int was_just_seen(hb_op_t *op, const char *event_id)
{
    const char *value;
    apr_size_t len;

    return hb_cache_get(&value, &len, NULL, op, seen_key(op, event_id)) == APR_SUCCESS;
}

static apr_status_t take_trusted(hb_inbox_result_t *result, hb_op_t *op,
                                 const hb_pay_provider_t *provider,
                                 const hb_pay_message_t *message, const hb_pay_event_t *event,
                                 apr_interval_time_t usec)
{
    hb_inbox_work_t work = { provider, &event->fact, "hmac" };
    const char *event_id = hb_inbox_event_id(op, provider->name, event->event_id);
    apr_status_t rv;

    if (was_just_seen(op, event_id)) {
        hb_metric_add(op->site->metrics, HB_M_HOOKS_REPEATED, 1);
        result->is_repeat = 1;
        return APR_SUCCESS;
    }
    work.record = hb_inbox_record(op, provider, message, event, usec);
    rv = hb_inbox_apply(&work, op);
    if (rv == APR_SUCCESS) {
        tell(result, &work);
        hb_cache_set(op, seen_key(op, event_id), "", 0, HB_INBOX_REPEAT_APART);
    }
    return rv;
}

/* --- hints: a payer came back --- */

static apr_status_t find_order(hb_order_t *order, hb_op_t *op,
                               const hb_pay_provider_t *provider,
                               const hb_pay_message_t *message, const hb_pay_fact_t *fact)
{
    apr_status_t rv;

    if (message->order_id == NULL) {
        return hb_order_find(order, op, provider->name, fact);
    }
    rv = hb_order_load(order, op, message->order_id);
    if (rv == APR_SUCCESS && strcmp(order->provider, provider->name) != 0) {
        return HB_E_ORDER_UNKNOWN;
    }
    return rv;
}

/* Kept by itself before the provider is asked. *record is NULL when there are enough of this order. */
static apr_status_t keep_hint(hb_json_t **record, hb_op_t *op, const hb_order_t *order)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(order->id) } };
    /* The sort field is one of its index, which has no records without it. */
    const hb_query_t of_order = { .in = HB_C_EVENTS, .where = where, .n_where = 1,
                                  .sort = { { "createdAt", 1 } },
                                  .limit = HB_INBOX_RETURNS_MAX };
    const char *event_id = hb_json_string(*record, "eventId");
    hb_json_t *there;
    hb_page_t page;
    apr_status_t rv = hb_inbox_find(&there, op, event_id);

    if (rv != APR_SUCCESS || there != NULL) {
        *record = there;
        return rv;
    }
    rv = hb_store_find(&page, op, &of_order);
    if (rv == APR_SUCCESS && page.n_items >= HB_INBOX_RETURNS_MAX) {
        *record = NULL;
        return APR_SUCCESS;
    }
    hb_json_set_string(*record, "orderId", order->id);
    hb_json_set_string(*record, "state", "kept");
    hb_json_set_int(*record, "pendingAt", hb_json_int(*record, "createdAt", 0));
    if (rv == APR_SUCCESS) {
        rv = hb_store_insert(NULL, op, HB_C_EVENTS, *record);
    }
    if (rv == HB_E_STORE_DUPLICATE) {   /* the same return twice at once */
        rv = hb_inbox_find(record, op, event_id);
    }
    return rv;
}

/*
 * Was it acted on a moment ago, or for good? Never for good before the order is paid: a
 * provider may send the payer back sooner than it knows of the money itself.
 */
static int is_settled(const hb_json_t *record, const hb_order_t *order, const hb_op_t *op)
{
    const char *effect = hb_json_string(record, "effect");
    apr_time_t last = hb_time_from_msec(hb_json_int(record, "appliedAt", 0));

    if (order->paid_at != 0 && effect != NULL
        && (strcmp(effect, "applied") == 0 || strcmp(effect, "already") == 0)) {
        return 1;
    }
    return op->now - last < ASK_APART;
}

/* Of a return that is not kept there is no record to see that by. */
static int was_just_asked(hb_op_t *op, const hb_order_t *order)
{
    const char *key = apr_pstrcat(op->pool, "cache:hook:asked:", order->id, NULL);
    apr_int64_t n = 1;

    return hb_cache_add(&n, op, key, 1, ASK_APART) == APR_SUCCESS && n > 1;
}

/* Ask the provider about the order of a record, and act on what it says. */
static apr_status_t ask(hb_inbox_work_t *work, hb_op_t *op, const hb_order_t *order)
{
    hb_pay_fact_t *fact = apr_pcalloc(op->pool, sizeof(*fact));
    apr_time_t asked_at = apr_time_now();
    apr_status_t rv = work->provider->lookup(fact, op, order);

    work->wait_usec = apr_time_now() - asked_at;
    if (rv != APR_SUCCESS) {
        if (work->record != NULL) {
            hb_inbox_note_failure(op, hb_json_string(work->record, "_id"), "waits", rv);
        }
        return rv;
    }
    if (fact->order_id == NULL) {
        fact->order_id = order->id;     /* we asked about this one */
    }
    work->fact = fact;
    work->answer = hb_inbox_fact_json(op, fact);
    return APR_SUCCESS;
}

static apr_status_t take_hint(hb_inbox_result_t *result, hb_op_t *op,
                              const hb_pay_provider_t *provider,
                              const hb_pay_message_t *message, const hb_pay_event_t *event,
                              apr_interval_time_t usec)
{
    hb_inbox_work_t work = { provider, NULL, event->is_signed ? "both" : "lookup" };
    hb_json_t *record = hb_inbox_record(op, provider, message, event, usec);
    hb_order_t order;
    apr_status_t rv = find_order(&order, op, provider, message, &event->fact);

    if (rv == HB_E_ORDER_UNKNOWN) {
        hb_op_recover(op);
        hb_inbox_keep_refused(&result->id, op, provider, record, "it names no order of ours");
        return hb_fail(op, HB_E_ORDER_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = keep_hint(&record, op, &order);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    result->order_id = order.id;
    if (record == NULL && was_just_asked(op, &order)) {
        result->is_repeat = 1;
        return APR_SUCCESS;
    }
    if (record == NULL) {
        return hb_inbox_lookup(result, op, provider, &order, "return");
    }
    result->id = hb_json_string(record, "_id");
    if (is_settled(record, &order, op)) {
        result->is_repeat = 1;
        result->note = hb_json_string(record, "note");
        return APR_SUCCESS;
    }
    work.record = record;
    work.has_record = work.again = 1;
    rv = ask(&work, op, &order);
    if (rv == APR_SUCCESS) {
        rv = hb_inbox_apply(&work, op);
    }
    if (rv == APR_SUCCESS) {
        tell(result, &work);
    }
    return rv;
}

/* --- the ways in --- */

apr_status_t hb_inbox_receive(hb_inbox_result_t *result, hb_op_t *op,
                              const hb_pay_provider_t *provider,
                              const hb_pay_message_t *message)
{
    hb_pay_event_t event = { .verdict = HB_PAY_MALFORMED };
    apr_time_t began = apr_time_now();
    apr_interval_time_t usec;
    apr_status_t rv;

    memset(result, 0, sizeof(*result));
    result->effect = HB_ORDER_IGNORED;
    rv = provider->read(&event, op, message);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    usec = apr_time_now() - began;
    result->verdict = event.verdict;
    switch (event.verdict) {
    case HB_PAY_TRUSTED:
        return take_trusted(result, op, provider, message, &event, usec);
    case HB_PAY_HINT:
        return take_hint(result, op, provider, message, &event, usec);
    default:
        return refuse(result, op, provider, message, &event, usec);
    }
}

/*
 * The id of an answer: its content, so that asking every hour keeps one record, not one an hour.
 */
static const char *answer_id(hb_op_t *op, const hb_order_t *order, const hb_json_t *answer)
{
    unsigned char digest[32];
    apr_size_t len;
    const char *text = hb_json_text(answer, op->pool, &len);

    if (hb_sha256(digest, order->id, strlen(order->id), text, len) != APR_SUCCESS) {
        return NULL;
    }
    return apr_pstrcat(op->pool, "answer-", hb_hex(op->pool, digest, 16), NULL);
}

apr_status_t hb_inbox_lookup(hb_inbox_result_t *result, hb_op_t *op,
                             const hb_pay_provider_t *provider, const hb_order_t *order,
                             const char *why)
{
    hb_inbox_work_t work = { provider, NULL, "lookup" };
    hb_pay_event_t event = { .verdict = HB_PAY_TRUSTED };
    apr_status_t rv;

    memset(result, 0, sizeof(*result));
    result->verdict = HB_PAY_TRUSTED;
    result->effect = HB_ORDER_IGNORED;
    result->order_id = order->id;
    rv = ask(&work, op, order);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    event.event_id = answer_id(op, order, work.answer);
    if (event.event_id == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    event.type = apr_pstrcat(op->pool, "lookup.", why, NULL);
    event.fact = *work.fact;
    work.record = hb_inbox_record(op, provider, NULL, &event, 0);
    work.answer = NULL;         /* it is the fact itself */
    work.again = 1;
    rv = hb_inbox_apply(&work, op);
    if (rv == APR_SUCCESS) {
        tell(result, &work);
    }
    return rv;
}

/* --- once more --- */

/* Judge the kept bytes as if they came now as they came then. */
static apr_status_t read_again(hb_pay_event_t *event, hb_op_t *op,
                               const hb_pay_provider_t *provider, const hb_json_t *record)
{
    const char *source = hb_json_string(record, "source");
    hb_pay_message_t message = {
        .signature = hb_json_string(record, "signature"),
        .is_return = source != NULL && strcmp(source, "return") == 0,
        .received_at = hb_time_from_msec(hb_json_int(record, "createdAt", 0))
    };
    apr_status_t rv = hb_inbox_body(&message.body, &message.len, op, record);

    if (message.is_return) {
        message.order_id = hb_json_string(record, "orderId");
    }
    return rv == APR_SUCCESS ? provider->read(event, op, &message) : rv;
}

/* A refused message whose bytes prove themselves now gets a place of its own. */
static void admit(hb_json_t *record, hb_op_t *op, const hb_pay_provider_t *provider,
                  const hb_pay_event_t *event)
{
    hb_json_set_string(record, "verdict", hb_pay_verdict_name(event->verdict));
    hb_json_set_string(record, "eventId", hb_inbox_event_id(op, provider->name, event->event_id));
    hb_json_set_string(record, "type", event->type);
    hb_json_set(record, "fact", hb_inbox_fact_json(op, &event->fact));
    hb_json_set_string(record, "state", "kept");
    hb_json_set_int(record, "pendingAt", hb_json_int(record, "createdAt", 0));
    hb_json_remove(record, "slot");
    hb_json_remove(record, "refusedAt");
    hb_json_remove(record, "why");
}

typedef struct admit_t {
    hb_json_t *record;
    const char *twin;           /* the same event is there already: its record; else NULL */
} admit_t;

static apr_status_t admit_tx(hb_op_t *op, void *baton)
{
    admit_t *it = baton;
    hb_json_t *there;
    apr_status_t rv = hb_inbox_find(&there, op, hb_json_string(it->record, "eventId"));

    it->twin = NULL;
    if (rv == APR_SUCCESS && there != NULL) {
        it->twin = hb_json_string(there, "_id");
        return APR_SUCCESS;
    }
    return rv == APR_SUCCESS ? hb_store_replace(NULL, op, HB_C_EVENTS, it->record) : rv;
}

/* What the bytes of a record are worth today. */
static apr_status_t judge_again(hb_pay_event_t *event, hb_op_t *op,
                                const hb_pay_provider_t *provider, const hb_json_t *record)
{
    int was_trusted = strcmp(hb_json_string(record, "verdict"), "trusted") == 0;
    hb_pay_fact_t kept;
    apr_status_t rv;

    hb_inbox_fact_read(&kept, hb_json_get(record, "fact"));
    event->fact = kept;
    if (strcmp(hb_json_string(record, "source"), "lookup") == 0) {
        event->verdict = HB_PAY_HINT;   /* an old answer is worth a new question */
        return APR_SUCCESS;
    }
    rv = read_again(event, op, provider, record);
    if (rv == APR_SUCCESS && was_trusted && event->verdict != HB_PAY_TRUSTED) {
        event->verdict = HB_PAY_TRUSTED;    /* as it was when it came; the secret has changed */
        event->fact = kept;
    }
    if (rv == APR_SUCCESS && (event->verdict == HB_PAY_FORGED
                              || event->verdict == HB_PAY_MALFORMED)) {
        return hb_fail(op, event->verdict == HB_PAY_FORGED ? HB_E_HOOK_FORGED
                                                           : HB_E_HOOK_MALFORMED,
                       "%s", event->why != NULL ? event->why : "it proves nothing");
    }
    return rv;
}

/* Ask about the order of a hint once more. */
static apr_status_t ask_again(hb_inbox_work_t *work, hb_op_t *op, const hb_pay_event_t *event)
{
    const char *order_id = hb_json_string(work->record, "orderId");
    hb_order_t order;
    apr_status_t rv = order_id != NULL
        ? hb_order_load(&order, op, order_id)
        : hb_order_find(&order, op, work->provider->name, &event->fact);

    if (rv != APR_SUCCESS) {
        return rv == HB_E_ORDER_UNKNOWN ? hb_fail(op, rv, NULL) : rv;
    }
    work->proof = event->is_signed ? "both" : "lookup";
    return ask(work, op, &order);
}

apr_status_t hb_inbox_replay(hb_inbox_result_t *result, hb_op_t *op, const char *event_id)
{
    hb_pay_event_t event = { .verdict = HB_PAY_MALFORMED };
    hb_inbox_work_t work = { .proof = "hmac", .has_record = 1, .again = 1 };
    admit_t it = { NULL, NULL };
    apr_status_t rv;

    memset(result, 0, sizeof(*result));
    result->effect = HB_ORDER_IGNORED;
    rv = hb_store_get(&work.record, op, HB_C_EVENTS, event_id);
    if (rv != APR_SUCCESS) {
        return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_EVENT_UNKNOWN, NULL) : rv;
    }
    work.provider = hb_pay_provider(hb_json_string(work.record, "provider"));
    if (work.provider == NULL) {
        return hb_fail(op, HB_E_PAY_UNKNOWN, NULL);
    }
    rv = judge_again(&event, op, work.provider, work.record);
    result->id = event_id;
    result->verdict = event.verdict;
    if (rv == APR_SUCCESS && hb_json_has(work.record, "slot")) {
        admit(work.record, op, work.provider, &event);
        it.record = work.record;
        rv = hb_store_transact(op, admit_tx, &it);
        if (rv == APR_SUCCESS && it.twin != NULL) {
            return hb_inbox_replay(result, op, it.twin);
        }
    }
    work.fact = &event.fact;
    if (rv == APR_SUCCESS && event.verdict == HB_PAY_HINT) {
        rv = ask_again(&work, op, &event);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_inbox_apply(&work, op);
    }
    if (rv == APR_SUCCESS) {
        tell(result, &work);
    }
    return rv;
}
