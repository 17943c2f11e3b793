/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters as Prometheus text, format 0.0.4: a family's HELP and TYPE once, its samples
 * right behind them, label values escaped. Families of other places (process, store, cache,
 * limiter) are put behind it by whoever answers the request.
 */
#include "hb_metrics.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_metrics_private.h"

/* Text under construction; grows by doubling, because a scrape is some 100 KB. */
typedef struct page_t {
    char *text;
    apr_size_t len, size;
    apr_pool_t *pool;
} page_t;

typedef struct route_t {
    const char *labels;         /* method="GET",route="/..." */
    hb_metrics_cells_t sum;
    apr_uint64_t n;             /* requests */
} route_t;

static void put(page_t *page, const char *text)
{
    apr_size_t len = strlen(text);

    if (page->len + len >= page->size) {
        char *wider;

        while (page->len + len >= page->size) {
            page->size *= 2;
        }
        wider = apr_palloc(page->pool, page->size);
        memcpy(wider, page->text, page->len);
        page->text = wider;
    }
    memcpy(page->text + page->len, text, len + 1);
    page->len += len;
}

static void put_number(page_t *page, apr_int64_t n)
{
    char line[32];

    apr_snprintf(line, sizeof(line), " %" APR_INT64_T_FMT "\n", n);
    put(page, line);
}

static void put_family(page_t *page, const char *name, const char *type, const char *help)
{
    put(page, "# HELP ");
    put(page, name);
    put(page, " ");
    put(page, help);
    put(page, "\n# TYPE ");
    put(page, name);
    put(page, " ");
    put(page, type);
    put(page, "\n");
}

/* name{labels,more} n */
static void put_sample(page_t *page, const char *name, const char *labels, const char *more,
                       apr_int64_t n)
{
    put(page, name);
    if (*labels != '\0' || *more != '\0') {
        put(page, "{");
        put(page, labels);
        put(page, *labels != '\0' && *more != '\0' ? "," : "");
        put(page, more);
        put(page, "}");
    }
    put_number(page, n);
}

static const char *escape(const char *value, apr_pool_t *pool)
{
    char *out = apr_palloc(pool, strlen(value) * 2 + 1);
    char *at = out;

    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n') {
            *at++ = '\\';
        }
        *at++ = *value == '\n' ? 'n' : *value;
    }
    *at = '\0';
    return out;
}

/* Whole digits: a float would lose microseconds of a long-lived server. */
static const char *seconds(apr_uint64_t usec, apr_pool_t *pool)
{
    char *text = apr_psprintf(pool, "%" APR_UINT64_T_FMT ".%06" APR_UINT64_T_FMT,
                              usec / 1000000, usec % 1000000);
    char *end = text + strlen(text);

    while (end[-1] == '0') {
        *--end = '\0';
    }
    if (end[-1] == '.') {
        *--end = '\0';
    }
    return text;
}

/* Routes that were met, row 0 (requests that are none of ours) first. */
static int routes_met(route_t **met, hb_metrics_t *metrics, hb_metrics_route_fn *route,
                      void *baton, apr_pool_t *pool)
{
    route_t *routes = apr_pcalloc(pool, (apr_size_t)metrics->n_routes * sizeof(*routes));
    int n = 0;
    int row, i;

    for (row = 0; row < metrics->n_routes; row++) {
        const char *method = "other";
        const char *name = row == 0 ? "other"
            : route != NULL ? route(baton, row, &method) : NULL;

        if (name == NULL) {
            break;
        }
        hb_metrics_route_sum(&routes[n].sum, metrics, row);
        for (i = 0; i <= HB_METRICS_BUCKETS; i++) {
            routes[n].n += routes[n].sum.durations[i];
        }
        if (routes[n].n != 0) {
            routes[n].labels = apr_pstrcat(pool, "method=\"", escape(method, pool),
                                           "\",route=\"", escape(name, pool), "\"", NULL);
            n++;
        }
        else {
            memset(&routes[n], 0, sizeof(routes[n]));
        }
    }
    *met = routes;
    return n;
}

static void put_http(page_t *page, const route_t *routes, int n_routes)
{
    static const char durations[] = "http_request_duration_seconds";
    const apr_interval_time_t *bounds = hb_metrics_buckets();
    apr_pool_t *pool = page->pool;
    int row, i;

    if (n_routes == 0) {
        return;                 /* a family without samples says nothing */
    }
    put_family(page, "http_requests_total", "counter", "requests answered");
    for (row = 0; row < n_routes; row++) {
        for (i = 0; i < HB_METRICS_STATUSES; i++) {
            if (routes[row].sum.answers[i] != 0) {
                put_sample(page, "http_requests_total", routes[row].labels,
                           apr_pstrcat(pool, "status=\"", hb_metrics_status(i), "\"", NULL),
                           (apr_int64_t)routes[row].sum.answers[i]);
            }
        }
    }
    put_family(page, durations, "histogram", "time from request line to the answer's end");
    for (row = 0; row < n_routes; row++) {
        const hb_metrics_cells_t *sum = &routes[row].sum;
        apr_uint64_t so_far = 0;

        for (i = 0; i < HB_METRICS_BUCKETS; i++) {
            so_far += sum->durations[i];
            put_sample(page, "http_request_duration_seconds_bucket", routes[row].labels,
                       apr_pstrcat(pool, "le=\"", seconds((apr_uint64_t)bounds[i], pool),
                                   "\"", NULL), (apr_int64_t)so_far);
        }
        put_sample(page, "http_request_duration_seconds_bucket", routes[row].labels,
                   "le=\"+Inf\"", (apr_int64_t)routes[row].n);
        put(page, apr_pstrcat(pool, durations, "_sum{", routes[row].labels, "} ",
                              seconds(sum->usec, pool), "\n", NULL));
        put_sample(page, "http_request_duration_seconds_count", routes[row].labels, "",
                   (apr_int64_t)routes[row].n);
    }
    put_family(page, "http_response_bytes_total", "counter", "bytes of answers' bodies");
    for (row = 0; row < n_routes; row++) {
        put_sample(page, "http_response_bytes_total", routes[row].labels, "",
                   (apr_int64_t)routes[row].sum.bytes);
    }
}

const char *hb_metrics_text(hb_metrics_t *metrics, hb_metrics_route_fn *route, void *baton,
                            apr_pool_t *pool)
{
    page_t page = { apr_palloc(pool, 16384), 0, 16384, pool };
    const char *family = "";
    route_t *routes;
    int i, n_routes;

    page.text[0] = '\0';
    if (metrics == NULL) {
        return page.text;
    }
    for (i = 0; i < HB_METRIC_COUNT; i++) {
        const hb_metric_row_t *row = &hb_metric_rows[i];

        if (strcmp(row->name, family) != 0) {
            family = row->name;
            put_family(&page, family, row->is_gauge ? "gauge" : "counter", row->sentence);
        }
        put_sample(&page, row->name, row->labels, "",
                   hb_metric_value(metrics, (hb_metric_e)i));
    }
    n_routes = routes_met(&routes, metrics, route, baton, pool);
    put_http(&page, routes, n_routes);
    return page.text;
}
