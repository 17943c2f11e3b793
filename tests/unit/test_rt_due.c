/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel of seconds (rt_due.c), the addresses of doors (rt_path.c), counts (rt_tally.c). */
#include "hb_test.h"

#include <string.h>

#include "rt_due.h"
#include "rt_path.h"
#include "rt_tally.h"

#define START apr_time_from_sec(1000000)

static int n_rung;
static rt_due_entry_t *rung[8];

static void ring(rt_due_entry_t *entry)
{
    rung[n_rung++] = entry;
}

static int run(rt_due_t *due, int sec)
{
    n_rung = 0;
    rt_due_run(due, START + apr_time_from_sec(sec), ring);
    return n_rung;
}

START_TEST(each_rings_once_at_its_second)
{
    rt_due_t *due = rt_due_make(START);
    rt_due_entry_t soon = { NULL }, late = { NULL }, past = { NULL }, never = { NULL };

    rt_due_set(due, &soon, START + apr_time_from_sec(2));
    rt_due_set(due, &late, START + apr_time_from_sec(2 + 1024 * 3));
    rt_due_set(due, &past, START - apr_time_from_sec(100));
    rt_due_set(due, &never, START + apr_time_from_sec(2));
    rt_due_clear(&never);
    rt_due_clear(&never);
    ck_assert_int_eq(run(due, 0), 0);
    ck_assert_int_eq(run(due, 1), 1);
    ck_assert_ptr_eq(rung[0], &past);
    ck_assert_int_eq(run(due, 2), 1);
    ck_assert_ptr_eq(rung[0], &soon);
    ck_assert_int_eq(run(due, 2 + 1024 * 3 - 1), 0);
    ck_assert_int_eq(run(due, 2 + 1024 * 3), 1);
    rt_due_free(due);
}
END_TEST

START_TEST(the_clock_may_jump)
{
    rt_due_t *due = rt_due_make(START);
    rt_due_entry_t a = { NULL }, b = { NULL };

    rt_due_set(due, &a, START + apr_time_from_sec(3600));
    rt_due_set(due, &b, START + apr_time_from_sec(30));
    ck_assert_int_eq(run(due, 20), 0);
    ck_assert_int_eq(run(due, -500), 0);        /* set back */
    ck_assert_int_eq(run(due, 29), 0);
    rt_due_set(due, &b, START + apr_time_from_sec(40));
    ck_assert_int_eq(run(due, 100000), 2);      /* a day ahead */
    rt_due_free(due);
}
END_TEST

static rt_due_entry_t pair[2];

static void ring_and_clear(rt_due_entry_t *entry)
{
    n_rung++;
    rt_due_clear(entry == &pair[0] ? &pair[1] : &pair[0]);
}

START_TEST(one_may_clear_the_other)
{
    rt_due_t *due = rt_due_make(START);

    rt_due_set(due, &pair[0], START + apr_time_from_sec(1));
    rt_due_set(due, &pair[1], START + apr_time_from_sec(1));
    n_rung = 0;
    rt_due_run(due, START + apr_time_from_sec(5), ring_and_clear);
    ck_assert_int_eq(n_rung, 1);
    rt_due_free(due);
}
END_TEST

START_TEST(paths_name_doors)
{
    static const struct { const char *path; rt_door_e door; } rows[] = {
        { "/socket.io/", RT_DOOR_SOCKET_IO },
        { "/socket.io/more", RT_DOOR_SOCKET_IO },
        { "/socket.io", RT_DOOR_NONE },
        { "/api/v1/realtime", RT_DOOR_PLAIN },
        { "/api/v1/realtime/", RT_DOOR_NONE },
        { "/api/v1/streams/0123456789abcdef01234567/events", RT_DOOR_STREAM },
        { "/api/v1/streams/0123456789ABCDEF01234567/events", RT_DOOR_NONE },
        { "/api/v1/streams/0123456789abcdef0123456/events", RT_DOOR_NONE },
        { "/api/v1/streams/0123456789abcdef01234567/events/", RT_DOOR_NONE },
        { "/api/v1/streams/0123456789abcdef01234567", RT_DOOR_NONE },
        { "/api/v1/streams/", RT_DOOR_NONE },
        { "", RT_DOOR_NONE },
    };
    unsigned int i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rt_path_door(rows[i].path) == rows[i].door, "%s", rows[i].path);
    }
    ck_assert_str_eq(rt_path_stream(rows[5].path, hb_test_pool), "0123456789abcdef01234567");
}
END_TEST

START_TEST(counts_are_bounded_by_key)
{
    rt_tally_t *tally = rt_tally_make(2);

    ck_assert(rt_tally_take(tally, "a"));
    ck_assert(rt_tally_take(tally, "a"));
    ck_assert(!rt_tally_take(tally, "a"));
    ck_assert(rt_tally_take(tally, "b"));
    rt_tally_give(tally, "a");
    ck_assert(rt_tally_take(tally, "a"));
    rt_tally_give(tally, "nobody");
    rt_tally_free(tally);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        each_rings_once_at_its_second, the_clock_may_jump, one_may_clear_the_other,
        paths_name_doors, counts_are_bounded_by_key, NULL
    };

    return hb_test_main("rt_due", cases);
}
