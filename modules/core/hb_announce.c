/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcements: what is to be told, to whom, and how far it is. Telling is the outbox's
 * (hb_notice_each.c), from a row that lies there from the start, as for planned maintenance.
 */
#include "hb_announce.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_idem.h"
#include "hb_notice_private.h"
#include "hb_store.h"
#include "hb_time.h"

#define DROP_PAGE 200

/* --- showing --- */

static int is_to_all(const hb_json_t *doc)
{
    return hb_json_length(hb_json_get(doc, "userIds")) == 0 && !hb_json_has(doc, "role")
        && !hb_json_has(doc, "country") && !hb_json_has(doc, "language")
        && !hb_json_has(doc, "og") && !hb_json_has(doc, "registeredBefore");
}

static const char *state_of(const hb_json_t *doc)
{
    return hb_json_has(doc, "cancelledAt") ? "cancelled" : hb_json_has(doc, "endedAt") ? "done"
        : hb_json_has(doc, "startedAt") ? "running" : "waiting";
}

static void copy_text(hb_json_t *to, const hb_json_t *from, const char *key)
{
    hb_json_set_string(to, key, hb_json_string(from, key));     /* null without */
}

static void copy_time(hb_json_t *to, const char *key, const hb_json_t *from, const char *of)
{
    hb_json_set_time(to, key, hb_time_from_msec(hb_json_int(from, of, 0)));
}

static void show_audience(hb_json_t *view, const hb_json_t *doc)
{
    int n = hb_json_length(hb_json_get(doc, "userIds"));

    hb_json_set_bool(view, "toAll", is_to_all(doc));
    if (n > 0) {
        hb_json_set_int(view, "users", n);
    }
    else {
        hb_json_set_null(view, "users");
    }
    copy_text(view, doc, "role");
    copy_text(view, doc, "country");
    copy_text(view, doc, "language");
    if (hb_json_has(doc, "og")) {
        hb_json_set_bool(view, "og", 1);
    }
    else {
        hb_json_set_null(view, "og");
    }
    copy_time(view, "registeredBefore", doc, "registeredBefore");
}

static hb_json_t *view_of(hb_op_t *op, const hb_json_t *doc)
{
    hb_notice_e kind = hb_notice_named(hb_json_string(doc, "kind"));
    unsigned int taken = (unsigned int)hb_json_int(doc, "ways", 0);
    hb_json_t *view = hb_json_object_make(op->pool), *list = hb_json_array_make(op->pool);
    const hb_json_t *values = hb_json_get(doc, "values");
    hb_notice_reader_t reader;
    int i;

    if (kind == HB_N_COUNT) {
        return NULL;            /* of another version */
    }
    hb_notice_reader_any(&reader, op);
    for (i = 0; i < HB_BY_N; i++) {
        if (taken & (1u << i)) {
            hb_json_push_string(list, hb_notice_way(i));
        }
    }
    hb_json_set_string(view, "id", hb_json_string(doc, "_id"));
    copy_text(view, doc, "kind");
    hb_json_set_string(view, "title", hb_notice_title(op, &reader, kind, values));
    hb_json_set_string(view, "text", hb_notice_text(op, &reader, kind, values));
    hb_json_set(view, "ways", list);
    hb_json_set_string(view, "state", state_of(doc));
    copy_time(view, "at", doc, "at");
    copy_time(view, "startedAt", doc, "startedAt");
    copy_time(view, "endedAt", doc, hb_json_has(doc, "cancelledAt") ? "cancelledAt" : "endedAt");
    hb_json_set_int(view, "accounts", hb_json_int(doc, "accounts", 0));
    hb_json_set_int(view, "seen", hb_json_int(doc, "seen", 0));
    hb_json_set_int(view, "told", hb_json_int(doc, "told", 0));
    show_audience(view, doc);
    copy_text(view, doc, "createdBy");
    copy_time(view, "createdAt", doc, "createdAt");
    return view;
}

/* --- what came in --- */

static void take_text(hb_json_t *values, const char *key, const hb_json_t *input, const char *of)
{
    if (hb_json_string(input, of) != NULL) {
        hb_json_set_string(values, key, hb_json_string(input, of));
    }
}

static apr_status_t take_translations(hb_json_t *values, hb_op_t *op, const hb_json_t *input)
{
    const hb_json_t *list = hb_json_get(input, "translations"), *item;
    const char *tag, *language;
    int i;

    for (i = 0; i < hb_json_length(list); i++) {
        item = hb_json_item(list, i);
        tag = hb_json_string(item, "language");
        language = hb_notice_language(op->site->notice_texts, tag);
        if (strncasecmp(tag, language, strlen(language)) != 0) {
            return hb_fail_field(op, apr_psprintf(op->pool, "translations.%d.language", i),
                                 "value", "there are no notices in %s", tag);
        }
        take_text(values, apr_pstrcat(op->pool, "title-", language, NULL), item, "title");
        take_text(values, apr_pstrcat(op->pool, "text-", language, NULL), item, "text");
    }
    return APR_SUCCESS;
}

static apr_status_t take_values(hb_json_t *doc, hb_op_t *op, hb_notice_e kind,
                                const hb_json_t *input)
{
    static const char *const needed[] = { "title", "text" };
    hb_json_t *values = hb_json_object_make(op->pool);
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < 2 && kind == HB_N_ANNOUNCEMENT; i++) {
        if (hb_json_string(input, needed[i]) == NULL) {
            rv = hb_fail_field(op, needed[i], "required", "an announcement needs a %s",
                               needed[i]);
        }
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (kind == HB_N_ANNOUNCEMENT) {
        take_text(values, "title", input, "title");
    }
    else {
        take_text(values, "data", input, "data");
        if (hb_json_int(input, "happenedAt", 0) != 0) {
            hb_json_set_int(values, "happenedAt", hb_json_int(input, "happenedAt", 0));
        }
    }
    take_text(values, "text", input, "text");
    hb_json_set(doc, "values", values);
    return take_translations(values, op, input);
}

/* As is usual for the kind, but for what was said. */
static unsigned int ways_of(hb_notice_e kind, const hb_json_t *input)
{
    const hb_notice_row_t *row = hb_notice_row(kind);
    unsigned int ways = row->usual & ~HB_BY_TEAM, way;
    int i;

    for (i = 0; i < HB_BY_N; i++) {
        way = 1u << i;
        if ((row->may & way) != 0 && hb_json_has(input, hb_notice_way(i))) {
            ways = hb_json_bool(input, hb_notice_way(i), 0) ? ways | way : ways & ~way;
        }
    }
    if (row->flags & HB_NOTICE_FIXED) {
        ways |= row->usual & (HB_BY_LIST | HB_BY_MAIL);
    }
    return ways;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Are all of them there? */
static apr_status_t check_users(hb_op_t *op, const char *const *ids, int n)
{
    hb_json_t *user;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < n; i++) {
        rv = hb_store_get(&user, op, HB_C_USERS, ids[i]);
        if (rv == HB_E_STORE_MISSING) {
            return hb_fail_field(op, "userIds", "value", "there is no user %s", ids[i]);
        }
    }
    return rv;
}

/* Sorted, each once: telling goes by their order. */
static apr_status_t take_users(hb_json_t *doc, hb_op_t *op, const hb_json_t *input)
{
    const hb_json_t *given = hb_json_get(input, "userIds");
    int n = hb_json_length(given), i;
    const char **ids = apr_palloc(op->pool, (apr_size_t)(n + 1) * sizeof(*ids));
    hb_json_t *list = hb_json_array_make(op->pool);
    const char *last = "";

    for (i = 0; i < n; i++) {
        ids[i] = hb_json_string_value(hb_json_item(given, i));
    }
    qsort(ids, (size_t)n, sizeof(*ids), by_text);
    for (i = 0; i < n; i++) {
        if (strcmp(ids[i], last) != 0) {
            hb_json_push_string(list, ids[i]);
        }
        last = ids[i];
    }
    if (n > 0) {
        hb_json_set(doc, "userIds", list);
    }
    return check_users(op, ids, n);
}

static apr_status_t take_audience(hb_json_t *doc, hb_op_t *op, const hb_json_t *input)
{
    const hb_query_t everybody = { .in = HB_C_USERS };
    apr_int64_t before = hb_json_int(input, "registeredBefore", 0), n;
    apr_status_t rv = take_users(doc, op, input);

    take_text(doc, "role", input, "role");
    take_text(doc, "country", input, "country");
    take_text(doc, "language", input, "language");
    if (hb_json_bool(input, "og", 0)) {
        hb_json_set_bool(doc, "og", 1);
    }
    if (before != 0) {
        hb_json_set_int(doc, "registeredBefore", before);
    }
    n = hb_json_length(hb_json_get(doc, "userIds"));
    if (rv == APR_SUCCESS && n == 0) {
        rv = hb_store_count(&n, op, &everybody);
    }
    hb_json_set_int(doc, "accounts", n);
    return rv;
}

/* --- announcing --- */

static apr_status_t announce_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    hb_json_t *doc = baton, *row;
    hb_notice_e kind = hb_notice_named(hb_json_string(doc, "kind"));
    apr_status_t rv = hb_store_insert(NULL, op, HB_C_ANNOUNCEMENTS, doc);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    row = hb_notice_outbox_row(op, "announce", kind, hb_json_object_make(op->pool), NULL,
                               hb_time_from_msec(hb_json_int(doc, "at", 0)));
    hb_json_set_string(row, "announcementId", hb_json_string(doc, "_id"));
    rv = hb_notice_outbox_add(op, row);
    *answer = view_of(op, doc);
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, "notice.announce", hb_json_string(doc, "_id"), 1,
                       hb_json_copy(*answer, op->pool)) : rv;
}

apr_status_t hb_announce(hb_json_t **view, hb_op_t *op, hb_notice_e kind,
                         const hb_json_t *input)
{
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_int64_t now = hb_time_to_msec(op->now), at = hb_json_int(input, "at", 0);
    apr_status_t rv = take_values(doc, op, kind, input);

    if (rv == APR_SUCCESS) {
        rv = take_audience(doc, op, input);     /* before the transaction: it counts the users */
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(doc, "_id", hb_id_make(op));
    hb_json_set_string(doc, "kind", hb_notice_row(kind)->name);
    hb_json_set_int(doc, "ways", ways_of(kind, input));
    hb_json_set_int(doc, "at", at > now ? at : now);
    hb_json_set_int(doc, "seen", 0);
    hb_json_set_int(doc, "told", 0);
    if (op->actor.user_id != NULL) {
        hb_json_set_string(doc, "createdBy", op->actor.user_id);
    }
    hb_json_set_int(doc, "createdAt", now);
    return hb_idem_transact(view, op, "notice", input, announce_work, doc);
}

apr_status_t hb_announce_begin(hb_op_t *op, const char *id)
{
    const hb_edit_t edits[] = { { "startedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) } };
    hb_notice_telling_t telling = { .announcement_id = id };
    hb_json_t *doc, *row;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ANNOUNCEMENTS, id);

    if (rv != APR_SUCCESS || hb_json_has(doc, "cancelledAt")) {
        return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
    }
    rv = hb_store_change(NULL, NULL, op, HB_C_ANNOUNCEMENTS, id, NULL, 0, edits, 1);
    telling.kind = hb_notice_named(hb_json_string(doc, "kind"));
    telling.values = hb_json_get(doc, "values");
    telling.ways = (unsigned int)hb_json_int(doc, "ways", 0);
    if (rv == APR_SUCCESS && is_to_all(doc)) {
        return hb_notice_tell_all(op, &telling);
    }
    row = hb_notice_outbox_row(op, "each", telling.kind, telling.values, NULL, 0);
    hb_json_set_int(row, "ways", telling.ways);
    hb_json_set_string(row, "announcementId", id);
    return rv == APR_SUCCESS ? hb_notice_outbox_add(op, row) : rv;
}

/* --- looking, calling off --- */

static apr_status_t load(hb_json_t **doc, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(doc, op, HB_C_ANNOUNCEMENTS, id)
        : HB_E_STORE_MISSING;

    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_ANNOUNCEMENT_UNKNOWN, NULL) : rv;
}

apr_status_t hb_announce_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_ANNOUNCEMENTS, .sort = { { "createdAt", 1 } },
                               .limit = limit, .after = after };
    hb_json_t *items = hb_json_array_make(op->pool), *view;
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        view = view_of(op, page.items[i]);
        if (view != NULL) {
            hb_json_push(items, view);
        }
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}

apr_status_t hb_announce_show(hb_json_t **view, hb_op_t *op, const char *id)
{
    hb_json_t *doc;
    apr_status_t rv = load(&doc, op, id);

    if (rv == APR_SUCCESS) {
        *view = view_of(op, doc);
    }
    return rv == APR_SUCCESS && *view == NULL ? hb_fail(op, HB_E_ANNOUNCEMENT_UNKNOWN, NULL) : rv;
}

typedef struct cancelling_t {
    const char *id;
    hb_json_t *doc;
} cancelling_t;

/* A step that runs just now sees it, or is seen: both change the record. */
static apr_status_t cancel_in_store(hb_op_t *op, void *baton)
{
    cancelling_t *cancelling = baton;
    const hb_edit_t edits[] = { { "cancelledAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) } };
    apr_status_t rv = load(&cancelling->doc, op, cancelling->id);

    if (rv == APR_SUCCESS && (hb_json_has(cancelling->doc, "cancelledAt")
                              || hb_json_has(cancelling->doc, "endedAt"))) {
        return hb_fail(op, HB_E_ANNOUNCEMENT_STATE, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(&cancelling->doc, NULL, op, HB_C_ANNOUNCEMENTS, cancelling->id, NULL,
                             0, edits, 1);
    }
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, "notice.cancel", cancelling->id, 1, NULL) : rv;
}

apr_status_t hb_announce_cancel(hb_json_t **view, hb_op_t *op, const char *id)
{
    const hb_cond_t where[] = { { "announcementId", HB_IS, HB_STR(id) } };
    const hb_query_t rows = { .in = HB_C_NOTICE_OUTBOX, .where = where, .n_where = 1,
                              .limit = DROP_PAGE };
    cancelling_t cancelling = { id, NULL };
    apr_status_t rv = hb_store_transact(op, cancel_in_store, &cancelling);
    apr_int64_t n;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *view = view_of(op, cancelling.doc);
    do {                        /* also who would hear of it at the end of their quiet hours */
        rv = hb_store_remove_all(&n, op, &rows);
    } while (rv == APR_SUCCESS && n == DROP_PAGE);
    return rv;
}
