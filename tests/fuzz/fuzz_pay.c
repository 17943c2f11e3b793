/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what payment providers send. The first byte says as what:
 *     H  signature header, newline, body: to Stripe and the sandbox as they come
 *     S  body of an event of Stripe's, X of the sandbox's: with a right signature
 *     E  query of eSewa's return, D JSON for its data, which gets a right signature
 *     Q  query of Khalti's return
 *     K  Khalti's answer, A eSewa's, I an intent and C a session of Stripe's
 * Nothing is trusted without a signature, what is refused says nothing, and every text that
 * may be kept is printable.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_escape.h>
#include <apr_general.h>
#include <apr_base64.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_keyring.h"
#include "pay_stripe.h"

#define NOW apr_time_from_sec(1700000000)
#define ORDER "65530a0b0c0d0e0f10111213"
#define SECRET "a secret of the fuzzer that is long enough to be taken as a key 0123456789"
#define NAMES "transaction_code,status,total_amount,transaction_uuid,product_code,signed_field_names"

static const char *const secrets[] = { "whsec_fuzz", "another", NULL };
static hb_pay_keys_t keys = { secrets, secrets, secrets, secrets, secrets };
static hb_settings_t settings;
static hb_site_t site;

static apr_time_t fuzz_clock(void *baton)
{
    (void)baton;
    return NOW;
}

static apr_status_t fuzz_random(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    memset(out, 7, n);
    return APR_SUCCESS;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct hb_keyring_t *ring;
    apr_pool_t *pool;
    const char *why;

    (void)argc;
    (void)argv;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS
        || hb_keyring_from_secret(&ring, &why, SECRET, pool) != APR_SUCCESS) {
        return 1;
    }
    settings.public_url = "https://halobuzz.test";
    settings.esewa_merchant = "EPAYTEST";
    settings.pay_sandbox = 1;
    site.settings = &settings;
    site.access_keys = site.pepper_keys = ring;
    site.pay_keys = &keys;
    site.clock = fuzz_clock;
    site.random = fuzz_random;
    return 0;
}

static void expect_plain(const char *text, int may_have_blanks)
{
    for (; text != NULL && *text != '\0'; text++) {
        FUZZ_EXPECT(*text >= (may_have_blanks ? ' ' : '!') && *text <= '~');
    }
}

static void expect_fact(const hb_pay_fact_t *fact)
{
    expect_plain(fact->order_id, 0);
    expect_plain(fact->attempt_id, 0);
    expect_plain(fact->payment_id, 0);
    expect_plain(fact->charge_id, 0);
    expect_plain(fact->refund_id, 0);
    expect_plain(fact->currency, 0);
    expect_plain(fact->status, 1);
    FUZZ_EXPECT(fact->is_live >= -1 && fact->is_live <= 1);
    FUZZ_EXPECT(strcmp(hb_pay_outcome_name(fact->outcome), "") != 0);
}

static void read_by(const hb_pay_provider_t *provider, const hb_pay_message_t *message,
                    int may_be_trusted, apr_pool_t *pool)
{
    hb_pay_event_t event, again;

    FUZZ_EXPECT(provider->read(&event, hb_op_make(&site, pool), message) == APR_SUCCESS);
    FUZZ_EXPECT(provider->read(&again, hb_op_make(&site, pool), message) == APR_SUCCESS);
    FUZZ_EXPECT(event.verdict == again.verdict && event.fact.outcome == again.fact.outcome);
    FUZZ_EXPECT(event.verdict != HB_PAY_TRUSTED || may_be_trusted);
    if (event.verdict == HB_PAY_FORGED || event.verdict == HB_PAY_MALFORMED) {
        FUZZ_EXPECT(event.why != NULL && event.event_id == NULL);
        FUZZ_EXPECT(event.fact.outcome == HB_PAY_UNKNOWN && event.fact.order_id == NULL
                    && event.fact.payment_id == NULL);
    }
    else {
        FUZZ_EXPECT(event.event_id != NULL && event.type != NULL);
        FUZZ_EXPECT(strcmp(event.event_id, again.event_id) == 0);
        FUZZ_EXPECT(event.verdict == (message->is_return ? HB_PAY_HINT : HB_PAY_TRUSTED));
    }
    expect_plain(event.event_id, 0);
    expect_plain(event.type, 0);
    expect_fact(&event.fact);
}

/* The body as it came, NUL bytes and all. */
static void webhook(const hb_pay_provider_t *provider, const char *header, const char *body,
                    apr_size_t len, apr_pool_t *pool)
{
    hb_pay_message_t message = { .body = body, .len = len, .received_at = NOW };

    message.signature = header != NULL ? header
        : pay_signature_make(secrets[1], NOW, body, len, pool);
    read_by(provider, &message, header == NULL, pool);
}

static void query_of(const hb_pay_provider_t *provider, const char *query, apr_pool_t *pool)
{
    hb_pay_message_t message = { .body = query, .len = strlen(query), .order_id = ORDER,
                                 .is_return = 1, .received_at = NOW };

    read_by(provider, &message, 0, pool);
    message.is_failure = 1;
    read_by(provider, &message, 0, pool);
}

/* The names are signed as the values' own texts say, as far as they are texts. */
static void signed_data(const char *text, apr_pool_t *pool)
{
    const char *why, *message = "", *name, *names = NAMES;
    unsigned char mac[32];
    char *code;
    hb_json_t *json;

    if (hb_json_parse(&json, &why, text, strlen(text), pool) != APR_SUCCESS
        || hb_json_type(json) != HB_JSON_OBJECT) {
        return;
    }
    hb_json_set_string(json, "signed_field_names", NAMES);
    while (*names != '\0') {
        apr_size_t len = strcspn(names, ",");
        const char *value;

        name = apr_pstrmemdup(pool, names, len);
        value = hb_json_string(json, name);
        message = apr_pstrcat(pool, message, *message != '\0' ? "," : "", name, "=",
                              value != NULL ? value : "", NULL);
        names += len + (names[len] == ',');
    }
    FUZZ_EXPECT(hb_hmac_sha256(mac, secrets[0], strlen(secrets[0]), message, strlen(message))
                == APR_SUCCESS);
    code = apr_palloc(pool, apr_base64_encode_len(32));
    apr_base64_encode_binary(code, mac, 32);
    hb_json_set_string(json, "signature", code);
    text = hb_json_text(json, pool, NULL);
    code = apr_palloc(pool, apr_base64_encode_len((int)strlen(text)));
    apr_base64_encode(code, text, (int)strlen(text));
    query_of(&pay_esewa, apr_pstrcat(pool, "data=", apr_pescape_urlencoded(pool, code), NULL),
             pool);
}

static void answer_as(char kind, const char *text, apr_size_t len, apr_pool_t *pool)
{
    const char *why = NULL, *problem;
    hb_pay_fact_t fact;
    hb_json_t *json;
    int is_refunded;

    if (hb_json_parse(&json, &problem, text, len, pool) != APR_SUCCESS) {
        json = NULL;
    }
    pay_fact_clear(&fact);
    switch (kind) {
    case 'K':
        why = khalti_answer_fact(&fact, &is_refunded, len % 2 ? 200 : 400, json, "pidx1");
        FUZZ_EXPECT(fact.outcome != HB_PAY_PAID || len % 2);
        break;
    case 'A':
        why = esewa_answer_fact(&fact, json, "EPAYTEST", ORDER, pool);
        break;
    case 'I':
        stripe_intent_fact(&fact, json);
        break;
    default:
        stripe_session_fact(&fact, json);
    }
    if (why != NULL) {
        FUZZ_EXPECT(fact.outcome == HB_PAY_UNKNOWN && fact.payment_id == NULL);
    }
    expect_fact(&fact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text, *newline;
    apr_pool_t *pool;

    if (size == 0) {
        return 0;
    }
    apr_pool_create(&pool, NULL);
    text = apr_pstrmemdup(pool, (const char *)data + 1, size - 1);
    switch (data[0]) {
    case 'H':
        newline = memchr(text, '\n', size - 1);
        if (newline != NULL) {
            const char *header = apr_pstrmemdup(pool, text, newline - text);
            apr_size_t len = size - 2 - (apr_size_t)(newline - text);

            webhook(&pay_stripe, header, newline + 1, len, pool);
            webhook(&pay_sandbox, header, newline + 1, len, pool);
        }
        break;
    case 'S':
        webhook(&pay_stripe, NULL, text, size - 1, pool);
        break;
    case 'X':
        webhook(&pay_sandbox, NULL, text, size - 1, pool);
        break;
    case 'E':
        query_of(&pay_esewa, text, pool);
        break;
    case 'D':
        signed_data(text, pool);
        break;
    case 'Q':
        query_of(&pay_khalti, text, pool);
        query_of(&pay_stripe, text, pool);
        break;
    case 'K':
    case 'A':
    case 'I':
    case 'C':
        answer_as((char)data[0], text, size - 1, pool);
        break;
    default:
        break;
    }
    apr_pool_destroy(pool);
    return 0;
}
