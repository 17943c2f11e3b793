/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices: the table, and telling. A notice is written where it happens: a record for the
 * list, and a row of the outbox for each way out of the house. In quiet hours even the
 * event waits, so that nothing lights up; the list has it at once.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_mail.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_time.h"

#define LIST HB_BY_LIST
#define MAIL HB_BY_MAIL
#define SMS HB_BY_SMS
#define PUSH HB_BY_PUSH
#define TEAM HB_BY_TEAM
#define FIXED HB_NOTICE_FIXED
#define URGENT HB_NOTICE_URGENT
#define ALL HB_NOTICE_ALL
static const hb_notice_row_t rows[] = {
#define HB_NOTICE(symbol, name, may, usual, flags, values, sentence) \
    { name, may, usual, flags, values, sentence },
#include "hb_notice.def"
#undef HB_NOTICE
};
#undef LIST
#undef MAIL
#undef SMS
#undef PUSH
#undef TEAM
#undef FIXED
#undef URGENT
#undef ALL

static const char *const ways[HB_BY_N] = { "list", "mail", "sms", "push", "team" };

const hb_notice_row_t *hb_notice_row(hb_notice_e kind)
{
    return &rows[kind];
}

hb_notice_e hb_notice_named(const char *name)
{
    int i = 0;

    while (i < HB_N_COUNT && strcmp(rows[i].name, name) != 0) {
        i++;
    }
    return (hb_notice_e)i;
}

const char *hb_notice_way(int i)
{
    return i >= 0 && i < HB_BY_N ? ways[i] : NULL;
}

/* --- readers --- */

static const hb_zone_t *zone_of(hb_op_t *op, const char *name)
{
    const hb_zone_t *zone;

    if ((name != NULL && hb_zone_load(&zone, name, op->pool) == APR_SUCCESS)
        || hb_zone_load(&zone, op->site->settings->zone, op->pool) == APR_SUCCESS) {
        return zone;
    }
    hb_zone_load(&zone, "UTC", op->pool);
    return zone;
}

void hb_notice_reader_any(hb_notice_reader_t *reader, hb_op_t *op)
{
    memset(reader, 0, sizeof(*reader));
    reader->language = hb_notice_language(op->site->notice_texts, NULL);
    reader->zone = zone_of(op, NULL);
}

apr_status_t hb_notice_reader_of(hb_notice_reader_t *reader, hb_op_t *op, const hb_json_t *user)
{
    hb_json_t *wishes;
    apr_status_t rv;

    memset(reader, 0, sizeof(*reader));
    reader->user_id = hb_json_string(user, "_id");
    reader->username = hb_json_string(user, "username");
    reader->email = hb_json_string(user, "email");
    reader->phone = hb_json_string(user, "phone");
    reader->language = hb_notice_language(op->site->notice_texts,
                                          hb_json_string(user, "language"));
    reader->zone = zone_of(op, hb_json_string(user, "zone"));
    rv = hb_store_get(&wishes, op, HB_C_WISHES, reader->user_id);
    reader->wishes = rv == APR_SUCCESS ? wishes : NULL;
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

apr_status_t hb_notice_reader_load(hb_notice_reader_t *reader, hb_op_t *op, const char *user_id)
{
    hb_json_t *user;
    apr_status_t rv = hb_store_get(&user, op, HB_C_USERS, user_id);
    const char *status = rv == APR_SUCCESS ? hb_json_string(user, "status") : NULL;

    if (rv == HB_E_STORE_MISSING || (status != NULL && strcmp(status, "deleted") == 0)) {
        return HB_E_USER_UNKNOWN;
    }
    return rv == APR_SUCCESS ? hb_notice_reader_of(reader, op, user) : rv;
}

/* --- records and events --- */

typedef struct showing_t {
    hb_notice_e kind;
    hb_json_t *to;
} showing_t;

static int show_value(void *baton, const char *key, hb_json_t *value)
{
    showing_t *showing = baton;

    if (hb_notice_value_kind(showing->kind, key, strlen(key)) == 'm') {
        hb_json_set_time(showing->to, key, hb_time_from_msec(hb_json_int_value(value, 0)));
    }
    else {
        hb_json_set(showing->to, key, value);
    }
    return 0;
}

/* NULL for a kind that this build does not have (another version wrote it). */
hb_json_t *hb_notice_view(hb_op_t *op, const hb_notice_reader_t *reader, const hb_json_t *doc,
                          int is_read)
{
    showing_t showing = { hb_notice_named(hb_json_string(doc, "kind")),
                          hb_json_object_make(op->pool) };
    const hb_json_t *values = hb_json_get(doc, "values");
    hb_json_t *view = hb_json_object_make(op->pool);

    if (showing.kind == HB_N_COUNT) {
        return NULL;
    }
    hb_json_each(values, show_value, &showing);
    hb_json_set_string(view, "id", hb_json_string(doc, "_id"));
    hb_json_set_string(view, "kind", rows[showing.kind].name);
    hb_json_set_string(view, "title", hb_notice_title(op, reader, showing.kind, values));
    hb_json_set_string(view, "text", hb_notice_text(op, reader, showing.kind, values));
    hb_json_set(view, "values", showing.to);
    hb_json_set_bool(view, "toAll", strcmp(hb_json_string(doc, "audience"),
                                           HB_NOTICE_TO_ALL) == 0);
    hb_json_set_bool(view, "read", is_read);
    hb_json_set_time(view, "createdAt", hb_time_from_msec(hb_json_int(doc, "createdAt", 0)));
    return view;
}

void hb_notice_publish(hb_op_t *op, const hb_notice_reader_t *reader, const hb_json_t *doc)
{
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set(news, "notice", hb_notice_view(op, reader, doc, 0));
    if (reader->user_id != NULL) {
        hb_bus_publish(op, HB_EV_NOTICE_NEW, reader->user_id, news);
    }
    else {
        hb_bus_publish(op, HB_EV_NOTICE_ALL, "", news);
    }
}

/* An id whose order is that of time to the millisecond, whichever process made it: lists go by it. */
static const char *id_in_order(hb_op_t *op)
{
    const char *id = hb_id_make(op);

    return apr_psprintf(op->pool, "%.8s%04x%s", id, (unsigned int)apr_time_msec(op->now), id + 12);
}

static apr_status_t record(hb_json_t **made, hb_op_t *op, const char *id, hb_notice_e kind,
                           const char *audience, hb_json_t *values)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "audience", audience);
    hb_json_set_string(doc, "kind", rows[kind].name);
    hb_json_set(doc, "values", values);
    if (strcmp(audience, HB_NOTICE_TO_ALL) != 0) {
        hb_json_set_string(doc, "unreadBy", audience);
    }
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    *made = doc;
    return hb_store_insert(NULL, op, HB_C_NOTICES, doc);
}

/* --- telling --- */

typedef struct telling_t {
    hb_notice_e kind;
    const char *user_id;
    hb_json_t *values;
    int mails;
} telling_t;

static int is_set_up(const hb_op_t *op, unsigned int way, const hb_notice_reader_t *reader)
{
    const hb_settings_t *settings = op->site->settings;

    switch (way) {
    case HB_BY_SMS:
        return *settings->sms_account != '\0' && reader->phone != NULL;
    case HB_BY_PUSH:
        return *settings->push_url != '\0';
    case HB_BY_MAIL:
        return reader->email != NULL;
    case HB_BY_TEAM:
        return op->site->team_hook != NULL;
    default:
        return 1;
    }
}

static apr_status_t wait_for(hb_op_t *op, const telling_t *telling, const char *way,
                             const char *notice_id, apr_time_t due_at)
{
    hb_json_t *row = hb_notice_outbox_row(op, way, telling->kind, telling->values, notice_id,
                                          due_at);

    hb_json_set_string(row, "userId", telling->user_id);
    return hb_notice_outbox_add(op, row);
}

static apr_status_t tell_user(hb_op_t *op, void *baton)
{
    telling_t *telling = baton;
    const char *id = id_in_order(op);
    hb_notice_reader_t reader;
    apr_time_t quiet_end;
    unsigned int taken;
    hb_json_t *doc = NULL;
    apr_status_t rv = hb_notice_reader_load(&reader, op, telling->user_id);
    int i;

    if (rv != APR_SUCCESS) {
        return rv == HB_E_USER_UNKNOWN ? APR_SUCCESS : rv;
    }
    taken = hb_notice_ways_of(&reader, telling->kind);
    if (!op->site->settings->notices) {
        taken &= rows[telling->kind].flags & HB_NOTICE_FIXED ? HB_BY_MAIL : 0;
    }
    quiet_end = rows[telling->kind].flags & HB_NOTICE_URGENT ? 0
        : hb_notice_quiet_end(&reader, op->now);
    if (taken & HB_BY_LIST) {
        rv = record(&doc, op, id, telling->kind, telling->user_id, telling->values);
        if (rv == APR_SUCCESS && quiet_end == 0) {
            hb_notice_publish(op, &reader, doc);
        }
        else if (rv == APR_SUCCESS) {
            rv = wait_for(op, telling, "event", id, quiet_end);
        }
    }
    if (rv == APR_SUCCESS && (taken & HB_BY_MAIL) != 0 && is_set_up(op, HB_BY_MAIL, &reader)) {
        /* A mail that may go now needs no second outbox: mail has one. */
        rv = quiet_end == 0
            ? hb_mail_add(op, hb_notice_mail(op, &reader, telling->kind, telling->values))
            : wait_for(op, telling, "mail", id, quiet_end);
    }
    for (i = 0; rv == APR_SUCCESS && i < HB_BY_N; i++) {
        unsigned int way = 1u << i;

        if ((way == HB_BY_SMS || way == HB_BY_PUSH) && (taken & way) != 0
            && is_set_up(op, way, &reader)) {
            rv = wait_for(op, telling, ways[i], id, quiet_end);
        }
    }
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_NOTICES, 1);
    }
    return rv;
}

apr_status_t hb_notice_add(hb_op_t *op, hb_notice_e kind, const char *user_id,
                           hb_json_t *values)
{
    telling_t telling = { kind, user_id, values != NULL ? values
                          : hb_json_object_make(op->pool), 0 };

    return hb_store_transact(op, tell_user, &telling);
}

static apr_status_t tell_all(hb_op_t *op, void *baton)
{
    telling_t *telling = baton;
    const char *id = id_in_order(op);
    hb_notice_reader_t reader;
    hb_json_t *doc;
    apr_status_t rv;

    hb_notice_reader_any(&reader, op);
    rv = record(&doc, op, id, telling->kind, HB_NOTICE_TO_ALL, telling->values);
    if (rv == APR_SUCCESS) {
        hb_notice_publish(op, &reader, doc);
    }
    if (rv == APR_SUCCESS && telling->mails) {
        rv = hb_notice_outbox_add(op, hb_notice_outbox_row(op, "mail", telling->kind,
                                                           telling->values, id, 0));
    }
    if (rv == APR_SUCCESS && (rows[telling->kind].may & HB_BY_TEAM) != 0) {
        rv = hb_notice_team(op, telling->kind, telling->values);
    }
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_NOTICES, 1);
    }
    return rv;
}

apr_status_t hb_notice_announce(hb_op_t *op, hb_notice_e kind, hb_json_t *values, int mails)
{
    telling_t telling = { kind, NULL, values != NULL ? values : hb_json_object_make(op->pool),
                          mails };

    return hb_store_transact(op, tell_all, &telling);
}

apr_status_t hb_notice_team(hb_op_t *op, hb_notice_e kind, hb_json_t *values)
{
    hb_notice_reader_t reader;

    hb_notice_reader_any(&reader, op);
    if (!is_set_up(op, HB_BY_TEAM, &reader)) {
        return APR_SUCCESS;
    }
    return hb_notice_outbox_add(op, hb_notice_outbox_row(op, "team", kind, values,
                                                         hb_id_make(op), 0));
}

const char *hb_money_text(apr_pool_t *pool, apr_int64_t amount_minor, const char *currency)
{
    char *text = apr_psprintf(pool, "%s %" APR_INT64_T_FMT ".%02d", currency,
                              amount_minor / 100, (int)(amount_minor % 100));
    char *c;

    for (c = text; apr_islower(*c); c++) {
        *c = (char)apr_toupper(*c);
    }
    return text;
}
