/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_bonus - the daily bonus of OG to many, and what others feel of it
 *
 * SYNOPSIS
 *     bench_bonus --dir DIR [--users N] [--quiet SECONDS] [--threads N] [--alone] [--verify]
 *
 * DESCRIPTION
 *     Makes a store in DIR with N users who have OG. Threads of this process, at an easy pace, read
 *     users and give gifts (a durable transaction each), first by themselves, then while another
 *     process pays the bonus of a date, as halobuzz-crond does. Prints users a second, and of reads and
 *     gifts the p99 in both times. --alone: nobody else; --verify: prove the ledger after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "bench_desk.h"
#include "hb_ledger.h"
#include "hb_og.h"
#include "hb_time.h"

#define PER_TRANSACTION 500
#define GIVERS 100
#define PACE_USEC 4000
#define SAMPLES_MAX 400000

static hb_site_t *site;
static apr_time_t day_begins;
static char (*ids)[HB_ID_LENGTH + 1];
static int n_users = 10000;
static volatile int is_over;

typedef struct samples_t {
    float *reads, *gifts;       /* milliseconds */
    int n_reads, n_gifts;
    unsigned int seed;
} samples_t;

/* --- the store --- */

static apr_status_t buy(hb_op_t *op, const char *id)
{
    hb_entry_t entry = { .kind = "purchase", .key = apr_pstrcat(op->pool, "buy:", id, NULL) };

    hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -APR_INT64_C(1000000000));
    hb_entry_add(&entry, hb_account_user(op, id), HB_COIN, 1000000000);
    return hb_ledger_post(NULL, op, &entry);
}

static apr_status_t make_user(hb_op_t *op, int i)
{
    const char *name = apr_psprintf(op->pool, "bench%07d", i);
    apr_int64_t t = hb_time_to_msec(day_begins);
    hb_json_t *user = bench_user(op, name);
    apr_status_t rv;

    hb_json_set_string(user, "bio", "Sings in the evening, mostly songs from the hills.");
    hb_json_set_string(user, "language", "ne");
    hb_json_set_string(user, "zone", "Asia/Kathmandu");
    hb_json_set_int(user, "ogLevel", 1 + i % 3);
    hb_json_set_int(user, "ogStartedAt", t - 86400000);
    /* Bought in any order: who expires next is not who came next. */
    hb_json_set_int(user, "ogExpiresAt", t + 86400000 + i * APR_INT64_C(7919) % 2592000000);
    hb_json_set_int(user, "createdAt", t - 864000000 + i);
    rv = hb_store_insert(NULL, op, HB_C_USERS, user);
    if (rv == APR_SUCCESS) {
        apr_cpystrn(ids[i], hb_json_string(user, "_id"), sizeof(ids[i]));
    }
    return rv == APR_SUCCESS && i < GIVERS ? buy(op, ids[i]) : rv;
}

static apr_status_t make_users(hb_op_t *op, void *baton)
{
    hb_op_t inner = *op;
    apr_status_t rv = APR_SUCCESS;
    int i, first = *(int *)baton;

    apr_pool_create(&inner.pool, op->pool);
    for (i = first; i < first + PER_TRANSACTION && i < n_users && rv == APR_SUCCESS; i++) {
        rv = make_user(&inner, i);
        apr_pool_clear(inner.pool);
    }
    return rv;
}

static void fill(apr_pool_t *parent)
{
    static const char tiers[] = "[{\"tier\":1,\"name\":\"A\",\"priceCoins\":100,\"durationDays\":30},"
        "{\"tier\":2,\"name\":\"B\",\"priceCoins\":300,\"durationDays\":30},"
        "{\"tier\":3,\"name\":\"C\",\"priceCoins\":900,\"durationDays\":30}]";
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, parent);
    bench_must(hb_og_seed(&i, hb_op_make(site, pool), hb_json_parse_own(tiers, sizeof(tiers) - 1, pool)),
         "tiers");
    for (i = 0; i < n_users; i += PER_TRANSACTION) {
        apr_pool_clear(pool);
        bench_must(hb_store_transact(hb_op_make(site, pool), make_users, &i), "users");
    }
    apr_pool_destroy(pool);
}

/* --- the others --- */

static apr_status_t give(hb_op_t *op, void *baton)
{
    unsigned int *seed = baton;
    const char *from = ids[rand_r(seed) % GIVERS], *to = ids[rand_r(seed) % GIVERS];
    hb_entry_t entry = { .kind = "gift", .user_id = from, .reference = to,
                         .key = apr_pstrcat(op->pool, "gift:", hb_id_make(op), NULL) };

    hb_entry_add(&entry, hb_account_user(op, from), HB_COIN, -10);
    hb_entry_add(&entry, hb_account_earned(op, to), HB_COIN, 5);
    hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, 5);
    return hb_ledger_post(NULL, op, &entry);
}

static void *APR_THREAD_FUNC other(apr_thread_t *self, void *data)
{
    samples_t *s = data;
    apr_pool_t *pool;
    double began;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    while (!is_over && s->n_gifts < SAMPLES_MAX) {
        hb_op_t *op = hb_op_make(site, pool);
        hb_json_t *user;

        began = bench_now();
        bench_must(hb_store_get(&user, op, HB_C_USERS, ids[rand_r(&s->seed) % (unsigned)n_users]), "get");
        s->reads[s->n_reads++] = (float)((bench_now() - began) * 1e3);
        apr_sleep(PACE_USEC);
        began = bench_now();
        bench_must(hb_store_transact(hb_op_make(site, pool), give, &s->seed), "gift");
        s->gifts[s->n_gifts++] = (float)((bench_now() - began) * 1e3);
        apr_sleep(PACE_USEC);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    apr_thread_exit(self, APR_SUCCESS);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static void print_quantiles(const char *what, const char *when, samples_t *all, int n, int is_gift)
{
    float *joined = malloc(sizeof(float) * SAMPLES_MAX);
    int i, j, n_joined = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < (is_gift ? all[i].n_gifts : all[i].n_reads) && n_joined < SAMPLES_MAX; j++) {
            joined[n_joined++] = is_gift ? all[i].gifts[j] : all[i].reads[j];
        }
    }
    qsort(joined, (size_t)n_joined, sizeof(float), compare);
    if (n_joined > 0) {
        printf("%s %s p50 %.3f p99 %.3f max %.3f ms of %d\n", what, when, joined[n_joined / 2],
               joined[n_joined * 99 / 100], joined[n_joined - 1], n_joined);
    }
    free(joined);
}

/* The others at work until `pid` ends, or for so many seconds. */
static void measure(const char *when, double seconds, pid_t pid, int threads, apr_pool_t *pool)
{
    apr_thread_t **handles = apr_palloc(pool, (apr_size_t)threads * sizeof(*handles));
    samples_t *all = calloc((size_t)threads, sizeof(*all));
    apr_status_t rv;
    int i, status;

    is_over = 0;
    for (i = 0; i < threads; i++) {
        all[i].reads = malloc(sizeof(float) * SAMPLES_MAX);
        all[i].gifts = malloc(sizeof(float) * SAMPLES_MAX);
        all[i].seed = (unsigned int)i * 7919 + 1;
        bench_must(apr_thread_create(&handles[i], NULL, other, &all[i], pool), "thread");
    }
    if (pid != 0) {
        waitpid(pid, &status, 0);
        bench_must(status != 0 ? APR_EGENERAL : APR_SUCCESS, "the process that pays");
    }
    else {
        apr_sleep((apr_interval_time_t)(seconds * 1e6));
    }
    is_over = 1;
    for (i = 0; i < threads; i++) {
        apr_thread_join(&rv, handles[i]);
    }
    if (threads > 0) {
        print_quantiles("read", when, all, threads, 0);
        print_quantiles("gift", when, all, threads, 1);
    }
    fflush(stdout);
}

/* --- who pays --- */

static void pay(const char *dir, int go, apr_pool_t *pool)
{
    hb_og_bonus_run_t run;
    double began;
    char c;

    if (read(go, &c, 1) != 1) {
        _exit(1);
    }
    site = bench_site(pool, dir, NULL);
    site->is_background = 1;
    began = bench_now();
    bench_must(hb_og_bonus_pay_all(&run, hb_op_make(site, pool), "2026-07-02", day_begins, NULL, NULL),
         "bonus");
    began = bench_now() - began;
    printf("%.0f users/s, %" APR_INT64_T_FMT " paid in %.1f s\n", (double)run.paid / began,
           run.paid, began);
    fflush(stdout);
    _exit(run.paid == run.entitled ? 0 : 1);
}

int main(int argc, char **argv)
{
    const char *dir = ".";
    int threads = 4, pipes[2], i, must_verify = 0;
    double quiet = 4;
    hb_ledger_proof_t proof;
    apr_pool_t *pool;
    pid_t pid;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--dir") == 0) {
            dir = value;
        }
        else if (strcmp(argv[i], "--users") == 0) {
            n_users = atoi(value) < GIVERS ? GIVERS : atoi(value);
        }
        else if (strcmp(argv[i], "--quiet") == 0) {
            quiet = atof(value);
        }
        else if (strcmp(argv[i], "--threads") == 0) {
            threads = atoi(value);
        }
        else if (strcmp(argv[i], "--alone") == 0) {
            threads = 0;
        }
        else if (strcmp(argv[i], "--verify") == 0) {
            must_verify = 1;
        }
    }
    ids = calloc((size_t)n_users, sizeof(*ids));
    day_begins = apr_time_now() - apr_time_from_sec(3600);
    if (pipe(pipes) != 0 || (pid = fork()) < 0) {
        return 1;
    }
    if (pid == 0) {
        pay(dir, pipes[0], pool);
    }
    site = bench_site(pool, dir, NULL);
    fill(pool);
    if (threads > 0) {
        measure("quiet", quiet, 0, threads, pool);
    }
    if (write(pipes[1], "x", 1) != 1) {
        return 1;
    }
    measure("during", 0, pid, threads, pool);
    if (must_verify) {
        bench_must(hb_ledger_verify(&proof, hb_op_make(site, pool), NULL, NULL), "verify");
        printf("%" APR_INT64_T_FMT " entries proved: %s\n", proof.entries,
               proof.findings == 0 ? "clean" : proof.what);
    }
    apr_pool_destroy(pool);
    return 0;
}
