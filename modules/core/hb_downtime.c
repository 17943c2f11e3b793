/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planned maintenance. What will be told lies in the outbox of notices from the start, each
 * with its moment; calling it off takes back what was not told yet, in one transaction.
 */
#include "hb_downtime.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_notice_private.h"
#include "hb_store.h"
#include "hb_time.h"

#define AHEAD_USEC apr_time_from_sec(48 * 3600)

static hb_json_t *view_of(hb_op_t *op, const hb_json_t *plan)
{
    hb_json_t *view = hb_json_object_make(op->pool);
    apr_time_t starts_at = hb_time_from_msec(hb_json_int(plan, "startsAt", 0));
    apr_time_t ends_at = hb_time_from_msec(hb_json_int(plan, "endsAt", 0));

    hb_json_set_string(view, "id", hb_json_string(plan, "_id"));
    hb_json_set_string(view, "state", hb_json_has(plan, "cancelledAt") ? "cancelled"
                       : op->now < starts_at ? "planned"
                       : ends_at != 0 && op->now >= ends_at ? "over" : "begun");
    hb_json_set_time(view, "startsAt", starts_at);
    hb_json_set_time(view, "endsAt", ends_at);
    hb_json_set_string(view, "reason", hb_json_string(plan, "reason"));
    hb_json_set_bool(view, "mail", hb_json_bool(plan, "mail", 0));
    hb_json_set_bool(view, "push", hb_json_bool(plan, "push", 0));
    hb_json_set_time(view, "createdAt", hb_time_from_msec(hb_json_int(plan, "createdAt", 0)));
    return view;
}

static hb_json_t *values_of(hb_op_t *op, const hb_json_t *plan)
{
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_int(values, "startsAt", hb_json_int(plan, "startsAt", 0));
    if (hb_json_has(plan, "endsAt")) {
        hb_json_set_int(values, "endsAt", hb_json_int(plan, "endsAt", 0));
    }
    if (hb_json_string(plan, "reason") != NULL) {
        hb_json_set_string(values, "reason", hb_json_string(plan, "reason"));
    }
    return values;
}

static unsigned int ways_of(const hb_json_t *plan)
{
    return (hb_json_bool(plan, "mail", 0) ? HB_BY_MAIL : 0)
        | (hb_json_bool(plan, "push", 0) ? HB_BY_PUSH : 0);
}

/* Everybody will be told at that moment. */
static apr_status_t tell_at(hb_op_t *op, const hb_json_t *plan, hb_notice_e kind, apr_time_t when,
                            unsigned int ways)
{
    hb_json_t *row = hb_notice_outbox_row(op, "announce", kind, values_of(op, plan), NULL, when);

    hb_json_set_string(row, "planId", hb_json_string(plan, "_id"));
    hb_json_set_int(row, "ways", ways);
    return hb_notice_outbox_add(op, row);
}

static apr_status_t plan_in_store(hb_op_t *op, void *baton)
{
    hb_json_t *plan = baton;
    apr_time_t starts_at = hb_time_from_msec(hb_json_int(plan, "startsAt", 0));
    apr_status_t rv = hb_store_insert(NULL, op, HB_C_DOWNTIMES, plan);

    if (rv == HB_E_STORE_DUPLICATE) {
        return hb_fail(op, HB_E_DOWNTIME_STATE, "maintenance is planned for that moment already");
    }
    if (rv == APR_SUCCESS) {
        rv = tell_at(op, plan, HB_N_DOWNTIME_PLANNED, starts_at - AHEAD_USEC, ways_of(plan));
    }
    if (rv == APR_SUCCESS) {
        rv = tell_at(op, plan, HB_N_DOWNTIME_STARTED, starts_at, ways_of(plan) & HB_BY_PUSH);
    }
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, "maintenance.plan", hb_json_string(plan, "_id"), 1,
                       view_of(op, plan)) : rv;
}

apr_status_t hb_downtime_plan(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    hb_json_t *plan = hb_json_object_make(op->pool);
    apr_int64_t starts_at = hb_json_int(input, "startsAt", 0);
    apr_int64_t ends_at = hb_json_int(input, "endsAt", 0);
    apr_status_t rv;

    if (starts_at < hb_time_to_msec(op->now)) {
        return hb_fail_field(op, "startsAt", "range", "must not be in the past");
    }
    if (ends_at != 0 && ends_at <= starts_at) {
        return hb_fail_field(op, "endsAt", "range", "must be after startsAt");
    }
    hb_json_set_string(plan, "_id", hb_id_make(op));
    hb_json_set_int(plan, "startsAt", starts_at);
    hb_json_set_int(plan, "openAt", starts_at);
    if (ends_at != 0) {
        hb_json_set_int(plan, "endsAt", ends_at);
    }
    if (hb_json_string(input, "reason") != NULL) {
        hb_json_set_string(plan, "reason", hb_json_string(input, "reason"));
    }
    hb_json_set_bool(plan, "mail", hb_json_bool(input, "mail", 0));
    hb_json_set_bool(plan, "push", hb_json_bool(input, "push", 0));
    if (op->actor.user_id != NULL) {
        hb_json_set_string(plan, "createdBy", op->actor.user_id);
    }
    hb_json_set_int(plan, "createdAt", hb_time_to_msec(op->now));
    rv = hb_store_transact(op, plan_in_store, plan);
    if (rv == APR_SUCCESS) {
        *view = view_of(op, plan);
    }
    return rv;
}

/* --- calling it off --- */

typedef struct cancelling_t {
    const char *id;
    hb_json_t *plan;
} cancelling_t;

/* Were they told of it? Then the row of that is gone. */
static apr_status_t was_told(int *was, hb_op_t *op, const char *id)
{
    const hb_cond_t where[] = { { "planId", HB_IS, HB_STR(id) } };
    const hb_query_t query = { .in = HB_C_NOTICE_OUTBOX, .where = where, .n_where = 1 };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *was = 1;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        if (strcmp(hb_json_string(page.items[i], "kind"),
                   hb_notice_row(HB_N_DOWNTIME_PLANNED)->name) == 0) {
            *was = 0;
        }
    }
    return rv;
}

static apr_status_t cancel_in_store(hb_op_t *op, void *baton)
{
    cancelling_t *cancelling = baton;
    const char *id = cancelling->id;
    const hb_cond_t where[] = { { "planId", HB_IS, HB_STR(id) } };
    hb_query_t rows = { .in = HB_C_NOTICE_OUTBOX, .where = where, .n_where = 1 };
    const hb_edit_t edits[] = { { "cancelledAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
                                { "openAt", HB_UNSET, HB_NIL } };
    hb_json_t *plan;
    int were_told = 0;
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(&plan, op, HB_C_DOWNTIMES, id)
        : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_DOWNTIME_UNKNOWN, NULL);
    }
    if (rv == APR_SUCCESS && (hb_json_has(plan, "cancelledAt")
                              || hb_json_int(plan, "startsAt", 0) <= hb_time_to_msec(op->now))) {
        return hb_fail(op, HB_E_DOWNTIME_STATE, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = was_told(&were_told, op, id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(&cancelling->plan, NULL, op, HB_C_DOWNTIMES, id, NULL, 0, edits, 2);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove_all(NULL, op, &rows);
    }
    if (rv == APR_SUCCESS && were_told) {
        rv = hb_notice_announce(op, HB_N_DOWNTIME_CANCELLED, values_of(op, plan), ways_of(plan));
    }
    return rv == APR_SUCCESS ? hb_audit_add(op, NULL, "maintenance.cancel", id, 1, NULL) : rv;
}

apr_status_t hb_downtime_cancel(hb_json_t **view, hb_op_t *op, const char *id)
{
    cancelling_t cancelling = { id, NULL };
    apr_status_t rv = hb_store_transact(op, cancel_in_store, &cancelling);

    if (rv == APR_SUCCESS) {
        *view = view_of(op, cancelling.plan);
    }
    return rv;
}

apr_status_t hb_downtime_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_query_t query = { .in = HB_C_DOWNTIMES, .sort = { { "startsAt", 1 } },
                               .limit = limit, .after = after };
    hb_json_t *items = hb_json_array_make(op->pool);
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        hb_json_push(items, view_of(op, page.items[i]));
    }
    if (rv == APR_SUCCESS) {
        *list = hb_page_json(op, items, page.next);
    }
    return rv;
}
