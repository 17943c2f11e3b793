/* SPDX-License-Identifier: Apache-2.0 */
/* A mail server for tests, as small as libcurl lets it be. */
#include "hb_test_smtp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_base64.h>
#include <apr_strings.h>

#include <check.h>

struct hb_test_smtp_t {
    int fd;
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    const char *greeting;       /* NULL: friendly */
    const char *account;        /* base64 of \0user\0password; NULL: anybody */
    const char *url;
    apr_pool_t *pool;
    int n_mails, attempts;
    hb_test_mail_t *mails;
};

static void say(FILE *out, const char *line)
{
    fputs(line, out);
    fputs("\r\n", out);
    fflush(out);
}

static void between(char *to, apr_size_t size, const char *line)
{
    const char *open = strchr(line, '<'), *close = open != NULL ? strchr(open, '>') : NULL;

    *to = '\0';
    if (close != NULL && (apr_size_t)(close - open) < size) {
        apr_cpystrn(to, open + 1, close - open);
    }
}

/* The text up to the lone dot; dots that the client doubled lose one. */
static void take_text(hb_test_mail_t *mail, FILE *in)
{
    char line[2048];
    apr_size_t used = 0;

    while (fgets(line, sizeof(line), in) != NULL && strcmp(line, ".\r\n") != 0) {
        const char *from = line[0] == '.' ? line + 1 : line;

        if (used + strlen(from) < sizeof(mail->text)) {
            strcpy(mail->text + used, from);
            used += strlen(from);
        }
    }
}

static void serve(hb_test_smtp_t *smtp, FILE *in, FILE *out)
{
    static const char *const refusals[][2] = {
        { "later@", "451 try again" }, { "gone@", "550 no such user" }
    };
    const char *greeting, *account, *answer;
    hb_test_mail_t mail;
    char line[2048];
    int known;
    apr_size_t i;

    pthread_mutex_lock(&smtp->lock);
    greeting = smtp->greeting;
    account = smtp->account;
    pthread_mutex_unlock(&smtp->lock);
    known = account == NULL;
    say(out, greeting != NULL ? greeting : "220 ready");
    while (fgets(line, sizeof(line), in) != NULL) {
        if (strncasecmp(line, "EHLO", 4) == 0) {
            say(out, account != NULL ? "250-here\r\n250 AUTH PLAIN" : "250 here");
        }
        else if (strncasecmp(line, "AUTH PLAIN", 10) == 0) {
            if (strlen(line) < 13) {
                say(out, "334 ");
                if (fgets(line, sizeof(line), in) == NULL) {
                    return;
                }
            }
            known = account != NULL && strstr(line, account) != NULL;
            say(out, known ? "235 welcome" : "535 wrong words");
        }
        else if (strncasecmp(line, "MAIL", 4) == 0) {
            memset(&mail, 0, sizeof(mail));
            between(mail.from, sizeof(mail.from), line);
            say(out, known ? "250 ok" : "530 sign in first");
        }
        else if (strncasecmp(line, "RCPT", 4) == 0) {
            between(mail.to, sizeof(mail.to), line);
            answer = "250 ok";
            for (i = 0; i < 2; i++) {
                if (strncmp(mail.to, refusals[i][0], strlen(refusals[i][0])) == 0) {
                    answer = refusals[i][1];
                }
            }
            pthread_mutex_lock(&smtp->lock);
            smtp->attempts++;
            pthread_mutex_unlock(&smtp->lock);
            say(out, answer);
        }
        else if (strncasecmp(line, "DATA", 4) == 0) {
            say(out, "354 go on");
            take_text(&mail, in);
            if (strncmp(mail.to, "drop@", 5) == 0) {
                return;
            }
            if (strncmp(mail.to, "spam@", 5) == 0) {
                say(out, "554 we do not want this");
                continue;
            }
            pthread_mutex_lock(&smtp->lock);
            if (smtp->n_mails < HB_TEST_SMTP_MAX) {
                smtp->mails[smtp->n_mails++] = mail;
            }
            pthread_mutex_unlock(&smtp->lock);
            say(out, "250 taken");
        }
        else if (strncasecmp(line, "QUIT", 4) == 0) {
            say(out, "221 bye");
            return;
        }
        else {
            say(out, strncasecmp(line, "RSET", 4) == 0 ? "250 ok" : "502 what?");
        }
    }
}

static void *run(void *baton)
{
    hb_test_smtp_t *smtp = baton;
    FILE *in, *out;
    int fd;

    while ((fd = accept(smtp->fd, NULL, NULL)) >= 0) {
        in = fdopen(fd, "r");
        out = fdopen(dup(fd), "w");
        serve(smtp, in, out);
        fclose(out);
        fclose(in);
    }
    return NULL;
}

hb_test_smtp_t *hb_test_smtp_start(apr_pool_t *pool)
{
    hb_test_smtp_t *smtp = apr_pcalloc(pool, sizeof(*smtp));
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof(address);

    smtp->pool = pool;
    smtp->mails = apr_pcalloc(pool, HB_TEST_SMTP_MAX * sizeof(*smtp->mails));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    smtp->fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(smtp->fd, 0);
    ck_assert_int_eq(bind(smtp->fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(smtp->fd, 8), 0);
    ck_assert_int_eq(getsockname(smtp->fd, (struct sockaddr *)&address, &len), 0);
    smtp->port = ntohs(address.sin_port);
    smtp->url = apr_psprintf(pool, "smtp://127.0.0.1:%d", smtp->port);
    pthread_mutex_init(&smtp->lock, NULL);
    ck_assert_int_eq(pthread_create(&smtp->thread, NULL, run, smtp), 0);
    return smtp;
}

const char *hb_test_smtp_url(const hb_test_smtp_t *smtp)
{
    return smtp->url;
}

void hb_test_smtp_greet(hb_test_smtp_t *smtp, const char *line)
{
    pthread_mutex_lock(&smtp->lock);
    smtp->greeting = line;
    pthread_mutex_unlock(&smtp->lock);
}

void hb_test_smtp_account(hb_test_smtp_t *smtp, const char *user, const char *password)
{
    apr_size_t n = strlen(user), m = strlen(password);
    char *words = apr_pcalloc(smtp->pool, n + m + 3);
    char *coded = apr_palloc(smtp->pool, apr_base64_encode_len((int)(n + m + 2)));

    memcpy(words + 1, user, n);
    memcpy(words + n + 2, password, m);
    apr_base64_encode(coded, words, (int)(n + m + 2));
    pthread_mutex_lock(&smtp->lock);
    smtp->account = coded;
    pthread_mutex_unlock(&smtp->lock);
}

void hb_test_smtp_stop(hb_test_smtp_t *smtp)
{
    shutdown(smtp->fd, SHUT_RDWR);
    pthread_join(smtp->thread, NULL);
    close(smtp->fd);
}

int hb_test_smtp_count(hb_test_smtp_t *smtp)
{
    int n;

    pthread_mutex_lock(&smtp->lock);
    n = smtp->n_mails;
    pthread_mutex_unlock(&smtp->lock);
    return n;
}

const hb_test_mail_t *hb_test_smtp_mail(hb_test_smtp_t *smtp, int i)
{
    return &smtp->mails[i];
}

int hb_test_smtp_attempts(hb_test_smtp_t *smtp)
{
    int n;

    pthread_mutex_lock(&smtp->lock);
    n = smtp->attempts;
    pthread_mutex_unlock(&smtp->lock);
    return n;
}
