/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pay_stripe.h
 * Stripe's objects as facts; shared by what we ask (pay_stripe.c) and what we are told
 * (pay_stripe_event.c).
 */
#ifndef PAY_STRIPE_H
#define PAY_STRIPE_H

#include "pay_private.h"

/** The API version our calls ask for, and that the webhook endpoint should be set to. */
#define STRIPE_VERSION "2026-10-28.endive"

/* Each fills a cleared fact from an object; what is missing in it stays unsaid. */
void stripe_intent_fact(hb_pay_fact_t *fact, const hb_json_t *intent);
void stripe_session_fact(hb_pay_fact_t *fact, const hb_json_t *session);
void stripe_refund_fact(hb_pay_fact_t *fact, const hb_json_t *refund);

/** read() and sample() of the provider. */
apr_status_t stripe_read(hb_pay_event_t *event, hb_op_t *op, const hb_pay_message_t *message);
apr_status_t stripe_sample(hb_pay_message_t *message, hb_op_t *op, const hb_order_t *order,
                           const char *type);
extern const char *const stripe_samples[];

#endif /* PAY_STRIPE_H */
