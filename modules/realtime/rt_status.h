/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_status.h
 * The counters of all loops added up, as JSON. httpd's module and tests read them.
 */
#ifndef RT_STATUS_H
#define RT_STATUS_H

#include "rt_loop.h"

/** In pool; any thread. */
const char *rt_status_json(const rt_engine_t *engine, apr_pool_t *pool);

#endif /* RT_STATUS_H */
