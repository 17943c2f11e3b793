/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail that nobody took: where no SMTP server is set and nobody else empties the spool, all of it;
 * where there is one, what that refused for good. What waits for that server is hb_mail_deliver.c's
 * to give up. Names tell the age, so no file is looked at.
 */
#include "hb_mail_spool.h"

#include <errno.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_strings.h>

#include "hb_settings.h"
#include "hb_site.h"

#define AT_ONCE 1000            /* files; others wait for the lock meanwhile */

/* A mail, or what a writer that died left of one. */
static int is_old(const char *file, apr_time_t until, apr_pool_t *pool)
{
    hb_mail_name_t name;

    return hb_mail_name_read(&name, file[0] == '.' ? file + 1 : file, pool)
        && name.written_at < until;
}

/* @return how many went */
static int tidy(hb_op_t *op, const char *dir, apr_time_t until, int most)
{
    apr_finfo_t info;
    apr_pool_t *pool;
    apr_dir_t *all;
    int n = 0;

    apr_pool_create(&pool, op->pool);
    if (apr_dir_open(&all, dir, op->pool) != APR_SUCCESS) {
        return 0;               /* there was never one that failed */
    }
    while (n < most && !hb_mail_is_stopped()
           && apr_dir_read(&info, APR_FINFO_NAME, all) == APR_SUCCESS) {
        if (is_old(info.name, until, pool)) {
            if (unlink(apr_pstrcat(pool, dir, "/", info.name, NULL)) == 0) {
                n++;
            }
            else if (errno != ENOENT) {
                hb_mail_complain(op, APR_FROM_OS_ERROR(errno),
                    apr_psprintf(op->pool, HBLOGNO(00528) "old mail in %s cannot be removed", dir));
                break;
            }
        }
        apr_pool_clear(pool);
    }
    apr_dir_close(all);
    apr_pool_destroy(pool);
    return n;
}

int hb_mail_tidy(hb_op_t *op)
{
    const hb_settings_t *settings = op->site->settings;
    const char *spool = settings->mail_spool;
    apr_time_t until = op->now - settings->mail_keep;
    int n = 0;

    if (settings->mail_keep == 0) {
        return 0;
    }
    if (*settings->smtp_url == '\0') {
        n = tidy(op, spool, until, AT_ONCE);
    }
    n += tidy(op, apr_pstrcat(op->pool, spool, "/" HB_MAIL_FAILED, NULL), until, AT_ONCE - n);
    if (n > 0) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00529) "%d mails in %s that nobody took for longer than "
               "HaloBuzzMailKeep are removed", n, spool);
    }
    return n == AT_ONCE;
}
