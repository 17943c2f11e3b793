/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_chat.h
 * Chat of live rooms (CHT-01, CHT-04). A message is written before anybody is told of it, so
 * the history holds whatever a room has seen. The client's own id makes sending
 * repeatable: sent twice, it is said and told once. Rules of the room are hb_room.h's.
 */
#ifndef HB_CHAT_H
#define HB_CHAT_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_room.h"
#include "hb_schema.h"

/**
 * Say something in a live room, whether over HTTP or a socket.
 * @param input  fits HB_F_CHAT_SAY; its streamId is not looked at
 * @param reply  HB_R_CHAT_SAID; op->is_replayed when it was said before
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_USER_BLOCKED,
 *         HB_E_USER_UNDERAGE, HB_E_ROOM_MUTED, HB_E_ROOM_KICKED, HB_E_ROOM_SLOW and
 *         HB_E_LIMITED (with the time to wait), HB_E_ROOM_FOLLOWERS, HB_E_ROOM_OG,
 *         HB_E_ROOM_LINKS, HB_E_ROOM_WORDS, HB_E_INPUT_INVALID. Waits.
 */
apr_status_t hb_chat_say(hb_json_t **reply, hb_op_t *op, const char *stream_id,
                         const hb_json_t *input);

/**
 * What was said, newest first: {items, next} of HB_R_CHAT_MESSAGE. Without what was deleted, what
 * the actor may not see, and who is blocked: pages may be short.
 */
apr_status_t hb_chat_history(hb_json_t **list, hb_op_t *op, const char *stream_id, int limit,
                             const char *after);

/** Take a message back: its author or whoever moderates. HB_E_MESSAGE_UNKNOWN, HB_E_FORBIDDEN. */
apr_status_t hb_chat_delete(hb_op_t *op, const char *stream_id, const char *message_id);

/**
 * A message of this stream as the room sees it. HB_E_MESSAGE_UNKNOWN also when it was deleted, its
 * author is gone, or blocked.
 */
apr_status_t hb_chat_message(hb_json_t **message, hb_op_t *op, const char *stream_id,
                             const char *message_id);

/** Drop what an account that goes away said, in steps of bounded size. */
apr_status_t hb_chat_drop_all(hb_op_t *op, const char *user_id);

/* --- what direct messages share (hb_chat_text.c); do not wait --- */

/** HB_E_INPUT_INVALID for control characters, text without ink, marks that turn text round. */
apr_status_t hb_chat_check_text(hb_op_t *op, const char *text);
/** Does it hold something that apps make a link of? */
int hb_chat_has_link(const char *text);
/** One more message of this person: HB_E_LIMITED with the time to wait. */
apr_status_t hb_chat_check_rate(hb_op_t *op);
/** HB_E_USER_UNDERAGE when the account declared to be too young (HaloBuzzChatAge). */
apr_status_t hb_chat_check_age(hb_op_t *op, const hb_json_t *user);

/**
 * How a message is known that its client may send again; NULL without an id of the client's.
 * @param target_id  the room, or the other person
 */
const char *hb_chat_client_key(const hb_op_t *op, const char *target_id, const char *client_id);
/** What the client sent before under this key; NULL when nothing. */
apr_status_t hb_chat_find_sent(hb_json_t **doc, hb_op_t *op, hb_collection_e in,
                               const char *client_key);

#endif /* HB_CHAT_H */
