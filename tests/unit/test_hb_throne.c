/* SPDX-License-Identifier: Apache-2.0 */
/* The throne over a real store: its price, what a claim moves, who may, and how it ends by itself. */
#include "hb_throne.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_job_run.h"
#include "hb_leaderboard.h"
#include "hb_ledger.h"
#include "hb_notice.h"
#include "hb_role.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_user.h"

#define HOST  "aaaaaaaaaaaaaaaaaaaaaaaa"
#define ANNA  "bbbbbbbbbbbbbbbbbbbbbbb1"
#define BIM   "bbbbbbbbbbbbbbbbbbbbbbb2"
#define HOUR  apr_time_from_sec(3600)

static hb_test_site_t *ts;
static const char *room;

static hb_op_t *as(const char *user_id)
{
    return hb_test_site_op_by(ts, user_id);
}

static void go_live(void)
{
    hb_json_t *stream, *input = hb_json_object_make(hb_test_pool);

    hb_json_set_string(input, "title", "Songs");
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), input), APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), room), APR_SUCCESS);
}

static void open_site_with(const char *settings)
{
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, HOST, NULL);
    hb_test_add_user(ts, ANNA, NULL);
    hb_test_add_user(ts, BIM, "birthDate", "2000-01-01", NULL);
    hb_test_fund(ts, ANNA, 10000, 0);
    hb_test_fund(ts, BIM, 10000, 0);
    go_live();
}

static void open_site(void)
{
    open_site_with("HaloBuzzThronePrice 101\n");
}

static apr_int64_t purse(const char *user_id)
{
    return hb_test_holds(ts, hb_account_user(hb_test_site_op(ts), user_id));
}

static apr_status_t claim_as(hb_json_t **reply, hb_op_t *op, apr_int64_t coins, const char *key)
{
    hb_json_t *input = hb_json_object_make(op->pool);

    op->idem_key = key;
    hb_json_set_int(input, "coins", coins);
    return hb_throne_claim(reply, op, room, input);
}

static apr_status_t claim(const char *who, apr_int64_t coins)
{
    static int n;
    hb_json_t *reply;
    apr_status_t rv = claim_as(&reply, as(who), coins, apr_psprintf(hb_test_pool, "c%d", n++));

    if (rv == APR_SUCCESS) {
        const char *misfit = hb_schema_misfit(HB_R_THRONE_CLAIMED, reply, hb_test_pool);

        ck_assert_msg(misfit == NULL, "%s", misfit);
    }
    return rv;
}

/* "b1 101 112 1": the end of the holder's id (- for nobody), coins, price, number. */
static const char *shown_to(const char *who)
{
    hb_json_t *throne;
    const char *id, *misfit;

    ck_assert_int_eq(hb_throne_show(&throne, as(who), room), APR_SUCCESS);
    misfit = hb_schema_misfit(HB_R_THRONE, throne, hb_test_pool);
    ck_assert_msg(misfit == NULL, "%s", misfit);
    id = hb_json_string_value(hb_json_at(throne, "user.id"));
    return apr_psprintf(hb_test_pool, "%s %d %d %d", id != NULL ? id + 22 : "-",
                        (int)hb_json_int(throne, "coins", 0),
                        (int)hb_json_int(throne, "price", -1),
                        (int)hb_json_int(throne, "number", -1));
}

static const char *shown(void)
{
    return shown_to(NULL);
}

/* "b2 expired, b1 outbid": newest first; "now" for one that lasts. */
static const char *reigns(void)
{
    const char *text = "";
    hb_json_t *list;
    int i;

    ck_assert_int_eq(hb_throne_history(&list, as(NULL), room, 20, NULL), APR_SUCCESS);
    for (i = 0; i < hb_json_length(hb_json_get(list, "items")); i++) {
        const hb_json_t *item = hb_json_item(hb_json_get(list, "items"), i);
        const char *id = hb_json_string_value(hb_json_at(item, "user.id"));
        const char *end = hb_json_string(item, "endReason");
        const char *misfit = hb_schema_misfit(HB_R_THRONE_REIGN, item, hb_test_pool);

        ck_assert_msg(misfit == NULL, "%s", misfit);
        text = apr_psprintf(hb_test_pool, "%s%s%s %s", text, i > 0 ? ", " : "",
                            id != NULL ? id + 22 : "-", end != NULL ? end : "now");
    }
    return text;
}

/* Each minute's and each day's in turn: they are to do the same. */
static void run_job(void)
{
    static int n;
    const hb_job_t *job = hb_job_named(n++ % 2 ? "throne-turn" : "throne-expiry");
    hb_job_run_t run = { .name = job->name, .date = "2026-07-02",
                         .occurrence = apr_pstrcat(hb_test_pool, job->name, ":2026-07-02", NULL) };
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.is_system = 1;
    ck_assert_int_eq(job->run(op, &run), APR_SUCCESS);
}

/* Does the record name a holder? */
static int is_held(void)
{
    hb_json_t *doc;

    ck_assert_int_eq(hb_store_get(&doc, hb_test_site_op(ts), HB_C_THRONES, HOST), APR_SUCCESS);
    return hb_json_has(doc, "userId");
}

/* --- the price --- */

static const struct { apr_int64_t coins, price; } prices[] = {
    { 1, 2 }, { 9, 10 }, { 10, 11 }, { 11, 13 }, { 100, 110 }, { 101, 112 }, { 109, 120 },
    { 110, 121 }, { 1000, 1100 }, { 1001, 1102 },
    { APR_INT64_C(9007199254740993), APR_INT64_C(9907919180215093) },
};

START_TEST(the_next_one_pays_a_tenth_more)
{
    apr_size_t i;

    for (i = 0; i < sizeof(prices) / sizeof(prices[0]); i++) {
        apr_int64_t price = hb_throne_price_over(prices[i].coins);

        ck_assert_int_eq(price, prices[i].price);
        /* The rule itself, without rounding: 10 * price >= 11 * coins, and no less would do. */
        ck_assert(price * 10 >= prices[i].coins * 11 && (price - 1) * 10 < prices[i].coins * 11);
    }
}
END_TEST

/* --- a claim --- */

START_TEST(a_claim_moves_all_it_should)
{
    hb_bus_reader_t *ear;
    hb_json_t *news, *stream, *board;

    open_site();
    ear = hb_test_listen(ts);
    ck_assert_str_eq(shown(), "- 0 101 0");
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_str_eq(shown(), "b1 101 112 1");
    ck_assert_int_eq(purse(ANNA), 9899);
    ck_assert_int_eq(hb_test_holds(ts, hb_account_earned(as(NULL), HOST)), 50);
    ck_assert_int_eq(hb_test_holds(ts, HB_ACCOUNT_REVENUE), 51);
    news = hb_test_heard(ear, HB_EV_THRONE_CLAIMED, room);
    ck_assert_ptr_nonnull(news);
    ck_assert_str_eq(hb_json_string_value(hb_json_at(news, "throne.user.id")), ANNA);
    ck_assert_ptr_null(hb_json_at(news, "previous.id"));
    ck_assert_int_eq(hb_json_int(news, "totalCoins", -1), 101);
    /* Over it, with more than is asked. */
    ck_assert_int_eq(claim(BIM, 200), APR_SUCCESS);
    ck_assert_str_eq(shown(), "b2 200 220 2");
    ck_assert_int_eq(purse(ANNA), 9899);        /* no refund */
    ck_assert_int_eq(purse(BIM), 9800);
    news = hb_test_heard(ear, HB_EV_THRONE_CLAIMED, room);
    ck_assert_str_eq(hb_json_string_value(hb_json_at(news, "previous.id")), ANNA);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(news, "throne.number"), -1), 2);
    ck_assert_str_eq(reigns(), "b2 now, b1 outbid");
    ck_assert_int_eq(hb_store_get(&stream, as(NULL), HB_C_STREAMS, room), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(stream, "totalCoins", -1), 301);
    ck_assert_int_eq(hb_leaderboard_room(&board, as(NULL), room, 10), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(hb_json_item(hb_json_get(board, "items"), 0), "coins", 0), 200);
    ck_assert_int_eq(hb_leaderboard_gifters(&board, as(NULL), "day", 10), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(board, "items")), 2);
    hb_test_prove(ts);
}
END_TEST

START_TEST(who_pays_too_little_hears_the_price)
{
    hb_json_t *reply;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(claim(ANNA, 100), HB_E_THRONE_PRICE);
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    op = as(BIM);
    ck_assert_int_eq(claim_as(&reply, op, 111, "k"), HB_E_THRONE_PRICE);
    ck_assert_str_eq(op->problem.detail, "the throne costs 112 coins now");
    ck_assert_int_eq(claim(BIM, 20000), HB_E_WALLET_SHORT);
    hb_test_fund(ts, HOST, 1000, 0);
    ck_assert_int_eq(claim(HOST, 112), HB_E_USER_SELF);
    ck_assert_int_eq(claim(ANNA, 1000), HB_E_THRONE_OWN);
    ck_assert_str_eq(shown(), "b1 101 112 1");
    ck_assert_int_eq(purse(BIM), 10000);
    /* Refused with a key, it may be tried again with it, for the price. */
    ck_assert_int_eq(claim_as(&reply, as(BIM), 112, "k"), APR_SUCCESS);
    hb_test_prove(ts);
}
END_TEST

START_TEST(bonus_coins_buy_no_throne)
{
    open_site();
    hb_test_add_user(ts, "cccccccccccccccccccccccc", NULL);
    hb_test_fund(ts, "cccccccccccccccccccccccc", 0, 5000);
    ck_assert_int_eq(claim("cccccccccccccccccccccccc", 101), HB_E_WALLET_SHORT);
    ck_assert_str_eq(shown(), "- 0 101 0");
}
END_TEST

START_TEST(a_key_claims_once)
{
    hb_json_t *first, *again;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(claim_as(&first, as(ANNA), 101, "k"), APR_SUCCESS);
    ck_assert_int_eq(claim(BIM, 112), APR_SUCCESS);
    op = as(ANNA);
    ck_assert_int_eq(claim_as(&again, op, 101, "k"), APR_SUCCESS);
    ck_assert(op->is_replayed && hb_json_equal(first, again));
    ck_assert_int_eq(claim_as(&again, as(ANNA), 102, "k"), HB_E_IDEM_MISMATCH);
    ck_assert_str_eq(shown(), "b2 112 124 2");
    ck_assert_int_eq(purse(ANNA), 9899);
    hb_test_prove(ts);
}
END_TEST

/* --- who may --- */

static apr_status_t restrain(const char *action)
{
    hb_json_t *view, *input = hb_json_object_make(hb_test_pool);

    hb_json_set_string(input, "action", action);
    return hb_room_restrain(&view, as(HOST), room, ANNA, input);
}

START_TEST(not_everybody_may_sit_there)
{
    hb_json_t *stream;

    open_site();
    hb_test_add_user(ts, "cccccccccccccccccccccccc", "birthDate", "2009-01-01", NULL);
    hb_test_fund(ts, "cccccccccccccccccccccccc", 5000, 0);
    ck_assert_int_eq(claim(NULL, 101), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(claim("cccccccccccccccccccccccc", 101), HB_E_USER_UNDERAGE);
    ck_assert_int_eq(hb_block_set(as(HOST), ANNA), APR_SUCCESS);
    ck_assert_int_eq(claim(ANNA, 101), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_block_clear(as(HOST), ANNA), APR_SUCCESS);
    ck_assert_int_eq(restrain("mute"), APR_SUCCESS);
    ck_assert_int_eq(claim(ANNA, 101), HB_E_ROOM_MUTED);
    ck_assert_int_eq(restrain("kick"), APR_SUCCESS);
    ck_assert_int_eq(claim(ANNA, 101), HB_E_ROOM_KICKED);
    ck_assert_int_eq(hb_room_lift(as(HOST), room, ANNA), APR_SUCCESS);
    ck_assert_int_eq(restrain("shadow_mute"), APR_SUCCESS);
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), room), APR_SUCCESS);
    ck_assert_int_eq(claim(BIM, 112), HB_E_STREAM_ENDED);
    room = "0123456789abcdef01234567";
    ck_assert_int_eq(claim(BIM, 112), HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(purse(BIM), 10000);
}
END_TEST

START_TEST(the_seat_is_the_rooms)
{
    const char *first;
    hb_json_t *stream, *state;

    open_site();
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), room), APR_SUCCESS);
    first = room;
    go_live();
    ck_assert_str_ne(room, first);
    ck_assert_str_eq(shown(), "b1 101 112 1");
    ck_assert_int_eq(hb_room_state(&state, as(BIM), room), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_ROOM_STATE, state, hb_test_pool));
    ck_assert_str_eq(hb_json_string_value(hb_json_at(state, "throne.user.id")), ANNA);
    ck_assert_int_eq(claim(BIM, 111), HB_E_THRONE_PRICE);
    ck_assert_int_eq(claim(BIM, 112), APR_SUCCESS);
    ck_assert_str_eq(reigns(), "b2 now, b1 outbid");
    room = first;
    ck_assert_str_eq(shown(), "b2 112 124 2");
}
END_TEST

/* --- how it ends --- */

START_TEST(time_is_up_without_a_job)
{
    open_site();
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ts->now += 24 * HOUR - apr_time_from_msec(1);
    ck_assert_str_eq(shown(), "b1 101 112 1");
    ck_assert_int_eq(claim(BIM, 111), HB_E_THRONE_PRICE);
    ts->now += apr_time_from_msec(1);
    ck_assert_str_eq(shown(), "- 0 101 1");
    ck_assert_str_eq(reigns(), "b1 expired");
    ck_assert(is_held());
    ck_assert_int_eq(claim(BIM, 100), HB_E_THRONE_PRICE);
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);    /* theirs no more, so they may */
    ck_assert_str_eq(shown(), "b1 101 112 2");
    ck_assert_str_eq(reigns(), "b1 now, b1 expired");
    hb_test_prove(ts);
}
END_TEST

START_TEST(the_job_tidies_up_and_no_more)
{
    int i;

    open_site();
    run_job();
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ts->now += 23 * HOUR;
    ck_assert_int_eq(claim(BIM, 112), APR_SUCCESS);
    ts->now += 2 * HOUR;
    run_job();                                  /* the first claim's time is up, not the second's */
    ck_assert_str_eq(shown(), "b2 112 124 2");
    ck_assert(is_held());
    ts->now += 22 * HOUR;
    for (i = 0; i < 2; i++) {
        run_job();
        ck_assert(!is_held());
        ck_assert_str_eq(shown(), "- 0 101 2");
        ck_assert_str_eq(reigns(), "b2 expired, b1 outbid");
    }
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_str_eq(shown(), "b1 101 112 3");
    ck_assert_str_eq(reigns(), "b1 now, b2 expired, b1 outbid");
    hb_test_prove(ts);
}
END_TEST

/* "b1 1 101": whose time was up, of which claim, and the price now; "" for no event. */
static const char *told(hb_bus_reader_t *ear, const char *stream_id)
{
    const hb_json_t *news = hb_test_heard(ear, HB_EV_THRONE_EXPIRED, stream_id);
    const char *id = hb_json_string_value(hb_json_at(news, "previous.id"));

    if (news == NULL) {
        return "";
    }
    ck_assert(!hb_json_bool(hb_json_get(news, "throne"), "isTaken", 1));
    ck_assert_str_eq(hb_json_string_value(hb_json_at(news, "throne.streamId")), stream_id);
    return apr_psprintf(hb_test_pool, "%s %d %d", id != NULL ? id + 22 : "-",
                        (int)hb_json_int_value(hb_json_at(news, "throne.number"), -1),
                        (int)hb_json_int_value(hb_json_at(news, "throne.price"), -1));
}

START_TEST(the_room_is_told_once_that_time_is_up)
{
    hb_bus_reader_t *ear;
    hb_json_t *ended;
    const char *first;

    open_site();
    ear = hb_test_listen(ts);
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ts->now += 24 * HOUR - apr_time_from_msec(1);
    run_job();
    ck_assert_str_eq(told(ear, room), "");
    ts->now += apr_time_from_msec(1);
    run_job();
    run_job();
    ck_assert_str_eq(told(ear, room), "b1 1 101");
    ck_assert_str_eq(told(ear, room), "");
    /* Claimed before the job came: the room hears of the claim alone. */
    ck_assert_int_eq(claim(BIM, 101), APR_SUCCESS);
    ts->now += 25 * HOUR;
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    run_job();
    ck_assert_str_eq(told(ear, room), "");
    ck_assert_str_eq(reigns(), "b1 now, b2 expired, b1 expired");
    /* It goes with the host into their next room; nobody is told while they are in none. */
    first = room;
    ck_assert_int_eq(hb_stream_end(&ended, as(HOST), first), APR_SUCCESS);
    go_live();
    ts->now += 24 * HOUR;
    run_job();
    ck_assert_str_eq(told(ear, room), "b1 3 101");
    ck_assert_int_eq(claim(BIM, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&ended, as(HOST), room), APR_SUCCESS);
    ts->now += 24 * HOUR;
    run_job();
    ck_assert_str_eq(told(ear, room), "");
    ck_assert(!is_held());
}
END_TEST

/* More than are looked for at once, with no claims on record. */
START_TEST(many_seats_are_tidied_in_one_run)
{
    const hb_query_t left = { .in = HB_C_THRONES, .where = (const hb_cond_t[]){
        { "expiresAt", HB_ABOVE, HB_INT(0) } }, .n_where = 1 };
    apr_int64_t n;
    int i;

    open_site();
    for (i = 0; i < 103; i++) {
        hb_json_t *doc = hb_json_object_make(hb_test_pool);

        hb_json_set_string(doc, "_id", apr_psprintf(hb_test_pool, "%024d", i));
        hb_json_set_string(doc, "claimId", apr_psprintf(hb_test_pool, "%024d", i));
        hb_json_set_string(doc, "userId", ANNA);
        hb_json_set_int(doc, "expiresAt", apr_time_as_msec(ts->now) - i % 2 + (i > 100));
        ck_assert_int_eq(hb_store_insert(NULL, hb_test_site_op(ts), HB_C_THRONES, doc), 0);
    }
    run_job();
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &left), APR_SUCCESS);
    ck_assert_int_eq(n, 1);     /* of the last two, one has a millisecond left */
}
END_TEST

START_TEST(how_long_is_a_setting)
{
    open_site_with("HaloBuzzThroneTTL 10m\nHaloBuzzGiftHostShare 0\n");
    ck_assert_int_eq(claim(ANNA, 999), HB_E_THRONE_PRICE);
    ck_assert_int_eq(claim(ANNA, 1000), APR_SUCCESS);
    ck_assert_int_eq(hb_test_holds(ts, hb_account_earned(as(NULL), HOST)), 0);
    ck_assert_int_eq(hb_test_holds(ts, HB_ACCOUNT_REVENUE), 1000);
    ts->now += apr_time_from_sec(600);
    ck_assert_str_eq(shown(), "- 0 1000 1");
}
END_TEST

START_TEST(who_is_gone_sits_nowhere)
{
    open_site();
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(BIM), ANNA), APR_SUCCESS);
    ck_assert_str_eq(shown_to(BIM), "- 101 112 1");     /* somebody, whom they do not see */
    ck_assert_str_eq(shown(), "b1 101 112 1");
    {
        hb_op_t *op = hb_test_site_op(ts);

        op->actor.is_system = 1;
        ck_assert_int_eq(hb_user_disable(op, ANNA, 1), APR_SUCCESS);
    }
    ck_assert_str_eq(shown(), "- 0 101 1");
    ck_assert_int_eq(claim(BIM, 101), APR_SUCCESS);
    ck_assert_str_eq(shown(), "b2 101 112 2");
    hb_test_prove(ts);
}
END_TEST

START_TEST(a_moderator_may_empty_it)
{
    hb_bus_reader_t *ear;
    hb_op_t *op;

    open_site();
    ear = hb_test_listen(ts);
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_throne_vacate(as(HOST), room, "I want to"), HB_E_ROLE_REQUIRED);
    op = as(BIM);
    op->actor.roles = HB_ROLE_MODERATOR;
    op->actor.has_totp = 1;
    ck_assert_int_eq(hb_throne_vacate(op, room, "a rude name"), APR_SUCCESS);
    ck_assert_str_eq(shown(), "- 0 101 1");
    ck_assert_str_eq(reigns(), "b1 vacated");
    ck_assert_ptr_nonnull(hb_test_heard(ear, HB_EV_THRONE_ENDED, room));
    ck_assert_int_eq(hb_throne_vacate(op, room, "again"), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_THRONE_ENDED, room));
    ck_assert_int_eq(claim(BIM, 101), APR_SUCCESS);
    ck_assert_int_eq(purse(ANNA), 9899);
}
END_TEST

START_TEST(who_loses_it_gets_a_notice)
{
    hb_json_t *list, *item;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ck_assert_int_eq(claim(BIM, 120), APR_SUCCESS);
    ck_assert_int_eq(hb_notice_list(&list, as(ANNA), 10, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    item = hb_json_item(hb_json_get(list, "items"), 0);
    ck_assert_str_eq(hb_json_string(item, "kind"), "throne.outbid");
    ck_assert_ptr_nonnull(strstr(hb_json_string(item, "text"), "for 120 coins"));
    op = as(HOST);
    op->actor.roles = HB_ROLE_MODERATOR;
    op->actor.has_totp = 1;
    ck_assert_int_eq(hb_throne_vacate(op, room, "a rude name"), APR_SUCCESS);
    ck_assert_int_eq(hb_notice_list(&list, as(BIM), 10, NULL), APR_SUCCESS);
    item = hb_json_item(hb_json_get(list, "items"), 0);
    ck_assert_ptr_nonnull(strstr(hb_json_string(item, "text"), "a rude name"));
    /* Nobody lost a throne whose time was up. */
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    ts->now += 25 * HOUR;
    ck_assert_int_eq(claim(BIM, 101), APR_SUCCESS);
    ck_assert_int_eq(hb_notice_list(&list, as(ANNA), 10, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
}
END_TEST

/* --- the clock --- */

/* What halobuzz-crond does when it looks at one of its jobs. Gives how often it ran. */
static int look_at_job(const char *name)
{
    const hb_job_t *job = hb_job_named(name);
    hb_op_t *op = hb_test_site_op(ts);
    hb_job_schedule_t schedule;
    hb_job_claim_t taken;
    apr_time_t next;
    int n = 0;

    op->actor.is_system = 1;
    ck_assert_ptr_null(hb_job_schedule(&schedule, ts->site->settings, job, op->pool));
    ck_assert_int_eq(hb_job_plan(&next, op, job, &schedule), APR_SUCCESS);
    while (hb_job_claim(&taken, op, "here", NULL) == APR_SUCCESS) {
        ck_assert_int_eq(hb_job_do(op, &taken), APR_SUCCESS);
        n++;
    }
    hb_op_recover(op);
    return n;
}

/* Two days, looked at every half hour: it is gone for everybody after one, and tidied up at 02:00. */
START_TEST(time_passes)
{
    apr_time_t claimed, is_tidy = 0;
    int n_runs = 0, i;

    open_site();                        /* 19:30 in Sydney */
    look_at_job("throne-expiry");
    ck_assert_int_eq(claim(ANNA, 101), APR_SUCCESS);
    claimed = ts->now;
    for (i = 0; i < 96; i++) {
        ts->now += HOUR / 2;
        n_runs += look_at_job("throne-expiry");
        ck_assert_str_eq(shown(), ts->now < claimed + 24 * HOUR ? "b1 101 112 1" : "- 0 101 1");
        if (is_tidy == 0 && !is_held()) {
            is_tidy = ts->now;
        }
    }
    ck_assert_int_eq(n_runs, 2);
    ck_assert_str_eq(reigns(), "b1 expired");
    /* 02:00 of the day after next, and up to a minute and the next look later. */
    ck_assert(is_tidy >= claimed + 30 * HOUR + HOUR / 2 && is_tidy <= claimed + 31 * HOUR);
}
END_TEST

/* --- races --- */

typedef struct racer_t {
    hb_op_t *op;
    const char *key;
    apr_int64_t coins;
    apr_status_t rv;
} racer_t;

static void *APR_THREAD_FUNC race(apr_thread_t *thread, void *baton)
{
    racer_t *racer = baton;
    hb_json_t *reply;

    (void)thread;
    racer->rv = claim_as(&reply, racer->op, racer->coins, racer->key);
    return NULL;
}

START_TEST(of_two_at_one_price_one_has_it)
{
    apr_int64_t price = 101, paid = 0;
    apr_thread_t *threads[2];
    apr_status_t ended;
    int round, i;

    open_site();
    for (round = 0; round < 10; round++) {
        racer_t racers[2] = { { as(ANNA) }, { as(BIM) } };

        for (i = 0; i < 2; i++) {
            racers[i].coins = price;
            racers[i].key = apr_psprintf(hb_test_pool, "r%d", round);
            ck_assert_int_eq(apr_thread_create(&threads[i], NULL, race, &racers[i],
                                               hb_test_pool), APR_SUCCESS);
        }
        for (i = 0; i < 2; i++) {
            apr_thread_join(&ended, threads[i]);
        }
        for (i = 0; i < 2; i++) {
            /* Who has it already is refused for that, whoever comes first. */
            ck_assert_msg(racers[i].rv == APR_SUCCESS || racers[i].rv == HB_E_THRONE_PRICE
                          || racers[i].rv == HB_E_THRONE_OWN, "%d", racers[i].rv);
        }
        ck_assert_int_eq((racers[0].rv == APR_SUCCESS) + (racers[1].rv == APR_SUCCESS), 1);
        paid += price;
        price = hb_throne_price_over(price);
    }
    ck_assert_int_eq(purse(ANNA) + purse(BIM), 20000 - paid);
    ck_assert_str_eq(shown() + 3, apr_psprintf(hb_test_pool, "%d %d 10",
                                               (int)(price * 10 / 11), (int)price));
    hb_test_prove(ts);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        the_next_one_pays_a_tenth_more, a_claim_moves_all_it_should,
        who_pays_too_little_hears_the_price, bonus_coins_buy_no_throne, a_key_claims_once,
        not_everybody_may_sit_there, the_seat_is_the_rooms, time_is_up_without_a_job,
        the_job_tidies_up_and_no_more,
        the_room_is_told_once_that_time_is_up, many_seats_are_tidied_in_one_run,
        how_long_is_a_setting, who_is_gone_sits_nowhere, a_moderator_may_empty_it,
        who_loses_it_gets_a_notice, time_passes, of_two_at_one_price_one_has_it, NULL
    };

    return hb_test_main("hb_throne", cases);
}
