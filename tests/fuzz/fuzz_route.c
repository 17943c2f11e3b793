/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a decoded path. The router has to agree with the plain comparison of the
 * path with every template, and what it says stands at a {name} has to lie in the path.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>

/* The router belongs to a module, not to the library: it is compiled in here. */
#include "../../modules/api/hb_ap_router.c"
#include "../../modules/glue/hb_ap_routes.c"

/* Of httpd; no case comes here. */
apr_array_header_t *ap_list_provider_names(apr_pool_t *pool, const char *group,
                                           const char *version)
{
    (void)group;
    (void)version;
    return apr_array_make(pool, 1, sizeof(ap_list_provider_names_t));
}

void *ap_lookup_provider(const char *group, const char *name, const char *version)
{
    (void)group;
    (void)name;
    (void)version;
    return NULL;
}

static const hb_route_t rows[] = {
    { M_HB_GET,    "/users/me" },
    { M_HB_PATCH,  "/users/me" },
    { M_HB_GET,    "/users/{id}" },
    { M_HB_GET,    "/users/{id}/followers" },
    { M_HB_PUT,    "/users/{id}/follow" },
    { M_HB_DELETE, "/users/{other}/follow" },
    { M_HB_GET,    "/streams/ranking" },
    { M_HB_GET,    "/streams/{id}" },
    { M_HB_GET,    "/a/{b}/{c}/{d}/{e}" },
    { M_HB_GET,    "/a/b/{c}/d/e" },
    { M_HB_GET,    "//health" },
    { M_HB_GET,    "//{any}/x" },
};

#define N_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static hb_ap_router_t *router;
static const char *templates[N_ROWS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const hb_route_t *list[N_ROWS];
    const char *why;
    apr_pool_t *pool;
    int i;

    (void)argc;
    (void)argv;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < N_ROWS; i++) {
        list[i] = &rows[i];
        templates[i] = hb_ap_route_path(rows[i].path, pool);
    }
    FUZZ_EXPECT(hb_ap_router_make(&router, &why, list, N_ROWS, pool) == APR_SUCCESS);
    return 0;
}

static int fits(const char *template_path, const char *path)
{
    while (*template_path != '\0') {
        if (*template_path == '{') {
            apr_size_t len = strcspn(path, "/");

            if (len == 0) {
                return 0;
            }
            path += len;
            template_path += strcspn(template_path, "}") + 1;
        }
        else if (*template_path++ != *path++) {
            return 0;
        }
    }
    return *path == '\0' || (path[0] == '/' && path[1] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hb_ap_piece_t pieces[HB_AP_NAMES];
    const hb_ap_place_t *place;
    char *path = malloc(size + 1);
    int i, m, n = 0;

    memcpy(path, data, size);
    path[size] = '\0';
    for (i = 0; i < N_ROWS; i++) {
        n += fits(templates[i], path);
    }
    place = hb_ap_router_find(router, path, pieces);
    FUZZ_EXPECT((place != NULL) == (n > 0));
    for (m = 0; place != NULL && m < HB_AP_METHODS; m++) {
        const hb_route_t *route = place->at[m].route;

        if (route == NULL) {
            continue;
        }
        FUZZ_EXPECT(fits(templates[place->at[m].label - 1], path));
        FUZZ_EXPECT(route == &rows[place->at[m].label - 1]);
        for (i = 0; i < HB_AP_NAMES && place->at[m].names[i] != NULL; i++) {
            FUZZ_EXPECT(pieces[i].text > path && pieces[i].len > 0);
            FUZZ_EXPECT(pieces[i].text + pieces[i].len <= path + strlen(path));
            FUZZ_EXPECT(memchr(pieces[i].text, '/', pieces[i].len) == NULL);
        }
    }
    free(path);
    return 0;
}
