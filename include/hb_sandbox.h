/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_sandbox.h
 * The play provider's own side: what its checkout page shows and does. The platform's side
 * of it is the provider "sandbox" of hb_pay.h, which knows nothing of this.
 */
#ifndef HB_SANDBOX_H
#define HB_SANDBOX_H

#include "hb_order.h"

/** The provider's id of the payment of an order, which its page's address holds; NULL on failure. */
const char *hb_sandbox_payment_id(hb_op_t *op, const char *order_id);

/**
 * What the bank knows from now on: HB_PAY_PAID, HB_PAY_FAILED or HB_PAY_CANCELED. Once per
 * payment: HB_E_PAY_REFUSED later. Waits for the store.
 */
apr_status_t hb_sandbox_settle(hb_op_t *op, const hb_order_t *order, hb_pay_outcome_e outcome);

/**
 * The order behind a checkout page.
 * @param key  of the page's address; NULL when it has none
 * @return HB_E_PAY_UNKNOWN where the sandbox is not offered; HB_E_ORDER_UNKNOWN also for a
 *         wrong key and another provider's order
 */
apr_status_t hb_sandbox_open(hb_order_t *order, hb_op_t *op, const char *order_id,
                             const char *key);

/**
 * The payer chose: the bank notes it, its webhook arrives (as bytes with a signature, by the
 * same way as from outside), and the payer goes back. Choosing again changes nothing.
 * @param url  where the payer's browser goes now
 */
apr_status_t hb_sandbox_choose(const char **url, hb_op_t *op, const hb_order_t *order,
                               hb_pay_outcome_e outcome);

#endif /* HB_SANDBOX_H */
