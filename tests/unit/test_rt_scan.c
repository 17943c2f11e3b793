/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_scan.h"

#include <string.h>

#include "hb_test.h"

static const struct { const char *label, *text; int attachments, ok; } texts[] = {
    { "every kind", "[1,-0.5e+3,\"a\\u00e9\\n\",true,false,null,{},[],{\"a\":{\"b\":[1]}}]", 0, 1 },
    { "blanks", " \t\r\n[ 1 , 2 ] \n", 0, 1 },
    { "a value alone", "\"x\"", 0, 1 },
    { "nothing", "", 0, 0 },
    { "blanks alone", "  ", 0, 0 },
    { "two values", "[] []", 0, 0 },
    { "open array", "[1,", 0, 0 },
    { "comma too many", "[1,]", 0, 0 },
    { "comma at the start", "[,1]", 0, 0 },
    { "no comma", "[1 2]", 0, 0 },
    { "wrong bracket", "[1}", 0, 0 },
    { "member without value", "{\"a\"}", 0, 0 },
    { "member without quotes", "{a:1}", 0, 0 },
    { "comma at an object's end", "{\"a\":1,}", 0, 0 },
    { "leading zero", "[01]", 0, 0 },
    { "plus", "[+1]", 0, 0 },
    { "dot without digits", "[1.]", 0, 0 },
    { "exponent without digits", "[1e]", 0, 0 },
    { "a minus alone", "-", 0, 0 },
    { "not a number", "NaN", 0, 0 },
    { "half a word", "tru", 0, 0 },
    { "a word and more", "truex", 0, 0 },
    { "open string", "\"abc", 0, 0 },
    { "control character", "\"a\nb\"", 0, 0 },
    { "unknown escape", "\"\\x\"", 0, 0 },
    { "short escape", "\"\\u12\"", 0, 0 },
    { "escape at the end", "\"\\", 0, 0 },
    { "surrogate alone", "\"\\ud800\"", 0, 1 },
    { "placeholder", "[{\"_placeholder\":true,\"num\":1}]", 2, 1 },
    { "placeholder too high", "[{\"_placeholder\":true,\"num\":2}]", 2, 0 },
    { "placeholder without num", "[{\"_placeholder\":true}]", 2, 0 },
    { "placeholder below zero", "[{\"num\":-1,\"_placeholder\":true}]", 2, 0 },
    { "placeholder with a fraction", "[{\"_placeholder\":true,\"num\":0.5}]", 2, 0 },
    { "placeholder with a text", "[{\"_placeholder\":true,\"num\":\"0\"}]", 2, 0 },
    { "placeholder with an object", "[{\"_placeholder\":true,\"num\":{\"num\":0}}]", 2, 0 },
    { "placeholder spelt otherwise", "[{\"_place\\u0068older\":true,\"num\":9}]", 2, 0 },
    { "placeholder deep inside", "[{\"a\":[{\"num\":5,\"_placeholder\":true}]}]", 2, 0 },
    { "placeholder that is none", "[{\"_placeholder\":1,\"num\":9}]", 2, 1 },
    { "placeholder without attachments", "[{\"_placeholder\":true,\"num\":9}]", 0, 1 },
};

START_TEST(texts_are_json_or_not)
{
    apr_size_t i;
    rt_scan_t scan;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_msg(rt_scan(&scan, texts[i].text, strlen(texts[i].text),
                              texts[i].attachments) == texts[i].ok, "%s", texts[i].label);
    }
}
END_TEST

START_TEST(places_of_the_first_item)
{
    static const char text[] = " [ \"na\\\"me\" , {\"a\":1} ] ";
    rt_scan_t scan;

    ck_assert(rt_scan(&scan, text, strlen(text), 0));
    ck_assert_int_eq(scan.kind, '[');
    ck_assert_int_eq(scan.first_kind, '"');
    ck_assert_int_eq(text[scan.first_start], '"');
    ck_assert_int_eq(scan.first_end - scan.first_start, strlen("\"na\\\"me\""));
    ck_assert_int_eq(text[scan.rest], ',');
    ck_assert_int_eq(text[scan.end - 1], ']');
    ck_assert(rt_scan(&scan, "[[1,2]]", 7, 0));
    ck_assert_int_eq(scan.first_kind, '[');
    ck_assert_uint_eq(scan.rest, 0);
    ck_assert_uint_eq(scan.first_end, 6);
    ck_assert(rt_scan(&scan, "[]", 2, 0));
    ck_assert_int_eq(scan.first_kind, 0);
    ck_assert(rt_scan(&scan, "{\"a\":1,\"b\":2}", 13, 0));
    ck_assert_uint_eq(scan.rest, 0);
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[2 * RT_SCAN_DEPTH_MAX + 4];
    rt_scan_t scan;
    int depth;

    for (depth = RT_SCAN_DEPTH_MAX - 1; depth <= RT_SCAN_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        ck_assert_int_eq(rt_scan(&scan, text, 2 * (size_t)depth, 0),
                         depth <= RT_SCAN_DEPTH_MAX);
    }
}
END_TEST

START_TEST(words_are_known_however_written)
{
    ck_assert(rt_scan_is_word("num", 3, "num"));
    ck_assert(rt_scan_is_word("\\u006eum", 8, "num"));
    ck_assert(!rt_scan_is_word("numb", 4, "num"));
    ck_assert(!rt_scan_is_word("nu", 2, "num"));
    ck_assert(!rt_scan_is_word("\\num", 4, "num"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        texts_are_json_or_not, places_of_the_first_item, depth_is_bounded,
        words_are_known_however_written, NULL
    };
    return hb_test_main("rt_scan", cases);
}
