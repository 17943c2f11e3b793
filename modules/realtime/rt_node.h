/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_node.h
 * This program as a node of the platform (hb_node.h): it beats, counts out viewers of nodes
 * that are silent, and puts right what the records say of its own viewers.
 */
#ifndef RT_NODE_H
#define RT_NODE_H

#include "hb_site.h"
#include "rt_viewers.h"
#include "rt_work.h"

typedef struct rt_node_t rt_node_t;

/**
 * Makes the site this node. Without an id (the state directory cannot be written; logged)
 * viewers are counted as they are on one host.
 */
rt_node_t *rt_node_make(hb_site_t *site, rt_viewers_t *viewers, apr_pool_t *pool);

/**
 * As rt_viewers_join(), once other hosts know of this node: they count out viewers of those alone. Any
 * thread. Waits.
 */
apr_status_t rt_node_join(hb_json_t **stream, rt_node_t *node, hb_op_t *op, const char *stream_id);

/** Once a second or so, in one loop: begins a task when it is time. */
void rt_node_tick(rt_node_t *node, rt_works_t *works);

#endif /* RT_NODE_H */
