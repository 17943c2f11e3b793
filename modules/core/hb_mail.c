/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing mail: a row of the outbox, and the message of RFC 5322 that becomes of it. From there
 * to the spool is hb_mail_outbox.c's, out of the house hb_mail_deliver.c's.
 */
#include "hb_mail.h"

#include <string.h>

#include <apr_base64.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_json.h"
#include "hb_mail_spool.h"
#include "hb_store.h"
#include "hb_time.h"

#define QP_LINE 76              /* RFC 2045: characters of a line, the soft break included */
#define WORD_BYTES 39           /* raw bytes of an encoded word: a line with it stays below 76 */
#define SUBJECT_PLAIN 60        /* longer ones are folded, as encoded words */
#define SUBJECT_MAX_BYTES 500
#define TEXT_MAX_BYTES (256 * 1024)

/* No line break and nothing else that is not text. */
static int is_header_text(const char *text)
{
    const char *c;

    for (c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return 0;
        }
    }
    return hb_utf8_is_valid(text, strlen(text));
}

static int is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text > 0x7e) {
            return 0;
        }
    }
    return 1;
}

/* RFC 2047: words of whole characters, one a line. */
static const char *encoded_words(apr_pool_t *pool, const char *text)
{
    const char *out = "";
    char *coded;
    apr_size_t n;

    while (*text != '\0') {
        n = strnlen(text, WORD_BYTES);
        while (text[n] != '\0' && ((unsigned char)text[n] & 0xc0) == 0x80) {
            n--;
        }
        coded = apr_palloc(pool, apr_base64_encode_len((int)n));
        apr_base64_encode(coded, text, (int)n);
        out = apr_pstrcat(pool, out, *out != '\0' ? "\r\n " : "", "=?UTF-8?B?", coded, "?=", NULL);
        text += n;
    }
    return out;
}

static const char *header_text(apr_pool_t *pool, const char *text)
{
    return is_ascii(text) && strlen(text) <= SUBJECT_PLAIN && strstr(text, "=?") == NULL ? text
        : encoded_words(pool, text);
}

/* The From header: the setting as it is, but for a display name that needs coding. */
static const char *sender(apr_pool_t *pool, const char *from, const char *address)
{
    const char *open = strchr(from, '<');
    char *name;
    apr_size_t n;

    if (open == NULL) {
        return address;
    }
    n = open - from;
    while (n > 0 && from[n - 1] == ' ') {
        n--;
    }
    name = apr_pstrmemdup(pool, from, n);
    if (n == 0) {
        return address;
    }
    if (strpbrk(name, "()<>@,;:\\\".[]") == NULL) {
        name = (char *)header_text(pool, name);
    }
    else {
        name = (char *)encoded_words(pool, name);
    }
    return apr_psprintf(pool, "%s <%s>", name, address);
}

static const char *date_text(apr_pool_t *pool, apr_time_t when)
{
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, when);
    return apr_psprintf(pool, "%s, %02d %s %d %02d:%02d:%02d +0000", apr_day_snames[t.tm_wday],
                        t.tm_mday, apr_month_snames[t.tm_mon], t.tm_year + 1900, t.tm_hour,
                        t.tm_min, t.tm_sec);
}

/*
 * Quoted-printable always: it passes every server, whatever the length of a line and the
 * script it is written in. Line ends of any kind become CRLF.
 */
static char *quoted_printable(apr_pool_t *pool, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(pool, strlen(text) * 4 + 8);
    char *to = out;
    int column = 0, width, plain;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\n' || (c == '\r' && text[1] == '\n')) {
            text += c == '\r';
            *to++ = '\r';
            *to++ = '\n';
            column = 0;
            continue;
        }
        plain = (c > 32 && c < 127 && c != '=')
            || ((c == ' ' || c == '\t') && text[1] != '\0' && text[1] != '\r' && text[1] != '\n');
        width = plain ? 1 : 3;
        if (column + width > QP_LINE - 1) {
            memcpy(to, "=\r\n", 3);
            to += 3;
            column = 0;
        }
        if (plain) {
            *to++ = (char)c;
        }
        else {
            *to++ = '=';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
        column += width;
    }
    if (column != 0) {
        *to++ = '\r';
        *to++ = '\n';
    }
    *to = '\0';
    return out;
}

const char *hb_mail_sender(hb_op_t *op)
{
    const char *from = op->site->settings->mail_from;

    return is_header_text(from) ? hb_mail_address(from, op->pool) : NULL;
}

/* Bound to the row, so that nobody who can write records makes us send one mail's text to
 * another's address. */
static const char *seal_purpose(apr_pool_t *pool, const char *id, const char *to)
{
    return apr_pstrcat(pool, "mail.", id, ".", to, NULL);
}

apr_status_t hb_mail_prepare(hb_json_t **row, hb_op_t *op, const char *to,
                             const char *subject, const char *text)
{
    const char *recipient = hb_mail_address(to, op->pool), *id, *sealed;
    apr_status_t rv;

    *row = NULL;
    /* A display name is for senders: whom a mail goes to is an address and no more. */
    if (recipient == NULL || strcmp(recipient, to) != 0 || !is_header_text(subject)
        || strlen(subject) > SUBJECT_MAX_BYTES || strlen(text) > TEXT_MAX_BYTES
        || !hb_utf8_is_valid(text, strlen(text))) {
        return hb_fail(op, HB_E_INPUT_INVALID, "this cannot be sent as mail");
    }
    if (hb_mail_sender(op) == NULL) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00153) "no mail: HaloBuzzMailFrom is neither "
               "name@host nor Name <name@host>");
        return hb_fail(op, HB_E_CONFIG, NULL);
    }
    id = hb_id_make(op);
    rv = hb_seal(&sealed, op, seal_purpose(op->pool, id, recipient), text, strlen(text));
    if (rv != APR_SUCCESS) {
        return hb_fail(op, rv, NULL);
    }
    *row = hb_json_object_make(op->pool);
    hb_json_set_string(*row, "_id", id);
    hb_json_set_string(*row, "to", recipient);
    hb_json_set_string(*row, "subject", subject);
    hb_json_set_string(*row, "text", sealed);
    hb_json_set_string(*row, "requestId", op->request_id);
    hb_json_set_int(*row, "createdAt", hb_time_to_msec(op->now));
    return APR_SUCCESS;
}

apr_status_t hb_mail_add(hb_op_t *op, hb_json_t *row)
{
    apr_status_t rv;

    if (row == NULL) {
        return APR_SUCCESS;
    }
    rv = hb_store_insert(NULL, op, HB_C_OUTBOX, row);
    if (rv == APR_SUCCESS) {
        hb_mail_wake();
    }
    return rv;
}

apr_status_t hb_mail_send(hb_op_t *op, const char *to, const char *subject, const char *text)
{
    hb_json_t *row;
    apr_status_t rv = hb_mail_prepare(&row, op, to, subject, text);

    return rv == APR_SUCCESS ? hb_mail_add(op, row) : rv;
}

apr_status_t hb_mail_message(const char **message, hb_mail_name_t *name, hb_op_t *op,
                             const hb_json_t *row, apr_pool_t *pool)
{
    const char *setting = op->site->settings->mail_from, *from = hb_mail_sender(op);
    const char *id = hb_json_string(row, "_id"), *to = hb_json_string(row, "to");
    const char *subject = hb_json_string(row, "subject"), *text = hb_json_string(row, "text");
    const char *request_id = hb_json_string(row, "requestId");
    apr_time_t at = hb_time_from_msec(hb_json_int(row, "createdAt", 0));
    apr_status_t rv;
    apr_size_t len;

    if (from == NULL) {
        return HB_E_CONFIG;
    }
    if (to == NULL || subject == NULL || text == NULL || request_id == NULL || at <= 0) {
        return HB_E_STORE_DAMAGED;
    }
    rv = hb_unseal(&text, &len, op, seal_purpose(pool, id, to), text);
    if (rv != APR_SUCCESS) {
        return rv == HB_E_TOKEN_INVALID ? HB_E_STORE_DAMAGED : rv;
    }
    *name = (hb_mail_name_t){ at, id, 0, 0 };
    *message = apr_pstrcat(pool,
        "Date: ", date_text(pool, at), "\r\n"
        "From: ", sender(pool, setting, from), "\r\n"
        "To: ", to, "\r\n"
        "Subject: ", header_text(pool, subject), "\r\n"
        "Message-ID: <", request_id, ".", id, strchr(from, '@'), ">\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n", quoted_printable(pool, text), NULL);
    return APR_SUCCESS;
}
