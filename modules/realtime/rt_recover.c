/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is a header and slots of one size. A slot carries a sum over its bytes, written last,
 * so that what a kill left half written is not believed; nothing is flushed, because only the
 * death of the program has to be survived, not that of the machine (whose log of events has
 * another epoch afterwards).
 *
 * Cut connections wait in a queue in the order they were cut: the oldest is given up when its
 * time is over or its slot is wanted.
 */
#include "rt_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "hb_siphash.h"
#include "rt_memory.h"

#define MAGIC 0x48425256u       /* "HBRV" */
#define LAYOUT 1
#define EPOCH_BYTES 16

#define NOWHERE (-1)

typedef enum slot_state_e { SLOT_FREE, SLOT_LIVE, SLOT_CUT } slot_state_e;

typedef struct head_t {
    apr_uint32_t magic, layout, slot_bytes, slots;
    apr_uint32_t used;          /* slots from here on were never written */
    apr_uint32_t reserved;
    char epoch[EPOCH_BYTES + 8];
} head_t;

typedef struct slot_t {
    apr_uint64_t sum;           /* over what follows; 0 while it is written */
    apr_uint32_t state;
    apr_uint32_t reserved;
    apr_int64_t cut_at;
    rt_kept_t kept;
} slot_t;

/* What is only needed while the program runs. */
typedef struct link_t {
    int earlier, later;         /* in the queue of the cut; later alone in the free list */
    int is_spoilt;              /* live, and has missed something: gone once it is cut */
} link_t;

struct rt_recover_t {
    pthread_mutex_t lock;
    head_t *head;
    slot_t *slots;
    link_t *links;
    apr_hash_t *by_pid;
    apr_size_t bytes;
    apr_interval_time_t keep;
    int n_slots;
    int free_first;
    int cut_first, cut_last;
    apr_uint32_t n_live, n_cut;
};

static apr_uint64_t sum_of(const slot_t *slot)
{
    static const apr_uint64_t key[2] = { 0x68616c6f62757a7a, 0x7265636f76657279 };
    apr_uint64_t sum = hb_siphash(key, &slot->state,
                                  sizeof(*slot) - offsetof(slot_t, state));

    return sum != 0 ? sum : 1;
}

static void change_begin(slot_t *slot)
{
    slot->sum = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void change_end(slot_t *slot)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    slot->sum = sum_of(slot);
}

/* --- queues --- */

static void queue_cut(rt_recover_t *recover, int at)
{
    recover->links[at].earlier = recover->cut_last;
    recover->links[at].later = NOWHERE;
    if (recover->cut_last != NOWHERE) {
        recover->links[recover->cut_last].later = at;
    } else {
        recover->cut_first = at;
    }
    recover->cut_last = at;
    recover->n_cut++;
}

static void unqueue_cut(rt_recover_t *recover, int at)
{
    const link_t *link = &recover->links[at];

    if (link->earlier != NOWHERE) {
        recover->links[link->earlier].later = link->later;
    } else {
        recover->cut_first = link->later;
    }
    if (link->later != NOWHERE) {
        recover->links[link->later].earlier = link->earlier;
    } else {
        recover->cut_last = link->earlier;
    }
    recover->n_cut--;
}

static void push_free(rt_recover_t *recover, int at)
{
    slot_t *slot = &recover->slots[at];

    change_begin(slot);
    slot->state = SLOT_FREE;
    change_end(slot);
    recover->links[at].later = recover->free_first;
    recover->free_first = at;
}

static void set_free(rt_recover_t *recover, int at)
{
    apr_hash_set(recover->by_pid, recover->slots[at].kept.pid, APR_HASH_KEY_STRING, NULL);
    push_free(recover, at);
}

/* A slot that holds nothing, or NOWHERE. */
static int pop_free(rt_recover_t *recover)
{
    int at = recover->free_first;

    if (at != NOWHERE) {
        recover->free_first = recover->links[at].later;
    }
    else if ((int)recover->head->used < recover->n_slots) {
        at = (int)recover->head->used++;
    }
    else if ((at = recover->cut_first) != NOWHERE) {
        unqueue_cut(recover, at);
        set_free(recover, at);
        recover->free_first = recover->links[at].later;
    }
    return at;
}

/* Give up those whose time is over. */
static void expire(rt_recover_t *recover, apr_time_t now)
{
    int at;

    while ((at = recover->cut_first) != NOWHERE
           && recover->slots[at].cut_at + recover->keep <= now) {
        unqueue_cut(recover, at);
        set_free(recover, at);
    }
}

/* --- opening --- */

static void begin(rt_recover_t *recover, const char *epoch, apr_uint32_t slots)
{
    head_t *head = recover->head;

    memset(head, 0, sizeof(*head));
    head->layout = LAYOUT;
    head->slot_bytes = sizeof(slot_t);
    head->slots = slots;
    apr_cpystrn(head->epoch, epoch, sizeof(head->epoch));
    head->magic = MAGIC;
}

static int is_usable(const head_t *head, const char *epoch, apr_uint32_t slots)
{
    return head->magic == MAGIC && head->layout == LAYOUT && head->slots == slots
        && head->used <= slots && head->slot_bytes == sizeof(slot_t)
        && memchr(head->epoch, '\0', sizeof(head->epoch)) != NULL && *epoch != '\0'
        && strcmp(head->epoch, epoch) == 0;
}

static int is_sound(const slot_t *slot)
{
    const rt_kept_t *kept = &slot->kept;
    apr_uint32_t i;

    if (slot->sum != sum_of(slot) || kept->n_rooms > RT_RECOVER_ROOMS
        || memchr(kept->pid, '\0', sizeof(kept->pid)) == NULL
        || memchr(kept->sid, '\0', sizeof(kept->sid)) == NULL
        || memchr(kept->user_id, '\0', sizeof(kept->user_id)) == NULL) {
        return 0;
    }
    for (i = 0; i < kept->n_rooms; i++) {
        if (memchr(kept->rooms[i].stream_id, '\0', RT_STREAM_ID_MAX + 1) == NULL) {
            return 0;
        }
    }
    return slot->state == SLOT_LIVE || slot->state == SLOT_CUT;
}

typedef struct order_t {
    apr_int64_t cut_at;
    int at;
} order_t;

static int by_time(const void *one, const void *other)
{
    apr_int64_t first = ((const order_t *)one)->cut_at, second = ((const order_t *)other)->cut_at;

    return first < second ? -1 : first > second;
}

/* Oldest cut first; those that were live are the newest. */
static void take_over(rt_recover_t *recover, apr_time_t now)
{
    int n_used = (int)recover->head->used, n = 0, i;
    order_t *order = rt_need(sizeof(*order) * ((apr_size_t)n_used + 1));

    for (i = n_used - 1; i >= 0; i--) {
        slot_t *slot = &recover->slots[i];

        if (!is_sound(slot)
            || apr_hash_get(recover->by_pid, slot->kept.pid, APR_HASH_KEY_STRING) != NULL) {
            push_free(recover, i);
            continue;
        }
        if (slot->state == SLOT_LIVE || slot->cut_at > now) {
            change_begin(slot);
            slot->state = SLOT_CUT;
            slot->cut_at = now;
            change_end(slot);
        }
        apr_hash_set(recover->by_pid, slot->kept.pid, APR_HASH_KEY_STRING, slot);
        order[n].cut_at = slot->cut_at;
        order[n++].at = i;
    }
    qsort(order, (size_t)n, sizeof(*order), by_time);
    for (i = 0; i < n; i++) {
        queue_cut(recover, order[i].at);
    }
    free(order);
}

static apr_status_t map(rt_recover_t *recover, const char *path)
{
    struct stat st;
    void *base;
    int fd = -1, e;

    if (path == NULL) {
        base = mmap(NULL, recover->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    }
    else {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            return errno;
        }
        if (fstat(fd, &st) != 0
            || ((apr_size_t)st.st_size != recover->bytes
                && (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)recover->bytes) != 0))) {
            e = errno;
            close(fd);
            return e;
        }
        base = mmap(NULL, recover->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    e = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (base == MAP_FAILED) {
        return e;
    }
    recover->head = base;
    recover->slots = (slot_t *)((char *)base + 4096);
    return APR_SUCCESS;
}

static apr_status_t unmap(void *baton)
{
    rt_recover_t *recover = baton;

    munmap(recover->head, recover->bytes);
    free(recover->links);
    pthread_mutex_destroy(&recover->lock);
    return APR_SUCCESS;
}

apr_status_t rt_recover_open(rt_recover_t **recover, const char *path, const char *epoch,
                             apr_uint32_t slots, apr_interval_time_t keep, apr_time_t now,
                             apr_pool_t *pool)
{
    rt_recover_t *made;
    apr_status_t rv;

    /* Its own: any thread makes the table grow, and a reload takes from the one above. */
    apr_pool_create(&pool, pool);
    made = apr_pcalloc(pool, sizeof(*made));
    made->n_slots = (int)slots;
    made->keep = keep;
    made->bytes = 4096 + (apr_size_t)slots * sizeof(slot_t);
    made->free_first = made->cut_first = made->cut_last = NOWHERE;
    made->by_pid = apr_hash_make(pool);
    rv = map(made, path);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    made->links = rt_need(sizeof(link_t) * slots);
    pthread_mutex_init(&made->lock, NULL);
    apr_pool_cleanup_register(pool, made, unmap, apr_pool_cleanup_null);
    if (!is_usable(made->head, epoch, slots)) {
        begin(made, epoch, slots);
    }
    take_over(made, now);
    *recover = made;
    return APR_SUCCESS;
}

/* A program that comes after a kill does not believe the slot, either. */
static void spoil(rt_recover_t *recover, int at)
{
    recover->links[at].is_spoilt = 1;
    change_begin(&recover->slots[at]);
}

void rt_recover_restart(rt_recover_t *recover, const char *epoch, int is_lost)
{
    int i;

    pthread_mutex_lock(&recover->lock);
    apr_cpystrn(recover->head->epoch, epoch, sizeof(recover->head->epoch));
    while ((i = recover->cut_first) != NOWHERE) {
        unqueue_cut(recover, i);
        set_free(recover, i);
    }
    for (i = 0; is_lost && i < (int)recover->head->used; i++) {
        if (recover->slots[i].state == SLOT_LIVE) {
            spoil(recover, i);
        }
    }
    pthread_mutex_unlock(&recover->lock);
}

void rt_recover_spoil(rt_recover_t *recover, int place)
{
    pthread_mutex_lock(&recover->lock);
    spoil(recover, place);
    pthread_mutex_unlock(&recover->lock);
}

int rt_recover_is_spoilt(rt_recover_t *recover, int place)
{
    int is;

    pthread_mutex_lock(&recover->lock);
    is = recover->links[place].is_spoilt;
    pthread_mutex_unlock(&recover->lock);
    return is;
}

void rt_recover_set_keep(rt_recover_t *recover, apr_interval_time_t keep)
{
    pthread_mutex_lock(&recover->lock);
    recover->keep = keep;
    pthread_mutex_unlock(&recover->lock);
}

/* --- one connection --- */

int rt_recover_add(rt_recover_t *recover, const rt_kept_t *kept, apr_time_t now)
{
    slot_t *slot;
    int at;

    pthread_mutex_lock(&recover->lock);
    expire(recover, now);
    at = pop_free(recover);
    if (at != NOWHERE) {
        slot = &recover->slots[at];
        change_begin(slot);
        slot->state = SLOT_LIVE;
        slot->cut_at = 0;
        slot->kept = *kept;
        change_end(slot);
        recover->links[at].is_spoilt = 0;
        apr_hash_set(recover->by_pid, slot->kept.pid, APR_HASH_KEY_STRING, slot);
        recover->n_live++;
    }
    pthread_mutex_unlock(&recover->lock);
    return at;
}

void rt_recover_rooms(rt_recover_t *recover, int place, const rt_kept_room_t *rooms, int n)
{
    slot_t *slot = &recover->slots[place];

    pthread_mutex_lock(&recover->lock);
    if (recover->links[place].is_spoilt) {
        pthread_mutex_unlock(&recover->lock);
        return;
    }
    change_begin(slot);
    slot->kept.n_rooms = (apr_uint32_t)(n < RT_RECOVER_ROOMS ? n : RT_RECOVER_ROOMS);
    memcpy(slot->kept.rooms, rooms, sizeof(*rooms) * slot->kept.n_rooms);
    change_end(slot);
    pthread_mutex_unlock(&recover->lock);
}

void rt_recover_cut(rt_recover_t *recover, int place, apr_time_t now)
{
    slot_t *slot = &recover->slots[place];

    pthread_mutex_lock(&recover->lock);
    recover->n_live--;
    if (recover->links[place].is_spoilt) {
        set_free(recover, place);
    }
    else {
        change_begin(slot);
        slot->state = SLOT_CUT;
        slot->cut_at = now;
        change_end(slot);
        queue_cut(recover, place);
    }
    expire(recover, now);
    pthread_mutex_unlock(&recover->lock);
}

void rt_recover_remove(rt_recover_t *recover, int place)
{
    pthread_mutex_lock(&recover->lock);
    recover->n_live--;
    set_free(recover, place);
    pthread_mutex_unlock(&recover->lock);
}

rt_found_e rt_recover_take(rt_kept_t *kept, int *place, rt_recover_t *recover,
                           const char *pid, const char *user_id, apr_time_t now)
{
    rt_found_e found = RT_FOUND_NONE;
    slot_t *slot;
    int at;

    pthread_mutex_lock(&recover->lock);
    expire(recover, now);
    slot = apr_hash_get(recover->by_pid, pid, APR_HASH_KEY_STRING);
    at = slot != NULL ? (int)(slot - recover->slots) : NOWHERE;
    if (slot != NULL && strcmp(slot->kept.user_id, user_id) == 0
        && !recover->links[at].is_spoilt) {
        found = RT_FOUND_LIVE;
        *place = at;
        if (slot->state == SLOT_CUT) {
            unqueue_cut(recover, at);
            change_begin(slot);
            slot->state = SLOT_LIVE;
            slot->cut_at = 0;
            change_end(slot);
            recover->n_live++;
            *kept = slot->kept;
            found = RT_FOUND_CUT;
        }
    }
    pthread_mutex_unlock(&recover->lock);
    return found;
}

void rt_recover_each(rt_recover_t *recover, void (*fn)(void *baton, const rt_kept_t *kept),
                     void *baton)
{
    int at;

    for (at = recover->cut_first; at != NOWHERE; at = recover->links[at].later) {
        fn(baton, &recover->slots[at].kept);
    }
}

void rt_recover_count(rt_recover_t *recover, apr_uint32_t *n_live, apr_uint32_t *n_cut)
{
    pthread_mutex_lock(&recover->lock);
    *n_live = recover->n_live;
    *n_cut = recover->n_cut;
    pthread_mutex_unlock(&recover->lock);
}
