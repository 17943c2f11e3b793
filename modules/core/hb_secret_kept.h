/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_secret_kept.h
 * What programs of exec: gave, kept for the life of the process: a reload may not end the server
 * because what a program asks is away just then. It is for the one thread that reads the
 * configuration. hb_secret.h says what becomes of it.
 */
#ifndef HB_SECRET_KEPT_H
#define HB_SECRET_KEPT_H

#include <apr_pools.h>

/** Has it to be asked? Not again for one configuration, however it ended. */
int hb_secret_is_due(const char *command);

/** It gave this. Without memory for it nothing is kept. */
void hb_secret_keep(const char *command, const char *text);

/** It failed. @return what it gave before, as a copy that is wiped with the pool; or NULL */
char *hb_secret_fall_back(const char *command, const char *problem, apr_pool_t *pool);

/** What it gave last, as such a copy. */
char *hb_secret_kept(const char *command, apr_pool_t *pool);

#endif /* HB_SECRET_KEPT_H */
