/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks in shared memory. An owner may be killed (the next one is told, and starts
 * afresh) or stopped (nobody waits for it longer than a blink; what must not be seen any
 * more is voided past the lock).
 */
#include "cache_shm.h"

#include <errno.h>
#include <time.h>

#define WAIT_MSEC 50
#define STUCK_MSEC 1000

/* Held for less than a microsecond as a rule: sleeping would take longer. */
#define SPINS 100

static apr_uint64_t now_msec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_uint64_t)now.tv_sec * 1000 + (apr_uint64_t)now.tv_nsec / 1000000;
}

/* A jump of the wall clock must not make 50 ms an hour. */
static int wait_lock(pthread_mutex_t *mutex)
{
    struct timespec until;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
    clockid_t clock = CLOCK_MONOTONIC;
#else
    clockid_t clock = CLOCK_REALTIME;
#endif

    clock_gettime(clock, &until);
    until.tv_nsec += WAIT_MSEC * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
    return pthread_mutex_clocklock(mutex, clock, &until);
#else
    return pthread_mutex_timedlock(mutex, &until);
#endif
}

apr_status_t cache_lock_make(cache_lock_t *lock)
{
    pthread_mutexattr_t attr;
    int rv;

    rv = pthread_mutexattr_init(&attr);
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
    /* Not 0, so that a lease that was never given is none. */
    lock->generation = lock->built = 1;
    return rv;
}

apr_status_t cache_lock_take(cache_lock_t *lock, int *is_void)
{
    int rv = EBUSY;
    int i;

    for (i = 0; i < SPINS && rv == EBUSY; i++) {
        rv = pthread_mutex_trylock(&lock->mutex);
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    if (rv == EBUSY
        && __atomic_load_n(&lock->stuck_until, __ATOMIC_RELAXED) <= now_msec()) {
        rv = wait_lock(&lock->mutex);
        if (rv == ETIMEDOUT) {
            __atomic_store_n(&lock->stuck_until, now_msec() + STUCK_MSEC, __ATOMIC_RELAXED);
        }
    }
    if (rv == EOWNERDEAD) {
        pthread_mutex_consistent(&lock->mutex);
        cache_lock_void(lock);
    }
    else if (rv != 0) {
        return APR_TIMEUP;
    }
    if (__atomic_load_n(&lock->stuck_until, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&lock->stuck_until, 0, __ATOMIC_RELAXED);
    }
    *is_void = lock->built != __atomic_load_n(&lock->generation, __ATOMIC_ACQUIRE);
    return APR_SUCCESS;
}

void cache_lock_drop(cache_lock_t *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

void cache_lock_void(cache_lock_t *lock)
{
    __atomic_add_fetch(&lock->generation, 1, __ATOMIC_ACQ_REL);
}
