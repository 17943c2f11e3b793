/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_jwt.h
 * JSON Web Tokens: compact form, HS256, kid from a ring (RFC 7515, 7519, 8725). What the
 * claims of an access token mean is hb_token.c's.
 */
#ifndef HB_JWT_H
#define HB_JWT_H

#include <apr_time.h>

#include "hb_json.h"
#include "hb_keyring.h"

/** What a token has to be. */
typedef struct hb_jwt_rules_t {
    const hb_keyring_t *ring;
    const char *typ;            /* exactly this; keeps kinds of tokens apart */
    const char *issuer;         /* iss, exactly */
    const char *audience;       /* aud, or one of aud */
    apr_time_t now;
    apr_int64_t leeway_sec;     /* for exp and nbf */
} hb_jwt_rules_t;

/**
 * The claims of a token that keeps the rules: exp and iat are integers, sub a string that
 * is not empty. Does not wait.
 * @param why  in a few words what is wrong, for the log; holds nothing of the token
 * @return HB_E_TOKEN_INVALID, HB_E_TOKEN_EXPIRED (from now == exp + leeway on)
 */
apr_status_t hb_jwt_read(hb_json_t **claims, const char **why, const char *token,
                         const hb_jwt_rules_t *rules, apr_pool_t *pool);

/** A signed token; NULL when a library fails. */
const char *hb_jwt_make(const hb_json_t *claims, const char *typ, const hb_key_t *key,
                        apr_pool_t *pool);

#endif /* HB_JWT_H */
