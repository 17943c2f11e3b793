/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are repeated: what is the same call, and what is not. */
#include "hb_idem.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_site.h"

static hb_test_site_t *ts;
static int n_done;

static apr_status_t work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    if (baton != NULL) {
        return hb_fail(op, HB_E_WALLET_SHORT, NULL);
    }
    *answer = hb_json_object_make(op->pool);
    hb_json_set_int(*answer, "n", ++n_done);
    return APR_SUCCESS;
}

typedef struct try_t {
    const char *label;
    const char *user, *action, *key, *body;
    int fails;
    apr_status_t rv;
    int n;                      /* of the answer */
    int is_replayed;
} try_t;

static const try_t tries[] = {
    { "first", "u1", "gift", "k", "{\"a\":1}", 0, APR_SUCCESS, 1, 0 },
    { "again", "u1", "gift", "k", "{\"a\":1}", 0, APR_SUCCESS, 1, 1 },
    { "another body", "u1", "gift", "k", "{\"a\":2}", 0, HB_E_IDEM_MISMATCH, 0, 0 },
    { "no body", "u1", "gift", "k", NULL, 0, HB_E_IDEM_MISMATCH, 0, 0 },
    { "another user", "u2", "gift", "k", "{\"a\":1}", 0, APR_SUCCESS, 2, 0 },
    { "another action", "u1", "og", "k", "{\"a\":1}", 0, APR_SUCCESS, 3, 0 },
    { "another key", "u1", "gift", "K", "{\"a\":1}", 0, APR_SUCCESS, 4, 0 },
    { "parts do not run together", "u1g", "ift", "k", "{\"a\":1}", 0, APR_SUCCESS, 5, 0 },
    { "what failed", "u1", "gift", "f", "{\"a\":1}", 1, HB_E_WALLET_SHORT, 0, 0 },
    { "may be tried again", "u1", "gift", "f", "{\"a\":1}", 0, APR_SUCCESS, 6, 0 },
    { "without a key", "u1", "gift", NULL, "{\"a\":1}", 0, APR_SUCCESS, 7, 0 },
    { "without a key, again", "u1", "gift", NULL, "{\"a\":1}", 0, APR_SUCCESS, 8, 0 },
};

START_TEST(the_first_answer_comes_again)
{
    apr_size_t i;

    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        const try_t *t = &tries[i];
        hb_op_t *op = hb_test_site_op(ts);
        hb_json_t *answer, *body = NULL;
        apr_status_t rv;

        op->actor.user_id = t->user;
        op->idem_key = t->key;
        if (t->body != NULL) {
            body = hb_json_parse_own(t->body, strlen(t->body), op->pool);
        }
        rv = hb_idem_transact(&answer, op, t->action, body, work, t->fails ? &n_done : NULL);
        ck_assert_msg(rv == t->rv, "%s: %s", t->label, hb_error_row(rv)->code);
        ck_assert_msg(op->is_replayed == t->is_replayed, "%s", t->label);
        if (rv == APR_SUCCESS) {
            ck_assert_msg(hb_json_int(answer, "n", 0) == t->n, "%s", t->label);
        }
    }
}
END_TEST

START_TEST(an_event_has_one_name)
{
    hb_op_t *op;

    ts = hb_test_site_make(hb_test_pool);
    op = hb_test_site_op(ts);
    ck_assert_ptr_null(hb_idem_event(op, "gift"));
    op->idem_key = "k";
    ck_assert_uint_eq(strlen(hb_idem_event(op, "gift")), 5 + 64);
    ck_assert_str_eq(hb_idem_event(op, "gift"), hb_idem_event(op, "gift"));
    ck_assert_str_ne(hb_idem_event(op, "gift"), hb_idem_event(op, "og"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { the_first_answer_comes_again, an_event_has_one_name, NULL };

    return hb_test_main("hb_idem", cases);
}
