/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_cron.h
 * Cron expressions: minute hour day-of-month month day-of-week, each *, a number, a name
 * (jan, mon), a range 1-5, a step of one of those by /n, or a list of them with commas.
 * Sunday is 0 or 7. When both day-of-month and day-of-week are given, a day that fits
 * either counts, as in every cron.
 *
 * An hour that starts with * goes by time that passes: what falls into an hour that is missing does
 * not happen, and in an hour that comes twice it happens twice, with occurrences of their own. Any
 * other hour goes by the clock on the wall: what falls into a missing one happens at the next
 * moment there is, and once in one that comes twice. Nothing here waits.
 */
#ifndef HB_CRON_H
#define HB_CRON_H

#include "hb_zone.h"

typedef struct hb_cron_t {
    apr_uint64_t minutes;       /* bit n for minute n */
    apr_uint32_t hours, days, months, weekdays;
    int any_day, any_weekday;   /* the field starts with * */
    int by_wall;                /* the hour does not */
    int is_daily;               /* one minute and one hour: a date names an occurrence */
} hb_cron_t;

/** One time at which it is due. */
typedef struct hb_due_t {
    apr_time_t at;
    hb_local_t local;           /* what it is called: on days of change not what clocks show then */
} hb_due_t;

/** Room for what hb_cron_mark() writes. */
#define HB_CRON_MARK_BYTES 24

/** @return NULL, or a sentence that says what is wrong and shows one that works */
const char *hb_cron_read(hb_cron_t *cron, const char *text, apr_pool_t *pool);

/**
 * What is due later than one moment and not later than another, in order. Two may be due at one
 * moment, in place of hours that are missing.
 * @param due  room for the first ones of them
 * @return how many; fewer than room when there are no more within eight years
 */
int hb_cron_find(hb_due_t *due, int room, const hb_cron_t *cron, const hb_zone_t *zone,
                 apr_time_t after, apr_time_t until);

/** The last of these; gives 0 when there is none. */
int hb_cron_last(hb_due_t *due, const hb_cron_t *cron, const hb_zone_t *zone, apr_time_t after,
                 apr_time_t until);

/**
 * What makes an occurrence itself: "2026-10-04" of a daily one, "2026-10-04T02:30" by the wall,
 * "2026-10-04T03:05+11:00" by time. Gives text.
 */
const char *hb_cron_mark(char text[HB_CRON_MARK_BYTES], const hb_cron_t *cron,
                         const hb_due_t *due);

#endif /* HB_CRON_H */
