/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payouts: every state and event, what coins do in each step, four eyes, debts first, and the
 * file for the bank.
 */
#include "hb_payout.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_approval.h"
#include "hb_debt.h"
#include "hb_ledger.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *finn, *fatima;

static hb_op_t *as(const hb_test_person_t *person)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = person->id;
    return op;
}

typedef struct coins_t {
    const char *key;
    apr_int64_t coins;          /* below zero: a debt */
} coins_t;

static apr_status_t earn_in_store(hb_op_t *op, void *baton)
{
    const coins_t *c = baton;
    hb_entry_t buy = { .kind = "purchase", .key = apr_pstrcat(op->pool, "buy", c->key, NULL) };
    hb_entry_t gift = { .kind = "gift", .key = c->key };
    hb_entry_t owe = { .kind = "refund", .key = c->key, .reason = "a test" };
    const char *from = hb_account_user(op, finn->id);
    apr_status_t rv;

    if (c->coins < 0) {
        hb_entry_add(&owe, hb_account_debt(op, host->id), HB_COIN, c->coins);
        hb_entry_add(&owe, HB_ACCOUNT_MINT, HB_COIN, -c->coins);
        return hb_ledger_post(NULL, op, &owe);
    }
    hb_entry_add(&buy, HB_ACCOUNT_MINT, HB_COIN, -c->coins);
    hb_entry_add(&buy, from, HB_COIN, c->coins);
    hb_entry_add(&gift, from, HB_COIN, -c->coins);
    hb_entry_add(&gift, hb_account_earned(op, host->id), HB_COIN, c->coins);
    rv = hb_ledger_post(NULL, op, &buy);
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, op, &gift);
    }
    return rv == APR_SUCCESS ? hb_debt_settle(op, host->id, c->key) : rv;
}

static void earn(const char *key, apr_int64_t coins)
{
    coins_t c = { key, coins };

    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), earn_in_store, &c), APR_SUCCESS);
}

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "host");
    finn = hb_test_person(ts, "finn");
    fatima = hb_test_person(ts, "fatima");
    earn("gift:1", 50000);
}

static void holds(apr_int64_t earned, apr_int64_t held, apr_int64_t debt)
{
    hb_op_t *op = hb_test_site_op(ts);
    const char *account = hb_account_earned(op, host->id);
    apr_int64_t coins;

    ck_assert_int_eq(hb_ledger_balance(&coins, op, account), APR_SUCCESS);
    ck_assert_int_eq(coins, earned);
    ck_assert_int_eq(hb_ledger_balance(&coins, op, hb_account_held(op, account)), APR_SUCCESS);
    ck_assert_int_eq(coins, held);
    ck_assert_int_eq(hb_debt_owed(&coins, op, host->id), APR_SUCCESS);
    ck_assert_int_eq(coins, debt);
    hb_test_prove(ts);
}

static hb_json_t *wish(apr_int64_t coins)
{
    hb_json_t *input = hb_test_input("currency", "npr", "method", "bank", "account", "=1+2",
                                     "accountName", "Host, \"H\"", "bankName", "\xef\xbc\x9dNabil", NULL);

    hb_json_set_int(input, "coins", coins);
    return input;
}

static const char *request(apr_int64_t coins)
{
    hb_json_t *view;

    ck_assert_int_eq(hb_payout_request(&view, as(host), wish(coins)), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
}

static apr_status_t review(const hb_test_person_t *who, const char *id)
{
    hb_json_t *view;

    return hb_payout_review(&view, as(who), id);
}

static const char *open_approval(void)
{
    hb_json_t *list;

    ck_assert_int_eq(hb_approval_list(&list, as(finn), "open", 20, NULL), APR_SUCCESS);
    list = hb_json_get(list, "items");
    return hb_json_length(list) == 0 ? NULL
        : apr_pstrdup(hb_test_pool, hb_json_string(hb_json_item(list, 0), "id"));
}

static apr_status_t decide(const hb_test_person_t *who, const char *id, int is_approved)
{
    hb_json_t *view;

    return hb_approval_decide(&view, as(who), id, is_approved, "seen");
}

static const char *state_of(const char *id)
{
    hb_json_t *view;

    ck_assert_int_eq(hb_payout_show(&view, as(finn), id), APR_SUCCESS);
    return hb_json_string(view, "state");
}

START_TEST(every_state_and_event)
{
    static const signed char leads[HB_PAYOUT_STATES][HB_PAYOUT_EVENTS] = {
        { 1, -1, -1, -1, -1, 5, 6 }, { -1, 2, 0, -1, -1, 5, -1 }, { -1, -1, -1, 3, -1, 5, -1 },
        { -1, -1, -1, -1, 4, 5, -1 }, { -1, -1, -1, -1, -1, -1, -1 },
        { -1, -1, -1, -1, -1, -1, -1 }, { -1, -1, -1, -1, -1, -1, -1 },
    };
    hb_payout_state_e next;
    int state, event;

    ts = hb_test_site_make(hb_test_pool);
    for (state = 0; state < HB_PAYOUT_STATES; state++) {
        for (event = 0; event < HB_PAYOUT_EVENTS; event++) {
            apr_status_t rv = hb_payout_next(&next, hb_test_site_op(ts),
                                             (hb_payout_state_e)state, (hb_payout_event_e)event);

            if (leads[state][event] < 0) {
                ck_assert_int_eq(rv, HB_E_PAYOUT_STATE);
            }
            else {
                ck_assert_int_eq(rv, APR_SUCCESS);
                ck_assert_int_eq((int)next, leads[state][event]);
            }
        }
    }
}
END_TEST

START_TEST(amounts_round_down_and_do_not_overflow)
{
    static const struct { apr_int64_t coins, rate, minor; } rows[] = {
        { 10000, 20000, 20000 }, { 10001, 20000, 20002 }, { 9999, 1, 0 }, { 19999, 150, 299 },
        { 1, 20000, 2 }, { APR_INT64_MAX, 20000, -1 }, { APR_INT64_MAX, 10000, APR_INT64_MAX },
        { 0, 150, 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(hb_payout_amount(rows[i].coins, rows[i].rate), rows[i].minor);
    }
}
END_TEST

START_TEST(from_the_request_to_the_bank)
{
    hb_json_t *view, *list;
    const char *id, *approval, *csv;
    apr_size_t len;

    open_site();
    id = request(20000);
    holds(30000, 20000, 0);
    ck_assert_int_eq(review(finn, id), HB_E_PAYOUT_HELD);
    ts->now += apr_time_from_sec(7 * 86400);
    ck_assert_int_eq(review(host, id), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(review(finn, id), APR_SUCCESS);
    ck_assert_int_eq(review(fatima, id), HB_E_PAYOUT_STATE);
    approval = open_approval();
    ck_assert_int_eq(decide(finn, approval, 1), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(decide(host, approval, 1), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_str_eq(state_of(id), "reviewed");
    ck_assert_int_eq(decide(fatima, approval, 1), APR_SUCCESS);
    ck_assert_int_eq(decide(fatima, approval, 0), HB_E_APPROVAL_STATE);
    ck_assert_str_eq(state_of(id), "approved");
    ck_assert_int_eq(hb_payout_batch(&view, as(finn), hb_test_input("currency", "usd", NULL)),
                     HB_E_PAYOUT_NONE);
    ck_assert_int_eq(hb_payout_batch(&view, as(finn), hb_test_input("currency", "npr", NULL)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(view, "payouts", 0), 1);
    ck_assert_int_eq(hb_json_int(view, "amountMinor", 0), 40000);
    ck_assert_int_eq(hb_payout_batch_csv(&csv, &len, as(finn), hb_json_string(view, "id")),
                     APR_SUCCESS);
    ck_assert_uint_eq(len, strlen(csv));
    ck_assert_msg(strstr(csv, ",bank,\"'\xef\xbc\x9dNabil\",\"'=1+2\",\"Host, \"\"H\"\"\",npr,400.00,20000,")
                  != NULL, "%s", csv);
    ck_assert_int_eq(hb_payout_batch(&view, as(finn), hb_test_input("currency", "npr", NULL)),
                     HB_E_PAYOUT_NONE);
    ck_assert_int_eq(hb_payout_batches(&list, as(finn), 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    holds(30000, 20000, 0);
    ck_assert_int_eq(hb_payout_paid(&view, as(finn), id, "TX-1"), APR_SUCCESS);
    ck_assert_int_eq(hb_payout_paid(&view, as(finn), id, "TX-1"), HB_E_PAYOUT_STATE);
    ck_assert_int_eq(hb_payout_reject(&view, as(finn), id, "too late"), HB_E_PAYOUT_STATE);
    holds(30000, 0, 0);
    ck_assert_int_eq(hb_test_mails(ts, host->email), 2);    /* welcome, paid */
    ck_assert_int_eq(hb_payout_list_own(&list, as(host), 20, NULL), APR_SUCCESS);
    list = hb_json_item(hb_json_get(list, "items"), 0);
    ck_assert_str_eq(hb_json_string(list, "reference"), "TX-1");
    ck_assert(!hb_json_has(list, "reviewedBy"));
    ck_assert_str_eq(hb_json_string(list, "createdAt"), "2026-07-01T09:30:00.000Z");
}
END_TEST

START_TEST(who_takes_it_back)
{
    hb_json_t *view;
    const char *id;

    open_site();
    id = request(20000);
    ck_assert_int_eq(hb_payout_request(&view, as(host), wish(10000)), HB_E_PAYOUT_OPEN);
    ck_assert_int_eq(hb_payout_cancel(&view, as(finn), id), HB_E_PAYOUT_UNKNOWN);
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), "me"), HB_E_PAYOUT_UNKNOWN);
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "cancelled");
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), id), HB_E_PAYOUT_STATE);
    holds(50000, 0, 0);
    id = request(10000);
    ts->now += apr_time_from_sec(7 * 86400);
    ck_assert_int_eq(review(finn, id), APR_SUCCESS);
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), id), HB_E_PAYOUT_STATE);
    ck_assert_int_eq(hb_payout_reject(&view, as(finn), id, "name differs"), APR_SUCCESS);
    ck_assert_ptr_null(open_approval());        /* withdrawn with it */
    holds(50000, 0, 0);
    ck_assert_int_eq(hb_test_mails(ts, host->email), 2);
}
END_TEST

START_TEST(a_refusal_leads_back_to_the_first_eyes)
{
    const char *id, *approval;

    open_site();
    id = request(20000);
    ts->now += apr_time_from_sec(7 * 86400);
    ck_assert_int_eq(review(finn, id), APR_SUCCESS);
    approval = open_approval();
    ck_assert_int_eq(decide(fatima, approval, 0), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "requested");
    ck_assert_int_eq(decide(fatima, approval, 1), HB_E_APPROVAL_STATE);
    ck_assert_int_eq(decide(fatima, "0123456789abcdef01234567", 1), HB_E_APPROVAL_UNKNOWN);
    ck_assert_int_eq(review(fatima, id), APR_SUCCESS);
    ck_assert_int_eq(decide(finn, open_approval(), 1), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "approved");
    holds(30000, 20000, 0);
}
END_TEST

START_TEST(what_cannot_be_asked_for)
{
    hb_json_t *view, *input;

    open_site();
    ck_assert_int_eq(hb_payout_request(&view, as(host), wish(9999)), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_payout_request(&view, as(host), wish(50001)), HB_E_WALLET_SHORT);
    input = wish(10000);
    hb_json_remove(input, "bankName");
    ck_assert_int_eq(hb_payout_request(&view, as(host), input), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_payout_request(&view, as(finn), wish(10000)), HB_E_WALLET_SHORT);
    holds(50000, 0, 0);
}
END_TEST

START_TEST(a_debt_comes_first)
{
    hb_json_t *view;
    const char *id;

    open_site();
    id = request(50000);
    earn("refund:1", -700);
    holds(0, 50000, 700);
    ts->now += apr_time_from_sec(7 * 86400);
    ck_assert_int_eq(review(finn, id), HB_E_WALLET_DEBT);
    ck_assert_int_eq(hb_payout_reject(&view, as(finn), id, "debts"), APR_SUCCESS);
    holds(49300, 0, 0);
    id = request(49300);
    ts->now += apr_time_from_sec(7 * 86400);
    ck_assert_int_eq(review(finn, id), APR_SUCCESS);
    earn("refund:late", -300);                  /* between the first eyes and the second */
    ck_assert_int_eq(decide(fatima, open_approval(), 1), HB_E_WALLET_DEBT);
    ck_assert_str_eq(state_of(id), "reviewed");
    ck_assert_int_eq(decide(fatima, open_approval(), 0), APR_SUCCESS);
    ck_assert_int_eq(hb_payout_reject(&view, as(finn), id, "debts"), APR_SUCCESS);
    holds(49000, 0, 0);
    earn("refund:2", -60000);
    ck_assert_int_eq(hb_payout_request(&view, as(host), wish(10000)), HB_E_WALLET_DEBT);
    earn("gift:2", 5000);
    holds(0, 0, 6000);
    earn("gift:3", 6300);
    holds(300, 0, 0);
}
END_TEST

START_TEST(the_same_request_twice)
{
    hb_json_t *first, *second;
    hb_op_t *op;

    open_site();
    op = as(host);
    op->idem_key = "k";
    ck_assert_int_eq(hb_payout_request(&first, op, wish(20000)), APR_SUCCESS);
    op = as(host);
    op->idem_key = "k";
    ck_assert_int_eq(hb_payout_request(&second, op, wish(20000)), APR_SUCCESS);
    ck_assert(op->is_replayed);
    ck_assert_str_eq(hb_json_string(first, "id"), hb_json_string(second, "id"));
    op = as(host);
    op->idem_key = "k";
    ck_assert_int_eq(hb_payout_request(&second, op, wish(20001)), HB_E_IDEM_MISMATCH);
    holds(30000, 20000, 0);
}
END_TEST

/* --- the job --- */

static void release(void)
{
    const hb_job_t *job = hb_job_named("payout-release");
    hb_job_run_t run = { .name = job->name, .occurrence = "payout-release:1",
                         .date = "2026-07-02" };
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    ck_assert_int_eq(job->run(op, &run), APR_SUCCESS);
}

/* "1:10000 " for each line to the team: payouts and coins. */
static const char *lines(void)
{
    const hb_query_t all = { .in = HB_C_NOTICE_OUTBOX, .limit = 20, .sort = { { "_id", 0 } } };
    const char *text = "";
    hb_page_t page;
    int i;

    ck_assert_int_eq(hb_store_find(&page, hb_test_site_op(ts), &all), APR_SUCCESS);
    for (i = 0; i < page.n_items; i++) {
        const hb_json_t *values = hb_json_get(page.items[i], "values");

        ck_assert_str_eq(hb_json_string(page.items[i], "kind"), "payout.due");
        text = apr_psprintf(hb_test_pool, "%s%d:%d ", text,
                            (int)hb_json_int(values, "number", 0),
                            (int)hb_json_int(values, "coins", 0));
    }
    return text;
}

START_TEST(the_team_hears_once_that_a_hold_is_over)
{
    hb_json_t *view;
    const char *id;

    open_site();
    ts->site->team_hook = "http://127.0.0.1:1/hook";
    id = request(10000);
    ts->now += ts->site->settings->payout_hold - apr_time_from_msec(1);
    release();
    ck_assert_str_eq(lines(), "");
    ts->now += apr_time_from_msec(1);
    release();
    release();
    ck_assert_str_eq(lines(), "1:10000 ");
    ck_assert_str_eq(state_of(id), "requested");
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), id), APR_SUCCESS);
    /* What somebody went on with before the job came needs no telling. */
    id = request(20000);
    ts->now += ts->site->settings->payout_hold;
    ck_assert_int_eq(review(finn, id), APR_SUCCESS);
    release();
    ck_assert_int_eq(hb_payout_reject(&view, as(finn), id, "another account"), APR_SUCCESS);
    id = request(20000);
    ck_assert_int_eq(hb_payout_cancel(&view, as(host), id), APR_SUCCESS);
    ts->now += ts->site->settings->payout_hold;
    release();
    ck_assert_str_eq(lines(), "1:10000 ");
    holds(50000, 0, 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        every_state_and_event, amounts_round_down_and_do_not_overflow,
        from_the_request_to_the_bank, who_takes_it_back, a_refusal_leads_back_to_the_first_eyes,
        what_cannot_be_asked_for, a_debt_comes_first, the_same_request_twice,
        the_team_hears_once_that_a_hold_is_over, NULL
    };

    return hb_test_main("hb_payout", cases);
}
