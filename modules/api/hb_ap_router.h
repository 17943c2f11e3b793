/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap_router.h
 * Which row answers a path. Compiled once per configuration into a tree of path segments;
 * looking up allocates nothing and takes time by the length of the path only.
 */
#ifndef HB_AP_ROUTER_H
#define HB_AP_ROUTER_H

#include "hb_ap.h"

#define HB_AP_METHODS 5         /* of hb_method_e */
#define HB_AP_NAMES 4           /* {names} in a template, as in hb_ap_call_t */
#define HB_AP_SEGMENTS 12       /* of a path; longer ones are unknown */

typedef struct hb_ap_router_t hb_ap_router_t;

/** What a path means. */
typedef struct hb_ap_place_t {
    struct {
        const hb_route_t *route;            /* NULL: this method is not answered */
        int label;                          /* for hb_ap_count_as(), from 1 */
        const char *names[HB_AP_NAMES];     /* of the template */
    } at[HB_AP_METHODS];
    const char *allow;                      /* value of the Allow header */
} hb_ap_place_t;

/** A piece of the path that was looked up. */
typedef struct hb_ap_piece_t {
    const char *text;
    apr_size_t len;
} hb_ap_piece_t;

/**
 * Compile rows. They and the pool have to live as long as the router.
 * @return HB_E_CONFIG with *why: a malformed template, or two rows for one method and path
 */
apr_status_t hb_ap_router_make(hb_ap_router_t **router, const char **why,
                               const hb_route_t *const *rows, int n_rows, apr_pool_t *pool);

/**
 * Find the place of a path that is already percent-decoded (r->uri). One slash at the
 * end is ignored; a literal segment goes before a {name}; a {name} is never empty.
 * @param pieces  HB_AP_NAMES of them: what stands at the {names}, in order
 * @return NULL when no row has this path
 */
const hb_ap_place_t *hb_ap_router_find(const hb_ap_router_t *router, const char *path,
                                       hb_ap_piece_t *pieces);

#endif /* HB_AP_ROUTER_H */
