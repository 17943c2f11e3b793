/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user wants to be told, by which ways, and when not. A choice is kept only where it differs
 * from the table, so that a row's usual ways may change.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_store.h"
#include "hb_time.h"

/* --- ways --- */

static int is_listed(const hb_json_t *list, const char *choice)
{
    int i;

    for (i = 0; i < hb_json_length(list); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(list, i)), choice) == 0) {
            return 1;
        }
    }
    return 0;
}

/* "order.paid:mail"; in a buffer, because this is asked for each notice. */
static const char *choice_text(char *buf, apr_size_t size, hb_notice_e kind, int way)
{
    apr_snprintf(buf, size, "%s:%s", hb_notice_row(kind)->name, hb_notice_way(way));
    return buf;
}

/* May a user not switch it off? */
static int is_fixed(const hb_notice_row_t *row, unsigned int way)
{
    return ((row->flags & HB_NOTICE_ALL) != 0 && way == HB_BY_LIST)
        || ((row->flags & HB_NOTICE_FIXED) != 0 && (row->usual & way) != 0
            && (way & (HB_BY_LIST | HB_BY_MAIL)) != 0);
}

/* Ways that a user has a say in: the team's is none. */
static int is_users(const hb_notice_row_t *row, unsigned int way)
{
    return way != HB_BY_TEAM && (row->may & way) != 0;
}

/* Mails and pushes to all are asked for by who announces: a user may only refuse them. */
static int is_usual(const hb_notice_row_t *row, unsigned int way)
{
    return (row->usual & way) != 0
        || ((row->flags & HB_NOTICE_ALL) != 0 && (way & (HB_BY_MAIL | HB_BY_PUSH)) != 0);
}

unsigned int hb_notice_ways_of(const hb_notice_reader_t *reader, hb_notice_e kind)
{
    const hb_notice_row_t *row = hb_notice_row(kind);
    const hb_json_t *on = hb_json_get(reader->wishes, "on");
    const hb_json_t *off = hb_json_get(reader->wishes, "off");
    unsigned int taken = 0, way;
    char buf[80];
    int i;

    for (i = 0; i < HB_BY_N; i++) {
        way = 1u << i;
        if (is_users(row, way)
            && (is_fixed(row, way)
                || (is_usual(row, way) ? !is_listed(off, choice_text(buf, sizeof(buf), kind, i))
                    : is_listed(on, choice_text(buf, sizeof(buf), kind, i))))) {
            taken |= way;
        }
    }
    return taken;
}

/* --- quiet hours --- */

apr_time_t hb_notice_quiet_end(const hb_notice_reader_t *reader, apr_time_t now)
{
    int from = (int)hb_json_int(reader->wishes, "quietFrom", -1);
    int to = (int)hb_json_int(reader->wishes, "quietTo", -1);
    hb_local_t local;
    apr_time_t end, later;
    int minute, is_quiet;

    if (from < 0 || to < 0 || from == to) {
        return 0;
    }
    hb_zone_local(&local, reader->zone, now);
    minute = local.hour * 60 + local.minute;
    is_quiet = from < to ? minute >= from && minute < to : minute >= from || minute < to;
    if (!is_quiet) {
        return 0;
    }
    if (to <= minute) {         /* tomorrow; from noon on, so that no change of clocks skips a day */
        local.hour = 12;
        local.minute = local.second = 0;
        hb_zone_moment(&end, NULL, reader->zone, &local);
        hb_zone_local(&local, reader->zone, end + apr_time_from_sec(86400));
    }
    local.hour = to / 60;
    local.minute = to % 60;
    local.second = 0;
    hb_zone_moment(&end, &later, reader->zone, &local);
    return end > now ? end : later > now ? later : 0;
}

/* -1 when it is no HH:MM. */
static int minute_read(const char *text)
{
    int hour, minute;

    if (strlen(text) != 5 || !apr_isdigit(text[0]) || !apr_isdigit(text[1]) || text[2] != ':'
        || !apr_isdigit(text[3]) || !apr_isdigit(text[4])) {
        return -1;
    }
    hour = (text[0] - '0') * 10 + text[1] - '0';
    minute = (text[3] - '0') * 10 + text[4] - '0';
    return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

static void set_minute(hb_json_t *reply, const char *key, const hb_json_t *wishes)
{
    int minute = (int)hb_json_int(wishes, key, -1);
    char text[8];

    apr_snprintf(text, sizeof(text), "%02d:%02d", minute / 60 % 24, minute % 60);
    hb_json_set_string(reply, key, minute >= 0 ? text : NULL);
}

/* --- showing --- */

static hb_json_t *kind_json(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind)
{
    const hb_notice_row_t *row = hb_notice_row(kind);
    unsigned int taken = hb_notice_ways_of(reader, kind), way;
    hb_json_t *json = hb_json_object_make(op->pool), *list = hb_json_array_make(op->pool);
    hb_json_t *item;
    int i;

    for (i = 0; i < HB_BY_N; i++) {
        way = 1u << i;
        if (is_users(row, way)) {
            item = hb_json_object_make(op->pool);
            hb_json_set_string(item, "way", hb_notice_way(i));
            hb_json_set_bool(item, "on", (taken & way) != 0);
            hb_json_set_bool(item, "fixed", is_fixed(row, way));
            hb_json_push(list, item);
        }
    }
    hb_json_set_string(json, "kind", row->name);
    hb_json_set_string(json, "sentence", row->sentence);
    hb_json_set_bool(json, "urgent", (row->flags & HB_NOTICE_URGENT) != 0);
    hb_json_set(json, "ways", list);
    return json;
}

static hb_json_t *wishes_json(hb_op_t *op, const hb_notice_reader_t *reader)
{
    hb_json_t *json = hb_json_object_make(op->pool), *kinds = hb_json_array_make(op->pool);
    int i;

    set_minute(json, "quietFrom", reader->wishes);
    set_minute(json, "quietTo", reader->wishes);
    hb_json_set_string(json, "zone", hb_zone_name(reader->zone));
    hb_json_set_string(json, "language", reader->language);
    for (i = 0; i < HB_N_COUNT; i++) {
        /* What only the team or the operator gets is nobody's wish. */
        if ((hb_notice_row(i)->may & HB_BY_LIST) != 0) {
            hb_json_push(kinds, kind_json(op, reader, (hb_notice_e)i));
        }
    }
    hb_json_set(json, "kinds", kinds);
    return json;
}

static apr_status_t reader_of_actor(hb_notice_reader_t *reader, hb_op_t *op)
{
    apr_status_t rv;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, NULL);
    }
    rv = hb_notice_reader_load(reader, op, op->actor.user_id);
    return rv == HB_E_USER_UNKNOWN ? hb_fail(op, rv, NULL) : rv;
}

apr_status_t hb_notice_wishes(hb_json_t **reply, hb_op_t *op)
{
    hb_notice_reader_t reader;
    apr_status_t rv = reader_of_actor(&reader, op);

    if (rv == APR_SUCCESS) {
        *reply = wishes_json(op, &reader);
    }
    return rv;
}

/* --- changing --- */

/* A list of choices without or with one. */
static void put(hb_op_t *op, hb_json_t *wishes, const char *key, const char *choice, int is_in)
{
    const hb_json_t *list = hb_json_get(wishes, key);
    hb_json_t *now = hb_json_array_make(op->pool);
    const char *text;
    int i;

    for (i = 0; i < hb_json_length(list); i++) {
        text = hb_json_string_value(hb_json_item(list, i));
        if (strcmp(text, choice) != 0) {
            hb_json_push_string(now, text);
        }
    }
    if (is_in) {
        hb_json_push_string(now, choice);
    }
    hb_json_set(wishes, key, now);
}

static apr_status_t choose(hb_op_t *op, hb_json_t *wishes, const hb_json_t *choice, int i)
{
    const char *field = apr_psprintf(op->pool, "choices.%d", i);
    hb_notice_e kind = hb_notice_named(hb_json_string(choice, "kind"));
    const hb_notice_row_t *row = kind < HB_N_COUNT ? hb_notice_row(kind) : NULL;
    int is_on = hb_json_bool(choice, "on", 0), way = 0;
    const char *text;

    while (strcmp(hb_notice_way(way), hb_json_string(choice, "way")) != 0) {
        way++;
    }
    if (row == NULL || (row->may & HB_BY_LIST) == 0) {
        return hb_fail_field(op, apr_pstrcat(op->pool, field, ".kind", NULL), "value",
                             "there is no such kind");
    }
    if (!is_users(row, 1u << way)) {
        return hb_fail_field(op, apr_pstrcat(op->pool, field, ".way", NULL), "value",
                             "%s does not go that way", row->name);
    }
    if (is_fixed(row, 1u << way)) {
        return is_on ? APR_SUCCESS
            : hb_fail_field(op, apr_pstrcat(op->pool, field, ".on", NULL), "value",
                            "%s cannot be switched off there", row->name);
    }
    text = apr_psprintf(op->pool, "%s:%s", row->name, hb_notice_way(way));
    put(op, wishes, "on", text, is_on && !is_usual(row, 1u << way));
    put(op, wishes, "off", text, !is_on && is_usual(row, 1u << way));
    return APR_SUCCESS;
}

static apr_status_t take_minute(hb_op_t *op, hb_json_t *wishes, const hb_json_t *input,
                                const char *key)
{
    int minute;

    if (!hb_json_has(input, key)) {
        return APR_SUCCESS;
    }
    if (hb_json_string(input, key) == NULL) {
        hb_json_remove(wishes, key);
        return APR_SUCCESS;
    }
    minute = minute_read(hb_json_string(input, key));
    if (minute < 0) {
        return hb_fail_field(op, key, "format", "must be HH:MM, 00:00 to 23:59");
    }
    hb_json_set_int(wishes, key, minute);
    return APR_SUCCESS;
}

typedef struct wishing_t {
    const hb_json_t *input;
    hb_json_t *reply;
} wishing_t;

static apr_status_t wish_in_store(hb_op_t *op, void *baton)
{
    wishing_t *wishing = baton;
    const hb_json_t *choices = hb_json_get(wishing->input, "choices");
    hb_notice_reader_t reader;
    hb_json_t *wishes;
    apr_status_t rv = reader_of_actor(&reader, op), bad = APR_SUCCESS;
    int is_new = rv == APR_SUCCESS && reader.wishes == NULL, i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    wishes = is_new ? hb_json_object_make(op->pool) : hb_json_copy(reader.wishes, op->pool);
    hb_json_set_string(wishes, "_id", op->actor.user_id);
    for (i = 0; i < hb_json_length(choices); i++) {
        rv = choose(op, wishes, hb_json_item(choices, i), i);
        bad = rv != APR_SUCCESS ? rv : bad;
    }
    rv = take_minute(op, wishes, wishing->input, "quietFrom");
    bad = rv != APR_SUCCESS ? rv : bad;
    rv = take_minute(op, wishes, wishing->input, "quietTo");
    bad = rv != APR_SUCCESS ? rv : bad;
    if (bad == APR_SUCCESS
        && hb_json_has(wishes, "quietFrom") != hb_json_has(wishes, "quietTo")) {
        bad = hb_fail_field(op, hb_json_has(wishes, "quietFrom") ? "quietTo" : "quietFrom",
                            "required", "quiet hours have a begin and an end");
    }
    if (bad != APR_SUCCESS) {
        return bad;
    }
    hb_json_set_int(wishes, "updatedAt", hb_time_to_msec(op->now));
    reader.wishes = wishes;
    wishing->reply = wishes_json(op, &reader);
    return is_new ? hb_store_insert(NULL, op, HB_C_WISHES, wishes)
        : hb_store_replace(NULL, op, HB_C_WISHES, wishes);
}

apr_status_t hb_notice_wish(hb_json_t **reply, hb_op_t *op, const hb_json_t *input)
{
    wishing_t wishing = { input, NULL };
    int tries = 3;
    apr_status_t rv;

    do {
        rv = hb_store_transact(op, wish_in_store, &wishing);
        /* A store whose writers do not queue tells two first ones at once by this. */
    } while (rv == HB_E_STORE_DUPLICATE && --tries > 0);
    *reply = wishing.reply;
    return rv;
}
