/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that is told to end while it starts. The MPMs answer SIGTERM by cleaning up inside the
 * signal handler until their threads run; a child that is just about to ask for memory then
 * finds the heap in pieces, or waits for its own lock until it is killed. Nothing is lost
 * that far: it has served nobody, and its locks are let go when it ends. So it ends at once.
 *
 * prefork has no threads and answers so always, also in the middle of a request that writes records
 * with their lock in hand. There it ends at once too: that is the death between any two lines that
 * records are made for.
 */
#include "mod_halobuzz.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <apr_strings.h>
#include <ap_mpm.h>
#include <mpm_common.h>

#define SIGNALS 2

static const int numbers[SIGNALS] = { SIGTERM, SIGHUP };    /* SIGHUP: prefork */

/* What the MPM had before. */
typedef struct aside_t {
    struct sigaction before[SIGNALS];
    int is_ours[SIGNALS];
} aside_t;

static aside_t at_start;
static void *mpm_base;          /* where the MPM is loaded; NULL when that cannot be told */
static int is_prefork;          /* requests run where signals arrive */

static void end_at_once(int number)
{
    (void)number;
    _exit(0);
}

static void *base_of(const void *address)
{
    Dl_info info;

    return address != NULL && dladdr(address, &info) != 0 ? info.dli_fbase : NULL;
}

/* Others drop privileges, too, in processes of theirs, whose handlers are none of our business. */
static int is_mpms(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler != SIG_DFL
        && action->sa_handler != SIG_IGN && mpm_base != NULL
        && base_of((const void *)(apr_uintptr_t)action->sa_handler) == mpm_base;
}

static void put_aside(aside_t *aside)
{
    struct sigaction action = { .sa_handler = end_at_once };
    int i;

    for (i = 0; i < SIGNALS; i++) {
        aside->is_ours[i] = sigaction(numbers[i], NULL, &aside->before[i]) == 0
            && is_mpms(&aside->before[i]) && sigaction(numbers[i], &action, NULL) == 0;
    }
}

static apr_status_t give_back(void *data)
{
    const aside_t *aside = data;
    int i;

    for (i = 0; i < SIGNALS; i++) {
        if (aside->is_ours[i]) {
            sigaction(numbers[i], &aside->before[i], NULL);
        }
    }
    return APR_SUCCESS;
}

/* The first hook that runs in a child. */
static int take_signals(apr_pool_t *pchild, server_rec *s)
{
    (void)pchild;
    (void)s;
    put_aside(&at_start);
    return DECLINED;
}

static void give_signals(apr_pool_t *pchild, server_rec *s)
{
    (void)pchild;
    (void)s;
    give_back(&at_start);
}

void hb_ap_start_request(apr_pool_t *pool)
{
    aside_t *aside;

    if (is_prefork) {
        aside = apr_palloc(pool, sizeof(*aside));
        put_aside(aside);
        apr_pool_cleanup_register(pool, aside, give_back, apr_pool_cleanup_null);
    }
}

void hb_ap_start_post_config(apr_pool_t *ptemp)
{
    int threads = AP_MPMQ_NOT_SUPPORTED;

    is_prefork = ap_mpm_query(AP_MPMQ_IS_THREADED, &threads) == APR_SUCCESS
        && threads == AP_MPMQ_NOT_SUPPORTED;
    mpm_base = base_of(ap_find_linked_module(apr_pstrcat(ptemp, ap_show_mpm(), ".c", NULL)));
}

void hb_ap_start_register(void)
{
    ap_hook_drop_privileges(take_signals, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(give_signals, NULL, NULL, APR_HOOK_REALLY_LAST + 10);
}
