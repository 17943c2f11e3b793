/* SPDX-License-Identifier: Apache-2.0 */
/* Holds: each ends once, one way, and the coins are somewhere at every moment. */
#include "hb_ledger.h"


#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya;
static const char *earned, *held;

typedef enum step_e { EARN, RESERVE, POST, VOID } step_e;

typedef struct work_t {
    step_e step;
    apr_int64_t coins;
    const char *key;
    const char *id;
    const char *kind;
} work_t;

static apr_status_t in_store(hb_op_t *op, void *baton)
{
    work_t *w = baton;
    hb_entry_t entry = { .kind = "gift", .key = w->key };

    switch (w->step) {
    case EARN:
        hb_entry_add(&entry, hb_account_user(op, maya->id), HB_COIN, -w->coins);
        hb_entry_add(&entry, earned, HB_COIN, w->coins);
        return hb_ledger_post(NULL, op, &entry);
    case RESERVE:
        return hb_hold_reserve(&w->id, op, earned, HB_COIN, w->coins, w->key,
                               ts->now + apr_time_from_sec(60));
    case POST:
        return hb_hold_post(NULL, op, w->id, w->kind, HB_ACCOUNT_MINT);
    case VOID:
        return hb_hold_void(op, w->id, "rejected");
    }
    return APR_EGENERAL;
}

static apr_status_t run(work_t *w, step_e step)
{
    w->step = step;
    return hb_store_transact(hb_test_site_op(ts), in_store, w);
}

static void open_site(void)
{
    work_t w = { .coins = 100, .key = "gift" };
    hb_op_t *op;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    op = hb_test_site_op(ts);
    earned = hb_account_earned(op, maya->id);
    held = hb_account_held(op, earned);
    hb_test_fund(ts, maya->id, 100, 0);
    ck_assert_int_eq(run(&w, EARN), APR_SUCCESS);
}

static void holds(apr_int64_t free_coins, apr_int64_t held_coins)
{
    apr_int64_t coins;

    ck_assert_int_eq(hb_ledger_balance(&coins, hb_test_site_op(ts), earned), APR_SUCCESS);
    ck_assert_int_eq(coins, free_coins);
    ck_assert_int_eq(hb_ledger_balance(&coins, hb_test_site_op(ts), held), APR_SUCCESS);
    ck_assert_int_eq(coins, held_coins);
    hb_test_prove(ts);
}

START_TEST(what_is_held_is_paid_out_once)
{
    work_t w = { .coins = 60, .key = "payout:1", .kind = "payout" };
    const char *first;

    open_site();
    ck_assert_int_eq(run(&w, RESERVE), APR_SUCCESS);
    first = w.id;
    holds(40, 60);
    ck_assert_int_eq(run(&w, RESERVE), HB_E_LEDGER_REPEATED);
    ck_assert_str_eq(w.id, first);
    w.kind = "gift";
    ck_assert_int_eq(run(&w, POST), HB_E_LEDGER_KIND);
    w.kind = "payout";
    ck_assert_int_eq(run(&w, POST), APR_SUCCESS);
    holds(40, 0);
    ck_assert_int_eq(run(&w, POST), HB_E_HOLD_STATE);
    ck_assert_int_eq(run(&w, VOID), HB_E_HOLD_STATE);
    holds(40, 0);
}
END_TEST

START_TEST(what_is_held_goes_back_once)
{
    work_t w = { .coins = 60, .key = "payout:1", .kind = "payout" };

    open_site();
    ck_assert_int_eq(run(&w, RESERVE), APR_SUCCESS);
    ck_assert_int_eq(run(&w, VOID), APR_SUCCESS);
    holds(100, 0);
    ck_assert_int_eq(run(&w, VOID), HB_E_HOLD_STATE);
    ck_assert_int_eq(run(&w, POST), HB_E_HOLD_STATE);
    w.id = "0123456789abcdef01234567";
    ck_assert_int_eq(run(&w, VOID), HB_E_HOLD_UNKNOWN);
    holds(100, 0);
}
END_TEST

START_TEST(more_than_there_is_cannot_be_held)
{
    work_t w = { .coins = 101, .key = "payout:1" };

    open_site();
    ck_assert_int_eq(run(&w, RESERVE), HB_E_WALLET_SHORT);
    w.coins = 0;
    ck_assert_int_eq(run(&w, RESERVE), HB_E_INPUT_INVALID);
    w.coins = -1;
    ck_assert_int_eq(run(&w, RESERVE), HB_E_INPUT_INVALID);
    holds(100, 0);
}
END_TEST

START_TEST(what_expires_goes_back)
{
    apr_int64_t n;
    int i;

    open_site();
    for (i = 0; i < 3; i++) {
        work_t w = { .coins = 10, .key = apr_psprintf(hb_test_pool, "payout:%d", i),
                     .kind = "payout" };

        ck_assert_int_eq(run(&w, RESERVE), APR_SUCCESS);
        if (i == 0) {
            ck_assert_int_eq(run(&w, POST), APR_SUCCESS);
        }
    }
    ck_assert_int_eq(hb_hold_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ts->now += apr_time_from_sec(61);
    ck_assert_int_eq(hb_hold_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 2);
    holds(90, 0);
    ck_assert_int_eq(hb_hold_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_held_is_paid_out_once, what_is_held_goes_back_once,
        more_than_there_is_cannot_be_held, what_expires_goes_back, NULL
    };

    return hb_test_main("hb_hold", cases);
}
