/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     halobuzz-realtimed - holds every open socket of a HaloBuzz server
 *
 * SYNOPSIS
 *     halobuzz-realtimed --config FILE
 *     halobuzz-realtimed --profile=echo --listen ADDRESS [--loops N] [--ping MSEC]
 *
 * DESCRIPTION
 *     Speaks Engine.IO 4 and Socket.IO 5 (polling, WebSocket and the upgrade between them), plain
 *     WebSocket and event streams with the clients that httpd tunnels to it over a unix socket.
 *     httpd starts it, watches it and starts it again (mod_halobuzz_realtime); with --config it
 *     serves the rooms of the platform, from the settings in FILE.
 *
 *     --profile=echo is for conformance tests and load tests: an echo on /engine.io/,
 *     /socket.io/ and /ws-echo, with the short times that the protocols' test suites expect.
 *     --listen names 127.0.0.1:PORT, [::1]:PORT or unix:PATH, and may be given several times.
 *     --loops says how many event loops there are, each with a thread; by default one less than
 *     there are cores. --ping makes the pings of the profile rarer, and the patience for their pongs
 *     two thirds of that, for load tests and busy machines.
 *
 *     SIGTERM and SIGINT: tell clients to come back, and end within two seconds. SIGHUP: read the
 *     settings again and go on in the new error log.
 *
 * SECURITY
 *     It runs as httpd's user and opens no port: who can connect to the socket is believed about
 *     client addresses (X-HaloBuzz-Address). Everything else a client sends is checked and bounded;
 *     who breaks the protocol is closed with the code that says so (rt_reason.def).
 *
 * DIAGNOSTICS
 *     Log lines HB06nnn in httpd's error log. GET /.halobuzz/status on the socket gives the
 *     counters (rt_counter.def) as JSON. Exit status: 0 told to end, 2 wrong usage, 254 the
 *     settings are of no use, so httpd does not try again.
 *
 * BUGS
 *     permessage-deflate works without context takeover only. A poll and a POST of one session that arrive on two loops
 *     cost one hand-over each, once for each connection.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_getopt.h>
#include <apr_strings.h>

#include "hb_program.h"
#include "rt_echo.h"
#include "rt_engine.h"
#include "rt_house.h"
#include "rt_site.h"

#define LISTEN_MAX 4
#define EXIT_USAGE 2

typedef struct options_t {
    const char *config;
    const char *profile;
    const char *listen[LISTEN_MAX];
    int n_listen;
    int loops;
    int ping_msec;              /* 0: as the profile has it */
    int may_deflate;
} options_t;

static const char *read_option(options_t *options, int option, const char *value)
{
    switch (option) {
    case 'c':
        options->config = value;
        return NULL;
    case 'p':
        options->profile = value;
        return strcmp(value, "echo") == 0 ? NULL : "the only profile is echo";
    case 'l':
        if (options->n_listen == LISTEN_MAX) {
            return "too many --listen";
        }
        options->listen[options->n_listen++] = value;
        return NULL;
    case 'i':
        options->ping_msec = atoi(value);
        return options->ping_msec >= 10 ? NULL : "--ping is 10 or more milliseconds";
    case 'd':
        options->may_deflate = 1;
        return NULL;
    default:
        options->loops = atoi(value);
        return options->loops >= 1 && options->loops <= 64 ? NULL : "--loops is 1 to 64";
    }
}

/* @return NULL, or what is wrong with the command line */
static const char *read_options(options_t *options, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    static const apr_getopt_option_t known[] = {
        { "config", 'c', 1, "settings that httpd wrote" },
        { "profile", 'p', 1, "echo" },
        { "listen", 'l', 1, "ADDRESS:PORT or unix:PATH" },
        { "loops", 'n', 1, "event loops" },
        { "deflate", 'd', 0, "take permessage-deflate in the profile" },
        { "ping", 'i', 1, "milliseconds between pings of the profile" },
        { NULL, 0, 0, NULL }
    };
    apr_getopt_t *getopt;
    const char *value, *why = NULL;
    apr_status_t rv;
    int option;

    memset(options, 0, sizeof(*options));
    apr_getopt_init(&getopt, pool, argc, argv);
    while (why == NULL && (rv = apr_getopt_long(getopt, known, &option, &value)) == APR_SUCCESS) {
        why = read_option(options, option, value);
    }
    if (why == NULL && (!APR_STATUS_IS_EOF(rv) || getopt->ind < argc)) {
        why = "unknown words on the command line";
    }
    if (why == NULL && (options->config == NULL) == (options->profile == NULL)) {
        why = "either --config or --profile=echo is needed";
    }
    if (why == NULL && options->profile != NULL && options->n_listen == 0) {
        why = "--listen is needed";
    }
    return why;
}

/* Serve until a signal says stop. @return NULL, or why it cannot */
static const char *serve(const options_t *options, const rt_app_t *app, void *app_data,
                         const rt_config_t *config, const hb_log_t *log,
                         const rt_config_t *(*reload)(void *baton), void *baton,
                         apr_pool_t *pool)
{
    rt_engine_t *engine = rt_engine_make(app, app_data, config, log, pool);
    const char *why = NULL;
    int i;

    for (i = 0; i < options->n_listen && why == NULL; i++) {
        why = rt_engine_listen(engine, options->listen[i]);
    }
    if (why == NULL) {
        hb_log_to(log, HB_LOG_NOTICE, 0, HBLOGNO(06100) "serving %s on %d loops at %s",
                  app->name, rt_engine_loops(engine), options->listen[0]);
        rt_engine_run(engine, reload, baton);
    }
    rt_engine_free(engine);
    return why;
}

/* --- the rooms --- */

typedef struct serving_t {
    const options_t *options;
    hb_program_t *program;
    hb_site_t *site;
    rt_house_t *house;
    const rt_config_t *config;
    apr_pool_t *pool;
} serving_t;

/* Settings that concern the engine and the core are read anew, and keys: a token that httpd no longer
 * takes opens no socket. The files and threads that are open stay as they are. What threads still
 * read is never freed; most reloads are there for the logs, and change nothing. */
static const rt_config_t *reload(void *baton)
{
    serving_t *serving = baton;
    const hb_settings_t *settings, *before = serving->site->settings;
    rt_config_t *config;
    apr_pool_t *pool;
    const char *why;

    apr_pool_create(&pool, serving->pool);
    hb_program_reload(serving->program);
    serving->site->log.level = hb_program_level(serving->program);
    why = hb_settings_load(&settings, serving->options->config, pool);
    if (why == NULL) {
        hb_site_renew(serving->site, &why, settings, pool);
    }
    if (why != NULL) {
        hb_log_to(&serving->site->log, HB_LOG_ERR, 0, HBLOGNO(06205) "the settings stay as "
                  "they were: %s", why);
        apr_pool_destroy(pool);
        return NULL;
    }
    if (serving->site->settings == before) {
        apr_pool_destroy(pool);
        return serving->config;
    }
    config = apr_pcalloc(pool, sizeof(*config));
    rt_house_configure(serving->house);
    rt_config_read(config, settings);
    serving->config = config;
    return config;
}

static const char *serve_rooms(options_t *options, hb_program_t *program, const hb_log_t *log,
                               apr_pool_t *pool)
{
    rt_config_t config;
    serving_t serving = { options, program, NULL, NULL, &config, pool };
    const hb_settings_t *settings;
    const char *why;

    why = hb_settings_load(&settings, options->config, pool);
    if (why == NULL) {
        why = rt_site_open(&serving.site, settings, log, pool);
    }
    if (why != NULL) {
        return why;
    }
    if (rt_house_make(&serving.house, serving.site, pool) != APR_SUCCESS) {
        return "the rooms cannot be opened";
    }
    rt_config_read(&config, settings);
    if (options->loops > 0) {
        config.loops = options->loops;
    }
    if (options->n_listen == 0 && *settings->realtime_socket != '\0') {
        options->listen[options->n_listen++] = apr_pstrcat(pool, "unix:",
                                                           settings->realtime_socket, NULL);
    }
    if (options->n_listen == 0) {
        return "neither HaloBuzzRealtimeSocket nor --listen says where to listen";
    }
    why = serve(options, &rt_house_app, serving.house, &config, log, reload, &serving, pool);
    rt_house_free(serving.house);
    return why;
}

static const char *serve_echo(const options_t *options, const hb_log_t *log, apr_pool_t *pool)
{
    rt_config_t config;

    rt_config_echo(&config);
    config.loops = options->loops;
    config.may_deflate = options->may_deflate;
    if (options->ping_msec > 0) {
        config.ping_interval_msec = (uint32_t)options->ping_msec;
        config.ping_timeout_msec = (uint32_t)options->ping_msec / 3 * 2;
    }
    return serve(options, &rt_echo_app, NULL, &config, log, NULL, NULL, pool);
}

/*
 * A reload while we start is kept until the engine hears it: the settings may have been read
 * before it, and the error log is another one.
 */
static void keep_hangups(void)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hangup, NULL);
    signal(SIGHUP, SIG_DFL);    /* an ignored signal never comes */
}

int main(int argc, const char *const *argv)
{
    options_t options;
    apr_pool_t *pool;
    hb_program_t *program;
    hb_log_t log;
    const char *why;

    apr_app_initialize(&argc, &argv, NULL);
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    why = read_options(&options, argc, argv, pool);
    if (why != NULL) {
        fprintf(stderr, "halobuzz-realtimed: %s; see halobuzz-realtimed(8)\n", why);
        return EXIT_USAGE;
    }
    keep_hangups();
    program = hb_program_open("halobuzz_realtime", pool);
    log = hb_program_log(program);
    why = options.config != NULL ? serve_rooms(&options, program, &log, pool)
        : serve_echo(&options, &log, pool);
    if (why != NULL) {
        hb_log_to(&log, HB_LOG_CRIT, 0, HBLOGNO(06104) "%s", why);
        return HB_PROGRAM_MISCONFIGURED;
    }
    return EXIT_SUCCESS;
}
