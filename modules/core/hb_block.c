/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks. A row's id is "blocker:blocked", so every question about two users is a look-up by
 * id, in both orders.
 */
#include "hb_social.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_room.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define MARK_MAX 100

static const char *pair_id(const hb_op_t *op, const char *blocker, const char *blocked)
{
    return apr_pstrcat(op->pool, blocker, ":", blocked, NULL);
}

static apr_status_t has_row(int *has, hb_op_t *op, const char *blocker, const char *blocked)
{
    hb_json_t *row;
    apr_status_t rv;

    rv = hb_store_get(&row, op, HB_C_BLOCKS, pair_id(op, blocker, blocked));
    *has = rv == APR_SUCCESS;
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    return rv;
}

apr_status_t hb_block_check(hb_op_t *op, const char *user_id)
{
    const char *me = op->actor.user_id;
    apr_status_t rv;
    int has;

    if (me == NULL || strcmp(me, user_id) == 0) {
        return APR_SUCCESS;
    }
    rv = has_row(&has, op, me, user_id);
    if (rv == APR_SUCCESS && has) {
        return hb_fail(op, HB_E_USER_BLOCKED, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = has_row(&has, op, user_id, me);
    }
    if (rv == APR_SUCCESS && has) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    return rv;
}

apr_status_t hb_block_mark(int *is_blocked, hb_op_t *op, const char *const *ids, int n_ids)
{
    const char *me = op->actor.user_id;
    hb_value_t any[2 * MARK_MAX];
    const hb_cond_t where[] = { { "_id", HB_ONE_OF, HB_NIL, any, 2 * n_ids } };
    hb_query_t query = { HB_C_BLOCKS, where, 1 };
    hb_page_t page;
    apr_status_t rv;
    int i, j;

    memset(is_blocked, 0, n_ids * sizeof(*is_blocked));
    if (me == NULL || n_ids == 0) {
        return APR_SUCCESS;
    }
    for (i = 0; i < n_ids; i++) {
        any[2 * i] = (hb_value_t)HB_STR(pair_id(op, me, ids[i]));
        any[2 * i + 1] = (hb_value_t)HB_STR(pair_id(op, ids[i], me));
    }
    query.limit = 2 * MARK_MAX;
    rv = hb_store_find(&page, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (j = 0; j < page.n_items; j++) {
        const char *other = hb_json_string(page.items[j], "blockedId");

        if (strcmp(other, me) == 0) {
            other = hb_json_string(page.items[j], "blockerId");
        }
        for (i = 0; i < n_ids; i++) {
            is_blocked[i] |= strcmp(ids[i], other) == 0;
        }
    }
    return APR_SUCCESS;
}

/* Both hear of it, so that open connections act on it. */
static void tell_changed(hb_op_t *op, const char *blocker, const char *blocked, int is_blocked)
{
    const char *const ids[] = { blocker, blocked };
    int i;

    for (i = 0; i < 2; i++) {
        hb_json_t *news = hb_json_object_make(op->pool);

        hb_json_set_string(news, "userId", ids[1 - i]);
        hb_json_set_bool(news, "isMine", i == 0);
        hb_json_set_bool(news, "isBlocked", is_blocked);
        hb_bus_publish(op, HB_EV_BLOCK_CHANGED, ids[i], news);
    }
}

static apr_status_t block_in_store(hb_op_t *op, void *baton)
{
    const char *id = baton;
    const char *me = op->actor.user_id;
    hb_json_t *row, *user;
    apr_status_t rv;
    int has, n;

    rv = hb_user_load(&user, op, id);
    if (rv == APR_SUCCESS) {
        rv = has_row(&has, op, me, id);
    }
    if (rv != APR_SUCCESS || has) {
        return rv;
    }
    row = hb_json_object_make(op->pool);
    hb_json_set_string(row, "_id", pair_id(op, me, id));
    hb_json_set_string(row, "blockerId", me);
    hb_json_set_string(row, "blockedId", id);
    hb_json_set_int(row, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_BLOCKS, row);
    if (rv == APR_SUCCESS) {
        rv = hb_follow_drop(&n, op, me, id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_follow_drop(&n, op, id, me);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_room_moderator_drop(op, me, id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_room_moderator_drop(op, id, me);
    }
    if (rv == APR_SUCCESS) {
        tell_changed(op, me, id, 1);
    }
    return rv;
}

apr_status_t hb_block_set(hb_op_t *op, const char *id)
{
    apr_status_t rv;

    if (strcmp(id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, NULL);
    }
    rv = hb_store_transact(op, block_in_store, (void *)id);
    if (rv == HB_E_STORE_DUPLICATE) {
        hb_op_recover(op);      /* a twin was faster */
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        hb_user_changed(op, op->actor.user_id);
        hb_user_changed(op, id);
    }
    return rv;
}

apr_status_t hb_block_clear(hb_op_t *op, const char *id)
{
    apr_status_t rv;

    if (!hb_id_is_valid(id)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    rv = hb_store_remove(op, HB_C_BLOCKS, pair_id(op, op->actor.user_id, id), NULL, 0);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        tell_changed(op, op->actor.user_id, id, 0);
    }
    return rv;
}

static apr_status_t each_of(hb_op_t *op, int is_mine, int max,
                            void (*fn)(void *baton, const char *user_id, int is_mine), void *baton)
{
    const hb_cond_t where[] = { { is_mine ? "blockerId" : "blockedId", HB_IS,
                                  HB_STR(op->actor.user_id) } };
    hb_query_t query = { .in = HB_C_BLOCKS, .where = where, .n_where = 1, .limit = max };
    hb_page_t page;
    apr_status_t rv;
    int i;

    if (is_mine) {
        query.sort[0] = (hb_sort_t){ "createdAt", 1 };
    }
    rv = hb_store_find(&page, op, &query);
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        fn(baton, hb_json_string(page.items[i], is_mine ? "blockedId" : "blockerId"), is_mine);
    }
    return rv;
}

apr_status_t hb_block_each(hb_op_t *op, int max,
                           void (*fn)(void *baton, const char *user_id, int is_mine),
                           void *baton)
{
    apr_status_t rv = each_of(op, 1, max, fn, baton);

    return rv == APR_SUCCESS ? each_of(op, 0, max, fn, baton) : rv;
}

/* Not hb_user_views(): that leaves out exactly these. */
apr_status_t hb_block_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = { { "blockerId", HB_IS, HB_STR(op->actor.user_id) } };
    hb_query_t query = { HB_C_BLOCKS, where, 1 };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_json_t *user;
    hb_page_t page;
    apr_status_t rv;
    int i;

    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = limit;
    query.after = after;
    rv = hb_store_find(&page, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        rv = hb_user_load(&user, op, hb_json_string(page.items[i], "blockedId"));
        if (rv == APR_SUCCESS) {
            hb_json_push(items, hb_user_view(op, user, HB_ALL));
        } else if (rv == HB_E_USER_UNKNOWN) {
            hb_op_recover(op);  /* deleted since */
        } else {
            return rv;
        }
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}
