/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of orders: read, found, written to. What moves an order is in hb_order_begin.c,
 * hb_order_apply.c and hb_order_reconcile.c; what shows it in hb_order_list.c.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_time.h"

#define STEPS_MAX 200
#define DETAIL_MAX 300
#define REF_MAX 100             /* bytes of a provider's id in a record id */

/* --- reading --- */

void hb_order_read(hb_order_t *order, hb_json_t *doc)
{
    memset(order, 0, sizeof(*order));
    order->doc = doc;
    order->id = hb_json_string(doc, "_id");
    order->user_id = hb_json_string(doc, "userId");
    order->provider = hb_json_string(doc, "provider");
    order->kind = hb_json_string(doc, "kind");
    order->product = hb_json_string(doc, "product");
    order->title = hb_json_string(doc, "title");
    order->coins = hb_json_int(doc, "coins", 0);
    order->bonus = hb_json_int(doc, "bonus", 0);
    order->og_tier = (int)hb_json_int(doc, "ogTier", 0);
    order->amount_minor = hb_json_int(doc, "amountMinor", 0);
    order->currency = hb_json_string(doc, "currency");
    order->state = hb_json_string(doc, "state");
    order->at = hb_order_state_read(order->state);
    order->is_live = hb_json_bool(doc, "isLive", 0);
    order->attempt_id = hb_json_string(doc, "attemptId");
    order->session_id = hb_json_string(doc, "sessionId");
    order->payment_id = hb_json_string(doc, "paymentId");
    order->charge_id = hb_json_string(doc, "chargeId");
    order->entry_id = hb_json_string(doc, "entryId");
    order->refunded_minor = hb_json_int(doc, "refundedMinor", 0);
    order->created_at = hb_time_from_msec(hb_json_int(doc, "createdAt", 0));
    order->expires_at = hb_time_from_msec(hb_json_int(doc, "expiresAt", 0));
    order->paid_at = hb_time_from_msec(hb_json_int(doc, "paidAt", 0));
}

static apr_status_t load(hb_order_t *order, hb_op_t *op, const char *id)
{
    hb_json_t *doc;
    apr_status_t rv = id != NULL && hb_id_is_valid(id)
        ? hb_store_get(&doc, op, HB_C_ORDERS, id) : HB_E_STORE_MISSING;

    if (rv == APR_SUCCESS) {
        hb_order_read(order, doc);
        order->id = apr_pstrdup(op->pool, id);
    }
    return rv;
}

apr_status_t hb_order_write(hb_order_t *order, hb_op_t *op, hb_json_t *doc)
{
    apr_status_t rv = hb_store_replace(NULL, op, HB_C_ORDERS, doc);
    const char *id = order->id;

    hb_order_read(order, doc);
    order->id = id;             /* the record's own is another string now */
    return rv;
}

apr_status_t hb_order_load(hb_order_t *order, hb_op_t *op, const char *id)
{
    apr_status_t rv = load(order, op, id);

    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_ORDER_UNKNOWN, NULL) : rv;
}

/* --- by a provider's id --- */

const char *hb_order_ref(hb_op_t *op, const char *provider, const char *id)
{
    unsigned char digest[32];
    apr_size_t n = id != NULL ? strlen(id) : 0, i;
    int is_plain = n > 0 && n <= REF_MAX;

    for (i = 0; is_plain && i < n; i++) {
        is_plain = id[i] > ' ' && id[i] <= '~';
    }
    if (is_plain) {
        return apr_pstrcat(op->pool, provider, ":", id, NULL);
    }
    if (n == 0 || hb_sha256(digest, id, n, NULL, 0) != APR_SUCCESS) {
        return NULL;
    }
    return apr_pstrcat(op->pool, provider, "#", hb_hex(op->pool, digest, sizeof(digest)), NULL);
}

static apr_status_t owner_of(const char **owner, hb_op_t *op, const char *ref)
{
    hb_json_t *doc;
    apr_status_t rv = ref != NULL ? hb_store_get(&doc, op, HB_C_ORDER_REFS, ref)
                                  : HB_E_STORE_MISSING;

    *owner = rv == APR_SUCCESS ? hb_json_string(doc, "orderId") : NULL;
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

apr_status_t hb_order_find(hb_order_t *order, hb_op_t *op, const char *provider,
                           const hb_pay_fact_t *fact)
{
    const char *const ids[] = { fact->payment_id, fact->attempt_id };
    const char *owner;
    apr_status_t rv = load(order, op, fact->order_id);
    apr_size_t i;

    for (i = 0; rv == HB_E_STORE_MISSING && i < sizeof(ids) / sizeof(ids[0]); i++) {
        rv = owner_of(&owner, op, hb_order_ref(op, provider, ids[i]));
        if (rv == APR_SUCCESS) {
            rv = load(order, op, owner);
        }
    }
    if (rv == APR_SUCCESS && strcmp(order->provider, provider) != 0) {
        return HB_E_ORDER_UNKNOWN;
    }
    return rv == HB_E_STORE_MISSING ? HB_E_ORDER_UNKNOWN : rv;
}

apr_status_t hb_order_ref_take(const char **owner, hb_op_t *op, const char *provider,
                               const char *id, const char *order_id)
{
    const char *ref = hb_order_ref(op, provider, id);
    hb_json_t *doc;
    apr_status_t rv;

    *owner = order_id;
    if (ref == NULL) {
        return APR_SUCCESS;
    }
    rv = owner_of(owner, op, ref);
    if (rv != APR_SUCCESS || *owner != NULL) {
        return rv;
    }
    *owner = order_id;
    doc = hb_json_object_make(op->pool);
    hb_json_set_string(doc, "_id", ref);
    hb_json_set_string(doc, "orderId", order_id);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_ORDER_REFS, doc);
    /* Looked for before, so another writer was quicker: the store starts again. */
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

/* --- writing --- */

void hb_order_step(hb_op_t *op, hb_json_t *doc, const char *what, const char *detail)
{
    hb_json_t *steps = hb_json_get(doc, "steps"), *step = hb_json_object_make(op->pool);

    hb_json_set_int(step, "at", hb_time_to_msec(op->now));
    hb_json_set_string(step, "what", what);
    if (detail != NULL) {
        hb_json_set_string(step, "detail", apr_pstrndup(op->pool, detail, DETAIL_MAX));
    }
    if (steps == NULL) {
        steps = hb_json_array_make(op->pool);
        hb_json_set(doc, "steps", steps);
    }
    if (hb_json_length(steps) >= STEPS_MAX) {
        /* Its beginning and what is newest tell most; the inbox has every message anyway. */
        hb_json_t *kept = hb_json_array_make(op->pool);
        int i;

        for (i = 0; i < STEPS_MAX; i++) {
            if (i != STEPS_MAX / 2) {
                hb_json_push(kept, hb_json_item(steps, i));
            }
        }
        steps = kept;
        hb_json_set(doc, "steps", steps);
    }
    hb_json_push(steps, step);
}

void hb_order_set_state(hb_json_t *doc, hb_order_state_e state)
{
    hb_json_set_string(doc, "state", hb_order_state_name(state));
    if (!hb_order_is_awaited(state)) {
        hb_json_remove(doc, "openUntil");
    }
}

apr_status_t hb_order_note(hb_op_t *op, const char *order_id, const char *what,
                           const char *detail)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ORDERS, order_id);

    if (rv == APR_SUCCESS) {
        hb_order_step(op, doc, what, detail);
        rv = hb_store_replace(NULL, op, HB_C_ORDERS, doc);
    }
    return rv;
}
