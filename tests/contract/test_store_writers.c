/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many writers at once, threads and processes: no change is lost, one of many wins where one
 * may, what fails fails alone, and readers beside them see whole moments.
 *
 * Functions that run in threads and children give a number instead of asserting.
 */
#include "contract.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#define THREADS 8
#define PROCESSES 4
#define TIMES 100
#define ACCOUNTS 5
#define COINS 1000

/* An op in a pool of its own: the pools of ops are made by one thread at a time. */
static hb_op_t *own_op(contract_t *c)
{
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    return hb_op_make(c->ts->site, pool);
}

static void done(hb_op_t *op)
{
    apr_pool_destroy(op->pool);
}

static int count_up(contract_t *c, int number, void *baton)
{
    hb_edit_t up = { "followers", HB_INC, HB_INT(1) };
    int i, rc = 0;

    (void)number;
    (void)baton;
    for (i = 0; i < TIMES && rc == 0; i++) {
        hb_op_t *op = own_op(c);

        if (hb_store_change(NULL, NULL, op, HB_C_USERS, "counter", NULL, 0, &up, 1)
            != APR_SUCCESS) {
            rc = 1;
        }
        done(op);
    }
    return rc;
}

static apr_int64_t counted(contract_t *c)
{
    hb_json_t *doc;

    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "counter"));
    return hb_json_int(doc, "followers", -1);
}

START_TEST(threads_lose_no_change)
{
    contract_t *c = contract_open(_i);
    hb_json_t *stats;

    contract_insert(c->op, HB_C_USERS, "{'_id':'counter'}");
    contract_threads(c, THREADS, count_up, NULL);
    ck_assert_int_eq(counted(c), THREADS * TIMES);
    ASSERT_OK(hb_store_stats(&stats, c->op));
    if (hb_json_has(stats, "commits")) {    /* they have shared commits */
        ck_assert_int_lt(hb_json_int(stats, "commits", 0), hb_json_int(stats, "writes", 0) / 2);
    }
    contract_is_whole(c->op);
}
END_TEST

static int first_insert_then_count(contract_t *c, int number, void *baton)
{
    /* All open the store at once while there is none yet, and all want the same record. */
    apr_status_t rv = hb_store_insert(NULL, c->op, HB_C_USERS,
                                      contract_json(c->op, "{'_id':'counter','followers':0}"));

    if (rv != APR_SUCCESS && rv != HB_E_STORE_DUPLICATE) {
        return 2;
    }
    return count_up(c, number, baton);
}

START_TEST(processes_lose_no_change)
{
    contract_t *c = contract_make(_i, "");
    pid_t pids[PROCESSES];

    contract_fork(pids, c, PROCESSES, first_insert_then_count, NULL);
    contract_wait(pids, PROCESSES);
    contract_start(c);
    ck_assert_int_eq(counted(c), PROCESSES * TIMES);
    contract_is_whole(c->op);
}
END_TEST

typedef struct race_t {
    int n_won;                  /* atomic */
} race_t;

static int race(contract_t *c, int number, void *baton)
{
    race_t *r = baton;
    const char *index;
    int i, rc = 0, n_won = 0;

    (void)number;
    for (i = 0; i < TIMES && rc == 0; i++) {
        hb_op_t *op = own_op(c);
        hb_json_t *doc = hb_json_object_make(op->pool);
        apr_status_t rv;

        hb_json_set_string(doc, "email", apr_psprintf(op->pool, "u%d@example.com", i));
        rv = hb_store_insert(&index, op, HB_C_USERS, doc);
        if (rv == APR_SUCCESS) {
            n_won++;
        }
        else if (rv != HB_E_STORE_DUPLICATE || strcmp(index, "email") != 0) {
            rc = 1;
        }
        done(op);
    }
    if (r != NULL) {
        __atomic_add_fetch(&r->n_won, n_won, __ATOMIC_RELAXED);
    }
    return rc;
}

START_TEST(one_of_many_wins_a_unique_value)
{
    contract_t *c = contract_open(_i);
    hb_query_t all = { .in = HB_C_USERS };
    race_t r = { 0 };
    apr_int64_t n;

    contract_threads(c, THREADS, race, &r);
    ck_assert_int_eq(r.n_won, TIMES);
    ASSERT_OK(hb_store_count(&n, c->op, &all));
    ck_assert_int_eq(n, TIMES);
    contract_is_whole(c->op);
}
END_TEST

START_TEST(one_of_many_processes_wins_a_unique_value)
{
    contract_t *c = contract_make(_i, "");
    hb_query_t all = { .in = HB_C_USERS };
    pid_t pids[PROCESSES];
    apr_int64_t n;

    contract_fork(pids, c, PROCESSES, race, NULL);
    contract_wait(pids, PROCESSES);
    contract_start(c);
    ASSERT_OK(hb_store_count(&n, c->op, &all));
    ck_assert_int_eq(n, TIMES);
    contract_is_whole(c->op);
}
END_TEST

typedef struct move_t {
    char from[8], to[8];
    apr_int64_t coins;
    int fails;                  /* at the end, of its own will */
} move_t;

static apr_status_t move_coins(hb_op_t *op, void *baton)
{
    move_t *m = baton;
    hb_cond_t enough = { .field = "coins.balance", .how = HB_AT_LEAST, .value = HB_INT(m->coins) };
    hb_edit_t take = { "coins.balance", HB_INC, HB_INT(-m->coins) };
    hb_edit_t give = { "coins.balance", HB_INC, HB_INT(m->coins) };
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_USERS, m->to, NULL, 0, &give, 1);
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, m->from, &enough, 1, &take, 1);
    }
    return rv == APR_SUCCESS && m->fails ? HB_E_STREAM_ENDED : rv;
}

static int move_around(contract_t *c, int number, void *baton)
{
    int i, rc = 0;

    (void)baton;
    for (i = 0; i < TIMES && rc == 0; i++) {
        hb_op_t *op = own_op(c);
        unsigned int draw = (unsigned int)(number * 7919 + i * 104729);
        move_t m = { .coins = draw % 400, .fails = draw % 5 == 0 };
        apr_status_t rv;

        apr_snprintf(m.from, sizeof(m.from), "a%d", (int)(draw / 3 % ACCOUNTS));
        apr_snprintf(m.to, sizeof(m.to), "a%d", (int)(draw / 11 % ACCOUNTS));
        rv = hb_store_transact(op, move_coins, &m);
        if (rv != APR_SUCCESS && rv != HB_E_STORE_GUARD
            && !(m.fails && rv == HB_E_STREAM_ENDED)) {
            rc = 1;
        }
        if (m.fails && rv == APR_SUCCESS) {
            rc = 2;
        }
        done(op);
    }
    return rc;
}

/* The sum over all accounts; -1 for trouble, -2 for an account below zero. */
static apr_int64_t sum_of(hb_op_t *op)
{
    hb_query_t all = { .in = HB_C_USERS, .limit = 100 };
    hb_page_t page;
    apr_int64_t sum = 0;
    int i;

    if (hb_store_find(&page, op, &all) != APR_SUCCESS) {
        return -1;
    }
    for (i = 0; i < page.n_items; i++) {
        apr_int64_t coins = hb_json_int(hb_json_get(page.items[i], "coins"), "balance", -1);

        if (coins < 0) {
            return -2;
        }
        sum += coins;
    }
    return sum;
}

static int move_or_watch(contract_t *c, int number, void *baton)
{
    int i, rc = 0;

    if (number % 2 == 0) {
        return move_around(c, number, baton);
    }
    for (i = 0; i < TIMES && rc == 0; i++) {
        hb_op_t *op = own_op(c);

        rc = sum_of(op) == ACCOUNTS * COINS ? 0 : 3;
        done(op);
    }
    return rc;
}

static void make_accounts(hb_op_t *op)
{
    int i;

    for (i = 0; i < ACCOUNTS; i++) {
        contract_insert(op, HB_C_USERS, apr_psprintf(op->pool, "{'_id':'a%d','coins':{'balance':%d}}",
                                                     i, COINS));
    }
}

START_TEST(coins_move_and_none_is_made_or_lost)
{
    contract_t *c = contract_open(_i);

    make_accounts(c->op);
    contract_threads(c, THREADS, move_or_watch, NULL);
    ck_assert_int_eq(sum_of(c->op), ACCOUNTS * COINS);
    contract_is_whole(c->op);
}
END_TEST

static int make_accounts_first(contract_t *c, int number, void *baton)
{
    (void)number;
    (void)baton;
    make_accounts(c->op);
    return 0;
}

START_TEST(coins_move_between_processes)
{
    contract_t *c = contract_make(_i, "");
    pid_t pids[PROCESSES];

    contract_fork(pids, c, 1, make_accounts_first, NULL);
    contract_wait(pids, 1);
    contract_fork(pids, c, PROCESSES, move_or_watch, NULL);
    contract_wait(pids, PROCESSES);
    contract_start(c);
    ck_assert_int_eq(sum_of(c->op), ACCOUNTS * COINS);
    contract_is_whole(c->op);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        threads_lose_no_change,
        processes_lose_no_change,
        one_of_many_wins_a_unique_value,
        one_of_many_processes_wins_a_unique_value,
        coins_move_and_none_is_made_or_lost,
        coins_move_between_processes,
        NULL
    };

    return contract_main("store_writers", cases);
}
