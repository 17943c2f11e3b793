/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_zone.h
 * Local times of a named zone (IANA, from the system's zone files): of a moment, and back. The C
 * library knows one zone a process; here each caller has its own, and nothing is locked.
 *
 * Twice a year many zones change their clocks. In Sydney 02:00 to 02:59 is missing on a Sunday of
 * October and comes twice on one of April: hb_zone_moment() says which, and its callers decide.
 */
#ifndef HB_ZONE_H
#define HB_ZONE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

typedef struct hb_zone_t hb_zone_t;

/** What a clock on the wall shows. */
typedef struct hb_local_t {
    int year, month, day;       /* 2026, 1 to 12, 1 to 31 */
    int hour, minute, second;
    int weekday;                /* 0 is Sunday; set by hb_zone_local(), not read */
    int offset_sec;             /* ahead of UTC; set by hb_zone_local(), not read */
} hb_local_t;

/** Room for "2026-10-04". */
#define HB_DATE_BYTES 11

/**
 * Read a zone; it never changes afterwards, threads may share it. Reads one small file.
 * @return HB_E_CONFIG when there is no such zone, or its file is damaged. "UTC" needs no file.
 */
apr_status_t hb_zone_load(const hb_zone_t **zone, const char *name, apr_pool_t *pool);

/** As it was loaded. */
const char *hb_zone_name(const hb_zone_t *zone);

/** Local time of a moment; parts of a second are cut. Does not wait. */
void hb_zone_local(hb_local_t *local, const hb_zone_t *zone, apr_time_t when);

typedef enum hb_zone_moment_e {
    HB_ZONE_ONCE,
    HB_ZONE_TWICE,              /* the clock was put back: two moments show this time */
    HB_ZONE_NEVER               /* it was put forward over it */
} hb_zone_moment_e;

/**
 * The moments at which clocks show a local time, which has to exist on paper.
 * @param first   the (earlier) moment; for HB_ZONE_NEVER that at which the clock was put forward,
 *                the next one that exists; may be NULL
 * @param second  the later one of HB_ZONE_TWICE, otherwise the same as first; may be NULL
 */
hb_zone_moment_e hb_zone_moment(apr_time_t *first, apr_time_t *second, const hb_zone_t *zone,
                                const hb_local_t *local);

/** The local date of a moment as YYYY-MM-DD; gives text. */
const char *hb_zone_date(char text[HB_DATE_BYTES], const hb_zone_t *zone, apr_time_t when);

/** The first moment of a date (YYYY-MM-DD); gives 0 when it is no date. */
int hb_zone_day_begins(apr_time_t *when, const hb_zone_t *zone, const char *date);

/** "2026-10-04T03:00:00+11:00": the moment as the zone's clocks show it. */
const char *hb_zone_text(apr_pool_t *pool, const hb_zone_t *zone, apr_time_t when);

#endif /* HB_ZONE_H */
