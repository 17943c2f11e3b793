/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_limit.h
 * How often a caller may: counts in shared memory, exact across all processes and threads
 * of the host, without locks. A window starts with a key's first event and admits
 * exactly `max` until it ends. The directives are mod_halobuzz_ratelimit's; sign-in
 * lock-outs (hb_lockout.c) use the same table.
 */
#ifndef HB_LIMIT_H
#define HB_LIMIT_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct hb_limit_t hb_limit_t;

typedef struct hb_limit_rule_t {
    const char *name;           /* class, part of the key */
    apr_uint32_t max;           /* events in a window, 1 .. 16 000 000 */
    apr_interval_time_t window_usec;    /* at most 24 h */
} hb_limit_rule_t;

typedef struct hb_limit_verdict_t {
    int is_allowed;
    apr_uint32_t remaining;
    int reset_sec;              /* until the window ends, rounded up; at least 1 when refused */
    int was_full;               /* no slot was free: admitted uncounted (HaloBuzzRateLimitSize) */
} hb_limit_verdict_t;

/**
 * Memory is zeroed or was used by another process; NULL gives a private table (of bytes,
 * or a small one for 0). Does not wait; processes may open the same memory at once.
 * @return HB_E_CONFIG when the memory holds a table of another size or version;
 *         APR_ENOMEM when it is too small for one
 */
apr_status_t hb_limit_open(hb_limit_t **limit, void *memory, apr_size_t bytes,
                           apr_pool_t *pool);

/**
 * Count one event of (rule, key). Refusals are not counted. Does not wait.
 * @param now_usec  monotonic clock, hb_limit_now() but for tests
 */
void hb_limit_take(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                   const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                   apr_time_t now_usec);

/** The same in this host's own table, whether or not limits are kept elsewhere. */
void hb_limit_take_here(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                        const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                        apr_time_t now_usec);

/** The same question without counting. */
void hb_limit_peek(hb_limit_verdict_t *verdict, hb_limit_t *limit,
                   const hb_limit_rule_t *rule, const void *key, apr_size_t len,
                   apr_time_t now_usec);

/**
 * Forget (rule, key), so that its next event starts a window: a success after failures, an
 * operator's pardon.
 */
void hb_limit_forget(hb_limit_t *limit, const hb_limit_rule_t *rule, const void *key,
                     apr_size_t len);

/** Take one event of this window back: it turned out not to be one (a sign-in that was no guess). */
void hb_limit_give_back(hb_limit_t *limit, const hb_limit_rule_t *rule, const void *key,
                        apr_size_t len, apr_time_t now_usec);

struct hb_site_t;

/**
 * Limits kept elsewhere, for all hosts: asked first when one is attached. A call that fails is
 * answered by the table here. limit_redis.c exports one.
 */
typedef struct hb_limit_remote_t {
    apr_status_t (*open)(void **self, struct hb_site_t *site, const char *url,
                         apr_pool_t *pool);
    apr_status_t (*take)(void *self, hb_limit_verdict_t *verdict, const hb_limit_rule_t *rule,
                         const void *key, apr_size_t len);
    apr_status_t (*peek)(void *self, hb_limit_verdict_t *verdict, const hb_limit_rule_t *rule,
                         const void *key, apr_size_t len);
    apr_status_t (*forget)(void *self, const hb_limit_rule_t *rule, const void *key,
                           apr_size_t len);
    apr_status_t (*give_back)(void *self, const hb_limit_rule_t *rule, const void *key,
                              apr_size_t len);
} hb_limit_remote_t;

/** Ask it from now on; before the first call of any other thread. self is what its open gave. */
void hb_limit_attach(hb_limit_t *limit, const hb_limit_remote_t *remote, void *self);

/** Is somebody else asked first? */
int hb_limit_is_remote(const hb_limit_t *limit);

/** Microseconds that never jump. */
apr_time_t hb_limit_now(void);

typedef struct hb_limit_stats_t {
    apr_uint64_t slots, used, taken, refused, full;
} hb_limit_stats_t;
/** Reads the whole table: for a scrape, not for each request. */
void hb_limit_stats(hb_limit_stats_t *stats, hb_limit_t *limit);

/** "ip" key of an address: IPv4 whole, IPv6 its /64. Gives the length; buf holds 16 bytes. */
apr_size_t hb_limit_address_key(unsigned char *buf, const char *address);

#endif /* HB_LIMIT_H */
