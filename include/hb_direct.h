/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_direct.h
 * Direct messages between two people, and the inbox with what waits in it (CHT-03). Each of the
 * two has a side of the conversation, changed in the transaction that writes the message,
 * so the counts are exact. All calls wait for the store.
 */
#ifndef HB_DIRECT_H
#define HB_DIRECT_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * Write to somebody; input fits HB_F_DIRECT_SEND. Both are told. Gives HB_R_DIRECT_SENT;
 * op->is_replayed when it was written before.
 * @return HB_E_USER_UNKNOWN (also when they block the actor), HB_E_USER_SELF,
 *         HB_E_USER_BLOCKED, HB_E_USER_UNDERAGE, HB_E_USER_CLOSED (they are too young),
 *         HB_E_LIMITED, HB_E_INPUT_INVALID
 */
apr_status_t hb_direct_send(hb_json_t **reply, hb_op_t *op, const char *peer_id,
                            const hb_json_t *input);

/** The actor's conversations, newest first: {items, next} of HB_R_CONVERSATION; pages may be short. */
apr_status_t hb_direct_conversations(hb_json_t **list, hb_op_t *op, int limit,
                                     const char *after);

/** What the actor and the peer wrote, newest first: {items, next} of "directMessages:all". */
apr_status_t hb_direct_messages(hb_json_t **list, hb_op_t *op, const char *peer_id, int limit,
                                const char *after);

/** The actor has looked at all of a conversation; their devices are told. HB_R_DIRECT_READ. */
apr_status_t hb_direct_read(hb_json_t **reply, hb_op_t *op, const char *peer_id);

/** What waits: HB_R_UNREAD. */
apr_status_t hb_direct_unread(hb_json_t **reply, hb_op_t *op);

/** Drop what an account that goes away wrote, and its inbox, in steps of bounded size. */
apr_status_t hb_direct_drop_all(hb_op_t *op, const char *user_id);

#endif /* HB_DIRECT_H */
