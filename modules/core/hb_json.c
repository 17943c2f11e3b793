/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values over json-c: making, reading and changing them. An hb_json_t is a
 * json_object by another name. Text comes in by hb_json_read.c and goes out by
 * hb_json_text.c, because json-c's own parser takes more than JSON and its writer
 * trusts its strings.
 *
 * Ownership: what is made with a pool holds one reference, dropped by that pool's
 * cleanup; a container holds another of its own. So both may go first.
 */
#include "hb_json.h"

#include <string.h>

#include <apr_strings.h>
#include <json-c/json.h>

#include "hb_json_private.h"
#include "hb_time.h"

/* Longest member name that a dotted path may hold; ours are in hb_schema.def. */
#define PATH_PART_MAX 128

static json_object *as_c(const hb_json_t *json)
{
    return (json_object *)json;
}

static apr_status_t drop(void *data)
{
    json_object_put(data);
    return APR_SUCCESS;
}

hb_json_t *hb_json_own(void *object, apr_pool_t *pool)
{
    if (object != NULL) {
        apr_pool_cleanup_register(pool, object, drop, apr_pool_cleanup_null);
    }
    return object;
}

/* --- making --- */

hb_json_t *hb_json_object_make(apr_pool_t *pool)
{
    return hb_json_own(json_object_new_object(), pool);
}

hb_json_t *hb_json_array_make(apr_pool_t *pool)
{
    return hb_json_own(json_object_new_array(), pool);
}

hb_json_t *hb_json_string_make(const char *value, apr_pool_t *pool)
{
    return value != NULL ? hb_json_own(json_object_new_string(value), pool) : NULL;
}

hb_json_t *hb_json_int_make(apr_int64_t value, apr_pool_t *pool)
{
    return hb_json_own(json_object_new_int64(value), pool);
}

hb_json_t *hb_json_bool_make(int value, apr_pool_t *pool)
{
    return hb_json_own(json_object_new_boolean(value != 0), pool);
}

hb_json_t *hb_json_copy(const hb_json_t *json, apr_pool_t *pool)
{
    json_object *copy = NULL;

    if (json == NULL || json_object_deep_copy(as_c(json), &copy, NULL) != 0) {
        return NULL;
    }
    return hb_json_own(copy, pool);
}

/* --- reading --- */

hb_json_type_e hb_json_type(const hb_json_t *json)
{
    switch (json_object_get_type(as_c(json))) {
    case json_type_boolean: return HB_JSON_BOOL;
    case json_type_int:     return HB_JSON_INT;
    case json_type_double:  return HB_JSON_REAL;
    case json_type_string:  return HB_JSON_STRING;
    case json_type_array:   return HB_JSON_ARRAY;
    case json_type_object:  return HB_JSON_OBJECT;
    case json_type_null:    break;
    }
    return HB_JSON_NULL;
}

/* The member itself; 0 when there is none or this is no object. */
static int find(json_object **value, const hb_json_t *object, const char *key)
{
    *value = NULL;
    return json_object_is_type(as_c(object), json_type_object)
           && json_object_object_get_ex(as_c(object), key, value);
}

int hb_json_has(const hb_json_t *object, const char *key)
{
    json_object *value;

    return find(&value, object, key);
}

hb_json_t *hb_json_get(const hb_json_t *object, const char *key)
{
    json_object *value;

    find(&value, object, key);
    return (hb_json_t *)value;
}

const char *hb_json_string(const hb_json_t *object, const char *key)
{
    return hb_json_string_value(hb_json_get(object, key));
}

apr_int64_t hb_json_int(const hb_json_t *object, const char *key, apr_int64_t dflt)
{
    return hb_json_int_value(hb_json_get(object, key), dflt);
}

int hb_json_bool(const hb_json_t *object, const char *key, int dflt)
{
    return hb_json_bool_value(hb_json_get(object, key), dflt);
}

double hb_json_real(const hb_json_t *object, const char *key, double dflt)
{
    return hb_json_real_value(hb_json_get(object, key), dflt);
}

/*
 * Copy the first name of a dotted path; gives what is behind its dot, NULL for the last
 * name. An over-long name becomes "", which no member of ours is called.
 */
static const char *path_next(char *part, const char *path)
{
    const char *dot = strchr(path, '.');
    size_t len = dot != NULL ? (size_t)(dot - path) : strlen(path);

    if (len >= PATH_PART_MAX) {
        len = 0;
    }
    memcpy(part, path, len);
    part[len] = '\0';
    return dot != NULL ? dot + 1 : NULL;
}

hb_json_t *hb_json_at(const hb_json_t *object, const char *dotted_path)
{
    char part[PATH_PART_MAX];
    json_object *value = as_c(object);

    while (dotted_path != NULL) {
        dotted_path = path_next(part, dotted_path);
        if (!find(&value, (hb_json_t *)value, part)) {
            return NULL;
        }
    }
    return (hb_json_t *)value;
}

const char *hb_json_string_value(const hb_json_t *json)
{
    return json_object_is_type(as_c(json), json_type_string)
           ? json_object_get_string(as_c(json)) : NULL;
}

apr_size_t hb_json_string_bytes(const hb_json_t *json)
{
    return json_object_is_type(as_c(json), json_type_string)
           ? (apr_size_t)json_object_get_string_len(as_c(json)) : 0;
}

apr_int64_t hb_json_int_value(const hb_json_t *json, apr_int64_t dflt)
{
    return json_object_is_type(as_c(json), json_type_int)
           ? json_object_get_int64(as_c(json)) : dflt;
}

int hb_json_bool_value(const hb_json_t *json, int dflt)
{
    return json_object_is_type(as_c(json), json_type_boolean)
           ? json_object_get_boolean(as_c(json)) : dflt;
}

const char *hb_json_number_text(const hb_json_t *json, apr_pool_t *pool)
{
    json_type type = json_object_get_type(as_c(json));

    return type == json_type_int || type == json_type_double
           ? apr_pstrdup(pool, json_object_get_string(as_c(json))) : NULL;
}

double hb_json_real_value(const hb_json_t *json, double dflt)
{
    return json_object_is_type(as_c(json), json_type_double)
           || json_object_is_type(as_c(json), json_type_int)
           ? json_object_get_double(as_c(json)) : dflt;
}

/* --- writing --- */

void hb_json_set_string(hb_json_t *object, const char *key, const char *value)
{
    json_object_object_add(as_c(object), key,
                           value != NULL ? json_object_new_string(value) : NULL);
}

void hb_json_set_int(hb_json_t *object, const char *key, apr_int64_t value)
{
    json_object_object_add(as_c(object), key, json_object_new_int64(value));
}

void hb_json_set_real(hb_json_t *object, const char *key, double value)
{
    json_object_object_add(as_c(object), key, json_object_new_double(value));
}

void hb_json_set_bool(hb_json_t *object, const char *key, int value)
{
    json_object_object_add(as_c(object), key, json_object_new_boolean(value != 0));
}

void hb_json_set_null(hb_json_t *object, const char *key)
{
    json_object_object_add(as_c(object), key, NULL);
}

void hb_json_set(hb_json_t *object, const char *key, hb_json_t *value)
{
    json_object_object_add(as_c(object), key, json_object_get(as_c(value)));
}

void hb_json_set_time(hb_json_t *object, const char *key, apr_time_t when)
{
    char text[HB_TIME_BYTES];

    hb_json_set_string(object, key, when != 0 ? hb_time_write(text, when) : NULL);
}

void hb_json_remove(hb_json_t *object, const char *key)
{
    json_object_object_del(as_c(object), key);
}

void hb_json_put_at(hb_json_t *object, const char *dotted_path, hb_json_t *value)
{
    char part[PATH_PART_MAX];
    json_object *here = as_c(object);
    json_object *next;
    const char *rest = path_next(part, dotted_path);

    while (rest != NULL) {
        if (!find(&next, (hb_json_t *)here, part)
            || !json_object_is_type(next, json_type_object)) {
            next = json_object_new_object();
            json_object_object_add(here, part, next);
        }
        here = next;
        rest = path_next(part, rest);
    }
    json_object_object_add(here, part, json_object_get(as_c(value)));
}

void hb_json_remove_at(hb_json_t *object, const char *dotted_path)
{
    char part[PATH_PART_MAX];
    json_object *here = as_c(object);
    const char *rest = path_next(part, dotted_path);

    while (rest != NULL) {
        if (!find(&here, (hb_json_t *)here, part)) {
            return;
        }
        rest = path_next(part, rest);
    }
    if (json_object_is_type(here, json_type_object)) {
        json_object_object_del(here, part);
    }
}

/* --- views --- */

static void add(hb_json_t *object, const char *name, json_object *value)
{
    json_object_object_add_ex(as_c(object), name, value,
                              JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void hb_json_add(hb_json_t *object, const char *name, const hb_json_t *value)
{
    add(object, name, json_object_get(as_c(value)));
}

void hb_json_add_text(hb_json_t *object, const char *name, const char *text, apr_size_t len)
{
    add(object, name, json_object_new_string_len(text, (int)len));
}

hb_json_t *hb_json_add_object(hb_json_t *object, const char *name)
{
    json_object *value = json_object_new_object();

    add(object, name, value);
    return (hb_json_t *)value;
}

hb_json_t *hb_json_add_array(hb_json_t *object, const char *name)
{
    json_object *value = json_object_new_array();

    add(object, name, value);
    return (hb_json_t *)value;
}

hb_json_t *hb_json_push_object(hb_json_t *array)
{
    json_object *value = json_object_new_object();

    json_object_array_add(as_c(array), value);
    return (hb_json_t *)value;
}

/* --- arrays and members --- */

int hb_json_length(const hb_json_t *array)
{
    return json_object_is_type(as_c(array), json_type_array)
           ? (int)json_object_array_length(as_c(array)) : 0;
}

hb_json_t *hb_json_item(const hb_json_t *array, int index)
{
    return index >= 0 && index < hb_json_length(array)
           ? (hb_json_t *)json_object_array_get_idx(as_c(array), (size_t)index) : NULL;
}

void hb_json_push(hb_json_t *array, hb_json_t *value)
{
    json_object_array_add(as_c(array), json_object_get(as_c(value)));
}

void hb_json_push_string(hb_json_t *array, const char *value)
{
    json_object_array_add(as_c(array),
                          value != NULL ? json_object_new_string(value) : NULL);
}

int hb_json_each(const hb_json_t *object,
                 int (*fn)(void *baton, const char *key, hb_json_t *value), void *baton)
{
    struct lh_entry *entry, *next;
    int stop;

    if (!json_object_is_type(as_c(object), json_type_object)) {
        return 0;
    }
    /* The next one is read first, so that fn may remove what it was shown. */
    for (entry = json_object_get_object(as_c(object))->head; entry != NULL; entry = next) {
        next = entry->next;
        stop = fn(baton, lh_entry_k(entry), lh_entry_v(entry));
        if (stop) {
            return stop;
        }
    }
    return 0;
}

int hb_json_equal(const hb_json_t *a, const hb_json_t *b)
{
    return json_object_equal(as_c(a), as_c(b));
}
