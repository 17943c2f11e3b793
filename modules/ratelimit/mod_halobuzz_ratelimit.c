/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_ratelimit: how often callers may. Any location can have its requests counted
 * (HaloBuzzRateLimitClass); the API asks for each call by hb_ap_limit(). All children count
 * in one table (hb_limit.h), which outlives a reload. This file is the wiring.
 */
#include "hb_ap_rate.h"

#include <string.h>

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

hb_ap_rates_t *hb_ap_rates;

static APR_OPTIONAL_FN_TYPE(hb_ap_op) *op_of;

/* --- configuration --- */

static void *create_dir(apr_pool_t *pool, char *path)
{
    (void)path;
    return apr_pcalloc(pool, sizeof(hb_ap_rate_dir_t));
}

static void *merge_dir(apr_pool_t *pool, void *base, void *add)
{
    (void)pool;
    return ((hb_ap_rate_dir_t *)add)->is_set ? add : base;
}

static int start_reading(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    hb_ap_rates = hb_ap_rates_make(pconf);
    return OK;
}

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    return hb_ap_rates_finish(hb_ap_rates, s)
        ? hb_ap_need_module(s, ptemp, "halobuzz_ratelimit", "halobuzz")
        : HTTP_INTERNAL_SERVER_ERROR;
}

static void dump(apr_pool_t *pconf, server_rec *s)
{
    (void)s;
    if (ap_exists_config_define("DUMP_HB_LIMITS")) {
        hb_ap_rates_dump(hb_ap_rates, pconf);
    }
}

/* A route whose class nobody defined would be unlimited without a word. */
static void check_routes(server_rec *s, apr_pool_t *pool)
{
    const hb_route_t *const *rows;
    int n = hb_ap_routes(&rows, pool);
    int i;

    for (i = 0; i < n; i++) {
        if (rows[i]->rate != NULL && (rows[i]->needs & HB_NO_LIMIT) == 0
            && hb_ap_rates_find(hb_ap_rates, rows[i]->rate) == NULL) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(03508)
                         "%s %s is in class %s, which does not exist: it is not limited. "
                         "HaloBuzzRateLimit %s 100/60s would make the class",
                         hb_ap_method_name(rows[i]->method),
                         hb_ap_route_path(rows[i]->path, pool), rows[i]->rate, rows[i]->rate);
        }
    }
}

static int find_base(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    op_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    check_routes(s, ptemp);
    return OK;
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    (void)pchild;
    hb_ap_rate_count_init(s);
}

/* --- requests --- */

static apr_status_t hb_ap_limit(request_rec *r, const char *class_name)
{
    const hb_ap_rate_t *rate = hb_ap_rates_find(hb_ap_rates, class_name);

    return rate != NULL ? hb_ap_rate_count(r, hb_ap_rates, rate) : APR_SUCCESS;
}

static void hb_ap_limit_ahead(request_rec *r, const char *class_name, const hb_claims_t *claims)
{
    const hb_ap_rate_t *rate = hb_ap_rates_find(hb_ap_rates, class_name);

    if (rate != NULL) {
        hb_ap_rate_ahead(r, hb_ap_rates, rate, claims);
    }
}

/*
 * The first phase that knows the location, and comes after mod_remoteip. Before access
 * control, so that refused callers count too, and Satisfy Any cannot pass by.
 */
static int limit_location(request_rec *r)
{
    const hb_ap_rate_dir_t *dir = ap_get_module_config(r->per_dir_config,
                                                       &halobuzz_ratelimit_module);
    apr_status_t rv;

    if (dir->rate == NULL || r->main != NULL) {
        return DECLINED;
    }
    rv = hb_ap_rate_count(r, hb_ap_rates, dir->rate);
    if (rv == APR_SUCCESS) {
        return DECLINED;
    }
    apr_table_setn(r->err_headers_out, "X-Request-Id", op_of(r)->request_id);
    hb_ap_reply_problem(r, op_of(r), rv);
    return DONE;
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const base[] = { "mod_halobuzz.c", NULL };

    (void)pool;
    APR_REGISTER_OPTIONAL_FN(hb_ap_limit);
    APR_REGISTER_OPTIONAL_FN(hb_ap_limit_ahead);
    ap_hook_pre_config(start_reading, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(dump, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(find_base, base, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, base, NULL, APR_HOOK_MIDDLE);
    ap_hook_header_parser(limit_location, base, NULL, APR_HOOK_LAST);
}

AP_DECLARE_MODULE(halobuzz_ratelimit) = {
    STANDARD20_MODULE_STUFF, create_dir, merge_dir, NULL, NULL, hb_ap_rate_directives,
    register_hooks
};
