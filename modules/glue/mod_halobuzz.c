/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base module: the directives of hb_setting.def and the hooks that all HaloBuzz
 * modules rest on. What the hooks do is in the files they name.
 */
#include "mod_halobuzz.h"

#include <string.h>

#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>


/* --- configuration records --- */

static void *create_server(apr_pool_t *pool, server_rec *s)
{
    hb_ap_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)s;
    config->draft = hb_settings_draft_make(pool);
    config->said_at = apr_pcalloc(pool, sizeof(config->draft->given)
                                  * sizeof(*config->said_at));
    return config;
}

/* Virtual hosts say nothing of their own: the directives are valid in the main server. */
static void *merge_server(apr_pool_t *pool, void *base, void *add)
{
    (void)pool;
    (void)add;
    return base;
}

static void *create_dir(apr_pool_t *pool, char *path)
{
    hb_ap_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    (void)path;
    dir->problems = -1;
    return dir;
}

static void *merge_dir(apr_pool_t *pool, void *base, void *add)
{
    hb_ap_dir_t *dir = apr_pmemdup(pool, add, sizeof(*dir));

    if (dir->problems == -1) {
        dir->problems = ((const hb_ap_dir_t *)base)->problems;
    }
    return dir;
}

/* --- directives --- */

static hb_ap_config_t *main_config(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &halobuzz_module);
}

static const char *set(cmd_parms *cmd, const char *value)
{
    hb_ap_config_t *config = main_config(cmd);
    const hb_setting_row_t *row = hb_setting_row(cmd->cmd->name);
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (wrong != NULL) {
        return apr_pstrcat(cmd->pool, wrong, "; write it once, outside any section", NULL);
    }
    wrong = hb_settings_set(config->draft, row, value, cmd->pool);
    if (wrong != NULL) {
        return hb_url_shown(wrong, cmd->pool);
    }
    config->said_at[row->index] = cmd->directive;
    return NULL;
}

static const char *set_one(cmd_parms *cmd, void *unused, const char *value)
{
    (void)unused;
    return set(cmd, value);
}

/* A list may be written with commas or blanks; several lines add up. */
static const char *set_list(cmd_parms *cmd, void *unused, const char *args)
{
    const char *list = "";

    (void)unused;
    while (*args != '\0') {
        const char *word = ap_getword_conf(cmd->pool, &args);

        if (*word != '\0') {
            list = *list != '\0' ? apr_pstrcat(cmd->pool, list, ",", word, NULL) : word;
        }
    }
    return set(cmd, list);
}

/* What is behind the name is one value, with quotes or without. */
static const char *set_line(cmd_parms *cmd, void *unused, const char *args)
{
    const char *line = "";

    (void)unused;
    while (*args != '\0') {
        const char *word = ap_getword_conf(cmd->pool, &args);

        if (*word != '\0') {
            line = *line != '\0' ? apr_pstrcat(cmd->pool, line, " ", word, NULL) : word;
        }
    }
    return set(cmd, line);
}

static const char *set_problems(cmd_parms *cmd, void *config, int is_on)
{
    (void)cmd;
    ((hb_ap_dir_t *)config)->problems = is_on;
    return NULL;
}

#define ROW_TEXT(directive, sentence)     AP_INIT_TAKE1(directive, set_one, NULL, RSRC_CONF, sentence),
#define ROW_PATH(directive, sentence)     ROW_TEXT(directive, sentence)
#define ROW_INT(directive, sentence)      ROW_TEXT(directive, sentence)
#define ROW_DURATION(directive, sentence) ROW_TEXT(directive, sentence)
#define ROW_SIZE(directive, sentence)     ROW_TEXT(directive, sentence)
#define ROW_FLAG(directive, sentence)     ROW_TEXT(directive, sentence)
#define ROW_SECRET(directive, sentence)   ROW_TEXT(directive, sentence)
#define ROW_URL(directive, sentence)      ROW_TEXT(directive, sentence)
#define ROW_LIST(directive, sentence)     AP_INIT_RAW_ARGS(directive, set_list, NULL, RSRC_CONF, sentence),
#define ROW_LINES(directive, sentence)    AP_INIT_RAW_ARGS(directive, set_line, NULL, RSRC_CONF, sentence),

static const command_rec directives[] = {
#define HB_SETTING(kind, member, directive, env, dflt, low, high, sentence) \
    ROW_##kind(directive, sentence)
#include "hb_setting.def"
#undef HB_SETTING
    AP_INIT_FLAG("HaloBuzzProblems", set_problems, NULL, RSRC_CONF | ACCESS_CONF,
                 "on: HaloBuzz answers here; errors of httpd become problem documents, answers "
                 "carry X-Request-Id, and CORS applies"),
    { NULL }
};

/* --- hooks --- */

/* The first thing after the location is known. */
static int mark_ours(request_rec *r)
{
    if (!hb_ap_is_ours(r)) {
        return DECLINED;
    }
    apr_table_setn(r->err_headers_out, "X-Request-Id", hb_ap_id(r));
    return hb_ap_cors(r);
}

static int log_transaction(request_rec *r)
{
    apr_interval_time_t usec = apr_time_now() - r->request_time;
    const request_rec *last = r;

    while (last->next != NULL) {
        last = last->next;
    }
    hb_ap_metrics_count(r, last, usec);
    hb_ap_access_log_write(r, last, usec);
    return OK;
}

static void child_stopping(apr_pool_t *pchild, int is_graceful)
{
    (void)pchild;
    (void)is_graceful;
    hb_ap_mail_stop();
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_check_config(hb_ap_check_config, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_test_config(hb_ap_dump_settings, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_open_logs(hb_ap_access_log_open, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hb_ap_post_config, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(hb_ap_child_init, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_header_parser(mark_ours, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(log_transaction, NULL, NULL, APR_HOOK_MIDDLE);
    hb_ap_op_register();
    hb_ap_error_filter_register();
    hb_ap_metrics_register();
    hb_ap_status_register();
    hb_ap_programs_register();
    hb_ap_start_register();
}

AP_DECLARE_MODULE(halobuzz) = {
    STANDARD20_MODULE_STUFF, create_dir, merge_dir, create_server, merge_server, directives,
    register_hooks
};
