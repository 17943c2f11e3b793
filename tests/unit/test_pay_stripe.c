/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_pay.h"
#include "pay_private.h"

#define INTENT "'object':'payment_intent','id':'pi_1','currency':'usd','livemode':false," \
               "'amount':1250,'metadata':{'order_id':'o1'}"
#define SESSION "'object':'checkout.session','id':'cs_1','currency':'usd','livemode':false," \
                "'amount_total':1250,'client_reference_id':'o1'"
#define DISPUTE "'object':'dispute','id':'dp_1','charge':'ch_1','payment_intent':'pi_1'," \
                "'amount':1250,'currency':'usd'"
#define REFUND "'object':'refund','id':'re_1','charge':'ch_1','payment_intent':'pi_1'," \
               "'amount':300,'currency':'usd'"

/* Single quotes stand for double ones. */
static const char *json(const char *text)
{
    char *copy = apr_pstrdup(hb_test_pool, text), *c;

    for (c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

static const char *event_text(const char *type, const char *object)
{
    return json(apr_psprintf(hb_test_pool, "{'id':'evt_1','object':'event','type':'%s',"
                             "'livemode':false,'data':{'object':{%s}}}", type, object));
}

static void read_text(hb_pay_event_t *event, const char *text)
{
    hb_test_pay_hook(event, hb_test_op_make(hb_test_pay_desk(), hb_test_pool), text);
}

START_TEST(events_mean_what_stripe_says)
{
    static const struct {
        const char *type, *object;
        hb_pay_outcome_e outcome;
        apr_int64_t amount, refunded;
        const char *payment, *charge, *back;
    } rows[] = {
        { "payment_intent.succeeded", INTENT ",'status':'succeeded','amount_received':1250,"
          "'latest_charge':'ch_1'", HB_PAY_PAID, 1250, -1, "pi_1", "ch_1", NULL },
        { "payment_intent.succeeded", INTENT ",'status':'succeeded','amount_received':1",
          HB_PAY_PAID, 1, -1, "pi_1", NULL, NULL },
        { "payment_intent.succeeded", INTENT ",'status':'requires_capture','amount_received':0",
          HB_PAY_OPEN, 1250, -1, "pi_1", NULL, NULL },
        { "payment_intent.succeeded", INTENT ",'status':'a_new_word'", HB_PAY_UNKNOWN, 1250, -1,
          "pi_1", NULL, NULL },
        { "payment_intent.payment_failed", INTENT ",'status':'requires_payment_method',"
          "'last_payment_error':{'code':'card_declined','decline_code':'lost_card'}",
          HB_PAY_FAILED, 1250, -1, "pi_1", NULL, NULL },
        { "payment_intent.canceled", INTENT ",'status':'canceled'", HB_PAY_CANCELED, 1250, -1,
          "pi_1", NULL, NULL },
        { "payment_intent.processing", INTENT ",'status':'processing'", HB_PAY_OPEN, 1250, -1,
          "pi_1", NULL, NULL },
        { "checkout.session.completed", SESSION ",'status':'complete','payment_status':'paid',"
          "'payment_intent':'pi_1'", HB_PAY_PAID, 1250, -1, "pi_1", NULL, NULL },
        { "checkout.session.completed", SESSION ",'status':'complete','payment_status':'unpaid',"
          "'payment_intent':'pi_1'", HB_PAY_OPEN, 1250, -1, "pi_1", NULL, NULL },
        { "checkout.session.completed", SESSION ",'status':'complete','payment_status':"
          "'no_payment_required','payment_intent':null", HB_PAY_PAID, 1250, -1, "cs_1", NULL, NULL },
        { "checkout.session.async_payment_succeeded", SESSION ",'status':'complete',"
          "'payment_status':'paid','payment_intent':'pi_1'", HB_PAY_PAID, 1250, -1, "pi_1", NULL,
          NULL },
        { "checkout.session.async_payment_failed", SESSION ",'status':'complete',"
          "'payment_status':'unpaid','payment_intent':'pi_1'", HB_PAY_FAILED, 1250, -1, "pi_1",
          NULL, NULL },
        { "checkout.session.expired", SESSION ",'status':'expired','payment_status':'unpaid'",
          HB_PAY_EXPIRED, 1250, -1, NULL, NULL, NULL },
        { "charge.refunded", "'object':'charge','id':'ch_1','payment_intent':'pi_1','amount':1250,"
          "'amount_refunded':300,'refunded':false,'currency':'usd'", HB_PAY_REFUNDED, 1250, 300,
          "pi_1", "ch_1", NULL },
        { "refund.created", REFUND ",'status':'succeeded'", HB_PAY_UNKNOWN, 300, -1, "pi_1",
          "ch_1", "re_1" },
        { "refund.updated", REFUND ",'status':'failed'", HB_PAY_REFUND_FAILED, 300, -1, "pi_1",
          "ch_1", "re_1" },
        { "refund.failed", REFUND ",'status':'failed'", HB_PAY_REFUND_FAILED, 300, -1, "pi_1",
          "ch_1", "re_1" },
        { "charge.refund.updated", REFUND ",'status':'canceled'", HB_PAY_REFUND_FAILED, 300, -1,
          "pi_1", "ch_1", "re_1" },
        { "charge.dispute.created", DISPUTE ",'status':'needs_response'", HB_PAY_DISPUTED, 1250,
          -1, "pi_1", "ch_1", "dp_1" },
        { "charge.dispute.created", DISPUTE ",'status':'warning_needs_response'", HB_PAY_UNKNOWN,
          1250, -1, "pi_1", "ch_1", "dp_1" },
        { "charge.dispute.funds_withdrawn", DISPUTE ",'status':'needs_response'", HB_PAY_DISPUTED,
          1250, -1, "pi_1", "ch_1", "dp_1" },
        { "charge.dispute.funds_reinstated", DISPUTE ",'status':'won'", HB_PAY_DISPUTE_WON, 1250,
          -1, "pi_1", "ch_1", "dp_1" },
        { "charge.dispute.closed", DISPUTE ",'status':'won'", HB_PAY_DISPUTE_WON, 1250, -1, "pi_1",
          "ch_1", "dp_1" },
        { "charge.dispute.closed", DISPUTE ",'status':'lost'", HB_PAY_DISPUTE_LOST, 1250, -1,
          "pi_1", "ch_1", "dp_1" },
        { "charge.dispute.closed", DISPUTE ",'status':'warning_closed'", HB_PAY_UNKNOWN, 1250, -1,
          "pi_1", "ch_1", "dp_1" },
        { "customer.created", "'object':'customer','id':'cus_1'", HB_PAY_UNKNOWN, -1, -1, NULL,
          NULL, NULL },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const hb_pay_fact_t *fact;
        hb_pay_event_t event;

        read_text(&event, event_text(rows[i].type, rows[i].object));
        fact = &event.fact;
        ck_assert_msg(event.verdict == HB_PAY_TRUSTED, "%d %s: %s", (int)i, rows[i].type, event.why);
        ck_assert_str_eq(event.event_id, "evt_1");
        ck_assert_str_eq(event.type, rows[i].type);
        ck_assert_msg(fact->outcome == rows[i].outcome, "%d %s: %s", (int)i, rows[i].type,
                      hb_pay_outcome_name(fact->outcome));
        ck_assert_msg(fact->amount_minor == rows[i].amount && fact->refunded_minor
                      == rows[i].refunded, "%d %s", (int)i, rows[i].type);
        ck_assert_pstr_eq(fact->payment_id, rows[i].payment);
        ck_assert_pstr_eq(fact->charge_id, rows[i].charge);
        ck_assert_pstr_eq(fact->refund_id, rows[i].back);
        ck_assert_int_eq(fact->is_live, 0);
    }
}
END_TEST

START_TEST(orders_are_named_by_metadata_or_reference)
{
    hb_pay_event_t event;

    read_text(&event, event_text("payment_intent.succeeded", INTENT ",'status':'succeeded'"));
    ck_assert_str_eq(event.fact.order_id, "o1");
    ck_assert_int_eq(event.fact.amount_minor, -1);      /* nobody said what was received */
    read_text(&event, event_text("checkout.session.expired", SESSION ",'status':'expired'"));
    ck_assert_str_eq(event.fact.order_id, "o1");
    ck_assert_str_eq(event.fact.attempt_id, "cs_1");
    read_text(&event, event_text("payment_intent.payment_failed", INTENT ",'status':"
                                 "'requires_payment_method','last_payment_error':{'code':'x'}"));
    ck_assert_str_eq(event.fact.status, "x");
}
END_TEST

START_TEST(what_is_signed_but_odd_is_malformed)
{
    static const char *const texts[] = {
        "", "{}", "[]", "null", "1", "{", "{'id':'evt_1'}", "{'id':1,'type':'a'}",
        "{'id':'evt_1','type':'a','type':'b'}", "{'id':'evt 1','type':'a'}",
        "{'id':'evt_1','type':'payment_intent.succeeded'}",
        "{'id':'evt_1','type':'payment_intent.succeeded','data':{'object':{}}}",
        "{'id':'evt_1','type':'payment_intent.succeeded','data':{'object':{'object':'charge'}}}",
        "{'id':'evt_1','type':'payment_intent.succeeded','data':[]}",
    };
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        hb_pay_event_t event;

        read_text(&event, json(texts[i]));
        ck_assert_msg(event.verdict == HB_PAY_MALFORMED, "%s: %d", texts[i], event.verdict);
        ck_assert_int_eq(event.fact.outcome, HB_PAY_UNKNOWN);
    }
}
END_TEST

START_TEST(thin_events_and_real_money_are_told_apart)
{
    hb_pay_event_t event;

    read_text(&event, json("{'id':'evt_1','object':'v2.core.event','type':'v1.billing.meter',"
                           "'related_object':{}}"));
    ck_assert_int_eq(event.verdict, HB_PAY_TRUSTED);
    ck_assert_int_eq(event.fact.outcome, HB_PAY_UNKNOWN);
    read_text(&event, json("{'id':'evt_1','type':'payment_intent.succeeded','livemode':true,"
                           "'data':{'object':{'object':'payment_intent','id':'pi_1','status':"
                           "'succeeded','amount_received':1250,'currency':'usd'}}}"));
    ck_assert_int_eq(event.fact.is_live, 1);
}
END_TEST

/* Amounts that no payment has stay what they are, for the order to refuse. */
START_TEST(odd_amounts_are_passed_on_whole)
{
    static const struct {
        const char *amount;
        apr_int64_t wanted;
    } rows[] = {
        { "0", 0 }, { "-5", -5 }, { "9007199254740993", APR_INT64_C(9007199254740993) },
        { "9223372036854775807", APR_INT64_MAX }, { "12.5", -1 }, { "'1250'", -1 }, { "null", -1 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_pay_event_t event;

        read_text(&event, event_text("payment_intent.succeeded", apr_psprintf(hb_test_pool,
                  INTENT ",'status':'succeeded','amount_received':%s", rows[i].amount)));
        ck_assert_int_eq(event.fact.amount_minor, rows[i].wanted);
    }
    {
        hb_pay_event_t event;

        read_text(&event, event_text("payment_intent.succeeded", INTENT ",'status':'succeeded',"
                                     "'amount_received':9223372036854775808"));
        ck_assert_int_eq(event.verdict, HB_PAY_MALFORMED);
    }
}
END_TEST

START_TEST(keys_have_to_fit_the_mode)
{
    static const struct {
        const char *key;
        int live, is_usable;
    } rows[] = {
        { "sk_test_x", 0, 1 }, { "sk_test_x", 1, 0 }, { "rk_test_x", 1, 0 },
        { "sk_live_x", 1, 1 }, { "sk_live_x", 0, 0 }, { "rk_live_x", 0, 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_test_desk_t *desk = hb_test_pay_desk();
        hb_pay_keys_t keys = *desk->site.pay_keys;
        const char *const list[] = { rows[i].key, NULL };

        keys.stripe_key = list;
        desk->site.pay_keys = &keys;
        desk->settings.payments_live = rows[i].live;
        ck_assert_msg((hb_pay_unusable(&desk->site, &pay_stripe) == NULL) == rows[i].is_usable,
                      "%s %d", rows[i].key, rows[i].live);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        events_mean_what_stripe_says, orders_are_named_by_metadata_or_reference,
        what_is_signed_but_odd_is_malformed, thin_events_and_real_money_are_told_apart,
        odd_amounts_are_passed_on_whole, keys_have_to_fit_the_mode, NULL
    };

    return hb_test_main("pay_stripe", cases);
}
