/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking providers what became of orders. Messages get lost, payers close their browser, providers
 * and we are down at times; what nobody told is asked here. An answer takes the same way
 * as any message (hb_inbox.h), so asking too often changes nothing.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_inbox.h"
#include "hb_log.h"
#include "hb_time.h"

#define PAGE 100

/* Written before the provider is asked, so that two at once ask it once. */
static apr_status_t note_question(hb_op_t *op, const hb_order_t *order)
{
    const hb_cond_t is_long_ago[] = {
        { "checkedAt", HB_BELOW, HB_INT(hb_time_to_msec(op->now - HB_ORDER_ASK_APART)) },
    };
    const hb_edit_t edits[] = { { "checkedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) } };
    hb_json_t *after;

    return hb_store_change(&after, NULL, op, HB_C_ORDERS, order->id, is_long_ago,
                           hb_json_has(order->doc, "checkedAt") ? 1 : 0, edits, 1);
}

static apr_status_t ask(hb_inbox_result_t *result, hb_op_t *op, const hb_order_t *order,
                        const char *why)
{
    const hb_pay_provider_t *provider = hb_pay_provider(order->provider);

    if (provider == NULL || provider->missing(op->site) != NULL) {
        return hb_fail(op, HB_E_PAY_UNSET, NULL);
    }
    return hb_inbox_lookup(result, op, provider, order, why);
}

static apr_status_t load_again(hb_order_t *order, hb_op_t *op)
{
    const hb_problem_t problem = op->problem;
    apr_status_t rv = hb_order_load(order, op, order->id);

    if (problem.status != APR_SUCCESS) {
        op->problem = problem;
    }
    return rv;
}

apr_status_t hb_order_check(hb_order_t *order, hb_op_t *op, const char *why)
{
    hb_inbox_result_t result;
    apr_status_t rv = note_question(op, order), again;

    if (rv == HB_E_STORE_GUARD) {
        return load_again(order, op);   /* somebody has just asked */
    }
    if (rv == APR_SUCCESS) {
        rv = ask(&result, op, order, why);
    }
    again = load_again(order, op);
    return rv == APR_SUCCESS ? again : rv;
}

/* --- all of them --- */

static void add_row(hb_reconcile_t *run, hb_op_t *op, const hb_order_t *before,
                    const char *after, const char *what, const char *note)
{
    hb_json_t *row;

    if (hb_json_length(run->rows) >= HB_RECONCILE_ROWS) {
        return;
    }
    row = hb_json_object_make(op->pool);
    hb_json_set_string(row, "order", before->id);
    hb_json_set_string(row, "provider", before->provider);
    hb_json_set_string(row, "what", what);
    hb_json_set_string(row, "before", before->state);
    hb_json_set_string(row, "after", after);
    hb_json_set_int(row, "amountMinor", before->amount_minor);
    hb_json_set_string(row, "currency", before->currency);
    hb_json_set_string(row, "note", note);
    hb_json_push(run->rows, row);
}

static const char *why_not(const hb_op_t *op, apr_status_t rv)
{
    return op->problem.detail != NULL ? op->problem.detail : hb_error_row(rv)->text;
}

/* What an answer did, counted; @return not APR_SUCCESS only for what would fail every order alike */
static apr_status_t reconcile_one(hb_reconcile_t *run, hb_op_t *op, hb_op_t *one,
                                  const hb_order_t *order)
{
    hb_inbox_result_t result;
    hb_order_t after = *order;
    apr_status_t rv = ask(&result, one, order, "reconcile");

    run->asked++;
    switch (rv) {
    case APR_SUCCESS:
        break;
    case HB_E_PAY_UNSET:
        run->asked--;
        run->skipped++;
        return APR_SUCCESS;
    case HB_E_STORE_DOWN:
    case HB_E_STORE_READONLY:
        return rv;
    default:
        run->unanswered++;
        add_row(run, op, order, order->state, "unanswered", why_not(one, rv));
        return APR_SUCCESS;
    }
    switch (result.effect) {
    case HB_ORDER_APPLIED:
        rv = hb_order_load(&after, one, order->id);
        run->settled++;
        add_row(run, op, order, after.state, "settled", result.note);
        return rv;
    case HB_ORDER_FLAGGED:
        run->differ++;
        add_row(run, op, order, order->state, "differs", result.note);
        return APR_SUCCESS;
    case HB_ORDER_WAITS:
        run->waiting++;
        add_row(run, op, order, order->state, "waits", result.note);
        return APR_SUCCESS;
    default:
        run->agreed++;
        return APR_SUCCESS;
    }
}

/* Orders of a page, each with an op of its own: its own clock, memory and first problem. */
static apr_status_t reconcile_page(hb_reconcile_t *run, hb_op_t *op, const hb_page_t *page,
                                   hb_store_report_fn *report, void *baton)
{
    apr_status_t rv = APR_SUCCESS;
    apr_pool_t *scratch;
    int i;

    apr_pool_create(&scratch, op->pool);
    for (i = 0; rv == APR_SUCCESS && i < page->n_items; i++) {
        hb_op_t *one = hb_op_make_as(op->site, scratch, op->request_id);
        hb_order_t order;

        one->actor = op->actor;
        one->log = op->log;
        hb_order_read(&order, page->items[i]);
        rv = reconcile_one(run, op, one, &order);
        if (rv != APR_SUCCESS) {
            op->problem = one->problem;
        }
        apr_pool_clear(scratch);
        if (rv == APR_SUCCESS && report != NULL
            && report(baton, "orders", run->asked + run->skipped, 0)) {
            rv = APR_EINTR;
        }
    }
    apr_pool_destroy(scratch);
    return rv;
}

apr_status_t hb_order_reconcile(hb_reconcile_t *run, hb_op_t *op, apr_time_t since,
                                hb_store_report_fn *report, void *baton)
{
    const char *field = since > 0 ? "createdAt" : "openUntil";
    const hb_cond_t where[] = {
        { field, HB_AT_LEAST, HB_INT(since > 0 ? hb_time_to_msec(since) : 0) },
    };
    hb_query_t query = { .in = HB_C_ORDERS, .where = where, .n_where = 1,
                         .sort = { { field, since > 0 } }, .limit = PAGE };
    hb_op_t reader = *op;       /* what was read is dropped page by page */
    char *cursor = NULL;
    hb_page_t page;
    apr_status_t rv;

    memset(run, 0, sizeof(*run));
    run->rows = hb_json_array_make(op->pool);
    apr_pool_create(&reader.pool, op->pool);
    do {
        query.after = cursor;
        rv = hb_store_find(&page, &reader, &query);
        cursor = rv == APR_SUCCESS && page.next != NULL ? apr_pstrdup(op->pool, page.next) : NULL;
        if (rv == APR_SUCCESS) {
            rv = reconcile_page(run, op, &page, report, baton);
        }
        else {
            op->problem = reader.problem;
        }
        apr_pool_clear(reader.pool);
    } while (rv == APR_SUCCESS && cursor != NULL);
    apr_pool_destroy(reader.pool);
    if (rv == APR_SUCCESS) {
        rv = hb_order_expire(&run->expired, op);
    }
    hb_log(op, HB_LOG_INFO, rv, HBLOGNO(00462) "reconciled %" APR_INT64_T_FMT " orders: %"
           APR_INT64_T_FMT " settled, %" APR_INT64_T_FMT " differ, %" APR_INT64_T_FMT
           " unanswered", run->asked, run->settled, run->differ, run->unanswered);
    return rv;
}
