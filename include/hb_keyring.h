/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_keyring.h
 * Keys that roll over (SEC-11, B-11): the newest signs, all that are kept verify. A ring is a
 * file of lines "kid created base64url(32 bytes)", newest last, mode 0640 or stricter, or a
 * single key from a secret. In a ring file, created is in seconds since 1970 UTC, and empty
 * lines and lines that start with # are skipped.
 */
#ifndef HB_KEYRING_H
#define HB_KEYRING_H

#include <apr_pools.h>
#include <apr_errno.h>
#include <apr_time.h>

typedef struct hb_keyring_t hb_keyring_t;

typedef struct hb_key_t {
    const char *kid;            /* 1 to 32 of [A-Za-z0-9_-] */
    const unsigned char *bytes; /* at least 32 */
    apr_size_t len;
    apr_time_t created_at;
} hb_key_t;

/**
 * Load a ring file; made with one fresh key when it does not exist (and given to the owner of
 * its directory when root makes it). Safe when several processes start at once.
 * HB_E_CONFIG with *why. Keys are wiped when the pool goes. Waits for the disk.
 */
apr_status_t hb_keyring_load(hb_keyring_t **ring, const char **why, const char *path,
                             apr_pool_t *pool);

/** A ring of one key, whose bytes are the text of the secret (at least 64 characters, ACC-04). */
apr_status_t hb_keyring_from_secret(hb_keyring_t **ring, const char **why,
                                    const char *secret, apr_pool_t *pool);

const hb_key_t *hb_keyring_newest(const hb_keyring_t *ring);
const hb_key_t *hb_keyring_oldest(const hb_keyring_t *ring);
/** Exact look-up of untrusted text; NULL when unknown. */
const hb_key_t *hb_keyring_find(const hb_keyring_t *ring, const char *kid);
#define HB_KEYRING_MARK_BYTES 32
/** SHA-256 over all kids and keys: differs as soon as the ring does. */
const unsigned char *hb_keyring_mark(const hb_keyring_t *ring);
int hb_keyring_count(const hb_keyring_t *ring);
const hb_key_t *hb_keyring_item(const hb_keyring_t *ring, int index);

#endif /* HB_KEYRING_H */
