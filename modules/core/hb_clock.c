/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that only goes forward. */
#include "hb_clock.h"

#include <errno.h>

/* gcc says it by a macro, clang by a feature. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_WATCHED 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define IS_WATCHED 1
#endif
#ifdef IS_WATCHED
#include <sanitizer/tsan_interface.h>
#endif

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

int hb_clock_lock(pthread_mutex_t *mutex, apr_time_t until)
{
    const struct timespec at = hb_clock_at(until);
    int rv = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &at);

#ifdef IS_WATCHED
    /* ThreadSanitizer knows every way to take a mutex but this one. */
    if (rv == 0 || rv == EOWNERDEAD) {
        __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
        __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock, 0);
    }
#endif
    return rv;
}

void hb_clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}
