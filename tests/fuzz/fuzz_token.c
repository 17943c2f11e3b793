/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an access token ("T" and the token), as header and claims that get a right
 * MAC here ("S", header, newline, claims), so that fuzzing passes the signature, and as
 * something sealed ("U" and the text). What is taken says who it is and until when, and
 * memory tells the same as the first look.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_keyring.h"
#include "hb_role.h"
#include "hb_token.h"

#define NOW apr_time_from_sec(1700000000)
#define SECRET "a secret of the fuzzer that is long enough to be taken as a key 0123456789"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}"

static hb_settings_t settings;
static hb_site_t site;

static apr_time_t fuzz_clock(void *baton)
{
    (void)baton;
    return NOW;
}

static apr_status_t fuzz_random(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    memset(out, 7, n);
    return APR_SUCCESS;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct hb_keyring_t *ring;
    apr_pool_t *pool;
    const char *why;

    (void)argc;
    (void)argv;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS
        || hb_keyring_from_secret(&ring, &why, SECRET, pool) != APR_SUCCESS) {
        return 1;
    }
    settings.auth_issuer = "halobuzz";
    site.settings = &settings;
    site.access_keys = site.pepper_keys = ring;
    site.clock = fuzz_clock;
    site.random = fuzz_random;
    return 0;
}

/* Header and claims with the MAC of our key; an empty header stands for a right one. */
static const char *signed_by_us(const char *text, apr_pool_t *pool)
{
    const hb_key_t *key = hb_keyring_newest(site.access_keys);
    const char *newline = strchr(text, '\n');
    const char *header = newline == NULL ? "" : apr_pstrmemdup(pool, text, newline - text);
    const char *claims = newline == NULL ? text : newline + 1;
    const char *token;
    unsigned char mac[32];

    if (*header == '\0') {
        header = apr_psprintf(pool, HEADER, key->kid);
    }
    token = apr_pstrcat(pool, hb_base64url(pool, (const unsigned char *)header, strlen(header)),
                        ".", hb_base64url(pool, (const unsigned char *)claims, strlen(claims)),
                        NULL);
    FUZZ_EXPECT(hb_hmac_sha256(mac, key->bytes, key->len, token, strlen(token)) == APR_SUCCESS);
    return apr_pstrcat(pool, token, ".", hb_base64url(pool, mac, sizeof(mac)), NULL);
}

static void look_at(const char *token, apr_pool_t *pool)
{
    hb_claims_t first, second;
    apr_status_t rv;

    rv = hb_token_verify(&first, hb_op_make(&site, pool), token);
    FUZZ_EXPECT(rv == APR_SUCCESS || rv == HB_E_TOKEN_INVALID || rv == HB_E_TOKEN_EXPIRED);
    FUZZ_EXPECT(hb_token_verify(&second, hb_op_make(&site, pool), token) == rv);
    if (rv == APR_SUCCESS) {
        FUZZ_EXPECT(*first.user_id != '\0' && *first.session_id != '\0');
        FUZZ_EXPECT(first.expires_at > NOW && first.issued_at <= NOW + apr_time_from_sec(60));
        FUZZ_EXPECT((first.roles & ~0x7fu) == 0);
        FUZZ_EXPECT(strcmp(first.user_id, second.user_id) == 0
                    && strcmp(first.session_id, second.session_id) == 0
                    && first.roles == second.roles && !first.has_totp == !second.has_totp
                    && first.authenticated_at == second.authenticated_at
                    && first.issued_at == second.issued_at
                    && first.expires_at == second.expires_at);
    }
}

static void open_sealed(const char *text, apr_pool_t *pool)
{
    hb_op_t *op = hb_op_make(&site, pool);
    const char *sealed, *plain;
    apr_size_t len;

    /* Nobody can make one without the key, so a finding here would be a real one. */
    FUZZ_EXPECT(hb_unseal(&plain, &len, op, "fuzz", text) == HB_E_TOKEN_INVALID);
    FUZZ_EXPECT(hb_seal(&sealed, op, "fuzz", text, strlen(text)) == APR_SUCCESS);
    FUZZ_EXPECT(hb_unseal(&plain, &len, op, "fuzz", sealed) == APR_SUCCESS);
    FUZZ_EXPECT(len == strlen(text) && memcmp(plain, text, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text;
    apr_pool_t *pool;

    if (size == 0) {
        return 0;
    }
    apr_pool_create(&pool, NULL);
    text = apr_pstrmemdup(pool, (const char *)data + 1, size - 1);
    if (data[0] == 'S') {
        look_at(signed_by_us(text, pool), pool);
    }
    else if (data[0] == 'U') {
        open_sealed(text, pool);
    }
    else {
        look_at(text, pool);
    }
    apr_pool_destroy(pool);
    return 0;
}
