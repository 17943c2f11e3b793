/* SPDX-License-Identifier: Apache-2.0 */
/* Asking what became of orders: many, stopped half-way, late, and what does not fit. */
#include "hb_order.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_price.h"
#include "hb_sandbox.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define PAYER "bbbbbbbbbbbbbbbbbbbbbbb1"
#define PRICES "[{\"code\":\"small\",\"kind\":\"coins\",\"title\":\"500 coins\",\"coins\":500," \
               "\"amountMinor\":1000,\"currency\":\"usd\"}]"
#define N 250                   /* more than two pages */

static hb_test_site_t *ts;
static const char *ids[N];

static void open_site(void)
{
    hb_op_t *op;
    int n;

    ts = hb_test_site_make_with("HaloBuzzPaySandbox on\n", hb_test_pool);
    hb_test_site_open(ts);
    op = hb_test_site_op(ts);
    hb_test_add_user(ts, PAYER, NULL);
    ck_assert_int_eq(hb_price_seed(&n, op, hb_json_parse_own(PRICES, strlen(PRICES),
                                                             hb_test_pool)), APR_SUCCESS);
}

static const char *buy(void)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *input = hb_json_object_make(op->pool), *reply;

    op->actor.user_id = PAYER;
    hb_json_set_string(input, "product", "small");
    ck_assert_int_eq(hb_order_begin(&reply, op, hb_pay_provider("sandbox"), input,
                                    HB_PAY_AS_PAGE), APR_SUCCESS);
    return hb_json_string(hb_json_get(reply, "order"), "id");
}

/* The payer chose at the bank, and nobody told us. */
static void choose(const char *id, hb_pay_outcome_e outcome)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_order_t order;

    ck_assert_int_eq(hb_order_load(&order, op, id), APR_SUCCESS);
    ck_assert_int_eq(hb_sandbox_settle(op, &order, outcome), APR_SUCCESS);
}

static void change_bank(const char *id, const char *field, const hb_value_t value)
{
    hb_op_t *op = hb_test_site_op(ts);
    const hb_edit_t edits[] = { { field, HB_SET, value } };

    ck_assert_int_eq(hb_store_change(NULL, NULL, op, HB_C_SANDBOX_PAYMENTS,
                                     hb_sandbox_payment_id(op, id), NULL, 0, edits, 1),
                     APR_SUCCESS);
}

static hb_reconcile_t reconcile(apr_time_t since)
{
    hb_reconcile_t run;

    ck_assert_int_eq(hb_order_reconcile(&run, hb_test_site_op(ts), since, NULL, NULL),
                     APR_SUCCESS);
    return run;
}

static apr_int64_t coins(void)
{
    apr_int64_t n;

    ck_assert_int_eq(hb_ledger_balance(&n, hb_test_site_op(ts), "user:" PAYER), APR_SUCCESS);
    return n;
}

static const char *state_of(const char *id)
{
    hb_order_t order;

    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), id), APR_SUCCESS);
    return order.state;
}

static int stop_at_120(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    (void)baton;
    (void)what;
    (void)total;
    return done == 120;
}

START_TEST(all_of_them_once)
{
    hb_reconcile_t run;
    apr_time_t begun;
    int i;

    open_site();
    begun = ts->now;
    for (i = 0; i < N; i++) {
        ids[i] = buy();
        if (i % 5 < 2) {
            choose(ids[i], HB_PAY_PAID);
        }
        else if (i % 5 == 2) {
            choose(ids[i], HB_PAY_FAILED);
        }
    }
    ck_assert_int_eq(hb_order_reconcile(&run, hb_test_site_op(ts), begun, stop_at_120, NULL),
                     APR_EINTR);
    ck_assert_int_eq(run.asked, 120);
    ck_assert_int_eq(coins(), 120 * 2 / 5 * 500);
    run = reconcile(begun);
    ck_assert_int_eq(run.asked, N);
    ck_assert_int_eq(run.settled, (N - 120) * 3 / 5);
    ck_assert_int_eq(run.agreed, N - (N - 120) * 3 / 5);
    ck_assert_int_eq(hb_json_length(run.rows), (N - 120) * 3 / 5);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_RECONCILE_ROW, hb_json_item(run.rows, 0),
                                        hb_test_pool));
    ck_assert_int_eq(coins(), N * 2 / 5 * 500);
    run = reconcile(begun);
    ck_assert_int_eq(run.agreed, N);
    run = reconcile(0);         /* the open ones */
    ck_assert_int_eq(run.asked, N * 2 / 5);
    ck_assert_int_eq(run.expired, 0);
    ts->now += apr_time_from_sec(2 * 3600);
    run = reconcile(0);
    ck_assert_int_eq(run.expired, N * 2 / 5);
    run = reconcile(0);
    ck_assert_int_eq(run.asked, 0);
    choose(ids[3], HB_PAY_PAID);        /* at the last moment, there */
    run = reconcile(begun);
    ck_assert_int_eq(run.settled, 1);
    ck_assert_str_eq(state_of(ids[3]), "paid");
    run = reconcile(ts->now);   /* none is so young */
    ck_assert_int_eq(run.asked, 0);
    ck_assert_int_eq(coins(), (N * 2 / 5 + 1) * 500);
    hb_test_prove(ts);
}
END_TEST

START_TEST(what_does_not_fit_is_told)
{
    const hb_value_t much = HB_INT(100000), canceled = HB_STR("canceled"), half = HB_INT(500);
    apr_time_t begun;
    hb_reconcile_t run;

    open_site();
    begun = ts->now;
    ids[0] = buy();
    ids[1] = buy();
    ids[2] = buy();
    choose(ids[0], HB_PAY_PAID);
    change_bank(ids[0], "amountMinor", much);
    choose(ids[1], HB_PAY_PAID);
    choose(ids[2], HB_PAY_PAID);
    run = reconcile(begun);
    ck_assert_int_eq(run.differ, 1);
    ck_assert_int_eq(run.settled, 2);
    ck_assert_str_eq(hb_json_string(hb_json_item(run.rows, 2), "what"), "differs");
    ck_assert_int_eq(coins(), 1000);
    ts->now += apr_time_from_sec(3600);
    change_bank(ids[1], "state", canceled);     /* it takes its word back */
    change_bank(ids[2], "refundedMinor", half); /* a refund whose message was lost */
    run = reconcile(begun);
    ck_assert_int_eq(run.differ, 2);
    ck_assert_int_eq(run.settled, 1);
    ck_assert_str_eq(state_of(ids[1]), "paid");
    ck_assert_int_eq(coins(), 750);
    run = reconcile(begun);
    ck_assert_int_eq(run.differ, 2);
    ck_assert_int_eq(run.agreed, 1);
    ck_assert_int_eq(coins(), 750);
    hb_test_prove(ts);
}
END_TEST

START_TEST(an_order_is_not_asked_about_all_the_time)
{
    hb_op_t *op;
    hb_order_t order;

    open_site();
    ids[0] = buy();
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_order_load(&order, op, ids[0]), APR_SUCCESS);
    ck_assert_int_eq(hb_order_check(&order, op, "payer"), APR_SUCCESS);
    choose(ids[0], HB_PAY_PAID);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_order_check(&order, op, "payer"), APR_SUCCESS);
    ck_assert_str_eq(order.state, "open");
    ts->now += HB_ORDER_ASK_APART + apr_time_from_sec(1);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_order_check(&order, op, "payer"), APR_SUCCESS);
    ck_assert_str_eq(order.state, "paid");
    ck_assert_int_eq(coins(), 500);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        all_of_them_once, what_does_not_fit_is_told, an_order_is_not_asked_about_all_the_time,
        NULL
    };

    return hb_test_main("hb_order_reconcile", cases);
}
