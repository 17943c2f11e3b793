/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_engine.h
 * The engine as its program sees it: make it for an application, listen, run until a signal
 * says stop. Applications see rt_app.h.
 */
#ifndef RT_ENGINE_H
#define RT_ENGINE_H

#include "hb_log.h"
#include "rt_app.h"
#include "rt_config.h"

/** @param config  has to stay as long as the engine; so has pool */
rt_engine_t *rt_engine_make(const rt_app_t *app, void *app_data, const rt_config_t *config,
                            const hb_log_t *log, apr_pool_t *pool);

/**
 * Take connections at "127.0.0.1:8000", "[::1]:8000" or "unix:/path"; may be called for several. A
 * unix socket is taken over from nobody: while another process serves it, this waits up to
 * five seconds for its lock.
 * @return NULL, or a sentence
 */
const char *rt_engine_listen(rt_engine_t *engine, const char *where);

/**
 * Run on this thread and on one for each further loop, until SIGTERM or SIGINT; then sessions are
 * told and connections drained, two seconds at most. A SIGHUP that was blocked until now is heard.
 * @param reload  called on this thread at SIGHUP: gives the new configuration, or NULL to keep
 *                the old one; NULL when there is nothing to reload
 */
void rt_engine_run(rt_engine_t *engine, const rt_config_t *(*reload)(void *baton),
                   void *baton);

/** Ask it to end, as SIGTERM does. Any thread. */
void rt_engine_stop(rt_engine_t *engine);

/** After rt_engine_run(). */
void rt_engine_free(rt_engine_t *engine);

#endif /* RT_ENGINE_H */
