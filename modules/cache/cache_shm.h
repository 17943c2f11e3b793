/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cache_shm.h
 * What the files of the shared-memory cache know of each other. One block of memory holds a
 * header, the rankings, and shards of values; each part has its own lock. All of it is
 * offsets, because every process may see the block elsewhere.
 */
#ifndef CACHE_SHM_H
#define CACHE_SHM_H

#include "hb_cache.h"
#include "hb_shm_lock.h"

/* Longer keys are not kept; boards and members are cut off by one less. */
#define CACHE_KEY_MAX 1024
#define CACHE_NAME_BYTES 64

/* --- cache_shm_lock.c: locks that outlive their owners --- */

typedef struct cache_lock_t {
    hb_shm_lock_t lock;
    apr_uint32_t generation;    /* of what it protects; raised without the lock by void */
    apr_uint32_t built;         /* the one the contents belong to; not equal: void */
} cache_lock_t;

apr_status_t cache_lock_make(cache_lock_t *lock);

/**
 * Waits 50 ms at most, as hb_shm_lock_take() does.
 * @param is_void  set when an owner died or the contents were voided: start afresh
 * @return APR_TIMEUP
 */
apr_status_t cache_lock_take(cache_lock_t *lock, int *is_void);
void cache_lock_drop(cache_lock_t *lock);

/** Make what it protects void for everybody, without taking it. */
void cache_lock_void(cache_lock_t *lock);

/* --- cache_shm_shard.c: values --- */

typedef struct cache_shard_t cache_shard_t;

/** A value to write. */
typedef struct cache_value_t {
    const char *bytes;
    apr_size_t len;
    apr_time_t expires_at;      /* 0: never */
    int is_counter;             /* bytes is an apr_int64_t */
} cache_value_t;

/** A key and what was made of it once. */
typedef struct cache_key_t {
    const char *text;
    apr_size_t len;
    apr_uint64_t hash;
} cache_key_t;

/** Lay a shard into zeroed memory. */
apr_status_t cache_shard_make(cache_shard_t *shard, apr_size_t bytes);

/** The largest value, its key included. */
apr_size_t cache_shard_value_max(const cache_shard_t *shard);

/** Every call below but void and stats takes the shard's lock itself: APR_TIMEUP. */
apr_status_t cache_shard_get(const char **value, apr_size_t *len, hb_cache_lease_t *lease,
                             cache_shard_t *shard, const cache_key_t *key, apr_time_t now,
                             apr_pool_t *pool);
apr_status_t cache_shard_set(cache_shard_t *shard, const hb_cache_lease_t *lease,
                             const cache_key_t *key, const cache_value_t *value,
                             apr_time_t now);
apr_status_t cache_shard_remove(cache_shard_t *shard, const cache_key_t *key);
apr_status_t cache_shard_add(apr_int64_t *n, cache_shard_t *shard, const cache_key_t *key,
                             apr_int64_t delta, apr_time_t expires_at, apr_time_t now);
/** prefix with its colon. */
apr_status_t cache_shard_flush(cache_shard_t *shard, const char *prefix);
apr_status_t cache_shard_ping(cache_shard_t *shard);
void cache_shard_void(cache_shard_t *shard);
/** Adds to stats. */
void cache_shard_stats(hb_cache_stats_t *stats, const cache_shard_t *shard);
/** For tests that kill owners. */
cache_lock_t *cache_shard_lock(cache_shard_t *shard);

/* --- cache_shm_rank.c: rankings --- */

typedef struct cache_ranks_t cache_ranks_t;

apr_status_t cache_ranks_make(cache_ranks_t *ranks, apr_size_t bytes);
apr_status_t cache_ranks_change(apr_int64_t *score, cache_ranks_t *ranks, const char *board,
                                const char *member, apr_int64_t value, int is_delta);
/** member NULL drops the board. */
apr_status_t cache_ranks_remove(cache_ranks_t *ranks, const char *board, const char *member);
apr_status_t cache_ranks_top(const hb_rank_t **entries, int *n, cache_ranks_t *ranks,
                             const char *board, int offset, int limit, apr_pool_t *pool);
apr_status_t cache_ranks_flush(cache_ranks_t *ranks, const char *prefix);
/** Members all boards together can hold; one board holds half. */
int cache_ranks_max(const cache_ranks_t *ranks);
cache_lock_t *cache_ranks_lock(cache_ranks_t *ranks);

/* --- cache_shm.c --- */

extern const hb_cache_driver_t hb_cache_shm;

/** For tests: where a key's value and the rankings are. */
cache_shard_t *cache_shm_shard(void *self, const char *key);
cache_ranks_t *cache_shm_ranks(void *self);

#endif /* CACHE_SHM_H */
