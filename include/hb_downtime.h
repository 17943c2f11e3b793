/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_downtime.h
 * Planned maintenance (NTF-04, API-25): everybody is told 48 hours ahead, or at once when it is
 * closer than that, and again when it begins; and when it is cancelled after they were told.
 * It closes nothing by itself: that is HaloBuzzMaintenance. All calls wait for the store.
 */
#ifndef HB_DOWNTIME_H
#define HB_DOWNTIME_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * Plan one; input fits HB_F_DOWNTIME. Gives HB_R_DOWNTIME.
 * @return HB_E_INPUT_INVALID for a begin in the past or an end before it, HB_E_DOWNTIME_STATE
 *         when one is planned for that moment already
 */
apr_status_t hb_downtime_plan(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/** Call it off. HB_E_DOWNTIME_UNKNOWN; HB_E_DOWNTIME_STATE once it has begun or was cancelled. */
apr_status_t hb_downtime_cancel(hb_json_t **view, hb_op_t *op, const char *id);

/** All, the latest begin first: {items, next} of HB_R_DOWNTIME. */
apr_status_t hb_downtime_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

#endif /* HB_DOWNTIME_H */
