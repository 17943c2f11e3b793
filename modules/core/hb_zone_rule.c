/* SPDX-License-Identifier: Apache-2.0 */
/* The rule that a zone file ends with: what clocks do in years its table does not reach. */
#include "hb_zone_private.h"

#include <string.h>

#include <apr_lib.h>

#include "hb_time.h"

#define HOUR_SEC 3600
#define DAY_SEC 86400

/* --- reading; each gives what is behind, NULL when it is not there --- */

static const char *read_number(int *n, const char *text, int most)
{
    if (text == NULL || !apr_isdigit(*text)) {
        return NULL;
    }
    for (*n = 0; apr_isdigit(*text); text++) {
        *n = *n * 10 + (*text - '0');
        if (*n > most) {
            return NULL;
        }
    }
    return text;
}

/* "AEST", or "<+0545>". */
static const char *read_name(const char *text)
{
    const char *from = text;

    if (*text == '<') {
        text = strchr(text, '>');
        return text != NULL ? text + 1 : NULL;
    }
    while (apr_isalpha(*text)) {
        text++;
    }
    return text - from >= 3 ? text : NULL;
}

/* [+-]hh[:mm[:ss]]; hours to a week, as RFC 8536 allows. */
static const char *read_time(int *sec, const char *text)
{
    int sign = 1, hours, part, unit = HOUR_SEC;

    if (text != NULL && (*text == '+' || *text == '-')) {
        sign = *text++ == '-' ? -1 : 1;
    }
    text = read_number(&hours, text, 167);
    if (text == NULL) {
        return NULL;
    }
    *sec = hours * HOUR_SEC;
    while (*text == ':' && unit > 1) {
        unit /= 60;
        text = read_number(&part, text + 1, 59);
        if (text == NULL) {
            return NULL;
        }
        *sec += part * unit;
    }
    *sec *= sign;
    return text;
}

static const char *read_change(hb_zone_change_t *change, const char *text)
{
    change->at_sec = 2 * HOUR_SEC;
    if (*text == 'M') {
        change->kind = HB_ZONE_MONTH;
        text = read_number(&change->month, text + 1, 12);
        text = text != NULL && *text == '.' ? read_number(&change->week, text + 1, 5) : NULL;
        text = text != NULL && *text == '.' ? read_number(&change->day, text + 1, 6) : NULL;
        if (text == NULL || change->month == 0 || change->week == 0) {
            return NULL;
        }
    }
    else {
        change->kind = *text == 'J' ? HB_ZONE_JULIAN : HB_ZONE_DAY;
        text = read_number(&change->day, text + (*text == 'J'), 365);
        if (text == NULL || (change->kind == HB_ZONE_JULIAN && change->day == 0)) {
            return NULL;
        }
    }
    return *text == '/' ? read_time(&change->at_sec, text + 1) : text;
}

int hb_zone_rule_read(hb_zone_rule_t *rule, const char *text)
{
    int west;

    memset(rule, 0, sizeof(*rule));
    text = read_name(text);
    text = text != NULL ? read_time(&west, text) : NULL;
    if (text == NULL) {
        return 0;
    }
    rule->offset_sec = -west;   /* POSIX counts westwards */
    rule->summer_sec = rule->offset_sec + HOUR_SEC;
    rule->is_set = 1;
    if (*text == '\0') {
        return 1;
    }
    rule->has_summer = 1;
    text = read_name(text);
    if (text != NULL && *text != ',') {
        text = read_time(&west, text);
        rule->summer_sec = -west;
    }
    text = text != NULL && *text == ',' ? read_change(&rule->begins, text + 1) : NULL;
    text = text != NULL && *text == ',' ? read_change(&rule->ends, text + 1) : NULL;
    rule->is_set = text != NULL && *text == '\0';
    return rule->is_set;
}

/* --- using it --- */

static apr_int64_t day_of_month(const hb_zone_change_t *change, int year)
{
    apr_int64_t first = hb_date_to_days(year, change->month, 1);
    apr_int64_t behind = change->month == 12 ? hb_date_to_days(year + 1, 1, 1)
                                             : hb_date_to_days(year, change->month + 1, 1);
    /* 1970-01-01 was a Thursday. */
    int weekday = (int)(((first + 4) % 7 + 7) % 7);
    apr_int64_t day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * 7;

    return day < behind ? day : day - 7;
}

/* In seconds of the epoch, when clocks were so much ahead before it. */
static apr_int64_t change_of(const hb_zone_change_t *change, int year, int offset_sec)
{
    apr_int64_t day = hb_date_to_days(year, 1, 1);

    switch (change->kind) {
    case HB_ZONE_MONTH:
        day = day_of_month(change, year);
        break;
    case HB_ZONE_JULIAN:        /* February never has a 29th in this count */
        day += change->day - 1;
        if (change->day > 59) {
            day += hb_date_to_days(year, 3, 1) - hb_date_to_days(year, 2, 28) - 1;
        }
        break;
    default:
        day += change->day;
    }
    return day * DAY_SEC + change->at_sec - offset_sec;
}

int hb_zone_rule_offset(const hb_zone_rule_t *rule, apr_int64_t sec)
{
    apr_int64_t local = sec + rule->offset_sec, begins, ends;
    int year, month, day, is_summer;

    if (!rule->has_summer) {
        return rule->offset_sec;
    }
    hb_date_from_days(&year, &month, &day, local / DAY_SEC - (local % DAY_SEC < 0));
    begins = change_of(&rule->begins, year, rule->offset_sec);
    ends = change_of(&rule->ends, year, rule->summer_sec);
    /* In the south summer goes over the new year. */
    is_summer = begins < ends ? sec >= begins && sec < ends : sec >= begins || sec < ends;
    return is_summer ? rule->summer_sec : rule->offset_sec;
}
