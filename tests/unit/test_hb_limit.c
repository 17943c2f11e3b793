/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limiter's table: the rules of a window with a clock of our own, and exactness when
 * threads of several processes bring the same keys at once, also while processes are killed.
 */
#include "hb_test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_error.h"
#include "hb_limit.h"
#include "hb_siphash.h"

#define SEC APR_USEC_PER_SEC
#define ONE_BUCKET_BYTES (64 + 16 * 64 + 9 * 16)    /* header, stripes, 8 slots and a gate */
#define WORKERS 4
#define THREADS 3
#define ROUNDS 500
#define KEYS 4

static const hb_limit_rule_t api = { "api", 3, 60 * SEC };

static hb_limit_t *table_of(apr_size_t bytes)
{
    hb_limit_t *limit;

    ck_assert_int_eq(hb_limit_open(&limit, NULL, bytes, hb_test_pool), APR_SUCCESS);
    return limit;
}

static int take(hb_limit_verdict_t *v, hb_limit_t *limit, const hb_limit_rule_t *rule,
                const char *key, apr_time_t now)
{
    hb_limit_take(v, limit, rule, key, strlen(key), now);
    return v->is_allowed;
}

START_TEST(the_hash_is_the_papers)
{
    static const apr_uint64_t key[2] = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
    unsigned char in[15];
    int i;

    for (i = 0; i < 15; i++) {
        in[i] = (unsigned char)i;
    }
    ck_assert(hb_siphash(key, in, sizeof(in)) == 0xa129ca6149be45e5ULL);
}
END_TEST

START_TEST(a_window_starts_with_the_first_event)
{
    hb_limit_t *limit = table_of(65536);
    apr_time_t start = 1000 * SEC;
    hb_limit_verdict_t v;

    ck_assert(take(&v, limit, &api, "a", start));
    ck_assert_int_eq(v.remaining, 2);
    ck_assert_int_eq(v.reset_sec, 60);
    ck_assert(take(&v, limit, &api, "a", start + 59 * SEC));
    ck_assert_int_eq(v.reset_sec, 1);
    ck_assert(take(&v, limit, &api, "a", start + 59 * SEC));
    ck_assert_int_eq(v.remaining, 0);
    ck_assert(!take(&v, limit, &api, "a", start + 60 * SEC - 1000));
    ck_assert_int_eq(v.reset_sec, 1);
    /* Refusals do not count: the next window is a whole one. */
    ck_assert(take(&v, limit, &api, "a", start + 60 * SEC));
    ck_assert_int_eq(v.remaining, 2);
    ck_assert(take(&v, limit, &api, "b", start));
    ck_assert_int_eq(v.remaining, 2);
}
END_TEST

START_TEST(rules_and_keys_do_not_mix)
{
    hb_limit_t *limit = table_of(65536);
    hb_limit_rule_t other = { "auth", 1, 60 * SEC };
    hb_limit_rule_t longer = { "api", 3, 61 * SEC };
    hb_limit_rule_t lower = { "api", 1, 60 * SEC };
    hb_limit_verdict_t v;

    ck_assert(take(&v, limit, &api, "k", SEC));
    ck_assert(take(&v, limit, &api, "k", SEC));
    ck_assert(take(&v, limit, &other, "k", SEC));
    ck_assert(!take(&v, limit, &other, "k", SEC));
    ck_assert(take(&v, limit, &longer, "k", SEC));
    ck_assert_int_eq(v.remaining, 2);
    /* A lower maximum holds at once for windows that are open. */
    ck_assert(!take(&v, limit, &lower, "k", SEC));
    ck_assert_int_eq(v.remaining, 0);
    ck_assert(take(&v, limit, &api, "", SEC));
}
END_TEST

START_TEST(peeking_does_not_count_and_forgetting_pardons)
{
    hb_limit_t *limit = table_of(65536);
    hb_limit_verdict_t v;
    int i;

    hb_limit_peek(&v, limit, &api, "k", 1, SEC);
    ck_assert(v.is_allowed && v.remaining == 3);
    for (i = 0; i < 3; i++) {
        ck_assert(take(&v, limit, &api, "k", SEC));
    }
    hb_limit_peek(&v, limit, &api, "k", 1, SEC);
    ck_assert(!v.is_allowed && v.remaining == 0 && v.reset_sec == 60);
    hb_limit_forget(limit, &api, "k", 1);
    hb_limit_peek(&v, limit, &api, "k", 1, SEC);
    ck_assert(v.is_allowed && v.remaining == 3);
    /* The window after a pardon is a whole one again. */
    ck_assert(take(&v, limit, &api, "k", 31 * SEC));
    ck_assert(v.remaining == 2 && v.reset_sec == 60);
    hb_limit_forget(limit, &api, "nobody", 6);
}
END_TEST

START_TEST(what_is_given_back_may_be_taken_again)
{
    hb_limit_t *limit = table_of(65536);
    apr_time_t start = 1000 * SEC;
    hb_limit_verdict_t v;
    int i;

    for (i = 0; i < 20; i++) {
        ck_assert(take(&v, limit, &api, "k", start));
        hb_limit_give_back(limit, &api, "k", 1, start);
    }
    for (i = 0; i < 3; i++) {
        ck_assert(take(&v, limit, &api, "k", start + SEC));
    }
    ck_assert(!take(&v, limit, &api, "k", start + 2 * SEC));
    hb_limit_give_back(limit, &api, "k", 1, start + 2 * SEC);
    ck_assert(take(&v, limit, &api, "k", start + 2 * SEC));
    /* The window stays the one that the first event opened. */
    ck_assert_int_eq(v.reset_sec, 59);
    hb_limit_give_back(limit, &api, "k", 1, start + 61 * SEC);
    ck_assert(!take(&v, limit, &api, "k", start + 2 * SEC));
    hb_limit_give_back(limit, &api, "nobody", 6, start);
}
END_TEST

START_TEST(a_full_bucket_admits_and_says_so)
{
    hb_limit_t *limit = table_of(ONE_BUCKET_BYTES + 64);
    hb_limit_rule_t shorter = { "short", 1, SEC };
    hb_limit_stats_t stats;
    hb_limit_verdict_t v;
    char key[16];
    int i;

    hb_limit_stats(&stats, limit);
    ck_assert_int_eq(stats.slots, 8);
    for (i = 0; i < 7; i++) {
        apr_snprintf(key, sizeof(key), "k%d", i);
        ck_assert(take(&v, limit, &api, key, 100 * SEC));
    }
    ck_assert(take(&v, limit, &shorter, "s", 100 * SEC));
    for (i = 0; i < 5; i++) {
        ck_assert(take(&v, limit, &api, "late", 100 * SEC));
        ck_assert(v.was_full);
    }
    /* The one whose window is over makes room, whatever its rule was. */
    ck_assert(take(&v, limit, &api, "late", 101 * SEC));
    ck_assert(!v.was_full && v.remaining == 2);
    ck_assert(take(&v, limit, &shorter, "s", 101 * SEC));
    ck_assert(v.was_full);
    ck_assert(take(&v, limit, &api, "k0", 101 * SEC));
    ck_assert_int_eq(v.remaining, 1);
    hb_limit_stats(&stats, limit);
    ck_assert_int_eq(stats.full, 6);
    ck_assert_int_eq(stats.taken, 10);
    ck_assert_int_eq(stats.refused, 0);
}
END_TEST

START_TEST(memory_of_another_size_or_kind_is_refused)
{
    static const apr_size_t skips[] = { 0, 8, 56, 64 };
    char *memory = apr_pcalloc(hb_test_pool, 65536 + 64);
    hb_limit_t *first, *second;
    hb_limit_verdict_t v;
    apr_size_t i;

    ck_assert_int_eq(hb_limit_open(&first, memory, 65536, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_limit_open(&second, memory, 65536, hb_test_pool), APR_SUCCESS);
    ck_assert(take(&v, first, &api, "k", SEC));
    ck_assert(take(&v, second, &api, "k", SEC));
    ck_assert_int_eq(v.remaining, 1);
    ck_assert_int_eq(hb_limit_open(&second, memory, 32768, hb_test_pool), HB_E_CONFIG);
    ck_assert_int_eq(hb_limit_open(&second, memory, 512, hb_test_pool), APR_ENOMEM);
    memset(memory, 'x', 65536);
    ck_assert_int_eq(hb_limit_open(&second, memory, 65536, hb_test_pool), HB_E_CONFIG);
    for (i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
        memset(memory, 0, 65536 + 64);
        ck_assert_int_eq(hb_limit_open(&first, memory + skips[i], 65536, hb_test_pool),
                         APR_SUCCESS);
        ck_assert(take(&v, first, &api, "k", SEC));
    }
}
END_TEST

START_TEST(addresses_become_keys)
{
    static const struct { const char *address; const char *bytes; int len; } rows[] = {
        { "192.0.2.1", "\xc0\x00\x02\x01", 4 },
        { "::ffff:192.0.2.1", "\xc0\x00\x02\x01", 4 },
        { "2001:db8:1:2:3:4:5:6", "\x20\x01\x0d\xb8\x00\x01\x00\x02", 8 },
        { "2001:db8:1:2::", "\x20\x01\x0d\xb8\x00\x01\x00\x02", 8 },
        { "fe80::1%eth0", "\xfe\x80\x00\x00\x00\x00\x00\x00", 8 },
        { "/run/httpd/some-very-long.sock", "/run/httpd/some-", 16 },
        { "", "", 0 },
    };
    unsigned char buf[16];
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg((int)hb_limit_address_key(buf, rows[i].address) == rows[i].len,
                      "%s", rows[i].address);
        ck_assert_msg(memcmp(buf, rows[i].bytes, (size_t)rows[i].len) == 0, "%s",
                      rows[i].address);
    }
    ck_assert_int_eq(hb_limit_address_key(buf, NULL), 0);
}
END_TEST

/* --- many at once --- */

/* What the processes of a case share beside the table. */
typedef struct stage_t {
    char table[65536];
    int arrived;                /* threads at the gate of a round */
    int round;                  /* the one that is open */
    int passed[ROUNDS][KEYS];
    int full;
} stage_t;

typedef struct part_t {
    stage_t *stage;
    hb_limit_t *limit;
    int takes;                  /* of each key in a round */
    unsigned int seed;
} part_t;

static const hb_limit_rule_t hundred = { "hundred", 100, 10 * SEC };

static void key_of(char *key, int round, int n)
{
    apr_snprintf(key, 32, "round %d key %d", round, n);
}

/* All rounds of one thread: fresh keys each, all threads let go at the same moment. */
static void *play(void *baton)
{
    part_t *part = baton;
    stage_t *stage = part->stage;
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        /* Far enough that every window of the round before is over. */
        apr_time_t now = (1000 + round * 20) * SEC;

        if (__atomic_add_fetch(&stage->arrived, 1, __ATOMIC_SEQ_CST)
            == (round + 1) * WORKERS * THREADS) {
            __atomic_store_n(&stage->round, round + 1, __ATOMIC_SEQ_CST);
        }
        while (__atomic_load_n(&stage->round, __ATOMIC_SEQ_CST) <= round) {
            sched_yield();
        }
        for (i = 0; i < part->takes * KEYS; i++) {
            hb_limit_verdict_t v;
            char key[32];
            int n = (i + (int)(part->seed & 3)) % KEYS;

            key_of(key, round, n);
            /* Clocks of threads differ a little. */
            part->seed = part->seed * 1103515245 + 12345;
            hb_limit_take(&v, part->limit, &hundred, key, strlen(key),
                          now + (apr_time_t)(part->seed >> 16) % 3000);
            if (v.was_full) {
                __atomic_add_fetch(&stage->full, 1, __ATOMIC_SEQ_CST);
            }
            else if (v.is_allowed) {
                __atomic_add_fetch(&stage->passed[round][n], 1, __ATOMIC_SEQ_CST);
            }
            if ((part->seed >> 20 & 63) == 0) {
                sched_yield();
            }
        }
    }
    return NULL;
}

static void work(stage_t *stage, apr_size_t bytes, int takes, int worker)
{
    pthread_t threads[THREADS];
    part_t parts[THREADS];
    apr_pool_t *pool;
    int i;

    apr_pool_create(&pool, NULL);
    for (i = 0; i < THREADS; i++) {
        parts[i].stage = stage;
        parts[i].takes = takes;
        parts[i].seed = (unsigned int)(worker * THREADS + i) * 2654435761U;
        if (hb_limit_open(&parts[i].limit, stage->table, bytes, pool) != APR_SUCCESS
            || pthread_create(&threads[i], NULL, play, &parts[i]) != 0) {
            _exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

static stage_t *stage_make(void)
{
    stage_t *stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert(stage != MAP_FAILED);
    return stage;
}

static void play_all(apr_size_t bytes, int takes)
{
    stage_t *stage = stage_make();
    pid_t pids[WORKERS];
    int round, i;

    for (i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            work(stage, bytes, takes, i);
        }
    }
    for (i = 0; i < WORKERS; i++) {
        int status;

        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(stage->full, 0);
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < KEYS; i++) {
            ck_assert_msg(stage->passed[round][i] == 100, "round %d key %d: %d passed",
                          round, i, stage->passed[round][i]);
        }
    }
    munmap(stage, sizeof(*stage));
}

START_TEST(a_hundred_pass_of_many)
{
    play_all(65536, 40);
}
END_TEST

/* Every key of every round in one bucket: all of it is stealing and coming in. */
START_TEST(a_hundred_pass_when_all_share_one_bucket)
{
    play_all(ONE_BUCKET_BYTES, 40);
}
END_TEST

/*
 * Coming in, as densely as it goes: tables of one bucket, each met once by every thread,
 * with seven new keys in an order of its own. One event a key may pass.
 */
#define TABLES 3000
#define NEW_KEYS 7
#define TABLE_BYTES ((ONE_BUCKET_BYTES + 63) / 64 * 64)

typedef struct gallery_t {
    char tables[TABLES][TABLE_BYTES] __attribute__((aligned(64)));
    unsigned char passed[TABLES][NEW_KEYS];
    int at;                     /* the table the foremost thread has reached */
} gallery_t;

static void visit(gallery_t *gallery, int worker)
{
    static const hb_limit_rule_t once = { "once", 1, 3600 * SEC };
    apr_pool_t *pool;
    int table, i;

    apr_pool_create(&pool, NULL);
    for (table = 0; table < TABLES; table++) {
        int at = __atomic_load_n(&gallery->at, __ATOMIC_RELAXED);
        hb_limit_t *limit;

        /* Who was away catches up, so that the threads meet. */
        if (at > table + 1) {
            table = at;
        }
        else if (at < table) {
            __atomic_compare_exchange_n(&gallery->at, &at, table, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
        }
        apr_pool_clear(pool);
        if (hb_limit_open(&limit, gallery->tables[table], TABLE_BYTES, pool)) {
            _exit(1);
        }
        for (i = 0; i < 2 * NEW_KEYS; i++) {
            int key = (i * (worker % 6 + 1) + worker) % NEW_KEYS;
            hb_limit_verdict_t v;

            hb_limit_take(&v, limit, &once, &key, sizeof(key), SEC);
            if (v.is_allowed) {
                __atomic_add_fetch(&gallery->passed[table][key], 1, __ATOMIC_RELAXED);
            }
        }
    }
    _exit(0);
}

START_TEST(a_new_key_comes_in_once)
{
    gallery_t *gallery = mmap(NULL, sizeof(*gallery), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[WORKERS];
    int i, key, status;
    int met = 0;

    ck_assert(gallery != MAP_FAILED);
    for (i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            visit(gallery, i);
        }
    }
    for (i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    for (i = 0; i < TABLES; i++) {
        for (key = 0; key < NEW_KEYS; key++) {
            ck_assert_msg(gallery->passed[i][key] <= 1, "table %d key %d passed %d times",
                          i, key, gallery->passed[i][key]);
            met += gallery->passed[i][key];
        }
    }
    ck_assert_int_eq(met % NEW_KEYS, 0);
    ck_assert_int_gt(met, 0);
    munmap(gallery, sizeof(*gallery));
}
END_TEST

/* Processes die anywhere, again and again; the table goes on and stays exact. */
START_TEST(death_anywhere_holds_up_nobody)
{
    stage_t *stage = stage_make();
    hb_limit_verdict_t v;
    hb_limit_t *limit;
    int round, i;

    ck_assert_int_eq(hb_limit_open(&limit, stage->table, ONE_BUCKET_BYTES, hb_test_pool),
                     APR_SUCCESS);
    for (round = 0; round < 100; round++) {
        struct timespec nap = { 0, 200000 + round * 7919 % 700000 };
        pid_t pid = fork();
        int passed = 0;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            hb_limit_rule_t brief = { "brief", 2, 1000 };

            for (i = 0; ; i++) {
                hb_limit_take(&v, limit, &brief, &i, sizeof(i), (1000 + round) * SEC + i);
            }
        }
        nanosleep(&nap, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (i = 0; i < 150; i++) {
            hb_limit_take(&v, limit, &hundred, &round, sizeof(round),
                          (10000 + round * 20) * SEC);
            passed += v.is_allowed && !v.was_full;
        }
        ck_assert_int_eq(passed, 100);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        the_hash_is_the_papers, a_window_starts_with_the_first_event,
        rules_and_keys_do_not_mix, peeking_does_not_count_and_forgetting_pardons,
        what_is_given_back_may_be_taken_again,
        a_full_bucket_admits_and_says_so, memory_of_another_size_or_kind_is_refused,
        addresses_become_keys, a_hundred_pass_of_many,
        a_hundred_pass_when_all_share_one_bucket,
        a_new_key_comes_in_once, death_anywhere_holds_up_nobody, NULL
    };
    return hb_test_main("hb_limit", cases);
}
