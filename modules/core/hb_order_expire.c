/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders that nobody paid in time. Nobody is asked here: an order that was paid at the last moment
 * is credited from every state, and reconciling asks about expired ones too.
 */
#include "hb_order_private.h"

#include "hb_metrics.h"
#include "hb_time.h"

#define PAGE 100

static apr_status_t expire_tx(hb_op_t *op, void *baton)
{
    hb_json_t *doc;
    hb_order_t order;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ORDERS, baton);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_order_read(&order, doc);
    if (!hb_order_is_awaited(order.at) || order.expires_at > op->now) {
        return HB_E_STORE_GUARD;        /* it moved meanwhile */
    }
    hb_order_set_state(doc, HB_ORDER_EXPIRED);
    hb_order_step(op, doc, "expired", "not paid in time");
    return hb_store_replace(NULL, op, HB_C_ORDERS, doc);
}

apr_status_t hb_order_expire(apr_int64_t *n, hb_op_t *op)
{
    const hb_cond_t where[] = {
        { "openUntil", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t query = { .in = HB_C_ORDERS, .where = where, .n_where = 1,
                         .sort = { { "openUntil", 0 } }, .limit = PAGE };
    hb_page_t page;
    apr_status_t rv;
    int i;

    *n = 0;
    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; i < page.n_items && rv == APR_SUCCESS; i++) {
            rv = hb_store_transact(op, expire_tx,
                                   (void *)hb_json_string(page.items[i], "_id"));
            if (rv == APR_SUCCESS) {
                hb_metric_add(op->site->metrics, HB_M_PAYMENTS_FAILED, 1);
                ++*n;
            }
            rv = rv == HB_E_STORE_GUARD ? APR_SUCCESS : rv;
        }
        query.after = page.next;
    } while (rv == APR_SUCCESS && page.next != NULL);
    return rv;
}
