/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eSewa ePay v2. The payer's browser posts a form that we signed; eSewa sends the browser back
 * with signed JSON in the query. There are no webhooks and no refunds by API. The signature
 * of the return is checked, and still only the status check counts, because a return can be
 * replayed and may never come.
 *
 * eSewa writes rupees as text, in several forms: "100", 100.0, "1,000.0". What is signed is
 * the literal text, except that thousands commas are left out of it.
 */
#include <string.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_fetch.h"
#include "hb_metrics.h"
#include "pay_private.h"

#define LIVE_FORM "https://epay.esewa.com.np"
#define TEST_FORM "https://rc-epay.esewa.com.np"
#define LIVE_STATUS "https://epay.esewa.com.np"
#define TEST_STATUS "https://rc.esewa.com.np"
#define DATA_BYTES_MAX 4096
#define NAMES_MAX 16
#define TRIES 2

#define REQUEST_NAMES "total_amount,transaction_uuid,product_code"
#define RETURN_NAMES "transaction_code,status,total_amount,transaction_uuid,product_code," \
                     "signed_field_names"

/* --- signatures --- */

/* Standard base64 with padding; hb_base64url() is the other alphabet without. */
static const char *base64(apr_pool_t *pool, const unsigned char *bytes, apr_size_t n)
{
    static const char *const padding[] = { "", "", "==", "=" };
    const char *url = hb_base64url(pool, bytes, n);
    char *text = apr_pstrcat(pool, url, padding[strlen(url) % 4], NULL);
    char *c;

    for (c = text; *c != '\0'; c++) {
        *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
    }
    return text;
}

/* The other way; blanks were plus signs before a query parser took them apart. */
static const char *base64_read(apr_size_t *n, const char *text, apr_pool_t *pool)
{
    char *copy = apr_pstrdup(pool, text);
    apr_size_t len = strlen(copy);
    unsigned char *bytes;
    char *c;

    for (c = copy; *c != '\0'; c++) {
        *c = *c == '+' || *c == ' ' ? '-' : *c == '/' ? '_' : *c;
    }
    while (len > 0 && copy[len - 1] == '=') {
        copy[--len] = '\0';
    }
    bytes = (unsigned char *)hb_base64url_read(pool, n, copy);
    return (const char *)bytes;
}

static const char *sign(const char *secret, const char *message, apr_pool_t *pool)
{
    unsigned char mac[32];

    return hb_hmac_sha256(mac, secret, strlen(secret), message, strlen(message)) == APR_SUCCESS
           ? base64(pool, mac, sizeof(mac)) : NULL;
}

static const char *sign_request(const hb_op_t *op, const char *secret, const char *total,
                                const char *uuid, const char *code)
{
    return sign(secret, apr_pstrcat(op->pool, "total_amount=", total, ",transaction_uuid=", uuid,
                                    ",product_code=", code, NULL), op->pool);
}

/* A member as it was written, whether text or number; NULL for anything else. */
static const char *literal(const hb_json_t *json, const char *name, apr_pool_t *pool)
{
    const hb_json_t *value = hb_json_get(json, name);
    const char *text = hb_json_string_value(value);

    return text != NULL ? text : hb_json_number_text(value, pool);
}

static const char *without_commas(const char *text, apr_pool_t *pool)
{
    char *copy = apr_pstrdup(pool, text), *to = copy;

    for (; *text != '\0'; text++) {
        if (*text != ',') {
            *to++ = *text;
        }
    }
    *to = '\0';
    return copy;
}

/* "name=value,name=value" of the signed names; NULL when one is missing. */
static const char *signed_text(const hb_json_t *json, const char *names, int drop_commas,
                               apr_pool_t *pool)
{
    char *copy = apr_pstrdup(pool, names), *name, *state;
    const char *text = "", *value;
    int n = 0;

    for (name = apr_strtok(copy, ",", &state); name != NULL; name = apr_strtok(NULL, ",", &state)) {
        value = literal(json, name, pool);
        if (value == NULL || ++n > NAMES_MAX) {
            return NULL;
        }
        if (drop_commas && strcmp(name, "total_amount") == 0) {
            value = without_commas(value, pool);
        }
        text = apr_pstrcat(pool, text, *text != '\0' ? "," : "", name, "=", value, NULL);
    }
    return text;
}

static int is_named(const char *names, const char *name)
{
    apr_size_t n = strlen(name);

    while (*names != '\0') {
        apr_size_t len = strcspn(names, ",");

        if (len == n && strncmp(names, name, n) == 0) {
            return 1;
        }
        names += len + (names[len] == ',');
    }
    return 0;
}

/* A shorter list of signed names would leave the rest open to anybody. */
static int are_all_named(const char *names, apr_pool_t *pool)
{
    char *copy = apr_pstrdup(pool, RETURN_NAMES), *name, *state;

    for (name = apr_strtok(copy, ",", &state); name != NULL; name = apr_strtok(NULL, ",", &state)) {
        if (!is_named(names, name)) {
            return 0;
        }
    }
    return 1;
}

static const char *check_signature(const hb_json_t *json, const char *const *secrets,
                                   apr_pool_t *pool)
{
    const char *names = hb_json_string(json, "signed_field_names");
    const char *given = hb_json_string(json, "signature");
    int drop_commas, matches = 0;

    if (names == NULL || given == NULL) {
        return "it is not signed";
    }
    if (!are_all_named(names, pool)) {
        return "the signature does not cover all fields";
    }
    for (; *secrets != NULL; secrets++) {
        for (drop_commas = 0; drop_commas <= 1; drop_commas++) {
            const char *text = signed_text(json, names, drop_commas, pool);
            const char *made = text != NULL ? sign(*secrets, text, pool) : NULL;

            matches |= made != NULL && hb_equal_secret(made, given);
        }
    }
    return matches ? NULL : "the signature does not match";
}

/* --- the provider --- */

static const char *missing(const hb_site_t *site)
{
    const hb_pay_keys_t *keys = site->pay_keys;

    if (*site->settings->esewa_merchant == '\0') {
        return "HaloBuzzEsewaMerchant is not set";
    }
    if (keys == NULL || keys->esewa[0] == NULL) {
        return "HaloBuzzEsewaSecret is not set";
    }
    if (site->settings->payments_live && strcmp(site->settings->esewa_merchant, "EPAYTEST") == 0) {
        return "HaloBuzzEsewaMerchant is eSewa's test merchant, but HaloBuzzPaymentsLive is on";
    }
    return NULL;
}

static apr_status_t start(hb_pay_start_t *start, hb_op_t *op, const hb_order_t *order, int how)
{
    const hb_settings_t *settings = op->site->settings;
    const char *total = pay_major_text(op->pool, order->amount_minor);
    const char *signature;
    hb_json_t *form = hb_json_object_make(op->pool);

    memset(start, 0, sizeof(*start));
    if (how != HB_PAY_AS_PAGE || missing(op->site) != NULL) {
        return hb_fail(op, HB_E_PAY_UNSET, "eSewa takes no such order");
    }
    signature = sign_request(op, op->site->pay_keys->esewa[0], total, order->id,
                             settings->esewa_merchant);
    if (signature == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    hb_json_set_string(form, "amount", total);
    hb_json_set_string(form, "tax_amount", "0");
    hb_json_set_string(form, "product_service_charge", "0");
    hb_json_set_string(form, "product_delivery_charge", "0");
    hb_json_set_string(form, "total_amount", total);
    hb_json_set_string(form, "transaction_uuid", order->id);
    hb_json_set_string(form, "product_code", settings->esewa_merchant);
    /* eSewa appends "?data=" whatever stands there, so the order id is in the path. */
    hb_json_set_string(form, "success_url", pay_return_url(op, "esewa", order->id, ""));
    hb_json_set_string(form, "failure_url", pay_return_url(op, "esewa", order->id, "/failure"));
    hb_json_set_string(form, "signed_field_names", REQUEST_NAMES);
    hb_json_set_string(form, "signature", signature);
    start->form = form;
    start->attempt_id = order->id;
    start->url = apr_pstrcat(op->pool, pay_base_url(op, settings->esewa_url, LIVE_FORM, TEST_FORM),
                             "/api/epay/main/v2/form", NULL);
    return APR_SUCCESS;
}

static hb_pay_outcome_e outcome_of(const char *status)
{
    static const struct {
        const char *status;
        hb_pay_outcome_e outcome;
    } rows[] = {
        { "COMPLETE",       HB_PAY_PAID },
        { "PENDING",        HB_PAY_OPEN },
        { "AMBIGUOUS",      HB_PAY_AMBIGUOUS },
        { "NOT_FOUND",      HB_PAY_OPEN },
        { "CANCELED",       HB_PAY_CANCELED },
        { "FULL_REFUND",    HB_PAY_REFUNDED },
        { "PARTIAL_REFUND", HB_PAY_REFUNDED },
    };
    apr_size_t i;

    for (i = 0; status != NULL && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].status, status) == 0) {
            return rows[i].outcome;
        }
    }
    return HB_PAY_UNKNOWN;
}

/* Rupees in whichever form to paisa; -1 when they are none. */
static apr_int64_t paisa_of(const hb_json_t *json, apr_pool_t *pool)
{
    const char *text = literal(json, "total_amount", pool);
    apr_int64_t minor;

    return text != NULL && pay_major_read(&minor, without_commas(text, pool)) ? minor : -1;
}

/* --- the return --- */

static apr_status_t read_data(hb_pay_event_t *event, hb_op_t *op,
                              const hb_pay_message_t *message, const char *data)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    const char *text, *why, *code, *uuid;
    apr_size_t len;
    hb_json_t *json;

    text = strlen(data) <= DATA_BYTES_MAX ? base64_read(&len, data, op->pool) : NULL;
    if (text == NULL || hb_json_parse(&json, &why, text, len, op->pool) != APR_SUCCESS
        || hb_json_type(json) != HB_JSON_OBJECT) {
        return pay_malformed(event, "data is no JSON in base64");
    }
    why = keys == NULL || keys->esewa[0] == NULL ? "HaloBuzzEsewaSecret is not set"
        : check_signature(json, keys->esewa, op->pool);
    if (why != NULL) {
        return pay_forged(event, why);
    }
    code = hb_json_string(json, "product_code");
    uuid = literal(json, "transaction_uuid", op->pool);
    if (code == NULL || strcmp(code, op->site->settings->esewa_merchant) != 0) {
        return pay_forged(event, "it is another merchant's");
    }
    if (uuid == NULL || strcmp(uuid, message->order_id) != 0) {
        return pay_forged(event, "it is another order's");
    }
    event->is_signed = 1;
    event->fact.status = pay_plain(hb_json_string(json, "status"));
    event->fact.outcome = outcome_of(event->fact.status);
    event->fact.charge_id = pay_plain(literal(json, "transaction_code", op->pool));
    event->fact.amount_minor = paisa_of(json, op->pool);
    return APR_SUCCESS;
}

static apr_status_t read_message(hb_pay_event_t *event, hb_op_t *op,
                                 const hb_pay_message_t *message)
{
    const char *data;
    apr_status_t rv;

    memset(event, 0, sizeof(*event));
    pay_fact_clear(&event->fact);
    if (!message->is_return || message->order_id == NULL) {
        return pay_malformed(event, "eSewa sends no webhooks");
    }
    rv = pay_came_back(event, op, "return_", message);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    data = pay_query_value(message->body, "data", op->pool);
    if (data == NULL && !message->is_failure) {
        return pay_malformed(event, "data is missing");
    }
    if (data != NULL) {
        rv = read_data(event, op, message, data);
        if (rv != APR_SUCCESS || event->verdict != HB_PAY_HINT) {
            return rv;
        }
    }
    event->fact.order_id = event->fact.attempt_id = event->fact.payment_id = message->order_id;
    event->fact.currency = "npr";
    return APR_SUCCESS;
}

/* --- the status check --- */

static apr_status_t ask(hb_fetch_answer_t *answer, hb_op_t *op, const char *total,
                        const char *uuid)
{
    const hb_settings_t *settings = op->site->settings;
    const hb_fetch_t fetch = {
        .service = "esewa",
        .count = HB_M_FETCH_ESEWA,
        .method = "GET",
        .url = apr_pstrcat(op->pool, pay_base_url(op, settings->esewa_status_url, LIVE_STATUS,
                                                  TEST_STATUS),
                           "/api/epay/transaction/status/?product_code=",
                           apr_pescape_urlencoded(op->pool, settings->esewa_merchant),
                           "&total_amount=", total, "&transaction_uuid=",
                           apr_pescape_urlencoded(op->pool, uuid), NULL),
        .tries = TRIES
    };

    if (hb_fetch(answer, op, &fetch) != APR_SUCCESS) {
        return pay_no_answer(op, "eSewa", answer);
    }
    return APR_SUCCESS;
}

static apr_status_t odd(hb_op_t *op, const hb_fetch_answer_t *answer, const char *what)
{
    hb_log(op, HB_LOG_ERR, 0, HBLOGNO(08000) "eSewa's answer (%d) is not used: %s", answer->status,
           what);
    return pay_no_answer(op, "eSewa", answer);
}

const char *esewa_answer_fact(hb_pay_fact_t *fact, const hb_json_t *answer,
                              const char *merchant, const char *uuid, apr_pool_t *pool)
{
    const char *code = hb_json_string(answer, "product_code");
    const char *given = literal(answer, "transaction_uuid", pool);

    pay_fact_clear(fact);
    fact->status = pay_plain(hb_json_string(answer, "status"));
    if (fact->status == NULL) {
        return "it holds no status";
    }
    if ((code != NULL && strcmp(code, merchant) != 0)
        || (given != NULL && strcmp(given, uuid) != 0)) {
        return "it is about another payment";
    }
    if ((code == NULL || given == NULL) && outcome_of(fact->status) == HB_PAY_PAID) {
        return "it does not say whose payment it is";
    }
    fact->outcome = outcome_of(fact->status);
    fact->attempt_id = fact->payment_id = uuid;
    fact->currency = "npr";
    fact->amount_minor = paisa_of(answer, pool);
    fact->charge_id = pay_plain(literal(answer, "ref_id", pool));
    if (strcmp(fact->status, "FULL_REFUND") == 0) {
        fact->refunded_minor = fact->amount_minor;
    }
    return NULL;
}

static apr_status_t lookup(hb_pay_fact_t *fact, hb_op_t *op, const hb_order_t *order)
{
    const char *uuid = order->attempt_id != NULL ? order->attempt_id : order->id;
    const char *why;
    hb_fetch_answer_t answer;
    apr_status_t rv;

    pay_fact_clear(fact);
    rv = ask(&answer, op, pay_major_text(op->pool, order->amount_minor), uuid);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    why = esewa_answer_fact(fact, answer.json, op->site->settings->esewa_merchant, uuid,
                            op->pool);
    if (why != NULL) {
        return odd(op, &answer, why);
    }
    fact->order_id = order->id;
    /* It does not say; which of its two worlds was asked does. */
    fact->is_live = op->site->settings->payments_live;
    if (strcmp(fact->status, "NOT_FOUND") == 0 && order->expires_at != 0
        && op->now >= order->expires_at) {
        fact->outcome = HB_PAY_EXPIRED;     /* before that the payer may still be on the way */
    }
    return APR_SUCCESS;
}

/* --- samples --- */

static const char *const samples[] = { "return", "return.failure", NULL };

static apr_status_t sample(hb_pay_message_t *message, hb_op_t *op, const hb_order_t *order,
                           const char *type)
{
    const hb_pay_keys_t *keys = op->site->pay_keys;
    hb_json_t *json = hb_json_object_make(op->pool);
    const char *text;
    apr_size_t len;

    memset(message, 0, sizeof(*message));
    message->is_return = 1;
    message->order_id = order->id;
    message->received_at = op->now;
    message->body = "";
    if (strcmp(type, "return.failure") == 0) {
        message->is_failure = 1;
        return APR_SUCCESS;
    }
    if (strcmp(type, "return") != 0) {
        return hb_fail(op, HB_E_INPUT_INVALID, "there is no sample of %s", type);
    }
    if (keys == NULL || keys->esewa[0] == NULL) {
        return hb_fail(op, HB_E_PAY_UNSET, "HaloBuzzEsewaSecret is not set");
    }
    hb_json_set_string(json, "transaction_code", apr_psprintf(op->pool, "000%.6s", order->id));
    hb_json_set_string(json, "status", "COMPLETE");
    hb_json_set_string(json, "total_amount", apr_psprintf(op->pool, "%" APR_INT64_T_FMT ".%d",
                       order->amount_minor / 100, (int)(order->amount_minor % 100) / 10));
    hb_json_set_string(json, "transaction_uuid", order->id);
    hb_json_set_string(json, "product_code", op->site->settings->esewa_merchant);
    hb_json_set_string(json, "signed_field_names", RETURN_NAMES);
    text = signed_text(json, RETURN_NAMES, 0, op->pool);
    hb_json_set_string(json, "signature", sign(keys->esewa[0], text, op->pool));
    text = hb_json_text(json, op->pool, &len);
    message->body = apr_pstrcat(op->pool, "data=", apr_pescape_urlencoded(op->pool,
                                base64(op->pool, (const unsigned char *)text, len)), NULL);
    message->len = strlen(message->body);
    return APR_SUCCESS;
}

/* eSewa asks for no credentials here, so this shows only that it can be reached. */
static apr_status_t probe(const char **said, hb_op_t *op)
{
    hb_fetch_answer_t answer;
    apr_status_t rv = ask(&answer, op, "10", "halobuzz-probe");

    *said = "the status check does not answer usefully";
    if (rv == APR_SUCCESS && hb_json_string(answer.json, "status") == NULL) {
        rv = odd(op, &answer, "it holds no status");
    }
    if (rv == APR_SUCCESS) {
        *said = "the status check answers; whether merchant and secret are right only a payment "
                "shows";
    }
    return rv;
}

const hb_pay_provider_t pay_esewa = {
    .name = "esewa",
    .title = "eSewa",
    .can = HB_PAY_CAN_RETURN,
    .currencies = "npr",
    .missing = missing,
    .start = start,
    .read = read_message,
    .lookup = lookup,
    .sample = sample,
    .samples = samples,
    .probe = probe,
};
