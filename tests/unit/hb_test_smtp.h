/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_test_smtp.h
 * A mail server of this process: one thread, 127.0.0.1, no TLS. What it answers is said by the
 * recipient's name: later@ gets 451, gone@ 550, spam@ 554 after the text, drop@ no
 * answer but a closed door, all others 250.
 */
#ifndef HB_TEST_SMTP_H
#define HB_TEST_SMTP_H

#include <apr_pools.h>
#include <apr_tables.h>

typedef struct hb_test_smtp_t hb_test_smtp_t;

#define HB_TEST_SMTP_MAX 64

/** A mail it took. */
typedef struct hb_test_mail_t {
    char from[256], to[256];
    char text[65536];
} hb_test_mail_t;

/** Start; port is chosen by the system. */
hb_test_smtp_t *hb_test_smtp_start(apr_pool_t *pool);
/** smtp://127.0.0.1:port */
const char *hb_test_smtp_url(const hb_test_smtp_t *smtp);
/** A line such as "554 go away" to greet with from now on; NULL greets friendly again. */
void hb_test_smtp_greet(hb_test_smtp_t *smtp, const char *line);
/** From now on mail is taken from this account only; wrong words get 535. */
void hb_test_smtp_account(hb_test_smtp_t *smtp, const char *user, const char *password);
/** Stop listening; what was taken stays readable. */
void hb_test_smtp_stop(hb_test_smtp_t *smtp);

int hb_test_smtp_count(hb_test_smtp_t *smtp);
const hb_test_mail_t *hb_test_smtp_mail(hb_test_smtp_t *smtp, int i);
/** How many RCPT commands came, taken or not. */
int hb_test_smtp_attempts(hb_test_smtp_t *smtp);

#endif /* HB_TEST_SMTP_H */
