/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_cache.h
 * Shared state that may be lost at any time: values with a life, counters, rankings.
 * Nothing that has to survive lives only here. Keys are "namespace:rest"; `halobuzzctl
 * cache flush` drops the namespace "cache" and nothing else.
 *
 * No call waits longer than some 50 ms, nor fails an op: when the cache cannot be reached,
 * reading is a miss and writing gives HB_E_UNAVAILABLE. A life (ttl_usec) counts from
 * op->now; 0 keeps a value until its room is wanted.
 */
#ifndef HB_CACHE_H
#define HB_CACHE_H

#include "hb_op.h"

typedef struct hb_cache_t hb_cache_t;

/**
 * A promise to fill a key that was missed: filling fails if the key was deleted since,
 * so that a slow reader cannot put an old value back over a newer record.
 */
typedef struct hb_cache_lease_t { apr_uint64_t mark; } hb_cache_lease_t;

/**
 * @param value  copied into op->pool, with a 0 byte behind it
 * @param lease  for hb_cache_fill after a miss; may be NULL
 * @return HB_E_CACHE_MISS also when the cache is down: the caller goes on without.
 */
apr_status_t hb_cache_get(const char **value, apr_size_t *len, hb_cache_lease_t *lease,
                          hb_op_t *op, const char *key);

/** HB_E_CACHE_FULL when the value cannot fit (a quarter shard); never a reason to fail the op. */
apr_status_t hb_cache_set(hb_op_t *op, const char *key, const char *value, apr_size_t len,
                          apr_interval_time_t ttl_usec);

/** Set only if nobody deleted or set the key since the lease; APR_EAGAIN when somebody did. */
apr_status_t hb_cache_fill(hb_op_t *op, const hb_cache_lease_t *lease, const char *key,
                           const char *value, apr_size_t len, apr_interval_time_t ttl_usec);

/** Gone for every process when it returns. Call after the commit it belongs to. */
apr_status_t hb_cache_remove(hb_op_t *op, const char *key);

/**
 * Add to a counter, made with 0 and the life when missing; hb_cache_get reads it as text.
 * @param n  after; may be NULL
 * @return APR_EINVAL when the value is no number, or would not fit in 64 bits
 */
apr_status_t hb_cache_add(apr_int64_t *n, hb_op_t *op, const char *key, apr_int64_t delta,
                          apr_interval_time_t ttl_usec);

typedef struct hb_rank_t {
    const char *member;
    apr_int64_t score;
} hb_rank_t;

/**
 * Rankings: highest score first, equal scores by member. Board and member names have at
 * most 63 bytes (APR_EINVAL). A board that outgrows its room loses its lowest members.
 */
apr_status_t hb_cache_rank_set(hb_op_t *op, const char *board, const char *member,
                               apr_int64_t score);
apr_status_t hb_cache_rank_add(apr_int64_t *score, hb_op_t *op, const char *board,
                               const char *member, apr_int64_t delta);
apr_status_t hb_cache_rank_remove(hb_op_t *op, const char *board, const char *member);
apr_status_t hb_cache_rank_drop(hb_op_t *op, const char *board);
/** Entries [offset, offset + limit) into op->pool. */
apr_status_t hb_cache_rank_top(const hb_rank_t **entries, int *n, hb_op_t *op,
                               const char *board, int offset, int limit);

/** Drop one namespace ("cache"). */
apr_status_t hb_cache_flush(hb_op_t *op, const char *name_space);
apr_status_t hb_cache_ping(hb_op_t *op);

typedef struct hb_cache_stats_t {
    apr_uint64_t hits, misses, sets, evictions, refused, entries, bytes_used, bytes_total;
} hb_cache_stats_t;
apr_status_t hb_cache_stats(hb_cache_stats_t *stats, hb_op_t *op);

/* --- for the host of a process --- */

/** NULL, or a sentence that lists what is accepted. */
const char *hb_cache_url_check(const char *url, apr_pool_t *pool);

/**
 * @param memory  zeroed or used before by another process; NULL gives a private cache. When it
 *                holds a cache of another size or version, that is logged and this
 *                process goes on without a cache.
 * @return HB_E_CONFIG for a URL that hb_cache_url_check() refuses
 */
apr_status_t hb_cache_open(hb_cache_t **cache, hb_site_t *site, const char *url,
                           void *memory, apr_size_t bytes, apr_pool_t *pool);

struct hb_ahead_t;

/*
 * For backends: cache_*.c exports one of these. Every member but ask is there; those that fail
 * because the backend does not answer give APR_TIMEUP. get sets the lease also on a miss.
 */
typedef struct hb_cache_driver_t {
    const char *scheme;         /* "shm" */
    const char *accepts;
    apr_status_t (*open)(void **self, hb_site_t *site, const char *url, void *memory,
                         apr_size_t bytes, apr_pool_t *pool);
    apr_status_t (*get)(void *self, const char **value, apr_size_t *len,
                        hb_cache_lease_t *lease, hb_op_t *op, const char *key);
    /* Answers what is noted (hb_ahead.h) in one round trip, as get and the limiter's take would;
     * what it does not answer is asked again. NULL where get does not wait. */
    apr_status_t (*ask)(void *self, hb_op_t *op, struct hb_ahead_t *ahead);
    apr_status_t (*set)(void *self, hb_op_t *op, const hb_cache_lease_t *lease_or_null,
                        const char *key, const char *value, apr_size_t len,
                        apr_interval_time_t ttl_usec);
    apr_status_t (*remove)(void *self, hb_op_t *op, const char *key);
    apr_status_t (*add)(void *self, apr_int64_t *n, hb_op_t *op, const char *key,
                        apr_int64_t delta, apr_interval_time_t ttl_usec);
    apr_status_t (*rank_change)(void *self, apr_int64_t *score, hb_op_t *op,
                                const char *board, const char *member,
                                apr_int64_t value, int is_delta);
    apr_status_t (*rank_remove)(void *self, hb_op_t *op, const char *board,
                                const char *member_or_null);
    apr_status_t (*rank_top)(void *self, const hb_rank_t **entries, int *n, hb_op_t *op,
                             const char *board, int offset, int limit);
    apr_status_t (*flush)(void *self, hb_op_t *op, const char *name_space);
    apr_status_t (*ping)(void *self, hb_op_t *op);
    apr_status_t (*stats)(void *self, hb_cache_stats_t *stats, hb_op_t *op);
} hb_cache_driver_t;

#endif /* HB_CACHE_H */
