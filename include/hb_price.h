/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_price.h
 * The price list: what is sold for money, for how much (ECO-01, ECO-05, X-30, U-09). A price is
 * a row in one currency; nothing is converted at run time. Which providers take a currency
 * is hb_pay.h's. Every call with an op waits for the store.
 */
#ifndef HB_PRICE_H
#define HB_PRICE_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_pay.h"

/** The price list may have so many rows. */
#define HB_PRICES_MAX 500

/** A row; texts in op->pool. */
typedef struct hb_price_t {
    const char *code, *kind, *title;
    apr_int64_t coins, bonus;
    int og_tier;                /* 0 for coins */
    apr_int64_t amount_minor;
    const char *currency;       /* lower case ISO 4217 */
} hb_price_t;

/** What is sold now under a code. HB_E_PRICE_UNKNOWN. */
apr_status_t hb_price_load(hb_price_t *price, hb_op_t *op, const char *code);

/** The coin pack that costs just this. HB_E_PRICE_UNKNOWN, without a problem. */
apr_status_t hb_price_of_amount(hb_price_t *price, hb_op_t *op, const char *currency,
                                apr_int64_t amount_minor);

/**
 * What is sold now, by currency and price: HB_R_PRICE_LIST, each with the providers that
 * can be paid by here, and with what a festival adds now (hb_festival.h).
 * @param currency  lower case; NULL for all
 * @param provider  only what it takes; NULL for all
 */
apr_status_t hb_price_list(hb_json_t **list, hb_op_t *op, const char *currency,
                           const hb_pay_provider_t *provider);

/**
 * Add what the list lacks; a price whose code is there stays as it is.
 * @param prices  array of what fits HB_F_PRICE_SEED; all of it or nothing
 */
apr_status_t hb_price_seed(int *n_new, hb_op_t *op, const hb_json_t *prices);

#endif /* HB_PRICE_H */
