/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ledger_private.h
 * What the files of the ledger share: hb_ledger_kinds.c (who may touch what), hb_ledger.c
 * (writing), hb_ledger_run.c (many at once), hb_ledger_text.c (an entry's bytes),
 * hb_ledger_list.c (reading), hb_ledger_verify.c (proving), hb_hold.c.
 */
#ifndef HB_LEDGER_PRIVATE_H
#define HB_LEDGER_PRIVATE_H

#include "hb_ledger.h"

/* --- hb_ledger_kinds.c --- */

/** Types of accounts, as bits for the kinds table. */
#define HB_LA_USER          0x0001u
#define HB_LA_BONUS         0x0002u
#define HB_LA_EARNED        0x0004u
#define HB_LA_DEBT          0x0008u
#define HB_LA_USER_HELD     0x0010u
#define HB_LA_BONUS_HELD    0x0020u
#define HB_LA_EARNED_HELD   0x0040u
#define HB_LA_MINT          0x0080u
#define HB_LA_BONUS_MINT    0x0100u
#define HB_LA_REVENUE       0x0200u
#define HB_LA_BONUS_REVENUE 0x0400u

typedef struct hb_account_row_t {
    unsigned int bit;
    const char *type;
    const char *before, *behind;    /* of the owner's id; the whole name when it has no owner */
    int has_owner;
    hb_currency_e currency;
    apr_int64_t low, high;          /* what it may hold */
    const char *projection;         /* field of the owner's user record that shows it, or NULL */
    unsigned int held_bit;          /* type of "<account>:held", 0 when it has none */
} hb_account_row_t;

/** The row of an account's name, or NULL. @param owner  24 digits inside name, or NULL; may be NULL */
const hb_account_row_t *hb_account_row(const char **owner, const char *name, apr_size_t len);
/** Row i, NULL behind the last. */
const hb_account_row_t *hb_account_row_at(int i);

#define HB_LK_SPENDS 0x01       /* counts into coins.totalSpent */
#define HB_LK_EARNS  0x02       /* counts into coins.totalEarned */
#define HB_LK_REASON 0x04       /* needs a reason */
#define HB_LK_LASTS  0x08       /* is not reversed: a hold has ways of its own */

typedef struct hb_ledger_kind_t {
    const char *name;
    unsigned int from, to;          /* types that coins may leave, and arrive at */
    unsigned int flags;
    const char *sentence;
} hb_ledger_kind_t;

#define HB_LEDGER_REVERSAL "reversal:"

/** The row of an entry's type; "reversal:gift" is that of gift. @param is_reversal  may be NULL */
const hb_ledger_kind_t *hb_ledger_kind(int *is_reversal, const char *type, apr_size_t len);
/** Row i, NULL behind the last. */
const hb_ledger_kind_t *hb_ledger_kind_at(int i);

static inline const char *hb_currency_name(hb_currency_e currency)
{
    return currency == HB_COIN ? "coin" : "bonus";
}

/* --- hb_ledger_text.c --- */

/** Bytes somewhere else; at is NULL for an absent item. */
typedef struct hb_slice_t {
    const char *at;
    apr_size_t n;
} hb_slice_t;

/** An entry as it is hashed. */
typedef struct hb_entry_text_t {
    hb_slice_t prev_hash, id, type, key, user_id, reference, reason, reverses, metadata;
    hb_slice_t hash, status;        /* not part of it */
    apr_int64_t seq, created_at, amount;
    int n_postings;
    struct {
        hb_slice_t account, currency, prev;
        apr_int64_t coins, balance;
    } postings[HB_POSTINGS_MAX];
} hb_entry_text_t;

#define HB_HASH_DIGITS 64

/** Room for its bytes. */
apr_size_t hb_entry_bytes_max(const hb_entry_text_t *entry);
/** Its bytes, as hb_ledger.h tells; gives their number. */
apr_size_t hb_entry_bytes(char *out, const hb_entry_text_t *entry);
/** SHA-256 of the bytes, as hex with a 0 byte. */
apr_status_t hb_entry_hash(char hex[HB_HASH_DIGITS + 1], const char *bytes, apr_size_t n);

/**
 * Read an entry as the store keeps it. Slices point into text, or into pool where text had to be
 * copied. @return NULL, or what is wrong with it
 */
const char *hb_entry_read(hb_entry_text_t *entry, const char *id, const char *text,
                          apr_size_t len, apr_pool_t *pool);

/** Slice of a string; NULL gives an absent one. */
hb_slice_t hb_slice(const char *text);
int hb_slice_is(hb_slice_t slice, const char *text);

/* --- hb_ledger_run.c: the store's calls, or what a run keeps; run NULL is the store --- */

apr_status_t hb_run_get(hb_json_t **doc, hb_op_t *op, hb_ledger_run_t *run, hb_collection_e in,
                        const char *id);
/** Write back what hb_run_get() gave, or did not find. */
apr_status_t hb_run_put(hb_op_t *op, hb_ledger_run_t *run, hb_collection_e in, hb_json_t *doc,
                        int is_new);
/** Id of the entry with a key, "" when there is none, NULL when that is not known. */
const char *hb_run_key(const hb_ledger_run_t *run, const char *key);
void hb_run_key_used(hb_ledger_run_t *run, const char *key, const char *id);

/* --- hb_ledger.c --- */

#define HB_LEDGER_HEAD "head"

/** Load an entry; HB_E_ENTRY_UNKNOWN. */
apr_status_t hb_entry_load(hb_json_t **entry, hb_op_t *op, const char *id);

#endif /* HB_LEDGER_PRIVATE_H */
