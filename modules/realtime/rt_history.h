/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_history.h
 * What was said in the rooms lately, so that somebody who was away gets exactly that. Every
 * room has a chain of its own, bounded by count; all chains together are bounded by bytes, the
 * oldest entry of all goes first. A chain knows from where on it is complete, so that a
 * gap is told and never passed over.
 *
 * One for all loops: a lock is held while a chain is looked at or an entry added, for
 * microseconds. Nothing here waits for anything else.
 */
#ifndef RT_HISTORY_H
#define RT_HISTORY_H

#include <apr.h>

#include "rt_news.h"

typedef struct rt_history_t rt_history_t;

/**
 * @param chain_max  entries of one chain
 * @param bytes_max  of all chains together, what the texts take
 */
rt_history_t *rt_history_make(int chain_max, apr_size_t bytes_max);
void rt_history_free(rt_history_t *history);
/** Other bounds; what is beyond them goes when something is added. */
void rt_history_set_max(rt_history_t *history, int chain_max, apr_size_t bytes_max);

/**
 * What happened up to here is not known: at the start, and when events were lost. The
 * moment it was is that of the next event that is kept.
 */
void rt_history_forget(rt_history_t *history, apr_uint64_t seq);

/** Add what just happened in its room; takes a hold of its own. Numbers only ever rise. */
void rt_history_keep(rt_history_t *history, rt_news_t *news);

/**
 * Was the room surely not told of a message? 0 when it was, and when that is not known any more.
 * @param said_at  when it was said
 */
int rt_history_lacks(rt_history_t *history, const char *room, const char *said_id,
                     apr_time_t said_at);

/** Was the room surely told of it? Looks through what it was told since it was said. */
int rt_history_has(rt_history_t *history, const char *room, const char *said_id,
                   apr_time_t said_at);

/**
 * A room, and after which number everything is asked for, up to another: what the caller's loop
 * has not told yet comes by itself to who is in the room.
 */
typedef struct rt_since_t {
    const char *room;
    apr_uint64_t after, upto;
} rt_since_t;

/** What somebody missed, in the order it happened; with a hold of each. */
typedef struct rt_missed_t {
    rt_news_t **news;
    int n;
    apr_size_t bytes;
    int is_complete;            /* that is all there was; otherwise it is what there is left */
} rt_missed_t;

/**
 * Collect what happened in some rooms.
 * @param bytes_max  more than that is not collected, and not complete
 */
void rt_history_missed(rt_missed_t *missed, rt_history_t *history, const rt_since_t *rooms,
                       int n_rooms, apr_size_t bytes_max);
/** Let go of what was collected. */
void rt_missed_free(rt_missed_t *missed);

/** Of all chains. */
apr_size_t rt_history_bytes(rt_history_t *history);

#endif /* RT_HISTORY_H */
