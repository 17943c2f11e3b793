/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_due.h
 * What happens at a second of a clock, without looking at all of them: a wheel of seconds. Tokens
 * expire by the wall clock, which may jump; how long somebody may take is a matter of the steady
 * one. A wheel is told of one of them only. One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_DUE_H
#define RT_DUE_H

#include <apr_time.h>

typedef struct rt_due_t rt_due_t;
typedef struct rt_due_entry_t rt_due_entry_t;

/** Part of what becomes due; zeroed memory is one that is not waiting. */
struct rt_due_entry_t {
    rt_due_entry_t *next, **link;       /* link is NULL while not waiting */
    apr_int64_t second;
};

rt_due_t *rt_due_make(apr_time_t now);
void rt_due_free(rt_due_t *due);

/** Not before that time, at most a second later. Waits anew when it waited. */
void rt_due_set(rt_due_t *due, rt_due_entry_t *entry, apr_time_t when);
void rt_due_clear(rt_due_entry_t *entry);

/** Call fn for each entry whose time has come; it is not waiting any more then. */
void rt_due_run(rt_due_t *due, apr_time_t now, void (*fn)(rt_due_entry_t *entry));

#endif /* RT_DUE_H */
