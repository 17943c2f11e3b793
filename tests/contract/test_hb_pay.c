/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of payment providers (hb_pay.h), against every row of hb_pay.c: the three of
 * the outside as tests/sim plays them, and the sandbox.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "pay_world.h"

#define EACH_PROVIDER(provider, i) \
    for (i = 0; ((provider) = hb_pay_provider_at(i)) != NULL; i++)

/* The sandbox is this server itself: nothing to be down, late or lying. */
static int is_outside(const hb_pay_provider_t *provider)
{
    return strcmp(provider->name, "sandbox") != 0;
}

static void ok(const hb_pay_provider_t *provider, apr_status_t rv)
{
    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", provider->name, hb_error_row(rv)->code);
}

/* --- what a provider is --- */

START_TEST(members_fit_together)
{
    const hb_pay_provider_t *p;
    int i, j;

    EACH_PROVIDER(p, i) {
        ck_assert_ptr_eq(hb_pay_provider(p->name), p);
        ck_assert_msg(strlen(p->currencies) >= 3, "%s", p->name);
        ck_assert((p->refund != NULL) == ((p->can & HB_PAY_CAN_REFUND) != 0));
        ck_assert((p->sig_header != NULL) == ((p->can & HB_PAY_CAN_WEBHOOK) != 0));
        ck_assert(p->can & (HB_PAY_CAN_WEBHOOK | HB_PAY_CAN_RETURN));
        for (j = 0; j < i; j++) {
            ck_assert_str_ne(hb_pay_provider_at(j)->name, p->name);
        }
        ck_assert_ptr_nonnull(p->samples[0]);
    }
    ck_assert_int_ge(i, 4);
    ck_assert_ptr_null(hb_pay_provider("paypal"));
    ck_assert_ptr_null(hb_pay_provider_at(-1));
    ck_assert(hb_pay_takes(hb_pay_provider("sandbox"), "npr"));
    ck_assert(hb_pay_takes(hb_pay_provider("sandbox"), "usd"));
    ck_assert(!hb_pay_takes(hb_pay_provider("sandbox"), "us"));
    ck_assert(!hb_pay_takes(hb_pay_provider("stripe"), "npr"));
}
END_TEST

START_TEST(what_is_not_configured_is_named)
{
    hb_test_site_t *bare = hb_test_site_make(hb_test_pool);
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    hb_settings_t off = *w->ts->site->settings;
    int i;

    off.payments = 0;
    EACH_PROVIDER(p, i) {
        const char *why = hb_pay_unusable(bare->site, p);

        ck_assert_msg(why != NULL && strstr(why, "HaloBuzz") != NULL, "%s", p->name);
        why = hb_pay_unusable(w->ts->site, p);
        ck_assert_msg(why == NULL, "%s: %s", p->name, why);
    }
    w->ts->site->settings = &off;
    EACH_PROVIDER(p, i) {
        ck_assert_ptr_nonnull(hb_pay_unusable(w->ts->site, p));
        ck_assert_ptr_null(p->missing(w->ts->site));
    }
}
END_TEST

START_TEST(test_keys_are_not_taken_for_real_money)
{
    pay_world_t *w = pay_world_open("HaloBuzzPaymentsLive on\n");

    ck_assert_ptr_nonnull(hb_pay_unusable(w->ts->site, hb_pay_provider("stripe")));
    ck_assert_ptr_nonnull(hb_pay_unusable(w->ts->site, hb_pay_provider("esewa")));
    ck_assert_ptr_nonnull(hb_pay_unusable(w->ts->site, hb_pay_provider("sandbox")));
}
END_TEST

/* --- messages --- */

static void read_it(hb_pay_event_t *event, pay_world_t *w, const hb_pay_provider_t *p,
                    const hb_pay_message_t *message)
{
    ok(p, p->read(event, hb_test_site_op(w->ts), message));
    if (event->verdict == HB_PAY_FORGED || event->verdict == HB_PAY_MALFORMED) {
        ck_assert_ptr_nonnull(event->why);
        ck_assert_ptr_null(event->event_id);
        ck_assert_int_eq(event->fact.outcome, HB_PAY_UNKNOWN);
    }
    else {
        ck_assert_ptr_nonnull(event->event_id);
        ck_assert_ptr_nonnull(event->type);
    }
}

/* Every sample, as (message, provider, order). */
typedef void sample_fn(pay_world_t *w, const hb_pay_provider_t *p, const hb_order_t *order,
                       const hb_pay_message_t *message, const char *type);

static void each_sample(pay_world_t *w, sample_fn *fn)
{
    const hb_pay_provider_t *p;
    hb_pay_message_t message;
    int i, j;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, i + 1);

        for (j = 0; p->samples[j] != NULL; j++) {
            ok(p, p->sample(&message, w->op, order, p->samples[j]));
            fn(w, p, order, &message, p->samples[j]);
        }
        ck_assert_int_eq(p->sample(&message, pay_world_next(w), order, "no.such.thing"),
                         HB_E_INPUT_INVALID);
    }
}

static void reads_back(pay_world_t *w, const hb_pay_provider_t *p, const hb_order_t *order,
                       const hb_pay_message_t *message, const char *type)
{
    hb_pay_event_t event;

    ck_assert_msg(message->is_return || (p->can & HB_PAY_CAN_WEBHOOK), "%s", p->name);
    read_it(&event, w, p, message);
    ck_assert_msg(event.verdict == (message->is_return ? HB_PAY_HINT : HB_PAY_TRUSTED), "%s %s: %s",
                  p->name, type, event.why);
    ck_assert_msg((event.fact.order_id != NULL && strcmp(event.fact.order_id, order->id) == 0)
                  || event.fact.payment_id != NULL, "%s %s", p->name, type);
    ck_assert_msg(event.fact.is_live <= 0, "%s %s", p->name, type);
    if (event.fact.outcome == HB_PAY_PAID) {
        ck_assert_int_eq(event.fact.amount_minor, order->amount_minor);
        ck_assert_str_eq(event.fact.currency, order->currency);
    }
}

START_TEST(samples_are_read_back)
{
    each_sample(pay_world_open(""), reads_back);
}
END_TEST

/* A changed byte leaves nothing to be trusted, or says the same as before. */
static void resists_changes(pay_world_t *w, const hb_pay_provider_t *p, const hb_order_t *order,
                            const hb_pay_message_t *message, const char *type)
{
    apr_size_t i;

    for (i = 0; i < message->len; i++) {
        hb_pay_message_t changed = *message;
        char *body = apr_pstrmemdup(w->op->pool, message->body, message->len);
        hb_pay_event_t event;

        body[i] ^= 1;
        changed.body = body;
        read_it(&event, w, p, &changed);
        ck_assert_msg(event.verdict != HB_PAY_TRUSTED, "%s %s byte %d", p->name, type, (int)i);
        if (strcmp(p->name, "esewa") == 0 && event.verdict == HB_PAY_HINT
            && event.fact.outcome != HB_PAY_UNKNOWN) {
            ck_assert_int_eq(event.fact.amount_minor, order->amount_minor);
        }
    }
}

START_TEST(no_changed_byte_is_trusted)
{
    each_sample(pay_world_open(""), resists_changes);
}
END_TEST

static void resists_time(pay_world_t *w, const hb_pay_provider_t *p, const hb_order_t *order,
                         const hb_pay_message_t *message, const char *type)
{
    static const int seconds[] = { 301, -301, 86400 };
    hb_pay_message_t changed = *message;
    hb_pay_event_t event;
    apr_size_t i;

    (void)order;
    for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        changed.received_at = message->received_at + apr_time_from_sec(seconds[i]);
        read_it(&event, w, p, &changed);
        ck_assert_msg(event.verdict != HB_PAY_TRUSTED, "%s %s %d s", p->name, type, seconds[i]);
    }
    changed = *message;
    changed.signature = NULL;
    read_it(&event, w, p, &changed);
    ck_assert_msg(event.verdict != HB_PAY_TRUSTED, "%s %s unsigned", p->name, type);
}

START_TEST(old_and_unsigned_messages_are_not_trusted)
{
    each_sample(pay_world_open(""), resists_time);
}
END_TEST

/* A provider's message is nothing to another provider. */
static void stays_with_its_provider(pay_world_t *w, const hb_pay_provider_t *p,
                                    const hb_order_t *order, const hb_pay_message_t *message,
                                    const char *type)
{
    const hb_pay_provider_t *other;
    hb_pay_event_t event;
    int i;

    (void)order;
    EACH_PROVIDER(other, i) {
        if (other != p) {
            read_it(&event, w, other, message);
            ck_assert_msg(event.verdict != HB_PAY_TRUSTED, "%s %s at %s", p->name, type,
                          other->name);
        }
    }
}

START_TEST(messages_stay_with_their_provider)
{
    each_sample(pay_world_open(""), stays_with_its_provider);
}
END_TEST

START_TEST(the_same_message_has_the_same_id)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    int i;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, 1), *other = pay_world_order(w, p, 2);
        hb_pay_event_t first, second, third;
        hb_pay_message_t message;

        ok(p, p->sample(&message, w->op, order, p->samples[0]));
        read_it(&first, w, p, &message);
        read_it(&second, w, p, &message);
        ck_assert_str_eq(first.event_id, second.event_id);
        ok(p, p->sample(&message, w->op, other, p->samples[0]));
        read_it(&third, w, p, &message);
        ck_assert_str_ne(first.event_id, third.event_id);
    }
}
END_TEST

/* --- payments --- */

static void check_fact(pay_world_t *w, const hb_pay_provider_t *p, hb_order_t *order,
                       hb_pay_outcome_e wanted)
{
    hb_pay_fact_t fact;

    ok(p, p->lookup(&fact, pay_world_next(w), order));
    ck_assert_msg(fact.outcome == wanted, "%s: %s (%s), not %s", p->name,
                  hb_pay_outcome_name(fact.outcome), fact.status, hb_pay_outcome_name(wanted));
    ck_assert_str_eq(fact.order_id, order->id);
    if (wanted == HB_PAY_PAID) {
        ck_assert_msg(fact.amount_minor == order->amount_minor, "%s", p->name);
        ck_assert_str_eq(fact.currency, order->currency);
        ck_assert_msg(fact.is_live == 0, "%s: play money that could be real", p->name);
        ck_assert_ptr_nonnull(fact.payment_id);
        order->payment_id = apr_pstrdup(hb_test_pool, fact.payment_id);
        order->charge_id = fact.charge_id != NULL ? apr_pstrdup(hb_test_pool, fact.charge_id)
                           : NULL;
    }
}

START_TEST(a_payment_is_begun_paid_and_given_back)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    hb_pay_fact_t fact;
    int i;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, i + 1);

        ok(p, pay_world_start(w, p, order));
        ck_assert_ptr_nonnull(order->attempt_id);
        check_fact(w, p, order, HB_PAY_OPEN);
        pay_world_pay(w, p, order);
        check_fact(w, p, order, HB_PAY_PAID);
        check_fact(w, p, order, HB_PAY_PAID);
        if (p->can & HB_PAY_CAN_REFUND) {
            ok(p, p->refund(&fact, pay_world_next(w), order, 1250, "r1"));
            ck_assert_int_eq(fact.outcome, HB_PAY_REFUNDED);
            ck_assert_msg(fact.refunded_minor == 1250, "%s", p->name);
            ck_assert_ptr_nonnull(fact.refund_id);
            check_fact(w, p, order, HB_PAY_REFUNDED);
        }
    }
}
END_TEST

START_TEST(a_refund_happens_once_per_key_and_never_beyond_the_payment)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    hb_pay_fact_t fact;
    apr_status_t rv;
    int i;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, i + 1);

        if (!(p->can & HB_PAY_CAN_REFUND)) {
            continue;
        }
        ok(p, pay_world_start(w, p, order));
        pay_world_pay(w, p, order);
        check_fact(w, p, order, HB_PAY_PAID);
        ok(p, p->refund(&fact, pay_world_next(w), order, 1250, "same"));
        ok(p, p->refund(&fact, pay_world_next(w), order, 1250, "same"));
        order->refunded_minor = 1250;
        rv = p->refund(&fact, pay_world_next(w), order, 1, "another");
        ck_assert_msg(rv == HB_E_PAY_REFUSED, "%s: %s", p->name, hb_error_row(rv)->code);
    }
}
END_TEST

/* Whoever sends it again has to know whether it may have been done. */
START_TEST(a_refund_without_keys_says_whether_it_may_have_arrived)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p = hb_pay_provider("khalti");
    hb_order_t *order = pay_world_order(w, p, 1);
    hb_pay_fact_t fact;

    ck_assert(p->can & HB_PAY_NO_REFUND_KEYS);
    ok(p, pay_world_start(w, p, order));
    pay_world_pay(w, p, order);
    pay_world_tell(w, "fault", "{'kind': 'error', 'count': 1, 'status': 401, 'path': 'lookup'}");
    ck_assert_int_eq(p->refund(&fact, pay_world_next(w), order, 250, "r"), HB_E_PAY_UPSTREAM);
    ck_assert_int_ne(fact.outcome, HB_PAY_AMBIGUOUS);
    pay_world_tell(w, "fault", "{'kind': 'error', 'count': 1, 'status': 500, 'path': 'refund'}");
    ck_assert_int_eq(p->refund(&fact, pay_world_next(w), order, 250, "r"), HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(fact.outcome, HB_PAY_AMBIGUOUS);
}
END_TEST

START_TEST(what_is_not_paid_cannot_be_given_back)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    hb_pay_fact_t fact;
    int i;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, i + 1);

        if (p->can & HB_PAY_CAN_REFUND) {
            ok(p, pay_world_start(w, p, order));
            ck_assert_int_eq(p->refund(&fact, pay_world_next(w), order, 1250, "r"),
                             HB_E_PAY_REFUSED);
        }
    }
}
END_TEST

/* --- trouble --- */

/* Nothing useful comes back, and nobody waits longer than the setting says. */
static void is_trouble(pay_world_t *w, const hb_pay_provider_t *p, const char *fault)
{
    hb_order_t *order = pay_world_order(w, p, 7), *fresh = pay_world_order(w, p, 8);
    apr_time_t begun;
    hb_pay_fact_t fact;
    apr_status_t rv;

    pay_world_tell(w, "reset", "{}");
    ok(p, pay_world_start(w, p, order));
    pay_world_pay(w, p, order);
    pay_world_tell(w, "fault", "%s", fault);
    begun = apr_time_now();
    rv = p->lookup(&fact, pay_world_next(w), order);
    ck_assert_msg(rv == HB_E_PAY_UPSTREAM, "%s lookup under %s: %s", p->name, fault,
                  hb_error_row(rv)->code);
    if (strcmp(p->name, "esewa") != 0) {        /* begins without a call */
        rv = pay_world_start(w, p, fresh);
        ck_assert_msg(rv == HB_E_PAY_UPSTREAM, "%s start under %s: %s", p->name, fault,
                      hb_error_row(rv)->code);
        ck_assert_int_gt(w->op->problem.retry_after_sec, 0);
    }
    ck_assert_msg(apr_time_now() - begun < apr_time_from_sec(7), "%s under %s took %d ms", p->name,
                  fault, (int)apr_time_as_msec(apr_time_now() - begun));
    pay_world_tell(w, "heal", "{}");
    w->ts->now += apr_time_from_sec(120);       /* whoever is left alone is asked again then */
    check_fact(w, p, order, HB_PAY_PAID);
}

START_TEST(trouble_is_no_answer_and_no_wait)
{
    static const char *const faults[] = {
        "{'kind': 'down'}",
        "{'kind': 'error', 'status': 500}",
        "{'kind': 'error', 'status': 503, 'body': {'code': 0, 'error_message': 'Service is "
            "currently unavailable'}}",
        "{'kind': 'error', 'status': 200, 'body': {'code': 0, 'error_message': 'Service is "
            "currently unavailable'}}",
        "{'kind': 'garbage'}",
        "{'kind': 'garbage', 'text': '[]'}",
        "{'kind': 'garbage', 'text': '{}'}",
        "{'kind': 'huge'}",
        "{'kind': 'late', 'seconds': 8}",
        "{'kind': 'error', 'status': 301, 'body': {}, 'headers': {'Location': '/elsewhere'}}",
        "{'kind': 'error', 'status': 401, 'body': {'detail': 'Invalid token.'}}",
        "{'kind': 'error', 'status': 429, 'body': {}, 'headers': {'Retry-After': '30'}}",
        "{'kind': 'lie', 'set': {'id': 'pi_other', 'pidx': 'other', 'transaction_uuid': 'other'}}",
    };
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    apr_size_t f;
    int i;

    for (f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
        EACH_PROVIDER(p, i) {
            if (!is_outside(p)
                || (strstr(faults[f], "lie") != NULL && strcmp(p->name, "khalti") == 0)) {
                continue;       /* the first pidx we hear is the one, whatever it is */
            }
            if (strstr(faults[f], "late") != NULL && strcmp(p->name, "stripe") != 0) {
                continue;       /* once is enough of three seconds */
            }
            is_trouble(w, p, faults[f]);
        }
    }
}
END_TEST

START_TEST(a_khalti_answer_about_another_payment_is_not_used)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p = hb_pay_provider("khalti");
    hb_order_t *order = pay_world_order(w, p, 1);
    hb_pay_fact_t fact;

    ok(p, pay_world_start(w, p, order));
    pay_world_pay(w, p, order);
    pay_world_tell(w, "fault", "{'kind': 'lie', 'count': 1, 'set': {'pidx': 'other'}}");
    ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
    pay_world_tell(w, "fault", "{'kind': 'error', 'count': 1, 'status': 404, 'body': "
                   "{'detail': 'Not found.'}}");
    ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
}
END_TEST

START_TEST(lies_about_money_are_told_as_they_are)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    int i;

    EACH_PROVIDER(p, i) {
        hb_order_t *order = pay_world_order(w, p, i + 1);
        hb_pay_fact_t fact;

        if (!is_outside(p)) {
            continue;
        }
        ok(p, pay_world_start(w, p, order));
        pay_world_pay(w, p, order);
        pay_world_tell(w, "fault", "{'kind': 'lie', 'provider': '%s', 'set': {'amount': 1, "
                       "'amount_received': 1, 'amount_total': 1, 'total_amount': 1, "
                       "'currency': 'jpy'}}", p->name);
        ok(p, p->lookup(&fact, pay_world_next(w), order));
        ck_assert_int_eq(fact.outcome, HB_PAY_PAID);
        ck_assert_msg(fact.amount_minor != order->amount_minor && fact.amount_minor > 0, "%s",
                      p->name);
        pay_world_tell(w, "heal", "{}");
    }
    /* A page for another amount is not shown to the payer at all. */
    pay_world_tell(w, "fault", "{'kind': 'lie', 'set': {'amount_total': 1}}");
    ck_assert_int_eq(pay_world_start(w, hb_pay_provider("stripe"),
                                     pay_world_order(w, hb_pay_provider("stripe"), 90)),
                     HB_E_PAY_UPSTREAM);
}
END_TEST

START_TEST(a_lost_answer_begins_no_second_payment)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p = hb_pay_provider("stripe");
    hb_order_t *order = pay_world_order(w, p, 1);
    const char *first;
    hb_pay_fact_t fact;
    hb_pay_start_t start;

    pay_world_tell(w, "fault", "{'kind': 'lose', 'count': 1}");
    ok(p, pay_world_start(w, p, order));
    ck_assert_int_eq(pay_world_calls(w, "stripe"), 2);
    first = order->attempt_id;
    ok(p, pay_world_start(w, p, order));        /* this process died before it stored the id */
    ck_assert_str_eq(order->attempt_id, first);
    ok(p, p->start(&start, pay_world_next(w), order, HB_PAY_AS_INTENT));
    ck_assert_int_eq(strncmp(start.attempt_id, "pi_", 3), 0);
    ck_assert_ptr_nonnull(start.client_secret);
    pay_world_pay(w, p, order);
    check_fact(w, p, order, HB_PAY_PAID);
    pay_world_tell(w, "fault", "{'kind': 'lose', 'count': 1}");
    ok(p, p->refund(&fact, pay_world_next(w), order, 250, "half"));
    ck_assert_int_eq(fact.refunded_minor, 250);
}
END_TEST

START_TEST(a_lost_refund_of_khalti_is_not_sent_again)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p = hb_pay_provider("khalti");
    hb_order_t *order = pay_world_order(w, p, 1);
    hb_pay_fact_t fact;

    ok(p, pay_world_start(w, p, order));
    pay_world_pay(w, p, order);
    check_fact(w, p, order, HB_PAY_PAID);
    pay_world_tell(w, "fault", "{'kind': 'lose', 'count': 1, 'path': 'refund'}");
    ck_assert_int_eq(p->refund(&fact, pay_world_next(w), order, 250, "r"), HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(p->refund(&fact, pay_world_next(w), order, 250, "r"), HB_E_PAY_REFUSED);
    ck_assert_int_eq(hb_json_int(pay_world_tell(w, "show", "{'provider': 'khalti', 'with': "
                                                "{'id': '%s'}}", order->attempt_id), "_back", 0),
                     250);
}
END_TEST

START_TEST(a_dead_provider_is_left_alone_and_found_again)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p = hb_pay_provider("khalti");
    hb_order_t *order = pay_world_order(w, p, 1);
    hb_pay_fact_t fact;
    int i, n;

    ok(p, pay_world_start(w, p, order));
    pay_world_tell(w, "fault", "{'kind': 'down'}");
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
    }
    n = pay_world_calls(w, "khalti");
    ck_assert_int_lt(n, 2 * 5 + 1);
    for (i = 0; i < 50; i++) {
        apr_time_t begun = apr_time_now();

        ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
        ck_assert(apr_time_now() - begun < apr_time_from_msec(200));
    }
    ck_assert_int_eq(pay_world_calls(w, "khalti"), n);
    ck_assert(hb_test_site_logged(w->ts, "left alone"));
    /* One call on trial, and the time doubles. */
    w->ts->now += apr_time_from_sec(6);
    ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(pay_world_calls(w, "khalti"), n + 2);
    w->ts->now += apr_time_from_sec(6);
    ck_assert_int_eq(p->lookup(&fact, pay_world_next(w), order), HB_E_PAY_UPSTREAM);
    ck_assert_int_eq(pay_world_calls(w, "khalti"), n + 2);
    pay_world_tell(w, "heal", "{}");
    w->ts->now += apr_time_from_sec(10);
    ok(p, p->lookup(&fact, pay_world_next(w), order));
    ck_assert(hb_test_site_logged(w->ts, "answers again"));
    /* A clock that is set back does not prolong a wait for years. */
    pay_world_tell(w, "fault", "{'kind': 'down'}");
    for (i = 0; i < 4; i++) {
        p->lookup(&fact, pay_world_next(w), order);
    }
    pay_world_tell(w, "heal", "{}");
    w->ts->now -= apr_time_from_sec(86400);
    ok(p, p->lookup(&fact, pay_world_next(w), order));
}
END_TEST

START_TEST(statuses_mean_what_the_providers_say)
{
    static const struct {
        const char *provider, *status;
        hb_pay_outcome_e outcome;
    } rows[] = {
        { "esewa", "PENDING", HB_PAY_OPEN }, { "esewa", "AMBIGUOUS", HB_PAY_AMBIGUOUS },
        { "esewa", "CANCELED", HB_PAY_CANCELED }, { "esewa", "NOT_FOUND", HB_PAY_OPEN },
        { "esewa", "FULL_REFUND", HB_PAY_REFUNDED }, { "esewa", "PARTIAL_REFUND", HB_PAY_REFUNDED },
        { "esewa", "SOMETHING_NEW", HB_PAY_UNKNOWN },
        { "khalti", "Pending", HB_PAY_OPEN }, { "khalti", "Initiated", HB_PAY_OPEN },
        { "khalti", "Expired", HB_PAY_EXPIRED }, { "khalti", "User canceled", HB_PAY_CANCELED },
        { "khalti", "Refunded", HB_PAY_REFUNDED }, { "khalti", "COMPLETED", HB_PAY_PAID },
        { "khalti", "Partially Refunded", HB_PAY_REFUNDED },
        { "khalti", "Something new", HB_PAY_UNKNOWN },
        { "stripe", "expired", HB_PAY_EXPIRED }, { "stripe", "failed", HB_PAY_OPEN },
    };
    pay_world_t *w = pay_world_open("");
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const hb_pay_provider_t *p = hb_pay_provider(rows[i].provider);
        hb_order_t *order = pay_world_order(w, p, (int)i + 1);

        ok(p, pay_world_start(w, p, order));
        if (strcmp(rows[i].provider, "esewa") == 0) {
            pay_world_pay(w, p, order);
        }
        pay_world_tell(w, "pay", "{'provider': '%s', 'with': {'id': '%s', 'result': '%s'}}",
                       rows[i].provider, order->attempt_id, rows[i].status);
        check_fact(w, p, order, rows[i].outcome);
        if (strcmp(rows[i].status, "NOT_FOUND") == 0) {
            order->expires_at = w->ts->now;     /* now nobody is on the way any more */
            check_fact(w, p, order, HB_PAY_EXPIRED);
        }
    }
}
END_TEST

START_TEST(nothing_is_asked_about_what_never_began)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    int i;

    EACH_PROVIDER(p, i) {
        check_fact(w, p, pay_world_order(w, p, i + 1), HB_PAY_OPEN);
    }
    ck_assert_int_eq(pay_world_calls(w, "stripe") + pay_world_calls(w, "khalti"), 0);
}
END_TEST

START_TEST(probes_tell_right_keys_from_wrong_ones)
{
    pay_world_t *w = pay_world_open("");
    const hb_pay_provider_t *p;
    const char *said;
    int i;

    EACH_PROVIDER(p, i) {
        said = NULL;
        ok(p, p->probe(&said, pay_world_next(w)));
        ck_assert_ptr_nonnull(said);
    }
    w = pay_world_open("HaloBuzzStripeKey env:PAY_WRONG\nHaloBuzzKhaltiSecret env:PAY_WRONG\n");
    EACH_PROVIDER(p, i) {
        if (strcmp(p->name, "stripe") == 0 || strcmp(p->name, "khalti") == 0) {
            said = NULL;
            ck_assert_msg(p->probe(&said, pay_world_next(w)) != APR_SUCCESS, "%s", p->name);
            ck_assert_ptr_nonnull(said);
        }
    }
    ck_assert(!hb_test_site_logged(w->ts, "sk_test_wrong"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        members_fit_together, what_is_not_configured_is_named,
        test_keys_are_not_taken_for_real_money, samples_are_read_back, no_changed_byte_is_trusted,
        old_and_unsigned_messages_are_not_trusted, messages_stay_with_their_provider,
        the_same_message_has_the_same_id, a_payment_is_begun_paid_and_given_back,
        a_refund_happens_once_per_key_and_never_beyond_the_payment,
        a_refund_without_keys_says_whether_it_may_have_arrived,
        what_is_not_paid_cannot_be_given_back, trouble_is_no_answer_and_no_wait,
        a_khalti_answer_about_another_payment_is_not_used, lies_about_money_are_told_as_they_are,
        a_lost_answer_begins_no_second_payment, a_lost_refund_of_khalti_is_not_sent_again,
        a_dead_provider_is_left_alone_and_found_again, statuses_mean_what_the_providers_say,
        nothing_is_asked_about_what_never_began, probes_tell_right_keys_from_wrong_ones, NULL
    };

    return hb_test_main("hb_pay", cases);
}
