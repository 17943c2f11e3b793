/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_hashgate.h
 * Where slow hashes run: a few threads of the process that yield to all others, with a queue
 * before them. First come, first served, and nobody queues who cannot get a turn in time.
 */
#ifndef HB_HASHGATE_H
#define HB_HASHGATE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

typedef struct hb_hashgate_t hb_hashgate_t;

/** Slow work that only computes; runs in another thread while its caller waits. */
typedef void hb_hashgate_fn(void *baton);

/**
 * Call before fork or after: threads start with the first work.
 * @param at_once  0: half the processors of this machine, at least 1
 */
apr_status_t hb_hashgate_make(hb_hashgate_t **gate, int at_once, apr_pool_t *pool);

/**
 * Have fn run and wait until it is done; the wait for its start is at most wait_usec.
 * @return APR_TIMEUP when it was not started in time, or at once when the queue is longer than
 *         recent turns leave room for; APR_EAGAIN when no thread can be had. fn has not run then.
 */
apr_status_t hb_hashgate_run(hb_hashgate_t *gate, apr_interval_time_t wait_usec,
                             hb_hashgate_fn *fn, void *baton);

#endif /* HB_HASHGATE_H */
