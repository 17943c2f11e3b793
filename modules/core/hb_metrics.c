/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that all processes of the host add to. Each exists once a stripe, and a thread adds
 * to the stripe of its CPU, so that two CPUs seldom want one cache line. Printing them is
 * hb_metrics_text.c's.
 */
#include "hb_metrics.h"

#include <string.h>

#include "hb_error.h"
#include "hb_metrics_private.h"
#include "hb_siphash.h"

#define MAGIC 0x3153434952544d48ULL     /* "HMTRICS1": changes with the layout */
#define ROUTES_MAX 512
#define ROW_WORDS ((HB_METRIC_COUNT + 7) / 8 * 8)   /* whole cache lines */

typedef struct header_t {
    apr_uint64_t magic;
    apr_uint64_t bytes;
    apr_uint64_t rows;          /* hash of hb_metrics.def: which row is which cell */
    apr_uint64_t unused[5];
} header_t;

_Static_assert(sizeof(header_t) == HB_MEMORY_LINE
               && sizeof(hb_metrics_cells_t) % HB_MEMORY_LINE == 0,
               "layout in shared memory");

#define KIND_COUNTER 0
#define KIND_GAUGE 1
const hb_metric_row_t hb_metric_rows[HB_METRIC_COUNT] = {
#define HB_METRIC(symbol, kind, name, labels, sentence) \
    { name, labels, sentence, KIND_##kind },
#include "hb_metrics.def"
#undef HB_METRIC
};

static const apr_interval_time_t buckets[HB_METRICS_BUCKETS + 1] = {
    5000, 10000, 25000, 50000, 100000, 200000, 350000, 500000,
    1000000, 2000000, 5000000, 10000000, 0
};

/* Common ones first, because they are searched in order. */
static const struct {
    int status;
    const char *text;
} statuses[HB_METRICS_STATUSES] = {
#define S(n) { n, #n }
    S(200), S(201), S(204), S(304), S(401), S(404), S(429), S(422), S(400), S(403), S(409),
    S(202), S(206), S(301), S(302), S(303), S(307), S(308), S(100), S(101), S(402), S(405),
    S(406), S(408), S(410), S(411), S(412), S(413), S(414), S(415), S(416), S(417), S(421),
    S(423), S(424), S(425), S(426), S(428), S(431), S(451), S(500), S(501), S(502), S(503),
    S(504), S(505), S(507),
#undef S
    { 0, "other" }
};

static apr_uint64_t rows_hash(void)
{
    static const apr_uint64_t no_key[2];
    apr_uint64_t hash = 1;
    int i;

    for (i = 0; i < HB_METRIC_COUNT; i++) {
        const hb_metric_row_t *row = &hb_metric_rows[i];

        hash = hash * 31 + hb_siphash(no_key, row->name, strlen(row->name));
        hash = hash * 31 + hb_siphash(no_key, row->labels, strlen(row->labels));
    }
    return hash | 1;
}

static apr_uint64_t cell(const apr_uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void add(apr_uint64_t *at, apr_int64_t n)
{
    __atomic_fetch_add(at, (apr_uint64_t)n, __ATOMIC_RELAXED);
}

apr_size_t hb_metrics_bytes(int n_routes)
{
    if (n_routes > ROUTES_MAX) {
        n_routes = ROUTES_MAX;
    }
    /* Row 0 is for requests that are not ours; a line more because of alignment. */
    return HB_MEMORY_LINE + sizeof(header_t)
        + HB_METRICS_STRIPES * (ROW_WORDS * sizeof(apr_uint64_t)
                                + (apr_size_t)(n_routes + 1) * sizeof(hb_metrics_cells_t));
}

apr_status_t hb_metrics_open(hb_metrics_t **metrics, void *memory, apr_size_t bytes,
                             apr_pool_t *pool)
{
    hb_metrics_t *made = apr_pcalloc(pool, sizeof(*made));
    apr_size_t fixed = sizeof(header_t)
        + HB_METRICS_STRIPES * ROW_WORDS * sizeof(apr_uint64_t);
    apr_size_t n;
    header_t *header;

    *metrics = NULL;
    if (memory == NULL) {
        bytes = bytes != 0 ? bytes : hb_metrics_bytes(0);
        memory = apr_pcalloc(pool, bytes);
    }
    header = hb_memory_align(memory, &bytes);
    if (bytes < fixed + HB_METRICS_STRIPES * sizeof(hb_metrics_cells_t)) {
        return APR_ENOMEM;
    }
    n = (bytes - fixed) / (HB_METRICS_STRIPES * sizeof(hb_metrics_cells_t));
    made->n_routes = n > ROUTES_MAX + 1 ? ROUTES_MAX + 1 : (int)n;
    made->rows = (apr_uint64_t *)(header + 1);
    made->routes = (hb_metrics_cells_t *)(made->rows + HB_METRICS_STRIPES * ROW_WORDS);
    if (hb_memory_settle(&header->magic, MAGIC) != MAGIC
        || hb_memory_settle(&header->bytes, bytes) != bytes
        || hb_memory_settle(&header->rows, rows_hash()) != rows_hash()) {
        return HB_E_CONFIG;
    }
    *metrics = made;
    return APR_SUCCESS;
}

void hb_metric_add(hb_metrics_t *metrics, hb_metric_e metric, apr_int64_t n)
{
    if (metrics != NULL && metric < HB_METRIC_COUNT) {
        unsigned int stripe = hb_memory_stripe(HB_METRICS_STRIPES);

        /* A gauge can be set, so it has one place only. */
        add(&metrics->rows[hb_metric_rows[metric].is_gauge
                           ? (apr_size_t)metric : stripe * ROW_WORDS + metric], n);
    }
}

void hb_metric_set(hb_metrics_t *metrics, hb_metric_e metric, apr_int64_t n)
{
    if (metrics != NULL && metric < HB_METRIC_COUNT && hb_metric_rows[metric].is_gauge) {
        __atomic_store_n(&metrics->rows[metric], (apr_uint64_t)n, __ATOMIC_RELAXED);
    }
}

apr_int64_t hb_metric_value(hb_metrics_t *metrics, hb_metric_e metric)
{
    apr_uint64_t n = 0;
    int i;

    if (metrics != NULL && metric < HB_METRIC_COUNT) {
        for (i = 0; i < HB_METRICS_STRIPES; i++) {
            n += cell(&metrics->rows[(apr_size_t)i * ROW_WORDS + metric]);
        }
    }
    return (apr_int64_t)n;
}

void hb_metric_http(hb_metrics_t *metrics, int route, int status, apr_int64_t bytes,
                    apr_interval_time_t usec)
{
    hb_metrics_cells_t *cells;
    int at = 0;
    int i = 0;

    if (metrics == NULL) {
        return;
    }
    if (route < 0 || route >= metrics->n_routes) {
        route = 0;
    }
    cells = &metrics->routes[hb_memory_stripe(HB_METRICS_STRIPES)
                             * (apr_size_t)metrics->n_routes + (apr_size_t)route];
    while (at < HB_METRICS_STATUSES - 1 && statuses[at].status != status) {
        at++;
    }
    while (buckets[i] != 0 && usec > buckets[i]) {
        i++;
    }
    add(&cells->answers[at], 1);
    add(&cells->durations[i], 1);
    add(&cells->usec, usec > 0 ? usec : 0);
    add(&cells->bytes, bytes > 0 ? bytes : 0);
}

const apr_interval_time_t *hb_metrics_buckets(void)
{
    return buckets;
}

const char *hb_metrics_status(int i)
{
    return statuses[i].text;
}

void hb_metrics_route_sum(hb_metrics_cells_t *sum, const hb_metrics_t *metrics, int route)
{
    int stripe, i;

    memset(sum, 0, sizeof(*sum));
    if (route < 0 || route >= metrics->n_routes) {
        return;
    }
    for (stripe = 0; stripe < HB_METRICS_STRIPES; stripe++) {
        const hb_metrics_cells_t *cells =
            &metrics->routes[(apr_size_t)stripe * (apr_size_t)metrics->n_routes
                             + (apr_size_t)route];

        for (i = 0; i < HB_METRICS_STATUSES; i++) {
            sum->answers[i] += cell(&cells->answers[i]);
        }
        for (i = 0; i <= HB_METRICS_BUCKETS; i++) {
            sum->durations[i] += cell(&cells->durations[i]);
        }
        sum->usec += cell(&cells->usec);
        sum->bytes += cell(&cells->bytes);
    }
}
