/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gifts there are, and which were sent.
 */
#include "hb_gift.h"

#include "hb_schema.h"
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

apr_status_t hb_gift_catalog(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = { { "isActive", HB_IS, HB_BOOL(1) } };
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1,
                               .sort = { { "priceCoins", 0 } }, .limit = limit,
                               .after = after };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);

    if (rv == APR_SUCCESS) {
        *list = page_to_json(op, HB_C_GIFT_CATALOG, &page, HB_ALL);
    }
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
    *list = page_to_json(op, HB_C_GIFTS, &page, who);
    return APR_SUCCESS;
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
