/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quality reports. Three counters per stream in the cache (how many, sum of delays, sum of
 * bit rates): adding commutes, so reports need no order and no lock.
 */
#include "hb_stream_quality.h"

#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_stream.h"

/* Longer than streams usually are; a longer one starts its averages anew. */
#define SUMS_LIFE apr_time_from_sec(2 * 86400)

typedef struct sums_t {
    apr_int64_t reports, latency, bitrate;
} sums_t;

/* Add to the stream's sums and read them; zeros only read. */
static apr_status_t sums_add(sums_t *sums, hb_op_t *op, const char *id, const sums_t *more)
{
    const char *key = apr_pstrcat(op->pool, "stream:", id, ":quality:", NULL);
    apr_status_t rv;

    rv = hb_cache_add(&sums->latency, op, apr_pstrcat(op->pool, key, "latency", NULL),
                      more->latency, SUMS_LIFE);
    if (rv == APR_SUCCESS) {
        rv = hb_cache_add(&sums->bitrate, op, apr_pstrcat(op->pool, key, "bitrate", NULL),
                          more->bitrate, SUMS_LIFE);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_cache_add(&sums->reports, op, apr_pstrcat(op->pool, key, "reports", NULL),
                          more->reports, SUMS_LIFE);
    }
    return rv;
}

static hb_json_t *sums_to_json(hb_op_t *op, const sums_t *sums)
{
    apr_int64_t n = sums->reports > 0 ? sums->reports : 1;
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_int(json, "reports", sums->reports);
    hb_json_set_int(json, "bitrateKbps", sums->bitrate / n);
    hb_json_set_int(json, "latencyMsec", sums->latency / n);
    return json;
}

/* Is the actor in the stream's room? */
static apr_status_t check_inside(hb_op_t *op, const hb_json_t *stream)
{
    hb_json_t *view;
    apr_status_t rv;

    if (hb_stream_is_host(op, stream)) {
        return APR_SUCCESS;
    }
    rv = hb_store_get(&view, op, HB_C_VIEWS,
                      apr_pstrcat(op->pool, hb_json_string(stream, "_id"), ":",
                                  op->actor.user_id, NULL));
    if (rv == HB_E_STORE_MISSING || (rv == APR_SUCCESS && !hb_json_bool(view, "isInRoom", 0))) {
        return hb_fail(op, HB_E_FORBIDDEN, "join the stream before you report about it");
    }
    return rv;
}

apr_status_t hb_stream_report(hb_json_t **quality, hb_op_t *op, const char *id,
                              const hb_json_t *report)
{
    const sums_t more = { 1, hb_json_int(report, "latencyMsec", 0),
                          hb_json_int(report, "bitrateKbps", 0) };
    hb_metrics_t *metrics = op->site->metrics;
    hb_json_t *stream;
    sums_t sums;
    apr_status_t rv;

    rv = hb_stream_get(&stream, op, id);
    if (rv == APR_SUCCESS) {
        rv = hb_stream_next(NULL, op, hb_stream_state(stream), HB_STREAM_JOIN);
    }
    if (rv == APR_SUCCESS) {
        rv = check_inside(op, stream);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_stream_host_seen(op, stream);
    hb_metric_add(metrics, more.latency > HB_STREAM_SLOW_MSEC ? HB_M_STREAM_REPORTS_SLOW
                                                              : HB_M_STREAM_REPORTS, 1);
    hb_metric_add(metrics, HB_M_STREAM_LATENCY, more.latency);
    hb_metric_add(metrics, HB_M_STREAM_BITRATE, more.bitrate);
    if (sums_add(&sums, op, id, &more) != APR_SUCCESS) {
        sums = more;            /* a cache that is away remembers nothing; the report stands */
    }
    *quality = sums_to_json(op, &sums);
    return APR_SUCCESS;
}

hb_json_t *hb_stream_quality(hb_op_t *op, const char *id)
{
    const sums_t nothing = { 0, 0, 0 };
    sums_t sums;

    if (!hb_id_is_valid(id) || sums_add(&sums, op, id, &nothing) != APR_SUCCESS
        || sums.reports <= 0) {
        return NULL;
    }
    return sums_to_json(op, &sums);
}
