/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_stream_quality.h
 * What clients report about the picture (STR-05): summed in the metrics for alerts, and per
 * stream in the cache until the stream's end writes the averages into its analytics. A lost
 * cache loses the reports so far and nothing else.
 */
#ifndef HB_STREAM_QUALITY_H
#define HB_STREAM_QUALITY_H

#include "hb_json.h"
#include "hb_op.h"

/** A delay above this counts as slow (ALR-10). */
#define HB_STREAM_SLOW_MSEC 500

/**
 * Take a report of the actor, who is the stream's host or in its room.
 * @param quality  the averages with it, as HB_R_STREAM_QUALITY
 * @param report   fits HB_F_STREAM_REPORT
 * @return HB_E_STREAM_UNKNOWN, HB_E_STREAM_STATE, HB_E_STREAM_ENDED, HB_E_FORBIDDEN. Waits.
 */
apr_status_t hb_stream_report(hb_json_t **quality, hb_op_t *op, const char *id,
                              const hb_json_t *report);

/** The averages so far; NULL when nothing is known. Asks the cache only. */
hb_json_t *hb_stream_quality(hb_op_t *op, const char *id);

#endif /* HB_STREAM_QUALITY_H */
