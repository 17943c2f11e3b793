/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acks. The numbers are those of HTTP, because client developers know them; this program
 * has no httpd header to take them from.
 */
#include "rt_answer.h"

static const int status_of_class[] = {
    [HB_CLASS_BAD_INPUT]       = 400,
    [HB_CLASS_INVALID]         = 422,
    [HB_CLASS_UNAUTHENTICATED] = 401,
    [HB_CLASS_FORBIDDEN]       = 403,
    [HB_CLASS_NOT_FOUND]       = 404,
    [HB_CLASS_METHOD]          = 405,
    [HB_CLASS_TIMEOUT]         = 408,
    [HB_CLASS_CONFLICT]        = 409,
    [HB_CLASS_GONE]            = 410,
    [HB_CLASS_TOO_LARGE]       = 413,
    [HB_CLASS_UNSUPPORTED]     = 415,
    [HB_CLASS_LIMITED]         = 429,
    [HB_CLASS_INTERNAL]        = 500,
    [HB_CLASS_UPSTREAM]        = 502,
    [HB_CLASS_UNAVAILABLE]     = 503
};

int rt_answer_status(apr_status_t status)
{
    return status_of_class[hb_error_row(status)->class];
}

static int copy_member(void *baton, const char *key, hb_json_t *value)
{
    hb_json_set(baton, key, value);
    return 0;
}

hb_json_t *rt_answer_success(const hb_json_t *reply, apr_pool_t *pool)
{
    hb_json_t *ack = hb_json_object_make(pool);

    hb_json_set_bool(ack, "ok", 1);
    if (reply != NULL) {
        hb_json_each(reply, copy_member, ack);
    }
    return ack;
}

hb_json_t *rt_answer_error(apr_status_t status, const char *detail, apr_pool_t *pool)
{
    const hb_error_row_t *row = hb_error_row(status);
    hb_json_t *error = hb_json_object_make(pool);

    hb_json_set_string(error, "code", row->code);
    hb_json_set_int(error, "status", status_of_class[row->class]);
    hb_json_set_string(error, "detail", detail != NULL ? detail : row->text);
    return error;
}

static void add_fields(hb_json_t *error, const hb_op_t *op)
{
    hb_json_t *errors = hb_json_array_make(op->pool);
    int i;

    for (i = 0; i < op->problem.n_fields; i++) {
        const hb_field_error_t *field = &op->problem.fields[i];
        hb_json_t *item = hb_json_object_make(op->pool);

        hb_json_set_string(item, "field", field->field);
        hb_json_set_string(item, "code", field->code);
        hb_json_set_string(item, "detail", field->detail);
        hb_json_push(errors, item);
    }
    hb_json_set(error, "errors", errors);
}

hb_json_t *rt_answer_failure(hb_op_t *op, apr_status_t status)
{
    hb_json_t *ack = hb_json_object_make(op->pool);
    hb_json_t *error;

    if (op->problem.status != APR_SUCCESS) {
        status = op->problem.status;    /* the first problem is what went wrong */
    }
    error = rt_answer_error(status, op->problem.detail, op->pool);
    hb_json_set_string(error, "requestId", op->request_id);
    if (op->problem.retry_after_sec > 0) {
        hb_json_set_int(error, "retryAfter", op->problem.retry_after_sec);
    }
    if (op->problem.n_fields > 0) {
        add_fields(error, op);
    }
    hb_json_set_bool(ack, "ok", 0);
    hb_json_set(ack, "error", error);
    return ack;
}

hb_json_t *rt_answer_problem(hb_op_t *op, apr_status_t status)
{
    hb_json_t *error = hb_json_get(rt_answer_failure(op, status), "error");
    const hb_error_row_t *row = hb_error_row(op->problem.status != APR_SUCCESS
                                             ? op->problem.status : status);
    hb_json_t *problem = hb_json_object_make(op->pool);

    hb_json_set_string(problem, "type", hb_problem_type(op, row->code));
    hb_json_set_string(problem, "title", row->text);
    hb_json_each(error, copy_member, problem);
    hb_json_remove(problem, "retryAfter");      /* HTTP has a header for it */
    return problem;
}
