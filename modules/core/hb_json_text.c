/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values to JSON text, and any bytes to a JSON string. Every string is checked on its way
 * out, so that what we send and log is valid JSON in UTF-8 even when a value was not.
 */
#include "hb_json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <json-c/json.h>

#include "hb_json_private.h"

/* U+FFFD, for bytes that are no text. */
#define REPLACEMENT "\xef\xbf\xbd"

/* Text being made; moves to a larger block of the pool when it is full. */
typedef struct text_t {
    char *start, *at, *end;
    apr_pool_t *pool;
    int is_pretty;
    const char *without;        /* member of the outermost object that is left out; may be NULL */
} text_t;

/* --- UTF-8 --- */

int hb_utf8_sequence(const unsigned char *s, apr_size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    int n, i;

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        n = 2;
    }
    else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        n = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;        /* overlong */
        high = s[0] == 0xed ? 0x9f : high;      /* surrogates */
    }
    else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        n = 4;
        low = s[0] == 0xf0 ? 0x90 : low;        /* overlong */
        high = s[0] == 0xf4 ? 0x8f : high;      /* beyond U+10FFFF */
    }
    else {
        return 0;
    }
    if (left < (apr_size_t)n || s[1] < low || s[1] > high) {
        return 0;
    }
    for (i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return n;
}

int hb_utf8_is_valid(const char *bytes, apr_size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const unsigned char *end = at + len;
    int n;

    while (at < end) {
        if (*at < 0x80) {
            at++;
            continue;
        }
        n = hb_utf8_sequence(at, (apr_size_t)(end - at));
        if (n == 0) {
            return 0;
        }
        at += n;
    }
    return 1;
}

const char *hb_utf8_cut(apr_pool_t *pool, const char *text, apr_size_t max_bytes)
{
    apr_size_t n = strnlen(text, max_bytes + 1);

    if (n > max_bytes) {
        for (n = max_bytes; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--) {
            continue;
        }
    }
    return apr_pstrmemdup(pool, text, n);
}

/* --- the growing text --- */

static void text_start(text_t *out, apr_pool_t *pool, apr_size_t bytes)
{
    memset(out, 0, sizeof(*out));
    out->pool = pool;
    out->start = out->at = apr_palloc(pool, bytes);
    out->end = out->start + bytes;
}

static void room(text_t *out, apr_size_t bytes)
{
    apr_size_t used, size;
    char *larger;

    if ((apr_size_t)(out->end - out->at) >= bytes) {
        return;
    }
    used = (apr_size_t)(out->at - out->start);
    size = 2 * (apr_size_t)(out->end - out->start) + bytes;
    larger = apr_palloc(out->pool, size);
    memcpy(larger, out->start, used);
    out->start = larger;
    out->at = larger + used;
    out->end = larger + size;
}

static void put(text_t *out, const char *bytes, apr_size_t len)
{
    room(out, len);
    memcpy(out->at, bytes, len);
    out->at += len;
}

static void put_char(text_t *out, char c)
{
    room(out, 1);
    *out->at++ = c;
}

static const char *text_end(text_t *out, apr_size_t *len)
{
    if (len != NULL) {
        *len = (apr_size_t)(out->at - out->start);
    }
    put_char(out, '\0');
    return out->start;
}

/* --- values --- */

static void put_escaped(text_t *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *at = c != '\0' ? strchr(named, c) : NULL;

    put_char(out, '\\');
    if (at != NULL) {
        put_char(out, names[at - named]);
        return;
    }
    put(out, "u00", 3);
    put_char(out, hex[c >> 4]);
    put_char(out, hex[c & 15]);
}

/* Of printable ASCII, which most strings are: 1 goes out as it is, 2 behind a backslash. */
static const unsigned char plain_class[256] = {
    [' '] = 1, ['!'] = 1, ['"'] = 2, ['#' ... '['] = 1, ['\\'] = 2, [']' ... '~'] = 1
};

/* As far as a string is printable ASCII, with room for it made beforehand. */
static apr_size_t put_plain(text_t *out, const unsigned char *bytes, apr_size_t len)
{
    char *to;
    apr_size_t i;

    room(out, 2 * len + 2);
    to = out->at;
    for (i = 0; i < len; i++) {
        unsigned char c = bytes[i];

        if (plain_class[c] != 1) {
            if (plain_class[c] == 0) {
                break;
            }
            *to++ = '\\';
        }
        *to++ = (char)c;
    }
    out->at = to;
    return i;
}

static void put_string(text_t *out, const char *bytes, apr_size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const unsigned char *end = at + len;
    const unsigned char *plain = at;
    int n;

    put_char(out, '"');
    plain = at += put_plain(out, at, len);
    room(out, (apr_size_t)(end - at) + 1);
    while (at < end) {
        if (*at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\') {
            at++;
            continue;
        }
        n = *at < 0x80 ? 0 : hb_utf8_sequence(at, (apr_size_t)(end - at));
        if (n > 0) {
            at += n;
            continue;
        }
        put(out, (const char *)plain, (apr_size_t)(at - plain));
        if (*at < 0x80) {
            put_escaped(out, *at);
        }
        else {
            put(out, REPLACEMENT, 3);
        }
        plain = ++at;
    }
    put(out, (const char *)plain, (apr_size_t)(at - plain));
    put_char(out, '"');
}

static void put_int(text_t *out, apr_int64_t value)
{
    char digits[20];
    char *at = digits + sizeof(digits);
    apr_uint64_t rest = value < 0 ? 0 - (apr_uint64_t)value : (apr_uint64_t)value;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *--at = '-';
    }
    put(out, at, (apr_size_t)(digits + sizeof(digits) - at));
}

/* The shortest text that reads back as the same double, and still as a real. */
static void put_real(text_t *out, double value)
{
    char text[40];
    char *c;
    int digits, is_real = 0;

    if (!isfinite(value)) {
        put(out, "null", 4);    /* JSON has no word for these */
        return;
    }
    for (digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    for (c = text; *c != '\0'; c++) {
        if (*c == localeconv()->decimal_point[0]) {
            *c = '.';
        }
        is_real |= *c == '.' || *c == 'e';
    }
    put(out, text, strlen(text));
    if (!is_real) {
        put(out, ".0", 2);
    }
}

static void put_line(text_t *out, int level)
{
    if (out->is_pretty) {
        put_char(out, '\n');
        while (level-- > 0) {
            put(out, "  ", 2);
        }
    }
}

static void put_value(text_t *out, json_object *json, int level)
{
    struct lh_entry *entry;
    struct lh_table *members;
    size_t i, n;
    int n_put = 0;

    switch (json_object_get_type(json)) {
    case json_type_null:
        put(out, "null", 4);
        break;
    case json_type_boolean:
        if (json_object_get_boolean(json)) {
            put(out, "true", 4);
        }
        else {
            put(out, "false", 5);
        }
        break;
    case json_type_int:
        put_int(out, json_object_get_int64(json));
        break;
    case json_type_double:
        put_real(out, json_object_get_double(json));
        break;
    case json_type_string:
        put_string(out, json_object_get_string(json),
                   (apr_size_t)json_object_get_string_len(json));
        break;
    case json_type_array:
        n = json_object_array_length(json);
        put_char(out, '[');
        for (i = 0; i < n; i++) {
            if (i > 0) {
                put_char(out, ',');
            }
            put_line(out, level + 1);
            put_value(out, json_object_array_get_idx(json, i), level + 1);
        }
        if (n > 0) {
            put_line(out, level);
        }
        put_char(out, ']');
        break;
    case json_type_object:
        members = json_object_get_object(json);
        put_char(out, '{');
        for (entry = members->head; entry != NULL; entry = entry->next) {
            if (level == 0 && out->without != NULL
                && strcmp(lh_entry_k(entry), out->without) == 0) {
                continue;
            }
            if (n_put++ > 0) {
                put_char(out, ',');
            }
            put_line(out, level + 1);
            put_string(out, lh_entry_k(entry), strlen(lh_entry_k(entry)));
            put_char(out, ':');
            if (out->is_pretty) {
                put_char(out, ' ');
            }
            put_value(out, lh_entry_v(entry), level + 1);
        }
        if (n_put > 0) {
            put_line(out, level);
        }
        put_char(out, '}');
        break;
    }
}

const char *hb_json_text(const hb_json_t *json, apr_pool_t *pool, apr_size_t *len)
{
    text_t out;

    text_start(&out, pool, 1024);
    put_value(&out, (json_object *)json, 0);
    return text_end(&out, len);
}

const char *hb_json_text_without(const hb_json_t *json, const char *key, apr_pool_t *pool,
                                 apr_size_t *len)
{
    text_t out;

    text_start(&out, pool, 1024);
    out.without = key;
    put_value(&out, (json_object *)json, 0);
    return text_end(&out, len);
}

const char *hb_json_pretty(const hb_json_t *json, apr_pool_t *pool)
{
    text_t out;

    text_start(&out, pool, 1024);
    out.is_pretty = 1;
    put_value(&out, (json_object *)json, 0);
    return text_end(&out, NULL);
}

const char *hb_json_quote(apr_pool_t *pool, const char *bytes, apr_size_t len)
{
    text_t out;

    text_start(&out, pool, len + 16);
    put_string(&out, bytes, len);
    return text_end(&out, NULL);
}
