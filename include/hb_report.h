/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_report.h
 * The figures of a day (CRN-05), counted from records that last, so that a past day can be counted
 * again with the same outcome. Each local date has one record; the job daily-report makes that of
 * yesterday.
 */
#ifndef HB_REPORT_H
#define HB_REPORT_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_store.h"
#include "hb_zone.h"

/**
 * Count a day and keep it, over what was kept of it before. Reads by indexes, a part at a time,
 * resting between; writes one record. May be stopped anywhere and run again.
 * @param view    "reports:staff"
 * @param date    YYYY-MM-DD in zone; HB_E_INPUT_INVALID when it is none, or has not begun
 * @param report  may be NULL; APR_EINTR when it stops the run
 */
apr_status_t hb_report_make(hb_json_t **view, hb_op_t *op, const char *date,
                            const hb_zone_t *zone, hb_store_report_fn *report, void *baton);

/** One that was kept. HB_E_REPORT_UNKNOWN */
apr_status_t hb_report_get(hb_json_t **view, hb_op_t *op, const char *date);

/** Newest first: {items, next} of "reports:staff". */
apr_status_t hb_report_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/** A view as CSV (RFC 4180): date, figure, of what, value; a line a figure. Does not wait. */
const char *hb_report_csv(apr_pool_t *pool, const hb_json_t *view);

#endif /* HB_REPORT_H */
