/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_schema.h"

#include <regex.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_op.h"

static hb_op_t *op;
static hb_json_t *clean;

static apr_status_t check(hb_shape_e form, const char *text)
{
    hb_json_t *input;
    const char *why = "";

    op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    ck_assert_msg(hb_json_parse(&input, &why, text, strlen(text), hb_test_pool) == 0, "%s: %s",
                  text, why);
    return hb_schema_check(&clean, op, form, input);
}

static apr_status_t check_query(hb_shape_e form, const char *query)
{
    op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    return hb_schema_check_query(&clean, op, form, query);
}

/* "field:code field:code" of the problem. */
static const char *told(void)
{
    const char *list = "";
    int i;

    for (i = 0; i < op->problem.n_fields; i++) {
        list = apr_pstrcat(hb_test_pool, list, i > 0 ? " " : "", op->problem.fields[i].field, ":",
                           op->problem.fields[i].code, NULL);
        ck_assert(*op->problem.fields[i].detail != '\0');
    }
    return list;
}

static const char *kept(void)
{
    return hb_json_text(clean, hb_test_pool, NULL);
}

#define LONG_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID "65a1f0c2d3e4f5a6b7c8d9e0"

/* One member of a form, and what is kept ("=...") or told. */
static const struct { hb_shape_e form; const char *in, *want; } rows[] = {
    { HB_C_USERS, "\"bio\":\"two\\nlines\\t\xf0\x9f\x98\x80\"", "={\"bio\":\"two\\nlines\\t\xf0\x9f\x98\x80\"}" },
    { HB_C_USERS, "\"bio\":\"  kept  \"",       "={\"bio\":\"  kept  \"}" },
    { HB_C_USERS, "\"bio\":\"\"",               "={\"bio\":\"\"}" },
    { HB_C_USERS, "\"unknown\":{\"a\":[1]}",    "={}" },
    { HB_C_USERS, "\"bio\":\"\\u0007\"",        "bio:format" },
    { HB_C_USERS, "\"bio\":\"\\u007f\"",        "bio:format" },
    { HB_C_USERS, "\"bio\":\"\\u0085\"",        "bio:format" },
    { HB_C_USERS, "\"bio\":\"\\r\"",            "bio:format" },
    { HB_C_USERS, "\"bio\":5",                  "bio:type" },
    { HB_C_USERS, "\"bio\":null",               "bio:type" },
    { HB_C_USERS, "\"bio\":{\"$gt\":\"\"}",     "bio:type" },
    { HB_C_USERS, "\"bio\":[\"x\"]",            "bio:type" },
    { HB_C_USERS, "\"displayName\":\"\"",       "displayName:length" },
    { HB_C_USERS, "\"displayName\":\"" LONG_50 "\"", "={\"displayName\":\"" LONG_50 "\"}" },
    { HB_C_USERS, "\"displayName\":\"" LONG_50 "b\"", "displayName:length" },
    { HB_C_USERS, "\"displayName\":\"\\u20ac" LONG_50 "\"", "displayName:length" },
    { HB_C_USERS, "\"deletedAt\":\"2026-07-01T09:30:00.5Z\"", "={\"deletedAt\":1782898200500}" },
    { HB_C_USERS, "\"deletedAt\":1782898200",   "deletedAt:type" },
    { HB_C_USERS, "\"deletedAt\":\"today\"",    "deletedAt:format" },
    { HB_C_USERS, "\"ogExpiresAt\":null",       "={\"ogExpiresAt\":null}" },
    { HB_C_USERS, "\"ogLevel\":5",              "={\"ogLevel\":5}" },
    { HB_C_USERS, "\"ogLevel\":5.0",            "={\"ogLevel\":5}" },
    { HB_C_USERS, "\"ogLevel\":5.5",            "ogLevel:type" },
    { HB_C_USERS, "\"ogLevel\":1e300",          "ogLevel:type" },
    { HB_C_USERS, "\"ogLevel\":6",              "ogLevel:range" },
    { HB_C_USERS, "\"ogLevel\":-1",             "ogLevel:range" },
    { HB_C_USERS, "\"ogLevel\":\"5\"",          "ogLevel:type" },
    { HB_C_USERS, "\"ogLevel\":true",           "ogLevel:type" },
    { HB_C_USERS, "\"isStaff\":false",          "={\"isStaff\":false}" },
    { HB_C_USERS, "\"isStaff\":0",              "isStaff:type" },
    { HB_C_USERS, "\"coins\":{\"balance\":9223372036854775807,\"x\":1}",
                  "={\"coins\":{\"balance\":9223372036854775807}}" },
    { HB_C_USERS, "\"coins\":{\"balance\":-1}", "coins.balance:range" },
    { HB_C_USERS, "\"coins\":5",                "coins:type" },
    { HB_C_USERS, "\"coins\":null",             "coins:type" },
    { HB_C_USERS, "\"coins.balance\":5",        "={}" },
    { HB_C_USERS, "\"trust\":{\"level\":\"high\"}", "={\"trust\":{\"level\":\"high\"}}" },
    { HB_C_USERS, "\"trust\":{\"level\":\"higher\"}", "trust.level:value" },
    { HB_C_USERS, "\"trust\":{\"level\":3}",    "trust.level:type" },
    { HB_C_USERS, "\"roles\":[\"host\",\"admin\"]", "={\"roles\":[\"host\",\"admin\"]}" },
    { HB_C_USERS, "\"roles\":[]",               "={\"roles\":[]}" },
    { HB_C_USERS, "\"roles\":[\"host\",5,null]", "roles.1:type roles.2:type" },
    { HB_C_USERS, "\"roles\":[1,2,3,4,5,6,7,8,9]", "roles:length" },
    { HB_C_USERS, "\"roles\":\"host\"",         "roles:type" },
    { HB_C_AUDIT, "\"details\":{\"any\":[1,{\"x\":null}]}", "={\"details\":{\"any\":[1,{\"x\":null}]}}" },
    { HB_C_AUDIT, "\"details\":[]",             "details:type" },
    { HB_C_CODES, "\"userId\":\"" ID "\"",      "={\"userId\":\"" ID "\"}" },
    { HB_C_CODES, "\"userId\":\"65A1F0C2D3E4F5A6B7C8D9E0\"", "userId:format" },
    { HB_C_CODES, "\"userId\":\"" ID "0\"",     "userId:format" },
    { HB_R_STREAM_ROOM, "\"role\":\"viewer\",\"media\":null,\"stream\":{\"viewers\":3}",
                  "stream.hostId:required stream.title:required stream.status:required "
                  "stream.createdAt:required" },
    { HB_R_STREAM_RANKS, "\"items\":[{\"rank\":1,\"score\":2}]", "items.0.stream:required" },
    { HB_R_STREAM_RANKS, "\"items\":[5]",       "items.0:type" },
};

START_TEST(members_are_checked_by_kind)
{
    const char *text;
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        text = apr_pstrcat(hb_test_pool, "{", rows[i].form == HB_C_USERS
                           ? "\"username\":\"abc\",\"createdAt\":\"1970-01-01T00:00:00Z\"," : "",
                           rows[i].in, "}", NULL);
        if (check(rows[i].form, text) == APR_SUCCESS) {
            hb_json_remove(clean, "username");
            hb_json_remove(clean, "createdAt");
            ck_assert_msg(*rows[i].want == '=', "%s was taken", rows[i].in);
            ck_assert_msg(strcmp(kept(), rows[i].want + 1) == 0, "%s gave %s", rows[i].in,
                          kept());
            ck_assert_int_eq(op->problem.status, APR_SUCCESS);
        }
        else {
            ck_assert_msg(strcmp(told(), rows[i].want) == 0, "%s told %s", rows[i].in, told());
            ck_assert_int_eq(op->problem.status, HB_E_INPUT_INVALID);
            ck_assert_ptr_null(clean);
        }
    }
}
END_TEST

/* Texts with a form, as members of `users`. */
static const struct { const char *field, *text, *code; } texts[] = {
    { "email", "a@b.co", NULL },
    { "email", "First.Last+tag@Mail.Example.COM", NULL },
    { "email", "o'brien@xn--bcher-kva.example", NULL },
    { "email", "a@b", "format" },
    { "email", "a b@c.de", "format" },
    { "email", "a@b.co\\r\\nBcc: x@y.zz", "format" },
    { "email", "a@b.co\\n", "format" },
    { "email", ".a@b.co", "format" },
    { "email", "a.@b.co", "format" },
    { "email", "a..b@c.de", "format" },
    { "email", "a@-b.co", "format" },
    { "email", "a@b..co", "format" },
    { "email", "a@b.co.", "format" },
    { "email", "a@1.2.3.4", "format" },
    { "email", "a@[1.2.3.4]", "format" },
    { "email", "a@@b.co", "format" },
    { "email", "@b.co", "format" },
    { "email", "\\\"a\\\"@b.co", "format" },
    { "email", "\\u00fcber@b.co", "format" },
    { "email", "a", "length" },
    { "email", LONG_50 "aaaaaaaaaaaaaaa@b.co", "format" },
    { "username", "Ab_9.z", NULL },
    { "username", "ab", "length" },
    { "username", "abcdefghijabcdefghijabcdefghijk", "length" },
    { "username", ".abc", "format" },
    { "username", "abc.", "format" },
    { "username", "a..b", "format" },
    { "username", "a b", "format" },
    { "username", "a-b", "format" },
    { "username", "\\u0430bc", "format" },
    { "avatarUrl", "https://example.com", NULL },
    { "avatarUrl", "https://Example.com:8443/a/b.png?x=%20&y[]=1#z", NULL },
    { "avatarUrl", "", "format" },
    { "avatarUrl", "http://example.com/", "format" },
    { "avatarUrl", "HTTPS://example.com/", "format" },
    { "avatarUrl", "javascript:alert(1)", "format" },
    { "avatarUrl", "https://", "format" },
    { "avatarUrl", "https://user@example.com/", "format" },
    { "avatarUrl", "https://user:x@example.com/", "format" },
    { "avatarUrl", "https://example.com:/", "format" },
    { "avatarUrl", "https://example.com:99999999/", "format" },
    { "avatarUrl", "https://example.com/a b", "format" },
    { "avatarUrl", "https://example.com/%zz", "format" },
    { "avatarUrl", "https://example.com/<x>", "format" },
    { "avatarUrl", "https://127.0.0.1/", "format" },
    { "avatarUrl", "https://localhost/", "format" },
    { "country", "NP", NULL },
    { "country", "np", "format" },
    { "country", "XX", "format" },
    { "country", "NPL", "format" },
    { "country", "", "format" },
    { "language", "en", NULL },
    { "language", "zh-Hant-TW", NULL },
    { "language", "e", "length" },
    { "language", "en-", "format" },
    { "language", "en_US", "format" },
    { "language", "english-please", NULL },
    { "language", "abcdefghi", "format" },
    { "zone", "Asia/Kathmandu", NULL },
    { "zone", "Asia/Nowhere", "format" },
    { "zone", "../../etc/passwd", "format" },
    { "phone", "+9779800000000", NULL },
    { "phone", "9779800000000", "format" },
    { "phone", "+0779800000000", "format" },
    { "phone", "+123456", "format" },
    { "phone", "+1234567890123456", "format" },
    { "phone", "+12345 67890", "format" },
    { "birthDate", "2000-02-29", NULL },
    { "birthDate", "2001-02-29", "format" },
    { "birthDate", "2001-2-3", "format" },
};

START_TEST(texts_have_the_form_of_their_kind)
{
    const char *text, *want;
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        text = apr_psprintf(hb_test_pool, "{\"createdAt\":\"1970-01-01T00:00:00Z\",%s\"%s\":"
                            "\"%s\"}",
                            strcmp(texts[i].field, "username") == 0 ? ""
                            : "\"username\":\"abc\",", texts[i].field, texts[i].text);
        if (check(HB_C_USERS, text) == APR_SUCCESS) {
            ck_assert_msg(texts[i].code == NULL, "%s was taken", text);
        }
        else {
            want = apr_psprintf(hb_test_pool, "%s:%s", texts[i].field, texts[i].code);
            ck_assert_msg(strcmp(told(), want) == 0, "%s told %s", text, told());
        }
    }
}
END_TEST

/* What the description of the API says about a text has to take whatever the check takes. */
START_TEST(patterns_take_what_the_check_takes)
{
    hb_json_t *schema = hb_schema_openapi("users:staff", hb_test_pool);
    hb_json_t *value;
    const char *pattern, *why, *text;
    regex_t regex;
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pattern = hb_json_string_value(hb_json_at(schema, apr_psprintf(hb_test_pool,
                                                  "properties.%s.pattern", texts[i].field)));
        text = apr_psprintf(hb_test_pool, "\"%s\"", texts[i].text);
        ck_assert_int_eq(hb_json_parse(&value, &why, text, strlen(text), hb_test_pool), 0);
        if (pattern == NULL) {
            continue;
        }
        ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
        if (regexec(&regex, hb_json_string_value(value), 0, NULL, 0) != 0) {
            ck_assert_msg(texts[i].code != NULL, "%s: %s is not matched by %s", texts[i].field,
                          text, pattern);
        }
        else if (strcmp(texts[i].field, "email") == 0) {
            ck_assert_msg(texts[i].code == NULL || strlen(texts[i].text) > 60,
                          "%s is matched", text);
        }
        regfree(&regex);
    }
}
END_TEST

START_TEST(an_address_is_kept_in_lower_case)
{
    ck_assert_int_eq(check(HB_F_PASSWORD_FORGOT, "{\"email\":\"Me@Example.COM\"}"), 0);
    ck_assert_str_eq(kept(), "{\"email\":\"me@example.com\"}");
}
END_TEST

START_TEST(every_field_is_told_at_once)
{
    ck_assert_int_eq(check(HB_F_REGISTER, "{\"email\":5,\"username\":\"x\",\"country\":\"xx\"}"),
                     HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), "email:type username:length password:required country:format");
    ck_assert_int_eq(check(HB_F_REGISTER, "[]"), HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), ":type");
    ck_assert_int_eq(check(HB_F_REGISTER, "null"), HB_E_INPUT_INVALID);
    ck_assert_int_eq(check(HB_F_REGISTER, "{}"), HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), "email:required username:required password:required");
}
END_TEST

START_TEST(null_clears_where_it_may)
{
    ck_assert_int_eq(check(HB_F_STREAM_EDIT, "{\"description\":null}"), 0);
    ck_assert_str_eq(kept(), "{\"description\":null}");
    ck_assert_int_eq(check(HB_F_STREAM_EDIT, "{\"title\":null}"), HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), "title:type");
}
END_TEST

START_TEST(a_password_is_counted_in_characters)
{
    ck_assert_int_eq(check(HB_F_PASSWORD_RESET,
                           "{\"code\":\"c\",\"password\":\"\\u00e9\\u00e9\\u00e9\\u00e9"
                           "\\u00e9\\u00e9\\u00e9\"}"), HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), "password:length");
    ck_assert_int_eq(check(HB_F_PASSWORD_RESET,
                           "{\"code\":\"c\",\"password\":\" \\u20ac space \"}"), 0);
}
END_TEST

/* A query string of a list of streams, and what is kept or told. */
static const struct { const char *query, *want; } queries[] = {
    { NULL,                     "={\"limit\":20}" },
    { "",                       "={\"limit\":20}" },
    { "&&",                     "={\"limit\":20}" },
    { "limit=5",                "={\"limit\":5}" },
    { "limit=5&utm=%E2%82%AC",  "={\"limit\":5}" },
    { "li%6dit=7",              "={\"limit\":7}" },
    { "limit=0",                "limit:range" },
    { "limit=101",              "limit:range" },
    { "limit=99999999999999999999", "limit:range" },
    { "limit=-5",               "limit:range" },
    { "limit=",                 "limit:type" },
    { "limit",                  "limit:type" },
    { "limit=5x",               "limit:type" },
    { "limit=+5",               "limit:type" },
    { "limit=05",               "limit:type" },
    { "limit=5.0",              "limit:type" },
    { "limit=5&limit=5",        "limit:value" },
    { "category=rock+%26+roll", "={\"limit\":20,\"category\":\"rock & roll\"}" },
    { "category=a=b",           "={\"limit\":20,\"category\":\"a=b\"}" },
    { "category=%0a%00",        "!" },
    { "category=%e9",           "!" },
    { "category=%",             "!" },
    { "category=%4",            "!" },
    { "category=%zz",           "!" },
    { "ignored=%zz",            "!" },
    { "category=%07",           "category:format" },
    { "status=live&sort=score", "={\"limit\":20,\"status\":\"live\",\"sort\":\"score\"}" },
    { "status=dead&country=np", "status:value country:format" },
    { "status[$ne]=live",       "={\"limit\":20}" },
};

START_TEST(query_strings_are_checked_alike)
{
    apr_status_t rv;
    size_t i;

    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        rv = check_query(HB_F_STREAM_LIST, queries[i].query);
        if (rv == APR_SUCCESS) {
            ck_assert_msg(*queries[i].want == '='
                          && strcmp(kept(), queries[i].want + 1) == 0, "%s gave %s",
                          queries[i].query, kept());
        }
        else if (*queries[i].want == '!') {
            ck_assert_msg(rv == HB_E_URI_INVALID, "%s", queries[i].query);
            ck_assert_int_eq(op->problem.status, HB_E_URI_INVALID);
        }
        else {
            ck_assert_int_eq(rv, HB_E_INPUT_INVALID);
            ck_assert_msg(strcmp(told(), queries[i].want) == 0, "%s told %s", queries[i].query,
                          told());
        }
    }
}
END_TEST

START_TEST(other_kinds_are_read_from_a_query)
{
    ck_assert_int_eq(check_query(HB_C_SESSIONS, "hasTotp=true&createdAt=1970-01-01T00:00:01Z"), 0);
    ck_assert_str_eq(kept(), "{\"hasTotp\":true,\"createdAt\":1000}");
    ck_assert_int_eq(check_query(HB_C_SESSIONS, "hasTotp=yes"), HB_E_INPUT_INVALID);
    ck_assert_str_eq(told(), "hasTotp:type createdAt:required");
}
END_TEST

START_TEST(many_errors_do_no_harm)
{
    const char *text = "";
    int i;

    for (i = 0; i < 100; i++) {
        text = apr_pstrcat(hb_test_pool, text, i > 0 ? ",{}" : "{}", NULL);
    }
    text = apr_pstrcat(hb_test_pool, "{\"items\":[", text, "]}", NULL);
    ck_assert_int_eq(check(HB_R_STREAM_RANKS, text), HB_E_INPUT_INVALID);
    ck_assert_int_le(op->problem.n_fields, 100);
    ck_assert_int_ge(op->problem.n_fields, 10);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        members_are_checked_by_kind, texts_have_the_form_of_their_kind,
        patterns_take_what_the_check_takes,
        an_address_is_kept_in_lower_case, every_field_is_told_at_once, null_clears_where_it_may,
        a_password_is_counted_in_characters, query_strings_are_checked_alike,
        other_kinds_are_read_from_a_query, many_errors_do_no_harm, NULL
    };
    return hb_test_main("hb_schema_check", cases);
}
