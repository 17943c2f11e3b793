/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the service up, and how busy is it? Anybody may ask the first; the rest is for this host,
 * HaloBuzzMonitorAddress and staff. Asking must stay possible in maintenance and with the store
 * down: a balancer reads the status, people read the body.
 */
#include "mod_halobuzz_api.h"

#include <string.h>

#include <apr_network_io.h>
#include <apr_strings.h>

#include "hb_ap_machine.h"
#include "hb_cache.h"
#include "hb_role.h"
#include "hb_store.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define MAY_WATCH (HB_ROLE_SUPPORT | HB_ROLE_ADMIN | HB_ROLE_SUPERADMIN)

/* --- who may see more --- */

static int is_in_list(apr_sockaddr_t *address, const char *list, apr_pool_t *pool)
{
    char *state = NULL, *item, *copy = apr_pstrdup(pool, list);

    for (item = apr_strtok(copy, ", ", &state); item != NULL;
         item = apr_strtok(NULL, ", ", &state)) {
        char *mask = strchr(item, '/');
        apr_ipsubnet_t *net;

        if (mask != NULL) {
            *mask++ = '\0';
        }
        if (apr_ipsubnet_create(&net, item, mask, pool) == APR_SUCCESS
            && apr_ipsubnet_test(net, address)) {
            return 1;
        }
    }
    return 0;
}

/*
 * This host counts, unless the request came through a proxy on it that mod_remoteip was not
 * told about: then everybody seems to be local.
 */
static int is_trusted_address(request_rec *r, hb_op_t *op)
{
    int is_forwarded = r->useragent_addr == r->connection->client_addr
        && (apr_table_get(r->headers_in, "X-Forwarded-For") != NULL
            || apr_table_get(r->headers_in, "Forwarded") != NULL);

    if (is_in_list(r->useragent_addr, "127.0.0.0/8,::1", op->pool)) {
        return !is_forwarded;
    }
    return is_in_list(r->useragent_addr, op->site->settings->monitor_addresses, op->pool);
}

static apr_status_t may_watch(hb_ap_call_t *call)
{
    if (is_trusted_address(call->r, call->op)) {
        return APR_SUCCESS;
    }
    return hb_role_need(call->op, MAY_WATCH);
}

/* --- health --- */

typedef struct health_t {
    const char *database, *cache;       /* words of the reply */
    int is_up, is_whole;
} health_t;

static void look(health_t *health, hb_op_t *op)
{
    apr_status_t rv = op->site->store != NULL ? hb_store_ping(op) : HB_E_STORE_DOWN;

    hb_op_recover(op);
    health->is_up = rv == APR_SUCCESS || rv == HB_E_STORE_READONLY;
    health->database = rv == APR_SUCCESS ? "connected"
        : health->is_up ? "readonly" : "disconnected";
    health->is_whole = rv == APR_SUCCESS;
    rv = op->site->cache != NULL ? hb_cache_ping(op) : HB_E_UNAVAILABLE;
    hb_op_recover(op);
    health->cache = rv == APR_SUCCESS ? "connected" : "disconnected";
    health->is_whole = health->is_whole && rv == APR_SUCCESS;
}

static apr_int64_t uptime_sec(const hb_op_t *op)
{
    apr_int64_t sec = apr_time_sec(op->now - op->site->started_at);

    return sec > 0 ? sec : 0;   /* the clock was set back */
}

static hb_json_t *public_body(const hb_op_t *op, const char *status)
{
    hb_json_t *body = hb_json_object_make(op->pool);

    hb_json_set_string(body, "status", status);
    hb_json_set_time(body, "timestamp", op->now);
    hb_json_set_int(body, "uptime", uptime_sec(op));
    hb_json_set_string(body, "environment", op->site->settings->environment);
    if (__atomic_load_n(op->site->maintenance, __ATOMIC_RELAXED) != 0) {
        hb_json_set_bool(body, "maintenance", 1);
    }
    return body;
}

static void answer(hb_ap_call_t *call, const health_t *health)
{
    const char *status = !health->is_up ? "unhealthy"
        : health->is_whole ? "healthy" : "degraded";

    call->reply = public_body(call->op, status);
    call->reply_status = health->is_up ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE;
}

static const char *percent(int n, apr_pool_t *pool)
{
    return n < 0 ? "unknown" : apr_psprintf(pool, "%d%%", n);
}

static void add_details(hb_ap_call_t *call, const health_t *health)
{
    hb_op_t *op = call->op;
    hb_json_t *services = hb_json_object_make(op->pool);
    hb_json_t *metrics = hb_json_object_make(op->pool);
    const char *cache_url = op->site->settings->cache_url;
    hb_ap_machine_t machine;

    hb_json_set_string(services, "database", health->database);
    hb_json_set_string(services, "cache", health->cache);
    hb_json_set_string(services, "redis",
                       strncmp(cache_url, "redis", 5) == 0 ? health->cache : "not_used");
    hb_json_set_string(services, "ai_engine", "not_used");
    hb_json_set(call->reply, "services", services);
    hb_ap_machine_read(&machine);
    hb_json_set_int(metrics, "uptime", uptime_sec(op));
    hb_json_set_string(metrics, "memory_usage", percent(machine.memory_percent, op->pool));
    hb_json_set_string(metrics, "cpu_usage", percent(machine.cpu_percent, op->pool));
    hb_json_set_int(metrics, "threads_busy", machine.threads_busy);
    hb_json_set_int(metrics, "threads_idle", machine.threads_idle);
    hb_json_set(call->reply, "metrics", metrics);
}

static apr_status_t health(hb_ap_call_t *call)
{
    health_t found;

    look(&found, call->op);
    answer(call, &found);
    return APR_SUCCESS;
}

static apr_status_t health_details(hb_ap_call_t *call)
{
    health_t found;

    look(&found, call->op);
    answer(call, &found);
    if (may_watch(call) == APR_SUCCESS) {
        add_details(call, &found);
    } else {
        hb_op_recover(call->op);
    }
    return APR_SUCCESS;
}

/* This process answers; whether it can reach anything else is not the question. */
static apr_status_t alive(hb_ap_call_t *call)
{
    call->reply = public_body(call->op, "healthy");
    return APR_SUCCESS;
}

static apr_status_t metrics(hb_ap_call_t *call)
{
    APR_OPTIONAL_FN_TYPE(hb_ap_metrics_text) *text = APR_RETRIEVE_OPTIONAL_FN(hb_ap_metrics_text);
    apr_status_t rv = may_watch(call);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    call->reply_text = text(call->r);
    call->reply_bytes = strlen(call->reply_text);
    call->reply_type = METRICS_TYPE;
    return APR_SUCCESS;
}

static const hb_route_t rows[] = {
    { .method = M_HB_GET, .path = "//health", .needs = HB_IN_MAINTENANCE, .rate = "health",
      .action = health, .sentence = "is the service up?", .aliases = "//healthz",
      .output = "health", .tag = "operations" },
    { .method = M_HB_GET, .path = "//livez", .needs = HB_IN_MAINTENANCE | HB_NO_LIMIT,
      .rate = "health", .action = alive, .sentence = "does this process answer?",
      .output = "health", .tag = "operations" },
    { .method = M_HB_GET, .path = "//readyz", .needs = HB_IN_MAINTENANCE | HB_NO_LIMIT,
      .rate = "health", .action = health, .sentence = "may requests be sent here?",
      .output = "health", .tag = "operations" },
    { .method = M_HB_GET, .path = "/monitoring/health", .needs = HB_IN_MAINTENANCE,
      .rate = "health", .action = health_details, .aliases = "/health",
      .sentence = "health, with services and load for trusted addresses and staff",
      .output = "health", .tag = "operations" },
    { .method = M_HB_GET, .path = "/monitoring/metrics", .needs = HB_IN_MAINTENANCE,
      .rate = "health", .action = metrics,
      .sentence = "counters as Prometheus text, for trusted addresses and staff",
      .errors = "auth.required role.required", .tag = "operations" },
};

const hb_route_set_t hb_routes_health = { rows, sizeof(rows) / sizeof(rows[0]) };
