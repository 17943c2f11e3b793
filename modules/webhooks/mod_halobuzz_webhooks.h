/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_halobuzz_webhooks.h
 * What the files of this module share.
 */
#ifndef MOD_HALOBUZZ_WEBHOOKS_H
#define MOD_HALOBUZZ_WEBHOOKS_H

#include "hb_ap.h"

#include <http_config.h>

APLOG_USE_MODULE(halobuzz_webhooks);

extern const hb_route_set_t hb_routes_webhooks;

#endif /* MOD_HALOBUZZ_WEBHOOKS_H */
