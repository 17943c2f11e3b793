/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_site.h
 * A site for test cases: real keys and, when opened, a real store and cache in a
 * directory of its own, a clock that stands still until it is turned, randomness that
 * repeats, log lines that can be asked for. All of it goes with its pool.
 *
 *     hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
 *     hb_test_site_open(ts);
 *     hb_op_t *op = hb_test_site_op(ts);
 *     ...
 *     ts->now += apr_time_from_sec(60);
 *     ck_assert(hb_test_site_logged(ts, "HB00123"));
 *
 * For what only computes, hb_test_op.h is lighter.
 */
#ifndef HB_TEST_SITE_H
#define HB_TEST_SITE_H

#include <apr_tables.h>
#include <apr_thread_mutex.h>

#include "hb_json.h"
#include "hb_op.h"

/** 2026-07-01T09:30:00Z, when every site starts. */
#define HB_TEST_SITE_START (APR_INT64_C(1782898200) * APR_USEC_PER_SEC)

typedef struct hb_test_site_t {
    hb_site_t *site;
    apr_pool_t *pool;
    const char *dir;            /* state directory; removed with the pool */
    apr_time_t now;             /* what the clock shows to the next op */
    apr_uint64_t seed;          /* of the randomness */
    apr_array_header_t *lines;  /* const char *: what was logged, level info and above */
    apr_pool_t *line_pool;      /* lines come from any thread, so they have a pool ... */
    apr_thread_mutex_t *lock;   /* ... and a lock of their own; the randomness takes it too */
} hb_test_site_t;

/**
 * Make a site: default settings but the cheapest password hash and a directory of its own.
 * Environment aliases are not looked at.
 */
hb_test_site_t *hb_test_site_make(apr_pool_t *pool);

/** The same with "Directive value" lines on top, as in a settings file. */
hb_test_site_t *hb_test_site_make_with(const char *settings, apr_pool_t *pool);

/** Open store, cache, limiter and counters; fails the case when that fails. */
void hb_test_site_open(hb_test_site_t *ts);

/** A fresh op at ts->now by a stranger, in a pool of its own below the site's. */
hb_op_t *hb_test_site_op(hb_test_site_t *ts);

/** The same by a user, whose id it is. */
hb_op_t *hb_test_site_op_by(hb_test_site_t *ts, const char *user_id);

/** JSON that a case is written with, in hb_test_pool; fails the case when it is none. */
hb_json_t *hb_test_json(const char *text);

/** Was a line with this part (a number, a word) logged? From any thread. */
int hb_test_site_logged(hb_test_site_t *ts, const char *part);

/** Forget what was logged. */
void hb_test_site_forget_log(hb_test_site_t *ts);

#endif /* HB_TEST_SITE_H */
