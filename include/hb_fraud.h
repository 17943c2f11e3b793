/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_fraud.h
 * Rules that look at money on its way in and out (FRD-01, FRD-02). Each rule that fits adds
 * its score and a reason; the sum makes the verdict, and what is not let pass is a case in
 * the queue of finance. HaloBuzzFraud says whether a case holds anything (hold) or is only
 * written down (watch). The rules are two tables: hb_fraud.c for orders, hb_fraud_payout.c
 * for payouts.
 */
#ifndef HB_FRAUD_H
#define HB_FRAUD_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_order.h"

typedef enum hb_fraud_verdict_e {
    HB_FRAUD_PASS,
    HB_FRAUD_WATCH,             /* goes on, with a case */
    HB_FRAUD_HOLD               /* waits until finance has decided the case */
} hb_fraud_verdict_e;

typedef struct hb_fraud_finding_t {
    hb_fraud_verdict_e verdict;
    int score;                  /* 0 to 100 */
    const char *note;           /* reasons as one sentence; NULL when it passes */
    hb_json_t *reasons;         /* array of HB_R_FRAUD_REASON */
} hb_fraud_finding_t;

/**
 * Look at an order whose money came, before anything is given for it. Inside hb_store_transact.
 * HB_FRAUD_HOLD: the order goes into review; hb_fraud_release() calls hb_order_release() later, a
 * refund by finance ends it otherwise. The same order again gives the same case.
 */
apr_status_t hb_fraud_check_order(hb_fraud_finding_t *finding, hb_op_t *op,
                                  const hb_order_t *order);

/** Look at a payout before it is reviewed. Not inside a transaction: it reads a lot. */
apr_status_t hb_fraud_check_payout(hb_fraud_finding_t *finding, hb_op_t *op,
                                   const hb_json_t *payout);

/* --- the queue (hb_fraud_case.c); the caller has looked at the role; views are "fraudCases:staff" --- */

/** In one state, newest first. */
apr_status_t hb_fraud_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                           const char *after);
/**
 * Let it go: an order that was held is given, a payout may be reviewed. HB_E_FRAUD_UNKNOWN,
 * HB_E_FRAUD_STATE.
 */
apr_status_t hb_fraud_release(hb_json_t **view, hb_op_t *op, const char *id, const char *note);
/**
 * Undo it: an order's money goes back (hb_refund_begin), a payout is rejected. Waits for
 * the provider.
 */
apr_status_t hb_fraud_undo(hb_json_t **view, hb_op_t *op, const char *id, const char *reason);

/**
 * FRD-02: entries of the ledger above so many coins since a moment, newest first: HB_R_LARGE_ENTRY.
 * @param min_coins  more than these
 */
apr_status_t hb_fraud_large(hb_json_t **list, hb_op_t *op, apr_time_t since,
                            apr_int64_t min_coins, int limit);

#endif /* HB_FRAUD_H */
