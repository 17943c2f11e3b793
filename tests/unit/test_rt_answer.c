/* SPDX-License-Identifier: Apache-2.0 */
/* What a call over a socket is answered (rt_answer.c). */
#include "hb_test.h"

#include <string.h>

#include "hb_error.h"
#include "hb_test_op.h"
#include "rt_answer.h"

START_TEST(each_error_has_a_status)
{
    const hb_error_row_t *row;

    for (row = hb_error_rows(); row->symbol != NULL; row++) {
        int status = rt_answer_status(row->status);

        ck_assert_msg(status >= 400 && status < 600, "%s", row->symbol);
    }
    ck_assert_int_eq(rt_answer_status(HB_E_STREAM_ENDED), 410);
    ck_assert_int_eq(rt_answer_status(HB_E_LIMITED), 429);
    ck_assert_int_eq(rt_answer_status(APR_EOF), 500);
}
END_TEST

START_TEST(success_carries_the_reply)
{
    hb_json_t *reply = hb_json_object_make(hb_test_pool);
    const hb_json_t *ack;

    hb_json_set_int(reply, "viewers", 3);
    ack = rt_answer_success(reply, hb_test_pool);
    ck_assert_str_eq(hb_json_text(ack, hb_test_pool, NULL), "{\"ok\":true,\"viewers\":3}");
    ck_assert_str_eq(hb_json_text(rt_answer_success(NULL, hb_test_pool), hb_test_pool, NULL),
                     "{\"ok\":true}");
}
END_TEST

START_TEST(failure_tells_the_first_problem)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const hb_json_t *ack, *error;

    hb_fail_later(op, HB_E_LIMITED, 7, "wait %d seconds", 7);
    hb_fail(op, HB_E_INTERNAL, "later");
    ack = rt_answer_failure(op, HB_E_INTERNAL);
    error = hb_json_get(ack, "error");
    ck_assert_int_eq(hb_json_bool(ack, "ok", 1), 0);
    ck_assert_str_eq(hb_json_string(error, "code"), "rate.limited");
    ck_assert_int_eq(hb_json_int(error, "status", 0), 429);
    ck_assert_str_eq(hb_json_string(error, "detail"), "wait 7 seconds");
    ck_assert_int_eq(hb_json_int(error, "retryAfter", 0), 7);
    ck_assert_str_eq(hb_json_string(error, "requestId"), op->request_id);
}
END_TEST

START_TEST(failure_names_each_field)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const hb_json_t *errors;
    apr_status_t rv;

    hb_fail_field(op, "text", "length", "at most %d", 500);
    rv = hb_fail_field(op, "streamId", "required", "which room");
    errors = hb_json_at(rt_answer_failure(op, rv), "error.errors");
    ck_assert_int_eq(hb_json_length(errors), 2);
    ck_assert_str_eq(hb_json_string(hb_json_item(errors, 0), "field"), "text");
    ck_assert_str_eq(hb_json_string(hb_json_item(errors, 1), "code"), "required");
}
END_TEST

START_TEST(a_problem_is_that_of_http)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const hb_json_t *problem;

    desk->settings.public_url = "https://live.example/";
    problem = rt_answer_problem(op, hb_fail_later(op, HB_E_ROOM_KICKED, 7, "later"));
    ck_assert_str_eq(hb_json_string(problem, "type"),
                     "https://live.example/docs/errors#room.kicked");
    ck_assert_str_eq(hb_json_string(problem, "title"), hb_error_row(HB_E_ROOM_KICKED)->text);
    ck_assert_str_eq(hb_json_string(problem, "detail"), "later");
    ck_assert_int_eq(hb_json_int(problem, "status", 0), 403);
    ck_assert_str_eq(hb_json_string(problem, "requestId"), op->request_id);
    ck_assert(!hb_json_has(problem, "retryAfter"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        each_error_has_a_status, success_carries_the_reply, failure_tells_the_first_problem,
        failure_names_each_field, a_problem_is_that_of_http, NULL
    };

    return hb_test_main("rt_answer", cases);
}
