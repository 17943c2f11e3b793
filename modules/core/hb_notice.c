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
#include "hb_limit.h"
#include "hb_mail.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_time.h"

#define DEVICES_MAX 10          /* that are asked about: the last ones */

/* SMS, and mails that one may do without, to one person and to one number or address. */
static const hb_limit_rule_t out_rule = { "notice.out", 20, apr_time_from_sec(3600) };

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
    hb_op_t *op;
    hb_notice_e kind;
    const char *language;
    const hb_json_t *values;
    hb_json_t *to;
} showing_t;

static int show_value(void *baton, const char *key, hb_json_t *value)
{
    showing_t *showing = baton;

    switch (hb_notice_value_kind(showing->kind, key, strlen(key))) {
    case 'm':
        hb_json_set_time(showing->to, key, hb_time_from_msec(hb_json_int_value(value, 0)));
        break;
    case 't':
        hb_json_set_string(showing->to, key, hb_notice_said(showing->op, showing->language,
                                                            showing->values, key));
        break;
    case 'i':
        hb_json_set(showing->to, key, value);
    }
    return 0;
}

/* NULL for a kind that this build does not have (another version wrote it). */
hb_json_t *hb_notice_view(hb_op_t *op, const hb_notice_reader_t *reader, const hb_json_t *doc,
                          int is_read)
{
    const hb_json_t *values = hb_json_get(doc, "values");
    showing_t showing = { op, hb_notice_named(hb_json_string(doc, "kind")), reader->language,
                          values, hb_json_object_make(op->pool) };
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

static int is_within(const hb_op_t *op, const char *way, const char *to)
{
    const char *key = apr_pstrcat(op->pool, way, ":", to, NULL);
    hb_limit_verdict_t verdict;

    hb_limit_take_here(&verdict, op->site->limit, &out_rule, key, strlen(key), hb_limit_now());
    return verdict.is_allowed;
}

/*
 * Nobody proved a number, nor always an address, and by signing in under ever new names of devices
 * one has us send again and again: it must not fill a stranger's phone, which the site pays for.
 * The list has it in any case.
 */
static int may_go_out(const hb_op_t *op, const hb_notice_telling_t *telling, unsigned int way,
                      const hb_notice_reader_t *reader)
{
    const hb_notice_row_t *row = &rows[telling->kind];
    int is_fixed = (row->flags & HB_NOTICE_FIXED) != 0 && (row->usual & way & HB_BY_MAIL) != 0;
    int is_sms = way == HB_BY_SMS;

    if (!telling->is_single || is_fixed || (!is_sms && way != HB_BY_MAIL)
        || op->site->limit == NULL) {
        return 1;
    }
    return is_within(op, is_sms ? "sms" : "mail", reader->user_id)
        && is_within(op, is_sms ? "sms" : "mail", is_sms ? reader->phone : reader->email);
}

/* Everybody has its event already: nobody has a say in that. */
static int is_broadcast(hb_notice_e kind)
{
    return (rows[kind].flags & (HB_NOTICE_ALL | HB_NOTICE_URGENT)) != 0;
}

static unsigned int ways_taken(const hb_op_t *op, const hb_notice_telling_t *telling,
                               const hb_notice_reader_t *reader)
{
    const hb_notice_row_t *row = &rows[telling->kind];
    unsigned int fixed = row->flags & HB_NOTICE_FIXED
        ? row->usual & (HB_BY_LIST | HB_BY_MAIL) : 0;
    unsigned int taken = hb_notice_ways_of(reader, telling->kind) & (telling->ways | fixed);

    return op->site->settings->notices ? taken : taken & fixed & HB_BY_MAIL;
}

/* May a device of theirs be connected? Then it has a token that was given lately. */
static apr_status_t may_listen(int *may, hb_op_t *op, const char *user_id)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(user_id) } };
    const hb_query_t query = { .in = HB_C_SESSIONS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = DEVICES_MAX };
    apr_int64_t since = hb_time_to_msec(op->now - op->site->settings->access_ttl);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *may = 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        *may |= !hb_json_has(page.items[i], "endedAt")
            && (hb_json_int(page.items[i], "usedAt", 0) > since
                || hb_json_int(page.items[i], "createdAt", 0) > since);
    }
    return rv;
}

static apr_status_t wait_for(hb_op_t *op, hb_notice_telling_t *telling, const char *user_id,
                             const char *way, const char *notice_id, apr_time_t due_at)
{
    hb_json_t *row = hb_notice_outbox_row(op, way, telling->kind, telling->values, notice_id,
                                          due_at);

    hb_json_set_string(row, "userId", user_id);
    if (telling->announcement_id != NULL) {
        hb_json_set_string(row, "announcementId", telling->announcement_id);
    }
    telling->n_written++;
    return hb_notice_outbox_add(op, row);
}

/* Into the list, unless all have it there, and to the devices. */
static apr_status_t list_it(hb_op_t *op, hb_notice_telling_t *telling,
                            const hb_notice_reader_t *reader, const char *id,
                            apr_time_t quiet_end)
{
    hb_json_t *doc = (hb_json_t *)telling->to_all;
    int may = doc == NULL;
    apr_status_t rv = APR_SUCCESS;

    if (doc == NULL) {
        rv = record(&doc, op, id, telling->kind, reader->user_id, telling->values);
    }
    else if (!is_broadcast(telling->kind)) {
        rv = may_listen(&may, op, reader->user_id);
    }
    if (rv != APR_SUCCESS || !may) {
        return rv;
    }
    if (quiet_end != 0) {
        return wait_for(op, telling, reader->user_id, "event", id, quiet_end);
    }
    hb_notice_publish(op, reader, doc);
    telling->n_written++;       /* with its record, which is the smaller part */
    return APR_SUCCESS;
}

apr_status_t hb_notice_tell(int *is_told, hb_op_t *op, hb_notice_telling_t *telling,
                            const hb_notice_reader_t *reader)
{
    const char *id = telling->to_all != NULL ? hb_json_string(telling->to_all, "_id")
        : id_in_order(op);
    unsigned int taken = ways_taken(op, telling, reader);
    apr_time_t quiet_end = rows[telling->kind].flags & HB_NOTICE_URGENT ? 0
        : hb_notice_quiet_end(reader, op->now);
    apr_status_t rv = APR_SUCCESS;
    int i;

    if (taken & HB_BY_LIST) {
        rv = list_it(op, telling, reader, id, quiet_end);
    }
    if (rv == APR_SUCCESS && (taken & HB_BY_MAIL) != 0 && is_set_up(op, HB_BY_MAIL, reader)
        && may_go_out(op, telling, HB_BY_MAIL, reader)) {
        /* A mail that may go now needs no second outbox: mail has one. */
        rv = quiet_end == 0
            ? hb_mail_add(op, hb_notice_mail(op, reader, telling->kind, telling->values))
            : wait_for(op, telling, reader->user_id, "mail", id, quiet_end);
        telling->n_written += quiet_end == 0;
    }
    for (i = 0; rv == APR_SUCCESS && i < HB_BY_N; i++) {
        unsigned int way = 1u << i;

        if ((way == HB_BY_SMS || way == HB_BY_PUSH) && (taken & way) != 0
            && is_set_up(op, way, reader) && may_go_out(op, telling, way, reader)) {
            rv = wait_for(op, telling, reader->user_id, ways[i], id, quiet_end);
        }
    }
    if (rv == APR_SUCCESS && telling->to_all == NULL) {
        hb_metric_add(op->site->metrics, HB_M_NOTICES, 1);
    }
    if (is_told != NULL) {
        *is_told = taken != 0;
    }
    return rv;
}

typedef struct to_user_t {
    hb_notice_telling_t telling;
    const char *user_id;
} to_user_t;

static apr_status_t tell_user(hb_op_t *op, void *baton)
{
    to_user_t *to = baton;
    hb_notice_reader_t reader;
    apr_status_t rv = hb_notice_reader_load(&reader, op, to->user_id);

    if (rv != APR_SUCCESS) {
        return rv == HB_E_USER_UNKNOWN ? APR_SUCCESS : rv;
    }
    return hb_notice_tell(NULL, op, &to->telling, &reader);
}

apr_status_t hb_notice_add(hb_op_t *op, hb_notice_e kind, const char *user_id,
                           hb_json_t *values)
{
    to_user_t to = { { .kind = kind, .values = values != NULL ? values
                       : hb_json_object_make(op->pool), .ways = ~0u, .is_single = 1 }, user_id };

    return hb_store_transact(op, tell_user, &to);
}

apr_status_t hb_notice_tell_all(hb_op_t *op, const hb_notice_telling_t *telling)
{
    unsigned int ways_out = telling->ways & (HB_BY_MAIL | HB_BY_SMS | HB_BY_PUSH);
    const char *id = id_in_order(op);
    hb_notice_reader_t reader;
    hb_json_t *doc, *row;
    apr_status_t rv;

    hb_notice_reader_any(&reader, op);
    rv = record(&doc, op, id, telling->kind, HB_NOTICE_TO_ALL, telling->values);
    if (rv == APR_SUCCESS && is_broadcast(telling->kind)) {
        hb_notice_publish(op, &reader, doc);
    }
    if (rv == APR_SUCCESS && (ways_out != 0 || !is_broadcast(telling->kind))) {
        row = hb_notice_outbox_row(op, "each", telling->kind, telling->values, id, 0);
        hb_json_set_int(row, "ways", telling->ways | HB_BY_LIST);
        if (telling->announcement_id != NULL) {
            hb_json_set_string(row, "announcementId", telling->announcement_id);
        }
        rv = hb_notice_outbox_add(op, row);
    }
    if (rv == APR_SUCCESS && (rows[telling->kind].may & HB_BY_TEAM) != 0) {
        rv = hb_notice_team(op, telling->kind, telling->values);
    }
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_NOTICES, 1);
    }
    return rv;
}

static apr_status_t tell_all(hb_op_t *op, void *baton)
{
    return hb_notice_tell_all(op, baton);
}

apr_status_t hb_notice_announce(hb_op_t *op, hb_notice_e kind, hb_json_t *values,
                                unsigned int ways_out)
{
    hb_notice_telling_t telling = { .kind = kind, .values = values != NULL ? values
                                    : hb_json_object_make(op->pool), .ways = ways_out };

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
