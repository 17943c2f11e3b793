/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_mail_spool.h
 * What the parts of mail share. How it lies in the spool: one file each,
 * "MICROSECONDS-ID.TRIES.NOTBEFORE.eml", so that names sort by age and back-off survives a
 * restart. Files under way to a name start with a dot; failed/ holds what nobody would
 * take.
 */
#ifndef HB_MAIL_SPOOL_H
#define HB_MAIL_SPOOL_H

#include "hb_json.h"
#include "hb_op.h"

#define HB_MAIL_LOCK ".lock"
#define HB_MAIL_FAILED "failed"
#define HB_MAIL_SUFFIX ".eml"

typedef struct hb_mail_name_t {
    apr_time_t written_at;
    const char *id;             /* letters, digits, _ and - */
    int tries;
    apr_time_t not_before;
} hb_mail_name_t;

const char *hb_mail_name_text(const hb_mail_name_t *name, apr_pool_t *pool);
/** 0 when a file is not ours. */
int hb_mail_name_read(hb_mail_name_t *name, const char *text, apr_pool_t *pool);

/** The bare address of "a@b" or "Name <a@b>"; NULL when it is not fit for a header and SMTP. */
const char *hb_mail_address(const char *text, apr_pool_t *pool);

/** The bare address of HaloBuzzMailFrom; NULL when that is not fit. */
const char *hb_mail_sender(hb_op_t *op);

/**
 * The message and the file's name of a row, both in pool or the row's own.
 * @return HB_E_STORE_DAMAGED when no mail will ever come of it, HB_E_CONFIG for a bad sender
 */
apr_status_t hb_mail_message(const char **message, hb_mail_name_t *name, hb_op_t *op,
                             const hb_json_t *row, apr_pool_t *pool);

/** Log what keeps mail from going as an error, but once while it lasts: rounds are many. */
void hb_mail_complain(hb_op_t *op, apr_status_t rv, const char *line);

/** Has hb_mail_add something for hb_mail_wait? */
void hb_mail_wake(void);
int hb_mail_is_stopped(void);

/** Hand the spool to SMTP; lock is the lock file, which is held. */
apr_status_t hb_mail_deliver(int *n_sent, hb_op_t *op, int lock);

/**
 * Remove what nobody took for HaloBuzzMailKeep. The lock is held.
 * @return 1 when there may be more of it
 */
int hb_mail_tidy(hb_op_t *op);

#endif /* HB_MAIL_SPOOL_H */
