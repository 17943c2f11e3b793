/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_halobuzz.h
 * What the files of the base module share. Other modules see hb_ap.h only.
 */
#ifndef MOD_HALOBUZZ_H
#define MOD_HALOBUZZ_H

#include "hb_ap.h"

#include <apr_tables.h>
#include <http_log.h>

#include "hb_settings.h"
#include "hb_site.h"

/** The one symbol that leaves this shared object. */
extern __attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA halobuzz_module;

/** What the directives of the main server said. */
typedef struct hb_ap_config_t {
    hb_settings_draft_t *draft;
    const ap_directive_t **said_at;     /* by row index: where, for messages */
} hb_ap_config_t;

/** Of a location. */
typedef struct hb_ap_dir_t {
    int problems;               /* -1 unset; 1: HaloBuzz answers here, errors are problems */
} hb_ap_dir_t;

/** Of a request. */
typedef struct hb_ap_request_t {
    hb_op_t *op;                /* made at the first call of hb_ap_op */
    int route;                  /* row of the route table from 1; 0 for none; -1: not counted */
} hb_ap_request_t;

/** Of this process and configuration: all of it is filled in before the first request. */
typedef struct hb_ap_state_t {
    const hb_settings_t *settings;      /* from check_config on */
    hb_site_t *site;                    /* from post_config on */
    hb_site_memory_t memory;
    const char *const *origins;         /* that may call across origins; ends with NULL */
    const char *socket_dir;             /* the run user's, below the runtime directory */
    int has_unique_id;                  /* mod_unique_id is loaded */
    const hb_route_t *const *routes;
    int n_routes;
} hb_ap_state_t;

extern hb_ap_state_t hb_ap_state;

/** Does HaloBuzz answer at the place this request met? */
static inline int hb_ap_is_ours(const request_rec *r)
{
    const hb_ap_dir_t *dir = ap_get_module_config(r->per_dir_config, &halobuzz_module);

    return dir->problems == 1;
}

/** The record of a request, made when missing. Redirects and subrequests share their origin's. */
hb_ap_request_t *hb_ap_request(request_rec *r);

/* hb_ap_op.c */
/** The id of a request, as in X-Request-Id and both logs; never NULL. */
const char *hb_ap_id(request_rec *r);
/** The optional functions of hb_ap.h, for this module's own files. */
hb_op_t *hb_ap_op(request_rec *r);
hb_site_t *hb_ap_site(server_rec *s);
void hb_ap_op_register(void);
/** Forget randomness drawn before the fork; call in child_init. */
void hb_ap_op_child_init(void);
/** The log of what happens outside requests. */
hb_log_t hb_ap_server_log(server_rec *s);
/** Log levels and module names of this configuration; call in post_config. */
void hb_ap_op_post_config(void);

/* hb_ap_memory.c */
typedef struct hb_ap_wants_t {
    apr_size_t limit_bytes, cache_bytes, metrics_bytes;
} hb_ap_wants_t;
/**
 * Shared memory of the host's processes: kept over reloads while the sizes stay. When they
 * change, *was_replaced says that counts and cached values start afresh.
 */
apr_status_t hb_ap_memory_get(hb_site_memory_t *memory, int *was_replaced,
                              const hb_ap_wants_t *wants);
/** The file behind it, for the programs beside httpd (hb_share.h); close-on-exec. One that was
 * started before *was_replaced has the old one, and is started again. */
int hb_ap_memory_fd(void);
/** When this server was started first; reloads do not change it. */
apr_time_t hb_ap_started_at(void);
/** One server for a state directory: HB_E_CONFIG with *why when another one holds it. */
apr_status_t hb_ap_memory_lock(const char **why, const char *state_dir, apr_pool_t *pool);

/* hb_ap_program.c */
/** Start the programs that modules registered, or tell those that run of the new settings. */
void hb_ap_programs_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s);
/** What belongs to the parent alone; call in child_init. */
void hb_ap_programs_child_init(void);
void hb_ap_programs_register(void);
/** The process that runs in a role; 0 for none. Any process may ask. */
pid_t hb_ap_program_pid(const char *role);
/** All rows that modules offered. */
int hb_ap_programs(const hb_ap_program_t *const **rows, apr_pool_t *pool);

/* hb_ap_life.c */
/** Everything between the directives and the first request. */
/** What keeps the run user from its state directory, as far as it shows: NULL, or a sentence. */
const char *hb_ap_state_dir_check(const char *path, apr_pool_t *pool);
int hb_ap_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
int hb_ap_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
void hb_ap_child_init(apr_pool_t *pchild, server_rec *s);
/** Whose group files are given that the run user has to read: (gid_t)-1 when only root could. */
gid_t hb_ap_run_group(void);
/**
 * Make a directory of the run user's, unless it is there. NULL, or a sentence.
 * @param advice  ends the sentence: what to do where there can be none
 */
const char *hb_ap_directory_make(const char *path, const char *advice, apr_pool_t *pool);
/** httpd -t -D DUMP_HB_SETTINGS */
void hb_ap_dump_settings(apr_pool_t *pconf, server_rec *s);
/** A setting as such text. */
const char *hb_ap_setting_shown(const hb_settings_t *settings, const hb_setting_row_t *row,
                                apr_pool_t *pool);

/* hb_ap_access_log.c */
int hb_ap_access_log_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
/** usec: how long it took */
void hb_ap_access_log_write(request_rec *r, const request_rec *last, apr_interval_time_t usec);

/* hb_ap_cors.c */
void hb_ap_cors_post_config(apr_pool_t *pconf);
/** Answers preflights, marks the rest. */
int hb_ap_cors(request_rec *r);

/* hb_ap_error_filter.c */
void hb_ap_error_filter_register(void);

/* hb_ap_metrics.c */
/** One answered request; last is where its redirects ended. */
void hb_ap_metrics_count(request_rec *r, const request_rec *last, apr_interval_time_t usec);
void hb_ap_metrics_register(void);
const char *hb_ap_metrics_text(request_rec *r);
/** Have modules set the gauges that are theirs. */
void hb_ap_gauges_set(apr_pool_t *pool);

/* hb_ap_start.c: a child that is told to end while it starts, or answers a request on prefork */
void hb_ap_start_post_config(apr_pool_t *ptemp);
/** A request reaches the core, until its pool goes. */
void hb_ap_start_request(apr_pool_t *pool);
void hb_ap_start_register(void);

/* hb_ap_status.c */
void hb_ap_status_register(void);

/* hb_ap_mail.c */
void hb_ap_mail_child_init(apr_pool_t *pchild, server_rec *s);
/** Tell the thread to end; does not wait for it. */
void hb_ap_mail_stop(void);

/** "sqlite" of "sqlite:halobuzz.db". */
const char *hb_ap_scheme(const char *url, apr_pool_t *pool);

#endif /* MOD_HALOBUZZ_H */
