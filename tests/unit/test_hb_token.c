/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_token.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include <openssl/err.h>

#include "hb_crypto.h"
#include "hb_keyring.h"
#include "hb_role.h"
#include "hb_test.h"
#include "hb_test_op.h"

#define USER "64b000000000000000000001"
#define SESSION "64b000000000000000000002"
#define OTHER "another secret of tests that is long enough to be taken as a key 0123456789"

/* The claims that a good token has, but for its times. */
#define SOUND "\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"" USER "\",\"sid\":\"" SESSION \
    "\",\"roles\":[\"user\"],\"amr\":[\"pwd\"],\"auth_time\":1700000000"
#define TIMES ",\"iat\":1700000000,\"exp\":1700000900"

/* Sign any header (@ is the kid) and any claims. */
static const char *forge(hb_test_desk_t *desk, const char *header, const char *claims)
{
    const hb_key_t *key = hb_keyring_newest(desk->site.access_keys);
    const char *at = strchr(header, '@');
    const char *filled = at == NULL ? header : apr_pstrcat(hb_test_pool,
        apr_pstrmemdup(hb_test_pool, header, at - header), key->kid, at + 1, NULL);
    const char *text = apr_pstrcat(hb_test_pool,
        hb_base64url(hb_test_pool, (const unsigned char *)filled, strlen(filled)), ".",
        hb_base64url(hb_test_pool, (const unsigned char *)claims, strlen(claims)), NULL);
    unsigned char mac[32];

    ck_assert_int_eq(hb_hmac_sha256(mac, key->bytes, key->len, text, strlen(text)), 0);
    return apr_pstrcat(hb_test_pool, text, ".", hb_base64url(hb_test_pool, mac, 32), NULL);
}

static apr_status_t verify(hb_test_desk_t *desk, const char *token, hb_claims_t *claims)
{
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    apr_status_t rv = hb_token_verify(claims, op, token);

    ck_assert_int_eq(op->problem.status, rv);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return rv;
}

static const char *sign(hb_test_desk_t *desk, hb_roles_t roles, int has_totp)
{
    hb_claims_t claims = {
        USER, SESSION, roles, has_totp, desk->now, desk->now,
        desk->now + desk->settings.access_ttl
    };
    const char *token;

    ck_assert_int_eq(hb_token_sign(&token, hb_test_op_make(desk, hb_test_pool), &claims), 0);
    return token;
}

START_TEST(what_is_signed_comes_back)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *token = sign(desk, HB_ROLE_USER | HB_ROLE_ADMIN, 1);
    hb_claims_t claims;
    int i;

    ck_assert_uint_lt(strlen(token), 700);
    /* The second time comes from memory and says the same. */
    for (i = 0; i < 2; i++) {
        memset(&claims, 0, sizeof(claims));
        ck_assert_int_eq(verify(desk, token, &claims), APR_SUCCESS);
        ck_assert_str_eq(claims.user_id, USER);
        ck_assert_str_eq(claims.session_id, SESSION);
        ck_assert_uint_eq(claims.roles, HB_ROLE_USER | HB_ROLE_ADMIN);
        ck_assert_int_eq(claims.has_totp, 1);
        ck_assert_int_eq(claims.authenticated_at, desk->now);
        ck_assert_int_eq(claims.issued_at, desk->now);
        ck_assert_int_eq(claims.expires_at, desk->now + apr_time_from_sec(900));
    }
    ck_assert_str_ne(token, sign(desk, HB_ROLE_USER | HB_ROLE_ADMIN, 1));
}
END_TEST

START_TEST(a_token_ends_at_its_second_also_when_remembered)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *token = sign(desk, HB_ROLE_USER, 0);
    hb_claims_t claims;

    desk->now += apr_time_from_sec(900) - 1;
    ck_assert_int_eq(verify(desk, token, &claims), APR_SUCCESS);
    ck_assert_int_eq(verify(desk, token, &claims), APR_SUCCESS);
    desk->now += 1;
    ck_assert_int_eq(verify(desk, token, &claims), HB_E_TOKEN_EXPIRED);
    /* And one that was never seen before. */
    ck_assert_int_eq(verify(desk, forge(desk, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\","
                                        "\"kid\":\"@\"}", "{" SOUND TIMES "}"), &claims),
                     HB_E_TOKEN_EXPIRED);
}
END_TEST

START_TEST(other_keys_and_issuers_do_not_use_the_memory)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *token = sign(desk, HB_ROLE_USER, 0), *why;
    struct hb_keyring_t *keys = desk->site.access_keys;
    hb_claims_t claims;

    ck_assert_int_eq(verify(desk, token, &claims), APR_SUCCESS);
    ck_assert_int_eq(hb_keyring_from_secret(&desk->site.access_keys, &why, OTHER, hb_test_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(verify(desk, token, &claims), HB_E_TOKEN_INVALID);
    desk->site.access_keys = keys;
    desk->settings.auth_issuer = "other";
    ck_assert_int_eq(verify(desk, token, &claims), HB_E_TOKEN_INVALID);
    desk->settings.auth_issuer = "halobuzz";
    ck_assert_int_eq(verify(desk, token, &claims), APR_SUCCESS);
}
END_TEST

/* Headers around sound claims, and a right MAC over all of it. */
static const struct { const char *label, *header; int good; } headers[] = {
    { "ours", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 1 },
    { "foreign members", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\",\"jku\":\"https://x/\","
                         "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", 1 },
    { "none", "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "nOnE", "{\"alg\":\"nOnE\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "small letters", "{\"alg\":\"hs256\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "HS384", "{\"alg\":\"HS384\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "RS256", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "alg is an array", "{\"alg\":[\"HS256\"],\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "no alg", "{\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "typ JWT", "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"@\"}", 0 },
    { "no typ", "{\"alg\":\"HS256\",\"kid\":\"@\"}", 0 },
    { "no kid", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", 0 },
    { "a path as kid", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}", 0 },
    { "kid is null", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":null}", 0 },
    { "kid and more", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@x\"}", 0 },
    { "crit", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\",\"crit\":[\"x\"],\"x\":1}", 0 },
    { "empty crit", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\",\"crit\":[]}", 0 },
    { "alg twice", "{\"alg\":\"none\",\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\"}", 0 },
    { "an array", "[\"HS256\",\"@\"]", 0 },
    { "no JSON", "alg=HS256 kid=@", 0 },
    { "JSON and more", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@\"}{}", 0 },
};

START_TEST(headers_are_judged)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_claims_t claims;
    apr_size_t i;

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        ck_assert_msg(verify(desk, forge(desk, headers[i].header, "{" SOUND TIMES "}"), &claims)
                      == (headers[i].good ? APR_SUCCESS : HB_E_TOKEN_INVALID), "%s",
                      headers[i].label);
    }
}
END_TEST

#define INVALID HB_E_TOKEN_INVALID
#define REST "\"sid\":\"" SESSION "\",\"roles\":[],\"amr\":[],\"auth_time\":1" TIMES

static const struct { const char *label, *claims; apr_status_t answer; } bodies[] = {
    { "ours", "{" SOUND TIMES "}", APR_SUCCESS },
    { "one of several audiences", "{\"iss\":\"halobuzz\",\"aud\":[\"x\",\"halobuzz\"],\"sub\":\"u\","
                                  REST "}", APR_SUCCESS },
    { "an unknown role", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"u\",\"sid\":\"s\","
      "\"roles\":[\"god\",7],\"amr\":[],\"auth_time\":1" TIMES "}", APR_SUCCESS },
    { "just issued by a clock ahead", "{" SOUND ",\"iat\":1700000060,\"exp\":1700000900}", APR_SUCCESS },
    { "from the future", "{" SOUND ",\"iat\":1700000061,\"exp\":1700000900}", INVALID },
    { "valid since now", "{" SOUND TIMES ",\"nbf\":1700000000}", APR_SUCCESS },
    { "not valid yet", "{" SOUND TIMES ",\"nbf\":1700000001}", INVALID },
    { "nbf is text", "{" SOUND TIMES ",\"nbf\":\"1700000000\"}", INVALID },
    { "no exp", "{" SOUND ",\"iat\":1700000000}", INVALID },
    { "exp is text", "{" SOUND ",\"iat\":1700000000,\"exp\":\"1700000900\"}", INVALID },
    { "exp is real", "{" SOUND ",\"iat\":1700000000,\"exp\":1700000900.5}", INVALID },
    { "exp is huge", "{" SOUND ",\"iat\":1700000000,\"exp\":9223372036854775807}", INVALID },
    { "exp is beyond 64 bits", "{" SOUND ",\"iat\":1700000000,\"exp\":92233720368547758070}", INVALID },
    { "exp is null", "{" SOUND ",\"iat\":1700000000,\"exp\":null}", INVALID },
    { "exp is negative", "{" SOUND ",\"iat\":1700000000,\"exp\":-1}", INVALID },
    { "exp is now", "{" SOUND ",\"iat\":1600000000,\"exp\":1700000000}", HB_E_TOKEN_EXPIRED },
    { "no iat", "{" SOUND ",\"exp\":1700000900}", INVALID },
    { "other issuer", "{\"iss\":\"Halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"u\"," REST "}", INVALID },
    { "no issuer", "{\"aud\":\"halobuzz\",\"sub\":\"u\"," REST "}", INVALID },
    { "other audience", "{\"iss\":\"halobuzz\",\"aud\":\"x\",\"sub\":\"u\"," REST "}", INVALID },
    { "audience is a number", "{\"iss\":\"halobuzz\",\"aud\":1,\"sub\":\"u\"," REST "}", INVALID },
    { "a number among audiences", "{\"iss\":\"halobuzz\",\"aud\":[\"halobuzz\",1],\"sub\":\"u\","
                                  REST "}", INVALID },
    { "no audience", "{\"iss\":\"halobuzz\",\"aud\":[],\"sub\":\"u\"," REST "}", INVALID },
    { "empty sub", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"\"," REST "}", INVALID },
    { "sub is a number", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":1," REST "}", INVALID },
    { "no sid", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"u\",\"roles\":[],\"amr\":[],"
                "\"auth_time\":1" TIMES "}", INVALID },
    { "roles are text", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"u\",\"sid\":\"s\","
      "\"roles\":\"superadmin\",\"amr\":[],\"auth_time\":1" TIMES "}", INVALID },
    { "authenticated after it was issued", "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"u\","
      "\"sid\":\"s\",\"roles\":[],\"amr\":[],\"auth_time\":9223372036854775807" TIMES "}", INVALID },
    { "sub twice", "{" SOUND TIMES ",\"sub\":\"64b000000000000000000009\"}", INVALID },
    { "empty", "", INVALID }, { "an array", "[]", INVALID }, { "text", "\"x\"", INVALID },
    { "deep", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
      INVALID },
    { "not UTF-8", "{" SOUND TIMES ",\"x\":\"\xff\"}", INVALID },
};

START_TEST(claims_are_judged)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_claims_t claims;
    apr_size_t i;
    int twice;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const char *token = forge(desk, headers[0].header, bodies[i].claims);

        for (twice = 0; twice < 2; twice++) {
            ck_assert_msg(verify(desk, token, &claims) == bodies[i].answer, "%s",
                          bodies[i].label);
        }
    }
}
END_TEST

START_TEST(the_form_is_strict)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *token = sign(desk, HB_ROLE_USER, 0), *last = strrchr(token, '.');
    char *copy, *large = apr_pcalloc(hb_test_pool, 8193);
    hb_claims_t claims;
    apr_size_t i;

    for (i = 0; i < strlen(token); i++) {
        copy = apr_pstrdup(hb_test_pool, token);
        copy[i] = copy[i] == 'A' ? 'Q' : 'A';
        ck_assert_msg(verify(desk, copy, &claims) == INVALID, "changed at %d", (int)i);
        copy[i] = '\0';
        ck_assert_msg(verify(desk, copy, &claims) == INVALID, "cut at %d", (int)i);
    }
    ck_assert_int_eq(verify(desk, apr_pstrcat(hb_test_pool, token, "=", NULL), &claims), INVALID);
    ck_assert_int_eq(verify(desk, apr_pstrcat(hb_test_pool, token, "\n", NULL), &claims), INVALID);
    ck_assert_int_eq(verify(desk, apr_pstrcat(hb_test_pool, " ", token, NULL), &claims), INVALID);
    ck_assert_int_eq(verify(desk, apr_pstrcat(hb_test_pool, token, ".", NULL), &claims), INVALID);
    ck_assert_int_eq(verify(desk, apr_pstrcat(hb_test_pool, token, last, NULL), &claims), INVALID);
    ck_assert_int_eq(verify(desk, apr_pstrmemdup(hb_test_pool, token, last + 1 - token), &claims),
                     INVALID);
    ck_assert_int_eq(verify(desk, "..", &claims), INVALID);
    /* Claims that are no base64url at all, behind a header of ours */
    for (i = 0; i < 8; i++) {
        copy = apr_pstrcat(hb_test_pool, apr_pstrmemdup(hb_test_pool, token,
                                                        strchr(token, '.') + 1 - token),
                           apr_pstrmemdup(hb_test_pool, "a=-\x11+/ \xff", i + 1), last, NULL);
        ck_assert_msg(verify(desk, copy, &claims) == INVALID, "claims of %d", (int)i);
    }
    memset(large, 'A', 8192);
    ck_assert_int_eq(verify(desk, large, &claims), INVALID);
    large[100] = large[200] = '.';
    ck_assert_int_eq(verify(desk, large, &claims), INVALID);
}
END_TEST

#define KEY_1 "key-1 1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define KEY_2 "key-2 2 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA\n"
#define LIAR  "key-1 1 BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA\n"

static struct hb_keyring_t *ring_of(const char *lines)
{
    char *path = apr_pstrdup(hb_test_pool, "/tmp/hb_token.XXXXXX");
    const char *why = "";
    hb_keyring_t *ring;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, lines, strlen(lines)), (int)strlen(lines));
    close(fd);
    ck_assert_msg(hb_keyring_load(&ring, &why, path, hb_test_pool) == APR_SUCCESS, "%s", why);
    unlink(path);
    return ring;
}

START_TEST(old_keys_verify_and_the_newest_signs)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *old, *new;
    hb_claims_t claims;

    desk->site.access_keys = ring_of(KEY_1);
    old = sign(desk, HB_ROLE_USER, 0);
    desk->site.access_keys = ring_of(KEY_1 KEY_2);
    new = sign(desk, HB_ROLE_USER, 0);
    ck_assert_int_eq(verify(desk, old, &claims), APR_SUCCESS);
    ck_assert_int_eq(verify(desk, new, &claims), APR_SUCCESS);
    desk->site.access_keys = ring_of(KEY_2);
    ck_assert_int_eq(verify(desk, old, &claims), INVALID);
    ck_assert_int_eq(verify(desk, new, &claims), APR_SUCCESS);
    desk->site.access_keys = ring_of(LIAR);
    ck_assert_int_eq(verify(desk, old, &claims), INVALID);
}
END_TEST

typedef struct worker_t {
    hb_test_desk_t *desk;
    apr_thread_t *thread;
    const char *const *tokens;
    int n_tokens;
    int wrong;
} worker_t;

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *baton)
{
    worker_t *worker = baton;      /* returning, not apr_thread_exit: it upsets ASAN */
    hb_op_t op = { .site = &worker->desk->site, .now = worker->desk->now, .request_id = "x" };
    apr_pool_t *pool;
    hb_claims_t claims;
    int round, i;

    apr_pool_create(&pool, NULL);
    op.pool = pool;
    for (round = 0; round < 20; round++) {
        for (i = 0; i < worker->n_tokens; i++) {
            if (hb_token_verify(&claims, &op, worker->tokens[i]) != APR_SUCCESS
                || apr_atoi64(claims.user_id) != i) {
                worker->wrong++;
            }
        }
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    (void)thread;
    return NULL;
}

START_TEST(threads_do_not_mix_tokens_up)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *tokens[500];
    worker_t workers[4];
    apr_status_t rv;
    int i;

    for (i = 0; i < 500; i++) {
        tokens[i] = forge(desk, headers[0].header, apr_psprintf(hb_test_pool,
            "{\"iss\":\"halobuzz\",\"aud\":\"halobuzz\",\"sub\":\"%d\"," REST "}", i));
    }
    for (i = 0; i < 4; i++) {
        workers[i] = (worker_t){ desk, NULL, tokens, 500, 0 };
        ck_assert_int_eq(apr_thread_create(&workers[i].thread, NULL, work, &workers[i],
                                           hb_test_pool), APR_SUCCESS);
    }
    for (i = 0; i < 4; i++) {
        apr_thread_join(&rv, workers[i].thread);
        ck_assert_int_eq(workers[i].wrong, 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_is_signed_comes_back, a_token_ends_at_its_second_also_when_remembered,
        other_keys_and_issuers_do_not_use_the_memory, headers_are_judged, claims_are_judged,
        the_form_is_strict, old_keys_verify_and_the_newest_signs, threads_do_not_mix_tokens_up,
        NULL
    };
    return hb_test_main("hb_token", cases);
}
