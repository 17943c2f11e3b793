/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may touch what: types of accounts, and kinds of entries with the types that coins may
 * leave and arrive at. Bonus coins stay with their user or go to the platform: they have accounts
 * of their own, no kind lets those touch a host, and hb_ledger.c refuses an entry that names two
 * users' bonus accounts.
 */
#include "hb_ledger_private.h"

#include <string.h>

#define OWNED 1
#define NOBODYS 0
#define ANY APR_INT64_MIN, APR_INT64_MAX
#define NOT_BELOW_ZERO 0, APR_INT64_MAX
#define NOT_ABOVE_ZERO APR_INT64_MIN, 0

static const hb_account_row_t accounts[] = {
/*    bit                  type           before                  behind          owner    currency  bounds          shown as */
    { HB_LA_USER,          "user",        "user:",                "",             OWNED,   HB_COIN,  NOT_BELOW_ZERO, "coins.balance",      HB_LA_USER_HELD },
    { HB_LA_BONUS,         "bonus",       "user:",                ":bonus",       OWNED,   HB_BONUS, NOT_BELOW_ZERO, "coins.bonusBalance", HB_LA_BONUS_HELD },
    { HB_LA_EARNED,        "earned",      "host:",                ":earned",      OWNED,   HB_COIN,  NOT_BELOW_ZERO, NULL,                 HB_LA_EARNED_HELD },
    { HB_LA_DEBT,          "debt",        "user:",                ":debt",        OWNED,   HB_COIN,  NOT_ABOVE_ZERO, NULL,                 0 },
    { HB_LA_USER_HELD,     "user:held",   "user:",                ":held",        OWNED,   HB_COIN,  NOT_BELOW_ZERO, NULL,                 0 },
    { HB_LA_BONUS_HELD,    "bonus:held",  "user:",                ":bonus:held",  OWNED,   HB_BONUS, NOT_BELOW_ZERO, NULL,                 0 },
    { HB_LA_EARNED_HELD,   "earned:held", "host:",                ":earned:held", OWNED,   HB_COIN,  NOT_BELOW_ZERO, NULL,                 0 },
    { HB_LA_MINT,          "mint",        HB_ACCOUNT_MINT,          "",           NOBODYS, HB_COIN,  ANY,            NULL,                 0 },
    { HB_LA_BONUS_MINT,    "bonus:mint",  HB_ACCOUNT_BONUS_MINT,    "",           NOBODYS, HB_BONUS, ANY,            NULL,                 0 },
    { HB_LA_REVENUE,       "revenue",     HB_ACCOUNT_REVENUE,       "",           NOBODYS, HB_COIN,  ANY,            NULL,                 0 },
    { HB_LA_BONUS_REVENUE, "bonus:revenue", HB_ACCOUNT_BONUS_REVENUE, "",         NOBODYS, HB_BONUS, ANY,            NULL,                 0 },
};

#define N_ACCOUNTS ((int)(sizeof(accounts) / sizeof(accounts[0])))

#define MINTS   (HB_LA_MINT | HB_LA_BONUS_MINT)
#define PURSES  (HB_LA_USER | HB_LA_BONUS)
#define HELD    (HB_LA_USER_HELD | HB_LA_BONUS_HELD | HB_LA_EARNED_HELD)
#define HOLDABLE (HB_LA_USER | HB_LA_BONUS | HB_LA_EARNED)

static const hb_ledger_kind_t kinds[] = {
/*    name          from                              to                                flags */
    { "purchase",   MINTS,                            PURSES | HB_LA_DEBT,              0,
      "coins bought with money, with what a pack adds as a bonus; a debt is paid first" },
    { "gift",       HB_LA_USER,                       HB_LA_EARNED | HB_LA_REVENUE,     HB_LK_SPENDS | HB_LK_EARNS,
      "a gift to the host of a live room" },
    { "throne",     HB_LA_USER,                       HB_LA_EARNED | HB_LA_REVENUE,     HB_LK_SPENDS | HB_LK_EARNS,
      "a claim of the throne of a live room" },
    { "og",         PURSES,                           HB_LA_REVENUE | HB_LA_BONUS_REVENUE, HB_LK_SPENDS,
      "an OG tier bought with coins" },
    { "og_bonus",   HB_LA_BONUS_MINT,                 HB_LA_BONUS,                      0,
      "the daily bonus of an OG tier" },
    { "grant",      HB_LA_BONUS_MINT,                 HB_LA_BONUS,                      0,
      "bonus coins for a festival, an invitation and the like" },
    { "refund",     PURSES | HB_LA_DEBT | HB_LA_USER_HELD, MINTS,                       HB_LK_REASON,
      "coins taken back because their payment was refunded; what is spent becomes a debt" },
    { "dispute",    PURSES | HB_LA_DEBT | HB_LA_USER_HELD, MINTS,                       HB_LK_REASON,
      "coins taken back because the payer's bank did" },
    { "restitution", MINTS,                           PURSES,                           HB_LK_REASON,
      "coins given back because a refund failed or a dispute was won" },
    { "debt",       HB_LA_USER | HB_LA_EARNED,        HB_LA_DEBT,                       0,
      "a debt paid from coins" },
    { "payout",     HB_LA_EARNED_HELD,                HB_LA_MINT,                       0,
      "earned coins that were paid out in money" },
    { "adjustment", PURSES | HB_LA_DEBT | MINTS,      PURSES | HB_LA_DEBT | MINTS,      HB_LK_REASON,
      "a correction by finance" },
    { "hold",       HOLDABLE,                         HELD,                             HB_LK_LASTS,
      "coins set aside" },
    { "hold_void",  HELD,                             HOLDABLE,                         HB_LK_LASTS,
      "coins set aside and given back" },
};

#define N_KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

const hb_account_row_t *hb_account_row_at(int i)
{
    return i < N_ACCOUNTS ? &accounts[i] : NULL;
}

const hb_ledger_kind_t *hb_ledger_kind_at(int i)
{
    return i < N_KINDS ? &kinds[i] : NULL;
}

static int is_digits(const char *text)
{
    int i;

    for (i = 0; i < HB_ID_LENGTH; i++) {
        if ((text[i] < '0' || text[i] > '9') && (text[i] < 'a' || text[i] > 'f')) {
            return 0;
        }
    }
    return 1;
}

const hb_account_row_t *hb_account_row(const char **owner, const char *name, apr_size_t len)
{
    const char *dropped;
    int i;

    owner = owner != NULL ? owner : &dropped;
    *owner = NULL;
    for (i = 0; i < N_ACCOUNTS; i++) {
        const hb_account_row_t *row = &accounts[i];
        apr_size_t before = strlen(row->before);
        apr_size_t behind = strlen(row->behind);
        apr_size_t id = row->has_owner ? HB_ID_LENGTH : 0;

        if (len == before + id + behind && memcmp(name, row->before, before) == 0
            && memcmp(name + before + id, row->behind, behind) == 0
            && (!row->has_owner || is_digits(name + before))) {
            *owner = row->has_owner ? name + before : NULL;
            return row;
        }
    }
    return NULL;
}

const hb_ledger_kind_t *hb_ledger_kind(int *is_reversal, const char *type, apr_size_t len)
{
    const apr_size_t n = sizeof(HB_LEDGER_REVERSAL) - 1;
    int reverses = len > n && memcmp(type, HB_LEDGER_REVERSAL, n) == 0;
    int i;

    if (is_reversal != NULL) {
        *is_reversal = reverses;
    }
    if (reverses) {
        type += n;
        len -= n;
    }
    for (i = 0; i < N_KINDS; i++) {
        if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, type, len) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *hb_ledger_account_check(const char *account)
{
    if (hb_account_row(NULL, account, strlen(account)) != NULL) {
        return NULL;
    }
    return "accounts are user:ID, user:ID:bonus, host:ID:earned, user:ID:debt, the first three "
           "with :held behind, platform:mint, platform:mint:bonus, platform:revenue and "
           "platform:revenue:bonus";
}
