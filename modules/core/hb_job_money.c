/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that look after money: what each does is its noun's, here it meets the clock. */
#include "hb_job_private.h"

#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_order.h"
#include "hb_refund.h"

/* Providers answer for what is a few days old; later it is for people (halobuzzctl reconcile). */
#define RECONCILE_SEC (3 * 86400)
#define ZONES_SEC 900           /* how often og-bonus-zones is due: zones differ by quarters of an hour */

typedef struct watch_t {
    hb_op_t *op;
    const hb_job_run_t *run;
    apr_status_t status;
} watch_t;

/* As hb_store_report_fn. */
static int report(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    watch_t *watch = baton;

    (void)what;
    watch->status = hb_job_alive(watch->op, watch->run, done, total);
    return watch->status != APR_SUCCESS;
}

/* A run that was stopped failed for the reason it was stopped. */
static apr_status_t status_of(const watch_t *watch, apr_status_t rv)
{
    return watch->status != APR_SUCCESS ? watch->status : rv;
}

apr_status_t hb_job_og_bonus(hb_op_t *op, const hb_job_run_t *run)
{
    watch_t watch = { op, run, APR_SUCCESS };
    hb_og_bonus_run_t bonus;
    apr_status_t rv;

    rv = hb_og_bonus_pay_all(&bonus, op, run->date, run->day_begins, report, &watch);
    hb_job_say(run, "paid %" APR_INT64_T_FMT " bonus coins to %" APR_INT64_T_FMT " of %"
               APR_INT64_T_FMT " users with OG", bonus.coins, bonus.paid, bonus.entitled);
    return status_of(&watch, rv);
}

apr_status_t hb_job_og_bonus_zones(hb_op_t *op, const hb_job_run_t *run)
{
    watch_t watch = { op, run, APR_SUCCESS };
    apr_time_t until = apr_time_from_msec(run->planned_at);
    hb_og_bonus_run_t bonus;
    apr_status_t rv;

    rv = hb_og_bonus_pay_zones(&bonus, op, until - apr_time_from_sec(ZONES_SEC), until, run->zone,
                               report, &watch);
    hb_job_say(run, "paid %" APR_INT64_T_FMT " bonus coins to %" APR_INT64_T_FMT " of %"
               APR_INT64_T_FMT " users with OG", bonus.coins, bonus.paid, bonus.entitled);
    return status_of(&watch, rv);
}

apr_status_t hb_job_order_expire(hb_op_t *op, const hb_job_run_t *run)
{
    apr_int64_t n = 0;
    apr_status_t rv = hb_order_expire(&n, op);

    hb_job_say(run, "closed %" APR_INT64_T_FMT " orders", n);
    return rv;
}

static apr_status_t reconcile(hb_op_t *op, const hb_job_run_t *run, apr_time_t since)
{
    watch_t watch = { op, run, APR_SUCCESS };
    hb_reconcile_t result;
    apr_status_t rv = hb_order_reconcile(&result, op, since, report, &watch);

    if (rv == APR_SUCCESS) {
        hb_job_say(run, "asked about %" APR_INT64_T_FMT " orders: %" APR_INT64_T_FMT " settled, %"
                   APR_INT64_T_FMT " differ, %" APR_INT64_T_FMT " without an answer",
                   result.asked, result.settled, result.differ, result.unanswered);
    }
    return status_of(&watch, rv);
}

apr_status_t hb_job_order_ask(hb_op_t *op, const hb_job_run_t *run)
{
    return reconcile(op, run, 0);
}

apr_status_t hb_job_reconcile(hb_op_t *op, const hb_job_run_t *run)
{
    return reconcile(op, run, op->now - apr_time_from_sec(RECONCILE_SEC));
}

apr_status_t hb_job_refund_resume(hb_op_t *op, const hb_job_run_t *run)
{
    apr_int64_t n = 0;
    apr_status_t rv = hb_refund_resume(&n, op);

    hb_job_say(run, "%" APR_INT64_T_FMT " refunds ended", n);
    return rv;
}

apr_status_t hb_job_hold_expire(hb_op_t *op, const hb_job_run_t *run)
{
    apr_int64_t n = 0;
    apr_status_t rv = hb_hold_expire(&n, op);

    hb_job_say(run, "gave back %" APR_INT64_T_FMT " holds", n);
    return rv;
}
