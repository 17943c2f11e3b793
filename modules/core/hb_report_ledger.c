/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coins of a day, from the ledger's entries. Their times never run back, so a day is a stretch of
 * numbers: where it begins is found by halving, and it is walked to its end.
 */
#include "hb_report_private.h"

#include <stdlib.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_ledger_private.h"
#include "hb_time.h"

#define STRETCH 20000           /* entries without a rest */

typedef struct total_t {
    const char *kind;
    hb_currency_e currency;
    apr_int64_t entries, minted, burned;
} total_t;

typedef struct walk_t {
    hb_report_work_t *w;
    apr_hash_t *totals;
    apr_pool_t *scratch;
    apr_int64_t seq;            /* of the last entry that was looked at */
    apr_int64_t gifts, gift_coins;
    apr_int64_t circulation[2];
    int is_known[2];            /* circulation, from the day's own entries */
    int n;                      /* of this stretch */
    int is_over, is_damaged;
} walk_t;

/* --- where the day begins --- */

static apr_status_t time_of(apr_int64_t *msec, hb_op_t *op, apr_int64_t seq)
{
    const hb_cond_t where[] = { { "seq", HB_IS, HB_INT(seq) } };
    const hb_query_t query = { .in = HB_C_TRANSACTIONS, .where = where, .n_where = 1 };
    hb_json_t *entry;
    apr_status_t rv = hb_store_find_one(&entry, op, &query);

    if (rv == APR_SUCCESS) {
        *msec = hb_json_int(entry, "createdAt", 0);
    }
    return rv == HB_E_STORE_MISSING ? HB_E_STORE_DAMAGED : rv;
}

/* @param before  number of the last entry before the day, 0 for none */
static apr_status_t find_begin(apr_int64_t *before, hb_report_work_t *w)
{
    apr_int64_t low = 0, high = 0, msec = 0;
    hb_json_t *head;
    apr_status_t rv = hb_store_get(&head, w->op, HB_C_LEDGER, HB_LEDGER_HEAD);

    *before = 0;
    if (rv != APR_SUCCESS) {
        return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
    }
    high = hb_json_int(head, "seq", 0);
    while (low < high && rv == APR_SUCCESS) {   /* entries up to low are before it, those above high are not */
        apr_int64_t middle = high - (high - low) / 2;

        rv = time_of(&msec, w->op, middle);
        if (msec < w->from) {
            low = middle;
        }
        else {
            high = middle - 1;
        }
    }
    *before = low;
    return rv;
}

/* --- the walk --- */

static total_t *total_of(walk_t *walk, hb_slice_t type, hb_currency_e currency)
{
    const char *key = apr_psprintf(walk->scratch, "%.*s:%s", (int)type.n, type.at,
                                   hb_currency_name(currency));
    total_t *total = apr_hash_get(walk->totals, key, APR_HASH_KEY_STRING);

    if (total == NULL) {
        total = apr_pcalloc(walk->w->op->pool, sizeof(*total));
        total->kind = apr_pstrmemdup(walk->w->op->pool, type.at, type.n);
        total->currency = currency;
        apr_hash_set(walk->totals, apr_pstrdup(walk->w->op->pool, key), APR_HASH_KEY_STRING, total);
    }
    return total;
}

static void look_at_posting(walk_t *walk, const hb_entry_text_t *entry, int i)
{
    apr_int64_t coins = entry->postings[i].coins;
    hb_slice_t name = entry->postings[i].account;
    const hb_account_row_t *row = name.at != NULL ? hb_account_row(NULL, name.at, name.n) : NULL;
    total_t *total;

    if (row == NULL || (row->bit & (HB_LA_MINT | HB_LA_BONUS_MINT)) == 0) {
        return;
    }
    total = total_of(walk, entry->type, row->currency);
    total->entries++;
    if (coins < 0) {
        total->minted -= coins;
    }
    else {
        total->burned += coins;
    }
    walk->circulation[row->currency] = -entry->postings[i].balance;
    walk->is_known[row->currency] = 1;
}

static int look_at_entry(void *baton, const char *id, const char *text, apr_size_t len)
{
    walk_t *walk = baton;
    hb_entry_text_t entry;
    char giver[HB_ID_LENGTH + 1];
    int i;

    if (hb_entry_read(&entry, id, text, len, walk->scratch) != NULL) {
        walk->is_damaged = 1;
        return 1;
    }
    walk->is_over = entry.created_at >= walk->w->to;
    if (walk->is_over) {
        return 1;
    }
    walk->seq = entry.seq;
    for (i = 0; i < entry.n_postings; i++) {
        look_at_posting(walk, &entry, i);
    }
    if (hb_slice_is(entry.type, "gift")) {
        walk->gifts++;
        walk->gift_coins += entry.amount;
        if (entry.user_id.n == HB_ID_LENGTH) {
            memcpy(giver, entry.user_id.at, HB_ID_LENGTH);
            giver[HB_ID_LENGTH] = '\0';
            hb_crowd_add(walk->w->givers, giver);
        }
    }
    apr_pool_clear(walk->scratch);
    return ++walk->n == STRETCH;
}

static apr_status_t walk_day(walk_t *walk)
{
    apr_status_t rv;

    do {
        const hb_value_t above = HB_INT(walk->seq);

        walk->n = 0;
        rv = hb_store_walk(walk->w->op, HB_C_TRANSACTIONS, "seq", &above, look_at_entry, walk);
        if (rv == APR_SUCCESS && walk->is_damaged) {
            rv = hb_fail(walk->w->op, HB_E_STORE_DAMAGED, "an entry of the ledger cannot be read");
        }
        if (rv == APR_SUCCESS) {
            rv = hb_report_step(walk->w);
        }
    } while (rv == APR_SUCCESS && walk->n == STRETCH && !walk->is_over);
    return rv;
}

/* --- what it comes to --- */

static int compare_totals(const void *a, const void *b)
{
    const total_t *x = *(total_t *const *)a, *y = *(total_t *const *)b;
    int order = strcmp(x->kind, y->kind);

    return order != 0 ? order : (int)x->currency - (int)y->currency;
}

static void write_totals(walk_t *walk)
{
    hb_report_work_t *w = walk->w;
    apr_array_header_t *all = apr_array_make(w->op->pool, 8, sizeof(total_t *));
    hb_json_t *kinds = hb_json_array_make(w->op->pool);
    apr_int64_t minted[2] = { 0, 0 }, burned[2] = { 0, 0 };
    apr_hash_index_t *hi;
    int i;

    for (hi = apr_hash_first(w->op->pool, walk->totals); hi != NULL; hi = apr_hash_next(hi)) {
        APR_ARRAY_PUSH(all, total_t *) = apr_hash_this_val(hi);
    }
    qsort(all->elts, (size_t)all->nelts, sizeof(total_t *), compare_totals);
    for (i = 0; i < all->nelts; i++) {
        const total_t *total = APR_ARRAY_IDX(all, i, total_t *);
        hb_json_t *one = hb_json_object_make(w->op->pool);

        minted[total->currency] += total->minted;
        burned[total->currency] += total->burned;
        hb_json_set_string(one, "kind", total->kind);
        hb_json_set_string(one, "currency", hb_currency_name(total->currency));
        hb_json_set_int(one, "entries", total->entries);
        hb_json_set_int(one, "minted", total->minted);
        hb_json_set_int(one, "burned", total->burned);
        hb_json_push(kinds, one);
    }
    for (i = 0; i < 2; i++) {
        const char *name = i == HB_COIN ? "coins" : "bonus";

        hb_report_set(w, name, "minted", minted[i]);
        hb_report_set(w, name, "burned", burned[i]);
        hb_report_set(w, name, "circulation", walk->circulation[i]);
    }
    hb_report_set(w, "gifts", "sent", walk->gifts);
    hb_report_set(w, "gifts", "coins", walk->gift_coins);
    hb_json_set(w->doc, "kinds", kinds);
}

apr_status_t hb_report_ledger(hb_report_work_t *w)
{
    static const char *const mints[2] = { HB_ACCOUNT_MINT, HB_ACCOUNT_BONUS_MINT };
    walk_t walk = { .w = w, .totals = apr_hash_make(w->op->pool) };
    apr_status_t rv = find_begin(&walk.seq, w);
    int i;

    apr_pool_create(&walk.scratch, w->op->pool);
    if (rv == APR_SUCCESS) {
        rv = walk_day(&walk);
    }
    for (i = 0; i < 2 && rv == APR_SUCCESS; i++) {
        if (!walk.is_known[i]) {        /* nothing was made or unmade that day: as it was before */
            apr_int64_t balance;

            rv = hb_ledger_balance_at(&balance, w->op, mints[i], hb_time_from_msec(w->to - 1));
            walk.circulation[i] = -balance;
        }
    }
    if (rv == APR_SUCCESS) {
        write_totals(&walk);
    }
    return rv;
}
