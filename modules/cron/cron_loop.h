/* SPDX-License-Identifier: Apache-2.0 */
/** @file cron_loop.h What halobuzz-crond does all day. */
#ifndef CRON_LOOP_H
#define CRON_LOOP_H

#include "cron_site.h"
#include "hb_program.h"

/** Plan, take, start, watch, until SIGTERM or SIGINT; the site is open. */
void cron_loop(cron_site_t *cron, hb_program_t *program, apr_pool_t *pool);

#endif /* CRON_LOOP_H */
