/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of the bus, against every backend of the table below: order and numbers, what
 * a transaction keeps, readers that come late or come again, writers that die. Another
 * backend joins by one line; one that needs a server is run when the variable names it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"

static const struct backend_t { const char *name, *url, *env; } backends[] = {
    { "local", "local:bus.log", NULL },
    { "redis", NULL, "HALOBUZZ_TEST_REDIS_URL" },
};
#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

#define ROOM "aaaaaaaaaaaaaaaaaaaaaaaa"
#define PERSON "bbbbbbbbbbbbbbbbbbbbbbbb"

static hb_test_site_t *open_site(const char *url, const char *size)
{
    hb_test_site_t *ts;

    ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzBus ", url,
                                            "\nHaloBuzzRedisTimeout 10s\nHaloBuzzBusSize ", size, "\n",
                                            NULL),
                                hb_test_pool);
    hb_test_site_open(ts);
    return ts;
}

/* A server keeps what earlier cases wrote: each has a log of its own there. */
static const char *url_of(int i)
{
    return backends[i].env == NULL ? backends[i].url
        : apr_psprintf(hb_test_pool, "%s?prefix=b%ld:", getenv(backends[i].env), (long)getpid());
}

static hb_bus_reader_t *reader_of(hb_test_site_t *ts, hb_bus_from_e from)
{
    hb_bus_reader_t *reader;

    ck_assert_int_eq(hb_bus_reader_open(&reader, ts->site, from, 0, ts->pool), APR_SUCCESS);
    return reader;
}

static apr_status_t append_n(hb_site_t *site, const char *who, int n, int bytes)
{
    char text[4096];
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, ROOM, NULL, text, 0 };

    event.payload_bytes = (apr_size_t)apr_snprintf(text, sizeof(text), "{\"w\":\"%s\",\"n\":%d,"
                                                   "\"pad\":\"%.*s\"}", who, n, bytes,
                                                   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                                   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    return hb_bus_append(NULL, site, &event);
}

static void append_ok(hb_test_site_t *ts, int n)
{
    ck_assert_int_eq(append_n(ts->site, "a", n, 40), APR_SUCCESS);
}

/* Whose, and which; the whole payload has to be as it was written. */
static int number_of(const hb_event_t *event, char *who)
{
    apr_pool_t *pool;
    hb_json_t *json;
    int n;

    apr_pool_create(&pool, hb_test_pool);
    json = hb_json_parse_own(event->payload, event->payload_bytes, pool);

    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(event->id, ROOM);
    ck_assert_int_eq((int)event->event, HB_EV_CHAT_NEW);
    if (who != NULL) {
        *who = *hb_json_string(json, "w");
    }
    n = (int)hb_json_int(json, "n", -1);
    apr_pool_destroy(pool);
    return n;
}

static void expect(hb_bus_reader_t *reader, int from, int to)
{
    hb_event_t event;
    int n;

    for (n = from; n <= to; n++) {
        ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
        ck_assert_int_eq(number_of(&event, NULL), n);
    }
}

static void expect_end(hb_bus_reader_t *reader)
{
    hb_event_t event;

    ck_assert_int_eq(hb_bus_read(&event, reader), APR_EAGAIN);
}

/* A case with a site of its own. size: of the log. */
#define BUS_TEST(name, size) \
static void name##_with(hb_test_site_t *ts); \
START_TEST(name) \
{ \
    name##_with(open_site(url_of(_i), size)); \
} \
END_TEST \
static void name##_with(hb_test_site_t *ts)

/* --- order --- */

BUS_TEST(all_in_order, "1M")
{
    hb_bus_reader_t *late, *early = reader_of(ts, HB_BUS_OLDEST);
    apr_uint64_t last = 0;
    hb_event_t event;
    int i;

    expect_end(early);
    for (i = 0; i < 100; i++) {
        append_ok(ts, i);
    }
    expect(early, 0, 99);
    expect_end(early);
    late = reader_of(ts, HB_BUS_NEWEST);
    expect_end(late);
    append_ok(ts, 100);
    expect(late, 100, 100);
    late = reader_of(ts, HB_BUS_OLDEST);
    for (i = 0; i < 101; i++) {
        ck_assert_int_eq(hb_bus_read(&event, late), APR_SUCCESS);
        ck_assert_uint_gt(event.seq, last);
        last = event.seq;
    }
    ck_assert_uint_eq(hb_bus_reader_newest(late), last);
    ck_assert_uint_eq(hb_bus_reader_oldest(late), last - 100);
    ck_assert_uint_eq(strlen(hb_bus_reader_epoch(late)), 16);
}

BUS_TEST(what_was_told_arrives, "1M")
{
    hb_bus_reader_t *reader = reader_of(ts, HB_BUS_NEWEST);
    hb_op_t *op = hb_test_site_op(ts);
    hb_json_t *payload = hb_json_object_make(op->pool);
    hb_event_t event;

    hb_json_set_string(payload, "text", "\"quoted\" \xe0\xa4\xa8\xe0\xa4\xae");
    hb_bus_publish_to(op, HB_EV_CHAT_NEW, ROOM, PERSON, payload);
    hb_bus_publish(op, HB_EV_USER_CHANGED, PERSON, payload);
    ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
    ck_assert_int_eq((int)event.event, HB_EV_CHAT_NEW);
    ck_assert_str_eq(event.id, ROOM);
    ck_assert_str_eq(event.only_user, PERSON);
    ck_assert_int_eq(event.at, op->now);
    ck_assert_str_eq(event.payload, hb_json_text(payload, op->pool, NULL));
    ck_assert_uint_eq(event.payload_bytes, strlen(event.payload));
    ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
    ck_assert_int_eq((int)event.event, HB_EV_USER_CHANGED);
    ck_assert_ptr_null(event.only_user);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_PUBLISHED), 2);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_READ), 2);
}

/* --- transactions --- */

static apr_status_t tell(hb_op_t *op, int n)
{
    hb_json_t *payload = hb_json_object_make(op->pool);

    hb_json_set_string(payload, "w", "a");
    hb_json_set_int(payload, "n", n);
    hb_bus_publish(op, HB_EV_CHAT_NEW, ROOM, payload);
    return APR_SUCCESS;
}

typedef struct tx_t { hb_bus_reader_t *reader; apr_status_t inner, outer; } tx_t;

static apr_status_t inner_work(hb_op_t *op, void *baton)
{
    tell(op, 2);
    return ((tx_t *)baton)->inner;
}

static apr_status_t outer_work(hb_op_t *op, void *baton)
{
    tx_t *tx = baton;

    tell(op, 1);
    ck_assert_int_eq(hb_store_transact(op, inner_work, tx), tx->inner);
    tell(op, 3);
    expect_end(tx->reader);
    return tx->outer;
}

BUS_TEST(a_transaction_tells_after_its_commit, "1M")
{
    tx_t tx = { reader_of(ts, HB_BUS_NEWEST), APR_SUCCESS, APR_SUCCESS };

    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), outer_work, &tx), APR_SUCCESS);
    expect(tx.reader, 1, 3);
    expect_end(tx.reader);
}

BUS_TEST(a_roll_back_tells_nothing, "1M")
{
    tx_t tx = { reader_of(ts, HB_BUS_NEWEST), APR_SUCCESS, HB_E_FORBIDDEN };
    hb_op_t *op = hb_test_site_op(ts);

    ck_assert_int_eq(hb_store_transact(op, outer_work, &tx), HB_E_FORBIDDEN);
    expect_end(tx.reader);
    /* and the next one of the same op nothing of that */
    tx.outer = APR_SUCCESS;
    tx.inner = HB_E_FORBIDDEN;
    ck_assert_int_eq(hb_store_transact(op, outer_work, &tx), APR_SUCCESS);
    expect(tx.reader, 1, 1);
    expect(tx.reader, 3, 3);
    expect_end(tx.reader);
}

/* --- readers --- */

BUS_TEST(who_is_overrun_is_told, "256K")
{
    hb_bus_reader_t *slow = reader_of(ts, HB_BUS_OLDEST), *fresh;
    hb_event_t event;
    apr_uint64_t seq;
    int i, n;

    append_ok(ts, 0);
    expect(slow, 0, 0);
    for (i = 1; i < 6000; i++) {
        append_ok(ts, i);
    }
    ck_assert_int_eq(hb_bus_read(&event, slow), HB_E_BUS_GAP);
    ck_assert_int_eq(hb_bus_read(&event, slow), APR_SUCCESS);
    n = number_of(&event, NULL);
    ck_assert_int_gt(n, 1);
    seq = event.seq;
    expect(slow, n + 1, 5999);
    expect_end(slow);
    /* One who was not there misses nothing. */
    fresh = reader_of(ts, HB_BUS_OLDEST);
    ck_assert_uint_eq(hb_bus_reader_oldest(fresh), seq);
    expect(fresh, n, 5999);
    expect_end(fresh);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_GAPS), 1);
}

BUS_TEST(a_large_event_is_refused, "256K")
{
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, ROOM, NULL, NULL, 40000 };
    char *text = apr_pcalloc(hb_test_pool, 40001);

    memset(text, 'x', 40000);
    event.payload = text;
    ck_assert_int_eq(hb_bus_append(NULL, ts->site, &event), HB_E_BUS_SIZE);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_FAILED), 1);
    append_ok(ts, 1);
    ck_assert(hb_test_site_logged(ts, "too large"));
}

BUS_TEST(texts_of_any_length_fit_the_ring, "256K")
{
    hb_bus_reader_t *reader = reader_of(ts, HB_BUS_OLDEST);
    hb_event_t event;
    int i;

    for (i = 0; i < 20000; i++) {
        ck_assert_int_eq(append_n(ts->site, "a", i, i % 81), APR_SUCCESS);
        ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
        ck_assert_int_eq(number_of(&event, NULL), i);
    }
}

/* --- several processes --- */

static pid_t fork_writer(hb_test_site_t *ts, const char *who, int n)
{
    pid_t pid = fork();
    int i;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        /* As httpd's children do: the site is made before the fork and opened behind it. */
        for (i = 0; n == 0 || i < n; i++) {
            if (append_n(ts->site, who, i, (i * 7) % 81) != APR_SUCCESS) {
                _exit(1);
            }
        }
        _exit(0);
    }
    return pid;
}

BUS_TEST(two_writers_keep_their_order, "16M")
{
    hb_bus_reader_t *reader = reader_of(ts, HB_BUS_OLDEST);
    pid_t pids[2] = { fork_writer(ts, "a", 20000), fork_writer(ts, "b", 20000) };
    int next[2] = { 0, 0 }, status, i, n;
    apr_uint64_t last = 0;
    hb_event_t event;
    char who;

    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    for (i = 0; i < 40000; i++) {
        ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
        n = number_of(&event, &who);
        ck_assert_int_eq(n, next[who - 'a']++);
        ck_assert_uint_eq(event.seq, last + 1);
        last = event.seq;
    }
    expect_end(reader);
}

/* A writer is killed between any two of its instructions; what others wrote and write is there. */
BUS_TEST(killed_writers_leave_it_readable, "1M")
{
    hb_bus_reader_t *reader;
    apr_uint64_t last;
    hb_event_t event;
    apr_status_t rv;
    int round;

    for (round = 0; round < 60; round++) {
        pid_t pids[2] = { fork_writer(ts, "a", 0), fork_writer(ts, "b", 0) };

        usleep((useconds_t)(3000 + round * 37 % 4000));
        kill(pids[0], SIGKILL);
        usleep(300);
        kill(pids[1], SIGKILL);
        waitpid(pids[0], NULL, 0);
        waitpid(pids[1], NULL, 0);
        append_ok(ts, round);
        reader = reader_of(ts, HB_BUS_OLDEST);
        last = 0;
        while ((rv = hb_bus_read(&event, reader)) == APR_SUCCESS) {
            ck_assert_uint_eq(event.seq, last != 0 ? last + 1 : event.seq);
            last = event.seq;
        }
        ck_assert_int_eq(rv, APR_EAGAIN);
        ck_assert_uint_eq(last, hb_bus_reader_newest(reader));
    }
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_FAILED), 0);
}

/* While others write: every record is whole, and numbers only skip where a gap was told. */
BUS_TEST(readers_never_see_a_torn_event, "256K")
{
    hb_bus_reader_t *reader = reader_of(ts, HB_BUS_OLDEST);
    pid_t pids[2] = { fork_writer(ts, "a", 40000), fork_writer(ts, "b", 40000) };
    apr_uint64_t last = 0;
    int had_gap = 0, n_done = 0, status, i;
    hb_event_t event;
    apr_status_t rv;

    for (i = 0; ; i++) {
        rv = hb_bus_read(&event, reader);
        if (rv == HB_E_BUS_GAP) {
            had_gap = 1;
        }
        else if (rv == APR_SUCCESS) {
            number_of(&event, NULL);
            ck_assert(event.seq > last && (had_gap || last == 0 || event.seq == last + 1));
            last = event.seq;
            had_gap = 0;
        }
        else if (n_done == 2) {
            break;
        }
        else if (waitpid(-1, &status, WNOHANG) > 0) {
            ck_assert_int_eq(status, 0);
            n_done++;
        }
    }
    (void)pids;
    ck_assert_uint_eq(last, 80000);
}

/* --- a Redis that may drop it --- */

/* One setting of the server; what it was. */
static const char *configure(const char *name, const char *value)
{
    char line[200] = "";
    FILE *pipe = popen(apr_psprintf(hb_test_pool, "redis-cli -u %s CONFIG GET %s | tail -n 1; "
                                    "redis-cli -u %s CONFIG SET %s %s >&2", getenv(backends[1].env),
                                    name, getenv(backends[1].env), name, value), "r");

    ck_assert_ptr_nonnull(pipe);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), pipe));
    ck_assert_int_eq(pclose(pipe), 0);
    line[strcspn(line, "\n")] = '\0';
    return apr_pstrdup(hb_test_pool, line);
}

BUS_TEST(a_server_that_drops_any_key_is_told, "1M")
{
    const char *most, *policy;
    hb_bus_reader_t *reader;
    apr_pool_t *pool;
    int n;

    if (strncmp(ts->site->settings->bus_url, "redis:", 6) != 0) {
        return;
    }
    policy = configure("maxmemory-policy", "allkeys-lru");
    most = configure("maxmemory", "1000000000");
    apr_pool_create(&pool, ts->pool);
    ck_assert_int_eq(hb_bus_reader_open(&reader, ts->site, HB_BUS_OLDEST, 1, pool), APR_SUCCESS);
    for (n = 0; n < 1000 && !hb_test_site_logged(ts, "volatile-lru"); n++) {
        usleep(10000);
    }
    configure("maxmemory", most);
    configure("maxmemory-policy", policy);
    ck_assert(hb_test_site_logged(ts, "volatile-lru"));
    apr_pool_destroy(pool);
}

static void open_pool(void)
{
    apr_initialize();
    apr_pool_create(&hb_test_pool, NULL);
}

static void close_pool(void)
{
    apr_pool_destroy(hb_test_pool);
    apr_terminate();
}

int main(void)
{
    const TTest *const cases[] = {
        all_in_order, what_was_told_arrives, a_transaction_tells_after_its_commit,
        a_roll_back_tells_nothing, who_is_overrun_is_told, a_large_event_is_refused,
        texts_of_any_length_fit_the_ring, two_writers_keep_their_order,
        killed_writers_leave_it_readable, readers_never_see_a_torn_event,
        a_server_that_drops_any_key_is_told, NULL
    };
    Suite *suite = suite_create("hb_bus");
    SRunner *runner;
    int i, one, n_failed;

    for (i = 0; i < N_BACKENDS; i++) {
        TCase *tcase;

        if (backends[i].env != NULL && getenv(backends[i].env) == NULL) {
            printf("hb_bus: %s is left out, %s is not set\n", backends[i].name,
                   backends[i].env);
            continue;
        }
        tcase = tcase_create(backends[i].name);
        tcase_add_checked_fixture(tcase, open_pool, close_pool);
        tcase_set_timeout(tcase, 120);
        for (one = 0; cases[one] != NULL; one++) {
            tcase_add_loop_test(tcase, cases[one], i, i + 1);
        }
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
