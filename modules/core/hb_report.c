/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of a day. Coins come from the ledger's own entries, walked in their order, so
 * they are exact and sum up from day to day; the rest from counts that the store makes by
 * an index. Between parts it rests as long as it worked.
 */
#include "hb_report.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_csv.h"
#include "hb_report_private.h"
#include "hb_schema.h"
#include "hb_time.h"

#define REST_MAX apr_time_from_sec(1)
#define DAY_MSEC APR_INT64_C(86400000)

/* --- helpers of all parts --- */

apr_status_t hb_report_step(hb_report_work_t *w)
{
    apr_interval_time_t took = apr_time_now() - w->began;

    if (w->report != NULL && w->report(w->baton, "figures", ++w->steps, 0) != 0) {
        return APR_EINTR;
    }
    if (took > 0) {
        apr_sleep(took < REST_MAX ? took : REST_MAX);
    }
    w->began = apr_time_now();
    return APR_SUCCESS;
}

static hb_json_t *part(hb_report_work_t *w, const char *name)
{
    hb_json_t *json = hb_json_get(w->doc, name);

    if (json == NULL) {
        json = hb_json_object_make(w->op->pool);
        hb_json_set(w->doc, name, json);
    }
    return json;
}

void hb_report_set(hb_report_work_t *w, const char *name, const char *figure, apr_int64_t n)
{
    hb_json_set_int(part(w, name), figure, n);
}

/* --- counts --- */

static apr_status_t count_users(hb_report_work_t *w)
{
    const hb_cond_t where[] = {
        { "createdAt", HB_AT_LEAST, HB_INT(w->from) }, { "createdAt", HB_BELOW, HB_INT(w->to) },
    };
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 2 };
    apr_int64_t n;
    apr_status_t rv = hb_store_count(&n, w->op, &query);

    hb_report_set(w, "users", "registered", n);
    return rv;
}

static apr_status_t count_streams(hb_report_work_t *w)
{
    static const char *const nothing[2] = { NULL, NULL };
    static const char *const states[] = { "live", "ended" };
    const hb_cond_t ended[] = {
        { "endedAt", HB_AT_LEAST, HB_INT(w->from) }, { "endedAt", HB_BELOW, HB_INT(w->to) },
    };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = ended, .n_where = 2 };
    apr_int64_t started = 0, n;
    hb_group_t *all;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < 2 && rv == APR_SUCCESS; i++) {
        const hb_cond_t where[] = {
            { "status", HB_IS, HB_STR(states[i]) },
            { "startedAt", HB_AT_LEAST, HB_INT(w->from) },
            { "startedAt", HB_BELOW, HB_INT(w->to) },
        };
        const hb_query_t live = { .in = HB_C_STREAMS, .where = where, .n_where = 3 };

        rv = hb_store_count(&n, w->op, &live);
        started += n;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_groups(&all, &i, w->op, &query, nothing, "analytics.watchSec");
    }
    if (rv == APR_SUCCESS) {
        hb_report_set(w, "streams", "started", started);
        hb_report_set(w, "streams", "ended", i > 0 ? all[0].n : 0);
        hb_report_set(w, "streams", "watchMinutes", i > 0 ? all[0].sum / 60 : 0);
    }
    return rv;
}

/* Ids grow with time: their first digits are seconds. */
hb_value_t hb_report_id_at(hb_report_work_t *w, apr_int64_t msec)
{
    hb_value_t value = HB_STR(apr_psprintf(w->op->pool, "%08x0000000000000000",
                                           (unsigned int)(msec / 1000)));

    return value;
}

static apr_status_t count_chat(hb_report_work_t *w)
{
    const hb_cond_t where[] = {
        { .field = "_id", .how = HB_AT_LEAST, .value = hb_report_id_at(w, w->from) },
        { .field = "_id", .how = HB_BELOW, .value = hb_report_id_at(w, w->to) },
    };
    const hb_query_t query = { .in = HB_C_MESSAGES, .where = where, .n_where = 2 };
    apr_int64_t n;
    apr_status_t rv = hb_store_count(&n, w->op, &query);

    hb_report_set(w, "chat", "messages", n);
    return rv;
}

/* --- money --- */

static void push_groups(hb_report_work_t *w, hb_json_t *list, const hb_group_t *groups, int n,
                        const int *is_live)
{
    int i;

    for (i = 0; i < n; i++) {
        hb_json_t *one = hb_json_object_make(w->op->pool);

        hb_json_set_string(one, "provider", groups[i].keys[0]);
        hb_json_set_string(one, "currency", groups[i].keys[1]);
        if (is_live != NULL) {
            hb_json_set_bool(one, "isLive", *is_live);
        }
        hb_json_set_int(one, "number", groups[i].n);
        hb_json_set_int(one, "amountMinor", groups[i].sum);
        hb_json_push(list, one);
    }
}

static const char *const by_provider[2] = { "provider", "currency" };

static apr_status_t count_payments(hb_report_work_t *w)
{
    hb_json_t *list = hb_json_array_make(w->op->pool);
    apr_status_t rv = APR_SUCCESS;
    hb_group_t *groups;
    int is_live, n;

    for (is_live = 1; is_live >= 0 && rv == APR_SUCCESS; is_live--) {
        const hb_cond_t where[] = {
            { "paidAt", HB_AT_LEAST, HB_INT(w->from) }, { "paidAt", HB_BELOW, HB_INT(w->to) },
            { "isLive", is_live ? HB_IS : HB_IS_NOT, HB_BOOL(1) },
        };
        const hb_query_t query = { .in = HB_C_ORDERS, .where = where, .n_where = 3 };

        rv = hb_store_groups(&groups, &n, w->op, &query, by_provider, "amountMinor");
        if (rv == APR_SUCCESS) {
            push_groups(w, list, groups, n, &is_live);
        }
    }
    hb_json_set(w->doc, "payments", list);
    return rv;
}

static apr_status_t count_refunds(hb_report_work_t *w)
{
    const hb_cond_t where[] = {
        { "endedAt", HB_AT_LEAST, HB_INT(w->from) }, { "endedAt", HB_BELOW, HB_INT(w->to) },
        { "state", HB_IS, HB_STR("done") },
    };
    const hb_query_t query = { .in = HB_C_REFUNDS, .where = where, .n_where = 3 };
    hb_json_t *list = hb_json_array_make(w->op->pool);
    hb_group_t *groups;
    int n;
    apr_status_t rv = hb_store_groups(&groups, &n, w->op, &query, by_provider, "amountMinor");

    if (rv == APR_SUCCESS) {
        push_groups(w, list, groups, n, NULL);
    }
    hb_json_set(w->doc, "refunds", list);
    return rv;
}

/* --- all of it --- */

static apr_status_t keep_tx(hb_op_t *op, void *baton)
{
    hb_json_t *doc = baton, *old;
    apr_status_t rv = hb_store_get(&old, op, HB_C_REPORTS, hb_json_string(doc, "_id"));

    return rv == APR_SUCCESS ? hb_store_replace(NULL, op, HB_C_REPORTS, doc)
        : rv == HB_E_STORE_MISSING ? hb_store_insert(NULL, op, HB_C_REPORTS, doc) : rv;
}

static hb_json_t *view_of(hb_op_t *op, const hb_json_t *doc)
{
    return hb_schema_view(op, HB_C_REPORTS, doc, HB_ALL | HB_STAFF);
}

/* The first moment of the date behind. */
static apr_time_t day_ends(const hb_zone_t *zone, apr_time_t begins)
{
    char next[HB_DATE_BYTES];
    apr_time_t ends;

    /* 30 hours on it is the next date, whatever clocks do. */
    hb_zone_date(next, zone, begins + apr_time_from_sec(30 * 3600));
    return hb_zone_day_begins(&ends, zone, next) ? ends : begins + DAY_MSEC * 1000;
}

apr_status_t hb_report_make(hb_json_t **view, hb_op_t *op, const char *date,
                            const hb_zone_t *zone, hb_store_report_fn *report, void *baton)
{
    static apr_status_t (*const parts[])(hb_report_work_t *w) = {
        count_users, count_streams, count_chat, count_payments, count_refunds,
        hb_report_ledger, hb_report_people
    };
    hb_report_work_t w = { .op = op, .report = report, .baton = baton };
    apr_time_t begins;
    apr_status_t rv = APR_SUCCESS;
    apr_size_t i;

    if (!hb_date_is_valid(date) || !hb_zone_day_begins(&begins, zone, date)) {
        return hb_fail_field(op, "date", "format", "write YYYY-MM-DD");
    }
    if (begins > op->now) {
        return hb_fail_field(op, "date", "range", "%s has not begun in %s", date,
                             hb_zone_name(zone));
    }
    w.from = hb_time_to_msec(begins);
    w.to = hb_time_to_msec(day_ends(zone, begins));
    w.began = apr_time_now();
    w.doc = hb_json_object_make(op->pool);
    w.givers = hb_crowd_make(op->pool);
    hb_json_set_string(w.doc, "_id", date);
    hb_json_set_string(w.doc, "date", date);
    hb_json_set_string(w.doc, "zone", hb_zone_name(zone));
    hb_json_set_int(w.doc, "from", w.from);
    hb_json_set_int(w.doc, "to", w.to);
    hb_json_set_int(w.doc, "madeAt", hb_time_to_msec(op->now));
    hb_json_set_bool(w.doc, "isFinal", hb_time_to_msec(op->now) >= w.to);
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && rv == APR_SUCCESS; i++) {
        rv = parts[i](&w);
        if (rv == APR_SUCCESS) {
            rv = hb_report_step(&w);
        }
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, keep_tx, w.doc);
    }
    if (rv == APR_SUCCESS) {
        *view = view_of(op, w.doc);
    }
    return rv;
}

apr_status_t hb_report_get(hb_json_t **view, hb_op_t *op, const char *date)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_REPORTS, date);

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_REPORT_UNKNOWN, "there are no figures of this day");
    }
    if (rv == APR_SUCCESS) {
        *view = view_of(op, doc);
    }
    return rv;
}

apr_status_t hb_report_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_REPORTS, .sort = { { "_id", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

/* --- CSV --- */

typedef struct csv_t {
    apr_pool_t *pool;
    apr_array_header_t *lines;
    const char *date, *part;
} csv_t;

static void line(csv_t *csv, const char *figure, const char *of, const hb_json_t *value)
{
    APR_ARRAY_PUSH(csv->lines, const char *) = apr_psprintf(csv->pool, "%s,%s%s%s,%s,%" APR_INT64_T_FMT
        "\r\n", csv->date, csv->part, *csv->part ? "." : "", figure, hb_csv_text(csv->pool, of),
        hb_json_int_value(value, 0));
}

static int each_member(void *baton, const char *key, hb_json_t *value)
{
    csv_t *csv = baton;

    if (hb_json_type(value) == HB_JSON_INT) {
        line(csv, key, "", value);
    }
    return 0;
}

/* What a row of a list is about, in the words of its texts. */
static const char *of_row(apr_pool_t *pool, const hb_json_t *row)
{
    const char *first = hb_json_string(row, "provider");

    first = first != NULL ? first : hb_json_string(row, "kind");
    return apr_pstrcat(pool, first, " ", hb_json_string(row, "currency"),
                       hb_json_has(row, "isLive") && !hb_json_bool(row, "isLive", 0) ? " test" : "",
                       NULL);
}

static int each_part(void *baton, const char *key, hb_json_t *value)
{
    static const char *const figures[] = { "entries", "minted", "burned", "number", "amountMinor" };
    csv_t *csv = baton;
    apr_size_t f;
    int i;

    csv->part = key;
    if (hb_json_type(value) == HB_JSON_OBJECT) {
        hb_json_each(value, each_member, csv);
    }
    for (i = 0; i < hb_json_length(value); i++) {
        const hb_json_t *row = hb_json_item(value, i);

        for (f = 0; f < sizeof(figures) / sizeof(figures[0]); f++) {
            if (hb_json_has(row, figures[f])) {
                line(csv, figures[f], of_row(csv->pool, row), hb_json_get(row, figures[f]));
            }
        }
    }
    return 0;
}

const char *hb_report_csv(apr_pool_t *pool, const hb_json_t *view)
{
    csv_t csv = { pool, apr_array_make(pool, 64, sizeof(const char *)),
                  hb_json_string(view, "date"), "" };

    APR_ARRAY_PUSH(csv.lines, const char *) = "date,figure,of,value\r\n";
    hb_json_each(view, each_part, &csv);
    return apr_array_pstrcat(pool, csv.lines, 0);
}
