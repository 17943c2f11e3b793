/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_test.h"
#include "hb_test_data.h"
#include "hb_test_pay.h"
#include "pay_private.h"

/* Merchant, secret and order id as a vector has them. */
static void read_row(hb_pay_event_t *event, const hb_json_t *row, const char *query)
{
    hb_test_desk_t *desk = hb_test_pay_desk();
    const char *text = hb_json_string(row, "json"), *why;
    hb_json_t *json;
    hb_pay_message_t message = { .body = query, .len = strlen(query), .is_return = 1 };

    ck_assert_int_eq(hb_json_parse(&json, &why, text, strlen(text), hb_test_pool), APR_SUCCESS);
    desk->settings.esewa_merchant = hb_json_string(json, "product_code");
    message.order_id = hb_json_string(json, "transaction_uuid");
    message.received_at = desk->now;
    ck_assert_int_eq(pay_esewa.read(event, hb_test_op_make(desk, hb_test_pool), &message),
                     APR_SUCCESS);
}

START_TEST(returns_are_judged_as_the_vectors_say)
{
    const hb_json_t *rows = hb_json_at(hb_test_vectors(), "esewa_epay_v2.response_callbacks");
    int i, n_taken = 0;

    ck_assert_int_eq(hb_json_length(rows), 15);
    for (i = 0; i < hb_json_length(rows); i++) {
        const hb_json_t *row = hb_json_item(rows, i);
        const char *data = hb_json_string(row, "data"), *expect = hb_json_string(row, "expect");
        const char *queries[] = {
            apr_pstrcat(hb_test_pool, "data=", data, NULL),     /* + becomes a blank on the way */
            apr_pstrcat(hb_test_pool, "data=", apr_pescape_urlencoded(hb_test_pool, data), NULL)
        };
        int j;

        for (j = 0; j < 2; j++) {
            hb_pay_event_t event;

            read_row(&event, row, queries[j]);
            if (strcmp(expect, "reject") == 0) {
                ck_assert_msg(event.verdict == HB_PAY_FORGED, "%s", hb_json_string(row, "name"));
                ck_assert_int_eq(event.fact.outcome, HB_PAY_UNKNOWN);
                continue;
            }
            ck_assert_msg(event.verdict == HB_PAY_HINT, "%s: %s", hb_json_string(row, "name"),
                          event.why);
            ck_assert_int_eq(event.fact.outcome,
                             strcmp(expect, "accept") == 0 ? HB_PAY_PAID : HB_PAY_OPEN);
            ck_assert_int_gt(event.fact.amount_minor, 0);
            n_taken++;
        }
    }
    ck_assert_int_gt(n_taken, 2 * 8);
}
END_TEST

START_TEST(forms_are_signed_as_the_vectors_say)
{
    const hb_json_t *rows = hb_json_at(hb_test_vectors(), "esewa_epay_v2.request_signatures");
    int i, n_made = 0;

    for (i = 0; i < hb_json_length(rows); i++) {
        const hb_json_t *row = hb_json_item(rows, i);
        const char *message = hb_json_string(row, "message");
        hb_test_desk_t *desk = hb_test_pay_desk();
        hb_order_t *order = hb_test_pay_order(desk, "npr");
        const char *const secrets[] = { hb_json_string(row, "secret"), NULL };
        hb_pay_keys_t keys = *desk->site.pay_keys;
        hb_pay_start_t start;
        char total[32], uuid[64], code[64];

        ck_assert_int_eq(sscanf(message, "total_amount=%31[^,],transaction_uuid=%63[^,],"
                                "product_code=%63s", total, uuid, code), 3);
        ck_assert(pay_major_read(&order->amount_minor, total));
        order->id = uuid;
        keys.esewa = secrets;
        desk->site.pay_keys = &keys;
        desk->settings.esewa_merchant = code;
        ck_assert_int_eq(pay_esewa.start(&start, hb_test_op_make(desk, hb_test_pool), order,
                                         HB_PAY_AS_PAGE), APR_SUCCESS);
        ck_assert_str_eq(hb_json_string(start.form, "signature"), hb_json_string(row, "signature"));
        n_made++;
    }
    ck_assert_int_eq(n_made, 4);
}
END_TEST

START_TEST(the_form_is_whole)
{
    static const char *const names[] = {
        "amount", "tax_amount", "product_service_charge", "product_delivery_charge",
        "total_amount", "transaction_uuid", "product_code", "success_url", "failure_url",
        "signed_field_names", "signature"
    };
    hb_test_desk_t *desk = hb_test_pay_desk();
    hb_order_t *order = hb_test_pay_order(desk, "npr");
    hb_pay_start_t start;
    apr_size_t i;

    ck_assert_int_eq(pay_esewa.start(&start, hb_test_op_make(desk, hb_test_pool), order,
                                     HB_PAY_AS_PAGE), APR_SUCCESS);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = hb_json_string(start.form, names[i]);

        ck_assert_msg(value != NULL && *value != '\0', "%s", names[i]);
    }
    ck_assert_str_eq(start.url, "https://rc-epay.esewa.com.np/api/epay/main/v2/form");
    ck_assert_str_eq(hb_json_string(start.form, "total_amount"), "12.5");
    ck_assert_str_eq(hb_json_string(start.form, "success_url"),
                     "https://halobuzz.test/api/v1/payments/esewa/return/" HB_TEST_ORDER);
    ck_assert_str_eq(start.attempt_id, HB_TEST_ORDER);
    desk->settings.payments_live = 1;
    desk->settings.esewa_merchant = "NP-ES-HALOBUZZ";
    ck_assert_int_eq(pay_esewa.start(&start, hb_test_op_make(desk, hb_test_pool), order,
                                     HB_PAY_AS_PAGE), APR_SUCCESS);
    ck_assert_str_eq(start.url, "https://epay.esewa.com.np/api/epay/main/v2/form");
    desk->settings.esewa_merchant = "EPAYTEST";
    ck_assert_ptr_nonnull(pay_esewa.missing(&desk->site));
}
END_TEST

static hb_pay_verdict_e verdict_of(const char *order_id, const char *query, int is_failure)
{
    hb_test_desk_t *desk = hb_test_pay_desk();
    hb_pay_message_t message = { .body = query, .len = strlen(query), .order_id = order_id,
                                 .is_return = order_id != NULL, .is_failure = is_failure,
                                 .received_at = desk->now };
    hb_pay_event_t event;

    ck_assert_int_eq(pay_esewa.read(&event, hb_test_op_make(desk, hb_test_pool), &message),
                     APR_SUCCESS);
    return event.verdict;
}

START_TEST(a_return_counts_for_its_own_order_only)
{
    hb_test_desk_t *desk = hb_test_pay_desk();
    hb_pay_message_t message;

    ck_assert_int_eq(pay_esewa.sample(&message, hb_test_op_make(desk, hb_test_pool),
                                      hb_test_pay_order(desk, "npr"), "return"), APR_SUCCESS);
    ck_assert_int_eq(verdict_of(HB_TEST_ORDER, message.body, 0), HB_PAY_HINT);
    ck_assert_int_eq(verdict_of("65530a0b0c0d0e0f10111214", message.body, 0), HB_PAY_FORGED);
}
END_TEST

START_TEST(what_is_no_return_is_malformed)
{
    static const char *const queries[] = {
        "", "data=", "data=%", "data=!!!!", "data=e30=", "data=W10=", "data=bnVsbA==", "date=e30="
    };
    char *huge = apr_palloc(hb_test_pool, 100000);
    apr_size_t i;

    for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        hb_pay_verdict_e verdict = verdict_of(HB_TEST_ORDER, queries[i], 0);

        ck_assert_msg(verdict == HB_PAY_MALFORMED
                      || (verdict == HB_PAY_FORGED && strcmp(queries[i], "data=e30=") == 0),
                      "%s: %d", queries[i], verdict);
    }
    memset(huge, 'A', 99999);
    huge[99999] = '\0';
    memcpy(huge, "data=", 5);
    ck_assert_int_eq(verdict_of(HB_TEST_ORDER, huge, 0), HB_PAY_MALFORMED);
    /* The failure location says nothing, and is a reason to ask all the same. */
    ck_assert_int_eq(verdict_of(HB_TEST_ORDER, "", 1), HB_PAY_HINT);
    ck_assert_int_eq(verdict_of(NULL, "{}", 0), HB_PAY_MALFORMED);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        returns_are_judged_as_the_vectors_say, forms_are_signed_as_the_vectors_say,
        the_form_is_whole, a_return_counts_for_its_own_order_only, what_is_no_return_is_malformed,
        NULL
    };

    return hb_test_main("pay_esewa", cases);
}
