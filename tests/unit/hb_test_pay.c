/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_test_pay.h"

#include <string.h>

#include <check.h>

#include "hb_test.h"
#include "pay_private.h"

static const char *const stripe_key[] = { "sk_test_desk", NULL };
static const char *const stripe_webhook[] = { "whsec_desk_new", "whsec_desk_old", NULL };
static const char *const esewa[] = { "8gBm/:&EnhH.1/q", "an older key", NULL };
static const char *const khalti[] = { "khalti_desk", NULL };
static const char *const sandbox[] = { "sandbox_desk", NULL };

static hb_pay_keys_t keys = { stripe_key, stripe_webhook, esewa, khalti, sandbox };

hb_test_desk_t *hb_test_pay_desk(void)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);

    desk->settings.public_url = "https://halobuzz.test";
    desk->settings.payments = 1;
    desk->settings.pay_sandbox = 1;
    desk->settings.stripe_url = "https://api.stripe.com";
    desk->settings.stripe_public_key = "pk_test_desk";
    desk->settings.esewa_url = desk->settings.esewa_status_url = "";
    desk->settings.esewa_merchant = "EPAYTEST";
    desk->settings.khalti_url = desk->settings.khalti_public_key = "";
    desk->settings.payment_wait = apr_time_from_sec(2);
    desk->site.pay_keys = &keys;
    return desk;
}

hb_order_t *hb_test_pay_order(const hb_test_desk_t *desk, const char *currency)
{
    hb_order_t *order = apr_pcalloc(hb_test_pool, sizeof(*order));

    order->id = HB_TEST_ORDER;
    order->user_id = "65530a0b0c0d0e0f10111299";
    order->kind = "coins";
    order->product = "coins-500";
    order->title = "500 coins & more";
    order->coins = 500;
    order->amount_minor = 1250;
    order->currency = currency;
    order->state = "pending";
    order->created_at = desk->now;
    order->expires_at = desk->now + apr_time_from_sec(3600);
    return order;
}

void hb_test_pay_hook(hb_pay_event_t *event, hb_op_t *op, const char *body)
{
    hb_pay_message_t message = { .body = body, .len = strlen(body), .received_at = op->now };

    message.signature = pay_signature_make(stripe_webhook[1], op->now, body, message.len, op->pool);
    ck_assert_int_eq(pay_stripe.read(event, op, &message), APR_SUCCESS);
}
