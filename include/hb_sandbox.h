/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_sandbox.h
 * The play provider's own side: what its checkout page does. The platform's side of it is
 * the provider "sandbox" of hb_pay.h.
 */
#ifndef HB_SANDBOX_H
#define HB_SANDBOX_H

#include "hb_order.h"

/** The provider's id of the payment of an order, which its page's address holds; NULL on failure. */
const char *hb_sandbox_payment_id(hb_op_t *op, const char *order_id);

/**
 * The payer chose: HB_PAY_PAID, HB_PAY_FAILED or HB_PAY_CANCELED. Once per payment:
 * HB_E_PAY_REFUSED later. Waits for the store.
 */
apr_status_t hb_sandbox_settle(hb_op_t *op, const hb_order_t *order, hb_pay_outcome_e outcome);

#endif /* HB_SANDBOX_H */
