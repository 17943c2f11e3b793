/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One shard of values: a hash index over a ring of records.
 *
 * Records are written one behind the other. When the head of the ring meets its tail, the
 * oldest record makes room; one that was read since it was written is written once more
 * at the head instead (a second chance), so what is in use stays, nothing is ever
 * fragmented, and no list has to be kept in order of use. Records never cross the end of the
 * arena: the ring turns over at `limit`.
 *
 * The owner of the lock may die between any two lines: whoever comes next is told by the
 * lock and empties the shard, so no line has to leave it whole.
 */
#include "cache_shm.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_error.h"

#define MARKS 256               /* of deleted keys, so that one does not void every lease */
#define BYTES_PER_BUCKET 128
#define RESCUES_MAX 64          /* second chances while making room once */

#define IS_LIVE 1               /* in the index */
#define WAS_READ 2
#define IS_COUNTER 4

typedef struct record_t {
    apr_uint32_t size;          /* with value and key, a multiple of 8 */
    apr_uint32_t next;          /* in its bucket */
    apr_uint64_t hash;
    apr_int64_t expires_at;     /* usec, UTC; 0: never */
    apr_uint32_t value_len;
    apr_uint16_t key_len;
    apr_uint16_t flags;
    /* value, then key */
} record_t;

struct cache_shard_t {
    cache_lock_t lock;
    apr_uint32_t n_buckets;     /* a power of 2 */
    apr_uint32_t arena_bytes;
    /* The ring: [tail, head), or [tail, limit) and [0, head) when limit is not 0. */
    apr_uint32_t head, tail, limit;
    apr_uint32_t unused;
    apr_uint64_t hits, misses, sets, evictions, refused, entries, live_bytes;
    apr_uint32_t marks[MARKS];  /* raised when a key that falls on it is deleted */
    apr_uint32_t buckets[];     /* offset of a record + 1, 0 for none; the arena follows */
};

static char *arena_of(const cache_shard_t *shard)
{
    return (char *)(shard->buckets + shard->n_buckets);
}

static record_t *record_at(const cache_shard_t *shard, apr_uint32_t offset)
{
    return (record_t *)(arena_of(shard) + offset);
}

static char *value_of(const record_t *record)
{
    return (char *)(record + 1);
}

static const char *key_of(const record_t *record)
{
    return value_of(record) + record->value_len;
}

static apr_uint32_t *bucket_of(cache_shard_t *shard, apr_uint64_t hash)
{
    return &shard->buckets[(hash >> 8) & (shard->n_buckets - 1)];
}

static apr_size_t record_bytes(apr_size_t key_len, apr_size_t value_len)
{
    return (sizeof(record_t) + key_len + value_len + 7) & ~(apr_size_t)7;
}

/* With the lock held; statistics are read without it. */
static void count(apr_uint64_t *counter, apr_int64_t n)
{
    __atomic_store_n(counter, *counter + (apr_uint64_t)n, __ATOMIC_RELAXED);
}

static void empty(cache_shard_t *shard)
{
    memset(shard->buckets, 0, shard->n_buckets * sizeof(shard->buckets[0]));
    shard->head = shard->tail = shard->limit = 0;
    count(&shard->entries, -(apr_int64_t)shard->entries);
    count(&shard->live_bytes, -(apr_int64_t)shard->live_bytes);
    shard->lock.built = __atomic_load_n(&shard->lock.generation, __ATOMIC_ACQUIRE);
}

static apr_status_t take(cache_shard_t *shard)
{
    int is_void;
    apr_status_t rv = cache_lock_take(&shard->lock, &is_void);

    if (rv == APR_SUCCESS && is_void) {
        empty(shard);
    }
    return rv;
}

static void drop(cache_shard_t *shard)
{
    cache_lock_drop(&shard->lock);
}

/* --- the index --- */

/* The place that says where the record at offset is. */
static apr_uint32_t *link_to(cache_shard_t *shard, apr_uint64_t hash, apr_uint32_t offset)
{
    apr_uint32_t *at = bucket_of(shard, hash);

    while (*at != offset + 1) {
        at = &record_at(shard, *at - 1)->next;
    }
    return at;
}

static void forget(cache_shard_t *shard, record_t *record)
{
    apr_uint32_t offset = (apr_uint32_t)((char *)record - arena_of(shard));

    *link_to(shard, record->hash, offset) = record->next;
    record->flags &= (apr_uint16_t)~IS_LIVE;
    count(&shard->entries, -1);
    count(&shard->live_bytes, -(apr_int64_t)record->size);
}

static int is_expired(const record_t *record, apr_time_t now)
{
    return record->expires_at != 0 && record->expires_at <= now;
}

static record_t *find(cache_shard_t *shard, const cache_key_t *key, apr_time_t now)
{
    apr_uint32_t at = *bucket_of(shard, key->hash);

    while (at != 0) {
        record_t *record = record_at(shard, at - 1);

        if (record->hash == key->hash && record->key_len == key->len
            && memcmp(key_of(record), key->text, key->len) == 0) {
            if (is_expired(record, now)) {
                forget(shard, record);
                return NULL;
            }
            return record;
        }
        at = record->next;
    }
    return NULL;
}

/* --- the ring --- */

/* The oldest record goes, or comes to the head once more. Only when the ring is turned over. */
static void make_way(cache_shard_t *shard, apr_time_t now, int *rescues)
{
    record_t *record = record_at(shard, shard->tail);
    apr_uint32_t size = record->size;

    if ((record->flags & IS_LIVE) != 0) {
        if ((record->flags & WAS_READ) != 0 && !is_expired(record, now) && *rescues > 0) {
            *link_to(shard, record->hash, shard->tail) = shard->head + 1;
            record->flags &= (apr_uint16_t)~WAS_READ;
            memmove(record_at(shard, shard->head), record, size);
            shard->head += size;
            --*rescues;
        }
        else {
            if (!is_expired(record, now)) {
                count(&shard->evictions, 1);
            }
            forget(shard, record);
        }
    }
    shard->tail += size;
    if (shard->tail == shard->limit) {
        shard->tail = shard->limit = 0;
    }
}

/* Room at the head for size bytes, which are at most a quarter of the arena. */
static record_t *reserve(cache_shard_t *shard, apr_uint32_t size, apr_time_t now)
{
    int rescues = RESCUES_MAX;
    record_t *record;

    for (;;) {
        if (shard->limit == 0) {
            if (shard->arena_bytes - shard->head >= size) {
                break;
            }
            shard->limit = shard->head;
            shard->head = 0;
        }
        else if (shard->tail - shard->head >= size) {
            break;
        }
        else {
            make_way(shard, now, &rescues);
        }
    }
    record = record_at(shard, shard->head);
    shard->head += size;
    return record;
}

static void write_value(record_t *record, const cache_value_t *value)
{
    record->expires_at = value->expires_at;
    record->flags = (apr_uint16_t)(IS_LIVE | (value->is_counter ? IS_COUNTER : 0));
    memcpy(value_of(record), value->bytes, value->len);
}

static apr_status_t put(cache_shard_t *shard, const cache_key_t *key,
                        const cache_value_t *value, apr_time_t now)
{
    apr_size_t size = record_bytes(key->len, value->len);
    record_t *record;
    apr_uint32_t *bucket;

    if (size > cache_shard_value_max(shard)) {
        count(&shard->refused, 1);
        return HB_E_CACHE_FULL;
    }
    count(&shard->sets, 1);
    record = find(shard, key, now);
    if (record != NULL) {
        if (record->value_len == value->len) {
            write_value(record, value);
            record->flags |= WAS_READ;      /* in use: it keeps its old place in the ring */
            return APR_SUCCESS;
        }
        forget(shard, record);
    }
    record = reserve(shard, (apr_uint32_t)size, now);
    record->size = (apr_uint32_t)size;
    record->hash = key->hash;
    record->value_len = (apr_uint32_t)value->len;
    record->key_len = (apr_uint16_t)key->len;
    write_value(record, value);
    memcpy(value_of(record) + value->len, key->text, key->len);
    bucket = bucket_of(shard, key->hash);
    record->next = *bucket;
    *bucket = (apr_uint32_t)((char *)record - arena_of(shard)) + 1;
    count(&shard->entries, 1);
    count(&shard->live_bytes, (apr_int64_t)size);
    return APR_SUCCESS;
}

/* --- for cache_shm.c --- */

apr_status_t cache_shard_make(cache_shard_t *shard, apr_size_t bytes)
{
    apr_size_t fixed;

    shard->n_buckets = 16;
    while (shard->n_buckets * 2 * BYTES_PER_BUCKET <= bytes) {
        shard->n_buckets *= 2;
    }
    fixed = sizeof(*shard) + shard->n_buckets * sizeof(shard->buckets[0]);
    if (bytes < fixed + 4096 || bytes > APR_INT32_MAX) {
        return APR_ENOMEM;
    }
    shard->arena_bytes = (apr_uint32_t)((bytes - fixed) & ~(apr_size_t)7);
    return cache_lock_make(&shard->lock);
}

apr_size_t cache_shard_value_max(const cache_shard_t *shard)
{
    return shard->arena_bytes / 4;
}

cache_lock_t *cache_shard_lock(cache_shard_t *shard)
{
    return &shard->lock;
}

static apr_uint64_t mark_of(const cache_shard_t *shard, const cache_key_t *key)
{
    return (apr_uint64_t)shard->lock.built << 32 | shard->marks[key->hash % MARKS];
}

apr_status_t cache_shard_get(const char **value, apr_size_t *len, hb_cache_lease_t *lease,
                             cache_shard_t *shard, const cache_key_t *key, apr_time_t now,
                             apr_pool_t *pool)
{
    record_t *record;
    apr_status_t rv = take(shard);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    lease->mark = mark_of(shard, key);
    record = find(shard, key, now);
    if (record == NULL) {
        count(&shard->misses, 1);
        drop(shard);
        return HB_E_CACHE_MISS;
    }
    count(&shard->hits, 1);
    if ((record->flags & WAS_READ) == 0) {
        record->flags |= WAS_READ;
    }
    if ((record->flags & IS_COUNTER) != 0) {
        apr_int64_t n;

        memcpy(&n, value_of(record), sizeof(n));
        *value = apr_psprintf(pool, "%" APR_INT64_T_FMT, n);
        *len = strlen(*value);
    }
    else {
        *len = record->value_len;
        *value = apr_pstrmemdup(pool, value_of(record), *len);
    }
    drop(shard);
    return APR_SUCCESS;
}

apr_status_t cache_shard_set(cache_shard_t *shard, const hb_cache_lease_t *lease,
                             const cache_key_t *key, const cache_value_t *value,
                             apr_time_t now)
{
    apr_status_t rv = take(shard);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (lease != NULL && lease->mark != mark_of(shard, key)) {
        drop(shard);
        return APR_EAGAIN;
    }
    if (lease == NULL) {
        /* A reader that missed earlier must not put its older value over this one. */
        shard->marks[key->hash % MARKS]++;
    }
    rv = put(shard, key, value, now);
    if (rv != APR_SUCCESS) {
        /* What stood there is not the newest any more. */
        record_t *record = find(shard, key, now);

        if (record != NULL) {
            forget(shard, record);
        }
    }
    drop(shard);
    return rv;
}

apr_status_t cache_shard_remove(cache_shard_t *shard, const cache_key_t *key)
{
    record_t *record;
    apr_status_t rv = take(shard);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    shard->marks[key->hash % MARKS]++;
    record = find(shard, key, 0);
    if (record != NULL) {
        forget(shard, record);
    }
    drop(shard);
    return APR_SUCCESS;
}

/* A number that was set as text goes on as a counter. */
static int number_of(apr_int64_t *n, const record_t *record)
{
    char text[24];
    char *end;

    if ((record->flags & IS_COUNTER) != 0) {
        memcpy(n, value_of(record), sizeof(*n));
        return 1;
    }
    if (record->value_len == 0 || record->value_len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, value_of(record), record->value_len);
    text[record->value_len] = '\0';
    *n = apr_strtoi64(text, &end, 10);
    return end == text + record->value_len;
}

apr_status_t cache_shard_add(apr_int64_t *n, cache_shard_t *shard, const cache_key_t *key,
                             apr_int64_t delta, apr_time_t expires_at, apr_time_t now)
{
    cache_value_t value = { (const char *)n, sizeof(*n), expires_at, 1 };
    record_t *record;
    apr_status_t rv = take(shard);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *n = 0;
    record = find(shard, key, now);
    if (record != NULL) {
        value.expires_at = record->expires_at;
        if (!number_of(n, record)) {
            drop(shard);
            return APR_EINVAL;
        }
    }
    if (__builtin_add_overflow(*n, delta, n)) {
        drop(shard);
        return APR_EINVAL;
    }
    rv = put(shard, key, &value, now);
    drop(shard);
    return rv;
}

static void flush_range(cache_shard_t *shard, const char *prefix, apr_uint32_t from,
                        apr_uint32_t to)
{
    apr_size_t len = strlen(prefix);

    while (from < to) {
        record_t *record = record_at(shard, from);

        if ((record->flags & IS_LIVE) != 0 && record->key_len >= len
            && memcmp(key_of(record), prefix, len) == 0) {
            forget(shard, record);
        }
        from += record->size;
    }
}

apr_status_t cache_shard_flush(cache_shard_t *shard, const char *prefix)
{
    apr_status_t rv = take(shard);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (shard->limit != 0) {
        flush_range(shard, prefix, shard->tail, shard->limit);
        flush_range(shard, prefix, 0, shard->head);
    }
    else {
        flush_range(shard, prefix, shard->tail, shard->head);
    }
    for (i = 0; i < MARKS; i++) {
        shard->marks[i]++;
    }
    drop(shard);
    return APR_SUCCESS;
}

apr_status_t cache_shard_ping(cache_shard_t *shard)
{
    apr_status_t rv = take(shard);

    if (rv == APR_SUCCESS) {
        drop(shard);
    }
    return rv;
}

void cache_shard_void(cache_shard_t *shard)
{
    cache_lock_void(&shard->lock);
}

/* Without the lock: a scrape must not wait, and a count that is one off is a count. */
void cache_shard_stats(hb_cache_stats_t *stats, const cache_shard_t *shard)
{
    stats->hits += __atomic_load_n(&shard->hits, __ATOMIC_RELAXED);
    stats->misses += __atomic_load_n(&shard->misses, __ATOMIC_RELAXED);
    stats->sets += __atomic_load_n(&shard->sets, __ATOMIC_RELAXED);
    stats->evictions += __atomic_load_n(&shard->evictions, __ATOMIC_RELAXED);
    stats->refused += __atomic_load_n(&shard->refused, __ATOMIC_RELAXED);
    stats->entries += __atomic_load_n(&shard->entries, __ATOMIC_RELAXED);
    stats->bytes_used += __atomic_load_n(&shard->live_bytes, __ATOMIC_RELAXED);
    stats->bytes_total += shard->arena_bytes;
}
