/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock that writers of all processes queue on: httpd's children, the programs, the
 * operator's command. It is held over a commit and its checkpoint (SQLite before 3.51.3 can
 * damage a log when the two meet in different processes), and it hands over in turn,
 * which SQLite's own waiting does not.
 *
 * It is a robust, priority-inheriting mutex in a small file beside the database, mapped by
 * everybody. Whoever has the file open keeps a shared flock on it; whoever finds nobody
 * else there (an exclusive flock succeeds) writes the header anew. So what a reboot, a
 * crash or another machine left in the file never matters. A holder's death is seen by
 * the next, and SQLite forgets what was not committed.
 *
 * Process numbers are in the mutex, so all processes have to share one pid namespace; a
 * second container on the same file is refused.
 */
#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#define MAGIC "HBwlock1"
#define TRY_AGAIN_USEC 2000
#define LOCK_MODE 0640

/* What lies in the file. */
typedef struct header_t {
    char magic[8];              /* written last */
    apr_uint32_t bytes;         /* of this struct: another build may see another mutex */
    apr_uint32_t spare;
    apr_uint64_t pid_namespace;
    pthread_mutex_t mutex;
} header_t;

struct store_lock_t {
    int fd;
    header_t *header;
};

static apr_uint64_t pid_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? (apr_uint64_t)st.st_ino : 0;
}

static int mutex_make(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    int rc;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    rc = pthread_mutex_init(mutex, &attr);
    if (rc != 0) {              /* a kernel without: in turn is lost, the rest holds */
        pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_NONE);
        rc = pthread_mutex_init(mutex, &attr);
    }
    pthread_mutexattr_destroy(&attr);
    return rc;
}

/* With the exclusive flock: nobody else looks at the file. */
static const char *header_make(store_lock_t *lock)
{
    static const char zeros[sizeof(header_t)];
    header_t *header = lock->header;

    /* Written, not only made longer: a hole on a full disk would kill who touches it. */
    if (pwrite(lock->fd, zeros, sizeof(zeros), 0) != (ssize_t)sizeof(zeros)) {
        return "cannot be written";
    }
    header->bytes = sizeof(*header);
    header->pid_namespace = pid_namespace();
    if (mutex_make(&header->mutex) != 0) {
        return "cannot hold a mutex: is this a local file system?";
    }
    memcpy(header->magic, MAGIC, sizeof(header->magic));
    return NULL;
}

static const char *header_check(const header_t *header)
{
    if (header->bytes != sizeof(*header)) {
        return "is in use by another build of this program; stop that one first";
    }
    if (header->pid_namespace != pid_namespace()) {
        return "is in use by processes of another container; one store takes one";
    }
    return NULL;
}

/* One attempt: APR_SUCCESS, APR_EAGAIN when somebody is making the header just now. */
static apr_status_t attach(store_lock_t *lock, const char **why)
{
    struct stat st;

    if (flock(lock->fd, LOCK_EX | LOCK_NB) == 0) {
        *why = header_make(lock);
        if (*why != NULL) {
            return errno != 0 ? errno : APR_EGENERAL;
        }
    }
    /* Between the two another may have come and made the header again; that is as good. */
    if (flock(lock->fd, LOCK_SH | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK || errno == EINTR ? APR_EAGAIN : errno;
    }
    if (fstat(lock->fd, &st) != 0 || st.st_size < (off_t)sizeof(header_t)
        || memcmp(lock->header->magic, MAGIC, sizeof(lock->header->magic)) != 0) {
        flock(lock->fd, LOCK_UN);   /* its maker died; somebody makes it anew */
        return APR_EAGAIN;
    }
    *why = header_check(lock->header);
    return *why == NULL ? APR_SUCCESS : APR_EGENERAL;
}

apr_status_t store_lock_open(store_lock_t **lock, const char **why, const char *path,
                             apr_interval_time_t wait)
{
    apr_int64_t deadline = hb_clock() + wait;
    store_lock_t *l = calloc(1, sizeof(*l));
    apr_status_t rv;
    void *map;

    *lock = NULL;
    *why = "cannot be opened";
    if (l == NULL) {
        return APR_ENOMEM;
    }
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
    if (l->fd < 0) {
        rv = errno;
        free(l);
        return rv;
    }
    map = mmap(NULL, sizeof(header_t), PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
    if (map == MAP_FAILED) {
        rv = errno;
        *why = "cannot be mapped: is this a local file system?";
        close(l->fd);
        free(l);
        return rv;
    }
    l->header = map;
    for (;;) {
        errno = 0;
        rv = attach(l, why);
        if (rv != APR_EAGAIN || hb_clock() > deadline) {
            break;
        }
        apr_sleep(TRY_AGAIN_USEC);
    }
    if (rv != APR_SUCCESS) {
        if (rv == APR_EAGAIN) {
            *why = "is being made by a process that does not finish";
        }
        store_lock_close(l);
        return rv;
    }
    *lock = l;
    return APR_SUCCESS;
}

void store_lock_close(store_lock_t *lock)
{
    munmap(lock->header, sizeof(header_t));
    close(lock->fd);
    free(lock);
}

static int take_by(pthread_mutex_t *mutex, apr_int64_t deadline)
{
    int rc = hb_clock_lock(mutex, deadline);
    struct timespec at;
    apr_int64_t wait;

    if (rc == EINVAL) {         /* a kernel that waits for these by the wall clock only */
        wait = deadline - hb_clock();
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_sec += wait / 1000000;
        at.tv_nsec += wait % 1000000 * 1000;
        if (at.tv_nsec >= 1000000000) {
            at.tv_sec++;
            at.tv_nsec -= 1000000000;
        }
        rc = wait > 0 ? pthread_mutex_timedlock(mutex, &at) : pthread_mutex_trylock(mutex);
    }
    return rc;
}

apr_status_t store_lock_take(store_lock_t *lock, apr_int64_t deadline, int *died)
{
    pthread_mutex_t *mutex = &lock->header->mutex;
    int rc = pthread_mutex_trylock(mutex);

    *died = 0;
    if (rc == EBUSY && deadline > hb_clock()) {
        rc = take_by(mutex, deadline);
    }
    if (rc == EOWNERDEAD) {
        *died = 1;
        rc = pthread_mutex_consistent(mutex);
    }
    if (rc == EBUSY || rc == ETIMEDOUT) {
        return APR_TIMEUP;
    }
    return rc;
}

void store_lock_give(store_lock_t *lock)
{
    pthread_mutex_unlock(&lock->header->mutex);
}
