/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_node.h
 * What the hosts of one platform have to know of each other. A *node* is what holds
 * sockets: one halobuzz-realtimed, one a host. Its id is a file in its state directory, so
 * it is the same after a restart. Its record counts up while it lives; when the count of
 * another stands still, its viewers are in no room any more and are counted out
 * (hb_viewer.h). Only changes of the count are looked at, never another host's clock.
 */
#ifndef HB_NODE_H
#define HB_NODE_H

#include "hb_op.h"

/**
 * The node's id, 24 hex digits; made at first.
 * @param dir  the state directory
 * @return an error of the file system. Does not wait for anybody.
 */
apr_status_t hb_node_id(const char **id, const char *dir, apr_pool_t *pool);

/**
 * op->site->node lives. Waits.
 * @param was_away  set to 1 when others had given it up or nobody knew it: whoever is in a room by way
 *                  of this node has to be brought in again (hb_viewer_join_again)
 */
apr_status_t hb_node_beat(int *was_away, hb_op_t *op);

/** What one node remembers of the others. Belongs to one thread at a time. */
typedef struct hb_node_watch_t hb_node_watch_t;
hb_node_watch_t *hb_node_watch_make(apr_pool_t *pool);

/**
 * Look at the others; those that have not moved for so long are given up. Once every few seconds.
 * @param now_usec   a clock that is never set (hb_limit_now)
 * @param lost_usec  how long
 * @param n_out      set to how many viewers were counted out
 */
apr_status_t hb_node_watch(apr_int64_t *n_out, hb_node_watch_t *watch, hb_op_t *op,
                           apr_int64_t now_usec, apr_interval_time_t lost_usec);

/**
 * Each viewer who is in a room by way of a node, as its record says. fn may change the record; what
 * fails is left for the next time. Stops at fn's first failure. Waits.
 */
typedef apr_status_t hb_node_viewer_fn(void *baton, hb_op_t *op, const char *stream_id,
                                       const char *user_id);
apr_status_t hb_node_each_viewer(hb_op_t *op, const char *node, hb_node_viewer_fn *fn, void *baton);

#endif /* HB_NODE_H */
