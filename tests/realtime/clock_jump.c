/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into httpd and its programs: a wall clock that jumps when a test says so. The
 * 64-bit number of microseconds at the head of the file that HB_TEST_CLOCK names is added
 * to it. The steady clock is as it is. Waits until a time of the wall clock end when that
 * time would have come without the jump, as those of a kernel whose clock is set nearly do.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Steady times count from the start of the machine. */
#define IS_OF_WALL_CLOCK(at) ((at)->tv_sec > 1000000000)

static const volatile int64_t *offset_usec;

__attribute__((constructor)) static void map_it(void)
{
    const char *path = getenv("HB_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (at == MAP_FAILED) {
        abort();
    }
    close(fd);
    offset_usec = at;
}

static void move(struct timespec *at, int64_t usec)
{
    int64_t nsec = at->tv_nsec + usec % 1000000 * 1000;

    at->tv_sec += usec / 1000000 + (nsec >= 1000000000) - (nsec < 0);
    at->tv_nsec = (nsec + 1000000000) % 1000000000;
}

static clockid_t real(struct timespec *until, const struct timespec *at)
{
    *until = *at;
    if (!IS_OF_WALL_CLOCK(at)) {
        return CLOCK_MONOTONIC;
    }
    move(until, -*offset_usec);
    return CLOCK_REALTIME;
}

/* The rest is there to be found instead of the C library's. */
#pragma GCC visibility push(default)

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, now);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        && offset_usec != NULL) {
        move(now, *offset_usec);
    }
    return rc;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec at;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    if (now != NULL) {
        *now = at.tv_sec;
    }
    return at.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict at)
{
    struct timespec until;
    clockid_t clock = real(&until, at);

    return pthread_cond_clockwait(cond, mutex, clock, &until);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict at)
{
    struct timespec until;
    clockid_t clock = real(&until, at);

    return pthread_mutex_clocklock(mutex, clock, &until);
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict at)
{
    struct timespec until;
    clockid_t clock = real(&until, at);

    return sem_clockwait(sem, clock, &until);
}
