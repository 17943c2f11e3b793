/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways out of the house by HTTP. SMS is Twilio's call, which others offer too; push is
 * a hook of the operator's that knows devices (FCM, APNs) and checks our signature; the
 * team's channel is an incoming webhook of Slack's shape, whose address is a secret.
 */
#include "hb_notice_private.h"

#include <string.h>

#include <apr_base64.h>
#include <apr_escape.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_fetch.h"
#include "hb_store.h"
#include "hb_time.h"

#define WAIT_USEC apr_time_from_sec(10)
#define SMS_MAX_BYTES 1600
#define ANSWER_MAX_BYTES 16384

static const char *without_slash(apr_pool_t *pool, const char *url)
{
    apr_size_t n = strlen(url);

    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    return apr_pstrmemdup(pool, url, n);
}

static const char *idempotency(const hb_op_t *op, const char *key)
{
    return apr_pstrcat(op->pool, "Idempotency-Key: ", key, NULL);
}

static hb_notice_verdict_e judge(const char **why, int *after_sec, hb_op_t *op,
                                 const hb_fetch_t *fetch)
{
    hb_fetch_answer_t answer;
    apr_status_t rv = hb_fetch(&answer, op, fetch);

    *after_sec = answer.retry_after_sec;
    if (rv != APR_SUCCESS) {
        *why = answer.why;
        return HB_NOTICE_SILENT;
    }
    *why = apr_psprintf(op->pool, "%s answered %d", fetch->service, answer.status);
    if (answer.status >= 200 && answer.status < 300) {
        return HB_NOTICE_SENT;
    }
    /* These say that this message is wrong. What else is refused (a key, an address) an
     * operator can put right while it waits. */
    return answer.status == 400 || answer.status == 410 || answer.status == 413
        || answer.status == 422 ? HB_NOTICE_NEVER : HB_NOTICE_LATER;
}

static hb_notice_verdict_e not_set(const char **why, const char *what)
{
    *why = what;
    return HB_NOTICE_LATER;
}

/* --- SMS --- */

static const char *basic_auth(const hb_op_t *op, const char *user, const char *password)
{
    const char *plain = apr_pstrcat(op->pool, user, ":", password, NULL);
    int len = (int)strlen(plain);
    char *coded = apr_palloc(op->pool, apr_base64_encode_len(len));

    apr_base64_encode(coded, plain, len);
    return apr_pstrcat(op->pool, "Authorization: Basic ", coded, NULL);
}

static hb_notice_verdict_e send_sms(const char **why, int *after_sec, hb_op_t *op,
                                    const char *to, const char *text, const char *key)
{
    const hb_settings_t *settings = op->site->settings;
    const char *headers[3] = { NULL };
    hb_fetch_t fetch = { .service = "sms", .method = "POST", .headers = headers,
                         .type = "application/x-www-form-urlencoded", .wait_usec = WAIT_USEC,
                         .answer_max_bytes = ANSWER_MAX_BYTES };

    if (*settings->sms_account == '\0' || op->site->sms_token == NULL) {
        return not_set(why, "HaloBuzzSMSAccount and HaloBuzzSMSToken are not set");
    }
    fetch.url = apr_pstrcat(op->pool, without_slash(op->pool, settings->sms_url),
                            "/2010-04-01/Accounts/",
                            apr_pescape_urlencoded(op->pool, settings->sms_account),
                            "/Messages.json", NULL);
    headers[0] = basic_auth(op, settings->sms_account, op->site->sms_token);
    headers[1] = idempotency(op, key);
    fetch.body = apr_pstrcat(op->pool, "To=", apr_pescape_urlencoded(op->pool, to), "&From=",
                             apr_pescape_urlencoded(op->pool, settings->sms_from), "&Body=",
                             apr_pescape_urlencoded(op->pool,
                                                    hb_utf8_cut(op->pool, text, SMS_MAX_BYTES)),
                             NULL);
    fetch.len = strlen(fetch.body);
    return judge(why, after_sec, op, &fetch);
}

/* --- push --- */

/* "t=SECONDS,v1=HEX": HMAC-SHA256 of "SECONDS.BODY", as Stripe signs. */
static const char *signature(const hb_op_t *op, const char *body)
{
    const char *start = apr_psprintf(op->pool, "%" APR_TIME_T_FMT ".", apr_time_sec(op->now));
    const char *secret = op->site->push_secret;
    const hb_bytes_t parts[] = { { start, strlen(start) }, { body, strlen(body) } };
    unsigned char mac[32];

    if (hb_hmac_sha256_parts(mac, secret, strlen(secret), parts, 2) != APR_SUCCESS) {
        return NULL;
    }
    return apr_psprintf(op->pool, "X-HaloBuzz-Signature: t=%.*s,v1=%s", (int)strlen(start) - 1,
                        start, hb_hex(op->pool, mac, sizeof(mac)));
}

static hb_notice_verdict_e send_push(const char **why, int *after_sec, hb_op_t *op,
                                     const hb_notice_reader_t *reader, hb_notice_e kind,
                                     const hb_json_t *values, const char *key)
{
    const char *headers[3] = { NULL };
    hb_fetch_t fetch = { .service = "push", .method = "POST", .headers = headers,
                         .type = "application/json", .url = op->site->settings->push_url,
                         .wait_usec = WAIT_USEC, .answer_max_bytes = ANSWER_MAX_BYTES };
    hb_json_t *doc = hb_json_object_make(op->pool), *body;

    if (*fetch.url == '\0' || op->site->push_secret == NULL) {
        return not_set(why, "HaloBuzzPushURL and HaloBuzzPushSecret are not set");
    }
    hb_json_set_string(doc, "_id", key);
    hb_json_set_string(doc, "kind", hb_notice_row(kind)->name);
    hb_json_set_string(doc, "audience", reader->user_id);
    hb_json_set(doc, "values", hb_json_copy(values, op->pool));
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    body = hb_notice_view(op, reader, doc, 0);
    hb_json_remove(body, "read");
    hb_json_remove(body, "toAll");
    hb_json_set_string(body, "userId", reader->user_id);
    hb_json_set_string(body, "language", reader->language);
    fetch.body = hb_json_text(body, op->pool, &fetch.len);
    headers[0] = signature(op, fetch.body);
    headers[1] = idempotency(op, key);
    if (headers[0] == NULL) {
        return not_set(why, "the message cannot be signed");
    }
    return judge(why, after_sec, op, &fetch);
}

/* --- the team --- */

/* Slack takes & < > for its own. */
static const char *escaped(apr_pool_t *pool, const char *text)
{
    char *out = apr_palloc(pool, strlen(text) * 5 + 1), *to = out;

    for (; *text != '\0'; text++) {
        const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;"
            : *text == '>' ? "&gt;" : NULL;

        if (as != NULL) {
            to = apr_cpystrn(to, as, 6);
        }
        else {
            *to++ = *text;
        }
    }
    *to = '\0';
    return out;
}

static hb_notice_verdict_e send_team(const char **why, int *after_sec, hb_op_t *op,
                                     const char *title, const char *text, const char *key)
{
    const char *headers[2] = { NULL };
    hb_fetch_t fetch = { .service = "team", .method = "POST", .headers = headers,
                         .type = "application/json", .url = op->site->team_hook,
                         .is_path_secret = 1,
                         .wait_usec = WAIT_USEC, .answer_max_bytes = ANSWER_MAX_BYTES };
    hb_json_t *body = hb_json_object_make(op->pool);

    if (fetch.url == NULL) {
        return not_set(why, "HaloBuzzTeamHook is not set");
    }
    hb_json_set_string(body, "text", apr_pstrcat(op->pool, "*", escaped(op->pool, title), "*\n",
                                                 escaped(op->pool, text), NULL));
    fetch.body = hb_json_text(body, op->pool, &fetch.len);
    headers[0] = idempotency(op, key);
    return judge(why, after_sec, op, &fetch);
}

/* --- either --- */

hb_notice_verdict_e hb_notice_send(const char **why, int *after_sec, hb_op_t *op,
                                   unsigned int way, const hb_notice_reader_t *reader,
                                   hb_notice_e kind, const hb_json_t *values, const char *key)
{
    const char *title = hb_notice_title(op, reader, kind, values);
    const char *text = hb_notice_text(op, reader, kind, values);

    *after_sec = 0;
    switch (way) {
    case HB_BY_SMS:
        return send_sms(why, after_sec, op, reader->phone,
                        apr_pstrcat(op->pool, title, ". ", text, NULL), key);
    case HB_BY_PUSH:
        return send_push(why, after_sec, op, reader, kind, values, key);
    default:
        return send_team(why, after_sec, op, title, text, key);
    }
}

apr_status_t hb_notice_try(const char **said, hb_op_t *op, unsigned int way, const char *to)
{
    hb_json_t *values = hb_json_object_make(op->pool);
    hb_notice_verdict_e verdict;
    hb_notice_reader_t reader;
    int after_sec;

    hb_notice_reader_any(&reader, op);
    reader.user_id = way == HB_BY_PUSH ? to : NULL;
    reader.phone = to;
    hb_json_set_int(values, "at", hb_time_to_msec(op->now));
    verdict = hb_notice_send(said, &after_sec, op, way, &reader, HB_N_TEST, values,
                             hb_id_make(op));
    return verdict == HB_NOTICE_SENT ? APR_SUCCESS : HB_E_UPSTREAM;
}
