/* SPDX-License-Identifier: Apache-2.0 */
/* What was to be removed while Redis was away. Beyond KEYS_MOST only namespaces are remembered. */
#include "cache_redis_mend.h"

#include <pthread.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_clock.h"

#define KEYS_MOST 4096
#define TRY_EVERY_MSEC 100

struct mend_t {
    hb_site_t *site;
    mend_remove_fn *remove;
    mend_flush_fn *flush;
    void *baton;
    pthread_mutex_t lock;       /* of all below */
    pthread_cond_t changed;
    pthread_t thread;
    int has_thread, is_over;
    int n_due;                  /* keys and namespaces; read without the lock, too */
    unsigned int n_noted;       /* calls of mend_note */
    apr_pool_t *pool;           /* of what the tables hold; fresh when they are empty */
    apr_hash_t *keys, *spaces;
};

/* One that is to be removed, copied into pool; its table. Call with the lock held. */
static apr_hash_t *first_of(const char **name, mend_t *mend, apr_pool_t *pool)
{
    apr_hash_t *table = apr_hash_count(mend->keys) > 0 ? mend->keys : mend->spaces;
    apr_hash_index_t *at = apr_hash_first(pool, table);

    *name = at != NULL ? apr_pstrdup(pool, apr_hash_this_key(at)) : NULL;
    return at != NULL ? table : NULL;
}

static void begin_anew(mend_t *mend)
{
    apr_pool_clear(mend->pool);
    mend->keys = apr_hash_make(mend->pool);
    mend->spaces = apr_hash_make(mend->pool);
}

/* With the lock held; gives it back while Redis is asked. @return could one be removed? */
static int mend_one(mend_t *mend, apr_pool_t *pool)
{
    const char *name;
    apr_hash_t *table = first_of(&name, mend, pool);
    unsigned int n_noted = mend->n_noted;
    apr_status_t rv;
    hb_op_t *op;

    pthread_mutex_unlock(&mend->lock);
    op = hb_op_make(mend->site, pool);
    rv = (table == mend->keys ? mend->remove : mend->flush)(mend->baton, op, name);
    pthread_mutex_lock(&mend->lock);
    /* Noted again meanwhile, its value may be one from behind this removal: once more then. */
    if (rv == APR_SUCCESS && mend->n_noted == n_noted) {
        apr_hash_set(table, name, APR_HASH_KEY_STRING, NULL);
        __atomic_store_n(&mend->n_due, (int)(apr_hash_count(mend->keys)
                                             + apr_hash_count(mend->spaces)), __ATOMIC_RELEASE);
        if (mend->n_due == 0) {
            begin_anew(mend);
        }
    }
    return rv == APR_SUCCESS;
}

static void *run(void *baton)
{
    mend_t *mend = baton;
    apr_pool_t *pool;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return NULL;
    }
    pthread_mutex_lock(&mend->lock);
    while (!mend->is_over) {
        if (mend->n_due == 0) {
            pthread_cond_wait(&mend->changed, &mend->lock);
        }
        else if (!mend_one(mend, pool) && !mend->is_over) {
            struct timespec until = hb_clock_at(hb_clock() + TRY_EVERY_MSEC * 1000);

            pthread_cond_timedwait(&mend->changed, &mend->lock, &until);
        }
        apr_pool_clear(pool);
    }
    pthread_mutex_unlock(&mend->lock);
    apr_pool_destroy(pool);
    return NULL;
}

static apr_status_t close_mend(void *data)
{
    mend_t *mend = data;

    pthread_mutex_lock(&mend->lock);
    mend->is_over = 1;
    pthread_cond_broadcast(&mend->changed);
    pthread_mutex_unlock(&mend->lock);
    if (mend->has_thread) {
        pthread_join(mend->thread, NULL);
    }
    pthread_cond_destroy(&mend->changed);
    pthread_mutex_destroy(&mend->lock);
    apr_pool_destroy(mend->pool);
    return APR_SUCCESS;
}

mend_t *mend_make(hb_site_t *site, mend_remove_fn *remove, mend_flush_fn *flush, void *baton,
                  apr_pool_t *pool)
{
    mend_t *mend = apr_pcalloc(pool, sizeof(*mend));

    mend->site = site;
    mend->remove = remove;
    mend->flush = flush;
    mend->baton = baton;
    if (apr_pool_create_unmanaged(&mend->pool) != APR_SUCCESS) {
        return NULL;
    }
    begin_anew(mend);
    pthread_mutex_init(&mend->lock, NULL);
    hb_clock_cond_init(&mend->changed);
    apr_pool_pre_cleanup_register(pool, mend, close_mend);
    return mend;
}

static void remember(apr_hash_t *table, const char *name, apr_size_t len, apr_pool_t *pool)
{
    if (apr_hash_get(table, name, (apr_ssize_t)len) == NULL) {
        name = apr_pstrmemdup(pool, name, len);
        apr_hash_set(table, name, (apr_ssize_t)len, name);
    }
}

void mend_note(mend_t *mend, const char *key)
{
    pthread_mutex_lock(&mend->lock);
    mend->n_noted++;
    if (apr_hash_count(mend->keys) < KEYS_MOST) {
        remember(mend->keys, key, strlen(key), mend->pool);
    } else {
        remember(mend->spaces, key, strcspn(key, ":"), mend->pool);
    }
    __atomic_store_n(&mend->n_due, (int)(apr_hash_count(mend->keys)
                                         + apr_hash_count(mend->spaces)), __ATOMIC_RELEASE);
    if (!mend->has_thread) {
        mend->has_thread = pthread_create(&mend->thread, NULL, run, mend) == 0;
    }
    pthread_cond_signal(&mend->changed);
    pthread_mutex_unlock(&mend->lock);
}

int mend_is_due(const mend_t *mend)
{
    return __atomic_load_n(&mend->n_due, __ATOMIC_ACQUIRE) > 0;
}
