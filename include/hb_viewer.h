/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_viewer.h
 * Who is in the room of a live stream. One record per person and stream (streamViews, _id is
 * stream:user); the stream carries the counts, changed in the same transaction, so they are exact
 * however often and at once somebody comes and goes.
 *
 * Watched time without reading the records: a join takes its moment (ms since startedAt) from
 * the stream's watchMsec, a leave adds its moment. With n people still inside at moment t, all
 * have watched watchMsec + n * t.
 *
 * A person may be in a room by sockets at several hosts. The record lists those nodes
 * (hb_node.h), and who leaves at one of them stays a viewer while another has him.
 */
#ifndef HB_VIEWER_H
#define HB_VIEWER_H

#include "hb_json.h"
#include "hb_op.h"

/** What a viewer, a person who joined and a coin are worth in the ranking's score. */
#define HB_SCORE_VIEWER 100
#define HB_SCORE_PERSON 10
#define HB_SCORE_COIN   1

/**
 * The actor enters the room; being inside already is success and changes nothing. The host
 * enters uncounted.
 * @param stream  set to the stream with the new counts
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_USER_BLOCKED,
 *         HB_E_ROOM_KICKED. Waits.
 */
apr_status_t hb_viewer_join(hb_json_t **stream, hb_op_t *op, const char *stream_id);

/**
 * The same for who is in the room by a socket of this node, when others had given the node up: the
 * record names it afterwards whatever they did meanwhile.
 */
apr_status_t hb_viewer_join_again(hb_op_t *op, const char *stream_id);

/**
 * The actor leaves; not being inside is success too. In a node: leaves by way of it. Elsewhere
 * (an HTTP call, the room's moderators): altogether. HB_E_STREAM_UNKNOWN. Waits.
 */
apr_status_t hb_viewer_leave(hb_op_t *op, const char *stream_id);

/** Somebody leaves by way of a node that is lost; nothing happens when it is not any more. Waits. */
apr_status_t hb_viewer_leave_lost(hb_op_t *op, const char *stream_id, const char *user_id,
                                  const char *node);

/** May this user be in a room of this host? HB_E_USER_BLOCKED when either blocked the other. Waits. */
apr_status_t hb_viewer_check_blocks(hb_op_t *op, const char *host_id, const char *user_id);

/**
 * Everybody leaves at `now_msec`; part of a transaction that writes the stream. The stream's
 * counts are the caller's.
 */
apr_status_t hb_viewer_leave_all(hb_op_t *op, const char *stream_id, apr_int64_t now_msec);

#endif /* HB_VIEWER_H */
