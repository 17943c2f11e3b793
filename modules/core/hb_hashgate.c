/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate before password hashes. Each waiter has a condition of its own on its stack, so
 * that a leaver wakes exactly the first of the queue.
 *
 * The gate is never destroyed: threads may still be in it while the process ends.
 */
#include "hb_hashgate.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

typedef struct waiter_t {
    pthread_cond_t wake;
    int granted;
    struct waiter_t *next;
} waiter_t;

struct hb_hashgate_t {
    pthread_mutex_t mutex;
    int at_once;
    int busy;
    int queued;
    waiter_t *first;
    waiter_t *last;
    apr_interval_time_t usual_usec;     /* moving average of a turn; 0 until the first */
};

static void queue_remove(hb_hashgate_t *gate, waiter_t *waiter)
{
    waiter_t **link = &gate->first;
    waiter_t *before = NULL;

    while (*link != waiter) {
        before = *link;
        link = &(*link)->next;
    }
    *link = waiter->next;
    if (gate->last == waiter) {
        gate->last = before;
    }
    gate->queued--;
}

apr_status_t hb_hashgate_make(hb_hashgate_t **gate, int at_once, apr_pool_t *pool)
{
    hb_hashgate_t *made = apr_pcalloc(pool, sizeof(*made));
    long cores;

    if (at_once <= 0) {
        cores = sysconf(_SC_NPROCESSORS_ONLN);
        at_once = cores > 3 ? (int)(cores / 2) : 1;
    }
    made->at_once = at_once;
    *gate = made;
    return pthread_mutex_init(&made->mutex, NULL);
}

apr_status_t hb_hashgate_enter(hb_hashgate_t *gate, apr_interval_time_t wait_usec)
{
    apr_interval_time_t nsec;
    pthread_condattr_t attr;
    struct timespec until;
    waiter_t waiter;
    int problem = 0;

    pthread_mutex_lock(&gate->mutex);
    if (gate->busy < gate->at_once && gate->first == NULL) {
        gate->busy++;
        pthread_mutex_unlock(&gate->mutex);
        return APR_SUCCESS;
    }
    if (gate->queued / gate->at_once * gate->usual_usec > wait_usec) {
        pthread_mutex_unlock(&gate->mutex);
        return APR_TIMEUP;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter.wake, &attr);
    pthread_condattr_destroy(&attr);
    waiter.granted = 0;
    waiter.next = NULL;
    if (gate->last != NULL) {
        gate->last->next = &waiter;
    }
    else {
        gate->first = &waiter;
    }
    gate->last = &waiter;
    gate->queued++;

    clock_gettime(CLOCK_MONOTONIC, &until);
    nsec = until.tv_nsec + wait_usec % APR_USEC_PER_SEC * 1000;
    until.tv_sec += wait_usec / APR_USEC_PER_SEC + nsec / 1000000000;
    until.tv_nsec = nsec % 1000000000;
    while (!waiter.granted && problem != ETIMEDOUT) {
        problem = pthread_cond_timedwait(&waiter.wake, &gate->mutex, &until);
    }
    if (!waiter.granted) {
        queue_remove(gate, &waiter);
    }
    pthread_mutex_unlock(&gate->mutex);
    pthread_cond_destroy(&waiter.wake);
    return waiter.granted ? APR_SUCCESS : APR_TIMEUP;
}

void hb_hashgate_leave(hb_hashgate_t *gate, apr_interval_time_t took_usec)
{
    waiter_t *next;

    pthread_mutex_lock(&gate->mutex);
    gate->usual_usec = gate->usual_usec == 0 ? took_usec
        : (gate->usual_usec * 7 + took_usec) / 8;
    next = gate->first;
    if (next != NULL) {
        /* The turn is handed over: busy stays, so that no newcomer slips in between. */
        queue_remove(gate, next);
        next->granted = 1;
        pthread_cond_signal(&next->wake);
    }
    else {
        gate->busy--;
    }
    pthread_mutex_unlock(&gate->mutex);
}
