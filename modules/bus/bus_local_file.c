/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the log: making it, telling whether one that is there can be used, replacing
 * it, its lock, and the address of the socket that wakes the sidecar. The file is allocated whole
 * when it is made, so that writing into the map never meets a full disk.
 */
#include "bus_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_memory.h"

#define MAKE_WAIT_MSEC 2000     /* for another process that allocates the file, once a boot */

/*
 * Its owner may wait for the disk, although it only writes into memory: a page that was just written
 * out is a fault at the next touch, and on a busy disk that takes its turn behind a journal. To give
 * up is to lose an event, and every open socket with it.
 */
#define LOCK_WAIT_USEC 2000000

#define RING_MIN 65536

typedef enum verdict_e { USABLE, STALE, NEWER } verdict_e;

apr_uint64_t bus_now_msec(void)
{
    return (apr_uint64_t)hb_clock() / 1000;
}

/* --- the file --- */

/* Empty where the kernel does not tell: then a reboot is not noticed by this. */
static void read_boot(char boot[BUS_BOOT_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    memset(boot, 0, BUS_BOOT_BYTES);
    if (fd >= 0) {
        n = read(fd, boot, BUS_BOOT_BYTES - 1);
        close(fd);
    }
    boot[n > 0 ? n : 0] = '\0';
}

static verdict_e judge(const bus_head_t *head, apr_uint64_t file_bytes)
{
    char boot[BUS_BOOT_BYTES];

    if (head->magic != BUS_MAGIC) {
        return STALE;
    }
    if (head->version > BUS_VERSION) {
        return NEWER;           /* two builds must not take the file from each other */
    }
    read_boot(boot);
    if (head->version != BUS_VERSION || head->epoch == 0 || head->is_retired
        || head->ring_bytes % 8 != 0 || head->ring_bytes < RING_MIN
        || head->ring_bytes != file_bytes - BUS_HEAD_BYTES
        || memcmp(head->boot, boot, sizeof(boot)) != 0) {
        return STALE;
    }
    return USABLE;
}

static apr_status_t map_file(bus_map_t *map, int fd)
{
    struct stat info;
    void *memory;

    if (fstat(fd, &info) != 0) {
        return errno;
    }
    if (!S_ISREG(info.st_mode) || info.st_size < BUS_HEAD_BYTES) {
        return APR_EINVAL;
    }
    memory = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return errno;
    }
    map->head = memory;
    map->ring = (unsigned char *)memory + BUS_HEAD_BYTES;
    map->ring_bytes = (apr_uint64_t)info.st_size - BUS_HEAD_BYTES;
    map->device = info.st_dev;
    map->inode = info.st_ino;
    return APR_SUCCESS;
}

void bus_map_close(bus_map_t *map)
{
    if (map->head != NULL) {
        munmap(map->head, (size_t)map->ring_bytes + BUS_HEAD_BYTES);
        map->head = NULL;
    }
}

int bus_map_is_current(const bus_map_t *map, const bus_local_t *bus)
{
    struct stat info;

    return !__atomic_load_n(&map->head->is_retired, __ATOMIC_ACQUIRE)
        && stat(bus->path, &info) == 0 && info.st_ino == map->inode
        && info.st_dev == map->device
        && (apr_uint64_t)info.st_size == map->ring_bytes + BUS_HEAD_BYTES;
}

/* What root makes belongs to whom the directory belongs to. */
static apr_status_t allocate(int fd, int dir_fd, apr_uint64_t ring_bytes)
{
    struct stat dir;
    int rv;

    if (fchmod(fd, 0660) != 0 || fstat(dir_fd, &dir) != 0) {
        return errno;
    }
    if (geteuid() == 0 && fchown(fd, dir.st_uid, dir.st_gid) != 0) {
        return errno;
    }
    do {
        rv = posix_fallocate(fd, 0, (off_t)(ring_bytes + BUS_HEAD_BYTES));
    } while (rv == EINTR);
    return rv;
}

static apr_status_t make_file(bus_map_t *map, const bus_local_t *bus, int dir_fd,
                              apr_pool_t *pool)
{
    apr_uint64_t size = (apr_uint64_t)bus->site->settings->bus_size & ~(apr_uint64_t)7;
    const char *temp = apr_psprintf(pool, "%s.%ld", bus->path, (long)getpid());
    bus_head_t *head;
    apr_status_t rv;
    int fd;

    unlink(temp);               /* of a process that died while it made one */
    fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    rv = allocate(fd, dir_fd, size - BUS_HEAD_BYTES);
    if (rv == APR_SUCCESS) {
        rv = map_file(map, fd);
    }
    close(fd);
    if (rv == APR_SUCCESS) {
        head = map->head;
        rv = hb_shm_lock_make(&head->lock);
        head->version = BUS_VERSION;
        head->epoch = hb_memory_random();
        head->ring_bytes = map->ring_bytes;
        read_boot(head->boot);
        head->magic = BUS_MAGIC;
    }
    if (rv == APR_SUCCESS && rename(temp, bus->path) != 0) {
        rv = errno;
    }
    if (rv != APR_SUCCESS) {
        unlink(temp);
        bus_map_close(map);
    }
    return rv;
}

static apr_status_t open_or_make(bus_map_t *map, const bus_local_t *bus, int dir_fd,
                                 apr_pool_t *pool)
{
    int fd = open(bus->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    apr_status_t rv;

    if (fd < 0 && errno != ENOENT) {
        return errno;
    }
    if (fd >= 0) {
        rv = map_file(map, fd);
        close(fd);
        if (rv == APR_SUCCESS) {
            switch (judge(map->head, map->ring_bytes + BUS_HEAD_BYTES)) {
            case USABLE:
                return APR_SUCCESS;
            case NEWER:
                bus_map_close(map);
                return HB_E_CONFIG;
            case STALE:
                if (map->head->magic == BUS_MAGIC) {
                    __atomic_store_n(&map->head->is_retired, 1, __ATOMIC_RELEASE);
                }
                bus_map_close(map);
                break;
            }
        }
        else if (rv != APR_EINVAL) {
            return rv;
        }
    }
    return make_file(map, bus, dir_fd, pool);
}

/* One process at a time makes or judges the file; a stopped one keeps nobody waiting. */
static int lock_dir(const char *path, apr_pool_t *pool)
{
    const char *dir = apr_pstrmemdup(pool, path, (apr_size_t)(strrchr(path, '/') - path));
    int fd = open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int i;

    for (i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == MAKE_WAIT_MSEC) {
            close(fd);
            errno = EBUSY;
            return -1;
        }
        usleep(1000);
    }
    return fd;
}

apr_status_t bus_map_open(bus_map_t *map, bus_local_t *bus)
{
    apr_pool_t *pool;
    apr_status_t rv;
    int dir_fd;

    map->head = NULL;
    /* Called under the bus' lock or by its reader's thread alone: a pool of its own. */
    rv = apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    dir_fd = lock_dir(bus->path, pool);
    if (dir_fd < 0) {
        rv = errno;
    }
    else {
        rv = open_or_make(map, bus, dir_fd, pool);
        close(dir_fd);
    }
    apr_pool_destroy(pool);
    return rv;
}

/* --- its lock --- */

/* Its last owner died. The ring is whole at every moment; only the newest number may be one
 * behind, and that is what stands in the record beyond the one it is of. */
static void mend(bus_map_t *map)
{
    bus_head_t *head = map->head;
    apr_uint64_t position = head->last_end;
    bus_record_t record;

    while (position < head->head
           && bus_record_get(&record, map, position, head->head - position)) {
        if (record.seq != 0) {
            __atomic_store_n(&head->last_seq, record.seq, __ATOMIC_RELAXED);
        }
        position += record.bytes;
    }
    head->last_end = head->head;
}

apr_status_t bus_lock_take(bus_map_t *map)
{
    int died;
    apr_status_t rv = hb_shm_lock_take(&died, &map->head->lock, LOCK_WAIT_USEC);

    if (died) {
        mend(map);
    }
    if (rv == ENOTRECOVERABLE) {
        __atomic_store_n(&map->head->is_retired, 1, __ATOMIC_RELEASE);
    }
    return rv;
}

void bus_lock_drop(bus_map_t *map)
{
    hb_shm_lock_drop(&map->head->lock);
}

/* --- waking --- */

int bus_wake_address(struct sockaddr_un *address, int *dir_fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];
    int n;

    *dir_fd = -1;
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return 1;
    }
    /* Too long for an address: by way of the directory. */
    if ((size_t)(slash - path) >= sizeof(dir)) {
        return 0;
    }
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0) {
        return 0;
    }
    n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s", *dir_fd,
                 slash);
    if (n < 0 || (size_t)n >= sizeof(address->sun_path)) {
        close(*dir_fd);
        return 0;
    }
    return 1;
}
