/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as text, by arithmetic on the calendar: faster than the C library's in lists of
 * records, and no lock on a zone.
 */
#include "hb_time.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>

#define ZONE_DIR "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 64

#define DAY_SEC 86400
/* 0000-01-01 and 9999-12-31T23:59:59 as seconds of the epoch. */
#define FIRST_SEC APR_INT64_C(-62167219200)
#define LAST_SEC  APR_INT64_C(253402300799)

/* Rounds down also below zero. */
static apr_int64_t floor_div(apr_int64_t a, apr_int64_t b)
{
    return a / b - (a % b < 0);
}

/*
 * Days since 1970-01-01 of a day of the Gregorian calendar. Years start in March here, so
 * that the leap day is the last of its year and months follow the pattern (153 m + 2) / 5.
 */
apr_int64_t hb_date_to_days(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    apr_int64_t era = floor_div(y, 400);
    int y_of_era = (int)(y - era * 400);
    int month_from_march = month > 2 ? month - 3 : month + 9;
    int day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int day_of_era = y_of_era * 365 + y_of_era / 4 - y_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void hb_date_from_days(int *year, int *month, int *day, apr_int64_t days)
{
    apr_int64_t shifted = days + 719468;
    apr_int64_t era = floor_div(shifted, 146097);
    int day_of_era = (int)(shifted - era * 146097);
    int y_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524
                    - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * y_of_era + y_of_era / 4 - y_of_era / 100);
    int month_from_march = (5 * day_of_year + 2) / 153;

    *day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    *month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *year = (int)(era * 400) + y_of_era + (*month <= 2);
}

static void put_digits(char *at, int value, int n)
{
    while (n-- > 0) {
        at[n] = (char)('0' + value % 10);
        value /= 10;
    }
}

const char *hb_time_write(char text[HB_TIME_BYTES], apr_time_t when)
{
    apr_int64_t sec = floor_div(when, APR_USEC_PER_SEC);
    int msec = (int)(when - sec * APR_USEC_PER_SEC) / 1000;
    apr_int64_t days;
    int year, month, day, of_day;

    if (sec < FIRST_SEC) {
        sec = FIRST_SEC;
        msec = 0;
    }
    if (sec > LAST_SEC) {
        sec = LAST_SEC;
        msec = 999;
    }
    days = floor_div(sec, DAY_SEC);
    of_day = (int)(sec - days * DAY_SEC);
    hb_date_from_days(&year, &month, &day, days);
    memcpy(text, "0000-00-00T00:00:00.000Z", HB_TIME_BYTES);
    put_digits(text, year, 4);
    put_digits(text + 5, month, 2);
    put_digits(text + 8, day, 2);
    put_digits(text + 11, of_day / 3600, 2);
    put_digits(text + 14, of_day / 60 % 60, 2);
    put_digits(text + 17, of_day % 60, 2);
    put_digits(text + 20, msec, 3);
    return text;
}

const char *hb_time_text(apr_pool_t *pool, apr_time_t when)
{
    return hb_time_write(apr_palloc(pool, HB_TIME_BYTES), when);
}

/* Exactly n digits; gives what is behind them, NULL when they are not there. */
static const char *get_digits(int *value, const char *text, int n)
{
    *value = 0;
    while (n-- > 0) {
        if (!apr_isdigit(*text)) {
            return NULL;
        }
        *value = *value * 10 + (*text++ - '0');
    }
    return text;
}

static const char *get_mark(const char *text, const char *any_of)
{
    return text != NULL && *text != '\0' && strchr(any_of, *text) != NULL ? text + 1 : NULL;
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && is_leap ? 29 : days[month - 1];
}

static const char *get_date(int *year, int *month, int *day, const char *text)
{
    text = get_digits(year, text, 4);
    text = get_mark(text, "-");
    text = text != NULL ? get_digits(month, text, 2) : NULL;
    text = get_mark(text, "-");
    text = text != NULL ? get_digits(day, text, 2) : NULL;
    if (text == NULL || *month < 1 || *month > 12 || *day < 1
        || *day > days_in(*year, *month)) {
        return NULL;
    }
    return text;
}

int hb_time_read(apr_time_t *when, const char *text)
{
    int year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0;
    int usec = 0, unit = 100000, sign = 1;
    apr_int64_t sec;

    text = get_mark(get_date(&year, &month, &day, text), "Tt ");
    text = text != NULL ? get_digits(&hour, text, 2) : NULL;
    text = get_mark(text, ":");
    text = text != NULL ? get_digits(&minute, text, 2) : NULL;
    text = get_mark(text, ":");
    text = text != NULL ? get_digits(&second, text, 2) : NULL;
    if (text == NULL || hour > 23 || minute > 59 || second > 60) {
        return 0;
    }
    if (*text == '.') {
        if (!apr_isdigit(*++text)) {
            return 0;
        }
        for (; apr_isdigit(*text); text++) {
            usec += (*text - '0') * unit;
            unit /= 10;
        }
    }
    if (*text == 'Z' || *text == 'z') {
        text++;
    }
    else if (*text == '+' || *text == '-') {
        sign = *text == '+' ? 1 : -1;
        text = get_mark(get_digits(&zone_hour, text + 1, 2), ":");
        text = text != NULL ? get_digits(&zone_minute, text, 2) : NULL;
        if (text == NULL || zone_hour > 23 || zone_minute > 59) {
            return 0;
        }
    }
    else {
        return 0;
    }
    if (*text != '\0') {
        return 0;
    }
    sec = hb_date_to_days(year, month, day) * DAY_SEC + hour * 3600 + minute * 60
          + (second == 60 ? 59 : second) - sign * (zone_hour * 3600 + zone_minute * 60);
    *when = sec * APR_USEC_PER_SEC + usec;
    return 1;
}

apr_int64_t hb_time_to_msec(apr_time_t when)
{
    return floor_div(when, 1000);
}

apr_time_t hb_time_from_msec(apr_int64_t msec)
{
    if (msec > APR_INT64_MAX / 1000 || msec < APR_INT64_MIN / 1000) {
        return msec > 0 ? APR_INT64_MAX : APR_INT64_MIN;
    }
    return msec * 1000;
}

int hb_date_read(int *year, int *month, int *day, const char *text)
{
    const char *end = get_date(year, month, day, text);

    return end != NULL && *end == '\0';
}

int hb_date_is_valid(const char *text)
{
    int year, month, day;

    return hb_date_read(&year, &month, &day, text);
}

/*
 * Words of letters, digits, _ + - between single slashes, each starting with a letter: no
 * dots, so no way out of the directory. "posix/" and "right/" hold copies of it.
 */
static int zone_name_is_safe(const char *name)
{
    const char *c = name;
    int at_start = 1;

    for (; *c != '\0'; c++) {
        if (at_start ? !apr_isalpha(*c)
                     : !apr_isalnum(*c) && strchr("_+-/", *c) == NULL) {
            return 0;
        }
        at_start = *c == '/';
    }
    return !at_start && c - name <= ZONE_NAME_MAX && strncmp(name, "posix", 5) != 0
           && strncmp(name, "right/", 6) != 0;
}

int hb_zone_is_valid(const char *name)
{
    char path[sizeof(ZONE_DIR) + ZONE_NAME_MAX + 1];
    char magic[4];
    apr_file_t *file;
    apr_finfo_t info;
    apr_pool_t *pool;
    apr_size_t n;
    int is_zone = 0;

    if (!zone_name_is_safe(name) || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 0;
    }
    apr_snprintf(path, sizeof(path), "%s/%s", ZONE_DIR, name);
    if (apr_file_open(&file, path, APR_FOPEN_READ, 0, pool) == APR_SUCCESS) {
        is_zone = apr_file_read_full(file, magic, sizeof(magic), &n) == APR_SUCCESS
                  && memcmp(magic, "TZif", sizeof(magic)) == 0;
        apr_file_close(file);
    }
    else if (apr_stat(&info, ZONE_DIR "/UTC", APR_FINFO_TYPE, pool) != APR_SUCCESS) {
        is_zone = strchr(name, '/') != NULL || strcmp(name, "UTC") == 0;
    }
    apr_pool_destroy(pool);
    return is_zone;
}
