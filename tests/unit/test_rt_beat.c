/* SPDX-License-Identifier: Apache-2.0 */
/* What a room tells once a beat (rt_beat.c, rt_presence.c). */
#include "hb_test.h"

#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_json.h"
#include "hb_schema.h"
#include "rt_beat.h"

typedef struct told_t {
    int n;
    hb_event_e events[8];
    const char *payloads[8];
} told_t;

static void hear(void *baton, hb_event_e event, const char *payload, apr_size_t len)
{
    told_t *told = baton;

    told->events[told->n] = event;
    told->payloads[told->n++] = apr_pstrmemdup(hb_test_pool, payload, len);
}

static void move(rt_beat_t *beat, int who, int is_in, int viewers)
{
    const char *text = apr_psprintf(hb_test_pool, "{\"user\":{\"id\":\"%024d\",\"username\":"
                                    "\"u%d\"},\"isIn\":%s,\"viewers\":%d}", who, who,
                                    is_in ? "true" : "false", viewers);

    rt_beat_moved(beat, text, strlen(text), hb_test_pool);
}

static hb_json_t *flush(told_t *told, rt_beat_t *beat)
{
    hb_json_t *json = NULL;
    const char *why;

    memset(told, 0, sizeof(*told));
    ck_assert(rt_beat_flush(beat, "cccccccccccccccccccccccc", 0, 1, hb_test_pool, hear, told));
    if (told->n > 0) {
        ck_assert_int_eq(hb_json_parse(&json, &why, told->payloads[0],
                                       strlen(told->payloads[0]), hb_test_pool), APR_SUCCESS);
    }
    return json;
}

static rt_beat_t *make_beat(rt_rooms_t **rooms, rt_room_t **room)
{
    *rooms = rt_rooms_make(hb_test_pool);
    rt_rooms_on_gone(*rooms, rt_beat_free);
    *room = rt_room_hold(*rooms, "stream:cccccccccccccccccccccccc");
    return rt_beat_of(*room);
}

START_TEST(coming_and_going_within_a_beat_is_not_told)
{
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_beat_t *beat = make_beat(&rooms, &room);
    told_t told;
    hb_json_t *json;

    move(beat, 1, 1, 1);
    move(beat, 2, 1, 2);
    move(beat, 1, 0, 1);
    move(beat, 3, 0, 0);
    json = flush(&told, beat);
    ck_assert_int_eq(told.n, 1);
    ck_assert_int_eq(told.events[0], HB_EV_PRESENCE_UPDATE);
    ck_assert_int_eq(hb_json_int(json, "viewers", -1), 0);
    ck_assert_int_eq(hb_json_length(hb_json_get(json, "joined")), 1);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(json, "joined"), 0), "username"),
                     "u2");
    ck_assert_int_eq(hb_json_length(hb_json_get(json, "left")), 1);
    flush(&told, beat);
    ck_assert_int_eq(told.n, 0);
    rt_room_release(room);
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(a_crowd_becomes_a_number)
{
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_beat_t *beat = make_beat(&rooms, &room);
    told_t told;
    hb_json_t *json;
    int i;

    for (i = 0; i < 5000; i++) {
        move(beat, i, 1, i + 1);
    }
    json = flush(&told, beat);
    ck_assert_int_eq(hb_json_length(hb_json_get(json, "joined")), 50);
    ck_assert_int_eq(hb_json_int(json, "moreJoined", 0), 4950);
    ck_assert_int_eq(hb_json_int(json, "moreLeft", -1), 0);
    ck_assert_int_eq(hb_json_int(json, "viewers", 0), 5000);
    rt_room_release(room);
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(a_large_room_is_told_less_often)
{
    static const struct {
        const char *label;
        apr_uint64_t now;
        int members;
        int is_told;
    } rows[] = {
        { "the first at once", 10000, 5000, 1 },
        { "not at the next beat", 10500, 5000, 0 },
        { "nor when many have gone: it was settled when it was told", 12500, 1, 0 },
        { "each thousand is a beat more", 13000, 999, 1 },
        { "a small room at each beat", 13500, 100000, 1 },
        { "never later than ten beats", 18499, 100000, 0 },
        { "and then", 18500, 100000, 1 },
    };
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_beat_t *beat = make_beat(&rooms, &room);
    told_t told;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int is_done;

        memset(&told, 0, sizeof(told));
        move(beat, (int)i, 1, 7);
        rt_beat_count(beat, HB_EV_METRICS_UPDATE, "{}", 2);
        is_done = rt_beat_flush(beat, "cccccccccccccccccccccccc", rows[i].now, rows[i].members,
                                hb_test_pool, hear, &told);
        ck_assert_msg(is_done == rows[i].is_told && told.n == 1 + rows[i].is_told, "%s",
                      rows[i].label);
    }
    rt_room_release(room);
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(only_the_latest_count_is_told)
{
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_beat_t *beat = make_beat(&rooms, &room);
    told_t told;

    rt_beat_count(beat, HB_EV_METRICS_UPDATE, "{\"viewers\":1}", 13);
    rt_beat_count(beat, HB_EV_METRICS_UPDATE, "{\"viewers\":2}", 13);
    flush(&told, beat);
    ck_assert_int_eq(told.n, 1);
    ck_assert_int_eq(told.events[0], HB_EV_METRICS_UPDATE);
    ck_assert_str_eq(told.payloads[0], "{\"viewers\":2}");
    rt_beat_count(beat, HB_EV_METRICS_UPDATE, "{\"viewers\":3}", 13);
    rt_room_release(room);
    rt_rooms_free(rooms);
}
END_TEST

START_TEST(reactions_are_added_up)
{
    const char *text = "{\"streamId\":\"cccccccccccccccccccccccc\",\"counts\":{\"heart\":2,\"fire\":1}}";
    rt_rooms_t *rooms;
    rt_room_t *room;
    rt_beat_t *beat = make_beat(&rooms, &room);
    hb_reactions_t own;
    hb_json_t *counts;
    told_t told;

    rt_beat_reacted(beat, text, strlen(text), hb_test_pool);
    rt_beat_reacted(beat, text, strlen(text), hb_test_pool);
    rt_beat_react(beat, 1);
    counts = hb_json_get(flush(&told, beat), "counts");
    ck_assert_int_eq(told.n, 1);
    ck_assert_int_eq(told.events[0], HB_EV_REACTION_NEW);
    ck_assert_ptr_null(hb_schema_misfit_of("reactionCounts", hb_json_parse_own(told.payloads[0],
                       strlen(told.payloads[0]), hb_test_pool), hb_test_pool));
    ck_assert_int_eq(hb_json_int(counts, "heart", 0), 4);
    ck_assert_int_eq(hb_json_int(counts, "fire", 0), 2);
    ck_assert(!hb_json_has(counts, "like"));
    ck_assert(rt_beat_take_own(&own, beat));
    ck_assert_uint_eq(own.n[1], 1);
    ck_assert(!rt_beat_take_own(&own, beat));
    flush(&told, beat);
    ck_assert_int_eq(told.n, 0);
    rt_room_release(room);
    rt_rooms_free(rooms);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        coming_and_going_within_a_beat_is_not_told, a_crowd_becomes_a_number,
        a_large_room_is_told_less_often, only_the_latest_count_is_told, reactions_are_added_up, NULL
    };

    return hb_test_main("rt_beat", cases);
}
