/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_status.h
 * The counters of all loops added up: all of them as JSON, for tests and who looks closer,
 * and some on the page of metrics.
 */
#ifndef RT_STATUS_H
#define RT_STATUS_H

#include "hb_metrics.h"
#include "rt_loop.h"

#define RT_TOLD_MOST 8

/** What was told of last; zeroed before the first time. */
typedef struct rt_told_t {
    uint64_t values[RT_TOLD_MOST];
} rt_told_t;

/** In pool; any thread. */
const char *rt_status_json(const rt_engine_t *engine, apr_pool_t *pool);

/** Put what was counted since the last time on the page of metrics. One thread at a time. */
void rt_status_tell(rt_told_t *told, const rt_engine_t *engine, hb_metrics_t *metrics);

#endif /* RT_STATUS_H */
