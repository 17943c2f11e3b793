/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv's threads do the running. A line keeps only its first task with them; the next one follows
 * when that is done. Pools are kept and used again, because making one takes a lock that
 * all threads share.
 */
#include "rt_work.h"

#include <stdio.h>
#include <stdlib.h>

#include <apr_allocator.h>

#include "rt_memory.h"

#define POOLS_KEPT 16
#define POOL_KEEPS_BYTES (64 * 1024)

struct rt_works_t {
    uv_loop_t *loop;
    hb_site_t *site;
    int queue_max;
    int n;                      /* made and not done */
    void (*when_idle)(void *baton);     /* NULL until the loop ends */
    void *idle_baton;
    int n_pools;
    apr_pool_t *pools[POOLS_KEPT];
};

void rt_work_threads(int n)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", n);
    setenv("UV_THREADPOOL_SIZE", text, 0);
}

rt_works_t *rt_works_make(uv_loop_t *loop, hb_site_t *site, int queue_max)
{
    rt_works_t *works = rt_need(sizeof(*works));

    works->loop = loop;
    works->site = site;
    works->queue_max = queue_max;
    return works;
}

void rt_works_free(rt_works_t *works)
{
    while (works->n_pools > 0) {
        apr_pool_destroy(works->pools[--works->n_pools]);
    }
    free(works);
}

void rt_works_when_idle(rt_works_t *works, void (*fn)(void *baton), void *baton)
{
    if (works->n == 0) {
        fn(baton);
    } else {
        works->when_idle = fn;
        works->idle_baton = baton;
    }
}

/* A pool with an allocator of its own: threads may use it without a lock. */
static apr_pool_t *take_pool(rt_works_t *works)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (works->n_pools > 0) {
        return works->pools[--works->n_pools];
    }
    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_max_free_set(allocator, POOL_KEEPS_BYTES);
    if (apr_pool_create_unmanaged_ex(&pool, NULL, allocator) != APR_SUCCESS) {
        abort();
    }
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

static void give_pool(rt_works_t *works, apr_pool_t *pool)
{
    if (works->n_pools == POOLS_KEPT) {
        apr_pool_destroy(pool);
        return;
    }
    apr_pool_clear(pool);
    works->pools[works->n_pools++] = pool;
}

void *rt_task_make_always(rt_works_t *works, apr_size_t bytes)
{
    apr_pool_t *pool = take_pool(works);
    rt_task_t *task = apr_pcalloc(pool, bytes);

    task->op = hb_op_make(works->site, pool);
    task->works = works;
    works->n++;
    return task;
}

void *rt_task_make(rt_works_t *works, apr_size_t bytes)
{
    return works->n < works->queue_max ? rt_task_make_always(works, bytes) : NULL;
}

void rt_task_drop(rt_task_t *task)
{
    rt_works_t *works = task->works;

    works->n--;
    give_pool(works, task->op->pool);
}

/* --- running --- */

static void work(uv_work_t *request)
{
    rt_task_t *task = request->data;

    task->op->now = task->op->site->clock(task->op->site->baton);
    task->run(task);
}

static void after_work(uv_work_t *request, int status);

static void begin(rt_task_t *task)
{
    if (task->begin != NULL) {
        task->begin(task);
    }
    task->request.data = task;
    if (uv_queue_work(task->works->loop, &task->request, work, after_work) != 0) {
        abort();                /* only for a NULL callback */
    }
}

static void after_work(uv_work_t *request, int status)
{
    rt_task_t *task = request->data;
    rt_works_t *works = task->works;
    rt_line_t *line = task->line;
    rt_task_t *next = NULL;

    (void)status;
    if (line != NULL) {
        line->first = task->next;
        line->n--;
        if (line->first == NULL) {
            line->last = NULL;
        }
        next = line->first;
    }
    /* The line goes with its owner when it was the last. */
    task->done(task);
    rt_task_drop(task);
    if (next != NULL) {
        begin(next);
    }
    else if (works->n == 0 && works->when_idle != NULL) {
        works->when_idle(works->idle_baton);
    }
}

void rt_task_start(rt_task_t *task, rt_line_t *line)
{
    task->line = line;
    if (line == NULL) {
        begin(task);
        return;
    }
    line->n++;
    if (line->last != NULL) {
        line->last->next = task;
        line->last = task;
        return;
    }
    line->first = line->last = task;
    begin(task);
}
