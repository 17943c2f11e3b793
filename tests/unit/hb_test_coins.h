/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_coins.h
 * Users and coins that are just there, on an opened test site, and the proof of its ledger. Whoever
 * registers and signs in is hb_test_people.h's.
 */
#ifndef HB_TEST_COINS_H
#define HB_TEST_COINS_H

#include "hb_test_site.h"

/**
 * A user whose name is the id: active, without an OG level. Members that are texts may be added or
 * changed: "country", "NP", ..., NULL.
 */
void hb_test_add_user(hb_test_site_t *ts, const char *id, ...) __attribute__((sentinel));

/** Coins and bonus coins out of the mints. */
void hb_test_fund(hb_test_site_t *ts, const char *user_id, apr_int64_t coins, apr_int64_t bonus);

/** What is in an account of the ledger. */
apr_int64_t hb_test_holds(hb_test_site_t *ts, const char *account);

/** Every entry, account and balance agrees, and the sums are 0. */
void hb_test_prove(hb_test_site_t *ts);

#endif /* HB_TEST_COINS_H */
