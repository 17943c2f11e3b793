/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A notice to many, from user to user. A step is one transaction: some users in the order of
 * their ids, what they get, and in the row how far it came; so whoever dies or is stopped, each
 * gets it once, and a million users cost no more memory than a step.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_mail_spool.h"
#include "hb_og.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define LOOK_MAX 200            /* users of a step, while other writers wait */
#define WRITE_MAX 100           /* messages of a step, and of a second */
#define PAUSE_USEC apr_time_from_sec(1)

typedef struct each_t {
    const char *row_id;
    apr_int64_t due_msec;
    const char *above;          /* users up to this one have theirs; NULL at the begin */
    hb_json_t *announcement;    /* whom it is for; NULL: everybody */
    hb_notice_telling_t telling;
    apr_int64_t n_seen, n_told;
} each_t;

/* --- whom it is for --- */

static int has_role(const hb_json_t *user, const char *role)
{
    const hb_json_t *roles = hb_json_get(user, "roles");
    int i;

    if (strcmp(role, "staff") == 0) {
        return hb_json_bool(user, "isStaff", 0);
    }
    for (i = 0; i < hb_json_length(roles); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(roles, i)), role) == 0) {
            return 1;
        }
    }
    return 0;
}

/* "ne" for a reader of "ne-NP". */
static int reads(const hb_json_t *user, const char *language)
{
    const char *tag = hb_json_string(user, "language");
    apr_size_t n = strlen(language);

    return tag != NULL && strncasecmp(tag, language, n) == 0 && (tag[n] == '\0' || tag[n] == '-');
}

static int is_meant(const hb_op_t *op, const hb_json_t *announcement, const hb_json_t *user)
{
    const char *role = hb_json_string(announcement, "role");
    const char *country = hb_json_string(announcement, "country");
    const char *language = hb_json_string(announcement, "language"), *lives;
    apr_int64_t before = hb_json_int(announcement, "registeredBefore", 0);

    lives = hb_json_string(user, "country");
    return (role == NULL || has_role(user, role))
        && (country == NULL || (lives != NULL && strcasecmp(lives, country) == 0))
        && (language == NULL || reads(user, language))
        && (!hb_json_bool(announcement, "og", 0) || hb_og_level(user, op->now) > 0)
        && (before == 0 || hb_json_int(user, "createdAt", 0) < before);
}

/* A kind that nobody can refuse is for accounts that were closed to their owners, too. */
static int may_hear(const each_t *each, const hb_json_t *user)
{
    const char *status = hb_json_string(user, "status");

    return (hb_notice_row(each->telling.kind)->flags & HB_NOTICE_FIXED) != 0
        ? status == NULL || strcmp(status, "deleted") != 0 : hb_user_is_active(user);
}

/* --- the next users --- */

/* Of those that were named: their ids are in order. */
static apr_status_t next_named(hb_page_t *page, hb_op_t *op, const each_t *each)
{
    const hb_json_t *ids = hb_json_get(each->announcement, "userIds");
    hb_json_t *user;
    apr_status_t rv = APR_SUCCESS;
    int i;

    memset(page, 0, sizeof(*page));
    page->items = apr_palloc(op->pool, LOOK_MAX * sizeof(*page->items));
    for (i = 0; rv == APR_SUCCESS && i < hb_json_length(ids) && page->n_items < LOOK_MAX; i++) {
        const char *id = hb_json_string_value(hb_json_item(ids, i));

        if (each->above != NULL && strcmp(id, each->above) <= 0) {
            continue;
        }
        rv = hb_store_get(&user, op, HB_C_USERS, id);
        if (rv == APR_SUCCESS) {
            page->items[page->n_items++] = user;
        }
        rv = rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;   /* gone since */
    }
    return rv;
}

static apr_status_t next_users(hb_page_t *page, hb_op_t *op, const each_t *each)
{
    const hb_cond_t where[] = { { "_id", HB_ABOVE, HB_STR(each->above) } };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = each->above != NULL,
                               .sort = { { "_id", 0 } }, .limit = LOOK_MAX };

    return hb_json_length(hb_json_get(each->announcement, "userIds")) > 0
        ? next_named(page, op, each) : hb_store_find(page, op, &query);
}

static apr_status_t tell_one(each_t *each, hb_op_t *op, const hb_json_t *user)
{
    hb_notice_telling_t *telling = &each->telling;
    int is_fixed = (hb_notice_row(telling->kind)->flags & HB_NOTICE_FIXED) != 0, is_told = 0;
    hb_notice_reader_t reader;
    apr_status_t rv;

    each->n_seen++;
    if (!may_hear(each, user) || !is_meant(op, each->announcement, user)) {
        return APR_SUCCESS;
    }
    rv = hb_notice_reader_of(&reader, op, user);
    if (!is_fixed && !hb_json_has(user, "emailVerifiedAt")) {
        reader.email = NULL;    /* a mail that nobody asked for goes to proved addresses only */
    }
    if (rv == APR_SUCCESS) {
        rv = hb_notice_tell(&is_told, op, telling, &reader);
    }
    each->n_told += is_told;
    return rv;
}

/* --- a step --- */

/* Gone, or called off: then there is nothing to do any more. */
static apr_status_t is_over(int *is, hb_op_t *op, each_t *each, const hb_json_t *row)
{
    const char *id = hb_json_string(row, "announcementId");
    const char *notice_id = hb_json_string(row, "noticeId");
    hb_json_t *to_all;
    apr_status_t rv = APR_SUCCESS;

    *is = 0;
    if (id != NULL) {
        rv = hb_store_get(&each->announcement, op, HB_C_ANNOUNCEMENTS, id);
        *is = rv == HB_E_STORE_MISSING
            || (rv == APR_SUCCESS && hb_json_has(each->announcement, "cancelledAt"));
    }
    if (!*is && rv == APR_SUCCESS && notice_id != NULL) {
        rv = hb_store_get(&to_all, op, HB_C_NOTICES, notice_id);
        each->telling.to_all = to_all;
        *is = rv == HB_E_STORE_MISSING;
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

static apr_status_t keep_progress(hb_op_t *op, const each_t *each, int is_last)
{
    const hb_edit_t edits[] = {
        { "seen", HB_INC, HB_INT(each->n_seen) },
        { "told", HB_INC, HB_INT(each->n_told) },
        { "endedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };

    return each->announcement == NULL ? APR_SUCCESS
        : hb_store_change(NULL, NULL, op, HB_C_ANNOUNCEMENTS,
                          hb_json_string(each->announcement, "_id"), NULL, 0, edits,
                          is_last ? 3 : 2);
}

static apr_status_t keep_row(hb_op_t *op, const each_t *each, int is_last)
{
    const hb_cond_t guards[] = { { "dueAt", HB_IS, HB_INT(each->due_msec) } };
    apr_int64_t due = hb_time_to_msec(op->now + (each->telling.n_written >= WRITE_MAX
                                                 ? PAUSE_USEC : 0));
    const hb_edit_t edits[] = {
        { "above", HB_SET, HB_STR(each->above) },
        /* Never the same: whoever else has the row in hand is to find it taken. */
        { "dueAt", HB_SET, HB_INT(due > each->due_msec ? due : each->due_msec + 1) },
    };

    if (is_last) {
        return hb_store_remove(op, HB_C_NOTICE_OUTBOX, each->row_id, guards, 1);
    }
    hb_mail_wake();
    return hb_store_change(NULL, NULL, op, HB_C_NOTICE_OUTBOX, each->row_id, guards, 1, edits, 2);
}

apr_status_t hb_notice_each(hb_op_t *op, void *baton)
{
    const hb_json_t *row = baton;
    each_t each = { .row_id = hb_json_string(row, "_id"),
                    .due_msec = hb_json_int(row, "dueAt", 0),
                    .above = hb_json_string(row, "above"),
                    .telling = { .kind = hb_notice_named(hb_json_string(row, "kind")),
                                 .values = hb_json_get(row, "values"),
                                 .ways = (unsigned int)hb_json_int(row, "ways", 0),
                                 .announcement_id = hb_json_string(row, "announcementId") } };
    hb_page_t page;
    apr_status_t rv;
    int is = 0, i;

    rv = is_over(&is, op, &each, row);
    if (rv != APR_SUCCESS || is) {
        return rv == APR_SUCCESS ? keep_row(op, &each, 1) : rv;
    }
    rv = next_users(&page, op, &each);
    for (i = 0; rv == APR_SUCCESS && i < page.n_items && each.telling.n_written < WRITE_MAX; i++) {
        rv = tell_one(&each, op, page.items[i]);
        each.above = hb_json_string(page.items[i], "_id");
    }
    is = rv == APR_SUCCESS && page.n_items < LOOK_MAX && i == page.n_items;
    if (rv == APR_SUCCESS) {
        rv = keep_progress(op, &each, is);
    }
    return rv == APR_SUCCESS ? keep_row(op, &each, is) : rv;    /* taken: nothing of this is kept */
}
