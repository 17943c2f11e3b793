/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_work.h
 * Work that may wait (every call of the core) done by threads, never by a loop. Tasks of one line
 * run one after the other in the order they came, so a client's messages keep theirs;
 * tasks of different lines run at once.
 */
#ifndef RT_WORK_H
#define RT_WORK_H

#include <apr_pools.h>
#include <uv.h>

#include "hb_op.h"

typedef struct rt_works_t rt_works_t;
typedef struct rt_task_t rt_task_t;

/** The queue of one client; zeroed memory is an empty one. */
typedef struct rt_line_t {
    rt_task_t *first, *last;
    int n;                      /* waiting and running */
} rt_line_t;

/** The first thing in a task's own structure; the rest is the caller's. */
struct rt_task_t {
    hb_op_t *op;                /* fresh; its pool lives until done has returned */
    apr_status_t rv;            /* what run left */
    void (*begin)(rt_task_t *task);     /* in the loop, when its turn has come; may be NULL */
    void (*run)(rt_task_t *task);       /* in a thread; sets rv */
    void (*done)(rt_task_t *task);      /* in the loop; never NULL */
    /* rt_work.c's: */
    rt_works_t *works;
    rt_line_t *line;
    rt_task_t *next;
    uv_work_t request;
};

/** How many threads all loops share; before the first task of the process. */
void rt_work_threads(int n);

/** @param queue_max  tasks waiting in this loop, beyond which rt_task_make gives NULL */
rt_works_t *rt_works_make(uv_loop_t *loop, hb_site_t *site, int queue_max);

/** When no task is under way any more. */
void rt_works_free(rt_works_t *works);

/** Call fn once no task is under way any more: now, or in the loop. It may free the works. */
void rt_works_when_idle(rt_works_t *works, void (*fn)(void *baton), void *baton);

/**
 * A task of so many bytes, zeroed, in its op's pool; NULL when too much is waiting. Its
 * clock is read when it begins to run.
 */
void *rt_task_make(rt_works_t *works, apr_size_t bytes);

/** Whatever happens: even past queue_max (endings and what goes with them). */
void *rt_task_make_always(rt_works_t *works, apr_size_t bytes);

/** Run it when those before it in its line are done; line is NULL for no order. */
void rt_task_start(rt_task_t *task, rt_line_t *line);

/** It will not be started. */
void rt_task_drop(rt_task_t *task);

#endif /* RT_WORK_H */
