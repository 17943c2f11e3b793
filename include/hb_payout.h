/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_payout.h
 * Earned coins paid out in money (PYO-01, U-07). A host asks; the coins are held in the
 * ledger from then on. After HaloBuzzPayoutHold finance reviews it: whoever reads it asks the
 * clock, a job only tells the team. Another member of finance approves (hb_approval.h), approved
 * ones go into a batch whose CSV file the bank gets, and each is then told as paid, or rejected:
 * held coins leave the ledger, or go back. States and events are one table in hb_payout.c. Money
 * is reckoned when it is asked for: minor units for 10 000 coins by HaloBuzzPayoutRateNPR and
 * ...USD, rounded down.
 */
#ifndef HB_PAYOUT_H
#define HB_PAYOUT_H

#include "hb_job.h"
#include "hb_json.h"
#include "hb_op.h"

typedef enum hb_payout_state_e {
    HB_PAYOUT_REQUESTED, HB_PAYOUT_REVIEWED, HB_PAYOUT_APPROVED, HB_PAYOUT_EXPORTED,
    HB_PAYOUT_PAID, HB_PAYOUT_REJECTED, HB_PAYOUT_CANCELLED, HB_PAYOUT_STATES
} hb_payout_state_e;

typedef enum hb_payout_event_e {
    HB_PAYOUT_REVIEW, HB_PAYOUT_APPROVE, HB_PAYOUT_REFUSE, HB_PAYOUT_EXPORT, HB_PAYOUT_PAY,
    HB_PAYOUT_REJECT, HB_PAYOUT_CANCEL, HB_PAYOUT_EVENTS
} hb_payout_event_e;

/** Where an event leads; HB_E_PAYOUT_STATE when it is not allowed there. Does not wait. */
apr_status_t hb_payout_next(hb_payout_state_e *next, hb_op_t *op, hb_payout_state_e state,
                            hb_payout_event_e event);
const char *hb_payout_state_name(hb_payout_state_e state);

/** Minor units for coins at a rate for 10 000; -1 beyond 64 bits. Does not wait. */
apr_int64_t hb_payout_amount(apr_int64_t coins, apr_int64_t rate);

/* --- the host --- */

/**
 * The actor asks for a payout. Once per Idempotency-Key.
 * @param view   "payouts:self"
 * @param input  fits HB_F_PAYOUT_NEW
 * @return HB_E_WALLET_SHORT, HB_E_WALLET_DEBT, HB_E_PAYOUT_OPEN (one at a time),
 *         HB_E_INPUT_INVALID (too few coins, a currency that is not paid), HB_E_IDEM_MISMATCH
 */
apr_status_t hb_payout_request(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/** Take back one's own request. HB_E_PAYOUT_UNKNOWN (also somebody else's), HB_E_PAYOUT_STATE. */
apr_status_t hb_payout_cancel(hb_json_t **view, hb_op_t *op, const char *id);

/** The actor's, newest first: {items, next} of "payouts:self". */
apr_status_t hb_payout_list_own(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/* --- finance; the caller has looked at the role; views are "payouts:staff" --- */

/** In one state, oldest first. */
apr_status_t hb_payout_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                            const char *after);
apr_status_t hb_payout_show(hb_json_t **view, hb_op_t *op, const char *id);

/**
 * First pair of eyes: ask for the approval of another. HB_E_PAYOUT_HELD before the hold is over,
 * HB_E_WALLET_DEBT when the host came to owe meanwhile, HB_E_APPROVAL_FOUR_EYES for one's own,
 * HB_E_FRAUD_HELD while a case of hb_fraud.h holds it.
 */
apr_status_t hb_payout_review(hb_json_t **view, hb_op_t *op, const char *id);

/** Give the coins back, with a reason that the host is told. */
apr_status_t hb_payout_reject(hb_json_t **view, hb_op_t *op, const char *id,
                              const char *reason);

/** The bank says it went through. @param reference  its number of the transfer */
apr_status_t hb_payout_paid(hb_json_t **view, hb_op_t *op, const char *id,
                            const char *reference);

/**
 * What the table of approvals calls. HB_E_WALLET_DEBT approves nothing to a host who came to owe
 * since the review. Inside hb_store_transact.
 */
apr_status_t hb_payout_decided(hb_op_t *op, const hb_json_t *approval, int is_approved);

/**
 * The job payout-release: tell the team of those whose hold is over by op->now, each once, some
 * in a transaction. They may be reviewed whether or not it ran.
 */
apr_status_t hb_payout_release_all(hb_op_t *op, const hb_job_run_t *run);

/* --- files for the bank (hb_payout_batch.c) --- */

/** Payouts of one batch at most. */
#define HB_PAYOUT_BATCH_MAX 500

/**
 * Put approved payouts of a currency into a batch, oldest first. Once per Idempotency-Key.
 * HB_E_PAYOUT_NONE when none waits.
 * @param view   "payoutBatches:staff"
 * @param input  fits HB_F_PAYOUT_BATCH_NEW
 */
apr_status_t hb_payout_batch(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/** Newest first. */
apr_status_t hb_payout_batches(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/** Its CSV file (RFC 4180, UTF-8), the same whenever it is asked for. HB_E_PAYOUT_UNKNOWN. */
apr_status_t hb_payout_batch_csv(const char **csv, apr_size_t *len, hb_op_t *op,
                                 const char *batch_id);

#endif /* HB_PAYOUT_H */
