/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the kind URL: where records, shared state and events are. Such a URL may hold a
 * password, so in its place may stand a reference, as for any secret (hb_secret.h). The settings
 * keep the reference: it is what dumps, the log and the files for other programs show. A
 * site works with what hb_settings_resolve() makes of them.
 */
#include "hb_settings_private.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_cache.h"
#include "hb_secret.h"
#include "hb_store.h"

static const struct {
    const char *member;
    const char *(*check)(const char *url, apr_pool_t *pool);
} checks[] = {
    { "store_url", hb_store_url_check },
    { "cache_url", hb_cache_url_check },
    { "bus_url",   hb_bus_url_check },
};

static const char *misfit(const hb_setting_row_t *row, const char *url, apr_pool_t *pool)
{
    apr_size_t i;

    for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(row->member, checks[i].member) == 0) {
            return checks[i].check(url, pool);
        }
    }
    return NULL;
}

int hb_setting_is_reference(const char *value)
{
    return strncmp(value, "file:", 5) == 0 || strncmp(value, "env:", 4) == 0
        || strncmp(value, "exec:", 5) == 0;
}

const char *hb_setting_url_misfit(const hb_setting_row_t *row, const char *value,
                                  apr_pool_t *pool)
{
    return hb_setting_is_reference(value) ? hb_secret_check(value, pool)
        : misfit(row, value, pool);
}

static int has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if (apr_iscntrl(*text)) {
            return 1;
        }
    }
    return 0;
}

const char *hb_setting_url(const char **url, const hb_setting_row_t *row, const char *value,
                           apr_pool_t *pool)
{
    const char *why;

    *url = value;
    if (*value == '\0' || !hb_setting_is_reference(value)) {
        return *value != '\0' ? misfit(row, value, pool) : NULL;
    }
    if (hb_secret_read(url, &why, value, pool) != APR_SUCCESS) {
        return why;
    }
    if (has_control(*url)) {
        return apr_psprintf(pool, "what %s gives has more than one line, or control characters: "
                            "it has to be one URL", value);
    }
    why = misfit(row, *url, pool);
    /* The wrong file may hold a password alone: of what is no URL not even the beginning is told. */
    return why == NULL ? NULL
        : strstr(*url, "://") == NULL
        ? apr_psprintf(pool, "what %s gives is none of what %s takes: %s", value, row->directive,
                       row->sentence)
        : apr_psprintf(pool, "what %s gives: %s", value, hb_url_shown(why, pool));
}

const char *hb_settings_resolve(const hb_settings_t **resolved, const hb_settings_t *settings,
                                apr_pool_t *pool)
{
    hb_settings_t *copy = NULL;
    const hb_setting_row_t *row;
    const char *value, *url, *why;

    *resolved = settings;
    for (row = hb_setting_rows(); row->directive != NULL; row++) {
        if (row->kind != HB_SETTING_URL) {
            continue;
        }
        value = *(const char *const *)((const char *)settings + row->offset);
        if (!hb_setting_is_reference(value)) {
            continue;
        }
        why = hb_setting_url(&url, row, value, pool);
        if (why != NULL) {
            return apr_psprintf(pool, "%s: %s", row->directive, why);
        }
        if (copy == NULL) {
            copy = apr_pmemdup(pool, settings, sizeof(*settings));
            *resolved = copy;
        }
        *(const char **)((char *)copy + row->offset) = url;
    }
    return NULL;
}
