/* SPDX-License-Identifier: Apache-2.0 */
/* Rooms, who is in them, and what was said there (rt_room.c, rt_history.c). */
#include "hb_test.h"

#include <stdio.h>
#include <string.h>

#include "rt_room.h"

static rt_rooms_t *make_rooms(int chain_max, apr_size_t bytes_max)
{
    return rt_rooms_make(chain_max, bytes_max, hb_test_pool);
}

/* Say something numbered seq in a room, as the feed does. */
static void say(rt_rooms_t *rooms, const char *name, apr_uint64_t seq)
{
    const hb_event_t event = { .event = HB_EV_CHAT_NEW, .seq = seq, .id = "", .payload = "{}",
                               .payload_bytes = 2 };
    rt_room_t *room = rt_room_hold(rooms, name);
    rt_news_t *news = rt_news_make(&event);

    rt_room_keep(room, news);
    rt_news_drop(news);
    rt_room_release(room);
}

/* "5 6 7": what a room holds after a number. */
static const char *after(rt_rooms_t *rooms, const char *name, apr_uint64_t seq)
{
    static char text[400];
    rt_room_t *room = rt_room_find(rooms, name);
    rt_past_t *past = room != NULL ? rt_chain_after(rt_room_chain(room), seq) : NULL;

    text[0] = '\0';
    for (; past != NULL; past = rt_past_next(past)) {
        sprintf(text + strlen(text), "%s%d", text[0] != '\0' ? " " : "",
                (int)rt_news_seq(rt_past_news(past)));
    }
    return text;
}

static int covers(rt_rooms_t *rooms, const char *name, apr_uint64_t seq)
{
    rt_room_t *room = rt_room_hold(rooms, name);
    int does = rt_chain_covers(rt_room_chain(room), seq);

    rt_room_release(room);
    return does;
}

START_TEST(a_room_stands_as_long_as_somebody_needs_it)
{
    rt_rooms_t *rooms = make_rooms(10, 100000);
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
    say(rooms, "stream:a", 1);
    ck_assert_ptr_nonnull(rt_room_find(rooms, "stream:a"));
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
    rt_rooms_t *rooms = make_rooms(10, 100000);
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
    rt_rooms_t *rooms = make_rooms(10, 100000);
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

START_TEST(history_is_what_came_after)
{
    rt_rooms_t *rooms = make_rooms(10, 100000);
    int i;

    for (i = 1; i <= 8; i++) {
        say(rooms, i % 2 == 0 ? "stream:even" : "stream:odd", (apr_uint64_t)i);
    }
    ck_assert_str_eq(after(rooms, "stream:even", 0), "2 4 6 8");
    ck_assert_str_eq(after(rooms, "stream:even", 4), "6 8");
    ck_assert_str_eq(after(rooms, "stream:odd", 4), "5 7");
    ck_assert_str_eq(after(rooms, "stream:odd", 7), "");
    ck_assert(covers(rooms, "stream:odd", 0));
    ck_assert(covers(rooms, "stream:never", 0));
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(a_chain_is_bounded_and_says_so)
{
    rt_rooms_t *rooms = make_rooms(3, 100000);
    int i;

    for (i = 1; i <= 5; i++) {
        say(rooms, "stream:a", (apr_uint64_t)i * 10);
    }
    ck_assert_str_eq(after(rooms, "stream:a", 0), "30 40 50");
    ck_assert(!covers(rooms, "stream:a", 19));
    ck_assert(covers(rooms, "stream:a", 20));
    ck_assert(covers(rooms, "stream:b", 0));
    rt_rooms_free(rooms);
}
END_TEST

/* Bytes are bounded over all rooms: the oldest of all goes, and a room nobody is in with it. */
START_TEST(all_rooms_share_the_bound_of_bytes)
{
    rt_rooms_t *rooms = make_rooms(1000, 2000);
    rt_rooms_stats_t stats;
    rt_member_t anna = { NULL };
    rt_room_t *quiet = rt_room_hold(rooms, "stream:quiet");
    int i;

    rt_room_enter(quiet, &anna);
    rt_room_release(quiet);
    say(rooms, "stream:early", 1);
    say(rooms, "stream:quiet", 2);
    for (i = 3; i <= 100; i++) {
        say(rooms, "stream:loud", (apr_uint64_t)i);
    }
    rt_rooms_stats(&stats, rooms);
    ck_assert_uint_le(stats.history_bytes, 2000);
    ck_assert_ptr_null(rt_room_find(rooms, "stream:early"));
    ck_assert(!covers(rooms, "stream:early", 0));
    /* Nothing is forgotten of who stayed: what is complete is known exactly. */
    ck_assert(!covers(rooms, "stream:quiet", 1));
    ck_assert(covers(rooms, "stream:quiet", 2));
    ck_assert(covers(rooms, "stream:loud", 99));
    rt_room_leave_all(&anna);
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(what_is_lost_is_lost_for_all)
{
    rt_rooms_t *rooms = make_rooms(10, 100000);
    rt_member_t anna = { NULL };
    rt_room_t *room = rt_room_hold(rooms, "stream:a");

    rt_room_enter(room, &anna);
    rt_room_release(room);
    say(rooms, "stream:a", 1);
    say(rooms, "stream:b", 2);
    rt_rooms_forget(rooms, 50);
    ck_assert_ptr_null(rt_room_find(rooms, "stream:b"));
    ck_assert(!covers(rooms, "stream:a", 49));
    ck_assert(!covers(rooms, "stream:b", 49));
    ck_assert(covers(rooms, "stream:c", 50));
    say(rooms, "stream:a", 51);
    ck_assert_str_eq(after(rooms, "stream:a", 50), "51");
    rt_room_leave_all(&anna);
    rt_rooms_free(rooms);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_room_stands_as_long_as_somebody_needs_it, members_may_leave_while_all_are_told,
        a_room_may_empty_while_all_are_told, history_is_what_came_after,
        a_chain_is_bounded_and_says_so, all_rooms_share_the_bound_of_bytes,
        what_is_lost_is_lost_for_all, NULL
    };

    return hb_test_main("rt_room", cases);
}
