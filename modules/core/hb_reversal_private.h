/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_reversal_private.h
 * What hb_reversal.c (refunds told by providers) and hb_dispute.c share: the record of how
 * much of an order went back, and the entries that take and give.
 */
#ifndef HB_REVERSAL_PRIVATE_H
#define HB_REVERSAL_PRIVATE_H

#include "hb_refund.h"

/** An order's reversal on its way through a transaction. */
typedef struct hb_reversing_t {
    hb_op_t *op;
    const hb_order_t *order;
    hb_json_t *doc;             /* of HB_C_REVERSALS */
    int is_new;
    int is_given;               /* what was bought had been given */
} hb_reversing_t;

/** Read or make the record. */
apr_status_t hb_reversing_begin(hb_reversing_t *r, hb_op_t *op, const hb_order_t *order);
/** Write it. */
apr_status_t hb_reversing_end(hb_reversing_t *r);

/** Coins in proportion to money, rounded down; all of them for all of it. Does not wait. */
apr_int64_t hb_reversal_share(apr_int64_t coins, apr_int64_t minor, apr_int64_t amount_minor);

/** Coins and bonus coins on their way; owed of each is what had been spent. */
typedef struct hb_taking_t {
    const char *kind;           /* of the entry: "refund", "dispute" */
    const char *key;
    const char *reason;
    apr_int64_t coins, bonus;
    apr_int64_t owed_coins, owed_bonus;     /* out */
} hb_taking_t;

/** Take from the payer; what is not there becomes a debt in coins. */
apr_status_t hb_reversal_take(hb_reversing_t *r, hb_taking_t *taking);
/** Give to the payer, by an entry of kind "restitution". */
apr_status_t hb_reversal_give(hb_reversing_t *r, const char *key, const char *reason,
                              apr_int64_t coins, apr_int64_t bonus);

/** Take the order's OG time; *msec is what was left of it. */
apr_status_t hb_reversal_og_take(apr_int64_t *msec, hb_reversing_t *r);
apr_status_t hb_reversal_og_give(hb_reversing_t *r, apr_int64_t msec);

/** Make what was taken fit what was refunded. Adds to what reversal says. */
apr_status_t hb_reversal_settle(hb_reversal_t *reversal, hb_reversing_t *r);

/** Fill in what reversal says of money and disputes; the note, when it has none. */
apr_status_t hb_reversal_tell(hb_reversal_t *reversal, hb_reversing_t *r);

/** A mail about a new debt, in the same transaction. */
apr_status_t hb_reversal_warn(hb_reversing_t *r, apr_int64_t owed);

/* --- hb_dispute.c --- */

/** What the disputes of an order hold or cost: those that are open or lost, but one. */
typedef struct hb_disputed_t {
    apr_int64_t coins, bonus;   /* with what is owed */
    apr_int64_t minor;
    int n_open, n_lost;
} hb_disputed_t;

apr_status_t hb_dispute_sum(hb_disputed_t *sum, hb_op_t *op, const char *order_id,
                            const char *but_id);
/** Freeze what open and lost disputes could not take while nothing had been given. */
apr_status_t hb_dispute_catch_up(hb_reversal_t *reversal, hb_reversing_t *r);

#endif /* HB_REVERSAL_PRIVATE_H */
