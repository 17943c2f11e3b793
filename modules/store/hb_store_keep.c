/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of what keeps a store: health, backup, checks, figures, indexes, and what a copy
 * (hb_store_copy.c) needs of a backend.
 */
#include "hb_store_front.h"

#include <string.h>

#include "hb_store_copy.h"

apr_status_t hb_store_ping(hb_op_t *op)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "ping", HB_SHAPE_NONE, HB_M_STORE_READS);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->ping(call.self, op), NULL);
}

apr_status_t hb_store_verify(apr_int64_t *findings, hb_op_t *op, hb_store_report_fn *report,
                             void *baton)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "verify", HB_SHAPE_NONE, HB_M_STORE_READS);

    *findings = 0;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->verify(call.self, findings, op, report, baton),
               NULL);
}

apr_status_t hb_store_stats(hb_json_t **stats, hb_op_t *op)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "stats", HB_SHAPE_NONE, HB_M_STORE_READS);

    *stats = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->stats(call.self, stats, op), NULL);
}

apr_status_t hb_store_indexes(hb_json_t **list, hb_op_t *op)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "indexes", HB_SHAPE_NONE, HB_M_STORE_READS);

    *list = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->indexes(call.self, list, op), NULL);
}

apr_status_t hb_store_reindex(hb_op_t *op, int all, hb_store_report_fn *report, void *baton)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "reindex", HB_SHAPE_NONE, HB_M_STORE_WRITES);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->reindex(call.self, op, all, report, baton), NULL);
}

/* --- for copies --- */

apr_status_t hb_store_freeze(hb_op_t *op, hb_store_tx_fn *fn, void *baton)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "freeze", HB_SHAPE_NONE, HB_M_STORE_READS);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->freeze(call.self, op, fn, baton), NULL);
}

apr_status_t hb_store_clear(hb_op_t *op)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "clear", HB_SHAPE_NONE, HB_M_STORE_WRITES);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->clear(call.self, op), NULL);
}

apr_status_t hb_store_load(hb_op_t *op, hb_collection_e in, const hb_store_raw_t *docs, int n,
                          const char *note)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "load", in, HB_M_STORE_WRITES);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call.is_long = 1;
    return hb_store_end(&call, call.driver->load(call.self, op, in, docs, n, note), NULL);
}

apr_status_t hb_store_note(const char **note, hb_op_t *op)
{
    hb_store_call_t call;
    apr_status_t rv = hb_store_begin(&call, op, "note", HB_SHAPE_NONE, HB_M_STORE_READS);

    *note = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return hb_store_end(&call, call.driver->note(call.self, note, op), NULL);
}
