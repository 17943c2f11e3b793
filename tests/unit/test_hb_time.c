/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_time.h"

#include <string.h>

#include "hb_test.h"

#define SEC(n) (APR_INT64_C(n) * APR_USEC_PER_SEC)

/* Text, the time it means, and how we write that; NULL when it is refused. */
static const struct { const char *in; apr_time_t when; const char *out; } times[] = {
    { "1970-01-01T00:00:00Z",          SEC(0),           "1970-01-01T00:00:00.000Z" },
    { "2026-07-01T09:30:00.123456Z",   SEC(1782898200) + 123456, "2026-07-01T09:30:00.123Z" },
    { "2026-07-01T09:30:00.1234569z",  SEC(1782898200) + 123456, "2026-07-01T09:30:00.123Z" },
    { "2026-07-01t19:30:00+10:00",     SEC(1782898200),  "2026-07-01T09:30:00.000Z" },
    { "2026-07-01T03:45:00-05:45",     SEC(1782898200),  "2026-07-01T09:30:00.000Z" },
    { "2024-02-29T23:59:59.9Z",        SEC(1709251199) + 900000, "2024-02-29T23:59:59.900Z" },
    { "2016-12-31T23:59:60Z",          SEC(1483228799),  "2016-12-31T23:59:59.000Z" },
    { "1969-12-31T23:59:59.5Z",        -500000,          "1969-12-31T23:59:59.500Z" },
    { "1900-03-01T00:00:00Z",          SEC(-2203891200), "1900-03-01T00:00:00.000Z" },
    { "9999-12-31T23:59:59.999Z",      SEC(253402300799) + 999000, "9999-12-31T23:59:59.999Z" },
    { "0000-01-01T00:00:00Z",          SEC(-62167219200), "0000-01-01T00:00:00.000Z" },
    { "2023-02-29T00:00:00Z", 0, NULL },
    { "1900-02-29T00:00:00Z", 0, NULL },
    { "2026-13-01T00:00:00Z", 0, NULL },
    { "2026-00-01T00:00:00Z", 0, NULL },
    { "2026-01-32T00:00:00Z", 0, NULL },
    { "2026-01-01T24:00:00Z", 0, NULL },
    { "2026-01-01T00:60:00Z", 0, NULL },
    { "2026-01-01T00:00:61Z", 0, NULL },
    { "2026-01-01T00:00:00", 0, NULL },
    { "2026-01-01T00:00:00.Z", 0, NULL },
    { "2026-01-01T00:00:00+10", 0, NULL },
    { "2026-01-01T00:00:00+24:00", 0, NULL },
    { "2026-01-01T00:00:00Zx", 0, NULL },
    { "2026-1-1T00:00:00Z", 0, NULL },
    { "2026-01-01", 0, NULL },
    { "+026-01-01T00:00:00Z", 0, NULL },
    { "now", 0, NULL },
    { "", 0, NULL },
};

START_TEST(times_are_read_and_written)
{
    apr_time_t when;
    size_t i;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        when = 0;
        ck_assert_msg(hb_time_read(&when, times[i].in) == (times[i].out != NULL), "%s",
                      times[i].in);
        if (times[i].out != NULL) {
            ck_assert_msg(when == times[i].when, "%s: %lld", times[i].in, (long long)when);
            ck_assert_str_eq(hb_time_text(hb_test_pool, when), times[i].out);
        }
    }
}
END_TEST

START_TEST(every_day_of_four_centuries_agrees_with_apr)
{
    apr_time_exp_t parts;
    apr_time_t when, back;
    char want[HB_TIME_BYTES];
    apr_size_t n;
    int day;

    for (day = -73000; day < 73000; day++) {
        when = (apr_time_t)day * 86400 * APR_USEC_PER_SEC + SEC(43200);
        apr_time_exp_gmt(&parts, when);
        apr_strftime(want, &n, sizeof(want), "%Y-%m-%dT%H:%M:%S.000Z", &parts);
        ck_assert_str_eq(hb_time_text(hb_test_pool, when), want);
        ck_assert(hb_time_read(&back, want) && back == when);
        if (day % 1000 == 0) {
            apr_pool_clear(hb_test_pool);
        }
    }
}
END_TEST

START_TEST(times_beyond_the_calendar_are_clamped)
{
    ck_assert_str_eq(hb_time_text(hb_test_pool, APR_INT64_MAX), "9999-12-31T23:59:59.999Z");
    ck_assert_str_eq(hb_time_text(hb_test_pool, APR_INT64_MIN), "0000-01-01T00:00:00.000Z");
    ck_assert(hb_time_from_msec(APR_INT64_MAX) == APR_INT64_MAX);
    ck_assert(hb_time_to_msec(-1) == -1);
    ck_assert(hb_time_to_msec(1999) == 1);
    ck_assert(hb_time_from_msec(-3) == -3000);
}
END_TEST

START_TEST(dates_are_days_that_exist)
{
    ck_assert(hb_date_is_valid("2000-02-29"));
    ck_assert(!hb_date_is_valid("2100-02-29"));
    ck_assert(!hb_date_is_valid("2001-04-31"));
    ck_assert(!hb_date_is_valid("2001-4-3"));
    ck_assert(!hb_date_is_valid("2001-04-03 "));
    ck_assert(!hb_date_is_valid(""));
}
END_TEST

START_TEST(zones_are_looked_up_safely)
{
    static const char *const good[] = {
        "UTC", "Australia/Sydney", "Asia/Kathmandu", "America/Argentina/Buenos_Aires",
        "America/Port-au-Prince", NULL
    };
    static const char *const bad[] = {
        "", "/", "../../etc/passwd", "Australia/../UTC", "Australia/", "/UTC", "Australia",
        "Nowhere/Town", "tzdata.zi", "posix/UTC", "posixrules", "right/UTC", "UTC\n", "a//b",
        "A/very/long/name/that/no/zone/has/because/it/goes/on/and/on/for/ever/and/ever", NULL
    };
    int i;

    for (i = 0; good[i] != NULL; i++) {
        ck_assert_msg(hb_zone_is_valid(good[i]), "%s", good[i]);
    }
    for (i = 0; bad[i] != NULL; i++) {
        ck_assert_msg(!hb_zone_is_valid(bad[i]), "%s", bad[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        times_are_read_and_written, every_day_of_four_centuries_agrees_with_apr,
        times_beyond_the_calendar_are_clamped, dates_are_days_that_exist,
        zones_are_looked_up_safely, NULL
    };
    return hb_test_main("hb_time", cases);
}
