/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions begin and go on: rows, grants, rotation of refresh tokens. Whether a session
 * lives, and how it ends, is hb_session_check.c's.
 *
 * A refresh token is "session.generation.secret.mac". The row keeps a keyed hash of the one in
 * force and its generation. The mac says that we issued it, so an old one is known as old by
 * its generation alone: the row does not grow with each refresh, and nobody can end a
 * session by inventing tokens for it. A secret is a keyed hash of the token before it and a
 * random salt in the row. So the same successor can be given again to a client that asks twice,
 * and yet neither the records nor an old token alone, nor both without our key, tell it.
 */
#include "hb_session.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_token.h"
#include "hb_user.h"

/* How long the token before the one in force may come again. */
#define REPEAT_GRACE apr_time_from_sec(10)

#define TOKEN_MAX_BYTES 200
#define SECRET_BYTES 32
#define SALT_BYTES 16
#define MAC_DIGITS 32
#define DEVICE_MAX_CHARS 100
#define ADDRESS_MAX_BYTES 64

typedef struct refresh_t {
    const char *session_id;
    apr_int64_t generation;
} refresh_t;

/* --- refresh tokens --- */

static const char *token_mac(hb_op_t *op, const char *body)
{
    const char *mac = hb_keyed_hash(op, "refresh.issued", body);

    return mac == NULL ? NULL : apr_pstrndup(op->pool, mac, MAC_DIGITS);
}

static const char *token_make(hb_op_t *op, const char *session_id, apr_int64_t generation,
                              const char *secret)
{
    const char *body = apr_psprintf(op->pool, "%s.%" APR_INT64_T_FMT ".%s", session_id,
                                    generation, secret);
    const char *mac = token_mac(op, body);

    return mac == NULL ? NULL : apr_pstrcat(op->pool, body, ".", mac, NULL);
}

static apr_status_t token_read(refresh_t *refresh, hb_op_t *op, const char *token)
{
    const char *dot = strrchr(token, '.');
    const char *body, *mac;
    char *end;

    if (dot == NULL || strlen(token) > TOKEN_MAX_BYTES || dot - token < HB_ID_LENGTH + 2
        || token[HB_ID_LENGTH] != '.') {
        return HB_E_TOKEN_INVALID;
    }
    body = apr_pstrndup(op->pool, token, dot - token);
    mac = token_mac(op, body);
    if (mac == NULL) {
        return HB_E_INTERNAL;
    }
    if (!hb_equal_secret(mac, dot + 1)) {
        return HB_E_TOKEN_INVALID;
    }
    /* From here on it is ours, so its form is known. */
    refresh->session_id = apr_pstrndup(op->pool, token, HB_ID_LENGTH);
    refresh->generation = apr_strtoi64(token + HB_ID_LENGTH + 1, &end, 10);
    return APR_SUCCESS;
}

static const char *token_hash(hb_op_t *op, const char *token)
{
    return hb_keyed_hash(op, "refresh.token", token);
}

static const char *token_successor(hb_op_t *op, const refresh_t *refresh, const char *token,
                                   const char *salt)
{
    const char *secret = hb_keyed_hash(op, "refresh.next",
                                       apr_pstrcat(op->pool, token, ".", salt, NULL));

    return secret == NULL ? NULL
        : token_make(op, refresh->session_id, refresh->generation + 1, secret);
}

/* --- rows and grants --- */

/* At most so many characters, cut where one ends; NULL when it is not UTF-8. */
static const char *device_text(hb_op_t *op, const char *text)
{
    apr_size_t i;
    int n = 0;

    if (text == NULL || !hb_utf8_is_valid(text, strlen(text))) {
        return NULL;
    }
    for (i = 0; text[i] != '\0'; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80 && n++ == DEVICE_MAX_CHARS) {
            break;
        }
    }
    return apr_pstrndup(op->pool, text, i);
}

static void set_address(hb_json_t *row, hb_op_t *op)
{
    if (op->address != NULL) {
        hb_json_set_string(row, "address",
                           apr_pstrndup(op->pool, op->address, ADDRESS_MAX_BYTES));
    }
}

/* When an unused session ends that is used now. */
static apr_time_t idle_end(const hb_op_t *op, const hb_json_t *row)
{
    apr_time_t latest = hb_time_from_msec(hb_json_int(row, "createdAt", 0))
        + op->site->settings->session_max;
    apr_time_t end = op->now + op->site->settings->refresh_ttl;

    return end < latest ? end : latest;
}

static apr_status_t grant_make(hb_session_grant_t *grant, hb_op_t *op, const hb_json_t *row,
                               const hb_json_t *user, const char *refresh_token)
{
    apr_time_t end = hb_time_from_msec(hb_json_int(row, "expiresAt", 0));
    hb_claims_t claims = { 0 };
    apr_status_t rv;

    claims.user_id = hb_user_id(user);
    claims.session_id = hb_json_string(row, "_id");
    claims.roles = hb_user_roles(user);
    claims.has_totp = hb_json_bool(row, "hasTotp", 0);
    claims.authenticated_at = hb_time_from_msec(hb_json_int(row, "authenticatedAt", 0));
    claims.issued_at = op->now;
    claims.expires_at = op->now + op->site->settings->access_ttl;
    if (claims.expires_at > end) {
        claims.expires_at = end;
    }
    rv = hb_token_sign(&grant->access_token, op, &claims);
    if (rv != APR_SUCCESS) {
        return hb_fail(op, rv, NULL);
    }
    grant->session_id = apr_pstrdup(op->pool, claims.session_id);   /* the row may go its way */
    grant->refresh_token = refresh_token;
    grant->expires_in_sec = (int)apr_time_sec(claims.expires_at - op->now);
    return APR_SUCCESS;
}

apr_status_t hb_session_prepare(hb_session_grant_t *grant, hb_json_t **row, hb_op_t *op,
                                const hb_json_t *user, const char *device, int has_totp)
{
    apr_int64_t now = hb_time_to_msec(op->now);
    const char *id = hb_id_make(op);
    const char *secret = hb_random_token(op, SECRET_BYTES);
    const char *token, *hash;
    hb_json_t *doc;

    token = secret != NULL ? token_make(op, id, 0, secret) : NULL;
    hash = token != NULL ? token_hash(op, token) : NULL;
    if (hash == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    doc = hb_json_object_make(op->pool);
    hb_json_set_string(doc, "_id", id);
    hb_json_set_string(doc, "userId", hb_user_id(user));
    hb_json_set_string(doc, "refreshHash", hash);
    hb_json_set_int(doc, "generation", 0);
    device = device_text(op, device != NULL ? device : op->user_agent);
    if (device != NULL) {
        hb_json_set_string(doc, "device", device);
    }
    set_address(doc, op);
    hb_json_set_bool(doc, "hasTotp", has_totp);
    hb_json_set_int(doc, "authenticatedAt", now);
    hb_json_set_int(doc, "createdAt", now);
    hb_json_set_int(doc, "usedAt", now);
    hb_json_set_int(doc, "expiresAt", hb_time_to_msec(idle_end(op, doc)));
    *row = doc;
    return grant_make(grant, op, doc, user, token);
}

hb_json_t *hb_session_grant_json(hb_op_t *op, const hb_session_grant_t *grant)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "accessToken", grant->access_token);
    hb_json_set_string(json, "refreshToken", grant->refresh_token);
    hb_json_set_string(json, "tokenType", "Bearer");
    hb_json_set_int(json, "expiresIn", grant->expires_in_sec);
    hb_json_set_string(json, "sessionId", grant->session_id);
    return json;
}

/* --- rotation --- */

/* Exchange the token in force. HB_E_STORE_GUARD when somebody else just did. */
static apr_status_t rotate(hb_session_grant_t *grant, hb_op_t *op, const refresh_t *refresh,
                           const char *token, const hb_json_t *row, const hb_json_t *user)
{
    const char *salt = hb_random_token(op, SALT_BYTES);
    const char *next = salt != NULL ? token_successor(op, refresh, token, salt) : NULL;
    const char *hash = next != NULL ? token_hash(op, next) : NULL;
    apr_int64_t now = hb_time_to_msec(op->now);
    hb_json_t *after;
    apr_status_t rv;

    if (hash == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    {
        const hb_cond_t guards[] = {
            { "endedAt", HB_IS, HB_NIL },
            { "refreshHash", HB_IS, HB_STR(hb_json_string(row, "refreshHash")) },
        };
        const hb_edit_t edits[] = {
            { "refreshHash", HB_SET, HB_STR(hash) },
            { "rotationSalt", HB_SET, HB_STR(salt) },
            { "generation", HB_INC, HB_INT(1) },
            { "rotatedAt", HB_SET, HB_INT(now) },
            { "usedAt", HB_SET, HB_INT(now) },
            { "expiresAt", HB_SET, HB_INT(hb_time_to_msec(idle_end(op, row))) },
            { "address", HB_SET, HB_STR(op->address != NULL
                  ? apr_pstrndup(op->pool, op->address, ADDRESS_MAX_BYTES) : "") },
        };

        rv = hb_store_change(&after, NULL, op, HB_C_SESSIONS, refresh->session_id, guards, 2,
                             edits, 7);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* The entry knows when the session ends, and that is later now. */
    hb_session_release(op, refresh->session_id);
    return grant_make(grant, op, after, user, next);
}

/* The same successor once more, for the token just before the one in force. */
static int is_repeat(const char **next, hb_op_t *op, const refresh_t *refresh,
                     const char *token, const hb_json_t *row)
{
    apr_interval_time_t since = op->now - hb_time_from_msec(hb_json_int(row, "rotatedAt", 0));
    const char *salt = hb_json_string(row, "rotationSalt");
    const char *hash;

    if (salt == NULL || refresh->generation != hb_json_int(row, "generation", 0) - 1
        || since > REPEAT_GRACE || since < -REPEAT_GRACE) {
        return 0;
    }
    *next = token_successor(op, refresh, token, salt);
    hash = *next != NULL ? token_hash(op, *next) : NULL;
    return hash != NULL && hb_equal_secret(hash, hb_json_string(row, "refreshHash"));
}

/* Owner and thief both have this token: the session ends for both, before anything is answered. */
static apr_status_t reused(hb_op_t *op, const refresh_t *refresh, const hb_json_t *row)
{
    hb_actor_t asker = op->actor;
    apr_status_t rv;

    op->actor.is_system = 1;
    rv = hb_session_end(op, refresh->session_id, "reuse");
    op->actor = asker;
    hb_metric_add(op->site->metrics, HB_M_REFRESH_REUSE, 1);
    hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00402) "session %s of user %s: refresh token %"
           APR_INT64_T_FMT " came again when %" APR_INT64_T_FMT " was in force; from %s",
           refresh->session_id, hb_json_string(row, "userId"), refresh->generation,
           hb_json_int(row, "generation", 0), op->address != NULL ? op->address : "-");
    return rv != APR_SUCCESS ? rv : hb_fail(op, HB_E_TOKEN_REUSED, NULL);
}

static apr_status_t refresh_once(hb_session_grant_t *grant, hb_op_t *op,
                                 const refresh_t *refresh, const char *token)
{
    const char *hash = token_hash(op, token);
    const char *next;
    hb_json_t *row, *user;
    apr_status_t rv;

    rv = hb_store_get(&row, op, HB_C_SESSIONS, refresh->session_id);
    if (rv == HB_E_STORE_MISSING) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_TOKEN_INVALID, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_json_int(row, "endedAt", 0) != 0) {
        return hb_fail(op, HB_E_TOKEN_REVOKED, NULL);
    }
    if (hb_time_from_msec(hb_json_int(row, "expiresAt", 0)) <= op->now) {
        return hb_fail(op, HB_E_TOKEN_EXPIRED, NULL);
    }
    rv = hb_user_load(&user, op, hb_json_string(row, "userId"));
    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_TOKEN_REVOKED, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!hb_user_is_active(user)) {
        return hb_fail(op, HB_E_ACCOUNT_DISABLED, NULL);
    }
    if (hash == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    if (hb_equal_secret(hash, hb_json_string(row, "refreshHash"))) {
        return rotate(grant, op, refresh, token, row, user);
    }
    if (is_repeat(&next, op, refresh, token, row)) {
        return grant_make(grant, op, row, user, next);
    }
    if (refresh->generation < hb_json_int(row, "generation", 0)) {
        return reused(op, refresh, row);
    }
    /* Newer than the row: the records were restored from an older copy. */
    return hb_fail(op, HB_E_TOKEN_INVALID, NULL);
}

apr_status_t hb_session_refresh(hb_session_grant_t *grant, hb_op_t *op,
                                const char *refresh_token)
{
    refresh_t refresh;
    apr_status_t rv;

    rv = token_read(&refresh, op, refresh_token);
    if (rv != APR_SUCCESS) {
        return hb_fail(op, rv, NULL);
    }
    rv = refresh_once(grant, op, &refresh, refresh_token);
    if (rv == HB_E_STORE_GUARD) {
        /* Lost to a twin: now the token is the one before, or the session has ended. */
        hb_op_recover(op);
        rv = refresh_once(grant, op, &refresh, refresh_token);
    }
    return rv;
}

/* --- list --- */

static hb_json_t *session_json(hb_op_t *op, const hb_json_t *row)
{
    hb_json_t *json = hb_schema_view(op, HB_C_SESSIONS, row, HB_ALL | HB_SELF);
    const char *mine = op->actor.session_id;

    hb_json_set_bool(json, "current",
                     mine != NULL && strcmp(mine, hb_json_string(row, "_id")) == 0);
    return json;
}

apr_status_t hb_session_list(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = {
        { "userId", HB_IS, HB_STR(op->actor.user_id) },
        { "endedAt", HB_IS, HB_NIL },
    };
    hb_query_t query = { HB_C_SESSIONS, where, 2 };
    hb_page_t page;
    hb_json_t *items;
    apr_status_t rv;
    int i;

    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = limit;
    query.after = after;
    rv = hb_store_find(&page, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    items = hb_json_array_make(op->pool);
    for (i = 0; i < page.n_items; i++) {
        /* Not a condition of the query: its cursor has to fit the next page, a second later. */
        if (hb_time_from_msec(hb_json_int(page.items[i], "expiresAt", 0)) > op->now) {
            hb_json_push(items, session_json(op, page.items[i]));
        }
    }
    *list = hb_page_json(op, items, page.next);
    return APR_SUCCESS;
}
