/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bus_local.h
 * The log of one machine: a head of one page, then a ring of records, in a file that every process
 * maps. Positions count bytes since the file was made and only grow; position modulo the
 * ring's size is the place. A record lies in one piece; where it does not fit before the ring's
 * end, a filler takes the rest. Everything between `tail` and `head` is whole:
 *
 * - A writer takes the lock, moves `tail` past what it is about to write over, writes the record
 *   beyond `head`, and then moves `head` by one store. Killed at any point, it leaves the log as it
 *   was before or after; only the next number is worked out again.
 * - A reader takes no lock. It copies a record out and then looks whether `tail` has passed it
 *   meanwhile: then what it copied is void, and it came too late.
 */
#ifndef BUS_LOCAL_H
#define BUS_LOCAL_H

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "hb_bus.h"
#include "hb_shm_lock.h"

#define BUS_MAGIC APR_UINT64_C(0x484255535F4C4F47)  /* "HBUS_LOG" */
#define BUS_VERSION 1
#define BUS_HEAD_BYTES 4096
#define BUS_BOOT_BYTES 40

typedef struct bus_head_t {
    apr_uint64_t magic;
    apr_uint64_t version;
    apr_uint64_t epoch;         /* random, never 0 */
    apr_uint64_t ring_bytes;    /* a multiple of 8 */
    char boot[BUS_BOOT_BYTES];  /* which boot of the machine: the lock and what is not on
                                   the disk yet do not outlive it */
    apr_uint64_t is_retired;    /* another file stands in its place, or will at once */
    hb_shm_lock_t lock;         /* of all processes */
    apr_uint64_t dropped;       /* events that nobody could append */
    apr_uint64_t last_seq;      /* number of the newest record; written under the lock */
    apr_uint64_t last_end;      /* where that record ends: less than head only while a writer
                                   is at it, or died at it */
    apr_uint64_t is_waiting;    /* the sidecar has read everything and wants to be woken */
    /* on lines of their own: readers look at these all the time */
    __attribute__((aligned(64))) apr_uint64_t tail;     /* the oldest record */
    __attribute__((aligned(64))) apr_uint64_t head;     /* behind the newest */
} bus_head_t;

_Static_assert(sizeof(bus_head_t) <= BUS_HEAD_BYTES, "the head fits its page");

/* What stands before each record; texts follow, each with a 0 byte, in this order. */
typedef struct bus_record_t {
    apr_uint32_t bytes;         /* of all of it, a multiple of 8 */
    apr_uint32_t check;         /* bus_check() of the other members */
    apr_uint64_t seq;           /* 0: a filler */
    apr_int64_t at;
    apr_uint32_t payload_bytes;
    apr_uint16_t name_bytes;
    apr_uint16_t id_bytes;
    apr_uint16_t only_bytes;
    apr_uint16_t unused[3];
} bus_record_t;

/* One mapped file. */
typedef struct bus_map_t {
    bus_head_t *head;
    unsigned char *ring;
    apr_uint64_t ring_bytes;    /* checked once: what stands in the file is not trusted later */
    dev_t device;
    ino_t inode;
} bus_map_t;

typedef struct bus_local_t {
    hb_site_t *site;
    const char *path;
    const char *wake_path;      /* socket of the reader that wants to be woken */
    pthread_mutex_t lock;       /* of the threads of this process, for all below */
    bus_map_t map;              /* map.head is NULL while there is none */
    int wake_fd;                /* -1 until the first waking */
    apr_uint64_t looked_at;     /* ms: when the path was compared with the map */
    apr_uint64_t n_untold;      /* dropped while there was no log to count them in */
} bus_local_t;

/* --- bus_local_file.c --- */

/** Milliseconds of a clock that only goes forward. */
apr_uint64_t bus_now_msec(void);

/**
 * Map the log; makes it when there is none or none that is usable. HB_E_UNAVAILABLE, logged
 * by the caller.
 */
apr_status_t bus_map_open(bus_map_t *map, bus_local_t *bus);
void bus_map_close(bus_map_t *map);
/** Is the file at the path still the mapped one? */
int bus_map_is_current(const bus_map_t *map, const bus_local_t *bus);

/** The lock of all processes; waits two seconds at most, as hb_shm_lock_take() does. */
apr_status_t bus_lock_take(bus_map_t *map);
void bus_lock_drop(bus_map_t *map);

/** A socket address of a path of any length. @param dir_fd  has to stay open meanwhile, or -1 */
int bus_wake_address(struct sockaddr_un *address, int *dir_fd, const char *path);

/* --- bus_local.c --- */

apr_uint32_t bus_check(const bus_record_t *record);

/**
 * Is there a record of ours at a position, as far as its own numbers say? Copies its head.
 * @param limit  how many bytes there are up to the newest record's end
 */
int bus_record_get(bus_record_t *record, const bus_map_t *map, apr_uint64_t position,
                   apr_uint64_t limit);

/* --- bus_local_read.c --- */

apr_status_t bus_local_reader_open(void **reader, void *self, hb_bus_from_e from, int is_main,
                                   apr_pool_t *pool);
apr_status_t bus_local_read(void *reader, hb_bus_record_t *record);
int bus_local_reader_fd(void *reader);
const char *bus_local_reader_epoch(void *reader);
void bus_local_reader_span(void *reader, apr_uint64_t *oldest, apr_uint64_t *newest);

/** Number of the oldest record, newest + 1 when there is none. Takes no lock. */
void bus_span(const bus_map_t *map, apr_uint64_t *oldest, apr_uint64_t *newest);

#endif /* BUS_LOCAL_H */
