/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of the contract tests; see contract.h. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

/* Every backend the contract is tested with. One that needs a server names the environment
 * variable that has its URL; without it the backend is left out, and that is said. */
static const struct {
    const char *name;
    const char *url;
    const char *env;            /* wins over url; "" for none */
} backends[] = {
    { "sqlite", "sqlite:records.db", "" },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

#define CASE_TIMEOUT_SEC 120

static const char *url_of(int i)
{
    const char *url = getenv(backends[i].env);

    return url != NULL ? url : backends[i].url;
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

contract_t *contract_open_with(int i, const char *settings)
{
    contract_t *c = apr_pcalloc(hb_test_pool, sizeof(*c));

    c->backend = backends[i].name;
    c->url = url_of(i);
    c->ts = hb_test_site_make_with(settings, hb_test_pool);
    c->sink = c->ts->site->log;
    c->ts->site->log.sink = print_line;
    c->ts->site->log.baton = c;
    ASSERT_OK(hb_store_open(&c->ts->site->store, c->ts->site, c->url, c->ts->pool));
    c->op = hb_test_site_op(c->ts);
    return c;
}

contract_t *contract_open(int i)
{
    return contract_open_with(i, "");
}

hb_site_t *contract_again(contract_t *c)
{
    hb_site_t *site = apr_pmemdup(c->ts->pool, c->ts->site, sizeof(*site));

    ASSERT_OK(hb_store_open(&site->store, site, c->url, c->ts->pool));
    return site;
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
    Suite *suite = suite_create(name);
    SRunner *runner;
    int i, n_failed;

    for (i = 0; i < N_BACKENDS; i++) {
        TCase *tcase = tcase_create(backends[i].name);
        const TTest *const *one;

        if (url_of(i) == NULL) {
            printf("%s: %s is left out, %s is not set\n", name, backends[i].name,
                   backends[i].env);
            continue;
        }
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
