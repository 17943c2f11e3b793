/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file contract.h
 * The frame of the contract tests: each case runs once for every backend in the table of
 * contract.c, on an empty store of its own.
 *
 *     START_TEST(an_insert_is_found_again)
 *     {
 *         contract_t *c = contract_open(_i);
 *         ...
 *     }
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include <check.h>

#include "hb_store.h"
#include "hb_test_site.h"

typedef struct contract_t {
    hb_test_site_t *ts;
    const char *backend;        /* "sqlite" */
    const char *url;
    hb_log_t sink;              /* the site's own */
    hb_op_t *op;                /* one to use; hb_test_site_op() makes more */
} contract_t;

/** A fresh site with an empty store of backend number i. */
contract_t *contract_open(int i);
/** The same with settings lines on top. */
contract_t *contract_open_with(int i, const char *settings);
/** Open the same records again, as another process of the platform does. */
hb_site_t *contract_again(contract_t *c);

/** Run cases for all backends; exit status for main. */
int contract_main(const char *name, const TTest *const *cases);

/** Parse JSON that a case is written with ('...' may stand for "..."). */
hb_json_t *contract_json(hb_op_t *op, const char *text);
/** Insert a document and give its id; fails the case when that fails. */
const char *contract_insert(hb_op_t *op, hb_collection_e in, const char *text);
/** A user with the unique fields made from name. */
const char *contract_user(hb_op_t *op, const char *name);
/** The record as text, members in order, for comparing. */
const char *contract_text(hb_op_t *op, hb_collection_e in, const char *id);
/** No finding in the whole store. */
void contract_is_whole(hb_op_t *op);

#define ASSERT_RV(call, wanted) do { \
    apr_status_t rv_ = (call); \
    ck_assert_msg(rv_ == (wanted), "%s gave %d (%s), not " #wanted, #call, rv_, \
                  hb_error_row(rv_)->code); \
} while (0)
#define ASSERT_OK(call) ASSERT_RV(call, APR_SUCCESS)

#endif /* CONTRACT_H */
