/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the store: checks arguments and passes each call on to the backend that
 * hb_store_open.c has open. What a record is and where it lies is the backend's business (store_*.c).
 */
#include "hb_store_front.h"

#include <string.h>

#include "hb_bus.h"

/* Backends get the limit in its bounds. */
static hb_query_t tidy(const hb_query_t *query)
{
    hb_query_t q = *query;

    if (q.limit <= 0) {
        q.limit = HB_STORE_LIMIT_DEFAULT;
    }
    if (q.limit > HB_STORE_LIMIT_MAX) {
        q.limit = HB_STORE_LIMIT_MAX;
    }
    return q;
}

hb_json_t *hb_page_json(hb_op_t *op, hb_json_t *items, const char *next)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set(json, "items", items);
    hb_json_set_string(json, "next", next);
    return json;
}

apr_status_t hb_store_list(hb_json_t **list, hb_op_t *op, const hb_query_t *query,
                           unsigned int who)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, query);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        hb_json_push(items, hb_schema_view(op, query->in, page.items[i], who));
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}

apr_status_t hb_store_get(hb_json_t **doc, hb_op_t *op, hb_collection_e in, const char *id)
{
    apr_status_t rv = hb_store_check_collection(op, "get", in);
    hb_store_call_t call;

    *doc = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!hb_store_id_is_usable(id)) {
        return HB_E_STORE_MISSING;      /* ids come from outside: nobody has such a one */
    }
    rv = hb_store_begin(&call, op, "get", in, HB_M_STORE_READS);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->get(call.self, doc, op, in, id), NULL);
}

apr_status_t hb_store_find(hb_page_t *page, hb_op_t *op, const hb_query_t *query)
{
    hb_query_t q = tidy(query);
    apr_status_t rv = hb_store_check_query(op, "find", &q);
    hb_store_call_t call;

    memset(page, 0, sizeof(*page));
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "find", q.in, HB_M_STORE_READS);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->find(call.self, page, op, &q), &q);
}

apr_status_t hb_store_find_one(hb_json_t **doc, hb_op_t *op, const hb_query_t *query)
{
    hb_query_t q = *query;
    hb_page_t page;
    apr_status_t rv;

    *doc = NULL;
    q.limit = 1;
    rv = hb_store_find(&page, op, &q);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (page.n_items == 0) {
        return HB_E_STORE_MISSING;
    }
    *doc = page.items[0];
    return APR_SUCCESS;
}

apr_status_t hb_store_count(apr_int64_t *n, hb_op_t *op, const hb_query_t *query)
{
    hb_query_t q = tidy(query);
    apr_status_t rv = hb_store_check_query(op, "count", &q);
    hb_store_call_t call;

    *n = 0;
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "count", q.in, HB_M_STORE_READS);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->count(call.self, n, op, &q), &q);
}

apr_status_t hb_store_insert(const char **index, hb_op_t *op, hb_collection_e in,
                             hb_json_t *doc)
{
    apr_status_t rv = hb_store_check_collection(op, "insert", in);
    const char *dropped;
    hb_store_call_t call;

    index = index != NULL ? index : &dropped;
    *index = NULL;
    if (rv == APR_SUCCESS) {
        rv = hb_store_check_doc(op, "insert", in, doc);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "insert", in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->insert(call.self, index, op, in, doc), NULL);
}

apr_status_t hb_store_change(hb_json_t **after, const char **index, hb_op_t *op,
                             hb_collection_e in, const char *id,
                             const hb_cond_t *guards, int n_guards,
                             const hb_edit_t *edits, int n_edits)
{
    apr_status_t rv = hb_store_check_collection(op, "change", in);
    const char *dropped;
    hb_json_t *unseen;
    hb_store_call_t call;

    after = after != NULL ? after : &unseen;
    *after = NULL;
    index = index != NULL ? index : &dropped;
    *index = NULL;
    if (rv == APR_SUCCESS) {
        rv = hb_store_check_conds(op, "change", in, guards, n_guards);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_check_edits(op, "change", in, edits, n_edits);
    }
    if (rv == APR_SUCCESS && !hb_store_id_is_usable(id)) {
        rv = HB_E_STORE_MISSING;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "change", in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->change(call.self, after, index, op, in, id,
                                                 guards, n_guards, edits, n_edits), NULL);
}

apr_status_t hb_store_replace(const char **index, hb_op_t *op, hb_collection_e in,
                              hb_json_t *doc)
{
    apr_status_t rv = hb_store_check_collection(op, "replace", in);
    const char *dropped;
    hb_store_call_t call;

    index = index != NULL ? index : &dropped;
    *index = NULL;
    if (rv == APR_SUCCESS) {
        rv = hb_store_check_doc(op, "replace", in, doc);
    }
    if (rv == APR_SUCCESS && (op->tx == NULL || hb_json_string(doc, "_id") == NULL)) {
        return hb_store_mistake(op, "replace", in, "it needs a transaction, and the document its id");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "replace", in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->replace(call.self, index, op, in, doc), NULL);
}

apr_status_t hb_store_walk(hb_op_t *op, hb_collection_e in, const char *field,
                           const hb_value_t *above, hb_store_walk_fn *fn, void *baton)
{
    hb_value_t first = HB_NIL;
    hb_query_t query = { in, NULL, 0, { { field, 0 } } };
    const hb_cond_t cond = { field, HB_ABOVE, above != NULL ? *above : first };
    hb_store_call_t call;
    apr_status_t rv;

    if (above != NULL) {
        query.where = &cond;
        query.n_where = 1;
    }
    rv = hb_store_check_query(op, "walk", &query);
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "walk", in, HB_M_STORE_READS);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->walk(call.self, op, in, field, above, fn, baton),
               NULL);
}

apr_status_t hb_store_values(hb_op_t *op, const hb_query_t *query, const char *field,
                             hb_store_value_fn *fn, void *baton)
{
    apr_status_t rv = hb_store_check_query(op, "values", query);
    hb_store_call_t call;

    if (rv == APR_SUCCESS) {
        rv = hb_store_check_field(op, "values", query->in, field, HB_STORE_TEXT);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "values", query->in, HB_M_STORE_READS);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->values(call.self, op, query, field, fn, baton),
               query);
}

apr_status_t hb_store_groups(hb_group_t **groups, int *n, hb_op_t *op, const hb_query_t *query,
                             const char *const by[2], const char *sum)
{
    apr_status_t rv;
    hb_query_t q = *query;
    hb_store_call_t call;
    int i;

    *groups = NULL;
    *n = 0;
    q.sort[0].field = q.sort[1].field = NULL;
    rv = hb_store_check_query(op, "groups", &q);
    for (i = 0; i < 2 && rv == APR_SUCCESS; i++) {
        if (by[i] != NULL) {
            rv = hb_store_check_field(op, "groups", q.in, by[i], HB_STORE_TEXT);
        }
    }
    if (rv == APR_SUCCESS && sum != NULL) {
        rv = hb_store_check_field(op, "groups", q.in, sum, HB_STORE_INTEGER);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "groups", q.in, HB_M_STORE_READS);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->groups(call.self, groups, n, op, &q, by, sum), &q);
}

apr_status_t hb_store_change_all(apr_int64_t *n, hb_op_t *op, const hb_query_t *query,
                                 const hb_edit_t *edits, int n_edits)
{
    apr_status_t rv = hb_store_check_query(op, "change_all", query);
    apr_int64_t uncounted;
    hb_store_call_t call;

    n = n != NULL ? n : &uncounted;
    *n = 0;
    if (rv == APR_SUCCESS) {
        rv = hb_store_check_edits(op, "change_all", query->in, edits, n_edits);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "change_all", query->in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->change_all(call.self, n, op, query, edits, n_edits),
               query);
}

apr_status_t hb_store_remove(hb_op_t *op, hb_collection_e in, const char *id,
                             const hb_cond_t *guards, int n_guards)
{
    apr_status_t rv = hb_store_check_collection(op, "remove", in);
    hb_store_call_t call;

    if (rv == APR_SUCCESS) {
        rv = hb_store_check_conds(op, "remove", in, guards, n_guards);
    }
    if (rv == APR_SUCCESS && !hb_store_id_is_usable(id)) {
        rv = HB_E_STORE_MISSING;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "remove", in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->remove(call.self, op, in, id, guards, n_guards),
               NULL);
}

apr_status_t hb_store_remove_all(apr_int64_t *n, hb_op_t *op, const hb_query_t *query)
{
    apr_status_t rv = hb_store_check_query(op, "remove_all", query);
    apr_int64_t uncounted;
    hb_store_call_t call;

    n = n != NULL ? n : &uncounted;
    *n = 0;
    if (rv == APR_SUCCESS) {
        rv = hb_store_begin(&call, op, "remove_all", query->in, HB_M_STORE_WRITES);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->remove_all(call.self, n, op, query), query);
}

/* A caller's work, and the events that were kept when it began. */
typedef struct work_t {
    hb_store_tx_fn *fn;
    void *baton;
    int n_kept;
} work_t;

/* It may run again: what an earlier run told of did not happen. */
static apr_status_t run_work(hb_op_t *op, void *baton)
{
    const work_t *work = baton;

    hb_bus_forget(op, work->n_kept);
    return work->fn(op, work->baton);
}

apr_status_t hb_store_transact(hb_op_t *op, hb_store_tx_fn *fn, void *baton)
{
    work_t work = { fn, baton, hb_bus_kept(op) };
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "transact", HB_SHAPE_NONE, HB_M_STORE_WRITES);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_store_end(&call, call.driver->transact(call.self, op, run_work, &work), NULL);
    if (rv != APR_SUCCESS) {
        hb_bus_forget(op, work.n_kept);
    }
    else if (op->tx == NULL) {
        hb_bus_tell(op);        /* the outermost one: all of it is committed */
    }
    return rv;
}
