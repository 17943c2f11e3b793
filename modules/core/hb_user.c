/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User records: look-up, views, lists. Changing them is hb_user_change.c's.
 */
#include "hb_user.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_ahead.h"
#include "hb_cache.h"
#include "hb_og.h"
#include "hb_role.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_username.h"

/* How long the own view may come from the cache: a bound for a process that dies between a
 * change and hb_user_changed(). */
#define ME_LIFE apr_time_from_sec(60)

#define VIEWS_MAX 100

/* --- reading a record --- */

const char *hb_user_id(const hb_json_t *user)
{
    return hb_json_string(user, "_id");
}

static int has_status(const hb_json_t *user, const char *status)
{
    const char *is = hb_json_string(user, "status");

    return is != NULL && strcmp(is, status) == 0;
}

int hb_user_is_active(const hb_json_t *user)
{
    return has_status(user, "active");
}

int hb_user_age(const hb_json_t *user, apr_time_t now)
{
    const char *born = hb_json_string(user, "birthDate");
    char today[HB_TIME_BYTES];

    if (born == NULL || strlen(born) != 10) {
        return -1;
    }
    hb_time_write(today, now);
    /* "YYYY-MM-DD": as text, a later day of the year is a greater one. */
    return atoi(today) - atoi(born) - (strncmp(today + 5, born + 5, 5) < 0);
}

int hb_user_has_totp(const hb_json_t *user)
{
    return hb_json_at(user, "totp.confirmedAt") != NULL;
}

hb_roles_t hb_user_roles(const hb_json_t *user)
{
    const hb_json_t *names = hb_json_get(user, "roles");
    hb_roles_t roles = HB_ROLE_USER;
    int i;

    for (i = 0; i < hb_json_length(names); i++) {
        const char *name = hb_json_string_value(hb_json_item(names, i));

        roles |= name != NULL ? hb_role_bit(name) : 0;
    }
    return hb_roles_expand(roles);
}

hb_json_t *hb_user_role_names(const hb_op_t *op, hb_roles_t roles)
{
    hb_json_t *names = hb_json_array_make(op->pool);
    int i;

    for (i = 0; hb_role_name(i) != NULL; i++) {
        hb_roles_t bit = hb_role_bit(hb_role_name(i));

        if (bit != HB_ROLE_USER && (roles & bit) != 0) {
            hb_json_push_string(names, hb_role_name(i));
        }
    }
    return names;
}

/* Nothing runs when a tier ends, so a record may name one that is over. */
hb_json_t *hb_user_view(hb_op_t *op, const hb_json_t *user, unsigned int who)
{
    hb_json_t *view = hb_schema_view(op, HB_C_USERS, user, who);

    if (hb_json_has(view, "ogLevel")) {
        hb_json_set_int(view, "ogLevel", hb_og_level(user, op->now));
    }
    return view;
}

hb_json_t *hb_user_to_self_json(hb_op_t *op, const hb_json_t *user)
{
    return hb_user_view(op, user, HB_ALL | HB_SELF);
}

static apr_status_t unknown(hb_op_t *op)
{
    hb_op_recover(op);
    return hb_fail(op, HB_E_USER_UNKNOWN, NULL);
}

apr_status_t hb_user_load(hb_json_t **user, hb_op_t *op, const char *id)
{
    apr_status_t rv;

    if (id == NULL || !hb_id_is_valid(id)) {
        return unknown(op);
    }
    rv = hb_store_get(user, op, HB_C_USERS, id);
    if (rv == HB_E_STORE_MISSING
        || (rv == APR_SUCCESS && has_status(*user, "deleted"))) {
        return unknown(op);
    }
    return rv;
}

/* Deleted accounts have neither address nor name. */
static apr_status_t load_by(hb_json_t **user, hb_op_t *op, const char *field,
                            const char *value)
{
    const hb_cond_t where[] = { { field, HB_IS, HB_STR(value) } };
    hb_query_t query = { HB_C_USERS, where, 1 };
    apr_status_t rv;

    query.limit = 1;
    rv = hb_store_find_one(user, op, &query);
    return rv == HB_E_STORE_MISSING ? unknown(op) : rv;
}

apr_status_t hb_user_load_named(hb_json_t **user, hb_op_t *op, const char *name)
{
    const char *key = hb_username_key(op->pool, name);

    return load_by(user, op, strchr(key, '@') != NULL ? "email" : "usernameKey", key);
}

/* --- showing --- */

/* How long a view made now stays true: not beyond the end of an OG tier. */
static apr_interval_time_t me_life(const hb_op_t *op, const hb_json_t *user)
{
    apr_interval_time_t left = hb_time_from_msec(hb_json_int(user, "ogExpiresAt", 0)) - op->now;

    return left > 0 && left < ME_LIFE ? left : ME_LIFE;
}

static const char *me_key(const hb_op_t *op, const char *id)
{
    return apr_pstrcat(op->pool, "cache:user:me:", id, NULL);
}

void hb_user_me_ahead(hb_op_t *op, const char *id)
{
    hb_ahead_value(op, me_key(op, id));
}

apr_status_t hb_user_me_text(const char **text, apr_size_t *len, hb_op_t *op)
{
    const char *key = me_key(op, op->actor.user_id);
    hb_cache_lease_t lease;
    hb_json_t *user;
    apr_status_t rv;

    if (hb_cache_get(text, len, &lease, op, key) == APR_SUCCESS) {
        return APR_SUCCESS;
    }
    rv = hb_user_load(&user, op, op->actor.user_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *text = hb_json_text(hb_user_to_self_json(op, user), op->pool, len);
    hb_cache_fill(op, &lease, key, *text, *len, me_life(op, user));
    return APR_SUCCESS;
}

void hb_user_changed(hb_op_t *op, const char *id)
{
    hb_cache_remove(op, me_key(op, id));
}

apr_status_t hb_user_show(hb_json_t **view, hb_op_t *op, const char *id_or_name)
{
    hb_json_t *user;
    apr_status_t rv;

    if (id_or_name[0] == '@') {
        rv = load_by(&user, op, "usernameKey", hb_username_key(op->pool, id_or_name));
    } else {
        rv = hb_user_load(&user, op, id_or_name);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!hb_user_is_active(user)) {
        return unknown(op);
    }
    rv = hb_block_check(op, hb_user_id(user));
    if (rv == APR_SUCCESS) {
        *view = hb_user_view(op, user, HB_ALL);
    }
    return rv;
}

/* Views of records in their order, without those with whom the actor has a block. */
static apr_status_t push_views(hb_json_t *items, hb_op_t *op, hb_json_t *const *users, int n)
{
    const char *ids[VIEWS_MAX] = { NULL };
    int is_blocked[VIEWS_MAX];
    apr_status_t rv;
    int i;

    for (i = 0; i < n; i++) {
        ids[i] = hb_user_id(users[i]);
    }
    rv = hb_block_mark(is_blocked, op, ids, n);
    for (i = 0; rv == APR_SUCCESS && i < n; i++) {
        if (!is_blocked[i]) {
            hb_json_push(items, hb_user_view(op, users[i], HB_ALL));
        }
    }
    return rv;
}

apr_status_t hb_user_views(hb_json_t **items, hb_op_t *op, const char *const *ids, int n_ids)
{
    hb_value_t any[VIEWS_MAX];
    const hb_cond_t where[] = { { "_id", HB_ONE_OF, HB_NIL, any, n_ids } };
    hb_query_t query = { HB_C_USERS, where, 1 };
    hb_json_t *users[VIEWS_MAX];
    hb_page_t page;
    apr_status_t rv;
    int i, j, n = 0;

    *items = hb_json_array_make(op->pool);
    if (n_ids == 0) {
        return APR_SUCCESS;
    }
    for (i = 0; i < n_ids; i++) {
        any[i] = (hb_value_t)HB_STR(ids[i]);
    }
    query.limit = VIEWS_MAX;
    rv = hb_store_find(&page, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < n_ids; i++) {
        for (j = 0; j < page.n_items; j++) {
            if (strcmp(hb_user_id(page.items[j]), ids[i]) == 0
                && hb_user_is_active(page.items[j])) {
                users[n++] = page.items[j];
                break;
            }
        }
    }
    return push_views(*items, op, users, n);
}

apr_status_t hb_user_search(hb_json_t **list, hb_op_t *op, const char *q, int limit,
                            const char *after)
{
    const char *start = hb_username_key(op->pool, q);
    const hb_cond_t where[] = {
        { "usernameKey", HB_STARTS_WITH, HB_STR(start) },
        { "status", HB_IS, HB_STR("active") },
    };
    hb_query_t query = { HB_C_USERS, where, 2 };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv;

    if (*start == '\0') {
        return hb_fail_field(op, "q", "length", "has to hold at least one letter or digit");
    }
    query.sort[0].field = "usernameKey";
    query.limit = limit < VIEWS_MAX ? limit : VIEWS_MAX;
    query.after = after;
    rv = hb_store_find(&page, op, &query);
    if (rv == APR_SUCCESS) {
        rv = push_views(items, op, page.items, page.n_items);
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}

apr_status_t hb_user_list(hb_json_t **list, hb_op_t *op, int only_staff, int limit,
                          const char *after)
{
    const hb_cond_t where[] = { { "isStaff", HB_IS, HB_BOOL(1) } };
    hb_query_t query = { HB_C_USERS, where, only_staff ? 1 : 0 };
    hb_json_t *items = hb_json_array_make(op->pool);
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
        hb_json_push(items, hb_user_view(op, page.items[i], HB_ALL | HB_STAFF));
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}
