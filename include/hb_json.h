/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_json.h
 * JSON values. json-c does the work inside hb_json.c and does not leave it. A value
 * made or parsed with a pool is released with that pool; a value put into another
 * lives as long as either. Values are not shared between threads.
 */
#ifndef HB_JSON_H
#define HB_JSON_H

#include <apr_pools.h>
#include <apr_errno.h>

typedef struct hb_json_t hb_json_t;

typedef enum hb_json_type_e {
    HB_JSON_NULL, HB_JSON_BOOL, HB_JSON_INT, HB_JSON_REAL, HB_JSON_STRING,
    HB_JSON_ARRAY, HB_JSON_OBJECT
} hb_json_type_e;

#define HB_JSON_DEPTH_MAX 32
#define HB_JSON_CONTAINERS_MAX 20000

/**
 * Parse outside bytes strictly: RFC 8259 only, UTF-8 only, at most
 * HB_JSON_DEPTH_MAX deep, at most HB_JSON_CONTAINERS_MAX objects and arrays, no duplicate
 * member names, no NaN or Infinity, no number beyond 64 bits (integers that would
 * saturate, reals that would be infinite), no \u0000, nothing after the value.
 * @param why  a sentence with the byte offset, when it fails
 * @return HB_E_BODY_SYNTAX. Does not wait.
 */
apr_status_t hb_json_parse(hb_json_t **json, const char **why, const char *text,
                           apr_size_t len, apr_pool_t *pool);

/** Parse what we wrote ourselves; skips the checks for outside bytes. NULL if damaged. */
hb_json_t *hb_json_parse_own(const char *text, apr_size_t len, apr_pool_t *pool);

hb_json_t *hb_json_object_make(apr_pool_t *pool);
hb_json_t *hb_json_array_make(apr_pool_t *pool);
hb_json_t *hb_json_copy(const hb_json_t *json, apr_pool_t *pool);

hb_json_type_e hb_json_type(const hb_json_t *json);     /* NULL is HB_JSON_NULL */

/* Reading members of an object. A missing or other-typed member gives the default;
 * keys here are single names, hb_json_at() takes dotted paths. */
int hb_json_has(const hb_json_t *object, const char *key);
hb_json_t *hb_json_get(const hb_json_t *object, const char *key);
const char *hb_json_string(const hb_json_t *object, const char *key);   /* or NULL */
apr_int64_t hb_json_int(const hb_json_t *object, const char *key, apr_int64_t dflt);
int hb_json_bool(const hb_json_t *object, const char *key, int dflt);
double hb_json_real(const hb_json_t *object, const char *key, double dflt);
hb_json_t *hb_json_at(const hb_json_t *object, const char *dotted_path); /* or NULL */

/* Values by themselves. */
const char *hb_json_string_value(const hb_json_t *json);    /* or NULL */
apr_size_t hb_json_string_bytes(const hb_json_t *json);
apr_int64_t hb_json_int_value(const hb_json_t *json, apr_int64_t dflt);
int hb_json_bool_value(const hb_json_t *json, int dflt);
double hb_json_real_value(const hb_json_t *json, double dflt);  /* of an integer, too */

/** A parsed number as it was written ("1000.0" stays so), for signatures; NULL for others. */
const char *hb_json_number_text(const hb_json_t *json, apr_pool_t *pool);

/* Writing. A NULL string is written as JSON null. All copy what they are given. */
void hb_json_set_string(hb_json_t *object, const char *key, const char *value);
void hb_json_set_int(hb_json_t *object, const char *key, apr_int64_t value);
void hb_json_set_real(hb_json_t *object, const char *key, double value);
void hb_json_set_bool(hb_json_t *object, const char *key, int value);
void hb_json_set_null(hb_json_t *object, const char *key);
void hb_json_set(hb_json_t *object, const char *key, hb_json_t *value);
/** Time as RFC 3339 with Z and milliseconds, from microseconds; 0 is written as null. */
void hb_json_set_time(hb_json_t *object, const char *key, apr_time_t when);
void hb_json_remove(hb_json_t *object, const char *key);
/** Set by dotted path, making the objects between. */
void hb_json_put_at(hb_json_t *object, const char *dotted_path, hb_json_t *value);
void hb_json_remove_at(hb_json_t *object, const char *dotted_path);

hb_json_t *hb_json_string_make(const char *value, apr_pool_t *pool);
hb_json_t *hb_json_int_make(apr_int64_t value, apr_pool_t *pool);
hb_json_t *hb_json_bool_make(int value, apr_pool_t *pool);

int hb_json_length(const hb_json_t *array);
hb_json_t *hb_json_item(const hb_json_t *array, int index);
void hb_json_push(hb_json_t *array, hb_json_t *value);
void hb_json_push_string(hb_json_t *array, const char *value);

/** Members of an object in order; return 0 from fn to go on, anything else to stop. */
int hb_json_each(const hb_json_t *object,
                 int (*fn)(void *baton, const char *key, hb_json_t *value), void *baton);

int hb_json_equal(const hb_json_t *a, const hb_json_t *b);

/** Compact text, in pool; len may be NULL. */
const char *hb_json_text(const hb_json_t *json, apr_pool_t *pool, apr_size_t *len);
/** The same without one member of the object. */
const char *hb_json_text_without(const hb_json_t *object, const char *key, apr_pool_t *pool,
                                 apr_size_t *len);
/** Indented text for people. */
const char *hb_json_pretty(const hb_json_t *json, apr_pool_t *pool);

/**
 * Quote any bytes as a JSON string including the quotes: bytes that are not UTF-8
 * become U+FFFD, so that the result is valid whatever came in (log lines).
 */
const char *hb_json_quote(apr_pool_t *pool, const char *bytes, apr_size_t len);

/** Is it UTF-8 (no overlongs, no surrogates)? */
int hb_utf8_is_valid(const char *bytes, apr_size_t len);

/** A copy of at most so many bytes, without half a character at its end. */
const char *hb_utf8_cut(apr_pool_t *pool, const char *text, apr_size_t max_bytes);

#endif /* HB_JSON_H */
