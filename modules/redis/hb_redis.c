/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to Redis: the URL, a few kept open for each process, and when not to try. */
#include "hb_redis.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/evp.h>

#include "hb_clock.h"
#include "hb_redis_url.h"

#define KEPT_LEAST 16
#define KEPT_MOST 1000
#define WORDS_MOST 16
#define BACKOFF_FIRST_USEC 100000
#define BACKOFF_MOST_USEC 2000000

struct redis_t {
    hb_site_t *site;
    const char *what;
    hb_redis_url_t url;
    const char *where;          /* host:port for log lines */
    int wait_msec;
    pthread_mutex_t lock;       /* of what follows */
    pid_t pid;                  /* connections do not survive a fork */
    redisContext **kept;        /* one for each thread: none is closed that the next call wants */
    int n_kept, kept_most;
    apr_int64_t down_until;     /* 0 while it answers */
    apr_int64_t backoff;
    unsigned int failures;      /* outages so far */
};

/* --- connections --- */

static int is_ok(redisReply *reply, char *why, apr_size_t why_bytes)
{
    int good = reply != NULL && reply->type != REDIS_REPLY_ERROR;

    if (reply != NULL) {
        if (!good) {
            apr_cpystrn(why, reply->str, why_bytes);
        }
        freeReplyObject(reply);
    }
    return good;
}

redisContext *redis_connect(redis_t *redis, int wait_msec, char *why, apr_size_t why_bytes)
{
    const struct timeval wait = { wait_msec / 1000, wait_msec % 1000 * 1000 };
    redisContext *context = redisConnectWithTimeout(redis->url.host, redis->url.port, wait);
    int good = context != NULL && context->err == 0
        && redisSetTimeout(context, wait) == REDIS_OK;

    if (good && redis->url.password != NULL) {
        good = redis->url.user != NULL
            ? is_ok(redisCommand(context, "AUTH %s %s", redis->url.user, redis->url.password),
                    why, why_bytes)
            : is_ok(redisCommand(context, "AUTH %s", redis->url.password), why, why_bytes);
    }
    if (good && redis->url.db != NULL) {
        good = is_ok(redisCommand(context, "SELECT %s", redis->url.db), why, why_bytes);
    }
    if (good) {
        redisEnableKeepAlive(context);
        return context;
    }
    if (context != NULL) {
        if (context->err != 0) {
            apr_cpystrn(why, context->errstr, why_bytes);
        }
        redisFree(context);
    }
    return NULL;
}

/* Connections that came through a fork are the parent's. Call with the lock held. */
static void drop_foreign(redis_t *redis)
{
    if (redis->pid != getpid()) {
        while (redis->n_kept > 0) {
            redisFree(redis->kept[--redis->n_kept]);
        }
        redis->pid = getpid();
        redis->down_until = 0;
    }
}

/* NULL while it is not to be tried. */
static redisContext *take(redis_t *redis, char *why, apr_size_t why_bytes)
{
    redisContext *context = NULL;
    apr_int64_t now = hb_clock();
    int may_try;

    pthread_mutex_lock(&redis->lock);
    drop_foreign(redis);
    may_try = now >= redis->down_until;
    if (may_try && redis->down_until != 0) {
        redis->down_until = now + redis->backoff;   /* one tries, the others wait for how it goes */
    }
    else if (may_try && redis->n_kept > 0) {
        context = redis->kept[--redis->n_kept];
    }
    pthread_mutex_unlock(&redis->lock);
    if (may_try && context == NULL) {
        context = redis_connect(redis, redis->wait_msec, why, why_bytes);
    }
    return context;
}

static void give(redis_t *redis, redisContext *context)
{
    int was_down;

    pthread_mutex_lock(&redis->lock);
    was_down = redis->down_until != 0;
    redis->down_until = 0;
    redis->backoff = 0;
    if (redis->n_kept < redis->kept_most) {
        redis->kept[redis->n_kept++] = context;
        context = NULL;
    }
    pthread_mutex_unlock(&redis->lock);
    if (context != NULL) {
        redisFree(context);
    }
    if (was_down) {
        hb_log_to(&redis->site->log, HB_LOG_NOTICE, 0, HBLOGNO(09500) "Redis at %s answers again (%s)",
                  redis->where, redis->what);
    }
}

/* What to do about an error of the server; "" when nothing is known. */
static const char *fix_for(const char *why)
{
    static const struct { const char *begins, *fix; } fixes[] = {
        { "NOAUTH", "; it needs a password: redis://[USER]:PASSWORD@HOST" },
        { "WRONGPASS", "; it refuses user or password of the URL" },
        { "ERR invalid password", "; it refuses user or password of the URL" },
        { "ERR AUTH", "; it has no password: leave it out of the URL" },
        { "NOPERM", "; its user needs all commands on the keys of the URL's prefix: "
                    "ACL SETUSER NAME ~PREFIX* +@all" },
        { "READONLY", "; it is a replica: name the one that is written to" },
        { "ERR DB index", "; it does not have the database that the URL names" },
    };
    unsigned int i;

    for (i = 0; i < sizeof(fixes) / sizeof(fixes[0]); i++) {
        if (strncmp(why, fixes[i].begins, strlen(fixes[i].begins)) == 0) {
            return fixes[i].fix;
        }
    }
    return "";
}

static apr_status_t failed(redis_t *redis, redisContext *context, const char *why)
{
    int is_first;

    pthread_mutex_lock(&redis->lock);
    is_first = redis->backoff == 0;
    redis->failures += (unsigned int)is_first;
    redis->backoff = is_first ? BACKOFF_FIRST_USEC : redis->backoff * 2;
    if (redis->backoff > BACKOFF_MOST_USEC) {
        redis->backoff = BACKOFF_MOST_USEC;
    }
    redis->down_until = hb_clock() + redis->backoff;
    while (redis->n_kept > 0) {     /* they hang on the same server */
        redisFree(redis->kept[--redis->n_kept]);
    }
    pthread_mutex_unlock(&redis->lock);
    if (is_first) {
        hb_log_to(&redis->site->log, HB_LOG_ERR, 0, HBLOGNO(09501) "Redis at %s does not answer (%s): "
                  "%s%s; going on without it", redis->where, redis->what, why, fix_for(why));
    }
    if (context != NULL) {
        redisFree(context);
    }
    return APR_TIMEUP;
}

int redis_is_down(redis_t *redis)
{
    int down;

    pthread_mutex_lock(&redis->lock);
    down = redis->down_until != 0;
    pthread_mutex_unlock(&redis->lock);
    return down;
}

unsigned int redis_failures(redis_t *redis)
{
    unsigned int failures;

    pthread_mutex_lock(&redis->lock);
    failures = redis->failures;
    pthread_mutex_unlock(&redis->lock);
    return failures;
}

/* A server that is loading, read-only or full answers, but not what was asked. */
static int is_out_of_order(const redisReply *reply)
{
    static const char *const words[] = {
        "LOADING", "READONLY", "MASTERDOWN", "OOM", "NOAUTH", "WRONGPASS", "MISCONF", "CLUSTERDOWN",
        "NOPERM"
    };
    unsigned int i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(reply->str, words[i], strlen(words[i])) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Send all, read all. 0 when the connection failed; some replies may be there then. */
static int exchange(redisReply **replies, redisContext *context, int n,
                    const redis_words_t *commands)
{
    int i;

    for (i = 0; i < n; i++) {
        if (redisAppendCommandArgv(context, commands[i].n, commands[i].words, commands[i].lens)
            != REDIS_OK) {
            return 0;
        }
    }
    for (i = 0; i < n; i++) {
        if (redisGetReply(context, (void **)&replies[i]) != REDIS_OK) {
            return 0;
        }
    }
    return 1;
}

apr_status_t redis_commands(redisReply **replies, redis_t *redis, int n,
                            const redis_words_t *commands)
{
    char why[160] = "no connection";
    redisContext *context = take(redis, why, sizeof(why));
    int i, good, n_refused = 0;

    memset(replies, 0, (size_t)n * sizeof(*replies));
    if (context == NULL) {
        return redis_is_down(redis) ? APR_TIMEUP : failed(redis, NULL, why);
    }
    good = exchange(replies, context, n, commands);
    if (!good) {
        apr_cpystrn(why, context->errstr, sizeof(why));
    }
    for (i = 0; i < n && good; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR && is_out_of_order(replies[i])) {
            apr_cpystrn(why, replies[i]->str, sizeof(why));
            n_refused++;
        }
    }
    good = good && n_refused < n;   /* one that only refuses to write can still be read */
    if (good) {
        give(redis, context);
        return APR_SUCCESS;
    }
    for (i = 0; i < n; i++) {
        if (replies[i] != NULL) {
            freeReplyObject(replies[i]);
            replies[i] = NULL;
        }
    }
    return failed(redis, context, why);
}

apr_status_t redis_command(redisReply **reply, redis_t *redis, int n, const char **words,
                           const size_t *lens)
{
    const redis_words_t command = { n, words, lens };

    return redis_commands(reply, redis, 1, &command);
}

/* --- scripts --- */

void redis_script_prepare(redis_script_t *script)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int i, n = 0;

    if (EVP_Digest(script->text, strlen(script->text), digest, &n, EVP_sha1(), NULL) != 1
        || n != 20) {
        return;
    }
    for (i = 0; i < n; i++) {
        script->sha[2 * i] = digits[digest[i] >> 4];
        script->sha[2 * i + 1] = digits[digest[i] & 15];
    }
    script->sha[40] = '\0';
}

apr_status_t redis_script(redisReply **reply, redis_t *redis, redis_script_t *script,
                          const char *key, size_t key_len, int n, const char **args,
                          const size_t *lens)
{
    const char *words[WORDS_MOST] = { "EVALSHA", script->sha, "1" };
    size_t sizes[WORDS_MOST] = { 7, 40, 1 };
    size_t n_prefix = strlen(redis->url.prefix);
    char *whole, small[256];
    apr_status_t rv;
    int i;

    whole = n_prefix + key_len < sizeof(small) ? small : malloc(n_prefix + key_len);
    if (whole == NULL) {
        return APR_ENOMEM;
    }
    memcpy(whole, redis->url.prefix, n_prefix);
    memcpy(whole + n_prefix, key, key_len);
    words[3] = whole;
    sizes[3] = n_prefix + key_len;
    for (i = 0; i < n; i++) {
        words[4 + i] = args[i];
        sizes[4 + i] = lens != NULL ? lens[i] : strlen(args[i]);
    }
    rv = redis_command(reply, redis, 4 + n, words, sizes);
    if (rv == APR_SUCCESS && (*reply)->type == REDIS_REPLY_ERROR
        && strncmp((*reply)->str, "NOSCRIPT", 8) == 0) {
        freeReplyObject(*reply);
        words[0] = "EVAL";
        sizes[0] = 4;
        words[1] = script->text;
        sizes[1] = strlen(script->text);
        rv = redis_command(reply, redis, 4 + n, words, sizes);
    }
    if (whole != small) {
        free(whole);
    }
    return rv;
}

/* --- opening --- */

static apr_status_t close_all(void *data)
{
    redis_t *redis = data;

    while (redis->n_kept > 0) {
        redisFree(redis->kept[--redis->n_kept]);
    }
    pthread_mutex_destroy(&redis->lock);
    return APR_SUCCESS;
}

apr_status_t redis_open(redis_t **out, hb_site_t *site, const char *url, const char *what,
                        apr_pool_t *pool)
{
    redis_t *redis = apr_pcalloc(pool, sizeof(*redis));
    const char *why;
    int n;

    redis->site = site;
    redis->what = what;
    redis->pid = getpid();
    redis->wait_msec = (int)(site->settings->redis_timeout / 1000);
    redis->wait_msec = redis->wait_msec > 0 ? redis->wait_msec : 1;
    why = hb_redis_url_read(&redis->url, url, pool);
    if (why != NULL) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(09502) "the URL of Redis (%s): %s", what, why);
        return HB_E_CONFIG;
    }
    n = hb_site_threads(site);
    redis->kept_most = n < KEPT_LEAST ? KEPT_LEAST : n > KEPT_MOST ? KEPT_MOST : n;
    redis->kept = apr_pcalloc(pool, redis->kept_most * sizeof(*redis->kept));
    redis->where = apr_psprintf(pool, "%s:%d", redis->url.host, redis->url.port);
    pthread_mutex_init(&redis->lock, NULL);
    apr_pool_cleanup_register(pool, redis, close_all, apr_pool_cleanup_null);
    *out = redis;
    return APR_SUCCESS;
}

const char *redis_prefix(const redis_t *redis)
{
    return redis->url.prefix;
}

const char *redis_where(const redis_t *redis)
{
    return redis->where;
}

hb_site_t *redis_site(const redis_t *redis)
{
    return redis->site;
}
