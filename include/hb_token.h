/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_token.h
 * Access tokens: JWT, HS256 with kid from the site's ring (RFC 7519, 8725). Refresh
 * tokens are opaque and hb_session.h's. Whether the session behind a token still lives is
 * hb_session_check()'s question, not this file's.
 */
#ifndef HB_TOKEN_H
#define HB_TOKEN_H

#include "hb_op.h"

/** Where the doors of live rooms look for an access token when no header has one. */
#define HB_TOKEN_COOKIE "halobuzz_token"

#define HB_TOKEN_MAX_BYTES 4096

typedef struct hb_claims_t {
    const char *user_id;        /* sub */
    const char *session_id;     /* sid */
    hb_roles_t roles;           /* roles, by name in the token */
    int has_totp;               /* amr holds "otp" */
    apr_time_t authenticated_at; /* auth_time */
    apr_time_t issued_at;       /* iat */
    apr_time_t expires_at;      /* exp */
} hb_claims_t;

/** typ is at+jwt (RFC 9068), so that no other token of ours passes. Does not wait. */
apr_status_t hb_token_sign(const char **token, hb_op_t *op, const hb_claims_t *claims);

/**
 * Verified tokens are remembered in the process by their SHA-256, so the MAC and the
 * JSON are paid once a token, exp is checked each time. Does not wait.
 * @return HB_E_TOKEN_INVALID, HB_E_TOKEN_EXPIRED (at now == exp)
 */
apr_status_t hb_token_verify(hb_claims_t *claims, hb_op_t *op, const char *token);

#endif /* HB_TOKEN_H */
