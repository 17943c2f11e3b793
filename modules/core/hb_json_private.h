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

/*
 * For views: the name lives for ever and is not in the object yet, so that it is neither
 * copied nor looked up. What is added belongs to the object alone.
 */

/** A value that both hold from now on. */
void hb_json_add(hb_json_t *object, const char *name, const hb_json_t *value);
void hb_json_add_text(hb_json_t *object, const char *name, const char *text, apr_size_t len);
hb_json_t *hb_json_add_object(hb_json_t *object, const char *name);
hb_json_t *hb_json_add_array(hb_json_t *object, const char *name);
hb_json_t *hb_json_push_object(hb_json_t *array);

/**
 * Length of the UTF-8 sequence at s (1 to 4), 0 when the bytes there are none: overlong,
 * a surrogate, beyond U+10FFFF, cut off. @param left bytes that may be looked at, 1 or more
 */
int hb_utf8_sequence(const unsigned char *s, apr_size_t left);

#endif /* HB_JSON_PRIVATE_H */
