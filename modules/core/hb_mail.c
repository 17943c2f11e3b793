/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing mail: a message of RFC 5322 with a UTF-8 text, put into the spool as one whole
 * file or not at all. Getting it out of the house is hb_mail_deliver.c's.
 */
#include "hb_mail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <apr_base64.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_crypto.h"
#include "hb_json.h"
#include "hb_mail_spool.h"
#include "hb_metrics.h"

#define ID_BYTES 9
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

static int write_all(int fd, const char *text, apr_size_t len)
{
    ssize_t n;

    while (len > 0) {
        n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : ENOSPC;
        }
        text += n;
        len -= n;
    }
    return 0;
}

/*
 * All of a file under its name, or nothing of it. Gives an errno. Unsynced, a power failure may
 * leave it empty, which delivery refuses.
 */
static int spool(apr_pool_t *pool, const char *dir, const char *name, const char *message,
                 int is_synced)
{
    const char *temporary = apr_pstrcat(pool, dir, "/.", name, NULL);
    int fd, dir_fd, problem;

    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    problem = write_all(fd, message, strlen(message));
    if (problem == 0 && is_synced && fsync(fd) != 0) {
        problem = errno;
    }
    if (close(fd) != 0 && problem == 0) {
        problem = errno;
    }
    if (problem == 0 && rename(temporary, apr_pstrcat(pool, dir, "/", name, NULL)) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        unlink(temporary);
    }
    if (problem != 0 || !is_synced) {
        return problem;
    }
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd >= 0) {
        if (fsync(dir_fd) != 0) {
            problem = errno;
        }
        close(dir_fd);
    }
    return problem;
}

static apr_status_t spool_mail(hb_op_t *op, const char *to, const char *subject,
                               const char *text, int is_synced)
{
    const hb_settings_t *settings = op->site->settings;
    const char *recipient = hb_mail_address(to, op->pool), *from, *message;
    hb_mail_name_t name = { op->now, NULL, 0, 0 };
    int problem;

    /* A display name is for senders: whom a mail goes to is an address and no more. */
    if (recipient == NULL || strcmp(recipient, to) != 0 || !is_header_text(subject)
        || strlen(subject) > SUBJECT_MAX_BYTES || strlen(text) > TEXT_MAX_BYTES
        || !hb_utf8_is_valid(text, strlen(text))) {
        return hb_fail(op, HB_E_INPUT_INVALID, "this cannot be sent as mail");
    }
    from = is_header_text(settings->mail_from) ? hb_mail_address(settings->mail_from, op->pool)
        : NULL;
    if (from == NULL) {
        hb_log(op, HB_LOG_ERR, 0, HBLOGNO(00153) "no mail: HaloBuzzMailFrom is neither "
               "name@host nor Name <name@host>");
        return hb_fail(op, HB_E_CONFIG, NULL);
    }
    name.id = hb_random_token(op, ID_BYTES);
    if (name.id == NULL) {
        return HB_E_INTERNAL;
    }
    message = apr_pstrcat(op->pool,
        "Date: ", date_text(op->pool, op->now), "\r\n"
        "From: ", sender(op->pool, settings->mail_from, from), "\r\n"
        "To: ", recipient, "\r\n"
        "Subject: ", header_text(op->pool, subject), "\r\n"
        "Message-ID: <", op->request_id, ".", name.id, strchr(from, '@'), ">\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n", quoted_printable(op->pool, text), NULL);
    problem = spool(op->pool, settings->mail_spool, hb_mail_name_text(&name, op->pool), message,
                    is_synced);
    if (problem != 0) {
        hb_log(op, HB_LOG_ERR, APR_FROM_OS_ERROR(problem),
               HBLOGNO(00154) "mail cannot be written into %s", settings->mail_spool);
        return hb_fail(op, HB_E_UNAVAILABLE, "mail cannot be sent just now");
    }
    hb_metric_add(op->site->metrics, HB_M_MAIL_SPOOLED, 1);
    return APR_SUCCESS;
}

apr_status_t hb_mail_send(hb_op_t *op, const char *to, const char *subject, const char *text)
{
    return spool_mail(op, to, subject, text, 1);
}

apr_status_t hb_mail_send_unsynced(hb_op_t *op, const char *to, const char *subject,
                                   const char *text)
{
    return spool_mail(op, to, subject, text, 0);
}
