/* SPDX-License-Identifier: Apache-2.0 */
/* Modules that stand on others. */
#include "hb_ap.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

int hb_ap_need_module(server_rec *s, apr_pool_t *ptemp, const char *name, const char *needed)
{
    if (ap_find_linked_module(apr_pstrcat(ptemp, "mod_", needed, ".c", NULL)) != NULL) {
        return OK;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, HBLOGNO(02062)
                 "mod_%s needs mod_%s: add LoadModule %s_module modules/mod_%s.so", name, needed,
                 needed, needed);
    return HTTP_INTERNAL_SERVER_ERROR;
}
