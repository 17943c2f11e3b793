/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: what stands in them and what it means. Their form and signature are
 * hb_jwt.c's, remembering them hb_token_memo.c's.
 */
#include "hb_token.h"

#include <string.h>

#include "hb_crypto.h"
#include "hb_jwt.h"
#include "hb_keyring.h"
#include "hb_role.h"
#include "hb_token_memo.h"

#define TYPE "at+jwt"
#define ID_BYTES 12             /* of jti: tells two tokens of one second apart */
#define ISSUER_MAX_BYTES 256

apr_status_t hb_token_sign(const char **token, hb_op_t *op, const hb_claims_t *claims)
{
    const hb_settings_t *settings = op->site->settings;
    hb_json_t *body = hb_json_object_make(op->pool);
    hb_json_t *roles = hb_json_array_make(op->pool);
    hb_json_t *amr = hb_json_array_make(op->pool);
    const char *id = hb_random_token(op, ID_BYTES);
    int i;

    if (id == NULL) {
        return HB_E_INTERNAL;
    }
    for (i = 0; hb_role_name(i) != NULL; i++) {
        if (claims->roles & hb_role_bit(hb_role_name(i))) {
            hb_json_push_string(roles, hb_role_name(i));
        }
    }
    hb_json_push_string(amr, "pwd");
    if (claims->has_totp) {
        hb_json_push_string(amr, "otp");
    }
    hb_json_set_string(body, "iss", settings->auth_issuer);
    hb_json_set_string(body, "aud", settings->auth_issuer);
    hb_json_set_string(body, "sub", claims->user_id);
    hb_json_set_string(body, "sid", claims->session_id);
    hb_json_set_int(body, "iat", apr_time_sec(claims->issued_at));
    hb_json_set_int(body, "exp", apr_time_sec(claims->expires_at));
    hb_json_set_int(body, "auth_time", apr_time_sec(claims->authenticated_at));
    hb_json_set(body, "roles", roles);
    hb_json_set(body, "amr", amr);
    hb_json_set_string(body, "jti", id);
    *token = hb_jwt_make(body, TYPE, hb_keyring_newest(op->site->access_keys), op->pool);
    return *token != NULL ? APR_SUCCESS : hb_fail(op, HB_E_INTERNAL, NULL);
}

/* Is a text an item of an array of texts? 0 also when it is no such array. */
static int holds(const hb_json_t *array, const char *text)
{
    const char *item;
    int i;

    for (i = 0; hb_json_type(array) == HB_JSON_ARRAY && i < hb_json_length(array); i++) {
        item = hb_json_string_value(hb_json_item(array, i));
        if (item != NULL && strcmp(item, text) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *claims_read(hb_claims_t *claims, const hb_json_t *body)
{
    const hb_json_t *roles = hb_json_get(body, "roles");
    const hb_json_t *auth_time = hb_json_get(body, "auth_time");
    apr_int64_t auth_sec = hb_json_int_value(auth_time, -1);
    int i;

    claims->user_id = hb_json_string(body, "sub");
    claims->session_id = hb_json_string(body, "sid");
    if (claims->session_id == NULL || *claims->session_id == '\0') {
        return "it has no sid";
    }
    if (hb_json_type(roles) != HB_JSON_ARRAY
        || hb_json_type(hb_json_get(body, "amr")) != HB_JSON_ARRAY
        || hb_json_type(auth_time) != HB_JSON_INT || auth_sec < 0
        || auth_sec > hb_json_int(body, "iat", 0)) {
        return "roles, amr or auth_time are missing or impossible";
    }
    /* A name that we do not know grants nothing. */
    claims->roles = 0;
    for (i = 0; hb_role_name(i) != NULL; i++) {
        if (holds(roles, hb_role_name(i))) {
            claims->roles |= hb_role_bit(hb_role_name(i));
        }
    }
    claims->has_totp = holds(hb_json_get(body, "amr"), "otp");
    claims->authenticated_at = apr_time_from_sec(auth_sec);
    claims->issued_at = apr_time_from_sec(hb_json_int(body, "iat", 0));
    claims->expires_at = apr_time_from_sec(hb_json_int(body, "exp", 0));
    return NULL;
}

/* The verdict depends on the token, the keys and the issuer: so does the memo's key. */
static apr_status_t memo_key(unsigned char key[HB_TOKEN_MEMO_KEY_BYTES],
                             const hb_jwt_rules_t *rules, const char *token, apr_size_t len)
{
    unsigned char rest[HB_KEYRING_MARK_BYTES + ISSUER_MAX_BYTES];
    apr_size_t issuer_len = strlen(rules->issuer);

    if (issuer_len > ISSUER_MAX_BYTES) {
        return APR_ENOSPC;
    }
    memcpy(rest, hb_keyring_mark(rules->ring), HB_KEYRING_MARK_BYTES);
    memcpy(rest + HB_KEYRING_MARK_BYTES, rules->issuer, issuer_len);
    return hb_sha256(key, token, len, rest, HB_KEYRING_MARK_BYTES + issuer_len);
}

static apr_status_t refuse(hb_op_t *op, apr_status_t status, const char *why)
{
    hb_log(op, HB_LOG_DEBUG, 0, HBLOGNO(00152) "access token refused: %s", why);
    return hb_fail(op, status, NULL);
}

apr_status_t hb_token_verify(hb_claims_t *claims, hb_op_t *op, const char *token)
{
    const hb_settings_t *settings = op->site->settings;
    hb_jwt_rules_t rules = {
        op->site->access_keys, TYPE, settings->auth_issuer, settings->auth_issuer, op->now, 0
    };
    unsigned char key[HB_TOKEN_MEMO_KEY_BYTES];
    apr_size_t len = strnlen(token, HB_TOKEN_MAX_BYTES + 1);
    hb_json_t *body;
    const char *why;
    apr_status_t rv;
    int have_key;

    if (len > HB_TOKEN_MAX_BYTES) {
        return refuse(op, HB_E_TOKEN_INVALID, "it is too long");
    }
    have_key = memo_key(key, &rules, token, len) == APR_SUCCESS;
    if (have_key && hb_token_memo_find(claims, key, op->pool)) {
        return op->now < claims->expires_at ? APR_SUCCESS
            : refuse(op, HB_E_TOKEN_EXPIRED, "it has expired");
    }
    rv = hb_jwt_read(&body, &why, token, &rules, op->pool);
    if (rv == APR_SUCCESS) {
        why = claims_read(claims, body);
        rv = why == NULL ? APR_SUCCESS : HB_E_TOKEN_INVALID;
    }
    if (rv != APR_SUCCESS) {
        return refuse(op, rv, why);
    }
    if (have_key) {
        hb_token_memo_keep(key, claims, op->now);
    }
    return APR_SUCCESS;
}
