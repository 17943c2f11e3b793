/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the bus: rows, what a transaction keeps until its commit, counting, and one
 * log line when the log goes and one when it is back. Where events lie is the backend's
 * business (bus_*.c).
 */
#include "hb_bus.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "hb_metrics.h"
#include "hb_plugin.h"
#include "hb_redis_url.h"

extern const hb_bus_driver_t bus_local_driver;

/* Backends by scheme. One that is a file of its own names it, and the package it is built with. */
typedef struct backend_t {
    const char *scheme, *accepts;
    const hb_bus_driver_t *driver;      /* NULL: in plugin, under symbol */
    const char *plugin, *symbol, *package;
} backend_t;

static const backend_t backends[] = {
    { "local", "local:FILE",        &bus_local_driver },
    { "redis", "redis://HOST:PORT", NULL, "hb_redis.so", "hb_redis_bus",
      "libhiredis-dev (for building) or libhiredis0.14" },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

#define BUS_URL_DEFAULT "local:realtime.bus"

struct hb_bus_t {
    const hb_bus_driver_t *driver;
    hb_site_t *site;
    void *self;
    int is_failing;             /* so that trouble is logged once, not per event */
};

struct hb_bus_reader_t {
    const hb_bus_driver_t *driver;
    hb_site_t *site;
    void *self;
};

struct hb_bus_kept_t {
    apr_array_header_t *events; /* hb_event_t, their text in op->pool */
};

/* --- rows --- */

static const hb_event_row_t event_rows[] = {
#define HB_EVENT(symbol, name, lane, target, shape, sentence) \
    { #symbol, name, HB_LANE_##lane, HB_TO_##target, shape, sentence },
#define HB_CALL(symbol, name, form, reply, sentence)
#include "hb_event.def"
#undef HB_EVENT
#undef HB_CALL
};

static const hb_call_row_t call_rows[] = {
#define HB_EVENT(symbol, name, lane, target, shape, sentence)
#define HB_CALL(symbol, name, form, reply, sentence) { name, form, reply, sentence },
#include "hb_event.def"
#undef HB_EVENT
#undef HB_CALL
};

const hb_event_row_t *hb_event_row(hb_event_e event)
{
    return &event_rows[event];
}

const hb_call_row_t *hb_call_row(hb_call_e call)
{
    return &call_rows[call];
}

const char *hb_lane_name(hb_lane_e lane)
{
    static const char *const names[] = { "money", "chat", "reaction", "metric", "internal" };

    return names[lane];
}

const char *hb_target_name(hb_target_e target)
{
    static const char *const names[] = { "stream", "user", "session", "all" };

    return names[target];
}

/* HB_EV_COUNT when a newer build wrote it. */
static hb_event_e event_of(const char *symbol)
{
    int i;

    for (i = 0; i < HB_EV_COUNT; i++) {
        if (strcmp(event_rows[i].symbol, symbol) == 0) {
            break;
        }
    }
    return (hb_event_e)i;
}

/* --- publishing --- */

static void note(hb_bus_t *bus, apr_status_t rv, apr_size_t bytes)
{
    hb_site_t *site = bus->site;

    if (rv == APR_SUCCESS) {
        hb_metric_add(site->metrics, HB_M_BUS_PUBLISHED, 1);
        hb_metric_add(site->metrics, HB_M_BUS_BYTES, (apr_int64_t)bytes);
        if (__atomic_load_n(&bus->is_failing, __ATOMIC_RELAXED)
            && __atomic_exchange_n(&bus->is_failing, 0, __ATOMIC_RELAXED)) {
            hb_log_to(&site->log, HB_LOG_NOTICE, 0, HBLOGNO(08501) "events are told again");
        }
        return;
    }
    hb_metric_add(site->metrics, HB_M_BUS_FAILED, 1);
    if (rv == HB_E_BUS_SIZE) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(08502) "an event of %" APR_SIZE_T_FMT
                  " bytes is too large for HaloBuzzBusSize", bytes);
    }
    else if (!__atomic_exchange_n(&bus->is_failing, 1, __ATOMIC_RELAXED)) {
        hb_log_to(&site->log, HB_LOG_ERR, rv, HBLOGNO(08503) "HaloBuzzBus cannot be written: live "
                  "clients miss events until it can; the work they tell of is done");
    }
}

apr_status_t hb_bus_append(apr_uint64_t *seq, hb_site_t *site, const hb_event_t *event)
{
    hb_bus_t *bus = site->bus;
    apr_uint64_t unseen;
    apr_status_t rv;
    hb_bus_record_t record = {
        event_rows[event->event].symbol, 0, event->at, event->id,
        event->only_user != NULL ? event->only_user : "", event->payload, event->payload_bytes
    };

    if (bus == NULL) {
        return HB_E_UNAVAILABLE;
    }
    rv = bus->driver->append(bus->self, seq != NULL ? seq : &unseen, &record);
    note(bus, rv, event->payload_bytes);
    return rv;
}

static void keep(hb_op_t *op, const hb_event_t *event)
{
    if (op->kept == NULL) {
        op->kept = apr_palloc(op->pool, sizeof(*op->kept));
        op->kept->events = apr_array_make(op->pool, 4, sizeof(hb_event_t));
    }
    APR_ARRAY_PUSH(op->kept->events, hb_event_t) = *event;
}

void hb_bus_publish_to(hb_op_t *op, hb_event_e event, const char *id, const char *only_user,
                       const hb_json_t *payload)
{
    hb_event_t made = { event, 0, op->now, id, only_user, NULL, 0 };

    if (op->site->bus == NULL) {
        return;
    }
    made.payload = hb_json_text(payload, op->pool, &made.payload_bytes);
    if (op->tx == NULL) {
        hb_bus_append(NULL, op->site, &made);
        return;
    }
    made.id = apr_pstrdup(op->pool, id);
    made.only_user = only_user != NULL ? apr_pstrdup(op->pool, only_user) : NULL;
    keep(op, &made);
}

void hb_bus_publish(hb_op_t *op, hb_event_e event, const char *id, const hb_json_t *payload)
{
    hb_bus_publish_to(op, event, id, NULL, payload);
}

int hb_bus_kept(const hb_op_t *op)
{
    return op->kept != NULL ? op->kept->events->nelts : 0;
}

void hb_bus_forget(hb_op_t *op, int n_left)
{
    if (op->kept != NULL && op->kept->events->nelts > n_left) {
        op->kept->events->nelts = n_left;
    }
}

void hb_bus_tell(hb_op_t *op)
{
    int i;

    if (op->kept == NULL) {
        return;
    }
    for (i = 0; i < op->kept->events->nelts; i++) {
        hb_bus_append(NULL, op->site, &APR_ARRAY_IDX(op->kept->events, i, hb_event_t));
    }
    apr_array_clear(op->kept->events);
}

/* --- reading --- */

apr_status_t hb_bus_reader_open(hb_bus_reader_t **made, hb_site_t *site, hb_bus_from_e from,
                                int is_main, apr_pool_t *pool)
{
    hb_bus_reader_t *reader = apr_pcalloc(pool, sizeof(*reader));
    hb_bus_t *bus = site->bus;

    reader->driver = bus->driver;
    reader->site = site;
    *made = reader;
    return bus->driver->reader_open(&reader->self, bus->self, from, is_main, pool);
}

apr_status_t hb_bus_read(hb_event_t *event, hb_bus_reader_t *reader)
{
    hb_metrics_t *metrics = reader->site->metrics;
    hb_bus_record_t record;
    apr_status_t rv;

    do {
        rv = reader->driver->read(reader->self, &record);
        if (rv == HB_E_BUS_GAP) {
            hb_metric_add(metrics, HB_M_BUS_GAPS, 1);
        }
        if (rv != APR_SUCCESS) {
            return rv;
        }
        event->event = event_of(record.name);
    } while (event->event == HB_EV_COUNT);
    event->seq = record.seq;
    event->at = record.at;
    event->id = record.id;
    event->only_user = *record.only_user != '\0' ? record.only_user : NULL;
    event->payload = record.payload;
    event->payload_bytes = record.payload_bytes;
    hb_metric_add(metrics, HB_M_BUS_READ, 1);
    return APR_SUCCESS;
}

int hb_bus_reader_fd(const hb_bus_reader_t *reader)
{
    return reader->driver->reader_fd(reader->self);
}

const char *hb_bus_reader_epoch(const hb_bus_reader_t *reader)
{
    return reader->driver->reader_epoch(reader->self);
}

apr_uint64_t hb_bus_reader_newest(const hb_bus_reader_t *reader)
{
    apr_uint64_t oldest, newest;

    reader->driver->reader_span(reader->self, &oldest, &newest);
    return newest;
}

apr_uint64_t hb_bus_reader_oldest(const hb_bus_reader_t *reader)
{
    apr_uint64_t oldest, newest;

    reader->driver->reader_span(reader->self, &oldest, &newest);
    return oldest;
}

apr_status_t hb_bus_stats(hb_bus_stats_t *stats, hb_site_t *site)
{
    memset(stats, 0, sizeof(*stats));
    return site->bus != NULL ? site->bus->driver->stats(site->bus->self, stats)
        : HB_E_UNAVAILABLE;
}

/* --- for the host of a process --- */

static const backend_t *backend_of(const char *url)
{
    int i;

    for (i = 0; i < N_BACKENDS; i++) {
        apr_size_t n = strlen(backends[i].scheme);

        if (strncmp(url, backends[i].scheme, n) == 0 && url[n] == ':' && url[n + 1] != '\0') {
            return &backends[i];
        }
    }
    return NULL;
}

const char *hb_bus_url_check(const char *url, apr_pool_t *pool)
{
    const backend_t *backend = backend_of(url);
    const char *accepted = NULL;
    hb_redis_url_t redis;
    int i;

    if (backend != NULL && backend->plugin != NULL) {
        const char *why = hb_redis_url_read(&redis, url, pool);

        return why != NULL ? why : hb_plugin_missing(backend->plugin, backend->package, pool);
    }
    if (backend != NULL) {
        return NULL;
    }
    for (i = 0; i < N_BACKENDS; i++) {
        accepted = accepted == NULL ? backends[i].accepts
            : apr_pstrcat(pool, accepted, ", ", backends[i].accepts, NULL);
    }
    /* Only the scheme is repeated: the rest of a URL may hold a password. */
    return apr_psprintf(pool, "no backend takes '%.*s:...'; accepted: %s",
                        (int)strcspn(url, ":/@"), url, accepted);
}

const char *hb_bus_url(const hb_settings_t *settings)
{
    if (settings->bus_url[0] != '\0') {
        return settings->bus_url;
    }
    return strncmp(settings->cache_url, "redis:", 6) == 0 ? settings->cache_url : BUS_URL_DEFAULT;
}

apr_status_t hb_bus_open(hb_bus_t **made, hb_site_t *site, const char *url, apr_pool_t *pool)
{
    const char *why = hb_bus_url_check(url, pool);
    const backend_t *backend;
    hb_bus_t *bus;
    apr_status_t rv;

    *made = NULL;
    if (why != NULL) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(08504) "HaloBuzzBus: %s", why);
        return HB_E_CONFIG;
    }
    bus = apr_pcalloc(pool, sizeof(*bus));
    bus->site = site;
    backend = backend_of(url);
    bus->driver = backend->driver != NULL ? backend->driver
        : hb_plugin_symbol(&why, backend->plugin, backend->symbol, pool);
    if (bus->driver == NULL) {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(08505) "the backend of HaloBuzzBus cannot be "
                  "opened: %s; it needs %s", why, backend->package);
        return HB_E_CONFIG;
    }
    rv = bus->driver->open(&bus->self, site, url, pool);
    if (rv == APR_SUCCESS) {
        *made = bus;
    }
    return rv;
}
