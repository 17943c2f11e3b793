/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_fraud_private.h
 * What the two tables of rules (hb_fraud.c, hb_fraud_payout.c) and the queue
 * (hb_fraud_case.c) share.
 */
#ifndef HB_FRAUD_PRIVATE_H
#define HB_FRAUD_PRIVATE_H

#include "hb_fraud.h"

/** Is HaloBuzzFraud other than off? */
int hb_fraud_is_on(const hb_op_t *op);

/** A rule fits: add its score and what it saw. */
void hb_fraud_add(hb_fraud_finding_t *finding, hb_op_t *op, const char *rule, int score,
                  const char *detail);

/** Score and setting make the verdict; the reasons make the note. */
void hb_fraud_judge(hb_fraud_finding_t *finding, hb_op_t *op);

/**
 * Write a case; inside a transaction or as one of its own. One that is there for the
 * subject stays as it is.
 * @param kind     "order" or "payout"
 * @param subject  its id
 */
apr_status_t hb_fraud_note(hb_op_t *op, const hb_fraud_finding_t *finding, const char *kind,
                           const char *subject, const char *user_id);

#endif /* HB_FRAUD_PRIVATE_H */
