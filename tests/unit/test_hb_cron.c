/* SPDX-License-Identifier: Apache-2.0 */
/* Cron expressions, and both days of change of Sydney. */
#include "hb_cron.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_time.h"

static apr_time_t at(const char *text)
{
    apr_time_t when;

    ck_assert_msg(hb_time_read(&when, text), "%s", text);
    return when;
}

static const hb_zone_t *zone_of(const char *name)
{
    const hb_zone_t *zone;

    ck_assert(hb_zone_load(&zone, name, hb_test_pool) == APR_SUCCESS);
    return zone;
}

static hb_cron_t cron_of(const char *text)
{
    hb_cron_t cron;
    const char *why = hb_cron_read(&cron, text, hb_test_pool);

    ck_assert_msg(why == NULL, "%s", why);
    return cron;
}

START_TEST(expressions_are_read_or_refused_with_a_reason)
{
    static const char *const good[] = {
        "* * * * *", "0 0 * * *", "*/5 * * * *", "0,30 1-5/2 1 jan-MAR mon,5", "59 23 31 12 7",
        " 0\t0  * * * ", "5/10 * * * *", "0 0 29 2 *", "0 0 * * sun-sat", NULL
    };
    static const struct { const char *text, *part; } bad[] = {
        { "", "fewer" }, { "* * * *", "fewer" }, { "* * * * * *", "more" },
        { "60 * * * *", "minute" }, { "* 24 * * *", "hour" }, { "* * 0 * *", "day of the month" },
        { "* * 32 * *", "day of the month" }, { "* * * 13 *", "month" }, { "* * * 0 *", "month" },
        { "* * * * 8", "day of the week" }, { "*/0 * * * *", "minute" }, { "5-1 * * * *", "minute" },
        { "1, * * * *", "minute" }, { ",1 * * * *", "minute" }, { "1- * * * *", "minute" },
        { "a * * * *", "minute" }, { "* mon * * *", "hour" }, { "-1 * * * *", "minute" },
        { "*/x * * * *", "minute" }, { "1-2-3 * * * *", "minute" }, { "99999999999 * * * *", "minute" },
        { "@daily", "fewer" }, { "0 0 L * *", "day of the month" }, { "*5 * * * *", "minute" },
    };
    hb_cron_t cron;
    size_t i;

    for (i = 0; good[i] != NULL; i++) {
        ck_assert_msg(hb_cron_read(&cron, good[i], hb_test_pool) == NULL, "%s", good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = hb_cron_read(&cron, bad[i].text, hb_test_pool);

        ck_assert_msg(why != NULL && strstr(why, bad[i].part) != NULL
                      && strstr(why, "*/5") != NULL, "%s: %s", bad[i].text,
                      why != NULL ? why : "taken");
    }
    ck_assert(cron_of("0 0 * * *").is_daily && !cron_of("0 0,1 * * *").is_daily);
    ck_assert(!cron_of("0 * * * *").by_wall && cron_of("0 2-4 * * *").by_wall);
    ck_assert(cron_of("* * * * 7").weekdays == 1 && cron_of("* * * * *").weekdays == 0x7f);
}
END_TEST

/* Expression, zone, from, and what comes next: moments and their marks. */
static const struct {
    const char *cron, *zone, *after;
    const char *next[4][2];
} rows[] = {
    { "0 0 * * *", "Australia/Sydney", "2026-07-01T00:00:00Z",
      { { "2026-07-01T14:00:00.000Z", "2026-07-02" }, { "2026-07-02T14:00:00.000Z", "2026-07-03" } } },
    /* At the moment itself it is over. */
    { "0 0 * * *", "UTC", "2026-07-01T00:00:00Z", { { "2026-07-02T00:00:00.000Z", "2026-07-02" } } },
    { "15 3 29 2 *", "UTC", "2026-07-01T00:00:00Z",
      { { "2028-02-29T03:15:00.000Z", "2028-02-29" }, { "2032-02-29T03:15:00.000Z", "2032-02-29" } } },
    { "0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", { { "2104-02-29T00:00:00.000Z", "2104-02-29" } } },
    { "0 9 13 * fri", "UTC", "2026-07-09T00:00:00Z",    /* either day */
      { { "2026-07-10T09:00:00.000Z", "2026-07-10" }, { "2026-07-13T09:00:00.000Z", "2026-07-13" } } },
    { "0 9 * * mon-fri", "Asia/Kathmandu", "2026-07-03T12:00:00Z",
      { { "2026-07-06T03:15:00.000Z", "2026-07-06" } } },
    { "0,30 2 * * *", "UTC", "2026-07-01T00:00:00Z",
      { { "2026-07-01T02:00:00.000Z", "2026-07-01T02:00" },
        { "2026-07-01T02:30:00.000Z", "2026-07-01T02:30" } } },
    { "*/20 * * * *", "Asia/Kathmandu", "2026-07-01T00:00:01Z",
      { { "2026-07-01T00:15:00.000Z", "2026-07-01T06:00+05:45" },
        { "2026-07-01T00:35:00.000Z", "2026-07-01T06:20+05:45" } } },
    /* 02:00 is missing: at the next moment, under its own name, once. */
    { "0 2 * * *", "Australia/Sydney", "2026-10-02T17:00:00Z",
      { { "2026-10-03T16:00:00.000Z", "2026-10-04" }, { "2026-10-04T15:00:00.000Z", "2026-10-05" } } },
    { "0 2 * * *", "Australia/Sydney", "2027-10-01T17:00:00Z",
      { { "2027-10-02T16:00:00.000Z", "2027-10-03" }, { "2027-10-03T15:00:00.000Z", "2027-10-04" } } },
    { "0 2,3 * * *", "Australia/Sydney", "2026-10-03T15:00:00Z",
      { { "2026-10-03T16:00:00.000Z", "2026-10-04T02:00" },
        { "2026-10-03T16:00:00.000Z", "2026-10-04T03:00" } } },
    /* 02:00 comes twice: the first time, once. */
    { "0 2 * * *", "Australia/Sydney", "2026-04-04T14:00:00Z",
      { { "2026-04-04T15:00:00.000Z", "2026-04-05" }, { "2026-04-05T16:00:00.000Z", "2026-04-06" } } },
    { "0 2 * * *", "Australia/Sydney", "2027-04-03T14:00:00Z",
      { { "2027-04-03T15:00:00.000Z", "2027-04-04" }, { "2027-04-04T16:00:00.000Z", "2027-04-05" } } },
    /* By time: the missing hour is none, the doubled one two. */
    { "30 * * * *", "Australia/Sydney", "2026-10-03T15:00:00Z",
      { { "2026-10-03T15:30:00.000Z", "2026-10-04T01:30+10:00" },
        { "2026-10-03T16:30:00.000Z", "2026-10-04T03:30+11:00" } } },
    { "30 * * * *", "Australia/Sydney", "2026-04-04T14:45:00Z",
      { { "2026-04-04T15:30:00.000Z", "2026-04-05T02:30+11:00" },
        { "2026-04-04T16:30:00.000Z", "2026-04-05T02:30+10:00" },
        { "2026-04-04T17:30:00.000Z", "2026-04-05T03:30+10:00" } } },
};

START_TEST(what_is_due_has_its_moment_and_its_name)
{
    size_t i;
    int k;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_cron_t cron = cron_of(rows[i].cron);
        hb_due_t due[4], last;
        char mark[HB_CRON_MARK_BYTES];
        int n = hb_cron_find(due, 4, &cron, zone_of(rows[i].zone), at(rows[i].after),
                             APR_INT64_MAX);

        for (k = 0; k < 4 && rows[i].next[k][0] != NULL; k++) {
            ck_assert_msg(k < n, "row %d", (int)i);
            ck_assert_str_eq(hb_time_text(hb_test_pool, due[k].at), rows[i].next[k][0]);
            ck_assert_str_eq(hb_cron_mark(mark, &cron, &due[k]), rows[i].next[k][1]);
        }
        /* And backwards. */
        ck_assert(hb_cron_last(&last, &cron, zone_of(rows[i].zone), at(rows[i].after), due[0].at));
        ck_assert(last.at == due[0].at);
        ck_assert(!hb_cron_last(&last, &cron, zone_of(rows[i].zone), at(rows[i].after),
                                due[0].at - 1));
    }
}
END_TEST

START_TEST(what_never_comes_is_found_never)
{
    hb_cron_t cron = cron_of("0 0 30 2 *");
    hb_due_t due;

    ck_assert_int_eq(hb_cron_find(&due, 1, &cron, zone_of("UTC"), 0, APR_INT64_MAX), 0);
    ck_assert(!hb_cron_last(&due, &cron, zone_of("UTC"), 0, at("2026-01-01T00:00:00Z")));
}
END_TEST

START_TEST(each_day_of_two_years_has_one_of_each)
{
    static const char *const crons[] = {
        "0 0 * * *", "0 1 * * *", "0 2 * * *", "30 2 * * *", "59 2 * * *", "0 3 * * *", NULL
    };
    const hb_zone_t *zone = zone_of("Australia/Sydney");
    int i;

    for (i = 0; crons[i] != NULL; i++) {
        hb_cron_t cron = cron_of(crons[i]);
        char mark[HB_CRON_MARK_BYTES], date[HB_DATE_BYTES];
        apr_time_t when = at("2025-12-31T12:00:00Z");
        hb_due_t due;
        int days;

        /* Twelve hours of a day are nowhere near a change, so dates there count days. */
        for (days = 0; days < 730; days++) {
            ck_assert(hb_cron_find(&due, 1, &cron, zone, when, APR_INT64_MAX) == 1);
            when = due.at;
            hb_zone_date(date, zone, at("2026-01-01T01:00:00Z") + days * apr_time_from_sec(86400));
            ck_assert_str_eq(hb_cron_mark(mark, &cron, &due), date);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        expressions_are_read_or_refused_with_a_reason, what_is_due_has_its_moment_and_its_name,
        what_never_comes_is_found_never, each_day_of_two_years_has_one_of_each, NULL
    };
    return hb_test_main("hb_cron", cases);
}
