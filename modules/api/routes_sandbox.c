/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkout page of the play provider (HaloBuzzPaySandbox): a form with three buttons, no
 * script. The key in its address is what lets somebody act on the payment.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_sandbox.h"

#define FORM_BYTES_MAX 1024

/* No form-action: the answer to the form leads on to a page of the app, wherever that is. */
#define PAGE_POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; " \
    "frame-ancestors 'none'"

static const struct {
    const char *word, *label;
    hb_pay_outcome_e outcome;
} choices[] = {
    { "paid",     "Pay",              HB_PAY_PAID },
    { "failed",   "Fail to pay",      HB_PAY_FAILED },
    { "canceled", "Call it off",      HB_PAY_CANCELED },
};

#define N_CHOICES (sizeof(choices) / sizeof(choices[0]))

static const char *page_text(hb_ap_call_t *call, const hb_order_t *order)
{
    apr_pool_t *pool = call->op->pool;
    const char *buttons = "", *name;
    char *currency = apr_pstrdup(pool, order->currency), *c;
    apr_size_t i;

    for (c = currency; *c != '\0'; c++) {
        *c = (char)apr_toupper(*c);
    }
    for (i = 0; i < N_CHOICES; i++) {
        buttons = apr_psprintf(pool, "%s<p><button name=\"result\" value=\"%s\">%s</button></p>\n",
                               buttons, choices[i].word, choices[i].label);
    }
    name = ap_escape_html(pool, order->title);
    return apr_psprintf(pool, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Sandbox checkout</title>\n"
        "<style>body{font:16px sans-serif;max-width:26em;margin:3em auto;padding:0 1em}"
        "button{font:inherit;width:100%%;padding:.6em}</style>\n"
        "<h1>Sandbox checkout</h1>\n<p>Play money: nothing is charged. Choose how the payment "
        "ends.</p>\n<p><b>%s</b>, %s %" APR_INT64_T_FMT ".%02d</p>\n<form method=\"post\">\n%s"
        "</form>\n</html>\n", name, currency, order->amount_minor / 100,
        (int)(order->amount_minor % 100), buttons);
}

static apr_status_t open_order(hb_order_t *order, hb_ap_call_t *call)
{
    return hb_sandbox_open(order, call->op, hb_ap_path_value(call, "id"),
                           hb_json_string(call->query, "key"));
}

static apr_status_t show(hb_ap_call_t *call)
{
    hb_order_t order;
    apr_status_t rv = open_order(&order, call);

    if (rv == APR_SUCCESS) {
        apr_table_setn(call->r->err_headers_out, "Content-Security-Policy", PAGE_POLICY);
        apr_table_setn(call->r->headers_out, "Cache-Control", "no-store");
        call->reply_type = "text/html; charset=utf-8";
        call->reply_text = page_text(call, &order);
        call->reply_bytes = strlen(call->reply_text);
    }
    return rv;
}

/* The form's one field. */
static apr_status_t read_choice(hb_pay_outcome_e *outcome, hb_ap_call_t *call)
{
    const char *body;
    apr_size_t len, i;
    apr_status_t rv = hb_ap_body_read(&body, &len, call->r, call->op, FORM_BYTES_MAX);

    for (i = 0; rv == APR_SUCCESS && i < N_CHOICES; i++) {
        const char *wanted = apr_pstrcat(call->op->pool, "result=", choices[i].word, NULL);

        if (len == strlen(wanted) && memcmp(body, wanted, len) == 0) {
            *outcome = choices[i].outcome;
            return APR_SUCCESS;
        }
    }
    return rv != APR_SUCCESS ? rv
        : hb_fail_field(call->op, "result", "value", "paid, failed or canceled");
}

static apr_status_t choose(hb_ap_call_t *call)
{
    hb_pay_outcome_e outcome = HB_PAY_UNKNOWN;
    hb_order_t order;
    const char *url;
    apr_status_t rv = open_order(&order, call);

    if (rv == APR_SUCCESS) {
        rv = read_choice(&outcome, call);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_sandbox_choose(&url, call->op, &order, outcome);
    }
    if (rv == APR_SUCCESS) {
        apr_table_setn(call->r->headers_out, "Location", url);
        apr_table_setn(call->r->headers_out, "Cache-Control", "no-store");
        call->reply_status = HTTP_SEE_OTHER;
        call->reply_type = "text/html; charset=utf-8";
        call->reply_text = "<!doctype html><title>Go on</title>\n";
        call->reply_bytes = strlen(call->reply_text);
    }
    return rv;
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "/payments/sandbox/checkout/{id}", .rate = "api",
      .needs = HB_ANY_TOKEN, .action = show, .query = HB_F_SANDBOX_PAGE, .media = "text/html",
      .tag = "payments", .errors = "pay.unknown order.unknown",
      .sentence = "the page of the play provider, on which the payer chooses how it ends" },
    { .method = M_HB_POST, .path = "/payments/sandbox/checkout/{id}", .rate = "api",
      .needs = HB_ANY_TOKEN | HB_RAW_BODY, .action = choose, .query = HB_F_SANDBOX_PAGE,
      .media = "text/html", .tag = "payments", .errors = "pay.unknown order.unknown",
      .sentence = "the choice on that page: result=paid, failed or canceled; 303 to the "
                  "return location" },
};

const hb_route_set_t hb_routes_sandbox = { rows, (int)(sizeof(rows) / sizeof(rows[0])) };
