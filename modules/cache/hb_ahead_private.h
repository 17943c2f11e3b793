/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ahead_private.h
 * What the front of the cache and hb_ahead.c know of each other.
 */
#ifndef HB_AHEAD_PRIVATE_H
#define HB_AHEAD_PRIVATE_H

#include "hb_ahead.h"

/** The answer to a question that was asked ahead; NULL when there is none. Gives it once. */
const hb_ahead_value_t *hb_ahead_answer(hb_op_t *op, const char *key);

/** The op is changing this key: what was answered is no more true. */
void hb_ahead_forget(hb_op_t *op, const char *key);
void hb_ahead_forget_all(hb_op_t *op);

/* hb_cache.c */

int cache_asks_ahead(const hb_cache_t *cache);
void cache_ask(hb_cache_t *cache, hb_op_t *op, hb_ahead_t *ahead);

#endif /* HB_AHEAD_PRIVATE_H */
