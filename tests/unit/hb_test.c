/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every unit test program; see hb_test.h. */
#include "hb_test.h"

#include <stdlib.h>

#include <apr_general.h>

/* Generous, because the machine may be busy and valgrind slow. */
#define CASE_TIMEOUT_SEC 120

apr_pool_t *hb_test_pool;

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

int hb_test_main(const char *name, const TTest *const *cases)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, CASE_TIMEOUT_SEC);
    for (; *cases != NULL; cases++) {
        tcase_add_test(tcase, *cases);
    }
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
