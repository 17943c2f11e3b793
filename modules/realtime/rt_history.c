/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists run through each entry: that of its room and that of all. Numbers rise, so both are
 * in order, and giving up an entry is taking it off both ends' list it stands first in.
 */
#include "rt_history.h"

#include <stdlib.h>

#include "rt_memory.h"

struct rt_past_t {
    rt_news_t *news;
    rt_chain_t *chain;
    rt_past_t *older, *newer;           /* in the room */
    rt_past_t *before, *after;          /* of all */
    apr_size_t bytes;
};

struct rt_history_t {
    rt_past_t *first, *last;
    apr_size_t bytes, bytes_max;
    int chain_max;
    void (*on_empty)(rt_chain_t *chain);
};

rt_history_t *rt_history_make(int chain_max, apr_size_t bytes_max,
                              void (*on_empty)(rt_chain_t *chain))
{
    rt_history_t *history = rt_need(sizeof(*history));

    history->chain_max = chain_max;
    history->bytes_max = bytes_max;
    history->on_empty = on_empty;
    return history;
}

static void take_out(rt_history_t *history, rt_past_t *past)
{
    rt_chain_t *chain = past->chain;

    if (past->older != NULL) {
        past->older->newer = past->newer;
    } else {
        chain->oldest = past->newer;
    }
    if (past->newer != NULL) {
        past->newer->older = past->older;
    } else {
        chain->newest = past->older;
    }
    if (past->before != NULL) {
        past->before->after = past->after;
    } else {
        history->first = past->after;
    }
    if (past->after != NULL) {
        past->after->before = past->before;
    } else {
        history->last = past->before;
    }
    chain->n--;
    history->bytes -= past->bytes;
    rt_news_drop(past->news);
    free(past);
}

/* The chain is incomplete from here on, and says so. */
static void give_up(rt_history_t *history, rt_past_t *past)
{
    rt_chain_t *chain = past->chain;

    chain->known_after = rt_news_seq(past->news);
    take_out(history, past);
    if (chain->oldest == NULL) {
        history->on_empty(chain);
    }
}

void rt_history_free(rt_history_t *history)
{
    while (history->first != NULL) {
        take_out(history, history->first);
    }
    free(history);
}

void rt_chain_begin(rt_chain_t *chain, apr_uint64_t known_after)
{
    chain->oldest = chain->newest = NULL;
    chain->n = 0;
    chain->known_after = known_after;
}

void rt_history_keep(rt_history_t *history, rt_chain_t *chain, rt_news_t *news)
{
    rt_past_t *past = rt_need(sizeof(*past));

    rt_news_hold(news);
    past->news = news;
    past->chain = chain;
    past->bytes = sizeof(*past) + rt_news_bytes(news);
    past->older = chain->newest;
    if (chain->newest != NULL) {
        chain->newest->newer = past;
    } else {
        chain->oldest = past;
    }
    chain->newest = past;
    past->before = history->last;
    if (history->last != NULL) {
        history->last->after = past;
    } else {
        history->first = past;
    }
    history->last = past;
    chain->n++;
    history->bytes += past->bytes;
    if (chain->n > history->chain_max) {
        give_up(history, chain->oldest);
    }
    while (history->bytes > history->bytes_max && history->first != NULL) {
        give_up(history, history->first);
    }
}

void rt_history_drop(rt_history_t *history, rt_chain_t *chain)
{
    while (chain->oldest != NULL) {
        take_out(history, chain->oldest);
    }
}

int rt_chain_covers(const rt_chain_t *chain, apr_uint64_t after)
{
    return after >= chain->known_after;
}

/* Who comes back missed little, so the search starts at the newest. */
rt_past_t *rt_chain_after(const rt_chain_t *chain, apr_uint64_t after)
{
    rt_past_t *past = chain->newest, *found = NULL;

    while (past != NULL && rt_news_seq(past->news) > after) {
        found = past;
        past = past->older;
    }
    return found;
}

apr_size_t rt_chain_bytes(const rt_chain_t *chain, apr_uint64_t after)
{
    const rt_past_t *past = chain->newest;
    apr_size_t bytes = 0;

    for (; past != NULL && rt_news_seq(past->news) > after; past = past->older) {
        bytes += past->bytes;
    }
    return bytes;
}

rt_past_t *rt_past_next(const rt_past_t *past)
{
    return past->newer;
}

rt_news_t *rt_past_news(const rt_past_t *past)
{
    return past->news;
}

apr_size_t rt_history_bytes(const rt_history_t *history)
{
    return history->bytes;
}
