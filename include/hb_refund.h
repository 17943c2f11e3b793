/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_refund.h
 * Money that goes back (RFD-01, U-10, M-04): what a provider tells of refunds and disputes, and
 * refunds that finance asks for. Coins and bonus coins go back in proportion to the money; what was
 * spent becomes a debt in coins (hb_debt.h). OG that was bought ends when all of its money went
 * back, or is in dispute.
 *
 * The first half is for hb_order_apply(), which alone lets facts act; the second is finance's.
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
    int is_given;               /* what was bought had been given */
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

/* --- refunds by finance (hb_refund.c); views are "refunds:staff" --- */

typedef enum hb_refund_state_e {
    HB_REFUND_WAITING,          /* for the second pair of eyes */
    HB_REFUND_APPROVED,         /* to be sent */
    HB_REFUND_SENDING,          /* asked for at the provider; what came of it is not known yet */
    HB_REFUND_MANUAL,           /* the provider takes no calls for it: to be made in its portal */
    HB_REFUND_DONE,
    HB_REFUND_FAILED,
    HB_REFUND_REFUSED,          /* by the second pair of eyes */
    HB_REFUND_STATES
} hb_refund_state_e;

typedef enum hb_refund_event_e {
    HB_REFUND_APPROVE, HB_REFUND_REFUSE, HB_REFUND_SEND, HB_REFUND_BY_HAND, HB_REFUND_SUCCEED,
    HB_REFUND_FAIL, HB_REFUND_EVENTS
} hb_refund_event_e;

/** Where an event leads; HB_E_REFUND_STATE when it is not allowed there. Does not wait. */
apr_status_t hb_refund_next(hb_refund_state_e *next, hb_op_t *op, hb_refund_state_e state,
                            hb_refund_event_e event);
const char *hb_refund_state_name(hb_refund_state_e state);

/**
 * Ask for a refund of an order, or of a payment too many (a flag of hb_order.h). Up to
 * HaloBuzzRefundAlone... it is sent at once, above it waits for approval. Once per
 * Idempotency-Key. Waits for the provider, outside any transaction; when its answer is not
 * known the refund stays "sending", and hb_refund_send() completes it.
 * @param input  fits HB_F_REFUND_NEW
 * @return HB_E_ORDER_UNKNOWN, HB_E_REFUND_TOO_MUCH, HB_E_REFUND_NOTHING (nothing was paid),
 *         HB_E_APPROVAL_FOUR_EYES (one's own order), HB_E_IDEM_MISMATCH
 */
apr_status_t hb_refund_begin(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/**
 * Send it, or ask again what came of it: the same key at the provider, so it happens once.
 * HB_E_REFUND_UNKNOWN, HB_E_REFUND_STATE, HB_E_REFUND_BUSY while another one sends it. Waits.
 */
apr_status_t hb_refund_send(hb_json_t **view, hb_op_t *op, const char *id);

/** A refund by hand was made in the provider's portal. @param reference  its number there */
apr_status_t hb_refund_made(hb_json_t **view, hb_op_t *op, const char *id,
                            const char *reference);
/** It will not be made: by hand, or one the provider says nothing of. */
apr_status_t hb_refund_give_up(hb_json_t **view, hb_op_t *op, const char *id,
                               const char *reason);

/** Send all that are approved, or were left "sending" by a crash or an outage. @param n  how many ended */
apr_status_t hb_refund_resume(apr_int64_t *n, hb_op_t *op);

/** In one state, newest first. */
apr_status_t hb_refund_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                            const char *after);
apr_status_t hb_refund_show(hb_json_t **view, hb_op_t *op, const char *id);
/** Disputes in one state, newest first: {items, next} of "disputes:staff". */
apr_status_t hb_dispute_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                             const char *after);

/** What the table of approvals calls: inside hb_store_transact, and behind it. */
apr_status_t hb_refund_decided(hb_op_t *op, const hb_json_t *approval, int is_approved);
void hb_refund_go_on(hb_op_t *op, const hb_json_t *approval);

#endif /* HB_REFUND_H */
