/* SPDX-License-Identifier: Apache-2.0 */
/* What is old goes, what is young or of money stays, and settings say how old. */
#include "hb_retention.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_settings.h"
#include "hb_test.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define DAY apr_time_from_sec(86400)

static hb_test_site_t *ts;

static void open_site(const char *settings)
{
    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
}

/* A record whose time is so many days ago, in every row's way. */
static void add(const hb_retention_row_t *row, int n, int days_ago)
{
    hb_op_t *op = hb_test_site_op(ts);
    apr_time_t when = ts->now - days_ago * DAY;
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", apr_psprintf(op->pool, "%08x%016d",
                       (unsigned int)apr_time_sec(when), n));
    if (strcmp(row->by, "_id") != 0) {
        hb_json_set_int(doc, row->by, hb_time_to_msec(when));
    }
    if (row->drop != NULL) {
        hb_json_set_string(doc, row->drop, "bytes");
    }
    if (row->in == HB_C_JOB_RUNS) {
        hb_json_set_string(doc, "occurrence", apr_psprintf(op->pool, "o%d", n));
    }
    ck_assert_int_eq(hb_store_insert(NULL, op, row->in, doc), APR_SUCCESS);
}

static apr_int64_t n_of(hb_collection_e in, const char *field)
{
    const hb_cond_t where[] = { { field, HB_IS_NOT, HB_NIL } };
    const hb_query_t query = { .in = in, .where = where, .n_where = 1 };
    apr_int64_t n;

    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    return n;
}

static apr_int64_t cleaned(const char *name, int is_dry)
{
    hb_json_t *result, *items;
    int i;

    hb_test_site_forget_log(ts);
    ck_assert_int_eq(hb_retention_clean(&result, hb_test_site_op(ts), is_dry, NULL, NULL),
                     APR_SUCCESS);
    ck_assert(!hb_test_site_logged(ts, "HB01101"));
    items = hb_json_get(result, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        if (strcmp(hb_json_string(hb_json_item(items, i), "name"), name) == 0) {
            return hb_json_int(hb_json_item(items, i), "records", -1);
        }
    }
    return -1;
}

START_TEST(what_is_old_goes_in_every_row)
{
    const hb_retention_row_t *row;
    int i, n = 0;

    open_site("");
    for (i = 0; (row = hb_retention_at(i)) != NULL; i++) {
        const char *counted = row->drop != NULL ? row->drop : "_id";
        apr_int64_t before = n_of(row->in, counted);

        add(row, n++, row->days + 1);
        add(row, n++, row->days + 20);
        add(row, n++, row->days - 1);
        ck_assert_int_eq(cleaned(row->name, 1), 2);
        ck_assert_int_eq(n_of(row->in, counted), before + 3);
        ck_assert_int_eq(cleaned(row->name, 0), 2);
        ck_assert_int_eq(n_of(row->in, counted), before + 1);
        ck_assert_int_eq(cleaned(row->name, 0), 0);
    }
}
END_TEST

START_TEST(more_than_a_batch_goes_too)
{
    const hb_retention_row_t *codes = hb_retention_at(1);
    int i;

    open_site("");
    ck_assert_str_eq(codes->name, "codes");
    for (i = 0; i < 650; i++) {
        add(codes, i, 9);
    }
    ck_assert_int_eq(cleaned("codes", 0), 650);
    ck_assert_int_eq(n_of(HB_C_CODES, "_id"), 0);
}
END_TEST

START_TEST(money_is_in_no_row)
{
    static const hb_collection_e money[] = {
        HB_C_ACCOUNTS, HB_C_TRANSACTIONS, HB_C_LEDGER, HB_C_HOLDS, HB_C_ORDERS, HB_C_ORDER_REFS,
        HB_C_FLAGS, HB_C_PAYOUTS, HB_C_PAYOUT_BATCHES, HB_C_REVERSALS, HB_C_DISPUTES,
        HB_C_REFUNDS, HB_C_FRAUD_CASES, HB_C_APPROVALS, HB_C_GIFTS, HB_C_PRICES, HB_C_AUDIT,
        HB_C_USERS
    };
    const hb_retention_row_t *row;
    apr_size_t m;
    int i;

    for (i = 0; (row = hb_retention_at(i)) != NULL; i++) {
        for (m = 0; m < sizeof(money) / sizeof(money[0]); m++) {
            ck_assert_msg(row->in != money[m], "%s", row->name);
        }
        ck_assert_int_gt(row->days, 0);
    }
}
END_TEST

static const struct {
    const char *lines;
    const char *why;            /* part of the sentence; NULL when it is taken */
} settings[] = {
    { "chat 90d", NULL },
    { "chat 90d; sessions off", NULL },
    { "chats 90d", "nothing is called \"chats\"" },
    { "chat", "needs one duration" },
    { "chat 90d 3d", "needs one duration" },
    { "chat 5m", "no duration of a day" },
    { "chat soon", "no duration of a day" },
};

START_TEST(settings_say_how_long)
{
    const hb_retention_row_t *chat = hb_retention_at(3);
    apr_size_t i;

    for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *why = hb_retention_check(settings[i].lines, hb_test_pool);

        ck_assert_msg(settings[i].why == NULL ? why == NULL
                      : why != NULL && strstr(why, settings[i].why) != NULL, "%s: %s",
                      settings[i].lines, why != NULL ? why : "taken");
    }
    open_site("HaloBuzzRetention chat 10d\n");
    ck_assert_str_eq(chat->name, "chat");
    ck_assert_int_eq(hb_retention_kept(ts->site->settings, chat, hb_test_pool), 10 * DAY);
    add(chat, 1, 11);
    ck_assert_int_eq(cleaned("chat", 0), 1);
    open_site("HaloBuzzRetention chat off\n");
    add(chat, 1, 1000);
    ck_assert_int_eq(cleaned("chat", 0), 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_old_goes_in_every_row, more_than_a_batch_goes_too, money_is_in_no_row,
        settings_say_how_long, NULL
    };

    return hb_test_main("hb_retention", cases);
}
