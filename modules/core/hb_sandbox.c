/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkout page of the play provider, apart from its looks. It stands between the payer
 * and the platform as a real provider does: the platform hears by a signed webhook and asks
 * the bank when the payer comes back.
 */
#include "hb_sandbox.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_inbox.h"

static const hb_pay_provider_t *sandbox(void)
{
    return hb_pay_provider("sandbox");
}

apr_status_t hb_sandbox_open(hb_order_t *order, hb_op_t *op, const char *order_id,
                             const char *key)
{
    const char *wanted;
    apr_status_t rv;

    if (sandbox()->missing(op->site) != NULL) {
        return hb_fail(op, HB_E_PAY_UNKNOWN, NULL);
    }
    wanted = hb_sandbox_payment_id(op, order_id);
    if (wanted == NULL) {
        return HB_E_INTERNAL;
    }
    /* Before the store is asked: who has no key learns nothing about orders. */
    if (key == NULL || !hb_equal_secret(wanted, key)) {
        return hb_fail(op, HB_E_ORDER_UNKNOWN, NULL);
    }
    rv = hb_order_load(order, op, order_id);
    if (rv == APR_SUCCESS && strcmp(order->provider, sandbox()->name) != 0) {
        return hb_fail(op, HB_E_ORDER_UNKNOWN, NULL);
    }
    return rv;
}

/* A webhook that is lost does no harm: the payer's return asks the bank, and so does reconcile. */
static void send_webhook(hb_op_t *op, const hb_order_t *order, hb_pay_outcome_e outcome)
{
    const char *type = apr_pstrcat(op->pool, "payment.", hb_pay_outcome_name(outcome), NULL);
    hb_op_t *arrival = hb_op_make(op->site, op->pool);
    hb_pay_message_t message;
    hb_inbox_result_t result;
    apr_status_t rv = sandbox()->sample(&message, arrival, order, type);

    if (rv == APR_SUCCESS) {
        rv = hb_inbox_receive(&result, arrival, sandbox(), &message);
    }
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00423) "the sandbox's webhook about order %s failed",
               order->id);
    }
}

apr_status_t hb_sandbox_choose(const char **url, hb_op_t *op, const hb_order_t *order,
                               hb_pay_outcome_e outcome)
{
    apr_status_t rv = hb_sandbox_settle(op, order, outcome);

    if (rv == APR_SUCCESS) {
        send_webhook(op, order, outcome);
    }
    else if (rv == HB_E_PAY_REFUSED) {
        hb_op_recover(op);          /* pressed twice, or gone back: what was chosen stands */
        rv = APR_SUCCESS;
    }
    *url = apr_pstrcat(op->pool, op->site->settings->public_url,
                       "/api/v1/payments/sandbox/return/", order->id,
                       outcome == HB_PAY_PAID ? "" : "/failure", NULL);
    return rv;
}
