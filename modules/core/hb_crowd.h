/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_crowd.h
 * Many ids of users, in 12 bytes each: a million of them are 12 MB. Nothing here waits.
 */
#ifndef HB_CROWD_H
#define HB_CROWD_H

#include <apr_pools.h>

typedef struct hb_crowd_t hb_crowd_t;

/** Empty; its memory goes with the pool. */
hb_crowd_t *hb_crowd_make(apr_pool_t *pool);

/**
 * Add an id, as a hb_store_value_fn; what is none is left out. Not 0 when there is no memory.
 * @param crowd  a hb_crowd_t
 */
int hb_crowd_add(void *crowd, const char *id);

/** Was there no memory for all that was added? */
int hb_crowd_is_short(const hb_crowd_t *crowd);

/** In the order of ids, each once; gives their number. */
apr_size_t hb_crowd_sort(hb_crowd_t *crowd);

/** An id after hb_crowd_sort(), from 0. */
const char *hb_crowd_at(const hb_crowd_t *crowd, apr_size_t at, apr_pool_t *pool);

#endif /* HB_CROWD_H */
