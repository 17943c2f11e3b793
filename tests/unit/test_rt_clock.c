/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_clock.h"

#include <stddef.h>

#include "hb_test.h"

typedef struct thing_t {
    int rang;
    rt_alarm_t alarm;
} thing_t;

static int n_rang;

static void ring_thing(rt_alarm_t *alarm)
{
    thing_t *thing = (thing_t *)((char *)alarm - offsetof(thing_t, alarm));

    ck_assert(!rt_alarm_is_set(alarm));
    thing->rang = ++n_rang;
}

START_TEST(alarms_ring_in_time_and_order)
{
    thing_t things[3] = { { 0 } };
    rt_ring_t ring;

    rt_ring_init(&ring, 100, ring_thing);
    ck_assert_uint_eq(rt_ring_next(&ring), UINT64_MAX);
    rt_alarm_set(&things[0].alarm, &ring, 1000);
    rt_alarm_set(&things[1].alarm, &ring, 1010);
    rt_alarm_set(&things[2].alarm, &ring, 1020);
    ck_assert_uint_eq(rt_ring_next(&ring), 1100);
    rt_ring_run(&ring, 1099);
    ck_assert_int_eq(n_rang, 0);
    rt_alarm_set(&things[0].alarm, &ring, 1030);
    rt_alarm_clear(&things[1].alarm);
    ck_assert_uint_eq(rt_ring_next(&ring), 1120);
    rt_ring_run(&ring, 2000);
    ck_assert_int_eq(things[0].rang, 2);
    ck_assert_int_eq(things[1].rang, 0);
    ck_assert_int_eq(things[2].rang, 1);
    rt_alarm_clear(&things[1].alarm);
    ck_assert_uint_eq(rt_ring_next(&ring), UINT64_MAX);
}
END_TEST

START_TEST(an_alarm_is_in_one_ring)
{
    thing_t thing = { 0 };
    rt_ring_t first, second, never;

    rt_ring_init(&first, 100, ring_thing);
    rt_ring_init(&second, 50, ring_thing);
    rt_ring_init(&never, 0, ring_thing);
    rt_alarm_set(&thing.alarm, &first, 0);
    rt_alarm_set(&thing.alarm, &second, 0);
    ck_assert_uint_eq(rt_ring_next(&first), UINT64_MAX);
    ck_assert_uint_eq(rt_ring_next(&second), 50);
    rt_alarm_set(&thing.alarm, &never, 0);
    ck_assert(!rt_alarm_is_set(&thing.alarm));
    ck_assert_uint_eq(rt_ring_next(&second), UINT64_MAX);
}
END_TEST

START_TEST(a_shorter_wait_keeps_the_order)
{
    thing_t things[2] = { { 0 } };
    rt_ring_t ring;

    n_rang = 0;
    rt_ring_init(&ring, 100, ring_thing);
    rt_alarm_set(&things[0].alarm, &ring, 0);
    ring.wait_msec = 10;
    rt_alarm_set(&things[1].alarm, &ring, 0);
    rt_ring_run(&ring, 10);
    ck_assert_int_eq(things[1].rang, 1);
    ck_assert_int_eq(things[0].rang, 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        alarms_ring_in_time_and_order, an_alarm_is_in_one_ring, a_shorter_wait_keeps_the_order,
        NULL
    };
    return hb_test_main("rt_clock", cases);
}
