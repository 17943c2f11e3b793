/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_audit.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_schema.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_site.h"

#define USER "64b000000000000000000001"

/* An entry needs records and nothing else of a site. */
static void open_store(hb_test_site_t *ts)
{
    ck_assert_int_eq(hb_store_open(&ts->site->store, ts->site,
                                   apr_pstrcat(ts->pool, "sqlite:", ts->dir, "/audit.db", NULL),
                                   ts->pool), APR_SUCCESS);
}

static hb_json_t *only_entry(hb_test_site_t *ts)
{
    hb_query_t all = { .in = HB_C_AUDIT };
    hb_page_t page;

    ck_assert_int_eq(hb_store_find(&page, hb_test_site_op(ts), &all), APR_SUCCESS);
    ck_assert_int_eq(page.n_items, 1);
    return page.items[0];
}

START_TEST(an_entry_says_who_did_what_from_where)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_op_t *op;
    hb_json_t *details = hb_json_object_make(hb_test_pool), *entry;

    open_store(ts);
    op = hb_test_site_op(ts);
    op->actor.user_id = USER;
    op->address = "192.0.2.7";
    op->user_agent = "curl/8";
    hb_json_set_string(details, "from", "user");
    ck_assert_int_eq(hb_audit_add(op, NULL, "user.role", "user:x", 1, details), APR_SUCCESS);
    entry = only_entry(ts);
    ck_assert_int_eq(hb_json_int(entry, "timestamp", 0), apr_time_as_msec(ts->now));
    ck_assert_str_eq(hb_json_string(entry, "userId"), USER);
    ck_assert_str_eq(hb_json_string(entry, "action"), "user.role");
    ck_assert_str_eq(hb_json_string(entry, "resource"), "user:x");
    ck_assert_str_eq(hb_json_string(entry, "ipAddress"), "192.0.2.7");
    ck_assert_str_eq(hb_json_string(entry, "userAgent"), "curl/8");
    ck_assert_str_eq(hb_json_string(entry, "requestId"), op->request_id);
    ck_assert_str_eq(hb_json_string(entry, "result"), "success");
    ck_assert_str_eq(hb_json_string(hb_json_get(entry, "details"), "from"), "user");
}
END_TEST

START_TEST(a_stranger_and_a_named_user_are_told_apart)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_json_t *entry;
    hb_query_t all = { .in = HB_C_AUDIT };
    hb_page_t page;

    open_store(ts);
    ck_assert_int_eq(hb_audit_add(hb_test_site_op(ts), NULL, "auth.login", "", 0, NULL), 0);
    entry = only_entry(ts);
    ck_assert(hb_json_has(entry, "userId"));
    ck_assert_int_eq(hb_json_type(hb_json_get(entry, "userId")), HB_JSON_NULL);
    ck_assert_str_eq(hb_json_string(entry, "result"), "failure");
    ck_assert(!hb_json_has(entry, "details"));
    ck_assert(!hb_json_has(entry, "ipAddress"));
    ck_assert_int_eq(hb_audit_add(hb_test_site_op(ts), USER, "auth.login", "", 0, NULL), 0);
    ck_assert_int_eq(hb_store_find(&page, hb_test_site_op(ts), &all), APR_SUCCESS);
    ck_assert_int_eq(page.n_items, 2);
    ck_assert_str_eq(hb_json_string(page.items[1], "userId"), USER);
}
END_TEST

START_TEST(what_clients_call_themselves_is_cut_and_cleaned)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    char *agent = apr_pcalloc(hb_test_pool, 2001);
    const char *kept;
    hb_op_t *op;

    open_store(ts);
    op = hb_test_site_op(ts);
    memset(agent, 'x', 2000);
    /* a lone continuation byte, a line break, a cut character, whole ones at the limit */
    memcpy(agent, "\x80\n\xe0\xa4" "a", 5);
    memcpy(agent + 299, "\xc3\xa9\xc3\xa9", 4);
    op->user_agent = agent;
    ck_assert_int_eq(hb_audit_add(op, NULL, "a", "r", 1, NULL), APR_SUCCESS);
    kept = hb_json_string(only_entry(ts), "userAgent");
    ck_assert_int_eq(strncmp(kept, "????ax", 6), 0);
    ck_assert_uint_eq(strlen(kept), 301);
    ck_assert_str_eq(kept + 299, "\xc3\xa9");
}
END_TEST

static apr_status_t add_and_fail(hb_op_t *op, void *baton)
{
    apr_status_t rv = hb_audit_add(op, NULL, "a", "r", 1, NULL);

    return rv != APR_SUCCESS ? rv : *(apr_status_t *)baton;
}

START_TEST(an_entry_stands_or_falls_with_its_transaction)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    hb_query_t all = { .in = HB_C_AUDIT };
    apr_status_t outcome = HB_E_FORBIDDEN;
    apr_int64_t n;

    open_store(ts);
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), add_and_fail, &outcome),
                     HB_E_FORBIDDEN);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &all), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    outcome = APR_SUCCESS;
    ck_assert_int_eq(hb_store_transact(hb_test_site_op(ts), add_and_fail, &outcome), APR_SUCCESS);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &all), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        an_entry_says_who_did_what_from_where, a_stranger_and_a_named_user_are_told_apart,
        what_clients_call_themselves_is_cut_and_cleaned,
        an_entry_stands_or_falls_with_its_transaction, NULL
    };
    return hb_test_main("hb_audit", cases);
}
