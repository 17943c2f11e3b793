/* SPDX-License-Identifier: Apache-2.0 */
/* A lock in memory that processes share. */
#include "hb_shm_lock.h"

#include <errno.h>

#include "hb_clock.h"

#define STUCK_MSEC 1000

/* Held for about a microsecond as a rule: sleeping would take longer. */
#define SPINS 100

static apr_uint64_t now_msec(void)
{
    return (apr_uint64_t)hb_clock() / 1000;
}

apr_status_t hb_shm_lock_make(hb_shm_lock_t *lock)
{
    pthread_mutexattr_t attr;
    int rv = pthread_mutexattr_init(&attr);

    if (rv != 0) {
        return rv;
    }
    rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (rv == 0) {
        rv = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }
    if (rv == 0) {
        rv = pthread_mutex_init(&lock->mutex, &attr);
    }
    pthread_mutexattr_destroy(&attr);
    return rv;
}

apr_status_t hb_shm_lock_take(int *died, hb_shm_lock_t *lock, apr_interval_time_t wait)
{
    int rv = EBUSY;
    int i;

    *died = 0;
    for (i = 0; i < SPINS && rv == EBUSY; i++) {
        rv = pthread_mutex_trylock(&lock->mutex);
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    if (rv == EBUSY
        && __atomic_load_n(&lock->stuck_until, __ATOMIC_RELAXED) <= now_msec()) {
        rv = hb_clock_lock(&lock->mutex, hb_clock() + wait);
        if (rv == ETIMEDOUT) {
            __atomic_store_n(&lock->stuck_until, now_msec() + STUCK_MSEC, __ATOMIC_RELAXED);
        }
    }
    if (rv == EOWNERDEAD) {
        *died = 1;
        pthread_mutex_consistent(&lock->mutex);
    }
    else if (rv != 0) {
        return rv == ENOTRECOVERABLE ? rv : APR_TIMEUP;
    }
    if (__atomic_load_n(&lock->stuck_until, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&lock->stuck_until, 0, __ATOMIC_RELAXED);
    }
    return APR_SUCCESS;
}

void hb_shm_lock_drop(hb_shm_lock_t *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
