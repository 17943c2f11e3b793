/* SPDX-License-Identifier: Apache-2.0 */
/* Orders as their payers and finance see them. */
#include "hb_order_private.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_time.h"

#define FLAGS_SHOWN 100
#define EVENTS_SHOWN 500

/* --- for the payer --- */

apr_status_t hb_order_list_own(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(op->actor.user_id) } };
    const hb_query_t query = { .in = HB_C_ORDERS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_SELF);
}

apr_status_t hb_order_show_own(hb_json_t **view, hb_op_t *op, const char *id)
{
    hb_order_t order;
    apr_status_t rv = hb_order_load(&order, op, id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (op->actor.user_id == NULL || strcmp(order.user_id, op->actor.user_id) != 0) {
        return hb_fail(op, HB_E_ORDER_UNKNOWN, NULL);
    }
    *view = hb_schema_view(op, HB_C_ORDERS, order.doc, HB_ALL | HB_SELF);
    return APR_SUCCESS;
}

/* --- for finance --- */

apr_status_t hb_order_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query)
{
    const char *state = hb_json_string(query, "state");
    const char *user_id = hb_json_string(query, "userId");
    const hb_cond_t where[] = {
        { state != NULL ? "state" : "userId", HB_IS,
          HB_STR(state != NULL ? state : user_id) },
    };
    const hb_query_t find = { .in = HB_C_ORDERS, .where = where,
                              .n_where = state != NULL || user_id != NULL ? 1 : 0,
                              .sort = { { "createdAt", 1 } },
                              .limit = (int)hb_json_int(query, "limit", 20),
                              .after = hb_json_string(query, "after") };

    if (state != NULL && user_id != NULL) {
        return hb_fail_field(op, "state", "value", "goes without userId");
    }
    return hb_store_list(list, op, &find, HB_STAFF);
}

typedef struct line_t {
    apr_int64_t at;             /* milliseconds */
    int n;                      /* keeps lines of one moment in their order */
    hb_json_t *step;            /* HB_R_ORDER_STEP */
} line_t;

static int by_time(const void *a, const void *b)
{
    const line_t *x = a, *y = b;

    return x->at != y->at ? (x->at < y->at ? -1 : 1) : x->n - y->n;
}

static void add_line(line_t *lines, int *n, hb_op_t *op, apr_int64_t at, const char *what,
                     const char *detail)
{
    hb_json_t *step = hb_json_object_make(op->pool);

    hb_json_set_time(step, "at", hb_time_from_msec(at));
    hb_json_set_string(step, "what", what);
    hb_json_set_string(step, "detail", detail);
    lines[*n] = (line_t){ at, *n, step };
    ++*n;
}

/* "payment_intent.succeeded, trusted, applied: 500 coins by hmac" */
static const char *event_text(hb_op_t *op, const hb_json_t *event)
{
    const char *type = hb_json_string(event, "type"), *note = hb_json_string(event, "note");
    const char *effect = hb_json_string(event, "effect"), *error = hb_json_string(event, "error");
    apr_int64_t repeats = hb_json_int(event, "repeats", 0);

    return apr_psprintf(op->pool, "%.100s, %s, %s%s%.200s%s", type != NULL ? type : "no type",
                        hb_json_string(event, "verdict"),
                        error != NULL ? error : effect != NULL ? effect : "not acted on yet",
                        note != NULL ? ": " : "", note != NULL ? note : "",
                        repeats > 0 ? apr_psprintf(op->pool, "; %" APR_INT64_T_FMT
                                                   " times more", repeats) : "");
}

/* Our steps and the provider's messages, by time. */
static hb_json_t *timeline(hb_op_t *op, const hb_order_t *order, const hb_page_t *events)
{
    const hb_json_t *steps = hb_json_get(order->doc, "steps");
    hb_json_t *json = hb_json_array_make(op->pool);
    line_t *lines = apr_palloc(op->pool, (apr_size_t)(hb_json_length(steps) + EVENTS_SHOWN)
                                         * sizeof(*lines));
    int i, n = 0;

    for (i = 0; i < hb_json_length(steps); i++) {
        const hb_json_t *step = hb_json_item(steps, i);

        add_line(lines, &n, op, hb_json_int(step, "at", 0), hb_json_string(step, "what"),
                 hb_json_string(step, "detail"));
    }
    for (i = 0; i < events->n_items; i++) {
        add_line(lines, &n, op, hb_json_int(events->items[i], "createdAt", 0),
                 hb_json_string(events->items[i], "source"), event_text(op, events->items[i]));
    }
    qsort(lines, (size_t)n, sizeof(*lines), by_time);
    for (i = 0; i < n; i++) {
        hb_json_push(json, lines[i].step);
    }
    return json;
}

apr_status_t hb_order_show(hb_json_t **shown, hb_op_t *op, const char *id)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(id) } };
    const hb_query_t query = { .in = HB_C_FLAGS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = FLAGS_SHOWN };
    const hb_query_t told = { .in = HB_C_EVENTS, .where = where, .n_where = 1,
                              .sort = { { "createdAt", 1 } }, .limit = EVENTS_SHOWN };
    hb_json_t *flags;
    hb_page_t events;
    hb_order_t order;
    apr_status_t rv = hb_order_load(&order, op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_store_list(&flags, op, &query, HB_STAFF);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&events, op, &told);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *shown = hb_json_object_make(op->pool);
    hb_json_set(*shown, "order", hb_schema_view(op, HB_C_ORDERS, order.doc, HB_STAFF));
    hb_json_set(*shown, "flags", hb_json_get(flags, "items"));
    hb_json_set(*shown, "timeline", timeline(op, &order, &events));
    return APR_SUCCESS;
}
