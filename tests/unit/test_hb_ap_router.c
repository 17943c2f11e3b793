/* SPDX-License-Identifier: Apache-2.0 */
/* The router: which row has which path, what stands at the names, which tables it refuses. */
#include "hb_ap_router.h"

#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <ap_provider.h>
#include <check.h>

/* hb_ap_routes() asks httpd for the sets; here is one of ours. */
static const hb_route_set_t *sets[2];

apr_array_header_t *ap_list_provider_names(apr_pool_t *pool, const char *group,
                                           const char *version)
{
    apr_array_header_t *names = apr_array_make(pool, 2, sizeof(ap_list_provider_names_t));
    ap_list_provider_names_t *name;

    ck_assert_str_eq(group, HB_AP_ROUTES);
    ck_assert_str_eq(version, "0");
    name = apr_array_push(names);
    name->provider_name = "users";
    name = apr_array_push(names);
    name->provider_name = "auth";
    return names;
}

void *ap_lookup_provider(const char *group, const char *name, const char *version)
{
    (void)group;
    (void)version;
    return (void *)sets[strcmp(name, "users") == 0];
}

static apr_pool_t *pool;

static void set_up(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static const hb_route_t table[] = {
    { M_HB_GET,    "/users/me", .sentence = "me" },
    { M_HB_PATCH,  "/users/me", .sentence = "edit me" },
    { M_HB_GET,    "/users/{id}", .sentence = "a user" },
    { M_HB_GET,    "/users/{id}/followers", .sentence = "followers" },
    { M_HB_PUT,    "/users/{id}/follow", .sentence = "follow" },
    { M_HB_DELETE, "/users/{other}/follow", .sentence = "unfollow" },
    { M_HB_GET,    "/streams", .sentence = "streams", .aliases = "/rooms //v1/streams" },
    { M_HB_GET,    "/a/{b}/{c}/{d}/{e}", .sentence = "four names" },
    { M_HB_GET,    "//health", .sentence = "health", .aliases = "//healthz /health" },
};

static hb_ap_router_t *compile(void)
{
    const hb_route_t *rows[sizeof(table) / sizeof(table[0])];
    hb_ap_router_t *router;
    const char *why = NULL;
    int i, n = (int)(sizeof(table) / sizeof(table[0]));

    for (i = 0; i < n; i++) {
        rows[i] = &table[i];
    }
    ck_assert_msg(hb_ap_router_make(&router, &why, rows, n, pool) == APR_SUCCESS, "%s", why);
    return router;
}

static const struct {
    const char *label, *path;
    hb_method_e method;
    const char *sentence;       /* NULL: no row */
    const char *first;          /* what stands at the first name */
} finds[] = {
    { "a literal", "/api/v1/users/me", M_HB_GET, "me", NULL },
    { "the other method", "/api/v1/users/me", M_HB_PATCH, "edit me", NULL },
    { "a method the place does not answer", "/api/v1/users/me", M_HB_DELETE, NULL, NULL },
    { "a name", "/api/v1/users/42", M_HB_GET, "a user", "42" },
    { "a name that begins like a literal", "/api/v1/users/me2", M_HB_GET, "a user", "me2" },
    { "a shorter one", "/api/v1/users/m", M_HB_GET, "a user", "m" },
    { "a literal that leads nowhere", "/api/v1/users/me/followers", M_HB_GET, "followers", "me" },
    { "one slash at the end", "/api/v1/users/me/", M_HB_GET, "me", NULL },
    { "two slashes at the end", "/api/v1/users/me//", M_HB_GET, NULL, NULL },
    { "an empty name", "/api/v1/users/", M_HB_GET, NULL, NULL },
    { "an empty name inside", "/api/v1/users//followers", M_HB_GET, NULL, NULL },
    { "names differ by method", "/api/v1/users/7/follow", M_HB_DELETE, "unfollow", "7" },
    { "an alias", "/api/v1/rooms", M_HB_GET, "streams", NULL },
    { "an alias from the root", "/v1/streams", M_HB_GET, "streams", NULL },
    { "a row from the root", "/health", M_HB_GET, "health", NULL },
    { "its alias", "/api/v1/health", M_HB_GET, "health", NULL },
    { "four names", "/api/v1/a/1/2/3/4", M_HB_GET, "four names", "1" },
    { "the root", "/", M_HB_GET, NULL, NULL },
    { "nothing", "", M_HB_GET, NULL, NULL },
    { "no path", "*", M_HB_GET, NULL, NULL },
    { "half a path", "/api/v1", M_HB_GET, NULL, NULL },
    { "another case", "/api/v1/Users/me", M_HB_GET, NULL, NULL },
    { "too many segments", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14", M_HB_GET, NULL, NULL },
    { "dots are just text", "/api/v1/users/..", M_HB_GET, "a user", ".." },
};

START_TEST(finds_rows)
{
    hb_ap_router_t *router = compile();
    hb_ap_piece_t pieces[HB_AP_NAMES];
    const hb_ap_place_t *place = hb_ap_router_find(router, finds[_i].path, pieces);
    const hb_route_t *route = place != NULL ? place->at[finds[_i].method].route : NULL;

    if (finds[_i].sentence == NULL) {
        ck_assert_msg(route == NULL, "%s", finds[_i].label);
        return;
    }
    ck_assert_msg(route != NULL, "%s", finds[_i].label);
    ck_assert_str_eq(route->sentence, finds[_i].sentence);
    if (finds[_i].first != NULL) {
        ck_assert_uint_eq(pieces[0].len, strlen(finds[_i].first));
        ck_assert_int_eq(memcmp(pieces[0].text, finds[_i].first, pieces[0].len), 0);
    }
    ck_assert_ptr_eq(route, &table[place->at[finds[_i].method].label - 1]);
}
END_TEST

START_TEST(knows_names_and_methods)
{
    hb_ap_piece_t pieces[HB_AP_NAMES];
    const hb_ap_place_t *place = hb_ap_router_find(compile(), "/api/v1/users/7/follow", pieces);

    ck_assert_str_eq(place->allow, "PUT, DELETE, OPTIONS");
    ck_assert_str_eq(place->at[M_HB_PUT].names[0], "id");
    ck_assert_str_eq(place->at[M_HB_DELETE].names[0], "other");
    ck_assert_ptr_null(place->at[M_HB_PUT].names[1]);
    place = hb_ap_router_find(compile(), "/api/v1/users/me", pieces);
    ck_assert_str_eq(place->allow, "GET, HEAD, PATCH, OPTIONS");
}
END_TEST

static const struct {
    const char *label;
    hb_route_t rows[2];
    const char *why;
} refusals[] = {
    { "twice", { { M_HB_GET, "/a" }, { M_HB_GET, "/a" } }, "two rows" },
    { "twice by an alias", { { M_HB_GET, "/a" }, { M_HB_GET, "/b", .aliases = "/c /a" } },
      "route GET /api/v1/a is answered by two rows" },
    { "twice under other names", { { M_HB_GET, "/a/{b}" }, { M_HB_GET, "/a/{c}" } },
      "two rows" },
    { "no slash", { { M_HB_GET, "a" }, { M_HB_PUT, "/a" } }, "not a path" },
    { "an empty segment", { { M_HB_GET, "/a//b" }, { M_HB_PUT, "/a" } }, "segment" },
    { "half a name", { { M_HB_GET, "/a/{b" }, { M_HB_PUT, "/a" } }, "segment" },
    { "a name of nothing", { { M_HB_GET, "/a/{}" }, { M_HB_PUT, "/a" } }, "segment" },
    { "five names", { { M_HB_GET, "/{a}/{b}/{c}/{d}/{e}" }, { M_HB_PUT, "/a" } }, "too many" },
};

START_TEST(refuses_tables)
{
    const hb_route_t *rows[2] = { &refusals[_i].rows[0], &refusals[_i].rows[1] };
    hb_ap_router_t *router;
    const char *why = "";

    ck_assert_msg(hb_ap_router_make(&router, &why, rows, 2, pool) == HB_E_CONFIG, "%s",
                  refusals[_i].label);
    ck_assert_msg(strstr(why, refusals[_i].why) != NULL, "%s: %s", refusals[_i].label, why);
}
END_TEST

START_TEST(numbers_rows_by_set_name)
{
    static const hb_route_set_t users = { table, 2 }, auth = { table + 2, 1 };
    const hb_route_t *const *rows;

    sets[0] = &auth;
    sets[1] = &users;
    ck_assert_int_eq(hb_ap_routes(&rows, pool), 3);
    ck_assert_ptr_eq(rows[0], &table[2]);
    ck_assert_ptr_eq(rows[1], &table[0]);
    ck_assert_ptr_eq(rows[2], &table[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hb_ap_router");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, finds_rows, 0, (int)(sizeof(finds) / sizeof(finds[0])));
    tcase_add_test(tests, knows_names_and_methods);
    tcase_add_loop_test(tests, refuses_tables, 0,
                        (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(tests, numbers_rows_by_set_name);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
