/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads for password hashes. They run at a lower priority than the threads that answer
 * requests: a thread may lower its own for good, but not raise it again, so the hashes
 * need threads of their own. On a busy machine a login is slow then, and nothing else is.
 *
 * The gate outlives its pool until the last thread has let go of it: at the end of a
 * process threads still run, and waiting for a hash would hold up the stop.
 */
#include "hb_hashgate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hb_clock.h"

#define YIELD 10                /* added to the process's nice value: a tenth of a full share */
#define IDLE_SEC 60             /* a thread without work for so long ends */

typedef struct work_t {
    hb_hashgate_fn *fn;
    void *baton;
    enum { QUEUED, RUNNING, DONE } state;
    pthread_cond_t changed;
    struct work_t *next;
} work_t;

struct hb_hashgate_t {
    pthread_mutex_t mutex;
    pthread_cond_t arrival;
    int at_once;
    int queue_max;
    int threads;
    int idle;                   /* threads that wait for work */
    int queued;
    int users;                  /* the pool, threads and callers that hold the gate */
    int stops;
    work_t *first;
    work_t *last;
};

/* Let go of the gate, whose mutex is held. */
static void let_go(hb_hashgate_t *gate)
{
    int is_last = --gate->users == 0;

    pthread_mutex_unlock(&gate->mutex);
    if (is_last) {
        pthread_cond_destroy(&gate->arrival);
        pthread_mutex_destroy(&gate->mutex);
        free(gate);
    }
}

static void enqueue(hb_hashgate_t *gate, work_t *work)
{
    if (gate->last != NULL) {
        gate->last->next = work;
    }
    else {
        gate->first = work;
    }
    gate->last = work;
    gate->queued++;
}

static void dequeue(hb_hashgate_t *gate, work_t *work)
{
    work_t **link = &gate->first, *before = NULL;

    while (*link != work) {
        before = *link;
        link = &(*link)->next;
    }
    *link = work->next;
    if (gate->last == work) {
        gate->last = before;
    }
    gate->queued--;
}

/* Wait for work; NULL when there is none for long, or the gate stops. */
static work_t *next_work(hb_hashgate_t *gate)
{
    const struct timespec until = hb_clock_at(hb_clock() + apr_time_from_sec(IDLE_SEC));
    int problem = 0;

    while (gate->first == NULL && !gate->stops && problem != ETIMEDOUT) {
        gate->idle++;
        problem = pthread_cond_timedwait(&gate->arrival, &gate->mutex, &until);
        gate->idle--;
    }
    return gate->stops ? NULL : gate->first;
}

static void *serve(void *baton)
{
    hb_hashgate_t *gate = baton;
    work_t *work;

    /* On Linux this is the thread's own; elsewhere hashes just do not yield. */
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + YIELD);
    pthread_mutex_lock(&gate->mutex);
    while ((work = next_work(gate)) != NULL) {
        dequeue(gate, work);
        work->state = RUNNING;
        pthread_mutex_unlock(&gate->mutex);
        work->fn(work->baton);
        pthread_mutex_lock(&gate->mutex);
        work->state = DONE;
        pthread_cond_signal(&work->changed);
    }
    gate->threads--;
    let_go(gate);
    return NULL;
}

/* One more thread when there is more work than threads that wait. */
static int have_threads(hb_hashgate_t *gate)
{
    pthread_attr_t attr;
    pthread_t thread;

    if (gate->queued > gate->idle && gate->threads < gate->at_once) {
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&thread, &attr, serve, gate) == 0) {
            gate->threads++;
            gate->users++;
        }
        pthread_attr_destroy(&attr);
    }
    return gate->threads > 0;
}

static apr_status_t pool_goes(void *baton)
{
    hb_hashgate_t *gate = baton;

    pthread_mutex_lock(&gate->mutex);
    gate->stops = 1;
    pthread_cond_broadcast(&gate->arrival);
    let_go(gate);
    return APR_SUCCESS;
}

apr_status_t hb_hashgate_make(hb_hashgate_t **gate, int at_once, int queue_max,
                              apr_pool_t *pool)
{
    hb_hashgate_t *made = calloc(1, sizeof(*made));
    long cores;

    if (made == NULL) {
        return APR_ENOMEM;
    }
    if (at_once <= 0) {
        cores = sysconf(_SC_NPROCESSORS_ONLN);
        at_once = cores > 3 ? (int)(cores / 2) : 1;
    }
    made->at_once = at_once;
    made->queue_max = queue_max;
    made->users = 1;
    pthread_mutex_init(&made->mutex, NULL);
    hb_clock_cond_init(&made->arrival);
    apr_pool_cleanup_register(pool, made, pool_goes, apr_pool_cleanup_null);
    *gate = made;
    return APR_SUCCESS;
}

apr_status_t hb_hashgate_run(hb_hashgate_t *gate, apr_interval_time_t wait_usec,
                             hb_hashgate_fn *fn, void *baton)
{
    work_t work = { fn, baton, QUEUED, PTHREAD_COND_INITIALIZER, NULL };
    struct timespec until;
    apr_status_t rv = APR_SUCCESS;
    int problem = 0;

    pthread_mutex_lock(&gate->mutex);
    if (gate->stops || gate->queued >= gate->queue_max) {
        pthread_mutex_unlock(&gate->mutex);
        return APR_TIMEUP;
    }
    gate->users++;
    hb_clock_cond_init(&work.changed);
    enqueue(gate, &work);
    if (!have_threads(gate)) {
        rv = APR_EAGAIN;
    }
    pthread_cond_signal(&gate->arrival);
    until = hb_clock_at(hb_clock() + wait_usec);
    while (rv == APR_SUCCESS && work.state == QUEUED && problem != ETIMEDOUT) {
        problem = pthread_cond_timedwait(&work.changed, &gate->mutex, &until);
    }
    if (work.state == QUEUED) {
        dequeue(gate, &work);
        rv = rv != APR_SUCCESS ? rv : APR_TIMEUP;
    }
    while (work.state == RUNNING) {
        pthread_cond_wait(&work.changed, &gate->mutex);
    }
    pthread_cond_destroy(&work.changed);
    let_go(gate);
    return rv;
}
