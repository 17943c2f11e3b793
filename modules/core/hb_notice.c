/* SPDX-License-Identifier: Apache-2.0 */
/* Mails about money. */
#include "hb_notice.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_mail.h"
#include "hb_user.h"

hb_json_t *hb_notice_mail(hb_op_t *op, const char *user_id, const char *subject,
                          const char *text)
{
    hb_json_t *user, *row = NULL;
    apr_status_t rv = hb_user_load(&user, op, user_id);
    const char *email = rv == APR_SUCCESS ? hb_json_string(user, "email") : NULL;

    if (email == NULL) {
        hb_op_recover(op);
        return NULL;
    }
    rv = hb_mail_prepare(&row, op, email, subject,
                         apr_psprintf(op->pool, "Hello %s,\n\n%s\n\n%s\n",
                                      hb_json_string(user, "username"), text,
                                      op->site->settings->public_url));
    if (rv != APR_SUCCESS) {
        hb_op_recover(op);
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00417) "mail to user %s could not be written: %s",
               user_id, subject);
    }
    return row;
}

const char *hb_money_text(apr_pool_t *pool, apr_int64_t amount_minor, const char *currency)
{
    char *text = apr_psprintf(pool, "%s %" APR_INT64_T_FMT ".%02d", currency,
                              amount_minor / 100, (int)(amount_minor % 100));
    char *c;

    for (c = text; apr_islower(*c); c++) {
        *c = (char)apr_toupper(*c);
    }
    return text;
}
