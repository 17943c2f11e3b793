/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_history.h
 * What was said in the rooms lately, so that somebody who was away gets exactly that. Every
 * room has a chain of its own, bounded by count; all chains together are bounded by bytes, the
 * oldest entry of all goes first. A chain knows from where on it is complete, so that a
 * gap is told and never passed over.
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_HISTORY_H
#define RT_HISTORY_H

#include <apr.h>

#include "rt_news.h"

typedef struct rt_history_t rt_history_t;
typedef struct rt_past_t rt_past_t;

/** One room's chain; lives in the room. */
typedef struct rt_chain_t {
    rt_past_t *oldest, *newest;
    int n;
    apr_uint64_t known_after;   /* everything numbered higher that the room saw is here */
} rt_chain_t;

/**
 * @param chain_max  entries of one chain
 * @param bytes_max  of all chains together, what the texts take
 * @param on_empty   called when a chain lost its last entry to those bounds; may drop the chain
 */
rt_history_t *rt_history_make(int chain_max, apr_size_t bytes_max,
                              void (*on_empty)(rt_chain_t *chain));
void rt_history_free(rt_history_t *history);

/** Begin a chain in a room that has seen nothing before known_after. */
void rt_chain_begin(rt_chain_t *chain, apr_uint64_t known_after);

/** Add what just happened; takes a hold of its own on news. Numbers only ever rise. */
void rt_history_keep(rt_history_t *history, rt_chain_t *chain, rt_news_t *news);

/** The room goes: so does its chain. */
void rt_history_drop(rt_history_t *history, rt_chain_t *chain);

/** Is everything after this number here? */
int rt_chain_covers(const rt_chain_t *chain, apr_uint64_t after);

/** The first entry numbered higher than after, NULL when there is none. */
rt_past_t *rt_chain_after(const rt_chain_t *chain, apr_uint64_t after);
rt_past_t *rt_past_next(const rt_past_t *past);
rt_news_t *rt_past_news(const rt_past_t *past);

/** What the entries numbered higher than after take. */
apr_size_t rt_chain_bytes(const rt_chain_t *chain, apr_uint64_t after);

/** Of all chains. */
apr_size_t rt_history_bytes(const rt_history_t *history);

#endif /* RT_HISTORY_H */
