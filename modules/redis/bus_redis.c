/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus of several hosts: one stream of Redis, which every sidecar reads from its own
 * position. An entry's id is EPOCH-NUMBER: the epoch is when the stream began (ms), the
 * number counts from 1. So one key holds all of it: a stream that was flushed begins again
 * with a later epoch, and readers see that it is another log.
 *
 * A script works out the next id from the last one. Who could not append an event leaves
 * out a number at his next one, so that readers learn of it. A reader that finds the stream
 * shorter than it has read (a replica took over that had not got all of it) says that
 * events are missing, too. A reader fetches entries in batches; the sidecar's has a thread
 * besides that blocks on the stream and wakes it.
 */
#include "hb_redis.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_clock.h"

#define KEY "bus"
#define BATCH "256"
#define EVENT_BYTES 256         /* HaloBuzzBusSize in entries */
#define EVENT_MAX_BYTES (1024 * 1024)
#define WATCH_MSEC 1000
#define RETRY_USEC 1000000

/* The id of the newest entry. A stream that is not there is begun: empty, with the epoch in
 * the id that its next entry follows. */
#define LAST \
    "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1') " \
    "last = last[1] and last[1][1] " \
    "if not last then if redis.call('EXISTS', KEYS[1]) == 0 then " \
    "redis.call('XGROUP', 'CREATE', KEYS[1], 'none', '$', 'MKSTREAM') " \
    "redis.call('XGROUP', 'DESTROY', KEYS[1], 'none') " \
    "redis.call('XSETID', KEYS[1], ARGV[1] .. '-0') end " \
    "local info = redis.call('XINFO', 'STREAM', KEYS[1]) " \
    "for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end end "

/* ARGV: now (ms). Gives the id. */
static redis_script_t last_script = {
    LAST "return last"
};

/* ARGV: now (ms), about how many to keep, name, at, id, only user, payload, step. Gives the
 * entry's id. */
static redis_script_t append_script = {
    LAST "local e, s = string.match(last, '^(%d+)-(%d+)$') "
    "return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], "
    "e .. '-' .. string.format('%.0f', tonumber(s) + tonumber(ARGV[8])), 'n', ARGV[3], 'a', ARGV[4], "
    "'i', ARGV[5], 'o', ARGV[6], 'p', ARGV[7])"
};

typedef struct bus_redis_t {
    redis_t *redis;
    hb_site_t *site;
    apr_uint64_t dropped;       /* by this process; atomic */
    int has_lost;               /* since its last event; atomic */
} bus_redis_t;

typedef struct redis_reader_t {
    bus_redis_t *bus;
    hb_bus_from_e from;
    redisReply *batch;          /* of XRANGE; NULL when all of it was read */
    size_t next;                /* entry of the batch */
    apr_uint64_t epoch, seq;    /* of the last entry read; 0: none yet */
    int is_told;                /* of the gap before the next entry */
    char epoch_text[17];
    apr_int64_t failed_at;
    unsigned int failures;      /* of Redis when the stream was last known to hold what was read */
    /* the sidecar's */
    int fd;
    pthread_t watcher;
    int is_watching;
    int is_over;                /* atomic */
} redis_reader_t;

static apr_status_t bus_open(void **out, hb_site_t *site, const char *url, apr_pool_t *pool)
{
    bus_redis_t *self = apr_pcalloc(pool, sizeof(*self));

    redis_script_prepare(&append_script);
    redis_script_prepare(&last_script);
    self->site = site;
    *out = self;
    return redis_open(&self->redis, site, url, "bus", pool);
}

/* --- ids --- */

static int read_id(apr_uint64_t *epoch, apr_uint64_t *seq, const redisReply *id)
{
    char *behind;

    if (id->type != REDIS_REPLY_STRING) {
        return 0;
    }
    *epoch = strtoull(id->str, &behind, 10);
    if (*behind != '-') {
        return 0;
    }
    *seq = strtoull(behind + 1, NULL, 10);
    return 1;
}

/* --- appending --- */

static apr_status_t append_record(bus_redis_t *self, apr_uint64_t *seq,
                                  const hb_bus_record_t *record)
{
    char now[24], keep[24], at[24];
    apr_size_t most = self->site->settings->bus_size / 8;
    const char *args[] = { now, keep, record->name, at, record->id, record->only_user,
                           record->payload, "1" };
    size_t lens[8];
    int has_lost;
    apr_uint64_t epoch;
    redisReply *reply;
    apr_status_t rv;

    if (record->payload_bytes > (most < EVENT_MAX_BYTES ? most : EVENT_MAX_BYTES)) {
        return HB_E_BUS_SIZE;
    }
    apr_snprintf(now, sizeof(now), "%" APR_INT64_T_FMT, (apr_int64_t)(apr_time_now() / 1000));
    apr_snprintf(keep, sizeof(keep), "%" APR_INT64_T_FMT,
                 (apr_int64_t)self->site->settings->bus_size / EVENT_BYTES);
    apr_snprintf(at, sizeof(at), "%" APR_INT64_T_FMT, (apr_int64_t)record->at);
    lens[0] = strlen(now);
    lens[1] = strlen(keep);
    lens[2] = strlen(record->name);
    lens[3] = strlen(at);
    lens[4] = strlen(record->id);
    lens[5] = strlen(record->only_user);
    lens[6] = record->payload_bytes;
    lens[7] = 1;
    has_lost = __atomic_exchange_n(&self->has_lost, 0, __ATOMIC_ACQ_REL);
    if (has_lost) {
        args[7] = "2";
    }
    rv = redis_script(&reply, self->redis, &append_script, KEY, strlen(KEY), 8, args, lens);
    if (rv != APR_SUCCESS) {
        __atomic_store_n(&self->has_lost, 1, __ATOMIC_RELEASE);
        return HB_E_UNAVAILABLE;
    }
    if (!read_id(&epoch, seq, reply)) {
        __atomic_store_n(&self->has_lost, 1, __ATOMIC_RELEASE);
        rv = HB_E_UNAVAILABLE;
    }
    freeReplyObject(reply);
    return rv;
}

static apr_status_t bus_append(void *baton, apr_uint64_t *seq, const hb_bus_record_t *record)
{
    bus_redis_t *self = baton;
    apr_status_t rv = append_record(self, seq, record);

    if (rv != APR_SUCCESS) {
        __atomic_add_fetch(&self->dropped, 1, __ATOMIC_RELAXED);
    }
    return rv;
}

/* --- looking at the stream --- */

/* Entries from an id on ("(" before it: behind it). */
static apr_status_t range(redisReply **reply, bus_redis_t *self, const char *from,
                          const char *how_many)
{
    char key[256];
    const char *words[] = { "XRANGE", key, from, "+", "COUNT", how_many };
    size_t lens[6];
    apr_status_t rv;
    int i;

    apr_snprintf(key, sizeof(key), "%s" KEY, redis_prefix(self->redis));
    for (i = 0; i < 6; i++) {
        lens[i] = strlen(words[i]);
    }
    rv = redis_command(reply, self->redis, 6, words, lens);
    if (rv == APR_SUCCESS && (*reply)->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(*reply);
        *reply = NULL;
        rv = APR_TIMEUP;
    }
    return rv == APR_SUCCESS ? rv : HB_E_UNAVAILABLE;
}

/* Epoch, and the numbers of the newest entry (0 for none yet) and of the oldest (newest + 1 then). */
static apr_status_t span(apr_uint64_t *epoch, apr_uint64_t *oldest, apr_uint64_t *newest,
                         bus_redis_t *self)
{
    apr_uint64_t unused;
    redisReply *reply;
    const char *args[1];
    apr_status_t rv;
    char now[24];

    *epoch = *oldest = *newest = 0;
    apr_snprintf(now, sizeof(now), "%" APR_INT64_T_FMT, (apr_int64_t)(apr_time_now() / 1000));
    args[0] = now;
    rv = redis_script(&reply, self->redis, &last_script, KEY, strlen(KEY), 1, args, NULL);
    if (rv == APR_SUCCESS) {
        rv = read_id(epoch, newest, reply) ? APR_SUCCESS : HB_E_UNAVAILABLE;
        freeReplyObject(reply);
    }
    if (rv == APR_SUCCESS) {
        rv = range(&reply, self, "-", "1");
    }
    if (rv != APR_SUCCESS) {
        return HB_E_UNAVAILABLE;
    }
    *oldest = *newest + 1;
    if (reply->elements > 0 && reply->element[0]->elements == 2) {
        read_id(&unused, oldest, reply->element[0]->element[0]);
    }
    freeReplyObject(reply);
    return APR_SUCCESS;
}

static apr_status_t bus_stats(void *baton, hb_bus_stats_t *stats)
{
    bus_redis_t *self = baton;
    apr_uint64_t epoch;
    apr_status_t rv = span(&epoch, &stats->oldest, &stats->newest, self);

    if (rv == APR_SUCCESS) {
        apr_snprintf(stats->epoch, sizeof(stats->epoch), "%016" APR_UINT64_T_HEX_FMT, epoch);
    }
    stats->dropped = __atomic_load_n(&self->dropped, __ATOMIC_RELAXED);
    stats->bytes_total = (apr_uint64_t)self->site->settings->bus_size;
    stats->bytes_used = (stats->newest - stats->oldest + 1) * EVENT_BYTES;
    return rv;
}

/* --- waking --- */

static void wake(const redis_reader_t *reader)
{
    const eventfd_t one = 1;

    (void)!write(reader->fd, &one, sizeof(one));
}

/* A server with a limit of memory may be told to drop what was used longest ago, whatever
 * it is: then the stream can be gone although nobody flushed it. 0: it did not say. */
static int tell_policy(const redis_reader_t *reader, redisContext *context)
{
    redisReply *reply = redisCommand(context, "INFO memory");
    int has_said = reply != NULL && reply->type == REDIS_REPLY_STRING;
    const char *most = has_said ? strstr(reply->str, "\nmaxmemory:") : NULL;
    const char *policy = has_said ? strstr(reply->str, "\nmaxmemory_policy:allkeys") : NULL;

    if (most != NULL && policy != NULL && strtoull(most + strlen("\nmaxmemory:"), NULL, 10) > 0) {
        policy += strlen("\nmaxmemory_policy:");
        hb_log_to(&reader->bus->site->log, HB_LOG_WARNING, 0, HBLOGNO(09503) "Redis at %s drops any key "
                  "when its memory is full (maxmemory-policy %.*s), events that live clients have yet "
                  "to hear too: let it drop what has an end only, maxmemory-policy volatile-lru",
                  redis_where(reader->bus->redis), (int)strcspn(policy, "\r\n"), policy);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return has_said;
}

/* Block on the stream until something new is there. */
static void *watch(void *baton)
{
    redis_reader_t *reader = baton;
    redis_t *redis = reader->bus->redis;
    redisContext *context = NULL;
    char key[256], why[160];
    int has_told = 0;

    apr_snprintf(key, sizeof(key), "%s" KEY, redis_prefix(redis));
    while (!__atomic_load_n(&reader->is_over, __ATOMIC_ACQUIRE)) {
        redisReply *reply;

        if (context == NULL) {
            context = redis_connect(redis, 3 * WATCH_MSEC, why, sizeof(why));
            if (context == NULL) {
                usleep(RETRY_USEC / 4);
                continue;
            }
            wake(reader);       /* for what came before it listened */
            has_told = has_told || tell_policy(reader, context);
        }
        reply = redisCommand(context, "XREAD BLOCK %d COUNT 1 STREAMS %s $", WATCH_MSEC, key);
        if (reply == NULL) {
            redisFree(context);
            context = NULL;
            continue;
        }
        if (reply->type == REDIS_REPLY_ARRAY) {
            wake(reader);
        }
        else if (reply->type == REDIS_REPLY_ERROR) {
            usleep(RETRY_USEC / 4);
        }
        freeReplyObject(reply);
    }
    if (context != NULL) {
        redisFree(context);
    }
    return NULL;
}

/* --- reading --- */

static apr_status_t reader_close(void *baton)
{
    redis_reader_t *reader = baton;

    if (reader->is_watching) {
        __atomic_store_n(&reader->is_over, 1, __ATOMIC_RELEASE);
        pthread_join(reader->watcher, NULL);
    }
    if (reader->fd >= 0) {
        close(reader->fd);
    }
    if (reader->batch != NULL) {
        freeReplyObject(reader->batch);
    }
    return APR_SUCCESS;
}

static void take_epoch(redis_reader_t *reader, apr_uint64_t epoch)
{
    reader->epoch = epoch;
    apr_snprintf(reader->epoch_text, sizeof(reader->epoch_text), "%016" APR_UINT64_T_HEX_FMT,
                 epoch);
}

/* Where it begins, as soon as that can be asked. */
static apr_status_t begin(redis_reader_t *reader)
{
    /* Before it is looked at: an outage behind that is one to look again after. */
    unsigned int failures = redis_failures(reader->bus->redis);
    apr_uint64_t epoch, oldest, newest;
    apr_status_t rv = span(&epoch, &oldest, &newest, reader->bus);

    if (rv == APR_SUCCESS) {
        take_epoch(reader, epoch);
        reader->seq = reader->from == HB_BUS_OLDEST ? oldest - 1 : newest;
        reader->failures = failures;
    }
    return rv;
}

static apr_status_t reader_open(void **out, void *self, hb_bus_from_e from, int is_main,
                                apr_pool_t *pool)
{
    redis_reader_t *reader = apr_pcalloc(pool, sizeof(*reader));

    reader->bus = self;
    reader->from = from;
    reader->fd = -1;
    *out = reader;
    if (begin(reader) != APR_SUCCESS) {
        reader->failed_at = hb_clock();
    }
    if (is_main) {
        reader->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        reader->is_watching = reader->fd >= 0
            && pthread_create(&reader->watcher, NULL, watch, reader) == 0;
    }
    apr_pool_pre_cleanup_register(pool, reader, reader_close);
    return APR_SUCCESS;
}

/* After an outage: is it still the stream that was read? HB_E_BUS_GAP when it is not. */
static apr_status_t look_again(redis_reader_t *reader)
{
    unsigned int failures = redis_failures(reader->bus->redis);
    apr_uint64_t epoch, oldest, newest;
    apr_status_t rv;

    if (failures == reader->failures) {
        return APR_SUCCESS;
    }
    rv = span(&epoch, &oldest, &newest, reader->bus);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->failures = failures;
    if (epoch == reader->epoch && newest >= reader->seq) {
        return APR_SUCCESS;
    }
    take_epoch(reader, epoch);
    reader->seq = oldest - 1;
    return HB_E_BUS_GAP;
}

/* The next batch; APR_EAGAIN when there is nothing new. */
static apr_status_t fetch(redis_reader_t *reader)
{
    char from[64];
    apr_uint64_t drained;
    apr_status_t rv;

    if (reader->fd >= 0) {
        (void)!read(reader->fd, &drained, sizeof(drained));
    }
    if (reader->epoch == 0) {
        if (hb_clock() - reader->failed_at < RETRY_USEC) {
            return HB_E_UNAVAILABLE;
        }
        rv = begin(reader);
        if (rv != APR_SUCCESS) {
            reader->failed_at = hb_clock();
            return rv;
        }
    }
    rv = look_again(reader);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    apr_snprintf(from, sizeof(from), "(%" APR_UINT64_T_FMT "-%" APR_UINT64_T_FMT, reader->epoch,
                 reader->seq);
    rv = range(&reader->batch, reader->bus, from, BATCH);
    if (rv != APR_SUCCESS) {
        reader->batch = NULL;
        return rv;
    }
    reader->next = 0;
    if (reader->batch->elements == 0) {
        freeReplyObject(reader->batch);
        reader->batch = NULL;
        return APR_EAGAIN;
    }
    return APR_SUCCESS;
}

static const redisReply *field(const redisReply *fields, const char *name)
{
    size_t i;

    for (i = 0; i + 1 < fields->elements; i += 2) {
        if (strcmp(fields->element[i]->str, name) == 0) {
            return fields->element[i + 1];
        }
    }
    return NULL;
}

static apr_status_t reader_read(void *baton, hb_bus_record_t *record)
{
    redis_reader_t *reader = baton;
    const redisReply *entry, *n, *a, *i, *o, *p;
    apr_uint64_t epoch, seq;
    apr_status_t rv;

    do {
        if (reader->batch != NULL && reader->next == reader->batch->elements) {
            freeReplyObject(reader->batch);
            reader->batch = NULL;
        }
        if (reader->batch == NULL && (rv = fetch(reader)) != APR_SUCCESS) {
            return rv;
        }
        entry = reader->batch->element[reader->next];
        if (entry->elements != 2 || !read_id(&epoch, &seq, entry->element[0])) {
            return HB_E_UNAVAILABLE;
        }
        if (!reader->is_told && (epoch != reader->epoch || seq != reader->seq + 1)) {
            reader->is_told = 1;
            take_epoch(reader, epoch);
            return HB_E_BUS_GAP;
        }
        reader->is_told = 0;
        reader->seq = seq;
        reader->next++;
        n = field(entry->element[1], "n");
        a = field(entry->element[1], "a");
        i = field(entry->element[1], "i");
        o = field(entry->element[1], "o");
        p = field(entry->element[1], "p");
    } while (n == NULL || a == NULL || i == NULL || o == NULL || p == NULL);
    record->name = n->str;
    record->seq = seq;
    record->at = apr_atoi64(a->str);
    record->id = i->str;
    record->only_user = o->str;
    record->payload = p->str;
    record->payload_bytes = (apr_size_t)p->len;
    return APR_SUCCESS;
}

static int reader_fd(void *baton)
{
    const redis_reader_t *reader = baton;

    return reader->is_watching ? reader->fd : -1;
}

static const char *reader_epoch(void *baton)
{
    return ((redis_reader_t *)baton)->epoch_text;
}

static void reader_span(void *baton, apr_uint64_t *oldest, apr_uint64_t *newest)
{
    const redis_reader_t *reader = baton;
    apr_uint64_t epoch;

    if (span(&epoch, oldest, newest, reader->bus) != APR_SUCCESS) {
        *newest = 0;
        *oldest = 1;
    }
}

__attribute__((visibility("default")))
const hb_bus_driver_t hb_redis_bus = {
    .scheme = "redis",
    .accepts = "redis://HOST",
    .open = bus_open,
    .append = bus_append,
    .stats = bus_stats,
    .reader_open = reader_open,
    .read = reader_read,
    .reader_fd = reader_fd,
    .reader_epoch = reader_epoch,
    .reader_span = reader_span,
};
