/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_api: answers what SetHandler halobuzz-api is set for. This file is the wiring:
 * it collects the route tables, compiles them once a configuration, and keeps the file
 * system out of these requests. What happens to a request is hb_ap_dispatch.c's.
 */
#include "hb_ap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <ap_expr.h>
#include <ap_provider.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "hb_ap_dispatch.h"
#include "hb_role.h"
#include "mod_halobuzz_api.h"

#define HANDLER "halobuzz-api"

static const struct {
    const char *name;
    const hb_route_set_t *set;
} own_sets[] = {
#define HB_ROUTE_SET(name) { #name, &hb_routes_##name },
#include "route_sets.def"
#undef HB_ROUTE_SET
    { NULL, NULL }
};

/* Of this configuration; filled again at each reload. */
static hb_ap_api_t api;

/*
 * Is the location ours? Asked before r->handler is set, which is why the answer comes
 * from the core's SetHandler of the merged locations; that keeps it as an expression.
 */
static int is_ours(request_rec *r)
{
    const core_dir_config *conf = ap_get_core_module_config(r->per_dir_config);
    const char *handler = conf->handler;
    const char *error = NULL;

    if (conf->expr_handler != NULL) {
        handler = ap_expr_str_exec(r, conf->expr_handler, &error);
    }
    return handler != NULL && error == NULL && strcmp(handler, HANDLER) == 0;
}

/* --- configuration --- */

static void print_routes(const hb_ap_api_t *all, apr_pool_t *pool)
{
    int i;

    printf("HaloBuzz routes:\n");
    for (i = 0; i < all->n_routes; i++) {
        const hb_route_t *row = all->routes[i];
        const char *roles = row->roles != 0 ? hb_roles_text(pool, row->roles) : "-";

        printf("%-6s %-44s %s%s%s%s%s%s%s %s %s  %s%s%s\n", hb_ap_method_name(row->method),
               hb_ap_route_path(row->path, pool),
               (row->needs & HB_NEED_USER) != 0 ? "user" : "public",
               (row->needs & HB_NEED_BODY) != 0 ? ",body" : "",
               (row->needs & HB_MAY_BODY) != 0 ? ",may-body" : "",
               (row->needs & HB_NEED_IDEM_KEY) != 0 ? ",idempotency-key" : "",
               (row->needs & HB_NO_LIMIT) != 0 ? ",no-limit" : "",
               (row->needs & HB_IN_MAINTENANCE) != 0 ? ",in-maintenance" : "",
               (row->needs & HB_ANY_TOKEN) != 0 ? ",any-token" : "",
               row->rate, apr_pstrcat(pool, "roles=", roles, NULL), row->sentence,
               row->aliases != NULL ? "  also " : "",
               row->aliases != NULL ? row->aliases : "");
    }
}

/* Runs in a configuration test too: two rows for one call are found before a restart. */
static int check_routes(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                        server_rec *s)
{
    hb_ap_router_t *router;
    const char *why = NULL;

    (void)plog;
    if (hb_ap_need_module(s, ptemp, "halobuzz_api", "halobuzz") != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    memset(&api, 0, sizeof(api));
    api.n_routes = hb_ap_routes(&api.routes, pconf);
    if (hb_ap_router_make(&router, &why, api.routes, api.n_routes, pconf) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, HBLOGNO(04003)
                     "%s; the modules loaded do not fit together", why);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    api.router = router;
    return OK;
}

static void dump_routes(apr_pool_t *pconf, server_rec *s)
{
    (void)s;
    if (ap_exists_config_define("DUMP_HB_ROUTES")) {
        print_routes(&api, pconf);
    }
}

static int find_others(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const char *checks;

    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    api.op = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    api.identify = APR_RETRIEVE_OPTIONAL_FN(hb_ap_identify);
    api.claims = APR_RETRIEVE_OPTIONAL_FN(hb_ap_claims);
    api.limit = APR_RETRIEVE_OPTIONAL_FN(hb_ap_limit);
    api.limit_ahead = APR_RETRIEVE_OPTIONAL_FN(hb_ap_limit_ahead);
    api.count_as = APR_RETRIEVE_OPTIONAL_FN(hb_ap_count_as);
    hb_ap_docs_prepare(api.routes, api.n_routes, pconf);
    checks = getenv("HALOBUZZ_CHECK_REPLIES");
    api.checks_replies = checks != NULL && *checks != '\0';
    if (api.identify == NULL) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(04005)
                     "mod_halobuzz_auth is not loaded: nobody can be signed in");
    }
    if (api.limit == NULL) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(04006)
                     "mod_halobuzz_ratelimit is not loaded: calls are not limited");
    }
    return OK;
}

/* --- requests --- */

/*
 * Paths of ours name no files: nothing below looks at the file system. The configuration of
 * the location is at hand while names are translated, and not while storage is looked
 * for; hence the mark.
 */
static int keep_path(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    r->filename = r->uri;
    ap_set_module_config(r->request_config, &halobuzz_api_module, &api);
    return OK;
}

static int is_marked(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &halobuzz_api_module) != NULL;
}

static int skip_files(request_rec *r)
{
    return is_marked(r) ? OK : DECLINED;
}

/* An id that ends in ".gz" is no archive: keeps mod_mime from reading names. */
static int skip_types(request_rec *r)
{
    return is_marked(r) ? OK : DECLINED;
}

static int answer(request_rec *r)
{
    if (strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    return hb_ap_dispatch(&api, r);
}

static void guard_errors(request_rec *r)
{
    if (is_ours(r)) {
        hb_ap_guard_headers(r);
    }
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const before[] = { "mod_halobuzz.c", NULL };
    int i;

    for (i = 0; own_sets[i].name != NULL; i++) {
        ap_register_provider(pool, HB_AP_ROUTES, own_sets[i].name, "0", own_sets[i].set);
    }
    ap_hook_check_config(check_routes, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(dump_routes, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(find_others, before, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(keep_path, NULL, NULL, APR_HOOK_LAST);
    ap_hook_map_to_storage(skip_files, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_type_checker(skip_types, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_insert_error_filter(guard_errors, NULL, NULL, APR_HOOK_MIDDLE);
}

/* The one symbol that leaves this file's shared object. */
__attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_api_module = {
    STANDARD20_MODULE_STUFF,
    NULL, NULL, NULL, NULL, NULL,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
