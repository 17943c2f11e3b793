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

#include <sys/types.h>

#include <check.h>

#include "hb_store.h"
#include "hb_test_site.h"

typedef struct contract_t {
    hb_test_site_t *ts;
    const char *backend;        /* "sqlite" */
    const char *url;
    hb_log_t sink;              /* the site's own */
    apr_pool_t *pool;           /* while the store is open */
    hb_op_t *op;                /* one to use; contract_op() makes more */
} contract_t;

/** A fresh site with an empty store of backend number i. */
contract_t *contract_open(int i);
/** The same with settings lines on top, not opened: for cases that fork first. */
contract_t *contract_make(int i, const char *settings);
/** Open what contract_make made or contract_stop closed, in this process. */
void contract_start(contract_t *c);
/** Close it, as a process does that ends well; c->op is gone then. */
void contract_stop(contract_t *c);

/** A fresh op. */
hb_op_t *contract_op(contract_t *c);

/**
 * Fork processes that open the store each for itself and run fn; number is 0 .. n-1.
 * fn gives 0 for success. The store must not be open here.
 */
typedef int contract_fn(contract_t *c, int number, void *baton);
void contract_fork(pid_t *pids, contract_t *c, int n, contract_fn *fn, void *baton);
/** Wait for them; each has to have given 0. */
void contract_wait(const pid_t *pids, int n);

/** Run fn in n threads on the open store; each has to give 0. */
void contract_threads(contract_t *c, int n, contract_fn *fn, void *baton);

/** Run cases for all backends; exit status for main. */
int contract_main(const char *name, const TTest *const *cases);
/** The same for one backend, whose own test it is. */
int contract_main_of(const char *backend, const char *name, const TTest *const *cases);

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
