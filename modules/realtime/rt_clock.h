/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_clock.h
 * Time limits by the ten thousand. All limits of one kind last equally long, so a list in the
 * order of setting is in the order of ending, too: setting, clearing and finding what
 * ended cost the same however many there are, and nothing is ever scanned.
 *
 * One loop's memory: no locks, nothing here waits. Times are milliseconds of a clock
 * that never jumps.
 */
#ifndef RT_CLOCK_H
#define RT_CLOCK_H

#include <stdint.h>

/** One limit, in the structure it is about. Zeroed is not set. */
typedef struct rt_alarm_t {
    struct rt_alarm_t *next, *prev;
    uint64_t at_msec;
} rt_alarm_t;

/** All limits of one kind. */
typedef struct rt_ring_t {
    rt_alarm_t list;            /* next is the first to end */
    uint32_t wait_msec;         /* 0: never rings */
    void (*ring)(rt_alarm_t *alarm);
} rt_ring_t;

void rt_ring_init(rt_ring_t *ring, uint32_t wait_msec, void (*fn)(rt_alarm_t *alarm));

/** Begin, or begin anew; whichever ring the alarm was in. */
void rt_alarm_set(rt_alarm_t *alarm, rt_ring_t *ring, uint64_t now_msec);
void rt_alarm_clear(rt_alarm_t *alarm);
int rt_alarm_is_set(const rt_alarm_t *alarm);

/** Ring what has ended; each alarm is cleared before. */
void rt_ring_run(rt_ring_t *ring, uint64_t now_msec);

/** When the next one ends; UINT64_MAX when none is set. */
uint64_t rt_ring_next(const rt_ring_t *ring);

#endif /* RT_CLOCK_H */
