/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_halobuzz_realtime: brings clients of /socket.io/ and its sisters to halobuzz-realtimed, which
 * it has mod_halobuzz start and watch. A request is checked here, sent to the sidecar, and its
 * answer waited for during a few milliseconds. Nearly all are answered then. What is not (a poll
 * that is held), or never ends (a WebSocket, an event stream), is suspended and given to a
 * poller, so that it takes no thread. Where connections cannot be suspended (worker and prefork
 * MPMs, HTTP/2 streams), the thread stays, and HaloBuzzRealtimeShare bounds how many do.
 */
#include "mod_rt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <ap_mpm.h>
#include <ap_provider.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <util_filter.h>

#include "hb_site.h"

#define HANDLER "halobuzz-realtime"
#define RATE_CLASS "realtime"
#define SOCKET_IO "/socket.io/"
#define QUICK_WAIT apr_time_from_msec(20)
#define FULL_RETRY_SEC 5

const char *rt_socket_path;

/* Of this process and configuration. */
static APR_OPTIONAL_FN_TYPE(hb_ap_op) *op_of;
static APR_OPTIONAL_FN_TYPE(hb_ap_site) *site_of;
static APR_OPTIONAL_FN_TYPE(hb_ap_limit) *limit;
static APR_OPTIONAL_FN_TYPE(hb_ap_count_as) *count_as;
static hb_site_t *site;
static int is_async;            /* connections can be suspended */
static int has_pollers;

static const hb_ap_program_t program = {
    .role = "realtime",
    .file = "halobuzz-realtimed",
    .path_offset = offsetof(hb_settings_t, realtime_program),
    .module_file = "mod_halobuzz_realtime.c",
    .secrets = "auth_secret refresh_secret agora_certificate",
};

/* --- who may come --- */

static int is_upgrade(const request_rec *r)
{
    const char *upgrade = apr_table_get(r->headers_in, "Upgrade");

    return r->method_number == M_GET && upgrade != NULL
        && ap_cstr_casecmp(upgrade, "websocket") == 0;
}

/* "https://host:port" and "host:port" are the same place. */
static int is_place(const char *origin, const char *host)
{
    const char *at = strstr(origin, "://");

    return at != NULL && host != NULL && ap_cstr_casecmp(at + 3, host) == 0;
}

/* The origin of an address: what is before its path. */
static int is_origin_of(const char *url, const char *origin)
{
    apr_size_t len = strlen(origin);

    return len > 0 && ap_cstr_casecmpn(url, origin, len) == 0
        && (url[len] == '\0' || url[len] == '/');
}

static int is_in_list(const char *list, const char *origin)
{
    apr_size_t len = strlen(origin);
    const char *at;

    for (at = strstr(list, origin); at != NULL && len > 0; at = strstr(at + 1, origin)) {
        if ((at == list || at[-1] == ',' || at[-1] == ' ')
            && (at[len] == '\0' || at[len] == ',' || at[len] == ' ')) {
            return 1;
        }
    }
    return 0;
}

/*
 * CORS does not bind WebSockets: any page could open one with its visitor's cookies. So what names
 * an origin has to name this server, or one of HaloBuzzCORSOrigin. Apps that are no pages
 * name none, or (React Native) this server. A page's GET without an origin is one of this
 * server, unless the browser says that it is another site's.
 */
static int is_origin_allowed(const request_rec *r)
{
    const char *origin = apr_table_get(r->headers_in, "Origin");
    const hb_settings_t *settings = site->settings;

    if (origin == NULL) {
        const char *site_of_page = apr_table_get(r->headers_in, "Sec-Fetch-Site");

        return site_of_page == NULL || ap_cstr_casecmp(site_of_page, "cross-site") != 0;
    }
    return is_place(origin, apr_table_get(r->headers_in, "Host"))
        || is_origin_of(settings->public_url, origin)
        || is_in_list(settings->cors_origins, origin);
}

/* The first request of a session; the others name it, and only Socket.IO has others. What is named
 * is never a handshake to the sidecar, so nobody gets past the limit by naming anything. */
static int is_handshake(const request_rec *r)
{
    const char *at = strncmp(r->uri, SOCKET_IO, strlen(SOCKET_IO)) == 0 ? r->args : NULL;

    while (at != NULL && strncmp(at, "sid=", 4) != 0) {
        at = strchr(at, '&');
        at = at != NULL ? at + 1 : NULL;
    }
    return at == NULL && r->method_number != M_OPTIONS;
}

static apr_status_t admit(request_rec *r, hb_op_t *op)
{
    if (!is_origin_allowed(r)) {
        rt_count_add(HB_M_RT_REFUSED_ORIGIN);
        return hb_fail(op, HB_E_FORBIDDEN, "pages of this origin may not open sockets here; "
                       "HaloBuzzCORSOrigin lists those that may");
    }
    if (is_handshake(r)) {
        if (site->maintenance != NULL
            && __atomic_load_n(site->maintenance, __ATOMIC_RELAXED) != 0) {
            return hb_fail_later(op, HB_E_MAINTENANCE, 60, NULL);
        }
        if (limit != NULL) {
            return limit(r, RATE_CLASS);
        }
    }
    return APR_SUCCESS;
}

static int refuse(request_rec *r, hb_op_t *op, apr_status_t status)
{
    r->status = HTTP_OK;
    return hb_ap_reply_problem(r, op, status);
}

static int refuse_full(request_rec *r, hb_op_t *op)
{
    rt_count_add(HB_M_RT_REFUSED_FULL);
    return refuse(r, op, hb_fail_later(op, HB_E_UNAVAILABLE, FULL_RETRY_SEC,
                                       "as many sockets as fit are open here"));
}

static int refuse_down(request_rec *r, hb_op_t *op)
{
    if (r->connection->aborted) {
        return OK;
    }
    rt_count_add(HB_M_RT_REFUSED_DOWN);
    return refuse(r, op, hb_fail_later(op, HB_E_UNAVAILABLE, 2,
                                       "realtime is not available just now"));
}

/* --- the link of a request --- */

/* The MPM closes a connection that was to be suspended: a child that ends. */
static apr_status_t drop(void *data)
{
    rt_link_t *link = data;

    rt_sidecar_close(link);
    rt_count_release(link);
    free(link);
    return APR_SUCCESS;
}

static rt_link_t *link_make(request_rec *r)
{
    conn_rec *c = r->connection;
    rt_link_t *link = calloc(1, sizeof(*link));
    apr_os_sock_t fd;

    if (link == NULL) {
        return NULL;
    }
    link->r = r;
    link->c = c;
    link->fd = -1;
    link->client_fd = -1;
    link->is_upgrade = is_upgrade(r);
    link->kind = link->is_upgrade ? RT_WEBSOCKET : RT_HTTP;
    link->is_sync = !is_async || !has_pollers || c->master != NULL || c->cs == NULL
        || r->main != NULL;
    if (c->master == NULL) {
        link->socket = ap_get_conn_socket(c);
        if (link->socket != NULL && apr_os_sock_get(&fd, link->socket) == APR_SUCCESS) {
            link->client_fd = fd;
        }
    }
    apr_pool_cleanup_register(c->pool, link, drop, apr_pool_cleanup_null);
    return link;
}

static void link_end(rt_link_t *link)
{
    apr_pool_cleanup_run(link->c->pool, link, drop);
}

/* Has the core leave the connection to us; from the suspend hook on it is a poller's. */
static int suspend(rt_link_t *link)
{
    rt_count_hold(link);
    ap_set_module_config(link->c->conn_config, &halobuzz_realtime_module, link);
    link->c->keepalive = AP_CONN_CLOSE;
    return SUSPENDED;
}

static void suspended(conn_rec *c, request_rec *r)
{
    rt_link_t *link = ap_get_module_config(c->conn_config, &halobuzz_realtime_module);

    (void)r;
    if (link == NULL || c->cs == NULL || c->cs->state != CONN_STATE_SUSPENDED) {
        return;
    }
    ap_set_module_config(c->conn_config, &halobuzz_realtime_module, NULL);
    /* What the request took is not kept for the connection's next one: there will be none. */
    apr_allocator_max_free_set(apr_pool_allocator_get(c->pool), 1);
    apr_pool_cleanup_kill(c->pool, link, drop);
    if (link->state == RT_TUNNEL) {
        rt_link_log(link);      /* here a slow log delays nobody else */
    }
    rt_poller_take(link);
}

/* --- requests --- */

static int start_tunnel(rt_link_t *link)
{
    request_rec *r = link->r;

    r->status = HTTP_SWITCHING_PROTOCOLS;
    ap_remove_input_filter_byhandle(link->c->input_filters, "reqtimeout");
    link->c->keepalive = AP_CONN_CLOSE;
    rt_count_add(HB_M_RT_OPENED);
    if (link->is_sync) {
        /* What the core does at the end of a request is not to write into the stream. */
        r->output_filters = r->proto_output_filters = link->c->output_filters;
        link->in = apr_brigade_create(r->pool, link->c->bucket_alloc);
        link->out = apr_brigade_create(r->pool, link->c->bucket_alloc);
        rt_count_hold(link);
        if (rt_tunnel_start(link) != RT_PUMP_END) {
            rt_poller_run_here(link, site->settings);
        }
        link_end(link);
        return OK;
    }
    link->out = apr_brigade_create(link->c->pool, link->c->bucket_alloc);
    if (rt_tunnel_start(link) == RT_PUMP_END) {
        link_end(link);
        return DONE;
    }
    link->out = NULL;
    return suspend(link);
}

static int answered(rt_link_t *link, hb_op_t *op)
{
    request_rec *r = link->r;
    int result;

    if (rt_answer_is_upgrade(link)) {
        if (link->is_sync && link->client_fd < 0) {
            link_end(link);     /* a stream of HTTP/2 cannot be tunnelled here */
            return HTTP_NOT_IMPLEMENTED;
        }
        return start_tunnel(link);
    }
    if (!rt_answer_read(link)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, HBLOGNO(06500)
                      "the sidecar's answer is not in HTTP, or not as agreed");
        link_end(link);
        return refuse_down(r, op);
    }
    if (link->body_left < 0 && !link->is_sync) {
        link->state = RT_REPLY;
        return suspend(link);
    }
    if (link->body_left < 0) {
        rt_count_hold(link);
    }
    result = rt_reply_here(link, rt_limits_idle(site->settings));
    link->end = RT_END_ANSWERED;
    link_end(link);
    return result;
}

static int handle(request_rec *r)
{
    hb_op_t *op;
    rt_link_t *link;
    const char *body = NULL;
    apr_size_t body_len = 0;
    apr_status_t rv;
    rt_step_e step;

    if (r->handler == NULL || strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    if (r->method_number == M_TRACE || site == NULL) {
        return r->method_number == M_TRACE ? HTTP_METHOD_NOT_ALLOWED : HTTP_SERVICE_UNAVAILABLE;
    }
    op = op_of(r);
    count_as(r, -1);
    rv = admit(r, op);
    if (rv == APR_SUCCESS && !is_upgrade(r) && r->method_number != M_GET) {
        rv = hb_ap_body_read(&body, &body_len, r, op, site->settings->realtime_payload);
    }
    if (rv != APR_SUCCESS) {
        return refuse(r, op, rv);
    }
    link = link_make(r);
    if (link == NULL) {
        return refuse_down(r, op);
    }
    if (!rt_count_has_room(link->is_sync)) {
        link_end(link);
        return refuse_full(r, op);
    }
    rt_request_make(link, op->request_id, body, body_len);
    if (link->is_sync) {
        rt_count_hold(link);
    }
    step = rt_wait_here(link, link->is_sync ? rt_limits_idle(site->settings) : QUICK_WAIT);
    if (step == RT_STEP_DONE) {
        return answered(link, op);
    }
    if (step != RT_STEP_FAILED && !link->is_sync) {
        if (link->is_upgrade) {
            ap_remove_input_filter_byhandle(link->c->input_filters, "reqtimeout");
        }
        return suspend(link);
    }
    link->end = RT_END_FAILED;
    link_end(link);
    return refuse_down(r, op);
}

/* --- life --- */

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    return hb_ap_need_module(s, ptemp, "halobuzz_realtime", "halobuzz");
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_status_t rv;

    (void)pconf;
    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    op_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    site_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_site);
    limit = APR_RETRIEVE_OPTIONAL_FN(hb_ap_limit);
    count_as = APR_RETRIEVE_OPTIONAL_FN(hb_ap_count_as);
    rv = rt_count_post_config(s);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, HBLOGNO(06502)
                     "no shared memory for the counts of sockets");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    rt_socket_path = site_of(s)->settings->realtime_socket;
    rt_limits_advise(s);
    return OK;
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    site = site_of(s);
    rt_count_child_init(site, site->settings);
    rt_is_stopping();           /* sees which generation this is, before there are threads */
    has_pollers = is_async && rt_pollers_start(pchild, s, site->settings) == APR_SUCCESS;
}

static void child_stopping(apr_pool_t *pchild, int is_graceful)
{
    (void)pchild;
    rt_pollers_stop(is_graceful);
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const base[] = { "mod_halobuzz.c", NULL };
    static const char *const proxies[] = { "mod_proxy.c", NULL };

    ap_register_provider(pool, HB_AP_PROGRAMS, program.role, "0", &program);
    rt_count_register(pool);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, base, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, base, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handle, NULL, proxies, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(suspended, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(halobuzz_realtime) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
