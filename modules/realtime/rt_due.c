/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each second has a slot, modulo their number; an entry of a later round stays. A clock that
 * jumps ahead makes one turn of the wheel, one that is set back waits where it was.
 */
#include "rt_due.h"

#include <stdlib.h>

#include "rt_memory.h"

#define SLOTS 1024

struct rt_due_t {
    rt_due_entry_t *slots[SLOTS];
    apr_int64_t done;           /* seconds up to here have been looked at */
};

rt_due_t *rt_due_make(apr_time_t now)
{
    rt_due_t *due = rt_need(sizeof(*due));

    due->done = apr_time_sec(now);
    return due;
}

void rt_due_free(rt_due_t *due)
{
    free(due);
}

void rt_due_clear(rt_due_entry_t *entry)
{
    if (entry->link != NULL) {
        *entry->link = entry->next;
        if (entry->next != NULL) {
            entry->next->link = entry->link;
        }
        entry->link = NULL;
    }
}

void rt_due_set(rt_due_t *due, rt_due_entry_t *entry, apr_time_t when)
{
    rt_due_entry_t **slot;
    apr_int64_t second = apr_time_sec(when + APR_USEC_PER_SEC - 1);

    rt_due_clear(entry);
    entry->second = second;
    if (second <= due->done) {
        second = due->done + 1;         /* that slot comes next */
    }
    slot = &due->slots[second % SLOTS];
    entry->next = *slot;
    if (entry->next != NULL) {
        entry->next->link = &entry->next;
    }
    entry->link = slot;
    *slot = entry;
}

void rt_due_run(rt_due_t *due, apr_time_t now, void (*fn)(rt_due_entry_t *entry))
{
    apr_int64_t second = apr_time_sec(now), at = due->done + 1;
    rt_due_entry_t *ready = NULL, *entry, **link;

    if (second < due->done - 1) {
        /* Set back: what was due at times that come again stands in slots ahead. */
        due->done = second;
        return;
    }
    if (second - due->done > SLOTS) {
        at = second - SLOTS + 1;
    }
    for (; at <= second; at++) {
        link = &due->slots[at % SLOTS];
        while ((entry = *link) != NULL) {
            if (entry->second > second) {
                link = &entry->next;
                continue;
            }
            rt_due_clear(entry);
            entry->next = ready;
            if (ready != NULL) {
                ready->link = &entry->next;
            }
            entry->link = &ready;
            ready = entry;
        }
    }
    if (second > due->done) {
        due->done = second;
    }
    /* fn may clear others of these. */
    while ((entry = ready) != NULL) {
        rt_due_clear(entry);
        fn(entry);
    }
}
