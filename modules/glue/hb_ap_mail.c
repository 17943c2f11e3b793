/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread in each child that hands spooled mail to SMTP. All children try; the spool's own
 * lock lets one of them work at a time. The thread ends with the child: it is told when the
 * child starts to stop, and waited for when its pool goes.
 */
#include "mod_halobuzz.h"

#include <apr_strings.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
#include <signal.h>

#include "hb_mail.h"

APLOG_USE_MODULE(halobuzz);

#define EVERY_USEC apr_time_from_sec(3)

static struct {
    apr_thread_t *thread;       /* NULL when this child has none */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    int stops;
} mailer;

/* 1 when it is time to end. */
static int rest(void)
{
    int stops;

    apr_thread_mutex_lock(mailer.mutex);
    if (!mailer.stops) {
        apr_thread_cond_timedwait(mailer.cond, mailer.mutex, EVERY_USEC);
    }
    stops = mailer.stops;
    apr_thread_mutex_unlock(mailer.mutex);
    return stops;
}

static void * APR_THREAD_FUNC deliver(apr_thread_t *thread, void *baton)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;
    int n_sent;

    (void)thread;
    (void)baton;
    /* Pools are for one thread: this one shares nothing with the child's. */
    if (apr_allocator_create(&allocator) != APR_SUCCESS
        || apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS) {
        return NULL;
    }
    apr_allocator_owner_set(allocator, pool);
    while (!rest()) {
        hb_op_t *op = hb_op_make(hb_ap_state.site, pool);

        op->actor.is_system = 1;
        hb_mail_deliver(&n_sent, op);   /* it logs and keeps what failed */
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;                /* and no apr_thread_exit: it would leave this frame behind */
}

void hb_ap_mail_stop(void)
{
    if (mailer.thread != NULL) {
        hb_mail_stop();
        apr_thread_mutex_lock(mailer.mutex);
        mailer.stops = 1;
        apr_thread_cond_signal(mailer.cond);
        apr_thread_mutex_unlock(mailer.mutex);
    }
}

static apr_status_t join(void *unused)
{
    apr_status_t rv;

    (void)unused;
    hb_ap_mail_stop();
    apr_thread_join(&rv, mailer.thread);
    mailer.thread = NULL;
    return APR_SUCCESS;
}

void hb_ap_mail_child_init(apr_pool_t *pchild, server_rec *s)
{
    sigset_t all, before;
    apr_status_t rv;

    mailer.thread = NULL;
    mailer.stops = 0;
    if (*hb_ap_state.settings->smtp_url == '\0') {
        return;
    }
    rv = apr_thread_mutex_create(&mailer.mutex, APR_THREAD_MUTEX_DEFAULT, pchild);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&mailer.cond, pchild);
    }
    if (rv == APR_SUCCESS) {
        /* The MPM's signals are its own threads' business. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rv = apr_thread_create(&mailer.thread, NULL, deliver, NULL, pchild);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (rv != APR_SUCCESS) {
        mailer.thread = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, HBLOGNO(02050) "no thread for mail: this "
                     "process delivers none");
        return;
    }
    /* Before the pool's own things (mutex, site) go. */
    apr_pool_pre_cleanup_register(pchild, NULL, join);
}
