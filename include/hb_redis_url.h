/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_redis_url.h
 * redis://[[user]:password@]HOST[:PORT][/DATABASE][?prefix=TEXT], for HaloBuzzCache and
 * HaloBuzzBus. Percent signs escape bytes of user, password and prefix; an IPv6 address
 * stands in brackets.
 */
#ifndef HB_REDIS_URL_H
#define HB_REDIS_URL_H

#include <apr_pools.h>

typedef struct hb_redis_url_t {
    const char *host;
    int port;
    const char *user, *password;    /* NULL without */
    const char *db;                 /* decimal; NULL for the first */
    const char *prefix;             /* of all keys; never NULL */
} hb_redis_url_t;

/** NULL, or a sentence: what is wrong. It never repeats the URL, which may hold a password. */
const char *hb_redis_url_read(hb_redis_url_t *url, const char *text, apr_pool_t *pool);

#endif /* HB_REDIS_URL_H */
