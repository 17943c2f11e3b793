/* SPDX-License-Identifier: Apache-2.0 */
/* What a child of httpd interrupts when it is told to end, with a stand-in for httpd's hooks. */
#include "mod_halobuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ap_mpm.h>
#include <mpm_common.h>

#include "hb_test.h"

#define HANDLED 7               /* the MPM's handler ran, and ended the process */
#define GONE_ON 8               /* nothing ended it */

static ap_HOOK_drop_privileges_t *starting;
static ap_HOOK_child_init_t *started;
static int threaded;

void ap_hook_drop_privileges(ap_HOOK_drop_privileges_t *fn, const char *const *before,
                             const char *const *after, int order)
{
    (void)before;
    (void)after;
    ck_assert_int_eq(order, APR_HOOK_REALLY_FIRST);
    starting = fn;
}

void ap_hook_child_init(ap_HOOK_child_init_t *fn, const char *const *before,
                        const char *const *after, int order)
{
    (void)before;
    (void)after;
    ck_assert_int_gt(order, APR_HOOK_LAST);
    started = fn;
}

apr_status_t ap_mpm_query(int what, int *result)
{
    ck_assert_int_eq(what, AP_MPMQ_IS_THREADED);
    *result = threaded;
    return APR_SUCCESS;
}

const char *ap_show_mpm(void)
{
    return "prefork";
}

/* Handlers of this program are the MPM's. */
module *ap_find_linked_module(const char *name)
{
    static module mpm;

    ck_assert_str_eq(name, "prefork.c");
    return &mpm;
}

static void handler(int sig)
{
    (void)sig;
    _exit(HANDLED);
}

/* How far a child came when it is told to end. */
typedef enum moment_e { FORKED, STARTING, STARTED, ASKED, ANSWERED } moment_e;

/* @return its exit code: 0 when it ended at once */
static int end_of(moment_e at, int sig, void (*of_hup)(int))
{
    pid_t pid = fork();
    apr_pool_t *request;
    int status;

    if (pid == 0) {
        signal(SIGTERM, handler);
        signal(SIGHUP, of_hup);
        if (at >= STARTING) {
            ck_assert_int_eq(starting(hb_test_pool, NULL), DECLINED);
        }
        if (at >= STARTED) {
            started(hb_test_pool, NULL);
        }
        apr_pool_create(&request, hb_test_pool);
        if (at >= ASKED) {
            hb_ap_start_request(request);
        }
        if (at >= ANSWERED) {
            apr_pool_destroy(request);
        }
        raise(sig);
        _exit(GONE_ON);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void wire(int is_threaded)
{
    threaded = is_threaded;
    hb_ap_start_register();
    hb_ap_start_post_config(hb_test_pool);
}

START_TEST(it_ends_while_it_starts)
{
    wire(AP_MPMQ_STATIC);
    ck_assert_int_eq(end_of(FORKED, SIGTERM, SIG_DFL), HANDLED);
    ck_assert_int_eq(end_of(STARTING, SIGTERM, SIG_DFL), 0);
    ck_assert_int_eq(end_of(STARTED, SIGTERM, SIG_DFL), HANDLED);
}
END_TEST

START_TEST(threads_answer_where_no_signal_comes)
{
    wire(AP_MPMQ_DYNAMIC);
    ck_assert_int_eq(end_of(ASKED, SIGTERM, SIG_DFL), HANDLED);
}
END_TEST

START_TEST(on_prefork_it_ends_over_a_request)
{
    wire(AP_MPMQ_NOT_SUPPORTED);
    ck_assert_int_eq(end_of(STARTED, SIGTERM, handler), HANDLED);
    ck_assert_int_eq(end_of(ASKED, SIGTERM, handler), 0);
    ck_assert_int_eq(end_of(ASKED, SIGHUP, handler), 0);
    ck_assert_int_eq(end_of(ANSWERED, SIGTERM, handler), HANDLED);
    ck_assert_int_eq(end_of(ANSWERED, SIGHUP, handler), HANDLED);
}
END_TEST

START_TEST(handlers_of_others_stay)
{
    wire(AP_MPMQ_NOT_SUPPORTED);
    ck_assert_int_eq(end_of(ASKED, SIGHUP, SIG_IGN), GONE_ON);
    ck_assert_int_eq(end_of(STARTING, SIGHUP, (void (*)(int))_exit), SIGHUP);   /* of the C library */
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        it_ends_while_it_starts, threads_answer_where_no_signal_comes,
        on_prefork_it_ends_over_a_request, handlers_of_others_stay, NULL
    };

    return hb_test_main("hb_ap_start", cases);
}
