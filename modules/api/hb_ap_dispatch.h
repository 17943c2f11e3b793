/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap_dispatch.h
 * From a request to an action and back: honours what a route's row asks for.
 */
#ifndef HB_AP_DISPATCH_H
#define HB_AP_DISPATCH_H

#include "hb_ap.h"
#include "hb_ap_router.h"

/** What a process needs to answer; filled in post_config, read-only in requests. */
typedef struct hb_ap_api_t {
    const hb_ap_router_t *router;
    const hb_route_t *const *routes;    /* all rows; rows[i] has label i + 1 */
    int n_routes;
    int checks_replies;                 /* compare every reply with its declared shape */
    APR_OPTIONAL_FN_TYPE(hb_ap_op) *op;             /* never NULL */
    APR_OPTIONAL_FN_TYPE(hb_ap_identify) *identify; /* NULL without mod_halobuzz_auth */
    APR_OPTIONAL_FN_TYPE(hb_ap_claims) *claims;     /* the same */
    APR_OPTIONAL_FN_TYPE(hb_ap_limit) *limit;       /* NULL without mod_halobuzz_ratelimit */
    APR_OPTIONAL_FN_TYPE(hb_ap_limit_ahead) *limit_ahead;   /* the same */
    APR_OPTIONAL_FN_TYPE(hb_ap_count_as) *count_as; /* NULL: nobody counts */
} hb_ap_api_t;

/** Answer a request of the handler halobuzz-api; gives what a handler gives. */
int hb_ap_dispatch(const hb_ap_api_t *api, request_rec *r);

/** Headers of every answer below our locations, put where errors have them too. */
void hb_ap_guard_headers(request_rec *r);

#endif /* HB_AP_DISPATCH_H */
