/* SPDX-License-Identifier: Apache-2.0 */
/* Users and coins that are just there; see hb_test_coins.h. */
#include "hb_test_coins.h"

#include <stdarg.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_time.h"

void hb_test_add_user(hb_test_site_t *ts, const char *id, ...)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *user = hb_json_object_make(op->pool);
    const char *key;
    va_list args;

    hb_json_set_string(user, "_id", id);
    hb_json_set_string(user, "username", id);
    hb_json_set_string(user, "status", "active");
    hb_json_set_int(user, "ogLevel", 0);
    hb_json_set_int(user, "createdAt", hb_time_to_msec(ts->now));
    va_start(args, id);
    for (key = va_arg(args, const char *); key != NULL; key = va_arg(args, const char *)) {
        hb_json_set_string(user, key, va_arg(args, const char *));
    }
    va_end(args);
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_USERS, user), APR_SUCCESS);
}

static apr_status_t post(hb_op_t *op, void *baton)
{
    return hb_ledger_post(NULL, op, baton);
}

void hb_test_fund(hb_test_site_t *ts, const char *user_id, apr_int64_t coins, apr_int64_t bonus)
{
    static int n;
    hb_op_t *op = hb_test_site_op(ts);
    hb_entry_t entry = { .kind = "purchase", .user_id = user_id };

    entry.key = apr_psprintf(op->pool, "fund:%d", n++);
    ck_assert_int_eq(hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -coins), APR_SUCCESS);
    ck_assert_int_eq(hb_entry_add(&entry, hb_account_user(op, user_id), HB_COIN, coins),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -bonus), APR_SUCCESS);
    ck_assert_int_eq(hb_entry_add(&entry, hb_account_bonus(op, user_id), HB_BONUS, bonus),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_store_transact(op, post, &entry), APR_SUCCESS);
}

apr_int64_t hb_test_holds(hb_test_site_t *ts, const char *account)
{
    apr_int64_t coins;

    ck_assert_int_eq(hb_ledger_balance(&coins, hb_test_site_op(ts), account), APR_SUCCESS);
    return coins;
}

void hb_test_prove(hb_test_site_t *ts)
{
    hb_ledger_proof_t proof;

    ck_assert_int_eq(hb_ledger_verify(&proof, hb_test_site_op(ts), NULL, NULL), APR_SUCCESS);
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
    ck_assert_int_eq(proof.sum_coin, 0);
    ck_assert_int_eq(proof.sum_bonus, 0);
}
