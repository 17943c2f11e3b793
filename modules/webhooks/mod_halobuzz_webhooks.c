/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_webhooks: where payment providers call. This file is the wiring: the calls are
 * rows of routes_webhooks.c, which mod_halobuzz_api dispatches beside its own, so that limits,
 * ids, problems and documentation are the same.
 */
#include "mod_halobuzz_webhooks.h"

#include <ap_provider.h>
#include <http_core.h>
#include <http_log.h>

static int find_api(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG
        && ap_find_linked_module("mod_halobuzz_api.c") == NULL) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HBLOGNO(09001)
                     "mod_halobuzz_webhooks needs mod_halobuzz_api: add "
                     "LoadModule halobuzz_api_module modules/mod_halobuzz_api.so");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, HB_AP_ROUTES, "webhooks", "0", &hb_routes_webhooks);
    ap_hook_post_config(find_api, NULL, NULL, APR_HOOK_MIDDLE);
}

/* The one symbol that leaves this file's shared object. */
__attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_webhooks_module = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
