/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the ledger: an account's entries from the newest back, each posting naming the entry
 * that touched the account before; and what was minted and burned.
 */
#include "hb_ledger_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_time.h"

#define LINES_MAX 1000
#define LEDGER_PAGE 1000        /* rows of totals: kinds times currencies */

static const hb_json_t *posting_of(const hb_json_t *entry, const char *account)
{
    const hb_json_t *postings = hb_json_get(entry, "postings");
    int i;

    for (i = 0; i < hb_json_length(postings); i++) {
        const hb_json_t *posting = hb_json_item(postings, i);
        const char *name = hb_json_string(posting, "account");

        if (name != NULL && strcmp(name, account) == 0) {
            return posting;
        }
    }
    return NULL;
}

/* Id of the newest entry of an account, NULL when there is none. */
static apr_status_t newest(const char **id, hb_op_t *op, const char *account)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ACCOUNTS, account);

    *id = rv == APR_SUCCESS ? hb_json_string(doc, "lastEntry") : NULL;
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

/* An entry that another names; its posting on the account. */
static apr_status_t step(const hb_json_t **posting, hb_json_t **entry, hb_op_t *op,
                         const char *id, const char *account)
{
    apr_status_t rv = hb_store_get(entry, op, HB_C_TRANSACTIONS, id);

    *posting = rv == APR_SUCCESS ? posting_of(*entry, account) : NULL;
    if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && *posting == NULL)) {
        hb_log(op, HB_LOG_CRIT, 0, HBLOGNO(00409) "account %s: entry %s, which is named as one of "
               "its entries, is missing or another's; run `halobuzzctl ledger verify`",
               account, id);
        return HB_E_STORE_DAMAGED;
    }
    return rv;
}

apr_status_t hb_ledger_balance_at(apr_int64_t *coins, hb_op_t *op, const char *account,
                                  apr_time_t when)
{
    hb_op_t walker = *op;       /* with a pool that is cleared as the walk goes on */
    const hb_json_t *posting;
    hb_json_t *entry;
    const char *id;
    char next[HB_ID_LENGTH + 1];
    apr_status_t rv = newest(&id, op, account);

    *coins = 0;
    apr_pool_create(&walker.pool, op->pool);
    while (rv == APR_SUCCESS && id != NULL
           && (rv = step(&posting, &entry, &walker, id, account)) == APR_SUCCESS) {
        if (hb_json_int(entry, "createdAt", 0) <= hb_time_to_msec(when)) {
            *coins = hb_json_int(posting, "balance", 0);
            break;
        }
        id = hb_json_string(posting, "prev");
        if (id != NULL) {
            apr_cpystrn(next, id, sizeof(next));
            id = next;
        }
        apr_pool_clear(walker.pool);
    }
    apr_pool_destroy(walker.pool);
    return rv;
}

static void read_line(hb_statement_line_t *line, const hb_json_t *entry,
                      const hb_json_t *posting)
{
    line->entry_id = hb_json_string(entry, "_id");
    line->kind = hb_json_string(entry, "type");
    line->reference = hb_json_string(entry, "reference");
    line->reason = hb_json_string(entry, "reason");
    line->posted_at = hb_time_from_msec(hb_json_int(entry, "createdAt", 0));
    line->coins = hb_json_int(posting, "coins", 0);
    line->balance = hb_json_int(posting, "balance", 0);
}

/* A cursor is the id of the entry to go on with; it has to be one of the account's. */
static apr_status_t check_cursor(hb_op_t *op, const char *account, const char *after)
{
    hb_json_t *entry;
    apr_status_t rv = hb_id_is_valid(after) ? hb_store_get(&entry, op, HB_C_TRANSACTIONS, after)
                                            : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && posting_of(entry, account) == NULL)) {
        return hb_fail(op, HB_E_CURSOR_INVALID, "use next of the page before");
    }
    return rv;
}

apr_status_t hb_ledger_statement(const hb_statement_line_t **lines, int *n,
                                 const char **next, hb_op_t *op, const char *account,
                                 int limit, const char *after)
{
    hb_statement_line_t *all;
    const hb_json_t *posting;
    hb_json_t *entry;
    const char *id = after;
    apr_status_t rv;

    limit = limit < 1 ? 1 : limit > LINES_MAX ? LINES_MAX : limit;
    all = apr_palloc(op->pool, (apr_size_t)limit * sizeof(*all));
    *lines = all;
    *n = 0;
    *next = NULL;
    rv = after != NULL ? check_cursor(op, account, after) : newest(&id, op, account);
    while (rv == APR_SUCCESS && id != NULL && *n < limit
           && (rv = step(&posting, &entry, op, id, account)) == APR_SUCCESS) {
        read_line(&all[(*n)++], entry, posting);
        id = hb_json_string(posting, "prev");
    }
    if (rv == APR_SUCCESS) {
        *next = id;
    }
    return rv;
}

/* --- circulation --- */

static apr_status_t currency_json(hb_json_t **json, hb_op_t *op, const char *mint,
                                  const char *revenue)
{
    apr_int64_t minted = 0, earned = 0;
    apr_status_t rv = hb_ledger_balance(&minted, op, mint);

    if (rv == APR_SUCCESS) {
        rv = hb_ledger_balance(&earned, op, revenue);
    }
    *json = hb_json_object_make(op->pool);
    hb_json_set_int(*json, "minted", 0);
    hb_json_set_int(*json, "burned", 0);
    /* What the mint gave and did not get back is with somebody. */
    hb_json_set_int(*json, "circulation", -minted);
    hb_json_set_int(*json, "revenue", earned);
    return rv;
}

static void add_total(hb_json_t *json, const char *field, apr_int64_t more)
{
    apr_int64_t sum;

    if (__builtin_add_overflow(hb_json_int(json, field, 0), more, &sum)) {
        sum = APR_INT64_MAX;
    }
    hb_json_set_int(json, field, sum);
}

static apr_status_t circulation_in_store(hb_op_t *op, void *baton)
{
    hb_query_t query = { HB_C_LEDGER, NULL, 0 };
    hb_json_t *all = hb_json_object_make(op->pool);
    hb_json_t *kinds = hb_json_array_make(op->pool);
    hb_json_t *coin, *bonus;
    hb_page_t page;
    apr_status_t rv;
    int i;

    query.limit = LEDGER_PAGE;
    rv = currency_json(&coin, op, HB_ACCOUNT_MINT, HB_ACCOUNT_REVENUE);
    if (rv == APR_SUCCESS) {
        rv = currency_json(&bonus, op, HB_ACCOUNT_BONUS_MINT, HB_ACCOUNT_BONUS_REVENUE);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_find(&page, op, &query);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; i < page.n_items; i++) {
        hb_json_t *row = page.items[i];
        const char *currency = hb_json_string(row, "currency");
        hb_json_t *sum = currency != NULL && strcmp(currency, "bonus") == 0 ? bonus : coin;

        if (strcmp(hb_json_string(row, "_id"), HB_LEDGER_HEAD) == 0) {
            continue;
        }
        add_total(sum, "minted", hb_json_int(row, "minted", 0));
        add_total(sum, "burned", hb_json_int(row, "burned", 0));
        hb_json_remove(row, "_id");
        hb_json_push(kinds, row);
    }
    hb_json_set(all, "coin", coin);
    hb_json_set(all, "bonus", bonus);
    hb_json_set(all, "kinds", kinds);
    *(hb_json_t **)baton = all;
    return APR_SUCCESS;
}

apr_status_t hb_ledger_circulation(hb_json_t **circulation, hb_op_t *op)
{
    /* In a transaction, so that balances and totals are of one moment. */
    return hb_store_transact(op, circulation_in_store, circulation);
}
