/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payment providers: the list of them, their secrets, and the small texts they share.
 * A new provider is its file and a row here.
 */
#include "hb_pay.h"

#include <string.h>

#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_secret.h"
#include "pay_private.h"

#define SECRETS_MAX 8
#define TEXT_MAX 255
#define URL_MAX 4096

static const hb_pay_provider_t *const providers[] = {
    &pay_stripe, &pay_esewa, &pay_khalti, &pay_sandbox, NULL
};

/* --- the list --- */

const hb_pay_provider_t *hb_pay_provider(const char *name)
{
    int i;

    for (i = 0; providers[i] != NULL; i++) {
        if (strcmp(providers[i]->name, name) == 0) {
            return providers[i];
        }
    }
    return NULL;
}

const hb_pay_provider_t *hb_pay_provider_at(int i)
{
    int n = (int)(sizeof(providers) / sizeof(providers[0]));

    return i >= 0 && i < n ? providers[i] : NULL;
}

const char *hb_pay_unusable(const hb_site_t *site, const hb_pay_provider_t *provider)
{
    if (!site->settings->payments) {
        return "HaloBuzzPayments is off";
    }
    return provider->missing(site);
}

int hb_pay_takes(const hb_pay_provider_t *provider, const char *currency)
{
    const char *at = provider->currencies;
    apr_size_t len = strlen(currency);

    while (*at != '\0') {
        apr_size_t n = strcspn(at, " ");

        if (n == len && strncmp(at, currency, n) == 0) {
            return 1;
        }
        at += n + (at[n] == ' ');
    }
    return 0;
}

static const char *const outcomes[] = {
    [HB_PAY_UNKNOWN] = "unknown", [HB_PAY_OPEN] = "open", [HB_PAY_AMBIGUOUS] = "ambiguous",
    [HB_PAY_PAID] = "paid", [HB_PAY_FAILED] = "failed", [HB_PAY_CANCELED] = "canceled",
    [HB_PAY_EXPIRED] = "expired", [HB_PAY_REFUNDED] = "refunded",
    [HB_PAY_REFUND_FAILED] = "refund_failed", [HB_PAY_DISPUTED] = "disputed",
    [HB_PAY_DISPUTE_WON] = "dispute_won", [HB_PAY_DISPUTE_LOST] = "dispute_lost"
};

#define N_OUTCOMES ((int)(sizeof(outcomes) / sizeof(outcomes[0])))

const char *hb_pay_outcome_name(hb_pay_outcome_e outcome)
{
    return (int)outcome >= 0 && (int)outcome < N_OUTCOMES ? outcomes[outcome] : outcomes[0];
}

hb_pay_outcome_e hb_pay_outcome_read(const char *name)
{
    int i;

    for (i = 0; name != NULL && i < N_OUTCOMES; i++) {
        if (strcmp(outcomes[i], name) == 0) {
            return (hb_pay_outcome_e)i;
        }
    }
    return HB_PAY_UNKNOWN;
}

const char *hb_pay_verdict_name(hb_pay_verdict_e verdict)
{
    static const char *const names[] = {
        [HB_PAY_TRUSTED] = "trusted", [HB_PAY_HINT] = "hint", [HB_PAY_FORGED] = "forged",
        [HB_PAY_MALFORMED] = "malformed"
    };

    return names[verdict];
}

/* --- secrets --- */

/* The blank-separated words of a secret; none when the setting is empty. */
static apr_status_t read_words(const char *const **words, const char **why,
                               const char *directive, const char *reference, apr_pool_t *pool)
{
    const char **list = apr_pcalloc(pool, (SECRETS_MAX + 1) * sizeof(*list));
    const char *secret;
    char *copy, *word, *state;
    apr_status_t rv;
    int n = 0;

    *words = list;
    if (*reference == '\0') {
        return APR_SUCCESS;
    }
    rv = hb_secret_read(&secret, why, reference, pool);
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(pool, "%s: %s", directive, *why);
        return rv;
    }
    copy = apr_pstrdup(pool, secret);
    hb_secret_wipe_with(pool, copy, strlen(copy));
    for (word = apr_strtok(copy, " \t\r\n", &state); word != NULL;
         word = apr_strtok(NULL, " \t\r\n", &state)) {
        if (n == SECRETS_MAX) {
            *why = apr_psprintf(pool, "%s: more than %d secrets at once", directive, SECRETS_MAX);
            return HB_E_CONFIG;
        }
        list[n++] = word;
    }
    return APR_SUCCESS;
}

apr_status_t hb_pay_keys_make(struct hb_pay_keys_t **made, const char **why,
                              const hb_settings_t *settings, apr_pool_t *pool)
{
    hb_pay_keys_t *keys = apr_pcalloc(pool, sizeof(*keys));
    const struct {
        const char *const **words;
        const char *directive, *reference;
    } rows[] = {
        { &keys->stripe_key, "HaloBuzzStripeKey", settings->stripe_key },
        { &keys->stripe_webhook, "HaloBuzzStripeWebhookSecret", settings->stripe_webhook_secret },
        { &keys->esewa, "HaloBuzzEsewaSecret", settings->esewa_secret },
        { &keys->khalti, "HaloBuzzKhaltiSecret", settings->khalti_key },
        { &keys->sandbox, "HaloBuzzPaySandboxSecret", settings->pay_sandbox_secret }
    };
    apr_status_t rv = APR_SUCCESS;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]) && rv == APR_SUCCESS; i++) {
        rv = read_words(rows[i].words, why, rows[i].directive, rows[i].reference, pool);
    }
    *made = rv == APR_SUCCESS ? keys : NULL;
    return rv;
}

/* --- texts --- */

/* Printable ASCII from `low` on, and not too long to be kept. */
static const char *printable(const char *text, char low)
{
    apr_size_t i;

    for (i = 0; text != NULL && text[i] != '\0'; i++) {
        if (text[i] < low || text[i] > '~') {
            return NULL;
        }
    }
    return text != NULL && i >= 1 && i <= TEXT_MAX ? text : NULL;
}

const char *pay_plain(const char *text)
{
    return printable(text, '!');
}

const char *pay_text(const char *text)
{
    return printable(text, ' ');
}

int pay_is_name(const char *text)
{
    for (; apr_isalnum(*text) || *text == '-' || *text == '_'; text++) {
    }
    return *text == '\0';
}

int pay_is_page(const char *url, apr_pool_t *pool)
{
    const char *c;

    for (c = url; c != NULL && *c > ' ' && *c <= '~'; c++) {
    }
    return c != NULL && c > url && *c == '\0' && c - url <= URL_MAX
           && hb_fetch_url_check(url, pool) == NULL;
}

const char *pay_base_url(const hb_op_t *op, const char *setting, const char *live,
                         const char *test)
{
    apr_size_t len = strlen(setting);

    if (len == 0) {
        return op->site->settings->payments_live ? live : test;
    }
    while (len > 0 && setting[len - 1] == '/') {
        len--;
    }
    return apr_pstrmemdup(op->pool, setting, len);
}

apr_status_t pay_no_answer(hb_op_t *op, const char *title, const hb_fetch_answer_t *answer)
{
    int later = answer->retry_after_sec > 0 ? answer->retry_after_sec : 10;

    return hb_fail_later(op, HB_E_PAY_UPSTREAM, later, "%s does not answer just now", title);
}

const char *pay_query_value(const char *query, const char *name, apr_pool_t *pool)
{
    apr_size_t name_len = strlen(name);

    while (*query != '\0') {
        apr_size_t len = strcspn(query, "&");

        if (len > name_len && query[name_len] == '=' && strncmp(query, name, name_len) == 0) {
            const char *raw = apr_pstrmemdup(pool, query + name_len + 1, len - name_len - 1);
            const char *value = apr_punescape_url(pool, raw, "", NULL, 1);

            return value != NULL && hb_utf8_is_valid(value, strlen(value)) ? value : NULL;
        }
        query += len + (query[len] == '&');
    }
    return NULL;
}

const char *pay_return_url(const hb_op_t *op, const char *provider, const char *order_id,
                           const char *tail)
{
    return apr_pstrcat(op->pool, op->site->settings->public_url, "/api/v1/payments/", provider,
                       "/return/", order_id, tail, NULL);
}

const char *pay_content_id(hb_op_t *op, const char *prefix, const char *a, const char *b)
{
    unsigned char digest[32];

    /* The 0 byte between them keeps "ab" "c" from meeting "a" "bc". */
    if (hb_sha256(digest, a, strlen(a) + 1, b, strlen(b)) != APR_SUCCESS) {
        return NULL;
    }
    return apr_pstrcat(op->pool, prefix, hb_hex(op->pool, digest, 16), NULL);
}

apr_status_t pay_came_back(hb_pay_event_t *event, hb_op_t *op, const char *prefix,
                           const hb_pay_message_t *message)
{
    event->verdict = HB_PAY_HINT;
    event->type = message->is_failure ? "return.failure" : "return";
    event->event_id = pay_content_id(op, prefix, message->order_id, message->body);
    return event->event_id != NULL ? APR_SUCCESS : HB_E_INTERNAL;
}

const char *pay_major_text(apr_pool_t *pool, apr_int64_t minor)
{
    int rest = (int)(minor % 100);

    return rest == 0 ? apr_psprintf(pool, "%" APR_INT64_T_FMT, minor / 100)
        : rest % 10 == 0 ? apr_psprintf(pool, "%" APR_INT64_T_FMT ".%d", minor / 100, rest / 10)
        : apr_psprintf(pool, "%" APR_INT64_T_FMT ".%02d", minor / 100, rest);
}

int pay_major_read(apr_int64_t *minor, const char *text)
{
    apr_int64_t n = 0;
    int digits = 0, decimals = -1;

    for (; *text != '\0'; text++) {
        if (*text == '.' && digits > 0 && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (!apr_isdigit(*text) || digits > 15) {
            return 0;
        }
        if (decimals >= 2) {
            if (*text != '0') {
                return 0;       /* no coin is that small */
            }
            continue;
        }
        n = n * 10 + (*text - '0');
        digits++;
        decimals += decimals >= 0;
    }
    if (digits == 0 || decimals == 0) {
        return 0;
    }
    *minor = decimals < 0 ? n * 100 : decimals == 1 ? n * 10 : n;
    return 1;
}

/* --- facts and verdicts --- */

void pay_fact_clear(hb_pay_fact_t *fact)
{
    memset(fact, 0, sizeof(*fact));
    fact->amount_minor = -1;
    fact->refunded_minor = -1;
    fact->is_live = -1;
}

static apr_status_t judge(hb_pay_event_t *event, hb_pay_verdict_e verdict, const char *why)
{
    memset(event, 0, sizeof(*event));
    pay_fact_clear(&event->fact);
    event->verdict = verdict;
    event->why = why;
    return APR_SUCCESS;
}

apr_status_t pay_forged(hb_pay_event_t *event, const char *why)
{
    return judge(event, HB_PAY_FORGED, why);
}

apr_status_t pay_malformed(hb_pay_event_t *event, const char *why)
{
    return judge(event, HB_PAY_MALFORMED, why);
}
