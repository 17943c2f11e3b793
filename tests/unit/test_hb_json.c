/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_json.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_test.h"

static hb_json_t *parse(const char *text)
{
    hb_json_t *json;
    const char *why = "no reason";
    apr_status_t rv = hb_json_parse(&json, &why, text, strlen(text), hb_test_pool);

    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", text, why);
    return json;
}

static const char *written(const hb_json_t *json)
{
    return hb_json_text(json, hb_test_pool, NULL);
}

/* Text that is taken, and what it becomes. */
static const struct { const char *label, *in, *out; } good[] = {
    { "nothing in it",         "{}", "{}" },
    { "blanks everywhere",     " \n{ \"a\"\t:\r[ 1 , 2 ] } ", "{\"a\":[1,2]}" },
    { "words",                 "[true,false,null]", "[true,false,null]" },
    { "largest integer",       "9223372036854775807", "9223372036854775807" },
    { "smallest integer",      "-9223372036854775808", "-9223372036854775808" },
    { "negative zero",         "-0", "0" },
    { "reals stay real",       "[1.0,0.1,1e2,1E-2,-2.5e+3]", "[1.0,0.1,100.0,0.01,-2500.0]" },
    { "too small is zero",     "1e-999", "0.0" },
    { "escapes",               "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
    { "unicode escapes",       "\"\\u00e9\\u20AC\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
    { "control by escape",     "\"\\u0001\\u001f\\u007f\"", "\"\\u0001\\u001f\\u007f\"" },
    { "escape in a name",      "{\"a\\u0062\":\"c\\nd\"}", "{\"ab\":\"c\\nd\"}" },
    { "an empty name",         "{\"\":1}", "{\"\":1}" },
    { "same name, other level", "{\"a\":{\"a\":1}}", "{\"a\":{\"a\":1}}" },
};

START_TEST(json_is_read_and_written)
{
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(strcmp(written(parse(good[i].in)), good[i].out) == 0, "%s: got %s",
                      good[i].label, written(parse(good[i].in)));
    }
}
END_TEST

/* Text that is refused, and a part of the reason. */
static const struct { const char *label, *in, *why; } bad[] = {
    { "nothing",                "", "ends" },
    { "blanks alone",           "  ", "ends" },
    { "garbage behind",         "{} x", "behind" },
    { "two values",             "1 2", "behind" },
    { "comment",                "/* c */ {}", "value" },
    { "single quotes",          "{'a':1}", "double quotes" },
    { "bare name",              "{a:1}", "double quotes" },
    { "comma at the end",       "[1,]", "value" },
    { "comma at object's end",  "{\"a\":1,}", "double quotes" },
    { "no comma",               "[1 2]", "comma" },
    { "no colon",               "{\"a\" 1}", "colon" },
    { "open array",             "[1", "comma" },
    { "open object",            "{\"a\":1", "comma" },
    { "open string",            "\"abc", "ends" },
    { "open escape",            "\"abc\\", "ends" },
    { "NaN",                    "NaN", "value" },
    { "Infinity",               "[Infinity]", "value" },
    { "minus Infinity",         "-Infinity", "digit" },
    { "plus",                   "+1", "value" },
    { "leading zero",           "012", "behind" },
    { "naked point",            "1.", "decimal point" },
    { "leading point",          ".5", "value" },
    { "empty exponent",         "1e+", "exponent" },
    { "hexadecimal",            "0x10", "behind" },
    { "one above 64 bits",      "9223372036854775808", "64 bits" },
    { "one below 64 bits",      "-9223372036854775809", "64 bits" },
    { "far beyond 64 bits",     "99999999999999999999999999", "64 bits" },
    { "infinite real",          "1e400", "too large" },
    { "duplicate name",         "{\"a\":1,\"b\":2,\"a\":3}", "before" },
    { "duplicate by escape",    "{\"a\":1,\"\\u0061\":3}", "before" },
    { "raw newline in string",  "\"a\nb\"", "control" },
    { "raw tab in string",      "\"a\tb\"", "control" },
    { "zero character",         "\"a\\u0000b\"", "u0000" },
    { "unknown escape",         "\"\\x41\"", "escape" },
    { "short escape",           "\"\\u12\"", "four hex" },
    { "first surrogate alone",  "\"\\ud800\"", "surrogate" },
    { "second surrogate alone", "\"\\udc00\"", "surrogate" },
    { "wrong second surrogate", "\"\\ud800\\u0041\"", "surrogate" },
    { "overlong UTF-8",         "\"\xc0\xaf\"", "UTF-8" },
    { "surrogate in UTF-8",     "\"\xed\xa0\x80\"", "UTF-8" },
    { "beyond Unicode",         "\"\xf4\x90\x80\x80\"", "UTF-8" },
    { "cut UTF-8",              "\"\xe2\x82\"", "UTF-8" },
    { "Latin-1",                "{\"a\xe9\":1}", "UTF-8" },
    { "byte order mark",        "\xef\xbb\xbf{}", "value" },
    { "half a word",            "tru", "value" },
    { "misspelt word",          "nul1", "value" },
};

START_TEST(anything_else_is_refused)
{
    hb_json_t *json;
    const char *why;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why = "no reason";
        ck_assert_msg(hb_json_parse(&json, &why, bad[i].in, strlen(bad[i].in), hb_test_pool)
                      == HB_E_BODY_SYNTAX, "%s was taken", bad[i].label);
        ck_assert_msg(strstr(why, bad[i].why) != NULL, "%s: %s", bad[i].label, why);
        ck_assert_msg(strstr(why, "byte") != NULL, "%s: %s", bad[i].label, why);
        ck_assert_ptr_null(json);
    }
}
END_TEST

START_TEST(zero_bytes_end_nothing)
{
    hb_json_t *json;
    const char *why;

    ck_assert_int_eq(hb_json_parse(&json, &why, "{}\0", 3, hb_test_pool), HB_E_BODY_SYNTAX);
    ck_assert_int_eq(hb_json_parse(&json, &why, "\"a\0b\"", 5, hb_test_pool),
                     HB_E_BODY_SYNTAX);
    ck_assert_int_eq(hb_json_parse(&json, &why, "\0", 1, hb_test_pool), HB_E_BODY_SYNTAX);
}
END_TEST

static const char *nested(int depth)
{
    char *text = apr_palloc(hb_test_pool, (apr_size_t)depth * 2 + 1);

    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    text[depth * 2] = '\0';
    return text;
}

START_TEST(depth_is_bounded)
{
    hb_json_t *json;
    const char *why;
    const char *text = nested(HB_JSON_DEPTH_MAX + 1);

    parse(nested(HB_JSON_DEPTH_MAX));
    ck_assert_int_eq(hb_json_parse(&json, &why, text, strlen(text), hb_test_pool),
                     HB_E_BODY_SYNTAX);
    ck_assert_ptr_nonnull(strstr(why, "deep"));
    text = nested(500000);
    ck_assert_int_eq(hb_json_parse(&json, &why, text, strlen(text), hb_test_pool),
                     HB_E_BODY_SYNTAX);
    /* Records may be deeper than input, because input is put into them. */
    text = nested(HB_JSON_DEPTH_MAX + 4);
    ck_assert_ptr_nonnull(hb_json_parse_own(text, strlen(text), hb_test_pool));
    ck_assert_ptr_null(hb_json_parse_own("{\"a\":", 5, hb_test_pool));
}
END_TEST

/* An array of so many empty objects, which is one container more. */
static const char *crowd(int n)
{
    char *text = apr_palloc(hb_test_pool, (apr_size_t)n * 3 + 2);
    int i;

    for (i = 0; i < n; i++) {
        memcpy(text + 3 * i, i == 0 ? "[{}" : ",{}", 3);
    }
    memcpy(text + 3 * n, "]", 2);
    return text;
}

START_TEST(containers_are_bounded)
{
    hb_json_t *json;
    const char *why;
    const char *text = crowd(HB_JSON_CONTAINERS_MAX);

    ck_assert_int_eq(hb_json_length(parse(crowd(HB_JSON_CONTAINERS_MAX - 1))),
                     HB_JSON_CONTAINERS_MAX - 1);
    ck_assert_int_eq(hb_json_parse(&json, &why, text, strlen(text), hb_test_pool),
                     HB_E_BODY_SYNTAX);
    ck_assert_ptr_nonnull(strstr(why, "too many objects"));
    /* What we wrote ourselves is as large as it is. */
    ck_assert_ptr_nonnull(hb_json_parse_own(text, strlen(text), hb_test_pool));
}
END_TEST

START_TEST(members_are_read_by_type)
{
    hb_json_t *json = parse("{\"s\":\"x\",\"i\":7,\"b\":true,\"n\":null,\"r\":1.5,"
                            "\"a\":[1,\"two\"],\"o\":{\"p\":{\"q\":3}}}");

    ck_assert_str_eq(hb_json_string(json, "s"), "x");
    ck_assert_ptr_null(hb_json_string(json, "i"));
    ck_assert_int_eq(hb_json_int(json, "i", 1), 7);
    ck_assert_int_eq(hb_json_int(json, "s", 1), 1);
    ck_assert_int_eq(hb_json_int(json, "r", 1), 1);
    ck_assert_int_eq(hb_json_bool(json, "b", 0), 1);
    ck_assert_int_eq(hb_json_bool(json, "i", 0), 0);
    ck_assert(hb_json_real(json, "r", 0) == 1.5);
    ck_assert(hb_json_real(json, "i", 0) == 7.0);
    ck_assert(hb_json_has(json, "n") && !hb_json_has(json, "missing"));
    ck_assert_int_eq(hb_json_type(hb_json_get(json, "n")), HB_JSON_NULL);
    ck_assert_int_eq(hb_json_int_value(hb_json_at(json, "o.p.q"), 0), 3);
    ck_assert_ptr_null(hb_json_at(json, "o.x.q"));
    ck_assert_ptr_null(hb_json_at(json, "s.x"));
    ck_assert_ptr_null(hb_json_at(json, ""));
    ck_assert_int_eq(hb_json_length(hb_json_get(json, "a")), 2);
    ck_assert_str_eq(hb_json_string_value(hb_json_item(hb_json_get(json, "a"), 1)), "two");
    ck_assert_ptr_null(hb_json_item(hb_json_get(json, "a"), 2));
    ck_assert_ptr_null(hb_json_item(hb_json_get(json, "a"), -1));
    ck_assert_int_eq(hb_json_length(hb_json_get(json, "s")), 0);
    ck_assert_ptr_null(hb_json_get(NULL, "a"));
    ck_assert_int_eq(hb_json_string_bytes(hb_json_get(json, "s")), 1);
}
END_TEST

START_TEST(members_are_changed)
{
    hb_json_t *json = hb_json_object_make(hb_test_pool);
    hb_json_t *list = hb_json_array_make(hb_test_pool);

    hb_json_set_string(json, "s", "a/b");
    hb_json_set_string(json, "none", NULL);
    hb_json_set_int(json, "i", APR_INT64_MIN);
    hb_json_set_bool(json, "b", 5);
    hb_json_set_real(json, "r", 0.1);
    hb_json_set_time(json, "t", APR_INT64_C(1782898200123456));
    hb_json_set_time(json, "t0", 0);
    hb_json_push_string(list, "x");
    hb_json_push(list, hb_json_int_make(3, hb_test_pool));
    hb_json_push(list, NULL);
    hb_json_set(json, "l", list);
    hb_json_put_at(json, "o.p.q", hb_json_bool_make(0, hb_test_pool));
    hb_json_put_at(json, "o.p.r", hb_json_string_make("y", hb_test_pool));
    ck_assert_str_eq(written(json),
                     "{\"s\":\"a/b\",\"none\":null,\"i\":-9223372036854775808,\"b\":true,"
                     "\"r\":0.1,\"t\":\"2026-07-01T09:30:00.123Z\",\"t0\":null,"
                     "\"l\":[\"x\",3,null],\"o\":{\"p\":{\"q\":false,\"r\":\"y\"}}}");
    hb_json_remove_at(json, "o.p.q");
    hb_json_remove_at(json, "o.nothing.here");
    hb_json_remove_at(json, "s.x");
    hb_json_remove(json, "none");
    hb_json_remove(json, "l");
    hb_json_put_at(json, "s.deep", hb_json_int_make(1, hb_test_pool));
    ck_assert_str_eq(written(json),
                     "{\"s\":{\"deep\":1},\"i\":-9223372036854775808,\"b\":true,\"r\":0.1,"
                     "\"t\":\"2026-07-01T09:30:00.123Z\",\"t0\":null,"
                     "\"o\":{\"p\":{\"r\":\"y\"}}}");
}
END_TEST

START_TEST(values_outlive_the_pool_that_made_them)
{
    apr_pool_t *pool;
    hb_json_t *json = hb_json_object_make(hb_test_pool);
    hb_json_t *copy;

    apr_pool_create(&pool, hb_test_pool);
    hb_json_set(json, "inner", hb_json_string_make("kept", pool));
    copy = hb_json_copy(json, hb_test_pool);
    apr_pool_destroy(pool);
    ck_assert_str_eq(hb_json_string(json, "inner"), "kept");
    hb_json_set_int(copy, "more", 1);
    ck_assert(!hb_json_has(json, "more"));
    ck_assert(!hb_json_equal(json, copy));
    hb_json_remove(copy, "more");
    ck_assert(hb_json_equal(json, copy));
}
END_TEST

static int stop_at_b(void *baton, const char *key, hb_json_t *value)
{
    (void)value;
    *(int *)baton += 1;
    return strcmp(key, "b") == 0 ? 9 : 0;
}

START_TEST(members_are_visited_in_order)
{
    int n = 0;

    ck_assert_int_eq(hb_json_each(parse("{\"a\":1,\"b\":2,\"c\":3}"), stop_at_b, &n), 9);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(hb_json_each(parse("{\"a\":1}"), stop_at_b, &n), 0);
    ck_assert_int_eq(hb_json_each(parse("[1]"), stop_at_b, &n), 0);
}
END_TEST

START_TEST(any_bytes_become_a_json_string)
{
    static const char rude[] = "a\xe9 \"\\\n\x01\x7f\xc0\xaf\xe2\x82\xac\0z";
    char every[256];
    hb_json_t *json;
    const char *why, *text;
    int i;

    text = hb_json_quote(hb_test_pool, rude, sizeof(rude) - 1);
    ck_assert_str_eq(text, "\"a\xef\xbf\xbd \\\"\\\\\\n\\u0001\\u007f\xef\xbf\xbd\xef\xbf\xbd"
                           "\xe2\x82\xac\\u0000z\"");
    ck_assert_str_eq(hb_json_quote(hb_test_pool, "", 0), "\"\"");
    for (i = 0; i < 255; i++) {
        every[i] = (char)(i + 1);
    }
    text = hb_json_quote(hb_test_pool, every, 255);
    ck_assert_int_eq(hb_json_parse(&json, &why, text, strlen(text), hb_test_pool), 0);
    /* The same care when such a string sits in a value. */
    json = hb_json_object_make(hb_test_pool);
    hb_json_set_string(json, "bad\xff", "\xff");
    ck_assert_str_eq(written(json), "{\"bad\xef\xbf\xbd\":\"\xef\xbf\xbd\"}");
}
END_TEST

START_TEST(utf8_is_recognised)
{
    ck_assert(hb_utf8_is_valid("", 0));
    ck_assert(hb_utf8_is_valid("a\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"
                               "\xf4\x8f\xbf\xbf", 19));
    ck_assert(!hb_utf8_is_valid("\x80", 1));
    ck_assert(!hb_utf8_is_valid("\xc1\xbf", 2));
    ck_assert(!hb_utf8_is_valid("\xe0\x9f\xbf", 3));
    ck_assert(!hb_utf8_is_valid("\xed\xbf\xbf", 3));
    ck_assert(!hb_utf8_is_valid("\xf0\x8f\xbf\xbf", 4));
    ck_assert(!hb_utf8_is_valid("\xf5\x80\x80\x80", 4));
    ck_assert(!hb_utf8_is_valid("\xe2\x82\xac", 2));
}
END_TEST

START_TEST(people_get_it_indented)
{
    ck_assert_str_eq(hb_json_pretty(parse("{\"a\":[1,{}],\"b\":[]}"), hb_test_pool),
                     "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        json_is_read_and_written, anything_else_is_refused, zero_bytes_end_nothing,
        depth_is_bounded, containers_are_bounded, members_are_read_by_type, members_are_changed,
        values_outlive_the_pool_that_made_them, members_are_visited_in_order,
        any_bytes_become_a_json_string, utf8_is_recognised, people_get_it_indented, NULL
    };
    return hb_test_main("hb_json", cases);
}
