/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_hashgate.h
 * Where slow hashes run: a few threads of the process that yield to all others, with a queue
 * before them. First come, first served. Who cannot get a turn in time waits all the same before
 * the refusal: clients that call again at once would otherwise spin on refusals and take from
 * everybody what the queue was to leave them. The queue is bounded, because each caller in it
 * holds a thread of its host.
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
 * @param queue_max  callers that wait; more are refused at once
 */
apr_status_t hb_hashgate_make(hb_hashgate_t **gate, int at_once, int queue_max,
                              apr_pool_t *pool);

/**
 * Have fn run and wait until it is done; the wait for its start is at most wait_usec.
 * @return APR_TIMEUP when it was not started in time, or at once when the queue is full; APR_EAGAIN when no thread can be had. fn has not run then.
 */
apr_status_t hb_hashgate_run(hb_hashgate_t *gate, apr_interval_time_t wait_usec,
                             hb_hashgate_fn *fn, void *baton);

#endif /* HB_HASHGATE_H */
