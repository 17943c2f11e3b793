/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of pairs under one lock that is held for microseconds, and stripes of locks that are
 * held over a call of the core: coming and going of one person in one stream happens one after
 * the other, and who goes looks again whether somebody has come. A pair is counted before its
 * join is written, so a leave that comes second finds the count. It leaves the telling to whom
 * it finds, whose own join may still fail.
 */
#include "rt_viewers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_limit.h"
#include "hb_viewer.h"
#include "rt_memory.h"

#define STRIPES 1024
#define PAIR_BYTES 56           /* two ids and a colon */

typedef struct pair_t pair_t;

struct pair_t {
    char key[PAIR_BYTES];       /* stream:user */
    int n;                      /* sockets */
    int is_told;                /* the core may count this viewer */
    apr_uint64_t due;           /* in the queue, while n is 0 */
    pair_t *earlier, *later;
    int is_queued;
};

struct rt_viewers_t {
    pthread_mutex_t lock;
    pthread_mutex_t stripes[STRIPES];
    apr_pool_t *pool;
    apr_hash_t *pairs;
    pair_t *first, *last;       /* waiting to be gone, soonest first */
    apr_uint64_t grace_msec;
};

rt_viewers_t *rt_viewers_make(apr_uint64_t grace_msec)
{
    rt_viewers_t *viewers = rt_need(sizeof(*viewers));
    int i;

    if (apr_pool_create(&viewers->pool, NULL) != APR_SUCCESS) {
        abort();
    }
    viewers->pairs = apr_hash_make(viewers->pool);
    viewers->grace_msec = grace_msec;
    pthread_mutex_init(&viewers->lock, NULL);
    for (i = 0; i < STRIPES; i++) {
        pthread_mutex_init(&viewers->stripes[i], NULL);
    }
    return viewers;
}

void rt_viewers_free(rt_viewers_t *viewers)
{
    apr_hash_index_t *at;
    int i;

    for (at = apr_hash_first(viewers->pool, viewers->pairs); at != NULL;
         at = apr_hash_next(at)) {
        free(apr_hash_this_val(at));
    }
    apr_pool_destroy(viewers->pool);
    for (i = 0; i < STRIPES; i++) {
        pthread_mutex_destroy(&viewers->stripes[i]);
    }
    pthread_mutex_destroy(&viewers->lock);
    free(viewers);
}

void rt_viewers_set_grace(rt_viewers_t *viewers, apr_uint64_t grace_msec)
{
    pthread_mutex_lock(&viewers->lock);
    viewers->grace_msec = grace_msec;
    pthread_mutex_unlock(&viewers->lock);
}

static void key_make(char *key, const char *stream_id, const char *user_id)
{
    snprintf(key, PAIR_BYTES, "%.25s:%.25s", stream_id, user_id);
}

static pthread_mutex_t *stripe_of(rt_viewers_t *viewers, const char *key)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;

    return &viewers->stripes[apr_hashfunc_default(key, &len) % STRIPES];
}

/* --- under the lock --- */

static void unqueue(rt_viewers_t *viewers, pair_t *pair)
{
    if (!pair->is_queued) {
        return;
    }
    if (pair->earlier != NULL) {
        pair->earlier->later = pair->later;
    } else {
        viewers->first = pair->later;
    }
    if (pair->later != NULL) {
        pair->later->earlier = pair->earlier;
    } else {
        viewers->last = pair->earlier;
    }
    pair->is_queued = 0;
}

static void queue(rt_viewers_t *viewers, pair_t *pair, apr_uint64_t due)
{
    pair->due = due;
    pair->earlier = viewers->last;
    pair->later = NULL;
    if (viewers->last != NULL) {
        viewers->last->later = pair;
    } else {
        viewers->first = pair;
    }
    viewers->last = pair;
    pair->is_queued = 1;
}

static pair_t *pair_of(const rt_viewers_t *viewers, const char *key)
{
    return apr_hash_get(viewers->pairs, key, APR_HASH_KEY_STRING);
}

static void forget(rt_viewers_t *viewers, pair_t *pair)
{
    unqueue(viewers, pair);
    apr_hash_set(viewers->pairs, pair->key, APR_HASH_KEY_STRING, NULL);
    free(pair);
}

static void count_in(rt_viewers_t *viewers, const char *key, int is_told)
{
    pair_t *pair;

    pthread_mutex_lock(&viewers->lock);
    pair = pair_of(viewers, key);
    if (pair == NULL) {
        pair = rt_need(sizeof(*pair));
        memcpy(pair->key, key, PAIR_BYTES);
        apr_hash_set(viewers->pairs, pair->key, APR_HASH_KEY_STRING, pair);
    }
    pair->n++;
    pair->is_told |= is_told;
    unqueue(viewers, pair);
    pthread_mutex_unlock(&viewers->lock);
}

/*
 * The core counts this viewer: whoever is there will have to tell it of the end.
 * @return is anybody?
 */
static int leave_to_others(rt_viewers_t *viewers, const char *key)
{
    pair_t *pair;

    pthread_mutex_lock(&viewers->lock);
    pair = pair_of(viewers, key);
    if (pair != NULL) {
        pair->is_told = 1;
    }
    pthread_mutex_unlock(&viewers->lock);
    return pair != NULL;
}

/* A socket less; a viewer whom the core counts goes when no other comes in time. */
static void cut(rt_viewers_t *viewers, const char *key, apr_uint64_t now_msec)
{
    pair_t *pair;

    pthread_mutex_lock(&viewers->lock);
    pair = pair_of(viewers, key);
    if (pair != NULL && pair->n > 0 && --pair->n == 0) {
        if (pair->is_told) {
            queue(viewers, pair, now_msec + viewers->grace_msec);
        }
        else {
            forget(viewers, pair);
        }
    }
    pthread_mutex_unlock(&viewers->lock);
}

/* Nobody else comes in time for one of whom it is known that he does not come back. */
static void wait_no_more(rt_viewers_t *viewers, const char *key)
{
    pair_t *pair;

    pthread_mutex_lock(&viewers->lock);
    pair = pair_of(viewers, key);
    if (pair != NULL && pair->n == 0) {
        forget(viewers, pair);
    }
    pthread_mutex_unlock(&viewers->lock);
}

/* @return is nobody left? */
static int count_out(rt_viewers_t *viewers, const char *key)
{
    pair_t *pair;
    int is_empty = 1;

    pthread_mutex_lock(&viewers->lock);
    pair = pair_of(viewers, key);
    if (pair != NULL) {
        if (pair->n > 0) {
            pair->n--;
        }
        is_empty = pair->n == 0;
        if (is_empty) {
            forget(viewers, pair);
        }
    }
    pthread_mutex_unlock(&viewers->lock);
    return is_empty;
}

static int is_anybody(rt_viewers_t *viewers, const char *key)
{
    int is;

    pthread_mutex_lock(&viewers->lock);
    is = pair_of(viewers, key) != NULL;
    pthread_mutex_unlock(&viewers->lock);
    return is;
}

apr_size_t rt_viewers_count(rt_viewers_t *viewers)
{
    apr_size_t n;

    pthread_mutex_lock(&viewers->lock);
    n = apr_hash_count(viewers->pairs);
    pthread_mutex_unlock(&viewers->lock);
    return n;
}

/* --- in --- */

apr_status_t rt_viewers_join(hb_json_t **stream, rt_viewers_t *viewers, hb_op_t *op,
                             const char *stream_id)
{
    char key[PAIR_BYTES];
    pthread_mutex_t *stripe;
    apr_status_t rv;

    key_make(key, stream_id, op->actor.user_id);
    stripe = stripe_of(viewers, key);
    count_in(viewers, key, 0);
    pthread_mutex_lock(stripe);
    rv = hb_viewer_join(stream, op, stream_id);
    if (rv == APR_SUCCESS || hb_error_row(rv)->class == HB_CLASS_UNAVAILABLE) {
        leave_to_others(viewers, key);  /* it may be written, and only the answer lost */
    }
    if (rv != APR_SUCCESS) {
        /* Maybe of one who is in, by a socket that was cut or has gone meanwhile. */
        cut(viewers, key, (apr_uint64_t)(hb_limit_now() / 1000));
    }
    pthread_mutex_unlock(stripe);
    return rv;
}

apr_status_t rt_viewers_join_again(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id)
{
    char key[PAIR_BYTES];
    pthread_mutex_t *stripe;
    apr_status_t rv = APR_SUCCESS;

    key_make(key, stream_id, op->actor.user_id);
    stripe = stripe_of(viewers, key);
    pthread_mutex_lock(stripe);
    if (is_anybody(viewers, key)) {
        rv = hb_viewer_join_again(op, stream_id);
    }
    pthread_mutex_unlock(stripe);
    return rv;
}

int rt_viewers_list(const rt_viewer_t **list, rt_viewers_t *viewers, apr_pool_t *pool)
{
    apr_hash_index_t *at;
    rt_viewer_t *made;
    int n = 0;

    pthread_mutex_lock(&viewers->lock);
    made = apr_palloc(pool, (apr_hash_count(viewers->pairs) + 1) * sizeof(*made));
    for (at = apr_hash_first(pool, viewers->pairs); at != NULL; at = apr_hash_next(at)) {
        const pair_t *pair = apr_hash_this_val(at);
        const char *colon = strchr(pair->key, ':');

        made[n].stream_id = apr_pstrmemdup(pool, pair->key, (apr_size_t)(colon - pair->key));
        made[n++].user_id = apr_pstrdup(pool, colon + 1);
    }
    pthread_mutex_unlock(&viewers->lock);
    *list = made;
    return n;
}

void rt_viewers_assume(rt_viewers_t *viewers, const char *stream_id, const char *user_id)
{
    char key[PAIR_BYTES];

    key_make(key, stream_id, user_id);
    count_in(viewers, key, 1);
}

/* --- out --- */

void rt_viewers_cut(rt_viewers_t *viewers, const char *stream_id, const char *user_id,
                    apr_uint64_t now_msec)
{
    char key[PAIR_BYTES];

    key_make(key, stream_id, user_id);
    cut(viewers, key, now_msec);
}

static apr_status_t settle(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id, int is_meant)
{
    char key[PAIR_BYTES];
    pthread_mutex_t *stripe;
    apr_status_t rv = APR_SUCCESS;

    key_make(key, stream_id, op->actor.user_id);
    stripe = stripe_of(viewers, key);
    pthread_mutex_lock(stripe);
    if (is_meant) {
        wait_no_more(viewers, key);
    }
    if (!leave_to_others(viewers, key)) {
        rv = hb_viewer_leave(op, stream_id);
    }
    if (rv != APR_SUCCESS && hb_error_row(rv)->class == HB_CLASS_UNAVAILABLE) {
        /* Nobody else would tell the core: once more when the time is over again. */
        count_in(viewers, key, 1);
        cut(viewers, key, (apr_uint64_t)(hb_limit_now() / 1000));
    }
    pthread_mutex_unlock(stripe);
    return rv;
}

apr_status_t rt_viewers_settle(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id)
{
    return settle(viewers, op, stream_id, 0);
}

apr_status_t rt_viewers_leave(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id)
{
    return settle(viewers, op, stream_id, 1);
}

int rt_viewers_drop(rt_viewers_t *viewers, const char *stream_id, const char *user_id)
{
    char key[PAIR_BYTES];

    key_make(key, stream_id, user_id);
    return count_out(viewers, key);
}

void rt_viewers_due(rt_viewers_t *viewers, apr_uint64_t now_msec,
                    void (*fn)(void *baton, const char *stream_id, const char *user_id),
                    void *baton)
{
    char key[PAIR_BYTES], *colon;

    for (;;) {
        pthread_mutex_lock(&viewers->lock);
        key[0] = '\0';
        if (viewers->first != NULL && viewers->first->due <= now_msec) {
            memcpy(key, viewers->first->key, PAIR_BYTES);
            forget(viewers, viewers->first);
        }
        pthread_mutex_unlock(&viewers->lock);
        if (key[0] == '\0') {
            return;
        }
        colon = strchr(key, ':');
        *colon = '\0';
        fn(baton, key, colon + 1);
    }
}
