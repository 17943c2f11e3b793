/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a day: what falls into it, what does not, and the same again a day later. */
#include "hb_report.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_schema.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_time.h"

#define ZONE "Australia/Sydney"
#define HOUR apr_time_from_sec(3600)

static hb_test_site_t *ts;
static const hb_zone_t *zone;
static apr_time_t begins;       /* of 2026-10-04, a day of 23 hours there */

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    ck_assert_int_eq(hb_zone_load(&zone, ZONE, hb_test_pool), APR_SUCCESS);
    ck_assert(hb_zone_day_begins(&begins, zone, "2026-10-04"));
}

static void insert(hb_collection_e in, const char *text)
{
    hb_op_t *op = hb_test_site_op(ts);
    char *proper = apr_pstrdup(op->pool, text), *c;
    hb_json_t *doc;

    for (c = proper; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    doc = hb_json_parse_own(proper, strlen(proper), op->pool);
    ck_assert_ptr_nonnull(doc);
    ck_assert_int_eq(hb_store_insert(NULL, op, in, doc), APR_SUCCESS);
}

static apr_status_t post(hb_op_t *op, void *baton)
{
    return hb_ledger_post(NULL, op, baton);
}

static void move(const char *kind, const char *from, const char *to, hb_currency_e currency,
                 apr_int64_t coins, const char *who)
{
    static int n;
    hb_op_t *op = hb_test_site_op(ts);
    hb_entry_t entry = { .kind = kind, .user_id = who, .reason = "a test",
                         .key = apr_psprintf(op->pool, "k%d", n++) };

    ck_assert_int_eq(hb_entry_add(&entry, from, currency, -coins), 0);
    ck_assert_int_eq(hb_entry_add(&entry, to, currency, coins), 0);
    ck_assert_int_eq(hb_store_transact(op, post, &entry), APR_SUCCESS);
}

/* The same on two days; the first of them is the one that is counted. */
static void happen(hb_test_person_t *maya, hb_test_person_t *noor)
{
    hb_op_t *op = hb_test_site_op(ts);
    apr_int64_t msec = hb_time_to_msec(ts->now);
    const char *id = hb_id_make(op);

    move("purchase", HB_ACCOUNT_MINT, hb_account_user(op, maya->id), HB_COIN, 100, maya->id);
    move("gift", hb_account_user(op, maya->id), hb_account_earned(op, noor->id), HB_COIN, 30,
         maya->id);
    move("refund", hb_account_user(op, maya->id), HB_ACCOUNT_MINT, HB_COIN, 20, maya->id);
    insert(HB_C_STREAMS, apr_psprintf(op->pool, "{'_id':'%s','hostId':'%s','title':'t',"
           "'status':'ended','createdAt':1,'startedAt':%" APR_INT64_T_FMT ",'endedAt':%"
           APR_INT64_T_FMT ",'analytics':{'watchSec':660}}", id, noor->id, msec, msec + 1000));
    insert(HB_C_VIEWS, apr_psprintf(op->pool, "{'streamId':'%s','userId':'%s','joinedAt':%"
           APR_INT64_T_FMT "}", id, maya->id, msec));
    insert(HB_C_MESSAGES, apr_psprintf(op->pool, "{'streamId':'%s','userId':'%s','text':'hi',"
           "'createdAt':%" APR_INT64_T_FMT "}", id, maya->id, msec));
    insert(HB_C_ORDERS, apr_psprintf(op->pool, "{'userId':'%s','provider':'stripe',"
           "'currency':'usd','amountMinor':500,'isLive':false,'state':'paid','createdAt':1,"
           "'paidAt':%" APR_INT64_T_FMT "}", maya->id, msec));
    insert(HB_C_REFUNDS, apr_psprintf(op->pool, "{'orderId':'%s','userId':'%s',"
           "'provider':'stripe','currency':'usd','amountMinor':120,'state':'done','createdAt':1,"
           "'endedAt':%" APR_INT64_T_FMT "}", id, maya->id, msec));
}

static apr_int64_t figure(const hb_json_t *view, const char *path)
{
    return hb_json_int_value(hb_json_at(view, path), -1);
}

static hb_json_t *make(const char *date)
{
    hb_json_t *view;

    hb_test_site_forget_log(ts);
    ck_assert_int_eq(hb_report_make(&view, hb_test_site_op(ts), date, zone, NULL, NULL),
                     APR_SUCCESS);
    ck_assert(!hb_test_site_logged(ts, "HB01101"));
    return view;
}

static void is_right(const hb_json_t *view)
{
    const hb_json_t *paid = hb_json_item(hb_json_get(view, "payments"), 0);

    ck_assert_int_eq(figure(view, "users.registered"), 2);
    ck_assert_int_eq(figure(view, "users.active"), 2);
    ck_assert_int_eq(figure(view, "streams.started"), 1);
    ck_assert_int_eq(figure(view, "streams.ended"), 1);
    ck_assert_int_eq(figure(view, "streams.watchMinutes"), 11);
    ck_assert_int_eq(figure(view, "chat.messages"), 1);
    ck_assert_int_eq(figure(view, "gifts.sent"), 1);
    ck_assert_int_eq(figure(view, "gifts.coins"), 30);
    ck_assert_int_eq(figure(view, "coins.minted"), 100);
    ck_assert_int_eq(figure(view, "coins.burned"), 20);
    ck_assert_int_eq(figure(view, "coins.circulation"), 80);
    ck_assert_int_eq(figure(view, "bonus.circulation"), 0);
    ck_assert_int_eq(hb_json_length(hb_json_get(view, "kinds")), 2);
    ck_assert_int_eq(hb_json_length(hb_json_get(view, "payments")), 1);
    ck_assert_int_eq(hb_json_int(paid, "amountMinor", 0), 500);
    ck_assert_int_eq(hb_json_bool(paid, "isLive", 1), 0);
    ck_assert_int_eq(hb_json_int(hb_json_item(hb_json_get(view, "refunds"), 0), "amountMinor", 0),
                     120);
}

START_TEST(a_day_is_what_happened_in_it)
{
    hb_test_person_t *maya, *noor;
    hb_json_t *view;

    open_site();
    ts->now = begins;
    maya = hb_test_person(ts, "maya");
    noor = hb_test_person(ts, "noor");
    ts->now = begins + 22 * HOUR;
    happen(maya, noor);
    view = make("2026-10-04");
    is_right(view);
    ck_assert(!hb_json_bool(view, "isFinal", 1));
    ts->now = begins + 23 * HOUR;       /* the next day, for the clocks were put forward */
    happen(maya, noor);
    ts->now += 5 * HOUR;
    view = make("2026-10-04");          /* again: the same, and final now */
    is_right(view);
    ck_assert(hb_json_bool(view, "isFinal", 0));
    view = make("2026-10-05");
    ck_assert_int_eq(figure(view, "users.registered"), 0);
    ck_assert_int_eq(figure(view, "users.active"), 2);
    ck_assert_int_eq(figure(view, "coins.minted"), 100);
    ck_assert_int_eq(figure(view, "coins.circulation"), 160);
    view = make("2026-10-03");
    ck_assert_int_eq(figure(view, "users.active"), 0);
    ck_assert_int_eq(figure(view, "coins.circulation"), 0);
    ck_assert_int_eq(hb_json_length(hb_json_get(view, "kinds")), 0);
}
END_TEST

START_TEST(a_quiet_day_has_what_was_there_before)
{
    hb_op_t *op;
    hb_test_person_t *maya;

    open_site();
    ts->now = begins - 48 * HOUR;
    maya = hb_test_person(ts, "maya");
    op = hb_test_site_op(ts);
    move("grant", HB_ACCOUNT_BONUS_MINT, hb_account_bonus(op, maya->id), HB_BONUS, 7, maya->id);
    ts->now = begins + 30 * HOUR;
    move("grant", HB_ACCOUNT_BONUS_MINT, hb_account_bonus(op, maya->id), HB_BONUS, 5, maya->id);
    ck_assert_int_eq(figure(make("2026-10-04"), "bonus.circulation"), 7);
    ck_assert_int_eq(figure(make("2026-10-04"), "bonus.minted"), 0);
}
END_TEST

START_TEST(what_is_kept_can_be_listed_and_put_into_a_table)
{
    hb_json_t *view, *list;
    const char *csv;

    open_site();
    ts->now = begins + 26 * HOUR;
    ck_assert_int_eq(hb_report_get(&view, hb_test_site_op(ts), "2026-10-04"),
                     HB_E_REPORT_UNKNOWN);
    make("2026-10-04");
    make("2026-10-05");
    ck_assert_int_eq(hb_report_get(&view, hb_test_site_op(ts), "2026-10-04"), APR_SUCCESS);
    ck_assert_int_eq(hb_report_list(&list, hb_test_site_op(ts), 1, NULL), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list, "items"), 0), "date"),
                     "2026-10-05");
    ck_assert_ptr_nonnull(hb_json_string(list, "next"));
    csv = hb_report_csv(hb_test_pool, view);
    ck_assert(strncmp(csv, "date,figure,of,value\r\n", 22) == 0);
    ck_assert_ptr_nonnull(strstr(csv, "2026-10-04,users.registered,"));
    ck_assert_int_eq(hb_report_make(&view, hb_test_site_op(ts), "2026-13-04", zone, NULL, NULL),
                     HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_report_make(&view, hb_test_site_op(ts), "2027-01-01", zone, NULL, NULL),
                     HB_E_INPUT_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_day_is_what_happened_in_it, a_quiet_day_has_what_was_there_before,
        what_is_kept_can_be_listed_and_put_into_a_table, NULL
    };

    return hb_test_main("hb_report", cases);
}
