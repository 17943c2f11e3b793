/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache for the operator. Emptying it is the harmless half of FLUSHALL, which would
 * also begin the windows of limits anew and take events from live clients.
 */
#include "ctl.h"

#include <string.h>

#include "hb_cache.h"

int ctl_cache_flush(ctl_t *ctl, int argc, const char *const *argv)
{
    hb_op_t *op;
    int rc = ctl_options(ctl, argc, argv, NULL, NULL, 0, 0);

    if (rc == CTL_OK) {
        rc = ctl_site_closed(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (strncmp(ctl->settings->cache_url, "redis:", 6) != 0) {
        return ctl_fail(ctl, "the cache is httpd's own memory (HaloBuzzCache shm:), which no other "
                        "program reaches; restarting httpd empties it");
    }
    if (hb_cache_flush(op, "cache") != APR_SUCCESS) {
        ctl_fail(ctl, "%s does not answer", hb_url_shown(ctl->settings->cache_url, ctl->pool));
        return CTL_UNREACHABLE;
    }
    ctl_mark(ctl, CTL_GOOD, "the cache is empty; sessions, limits, rankings and events are as they were");
    return CTL_OK;
}
