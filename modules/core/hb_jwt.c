/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens over cjose, which signs and verifies and does not leave this file. Its parsers
 * are lenient (padding, duplicate members), so the form is checked here first. The
 * verifier owns the algorithm: a key of a ring is an HS256 key, whatever a header says.
 */
#include "hb_jwt.h"

#include <string.h>

#include <apr_strings.h>

#include <cjose/cjose.h>
#include <openssl/err.h>

#include "hb_crypto.h"
#include "hb_error.h"
#include "hb_token.h"

#define MAC_BYTES 32
#define FUTURE_SEC 60           /* how far ahead of us an issuer's clock may be */
#define YEAR_9999_SEC 253402300799LL

/* The three parts; 0 unless there are exactly two dots and the length is sane. */
static int parts_of(const char *part[3], const char *token, apr_pool_t *pool)
{
    apr_size_t len = strnlen(token, HB_TOKEN_MAX_BYTES + 1);
    char *copy, *dot;
    int i;

    if (len == 0 || len > HB_TOKEN_MAX_BYTES) {
        return 0;
    }
    copy = apr_pstrmemdup(pool, token, len);
    for (i = 0; i < 2; i++) {
        part[i] = copy;
        dot = strchr(copy, '.');
        if (dot == NULL) {
            return 0;
        }
        *dot = '\0';
        copy = dot + 1;
    }
    part[2] = copy;
    return strchr(copy, '.') == NULL;
}

/* The bytes of a part as a JSON object, strictly; NULL when they are none. */
static hb_json_t *object_of(const unsigned char *text, apr_size_t len, apr_pool_t *pool)
{
    const char *why;
    hb_json_t *json;

    if (hb_json_parse(&json, &why, (const char *)text, len, pool) != APR_SUCCESS
        || hb_json_type(json) != HB_JSON_OBJECT) {
        return NULL;
    }
    return json;
}

static int is_text(const hb_json_t *object, const char *key, const char *expected)
{
    const char *text = hb_json_string(object, key);

    return text != NULL && strcmp(text, expected) == 0;
}

/* The key that a header asks for, when the header keeps the rules. */
static const hb_key_t *key_of(const char **why, const hb_json_t *header,
                              const hb_jwt_rules_t *rules)
{
    const char *kid = hb_json_string(header, "kid");
    const hb_key_t *key = kid == NULL ? NULL : hb_keyring_find(rules->ring, kid);

    if (key == NULL) {
        *why = "its key is not ours";
    }
    else if (!is_text(header, "alg", "HS256")) {
        *why = "its algorithm is not the key's";
        key = NULL;
    }
    else if (!is_text(header, "typ", rules->typ)) {
        *why = "it is a token for something else";
        key = NULL;
    }
    else if (hb_json_has(header, "crit")) {
        *why = "it has critical extensions";
        key = NULL;
    }
    return key;
}

static int mac_is_right(const char *token, const hb_key_t *key)
{
    cjose_jws_t *jws = NULL;
    cjose_jwk_t *jwk;
    cjose_err err;
    int right = 0;

    ERR_clear_error();
    jwk = cjose_jwk_create_oct_spec(key->bytes, key->len, &err);
    if (jwk != NULL) {
        jws = cjose_jws_import(token, strlen(token), &err);
    }
    if (jws != NULL) {
        right = cjose_jws_verify(jws, jwk, &err);
    }
    cjose_jws_release(jws);
    cjose_jwk_release(jwk);
    ERR_clear_error();
    return right;
}

/* A time claim in seconds; 0 when it is not one. */
static int seconds_of(apr_int64_t *sec, const hb_json_t *claims, const char *key)
{
    const hb_json_t *value = hb_json_get(claims, key);

    *sec = hb_json_int_value(value, -1);
    return hb_json_type(value) == HB_JSON_INT && *sec >= 0 && *sec <= YEAR_9999_SEC;
}

static int audience_is(const hb_json_t *claims, const char *audience)
{
    const hb_json_t *aud = hb_json_get(claims, "aud");
    const char *text;
    int i, found = 0;

    if (hb_json_type(aud) == HB_JSON_STRING) {
        return strcmp(hb_json_string_value(aud), audience) == 0;
    }
    for (i = 0; hb_json_type(aud) == HB_JSON_ARRAY && i < hb_json_length(aud); i++) {
        text = hb_json_string_value(hb_json_item(aud, i));
        if (text == NULL) {
            return 0;
        }
        found |= strcmp(text, audience) == 0;
    }
    return found;
}

static apr_status_t claims_check(const char **why, const hb_json_t *claims,
                                 const hb_jwt_rules_t *rules)
{
    apr_int64_t now = apr_time_sec(rules->now), exp, iat, nbf = 0;
    const char *sub = hb_json_string(claims, "sub");

    *why = !seconds_of(&exp, claims, "exp") ? "it has no exp"
        : !seconds_of(&iat, claims, "iat") ? "it has no iat"
        : iat - FUTURE_SEC > now ? "it is from the future"
        : hb_json_has(claims, "nbf") && !seconds_of(&nbf, claims, "nbf") ? "nbf is no time"
        : hb_json_has(claims, "nbf") && now + rules->leeway_sec < nbf ? "it is not valid yet"
        : !is_text(claims, "iss", rules->issuer) ? "it is from somebody else"
        : !audience_is(claims, rules->audience) ? "it is for somebody else"
        : sub == NULL || *sub == '\0' ? "it has no sub"
        : NULL;
    if (*why != NULL) {
        return HB_E_TOKEN_INVALID;
    }
    if (now - rules->leeway_sec >= exp) {
        *why = "it has expired";
        return HB_E_TOKEN_EXPIRED;
    }
    return APR_SUCCESS;
}

apr_status_t hb_jwt_read(hb_json_t **claims, const char **why, const char *token,
                         const hb_jwt_rules_t *rules, apr_pool_t *pool)
{
    const char *part[3];
    const unsigned char *bytes[3];
    apr_size_t len[3];
    const hb_key_t *key;
    hb_json_t *header, *body;
    int i;

    *why = "it is malformed";
    if (!parts_of(part, token, pool)) {
        return HB_E_TOKEN_INVALID;
    }
    /* All three before cjose sees any: its decoder ends the process over some of them. */
    for (i = 0; i < 3; i++) {
        bytes[i] = hb_base64url_read(pool, &len[i], part[i]);
        if (bytes[i] == NULL) {
            return HB_E_TOKEN_INVALID;
        }
    }
    header = object_of(bytes[0], len[0], pool);
    if (header == NULL || len[2] != MAC_BYTES) {
        return HB_E_TOKEN_INVALID;
    }
    key = key_of(why, header, rules);
    if (key == NULL) {
        return HB_E_TOKEN_INVALID;
    }
    if (!mac_is_right(token, key)) {
        *why = "its signature is wrong";
        return HB_E_TOKEN_INVALID;
    }
    body = object_of(bytes[1], len[1], pool);
    if (body == NULL) {
        *why = "its claims are malformed";
        return HB_E_TOKEN_INVALID;
    }
    *claims = body;
    return claims_check(why, body, rules);
}

const char *hb_jwt_make(const hb_json_t *claims, const char *typ, const hb_key_t *key,
                        apr_pool_t *pool)
{
    apr_size_t len;
    const char *text = hb_json_text(claims, pool, &len), *compact, *token = NULL;
    cjose_header_t *header;
    cjose_jwk_t *jwk;
    cjose_jws_t *jws = NULL;
    cjose_err err;

    ERR_clear_error();
    jwk = cjose_jwk_create_oct_spec(key->bytes, key->len, &err);
    header = cjose_header_new(&err);
    if (jwk != NULL && header != NULL
        && cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, &err)
        && cjose_header_set(header, CJOSE_HDR_KID, key->kid, &err)
        && cjose_header_set(header, "typ", typ, &err)) {
        jws = cjose_jws_sign(jwk, header, (const uint8_t *)text, len, &err);
    }
    if (jws != NULL && cjose_jws_export(jws, &compact, &err)) {
        token = apr_pstrdup(pool, compact);
    }
    cjose_jws_release(jws);
    cjose_jwk_release(jwk);
    if (header != NULL) {
        cjose_header_release(header);
    }
    ERR_clear_error();
    return token;
}
