/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log as JSON, one object a line, valid whatever bytes a client sent. A line is
 * one write to a file opened for appending (or to a pipe, and then below PIPE_BUF), so lines of
 * different processes do not mix. No query strings, no tokens.
 */
#include "mod_halobuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <apr_portable.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

APLOG_USE_MODULE(halobuzz);

/* Of PIPE_BUF 4096, with room for the fixed members. */
#define VARIABLE_MAX_BYTES 3400

static int log_fd = -1;

static apr_status_t close_log(void *unused)
{
    (void)unused;
    if (log_fd >= 0) {
        close(log_fd);
        log_fd = -1;
    }
    return APR_SUCCESS;
}

int hb_ap_access_log_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const char *name = hb_ap_state.settings->access_log;

    (void)plog;
    (void)ptemp;
    log_fd = -1;
    if (*name == '\0' || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (*name == '|') {
        piped_log *pipe = ap_open_piped_log(pconf, name + 1);
        apr_os_file_t fd;

        if (pipe == NULL || apr_os_file_get(&fd, ap_piped_log_write_fd(pipe)) != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HBLOGNO(02041) "HaloBuzzAccessLog: the "
                         "program %s cannot be started; there is no access log", name + 1);
            return OK;
        }
        log_fd = fd;            /* closed by httpd */
        return OK;
    }
    /* Not through a link: the state directory is the run user's, and this is root. */
    log_fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (log_fd < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s, HBLOGNO(02040) "HaloBuzzAccessLog: %s "
                     "cannot be opened; there is no access log", name);
        return OK;
    }
    apr_pool_cleanup_register(pconf, NULL, close_log, apr_pool_cleanup_null);
    return OK;
}

/* A member with an optional value, cut to a length. */
static const char *member(apr_pool_t *pool, const char *name, const char *value,
                          apr_size_t max)
{
    apr_size_t len;

    if (value == NULL) {
        return apr_pstrcat(pool, ",\"", name, "\":null", NULL);
    }
    len = strlen(value);
    return apr_pstrcat(pool, ",\"", name, "\":",
                       hb_json_quote(pool, value, len < max ? len : max), NULL);
}

static const char *without_query(apr_pool_t *pool, const char *address)
{
    return address != NULL ? apr_pstrmemdup(pool, address, strcspn(address, "?#")) : NULL;
}

static const char *route_name(const hb_ap_request_t *request, apr_pool_t *pool)
{
    const hb_route_t *route;

    if (request->route <= 0 || request->route > hb_ap_state.n_routes) {
        return NULL;
    }
    route = hb_ap_state.routes[request->route - 1];
    return apr_pstrcat(pool, hb_ap_method_name(route->method), " ",
                       hb_ap_route_path(route->path, pool), NULL);
}

/* What a client can choose; scale cuts it down when its bytes need long escapes. */
static const char *variable_part(request_rec *r, const hb_ap_request_t *request, int scale)
{
    apr_pool_t *pool = r->pool;
    const char *user = request->op != NULL ? request->op->actor.user_id : NULL;

    return apr_pstrcat(pool,
                       member(pool, "user", user != NULL ? user : r->user, 64),
                       member(pool, "host", r->hostname, (apr_size_t)(128 / scale)),
                       member(pool, "method", r->method, 32),
                       member(pool, "path", r->uri, (apr_size_t)(1600 / scale)),
                       member(pool, "route", route_name(request, pool), 200),
                       member(pool, "agent", apr_table_get(r->headers_in, "User-Agent"),
                              (apr_size_t)(256 / scale)),
                       member(pool, "referer",
                              without_query(pool, apr_table_get(r->headers_in, "Referer")),
                              (apr_size_t)(400 / scale)), NULL);
}

void hb_ap_access_log_write(request_rec *r, const request_rec *last, apr_interval_time_t usec)
{
    const hb_ap_request_t *request = hb_ap_request(r);
    apr_pool_t *pool = r->pool;
    apr_time_exp_t at;
    const char *variable, *line;

    if (log_fd < 0) {
        return;
    }
    apr_time_exp_gmt(&at, r->request_time);
    variable = variable_part(r, request, 1);
    if (strlen(variable) > VARIABLE_MAX_BYTES) {
        variable = variable_part(r, request, 8);
    }
    line = apr_psprintf(pool, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\""
                        ",\"requestId\":\"%s\",\"address\":\"%s\"%s,\"status\":%d,\"bytes\":%"
                        APR_OFF_T_FMT ",\"usec\":%" APR_TIME_T_FMT "}\n",
                        at.tm_year + 1900, at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min,
                        at.tm_sec, at.tm_usec / 1000, hb_ap_id(r),
                        r->useragent_ip != NULL ? r->useragent_ip : "", variable,
                        last->status,
                        r->header_only ? (apr_off_t)0 : last->bytes_sent, usec);
    if (write(log_fd, line, strlen(line)) < 0) {
        return;                 /* a full disk must not fail requests, and would fill the
                                 * error log as well */
    }
}
