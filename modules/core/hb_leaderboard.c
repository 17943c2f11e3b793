/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of gifts in the order of an index. A giver's record holds the newest day and week
 * they gave in; the first gift of a new one starts it from zero, which also takes
 * them off the board of the old one.
 */
#include "hb_leaderboard.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_store.h"
#include "hb_stream.h"
#include "hb_time.h"
#include "hb_user.h"

#define PLACES_MAX 100
#define DATE_LENGTH 10          /* YYYY-MM-DD */
#define DAY_USEC (APR_INT64_C(86400) * APR_USEC_PER_SEC)

static const char *day_of(apr_pool_t *pool, apr_time_t when)
{
    char text[HB_TIME_BYTES];

    return apr_pstrndup(pool, hb_time_write(text, when), DATE_LENGTH);
}

const char *hb_leaderboard_week(apr_pool_t *pool, apr_time_t when)
{
    apr_int64_t day = when / DAY_USEC;

    return day_of(pool, (day - (day + 3) % 7) * DAY_USEC);  /* day 0 was a Thursday */
}

apr_status_t hb_leaderboard_add(hb_json_t *doc, const char *field, apr_int64_t coins)
{
    apr_int64_t sum = hb_json_int(doc, field, 0);

    if (__builtin_add_overflow(sum, coins, &sum)) {
        return HB_E_INPUT_INVALID;
    }
    hb_json_set_int(doc, field, sum);
    return APR_SUCCESS;
}

/* One sum of a giver's record: go on with it, or start it. */
static apr_status_t note_period(hb_json_t *giver, const char *period_field,
                                const char *period, const char *coins_field,
                                apr_int64_t coins)
{
    const char *last = hb_json_string(giver, period_field);

    if (last == NULL || strcmp(last, period) != 0) {
        hb_json_set_string(giver, period_field, period);
        hb_json_set_int(giver, coins_field, 0);
    }
    return hb_leaderboard_add(giver, coins_field, coins);
}

apr_status_t hb_leaderboard_note(hb_op_t *op, const char *user_id, apr_int64_t coins)
{
    hb_json_t *giver;
    apr_status_t rv = hb_store_get(&giver, op, HB_C_GIVERS, user_id);
    int is_new = rv == HB_E_STORE_MISSING;

    if (is_new) {
        giver = hb_json_object_make(op->pool);
        hb_json_set_string(giver, "_id", user_id);
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = note_period(giver, "day", day_of(op->pool, op->now), "dayCoins", coins);
    }
    if (rv == APR_SUCCESS) {
        rv = note_period(giver, "week", hb_leaderboard_week(op->pool, op->now), "weekCoins",
                         coins);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return is_new ? hb_store_insert(NULL, op, HB_C_GIVERS, giver)
                  : hb_store_replace(NULL, op, HB_C_GIVERS, giver);
}

apr_status_t hb_leaderboard_note_room(hb_op_t *op, const char *stream_id, const char *user_id,
                                      apr_int64_t coins)
{
    const char *id = apr_pstrcat(op->pool, stream_id, ":", user_id, NULL);
    hb_json_t *giver;
    apr_status_t rv = hb_store_get(&giver, op, HB_C_ROOM_GIVERS, id);
    int is_new = rv == HB_E_STORE_MISSING;

    if (is_new) {
        giver = hb_json_object_make(op->pool);
        hb_json_set_string(giver, "_id", id);
        hb_json_set_string(giver, "streamId", stream_id);
        hb_json_set_string(giver, "userId", user_id);
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_leaderboard_add(giver, "coins", coins);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return is_new ? hb_store_insert(NULL, op, HB_C_ROOM_GIVERS, giver)
                  : hb_store_replace(NULL, op, HB_C_ROOM_GIVERS, giver);
}

/* --- reading --- */

/* Places from records in order. @param user_field  of the record; "_id" when that is the user */
static apr_status_t board_make(hb_json_t **board, hb_op_t *op, const hb_page_t *page,
                               const char *user_field, const char *coins_field)
{
    hb_json_t *places = hb_json_array_make(op->pool);
    const char *ids[PLACES_MAX];
    hb_json_t *views;
    apr_status_t rv;
    int i, n_views = 0;

    for (i = 0; i < page->n_items; i++) {
        ids[i] = hb_json_string(page->items[i], user_field);
    }
    rv = hb_user_views(&views, op, ids, page->n_items);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Views come in the order of the ids, some of them missing. */
    for (i = 0; i < page->n_items && n_views < hb_json_length(views); i++) {
        hb_json_t *view = hb_json_item(views, n_views);
        hb_json_t *place;

        if (strcmp(hb_json_string(view, "id"), ids[i]) != 0) {
            continue;
        }
        place = hb_json_object_make(op->pool);
        hb_json_set_int(place, "rank", ++n_views);
        hb_json_set_int(place, "coins", hb_json_int(page->items[i], coins_field, 0));
        hb_json_set(place, "user", view);
        hb_json_push(places, place);
    }
    *board = hb_json_object_make(op->pool);
    hb_json_set(*board, "items", places);
    return APR_SUCCESS;
}

apr_status_t hb_leaderboard_room(hb_json_t **board, hb_op_t *op, const char *stream_id,
                                 int limit)
{
    const hb_cond_t where[] = { { "streamId", HB_IS, HB_STR(stream_id) } };
    const hb_query_t query = { .in = HB_C_ROOM_GIVERS, .where = where, .n_where = 1,
                               .sort = { { "coins", 1 } }, .limit = limit };
    hb_json_t *stream;
    hb_page_t page;
    apr_status_t rv = hb_stream_get(&stream, op, stream_id);

    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    return rv == APR_SUCCESS ? board_make(board, op, &page, "userId", "coins") : rv;
}

apr_status_t hb_leaderboard_gifters(hb_json_t **board, hb_op_t *op, const char *period,
                                    int limit)
{
    int is_week = strcmp(period, "week") == 0;
    const char *value = is_week ? hb_leaderboard_week(op->pool, op->now)
                                : day_of(op->pool, op->now);
    const char *coins_field = is_week ? "weekCoins" : "dayCoins";
    const hb_cond_t where[] = { { is_week ? "week" : "day", HB_IS, HB_STR(value) } };
    const hb_query_t query = { .in = HB_C_GIVERS, .where = where, .n_where = 1,
                               .sort = { { coins_field, 1 } }, .limit = limit };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);

    return rv == APR_SUCCESS ? board_make(board, op, &page, "_id", coins_field) : rv;
}
