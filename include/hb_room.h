/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_room.h
 * How a room is run (CHT-04, M-08): rules, moderators, who is muted or kicked. All of it belongs to
 * the host and so holds from stream to stream; only a pinned message is one stream's. Chat
 * itself is hb_chat.h. All calls wait for the store but where it says not.
 */
#ifndef HB_ROOM_H
#define HB_ROOM_H

#include "hb_json.h"
#include "hb_op.h"

/** What somebody is in a room; all but NONE may moderate it. */
typedef enum hb_badge_e {
    HB_BADGE_NONE,
    HB_BADGE_STAFF,             /* a moderator of the platform, in a session that may act as such */
    HB_BADGE_MODERATOR,         /* appointed by the host */
    HB_BADGE_HOST
} hb_badge_e;

/** "none", "staff", "moderator", "host". */
const char *hb_badge_name(hb_badge_e badge);

/** A room as it is for the actor. */
typedef struct hb_room_t {
    const hb_json_t *stream;
    const char *stream_id;
    const char *host_id;
    hb_badge_e badge;
    hb_json_t *rules;           /* the record; NULL when the host never set any */
    apr_time_t muted_until;     /* 0 when not */
    apr_time_t kicked_until;
    int is_shadow_muted;
} hb_room_t;

/** Look at the room of a stream. A stranger is nobody in it. */
apr_status_t hb_room_open(hb_room_t *room, hb_op_t *op, const hb_json_t *stream);

/** The same by id. HB_E_STREAM_UNKNOWN. */
apr_status_t hb_room_open_id(hb_room_t *room, hb_op_t *op, const char *stream_id);

/** HB_E_ROOM_KICKED when the actor was sent out of this host's room and the time is not over. */
apr_status_t hb_room_check_entry(hb_op_t *op, const char *host_id);

/** HB_E_ROOM_KICKED or HB_E_ROOM_MUTED for who may not be heard in this room now. Does not wait. */
apr_status_t hb_room_check_restraint(hb_op_t *op, const hb_room_t *room);

/** HB_E_FORBIDDEN unless the actor may moderate. Does not wait. */
apr_status_t hb_room_need_badge(hb_op_t *op, const hb_room_t *room);

/** Rules, pinned message, throne and the actor's badge, as HB_R_ROOM_STATE. */
apr_status_t hb_room_state(hb_json_t **state, hb_op_t *op, const char *stream_id);

/** Change the rules: the host, or staff. Gives HB_R_ROOM_RULES, which the room is told too. */
apr_status_t hb_room_edit(hb_json_t **rules, hb_op_t *op, const char *stream_id,
                          const hb_json_t *input);

/** Pin a message, or none for NULL: whoever moderates. HB_E_MESSAGE_UNKNOWN. */
apr_status_t hb_room_pin(hb_json_t **pinned, hb_op_t *op, const char *stream_id,
                         const char *message_id);

/* --- moderators (hb_room_moderator.c): the host's to appoint --- */

apr_status_t hb_room_moderator_set(hb_op_t *op, const char *stream_id, const char *user_id);
apr_status_t hb_room_moderator_clear(hb_op_t *op, const char *stream_id, const char *user_id);
/** In the transaction of a block between the two: who is kept out of a room does not keep it. */
apr_status_t hb_room_moderator_drop(hb_op_t *op, const char *host_id, const char *user_id);
/** {items, next} of "users:all"; for anybody. */
apr_status_t hb_room_moderators(hb_json_t **list, hb_op_t *op, const char *stream_id,
                                int limit, const char *after);

/* --- restraints (hb_room_restraint.c): for whoever moderates --- */

/**
 * Mute, time out, shadow mute or kick somebody (HB_F_ROOM_RESTRAIN). Nobody restrains the host, the
 * platform's staff or themselves; only the host and staff restrain a moderator. Gives
 * the record's view.
 */
apr_status_t hb_room_restrain(hb_json_t **view, hb_op_t *op, const char *stream_id,
                              const char *user_id, const hb_json_t *input);
/** Lift all of it; nothing there is success too. */
apr_status_t hb_room_lift(hb_op_t *op, const char *stream_id, const char *user_id);
/** {items, next} of "roomRestraints:all", newest first. */
apr_status_t hb_room_restraints(hb_json_t **list, hb_op_t *op, const char *stream_id,
                                int limit, const char *after);

#endif /* HB_ROOM_H */
