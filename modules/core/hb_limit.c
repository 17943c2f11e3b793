/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limiter's table: exact counts without locks, shared by threads and processes that
 * may die between any two instructions. Which requests are counted, under which key, is
 * mod_halobuzz_ratelimit's and hb_lockout.c's.
 *
 * A key hashes to one bucket of 8 slots on two cache lines. A slot is its key and a state
 * of (end of the window in ms, count in it). Windows are kept by their end, so a
 * slot says by itself whether it is over, whatever rule it was opened under.
 *
 * Why the count is exact. Along the life of a slot:
 *
 *   (a) the end only grows, and strictly so when a window opens and when the slot gets
 *       another key. So an (end, count) that was seen with a key cannot come back with
 *       another one, and an 8-byte compare-and-swap of the state alone counts for the key
 *       that was read after that state.
 *   (b) a key enters a bucket only through the bucket's gate: a 16-byte word pair that names
 *       one slot, the end it had, and the new key. Committing it needs a gate that did not
 *       move since before the bucket was searched without finding the key; so no key stands in
 *       two slots, even when many threads bring the same new key at once.
 *   (c) whoever finds the gate open carries out what it names (finish) and closes it, so a
 *       thread that died after committing holds up nobody. The slot changes hands only while
 *       its end is the one in the gate; by (a) it never has that end again, so a helper
 *       that was asleep changes nothing.
 *
 * (b) and (c) need a 16-byte compare-and-swap; counting a known key takes the 8-byte one.
 * Clocks of threads may lag behind each other: a window is over once any thread's clock
 * has reached its end.
 */
#include "hb_limit.h"

#include <arpa/inet.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_clock.h"
#include "hb_error.h"
#include "hb_memory.h"
#include "hb_siphash.h"

#define MAGIC 0x3154494d494c4248ULL     /* "HBLIMIT1": changes with the layout */
#define SLOTS 8                         /* in a bucket: two cache lines */
#define STRIPES 16
#define PRIVATE_BYTES (256 * 1024)

/* State of a slot: end in ms since the table's origin (34 years), count. */
#define COUNT_BITS 24
#define COUNT_MAX ((1U << COUNT_BITS) - 1)
#define END_MAX ((1ULL << 40) - 1)
#define STATE(end, count) ((apr_uint64_t)(end) << COUNT_BITS | (count))
#define END(state) ((state) >> COUNT_BITS)
#define COUNT(state) ((apr_uint32_t)((state) & COUNT_MAX))

/* Word of a gate: end of the slot it names, number of the change, slot, open or not. */
#define GATE_OPEN 1ULL
#define GATE(end, change, slot) \
    ((apr_uint64_t)(end) << 24 | ((change) & 0xfffffULL) << 4 | (apr_uint64_t)(slot) << 1)
#define GATE_END(word) ((word) >> 24)
#define GATE_CHANGE(word) ((word) >> 4 & 0xfffffULL)
#define GATE_SLOT(word) ((word) >> 1 & (SLOTS - 1))

#define WINDOW_MAX_MSEC (24 * 3600 * 1000LL)

/* A key that came in but was not counted yet is not thrown out for so long. */
#define GRACE_MSEC 1000

/* Two words that change together: {key, state} of a slot, {word, key} of a gate. */
typedef struct pair_t {
    apr_uint64_t a, b;
} __attribute__((aligned(16))) pair_t;

typedef struct stripe_t {
    apr_uint64_t taken, refused, full;
    apr_uint64_t unused[HB_MEMORY_LINE / 8 - 3];
} stripe_t;

typedef struct header_t {
    apr_uint64_t magic;
    apr_uint64_t bytes;         /* of the whole table; another size is another table */
    apr_uint64_t sip_key[2];
    apr_uint64_t origin_usec;   /* the first clock value it met */
    apr_uint64_t unused[3];
    stripe_t stripes[STRIPES];
} header_t;

struct hb_limit_t {
    header_t *header;
    pair_t *slots;              /* n_buckets * SLOTS */
    pair_t *gates;              /* n_buckets */
    apr_uint64_t n_buckets;
    apr_uint64_t sip_key[2];    /* copied, so that hashing reads no shared line */
    const hb_limit_remote_t *remote;    /* NULL when this table is all there is */
    void *remote_self;
};

_Static_assert(sizeof(pair_t) == 16 && sizeof(stripe_t) == HB_MEMORY_LINE
               && sizeof(header_t) % HB_MEMORY_LINE == 0, "layout in shared memory");

/* --- atomics --- */

/* Between any two of these another thread may run: tests/unit/test_hb_limit_schedules.c
 * puts its own scheduler here and tries thousands of orders. */
#ifndef HB_LIMIT_STEP
#define HB_LIMIT_STEP()
#endif

static inline apr_uint64_t load(const apr_uint64_t *word)
{
    HB_LIMIT_STEP();
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline int swap(apr_uint64_t *word, apr_uint64_t was, apr_uint64_t is)
{
    HB_LIMIT_STEP();
    return __atomic_compare_exchange_n(word, &was, is, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/*
 * Both words at once or neither. Not __atomic: compilers call libatomic for 16 bytes, which
 * may use a lock of its own process.
 */
static inline int swap_pair(pair_t *at, pair_t was, pair_t is)
{
#if defined(__x86_64__)
    unsigned char done;

    HB_LIMIT_STEP();
    __asm__ __volatile__("lock cmpxchg16b %1\n\tsete %0"
                         : "=q"(done), "+m"(*at), "+a"(was.a), "+d"(was.b)
                         : "b"(is.a), "c"(is.b)
                         : "cc", "memory");
    return done;
#elif defined(__aarch64__) || defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
    unsigned __int128 old, new;

    HB_LIMIT_STEP();
    memcpy(&old, &was, sizeof(old));
    memcpy(&new, &is, sizeof(new));
    return __sync_bool_compare_and_swap((unsigned __int128 *)at, old, new);
#else
#error "the limiter needs a machine with a 16-byte compare-and-swap"
#endif
}

/* Key and state that stood in a slot together; by (a) one look at the state tells. */
static inline pair_t look(const pair_t *slot)
{
    pair_t seen;

    do {
        seen.b = load(&slot->b);
        seen.a = load(&slot->a);
    } while (load(&slot->b) != seen.b);
    return seen;
}

/* --- where a key lives --- */

/* Start of the clock: whichever value the table meets first. */
static apr_uint64_t msec_of(hb_limit_t *limit, apr_time_t now_usec)
{
    apr_uint64_t origin = load(&limit->header->origin_usec);
    apr_time_t msec;

    if (origin == 0) {
        origin = hb_memory_settle(&limit->header->origin_usec,
                                  now_usec > 0 ? (apr_uint64_t)now_usec : 1);
    }
    msec = (now_usec - (apr_time_t)origin) / 1000;
    if (msec < 0) {
        return 0;
    }
    return msec > (apr_time_t)END_MAX / 2 ? END_MAX / 2 : (apr_uint64_t)msec;
}

static apr_uint64_t window_msec(const hb_limit_rule_t *rule)
{
    apr_interval_time_t msec = (rule->window_usec + 999) / 1000;

    return (apr_uint64_t)(msec < 1 ? 1 : msec > WINDOW_MAX_MSEC ? WINDOW_MAX_MSEC : msec);
}

/* A rule whose window changed counts afresh; one whose max changed goes on counting. */
static apr_uint64_t hash_of(const hb_limit_t *limit, const hb_limit_rule_t *rule,
                            const void *key, apr_size_t len)
{
    apr_uint64_t of_rule[2] = { limit->sip_key[0], limit->sip_key[1] };
    apr_uint64_t hash;

    of_rule[0] ^= hb_siphash(limit->sip_key, rule->name, strlen(rule->name));
    of_rule[1] += window_msec(rule);
    hash = hb_siphash(of_rule, key, len);
    return hash != 0 ? hash : 1;
}

static inline apr_uint64_t bucket_of(const hb_limit_t *limit, apr_uint64_t hash)
{
    return (hash >> 32) * limit->n_buckets >> 32;
}

/* The slot of a key and what stands in it; NULL when it has none. */
static pair_t *find(pair_t *seen, pair_t *bucket, apr_uint64_t hash)
{
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        pair_t *slot = &bucket[(hash + i) % SLOTS];

        if (__atomic_load_n(&slot->a, __ATOMIC_RELAXED) == hash) {
            *seen = look(slot);
            if (seen->a == hash) {
                return slot;
            }
        }
    }
    return NULL;
}

/* --- how a key comes in --- */

/* Carry out what an open gate names, unless somebody else has, and close it. */
static void finish(pair_t *gate, pair_t *bucket, apr_uint64_t word, apr_uint64_t now)
{
    pair_t *slot = &bucket[GATE_SLOT(word)];

    for (;;) {
        apr_uint64_t key = load(&gate->b);
        pair_t seen = look(slot);
        apr_uint64_t end = GATE_END(word) + 1;
        pair_t filled = { key, STATE(end > now ? end : now, 0) };

        if (load(&gate->a) != word) {
            return;
        }
        if (END(seen.b) != GATE_END(word) || swap_pair(slot, seen, filled)) {
            break;
        }
    }
    swap(&gate->a, word, word & ~GATE_OPEN);
}

static int is_over(pair_t seen, apr_uint64_t now)
{
    if (seen.a != 0 && COUNT(seen.b) == 0) {
        return END(seen.b) + GRACE_MSEC <= now;
    }
    return END(seen.b) <= now;
}

/* Bring a key in, or find that it is. Gives 0 when every slot is in use. */
static int admit(pair_t *gate, pair_t *bucket, apr_uint64_t hash, apr_uint64_t now)
{
    for (;;) {
        apr_uint64_t word = load(&gate->a);
        pair_t was = { word, load(&gate->b) };
        pair_t is = { 0, hash };
        apr_uint64_t oldest = 0;
        int slot = -1;
        int i;

        if ((word & GATE_OPEN) != 0) {
            finish(gate, bucket, word, now);
            continue;
        }
        for (i = 0; i < SLOTS; i++) {
            int at = (int)((hash + (unsigned int)i) % SLOTS);
            pair_t seen = look(&bucket[at]);

            if (seen.a == hash) {
                return 1;
            }
            if (is_over(seen, now) && (slot < 0 || END(seen.b) < oldest)) {
                slot = at;
                oldest = END(seen.b);
            }
        }
        if (slot < 0) {
            if (load(&gate->a) == word) {
                return 0;
            }
            continue;
        }
        is.a = GATE(oldest, GATE_CHANGE(word) + 1, slot) | GATE_OPEN;
        if (swap_pair(gate, was, is)) {
            finish(gate, bucket, is.a, now);
            return 1;
        }
    }
}

/* --- public --- */

apr_status_t hb_limit_open(hb_limit_t **limit, void *memory, apr_size_t bytes,
                           apr_pool_t *pool)
{
    hb_limit_t *made = apr_pcalloc(pool, sizeof(*made));
    apr_uint64_t buckets = 0;
    char *start;

    *limit = NULL;
    if (memory == NULL) {
        bytes = bytes != 0 ? bytes : PRIVATE_BYTES;
        memory = apr_pcalloc(pool, bytes);
    }
    start = hb_memory_align(memory, &bytes);
    if (bytes > sizeof(header_t)) {
        buckets = (bytes - sizeof(header_t)) / ((SLOTS + 1) * sizeof(pair_t));
    }
    if (buckets == 0 || buckets > APR_UINT32_MAX) {
        return APR_ENOMEM;
    }
    made->header = (header_t *)start;
    made->n_buckets = buckets;
    made->slots = (pair_t *)(start + sizeof(header_t));
    made->gates = made->slots + buckets * SLOTS;
    if (hb_memory_settle(&made->header->magic, MAGIC) != MAGIC
        || hb_memory_settle(&made->header->bytes, bytes) != bytes) {
        return HB_E_CONFIG;
    }
    made->sip_key[0] = hb_memory_settle(&made->header->sip_key[0], hb_memory_random());
    made->sip_key[1] = hb_memory_settle(&made->header->sip_key[1], hb_memory_random());
    *limit = made;
    return APR_SUCCESS;
}

static void tell(hb_limit_verdict_t *verdict, const hb_limit_rule_t *rule, int is_allowed,
                 apr_uint32_t count, apr_uint64_t msec_left)
{
    verdict->is_allowed = is_allowed;
    verdict->remaining = count < rule->max ? rule->max - count : 0;
    verdict->reset_sec = (int)((msec_left + 999) / 1000);
    if (verdict->reset_sec < 1) {
        verdict->reset_sec = 1;
    }
    verdict->was_full = 0;
}

void hb_limit_take(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                   const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                   apr_time_t now_usec)
{
    if (limit->remote == NULL
        || limit->remote->take(limit->remote_self, verdict, rule, key, len) != APR_SUCCESS) {
        hb_limit_take_here(verdict, limit, rule, key, len, now_usec);
    }
}

void hb_limit_take_here(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                        const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                        apr_time_t now_usec)
{
    stripe_t *stripe = &limit->header->stripes[hb_memory_stripe(STRIPES)];
    apr_uint64_t hash = hash_of(limit, rule, key, len);
    apr_uint64_t now = msec_of(limit, now_usec);
    apr_uint64_t n = bucket_of(limit, hash);
    pair_t *bucket = &limit->slots[n * SLOTS];

    for (;;) {
        pair_t seen;
        pair_t *slot = find(&seen, bucket, hash);
        apr_uint64_t next;

        if (slot == NULL) {
            if (admit(&limit->gates[n], bucket, hash, now)) {
                continue;
            }
            __atomic_fetch_add(&stripe->full, 1, __ATOMIC_RELAXED);
            tell(verdict, rule, 1, 0, window_msec(rule));
            verdict->was_full = 1;
            return;
        }
        if (END(seen.b) <= now || COUNT(seen.b) == 0) {
            /* The end has to grow, also for a thread whose clock lags. */
            next = now + window_msec(rule);
            next = STATE(next > END(seen.b) ? next : END(seen.b) + 1, 1);
        }
        else if (COUNT(seen.b) >= rule->max || COUNT(seen.b) == COUNT_MAX) {
            __atomic_fetch_add(&stripe->refused, 1, __ATOMIC_RELAXED);
            tell(verdict, rule, 0, COUNT(seen.b), END(seen.b) - now);
            return;
        }
        else {
            next = seen.b + 1;
        }
        if (swap(&slot->b, seen.b, next)) {
            __atomic_fetch_add(&stripe->taken, 1, __ATOMIC_RELAXED);
            tell(verdict, rule, 1, COUNT(next), END(next) - now);
            return;
        }
    }
}

void hb_limit_peek(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                   const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                   apr_time_t now_usec)
{
    apr_uint64_t hash = hash_of(limit, rule, key, len);
    apr_uint64_t now = msec_of(limit, now_usec);
    pair_t seen;

    if (limit->remote != NULL && limit->remote->peek(limit->remote_self, verdict, rule, key, len)
        == APR_SUCCESS) {
        return;
    }
    if (find(&seen, &limit->slots[bucket_of(limit, hash) * SLOTS], hash) == NULL
        || END(seen.b) <= now || COUNT(seen.b) == 0) {
        tell(verdict, rule, 1, 0, window_msec(rule));
        return;
    }
    tell(verdict, rule, COUNT(seen.b) < rule->max, COUNT(seen.b), END(seen.b) - now);
}

void hb_limit_forget(hb_limit_t *limit, const hb_limit_rule_t *rule, const void *key,
                     apr_size_t len)
{
    apr_uint64_t hash = hash_of(limit, rule, key, len);
    pair_t *bucket = &limit->slots[bucket_of(limit, hash) * SLOTS];
    pair_t seen;
    pair_t *slot;

    if (limit->remote != NULL) {        /* and here, where it may have been counted meanwhile */
        limit->remote->forget(limit->remote_self, rule, key, len);
    }
    /* A count of 0 makes the next event open a new window. */
    do {
        slot = find(&seen, bucket, hash);
    } while (slot != NULL && COUNT(seen.b) != 0
             && !swap(&slot->b, seen.b, STATE(END(seen.b), 0)));
}

void hb_limit_give_back(hb_limit_t *limit, const hb_limit_rule_t *rule, const void *key,
                        apr_size_t len, apr_time_t now_usec)
{
    apr_uint64_t hash = hash_of(limit, rule, key, len);
    pair_t *bucket = &limit->slots[bucket_of(limit, hash) * SLOTS];
    apr_uint64_t now = msec_of(limit, now_usec);
    pair_t seen;
    pair_t *slot;

    if (limit->remote != NULL && limit->remote->give_back(limit->remote_self, rule, key, len)
        == APR_SUCCESS) {
        return;
    }
    /* Below 1 it is as if forgotten; a window that is over has nothing to give back. */
    do {
        slot = find(&seen, bucket, hash);
    } while (slot != NULL && END(seen.b) > now && COUNT(seen.b) != 0
             && !swap(&slot->b, seen.b, seen.b - 1));
}

void hb_limit_attach(hb_limit_t *limit, const hb_limit_remote_t *remote, void *self)
{
    limit->remote_self = self;
    limit->remote = remote;
}

int hb_limit_is_remote(const hb_limit_t *limit)
{
    return limit != NULL && limit->remote != NULL;
}

apr_time_t hb_limit_now(void)
{
    return hb_clock();
}

void hb_limit_stats(hb_limit_stats_t *stats, hb_limit_t *limit)
{
    apr_uint64_t now;
    apr_uint64_t i;

    memset(stats, 0, sizeof(*stats));
    stats->slots = limit->n_buckets * SLOTS;
    if (load(&limit->header->origin_usec) == 0) {
        return;                 /* nothing was counted yet: its clock is not set either */
    }
    now = msec_of(limit, hb_limit_now());
    for (i = 0; i < stats->slots; i++) {
        apr_uint64_t state = __atomic_load_n(&limit->slots[i].b, __ATOMIC_RELAXED);

        stats->used += COUNT(state) != 0 && END(state) > now;
    }
    for (i = 0; i < STRIPES; i++) {
        const stripe_t *stripe = &limit->header->stripes[i];

        stats->taken += __atomic_load_n(&stripe->taken, __ATOMIC_RELAXED);
        stats->refused += __atomic_load_n(&stripe->refused, __ATOMIC_RELAXED);
        stats->full += __atomic_load_n(&stripe->full, __ATOMIC_RELAXED);
    }
}

apr_size_t hb_limit_address_key(unsigned char *buf, const char *address)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    char bare[INET6_ADDRSTRLEN];
    unsigned char v6[16];
    apr_size_t len;

    if (address == NULL) {
        return 0;
    }
    if (inet_pton(AF_INET, address, buf) == 1) {
        return 4;
    }
    /* A link-local address names its interface behind a '%'. */
    len = strcspn(address, "%");
    if (len < sizeof(bare)) {
        memcpy(bare, address, len);
        bare[len] = '\0';
        if (inet_pton(AF_INET6, bare, v6) == 1) {
            if (memcmp(v6, mapped, sizeof(mapped)) == 0) {
                memcpy(buf, v6 + 12, 4);
                return 4;
            }
            memcpy(buf, v6, 8);
            return 8;
        }
    }
    /* No address at all (a local socket): as much of the text as fits. */
    len = strlen(address);
    len = len < 16 ? len : 16;
    memcpy(buf, address, len);
    return len;
}
