/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sidecar is asked, and what it answered. It gets the request as it came, without
 * what concerns only the client's connection, and with what it could not know: X-HaloBuzz-Address,
 * -Request-Id and -Scheme. It believes those, so a client's own never get through.
 */
#include "mod_rt.h"

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define OURS "X-HaloBuzz-"

/* Of one connection; never passed on, in neither direction. */
static const char *const hop_by_hop[] = {
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
    "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", NULL
};

static int is_hop_by_hop(const char *name)
{
    int i;

    for (i = 0; hop_by_hop[i] != NULL; i++) {
        if (ap_cstr_casecmp(name, hop_by_hop[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static void put(apr_array_header_t *parts, const char *name, const char *value)
{
    struct iovec *part = apr_array_push(parts);

    part->iov_base = (char *)name;
    part->iov_len = strlen(name);
    part = apr_array_push(parts);
    part->iov_base = ": ";
    part->iov_len = 2;
    part = apr_array_push(parts);
    part->iov_base = (char *)value;
    part->iov_len = strlen(value);
    part = apr_array_push(parts);
    part->iov_base = "\r\n";
    part->iov_len = 2;
}

/* A header of the client that goes on. */
static int put_header(void *baton, const char *name, const char *value)
{
    if (!is_hop_by_hop(name) && ap_cstr_casecmpn(name, OURS, strlen(OURS)) != 0) {
        put(baton, name, value);
    }
    return 1;
}

/* As the client wrote it; of an absolute address, the part behind the host. */
static const char *target(const request_rec *r)
{
    if (r->unparsed_uri[0] == '/') {
        return r->unparsed_uri;
    }
    return apr_pstrcat(r->pool, ap_escape_uri(r->pool, r->uri), r->args != NULL ? "?" : "",
                       r->args != NULL ? r->args : "", NULL);
}

void rt_request_make(rt_link_t *link, const char *request_id, const char *body,
                     apr_size_t body_len)
{
    request_rec *r = link->r;
    apr_array_header_t *parts = apr_array_make(r->pool, 96, sizeof(struct iovec));
    const char *line = apr_pstrcat(r->pool, r->method, " ", target(r), " HTTP/1.1\r\n", NULL);
    struct iovec *part = apr_array_push(parts);

    part->iov_base = (char *)line;
    part->iov_len = strlen(line);
    apr_table_do(put_header, parts, r->headers_in, NULL);
    put(parts, OURS "Address", r->useragent_ip);
    put(parts, OURS "Request-Id", request_id);
    put(parts, OURS "Scheme", ap_http_scheme(r));
    if (link->is_upgrade) {
        put(parts, "Upgrade", "websocket");
        put(parts, "Connection", "Upgrade");
    }
    else {
        put(parts, "Connection", "close");
    }
    if (body != NULL) {
        put(parts, "Content-Length", apr_psprintf(r->pool, "%" APR_SIZE_T_FMT, body_len));
    }
    part = apr_array_push(parts);
    part->iov_base = "\r\n";
    part->iov_len = 2;
    if (body_len > 0) {
        part = apr_array_push(parts);
        part->iov_base = (char *)body;
        part->iov_len = body_len;
    }
    link->send = apr_pstrcatv(r->pool, (struct iovec *)parts->elts, (apr_size_t)parts->nelts,
                              &link->send_len);
}

/* --- answers --- */

int rt_answer_is_upgrade(const rt_link_t *link)
{
    return link->is_upgrade && link->head_end >= 12
        && memcmp(link->head, "HTTP/1.1 101", 12) == 0;
}

/* One line of the head, without its end; NULL behind the last. */
static char *next_line(char **at)
{
    char *line = *at, *end = strstr(line, "\r\n");

    if (end == NULL || end == line) {
        return NULL;
    }
    *end = '\0';
    *at = end + 2;
    return line;
}

static int take_header(rt_link_t *link, char *line)
{
    request_rec *r = link->r;
    char *value = strchr(line, ':');

    if (value == NULL || value == line) {
        return 0;
    }
    *value++ = '\0';
    value += strspn(value, " \t");
    if (ap_cstr_casecmp(line, "Content-Length") == 0) {
        char *end;

        link->body_left = apr_strtoi64(value, &end, 10);
        if (end == value || *end != '\0' || link->body_left < 0) {
            return 0;
        }
        ap_set_content_length(r, link->body_left);
    }
    else if (ap_cstr_casecmp(line, "Transfer-Encoding") == 0) {
        return 0;               /* not spoken over this socket */
    }
    else if (ap_cstr_casecmp(line, "Content-Type") == 0) {
        ap_set_content_type(r, apr_pstrdup(r->pool, value));
    }
    else if (!is_hop_by_hop(line)) {
        apr_table_add(r->headers_out, line, value);
    }
    return 1;
}

int rt_answer_read(rt_link_t *link)
{
    request_rec *r = link->r;
    char *head = apr_pstrmemdup(r->pool, link->head, link->head_end);
    char *line = next_line(&head);
    int status;

    if (line == NULL || strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12
        || memchr(link->head, '\0', link->head_end) != NULL) {
        return 0;
    }
    status = atoi(line + 9);
    if (status < 200 || status > 599) {
        return 0;
    }
    link->body_left = -1;
    while ((line = next_line(&head)) != NULL) {
        if (!take_header(link, line)) {
            return 0;
        }
    }
    r->status = status;
    r->status_line = NULL;
    if (status == HTTP_NO_CONTENT || status == HTTP_NOT_MODIFIED || r->header_only) {
        link->body_left = 0;
    }
    return 1;
}
