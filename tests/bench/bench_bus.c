/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_bus - what telling costs
 *
 * SYNOPSIS
 *     bench_bus --dir DIR [--seconds N]
 *
 * DESCRIPTION
 *     Makes a site in DIR. Prints the nanoseconds of one event of a chat message's size: nobody reads; a
 *     reader that is always awake; a sidecar that sleeps and is woken; two processes at once. Then
 *     gifts by one thread, told and not told in turn, and what of a gift's time telling takes. The
 *     file lies in the page cache, so none of it waits for the disk.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bench_desk.h"
#include "hb_bus.h"
#include "hb_gift.h"
#include "hb_ledger.h"
#include "hb_store.h"
#include "hb_stream.h"

#define N_EVENTS 200000
#define ROUNDS 5

static hb_site_t *site;
static volatile int is_over;

static double clock_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- events --- */

static void append_many(int n)
{
    static char text[400];
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, "0123456789abcdef01234567", NULL, text,
                         sizeof(text) - 1 };

    memset(text, 'x', sizeof(text) - 1);
    while (n-- > 0) {
        bench_must(hb_bus_append(NULL, site, &event), "append");
    }
}

static void *read_all(void *data)
{
    int is_main = *(int *)data;
    struct pollfd fd = { .events = POLLIN };
    hb_bus_reader_t *reader;
    apr_pool_t *pool;
    hb_event_t event;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    bench_must(hb_bus_reader_open(&reader, site, HB_BUS_NEWEST, is_main, pool), "reader");
    fd.fd = hb_bus_reader_fd(reader);
    while (!is_over) {
        if (hb_bus_read(&event, reader) == APR_EAGAIN && is_main) {
            poll(&fd, 1, 100);
        }
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void tell(const char *what, double began, int n)
{
    printf("%-36s %6.0f ns an event\n", what, (clock_of(CLOCK_MONOTONIC) - began) * 1e9 / n);
    fflush(stdout);
}

static void beside_reader(const char *what, int is_main)
{
    pthread_t thread;
    double began;

    is_over = 0;
    if (pthread_create(&thread, NULL, read_all, &is_main) != 0) {
        exit(1);
    }
    usleep(50000);
    began = clock_of(CLOCK_MONOTONIC);
    append_many(N_EVENTS);
    tell(what, began, N_EVENTS);
    is_over = 1;
    pthread_join(thread, NULL);
}

static void two_processes(void)
{
    double began = clock_of(CLOCK_MONOTONIC);
    pid_t pid = fork();

    append_many(N_EVENTS);
    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    tell("two processes at once, of all", began, 2 * N_EVENTS);
}

/* --- gifts --- */

static hb_op_t *op_of(const char *user_id, apr_pool_t *pool)
{
    hb_op_t *op = hb_op_make(site, pool);

    op->actor.user_id = user_id;
    return op;
}

static void add_user(const char *id, apr_pool_t *pool)
{
    hb_json_t *user = hb_json_object_make(pool);

    hb_json_set_string(user, "_id", id);
    hb_json_set_string(user, "username", id);
    hb_json_set_string(user, "displayName", "Somebody With A Name");
    hb_json_set_string(user, "status", "active");
    hb_json_set_int(user, "createdAt", apr_time_as_msec(apr_time_now()));
    bench_must(hb_store_insert(NULL, op_of(NULL, pool), HB_C_USERS, user), "user");
}

static apr_status_t fund(hb_op_t *op, void *baton)
{
    hb_entry_t entry = { .kind = "purchase", .key = "fund:1", .user_id = baton };

    hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -APR_INT64_C(1000000000000));
    hb_entry_add(&entry, hb_account_user(op, baton), HB_COIN, APR_INT64_C(1000000000000));
    return hb_ledger_post(NULL, op, &entry);
}

/* Gives CPU microseconds a gift. */
static double gifts_for(double seconds, const char *room, const hb_json_t *input,
                        const char *giver, apr_pool_t *parent)
{
    double began = clock_of(CLOCK_MONOTONIC), cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    hb_json_t *reply;
    apr_pool_t *pool;
    int n;

    apr_pool_create(&pool, parent);
    for (n = 0; clock_of(CLOCK_MONOTONIC) - began < seconds; n++) {
        bench_must(hb_gift_send(&reply, op_of(giver, pool), room, input), "gift");
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return (clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / n;
}

static void gifts(double seconds, apr_pool_t *pool)
{
    const char *host = "aaaaaaaaaaaaaaaaaaaaaaaa", *giver = "bbbbbbbbbbbbbbbbbbbbbbb1";
    const char *seeds = "[{\"code\":\"rose\",\"name\":\"Rose\",\"priceCoins\":10}]";
    const hb_query_t query = { .in = HB_C_GIFT_CATALOG };
    hb_json_t *stream, *gift, *input = hb_json_object_make(pool);
    struct hb_bus_t *bus = site->bus;
    double told = 0, untold = 0;
    const char *room;
    int i, n;

    add_user(host, pool);
    add_user(giver, pool);
    bench_must(hb_store_transact(op_of(NULL, pool), fund, (void *)giver), "coins");
    bench_must(hb_gift_seed(&n, op_of(NULL, pool), hb_json_parse_own(seeds, strlen(seeds), pool)),
         "gifts");
    bench_must(hb_store_find_one(&gift, op_of(NULL, pool), &query), "gift");
    hb_json_set_string(input, "title", "Songs");
    bench_must(hb_stream_create(&stream, op_of(host, pool), input), "stream");
    room = hb_json_string(stream, "_id");
    bench_must(hb_stream_start(&stream, op_of(host, pool), room), "start");
    hb_json_set_string(input, "giftId", hb_json_string(gift, "_id"));
    for (i = 0; i < ROUNDS; i++) {
        site->bus = NULL;
        untold += gifts_for(seconds / 2 / ROUNDS, room, input, giver, pool);
        site->bus = bus;
        told += gifts_for(seconds / 2 / ROUNDS, room, input, giver, pool);
    }
    printf("a gift, CPU                          %6.0f us told, %.0f us not told: %.1f %% of it\n",
           told / ROUNDS, untold / ROUNDS, 100 * (told - untold) / told);
}

int main(int argc, char **argv)
{
    const char *dir = NULL;
    double seconds = 5, began;
    apr_pool_t *pool;
    int i;

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        }
        else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = atof(argv[i + 1]);
        }
    }
    if (dir == NULL) {
        fputs("usage: bench_bus --dir DIR [--seconds N]\n", stderr);
        return 2;
    }
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    site = bench_site(pool, dir, NULL);
    append_many(N_EVENTS);          /* every page of the ring was touched once */
    began = clock_of(CLOCK_MONOTONIC);
    append_many(N_EVENTS);
    tell("nobody reads", began, N_EVENTS);
    beside_reader("a reader that is awake", 0);
    beside_reader("a sidecar that sleeps", 1);
    two_processes();
    gifts(seconds, pool);
    apr_pool_destroy(pool);
    return 0;
}
