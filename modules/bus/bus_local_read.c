/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log. A reader has a map and a place of its own and takes no lock: it copies a
 * record out and then looks whether writers have passed it meanwhile. The sidecar's reader also
 * has the socket that publishers wake it by.
 */
#include "bus_local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

#define LOOK_MSEC 1000

typedef struct local_reader_t {
    bus_local_t *bus;
    bus_map_t map;
    apr_uint64_t position;
    apr_uint64_t dropped;       /* as far as this reader was told */
    hb_bus_from_e from;
    int has_begun;              /* something was read, so what is passed over is missed */
    int is_main;
    int fd;                     /* -1 when nobody wakes this reader */
    apr_uint64_t looked_at;
    char epoch[17];
    unsigned char *text;        /* the record that was read last */
    apr_size_t text_bytes;
} local_reader_t;

/* --- waking --- */

static void listen_for_waking(local_reader_t *reader)
{
    struct sockaddr_un address;
    int dir_fd;

    reader->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (reader->fd < 0 || !bus_wake_address(&address, &dir_fd, reader->bus->wake_path)) {
        return;
    }
    /* One that is there was another sidecar's: dead, or about to end. */
    unlink(reader->bus->wake_path);
    if (bind(reader->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        hb_log_to(&reader->bus->site->log, HB_LOG_WARNING, errno, HBLOGNO(08500) "%s cannot be "
                  "listened on: events are looked for ten times a second",
                  reader->bus->wake_path);
        close(reader->fd);
        reader->fd = -1;
    }
    if (dir_fd >= 0) {
        close(dir_fd);
    }
}

static void drain(const local_reader_t *reader)
{
    char bytes[16];

    while (reader->fd >= 0 && recv(reader->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
        /* only that something came matters */
    }
}

/* --- the map --- */

static apr_status_t open_map(local_reader_t *reader)
{
    bus_head_t *head;
    apr_status_t rv;

    rv = bus_map_open(&reader->map, reader->bus);
    reader->looked_at = bus_now_msec();     /* it may have waited */
    if (rv != APR_SUCCESS) {
        reader->epoch[0] = '\0';
        return HB_E_UNAVAILABLE;
    }
    head = reader->map.head;
    reader->dropped = __atomic_load_n(&head->dropped, __ATOMIC_RELAXED);
    reader->position = __atomic_load_n(reader->from == HB_BUS_NEWEST ? &head->head : &head->tail,
                                       __ATOMIC_ACQUIRE);
    /* Whatever a later log holds was published behind the end of this one. */
    reader->from = HB_BUS_OLDEST;
    apr_snprintf(reader->epoch, sizeof(reader->epoch), "%016" APR_UINT64_T_HEX_FMT,
                 head->epoch);
    return APR_SUCCESS;
}

/* Everything was read: is this still the log that others write? */
static apr_status_t look_again(local_reader_t *reader)
{
    apr_uint64_t now = bus_now_msec();
    int is_due = now - reader->looked_at >= LOOK_MSEC;
    apr_status_t rv;

    if (reader->map.head != NULL) {
        if (!is_due && !__atomic_load_n(&reader->map.head->is_retired, __ATOMIC_ACQUIRE)) {
            return APR_EAGAIN;
        }
        reader->looked_at = now;
        if (bus_map_is_current(&reader->map, reader->bus)) {
            return APR_EAGAIN;
        }
        bus_map_close(&reader->map);
    }
    else if (!is_due) {
        return HB_E_UNAVAILABLE;
    }
    rv = open_map(reader);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return reader->has_begun ? HB_E_BUS_GAP : APR_SUCCESS;
}

/* --- reading --- */

/* Copy a record out. 0 when writers were faster, or when it is none. */
static int copy(local_reader_t *reader, const bus_record_t *record)
{
    unsigned char *more;

    if (record->bytes > reader->text_bytes) {
        more = realloc(reader->text, record->bytes);
        if (more == NULL) {
            return 0;
        }
        reader->text = more;
        reader->text_bytes = record->bytes;
    }
    memcpy(reader->text, reader->map.ring + reader->position % reader->map.ring_bytes,
           record->bytes);
    return 1;
}

static int is_passed(const local_reader_t *reader)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&reader->map.head->tail, __ATOMIC_RELAXED) > reader->position;
}

static void show(hb_bus_record_t *out, const local_reader_t *reader,
                 const bus_record_t *record)
{
    unsigned char *at = reader->text + sizeof(*record);

    out->seq = record->seq;
    out->at = record->at;
    out->name = (const char *)at;
    at += record->name_bytes;
    *at++ = '\0';
    out->id = (const char *)at;
    at += record->id_bytes;
    *at++ = '\0';
    out->only_user = (const char *)at;
    at += record->only_bytes;
    *at++ = '\0';
    out->payload = (const char *)at;
    out->payload_bytes = record->payload_bytes;
    at[record->payload_bytes] = '\0';
}

/* APR_EAGAIN at the end of what is there. */
static apr_status_t take(local_reader_t *reader, hb_bus_record_t *out)
{
    bus_head_t *head = reader->map.head;
    apr_uint64_t end = __atomic_load_n(&head->head, __ATOMIC_SEQ_CST);
    apr_uint64_t dropped = __atomic_load_n(&head->dropped, __ATOMIC_RELAXED);
    bus_record_t record;
    int is_whole;

    if (dropped != reader->dropped) {
        reader->dropped = dropped;
        return HB_E_BUS_GAP;
    }
    while (reader->position < end) {
        is_whole = bus_record_get(&record, &reader->map, reader->position,
                                  end - reader->position)
            && (record.seq == 0 || copy(reader, &record));
        if (is_passed(reader)) {
            reader->position = __atomic_load_n(&head->tail, __ATOMIC_ACQUIRE);
            if (reader->has_begun) {
                return HB_E_BUS_GAP;
            }
            continue;
        }
        if (!is_whole) {
            reader->position = end;     /* somebody else wrote into the file */
            return HB_E_BUS_GAP;
        }
        reader->position += record.bytes;
        if (record.seq != 0) {
            show(out, reader, &record);
            reader->has_begun = 1;
            return APR_SUCCESS;
        }
    }
    return APR_EAGAIN;
}

apr_status_t bus_local_read(void *self, hb_bus_record_t *out)
{
    local_reader_t *reader = self;
    apr_status_t rv = APR_EAGAIN;

    if (reader->map.head != NULL) {
        rv = take(reader, out);
        if (rv != APR_EAGAIN) {
            return rv;
        }
    }
    rv = look_again(reader);
    if (rv != APR_EAGAIN && rv != APR_SUCCESS) {
        return rv;
    }
    if (reader->is_main) {
        drain(reader);
        __atomic_store_n(&reader->map.head->is_waiting, 1, __ATOMIC_SEQ_CST);
    }
    /* Who published before the flag was up did not wake us. */
    return take(reader, out);
}

int bus_local_reader_fd(void *self)
{
    return ((local_reader_t *)self)->fd;
}

const char *bus_local_reader_epoch(void *self)
{
    return ((local_reader_t *)self)->epoch;
}

void bus_local_reader_span(void *self, apr_uint64_t *oldest, apr_uint64_t *newest)
{
    const local_reader_t *reader = self;

    *oldest = 1;
    *newest = 0;
    if (reader->map.head != NULL) {
        bus_span(&reader->map, oldest, newest);
    }
}

/* The socket's name stays: the next sidecar may have it already, and takes it if not. */
static apr_status_t close_reader(void *data)
{
    local_reader_t *reader = data;

    bus_map_close(&reader->map);
    if (reader->fd >= 0) {
        close(reader->fd);
    }
    free(reader->text);
    return APR_SUCCESS;
}

apr_status_t bus_local_reader_open(void **made, void *self, hb_bus_from_e from, int is_main,
                                   apr_pool_t *pool)
{
    local_reader_t *reader = apr_pcalloc(pool, sizeof(*reader));

    reader->bus = self;
    reader->from = from;
    reader->is_main = is_main;
    reader->fd = -1;
    *made = reader;
    apr_pool_cleanup_register(pool, reader, close_reader, apr_pool_cleanup_null);
    if (is_main) {
        listen_for_waking(reader);
    }
    return open_map(reader);
}
