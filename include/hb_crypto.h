/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_crypto.h
 * Randomness, keyed hashes and sealing for the core, over OpenSSL. Passwords are
 * hb_password.h's, access tokens hb_token.h's, second factors hb_totp.h's.
 * None of it waits.
 */
#ifndef HB_CRYPTO_H
#define HB_CRYPTO_H

#include "hb_op.h"

/** Random bytes from the op's site; HB_E_INTERNAL when the source fails. */
apr_status_t hb_random_bytes(hb_op_t *op, unsigned char *out, apr_size_t n);

/** n random bytes as base64url without padding, in op->pool; NULL when the source fails. */
const char *hb_random_token(hb_op_t *op, apr_size_t n_bytes);

/** Evenly distributed in [low, high]. */
apr_status_t hb_random_between(apr_int64_t *n, hb_op_t *op, apr_int64_t low, apr_int64_t high);

/**
 * HMAC-SHA256 of purpose, a 0 byte and text under the oldest pepper key that is still kept
 * (so that rotation does not lose stored hashes), as 64 hex digits. For opaque tokens and
 * codes: what is stored is this, never the token.
 */
const char *hb_keyed_hash(hb_op_t *op, const char *purpose, const char *text);

/** AES-256-GCM under the current pepper key, bound to purpose: "v1.kid.base64url". */
apr_status_t hb_seal(const char **sealed, hb_op_t *op, const char *purpose,
                     const void *plain, apr_size_t len);
/** HB_E_TOKEN_INVALID when it was not sealed by us for this purpose. */
apr_status_t hb_unseal(const char **plain, apr_size_t *len, hb_op_t *op,
                       const char *purpose, const char *sealed);

/** SHA-256 of a followed by b; b may be NULL. Allocates nothing after a thread's first call. */
apr_status_t hb_sha256(unsigned char digest[32], const void *a, apr_size_t a_len,
                       const void *b, apr_size_t b_len);

/** For formats that others define. HB_E_INTERNAL when OpenSSL fails. */
apr_status_t hb_hmac_sha256(unsigned char mac[32], const void *key, apr_size_t key_len,
                            const void *text, apr_size_t text_len);
/** The same over several pieces, as if they were one text. */
typedef struct hb_bytes_t {
    const void *bytes;
    apr_size_t len;
} hb_bytes_t;
apr_status_t hb_hmac_sha256_parts(unsigned char mac[32], const void *key, apr_size_t key_len,
                                  const hb_bytes_t *parts, int n_parts);
apr_status_t hb_hmac_sha1(unsigned char mac[20], const void *key, apr_size_t key_len,
                          const void *text, apr_size_t text_len);

/** Equal, in constant time for equal lengths. */
int hb_equal_secret(const char *a, const char *b);

const char *hb_hex(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n);
const char *hb_base64url(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n);
/** Strict: alphabet only, no padding. NULL when malformed. */
const unsigned char *hb_base64url_read(apr_pool_t *pool, apr_size_t *n, const char *text);

#endif /* HB_CRYPTO_H */
