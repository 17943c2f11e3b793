/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_time.h
 * Times and dates as text. Inside an op times are apr_time_t (UTC microseconds), in
 * records they are milliseconds, in the API RFC 3339 text with Z. Nothing here reads a
 * clock: that is op->now.
 */
#ifndef HB_TIME_H
#define HB_TIME_H

#include <apr_pools.h>
#include <apr_time.h>

/** Room for "2026-07-01T09:30:00.000Z" and its 0 byte. */
#define HB_TIME_BYTES 25

/** Write RFC 3339 with Z and milliseconds; gives text. Years 0 to 9999, clamped. */
const char *hb_time_write(char text[HB_TIME_BYTES], apr_time_t when);

/** The same in a pool. */
const char *hb_time_text(apr_pool_t *pool, apr_time_t when);

/**
 * Read RFC 3339 with Z or an offset, with or without a fraction (cut at microseconds).
 * A leap second is taken as the second before it. Gives 0 when it is anything else.
 */
int hb_time_read(apr_time_t *when, const char *text);

/** Record time and back; both round down. */
apr_int64_t hb_time_to_msec(apr_time_t when);
apr_time_t hb_time_from_msec(apr_int64_t msec);

/** A day that exists, as YYYY-MM-DD? */
int hb_date_is_valid(const char *text);

/** Days since 1970-01-01 of a day of the Gregorian calendar, and back. */
apr_int64_t hb_date_to_days(int year, int month, int day);
void hb_date_from_days(int *year, int *month, int *day, apr_int64_t days);

/** The numbers of a day that exists, as YYYY-MM-DD; gives 0 when it is none. */
int hb_date_read(int *year, int *month, int *day, const char *text);

/**
 * An IANA zone ("Australia/Sydney", "UTC"; its local times are hb_zone.h's)? Looked up in
 * the system's zone files; where those are missing, anything of the right form passes. May
 * read one small file.
 */
int hb_zone_is_valid(const char *name);

#endif /* HB_TIME_H */
