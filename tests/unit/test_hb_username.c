/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_username.h"

#include <string.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_site.h"

START_TEST(look_alikes_have_one_skeleton)
{
    static const struct { const char *label, *a, *b; int is_same; } rows[] = {
        { "case", "Maya", "mAYA", 1 },
        { "dots and underscores", "maya.k", "may_ak", 1 },
        { "zero and o", "c0ffee", "coffee", 1 },
        { "one and l", "1una", "luna", 1 },
        { "i and l", "paypai", "paypal", 1 },
        { "capital i and l", "paypaI", "paypal", 1 },
        { "rn and m", "rnaya", "maya", 1 },
        { "rn over a separator", "r_naya", "maya", 1 },
        { "vv and w", "vvolf", "wolf", 1 },
        { "three of them", "vvvx", "wvx", 1 },
        { "different letters", "maya", "mayo", 0 },
        { "different digits", "maya2", "maya3", 0 },
        { "order", "abc", "acb", 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *a = hb_username_skeleton(hb_test_pool, rows[i].a);
        const char *b = hb_username_skeleton(hb_test_pool, rows[i].b);

        ck_assert_msg((strcmp(a, b) == 0) == rows[i].is_same, "%s: %s %s", rows[i].label, a, b);
    }
}
END_TEST

START_TEST(keys_are_lower_case_without_at)
{
    ck_assert_str_eq(hb_username_key(hb_test_pool, "@Maya.K"), "maya.k");
    ck_assert_str_eq(hb_username_key(hb_test_pool, "MAYA@Example.com"), "maya@example.com");
    ck_assert_str_eq(hb_username_key(hb_test_pool, "@"), "");
}
END_TEST

START_TEST(who_may_be_called_what)
{
    static const struct { const char *label, *name; apr_status_t rv; } rows[] = {
        { "plain", "testuser", APR_SUCCESS },
        { "single separators", "a.b_c", APR_SUCCESS },
        { "holds a reserved word", "administer", APR_SUCCESS },
        { "reserved", "admin", HB_E_USERNAME_TAKEN },
        { "reserved in another case", "AdMin", HB_E_USERNAME_TAKEN },
        { "reserved with separators", "ad_min", HB_E_USERNAME_TAKEN },
        { "reserved with look-alikes", "adrn1n", HB_E_USERNAME_TAKEN },
        { "the house in front", "halobuzz_help", HB_E_USERNAME_TAKEN },
        { "the house behind", "team.Hal0buzz", HB_E_USERNAME_TAKEN },
        { "an address of ours", "search", HB_E_USERNAME_TAKEN },
        { "starts with a dot", ".maya", HB_E_INPUT_INVALID },
        { "ends with an underscore", "maya_", HB_E_INPUT_INVALID },
        { "two in a row", "ma._ya", HB_E_INPUT_INVALID },
        { "looks like an id", "65a1b2c3d4e5f60718293a4b", HB_E_INPUT_INVALID },
    };
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_op_t *op = hb_test_site_op(ts);
        apr_status_t rv = hb_username_check(op, rows[i].name);

        ck_assert_msg(rv == rows[i].rv, "%s: %d", rows[i].label, rv);
        ck_assert_int_eq(op->problem.status, rv);
    }
}
END_TEST

START_TEST(a_file_reserves_more)
{
    static const char text[] = "# people we know\n\nmessi  # the player\r\nronaldo\n";
    const char *path = "reserved-names.txt";
    hb_test_site_t *ts;
    apr_file_t *file;
    const char *dir;

    ck_assert_int_eq(apr_temp_dir_get(&dir, hb_test_pool), APR_SUCCESS);
    path = apr_psprintf(hb_test_pool, "%s/hb-reserved-%d", dir, (int)getpid());
    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE
                                   | APR_FOPEN_TRUNCATE, APR_FPROT_OS_DEFAULT,
                                   hb_test_pool), APR_SUCCESS);
    apr_file_write_full(file, text, strlen(text), NULL);
    apr_file_close(file);
    ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzReservedNames ", path, "\n",
                                            NULL), hb_test_pool);
    ck_assert_int_eq(hb_username_check(hb_test_site_op(ts), "Mess1"), HB_E_USERNAME_TAKEN);
    ck_assert_int_eq(hb_username_check(hb_test_site_op(ts), "ronaldo"), HB_E_USERNAME_TAKEN);
    ck_assert_int_eq(hb_username_check(hb_test_site_op(ts), "pele"), APR_SUCCESS);
    ck_assert(!hb_test_site_logged(ts, "HB00401"));
    apr_file_remove(path, hb_test_pool);
    /* Without the file the built-in names still hold, and somebody is told. */
    ck_assert_int_eq(hb_username_check(hb_test_site_op(ts), "ronaldo"), APR_SUCCESS);
    ck_assert_int_eq(hb_username_check(hb_test_site_op(ts), "admin"), HB_E_USERNAME_TAKEN);
    ck_assert(hb_test_site_logged(ts, "HB00401"));
}
END_TEST

int main(void)
{
    const TTest *cases[] = {
        look_alikes_have_one_skeleton, keys_are_lower_case_without_at, who_may_be_called_what,
        a_file_reserves_more, NULL
    };

    return hb_test_main("hb_username", cases);
}
