/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in MongoDB: writes. One change is one command where the server can do it as
 * hb_store.h says; where it cannot (a counter at its limit, a null where an array goes) the
 * record is read, edited here as every backend edits, and written back inside a
 * transaction.
 */
#include "store_mongodb.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

static apr_status_t begin_write(mongo_call_t *call, mongo_t *self, hb_op_t *op)
{
    apr_status_t rv = mongo_check_thread(op);

    return rv == APR_SUCCESS ? mongo_take(call, self, op) : rv;
}

/* The status of a write that failed; index is set for a duplicate. */
static apr_status_t write_failed(const char **index, const mongo_call_t *call,
                                 hb_collection_e in, const bson_error_t *error,
                                 const bson_t *reply)
{
    if (!mongo_is_duplicate(error)) {
        return mongo_fail(call->self, call->op, "write", error, reply);
    }
    if (call->tx != NULL) {     /* somebody took the value just now, and the server gave up */
        call->tx->is_lost = 1;
        return HB_E_STORE_CONFLICT;
    }
    *index = mongo_dup_index(call->op, in, error);
    return HB_E_STORE_DUPLICATE;
}

/* BSON of a document, or why not. */
static apr_status_t bson_of(bson_t **bson, hb_op_t *op, hb_collection_e in,
                            const hb_json_t *doc)
{
    *bson = mongo_doc_bson(in, doc);
    if ((*bson)->len > HB_STORE_DOC_MAX) {
        bson_destroy(*bson);
        *bson = NULL;
        return hb_fail(op, HB_E_INPUT_INVALID, "the record is too large");
    }
    return APR_SUCCESS;
}

static apr_status_t insert_one(const char **index, const mongo_call_t *call, hb_collection_e in,
                               const hb_json_t *doc)
{
    mongoc_collection_t *collection;
    bson_error_t error;
    bson_t *bson, reply;
    apr_status_t rv = bson_of(&bson, call->op, in, doc);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    collection = mongo_collection(call, in);
    if (!mongoc_collection_insert_one(collection, bson, call->opts, &reply, &error)) {
        rv = write_failed(index, call, in, &error, &reply);
    }
    bson_destroy(&reply);
    bson_destroy(bson);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t store_mongodb_insert(void *self, const char **index, hb_op_t *op,
                                  hb_collection_e in, hb_json_t *doc)
{
    const char *given = hb_json_string(doc, "_id");
    mongo_call_t call;
    apr_status_t rv = begin_write(&call, self, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (given == NULL) {
        hb_json_set_string(doc, "_id", hb_id_make(op));
    }
    if (call.tx != NULL) {
        const char *id = apr_pstrdup(op->pool, hb_json_string(doc, "_id"));

        if (given == NULL) {    /* nobody has a new id */
            mongo_tx_saw(call.tx, op, in, id, NULL);
        }
        rv = mongo_tx_unique(index, &call, in, doc, 1);
        if (rv == APR_SUCCESS) {
            rv = mongo_tx_keep(&call, in, id);
        }
        if (rv == APR_SUCCESS) {
            rv = insert_one(index, &call, in, doc);
        }
        if (rv == APR_SUCCESS) {
            mongo_tx_saw(call.tx, op, in, id, doc);
        }
    }
    else {
        rv = insert_one(index, &call, in, doc);
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

/* Write a whole document over the one with its id. */
static apr_status_t replace_one(const char **index, const mongo_call_t *call, hb_collection_e in,
                                const hb_json_t *doc)
{
    const char *id = apr_pstrdup(call->op->pool, hb_json_string(doc, "_id"));
    mongoc_collection_t *collection;
    bson_error_t error;
    bson_iter_t iter;
    bson_t *bson, filter, reply;
    apr_status_t rv = bson_of(&bson, call->op, in, doc);

    if (rv == APR_SUCCESS && call->tx != NULL) {
        rv = mongo_tx_unique(index, call, in, doc, 0);
        if (rv == APR_SUCCESS) {
            rv = mongo_tx_keep(call, in, id);
        }
        if (rv != APR_SUCCESS) {
            bson_destroy(bson);
        }
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&filter);
    mongo_filter_id(&filter, id);
    collection = mongo_collection(call, in);
    if (!mongoc_collection_replace_one(collection, &filter, bson, call->opts, &reply, &error)) {
        rv = write_failed(index, call, in, &error, &reply);
    }
    else if (bson_iter_init_find(&iter, &reply, "matchedCount")
             && bson_iter_as_int64(&iter) == 0) {
        rv = HB_E_STORE_MISSING;
    }
    else if (call->tx != NULL) {
        mongo_tx_saw(call->tx, call->op, in, id, doc);
    }
    bson_destroy(&reply);
    bson_destroy(&filter);
    bson_destroy(bson);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t store_mongodb_replace(void *self, const char **index, hb_op_t *op,
                                   hb_collection_e in, hb_json_t *doc)
{
    mongo_call_t call;
    apr_status_t rv = begin_write(&call, self, op);

    if (rv == APR_SUCCESS) {
        rv = replace_one(index, &call, in, doc);
        mongo_give(&call, rv != HB_E_STORE_DOWN);
    }
    return rv;
}

/* --- one change --- */

typedef struct change_t {
    mongo_t *self;
    hb_collection_e in;
    const char *id;
    const char **index;
    hb_json_t **after;
    const hb_query_t *query;
    const hb_cond_t *guards;
    int n_guards;
    const hb_edit_t *edits;
    int n_edits;
    apr_int64_t n;
} change_t;

/* Inside a transaction: read, look at the guards, edit, write. */
static apr_status_t change_inside(hb_op_t *op, void *baton)
{
    change_t *c = baton;
    mongo_call_t call;
    hb_json_t *doc;
    apr_status_t rv = mongo_take(&call, c->self, op);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = mongo_read_one(&doc, &call, c->in, c->id);
    if (rv == APR_SUCCESS && !hb_store_match(doc, c->guards, c->n_guards)) {
        rv = HB_E_STORE_GUARD;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_edit(op, doc, c->edits, c->n_edits, op->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = replace_one(c->index, &call, c->in, doc);
    }
    if (rv == APR_SUCCESS) {
        *c->after = doc;
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

static const char *operator_of(const hb_edit_t *edit)
{
    switch (edit->how) {
    case HB_SET:
        return "$set";
    case HB_INC:
        return "$inc";
    case HB_PUSH:
        return "$push";
    case HB_PULL:
        return edit->value.kind == HB_VALUE_JSON ? NULL : "$pull";
    case HB_UNSET:
        return "$unset";
    case HB_SET_IF_ABSENT:
        break;
    }
    return NULL;
}

/* The edits as one update, or 0 when the server has no word for one of them. */
static int update_of(bson_t *update, const change_t *c)
{
    static const char *const operators[] = { "$set", "$inc", "$push", "$pull", "$unset" };
    unsigned int k;
    int i;

    for (i = 0; i < c->n_edits; i++) {
        int j;

        if (operator_of(&c->edits[i]) == NULL) {
            return 0;
        }
        for (j = 0; j < i; j++) {       /* two edits of one field are done in their order */
            apr_size_t a = strlen(c->edits[i].field), b = strlen(c->edits[j].field);

            if (strncmp(c->edits[i].field, c->edits[j].field, a < b ? a : b) == 0) {
                return 0;
            }
        }
    }
    for (k = 0; k < sizeof(operators) / sizeof(operators[0]); k++) {
        bson_t fields;
        int n = 0;

        for (i = 0; i < c->n_edits; i++) {
            const hb_edit_t *edit = &c->edits[i];

            if (strcmp(operator_of(edit), operators[k]) != 0) {
                continue;
            }
            if (n++ == 0) {
                bson_append_document_begin(update, operators[k], -1, &fields);
            }
            if (edit->how == HB_UNSET) {
                bson_append_utf8(&fields, edit->field, -1, "", 0);
            }
            else {
                mongo_append(&fields, edit->field, c->in, edit->field, &edit->value);
            }
        }
        if (n > 0) {
            bson_append_document_end(update, &fields);
        }
    }
    return c->n_edits > 0;
}

/*
 * One findAndModify. HB_E_STORE_DAMAGED here only means: the server refused the edit, so
 * look at the record and edit it here.
 */
static apr_status_t change_at_once(const change_t *c, const mongo_call_t *call,
                                   const bson_t *update)
{
    const hb_query_t guards = { c->in, c->guards, c->n_guards };
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    mongoc_collection_t *collection = mongo_collection(call, c->in);
    bson_iter_t iter, value;
    bson_error_t error;
    bson_t filter, reply;
    apr_status_t rv = HB_E_STORE_GUARD;

    bson_init(&filter);
    mongo_filter_id(&filter, c->id);
    mongo_filter(&filter, &guards, NULL);
    mongoc_find_and_modify_opts_set_update(opts, update);
    mongoc_find_and_modify_opts_set_flags(opts, MONGOC_FIND_AND_MODIFY_RETURN_NEW);
    mongoc_find_and_modify_opts_append(opts, call->opts);
    if (!mongoc_collection_find_and_modify_with_opts(collection, &filter, opts, &reply,
                                                     &error)) {
        rv = error.domain == MONGOC_ERROR_SERVER && !mongo_is_duplicate(&error)
            ? HB_E_STORE_DAMAGED : write_failed(c->index, call, c->in, &error, &reply);
    }
    else if (bson_iter_init_find(&iter, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&iter)
             && bson_iter_recurse(&iter, &value)) {
        const uint8_t *data;
        uint32_t len;
        bson_t doc;

        bson_iter_document(&iter, &len, &data);
        if (bson_init_static(&doc, data, len)) {
            *c->after = mongo_doc_json(&doc, call->op->pool);
            rv = APR_SUCCESS;
        }
    }
    bson_destroy(&reply);
    bson_destroy(&filter);
    mongoc_find_and_modify_opts_destroy(opts);
    mongoc_collection_destroy(collection);
    return rv;
}

apr_status_t store_mongodb_change(void *self, hb_json_t **after, const char **index,
                                  hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards,
                                  const hb_edit_t *edits, int n_edits)
{
    change_t c = { .self = self, .in = in, .id = id, .index = index, .after = after,
                   .guards = guards, .n_guards = n_guards, .edits = edits,
                   .n_edits = n_edits };
    apr_status_t rv = HB_E_STORE_DAMAGED;
    bson_t update;

    if (op->tx != NULL) {
        return change_inside(op, &c);
    }
    bson_init(&update);
    if (update_of(&update, &c)) {
        mongo_call_t call;

        rv = begin_write(&call, self, op);
        if (rv == APR_SUCCESS) {
            rv = change_at_once(&c, &call, &update);
            if (rv == HB_E_STORE_GUARD) {       /* or there is no such record */
                hb_json_t *doc;
                apr_status_t there = mongo_read_one(&doc, &call, in, id);

                rv = there == APR_SUCCESS ? rv : there;
            }
            mongo_give(&call, rv != HB_E_STORE_DOWN);
        }
    }
    bson_destroy(&update);
    if (rv == HB_E_STORE_DAMAGED) {
        rv = store_mongodb_transact(self, op, change_inside, &c);
    }
    if (rv != APR_SUCCESS) {
        *after = NULL;
    }
    return rv;
}

/* --- changes of many --- */

/* The ids of all that a query finds, before any is changed. */
static apr_status_t ids_of(apr_array_header_t **ids, const mongo_call_t *call,
                           const hb_query_t *query, int is_limited)
{
    mongoc_collection_t *collection = mongo_collection(call, query->in);
    mongoc_cursor_t *cursor;
    bson_t filter, sort, opts, only;
    const bson_t *doc;
    apr_status_t rv;
    bson_iter_t iter;

    *ids = apr_array_make(call->op->pool, 64, sizeof(const char *));
    bson_init(&filter);
    bson_init(&sort);
    mongo_filter(&filter, query, NULL);
    bson_copy_to(call->opts, &opts);
    if (is_limited) {
        mongo_sort(&sort, query);
        bson_append_document(&opts, "sort", -1, &sort);
        bson_append_int64(&opts, "limit", -1, query->limit);
    }
    bson_append_document_begin(&opts, "projection", -1, &only);
    bson_append_int32(&only, "_id", -1, 1);
    bson_append_document_end(&opts, &only);
    cursor = mongoc_collection_find_with_opts(collection, &filter, &opts, NULL);
    while (mongoc_cursor_next(cursor, &doc)) {
        if (bson_iter_init_find(&iter, doc, "_id") && BSON_ITER_HOLDS_UTF8(&iter)) {
            APR_ARRAY_PUSH(*ids, const char *) = apr_pstrdup(call->op->pool,
                                                             bson_iter_utf8(&iter, NULL));
        }
    }
    rv = mongo_fail_cursor(call->self, call->op, "find", cursor);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    bson_destroy(&filter);
    bson_destroy(&sort);
    bson_destroy(&opts);
    return rv;
}

static apr_status_t remove_one(int *was_there, const mongo_call_t *call, hb_collection_e in,
                               const char *id, const hb_cond_t *guards, int n_guards)
{
    const hb_query_t query = { in, guards, n_guards };
    mongoc_collection_t *collection;
    bson_error_t error;
    bson_iter_t iter;
    bson_t filter, reply;
    apr_status_t rv = APR_SUCCESS;

    if (call->tx != NULL) {
        rv = mongo_tx_keep(call, in, id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    bson_init(&filter);
    mongo_filter_id(&filter, id);
    mongo_filter(&filter, &query, NULL);
    collection = mongo_collection(call, in);
    if (!mongoc_collection_delete_one(collection, &filter, call->opts, &reply, &error)) {
        rv = mongo_fail(call->self, call->op, "remove", &error, &reply);
    }
    *was_there = rv == APR_SUCCESS && bson_iter_init_find(&iter, &reply, "deletedCount")
        && bson_iter_as_int64(&iter) > 0;
    if (*was_there && call->tx != NULL) {
        mongo_tx_saw(call->tx, call->op, in, id, NULL);
    }
    bson_destroy(&reply);
    bson_destroy(&filter);
    mongoc_collection_destroy(collection);
    return rv;
}

static apr_status_t change_all_inside(hb_op_t *op, void *baton)
{
    change_t *c = baton;
    hb_json_t *after;
    apr_array_header_t *ids;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, c->self, op);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = ids_of(&ids, &call, c->query, 0);
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    for (i = 0; rv == APR_SUCCESS && i < ids->nelts; i++) {
        change_t one = *c;

        one.id = APR_ARRAY_IDX(ids, i, const char *);
        one.after = &after;
        rv = change_inside(op, &one);
    }
    c->n = rv == APR_SUCCESS ? ids->nelts : 0;
    return rv;
}

apr_status_t store_mongodb_change_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query, const hb_edit_t *edits,
                                      int n_edits)
{
    const char *index;
    change_t c = { .self = self, .in = query->in, .query = query, .edits = edits,
                   .n_edits = n_edits, .index = &index };
    apr_status_t rv = store_mongodb_transact(self, op, change_all_inside, &c);

    *n = rv == APR_SUCCESS ? c.n : 0;
    return rv;
}

apr_status_t store_mongodb_remove(void *self, hb_op_t *op, hb_collection_e in, const char *id,
                                  const hb_cond_t *guards, int n_guards)
{
    mongo_call_t call;
    apr_status_t rv = begin_write(&call, self, op);
    int was_there;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = remove_one(&was_there, &call, in, id, guards, n_guards);
    if (rv == APR_SUCCESS && !was_there) {
        hb_json_t *doc;

        rv = n_guards > 0 ? mongo_read_one(&doc, &call, in, id) : HB_E_STORE_MISSING;
        rv = rv == APR_SUCCESS ? HB_E_STORE_GUARD : rv;
    }
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

static apr_status_t remove_all_inside(hb_op_t *op, void *baton)
{
    change_t *c = baton;
    apr_array_header_t *ids;
    mongo_call_t call;
    apr_status_t rv = mongo_take(&call, c->self, op);
    int i, was_there;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = ids_of(&ids, &call, c->query, c->query->limit > 0);
    for (i = 0; rv == APR_SUCCESS && i < ids->nelts; i++) {
        rv = remove_one(&was_there, &call, c->in, APR_ARRAY_IDX(ids, i, const char *), NULL, 0);
    }
    c->n = rv == APR_SUCCESS ? ids->nelts : 0;
    mongo_give(&call, rv != HB_E_STORE_DOWN);
    return rv;
}

apr_status_t store_mongodb_remove_all(void *self, apr_int64_t *n, hb_op_t *op,
                                      const hb_query_t *query)
{
    change_t c = { .self = self, .in = query->in, .query = query };
    apr_status_t rv = store_mongodb_transact(self, op, remove_all_inside, &c);

    *n = rv == APR_SUCCESS ? c.n : 0;
    return rv;
}
