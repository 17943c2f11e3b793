/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_schema.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema_private.h"
#include "hb_test.h"
#include "hb_test_op.h"

static const char record[] =
    "{\"_id\":\"65a1f0c2d3e4f5a6b7c8d9e0\",\"email\":\"a@b.co\",\"username\":\"abc\","
    "\"passwordHash\":\"$2y$\",\"roles\":[\"host\"],\"isStaff\":false,\"status\":\"active\","
    "\"coins\":{\"balance\":5,\"secret\":1},\"totp\":{\"secret\":\"x\"},"
    "\"trust\":{\"level\":\"low\",\"score\":7},"
    "\"createdAt\":1782898200123,\"unknown\":1}";

static hb_json_t *parse(const char *text)
{
    hb_json_t *json = hb_json_parse_own(text, strlen(text), hb_test_pool);

    ck_assert_msg(json != NULL, "%s", text);
    return json;
}

static hb_op_t *make_op(void)
{
    return hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
}

static const char *view(hb_shape_e in, const char *doc, unsigned int who)
{
    return hb_json_text(hb_schema_view(make_op(), in, parse(doc), who), hb_test_pool, NULL);
}

START_TEST(readers_see_what_the_table_says)
{
    ck_assert_str_eq(view(HB_C_USERS, record, HB_ALL),
                     "{\"id\":\"65a1f0c2d3e4f5a6b7c8d9e0\",\"username\":\"abc\","
                     "\"trust\":{\"level\":\"low\"},\"createdAt\":\"2026-07-01T09:30:00.123Z\"}");
    ck_assert_str_eq(view(HB_C_USERS, record, HB_ALL | HB_SELF),
                     "{\"id\":\"65a1f0c2d3e4f5a6b7c8d9e0\",\"email\":\"a@b.co\","
                     "\"emailVerifiedAt\":null,\"username\":\"abc\",\"roles\":[\"host\"],"
                     "\"coins\":{\"balance\":5},\"ogExpiresAt\":null,"
                     "\"trust\":{\"score\":7,\"level\":\"low\"},"
                     "\"createdAt\":\"2026-07-01T09:30:00.123Z\"}");
    ck_assert_ptr_nonnull(strstr(view(HB_C_USERS, record, HB_ALL | HB_STAFF),
                                 "\"status\":\"active\""));
}
END_TEST

START_TEST(nobody_sees_an_unflagged_field)
{
    unsigned int who;
    const char *text;

    for (who = 0; who < 8; who++) {
        text = view(HB_C_USERS, record, who);
        ck_assert_ptr_null(strstr(text, "passwordHash"));
        ck_assert_ptr_null(strstr(text, "totp"));
        ck_assert_ptr_null(strstr(text, "secret"));
        ck_assert_ptr_null(strstr(text, "unknown"));
    }
}
END_TEST

START_TEST(inner_shapes_are_shown_by_their_own_rows)
{
    const char *text = view(HB_C_STREAMS,
                            "{\"_id\":\"1\",\"analytics\":{\"durationSec\":5,\"internal\":1},"
                            "\"endedAt\":null}", HB_ALL | HB_SELF);

    ck_assert_ptr_nonnull(strstr(text, "\"analytics\":{\"durationSec\":5,\"quality\":null}"));
    ck_assert_ptr_nonnull(strstr(text, "\"endedAt\":null"));
    ck_assert_ptr_nonnull(strstr(text, "\"startedAt\":null"));
}
END_TEST

START_TEST(a_view_leaves_the_record_as_it_was)
{
    hb_json_t *doc = parse(record);
    hb_json_t *shown = hb_schema_view(make_op(), HB_C_USERS, doc, HB_ALL | HB_SELF);

    hb_json_set_string(shown, "username", "other");
    hb_json_set_int(shown, "extra", 1);
    ck_assert(hb_json_equal(doc, parse(record)));
}
END_TEST

/* A reply, and a part of the complaint; NULL when it fits. */
static const struct { const char *shape, *json, *why; } replies[] = {
    { "problemField", "{\"field\":\"a\",\"code\":\"type\",\"detail\":\"d\"}", NULL },
    { "problemField", "{\"field\":\"a\",\"code\":\"type\"}", "detail is missing" },
    { "problemField", "{\"field\":\"a\",\"code\":\"type\",\"detail\":5}", "detail does not" },
    { "problemField", "{\"field\":\"a\",\"code\":\"type\",\"detail\":\"\",\"x\":1}", "x is not in" },
    { "problemField", "[]", "no object" },
    { "problem", "{\"type\":\"t\",\"title\":\"t\",\"status\":422,\"code\":\"c\",\"requestId\":\"r\","
                 "\"errors\":[{\"field\":\"a\",\"code\":\"c\",\"detail\":\"d\"}]}", NULL },
    { "problem", "{\"type\":\"t\",\"title\":\"t\",\"status\":200,\"code\":\"c\",\"requestId\":\"r\"}",
                 "status is no whole number" },
    { "problem", "{\"type\":\"t\",\"title\":\"t\",\"status\":422,\"code\":\"c\",\"requestId\":\"r\","
                 "\"errors\":[{\"field\":\"a\"}]}", "errors.0.code is missing" },
    { "problem", "{\"type\":\"t\",\"title\":\"t\",\"status\":422,\"code\":\"c\",\"requestId\":\"r\","
                 "\"detail\":null}", "detail is null" },
    { "users:all", "{\"id\":\"x\",\"username\":\"abc\",\"createdAt\":\"2026-07-01T09:30:00Z\"}", NULL },
    { "users:all", "{\"id\":\"x\",\"username\":\"abc\",\"createdAt\":1}", "createdAt" },
    { "users:all", "{\"username\":\"abc\",\"createdAt\":\"2026-07-01T09:30:00Z\"}", "id is missing" },
    { "users:all", "{\"id\":\"x\",\"email\":\"a@b.co\",\"username\":\"abc\","
                   "\"createdAt\":\"2026-07-01T09:30:00Z\"}", "must not be shown" },
    { "nonsense", "{}", "nothing is called" },
};

START_TEST(replies_that_do_not_fit_are_found)
{
    const char *why;
    size_t i;

    for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        why = hb_schema_misfit_of(replies[i].shape, parse(replies[i].json), hb_test_pool);
        if (replies[i].why == NULL) {
            ck_assert_msg(why == NULL, "%s: %s", replies[i].json, why);
        }
        else {
            ck_assert_msg(why != NULL && strstr(why, replies[i].why) != NULL, "%s: %s",
                          replies[i].json, why != NULL ? why : "fits");
        }
    }
}
END_TEST

START_TEST(views_fit_their_own_schema)
{
    ck_assert_ptr_null(hb_schema_misfit_of("users:self",
                                           parse(view(HB_C_USERS, record, HB_ALL | HB_SELF)),
                                           hb_test_pool));
    ck_assert_ptr_null(hb_schema_misfit_of("users:all",
                                           parse(view(HB_C_USERS, record, HB_ALL)),
                                           hb_test_pool));
}
END_TEST

static const char *schema(const char *name)
{
    return hb_json_text(hb_schema_openapi(name, hb_test_pool), hb_test_pool, NULL);
}

START_TEST(schemas_say_what_is_checked)
{
    ck_assert_str_eq(schema("list"),
                     "{\"type\":\"object\",\"properties\":{"
                     "\"limit\":{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1,"
                     "\"maximum\":100,\"default\":20,\"description\":\"entries a page\"},"
                     "\"after\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":400,"
                     "\"description\":\"next of the page before\"}},"
                     "\"description\":\"a page of a list\"}");
    ck_assert_ptr_nonnull(strstr(schema("register"),
                                 "\"required\":[\"email\",\"username\",\"password\"]"));
    ck_assert_ptr_nonnull(strstr(schema("problem"),
                                 "\"items\":{\"$ref\":\"#/components/schemas/problemField\"}"));
    ck_assert_ptr_nonnull(strstr(schema("streamRoom"),
                                 "\"anyOf\":[{\"$ref\":\"#/components/schemas/streamMedia\"},"
                                 "{\"type\":\"null\"}]"));
    ck_assert_ptr_null(hb_schema_openapi("nonsense", hb_test_pool));
}
END_TEST

START_TEST(a_view_has_a_schema_of_its_own)
{
    hb_json_t *all = hb_schema_openapi("users:all", hb_test_pool);
    hb_json_t *self = hb_schema_openapi("users:self", hb_test_pool);

    ck_assert_ptr_null(hb_json_at(all, "properties.email"));
    ck_assert_ptr_nonnull(hb_json_at(self, "properties.email"));
    ck_assert_ptr_null(hb_json_at(self, "properties.passwordHash"));
    ck_assert_ptr_nonnull(hb_json_at(self, "properties.coins.properties.balance"));
    ck_assert_str_eq(hb_json_string_value(hb_json_at(self, "properties.createdAt.format")),
                     "date-time");
    ck_assert_int_eq(hb_json_length(hb_json_at(self, "properties.ogExpiresAt.type")), 2);
}
END_TEST

START_TEST(every_shape_has_a_schema)
{
    int i;

    for (i = HB_SHAPE_NONE + 1; i < HB_SHAPE_COUNT; i++) {
        hb_json_t *json = hb_schema_openapi(hb_shape((hb_shape_e)i)->name, hb_test_pool);

        ck_assert_ptr_nonnull(hb_json_get(json, "properties"));
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        readers_see_what_the_table_says, nobody_sees_an_unflagged_field,
        inner_shapes_are_shown_by_their_own_rows, a_view_leaves_the_record_as_it_was,
        replies_that_do_not_fit_are_found, views_fit_their_own_schema,
        schemas_say_what_is_checked, a_view_has_a_schema_of_its_own, every_shape_has_a_schema,
        NULL
    };
    return hb_test_main("hb_schema_view", cases);
}
