/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_gift.h
 * Gifts (GFT-01..04): the catalogue, and sending one to the host of a live room. Who gives most is
 * hb_leaderboard.h's, OG tiers are hb_og.h's. All calls but the share wait for the store.
 */
#ifndef HB_GIFT_H
#define HB_GIFT_H

#include "hb_json.h"
#include "hb_op.h"

/** Sent within this time of the one before, the same gift goes on a combo. */
#define HB_GIFT_COMBO_MSEC 10000

/**
 * What the host earns: percent of coins (0 or more), rounded down; what remains is the
 * platform's. Does not wait, and does not overflow.
 */
apr_int64_t hb_gift_share(apr_int64_t coins, apr_int64_t percent);

/**
 * What can be sent now, cheapest first: {items, next} of "giftCatalog:all". Pages are short where
 * gifts wait for their festival. HB_E_CURSOR_INVALID.
 */
apr_status_t hb_gift_catalog(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/**
 * Send a gift to the host of a stream: coins, record, the stream's total, score and combo in one
 * transaction; repeated with its Idempotency-Key it gives the first answer (hb_idem.h).
 * @param reply  HB_R_GIFT_SENT
 * @param input  fits HB_F_GIFT_SEND
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_USER_SELF, HB_E_USER_BLOCKED,
 *         HB_E_ROOM_KICKED, HB_E_GIFT_UNKNOWN, HB_E_GIFT_OG, HB_E_GIFT_FESTIVAL (hb_festival.h),
 *         HB_E_WALLET_SHORT (bonus coins do not count), HB_E_IDEM_MISMATCH
 */
apr_status_t hb_gift_send(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                          const hb_json_t *input);

/**
 * Gifts of a stream, newest first: {items, next} of "gifts:all"; its host and staff see the
 * host's share. Others are not shown what those gave with whom they have a block.
 */
apr_status_t hb_gift_list(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                          const char *after);

/** The whole catalogue, oldest first, for administrators: {items, next} of "giftCatalog:staff". */
apr_status_t hb_gift_catalog_all(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/**
 * Take a gift from sale, give it back, or keep it for festivals (HB_F_GIFT_EDIT);
 * administrators, with an entry in the audit trail. What was sent stays as it is.
 * HB_E_GIFT_UNKNOWN.
 */
apr_status_t hb_gift_edit(hb_json_t **view, hb_op_t *op, const char *id, const hb_json_t *input);

/**
 * Add what the catalogue lacks; a gift whose code is there stays as it is.
 * @param n_new  how many were added
 * @param gifts  array of what fits HB_F_GIFT_SEED; all of it or nothing
 */
apr_status_t hb_gift_seed(int *n_new, hb_op_t *op, const hb_json_t *gifts);

#endif /* HB_GIFT_H */
