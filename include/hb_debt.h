/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_debt.h
 * What a user owes because coins were taken back that had been spent (U-10). While somebody owes,
 * every coin that arrives pays the debt first, and payouts and OG tiers are refused.
 */
#ifndef HB_DEBT_H
#define HB_DEBT_H

#include "hb_op.h"

/** Coins owed; 0 for none. Waits for a read. */
apr_status_t hb_debt_owed(apr_int64_t *coins, hb_op_t *op, const char *user_id);

/**
 * Pay a debt from what the user has: earned coins first, then coins. To be called behind whatever
 * brought coins, inside the same hb_store_transact. One read when nothing is owed.
 * @param cause  what brought them, once: the key of its entry
 */
apr_status_t hb_debt_settle(hb_op_t *op, const char *user_id, const char *cause);

/** HB_E_WALLET_DEBT while the user owes. */
apr_status_t hb_debt_check(hb_op_t *op, const char *user_id);

#endif /* HB_DEBT_H */
