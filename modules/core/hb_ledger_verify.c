/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proving the ledger: every entry from the first on, in the order of their numbers, then what
 * follows from them: accounts, totals, users. Others go on writing while the long walk
 * runs. What seems wrong with a projection may only be newer than the walk; so at the end, in
 * a transaction that makes writers wait, the entries that came meanwhile are walked and just
 * what seemed wrong is read again.
 */
#include "hb_ledger_private.h"

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_tables.h>

#define PROGRESS_EVERY 10000
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* What the entries say of a user and of an account. Kept for the whole walk: small. */
typedef struct person_t {
    apr_int64_t balance, bonus, spent, earned;
} person_t;

typedef struct tally_t {
    const hb_account_row_t *row;
    person_t *person;           /* NULL for the platform's */
    apr_int64_t balance;
    apr_int64_t entries;
    char last[HB_ID_LENGTH + 1];
} tally_t;

typedef struct total_t {
    apr_int64_t minted, burned, entries;
} total_t;

typedef struct walk_t {
    hb_op_t *op;
    hb_ledger_proof_t *proof;
    hb_store_report_fn *report;
    void *baton;
    apr_pool_t *scratch;        /* cleared after each entry that needed it */
    apr_hash_t *tallies;        /* by name of account */
    apr_hash_t *people;         /* by user id */
    apr_hash_t *totals;         /* by "kind:currency" */
    apr_hash_t *undone;         /* by entry id: 1 named by a reversal, 2 marked reversed */
    apr_int64_t seq, posted_at, total;
    char hash[HB_HASH_DIGITS + 1];
    char *bytes;
    apr_size_t bytes_max;
    int is_stopped;
} walk_t;

static void finding(walk_t *w, const char *entry_id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void finding(walk_t *w, const char *entry_id, const char *fmt, ...)
{
    const char *what;
    va_list args;

    va_start(args, fmt);
    what = apr_pvsprintf(w->proof->findings == 0 ? w->op->pool : w->scratch, fmt, args);
    va_end(args);
    if (w->proof->findings++ == 0) {
        w->proof->what = what;
    }
    if (entry_id != NULL && w->proof->first_wrong == NULL) {
        w->proof->first_wrong = apr_pstrdup(w->op->pool, entry_id);
    }
    if (w->report != NULL && w->report(w->baton, what, -1, 0) != 0) {
        w->is_stopped = 1;
    }
}

/* --- entries --- */

static person_t *person_of(walk_t *w, const char *owner)
{
    person_t *person = apr_hash_get(w->people, owner, HB_ID_LENGTH);

    if (person == NULL) {
        person = apr_pcalloc(w->op->pool, sizeof(*person));
        apr_hash_set(w->people, apr_pstrmemdup(w->op->pool, owner, HB_ID_LENGTH), HB_ID_LENGTH,
                     person);
    }
    return person;
}

static tally_t *tally_of(walk_t *w, hb_slice_t name)
{
    tally_t *tally = apr_hash_get(w->tallies, name.at, (apr_ssize_t)name.n);
    const hb_account_row_t *row;
    const char *owner;

    if (tally == NULL) {
        row = hb_account_row(&owner, name.at, name.n);
        if (row == NULL) {
            return NULL;
        }
        tally = apr_pcalloc(w->op->pool, sizeof(*tally));
        tally->row = row;
        tally->person = owner != NULL ? person_of(w, owner) : NULL;
        apr_hash_set(w->tallies, apr_pstrmemdup(w->op->pool, name.at, name.n),
                     (apr_ssize_t)name.n, tally);
    }
    return tally;
}

static void add(apr_int64_t *sum, apr_int64_t more)
{
    if (__builtin_add_overflow(*sum, more, sum)) {
        *sum = APR_INT64_MIN;   /* no posting that was let through gets here */
    }
}

static void add_total(walk_t *w, hb_slice_t type, const tally_t *tally, apr_int64_t coins)
{
    const char *key = apr_psprintf(w->scratch, "%.*s:%s", (int)type.n, type.at,
                                   hb_currency_name(tally->row->currency));
    total_t *total = apr_hash_get(w->totals, key, APR_HASH_KEY_STRING);

    if (total == NULL) {
        total = apr_pcalloc(w->op->pool, sizeof(*total));
        apr_hash_set(w->totals, apr_pstrdup(w->op->pool, key), APR_HASH_KEY_STRING, total);
    }
    add(coins < 0 ? &total->minted : &total->burned, coins < 0 ? -coins : coins);
    total->entries++;
}

static void add_person(const hb_ledger_kind_t *kind, tally_t *tally, apr_int64_t coins)
{
    person_t *person = tally->person;

    if (tally->row->bit == HB_LA_USER) {
        person->balance = tally->balance;
    }
    if (tally->row->bit == HB_LA_BONUS) {
        person->bonus = tally->balance;
    }
    if ((kind->flags & HB_LK_SPENDS) != 0
        && (tally->row->bit & (HB_LA_USER | HB_LA_BONUS)) != 0) {
        add(&person->spent, -coins);
    }
    if ((kind->flags & HB_LK_EARNS) != 0 && tally->row->bit == HB_LA_EARNED) {
        add(&person->earned, coins);
    }
}

static void look_at_posting(walk_t *w, const char *id, const hb_entry_text_t *entry,
                            const hb_ledger_kind_t *kind, int is_reversal, int i)
{
    const hb_slice_t name = entry->postings[i].account;
    apr_int64_t coins = entry->postings[i].coins;
    tally_t *tally = name.at != NULL ? tally_of(w, name) : NULL;
    apr_int64_t balance;
    int arrives = (coins > 0) != is_reversal;

    if (tally == NULL || !hb_slice_is(entry->postings[i].currency,
                                      hb_currency_name(tally->row->currency))) {
        finding(w, id, "entry %s: posting %d names no account in its currency", id, i + 1);
        return;
    }
    if (kind != NULL && (tally->row->bit & (arrives ? kind->to : kind->from)) == 0) {
        finding(w, id, "entry %s: %.*s may not touch %.*s this way", id, (int)entry->type.n,
                entry->type.at, (int)name.n, name.at);
    }
    if (__builtin_add_overflow(tally->balance, coins, &balance)
        || balance != entry->postings[i].balance) {
        finding(w, id, "entry %s: %.*s holds %" APR_INT64_T_FMT " after it, not %"
                APR_INT64_T_FMT, id, (int)name.n, name.at, balance,
                entry->postings[i].balance);
    }
    if (balance < tally->row->low || balance > tally->row->high) {
        finding(w, id, "entry %s: %.*s may not hold %" APR_INT64_T_FMT, id, (int)name.n,
                name.at, balance);
    }
    if (tally->entries == 0 ? entry->postings[i].prev.at != NULL
                            : !hb_slice_is(entry->postings[i].prev, tally->last)) {
        finding(w, id, "entry %s: %.*s was not last touched by the entry it names", id,
                (int)name.n, name.at);
    }
    tally->balance = entry->postings[i].balance;    /* so that one mistake is told once */
    tally->entries++;
    apr_cpystrn(tally->last, id, sizeof(tally->last));
    if ((tally->row->bit & (HB_LA_MINT | HB_LA_BONUS_MINT)) != 0) {
        add_total(w, entry->type, tally, coins);
    }
    if (tally->person != NULL && kind != NULL) {
        add_person(kind, tally, coins);
    }
}

static void look_at_hash(walk_t *w, const char *id, const hb_entry_text_t *entry)
{
    char hash[HB_HASH_DIGITS + 1];
    apr_size_t max = hb_entry_bytes_max(entry);

    if (max > w->bytes_max) {
        w->bytes_max = 2 * max;
        w->bytes = apr_palloc(w->op->pool, w->bytes_max);
    }
    if (hb_entry_hash(hash, w->bytes, hb_entry_bytes(w->bytes, entry)) != APR_SUCCESS) {
        w->is_stopped = 1;
        hb_fail(w->op, HB_E_INTERNAL, NULL);
        return;
    }
    if (!hb_slice_is(entry->hash, hash)) {
        finding(w, id, "entry %s: its hash is not that of its content", id);
    }
    if (!hb_slice_is(entry->prev_hash, w->hash)) {
        finding(w, id, "entry %s: it does not follow the entry before it", id);
    }
    memcpy(w->hash, entry->hash.n == HB_HASH_DIGITS ? entry->hash.at : hash, HB_HASH_DIGITS);
}

/* Who is marked as reversed has to be named by a reversal, and the other way round. */
static void note_undone(walk_t *w, const char *id, apr_size_t n, apr_size_t mark)
{
    apr_size_t marks = (apr_size_t)apr_hash_get(w->undone, id, (apr_ssize_t)n) | mark;

    apr_hash_set(w->undone, apr_pstrmemdup(w->op->pool, id, n), (apr_ssize_t)n,
                 (void *)marks);
}

static void look_at_sums(walk_t *w, const char *id, const hb_entry_text_t *entry)
{
    apr_int64_t sums[2] = { 0, 0 }, amount = 0;
    int i;

    for (i = 0; i < entry->n_postings; i++) {
        apr_int64_t coins = entry->postings[i].coins;

        add(&sums[hb_slice_is(entry->postings[i].currency, "bonus")], coins);
        add(&amount, coins > 0 ? coins : 0);
    }
    if (sums[HB_COIN] != 0 || sums[HB_BONUS] != 0 || entry->n_postings == 0) {
        finding(w, id, "entry %s: its sides do not sum to zero", id);
    }
    if (entry->amount != amount) {
        finding(w, id, "entry %s: its amount is not the sum of what arrived", id);
    }
}

static int look_at_entry(void *baton, const char *id, const char *text, apr_size_t len)
{
    walk_t *w = baton;
    const hb_ledger_kind_t *kind;
    hb_entry_text_t entry;
    const char *why = hb_entry_read(&entry, id, text, len, w->scratch);
    int is_reversal = 0, i;

    w->proof->entries++;
    w->seq++;
    if (why != NULL) {
        finding(w, id, "entry %s: %s", id, why);
        apr_pool_clear(w->scratch);
        return w->is_stopped;
    }
    if (entry.seq != w->seq) {
        finding(w, id, "entry %s: it has number %" APR_INT64_T_FMT " where %" APR_INT64_T_FMT
                " is next", id, entry.seq, w->seq);
        w->seq = entry.seq;
    }
    if (entry.created_at < w->posted_at) {
        finding(w, id, "entry %s: it is older than the one before", id);
    }
    w->posted_at = entry.created_at;
    kind = entry.type.at != NULL ? hb_ledger_kind(&is_reversal, entry.type.at, entry.type.n)
                                 : NULL;
    if (kind == NULL || is_reversal != (entry.reverses.at != NULL)) {
        finding(w, id, "entry %s: there is no such kind of entry", id);
    }
    look_at_hash(w, id, &entry);
    look_at_sums(w, id, &entry);
    for (i = 0; i < entry.n_postings; i++) {
        look_at_posting(w, id, &entry, kind, is_reversal, i);
    }
    if (entry.reverses.at != NULL) {
        note_undone(w, entry.reverses.at, entry.reverses.n, 1);
    }
    if (!hb_slice_is(entry.status, "posted")) {
        note_undone(w, id, strlen(id), 2);
    }
    if (w->report != NULL && w->seq % PROGRESS_EVERY == 0
        && w->report(w->baton, "entries", w->seq, w->total) != 0) {
        w->is_stopped = 1;
    }
    apr_pool_clear(w->scratch);
    return w->is_stopped;
}

static apr_status_t walk_entries(walk_t *w)
{
    const hb_value_t above = HB_INT(w->seq);

    return hb_store_walk(w->op, HB_C_TRANSACTIONS, "seq", w->proof->entries > 0 ? &above : NULL,
                         look_at_entry, w);
}

/* --- what follows from them. Each gives what is wrong, or NULL. --- */

static const char *wrong_account(walk_t *w, const char *id, const hb_json_t *doc)
{
    const tally_t *tally = apr_hash_get(w->tallies, id, APR_HASH_KEY_STRING);
    const char *last = hb_json_string(doc, "lastEntry");
    const char *type = hb_json_string(doc, "type");

    if (tally == NULL) {
        return "no entry touched it";
    }
    if (hb_json_int(doc, "balance", 0) != tally->balance) {
        return apr_psprintf(w->scratch, "its balance is %" APR_INT64_T_FMT ", its entries say %"
                            APR_INT64_T_FMT, hb_json_int(doc, "balance", 0), tally->balance);
    }
    if (hb_json_int(doc, "entries", 0) != tally->entries
        || last == NULL || strcmp(last, tally->last) != 0) {
        return "it does not name its last entry, or not how many there are";
    }
    return type != NULL && strcmp(type, tally->row->type) == 0 ? NULL : "it has another type";
}

static const char *wrong_user(walk_t *w, const char *id, const hb_json_t *doc)
{
    static const person_t nobody;
    const person_t *person = apr_hash_get(w->people, id, APR_HASH_KEY_STRING);
    int i;

    person = person != NULL ? person : &nobody;
    for (i = 0; i < 4; i++) {
        static const char *const fields[] = { "balance", "bonusBalance", "totalSpent",
                                              "totalEarned" };
        const apr_int64_t said[] = { person->balance, person->bonus, person->spent,
                                     person->earned };
        apr_int64_t shown = hb_json_int(hb_json_get(doc, "coins"), fields[i], 0);

        if (shown != said[i]) {
            return apr_psprintf(w->scratch, "coins.%s is %" APR_INT64_T_FMT ", the entries say %"
                                APR_INT64_T_FMT, fields[i], shown, said[i]);
        }
    }
    return NULL;
}

static const char *wrong_total(walk_t *w, const char *id, const hb_json_t *doc)
{
    const total_t *total = apr_hash_get(w->totals, id, APR_HASH_KEY_STRING);
    const char *hash;

    if (strcmp(id, HB_LEDGER_HEAD) == 0) {
        hash = hb_json_string(doc, "hash");
        return hb_json_int(doc, "seq", 0) == w->seq && hash != NULL
            && strcmp(hash, w->hash) == 0 ? NULL : "it is not that of the last entry";
    }
    if (total == NULL || hb_json_int(doc, "minted", 0) != total->minted
        || hb_json_int(doc, "burned", 0) != total->burned
        || hb_json_int(doc, "entries", 0) != total->entries) {
        return "it is not what the entries sum up to";
    }
    return NULL;
}

typedef struct look_t {
    walk_t *w;
    hb_collection_e in;
    const char *noun;
    const char *(*wrong)(walk_t *w, const char *id, const hb_json_t *doc);
    apr_array_header_t *doubtful;
    apr_int64_t n;
} look_t;

static int look_at_record(void *baton, const char *id, const char *text, apr_size_t len)
{
    look_t *look = baton;
    walk_t *w = look->w;
    hb_json_t *doc = hb_json_parse_own(text, len, w->scratch);

    look->n++;
    if (doc == NULL || look->wrong(w, id, doc) != NULL) {
        APR_ARRAY_PUSH(look->doubtful, const char *) = apr_pstrdup(w->op->pool, id);
    }
    apr_pool_clear(w->scratch);
    return w->is_stopped;
}

/* In the last transaction: is it still wrong? */
static apr_status_t look_again(look_t *look)
{
    walk_t *w = look->w;
    int i;

    for (i = 0; i < look->doubtful->nelts; i++) {
        const char *id = APR_ARRAY_IDX(look->doubtful, i, const char *);
        const char *wrong = NULL;
        hb_json_t *doc;
        apr_status_t rv = hb_store_get(&doc, w->op, look->in, id);

        if (rv == HB_E_STORE_DAMAGED) {
            wrong = "it cannot be read";
        }
        else if (rv != APR_SUCCESS && rv != HB_E_STORE_MISSING) {
            return rv;
        }
        else if (rv == APR_SUCCESS) {
            wrong = look->wrong(w, id, doc);
        }
        if (wrong != NULL) {
            finding(w, NULL, "%s %s: %s", look->noun, id, wrong);
        }
        apr_pool_clear(w->scratch);
    }
    return APR_SUCCESS;
}

/* The sum over all. */
static void look_at_tallies(walk_t *w)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(w->op->pool, w->tallies); hi != NULL; hi = apr_hash_next(hi)) {
        const tally_t *tally = apr_hash_this_val(hi);

        add(tally->row->currency == HB_COIN ? &w->proof->sum_coin : &w->proof->sum_bonus,
            tally->balance);
    }
    if (w->proof->sum_coin != 0 || w->proof->sum_bonus != 0) {
        finding(w, NULL, "the sum over all accounts is %" APR_INT64_T_FMT " coins and %"
                APR_INT64_T_FMT " bonus coins, not 0", w->proof->sum_coin,
                w->proof->sum_bonus);
    }
}

/* What entries touched and is not there. */
static apr_status_t look_for_missing(walk_t *w, apr_hash_t *expected, apr_int64_t n_there,
                                     hb_collection_e in, const char *noun)
{
    apr_hash_index_t *hi;
    hb_json_t *doc;
    apr_status_t rv = APR_SUCCESS;

    if ((apr_int64_t)apr_hash_count(expected) <= n_there) {
        return APR_SUCCESS;     /* each that is there was looked up among the expected ones */
    }
    for (hi = apr_hash_first(w->op->pool, expected); hi != NULL && rv == APR_SUCCESS;
         hi = apr_hash_next(hi)) {
        rv = hb_store_get(&doc, w->op, in, apr_hash_this_key(hi));
        if (rv == HB_E_STORE_MISSING) {
            finding(w, NULL, "%s %s is missing", noun, (const char *)apr_hash_this_key(hi));
            rv = APR_SUCCESS;
        }
        rv = rv == HB_E_STORE_DAMAGED ? APR_SUCCESS : rv;
    }
    return rv;
}

/* Without it the next entry would be a first one again. What it says was looked at as a record. */
static apr_status_t look_for_head(walk_t *w)
{
    hb_json_t *head;
    apr_status_t rv = hb_store_get(&head, w->op, HB_C_LEDGER, HB_LEDGER_HEAD);

    if (rv == HB_E_STORE_MISSING && w->proof->entries > 0) {
        finding(w, NULL, "total %s is missing", HB_LEDGER_HEAD);
    }
    return rv == HB_E_STORE_MISSING || rv == HB_E_STORE_DAMAGED ? APR_SUCCESS : rv;
}

static void look_at_undone(walk_t *w)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(w->op->pool, w->undone); hi != NULL; hi = apr_hash_next(hi)) {
        if ((apr_size_t)apr_hash_this_val(hi) != 3) {
            finding(w, apr_hash_this_key(hi), "entry %s: its status does not agree with "
                    "the reversals", (const char *)apr_hash_this_key(hi));
        }
    }
}

typedef struct proving_t {
    walk_t *w;
    look_t *looks;
    int n_looks;
} proving_t;

/* The end, with writers waiting: what is wrong now is wrong. */
static apr_status_t settle(hb_op_t *op, void *baton)
{
    proving_t *proving = baton;
    walk_t *w = proving->w;
    apr_status_t rv = walk_entries(w);
    int i;

    (void)op;
    for (i = 0; i < proving->n_looks && rv == APR_SUCCESS && !w->is_stopped; i++) {
        rv = look_again(&proving->looks[i]);
    }
    if (rv == APR_SUCCESS && !w->is_stopped) {
        rv = look_for_missing(w, w->tallies, proving->looks[0].n, HB_C_ACCOUNTS, "account");
    }
    if (rv == APR_SUCCESS && !w->is_stopped) {
        rv = look_for_missing(w, w->totals, proving->looks[1].n - 1, HB_C_LEDGER, "total");
    }
    if (rv == APR_SUCCESS && !w->is_stopped) {
        rv = look_for_head(w);
    }
    if (rv == APR_SUCCESS && !w->is_stopped) {
        look_at_undone(w);
        look_at_tallies(w);
    }
    return rv;
}

apr_status_t hb_ledger_verify(hb_ledger_proof_t *proof, hb_op_t *op,
                              hb_store_report_fn *report, void *baton)
{
    walk_t w = { .op = op, .proof = proof, .report = report, .baton = baton,
                 .posted_at = APR_INT64_MIN };
    look_t looks[] = {
        { &w, HB_C_ACCOUNTS, "account", wrong_account, NULL, 0 },
        { &w, HB_C_LEDGER, "total", wrong_total, NULL, 0 },
        { &w, HB_C_USERS, "user", wrong_user, NULL, 0 },
    };
    proving_t proving = { &w, looks, 3 };
    hb_json_t *head;
    apr_status_t rv;
    int i;

    memset(proof, 0, sizeof(*proof));
    memcpy(w.hash, NO_HASH, sizeof(w.hash));
    apr_pool_create(&w.scratch, op->pool);
    w.tallies = apr_hash_make(op->pool);
    w.people = apr_hash_make(op->pool);
    w.totals = apr_hash_make(op->pool);
    w.undone = apr_hash_make(op->pool);
    rv = hb_store_get(&head, op, HB_C_LEDGER, HB_LEDGER_HEAD);
    if (rv == APR_SUCCESS) {
        w.total = hb_json_int(head, "seq", 0);
    }
    if (rv == APR_SUCCESS || rv == HB_E_STORE_MISSING || rv == HB_E_STORE_DAMAGED) {
        rv = walk_entries(&w);
    }
    for (i = 0; i < 3 && rv == APR_SUCCESS && !w.is_stopped; i++) {
        looks[i].doubtful = apr_array_make(op->pool, 4, sizeof(const char *));
        rv = hb_store_walk(op, looks[i].in, "_id", NULL, look_at_record, &looks[i]);
    }
    if (rv == APR_SUCCESS && !w.is_stopped) {
        rv = hb_store_transact(op, settle, &proving);
    }
    if (rv == APR_SUCCESS && op->problem.status != APR_SUCCESS) {
        rv = op->problem.status;
    }
    proof->accounts = looks[0].n;
    proof->users = looks[2].n;
    proof->root = proof->entries > 0 ? apr_pstrdup(op->pool, w.hash) : NULL;
    apr_pool_destroy(w.scratch);
    return rv;
}
