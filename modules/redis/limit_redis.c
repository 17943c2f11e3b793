/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits for all hosts: the same windows as hb_limit.c's, kept by Redis. One script a
 * decision, so it is one round trip and exact however many ask at once. While Redis does
 * not answer, hb_limit.c counts in its own memory, each host for itself, and
 * HB_M_LIMIT_FALLBACK says so.
 *
 * A key is "rate:<rule>:<window in ms>:<key in hex>", its value the count, its life what is left of
 * the window.
 */
#include "limit_redis.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_limit.h"
#include "hb_metrics.h"

#define KEY_MAX_BYTES 256

/*
 * ARGV: most, window (ms). Gives {allowed, count after, ms left}. With a second key, a value of the cache,
 * nothing is counted unless it begins as ARGV[3] says: then allowed is -1.
 */
static redis_script_t take_script = {
    "if KEYS[2] then local v = redis.call('HGET', KEYS[2], 'v') "
    "if not v or string.sub(v, 1, #ARGV[3]) ~= ARGV[3] then return {-1, 0, 0} end end "
    "local n = tonumber(redis.call('GET', KEYS[1]) or '0') "
    "if n >= tonumber(ARGV[1]) then return {0, n, redis.call('PTTL', KEYS[1])} end "
    "if n <= 0 then redis.call('SET', KEYS[1], '1', 'PX', ARGV[2]) "
    "return {1, 1, tonumber(ARGV[2])} end "
    "return {1, redis.call('INCR', KEYS[1]), redis.call('PTTL', KEYS[1])}"
};

static redis_script_t peek_script = {
    "local n = tonumber(redis.call('GET', KEYS[1]) or '0') "
    "if n <= 0 then return {1, 0, tonumber(ARGV[2])} end "
    "return {n < tonumber(ARGV[1]) and 1 or 0, n, redis.call('PTTL', KEYS[1])}"
};

static redis_script_t forget_script = {
    "return {redis.call('DEL', KEYS[1]), 0, 0}"
};

static redis_script_t give_back_script = {
    "local n = tonumber(redis.call('GET', KEYS[1]) or '0') "
    "if n > 0 then redis.call('DECR', KEYS[1]) end return {1, n, 0}"
};

static redis_script_t *const scripts[] = {
    &take_script, &peek_script, &forget_script, &give_back_script
};

/* The key as text; its length, 0 when it is too long to be one. */
static apr_size_t key_of(char *text, const hb_limit_rule_t *rule, const void *key,
                         apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = key;
    apr_size_t n, i;

    n = (apr_size_t)apr_snprintf(text, KEY_MAX_BYTES, "rate:%s:%" APR_INT64_T_FMT ":", rule->name,
                                 (apr_int64_t)(rule->window_usec + 999) / 1000);
    if (n + 2 * len >= KEY_MAX_BYTES) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        text[n++] = digits[bytes[i] >> 4];
        text[n++] = digits[bytes[i] & 15];
    }
    return n;
}

/* verdict may be NULL. APR_EGENERAL when the reply is none. */
static apr_status_t read_verdict(hb_limit_verdict_t *verdict, const redisReply *reply,
                                 const hb_limit_rule_t *rule)
{
    apr_int64_t count, left;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || reply->element[0]->integer < 0) {
        return APR_EGENERAL;
    }
    count = reply->element[1]->integer;
    left = reply->element[2]->integer;
    if (verdict != NULL) {
        memset(verdict, 0, sizeof(*verdict));
        verdict->is_allowed = reply->element[0]->integer == 1;
        verdict->remaining = count >= rule->max ? 0 : (apr_uint32_t)(rule->max - count);
        verdict->reset_sec = left > 0 ? (int)((left + 999) / 1000) : 1;
    }
    return APR_SUCCESS;
}

static apr_status_t ask(hb_limit_verdict_t *verdict, redis_t *redis, redis_script_t *script,
                        const hb_limit_rule_t *rule, const void *key, apr_size_t len)
{
    char text[KEY_MAX_BYTES], most[24], window[24];
    const char *args[] = { most, window };
    apr_size_t n = key_of(text, rule, key, len);
    redisReply *reply;
    apr_status_t rv = APR_EINVAL;

    apr_snprintf(most, sizeof(most), "%u", rule->max);
    apr_snprintf(window, sizeof(window), "%" APR_INT64_T_FMT,
                 (apr_int64_t)(rule->window_usec + 999) / 1000);
    if (n > 0) {
        rv = redis_script(&reply, redis, script, text, n, 2, args, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = read_verdict(verdict, reply, rule);
        freeReplyObject(reply);
    }
    if (rv != APR_SUCCESS) {
        hb_metric_add(redis_site(redis)->metrics, HB_M_LIMIT_FALLBACK, 1);
    }
    return rv;
}

static apr_status_t limit_open(void **self, hb_site_t *site, const char *url, apr_pool_t *pool)
{
    unsigned int i;

    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        redis_script_prepare(scripts[i]);
    }
    return redis_open((redis_t **)self, site, url, "limits", pool);
}

static apr_status_t take(void *self, hb_limit_verdict_t *verdict, const hb_limit_rule_t *rule,
                         const void *key, apr_size_t len)
{
    return ask(verdict, self, &take_script, rule, key, len);
}

static apr_status_t peek(void *self, hb_limit_verdict_t *verdict, const hb_limit_rule_t *rule,
                         const void *key, apr_size_t len)
{
    return ask(verdict, self, &peek_script, rule, key, len);
}

static apr_status_t forget(void *self, const hb_limit_rule_t *rule, const void *key,
                           apr_size_t len)
{
    return ask(NULL, self, &forget_script, rule, key, len);
}

static apr_status_t give_back(void *self, const hb_limit_rule_t *rule, const void *key,
                              apr_size_t len)
{
    return ask(NULL, self, &give_back_script, rule, key, len);
}

/* --- among other commands --- */

int limit_turn_words(redis_words_t *command, const redis_t *redis, hb_op_t *op,
                     const hb_ahead_turn_t *turn)
{
    const char *prefix = redis_prefix(redis);
    char text[KEY_MAX_BYTES];
    apr_size_t n = key_of(text, turn->rule, turn->key, turn->len);
    const char **words = apr_pcalloc(op->pool, 8 * sizeof(*words));
    size_t *lens = apr_pcalloc(op->pool, 8 * sizeof(*lens));
    int i = 0;

    if (n == 0) {
        return 0;
    }
    words[i++] = "EVALSHA";
    words[i++] = take_script.sha;
    words[i++] = turn->proof != NULL ? "2" : "1";
    words[i++] = apr_pstrcat(op->pool, prefix, apr_pstrmemdup(op->pool, text, n), NULL);
    if (turn->proof != NULL) {
        words[i++] = apr_pstrcat(op->pool, prefix, turn->proof, NULL);
    }
    words[i++] = apr_psprintf(op->pool, "%u", turn->rule->max);
    words[i++] = apr_psprintf(op->pool, "%" APR_INT64_T_FMT,
                              (apr_int64_t)(turn->rule->window_usec + 999) / 1000);
    if (turn->proof != NULL) {
        words[i++] = turn->proof_begins;
    }
    command->n = i;
    command->words = words;
    command->lens = lens;
    while (i-- > 0) {
        lens[i] = strlen(words[i]);
    }
    return 1;
}

/* A script that the server does not know counted nothing; the limiter's own question brings it. */
void limit_turn_read(hb_ahead_turn_t *turn, const redisReply *reply)
{
    if (read_verdict(&turn->verdict, reply, turn->rule) == APR_SUCCESS) {
        turn->state = HB_AHEAD_COUNTED;
    }
}

void limit_turn_lost(hb_ahead_turn_t *turn, const redis_t *redis)
{
    turn->state = HB_AHEAD_LOST;
    hb_metric_add(redis_site(redis)->metrics, HB_M_LIMIT_FALLBACK, 1);
}

__attribute__((visibility("default")))
const hb_limit_remote_t hb_redis_limit = {
    .open = limit_open,
    .take = take,
    .peek = peek,
    .forget = forget,
    .give_back = give_back,
};
