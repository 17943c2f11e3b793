/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes on the server: which are there, and making them. A server makes an index while
 * others write, so nothing has to stop; one that is not as hb_schema.def wants it is
 * dropped and made anew.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#define NO_INDEX 27             /* IndexNotFound */

typedef enum state_e { IS_MISSING, IS_DIFFERENT, IS_GOOD } state_e;

static const char *const state_words[] = { "missing", "different", "good" };

/* Is a member of the server's description the one that we would give? Both may lack it. */
static int has_same(const bson_t *has, const bson_t *wanted, const char *key)
{
    bson_iter_t a, b;
    bson_t doc_a, doc_b;
    const uint8_t *bytes;
    uint32_t n;
    int in_a = bson_iter_init_find(&a, has, key) && BSON_ITER_HOLDS_DOCUMENT(&a);
    int in_b = bson_iter_init_find(&b, wanted, key) && BSON_ITER_HOLDS_DOCUMENT(&b);

    if (!in_a || !in_b) {
        return in_a == in_b;
    }
    bson_iter_document(&a, &n, &bytes);
    if (!bson_init_static(&doc_a, bytes, n)) {
        return 0;
    }
    bson_iter_document(&b, &n, &bytes);
    return bson_init_static(&doc_b, bytes, n) && bson_equal(&doc_a, &doc_b);
}

/* The same keys in the same order and directions; a server may give them as any number. */
static int has_same_keys(const bson_t *has, const bson_t *wanted)
{
    bson_iter_t iter, a, b;
    int good = bson_iter_init_find(&iter, has, "key") && BSON_ITER_HOLDS_DOCUMENT(&iter)
        && bson_iter_recurse(&iter, &a) && bson_iter_init_find(&iter, wanted, "key")
        && bson_iter_recurse(&iter, &b);

    while (good && bson_iter_next(&b)) {
        good = bson_iter_next(&a) && strcmp(bson_iter_key(&a), bson_iter_key(&b)) == 0
            && bson_iter_as_int64(&a) == bson_iter_as_int64(&b);
    }
    return good && !bson_iter_next(&a);
}

static state_e state_of(const bson_t *has, const hb_index_row_t *row, apr_pool_t *pool)
{
    bson_t wanted = BSON_INITIALIZER;
    bson_iter_t iter;
    int good;

    mongo_layout_append_index(&wanted, row, pool);
    good = has_same_keys(has, &wanted) && has_same(has, &wanted, "partialFilterExpression")
        && (bson_iter_init_find(&iter, has, "unique") && bson_iter_as_bool(&iter))
           == ((row->flags & HB_INDEX_UNIQUE) != 0);
    bson_destroy(&wanted);
    return good ? IS_GOOD : IS_DIFFERENT;
}

/* A strange index of a collection. */
typedef void extra_fn(void *baton, const hb_shape_row_t *shape, const char *name);

/* The states of a collection's indexes, in the order of its rows; 0 when the server does not tell. */
static int look(char *states, mongo_t *self, mongoc_client_t *client,
                const hb_shape_row_t *shape, apr_pool_t *pool, extra_fn *extra, void *baton,
                bson_error_t *error)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db,
                                                                   shape->name);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, NULL);
    const bson_t *doc;
    bson_iter_t iter;
    int i, good;

    memset(states, IS_MISSING, (apr_size_t)shape->n_indexes);
    while (mongoc_cursor_next(cursor, &doc)) {
        const char *name = bson_iter_init_find(&iter, doc, "name") && BSON_ITER_HOLDS_UTF8(&iter)
            ? bson_iter_utf8(&iter, NULL) : "";

        for (i = 0; i < shape->n_indexes && strcmp(shape->indexes[i].name, name) != 0; i++) {
        }
        if (i < shape->n_indexes) {
            states[i] = (char)state_of(doc, &shape->indexes[i], pool);
        }
        else if (strcmp(name, "_id_") != 0 && extra != NULL) {
            extra(baton, shape, name);
        }
    }
    good = !mongoc_cursor_error(cursor, error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return good;
}

void mongo_index_check(mongo_t *self, mongoc_client_t *client, apr_pool_t *pool,
                       void (*fn)(void *baton, const char *finding), void *baton)
{
    bson_error_t error;
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape((hb_shape_e)s);
        char *states = apr_pcalloc(pool, (apr_size_t)shape->n_indexes + 1);

        if (shape->role != HB_IS_COLLECTION || shape->n_indexes == 0) {
            continue;
        }
        if (!look(states, self, client, shape, pool, NULL, NULL, &error)) {
            fn(baton, apr_psprintf(pool, "layout: indexes of %s: %s", shape->name, error.message));
            continue;
        }
        for (i = 0; i < shape->n_indexes; i++) {
            if (states[i] != IS_GOOD) {
                fn(baton, apr_psprintf(pool, "layout: index %s of %s is %s", shape->indexes[i].name,
                                       shape->name, states[i] == IS_MISSING ? "missing"
                                       : "not as this program wants it"));
            }
        }
    }
}

/* --- the list --- */

typedef struct list_t {
    hb_json_t *json;
    apr_pool_t *pool;
} list_t;

static hb_json_t *list_one(const list_t *list, const hb_shape_row_t *shape, const char *name,
                           const char *state)
{
    hb_json_t *json = hb_json_object_make(list->pool);

    hb_json_set_string(json, "collection", shape->name);
    hb_json_set_string(json, "index", name);
    hb_json_set_string(json, "state", state);
    hb_json_push(list->json, json);
    return json;
}

static void list_extra(void *baton, const hb_shape_row_t *shape, const char *name)
{
    list_one(baton, shape, name, "extra");
}

static void list_wanted(const list_t *list, const hb_shape_row_t *shape, const char *states)
{
    int i;

    for (i = 0; i < shape->n_indexes; i++) {
        const hb_index_row_t *row = &shape->indexes[i];
        hb_json_t *json = list_one(list, shape, row->name, state_words[(int)states[i]]);

        hb_json_set_string(json, "fields", row->fields);
        hb_json_set_bool(json, "unique", (row->flags & HB_INDEX_UNIQUE) != 0);
        hb_json_set_bool(json, "partial", (row->flags & HB_INDEX_SPARSE) != 0);
    }
}

apr_status_t store_mongodb_indexes(void *self, hb_json_t **json, hb_op_t *op)
{
    list_t list = { hb_json_array_make(op->pool), op->pool };
    mongo_call_t call;
    bson_error_t error;
    apr_status_t rv = mongo_take(&call, self, op);
    int s;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        const hb_shape_row_t *shape = hb_shape((hb_shape_e)s);
        char *states = apr_pcalloc(op->pool, (apr_size_t)shape->n_indexes + 1);

        if (shape->role != HB_IS_COLLECTION) {
            continue;
        }
        if (!look(states, self, call.client, shape, op->pool, list_extra, &list, &error)) {
            rv = mongo_fail(self, op, "indexes", &error, NULL);
        }
        list_wanted(&list, shape, states);
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    if (rv == APR_SUCCESS) {
        *json = list.json;
    }
    return rv;
}

/* --- making them --- */

typedef struct job_t {
    mongo_t *self;
    hb_op_t *op;
    mongoc_client_t *client;
    int all;
    hb_store_report_fn *report;
    void *baton;
    apr_int64_t done, total;
} job_t;

/* A unique index that is good is never dropped: nobody would stop a duplicate meanwhile. */
static int has_to_be_made(const job_t *job, const hb_index_row_t *row, char state)
{
    return state != IS_GOOD || (job->all && !(row->flags & HB_INDEX_UNIQUE));
}

/* Those of one collection, by one command: the server reads its records once for all. */
static bool make_these(mongo_t *self, mongoc_client_t *client, const hb_shape_row_t *shape,
                       const char *states, const char *which, apr_pool_t *pool, bson_error_t *error)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(client, self->db, shape->name);
    bool good = true;
    int i;

    for (i = 0; i < shape->n_indexes && good; i++) {
        if (which[i] && states[i] != IS_MISSING) {
            good = mongoc_collection_drop_index(collection, shape->indexes[i].name, error)
                || error->code == NO_INDEX;     /* another host does the same just now */
        }
    }
    mongoc_collection_destroy(collection);
    return good && mongo_layout_indexes(self, client, shape, which, pool, error);
}

bool mongo_index_mend(mongo_t *self, mongoc_client_t *client, const hb_shape_row_t *shape,
                      apr_pool_t *pool, bson_error_t *error)
{
    char *states = apr_pcalloc(pool, (apr_size_t)shape->n_indexes + 1);
    char *which = apr_pcalloc(pool, (apr_size_t)shape->n_indexes + 1);
    int i, n = 0;

    if (!look(states, self, client, shape, pool, NULL, NULL, error)) {
        return false;
    }
    for (i = 0; i < shape->n_indexes; i++) {
        which[i] = states[i] != IS_GOOD;
        n += which[i];
    }
    return n == 0 || make_these(self, client, shape, states, which, pool, error);
}

static apr_status_t make_some(job_t *job, const hb_shape_row_t *shape, const char *states,
                              const char *which)
{
    bson_error_t error;

    if (make_these(job->self, job->client, shape, states, which, job->op->pool, &error)) {
        return APR_SUCCESS;
    }
    if (mongo_is_duplicate(&error)) {
        return hb_fail(job->op, HB_E_STORE_DUPLICATE, "two records have the same values in the "
                       "unique index %s of %s", mongo_dup_index(job->op, shape->shape, &error),
                       shape->name);
    }
    return mongo_fail(job->self, job->op, "reindex", &error, NULL);
}

/* @param is_count  only count what has to be made */
static apr_status_t visit(job_t *job, const hb_shape_row_t *shape, int is_count)
{
    char *states = apr_pcalloc(job->op->pool, (apr_size_t)shape->n_indexes + 1);
    char *which = apr_pcalloc(job->op->pool, (apr_size_t)shape->n_indexes + 1);
    bson_error_t error;
    int i, n = 0;

    if (!look(states, job->self, job->client, shape, job->op->pool, NULL, NULL, &error)) {
        return mongo_fail(job->self, job->op, "reindex", &error, NULL);
    }
    for (i = 0; i < shape->n_indexes; i++) {
        which[i] = (char)has_to_be_made(job, &shape->indexes[i], states[i]);
        n += which[i];
    }
    if (is_count || n == 0) {
        job->total += is_count ? n : 0;
        return APR_SUCCESS;
    }
    if (job->report != NULL
        && job->report(job->baton, apr_pstrcat(job->op->pool, "indexes of ", shape->name, NULL),
                       job->done, job->total) != 0) {
        return APR_EINTR;
    }
    job->done += n;
    return make_some(job, shape, states, which);
}

apr_status_t store_mongodb_reindex(void *self, hb_op_t *op, int all,
                                   hb_store_report_fn *report, void *baton)
{
    job_t job = { .self = self, .op = op, .all = all, .report = report, .baton = baton };
    apr_status_t rv = APR_SUCCESS;
    int s, pass;

    job.client = mongo_layout_client(self);
    for (pass = 0; pass < 2; pass++) {
        for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
            const hb_shape_row_t *shape = hb_shape((hb_shape_e)s);

            if (shape->role == HB_IS_COLLECTION && shape->n_indexes > 0) {
                rv = visit(&job, shape, pass == 0);
            }
        }
    }
    mongoc_client_destroy(job.client);
    if (rv == APR_SUCCESS && report != NULL) {
        report(baton, "indexes", job.done, job.total);
    }
    return rv;
}
