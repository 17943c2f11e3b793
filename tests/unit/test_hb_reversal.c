/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Money that goes back: coins in proportion, debts for what was spent, disputes opened, won and
 * lost in every order, OG that ends; and after each step a ledger that proves.
 */
#include "hb_refund.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_reversal_private.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_time.h"
#include "hb_user.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya;
static hb_order_t order;

typedef enum step_e { BUY, SPEND, FACT, GIVEN, ACTIVATE } step_e;

typedef struct work_t {
    step_e step;
    apr_int64_t coins;
    hb_pay_fact_t fact;
    hb_reversal_t reversal;
} work_t;

static apr_status_t in_store(hb_op_t *op, void *baton)
{
    static int n;
    work_t *w = baton;
    hb_entry_t entry = { .key = apr_psprintf(op->pool, "test:%d", ++n), .reason = "a test" };
    const char *user = hb_account_user(op, maya->id), *bonus = hb_account_bonus(op, maya->id);
    const hb_og_terms_t terms = { order.og_tier, 1000, 30 };
    hb_og_step_t step;
    apr_status_t rv;

    switch (w->step) {
    case BUY:
        entry.kind = "purchase";
        hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -order.coins);
        hb_entry_add(&entry, user, HB_COIN, order.coins);
        hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -order.bonus);
        hb_entry_add(&entry, bonus, HB_BONUS, order.bonus);
        rv = hb_ledger_post(NULL, op, &entry);
        return rv == APR_SUCCESS ? hb_debt_settle(op, maya->id, entry.key) : rv;
    case SPEND:
        entry.kind = "og";
        hb_entry_add(&entry, user, HB_COIN, -w->coins);
        hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, w->coins);
        hb_entry_add(&entry, bonus, HB_BONUS, -w->coins / 10);
        hb_entry_add(&entry, HB_ACCOUNT_BONUS_REVENUE, HB_BONUS, w->coins / 10);
        return hb_ledger_post(NULL, op, &entry);
    case ACTIVATE:
        return hb_og_activate(&step, op, maya->id, &terms);
    case GIVEN:
        return hb_refund_given(&w->reversal, op, &order);
    case FACT:
        return w->fact.outcome >= HB_PAY_DISPUTED
            ? hb_dispute_apply(&w->reversal, op, &order, &w->fact)
            : hb_refund_apply(&w->reversal, op, &order, &w->fact);
    }
    return APR_EGENERAL;
}

static hb_reversal_t *run(work_t *w, step_e step)
{
    apr_status_t rv;

    w->step = step;
    rv = hb_store_transact(hb_test_site_op(ts), in_store, w);
    ck_assert_msg(rv == APR_SUCCESS, "%s", hb_error_row(rv)->code);
    return &w->reversal;
}

/* 1000 coins and 100 bonus coins for 200.00. */
static void open_site(void)
{
    work_t w = { BUY };
    hb_json_t *doc = hb_json_object_make(hb_test_pool);

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    hb_json_set_string(doc, "_id", "65a1f0c2d3e4f5a6b7c8d9e0");
    order = (hb_order_t){ .id = "65a1f0c2d3e4f5a6b7c8d9e0", .user_id = maya->id,
                          .provider = "stripe", .kind = "coins", .title = "1000 coins",
                          .coins = 1000, .bonus = 100, .amount_minor = 20000,
                          .currency = "npr", .state = "paid", .payment_id = "pi_1",
                          .doc = doc };
    run(&w, BUY);
}

static void open_og_site(void)
{
    work_t w = { ACTIVATE };

    open_site();
    order.kind = "og";
    order.coins = order.bonus = 0;
    order.og_tier = 2;
    hb_json_set_int((hb_json_t *)order.doc, "ogCoins", 1000);
    hb_json_set_int((hb_json_t *)order.doc, "ogDays", 30);
    run(&w, ACTIVATE);
}

static void spend(apr_int64_t coins)
{
    work_t w = { SPEND, coins };

    run(&w, SPEND);
}

static hb_reversal_t told(hb_pay_outcome_e outcome, apr_int64_t minor, const char *id)
{
    work_t w = { .fact = { .outcome = outcome, .payment_id = "pi_1", .refund_id = id,
                           .amount_minor = -1, .refunded_minor = -1 } };

    if (outcome == HB_PAY_REFUNDED) {
        w.fact.refunded_minor = minor;
    }
    else {
        w.fact.amount_minor = minor;
    }
    return *run(&w, FACT);
}

/* coins, bonus coins, coins held, bonus coins held, debt */
static void has(apr_int64_t coins, apr_int64_t bonus, apr_int64_t held, apr_int64_t held_bonus,
                apr_int64_t owed)
{
    hb_op_t *op = hb_test_site_op(ts);
    const char *user = hb_account_user(op, maya->id), *purse = hb_account_bonus(op, maya->id);
    const char *const names[] = { user, purse, hb_account_held(op, user),
                                  hb_account_held(op, purse) };
    const apr_int64_t wanted[] = { coins, bonus, held, held_bonus };
    hb_ledger_proof_t proof;
    apr_int64_t there;
    int i;

    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(hb_ledger_balance(&there, op, names[i]), APR_SUCCESS);
        ck_assert_msg(there == wanted[i], "%s: %d", names[i], (int)there);
    }
    ck_assert_int_eq(hb_debt_owed(&there, op, maya->id), APR_SUCCESS);
    ck_assert_int_eq(there, owed);
    ck_assert_int_eq(hb_ledger_verify(&proof, hb_test_site_op(ts), NULL, NULL), APR_SUCCESS);
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
}

START_TEST(shares_are_exact)
{
    static const struct { apr_int64_t coins, minor, amount, share; } rows[] = {
        { 1000, 0, 20000, 0 }, { 1000, -1, 20000, 0 }, { 1000, 20000, 20000, 1000 },
        { 1000, 19999, 20000, 999 }, { 1000, 20001, 20000, 1000 }, { 3, 1, 2, 1 },
        { 1000000000, 99999998, 99999999, 999999989 }, { 0, 5, 10, 0 },
        { APR_INT64_MAX, APR_INT64_MAX - 1, APR_INT64_MAX, APR_INT64_MAX - 1 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(hb_reversal_share(rows[i].coins, rows[i].minor, rows[i].amount),
                         rows[i].share);
    }
}
END_TEST

START_TEST(refunds_are_told_cumulatively)
{
    hb_reversal_t r;

    open_site();
    r = told(HB_PAY_REFUNDED, 5000, "re_1");
    ck_assert(r.is_news && !r.is_whole);
    ck_assert_int_eq(r.coins, 250);
    ck_assert_int_eq(r.bonus, 25);
    ck_assert_str_eq(r.note, "refunded NPR 50.00 of NPR 200.00 so far; 250 coins and 25 bonus "
                     "coins taken back, 0 of them owed");
    has(750, 75, 0, 0, 0);
    r = told(HB_PAY_REFUNDED, 5000, "re_1");
    ck_assert(!r.is_news);
    r = told(HB_PAY_REFUNDED, 20000, "re_2");
    ck_assert(r.is_news && r.is_whole);
    has(0, 0, 0, 0, 0);
    r = told(HB_PAY_REFUNDED, 10000, "re_3");   /* late */
    ck_assert(!r.is_news && r.is_whole);
    r = told(HB_PAY_REFUNDED, 30000, "re_4");   /* more than was paid */
    ck_assert_int_eq(r.refunded_minor, 20000);
    has(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(what_was_spent_is_owed)
{
    work_t again = { BUY };
    hb_reversal_t r;

    open_site();
    spend(900);                 /* and 90 bonus coins */
    r = told(HB_PAY_REFUNDED, 20000, "re_1");
    ck_assert_int_eq(r.owed, 990);
    has(0, 0, 0, 0, 990);
    ck_assert_int_eq(hb_test_mails(ts, maya->email), 2);    /* welcome, debt */
    run(&again, BUY);
    has(10, 100, 0, 0, 0);
}
END_TEST

START_TEST(a_refund_that_failed_comes_back)
{
    hb_reversal_t r;

    open_site();
    spend(1000);
    told(HB_PAY_REFUNDED, 20000, "re_1");
    has(0, 0, 0, 0, 1100);
    r = told(HB_PAY_REFUND_FAILED, 10000, "re_1");
    ck_assert(r.is_news && !r.is_whole);
    ck_assert_int_eq(r.refunded_minor, 10000);
    has(0, 0, 0, 0, 550);
    r = told(HB_PAY_REFUND_FAILED, 10000, "re_1");
    ck_assert(!r.is_news);
    told(HB_PAY_REFUND_FAILED, 10000, "re_2");
    has(0, 0, 0, 0, 0);
    told(HB_PAY_REFUNDED, 20000, "re_3");
    has(0, 0, 0, 0, 1100);
}
END_TEST

START_TEST(another_payment_moves_nothing)
{
    work_t w = { .fact = { .outcome = HB_PAY_REFUNDED, .payment_id = "pi_2",
                           .refunded_minor = 20000, .amount_minor = -1 } };

    open_site();
    ck_assert(!run(&w, FACT)->is_news);
    has(1000, 100, 0, 0, 0);
}
END_TEST

START_TEST(a_dispute_freezes_and_is_won)
{
    hb_reversal_t r;

    open_site();
    spend(400);
    r = told(HB_PAY_DISPUTED, 20000, "dp_1");
    ck_assert(r.is_news && r.is_disputed && !r.is_lost);
    ck_assert_int_eq(r.owed, 440);
    has(0, 0, 600, 60, 440);
    r = told(HB_PAY_DISPUTED, 20000, "dp_1");
    ck_assert(!r.is_news && r.is_disputed);
    r = told(HB_PAY_DISPUTE_WON, 20000, "dp_1");
    ck_assert(r.is_news && !r.is_disputed && !r.is_lost);
    has(600, 60, 0, 0, 0);
    r = told(HB_PAY_DISPUTED, 20000, "dp_1");
    ck_assert(!r.is_news);
}
END_TEST

START_TEST(what_a_dispute_held_pays_other_debts)
{
    open_site();
    told(HB_PAY_DISPUTED, 10000, "dp_1");
    spend(500);
    has(0, 0, 500, 50, 0);
    told(HB_PAY_REFUNDED, 10000, "re_1");
    has(0, 0, 500, 50, 550);
    told(HB_PAY_DISPUTE_WON, 10000, "dp_1");
    has(0, 50, 0, 0, 50);
}
END_TEST

START_TEST(a_dispute_in_other_money_is_about_all_of_it)
{
    work_t w = { .fact = { .outcome = HB_PAY_DISPUTED, .payment_id = "pi_1", .refund_id = "dp_1",
                           .amount_minor = 150, .refunded_minor = -1, .currency = "usd" } };

    open_site();
    run(&w, FACT);
    has(0, 0, 1000, 100, 0);
}
END_TEST

START_TEST(a_dispute_is_lost)
{
    hb_reversal_t r;

    open_site();
    spend(400);
    told(HB_PAY_DISPUTED, 20000, "dp_1");
    r = told(HB_PAY_DISPUTE_LOST, 20000, "dp_1");
    ck_assert(r.is_news && !r.is_disputed && r.is_lost);
    has(0, 0, 0, 0, 440);
    r = told(HB_PAY_DISPUTE_LOST, 20000, "dp_1");
    ck_assert(!r.is_news && r.is_lost);
    told(HB_PAY_DISPUTE_WON, 20000, "dp_1");    /* an appeal */
    has(600, 60, 0, 0, 0);
    told(HB_PAY_DISPUTE_LOST, 20000, "dp_1");
    has(0, 0, 0, 0, 440);
}
END_TEST

START_TEST(the_end_is_told_before_the_beginning)
{
    open_site();
    told(HB_PAY_DISPUTE_LOST, 20000, "dp_1");
    told(HB_PAY_DISPUTED, 20000, "dp_1");
    has(0, 0, 0, 0, 0);
    open_site();
    told(HB_PAY_DISPUTE_WON, 20000, "dp_1");
    told(HB_PAY_DISPUTED, 20000, "dp_1");
    has(1000, 100, 0, 0, 0);
}
END_TEST

START_TEST(refund_and_dispute_take_what_was_brought_once)
{
    hb_reversal_t r;

    open_site();
    told(HB_PAY_REFUNDED, 5000, "re_1");
    told(HB_PAY_DISPUTED, 20000, "dp_1");
    has(0, 0, 750, 75, 0);
    told(HB_PAY_REFUNDED, 20000, "re_2");
    has(0, 0, 750, 75, 0);
    r = told(HB_PAY_DISPUTE_WON, 20000, "dp_1");
    ck_assert(r.is_whole);
    has(0, 0, 0, 0, 0);         /* the refund takes what the dispute gave back */
    told(HB_PAY_DISPUTED, 15000, "dp_2");
    has(0, 0, 0, 0, 0);
}
END_TEST

START_TEST(nothing_is_taken_of_what_was_not_given)
{
    work_t w = { GIVEN };

    open_site();
    order.state = "review";
    told(HB_PAY_REFUNDED, 5000, "re_1");
    told(HB_PAY_DISPUTED, 10000, "dp_1");
    has(1000, 100, 0, 0, 0);
    order.state = "disputed";
    told(HB_PAY_REFUNDED, 10000, "re_2");
    has(1000, 100, 0, 0, 0);
    order.state = "paid";
    run(&w, GIVEN);
    has(0, 0, 500, 50, 0);
}
END_TEST

static apr_int64_t og_days(int *level)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *user;

    ck_assert_int_eq(hb_user_load(&user, op, maya->id), APR_SUCCESS);
    *level = hb_og_level(user, op->now);
    return (hb_json_int(user, "ogExpiresAt", 0) - hb_time_to_msec(op->now)) / 86400000;
}

START_TEST(og_ends_with_its_money)
{
    int level;

    open_og_site();
    ck_assert_int_eq(og_days(&level), 30);
    ts->now += apr_time_from_sec(10 * 86400);
    told(HB_PAY_REFUNDED, 10000, "re_1");
    ck_assert_int_eq(og_days(&level), 20);
    ck_assert_int_eq(level, 2);
    told(HB_PAY_REFUNDED, 20000, "re_2");
    og_days(&level);
    ck_assert_int_eq(level, 0);
    told(HB_PAY_REFUND_FAILED, 10000, "re_2");
    ck_assert_int_eq(og_days(&level), 20);
    ck_assert_int_eq(level, 2);
    has(1000, 100, 0, 0, 0);
}
END_TEST

START_TEST(og_in_dispute)
{
    work_t again = { ACTIVATE };
    int level;

    open_og_site();
    run(&again, ACTIVATE);      /* 60 days, half of them of another order */
    ts->now += apr_time_from_sec(10 * 86400);
    told(HB_PAY_DISPUTED, 20000, "dp_1");
    ck_assert_int_eq(og_days(&level), 20);
    told(HB_PAY_REFUNDED, 20000, "re_1");
    ck_assert_int_eq(og_days(&level), 20);
    told(HB_PAY_DISPUTE_WON, 20000, "dp_1");
    ck_assert_int_eq(og_days(&level), 20);
    told(HB_PAY_REFUND_FAILED, 20000, "re_1");
    ck_assert_int_eq(og_days(&level), 50);
    ck_assert_int_eq(level, 2);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        shares_are_exact, refunds_are_told_cumulatively, what_was_spent_is_owed,
        a_refund_that_failed_comes_back, another_payment_moves_nothing,
        a_dispute_freezes_and_is_won, what_a_dispute_held_pays_other_debts,
        a_dispute_in_other_money_is_about_all_of_it, a_dispute_is_lost, the_end_is_told_before_the_beginning,
        refund_and_dispute_take_what_was_brought_once, nothing_is_taken_of_what_was_not_given,
        og_ends_with_its_money, og_in_dispute, NULL
    };

    return hb_test_main("hb_reversal", cases);
}
