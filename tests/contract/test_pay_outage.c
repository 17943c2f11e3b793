/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payers pay, and then the providers are gone for an hour: no webhook, no return, no answer. Orders
 * run out of time meanwhile. When the providers are back, reconciling credits everybody, once.
 */
#include <string.h>

#include <apr_strings.h>

#include "hb_inbox.h"
#include "hb_ledger.h"
#include "hb_price.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "pay_world.h"

#define PRICES "[{\"code\":\"usd\",\"kind\":\"coins\",\"title\":\"500 coins\",\"coins\":500," \
    "\"amountMinor\":1250,\"currency\":\"usd\"},{\"code\":\"npr\",\"kind\":\"coins\"," \
    "\"title\":\"500 coins\",\"coins\":500,\"amountMinor\":1250,\"currency\":\"npr\"}]"
#define PAYERS 6

typedef struct payer_t {
    const hb_pay_provider_t *provider;
    hb_test_person_t *person;
    hb_order_t order;
} payer_t;

static const char *const providers[] = { "stripe", "esewa", "khalti" };

static void sell(pay_world_t *w)
{
    const char *why;
    hb_json_t *prices;
    int n;

    ck_assert_int_eq(hb_json_parse(&prices, &why, PRICES, strlen(PRICES), hb_test_pool), 0);
    ck_assert_int_eq(hb_price_seed(&n, w->op, prices), APR_SUCCESS);
    ck_assert_int_eq(n, 2);
}

static apr_int64_t coins_of(pay_world_t *w, const payer_t *payer)
{
    apr_int64_t coins;

    ck_assert_int_eq(hb_ledger_balance(&coins, pay_world_next(w), apr_pstrcat(hb_test_pool, "user:",
                                       payer->person->id, NULL)), APR_SUCCESS);
    return coins;
}

static void buy(payer_t *payer, pay_world_t *w, int i)
{
    hb_json_t *reply;
    hb_op_t *op;

    payer->provider = hb_pay_provider(providers[i % 3]);
    payer->person = hb_test_person(w->ts, apr_psprintf(hb_test_pool, "payer%d", i));
    op = hb_test_op_of(w->ts, payer->person);
    op->idem_key = "once";
    ck_assert_int_eq(hb_order_begin(&reply, op, payer->provider, hb_test_input("product",
                     hb_pay_takes(payer->provider, "usd") ? "usd" : "npr", NULL),
                     HB_PAY_AS_PAGE), APR_SUCCESS);
    ck_assert_int_eq(hb_order_load(&payer->order, op, hb_json_string(hb_json_get(reply, "order"),
                                                                     "id")), APR_SUCCESS);
    payer->order.doc = hb_json_type(hb_json_get(reply, "form")) == HB_JSON_OBJECT
                       ? hb_json_get(reply, "form") : NULL;
    pay_world_pay(w, payer->provider, &payer->order);
}

START_TEST(an_hour_without_providers)
{
    pay_world_t *w = pay_world_open("HaloBuzzOrderTTL 30m\n");
    apr_time_t begun = w->ts->now;
    payer_t payers[PAYERS];
    hb_ledger_proof_t proof;
    hb_inbox_result_t result;
    hb_reconcile_t run;
    int i, n_before;

    sell(w);
    for (i = 0; i < PAYERS; i++) {
        buy(&payers[i], w, i);
    }
    pay_world_tell(w, "fault", "{'kind': 'down'}");
    n_before = pay_world_calls(w, "stripe");
    while (w->ts->now < begun + apr_time_from_sec(3600)) {
        w->ts->now += apr_time_from_sec(600);
        ck_assert_int_eq(hb_order_reconcile(&run, pay_world_next(w), begun - 1000, NULL, NULL),
                         APR_SUCCESS);
        ck_assert_int_eq(run.unanswered, PAYERS);
        ck_assert_int_eq(run.settled, 0);
    }
    /* Each run tries them out a little, and leaves them alone then. */
    ck_assert_int_lt(pay_world_calls(w, "stripe") - n_before, 6 * 2 * 3 + 1);
    for (i = 0; i < PAYERS; i++) {
        ck_assert_int_eq(coins_of(w, &payers[i]), 0);
        ck_assert_int_eq(hb_order_load(&payers[i].order, pay_world_next(w), payers[i].order.id), 0);
        ck_assert_int_eq(payers[i].order.at, HB_ORDER_EXPIRED);
    }
    pay_world_tell(w, "heal", "{}");
    w->ts->now += apr_time_from_sec(120);
    ck_assert_int_eq(hb_order_reconcile(&run, pay_world_next(w), begun - 1000, NULL, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(run.settled, PAYERS);
    ck_assert_int_eq(run.unanswered + run.differ, 0);
    ck_assert_int_eq(hb_order_reconcile(&run, pay_world_next(w), begun - 1000, NULL, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(run.agreed, PAYERS);
    for (i = 0; i < PAYERS; i++) {
        ck_assert_int_eq(coins_of(w, &payers[i]), 500);
        /* The browser comes back the next day, and changes nothing. */
        ck_assert_int_eq(hb_order_load(&payers[i].order, pay_world_next(w), payers[i].order.id), 0);
        ck_assert_int_eq(hb_inbox_lookup(&result, pay_world_next(w), payers[i].provider,
                                         &payers[i].order, "payer"), APR_SUCCESS);
        ck_assert_int_eq(coins_of(w, &payers[i]), 500);
    }
    ck_assert_int_eq(hb_ledger_verify(&proof, pay_world_next(w), NULL, NULL), APR_SUCCESS);
    ck_assert_int_eq(proof.findings, 0);
    ck_assert_int_eq(proof.sum_coin, 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { an_hour_without_providers, NULL };

    return hb_test_main("pay_outage", cases);
}
