/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_op.h
 * An op over a site that has keys, a fixed clock and repeatable randomness, and neither store
 * nor cache: for what computes only. Whoever needs records takes hb_test_site.h.
 */
#ifndef HB_TEST_OP_H
#define HB_TEST_OP_H

#include "hb_op.h"
#include "hb_settings.h"

/** What a case may turn. */
typedef struct hb_test_desk_t {
    hb_settings_t settings;
    hb_site_t site;
    apr_time_t now;
    apr_uint64_t seed;          /* of the randomness */
} hb_test_desk_t;

/** 2023-11-14T22:13:20Z, an even second all tokens of the vectors know. */
#define HB_TEST_NOW apr_time_from_sec(1700000000)

/** In pool, with access and pepper keys from fixed secrets. */
hb_test_desk_t *hb_test_desk_make(apr_pool_t *pool);

/** A fresh op at desk->now by a stranger. */
hb_op_t *hb_test_op_make(hb_test_desk_t *desk, apr_pool_t *pool);

#endif /* HB_TEST_OP_H */
