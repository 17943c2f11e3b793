/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the cache: finds the backend for a URL and keeps its promise that a
 * cache which is down is only a miss. Where values lie is the backend's business (cache_*.c).
 */
#include "hb_cache.h"

#include <string.h>

#include <apr_strings.h>

static const hb_cache_driver_t *const drivers[] = {
    NULL
};

struct hb_cache_t {
    const hb_cache_driver_t *driver;    /* NULL: no backend could be opened */
    void *self;
};

static const hb_cache_driver_t *driver_of(const char *url)
{
    const hb_cache_driver_t *const *driver;

    for (driver = drivers; *driver != NULL; driver++) {
        apr_size_t len = strlen((*driver)->scheme);

        if (strncmp(url, (*driver)->scheme, len) == 0 && url[len] == ':') {
            return *driver;
        }
    }
    return NULL;
}

const char *hb_cache_url_check(const char *url, apr_pool_t *pool)
{
    const hb_cache_driver_t *const *driver;
    const char *accepts = NULL;

    if (driver_of(url) != NULL) {
        return NULL;
    }
    for (driver = drivers; *driver != NULL; driver++) {
        accepts = accepts == NULL ? (*driver)->accepts
                                  : apr_pstrcat(pool, accepts, ", ", (*driver)->accepts, NULL);
    }
    return apr_psprintf(pool, "no cache takes this address; accepted: %s",
                        accepts != NULL ? accepts : "nothing in this build");
}

apr_status_t hb_cache_open(hb_cache_t **cache, hb_site_t *site, const char *url,
                           void *memory, apr_size_t bytes, apr_pool_t *pool)
{
    const hb_cache_driver_t *driver = driver_of(url);
    apr_status_t rv = HB_E_CONFIG;

    *cache = apr_pcalloc(pool, sizeof(**cache));
    if (driver != NULL) {
        rv = driver->open(&(*cache)->self, site, url, memory, bytes, pool);
        if (rv == APR_SUCCESS) {
            (*cache)->driver = driver;
        }
    }
    return rv;
}

/* The cache of an op, NULL when there is none that works. */
static hb_cache_t *cache_of(const hb_op_t *op)
{
    hb_cache_t *cache = op->site->cache;

    return cache != NULL && cache->driver != NULL ? cache : NULL;
}

apr_status_t hb_cache_get(const char **value, apr_size_t *len, hb_cache_lease_t *lease,
                          hb_op_t *op, const char *key)
{
    hb_cache_t *cache = cache_of(op);

    *value = NULL;
    *len = 0;
    return cache == NULL ? HB_E_CACHE_MISS
                         : cache->driver->get(cache->self, value, len, lease, op, key);
}

apr_status_t hb_cache_set(hb_op_t *op, const char *key, const char *value, apr_size_t len,
                          apr_interval_time_t ttl_usec)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? HB_E_CACHE_FULL
                         : cache->driver->set(cache->self, op, NULL, key, value, len, ttl_usec);
}

apr_status_t hb_cache_fill(hb_op_t *op, const hb_cache_lease_t *lease, const char *key,
                           const char *value, apr_size_t len, apr_interval_time_t ttl_usec)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? HB_E_CACHE_FULL
                         : cache->driver->set(cache->self, op, lease, key, value, len, ttl_usec);
}

apr_status_t hb_cache_remove(hb_op_t *op, const char *key)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? APR_SUCCESS : cache->driver->remove(cache->self, op, key);
}

apr_status_t hb_cache_add(apr_int64_t *n, hb_op_t *op, const char *key, apr_int64_t delta,
                          apr_interval_time_t ttl_usec)
{
    hb_cache_t *cache = cache_of(op);
    apr_int64_t unused;

    return cache == NULL ? HB_E_CACHE_MISS
                         : cache->driver->add(cache->self, n != NULL ? n : &unused, op, key,
                                              delta, ttl_usec);
}

apr_status_t hb_cache_rank_set(hb_op_t *op, const char *board, const char *member,
                               apr_int64_t score)
{
    hb_cache_t *cache = cache_of(op);
    apr_int64_t unused;

    return cache == NULL ? HB_E_CACHE_MISS
                         : cache->driver->rank_change(cache->self, &unused, op, board, member,
                                                      score, 0);
}

apr_status_t hb_cache_rank_add(apr_int64_t *score, hb_op_t *op, const char *board,
                               const char *member, apr_int64_t delta)
{
    hb_cache_t *cache = cache_of(op);
    apr_int64_t unused;

    return cache == NULL ? HB_E_CACHE_MISS
                         : cache->driver->rank_change(cache->self,
                                                      score != NULL ? score : &unused, op,
                                                      board, member, delta, 1);
}

apr_status_t hb_cache_rank_remove(hb_op_t *op, const char *board, const char *member)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? APR_SUCCESS
                         : cache->driver->rank_remove(cache->self, op, board, member);
}

apr_status_t hb_cache_rank_drop(hb_op_t *op, const char *board)
{
    return hb_cache_rank_remove(op, board, NULL);
}

apr_status_t hb_cache_rank_top(const hb_rank_t **entries, int *n, hb_op_t *op,
                               const char *board, int offset, int limit)
{
    hb_cache_t *cache = cache_of(op);

    *entries = NULL;
    *n = 0;
    return cache == NULL ? HB_E_CACHE_MISS
                         : cache->driver->rank_top(cache->self, entries, n, op, board, offset,
                                                   limit);
}

apr_status_t hb_cache_flush(hb_op_t *op, const char *name_space)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? APR_SUCCESS : cache->driver->flush(cache->self, op, name_space);
}

apr_status_t hb_cache_ping(hb_op_t *op)
{
    hb_cache_t *cache = cache_of(op);

    return cache == NULL ? HB_E_UNAVAILABLE : cache->driver->ping(cache->self, op);
}

apr_status_t hb_cache_stats(hb_cache_stats_t *stats, hb_op_t *op)
{
    hb_cache_t *cache = cache_of(op);

    memset(stats, 0, sizeof(*stats));
    return cache == NULL ? HB_E_UNAVAILABLE : cache->driver->stats(cache->self, stats, op);
}
