/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test.h
 * The frame of every unit test program: APR is started, each case gets a fresh pool.
 *
 *     static void names_are_checked(void) in START_TEST/END_TEST, using hb_test_pool
 *     int main(void) { return hb_test_main("hb_noun", cases); }
 *
 * A case that needs a site (store, cache, clock, randomness): hb_test_site.h.
 */
#ifndef HB_TEST_H
#define HB_TEST_H

#include <apr_pools.h>
#include <check.h>

/** Pool of the running case. */
extern apr_pool_t *hb_test_pool;

/**
 * Run the cases of one program, each in its own process unless CK_FORK=no.
 * @param cases  START_TEST names, NULL at the end
 * @return exit status for main
 */
int hb_test_main(const char *name, const TTest *const *cases);

#endif /* HB_TEST_H */
