/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ledger.h
 * Coins as double entry (design 4, requirements ECO-02..04, B-02). An entry's postings sum to
 * zero per currency; entries are append-only, numbered without gap and chained by hash; a mistake
 * is reversed, never edited. Balances on accounts and user records are projections written in
 * the same store transaction. No floating point anywhere.
 *
 * What a kind of entry may touch (which account types, in which direction) is one table in
 * hb_ledger_kinds.c: that is where bonus coins are kept out of gifts and payouts.
 * Holds are at the end; repeated calls are hb_idem.h's; what a user sees is hb_wallet.h's.
 *
 * The hash of an entry is SHA-256, in hex, over items that each stand as "<bytes>:<item>,",
 * an absent one as "-,", in this order: the text halobuzz-entry-1; prevHash (64 zeros for the first
 * entry); seq; id; type; key; userId; reference; reason; reverses; createdAt (milliseconds);
 * metadata (its compact JSON as stored); the number of postings; then of each posting account,
 * currency (coin or bonus), coins, balance, prev. Numbers are decimal. The status is not in
 * it: "reversed" follows from the entry that names this one in reverses, and verify compares both.
 */
#ifndef HB_LEDGER_H
#define HB_LEDGER_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_store.h"

/** Most postings of one entry, one per account. */
#define HB_POSTINGS_MAX 8

typedef enum hb_currency_e { HB_COIN, HB_BONUS } hb_currency_e;

/** One side of an entry. Positive amounts arrive, negative ones leave. */
typedef struct hb_posting_t {
    const char *account;        /* "user:<id>", "host:<id>:earned", "platform:revenue" ... */
    hb_currency_e currency;
    apr_int64_t coins;
} hb_posting_t;

/** An entry to be written. Zero it, fill it in, add postings. */
typedef struct hb_entry_t {
    const char *kind;           /* row of the kinds table: "gift", "purchase", "og" ... */
    const char *key;            /* unique for the economic event: "gift:<user>:<idem key>"; at most 200 */
    const char *user_id;        /* whose doing or whose benefit, for lists; may be NULL */
    const char *reference;      /* what it belongs to: order, stream, tier; at most 100; may be NULL */
    const char *reason;         /* for people; at most 300; some kinds need one */
    const char *reverses;       /* hb_ledger_reverse()'s own */
    hb_json_t *metadata;        /* object without reals; may be NULL; part of the hash */
    hb_posting_t postings[HB_POSTINGS_MAX];
    int n_postings;
} hb_entry_t;

/**
 * Add a posting. Zero coins are left out; a second one for an account is added to the first.
 * The name has to live as long as the entry. HB_E_INTERNAL when the entry is full or the name
 * is NULL; HB_E_INPUT_INVALID beyond 64 bits.
 */
apr_status_t hb_entry_add(hb_entry_t *entry, const char *account, hb_currency_e currency,
                          apr_int64_t coins);

/* Account names, in op->pool. */
const char *hb_account_user(hb_op_t *op, const char *user_id);      /* coin */
const char *hb_account_bonus(hb_op_t *op, const char *user_id);     /* bonus */
const char *hb_account_earned(hb_op_t *op, const char *user_id);    /* coin */
const char *hb_account_debt(hb_op_t *op, const char *user_id);      /* coin, never above zero */
const char *hb_account_held(hb_op_t *op, const char *account);      /* "<account>:held" */
#define HB_ACCOUNT_MINT          "platform:mint"            /* coin: where coins come from */
#define HB_ACCOUNT_REVENUE       "platform:revenue"         /* coin */
#define HB_ACCOUNT_BONUS_MINT    "platform:mint:bonus"      /* bonus */
#define HB_ACCOUNT_BONUS_REVENUE "platform:revenue:bonus"   /* bonus */

/**
 * Write an entry. Has to run inside hb_store_transact, so that it stands or falls with
 * the record it belongs to. Touches each account once, in name order, and writes the
 * projections on the user records: call hb_user_changed() for those after the commit.
 * @param id  of the entry; may be NULL
 * @return HB_E_WALLET_SHORT when an account that may not would go below zero;
 *         HB_E_LEDGER_REPEATED when the key was used before (*id is then the first entry's, and
 *         no problem is noted): the caller decides whether that is a replay or a mistake;
 *         HB_E_LEDGER_UNBALANCED, HB_E_LEDGER_KIND: our own mistake;
 *         HB_E_INPUT_INVALID on 64-bit overflow, or a text that is too long.
 *         After these nothing was written. HB_E_USER_UNKNOWN for an account of nobody and every
 *         other failure have to be returned from the transaction, which undoes it.
 */
apr_status_t hb_ledger_post(const char **id, hb_op_t *op, const hb_entry_t *entry);

/* --- many entries in one transaction (hb_ledger_run.c): a job pays everybody --- */

typedef struct hb_ledger_run_t hb_ledger_run_t;

/**
 * Begin, inside hb_store_transact. What the entries touch is read once and written once, by
 * hb_ledger_run_end(); until then nothing else in the transaction may look at these records
 * or write them. Kept in op->pool, which is that of all calls of a run. Does not wait.
 */
hb_ledger_run_t *hb_ledger_run_begin(hb_op_t *op);

/** Read at once what entries will touch: HB_C_ACCOUNTS by name, HB_C_USERS by id; 1000 at most. */
apr_status_t hb_ledger_run_load(hb_ledger_run_t *run, hb_op_t *op, hb_collection_e in,
                                const char *const *ids, int n);
/** A record that was loaded, as the run has it now; NULL when there is none. Does not wait. */
const hb_json_t *hb_ledger_run_doc(const hb_ledger_run_t *run, hb_collection_e in, const char *id);

/**
 * Look at once which keys were used before; 1000 at most. The texts have to live as long as
 * the run.
 */
apr_status_t hb_ledger_run_keys(hb_ledger_run_t *run, hb_op_t *op, const char *const *keys,
                                int n);
/** Was a key of these used before? Does not wait. */
int hb_ledger_run_has_key(const hb_ledger_run_t *run, const char *key);

/** As hb_ledger_post(), whose promises hold when hb_ledger_run_end() succeeds. */
apr_status_t hb_ledger_run_post(hb_ledger_run_t *run, const char **id, hb_op_t *op,
                                const hb_entry_t *entry);

/** Write what the entries changed. Its failure has to be returned from the transaction. */
apr_status_t hb_ledger_run_end(hb_ledger_run_t *run, hb_op_t *op);

/**
 * Undo an entry as a whole: postings negated, type "reversal:<kind>", key "reverse:<id>".
 * Inside hb_store_transact. HB_E_LEDGER_REPEATED the second time, HB_E_ENTRY_UNKNOWN,
 * HB_E_LEDGER_KIND for a reversal or a hold, HB_E_WALLET_SHORT when the coins are no longer
 * there.
 */
apr_status_t hb_ledger_reverse(const char **id, hb_op_t *op, const char *entry_id,
                               const char *reason);

/** What an account holds now; 0 for one never touched. */
apr_status_t hb_ledger_balance(apr_int64_t *coins, hb_op_t *op, const char *account);

/** What it held at a moment, from its entries. Walks back from now, an entry a read. */
apr_status_t hb_ledger_balance_at(apr_int64_t *coins, hb_op_t *op, const char *account,
                                  apr_time_t when);

typedef struct hb_statement_line_t {
    const char *entry_id;
    const char *kind;
    const char *reference;      /* may be NULL */
    const char *reason;         /* may be NULL */
    apr_time_t posted_at;
    apr_int64_t coins;          /* of this account */
    apr_int64_t balance;        /* of this account, after it */
} hb_statement_line_t;

/**
 * Lines of an account, newest first. Waits for a read a line.
 * @param next   cursor, NULL at the end
 * @param limit  1 to 1000
 * @param after  cursor of the page before, or NULL. HB_E_CURSOR_INVALID
 */
apr_status_t hb_ledger_statement(const hb_statement_line_t **lines, int *n,
                                 const char **next, hb_op_t *op, const char *account,
                                 int limit, const char *after);

/** Is it the name of an account that can be? NULL, or a sentence that lists what is accepted. */
const char *hb_ledger_account_check(const char *account);

/* --- holds (hb_hold.c): coins set aside until it is known what becomes of them --- */

/**
 * Reserve coins: they leave "user:<id>", "user:<id>:bonus" or "host:<id>:earned" for
 * "<account>:held". Inside hb_store_transact.
 * HB_E_WALLET_SHORT; HB_E_LEDGER_REPEATED for the same key (*hold_id is then the first one's).
 */
apr_status_t hb_hold_reserve(const char **hold_id, hb_op_t *op, const char *account,
                             hb_currency_e currency, apr_int64_t coins, const char *key,
                             apr_time_t expires_at);
/**
 * Spend it: the held coins go to an account by an entry of this kind, key "hold-post:<hold>".
 * Inside hb_store_transact. HB_E_HOLD_STATE when it is not open, HB_E_HOLD_UNKNOWN.
 * @param entry_id  may be NULL
 */
apr_status_t hb_hold_post(const char **entry_id, hb_op_t *op, const char *hold_id,
                          const char *kind, const char *to_account);
/** Give it back. Inside hb_store_transact. HB_E_HOLD_STATE, HB_E_HOLD_UNKNOWN. */
apr_status_t hb_hold_void(hb_op_t *op, const char *hold_id, const char *reason);
/** Give back all that expired by op->now, each in a transaction of its own. @param n how many */
apr_status_t hb_hold_expire(apr_int64_t *n, hb_op_t *op);

/* --- proof (hb_ledger_verify.c) --- */

typedef struct hb_ledger_proof_t {
    apr_int64_t entries;
    apr_int64_t accounts;
    apr_int64_t users;
    apr_int64_t findings;
    const char *first_wrong;    /* id of the first wrong entry, NULL when none is */
    const char *what;           /* the first finding, NULL when all is well */
    const char *root;           /* hash of the last entry; NULL without entries */
    apr_int64_t sum_coin, sum_bonus;    /* over all accounts: 0 */
} hb_ledger_proof_t;

/**
 * Recompute all of it: numbers without gap, hashes, sums, every running balance, every
 * account, what was minted and burned, and every user's projection. Reports each finding
 * (done -1) and progress; goes on after a finding. Memory grows with accounts, not with
 * entries. Waits long; others go on writing, but for a moment at the end.
 */
apr_status_t hb_ledger_verify(hb_ledger_proof_t *proof, hb_op_t *op,
                              hb_store_report_fn *report, void *baton);

/**
 * Coins minted, burned and in circulation, by kind of entry:
 * {coin:{minted,burned,circulation,revenue}, bonus:{...},
 * kinds:[{kind,currency,minted,burned,entries}]}
 */
apr_status_t hb_ledger_circulation(hb_json_t **circulation, hb_op_t *op);

#endif /* HB_LEDGER_H */
