/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts who went silent. Whatever a host does about the live stream leaves its time there, now and
 * then; who publishes has to fetch a media token again before it runs out, so that is at least
 * one sign each HaloBuzzAgoraTokenTTL. Streams without a sign for HaloBuzzStreamSilence end.
 */
#include "hb_stream.h"

#include "hb_settings.h"
#include "hb_store.h"
#include "hb_time.h"

#define SEEN_EVERY_MSEC APR_INT64_C(300000)
#define PAGE 100

apr_int64_t hb_stream_seen_msec(const hb_json_t *stream)
{
    apr_int64_t started = hb_json_int(stream, "startedAt", 0);
    apr_int64_t seen = hb_json_int(stream, "hostSeenAt", 0);

    return seen > started ? seen : started;
}

void hb_stream_host_seen(hb_op_t *op, const hb_json_t *stream)
{
    apr_int64_t now = hb_time_to_msec(op->now);
    const hb_cond_t guards[] = {
        { "status", HB_IS, HB_STR(hb_stream_state_name(HB_STREAM_LIVE)) },
    };
    const hb_edit_t edits[] = { { "hostSeenAt", HB_SET, HB_INT(now) } };

    if (!hb_stream_is_host(op, stream) || hb_stream_state(stream) != HB_STREAM_LIVE
        || now - hb_stream_seen_msec(stream) < SEEN_EVERY_MSEC) {
        return;
    }
    if (hb_store_change(NULL, NULL, op, HB_C_STREAMS, hb_json_string(stream, "_id"), guards, 1,
                        edits, 1) != APR_SUCCESS) {
        hb_op_recover(op);      /* there will be another sign; the call itself went well */
    }
}

/* One page of streams that began long enough ago. */
static apr_status_t end_page(apr_int64_t *n, const char **next, hb_op_t *op,
                             apr_int64_t before_msec)
{
    const hb_cond_t where[] = {
        { "status", HB_IS, HB_STR(hb_stream_state_name(HB_STREAM_LIVE)) },
        { "startedAt", HB_BELOW, HB_INT(before_msec) },
    };
    const hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 2,
                               .sort = { { "startedAt", 1 } }, .limit = PAGE, .after = *next };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i, did_end;

    for (i = 0; i < page.n_items && rv == APR_SUCCESS; i++) {
        if (hb_stream_seen_msec(page.items[i]) < before_msec) {
            rv = hb_stream_end_silent(&did_end, op, hb_json_string(page.items[i], "_id"),
                                      before_msec);
            *n += rv == APR_SUCCESS && did_end;
        }
    }
    *next = page.next;
    return rv;
}

apr_status_t hb_stream_reap(apr_int64_t *n, hb_op_t *op, hb_store_report_fn *report, void *baton)
{
    apr_int64_t before = hb_time_to_msec(op->now - op->site->settings->stream_silence);
    const char *next = NULL;
    apr_status_t rv;

    *n = 0;
    do {
        rv = end_page(n, &next, op, before);
        if (rv == APR_SUCCESS && report != NULL && report(baton, "streams", *n, 0) != 0) {
            rv = APR_EINTR;
        }
    } while (rv == APR_SUCCESS && next != NULL);
    return rv;
}
