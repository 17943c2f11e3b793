/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_pay.h
 * A desk (hb_test_op.h) at which every payment provider is configured, and an order to pay.
 */
#ifndef HB_TEST_PAY_H
#define HB_TEST_PAY_H

#include "hb_order.h"
#include "hb_test_op.h"

#define HB_TEST_ORDER "65530a0b0c0d0e0f10111213"

/** Test mode, eSewa's own test merchant, two webhook secrets for Stripe. */
hb_test_desk_t *hb_test_pay_desk(void);

/** Of 12.50 in this currency, begun now, not paid. */
hb_order_t *hb_test_pay_order(const hb_test_desk_t *desk, const char *currency);

/** Read a webhook with a right signature of Stripe's. */
void hb_test_pay_hook(hb_pay_event_t *event, hb_op_t *op, const char *body);

#endif /* HB_TEST_PAY_H */
