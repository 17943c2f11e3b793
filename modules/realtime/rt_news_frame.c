/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms of an event. Socket.IO clients get the offset as last argument, where the official
 * client looks for it; plain ones as a member; a stream as the id line, with the epoch in
 * front, because a browser gives back nothing else.
 */
#include "rt_news.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt_memory.h"

rt_lane_e rt_news_lane(hb_event_e event)
{
    switch (hb_event_row(event)->lane) {
    case HB_LANE_CHAT:
        return RT_LANE_CHAT;
    case HB_LANE_REACTION:
        return RT_LANE_REACTION;
    case HB_LANE_METRIC:
        return RT_LANE_METRIC;
    default:
        return RT_LANE_MONEY;
    }
}

/* The names of events are ours: nothing in them needs quoting. */
#define FORMS_BYTES 160

static void set_forms(rt_frame_t *frame, const char *name, const char *payload, apr_size_t len,
                      const char *plain_end, const char *id, unsigned int forms)
{
    char *text = rt_need(len + FORMS_BYTES);
    int n;

    if (forms & RT_FORM_PLAIN) {
        n = snprintf(text, len + FORMS_BYTES, "{\"event\":\"%s\",\"data\":%s%s}", name, payload,
                     plain_end);
        rt_frame_set_plain(frame, text, (apr_size_t)n, 0);
    }
    if (forms & RT_FORM_STREAM) {
        /* JSON text of the bus holds no line ends. */
        n = snprintf(text, len + FORMS_BYTES, "%sevent: %s\ndata: %s\n\n", id, name, payload);
        rt_frame_set_stream(frame, text, (apr_size_t)n);
    }
    free(text);
}

rt_frame_t *rt_news_frame(const rt_news_t *news, const char *epoch, unsigned int forms)
{
    return rt_news_frame_with(news, rt_news_payload(news), epoch, forms);
}

rt_frame_t *rt_news_frame_with(const rt_news_t *news, const char *payload, const char *epoch,
                               unsigned int forms)
{
    const char *name = hb_event_row(rt_news_event(news))->name;
    apr_size_t len = strlen(payload);
    uint64_t seq = rt_news_seq(news);
    char *args = rt_need(len + 32);
    rt_frame_t *frame;
    int n;

    n = snprintf(args, len + 32, "%s,\"%" PRIu64 "\"", payload, seq);
    frame = rt_frame_event("/", name, args, (apr_size_t)n);
    free(args);
    if (forms != 0) {
        char plain_end[40], id[64];

        snprintf(plain_end, sizeof(plain_end), ",\"offset\":\"%" PRIu64 "\"", seq);
        snprintf(id, sizeof(id), "id: %.16s-%" PRIu64 "\n", epoch, seq);
        set_forms(frame, name, payload, len, plain_end, id, forms);
    }
    return frame;
}

rt_frame_t *rt_news_frame_of(hb_event_e event, const char *payload, apr_size_t len,
                             unsigned int forms)
{
    const char *name = hb_event_row(event)->name;
    rt_frame_t *frame = rt_frame_event("/", name, payload, len);

    if (forms != 0) {
        set_forms(frame, name, payload, len, "", "", forms);
    }
    return frame;
}
