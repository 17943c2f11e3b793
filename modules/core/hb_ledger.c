/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing entries. Everything is read and checked first; what a caller may go on after (short,
 * repeated, a kind that does not fit) is found before the first write. The store runs
 * transactions one after the other, or makes the later one start again, so what was read
 * here still holds when it is written back.
 */
#include "hb_ledger_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_time.h"

#define KEY_MAX 200
#define REFERENCE_MAX 100
#define REASON_MAX 300
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* A posting on its way, with the account it touches. */
typedef struct touch_t {
    const hb_posting_t *posting;
    const hb_account_row_t *row;
    const char *owner;          /* NULL for the platform's */
    hb_json_t *doc;
    int is_new;
    apr_int64_t balance;        /* after it */
    const char *prev;           /* NULL for the first */
} touch_t;

typedef struct work_t {
    hb_ledger_run_t *run;       /* what it is one of; NULL by itself */
    const hb_entry_t *entry;
    const hb_ledger_kind_t *kind;
    touch_t touches[HB_POSTINGS_MAX];
    int n;
    const char *id;
    hb_json_t *head;
    int is_first;
    apr_int64_t seq;
    apr_int64_t posted_at;      /* milliseconds */
    const char *prev_hash;
    char hash[HB_HASH_DIGITS + 1];
} work_t;

/* --- names of accounts --- */

const char *hb_account_user(hb_op_t *op, const char *user_id)
{
    return apr_pstrcat(op->pool, "user:", user_id, NULL);
}

const char *hb_account_bonus(hb_op_t *op, const char *user_id)
{
    return apr_pstrcat(op->pool, "user:", user_id, ":bonus", NULL);
}

const char *hb_account_earned(hb_op_t *op, const char *user_id)
{
    return apr_pstrcat(op->pool, "host:", user_id, ":earned", NULL);
}

const char *hb_account_debt(hb_op_t *op, const char *user_id)
{
    return apr_pstrcat(op->pool, "user:", user_id, ":debt", NULL);
}

const char *hb_account_held(hb_op_t *op, const char *account)
{
    return apr_pstrcat(op->pool, account, ":held", NULL);
}

apr_status_t hb_entry_add(hb_entry_t *entry, const char *account, hb_currency_e currency,
                          apr_int64_t coins)
{
    int i;

    if (account == NULL) {
        return HB_E_INTERNAL;
    }
    if (coins == 0) {
        return APR_SUCCESS;
    }
    for (i = 0; i < entry->n_postings; i++) {
        hb_posting_t *posting = &entry->postings[i];

        if (posting->currency == currency && strcmp(posting->account, account) == 0) {
            if (__builtin_add_overflow(posting->coins, coins, &posting->coins)) {
                return HB_E_INPUT_INVALID;
            }
            if (posting->coins == 0) {
                *posting = entry->postings[--entry->n_postings];
            }
            return APR_SUCCESS;
        }
    }
    if (entry->n_postings == HB_POSTINGS_MAX) {
        return HB_E_INTERNAL;
    }
    entry->postings[entry->n_postings++] = (hb_posting_t){ account, currency, coins };
    return APR_SUCCESS;
}

/* --- checks that need no store --- */

/* Our own mistake: logged, because the client is told little. */
static apr_status_t refuse(hb_op_t *op, apr_status_t rv, const hb_entry_t *entry,
                           const char *what, const char *which)
{
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00408) "ledger entry %s (%s): %s%s",
           entry->key != NULL ? entry->key : "without key",
           entry->kind != NULL ? entry->kind : "no kind", what, which);
    return hb_fail(op, rv, NULL);
}

static apr_status_t too_much(hb_op_t *op)
{
    return hb_fail_field(op, "coins", "range", "the sum is beyond 64 bits");
}

static int is_too_long(const char *text, apr_size_t max)
{
    return text != NULL && strlen(text) > max;
}

static int has_real(void *baton, const char *key, hb_json_t *value)
{
    int i;

    (void)key;
    if (hb_json_type(value) == HB_JSON_REAL) {
        return 1;
    }
    for (i = 0; i < hb_json_length(value); i++) {
        if (has_real(baton, NULL, hb_json_item(value, i))) {
            return 1;
        }
    }
    return hb_json_each(value, has_real, baton);
}

static apr_status_t check_texts(hb_op_t *op, const hb_entry_t *entry)
{
    if (entry->key == NULL || *entry->key == '\0') {
        return refuse(op, HB_E_INTERNAL, entry, "it has no key", "");
    }
    if (is_too_long(entry->key, KEY_MAX) || is_too_long(entry->reference, REFERENCE_MAX)) {
        return hb_fail_field(op, "key", "length", "too long to be kept");
    }
    if (is_too_long(entry->reason, REASON_MAX)) {
        return hb_fail_field(op, "reason", "length", "at most %d bytes", REASON_MAX);
    }
    if (entry->metadata != NULL && (hb_json_type(entry->metadata) != HB_JSON_OBJECT
                                    || has_real(NULL, NULL, entry->metadata))) {
        return refuse(op, HB_E_INTERNAL, entry, "metadata is no object without reals", "");
    }
    return APR_SUCCESS;
}

/* The touches in name order, each allowed by the kind's row. */
static apr_status_t check_postings(work_t *w, hb_op_t *op)
{
    const hb_entry_t *entry = w->entry;
    apr_int64_t sums[2] = { 0, 0 };
    const char *owner = NULL;   /* of all accounts that may not deal with another's */
    int is_reversal, i, j;

    w->kind = entry->kind != NULL
        ? hb_ledger_kind(&is_reversal, entry->kind, strlen(entry->kind)) : NULL;
    if (w->kind == NULL || is_reversal != (entry->reverses != NULL)) {
        return refuse(op, HB_E_LEDGER_KIND, entry, "there is no such kind", "");
    }
    if (((w->kind->flags & HB_LK_REASON) != 0 || is_reversal) && (entry->reason == NULL || !*entry->reason)) {
        return refuse(op, HB_E_LEDGER_KIND, entry, "this kind needs a reason", "");
    }
    for (i = 0; i < entry->n_postings; i++) {
        const hb_posting_t *posting = &entry->postings[i];
        touch_t touch = { .posting = posting };
        int arrives = (posting->coins > 0) != is_reversal;

        touch.row = hb_account_row(&touch.owner, posting->account, strlen(posting->account));
        if (touch.row == NULL || touch.row->currency != posting->currency) {
            return refuse(op, HB_E_LEDGER_KIND, entry, "no such account in this currency: ",
                          posting->account);
        }
        if ((touch.row->bit & (arrives ? w->kind->to : w->kind->from)) == 0) {
            return refuse(op, HB_E_LEDGER_KIND, entry, arrives
                          ? "coins may not arrive at " : "coins may not leave ",
                          posting->account);
        }
        if (touch.owner != NULL && (touch.row->currency == HB_BONUS
                                    || (w->kind->flags & HB_LK_LASTS) != 0)) {
            if (owner != NULL && strncmp(owner, touch.owner, HB_ID_LENGTH) != 0) {
                return refuse(op, HB_E_LEDGER_KIND, entry, "coins that stay with their user "
                              "may not arrive at ", posting->account);
            }
            owner = touch.owner;
        }
        if (posting->coins == 0 || posting->coins == APR_INT64_MIN
            || __builtin_add_overflow(sums[posting->currency], posting->coins,
                                      &sums[posting->currency])) {
            return too_much(op);
        }
        for (j = w->n++; j > 0
                 && strcmp(w->touches[j - 1].posting->account, posting->account) > 0; j--) {
            w->touches[j] = w->touches[j - 1];
        }
        w->touches[j] = touch;
        if (j > 0 && strcmp(w->touches[j - 1].posting->account, posting->account) == 0) {
            return refuse(op, HB_E_INTERNAL, entry, "an account stands twice: ",
                          posting->account);
        }
    }
    if (sums[HB_COIN] != 0 || sums[HB_BONUS] != 0 || w->n == 0) {
        return refuse(op, HB_E_LEDGER_UNBALANCED, entry, "it does not sum to zero", "");
    }
    return APR_SUCCESS;
}

/* --- reading what is there --- */

static apr_status_t find_key(const char **id, hb_op_t *op, const hb_ledger_run_t *run,
                             const char *key)
{
    const hb_cond_t where[] = { { "key", HB_IS, HB_STR(key) } };
    hb_query_t query = { HB_C_TRANSACTIONS, where, 1 };
    const char *known = run != NULL ? hb_run_key(run, key) : NULL;
    hb_json_t *entry;
    apr_status_t rv;

    if (known != NULL) {
        *id = *known != '\0' ? known : NULL;
        return *id != NULL ? HB_E_LEDGER_REPEATED : APR_SUCCESS;
    }
    rv = hb_store_find_one(&entry, op, &query);
    if (rv == APR_SUCCESS) {
        *id = hb_json_string(entry, "_id");
        return HB_E_LEDGER_REPEATED;
    }
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}

static apr_status_t read_head(work_t *w, hb_op_t *op)
{
    apr_status_t rv = hb_run_get(&w->head, op, w->run, HB_C_LEDGER, HB_LEDGER_HEAD);
    apr_int64_t last;

    w->posted_at = hb_time_to_msec(op->now);
    if (rv == HB_E_STORE_MISSING) {
        w->is_first = 1;
        w->head = hb_json_object_make(op->pool);
        hb_json_set_string(w->head, "_id", HB_LEDGER_HEAD);
        w->seq = 1;
        w->prev_hash = NO_HASH;
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        w->seq = hb_json_int(w->head, "seq", 0) + 1;
        w->prev_hash = apr_pstrdup(op->pool, hb_json_string(w->head, "hash"));
        last = hb_json_int(w->head, "postedAt", 0);
        w->posted_at = w->posted_at > last ? w->posted_at : last;
    }
    return rv;
}

static apr_status_t is_short(hb_op_t *op, const touch_t *touch, apr_int64_t balance)
{
    if (touch->owner != NULL && op->actor.user_id != NULL
        && strncmp(touch->owner, op->actor.user_id, HB_ID_LENGTH) == 0) {
        return hb_fail(op, HB_E_WALLET_SHORT, "%" APR_INT64_T_FMT " are needed, %"
                       APR_INT64_T_FMT " are there", -touch->posting->coins, balance);
    }
    return hb_fail(op, HB_E_WALLET_SHORT, NULL);
}

static apr_status_t read_account(touch_t *touch, hb_op_t *op, hb_ledger_run_t *run)
{
    const char *name = touch->posting->account;
    apr_status_t rv = hb_run_get(&touch->doc, op, run, HB_C_ACCOUNTS, name);
    apr_int64_t before = 0;
    const char *prev;

    if (rv == HB_E_STORE_MISSING) {
        touch->is_new = 1;
        touch->doc = hb_json_object_make(op->pool);
        hb_json_set_string(touch->doc, "_id", name);
        hb_json_set_string(touch->doc, "type", touch->row->type);
        hb_json_set_string(touch->doc, "currency", hb_currency_name(touch->row->currency));
        rv = APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    before = hb_json_int(touch->doc, "balance", 0);
    prev = hb_json_string(touch->doc, "lastEntry");
    touch->prev = prev != NULL ? apr_pstrdup(op->pool, prev) : NULL;
    if (__builtin_add_overflow(before, touch->posting->coins, &touch->balance)) {
        return too_much(op);
    }
    if (touch->balance < touch->row->low) {
        return is_short(op, touch, before);
    }
    if (touch->balance > touch->row->high) {
        return hb_fail_field(op, "coins", "range", "more than is owed");
    }
    return APR_SUCCESS;
}

/* --- writing --- */

static apr_int64_t amount_of(const work_t *w)
{
    apr_int64_t amount = 0;
    int i;

    for (i = 0; i < w->n; i++) {
        apr_int64_t coins = w->touches[i].posting->coins;

        if (coins > 0 && __builtin_add_overflow(amount, coins, &amount)) {
            return -1;
        }
    }
    return amount;
}

static apr_status_t hash_entry(work_t *w, hb_op_t *op, apr_int64_t amount)
{
    const hb_entry_t *entry = w->entry;
    hb_entry_text_t text = {
        .prev_hash = hb_slice(w->prev_hash), .id = hb_slice(w->id),
        .type = hb_slice(entry->kind), .key = hb_slice(entry->key),
        .user_id = hb_slice(entry->user_id), .reference = hb_slice(entry->reference),
        .reason = hb_slice(entry->reason), .reverses = hb_slice(entry->reverses),
        .seq = w->seq, .created_at = w->posted_at, .amount = amount, .n_postings = w->n
    };
    char *bytes;
    int i;

    if (entry->metadata != NULL) {
        text.metadata.at = hb_json_text(entry->metadata, op->pool, &text.metadata.n);
    }
    for (i = 0; i < w->n; i++) {
        text.postings[i].account = hb_slice(w->touches[i].posting->account);
        text.postings[i].currency = hb_slice(hb_currency_name(w->touches[i].row->currency));
        text.postings[i].coins = w->touches[i].posting->coins;
        text.postings[i].balance = w->touches[i].balance;
        text.postings[i].prev = hb_slice(w->touches[i].prev);
    }
    bytes = apr_palloc(op->pool, hb_entry_bytes_max(&text));
    if (hb_entry_hash(w->hash, bytes, hb_entry_bytes(bytes, &text)) != APR_SUCCESS) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    return APR_SUCCESS;
}

static void set_when_there(hb_json_t *json, const char *key, const char *value)
{
    if (value != NULL) {
        hb_json_set_string(json, key, value);
    }
}

static apr_status_t insert_entry(work_t *w, hb_op_t *op, apr_int64_t amount)
{
    const hb_entry_t *entry = w->entry;
    hb_json_t *doc = hb_json_object_make(op->pool);
    hb_json_t *postings = hb_json_array_make(op->pool);
    const char *index;
    apr_status_t rv;
    int i;

    for (i = 0; i < w->n; i++) {
        hb_json_t *posting = hb_json_object_make(op->pool);

        hb_json_set_string(posting, "account", w->touches[i].posting->account);
        hb_json_set_string(posting, "currency", hb_currency_name(w->touches[i].row->currency));
        hb_json_set_int(posting, "coins", w->touches[i].posting->coins);
        hb_json_set_int(posting, "balance", w->touches[i].balance);
        set_when_there(posting, "prev", w->touches[i].prev);
        hb_json_push(postings, posting);
    }
    hb_json_set_string(doc, "_id", w->id);
    hb_json_set_int(doc, "seq", w->seq);
    hb_json_set_string(doc, "type", entry->kind);
    hb_json_set_string(doc, "status", "posted");
    hb_json_set_string(doc, "key", entry->key);
    set_when_there(doc, "userId", entry->user_id);
    set_when_there(doc, "reference", entry->reference);
    set_when_there(doc, "reason", entry->reason);
    set_when_there(doc, "reverses", entry->reverses);
    hb_json_set_int(doc, "amount", amount);
    hb_json_set(doc, "postings", postings);
    if (entry->metadata != NULL) {
        hb_json_set(doc, "metadata", entry->metadata);
    }
    hb_json_set_int(doc, "createdAt", w->posted_at);
    hb_json_set_string(doc, "prevHash", w->prev_hash);
    hb_json_set_string(doc, "hash", w->hash);
    rv = hb_store_insert(&index, op, HB_C_TRANSACTIONS, doc);
    /* Looked for before, so another writer was quicker: the store starts again. */
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

static apr_status_t write_head(work_t *w, hb_op_t *op)
{
    hb_json_set_int(w->head, "seq", w->seq);
    hb_json_set_string(w->head, "hash", w->hash);
    hb_json_set_string(w->head, "lastEntry", w->id);
    hb_json_set_int(w->head, "postedAt", w->posted_at);
    return hb_run_put(op, w->run, HB_C_LEDGER, w->head, w->is_first);
}

static apr_status_t write_account(const work_t *w, const touch_t *touch, hb_op_t *op)
{
    hb_json_set_int(touch->doc, "balance", touch->balance);
    hb_json_set_string(touch->doc, "lastEntry", w->id);
    hb_json_set_int(touch->doc, "entries", hb_json_int(touch->doc, "entries", 0) + 1);
    hb_json_set_int(touch->doc, "updatedAt", w->posted_at);
    return hb_run_put(op, w->run, HB_C_ACCOUNTS, touch->doc, touch->is_new);
}

/* What left the mint, or came back to it, by this kind so far. */
static apr_status_t write_total(const work_t *w, const touch_t *touch, hb_op_t *op)
{
    const char *currency = hb_currency_name(touch->row->currency);
    const char *id = apr_pstrcat(op->pool, w->entry->kind, ":", currency, NULL);
    const char *field = touch->posting->coins < 0 ? "minted" : "burned";
    apr_int64_t coins = touch->posting->coins < 0 ? -touch->posting->coins
                                                  : touch->posting->coins;
    hb_json_t *total;
    apr_status_t rv = hb_run_get(&total, op, w->run, HB_C_LEDGER, id);
    int is_new = rv == HB_E_STORE_MISSING;

    if (is_new) {
        total = hb_json_object_make(op->pool);
        hb_json_set_string(total, "_id", id);
        hb_json_set_string(total, "kind", w->entry->kind);
        hb_json_set_string(total, "currency", currency);
        hb_json_set_int(total, "minted", 0);
        hb_json_set_int(total, "burned", 0);
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS
        && __builtin_add_overflow(coins, hb_json_int(total, field, 0), &coins)) {
        rv = too_much(op);
    }
    if (rv == APR_SUCCESS) {
        hb_json_set_int(total, field, coins);
        hb_json_set_int(total, "entries", hb_json_int(total, "entries", 0) + 1);
        rv = hb_run_put(op, w->run, HB_C_LEDGER, total, is_new);
    }
    return rv;
}

/* The same edits on a record that is kept; all are of "coins". */
static apr_status_t edit_kept_user(const work_t *w, hb_op_t *op, const char *id,
                                   const hb_edit_t *edits, int n)
{
    hb_json_t *user, *coins;
    apr_status_t rv = hb_run_get(&user, op, w->run, HB_C_USERS, id);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    coins = hb_json_get(user, "coins");
    if (hb_json_type(coins) != HB_JSON_OBJECT) {
        coins = hb_json_object_make(op->pool);
        hb_json_set(user, "coins", coins);
    }
    for (i = 0; i < n; i++) {
        const char *field = edits[i].field + sizeof("coins.") - 1;
        apr_int64_t value = edits[i].value.integer;

        if (edits[i].how == HB_INC
            && __builtin_add_overflow(value, hb_json_int(coins, field, 0), &value)) {
            return too_much(op);
        }
        hb_json_set_int(coins, field, value);
    }
    return hb_run_put(op, w->run, HB_C_USERS, user, 0);
}

/* One change of a user's record for all the touches that show there. */
static apr_status_t write_user(const work_t *w, int first, hb_op_t *op)
{
    const char *owner = w->touches[first].owner;
    apr_int64_t spent = 0, earned = 0;
    hb_edit_t edits[HB_POSTINGS_MAX + 2];
    apr_status_t rv;
    int i, n = 0;

    for (i = first; i < w->n; i++) {
        const touch_t *touch = &w->touches[i];

        if (touch->owner == NULL || strncmp(touch->owner, owner, HB_ID_LENGTH) != 0) {
            continue;
        }
        if (touch->row->projection != NULL) {
            edits[n++] = (hb_edit_t){ touch->row->projection, HB_SET, HB_INT(touch->balance) };
        }
        if ((w->kind->flags & HB_LK_SPENDS) != 0
            && (touch->row->bit & (HB_LA_USER | HB_LA_BONUS)) != 0) {
            spent -= touch->posting->coins;
        }
        if ((w->kind->flags & HB_LK_EARNS) != 0 && touch->row->bit == HB_LA_EARNED) {
            earned += touch->posting->coins;
        }
    }
    if (spent != 0) {
        edits[n++] = (hb_edit_t){ "coins.totalSpent", HB_INC, HB_INT(spent) };
    }
    if (earned != 0) {
        edits[n++] = (hb_edit_t){ "coins.totalEarned", HB_INC, HB_INT(earned) };
    }
    if (n == 0) {
        return APR_SUCCESS;
    }
    owner = apr_pstrndup(op->pool, owner, HB_ID_LENGTH);
    rv = w->run != NULL ? edit_kept_user(w, op, owner, edits, n)
        : hb_store_change(NULL, NULL, op, HB_C_USERS, owner, NULL, 0, edits, n);
    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_USER_UNKNOWN, NULL) : rv;
}

/* Did an earlier touch write this one's user? */
static int is_written(const work_t *w, int i)
{
    int j;

    for (j = 0; j < i; j++) {
        if (w->touches[j].owner != NULL
            && strncmp(w->touches[j].owner, w->touches[i].owner, HB_ID_LENGTH) == 0) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t write_all(work_t *w, hb_op_t *op)
{
    apr_int64_t amount = amount_of(w);
    apr_status_t rv;
    int i;

    if (amount < 0) {
        return too_much(op);
    }
    w->id = hb_id_make(op);
    rv = hash_entry(w, op, amount);
    if (rv == APR_SUCCESS) {
        rv = insert_entry(w, op, amount);
    }
    if (rv == APR_SUCCESS) {
        rv = write_head(w, op);
    }
    for (i = 0; i < w->n && rv == APR_SUCCESS; i++) {
        const touch_t *touch = &w->touches[i];

        rv = write_account(w, touch, op);
        if (rv == APR_SUCCESS && (touch->row->bit & (HB_LA_MINT | HB_LA_BONUS_MINT)) != 0) {
            rv = write_total(w, touch, op);
        }
        if (rv == APR_SUCCESS && touch->owner != NULL && !is_written(w, i)) {
            rv = write_user(w, i, op);
        }
    }
    return rv;
}

apr_status_t hb_ledger_post(const char **id, hb_op_t *op, const hb_entry_t *entry)
{
    return hb_ledger_run_post(NULL, id, op, entry);
}

apr_status_t hb_ledger_run_post(hb_ledger_run_t *run, const char **id, hb_op_t *op,
                                const hb_entry_t *entry)
{
    work_t w = { .run = run, .entry = entry };
    const char *dropped;
    apr_status_t rv;
    int i;

    id = id != NULL ? id : &dropped;
    *id = NULL;
    if (op->tx == NULL) {
        return refuse(op, HB_E_INTERNAL, entry, "it is written outside a transaction", "");
    }
    rv = check_texts(op, entry);
    if (rv == APR_SUCCESS) {
        rv = check_postings(&w, op);
    }
    if (rv == APR_SUCCESS) {
        rv = find_key(id, op, run, entry->key);
    }
    if (rv == APR_SUCCESS) {
        rv = read_head(&w, op);
    }
    for (i = 0; i < w.n && rv == APR_SUCCESS; i++) {
        rv = read_account(&w.touches[i], op, run);
    }
    if (rv == APR_SUCCESS) {
        rv = write_all(&w, op);
    }
    if (rv == APR_SUCCESS) {
        *id = w.id;
        if (run != NULL) {
            hb_run_key_used(run, entry->key, w.id);
        }
    }
    return rv;
}

/* --- undoing --- */

apr_status_t hb_entry_load(hb_json_t **entry, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(entry, op, HB_C_TRANSACTIONS, id)
                                         : HB_E_STORE_MISSING;

    if (rv == HB_E_STORE_MISSING) {
        return hb_fail(op, HB_E_ENTRY_UNKNOWN, NULL);
    }
    return rv;
}

apr_status_t hb_ledger_reverse(const char **id, hb_op_t *op, const char *entry_id,
                               const char *reason)
{
    hb_edit_t edits[] = { { "status", HB_SET, HB_STR("reversed") } };
    hb_entry_t undo = { .key = apr_pstrcat(op->pool, "reverse:", entry_id, NULL),
                        .reason = reason, .reverses = entry_id };
    const hb_json_t *postings;
    hb_json_t *entry;
    apr_status_t rv = hb_entry_load(&entry, op, entry_id);
    const hb_ledger_kind_t *kind;
    const char *type;
    int is_reversal, i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    type = hb_json_string(entry, "type");
    kind = type != NULL ? hb_ledger_kind(&is_reversal, type, strlen(type)) : NULL;
    if (kind == NULL || is_reversal || (kind->flags & HB_LK_LASTS) != 0) {
        return hb_fail(op, HB_E_LEDGER_KIND, "entries of type %s are not reversed",
                       type != NULL ? type : "unknown");
    }
    undo.kind = apr_pstrcat(op->pool, HB_LEDGER_REVERSAL, type, NULL);
    undo.user_id = hb_json_string(entry, "userId");
    undo.reference = hb_json_string(entry, "reference");
    postings = hb_json_get(entry, "postings");
    for (i = 0; i < hb_json_length(postings) && rv == APR_SUCCESS; i++) {
        const hb_json_t *posting = hb_json_item(postings, i);
        const char *currency = hb_json_string(posting, "currency");

        rv = hb_entry_add(&undo, hb_json_string(posting, "account"),
                          currency != NULL && strcmp(currency, "bonus") == 0 ? HB_BONUS : HB_COIN,
                          -hb_json_int(posting, "coins", 0));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(id, op, &undo);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_TRANSACTIONS, entry_id, NULL, 0, edits, 1);
    }
    return rv;
}

apr_status_t hb_ledger_balance(apr_int64_t *coins, hb_op_t *op, const char *account)
{
    hb_json_t *doc;
    apr_status_t rv = hb_store_get(&doc, op, HB_C_ACCOUNTS, account);

    *coins = rv == APR_SUCCESS ? hb_json_int(doc, "balance", 0) : 0;
    return rv == HB_E_STORE_MISSING ? APR_SUCCESS : rv;
}
