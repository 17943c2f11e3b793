/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a room is told of its stream. Payloads are made here and nowhere else, so that they
 * fit their shapes in hb_schema_chat.def.
 */
#include "hb_stream.h"

#include "hb_bus.h"

void hb_stream_tell_started(hb_op_t *op, const hb_json_t *stream)
{
    hb_bus_publish(op, HB_EV_STREAM_STARTED, hb_json_string(stream, "_id"),
                   hb_stream_to_public_json(op, stream));
}

void hb_stream_tell_edited(hb_op_t *op, const hb_json_t *stream)
{
    if (hb_stream_state(stream) == HB_STREAM_LIVE) {
        hb_bus_publish(op, HB_EV_STREAM_UPDATED, hb_json_string(stream, "_id"),
                       hb_stream_to_public_json(op, stream));
    }
}

void hb_stream_tell_ended(hb_op_t *op, const hb_json_t *stream)
{
    const char *id = hb_json_string(stream, "_id");
    hb_json_t *news = hb_json_object_make(op->pool);

    hb_json_set_string(news, "streamId", id);
    hb_json_set_time(news, "endedAt",
                     apr_time_from_msec(hb_json_int(stream, "endedAt", 0)));
    hb_bus_publish(op, HB_EV_STREAM_ENDED, id, news);
}

void hb_stream_tell_metrics(hb_op_t *op, const hb_json_t *stream)
{
    static const char *const counts[] = {
        "viewers", "peakViewers", "totalViews", "totalCoins", NULL
    };
    const char *id = hb_json_string(stream, "_id");
    hb_json_t *news = hb_json_object_make(op->pool);
    int i;

    hb_json_set_string(news, "streamId", id);
    for (i = 0; counts[i] != NULL; i++) {
        hb_json_set_int(news, counts[i], hb_json_int(stream, counts[i], 0));
    }
    hb_bus_publish(op, HB_EV_METRICS_UPDATE, id, news);
}
