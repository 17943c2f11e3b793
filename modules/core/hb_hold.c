/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds: open, then posted, voided or expired, and nothing after that. Each step is an entry
 * beside the change of the hold's record, in one transaction.
 */
#include "hb_ledger_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_time.h"
#include "hb_user.h"

#define EXPIRE_PAGE 100

static apr_status_t first_hold(const char **hold_id, hb_op_t *op, const char *entry_id)
{
    hb_json_t *entry;
    apr_status_t rv = hb_entry_load(&entry, op, entry_id);

    if (rv == APR_SUCCESS) {
        *hold_id = hb_json_string(entry, "reference");
    }
    return rv == APR_SUCCESS ? HB_E_LEDGER_REPEATED : rv;
}

/* Coins between an account and what is held of it. */
static apr_status_t move(const char **entry_id, hb_op_t *op, hb_entry_t *entry,
                         const char *from, const char *to, hb_currency_e currency,
                         apr_int64_t coins)
{
    const char *owner;
    apr_status_t rv = hb_entry_add(entry, from, currency, -coins);

    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(entry, to, currency, coins);
    }
    hb_account_row(&owner, from, strlen(from));
    entry->user_id = owner != NULL ? apr_pstrndup(op->pool, owner, HB_ID_LENGTH) : NULL;
    return rv == APR_SUCCESS ? hb_ledger_post(entry_id, op, entry) : rv;
}

apr_status_t hb_hold_reserve(const char **hold_id, hb_op_t *op, const char *account,
                             hb_currency_e currency, apr_int64_t coins, const char *key,
                             apr_time_t expires_at)
{
    const hb_account_row_t *row = hb_account_row(NULL, account, strlen(account));
    hb_entry_t entry = { .kind = "hold", .key = apr_pstrcat(op->pool, "hold:", key, NULL) };
    hb_json_t *hold = hb_json_object_make(op->pool);
    const char *entry_id;
    apr_status_t rv;

    *hold_id = NULL;
    if (coins <= 0) {
        return hb_fail_field(op, "coins", "range", "more than 0");
    }
    if (row == NULL || row->held_bit == 0) {
        return hb_fail(op, HB_E_LEDGER_KIND, "coins of this account are not set aside");
    }
    entry.reference = hb_id_make(op);
    rv = move(&entry_id, op, &entry, account, hb_account_held(op, account), currency, coins);
    if (rv == HB_E_LEDGER_REPEATED) {
        return first_hold(hold_id, op, entry_id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(hold, "_id", entry.reference);
    hb_json_set_string(hold, "account", account);
    hb_json_set_string(hold, "currency", hb_currency_name(currency));
    hb_json_set_int(hold, "coins", coins);
    hb_json_set_string(hold, "state", "open");
    hb_json_set_int(hold, "expiresAt", hb_time_to_msec(expires_at));
    hb_json_set_int(hold, "createdAt", hb_time_to_msec(op->now));
    *hold_id = entry.reference;
    return hb_store_insert(NULL, op, HB_C_HOLDS, hold);
}

/* End an open hold: its coins go to an account. */
static apr_status_t finish(const char **entry_id, hb_op_t *op, const char *hold_id,
                           const char *state, hb_entry_t *entry, const char *to)
{
    const hb_cond_t is_open[] = { { "state", HB_IS, HB_STR("open") } };
    const hb_edit_t edits[] = { { "state", HB_SET, HB_STR(state) } };
    const char *account, *dropped;
    hb_json_t *hold;
    apr_status_t rv = hb_id_is_valid(hold_id)
        ? hb_store_change(&hold, NULL, op, HB_C_HOLDS, hold_id, is_open, 1, edits, 1)
        : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_HOLD_UNKNOWN, NULL);
    }
    if (rv == HB_E_STORE_GUARD) {
        return hb_fail(op, HB_E_HOLD_STATE, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    account = hb_json_string(hold, "account");
    entry->reference = hold_id;
    return move(entry_id != NULL ? entry_id : &dropped, op, entry,
                hb_account_held(op, account), to != NULL ? to : account,
                strcmp(hb_json_string(hold, "currency"), "bonus") == 0 ? HB_BONUS : HB_COIN,
                hb_json_int(hold, "coins", 0));
}

apr_status_t hb_hold_post(const char **entry_id, hb_op_t *op, const char *hold_id,
                          const char *kind, const char *to_account)
{
    hb_entry_t entry = { .kind = kind,
                         .key = apr_pstrcat(op->pool, "hold-post:", hold_id, NULL) };

    return finish(entry_id, op, hold_id, "posted", &entry, to_account);
}

apr_status_t hb_hold_void(hb_op_t *op, const char *hold_id, const char *reason)
{
    hb_entry_t entry = { .kind = "hold_void", .reason = reason,
                         .key = apr_pstrcat(op->pool, "hold-void:", hold_id, NULL) };

    return finish(NULL, op, hold_id, "voided", &entry, NULL);
}

static apr_status_t expire_in_store(hb_op_t *op, void *baton)
{
    const char *hold_id = baton;
    hb_entry_t entry = { .kind = "hold_void", .reason = "expired",
                         .key = apr_pstrcat(op->pool, "hold-void:", hold_id, NULL) };

    return finish(NULL, op, hold_id, "expired", &entry, NULL);
}

apr_status_t hb_hold_expire(apr_int64_t *n, hb_op_t *op)
{
    const hb_cond_t where[] = {
        { "state", HB_IS, HB_STR("open") },
        { "expiresAt", HB_AT_MOST, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t query = { HB_C_HOLDS, where, 2, { { "expiresAt", 0 } }, EXPIRE_PAGE };
    hb_page_t page;
    apr_status_t rv = APR_SUCCESS;
    int i;

    *n = 0;
    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; i < page.n_items && rv == APR_SUCCESS; i++) {
            const char *account = hb_json_string(page.items[i], "account");
            const char *owner;

            rv = hb_store_transact(op, expire_in_store,
                                   (void *)hb_json_string(page.items[i], "_id"));
            if (rv == HB_E_HOLD_STATE) {
                hb_op_recover(op);      /* somebody else ended it just now */
                rv = APR_SUCCESS;
                continue;
            }
            if (rv == APR_SUCCESS) {
                hb_account_row(&owner, account, strlen(account));
                hb_user_changed(op, apr_pstrndup(op->pool, owner, HB_ID_LENGTH));
                ++*n;
            }
        }
    } while (rv == APR_SUCCESS && page.n_items == EXPIRE_PAGE);
    return rv;
}
