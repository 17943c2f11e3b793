/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of routes, for whoever has some: all rows of all modules in one order. The dispatcher
 * and the metrics both number them, so it may not depend on which module was loaded first.
 */
#include "hb_ap.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <ap_provider.h>

#define API_ROOT "/api/v1"

/* Of hb_ap_call_t. */
#define NAMES_MAX 4

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ap_list_provider_names_t *)a)->provider_name,
                  ((const ap_list_provider_names_t *)b)->provider_name);
}

int hb_ap_routes(const hb_route_t *const **rows, apr_pool_t *pool)
{
    apr_array_header_t *names = ap_list_provider_names(pool, HB_AP_ROUTES, "0");
    const ap_list_provider_names_t *name = (const void *)names->elts;
    apr_array_header_t *all = apr_array_make(pool, 64, sizeof(const hb_route_t *));
    int i, j;

    qsort(names->elts, (size_t)names->nelts, (size_t)names->elt_size, by_name);
    for (i = 0; i < names->nelts; i++) {
        const hb_route_set_t *set = ap_lookup_provider(HB_AP_ROUTES, name[i].provider_name,
                                                       "0");
        for (j = 0; set != NULL && j < set->n_routes; j++) {
            APR_ARRAY_PUSH(all, const hb_route_t *) = &set->routes[j];
        }
    }
    *rows = (const hb_route_t *const *)all->elts;
    return all->nelts;
}

const char *hb_ap_route_path(const char *template_path, apr_pool_t *pool)
{
    if (template_path[0] == '/' && template_path[1] == '/') {
        return template_path + 1;
    }
    return apr_pstrcat(pool, API_ROOT, template_path, NULL);
}

const char *hb_ap_method_name(hb_method_e method)
{
    static const char *const names[] = { "GET", "POST", "PATCH", "PUT", "DELETE" };

    return names[method];
}

const char *hb_ap_path_value(const hb_ap_call_t *call, const char *name)
{
    int i;

    for (i = 0; i < NAMES_MAX && call->path_name[i] != NULL; i++) {
        if (strcmp(call->path_name[i], name) == 0) {
            return call->path_value[i];
        }
    }
    return "";
}

int hb_ap_limit_of(const hb_ap_call_t *call)
{
    return (int)hb_json_int(call->query, "limit", 20);
}

const char *hb_ap_after_of(const hb_ap_call_t *call)
{
    return hb_json_string(call->query, "after");
}
