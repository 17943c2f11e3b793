/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_order.h
 * Orders: what somebody wants to buy with money, and what became of it.
 */
#ifndef HB_ORDER_H
#define HB_ORDER_H

#include "hb_pay.h"

/** Read view of a paymentOrders record; texts in op->pool. */
typedef struct hb_order_t {
    const char *id, *user_id, *provider;
    const char *kind;           /* "coins" or "og" */
    const char *product;        /* pack id or tier */
    const char *title;          /* "500 coins" */
    apr_int64_t coins, bonus;   /* what is credited; 0 0 for og */
    int og_tier;
    apr_int64_t amount_minor;   /* what is asked */
    const char *currency;       /* lower case ISO 4217 */
    const char *state;
    const char *attempt_id, *session_id, *payment_id, *charge_id;   /* NULL until known */
    apr_int64_t refunded_minor;
    apr_time_t created_at, expires_at, paid_at;
    const hb_json_t *doc;
} hb_order_t;

#endif /* HB_ORDER_H */
