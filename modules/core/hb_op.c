/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit of work: how it starts and how it keeps the first problem. What an op is
 * made from is hb_site.c's.
 */
#include "hb_op.h"

#include <string.h>

#include <apr_strings.h>

/* More fields than this in one answer help nobody. */
#define FIELD_ERRORS_MAX 32

hb_op_t *hb_op_make_as(hb_site_t *site, apr_pool_t *pool, const char *request_id)
{
    hb_op_t *op = apr_pcalloc(pool, sizeof(*op));

    op->pool = pool;
    op->site = site;
    op->log = site->log;
    op->now = site->clock(site->baton);
    op->request_id = request_id;
    return op;
}

hb_op_t *hb_op_make(hb_site_t *site, apr_pool_t *pool)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";
    unsigned char bytes[20];
    char *id = apr_palloc(pool, sizeof(bytes) + 1);
    hb_op_t *op = hb_op_make_as(site, pool, id);
    apr_size_t i;

    if (site->random(site->baton, bytes, sizeof(bytes)) != APR_SUCCESS) {
        /* An id need not be secret: the clock will do for telling requests apart. */
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, &op->now, sizeof(op->now));
        memcpy(bytes + sizeof(op->now), &op, sizeof(op));
    }
    for (i = 0; i < sizeof(bytes); i++) {
        id[i] = alphabet[bytes[i] & 31];
    }
    id[i] = '\0';
    return op;
}

static apr_status_t note(hb_op_t *op, apr_status_t status, int retry_after_sec,
                         const char *fmt, va_list args)
{
    if (op->problem.status == APR_SUCCESS) {
        op->problem.status = status;
        op->problem.retry_after_sec = retry_after_sec;
        op->problem.detail = fmt != NULL ? apr_pvsprintf(op->pool, fmt, args) : NULL;
    }
    return status;
}

apr_status_t hb_fail(hb_op_t *op, apr_status_t status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    note(op, status, 0, fmt, args);
    va_end(args);
    return status;
}

apr_status_t hb_fail_later(hb_op_t *op, apr_status_t status, int retry_after_sec,
                           const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    note(op, status, retry_after_sec, fmt, args);
    va_end(args);
    return status;
}

apr_status_t hb_fail_field(hb_op_t *op, const char *field, const char *code,
                           const char *fmt, ...)
{
    hb_problem_t *problem = &op->problem;
    hb_field_error_t *fields;
    va_list args;

    if (problem->status != APR_SUCCESS && problem->status != HB_E_INPUT_INVALID) {
        return HB_E_INPUT_INVALID;
    }
    if (problem->n_fields == FIELD_ERRORS_MAX) {
        return HB_E_INPUT_INVALID;
    }
    if (problem->fields == NULL) {
        problem->status = HB_E_INPUT_INVALID;
        problem->fields = apr_pcalloc(op->pool, FIELD_ERRORS_MAX * sizeof(*fields));
    }
    fields = (hb_field_error_t *)problem->fields;
    fields[problem->n_fields].field = apr_pstrdup(op->pool, field);
    fields[problem->n_fields].code = code;
    va_start(args, fmt);
    fields[problem->n_fields].detail = apr_pvsprintf(op->pool, fmt, args);
    va_end(args);
    problem->n_fields++;
    return HB_E_INPUT_INVALID;
}

void hb_op_recover(hb_op_t *op)
{
    memset(&op->problem, 0, sizeof(op->problem));
}

/* Documents are below the public address; a slash at its end is not doubled. */
const char *hb_problem_type(const hb_op_t *op, const char *code)
{
    const char *url = op->site->settings->public_url;
    apr_size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return apr_psprintf(op->pool, "%.*s/docs/errors#%s", (int)len, url, code);
}
