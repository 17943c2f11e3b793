/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the directives said, checked as a whole; single values were checked as they came
 * (hb_settings_value.c). It runs in check_config, so that `apachectl configtest` finds what a
 * start would: every message names the directive, its place, what was given and the fix.
 */
#include "mod_halobuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>

#include "hb_keyring.h"
#include "hb_secret.h"

APLOG_USE_MODULE(halobuzz);

const char *hb_ap_scheme(const char *url, apr_pool_t *pool)
{
    return apr_pstrmemdup(pool, url, strcspn(url, ":"));
}

/* --- showing values --- */

const char *hb_ap_setting_shown(const hb_settings_t *settings, const hb_setting_row_t *row,
                                apr_pool_t *pool)
{
    return hb_url_shown(hb_settings_text(settings, row, pool), pool);
}

void hb_ap_dump_settings(apr_pool_t *pconf, server_rec *s)
{
    const hb_ap_config_t *config = ap_get_module_config(s->module_config, &halobuzz_module);
    const hb_setting_row_t *row;
    apr_file_t *out = NULL;

    if (!ap_exists_config_define("DUMP_HB_SETTINGS")
        || apr_file_open_stdout(&out, pconf) != APR_SUCCESS) {
        return;
    }
    apr_file_printf(out, "HaloBuzz settings in force (given, from the environment, or default):\n");
    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        const ap_directive_t *at = config->said_at[row->index];
        const char *shown = hb_ap_setting_shown(hb_ap_state.settings, row, pconf);

        apr_file_printf(out, "  %-28s %s", row->directive, *shown != '\0' ? shown : "\"\"");
        if (at != NULL) {
            apr_file_printf(out, "   (%s:%d)", at->filename, at->line_num);
        }
        apr_file_printf(out, "\n");
    }
}

/* --- checks --- */

typedef struct check_t {
    const hb_ap_config_t *config;
    const hb_settings_t *settings;
    server_rec *s;
    apr_pool_t *pool;           /* for the check only */
    int n_wrong;
} check_t;

/* Where a setting's value comes from, for people. */
static const char *origin(const check_t *check, const hb_setting_row_t *row)
{
    const ap_directive_t *at = check->config->said_at[row->index];
    char *names = apr_pstrdup(check->pool, row->env);
    char *state = NULL;
    const char *name;

    if (at != NULL) {
        return apr_psprintf(check->pool, "line %d of %s", at->line_num, at->filename);
    }
    for (name = apr_strtok(names, " ", &state); name != NULL;
         name = apr_strtok(NULL, " ", &state)) {
        if (getenv(name) != NULL) {
            return apr_psprintf(check->pool, "environment name %s", name);
        }
    }
    return "default";
}

static void wrong(check_t *check, const char *directive, const char *sentence)
{
    const hb_setting_row_t *row = hb_setting_row(directive);

    check->n_wrong++;
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, check->s,
                 HBLOGNO(02010) "%s (%s): %s", directive,
                 row != NULL ? origin(check, row) : "no such directive",
                 hb_url_shown(sentence, check->pool));
}

/* A sentence of hb_settings_finish, which starts with the directive it is about. */
static void wrong_values(check_t *check, const char *sentence)
{
    const char *directive = apr_pstrmemdup(check->pool, sentence, strcspn(sentence, ": "));

    if (hb_setting_row(directive) != NULL) {
        wrong(check, directive, sentence + strlen(directive) + strspn(sentence
              + strlen(directive), ": "));
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, check->s, HBLOGNO(02011) "%s",
                 hb_url_shown(sentence, check->pool));
}

static int is_hex(const char *text, apr_size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdefABCDEF") == len;
}

static void check_networks(check_t *check)
{
    char *list = apr_pstrdup(check->pool, check->settings->monitor_addresses);
    char *state = NULL, *item, *mask;
    apr_ipsubnet_t *net;

    for (item = apr_strtok(list, ", ", &state); item != NULL;
         item = apr_strtok(NULL, ", ", &state)) {
        const char *given = apr_pstrdup(check->pool, item);

        mask = strchr(item, '/');
        if (mask != NULL) {
            *mask++ = '\0';
        }
        if (apr_ipsubnet_create(&net, item, mask, check->pool) != APR_SUCCESS) {
            wrong(check, "HaloBuzzMonitorAddress", apr_psprintf(check->pool, "\"%s\" is neither "
                  "an address nor a network; write 192.0.2.10 or 198.51.100.0/24", given));
        }
    }
}

/* exec: is not run here: a check may have no effects. */
static void check_secrets(check_t *check)
{
    const hb_setting_row_t *row;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        const char *reference, *value, *why = NULL;
        hb_keyring_t *ring;

        if (row->kind != HB_SETTING_SECRET) {
            continue;
        }
        reference = *(const char *const *)((const char *)check->settings + row->offset);
        if (*reference == '\0') {
            continue;
        }
        why = hb_secret_check(reference, check->pool);
        if (why == NULL && strncmp(reference, "exec:", 5) != 0
            && hb_secret_read(&value, &why, reference, check->pool) == APR_SUCCESS) {
            why = NULL;
            if (reference == check->settings->auth_secret
                || reference == check->settings->refresh_secret) {
                hb_keyring_from_secret(&ring, &why, value, check->pool);
            } else if (reference == check->settings->agora_certificate
                       && !is_hex(value, 32)) {
                why = "the certificate is not 32 hexadecimal digits; copy it from the "
                    "Agora console";
            }
        }
        if (why != NULL) {
            wrong(check, row->directive, why);
        }
    }
}

/* What stands behind a reference; nor is exec: run for a URL. */
static void check_urls(check_t *check)
{
    const hb_setting_row_t *row;
    const char *value, *url, *why;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        if (row->kind != HB_SETTING_URL) {
            continue;
        }
        value = *(const char *const *)((const char *)check->settings + row->offset);
        why = strncmp(value, "exec:", 5) == 0 ? NULL
            : hb_setting_url(&url, row, value, check->pool);
        if (why != NULL) {
            wrong(check, row->directive, why);
        }
    }
}

/* The programs beside httpd are not given these secrets, so it is asked here and not by them. */
static void check_notices(check_t *check)
{
    const hb_settings_t *settings = check->settings;

    if (*settings->push_url != '\0' && *settings->push_secret == '\0') {
        wrong(check, "HaloBuzzPushURL", "it needs HaloBuzzPushSecret: what is posted there is "
              "signed with it");
    }
    if (*settings->sms_account != '\0'
        && (*settings->sms_token == '\0' || *settings->sms_from == '\0')) {
        wrong(check, "HaloBuzzSMSAccount", "it needs HaloBuzzSMSToken and HaloBuzzSMSFrom");
    }
}

static void check_values(check_t *check)
{
    const hb_settings_t *settings = check->settings;

    check_urls(check);
    check_notices(check);
    if (strlen(settings->realtime_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        wrong(check, "HaloBuzzRealtimeSocket", apr_psprintf(check->pool, "\"%s\" is too long for "
              "a socket; give a path of at most 107 bytes", settings->realtime_socket));
    }
    check_networks(check);
    check_secrets(check);
}

int hb_ap_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    hb_ap_config_t *config = ap_get_module_config(s->module_config, &halobuzz_module);
    check_t check = { config, &config->draft->values, s, ptemp, 0 };
    const char *why = hb_settings_finish(config->draft, pconf);

    (void)plog;
    if (why != NULL) {
        wrong_values(&check, why);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    hb_ap_state.socket_dir = ap_runtime_dir_relative(pconf, "halobuzz");
    if (*config->draft->values.realtime_socket == '\0') {
        config->draft->values.realtime_socket = apr_pstrcat(pconf, hb_ap_state.socket_dir,
                                                            "/realtime.sock", NULL);
    }
    hb_ap_state.settings = &config->draft->values;
    check_values(&check);
    if (check.n_wrong == 0) {
        why = hb_site_check(check.settings, ptemp);
        if (why != NULL) {
            wrong_values(&check, why);
            check.n_wrong++;
        }
        why = hb_ap_state_dir_check(check.settings->state_dir, ptemp);
        if (why != NULL) {
            wrong(&check, "HaloBuzzStateDir", why);
        }
    }
    return check.n_wrong == 0 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
