/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refunds by finance, against the sandbox's bank: who may, how much, four eyes, what a death in the
 * middle leaves, refusals, refunds by hand, and payments too many.
 */
#include "hb_refund.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_approval.h"
#include "hb_ledger.h"
#include "hb_sandbox.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_time.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya, *finn, *fatima;

static hb_op_t *as(const hb_test_person_t *person)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = person->id;
    return op;
}

static void open_site_with(const char *settings)
{
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    finn = hb_test_person(ts, "finn");
    fatima = hb_test_person(ts, "fatima");
}

/* Nothing listens where Khalti is looked for. */
static void open_site(void)
{
    open_site_with("HaloBuzzPaySandbox on\nHaloBuzzFraud off\nHaloBuzzKhaltiURL "
                   "http://127.0.0.1:9\n");
}

/* 1000 coins for NPR 2000; one of finance alone may send back NPR 1000. */
static const char *add_order(const char *provider)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *doc = hb_json_object_make(op->pool);
    const char *id = apr_pstrdup(hb_test_pool, hb_id_make(op));

    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "userId", maya->id);
    hb_json_set_string(doc, "provider", provider);
    hb_json_set_string(doc, "kind", "coins");
    hb_json_set_string(doc, "product", "p");
    hb_json_set_string(doc, "title", "1000 coins");
    hb_json_set_int(doc, "coins", 1000);
    hb_json_set_int(doc, "bonus", 0);
    hb_json_set_int(doc, "ogTier", 0);
    hb_json_set_int(doc, "amountMinor", 200000);
    hb_json_set_string(doc, "currency", "npr");
    hb_json_set_bool(doc, "isLive", 0);
    hb_json_set_string(doc, "state", "open");
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(ts->now));
    hb_json_set_int(doc, "expiresAt", hb_time_to_msec(ts->now + apr_time_from_sec(3600)));
    hb_json_set_int(doc, "openUntil", hb_time_to_msec(ts->now + apr_time_from_sec(3600)));
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_ORDERS, doc), APR_SUCCESS);
    return id;
}

static hb_order_t loaded(const char *id)
{
    hb_order_t order;

    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), id), APR_SUCCESS);
    return order;
}

typedef struct told_t {
    const char *id;
    hb_pay_fact_t fact;
} told_t;

static apr_status_t tell_tx(hb_op_t *op, void *baton)
{
    told_t *told = baton;
    hb_order_effect_e effect;
    const char *note;
    hb_order_t order;
    apr_status_t rv = hb_order_load(&order, op, told->id);

    return rv != APR_SUCCESS ? rv
        : hb_order_apply(&effect, &note, op, &order, &told->fact, "lookup");
}

static void pay_as(const char *id, const char *payment_id)
{
    told_t told = { id, { .outcome = HB_PAY_PAID, .order_id = id, .payment_id = payment_id,
                          .attempt_id = payment_id, .amount_minor = 200000,
                          .refunded_minor = -1, .currency = "npr", .is_live = -1 } };

    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), tell_tx, &told), APR_SUCCESS);
}

/* An order that is paid at the bank, as far as the bank's answer says. */
static const char *paid_order(hb_pay_outcome_e bank)
{
    const char *id = add_order("sandbox");
    hb_order_t order = loaded(id);

    ck_assert_int_eq(hb_sandbox_settle(hb_test_site_op(ts), &order, bank), APR_SUCCESS);
    pay_as(id, hb_sandbox_payment_id(hb_test_site_op(ts), id));
    ck_assert_str_eq(loaded(id).state, "paid");
    return id;
}

static hb_json_t *wish(const char *order_id, apr_int64_t minor)
{
    hb_json_t *input = hb_test_input("orderId", order_id, "reason", "asked nicely", NULL);

    if (minor > 0) {
        hb_json_set_int(input, "amountMinor", minor);
    }
    return input;
}

static apr_status_t ask(hb_json_t **view, const hb_test_person_t *who, const char *order_id,
                        apr_int64_t minor)
{
    return hb_refund_begin(view, as(who), wish(order_id, minor));
}

/* Asked for by finn; gives its id. */
static const char *asked(const char *order_id, apr_int64_t minor, const char *state)
{
    hb_json_t *view;
    apr_status_t rv = ask(&view, finn, order_id, minor);

    ck_assert_msg(rv == APR_SUCCESS, "%s", hb_error_row(rv)->code);
    ck_assert_str_eq(hb_json_string(view, "state"), state);
    return apr_pstrdup(hb_test_pool, hb_json_string(view, "id"));
}

static const char *state_of(const char *id)
{
    hb_json_t *view;

    ck_assert_int_eq(hb_refund_show(&view, as(finn), id), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(view, "state"));
}

static apr_status_t decide(const hb_test_person_t *who, int is_approved)
{
    hb_json_t *list, *view;

    ck_assert_int_eq(hb_approval_list(&list, as(who), "open", 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    return hb_approval_decide(&view, as(who),
                              hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "id"),
                              is_approved, NULL);
}

/* Coins of the payer, what the order says went back, what the bank says did. */
static void stands(const char *order_id, apr_int64_t coins, apr_int64_t minor,
                   const char *state)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_order_t order = loaded(order_id);
    hb_ledger_proof_t proof;
    apr_int64_t there;
    hb_json_t *bank;

    ck_assert_int_eq(hb_ledger_balance(&there, op, hb_account_user(op, maya->id)), APR_SUCCESS);
    ck_assert_int_eq(there, coins);
    ck_assert_int_eq(order.refunded_minor, minor);
    ck_assert_str_eq(order.state, state);
    if (hb_store_get(&bank, op, HB_C_SANDBOX_PAYMENTS, order.payment_id) == APR_SUCCESS) {
        ck_assert_int_eq(hb_json_int(bank, "refundedMinor", -1), minor);
    }
    ck_assert_int_eq(hb_ledger_verify(&proof, hb_test_site_op(ts), NULL, NULL), APR_SUCCESS);
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
}

START_TEST(every_state_and_event)
{
    static const signed char leads[HB_REFUND_STATES][HB_REFUND_EVENTS] = {
        { 1, 6, -1, -1, -1, -1 }, { -1, -1, 2, 3, -1, 5 }, { -1, -1, 2, -1, 4, 5 },
        { -1, -1, -1, -1, 4, 5 }, { -1, -1, -1, -1, -1, 5 }, { -1, -1, -1, -1, -1, -1 },
        { -1, -1, -1, -1, -1, -1 },
    };
    hb_refund_state_e next;
    int state, event;

    ts = hb_test_site_make(hb_test_pool);
    for (state = 0; state < HB_REFUND_STATES; state++) {
        for (event = 0; event < HB_REFUND_EVENTS; event++) {
            apr_status_t rv = hb_refund_next(&next, hb_test_site_op(ts),
                                             (hb_refund_state_e)state, (hb_refund_event_e)event);

            ck_assert_int_eq(rv, leads[state][event] < 0 ? HB_E_REFUND_STATE : APR_SUCCESS);
            ck_assert(rv != APR_SUCCESS || (int)next == leads[state][event]);
        }
    }
}
END_TEST

START_TEST(small_ones_alone_big_ones_together)
{
    const char *order_id, *id;
    hb_json_t *view;

    open_site();
    order_id = paid_order(HB_PAY_PAID);
    stands(order_id, 1000, 0, "paid");
    asked(order_id, 50000, "done");
    stands(order_id, 750, 50000, "paid");
    ck_assert_int_eq(hb_test_mails(ts, maya->email), 2);
    id = asked(order_id, 50001, "waiting");     /* with the first above the limit */
    ck_assert_int_eq(ask(&view, finn, order_id, 100000), HB_E_REFUND_TOO_MUCH);
    stands(order_id, 750, 50000, "paid");
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), HB_E_REFUND_STATE);
    ck_assert_int_eq(decide(finn, 1), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(decide(maya, 1), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(decide(fatima, 1), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "done");
    stands(order_id, 500, 100001, "paid");
    id = asked(order_id, 0, "waiting");
    ck_assert_int_eq(decide(fatima, 0), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "refused");
    stands(order_id, 500, 100001, "paid");
    asked(order_id, 0, "waiting");
    ck_assert_int_eq(decide(fatima, 1), APR_SUCCESS);
    stands(order_id, 0, 200000, "refunded");
    ck_assert_int_eq(ask(&view, finn, order_id, 1), HB_E_REFUND_TOO_MUCH);
}
END_TEST

START_TEST(who_cannot_and_what_cannot)
{
    const char *order_id;
    hb_json_t *view;

    open_site();
    order_id = add_order("sandbox");
    ck_assert_int_eq(ask(&view, finn, order_id, 1), HB_E_REFUND_NOTHING);
    ck_assert_int_eq(ask(&view, finn, "65a1f0c2d3e4f5a6b7c8d9e0", 1), HB_E_ORDER_UNKNOWN);
    order_id = paid_order(HB_PAY_PAID);
    ck_assert_int_eq(ask(&view, maya, order_id, 1), HB_E_APPROVAL_FOUR_EYES);
    ck_assert_int_eq(ask(&view, finn, order_id, 200001), HB_E_REFUND_TOO_MUCH);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), "65a1f0c2d3e4f5a6b7c8d9e0"),
                     HB_E_REFUND_UNKNOWN);
    ck_assert_int_eq(hb_refund_begin(&view, hb_test_site_op(ts), wish(order_id, 1)),
                     HB_E_AUTH_REQUIRED);
    stands(order_id, 1000, 0, "paid");
}
END_TEST

START_TEST(the_same_call_twice)
{
    const char *order_id;
    hb_json_t *first, *second;
    hb_op_t *op;

    open_site();
    order_id = paid_order(HB_PAY_PAID);
    op = as(finn);
    op->idem_key = "k";
    ck_assert_int_eq(hb_refund_begin(&first, op, wish(order_id, 20000)), APR_SUCCESS);
    op = as(finn);
    op->idem_key = "k";
    ck_assert_int_eq(hb_refund_begin(&second, op, wish(order_id, 20000)), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(first, "id"), hb_json_string(second, "id"));
    ck_assert_str_eq(hb_json_string(second, "state"), "done");
    op = as(finn);
    op->idem_key = "k";
    ck_assert_int_eq(hb_refund_begin(&second, op, wish(order_id, 20001)), HB_E_IDEM_MISMATCH);
    stands(order_id, 900, 20000, "paid");
}
END_TEST

/* As a death left it: the record put back by hand to what it was then. */
static void put_back(const char *id, const char *state, apr_int64_t sent_ago_sec)
{
    const hb_edit_t edits[] = {
        { "state", HB_SET, HB_STR(state) },
        { "sentAt", HB_SET, HB_INT(hb_time_to_msec(ts->now - apr_time_from_sec(sent_ago_sec))) },
    };

    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_REFUNDS, id, NULL, 0,
                                     edits, 2), APR_SUCCESS);
}

START_TEST(a_death_in_the_middle)
{
    const char *order_id, *id;
    hb_pay_fact_t fact;
    hb_order_t order;
    hb_json_t *view;
    apr_int64_t n;

    open_site();
    order_id = paid_order(HB_PAY_PAID);
    order = loaded(order_id);
    id = asked(order_id, 0, "waiting");
    put_back(id, "approved", 0);                /* before the provider was called */
    ck_assert_int_eq(hb_refund_resume(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    stands(order_id, 0, 200000, "refunded");

    order_id = paid_order(HB_PAY_PAID);
    order = loaded(order_id);
    id = asked(order_id, 0, "waiting");
    put_back(id, "sending", 10);                /* behind the provider's answer */
    ck_assert_int_eq(hb_pay_provider("sandbox")->refund(&fact, hb_test_site_op(ts), &order, 200000,
        apr_pstrcat(hb_test_pool, "refund-", id, NULL)), APR_SUCCESS);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), HB_E_REFUND_BUSY);
    ck_assert_int_eq(hb_refund_resume(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "done");
    stands(order_id, 0, 200000, "refunded");
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), HB_E_REFUND_STATE);
    ck_assert_int_eq(hb_refund_resume(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
}
END_TEST

/* Khalti would make two refunds of one that is sent twice, and never says how much went back. */
START_TEST(a_death_at_a_provider_without_keys)
{
    const char *order_id, *id;
    hb_json_t *view;

    open_site();
    order_id = add_order("khalti");
    pay_as(order_id, "pidx");
    id = asked(order_id, 40000, "sending");     /* nobody is there: it was not sent */
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
    ck_assert_int_eq(hb_refund_made(&view, as(finn), id, "K-1"), APR_SUCCESS);
    stands(order_id, 800, 40000, "paid");
    id = asked(order_id, 40000, "sending");
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "sending");
    put_back(id, "sending", 59);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), HB_E_REFUND_BUSY);
    put_back(id, "sending", 60);                /* a try of which nothing is known */
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "failed");
    ck_assert_str_eq(hb_json_string(view, "problem"), "it is not known whether an earlier try "
                     "reached Khalti; compare with the merchant portal");
    stands(order_id, 800, 40000, "paid");
}
END_TEST

START_TEST(no_call_outlasts_its_lease)
{
    const char *order_id, *id;
    hb_json_t *view;

    open_site_with("HaloBuzzPaySandbox on\nHaloBuzzFraud off\nHaloBuzzPaymentTimeout 60\n");
    order_id = paid_order(HB_PAY_PAID);
    id = asked(order_id, 0, "waiting");
    put_back(id, "sending", 179);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), HB_E_REFUND_BUSY);
    put_back(id, "sending", 180);
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
}
END_TEST

START_TEST(the_webhook_is_quicker_than_the_answer)
{
    const char *order_id, *id;
    hb_json_t *view;
    told_t told;

    open_site();
    order_id = paid_order(HB_PAY_PAID);
    id = asked(order_id, 0, "waiting");
    put_back(id, "sending", 100);
    told = (told_t){ order_id, { .outcome = HB_PAY_REFUNDED, .refunded_minor = 200000,
                                 .amount_minor = 200000, .is_live = -1,
                                 .payment_id = loaded(order_id).payment_id } };
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), tell_tx, &told), APR_SUCCESS);
    ck_assert_str_eq(loaded(order_id).state, "refunded");
    ck_assert_int_eq(hb_refund_send(&view, as(finn), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "done");
    stands(order_id, 0, 200000, "refunded");
}
END_TEST

START_TEST(the_bank_says_no)
{
    const char *order_id;
    hb_json_t *list;

    open_site();
    order_id = paid_order(HB_PAY_FAILED);       /* the bank knows nothing of that payment */
    asked(order_id, 20000, "failed");
    ck_assert_int_eq(hb_refund_list(&list, as(finn), "failed", 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "problem"),
                     "there is not that much left to refund");
    stands(order_id, 1000, 0, "paid");
    asked(order_id, 100000, "failed");          /* what failed does not count for the limit */
}
END_TEST

START_TEST(done_and_failed_after_all)
{
    const char *order_id, *id;
    hb_json_t *view;
    told_t told;

    open_site();
    order_id = paid_order(HB_PAY_PAID);
    id = asked(order_id, 100000, "done");
    ck_assert_int_eq(hb_refund_give_up(&view, as(finn), id, "no, not"), HB_E_REFUND_STATE);
    ck_assert_int_eq(hb_refund_show(&view, as(finn), id), APR_SUCCESS);
    told = (told_t){ order_id, { .outcome = HB_PAY_REFUND_FAILED, .amount_minor = 100000,
                                 .refunded_minor = 0, .is_live = -1,
                                 .refund_id = hb_json_string(view, "refundId") } };
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), tell_tx, &told), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "failed");
    ck_assert_int_eq(loaded(order_id).refunded_minor, 0);
}
END_TEST

START_TEST(by_hand_in_the_portal)
{
    const char *order_id, *id;
    hb_json_t *view;

    open_site();
    order_id = add_order("esewa");
    pay_as(order_id, "uuid-1");
    id = asked(order_id, 100000, "manual");
    stands(order_id, 1000, 0, "paid");
    ck_assert_int_eq(hb_refund_made(&view, as(fatima), id, "E-5"), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "done");
    ck_assert_int_eq(hb_refund_made(&view, as(fatima), id, "E-5"), HB_E_REFUND_STATE);
    stands(order_id, 500, 100000, "paid");
    id = asked(order_id, 0, "waiting");
    ck_assert_int_eq(decide(fatima, 1), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "manual");
    ck_assert_int_eq(hb_refund_give_up(&view, as(finn), id, "the portal refused"), APR_SUCCESS);
    ck_assert_str_eq(state_of(id), "failed");
    stands(order_id, 500, 100000, "paid");
}
END_TEST

START_TEST(a_payment_too_many)
{
    const hb_cond_t where[] = { { "code", HB_IS, HB_STR("extra_payment") } };
    hb_query_t query = { .in = HB_C_FLAGS, .where = where, .n_where = 1 };
    hb_json_t *flag, *view, *input;
    const char *order_id, *flag_id;

    open_site();
    order_id = add_order("esewa");
    pay_as(order_id, "uuid-1");
    pay_as(order_id, "uuid-2");
    stands(order_id, 1000, 0, "paid");
    ck_assert_int_eq(hb_store_find_one(&flag, hb_test_site_op(ts), &query), APR_SUCCESS);
    flag_id = apr_pstrdup(hb_test_pool, hb_json_string(flag, "_id"));
    input = wish(order_id, 0);
    hb_json_set_string(input, "flagId", flag_id);
    ck_assert_int_eq(hb_refund_begin(&view, as(finn), input), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "state"), "waiting");
    ck_assert_str_eq(hb_json_string(view, "paymentId"), "uuid-2");
    ck_assert_int_eq(hb_refund_begin(&view, as(finn), input), HB_E_REFUND_TOO_MUCH);
    ck_assert_int_eq(decide(fatima, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_refund_list(&view, as(finn), "manual", 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_refund_made(&view, as(finn),
        hb_json_string(hb_json_item(hb_json_get(view, "items"), 0), "id"), "E-6"), APR_SUCCESS);
    stands(order_id, 1000, 0, "paid");
    ck_assert_int_eq(hb_store_get(&flag, hb_test_site_op(ts), HB_C_FLAGS, flag_id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(flag, "state"), "resolved");
    hb_json_set_string(input, "flagId", order_id);
    ck_assert_int_eq(hb_refund_begin(&view, as(finn), input), HB_E_INPUT_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        every_state_and_event, small_ones_alone_big_ones_together, who_cannot_and_what_cannot,
        the_same_call_twice, a_death_in_the_middle, a_death_at_a_provider_without_keys,
        no_call_outlasts_its_lease, the_webhook_is_quicker_than_the_answer,
        the_bank_says_no, done_and_failed_after_all, by_hand_in_the_portal, a_payment_too_many,
        NULL
    };

    return hb_test_main("hb_refund", cases);
}
