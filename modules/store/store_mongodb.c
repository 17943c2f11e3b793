/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in MongoDB: the driver, and its reads. Writes are in store_mongodb_write.c.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#define WALK_BATCH 1000         /* documents of a walk that one answer brings */
#define DOCS_PER_POOL 128       /* of a walk, made and dropped together */

/* What a cursor gives, at most max of it, in op->pool. */
static apr_status_t read_all(hb_json_t **docs, int *n, int max, const mongo_call_t *call,
                             hb_collection_e in, const bson_t *filter, const bson_t *sort)
{
    mongoc_collection_t *collection = mongo_collection(call, in);
    mongoc_cursor_t *cursor;
    const bson_t *doc;
    apr_status_t rv;
    bson_t opts;

    bson_copy_to(call->opts, &opts);
    if (sort != NULL) {
        bson_append_document(&opts, "sort", -1, sort);
    }
    bson_append_int64(&opts, "limit", -1, max);
    cursor = mongoc_collection_find_with_opts(collection, filter, &opts, NULL);
    for (*n = 0; *n < max && mongoc_cursor_next(cursor, &doc); ) {
        hb_json_t *json = mongo_doc_json(doc, call->op->pool);

        docs[(*n)++] = json;
        if (call->tx != NULL) {
            mongo_tx_saw(call->tx, call->op, in, hb_json_string(json, "_id"), json);
        }
    }
    rv = mongo_fail_cursor(call->self, call->op, "find", cursor);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&opts);
    return rv;
}

apr_status_t mongo_read_one(hb_json_t **doc, const mongo_call_t *call, hb_collection_e in,
                            const char *id)
{
    apr_status_t rv;
    bson_t filter;
    int n;

    bson_init(&filter);
    mongo_filter_id(&filter, id);
    rv = read_all(doc, &n, 1, call, in, &filter, NULL);
    bson_destroy(&filter);
    if (rv == APR_SUCCESS && n == 0) {
        if (call->tx != NULL) {
            mongo_tx_saw(call->tx, call->op, in, id, NULL);
        }
        *doc = NULL;
        return HB_E_STORE_MISSING;
    }
    return rv;
}

static apr_status_t mongo_get(void *self, hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                              const char *id)
{
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);

    if (rv == APR_SUCCESS) {
        rv = mongo_read_one(doc, &call, in, id);
        mongo_give(&call, rv != HB_E_STORE_DOWN);
    }
    return rv;
}

static apr_status_t mongo_find(void *self, hb_page_t *page, hb_op_t *op,
                               const hb_query_t *query)
{
    hb_store_cursor_t cursor;
    mongo_call_t call;
    apr_status_t rv = APR_SUCCESS;
    bson_t filter, sort;

    if (query->after != NULL) {
        rv = hb_store_cursor_read(&cursor, op, query);
    }
    if (rv == APR_SUCCESS) {
        rv = mongo_take(&call, self, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    page->items = apr_palloc(op->pool, (apr_size_t)(query->limit + 1) * sizeof(*page->items));
    bson_init(&filter);
    bson_init(&sort);
    mongo_filter(&filter, query, query->after != NULL ? &cursor : NULL);
    mongo_sort(&sort, query);
    /* One more than asked for is read, to know whether there is a next page. */
    rv = read_all(page->items, &page->n_items, query->limit + 1, &call, query->in, &filter,
                  &sort);
    bson_destroy(&filter);
    bson_destroy(&sort);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    if (rv != APR_SUCCESS) {
        memset(page, 0, sizeof(*page));
        return rv;
    }
    if (page->n_items > query->limit) {
        page->n_items = query->limit;
        page->next = hb_store_cursor_make(op, query, page->items[page->n_items - 1]);
    }
    return APR_SUCCESS;
}

static apr_status_t mongo_count(void *self, apr_int64_t *n, hb_op_t *op,
                                const hb_query_t *query)
{
    mongoc_collection_t *collection;
    bson_error_t error;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);
    bson_t filter, reply;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&filter);
    mongo_filter(&filter, query, NULL);
    collection = mongo_collection(&call, query->in);
    *n = mongoc_collection_count_documents(collection, &filter, call.opts, NULL, &reply, &error);
    if (*n < 0) {
        *n = 0;
        rv = mongo_fail(self, op, "count", &error, &reply);
    }
    bson_destroy(&reply);
    mongoc_collection_destroy(collection);
    bson_destroy(&filter);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/* Give fn what a cursor has, without keeping it. */
static apr_status_t walk_cursor(mongoc_cursor_t *cursor, const mongo_call_t *call,
                                hb_store_walk_fn *fn, void *baton)
{
    apr_pool_t *scratch;
    const bson_t *doc;
    apr_status_t rv;
    int n, stop = 0;

    apr_pool_create(&scratch, call->op->pool);
    for (n = 1; !stop && mongoc_cursor_next(cursor, &doc); n++) {
        hb_json_t *json = mongo_doc_json(doc, scratch);
        const char *id = apr_pstrdup(scratch, hb_json_string(json, "_id"));
        const char *text;
        apr_size_t len;

        text = hb_json_text_without(json, "_id", scratch, &len);
        stop = fn(baton, id, text, len);
        if (n % DOCS_PER_POOL == 0) {
            apr_pool_clear(scratch);
        }
    }
    rv = mongo_fail_cursor(call->self, call->op, "walk", cursor);
    apr_pool_destroy(scratch);
    return rv;
}

/* One cursor for all of it: a server that has to look for each page anew may take long over each. */
static apr_status_t mongo_walk(void *self, hb_op_t *op, hb_collection_e in, const char *field,
                               const hb_value_t *above, hb_store_walk_fn *fn, void *baton)
{
    const hb_value_t first = HB_NIL;
    const hb_cond_t cond = { field, HB_ABOVE, above != NULL ? *above : first };
    const hb_query_t query = { in, &cond, above != NULL, { { field, 0 } } };
    mongoc_collection_t *collection;
    mongoc_cursor_t *cursor;
    bson_t filter, sort, opts;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&filter);
    bson_init(&sort);
    mongo_filter(&filter, &query, NULL);
    mongo_sort(&sort, &query);
    bson_copy_to(call.opts, &opts);
    bson_append_document(&opts, "sort", -1, &sort);
    bson_append_int64(&opts, "batchSize", -1, WALK_BATCH);
    collection = mongo_collection(&call, in);
    cursor = mongoc_collection_find_with_opts(collection, &filter, &opts, NULL);
    rv = walk_cursor(cursor, &call, fn, baton);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&filter);
    bson_destroy(&sort);
    bson_destroy(&opts);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/** The plug-in's only symbol; hb_store_open.c looks for it. */
__attribute__((visibility("default")))
const hb_store_driver_t hb_store_plugin = {
    .scheme = "mongodb",
    .accepts = "mongodb://... or mongodb+srv://...",
    .open = store_mongodb_open,
    .is_lost = store_mongodb_is_lost,
    .get = mongo_get,
    .find = mongo_find,
    .count = mongo_count,
    .insert = store_mongodb_insert,
    .change = store_mongodb_change,
    .replace = store_mongodb_replace,
    .walk = mongo_walk,
    .values = store_mongodb_values,
    .groups = store_mongodb_groups,
    .change_all = store_mongodb_change_all,
    .remove = store_mongodb_remove,
    .remove_all = store_mongodb_remove_all,
    .transact = store_mongodb_transact,
    .ping = store_mongodb_ping,
    .verify = store_mongodb_verify,
    .stats = store_mongodb_stats,
    .indexes = store_mongodb_indexes,
    .reindex = store_mongodb_reindex,
    .freeze = store_mongodb_freeze,
    .clear = store_mongodb_clear,
    .load = store_mongodb_load,
    .note = store_mongodb_note,
};
