/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_session.h
 * Signed-in devices: a short signed access token and a session row that holds the
 * rotating refresh token (X-13, B-09). The row is the truth; the cache remembers what it said
 * ("session:<id>"), and ending a session overwrites that at once for every process.
 */
#ifndef HB_SESSION_H
#define HB_SESSION_H

#include "hb_json.h"
#include "hb_op.h"

typedef struct hb_session_grant_t {
    const char *session_id;
    const char *access_token;
    const char *refresh_token;
    int expires_in_sec;         /* of the access token */
} hb_session_grant_t;

/** Open a session for a user who has just proved who they are. Writes, waits. */
apr_status_t hb_session_start(hb_session_grant_t *grant, hb_op_t *op, const hb_json_t *user,
                              const char *device, int has_totp);

/**
 * Rotate: the presented token becomes useless, a new pair is given. Presenting a used one again
 * ends the session (HB_E_TOKEN_REUSED), is logged and counted. HB_E_TOKEN_INVALID,
 * HB_E_TOKEN_EXPIRED, HB_E_ACCOUNT_DISABLED.
 */
apr_status_t hb_session_refresh(hb_session_grant_t *grant, hb_op_t *op,
                                const char *refresh_token);

/**
 * Who is behind this access token, if the session still lives: fills op->actor.
 * Usually answered from memory; waits for the store on a cache miss.
 * HB_E_TOKEN_INVALID, HB_E_TOKEN_EXPIRED, HB_E_TOKEN_REVOKED.
 */
apr_status_t hb_session_check(hb_op_t *op, const char *access_token);

/** End one session of the actor. HB_E_SESSION_UNKNOWN when it is not theirs. */
apr_status_t hb_session_end(hb_op_t *op, const char *session_id, const char *reason);

/** End all sessions of a user but one (NULL: all of them). @param n how many; may be NULL */
apr_status_t hb_session_end_all(apr_int64_t *n, hb_op_t *op, const char *user_id,
                                const char *except_session_id, const char *reason);

/** The actor's living sessions, newest first: {items, next} of "sessions:self" with "current". */
apr_status_t hb_session_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

#endif /* HB_SESSION_H */
