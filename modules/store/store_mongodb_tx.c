/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions on MongoDB: a session, snapshot reads, majority commit, and the whole again when the
 * server says so. Two things it does not give are made here:
 *
 * A write that breaks a unique index ends a transaction on the server, while a caller may
 * go on after HB_E_STORE_DUPLICATE. So inside one, unique values are looked up before they
 * are written; who takes them at the same moment makes the server refuse the write, and the
 * whole runs again.
 *
 * A nested transaction that fails is undone alone: records are kept as they were before it
 * wrote them, and put back.
 */
#include "store_mongodb.h"

#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#define CROWDED_USEC 1000000    /* how long after a collision transactions take turns */
#define PAUSE_MOST_USEC 20000
#define RETRY_AFTER_SEC 2

/* In tx->seen: there is no such record. */
static const char missing[] = "";

/* A record as it was before a nested transaction wrote it. */
typedef struct mongo_undo_t {
    struct mongo_undo_t *next;
    hb_collection_e in;
    const char *id;
    bson_t *before;             /* NULL: it was not there */
} mongo_undo_t;

/* The transaction this thread is in, whichever op's it is. */
static __thread const mongo_tx_t *here;

/* Its abort: the driver says nothing when that does not arrive. */
static __thread int is_abort_lost;

void mongo_tx_aborted(const char *command, int has_arrived)
{
    if (strcmp(command, "abortTransaction") == 0) {
        is_abort_lost = !has_arrived;
    }
}

apr_status_t mongo_check_thread(hb_op_t *op)
{
    if (here != NULL && op->tx == NULL) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(01156) "a write by another op inside a transaction: it "
               "would wait for that one for ever");
        return HB_E_INTERNAL;
    }
    return APR_SUCCESS;
}

/* --- unique values --- */

static const char *key_of(hb_op_t *op, hb_collection_e in, const char *id)
{
    return apr_pstrcat(op->pool, hb_shape(in)->name, "/", id, NULL);
}

/* The values of a record in a unique index as text; NULL when it is not in that index. */
static const char *values_of(hb_op_t *op, const hb_index_row_t *index, const hb_json_t *doc)
{
    char *fields = apr_pstrdup(op->pool, index->fields), *field, *rest;
    const char *text = "";

    for (field = apr_strtok(fields, " ", &rest); field != NULL;
         field = apr_strtok(NULL, " ", &rest)) {
        apr_size_t n = strlen(field);
        const hb_json_t *value;

        if (field[n - 1] == '-') {
            field[n - 1] = '\0';
        }
        value = hb_json_at(doc, field);
        if (hb_json_type(value) == HB_JSON_NULL) {
            return NULL;
        }
        text = apr_pstrcat(op->pool, text, hb_json_text(value, op->pool, NULL), "\n", NULL);
    }
    return text;
}

static const char *all_values_of(hb_op_t *op, hb_collection_e in, const hb_json_t *doc)
{
    const hb_shape_row_t *shape = hb_shape(in);
    const char *text = "v";
    int i;

    for (i = 0; i < shape->n_indexes; i++) {
        if (shape->indexes[i].flags & HB_INDEX_UNIQUE) {
            const char *values = values_of(op, &shape->indexes[i], doc);

            text = apr_pstrcat(op->pool, text, values != NULL ? values : "-", "\n", NULL);
        }
    }
    return text;
}

void mongo_tx_saw(mongo_tx_t *tx, hb_op_t *op, hb_collection_e in, const char *id,
                  const hb_json_t *doc)
{
    apr_hash_set(tx->seen, key_of(op, in, id), APR_HASH_KEY_STRING,
                 doc != NULL ? all_values_of(op, in, doc) : missing);
}

/* {a: x, b: y, _id: {$ne: id}} of one index. */
static void append_same(bson_t *to, hb_op_t *op, hb_collection_e in,
                        const hb_index_row_t *index, const hb_json_t *doc)
{
    char *fields = apr_pstrdup(op->pool, index->fields), *field, *rest;

    for (field = apr_strtok(fields, " ", &rest); field != NULL;
         field = apr_strtok(NULL, " ", &rest)) {
        apr_size_t n = strlen(field);
        hb_value_t value = HB_DOC(NULL);

        if (field[n - 1] == '-') {
            field[n - 1] = '\0';
        }
        value.json = hb_json_at(doc, field);
        mongo_append(to, field, in, field, &value);
    }
}

/* Is there a record that the filter finds, other than id? */
static apr_status_t is_there(int *found, const mongo_call_t *call, hb_collection_e in,
                             bson_t *filter, const char *id)
{
    mongoc_collection_t *collection = mongo_collection(call, in);
    mongoc_cursor_t *cursor;
    const bson_t *doc;
    apr_status_t rv;
    bson_t opts, not_id;

    if (id != NULL) {
        bson_append_document_begin(filter, "_id", -1, &not_id);
        bson_append_utf8(&not_id, "$ne", -1, id, -1);
        bson_append_document_end(filter, &not_id);
    }
    bson_copy_to(call->opts, &opts);
    bson_append_int64(&opts, "limit", -1, 1);
    cursor = mongoc_collection_find_with_opts(collection, filter, &opts, NULL);
    *found = mongoc_cursor_next(cursor, &doc);
    rv = mongo_fail_cursor(call->self, call->op, "find", cursor);
    mongoc_cursor_destroy(cursor);
    bson_destroy(&opts);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t mongo_tx_unique(const char **index, const mongo_call_t *call, hb_collection_e in,
                             const hb_json_t *doc, int is_new)
{
    const hb_shape_row_t *shape = hb_shape(in);
    const char *id = hb_json_string(doc, "_id");
    const char *seen = apr_hash_get(call->tx->seen, key_of(call->op, in, id),
                                    APR_HASH_KEY_STRING);
    apr_status_t rv = APR_SUCCESS;
    int i, found = 0;
    bson_t filter;

    if (is_new && seen != missing) {
        bson_init(&filter);
        mongo_filter_id(&filter, id);
        rv = is_there(&found, call, in, &filter, NULL);
        bson_destroy(&filter);
        if (found) {
            *index = "_id";
        }
    }
    if (!is_new && seen != NULL && seen != missing
        && strcmp(seen, all_values_of(call->op, in, doc)) == 0) {
        return APR_SUCCESS;     /* they are what they were */
    }
    for (i = 0; i < shape->n_indexes && rv == APR_SUCCESS && !found; i++) {
        if (!(shape->indexes[i].flags & HB_INDEX_UNIQUE)
            || values_of(call->op, &shape->indexes[i], doc) == NULL) {
            continue;
        }
        bson_init(&filter);
        append_same(&filter, call->op, in, &shape->indexes[i], doc);
        rv = is_there(&found, call, in, &filter, is_new ? NULL : id);
        bson_destroy(&filter);
        if (found) {
            *index = shape->indexes[i].name;
        }
    }
    return rv == APR_SUCCESS && found ? HB_E_STORE_DUPLICATE : rv;
}

/* --- undoing a part --- */

apr_status_t mongo_tx_keep(const mongo_call_t *call, hb_collection_e in, const char *id)
{
    mongo_tx_t *tx = call->tx;
    mongoc_collection_t *collection;
    mongoc_cursor_t *cursor;
    mongo_undo_t *undo;
    const bson_t *doc;
    apr_status_t rv;
    bson_t filter;

    if (tx->depth == 0) {
        return APR_SUCCESS;
    }
    undo = apr_pcalloc(call->op->pool, sizeof(*undo));
    undo->in = in;
    undo->id = apr_pstrdup(call->op->pool, id);
    bson_init(&filter);
    mongo_filter_id(&filter, id);
    collection = mongo_collection(call, in);
    cursor = mongoc_collection_find_with_opts(collection, &filter, call->opts, NULL);
    if (mongoc_cursor_next(cursor, &doc)) {
        undo->before = bson_copy(doc);
    }
    rv = mongo_fail_cursor(call->self, call->op, "find", cursor);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&filter);
    undo->next = tx->undo;
    tx->undo = undo;
    return rv;
}

static void forget_undo(mongo_tx_t *tx, const mongo_undo_t *until)
{
    while (tx->undo != until) {
        if (tx->undo->before != NULL) {
            bson_destroy(tx->undo->before);
        }
        tx->undo = tx->undo->next;
    }
}

/* Put back what was written since then, the newest first. */
static void undo_until(mongo_call_t *call, const mongo_undo_t *until)
{
    mongo_tx_t *tx = call->tx;
    const mongo_undo_t *undo;

    for (undo = tx->undo; undo != until && !tx->is_lost; undo = undo->next) {
        mongoc_collection_t *collection = mongo_collection(call, undo->in);
        bson_t filter, opts;
        bson_error_t error;
        bool good;

        bson_init(&filter);
        mongo_filter_id(&filter, undo->id);
        if (undo->before == NULL) {
            good = mongoc_collection_delete_one(collection, &filter, call->opts, NULL, &error);
        }
        else {
            bson_copy_to(call->opts, &opts);
            bson_append_bool(&opts, "upsert", -1, true);
            good = mongoc_collection_replace_one(collection, &filter, undo->before, &opts,
                                                 NULL, &error);
            bson_destroy(&opts);
        }
        if (!good) {
            mongo_fail(call->self, call->op, "undo", &error, NULL);
            tx->is_lost = 1;    /* it runs again, or nothing of it is kept */
        }
        apr_hash_set(tx->seen, key_of(call->op, undo->in, undo->id), APR_HASH_KEY_STRING,
                     NULL);
        bson_destroy(&filter);
        mongoc_collection_destroy(collection);
    }
    forget_undo(tx, until);
}

static apr_status_t run_part(mongo_t *self, hb_op_t *op, hb_store_tx_fn *fn, void *baton)
{
    mongo_tx_t *tx = (mongo_tx_t *)op->tx;
    const mongo_undo_t *until = tx->undo;
    mongo_call_t call;
    apr_status_t rv;

    tx->depth++;
    rv = fn(op, baton);
    if (rv != APR_SUCCESS && mongo_take(&call, self, op) == APR_SUCCESS) {
        undo_until(&call, until);
        mongo_give(&call, 1);
    }
    if (--tx->depth == 0) {
        forget_undo(tx, NULL);
    }
    return rv;
}

/* --- the whole --- */

/* A little longer each time, and never the same for two. */
static void pause_before(int n_runs)
{
    unsigned int most = 500u << (n_runs < 6 ? n_runs : 6);
    unsigned int at_random = (unsigned int)hb_clock() * 2654435761u >> 8;

    usleep((most < PAUSE_MOST_USEC ? most : PAUSE_MOST_USEC) / 2 + at_random % most / 2);
}

static int has_label(const bson_t *reply, const char *label)
{
    return mongoc_error_has_label(reply, label);
}

/* Commit; asks again as long as it is not known what became of it. Sets *again when the
 * whole has to run again. */
static apr_status_t commit(int *again, mongo_t *self, hb_op_t *op, mongo_tx_t *tx,
                           apr_int64_t deadline)
{
    bson_error_t error;
    apr_status_t rv = APR_SUCCESS;
    int unknown, n_asked = 0;

    *again = 0;
    do {
        bson_t reply;

        unknown = 0;
        if (mongoc_client_session_commit_transaction(tx->session, &reply, &error)) {
            rv = APR_SUCCESS;
        }
        else if (has_label(&reply, "UnknownTransactionCommitResult")
                 && hb_clock() < deadline) {
            unknown = 1;
            pause_before(n_asked++);
        }
        else if (has_label(&reply, "TransientTransactionError")) {
            *again = 1;
            rv = HB_E_STORE_CONFLICT;
        }
        else {
            rv = mongo_fail(self, op, "commit", &error, &reply);
        }
        bson_destroy(&reply);
    } while (unknown);
    return rv;
}

/* One run of the work. Sets *again as commit() does, *is_down when that is because nothing
 * was answered. */
static apr_status_t run_once(int *again, int *is_down, mongo_t *self, hb_op_t *op, hb_store_tx_fn *fn,
                             void *baton, apr_int64_t deadline)
{
    mongo_tx_t tx;
    mongo_call_t call;
    mongoc_transaction_opt_t *options;
    mongoc_write_concern_t *writes;
    mongoc_read_concern_t *reads;
    bson_error_t error;
    int number;
    apr_status_t rv = mongo_take(&call, self, op);

    *again = *is_down = 0;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    memset(&tx, 0, sizeof(tx));
    tx.head.self = self;
    tx.client = call.client;
    tx.seen = apr_hash_make(op->pool);
    tx.session = mongoc_client_start_session(call.client, NULL, &error);
    if (tx.session == NULL) {
        rv = mongo_fail(self, op, "session", &error, NULL);
        mongo_give(&call, mongo_has_answered(&error));
        return rv;
    }
    number = mongo_orphans_note(self, tx.session);
    is_abort_lost = 0;
    options = mongoc_transaction_opts_new();
    writes = mongoc_write_concern_new();
    reads = mongoc_read_concern_new();
    mongoc_write_concern_set_wmajority(writes, -1);
    mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_SNAPSHOT);
    mongoc_transaction_opts_set_write_concern(options, writes);
    mongoc_transaction_opts_set_read_concern(options, reads);
    bson_init(&tx.opts);
    if (!mongoc_client_session_start_transaction(tx.session, options, &error)
        || !mongoc_client_session_append(tx.session, &tx.opts, &error)) {
        rv = mongo_fail(self, op, "transaction", &error, NULL);
    }
    else {
        const mongo_tx_t *outside = here;

        op->tx = &tx.head;
        here = &tx;
        rv = fn(op, baton);
        here = outside;
        op->tx = NULL;
        if (tx.is_lost) {
            *again = 1;
            rv = HB_E_STORE_CONFLICT;
        }
        if (rv == APR_SUCCESS) {
            rv = commit(again, self, op, &tx, deadline);
            is_abort_lost = rv != APR_SUCCESS && !*again;
        }
        else {
            is_abort_lost = mongoc_client_session_get_transaction_state(tx.session)
                == MONGOC_TRANSACTION_IN_PROGRESS;      /* until it is answered */
            mongoc_client_session_abort_transaction(tx.session, NULL);
        }
    }
    bson_destroy(&tx.opts);
    mongoc_transaction_opts_destroy(options);
    mongoc_write_concern_destroy(writes);
    mongoc_read_concern_destroy(reads);
    mongoc_client_session_destroy(tx.session);
    mongo_orphans_done(self, number, !tx.is_down && !is_abort_lost);
    *is_down = tx.is_down;
    mongo_give(&call, rv != HB_E_STORE_DOWN && !tx.is_down);
    return rv;
}

static int is_crowded(mongo_t *self, int now_it_is)
{
    apr_int64_t now = hb_clock();
    int crowded;

    pthread_mutex_lock(&self->lock);
    if (now_it_is) {
        self->crowded_until = now + CROWDED_USEC;
        self->n_retries++;
    }
    crowded = now < self->crowded_until;
    pthread_mutex_unlock(&self->lock);
    return crowded;
}

apr_status_t store_mongodb_transact(void *baton, hb_op_t *op, hb_store_tx_fn *fn, void *fn_baton)
{
    mongo_t *self = baton;
    apr_int64_t deadline = hb_clock() + self->site->settings->store_wait;
    const hb_problem_t problem = op->problem;
    int n_runs, again = 1, is_down, in_turn;
    apr_status_t rv;

    if (op->tx != NULL) {
        return run_part(self, op, fn, fn_baton);
    }
    rv = mongo_check_thread(op);
    for (n_runs = 0; rv == APR_SUCCESS && again; n_runs++) {
        mongo_orphans_end(self, op, n_runs > 0);
        /* Entries of the ledger all write its head: running side by side they would only
         * undo each other, so threads take turns while such collisions are seen. */
        in_turn = is_crowded(self, 0) && hb_clock_lock(&self->turn, deadline) == 0;

        rv = run_once(&again, &is_down, self, op, fn, fn_baton, deadline);
        if (in_turn) {
            pthread_mutex_unlock(&self->turn);
        }
        if (again) {
            op->problem = problem;
            if (hb_clock() >= deadline && is_down) {
                return hb_fail_later(op, HB_E_STORE_DOWN, RETRY_AFTER_SEC,
                                     "records cannot be reached just now");
            }
            is_crowded(self, !is_down);
            if (hb_clock() >= deadline) {
                return hb_fail_later(op, HB_E_STORE_CONFLICT, 1,
                                     "too many writers at once; try again");
            }
            pause_before(n_runs);
            rv = APR_SUCCESS;
        }
    }
    return rv;
}
