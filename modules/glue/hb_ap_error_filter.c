/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that httpd makes by itself below our locations (a Require that fails, a body that
 * is too large, a method nobody handles) get the shape of all our refusals. The
 * administrator's ErrorDocument wins. What fails before the location is known (a request line
 * that is not HTTP) stays httpd's own page: nobody knows yet whom it was for.
 */
#include "mod_halobuzz.h"

#include <string.h>

#include <apr_buckets.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <mod_core.h>      /* ap_response_code_string */
#include <util_filter.h>

APLOG_USE_MODULE(halobuzz);

#define FILTER_NAME "HALOBUZZ_PROBLEM"

/* Which code of ours an error of httpd's is. */
static const struct {
    int http_status;
    apr_status_t status;
} core_made[] = {
    { HTTP_BAD_REQUEST,              HB_E_REQUEST_REFUSED },
    { HTTP_UNAUTHORIZED,             HB_E_AUTH_REQUIRED },
    { HTTP_FORBIDDEN,                HB_E_FORBIDDEN },
    { HTTP_NOT_FOUND,                HB_E_NOT_FOUND },
    { HTTP_METHOD_NOT_ALLOWED,       HB_E_METHOD },
    { HTTP_REQUEST_TIME_OUT,         HB_E_BODY_TIMEOUT },
    { HTTP_LENGTH_REQUIRED,          HB_E_REQUEST_REFUSED },
    { HTTP_REQUEST_ENTITY_TOO_LARGE, HB_E_BODY_TOO_LARGE },
    { HTTP_REQUEST_URI_TOO_LARGE,    HB_E_URI_INVALID },
    { HTTP_UNSUPPORTED_MEDIA_TYPE,   HB_E_BODY_TYPE },
    { HTTP_EXPECTATION_FAILED,       HB_E_REQUEST_REFUSED },
    { HTTP_TOO_MANY_REQUESTS,        HB_E_LIMITED },
    { HTTP_NOT_IMPLEMENTED,          HB_E_METHOD },
    { HTTP_BAD_GATEWAY,              HB_E_UPSTREAM },
    { HTTP_SERVICE_UNAVAILABLE,      HB_E_UNAVAILABLE },
    { HTTP_GATEWAY_TIME_OUT,         HB_E_UPSTREAM }
};

static apr_status_t status_of(int http_status, const hb_op_t *op)
{
    apr_size_t i;

    /* A module that said why before it returned the number is to be heard. */
    if (op->problem.status != APR_SUCCESS && hb_ap_status(op->problem.status) == http_status) {
        return op->problem.status;
    }
    for (i = 0; i < sizeof(core_made) / sizeof(core_made[0]); i++) {
        if (core_made[i].http_status == http_status) {
            return core_made[i].status;
        }
    }
    return http_status >= 500 ? HB_E_INTERNAL : HB_E_REQUEST_REFUSED;
}

/*
 * httpd's page goes, our document comes in front of the end of the answer; buckets without
 * data (flush, end of request) keep their places. For HEAD httpd sends the end only.
 */
static apr_status_t problem_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const char *text = f->ctx;
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    while (b != APR_BRIGADE_SENTINEL(bb)) {
        apr_bucket *next = APR_BUCKET_NEXT(b);

        if (APR_BUCKET_IS_EOS(b)) {
            APR_BUCKET_INSERT_BEFORE(b, apr_bucket_pool_create(text, strlen(text), r->pool,
                                                               f->c->bucket_alloc));
            ap_remove_output_filter(f);
            break;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            apr_bucket_delete(b);
        }
        b = next;
    }
    /* Set again after httpd set its own. */
    ap_set_content_type(r, "application/problem+json");
    apr_table_unset(r->headers_out, "Content-Length");
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    return ap_pass_brigade(f->next, bb);
}

static void insert_error_filter(request_rec *r)
{
    const char *admin_text;
    apr_status_t status;
    int http_status;
    hb_op_t *op;

    if (r->status < 400 || !hb_ap_is_ours(r) || hb_ap_state.site == NULL) {
        return;
    }
    op = hb_ap_op(r);
    apr_table_setn(r->err_headers_out, "X-Request-Id", op->request_id);
    admin_text = ap_response_code_string(r, ap_index_of_response(r->status));
    if (admin_text != NULL && admin_text[0] == '"') {
        return;                 /* a path comes here only when it failed itself */
    }
    /* httpd sends 500 for a number it does not know. */
    http_status = ap_index_of_response(r->status) == ap_index_of_response(500)
        ? HTTP_INTERNAL_SERVER_ERROR : r->status;
    status = status_of(http_status, op);
    if (http_status >= 500) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(02030) "%s %s was answered %d by another module",
               r->method, r->uri, r->status);
    }
    hb_ap_leave_body(r);
    hb_ap_problem_headers(r, r->err_headers_out, op, http_status, status);
    ap_add_output_filter(FILTER_NAME, (void *)hb_ap_problem_text(op, http_status, status),
                         r, r->connection);
}

void hb_ap_error_filter_register(void)
{
    ap_register_output_filter(FILTER_NAME, problem_filter, NULL, AP_FTYPE_RESOURCE);
    ap_hook_insert_error_filter(insert_error_filter, NULL, NULL, APR_HOOK_LAST);
}
