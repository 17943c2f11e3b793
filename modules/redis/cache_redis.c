/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache on Redis, shared by all hosts. A value is a hash: v the bytes, x when its life
 * ends by the op's clock (ms, 0 for never; Redis counts it too, by its own), g a mark that
 * is new at each change. A removed key keeps its mark for GRAVE_MSEC, longer than any
 * reader takes from a miss to filling it, so that hb_cache_fill() sees that somebody was
 * there. For a key without one the mark of its namespace stands ("mark:<namespace>"), which
 * is new at each flush.
 *
 * A ranking is a sorted set of negated scores: then equal scores stand by member, as
 * hb_cache.h wants them. Scores are exact up to 2^53; beyond it they are refused.
 */
#include "hb_redis.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "cache_redis_mend.h"
#include "hb_ahead.h"
#include "hb_cache.h"
#include "limit_redis.h"
#include "redis_together.h"

#define GRAVE_MSEC "600000"
#define BOARD_MOST "100000"     /* members of a ranking */
#define NAME_MAX_BYTES 63
#define SCORE_MAX APR_INT64_C(9007199254740992)
#define VALUE_MAX_BYTES (512 * 1024)
#define FLUSH_AT_ONCE "1000"

typedef struct cache_redis_t {
    redis_t *redis;
    together_t *together;
    mend_t *mend;
    apr_uint64_t hits, misses, sets, refused;   /* of this process; atomic */
} cache_redis_t;

/* ARGV: value, end of life (ms), life (ms, 0 for never), mark, wanted mark or "", key of the
 * namespace's mark */
static redis_script_t set_script = {
    "if ARGV[5] ~= '' and (redis.call('HGET', KEYS[1], 'g') or redis.call('GET', ARGV[6]) or '0') "
    "~= ARGV[5] then return 0 end "
    "redis.call('HSET', KEYS[1], 'v', ARGV[1], 'x', ARGV[2]) "
    "if ARGV[5] == '' then redis.call('HSET', KEYS[1], 'g', ARGV[4]) end "
    "if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1]) "
    "else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end return 1"
};

/* ARGV: mark, how long it stays */
static redis_script_t remove_script = {
    "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'g', ARGV[1]) "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1"
};

/* The same of a flush; a ranking goes as a whole. */
static redis_script_t flush_script = {
    "local t = redis.call('TYPE', KEYS[1]).ok redis.call('UNLINK', KEYS[1]) "
    "if t == 'hash' then redis.call('HSET', KEYS[1], 'g', ARGV[1]) "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 1"
};

/* ARGV: delta, now, end of life, life, mark */
static redis_script_t add_script = {
    "local x = redis.call('HGET', KEYS[1], 'x') "
    "local new = redis.call('HEXISTS', KEYS[1], 'v') == 0 "
    "or (x and x ~= '0' and tonumber(x) <= tonumber(ARGV[2])) "
    "if new then redis.call('HSET', KEYS[1], 'v', '0', 'x', ARGV[3]) end "
    "local n = redis.pcall('HINCRBY', KEYS[1], 'v', ARGV[1]) "
    "if type(n) == 'table' then return n end "
    "redis.call('HSET', KEYS[1], 'g', ARGV[5]) "
    "if new then if ARGV[4] == '0' then redis.call('PERSIST', KEYS[1]) "
    "else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end end "
    "return redis.call('HGET', KEYS[1], 'v')"
};

/* ARGV: member, negated score or delta, "1" for a delta, most members. Gives the negated score. */
static redis_script_t rank_script = {
    "local s if ARGV[3] == '1' then "
    "local old = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0') "
    "s = old + tonumber(ARGV[2]) "
    "if s > 9007199254740992 or s < -9007199254740992 then return redis.error_reply('RANGE') end "
    "s = string.format('%.0f', s) else s = ARGV[2] end "
    "redis.call('ZADD', KEYS[1], s, ARGV[1]) "
    "if redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[4]) then "
    "redis.call('ZREMRANGEBYRANK', KEYS[1], ARGV[4], -1) end return s"
};

static redis_script_t *const scripts[] = {
    &set_script, &remove_script, &flush_script, &add_script, &rank_script
};

static mend_remove_fn remove_now;
static mend_flush_fn flush;

static void count(apr_uint64_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static apr_status_t open_cache(void **out, hb_site_t *site, const char *url, void *memory,
                               apr_size_t bytes, apr_pool_t *pool)
{
    cache_redis_t *self = apr_pcalloc(pool, sizeof(*self));
    apr_status_t rv;
    unsigned int i;

    (void)memory;
    (void)bytes;
    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        redis_script_prepare(scripts[i]);
    }
    self->mend = mend_make(site, remove_now, flush, self, pool);
    if (self->mend == NULL) {
        return APR_ENOMEM;
    }
    *out = self;
    rv = redis_open(&self->redis, site, url, "cache", pool);
    if (rv == APR_SUCCESS) {
        self->together = together_make(self->redis, pool);
    }
    return rv;
}

/* --- values --- */

static const char *number(hb_op_t *op, apr_int64_t n)
{
    return apr_psprintf(op->pool, "%" APR_INT64_T_FMT, n);
}

/* A mark that nobody had: 62 bits by the site's randomness; never 0, which means none. */
static const char *mark_make(hb_op_t *op)
{
    hb_site_t *site = op->site;
    apr_uint64_t mark = 0;

    if (site->random(site->baton, (unsigned char *)&mark, sizeof(mark)) != APR_SUCCESS) {
        mark = (apr_uint64_t)apr_time_now();
    }
    return apr_psprintf(op->pool, "%" APR_UINT64_T_FMT, (mark >> 2) | 1);
}

/* When a life ends by the op's clock, in ms rounded up; 0 for never. */
static apr_int64_t end_of(const hb_op_t *op, apr_interval_time_t ttl_usec)
{
    return ttl_usec > 0 ? (op->now + ttl_usec + 999) / 1000 : 0;
}

/* The key that has the mark of a key's namespace, prefix included. */
static const char *mark_key(const cache_redis_t *self, hb_op_t *op, const char *key)
{
    return apr_psprintf(op->pool, "%smark:%.*s", redis_prefix(self->redis),
                        (int)strcspn(key, ":"), key);
}

static apr_uint64_t mark_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

/* After a miss of a key that has no mark of its own. */
static apr_status_t mark_of_namespace(apr_uint64_t *mark, cache_redis_t *self, hb_op_t *op,
                                      const char *key)
{
    const char *words[] = { "GET", mark_key(self, op, key) };
    const size_t lens[] = { 3, strlen(words[1]) };
    redisReply *reply;
    apr_status_t rv = redis_command(&reply, self->redis, 2, words, lens);

    if (rv == APR_SUCCESS) {
        *mark = mark_of(reply);
        freeReplyObject(reply);
    }
    return rv;
}

/* Words of the question for one value, in op->pool. */
static redis_words_t get_words(const cache_redis_t *self, hb_op_t *op, const char *key)
{
    static const char *const shape[] = { "HMGET", NULL, "v", "x", "g" };
    static const size_t sizes[] = { 5, 0, 1, 1, 1 };
    const char **words = apr_pmemdup(op->pool, shape, sizeof(shape));
    size_t *lens = apr_pmemdup(op->pool, sizes, sizeof(sizes));
    redis_words_t made = { 5, words, lens };

    words[1] = apr_pstrcat(op->pool, redis_prefix(self->redis), key, NULL);
    lens[1] = strlen(words[1]);
    return made;
}

/* What the answer to it says. HB_E_CACHE_MISS with the lease; the namespace's mark is asked for when
 * the key has none. */
static apr_status_t get_read(cache_redis_t *self, const char **value, apr_size_t *len,
                             hb_cache_lease_t *lease, hb_op_t *op, const char *key,
                             const redisReply *reply)
{
    apr_status_t rv = HB_E_CACHE_MISS;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        const redisReply *v = reply->element[0], *x = reply->element[1];
        apr_int64_t end = x->type == REDIS_REPLY_STRING ? apr_atoi64(x->str) : 0;

        lease->mark = mark_of(reply->element[2]);
        if (v->type == REDIS_REPLY_STRING && (end == 0 || op->now < end * 1000)) {
            *value = apr_pstrmemdup(op->pool, v->str, (apr_size_t)v->len);
            *len = (apr_size_t)v->len;
            rv = APR_SUCCESS;
        }
    }
    count(rv == APR_SUCCESS ? &self->hits : &self->misses);
    if (rv == HB_E_CACHE_MISS && lease->mark == 0) {
        apr_status_t asked = mark_of_namespace(&lease->mark, self, op, key);

        rv = asked == APR_SUCCESS ? rv : asked;
    }
    return rv;
}

static apr_status_t get(void *baton, const char **value, apr_size_t *len,
                        hb_cache_lease_t *lease, hb_op_t *op, const char *key)
{
    cache_redis_t *self = baton;
    redis_words_t words = get_words(self, op, key);
    apr_status_t rv;
    redisReply *reply;

    if (mend_is_due(self->mend)) {
        return APR_TIMEUP;      /* what it holds may be older than what this process wrote */
    }
    rv = redis_commands(&reply, self->redis, 1, &words);
    if (rv == APR_SUCCESS) {
        rv = get_read(self, value, len, lease, op, key, reply);
        freeReplyObject(reply);
    }
    return rv;
}

static apr_status_t ask(void *baton, hb_op_t *op, hb_ahead_t *ahead)
{
    cache_redis_t *self = baton;
    redis_words_t words[HB_AHEAD_VALUES + 1];
    redisReply *replies[HB_AHEAD_VALUES + 1];
    hb_ahead_turn_t *turn = &ahead->turn;
    int i, n = ahead->n_values, has_turn;
    apr_status_t rv;

    if (mend_is_due(self->mend)) {
        return APR_TIMEUP;
    }
    for (i = 0; i < n; i++) {
        words[i] = get_words(self, op, ahead->values[i].key);
    }
    has_turn = turn->rule != NULL && limit_turn_words(&words[n], self->redis, op, turn);
    rv = together_commands(replies, self->together, n + has_turn, words);
    if (rv != APR_SUCCESS) {
        if (has_turn) {
            limit_turn_lost(turn, self->redis);
        }
        return rv;
    }
    for (i = 0; i < n; i++) {
        hb_ahead_value_t *value = &ahead->values[i];

        value->status = get_read(self, &value->value, &value->len, &value->lease, op, value->key,
                                 replies[i]);
        value->is_answered = 1;
        freeReplyObject(replies[i]);
    }
    if (has_turn) {
        limit_turn_read(turn, replies[n]);
        freeReplyObject(replies[n]);
    }
    return APR_SUCCESS;
}

static apr_status_t set(void *baton, hb_op_t *op, const hb_cache_lease_t *lease,
                        const char *key, const char *value, apr_size_t len,
                        apr_interval_time_t ttl_usec)
{
    cache_redis_t *self = baton;
    const char *args[] = {
        value, number(op, end_of(op, ttl_usec)),
        number(op, ttl_usec > 0 ? (ttl_usec + 999) / 1000 : 0), mark_make(op),
        lease != NULL ? apr_psprintf(op->pool, "%" APR_UINT64_T_FMT, lease->mark) : "",
        mark_key(self, op, key)
    };
    const size_t lens[] = { len, strlen(args[1]), strlen(args[2]), strlen(args[3]),
                            strlen(args[4]), strlen(args[5]) };
    redisReply *reply;
    apr_status_t rv;

    if (len > VALUE_MAX_BYTES) {
        count(&self->refused);
        return HB_E_CACHE_FULL;
    }
    rv = redis_script(&reply, self->redis, &set_script, key, strlen(key), 6, args, lens);
    if (rv != APR_SUCCESS) {
        if (lease == NULL) {
            mend_note(self->mend, key);     /* the value before it must not come back */
        }
        return rv;
    }
    if (reply->type != REDIS_REPLY_INTEGER) {
        rv = APR_TIMEUP;
    }
    else if (reply->integer == 0) {
        rv = APR_EAGAIN;
    }
    freeReplyObject(reply);
    count(rv == APR_SUCCESS ? &self->sets : &self->refused);
    return rv;
}

static apr_status_t remove_now(void *baton, hb_op_t *op, const char *key)
{
    cache_redis_t *self = baton;
    const char *args[] = { mark_make(op), GRAVE_MSEC };
    redisReply *reply;
    apr_status_t rv = redis_script(&reply, self->redis, &remove_script, key, strlen(key), 2,
                                   args, NULL);

    if (rv == APR_SUCCESS) {
        rv = reply->type == REDIS_REPLY_INTEGER ? APR_SUCCESS : APR_TIMEUP;
        freeReplyObject(reply);
    }
    return rv;
}

static apr_status_t remove_key(void *baton, hb_op_t *op, const char *key)
{
    cache_redis_t *self = baton;
    apr_status_t rv = remove_now(self, op, key);

    if (rv != APR_SUCCESS) {
        mend_note(self->mend, key);
    }
    return rv;
}

static apr_status_t add(void *baton, apr_int64_t *n, hb_op_t *op, const char *key,
                        apr_int64_t delta, apr_interval_time_t ttl_usec)
{
    cache_redis_t *self = baton;
    const char *args[] = { number(op, delta), number(op, op->now / 1000),
                           number(op, end_of(op, ttl_usec)),
                           number(op, ttl_usec > 0 ? (ttl_usec + 999) / 1000 : 0),
                           mark_make(op) };
    redisReply *reply;
    apr_status_t rv = redis_script(&reply, self->redis, &add_script, key, strlen(key), 5, args,
                                   NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type == REDIS_REPLY_STRING) {
        *n = apr_atoi64(reply->str);
    }
    else {
        rv = APR_EINVAL;        /* no number, or beyond 64 bits */
    }
    freeReplyObject(reply);
    return rv;
}

/* --- rankings --- */

static int is_name(const char *name)
{
    apr_size_t n = strlen(name);

    return n > 0 && n <= NAME_MAX_BYTES;
}

static apr_status_t rank_change(void *baton, apr_int64_t *score, hb_op_t *op,
                                const char *board, const char *member, apr_int64_t value,
                                int is_delta)
{
    cache_redis_t *self = baton;
    const char *args[] = { member, NULL, is_delta ? "1" : "0", BOARD_MOST };
    redisReply *reply;
    apr_status_t rv;

    if (!is_name(board) || !is_name(member) || value > SCORE_MAX || value < -SCORE_MAX) {
        return APR_EINVAL;
    }
    args[1] = number(op, -value);
    rv = redis_script(&reply, self->redis, &rank_script, board, strlen(board), 4, args, NULL);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type == REDIS_REPLY_STRING) {
        *score = -apr_atoi64(reply->str);
    }
    else {
        rv = APR_EINVAL;
    }
    freeReplyObject(reply);
    return rv;
}

static apr_status_t rank_remove(void *baton, hb_op_t *op, const char *board,
                                const char *member)
{
    cache_redis_t *self = baton;
    const char *words[] = { member != NULL ? "ZREM" : "UNLINK",
                            apr_pstrcat(op->pool, redis_prefix(self->redis), board, NULL), member };
    const size_t lens[] = { strlen(words[0]), strlen(words[1]),
                            member != NULL ? strlen(member) : 0 };
    redisReply *reply;
    apr_status_t rv;

    if (!is_name(board) || (member != NULL && !is_name(member))) {
        return APR_EINVAL;
    }
    rv = redis_command(&reply, self->redis, member != NULL ? 3 : 2, words, lens);
    if (rv == APR_SUCCESS) {
        freeReplyObject(reply);
    }
    return rv;
}

static apr_status_t rank_top(void *baton, const hb_rank_t **entries, int *n, hb_op_t *op,
                             const char *board, int offset, int limit)
{
    cache_redis_t *self = baton;
    const char *words[] = { "ZRANGE",
                            apr_pstrcat(op->pool, redis_prefix(self->redis), board, NULL),
                            number(op, offset), number(op, (apr_int64_t)offset + limit - 1),
                            "WITHSCORES" };
    const size_t lens[] = { 6, strlen(words[1]), strlen(words[2]), strlen(words[3]), 10 };
    redisReply *reply;
    hb_rank_t *made;
    apr_status_t rv;
    size_t i;

    if (!is_name(board)) {
        return APR_EINVAL;
    }
    rv = redis_command(&reply, self->redis, 5, words, lens);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (reply->type == REDIS_REPLY_ARRAY) {
        made = apr_palloc(op->pool, (reply->elements / 2 + 1) * sizeof(*made));
        for (i = 0; i + 1 < reply->elements; i += 2) {
            made[i / 2].member = apr_pstrmemdup(op->pool, reply->element[i]->str,
                                                (apr_size_t)reply->element[i]->len);
            made[i / 2].score = (apr_int64_t)-strtod(reply->element[i + 1]->str, NULL);
        }
        *entries = made;
        *n = (int)(reply->elements / 2);
    }
    freeReplyObject(reply);
    return APR_SUCCESS;
}

/* --- keeping it --- */

/* Characters that mean something in a pattern of keys get a backslash. */
static const char *pattern_of(hb_op_t *op, const char *text)
{
    char *made = apr_palloc(op->pool, 2 * strlen(text) + 1), *to = made;

    for (; *text != '\0'; text++) {
        if (strchr("*?[]\\^", *text) != NULL) {
            *to++ = '\\';
        }
        *to++ = *text;
    }
    *to = '\0';
    return made;
}

/* Forget some keys, but not that they were there: a reader may be about to fill one. */
static apr_status_t forget(cache_redis_t *self, hb_op_t *op, const redisReply *keys)
{
    size_t n_prefix = strlen(redis_prefix(self->redis)), i;
    const char *args[] = { mark_make(op), GRAVE_MSEC };
    apr_status_t rv = APR_SUCCESS;

    for (i = 0; i < keys->elements && rv == APR_SUCCESS; i++) {
        const redisReply *key = keys->element[i];
        redisReply *reply;

        rv = redis_script(&reply, self->redis, &flush_script, key->str + n_prefix,
                          (size_t)key->len - n_prefix, 2, args, NULL);
        if (rv == APR_SUCCESS) {
            freeReplyObject(reply);
        }
    }
    return rv;
}

static apr_status_t flush(void *baton, hb_op_t *op, const char *name_space)
{
    cache_redis_t *self = baton;
    const char *pattern = apr_pstrcat(op->pool, pattern_of(op, redis_prefix(self->redis)),
                                      pattern_of(op, name_space), ":*", NULL);
    const char *cursor = "0";
    const char *mark[] = { "SET", mark_key(self, op, name_space), mark_make(op) };
    const size_t mark_lens[] = { 3, strlen(mark[1]), strlen(mark[2]) };
    redisReply *done;
    apr_status_t rv = redis_command(&done, self->redis, 3, mark, mark_lens);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    freeReplyObject(done);
    do {
        const char *words[] = { "SCAN", cursor, "MATCH", pattern, "COUNT", FLUSH_AT_ONCE };
        const size_t lens[] = { 4, strlen(cursor), 5, strlen(pattern), 5, strlen(FLUSH_AT_ONCE) };
        redisReply *reply;

        rv = redis_command(&reply, self->redis, 6, words, lens);
        if (rv != APR_SUCCESS) {
            break;
        }
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
            cursor = apr_pstrdup(op->pool, reply->element[0]->str);
            rv = forget(self, op, reply->element[1]);
        }
        else {
            rv = APR_TIMEUP;
        }
        freeReplyObject(reply);
    } while (rv == APR_SUCCESS && strcmp(cursor, "0") != 0);
    return rv;
}

static apr_status_t ping(void *baton, hb_op_t *op)
{
    cache_redis_t *self = baton;
    const char *words[] = { "PING" };
    const size_t lens[] = { 4 };
    redisReply *reply;
    apr_status_t rv = redis_command(&reply, self->redis, 1, words, lens);

    (void)op;
    if (rv == APR_SUCCESS) {
        freeReplyObject(reply);
    }
    return rv;
}

/* A number of the server's own report; 0 when it is not there. */
static apr_uint64_t info_number(const char *info, const char *name)
{
    const char *at = strstr(info, name);

    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static apr_status_t stats(void *baton, hb_cache_stats_t *stats, hb_op_t *op)
{
    cache_redis_t *self = baton;
    static const char *const calls[][2] = { { "INFO", "memory" }, { "INFO", "stats" },
                                            { "DBSIZE", "" } };
    apr_status_t rv = APR_SUCCESS;
    int i;

    (void)op;
    stats->hits = __atomic_load_n(&self->hits, __ATOMIC_RELAXED);
    stats->misses = __atomic_load_n(&self->misses, __ATOMIC_RELAXED);
    stats->sets = __atomic_load_n(&self->sets, __ATOMIC_RELAXED);
    stats->refused = __atomic_load_n(&self->refused, __ATOMIC_RELAXED);
    for (i = 0; i < 3 && rv == APR_SUCCESS; i++) {
        const char *words[] = { calls[i][0], calls[i][1] };
        const size_t lens[] = { strlen(words[0]), strlen(words[1]) };
        redisReply *reply;

        rv = redis_command(&reply, self->redis, lens[1] > 0 ? 2 : 1, words, lens);
        if (rv != APR_SUCCESS) {
            break;
        }
        if (reply->type == REDIS_REPLY_INTEGER) {
            stats->entries = (apr_uint64_t)reply->integer;
        }
        else if (reply->type == REDIS_REPLY_STRING && i == 0) {
            stats->bytes_used = info_number(reply->str, "used_memory:");
            stats->bytes_total = info_number(reply->str, "\nmaxmemory:");
            if (stats->bytes_total == 0) {      /* no limit but the machine's */
                stats->bytes_total = info_number(reply->str, "total_system_memory:");
            }
        }
        else if (reply->type == REDIS_REPLY_STRING) {
            stats->evictions = info_number(reply->str, "evicted_keys:");
        }
        freeReplyObject(reply);
    }
    return rv;
}

__attribute__((visibility("default")))
const hb_cache_driver_t hb_redis_cache = {
    .scheme = "redis",
    .accepts = "redis://HOST",
    .open = open_cache,
    .get = get,
    .ask = ask,
    .set = set,
    .remove = remove_key,
    .add = add,
    .rank_change = rank_change,
    .rank_remove = rank_remove,
    .rank_top = rank_top,
    .flush = flush,
    .ping = ping,
    .stats = stats,
};
