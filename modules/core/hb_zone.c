/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones, from the system's files (TZif, RFC 8536): a table of changes, and a rule
 * for the time behind it.
 */
#include "hb_zone.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_error.h"
#include "hb_time.h"
#include "hb_zone_private.h"

#define ZONE_DIR "/usr/share/zoneinfo"
#define FILE_MAX 65536
#define HEAD_BYTES 44
#define DAY_SEC 86400
#define TYPES_MAX 256

/* Clocks never differ from UTC by more (RFC 8536 4). */
#define OFFSET_MAX_SEC (26 * 3600)

struct hb_zone_t {
    const char *name;
    const unsigned char *changes;   /* n times 8 bytes, big endian: seconds of the epoch */
    const unsigned char *types;     /* n numbers of an offset: that behind each change */
    int n;
    int offsets[TYPES_MAX];         /* in seconds */
    int first;                      /* offset before the first change */
    hb_zone_rule_t rule;            /* behind the last */
};

/* --- reading --- */

static apr_int64_t read_big(const unsigned char *at, int bytes)
{
    apr_uint64_t n = (at[0] & 0x80) != 0 ? ~APR_UINT64_C(0) : 0;

    while (bytes-- > 0) {
        n = n << 8 | *at++;
    }
    return (apr_int64_t)n;
}

typedef struct counts_t {
    apr_int64_t is_utc, is_standard, leaps, changes, types, letters;
} counts_t;

/* The counts of a block, and how long it is with times of so many bytes; 0 when it is none. */
static apr_size_t read_head(counts_t *counts, const unsigned char *at, apr_size_t left,
                            int time_bytes)
{
    apr_int64_t *const into[] = { &counts->is_utc, &counts->is_standard, &counts->leaps,
                                  &counts->changes, &counts->types, &counts->letters };
    apr_size_t len;
    int i;

    if (left < HEAD_BYTES || memcmp(at, "TZif", 4) != 0) {
        return 0;
    }
    for (i = 0; i < 6; i++) {
        *into[i] = read_big(at + 20 + i * 4, 4);
        if (*into[i] < 0 || *into[i] > FILE_MAX) {
            return 0;
        }
    }
    len = (apr_size_t)(HEAD_BYTES + counts->changes * (time_bytes + 1) + counts->types * 6
                       + counts->letters + counts->leaps * (time_bytes + 4)
                       + counts->is_standard + counts->is_utc);
    return len <= left ? len : 0;
}

/* The second block of a file, which has times of 64 bits, and the rule behind it. */
static int read_zone(hb_zone_t *zone, const unsigned char *data, apr_size_t bytes,
                     apr_pool_t *pool)
{
    const unsigned char *at = data, *types;
    counts_t counts;
    apr_size_t len = read_head(&counts, at, bytes, 4);
    const char *rule, *end;
    int i;

    if (len == 0 || data[4] < '2') {
        return 0;
    }
    at += len;
    bytes -= len;
    len = read_head(&counts, at, bytes, 8);
    if (len == 0 || counts.types < 1 || counts.types > TYPES_MAX) {
        return 0;
    }
    zone->n = (int)counts.changes;
    zone->changes = at + HEAD_BYTES;
    zone->types = zone->changes + counts.changes * 8;
    types = zone->types + counts.changes;
    for (i = 0; i < counts.types; i++) {
        zone->offsets[i] = (int)read_big(types + i * 6, 4);
        if (zone->offsets[i] < -OFFSET_MAX_SEC || zone->offsets[i] > OFFSET_MAX_SEC) {
            return 0;
        }
    }
    for (i = 0; i < zone->n; i++) {
        if (zone->types[i] >= counts.types) {
            return 0;
        }
    }
    zone->first = zone->offsets[0];
    rule = (const char *)at + len;
    bytes -= len;
    if (bytes < 2 || *rule != '\n' || (end = memchr(rule + 1, '\n', bytes - 1)) == NULL) {
        return 0;
    }
    rule = apr_pstrmemdup(pool, rule + 1, (apr_size_t)(end - rule - 1));
    return *rule == '\0' || hb_zone_rule_read(&zone->rule, rule);
}

static apr_status_t read_file(const unsigned char **data, apr_size_t *bytes, const char *name,
                              apr_pool_t *pool)
{
    const char *path = apr_pstrcat(pool, ZONE_DIR "/", name, NULL);
    unsigned char *space = apr_palloc(pool, FILE_MAX);
    apr_file_t *file;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_read_full(file, space, FILE_MAX, bytes);
    apr_file_close(file);
    *data = space;
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}

apr_status_t hb_zone_load(const hb_zone_t **result, const char *name, apr_pool_t *pool)
{
    hb_zone_t *zone = apr_pcalloc(pool, sizeof(*zone));
    const unsigned char *data;
    apr_size_t bytes;

    zone->name = apr_pstrdup(pool, name);
    *result = zone;
    if (strcmp(name, "UTC") == 0) {
        zone->rule.is_set = 1;
        return APR_SUCCESS;
    }
    if (!hb_zone_is_valid(name) || read_file(&data, &bytes, name, pool) != APR_SUCCESS
        || !read_zone(zone, data, bytes, pool)) {
        *result = NULL;
        return HB_E_CONFIG;
    }
    return APR_SUCCESS;
}

const char *hb_zone_name(const hb_zone_t *zone)
{
    return zone->name;
}

/* --- using it --- */

static apr_int64_t change_at(const hb_zone_t *zone, int i)
{
    return read_big(zone->changes + i * 8, 8);
}

static int offset_at(const hb_zone_t *zone, apr_int64_t sec)
{
    int low = 0, high = zone->n;

    /* How many changes there were by then. */
    while (low < high) {
        int middle = (low + high) / 2;

        if (change_at(zone, middle) <= sec) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    if (low == zone->n && zone->rule.is_set) {
        return hb_zone_rule_offset(&zone->rule, sec);
    }
    return low == 0 ? zone->first : zone->offsets[zone->types[low - 1]];
}

static apr_int64_t floor_div(apr_int64_t a, apr_int64_t b)
{
    return a / b - (a % b < 0);
}

void hb_zone_local(hb_local_t *local, const hb_zone_t *zone, apr_time_t when)
{
    apr_int64_t sec = floor_div(when, APR_USEC_PER_SEC), days;
    int of_day;

    local->offset_sec = offset_at(zone, sec);
    sec += local->offset_sec;
    days = floor_div(sec, DAY_SEC);
    of_day = (int)(sec - days * DAY_SEC);
    hb_date_from_days(&local->year, &local->month, &local->day, days);
    local->hour = of_day / 3600;
    local->minute = of_day / 60 % 60;
    local->second = of_day % 60;
    local->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

/* The moment between two at which the clock was changed. */
static apr_int64_t change_between(const hb_zone_t *zone, apr_int64_t from, apr_int64_t to)
{
    int offset = offset_at(zone, to);

    while (to - from > 1) {
        apr_int64_t middle = from + (to - from) / 2;

        if (offset_at(zone, middle) == offset) {
            to = middle;
        }
        else {
            from = middle;
        }
    }
    return to;
}

/*
 * A local time belongs to one of the offsets of the day before and the day after: zones do
 * not change their clocks twice within two days.
 */
hb_zone_moment_e hb_zone_moment(apr_time_t *first, apr_time_t *second, const hb_zone_t *zone,
                                const hb_local_t *local)
{
    apr_int64_t clock = hb_date_to_days(local->year, local->month, local->day) * DAY_SEC
        + local->hour * 3600 + local->minute * 60 + local->second;
    int before = offset_at(zone, clock - DAY_SEC), after = offset_at(zone, clock + DAY_SEC);
    apr_int64_t early = clock - before, late = clock - after;
    int early_fits = offset_at(zone, early) == before;
    int late_fits = offset_at(zone, late) == after;
    hb_zone_moment_e how = HB_ZONE_ONCE;

    if (!early_fits && !late_fits) {
        early = late = change_between(zone, clock - DAY_SEC, clock + DAY_SEC);
        how = HB_ZONE_NEVER;
    }
    else if (early_fits && late_fits) {
        how = early == late ? HB_ZONE_ONCE : HB_ZONE_TWICE;
    }
    else if (early_fits) {
        late = early;
    }
    else {
        early = late;
    }
    if (first != NULL) {
        *first = apr_time_from_sec(early);
    }
    if (second != NULL) {
        *second = apr_time_from_sec(late);
    }
    return how;
}

const char *hb_zone_date(char text[HB_DATE_BYTES], const hb_zone_t *zone, apr_time_t when)
{
    char full[HB_TIME_BYTES];
    hb_local_t local;

    hb_zone_local(&local, zone, when);
    hb_time_write(full, when + apr_time_from_sec(local.offset_sec));
    return apr_cpystrn(text, full, HB_DATE_BYTES), text;
}

int hb_zone_day_begins(apr_time_t *when, const hb_zone_t *zone, const char *date)
{
    hb_local_t local;

    memset(&local, 0, sizeof(local));
    if (!hb_date_read(&local.year, &local.month, &local.day, date)) {
        return 0;
    }
    hb_zone_moment(when, NULL, zone, &local);
    return 1;
}

const char *hb_zone_text(apr_pool_t *pool, const hb_zone_t *zone, apr_time_t when)
{
    hb_local_t local;
    int offset;

    hb_zone_local(&local, zone, when);
    offset = local.offset_sec < 0 ? -local.offset_sec : local.offset_sec;
    return apr_psprintf(pool, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", local.year, local.month,
                        local.day, local.hour, local.minute, local.second,
                        local.offset_sec < 0 ? '-' : '+', offset / 3600, offset / 60 % 60);
}
