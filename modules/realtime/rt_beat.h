/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_beat.h
 * What a room tells once a beat instead of each time: who came and went (rt_presence.h), the
 * latest of each kind of count, and reactions added up. Hangs on the room (rt_room_tag).
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_BEAT_H
#define RT_BEAT_H

#include <apr_pools.h>

#include "hb_bus.h"
#include "hb_reaction.h"
#include "rt_room.h"

#define RT_BEAT_MSEC 500
#define RT_BEATS_MAX 10

typedef struct rt_beat_t rt_beat_t;

/** The room's, made when it has none. */
rt_beat_t *rt_beat_of(rt_room_t *room);
/** For rt_rooms_on_gone(). */
void rt_beat_free(void *beat);

/** Somebody came or went; payload is that of HB_EV_VIEWER_MOVED. */
void rt_beat_moved(rt_beat_t *beat, const char *payload, apr_size_t len, apr_pool_t *scratch);

/** A count: the one before it is forgotten. */
void rt_beat_count(rt_beat_t *beat, hb_event_e event, const char *payload, apr_size_t len);

/** Reactions that the log tells, to be told to the room: added up. */
void rt_beat_reacted(rt_beat_t *beat, const char *payload, apr_size_t len, apr_pool_t *scratch);
/** A reaction of one of our own clients, to be told to the log. */
void rt_beat_react(rt_beat_t *beat, int kind);
/** What our own clients sent since the last time; @return is it anything? */
int rt_beat_take_own(hb_reactions_t *own, rt_beat_t *beat);

/** Is the room in the list of those with something to tell? The caller's to set. */
int *rt_beat_is_listed(rt_beat_t *beat);

/**
 * Call tell for each thing there is; texts live in scratch. Each thousand members add a beat to
 * the wait between two tellings of who came and went, up to RT_BEATS_MAX: somebody always
 * does in a large room, and telling so would be most of what it costs.
 * @return is nothing left? Else it is for a later beat.
 */
int rt_beat_flush(rt_beat_t *beat, const char *stream_id, apr_uint64_t now_msec, int members,
                  apr_pool_t *scratch,
                  void (*tell)(void *baton, hb_event_e event, const char *payload,
                               apr_size_t len), void *baton);

#endif /* RT_BEAT_H */
