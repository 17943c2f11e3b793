/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows. A row's id is "follower:followed"; the row and the two counters change in one
 * transaction, so the counters are always the number of rows.
 */
#include "hb_social.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define LIST_MAX 100

/* Rows of a leaving account that go in one transaction. */
#define DROP_PAGE 200

static const char *pair_id(const hb_op_t *op, const char *follower, const char *followed)
{
    return apr_pstrcat(op->pool, follower, ":", followed, NULL);
}

static apr_status_t has_row(int *has, hb_op_t *op, const char *follower,
                            const char *followed)
{
    hb_json_t *row;
    apr_status_t rv;

    rv = hb_store_get(&row, op, HB_C_FOLLOWS, pair_id(op, follower, followed));
    *has = rv == APR_SUCCESS;
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    return rv;
}

static apr_status_t count(hb_op_t *op, const char *id, const char *counter, int delta)
{
    const hb_edit_t edits[] = { { counter, HB_INC, HB_INT(delta) } };

    return hb_store_change(NULL, NULL, op, HB_C_USERS, id, NULL, 0, edits, 1);
}

static apr_status_t count_both(hb_op_t *op, const char *follower, const char *followed,
                               int delta)
{
    apr_status_t rv = count(op, follower, "following", delta);

    return rv == APR_SUCCESS ? count(op, followed, "followers", delta) : rv;
}

/* --- follow and unfollow --- */

static apr_status_t follow_in_store(hb_op_t *op, void *baton)
{
    const char *id = baton;
    const char *me = op->actor.user_id;
    hb_json_t *user, *row;
    apr_status_t rv;
    int has;

    rv = hb_user_load(&user, op, id);
    if (rv == APR_SUCCESS && !hb_user_is_active(user)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_block_check(op, id);
    }
    if (rv == APR_SUCCESS) {
        rv = has_row(&has, op, me, id);
    }
    if (rv != APR_SUCCESS || has) {
        return rv;
    }
    row = hb_json_object_make(op->pool);
    hb_json_set_string(row, "_id", pair_id(op, me, id));
    hb_json_set_string(row, "followerId", me);
    hb_json_set_string(row, "followedId", id);
    hb_json_set_int(row, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_insert(NULL, op, HB_C_FOLLOWS, row);
    return rv == APR_SUCCESS ? count_both(op, me, id, 1) : rv;
}

apr_status_t hb_follow_drop(int *n, hb_op_t *op, const char *follower_id,
                            const char *followed_id)
{
    apr_status_t rv;

    *n = 0;
    rv = hb_store_remove(op, HB_C_FOLLOWS, pair_id(op, follower_id, followed_id), NULL, 0);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        *n = 1;
        rv = count_both(op, follower_id, followed_id, -1);
    }
    return rv;
}

static apr_status_t unfollow_in_store(hb_op_t *op, void *baton)
{
    int n;

    return hb_follow_drop(&n, op, op->actor.user_id, baton);
}

static apr_status_t relation_load(hb_json_t **relation, hb_op_t *op, const char *id)
{
    const char *me = op->actor.user_id;
    hb_json_t *user;
    apr_status_t rv;
    int following, followed;

    rv = hb_user_load(&user, op, id);
    if (rv == APR_SUCCESS) {
        rv = has_row(&following, op, me, id);
    }
    if (rv == APR_SUCCESS) {
        rv = has_row(&followed, op, id, me);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *relation = hb_json_object_make(op->pool);
    hb_json_set_string(*relation, "userId", id);
    hb_json_set_bool(*relation, "following", following);
    hb_json_set_bool(*relation, "followedBy", followed);
    hb_json_set_int(*relation, "followers", hb_json_int(user, "followers", 0));
    return APR_SUCCESS;
}

static apr_status_t check_other(hb_op_t *op, const char *id)
{
    if (!hb_id_is_valid(id)) {
        return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
    }
    if (strcmp(id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_USER_SELF, NULL);
    }
    return APR_SUCCESS;
}

static apr_status_t follow_change(hb_json_t **relation, hb_op_t *op, const char *id,
                                  hb_store_tx_fn *fn)
{
    apr_status_t rv = check_other(op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, fn, (void *)id);
        if (rv == HB_E_STORE_DUPLICATE) {
            hb_op_recover(op);  /* a twin was faster */
            rv = APR_SUCCESS;
        }
    }
    if (rv == APR_SUCCESS) {
        hb_user_changed(op, op->actor.user_id);
        hb_user_changed(op, id);
        rv = relation_load(relation, op, id);
    }
    return rv;
}

apr_status_t hb_follow_set(hb_json_t **relation, hb_op_t *op, const char *id)
{
    return follow_change(relation, op, id, follow_in_store);
}

apr_status_t hb_follow_clear(hb_json_t **relation, hb_op_t *op, const char *id)
{
    apr_status_t rv = check_other(op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_block_check(op, id);
    }
    if (rv == HB_E_USER_BLOCKED) {
        hb_op_recover(op);
        rv = APR_SUCCESS;
    }
    return rv == APR_SUCCESS ? follow_change(relation, op, id, unfollow_in_store) : rv;
}

apr_status_t hb_follow_show(hb_json_t **relation, hb_op_t *op, const char *id)
{
    apr_status_t rv = check_other(op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_block_check(op, id);
    }
    return rv == APR_SUCCESS ? relation_load(relation, op, id) : rv;
}

/* --- lists --- */

static apr_status_t list_side(hb_json_t **list, hb_op_t *op, const char *id_or_name,
                              const char *of_field, const char *other_field, int limit,
                              const char *after)
{
    hb_cond_t where[1];
    hb_query_t query = { HB_C_FOLLOWS, where, 1 };
    const char *ids[LIST_MAX];
    hb_json_t *view, *items;
    hb_page_t page;
    apr_status_t rv;
    int i;

    rv = hb_user_show(&view, op, id_or_name);   /* hidden from whom the profile is hidden */
    if (rv != APR_SUCCESS) {
        return rv;
    }
    where[0] = (hb_cond_t){ of_field, HB_IS, HB_STR(hb_json_string(view, "id")) };
    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = limit < LIST_MAX ? limit : LIST_MAX;
    query.after = after;
    rv = hb_store_find(&page, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        ids[i] = hb_json_string(page.items[i], other_field);
    }
    rv = hb_user_views(&items, op, ids, page.n_items);
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}

apr_status_t hb_followers_list(hb_json_t **list, hb_op_t *op, const char *id, int limit,
                               const char *after)
{
    return list_side(list, op, id, "followedId", "followerId", limit, after);
}

apr_status_t hb_following_list(hb_json_t **list, hb_op_t *op, const char *id, int limit,
                               const char *after)
{
    return list_side(list, op, id, "followerId", "followedId", limit, after);
}

/* --- a leaving account --- */

typedef struct drop_t {
    const char *user_id;
    const char *side;           /* the field that holds user_id */
    const char *other;          /* the field that holds whom to tell */
    const char *ids[DROP_PAGE];
    int n;
} drop_t;

static apr_status_t drop_page_in_store(hb_op_t *op, void *baton)
{
    drop_t *drop = baton;
    const hb_cond_t where[] = { { drop->side, HB_IS, HB_STR(drop->user_id) } };
    hb_query_t query = { HB_C_FOLLOWS, where, 1 };
    hb_page_t page;
    apr_status_t rv;
    int i, n;

    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = DROP_PAGE;
    rv = hb_store_find(&page, op, &query);
    drop->n = 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        drop->ids[drop->n++] = hb_json_string(page.items[i], drop->other);
        rv = hb_follow_drop(&n, op, hb_json_string(page.items[i], "followerId"),
                            hb_json_string(page.items[i], "followedId"));
    }
    return rv;
}

static apr_status_t drop_side(hb_op_t *op, const char *user_id, const char *side,
                              const char *other)
{
    drop_t *drop = apr_pcalloc(op->pool, sizeof(*drop));
    apr_status_t rv;
    int i;

    drop->user_id = user_id;
    drop->side = side;
    drop->other = other;
    do {
        rv = hb_store_transact(op, drop_page_in_store, drop);
        for (i = 0; rv == APR_SUCCESS && i < drop->n; i++) {
            hb_user_changed(op, drop->ids[i]);
        }
    } while (rv == APR_SUCCESS && drop->n == DROP_PAGE);
    return rv;
}

static apr_status_t drop_blocks(hb_op_t *op, const char *user_id, const char *side)
{
    const hb_cond_t where[] = { { side, HB_IS, HB_STR(user_id) } };
    hb_query_t query = { HB_C_BLOCKS, where, 1 };

    return hb_store_remove_all(NULL, op, &query);
}

apr_status_t hb_social_drop_all(hb_op_t *op, const char *user_id)
{
    apr_status_t rv;

    rv = drop_side(op, user_id, "followerId", "followedId");
    if (rv == APR_SUCCESS) {
        rv = drop_side(op, user_id, "followedId", "followerId");
    }
    if (rv == APR_SUCCESS) {
        rv = drop_blocks(op, user_id, "blockerId");
    }
    if (rv == APR_SUCCESS) {
        rv = drop_blocks(op, user_id, "blockedId");
    }
    return rv;
}
