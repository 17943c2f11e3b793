/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that can be taken up again (rt_recover.c), over deaths of the program too. */
#include "hb_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "rt_recover.h"

#define EPOCH "0123456789abcdef"
#define KEEP apr_time_from_sec(120)
#define ANNA "aaaaaaaaaaaaaaaaaaaaaaaa"
#define BEN "bbbbbbbbbbbbbbbbbbbbbbbb"

static const char *path;
static apr_time_t now;

static rt_recover_t *open_file(const char *epoch, apr_uint32_t slots)
{
    rt_recover_t *recover;

    ck_assert_int_eq(rt_recover_open(&recover, path, epoch, slots, KEEP, now, hb_test_pool),
                     APR_SUCCESS);
    return recover;
}

static void setup(void)
{
    char name[] = "/tmp/rt_recover.XXXXXX";

    ck_assert_int_ge(mkstemp(name), 0);
    path = apr_pstrdup(hb_test_pool, name);
    now = apr_time_from_sec(1000000);
}

static rt_kept_t kept_of(const char *pid, const char *user)
{
    rt_kept_t kept;

    memset(&kept, 0, sizeof(kept));
    apr_cpystrn(kept.pid, pid, sizeof(kept.pid));
    apr_cpystrn(kept.sid, "sid", sizeof(kept.sid));
    apr_cpystrn(kept.user_id, user, sizeof(kept.user_id));
    kept.since = 7;
    return kept;
}

static int add(rt_recover_t *recover, const char *pid, const char *user)
{
    rt_kept_t kept = kept_of(pid, user);

    return rt_recover_add(recover, &kept, now);
}

static rt_found_e take(rt_recover_t *recover, const char *pid, const char *user)
{
    rt_kept_t kept;
    int place;

    return rt_recover_take(&kept, &place, recover, pid, user, now);
}

START_TEST(a_cut_connection_is_taken_once)
{
    rt_recover_t *recover;
    rt_kept_room_t room;
    rt_kept_t kept;
    int place, again;

    setup();
    memset(&room, 0, sizeof(room));     /* the gaps as well: they are summed up */
    room.since = 42;
    memset(room.stream_id, 'c', RT_STREAM_ID_MAX);
    recover = open_file(EPOCH, 16);
    place = add(recover, "one", ANNA);
    rt_recover_rooms(recover, place, &room, 1);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_LIVE);
    rt_recover_cut(recover, place, now);
    ck_assert_int_eq(take(recover, "two", ANNA), RT_FOUND_NONE);
    ck_assert_int_eq(take(recover, "one", BEN), RT_FOUND_NONE);
    ck_assert_int_eq(rt_recover_take(&kept, &again, recover, "one", ANNA, now), RT_FOUND_CUT);
    ck_assert_int_eq(again, place);
    ck_assert_uint_eq(kept.since, 7);
    ck_assert_uint_eq(kept.n_rooms, 1);
    ck_assert_uint_eq(kept.rooms[0].since, 42);
    ck_assert_str_eq(kept.rooms[0].stream_id, room.stream_id);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_LIVE);
    rt_recover_remove(recover, place);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_NONE);
    unlink(path);
}
END_TEST

START_TEST(time_ends_it)
{
    rt_recover_t *recover;

    setup();
    recover = open_file(EPOCH, 16);
    rt_recover_cut(recover, add(recover, "one", ANNA), now);
    now += KEEP / 2;
    rt_recover_cut(recover, add(recover, "two", ANNA), now);
    now += KEEP / 2;
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_NONE);
    ck_assert_int_eq(take(recover, "two", ANNA), RT_FOUND_CUT);
    rt_recover_set_keep(recover, KEEP * 2);
    rt_recover_cut(recover, add(recover, "three", ANNA), now);
    now += KEEP;
    ck_assert_int_eq(take(recover, "three", ANNA), RT_FOUND_CUT);
    unlink(path);
}
END_TEST

START_TEST(a_program_that_died_left_everything)
{
    rt_recover_t *recover, *next;
    apr_uint32_t n_live, n_cut;
    int place;

    setup();
    recover = open_file(EPOCH, 16);
    add(recover, "live", ANNA);
    rt_recover_cut(recover, add(recover, "cut", BEN), now);
    place = add(recover, "ended", BEN);
    rt_recover_remove(recover, place);
    now += apr_time_from_sec(60);
    next = open_file(EPOCH, 16);        /* nobody closed the first */
    rt_recover_count(next, &n_live, &n_cut);
    ck_assert_uint_eq(n_live, 0);
    ck_assert_uint_eq(n_cut, 2);
    now += apr_time_from_sec(59);
    ck_assert_int_eq(take(next, "cut", BEN), RT_FOUND_CUT);
    ck_assert_int_eq(take(next, "ended", BEN), RT_FOUND_NONE);
    now += apr_time_from_sec(60);       /* counts from the start of the next */
    ck_assert_int_eq(take(next, "live", ANNA), RT_FOUND_CUT);
    unlink(path);
}
END_TEST

START_TEST(another_log_or_size_begins_anew)
{
    rt_recover_t *recover;

    setup();
    recover = open_file(EPOCH, 16);
    rt_recover_cut(recover, add(recover, "one", ANNA), now);
    recover = open_file("fedcba9876543210", 16);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_NONE);
    rt_recover_cut(recover, add(recover, "one", ANNA), now);
    recover = open_file("fedcba9876543210", 32);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_NONE);
    rt_recover_cut(recover, add(recover, "one", ANNA), now);
    rt_recover_restart(recover, EPOCH, 0);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_NONE);
    unlink(path);
}
END_TEST

/* Who was connected when events were lost has an offset that may be one of the new log as well. */
START_TEST(who_missed_something_is_not_taken_up_again)
{
    rt_recover_t *recover, *next;
    rt_kept_t kept;
    int old, taken, later, place;

    setup();
    recover = open_file(EPOCH, 16);
    old = add(recover, "old", ANNA);
    taken = add(recover, "taken", ANNA);
    rt_recover_cut(recover, taken, now);
    ck_assert_int_eq(rt_recover_take(&kept, &place, recover, "taken", ANNA, now), RT_FOUND_CUT);
    rt_recover_restart(recover, "fedcba9876543210", 1);
    ck_assert_int_eq(rt_recover_is_spoilt(recover, place), 1);      /* while its thread was under way */
    ck_assert_int_eq(take(recover, "old", ANNA), RT_FOUND_NONE);
    rt_recover_rooms(recover, old, NULL, 0);
    next = open_file("fedcba9876543210", 16);       /* killed before it was cut */
    ck_assert_int_eq(take(next, "old", ANNA), RT_FOUND_NONE);
    rt_recover_cut(recover, old, now);
    rt_recover_cut(recover, taken, now);
    ck_assert_int_eq(take(recover, "old", ANNA), RT_FOUND_NONE);
    ck_assert_int_eq(take(recover, "taken", ANNA), RT_FOUND_NONE);

    /* The places serve others. */
    later = add(recover, "later", BEN);
    ck_assert(later == old || later == taken);
    ck_assert_int_eq(rt_recover_is_spoilt(recover, later), 0);
    rt_recover_cut(recover, later, now);
    ck_assert_int_eq(rt_recover_take(&kept, &place, recover, "later", BEN, now), RT_FOUND_CUT);
    rt_recover_spoil(recover, place);
    rt_recover_cut(recover, place, now);
    ck_assert_int_eq(take(recover, "later", BEN), RT_FOUND_NONE);
    unlink(path);
}
END_TEST

/* The log was not known yet: nobody has missed anything. */
START_TEST(who_came_before_the_log_was_known_is_taken_up_again)
{
    rt_recover_t *recover;
    int place;

    setup();
    recover = open_file("", 16);
    place = add(recover, "one", ANNA);
    rt_recover_restart(recover, EPOCH, 0);
    rt_recover_cut(recover, place, now);
    ck_assert_int_eq(take(recover, "one", ANNA), RT_FOUND_CUT);
    unlink(path);
}
END_TEST

START_TEST(a_full_file_gives_up_the_oldest_cut)
{
    rt_recover_t *recover;
    int places[4], i;
    char pid[16];

    setup();
    recover = open_file(EPOCH, 4);
    for (i = 0; i < 4; i++) {
        sprintf(pid, "p%d", i);
        places[i] = add(recover, pid, ANNA);
        ck_assert_int_eq(places[i], i);
    }
    ck_assert_int_eq(add(recover, "more", ANNA), -1);
    rt_recover_cut(recover, places[2], now);
    rt_recover_cut(recover, places[1], now);
    ck_assert_int_eq(add(recover, "more", ANNA), 2);
    ck_assert_int_eq(take(recover, "p2", ANNA), RT_FOUND_NONE);
    ck_assert_int_eq(take(recover, "p1", ANNA), RT_FOUND_CUT);
    unlink(path);
}
END_TEST

START_TEST(the_oldest_cut_goes_first_after_a_death_too)
{
    rt_recover_t *recover;
    int i;
    char pid[16];

    setup();
    recover = open_file(EPOCH, 4);
    for (i = 0; i < 4; i++) {
        sprintf(pid, "p%d", i);
        add(recover, pid, ANNA);
    }
    for (i = 0; i < 4; i++) {
        rt_recover_cut(recover, (i * 3 + 2) % 4, now += 1000);  /* 2 1 0 3 */
    }
    recover = open_file(EPOCH, 4);
    ck_assert_int_eq(add(recover, "more", ANNA), 2);
    ck_assert_int_eq(add(recover, "more again", ANNA), 1);
    ck_assert_int_eq(add(recover, "and again", ANNA), 0);
    ck_assert_int_eq(take(recover, "p3", ANNA), RT_FOUND_CUT);
    unlink(path);
}
END_TEST

/* Any byte of the file may be wrong: nothing false is believed, nothing crashes. */
START_TEST(damage_is_not_believed)
{
    rt_recover_t *recover;
    unsigned char byte;
    int fd, i, n = 0;

    setup();
    recover = open_file(EPOCH, 16);
    for (i = 0; i < 8; i++) {
        char pid[16];

        sprintf(pid, "p%d", i);
        add(recover, pid, ANNA);
    }
    fd = open(path, O_RDWR);
    srand(7);
    for (i = 0; i < 6; i++) {
        off_t at = 4096 + 8 + rand() % 2400;

        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x41;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    recover = open_file(EPOCH, 16);
    for (i = 0; i < 8; i++) {
        char pid[16];

        sprintf(pid, "p%d", i);
        n += take(recover, pid, ANNA) == RT_FOUND_CUT;
    }
    ck_assert_int_ge(n, 2);
    ck_assert_int_lt(n, 8);
    ck_assert_int_ge(add(recover, "new", BEN), 0);
    unlink(path);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_cut_connection_is_taken_once, time_ends_it, a_program_that_died_left_everything,
        another_log_or_size_begins_anew,
        who_missed_something_is_not_taken_up_again,
        who_came_before_the_log_was_known_is_taken_up_again, a_full_file_gives_up_the_oldest_cut,
        the_oldest_cut_goes_first_after_a_death_too, damage_is_not_believed, NULL
    };

    return hb_test_main("rt_recover", cases);
}
