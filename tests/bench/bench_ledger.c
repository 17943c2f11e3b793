/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_ledger - entries written and proved
 *
 * SYNOPSIS
 *     bench_ledger --dir DIR [--threads N] [--seconds N] [--verify ENTRIES[,ENTRIES...]]
 *
 * DESCRIPTION
 *     Makes a store in DIR with users who have coins. First so many threads write gifts (three
 *     postings and a record of a stream's size, one durable transaction each) for so many seconds;
 *     then, for each size, the ledger is filled up to it by one thread, many a transaction, and
 *     proved. Prints entries a second. Compare with bench_insert.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "bench_desk.h"
#include "hb_ledger.h"

#define N_USERS 1000
#define PER_TRANSACTION 500

static hb_site_t *site;
static const char *users[N_USERS];
static volatile int is_over;
static int number;              /* of keys, atomic */

static apr_status_t post_gift(hb_op_t *op, int n)
{
    const char *from = users[n % N_USERS], *host = users[(n * 7 + 1) % 20];
    hb_entry_t entry = { .kind = "gift", .user_id = from,
                         .key = apr_psprintf(op->pool, "gift:%s:%08x", from, n),
                         .reference = host };

    hb_entry_add(&entry, hb_account_user(op, from), HB_COIN, -10);
    hb_entry_add(&entry, hb_account_earned(op, host), HB_COIN, 5);
    hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, 5);
    return hb_ledger_post(NULL, op, &entry);
}

static apr_status_t one_gift(hb_op_t *op, void *baton)
{
    return post_gift(op, *(int *)baton);
}

static apr_status_t many_gifts(hb_op_t *op, void *baton)
{
    hb_op_t inner = *op;
    apr_status_t rv = APR_SUCCESS;
    int i;

    apr_pool_create(&inner.pool, op->pool);
    for (i = 0; i < PER_TRANSACTION && rv == APR_SUCCESS; i++) {
        rv = post_gift(&inner, *(int *)baton + i);
        apr_pool_clear(inner.pool);
    }
    return rv;
}

static apr_status_t make_users(hb_op_t *op, void *baton)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    (void)baton;
    for (i = 0; i < N_USERS && rv == APR_SUCCESS; i++) {
        const char *name = apr_psprintf(op->pool, "bench%06d", i);
        hb_json_t *user = hb_json_object_make(op->pool);
        hb_json_t *coins = hb_json_object_make(op->pool);
        hb_entry_t entry = { .kind = "purchase", .key = apr_pstrcat(op->pool, "buy:", name, NULL) };

        hb_json_set_string(user, "email", apr_pstrcat(op->pool, name, "@bench.test", NULL));
        hb_json_set_string(user, "username", name);
        hb_json_set_string(user, "usernameKey", name);
        hb_json_set_string(user, "usernameSkeleton", name);
        hb_json_set_string(user, "passwordHash", "$2y$12$0123456789012345678901234567890123456789012345678901");
        hb_json_set(user, "roles", hb_json_array_make(op->pool));
        hb_json_set_string(user, "status", "active");
        hb_json_set_int(coins, "balance", 0);
        hb_json_set_int(coins, "bonusBalance", 0);
        hb_json_set_int(coins, "totalEarned", 0);
        hb_json_set_int(coins, "totalSpent", 0);
        hb_json_set(user, "coins", coins);
        hb_json_set_int(user, "createdAt", apr_time_as_msec(op->now));
        rv = hb_store_insert(NULL, op, HB_C_USERS, user);
        if (rv == APR_SUCCESS) {
            users[i] = strdup(hb_json_string(user, "_id"));
            hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -APR_INT64_C(1000000000));
            hb_entry_add(&entry, hb_account_user(op, users[i]), HB_COIN, 1000000000);
            rv = hb_ledger_post(NULL, op, &entry);
        }
    }
    return rv;
}

static void *APR_THREAD_FUNC writer(apr_thread_t *self, void *data)
{
    int *n = data;
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    while (!is_over) {
        int key = __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED);
        hb_op_t *op = hb_op_make(site, pool);

        bench_must(hb_store_transact(op, one_gift, &key), "gift");
        ++*n;
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    apr_thread_exit(self, APR_SUCCESS);
    return NULL;
}

static void write_for(double seconds, int threads, apr_pool_t *pool)
{
    apr_thread_t **handles = apr_palloc(pool, (apr_size_t)threads * sizeof(*handles));
    int *done = apr_pcalloc(pool, (apr_size_t)threads * sizeof(*done));
    double began = bench_now();
    apr_status_t rv;
    long sum = 0;
    int i;

    for (i = 0; i < threads; i++) {
        bench_must(apr_thread_create(&handles[i], NULL, writer, &done[i], pool), "thread");
    }
    apr_sleep((apr_interval_time_t)(seconds * 1e6));
    is_over = 1;
    for (i = 0; i < threads; i++) {
        apr_thread_join(&rv, handles[i]);
        sum += done[i];
    }
    printf("%.0f gifts/s, %d threads\n", (double)sum / (bench_now() - began), threads);
}

static void prove(apr_int64_t size, apr_pool_t *parent)
{
    hb_ledger_proof_t proof;
    double began = bench_now();
    apr_pool_t *pool;
    int from = number;

    apr_pool_create(&pool, parent);
    for (; number + N_USERS < size; number += PER_TRANSACTION) {
        bench_must(hb_store_transact(hb_op_make(site, pool), many_gifts, &number), "fill");
        apr_pool_clear(pool);
    }
    if (number > from) {
        printf("%.0f entries/s, %d a transaction\n", (number - from) / (bench_now() - began),
               PER_TRANSACTION);
    }
    began = bench_now();
    bench_must(hb_ledger_verify(&proof, hb_op_make(site, pool), NULL, NULL), "verify");
    printf("%.0f entries/s proved, of %" APR_INT64_T_FMT " (%s)\n",
           (double)proof.entries / (bench_now() - began), proof.entries,
           proof.findings == 0 ? "clean" : proof.what);
    fflush(stdout);
    apr_pool_destroy(pool);
}

int main(int argc, char **argv)
{
    const char *dir = ".", *sizes = "";
    double seconds = 3;
    int threads = 32, i;
    apr_pool_t *pool;

    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        }
        else if (strcmp(argv[i], "--threads") == 0) {
            threads = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = atof(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--verify") == 0) {
            sizes = argv[i + 1];
        }
    }
    site = bench_site(pool, dir, NULL);
    bench_must(hb_store_transact(hb_op_make(site, pool), make_users, NULL), "users");
    if (seconds > 0) {
        write_for(seconds, threads, pool);
    }
    while (*sizes != '\0') {
        char *end;

        prove(apr_strtoi64(sizes, &end, 10), pool);
        sizes = *end == ',' ? end + 1 : "";
    }
    apr_pool_destroy(pool);
    return 0;
}
