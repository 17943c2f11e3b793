/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site: made once in the parent from settings, secrets and key files, opened in each
 * process. What it makes in the state directory belongs to whoever that directory belongs
 * to, so that root may make the site and the run user may use it.
 */
#include "hb_site.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "hb_bus.h"
#include "hb_cache.h"
#include "hb_error.h"
#include "hb_fetch.h"
#include "hb_hashgate.h"
#include "hb_keyring.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_notice.h"
#include "hb_plugin.h"
#include "hb_pay.h"
#include "hb_secret.h"
#include "hb_store.h"

#define KEY_DIR "keys"
#define OTHER_THREADS 50        /* of a process that does not say how many it has */

static apr_time_t system_clock(void *baton)
{
    (void)baton;
    return apr_time_now();
}

static apr_status_t system_random(void *baton, unsigned char *out, apr_size_t n)
{
    (void)baton;
    if (n > APR_INT32_MAX || RAND_bytes(out, (int)n) != 1) {
        ERR_clear_error();      /* the queue is shared with the host's own TLS */
        return HB_E_INTERNAL;
    }
    return APR_SUCCESS;
}

/* What root has made it gives away, also when the one who made it has not come to that, or died. */
static int give_dir(const char *path, apr_pool_t *pool)
{
    const char *slash = strrchr(path, '/');
    const char *parent = apr_pstrmemdup(pool, path, (apr_size_t)(slash - path));
    struct stat above, info;

    if (geteuid() != 0 || stat(*parent != '\0' ? parent : "/", &above) != 0
        || lstat(path, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != 0
        || above.st_uid == 0) {
        return 0;
    }
    return lchown(path, above.st_uid, above.st_gid) == 0 ? 0 : errno;
}

/* A directory of ours: private, and its parent's owner's. */
static apr_status_t make_dir(const char **why, const char *path, apr_pool_t *pool)
{
    struct stat info;
    int problem = mkdir(path, 0750) == 0 || errno == EEXIST ? give_dir(path, pool) : errno;

    if (problem == 0 && stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        problem = ENOTDIR;
    }
    if (problem == 0) {
        return APR_SUCCESS;
    }
    *why = apr_psprintf(pool, "the directory %s cannot be made: %s; HaloBuzzStateDir has to exist "
                        "and belong to the run user", path, strerror(problem));
    return HB_E_CONFIG;
}

/* @param secret  NULL when the setting is empty */
static apr_status_t read_secret(const char **secret, const char **why, const char *directive,
                                const char *reference, apr_pool_t *pool)
{
    apr_status_t rv;

    *secret = NULL;
    if (*reference == '\0') {
        return APR_SUCCESS;
    }
    rv = hb_secret_read(secret, why, reference, pool);
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(pool, "%s: %s", directive, *why);
    }
    return rv;
}

/* A ring of one key when the setting names a secret, else one kept in a file. */
static apr_status_t read_ring(hb_keyring_t **ring, const char **why, const char *directive,
                              const char *secret, const char *path, apr_pool_t *pool)
{
    apr_status_t rv;

    if (secret == NULL) {
        return hb_keyring_load(ring, why, path, pool);
    }
    rv = hb_keyring_from_secret(ring, why, secret, pool);
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(pool, "%s: %s", directive, *why);
    }
    return rv;
}

static const char *check_key_pair(const char *access, const char *refresh)
{
    return access != NULL && refresh != NULL && strlen(access) == strlen(refresh)
        && CRYPTO_memcmp(access, refresh, strlen(access)) == 0
        ? "HaloBuzzAuthRefreshSecret (JWT_REFRESH_SECRET) is the same as HaloBuzzAuthSecret "
          "(JWT_SECRET): give each its own; openssl rand -hex 32 makes one" : NULL;
}

static apr_status_t read_keys(hb_site_t *site, const char **why, apr_pool_t *pool)
{
    const hb_settings_t *settings = site->settings;
    const char *dir = apr_pstrcat(pool, settings->state_dir, "/" KEY_DIR, NULL);
    const char *access, *refresh;
    apr_status_t rv;

    rv = make_dir(why, dir, pool);
    if (rv == APR_SUCCESS) {
        rv = read_secret(&access, why, "HaloBuzzAuthSecret", settings->auth_secret, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_secret(&refresh, why, "HaloBuzzAuthRefreshSecret", settings->refresh_secret,
                         pool);
    }
    if (rv == APR_SUCCESS && (*why = check_key_pair(access, refresh)) != NULL) {
        rv = HB_E_CONFIG;
    }
    if (rv == APR_SUCCESS) {
        rv = read_ring(&site->access_keys, why, "HaloBuzzAuthSecret", access,
                       apr_pstrcat(pool, dir, "/access.keys", NULL), pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_ring(&site->pepper_keys, why, "HaloBuzzAuthRefreshSecret", refresh,
                       apr_pstrcat(pool, dir, "/pepper.keys", NULL), pool);
    }
    return rv;
}

/* Where notices are sent: the addresses have to be such as may be called. */
static apr_status_t check_addresses(const hb_site_t *site, const char **why, apr_pool_t *pool)
{
    const struct {
        const char *directive, *url;
    } rows[] = {
        { "HaloBuzzSMSURL", *site->settings->sms_account != '\0' ? site->settings->sms_url : "" },
        { "HaloBuzzPushURL", site->settings->push_url },
        { "HaloBuzzTeamHook", site->team_hook != NULL ? site->team_hook : "" },
    };
    const char *problem;
    int i;

    for (i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        problem = *rows[i].url != '\0' ? hb_fetch_url_check(rows[i].url, pool) : NULL;
        if (problem != NULL) {
            *why = apr_psprintf(pool, "%s: %s", rows[i].directive, problem);
            return HB_E_CONFIG;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t read_notices(hb_site_t *site, const char **why, apr_pool_t *pool)
{
    const hb_settings_t *settings = site->settings;
    apr_status_t rv;

    rv = read_secret(&site->sms_token, why, "HaloBuzzSMSToken", settings->sms_token, pool);
    if (rv == APR_SUCCESS) {
        rv = read_secret(&site->push_secret, why, "HaloBuzzPushSecret", settings->push_secret,
                         pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_secret(&site->team_hook, why, "HaloBuzzTeamHook", settings->team_hook, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = check_addresses(site, why, pool);
    }
    return rv == APR_SUCCESS ? hb_notice_texts_make(&site->notice_texts, why,
                                                    settings->notice_texts, pool) : rv;
}

/* NULL also for one that only a program knows, or that cannot be read: who reads it says so. */
static const char *secret_at_hand(const char *reference, apr_pool_t *pool)
{
    const char *value = NULL, *why;

    return *reference != '\0' && strncmp(reference, "exec:", 5) != 0
        && hb_secret_read(&value, &why, reference, pool) == APR_SUCCESS ? value : NULL;
}

const char *hb_site_check(const hb_settings_t *settings, apr_pool_t *pool)
{
    const hb_site_t site = { .settings = settings,
                             .team_hook = secret_at_hand(settings->team_hook, pool) };
    hb_notice_texts_t *texts;
    const char *why = check_key_pair(secret_at_hand(settings->auth_secret, pool),
                                     secret_at_hand(settings->refresh_secret, pool));

    if (why == NULL && check_addresses(&site, &why, pool) == APR_SUCCESS
        && hb_notice_texts_make(&texts, &why, settings->notice_texts, pool) == APR_SUCCESS) {
        why = NULL;
    }
    return why;
}

apr_status_t hb_site_make(hb_site_t **made, const char **why, const hb_settings_t *settings,
                          const hb_log_t *log, apr_pool_t *pool)
{
    hb_site_t *site = apr_pcalloc(pool, sizeof(*site));
    apr_status_t rv;

    *made = NULL;
    *why = hb_settings_resolve(&site->settings, settings, pool);
    if (*why != NULL) {
        return HB_E_CONFIG;
    }
    settings = site->settings;
    site->pool = pool;
    if (log != NULL) {
        site->log = *log;
    }
    site->clock = system_clock;
    site->random = system_random;
    site->started_at = site->clock(NULL);
    site->maintenance = apr_pcalloc(pool, sizeof(*site->maintenance));
    *site->maintenance = settings->maintenance;
    rv = read_keys(site, why, pool);
    if (rv == APR_SUCCESS && *settings->mail_spool != '\0') {
        rv = make_dir(why, settings->mail_spool, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_secret(&site->agora_certificate, why, "HaloBuzzAgoraCertificate",
                         settings->agora_certificate, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_secret(&site->smtp_password, why, "HaloBuzzSMTPPassword",
                         settings->smtp_password, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = read_notices(site, why, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_pay_keys_make(&site->pay_keys, why, settings, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_hashgate_make(&site->hashgate, (int)settings->password_hashes,
                              (int)settings->password_queue, pool);
    }
    if (rv == APR_SUCCESS) {
        *made = site;
    }
    else if (*why == NULL) {
        *why = "the machinery of the site cannot be made";
    }
    return rv;
}

static int is_same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
}

static int has_same_keys(const hb_site_t *a, const hb_site_t *b)
{
    return memcmp(hb_keyring_mark(a->access_keys), hb_keyring_mark(b->access_keys),
                  HB_KEYRING_MARK_BYTES) == 0
        && memcmp(hb_keyring_mark(a->pepper_keys), hb_keyring_mark(b->pepper_keys),
                  HB_KEYRING_MARK_BYTES) == 0
        && is_same_text(a->agora_certificate, b->agora_certificate);
}

apr_status_t hb_site_renew(hb_site_t *site, const char **why, const hb_settings_t *settings,
                           apr_pool_t *pool)
{
    hb_site_t fresh = { .settings = settings };
    apr_pool_t *keys;
    apr_status_t rv;

    *why = hb_settings_resolve(&settings, settings, pool);
    if (*why != NULL) {
        return HB_E_CONFIG;
    }
    apr_pool_create(&keys, pool);
    rv = read_keys(&fresh, why, keys);
    if (rv == APR_SUCCESS) {
        rv = read_secret(&fresh.agora_certificate, why, "HaloBuzzAgoraCertificate",
                         settings->agora_certificate, keys);
    }
    if (rv != APR_SUCCESS) {
        *why = apr_pstrdup(pool, *why != NULL ? *why : "the keys cannot be read");
        apr_pool_destroy(keys);
        return rv;
    }
    if (has_same_keys(site, &fresh)) {
        int is_same = hb_settings_are_same(site->settings, settings, keys);

        apr_pool_destroy(keys);
        if (is_same) {
            return APR_SUCCESS;
        }
    }
    else {
        __atomic_store_n(&site->access_keys, fresh.access_keys, __ATOMIC_RELEASE);
        __atomic_store_n(&site->pepper_keys, fresh.pepper_keys, __ATOMIC_RELEASE);
        __atomic_store_n(&site->agora_certificate, fresh.agora_certificate, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&site->settings, settings, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

int hb_site_threads(const hb_site_t *site)
{
    if (site->n_threads > 0) {
        return site->n_threads;
    }
    return site->settings->realtime_threads > OTHER_THREADS ? (int)site->settings->realtime_threads
        : OTHER_THREADS;
}

/* What was handed in could not be used: say so, and let the caller take private memory. */
static void say_private(const hb_site_t *site, const char *what, apr_status_t rv)
{
    hb_log_to(&site->log, HB_LOG_ERR, rv, HBLOGNO(00163) "the shared memory of the %s cannot be "
              "used; this process keeps its own, and a restart is needed", what);
}

static apr_status_t open_limit(hb_site_t *site, const hb_site_memory_t *memory,
                               apr_pool_t *pool)
{
    apr_status_t rv = hb_limit_open(&site->limit, memory->limit, memory->limit_bytes, pool);

    if (rv != APR_SUCCESS && memory->limit != NULL) {
        say_private(site, "limiter", rv);
        rv = hb_limit_open(&site->limit, NULL, 0, pool);
    }
    return rv;
}

static apr_status_t open_metrics(hb_site_t *site, const hb_site_memory_t *memory,
                                 apr_pool_t *pool)
{
    apr_status_t rv = hb_metrics_open(&site->metrics, memory->metrics, memory->metrics_bytes,
                                      pool);

    if (rv != APR_SUCCESS && memory->metrics != NULL) {
        say_private(site, "counters", rv);
        rv = hb_metrics_open(&site->metrics, NULL, 0, pool);
    }
    return rv;
}

/* Nothing but speed depends on the cache, so the site opens without it too. */
static void open_cache(hb_site_t *site, const hb_site_memory_t *memory, apr_pool_t *pool)
{
    const hb_settings_t *settings = site->settings;
    apr_status_t rv = hb_cache_open(&site->cache, site, settings->cache_url, memory->cache,
                                    memory->cache_bytes, pool);

    if (rv != APR_SUCCESS && memory->cache != NULL) {
        say_private(site, "cache", rv);
        rv = hb_cache_open(&site->cache, site, settings->cache_url, NULL, 0, pool);
    }
    if (rv != APR_SUCCESS) {
        hb_log_to(&site->log, HB_LOG_ERR, rv, HBLOGNO(00165) "HaloBuzzCache cannot be opened; "
                  "this process goes on without");
    }
}

/* Where the cache is a Redis, limits are counted there too, for all hosts. */
static void attach_limit(hb_site_t *site, apr_pool_t *pool)
{
    const char *url = site->settings->cache_url, *why;
    const hb_limit_remote_t *remote;
    void *self;

    if (strncmp(url, "redis:", 6) != 0) {
        return;
    }
    remote = hb_plugin_symbol(&why, "hb_redis.so", "hb_redis_limit", pool);
    if (remote != NULL && remote->open(&self, site, url, pool) == APR_SUCCESS) {
        hb_limit_attach(site->limit, remote, self);
    }
    else {
        hb_log_to(&site->log, HB_LOG_ERR, 0, HBLOGNO(00490) "limits are counted by this host alone: %s",
                  why != NULL ? why : "the Redis of HaloBuzzCache cannot be used");
    }
}

apr_status_t hb_site_open_storeless(hb_site_t *site, const hb_site_memory_t *memory,
                                    apr_pool_t *pool)
{
    static const hb_site_memory_t none;
    const hb_site_memory_t *given = memory != NULL ? memory : &none;
    apr_status_t rv;

    rv = open_limit(site, given, pool);
    if (rv == APR_SUCCESS) {
        rv = open_metrics(site, given, pool);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_fetch_open(&site->fetch, pool);
    }
    if (rv == APR_SUCCESS) {
        open_cache(site, given, pool);
        attach_limit(site, pool);
        rv = hb_bus_open(&site->bus, site, hb_bus_url(site->settings), pool);
    }
    return rv;
}

apr_status_t hb_site_open(hb_site_t *site, const hb_site_memory_t *memory, apr_pool_t *pool)
{
    apr_status_t rv = hb_site_open_storeless(site, memory, pool);

    if (rv == APR_SUCCESS) {
        rv = hb_store_open(&site->store, site, site->settings->store_url, pool);
    }
    return rv;
}
