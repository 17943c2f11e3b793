/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the cache: which backends there are, and what callers see when none can
 * be reached (misses, and nothing kept). What is kept where is cache_*.c's.
 */
#include "hb_cache.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ahead_private.h"
#include "hb_error.h"
#include "hb_plugin.h"
#include "hb_redis_url.h"

struct hb_cache_t {
    const hb_cache_driver_t *driver;    /* NULL while down */
    void *self;
};

/* No shard ever gives it. */
#define NO_LEASE APR_UINT64_MAX

extern const hb_cache_driver_t hb_cache_shm;

/* Backends by scheme. One that is a file of its own names it, and the package it is built with. */
typedef struct backend_t {
    const char *scheme, *accepts;
    const hb_cache_driver_t *driver;    /* NULL: in plugin, under symbol */
    const char *plugin, *symbol, *package;
} backend_t;

static const backend_t backends[] = {
    { "shm",   "shm:",              &hb_cache_shm },
    { "redis", "redis://HOST:PORT", NULL, "hb_redis.so", "hb_redis_cache",
      "libhiredis-dev (for building) or libhiredis0.14" },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

static const backend_t *backend_of(const char *url)
{
    int i;

    for (i = 0; i < N_BACKENDS; i++) {
        apr_size_t len = strlen(backends[i].scheme);

        if (strncmp(url, backends[i].scheme, len) == 0 && url[len] == ':') {
            return &backends[i];
        }
    }
    return NULL;
}

const char *hb_cache_url_check(const char *url, apr_pool_t *pool)
{
    const backend_t *backend = backend_of(url);
    const char *accepted = "";
    hb_redis_url_t redis;
    int i;

    if (backend != NULL && backend->driver == &hb_cache_shm && url[strlen("shm:")] != '\0') {
        return apr_psprintf(pool, "\"%s\": shm: takes nothing behind the colon; its size is "
                            "HaloBuzzCacheSize", url);
    }
    if ((backend != NULL && backend->plugin != NULL) || strncmp(url, "rediss:", 7) == 0) {
        const char *why = hb_redis_url_read(&redis, url, pool);

        return why != NULL ? why : hb_plugin_missing(backend->plugin, backend->package, pool);
    }
    if (backend != NULL) {
        return NULL;
    }
    for (i = 0; i < N_BACKENDS; i++) {
        accepted = apr_pstrcat(pool, accepted, i > 0 ? ", " : "", backends[i].accepts, NULL);
    }
    /* Only the scheme is repeated: the rest of a URL may hold a password. */
    return apr_psprintf(pool, "no backend takes '%.*s:...'; accepted: %s",
                        (int)strcspn(url, ":/@"), url, accepted);
}

apr_status_t hb_cache_open(hb_cache_t **cache, hb_site_t *site, const char *url,
                           void *memory, apr_size_t bytes, apr_pool_t *pool)
{
    hb_cache_t *made = apr_pcalloc(pool, sizeof(*made));
    const backend_t *backend = backend_of(url);
    const hb_cache_driver_t *driver;
    const char *why = NULL;
    apr_status_t rv;

    *cache = NULL;
    if (backend == NULL) {
        return HB_E_CONFIG;
    }
    driver = backend->driver != NULL ? backend->driver
        : hb_plugin_symbol(&why, backend->plugin, backend->symbol, pool);
    if (driver == NULL) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(01503) "the backend of HaloBuzzCache cannot be "
                  "opened: %s; it needs %s", why, backend->package);
        *cache = made;
        return APR_SUCCESS;
    }
    rv = driver->open(&made->self, site, url, memory, bytes, pool);
    if (rv == APR_SUCCESS) {
        made->driver = driver;
    }
    else {
        hb_log_to(&site->log, HB_LOG_ERR, rv, HBLOGNO(01502)
                  "the cache (%s) cannot be used; going on without. After an upgrade or a "
                  "change of HaloBuzzCacheSize httpd has to be restarted, not reloaded",
                  backend->scheme);
    }
    *cache = made;
    return APR_SUCCESS;
}

/* --- asking ahead (hb_ahead.c) --- */

int cache_asks_ahead(const hb_cache_t *cache)
{
    return cache != NULL && cache->driver != NULL && cache->driver->ask != NULL;
}

void cache_ask(hb_cache_t *cache, hb_op_t *op, hb_ahead_t *ahead)
{
    int i;

    for (i = 0; i < ahead->n_values; i++) {
        ahead->values[i].lease.mark = NO_LEASE;
    }
    cache->driver->ask(cache->self, op, ahead);
}

/* --- calls --- */

/* NULL when there is no cache to ask. */
static const hb_cache_driver_t *driver_for(void **self, const hb_op_t *op)
{
    hb_cache_t *cache = op->site->cache;

    *self = cache != NULL ? cache->self : NULL;
    return cache != NULL ? cache->driver : NULL;
}

/* A backend that cannot be reached in time is down, whatever the reason was. */
static apr_status_t told(apr_status_t rv)
{
    return rv == APR_TIMEUP ? HB_E_UNAVAILABLE : rv;
}

apr_status_t hb_cache_get(const char **value, apr_size_t *len, hb_cache_lease_t *lease,
                          hb_op_t *op, const char *key)
{
    const hb_ahead_value_t *answer = hb_ahead_answer(op, key);
    hb_cache_lease_t unwanted;
    const hb_cache_driver_t *driver;
    void *self;

    if (lease == NULL) {
        lease = &unwanted;
    }
    if (answer != NULL) {
        *lease = answer->lease;
        *value = answer->value;
        *len = answer->len;
        return answer->status == APR_SUCCESS ? APR_SUCCESS : HB_E_CACHE_MISS;
    }
    lease->mark = NO_LEASE;
    *value = NULL;
    *len = 0;
    driver = driver_for(&self, op);
    if (driver == NULL
        || driver->get(self, value, len, lease, op, key) != APR_SUCCESS) {
        return HB_E_CACHE_MISS;
    }
    return APR_SUCCESS;
}

apr_status_t hb_cache_set(hb_op_t *op, const char *key, const char *value, apr_size_t len,
                          apr_interval_time_t ttl_usec)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    hb_ahead_forget(op, key);
    return driver != NULL ? told(driver->set(self, op, NULL, key, value, len, ttl_usec))
        : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_fill(hb_op_t *op, const hb_cache_lease_t *lease, const char *key,
                           const char *value, apr_size_t len, apr_interval_time_t ttl_usec)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    hb_ahead_forget(op, key);
    if (lease->mark == NO_LEASE) {
        return APR_EAGAIN;
    }
    return driver != NULL ? told(driver->set(self, op, lease, key, value, len, ttl_usec))
        : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_remove(hb_op_t *op, const char *key)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    hb_ahead_forget(op, key);
    return driver != NULL ? told(driver->remove(self, op, key)) : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_add(apr_int64_t *n, hb_op_t *op, const char *key, apr_int64_t delta,
                          apr_interval_time_t ttl_usec)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);
    apr_int64_t after = 0;
    apr_status_t rv;

    hb_ahead_forget(op, key);
    rv = driver != NULL
        ? told(driver->add(self, &after, op, key, delta, ttl_usec)) : HB_E_UNAVAILABLE;
    if (n != NULL) {
        *n = rv == APR_SUCCESS ? after : 0;
    }
    return rv;
}

static apr_status_t rank_change(apr_int64_t *score, hb_op_t *op, const char *board,
                                const char *member, apr_int64_t value, int is_delta)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);
    apr_int64_t after = 0;
    apr_status_t rv = driver != NULL
        ? told(driver->rank_change(self, &after, op, board, member, value, is_delta))
        : HB_E_UNAVAILABLE;

    if (score != NULL) {
        *score = after;
    }
    return rv;
}

apr_status_t hb_cache_rank_set(hb_op_t *op, const char *board, const char *member,
                               apr_int64_t score)
{
    return rank_change(NULL, op, board, member, score, 0);
}

apr_status_t hb_cache_rank_add(apr_int64_t *score, hb_op_t *op, const char *board,
                               const char *member, apr_int64_t delta)
{
    return rank_change(score, op, board, member, delta, 1);
}

static apr_status_t rank_remove(hb_op_t *op, const char *board, const char *member)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    return driver != NULL ? told(driver->rank_remove(self, op, board, member))
        : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_rank_remove(hb_op_t *op, const char *board, const char *member)
{
    return rank_remove(op, board, member);
}

apr_status_t hb_cache_rank_drop(hb_op_t *op, const char *board)
{
    return rank_remove(op, board, NULL);
}

apr_status_t hb_cache_rank_top(const hb_rank_t **entries, int *n, hb_op_t *op,
                               const char *board, int offset, int limit)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    *entries = NULL;
    *n = 0;
    if (offset < 0 || limit <= 0) {
        return APR_SUCCESS;
    }
    return driver != NULL ? told(driver->rank_top(self, entries, n, op, board, offset, limit))
        : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_flush(hb_op_t *op, const char *name_space)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    if (*name_space == '\0' || strchr(name_space, ':') != NULL) {
        return APR_EINVAL;
    }
    hb_ahead_forget_all(op);
    return driver != NULL ? told(driver->flush(self, op, name_space)) : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_ping(hb_op_t *op)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    return driver != NULL ? told(driver->ping(self, op)) : HB_E_UNAVAILABLE;
}

apr_status_t hb_cache_stats(hb_cache_stats_t *stats, hb_op_t *op)
{
    void *self;
    const hb_cache_driver_t *driver = driver_for(&self, op);

    memset(stats, 0, sizeof(*stats));
    return driver != NULL ? told(driver->stats(self, stats, op)) : HB_E_UNAVAILABLE;
}
