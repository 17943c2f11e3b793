/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning orders by a provider that the case plays: prices, repeated calls, every place where
 * a call can break off, what comes before its time, and orders nobody pays.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_price.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define PAYER "bbbbbbbbbbbbbbbbbbbbbbb1"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbb2"
#define TIERS "[{\"tier\":1,\"name\":\"One\",\"priceCoins\":100,\"durationDays\":30}," \
              "{\"tier\":2,\"name\":\"Two\",\"priceCoins\":300,\"durationDays\":30}]"
#define PRICES "[{\"code\":\"small\",\"kind\":\"coins\",\"title\":\"500 coins\",\"coins\":500," \
               "\"bonus\":20,\"amountMinor\":1000,\"currency\":\"usd\"}," \
               "{\"code\":\"og1\",\"kind\":\"og\",\"title\":\"One\",\"ogTier\":1," \
               "\"amountMinor\":1000,\"currency\":\"usd\"}," \
               "{\"code\":\"rupees\",\"kind\":\"coins\",\"title\":\"5 coins\",\"coins\":5," \
               "\"amountMinor\":100,\"currency\":\"npr\"}," \
               "{\"code\":\"gone\",\"kind\":\"coins\",\"title\":\"6 coins\",\"coins\":6," \
               "\"amountMinor\":600,\"currency\":\"usd\",\"isActive\":false}]"

static hb_test_site_t *ts;

/* --- the provider: what start() does, and how often it was asked --- */

static int n_starts;
static apr_status_t fails_with;
static const char *asked_for;       /* the order of the last call */
static int names_another;           /* each call makes another payment, as Khalti does */
static int says_it_first;           /* the webhook is quicker than our answer */
static int asks_twice;              /* another call with the same key comes in between */
static const char *fixed_id;

static hb_json_t *order_input(const char *product)
{
    hb_json_t *input = hb_json_object_make(hb_test_pool);

    hb_json_set_string(input, "product", product);
    return input;
}

static hb_op_t *as(const char *user_id, const char *key)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = user_id;
    op->idem_key = key;
    return op;
}

typedef struct told_t {
    hb_pay_fact_t fact;
    hb_order_effect_e effect;
    const char *note;
    hb_order_t order;
} told_t;

static apr_status_t tell_tx(hb_op_t *op, void *baton)
{
    told_t *told = baton;
    apr_status_t rv = hb_order_find(&told->order, op, "fake", &told->fact);

    return rv != APR_SUCCESS ? rv : hb_order_apply(&told->effect, &told->note, op, &told->order,
                                                   &told->fact, "hmac");
}

static hb_order_effect_e tell_paid(const char *order_id, const char *payment_id)
{
    told_t told = { .fact = { .outcome = HB_PAY_PAID, .order_id = order_id,
                              .attempt_id = payment_id, .payment_id = payment_id,
                              .amount_minor = 1000, .refunded_minor = -1, .currency = "usd",
                              .is_live = -1 } };

    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), tell_tx, &told), APR_SUCCESS);
    return told.effect;
}

static const hb_pay_provider_t fake;

static apr_status_t start(hb_pay_start_t *begun, hb_op_t *op, const hb_order_t *order, int how)
{
    hb_json_t *reply;

    memset(begun, 0, sizeof(*begun));
    n_starts++;
    asked_for = apr_pstrdup(hb_test_pool, order->id);
    ck_assert_ptr_null(op->tx);
    if (fails_with != APR_SUCCESS) {
        return hb_fail(op, fails_with, NULL);
    }
    begun->attempt_id = fixed_id != NULL ? fixed_id
        : names_another ? apr_psprintf(op->pool, "pay_%d", n_starts)
        : apr_pstrcat(op->pool, "pay_", order->id, NULL);
    begun->url = how == HB_PAY_AS_PAGE
        ? apr_pstrcat(op->pool, "https://pay.example/", begun->attempt_id, NULL) : NULL;
    begun->client_secret = how == HB_PAY_AS_INTENT ? "s3cret" : NULL;
    if (says_it_first) {
        ck_assert_int_eq(tell_paid(order->id, begun->attempt_id), HB_ORDER_APPLIED);
    }
    if (asks_twice) {
        asks_twice = 0;
        ck_assert_int_eq(hb_order_begin(&reply, as(PAYER, op->idem_key), &fake,
                                        order_input("small"), how), APR_SUCCESS);
    }
    return APR_SUCCESS;
}

static const char *missing(const hb_site_t *site)
{
    (void)site;
    return NULL;
}

static const hb_pay_provider_t fake = {
    .name = "fake", .title = "Fake", .can = HB_PAY_CAN_INTENT, .currencies = "usd eur",
    .missing = missing, .start = start
};

/* --- the site --- */

static hb_json_t *parsed(const char *text)
{
    return hb_json_parse_own(text, strlen(text), hb_test_pool);
}

static void open_site_with(const char *settings)
{
    int n;

    n_starts = names_another = says_it_first = asks_twice = 0;
    fails_with = APR_SUCCESS;
    fixed_id = NULL;
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, PAYER, NULL);
    hb_test_add_user(ts, OTHER, NULL);
    ck_assert_int_eq(hb_og_seed(&n, hb_test_site_op(ts), parsed(TIERS)), APR_SUCCESS);
    ck_assert_int_eq(hb_price_seed(&n, hb_test_site_op(ts), parsed(PRICES)), APR_SUCCESS);
    ck_assert_int_eq(n, 4);
}

static void open_site(void)
{
    open_site_with("HaloBuzzPaymentReturn https://app.example/pay,myapp://paid\n");
}

static apr_status_t buy_how(hb_json_t **reply, const char *key, const char *product, int how)
{
    hb_op_t *op = as(PAYER, key);
    apr_status_t rv = hb_order_begin(reply, op, &fake, order_input(product), how);

    ck_assert_int_eq(op->problem.status, rv);
    if (rv == APR_SUCCESS) {
        ck_assert_ptr_null(hb_schema_misfit(HB_R_ORDER_STARTED, *reply, hb_test_pool));
    }
    return rv;
}

static apr_status_t buy(hb_json_t **reply, const char *key, const char *product)
{
    return buy_how(reply, key, product, HB_PAY_AS_PAGE);
}

static const char *id_of(const hb_json_t *reply)
{
    return hb_json_string(hb_json_get(reply, "order"), "id");
}

static const char *state_of(const hb_json_t *reply)
{
    return hb_json_string(hb_json_get(reply, "order"), "state");
}

static int n_orders(void)
{
    const hb_query_t query = { .in = HB_C_ORDERS };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    return (int)n;
}

/* --- cases --- */

START_TEST(an_order_is_begun_once_a_key)
{
    hb_json_t *first, *again;

    open_site();
    ck_assert_int_eq(buy(&first, "k1", "small"), APR_SUCCESS);
    ck_assert_str_eq(state_of(first), "open");
    ck_assert_str_eq(hb_json_string(first, "url"),
                     apr_pstrcat(hb_test_pool, "https://pay.example/pay_", id_of(first), NULL));
    ck_assert_int_eq(buy(&again, "k1", "small"), APR_SUCCESS);
    ck_assert(hb_json_equal(first, again));
    ck_assert_int_eq(n_starts, 1);
    ck_assert_int_eq(buy(&again, "k1", "og1"), HB_E_IDEM_MISMATCH);
    ck_assert_int_eq(buy(&again, "k2", "small"), APR_SUCCESS);
    ck_assert_str_ne(id_of(first), id_of(again));
    ck_assert_int_eq(n_orders(), 2);
    ck_assert_int_eq(tell_paid(id_of(first), "pay_a"), HB_ORDER_APPLIED);
    ck_assert_int_eq(buy(&again, "k1", "small"), APR_SUCCESS);
    ck_assert_str_eq(state_of(again), "paid");
    ck_assert_ptr_null(hb_json_string(again, "url"));
}
END_TEST

START_TEST(a_call_that_broke_off_is_the_same_call_again)
{
    hb_json_t *reply;
    const char *first;

    open_site();
    fails_with = HB_E_PAY_UPSTREAM;
    ck_assert_int_eq(buy(&reply, "k1", "small"), HB_E_PAY_UPSTREAM);
    first = asked_for;
    ck_assert_int_eq(n_orders(), 1);
    fails_with = APR_SUCCESS;
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_str_eq(asked_for, first);
    ck_assert_str_eq(id_of(reply), first);
    ck_assert_int_eq(n_orders(), 1);
}
END_TEST

START_TEST(a_refused_order_stays_refused)
{
    hb_json_t *reply;
    hb_order_t order;

    open_site();
    fails_with = HB_E_PAY_REFUSED;
    ck_assert_int_eq(buy(&reply, "k1", "small"), HB_E_PAY_REFUSED);
    fails_with = APR_SUCCESS;
    ck_assert_int_eq(buy(&reply, "k1", "small"), HB_E_PAY_REFUSED);
    ck_assert_int_eq(n_starts, 1);
    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), asked_for), APR_SUCCESS);
    ck_assert_str_eq(order.state, "failed");
}
END_TEST

START_TEST(the_message_may_be_quicker_than_our_answer)
{
    hb_json_t *reply;
    hb_order_t order;

    open_site();
    says_it_first = 1;
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_str_eq(state_of(reply), "paid");
    ck_assert_ptr_null(hb_json_string(reply, "url"));
    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), id_of(reply)), APR_SUCCESS);
    ck_assert_ptr_nonnull(order.attempt_id);
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 500);
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER ":bonus"), 20);
}
END_TEST

START_TEST(two_calls_at_once_are_sent_to_one_payment)
{
    hb_json_t *reply, *again;
    hb_order_t order;

    open_site();
    names_another = asks_twice = 1;
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_int_eq(n_starts, 2);
    ck_assert_str_eq(hb_json_string(reply, "url"), "https://pay.example/pay_2");
    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), id_of(reply)), APR_SUCCESS);
    ck_assert_str_eq(order.attempt_id, "pay_2");
    ck_assert_int_eq(buy(&again, "k1", "small"), APR_SUCCESS);
    ck_assert(hb_json_equal(reply, again));
}
END_TEST

START_TEST(a_payment_of_another_order_is_not_taken)
{
    hb_json_t *reply;

    open_site();
    fixed_id = "pay_same";
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_int_eq(buy(&reply, "k2", "small"), HB_E_PAY_UPSTREAM);
    ck_assert(hb_test_site_logged(ts, "HB00460"));
    fixed_id = NULL;
    ck_assert_int_eq(buy(&reply, "k2", "small"), APR_SUCCESS);
}
END_TEST

START_TEST(an_intent_asks_for_its_secret_each_time)
{
    hb_json_t *reply, *again;
    hb_order_t order;

    open_site();
    ck_assert_int_eq(buy_how(&reply, "k1", "small", HB_PAY_AS_INTENT), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(reply, "clientSecret"), "s3cret");
    ck_assert_int_eq(hb_order_load(&order, hb_test_site_op(ts), id_of(reply)), APR_SUCCESS);
    ck_assert_ptr_null(strstr(hb_json_text(order.doc, hb_test_pool, NULL), "s3cret"));
    ck_assert_int_eq(buy_how(&again, "k1", "small", HB_PAY_AS_INTENT), APR_SUCCESS);
    ck_assert(hb_json_equal(reply, again));
    ck_assert_int_eq(n_starts, 2);
    ck_assert_int_eq(buy(&again, "k1", "small"), HB_E_IDEM_MISMATCH);
}
END_TEST

static const struct {
    const char *label, *product, *field, *url;
    apr_status_t rv;
} refusals[] = {
    { "no such product",       "other",  NULL, NULL, HB_E_PRICE_UNKNOWN },
    { "no longer sold",        "gone",   NULL, NULL, HB_E_PRICE_UNKNOWN },
    { "other money",           "rupees", NULL, NULL, HB_E_INPUT_INVALID },
    { "a higher tier runs",    "og1",    NULL, NULL, HB_E_OG_LOWER },
    { "a page of ours",        "small",  "successUrl", "https://app.example/pay", APR_SUCCESS },
    { "with a query",          "small",  "successUrl", "https://app.example/pay?a=b", APR_SUCCESS },
    { "below it",              "small",  "cancelUrl", "https://app.example/pay/no", APR_SUCCESS },
    { "an app",                "small",  "cancelUrl", "myapp://paid", APR_SUCCESS },
    { "somebody's page",       "small",  "successUrl", "https://evil.example/pay", HB_E_INPUT_INVALID },
    { "a longer host",         "small",  "cancelUrl", "https://app.example.evil.example/", HB_E_INPUT_INVALID },
    { "a longer path",         "small",  "successUrl", "https://app.example/payee", HB_E_INPUT_INVALID },
    { "a user in front",       "small",  "successUrl", "https://app.example/pay@evil.example", HB_E_INPUT_INVALID },
    { "a line break",          "small",  "successUrl", "https://app.example/pay/\r\nX: y", HB_E_INPUT_INVALID },
    { "a quote",               "small",  "successUrl", "https://app.example/pay/\"", HB_E_INPUT_INVALID },
    { "a script",              "small",  "successUrl", "javascript:alert(1)", HB_E_INPUT_INVALID },
};

START_TEST(what_cannot_be_ordered)
{
    const hb_edit_t edits[] = {
        { "ogLevel", HB_SET, HB_INT(2) },
        { "ogExpiresAt", HB_SET, HB_INT(hb_time_to_msec(HB_TEST_SITE_START) + 1000000) },
    };
    apr_size_t i;

    open_site();
    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_USERS, PAYER, NULL, 0,
                                     edits, 2), APR_SUCCESS);
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        hb_json_t *input = order_input(refusals[i].product), *reply;
        int before = n_orders();
        apr_status_t rv;

        if (refusals[i].field != NULL) {
            hb_json_set_string(input, refusals[i].field, refusals[i].url);
        }
        rv = hb_order_begin(&reply, as(PAYER, apr_itoa(hb_test_pool, (int)i)), &fake, input,
                            HB_PAY_AS_PAGE);
        ck_assert_msg(rv == refusals[i].rv, "%s: %d", refusals[i].label, rv);
        ck_assert_msg(n_orders() - before == (rv == APR_SUCCESS), "%s", refusals[i].label);
    }
}
END_TEST

START_TEST(nothing_is_sold_where_payments_are_off)
{
    hb_json_t *reply;

    open_site_with("HaloBuzzPayments off\n");
    ck_assert_int_eq(buy(&reply, "k1", "small"), HB_E_PAY_UNSET);
    ck_assert_int_eq(n_starts, 0);
    ck_assert_int_eq(hb_order_begin(&reply, as(NULL, NULL), &fake, order_input("small"), 0),
                     HB_E_AUTH_REQUIRED);
}
END_TEST

static const struct {
    const char *body;
    apr_status_t rv;
} amounts[] = {
    { "{\"amount\":1000,\"currency\":\"usd\"}", APR_SUCCESS },
    { "{\"amount\":1000,\"currency\":\"USD\"}", APR_SUCCESS },
    { "{\"amount\":999,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":600,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },     /* no longer sold */
    { "{\"amount\":100,\"currency\":\"npr\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":1000,\"currency\":\"eur\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":0,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":-1000,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":9007199254740993,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":9223372036854775807,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":\"1000\",\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":10.5,\"currency\":\"usd\"}", HB_E_INPUT_INVALID },
    { "{\"amount\":1000}", HB_E_INPUT_INVALID },
};

START_TEST(an_amount_is_that_of_a_pack)
{
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        hb_op_t *op = as(PAYER, NULL);
        hb_json_t *input, *reply;
        apr_status_t rv = hb_schema_check(&input, op, HB_F_INTENT_NEW, parsed(amounts[i].body));

        if (rv == APR_SUCCESS) {
            rv = hb_order_begin_amount(&reply, op, &fake, input);
        }
        ck_assert_msg(rv == amounts[i].rv, "%s", amounts[i].body);
        if (rv == APR_SUCCESS) {
            ck_assert_str_eq(hb_json_string(hb_json_get(reply, "order"), "product"), "small");
        }
    }
}
END_TEST

START_TEST(what_nobody_pays_expires)
{
    hb_json_t *reply, *again;
    apr_int64_t n;

    open_site();
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_int_eq(buy(&again, "k2", "small"), APR_SUCCESS);
    ck_assert_int_eq(tell_paid(id_of(again), "pay_2"), HB_ORDER_APPLIED);
    ck_assert_int_eq(hb_order_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ts->now += apr_time_from_sec(3601);
    ck_assert_int_eq(hb_order_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(hb_order_expire(&n, hb_test_site_op(ts)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(buy(&again, "k1", "small"), APR_SUCCESS);
    ck_assert_str_eq(state_of(again), "expired");
    ck_assert_ptr_null(hb_json_string(again, "url"));
    ck_assert_int_eq(n_starts, 2);
    ck_assert_int_eq(tell_paid(id_of(reply), "pay_1"), HB_ORDER_APPLIED);    /* paid all the same */
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 1000);
}
END_TEST

START_TEST(a_payer_sees_what_is_theirs)
{
    hb_json_t *reply, *view, *list;
    hb_json_t *query = hb_json_object_make(hb_test_pool);

    open_site();
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    ck_assert_int_eq(hb_order_show_own(&view, as(PAYER, NULL), id_of(reply)), APR_SUCCESS);
    ck_assert(hb_json_equal(view, hb_json_get(reply, "order")));
    ck_assert_int_eq(hb_order_show_own(&view, as(OTHER, NULL), id_of(reply)),
                     HB_E_ORDER_UNKNOWN);
    ck_assert_int_eq(hb_order_list_own(&list, as(OTHER, NULL), 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 0);
    ck_assert_int_eq(hb_order_list_own(&list, as(PAYER, NULL), 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    ck_assert_int_eq(tell_paid(id_of(reply), "pay_1"), HB_ORDER_APPLIED);
    ck_assert_int_eq(tell_paid(id_of(reply), "pay_2"), HB_ORDER_FLAGGED);
    ck_assert_int_eq(hb_order_show(&view, hb_test_site_op(ts), id_of(reply)), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_ORDER_SHOWN, view, hb_test_pool));
    ck_assert_int_eq(hb_json_length(hb_json_get(view, "timeline")), 4);
    ck_assert_int_eq(hb_json_length(hb_json_get(view, "flags")), 1);
    hb_json_set_string(query, "state", "paid");
    ck_assert_int_eq(hb_order_list(&list, hb_test_site_op(ts), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
}
END_TEST

START_TEST(a_flag_is_dealt_with_once)
{
    hb_json_t *reply, *list, *view;
    hb_json_t *query = hb_json_object_make(hb_test_pool);
    const char *flag;
    int n;

    open_site();
    ck_assert_int_eq(buy(&reply, "k1", "small"), APR_SUCCESS);
    tell_paid(id_of(reply), "pay_1");
    tell_paid(id_of(reply), "pay_2");
    hb_json_set_string(query, "state", "open");
    ck_assert_int_eq(hb_order_flag_list(&list, hb_test_site_op(ts), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    flag = hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "id");
    ck_assert_int_eq(hb_order_flag_resolve(&view, as(OTHER, NULL), flag, "sent back"), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "resolvedBy"), OTHER);
    ck_assert_int_eq(hb_order_flag_resolve(&view, as(OTHER, NULL), flag, "again"),
                     HB_E_FLAG_STATE);
    ck_assert_int_eq(hb_order_flag_resolve(&view, as(OTHER, NULL), PAYER, "no"),
                     HB_E_FLAG_UNKNOWN);
    ck_assert_int_eq(hb_order_flag_list(&list, hb_test_site_op(ts), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 0);
    ck_assert_int_eq(hb_price_seed(&n, hb_test_site_op(ts), parsed(PRICES)), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
}
END_TEST

static const char *const bad_prices[] = {
    "[{\"code\":\"x\",\"kind\":\"og\",\"title\":\"t\",\"amountMinor\":1,\"currency\":\"usd\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"amountMinor\":1,\"currency\":\"usd\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"coins\":5,\"ogTier\":1,\"amountMinor\":1,\"currency\":\"usd\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"coins\":5,\"amountMinor\":0,\"currency\":\"usd\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"coins\":5,\"amountMinor\":-5,\"currency\":\"usd\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"coins\":5,\"amountMinor\":5,\"currency\":\"USD\"}]",
    "[{\"code\":\"x\",\"kind\":\"coins\",\"title\":\"t\",\"coins\":5,\"amountMinor\":5,\"currency\":\"us\"}]",
};

START_TEST(prices_that_cannot_be)
{
    apr_size_t i;
    int n;

    open_site();
    for (i = 0; i < sizeof(bad_prices) / sizeof(bad_prices[0]); i++) {
        ck_assert_msg(hb_price_seed(&n, hb_test_site_op(ts), parsed(bad_prices[i]))
                      == HB_E_INPUT_INVALID, "%s", bad_prices[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        an_order_is_begun_once_a_key, a_call_that_broke_off_is_the_same_call_again,
        a_refused_order_stays_refused, the_message_may_be_quicker_than_our_answer,
        two_calls_at_once_are_sent_to_one_payment, a_payment_of_another_order_is_not_taken,
        an_intent_asks_for_its_secret_each_time, what_cannot_be_ordered,
        nothing_is_sold_where_payments_are_off, an_amount_is_that_of_a_pack,
        what_nobody_pays_expires, a_payer_sees_what_is_theirs, a_flag_is_dealt_with_once,
        prices_that_cannot_be, NULL
    };

    return hb_test_main("hb_order_begin", cases);
}
