/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_limits - decisions of the limiter by Redis
 *
 * SYNOPSIS
 *     bench_limits --dir DIR --cache URL [--seconds N] [--threads N]
 *
 * DESCRIPTION
 *     Makes a site in DIR, as a child of httpd has one. Prints decisions a second of one thread and of
 *     N (16), keys being 1 000, and how many were made in all.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bench_desk.h"
#include "hb_limit.h"

#define THREADS_MOST 64

static const hb_limit_rule_t rule = { "bench", 1000000000, 60 * APR_USEC_PER_SEC };
static hb_site_t *site;
static volatile int is_over;
static apr_int64_t in_all;

static void *decide(void *data)
{
    apr_int64_t *n = data;

    while (!is_over) {
        hb_limit_verdict_t verdict;
        char key[32];
        int len = snprintf(key, sizeof(key), "key %d", (int)(*n * 7919 % 1000));

        hb_limit_take(&verdict, site->limit, &rule, key, (apr_size_t)len, hb_limit_now());
        ++*n;
    }
    return NULL;
}

static double run(int n_threads, int seconds)
{
    pthread_t threads[THREADS_MOST];
    struct { apr_int64_t n, unused[15]; } done[THREADS_MOST];
    const struct timespec pause = { seconds, 0 };
    apr_int64_t sum = 0;
    double began = bench_now();
    int i;

    is_over = 0;
    memset(done, 0, sizeof(done));
    for (i = 0; i < n_threads; i++) {
        if (pthread_create(&threads[i], NULL, decide, &done[i].n) != 0) {
            exit(1);
        }
    }
    nanosleep(&pause, NULL);
    is_over = 1;
    for (i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
        sum += done[i].n;
    }
    in_all += sum;
    return (double)sum / (bench_now() - began);
}

int main(int argc, char **argv)
{
    const char *dir = NULL, *cache = NULL;
    int seconds = 2, n_threads = 16, i;
    apr_pool_t *pool;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        }
        else if (strcmp(argv[i], "--cache") == 0) {
            cache = argv[i + 1];
        }
        else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = atoi(argv[i + 1]);
        }
        else if (strcmp(argv[i], "--threads") == 0) {
            n_threads = atoi(argv[i + 1]);
        }
    }
    if (dir == NULL || cache == NULL || n_threads < 1 || n_threads > THREADS_MOST) {
        fprintf(stderr, "usage: bench_limits --dir DIR --cache URL [--seconds N] [--threads N]\n");
        return 2;
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    /* A busy machine is no Redis that hangs. */
    site = bench_site(pool, dir, "HaloBuzzCache", cache, "HaloBuzzRedisTimeout", "1s", NULL);
    printf("1 thread: %.0f decisions/s\n", run(1, seconds));
    printf("%d threads: %.0f decisions/s\n", n_threads, run(n_threads, seconds));
    printf("%" APR_INT64_T_FMT " decisions in all\n", in_all);
    fflush(stdout);
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
