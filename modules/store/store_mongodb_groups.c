/* SPDX-License-Identifier: Apache-2.0 */
/* Single fields and sums of what a query finds: the server counts, only the outcome travels. */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

/* A field of what the server gave; 0 when it is not there. */
static int find_path(bson_iter_t *iter, const bson_t *doc, const char *path)
{
    bson_iter_t outer;

    return bson_iter_init(&outer, doc) && bson_iter_find_descendant(&outer, path, iter);
}

apr_status_t store_mongodb_values(void *self, hb_op_t *op, const hb_query_t *query,
                                  const char *field, hb_store_value_fn *fn, void *baton)
{
    mongoc_collection_t *collection;
    mongoc_cursor_t *cursor;
    bson_t filter, sort, opts, only;
    const bson_t *doc;
    bson_iter_t iter;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);
    int stop = 0;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&filter);
    bson_init(&sort);
    mongo_filter(&filter, query, NULL);
    bson_copy_to(call.opts, &opts);
    if (hb_store_n_keys(query) > 0) {
        mongo_sort(&sort, query);
        bson_append_document(&opts, "sort", -1, &sort);
    }
    if (query->limit > 0) {
        bson_append_int64(&opts, "limit", -1, query->limit);
    }
    bson_append_document_begin(&opts, "projection", -1, &only);
    if (strcmp(field, "_id") != 0) {
        bson_append_int32(&only, "_id", -1, 0);
    }
    bson_append_int32(&only, field, -1, 1);
    bson_append_document_end(&opts, &only);
    collection = mongo_collection(&call, query->in);
    cursor = mongoc_collection_find_with_opts(collection, &filter, &opts, NULL);
    while (!stop && mongoc_cursor_next(cursor, &doc)) {
        if (find_path(&iter, doc, field) && BSON_ITER_HOLDS_UTF8(&iter)) {
            stop = fn(baton, bson_iter_utf8(&iter, NULL));
        }
    }
    rv = mongo_fail_cursor(self, op, "values", cursor);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&filter);
    bson_destroy(&sort);
    bson_destroy(&opts);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/* The steps: what the query finds, counted by the values, in their order. */
static void pipeline_make(bson_t *pipeline, const hb_query_t *query, const char *const by[2],
                          const char *sum)
{
    bson_t steps, step, filter, group, id, n, order;
    int i;

    bson_init(&filter);
    mongo_filter(&filter, query, NULL);
    bson_append_array_begin(pipeline, "pipeline", -1, &steps);
    bson_append_document_begin(&steps, "0", -1, &step);
    bson_append_document(&step, "$match", -1, &filter);
    bson_append_document_end(&steps, &step);
    bson_append_document_begin(&steps, "1", -1, &step);
    bson_append_document_begin(&step, "$group", -1, &group);
    bson_append_document_begin(&group, "_id", -1, &id);
    for (i = 0; i < 2; i++) {
        char path[256];

        if (by[i] != NULL) {
            apr_snprintf(path, sizeof(path), "$%s", by[i]);
            bson_append_utf8(&id, i == 0 ? "a" : "b", -1, path, -1);
        }
    }
    bson_append_document_end(&group, &id);
    bson_append_document_begin(&group, "n", -1, &n);
    bson_append_int64(&n, "$sum", -1, 1);
    bson_append_document_end(&group, &n);
    if (sum != NULL) {
        char path[256];

        apr_snprintf(path, sizeof(path), "$%s", sum);
        bson_append_document_begin(&group, "sum", -1, &n);
        bson_append_utf8(&n, "$sum", -1, path, -1);
        bson_append_document_end(&group, &n);
    }
    bson_append_document_end(&step, &group);
    bson_append_document_end(&steps, &step);
    bson_append_document_begin(&steps, "2", -1, &step);
    bson_append_document_begin(&step, "$sort", -1, &order);
    bson_append_int32(&order, "_id", -1, 1);
    bson_append_document_end(&step, &order);
    bson_append_document_end(&steps, &step);
    bson_append_array_end(pipeline, &steps);
    bson_destroy(&filter);
}

static const char *key_of(hb_op_t *op, const bson_t *doc, const char *path)
{
    bson_iter_t iter;

    return find_path(&iter, doc, path) && BSON_ITER_HOLDS_UTF8(&iter)
        ? apr_pstrdup(op->pool, bson_iter_utf8(&iter, NULL)) : "";
}

/* A sum that leaves 64 bits comes back as a double. */
static int number_of(apr_int64_t *n, const bson_t *doc, const char *path)
{
    bson_iter_t iter;

    *n = 0;
    if (!find_path(&iter, doc, path)) {
        return 1;
    }
    *n = bson_iter_as_int64(&iter);
    return !BSON_ITER_HOLDS_DOUBLE(&iter);
}

apr_status_t store_mongodb_groups(void *self, hb_group_t **groups, int *n, hb_op_t *op,
                                  const hb_query_t *query, const char *const by[2],
                                  const char *sum)
{
    apr_array_header_t *all = apr_array_make(op->pool, 8, sizeof(hb_group_t));
    mongoc_collection_t *collection;
    mongoc_cursor_t *cursor;
    const bson_t *doc;
    bson_t pipeline;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&pipeline);
    pipeline_make(&pipeline, query, by, sum);
    collection = mongo_collection(&call, query->in);
    cursor = mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, &pipeline, call.opts,
                                         NULL);
    while (rv == APR_SUCCESS && mongoc_cursor_next(cursor, &doc)) {
        hb_group_t group = { { key_of(op, doc, "_id.a"), key_of(op, doc, "_id.b") }, 0, 0 };

        if (!number_of(&group.n, doc, "n") || !number_of(&group.sum, doc, "sum")) {
            rv = hb_fail(op, HB_E_INPUT_INVALID, "the sum is beyond 64 bits");
        }
        APR_ARRAY_PUSH(all, hb_group_t) = group;
    }
    if (rv == APR_SUCCESS) {
        rv = mongo_fail_cursor(self, op, "groups", cursor);
    }
    *groups = (hb_group_t *)(void *)all->elts;
    *n = rv == APR_SUCCESS ? all->nelts : 0;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&pipeline);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}
