/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_eio.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

/* The packets of a payload, joined by '|'. */
static const char *split(const char *payload, apr_size_t len)
{
    rt_bytes_t rest = { payload, len }, packet;
    const char *all = "";

    while (rt_eio_next(&packet, &rest)) {
        all = apr_pstrcat(hb_test_pool, all,
                          apr_pstrmemdup(hb_test_pool, packet.at, packet.len), "|", NULL);
    }
    return all;
}

START_TEST(payloads_come_apart)
{
    ck_assert_str_eq(split("4hello\x1e" "2\x1e" "bAQIDBA==", 18), "4hello|2|bAQIDBA==|");
    ck_assert_str_eq(split("2", 1), "2|");
    ck_assert_str_eq(split("", 0), "|");
    ck_assert_str_eq(split("2\x1e", 2), "2||");
    ck_assert_str_eq(split("\x1e" "2", 2), "|2|");
}
END_TEST

START_TEST(base64_goes_and_comes)
{
    static const struct { const char *bytes, *text; } rows[] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" }, { "\xfb\xef", "++8=" },
    };
    char out[32];
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_size_t len = strlen(rows[i].bytes), n = rt_base64_write(out, rows[i].bytes, len);

        ck_assert_uint_eq(n, RT_BASE64_BYTES(len));
        ck_assert_uint_eq(n, strlen(rows[i].text));
        ck_assert_int_eq(memcmp(out, rows[i].text, n), 0);
        /* In place, and without padding, too. */
        ck_assert_int_eq(rt_base64_read(out, out, n), (apr_ssize_t)len);
        ck_assert_int_eq(memcmp(out, rows[i].bytes, len), 0);
        n = strcspn(rows[i].text, "=");
        ck_assert_int_eq(rt_base64_read(out, rows[i].text, n), (apr_ssize_t)len);
    }
}
END_TEST

START_TEST(what_is_not_base64_is_told)
{
    static const char *const rows[] = { "A", "Zg=", "Z===", "Zm9v=", "Zm 9v", "Zm-_", "=", "====" };
    char out[16];
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rt_base64_read(out, rows[i], strlen(rows[i])) < 0, "%s", rows[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        payloads_come_apart, base64_goes_and_comes, what_is_not_base64_is_told, NULL
    };
    return hb_test_main("rt_eio", cases);
}
