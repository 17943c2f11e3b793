/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a running server how it is: the runbook's four lines, and a page for people. The server's
 * answers are the same that a load balancer and Prometheus get.
 */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#define BACKEND_PATH "/api/v1/monitoring/health"
#define ENGINE_PATH  "/api/v1/health"
#define METRICS_PATH "/api/v1/monitoring/metrics"

/* What the line about a service calls it: the runbook's name where it is that product. */
static const char *store_name(const ctl_t *ctl)
{
    const char *url = ctl->settings != NULL ? ctl->settings->store_url : "";

    return strncmp(url, "mongodb", 7) == 0 ? "MongoDB"
           : strncmp(url, "sqlite", 6) == 0 ? "Database (SQLite)" : "Database";
}

static const char *cache_name(const ctl_t *ctl)
{
    const char *url = ctl->settings != NULL ? ctl->settings->cache_url : "";

    return strncmp(url, "redis", 5) == 0 ? "Redis"
           : strncmp(url, "shm", 3) == 0 ? "Cache (shared memory)" : "Cache";
}

/* A line of the answer, or a row of it for a script. */
static int tell(const ctl_t *ctl, hb_json_t *rows, const char *name, const char *text,
                int status)
{
    if (ctl->wants_json) {
        hb_json_t *row = hb_json_object_make(ctl->pool);

        hb_json_set_string(row, "name", name);
        hb_json_set_bool(row, "healthy", status == CTL_OK);
        hb_json_set_string(row, "detail", text);
        hb_json_push(rows, row);
    }
    else {
        ctl_mark(ctl, status == CTL_OK ? CTL_GOOD : CTL_BAD, "%s: %s", name, text);
    }
    return status;
}

/* A service's line. A server that keeps details from strangers tells its status alone. */
static int service(const ctl_t *ctl, hb_json_t *rows, const ctl_reply_t *reply,
                   const char *key, const char *name)
{
    const hb_json_t *services = hb_json_get(reply->json, "services");
    const char *state = hb_json_string(services, key);

    if (reply->status == 0) {
        return tell(ctl, rows, name, "Not known", CTL_FAILED);
    }
    if (state == NULL && reply->status == 200) {
        const char *status = hb_json_string(reply->json, "status");

        state = status != NULL && strcmp(status, "healthy") == 0 ? "connected" : "not told";
    }
    if (state != NULL && strcmp(state, "connected") == 0) {
        return tell(ctl, rows, name, "Connected", CTL_OK);
    }
    return tell(ctl, rows, name, state != NULL ? state : "Not connected", CTL_FAILED);
}

static int backend(const ctl_t *ctl, hb_json_t *rows, const ctl_reply_t *reply,
                   const char *name, const char *url)
{
    if (reply->status == 200) {
        return tell(ctl, rows, name, url, CTL_OK);
    }
    if (reply->status == 0) {
        return tell(ctl, rows, name, apr_psprintf(ctl->pool, "%s (%s)", url, reply->why),
                    CTL_UNREACHABLE);
    }
    return tell(ctl, rows, name, apr_psprintf(ctl->pool, "%s (status %d)", url, reply->status),
                CTL_FAILED);
}

static int worse(int a, int b)
{
    return a == CTL_UNREACHABLE || b == CTL_UNREACHABLE ? CTL_UNREACHABLE : a > b ? a : b;
}

int ctl_health(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2], *base, *url;
    hb_json_t *rows = hb_json_array_make(ctl->pool);
    ctl_reply_t reply, engine;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 0, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    base = ctl_base_url(ctl, args[0]);
    if (base == NULL) {
        return CTL_FAILED;
    }
    url = apr_pstrcat(ctl->pool, base, BACKEND_PATH, NULL);
    ctl_http(&reply, ctl, "GET", url, NULL, NULL);
    rc = backend(ctl, rows, &reply, "Backend", url);
    url = apr_pstrcat(ctl->pool, base, ENGINE_PATH, NULL);
    ctl_http(&engine, ctl, "GET", url, NULL, NULL);
    rc = worse(rc, backend(ctl, rows, &engine, "AI Engine", url));
    rc = worse(rc, service(ctl, rows, &reply, "database", store_name(ctl)));
    rc = worse(rc, service(ctl, rows, &reply, "cache", cache_name(ctl)));
    if (ctl->wants_json) {
        ctl_json(ctl, rows);
    }
    return rc;
}

/* --- status --- */

/* Samples without labels, "name value" lines, as {name: value}. */
static hb_json_t *samples(const char *text, apr_pool_t *pool)
{
    hb_json_t *json = hb_json_object_make(pool);
    char *rest = apr_pstrdup(pool, text), *last, *line;

    for (line = apr_strtok(rest, "\n", &last); line != NULL;
         line = apr_strtok(NULL, "\n", &last)) {
        char *blank = strchr(line, ' ');

        if (line[0] == '#' || blank == NULL || memchr(line, '{', blank - line) != NULL) {
            continue;
        }
        *blank++ = '\0';
        if (strpbrk(blank, ".eN") != NULL) {
            hb_json_set_real(json, line, strtod(blank, NULL));
        }
        else {
            hb_json_set_int(json, line, apr_strtoi64(blank, NULL, 10));
        }
    }
    return json;
}

/* What the server depends on and the programs beside it, up{job="name"} lines, as
 * {name: "up" or "down"}. */
static hb_json_t *parts(const char *text, apr_pool_t *pool)
{
    static const char start[] = "up{job=\"";
    hb_json_t *json = hb_json_object_make(pool);
    char *rest = apr_pstrdup(pool, text), *last, *line;

    for (line = apr_strtok(rest, "\n", &last); line != NULL;
         line = apr_strtok(NULL, "\n", &last)) {
        char *name = line + sizeof(start) - 1, *end;

        if (strncmp(line, start, sizeof(start) - 1) == 0
            && (end = strstr(name, "\"} ")) != NULL) {
            *end = '\0';
            hb_json_set_string(json, name, atoi(end + 3) != 0 ? "up" : "down");
        }
    }
    return json;
}

static int print(void *baton, const char *name, hb_json_t *value)
{
    ctl_t *ctl = baton;
    const char *text = hb_json_string_value(value);

    if (hb_json_type(value) == HB_JSON_OBJECT) {
        hb_json_each(value, print, ctl);
    }
    else {
        ctl_say(ctl, "%-44s %s", name,
                text != NULL ? text : hb_json_text(value, ctl->pool, NULL));
    }
    return 0;
}

int ctl_status(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2], *base;
    ctl_reply_t health, metrics, front;
    hb_json_t *status;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 0, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    base = ctl_base_url(ctl, args[0]);
    if (base == NULL) {
        return CTL_FAILED;
    }
    ctl_http(&front, ctl, "GET", apr_pstrcat(ctl->pool, base, "/health", NULL), NULL, NULL);
    if (front.status == 0) {
        ctl_fail(ctl, "%s: %s", base, front.why);
        return CTL_UNREACHABLE;
    }
    if (front.json == NULL) {
        return ctl_fail(ctl, "%s/health answers %d, which is no HaloBuzz server's answer", base,
                        front.status);
    }
    ctl_http(&health, ctl, "GET", apr_pstrcat(ctl->pool, base, BACKEND_PATH, NULL), NULL, NULL);
    ctl_http(&metrics, ctl, "GET", apr_pstrcat(ctl->pool, base, METRICS_PATH, NULL), NULL, NULL);
    status = hb_json_object_make(ctl->pool);
    hb_json_set_string(status, "url", base);
    hb_json_set(status, "health", front.json);
    if (hb_json_get(health.json, "services") != NULL) {
        hb_json_set(status, "services", hb_json_get(health.json, "services"));
    }
    if (metrics.status == 200) {
        hb_json_set(status, "parts", parts(metrics.body, ctl->pool));
        hb_json_set(status, "metrics", samples(metrics.body, ctl->pool));
    }
    if (ctl->wants_json) {
        ctl_json(ctl, status);
    }
    else {
        hb_json_each(status, print, ctl);
        if (metrics.status != 200) {
            ctl_say(ctl, "metrics are not shown to this address (status %d)", metrics.status);
        }
    }
    return front.status == 200 ? CTL_OK : CTL_FAILED;
}
