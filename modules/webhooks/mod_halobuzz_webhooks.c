/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_webhooks: where payment providers call. This file is the wiring: the calls are
 * rows of routes_webhooks.c, which mod_halobuzz_api dispatches beside its own, so that limits,
 * ids, problems and documentation are the same.
 */
#include "mod_halobuzz_webhooks.h"

#include <ap_provider.h>
#include <http_config.h>

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    return hb_ap_need_module(s, ptemp, "halobuzz_webhooks", "halobuzz_api");
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, HB_AP_ROUTES, "webhooks", "0", &hb_routes_webhooks);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
}

/* The one symbol that leaves this file's shared object. */
__attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_webhooks_module = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
