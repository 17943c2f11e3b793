/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_cron: has mod_halobuzz start and watch halobuzz-crond, which runs what goes by the
 * clock. Nothing of it happens in httpd, but that whoever looks at the metrics sees how jobs
 * stand on all hosts.
 */
#include <stddef.h>

#include <ap_provider.h>
#include <httpd.h>
#include <http_config.h>

#include "hb_ap.h"
#include "hb_job_run.h"

extern __attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA halobuzz_cron_module;

static const hb_ap_program_t program = {
    .role = "cron",
    .file = "halobuzz-crond",
    .path_offset = offsetof(hb_settings_t, cron_program),
    .module_file = "mod_halobuzz_cron.c",
    .secrets = "auth_secret refresh_secret agora_certificate smtp_password stripe_key "
               "stripe_webhook_secret esewa_secret khalti_key pay_sandbox_secret team_hook",
};

/* Without a store the gauges stay as they were. */
static void set_gauges(hb_site_t *site)
{
    apr_pool_t *pool;

    if (site->store == NULL || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return;
    }
    hb_job_gauges(hb_op_make(site, pool));
    apr_pool_destroy(pool);
}

static const hb_ap_gauges_t gauges = { set_gauges };

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    return hb_ap_need_module(s, ptemp, "halobuzz_cron", "halobuzz");
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, HB_AP_PROGRAMS, program.role, "0", &program);
    ap_register_provider(pool, HB_AP_GAUGES, program.role, "0", &gauges);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(halobuzz_cron) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
