/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the site beside httpd. */
#include "rt_site.h"

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_share.h"

const char *rt_site_open(hb_site_t **site, const hb_settings_t *settings, const hb_log_t *log,
                         apr_pool_t *pool)
{
    hb_site_memory_t memory;
    const char *why = NULL;
    apr_status_t rv;
    char space[200];

    rv = hb_site_make(site, &why, settings, log, pool);
    if (rv != APR_SUCCESS) {
        return why != NULL ? why : apr_pstrdup(pool, hb_strerror(rv, space, sizeof(space)));
    }
    rv = hb_share_inherit(&memory);
    if (rv == HB_E_CONFIG) {
        return "the memory that httpd handed down is of another version of the suite; restart "
               "httpd";
    }
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND) {
        return apr_psprintf(pool, "the memory that httpd handed down cannot be used: %s",
                            hb_strerror(rv, space, sizeof(space)));
    }
    if (rv == APR_SUCCESS) {
        (*site)->maintenance = hb_share_maintenance(&memory);
    }
    rv = hb_site_open(*site, rv == APR_SUCCESS ? &memory : NULL, pool);
    if (rv != APR_SUCCESS) {
        hb_log_to(log, HB_LOG_ERR, rv, HBLOGNO(06204) "the sockets start without their records");
    }
    return NULL;
}
