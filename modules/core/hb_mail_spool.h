/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_mail_spool.h
 * How mail lies in the spool: one file each, "MICROSECONDS-ID.TRIES.NOTBEFORE.eml", so that names
 * sort by age and back-off survives a restart. Files under way to a name start with a dot;
 * failed/ holds what nobody would take.
 */
#ifndef HB_MAIL_SPOOL_H
#define HB_MAIL_SPOOL_H

#include <apr_pools.h>
#include <apr_time.h>

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

#endif /* HB_MAIL_SPOOL_H */
