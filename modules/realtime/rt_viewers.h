/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_viewers.h
 * Who is in which stream by way of a socket, over all loops: several sockets of a person are one
 * viewer, and who is cut off stays a viewer for a moment, because most come back. The core
 * (hb_viewer.h) is told when the first comes and when the last has been gone for long enough.
 *
 * Any thread. What is said to wait waits for the store.
 */
#ifndef RT_VIEWERS_H
#define RT_VIEWERS_H

#include <apr_pools.h>

#include "hb_json.h"
#include "hb_op.h"

typedef struct rt_viewers_t rt_viewers_t;

/** @param grace_msec  how long the last socket may be gone */
rt_viewers_t *rt_viewers_make(apr_uint64_t grace_msec);
void rt_viewers_free(rt_viewers_t *viewers);
/** For those who are cut from now on. */
void rt_viewers_set_grace(rt_viewers_t *viewers, apr_uint64_t grace_msec);

/**
 * A socket of the op's actor enters: counts it, then hb_viewer_join(). When that fails the socket
 * is not counted; where nobody can say whether it failed (HB_CLASS_UNAVAILABLE) the core is
 * told of the end when the grace is over. Waits.
 */
apr_status_t rt_viewers_join(hb_json_t **stream, rt_viewers_t *viewers, hb_op_t *op,
                             const char *stream_id);

/** Count a socket without telling the core: it was in there before this program started. */
void rt_viewers_assume(rt_viewers_t *viewers, const char *stream_id, const char *user_id);

/** A socket is gone; the viewer is, when it was the last and no other comes in time. */
void rt_viewers_cut(rt_viewers_t *viewers, const char *stream_id, const char *user_id,
                    apr_uint64_t now_msec);

/**
 * A socket of the op's actor that was cut by rt_viewers_cut() meant to leave: hb_viewer_leave() now, when
 * it was the last. Otherwise as rt_viewers_settle(). Waits.
 */
apr_status_t rt_viewers_leave(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id);

/** A socket leaves without a word to the core. @return was it the last? */
int rt_viewers_drop(rt_viewers_t *viewers, const char *stream_id, const char *user_id);

/** Call fn for each viewer whose time is over; fn starts rt_viewers_settle() in a thread. */
void rt_viewers_due(rt_viewers_t *viewers, apr_uint64_t now_msec,
                    void (*fn)(void *baton, const char *stream_id, const char *user_id),
                    void *baton);

/**
 * hb_viewer_leave() for the op's actor, unless a socket came back meanwhile. While the core cannot
 * be asked (HB_CLASS_UNAVAILABLE) the pair is due once more after the grace. Waits.
 */
apr_status_t rt_viewers_settle(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id);

/** hb_viewer_join_again() for the op's actor, if a socket holds the pair. Waits. */
apr_status_t rt_viewers_join_again(rt_viewers_t *viewers, hb_op_t *op, const char *stream_id);

typedef struct rt_viewer_t {
    const char *stream_id, *user_id;
} rt_viewer_t;

/** Who is where just now, in pool; @return how many. */
int rt_viewers_list(const rt_viewer_t **list, rt_viewers_t *viewers, apr_pool_t *pool);

/** How many pairs of person and stream are held. */
apr_size_t rt_viewers_count(rt_viewers_t *viewers);

#endif /* RT_VIEWERS_H */
