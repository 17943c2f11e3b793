/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How classes of requests are configured. In order of precedence: the environment (class
 * api only), HaloBuzzRateLimit, HaloBuzzRateLimitPreset, the defaults below. All of it is
 * checked by a configuration test.
 */
#include "hb_ap_rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_settings.h"

APLOG_USE_MODULE(halobuzz_ratelimit);

#define MAX_HIGHEST 16000000
#define WINDOW_HIGHEST_MSEC (24 * 3600 * 1000)
#define NAME_BYTES 32
#define MSEC (APR_USEC_PER_SEC / 1000)

#define BY_DEFAULT "default"
#define ACCEPTED "HaloBuzzRateLimit CLASS NUMBER/WINDOW [key=ip|user|token] [watch|off], " \
    "for instance: HaloBuzzRateLimit api 100/60s key=user"

static const struct {
    const char *name;
    apr_uint32_t max;
    int window_sec;
    hb_ap_rate_key_e key;
} defaults[] = {
    { "api",     100,  60, HB_AP_RATE_BY_USER },
    { "auth",    100, 900, HB_AP_RATE_BY_IP },
    { "webhook", 600,  60, HB_AP_RATE_BY_IP },
    { "health",  600,  60, HB_AP_RATE_BY_IP },
    { "realtime", 600, 60, HB_AP_RATE_BY_IP },
};

/* The two ways the platform's own papers write the limit of the API. */
static const struct {
    const char *name;
    apr_uint32_t max;
    int window_sec;
} presets[] = {
    { "ops",  100,  60 },
    { "arch", 100, 900 },
};

static const char *const key_names[] = { "ip", "user", "token" };
static const char *const mode_names[] = { "enforce", "watch", "off" };

#define COUNT_OF(rows) ((int)(sizeof(rows) / sizeof((rows)[0])))

/* --- classes --- */

static void set_rate(hb_ap_rate_t *rate, apr_uint32_t max, apr_interval_time_t window_usec,
                     const char *source, apr_pool_t *pool)
{
    rate->rule.max = max;
    rate->rule.window_usec = window_usec;
    rate->max_text = apr_psprintf(pool, "%u", max);
    rate->source = source;
}

static hb_ap_rate_t *get(hb_ap_rates_t *rates, const char *name)
{
    hb_ap_rate_t *rate = hb_ap_rates_find(rates, name);

    if (rate == NULL) {
        rate = apr_pcalloc(rates->pool, sizeof(*rate));
        rate->rule.name = apr_pstrdup(rates->pool, name);
        APR_ARRAY_PUSH(rates->classes, hb_ap_rate_t *) = rate;
    }
    return rate;
}

hb_ap_rate_t *hb_ap_rates_find(const hb_ap_rates_t *rates, const char *name)
{
    int i;

    for (i = 0; i < rates->classes->nelts; i++) {
        hb_ap_rate_t *rate = APR_ARRAY_IDX(rates->classes, i, hb_ap_rate_t *);

        if (strcmp(rate->rule.name, name) == 0) {
            return rate;
        }
    }
    return NULL;
}

hb_ap_rates_t *hb_ap_rates_make(apr_pool_t *pool)
{
    hb_ap_rates_t *rates = apr_pcalloc(pool, sizeof(*rates));
    int i;

    rates->pool = pool;
    rates->classes = apr_array_make(pool, 8, sizeof(hb_ap_rate_t *));
    rates->exempt = apr_array_make(pool, 4, sizeof(apr_ipsubnet_t *));
    for (i = 0; i < COUNT_OF(defaults); i++) {
        hb_ap_rate_t *rate = get(rates, defaults[i].name);

        set_rate(rate, defaults[i].max, apr_time_from_sec(defaults[i].window_sec), BY_DEFAULT,
                 pool);
        rate->key = defaults[i].key;
    }
    return rates;
}

/* --- reading words --- */

static int index_of(const char *word, const char *const *names, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        if (strcasecmp(word, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *read_name(const char *name, apr_pool_t *pool)
{
    const char *c;

    for (c = name; apr_isalnum(*c) || *c == '_' || *c == '-'; c++) {
        continue;
    }
    if (c == name || *c != '\0' || c - name > NAME_BYTES || strcasecmp(name, "none") == 0) {
        return apr_psprintf(pool, "\"%s\" cannot name a class; accepted are 1 to %d letters, "
                            "digits, - and _, but not \"none\"", name, NAME_BYTES);
    }
    return NULL;
}

/* "100/60s" */
static const char *read_rate(apr_uint32_t *max, apr_interval_time_t *window_usec,
                             const char *text, apr_pool_t *pool)
{
    const char *slash = strchr(text, '/');
    const char *wrong = NULL;
    apr_int64_t n = 0;
    char *end;

    if (apr_isdigit(*text)) {
        n = apr_strtoi64(text, &end, 10);
    }
    if (slash == NULL || n == 0 || end != slash || n > MAX_HIGHEST) {
        return apr_psprintf(pool, "\"%s\" is no rate; accepted is NUMBER/WINDOW with a number "
                            "from 1 to %d, for instance 100/60s", text, MAX_HIGHEST);
    }
    wrong = hb_duration_read(window_usec, slash + 1, pool);
    if (wrong == NULL && (*window_usec < MSEC
                          || *window_usec > (apr_interval_time_t)WINDOW_HIGHEST_MSEC * MSEC)) {
        wrong = "a window lasts from 1ms to 24h";
    }
    if (wrong != NULL) {
        return apr_psprintf(pool, "\"%s\": the window \"%s\" is not accepted: %s", text,
                            slash + 1, wrong);
    }
    *max = (apr_uint32_t)n;
    return NULL;
}

/* --- directives --- */

static const char *only_once(cmd_parms *cmd)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return wrong != NULL
        ? apr_pstrcat(cmd->pool, wrong, "; write it outside any section", NULL) : NULL;
}

static const char *directive_rate(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    const char *wrong = only_once(cmd);
    hb_ap_rate_t read = { { NULL, 0, 0 }, HB_AP_RATE_BY_IP, HB_AP_RATE_ENFORCE, NULL, NULL,
                          NULL };
    hb_ap_rate_t *rate;
    int has_key = 0;
    int i;

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    if (argc < 2) {
        return "HaloBuzzRateLimit needs a class and a rate; accepted: " ACCEPTED;
    }
    wrong = read_name(argv[0], cmd->pool);
    if (wrong == NULL) {
        wrong = read_rate(&read.rule.max, &read.rule.window_usec, argv[1], cmd->pool);
    }
    for (i = 2; i < argc && wrong == NULL; i++) {
        int key = strncasecmp(argv[i], "key=", 4) == 0
            ? index_of(argv[i] + 4, key_names, COUNT_OF(key_names)) : -1;
        int mode = index_of(argv[i], mode_names, COUNT_OF(mode_names));

        if (key >= 0) {
            read.key = (hb_ap_rate_key_e)key;
            has_key = 1;
        }
        else if (mode > HB_AP_RATE_ENFORCE) {
            read.mode = (hb_ap_rate_mode_e)mode;
        }
        else {
            wrong = apr_psprintf(cmd->pool, "\"%s\" is not known; accepted are key=ip, "
                                 "key=user, key=token, watch and off", argv[i]);
        }
    }
    if (wrong != NULL) {
        return apr_pstrcat(cmd->pool, "HaloBuzzRateLimit: ", wrong, NULL);
    }
    rate = get(hb_ap_rates, argv[0]);
    set_rate(rate, read.rule.max, read.rule.window_usec,
             apr_psprintf(cmd->pool, "%s:%d", cmd->directive->filename,
                          cmd->directive->line_num), cmd->pool);
    if (has_key) {
        rate->key = read.key;
    }
    rate->mode = read.mode;
    return NULL;
}

static const char *directive_preset(cmd_parms *cmd, void *unused, const char *name)
{
    hb_ap_rate_t *api = hb_ap_rates_find(hb_ap_rates, "api");
    const char *wrong = only_once(cmd);
    int i;

    (void)unused;
    for (i = 0; i < COUNT_OF(presets) && wrong == NULL; i++) {
        if (strcasecmp(name, presets[i].name) == 0) {
            /* A rate that a line of the configuration gave stays, whichever came first. */
            if (strcmp(api->source, BY_DEFAULT) == 0
                || strncmp(api->source, "preset ", 7) == 0) {
                set_rate(api, presets[i].max, apr_time_from_sec(presets[i].window_sec),
                         apr_pstrcat(cmd->pool, "preset ", presets[i].name, NULL), cmd->pool);
            }
            return NULL;
        }
    }
    return wrong != NULL ? wrong
        : apr_psprintf(cmd->pool, "HaloBuzzRateLimitPreset: \"%s\" is not known; accepted are "
                       "ops (100 in 60 s) and arch (100 in 900 s)", name);
}

static const char *directive_mode(cmd_parms *cmd, void *unused, const char *name)
{
    const char *wrong = only_once(cmd);
    int mode = index_of(name, mode_names, COUNT_OF(mode_names));

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    if (mode < 0) {
        return apr_psprintf(cmd->pool, "HaloBuzzRateLimitMode: \"%s\" is not known; accepted "
                            "are enforce, watch and off", name);
    }
    hb_ap_rates->mode = (hb_ap_rate_mode_e)mode;
    return NULL;
}

static const char *directive_exempt(cmd_parms *cmd, void *unused, const char *word)
{
    const char *wrong = only_once(cmd);
    char *address = apr_pstrdup(cmd->pool, word);
    char *mask = strchr(address, '/');
    apr_ipsubnet_t *net;

    (void)unused;
    if (wrong != NULL) {
        return wrong;
    }
    if (mask != NULL) {
        *mask++ = '\0';
    }
    if (apr_ipsubnet_create(&net, address, mask, cmd->pool) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "HaloBuzzRateLimitExempt: \"%s\" is not accepted; it "
                            "takes addresses and networks, for instance 192.0.2.10 "
                            "198.51.100.0/24 2001:db8::/32", word);
    }
    APR_ARRAY_PUSH(hb_ap_rates->exempt, apr_ipsubnet_t *) = net;
    return NULL;
}

/* The class may be defined further down: hb_ap_rates_finish() looks. */
static const char *directive_class(cmd_parms *cmd, void *config, const char *name)
{
    hb_ap_rate_dir_t *dir = config;
    const char *wrong;

    dir->is_set = 1;
    if (strcasecmp(name, "none") == 0) {
        dir->rate = NULL;
        return NULL;
    }
    wrong = read_name(name, cmd->pool);
    if (wrong != NULL) {
        return apr_pstrcat(cmd->pool, "HaloBuzzRateLimitClass: ", wrong, NULL);
    }
    dir->rate = get(hb_ap_rates, name);
    if (dir->rate->asked_at == NULL) {
        dir->rate->asked_at = cmd->directive;
    }
    return NULL;
}

const command_rec hb_ap_rate_directives[] = {
    AP_INIT_TAKE_ARGV("HaloBuzzRateLimit", directive_rate, NULL, RSRC_CONF,
                      "a class of requests: CLASS NUMBER/WINDOW [key=ip|user|token] [watch|off]"),
    AP_INIT_TAKE1("HaloBuzzRateLimitPreset", directive_preset, NULL, RSRC_CONF,
                  "ops or arch: the rate of class api"),
    AP_INIT_TAKE1("HaloBuzzRateLimitMode", directive_mode, NULL, RSRC_CONF,
                  "enforce, watch (report only) or off"),
    AP_INIT_ITERATE("HaloBuzzRateLimitExempt", directive_exempt, NULL, RSRC_CONF,
                    "addresses and networks that are never counted"),
    AP_INIT_TAKE1("HaloBuzzRateLimitClass", directive_class, NULL, RSRC_CONF | ACCESS_CONF,
                  "count the requests of this place in a class; none counts them not at all"),
    { NULL }
};

/* --- the environment --- */

/* Gives 0 when the value is wrong. *n stays as it is when the name is not set. */
static int read_env_number(apr_int64_t *n, const char *name, const char *unit,
                           apr_int64_t highest, server_rec *s)
{
    const char *value = getenv(name);
    char *end;

    if (value == NULL || *value == '\0') {
        return 1;
    }
    if (apr_isdigit(*value)) {
        *n = apr_strtoi64(value, &end, 10);
        if (*end == '\0' && *n >= 1 && *n <= highest) {
            return 1;
        }
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, HBLOGNO(03501)
                 "%s=\"%s\" in the environment is not accepted; it takes a number of %s from 1 "
                 "to %" APR_INT64_T_FMT, name, value, unit, highest);
    return 0;
}

static int read_env_switch(hb_ap_rates_t *rates, server_rec *s)
{
    static const char *const on[] = { "true", "on", "1", "yes" };
    static const char *const off[] = { "false", "off", "0", "no" };
    const char *value = getenv("ENABLE_RATE_LIMITING");

    if (value == NULL || *value == '\0' || index_of(value, on, COUNT_OF(on)) >= 0) {
        return 1;
    }
    if (index_of(value, off, COUNT_OF(off)) >= 0) {
        rates->mode = HB_AP_RATE_OFF;
        rates->has_env_off = 1;
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, HBLOGNO(03502)
                 "ENABLE_RATE_LIMITING=\"%s\" in the environment is not accepted; it takes true "
                 "or false", value);
    return 0;
}

static int read_env(hb_ap_rates_t *rates, server_rec *s)
{
    hb_ap_rate_t *api = hb_ap_rates_find(rates, "api");
    apr_int64_t max = 0, msec = 0;

    if (!read_env_number(&max, "RATE_LIMIT_MAX_REQUESTS", "requests", MAX_HIGHEST, s)
        || !read_env_number(&msec, "RATE_LIMIT_WINDOW_MS", "milliseconds",
                            WINDOW_HIGHEST_MSEC, s)
        || !read_env_switch(rates, s)) {
        return 0;
    }
    if (max != 0 || msec != 0) {
        set_rate(api, max != 0 ? (apr_uint32_t)max : api->rule.max,
                 msec != 0 ? msec * MSEC : api->rule.window_usec, "environment",
                 rates->pool);
    }
    return 1;
}

/* --- the whole --- */

static const char *known_classes(const hb_ap_rates_t *rates)
{
    const char *known = "";
    int i;

    for (i = 0; i < rates->classes->nelts; i++) {
        const hb_ap_rate_t *rate = APR_ARRAY_IDX(rates->classes, i, hb_ap_rate_t *);

        if (rate->rule.max != 0) {
            known = apr_pstrcat(rates->pool, known, " ", rate->rule.name, NULL);
        }
    }
    return known;
}

int hb_ap_rates_finish(hb_ap_rates_t *rates, server_rec *s)
{
    int is_good = read_env(rates, s);
    int i;

    for (i = 0; i < rates->classes->nelts; i++) {
        const hb_ap_rate_t *rate = APR_ARRAY_IDX(rates->classes, i, hb_ap_rate_t *);

        if (rate->rule.max == 0) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, s, HBLOGNO(03503)
                         "HaloBuzzRateLimitClass %s (%s:%d): there is no such class; known are%s. "
                         "HaloBuzzRateLimit %s 100/60s would make it", rate->rule.name,
                         rate->asked_at->filename, rate->asked_at->line_num,
                         known_classes(rates), rate->rule.name);
            is_good = 0;
        }
    }
    return is_good;
}

/* "900s", "250ms" */
static const char *window_text(apr_interval_time_t usec, apr_pool_t *pool)
{
    return usec % APR_USEC_PER_SEC == 0
        ? apr_psprintf(pool, "%" APR_TIME_T_FMT "s", apr_time_sec(usec))
        : apr_psprintf(pool, "%" APR_TIME_T_FMT "ms", apr_time_as_msec(usec));
}

void hb_ap_rates_dump(const hb_ap_rates_t *rates, apr_pool_t *pool)
{
    int i;

    printf("HaloBuzz rate limits: mode %s%s\n", mode_names[rates->mode],
           rates->has_env_off ? " (ENABLE_RATE_LIMITING)" : "");
    for (i = 0; i < rates->classes->nelts; i++) {
        const hb_ap_rate_t *rate = APR_ARRAY_IDX(rates->classes, i, hb_ap_rate_t *);

        printf("%-16s %10s/%-8s key=%-5s %-7s (%s)\n", rate->rule.name, rate->max_text,
               window_text(rate->rule.window_usec, pool), key_names[rate->key],
               mode_names[rate->mode], rate->source);
    }
    for (i = 0; i < rates->exempt->nelts && i < 1; i++) {
        printf("exempt: %d addresses or networks\n", rates->exempt->nelts);
    }
}
