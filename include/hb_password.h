/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_password.h
 * Passwords: bcrypt (ACC-05) through APR, at most HaloBuzzPasswordHashes at once in a
 * process and in threads that yield, so that a login storm leaves the processor to other calls.
 * Making and proving one wait for such a thread.
 */
#ifndef HB_PASSWORD_H
#define HB_PASSWORD_H

#include "hb_hashgate.h"
#include "hb_op.h"

#define HB_PASSWORD_MIN 8
/* Characters. bcrypt reads 72 bytes: of a longer password it gets base64(SHA-256(password)). */
#define HB_PASSWORD_MAX 128

/** Wait for a turn (2 s at most, then HB_E_AUTH_BUSY), then hash. Never call it in a transaction. */
apr_status_t hb_password_hash(const char **hash, hb_op_t *op, const char *password);

/**
 * APR_SUCCESS or HB_E_AUTH_CREDENTIALS, in the same time when hash is NULL (an unknown account).
 * HB_E_AUTH_BUSY as above. Takes hashes of the kinds $2a$, $2b$ and $2y$ and no other.
 */
apr_status_t hb_password_verify(hb_op_t *op, const char *password, const char *hash);

/** Was it made with another cost than the setting's? Then hash again at the next sign-in. */
int hb_password_is_outdated(const hb_op_t *op, const char *hash);

/**
 * Fields the caller named "password" go through this: length, not the username or address,
 * not a common one.
 */
apr_status_t hb_password_check(hb_op_t *op, const char *field, const char *password,
                               const char *username, const char *email);

#endif /* HB_PASSWORD_H */
