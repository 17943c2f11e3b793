/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of messages: kept when, acted on once, bounded when refused, acted on again. The
 * sandbox signs them; a provider of this file's own stands for one that does not answer.
 */
#include "hb_inbox.h"

#include <string.h>

#include <apr_atomic.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_ledger.h"
#include "hb_order.h"
#include "hb_sandbox.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_coins.h"
#include "hb_test_site.h"
#include "hb_time.h"

#define ANNA "bbbbbbbbbbbbbbbbbbbbbbb1"
#define COINS 500

static hb_test_site_t *ts;
static const hb_pay_provider_t *sandbox;

static hb_op_t *op_make(void)
{
    return hb_test_site_op(ts);
}

/* An open order over NPR 10 for 500 coins, as buying leaves it. */
static hb_order_t *add_order(const char *provider)
{
    hb_op_t *op = op_make();
    hb_json_t *doc = hb_json_object_make(op->pool);
    hb_order_t *order = apr_pcalloc(op->pool, sizeof(*order));

    hb_json_set_string(doc, "userId", ANNA);
    hb_json_set_string(doc, "provider", provider);
    hb_json_set_string(doc, "kind", "coins");
    hb_json_set_string(doc, "product", "npr_10");
    hb_json_set_string(doc, "title", "500 coins");
    hb_json_set_int(doc, "coins", COINS);
    hb_json_set_int(doc, "bonus", 0);
    hb_json_set_int(doc, "ogTier", 0);
    hb_json_set_int(doc, "amountMinor", 1000);
    hb_json_set_string(doc, "currency", "npr");
    hb_json_set_bool(doc, "isLive", 0);
    hb_json_set_string(doc, "state", "open");
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(ts->now));
    hb_json_set_int(doc, "expiresAt", hb_time_to_msec(ts->now + apr_time_from_sec(3600)));
    hb_json_set_int(doc, "openUntil", hb_time_to_msec(ts->now + apr_time_from_sec(3600)));
    ck_assert_int_eq(hb_store_insert(NULL, op, HB_C_ORDERS, doc), APR_SUCCESS);
    ck_assert_int_eq(hb_order_load(order, op, hb_json_string(doc, "_id")), APR_SUCCESS);
    return order;
}

static void open_site(void)
{
    ts = hb_test_site_make_with("HaloBuzzPaySandbox on\n", hb_test_pool);
    hb_test_site_open(ts);
    sandbox = hb_pay_provider("sandbox");
    ck_assert_ptr_nonnull(sandbox);
    hb_test_add_user(ts, ANNA, NULL);
}

static apr_int64_t balance(void)
{
    hb_op_t *op = op_make();
    apr_int64_t coins = -1;

    ck_assert_int_eq(hb_ledger_balance(&coins, op, hb_account_user(op, ANNA)), APR_SUCCESS);
    return coins;
}

static apr_int64_t count_events(void)
{
    hb_query_t all = { .in = HB_C_EVENTS };
    apr_int64_t n = -1;

    ck_assert_int_eq(hb_store_count(&n, op_make(), &all), APR_SUCCESS);
    return n;
}

static hb_pay_message_t signed_message(const hb_order_t *order, const char *type)
{
    hb_pay_message_t message;
    hb_op_t *op = op_make();

    ck_assert_int_eq(sandbox->sample(&message, op, order, type), APR_SUCCESS);
    return message;
}

static apr_status_t receive(hb_inbox_result_t *result, hb_pay_message_t *message)
{
    hb_op_t *op = op_make();

    message->received_at = op->now;
    return hb_inbox_receive(result, op, sandbox, message);
}

static hb_json_t *event_of(const char *id)
{
    hb_json_t *event;

    ck_assert_ptr_nonnull(id);
    ck_assert_int_eq(hb_store_get(&event, op_make(), HB_C_EVENTS, id), APR_SUCCESS);
    return event;
}

static void is_text(const hb_json_t *json, const char *key, const char *wanted)
{
    const char *is = hb_json_string(json, key);

    ck_assert_msg(wanted == NULL ? is == NULL : is != NULL && strcmp(is, wanted) == 0,
                  "%s is %s, not %s", key, is != NULL ? is : "absent",
                  wanted != NULL ? wanted : "absent");
}

/* --- trusted --- */

START_TEST(a_signed_message_is_kept_and_credits_once)
{
    hb_pay_message_t message;
    hb_inbox_result_t result;
    const hb_json_t *event;
    const hb_order_t *order;
    const char *id;

    open_site();
    order = add_order("sandbox");
    message = signed_message(order, "payment.paid");
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert(!result.is_repeat && result.effect == HB_ORDER_APPLIED);
    ck_assert_str_eq(result.order_id, order->id);
    ck_assert_int_eq(balance(), COINS);
    id = result.id;
    event = event_of(id);
    is_text(event, "verdict", "trusted");
    is_text(event, "proof", "hmac");
    is_text(event, "state", "applied");
    is_text(event, "effect", "applied");
    is_text(event, "source", "webhook");
    is_text(event, "type", "payment.paid");
    is_text(event, "body", message.body);
    is_text(event, "signature", message.signature);
    is_text(event, "orderId", order->id);
    ck_assert_int_eq(hb_json_int(event, "attempts", 0), 1);
    ck_assert(hb_json_has(event, "verifyUsec") && hb_json_has(event, "applyUsec"));
    ck_assert(!hb_json_has(event, "pendingAt"));
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert(result.is_repeat);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(hb_json_int(event_of(id), "repeats", 0), 0);
    ts->now += HB_INBOX_REPEAT_APART + apr_time_from_sec(1);
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert(result.is_repeat && result.effect == HB_ORDER_APPLIED);
    ck_assert_int_eq(hb_json_int(event_of(id), "repeats", 0), 1);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

START_TEST(another_event_of_the_same_payment_credits_nothing_more)
{
    hb_pay_message_t first, second;
    hb_inbox_result_t result;
    const hb_order_t *order;

    open_site();
    order = add_order("sandbox");
    first = signed_message(order, "payment.paid");
    second = signed_message(order, "payment.paid");
    ck_assert_str_ne(first.body, second.body);
    ck_assert_int_eq(receive(&result, &first), APR_SUCCESS);
    ck_assert_int_eq(receive(&result, &second), APR_SUCCESS);
    ck_assert(!result.is_repeat && result.effect == HB_ORDER_ALREADY);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(count_events(), 2);
}
END_TEST

typedef struct copies_t {
    hb_pay_message_t message;
    apr_uint32_t taken, repeats;
} copies_t;

static void *APR_THREAD_FUNC send_copies(apr_thread_t *thread, void *baton)
{
    copies_t *copies = baton;
    int i;

    (void)thread;
    for (i = 0; i < 63; i++) {
        hb_pay_message_t message = copies->message;
        hb_inbox_result_t result;

        if (receive(&result, &message) == APR_SUCCESS) {
            apr_atomic_inc32(&copies->taken);
            if (result.is_repeat) {
                apr_atomic_inc32(&copies->repeats);
            }
        }
    }
    return NULL;
}

START_TEST(a_thousand_copies_at_once_are_one_credit)
{
    copies_t copies = { .taken = 0 };
    apr_thread_t *threads[16];
    apr_status_t rv;
    int i;

    open_site();
    copies.message = signed_message(add_order("sandbox"), "payment.paid");
    for (i = 0; i < 16; i++) {
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, send_copies, &copies, ts->pool),
                         APR_SUCCESS);
    }
    for (i = 0; i < 16; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    ck_assert_uint_eq(copies.taken, 16 * 63);
    ck_assert_uint_eq(copies.repeats, 16 * 63 - 1);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

START_TEST(what_concerns_no_order_is_kept_and_does_nothing)
{
    hb_pay_message_t message;
    hb_inbox_result_t result;
    hb_order_t *order;

    open_site();
    order = add_order("sandbox");
    order->id = "cccccccccccccccccccccccc";
    message = signed_message(order, "payment.paid");
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_IGNORED);
    ck_assert_ptr_null(result.order_id);
    is_text(event_of(result.id), "state", "applied");
    is_text(event_of(result.id), "orderId", NULL);
    ck_assert_int_eq(balance(), 0);
}
END_TEST

START_TEST(another_amount_is_flagged_and_credits_nothing)
{
    hb_pay_message_t message;
    hb_inbox_result_t result;
    hb_order_t *order;

    open_site();
    order = add_order("sandbox");
    order->amount_minor = 999;
    message = signed_message(order, "payment.paid");
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_FLAGGED);
    is_text(event_of(result.id), "effect", "flagged");
    ck_assert_int_eq(balance(), 0);
}
END_TEST

/* A record of the order that cannot be: what acts on it fails for a reason of ours. */
START_TEST(what_fails_is_kept_with_its_error_and_tried_when_it_comes_again)
{
    const hb_edit_t break_it[] = { { "userId", HB_SET, HB_STR("cccccccccccccccccccccccc") } };
    const hb_edit_t mend_it[] = { { "userId", HB_SET, HB_STR(ANNA) } };
    hb_json_t *list, *query = hb_json_object_make(hb_test_pool), *after;
    hb_pay_message_t message;
    hb_inbox_result_t result;
    const hb_json_t *event;
    const hb_order_t *order;
    apr_status_t rv;

    open_site();
    order = add_order("sandbox");
    ck_assert_int_eq(hb_store_change(&after, NULL, op_make(), HB_C_ORDERS, order->id, NULL, 0,
                                     break_it, 1), APR_SUCCESS);
    message = signed_message(order, "payment.paid");
    rv = receive(&result, &message);
    ck_assert_int_eq(balance(), 0);
    hb_json_set_string(query, "only", "pending");
    ck_assert_int_eq(hb_inbox_list(&list, op_make(), query), APR_SUCCESS);
    if (rv == APR_SUCCESS) {
        return;     /* orders have an answer of their own to a payer who is gone */
    }
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    event = hb_json_item(hb_json_get(list, "items"), 0);
    is_text(event, "state", "failed");
    ck_assert_ptr_nonnull(hb_json_string(event, "error"));
    ck_assert_int_eq(hb_json_int(event, "attempts", 0), 1);
    ck_assert_int_eq(hb_store_change(&after, NULL, op_make(), HB_C_ORDERS, order->id, NULL, 0,
                                     mend_it, 1), APR_SUCCESS);
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert(!result.is_repeat && result.effect == HB_ORDER_APPLIED);
    event = event_of(result.id);
    is_text(event, "state", "applied");
    is_text(event, "error", NULL);
    ck_assert_int_eq(hb_json_int(event, "attempts", 0), 2);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

/* --- refused --- */

START_TEST(forged_messages_do_nothing_and_take_bounded_room)
{
    hb_pay_message_t message;
    hb_inbox_result_t result;
    const hb_json_t *event;
    char *body;
    int i;

    open_site();
    message = signed_message(add_order("sandbox"), "payment.paid");
    body = apr_pstrdup(hb_test_pool, message.body);
    body[strlen(body) - 2] ^= 1;
    message.body = body;
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    ck_assert_int_eq(balance(), 0);
    event = event_of(result.id);
    is_text(event, "state", "refused");
    is_text(event, "verdict", "forged");
    is_text(event, "body", body);
    is_text(event, "eventId", NULL);
    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
        ck_assert_ptr_null(result.id);
    }
    ck_assert_int_eq(count_events(), 1);
    ts->now += apr_time_from_sec(2);
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    ck_assert_int_eq(hb_json_int(event_of(result.id), "repeats", 0), 20);
    ck_assert_int_eq(count_events(), 2);
    ts->now += apr_time_from_sec(HB_INBOX_SLOTS - 2);
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    ck_assert_int_eq(count_events(), 2);
}
END_TEST

START_TEST(of_a_large_refused_message_only_the_length_is_kept)
{
    static char large[HB_INBOX_REFUSED_MAX + 2];
    hb_pay_message_t message = { .body = large };
    hb_inbox_result_t result;

    open_site();
    memset(large, 'x', sizeof(large) - 1);
    message.len = sizeof(large) - 1;
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    is_text(event_of(result.id), "body", NULL);
    ck_assert_int_eq(hb_json_int(event_of(result.id), "bodyBytes", 0), HB_INBOX_REFUSED_MAX + 1);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_kept_as_base64)
{
    hb_pay_message_t message = { .body = "\xff\x00{", .len = 3, .signature = "t=1,v1=\xfe" };
    hb_inbox_result_t result;
    hb_json_t *shown;

    open_site();
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    ck_assert_int_eq(hb_inbox_show(&shown, op_make(), result.id), APR_SUCCESS);
    is_text(shown, "body", "/wB7");
    ck_assert(hb_json_bool(shown, "isBase64", 0));
    ck_assert_ptr_null(hb_schema_misfit(HB_R_EVENT_SHOWN, shown, hb_test_pool));
}
END_TEST

/* --- hints --- */

static int asked;
static apr_status_t answer_rv;
static hb_pay_fact_t answer;

static apr_status_t fake_read(hb_pay_event_t *event, hb_op_t *op,
                              const hb_pay_message_t *message)
{
    memset(event, 0, sizeof(*event));
    event->fact.amount_minor = event->fact.refunded_minor = event->fact.is_live = -1;
    event->verdict = HB_PAY_HINT;
    event->type = "return";
    event->event_id = apr_pstrdup(op->pool, message->body);
    event->fact.outcome = HB_PAY_PAID;      /* whoever writes the address says so */
    event->fact.order_id = message->order_id;
    event->fact.amount_minor = 1000;
    return APR_SUCCESS;
}

static apr_status_t fake_lookup(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order)
{
    (void)order;
    asked++;
    *fact = answer;
    return answer_rv == APR_SUCCESS ? APR_SUCCESS : hb_fail(op, answer_rv, NULL);
}

static const hb_pay_provider_t fake = {
    .name = "khalti", .can = HB_PAY_CAN_RETURN, .currencies = "npr",
    .read = fake_read, .lookup = fake_lookup
};

static void provider_says(apr_status_t rv, hb_pay_outcome_e outcome)
{
    memset(&answer, 0, sizeof(answer));
    answer_rv = rv;
    answer.outcome = outcome;
    answer.payment_id = "pidx1";
    answer.amount_minor = 1000;
    answer.refunded_minor = 0;
    answer.currency = "npr";
    answer.is_live = 0;
    asked = 0;
}

static apr_status_t come_back(hb_inbox_result_t *result, const char *order_id, const char *query)
{
    hb_op_t *op = op_make();
    hb_pay_message_t message = { .body = query, .len = strlen(query), .order_id = order_id,
                                 .is_return = 1, .received_at = op->now };

    return hb_inbox_receive(result, op, &fake, &message);
}

START_TEST(a_return_is_kept_before_the_provider_is_asked)
{
    hb_inbox_result_t result;
    const hb_json_t *event;
    const hb_order_t *order;
    const char *id;

    open_site();
    order = add_order("khalti");
    provider_says(HB_E_PAY_UPSTREAM, HB_PAY_UNKNOWN);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(balance(), 0);
    id = result.id;
    event = event_of(id);
    is_text(event, "state", "waits");
    is_text(event, "error", "pay.upstream");
    is_text(event, "source", "return");
    ck_assert(hb_json_has(event, "pendingAt"));
    /* Reload at once: the provider is not asked again so soon. */
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    ck_assert(result.is_repeat && asked == 1);
    ts->now += apr_time_from_sec(4);
    provider_says(APR_SUCCESS, HB_PAY_PAID);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    ck_assert(!result.is_repeat && result.effect == HB_ORDER_APPLIED && asked == 1);
    ck_assert_str_eq(result.id, id);
    ck_assert_int_eq(balance(), COINS);
    event = event_of(id);
    is_text(event, "state", "applied");
    is_text(event, "proof", "lookup");
    is_text(event, "error", NULL);
    is_text(hb_json_get(event, "answer"), "outcome", "paid");
    ck_assert(!hb_json_has(event, "pendingAt"));
    /* Settled for good. */
    ts->now += apr_time_from_sec(600);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    ck_assert(result.is_repeat && asked == 1);
}
END_TEST

START_TEST(a_forged_return_credits_what_the_provider_says)
{
    hb_inbox_result_t result;
    const hb_order_t *order;

    open_site();
    order = add_order("khalti");
    provider_says(APR_SUCCESS, HB_PAY_OPEN);
    ck_assert_int_eq(come_back(&result, order->id, "status=Completed"), APR_SUCCESS);
    ck_assert(result.effect != HB_ORDER_APPLIED);
    ck_assert_int_eq(balance(), 0);
    ck_assert_int_eq(come_back(&result, "cccccccccccccccccccccccc", "status=Completed"),
                     HB_E_ORDER_UNKNOWN);
    is_text(event_of(result.id), "state", "refused");
    ck_assert_int_eq(come_back(&result, add_order("sandbox")->id, "status=Completed"),
                     HB_E_ORDER_UNKNOWN);
    ck_assert_int_eq(balance(), 0);
}
END_TEST

START_TEST(a_payer_may_be_back_before_the_money)
{
    hb_inbox_result_t result;
    const hb_order_t *order;

    open_site();
    order = add_order("khalti");
    provider_says(APR_SUCCESS, HB_PAY_OPEN);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    provider_says(APR_SUCCESS, HB_PAY_PAID);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    ck_assert(result.is_repeat && asked == 0);
    ts->now += apr_time_from_sec(4);
    ck_assert_int_eq(come_back(&result, order->id, "pidx=1"), APR_SUCCESS);
    ck_assert(!result.is_repeat && result.effect == HB_ORDER_APPLIED && asked == 1);
    ck_assert_int_eq(balance(), COINS);
}
END_TEST

START_TEST(returns_of_one_order_take_bounded_room)
{
    hb_inbox_result_t result;
    const hb_order_t *order;
    int i;

    open_site();
    order = add_order("khalti");
    provider_says(APR_SUCCESS, HB_PAY_OPEN);
    for (i = 0; i < HB_INBOX_RETURNS_MAX + 20; i++) {
        ck_assert_int_eq(come_back(&result, order->id, apr_psprintf(hb_test_pool, "n=%d", i)),
                         APR_SUCCESS);
    }
    /* The answer of those that were not kept is one record more, and one question. */
    ck_assert_int_eq(count_events(), HB_INBOX_RETURNS_MAX + 1);
    ck_assert_int_eq(asked, HB_INBOX_RETURNS_MAX + 1);
    ts->now += apr_time_from_sec(4);
    provider_says(APR_SUCCESS, HB_PAY_PAID);
    ck_assert_int_eq(come_back(&result, order->id, "n=more"), APR_SUCCESS);
    ck_assert_int_eq(balance(), COINS);
}
END_TEST

/* --- answers --- */

START_TEST(asking_again_keeps_one_record_for_each_answer)
{
    hb_inbox_result_t result;
    const hb_order_t *order;
    int i;

    open_site();
    order = add_order("khalti");
    provider_says(APR_SUCCESS, HB_PAY_OPEN);
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(hb_inbox_lookup(&result, op_make(), &fake, order, "reconcile"),
                         APR_SUCCESS);
        ts->now += apr_time_from_sec(3600);
    }
    ck_assert_int_eq(count_events(), 1);
    ck_assert_int_eq(hb_json_int(event_of(result.id), "attempts", 0), 5);
    provider_says(APR_SUCCESS, HB_PAY_PAID);
    ck_assert_int_eq(hb_inbox_lookup(&result, op_make(), &fake, order, "reconcile"),
                     APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_APPLIED);
    is_text(event_of(result.id), "source", "lookup");
    is_text(event_of(result.id), "type", "lookup.reconcile");
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(hb_inbox_lookup(&result, op_make(), &fake, order, "reconcile"),
                     APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_ALREADY);
    ck_assert_int_eq(balance(), COINS);
    provider_says(HB_E_PAY_UPSTREAM, HB_PAY_UNKNOWN);
    ck_assert_int_eq(hb_inbox_lookup(&result, op_make(), &fake, order, "reconcile"),
                     HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(count_events(), 2);
}
END_TEST

/* --- once more --- */

START_TEST(a_replay_takes_what_a_wrong_secret_refused)
{
    struct hb_pay_keys_t *right;
    hb_test_site_t *other;
    hb_pay_message_t message;
    hb_inbox_result_t result;
    const char *why, *id, *path;
    apr_file_t *file;

    open_site();
    message = signed_message(add_order("sandbox"), "payment.paid");
    /* The server's secret becomes another one than the sender's. */
    path = apr_pstrcat(hb_test_pool, ts->dir, "/secret", NULL);
    ck_assert_int_eq(apr_file_open(&file, path, APR_WRITE | APR_CREATE,
                                   APR_FPROT_UREAD | APR_FPROT_UWRITE, hb_test_pool),
                     APR_SUCCESS);
    apr_file_puts("another-secret-that-is-long-enough-0123456789", file);
    apr_file_close(file);
    other = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzPaySandbox on\n"
                                               "HaloBuzzPaySandboxSecret file:", path, "\n", NULL),
                                   hb_test_pool);
    right = ts->site->pay_keys;
    ck_assert_int_eq(hb_pay_keys_make(&ts->site->pay_keys, &why, other->site->settings,
                                      hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    id = result.id;
    ck_assert_int_eq(hb_inbox_replay(&result, op_make(), id), HB_E_HOOK_FORGED);
    ts->now += apr_time_from_sec(7200);
    ts->site->pay_keys = right;
    ck_assert_int_eq(hb_inbox_replay(&result, op_make(), id), APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_APPLIED);
    ck_assert_int_eq(result.verdict, HB_PAY_TRUSTED);
    ck_assert_int_eq(balance(), COINS);
    is_text(event_of(id), "verdict", "trusted");
    is_text(event_of(id), "slot", NULL);
    ck_assert_int_eq(hb_inbox_replay(&result, op_make(), id), APR_SUCCESS);
    ck_assert_int_eq(result.effect, HB_ORDER_ALREADY);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

START_TEST(a_replay_of_a_refused_copy_joins_its_event)
{
    hb_pay_message_t message, copy;
    hb_inbox_result_t result;
    const char *id;

    open_site();
    message = signed_message(add_order("sandbox"), "payment.paid");
    copy = message;
    copy.signature = NULL;
    ck_assert_int_eq(receive(&result, &copy), HB_E_HOOK_FORGED);
    id = result.id;
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ck_assert_int_eq(hb_inbox_replay(&result, op_make(), id), HB_E_HOOK_FORGED);
    ck_assert_int_eq(balance(), COINS);
    ck_assert_int_eq(hb_inbox_replay(&result, op_make(), "cccccccccccccccccccccccc"),
                     HB_E_EVENT_UNKNOWN);
}
END_TEST

/* --- lists --- */

START_TEST(lists_tell_of_orders_and_of_what_is_left)
{
    hb_json_t *list, *query = hb_json_object_make(hb_test_pool);
    hb_pay_message_t message;
    hb_inbox_result_t result;
    const hb_order_t *order;

    open_site();
    order = add_order("sandbox");
    message = signed_message(order, "payment.failed");
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    ts->now += apr_time_from_sec(5);
    message = signed_message(order, "payment.paid");
    ck_assert_int_eq(receive(&result, &message), APR_SUCCESS);
    message.signature = "t=1,v1=0";
    ck_assert_int_eq(receive(&result, &message), HB_E_HOOK_FORGED);
    ck_assert_int_eq(hb_inbox_list(&list, op_make(), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 3);
    is_text(hb_json_item(hb_json_get(list, "items"), 0), "verdict", "forged");
    hb_json_set_string(query, "orderId", order->id);
    ck_assert_int_eq(hb_inbox_list(&list, op_make(), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 2);
    is_text(hb_json_item(hb_json_get(list, "items"), 0), "type", "payment.paid");
    ck_assert_ptr_null(hb_schema_misfit_of("webhook_events:staff",
                                           hb_json_item(hb_json_get(list, "items"), 0),
                                           hb_test_pool));
    hb_json_set_string(query, "only", "refused");
    ck_assert_int_eq(hb_inbox_list(&list, op_make(), query), HB_E_INPUT_INVALID);
    hb_json_remove(query, "orderId");
    ck_assert_int_eq(hb_inbox_list(&list, op_make(), query), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    ck_assert_int_eq(hb_inbox_show(&list, op_make(), "stripe:evt_none"), HB_E_EVENT_UNKNOWN);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_signed_message_is_kept_and_credits_once,
        another_event_of_the_same_payment_credits_nothing_more,
        a_thousand_copies_at_once_are_one_credit,
        what_concerns_no_order_is_kept_and_does_nothing,
        another_amount_is_flagged_and_credits_nothing,
        what_fails_is_kept_with_its_error_and_tried_when_it_comes_again,
        forged_messages_do_nothing_and_take_bounded_room,
        of_a_large_refused_message_only_the_length_is_kept,
        bytes_that_are_no_text_are_kept_as_base64,
        a_return_is_kept_before_the_provider_is_asked,
        a_forged_return_credits_what_the_provider_says,
        a_payer_may_be_back_before_the_money,
        returns_of_one_order_take_bounded_room,
        asking_again_keeps_one_record_for_each_answer,
        a_replay_takes_what_a_wrong_secret_refused,
        a_replay_of_a_refused_copy_joins_its_event,
        lists_tell_of_orders_and_of_what_is_left,
        NULL
    };

    return hb_test_main("hb_inbox", cases);
}
