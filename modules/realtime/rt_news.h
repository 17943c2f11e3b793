/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_news.h
 * One event on its way to many: the text as the core published it, kept as long as a room's
 * history or somebody else holds it. The frame that goes out is made from it when it is
 * needed, so that history is not kept in three forms.
 *
 * Loops share it: it does not change once made, and holds are counted over all threads. Nothing
 * here waits.
 */
#ifndef RT_NEWS_H
#define RT_NEWS_H

#include "hb_bus.h"
#include "rt_app.h"

typedef struct rt_news_t rt_news_t;

/**
 * A copy of what the bus gave; with one hold, the caller's.
 * @param room    name of the room it goes to
 * @param author   whose words it carries, NULL for nobody's: not shown to who blocks them
 * @param said_id  the message it tells of for the first time, or NULL
 */
rt_news_t *rt_news_make(const hb_event_t *event, const char *room, const char *author,
                        const char *said_id);
void rt_news_hold(rt_news_t *news);
void rt_news_drop(rt_news_t *news);

apr_uint64_t rt_news_seq(const rt_news_t *news);
/** When it was published. */
apr_time_t rt_news_at(const rt_news_t *news);
hb_event_e rt_news_event(const rt_news_t *news);
/** The only user who may see it, NULL for everybody. */
const char *rt_news_only_user(const rt_news_t *news);
const char *rt_news_room(const rt_news_t *news);
/** Of the stream, user or session; "" when it is for all. */
const char *rt_news_id(const rt_news_t *news);
/** NULL when they are nobody's words. */
const char *rt_news_author(const rt_news_t *news);
/** NULL when it tells of no message. */
const char *rt_news_said_id(const rt_news_t *news);
/** JSON text with a 0 behind. */
const char *rt_news_payload(const rt_news_t *news);
apr_size_t rt_news_payload_bytes(const rt_news_t *news);
/** What it takes in memory. */
apr_size_t rt_news_bytes(const rt_news_t *news);

/* --- rt_news_frame.c --- */

#define RT_FORM_PLAIN  0x1      /* also for plain WebSockets */
#define RT_FORM_STREAM 0x2      /* also for text/event-stream */

/**
 * A frame that carries the event's number as offset, with one hold, the caller's.
 * @param epoch  of the bus
 */
rt_frame_t *rt_news_frame(const rt_news_t *news, const char *epoch, unsigned int forms);

/** The same with another payload: what somebody may see of it (rt_veil.h). */
rt_frame_t *rt_news_frame_with(const rt_news_t *news, const char *payload, const char *epoch,
                               unsigned int forms);

/** A frame of an event that is not kept and carries no offset. */
rt_frame_t *rt_news_frame_of(hb_event_e event, const char *payload, apr_size_t len,
                             unsigned int forms);

/** How events travel when a reader is slow. */
rt_lane_e rt_news_lane(hb_event_e event);

#endif /* RT_NEWS_H */
