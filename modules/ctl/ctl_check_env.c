/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environment names. The runbooks name the same thing twice and name many things
 * that are not ours or not loaded; a name that is set and does nothing is worth a line, a
 * name that is set twice with two values is a mistake.
 */
#include "ctl_check.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

/* Spellings of one thing for parts that are not in this release; our settings bring their own. */
static const char *const spellings[] = {
    "S3_BUCKET AWS_S3_BUCKET",
    "S3_REGION AWS_REGION",
    "S3_ACCESS_KEY AWS_ACCESS_KEY_ID",
    "S3_SECRET_KEY AWS_SECRET_ACCESS_KEY",
    NULL
};

static const struct {
    const char *part, *names;
} unread[] = {
    { "object storage",        "S3_BUCKET S3_REGION S3_ACCESS_KEY S3_SECRET_KEY AWS_S3_BUCKET "
                               "AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY" },
    { "moderation and the AI engine", "OPENAI_API_KEY AI_ENGINE_URL AI_ENGINE_SECRET BACKEND_URL "
                               "ENABLE_AI ENABLE_MODERATION AI_MODERATION" },
    { "notifications",         "SENDGRID_API_KEY" },
    { "the admin panel",       "ADMIN_DASHBOARD_URL NEXT_PUBLIC_API_URL NEXT_PUBLIC_ENV" },
    { "analytics and monitoring", "ENABLE_ANALYTICS SENTRY_DSN GRAFANA_PASSWORD" },
    { "run-time switches",     "ENABLE_CACHE ENABLE_RESPONSE_CACHE ENABLE_COMPRESSION "
                               "SECURITY_MODE" },
};

/* The business of httpd or of others; a value is fine and does nothing here. */
static const struct {
    const char *name, *instead;
} foreign[] = {
    { "PORT",           "the port is httpd's Listen" },
    { "API_VERSION",    "the base is always /api/v1" },
    { "NODE_OPTIONS",   "it is Node's, and no Node runs here (CFG-16)" },
    { "PYTHON_VERSION", "it is Python's, and no Python runs here (CFG-16)" },
    { "DB_POOL_MIN",    "connections are made as they are needed" },
};

static const char *value_of(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Blank-separated spellings of one thing: are two of them set to different values? */
static void check_spellings(check_t *check, const char *names)
{
    char *rest = apr_pstrdup(check->ctl->pool, names), *last, *name;
    const char *first = NULL;

    for (name = apr_strtok(rest, " ", &last); name != NULL; name = apr_strtok(NULL, " ", &last)) {
        if (value_of(name) == NULL) {
            continue;
        }
        if (first == NULL) {
            first = name;
        }
        else if (strcmp(value_of(first), value_of(name)) != 0) {
            check_note(check, CHECK_CONFIG, CTL_BAD,
                       apr_psprintf(check->ctl->pool, "unset %s, or %s", name, first),
                       "%s and %s mean the same and differ; %s wins", first, name, first);
        }
    }
}

void check_environment(check_t *check)
{
    const hb_setting_row_t *row;
    apr_size_t i;

    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        /* DB_POOL_SIZE beside DB_POOL_MAX is no other spelling: it is what is open at the start. */
        if (strchr(row->env, ' ') != NULL && strcmp(row->member, "store_pool_max") != 0) {
            check_spellings(check, row->env);
        }
    }
    for (i = 0; spellings[i] != NULL; i++) {
        check_spellings(check, spellings[i]);
    }
    if (value_of("SENDGRID_API_KEY") != NULL && value_of("SMTP_HOST") != NULL) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, "unset SENDGRID_API_KEY",
                   "SENDGRID_API_KEY and SMTP_HOST both name a way for mail; SMTP_HOST is used");
    }
    for (i = 0; i < sizeof(unread) / sizeof(unread[0]); i++) {
        char *rest = apr_pstrdup(check->ctl->pool, unread[i].names), *last, *name;

        for (name = apr_strtok(rest, " ", &last); name != NULL;
             name = apr_strtok(NULL, " ", &last)) {
            if (value_of(name) != NULL) {
                check_note(check, CHECK_CONFIG, CTL_NOTE, NULL,
                           "%s is set, but nothing loaded reads it (%s)", name, unread[i].part);
            }
        }
    }
    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (value_of(foreign[i].name) != NULL) {
            check_note(check, CHECK_CONFIG, CTL_NOTE, NULL, "%s is set and ignored: %s",
                       foreign[i].name, foreign[i].instead);
        }
    }
}
