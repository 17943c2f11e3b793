/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examples: a value that fits a schema and reads like something a person would send. The
 * curl lines of /docs are made from them, so what a call needs has to be there.
 */
#include "openapi.h"

#include <string.h>

#include <apr_strings.h>

#define REF "#/components/schemas/"

/* Schemas refer to each other; an example stops at this depth. */
#define DEPTH_MAX 10

/* What reads well, by the name of the member; it has to fit the member's schema. */
static const struct {
    const char *name, *value;
} by_name[] = {
    { "email", "test@halobuzz.com" },
    { "username", "testuser" },
    { "password", "Test123!" },
    { "currentPassword", "Test123!" },
    { "newPassword", "Better456!" },
    { "displayName", "Test User" },
    { "bio", "Singer from Kathmandu" },
    { "title", "Friday songs" },
    { "description", "Requests welcome" },
    { "category", "music" },
    { "country", "NP" },
    { "language", "en" },
    { "zone", "Asia/Kathmandu" },
    { "phone", "+9779800000000" },
    { "birthDate", "1998-04-23" },
    { "device", "Pixel 8" },
    { "totp", "123456" },
    { "code", "123456" },
    { "text", "Good evening from Kathmandu" },
    { "product", "usd-5000" },
    { "currency", "usd" },
    { "quietFrom", "22:00" },
    { "quietTo", "07:00" },
    { "from", "2030-10-20T18:00" },
    { "to", "2030-10-21T18:00" },
    { NULL, NULL }
};

static const struct {
    const char *format, *value;
} by_format[] = {
    { "email", "test@halobuzz.com" },
    { "date-time", "2026-01-31T12:00:00.000Z" },
    { "date", "2026-01-31" },
    { "uri", "https://example.com/picture.jpg" },
    { NULL, NULL }
};

typedef struct build_t {
    const hb_json_t *schemas;
    int is_input;
    apr_pool_t *pool;
} build_t;

static hb_json_t *build(const build_t *b, const char *name, const hb_json_t *schema,
                        int depth);

static int fits_length(const char *text, const hb_json_t *schema)
{
    apr_int64_t len = (apr_int64_t)strlen(text);

    return len >= hb_json_int(schema, "minLength", 0)
        && len <= hb_json_int(schema, "maxLength", APR_INT32_MAX);
}

static hb_json_t *text(const build_t *b, const char *name, const hb_json_t *schema)
{
    const char *format = hb_json_string(schema, "format");
    const char *pattern = hb_json_string(schema, "pattern");
    apr_size_t low = (apr_size_t)hb_json_int(schema, "minLength", 0);
    int is_moment = format != NULL && strcmp(format, "date-time") == 0;
    char *value;
    int i;

    if (pattern != NULL && strstr(pattern, "{24}") != NULL) {
        return hb_json_string_make("65a1f0c2d3e4f5a6b7c8d9e0", b->pool);
    }
    for (i = 0; !is_moment && by_name[i].name != NULL; i++) {
        if (strcmp(name, by_name[i].name) == 0 && fits_length(by_name[i].value, schema)) {
            return hb_json_string_make(by_name[i].value, b->pool);
        }
    }
    if (is_moment && b->is_input) {     /* what is asked for lies ahead */
        return hb_json_string_make("2030-01-31T12:00:00.000Z", b->pool);
    }
    for (i = 0; format != NULL && by_format[i].format != NULL; i++) {
        if (strcmp(format, by_format[i].format) == 0) {
            return hb_json_string_make(by_format[i].value, b->pool);
        }
    }
    if (fits_length("text", schema)) {
        return hb_json_string_make("text", b->pool);
    }
    value = apr_palloc(b->pool, low + 1);
    memset(value, 'x', low);
    value[low] = '\0';
    return hb_json_string_make(value, b->pool);
}

typedef struct members_t {
    const build_t *b;
    const hb_json_t *schema;
    hb_json_t *object;
    int depth;
    int takes_all;
} members_t;

static int is_required(const hb_json_t *schema, const char *name)
{
    const hb_json_t *required = hb_json_get(schema, "required");
    int i;

    for (i = 0; i < hb_json_length(required); i++) {
        if (strcmp(hb_json_string_value(hb_json_item(required, i)), name) == 0) {
            return 1;
        }
    }
    return 0;
}

static int add_member(void *baton, const char *key, hb_json_t *schema)
{
    members_t *m = baton;

    /* Sign-in takes an address or a username, so it needs neither, and of quiet hours both ends
     * go or none; a line without is no use. */
    if (m->takes_all || is_required(m->schema, key) || strcmp(key, "email") == 0
        || strcmp(key, "quietFrom") == 0 || strcmp(key, "quietTo") == 0) {
        hb_json_set(m->object, key, build(m->b, key, schema, m->depth + 1));
    }
    return 0;
}

/* A form that needs nothing is shown with its first member: {} would tell nothing. */
static int add_first(void *baton, const char *key, hb_json_t *schema)
{
    members_t *m = baton;

    hb_json_set(m->object, key, build(m->b, key, schema, m->depth + 1));
    return 1;
}

static int count(void *baton, const char *key, hb_json_t *value)
{
    (void)key;
    (void)value;
    (*(int *)baton)++;
    return 0;
}

static hb_json_t *object(const build_t *b, const hb_json_t *schema, int depth)
{
    members_t m = { b, schema, hb_json_object_make(b->pool), depth, !b->is_input };
    const hb_json_t *properties = hb_json_get(schema, "properties");
    int n = 0;

    if (properties == NULL) {
        return m.object;
    }
    hb_json_each(properties, add_member, &m);
    hb_json_each(m.object, count, &n);
    if (n == 0) {
        hb_json_each(properties, add_first, &m);
    }
    return m.object;
}

/* The first type that is not null. */
static const char *type_of(const hb_json_t *schema)
{
    const hb_json_t *type = hb_json_get(schema, "type");
    int i;

    if (hb_json_type(type) != HB_JSON_ARRAY) {
        return hb_json_string_value(type);
    }
    for (i = 0; i < hb_json_length(type); i++) {
        const char *one = hb_json_string_value(hb_json_item(type, i));

        if (one != NULL && strcmp(one, "null") != 0) {
            return one;
        }
    }
    return NULL;
}

static hb_json_t *array(const build_t *b, const char *name, const hb_json_t *schema,
                        int depth)
{
    hb_json_t *items = hb_json_array_make(b->pool);
    const hb_json_t *item = hb_json_get(schema, "items");

    apr_int64_t n = hb_json_int(schema, "minItems", 0);

    if (n == 0 && hb_json_int(schema, "maxItems", 1) > 0) {
        n = 1;
    }
    while (item != NULL && depth < DEPTH_MAX && n-- > 0) {
        hb_json_push(items, build(b, name, item, depth + 1));
    }
    return items;
}

static const hb_json_t *alternative(const hb_json_t *schema)
{
    static const char *const words[] = { "anyOf", "oneOf", "allOf", NULL };
    int i;

    for (i = 0; words[i] != NULL; i++) {
        if (hb_json_length(hb_json_get(schema, words[i])) > 0) {
            return hb_json_item(hb_json_get(schema, words[i]), 0);
        }
    }
    return NULL;
}

static hb_json_t *build(const build_t *b, const char *name, const hb_json_t *schema,
                        int depth)
{
    const char *ref = hb_json_string(schema, "$ref");
    const char *type = type_of(schema);
    apr_int64_t low;

    if (depth > DEPTH_MAX) {
        return NULL;
    }
    if (ref != NULL && strncmp(ref, REF, strlen(REF)) == 0) {
        return build(b, name, hb_json_get(b->schemas, ref + strlen(REF)), depth + 1);
    }
    if (alternative(schema) != NULL) {
        return build(b, name, alternative(schema), depth + 1);
    }
    if (hb_json_has(schema, "default") || hb_json_has(schema, "const")) {
        return hb_json_copy(hb_json_get(schema, hb_json_has(schema, "const") ? "const"
                                                                             : "default"),
                            b->pool);
    }
    if (hb_json_length(hb_json_get(schema, "enum")) > 0) {
        return hb_json_copy(hb_json_item(hb_json_get(schema, "enum"), 0), b->pool);
    }
    if (type == NULL || strcmp(type, "object") == 0) {
        return object(b, schema, depth);
    }
    if (strcmp(type, "array") == 0) {
        return array(b, name, schema, depth);
    }
    if (strcmp(type, "boolean") == 0) {
        return hb_json_bool_make(1, b->pool);
    }
    if (strcmp(type, "string") == 0) {
        return text(b, name, schema);
    }
    low = hb_json_int(schema, "minimum", 0);
    return hb_json_int_make(low > 0 ? low : 0, b->pool);
}

hb_json_t *hb_openapi_example(const hb_json_t *schema, const hb_json_t *schemas,
                              int is_input, apr_pool_t *pool)
{
    build_t b = { schemas, is_input, pool };

    return build(&b, "", schema, 0);
}
