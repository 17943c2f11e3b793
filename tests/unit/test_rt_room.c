/* SPDX-License-Identifier: Apache-2.0 */
/* Rooms and who is in them. */
#include "hb_test.h"

#include <string.h>

#include "rt_room.h"

START_TEST(a_room_stands_as_long_as_somebody_needs_it)
{
    rt_rooms_t *rooms = rt_rooms_make(hb_test_pool);
    rt_member_t anna = { NULL }, ben = { NULL };
    rt_room_t *room = rt_room_hold(rooms, "stream:a");

    rt_room_enter(room, &anna);
    rt_room_enter(room, &anna);
    rt_room_enter(room, &ben);
    rt_room_release(room);
    ck_assert_ptr_eq(rt_room_find(rooms, "stream:a"), room);
    ck_assert_int_eq(rt_room_members(room), 2);
    ck_assert_str_eq(rt_room_stream(room), "a");
    ck_assert_int_eq(rt_room_leave(room, &anna), 1);
    ck_assert_int_eq(rt_room_leave(room, &anna), 0);
    ck_assert_int_eq(rt_room_has(room, &ben), 1);
    rt_room_leave_all(&ben);
    rt_room_leave_all(&anna);
    ck_assert_ptr_null(rt_room_find(rooms, "stream:a"));
    rt_rooms_free(rooms);
}
END_TEST

typedef struct walk_t {
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_member_t *members;
    int seen[200];
    int n;
} walk_t;

static void leave_others(void *baton, rt_member_t *member)
{
    walk_t *walk = baton;
    int me = (int)(member - walk->members);

    walk->seen[me]++;
    walk->n++;
    /* Each third takes itself and the next out, one behind as well. */
    if (me % 3 == 0) {
        rt_room_leave(walk->room, member);
        rt_room_leave(walk->room, &walk->members[me + 1]);
        if (me > 0) {
            rt_room_leave(walk->room, &walk->members[me - 1]);
        }
    }
}

START_TEST(members_may_leave_while_all_are_told)
{
    rt_rooms_t *rooms = rt_rooms_make(hb_test_pool);
    rt_member_t members[100] = { { NULL } };
    walk_t walk = { rooms, rt_room_hold(rooms, "stream:a"), members };
    int i;

    for (i = 0; i < 99; i++) {
        rt_room_enter(walk.room, &members[i]);
    }
    rt_room_each(walk.room, leave_others, &walk);
    for (i = 0; i < 99; i++) {
        ck_assert_int_eq(walk.seen[i], i % 3 == 1 ? 0 : 1);
        ck_assert_int_eq(rt_room_has(walk.room, &members[i]), i == 98);
    }
    ck_assert_int_eq(rt_room_members(walk.room), 1);
    memset(walk.seen, 0, sizeof(walk.seen));
    rt_room_enter(walk.room, &members[5]);
    walk.n = 0;
    rt_room_each(walk.room, leave_others, &walk);
    ck_assert_int_eq(walk.n, 2);
    for (i = 0; i < 100; i++) {
        rt_room_leave_all(&members[i]);
    }
    rt_room_release(walk.room);
    ck_assert_ptr_null(rt_room_find(rooms, "stream:a"));
    rt_rooms_free(rooms);
}
END_TEST

static void leave_me(void *baton, rt_member_t *member)
{
    rt_room_leave(baton, member);
}

START_TEST(a_room_may_empty_while_all_are_told)
{
    rt_rooms_t *rooms = rt_rooms_make(hb_test_pool);
    rt_member_t members[3] = { { NULL } };
    rt_room_t *room = rt_room_hold(rooms, "user:u");
    int i;

    for (i = 0; i < 3; i++) {
        rt_room_enter(room, &members[i]);
    }
    rt_room_release(room);
    rt_room_each(room, leave_me, room);
    ck_assert_ptr_null(rt_room_find(rooms, "user:u"));
    for (i = 0; i < 3; i++) {
        rt_room_leave_all(&members[i]);
    }
    rt_rooms_free(rooms);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_room_stands_as_long_as_somebody_needs_it, members_may_leave_while_all_are_told,
        a_room_may_empty_while_all_are_told, NULL
    };

    return hb_test_main("rt_room", cases);
}
