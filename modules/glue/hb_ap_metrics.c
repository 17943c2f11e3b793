/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting answers, and the page a scraper reads: what the core counts (hb_metrics.h)
 * and behind it what only this process can see. Served at /api/v1/monitoring/metrics and by
 * the handler halobuzz-metrics, which has no access rule of its own: give its location one.
 */
#include "mod_halobuzz.h"

#include <stdarg.h>
#include <string.h>

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "hb_ap_machine.h"
#include "hb_cache.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_store.h"
#include "hb_stream.h"

APLOG_USE_MODULE(halobuzz);

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void hb_ap_metrics_count(request_rec *r, const request_rec *last, apr_interval_time_t usec)
{
    const hb_ap_request_t *request = hb_ap_request(r);

    if (hb_ap_state.site != NULL && request->route >= 0) {
        hb_metric_http(hb_ap_state.site->metrics, request->route, last->status,
                       r->header_only ? 0 : last->bytes_sent, usec);
    }
}

/* --- gauges of modules --- */

void hb_ap_gauges_set(apr_pool_t *pool)
{
    const apr_array_header_t *names = ap_list_provider_names(pool, HB_AP_GAUGES, "0");
    int i;

    for (i = 0; i < names->nelts; i++) {
        const ap_list_provider_names_t *name = &APR_ARRAY_IDX(names, i, ap_list_provider_names_t);
        const hb_ap_gauges_t *gauges = ap_lookup_provider(HB_AP_GAUGES, name->provider_name, "0");

        gauges->set(hb_ap_state.site);
    }
}

/* --- the page --- */

static const char *route_path(void *baton, int i, const char **method)
{
    const hb_route_t *route;

    if (i < 1 || i > hb_ap_state.n_routes) {
        return NULL;
    }
    route = hb_ap_state.routes[i - 1];
    *method = hb_ap_method_name(route->method);
    return hb_ap_route_path(route->path, baton);
}

typedef struct page_t {
    apr_pool_t *pool;
    apr_array_header_t *lines;  /* of const char * */
} page_t;

static void put(page_t *page, const char *name, const char *kind, const char *help,
                const char *labels, double value)
{
    if (help != NULL) {
        APR_ARRAY_PUSH(page->lines, const char *) =
            apr_psprintf(page->pool, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
    }
    APR_ARRAY_PUSH(page->lines, const char *) =
        apr_psprintf(page->pool, "%s%s %.15g\n", name, labels, value);
}

static void put_process(page_t *page)
{
    hb_ap_machine_t machine;
    hb_site_t *site = hb_ap_state.site;

    hb_ap_machine_read(&machine);
    put(page, "halobuzz_build_info", "gauge", "version that runs; always 1",
        "{version=\"" HB_VERSION "\"}", 1);
    put(page, "process_start_time_seconds", "gauge", "start of the server",
        "", (double)site->started_at / APR_USEC_PER_SEC);
    put(page, "process_resident_memory_bytes", "gauge",
        "memory of all processes of the server, shared pages once", "",
        (double)machine.memory_bytes);
    put(page, "process_open_fds", "gauge", "files open in the process that answers", "",
        (double)machine.files);
    put(page, "halobuzz_processes", "gauge", "child processes of the server", "",
        (double)machine.children);
    put(page, "halobuzz_threads", "gauge", "request threads by what they do",
        "{state=\"busy\"}", (double)machine.threads_busy);
    put(page, "halobuzz_threads", "gauge", NULL, "{state=\"idle\"}",
        (double)machine.threads_idle);
    put(page, "halobuzz_maintenance", "gauge", "1 while closed for maintenance", "",
        __atomic_load_n(site->maintenance, __ATOMIC_RELAXED) != 0);
}

/*
 * up{job="mongodb"} is the name of RUN's alert DatabaseDown; the embedded store says what it is
 * instead. A scrape with honor_labels keeps the label job.
 */
static void put_dependencies(page_t *page, hb_op_t *op)
{
    const hb_settings_t *settings = op->site->settings;
    const char *store = hb_ap_scheme(settings->store_url, page->pool);
    const char *cache = hb_ap_scheme(settings->cache_url, page->pool);
    const hb_ap_program_t *const *rows;
    int store_most = hb_store_connections_most(op->site, settings->store_url);
    int store_is_up, cache_is_up, i, n = hb_ap_programs(&rows, page->pool);

    if (strncmp(store, "mongodb", 7) == 0) {
        store = "mongodb";      /* mongodb+srv as well */
    }
    store_is_up = op->site->store != NULL && hb_store_ping(op) == APR_SUCCESS;
    hb_op_recover(op);
    cache_is_up = op->site->cache != NULL && hb_cache_ping(op) == APR_SUCCESS;
    hb_op_recover(op);
    put(page, "up", "gauge", "1 while what we depend on answers",
        apr_psprintf(page->pool, "{job=\"%s\"}", store), store_is_up);
    put(page, "up", "gauge", NULL, apr_psprintf(page->pool, "{job=\"%s\"}", cache),
        cache_is_up);
    for (i = 0; i < n; i++) {
        put(page, "up", "gauge", NULL, apr_psprintf(page->pool, "{job=\"%s\"}", rows[i]->file),
            hb_ap_program_pid(rows[i]->role) != 0);
    }
    if (store_most > 0) {
        put(page, "halobuzz_store_connections_most", "gauge",
            "most connections of one child to the server of records", "", store_most);
    }
}

static void put_cache(page_t *page, hb_op_t *op)
{
    hb_cache_stats_t stats;

    memset(&stats, 0, sizeof(stats));
    if (op->site->cache == NULL || hb_cache_stats(&stats, op) != APR_SUCCESS) {
        hb_op_recover(op);
        return;
    }
    put(page, "halobuzz_cache_lookups_total", "counter", "look-ups in the cache",
        "{result=\"hit\"}", (double)stats.hits);
    put(page, "halobuzz_cache_lookups_total", "counter", NULL, "{result=\"miss\"}",
        (double)stats.misses);
    put(page, "halobuzz_cache_sets_total", "counter", "values put into the cache", "",
        (double)stats.sets);
    put(page, "halobuzz_cache_evictions_total", "counter",
        "values that made room for others before their time", "", (double)stats.evictions);
    put(page, "halobuzz_cache_refused_total", "counter", "values the cache had no room for", "",
        (double)stats.refused);
    put(page, "halobuzz_cache_entries", "gauge", "values in the cache", "",
        (double)stats.entries);
    put(page, "halobuzz_cache_bytes", "gauge", "memory of the cache by use", "{state=\"used\"}",
        (double)stats.bytes_used);
    put(page, "halobuzz_cache_bytes", "gauge", NULL, "{state=\"free\"}",
        (double)(stats.bytes_total - stats.bytes_used));
}

static void put_limiter(page_t *page, hb_op_t *op)
{
    hb_limit_stats_t stats;

    if (op->site->limit == NULL) {
        return;
    }
    memset(&stats, 0, sizeof(stats));
    hb_limit_stats(&stats, op->site->limit);
    put(page, "halobuzz_rate_limit_slots", "gauge", "callers the limiter has room for, by state",
        "{state=\"used\"}", (double)stats.used);
    put(page, "halobuzz_rate_limit_slots", "gauge", NULL, "{state=\"free\"}",
        (double)(stats.slots - stats.used));
    put(page, "halobuzz_rate_limit_full_total", "counter",
        "requests admitted uncounted because no slot was free", "", (double)stats.full);
}

const char *hb_ap_metrics_text(request_rec *r)
{
    hb_op_t *op = hb_ap_op(r);
    page_t page;

    page.pool = r->pool;
    page.lines = apr_array_make(r->pool, 64, sizeof(const char *));
    hb_ap_gauges_set(r->pool);
    hb_stream_gauge(op);        /* without a store it keeps its last value */
    APR_ARRAY_PUSH(page.lines, const char *) =
        hb_metrics_text(op->site->metrics, route_path, r->pool, r->pool);
    put_process(&page);
    put_dependencies(&page, op);
    put_cache(&page, op);
    put_limiter(&page, op);
    return apr_array_pstrcat(r->pool, page.lines, 0);
}

static int answer(request_rec *r)
{
    const char *text;

    if (strcmp(r->handler, "halobuzz-metrics") != 0) {
        return DECLINED;
    }
    if (r->method_number != M_GET) {
        ap_allow_methods(r, REPLACE_ALLOW, "GET", NULL);
        return HTTP_METHOD_NOT_ALLOWED;
    }
    text = hb_ap_metrics_text(r);
    return hb_ap_reply_text(r, HTTP_OK, METRICS_TYPE, text, strlen(text));
}

void hb_ap_metrics_register(void)
{
    APR_REGISTER_OPTIONAL_FN(hb_ap_metrics_text);
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}
