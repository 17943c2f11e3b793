/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that only goes forward. */
#include "hb_clock.h"

apr_time_t hb_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

struct timespec hb_clock_at(apr_time_t when)
{
    struct timespec at = { apr_time_sec(when), apr_time_usec(when) * 1000 };

    return at;
}

void hb_clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}
