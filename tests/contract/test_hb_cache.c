/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache's contract, run against every backend in the table below. What only shared
 * memory can suffer is in tests/unit/test_cache_shm.c.
 */
#include "hb_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "cache_redis_mend.h"
#include "hb_ahead.h"
#include "hb_cache.h"
#include "hb_error.h"
#include "hb_test_site.h"

/* A new backend is one line here; one that needs a server is left out without its URL. */
static const struct {
    const char *name;
    const char *url;
    const char *env;            /* variable that has the URL, "" for none */
    apr_size_t bytes;           /* of shared memory, 0 for none */
} backends[] = {
    { "shm", "shm:", "", 1024 * 1024 },
    { "redis", NULL, "HALOBUZZ_TEST_REDIS_URL", 0 },
};

#define N_BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))
#define MINUTE (60 * APR_USEC_PER_SEC)

typedef struct desk_t {
    hb_test_site_t *ts;
    hb_op_t *op;
    int backend;
    const char *url;
    void *memory;
} desk_t;

static apr_status_t unmap(void *data)
{
    desk_t *desk = data;

    munmap(desk->memory, backends[desk->backend].bytes);
    return APR_SUCCESS;
}

static desk_t *start(int backend)
{
    desk_t *desk = apr_pcalloc(hb_test_pool, sizeof(*desk));
    const char *url = getenv(backends[backend].env);

    desk->backend = backend;
    /* A server keeps what earlier cases wrote: each has its own keys there. */
    desk->url = url != NULL
        ? apr_psprintf(hb_test_pool, "%s?prefix=c%ld:", url, (long)getpid())
        : backends[backend].url;
    /* A busy machine is no Redis that hangs. */
    desk->ts = hb_test_site_make_with("HaloBuzzRedisTimeout 10s\n", hb_test_pool);
    if (backends[backend].bytes != 0) {
        desk->memory = mmap(NULL, backends[backend].bytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert(desk->memory != MAP_FAILED);
        apr_pool_cleanup_register(hb_test_pool, desk, unmap, apr_pool_cleanup_null);
    }
    ck_assert_int_eq(hb_cache_open(&desk->ts->site->cache, desk->ts->site, desk->url,
                                   desk->memory, backends[backend].bytes, desk->ts->pool),
                     APR_SUCCESS);
    desk->op = hb_test_site_op(desk->ts);
    ck_assert_int_eq(hb_cache_ping(desk->op), APR_SUCCESS);
    hb_cache_flush(desk->op, "t");
    return desk;
}

/* What a key holds, "(miss)" for nothing. */
static const char *get(hb_op_t *op, const char *key)
{
    const char *value;
    apr_size_t len;

    if (hb_cache_get(&value, &len, NULL, op, key) != APR_SUCCESS) {
        return "(miss)";
    }
    ck_assert_int_eq(value[len], 0);
    return value;
}

static void set(hb_op_t *op, const char *key, const char *value)
{
    ck_assert_int_eq(hb_cache_set(op, key, value, strlen(value), 0), APR_SUCCESS);
}

START_TEST(values_come_back_until_they_are_removed)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;
    const char *value;
    apr_size_t len;

    ck_assert_str_eq(get(op, "t:a"), "(miss)");
    set(op, "t:a", "one");
    set(op, "t:b", "two");
    ck_assert_str_eq(get(op, "t:a"), "one");
    set(op, "t:a", "a longer one");
    ck_assert_str_eq(get(op, "t:a"), "a longer one");
    set(op, "t:a", "A LONGER ONE");
    ck_assert_str_eq(get(op, "t:a"), "A LONGER ONE");
    set(op, "t:a", "");
    ck_assert_str_eq(get(op, "t:a"), "");
    ck_assert_str_eq(get(op, "t:b"), "two");
    ck_assert_int_eq(hb_cache_set(op, "t:bytes", "\0\xff\n\0", 4, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_get(&value, &len, NULL, op, "t:bytes"), APR_SUCCESS);
    ck_assert_int_eq(len, 4);
    ck_assert_int_eq(memcmp(value, "\0\xff\n\0", 5), 0);
    ck_assert_int_eq(hb_cache_remove(op, "t:a"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_remove(op, "t:a"), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:a"), "(miss)");
    ck_assert_str_eq(get(op, "t:b"), "two");
}
END_TEST

START_TEST(a_life_ends)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;

    ck_assert_int_eq(hb_cache_set(op, "t:short", "s", 1, MINUTE), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_set(op, "t:long", "l", 1, 0), APR_SUCCESS);
    op->now += MINUTE - 1;
    ck_assert_str_eq(get(op, "t:short"), "s");
    op->now += 1;
    ck_assert_str_eq(get(op, "t:short"), "(miss)");
    op->now += 1000 * MINUTE;
    ck_assert_str_eq(get(op, "t:long"), "l");
}
END_TEST

START_TEST(a_slow_reader_cannot_put_an_old_value_back)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;
    hb_cache_lease_t lease, other;
    hb_cache_lease_t none = { 0 };
    const char *value;
    apr_size_t len;

    /* Nothing happened in between: both of two readers may fill. */
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:k"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_get(&value, &len, &other, op, "t:k"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:k", "old", 3, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_fill(op, &other, "t:k", "old", 3, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:k"), "old");
    /* Deleted meanwhile, also when nothing stood there. */
    ck_assert_int_eq(hb_cache_remove(op, "t:k"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_fill(op, &other, "t:k", "old", 3, 0), APR_EAGAIN);
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:k"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_remove(op, "t:k"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:k", "old", 3, 0), APR_EAGAIN);
    ck_assert_str_eq(get(op, "t:k"), "(miss)");
    /* Set meanwhile: the newer value stays. */
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:k"), HB_E_CACHE_MISS);
    set(op, "t:k", "new");
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:k", "old", 3, 0), APR_EAGAIN);
    ck_assert_str_eq(get(op, "t:k"), "new");
    /* Flushed meanwhile. */
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:other"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_flush(op, "t"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:other", "old", 3, 0), APR_EAGAIN);
    ck_assert_int_eq(hb_cache_fill(op, &none, "t:other", "old", 3, 0), APR_EAGAIN);
}
END_TEST

/* Where it would save nothing nothing is noted: then each of these asks by itself. */
static hb_op_t *ask_ahead(desk_t *desk, const char *a, const char *b, const char *c)
{
    hb_op_t *op = hb_test_site_op(desk->ts);

    ck_assert_int_eq(hb_ahead_begin(op), strcmp(backends[desk->backend].name, "shm") != 0);
    hb_ahead_value(op, a);
    hb_ahead_value(op, b);
    hb_ahead_value(op, c);
    hb_ahead_ask(op);
    return op;
}

START_TEST(what_is_asked_ahead_is_answered_as_ever)
{
    desk_t *desk = start(_i);
    hb_op_t *other = desk->op, *op;
    hb_cache_lease_t lease, gone;
    const char *value;
    apr_size_t len;

    set(other, "t:a", "one");
    set(other, "t:b", "two");
    ck_assert_int_eq(hb_cache_remove(other, "t:removed"), APR_SUCCESS);
    op = ask_ahead(desk, "t:a", "t:none", "t:removed");
    ck_assert_str_eq(get(op, "t:a"), "one");
    ck_assert_str_eq(get(op, "t:b"), "two");    /* not noted */
    /* A miss has a lease that holds until somebody was there, with and without a mark of the key. */
    ck_assert_int_eq(hb_cache_get(&value, &len, &lease, op, "t:none"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_get(&value, &len, &gone, op, "t:removed"), HB_E_CACHE_MISS);
    ck_assert_int_eq(hb_cache_remove(other, "t:removed"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_fill(op, &gone, "t:removed", "old", 3, 0), APR_EAGAIN);
    ck_assert_int_eq(hb_cache_fill(op, &lease, "t:none", "new", 3, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:none"), "new");
    /* An answer is used once. */
    ck_assert_int_eq(hb_cache_remove(other, "t:a"), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:a"), "(miss)");
}
END_TEST

START_TEST(what_the_op_changed_is_asked_again)
{
    desk_t *desk = start(_i);
    hb_cache_lease_t none = { 0 };
    hb_op_t *op;

    set(desk->op, "t:a", "one");
    set(desk->op, "t:b", "two");
    set(desk->op, "t:n", "5");
    op = ask_ahead(desk, "t:a", "t:b", "t:n");
    set(op, "t:a", "mine");
    ck_assert_int_eq(hb_cache_remove(op, "t:b"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_add(NULL, op, "t:n", 1, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:a"), "mine");
    ck_assert_str_eq(get(op, "t:b"), "(miss)");
    ck_assert_str_eq(get(op, "t:n"), "6");
    op = ask_ahead(desk, "t:a", "t:n", "t:b");
    hb_cache_fill(op, &none, "t:a", "no", 2, 0);        /* somebody's lease, whatever became of it */
    ck_assert_str_eq(get(op, "t:a"), "mine");
    ck_assert_int_eq(hb_cache_flush(op, "t"), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:n"), "(miss)");
}
END_TEST

START_TEST(a_life_ends_for_what_was_asked_ahead_too)
{
    desk_t *desk = start(_i);
    hb_op_t *op;

    ck_assert_int_eq(hb_cache_set(desk->op, "t:a", "one", 3, MINUTE), APR_SUCCESS);
    set(desk->op, "t:b", "two");
    op = ask_ahead(desk, "t:a", "t:b", "t:c");
    ck_assert_str_eq(get(op, "t:a"), "one");
    desk->ts->now += MINUTE;
    op = ask_ahead(desk, "t:a", "t:b", "t:c");
    ck_assert_str_eq(get(op, "t:a"), "(miss)");
    ck_assert_str_eq(get(op, "t:b"), "two");
}
END_TEST

START_TEST(counters_count)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;
    apr_int64_t n = -1;

    ck_assert_int_eq(hb_cache_add(&n, op, "t:n", 0, MINUTE), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(hb_cache_add(&n, op, "t:n", 5, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_add(NULL, op, "t:n", -7, 0), APR_SUCCESS);
    ck_assert_str_eq(get(op, "t:n"), "-2");
    op->now += MINUTE;          /* the life of the first add, whatever the later ones said */
    ck_assert_int_eq(hb_cache_add(&n, op, "t:n", 1, MINUTE), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    set(op, "t:text", "41");
    ck_assert_int_eq(hb_cache_add(&n, op, "t:text", 1, 0), APR_SUCCESS);
    ck_assert_int_eq(n, 42);
    set(op, "t:word", "41x");
    ck_assert_int_eq(hb_cache_add(&n, op, "t:word", 1, 0), APR_EINVAL);
    ck_assert_str_eq(get(op, "t:word"), "41x");
    ck_assert_int_eq(hb_cache_add(&n, op, "t:max", APR_INT64_MAX, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_add(&n, op, "t:max", 1, 0), APR_EINVAL);
    ck_assert_int_eq(hb_cache_add(&n, op, "t:max", 0, 0), APR_SUCCESS);
    ck_assert(n == APR_INT64_MAX);
}
END_TEST

static const char *top(hb_op_t *op, const char *board, int offset, int limit)
{
    const hb_rank_t *entries;
    const char *text = "";
    int n, i;

    ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, board, offset, limit), APR_SUCCESS);
    for (i = 0; i < n; i++) {
        text = apr_psprintf(op->pool, "%s%s=%" APR_INT64_T_FMT " ", text, entries[i].member,
                            entries[i].score);
    }
    return text;
}

START_TEST(rankings_keep_their_order)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;
    apr_int64_t score;

    ck_assert_str_eq(top(op, "t:board", 0, 10), "");
    hb_cache_rank_set(op, "t:board", "bert", 5);
    hb_cache_rank_set(op, "t:board", "anna", 5);
    hb_cache_rank_set(op, "t:board", "carl", 9);
    hb_cache_rank_set(op, "t:board", "dora", -1);
    hb_cache_rank_set(op, "t:other", "anna", 1);
    ck_assert_str_eq(top(op, "t:board", 0, 10), "carl=9 anna=5 bert=5 dora=-1 ");
    ck_assert_str_eq(top(op, "t:board", 1, 2), "anna=5 bert=5 ");
    ck_assert_str_eq(top(op, "t:board", 3, 5), "dora=-1 ");
    ck_assert_str_eq(top(op, "t:board", 4, 5), "");
    ck_assert_str_eq(top(op, "t:board", -1, 5), "");
    ck_assert_str_eq(top(op, "t:board", 0, 0), "");
    ck_assert_int_eq(hb_cache_rank_add(&score, op, "t:board", "dora", 11), APR_SUCCESS);
    ck_assert_int_eq(score, 10);
    ck_assert_int_eq(hb_cache_rank_add(&score, op, "t:board", "emil", 7), APR_SUCCESS);
    ck_assert_int_eq(score, 7);
    hb_cache_rank_set(op, "t:board", "carl", 1);
    ck_assert_str_eq(top(op, "t:board", 0, 10), "dora=10 emil=7 anna=5 bert=5 carl=1 ");
    ck_assert_int_eq(hb_cache_rank_remove(op, "t:board", "anna"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_rank_remove(op, "t:board", "nobody"), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_rank_remove(op, "t:none", "nobody"), APR_SUCCESS);
    ck_assert_str_eq(top(op, "t:board", 0, 10), "dora=10 emil=7 bert=5 carl=1 ");
    ck_assert_int_eq(hb_cache_rank_drop(op, "t:board"), APR_SUCCESS);
    ck_assert_str_eq(top(op, "t:board", 0, 10), "");
    ck_assert_str_eq(top(op, "t:other", 0, 10), "anna=1 ");
}
END_TEST

/* Members in a plain array are what the board must look like, after every kind of change. */
START_TEST(rankings_agree_with_a_plain_list)
{
    enum { MEMBERS = 300, CHANGES = 6000 };
    desk_t *desk = start(_i);
    static apr_int64_t scores[MEMBERS];
    static int is_in[MEMBERS];
    unsigned int dice = 7;
    int change, i, n;

    for (change = 0; change < CHANGES; change++) {
        hb_op_t *op = hb_test_site_op(desk->ts);
        const hb_rank_t *entries;
        char member[16];

        dice = dice * 1103515245 + 12345;
        i = (int)(dice >> 8) % MEMBERS;
        apr_snprintf(member, sizeof(member), "m%03d", i);
        if ((dice >> 20) % 5 == 0) {
            ck_assert_int_eq(hb_cache_rank_remove(op, "t:many", member), APR_SUCCESS);
            is_in[i] = 0;
            scores[i] = 0;
        }
        else {
            apr_int64_t by = (apr_int64_t)(dice >> 24) - 128;

            ck_assert_int_eq(hb_cache_rank_add(NULL, op, "t:many", member, by),
                             APR_SUCCESS);
            is_in[i] = 1;
            scores[i] += by;
        }
        if (change % 500 == 499) {
            int wanted = 0;

            ck_assert_int_eq(hb_cache_rank_top(&entries, &n, op, "t:many", 0, MEMBERS + 1),
                             APR_SUCCESS);
            for (i = 0; i < MEMBERS; i++) {
                wanted += is_in[i];
            }
            ck_assert_int_eq(n, wanted);
            for (i = 0; i < n; i++) {
                ck_assert_int_eq(entries[i].score, scores[atoi(entries[i].member + 1)]);
                if (i > 0) {
                    ck_assert(entries[i - 1].score > entries[i].score
                              || (entries[i - 1].score == entries[i].score
                                  && strcmp(entries[i - 1].member, entries[i].member) < 0));
                }
            }
        }
        apr_pool_destroy(op->pool);
    }
}
END_TEST

START_TEST(a_flush_drops_one_namespace)
{
    desk_t *desk = start(_i);
    hb_op_t *op = desk->op;
    char key[32];
    int i;

    for (i = 0; i < 500; i++) {
        apr_snprintf(key, sizeof(key), "%s:%d", i % 2 ? "t" : "tt", i);
        set(op, key, "v");
    }
    hb_cache_rank_set(op, "t:board", "a", 1);
    hb_cache_rank_set(op, "tt:board", "a", 1);
    ck_assert_int_eq(hb_cache_flush(op, "t"), APR_SUCCESS);
    for (i = 0; i < 500; i++) {
        apr_snprintf(key, sizeof(key), "%s:%d", i % 2 ? "t" : "tt", i);
        ck_assert_str_eq(get(op, key), i % 2 ? "(miss)" : "v");
    }
    ck_assert_str_eq(top(op, "t:board", 0, 1), "");
    ck_assert_str_eq(top(op, "tt:board", 0, 1), "a=1 ");
    ck_assert_int_eq(hb_cache_flush(op, ""), APR_EINVAL);
    ck_assert_int_eq(hb_cache_flush(op, "tt"), APR_SUCCESS);
}
END_TEST

/* Far more than fits goes through; a hit is always the value that was set last. */
START_TEST(a_hit_is_never_wrong)
{
    enum { KEYS = 4000, TURNS = 60000 };
    desk_t *desk = start(_i);
    static unsigned int last[KEYS];
    static char text[5000];
    hb_cache_stats_t stats;
    unsigned int dice = 3;
    unsigned int turn;
    int hits = 0;

    for (turn = 1; turn < TURNS; turn++) {
        hb_op_t *op = hb_test_site_op(desk->ts);
        apr_size_t len, i;
        char key[32];
        int k;

        dice = dice * 1103515245 + 12345;
        k = (int)(dice >> 8) % KEYS;
        apr_snprintf(key, sizeof(key), "t:%d", k);
        if ((dice >> 20) % 3 == 0) {
            len = 4 + (dice >> 12) % ((dice >> 25) % 16 == 0 ? 4900 : 300);
            memset(text, (char)('a' + turn % 26), len);
            memcpy(text, &turn, sizeof(turn));
            ck_assert_int_eq(hb_cache_set(op, key, text, len, 0), APR_SUCCESS);
            last[k] = turn;
        }
        else if ((dice >> 20) % 31 == 0) {
            ck_assert_int_eq(hb_cache_remove(op, key), APR_SUCCESS);
            last[k] = 0;
        }
        else {
            const char *value;
            unsigned int when;

            if (hb_cache_get(&value, &len, NULL, op, key) == APR_SUCCESS) {
                hits++;
                memcpy(&when, value, sizeof(when));
                if (when != last[k]) {
                    ck_abort_msg("%s is of turn %u, not %u", key, when, last[k]);
                }
                for (i = 4; i < len; i++) {
                    if (value[i] != (char)('a' + when % 26)) {
                        ck_abort_msg("%s is damaged at %d", key, (int)i);
                    }
                }
            }
        }
        apr_pool_destroy(op->pool);
    }
    ck_assert_int_gt(hits, TURNS / 10);
    ck_assert_int_eq(hb_cache_stats(&stats, desk->op), APR_SUCCESS);
    ck_assert_int_ge((int)stats.hits, hits);
    ck_assert_int_gt((int)stats.misses, 0);
    ck_assert_int_gt((int)stats.sets, 0);
    ck_assert_int_gt((int)stats.entries, 0);
    ck_assert(stats.bytes_used > 0 && stats.bytes_used <= stats.bytes_total);
}
END_TEST

START_TEST(what_is_read_stays_when_others_must_go)
{
    desk_t *desk = start(_i);
    static char text[1000];
    char key[32];
    int i, n;

    memset(text, 'x', sizeof(text));
    for (i = 0; i < 20; i++) {
        apr_snprintf(key, sizeof(key), "t:keep%d", i);
        set(desk->op, key, "kept");
    }
    for (n = 0; n < 10000; n++) {
        hb_op_t *op = hb_test_site_op(desk->ts);

        apr_snprintf(key, sizeof(key), "t:once%d", n);
        ck_assert_int_eq(hb_cache_set(op, key, text, sizeof(text), 0), APR_SUCCESS);
        if (n % 10 == 0) {
            for (i = 0; i < 20; i++) {
                apr_snprintf(key, sizeof(key), "t:keep%d", i);
                ck_assert_str_eq(get(op, key), "kept");
            }
        }
        apr_pool_destroy(op->pool);
    }
}
END_TEST

START_TEST(a_value_too_large_is_refused_and_explained_once)
{
    desk_t *desk = start(_i);
    apr_size_t len = 600 * 1024;
    char *text = apr_palloc(hb_test_pool, len);
    int i;

    if (backends[_i].bytes == 0) {
        return;                 /* without a size of its own, nothing is too large */
    }
    memset(text, 'x', len);
    set(desk->op, "t:big", "old");
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(hb_cache_set(desk->op, "t:big", text, len, 0), HB_E_CACHE_FULL);
    }
    /* What stood there is older than what was to stand there. */
    ck_assert_str_eq(get(desk->op, "t:big"), "(miss)");
    ck_assert(hb_test_site_logged(desk->ts, "HaloBuzzCacheSize"));
    hb_test_site_forget_log(desk->ts);
    ck_assert_int_eq(hb_cache_set(desk->op, "t:big", text, len, 0), HB_E_CACHE_FULL);
    ck_assert(!hb_test_site_logged(desk->ts, "HaloBuzzCacheSize"));
    desk->op->now += MINUTE;
    ck_assert_int_eq(hb_cache_set(desk->op, "t:big", text, len, 0), HB_E_CACHE_FULL);
    ck_assert(hb_test_site_logged(desk->ts, "HaloBuzzCacheSize"));
}
END_TEST

START_TEST(processes_share_one_cache)
{
    enum { WORKERS = 4, ADDS = 5000 };
    desk_t *desk = start(_i);
    int i, status;

    for (i = 0; i < WORKERS; i++) {
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            hb_op_t *op;

            if (hb_cache_open(&desk->ts->site->cache, desk->ts->site, desk->url,
                              desk->memory, backends[_i].bytes, hb_test_pool)) {
                _exit(1);
            }
            op = hb_test_site_op(desk->ts);
            for (i = 0; i < 2 * ADDS; i++) {
                apr_status_t rv = i % 2 ? hb_cache_add(NULL, op, "t:sum", 1, 0)
                    : hb_cache_rank_add(NULL, op, "t:sums", "m", 1);

                /* A machine may be too busy; what was refused was not counted. */
                if (rv == HB_E_UNAVAILABLE) {
                    i--;
                }
                else if (rv != APR_SUCCESS) {
                    _exit(2);
                }
            }
            _exit(0);
        }
    }
    for (i = 0; i < WORKERS; i++) {
        ck_assert_int_ge(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_str_eq(get(desk->op, "t:sum"), apr_itoa(hb_test_pool, WORKERS * ADDS));
    ck_assert_str_eq(top(desk->op, "t:sums", 0, 1),
                     apr_psprintf(hb_test_pool, "m=%d ", WORKERS * ADDS));
}
END_TEST

/* kill -9 at any moment, also while a lock is held: the others go on, and hits are right. */
START_TEST(a_killed_process_leaves_a_cache_that_works)
{
    desk_t *desk = start(_i);
    static char text[3000];
    int round, i;

    for (round = 0; round < 60; round++) {
        struct timespec nap = { 0, 300000 + round * 7919L % 3000 * 1000 };
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            for (i = 0; ; i++) {
                hb_op_t *op = hb_test_site_op(desk->ts);
                const char *key = apr_psprintf(op->pool, "t:%d", i % 50);
                int len = 100 + i % 2900;

                memset(text, 'a' + i % 26, sizeof(text));
                hb_cache_set(op, key, text, (apr_size_t)len, 0);
                hb_cache_rank_set(op, "t:board", key, i);
                hb_cache_rank_remove(op, "t:board", key);
                apr_pool_destroy(op->pool);
            }
        }
        nanosleep(&nap, NULL);
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        for (i = 0; i < 50; i++) {
            hb_op_t *op = hb_test_site_op(desk->ts);
            const char *key = apr_psprintf(op->pool, "t:%d", i);
            const char *value = get(op, key);

            /* Killed before it came so far: what the round before left. */
            if (strcmp(value, "(miss)") != 0 && strcmp(value, "whole") != 0 && strspn(value, apr_psprintf(op->pool, "%c",
                                                       value[0])) != strlen(value)) {
                ck_abort_msg("%s is damaged: %s", key, value);
            }
            set(op, key, "whole");
            ck_assert_str_eq(get(op, key), "whole");
            ck_assert_int_eq(hb_cache_rank_set(op, "t:board", key, i), APR_SUCCESS);
            apr_pool_destroy(op->pool);
        }
        ck_assert_str_eq(top(desk->op, "t:board", 0, 1), "t:49=49 ");
        ck_assert_int_eq(hb_cache_ping(desk->op), APR_SUCCESS);
    }
}
END_TEST

/* --- what could not be removed from a Redis --- */

typedef struct outage_t {
    mend_t *mend;
    int n_removed;
} outage_t;

/* While the first removal is under way, another write of the same value cannot be told. */
static apr_status_t remove_late(void *baton, hb_op_t *op, const char *key)
{
    outage_t *outage = baton;

    (void)op;
    ck_assert_str_eq(key, "t:one");
    if (__atomic_fetch_add(&outage->n_removed, 1, __ATOMIC_ACQ_REL) == 0) {
        mend_note(outage->mend, "t:one");
    }
    return APR_SUCCESS;
}

static apr_status_t flush_nothing(void *baton, hb_op_t *op, const char *name_space)
{
    (void)baton;
    (void)op;
    ck_abort_msg("%s", name_space);
    return APR_SUCCESS;
}

START_TEST(a_value_is_removed_behind_the_last_write_of_it)
{
    hb_test_site_t *ts = hb_test_site_make(hb_test_pool);
    outage_t outage = { NULL, 0 };
    const struct timespec nap = { 0, 1000000 };
    apr_pool_t *pool;
    int n;

    apr_pool_create(&pool, hb_test_pool);
    outage.mend = mend_make(ts->site, remove_late, flush_nothing, &outage, pool);
    ck_assert_ptr_nonnull(outage.mend);
    ck_assert(!mend_is_due(outage.mend));
    mend_note(outage.mend, "t:one");
    for (n = 0; n < 10000 && mend_is_due(outage.mend); n++) {
        nanosleep(&nap, NULL);
    }
    ck_assert(!mend_is_due(outage.mend));
    apr_pool_destroy(pool);
    ck_assert_int_eq(outage.n_removed, 2);
}
END_TEST

static void open_pool(void)
{
    ck_assert_int_eq(apr_initialize(), 0);
    ck_assert_int_eq(apr_pool_create(&hb_test_pool, NULL), 0);
}

static void close_pool(void)
{
    apr_pool_destroy(hb_test_pool);
    apr_terminate();
}

int main(void)
{
    const TTest *const cases[] = {
        values_come_back_until_they_are_removed, a_life_ends,
        a_slow_reader_cannot_put_an_old_value_back, what_is_asked_ahead_is_answered_as_ever,
        what_the_op_changed_is_asked_again, a_life_ends_for_what_was_asked_ahead_too, counters_count,
        rankings_keep_their_order, rankings_agree_with_a_plain_list,
        a_flush_drops_one_namespace, a_hit_is_never_wrong,
        what_is_read_stays_when_others_must_go,
        a_value_too_large_is_refused_and_explained_once, processes_share_one_cache,
        a_killed_process_leaves_a_cache_that_works, NULL
    };
    Suite *suite = suite_create("hb_cache");
    TCase *mend = tcase_create("mend");
    SRunner *runner;
    int i, one, n_failed;

    tcase_add_checked_fixture(mend, open_pool, close_pool);
    tcase_add_test(mend, a_value_is_removed_behind_the_last_write_of_it);
    suite_add_tcase(suite, mend);
    for (i = 0; i < N_BACKENDS; i++) {
        TCase *tcase;

        if (backends[i].url == NULL && getenv(backends[i].env) == NULL) {
            printf("hb_cache: %s is left out, %s is not set\n", backends[i].name,
                   backends[i].env);
            continue;
        }
        tcase = tcase_create(backends[i].name);
        tcase_add_checked_fixture(tcase, open_pool, close_pool);
        tcase_set_timeout(tcase, 120);
        for (one = 0; cases[one] != NULL; one++) {
            tcase_add_loop_test(tcase, cases[one], i, i + 1);
        }
        suite_add_tcase(suite, tcase);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
