/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_clock.h
 * The clock that only goes forward: how long something took, and until when to wait. Nobody can set
 * it, and it means nothing to another machine or after a reboot. What is recorded has op->now.
 */
#ifndef HB_CLOCK_H
#define HB_CLOCK_H

#include <pthread.h>
#include <time.h>

#include <apr_time.h>

/** Now, in microseconds. */
apr_time_t hb_clock(void);

/** A moment of it for pthread_cond_timedwait(). */
struct timespec hb_clock_at(apr_time_t when);

/** Take a mutex by then, as pthread_mutex_timedlock() does by the wall clock. Waits. */
int hb_clock_lock(pthread_mutex_t *mutex, apr_time_t until);

/** Make a condition whose waits end by this clock. */
void hb_clock_cond_init(pthread_cond_t *cond);

#endif /* HB_CLOCK_H */
