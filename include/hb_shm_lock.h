/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_shm_lock.h
 * A lock in memory that processes share. An owner may be killed: the next one is told, and
 * mends what it protects. An owner may be stopped: nobody waits for it longer than he can.
 * For what is done in about a microsecond; the queue of the store's writers is a lock of
 * its own (store_sqlite_lock.c).
 */
#ifndef HB_SHM_LOCK_H
#define HB_SHM_LOCK_H

#include <pthread.h>

#include <apr_errno.h>
#include <apr_time.h>

/** Lies in the shared memory itself, zeroed before. */
typedef struct hb_shm_lock_t {
    pthread_mutex_t mutex;      /* robust, of all processes */
    apr_uint64_t stuck_until;   /* ms of hb_clock(); its owner was seen stopped: try once, do not wait */
} hb_shm_lock_t;

apr_status_t hb_shm_lock_make(hb_shm_lock_t *lock);

/**
 * When nobody had it for so long, others do not wait for a second, or until somebody had it.
 * @param wait  microseconds at most
 * @param died  set when its last owner died with it: what it protects may be half done
 * @return APR_TIMEUP; ENOTRECOVERABLE when nobody will ever have it again
 */
apr_status_t hb_shm_lock_take(int *died, hb_shm_lock_t *lock, apr_interval_time_t wait);
void hb_shm_lock_drop(hb_shm_lock_t *lock);

#endif /* HB_SHM_LOCK_H */
