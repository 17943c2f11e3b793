/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     halobuzz-crond - runs what goes by the clock on a HaloBuzz server
 *
 * SYNOPSIS
 *     halobuzz-crond --config FILE
 *     halobuzz-crond --list [--config FILE]
 *     halobuzz-crond --once NAME [--at TIME] [--config FILE]
 *
 * DESCRIPTION
 *     httpd starts it, watches it and starts it again (mod_halobuzz_cron), and gives it the settings in
 *     FILE. Jobs are rows of include/hb_job.def. Each occurrence of one runs once over all hosts that
 *     share a store (include/hb_job_run.h), in a process of its own: this program again, with options
 *     that are for itself. A run over its limit is killed and tried again.
 *
 *     --list prints the jobs, their schedules and when they run next. --once does the last occurrence
 *     of a job up to a moment, now unless --at says another, in this process; one that is done
 *     already, again.
 *
 *     SIGTERM and SIGINT: end runs, give them back, and end. SIGHUP: read the settings again and go on
 *     in the new error log.
 *
 * SECURITY
 *     It runs as httpd's user, opens no port, and gets the secrets that jobs need. Called by hand by
 *     root it becomes who owns the state directory.
 *
 * DIAGNOSTICS
 *     Log lines HB07nnn, and those of the core, in httpd's error log. Exit status: 0 told to end, or
 *     done; 1 --once failed; 2 wrong usage; 3 a process of its own wrote nothing down; 254 the
 *     settings are of no use, so httpd does not try again.
 *
 * BUGS
 *     Hosts go by their own clocks: they have to agree better than a lease is long.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_getopt.h>
#include <apr_strings.h>

#include "cron_child.h"
#include "cron_loop.h"
#include "hb_time.h"

#define EXIT_USAGE 2

typedef struct options_t {
    const char *config;
    int wants_list;
    const char *once;
    const char *at;
    const char *run, *job, *fence;      /* for a process of our own */
    int level;                  /* -1: not given */
} options_t;

/* @return NULL, or what is wrong with the command line */
static const char *read_options(options_t *options, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    static const apr_getopt_option_t known[] = {
        { "config", 'c', 1, "settings that httpd wrote" }, { "list", 'l', 0, "list jobs" },
        { "once", 'o', 1, "run a job now" }, { "at", 'a', 1, "as if it were then" },
        { "run", 'r', 1, "id of a run" }, { "job", 'j', 1, "its job" },
        { "fence", 'f', 1, "its lease" }, { "level", 'v', 1, "of the log" },
        { NULL, 0, 0, NULL }
    };
    apr_getopt_t *getopt;
    const char *value;
    apr_status_t rv;
    int option;

    memset(options, 0, sizeof(*options));
    options->level = -1;
    apr_getopt_init(&getopt, pool, argc, argv);
    while ((rv = apr_getopt_long(getopt, known, &option, &value)) == APR_SUCCESS) {
        switch (option) {
        case 'c': options->config = value; break;
        case 'l': options->wants_list = 1; break;
        case 'o': options->once = value; break;
        case 'a': options->at = value; break;
        case 'r': options->run = value; break;
        case 'j': options->job = value; break;
        case 'f': options->fence = value; break;
        default: options->level = atoi(value); break;
        }
    }
    if (!APR_STATUS_IS_EOF(rv) || getopt->ind < argc) {
        return "unknown words on the command line";
    }
    if (options->wants_list + (options->once != NULL) + (options->run != NULL) > 1
        || (options->at != NULL && options->once == NULL)
        || (options->run != NULL) != (options->job != NULL && options->fence != NULL)) {
        return "these options do not go together";
    }
    if (!options->wants_list && options->once == NULL && options->config == NULL) {
        return "--config is needed, or one of --list and --once";
    }
    return NULL;
}

static void print_problem(const hb_op_t *op, apr_status_t rv)
{
    char space[200];

    fprintf(stderr, "halobuzz-crond: %s\n", op->problem.detail != NULL ? op->problem.detail
            : hb_strerror(rv, space, sizeof(space)));
}

static const char *text_of(const hb_json_t *json, const char *key)
{
    const char *text = hb_json_string(json, key);

    return text != NULL ? text : "-";
}

static int list(const cron_site_t *cron, apr_pool_t *pool)
{
    hb_op_t *op = cron_op(cron, pool);
    const hb_json_t *items;
    hb_json_t *jobs;
    apr_status_t rv = hb_job_list(&jobs, op);
    int i;

    if (rv != APR_SUCCESS) {
        print_problem(op, rv);
        return EXIT_FAILURE;
    }
    items = hb_json_get(jobs, "items");
    for (i = 0; i < hb_json_length(items); i++) {
        const hb_json_t *job = hb_json_item(items, i);

        printf("%-20s %-8s %-14s %-20s %-26s %s\n", text_of(job, "name"), text_of(job, "state"),
               text_of(job, "schedule"), text_of(job, "zone"), text_of(job, "nextLocal"),
               text_of(job, "sentence"));
    }
    return EXIT_SUCCESS;
}

static int once(const cron_site_t *cron, const options_t *options, apr_pool_t *pool)
{
    hb_op_t *op = cron_op(cron, pool);
    apr_time_t at = op->now;
    hb_job_claim_t claim;
    const char *run_id;
    hb_json_t *run;
    apr_status_t rv;

    if (options->at != NULL && !hb_time_read(&at, options->at)) {
        fprintf(stderr, "halobuzz-crond: --at takes a time such as 2026-10-04T02:00:00+11:00\n");
        return EXIT_USAGE;
    }
    op->now = at;
    rv = hb_job_request(&run_id, op, options->once, NULL);
    if (rv == APR_SUCCESS) {
        rv = hb_job_claim(&claim, op, "halobuzz-crond --once", run_id);
    }
    if (rv == HB_E_STORE_MISSING) {
        rv = hb_fail(op, HB_E_JOB_STATE, "%s runs just now, or is halobuzz-crond's already",
                     options->once);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_job_do(op, &claim);
    }
    if (rv != APR_SUCCESS) {
        print_problem(op, rv);
        return EXIT_FAILURE;
    }
    if (hb_job_run_get(&run, op, run_id) == APR_SUCCESS) {
        printf("%s %s: %s\n", text_of(run, "occurrence"), text_of(run, "state"),
               text_of(run, "note"));
    }
    return EXIT_SUCCESS;
}

static int work(const options_t *options, cron_site_t *cron, hb_program_t *program,
                apr_pool_t *pool)
{
    if (options->run != NULL) {
        return cron_child_run(cron, options->job, options->run,
                              apr_strtoi64(options->fence, NULL, 10), pool);
    }
    if (options->wants_list) {
        return list(cron, pool);
    }
    if (options->once != NULL) {
        return once(cron, options, pool);
    }
    cron_loop(cron, program, pool);
    return EXIT_SUCCESS;
}

/* Those that are asked for have to be blocked before a driver makes threads. */
static void block_signals(void)
{
    sigset_t asked_for;

    sigemptyset(&asked_for);
    sigaddset(&asked_for, SIGCHLD);
    sigaddset(&asked_for, SIGHUP);
    sigaddset(&asked_for, SIGINT);
    sigaddset(&asked_for, SIGTERM);
    sigprocmask(SIG_BLOCK, &asked_for, NULL);
    signal(SIGHUP, SIG_DFL);    /* an ignored signal never comes */
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, const char *const *argv)
{
    options_t options;
    cron_site_t cron;
    apr_pool_t *pool;
    hb_program_t *program;
    hb_log_t log;
    const char *why;

    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    why = read_options(&options, argc, argv, pool);
    if (why != NULL) {
        fprintf(stderr, "halobuzz-crond: %s; see halobuzz-crond(8)\n", why);
        return EXIT_USAGE;
    }
    if (options.run == NULL && !options.wants_list && options.once == NULL) {
        block_signals();
    }
    program = hb_program_open("halobuzz_cron", pool);
    if (options.level >= 0) {
        hb_program_set_level(program, (hb_level_e)options.level);
    }
    log = hb_program_log(program);
    why = cron_site_make(&cron, options.config != NULL ? options.config : hb_program_settings(),
                         pool);
    if (why == NULL) {
        why = cron_site_open(&cron, &log);
    }
    if (why != NULL) {
        hb_log_to(&log, HB_LOG_CRIT, 0, HBLOGNO(07009) "%s", why);
        return HB_PROGRAM_MISCONFIGURED;
    }
    return work(&options, &cron, program, pool);
}
