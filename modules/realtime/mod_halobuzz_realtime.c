/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_realtime: brings clients of /socket.io/ and its sisters to halobuzz-realtimed, which
 * it has mod_halobuzz start and watch. This file is the wiring.
 */
#include "hb_ap.h"

#include <stddef.h>

#include <ap_provider.h>
#include <http_config.h>

#include "hb_settings.h"

/* The one symbol that leaves this shared object. */
extern __attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_realtime_module;

static const hb_ap_program_t program = {
    .role = "realtime",
    .file = "halobuzz-realtimed",
    .path_offset = offsetof(hb_settings_t, realtime_program),
    .module_file = "mod_halobuzz_realtime.c",
    .secrets = "auth_secret refresh_secret agora_certificate",
};

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, HB_AP_PROGRAMS, program.role, "0", &program);
}

AP_DECLARE_MODULE(halobuzz_realtime) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
