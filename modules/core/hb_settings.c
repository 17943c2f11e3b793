/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings: one table, read the same way from directives, environment and the file
 * the programs beside httpd get. How single values are read is hb_settings_value.c's.
 */
#include "hb_settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_file.h"
#include "hb_settings_private.h"

/* A settings file longer than this was not written by us. */
#define FILE_BYTES_MAX 262144

enum {
#define HB_SETTING(kind, member, directive, env, dflt, low, high, sentence) ROW_##member,
#include "hb_setting.def"
#undef HB_SETTING
    ROW_COUNT
};

static const hb_setting_row_t rows[] = {
#define HB_SETTING(kind, member, directive, env, dflt, low, high, sentence) \
    { HB_SETTING_##kind, #member, directive, env, dflt, low, high, sentence, \
      offsetof(hb_settings_t, member), ROW_##member },
#include "hb_setting.def"
#undef HB_SETTING
    { HB_SETTING_TEXT, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, ROW_COUNT }
};

_Static_assert(ROW_COUNT <= sizeof(((hb_settings_draft_t *)0)->given),
               "hb_settings_draft_t.given is too small");

const hb_setting_row_t *hb_setting_rows(void)
{
    return rows;
}

const hb_setting_row_t *hb_setting_row(const char *directive)
{
    const hb_setting_row_t *row;

    for (row = rows; row->directive != NULL; row++) {
        if (strcasecmp(row->directive, directive) == 0) {
            return row;
        }
    }
    return NULL;
}

hb_settings_draft_t *hb_settings_draft_make(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(hb_settings_draft_t));
}

const char *hb_settings_set(hb_settings_draft_t *draft, const hb_setting_row_t *row,
                            const char *value, apr_pool_t *pool)
{
    const char *problem, **list = (const char **)((char *)&draft->values + row->offset);
    const char *before = NULL, *between = row->kind == HB_SETTING_LIST ? "," : ";";

    if ((row->kind == HB_SETTING_LIST || row->kind == HB_SETTING_LINES)
        && draft->given[row->index]) {
        before = *list;
    }
    problem = hb_setting_read(&draft->values, row, row->directive, value, pool);
    if (problem == NULL && before != NULL && *before != '\0') {
        *list = apr_pstrcat(pool, before, **list != '\0' ? between : "", *list, NULL);
    }
    if (problem == NULL) {
        draft->given[row->index] = 1;
    }
    return problem;
}

/* The first environment name that is set and not empty; NULL when none is. */
static const char *from_environment(const char **value, const hb_setting_row_t *row,
                                    apr_pool_t *pool)
{
    char *state, *name, *names = apr_pstrdup(pool, row->env);

    for (name = apr_strtok(names, " ", &state); name != NULL;
         name = apr_strtok(NULL, " ", &state)) {
        *value = getenv(name);
        if (*value != NULL && **value != '\0') {
            return name;
        }
    }
    return NULL;
}

static const char *fill(hb_settings_draft_t *draft, const hb_setting_row_t *row,
                        apr_pool_t *pool)
{
    const char *name, *value;

    if (draft->given[row->index]) {
        return NULL;
    }
    name = from_environment(&value, row, pool);
    if (name == NULL) {
        return hb_setting_read(&draft->values, row, row->directive, row->dflt, pool);
    }
    value = hb_setting_from_environment(row, name, value, pool);
    return hb_setting_read(&draft->values, row,
                           apr_psprintf(pool, "environment variable %s (for %s)", name,
                                        row->directive), value, pool);
}

static const char *resolve(hb_settings_t *values, const hb_setting_row_t *row,
                           apr_pool_t *pool)
{
    const char **path = (const char **)((char *)values + row->offset);
    char *whole;

    if (row->kind != HB_SETTING_PATH || **path == '\0' || **path == '|') {
        return NULL;
    }
    if (apr_filepath_merge(&whole, values->state_dir, *path, APR_FILEPATH_NOTRELATIVE, pool)
        != APR_SUCCESS) {
        return apr_psprintf(pool, "%s: \"%s\" is no usable path: give an absolute one, or one "
                            "relative to %s", row->directive, *path, values->state_dir);
    }
    *path = whole;
    return NULL;
}

const char *hb_settings_finish(hb_settings_draft_t *draft, apr_pool_t *pool)
{
    const hb_setting_row_t *row;
    const char *problem = NULL;

    for (row = rows; row->directive != NULL && problem == NULL; row++) {
        problem = fill(draft, row, pool);
    }
    if (problem == NULL && *draft->values.state_dir != '/') {
        problem = apr_psprintf(pool, "HaloBuzzStateDir: \"%s\" is relative: give an absolute "
                               "directory, for instance HaloBuzzStateDir %s",
                               draft->values.state_dir, rows[ROW_state_dir].dflt);
    }
    for (row = rows; row->directive != NULL && problem == NULL; row++) {
        problem = resolve(&draft->values, row, pool);
    }
    return problem;
}

/* --- the file for the programs beside httpd --- */

static const char *take_line(hb_settings_draft_t *draft, char *line, const char *path,
                             int number, apr_pool_t *pool)
{
    char *value;
    const hb_setting_row_t *row;
    const char *problem;

    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#') {
        return NULL;
    }
    value = line + strcspn(line, " \t");
    if (*value != '\0') {
        *value++ = '\0';
        value += strspn(value, " \t");
    }
    row = hb_setting_row(line);
    if (row == NULL) {
        return apr_psprintf(pool, "%s, line %d: there is no setting \"%s\"; conf/halobuzz.conf "
                            "lists them all", path, number, line);
    }
    problem = hb_settings_set(draft, row, value, pool);
    return problem != NULL ? apr_psprintf(pool, "%s, line %d: %s", path, number, problem)
                           : NULL;
}

const char *hb_settings_read(hb_settings_draft_t *draft, const char *name, const char *text,
                             apr_pool_t *pool)
{
    const char *problem = NULL;
    char *line, *end, *copy = apr_pstrdup(pool, text);
    int number = 1;

    for (line = copy; line != NULL && problem == NULL; line = end, number++) {
        end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        line[strcspn(line, "\r")] = '\0';
        problem = take_line(draft, line, name, number, pool);
    }
    return problem;
}

static const char *read_file(char **text, const char *path, apr_pool_t *pool)
{
    char message[160];
    apr_file_t *file;
    apr_finfo_t info;
    apr_size_t n = 0;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, pool);
    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    }
    if (rv == APR_SUCCESS && info.size > FILE_BYTES_MAX) {
        return apr_psprintf(pool, "%s is too long to be a settings file", path);
    }
    if (rv == APR_SUCCESS) {
        *text = apr_pcalloc(pool, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, *text, (apr_size_t)info.size, &n);
        apr_file_close(file);
        if (APR_STATUS_IS_EOF(rv)) {
            rv = APR_SUCCESS;       /* an empty file, or one that just shrank */
        }
    }
    return rv == APR_SUCCESS ? NULL
           : apr_psprintf(pool, "cannot read the settings file %s: %s", path,
                          apr_strerror(rv, message, sizeof(message)));
}

const char *hb_settings_load(const hb_settings_t **settings, const char *path,
                             apr_pool_t *pool)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(pool);
    const char *problem = NULL;
    char *text = NULL;

    if (path != NULL) {
        problem = read_file(&text, path, pool);
        if (problem == NULL) {
            problem = hb_settings_read(draft, path, text, pool);
        }
    }
    if (problem == NULL) {
        problem = hb_settings_finish(draft, pool);
    }
    *settings = problem == NULL ? &draft->values : NULL;
    return problem;
}

apr_status_t hb_settings_save(const hb_settings_t *settings, const char *path, gid_t group,
                              apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, ROW_COUNT, sizeof(const char *));
    const hb_setting_row_t *row;
    const char *text;

    for (row = rows; row->directive != NULL; row++) {
        APR_ARRAY_PUSH(lines, const char *) = apr_pstrcat(pool, row->directive, " ",
                                                          hb_settings_text(settings, row, pool),
                                                          "\n", NULL);
    }
    text = apr_array_pstrcat(pool, lines, 0);
    return hb_file_replace(path, text, strlen(text), group, pool);
}
