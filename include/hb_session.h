/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_session.h
 * Signed-in devices: a short signed access token and a session row that holds the
 * rotating refresh token (X-13, B-09). The row is the truth; the cache remembers what it said
 * ("session:<id>", at most a minute), and ending a session takes that back at once for
 * every process.
 */
#ifndef HB_SESSION_H
#define HB_SESSION_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_token.h"

typedef struct hb_session_grant_t {
    const char *session_id;
    const char *access_token;
    const char *refresh_token;
    int expires_in_sec;         /* of the access token */
} hb_session_grant_t;

/**
 * Open a session for a user who has just proved who they are: the grant and the row are made
 * here, the caller inserts the row into HB_C_SESSIONS, in the transaction that the proof is
 * written in. Does not wait.
 */
apr_status_t hb_session_prepare(hb_session_grant_t *grant, hb_json_t **row, hb_op_t *op,
                                const hb_json_t *user, const char *device, int has_totp);

/**
 * Rotate: the presented token becomes useless, a new pair is given. The token just before the one
 * in force may come again for ten seconds (two threads of one app, an answer lost on the
 * way) and gives the same successor. Any other used one ends the session
 * (HB_E_TOKEN_REUSED), is logged and counted. HB_E_TOKEN_INVALID, HB_E_TOKEN_EXPIRED,
 * HB_E_TOKEN_REVOKED, HB_E_ACCOUNT_DISABLED.
 */
apr_status_t hb_session_refresh(hb_session_grant_t *grant, hb_op_t *op,
                                const char *refresh_token);

/** A grant as /auth/refresh answers it. */
hb_json_t *hb_session_grant_json(hb_op_t *op, const hb_session_grant_t *grant);

/**
 * Who is behind this access token, if the session still lives: fills op->actor.
 * Usually answered from memory; waits for the store on a cache miss. Roles and the state of the
 * account are those of the records, not those of the day the token was signed.
 * HB_E_TOKEN_INVALID, HB_E_TOKEN_EXPIRED, HB_E_TOKEN_REVOKED.
 */
apr_status_t hb_session_check(hb_op_t *op, const char *access_token);

/** The same for a token that was verified (hb_token_verify). */
apr_status_t hb_session_check_claims(hb_op_t *op, const hb_claims_t *claims);

/** Note what this check will ask (hb_ahead.h), and that turns count only while the session lives. */
void hb_session_ahead(hb_op_t *op, const hb_claims_t *claims);

/** End one session of the actor. HB_E_SESSION_UNKNOWN when it is not theirs. */
apr_status_t hb_session_end(hb_op_t *op, const char *session_id, const char *reason);

/** End all sessions of a user but one (NULL: all of them). @param n how many; may be NULL */
apr_status_t hb_session_end_all(apr_int64_t *n, hb_op_t *op, const char *user_id,
                                const char *except_session_id, const char *reason);

/** The actor's living sessions, newest first: {items, next} of "session". */
apr_status_t hb_session_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/*
 * For a change of a user or of sessions that every process has to heed at once (roles, state,
 * second factor, password): hold before the transaction, end rows inside it when they have to
 * end, release after it, also when it failed. A held session is asked of the store each time,
 * so that a process that dies in between leaves nothing stale.
 */
void hb_session_hold_all(hb_op_t *op, const char *user_id);
apr_status_t hb_session_end_rows(apr_int64_t *n, hb_op_t *op, const char *user_id,
                                 const char *except_session_id, const char *reason);
void hb_session_release_all(hb_op_t *op, const char *user_id);

/** The same for one. */
void hb_session_hold(hb_op_t *op, const char *session_id);
void hb_session_release(hb_op_t *op, const char *session_id);

/**
 * Somebody who does not share our cache (halobuzzctl) changed a session or a user and said
 * so on the bus: ask the store at the next call. For whoever reads the bus. What is held
 * stays held.
 */
void hb_session_forget(hb_op_t *op, const char *session_id);
void hb_session_forget_all(hb_op_t *op, const char *user_id);

#endif /* HB_SESSION_H */
