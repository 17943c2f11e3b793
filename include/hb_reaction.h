/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_reaction.h
 * Reactions of a room: a heart costs nobody anything and is worth nothing alone, so they are
 * added up, told as counts, and kept nowhere.
 */
#ifndef HB_REACTION_H
#define HB_REACTION_H

#include "hb_json.h"
#include "hb_op.h"

/** Kinds, by number from 0. */
#define HB_REACTION_KINDS 6

/** How often each kind came. */
typedef struct hb_reactions_t {
    apr_uint32_t n[HB_REACTION_KINDS];
} hb_reactions_t;

/** "heart" ...; NULL behind the last. */
const char *hb_reaction_name(int kind);
/** -1 when there is none of that name. */
int hb_reaction_kind(const char *name);

/** Members of a "counts" object added to reactions; what is no kind is passed over. */
void hb_reactions_add(hb_reactions_t *reactions, const hb_json_t *counts);
/** HB_R_REACTION_COUNTS. */
hb_json_t *hb_reactions_json(const hb_reactions_t *reactions, const char *stream_id,
                             apr_pool_t *pool);

/**
 * May the actor react in this room now? Counts as one reaction of the actor's.
 * @param is_heard  0 for who is shadow muted: it is taken and told to nobody
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_USER_BLOCKED,
 *         HB_E_ROOM_MUTED, HB_E_ROOM_KICKED, HB_E_LIMITED with the time to wait. Waits.
 */
apr_status_t hb_reaction_check(int *is_heard, hb_op_t *op, const char *stream_id);

/** Tell the room. Does not wait for readers. */
void hb_reaction_tell(hb_op_t *op, const char *stream_id, const hb_reactions_t *reactions);

/** One reaction, checked and told. @param input  fits HB_F_REACTION_SEND */
apr_status_t hb_reaction_send(hb_op_t *op, const char *stream_id, const hb_json_t *input);

#endif /* HB_REACTION_H */
