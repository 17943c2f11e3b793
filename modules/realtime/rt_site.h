/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_site.h
 * The site as the sidecar has it: settings, secrets and shared memory that httpd handed down.
 */
#ifndef RT_SITE_H
#define RT_SITE_H

#include "hb_site.h"

/**
 * Make and open the site of these settings. Without httpd (tests, by hand) limits, cached values
 * and counters are the program's own.
 * @return NULL, or a sentence: trying again would be of no use. A store that is away is
 *         no reason: calls are answered 503 until it is back.
 */
const char *rt_site_open(hb_site_t **site, const hb_settings_t *settings, const hb_log_t *log,
                         apr_pool_t *pool);

#endif /* RT_SITE_H */
