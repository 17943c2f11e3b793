/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file redis_together.h
 * Questions of several threads in one round trip. A few threads at a time ask; whoever comes meanwhile
 * waits, and goes with the next that asks. So a thread that is alone waits for nobody, and the
 * busier the process the less a question costs, here and in Redis.
 */
#ifndef REDIS_TOGETHER_H
#define REDIS_TOGETHER_H

#include "hb_redis.h"

/** Commands of one call. */
#define REDIS_TOGETHER_MOST 64

typedef struct together_t together_t;

/** Of one Redis. Lives as long as the pool. */
together_t *together_make(redis_t *redis, apr_pool_t *pool);

/**
 * As redis_commands(), with the same words living until it returns. What fails for one that went
 * together fails for all of them. n is at most REDIS_TOGETHER_MOST.
 */
apr_status_t together_commands(redisReply **replies, together_t *together, int n,
                               const redis_words_t *commands);

#endif /* REDIS_TOGETHER_H */
