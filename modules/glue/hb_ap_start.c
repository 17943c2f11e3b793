/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that is told to end while it starts. The MPMs answer SIGTERM by cleaning up inside the
 * signal handler until their threads run; a child that is just about to ask for memory then
 * finds the heap in pieces, or waits for its own lock until it is killed. Nothing is lost
 * that far: it has served nobody, and its locks are let go when it ends. So it ends at once.
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

static struct sigaction before[SIGNALS];
static int is_ours[SIGNALS];
static void *mpm_base;          /* where the MPM is loaded; NULL when that cannot be told */

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

/* The first hook that runs in a child. */
static int take_signals(apr_pool_t *pchild, server_rec *s)
{
    struct sigaction action = { .sa_handler = end_at_once };
    int i;

    (void)pchild;
    (void)s;
    for (i = 0; i < SIGNALS; i++) {
        is_ours[i] = sigaction(numbers[i], NULL, &before[i]) == 0 && is_mpms(&before[i])
            && sigaction(numbers[i], &action, NULL) == 0;
    }
    return DECLINED;
}

static void give_back(apr_pool_t *pchild, server_rec *s)
{
    int i;

    (void)pchild;
    (void)s;
    for (i = 0; i < SIGNALS; i++) {
        if (is_ours[i]) {
            sigaction(numbers[i], &before[i], NULL);
        }
    }
}

void hb_ap_start_post_config(apr_pool_t *ptemp)
{
    mpm_base = base_of(ap_find_linked_module(apr_pstrcat(ptemp, ap_show_mpm(), ".c", NULL)));
}

void hb_ap_start_register(void)
{
    ap_hook_drop_privileges(take_signals, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(give_back, NULL, NULL, APR_HOOK_REALLY_LAST + 10);
}
