/* SPDX-License-Identifier: Apache-2.0 */
/* OG tiers: the arithmetic as a table, buying, ending, the daily bonus. */
#include "hb_og.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_schema.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"
#include "hb_user.h"

#define ANNA "bbbbbbbbbbbbbbbbbbbbbbb1"
#define BIM  "bbbbbbbbbbbbbbbbbbbbbbb2"
#define DAY  apr_time_from_sec(86400)

#define SEEDS "[{\"tier\":1,\"name\":\"One\",\"priceCoins\":100,\"durationDays\":30}," \
              "{\"tier\":2,\"name\":\"Two\",\"priceCoins\":300,\"durationDays\":30}," \
              "{\"tier\":3,\"name\":\"Three\",\"priceCoins\":1000,\"durationDays\":10}]"

static hb_test_site_t *ts;

static hb_op_t *as(const char *user_id)
{
    return hb_test_site_op_by(ts, user_id);
}

static void open_site(void)
{
    int n;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, ANNA, NULL);
    hb_test_add_user(ts, BIM, NULL);
    ck_assert_int_eq(hb_og_seed(&n, hb_test_site_op(ts), hb_test_json(SEEDS)), APR_SUCCESS);
    ck_assert_int_eq(n, 3);
}

static apr_int64_t coins_of(const char *user_id)
{
    return hb_test_holds(ts, hb_account_user(hb_test_site_op(ts), user_id));
}

static apr_int64_t bonus_of(const char *user_id)
{
    return hb_test_holds(ts, hb_account_bonus(hb_test_site_op(ts), user_id));
}

static apr_status_t buy_with(hb_json_t **reply, hb_op_t *op, int tier, const char *key)
{
    hb_json_t *input = hb_json_object_make(op->pool);

    op->idem_key = key;
    hb_json_set_int(input, "tier", tier);
    return hb_og_subscribe(reply, op, input);
}

static apr_status_t buy(hb_json_t **reply, const char *who, int tier)
{
    static int n;

    return buy_with(reply, as(who), tier, apr_psprintf(hb_test_pool, "key-%d", n++));
}

static hb_json_t *stored(const char *id)
{
    hb_json_t *user;

    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, id), APR_SUCCESS);
    return user;
}

/* Days until a user's tier ends, rounded down. */
static int days_left(const char *id)
{
    return (int)((hb_time_from_msec(hb_json_int(stored(id), "ogExpiresAt", 0)) - ts->now) / DAY);
}

/* --- arithmetic --- */

static const struct {
    const char *label;
    apr_int64_t price, days, bonus;
} bonuses[] = {
    { "five thousand a month",   5000,       30,  100 },
    { "the highest tier",        500000,     30,  10000 },
    { "rounded down",            100,        30,  2 },
    { "less than a coin a day",  49,         30,  0 },
    { "just a coin a day",       50,         30,  1 },
    { "one day",                 10,         1,   6 },
    { "not 0.6 * 5 = 3.0000001", 5,          1,   3 },
    { "a year of the dearest",   1000000000, 366, 1639344 },
};

START_TEST(the_bonus_is_sixty_percent_over_the_days)
{
    apr_size_t i;

    for (i = 0; i < sizeof(bonuses) / sizeof(bonuses[0]); i++) {
        ck_assert_msg(hb_og_daily_bonus(bonuses[i].price, bonuses[i].days)
                      == bonuses[i].bonus, "%s", bonuses[i].label);
    }
}
END_TEST

static const struct {
    const char *label;
    apr_int64_t days_left;
    hb_og_terms_t from, to;
    apr_int64_t credited;
} credits[] = {
    { "a third of the price",        30,   { 1, 100, 30 },  { 2, 300, 30 },  10 },
    { "rounded down",                29,   { 1, 100, 30 },  { 2, 300, 30 },  9 },
    { "too little for a day",        2,    { 1, 100, 30 },  { 2, 300, 30 },  0 },
    { "nothing left",                0,    { 1, 100, 30 },  { 2, 300, 30 },  0 },
    { "shorter and dearer",          30,   { 1, 100, 30 },  { 3, 1000, 10 }, 1 },
    { "longer",                      10,   { 1, 100, 10 },  { 2, 100, 30 },  30 },
    { "bought far ahead, no overflow", HB_OG_DAYS_MAX, { 1, 1000000000, 1 }, { 2, 1000000000, 366 }, HB_OG_DAYS_MAX * 366 },
};

START_TEST(what_is_left_counts_by_the_prices_of_a_day)
{
    apr_size_t i;

    for (i = 0; i < sizeof(credits) / sizeof(credits[0]); i++) {
        ck_assert_msg(hb_og_credit_days(credits[i].days_left, &credits[i].from, &credits[i].to)
                      == credits[i].credited, "%s", credits[i].label);
    }
}
END_TEST

/* --- buying --- */

START_TEST(bonus_coins_pay_first)
{
    hb_json_t *reply;

    open_site();
    hb_test_fund(ts, ANNA, 500, 40);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_OG_SUBSCRIBED, reply, hb_test_pool));
    ck_assert_int_eq(hb_json_int(reply, "paidBonus", -1), 40);
    ck_assert_int_eq(hb_json_int(reply, "paidCoins", -1), 60);
    ck_assert_int_eq(hb_json_int(reply, "balance", -1), 440);
    ck_assert_int_eq(coins_of(ANNA), 440);
    ck_assert_int_eq(bonus_of(ANNA), 0);
    ck_assert_int_eq(hb_json_int(stored(ANNA), "ogLevel", -1), 1);
    ck_assert_int_eq(days_left(ANNA), 30);
    hb_test_fund(ts, BIM, 0, 150);
    ck_assert_int_eq(buy(&reply, BIM, 1), APR_SUCCESS);
    ck_assert_int_eq(bonus_of(BIM), 50);
    hb_test_prove(ts);
}
END_TEST

START_TEST(tiers_go_on_and_up_but_not_down)
{
    hb_json_t *reply;

    open_site();
    hb_test_fund(ts, ANNA, 100000, 0);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    ck_assert_int_eq(days_left(ANNA), 60);
    ts->now += DAY / 2;             /* 59 whole days are left, worth 19 of tier 2 */
    ck_assert_int_eq(buy(&reply, ANNA, 2), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(reply, "creditedDays", -1), 19);
    ck_assert_int_eq(hb_json_int(reply, "paidCoins", -1), 300);
    ck_assert_int_eq(days_left(ANNA), 49);
    ck_assert_int_eq(buy(&reply, ANNA, 1), HB_E_OG_LOWER);
    ts->now += 48 * DAY;
    ck_assert_int_eq(buy(&reply, ANNA, 1), HB_E_OG_LOWER);
    ts->now += DAY;                 /* over: nothing is left and everything may be bought */
    ck_assert_int_eq(hb_og_level(stored(ANNA), ts->now), 0);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(reply, "creditedDays", -1), 0);
    ck_assert_int_eq(days_left(ANNA), 30);
    hb_test_prove(ts);
}
END_TEST

START_TEST(a_refused_tier_leaves_nothing)
{
    hb_json_t *reply;
    int i;

    open_site();
    hb_test_fund(ts, ANNA, 99, 0);
    ck_assert_int_eq(buy(&reply, ANNA, 1), HB_E_WALLET_SHORT);
    ck_assert_int_eq(buy(&reply, ANNA, 5), HB_E_OG_UNKNOWN);
    ck_assert_int_eq(buy(&reply, NULL, 1), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(hb_json_int(stored(ANNA), "ogLevel", -1), 0);
    ck_assert_int_eq(coins_of(ANNA), 99);
    hb_test_fund(ts, ANNA, 1000000, 0);
    for (i = 0; i < HB_OG_DAYS_MAX / 30; i++) {
        ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    }
    ck_assert_int_eq(buy(&reply, ANNA, 1), HB_E_OG_TOO_LONG);
    ck_assert_int_eq(days_left(ANNA), HB_OG_DAYS_MAX);
    ck_assert_int_eq(coins_of(ANNA), 1000099 - HB_OG_DAYS_MAX / 30 * 100);
    hb_test_prove(ts);
}
END_TEST

START_TEST(a_key_buys_once)
{
    hb_json_t *first, *again;

    open_site();
    hb_test_fund(ts, ANNA, 1000, 0);
    ck_assert_int_eq(buy_with(&first, as(ANNA), 1, "k"), APR_SUCCESS);
    ts->now += DAY;
    ck_assert_int_eq(buy_with(&again, as(ANNA), 1, "k"), APR_SUCCESS);
    ck_assert(hb_json_equal(first, again));
    ck_assert_int_eq(buy_with(&again, as(ANNA), 2, "k"), HB_E_IDEM_MISMATCH);
    ck_assert_int_eq(coins_of(ANNA), 900);
    ck_assert_int_eq(days_left(ANNA), 29);
}
END_TEST

START_TEST(a_tier_that_ended_shows_as_none)
{
    hb_json_t *reply, *view;
    const char *text;
    apr_size_t len;

    open_site();
    hb_test_fund(ts, ANNA, 1000, 0);
    ck_assert_int_eq(buy(&reply, ANNA, 2), APR_SUCCESS);
    ck_assert_int_eq(hb_user_show(&view, as(BIM), ANNA), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(view, "ogLevel", -1), 2);
    ts->now += 30 * DAY - apr_time_from_sec(2);
    ck_assert_int_eq(hb_user_me_text(&text, &len, as(ANNA)), APR_SUCCESS);
    ck_assert_ptr_nonnull(strstr(text, "\"ogLevel\":2"));
    ts->now += apr_time_from_sec(2);
    ck_assert_int_eq(hb_user_me_text(&text, &len, as(ANNA)), APR_SUCCESS);
    ck_assert_ptr_nonnull(strstr(text, "\"ogLevel\":0"));
    ck_assert_int_eq(hb_user_show(&view, as(BIM), ANNA), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(view, "ogLevel", -1), 0);
}
END_TEST

START_TEST(tiers_tell_what_they_bring)
{
    hb_json_t *list, *two;
    hb_json_t *again = hb_test_json(SEEDS);
    int n;

    open_site();
    ck_assert_int_eq(hb_og_seed(&n, hb_test_site_op(ts), again), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_og_tiers(&list, as(NULL)), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_OG_TIER_LIST, list, hb_test_pool));
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 3);
    two = hb_json_item(hb_json_get(list, "items"), 1);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(two, "benefits.dailyBonus"), -1), 6);
    ck_assert_int_eq(hb_og_seed(&n, hb_test_site_op(ts), hb_test_json("[{\"tier\":6,\"name\":\"x\","
                     "\"priceCoins\":1,\"durationDays\":1}]")), HB_E_INPUT_INVALID);
}
END_TEST

/* --- the daily bonus --- */

static apr_int64_t pay_all(const char *date, apr_time_t begins, apr_int64_t *n_paid)
{
    hb_og_bonus_run_t run;

    ck_assert_int_eq(hb_og_bonus_pay_all(&run, hb_test_site_op(ts), date, begins, NULL, NULL),
                     APR_SUCCESS);
    *n_paid = run.paid;
    return run.coins;
}

START_TEST(a_date_is_paid_once)
{
    apr_int64_t n;
    apr_time_t midnight;
    hb_json_t *reply;

    open_site();
    hb_test_fund(ts, ANNA, 10000, 0);
    hb_test_fund(ts, BIM, 10000, 0);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    ck_assert_int_eq(buy(&reply, BIM, 2), APR_SUCCESS);
    midnight = ts->now - ts->now % DAY;
    /* Bought after the date began: the first bonus is tomorrow's. */
    ck_assert_int_eq(pay_all("2026-07-01", midnight, &n), 0);
    midnight += DAY;
    ts->now = midnight;
    ck_assert_int_eq(pay_all("2026-07-02", midnight, &n), 2 + 6);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(pay_all("2026-07-02", midnight, &n), 0);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(bonus_of(ANNA), 2);
    ck_assert_int_eq(bonus_of(BIM), 6);
    hb_test_prove(ts);
}
END_TEST

START_TEST(thirty_days_bring_thirty_bonuses)
{
    apr_int64_t n, total = 0;
    apr_time_t midnight;
    hb_json_t *reply;
    int day;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(buy(&reply, ANNA, 1), APR_SUCCESS);
    midnight = ts->now - ts->now % DAY;
    for (day = 0; day < 40; day++, midnight += DAY) {
        ts->now = midnight > ts->now ? midnight : ts->now;
        total += pay_all(apr_psprintf(hb_test_pool, "day-%d", day), midnight, &n);
    }
    ck_assert_int_eq(total, 30 * 2);
    ck_assert_int_eq(bonus_of(ANNA), 60);
    /* A day that was missed is paid afterwards, although the tier is over. */
    ck_assert_int_eq(pay_all("missed", midnight - 20 * DAY, &n), 2);
}
END_TEST

static int stop_at_once(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    (void)baton;
    (void)what;
    (void)total;
    return done > 0;
}

START_TEST(a_run_that_was_stopped_goes_on)
{
    hb_og_bonus_run_t run;
    apr_time_t midnight;
    hb_json_t *reply;
    int i, n_first;

    open_site();
    for (i = 0; i < 250; i++) {
        const char *id = apr_psprintf(hb_test_pool, "%024x", i + 1);

        hb_test_add_user(ts, id, NULL);
        hb_test_fund(ts, id, 100, 0);
        ck_assert_int_eq(buy(&reply, id, 1), APR_SUCCESS);
    }
    midnight = ts->now - ts->now % DAY + DAY;
    ts->now = midnight;
    ck_assert_int_eq(hb_og_bonus_pay_all(&run, hb_test_site_op(ts), "d", midnight,
                                         stop_at_once, NULL), APR_EINTR);
    ck_assert_int_gt(run.paid, 0);
    ck_assert_int_lt(run.paid, 250);
    n_first = (int)run.paid;
    ck_assert_int_eq(hb_og_bonus_pay_all(&run, hb_test_site_op(ts), "d", midnight, NULL, NULL),
                     APR_SUCCESS);
    ck_assert_int_eq(run.entitled, 250);
    ck_assert_int_eq(run.paid, 250 - n_first);
    ck_assert_int_eq(run.coins, 2 * run.paid);
    hb_test_prove(ts);
}
END_TEST

START_TEST(each_zone_has_its_own_midnight)
{
    static const char *const zones[] = { "Asia/Kathmandu", "America/New_York", NULL };
    const hb_zone_t *sydney;
    hb_og_bonus_run_t run;
    apr_int64_t n[3] = { 0, 0, 0 };
    apr_time_t at, first[3] = { 0, 0, 0 };
    int i;

    open_site();
    ck_assert(hb_zone_load(&sydney, "Australia/Sydney", hb_test_pool) == APR_SUCCESS);
    for (i = 0; i < 3; i++) {
        const char *id = apr_psprintf(hb_test_pool, "%024x", i + 1);
        const hb_edit_t edits[] = { { "zone", HB_SET, HB_STR(zones[i]) } };
        hb_json_t *reply;

        hb_test_add_user(ts, id, NULL);
        hb_test_fund(ts, id, 100, 0);
        ck_assert_int_eq(buy(&reply, id, 1), APR_SUCCESS);
        if (zones[i] != NULL) {
            ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_USERS, id, NULL,
                                             0, edits, 1), APR_SUCCESS);
        }
    }
    at = ts->now - ts->now % DAY + DAY;
    for (i = 0; i < 3 * 96; i++, at += DAY / 96) {
        int j;

        ts->now = at;
        ck_assert_int_eq(hb_og_bonus_pay_zones(&run, hb_test_site_op(ts), at - DAY / 96, at, sydney,
                                               NULL, NULL), APR_SUCCESS);
        ck_assert_int_le(run.paid, 1);
        for (j = 0; j < 3 && run.paid > 0; j++) {
            apr_int64_t bonus = bonus_of(apr_psprintf(hb_test_pool, "%024x", j + 1));

            if (bonus > n[j]) {
                first[j] = first[j] == 0 ? at % DAY : first[j];
                ck_assert_int_eq(at % DAY, first[j]);
            }
            n[j] = bonus;
        }
    }
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(n[i], 3 * 2);
    }
    ck_assert_int_eq(first[0], DAY * 73 / 96);      /* 18:15 UTC */
    hb_test_prove(ts);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        the_bonus_is_sixty_percent_over_the_days, what_is_left_counts_by_the_prices_of_a_day,
        bonus_coins_pay_first, tiers_go_on_and_up_but_not_down, a_refused_tier_leaves_nothing,
        a_key_buys_once, a_tier_that_ended_shows_as_none, tiers_tell_what_they_bring,
        a_date_is_paid_once, thirty_days_bring_thirty_bonuses, a_run_that_was_stopped_goes_on, each_zone_has_its_own_midnight,
        NULL
    };

    return hb_test_main("hb_og", cases);
}
