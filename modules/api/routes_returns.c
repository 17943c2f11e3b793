/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where payment providers send the payer's browser back to. The order's id stands in the path,
 * because some providers append to a query blindly. What the browser brings is a hint at most:
 * hb_inbox_receive() asks the provider. Then the payer is sent on to the app's page, or told
 * by a small page or JSON. Nobody is signed in here, so nothing but the state is told.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_inbox.h"
#include "hb_order.h"

static const struct {
    const char *state, *title, *text;
} pages[] = {
    { "paid",     "Thank you",   "Your payment has arrived." },
    { "review",   "Thank you",   "Your payment has arrived and is being looked at." },
    { "failed",   "Not paid",    "The payment did not go through." },
    { "canceled", "Not paid",    "The payment was called off." },
    { "expired",  "Not paid",    "The time for this payment is over." },
    { NULL,       "One moment",  "The payment is not confirmed yet. What you bought arrives by "
                                 "itself as soon as it is." },
};

static void say(hb_ap_call_t *call, int status, const char *title, const char *text,
                const char *link)
{
    call->reply_type = "text/html; charset=utf-8";
    call->reply_status = status;
    call->reply_text = apr_pstrcat(call->op->pool, "<!doctype html><html lang=\"en\"><meta "
        "name=\"viewport\" content=\"width=device-width\"><title>", title, "</title><h1>", title,
        "</h1><p>", text, "</p>", link != NULL ? "<p><a href=\"" : "",
        link != NULL ? ap_escape_html(call->op->pool, link) : "",
        link != NULL ? "\">Go on</a></p>" : "", "</html>\n", NULL);
    call->reply_bytes = strlen(call->reply_text);
}

static int wants_json(request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return accept != NULL && strstr(accept, "application/json") != NULL
        && strstr(accept, "text/html") == NULL;
}

static void answer(hb_ap_call_t *call, const hb_order_t *order, int is_failure)
{
    const char *url = hb_order_return_url(call->op, order, is_failure);
    int i = 0;

    if (wants_json(call->r)) {
        call->reply = hb_json_object_make(call->op->pool);
        hb_json_set_string(call->reply, "order", order->id);
        hb_json_set_string(call->reply, "state", order->state);
        return;
    }
    while (pages[i].state != NULL && strcmp(pages[i].state, order->state) != 0) {
        i++;
    }
    if (url != NULL) {
        apr_table_setn(call->r->headers_out, "Location", url);
    }
    say(call, url != NULL ? HTTP_SEE_OTHER : HTTP_OK, pages[i].title, pages[i].text, url);
}

static apr_status_t come_back(hb_ap_call_t *call, int is_failure)
{
    const char *id = hb_ap_path_value(call, "id");
    const hb_pay_provider_t *provider = hb_pay_provider(hb_ap_path_value(call, "provider"));
    hb_pay_message_t message = { .body = call->r->args != NULL ? call->r->args : "",
                                 .order_id = id, .is_return = 1, .is_failure = is_failure,
                                 .received_at = call->op->now };
    hb_inbox_result_t result;
    hb_order_t order;
    apr_status_t rv;

    if (provider == NULL || (provider->can & HB_PAY_CAN_RETURN) == 0) {
        return hb_fail(call->op, HB_E_PAY_UNKNOWN, NULL);
    }
    message.len = strlen(message.body);
    rv = hb_inbox_receive(&result, call->op, provider, &message);
    if (rv == HB_E_PAY_UPSTREAM) {
        hb_op_recover(call->op);        /* it is kept; asking goes on without the payer */
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_order_load(&order, call->op, id);
    }
    if (rv == APR_SUCCESS) {
        answer(call, &order, is_failure);
    }
    return rv;
}

static apr_status_t paid(hb_ap_call_t *call)
{
    return come_back(call, 0);
}

static apr_status_t gave_up(hb_ap_call_t *call)
{
    return come_back(call, 1);
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/payments/{provider}/return/{id}", .rate = "api",
      .action = paid, .media = "text/html", .tag = "payments",
      .sentence = "where a provider sends the payer back to: 303 to the app's page, or a page, "
                  "or orderReturn for who accepts JSON alone",
      .errors = "pay.unknown order.unknown webhook.forged webhook.malformed" },
    { .method = M_HB_GET, .path = "/payments/{provider}/return/{id}/failure", .rate = "api",
      .action = gave_up, .media = "text/html", .tag = "payments",
      .sentence = "the same for payers who gave up, or could not pay",
      .errors = "pay.unknown order.unknown webhook.forged webhook.malformed" },
};

const hb_route_set_t hb_routes_returns = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
