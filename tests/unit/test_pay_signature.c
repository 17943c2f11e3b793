/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_data.h"
#include "pay_private.h"

static const char *payload_of(const hb_json_t *all, const hb_json_t *row)
{
    const char *literal = hb_json_string(row, "payload_literal");

    return literal != NULL ? literal
        : hb_json_string(hb_json_get(all, "payloads"), hb_json_string(row, "payload"));
}

START_TEST(headers_are_those_of_stripes_library)
{
    const hb_json_t *all = hb_json_get(hb_test_vectors(), "stripe_signature");
    const hb_json_t *rows = hb_json_get(all, "sign");
    int i;

    ck_assert_int_eq(hb_json_length(rows), 3);
    for (i = 0; i < hb_json_length(rows); i++) {
        const hb_json_t *row = hb_json_item(rows, i);
        const char *body = payload_of(all, row);

        ck_assert_str_eq(pay_signature_make(hb_json_string(row, "secret"),
                                            apr_time_from_sec(hb_json_int(row, "t", 0)), body,
                                            strlen(body), hb_test_pool),
                         hb_json_string(row, "header"));
    }
}
END_TEST

/* The one case in which we refuse what the library takes: a time from the future. */
START_TEST(verdicts_are_those_of_stripes_library)
{
    const hb_json_t *all = hb_json_get(hb_test_vectors(), "stripe_signature");
    const hb_json_t *rows = hb_json_get(all, "verify");
    int i, n_stricter = 0;

    ck_assert_int_eq(hb_json_length(rows), 16);
    for (i = 0; i < hb_json_length(rows); i++) {
        const hb_json_t *row = hb_json_item(rows, i);
        const char *secrets[] = { hb_json_string(row, "secret"), NULL };
        const char *body = payload_of(all, row), *name = hb_json_string(row, "name");
        int is_wanted = strcmp(hb_json_string(row, "expect"), "accept") == 0;
        const char *why;

        if (strcmp(name, "future_timestamp_1h_library_accepts") == 0) {
            is_wanted = 0;
            n_stricter++;
        }
        why = pay_signature_check(hb_json_string(row, "header"), body, strlen(body), secrets,
                                  apr_time_from_sec(hb_json_int(row, "now", 0)));
        ck_assert_msg((why == NULL) == is_wanted, "%s: %s", name, why != NULL ? why : "taken");
    }
    ck_assert_int_eq(n_stricter, 1);
}
END_TEST

START_TEST(several_secrets_are_all_taken_and_the_others_not)
{
    static const char body[] = "{\"id\":\"evt_1\"}";
    const char *both[] = { "whsec_new", "whsec_old", NULL }, *none[] = { NULL };
    apr_time_t now = apr_time_from_sec(1700000000);
    apr_pool_t *p = hb_test_pool;

    ck_assert_ptr_null(pay_signature_check(pay_signature_make("whsec_new", now, body, 14, p), body,
                                           14, both, now));
    ck_assert_ptr_null(pay_signature_check(pay_signature_make("whsec_old", now, body, 14, p), body,
                                           14, both, now));
    ck_assert_ptr_nonnull(pay_signature_check(pay_signature_make("whsec_other", now, body, 14, p),
                                              body, 14, both, now));
    ck_assert_ptr_nonnull(pay_signature_check(pay_signature_make("whsec_new", now, body, 14, p),
                                              body, 14, none, now));
    ck_assert_ptr_nonnull(pay_signature_check(NULL, body, 14, both, now));
}
END_TEST

START_TEST(a_message_lives_five_minutes_in_both_directions)
{
    const char *secrets[] = { "whsec_x", NULL };
    apr_time_t then = apr_time_from_sec(1700000000);
    const char *header = pay_signature_make("whsec_x", then, "b", 1, hb_test_pool);
    static const struct {
        int seconds, is_taken;
    } rows[] = { { 0, 1 }, { 300, 1 }, { 301, 0 }, { -300, 1 }, { -301, 0 }, { 86400, 0 } };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = pay_signature_check(header, "b", 1, secrets,
                                              then + apr_time_from_sec(rows[i].seconds));

        ck_assert_msg((why == NULL) == rows[i].is_taken, "%d s", rows[i].seconds);
    }
}
END_TEST

START_TEST(odd_headers_are_refused)
{
    const char *secrets[] = { "whsec_x", NULL };
    apr_time_t now = apr_time_from_sec(1700000000);
    const char *good = pay_signature_make("whsec_x", now, "b", 1, hb_test_pool);
    const char *v1 = strchr(good, ',');
    const char *odd[] = {
        apr_pstrcat(hb_test_pool, "t=1700000000,t=1700000000", v1, NULL),
        apr_pstrcat(hb_test_pool, "t=", v1, NULL),
        apr_pstrcat(hb_test_pool, "t=17000000000000000000000", v1, NULL),
        apr_pstrcat(hb_test_pool, "t=0x6553f100", v1, NULL),
        apr_pstrcat(hb_test_pool, "t=-1700000000", v1, NULL),
        apr_pstrcat(hb_test_pool, good, "0", NULL),
        apr_pstrmemdup(hb_test_pool, good, strlen(good) - 1),
        ",,,,", "t=1700000000", "v1=", "t=1700000000,v1=", "=", "t", "v1",
    };
    char *many = apr_pstrdup(hb_test_pool, "t=1700000000");
    apr_size_t i;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        ck_assert_msg(pay_signature_check(odd[i], "b", 1, secrets, now) != NULL, "%s", odd[i]);
    }
    /* The right one counts behind fifteen wrong ones; more than that nobody sends. */
    for (i = 0; i < 15; i++) {
        many = apr_pstrcat(hb_test_pool, many, ",v1=", "0123456789abcdef0123456789abcdef"
                           "0123456789abcdef0123456789abcdef", NULL);
    }
    ck_assert_ptr_null(pay_signature_check(apr_pstrcat(hb_test_pool, many, v1, NULL), "b", 1,
                                           secrets, now));
    ck_assert_ptr_nonnull(pay_signature_check(apr_pstrcat(hb_test_pool, many, v1, v1, NULL), "b",
                                              1, secrets, now));
}
END_TEST

START_TEST(rupees_are_read_and_written_exactly)
{
    static const struct {
        const char *text;
        apr_int64_t minor;      /* -1: refused */
    } rows[] = {
        { "0", 0 }, { "1", 100 }, { "10.0", 1000 }, { "499.5", 49950 }, { "499.55", 49955 },
        { "1000.00", 100000 }, { "0.01", 1 }, { "10.500", 1050 }, { "9999999999999", 999999999999900 },
        { "", -1 }, { ".5", -1 }, { "5.", -1 }, { "1.005", -1 }, { "1.0E7", -1 }, { "-1", -1 },
        { "+1", -1 }, { " 1", -1 }, { "1 ", -1 }, { "1,000", -1 }, { "1.2.3", -1 }, { "0x10", -1 },
        { "99999999999999999999", -1 }, { "NaN", -1 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_int64_t minor = -1;
        int ok = pay_major_read(&minor, rows[i].text);

        ck_assert_msg(ok == (rows[i].minor >= 0) && minor == rows[i].minor, "%s: %lld",
                      rows[i].text, (long long)minor);
    }
    ck_assert_str_eq(pay_major_text(hb_test_pool, 1000), "10");
    ck_assert_str_eq(pay_major_text(hb_test_pool, 49950), "499.5");
    ck_assert_str_eq(pay_major_text(hb_test_pool, 1), "0.01");
}
END_TEST

START_TEST(query_values_are_decoded_or_refused)
{
    apr_pool_t *p = hb_test_pool;

    ck_assert_str_eq(pay_query_value("a=1&data=x%2By%3D+z", "data", p), "x+y= z");
    ck_assert_str_eq(pay_query_value("xdata=1&data=2&data=3", "data", p), "2");
    ck_assert_str_eq(pay_query_value("data=", "data", p), "");
    ck_assert_ptr_null(pay_query_value("", "data", p));
    ck_assert_ptr_null(pay_query_value("data", "data", p));
    ck_assert_ptr_null(pay_query_value("data=%zz", "data", p));
    ck_assert_ptr_null(pay_query_value("data=%00", "data", p));
    ck_assert_ptr_null(pay_query_value("data=%ff", "data", p));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        headers_are_those_of_stripes_library, verdicts_are_those_of_stripes_library,
        several_secrets_are_all_taken_and_the_others_not,
        a_message_lives_five_minutes_in_both_directions, odd_headers_are_refused,
        rupees_are_read_and_written_exactly, query_values_are_decoded_or_refused, NULL
    };

    return hb_test_main("pay_signature", cases);
}
