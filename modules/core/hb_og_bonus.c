/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daily bonus of OG tiers (OG-02, OG-04). The ledger's unique key is what makes it once per user
 * and date; all else here may be repeated. A page of users is one transaction, because a
 * durable commit each would take most of the time.
 */
#include "hb_og.h"

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_schema.h"
#include "hb_time.h"
#include "hb_user.h"

#define PAGE 100

typedef struct pay_t {
    const char *user_id;
    const char *date;
    apr_time_t day_begins;
    apr_int64_t coins;
} pay_t;

static apr_status_t pay_tx(hb_op_t *op, void *baton)
{
    pay_t *pay = baton;
    hb_entry_t entry = { .kind = "og_bonus", .user_id = pay->user_id };
    hb_og_terms_t terms;
    hb_json_t *user;
    apr_int64_t coins;
    apr_status_t rv;

    pay->coins = 0;
    rv = hb_store_get(&user, op, HB_C_USERS, pay->user_id);
    if (rv == HB_E_STORE_MISSING
        || (rv == APR_SUCCESS
            && (!hb_user_is_active(user) || hb_og_level(user, pay->day_begins) == 0
                || hb_json_int(user, "ogStartedAt", 0) > hb_time_to_msec(pay->day_begins)))) {
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_og_terms(&terms, op, hb_og_level(user, pay->day_begins));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    coins = hb_og_daily_bonus(terms.price_coins, terms.duration_days);
    if (coins == 0) {
        return APR_SUCCESS;
    }
    entry.key = apr_pstrcat(op->pool, "og-bonus:", pay->user_id, ":", pay->date, NULL);
    entry.reference = apr_psprintf(op->pool, "og:%d", terms.tier);
    rv = hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -coins);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_bonus(op, pay->user_id), HB_BONUS, coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, op, &entry);
    }
    if (rv == HB_E_LEDGER_REPEATED) {
        return APR_SUCCESS;
    }
    pay->coins = coins;
    return rv;
}

apr_status_t hb_og_bonus_pay(apr_int64_t *coins, hb_op_t *op, const char *user_id,
                             const char *date, apr_time_t day_begins)
{
    pay_t pay = { user_id, date, day_begins, 0 };
    apr_status_t rv = hb_store_transact(op, pay_tx, &pay);

    *coins = pay.coins;
    if (rv == APR_SUCCESS && pay.coins > 0 && op->tx == NULL) {
        hb_user_changed(op, user_id);
    }
    return rv;
}

/* --- to all --- */

typedef struct batch_t {
    const hb_page_t *users;
    const char *date;
    apr_time_t day_begins;
    apr_int64_t coins[PAGE];    /* what each was paid */
} batch_t;

static apr_status_t batch_tx(hb_op_t *op, void *baton)
{
    batch_t *batch = baton;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < batch->users->n_items; i++) {
        rv = hb_og_bonus_pay(&batch->coins[i], op, hb_user_id(batch->users->items[i]),
                             batch->date, batch->day_begins);
    }
    return rv;
}

/* One page of who had OG when the date began. @param next  where the following one starts; NULL at the end */
static apr_status_t pay_page(hb_og_bonus_run_t *run, const char **next, hb_op_t *op,
                             const char *date, apr_time_t day_begins)
{
    const hb_cond_t where[] = {
        { "ogExpiresAt", HB_ABOVE, HB_INT(hb_time_to_msec(day_begins)) },
    };
    /* Who buys meanwhile moves towards the end, so nobody is missed. */
    const hb_query_t query = { .in = HB_C_USERS, .where = where, .n_where = 1,
                               .sort = { { "ogExpiresAt", 0 } }, .limit = PAGE,
                               .after = *next };
    batch_t batch = { .date = date, .day_begins = day_begins };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    batch.users = &page;
    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, batch_tx, &batch);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        run->entitled++;
        if (batch.coins[i] > 0) {
            run->paid++;
            run->coins += batch.coins[i];
            hb_user_changed(op, hb_user_id(page.items[i]));
        }
    }
    *next = page.next;
    return APR_SUCCESS;
}

apr_status_t hb_og_bonus_pay_all(hb_og_bonus_run_t *run, hb_op_t *op, const char *date,
                                 apr_time_t day_begins, hb_store_report_fn *report,
                                 void *baton)
{
    apr_pool_t *all = op->pool, *page_pool;
    const char *next = NULL;
    apr_status_t rv = APR_SUCCESS;

    *run = (hb_og_bonus_run_t){ 0, 0, 0 };
    do {
        /* A pool for each page, so that memory does not grow with users; a failed one stays
         * with the problem it explains. */
        apr_pool_create(&page_pool, all);
        op->pool = page_pool;
        rv = pay_page(run, &next, op, date, day_begins);
        op->pool = all;
        next = next != NULL ? apr_pstrdup(all, next) : NULL;
        if (rv == APR_SUCCESS) {
            apr_pool_destroy(page_pool);
        }
        if (rv == APR_SUCCESS && report != NULL
            && report(baton, "daily bonus", run->entitled, 0) != 0) {
            rv = APR_EINTR;
        }
    } while (rv == APR_SUCCESS && next != NULL);
    return rv;
}
