/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_redis.h
 * Connections to one Redis, for the three backends in hb_redis.so: cache_redis.c,
 * limit_redis.c, bus_redis.c. A call takes a connection, gives one command and gives the
 * connection back; no call waits longer than HaloBuzzRedisTimeout. When one fails, all are
 * refused at once for a while (doubling up to two seconds), so that a Redis that is slow or
 * away costs a request microseconds.
 *
 * URL: redis://[[user]:password@]HOST[:PORT][/DB][?prefix=TEXT]. All keys begin with the
 * prefix, so that several platforms can share a server. There is no TLS: Debian 12's
 * hiredis has none.
 */
#ifndef HB_REDIS_H
#define HB_REDIS_H

#include <hiredis/hiredis.h>

#include "hb_op.h"
#include "hb_site.h"

typedef struct redis_t redis_t;

/** A script of the server: its text, and the number it goes by once it was sent. */
typedef struct redis_script_t {
    const char *text;
    char sha[41];               /* set by redis_script_prepare */
} redis_script_t;

/** Before its first use, by who opens the backend. Doing it again changes nothing. */
void redis_script_prepare(redis_script_t *script);

/**
 * Reads the URL; connects at the first call. Closed with the pool.
 * @param what  "cache", "limits", "bus", for log lines
 */
apr_status_t redis_open(redis_t **redis, hb_site_t *site, const char *url, const char *what,
                        apr_pool_t *pool);

const char *redis_prefix(const redis_t *redis);
/** host:port, for log lines. */
const char *redis_where(const redis_t *redis);
hb_site_t *redis_site(const redis_t *redis);

/**
 * One command, words with lengths. *reply is to be freed with freeReplyObject; an error the server
 * answers is a reply of type REDIS_REPLY_ERROR and no failure here.
 * @return APR_TIMEUP when there was no answer
 */
apr_status_t redis_command(redisReply **reply, redis_t *redis, int n, const char **words,
                           const size_t *lens);

/** A command: words with their lengths. */
typedef struct redis_words_t {
    int n;
    const char **words;
    const size_t *lens;
} redis_words_t;

/**
 * n commands in one round trip: sent together, answered in their order. All replies or none; as
 * redis_command() otherwise. Of a server that is full, loading or a replica some may be refused by an
 * error, but not all.
 */
apr_status_t redis_commands(redisReply **replies, redis_t *redis, int n,
                            const redis_words_t *commands);

/**
 * A script with one key and its arguments; one round trip, a second one when the server does not
 * know it any more. The key is given without the prefix.
 */
apr_status_t redis_script(redisReply **reply, redis_t *redis, redis_script_t *script,
                          const char *key, size_t key_len, int n, const char **args,
                          const size_t *lens);

/**
 * A connection of the caller's own (a reader that blocks), by redisFree. NULL when there is
 * none; then why says why not.
 */
redisContext *redis_connect(redis_t *redis, int wait_msec, char *why, apr_size_t why_bytes);

/** Refused for now because it did not answer? */
int redis_is_down(redis_t *redis);

/** How often it went away: after a change it may be another server, with less in it. */
unsigned int redis_failures(redis_t *redis);

#endif /* HB_REDIS_H */
