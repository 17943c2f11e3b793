/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_announce.h
 * Announcements (NTF-01, SEC-16): what the people who run the site tell all users, some, or one. It
 * is written down at once and told by the outbox of notices, from user to user, a hundred
 * messages a second at most; a stop or a crash in the middle costs nothing and tells nobody twice.
 * What a user switched off is kept to, and quiet hours, but for kinds that are fixed or urgent: a
 * leak of data, say. Planned maintenance is hb_downtime.h's. All calls wait for the store.
 */
#ifndef HB_ANNOUNCE_H
#define HB_ANNOUNCE_H

#include "hb_json.h"
#include "hb_notice.h"
#include "hb_op.h"

/** Users that one announcement names at most. */
#define HB_ANNOUNCE_USERS_MAX 1000

/**
 * Announce something, once per Idempotency-Key. Gives HB_R_ANNOUNCEMENT.
 * @param input  fits HB_F_ANNOUNCEMENT, or HB_F_DATA_LEAK with that kind
 * @return HB_E_INPUT_INVALID (no title, a user there is not, a language without texts ...),
 *         HB_E_IDEM_MISMATCH
 */
apr_status_t hb_announce(hb_json_t **view, hb_op_t *op, hb_notice_e kind,
                         const hb_json_t *input);

/** All, newest first: {items, next} of HB_R_ANNOUNCEMENT. */
apr_status_t hb_announce_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/** One, with how far it is. HB_E_ANNOUNCEMENT_UNKNOWN. */
apr_status_t hb_announce_show(hb_json_t **view, hb_op_t *op, const char *id);

/**
 * Tell nobody more. Who was told keeps it. HB_E_ANNOUNCEMENT_UNKNOWN; HB_E_ANNOUNCEMENT_STATE once
 * it is done or was cancelled.
 */
apr_status_t hb_announce_cancel(hb_json_t **view, hb_op_t *op, const char *id);

#endif /* HB_ANNOUNCE_H */
