/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of notices: a user's own, and those to everybody, by id, which grows with time. Which of
 * those to everybody a user has seen stands in their wishes: all up to one, and some above it.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_store.h"
#include "hb_time.h"

#define LIST_MAX 100
#define TO_ALL_MAX 100          /* that count as unseen, and that are kept as seen one by one */
#define DROP_PAGE 200

static apr_status_t need_user(hb_op_t *op)
{
    return op->actor.user_id == NULL ? hb_fail(op, HB_E_AUTH_REQUIRED, NULL) : APR_SUCCESS;
}

/* What was told to everybody before an account was there is not for it. Ids begin with seconds. */
static const char *born(const hb_op_t *op, const char *user_id)
{
    return apr_psprintf(op->pool, "%.8s%016d", user_id, 0);
}

/* Those to everybody up to this one wait no more. */
static const char *seen_to(const hb_op_t *op, const char *user_id, const hb_json_t *wishes)
{
    const char *first = born(op, user_id), *last = hb_json_string(wishes, "seenTo");

    return last != NULL && strcmp(last, first) > 0 ? last : first;
}

static int has_seen(const hb_op_t *op, const char *user_id, const hb_json_t *wishes, const char *id)
{
    const hb_json_t *seen = hb_json_get(wishes, "seen");
    int i;

    if (strcmp(id, seen_to(op, user_id, wishes)) <= 0) {
        return 1;
    }
    for (i = 0; i < hb_json_length(seen); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(seen, i)), id) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Newest first, of one audience, between two ids (NULL: no bound). */
static apr_status_t find(hb_page_t *page, hb_op_t *op, const char *audience, const char *above,
                         const char *below, int limit)
{
    hb_cond_t where[3] = { { "audience", HB_IS, HB_STR(audience) } };
    hb_query_t query = { .in = HB_C_NOTICES, .where = where, .n_where = 1,
                         .sort = { { "_id", 1 } }, .limit = limit };

    if (above != NULL) {
        where[query.n_where++] = (hb_cond_t){ "_id", HB_ABOVE, HB_STR(above) };
    }
    if (below != NULL) {
        where[query.n_where++] = (hb_cond_t){ "_id", HB_BELOW, HB_STR(below) };
    }
    return hb_store_find(page, op, &query);
}

/* The next of two lists that are both newest first; NULL at the end of both. */
static const hb_json_t *newer(const hb_page_t *own, int *i, const hb_page_t *all, int *j)
{
    const hb_json_t *a = *i < own->n_items ? own->items[*i] : NULL;
    const hb_json_t *b = *j < all->n_items ? all->items[*j] : NULL;

    if (a == NULL && b == NULL) {
        return NULL;
    }
    if (b == NULL || (a != NULL && strcmp(hb_json_string(a, "_id"),
                                          hb_json_string(b, "_id")) > 0)) {
        (*i)++;
        return a;
    }
    (*j)++;
    return b;
}

/* Is it one to everybody of a kind that the reader switched off? */
static int is_unwanted(const hb_notice_reader_t *reader, const hb_json_t *doc)
{
    hb_notice_e kind = hb_notice_named(hb_json_string(doc, "kind"));

    return strcmp(hb_json_string(doc, "audience"), HB_NOTICE_TO_ALL) == 0 && kind < HB_N_COUNT
        && (hb_notice_ways_of(reader, kind) & HB_BY_LIST) == 0;
}

apr_status_t hb_notice_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const char *me = op->actor.user_id, *last = NULL;
    hb_json_t *items = hb_json_array_make(op->pool), *view;
    const hb_json_t *doc = NULL;
    hb_notice_reader_t reader;
    hb_page_t own, all;
    apr_status_t rv = need_user(op);
    int i = 0, j = 0, n;

    limit = limit < LIST_MAX ? limit : LIST_MAX;
    if (rv == APR_SUCCESS && after != NULL && !hb_id_is_valid(after)) {
        return hb_fail(op, HB_E_CURSOR_INVALID, "use next of the page before");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_notice_reader_load(&reader, op, me);
    }
    if (rv == APR_SUCCESS) {
        rv = find(&own, op, me, NULL, after, limit + 1);
    }
    if (rv == APR_SUCCESS) {
        rv = find(&all, op, HB_NOTICE_TO_ALL, born(op, me), after, limit + 1);
    }
    if (rv != APR_SUCCESS) {
        return rv == HB_E_USER_UNKNOWN ? hb_fail(op, rv, NULL) : rv;
    }
    for (n = 0; n < limit && (doc = newer(&own, &i, &all, &j)) != NULL; n++) {
        last = hb_json_string(doc, "_id");
        if (is_unwanted(&reader, doc)) {
            continue;
        }
        view = hb_notice_view(op, &reader, doc,
                              strcmp(hb_json_string(doc, "audience"), HB_NOTICE_TO_ALL) == 0
                              ? has_seen(op, me, reader.wishes, last)
                              : !hb_json_has(doc, "unreadBy"));
        if (view != NULL) {
            hb_json_push(items, view);
        }
    }
    *list = hb_page_json(op, items, newer(&own, &i, &all, &j) != NULL ? last : NULL);
    return APR_SUCCESS;
}

/* --- what waits --- */

static apr_status_t wishes_of(hb_json_t **wishes, hb_op_t *op, const char *user_id)
{
    apr_status_t rv = hb_store_get(wishes, op, HB_C_WISHES, user_id);

    if (rv == HB_E_STORE_MISSING) {
        *wishes = NULL;
        return APR_SUCCESS;
    }
    return rv;
}

static apr_status_t count_unread(hb_json_t **reply, hb_op_t *op)
{
    const char *me = op->actor.user_id;
    const hb_cond_t where[] = { { "unreadBy", HB_IS, HB_STR(me) } };
    const hb_query_t query = { .in = HB_C_NOTICES, .where = where, .n_where = 1 };
    hb_notice_reader_t reader = { .user_id = me };
    hb_json_t *wishes;
    apr_int64_t n = 0;
    hb_page_t all;
    apr_status_t rv = wishes_of(&wishes, op, me);
    int i;

    if (rv == APR_SUCCESS) {
        rv = hb_store_count(&n, op, &query);
    }
    if (rv == APR_SUCCESS) {
        rv = find(&all, op, HB_NOTICE_TO_ALL, seen_to(op, me, wishes), NULL, TO_ALL_MAX);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader.wishes = wishes;
    for (i = 0; i < all.n_items; i++) {
        n += !has_seen(op, me, wishes, hb_json_string(all.items[i], "_id"))
            && !is_unwanted(&reader, all.items[i]);
    }
    *reply = hb_json_object_make(op->pool);
    hb_json_set_int(*reply, "unread", n);
    return APR_SUCCESS;
}

apr_status_t hb_notice_unread(hb_json_t **reply, hb_op_t *op)
{
    apr_status_t rv = need_user(op);

    return rv == APR_SUCCESS ? count_unread(reply, op) : rv;
}

/* --- seen --- */

typedef struct reading_t {
    const char *id;             /* NULL: all */
    hb_json_t *reply;
} reading_t;

static apr_status_t see_to_all(hb_op_t *op, const char *id)
{
    const char *me = op->actor.user_id;
    hb_json_t *wishes, *seen;
    apr_status_t rv = wishes_of(&wishes, op, me);
    int is_new = wishes == NULL;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (is_new) {
        wishes = hb_json_object_make(op->pool);
        hb_json_set_string(wishes, "_id", me);
    }
    if (id == NULL) {
        hb_page_t newest;

        rv = find(&newest, op, HB_NOTICE_TO_ALL, seen_to(op, me, wishes), NULL, 1);
        if (rv != APR_SUCCESS || newest.n_items == 0) {
            return rv;
        }
        hb_json_set_string(wishes, "seenTo", hb_json_string(newest.items[0], "_id"));
        hb_json_remove(wishes, "seen");
    }
    else {
        if (has_seen(op, me, wishes, id)) {
            return APR_SUCCESS;
        }
        seen = hb_json_get(wishes, "seen");
        if (seen == NULL) {
            seen = hb_json_array_make(op->pool);
            hb_json_set(wishes, "seen", seen);
        }
        if (hb_json_length(seen) < TO_ALL_MAX) {
            hb_json_push_string(seen, id);
        }
        else {                  /* who looks at them one by one has seen those before, too */
            hb_json_set_string(wishes, "seenTo", id);
            hb_json_remove(wishes, "seen");
        }
    }
    hb_json_set_int(wishes, "updatedAt", hb_time_to_msec(op->now));
    return is_new ? hb_store_insert(NULL, op, HB_C_WISHES, wishes)
        : hb_store_replace(NULL, op, HB_C_WISHES, wishes);
}

static apr_status_t read_in_store(hb_op_t *op, void *baton)
{
    reading_t *reading = baton;
    const char *me = op->actor.user_id, *audience;
    const hb_cond_t own[] = { { "unreadBy", HB_IS, HB_STR(me) } };
    hb_query_t unread = { .in = HB_C_NOTICES, .where = own, .n_where = 1 };
    const hb_edit_t edits[] = { { "unreadBy", HB_UNSET, HB_NIL },
                                { "readAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) } };
    hb_json_t *doc;
    apr_status_t rv;

    if (reading->id == NULL) {
        rv = hb_store_change_all(NULL, op, &unread, edits, 2);
        if (rv == APR_SUCCESS) {
            rv = see_to_all(op, NULL);
        }
        return rv == APR_SUCCESS ? count_unread(&reading->reply, op) : rv;
    }
    rv = hb_id_is_valid(reading->id) ? hb_store_get(&doc, op, HB_C_NOTICES, reading->id)
        : HB_E_STORE_MISSING;
    audience = rv == APR_SUCCESS ? hb_json_string(doc, "audience") : "";
    if (rv == APR_SUCCESS && strcmp(audience, HB_NOTICE_TO_ALL) == 0) {
        rv = see_to_all(op, reading->id);
    }
    else if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && strcmp(audience, me) != 0)) {
        return hb_fail(op, HB_E_NOTICE_UNKNOWN, NULL);
    }
    else if (rv == APR_SUCCESS && hb_json_has(doc, "unreadBy")) {
        rv = hb_store_change(NULL, NULL, op, HB_C_NOTICES, reading->id, NULL, 0, edits, 2);
    }
    return rv == APR_SUCCESS ? count_unread(&reading->reply, op) : rv;
}

apr_status_t hb_notice_read(hb_json_t **reply, hb_op_t *op, const char *id)
{
    reading_t reading = { id, NULL };
    apr_status_t rv = need_user(op);
    int tries = 3;

    while (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, read_in_store, &reading);
        /* A store whose writers do not queue tells two first ones at once by this. */
        if (rv != HB_E_STORE_DUPLICATE || --tries == 0) {
            break;
        }
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        *reply = reading.reply;
        hb_bus_publish(op, HB_EV_NOTICE_READ, op->actor.user_id, *reply);
    }
    return rv;
}

/* --- an account that goes away --- */

static apr_status_t drop_where(hb_op_t *op, hb_collection_e in, const char *field,
                               const char *user_id)
{
    const hb_cond_t where[] = { { field, HB_IS, HB_STR(user_id) } };
    hb_query_t query = { .in = in, .where = where, .n_where = 1, .limit = DROP_PAGE };
    apr_int64_t n;
    apr_status_t rv;

    do {
        rv = hb_store_remove_all(&n, op, &query);
    } while (rv == APR_SUCCESS && n == DROP_PAGE);
    return rv;
}

apr_status_t hb_notice_drop_all(hb_op_t *op, const char *user_id)
{
    apr_status_t rv = drop_where(op, HB_C_NOTICES, "audience", user_id);

    if (rv == APR_SUCCESS) {
        rv = drop_where(op, HB_C_NOTICE_OUTBOX, "userId", user_id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove(op, HB_C_WISHES, user_id, NULL, 0);
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}
