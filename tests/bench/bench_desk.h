/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_desk.h
 * What the benches of the core share: a site, a clock, and ending loudly.
 */
#ifndef BENCH_DESK_H
#define BENCH_DESK_H

#include "hb_site.h"
#include "hb_store.h"

/** Seconds of a clock that only goes forward. */
double bench_now(void);

/** End the program with a line unless it is APR_SUCCESS. */
void bench_must(apr_status_t rv, const char *what);

/** The sink of an hb_log_t: warnings and worse go to stderr. */
void bench_print_line(void *baton, hb_level_e level, apr_status_t status,
                      const char *request_id, const char *line);

/** An open site in dir. More settings may follow: "HaloBuzzCache", "shm:", ..., NULL. */
hb_site_t *bench_site(apr_pool_t *pool, const char *dir, ...) __attribute__((sentinel));

/** A user record as registering leaves it; the unique fields are made of name. */
hb_json_t *bench_user(hb_op_t *op, const char *name);

#endif /* BENCH_DESK_H */
