/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_refund.h
 * Money that goes back (RFD-01, U-10, M-04): what a provider tells of refunds and disputes. Coins and bonus coins go back in proportion to the money; what was
 * spent becomes a debt in coins (hb_debt.h). OG that was bought ends when all of its money went
 * back, or is in dispute.
 * For hb_order_apply(), which alone lets facts act.
 */
#ifndef HB_REFUND_H
#define HB_REFUND_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_order.h"
#include "hb_pay.h"

/* --- what a provider says (hb_reversal.c, hb_dispute.c) --- */

/** What a fact did to what the order brought. */
typedef struct hb_reversal_t {
    int is_news;                /* 0: it was so before, and nothing moved */
    apr_int64_t refunded_minor; /* of the order's money, as known now */
    int is_whole;               /* all of it */
    int is_disputed;            /* a dispute is open */
    int is_lost;                /* a dispute was lost, and none is open */
    apr_int64_t coins, bonus;   /* taken by this call; below zero: given back */
    apr_int64_t owed;           /* of those became a debt */
    const char *note;           /* sentence for the time line */
} hb_reversal_t;

/**
 * HB_PAY_REFUNDED, HB_PAY_REFUND_FAILED of an order whose money came (review, paid, disputed,
 * charged_back, refunded; order as it stood before the fact). Refunds are told cumulatively and in
 * any order: the highest sum counts until a refund fails. In review nothing was given, so
 * nothing is taken. A fact about another payment than the order's own moves no coins. Inside
 * hb_store_transact; hb_user_changed() after the commit.
 */
apr_status_t hb_refund_apply(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order,
                             const hb_pay_fact_t *fact);

/**
 * HB_PAY_DISPUTED: what is still there of the share in dispute is held, the rest is owed.
 * ..._WON: all of it is given back. ..._LOST: what was held leaves the ledger. In any
 * order and any number of times. Inside hb_store_transact, as above.
 */
apr_status_t hb_dispute_apply(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order,
                              const hb_pay_fact_t *fact);

/**
 * To be called when what was in review has been given (hb_order_release), in the same
 * transaction: takes back what was refunded or put in dispute meanwhile.
 */
apr_status_t hb_refund_given(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order);

/** Disputes in one state, newest first: {items, next} of "disputes:staff". */
apr_status_t hb_dispute_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                             const char *after);

#endif /* HB_REFUND_H */
