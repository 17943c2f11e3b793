/* SPDX-License-Identifier: Apache-2.0 */
/* What was said in rooms: in order, bounded, and honest about its gaps; from several threads. */
#include "rt_history.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "hb_test.h"

#define NO_END ((apr_uint64_t)-1)
#define NO_LIMIT ((apr_size_t)-1)

static rt_history_t *history;

static void begin(int chain_max, apr_size_t bytes_max)
{
    history = rt_history_make(chain_max, bytes_max);
}

/* Something numbered seq happens in a room. */
static void say(const char *room, apr_uint64_t seq)
{
    const hb_event_t event = { .event = HB_EV_CHAT_NEW, .seq = seq, .id = "", .payload = "{}",
                               .payload_bytes = 2, .at = apr_time_from_sec(seq) };
    char id[8];
    rt_news_t *news;

    snprintf(id, sizeof(id), "m%d", (int)seq);
    news = rt_news_make(&event, room, NULL, id);

    rt_history_keep(history, news);
    rt_news_drop(news);
}

/* "5 6 7", or "5 6 7 ..." when that is not all. */
static const char *missed_of(const rt_since_t *rooms, int n, apr_size_t bytes_max)
{
    static char text[4000];
    rt_missed_t missed;
    int i;

    rt_history_missed(&missed, history, rooms, n, bytes_max);
    text[0] = '\0';
    for (i = 0; i < missed.n; i++) {
        sprintf(text + strlen(text), "%s%d", i > 0 ? " " : "",
                (int)rt_news_seq(missed.news[i]));
    }
    strcat(text, missed.is_complete ? "" : " ...");
    rt_missed_free(&missed);
    return text;
}

static const char *after(const char *room, apr_uint64_t seq)
{
    const rt_since_t since = { room, seq, NO_END };

    return missed_of(&since, 1, NO_LIMIT);
}

START_TEST(history_is_what_came_after)
{
    const rt_since_t both[] = { { "stream:even", 2, 7 }, { "stream:odd", 4, NO_END },
                                { "stream:never", 0, NO_END } };
    int i;

    begin(10, 100000);
    for (i = 1; i <= 8; i++) {
        say(i % 2 == 0 ? "stream:even" : "stream:odd", (apr_uint64_t)i);
    }
    ck_assert_str_eq(after("stream:even", 0), "2 4 6 8");
    ck_assert_str_eq(after("stream:even", 4), "6 8");
    ck_assert_str_eq(after("stream:odd", 7), "");
    ck_assert_str_eq(after("stream:never", 0), "");
    ck_assert_str_eq(missed_of(both, 3, NO_LIMIT), "4 5 6 7");
    rt_history_free(history);
}
END_TEST

START_TEST(a_chain_is_bounded_and_says_so)
{
    int i;

    begin(3, 100000);
    for (i = 1; i <= 5; i++) {
        say("stream:a", (apr_uint64_t)i * 10);
    }
    ck_assert_str_eq(after("stream:a", 0), "30 40 50 ...");
    ck_assert_str_eq(after("stream:a", 19), "30 40 50 ...");
    ck_assert_str_eq(after("stream:a", 20), "30 40 50");
    ck_assert_str_eq(after("stream:b", 0), "");
    rt_history_set_max(history, 1, 100000);
    say("stream:a", 60);
    ck_assert_str_eq(after("stream:a", 50), "60");
    ck_assert_str_eq(after("stream:a", 40), "60 ...");
    rt_history_free(history);
}
END_TEST

/* Bytes are bounded over all rooms: the oldest of all goes first. */
START_TEST(all_rooms_share_the_bound_of_bytes)
{
    int i;

    begin(1000, 4000);
    say("stream:early", 1);
    say("stream:quiet", 2);
    for (i = 3; i <= 100; i++) {
        say("stream:loud", (apr_uint64_t)i);
    }
    ck_assert_uint_le(rt_history_bytes(history), 4000);
    ck_assert_str_eq(after("stream:early", 0), " ...");
    ck_assert_str_eq(after("stream:quiet", 1), " ...");
    ck_assert_str_eq(after("stream:quiet", 2), "");
    ck_assert_str_eq(after("stream:loud", 99), "100");
    rt_history_free(history);
    begin(1000, 1);
    say("stream:a", 1);
    ck_assert_str_eq(after("stream:a", 0), " ...");
    ck_assert_uint_eq(rt_history_bytes(history), 0);
    rt_history_free(history);
}
END_TEST

START_TEST(too_much_to_tell_again_is_not_complete)
{
    const rt_since_t since = { "stream:a", 0, NO_END };
    int i;

    begin(100, 1000000);
    for (i = 1; i <= 50; i++) {
        say("stream:a", (apr_uint64_t)i);
    }
    ck_assert_str_eq(missed_of(&since, 1, 10), " ...");
    ck_assert_str_eq(missed_of(&since, 1, rt_history_bytes(history) / 25), "1 2 ...");
    rt_history_free(history);
}
END_TEST

START_TEST(what_is_lost_is_lost_for_all)
{
    begin(10, 100000);
    say("stream:a", 1);
    say("stream:b", 2);
    rt_history_forget(history, 50);
    ck_assert_str_eq(after("stream:a", 49), " ...");
    ck_assert_str_eq(after("stream:b", 49), " ...");
    ck_assert_str_eq(after("stream:c", 50), "");
    say("stream:a", 51);
    ck_assert_str_eq(after("stream:a", 50), "51");
    rt_history_forget(history, 0);              /* a new log counts from 1 again */
    say("stream:a", 1);
    ck_assert_str_eq(after("stream:a", 0), "1");
    rt_history_free(history);
}
END_TEST

/* What was said half a second before it is told. */
static int lacks(const char *room, int seq)
{
    char id[8];

    snprintf(id, sizeof(id), "m%d", seq);
    return rt_history_lacks(history, room, id, apr_time_from_sec(seq) - 500000);
}

static int has(const char *room, int seq)
{
    char id[8];

    snprintf(id, sizeof(id), "m%d", seq);
    return rt_history_has(history, room, id, apr_time_from_sec(seq) - 500000);
}

START_TEST(a_room_knows_what_it_was_told)
{
    begin(3, 100000);
    ck_assert(!has("stream:a", 1));
    say("stream:a", 1);
    say("stream:b", 2);
    say("stream:a", 3);
    ck_assert(has("stream:a", 1));
    ck_assert(!has("stream:a", 2));
    ck_assert(has("stream:b", 2));
    ck_assert(has("stream:a", 3));
    say("stream:a", 4);
    say("stream:a", 5);
    ck_assert(!has("stream:a", 1));             /* given up */
    rt_history_forget(history, 5);
    ck_assert(!has("stream:a", 5));
    rt_history_free(history);
}
END_TEST

START_TEST(a_room_knows_what_it_was_not_told)
{
    begin(3, 100000);
    ck_assert(!lacks("stream:a", 1));           /* nothing is known yet */
    say("stream:b", 1);
    ck_assert(!lacks("stream:a", 1));
    ck_assert(lacks("stream:a", 2));
    say("stream:a", 2);
    ck_assert(!lacks("stream:a", 2));
    ck_assert(lacks("stream:b", 2));
    say("stream:a", 4);
    ck_assert(lacks("stream:a", 3));            /* said between, and late */
    say("stream:a", 5);
    say("stream:a", 6);                         /* there 2 is given up */
    ck_assert(!lacks("stream:a", 2));
    ck_assert(lacks("stream:a", 3));
    say("stream:a", 7);
    ck_assert(!lacks("stream:a", 3));
    ck_assert(!lacks("stream:a", 4));
    rt_history_forget(history, 7);
    ck_assert(!lacks("stream:a", 8));
    say("stream:a", 8);
    ck_assert(!lacks("stream:a", 8));
    ck_assert(lacks("stream:a", 9));
    rt_history_free(history);
}
END_TEST

/* Loops look while another adds: what they get is in order, and whole when it says so. */
static void *look(void *wrong)
{
    const rt_since_t since[] = { { "stream:a", 0, NO_END }, { "stream:b", 0, NO_END } };
    rt_missed_t missed;
    int i, k;

    for (i = 0; i < 300; i++) {
        rt_history_missed(&missed, history, since, 2, NO_LIMIT);
        for (k = 1; k < missed.n; k++) {
            *(int *)wrong += rt_news_seq(missed.news[k]) != rt_news_seq(missed.news[k - 1]) + 1;
        }
        rt_missed_free(&missed);
    }
    return NULL;
}

START_TEST(loops_look_while_events_come)
{
    pthread_t threads[3];
    int wrong[3] = { 0 }, i;

    begin(50, 1000000);
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look, &wrong[i]), 0);
    }
    for (i = 1; i <= 4000; i++) {
        say(i % 2 == 0 ? "stream:a" : "stream:b", (apr_uint64_t)i);
    }
    for (i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(wrong[i], 0);
    }
    rt_history_free(history);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        history_is_what_came_after, a_chain_is_bounded_and_says_so,
        all_rooms_share_the_bound_of_bytes, too_much_to_tell_again_is_not_complete,
        what_is_lost_is_lost_for_all, a_room_knows_what_it_was_told,
        a_room_knows_what_it_was_not_told,
        loops_look_while_events_come, NULL
    };

    return hb_test_main("rt_history", cases);
}
