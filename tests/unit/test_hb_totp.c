/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_totp.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_op.h"

/* RFC 6238, appendix B, SHA-1: the last six of its eight digits. */
#define RFC_SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
static const struct { apr_int64_t sec; const char *code; } rfc[] = {
    { 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" },
    { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000LL, "353130" },
};

START_TEST(codes_are_those_of_the_rfc)
{
    apr_size_t i;

    for (i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
        ck_assert_str_eq(hb_totp_code(hb_test_pool, RFC_SECRET, apr_time_from_sec(rfc[i].sec)),
                         rfc[i].code);
    }
    ck_assert_ptr_null(hb_totp_code(hb_test_pool, "not base32!", 0));
    ck_assert_ptr_null(hb_totp_code(hb_test_pool, "", 0));
}
END_TEST

START_TEST(one_step_of_leeway_each_way)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    apr_int64_t now_step = apr_time_sec(desk->now) / 30, step;
    int away;

    for (away = -3; away <= 3; away++) {
        hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
        const char *code = hb_totp_code(hb_test_pool, RFC_SECRET,
                                        desk->now + apr_time_from_sec(30 * away));
        apr_status_t rv = hb_totp_verify(&step, op, RFC_SECRET, code, 0);

        if (away >= -1 && away <= 1) {
            ck_assert_int_eq(rv, APR_SUCCESS);
            ck_assert_int_eq(step, now_step + away);
        }
        else {
            ck_assert_int_eq(rv, HB_E_TOTP_INVALID);
            ck_assert_int_eq(op->problem.status, HB_E_TOTP_INVALID);
        }
    }
}
END_TEST

START_TEST(a_code_works_once)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const char *code = hb_totp_code(hb_test_pool, RFC_SECRET, desk->now);
    apr_int64_t step, again;

    ck_assert_int_eq(hb_totp_verify(&step, op, RFC_SECRET, code, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_totp_verify(&again, op, RFC_SECRET, code, step), HB_E_TOTP_INVALID);
    /* Nor does the code of the step before, which leeway would still take. */
    code = hb_totp_code(hb_test_pool, RFC_SECRET, desk->now - apr_time_from_sec(30));
    ck_assert_int_eq(hb_totp_verify(&again, op, RFC_SECRET, code, step), HB_E_TOTP_INVALID);
}
END_TEST

START_TEST(only_six_digits_are_a_code)
{
    static const char *const wrong[] = { "", "1", "12345", "1234567", "abcdef", "12345 ",
                                         "999999999999999999999999999999999999" };
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    apr_int64_t step;
    apr_size_t i;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_eq(hb_totp_verify(&step, op, RFC_SECRET, wrong[i], 0),
                         HB_E_TOTP_INVALID);
    }
    ck_assert_int_eq(hb_totp_verify(&step, op, "?", "123456", 0), HB_E_STORE_DAMAGED);
}
END_TEST

START_TEST(a_new_secret_works_and_its_address_names_it)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const char *secret, *other, *uri;
    apr_int64_t step;

    desk->settings.auth_issuer = "Halo Buzz";
    ck_assert_int_eq(hb_totp_make(&other, &uri, op, "x"), APR_SUCCESS);
    ck_assert_int_eq(hb_totp_make(&secret, &uri, op, "a&b@example.com"), APR_SUCCESS);
    ck_assert_str_ne(secret, other);
    ck_assert_uint_eq(strlen(secret), 32);
    ck_assert_str_eq(uri, apr_pstrcat(hb_test_pool,
        "otpauth://totp/Halo%20Buzz:a%26b%40example.com?secret=", secret,
        "&issuer=Halo%20Buzz&algorithm=SHA1&digits=6&period=30", NULL));
    ck_assert_int_eq(hb_totp_verify(&step, op, secret,
                                    hb_totp_code(hb_test_pool, secret, desk->now), 0),
                     APR_SUCCESS);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        codes_are_those_of_the_rfc, one_step_of_leeway_each_way, a_code_works_once,
        only_six_digits_are_a_code, a_new_secret_works_and_its_address_names_it, NULL
    };
    return hb_test_main("hb_totp", cases);
}
