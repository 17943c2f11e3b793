/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_notice.h
 * Mails that tell a user what became of their money. What they tell of does not depend on them.
 */
#ifndef HB_NOTICE_H
#define HB_NOTICE_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * A mail to a user, for hb_mail_add() in the transaction of what it tells of. NULL when the
 * account is gone or has no address, or when no mail can be written here (which is logged).
 * @param text  what stands between "Hello NAME," and the address of the site. Waits for a read.
 */
hb_json_t *hb_notice_mail(hb_op_t *op, const char *user_id, const char *subject,
                          const char *text);

/** "NPR 200.00": minor units of a currency with two decimals. */
const char *hb_money_text(apr_pool_t *pool, apr_int64_t amount_minor, const char *currency);

#endif /* HB_NOTICE_H */
