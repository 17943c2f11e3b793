/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file limit_redis.h
 * A turn of the limiter as a command among others, for what cache_redis.c asks ahead.
 */
#ifndef LIMIT_REDIS_H
#define LIMIT_REDIS_H

#include "hb_ahead.h"
#include "hb_redis.h"

/** @return 0 when the key is too long to be asked for */
int limit_turn_words(redis_words_t *words, const redis_t *redis, hb_op_t *op,
                     const hb_ahead_turn_t *turn);

/** What the reply says of it; a turn that was not counted is left to whoever wants it. */
void limit_turn_read(hb_ahead_turn_t *turn, const redisReply *reply);

/** There was no reply. */
void limit_turn_lost(hb_ahead_turn_t *turn, const redis_t *redis);

#endif /* LIMIT_REDIS_H */
