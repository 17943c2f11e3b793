/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders: rows of what is told of a payment, in which order, and what comes of it. Each row has an
 * order of its own; the ledger is proved behind all of them.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_fraud.h"
#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define PAYER "bbbbbbbbbbbbbbbbbbbbbbb1"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbb2"
#define GONE  "bbbbbbbbbbbbbbbbbbbbbbb3"
#define SEEDS "[{\"tier\":1,\"name\":\"One\",\"priceCoins\":100,\"durationDays\":30}," \
              "{\"tier\":2,\"name\":\"Two\",\"priceCoins\":300,\"durationDays\":30}]"

static hb_test_site_t *ts;

static void open_site_with(const char *settings)
{
    hb_json_t *tiers = hb_json_parse_own(SEEDS, strlen(SEEDS), hb_test_pool);
    int n;

    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, PAYER, NULL);
    hb_test_add_user(ts, OTHER, NULL);
    hb_test_add_user(ts, GONE, "status", "deleted", NULL);
    ck_assert_int_eq(hb_og_seed(&n, hb_test_site_op(ts), tiers), APR_SUCCESS);
}

static void open_site(void)
{
    open_site_with("");
}

/* An order of 500 coins and 20 bonus coins for 10.00, or of an OG tier. */
static const char *add_order(const char *user_id, int tier)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *doc = hb_json_object_make(op->pool);
    const char *id = apr_pstrdup(hb_test_pool, hb_id_make(op));

    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "userId", user_id);
    hb_json_set_string(doc, "provider", "stripe");
    hb_json_set_string(doc, "kind", tier > 0 ? "og" : "coins");
    hb_json_set_string(doc, "product", "p");
    hb_json_set_string(doc, "title", "500 coins");
    hb_json_set_int(doc, "coins", tier > 0 ? 0 : 500);
    hb_json_set_int(doc, "bonus", tier > 0 ? 0 : 20);
    hb_json_set_int(doc, "ogTier", tier);
    hb_json_set_int(doc, "ogDays", 30);
    hb_json_set_int(doc, "ogCoins", tier == 2 ? 300 : 100);
    hb_json_set_int(doc, "amountMinor", 1000);
    hb_json_set_string(doc, "currency", "usd");
    hb_json_set_bool(doc, "isLive", 0);
    hb_json_set_string(doc, "how", "page");
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
    const hb_pay_fact_t *fact;
    const char *proof;
    hb_order_effect_e effect;
    const char *note;
    hb_order_t order;
} told_t;

static apr_status_t tell_tx(hb_op_t *op, void *baton)
{
    told_t *told = baton;
    apr_status_t rv = hb_order_find(&told->order, op, "stripe", told->fact);

    return rv != APR_SUCCESS ? rv : hb_order_apply(&told->effect, &told->note, op, &told->order,
                                                   told->fact, told->proof);
}

static hb_order_effect_e tell(const hb_pay_fact_t *fact, const char *proof)
{
    told_t told = { .fact = fact, .proof = proof };
    hb_op_t *op = hb_test_site_op(ts);

    ck_assert_int_eq(hb_store_transact(op, tell_tx, &told), APR_SUCCESS);
    hb_order_applied(op, &told.order, told.effect);
    ck_assert_int_eq(op->problem.status, APR_SUCCESS);
    return told.effect;
}

static apr_status_t spend_tx(hb_op_t *op, void *baton)
{
    hb_entry_t entry = { .kind = "og", .key = apr_pstrcat(op->pool, "spend:", hb_id_make(op), NULL) };
    apr_int64_t coins = hb_test_holds(ts, "user:" PAYER);
    apr_int64_t bonus = hb_test_holds(ts, "user:" PAYER ":bonus");

    (void)baton;
    hb_entry_add(&entry, "user:" PAYER, HB_COIN, -coins);
    hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, coins);
    hb_entry_add(&entry, "user:" PAYER ":bonus", HB_BONUS, -bonus);
    hb_entry_add(&entry, HB_ACCOUNT_BONUS_REVENUE, HB_BONUS, bonus);
    return entry.n_postings == 0 ? APR_SUCCESS : hb_ledger_post(NULL, op, &entry);
}

static void spend_all(void)
{
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), spend_tx, NULL), APR_SUCCESS);
}

static int n_flags(const char *order_id, const char *code)
{
    const hb_cond_t where[] = {
        { "orderId", HB_IS, HB_STR(order_id) }, { "state", HB_IS, HB_STR("open") },
        { "code", HB_IS, HB_STR(code) },
    };
    const hb_query_t query = { .in = HB_C_FLAGS, .where = where,
                               .n_where = code != NULL ? 3 : 2 };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    return (int)n;
}

/* How often somebody was told that their payment arrived. */
static int n_told(const char *user_id)
{
    const hb_cond_t where[] = { { "audience", HB_IS, HB_STR(user_id) } };
    const hb_query_t query = { .in = HB_C_NOTICES, .where = where, .n_where = 1 };
    hb_page_t page;
    int i;

    ck_assert_int_eq(hb_store_find(&page, hb_test_site_op(ts), &query), APR_SUCCESS);
    for (i = 0; i < page.n_items; i++) {
        ck_assert_str_eq(hb_json_string(page.items[i], "kind"), "order.paid");
    }
    return page.n_items;
}

/* --- rows --- */

/*
 * A letter tells one thing: o open, a ambiguous, P paid, f failed, c canceled, e expired,
 * r refunded in full (the payment's amount unsaid), R the same with the amount, h half of it,
 * d disputed, w won, l lost, x a refund that failed, u nothing known; L: as by lookup: canceled;
 * A: paid with 9.99; C: in another currency; M: real money; N: with no amount; 2: another payment.
 */
static hb_pay_fact_t fact_of(const char *order_id, char letter)
{
    hb_pay_fact_t fact = { .outcome = HB_PAY_PAID, .order_id = order_id,
                           .attempt_id = apr_pstrcat(hb_test_pool, "pi_", order_id, NULL),
                           .amount_minor = 1000, .refunded_minor = -1, .currency = "usd",
                           .status = "succeeded", .is_live = 0 };

    fact.payment_id = fact.attempt_id;
    switch (letter) {
    case 'o': fact.outcome = HB_PAY_OPEN; break;
    case 'a': fact.outcome = HB_PAY_AMBIGUOUS; break;
    case 'f': fact.outcome = HB_PAY_FAILED; break;
    case 'L':
    case 'c': fact.outcome = HB_PAY_CANCELED; break;
    case 'e': fact.outcome = HB_PAY_EXPIRED; break;
    case 'r':
    case 'R':
    case 'h':
        fact.outcome = HB_PAY_REFUNDED;
        fact.refunded_minor = letter == 'h' ? 500 : 1000;
        fact.amount_minor = letter == 'r' ? -1 : 1000;
        break;
    case 'd': fact.outcome = HB_PAY_DISPUTED; break;
    case 'w': fact.outcome = HB_PAY_DISPUTE_WON; break;
    case 'l': fact.outcome = HB_PAY_DISPUTE_LOST; break;
    case 'x': fact.outcome = HB_PAY_REFUND_FAILED; break;
    case 'u': fact.outcome = HB_PAY_UNKNOWN; break;
    case 'A': fact.amount_minor = 999; break;
    case 'N': fact.amount_minor = -1; break;
    case 'C': fact.currency = "npr"; break;
    case 'M': fact.is_live = 1; break;
    case '2': fact.payment_id = fact.attempt_id
                  = apr_pstrcat(hb_test_pool, "pi_2_", order_id, NULL); break;
    default: break;
    }
    return fact;
}

/* What goes back takes 500 coins and 20 bonus coins with it; what waits in review has none. */
START_TEST(money_that_goes_back)
{
    static const struct { const char *told, *state; int coins, debt; } goes[] = {
        { "Pr", "refunded", 0, 0 }, { "rP", "refunded", 0, 0 }, { "R", "refunded", 0, 0 },
        { "Ph", "paid", 250, 0 }, { "Phr", "refunded", 0, 0 }, { "Prh", "refunded", 0, 0 },
        { "Prx", "paid", 500, 0 }, { "Pd", "disputed", 0, 0 }, { "dP", "disputed", 0, 0 },
        { "Pdw", "paid", 500, 0 }, { "Pdl", "charged_back", 0, 0 }, { "Pl", "charged_back", 0, 0 },
        { "Pdlw", "paid", 500, 0 }, { "Pdrw", "refunded", 0, 0 }, { "Phdw", "paid", 250, 0 },
        { "sPr", "refunded", 0, 0 }, { "Psr", "refunded", 0, 520 }, { "Psd", "disputed", 0, 520 },
        { "Psdw", "paid", 0, 0 }, { "Psdl", "charged_back", 0, 520 },
        { "Psrx", "paid", 0, 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(goes) / sizeof(goes[0]); i++) {
        const char *c, *id;
        apr_int64_t debt;

        open_site();
        id = add_order(PAYER, 0);
        for (c = goes[i].told; *c != '\0'; c++) {
            hb_pay_fact_t fact = fact_of(id, *c);

            if (*c == 's') {
                spend_all();
            }
            else {
                tell(&fact, "hmac");
                tell(&fact, "hmac");
            }
        }
        ck_assert_msg(strcmp(loaded(id).state, goes[i].state) == 0, "%s: %s", goes[i].told,
                      loaded(id).state);
        ck_assert_msg(hb_test_holds(ts, "user:" PAYER) == goes[i].coins, "%s: %d coins",
                      goes[i].told, (int)hb_test_holds(ts, "user:" PAYER));
        debt = -hb_test_holds(ts, "user:" PAYER ":debt");
        ck_assert_msg(debt == goes[i].debt, "%s: owes %d", goes[i].told, (int)debt);
        hb_test_prove(ts);
    }
}
END_TEST

START_TEST(held_by_a_rule)
{
    hb_pay_fact_t fact;
    const char *id;
    hb_json_t *view;
    int i;

    open_site_with("HaloBuzzFraud hold\nHaloBuzzFraudScore 40\n");
    for (i = 0; i < 6; i++) {
        id = add_order(PAYER, 0);
        fact = fact_of(id, 'P');
        ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    }
    ck_assert_str_eq(loaded(id).state, "review");
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_ALREADY);
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 5 * 500);
    ck_assert_int_eq(hb_fraud_release(&view, hb_test_site_op(ts), id, "known"), APR_SUCCESS);
    ck_assert_str_eq(loaded(id).state, "paid");
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 6 * 500);
    ck_assert_int_eq(hb_fraud_release(&view, hb_test_site_op(ts), id, "known"),
                     HB_E_FRAUD_STATE);
    hb_test_prove(ts);
}
END_TEST

static const struct {
    const char *label, *told, *state;
    hb_order_effect_e last;
    int coins;                  /* how many there are more behind it */
    const char *flag;           /* the one open flag, NULL for none */
} rows[] = {
    { "paid",                            "P",     "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "told twice",                      "PP",    "paid",     HB_ORDER_ALREADY, 500, NULL },
    { "told five times among others",    "oPoPfPcPeP", "paid", HB_ORDER_ALREADY, 500, NULL },
    { "open is no news",                 "o",     "open",     HB_ORDER_ALREADY, 0, NULL },
    { "nothing known",                   "u",     "open",     HB_ORDER_IGNORED, 0, NULL },
    { "a try failed",                    "f",     "failed",   HB_ORDER_APPLIED, 0, NULL },
    { "failed, then paid",               "fP",    "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "paid, and an old failure",        "Pf",    "paid",     HB_ORDER_ALREADY, 500, NULL },
    { "called off",                      "c",     "canceled", HB_ORDER_APPLIED, 0, NULL },
    { "called off twice",                "cc",    "canceled", HB_ORDER_ALREADY, 0, NULL },
    { "called off, paid the moment before", "cP", "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "out of time",                     "e",     "expired",  HB_ORDER_APPLIED, 0, NULL },
    { "paid after its time",             "eP",    "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "expired, then called off",        "ec",    "canceled", HB_ORDER_APPLIED, 0, NULL },
    { "called off is the end",           "ceof",  "canceled", HB_ORDER_ALREADY, 0, NULL },
    { "the provider does not know",      "a",     "open",     HB_ORDER_WAITS,   0, "ambiguous" },
    { "and asked again",                 "aaa",   "open",     HB_ORDER_WAITS,   0, "ambiguous" },
    { "it knows at last",                "aP",    "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "too little",                      "A",     "open",     HB_ORDER_FLAGGED, 0, "amount" },
    { "too little, told twice",          "AA",    "open",     HB_ORDER_FLAGGED, 0, "amount" },
    { "no amount",                       "N",     "open",     HB_ORDER_FLAGGED, 0, "amount" },
    { "a lie, then the truth",           "AP",    "paid",     HB_ORDER_APPLIED, 500, "amount" },
    { "another currency",                "C",     "open",     HB_ORDER_FLAGGED, 0, "currency" },
    { "another mode",                    "M",     "open",     HB_ORDER_FLAGGED, 0, "mode" },
    { "paid by two payments",            "P2",    "paid",     HB_ORDER_FLAGGED, 500, "extra_payment" },
    { "the second told twice",           "P22",   "paid",     HB_ORDER_FLAGGED, 500, "extra_payment" },
    { "the second first",                "2P",    "paid",     HB_ORDER_FLAGGED, 500, "extra_payment" },
    { "a refund that failed",            "Px",    "paid",     HB_ORDER_FLAGGED, 500, "refund_failed" },
    { "and one before anything",         "x",     "open",     HB_ORDER_WAITS,   0, NULL },
    { "refunded",                        "Pr",    "refunded", HB_ORDER_APPLIED, 0, NULL },
    { "refunded, told twice",            "PrPr",  "refunded", HB_ORDER_ALREADY, 0, NULL },
    { "half of it",                      "Ph",    "paid",     HB_ORDER_APPLIED, 250, NULL },
    { "half, then all, then half again", "Phrh",  "refunded", HB_ORDER_ALREADY, 0, NULL },
    { "a refund told first",             "r",     "open",     HB_ORDER_WAITS,   0, NULL },
    { "told first twice",                "rr",    "open",     HB_ORDER_ALREADY, 0, NULL },
    { "then its payment",                "rP",    "refunded", HB_ORDER_APPLIED, 0, NULL },
    { "a refund that tells of the payment", "R",  "refunded", HB_ORDER_APPLIED, 0, NULL },
    { "then its payment",                "RP",    "refunded", HB_ORDER_ALREADY, 0, NULL },
    { "half of it, told first",          "hP",    "paid",     HB_ORDER_ALREADY, 250, NULL },
    { "refunded, and paid once more",    "Pr2",   "refunded", HB_ORDER_FLAGGED, 0, "extra_payment" },
    { "a dispute",                       "Pd",    "disputed", HB_ORDER_APPLIED, 0, NULL },
    { "a dispute that was won",          "Pdw",   "paid",     HB_ORDER_APPLIED, 500, NULL },
    { "its beginning told late",         "Pwd",   "paid",     HB_ORDER_ALREADY, 500, NULL },
    { "a dispute that was lost",         "Pdl",   "charged_back", HB_ORDER_APPLIED, 0, NULL },
    { "all of it before the payment",    "ldP",   "charged_back", HB_ORDER_APPLIED, 0, NULL },
    { "won before the payment",          "dwP",   "paid",     HB_ORDER_APPLIED, 500, NULL },
};

START_TEST(what_is_told_makes_the_state)
{
    apr_int64_t coins = 0;
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *id = add_order(PAYER, 0), *c;
        hb_order_effect_e last = HB_ORDER_IGNORED;
        hb_order_t order;

        for (c = rows[i].told; *c != '\0'; c++) {
            const hb_pay_fact_t fact = fact_of(id, *c);

            last = tell(&fact, "hmac");
        }
        order = loaded(id);
        ck_assert_msg(strcmp(order.state, rows[i].state) == 0, "%s: %s", rows[i].label,
                      order.state);
        ck_assert_msg(last == rows[i].last, "%s: effect %d", rows[i].label, last);
        ck_assert_msg(n_flags(id, NULL) == (rows[i].flag != NULL), "%s: %d flags",
                      rows[i].label, n_flags(id, NULL));
        ck_assert_msg(rows[i].flag == NULL || n_flags(id, rows[i].flag) == 1, "%s: flag",
                      rows[i].label);
        coins += rows[i].coins;
        ck_assert_msg(hb_test_holds(ts, "user:" PAYER) == coins, "%s: coins", rows[i].label);
        ck_assert_msg(hb_test_holds(ts, "user:" PAYER ":bonus") == coins / 25, "%s: bonus",
                      rows[i].label);
        ck_assert_msg((order.paid_at != 0) == hb_order_is_paid(order.at), "%s: paidAt",
                      rows[i].label);
        ck_assert_msg(hb_json_has(order.doc, "openUntil") == (order.at == HB_ORDER_OPEN),
                      "%s: openUntil", rows[i].label);
    }
    hb_test_prove(ts);
}
END_TEST

/* Every pair of the table is handled: no state and no outcome makes it fail or pay twice. */
START_TEST(no_pair_fails)
{
    int outcome, state;

    open_site();
    for (state = 0; state < HB_ORDER_N_STATES; state++) {
        for (outcome = HB_PAY_UNKNOWN; outcome <= HB_PAY_DISPUTE_LOST; outcome++) {
            const char *id = add_order(OTHER, 0);
            const hb_edit_t edits[] = {
                { "state", HB_SET, HB_STR(hb_order_state_name((hb_order_state_e)state)) },
                { "paymentId", HB_SET, HB_STR(apr_pstrcat(hb_test_pool, "pi_", id, NULL)) },
                { "paidAt", HB_SET, HB_INT(hb_time_to_msec(ts->now)) },
            };
            hb_pay_fact_t fact = fact_of(id, 'P');
            int was_paid = hb_order_is_paid((hb_order_state_e)state);
            int takes = was_paid && state != HB_ORDER_REVIEW
                && (outcome == HB_PAY_DISPUTED || outcome == HB_PAY_DISPUTE_LOST);
            apr_int64_t before = hb_test_holds(ts, "user:" OTHER), after;

            ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_ORDERS, id,
                                             NULL, 0, edits, was_paid ? 3 : 1), APR_SUCCESS);
            fact.outcome = (hb_pay_outcome_e)outcome;
            tell(&fact, "lookup");
            tell(&fact, "hmac");
            after = hb_test_holds(ts, "user:" OTHER);
            ck_assert_msg(after - before == (outcome == HB_PAY_PAID && !was_paid ? 500
                                             : takes ? before < 500 ? -before : -500 : 0),
                          "%s, %s", hb_order_state_name((hb_order_state_e)state),
                          hb_pay_outcome_name((hb_pay_outcome_e)outcome));
        }
    }
    hb_test_prove(ts);
}
END_TEST

START_TEST(the_word_of_a_lookup_counts_more)
{
    const char *id;
    hb_pay_fact_t fact;

    open_site();
    id = add_order(PAYER, 0);
    fact = fact_of(id, 'P');
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    fact = fact_of(id, 'L');
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_ALREADY);  /* asked before it was paid */
    ts->now += apr_time_from_sec(61);
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_ALREADY);
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_FLAGGED);
    ck_assert_int_eq(n_flags(id, "not_paid"), 1);
    ck_assert_str_eq(loaded(id).state, "paid");
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 500);
}
END_TEST

/* eSewa and Khalti say that a part went back, never how much. */
START_TEST(what_staff_has_to_look_at_when_money_goes_back)
{
    const char *id;
    hb_pay_fact_t fact;

    open_site();
    id = add_order(PAYER, 0);
    fact = fact_of(id, 'P');
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_APPLIED);
    fact.outcome = HB_PAY_REFUNDED;
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_FLAGGED);
    ck_assert_int_eq(n_flags(id, "refund_unknown"), 1);
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 500);
    fact = fact_of(id, 'h');
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    ck_assert_int_eq(n_flags(id, NULL), 0);
    fact.refunded_minor = -1;
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_WAITS);
    fact = fact_of(id, '2');                    /* paid once more, then half of that goes back */
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_FLAGGED);
    fact.outcome = HB_PAY_REFUNDED;
    fact.refunded_minor = 500;
    tell(&fact, "hmac");
    ck_assert_int_eq(n_flags(id, "extra_payment"), 1);
    fact.refunded_minor = 1000;
    tell(&fact, "hmac");
    ck_assert_int_eq(n_flags(id, "extra_payment"), 0);
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 250);
    hb_test_prove(ts);
}
END_TEST

START_TEST(a_payment_pays_one_order)
{
    const char *first, *second;
    hb_pay_fact_t fact;

    open_site();
    first = add_order(PAYER, 0);
    second = add_order(OTHER, 0);
    fact = fact_of(first, 'P');
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    fact.order_id = second;
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_FLAGGED);
    ck_assert_int_eq(n_flags(second, "payment_reused"), 1);
    ck_assert_str_eq(loaded(second).state, "open");
    ck_assert_int_eq(hb_test_holds(ts, "user:" OTHER), 0);
    fact = fact_of(second, 'P');
    ck_assert_int_eq(n_told(OTHER), 0);
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_APPLIED);
    ck_assert_int_eq(hb_test_holds(ts, "user:" OTHER), 500);
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_ALREADY);
    ck_assert_int_eq(n_told(OTHER), 1);
    ck_assert_int_eq(n_told(PAYER), 1);
}
END_TEST

START_TEST(orders_are_found_by_what_the_provider_calls_them)
{
    hb_order_t order;
    hb_pay_fact_t fact;
    const char *id;

    open_site();
    id = add_order(PAYER, 0);
    fact = fact_of(id, 'P');
    fact.attempt_id = apr_psprintf(hb_test_pool, "cs_%0200d", 7);   /* longer than a record id */
    tell(&fact, "hmac");
    fact = (hb_pay_fact_t){ .payment_id = apr_pstrcat(hb_test_pool, "pi_", id, NULL) };
    ck_assert_int_eq(hb_order_find(&order, hb_test_site_op(ts), "stripe", &fact), APR_SUCCESS);
    ck_assert_str_eq(order.id, id);
    fact = (hb_pay_fact_t){ .attempt_id = apr_psprintf(hb_test_pool, "cs_%0200d", 7) };
    ck_assert_int_eq(hb_order_find(&order, hb_test_site_op(ts), "stripe", &fact), APR_SUCCESS);
    fact = (hb_pay_fact_t){ .payment_id = "pi_other", .order_id = "no id" };
    ck_assert_int_eq(hb_order_find(&order, hb_test_site_op(ts), "stripe", &fact),
                     HB_E_ORDER_UNKNOWN);
    fact = (hb_pay_fact_t){ .order_id = id };
    ck_assert_int_eq(hb_order_find(&order, hb_test_site_op(ts), "khalti", &fact),
                     HB_E_ORDER_UNKNOWN);
}
END_TEST

/* --- OG, and what cannot be given --- */

static apr_status_t release_tx(hb_op_t *op, void *baton)
{
    hb_order_t order;
    apr_status_t rv = hb_order_load(&order, op, baton);

    return rv == APR_SUCCESS ? hb_order_release(op, &order, "looked at") : rv;
}

START_TEST(og_is_given_once_or_waits_for_staff)
{
    const char *high, *low;
    hb_pay_fact_t fact;
    hb_op_t *op;
    hb_json_t *user;

    open_site();
    high = add_order(PAYER, 2);
    low = add_order(PAYER, 1);
    fact = fact_of(high, 'P');
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_APPLIED);
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_ALREADY);
    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, PAYER), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(user, "ogLevel", -1), 2);
    ck_assert_int_eq(hb_json_int(user, "ogExpiresAt", 0),
                     hb_time_to_msec(ts->now + 30 * apr_time_from_sec(86400)));
    ck_assert_int_eq(hb_test_holds(ts, "user:" PAYER), 0);
    fact = fact_of(low, 'P');           /* a higher one runs */
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_FLAGGED);
    ck_assert_str_eq(loaded(low).state, "review");
    ck_assert_int_eq(n_flags(low, "undeliverable"), 1);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_store_transact(op, release_tx, (void *)low), HB_E_ORDER_STATE);
    ts->now += 31 * apr_time_from_sec(86400);
    ck_assert_int_eq(tell(&fact, "lookup"), HB_ORDER_ALREADY);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_store_transact(op, release_tx, (void *)low), APR_SUCCESS);
    ck_assert_str_eq(loaded(low).state, "paid");
    ck_assert_int_eq(n_flags(low, NULL), 0);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_store_transact(op, release_tx, (void *)low), HB_E_ORDER_STATE);
    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, PAYER), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(user, "ogLevel", -1), 1);
}
END_TEST

START_TEST(nobody_is_paid_who_is_gone)
{
    const char *id;
    hb_pay_fact_t fact;

    open_site();
    id = add_order(GONE, 0);
    fact = fact_of(id, 'P');
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_FLAGGED);
    ck_assert_str_eq(loaded(id).state, "review");
    ck_assert_int_eq(hb_test_holds(ts, "user:" GONE), 0);
    fact.outcome = HB_PAY_REFUNDED;
    fact.refunded_minor = 400;
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    ck_assert_str_eq(loaded(id).state, "review");
    fact.refunded_minor = 1000;
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_APPLIED);
    ck_assert_int_eq(tell(&fact, "hmac"), HB_ORDER_ALREADY);
    ck_assert_str_eq(loaded(id).state, "refunded");
    ck_assert_int_eq(n_flags(id, NULL), 0);
    hb_test_prove(ts);
}
END_TEST

static apr_status_t note_tx(hb_op_t *op, void *baton)
{
    int i;

    for (i = 0; i < 250; i++) {
        apr_status_t rv = hb_order_note(op, baton, "test", apr_itoa(op->pool, i));

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

START_TEST(a_time_line_does_not_grow_for_ever)
{
    const char *id;

    open_site();
    id = add_order(PAYER, 0);
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), note_tx, (void *)id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(loaded(id).doc, "steps")), 200);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(loaded(id).doc, "steps"), 0),
                                    "detail"), "0");
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(loaded(id).doc, "steps"), 199),
                                    "detail"), "249");
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_told_makes_the_state, money_that_goes_back, held_by_a_rule, no_pair_fails,
        the_word_of_a_lookup_counts_more,
        what_staff_has_to_look_at_when_money_goes_back,
        a_payment_pays_one_order, orders_are_found_by_what_the_provider_calls_them,
        og_is_given_once_or_waits_for_staff, nobody_is_paid_who_is_gone,
        a_time_line_does_not_grow_for_ever, NULL
    };

    return hb_test_main("hb_order", cases);
}
