/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ctl.h
 * What the command groups of halobuzzctl share: options, output, the site, HTTP. Each group is
 * one file, ctl_GROUP.c; the table of commands is in halobuzzctl.c.
 */
#ifndef CTL_H
#define CTL_H

#include <apr_pools.h>

#include "hb_json.h"
#include "hb_op.h"

/* Exit statuses; halobuzzctl.8 lists them. */
#define CTL_OK          0
#define CTL_FAILED      1       /* something is wrong; it was explained */
#define CTL_USAGE       2
#define CTL_UNREACHABLE 3       /* no answer from the server, or the store cannot be opened */

typedef struct ctl_t {
    apr_pool_t *pool;
    const char *command;        /* "user create", for messages */
    const char *usage;          /* of that command */
    const char *settings_path;  /* NULL: environment and defaults */
    const hb_settings_t *settings;  /* NULL until ctl_settings() */
    hb_site_t *site;            /* NULL until ctl_site() */
    int wants_json;
    int is_insecure;            /* -k: TLS certificates are not checked */
    int is_terminal;            /* colours and progress */
    int is_verbose;
} ctl_t;

/* --- commands (halobuzzctl.c has the table) --- */

/** argv[0] is the first argument behind the command's name. Gives the exit status. */
typedef int ctl_run_fn(ctl_t *ctl, int argc, const char *const *argv);

typedef struct ctl_command_t {
    const char *name;           /* "user create" */
    const char *usage;          /* behind the name */
    ctl_run_fn *run;
    const char *sentence;
} ctl_command_t;

ctl_run_fn ctl_check, ctl_health, ctl_status, ctl_seed, ctl_routes, ctl_smoke, ctl_version;
ctl_run_fn ctl_user_create, ctl_user_role, ctl_user_list, ctl_user_show, ctl_user_disable,
           ctl_user_enable, ctl_user_password, ctl_user_totp;
ctl_run_fn ctl_demo, ctl_og_bonus, ctl_refunds_resume;
ctl_run_fn ctl_notice_send, ctl_notice_list, ctl_notice_show, ctl_notice_cancel, ctl_notice_test,
           ctl_providers_check;
ctl_run_fn ctl_maintenance_plan, ctl_maintenance_list, ctl_maintenance_cancel;
ctl_run_fn ctl_reconcile;
ctl_run_fn ctl_cron_list, ctl_cron_history, ctl_cron_run, ctl_cron_pause, ctl_cron_resume;
ctl_run_fn ctl_ledger_verify, ctl_ledger_balance, ctl_ledger_statement, ctl_ledger_circulation;
ctl_run_fn ctl_events_list, ctl_events_show, ctl_events_replay, ctl_webhook_send;
ctl_run_fn ctl_bus_stats, ctl_bus_tail, ctl_cache_flush;
ctl_run_fn ctl_backup, ctl_backup_list, ctl_backup_test, ctl_backup_unpack, ctl_restore;
ctl_run_fn ctl_store_backup, ctl_report_day, ctl_store_clean, ctl_store_verify, ctl_store_stats;
ctl_run_fn ctl_store_copy, ctl_store_indexes, ctl_store_reindex;

/* --- options (ctl_options.c) --- */

/** An option of a command; the ones of all commands (--settings, --json ...) are known anyway. */
typedef struct ctl_option_t {
    const char *name;           /* "email", for --email VALUE and --email=VALUE; NULL ends */
    const char **value;         /* takes a value; or */
    int *flag;                  /* set to 1; or */
    int *limit;                 /* takes a number, 1 to 1000: how much of a list */
} ctl_option_t;

/**
 * Read options and arguments, in any order; "--" ends the options.
 * @param args  the arguments that are no options, NULL behind the last; room for max + 1
 * @return CTL_OK, or CTL_USAGE after saying what is wrong
 */
int ctl_options(ctl_t *ctl, int argc, const char *const *argv, const ctl_option_t *options,
                const char **args, int min, int max);

/* --- output (ctl_output.c) --- */

typedef enum ctl_mark_e { CTL_GOOD, CTL_NOTE, CTL_BAD } ctl_mark_e;

/** A line on stdout. */
void ctl_say(const ctl_t *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A line on stdout that starts with a mark: green, yellow, red on a terminal. */
void ctl_mark(const ctl_t *ctl, ctl_mark_e mark, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** A line on stderr: "halobuzzctl user create: ...". Gives CTL_FAILED. */
int ctl_fail(const ctl_t *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The same for a wrong command line, with the usage. Gives CTL_USAGE. */
int ctl_misuse(const ctl_t *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Say why an op failed, with every field. Gives the exit status. */
int ctl_fail_op(const ctl_t *ctl, const hb_op_t *op, apr_status_t status);
/** JSON for scripts, indented on a terminal. */
void ctl_json(const ctl_t *ctl, const hb_json_t *json);
/** A text of a record, or what stands where it has none. */
const char *ctl_text(const hb_json_t *json, const char *key, const char *otherwise);
/**
 * A page of a list, { "items", "next" }: each item by print and how to go on, or all of it as
 * JSON.
 */
void ctl_list(const ctl_t *ctl, const hb_json_t *list,
              void (*print)(const ctl_t *ctl, const hb_json_t *item));
/** One of them, by print or as JSON. */
void ctl_one(const ctl_t *ctl, const hb_json_t *item,
             void (*print)(const ctl_t *ctl, const hb_json_t *item));
/** "12 of 40 checks" in place, on a terminal only; done == total ends the line. */
void ctl_progress(const ctl_t *ctl, const char *what, apr_int64_t done, apr_int64_t total);

/* --- the site (ctl_site.c) --- */

/** Load the settings. @return NULL, or a sentence */
const char *ctl_settings(ctl_t *ctl);

/**
 * Settings, keys, store: an op to work with, whose actor is the operator. As root this
 * first becomes the owner of the state directory, for good, so that no file in it is made that
 * the server cannot write: read what only root may read before.
 * @return CTL_OK, or an exit status after saying why
 */
int ctl_site(hb_op_t **op, ctl_t *ctl);
/** ctl_options(), then ctl_site(): how most commands begin. */
int ctl_begin(hb_op_t **op, ctl_t *ctl, int argc, const char *const *argv,
              const ctl_option_t *options, const char **args, int min, int max);

/** All of a command that shows a list ([--limit N] [--after CURSOR]; 20 at a time). */
int ctl_list_command(ctl_t *ctl, int argc, const char *const *argv,
                     apr_status_t (*list)(hb_json_t **list, hb_op_t *op, int limit,
                                          const char *after),
                     void (*print)(const ctl_t *ctl, const hb_json_t *item));
/** All of a command whose argument is the id of one thing, and that shows what became of it. */
int ctl_one_command(ctl_t *ctl, int argc, const char *const *argv,
                    apr_status_t (*act)(hb_json_t **view, hb_op_t *op, const char *id),
                    void (*print)(const ctl_t *ctl, const hb_json_t *item));

/** The same without opening the store, for when it is away or damaged. */
int ctl_site_closed(hb_op_t **op, ctl_t *ctl);

/** An account by id, username or address (ctl_user.c). HB_E_USER_UNKNOWN. */
apr_status_t ctl_user_find(hb_json_t **user, hb_op_t *op, const char *name);

/** A secret from a file, "-" for stdin, or asked for on the terminal; without its newline. */
int ctl_read_secret(const char **secret, ctl_t *ctl, const char *path, const char *prompt);

/* --- HTTP (ctl_http.c) --- */

typedef struct ctl_reply_t {
    int status;                 /* 0: no answer; why says it */
    const char *why;
    const char *type;           /* Content-Type without parameters; never NULL */
    const char *body;           /* 0 byte behind it; never NULL */
    apr_size_t len;
    hb_json_t *json;            /* NULL when the body is none */
    double seconds;
} ctl_reply_t;

/**
 * One call; connections are kept between calls.
 * @param token  access token, or NULL
 * @param body   JSON text, or NULL
 */
void ctl_http(ctl_reply_t *reply, ctl_t *ctl, const char *method, const char *url,
              const char *token, const char *body);

/** The same without a token, with one header more ("Name: value", or NULL) and any bytes of JSON. */
void ctl_http_as(ctl_reply_t *reply, ctl_t *ctl, const char *method, const char *url,
                 const char *header, const char *body);

/** The address of the server without a slash at its end: the argument, or HaloBuzzPublicURL. */
const char *ctl_base_url(ctl_t *ctl, const char *argument);

/** When the certificate of the https server behind url ends; 0 when it cannot be told. */
apr_time_t ctl_certificate_end(ctl_t *ctl, const char *url, const char **why);

/** Does the server take a TLS version below 1.2? 0 also when nobody answers. */
int ctl_takes_old_tls(ctl_t *ctl, const char *url);

#endif /* CTL_H */
