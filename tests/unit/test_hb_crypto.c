/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_crypto.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include <openssl/err.h>

#include "hb_keyring.h"
#include "hb_test.h"
#include "hb_test_op.h"

START_TEST(digests_are_those_of_the_standards)
{
    unsigned char out[32], key[20];

    ck_assert_int_eq(hb_sha256(out, "a", 1, "bc", 2), APR_SUCCESS);
    ck_assert_str_eq(hb_hex(hb_test_pool, out, 32),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(hb_sha256(out, "", 0, NULL, 0), APR_SUCCESS);
    ck_assert_str_eq(hb_hex(hb_test_pool, out, 32),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /* RFC 4231 and RFC 2202, first cases */
    memset(key, 0x0b, sizeof(key));
    ck_assert_int_eq(hb_hmac_sha256(out, key, 20, "Hi There", 8), APR_SUCCESS);
    ck_assert_str_eq(hb_hex(hb_test_pool, out, 32),
                     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    ck_assert_int_eq(hb_hmac_sha1(out, key, 20, "Hi There", 8), APR_SUCCESS);
    ck_assert_str_eq(hb_hex(hb_test_pool, out, 20),
                     "b617318655057264e28bc0b6fb378c8ef146be00");
}
END_TEST

START_TEST(base64url_is_strict)
{
    /* RFC 4648, 10 in the URL alphabet */
    static const struct { const char *plain, *coded; } good[] = {
        { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
        { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xff\xef\xfe", "_-_-" },
    };
    static const char *const bad[] = { "Z", "Zg==", "Zm8=", "Zh", "Zm9", "Zm 9", "Zm9+", "Zm9/",
                                       "Zm9vY", "Zm9v\n", "Zm\xc3\xa9v" };
    const unsigned char *bytes;
    apr_size_t i, n;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        n = strlen(good[i].plain);
        ck_assert_str_eq(hb_base64url(hb_test_pool, (const unsigned char *)good[i].plain, n),
                         good[i].coded);
        bytes = hb_base64url_read(hb_test_pool, &n, good[i].coded);
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq(n, strlen(good[i].plain));
        ck_assert_mem_eq(bytes, good[i].plain, n);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(hb_base64url_read(hb_test_pool, &n, bad[i]) == NULL, "%s", bad[i]);
    }
}
END_TEST

START_TEST(draws_are_even)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    int seen[7] = { 0 }, i;
    apr_int64_t n;

    for (i = 0; i < 7000; i++) {
        ck_assert_int_eq(hb_random_between(&n, op, -3, 3), APR_SUCCESS);
        ck_assert(n >= -3 && n <= 3);
        seen[n + 3]++;
    }
    for (i = 0; i < 7; i++) {
        ck_assert_msg(seen[i] > 850 && seen[i] < 1150, "%d came %d times", i - 3, seen[i]);
    }
    ck_assert_int_eq(hb_random_between(&n, op, 5, 5), APR_SUCCESS);
    ck_assert_int_eq(n, 5);
    ck_assert_int_eq(hb_random_between(&n, op, APR_INT64_MIN, APR_INT64_MAX), APR_SUCCESS);
    ck_assert_int_eq(hb_random_between(&n, op, 2, 1), HB_E_INTERNAL);
}
END_TEST

static apr_status_t no_random(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    memset(out, 0, n);
    return APR_EGENERAL;
}

START_TEST(without_randomness_nothing_is_made)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const char *sealed;

    desk->site.random = no_random;
    ck_assert_ptr_null(hb_random_token(op, 32));
    ck_assert_int_eq(hb_seal(&sealed, op, "x", "y", 1), HB_E_INTERNAL);
    ck_assert_int_eq(op->problem.status, HB_E_INTERNAL);
}
END_TEST

START_TEST(tokens_differ)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    const char *a = hb_random_token(op, 32);

    ck_assert_uint_eq(strlen(a), 43);
    ck_assert_str_ne(a, hb_random_token(op, 32));
}
END_TEST

START_TEST(keyed_hashes_are_bound_to_their_purpose)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    const char *hash = hb_keyed_hash(op, "refresh", "token");

    ck_assert_uint_eq(strlen(hash), 64);
    ck_assert_str_eq(hash, hb_keyed_hash(op, "refresh", "token"));
    ck_assert_str_ne(hash, hb_keyed_hash(op, "refresh", "tokem"));
    ck_assert_str_ne(hash, hb_keyed_hash(op, "code", "token"));
    /* The border between the two counts. */
    ck_assert_str_ne(hb_keyed_hash(op, "ab", "c"), hb_keyed_hash(op, "a", "bc"));
}
END_TEST

START_TEST(what_is_sealed_opens_for_its_purpose_only)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const char *sealed, *again, *plain, *why;
    apr_size_t len, i;
    char *copy;

    ck_assert_int_eq(hb_seal(&sealed, op, "totp", "a secret", 8), APR_SUCCESS);
    ck_assert_int_eq(hb_seal(&again, op, "totp", "a secret", 8), APR_SUCCESS);
    ck_assert_str_ne(sealed, again);
    ck_assert_int_eq(hb_unseal(&plain, &len, op, "totp", sealed), APR_SUCCESS);
    ck_assert_uint_eq(len, 8);
    ck_assert_str_eq(plain, "a secret");
    ck_assert_int_eq(hb_unseal(&plain, &len, op, "phone", sealed), HB_E_TOKEN_INVALID);

    /* No character of it may change. */
    for (i = 0; i < strlen(sealed); i++) {
        copy = apr_pstrdup(hb_test_pool, sealed);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(hb_unseal(&plain, &len, op, "totp", copy), HB_E_TOKEN_INVALID);
        copy[i] = '\0';
        ck_assert_int_eq(hb_unseal(&plain, &len, op, "totp", copy), HB_E_TOKEN_INVALID);
    }
    ck_assert_int_eq(hb_seal(&sealed, op, "totp", "", 0), APR_SUCCESS);
    ck_assert_int_eq(hb_unseal(&plain, &len, op, "totp", sealed), APR_SUCCESS);
    ck_assert_uint_eq(len, 0);

    /* Nor does another ring open it. */
    ck_assert_int_eq(hb_keyring_from_secret(&desk->site.pepper_keys, &why,
        "another secret that is long enough to be taken as a key 0123456789abcdef",
        hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_unseal(&plain, &len, op, "totp", sealed), HB_E_TOKEN_INVALID);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

static void *APR_THREAD_FUNC digest_often(apr_thread_t *thread, void *baton)
{
    unsigned char out[32];
    int i;

    for (i = 0; i < 2000; i++) {
        if (hb_sha256(out, "abc", 3, NULL, 0) != APR_SUCCESS || out[0] != 0xba
            || hb_hmac_sha256(out, "k", 1, "t", 1) != APR_SUCCESS) {
            *(int *)baton = 1;
        }
    }
    (void)thread;
    return NULL;
}

START_TEST(threads_hash_side_by_side)
{
    apr_thread_t *threads[4];
    int wrong[4] = { 0 }, i;
    apr_status_t rv;

    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, digest_often, &wrong[i],
                                           hb_test_pool), APR_SUCCESS);
    }
    for (i = 0; i < 4; i++) {
        apr_thread_join(&rv, threads[i]);
        ck_assert_int_eq(wrong[i], 0);
    }
}
END_TEST

START_TEST(secrets_compare)
{
    ck_assert(hb_equal_secret("abc", "abc"));
    ck_assert(!hb_equal_secret("abc", "abd"));
    ck_assert(!hb_equal_secret("abc", "abcd"));
    ck_assert(!hb_equal_secret("", "a"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        digests_are_those_of_the_standards, base64url_is_strict, draws_are_even,
        without_randomness_nothing_is_made, tokens_differ,
        keyed_hashes_are_bound_to_their_purpose, what_is_sealed_opens_for_its_purpose_only,
        threads_hash_side_by_side, secrets_compare, NULL
    };
    return hb_test_main("hb_crypto", cases);
}
