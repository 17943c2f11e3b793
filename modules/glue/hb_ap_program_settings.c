/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program beside httpd finds on disk: its settings, and the secrets it needs. It runs as the
 * run user, who cannot read what only root can: so secrets are copied into files of the runtime
 * directory, owned by root, readable by the run user's group. A program gets those it asks
 * for, and all URLs; the rest stays empty.
 */
#include "hb_ap_program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_file.h"
#include "hb_secret.h"

static int is_listed(const char *list, const char *member)
{
    apr_size_t len = strlen(member);
    const char *at;

    for (at = strstr(list, member); at != NULL; at = strstr(at + 1, member)) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            return 1;
        }
    }
    return 0;
}

static const char *said(apr_status_t rv, const char *path, apr_pool_t *pool)
{
    char space[120];

    return rv == APR_SUCCESS ? NULL : apr_psprintf(pool, "%s cannot be written: %s", path,
                                                   apr_strerror(rv, space, sizeof(space)));
}

static const char *copy_secret(const char **reference, const char *path, apr_pool_t *pool)
{
    const char *value, *why = NULL;

    if (hb_secret_read(&value, &why, *reference, pool) == APR_SUCCESS) {
        why = said(hb_file_replace(path, value, strlen(value), hb_ap_run_group(), pool), path, pool);
    }
    *reference = apr_pstrcat(pool, "file:", path, NULL);
    return why;
}

static const char *copy_path(const hb_ap_program_t *row, const hb_setting_row_t *setting,
                             apr_pool_t *pool)
{
    return ap_runtime_dir_relative(pool, apr_pstrcat(pool, "halobuzz-", row->role, ".",
                                                     setting->member, NULL));
}

static const char **value_of(hb_settings_t *settings, const hb_setting_row_t *setting)
{
    return (const char **)((char *)settings + setting->offset);
}

static int may_be_secret(const hb_setting_row_t *setting)
{
    return setting->kind == HB_SETTING_SECRET || setting->kind == HB_SETTING_URL;
}

/* A program that starts meanwhile, or a run of halobuzz-crond, finds what the settings that it reads
 * name: copies are there before them, and go after those that named them. */
const char *hb_ap_program_settings(const hb_ap_program_t *row, const char *path,
                                   apr_pool_t *pool)
{
    hb_settings_t *settings = apr_pmemdup(pool, hb_ap_state.settings, sizeof(*settings));
    const hb_setting_row_t *setting;
    const char *why = NULL;

    for (setting = hb_setting_rows(); setting->directive != NULL && why == NULL; setting++) {
        const char **value = value_of(settings, setting);

        if (setting->kind == HB_SETTING_SECRET && !is_listed(row->secrets, setting->member)) {
            *value = "";
        }
        if (may_be_secret(setting) && hb_setting_is_reference(*value)) {
            why = copy_secret(value, copy_path(row, setting, pool), pool);
        }
    }
    if (why == NULL) {
        why = said(hb_settings_save(settings, path, hb_ap_run_group(), pool), path, pool);
    }
    for (setting = hb_setting_rows(); setting->directive != NULL && why == NULL; setting++) {
        if (may_be_secret(setting) && !hb_setting_is_reference(*value_of(settings, setting))) {
            unlink(copy_path(row, setting, pool));      /* of an earlier configuration */
        }
    }
    return why;
}
