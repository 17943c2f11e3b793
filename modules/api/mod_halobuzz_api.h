/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_halobuzz_api.h
 * What the files of this module share. The rows are in routes_*.c, one file per resource.
 */
#ifndef MOD_HALOBUZZ_API_H
#define MOD_HALOBUZZ_API_H

#include "hb_ap.h"

#include <http_config.h>

APLOG_USE_MODULE(halobuzz_api);

#define HB_ROUTE_SET(name) extern const hb_route_set_t hb_routes_##name;
#include "route_sets.def"
#undef HB_ROUTE_SET

/**
 * Does a reply fit what its row declares: a reply shape, a view ("users:self") or a
 * page of one ("[users:all]")? NULL, or a sentence.
 */
const char *hb_ap_reply_misfit(const char *output, const hb_json_t *json, apr_pool_t *pool);

/** The status of a row's answer when all went well and the action named none. */
int hb_ap_success_status(const hb_route_t *route);

/** Make /openapi.json of all rows; call in post_config. */
void hb_ap_docs_prepare(const hb_route_t *const *rows, int n_rows, apr_pool_t *pconf);

#endif /* MOD_HALOBUZZ_API_H */
