/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a copy (hb_store_copy.c) asks of its source and of its target: one moment to read, an empty
 * database without indexes, many records at once.
 *
 * One moment: since 5.0 a server lets a session read all at the time of its first read, for as
 * long as minSnapshotHistoryWindowInSeconds (300) says. Whether this one does is asked first;
 * where it does not, one transaction is the moment, which lives transactionLifetimeLimitSeconds
 * (60). The time of a session cannot be given to another one with this driver, so an interrupted
 * copy out of MongoDB begins anew.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

/* --- one moment --- */

/* Ask for one document of the layout as it was at a time; *at is set to the time the server
 * says it read at. */
static int read_at(uint32_t *t, uint32_t *i, const mongo_call_t *call)
{
    bson_t *find = BCON_NEW("find", BCON_UTF8(MONGO_META), "limit", BCON_INT32(1),
                            "singleBatch", BCON_BOOL(true));
    bson_t concern, reply;
    bson_iter_t iter, at;
    bson_error_t error;
    int good;

    bson_append_document_begin(find, "readConcern", -1, &concern);
    bson_append_utf8(&concern, "level", -1, "snapshot", -1);
    if (*t != 0) {
        bson_append_timestamp(&concern, "atClusterTime", -1, *t, *i);
    }
    bson_append_document_end(find, &concern);
    good = mongoc_client_command_simple(call->client, call->self->db, find, NULL, &reply, &error)
        && bson_iter_init(&iter, &reply)
        && bson_iter_find_descendant(&iter, "cursor.atClusterTime", &at)
        && BSON_ITER_HOLDS_TIMESTAMP(&at);
    if (good) {
        bson_iter_timestamp(&at, t, i);
    }
    bson_destroy(&reply);
    bson_destroy(find);
    return good;
}

/* Does the server read at a time it is told? One that only says so answers with another. */
static int keeps_moments(const mongo_call_t *call)
{
    uint32_t t = 0, i = 0, asked;

    if (!read_at(&t, &i, call)) {
        return 0;
    }
    asked = --t;                /* a second ago: never the time of the answer */
    return read_at(&t, &i, call) && t == asked;
}

static apr_status_t begin_transaction(mongo_tx_t *tx, bson_error_t *error)
{
    mongoc_transaction_opt_t *options = mongoc_transaction_opts_new();
    mongoc_read_concern_t *reads = mongoc_read_concern_new();
    bool good;

    mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_SNAPSHOT);
    mongoc_transaction_opts_set_read_concern(options, reads);
    good = mongoc_client_session_start_transaction(tx->session, options, error);
    mongoc_read_concern_destroy(reads);
    mongoc_transaction_opts_destroy(options);
    return good ? APR_SUCCESS : HB_E_STORE_DOWN;
}

/* The moment is now: the server takes it with the first read, whatever that is. */
static apr_status_t fix_moment(const mongo_call_t *call, bson_error_t *error)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(call->client, call->self->db,
                                                                   MONGO_META);
    bson_t filter = BSON_INITIALIZER;
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter,
                                                               &call->tx->opts, NULL);
    const bson_t *doc;

    while (mongoc_cursor_next(cursor, &doc)) {
    }
    if (!mongoc_cursor_error(cursor, error)) {
        error->code = 0;
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return error->code == 0 ? APR_SUCCESS : HB_E_STORE_DOWN;
}

static apr_status_t run_at_moment(mongo_t *self, hb_op_t *op, mongo_call_t *call, mongo_tx_t *tx,
                                  int is_snapshot, hb_store_tx_fn *fn, void *baton)
{
    bson_error_t error = { 0 };
    apr_status_t rv = APR_SUCCESS;

    bson_init(&tx->opts);
    if (!is_snapshot) {
        rv = begin_transaction(tx, &error);
    }
    if (rv == APR_SUCCESS && !mongoc_client_session_append(tx->session, &tx->opts, &error)) {
        rv = HB_E_STORE_DOWN;
    }
    call->tx = tx;
    if (rv == APR_SUCCESS) {
        rv = fix_moment(call, &error);
    }
    call->tx = NULL;
    if (rv != APR_SUCCESS) {
        rv = mongo_fail(self, op, "freeze", &error, NULL);
    }
    else {
        op->tx = &tx->head;
        rv = fn(op, baton);
        op->tx = NULL;
        if (tx->is_gone || (tx->is_lost && !tx->is_down)) {
            hb_op_recover(op);
            rv = hb_fail(op, HB_E_UNAVAILABLE, "MongoDB keeps a moment for %s only, which was too short; "
                         "raise it: db.adminCommand({setParameter: 1, %s: 3600})", is_snapshot
                         ? "some minutes" : "a minute", is_snapshot
                         ? "minSnapshotHistoryWindowInSeconds"
                         : "transactionLifetimeLimitSeconds");
        }
        if (!is_snapshot) {
            mongoc_client_session_abort_transaction(tx->session, NULL);
        }
    }
    bson_destroy(&tx->opts);
    return rv;
}

apr_status_t store_mongodb_freeze(void *baton, hb_op_t *op, hb_store_tx_fn *fn, void *fn_baton)
{
    mongo_t *self = baton;
    mongo_tx_t tx;
    mongo_call_t call;
    mongoc_session_opt_t *options;
    bson_error_t error;
    apr_status_t rv = mongo_take(&call, self, op);
    int is_snapshot;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    is_snapshot = keeps_moments(&call);
    memset(&tx, 0, sizeof(tx));
    tx.head.self = self;
    tx.client = call.client;
    tx.is_moment = 1;
    tx.seen = apr_hash_make(op->pool);
    options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false);
    mongoc_session_opts_set_snapshot(options, is_snapshot != 0);
    tx.session = mongoc_client_start_session(call.client, options, &error);
    mongoc_session_opts_destroy(options);
    if (tx.session == NULL) {
        rv = mongo_fail(self, op, "session", &error, NULL);
    }
    else {
        rv = run_at_moment(self, op, &call, &tx, is_snapshot, fn, fn_baton);
        mongoc_client_session_destroy(tx.session);
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/* --- the target --- */

apr_status_t store_mongodb_clear(void *baton, hb_op_t *op)
{
    mongo_t *self = baton;
    mongo_call_t call;
    bson_error_t error;
    apr_status_t rv = mongo_take(&call, self, op);
    int s;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = mongo_layout_mark(self, call.client, 0, op->pool);
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        mongoc_collection_t *collection;

        if (hb_shape(s)->role != HB_IS_COLLECTION) {
            continue;
        }
        collection = mongo_collection(&call, s);
        if (!mongoc_collection_drop(collection, &error) && error.code != 26) {  /* not there */
            rv = mongo_fail(self, op, "clear", &error, NULL);
        }
        mongoc_collection_destroy(collection);
        if (rv == APR_SUCCESS) {
            rv = mongo_layout_collection(self, call.client, hb_shape(s)->name);
        }
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/* Was each document that the server refused there already, of a batch that was written in part? */
static int are_only_there(const bson_t *reply)
{
    bson_iter_t iter, errors, one;

    if (!bson_iter_init_find(&iter, reply, "writeErrors") || !bson_iter_recurse(&iter, &errors)) {
        return 0;
    }
    while (bson_iter_next(&errors)) {
        if (!bson_iter_recurse(&errors, &one) || !bson_iter_find(&one, "code")
            || bson_iter_as_int64(&one) != 11000
            || !bson_iter_recurse(&errors, &one) || !bson_iter_find(&one, "errmsg")
            || !BSON_ITER_HOLDS_UTF8(&one)
            || strstr(bson_iter_utf8(&one, NULL), "index: _id_") == NULL) {
            return 0;
        }
    }
    return !bson_iter_init_find(&iter, reply, "writeConcernErrors");
}

static apr_status_t put_documents(const mongo_call_t *call, hb_collection_e in,
                                  const hb_store_raw_t *docs, int n)
{
    mongoc_collection_t *collection = mongo_collection(call, in);
    const bson_t **list = apr_palloc(call->op->pool, (apr_size_t)n * sizeof(*list));
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false), "validate", BCON_BOOL(false));
    bson_error_t error;
    bson_t reply;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < n; i++) {
        list[i] = mongo_raw_bson(in, docs[i].id, docs[i].json);
    }
    if (!mongoc_collection_insert_many(collection, list, (size_t)n, opts, &reply, &error)
        && !(mongo_is_duplicate(&error) && are_only_there(&reply))) {
        rv = mongo_is_duplicate(&error)
            ? hb_fail(call->op, HB_E_STORE_DUPLICATE, "%s: %s", hb_shape(in)->name, error.message)
            : mongo_fail(call->self, call->op, "load", &error, &reply);
    }
    bson_destroy(&reply);
    for (i = 0; i < n; i++) {
        bson_destroy((bson_t *)list[i]);
    }
    bson_destroy(opts);
    mongoc_collection_destroy(collection);
    return rv;
}

static apr_status_t put_note(const mongo_call_t *call, const char *note)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(call->client, call->self->db,
                                                                   MONGO_META);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(MONGO_NOTE));
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_error_t error;
    apr_status_t rv = APR_SUCCESS;
    bool good;

    if (note != NULL) {
        bson_t *doc = BCON_NEW("_id", BCON_UTF8(MONGO_NOTE), "text", BCON_UTF8(note));

        good = mongoc_collection_replace_one(collection, filter, doc, opts, NULL, &error);
        bson_destroy(doc);
    }
    else {
        good = mongoc_collection_delete_one(collection, filter, NULL, NULL, &error);
    }
    if (!good) {
        rv = mongo_fail(call->self, call->op, "load", &error, NULL);
    }
    bson_destroy(opts);
    bson_destroy(filter);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t store_mongodb_load(void *baton, hb_op_t *op, hb_collection_e in,
                               const hb_store_raw_t *docs, int n, const char *note)
{
    mongo_t *self = baton;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (n > 0) {
        rv = put_documents(&call, in, docs, n);
    }
    if (rv == APR_SUCCESS && note == NULL) {    /* the mark first: without the note all may open it */
        rv = mongo_layout_mark(self, call.client, 1, op->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = put_note(&call, note);
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

apr_status_t store_mongodb_note(void *baton, const char **note, hb_op_t *op)
{
    mongo_t *self = baton;
    mongo_call_t call;
    bson_error_t error;
    apr_status_t rv = mongo_take(&call, self, op);

    if (rv == APR_SUCCESS) {
        rv = mongo_note(note, self, call.client, op->pool, &error);
        if (rv != APR_SUCCESS) {
            rv = mongo_fail(self, op, "note", &error, NULL);
        }
        mongo_give(&call, rv != HB_E_STORE_DOWN);
    }
    return rv;
}
