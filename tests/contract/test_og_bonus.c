/* SPDX-License-Identifier: Apache-2.0 */
/* The daily bonus to many: killed at any line and started again, and by two processes at once. */
#include "contract.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_test.h"
#include "hb_time.h"

#define N_USERS 900
#define N_KILLS 20
#define DATE "2026-07-02"

static apr_time_t midnight(const contract_t *c)
{
    return c->ts->now - apr_time_from_sec(3600);
}

static apr_status_t make_users(hb_op_t *op, void *baton)
{
    apr_int64_t expires = hb_time_to_msec(op->now) + 86400000;
    apr_status_t rv = APR_SUCCESS;
    int i;

    (void)baton;
    for (i = 0; i < N_USERS && rv == APR_SUCCESS; i++) {
        hb_json_t *user = contract_json(op, apr_psprintf(op->pool,
            "{'email':'u%d@example.com','username':'u%d','usernameKey':'u%d','status':'active',"
            "'usernameSkeleton':'u%d','createdAt':1,'roles':[],'coins':{'balance':0},"
            "'ogLevel':%d,'ogStartedAt':1,'ogExpiresAt':%" APR_INT64_T_FMT "}", i, i, i, i,
            1 + i % 2, expires - i * 7919 % N_USERS));

        rv = hb_store_insert(NULL, op, HB_C_USERS, user);
    }
    return rv;
}

static void make_site(contract_t *c)
{
    int n;

    ASSERT_OK(hb_og_seed(&n, c->op, contract_json(c->op,
        "[{'tier':1,'name':'One','priceCoins':100,'durationDays':30},"
        "{'tier':2,'name':'Two','priceCoins':300,'durationDays':30}]")));
    ASSERT_OK(hb_store_transact(c->op, make_users, NULL));
}

/* Everybody has theirs, once. */
static void all_were_paid(contract_t *c)
{
    hb_op_t *op = contract_op(c);
    hb_query_t query = { .in = HB_C_ACCOUNTS, .limit = 1000 };
    hb_ledger_proof_t proof;
    hb_page_t page;
    int i, n = 0;

    ASSERT_OK(hb_store_find(&page, op, &query));
    for (i = 0; i < page.n_items; i++) {
        if (strncmp(hb_json_string(page.items[i], "_id"), "user:", 5) == 0) {
            ck_assert_int_eq(hb_json_int(page.items[i], "entries", 0), 1);
            n++;
        }
    }
    ck_assert_int_eq(n, N_USERS);
    ASSERT_OK(hb_ledger_verify(&proof, op, NULL, NULL));
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
    ck_assert_int_eq(proof.entries, N_USERS);
}

/* Processes have to draw different ids. */
static apr_status_t draw(void *baton, unsigned char *bytes, apr_size_t n)
{
    (void)baton;
    return apr_generate_random_bytes(bytes, n);
}

/* @param baton  microseconds until it dies, at whatever line it is then; or NULL */
static int pay(contract_t *c, int number, void *baton)
{
    struct itimerval death = { { 0, 0 }, { 0, 0 } };
    hb_og_bonus_run_t run;
    apr_status_t rv;

    if (baton != NULL) {
        death.it_value.tv_usec = *(int *)baton;
        signal(SIGALRM, SIG_DFL);       /* ends a process without a word */
        setitimer(ITIMER_REAL, &death, NULL);
    }
    c->ts->site->random = draw;
    rv = hb_og_bonus_pay_all(&run, contract_op(c), DATE, midnight(c), NULL, NULL);
    if (rv != APR_SUCCESS) {
        printf("process %d: %s\n", number, hb_error_row(rv)->code);
        fflush(stdout);
    }
    return rv != APR_SUCCESS;
}

START_TEST(twenty_deaths_and_everybody_is_paid_once)
{
    contract_t *c = contract_make(_i, "");
    hb_og_bonus_run_t run;
    unsigned int seed = 7;
    int i, n_killed = 0;

    contract_start(c);
    make_site(c);
    contract_stop(c);
    for (i = 0; i < N_KILLS; i++) {
        int usec = 200 + rand_r(&seed) % (strcmp(c->backend, "sqlite") == 0 ? 8000 : 60000);
        int status;
        pid_t pid;

        contract_fork(&pid, c, 1, pay, &usec);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        n_killed += WIFSIGNALED(status);
        ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    }
    ck_assert_int_gt(n_killed, 0);
    contract_start(c);
    ASSERT_OK(hb_og_bonus_pay_all(&run, c->op, DATE, midnight(c), NULL, NULL));
    ck_assert_int_eq(run.entitled, N_USERS);
    all_were_paid(c);
    ASSERT_OK(hb_og_bonus_pay_all(&run, contract_op(c), DATE, midnight(c), NULL, NULL));
    ck_assert_int_eq(run.paid, 0);
}
END_TEST

START_TEST(two_at_once_pay_once)
{
    contract_t *c = contract_make(_i, "");
    pid_t pids[2];

    contract_start(c);
    make_site(c);
    contract_stop(c);
    contract_fork(pids, c, 2, pay, NULL);
    contract_wait(pids, 2);
    contract_start(c);
    all_were_paid(c);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        twenty_deaths_and_everybody_is_paid_once, two_at_once_pay_once, NULL
    };

    return contract_main("og_bonus", cases);
}
