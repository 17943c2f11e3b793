/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_store_front.h
 * One call on its way through the front of the store: what hb_store.c and hb_store_keep.c ask of
 * hb_store_open.c.
 */
#ifndef HB_STORE_FRONT_H
#define HB_STORE_FRONT_H

#include "hb_metrics.h"
#include "hb_store_backend.h"

struct hb_store_instance_t;

typedef struct hb_store_call_t {
    hb_op_t *op;
    hb_store_t *store;
    struct hb_store_instance_t *instance;   /* NULL inside a transaction, which holds it already */
    const hb_store_driver_t *driver;
    void *self;
    const char *what;
    hb_collection_e in;
    apr_int64_t started;
    int is_long;                    /* by nature, so it is never called slow */
} hb_store_call_t;

/** Find the backend, count the call. What begins without a failure has to end. */
apr_status_t hb_store_begin(hb_store_call_t *call, hb_op_t *op, const char *what,
                            hb_collection_e in, hb_metric_e metric);
/** Count and time it; gives rv. @param query  for the log, or NULL */
apr_status_t hb_store_end(hb_store_call_t *call, apr_status_t rv, const hb_query_t *query);

#endif /* HB_STORE_FRONT_H */
