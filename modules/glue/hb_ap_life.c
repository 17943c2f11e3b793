/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a checked configuration to the first request. post_config runs as root and makes
 * what only root can: the state directory, secrets, shared memory. child_init runs as
 * the run user and opens the records. A store that does not answer is no reason to stay
 * down: health says so, and calls are answered 503 until it does.
 */
#include "mod_halobuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <ap_mpm.h>
#include <unixd.h>

#include "hb_metrics.h"
#include "hb_secret.h"

APLOG_USE_MODULE(halobuzz);

#define SETTINGS_FILE "halobuzz-settings"

/* At the start of the shared control block. hb_site.h points at the first member. */
typedef struct control_t {
    int maintenance;
    int configured;             /* what the directive said last */
} control_t;

hb_ap_state_t hb_ap_state;

static int refuse_start(server_rec *s, const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, HBLOGNO(02020) "cannot start: %s",
                 why);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int is_root(void)
{
    return geteuid() == 0;
}

gid_t hb_ap_run_group(void)
{
    return is_root() ? ap_unixd_config.group_id : (gid_t)-1;
}

const char *hb_ap_directory_make(const char *path, const char *advice, apr_pool_t *pool)
{
    struct stat info;

    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return apr_psprintf(pool, "the directory %s cannot be made: %s; %s", path, strerror(errno),
                            advice);
    }
    /* Never through a link: what root owns behind it is nothing that the run user may get. */
    if (lstat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return apr_psprintf(pool, "%s is not a directory; %s", path, advice);
    }
    if (is_root() && info.st_uid == 0 && ap_unixd_config.user_id != 0
        && lchown(path, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
        return apr_psprintf(pool, "%s cannot be given to the run user: %s", path,
                            strerror(errno));
    }
    return NULL;
}

/*
 * A directory above path that the run user surely cannot pass. Where a group may, the run user may
 * be in it, and an access list shows as one.
 */
static const char *closed_above(const char *path, apr_pool_t *pool)
{
    char *dir = apr_pstrdup(pool, path), *slash;
    const char *closed = NULL;
    struct stat info;

    while ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
        *slash = '\0';
        if (stat(dir, &info) == 0 && info.st_uid != ap_unixd_config.user_id
            && (info.st_mode & (S_IXGRP | S_IXOTH)) == 0) {
            closed = apr_pstrdup(pool, dir);
        }
    }
    return closed;
}

const char *hb_ap_state_dir_check(const char *path, apr_pool_t *pool)
{
    const char *closed, *advice = "set HaloBuzzStateDir to another, or make its parent";
    char *parent = apr_pstrdup(pool, path), *slash = strrchr(parent, '/');
    struct stat info;

    if (!is_root() || ap_unixd_config.user_id == 0) {
        return NULL;            /* may be a look at the configuration of another user's server */
    }
    closed = closed_above(path, pool);
    if (closed != NULL) {
        return apr_psprintf(pool, "%s cannot be reached by %s, because nobody but its owner may pass %s; "
                            "run: chmod o+x %s, or set HaloBuzzStateDir", path,
                            ap_unixd_config.user_name, closed, closed);
    }
    if (lstat(path, &info) == 0) {
        return !S_ISDIR(info.st_mode) ? apr_psprintf(pool, "%s is not a directory; %s", path, advice)
            : info.st_uid == 0 || info.st_uid == ap_unixd_config.user_id ? NULL
            : apr_psprintf(pool, "%s belongs to user id %lu, but the server runs as %s; run: "
                           "chown -R %s %s", path, (unsigned long)info.st_uid,
                           ap_unixd_config.user_name, ap_unixd_config.user_name, path);
    }
    if (errno == ENOENT && slash != NULL && slash != parent) {
        *slash = '\0';
        if (stat(parent, &info) == 0) {
            return NULL;        /* it is made at the start */
        }
    }
    return apr_psprintf(pool, "the directory %s cannot be made: %s; %s", path, strerror(errno),
                        advice);
}

static const char *make_state_dir(const char *path, apr_pool_t *pool)
{
    const char *why = hb_ap_directory_make(path, "set HaloBuzzStateDir to another, or make "
                                           "its parent", pool);

    if (why == NULL && !is_root() && access(path, R_OK | W_OK | X_OK) != 0) {
        why = apr_psprintf(pool, "this user may not write %s; set HaloBuzzStateDir", path);
    }
    return why;
}

/* What the operator's command reads, so that it means the same server. */
static void save_settings(server_rec *s, apr_pool_t *pool)
{
    const char *path = ap_runtime_dir_relative(pool, SETTINGS_FILE);
    apr_status_t rv = path == NULL ? APR_ENOENT
        : hb_settings_save(hb_ap_state.settings, path, hb_ap_run_group(), pool);

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, HBLOGNO(02021) "%s cannot be written; "
                     "halobuzzctl will not find this server's settings",
                     path != NULL ? path : SETTINGS_FILE);
    }
}

static void say_hello(server_rec *s, apr_pool_t *pool)
{
    const hb_ap_config_t *config = ap_get_module_config(s->module_config, &halobuzz_module);
    const hb_setting_row_t *row;
    const char *text = "";

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        const char *shown = hb_ap_setting_shown(hb_ap_state.settings, row, pool);

        if (config->said_at[row->index] != NULL || strcmp(row->member, "store_url") == 0
            || strcmp(row->member, "cache_url") == 0
            || strcmp(row->member, "state_dir") == 0) {
            text = apr_pstrcat(pool, text, *text != '\0' ? ", " : "", row->directive, " ",
                               *shown != '\0' ? shown : "\"\"", NULL);
        }
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(02022) "HaloBuzz %s with %d routes; %s",
                 HB_VERSION, hb_ap_state.n_routes, text);
}

/*
 * A sign-in that waits for its hash holds a worker thread, and the stock httpd of Debian has 25 in
 * a child: some have to stay for everybody else.
 */
static void spare_threads(server_rec *s)
{
    hb_ap_config_t *config = ap_get_module_config(s->module_config, &halobuzz_module);
    const hb_setting_row_t *row = hb_setting_row("HaloBuzzPasswordQueue");
    apr_int64_t *queue = &config->draft->values.password_queue;
    int threads = 0, most;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 2) {
        return;
    }
    most = threads - (threads + 3) / 4;
    if (config->said_at[row->index] == NULL) {
        *queue = *queue < most ? *queue : most;
    } else if (*queue >= threads) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(02061) "HaloBuzzPasswordQueue %"
                     APR_INT64_T_FMT ": sign-ins may take all %d threads of a child (ThreadsPerChild); "
                     "%d would leave some for other calls", *queue, threads, most);
    }
}

static const char *get_memory(server_rec *s, apr_pool_t *pool)
{
    hb_ap_wants_t wants = { 0, 0, 0 };
    apr_status_t rv;
    char text[120];
    int was_replaced;

    wants.limit_bytes = (apr_size_t)hb_ap_state.settings->limit_size;
    if (strcmp(hb_ap_scheme(hb_ap_state.site->settings->cache_url, pool), "shm") == 0) {
        wants.cache_bytes = (apr_size_t)hb_ap_state.settings->cache_size;
    }
    wants.metrics_bytes = hb_metrics_bytes(hb_ap_state.n_routes);
    rv = hb_ap_memory_get(&hb_ap_state.memory, &was_replaced, &wants);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(pool, "shared memory of %" APR_SIZE_T_FMT " bytes cannot be made: %s; "
                            "HaloBuzzCacheSize and HaloBuzzRateLimitSize say how much",
                            wants.limit_bytes + wants.cache_bytes + wants.metrics_bytes,
                            apr_strerror(rv, text, sizeof(text)));
    }
    if (was_replaced) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(02023) "shared memory has another "
                     "size now: limits, cached values and counters start afresh");
    }
    hb_ap_state.site->started_at = hb_ap_started_at();
    return NULL;
}

/* An operator may have switched since: a reload that says nothing new leaves that alone. */
static void set_maintenance(void)
{
    control_t *control = hb_ap_state.memory.control;
    int wanted = hb_ap_state.settings->maintenance;

    if (control->configured != wanted) {
        control->configured = wanted;
        __atomic_store_n(&control->maintenance, wanted, __ATOMIC_RELAXED);
    }
    hb_ap_state.site->maintenance = &control->maintenance;
}

int hb_ap_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const hb_settings_t *settings = hb_ap_state.settings;
    const char *why = NULL;
    hb_log_t log;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;              /* the first of two runs: everything is done in the second */
    }
    hb_ap_op_post_config();
    log = hb_ap_server_log(s);
    spare_threads(s);
    why = make_state_dir(settings->state_dir, ptemp);
    if (why == NULL && hb_ap_memory_lock(&why, settings->state_dir, ptemp) == APR_SUCCESS
        && hb_site_make(&hb_ap_state.site, &why, settings, &log, pconf) == APR_SUCCESS) {
        ap_mpm_query(AP_MPMQ_MAX_THREADS, &hb_ap_state.site->n_threads);
        hb_ap_state.n_routes = hb_ap_routes(&hb_ap_state.routes, pconf);
        why = get_memory(s, ptemp);
    }
    if (why != NULL) {
        return refuse_start(s, why);
    }
    set_maintenance();
    hb_ap_cors_post_config(pconf);
    hb_ap_start_post_config(ptemp);
    save_settings(s, ptemp);
    say_hello(s, ptemp);
    hb_ap_programs_post_config(pconf, ptemp, s);
    why = hb_secret_settle(ptemp);
    if (why != NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HBLOGNO(02063) "secrets stay as they were before this "
                     "reload: %s", why);
    }
    return OK;
}

void hb_ap_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv;

    hb_ap_op_child_init();
    hb_ap_programs_child_init();
    if (hb_ap_state.site == NULL) {
        return;
    }
    rv = hb_site_open(hb_ap_state.site, &hb_ap_state.memory, pchild);
    if (rv != APR_SUCCESS) {
        char text[120];

        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HBLOGNO(02024) "this process starts without "
                     "its records: %s", hb_strerror(rv, text, sizeof(text)));
    }
    hb_ap_mail_child_init(pchild, s);
}
