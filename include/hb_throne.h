/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_throne.h
 * The Halo Throne (THR-01, U-01): one seat in each host's room. It belongs to the room, so whoever
 * has it keeps it when the host goes live again; to claim it the host has to be live.
 *
 * The price. An empty throne costs HaloBuzzThronePrice. One that is taken costs the coins of its
 * holder and a tenth more, rounded up. A claim names the coins it pays: the price or more, so that
 * nobody pays more than they agreed to, and of two claims at once at one price one is refused. It
 * lasts HaloBuzzThroneTTL, ends when somebody claims over it, and brings no coins back.
 *
 * The coins. Spendable ones only: the ledger's kind "throne" has no way for bonus coins. Host and
 * platform share them as they share a gift (hb_gift_share), and they count in the stream's total,
 * its score and on the leaderboards as a gift of that worth does.
 *
 * An end needs no job: whoever reads the seat asks the clock, and whether the holder's
 * account still acts. The job tells the room, and tidies the records. All calls but the price's
 * wait for the store.
 */
#ifndef HB_THRONE_H
#define HB_THRONE_H

#include "hb_job.h"
#include "hb_json.h"
#include "hb_op.h"

/** What it costs to claim over a claim of so many coins. Does not wait. */
apr_int64_t hb_throne_price_over(apr_int64_t coins);

/**
 * Claim the throne of a live stream's room: coins, records, counts in one transaction;
 * repeated with its Idempotency-Key it gives the first answer (hb_idem.h). The room is told
 * throne:claimed, and who had it until now gets a notice.
 * @param reply  HB_R_THRONE_CLAIMED
 * @param input  fits HB_F_THRONE_CLAIM
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_USER_SELF,
 *         HB_E_USER_UNDERAGE (HaloBuzzChatAge), HB_E_USER_BLOCKED, HB_E_ROOM_MUTED,
 *         HB_E_ROOM_KICKED, HB_E_THRONE_OWN, HB_E_THRONE_PRICE (its detail says the price),
 *         HB_E_WALLET_SHORT, HB_E_IDEM_MISMATCH. Who is muted in secret is not refused: it would
 *         tell them.
 */
apr_status_t hb_throne_claim(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                             const hb_json_t *input);

/** Who has the throne of a stream's room, and its price: HB_R_THRONE. HB_E_STREAM_UNKNOWN. */
apr_status_t hb_throne_show(hb_json_t **throne, hb_op_t *op, const char *stream_id);

/** The same when the room is known already. */
apr_status_t hb_throne_of_room(hb_json_t **throne, hb_op_t *op, const char *stream_id,
                               const char *host_id);

/** Who had it, newest claim first: {items, next} of HB_R_THRONE_REIGN. */
apr_status_t hb_throne_history(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                               const char *after);

/**
 * Take the seat from its holder, without refund: platform moderators; goes into the audit
 * trail, and the room is told throne:ended. An empty throne is success too.
 */
apr_status_t hb_throne_vacate(hb_op_t *op, const char *stream_id, const char *reason);

/**
 * Empty what is over by op->now, each seat in a transaction of its own that also tells the room,
 * when the host is live: throne:expired, once for each claim that nobody claimed over. The jobs
 * throne-turn and throne-expiry; may also run twice at once.
 */
apr_status_t hb_throne_turn_all(hb_op_t *op, const hb_job_run_t *run);
apr_status_t hb_throne_expire_all(hb_op_t *op, const hb_job_run_t *run);

#endif /* HB_THRONE_H */
