/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus of one machine, publishers' side: one record into the ring under the lock, a
 * byte to the sidecar when it sleeps. See bus_local.h for how the ring lies in the file.
 */
#include "bus_local.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

/* How often the path is compared with what is mapped, and a failed opening is tried again. */
#define LOOK_MSEC 1000

#define RECORD_MAX (1024 * 1024)
#define TEXT_MAX 255            /* names and ids */

/* --- records --- */

apr_uint32_t bus_check(const bus_record_t *record)
{
    apr_uint64_t x = record->seq * APR_UINT64_C(0x9e3779b97f4a7c15) ^ (apr_uint64_t)record->at;

    x ^= ((apr_uint64_t)record->bytes << 32 | record->payload_bytes)
         * APR_UINT64_C(0xbf58476d1ce4e5b9);
    x ^= (apr_uint64_t)record->name_bytes << 32 | (apr_uint64_t)record->id_bytes << 16
         | record->only_bytes;
    x *= APR_UINT64_C(0x94d049bb133111eb);
    return (apr_uint32_t)(x ^ x >> 32);
}

int bus_record_get(bus_record_t *record, const bus_map_t *map, apr_uint64_t position,
                   apr_uint64_t limit)
{
    apr_uint64_t place = position % map->ring_bytes;
    apr_uint64_t rest = map->ring_bytes - place;
    apr_uint64_t texts;

    if (rest < sizeof(*record)) {
        /* Nothing begins here, and nothing needs to say so. */
        memset(record, 0, sizeof(*record));
        record->bytes = (apr_uint32_t)rest;
        return rest <= limit;
    }
    memcpy(record, map->ring + place, sizeof(*record));
    texts = (apr_uint64_t)record->name_bytes + record->id_bytes + record->only_bytes
            + record->payload_bytes + 4;
    return record->check == bus_check(record) && record->bytes % 8 == 0
        && record->bytes >= sizeof(*record) && record->bytes <= rest && record->bytes <= limit
        && (record->seq == 0 || sizeof(*record) + texts <= record->bytes);
}

void bus_span(const bus_map_t *map, apr_uint64_t *oldest, apr_uint64_t *newest)
{
    const bus_head_t *head = map->head;
    apr_uint64_t position, end;
    bus_record_t record;
    int tries = 10;

    do {
        *newest = __atomic_load_n(&head->last_seq, __ATOMIC_ACQUIRE);
        end = __atomic_load_n(&head->head, __ATOMIC_ACQUIRE);
        position = __atomic_load_n(&head->tail, __ATOMIC_ACQUIRE);
        *oldest = *newest + 1;
        while (position < end && bus_record_get(&record, map, position, end - position)) {
            if (record.seq != 0) {
                *oldest = record.seq;
                break;
            }
            position += record.bytes;
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&head->tail, __ATOMIC_RELAXED) > position && --tries > 0);
}

/* --- the map of this process --- */

/* Call with bus->lock held. */
static apr_status_t need_map(bus_local_t *bus)
{
    apr_uint64_t now = bus_now_msec();
    int is_due = now - bus->looked_at >= LOOK_MSEC;
    apr_status_t rv;

    if (bus->map.head != NULL) {
        if (!__atomic_load_n(&bus->map.head->is_retired, __ATOMIC_ACQUIRE) && !is_due) {
            return APR_SUCCESS;
        }
        bus->looked_at = now;
        if (bus_map_is_current(&bus->map, bus)) {
            return APR_SUCCESS;
        }
        bus_map_close(&bus->map);
    }
    else if (bus->looked_at != 0 && !is_due) {
        return HB_E_UNAVAILABLE;
    }
    rv = bus_map_open(&bus->map, bus);
    bus->looked_at = bus_now_msec();    /* it may have waited */
    if (rv == APR_SUCCESS && bus->n_untold > 0) {
        __atomic_add_fetch(&bus->map.head->dropped, bus->n_untold, __ATOMIC_RELAXED);
        bus->n_untold = 0;
    }
    return rv;
}

/* --- appending --- */

/* Move the tail past all that lies below a position; what it passes may be written over. */
static void make_room(bus_map_t *map, apr_uint64_t needed_from)
{
    bus_head_t *head = map->head;
    apr_uint64_t tail = head->tail;
    bus_record_t record;

    while (tail < needed_from) {
        if (!bus_record_get(&record, map, tail, head->head - tail)) {
            tail = head->head;      /* somebody wrote into the file: give all of it up */
            break;
        }
        tail += record.bytes;
    }
    if (tail != head->tail) {
        __atomic_store_n(&head->tail, tail, __ATOMIC_RELAXED);
        /* Nobody may see the new bytes and the old tail. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
}

static unsigned char *put(unsigned char *at, const char *text, apr_size_t n)
{
    memcpy(at, text, n);
    at[n] = '\0';
    return at + n + 1;
}

/* With the lock of all processes held. */
static void write_record(apr_uint64_t *seq, bus_map_t *map, bus_record_t *record,
                         const hb_bus_record_t *given)
{
    bus_head_t *head = map->head;
    apr_uint64_t start = head->head;
    apr_uint64_t rest = map->ring_bytes - start % map->ring_bytes;
    apr_uint64_t end;
    bus_record_t filler = { 0 };
    unsigned char *at;

    if (rest < record->bytes) {
        start += rest;
    }
    end = start + record->bytes;
    make_room(map, end > map->ring_bytes ? end - map->ring_bytes : 0);
    if (start != head->head && rest >= sizeof(filler)) {
        filler.bytes = (apr_uint32_t)rest;
        filler.check = bus_check(&filler);
        memcpy(map->ring + head->head % map->ring_bytes, &filler, sizeof(filler));
    }
    record->seq = head->last_seq + 1;
    record->check = bus_check(record);
    at = map->ring + start % map->ring_bytes;
    memcpy(at, record, sizeof(*record));
    at = put(at + sizeof(*record), given->name, record->name_bytes);
    at = put(at, given->id, record->id_bytes);
    at = put(at, given->only_user, record->only_bytes);
    put(at, given->payload, record->payload_bytes);
    __atomic_store_n(&head->head, end, __ATOMIC_SEQ_CST);
    __atomic_store_n(&head->last_seq, record->seq, __ATOMIC_RELEASE);
    head->last_end = end;
    *seq = record->seq;
}

/* A byte that is lost costs the sidecar's next look, a tenth of a second later. */
static void wake(bus_local_t *bus)
{
    struct sockaddr_un address;
    int dir_fd;

    if (bus->wake_fd < 0) {
        bus->wake_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (bus->wake_fd < 0 || !bus_wake_address(&address, &dir_fd, bus->wake_path)) {
        return;
    }
    /* When it fails, nobody is there, or the queue is full and it wakes anyway. */
    sendto(bus->wake_fd, "", 1, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address));
    if (dir_fd >= 0) {
        close(dir_fd);
    }
}

static apr_status_t append(bus_local_t *bus, apr_uint64_t *seq, bus_record_t *record,
                           const hb_bus_record_t *given)
{
    apr_status_t rv = need_map(bus);
    bus_head_t *head;
    int is_waiting;

    if (rv != APR_SUCCESS) {
        bus->n_untold++;
        return rv;
    }
    head = bus->map.head;
    if (record->bytes > bus->map.ring_bytes / 8) {
        return HB_E_BUS_SIZE;
    }
    rv = bus_lock_take(&bus->map);
    if (rv != APR_SUCCESS) {
        __atomic_add_fetch(&head->dropped, 1, __ATOMIC_RELAXED);
        return rv;
    }
    write_record(seq, &bus->map, record, given);
    bus_lock_drop(&bus->map);
    is_waiting = __atomic_load_n(&head->is_waiting, __ATOMIC_SEQ_CST)
        && __atomic_exchange_n(&head->is_waiting, 0, __ATOMIC_SEQ_CST);
    if (is_waiting) {
        wake(bus);
    }
    return APR_SUCCESS;
}

static apr_status_t local_append(void *self, apr_uint64_t *seq, const hb_bus_record_t *given)
{
    bus_local_t *bus = self;
    apr_size_t name = strlen(given->name), id = strlen(given->id);
    apr_size_t only = strlen(given->only_user);
    apr_size_t bytes = sizeof(bus_record_t) + name + id + only + given->payload_bytes + 4;
    bus_record_t record = { 0 };
    apr_status_t rv;

    if (name > TEXT_MAX || id > TEXT_MAX || only > TEXT_MAX
        || given->payload_bytes > RECORD_MAX) {
        return HB_E_BUS_SIZE;
    }
    record.bytes = (apr_uint32_t)((bytes + 7) & ~(apr_size_t)7);
    record.at = given->at;
    record.payload_bytes = (apr_uint32_t)given->payload_bytes;
    record.name_bytes = (apr_uint16_t)name;
    record.id_bytes = (apr_uint16_t)id;
    record.only_bytes = (apr_uint16_t)only;
    pthread_mutex_lock(&bus->lock);
    rv = append(bus, seq, &record, given);
    pthread_mutex_unlock(&bus->lock);
    return rv == APR_SUCCESS || rv == HB_E_BUS_SIZE ? rv : HB_E_UNAVAILABLE;
}

static apr_status_t local_stats(void *self, hb_bus_stats_t *stats)
{
    bus_local_t *bus = self;
    bus_head_t *head;
    apr_status_t rv;

    pthread_mutex_lock(&bus->lock);
    rv = need_map(bus);
    if (rv == APR_SUCCESS) {
        head = bus->map.head;
        bus_span(&bus->map, &stats->oldest, &stats->newest);
        apr_snprintf(stats->epoch, sizeof(stats->epoch), "%016" APR_UINT64_T_HEX_FMT,
                     head->epoch);
        stats->bytes_used = __atomic_load_n(&head->head, __ATOMIC_ACQUIRE)
            - __atomic_load_n(&head->tail, __ATOMIC_ACQUIRE);
        stats->bytes_total = bus->map.ring_bytes;
        stats->dropped = __atomic_load_n(&head->dropped, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&bus->lock);
    return rv == APR_SUCCESS ? rv : HB_E_UNAVAILABLE;
}

/* --- opening --- */

/* Threads may still be at it when a process ends in a hurry: the lock stays as it is. */
static apr_status_t close_bus(void *data)
{
    bus_local_t *bus = data;

    if (pthread_mutex_trylock(&bus->lock) == 0) {
        bus_map_close(&bus->map);
        if (bus->wake_fd >= 0) {
            close(bus->wake_fd);
            bus->wake_fd = -1;
        }
        pthread_mutex_unlock(&bus->lock);
    }
    return APR_SUCCESS;
}

static apr_status_t local_open(void **self, hb_site_t *site, const char *url, apr_pool_t *pool)
{
    bus_local_t *bus = apr_pcalloc(pool, sizeof(*bus));
    const char *file = strchr(url, ':') + 1;

    bus->site = site;
    bus->path = *file == '/' ? file
        : apr_pstrcat(pool, site->settings->state_dir, "/", file, NULL);
    bus->wake_path = apr_pstrcat(pool, bus->path, ".wake", NULL);
    bus->wake_fd = -1;
    pthread_mutex_init(&bus->lock, NULL);
    apr_pool_cleanup_register(pool, bus, close_bus, apr_pool_cleanup_null);
    *self = bus;
    return APR_SUCCESS;
}

const hb_bus_driver_t bus_local_driver = {
    .scheme = "local",
    .accepts = "local:FILE",
    .open = local_open,
    .append = local_append,
    .stats = local_stats,
    .reader_open = bus_local_reader_open,
    .read = bus_local_read,
    .reader_fd = bus_local_reader_fd,
    .reader_epoch = bus_local_reader_epoch,
    .reader_span = bus_local_reader_span,
};
