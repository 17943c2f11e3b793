/* SPDX-License-Identifier: Apache-2.0 */
/* Viewers by way of several hosts, and what becomes of those of a host that is silent. */
#include "hb_node.h"

#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_test_site.h"
#include "hb_viewer.h"

#define SEC APR_INT64_C(1000000)
#define LOST (30 * SEC)

static hb_test_site_t *ts;
static hb_test_person_t *anna, *ben;
static const char *room;
static const char *a, *b;       /* nodes */
static hb_node_watch_t *watch_of_b;

static void setup(void)
{
    hb_test_person_t *host;
    hb_json_t *stream;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "host");
    anna = hb_test_person(ts, "anna");
    ben = hb_test_person(ts, "ben");
    ck_assert_int_eq(hb_stream_create(&stream, hb_test_op_of(ts, host),
                                      hb_test_input("title", "t", NULL)), APR_SUCCESS);
    room = hb_json_string(stream, "_id");
    ck_assert_int_eq(hb_stream_start(&stream, hb_test_op_of(ts, host), room), APR_SUCCESS);
    ck_assert_int_eq(hb_node_id(&a, ts->dir, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_node_id(&b, hb_test_site_make(hb_test_pool)->dir, hb_test_pool),
                     APR_SUCCESS);
    watch_of_b = hb_node_watch_make(hb_test_pool);
}

static int count(void)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_stream_get(&stream, hb_test_site_op(ts), room), APR_SUCCESS);
    return (int)hb_json_int(stream, "viewers", 0);
}

/* From here on we are this node; NULL for none. */
static hb_op_t *op_at(const char *node, const hb_test_person_t *person)
{
    ts->site->node = node;
    return person != NULL ? hb_test_op_of(ts, person) : hb_test_site_op(ts);
}

static int beat(const char *node)
{
    int was_away;

    ck_assert_int_eq(hb_node_beat(&was_away, op_at(node, NULL)), APR_SUCCESS);
    return was_away;
}

static void join(const char *node, const hb_test_person_t *person)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_viewer_join(&stream, op_at(node, person), room), APR_SUCCESS);
}

static void leave(const char *node, const hb_test_person_t *person)
{
    ck_assert_int_eq(hb_viewer_leave(op_at(node, person), room), APR_SUCCESS);
}

static int watch(apr_int64_t now_usec)
{
    apr_int64_t n_out;

    ck_assert_int_eq(hb_node_watch(&n_out, watch_of_b, op_at(b, NULL), now_usec, LOST),
                     APR_SUCCESS);
    return (int)n_out;
}

START_TEST(an_id_stays)
{
    const char *again;

    setup();
    ck_assert_str_ne(a, b);
    ck_assert_int_eq(hb_node_id(&again, ts->dir, hb_test_pool), APR_SUCCESS);
    ck_assert_str_eq(a, again);
    ck_assert_int_ne(hb_node_id(&again, "/nonexistent", hb_test_pool), APR_SUCCESS);
}
END_TEST

START_TEST(one_person_at_two_nodes_is_one_viewer)
{
    setup();
    beat(a);
    beat(b);
    join(a, anna);
    join(b, anna);
    join(b, anna);
    ck_assert_int_eq(count(), 1);
    leave(a, anna);
    ck_assert_int_eq(count(), 1);
    leave(a, anna);             /* not there any more: not this node's to say */
    ck_assert_int_eq(count(), 1);
    leave(b, anna);
    ck_assert_int_eq(count(), 0);
    join(a, anna);
    join(b, anna);
    leave(NULL, anna);          /* over HTTP: altogether */
    ck_assert_int_eq(count(), 0);
    leave(a, anna);
    ck_assert_int_eq(count(), 0);
}
END_TEST

START_TEST(who_came_without_a_node_leaves_by_any)
{
    setup();
    beat(a);
    join(NULL, anna);
    leave(a, anna);
    ck_assert_int_eq(count(), 0);
}
END_TEST

START_TEST(a_silent_node_loses_its_viewers)
{
    setup();
    ck_assert_int_eq(beat(a), 1);
    ck_assert_int_eq(beat(b), 1);
    join(a, anna);
    join(a, ben);
    join(b, ben);
    ck_assert_int_eq(watch(0), 0);
    ck_assert_int_eq(beat(a), 0);
    ck_assert_int_eq(watch(29 * SEC), 0);
    ck_assert_int_eq(watch(58 * SEC), 0);
    ck_assert_int_eq(count(), 2);
    ck_assert_int_eq(watch(59 * SEC), 2);       /* ben is not counted less, but not by way of it */
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(watch(100 * SEC), 0);
    /* It was only slow. */
    ck_assert_int_eq(beat(a), 1);
    ck_assert_int_eq(hb_viewer_join_again(op_at(a, anna), room), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_join_again(op_at(a, ben), room), APR_SUCCESS);
    ck_assert_int_eq(count(), 2);
    ck_assert_int_eq(beat(a), 0);
    leave(b, ben);
    ck_assert_int_eq(count(), 2);
    leave(a, ben);
    ck_assert_int_eq(count(), 1);
}
END_TEST

/* It counts as it did when it was seen last, but it is another life. */
START_TEST(who_was_given_up_is_new_when_he_comes_back)
{
    setup();
    beat(a);
    beat(b);
    join(a, anna);
    ck_assert_int_eq(watch(0), 0);
    ck_assert_int_eq(watch(31 * SEC), 1);
    ck_assert_int_eq(beat(a), 1);
    join(a, anna);
    ck_assert_int_eq(watch(32 * SEC), 0);
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(watch(61 * SEC), 0);
    ck_assert_int_eq(watch(62 * SEC), 1);
    ck_assert_int_eq(count(), 0);
}
END_TEST

/* Marked as lost, and back before all of its viewers were counted out. */
START_TEST(who_comes_back_meanwhile_keeps_his_viewers)
{
    const hb_edit_t lost[] = { { "isLost", HB_SET, HB_BOOL(1) } };

    setup();
    beat(a);
    beat(b);
    join(a, anna);
    ck_assert_int_eq(hb_store_change(NULL, NULL, op_at(b, NULL), HB_C_NODES, a, NULL, 0, lost, 1),
                     APR_SUCCESS);
    ck_assert_int_eq(beat(a), 1);
    ck_assert_int_eq(hb_viewer_leave_lost(op_at(b, NULL), room, anna->id, a), APR_SUCCESS);
    ck_assert_int_eq(count(), 1);
}
END_TEST

static apr_status_t leave_him(void *baton, hb_op_t *op, const char *stream_id, const char *user_id)
{
    ++*(int *)baton;
    op->actor.user_id = user_id;
    return hb_viewer_leave(op, stream_id);
}

START_TEST(a_node_finds_what_it_left)
{
    int n = 0;

    setup();
    beat(a);
    join(a, anna);
    join(a, ben);
    join(b, ben);
    leave(b, anna);
    ck_assert_int_eq(hb_node_each_viewer(op_at(a, NULL), a, leave_him, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(count(), 0);       /* b has not said that it lives */
    ck_assert_int_eq(hb_node_each_viewer(op_at(a, NULL), a, leave_him, &n), APR_SUCCESS);
    ck_assert_int_eq(n, 2);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        an_id_stays, one_person_at_two_nodes_is_one_viewer, who_came_without_a_node_leaves_by_any,
        a_silent_node_loses_its_viewers, who_was_given_up_is_new_when_he_comes_back,
        who_comes_back_meanwhile_keeps_his_viewers, a_node_finds_what_it_left, NULL
    };

    return hb_test_main("node", cases);
}
