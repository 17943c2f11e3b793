/* SPDX-License-Identifier: Apache-2.0 */
/* The unit of work with what it carries: the first problem, codes, log lines. */
#include "hb_op.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_op.h"

static hb_op_t *make_op(void)
{
    return hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
}

START_TEST(the_first_problem_wins)
{
    hb_op_t *op = make_op();

    ck_assert_int_eq(op->problem.status, APR_SUCCESS);
    ck_assert_int_eq(hb_fail(op, HB_E_STREAM_ENDED, "stream %s", "x"), HB_E_STREAM_ENDED);
    ck_assert_int_eq(hb_fail_later(op, HB_E_LIMITED, 5, "later"), HB_E_LIMITED);
    ck_assert_int_eq(hb_fail_field(op, "a", "type", "no"), HB_E_INPUT_INVALID);
    ck_assert_int_eq(op->problem.status, HB_E_STREAM_ENDED);
    ck_assert_str_eq(op->problem.detail, "stream x");
    ck_assert_int_eq(op->problem.retry_after_sec, 0);
    ck_assert_int_eq(op->problem.n_fields, 0);
    hb_op_recover(op);
    ck_assert_int_eq(op->problem.status, APR_SUCCESS);
    hb_fail_later(op, HB_E_LIMITED, 5, NULL);
    ck_assert_int_eq(op->problem.retry_after_sec, 5);
    ck_assert_ptr_null(op->problem.detail);
}
END_TEST

START_TEST(fields_add_up_and_stop_somewhere)
{
    hb_op_t *op = make_op();
    char name[] = "field";
    int i;

    for (i = 0; i < 100; i++) {
        hb_fail_field(op, name, "range", "%d is too much", i);
    }
    name[0] = 'x';
    ck_assert_int_eq(op->problem.status, HB_E_INPUT_INVALID);
    ck_assert_int_eq(op->problem.n_fields, 32);
    ck_assert_str_eq(op->problem.fields[0].field, "field");
    ck_assert_str_eq(op->problem.fields[31].detail, "31 is too much");
}
END_TEST

START_TEST(request_ids_are_safe_to_show)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    const char *a = hb_op_make(&desk->site, hb_test_pool)->request_id;
    const char *b = hb_op_make(&desk->site, hb_test_pool)->request_id;

    ck_assert_str_ne(a, b);
    ck_assert_int_eq(strlen(a), 20);
    ck_assert_int_eq(strspn(a, "0123456789abcdefghijklmnopqrstuv"), 20);
    ck_assert_int_eq(hb_op_make(&desk->site, hb_test_pool)->now, desk->now);
}
END_TEST

START_TEST(every_code_has_a_row)
{
    const hb_error_row_t *row, *other;
    char text[80];

    for (row = hb_error_rows(); row->symbol != NULL; row++) {
        ck_assert_ptr_eq(hb_error_row(row->status), row);
        ck_assert_str_eq(hb_strerror(row->status, text, sizeof(text)), row->text);
        ck_assert_int_eq(row->code[strspn(row->code, "abcdefghijklmnopqrstuvwxyz_.0123456789")],
                         '\0');
        for (other = hb_error_rows(); other != row; other++) {
            ck_assert_str_ne(other->code, row->code);
        }
    }
    ck_assert_str_eq(hb_error_row(APR_ENOENT)->symbol, "INTERNAL");
    ck_assert_str_eq(hb_error_row(HB_E_AFTER_LAST)->symbol, "INTERNAL");
    ck_assert_str_eq(hb_error_row(HB_E_BEFORE_FIRST)->symbol, "INTERNAL");
    ck_assert_str_ne(hb_strerror(APR_ENOENT, text, sizeof(text)), "");
}
END_TEST

static char last_line[8192];
static const char *last_id;
static int n_lines;

static void keep(void *baton, hb_level_e level, apr_status_t status, const char *request_id,
                 const char *line)
{
    (void)baton;
    (void)level;
    (void)status;
    last_id = request_id;
    apr_cpystrn(last_line, line, sizeof(last_line));
    n_lines++;
}

START_TEST(lines_go_to_the_sink_of_the_op)
{
    hb_op_t *op = make_op();
    char *lengthy = apr_palloc(hb_test_pool, 20000);

    op->log.sink = keep;
    op->log.level = HB_LOG_INFO;
    hb_log(op, HB_LOG_DEBUG, 0, "not wanted");
    ck_assert_int_eq(n_lines, 0);
    hb_log(op, HB_LOG_INFO, 0, "a%sb\x1b[0m\x7f\xc2\x9b\xc2\xa9", "\r\nHB00001: forged");
    ck_assert_str_eq(last_line, "a  HB00001: forgedb [0m   \xc2\xa9");
    ck_assert_str_eq(last_id, op->request_id);
    hb_log_to(&op->log, HB_LOG_ERR, 0, "outside");
    ck_assert_str_eq(last_line, "outside");
    ck_assert_ptr_null(last_id);
    memset(lengthy, 'x', 19999);
    lengthy[19999] = '\0';
    hb_log(op, HB_LOG_ERR, 0, "%s", lengthy);
    ck_assert_int_lt(strlen(last_line), 4096);
    op->log.sink = NULL;
    hb_log(op, HB_LOG_ERR, 0, "nowhere");
    hb_log_to(NULL, HB_LOG_ERR, 0, "nowhere");
    ck_assert_int_eq(n_lines, 3);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        the_first_problem_wins, fields_add_up_and_stop_somewhere, request_ids_are_safe_to_show,
        every_code_has_a_row, lines_go_to_the_sink_of_the_op, NULL
    };
    return hb_test_main("hb_op", cases);
}
