/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of other origins may call the API when their origin is on the list, compared
 * byte for byte. No cookies are involved, so credentials are never allowed. Runs before any
 * access check, because browsers send preflights without the token.
 */
#include "mod_halobuzz.h"

#include <string.h>

#include <apr_strings.h>
#include <http_protocol.h>

APLOG_USE_MODULE(halobuzz);

#define ALLOWED_METHODS "GET, HEAD, POST, PATCH, PUT, DELETE"
#define ALLOWED_HEADERS "Authorization, Content-Type, Idempotency-Key, If-None-Match, " \
                        "Last-Event-ID, X-Request-Id"
#define EXPOSED_HEADERS "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, " \
                        "RateLimit-Reset, Idempotency-Replayed, Location, ETag"
#define PREFLIGHT_SEC "600"

void hb_ap_cors_post_config(apr_pool_t *pconf)
{
    apr_array_header_t *origins = apr_array_make(pconf, 4, sizeof(const char *));
    char *list = apr_pstrdup(pconf, hb_ap_state.settings->cors_origins);
    char *state = NULL;
    const char *item;

    for (item = apr_strtok(list, ", ", &state); item != NULL;
         item = apr_strtok(NULL, ", ", &state)) {
        APR_ARRAY_PUSH(origins, const char *) = item;
    }
    APR_ARRAY_PUSH(origins, const char *) = NULL;
    hb_ap_state.origins = (const char *const *)origins->elts;
}

static int is_listed(const char *origin)
{
    const char *const *item;

    for (item = hb_ap_state.origins; *item != NULL; item++) {
        if (strcmp(*item, origin) == 0) {
            return 1;
        }
    }
    return 0;
}

int hb_ap_cors(request_rec *r)
{
    apr_table_t *headers = r->err_headers_out;
    const char *origin;
    int is_preflight;

    if (hb_ap_state.origins == NULL || hb_ap_state.origins[0] == NULL) {
        return DECLINED;
    }
    apr_table_mergen(headers, "Vary", "Origin");
    origin = apr_table_get(r->headers_in, "Origin");
    if (origin == NULL) {
        return DECLINED;
    }
    is_preflight = r->method_number == M_OPTIONS
        && apr_table_get(r->headers_in, "Access-Control-Request-Method") != NULL;
    if (!is_listed(origin)) {
        if (is_preflight) {
            hb_fail(hb_ap_op(r), HB_E_FORBIDDEN, "pages of this origin may not call the API");
            return HTTP_FORBIDDEN;
        }
        return DECLINED;        /* the browser keeps the answer from the page */
    }
    apr_table_setn(headers, "Access-Control-Allow-Origin", origin);
    if (!is_preflight) {
        apr_table_setn(headers, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
        return DECLINED;
    }
    apr_table_mergen(headers, "Vary", "Access-Control-Request-Method");
    apr_table_mergen(headers, "Vary", "Access-Control-Request-Headers");
    apr_table_setn(headers, "Access-Control-Allow-Methods", ALLOWED_METHODS);
    apr_table_setn(headers, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
    apr_table_setn(headers, "Access-Control-Max-Age", PREFLIGHT_SEC);
    return HTTP_NO_CONTENT;
}
