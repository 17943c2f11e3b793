/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_stream_list.h
 * Lists of streams and the ranking (STR-02, STR-06). Answers are ready-made JSON text, because
 * the same first pages are asked for all the time: they wait in the cache for
 * HB_STREAM_LIST_TTL under the number of the last change, so that a stream which
 * starts, ends or changes shows at once, and viewer counts at most that much later.
 */
#ifndef HB_STREAM_LIST_H
#define HB_STREAM_LIST_H

#include "hb_json.h"
#include "hb_op.h"

#define HB_STREAM_LIST_TTL apr_time_from_sec(1)

/**
 * A page: {items, next} of public views.
 * @param input  fits HB_F_STREAM_LIST
 * @param text   in op->pool, 0 byte behind it
 * @return HB_E_INPUT_INVALID for an order that no index serves, HB_E_CURSOR_INVALID,
 *         HB_E_FORBIDDEN for planned streams of somebody else. Waits on a cache miss.
 */
apr_status_t hb_stream_list(const char **text, apr_size_t *len, hb_op_t *op,
                            const hb_json_t *input);

/** The most popular live streams as HB_R_STREAM_RANKS. Waits on a cache miss. */
apr_status_t hb_stream_ranking(const char **text, apr_size_t *len, hb_op_t *op, int limit);

/** Lists cached so far are out of date. */
void hb_stream_list_renew(hb_op_t *op);

/** Put a stream where it belongs on the ranking's board, or take it off. */
void hb_stream_rank(hb_op_t *op, const hb_json_t *stream);

#endif /* HB_STREAM_LIST_H */
