/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_path.h
 * Which address is which door. Does not wait.
 *
 *     /socket.io/                     Socket.IO
 *     /api/v1/realtime                WebSocket with JSON messages
 *     /api/v1/streams/{id}/events     one room as text/event-stream
 */
#ifndef RT_PATH_H
#define RT_PATH_H

#include <apr_pools.h>

#include "rt_app.h"

#define RT_PLAIN_PATH "/api/v1/realtime"

rt_door_e rt_path_door(const char *path);

/** The stream's id of an address that is RT_DOOR_STREAM, in pool. */
const char *rt_path_stream(const char *path, apr_pool_t *pool);

#endif /* RT_PATH_H */
