/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pay_stripe.c at work, for stripe.js:
 *     stripe_text hooks      lines {"header","body","secrets"} of stdin: prints the verdict on each
 *     stripe_text samples    prints {"type","header","body"} of every sample, under whsec_judge
 *     stripe_text calls URL  intent, session, two lookups and a refund at a server; prints outcomes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_fetch.h"
#include "hb_order.h"

#define LINE_BYTES (1024 * 1024)

static hb_settings_t settings;
static hb_site_t site;

static apr_time_t now(void *baton)
{
    (void)baton;
    return apr_time_now();
}

static apr_status_t any_bytes(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    return apr_generate_random_bytes(out, n);
}

static void to_stderr(void *baton, hb_level_e level, apr_status_t status, const char *request_id,
                      const char *line)
{
    (void)baton;
    (void)level;
    (void)status;
    (void)request_id;
    fprintf(stderr, "%s\n", line);
}

static void make_site(apr_pool_t *pool, const char *secrets, const char *url)
{
    const char *why = NULL;

    setenv("JUDGE_KEY", "sk_test_judge", 1);
    setenv("JUDGE_SECRETS", secrets, 1);
    settings.payments = 1;
    settings.public_url = "https://halobuzz.test";
    settings.stripe_url = url;
    settings.stripe_public_key = "";
    settings.stripe_key = "env:JUDGE_KEY";
    settings.stripe_webhook_secret = "env:JUDGE_SECRETS";
    settings.esewa_secret = settings.khalti_key = settings.pay_sandbox_secret = "";
    settings.payment_wait = apr_time_from_sec(10);
    site.settings = &settings;
    site.clock = now;
    site.random = any_bytes;
    site.log.sink = to_stderr;
    site.log.level = HB_LOG_WARNING;
    if (hb_pay_keys_make(&site.pay_keys, &why, &settings, pool) != APR_SUCCESS) {
        fprintf(stderr, "%s\n", why);
        exit(EXIT_FAILURE);
    }
}

static hb_order_t *order_of(hb_op_t *op)
{
    hb_order_t *order = apr_pcalloc(op->pool, sizeof(*order));

    order->id = "65530a0b0c0d0e0f10111213";
    order->user_id = "65530a0b0c0d0e0f10111299";
    order->provider = "stripe";
    order->title = "500 coins & more, \xe0\xa4\xb0\xe0\xa5\x81";
    order->amount_minor = 1250;
    order->currency = "usd";
    order->created_at = op->now;
    order->expires_at = op->now + apr_time_from_sec(3600);
    return order;
}

static void hooks(const hb_pay_provider_t *stripe, apr_pool_t *pool)
{
    char *line = apr_palloc(pool, LINE_BYTES);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, pool);
    while (fgets(line, LINE_BYTES, stdin) != NULL) {
        hb_json_t *json;
        hb_pay_message_t message = { .received_at = apr_time_now() };
        hb_pay_event_t event;
        const char *why, *secrets = "";
        int i;

        apr_pool_clear(scratch);
        if (hb_json_parse(&json, &why, line, strlen(line), scratch) != APR_SUCCESS) {
            fprintf(stderr, "a line is no JSON: %s\n", why);
            exit(EXIT_FAILURE);
        }
        for (i = 0; i < hb_json_length(hb_json_get(json, "secrets")); i++) {
            secrets = apr_pstrcat(scratch, secrets, " ", hb_json_string_value(
                                  hb_json_item(hb_json_get(json, "secrets"), i)), NULL);
        }
        make_site(scratch, secrets, "");
        message.body = hb_json_string(json, "body");
        message.len = hb_json_string_bytes(hb_json_get(json, "body"));
        message.signature = hb_json_string(json, "header");
        if (stripe->read(&event, hb_op_make(&site, scratch), &message) != APR_SUCCESS) {
            exit(EXIT_FAILURE);
        }
        printf("%s %s %s %lld\n", hb_pay_verdict_name(event.verdict),
               event.event_id != NULL ? event.event_id : "-",
               hb_pay_outcome_name(event.fact.outcome), (long long)event.fact.amount_minor);
    }
}

static void samples(const hb_pay_provider_t *stripe, apr_pool_t *pool)
{
    hb_op_t *op;
    int i;

    make_site(pool, "whsec_judge", "");
    op = hb_op_make(&site, pool);
    for (i = 0; stripe->samples[i] != NULL; i++) {
        hb_json_t *json = hb_json_object_make(pool);
        hb_pay_message_t message;

        if (stripe->sample(&message, op, order_of(op), stripe->samples[i]) != APR_SUCCESS) {
            exit(EXIT_FAILURE);
        }
        hb_json_set_string(json, "type", stripe->samples[i]);
        hb_json_set_string(json, "header", message.signature);
        hb_json_set_string(json, "body", message.body);
        puts(hb_json_text(json, pool, NULL));
    }
}

static void expect(const char *what, apr_status_t rv)
{
    printf("%s %s\n", what, rv == APR_SUCCESS ? "ok" : hb_error_row(rv)->code);
}

static void calls(const hb_pay_provider_t *stripe, const char *url, apr_pool_t *pool)
{
    hb_pay_start_t start;
    hb_pay_fact_t fact;
    hb_order_t *order;
    hb_op_t *op;

    make_site(pool, "whsec_judge", url);
    if (hb_fetch_open(&site.fetch, pool) != APR_SUCCESS) {
        exit(EXIT_FAILURE);
    }
    op = hb_op_make(&site, pool);
    order = order_of(op);
    expect("intent", stripe->start(&start, op, order, HB_PAY_AS_INTENT));
    order->attempt_id = start.attempt_id;
    expect("lookup", stripe->lookup(&fact, op, order));
    printf("%s %lld %s\n", hb_pay_outcome_name(fact.outcome), (long long)fact.amount_minor,
           fact.charge_id);
    order->payment_id = fact.payment_id;
    expect("refund", stripe->refund(&fact, op, order, 100, "r1"));
    order = order_of(op);
    expect("session", stripe->start(&start, op, order, HB_PAY_AS_PAGE));
    order->session_id = order->attempt_id = start.session_id;
    expect("lookup", stripe->lookup(&fact, op, order));
    printf("%s %lld %s\n", hb_pay_outcome_name(fact.outcome), (long long)fact.amount_minor,
           fact.payment_id);
}

int main(int argc, const char *const *argv)
{
    const hb_pay_provider_t *stripe = hb_pay_provider("stripe");
    apr_pool_t *pool;

    if (argc < 2 || apr_initialize() != APR_SUCCESS) {
        return EXIT_FAILURE;
    }
    apr_pool_create(&pool, NULL);
    if (strcmp(argv[1], "hooks") == 0) {
        hooks(stripe, pool);
    }
    else if (strcmp(argv[1], "samples") == 0) {
        samples(stripe, pool);
    }
    else if (argc == 3) {
        calls(stripe, argv[2], pool);
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return EXIT_SUCCESS;
}
