/* SPDX-License-Identifier: Apache-2.0 */
/* Live rooms over a real store and cache: the rules, the counts, the sums. */
#include "hb_stream.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_store.h"
#include "hb_stream_list.h"
#include "hb_stream_quality.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_viewer.h"

#define HOST   "aaaaaaaaaaaaaaaaaaaaaaaa"
#define ANNA   "bbbbbbbbbbbbbbbbbbbbbbb1"
#define BIM    "bbbbbbbbbbbbbbbbbbbbbbb2"
#define OTHER  "cccccccccccccccccccccccc"
#define STAFF  "dddddddddddddddddddddddd"

static hb_test_site_t *ts;

static hb_op_t *as(const char *user_id)
{
    return hb_test_site_op_by(ts, user_id);
}

static hb_op_t *as_moderator(void)
{
    hb_op_t *op = as(STAFF);

    op->actor.roles = HB_ROLE_USER | HB_ROLE_MODERATOR;
    op->actor.has_totp = 1;
    return op;
}

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    hb_test_add_user(ts, HOST, "country", "NP", NULL);
    hb_test_add_user(ts, ANNA, NULL);
    hb_test_add_user(ts, BIM, NULL);
    hb_test_add_user(ts, OTHER, "country", "AU", NULL);
    hb_test_add_user(ts, STAFF, NULL);
}

static const char *planned(const char *host, const char *input)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_stream_create(&stream, as(host), hb_test_json(input)), APR_SUCCESS);
    return apr_pstrdup(hb_test_pool, hb_json_string(stream, "_id"));
}

static const char *live(const char *host, const char *input)
{
    const char *id = planned(host, input);
    hb_json_t *stream;

    ck_assert_int_eq(hb_stream_start(&stream, as(host), id), APR_SUCCESS);
    return id;
}

static hb_json_t *stored(const char *id)
{
    hb_json_t *stream;

    ck_assert_int_eq(hb_store_get(&stream, hb_test_site_op(ts), HB_C_STREAMS, id), APR_SUCCESS);
    return stream;
}

static hb_json_t *list(hb_op_t *op, const char *input)
{
    const char *text;
    apr_size_t len;

    ck_assert_int_eq(hb_stream_list(&text, &len, op, hb_test_json(input)), APR_SUCCESS);
    ck_assert_uint_eq(strlen(text), len);
    return hb_json_parse_own(text, len, hb_test_pool);
}

static const char *nth(const hb_json_t *page, int i)
{
    return hb_json_string(hb_json_item(hb_json_get(page, "items"), i), "id");
}

static int n_items(const hb_json_t *page)
{
    return hb_json_length(hb_json_get(page, "items"));
}

static apr_status_t joins(const char *who, const char *id)
{
    hb_json_t *stream;

    return hb_viewer_join(&stream, as(who), id);
}

/* --- the host --- */

START_TEST(a_plan_takes_what_it_is_given)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    id = planned(HOST, "{\"title\":\"Songs\",\"category\":\"MuSic\",\"language\":\"ne\"}");
    stream = stored(id);
    ck_assert_str_eq(hb_json_string(stream, "status"), "pending");
    ck_assert_str_eq(hb_json_string(stream, "category"), "music");
    ck_assert_str_eq(hb_json_string(stream, "country"), "NP");
    ck_assert_str_eq(hb_json_string(stream, "channel"), id);
    ck_assert(!hb_json_has(stream, "description"));
    ck_assert(hb_json_int(stream, "createdAt", 0) == apr_time_as_msec(ts->now));
}
END_TEST

START_TEST(titles_are_a_line_with_ink)
{
    static const char *const bad[] = {
        "{\"title\":\"   \"}", "{\"title\":\"a\\nb\"}", "{\"title\":\"a\\u007f\"}", NULL
    };
    hb_json_t *stream;
    int i;

    open_site();
    for (i = 0; bad[i] != NULL; i++) {
        hb_op_t *op = as(HOST);

        ck_assert_int_eq(hb_stream_create(&stream, op, hb_test_json(bad[i])), HB_E_INPUT_INVALID);
        ck_assert_int_eq(op->problem.n_fields, 1);
        ck_assert_str_eq(op->problem.fields[0].field, "title");
    }
}
END_TEST

START_TEST(a_host_has_one_stream_at_a_time)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    id = planned(HOST, "{\"title\":\"One\"}");
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), hb_test_json("{\"title\":\"Two\"}")),
                     HB_E_STREAM_LIVE);
    planned(OTHER, "{\"title\":\"Of somebody else\"}");
    ck_assert_int_eq(hb_stream_drop(as(HOST), id), APR_SUCCESS);
    id = live(HOST, "{\"title\":\"Three\"}");
    ck_assert_int_eq(hb_stream_create(&stream, as(HOST), hb_test_json("{\"title\":\"Four\"}")),
                     HB_E_STREAM_LIVE);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    planned(HOST, "{\"title\":\"Five\"}");
}
END_TEST

START_TEST(a_plan_shows_to_its_host_and_staff)
{
    hb_json_t *stream, *view;
    const char *id;

    open_site();
    id = planned(HOST, "{\"title\":\"Soon\"}");
    ck_assert_int_eq(hb_stream_get(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_get(&stream, as_moderator(), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_get(&stream, as(ANNA), id), HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(hb_stream_get(&stream, as(NULL), id), HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(hb_stream_get(&stream, as(HOST), "../etc/passwd"), HB_E_STREAM_UNKNOWN);

    stream = stored(id);
    view = hb_stream_to_json(as(HOST), stream);
    ck_assert_str_eq(hb_json_string(view, "channel"), id);
    view = hb_stream_to_json(as(ANNA), stream);
    ck_assert(!hb_json_has(view, "channel"));
    ck_assert(!hb_json_has(view, "score"));
    ck_assert(!hb_json_has(view, "activeHostId"));
    ck_assert(!hb_json_has(view, "watchMsec"));
    ck_assert(hb_json_has(view, "startedAt"));      /* null until then */
}
END_TEST

START_TEST(only_the_host_acts)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    id = live(HOST, "{\"title\":\"Mine\"}");
    ck_assert_int_eq(hb_stream_edit(&stream, as(ANNA), id, hb_test_json("{\"title\":\"x\"}")),
                     HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_stream_start(&stream, as(ANNA), id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_stream_drop(as(ANNA), id), HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_stream_end(&stream, as(ANNA), id), HB_E_ROLE_REQUIRED);
    ck_assert_int_eq(hb_stream_edit(&stream, as_moderator(), id, hb_test_json("{\"title\":\"x\"}")),
                     HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_stream_end(&stream, as_moderator(), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(stream, "endReason"), "moderator");
    {
        const hb_cond_t where[] = { { "action", HB_IS, HB_STR("stream.end") } };
        const hb_query_t query = { .in = HB_C_AUDIT, .where = where, .n_where = 1 };
        hb_json_t *entry;

        ck_assert_int_eq(hb_store_find_one(&entry, hb_test_site_op(ts), &query), APR_SUCCESS);
        ck_assert_str_eq(hb_json_string(entry, "userId"), STAFF);
    }
}
END_TEST

START_TEST(edits_set_and_clear)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    id = planned(HOST, "{\"title\":\"Old\",\"category\":\"talk\",\"description\":\"d\"}");
    ck_assert_int_eq(hb_stream_edit(&stream, as(HOST), id,
                                    hb_test_json("{\"title\":\"New\",\"category\":\"ART\","
                                           "\"description\":null}")), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(stream, "title"), "New");
    ck_assert_str_eq(hb_json_string(stream, "category"), "art");
    ck_assert(!hb_json_has(stream, "description"));
    ck_assert_int_eq(hb_stream_edit(&stream, as(HOST), id, hb_test_json("{}")), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(stream, "title"), "New");
}
END_TEST

START_TEST(a_host_who_goes_takes_the_stream_along)
{
    const char *id;
    hb_json_t *stream;

    open_site();
    ck_assert_int_eq(hb_stream_end_of_host(as(NULL), HOST, "deleted"), APR_SUCCESS);
    id = planned(HOST, "{\"title\":\"Plan\"}");
    ck_assert_int_eq(hb_stream_end_of_host(as(NULL), HOST, "deleted"), APR_SUCCESS);
    ck_assert_int_eq(hb_store_get(&stream, hb_test_site_op(ts), HB_C_STREAMS, id),
                     HB_E_STORE_MISSING);
    id = live(HOST, "{\"title\":\"Live\"}");
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end_of_host(as(NULL), HOST, "deleted"), APR_SUCCESS);
    stream = stored(id);
    ck_assert_str_eq(hb_json_string(stream, "status"), "ended");
    ck_assert_str_eq(hb_json_string(stream, "endReason"), "deleted");
    ck_assert_int_eq(hb_json_int(stream, "viewers", -1), 0);
}
END_TEST

/* --- viewers --- */

#define HOUR apr_time_from_sec(3600)

static apr_int64_t reap(void)
{
    apr_int64_t n;

    ck_assert_int_eq(hb_stream_reap(&n, hb_test_site_op(ts), NULL, NULL), APR_SUCCESS);
    return n;
}

START_TEST(streams_of_silent_hosts_end)
{
    const char *id, *other;
    hb_json_t *stream;
    int did_end;

    open_site();
    id = live(HOST, "{\"title\":\"Songs\"}");
    ts->now += HOUR;
    other = live(OTHER, "{\"title\":\"Talk\"}");
    ck_assert_int_eq(hb_viewer_join(&stream, as(ANNA), id), APR_SUCCESS);
    ts->now += HOUR - 1000000;
    ck_assert_int_eq(reap(), 0);
    ck_assert_int_eq(hb_viewer_join(&stream, as(HOST), id), APR_SUCCESS);     /* a sign */
    ts->now += HOUR + 2000000;
    ck_assert_int_eq(reap(), 1);
    ck_assert_str_eq(hb_json_string(stored(other), "status"), "ended");
    ck_assert_str_eq(hb_json_string(stored(other), "endReason"), "silent");
    ck_assert_str_eq(hb_json_string(stored(id), "status"), "live");
    /* A sign between looking and ending counts. */
    ck_assert_int_eq(hb_stream_end_silent(&did_end, hb_test_site_op(ts), id,
                                          hb_stream_seen_msec(stored(id))), APR_SUCCESS);
    ck_assert_int_eq(did_end, 0);
    ts->now += HOUR;
    ck_assert_int_eq(reap(), 1);
    ck_assert_int_eq(hb_json_int(stored(id), "viewers", -1), 0);
    ck_assert_int_eq(reap(), 0);
    ck_assert(!hb_test_site_logged(ts, "HB01101"));
}
END_TEST

START_TEST(a_viewer_counts_once)
{
    hb_json_t *stream;
    const char *id;

    open_site();
    id = planned(HOST, "{\"title\":\"Room\"}");
    ck_assert_int_eq(joins(HOST, id), HB_E_STREAM_STATE);
    ck_assert_int_eq(joins(ANNA, id), HB_E_STREAM_UNKNOWN);
    ck_assert_int_eq(hb_stream_start(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(joins(HOST, id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(stored(id), "viewers", -1), 1);
    ck_assert_int_eq(joins(BIM, id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(stored(id), "viewers", -1), 2);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_leave(as(OTHER), id), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_leave(as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    stream = stored(id);
    ck_assert_int_eq(hb_json_int(stream, "viewers", -1), 1);
    ck_assert_int_eq(hb_json_int(stream, "peakViewers", -1), 2);
    ck_assert_int_eq(hb_json_int(stream, "totalViews", -1), 3);
    ck_assert_int_eq(hb_json_int(stream, "uniqueViewers", -1), 2);
    ck_assert_int_eq(hb_json_int(stream, "score", -1), 1 * 100 + 2 * 10);
}
END_TEST

START_TEST(the_end_adds_everything_up)
{
    static const struct { const char *field; int wanted; } sums[] = {
        { "durationSec", 100 }, { "peakViewers", 2 }, { "totalViews", 3 },
        { "uniqueViewers", 2 }, { "watchSec", (30 - 10) + (100 - 50) + (100 - 20) },
        { "averageWatchSec", 75 }, { "totalCoins", 0 },
    };
    hb_json_t *stream, *analytics, *view;
    const char *id;
    apr_size_t i;

    open_site();
    id = live(HOST, "{\"title\":\"Sums\"}");
    ts->now += apr_time_from_sec(10);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);         /* at 10 */
    ts->now += apr_time_from_sec(10);
    ck_assert_int_eq(joins(BIM, id), APR_SUCCESS);          /* at 20, stays */
    ts->now += apr_time_from_sec(10);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    ts->now += apr_time_from_sec(20);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);         /* at 50, stays */
    ts->now += apr_time_from_sec(50);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    analytics = hb_json_get(stream, "analytics");
    for (i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        ck_assert_msg(hb_json_int(analytics, sums[i].field, -1) == sums[i].wanted, "%s is %d",
                      sums[i].field, (int)hb_json_int(analytics, sums[i].field, -1));
    }
    ck_assert_int_eq(hb_json_int(stream, "viewers", -1), 0);
    ck_assert_int_eq(hb_json_int(stream, "watchMsec", -1), 150 * 1000);
    ck_assert_int_eq(hb_json_int(stream, "score", -1), 2 * 10);
    ck_assert(!hb_json_has(stream, "activeHostId"));
    ck_assert_int_eq(hb_store_get(&view, hb_test_site_op(ts), HB_C_VIEWS,
                                  apr_pstrcat(hb_test_pool, id, ":", BIM, NULL)), APR_SUCCESS);
    ck_assert(!hb_json_has(view, "isInRoom"));
    ck_assert(hb_json_int(view, "leftAt", 0) == apr_time_as_msec(ts->now));
    ck_assert_int_eq(joins(ANNA, id), HB_E_STREAM_ENDED);
    ck_assert_int_eq(hb_viewer_leave(as(BIM), id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(stored(id), "viewers", -1), 0);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), HB_E_STREAM_ENDED);
}
END_TEST

START_TEST(a_clock_set_back_makes_no_negative_sums)
{
    hb_json_t *stream, *analytics;
    const char *id;

    open_site();
    id = live(HOST, "{\"title\":\"Back in time\"}");
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(joins(BIM, id), APR_SUCCESS);
    ts->now -= apr_time_from_sec(3600);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    analytics = hb_json_get(stream, "analytics");
    ck_assert_int_eq(hb_json_int(analytics, "durationSec", -1), 0);
    ck_assert_int_eq(hb_json_int(analytics, "watchSec", -1), 0);
}
END_TEST

START_TEST(blocks_work_both_ways)
{
    static const char *const ids[] = { HOST ":" ANNA, BIM ":" HOST };
    hb_json_t *media;
    const char *id;
    int i;

    open_site();
    for (i = 0; i < 2; i++) {
        hb_op_t *op = hb_test_site_op(ts);
        hb_json_t *block = hb_json_object_make(op->pool);

        hb_json_set_string(block, "_id", ids[i]);
        hb_json_set_string(block, "blockerId", apr_pstrndup(op->pool, ids[i], 24));
        hb_json_set_string(block, "blockedId", ids[i] + 25);
        hb_json_set_int(block, "createdAt", 1);
        ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_BLOCKS, block), APR_SUCCESS);
    }
    id = live(HOST, "{\"title\":\"Room\"}");
    ck_assert_int_eq(joins(ANNA, id), HB_E_USER_BLOCKED);
    ck_assert_int_eq(joins(BIM, id), HB_E_USER_BLOCKED);
    ck_assert_int_eq(joins(OTHER, id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_token(&media, as(ANNA), id, NULL), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_json_int(stored(id), "viewers", -1), 1);
}
END_TEST

/* 100 threads enter as 10 people: nobody may count twice, nobody may be lost. */

#define N_THREADS 100
#define N_PEOPLE  10

typedef struct runner_t {
    apr_pool_t *pool;
    hb_site_t *site;
    const char *stream_id, *user_id;
    apr_status_t status;
} runner_t;

static void *APR_THREAD_FUNC run_join(apr_thread_t *thread, void *baton)
{
    runner_t *runner = baton;
    hb_op_t *op = hb_op_make(runner->site, runner->pool);
    hb_json_t *stream;

    (void)thread;
    op->actor.user_id = runner->user_id;
    runner->status = hb_viewer_join(&stream, op, runner->stream_id);
    return NULL;
}

START_TEST(joining_at_once_counts_once)
{
    static runner_t runners[N_THREADS];
    apr_thread_t *threads[N_THREADS];
    hb_json_t *stream;
    apr_status_t rv;
    const char *id;
    int i;

    open_site();
    id = live(HOST, "{\"title\":\"Crowd\"}");
    for (i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(apr_pool_create(&runners[i].pool, NULL), APR_SUCCESS);
        runners[i].site = ts->site;
        runners[i].stream_id = id;
        runners[i].user_id = apr_psprintf(runners[i].pool, "eeeeeeeeeeeeeeeeeeeeee%02d",
                                          i % N_PEOPLE);
    }
    for (i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, run_join, &runners[i],
                                           runners[i].pool), APR_SUCCESS);
    }
    for (i = 0; i < N_THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
        ck_assert_int_eq(runners[i].status, APR_SUCCESS);
    }
    stream = stored(id);
    ck_assert_int_eq(hb_json_int(stream, "viewers", -1), N_PEOPLE);
    ck_assert_int_eq(hb_json_int(stream, "peakViewers", -1), N_PEOPLE);
    ck_assert_int_eq(hb_json_int(stream, "totalViews", -1), N_PEOPLE);
    ck_assert_int_eq(hb_json_int(stream, "uniqueViewers", -1), N_PEOPLE);
    for (i = 0; i < N_THREADS; i++) {
        apr_pool_destroy(runners[i].pool);
    }
}
END_TEST

/* --- quality --- */

START_TEST(reports_are_averaged_and_kept)
{
    hb_json_t *quality, *stream;
    const char *id;

    open_site();
    id = live(HOST, "{\"title\":\"Picture\"}");
    ck_assert_int_eq(hb_stream_report(&quality, as(ANNA), id,
                                      hb_test_json("{\"bitrateKbps\":1,\"latencyMsec\":1}")),
                     HB_E_FORBIDDEN);
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_ptr_null(hb_stream_quality(as(NULL), id));
    ck_assert_int_eq(hb_stream_report(&quality, as(HOST), id,
                                      hb_test_json("{\"bitrateKbps\":2000,\"latencyMsec\":100}")),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_stream_report(&quality, as(ANNA), id,
                                      hb_test_json("{\"bitrateKbps\":1000,\"latencyMsec\":900}")),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(quality, "reports", -1), 2);
    ck_assert_int_eq(hb_json_int(quality, "bitrateKbps", -1), 1500);
    ck_assert_int_eq(hb_json_int(quality, "latencyMsec", -1), 500);
    ck_assert(hb_metric_value(ts->site->metrics, HB_M_STREAM_REPORTS) == 1);
    ck_assert(hb_metric_value(ts->site->metrics, HB_M_STREAM_REPORTS_SLOW) == 1);
    ck_assert(hb_metric_value(ts->site->metrics, HB_M_STREAM_LATENCY) == 1000);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(hb_json_at(stream, "analytics.quality"), "latencyMsec", -1), 500);
    ck_assert_int_eq(hb_stream_report(&quality, as(HOST), id,
                                      hb_test_json("{\"bitrateKbps\":1,\"latencyMsec\":1}")),
                     HB_E_STREAM_ENDED);
}
END_TEST

/* --- lists and the ranking --- */

START_TEST(lists_filter_and_page)
{
    const char *ids[3];
    hb_json_t *page;

    open_site();
    ids[0] = live(HOST, "{\"title\":\"a\",\"category\":\"music\",\"country\":\"NP\"}");
    ts->now += apr_time_from_sec(1);
    ids[1] = live(OTHER, "{\"title\":\"b\",\"category\":\"music\",\"country\":\"AU\"}");
    ts->now += apr_time_from_sec(1);
    ids[2] = live(STAFF, "{\"title\":\"c\",\"category\":\"talk\",\"country\":\"NP\"}");
    planned(ANNA, "{\"title\":\"d\",\"category\":\"music\"}");
    ck_assert_int_eq(joins(BIM, ids[1]), APR_SUCCESS);
    ts->now += apr_time_from_sec(2);

    page = list(as(NULL), "{}");
    ck_assert_int_eq(n_items(page), 3);
    ck_assert_str_eq(nth(page, 0), ids[1]);
    page = list(as(NULL), "{\"sort\":\"started\"}");
    ck_assert_str_eq(nth(page, 0), ids[2]);
    ck_assert_str_eq(nth(page, 2), ids[0]);
    page = list(as(NULL), "{\"sort\":\"score\",\"limit\":1}");
    ck_assert_int_eq(n_items(page), 1);
    ck_assert_str_eq(nth(page, 0), ids[1]);
    page = list(as(NULL), apr_psprintf(hb_test_pool, "{\"sort\":\"score\",\"limit\":2,\"after\":\"%s\"}",
                                       hb_json_string(page, "next")));
    ck_assert_int_eq(n_items(page), 2);
    ck_assert_ptr_null(hb_json_string(page, "next"));
    page = list(as(NULL), "{\"category\":\"Music\"}");
    ck_assert_int_eq(n_items(page), 2);
    page = list(as(NULL), "{\"country\":\"NP\"}");
    ck_assert_int_eq(n_items(page), 2);
    page = list(as(NULL), "{\"category\":\"music\",\"country\":\"NP\"}");
    ck_assert_int_eq(n_items(page), 1);
    ck_assert_str_eq(nth(page, 0), ids[0]);
    page = list(as(NULL), "{\"status\":\"ended\"}");
    ck_assert_int_eq(n_items(page), 0);
}
END_TEST

START_TEST(plans_are_listed_for_whom_they_concern)
{
    const char *text, *id;
    apr_size_t len;

    open_site();
    id = planned(HOST, "{\"title\":\"d\"}");
    ck_assert_int_eq(hb_stream_list(&text, &len, as(ANNA), hb_test_json("{\"status\":\"pending\"}")),
                     HB_E_INPUT_INVALID);
    ck_assert_int_eq(n_items(list(as_moderator(), "{\"host\":\"" HOST "\"}")), 1);
    ck_assert_int_eq(n_items(list(as(HOST), "{\"host\":\"" HOST "\"}")), 1);
    ck_assert_str_eq(nth(list(as(HOST), "{\"host\":\"" HOST "\",\"status\":\"pending\"}"), 0), id);
    ck_assert_int_eq(n_items(list(as(ANNA), "{\"host\":\"" HOST "\"}")), 0);
    ck_assert_int_eq(hb_stream_list(&text, &len, as(ANNA),
                                    hb_test_json("{\"host\":\"" HOST "\",\"status\":\"pending\"}")),
                     HB_E_FORBIDDEN);
}
END_TEST

START_TEST(orders_without_an_index_are_refused)
{
    static const char *const bad[] = {
        "{\"category\":\"music\",\"sort\":\"started\"}", "{\"country\":\"NP\",\"sort\":\"score\"}",
        "{\"host\":\"" HOST "\",\"sort\":\"viewers\"}",
        "{\"host\":\"" HOST "\",\"category\":\"music\"}", NULL
    };
    const char *text;
    apr_size_t len;
    int i;

    open_site();
    for (i = 0; bad[i] != NULL; i++) {
        hb_op_t *op = as(NULL);

        ck_assert_int_eq(hb_stream_list(&text, &len, op, hb_test_json(bad[i])), HB_E_INPUT_INVALID);
        ck_assert_int_eq(op->problem.n_fields, 1);
    }
}
END_TEST

/* The store tells of a query that no index serves (HB01101). */
START_TEST(every_list_has_its_index)
{
    static const char *const queries[] = {
        "{}", "{\"sort\":\"started\"}", "{\"sort\":\"score\"}", "{\"category\":\"music\"}",
        "{\"country\":\"NP\"}", "{\"category\":\"music\",\"country\":\"NP\"}",
        "{\"status\":\"ended\"}", "{\"host\":\"" HOST "\"}",
        "{\"host\":\"" HOST "\",\"status\":\"live\"}", NULL
    };
    hb_json_t *stream;
    const char *id;
    int i;

    open_site();
    id = live(HOST, "{\"title\":\"a\",\"category\":\"music\",\"country\":\"NP\"}");
    live(OTHER, "{\"title\":\"b\",\"category\":\"music\",\"country\":\"NP\"}");
    for (i = 0; queries[i] != NULL; i++) {
        hb_json_t *page, *input = hb_test_json(queries[i]);

        hb_json_set_int(input, "limit", 1);
        page = list(as(ANNA), hb_json_text(input, hb_test_pool, NULL));
        if (hb_json_string(page, "next") != NULL) {
            hb_json_set_string(input, "after", hb_json_string(page, "next"));
            list(as(ANNA), hb_json_text(input, hb_test_pool, NULL));
        }
    }
    ck_assert_int_eq(joins(ANNA, id), APR_SUCCESS);
    ck_assert_int_eq(hb_viewer_leave(as(ANNA), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_gauge(as(NULL)), APR_SUCCESS);
    ck_assert(hb_metric_value(ts->site->metrics, HB_M_STREAMS_ACTIVE) == 2);
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_end_of_host(as(NULL), OTHER, "deleted"), APR_SUCCESS);
    ck_assert(!hb_test_site_logged(ts, "HB01101"));
}
END_TEST

START_TEST(changes_show_at_once)
{
    const char *id;
    hb_json_t *stream;

    open_site();
    ck_assert_int_eq(n_items(list(as(NULL), "{}")), 0);
    id = live(HOST, "{\"title\":\"Now\"}");
    ck_assert_int_eq(n_items(list(as(NULL), "{}")), 1);
    ck_assert_int_eq(hb_stream_edit(&stream, as(HOST), id, hb_test_json("{\"title\":\"Then\"}")),
                     APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(hb_json_item(hb_json_get(list(as(NULL), "{}"), "items"), 0),
                                    "title"), "Then");
    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), id), APR_SUCCESS);
    ck_assert_int_eq(n_items(list(as(NULL), "{}")), 0);
    ck_assert_int_eq(n_items(list(as(NULL), "{\"status\":\"ended\"}")), 1);
}
END_TEST

static hb_json_t *ranks(int limit)
{
    const char *text;
    apr_size_t len;

    ck_assert_int_eq(hb_stream_ranking(&text, &len, as(NULL), limit), APR_SUCCESS);
    return hb_json_parse_own(text, len, hb_test_pool);
}

static const char *ranked(const hb_json_t *page, int i)
{
    return hb_json_string(hb_json_get(hb_json_item(hb_json_get(page, "items"), i), "stream"), "id");
}

START_TEST(the_ranking_follows_the_rooms)
{
    const char *one, *two;
    hb_json_t *page, *stream;

    open_site();
    ck_assert_int_eq(n_items(ranks(20)), 0);
    one = live(HOST, "{\"title\":\"a\"}");
    two = live(OTHER, "{\"title\":\"b\"}");
    ck_assert_int_eq(joins(ANNA, one), APR_SUCCESS);
    ck_assert_int_eq(joins(BIM, one), APR_SUCCESS);
    ck_assert_int_eq(joins(STAFF, two), APR_SUCCESS);
    hb_stream_list_renew(as(NULL));
    page = ranks(20);
    ck_assert_int_eq(n_items(page), 2);
    ck_assert_str_eq(ranked(page, 0), one);
    ck_assert_int_eq(hb_json_int(hb_json_item(hb_json_get(page, "items"), 0), "score", -1), 220);
    ck_assert_int_eq(hb_json_int(hb_json_item(hb_json_get(page, "items"), 1), "rank", -1), 2);
    ck_assert_int_eq(n_items(ranks(1)), 1);

    ck_assert_int_eq(hb_stream_end(&stream, as(HOST), one), APR_SUCCESS);
    page = ranks(20);
    ck_assert_int_eq(n_items(page), 1);
    ck_assert_str_eq(ranked(page, 0), two);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_plan_takes_what_it_is_given, titles_are_a_line_with_ink, a_host_has_one_stream_at_a_time,
        a_plan_shows_to_its_host_and_staff, only_the_host_acts, edits_set_and_clear,
        a_host_who_goes_takes_the_stream_along, streams_of_silent_hosts_end, a_viewer_counts_once, the_end_adds_everything_up,
        a_clock_set_back_makes_no_negative_sums, blocks_work_both_ways,
        joining_at_once_counts_once, reports_are_averaged_and_kept, lists_filter_and_page,
        plans_are_listed_for_whom_they_concern, orders_without_an_index_are_refused,
        every_list_has_its_index, changes_show_at_once, the_ranking_follows_the_rooms, NULL
    };

    return hb_test_main("hb_stream", cases);
}
