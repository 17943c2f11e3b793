/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the site beside httpd. */
#include "cron_site.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_program.h"
#include "hb_share.h"

const char *cron_site_make(cron_site_t *cron, const char *path, apr_pool_t *pool)
{
    apr_status_t rv;

    memset(cron, 0, sizeof(*cron));
    cron->path = path;
    cron->parent = pool;
    rv = hb_share_inherit(&cron->memory);   /* once: it stays mapped */
    cron->has_memory = rv == APR_SUCCESS;
    return rv == APR_SUCCESS || rv == APR_NOTFOUND ? NULL
        : "the memory that httpd handed down cannot be used, or is of another version of the "
          "suite; restart httpd";
}

const char *cron_site_open(cron_site_t *cron, const hb_log_t *log)
{
    const hb_settings_t *settings;
    apr_pool_t *pool;
    hb_site_t *site;
    const char *why = NULL;
    apr_status_t rv;
    char space[200];

    apr_pool_create(&pool, cron->parent);
    why = hb_settings_load(&settings, cron->path, pool);
    if (why == NULL) {
        rv = hb_site_make(&site, &why, settings, log, pool);
        if (rv != APR_SUCCESS && why == NULL) {
            why = hb_strerror(rv, space, sizeof(space));
        }
    }
    if (why == NULL) {          /* secrets may be root's alone: they have been read */
        why = hb_program_become_owner(settings->state_dir, pool);
    }
    if (why != NULL) {
        why = apr_pstrdup(cron->parent, why);
        apr_pool_destroy(pool);
        return why;
    }
    if (cron->has_memory) {
        site->maintenance = hb_share_maintenance(&cron->memory);
    }
    if (cron->pool != NULL) {
        apr_pool_destroy(cron->pool);   /* before the next one opens the same files */
    }
    rv = hb_site_open(site, cron->has_memory ? &cron->memory : NULL, pool);
    if (rv != APR_SUCCESS) {
        hb_log_to(log, HB_LOG_ERR, rv, HBLOGNO(07008) "jobs start without their records");
    }
    cron->site = site;
    cron->pool = pool;
    return NULL;
}

hb_op_t *cron_op(const cron_site_t *cron, apr_pool_t *pool)
{
    hb_op_t *op = hb_op_make(cron->site, pool);

    op->actor.is_system = 1;
    return op;
}
