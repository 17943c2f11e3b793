/* SPDX-License-Identifier: Apache-2.0 */
/* Who may react, how often, and what the room is told. */
#include "hb_reaction.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_room.h"
#include "hb_schema.h"
#include "hb_social.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_bus.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *host, *anna;
static const char *room;
static hb_bus_reader_t *ear;

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static void open_site(const char *settings)
{
    hb_json_t *stream;

    ts = hb_test_site_make_with(settings, hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "thehost");
    anna = hb_test_person(ts, "anna");
    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    room = apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
    ck_assert_int_eq(hb_stream_start(&stream, as(host), room), APR_SUCCESS);
    ear = hb_test_listen(ts);
}

static apr_status_t react(const hb_test_person_t *person, const char *kind)
{
    return hb_reaction_send(as(person), room, hb_test_input("kind", kind, NULL));
}

START_TEST(a_reaction_is_told_as_a_count)
{
    hb_json_t *news;

    open_site("");
    ck_assert_int_eq(react(anna, "fire"), APR_SUCCESS);
    news = hb_test_heard(ear, HB_EV_REACTION_NEW, room);
    ck_assert_ptr_null(hb_schema_misfit_of("reactionCounts", news, hb_test_pool));
    ck_assert_int_eq(hb_json_int(hb_json_get(news, "counts"), "fire", 0), 1);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_REACTIONS), 1);
}
END_TEST

START_TEST(who_may_not_speak_may_not_react)
{
    hb_json_t *view;

    open_site("");
    ck_assert_int_eq(hb_room_restrain(&view, as(host), room, anna->id,
                                      hb_test_input("action", "shadow_mute", NULL)), APR_SUCCESS);
    ck_assert_int_eq(react(anna, "heart"), APR_SUCCESS);
    ck_assert_ptr_null(hb_test_heard(ear, HB_EV_REACTION_NEW, room));
    ck_assert_int_eq(hb_room_restrain(&view, as(host), room, anna->id,
                                      hb_test_input("action", "mute", NULL)), APR_SUCCESS);
    ck_assert_int_eq(react(anna, "heart"), HB_E_ROOM_MUTED);
    ck_assert_int_eq(hb_room_lift(as(host), room, anna->id), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(host), anna->id), APR_SUCCESS);
    ck_assert_int_eq(react(anna, "heart"), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_reaction_send(hb_test_site_op(ts), room,
                                      hb_test_input("kind", "heart", NULL)), HB_E_AUTH_REQUIRED);
    ck_assert_int_eq(hb_stream_end(&view, as(host), room), APR_SUCCESS);
    ck_assert_int_eq(react(host, "heart"), HB_E_STREAM_ENDED);
}
END_TEST

START_TEST(nobody_reacts_without_end)
{
    hb_op_t *op;
    int i;

    open_site("HaloBuzzReactionsPerMinute 3\n");
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(react(anna, "wow"), APR_SUCCESS);
    }
    op = as(anna);
    ck_assert_int_eq(hb_reaction_send(op, room, hb_test_input("kind", "wow", NULL)), HB_E_LIMITED);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    ck_assert_int_eq(react(host, "wow"), APR_SUCCESS);
}
END_TEST

START_TEST(counts_add_up_and_stop_at_the_end)
{
    hb_reactions_t sum = { { 0 } };
    hb_json_t *counts = hb_json_object_make(hb_test_pool);

    hb_json_set_int(counts, "heart", 4000000000LL);
    hb_json_set_int(counts, "like", -5);
    hb_json_set_int(counts, "nonsense", 5);
    hb_reactions_add(&sum, counts);
    hb_reactions_add(&sum, counts);
    ck_assert_uint_eq(sum.n[hb_reaction_kind("heart")], 4294967295u);
    ck_assert_uint_eq(sum.n[hb_reaction_kind("like")], 0);
    ck_assert_int_eq(hb_reaction_kind("nonsense"), -1);
    ck_assert_int_eq(hb_reaction_kind(NULL), -1);
}
END_TEST

/* The words of the form, of the reply and of the core are the same ones. */
START_TEST(kinds_agree_with_the_schema)
{
    const char *words = hb_shape_field(HB_F_REACTION_SEND, "kind")->extra;
    int i;

    for (i = 0; i < HB_REACTION_KINDS; i++) {
        ck_assert_ptr_nonnull(strstr(words, hb_reaction_name(i)));
        ck_assert_ptr_nonnull(hb_shape_field(HB_R_REACTION_KINDS, hb_reaction_name(i)));
    }
    ck_assert_ptr_null(hb_reaction_name(HB_REACTION_KINDS));
    ck_assert_int_eq(hb_shape(HB_R_REACTION_KINDS)->n_fields, HB_REACTION_KINDS);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_reaction_is_told_as_a_count, who_may_not_speak_may_not_react,
        nobody_reacts_without_end, counts_add_up_and_stop_at_the_end,
        kinds_agree_with_the_schema, NULL
    };

    return hb_test_main("hb_reaction", cases);
}
