/* SPDX-License-Identifier: Apache-2.0 */
/* Local times, against the C library's and on the days on which clocks are changed. */
#include "hb_zone.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_test.h"
#include "hb_time.h"
#include "hb_zone_private.h"

static const hb_zone_t *zone_of(const char *name)
{
    const hb_zone_t *zone;

    ck_assert_msg(hb_zone_load(&zone, name, hb_test_pool) == APR_SUCCESS, "%s", name);
    return zone;
}

static apr_time_t at(const char *text)
{
    apr_time_t when;

    ck_assert_msg(hb_time_read(&when, text), "%s", text);
    return when;
}

START_TEST(moments_agree_with_the_c_library)
{
    static const char *const names[] = {
        "Australia/Sydney", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe",
        "Europe/Dublin", "Africa/Casablanca", "Pacific/Apia", "UTC", NULL
    };
    apr_uint64_t seed = 88172645463325252u;
    int i, k;

    for (i = 0; names[i] != NULL; i++) {
        const hb_zone_t *zone = zone_of(names[i]);

        setenv("TZ", names[i], 1);
        tzset();
        for (k = 0; k < 3000; k++) {
            hb_local_t local;
            struct tm tm;
            time_t sec;
            apr_time_t first, second;

            seed = seed * APR_UINT64_C(6364136223846793005) + 1442695040888963407u;
            /* 1950 to 2400, most of them where the table ends and the rule begins. */
            sec = k % 2 == 0 ? (time_t)((seed >> 20) % 14200000000u) - 631152000
                : 1735689600 + (time_t)((seed >> 20) % 900000000u);
            localtime_r(&sec, &tm);
            hb_zone_local(&local, zone, apr_time_from_sec(sec));
            ck_assert_msg(local.year == tm.tm_year + 1900 && local.month == tm.tm_mon + 1
                          && local.day == tm.tm_mday && local.hour == tm.tm_hour
                          && local.minute == tm.tm_min && local.second == tm.tm_sec
                          && local.weekday == tm.tm_wday && local.offset_sec == tm.tm_gmtoff,
                          "%s at %lld", names[i], (long long)sec);
            hb_zone_moment(&first, &second, zone, &local);
            ck_assert_msg(first == apr_time_from_sec(sec) || second == apr_time_from_sec(sec),
                          "%s at %lld and back", names[i], (long long)sec);
        }
    }
}
END_TEST

/* Both ways on the days on which clocks change: local time, how often, first and second moment. */
static const struct {
    const char *zone;
    hb_local_t local;
    hb_zone_moment_e how;
    const char *first, *second;
} changes[] = {
    { "Australia/Sydney", { 2026, 4, 5, 1, 59, 59, 0, 0 }, HB_ZONE_ONCE,
      "2026-04-04T14:59:59Z", NULL },
    { "Australia/Sydney", { 2026, 4, 5, 2, 0, 0, 0, 0 }, HB_ZONE_TWICE,
      "2026-04-04T15:00:00Z", "2026-04-04T16:00:00Z" },
    { "Australia/Sydney", { 2026, 4, 5, 2, 59, 59, 0, 0 }, HB_ZONE_TWICE,
      "2026-04-04T15:59:59Z", "2026-04-04T16:59:59Z" },
    { "Australia/Sydney", { 2026, 4, 5, 3, 0, 0, 0, 0 }, HB_ZONE_ONCE,
      "2026-04-04T17:00:00Z", NULL },
    { "Australia/Sydney", { 2026, 10, 4, 1, 59, 59, 0, 0 }, HB_ZONE_ONCE,
      "2026-10-03T15:59:59Z", NULL },
    { "Australia/Sydney", { 2026, 10, 4, 2, 0, 0, 0, 0 }, HB_ZONE_NEVER,
      "2026-10-03T16:00:00Z", NULL },
    { "Australia/Sydney", { 2026, 10, 4, 2, 30, 0, 0, 0 }, HB_ZONE_NEVER,
      "2026-10-03T16:00:00Z", NULL },
    { "Australia/Sydney", { 2026, 10, 4, 3, 0, 0, 0, 0 }, HB_ZONE_ONCE,
      "2026-10-03T16:00:00Z", NULL },
    { "Australia/Sydney", { 2027, 4, 4, 2, 0, 0, 0, 0 }, HB_ZONE_TWICE,
      "2027-04-03T15:00:00Z", "2027-04-03T16:00:00Z" },
    { "Australia/Sydney", { 2027, 10, 3, 2, 0, 0, 0, 0 }, HB_ZONE_NEVER,
      "2027-10-02T16:00:00Z", NULL },
    { "Australia/Sydney", { 2140, 10, 2, 2, 0, 0, 0, 0 }, HB_ZONE_NEVER,
      "2140-10-01T16:00:00Z", NULL },
    { "Australia/Lord_Howe", { 2026, 4, 5, 1, 45, 0, 0, 0 }, HB_ZONE_TWICE,
      "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z" },
    { "Asia/Kathmandu", { 2026, 4, 5, 0, 0, 0, 0, 0 }, HB_ZONE_ONCE,
      "2026-04-04T18:15:00Z", NULL },
    /* This date was left out. */
    { "Pacific/Apia", { 2011, 12, 30, 12, 0, 0, 0, 0 }, HB_ZONE_NEVER,
      "2011-12-30T10:00:00Z", NULL },
};

START_TEST(days_of_change_have_all_their_moments)
{
    size_t i;

    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const hb_zone_t *zone = zone_of(changes[i].zone);
        apr_time_t first, second;
        hb_zone_moment_e how = hb_zone_moment(&first, &second, zone, &changes[i].local);

        ck_assert_msg(how == changes[i].how, "row %d", (int)i);
        ck_assert_msg(first == at(changes[i].first), "row %d: %s", (int)i,
                      hb_time_text(hb_test_pool, first));
        ck_assert_msg(second == (changes[i].second != NULL ? at(changes[i].second) : first),
                      "row %d: %s", (int)i, hb_time_text(hb_test_pool, second));
    }
}
END_TEST

START_TEST(days_begin_where_their_zone_says)
{
    char date[HB_DATE_BYTES];
    apr_time_t when;

    ck_assert(hb_zone_day_begins(&when, zone_of("Australia/Sydney"), "2026-10-05"));
    ck_assert_str_eq(hb_time_text(hb_test_pool, when), "2026-10-04T13:00:00.000Z");
    ck_assert_str_eq(hb_zone_date(date, zone_of("Australia/Sydney"), when), "2026-10-05");
    ck_assert_str_eq(hb_zone_date(date, zone_of("Australia/Sydney"), when - 1), "2026-10-04");
    ck_assert_str_eq(hb_zone_date(date, zone_of("Asia/Kathmandu"), when), "2026-10-04");
    ck_assert(hb_zone_day_begins(&when, zone_of("UTC"), "1969-12-31"));
    ck_assert(when == apr_time_from_sec(-86400));
    /* Midnight itself was left out here. */
    ck_assert(hb_zone_day_begins(&when, zone_of("America/Havana"), "2026-03-08"));
    ck_assert_str_eq(hb_zone_text(hb_test_pool, zone_of("America/Havana"), when),
                     "2026-03-08T01:00:00-04:00");
    ck_assert(!hb_zone_day_begins(&when, zone_of("UTC"), "2026-02-29"));
    ck_assert_str_eq(hb_zone_text(hb_test_pool, zone_of("Asia/Kathmandu"),
                                  at("2026-07-01T09:30:00Z")), "2026-07-01T15:15:00+05:45");
}
END_TEST

START_TEST(what_is_no_zone_is_refused)
{
    static const char *const bad[] = {
        "", "Nowhere/Town", "../../etc/passwd", "Australia", "tzdata.zi", NULL
    };
    const hb_zone_t *zone;
    int i;

    for (i = 0; bad[i] != NULL; i++) {
        ck_assert_msg(hb_zone_load(&zone, bad[i], hb_test_pool) == HB_E_CONFIG, "%s", bad[i]);
    }
}
END_TEST

START_TEST(rules_are_read_as_posix_has_them)
{
    static const struct { const char *text; int is_good; const char *when; int offset; } rules[] = {
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", 1, "2099-12-31T23:00:00Z", 39600 },
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", 1, "2099-07-01T00:00:00Z", 36000 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1",   1, "2099-12-25T00:00:00Z", 0 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1",   1, "2099-07-01T00:00:00Z", 3600 },
        { "<+0545>-5:45",                 1, "2099-07-01T00:00:00Z", 20700 },
        { "ABC3DEF,J60,300",              1, "2096-03-01T04:59:59Z", -10800 },
        { "ABC3DEF,J60,300",              1, "2096-03-01T05:00:00Z", -7200 },
        { "ABC3DEF,J60,300",              1, "2095-03-01T05:00:00Z", -7200 },
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1, "2099-07-01T00:00:00Z", -3600 },
        { "AEST", 0, NULL, 0 }, { "A-10", 0, NULL, 0 }, { "AEST-10AEDT", 0, NULL, 0 },
        { "AEST-10AEDT,M13.1.0,M4.1.0", 0, NULL, 0 }, { "AEST-10AEDT,M10.0.0,M4.1.0", 0, NULL, 0 },
        { "AEST-10AEDT,M10.1.0", 0, NULL, 0 }, { "AEST-10AEDT,J0,J5", 0, NULL, 0 },
        { "AEST-10AEDT,M10.1.0,M4.1.0/3x", 0, NULL, 0 }, { "<+05-5", 0, NULL, 0 },
        { "AEST-999", 0, NULL, 0 }, { "", 0, NULL, 0 },
    };
    hb_zone_rule_t rule;
    size_t i;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        ck_assert_msg(hb_zone_rule_read(&rule, rules[i].text) == rules[i].is_good, "%s",
                      rules[i].text);
        if (rules[i].is_good) {
            int offset = hb_zone_rule_offset(&rule, apr_time_sec(at(rules[i].when)));

            ck_assert_msg(offset == rules[i].offset, "%s: %d", rules[i].text, offset);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        moments_agree_with_the_c_library, days_of_change_have_all_their_moments,
        days_begin_where_their_zone_says, what_is_no_zone_is_refused,
        rules_are_read_as_posix_has_them, NULL
    };
    return hb_test_main("hb_zone", cases);
}
