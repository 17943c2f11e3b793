/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as viewers (rt_viewers.c): the core hears of the first and of the last. */
#include "hb_test.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test_people.h"
#include "hb_test_site.h"
#include "hb_viewer.h"
#include "rt_viewers.h"

static hb_test_site_t *ts;
static hb_test_person_t *anna, *ben;
static const char *stream_id;
static rt_viewers_t *viewers;

static void setup(void)
{
    hb_test_person_t *host;
    hb_json_t *stream;
    hb_op_t *op;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    host = hb_test_person(ts, "host");
    anna = hb_test_person(ts, "anna");
    ben = hb_test_person(ts, "ben");
    op = hb_test_op_of(ts, host);
    ck_assert_int_eq(hb_stream_create(&stream, op, hb_test_input("title", "t", NULL)),
                     APR_SUCCESS);
    stream_id = hb_json_string(stream, "_id");
    ck_assert_int_eq(hb_stream_start(&stream, hb_test_op_of(ts, host), stream_id), APR_SUCCESS);
    viewers = rt_viewers_make(15000);
}

static int count(void)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_stream_get(&stream, hb_test_site_op(ts), stream_id), APR_SUCCESS);
    return (int)hb_json_int(stream, "viewers", 0);
}

static void join(const hb_test_person_t *person)
{
    hb_json_t *stream;

    ck_assert_int_eq(rt_viewers_join(&stream, viewers, hb_test_op_of(ts, person), stream_id),
                     APR_SUCCESS);
}

static void leave(const hb_test_person_t *person)
{
    rt_viewers_cut(viewers, stream_id, person->id, 1000);
    ck_assert_int_eq(rt_viewers_leave(viewers, hb_test_op_of(ts, person), stream_id), APR_SUCCESS);
}

static void settle(void *baton, const char *stream, const char *user)
{
    hb_op_t *op = hb_test_op_of(ts, strcmp(user, anna->id) == 0 ? anna : ben);

    (*(int *)baton)++;
    ck_assert_str_eq(stream, stream_id);
    ck_assert_int_eq(rt_viewers_settle(viewers, op, stream), APR_SUCCESS);
}

static int due(apr_uint64_t now_msec)
{
    int n = 0;

    rt_viewers_due(viewers, now_msec, settle, &n);
    return n;
}

START_TEST(several_sockets_are_one_viewer)
{
    setup();
    join(anna);
    join(anna);
    join(ben);
    ck_assert_int_eq(count(), 2);
    leave(anna);
    ck_assert_int_eq(count(), 2);
    leave(anna);
    ck_assert_int_eq(count(), 1);
    ck_assert_uint_eq(rt_viewers_count(viewers), 1);
    rt_viewers_free(viewers);
}
END_TEST

START_TEST(who_comes_back_in_time_never_left)
{
    setup();
    join(anna);
    join(ben);
    rt_viewers_cut(viewers, stream_id, anna->id, 1000);
    rt_viewers_cut(viewers, stream_id, ben->id, 2000);
    ck_assert_int_eq(due(15999), 0);
    join(anna);
    ck_assert_int_eq(due(16999), 0);
    ck_assert_int_eq(count(), 2);
    ck_assert_int_eq(due(17000), 1);
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(due(100000), 0);
    rt_viewers_set_grace(viewers, 5000);
    rt_viewers_cut(viewers, stream_id, anna->id, 100000);
    ck_assert_int_eq(due(104999), 0);
    ck_assert_int_eq(due(105000), 1);
    rt_viewers_free(viewers);
}
END_TEST

/* The join comes between the decision to leave and the leaving. */
START_TEST(who_comes_back_at_the_last_moment_stays)
{
    setup();
    join(anna);
    ck_assert_int_eq(rt_viewers_drop(viewers, stream_id, anna->id), 1);
    join(anna);
    ck_assert_int_eq(rt_viewers_settle(viewers, hb_test_op_of(ts, anna), stream_id),
                     APR_SUCCESS);
    ck_assert_int_eq(count(), 1);
    rt_viewers_free(viewers);
}
END_TEST

static void settle_in_vain(void *baton, const char *stream, const char *user)
{
    hb_op_t *op = hb_test_op_of(ts, anna);
    hb_store_t *store = ts->site->store;

    (*(int *)baton)++;
    ck_assert_str_eq(user, anna->id);
    ts->site->store = NULL;
    ck_assert_int_eq(rt_viewers_settle(viewers, op, stream), HB_E_STORE_DOWN);
    ts->site->store = store;
}

/* Nobody would tell the core later: she would be counted until the stream ends. */
START_TEST(who_goes_while_the_store_is_away_goes_later)
{
    hb_store_t *store;
    hb_op_t *op;
    int n = 0;

    setup();
    join(anna);
    rt_viewers_cut(viewers, stream_id, anna->id, 1000);
    rt_viewers_due(viewers, 16000, settle_in_vain, &n);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(due(APR_UINT64_MAX), 1);
    ck_assert_int_eq(count(), 0);
    ck_assert_uint_eq(rt_viewers_count(viewers), 0);

    /* The same for one who says so. */
    join(anna);
    rt_viewers_cut(viewers, stream_id, anna->id, 1000);
    op = hb_test_op_of(ts, anna);
    store = ts->site->store;
    ts->site->store = NULL;
    ck_assert_int_eq(rt_viewers_leave(viewers, op, stream_id), HB_E_STORE_DOWN);
    ts->site->store = store;
    ck_assert_int_eq(due(APR_UINT64_MAX), 1);
    ck_assert_int_eq(count(), 0);

    /* And back before that: nothing is left to be told. */
    join(anna);
    n = 0;
    rt_viewers_cut(viewers, stream_id, anna->id, 1000);
    rt_viewers_due(viewers, 16000, settle_in_vain, &n);
    join(anna);
    ck_assert_int_eq(due(APR_UINT64_MAX), 0);
    leave(anna);
    ck_assert_int_eq(count(), 0);
    ck_assert_uint_eq(rt_viewers_count(viewers), 0);
    rt_viewers_free(viewers);
}
END_TEST

/* The store went away with the answer: she is written in, and her client was told that it failed. */
START_TEST(a_join_whose_answer_is_lost_ends_later)
{
    hb_json_t *stream;
    hb_store_t *store;
    hb_op_t *op;

    setup();
    ck_assert_int_eq(hb_viewer_join(&stream, hb_test_op_of(ts, anna), stream_id), APR_SUCCESS);
    op = hb_test_op_of(ts, anna);
    store = ts->site->store;
    ts->site->store = NULL;
    ck_assert_int_eq(rt_viewers_join(&stream, viewers, op, stream_id), HB_E_STORE_DOWN);
    ts->site->store = store;
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(due(APR_UINT64_MAX), 1);
    ck_assert_int_eq(count(), 0);
    ck_assert_uint_eq(rt_viewers_count(viewers), 0);

    /* Who tries again with success is in. */
    op = hb_test_op_of(ts, anna);
    ts->site->store = NULL;
    ck_assert_int_eq(rt_viewers_join(&stream, viewers, op, stream_id), HB_E_STORE_DOWN);
    ts->site->store = store;
    join(anna);
    ck_assert_int_eq(due(APR_UINT64_MAX), 0);
    ck_assert_int_eq(count(), 1);
    rt_viewers_free(viewers);
}
END_TEST

START_TEST(a_refused_join_is_not_counted)
{
    hb_json_t *stream;

    setup();
    ck_assert_int_eq(rt_viewers_join(&stream, viewers, hb_test_op_of(ts, anna),
                                     "000000000000000000000000"), HB_E_STREAM_UNKNOWN);
    ck_assert_uint_eq(rt_viewers_count(viewers), 0);
    rt_viewers_free(viewers);
}
END_TEST

/* A block that came between: the core still counts her from before. */
static void refuse_anna(void)
{
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *doc = hb_json_object_make(op->pool), *stream;

    ck_assert_int_eq(hb_stream_get(&stream, op, stream_id), APR_SUCCESS);
    hb_json_set_string(doc, "_id", apr_pstrcat(op->pool, hb_json_string(stream, "hostId"), ":",
                                               anna->id, NULL));
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_BLOCKS, doc), APR_SUCCESS);
    ck_assert_int_eq(rt_viewers_join(&stream, viewers, hb_test_op_of(ts, anna), stream_id),
                     HB_E_USER_BLOCKED);
}

START_TEST(who_was_cut_and_is_refused_goes)
{
    setup();
    join(anna);
    rt_viewers_cut(viewers, stream_id, anna->id, 1000);
    refuse_anna();
    ck_assert_int_eq(count(), 1);
    ck_assert_int_eq(due(APR_UINT64_MAX), 1);
    ck_assert_int_eq(count(), 0);
    ck_assert_uint_eq(rt_viewers_count(viewers), 0);
    rt_viewers_free(viewers);
}
END_TEST

START_TEST(after_a_restart_the_absent_go)
{
    setup();
    join(anna);
    join(ben);
    rt_viewers_free(viewers);
    viewers = rt_viewers_make(15000);
    rt_viewers_assume(viewers, stream_id, anna->id);
    rt_viewers_cut(viewers, stream_id, anna->id, 0);
    rt_viewers_assume(viewers, stream_id, ben->id);
    rt_viewers_cut(viewers, stream_id, ben->id, 0);
    join(ben);
    ck_assert_int_eq(due(15000), 1);
    ck_assert_int_eq(count(), 1);
    rt_viewers_free(viewers);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        several_sockets_are_one_viewer, who_comes_back_in_time_never_left,
        who_comes_back_at_the_last_moment_stays, who_goes_while_the_store_is_away_goes_later,
        a_join_whose_answer_is_lost_ends_later, a_refused_join_is_not_counted,
        who_was_cut_and_is_refused_goes, after_a_restart_the_absent_go, NULL
    };

    return hb_test_main("rt_viewers", cases);
}
