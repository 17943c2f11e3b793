/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_wallet.h
 * What a user sees of the ledger: purses, what moved in them, statements to keep; and
 * corrections by finance. Buying coins is hb_order.h's. Every call waits for the
 * store.
 */
#ifndef HB_WALLET_H
#define HB_WALLET_H

#include "hb_json.h"
#include "hb_op.h"

/** A user's purses; fits HB_R_WALLET. HB_E_USER_UNKNOWN. */
apr_status_t hb_wallet_show(hb_json_t **wallet, hb_op_t *op, const char *user_id);

/**
 * What moved in a purse, newest first: {items of HB_R_WALLET_LINE, next}.
 * @param purse  "coins", "bonus" or "earned"
 */
apr_status_t hb_wallet_list(hb_json_t **list, hb_op_t *op, const char *user_id,
                            const char *purse, int limit, const char *after);

/** Lines of a CSV statement at most; a longer one is HB_E_INPUT_INVALID. */
#define HB_STATEMENT_LINES_MAX 10000

/**
 * The same as CSV (RFC 4180, UTF-8), oldest first, with the running balance. Texts that a
 * spreadsheet would take for a formula get an apostrophe in front.
 * @param from, to  first and last day, YYYY-MM-DD in UTC, or NULL
 */
apr_status_t hb_wallet_csv(const char **csv, apr_size_t *len, hb_op_t *op, const char *user_id,
                           const char *purse, const char *from, const char *to);

/**
 * Add to or take from a user's purses, once per Idempotency-Key, with an entry in the audit
 * trail; input fits HB_F_ADJUSTMENT_NEW, answer HB_R_ADJUSTMENT. The caller has looked at the
 * role. HB_E_WALLET_SHORT, HB_E_USER_UNKNOWN, HB_E_IDEM_MISMATCH, HB_E_APPROVAL_FOUR_EYES for
 * one's own.
 */
apr_status_t hb_wallet_adjust(hb_json_t **answer, hb_op_t *op, const hb_json_t *input);

#endif /* HB_WALLET_H */
