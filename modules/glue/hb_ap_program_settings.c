/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program beside httpd finds on disk: its settings, and the secrets it needs. It runs as the
 * run user, who cannot read what only root can: so secrets are copied into files of the runtime
 * directory, owned by root, readable by the run user's group. A program gets those it asks for, and
 * all URLs; the rest stays empty.
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

const char *hb_ap_program_settings(const hb_ap_program_t *row, const char *path,
                                   apr_pool_t *pool)
{
    hb_settings_t *settings = apr_pmemdup(pool, hb_ap_state.settings, sizeof(*settings));
    const hb_setting_row_t *setting;
    const char *why = NULL;

    for (setting = hb_setting_rows(); setting->directive != NULL && why == NULL; setting++) {
        const char **value = (const char **)((char *)settings + setting->offset);
        const char *copy = ap_runtime_dir_relative(pool, apr_pstrcat(pool, "halobuzz-", row->role,
                                                                     ".", setting->member, NULL));

        if (setting->kind != HB_SETTING_SECRET && setting->kind != HB_SETTING_URL) {
            continue;
        }
        if (setting->kind == HB_SETTING_SECRET && !is_listed(row->secrets, setting->member)) {
            *value = "";
        }
        if (hb_setting_is_reference(*value)) {
            why = copy_secret(value, copy, pool);
        }
        else {
            unlink(copy);       /* of an earlier configuration */
        }
    }
    if (why != NULL) {
        return why;
    }
    return said(hb_settings_save(settings, path, hb_ap_run_group(), pool), path, pool);
}
