/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_leaderboard.h
 * Who gives most, gifts and claims of thrones together: in a room, and on the whole platform in a
 * day and a week (UTC, from Monday on). The sums are records, written in the transaction of the
 * gift, and an index keeps them in order: so a board is exact, is there after a restart, and
 * nothing has to be rebuilt. All calls wait for the store.
 */
#ifndef HB_LEADERBOARD_H
#define HB_LEADERBOARD_H

#include "hb_json.h"
#include "hb_op.h"

/** A room's board as HB_R_LEADERBOARD. HB_E_STREAM_UNKNOWN. @param limit  1 to 100 */
apr_status_t hb_leaderboard_room(hb_json_t **board, hb_op_t *op, const char *stream_id,
                                 int limit);

/** The platform's. @param period  "day" or "week" */
apr_status_t hb_leaderboard_gifters(hb_json_t **board, hb_op_t *op, const char *period,
                                    int limit);

/** Inside the transaction of a gift: add it to what the user gave today and this week. */
apr_status_t hb_leaderboard_note(hb_op_t *op, const char *user_id, apr_int64_t coins);

/**
 * Inside the transaction of what is no gift: add it to what the user gave in a room. A gift's own
 * record of that holds its combo too (hb_gift.c).
 */
apr_status_t hb_leaderboard_note_room(hb_op_t *op, const char *stream_id, const char *user_id,
                                      apr_int64_t coins);

/** Add coins to a sum in a document. HB_E_INPUT_INVALID beyond 64 bits. Does not wait. */
apr_status_t hb_leaderboard_add(hb_json_t *doc, const char *field, apr_int64_t coins);

/** The Monday of the week of a moment, YYYY-MM-DD in UTC, in pool. */
const char *hb_leaderboard_week(apr_pool_t *pool, apr_time_t when);

#endif /* HB_LEADERBOARD_H */
