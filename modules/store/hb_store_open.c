/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backend a URL names, and its life here: opened when it can be and again when it was
 * lost, lent to one call after another, which are counted and timed, and closed when none is left.
 * What is called is in hb_store.c and hb_store_keep.c; what a backend does, in store_*.c.
 */
#include "hb_store_front.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_plugin.h"
#include "hb_store_copy.h"

extern const hb_store_driver_t store_sqlite_driver;
const char *store_sqlite_path(const hb_site_t *site, const char *url, apr_pool_t *pool);

/* Backends by scheme. One that is a file of its own names it, and the package it is built with. */
typedef struct backend_t {
    const char *scheme, *accepts;
    const hb_store_driver_t *driver;    /* NULL: in plugin */
    const char *plugin, *package;
} backend_t;

#define MONGODB "hb_store_mongodb.so", "libmongoc-dev (for building) or libmongoc-1.0-0"

static const backend_t backends[] = {
    { "sqlite",      "sqlite:FILE",         &store_sqlite_driver },
    { "mongodb",     "mongodb://HOSTS/DB",  NULL, MONGODB },
    { "mongodb+srv", "mongodb+srv://NAME/DB", NULL, MONGODB },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

#define BACKOFF_FIRST_USEC 100000
#define BACKOFF_MOST_USEC 1000000
#define CLOSE_WAIT_USEC 2000000     /* for calls under way when the process ends */
#define RETRY_AFTER_SEC 2

/* One opened backend. Calls hold it by `users`, so that a lost one goes with its last call. */
typedef struct hb_store_instance_t {
    void *self;
    apr_pool_t *pool;
    int users;
    int is_retired;
} instance_t;

struct hb_store_t {
    const backend_t *backend;
    const hb_store_driver_t *driver;    /* NULL while its file cannot be opened */
    hb_site_t *site;
    const char *url;
    int is_to_copy;                 /* an unfinished copy is welcome */
    pthread_mutex_t lock;           /* of all below */
    pthread_cond_t changed;
    instance_t *instance;           /* NULL while records cannot be reached */
    int is_opening;
    int is_closed;
    int n_users;                    /* of all instances */
    apr_int64_t retry_at;           /* hb_clock */
    apr_interval_time_t backoff;
};

static const backend_t *backend_of(const char *url)
{
    int i;

    for (i = 0; i < N_BACKENDS; i++) {
        apr_size_t n = strlen(backends[i].scheme);

        if (strncmp(url, backends[i].scheme, n) == 0 && url[n] == ':' && url[n + 1] != '\0') {
            return &backends[i];
        }
    }
    return NULL;
}

const char *hb_store_url_check(const char *url, apr_pool_t *pool)
{
    const backend_t *backend = url != NULL ? backend_of(url) : NULL;
    const char *accepted = NULL;
    int i;

    if (backend != NULL && backend->plugin != NULL) {
        const char *why = hb_mongodb_url_misfit(url, pool);

        return why != NULL ? why : hb_plugin_missing(backend->plugin, backend->package, pool);
    }
    if (backend != NULL) {
        return NULL;
    }
    for (i = 0; i < N_BACKENDS; i++) {
        accepted = accepted == NULL ? backends[i].accepts
            : apr_pstrcat(pool, accepted, ", ", backends[i].accepts, NULL);
    }
    /* Only the scheme is repeated: the rest of a URL may hold a password. */
    return apr_psprintf(pool, "no backend takes '%.*s:...'; accepted: %s",
                        url != NULL ? (int)strcspn(url, ":/@") : 0,
                        url != NULL ? url : "", accepted);
}

static const hb_store_driver_t *load_driver(hb_store_t *store)
{
    const hb_store_driver_t *driver = store->backend->driver;
    apr_pool_t *pool;
    const char *why;

    if (driver != NULL || apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) {
        return driver;
    }
    /* MongoDB's driver would keep counters in a file of /dev/shm, which a killed process leaves. */
    setenv("MONGOC_DISABLE_SHM", "1", 1);
    driver = hb_plugin_symbol(&why, store->backend->plugin, "hb_store_plugin", pool);
    if (driver == NULL) {
        hb_log_to(&store->site->log, HB_LOG_ERR, 0, HBLOGNO(01141) "the backend of HaloBuzzStore "
                  "cannot be opened: %s; it needs %s", why, store->backend->package);
    }
    apr_pool_destroy(pool);
    return driver;
}

/* Call with the lock held; gives it back while the backend opens. */
static void open_instance(hb_store_t *store)
{
    instance_t *instance = calloc(1, sizeof(*instance));
    apr_status_t rv = APR_ENOMEM;

    store->is_opening = 1;
    pthread_mutex_unlock(&store->lock);
    if (store->driver == NULL) {        /* only ever set by the one who opens */
        store->driver = load_driver(store);
    }
    /* Not below any other pool: at exit no pool must take it from a thread that still uses it. */
    if (instance != NULL && store->driver != NULL
        && apr_pool_create_unmanaged_ex(&instance->pool, NULL, NULL) == APR_SUCCESS) {
        rv = store->driver->open(&instance->self, store->site, store->url,
                                 store->is_to_copy, instance->pool);
        if (rv != APR_SUCCESS) {
            apr_pool_destroy(instance->pool);
        }
    }
    pthread_mutex_lock(&store->lock);
    store->is_opening = 0;
    if (rv == APR_SUCCESS) {
        store->instance = instance;
        store->backoff = 0;
    }
    else {
        free(instance);
        store->backoff = store->backoff == 0 ? BACKOFF_FIRST_USEC : store->backoff * 2;
        if (store->backoff > BACKOFF_MOST_USEC) {
            store->backoff = BACKOFF_MOST_USEC;
        }
        store->retry_at = hb_clock() + store->backoff;
    }
    pthread_cond_broadcast(&store->changed);
}

static void drop_instance(instance_t *instance)
{
    apr_pool_destroy(instance->pool);
    free(instance);
}

static apr_status_t wait_until(hb_store_t *store, apr_int64_t deadline)
{
    struct timespec at = hb_clock_at(deadline);

    return pthread_cond_timedwait(&store->changed, &store->lock, &at);
}

static instance_t *take_instance(hb_store_t *store)
{
    apr_int64_t deadline = 0;
    instance_t *instance;

    pthread_mutex_lock(&store->lock);
    while (store->instance == NULL && !store->is_closed) {
        apr_int64_t now = hb_clock();

        if (store->is_opening) {
            if (deadline == 0) {
                deadline = now + store->site->settings->store_wait;
            }
            /* One that failed before may fail again: that is not worth a thread. */
            if (store->backoff != 0 || wait_until(store, deadline) != 0) {
                break;
            }
        }
        else if (now < store->retry_at) {
            break;
        }
        else {
            open_instance(store);
        }
    }
    instance = store->is_closed ? NULL : store->instance;
    if (instance != NULL) {
        instance->users++;
        store->n_users++;
    }
    pthread_mutex_unlock(&store->lock);
    return instance;
}

/* Not 0 when it turned out to be lost just now. */
static int give_instance(hb_store_t *store, instance_t *instance)
{
    int is_lost = store->driver->is_lost(instance->self);
    int is_last, is_new = 0;

    pthread_mutex_lock(&store->lock);
    if (is_lost && !instance->is_retired) {
        instance->is_retired = is_new = 1;
        store->instance = NULL;
    }
    store->n_users--;
    is_last = --instance->users == 0 && instance->is_retired;
    if (store->is_closed) {
        pthread_cond_broadcast(&store->changed);
    }
    pthread_mutex_unlock(&store->lock);
    if (is_last) {
        drop_instance(instance);
    }
    return is_new;
}

apr_status_t hb_store_begin(hb_store_call_t *call, hb_op_t *op, const char *what,
                            hb_collection_e in, hb_metric_e metric)
{
    memset(call, 0, sizeof(*call));
    call->op = op;
    call->store = op->site->store;
    call->what = what;
    call->in = in;
    call->started = hb_clock();
    hb_metric_add(op->site->metrics, metric, 1);
    if (op->tx != NULL) {
        call->self = op->tx->self;
        call->driver = call->store->driver;
        return APR_SUCCESS;
    }
    if (call->store != NULL) {
        call->instance = take_instance(call->store);
    }
    if (call->instance == NULL) {
        hb_metric_add(op->site->metrics, HB_M_STORE_ERRORS, 1);
        return hb_fail_later(op, HB_E_STORE_DOWN, RETRY_AFTER_SEC,
                             "records cannot be reached just now");
    }
    call->self = call->instance->self;
    call->driver = call->store->driver;
    return APR_SUCCESS;
}

static int is_our_failure(apr_status_t rv)
{
    return rv == HB_E_STORE_DOWN || rv == HB_E_STORE_READONLY || rv == HB_E_STORE_CONFLICT
        || rv == HB_E_STORE_DAMAGED || rv == HB_E_INTERNAL;
}

static const char *const match_words[] = {
    "is", "is not", "below", "at most", "above", "at least", "starts with", "one of", "has"
};

/* The shape of a query for the log: fields and how, never values. */
static const char *query_text(hb_op_t *op, const hb_query_t *query)
{
    const char *text = "";
    int i;

    for (i = 0; i < query->n_where; i++) {
        text = apr_pstrcat(op->pool, text, i == 0 ? " where " : ", ", query->where[i].field,
                           " ", match_words[query->where[i].how], NULL);
    }
    for (i = 0; i < 2 && query->sort[i].field != NULL; i++) {
        text = apr_pstrcat(op->pool, text, i == 0 ? " by " : ", ", query->sort[i].field,
                           query->sort[i].descending ? "-" : "", NULL);
    }
    return text;
}

apr_status_t hb_store_end(hb_store_call_t *call, apr_status_t rv, const hb_query_t *query)
{
    hb_op_t *op = call->op;
    apr_interval_time_t slow = op->site->settings->store_slow;
    apr_int64_t took = hb_clock() - call->started;

    if (is_our_failure(rv)) {
        hb_metric_add(op->site->metrics, HB_M_STORE_ERRORS, 1);
    }
    if (slow > 0 && took > slow && !call->is_long) {
        hb_metric_add(op->site->metrics, HB_M_STORE_SLOW, 1);
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(01001) "slow: store %s%s%s took %"
               APR_INT64_T_FMT " ms%s", call->what, call->in != HB_SHAPE_NONE ? " " : "",
               call->in != HB_SHAPE_NONE ? hb_shape(call->in)->name : "", took / 1000,
               query != NULL ? query_text(op, query) : "");
    }
    if (call->instance != NULL && give_instance(call->store, call->instance)) {
        hb_cache_flush(op, "cache");    /* it knows of records that are no more */
    }
    return rv;
}

/* The driver, for what is done to a file that nobody has open. */
static const hb_store_driver_t *file_driver(hb_op_t *op)
{
    const backend_t *backend = backend_of(op->site->settings->store_url);

    if (backend != NULL && backend->driver != NULL && backend->driver->put != NULL) {
        return backend->driver;
    }
    hb_fail(op, HB_E_UNAVAILABLE, "records are not in a file of this machine: unpack the backup, "
            "then halobuzzctl store copy sqlite:FILE into an empty database");
    return NULL;
}

apr_status_t hb_store_is_used(int *is_used, hb_op_t *op)
{
    const hb_store_driver_t *driver = file_driver(op);

    return driver == NULL ? HB_E_UNAVAILABLE
        : driver->is_used(is_used, op, op->site->settings->store_url);
}

apr_status_t hb_store_put(const char **aside, hb_op_t *op, const char *file, int is_used)
{
    const hb_store_driver_t *driver = file_driver(op);

    *aside = NULL;
    return driver == NULL ? HB_E_UNAVAILABLE
        : driver->put(aside, op, op->site->settings->store_url, file, is_used);
}

/* When the process ends in a hurry, threads may still be inside a call: then leave all as
 * it is, for the end of the process frees it and every backend is safe against that. */
static apr_status_t close_store(void *data)
{
    hb_store_t *store = data;
    instance_t *instance = NULL;
    apr_int64_t deadline = hb_clock() + CLOSE_WAIT_USEC;
    int is_idle;

    pthread_mutex_lock(&store->lock);
    store->is_closed = 1;
    pthread_cond_broadcast(&store->changed);
    while (store->n_users > 0 || store->is_opening) {
        if (wait_until(store, deadline) != 0) {
            break;
        }
    }
    if (store->n_users == 0 && !store->is_opening) {
        instance = store->instance;
        store->instance = NULL;
    }
    is_idle = store->n_users == 0 && !store->is_opening;
    pthread_mutex_unlock(&store->lock);
    if (instance != NULL) {
        drop_instance(instance);
    }
    if (is_idle) {
        free(store);
    }
    return APR_SUCCESS;
}

static apr_status_t open_store(hb_store_t **store, hb_site_t *site, const char *url,
                               int is_to_copy, apr_pool_t *pool)
{
    const char *why = hb_store_url_check(url, pool);
    hb_store_t *s;

    *store = NULL;
    if (why != NULL) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(01002) "HaloBuzzStore: %s", why);
        return HB_E_CONFIG;
    }
    /* Not from the pool: a thread that outlives the pool's end must find its lock. */
    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return APR_ENOMEM;
    }
    s->backend = backend_of(url);
    s->site = site;
    s->url = apr_pstrdup(pool, url);
    s->is_to_copy = is_to_copy;
    pthread_mutex_init(&s->lock, NULL);
    hb_clock_cond_init(&s->changed);
    apr_pool_cleanup_register(pool, s, close_store, apr_pool_cleanup_null);

    /* Try at once, so that the log says at start what is wrong; later calls try again. */
    pthread_mutex_lock(&s->lock);
    open_instance(s);
    pthread_mutex_unlock(&s->lock);
    *store = s;
    return APR_SUCCESS;
}

apr_status_t hb_store_open(hb_store_t **store, hb_site_t *site, const char *url,
                           apr_pool_t *pool)
{
    return open_store(store, site, url, 0, pool);
}

apr_status_t hb_store_open_to_copy(hb_store_t **store, hb_site_t *site, const char *url,
                                   apr_pool_t *pool)
{
    apr_status_t rv = open_store(store, site, url, 1, pool);

    return rv == APR_SUCCESS && (*store)->instance == NULL ? HB_E_STORE_DOWN : rv;
}

int hb_store_is_in_use(const char **what, hb_op_t *op, const char *url)
{
    const backend_t *backend = backend_of(url);
    const char *hosts, *at;
    int is_used;

    if (backend != NULL && backend->driver != NULL && backend->driver->is_used != NULL) {
        *what = apr_pstrcat(op->pool, backend->scheme, ":",
                            store_sqlite_path(op->site, url, op->pool), NULL);
        return backend->driver->is_used(&is_used, op, url) == APR_SUCCESS ? is_used : -1;
    }
    hosts = apr_pstrmemdup(op->pool, url, strcspn(url, "?"));
    at = strrchr(hosts, '@');
    at = at != NULL ? at + 1 : strstr(hosts, "://") != NULL ? strstr(hosts, "://") + 3 : hosts;
    *what = apr_pstrcat(op->pool, "mongodb://", at, NULL);
    return -1;
}
