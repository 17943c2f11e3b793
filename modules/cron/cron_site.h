/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron_site.h
 * The site beside httpd: settings, keys, store. Made anew when the settings have changed.
 */
#ifndef CRON_SITE_H
#define CRON_SITE_H

#include "hb_op.h"

typedef struct cron_site_t {
    const char *path;           /* of the settings; NULL: environment and defaults */
    hb_site_t *site;
    apr_pool_t *pool;           /* of the site */
    apr_pool_t *parent;
    hb_site_memory_t memory;    /* httpd's; all NULL without */
    int has_memory;
} cron_site_t;

/** Take over what httpd handed down. @return NULL, or a sentence: it is of no use */
const char *cron_site_make(cron_site_t *cron, const char *path, apr_pool_t *pool);

/**
 * Read the settings and open the site, in place of one that is open.
 * @return NULL, or a sentence; the one that was open is then still there
 */
const char *cron_site_open(cron_site_t *cron, const hb_log_t *log);

/** An op of the system at the present time. */
hb_op_t *cron_op(const cron_site_t *cron, apr_pool_t *pool);

#endif /* CRON_SITE_H */
