/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_metrics.h
 * Counters in shared memory, summed when scraped. Adding is one relaxed atomic on a
 * cache line that few threads share; it never waits and never fails.
 */
#ifndef HB_METRICS_H
#define HB_METRICS_H

#include <apr_pools.h>
#include <apr_errno.h>
#include <apr_time.h>

typedef enum hb_metric_e {
#define HB_METRIC(symbol, kind, name, labels, sentence) HB_M_##symbol,
#include "hb_metrics.def"
#undef HB_METRIC
    HB_METRIC_COUNT
} hb_metric_e;

typedef struct hb_metrics_t hb_metrics_t;

/** How much shared memory n_routes route rows need. */
apr_size_t hb_metrics_bytes(int n_routes);

/**
 * Memory is zeroed or was used by another process; NULL gives private counters. Does
 * not wait; processes may open the same memory at once.
 * @return HB_E_CONFIG when the memory holds counters of another size or version (after an
 *         upgrade, until a full restart); APR_ENOMEM when it is too small
 */
apr_status_t hb_metrics_open(hb_metrics_t **metrics, void *memory, apr_size_t bytes,
                             apr_pool_t *pool);

/** metrics may be NULL. */
void hb_metric_add(hb_metrics_t *metrics, hb_metric_e metric, apr_int64_t n);
/** For gauges only; metrics may be NULL. */
void hb_metric_set(hb_metrics_t *metrics, hb_metric_e metric, apr_int64_t n);
apr_int64_t hb_metric_value(hb_metrics_t *metrics, hb_metric_e metric);

/** One answered request: route row (0: not ours), status, bytes out, duration. */
void hb_metric_http(hb_metrics_t *metrics, int route, int status, apr_int64_t bytes,
                    apr_interval_time_t usec);

/** Upper bounds of the duration buckets in microseconds, ascending; ends with 0. */
const apr_interval_time_t *hb_metrics_buckets(void);

/**
 * Route row i, from 1: gives its template ("/api/v1/users/{id}") and sets *method ("GET");
 * NULL behind the last. Lives as long as the scrape.
 */
typedef const char *hb_metrics_route_fn(void *baton, int i, const char **method);

/**
 * Prometheus text 0.0.4 of everything counted here; routes nobody asked for are left out.
 * Requests that met no route are those of method "other", route "other".
 */
const char *hb_metrics_text(hb_metrics_t *metrics, hb_metrics_route_fn *route, void *baton,
                            apr_pool_t *pool);

#endif /* HB_METRICS_H */
