/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread in each child that gets out what leaves the house: notices by SMS, push and to the team,
 * mail from the outbox into the spool and from there to SMTP.
 * All children try; the spool's own lock lets one of them work at a time. The thread ends
 * with the child: it is told when the child starts to stop, and waited for when its pool goes.
 */
#include "mod_halobuzz.h"

#include <apr_thread_proc.h>
#include <signal.h>

#include "hb_mail.h"
#include "hb_notice.h"

APLOG_USE_MODULE(halobuzz);

/* Mail of this child wakes the thread. This is for what another process wrote and died over, or
 * the operator's command; a look at an empty outbox costs next to nothing. */
#define EVERY_USEC apr_time_from_sec(1)

static apr_thread_t *mailer;    /* NULL when this child has none */

static void * APR_THREAD_FUNC work(apr_thread_t *thread, void *baton)
{
    hb_notice_run_t notices = { 0, 0 };
    hb_mail_run_t mails = { 0, 0, 0 };
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    (void)thread;
    (void)baton;
    /* Pools are for one thread: this one shares nothing with the child's. */
    if (apr_allocator_create(&allocator) != APR_SUCCESS
        || apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS) {
        return NULL;
    }
    apr_allocator_owner_set(allocator, pool);
    while (!hb_mail_wait(mails.is_more || notices.is_more ? 0 : EVERY_USEC)) {
        hb_op_t *op = hb_op_make(hb_ap_state.site, pool);

        op->actor.is_system = 1;
        /* They log and keep what failed. Notices make mails, so they come first; each has a lock of
         * its own, so a child that waits for SMTP keeps no other one from notices. */
        hb_notice_run(&notices, op);
        hb_mail_run(&mails, op);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;                /* and no apr_thread_exit: it would leave this frame behind */
}

void hb_ap_mail_stop(void)
{
    if (mailer != NULL) {
        hb_mail_stop();
    }
}

static apr_status_t join(void *unused)
{
    apr_status_t rv;

    (void)unused;
    hb_ap_mail_stop();
    apr_thread_join(&rv, mailer);
    mailer = NULL;
    return APR_SUCCESS;
}

void hb_ap_mail_child_init(apr_pool_t *pchild, server_rec *s)
{
    sigset_t all, before;
    apr_status_t rv;

    /* The MPM's signals are its own threads' business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = apr_thread_create(&mailer, NULL, work, NULL, pchild);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rv != APR_SUCCESS) {
        mailer = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, HBLOGNO(02050) "no thread for mail: this "
                     "process sends none");
        return;
    }
    /* Before the pool's own things (site) go. */
    apr_pool_pre_cleanup_register(pchild, NULL, join);
}
