/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_store_sum.h
 * A sum over documents that does not depend on their order: by it two stores are compared.
 */
#ifndef HB_STORE_SUM_H
#define HB_STORE_SUM_H

#include "hb_json.h"

/**
 * The sum of SHA-256 values, modulo 2 to the 256, the highest byte first. A zeroed one is
 * of nothing.
 */
typedef struct hb_store_sum_t {
    unsigned char bytes[32];
} hb_store_sum_t;

/**
 * Add a document: the SHA-256 of its id, a newline and its canonical text: compact JSON with the
 * members of each object sorted by name, byte by byte; reals with 17 digits. Does not wait.
 * @param doc  without "_id"
 */
void hb_store_sum_add(hb_store_sum_t *sum, const char *id, const hb_json_t *doc);

/** Read 64 hex digits; 0 when text is none. */
int hb_store_sum_read(hb_store_sum_t *sum, const char *text);

#endif /* HB_STORE_SUM_H */
