/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_hashgate.h
 * How many password hashes run at once in a process. A counting gate with a queue: first come,
 * first served, and nobody queues who cannot get a turn in time, because a thread that waits here
 * answers nothing else.
 */
#ifndef HB_HASHGATE_H
#define HB_HASHGATE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

typedef struct hb_hashgate_t hb_hashgate_t;

/** @param at_once  0: half the processors of this machine, at least 1. Call after fork or before. */
apr_status_t hb_hashgate_make(hb_hashgate_t **gate, int at_once, apr_pool_t *pool);

/**
 * Wait for a turn, at most wait_usec.
 * @return APR_TIMEUP when there was none, or at once when the queue is longer than the turns
 *         that recent hashes leave room for
 */
apr_status_t hb_hashgate_enter(hb_hashgate_t *gate, apr_interval_time_t wait_usec);

/** Give the turn to the next in the queue. @param took_usec  how long the turn was used */
void hb_hashgate_leave(hb_hashgate_t *gate, apr_interval_time_t took_usec);

#endif /* HB_HASHGATE_H */
