/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for orders and payouts: what each sees, what holds, and what finance makes of a case.
 */
#include "hb_fraud.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_gift.h"
#include "hb_ledger.h"
#include "hb_payout.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_people.h"
#include "hb_throne.h"
#include "hb_time.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya, *finn;

static hb_op_t *as(const hb_test_person_t *person)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = person->id;
    return op;
}

static void open_site(const char *settings)
{
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    finn = hb_test_person(ts, "finn");
    ts->now += apr_time_from_sec(30 * 86400);
}

typedef struct look_t {
    const hb_test_person_t *who;
    const char *address;
    apr_int64_t coins;
    hb_fraud_finding_t finding;
    const char *id;
} look_t;

static apr_status_t look_tx(hb_op_t *op, void *baton)
{
    look_t *look = baton;
    hb_json_t *doc = hb_json_object_make(op->pool);
    const hb_order_t order = { .id = look->id, .user_id = look->who->id, .coins = look->coins,
                               .doc = doc };

    if (look->address != NULL) {
        hb_json_set_string(doc, "address", look->address);
    }
    return hb_fraud_check_order(&look->finding, op, &order);
}

static const hb_fraud_finding_t *look(look_t *look)
{
    look->id = hb_id_make(hb_test_site_op(ts));
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), look_tx, look), APR_SUCCESS);
    return &look->finding;
}

static hb_json_t *cases_in(const char *state)
{
    hb_json_t *list;

    ck_assert_int_eq(hb_fraud_list(&list, as(finn), state, 100, NULL), APR_SUCCESS);
    return hb_json_get(list, "items");
}

START_TEST(many_orders_of_one_user)
{
    look_t one = { maya, NULL, 500 };
    int i;

    open_site("HaloBuzzFraud hold\nHaloBuzzFraudScore 40\n");
    one.who = maya;
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_PASS);
    }
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_HOLD);
    ck_assert_int_eq(one.finding.score, 40);
    ck_assert_str_eq(one.finding.note, "the user paid 6 orders within an hour");
    ck_assert_int_eq(hb_json_length(cases_in("open")), 1);
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), look_tx, &one), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(cases_in("open")), 1);      /* the same order again */
    ts->now += apr_time_from_sec(3601);
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_PASS);
}
END_TEST

START_TEST(an_address_alone_holds_nothing)
{
    look_t one = { .address = "192.0.2.1", .coins = 500 };
    int i;

    open_site("HaloBuzzFraud hold\n");
    for (i = 0; i < 40; i++) {
        one.who = i % 5 == 0 ? hb_test_person(ts, apr_psprintf(hb_test_pool, "user%d", i))
                             : one.who;
        look(&one);
        ck_assert_int_ne(one.finding.verdict, HB_FRAUD_HOLD);
    }
    ck_assert_int_eq(one.finding.verdict, HB_FRAUD_WATCH);
    ck_assert_ptr_nonnull(strstr(one.finding.note, "40 orders came from one address"));
    ck_assert_ptr_nonnull(strstr(one.finding.note, "8 users paid from one address"));
}
END_TEST

START_TEST(large_and_new)
{
    look_t one = { .coins = 50001 };

    open_site("HaloBuzzFraud hold\n");
    one.who = maya;
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_WATCH);
    ck_assert_int_eq(one.finding.score, 20);
    one.who = hb_test_person(ts, "newcomer");
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_HOLD);
    ck_assert_int_eq(one.finding.score, 70);
}
END_TEST

START_TEST(watch_and_off)
{
    look_t one = { .coins = 50001 };

    open_site("HaloBuzzFraud watch\n");
    one.who = hb_test_person(ts, "newcomer");
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_WATCH);
    ck_assert_int_eq(hb_json_length(cases_in("open")), 1);
    open_site("HaloBuzzFraud off\n");
    one.who = hb_test_person(ts, "newcomer");
    ck_assert_int_eq(look(&one)->verdict, HB_FRAUD_PASS);
    ck_assert_int_eq(hb_json_length(cases_in("open")), 0);
}
END_TEST

/* --- payouts --- */

static void gift(const hb_test_person_t *from, const hb_test_person_t *to, int quantity)
{
    static const char seeds[] = "[{\"code\":\"rose\",\"name\":\"Rose\",\"priceCoins\":10}]";
    hb_json_t *stream, *reply, *list, *input = hb_json_object_make(hb_test_pool);
    int n;

    ck_assert_int_eq(hb_gift_seed(&n, hb_test_site_op(ts),
                                  hb_json_parse_own(seeds, strlen(seeds), hb_test_pool)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_gift_catalog(&list, hb_test_site_op(ts), 1, NULL), APR_SUCCESS);
    hb_test_fund(ts, from->id, 100000, 0);
    ck_assert_int_eq(hb_stream_create(&stream, as(to), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_stream_start(&stream, as(to), hb_json_string(stream, "_id")),
                     APR_SUCCESS);
    hb_json_set_string(input, "giftId", hb_json_string(hb_json_item(hb_json_get(list, "items"),
                                                                    0), "id"));
    hb_json_set_int(input, "quantity", quantity);
    ck_assert_int_eq(hb_gift_send(&reply, as(from), hb_json_string(stream, "_id"), input),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(to), hb_json_string(stream, "_id")),
                     APR_SUCCESS);
}

static const char *payout_of(const hb_test_person_t *host)
{
    hb_json_t *view, *input = hb_test_input("currency", "npr", "method", "esewa", "account",
                                            "9800000000", "accountName", "Host", NULL);

    hb_json_set_int(input, "coins", 10000);
    ck_assert_int_eq(hb_payout_request(&view, as(host), input), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
}

START_TEST(coins_that_go_round)
{
    hb_test_person_t *host, *friend;
    const char *id;
    hb_json_t *view;

    open_site("HaloBuzzFraud hold\nHaloBuzzPayoutHold 0\n");
    host = hb_test_person(ts, "host");
    friend = hb_test_person(ts, "friend");
    ts->now += apr_time_from_sec(8 * 86400);
    gift(friend, host, 2400);
    gift(host, friend, 1000);
    id = payout_of(host);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), id), HB_E_FRAUD_HELD);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), id), HB_E_FRAUD_HELD);
    ck_assert_int_eq(hb_json_length(cases_in("open")), 1);
    ck_assert_int_eq(hb_fraud_release(&view, as(host), id, NULL), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(hb_fraud_release(&view, as(finn), id, "they sing together"), APR_SUCCESS);
    ck_assert_int_eq(hb_fraud_release(&view, as(finn), id, NULL), HB_E_FRAUD_STATE);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "reviewed");
}
END_TEST

static void throne(const hb_test_person_t *from, const hb_test_person_t *to, apr_int64_t coins)
{
    hb_json_t *stream, *reply, *input = hb_json_object_make(hb_test_pool);

    hb_test_fund(ts, from->id, 100000, 0);
    ck_assert_int_eq(hb_stream_create(&stream, as(to), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_stream_start(&stream, as(to), hb_json_string(stream, "_id")),
                     APR_SUCCESS);
    hb_json_set_int(input, "coins", coins);
    ck_assert_int_eq(hb_throne_claim(&reply, as(from), hb_json_string(stream, "_id"), input),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(to), hb_json_string(stream, "_id")),
                     APR_SUCCESS);
}

START_TEST(thrones_that_go_round)
{
    hb_test_person_t *host, *friend;
    hb_json_t *view;

    open_site("HaloBuzzFraud hold\nHaloBuzzFraudScore 60\nHaloBuzzPayoutHold 0\n");
    host = hb_test_person(ts, "host");
    friend = hb_test_person(ts, "friend");
    ts->now += apr_time_from_sec(8 * 86400);
    throne(friend, host, 24000);
    gift(hb_test_person(ts, "viewer"), host, 1200);     /* so that not all is one giver's */
    throne(host, friend, 5000);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), payout_of(host)), HB_E_FRAUD_HELD);
}
END_TEST

START_TEST(undoing_a_payout)
{
    hb_test_person_t *host, *friend;
    hb_op_t *op;
    apr_int64_t coins;
    const char *id;
    hb_json_t *view;

    open_site("HaloBuzzFraud hold\nHaloBuzzFraudScore 50\nHaloBuzzPayoutHold 0\n");
    host = hb_test_person(ts, "host");
    friend = hb_test_person(ts, "friend");
    gift(friend, host, 2400);
    id = payout_of(host);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), id), HB_E_FRAUD_HELD);
    ck_assert_int_eq(hb_fraud_undo(&view, as(finn), id, "one purse, one day old"), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "undone");
    ck_assert_int_eq(hb_payout_show(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "rejected");
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_ledger_balance(&coins, op, hb_account_earned(op, host->id)),
                     APR_SUCCESS);
    ck_assert_int_eq(coins, 12000);
    ck_assert_int_eq(hb_fraud_undo(&view, as(finn), "65a1f0c2d3e4f5a6b7c8d9e0", "no, not"),
                     HB_E_FRAUD_UNKNOWN);
}
END_TEST

START_TEST(a_decent_host_passes)
{
    hb_test_person_t *host;
    const char *id;
    hb_json_t *view;
    int i;

    open_site("HaloBuzzFraud hold\nHaloBuzzPayoutHold 0\n");
    host = hb_test_person(ts, "host");
    ts->now += apr_time_from_sec(8 * 86400);
    for (i = 0; i < 3; i++) {
        gift(hb_test_person(ts, apr_psprintf(hb_test_pool, "viewer%d", i)), host, 800);
    }
    id = payout_of(host);
    ck_assert_int_eq(hb_payout_review(&view, as(finn), id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(cases_in("open")), 0);
}
END_TEST

START_TEST(the_report_of_large_entries)
{
    hb_json_t *list;

    open_site("");
    hb_test_fund(ts, maya->id, 100000, 0);
    ts->now += apr_time_from_sec(7200);
    ck_assert_int_eq(hb_fraud_large(&list, as(finn), ts->now - apr_time_from_sec(3600), 1000,
                                    100), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 0);
    hb_test_fund(ts, maya->id, 100000, 0);
    ck_assert_int_eq(hb_fraud_large(&list, as(finn), ts->now - apr_time_from_sec(3600), 1000,
                                    100), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    ck_assert_int_eq(hb_fraud_large(&list, as(finn), ts->now - apr_time_from_sec(3600), 100000,
                                    100), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        many_orders_of_one_user, an_address_alone_holds_nothing, large_and_new, watch_and_off,
        coins_that_go_round, thrones_that_go_round, undoing_a_payout, a_decent_host_passes,
        the_report_of_large_entries, NULL
    };

    return hb_test_main("hb_fraud", cases);
}
