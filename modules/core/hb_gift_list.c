/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gifts there are, and which were sent.
 */
#include "hb_gift.h"

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_festival.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"

static hb_json_t *page_to_json(hb_op_t *op, hb_collection_e in, const hb_page_t *page,
                               unsigned int who)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    int i;

    for (i = 0; i < page->n_items; i++) {
        hb_json_push(items, hb_schema_view(op, in, page->items[i], who));
    }
    return hb_page_json(op, items, page->next);
}

/* Leave gifts out that are for a festival which is not on. */
static apr_status_t drop_waiting(hb_page_t *page, hb_op_t *op)
{
    hb_festival_now_t now = { NULL, 0, NULL };
    int i, n = 0;

    for (i = 0; i < page->n_items; i++) {
        if (hb_json_bool(page->items[i], "isFestivalOnly", 0)) {
            apr_status_t rv = now.items == NULL ? hb_festival_now(&now, op) : APR_SUCCESS;

            if (rv != APR_SUCCESS) {
                return rv;
            }
            if (!hb_festival_has_gift(&now, hb_json_string(page->items[i], "_id"))) {
                continue;
            }
        }
        page->items[n++] = page->items[i];
    }
    page->n_items = n;
    return APR_SUCCESS;
}

apr_status_t hb_gift_catalog(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = { { "isActive", HB_IS, HB_BOOL(1) } };
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1,
                               .sort = { { "priceCoins", 0 } }, .limit = limit,
                               .after = after };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);

    if (rv == APR_SUCCESS) {
        rv = drop_waiting(&page, op);
    }
    if (rv == APR_SUCCESS) {
        *list = page_to_json(op, HB_C_GIFT_CATALOG, &page, HB_ALL);
    }
    return rv;
}

/* Leave out what those gave with whom the actor has a block. */
static apr_status_t drop_hidden(hb_page_t *page, hb_op_t *op)
{
    const char **ids = apr_pcalloc(op->pool, (page->n_items + 1) * sizeof(*ids));
    int *is_blocked = apr_pcalloc(op->pool, (page->n_items + 1) * sizeof(*is_blocked));
    apr_status_t rv;
    int i, n = 0;

    for (i = 0; i < page->n_items; i++) {
        ids[i] = hb_json_string(page->items[i], "senderId");
    }
    rv = hb_block_mark(is_blocked, op, ids, page->n_items);
    for (i = 0; rv == APR_SUCCESS && i < page->n_items; i++) {
        if (!is_blocked[i]) {
            page->items[n++] = page->items[i];
        }
    }
    page->n_items = n;
    return rv;
}

apr_status_t hb_gift_list(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                          const char *after)
{
    const hb_cond_t where[] = { { "streamId", HB_IS, HB_STR(stream_id) } };
    const hb_query_t query = { .in = HB_C_GIFTS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };
    unsigned int who = HB_ALL;
    hb_json_t *stream;
    hb_page_t page;
    apr_status_t rv;

    rv = hb_stream_get(&stream, op, stream_id);
    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_stream_is_host(op, stream)) {
        who |= HB_SELF;
    }
    else if (hb_stream_is_for_staff(op)) {
        who |= HB_STAFF;
    }
    else {
        rv = drop_hidden(&page, op);
    }
    *list = page_to_json(op, HB_C_GIFTS, &page, who);
    return rv;
}

/* --- administrators --- */

apr_status_t hb_gift_catalog_all(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .limit = limit, .after = after };
    apr_status_t rv = hb_role_need(op, HB_ROLE_ADMIN);

    return rv == APR_SUCCESS ? hb_store_list(list, op, &query, HB_ALL | HB_STAFF) : rv;
}

typedef struct edit_t {
    const char *id;
    const hb_json_t *input;
    hb_json_t *gift;            /* as it is afterwards */
} edit_t;

static apr_status_t edit_tx(hb_op_t *op, void *baton)
{
    static const char *const flags[] = { "isActive", "isFestivalOnly" };
    edit_t *edit = baton;
    hb_json_t *details = hb_json_object_make(op->pool);
    hb_edit_t edits[2];
    apr_status_t rv;
    int i, n = 0;

    for (i = 0; i < 2; i++) {
        if (hb_json_has(edit->input, flags[i])) {
            int value = hb_json_bool(edit->input, flags[i], 0);

            edits[n++] = (hb_edit_t){ flags[i], HB_SET, HB_BOOL(value) };
            hb_json_set_bool(details, flags[i], value);
        }
    }
    rv = !hb_id_is_valid(edit->id) ? HB_E_STORE_MISSING
        : n == 0 ? hb_store_get(&edit->gift, op, HB_C_GIFT_CATALOG, edit->id)
        : hb_store_change(&edit->gift, NULL, op, HB_C_GIFT_CATALOG, edit->id, NULL, 0, edits, n);
    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_GIFT_UNKNOWN, NULL);
    }
    return rv == APR_SUCCESS && n > 0
        ? hb_audit_add(op, NULL, "gift.edit", apr_pstrcat(op->pool, "gift:", edit->id, NULL), 1,
                       details) : rv;
}

apr_status_t hb_gift_edit(hb_json_t **view, hb_op_t *op, const char *id, const hb_json_t *input)
{
    edit_t edit = { id, input, NULL };
    apr_status_t rv = hb_role_need(op, HB_ROLE_ADMIN);

    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, edit_tx, &edit);
    }
    if (rv == APR_SUCCESS) {
        *view = hb_schema_view(op, HB_C_GIFT_CATALOG, edit.gift, HB_ALL | HB_STAFF);
    }
    return rv;
}

/* --- the catalogue's first gifts --- */

typedef struct seed_t {
    const hb_json_t *gifts;
    int n_new;
} seed_t;

static apr_status_t seed_one(int *is_new, hb_op_t *op, const hb_json_t *raw)
{
    hb_json_t *doc;
    apr_status_t rv = hb_schema_check(&doc, op, HB_F_GIFT_SEED, raw);

    *is_new = 0;
    if (rv == APR_SUCCESS) {
        const hb_cond_t where[] = {
            { "code", HB_IS, HB_STR(hb_json_string(doc, "code")) },
        };
        const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1 };
        hb_json_t *there;

        rv = hb_store_find_one(&there, op, &query);
        if (rv == HB_E_STORE_MISSING) {
            if (!hb_json_has(doc, "isActive")) {
                hb_json_set_bool(doc, "isActive", 1);
            }
            hb_json_set_int(doc, "createdAt", apr_time_as_msec(op->now));
            *is_new = 1;
            rv = hb_store_insert(NULL, op, HB_C_GIFT_CATALOG, doc);
        }
    }
    return rv;
}

static apr_status_t seed_tx(hb_op_t *op, void *baton)
{
    seed_t *seed = baton;
    apr_status_t rv = APR_SUCCESS;
    int i, is_new;

    seed->n_new = 0;
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(seed->gifts); i++) {
        rv = seed_one(&is_new, op, hb_json_item(seed->gifts, i));
        seed->n_new += is_new;
    }
    return rv;
}

apr_status_t hb_gift_seed(int *n_new, hb_op_t *op, const hb_json_t *gifts)
{
    seed_t seed = { gifts, 0 };
    apr_status_t rv = hb_store_transact(op, seed_tx, &seed);

    *n_new = seed.n_new;
    return rv;
}
