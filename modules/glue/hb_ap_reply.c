/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: text, JSON, and the one error shape of the platform (RFC 9457). The table
 * below is the only place where a problem class and an HTTP status meet. Errors that httpd
 * makes by itself get the same shape in hb_ap_error_filter.c.
 */
#include "hb_ap.h"

#include <string.h>

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>

static const int status_of_class[] = {
    [HB_CLASS_BAD_INPUT]       = HTTP_BAD_REQUEST,
    [HB_CLASS_INVALID]         = HTTP_UNPROCESSABLE_ENTITY,
    [HB_CLASS_UNAUTHENTICATED] = HTTP_UNAUTHORIZED,
    [HB_CLASS_FORBIDDEN]       = HTTP_FORBIDDEN,
    [HB_CLASS_NOT_FOUND]       = HTTP_NOT_FOUND,
    [HB_CLASS_METHOD]          = HTTP_METHOD_NOT_ALLOWED,
    [HB_CLASS_TIMEOUT]         = HTTP_REQUEST_TIME_OUT,
    [HB_CLASS_CONFLICT]        = HTTP_CONFLICT,
    [HB_CLASS_GONE]            = HTTP_GONE,
    [HB_CLASS_TOO_LARGE]       = HTTP_REQUEST_ENTITY_TOO_LARGE,
    [HB_CLASS_UNSUPPORTED]     = HTTP_UNSUPPORTED_MEDIA_TYPE,
    [HB_CLASS_LIMITED]         = HTTP_TOO_MANY_REQUESTS,
    [HB_CLASS_INTERNAL]        = HTTP_INTERNAL_SERVER_ERROR,
    [HB_CLASS_UPSTREAM]        = HTTP_BAD_GATEWAY,
    [HB_CLASS_UNAVAILABLE]     = HTTP_SERVICE_UNAVAILABLE
};

int hb_ap_status(apr_status_t status)
{
    return status_of_class[hb_error_row(status)->class];
}

/* One bucket that lives as long as the request, straight down the filters: ap_rwrite
 * would copy the text into a buffer of its own first. */
static int send_text(request_rec *r, const char *text, apr_size_t len)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    if (r->eos_sent) {
        return OK;      /* the filter that met a malformed chunk has answered already */
    }
    if (len > 0) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(text, len, r->pool, alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    /* A client that went away is no error of ours; the core logs it. */
    ap_pass_brigade(r->output_filters, bb);
    return OK;
}

int hb_ap_reply_text(request_rec *r, int http_status, const char *type, const char *text,
                     apr_size_t len)
{
    r->status = http_status;
    ap_set_content_type(r, type);
    if (apr_table_get(r->headers_out, "Cache-Control") == NULL) {
        apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    }
    return send_text(r, text, len);
}

int hb_ap_reply_json(request_rec *r, int http_status, const hb_json_t *json)
{
    apr_size_t len;
    const char *text = hb_json_text(json, r->pool, &len);

    return hb_ap_reply_text(r, http_status, "application/json", text, len);
}

/* --- problems --- */

static const char *quoted(apr_pool_t *pool, const char *text)
{
    return hb_json_quote(pool, text, strlen(text));
}

static const char *field_errors(const hb_op_t *op)
{
    const hb_problem_t *problem = &op->problem;
    const char *text = "";
    int i;

    if (problem->n_fields == 0) {
        return "";
    }
    for (i = 0; i < problem->n_fields; i++) {
        const hb_field_error_t *field = &problem->fields[i];

        text = apr_pstrcat(op->pool, text, i > 0 ? "," : "",
                           "{\"field\":", quoted(op->pool, field->field),
                           ",\"code\":", quoted(op->pool, field->code),
                           ",\"detail\":", quoted(op->pool, field->detail), "}", NULL);
    }
    return apr_pstrcat(op->pool, ",\"errors\":[", text, "]", NULL);
}

const char *hb_ap_problem_text(const hb_op_t *op, int http_status, apr_status_t status)
{
    const hb_error_row_t *row = hb_error_row(status);
    const char *detail = "";

    if (op->problem.status == status && op->problem.detail != NULL) {
        detail = apr_pstrcat(op->pool, ",\"detail\":",
                             quoted(op->pool, op->problem.detail), NULL);
    }
    return apr_pstrcat(op->pool, "{\"type\":", quoted(op->pool, hb_problem_type(op, row->code)),
                       ",\"title\":", quoted(op->pool, row->text),
                       ",\"status\":", apr_itoa(op->pool, http_status),
                       ",\"code\":\"", row->code, "\"", detail,
                       ",\"requestId\":", quoted(op->pool, op->request_id),
                       op->problem.status == status ? field_errors(op) : "", "}", NULL);
}

void hb_ap_problem_headers(request_rec *r, apr_table_t *headers, const hb_op_t *op,
                           int http_status, apr_status_t status)
{
    apr_table_setn(headers, "Cache-Control", "no-store");
    if (http_status == HTTP_UNAUTHORIZED
        && apr_table_get(headers, "WWW-Authenticate") == NULL) {
        int has_token = status == HB_E_TOKEN_INVALID || status == HB_E_TOKEN_EXPIRED
            || status == HB_E_TOKEN_REVOKED;

        apr_table_setn(headers, "WWW-Authenticate", has_token
                       ? "Bearer realm=\"halobuzz\", error=\"invalid_token\""
                       : "Bearer realm=\"halobuzz\"");
    }
    if (op->problem.status == status && op->problem.retry_after_sec > 0
        && apr_table_get(headers, "Retry-After") == NULL) {
        apr_table_setn(headers, "Retry-After",
                       apr_itoa(r->pool, op->problem.retry_after_sec));
    }
}

int hb_ap_reply_problem(request_rec *r, hb_op_t *op, apr_status_t status)
{
    int http_status;
    const char *text;

    if (op->problem.status != APR_SUCCESS) {
        status = op->problem.status;
    }
    http_status = hb_ap_status(status);
    if (http_status == HTTP_INTERNAL_SERVER_ERROR || http_status == HTTP_BAD_GATEWAY) {
        hb_log(op, HB_LOG_ERR, status, HBLOGNO(02001) "%s %s failed: %s", r->method, r->uri,
               hb_error_row(status)->code);
    } else if (http_status == HTTP_SERVICE_UNAVAILABLE && status != HB_E_MAINTENANCE) {
        hb_log(op, HB_LOG_WARNING, status, HBLOGNO(02002) "%s %s was answered 503: %s",
               r->method, r->uri, hb_error_row(status)->code);
    }
    hb_ap_leave_body(r);
    hb_ap_problem_headers(r, r->err_headers_out, op, http_status, status);
    apr_table_unset(r->headers_out, "Cache-Control");
    r->status = http_status;
    ap_set_content_type(r, "application/problem+json");
    text = hb_ap_problem_text(op, http_status, status);
    return send_text(r, text, strlen(text));
}
