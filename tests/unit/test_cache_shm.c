/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a cache in shared memory can suffer: owners of locks that are killed or stopped, a
 * first process that dies while it lays the memory out, memory of another size, a pool of
 * ranks that is used up. What every cache promises is in tests/contract/test_hb_cache.c.
 */
#include "hb_test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "cache_shm.h"
#include "hb_error.h"
#include "hb_test_op.h"

#define BYTES (1024 * 1024)

typedef struct block_t {
    char memory[BYTES];
    int locked;                 /* a child has what it was made to lock */
} block_t;

static block_t *block;
static hb_test_desk_t *desk;
static void *self;              /* of the driver, for the tests' own calls */

static hb_op_t *start(void)
{
    block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    ck_assert(block != MAP_FAILED);
    desk = hb_test_desk_make(hb_test_pool);
    ck_assert_int_eq(hb_cache_open(&desk->site.cache, &desk->site, "shm:", block->memory,
                                   BYTES, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_shm.open(&self, &desk->site, "shm:", block->memory, BYTES,
                                       hb_test_pool), APR_SUCCESS);
    return hb_test_op_make(desk, hb_test_pool);
}

static const char *get(hb_op_t *op, const char *key)
{
    const char *value;
    apr_size_t len;

    return hb_cache_get(&value, &len, NULL, op, key) == APR_SUCCESS ? value : "(miss)";
}

/* A child that holds a lock, and does nothing more. */
static pid_t hold(cache_lock_t *lock)
{
    pid_t pid = fork();
    int is_void;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (cache_lock_take(lock, &is_void) == APR_SUCCESS) {
            __atomic_store_n(&block->locked, 1, __ATOMIC_SEQ_CST);
        }
        for (;;) {
            pause();
        }
    }
    while (!__atomic_load_n(&block->locked, __ATOMIC_SEQ_CST)) {
        usleep(1000);
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(a_dead_owner_costs_its_shard_and_no_time)
{
    hb_op_t *op = start();
    hb_cache_lease_t lease;
    const char *value;
    apr_size_t len;
    apr_time_t before;

    hb_cache_set(op, "t:k", "v", 1, 0);
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:k"), APR_SUCCESS);
    end(hold(cache_shard_lock(cache_shm_shard(self, "t:k"))));
    before = apr_time_now();
    ck_assert_str_eq(get(op, "t:k"), "(miss)");
    ck_assert_int_lt(apr_time_now() - before, 40000);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:k", "old", 3, 0), APR_EAGAIN);
    ck_assert_int_eq(hb_cache_set(op, "t:k", "new", 3, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:k"), "new");
    ck_assert_int_eq(hb_cache_ping(op), APR_SUCCESS);
}
END_TEST

START_TEST(a_stopped_owner_holds_up_nobody)
{
    hb_op_t *op = start();
    hb_cache_stats_t stats;
    apr_time_t before;
    apr_int64_t n;
    pid_t pid;
    int i;

    hb_cache_set(op, "t:k", "v", 1, 0);
    pid = hold(cache_shard_lock(cache_shm_shard(self, "t:k")));
    before = apr_time_now();
    for (i = 0; i < 1000; i++) {
        ck_assert_str_eq(get(op, "t:k"), "(miss)");
    }
    ck_assert_int_lt(apr_time_now() - before, APR_USEC_PER_SEC);
    ck_assert_int_eq(hb_cache_set(op, "t:k", "w", 1, 0), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_add(&n, op, "t:k", 1, 0), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_ping(op), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_flush(op, "t"), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_stats(&stats, op), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_remove(op, "t:k"), APR_SUCCESS);
    end(pid);
    ck_assert_str_eq(get(op, "t:k"), "(miss)");
}
END_TEST

/* The owner wakes up again and unlocks: what was removed meanwhile is gone all the same. */
START_TEST(a_removal_reaches_past_a_lock)
{
    hb_op_t *op = start();
    cache_lock_t *lock = cache_shard_lock(cache_shm_shard(self, "t:k"));
    int is_void;
    pid_t pid;

    hb_cache_set(op, "t:k", "v", 1, 0);
    pid = fork();
    if (pid == 0) {
        if (cache_lock_take(lock, &is_void) == APR_SUCCESS) {
            __atomic_store_n(&block->locked, 1, __ATOMIC_SEQ_CST);
        }
        while (__atomic_load_n(&block->locked, __ATOMIC_SEQ_CST) != 2) {
            usleep(1000);
        }
        cache_lock_drop(lock);
        _exit(0);
    }
    while (!__atomic_load_n(&block->locked, __ATOMIC_SEQ_CST)) {
        usleep(1000);
    }
    ck_assert_int_eq(hb_cache_remove(op, "t:k"), APR_SUCCESS);
    __atomic_store_n(&block->locked, 2, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_str_eq(get(op, "t:k"), "(miss)");
    ck_assert_int_eq(hb_cache_set(op, "t:k", "new", 3, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:k"), "new");
}
END_TEST

START_TEST(a_dead_owner_of_the_rankings_empties_them)
{
    hb_op_t *op = start();
    const hb_rank_t *entries;
    int n;

    hb_cache_rank_set(op, "t:board", "a", 1);
    end(hold(cache_ranks_lock(cache_shm_ranks(self))));
    ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, "t:board", 0, 10), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_cache_rank_set(op, "t:board", "b", 1), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, "t:board", 0, 10), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(ranks_are_bounded_and_the_lowest_go)
{
    hb_op_t *op = start();
    int all = cache_ranks_max(cache_shm_ranks(self));
    const hb_rank_t *entries;
    char member[32], board[16];
    int i, n;

    ck_assert_int_gt(all, 500);
    for (i = 0; i < all; i++) {
        apr_snprintf(member, sizeof(member), "m%d", i);
        ck_assert_int_eq(hb_cache_rank_set(op, "t:one", member, i % 2 ? i : -i), APR_SUCCESS);
    }
    ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, "t:one", 0, all), APR_SUCCESS);
    ck_assert_int_eq(n, all / 2);
    for (i = 1; i < n; i++) {
        ck_assert(entries[i - 1].score >= entries[i].score);
    }
    ck_assert_int_ge(entries[0].score, all - 2);
    ck_assert_int_ge(entries[n - 1].score, -1);
    /* Other boards take the pool's other half, then from the largest. */
    for (i = 0; i < 3 * all; i++) {
        apr_snprintf(member, sizeof(member), "m%d", i);
        apr_snprintf(board, sizeof(board), "t:b%d", i % 3);
        ck_assert_int_eq(hb_cache_rank_set(op, board, member, i), APR_SUCCESS);
    }
    for (i = 0; i < 3; i++) {
        apr_snprintf(board, sizeof(board), "t:b%d", i);
        ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, board, 0, all), APR_SUCCESS);
        ck_assert_int_gt(n, all / 5);
        ck_assert_int_eq(entries[0].score, 3 * all - 3 + i);
        ck_assert_int_eq(hb_cache_rank_drop(op, board), APR_SUCCESS);
    }
    /* More boards than there is room for are refused, and it goes on when some are dropped. */
    for (i = 0; i < 300; i++) {
        apr_snprintf(board, sizeof(board), "t:c%d", i);
        n = hb_cache_rank_set(op, board, "m", i);
        ck_assert(n == APR_SUCCESS || (i > 200 && n == HB_E_CACHE_FULL));
    }
    ck_assert_int_eq(n, HB_E_CACHE_FULL);
    ck_assert_int_eq(hb_cache_rank_remove(op, "t:c0", "m"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_rank_set(op, board, "m", 1), APR_SUCCESS);
}
END_TEST

START_TEST(a_maker_that_died_is_replaced)
{
    static char *memory;
    pid_t pid = fork();
    void *opened;

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    desk = hb_test_desk_make(hb_test_pool);
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED);
    /* The third word of the header: laid out by a process that is gone. */
    ((apr_uint64_t *)memory)[2] = (apr_uint64_t)pid;
    ck_assert_int_eq(hb_cache_shm.open(&opened, &desk->site, "shm:", memory, BYTES,
                                       hb_test_pool), APR_SUCCESS);
}
END_TEST

START_TEST(foreign_memory_leaves_the_cache_down)
{
    hb_op_t *op = start();
    hb_cache_t *good = desk->site.cache;
    const hb_rank_t *entries;
    hb_cache_stats_t stats;
    hb_cache_lease_t lease;
    const char *value;
    apr_size_t len;
    int n;

    hb_cache_set(op, "t:k", "v", 1, 0);
    ck_assert_int_eq(hb_cache_open(&desk->site.cache, &desk->site, "shm:", block->memory,
                                   BYTES / 2, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:k"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_set(op, "t:k", "w", 1, 0), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:k", "w", 1, 0), APR_EAGAIN);
    ck_assert_int_eq(hb_cache_remove(op, "t:k"), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_rank_set(op, "t:b", "m", 1), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, "t:b", 0, 1), HB_E_UNAVAILABLE);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_cache_ping(op), HB_E_UNAVAILABLE);
    ck_assert_int_eq(hb_cache_stats(&stats, op), HB_E_UNAVAILABLE);
    desk->site.cache = NULL;
    ck_assert_str_eq(get(op, "t:k"), "(miss)");
    desk->site.cache = good;
    ck_assert_str_eq(get(op, "t:k"), "v");
    /* A second generation of the same size finds what the first one left. */
    ck_assert_int_eq(hb_cache_open(&desk->site.cache, &desk->site, "shm:", block->memory,
                                   BYTES, hb_test_pool), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:k"), "v");
}
END_TEST

START_TEST(urls_are_explained)
{
    ck_assert_ptr_null(hb_cache_url_check("shm:", hb_test_pool));
    ck_assert_ptr_nonnull(strstr(hb_cache_url_check("shm:64M", hb_test_pool),
                                 "HaloBuzzCacheSize"));
    ck_assert_ptr_nonnull(strstr(hb_cache_url_check("ftp://x", hb_test_pool), "shm:"));
    ck_assert_ptr_nonnull(hb_cache_url_check("", hb_test_pool));
    ck_assert_ptr_nonnull(hb_cache_url_check("shm", hb_test_pool));
}
END_TEST

START_TEST(a_private_cache_needs_no_memory)
{
    hb_op_t *op;

    desk = hb_test_desk_make(hb_test_pool);
    ck_assert_int_eq(hb_cache_open(&desk->site.cache, &desk->site, "shm:", NULL, 0,
                                   hb_test_pool), APR_SUCCESS);
    op = hb_test_op_make(desk, hb_test_pool);
    ck_assert_int_eq(hb_cache_set(op, "t:k", "v", 1, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:k"), "v");
    ck_assert_str_eq(get(op, ""), "(miss)");
    ck_assert_int_eq(hb_cache_set(op, "", "v", 1, 0), HB_E_CACHE_FULL);
    ck_assert_int_eq(hb_cache_rank_set(op, "", "m", 1), APR_EINVAL);
}
END_TEST

#define ROUNDS 500

static void *use_cache(void *baton)
{
    hb_op_t *op = baton;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        hb_cache_set(op, "t:k", "v", 1, 0);
        get(op, "t:k");
        hb_cache_remove(op, "t:k");
    }
    return NULL;
}

/* Where ThreadSanitizer looks on, it says whether they are read as they are written. */
START_TEST(statistics_are_read_beside_those_who_use_it)
{
    hb_op_t *op = start();
    hb_cache_stats_t stats;
    pthread_t threads[2];
    apr_pool_t *pools[2];
    hb_op_t *ops[2];
    int i;

    for (i = 0; i < 2; i++) {   /* the desk's chance is for one thread */
        ck_assert_int_eq(apr_pool_create_unmanaged(&pools[i]), APR_SUCCESS);
        ops[i] = hb_test_op_make(desk, pools[i]);
    }
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_cache, ops[i]), 0);
    }
    for (i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(hb_cache_stats(&stats, op), APR_SUCCESS);
        ck_assert_uint_le(stats.entries, 1);
        ck_assert_uint_le(stats.sets, 2 * ROUNDS);
    }
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        apr_pool_destroy(pools[i]);
    }
    ck_assert_int_eq(hb_cache_stats(&stats, op), APR_SUCCESS);
    /* Fewer where one waited for the lock in vain. */
    ck_assert_uint_le(stats.hits + stats.misses, 2 * ROUNDS);
    ck_assert_uint_le(stats.sets, 2 * ROUNDS);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_dead_owner_costs_its_shard_and_no_time, a_stopped_owner_holds_up_nobody,
        a_removal_reaches_past_a_lock, a_dead_owner_of_the_rankings_empties_them,
        ranks_are_bounded_and_the_lowest_go, a_maker_that_died_is_replaced,
        foreign_memory_leaves_the_cache_down, urls_are_explained,
        a_private_cache_needs_no_memory, statistics_are_read_beside_those_who_use_it, NULL
    };
    return hb_test_main("cache_shm", cases);
}
