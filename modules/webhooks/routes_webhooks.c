/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that payment providers make. A signature is over bytes, so the body is taken as the
 * client sent it: behind httpd's own reading of chunks, before any filter that somebody put there
 * for other content (decompression, substitution, character sets). A body that says it is
 * compressed is refused: nothing tells which of its two forms was signed. What a message
 * means is hb_pay.h's, what becomes of it hb_inbox.h's.
 */
#include "mod_halobuzz_webhooks.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_inbox.h"
#include "hb_settings.h"

#define RECEIVED "{\"received\":true,\"repeat\":false}"
#define REPEATED "{\"received\":true,\"repeat\":true}"

static apr_status_t find_provider(const hb_pay_provider_t **provider, hb_ap_call_t *call)
{
    *provider = hb_pay_provider(hb_ap_path_value(call, "provider"));
    return *provider != NULL ? APR_SUCCESS : hb_fail(call->op, HB_E_PAY_UNKNOWN, NULL);
}

static apr_status_t check_provider(hb_ap_call_t *call, const hb_pay_provider_t *provider)
{
    if ((provider->can & HB_PAY_CAN_WEBHOOK) == 0) {
        apr_table_setn(call->r->err_headers_out, "Allow", "GET, HEAD, OPTIONS");
        return hb_fail(call->op, HB_E_METHOD, "%s sends no messages by itself", provider->name);
    }
    if (provider->missing(call->op->site) != NULL) {
        return hb_fail(call->op, HB_E_PAY_UNSET, NULL);
    }
    return APR_SUCCESS;
}

static void say(hb_ap_call_t *call, const char *text)
{
    call->reply_text = text;
    call->reply_bytes = strlen(text);
}

static apr_status_t take(hb_ap_call_t *call)
{
    const hb_pay_provider_t *provider = NULL;
    hb_pay_message_t message = { .received_at = call->op->now };
    request_rec *r = call->r;
    hb_inbox_result_t result;
    apr_status_t rv;

    rv = find_provider(&provider, call);
    if (rv == APR_SUCCESS) {
        rv = check_provider(call, provider);
    }
    if (rv == APR_SUCCESS) {
        r->input_filters = r->proto_input_filters;
        rv = hb_ap_body_read(&message.body, &message.len, r, call->op,
                             call->op->site->settings->webhook_body_max);
    }
    if (rv == APR_SUCCESS) {
        if (provider->sig_header != NULL) {
            message.signature = apr_table_get(r->headers_in, provider->sig_header);
        }
        rv = hb_inbox_receive(&result, call->op, provider, &message);
    }
    if (rv == APR_SUCCESS) {
        say(call, result.is_repeat ? REPEATED : RECEIVED);
    }
    return rv;
}

/* For people and monitors who try the address with a plain GET. */
static apr_status_t ready(hb_ap_call_t *call)
{
    const hb_pay_provider_t *provider;
    apr_status_t rv = find_provider(&provider, call);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call->reply = hb_json_object_make(call->op->pool);
    hb_json_set_string(call->reply, "provider", provider->name);
    hb_json_set_bool(call->reply, "ready", provider->missing(call->op->site) == NULL);
    hb_json_set_bool(call->reply, "webhook", (provider->can & HB_PAY_CAN_WEBHOOK) != 0);
    return APR_SUCCESS;
}

static const hb_route_t rows[] = {
    { .method = M_HB_POST, .path = "/webhooks/{provider}", .rate = "webhook", .action = take,
      .needs = HB_RAW_BODY | HB_ANY_TOKEN | HB_IN_MAINTENANCE,
      .aliases = "/payments/{provider}/webhook",
      .sentence = "take a payment provider's message, exactly as it signed it",
      .output = "eventDone", .tag = "money",
      .errors = "webhook.forged webhook.malformed pay.unknown pay.unconfigured "
                "method.not_allowed body.encoding body.too_large" },
    { .method = M_HB_GET, .path = "/webhooks/{provider}", .rate = "webhook", .action = ready,
      .needs = HB_ANY_TOKEN | HB_IN_MAINTENANCE, .aliases = "/payments/{provider}/webhook",
      .sentence = "whether a payment provider's messages are taken here",
      .output = "hookReady", .tag = "money", .errors = "pay.unknown" },
};

const hb_route_set_t hb_routes_webhooks = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
