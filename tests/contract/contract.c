/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of the contract tests; see contract.h. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_test.h"

/* Every backend the contract is tested with. One that needs a server names the environment
 * variable that has its URL; without it the backend is left out, and that is said. */
static const struct {
    const char *name;
    const char *url;
    const char *env;            /* wins over url; "" for none */
} backends[] = {
    { "sqlite", "sqlite:records.db", "" },
    { "mongodb", NULL, "HALOBUZZ_TEST_MONGODB_URI" },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

#define CASE_TIMEOUT_SEC 120

static const char *url_of(int i)
{
    const char *url = getenv(backends[i].env);

    return url != NULL ? url : backends[i].url;
}

/* A server keeps what earlier cases wrote, so each case has a database of its own: its name goes
 * where the URL has none, between the hosts and the options. */
static const char *url_for_case(int i)
{
    static int n;
    const char *url = url_of(i);
    const char *hosts = strstr(url, "://"), *path, *options;

    if (hosts == NULL) {
        return url;
    }
    path = strchr(hosts + 3, '/');
    options = strchr(hosts + 3, '?');
    path = path != NULL ? path : options != NULL ? options : url + strlen(url);
    return apr_psprintf(hb_test_pool, "%.*s/contract_%ld_%d%s", (int)(path - url), url,
                        (long)getpid(), n++, options != NULL ? options : "");
}

/* Log lines go to the test's own log too, for whoever reads why a case failed. */
static void print_line(void *baton, hb_level_e level, apr_status_t status,
                       const char *request_id, const char *line)
{
    contract_t *c = baton;
    char text[128];

    printf("%s%s%s\n", line, status != 0 ? ": " : "",
           status != 0 ? hb_strerror(status, text, sizeof(text)) : "");
    fflush(stdout);
    c->sink.sink(c->sink.baton, level, status, request_id, line);
}

contract_t *contract_make(int i, const char *settings)
{
    contract_t *c = apr_pcalloc(hb_test_pool, sizeof(*c));

    c->backend = backends[i].name;
    c->url = url_for_case(i);
    /* A disk that stalls for seconds, as one under other tests does, is no failure of a writer. */
    c->ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzStoreWait 60s\n", settings,
                                               NULL), hb_test_pool);
    c->sink = c->ts->site->log;
    c->ts->site->log.sink = print_line;
    c->ts->site->log.baton = c;
    return c;
}

void contract_start(contract_t *c)
{
    apr_pool_create(&c->pool, c->ts->pool);
    ASSERT_OK(hb_store_open(&c->ts->site->store, c->ts->site, c->url, c->pool));
    c->op = contract_op(c);
}

void contract_stop(contract_t *c)
{
    apr_pool_destroy(c->pool);
    c->ts->site->store = NULL;
    c->op = NULL;
}

hb_op_t *contract_op(contract_t *c)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, c->ts->pool);
    return hb_op_make(c->ts->site, pool);
}

contract_t *contract_open(int i)
{
    contract_t *c = contract_make(i, "");

    contract_start(c);
    return c;
}

static int run_child(contract_t *c, int number, contract_fn *fn, void *baton)
{
    int rc;

    contract_start(c);
    rc = fn(c, number, baton);
    contract_stop(c);
    return rc;
}

void contract_fork(pid_t *pids, contract_t *c, int n, contract_fn *fn, void *baton)
{
    int i;

    fflush(stdout);
    for (i = 0; i < n; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            _exit(run_child(c, i, fn, baton));
        }
    }
}

void contract_wait(const pid_t *pids, int n)
{
    int i, status;

    for (i = 0; i < n; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      "process %d ended with %x", i, (unsigned int)status);
    }
}

typedef struct thread_t {
    contract_t *c;
    int number;
    contract_fn *fn;
    void *baton;
    int rc;
} thread_t;

static void *APR_THREAD_FUNC run_thread(apr_thread_t *self, void *data)
{
    thread_t *t = data;

    t->rc = t->fn(t->c, t->number, t->baton);
    apr_thread_exit(self, APR_SUCCESS);
    return NULL;
}

void contract_threads(contract_t *c, int n, contract_fn *fn, void *baton)
{
    apr_thread_t **handles = apr_palloc(c->ts->pool, (apr_size_t)n * sizeof(*handles));
    thread_t *threads = apr_pcalloc(c->ts->pool, (apr_size_t)n * sizeof(*threads));
    apr_status_t rv;
    int i;

    for (i = 0; i < n; i++) {
        threads[i] = (thread_t){ c, i, fn, baton, -1 };
        ASSERT_OK(apr_thread_create(&handles[i], NULL, run_thread, &threads[i],
                                    hb_test_pool));
    }
    for (i = 0; i < n; i++) {
        apr_thread_join(&rv, handles[i]);
    }
    for (i = 0; i < n; i++) {
        ck_assert_msg(threads[i].rc == 0, "thread %d gave %d", i, threads[i].rc);
    }
}

static void start(void)
{
    ck_assert_int_eq(apr_initialize(), 0);
    ck_assert_int_eq(apr_pool_create(&hb_test_pool, NULL), 0);
}

static void stop(void)
{
    apr_pool_destroy(hb_test_pool);
    hb_test_pool = NULL;
    apr_terminate();
}

int contract_main(const char *name, const TTest *const *cases)
{
    return contract_main_of(NULL, name, cases);
}

int contract_main_of(const char *backend, const char *name, const TTest *const *cases)
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int i, n_failed;

    for (i = 0; i < N_BACKENDS; i++) {
        TCase *tcase;
        const TTest *const *one;

        if (backend != NULL && strcmp(backend, backends[i].name) != 0) {
            continue;
        }
        if (url_of(i) == NULL) {
            printf("%s: %s is left out, %s is not set\n", name, backends[i].name,
                   backends[i].env);
            continue;
        }
        tcase = tcase_create(backends[i].name);
        tcase_add_checked_fixture(tcase, start, stop);
        tcase_set_timeout(tcase, CASE_TIMEOUT_SEC);
        for (one = cases; *one != NULL; one++) {
            tcase_add_loop_test(tcase, *one, i, i + 1);
        }
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

hb_json_t *contract_json(hb_op_t *op, const char *text)
{
    char *proper = apr_pstrdup(op->pool, text), *c;
    const char *why;
    hb_json_t *json;
    apr_status_t rv;

    for (c = proper; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    rv = hb_json_parse(&json, &why, proper, strlen(proper), op->pool);
    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", proper, why);
    return json;
}

const char *contract_insert(hb_op_t *op, hb_collection_e in, const char *text)
{
    hb_json_t *doc = contract_json(op, text);

    ASSERT_OK(hb_store_insert(NULL, op, in, doc));
    return hb_json_string(doc, "_id");
}

const char *contract_user(hb_op_t *op, const char *name)
{
    return contract_insert(op, HB_C_USERS, apr_psprintf(op->pool,
        "{'email':'%s@example.com','username':'%s','usernameKey':'%s',"
        "'usernameSkeleton':'%s','createdAt':%" APR_INT64_T_FMT ",'roles':[],"
        "'coins':{'balance':0}}", name, name, name, name, op->now / 1000));
}

const char *contract_text(hb_op_t *op, hb_collection_e in, const char *id)
{
    hb_json_t *doc;

    ASSERT_OK(hb_store_get(&doc, op, in, id));
    hb_json_remove(doc, "_id");
    return hb_json_text(doc, op->pool, NULL);
}

static int print_finding(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    (void)baton;
    (void)total;
    if (done < 0) {
        printf("finding: %s\n", what);
    }
    return 0;
}

void contract_is_whole(hb_op_t *op)
{
    apr_int64_t findings;

    ASSERT_OK(hb_store_verify(&findings, op, print_finding, NULL));
    ck_assert_int_eq(findings, 0);
}
