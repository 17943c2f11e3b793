/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_site.h
 * What all units of work of a process share: settings, the store, the cache, keys,
 * the limiter's table, counters, clock and randomness. One per process and
 * configuration; made in the parent without any connection, opened after fork.
 */
#ifndef HB_SITE_H
#define HB_SITE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "hb_log.h"
#include "hb_settings.h"

struct hb_store_t;
struct hb_cache_t;
struct hb_bus_t;
struct hb_limit_t;
struct hb_keyring_t;
struct hb_metrics_t;
struct hb_hashgate_t;
struct hb_fetch_pool_t;
struct hb_pay_keys_t;
struct hb_notice_texts_t;

typedef struct hb_site_t {
    const hb_settings_t *settings;  /* resolved (hb_settings.h): URLs may hold passwords */
    apr_pool_t *pool;               /* lives as long as the site */
    struct hb_store_t *store;       /* NULL until hb_site_open */
    struct hb_cache_t *cache;       /* never NULL after hb_site_open */
    struct hb_bus_t *bus;           /* never NULL after hb_site_open */
    struct hb_limit_t *limit;       /* shared by all processes of the host */
    struct hb_metrics_t *metrics;   /* shared by all processes of the host */
    struct hb_keyring_t *access_keys;   /* signing keys of access tokens */
    struct hb_keyring_t *pepper_keys;   /* HMAC keys of opaque tokens and codes */
    struct hb_hashgate_t *hashgate; /* caps password hashes at once in this process */
    const char *node;               /* id of the node that this process is (hb_node.h), or NULL */
    const char *agora_certificate;  /* secrets are read as root; NULL when not set */
    const char *smtp_password;      /* NULL when not set */
    const char *sms_token;          /* these three: NULL when not set */
    const char *push_secret;
    const char *team_hook;          /* an address, and a secret */
    struct hb_notice_texts_t *notice_texts;
    struct hb_pay_keys_t *pay_keys; /* secrets of the payment providers */
    struct hb_fetch_pool_t *fetch;  /* connections to other services; NULL until hb_site_open */
    hb_log_t log;                   /* for what happens outside an op */
    apr_time_t started_at;
    apr_time_t (*clock)(void *baton);       /* UTC; tests put their own */
    apr_status_t (*random)(void *baton, unsigned char *out, apr_size_t n);
    void *baton;                    /* of clock and random */
    int *maintenance;               /* in shared memory; not 0 while closed */
    int n_threads;                  /* that serve requests in this process; 0 when that is not known.
                                     * Some of them never wait for a server of records */
    int is_background;              /* nobody waits for this process: it tidies the store's log
                                     * early and in small parts, so that requests do not have to */
} hb_site_t;

/**
 * Shared memory that the host of the site hands in, so that all processes see the
 * same limits, cache and counters. All of it is zeroed when new. A program without
 * shared memory leaves the members NULL and gets private ones.
 */
typedef struct hb_site_memory_t {
    void *limit;    apr_size_t limit_bytes;
    void *cache;    apr_size_t cache_bytes;
    void *metrics;  apr_size_t metrics_bytes;
    void *control;  apr_size_t control_bytes;   /* the host's own; maintenance may point here */
} hb_site_memory_t;

/**
 * Make a site: reads secrets and key files, opens nothing else. In httpd this runs
 * as root in post_config. The state directory has to be there; the key files, their
 * directory and the mail spool are made below it when they are missing, and belong to
 * whoever it belongs to. Returns HB_E_CONFIG with *why set (it names the setting and
 * the fix) when a secret is missing, too short or readable by others.
 */
apr_status_t hb_site_make(hb_site_t **site, const char **why,
                          const hb_settings_t *settings, const hb_log_t *log,
                          apr_pool_t *pool);

/**
 * What hb_site_make() would refuse of checked settings and can be found without making or running
 * anything (what exec: programs would say is not known here): for configtest, because a reload
 * whose site cannot be made ends the server. @return NULL, or a sentence that begins with the
 * directive
 */
const char *hb_site_check(const hb_settings_t *settings, apr_pool_t *pool);

/**
 * Take the settings of a new configuration into a site that is open, and the keys of tokens and
 * the Agora certificate with them, while threads use it; what is open stays as it is. Keys that
 * are as they were cost no memory. What was in force before stays in its pool, because threads may
 * still read it. HB_E_CONFIG with *why: all stays as it was. When site->settings is what it was
 * before, nothing was taken, and the pool may go: something is wrong, or nothing is new.
 */
apr_status_t hb_site_renew(hb_site_t *site, const char **why, const hb_settings_t *settings,
                           apr_pool_t *pool);

/**
 * Open store and cache in this process; call after fork, as the run user. A store
 * that cannot be reached is logged and retried by later calls: the site comes up
 * degraded, and hb_store_* return HB_E_STORE_DOWN meanwhile.
 */
apr_status_t hb_site_open(hb_site_t *site, const hb_site_memory_t *memory,
                          apr_pool_t *pool);

/** The same but for the store, whose calls then are not to be made: for what is done to its file. */
apr_status_t hb_site_open_storeless(hb_site_t *site, const hb_site_memory_t *memory,
                                    apr_pool_t *pool);

/**
 * Threads of this process that may wait for a server at once, at least 1: those that serve
 * requests, or, in another process, as many as one is likely to have.
 */
int hb_site_threads(const hb_site_t *site);

#endif /* HB_SITE_H */
