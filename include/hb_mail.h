/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_mail.h
 * Outgoing mail. Sending writes one RFC 5322 file into the spool (temporary name, fsync,
 * rename) and returns; hb_mail_deliver() hands spooled files to SMTP when that is set.
 */
#ifndef HB_MAIL_H
#define HB_MAIL_H

#include "hb_op.h"

/** Plain UTF-8 text. Header injection in any argument is refused. Waits for the disk. */
apr_status_t hb_mail_send(hb_op_t *op, const char *to, const char *subject,
                          const char *text);

/**
 * The same without waiting for the disk: for mail that the user can ask for again (codes), where
 * two syncs would cost more than all the rest of a registration. A power failure in the next
 * seconds may lose it.
 */
apr_status_t hb_mail_send_unsynced(hb_op_t *op, const char *to, const char *subject,
                                   const char *text);

/**
 * Deliver what waits: each file once, oldest first; a refused or failed one stays and is tried
 * again with back-off kept in its name; a permanent refusal (5yz) moves to failed/. One process
 * of a host at a time (lock in the spool). Does nothing when SMTP is not set. Waits for the network.
 * @return HB_E_UPSTREAM when the server was not there or does not want us; no mail is given up
 *         over that, and calls of the next half to five minutes do nothing
 */
apr_status_t hb_mail_deliver(int *n_sent, hb_op_t *op);

/**
 * This process is about to end: a delivery under way in another thread breaks off within
 * about a second, and no later one starts. What was not delivered stays in the spool.
 */
void hb_mail_stop(void);

#endif /* HB_MAIL_H */
