/* SPDX-License-Identifier: Apache-2.0 */
/** @file hb_zone_private.h The rule at the end of a zone file, for the years behind its table. */
#ifndef HB_ZONE_PRIVATE_H
#define HB_ZONE_PRIVATE_H

#include <apr.h>

/** When clocks are changed each year. */
typedef struct hb_zone_change_t {
    enum { HB_ZONE_MONTH, HB_ZONE_JULIAN, HB_ZONE_DAY } kind;
    int month, week, day;       /* M: week 5 is the last; J and plain: day alone */
    int at_sec;                 /* of that day, on the clock before the change; may be negative */
} hb_zone_change_t;

/** A POSIX rule such as AEST-10AEDT,M10.1.0,M4.1.0/3. */
typedef struct hb_zone_rule_t {
    int is_set;
    int has_summer;
    int offset_sec, summer_sec; /* ahead of UTC */
    hb_zone_change_t begins, ends;      /* of summer time */
} hb_zone_rule_t;

/** Gives 0 when the text is no such rule. */
int hb_zone_rule_read(hb_zone_rule_t *rule, const char *text);

/** Seconds ahead of UTC at a moment in seconds of the epoch. */
int hb_zone_rule_offset(const hb_zone_rule_t *rule, apr_int64_t sec);

#endif /* HB_ZONE_PRIVATE_H */
