/* SPDX-License-Identifier: Apache-2.0 */
/* Debts: read from the ledger's account, paid by an entry of kind "debt". */
#include "hb_debt.h"

#include <apr_strings.h>

#include "hb_ledger.h"

apr_status_t hb_debt_owed(apr_int64_t *coins, hb_op_t *op, const char *user_id)
{
    apr_status_t rv = hb_ledger_balance(coins, op, hb_account_debt(op, user_id));

    *coins = -*coins;
    return rv;
}

/* Let an account pay as far as it goes. */
static apr_status_t pay_from(hb_entry_t *entry, apr_int64_t *owed, hb_op_t *op,
                             const char *account)
{
    apr_int64_t coins;
    apr_status_t rv = hb_ledger_balance(&coins, op, account);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    coins = coins < *owed ? coins : *owed;
    *owed -= coins;
    return hb_entry_add(entry, account, HB_COIN, -coins);
}

apr_status_t hb_debt_settle(hb_op_t *op, const char *user_id, const char *cause)
{
    hb_entry_t entry = { .kind = "debt", .user_id = user_id,
                         .key = apr_pstrcat(op->pool, "debt:", cause, NULL) };
    apr_int64_t owed, left;
    apr_status_t rv = hb_debt_owed(&owed, op, user_id);

    if (rv != APR_SUCCESS || owed == 0) {
        return rv;
    }
    left = owed;
    rv = pay_from(&entry, &left, op, hb_account_earned(op, user_id));
    if (rv == APR_SUCCESS && left > 0) {
        rv = pay_from(&entry, &left, op, hb_account_user(op, user_id));
    }
    if (rv != APR_SUCCESS || left == owed) {
        return rv;
    }
    rv = hb_entry_add(&entry, hb_account_debt(op, user_id), HB_COIN, owed - left);
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, op, &entry);
    }
    return rv == HB_E_LEDGER_REPEATED ? APR_SUCCESS : rv;
}

apr_status_t hb_debt_check(hb_op_t *op, const char *user_id)
{
    apr_int64_t owed;
    apr_status_t rv = hb_debt_owed(&owed, op, user_id);

    if (rv == APR_SUCCESS && owed > 0) {
        return hb_fail(op, HB_E_WALLET_DEBT, "%" APR_INT64_T_FMT " coins are owed", owed);
    }
    return rv;
}
