/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_json_private.h
 * What the files of hb_json share. json-c's types stay behind void pointers here, so that
 * nobody else needs its headers.
 */
#ifndef HB_JSON_PRIVATE_H
#define HB_JSON_PRIVATE_H

#include "hb_json.h"

/** Drop one reference of a json_object when the pool goes; gives it under its other name. */
hb_json_t *hb_json_own(void *object, apr_pool_t *pool);

/**
 * Length of the UTF-8 sequence at s (1 to 4), 0 when the bytes there are none: overlong,
 * a surrogate, beyond U+10FFFF, cut off. @param left bytes that may be looked at, 1 or more
 */
int hb_utf8_sequence(const unsigned char *s, apr_size_t left);

#endif /* HB_JSON_PRIVATE_H */
