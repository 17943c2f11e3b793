/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock of a part of the memory (hb_shm_lock.h), and whether what it protects can be
 * used: where an owner died the next one starts afresh, and what must not be seen any more is
 * voided past the lock.
 */
#include "cache_shm.h"

#define WAIT_USEC 50000         /* a miss costs less than waiting longer */

apr_status_t cache_lock_make(cache_lock_t *lock)
{
    /* Not 0, so that a lease that was never given is none. */
    lock->generation = lock->built = 1;
    return hb_shm_lock_make(&lock->lock);
}

apr_status_t cache_lock_take(cache_lock_t *lock, int *is_void)
{
    int died;

    if (hb_shm_lock_take(&died, &lock->lock, WAIT_USEC) != APR_SUCCESS) {
        return APR_TIMEUP;
    }
    if (died) {
        cache_lock_void(lock);
    }
    *is_void = lock->built != __atomic_load_n(&lock->generation, __ATOMIC_ACQUIRE);
    return APR_SUCCESS;
}

void cache_lock_drop(cache_lock_t *lock)
{
    hb_shm_lock_drop(&lock->lock);
}

void cache_lock_void(cache_lock_t *lock)
{
    __atomic_add_fetch(&lock->generation, 1, __ATOMIC_ACQ_REL);
}
