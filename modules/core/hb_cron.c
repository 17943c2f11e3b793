/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cron expressions: reading them, and the moments they name. Days are gone through one by one, and
 * of each the times on paper; which moments those are is the zone's to say.
 */
#include "hb_cron.h"

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_time.h"

#define DAYS_AHEAD (8 * 366 + 2)        /* the 29th of February, over a year like 2100 */
#define MINUTES 1440
#define EXAMPLE "\"30 2 * * *\" is each day at 02:30, \"*/5 * * * *\" every five minutes"

/* --- reading --- */

static const char *const month_names[] = {
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL
};
static const char *const weekday_names[] = {
    "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL
};

static const struct {
    const char *what;
    int low, high;
    const char *const *names;   /* the first is that of low */
} fields[] = {
    { "minute", 0, 59, NULL },
    { "hour", 0, 23, NULL },
    { "day of the month", 1, 31, NULL },
    { "month", 1, 12, month_names },
    { "day of the week", 0, 7, weekday_names },
};
#define N_FIELDS 5

/* A number or a name; gives what is behind it, NULL when it is neither. */
static const char *read_value(int *value, const char *text, int field)
{
    const char *const *name = fields[field].names;
    int i;

    if (apr_isdigit(*text)) {
        for (*value = 0; apr_isdigit(*text) && *value < 1000; text++) {
            *value = *value * 10 + (*text - '0');
        }
        return text;
    }
    for (i = 0; name != NULL && name[i] != NULL; i++) {
        if (strncasecmp(text, name[i], 3) == 0) {
            *value = fields[field].low + i;
            return text + 3;
        }
    }
    return NULL;
}

/* One of a list: * or a value or a range, perhaps with a step. */
static const char *read_part(apr_uint64_t *bits, const char *text, int field)
{
    int low = fields[field].low, high = fields[field].high, step = 1;
    int is_single = 0, i;

    if (*text == '*') {
        text++;
        high -= field == 4;     /* the week has seven days, 7 is another name of 0 */
    }
    else {
        text = read_value(&low, text, field);
        is_single = text != NULL && *text != '-';
        high = is_single ? low : high;
        if (text != NULL && *text == '-') {
            text = read_value(&high, text + 1, field);
        }
    }
    if (text != NULL && *text == '/') {
        high = is_single ? fields[field].high : high;
        text = apr_isdigit(text[1]) ? read_value(&step, text + 1, field) : NULL;
    }
    if (text == NULL || low < fields[field].low || high > fields[field].high || low > high
        || step < 1 || step > 1000) {
        return NULL;
    }
    for (i = low; i <= high; i += step) {
        *bits |= APR_UINT64_C(1) << i;
    }
    return text;
}

static int read_field(apr_uint64_t *bits, const char *text, int field)
{
    *bits = 0;
    do {
        text = read_part(bits, text, field);
    } while (text != NULL && *text++ == ',');
    return text != NULL && text[-1] == '\0';
}

static int is_one(apr_uint64_t bits)
{
    return (bits & (bits - 1)) == 0;
}

const char *hb_cron_read(hb_cron_t *cron, const char *text, apr_pool_t *pool)
{
    char *state, *copy = apr_pstrdup(pool, text), *word[N_FIELDS + 1];
    apr_uint64_t bits[N_FIELDS];
    int n = 0, i;

    for (word[0] = apr_strtok(copy, " \t", &state); word[n] != NULL && n < N_FIELDS;
         word[n] = apr_strtok(NULL, " \t", &state)) {
        n++;
    }
    if (n < N_FIELDS || word[n] != NULL) {
        return apr_psprintf(pool, "\"%s\" has %s than five fields: write minute, hour, day of the "
                            "month, month and day of the week; " EXAMPLE, text,
                            n < N_FIELDS ? "fewer" : "more");
    }
    for (i = 0; i < N_FIELDS; i++) {
        if (!read_field(&bits[i], word[i], i)) {
            return apr_psprintf(pool, "\"%s\" is no %s: %d to %d, *, or those with - / and commas "
                                "are accepted; " EXAMPLE, word[i], fields[i].what, fields[i].low,
                                fields[i].high);
        }
    }
    memset(cron, 0, sizeof(*cron));
    cron->minutes = bits[0];
    cron->hours = (apr_uint32_t)bits[1];
    cron->days = (apr_uint32_t)bits[2];
    cron->months = (apr_uint32_t)bits[3];
    cron->weekdays = (apr_uint32_t)((bits[4] | bits[4] >> 7) & 0x7f);
    cron->any_day = *word[2] == '*';
    cron->any_weekday = *word[4] == '*';
    cron->by_wall = *word[1] != '*';
    cron->is_daily = cron->by_wall && is_one(bits[0]) && is_one(bits[1]);
    return NULL;
}

/* --- moments --- */

static int fits_day(const hb_cron_t *cron, const hb_local_t *local)
{
    int day = (cron->days >> local->day & 1) != 0;
    int weekday = (cron->weekdays >> local->weekday & 1) != 0;

    if ((cron->months >> local->month & 1) == 0) {
        return 0;
    }
    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* Of one day, in order of time; keep holds 2 * MINUTES. */
static int day_list(hb_due_t *keep, const hb_cron_t *cron, const hb_zone_t *zone,
                    apr_int64_t days)
{
    hb_local_t local;
    int minute, n = 0, i;

    memset(&local, 0, sizeof(local));
    hb_date_from_days(&local.year, &local.month, &local.day, days);
    local.weekday = (int)(((days + 4) % 7 + 7) % 7);
    if (!fits_day(cron, &local)) {
        return 0;
    }
    for (minute = 0; minute < MINUTES; minute++) {
        apr_time_t moment[2];
        hb_zone_moment_e how;
        int k, times;

        local.hour = minute / 60;
        local.minute = minute % 60;
        if ((cron->hours >> local.hour & 1) == 0) {
            minute += 59;
            continue;
        }
        if ((cron->minutes >> local.minute & 1) == 0) {
            continue;
        }
        how = hb_zone_moment(&moment[0], &moment[1], zone, &local);
        times = cron->by_wall ? 1 : how == HB_ZONE_NEVER ? 0 : how == HB_ZONE_TWICE ? 2 : 1;
        for (k = 0; k < times; k++) {
            /* In an hour that comes twice the second times are behind all first ones. */
            for (i = n; i > 0 && keep[i - 1].at > moment[k]; i--) {
                keep[i] = keep[i - 1];
            }
            keep[i].at = moment[k];
            keep[i].local = local;
            keep[i].local.offset_sec = (int)(hb_date_to_days(local.year, local.month, local.day)
                                             * 86400 + minute * 60 - apr_time_sec(moment[k]));
            n++;
        }
    }
    return n;
}

static apr_int64_t day_of(const hb_zone_t *zone, apr_time_t when)
{
    hb_local_t local;

    hb_zone_local(&local, zone, when);
    return hb_date_to_days(local.year, local.month, local.day);
}

int hb_cron_find(hb_due_t *due, int room, const hb_cron_t *cron, const hb_zone_t *zone,
                 apr_time_t after, apr_time_t until)
{
    hb_due_t list[2 * MINUTES];
    /* A time that is missing may move into the next day. */
    apr_int64_t from = day_of(zone, after) - 1, day;
    int n = 0, i;

    for (day = from; day < from + DAYS_AHEAD && n < room; day++) {
        int of_day = day_list(list, cron, zone, day);

        for (i = 0; i < of_day && n < room; i++) {
            if (list[i].at > until) {
                return n;
            }
            if (list[i].at > after) {
                due[n++] = list[i];
            }
        }
    }
    return n;
}

int hb_cron_last(hb_due_t *due, const hb_cron_t *cron, const hb_zone_t *zone, apr_time_t after,
                 apr_time_t until)
{
    hb_due_t list[2 * MINUTES];
    apr_int64_t first = day_of(zone, after) - 1, day = day_of(zone, until);
    int back;

    for (back = 0; day >= first && back < DAYS_AHEAD; day--, back++) {
        int i = day_list(list, cron, zone, day);

        while (i-- > 0) {
            if (list[i].at <= until) {
                *due = list[i];
                return list[i].at > after;
            }
        }
    }
    return 0;
}

const char *hb_cron_mark(char text[HB_CRON_MARK_BYTES], const hb_cron_t *cron,
                         const hb_due_t *due)
{
    const hb_local_t *local = &due->local;
    int offset = local->offset_sec < 0 ? -local->offset_sec : local->offset_sec;
    int len = apr_snprintf(text, HB_CRON_MARK_BYTES, "%04d-%02d-%02d", local->year,
                           local->month, local->day);

    if (!cron->is_daily) {
        len += apr_snprintf(text + len, (apr_size_t)(HB_CRON_MARK_BYTES - len), "T%02d:%02d",
                            local->hour, local->minute);
    }
    if (!cron->by_wall) {
        apr_snprintf(text + len, (apr_size_t)(HB_CRON_MARK_BYTES - len), "%c%02d:%02d",
                     local->offset_sec < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
    }
    return text;
}
