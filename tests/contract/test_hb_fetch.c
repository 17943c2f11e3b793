/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls out (hb_fetch.h), against the simulator, which answers as it is told. What the
 * breaker does is in test_hb_pay.c, certificates are in tests/ctl/test_providers.py.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_test.h"
#include "pay_world.h"

/* A GET of something that is not there: 404 and a small JSON body. */
static apr_status_t get(hb_fetch_answer_t *answer, pay_world_t *w, int tries)
{
    const hb_fetch_t fetch = {
        .service = "test", .method = "GET", .tries = tries,
        .url = apr_pstrcat(hb_test_pool, w->url, "/v1/payment_intents/none?secret=1", NULL)
    };

    return hb_fetch(answer, pay_world_next(w), &fetch);
}

START_TEST(only_https_or_this_host_itself_is_called)
{
    static const struct {
        const char *url;
        int is_taken;
    } rows[] = {
        { "https://api.stripe.com/v1", 1 }, { "https://api.stripe.com", 1 },
        { "https://203.0.113.7:8443/x?y=z", 1 }, { "http://127.0.0.1:8080/x", 1 },
        { "http://localhost/x", 1 }, { "http://[::1]:80/", 1 },
        { "http://api.stripe.com/v1", 0 }, { "http://127.0.0.1.example.com/", 0 },
        { "http://localhost.example.com/", 0 }, { "ftp://localhost/", 0 }, { "file:///etc/passwd", 0 },
        { "https://user:word@api.stripe.com/", 0 }, { "https://", 0 }, { "api.stripe.com", 0 },
        { "", 0 }, { "https:/x", 0 }, { "gopher://127.0.0.1/", 0 }, { "https://a b/", 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = hb_fetch_url_check(rows[i].url, hb_test_pool);

        ck_assert_msg((why == NULL) == rows[i].is_taken, "%s: %s", rows[i].url, why);
    }
}
END_TEST

START_TEST(an_answer_is_an_answer_whatever_its_status)
{
    pay_world_t *w = pay_world_open("");
    hb_fetch_answer_t answer;

    ck_assert_int_eq(get(&answer, w, 3), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 401);
    ck_assert_str_eq(answer.type, "application/json");
    ck_assert_int_eq(hb_json_type(answer.json), HB_JSON_OBJECT);
    ck_assert_int_eq(strlen(answer.body), answer.len);
    ck_assert_int_eq(strncmp(answer.request_id, "req_", 4), 0);
    ck_assert(answer.was_sent);
    ck_assert_int_eq(pay_world_calls(w, "stripe"), 1);      /* 401 is not worth another */
    ck_assert_int_eq(hb_metric_value(w->ts->site->metrics, HB_M_FETCH_FAILED), 0);
    ck_assert_ptr_null(strstr(answer.request_id, "\n"));
    ck_assert(!hb_test_site_logged(w->ts, "secret=1"));
}
END_TEST

START_TEST(other_tries_follow_the_rule)
{
    static const struct {
        const char *fault;
        int n_calls;
    } rows[] = {
        { "'kind': 'error', 'status': 500", 3 }, { "'kind': 'error', 'status': 503", 3 },
        { "'kind': 'error', 'status': 409", 3 }, { "'kind': 'error', 'status': 429", 3 },
        { "'kind': 'error', 'status': 400", 1 }, { "'kind': 'error', 'status': 404", 1 },
        { "'kind': 'error', 'status': 500, 'headers': {'Stripe-Should-Retry': 'false'}", 1 },
        { "'kind': 'error', 'status': 400, 'headers': {'Stripe-Should-Retry': 'true'}", 3 },
        { "'kind': 'error', 'status': 302, 'headers': {'Location': '/v1/balance'}", 1 },
        { "'kind': 'error', 'status': 503, 'headers': {'Retry-After': '60'}", 1 },
        { "'kind': 'huge'", 1 },
    };
    pay_world_t *w = pay_world_open("");
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_fetch_answer_t answer;
        int n;

        pay_world_tell(w, "reset", "{}");
        pay_world_tell(w, "fault", "{%s}", rows[i].fault);
        get(&answer, w, 3);
        n = pay_world_calls(w, "stripe");
        ck_assert_msg(n == rows[i].n_calls, "%s: %d calls", rows[i].fault, n);
        w->ts->now += apr_time_from_sec(120);       /* the host is not left alone */
    }
}
END_TEST

START_TEST(another_try_may_help)
{
    pay_world_t *w = pay_world_open("");
    hb_fetch_answer_t answer;

    pay_world_tell(w, "fault", "{'kind': 'error', 'status': 500, 'count': 2}");
    ck_assert_int_eq(get(&answer, w, 3), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 401);
    pay_world_tell(w, "fault", "{'kind': 'down', 'count': 1}");
    ck_assert_int_eq(get(&answer, w, 2), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 401);
}
END_TEST

START_TEST(no_answer_is_told_apart_from_never_sent)
{
    pay_world_t *w = pay_world_open("");
    hb_fetch_t fetch = { .service = "test", .method = "GET" };
    hb_fetch_answer_t answer;

    pay_world_tell(w, "fault", "{'kind': 'lose'}");
    ck_assert_int_eq(get(&answer, w, 1), HB_E_UPSTREAM);
    ck_assert(answer.was_sent);
    ck_assert_int_eq(answer.status, 0);
    ck_assert_ptr_nonnull(answer.why);
    ck_assert_int_eq(w->op->problem.status, APR_SUCCESS);   /* the caller's to say */
    fetch.url = "http://127.0.0.1:1/";
    ck_assert_int_eq(hb_fetch(&answer, pay_world_next(w), &fetch), HB_E_UPSTREAM);
    ck_assert(!answer.was_sent);
    fetch.url = "http://api.example.com/";
    ck_assert_int_eq(hb_fetch(&answer, pay_world_next(w), &fetch), HB_E_CONFIG);
    ck_assert(!answer.was_sent);
}
END_TEST

START_TEST(time_and_size_are_bounded)
{
    pay_world_t *w = pay_world_open("");
    hb_fetch_t fetch = { .service = "test", .method = "GET", .tries = 5,
                         .wait_usec = apr_time_from_msec(1200) };
    hb_fetch_answer_t answer;
    apr_time_t begun = apr_time_now();

    fetch.url = apr_pstrcat(hb_test_pool, w->url, "/v1/balance", NULL);
    pay_world_tell(w, "fault", "{'kind': 'late', 'seconds': 4}");
    begun = apr_time_now();
    ck_assert_int_eq(hb_fetch(&answer, pay_world_next(w), &fetch), HB_E_UPSTREAM);
    ck_assert(apr_time_now() - begun < apr_time_from_msec(2500));
    ck_assert(answer.was_sent);
    pay_world_tell(w, "heal", "{}");
    pay_world_tell(w, "fault", "{'kind': 'huge'}");
    ck_assert_int_eq(hb_fetch(&answer, pay_world_next(w), &fetch), HB_E_UPSTREAM);
    fetch.answer_max_bytes = 4 << 20;
    ck_assert_int_eq(hb_fetch(&answer, pay_world_next(w), &fetch), APR_SUCCESS);
    ck_assert_int_eq(answer.len, 2 << 20);
    ck_assert_ptr_null(answer.json);
}
END_TEST

static apr_status_t call_inside(hb_op_t *op, void *baton)
{
    const hb_fetch_t fetch = { .service = "test", .method = "GET", .url = baton };
    hb_fetch_answer_t answer;

    return hb_fetch(&answer, op, &fetch);
}

START_TEST(nobody_calls_out_while_writers_wait)
{
    pay_world_t *w = pay_world_open("");

    ck_assert_int_eq(hb_store_transact(w->op, call_inside,
                                       apr_pstrcat(hb_test_pool, w->url, "/v1/balance", NULL)),
                     HB_E_INTERNAL);
    ck_assert_int_eq(pay_world_calls(w, "stripe"), 0);
}
END_TEST

/* Keys are in headers, and handles are used again for others. */
START_TEST(headers_do_not_leak_into_the_next_call)
{
    pay_world_t *w = pay_world_open("");
    const char *headers[] = { "Authorization: Bearer sk_test_simulated", "X-One: 1", NULL };
    hb_fetch_t fetch = { .service = "test", .method = "POST", .headers = headers,
                         .type = "application/json", .body = "{}", .len = 2 };
    const hb_json_t *calls, *second;
    hb_fetch_answer_t answer;

    fetch.url = apr_pstrcat(hb_test_pool, w->url, "/v1/refunds", NULL);
    hb_fetch(&answer, pay_world_next(w), &fetch);
    ck_assert_int_eq(get(&answer, w, 1), APR_SUCCESS);
    calls = hb_json_get(pay_world_tell(w, "calls", "{}"), "calls");
    ck_assert_int_eq(hb_json_length(calls), 2);
    second = hb_json_get(hb_json_item(calls, 1), "headers");
    ck_assert(!hb_json_has(second, "authorization"));
    ck_assert(!hb_json_has(second, "x-one"));
    ck_assert(!hb_json_has(second, "content-type"));
    ck_assert_str_eq(hb_json_string(hb_json_item(calls, 1), "method"), "GET");
    ck_assert_str_eq(hb_json_string(hb_json_item(calls, 1), "body"), "");
}
END_TEST

#define CROWD 24

typedef struct caller_t {
    pay_world_t *w;
    hb_op_t *op;
    apr_status_t rv;
    int was_sent;
} caller_t;

static void *call_slowly(void *baton)
{
    caller_t *caller = baton;
    hb_fetch_t fetch = { .service = "test", .method = "GET", .wait_usec = apr_time_from_sec(8) };
    hb_fetch_answer_t answer;

    fetch.url = apr_pstrcat(caller->op->pool, caller->w->url, "/v1/balance", NULL);
    caller->rv = hb_fetch(&answer, caller->op, &fetch);
    caller->was_sent = answer.was_sent;
    return NULL;
}

/* A provider that is merely slow gets some of our threads, and the others are told at once. */
START_TEST(a_slow_host_does_not_take_all_threads)
{
    pay_world_t *w = pay_world_open("");
    caller_t callers[CROWD];
    pthread_t threads[CROWD];
    int i, n_answered = 0, n_held = 0;

    pay_world_tell(w, "fault", "{'kind': 'late', 'seconds': 2}");
    for (i = 0; i < CROWD; i++) {
        callers[i].w = w;
        callers[i].op = hb_test_site_op(w->ts);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_slowly, &callers[i]), 0);
    }
    for (i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        n_answered += callers[i].rv == APR_SUCCESS;
        n_held += callers[i].rv == HB_E_UPSTREAM && !callers[i].was_sent;
    }
    ck_assert_int_eq(n_answered, 16);
    ck_assert_int_eq(n_held, CROWD - 16);
    ck_assert_int_eq(pay_world_calls(w, "stripe"), 16);
    pay_world_tell(w, "heal", "{}");
    call_slowly(&callers[0]);
    ck_assert_int_eq(callers[0].rv, APR_SUCCESS);   /* all places were given back */
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        only_https_or_this_host_itself_is_called, an_answer_is_an_answer_whatever_its_status,
        other_tries_follow_the_rule, another_try_may_help, no_answer_is_told_apart_from_never_sent,
        time_and_size_are_bounded, nobody_calls_out_while_writers_wait,
        headers_do_not_leak_into_the_next_call, a_slow_host_does_not_take_all_threads, NULL
    };

    return hb_test_main("hb_fetch", cases);
}
