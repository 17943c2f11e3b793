/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_queue.h
 * What waits to be sent to one session: frames in the order they were emitted, each in a lane
 * that says what happens when its reader is slow (rt_lane_e). One memory block while anything
 * waits, none else.
 *
 * One loop's memory: no locks, nothing here waits.
 */
#ifndef RT_QUEUE_H
#define RT_QUEUE_H

#include <stdint.h>
#include <sys/uio.h>

#include "rt_frame.h"

typedef struct rt_entry_t {
    rt_frame_t *frame;          /* NULL: was dropped or replaced */
    rt_lane_e lane;
} rt_entry_t;

typedef struct rt_queue_t {
    rt_entry_t *entries;        /* a ring; NULL while nothing waits */
    uint32_t size, first, n;    /* size is a power of two */
    uint32_t sent;              /* bytes of the first entry that left already */
    uint32_t bytes[RT_LANES];   /* what waits, with RT_ENTRY_COST for each */
    rt_door_e door;             /* which form of a frame counts */
    int is_packed;              /* and that it is the compressed one */
} rt_queue_t;

/** What an entry costs beside its bytes, so that tiny frames are bounded too. */
#define RT_ENTRY_COST 16

/** Bytes that may wait in each lane. */
typedef struct rt_queue_limits_t {
    uint32_t bytes[RT_LANES];
} rt_queue_limits_t;

typedef enum rt_queued_e {
    RT_QUEUED,              /* waits now, or has no form for this door */
    RT_QUEUED_NOT,          /* dropped, as its lane allows */
    RT_QUEUED_FULL          /* it may not be dropped: the reader has to be cut */
} rt_queued_e;

/** From now on frames leave compressed; what waits, too. Nothing of it may have left in part. */
void rt_queue_pack(rt_queue_t *queue);

/** Take a frame, with a hold of its own. *n_dropped grows by those that were dropped for it. */
rt_queued_e rt_queue_push(rt_queue_t *queue, rt_frame_t *frame, rt_lane_e lane,
                          const rt_queue_limits_t *limits, apr_uint64_t *n_dropped);

/** The same whatever waits already; for the protocol's own packets. */
void rt_queue_force(rt_queue_t *queue, rt_frame_t *frame);

/** Fill an iovec with what goes next, at most max_bytes unless one entry has more.
 *  @return how many */
int rt_queue_peek(const rt_queue_t *queue, struct iovec *vec, int max, apr_size_t max_bytes);

/** So many bytes of that have left; @return how many frames ended with them. */
uint32_t rt_queue_sent(rt_queue_t *queue, apr_size_t bytes);

/** Bytes of everything that waits, with RT_ENTRY_COST for each. */
apr_size_t rt_queue_bytes(const rt_queue_t *queue);
int rt_queue_is_empty(const rt_queue_t *queue);

/** The frame at place i of what waits (from 0), NULL for a dropped one. */
static inline const rt_frame_t *rt_queue_at(const rt_queue_t *queue, uint32_t i)
{
    return queue->entries[(queue->first + i) & (queue->size - 1)].frame;
}

/** Forget all, but not a frame of which a part has left. */
void rt_queue_cut(rt_queue_t *queue);
/** Forget all. */
void rt_queue_clear(rt_queue_t *queue);

#endif /* RT_QUEUE_H */
