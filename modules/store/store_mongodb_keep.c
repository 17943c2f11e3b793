/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping records in MongoDB: what its errors mean, ping, verify, stats. */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>

#define COMPLAIN_EVERY_USEC 10000000
#define REPORT_EVERY 4096
#define RETRY_AFTER_SEC 2
#define TOO_OLD 239             /* SnapshotTooOld */
#define NO_SNAPSHOT 246         /* SnapshotUnavailable */
#define ATLAS_ERROR 8000        /* what a hosted cluster says for itself, in words */

/* --- errors --- */

int mongo_is_duplicate(const bson_error_t *error)
{
    return error->code == 11000 || error->code == 11001 || error->code == 12582;
}

int mongo_has_answered(const bson_error_t *error)
{
    return error->domain != MONGOC_ERROR_STREAM
        && error->domain != MONGOC_ERROR_SERVER_SELECTION;
}

const char *mongo_dup_index(hb_op_t *op, hb_collection_e in, const bson_error_t *error)
{
    /* "E11000 duplicate key error collection: db.users index: email dup key: {...}" */
    const hb_shape_row_t *shape = hb_shape(in);
    const char *name = strstr(error->message, "index: ");
    int i;

    name = name != NULL ? name + strlen("index: ") : "";
    for (i = 0; i < shape->n_indexes; i++) {
        apr_size_t n = strlen(shape->indexes[i].name);

        if (strncmp(name, shape->indexes[i].name, n) == 0
            && (name[n] == ' ' || name[n] == '\0')) {
            return shape->indexes[i].name;
        }
    }
    if (strncmp(name, "_id", 3) != 0) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(01142) "a duplicate in %s of an index that "
               "hb_schema.def does not have: %s", shape->name, error->message);
    }
    return "_id";
}

/* Server codes by what they mean for the caller; any other is a mistake of ours. */
static const struct {
    unsigned int code;
    apr_status_t rv;
} meanings[] = {
    { 6, HB_E_STORE_DOWN }, { 7, HB_E_STORE_DOWN }, { 89, HB_E_STORE_DOWN },      /* network */
    { 91, HB_E_STORE_DOWN }, { 189, HB_E_STORE_DOWN }, { 262, HB_E_STORE_DOWN },
    { 50, HB_E_STORE_DOWN }, { 64, HB_E_STORE_DOWN },                             /* too slow */
    { 9001, HB_E_STORE_DOWN }, { 10107, HB_E_STORE_DOWN }, { 11600, HB_E_STORE_DOWN },
    { 11602, HB_E_STORE_DOWN }, { 13435, HB_E_STORE_DOWN }, { 13436, HB_E_STORE_DOWN },
    { 10058, HB_E_STORE_DOWN }, { 133, HB_E_STORE_DOWN },
    { 134, HB_E_STORE_DOWN }, { 211, HB_E_STORE_DOWN },                           /* starting */
    { 13, HB_E_STORE_DOWN }, { 18, HB_E_STORE_DOWN }, { ATLAS_ERROR, HB_E_STORE_DOWN },  /* not allowed */
    { TOO_OLD, HB_E_UNAVAILABLE }, { NO_SNAPSHOT, HB_E_UNAVAILABLE },
    { 43, HB_E_UNAVAILABLE }, { 175, HB_E_UNAVAILABLE }, { 237, HB_E_UNAVAILABLE },   /* cursor gone */
    { 112, HB_E_STORE_CONFLICT }, { 24, HB_E_STORE_CONFLICT }, { 251, HB_E_STORE_CONFLICT },
    { 46, HB_E_STORE_CONFLICT }, { 117, HB_E_STORE_CONFLICT }, { 267, HB_E_STORE_CONFLICT },
    { 290, HB_E_STORE_CONFLICT }, { 11601, HB_E_STORE_CONFLICT },                 /* interrupted */
    { 365, HB_E_STORE_CONFLICT }, { 16500, HB_E_STORE_CONFLICT },                 /* too much of it */
    { 14031, HB_E_STORE_READONLY }, { 371, HB_E_STORE_READONLY },                 /* disk full */
    { 100, HB_E_STORE_READONLY },                           /* too few members for a majority */
    { 10334, HB_E_INPUT_INVALID }, { 17280, HB_E_INPUT_INVALID },                 /* too large */
};

static apr_status_t meaning_of(const bson_error_t *error)
{
    unsigned int i;

    if (!mongo_has_answered(error) || error->domain == MONGOC_ERROR_CLIENT
        || error->domain == MONGOC_ERROR_PROTOCOL) {
        return HB_E_STORE_DOWN;
    }
    if (error->domain != MONGOC_ERROR_SERVER && error->domain != MONGOC_ERROR_WRITE_CONCERN) {
        /* The driver lost the server between choosing it and asking it. */
        return strstr(error->message, "invalidated server") != NULL ? HB_E_STORE_DOWN
            : HB_E_INTERNAL;
    }
    if (error->code == ATLAS_ERROR && strstr(error->message, "space quota") != NULL) {
        return HB_E_STORE_READONLY;
    }
    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code == error->code) {
            return meanings[i].rv;
        }
    }
    return HB_E_INTERNAL;
}

/* One line of a kind in ten seconds: an outage is told, not every call that met it. */
static int may_complain(mongo_t *self, apr_status_t rv)
{
    int kind = rv == HB_E_STORE_DOWN ? 0 : rv == HB_E_STORE_CONFLICT ? 1
        : rv == HB_E_STORE_READONLY ? 2 : 3;
    apr_int64_t now = hb_clock();
    int yes;

    pthread_mutex_lock(&self->lock);
    yes = self->complained_at[kind] == 0
        || now - self->complained_at[kind] > COMPLAIN_EVERY_USEC;
    if (yes) {
        self->complained_at[kind] = now;
    }
    pthread_mutex_unlock(&self->lock);
    return yes;
}

apr_status_t mongo_fail(mongo_t *self, hb_op_t *op, const char *what,
                        const bson_error_t *error, const bson_t *reply)
{
    apr_status_t rv = meaning_of(error);
    mongo_tx_t *tx = (mongo_tx_t *)op->tx;

    if (tx != NULL && tx->is_moment && (error->code == TOO_OLD || error->code == NO_SNAPSHOT)) {
        tx->is_gone = 1;
    }
    if (tx != NULL && (rv == HB_E_STORE_CONFLICT || rv == HB_E_STORE_DOWN
                       || (reply != NULL
                           && mongoc_error_has_label(reply, "TransientTransactionError")))) {
        tx->is_lost = 1;        /* the whole runs again, so nobody is told yet */
        tx->is_down |= rv == HB_E_STORE_DOWN;
        if (!tx->is_moment) {
            return HB_E_STORE_CONFLICT;
        }
    }
    if (may_complain(self, rv)) {
        hb_log(op, rv == HB_E_STORE_CONFLICT ? HB_LOG_WARNING : HB_LOG_ERR, 0,
               HBLOGNO(01143) "store %s failed at %s: %s (%u.%u)", what, self->where, error->message,
               error->domain, error->code);
    }
    switch (rv) {
    case HB_E_STORE_CONFLICT:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "too many writers at once; try again");
    case HB_E_STORE_READONLY:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "records cannot be written just now");
    case HB_E_STORE_DOWN:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "records cannot be reached just now");
    case HB_E_UNAVAILABLE:
        return hb_fail_later(op, rv, RETRY_AFTER_SEC, "records could not be read to the end; try again");
    case HB_E_INPUT_INVALID:
        return hb_fail(op, rv, "the record is too large");
    default:
        return rv;
    }
}

apr_status_t mongo_fail_cursor(mongo_t *self, hb_op_t *op, const char *what,
                               mongoc_cursor_t *cursor)
{
    const bson_t *reply;
    bson_error_t error;

    return mongoc_cursor_error_document(cursor, &error, &reply)
        ? mongo_fail(self, op, what, &error, reply) : APR_SUCCESS;
}

/* --- ping --- */

apr_status_t store_mongodb_ping(void *baton, hb_op_t *op)
{
    mongo_t *self = baton;
    bson_error_t error;

    switch (mongo_look(self, &error)) {
    case MONGO_THERE:
        return APR_SUCCESS;
    case MONGO_READONLY:
        return hb_fail_later(op, HB_E_STORE_READONLY, RETRY_AFTER_SEC,
                             "records cannot be written just now");
    default:
        return mongo_fail(self, op, "ping", &error, NULL);
    }
}

/* --- verify --- */

typedef struct inspection_t {
    hb_store_report_fn *report;
    void *baton;
    apr_int64_t n;              /* findings */
    int stopped;
} inspection_t;

static void found(void *baton, const char *finding)
{
    inspection_t *in = baton;

    in->n++;
    if (in->report != NULL && in->report(in->baton, finding, -1, 0) != 0) {
        in->stopped = 1;
    }
}

static void check_document(inspection_t *in, const hb_shape_row_t *shape, const bson_t *doc,
                           apr_pool_t *pool)
{
    bson_iter_t iter;

    if (!bson_iter_init_find(&iter, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&iter)
        || !hb_store_id_is_usable(bson_iter_utf8(&iter, NULL))) {
        found(in, apr_psprintf(pool, "%s: a record has an id that is none", shape->name));
    }
    else if (!bson_validate(doc, BSON_VALIDATE_UTF8, NULL)) {
        found(in, apr_psprintf(pool, "%s: record %s holds what is no UTF-8", shape->name,
                               bson_iter_utf8(&iter, NULL)));
    }
}

static apr_status_t check_documents(inspection_t *in, const mongo_call_t *call,
                                    const hb_shape_row_t *shape)
{
    mongoc_collection_t *collection = mongo_collection(call, shape->shape);
    bson_t filter = BSON_INITIALIZER;
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, NULL, NULL);
    apr_pool_t *scratch;
    const bson_t *doc;
    apr_status_t rv;
    apr_int64_t n = 0;

    apr_pool_create(&scratch, call->op->pool);
    while (!in->stopped && mongoc_cursor_next(cursor, &doc)) {
        check_document(in, shape, doc, scratch);
        if (++n % REPORT_EVERY == 0) {
            apr_pool_clear(scratch);
            if (in->report != NULL && in->report(in->baton, shape->name, n, 0) != 0) {
                in->stopped = 1;
            }
        }
    }
    rv = mongo_fail_cursor(call->self, call->op, "verify", cursor);
    if (rv == APR_SUCCESS && !in->stopped && in->report != NULL
             && in->report(in->baton, shape->name, n, n) != 0) {
        in->stopped = 1;
    }
    apr_pool_destroy(scratch);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t store_mongodb_verify(void *self, apr_int64_t *findings, hb_op_t *op,
                                  hb_store_report_fn *report, void *baton)
{
    inspection_t in = { .report = report, .baton = baton };
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);
    int s;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    mongo_index_check(self, call.client, op->pool, found, &in);
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS && !in.stopped; s++) {
        if (hb_shape(s)->role == HB_IS_COLLECTION) {
            rv = check_documents(&in, &call, hb_shape(s));
        }
    }
    *findings = in.n;
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv == APR_SUCCESS && in.stopped ? APR_EINTR : rv;
}

/* --- stats --- */

/* A reply of one command as JSON; an empty object when it failed. */
static hb_json_t *ask(const mongo_call_t *call, const char *db, const char *command)
{
    bson_t *bson = BCON_NEW(command, BCON_INT32(1));
    hb_json_t *json = NULL;
    bson_error_t error;
    bson_t reply;

    if (mongoc_client_command_simple(call->client, db, bson, NULL, &reply, &error)) {
        json = mongo_doc_json(&reply, call->op->pool);
    }
    bson_destroy(&reply);
    bson_destroy(bson);
    return json != NULL ? json : hb_json_object_make(call->op->pool);
}

apr_status_t store_mongodb_stats(void *baton, hb_json_t **stats, hb_op_t *op)
{
    mongo_t *self = baton;
    hb_json_t *json = hb_json_object_make(op->pool);
    hb_json_t *collections = hb_json_object_make(op->pool);
    hb_json_t *of_db;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, self, op);
    int s;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(json, "driver", "mongodb");
    hb_json_set_string(json, "version", hb_json_string(ask(&call, "admin", "buildInfo"),
                                                       "version"));
    hb_json_set_string(json, "client", mongoc_get_version());
    hb_json_set_int(json, "schema", HB_SCHEMA_VERSION);
    of_db = ask(&call, self->db, "dbStats");
    hb_json_set_int(json, "bytes", (apr_int64_t)hb_json_real(of_db, "storageSize", 0));
    hb_json_set_int(json, "indexBytes", (apr_int64_t)hb_json_real(of_db, "indexSize", 0));
    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT && rv == APR_SUCCESS; s++) {
        mongoc_collection_t *collection;
        hb_json_t *one;
        bson_error_t error;
        apr_int64_t n;

        if (hb_shape(s)->role != HB_IS_COLLECTION) {
            continue;
        }
        collection = mongo_collection(&call, s);
        n = mongoc_collection_estimated_document_count(collection, NULL, NULL, NULL, &error);
        mongoc_collection_destroy(collection);
        if (n < 0) {
            rv = mongo_fail(self, op, "stats", &error, NULL);
            break;
        }
        one = hb_json_object_make(op->pool);
        hb_json_set_int(one, "records", n);
        hb_json_set(collections, hb_shape(s)->name, one);
    }
    hb_json_set(json, "collections", collections);
    hb_json_set_int(json, "commands", __atomic_load_n(&self->n_commands, __ATOMIC_RELAXED));
    hb_json_set_int(json, "failed", __atomic_load_n(&self->n_failed, __ATOMIC_RELAXED));
    hb_json_set_int(json, "waitedMs", __atomic_load_n(&self->usec, __ATOMIC_RELAXED) / 1000);
    hb_json_set_int(json, "retries", __atomic_load_n(&self->n_retries, __ATOMIC_RELAXED));
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    if (rv == APR_SUCCESS) {
        *stats = json;
    }
    return rv;
}
