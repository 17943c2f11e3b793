/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of others: RFC 7515, and cases that npm jose judged (tests/data). */
#include "hb_jwt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_error.h"
#include "hb_test.h"
#include "hb_test_data.h"

/* A ring of one key with a given kid and bytes: only a file can say both. */
static hb_keyring_t *ring_of(const char *kid, const unsigned char *bytes, apr_size_t n)
{
    char *path = apr_pstrdup(hb_test_pool, "/tmp/hb_jwt.XXXXXX");
    const char *line = apr_psprintf(hb_test_pool, "%s 1 %s\n", kid,
                                    hb_base64url(hb_test_pool, bytes, n));
    const char *why = "";
    hb_keyring_t *ring;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, line, strlen(line)), (int)strlen(line));
    close(fd);
    ck_assert_msg(hb_keyring_load(&ring, &why, path, hb_test_pool) == APR_SUCCESS, "%s", why);
    unlink(path);
    return ring;
}

START_TEST(cases_are_judged_as_by_jose)
{
    hb_json_t *section = hb_json_get(hb_test_vectors(), "jwt_hs256"), *claims;
    hb_json_t *cases = hb_json_get(section, "verify");
    const char *secret = hb_json_string(hb_json_get(section, "generated"), "secret_ascii");
    hb_keyring_t *ring = ring_of("k1", (const unsigned char *)secret, strlen(secret));
    int i, n_accepted = 0;

    ck_assert_int_eq(hb_json_length(cases), 19);
    for (i = 0; i < hb_json_length(cases); i++) {
        hb_json_t *row = hb_json_item(cases, i);
        const char *issuer = hb_json_string(row, "expect_iss");
        const char *audience = hb_json_string(row, "expect_aud");
        hb_jwt_rules_t rules = {
            ring, "JWT", issuer != NULL ? issuer : "halobuzz",
            audience != NULL ? audience : "halobuzz-api",
            apr_time_from_sec(hb_json_int(row, "now", 0)), hb_json_int(row, "leeway", 0)
        };
        int accept = strcmp(hb_json_string(row, "expect"), "accept") == 0;
        const char *why = NULL;
        apr_status_t rv = hb_jwt_read(&claims, &why, hb_json_string(row, "token"), &rules,
                                      hb_test_pool);

        ck_assert_msg((rv == APR_SUCCESS) == accept, "%s: %s", hb_json_string(row, "name"), why);
        ck_assert(rv == APR_SUCCESS || why != NULL);
        n_accepted += rv == APR_SUCCESS;
    }
    ck_assert_int_eq(n_accepted, 4);
}
END_TEST

START_TEST(the_mac_of_the_rfc_is_ours)
{
    hb_json_t *rfc = hb_json_at(hb_test_vectors(), "jwt_hs256.rfc7515_appendix_a1");
    const char *jws = hb_json_string(rfc, "jws"), *dot = strrchr(jws, '.');
    const unsigned char *key;
    unsigned char mac[32];
    apr_size_t n;

    key = hb_base64url_read(hb_test_pool, &n, hb_json_string(rfc, "jwk_k_base64url"));
    ck_assert_int_eq(hb_hmac_sha256(mac, key, n, jws, dot - jws), APR_SUCCESS);
    ck_assert_str_eq(hb_base64url(hb_test_pool, mac, 32), dot + 1);
    ck_assert_str_eq(dot + 1, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}
END_TEST

START_TEST(what_is_made_can_be_read)
{
    unsigned char key[32] = { 1, 2, 3 };
    hb_keyring_t *ring = ring_of("a-kid", key, sizeof(key));
    hb_json_t *claims = hb_json_object_make(hb_test_pool), *read;
    hb_jwt_rules_t rules = { ring, "x+jwt", "i", "a", apr_time_from_sec(100), 0 };
    const char *token, *why;

    hb_json_set_string(claims, "iss", "i");
    hb_json_set_string(claims, "aud", "a");
    hb_json_set_string(claims, "sub", "s");
    hb_json_set_int(claims, "iat", 50);
    hb_json_set_int(claims, "exp", 150);
    token = hb_jwt_make(claims, "x+jwt", hb_keyring_newest(ring), hb_test_pool);
    ck_assert_ptr_nonnull(token);
    ck_assert_int_eq(hb_jwt_read(&read, &why, token, &rules, hb_test_pool), APR_SUCCESS);
    ck_assert(hb_json_equal(claims, read));
    rules.typ = "y+jwt";
    ck_assert_int_eq(hb_jwt_read(&read, &why, token, &rules, hb_test_pool), HB_E_TOKEN_INVALID);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        cases_are_judged_as_by_jose, the_mac_of_the_rfc_is_ours, what_is_made_can_be_read, NULL
    };
    return hb_test_main("hb_jwt", cases);
}
