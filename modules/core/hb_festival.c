/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on. The cache holds the records of all festivals that are on or may come on while it
 * holds them, so a window begins and ends at its moment although nobody looked anew.
 */
#include "hb_festival.h"
#include "hb_festival_private.h"

#include <string.h>

#include "hb_cache.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define CACHE_KEY "festival:active"
#define LIFE_MSEC 60000
#define DAY_MSEC APR_INT64_C(86400000)
#define PAGE 200

int hb_festival_is_on(const hb_json_t *doc, apr_time_t when)
{
    apr_int64_t msec = hb_time_to_msec(when);

    return hb_json_bool(doc, "isEnabled", 0) && hb_json_int(doc, "startsAt", 0) <= msec
        && msec < hb_json_int(doc, "endsAt", 0);
}

apr_int64_t hb_festival_bonus(apr_int64_t coins, int coin_percent)
{
    apr_int64_t more = coin_percent - 100;

    return more <= 0 ? 0 : coins / 100 * more + coins % 100 * more / 100;
}

/* --- records --- */

apr_status_t hb_festival_open(hb_json_t **items, hb_op_t *op, apr_int64_t until_msec)
{
    const hb_cond_t where[] = {
        { "isEnabled", HB_IS, HB_BOOL(1) },
        { "endsAt", HB_ABOVE, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t query = { .in = HB_C_FESTIVALS, .where = where, .n_where = 2,
                         .sort = { { "endsAt", 0 } }, .limit = PAGE };
    apr_status_t rv;
    hb_page_t page;
    int i;

    *items = hb_json_array_make(op->pool);
    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
            if (hb_json_int(page.items[i], "startsAt", 0) <= until_msec) {
                hb_json_push(*items, page.items[i]);
            }
        }
        query.after = rv == APR_SUCCESS ? page.next : NULL;
    } while (query.after != NULL);
    return rv;
}

void hb_festival_changed(hb_op_t *op)
{
    hb_cache_remove(op, CACHE_KEY);
}

/* As the cache has it; NULL when it is not there, or of another time (the clock jumped). */
static hb_json_t *cached(hb_cache_lease_t *lease, int *may_fill, hb_op_t *op)
{
    apr_int64_t age;
    hb_json_t *kept;
    const char *text;
    apr_size_t len;
    apr_status_t rv = hb_cache_get(&text, &len, lease, op, CACHE_KEY);

    *may_fill = rv == HB_E_CACHE_MISS;
    kept = rv == APR_SUCCESS ? hb_json_parse_own(text, len, op->pool) : NULL;
    age = hb_time_to_msec(op->now) - hb_json_int(kept, "at", 0);
    return age >= -LIFE_MSEC && age <= LIFE_MSEC ? hb_json_get(kept, "items") : NULL;
}

/* Records of what is on or about to be. */
static apr_status_t near(hb_json_t **items, hb_op_t *op)
{
    apr_int64_t now = hb_time_to_msec(op->now);
    hb_cache_lease_t lease;
    hb_json_t *kept;
    const char *text;
    apr_size_t len;
    apr_status_t rv;
    int may_fill;

    *items = cached(&lease, &may_fill, op);
    if (*items != NULL) {
        return APR_SUCCESS;
    }
    rv = hb_festival_open(items, op, now + 2 * LIFE_MSEC);
    if (rv == APR_SUCCESS && may_fill) {
        kept = hb_json_object_make(op->pool);
        hb_json_set_int(kept, "at", now);
        hb_json_set(kept, "items", *items);
        text = hb_json_text(kept, op->pool, &len);
        hb_cache_fill(op, &lease, CACHE_KEY, text, len, apr_time_from_msec(LIFE_MSEC));
    }
    return rv;
}

static int began_later(const hb_json_t *a, const hb_json_t *b)
{
    apr_int64_t at_a = hb_json_int(a, "startsAt", 0), at_b = hb_json_int(b, "startsAt", 0);

    return at_a != at_b ? at_a > at_b
        : strcmp(hb_json_string(a, "_id"), hb_json_string(b, "_id")) < 0;
}

apr_status_t hb_festival_now(hb_festival_now_t *now, hb_op_t *op)
{
    hb_json_t *items, **on;
    apr_status_t rv = near(&items, op);
    int i, j, n = 0;

    *now = (hb_festival_now_t){ hb_json_array_make(op->pool), 100, NULL };
    if (rv != APR_SUCCESS) {
        return rv;
    }
    on = apr_palloc(op->pool, ((apr_size_t)hb_json_length(items) + 1) * sizeof(*on));
    for (i = 0; i < hb_json_length(items); i++) {
        hb_json_t *doc = hb_json_item(items, i);
        int percent = (int)hb_json_int(doc, "coinPercent", 100);

        if (!hb_festival_is_on(doc, op->now)) {
            continue;
        }
        for (j = n++; j > 0 && began_later(doc, on[j - 1]); j--) {
            on[j] = on[j - 1];
        }
        on[j] = doc;
        if (percent > now->coin_percent) {
            now->coin_percent = percent;
            now->coin_id = hb_json_string(doc, "_id");
        }
    }
    for (i = 0; i < n; i++) {
        hb_json_push(now->items, on[i]);
    }
    return APR_SUCCESS;
}

int hb_festival_has_gift(const hb_festival_now_t *now, const char *gift_id)
{
    int i, j;

    for (i = 0; i < hb_json_length(now->items); i++) {
        const hb_json_t *ids = hb_json_get(hb_json_item(now->items, i), "giftIds");

        for (j = 0; j < hb_json_length(ids); j++) {
            if (strcmp(hb_json_string_value(hb_json_item(ids, j)), gift_id) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

/* --- showing --- */

apr_status_t hb_festival_show_now(hb_json_t **reply, hb_op_t *op)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_festival_now_t now;
    apr_status_t rv = hb_festival_now(&now, op);
    int i;

    for (i = 0; i < hb_json_length(now.items); i++) {
        hb_json_push(items, hb_schema_view(op, HB_C_FESTIVALS, hb_json_item(now.items, i),
                                           HB_ALL));
    }
    *reply = hb_json_object_make(op->pool);
    hb_json_set(*reply, "items", items);
    hb_json_set_int(*reply, "coinPercent", now.coin_percent);
    return rv;
}

/* A cursor belongs to its query, so what the query says must not move with every call. */
apr_status_t hb_festival_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    apr_int64_t now = hb_time_to_msec(op->now), today = now - now % DAY_MSEC;
    const hb_cond_t where[] = {
        { "isEnabled", HB_IS, HB_BOOL(1) },
        { "endsAt", HB_ABOVE, HB_INT(today) },
    };
    const hb_query_t query = { .in = HB_C_FESTIVALS, .where = where, .n_where = 2,
                               .sort = { { "endsAt", 0 } }, .limit = limit, .after = after };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        if (hb_json_int(page.items[i], "endsAt", 0) > now) {
            hb_json_push(items, hb_schema_view(op, HB_C_FESTIVALS, page.items[i], HB_ALL));
        }
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}
