/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_secret.h
 * Secrets as the configuration names them: file:/path, env:NAME, exec:/path args. The
 * value itself is never a directive argument, because mod_info shows those.
 */
#ifndef HB_SECRET_H
#define HB_SECRET_H

#include <apr_pools.h>
#include <apr_errno.h>

/**
 * Read a secret; trailing newline dropped; wiped when the pool goes.
 * file: must be a regular file that others cannot read (0640 or stricter).
 * exec: waits for the program, at most 10 s, its first line is the secret. One that fails after it
 * gave a secret in this process gives that one again (a reload, while the vault it asks is away),
 * and is not asked twice for one configuration: hb_secret_settle() ends that. One thread may
 * read secrets.
 * @param why  sentence that names the reference and the fix, never the value
 * @return HB_E_CONFIG
 */
apr_status_t hb_secret_read(const char **value, const char **why, const char *reference,
                            apr_pool_t *pool);

/**
 * The configuration is read: for the next one programs are asked again.
 * @return NULL; or what was wrong with programs of exec: whose last secret stays in force
 */
const char *hb_secret_settle(apr_pool_t *pool);

/** Is it one of the three forms? NULL or a sentence. */
const char *hb_secret_check(const char *reference, apr_pool_t *pool);

/**
 * Read a file that only its owner and group may read, as secrets and key rings are kept.
 * @param text  the whole file and a 0 byte, wiped when the pool goes; holds no other 0 byte
 * @return HB_E_CONFIG with *why; APR_ENOENT (no *why) when there is no such file
 */
apr_status_t hb_secret_read_file(char **text, const char **why, const char *path,
                                 apr_pool_t *pool);

/** Overwrite these bytes before the pool that holds them goes. */
void hb_secret_wipe_with(apr_pool_t *pool, void *bytes, apr_size_t len);

#endif /* HB_SECRET_H */
