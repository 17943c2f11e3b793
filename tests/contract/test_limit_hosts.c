/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits for all hosts: what hb_limit.h promises has to hold when the counts are kept by a
 * server, and while that server does not answer. Each process here stands for a host: it
 * has a table of its own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_ahead.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_test.h"
#include "hb_test_site.h"

static const struct { const char *name, *env; } backends[] = {
    { "redis", "HALOBUZZ_TEST_REDIS_URL" },
};
#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

static const hb_limit_rule_t rule = { "api", 100, 3600 * APR_USEC_PER_SEC };

static hb_test_site_t *open_site(const char *url)
{
    hb_test_site_t *ts = hb_test_site_make_with(
        apr_psprintf(hb_test_pool, "HaloBuzzRedisTimeout 10s\nHaloBuzzCache %s\n", url),
        hb_test_pool);

    hb_test_site_open(ts);
    return ts;
}

static hb_test_site_t *open_host(int i)
{
    return open_site(apr_psprintf(hb_test_pool, "%s?prefix=l%ld:", getenv(backends[i].env),
                                  (long)getppid()));
}

static int take(hb_test_site_t *ts, const char *who)
{
    hb_limit_verdict_t verdict;

    hb_limit_take(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    return verdict.is_allowed;
}

START_TEST(all_hosts_together_are_allowed_exactly_the_most)
{
    const char *who = apr_psprintf(hb_test_pool, "exact%ld", (long)getpid());
    int pipes[2], i, k, sum = 0;
    char passed;

    ck_assert_int_eq(pipe(pipes), 0);
    for (i = 0; i < 4; i++) {
        if (fork() == 0) {
            hb_test_site_t *ts = open_site(apr_psprintf(hb_test_pool, "%s?prefix=l:",
                                                        getenv(backends[_i].env)));

            for (k = 0, passed = 0; k < 60; k++) {
                passed = (char)(passed + take(ts, who));
            }
            /* Each decision was the server's. */
            _exit(write(pipes[1], &passed, 1) != 1
                  || hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK) != 0);
        }
    }
    for (i = 0; i < 4; i++) {
        int status;

        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(read(pipes[0], &passed, 1), 1);
        sum += passed;
    }
    ck_assert_int_eq(sum, 100);
}
END_TEST

START_TEST(a_verdict_says_what_is_left)
{
    hb_test_site_t *ts = open_host(_i);
    const char *who = apr_psprintf(hb_test_pool, "left%ld", (long)getpid());
    hb_limit_verdict_t verdict;
    int i;

    hb_limit_peek(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    ck_assert(verdict.is_allowed && verdict.remaining == 100);
    for (i = 1; i <= 100; i++) {
        hb_limit_take(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
        ck_assert(verdict.is_allowed && (int)verdict.remaining == 100 - i);
        ck_assert(verdict.reset_sec > 3500 && verdict.reset_sec <= 3600);
    }
    ck_assert(!take(ts, who));
    hb_limit_peek(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    ck_assert(!verdict.is_allowed && verdict.remaining == 0 && verdict.reset_sec > 3500);
    hb_limit_give_back(ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    ck_assert(take(ts, who) && !take(ts, who));
    hb_limit_forget(ts->site->limit, &rule, who, strlen(who));
    hb_limit_peek(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    ck_assert(verdict.is_allowed && verdict.remaining == 100);
}
END_TEST

START_TEST(a_window_ends)
{
    hb_test_site_t *ts = open_host(_i);
    const hb_limit_rule_t brief = { "brief", 1, 50000 };
    const char *who = apr_psprintf(hb_test_pool, "ends%ld", (long)getpid());
    apr_time_t until = hb_limit_now() + 5 * APR_USEC_PER_SEC;
    hb_limit_verdict_t verdict;

    hb_limit_take(&verdict, ts->site->limit, &brief, who, strlen(who), hb_limit_now());
    ck_assert(verdict.is_allowed);
    do {                        /* the server's clock decides */
        hb_limit_take(&verdict, ts->site->limit, &brief, who, strlen(who), hb_limit_now());
    } while (!verdict.is_allowed && hb_limit_now() < until);
    ck_assert(verdict.is_allowed);
}
END_TEST

START_TEST(without_the_server_each_host_counts_alone)
{
    hb_test_site_t *ts = open_site("redis://127.0.0.1:1");
    apr_time_t began = hb_limit_now();
    int i, passed = 0;

    for (i = 0; i < 150; i++) {
        passed += take(ts, "alone");
    }
    ck_assert_int_eq(passed, 100);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK), 150);
    ck_assert(hb_test_site_logged(ts, "does not answer"));
    ck_assert(hb_limit_now() - began < 5 * APR_USEC_PER_SEC);
}
END_TEST

/* An op that asked for a turn ahead, counted only while "t:proof" begins with an L. */
static hb_op_t *ask_ahead(hb_test_site_t *ts, const char *who)
{
    hb_op_t *op = hb_test_site_op(ts);

    ck_assert(hb_ahead_begin(op));
    hb_ahead_proof(op, "t:proof", "L");
    hb_ahead_turn(op, &rule, who, strlen(who));
    hb_ahead_ask(op);
    return op;
}

static int remaining(hb_test_site_t *ts, const char *who)
{
    hb_limit_verdict_t verdict;

    hb_limit_peek(&verdict, ts->site->limit, &rule, who, strlen(who), hb_limit_now());
    return (int)verdict.remaining;
}

static int ahead_take(hb_op_t *op, const char *who)
{
    hb_limit_verdict_t verdict;

    hb_ahead_take(&verdict, op, &rule, who, strlen(who));
    return verdict.is_allowed ? (int)verdict.remaining : -1;
}

START_TEST(a_turn_asked_ahead_counts_once)
{
    hb_test_site_t *ts = open_host(_i);
    const char *who = apr_psprintf(hb_test_pool, "ahead%ld", (long)getpid());
    const char *other = apr_psprintf(hb_test_pool, "other%ld", (long)getpid());
    hb_op_t *op = hb_test_site_op(ts);
    int i;

    ck_assert_int_eq(hb_cache_set(op, "t:proof", "L1", 2, 0), APR_SUCCESS);
    take(ts, other);            /* so that the server knows the script */
    op = ask_ahead(ts, who);
    ck_assert_int_eq(remaining(ts, who), 99);
    ck_assert_int_eq(ahead_take(op, who), 99);
    ck_assert_int_eq(remaining(ts, who), 99);
    ck_assert_int_eq(ahead_take(op, who), 98);  /* a second one is a second one */
    /* Whoever turns out to be somebody else is counted as that, and nobody twice. */
    op = ask_ahead(ts, who);
    ck_assert_int_eq(remaining(ts, who), 97);
    ck_assert_int_eq(ahead_take(op, other), 98);
    ck_assert_int_eq(remaining(ts, who), 98);
    /* A refusal is one, and does not count. */
    for (i = 0; i < 98; i++) {
        ck_assert_int_eq(ahead_take(ask_ahead(ts, who), who), 97 - i);
    }
    ck_assert_int_eq(ahead_take(ask_ahead(ts, who), who), -1);
    ck_assert_int_eq(ahead_take(ask_ahead(ts, who), other), 97);
    ck_assert_int_eq(remaining(ts, who), 0);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK), 0);
}
END_TEST

START_TEST(a_turn_without_its_proof_is_not_counted_ahead)
{
    static const char *const values[] = { NULL, "E", "", "?" };
    hb_test_site_t *ts = open_host(_i);
    const char *who = apr_psprintf(hb_test_pool, "proof%ld", (long)getpid());
    hb_op_t *op = hb_test_site_op(ts);
    int i;

    for (i = 0; i < 4; i++) {
        hb_cache_remove(op, "t:proof");
        if (values[i] != NULL) {
            hb_cache_set(op, "t:proof", values[i], strlen(values[i]), 0);
        }
        op = ask_ahead(ts, who);
        ck_assert_int_eq(remaining(ts, who), 100 - i);
        ck_assert_int_eq(ahead_take(op, who), 99 - i);  /* whoever wants it counts it */
    }
}
END_TEST

/* Threads whose questions may go together: each gets its own answers, and all turns count once. */
typedef struct crowd_t {
    hb_test_site_t *ts;
    int i, passed, wrong;
} crowd_t;

#define CROWD 24

static void *ask_and_take(void *baton)
{
    crowd_t *one = baton;
    const char *value;
    apr_pool_t *pool;
    apr_size_t len;
    int i;

    apr_pool_create_unmanaged(&pool);
    for (i = 0; i < 40; i++) {
        hb_op_t *op = hb_op_make(one->ts->site, pool);
        const char *key = apr_psprintf(pool, "t:crowd%d", one->i);

        hb_ahead_begin(op);
        hb_ahead_proof(op, "t:proof", "L");
        hb_ahead_value(op, key);
        hb_ahead_turn(op, &rule, "crowd", 5);
        hb_ahead_ask(op);
        one->passed += ahead_take(op, "crowd") >= 0;
        one->wrong += hb_cache_get(&value, &len, NULL, op, "t:proof") != APR_SUCCESS
            || strcmp(value, "L1") != 0;
        one->wrong += hb_cache_get(&value, &len, NULL, op, key) != APR_SUCCESS
            || strcmp(value, key) != 0;
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

START_TEST(threads_that_ask_together_get_their_own)
{
    hb_test_site_t *ts = open_host(_i);
    crowd_t crowd[CROWD] = { { NULL, 0, 0, 0 } };
    pthread_t threads[CROWD];
    hb_op_t *op = hb_test_site_op(ts);
    int i, passed = 0;

    hb_limit_forget(ts->site->limit, &rule, "crowd", 5);
    ck_assert_int_eq(hb_cache_set(op, "t:proof", "L1", 2, 0), APR_SUCCESS);
    for (i = 0; i < CROWD; i++) {
        const char *key = apr_psprintf(op->pool, "t:crowd%d", i);

        ck_assert_int_eq(hb_cache_set(op, key, key, strlen(key), 0), APR_SUCCESS);
        crowd[i].ts = ts;
        crowd[i].i = i;
    }
    for (i = 0; i < CROWD; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_and_take, &crowd[i]), 0);
    }
    for (i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(crowd[i].wrong, 0);
        passed += crowd[i].passed;
    }
    ck_assert_int_eq(passed, 100);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK), 0);
}
END_TEST

/* As after its restart: nothing was counted by the call that failed, and the next one brings it. */
START_TEST(a_server_that_forgot_the_script)
{
    hb_test_site_t *ts = open_host(_i);
    const char *who = apr_psprintf(hb_test_pool, "script%ld", (long)getpid());
    hb_op_t *op = hb_test_site_op(ts);
    const char *url = getenv(backends[_i].env);
    char *forget = apr_psprintf(hb_test_pool, "redis-cli -u '%s' script flush > /dev/null", url);

    ck_assert_int_eq(hb_cache_set(op, "t:proof", "L1", 2, 0), APR_SUCCESS);
    ck_assert_int_eq(system(forget), 0);
    op = ask_ahead(ts, who);
    ck_assert_int_eq(ahead_take(op, who), 99);
    op = ask_ahead(ts, who);
    ck_assert_int_eq(remaining(ts, who), 98);
    ck_assert_int_eq(ahead_take(op, who), 98);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK), 0);
}
END_TEST

/* Nobody knows whether the server counted it: the server is not asked again, this host counts. */
START_TEST(a_turn_that_was_lost_is_counted_here)
{
    hb_test_site_t *ts = open_site("redis://127.0.0.1:1");
    int i, passed = 0;

    (void)_i;
    for (i = 0; i < 150; i++) {
        passed += ahead_take(ask_ahead(ts, "lost"), "lost") >= 0;
    }
    ck_assert_int_eq(passed, 100);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LIMIT_FALLBACK), 150);
    ck_assert_int_eq(ahead_take(ask_ahead(ts, "lost"), "other"), 99);
}
END_TEST

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
        all_hosts_together_are_allowed_exactly_the_most, a_verdict_says_what_is_left,
        a_window_ends, without_the_server_each_host_counts_alone, a_turn_asked_ahead_counts_once,
        a_turn_without_its_proof_is_not_counted_ahead, a_server_that_forgot_the_script,
        a_turn_that_was_lost_is_counted_here, threads_that_ask_together_get_their_own, NULL
    };
    Suite *suite = suite_create("limit_hosts");
    SRunner *runner;
    int i, one, n_failed;

    for (i = 0; i < N_BACKENDS; i++) {
        TCase *tcase;

        if (getenv(backends[i].env) == NULL) {
            printf("limit_hosts: %s is left out, %s is not set\n", backends[i].name,
                   backends[i].env);
            continue;
        }
        tcase = tcase_create(backends[i].name);
        tcase_add_checked_fixture(tcase, open_pool, close_pool);
        tcase_set_timeout(tcase, 60);
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
