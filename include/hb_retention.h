/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_retention.h
 * Removing what is older than it is kept: the table is hb_retention.def.
 */
#ifndef HB_RETENTION_H
#define HB_RETENTION_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_store.h"

typedef struct hb_retention_row_t {
    const char *name;
    hb_collection_e in;
    const char *by;
    int days;
    const char *drop;
    const char *sentence;
} hb_retention_row_t;

/** Row i, NULL behind the last. */
const hb_retention_row_t *hb_retention_at(int i);

/** Are these the values of HaloBuzzRetention ("NAME DURATION" or "NAME off")? NULL, or a sentence. */
const char *hb_retention_check(const char *lines, apr_pool_t *pool);

/** How long a row's records are kept; 0 for ever. Does not wait. */
apr_interval_time_t hb_retention_kept(const hb_settings_t *settings, const hb_retention_row_t *row,
                                      apr_pool_t *pool);

/**
 * Remove what is too old, some hundred records a transaction, resting between; may be stopped
 * anywhere and run again.
 * @param result  {items:[{name, collection, keptSec, records}]}: how many of each; keptSec 0: for ever
 * @param is_dry  only count
 * @param report  may be NULL; APR_EINTR when it stops the run
 */
apr_status_t hb_retention_clean(hb_json_t **result, hb_op_t *op, int is_dry,
                                hb_store_report_fn *report, void *baton);

#endif /* HB_RETENTION_H */
