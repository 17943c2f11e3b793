/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_data.h
 * What lies in tests/data.
 */
#ifndef HB_TEST_DATA_H
#define HB_TEST_DATA_H

#include "hb_json.h"

/** All of vectors.json, in hb_test_pool. */
hb_json_t *hb_test_vectors(void);

#endif /* HB_TEST_DATA_H */
