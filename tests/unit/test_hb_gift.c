/* SPDX-License-Identifier: Apache-2.0 */
/* Gifts over a real store: who may send what, what it moves, and that it moves once. */
#include "hb_gift.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_leaderboard.h"
#include "hb_ledger.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define HOST  "aaaaaaaaaaaaaaaaaaaaaaaa"
#define ANNA  "bbbbbbbbbbbbbbbbbbbbbbb1"
#define BIM   "bbbbbbbbbbbbbbbbbbbbbbb2"

#define SEEDS "[{\"code\":\"rose\",\"name\":\"Rose\",\"priceCoins\":10}," \
              "{\"code\":\"odd\",\"name\":\"Odd\",\"priceCoins\":7}," \
              "{\"code\":\"crown\",\"name\":\"Crown\",\"priceCoins\":20,\"ogLevelMin\":2}," \
              "{\"code\":\"old\",\"name\":\"Old\",\"priceCoins\":5,\"isActive\":false}," \
              "{\"code\":\"moon\",\"name\":\"Moon\",\"priceCoins\":1000000000}]"

static hb_test_site_t *ts;
static const char *room;

static hb_op_t *as(const char *user_id)
{
    return hb_test_site_op_by(ts, user_id);
}

static void open_site_with(const char *settings)
{
    hb_json_t *stream;
    int n;

    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, HOST, NULL);
    hb_test_add_user(ts, ANNA, NULL);
    hb_test_add_user(ts, BIM, NULL);
    ck_assert_int_eq(hb_gift_seed(&n, hb_test_site_op(ts), hb_test_json(SEEDS)), APR_SUCCESS);
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), hb_test_json("{\"title\":\"Songs\"}")),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), room), APR_SUCCESS);
}

static void open_site(void)
{
    open_site_with("");
}

/* --- coins --- */

static apr_int64_t purse(const char *user_id)
{
    return hb_test_holds(ts, hb_account_user(hb_test_site_op(ts), user_id));
}

static apr_int64_t earned(void)
{
    return hb_test_holds(ts, hb_account_earned(hb_test_site_op(ts), HOST));
}

/* --- gifts --- */

static const char *gift_id(const char *code)
{
    const hb_cond_t where[] = { { "code", HB_IS, HB_STR(code) } };
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG, .where = where, .n_where = 1 };
    hb_json_t *gift;

    ck_assert_int_eq(hb_store_find_one(&gift, hb_test_site_op(ts), &query), APR_SUCCESS);
    return hb_json_string(gift, "_id");
}

static apr_status_t give_as(hb_json_t **reply, hb_op_t *op, const char *code,
                            apr_int64_t quantity, const char *key)
{
    hb_json_t *input = hb_json_object_make(op->pool);

    op->idem_key = key;
    hb_json_set_string(input, "giftId", gift_id(code));
    hb_json_set_int(input, "quantity", quantity);
    return hb_gift_send(reply, op, room, input);
}

static apr_status_t give(hb_json_t **reply, const char *who, const char *code,
                         apr_int64_t quantity)
{
    static int n;

    return give_as(reply, as(who), code, quantity, apr_psprintf(hb_test_pool, "key-%d", n++));
}

static hb_json_t *stream_now(void)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_store_get(&stream, hb_test_site_op(ts), HB_C_STREAMS, room), 0);
    return stream;
}

static apr_int64_t n_gifts(void)
{
    const hb_query_t query = { .in = HB_C_GIFTS };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    return n;
}

static const struct {
    const char *label;
    apr_int64_t coins, percent, host;
} shares[] = {
    { "half of an even sum",          100,                       50,  50 },
    { "the odd coin is the platform's", 7,                       50,  3 },
    { "half of one coin is none",     1,                         50,  0 },
    { "nothing for the host",         1000,                      0,   0 },
    { "all for the host",             1001,                      100, 1001 },
    { "a third, rounded down",        100,                       33,  33 },
    { "99 percent of 99",             99,                        99,  98 },
    { "no coins",                     0,                         50,  0 },
    { "beyond what a double knows",   APR_INT64_C(9007199254740993), 50,  APR_INT64_C(4503599627370496) },
    { "no overflow",                  APR_INT64_MAX,             100, APR_INT64_MAX },
    { "no overflow at 99",            APR_INT64_MAX,             99,  APR_INT64_C(9131138316486228048) },
};

START_TEST(a_share_is_rounded_down)
{
    apr_size_t i;

    for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        ck_assert_msg(hb_gift_share(shares[i].coins, shares[i].percent) == shares[i].host,
                      "%s", shares[i].label);
    }
}
END_TEST

START_TEST(a_gift_moves_all_it_should)
{
    hb_json_t *reply, *user;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(give(&reply, ANNA, "odd", 3), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(reply, "balance", -1), 79);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(reply, "gift.coins"), -1), 21);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(reply, "gift.combo"), -1), 3);
    ck_assert_ptr_null(hb_json_at(reply, "gift.hostCoins"));
    ck_assert_ptr_null(hb_schema_misfit(HB_R_GIFT_SENT, reply, hb_test_pool));
    ck_assert_int_eq(purse(ANNA), 79);
    ck_assert_int_eq(earned(), 10);
    ck_assert_int_eq(hb_test_holds(ts, HB_ACCOUNT_REVENUE), 11);
    ck_assert_int_eq(hb_json_int(stream_now(), "totalCoins", -1), 21);
    ck_assert_int_eq(hb_json_int(stream_now(), "score", -1), 21);
    ck_assert_int_eq(n_gifts(), 1);
    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, ANNA), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(user, "coins.balance"), -1), 79);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(user, "coins.totalSpent"), -1), 21);
    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, HOST), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(user, "coins.totalEarned"), -1), 10);
    hb_test_prove(ts);
}
END_TEST

START_TEST(the_share_is_a_setting)
{
    hb_json_t *reply;

    open_site_with("HaloBuzzGiftHostShare 0\n");
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), APR_SUCCESS);
    ck_assert_int_eq(earned(), 0);
    ck_assert_int_eq(hb_test_holds(ts, HB_ACCOUNT_REVENUE), 10);
    hb_test_prove(ts);
}
END_TEST

static const struct {
    const char *label, *who, *code;
    apr_int64_t quantity;
    apr_status_t status;
} refusals[] = {
    { "too dear",                    ANNA, "rose",  11,                  HB_E_WALLET_SHORT },
    { "bonus coins buy no gift",     BIM,  "rose",  1,                   HB_E_WALLET_SHORT },
    { "the host to themselves",      HOST, "rose",  1,                   HB_E_USER_SELF },
    { "for a higher OG tier",        ANNA, "crown", 1,                   HB_E_GIFT_OG },
    { "no longer sold",              ANNA, "old",   1,                   HB_E_GIFT_UNKNOWN },
    { "none",                        ANNA, "rose",  0,                   HB_E_INPUT_INVALID },
    { "less than none",              ANNA, "rose",  -1,                  HB_E_INPUT_INVALID },
    { "the most there is",           ANNA, "moon",  APR_INT64_MAX,       HB_E_INPUT_INVALID },
    { "the least there is",          ANNA, "moon",  APR_INT64_MIN,       HB_E_INPUT_INVALID },
    { "more than all coins",         ANNA, "moon",  APR_INT64_C(9007199254740993), HB_E_INPUT_INVALID },
    { "dear beyond any wallet",      ANNA, "moon",  9999,                HB_E_WALLET_SHORT },
};

START_TEST(a_refused_gift_leaves_nothing)
{
    hb_json_t *reply;
    apr_size_t i;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    hb_test_fund(ts, BIM, 0, 1000);
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        ck_assert_msg(give(&reply, refusals[i].who, refusals[i].code, refusals[i].quantity)
                      == refusals[i].status, "%s", refusals[i].label);
    }
    ck_assert_int_eq(purse(ANNA), 100);
    ck_assert_int_eq(n_gifts(), 0);
    ck_assert_int_eq(hb_json_int(stream_now(), "totalCoins", -1), 0);
    hb_test_prove(ts);
}
END_TEST

START_TEST(a_room_has_to_be_live_and_open_to_the_sender)
{
    hb_json_t *reply, *stream;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(hb_block_set(as(HOST), ANNA), APR_SUCCESS);
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_block_clear(as(HOST), ANNA), APR_SUCCESS);
    ck_assert_int_eq(give(&reply, NULL, "rose", 1), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(hb_room_restrain(&reply, as(HOST), room, ANNA,
                                      hb_test_json("{\"action\":\"kick\"}")), APR_SUCCESS);
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), HB_E_ROOM_KICKED);
    ck_assert_int_eq(hb_room_lift(as(HOST), room, ANNA), APR_SUCCESS);
    ck_assert_int_eq(give_as(&reply, as(ANNA), "rose", 1, "last"), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), room), APR_SUCCESS);
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), HB_E_STREAM_ENDED);
    /* What was acknowledged stays so, also when it is asked again too late. */
    ck_assert_int_eq(give_as(&reply, as(ANNA), "rose", 1, "last"), APR_SUCCESS);
    ck_assert_int_eq(purse(ANNA), 90);
    room = "0123456789abcdef01234567";
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), HB_E_STREAM_UNKNOWN);
}
END_TEST

static int n_shown(const char *user_id)
{
    hb_json_t *list;

    ck_assert_int_eq(hb_gift_list(&list, as(user_id), room, 10, NULL), APR_SUCCESS);
    return hb_json_length(hb_json_get(list, "items"));
}

START_TEST(a_block_hides_gifts_but_not_from_the_host)
{
    hb_json_t *reply;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(give(&reply, ANNA, "rose", 1), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(BIM), ANNA), APR_SUCCESS);
    ck_assert_int_eq(n_shown(BIM), 0);
    ck_assert_int_eq(n_shown(NULL), 1);
    ck_assert_int_eq(n_shown(ANNA), 1);
    ck_assert_int_eq(hb_block_set(as(HOST), ANNA), APR_SUCCESS);
    ck_assert_int_eq(n_shown(HOST), 1);
}
END_TEST

START_TEST(og_opens_gifts_until_it_ends)
{
    hb_json_t *reply;
    hb_edit_t edits[] = {
        { "ogLevel", HB_SET, HB_INT(2) },
        { "ogExpiresAt", HB_SET, HB_INT(0) },
    };

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    edits[1].value.integer = apr_time_as_msec(ts->now) + 1000;
    ck_assert_int_eq(hb_store_change(NULL, NULL, as(ANNA), HB_C_USERS, ANNA, NULL, 0, edits, 2),
                     APR_SUCCESS);
    ck_assert_int_eq(give(&reply, ANNA, "crown", 1), APR_SUCCESS);
    ts->now += apr_time_from_sec(1);
    ck_assert_int_eq(give(&reply, ANNA, "crown", 1), HB_E_GIFT_OG);
}
END_TEST

START_TEST(a_key_books_once)
{
    hb_json_t *first, *again;
    hb_op_t *op;

    open_site();
    hb_test_fund(ts, ANNA, 100, 0);
    ck_assert_int_eq(give_as(&first, as(ANNA), "rose", 2, "k"), APR_SUCCESS);
    op = as(ANNA);
    ck_assert_int_eq(give_as(&again, op, "rose", 2, "k"), APR_SUCCESS);
    ck_assert(op->is_replayed);
    ck_assert(hb_json_equal(first, again));
    ck_assert_int_eq(give_as(&again, as(ANNA), "rose", 3, "k"), HB_E_IDEM_MISMATCH);
    ck_assert_int_eq(give_as(&again, as(ANNA), "odd", 2, "k"), HB_E_IDEM_MISMATCH);
    ck_assert_int_eq(purse(ANNA), 80);
    ck_assert_int_eq(n_gifts(), 1);
    /* A key is one person's: another one's is another key. */
    hb_test_fund(ts, BIM, 100, 0);
    ck_assert_int_eq(give_as(&again, as(BIM), "rose", 2, "k"), APR_SUCCESS);
    ck_assert_int_eq(purse(BIM), 80);
    /* What was refused may be tried again. */
    ck_assert_int_eq(give_as(&again, as(BIM), "rose", 9, "k2"), HB_E_WALLET_SHORT);
    hb_test_fund(ts, BIM, 10, 0);
    ck_assert_int_eq(give_as(&again, as(BIM), "rose", 9, "k2"), APR_SUCCESS);
    hb_test_prove(ts);
}
END_TEST

/* --- races --- */

typedef struct racer_t {
    hb_op_t *op;
    const char *key;
    apr_status_t rv;
} racer_t;

static void *APR_THREAD_FUNC race(apr_thread_t *thread, void *baton)
{
    racer_t *racer = baton;
    hb_json_t *reply;

    (void)thread;
    racer->rv = give_as(&reply, racer->op, "rose", 1, racer->key);
    return NULL;
}

static void race_all(racer_t *racers, int n)
{
    apr_thread_t *threads[16];
    apr_status_t ended;
    int i;

    for (i = 0; i < n; i++) {
        racers[i].op = as(ANNA);
    }
    for (i = 0; i < n; i++) {
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, race, &racers[i], hb_test_pool),
                         APR_SUCCESS);
    }
    for (i = 0; i < n; i++) {
        apr_thread_join(&ended, threads[i]);
    }
}

START_TEST(of_two_for_the_last_coins_one_wins)
{
    int round;

    open_site();
    for (round = 0; round < 10; round++) {
        racer_t racers[2] = { { .key = NULL }, { .key = NULL } };

        racers[0].key = apr_psprintf(hb_test_pool, "a%d", round);
        racers[1].key = apr_psprintf(hb_test_pool, "b%d", round);
        hb_test_fund(ts, ANNA, 10, 0);
        race_all(racers, 2);
        ck_assert_int_eq((racers[0].rv == APR_SUCCESS) + (racers[1].rv == APR_SUCCESS), 1);
        ck_assert(racers[0].rv == HB_E_WALLET_SHORT || racers[1].rv == HB_E_WALLET_SHORT);
        ck_assert_int_eq(purse(ANNA), 0);
    }
    ck_assert_int_eq(hb_json_int(stream_now(), "totalCoins", -1), 100);
    hb_test_prove(ts);
}
END_TEST

START_TEST(one_key_many_times_at_once_books_once)
{
    racer_t racers[16];
    int i;

    open_site();
    hb_test_fund(ts, ANNA, 1000, 0);
    for (i = 0; i < 16; i++) {
        racers[i] = (racer_t){ .key = "same" };
    }
    race_all(racers, 16);
    for (i = 0; i < 16; i++) {
        ck_assert_int_eq(racers[i].rv, APR_SUCCESS);
    }
    ck_assert_int_eq(purse(ANNA), 990);
    ck_assert_int_eq(n_gifts(), 1);
    hb_test_prove(ts);
}
END_TEST

/* --- combos, lists, boards --- */

static apr_int64_t combo_of(const char *who, const char *code, apr_int64_t quantity)
{
    hb_json_t *reply;

    ck_assert_int_eq(give(&reply, who, code, quantity), APR_SUCCESS);
    return hb_json_int_value(hb_json_at(reply, "gift.combo"), -1);
}

START_TEST(the_same_gift_in_a_row_is_a_combo)
{
    open_site();
    hb_test_fund(ts, ANNA, 1000, 0);
    hb_test_fund(ts, BIM, 1000, 0);
    ck_assert_int_eq(combo_of(ANNA, "rose", 1), 1);
    ts->now += apr_time_from_msec(HB_GIFT_COMBO_MSEC);
    ck_assert_int_eq(combo_of(ANNA, "rose", 5), 6);
    ck_assert_int_eq(combo_of(BIM, "rose", 1), 1);
    ck_assert_int_eq(combo_of(ANNA, "rose", 1), 7);
    ck_assert_int_eq(combo_of(ANNA, "odd", 1), 1);
    ck_assert_int_eq(combo_of(ANNA, "rose", 1), 1);
    ts->now += apr_time_from_msec(HB_GIFT_COMBO_MSEC + 1);
    ck_assert_int_eq(combo_of(ANNA, "rose", 2), 2);
}
END_TEST

static int n_items(const hb_json_t *list)
{
    return hb_json_length(hb_json_get(list, "items"));
}

START_TEST(lists_go_on_where_they_stopped)
{
    hb_json_t *list, *gift;
    int i;

    open_site();
    hb_test_fund(ts, ANNA, 1000, 0);
    for (i = 1; i <= 5; i++) {
        ck_assert_int_eq(combo_of(ANNA, i % 2 ? "rose" : "odd", i), i);
        ts->now += apr_time_from_sec(1);
    }
    ck_assert_int_eq(hb_gift_list(&list, as(NULL), room, 3, NULL), APR_SUCCESS);
    ck_assert_int_eq(n_items(list), 3);
    gift = hb_json_item(hb_json_get(list, "items"), 0);
    ck_assert_int_eq(hb_json_int(gift, "quantity", -1), 5);
    ck_assert(!hb_json_has(gift, "hostCoins"));
    ck_assert_int_eq(hb_gift_list(&list, as(HOST), room, 3, hb_json_string(list, "next")),
                     APR_SUCCESS);
    ck_assert_int_eq(n_items(list), 2);
    gift = hb_json_item(hb_json_get(list, "items"), 1);
    ck_assert_int_eq(hb_json_int(gift, "quantity", -1), 1);
    ck_assert_int_eq(hb_json_int(gift, "hostCoins", -1), 5);
    ck_assert_ptr_null(hb_json_string(list, "next"));
    ck_assert_int_eq(hb_gift_catalog(&list, as(NULL), 2, NULL), APR_SUCCESS);
    ck_assert_int_eq(n_items(list), 2);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "code"), "odd");
    ck_assert_int_eq(hb_gift_catalog(&list, as(NULL), 9, hb_json_string(list, "next")),
                     APR_SUCCESS);
    ck_assert_int_eq(n_items(list), 2);
    ck_assert_int_eq(hb_gift_list(&list, as(NULL), "0123456789abcdef01234567", 3, NULL),
                     HB_E_STREAM_UNKNOWN);
}
END_TEST

/* "bbb1:30 bbb2:20": the ends of ids and the coins of a board. */
static const char *board_text(const hb_json_t *board)
{
    const char *text = "";
    int i;

    ck_assert_ptr_null(hb_schema_misfit(HB_R_LEADERBOARD, board, hb_test_pool));
    for (i = 0; i < n_items(board); i++) {
        hb_json_t *place = hb_json_item(hb_json_get(board, "items"), i);
        const char *id = hb_json_string_value(hb_json_at(place, "user.id"));

        ck_assert_int_eq(hb_json_int(place, "rank", -1), i + 1);
        text = apr_psprintf(hb_test_pool, "%s%s%s:%d", text, i > 0 ? " " : "", id + 20,
                            (int)hb_json_int(place, "coins", -1));
    }
    return text;
}

static const char *gifters(const char *who, const char *period)
{
    hb_json_t *board;

    ck_assert_int_eq(hb_leaderboard_gifters(&board, as(who), period, 10), APR_SUCCESS);
    return board_text(board);
}

START_TEST(boards_show_who_gives_most)
{
    hb_json_t *board;

    open_site();            /* a Wednesday */
    hb_test_fund(ts, ANNA, 1000, 0);
    hb_test_fund(ts, BIM, 1000, 0);
    combo_of(ANNA, "rose", 2);
    combo_of(BIM, "rose", 3);
    ck_assert_str_eq(gifters(NULL, "day"), "bbb2:30 bbb1:20");
    ts->now += apr_time_from_sec(86400);
    ck_assert_str_eq(gifters(NULL, "day"), "");
    combo_of(ANNA, "rose", 2);
    ck_assert_str_eq(gifters(NULL, "day"), "bbb1:20");
    ck_assert_str_eq(gifters(NULL, "week"), "bbb1:40 bbb2:30");
    ck_assert_int_eq(hb_leaderboard_room(&board, as(NULL), room, 1), APR_SUCCESS);
    ck_assert_str_eq(board_text(board), "bbb1:40");
    ck_assert_int_eq(hb_block_set(as(BIM), HOST), APR_SUCCESS);
    ck_assert_int_eq(hb_leaderboard_room(&board, as(HOST), room, 10), APR_SUCCESS);
    ck_assert_str_eq(board_text(board), "bbb1:40");
    ck_assert_int_eq(hb_block_clear(as(BIM), HOST), APR_SUCCESS);
    ts->now += apr_time_from_sec(4 * 86400);
    ck_assert_str_eq(gifters(NULL, "week"), "");
    combo_of(BIM, "odd", 1);
    ck_assert_str_eq(gifters(NULL, "week"), "bbb2:7");
}
END_TEST

static const struct { const char *day, *monday; } weeks[] = {
    { "1970-01-01", "1969-12-29" }, { "1970-01-05", "1970-01-05" },
    { "2026-07-01", "2026-06-29" }, { "2026-07-05", "2026-06-29" },
    { "2026-07-06", "2026-07-06" }, { "2027-01-01", "2026-12-28" },
};

START_TEST(a_week_begins_on_monday)
{
    apr_size_t i;

    for (i = 0; i < sizeof(weeks) / sizeof(weeks[0]); i++) {
        apr_time_t when;

        ck_assert(hb_time_read(&when, apr_pstrcat(hb_test_pool, weeks[i].day,
                                                  "T23:59:59Z", NULL)));
        ck_assert_str_eq(hb_leaderboard_week(hb_test_pool, when), weeks[i].monday);
    }
}
END_TEST

START_TEST(seeding_again_changes_nothing)
{
    hb_op_t *op;
    int n;

    open_site();
    ck_assert_int_eq(hb_gift_seed(&n, hb_test_site_op(ts), hb_test_json(
        "[{\"code\":\"rose\",\"name\":\"X\",\"priceCoins\":99},"
        "{\"code\":\"new\",\"name\":\"New\",\"priceCoins\":99}]")), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_gift_seed(&n, op, hb_test_json(
        "[{\"code\":\"newer\",\"name\":\"Newer\",\"priceCoins\":99},"
        "{\"code\":\"free\",\"name\":\"Free\",\"priceCoins\":0}]")), HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "priceCoins");
    hb_test_fund(ts, ANNA, 10, 0);
    ck_assert_int_eq(combo_of(ANNA, "rose", 1), 1);     /* still for 10 */
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_share_is_rounded_down, a_gift_moves_all_it_should, the_share_is_a_setting,
        a_refused_gift_leaves_nothing, a_room_has_to_be_live_and_open_to_the_sender,
        a_block_hides_gifts_but_not_from_the_host,
        og_opens_gifts_until_it_ends, a_key_books_once, of_two_for_the_last_coins_one_wins,
        one_key_many_times_at_once_books_once, the_same_gift_in_a_row_is_a_combo,
        lists_go_on_where_they_stopped, boards_show_who_gives_most, a_week_begins_on_monday,
        seeding_again_changes_nothing, NULL
    };

    return hb_test_main("hb_gift", cases);
}
