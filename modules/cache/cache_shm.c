/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache in shared memory ("shm:"): lays its parts into the block that the host of the
 * site gives, and finds the part of a key. The first process to come lays it out; one that
 * has to wait for it sees when it died and takes its place.
 */
#include "cache_shm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_memory.h"
#include "hb_siphash.h"

#define MAGIC 0x3148434143424848ULL     /* "HHBCACH1": changes with the layout */
#define READY 0x79646165727e7eULL       /* no process id */
#define PRIVATE_BYTES (1024 * 1024)
#define BYTES_MIN (128 * 1024)
#define SHARDS_MIN 4
#define SHARDS_MAX 64
#define SHARD_BYTES (2 * 1024 * 1024)   /* no smaller, when there is room for more */
#define RANKS_SHARE 8                   /* an eighth of the memory */
#define MAKER_WAIT_MSEC 2000

typedef struct header_t {
    apr_uint64_t magic;
    apr_uint64_t bytes;
    apr_uint64_t state;         /* 0, the id of the process that lays it out, READY */
    apr_uint64_t sip_key[2];
    apr_uint64_t unused[3];
} header_t;

typedef struct shm_t {
    header_t *header;
    cache_ranks_t *ranks;
    char *shards;
    apr_size_t shard_bytes;
    apr_uint32_t n_shards;      /* a power of 2 */
    const hb_site_t *site;
    apr_uint64_t complained_at; /* seconds; when a value that does not fit was logged */
} shm_t;

typedef struct mapping_t {
    void *start;
    apr_size_t bytes;
} mapping_t;

static cache_shard_t *shard_at(const shm_t *shm, apr_uint32_t i)
{
    return (cache_shard_t *)(shm->shards + i * shm->shard_bytes);
}

/* --- layout --- */

static void plan(shm_t *shm, apr_size_t bytes)
{
    apr_size_t ranks = bytes / RANKS_SHARE & ~(apr_size_t)(HB_MEMORY_LINE - 1);
    apr_size_t rest = bytes - sizeof(header_t) - ranks;

    shm->ranks = (cache_ranks_t *)(shm->header + 1);
    shm->shards = (char *)shm->ranks + ranks;
    shm->n_shards = SHARDS_MIN;
    while (shm->n_shards < SHARDS_MAX && rest / (shm->n_shards * 2) >= SHARD_BYTES) {
        shm->n_shards *= 2;
    }
    shm->shard_bytes = rest / shm->n_shards & ~(apr_size_t)(HB_MEMORY_LINE - 1);
}

static apr_status_t lay_out(shm_t *shm)
{
    apr_uint32_t i;
    apr_status_t rv;

    shm->header->sip_key[0] = hb_memory_random();
    shm->header->sip_key[1] = hb_memory_random();
    rv = cache_ranks_make(shm->ranks, (apr_size_t)(shm->shards - (char *)shm->ranks));
    for (i = 0; i < shm->n_shards && rv == APR_SUCCESS; i++) {
        rv = cache_shard_make(shard_at(shm, i), shm->shard_bytes);
    }
    return rv;
}

/* Lay out, or wait until somebody has. */
static apr_status_t settle(shm_t *shm)
{
    apr_uint64_t *state = &shm->header->state;
    int waited;

    for (waited = 0; waited < MAKER_WAIT_MSEC; waited++) {
        apr_uint64_t maker = __atomic_load_n(state, __ATOMIC_ACQUIRE);
        apr_status_t rv;

        if (maker == READY) {
            return APR_SUCCESS;
        }
        if (maker != 0 && (kill((pid_t)maker, 0) == 0 || errno != ESRCH)) {
            apr_sleep(1000);
            continue;
        }
        if (__atomic_compare_exchange_n(state, &maker, (apr_uint64_t)getpid(), 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            rv = lay_out(shm);
            __atomic_store_n(state, rv == APR_SUCCESS ? READY : 0, __ATOMIC_RELEASE);
            return rv;
        }
    }
    return APR_TIMEUP;
}

static apr_status_t unmap(void *data)
{
    mapping_t *mapping = data;

    munmap(mapping->start, mapping->bytes);
    return APR_SUCCESS;
}

/* Pages come when they are touched, so a private cache costs what it holds. */
static apr_status_t map(void **memory, apr_size_t bytes, apr_pool_t *pool)
{
    mapping_t *mapping = apr_palloc(pool, sizeof(*mapping));

    mapping->bytes = bytes;
    mapping->start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
    if (mapping->start == MAP_FAILED) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pool, mapping, unmap, apr_pool_cleanup_null);
    *memory = mapping->start;
    return APR_SUCCESS;
}

static apr_status_t memory_open(void **self, hb_site_t *site, const char *url, void *memory,
                             apr_size_t bytes, apr_pool_t *pool)
{
    shm_t *shm = apr_pcalloc(pool, sizeof(*shm));
    apr_status_t rv;

    (void)url;
    if (memory == NULL) {
        bytes = bytes != 0 ? bytes : PRIVATE_BYTES;
        rv = map(&memory, bytes, pool);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    shm->site = site;
    shm->header = hb_memory_align(memory, &bytes);
    if (bytes < BYTES_MIN) {
        return APR_ENOMEM;
    }
    if (hb_memory_settle(&shm->header->magic, MAGIC) != MAGIC
        || hb_memory_settle(&shm->header->bytes, bytes) != bytes) {
        return HB_E_CONFIG;
    }
    plan(shm, bytes);
    rv = settle(shm);
    *self = shm;
    return rv;
}

/* --- calls --- */

static cache_shard_t *shard_of(const shm_t *shm, const cache_key_t *key)
{
    return shard_at(shm, (apr_uint32_t)(key->hash >> 40) & (shm->n_shards - 1));
}

/* Gives 0 for a key that is never kept. */
static int read_key(cache_key_t *key, const shm_t *shm, const char *text)
{
    key->text = text;
    key->len = strlen(text);
    key->hash = hb_siphash(shm->header->sip_key, text, key->len);
    return key->len > 0 && key->len <= CACHE_KEY_MAX;
}

static apr_time_t expiry(const hb_op_t *op, apr_interval_time_t ttl_usec)
{
    return ttl_usec > 0 ? op->now + ttl_usec : 0;
}

static apr_status_t memory_get(void *self, const char **value, apr_size_t *len,
                            hb_cache_lease_t *lease, hb_op_t *op, const char *text)
{
    cache_key_t key;

    if (!read_key(&key, self, text)) {
        return HB_E_CACHE_MISS;
    }
    return cache_shard_get(value, len, lease, shard_of(self, &key), &key, op->now, op->pool);
}

/* Once a minute and process: the log says what to do, and is not filled by it. */
static void complain(shm_t *shm, const hb_op_t *op, const cache_key_t *key, apr_size_t len)
{
    apr_uint64_t now = (apr_uint64_t)apr_time_sec(op->now);
    apr_uint64_t last = __atomic_load_n(&shm->complained_at, __ATOMIC_RELAXED);

    if ((last == 0 || now >= last + 60 || now < last)
        && __atomic_compare_exchange_n(&shm->complained_at, &last, now, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(01501)
               "a value of %" APR_SIZE_T_FMT " bytes for %.*s:... does not fit in the cache, "
               "which takes %" APR_SIZE_T_FMT " bytes with %" APR_SIZE_T_FMT
               " bytes of memory: raise HaloBuzzCacheSize", len,
               (int)strcspn(key->text, ":"), key->text,
               cache_shard_value_max(shard_of(shm, key)), (apr_size_t)shm->header->bytes);
    }
}

static apr_status_t memory_set(void *self, hb_op_t *op, const hb_cache_lease_t *lease,
                            const char *text, const char *bytes, apr_size_t len,
                            apr_interval_time_t ttl_usec)
{
    cache_value_t value = { bytes, len, expiry(op, ttl_usec), 0 };
    cache_key_t key;
    apr_status_t rv;

    if (!read_key(&key, self, text)) {
        return HB_E_CACHE_FULL;
    }
    rv = cache_shard_set(shard_of(self, &key), lease, &key, &value, op->now);
    if (rv == HB_E_CACHE_FULL) {
        complain(self, op, &key, len);
    }
    if (rv == APR_TIMEUP && lease == NULL) {
        /* The value that stands there is not the newest any more. */
        cache_shard_void(shard_of(self, &key));
    }
    return rv;
}

static apr_status_t memory_remove(void *self, hb_op_t *op, const char *text)
{
    cache_key_t key;
    apr_status_t rv;

    (void)op;
    if (!read_key(&key, self, text)) {
        return APR_SUCCESS;
    }
    rv = cache_shard_remove(shard_of(self, &key), &key);
    if (rv == APR_TIMEUP) {
        /* Gone is gone, if it takes the whole shard. */
        cache_shard_void(shard_of(self, &key));
        rv = APR_SUCCESS;
    }
    return rv;
}

static apr_status_t memory_add(void *self, apr_int64_t *n, hb_op_t *op, const char *text,
                            apr_int64_t delta, apr_interval_time_t ttl_usec)
{
    cache_key_t key;

    if (!read_key(&key, self, text)) {
        return HB_E_CACHE_FULL;
    }
    return cache_shard_add(n, shard_of(self, &key), &key, delta, expiry(op, ttl_usec),
                           op->now);
}

static int is_name(const char *name)
{
    return *name != '\0' && strlen(name) < CACHE_NAME_BYTES;
}

static apr_status_t memory_rank_change(void *self, apr_int64_t *score, hb_op_t *op,
                                    const char *board, const char *member, apr_int64_t value,
                                    int is_delta)
{
    const shm_t *shm = self;

    (void)op;
    if (!is_name(board) || !is_name(member)) {
        return APR_EINVAL;
    }
    return cache_ranks_change(score, shm->ranks, board, member, value, is_delta);
}

static apr_status_t memory_rank_remove(void *self, hb_op_t *op, const char *board,
                                    const char *member)
{
    const shm_t *shm = self;

    (void)op;
    if (!is_name(board) || (member != NULL && !is_name(member))) {
        return APR_SUCCESS;
    }
    return cache_ranks_remove(shm->ranks, board, member);
}

static apr_status_t memory_rank_top(void *self, const hb_rank_t **entries, int *n, hb_op_t *op,
                                 const char *board, int offset, int limit)
{
    const shm_t *shm = self;

    if (!is_name(board)) {
        *n = 0;
        return APR_SUCCESS;
    }
    return cache_ranks_top(entries, n, shm->ranks, board, offset, limit, op->pool);
}

static apr_status_t memory_flush(void *self, hb_op_t *op, const char *name_space)
{
    const shm_t *shm = self;
    const char *prefix = apr_pstrcat(op->pool, name_space, ":", NULL);
    apr_status_t rv = cache_ranks_flush(shm->ranks, prefix);
    apr_uint32_t i;

    /* As much as can be: a shard whose owner is stuck is told by the status. */
    for (i = 0; i < shm->n_shards; i++) {
        apr_status_t one = cache_shard_flush(shard_at(shm, i), prefix);

        rv = rv == APR_SUCCESS ? one : rv;
    }
    return rv;
}

static apr_status_t memory_ping(void *self, hb_op_t *op)
{
    const shm_t *shm = self;
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    (void)op;
    for (i = 0; i < shm->n_shards && rv == APR_SUCCESS; i++) {
        rv = cache_shard_ping(shard_at(shm, i));
    }
    return rv;
}

static apr_status_t memory_stats(void *self, hb_cache_stats_t *stats, hb_op_t *op)
{
    const shm_t *shm = self;
    apr_uint32_t i;

    (void)op;
    for (i = 0; i < shm->n_shards; i++) {
        cache_shard_stats(stats, shard_at(shm, i));
    }
    return APR_SUCCESS;
}

cache_shard_t *cache_shm_shard(void *self, const char *key)
{
    cache_key_t made;

    read_key(&made, self, key);
    return shard_of(self, &made);
}

cache_ranks_t *cache_shm_ranks(void *self)
{
    return ((shm_t *)self)->ranks;
}

const hb_cache_driver_t hb_cache_shm = {
    .scheme = "shm",
    .accepts = "shm: (shared memory of HaloBuzzCacheSize)",
    .open = memory_open,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
    .add = memory_add,
    .rank_change = memory_rank_change,
    .rank_remove = memory_rank_remove,
    .rank_top = memory_rank_top,
    .flush = memory_flush,
    .ping = memory_ping,
    .stats = memory_stats,
};
