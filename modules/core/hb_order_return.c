/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where payers come back to. Providers send them to a location of ours, which sends them on
 * to a page of the app. Whoever may order names that page, so it has to be one that the sysadmin
 * lists: else our own address could be used to send people anywhere.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

/* Does it begin with this, and does the beginning end where a part of an address does? */
static int is_below(const char *url, const char *start, apr_size_t len)
{
    return strncmp(url, start, len) == 0
        && (start[len - 1] == '/' || url[len] == '\0' || strchr("/?#", url[len]) != NULL);
}

apr_status_t hb_order_return_check(hb_op_t *op, const char *field, const char *url)
{
    const char *list = op->site->settings->payment_return, *c;

    if (url == NULL) {
        return APR_SUCCESS;
    }
    for (c = url; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\", *c) != NULL) {
            return hb_fail_field(op, field, "format", "must be an address");
        }
    }
    while (*list != '\0') {
        apr_size_t n = strcspn(list, ",");

        if (n > 0 && is_below(url, list, n)) {
            return APR_SUCCESS;
        }
        list += n + (list[n] == ',');
    }
    return hb_fail_field(op, field, "value", "this server sends no payer to that address");
}

const char *hb_order_return_url(hb_op_t *op, const hb_order_t *order, int is_failure)
{
    const char *list = op->site->settings->payment_return, *url = NULL, *part;

    if (is_failure && !hb_order_is_paid(order->at)) {
        url = hb_json_string(order->doc, "cancelUrl");
    }
    if (url == NULL) {
        url = hb_json_string(order->doc, "successUrl");
    }
    if (url == NULL && *list != '\0') {
        url = apr_pstrndup(op->pool, list, strcspn(list, ","));
    }
    if (url == NULL) {
        return NULL;
    }
    part = strchr(url, '#');
    return apr_psprintf(op->pool, "%s%corder=%s&state=%s%s",
                        part != NULL ? apr_pstrmemdup(op->pool, url, (apr_size_t)(part - url))
                                     : url,
                        strchr(url, '?') != NULL && (part == NULL || strchr(url, '?') < part)
                        ? '&' : '?', order->id, order->state, part != NULL ? part : "");
}
