/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of one machine where it is a file: replaced, removed, of another build or boot,
 * damaged, on a long path; a writer that is stopped or killed with the lock in its hand; waking.
 */
#include "bus_local.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_metrics.h"
#include "hb_test.h"
#include "hb_test_site.h"

static hb_test_site_t *ts;
static const char *path;
static bus_local_t raw;         /* to look into the file behind the bus' back */

static void open_site_at(const char *file)
{
    ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzBusSize 256K\nHaloBuzzBus "
                                            "local:", file, "\n", NULL), hb_test_pool);
    hb_test_site_open(ts);
    path = apr_pstrcat(hb_test_pool, ts->dir, "/", file, NULL);
    raw = (bus_local_t){ .site = ts->site, .path = path };
}

static void open_site(void)
{
    open_site_at("bus.log");
}

static hb_bus_reader_t *reader_of(hb_bus_from_e from, int is_main)
{
    hb_bus_reader_t *reader;

    hb_bus_reader_open(&reader, ts->site, from, is_main, ts->pool);
    return reader;
}

static apr_status_t append(int n)
{
    const char *text = apr_psprintf(hb_test_pool, "%d", n);
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, "room", NULL, text, strlen(text) };

    return hb_bus_append(NULL, ts->site, &event);
}

static void append_ok(int n)
{
    ck_assert_int_eq(append(n), APR_SUCCESS);
}

static void expect(hb_bus_reader_t *reader, int n)
{
    hb_event_t event;

    ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
    ck_assert_int_eq(atoi(event.payload), n);
}

static void expect_status(hb_bus_reader_t *reader, apr_status_t status)
{
    hb_event_t event;

    ck_assert_int_eq(hb_bus_read(&event, reader), status);
}

/* What is checked once a second is due now. */
static void second(void)
{
    usleep(1010 * 1000);
}

static bus_map_t look(void)
{
    bus_map_t map;

    ck_assert_int_eq(bus_map_open(&map, &raw), APR_SUCCESS);
    return map;
}

/* --- the file --- */

START_TEST(a_removed_file_is_made_again)
{
    hb_bus_reader_t *reader;
    const char *epoch;

    open_site();
    append_ok(1);
    reader = reader_of(HB_BUS_OLDEST, 0);
    expect(reader, 1);
    epoch = apr_pstrdup(hb_test_pool, hb_bus_reader_epoch(reader));
    ck_assert_int_eq(unlink(path), 0);
    second();
    append_ok(2);
    append_ok(3);
    expect_status(reader, HB_E_BUS_GAP);
    ck_assert_str_ne(hb_bus_reader_epoch(reader), epoch);
    expect(reader, 2);
    expect(reader, 3);
    expect_status(reader, APR_EAGAIN);
}
END_TEST

START_TEST(what_cannot_be_used_is_replaced)
{
    enum { MAGIC, VERSION, BOOT, SIZE, RETIRED, SHORT, EMPTY, N_WAYS };
    hb_bus_reader_t *reader;
    bus_map_t map;
    struct stat before, after;
    int way;

    for (way = 0; way < N_WAYS; way++) {
        open_site();
        append_ok(1);
        map = look();
        ck_assert_int_eq(stat(path, &before), 0);
        switch (way) {
        case MAGIC:   map.head->magic++; break;
        case VERSION: map.head->version = 0; break;
        case BOOT:    map.head->boot[0] ^= 1; break;
        case SIZE:    map.head->ring_bytes -= 8; break;
        case RETIRED: map.head->is_retired = 1; break;
        case SHORT:   ck_assert_int_eq(truncate(path, 65536 + BUS_HEAD_BYTES + 3), 0); break;
        case EMPTY:   ck_assert_int_eq(truncate(path, 0), 0); break;
        }
        bus_map_close(&map);
        /* a program that starts now */
        reader = reader_of(HB_BUS_OLDEST, 0);
        ck_assert_int_eq(stat(path, &after), 0);
        ck_assert_msg(after.st_ino != before.st_ino, "way %d", way);
        ck_assert_int_eq(after.st_mode & 0777, 0660);
        expect_status(reader, APR_EAGAIN);
        apr_pool_clear(ts->pool);
    }
}
END_TEST

/* Of two builds during an upgrade the older one does without, and touches nothing. */
START_TEST(a_newer_build_keeps_its_file)
{
    hb_bus_reader_t *reader;
    struct stat before, after;
    bus_map_t map;

    open_site();
    append_ok(1);
    map = look();
    map.head->version = BUS_VERSION + 1;
    bus_map_close(&map);
    ck_assert_int_eq(stat(path, &before), 0);
    reader = reader_of(HB_BUS_OLDEST, 0);
    expect_status(reader, HB_E_UNAVAILABLE);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
}
END_TEST

START_TEST(a_size_holds_until_the_file_goes)
{
    hb_bus_stats_t stats;

    open_site();
    append_ok(1);
    ((hb_settings_t *)ts->site->settings)->bus_size = 1024 * 1024;
    ck_assert_int_eq(hb_bus_stats(&stats, ts->site), APR_SUCCESS);
    ck_assert_uint_eq(stats.bytes_total, 256 * 1024 - BUS_HEAD_BYTES);
    ck_assert_uint_eq(stats.newest, 1);
    ck_assert_uint_gt(stats.bytes_used, 0);
    ck_assert_int_eq(unlink(path), 0);
    second();
    ck_assert_int_eq(hb_bus_stats(&stats, ts->site), APR_SUCCESS);
    ck_assert_uint_eq(stats.bytes_total, 1024 * 1024 - BUS_HEAD_BYTES);
}
END_TEST

/* Whatever stands in the ring, readers and writers go on. */
START_TEST(garbage_in_the_ring_harms_nobody)
{
    hb_bus_reader_t *reader;
    unsigned int seed = 1;
    apr_status_t rv;
    hb_event_t event;
    bus_map_t map;
    int round, i;

    open_site();
    map = (bus_map_t){ NULL };
    for (round = 0; round < 200; round++) {
        for (i = 0; i < 40; i++) {
            append_ok(i);
        }
        if (round == 0) {
            map = look();
        }
        for (i = 0; i < 1 << (round % 12); i++) {
            map.ring[(unsigned int)rand_r(&seed) % map.ring_bytes]
                = (unsigned char)rand_r(&seed);
        }
        reader = reader_of(HB_BUS_OLDEST, 0);
        for (i = 0; i < 100000; i++) {
            rv = hb_bus_read(&event, reader);
            ck_assert(rv == APR_SUCCESS || rv == HB_E_BUS_GAP || rv == APR_EAGAIN);
            if (rv == APR_EAGAIN) {
                break;
            }
        }
        ck_assert_int_eq(rv, APR_EAGAIN);
        append_ok(-1);
        expect(reader, -1);
    }
    bus_map_close(&map);
}
END_TEST

START_TEST(a_path_may_be_long)
{
    const char *dir = apr_pstrcat(hb_test_pool, apr_pstrcat(hb_test_pool, "d", NULL), NULL);
    hb_bus_reader_t *reader;
    struct pollfd fd = { .events = POLLIN };
    int i;

    for (i = 0; i < 6; i++) {
        dir = apr_pstrcat(hb_test_pool, dir, "abcdefghijklmnopqrstuvwxyz", NULL);
    }
    ts = hb_test_site_make_with(apr_pstrcat(hb_test_pool, "HaloBuzzBusSize 256K\nHaloBuzzBus "
                                            "local:", dir, "/bus.log\n", NULL), hb_test_pool);
    ck_assert_int_eq(apr_dir_make(apr_pstrcat(hb_test_pool, ts->dir, "/", dir, NULL),
                                  APR_OS_DEFAULT, hb_test_pool), APR_SUCCESS);
    hb_test_site_open(ts);
    reader = reader_of(HB_BUS_NEWEST, 1);
    expect_status(reader, APR_EAGAIN);
    append_ok(1);
    fd.fd = hb_bus_reader_fd(reader);
    ck_assert_int_eq(poll(&fd, 1, 1000), 1);
    expect(reader, 1);
}
END_TEST

/* --- waking --- */

START_TEST(a_reader_that_sleeps_is_woken_once)
{
    struct pollfd fd = { .events = POLLIN };
    hb_bus_reader_t *reader, *next;

    open_site();
    reader = reader_of(HB_BUS_NEWEST, 1);
    fd.fd = hb_bus_reader_fd(reader);
    ck_assert_int_ge(fd.fd, 0);
    append_ok(1);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);       /* it had not said that it sleeps */
    expect(reader, 1);
    expect_status(reader, APR_EAGAIN);
    append_ok(2);
    append_ok(3);
    ck_assert_int_eq(poll(&fd, 1, 1000), 1);
    expect(reader, 2);
    expect(reader, 3);
    expect_status(reader, APR_EAGAIN);
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    /* The next sidecar takes the socket over. */
    next = reader_of(HB_BUS_NEWEST, 1);
    expect_status(next, APR_EAGAIN);
    append_ok(4);
    fd.fd = hb_bus_reader_fd(next);
    ck_assert_int_eq(poll(&fd, 1, 1000), 1);
    expect(next, 4);
    expect(reader, 4);
    ck_assert_int_eq(hb_bus_reader_fd(reader_of(HB_BUS_NEWEST, 0)), -1);
}
END_TEST

/* --- writers in trouble --- */

typedef enum how_e { STAYS, DIES, IS_SLOW } how_e;

/* Holds the lock when it returns the pid. */
static pid_t fork_holder(how_e how)
{
    int fds[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        bus_map_t map = look();

        bus_lock_take(&map);
        if (write(fds[1], "", 1) == 1 && how == STAYS) {
            pause();
        }
        if (how == IS_SLOW) {
            usleep(150 * 1000);
            bus_lock_drop(&map);
        }
        _exit(0);
    }
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

START_TEST(a_stopped_writer_delays_but_does_not_stop_the_others)
{
    hb_bus_reader_t *reader;
    hb_bus_stats_t stats;
    apr_uint64_t began;
    pid_t pid;
    int i;

    open_site();
    append_ok(1);
    reader = reader_of(HB_BUS_OLDEST, 0);
    expect(reader, 1);
    pid = fork_holder(STAYS);
    began = bus_now_msec();
    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(append(i), HB_E_UNAVAILABLE);
    }
    ck_assert_uint_lt(bus_now_msec() - began, 10000);   /* two seconds once, not each time */
    ck_assert(hb_test_site_logged(ts, "HaloBuzzBus cannot be written"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    append_ok(2);
    ck_assert(hb_test_site_logged(ts, "events are told again"));
    /* Nobody is told that nothing is missing. */
    expect_status(reader, HB_E_BUS_GAP);
    expect(reader, 2);
    expect_status(reader, APR_EAGAIN);
    ck_assert_int_eq(hb_bus_stats(&stats, ts->site), APR_SUCCESS);
    ck_assert_uint_eq(stats.dropped, 10);
}
END_TEST

/* As one is whose page of the ring waits for a busy disk. */
START_TEST(a_slow_writer_is_waited_for)
{
    hb_bus_reader_t *reader;
    hb_bus_stats_t stats;
    pid_t pid;

    open_site();
    append_ok(1);
    reader = reader_of(HB_BUS_OLDEST, 0);
    expect(reader, 1);
    pid = fork_holder(IS_SLOW);
    append_ok(2);
    waitpid(pid, NULL, 0);
    expect(reader, 2);
    ck_assert(!hb_test_site_logged(ts, "HaloBuzzBus cannot be written"));
    ck_assert_int_eq(hb_bus_stats(&stats, ts->site), APR_SUCCESS);
    ck_assert_uint_eq(stats.dropped, 0);
}
END_TEST

/* Died right behind the store that made its record part of the log, before it noted the number. */
START_TEST(numbers_go_on_behind_a_writer_that_died)
{
    hb_bus_reader_t *reader;
    hb_event_t event;
    bus_map_t map;
    pid_t pid;
    int i;

    open_site();
    for (i = 1; i <= 3; i++) {
        append_ok(i);
    }
    map = look();
    pid = fork_holder(DIES);
    waitpid(pid, NULL, 0);
    map.head->last_seq = 2;
    map.head->last_end -= 88;           /* somewhere before: it is worked out from there */
    while (map.head->last_end > map.head->tail) {
        bus_record_t record;

        if (bus_record_get(&record, &map, map.head->last_end,
                           map.head->head - map.head->last_end) && record.seq == 3) {
            break;
        }
        map.head->last_end -= 8;
    }
    bus_map_close(&map);
    append_ok(4);
    reader = reader_of(HB_BUS_OLDEST, 0);
    for (i = 1; i <= 4; i++) {
        ck_assert_int_eq(hb_bus_read(&event, reader), APR_SUCCESS);
        ck_assert_uint_eq(event.seq, (apr_uint64_t)i);
    }
}
END_TEST

/* A child that publishes one event, stopped before it does; 0 where nobody may be traced. */
static pid_t fork_traced(void)
{
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, "room", NULL, "-1", 2 };
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(2);
        }
        raise(SIGSTOP);
        hb_bus_append(NULL, ts->site, &event);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSTOPPED(status) ? pid : 0;
}

/* Lets it take so many instructions and kills it. 0 when it was done before. */
static int kill_after(pid_t pid, int n)
{
    int status = 0;

    while (n-- > 0) {
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status)) {
            return 0;
        }
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return 1;
}

/* How far apart the instructions are at which it is killed: sanitizers make more of them. */
#if defined(__SANITIZE_THREAD__)
#define STRIDE 4999
#elif defined(__SANITIZE_ADDRESS__)
#define STRIDE 997
#else
#define STRIDE 17
#endif

START_TEST(a_writer_may_die_at_any_instruction)
{
    hb_bus_reader_t *reader;
    hb_event_t event;
    apr_uint64_t last = 0;
    int n, n_mine = 0, n_its = 0, goes_on = 1;
    pid_t pid;

    open_site();
    reader = reader_of(HB_BUS_OLDEST, 0);
    for (n = 0; goes_on; n += STRIDE) {
        append_ok(n);
        n_mine++;
        pid = fork_traced();
        if (pid == 0) {
            printf("skipped: nobody may be traced here\n");
            return;
        }
        goes_on = kill_after(pid, n);
        append_ok(n + 1);
        n_mine++;
        while (hb_bus_read(&event, reader) == APR_SUCCESS) {
            ck_assert_msg(event.seq == last + 1, "killed after %d instructions", n);
            last = event.seq;
            if (atoi(event.payload) < 0) {
                n_its++;
            }
            else {
                n_mine--;
            }
        }
        ck_assert_msg(n_mine == 0, "killed after %d instructions", n);
    }
    ck_assert_int_gt(n, 300);
    /* The last ones came through: it died between the store that counts and its end. */
    ck_assert_int_gt(n_its, 1);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_FAILED), 0);
}
END_TEST

/* What could not be told while there was no log is a gap in the one that comes. */
START_TEST(a_log_that_comes_late_says_so)
{
    hb_bus_reader_t *reader;
    apr_uint64_t began;
    const char *dir;

    ts = hb_test_site_make_with("HaloBuzzBusSize 256K\nHaloBuzzBus local:later/bus.log\n",
                                hb_test_pool);
    hb_test_site_open(ts);
    began = bus_now_msec();
    reader = reader_of(HB_BUS_OLDEST, 1);
    expect_status(reader, HB_E_UNAVAILABLE);
    ck_assert_int_eq(append(1), HB_E_UNAVAILABLE);
    dir = apr_pstrcat(hb_test_pool, ts->dir, "/later", NULL);
    ck_assert_int_eq(apr_dir_make(dir, APR_OS_DEFAULT, hb_test_pool), APR_SUCCESS);
    if (append(2) == APR_SUCCESS) {     /* not tried at every event, but once a second */
        ck_assert_uint_ge(bus_now_msec() - began, 1000);
        return;
    }
    second();
    expect_status(reader, APR_EAGAIN);
    append_ok(3);
    expect_status(reader, HB_E_BUS_GAP);
    expect(reader, 3);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_BUS_FAILED), 2);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_removed_file_is_made_again, what_cannot_be_used_is_replaced,
        a_newer_build_keeps_its_file, a_size_holds_until_the_file_goes,
        garbage_in_the_ring_harms_nobody, a_path_may_be_long,
        a_reader_that_sleeps_is_woken_once,
        a_stopped_writer_delays_but_does_not_stop_the_others,
        a_slow_writer_is_waited_for,
        numbers_go_on_behind_a_writer_that_died, a_writer_may_die_at_any_instruction,
        a_log_that_comes_late_says_so, NULL
    };

    return hb_test_main("bus_local", cases);
}
