/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does not fit about a payment: money that came and cannot be what was ordered. Nothing
 * moves because of a flag; it is finance's list of what to look at.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_time.h"

#define DETAIL_MAX 300

static const char *flag_key(hb_op_t *op, const char *order_id, const char *code,
                            const char *payment_id)
{
    return apr_pstrcat(op->pool, order_id, ":", code, payment_id != NULL ? ":" : "",
                       payment_id, NULL);
}

static void set_when_there(hb_json_t *json, const char *key, const char *value)
{
    if (value != NULL) {
        hb_json_set_string(json, key, value);
    }
}

apr_status_t hb_order_flag(int *is_new, hb_op_t *op, const hb_order_t *order,
                           const hb_order_flag_t *flag)
{
    const char *key = flag_key(op, order->id, flag->code, flag->payment_id);
    const hb_cond_t where[] = { { "key", HB_IS, HB_STR(key) } };
    const hb_query_t query = { .in = HB_C_FLAGS, .where = where, .n_where = 1 };
    hb_json_t *doc;
    apr_status_t rv = hb_store_find_one(&doc, op, &query);

    if (is_new != NULL) {
        *is_new = rv == HB_E_STORE_MISSING;
    }
    if (rv != HB_E_STORE_MISSING) {
        return rv;
    }
    doc = hb_json_object_make(op->pool);
    hb_json_set_string(doc, "key", key);
    hb_json_set_string(doc, "orderId", order->id);
    hb_json_set_string(doc, "userId", order->user_id);
    hb_json_set_string(doc, "provider", order->provider);
    hb_json_set_string(doc, "code", flag->code);
    hb_json_set_string(doc, "state", "open");
    set_when_there(doc, "paymentId", flag->payment_id);
    set_when_there(doc, "chargeId", flag->charge_id);
    if (flag->amount_minor >= 0) {
        hb_json_set_int(doc, "amountMinor", flag->amount_minor);
    }
    if (flag->currency != NULL && strlen(flag->currency) <= 10) {
        hb_json_set_string(doc, "currency", flag->currency);
    }
    if (flag->detail != NULL) {
        hb_json_set_string(doc, "detail", apr_pstrndup(op->pool, flag->detail, DETAIL_MAX));
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_FLAGS, doc);
    /* Looked for before, so another writer was quicker: the store starts again. */
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

apr_status_t hb_order_unflag(hb_op_t *op, const char *order_id, const char *code,
                             const char *payment_id, const char *note)
{
    const hb_cond_t where[] = {
        { "orderId", HB_IS, HB_STR(order_id) },
        { "state", HB_IS, HB_STR("open") },
        { "code", HB_IS, HB_STR(code) },
        { "paymentId", HB_IS, HB_STR(payment_id) },
    };
    const hb_query_t query = { .in = HB_C_FLAGS, .where = where,
                               .n_where = payment_id != NULL ? 4 : 3 };
    const hb_edit_t edits[] = {
        { "state", HB_SET, HB_STR("resolved") },
        { "resolvedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "note", HB_SET, HB_STR(note) },
    };

    return hb_store_change_all(NULL, op, &query, edits, 3);
}

/* --- for finance --- */

typedef struct resolve_t {
    const char *id, *note;
    hb_json_t *after;
} resolve_t;

static apr_status_t resolve_tx(hb_op_t *op, void *baton)
{
    resolve_t *resolve = baton;
    const hb_cond_t is_open[] = { { "state", HB_IS, HB_STR("open") } };
    const hb_edit_t edits[] = {
        { "state", HB_SET, HB_STR("resolved") },
        { "resolvedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "note", HB_SET, HB_STR(resolve->note) },
        { "resolvedBy", HB_SET, HB_STR(op->actor.user_id) },
    };
    hb_json_t *details;
    apr_status_t rv = hb_store_change(&resolve->after, NULL, op, HB_C_FLAGS, resolve->id,
                                      is_open, 1, edits, op->actor.user_id != NULL ? 4 : 3);

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_FLAG_UNKNOWN, NULL);
    }
    if (rv == HB_E_STORE_GUARD) {
        return hb_fail(op, HB_E_FLAG_STATE, NULL);
    }
    if (rv == APR_SUCCESS) {
        details = hb_json_object_make(op->pool);
        hb_json_set_string(details, "flag", resolve->id);
        hb_json_set_string(details, "code", hb_json_string(resolve->after, "code"));
        hb_json_set_string(details, "note", resolve->note);
        rv = hb_audit_add(op, NULL, "payment.flag_resolved",
                          apr_pstrcat(op->pool, "order:",
                                      hb_json_string(resolve->after, "orderId"), NULL), 1,
                          details);
    }
    return rv;
}

apr_status_t hb_order_flag_resolve(hb_json_t **view, hb_op_t *op, const char *flag_id,
                                   const char *note)
{
    resolve_t resolve = { flag_id, note, NULL };
    apr_status_t rv;

    if (!hb_id_is_valid(flag_id)) {
        return hb_fail(op, HB_E_FLAG_UNKNOWN, NULL);
    }
    rv = hb_store_transact(op, resolve_tx, &resolve);
    if (rv == APR_SUCCESS) {
        *view = hb_schema_view(op, HB_C_FLAGS, resolve.after, HB_STAFF);
    }
    return rv;
}

apr_status_t hb_order_flag_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query)
{
    const char *state = hb_json_string(query, "state");
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t find = { .in = HB_C_FLAGS, .where = where, .n_where = 1,
                              .sort = { { "createdAt", 1 } },
                              .limit = (int)hb_json_int(query, "limit", 20),
                              .after = hb_json_string(query, "after") };

    return hb_store_list(list, op, &find, HB_STAFF);
}
