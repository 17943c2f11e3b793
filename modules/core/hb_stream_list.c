/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and the ranking. Each order is a row of a table with the index that serves it;
 * an order that is not there is refused rather than sorted in memory. First pages are
 * kept as text under the number of the last change ("generation"): whoever changes a stream
 * adds 1 after the commit, so nobody asks for the old pages again and they die by age. A
 * reader who was slow fills a page of the old number, which nobody reads.
 */
#include "hb_stream_list.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_store.h"
#include "hb_stream.h"

/* Outside the namespace "cache": flushing that must not bring old numbers back to life. */
#define GENERATION "streams:generation"

/* The board, and the sign that it was rebuilt from the store lately (also after a loss). */
#define BOARD       "ranking:streams"
#define BOARD_FRESH "streams:ranking-fresh"
#define BOARD_TTL   apr_time_from_sec(30)
#define BOARD_SIZE  200
#define RANKS_MAX   100

enum { BY_CATEGORY = 1, BY_COUNTRY = 2, BY_HOST = 4 };

typedef struct order_t {
    int filters;                /* BY_ bits besides the status */
    const char *sort;           /* as the client writes it; NULL: not to choose */
    const char *field;
} order_t;

/* What can be asked; each row is served by one index of HB_C_STREAMS. */
static const order_t orders[] = {
    { 0,                        "viewers", "viewers" },
    { 0,                        "started", "startedAt" },
    { 0,                        "score",   "score" },
    { BY_CATEGORY,              "viewers", "viewers" },
    { BY_COUNTRY,               "viewers", "viewers" },
    { BY_CATEGORY | BY_COUNTRY, "viewers", "viewers" },
    { BY_HOST,                  NULL,      "createdAt" },
};

/* A list as asked for, with defaults filled in. */
typedef struct ask_t {
    const char *status, *category, *country, *host, *sort;
    const order_t *order;
    const char *after;
    int limit;
} ask_t;

/* --- what is asked --- */

static apr_status_t ask_read(ask_t *ask, hb_op_t *op, const hb_json_t *input)
{
    int filters = 0;
    apr_size_t i;

    ask->status = hb_json_string(input, "status");
    ask->category = hb_stream_category(op->pool, hb_json_string(input, "category"));
    ask->country = hb_json_string(input, "country");
    ask->host = hb_json_string(input, "host");
    ask->sort = hb_json_string(input, "sort");
    ask->after = hb_json_string(input, "after");
    ask->limit = (int)hb_json_int(input, "limit", 20);
    ask->order = NULL;
    filters |= ask->category != NULL ? BY_CATEGORY : 0;
    filters |= ask->country != NULL ? BY_COUNTRY : 0;
    filters |= ask->host != NULL ? BY_HOST : 0;

    if (ask->host != NULL && filters != BY_HOST) {
        return hb_fail_field(op, "host", "value", "host goes with status alone");
    }
    if (ask->status == NULL && ask->host == NULL) {
        ask->status = hb_stream_state_name(HB_STREAM_LIVE);
    }
    if (ask->host == NULL && strcmp(ask->status, "pending") == 0) {
        return hb_fail_field(op, "host", "required", "planned streams are listed by host");
    }
    if (ask->sort == NULL && ask->host == NULL) {
        ask->sort = filters != 0 || strcmp(ask->status, "live") == 0 ? "viewers" : "started";
    }
    for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (orders[i].filters == filters
            && (orders[i].sort == NULL ? ask->sort == NULL
                : ask->sort != NULL && strcmp(orders[i].sort, ask->sort) == 0)) {
            ask->order = &orders[i];
            return APR_SUCCESS;
        }
    }
    return filters == BY_HOST
        ? hb_fail_field(op, "sort", "value", "streams of one host come newest first")
        : hb_fail_field(op, "sort", "value",
                        "with a category or a country the order is viewers");
}

/* Planned streams show to their host and to staff. @param hide_pending  when all states are asked for */
static apr_status_t ask_check(int *hide_pending, const ask_t *ask, hb_op_t *op)
{
    int is_own = ask->host != NULL && op->actor.user_id != NULL
                 && strcmp(ask->host, op->actor.user_id) == 0;
    int wants_pending = ask->status != NULL && strcmp(ask->status, "pending") == 0;

    *hide_pending = 0;
    if ((ask->status == NULL || wants_pending) && !is_own && !hb_stream_is_for_staff(op)) {
        if (wants_pending) {
            return hb_fail(op, HB_E_FORBIDDEN, "planned streams show to their host only");
        }
        *hide_pending = 1;
    }
    return APR_SUCCESS;
}

static const char *ask_text(hb_op_t *op, const ask_t *ask)
{
    const char *none = "";

    /* Category is the one free text, so it stands last. */
    return apr_psprintf(op->pool, "%s:%s:%d:%s:%s", ask->status, ask->sort, ask->limit,
                        ask->country != NULL ? ask->country : none,
                        ask->category != NULL ? ask->category : none);
}

/* --- pages --- */

static hb_json_t *page_to_json(hb_op_t *op, const hb_page_t *page)
{
    hb_json_t *items = hb_json_array_make(op->pool);
    int i;

    for (i = 0; i < page->n_items; i++) {
        hb_json_push(items, hb_stream_to_public_json(op, page->items[i]));
    }
    return hb_page_json(op, items, page->next);
}

static apr_status_t page_find(hb_page_t *page, hb_op_t *op, const ask_t *ask,
                              int hide_pending)
{
    static const hb_value_t shown[] = { HB_STR("live"), HB_STR("ended") };
    hb_cond_t where[4];
    hb_query_t query = { .in = HB_C_STREAMS, .where = where, .limit = ask->limit,
                         .after = ask->after };

    if (ask->host != NULL) {
        where[query.n_where++] = (hb_cond_t){ "hostId", HB_IS, HB_STR(ask->host) };
    }
    if (ask->status != NULL) {
        where[query.n_where++] = (hb_cond_t){ "status", HB_IS, HB_STR(ask->status) };
    }
    else if (hide_pending) {
        where[query.n_where++] = (hb_cond_t){ "status", HB_ONE_OF, HB_NIL, shown, 2 };
    }
    if (ask->category != NULL) {
        where[query.n_where++] = (hb_cond_t){ "category", HB_IS, HB_STR(ask->category) };
    }
    if (ask->country != NULL) {
        where[query.n_where++] = (hb_cond_t){ "country", HB_IS, HB_STR(ask->country) };
    }
    query.sort[0] = (hb_sort_t){ ask->order->field, 1 };
    return hb_store_find(page, op, &query);
}

/* The number of the last change, as part of a key. */
static const char *page_key(hb_op_t *op, const char *ask)
{
    apr_int64_t generation = 0;

    hb_cache_add(&generation, op, GENERATION, 0, 0);
    return apr_psprintf(op->pool, "cache:streams:%" APR_INT64_T_FMT ":%s", generation, ask);
}

void hb_stream_list_renew(hb_op_t *op)
{
    hb_cache_add(NULL, op, GENERATION, 1, 0);
}

apr_status_t hb_stream_list(const char **text, apr_size_t *len, hb_op_t *op,
                            const hb_json_t *input)
{
    const char *key = NULL;
    hb_cache_lease_t lease = { 0 };
    hb_page_t page;
    ask_t ask;
    apr_status_t rv;
    int hide_pending = 0;

    rv = ask_read(&ask, op, input);
    if (rv == APR_SUCCESS) {
        rv = ask_check(&hide_pending, &ask, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Further pages and single hosts are asked for too seldom to be worth the room. */
    if (ask.after == NULL && ask.host == NULL) {
        key = page_key(op, ask_text(op, &ask));
        if (hb_cache_get(text, len, &lease, op, key) == APR_SUCCESS) {
            return APR_SUCCESS;
        }
    }
    rv = page_find(&page, op, &ask, hide_pending);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *text = hb_json_text(page_to_json(op, &page), op->pool, len);
    if (key != NULL) {
        hb_cache_fill(op, &lease, key, *text, *len, HB_STREAM_LIST_TTL);
    }
    return APR_SUCCESS;
}

/* --- the ranking --- */

void hb_stream_rank(hb_op_t *op, const hb_json_t *stream)
{
    const char *id = hb_json_string(stream, "_id");

    if (hb_stream_state(stream) == HB_STREAM_LIVE) {
        hb_cache_rank_set(op, BOARD, id, hb_json_int(stream, "score", 0));
    }
    else {
        hb_cache_rank_remove(op, BOARD, id);
    }
}

/*
 * Two changes of one stream may reach the board in the wrong order, and a cache may lose
 * it: so the board is filled anew from the store every BOARD_TTL.
 */
static apr_status_t board_fill(hb_page_t *page, hb_op_t *op)
{
    const hb_cond_t where[] = {
        { "status", HB_IS, HB_STR(hb_stream_state_name(HB_STREAM_LIVE)) },
    };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 1,
                               .sort = { { "score", 1 } }, .limit = BOARD_SIZE };
    apr_status_t rv = hb_store_find(page, op, &query);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_cache_rank_drop(op, BOARD);
    for (i = 0; i < page->n_items; i++) {
        hb_stream_rank(op, page->items[i]);
    }
    hb_cache_set(op, BOARD_FRESH, "1", 1, BOARD_TTL);
    return APR_SUCCESS;
}

static int by_score(const void *a, const void *b)
{
    const hb_json_t *left = *(hb_json_t *const *)a, *right = *(hb_json_t *const *)b;
    apr_int64_t difference = hb_json_int(right, "score", 0) - hb_json_int(left, "score", 0);

    return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

/*
 * The board's first places, with the records as they are now: a stream that ended meanwhile
 * is taken off and the next one moves up, a score that the board has wrong is put right.
 */
static apr_status_t ranks_from_board(hb_json_t **streams, int *n_streams, hb_op_t *op,
                                     int limit)
{
    const hb_rank_t *entries = NULL;
    int i, n = 0;

    if (hb_cache_rank_top(&entries, &n, op, BOARD, 0, RANKS_MAX) != APR_SUCCESS) {
        n = 0;
    }
    for (i = 0; i < n && *n_streams < limit; i++) {
        hb_json_t *stream;
        apr_status_t rv = hb_store_get(&stream, op, HB_C_STREAMS, entries[i].member);

        if (rv == HB_E_STORE_MISSING) {
            hb_cache_rank_remove(op, BOARD, entries[i].member);
            continue;
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (hb_stream_state(stream) == HB_STREAM_LIVE) {
            streams[(*n_streams)++] = stream;
        }
        if (hb_stream_state(stream) != HB_STREAM_LIVE
            || hb_json_int(stream, "score", 0) != entries[i].score) {
            hb_stream_rank(op, stream);
        }
    }
    return APR_SUCCESS;
}

static apr_status_t ranks_make(hb_json_t **ranks, hb_op_t *op, int limit)
{
    hb_json_t *streams[RANKS_MAX];
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page = { 0 };
    const char *fresh;
    apr_size_t len;
    apr_status_t rv = APR_SUCCESS;
    int i, n = 0;

    if (hb_cache_get(&fresh, &len, NULL, op, BOARD_FRESH) != APR_SUCCESS) {
        rv = board_fill(&page, op);
    }
    if (rv == APR_SUCCESS) {
        rv = ranks_from_board(streams, &n, op, limit);
    }
    if (rv == APR_SUCCESS && n == 0) {
        /* A cache that is away or full keeps no board: the page that was to fill it will do. */
        for (; n < page.n_items && n < limit; n++) {
            streams[n] = page.items[n];
        }
    }
    qsort(streams, n, sizeof(streams[0]), by_score);
    for (i = 0; i < n; i++) {
        hb_json_t *place = hb_json_object_make(op->pool);

        hb_json_set_int(place, "rank", i + 1);
        hb_json_set_int(place, "score", hb_json_int(streams[i], "score", 0));
        hb_json_set(place, "stream", hb_stream_to_public_json(op, streams[i]));
        hb_json_push(items, place);
    }
    *ranks = hb_json_object_make(op->pool);
    hb_json_set(*ranks, "items", items);
    return rv;
}

apr_status_t hb_stream_ranking(const char **text, apr_size_t *len, hb_op_t *op, int limit)
{
    const char *key = page_key(op, apr_psprintf(op->pool, "ranking:%d", limit));
    hb_cache_lease_t lease = { 0 };
    hb_json_t *ranks;
    apr_status_t rv;

    if (hb_cache_get(text, len, &lease, op, key) == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    rv = ranks_make(&ranks, op, limit);
    if (rv == APR_SUCCESS) {
        *text = hb_json_text(ranks, op->pool, len);
        hb_cache_fill(op, &lease, key, *text, *len, HB_STREAM_LIST_TTL);
    }
    return rv;
}
