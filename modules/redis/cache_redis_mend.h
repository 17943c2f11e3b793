/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cache_redis_mend.h
 * Keys whose value is old, but could not be removed because Redis did not answer. They are
 * removed as soon as it does, by a thread of its own: until then what it holds of them is
 * not what the records say (a session that was ended, a profile that was changed).
 */
#ifndef CACHE_REDIS_MEND_H
#define CACHE_REDIS_MEND_H

#include "hb_op.h"
#include "hb_site.h"

typedef struct mend_t mend_t;

/** Remove one key for good; APR_TIMEUP while that cannot be done. */
typedef apr_status_t mend_remove_fn(void *baton, hb_op_t *op, const char *key);
/** Drop all keys of a namespace: for when more were missed than are remembered. */
typedef apr_status_t mend_flush_fn(void *baton, hb_op_t *op, const char *name_space);

/** The thread begins with the first key, and ends with the pool. */
mend_t *mend_make(hb_site_t *site, mend_remove_fn *remove, mend_flush_fn *flush, void *baton,
                  apr_pool_t *pool);

/** This key has to go. Any thread; does not wait. */
void mend_note(mend_t *mend, const char *key);

/** Is anything still to be removed? Then nothing that was read is to be believed. */
int mend_is_due(const mend_t *mend);

#endif /* CACHE_REDIS_MEND_H */
