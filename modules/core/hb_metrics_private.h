/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_metrics_private.h
 * Layout of the counters, for hb_metrics.c (which adds) and hb_metrics_text.c (which prints).
 */
#ifndef HB_METRICS_PRIVATE_H
#define HB_METRICS_PRIVATE_H

#include "hb_memory.h"
#include "hb_metrics.h"

#define HB_METRICS_STRIPES 16           /* a power of 2 */
#define HB_METRICS_BUCKETS 12           /* bounded ones; one more has no bound */
#define HB_METRICS_STATUSES 48

/* Cells of one route in one stripe: whole cache lines. */
typedef struct hb_metrics_cells_t {
    apr_uint64_t answers[HB_METRICS_STATUSES];
    apr_uint64_t durations[HB_METRICS_BUCKETS + 1];
    apr_uint64_t usec;
    apr_uint64_t bytes;
    apr_uint64_t unused;
} hb_metrics_cells_t;

struct hb_metrics_t {
    apr_uint64_t *rows;         /* of hb_metrics.def: stripes after each other */
    hb_metrics_cells_t *routes; /* stripes after each other, in each n_routes */
    int n_routes;
};

/** What hb_metrics.def says of a row. */
typedef struct hb_metric_row_t {
    const char *name;
    const char *labels;         /* ready for print, "" for none */
    const char *sentence;
    int is_gauge;
} hb_metric_row_t;
extern const hb_metric_row_t hb_metric_rows[HB_METRIC_COUNT];

/** Status of answers[i] as text: "200"; the last one, "other", is for what is not listed. */
const char *hb_metrics_status(int i);

/** Sum of a route's cells over all stripes. */
void hb_metrics_route_sum(hb_metrics_cells_t *sum, const hb_metrics_t *metrics, int route);

#endif /* HB_METRICS_PRIVATE_H */
