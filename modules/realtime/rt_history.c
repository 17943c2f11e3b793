/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists run through each entry: that of its room and that of all. Numbers rise, so both are
 * in order, and giving up an entry is taking it off both ends' list it stands first in. A room
 * of which nothing is kept has no chain; the floor answers for all of those.
 */
#include "rt_history.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>

#include "rt_memory.h"

/* A client is in a few rooms; more are never asked for at once. */
#define ROOMS_MAX 32

/* Clocks of hosts may differ by so much. */
#define SKEW_USEC 2000000

typedef struct past_t past_t;

typedef struct chain_t {
    past_t *oldest, *newest;
    int n;
    apr_uint64_t known_after;           /* everything numbered higher that the room saw is here */
    apr_time_t known_since;             /* when that was */
    char name[1];
} chain_t;

struct past_t {
    rt_news_t *news;
    chain_t *chain;
    past_t *older, *newer;              /* in the room */
    past_t *before, *after;             /* of all */
    apr_size_t bytes;
};

struct rt_history_t {
    pthread_mutex_t lock;
    apr_pool_t *pool;
    apr_hash_t *chains;                 /* by the room's name */
    past_t *first, *last;
    apr_size_t bytes, bytes_max;
    apr_uint64_t floor;                 /* rooms without chain saw nothing after this number */
    apr_time_t floor_at;                /* when that was; 0: the next that is kept tells */
    int chain_max;
};

rt_history_t *rt_history_make(int chain_max, apr_size_t bytes_max)
{
    rt_history_t *history = rt_need(sizeof(*history));

    pthread_mutex_init(&history->lock, NULL);
    if (apr_pool_create_unmanaged(&history->pool) != APR_SUCCESS) {
        abort();
    }
    history->chains = apr_hash_make(history->pool);
    history->chain_max = chain_max;
    history->bytes_max = bytes_max;
    return history;
}

static chain_t *chain_of(rt_history_t *history, const char *name)
{
    return apr_hash_get(history->chains, name, APR_HASH_KEY_STRING);
}

static chain_t *chain_need(rt_history_t *history, const char *name)
{
    chain_t *chain = chain_of(history, name);

    if (chain == NULL) {
        chain = rt_need(sizeof(*chain) + strlen(name));
        strcpy(chain->name, name);
        chain->known_after = history->floor;
        chain->known_since = history->floor_at;
        apr_hash_set(history->chains, chain->name, APR_HASH_KEY_STRING, chain);
    }
    return chain;
}

/* Of an empty chain only remains what the floor can say. */
static void chain_end(rt_history_t *history, chain_t *chain)
{
    apr_hash_set(history->chains, chain->name, APR_HASH_KEY_STRING, NULL);
    if (chain->known_after > history->floor) {
        history->floor = chain->known_after;
    }
    if (chain->known_since > history->floor_at) {
        history->floor_at = chain->known_since;
    }
    free(chain);
}

static void take_out(rt_history_t *history, past_t *past)
{
    chain_t *chain = past->chain;

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
static void give_up(rt_history_t *history, past_t *past)
{
    chain_t *chain = past->chain;

    chain->known_after = rt_news_seq(past->news);
    chain->known_since = rt_news_at(past->news);
    take_out(history, past);
    if (chain->oldest == NULL) {
        chain_end(history, chain);
    }
}

static void drop_all(rt_history_t *history)
{
    while (history->first != NULL) {
        give_up(history, history->first);
    }
}

void rt_history_free(rt_history_t *history)
{
    drop_all(history);
    apr_pool_destroy(history->pool);
    pthread_mutex_destroy(&history->lock);
    free(history);
}

void rt_history_forget(rt_history_t *history, apr_uint64_t seq)
{
    pthread_mutex_lock(&history->lock);
    drop_all(history);
    history->floor = seq;       /* lower than before when the log is a new one */
    history->floor_at = 0;
    pthread_mutex_unlock(&history->lock);
}

static void append(rt_history_t *history, rt_news_t *news)
{
    chain_t *chain = chain_need(history, rt_news_room(news));
    past_t *past = rt_need(sizeof(*past));

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
    while (chain->n > history->chain_max) {
        give_up(history, chain->oldest);
    }
}

void rt_history_keep(rt_history_t *history, rt_news_t *news)
{
    pthread_mutex_lock(&history->lock);
    if (history->floor_at == 0) {
        history->floor_at = rt_news_at(news);
    }
    append(history, news);
    while (history->bytes > history->bytes_max && history->first != NULL) {
        give_up(history, history->first);
    }
    pthread_mutex_unlock(&history->lock);
}

void rt_history_set_max(rt_history_t *history, int chain_max, apr_size_t bytes_max)
{
    pthread_mutex_lock(&history->lock);
    history->chain_max = chain_max;
    history->bytes_max = bytes_max;
    pthread_mutex_unlock(&history->lock);
}

/* --- looking --- */

/* The first entry after a number. Who comes back missed little, so the search starts at the
 * newest. */
static past_t *first_after(const chain_t *chain, apr_uint64_t after)
{
    past_t *past = chain != NULL ? chain->newest : NULL, *found = NULL;

    while (past != NULL && rt_news_seq(past->news) > after) {
        found = past;
        past = past->older;
    }
    return found;
}

/* The next of several chains, which it is taken off; NULL when there is none. */
static past_t *next_of(past_t **at, const rt_since_t *rooms, int n)
{
    past_t *next = NULL;
    int i, first = -1;

    for (i = 0; i < n; i++) {
        if (at[i] != NULL && rt_news_seq(at[i]->news) <= rooms[i].upto
            && (next == NULL || rt_news_seq(at[i]->news) < rt_news_seq(next->news))) {
            next = at[i];
            first = i;
        }
    }
    if (next != NULL) {
        at[first] = next->newer;
    }
    return next;
}

static int is_told(const chain_t *chain, const char *said_id, apr_time_t since)
{
    const past_t *past = chain != NULL ? chain->newest : NULL;
    const char *id;

    for (; past != NULL && rt_news_at(past->news) >= since; past = past->older) {
        id = rt_news_said_id(past->news);
        if (id != NULL && strcmp(id, said_id) == 0) {
            return 1;
        }
    }
    return 0;
}

int rt_history_lacks(rt_history_t *history, const char *room, const char *said_id,
                     apr_time_t said_at)
{
    const chain_t *chain;
    apr_time_t since;
    int lacks;

    pthread_mutex_lock(&history->lock);
    chain = chain_of(history, room);
    since = chain != NULL ? chain->known_since : history->floor_at;
    /* It was told after it was said, so if all that was told since then is here, so is that. */
    lacks = history->floor_at != 0 && since < said_at && !is_told(chain, said_id, 0);
    pthread_mutex_unlock(&history->lock);
    return lacks;
}

int rt_history_has(rt_history_t *history, const char *room, const char *said_id,
                   apr_time_t said_at)
{
    int has;

    pthread_mutex_lock(&history->lock);
    has = is_told(chain_of(history, room), said_id, said_at - SKEW_USEC);
    pthread_mutex_unlock(&history->lock);
    return has;
}

void rt_history_missed(rt_missed_t *missed, rt_history_t *history, const rt_since_t *rooms,
                       int n_rooms, apr_size_t bytes_max)
{
    past_t *at[ROOMS_MAX], *past;
    int i, size = 0;

    memset(missed, 0, sizeof(*missed));
    missed->is_complete = n_rooms <= ROOMS_MAX;
    n_rooms = n_rooms < ROOMS_MAX ? n_rooms : ROOMS_MAX;
    pthread_mutex_lock(&history->lock);
    for (i = 0; i < n_rooms; i++) {
        const chain_t *chain = chain_of(history, rooms[i].room);

        missed->is_complete &= rooms[i].after >= (chain != NULL ? chain->known_after
                                                  : history->floor);
        at[i] = first_after(chain, rooms[i].after);
    }
    while ((past = next_of(at, rooms, n_rooms)) != NULL) {
        if (missed->bytes + past->bytes > bytes_max) {
            missed->is_complete = 0;
            break;
        }
        if (missed->n == size) {
            size = size == 0 ? 16 : size * 2;
            missed->news = rt_need_more(missed->news, sizeof(*missed->news) * (apr_size_t)size);
        }
        rt_news_hold(past->news);
        missed->news[missed->n++] = past->news;
        missed->bytes += past->bytes;
    }
    pthread_mutex_unlock(&history->lock);
}

void rt_missed_free(rt_missed_t *missed)
{
    while (missed->n > 0) {
        rt_news_drop(missed->news[--missed->n]);
    }
    free(missed->news);
    missed->news = NULL;
}

apr_size_t rt_history_bytes(rt_history_t *history)
{
    apr_size_t bytes;

    pthread_mutex_lock(&history->lock);
    bytes = history->bytes;
    pthread_mutex_unlock(&history->lock);
    return bytes;
}
