/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_mail.h
 * Outgoing mail. A mail is first a row of HB_C_OUTBOX, so that it is kept exactly when what it
 * tells of is kept. hb_mail_run(), in a thread of each child, writes the rows into the spool, one
 * RFC 5322 file each, and hands the spool to SMTP when that is set.
 */
#ifndef HB_MAIL_H
#define HB_MAIL_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * The row of a mail in plain UTF-8 text, for hb_mail_add(). Header injection in any argument is
 * refused (HB_E_INPUT_INVALID). The text is sealed, because it may hold a code. Does not wait.
 */
apr_status_t hb_mail_prepare(hb_json_t **row, hb_op_t *op, const char *to,
                             const char *subject, const char *text);

/**
 * Insert such a row; NULL is no mail. Inside hb_store_transact the mail goes when, and only when,
 * the rest is kept. Wakes this process's hb_mail_wait(), which may be before the commit: only
 * a hint.
 */
apr_status_t hb_mail_add(hb_op_t *op, hb_json_t *row);

/** Both in one, for a mail that comes with nothing else. Waits for the store. */
apr_status_t hb_mail_send(hb_op_t *op, const char *to, const char *subject,
                          const char *text);

typedef struct hb_mail_run_t {
    int n_spooled;              /* files made of rows */
    int n_sent;                 /* files that SMTP took */
    int is_more;                /* the outbox holds more than one run takes */
} hb_mail_run_t;

/**
 * One round: the oldest rows of the outbox (64 at most) become files, named by their rows, so
 * that a round which died half-way makes no second mail; then they are removed. Then, when SMTP
 * is set, each file that is due once, oldest first; a refused or failed one stays and is tried
 * again with back-off kept in its name; a permanent refusal (5yz) moves to failed/. One process
 * of a host at a time (lock in the spool): others do nothing. Where hosts share the records each
 * takes rows of its own first; those of one that took them and went are another's after ten
 * minutes. Waits for disk, store and network.
 * @return HB_E_UPSTREAM when the server was not there or does not want us; no mail is given up
 *         over that, and for half a minute to five minutes it is not asked again;
 *         HB_E_UNAVAILABLE when the spool cannot be written, HB_E_STORE_*: nothing is lost
 */
apr_status_t hb_mail_run(hb_mail_run_t *run, hb_op_t *op);

/**
 * Sleep until hb_mail_add() was called in this process, or the time has passed; after a call a
 * tenth of a second longer, so that the mails of a moment share a round. With 0 that tenth only.
 * @return 1 once hb_mail_stop was called
 */
int hb_mail_wait(apr_interval_time_t at_most);

/**
 * This process is about to end: hb_mail_wait() returns, a round under way in another thread breaks
 * off within about a second, and no later one starts. What is left waits for the next process.
 */
void hb_mail_stop(void);

#endif /* HB_MAIL_H */
