/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by key; a key that comes to nothing is forgotten. */
#include "rt_tally.h"

#include <pthread.h>
#include <stdlib.h>

#include <apr_hash.h>
#include <apr_pools.h>

#include "rt_memory.h"

typedef struct entry_t {
    int n;
    char key[1];
} entry_t;

struct rt_tally_t {
    pthread_mutex_t lock;
    apr_pool_t *pool;
    apr_hash_t *entries;
    int max;
};

rt_tally_t *rt_tally_make(int max)
{
    rt_tally_t *tally = rt_need(sizeof(*tally));

    if (apr_pool_create(&tally->pool, NULL) != APR_SUCCESS) {
        abort();
    }
    tally->entries = apr_hash_make(tally->pool);
    tally->max = max;
    pthread_mutex_init(&tally->lock, NULL);
    return tally;
}

void rt_tally_free(rt_tally_t *tally)
{
    apr_hash_index_t *at;

    for (at = apr_hash_first(tally->pool, tally->entries); at != NULL; at = apr_hash_next(at)) {
        free(apr_hash_this_val(at));
    }
    apr_pool_destroy(tally->pool);
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

int rt_tally_take(rt_tally_t *tally, const char *key)
{
    entry_t *entry;
    int is_taken = 1;

    pthread_mutex_lock(&tally->lock);
    entry = apr_hash_get(tally->entries, key, APR_HASH_KEY_STRING);
    if (entry == NULL) {
        entry = rt_need(sizeof(*entry) + strlen(key));
        strcpy(entry->key, key);
        apr_hash_set(tally->entries, entry->key, APR_HASH_KEY_STRING, entry);
    }
    if (tally->max > 0 && entry->n >= tally->max) {
        is_taken = 0;
    } else {
        entry->n++;
    }
    pthread_mutex_unlock(&tally->lock);
    return is_taken;
}

void rt_tally_give(rt_tally_t *tally, const char *key)
{
    entry_t *entry;

    pthread_mutex_lock(&tally->lock);
    entry = apr_hash_get(tally->entries, key, APR_HASH_KEY_STRING);
    if (entry != NULL && --entry->n == 0) {
        apr_hash_set(tally->entries, entry->key, APR_HASH_KEY_STRING, NULL);
        free(entry);
    }
    pthread_mutex_unlock(&tally->lock);
}

void rt_tally_set_max(rt_tally_t *tally, int max)
{
    pthread_mutex_lock(&tally->lock);
    tally->max = max;
    pthread_mutex_unlock(&tally->lock);
}
