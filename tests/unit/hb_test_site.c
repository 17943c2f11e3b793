/* SPDX-License-Identifier: Apache-2.0 */
/* A site for test cases; see hb_test_site.h. */
#include "hb_test_site.h"

#include <stdlib.h>
#include <string.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_settings_private.h"
#include "hb_test.h"

static apr_time_t stopped_clock(void *baton)
{
    return ((hb_test_site_t *)baton)->now;
}

/* SplitMix64: repeats for a seed, and no two calls give the same. */
static apr_status_t repeatable(void *baton, unsigned char *out, apr_size_t n)
{
    hb_test_site_t *ts = baton;
    apr_uint64_t z;

    apr_thread_mutex_lock(ts->lock);
    while (n-- > 0) {
        z = (ts->seed += APR_UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * APR_UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * APR_UINT64_C(0x94d049bb133111eb);
        *out++ = (unsigned char)(z ^ (z >> 31));
    }
    apr_thread_mutex_unlock(ts->lock);
    return APR_SUCCESS;
}

static void keep_line(void *baton, hb_level_e level, apr_status_t status,
                      const char *request_id, const char *line)
{
    hb_test_site_t *ts = baton;

    (void)level;
    (void)status;
    (void)request_id;
    apr_thread_mutex_lock(ts->lock);
    APR_ARRAY_PUSH(ts->lines, const char *) = apr_pstrdup(ts->line_pool, line);
    apr_thread_mutex_unlock(ts->lock);
}

static void remove_tree(const char *path, apr_pool_t *pool)
{
    apr_dir_t *dir;
    apr_finfo_t entry;
    const char *inner;

    if (apr_dir_open(&dir, path, pool) == APR_SUCCESS) {
        while (apr_dir_read(&entry, APR_FINFO_NAME | APR_FINFO_TYPE, dir)
               == APR_SUCCESS) {
            if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0) {
                continue;
            }
            inner = apr_pstrcat(pool, path, "/", entry.name, NULL);
            if (entry.filetype == APR_DIR) {
                remove_tree(inner, pool);
            }
            else {
                apr_file_remove(inner, pool);
            }
        }
        apr_dir_close(dir);
    }
    apr_dir_remove(path, pool);
}

static apr_status_t clean_up(void *data)
{
    hb_test_site_t *ts = data;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    remove_tree(ts->dir, pool);
    apr_pool_destroy(pool);
    apr_pool_destroy(ts->line_pool);
    return APR_SUCCESS;
}

static const char *make_dir(apr_pool_t *pool)
{
    const char *base;
    char *dir;

    ck_assert_int_eq(apr_temp_dir_get(&base, pool), APR_SUCCESS);
    dir = apr_pstrcat(pool, base, "/hb-test-XXXXXX", NULL);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

/* A default is also what the settings file of a server without directives says. */
static const hb_settings_t *make_settings(const char *dir, const char *more,
                                          apr_pool_t *pool)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(pool);
    const hb_setting_row_t *row;
    const char *problem;

    problem = hb_settings_read(draft, "test",
                               apr_pstrcat(pool, "HaloBuzzPasswordCost 4\nHaloBuzzStateDir ", dir,
                                           "\n", more, NULL), pool);
    for (row = hb_setting_rows(); row->directive != NULL && problem == NULL; row++) {
        if (!draft->given[row->index]) {
            problem = hb_settings_set(draft, row, row->dflt, pool);
        }
    }
    if (problem == NULL) {
        problem = hb_settings_finish(draft, pool);
    }
    ck_assert_msg(problem == NULL, "%s", problem);
    return &draft->values;
}

hb_test_site_t *hb_test_site_make_with(const char *settings, apr_pool_t *pool)
{
    hb_test_site_t *ts = apr_pcalloc(pool, sizeof(*ts));
    hb_log_t log = { keep_line, ts, HB_LOG_INFO };
    const char *why;
    apr_status_t rv;

    apr_pool_create_unmanaged_ex(&ts->line_pool, NULL, NULL);
    apr_thread_mutex_create(&ts->lock, APR_THREAD_MUTEX_DEFAULT, ts->line_pool);
    ts->dir = make_dir(pool);
    ts->now = HB_TEST_SITE_START;
    ts->seed = 1;
    ts->lines = apr_array_make(ts->line_pool, 8, sizeof(const char *));
    /* A sub-pool goes before this cleanup runs: what is open there is closed by then. */
    apr_pool_cleanup_register(pool, ts, clean_up, apr_pool_cleanup_null);
    apr_pool_create(&ts->pool, pool);
    rv = hb_site_make(&ts->site, &why, make_settings(ts->dir, settings, pool), &log, ts->pool);
    ck_assert_msg(rv == APR_SUCCESS, "%s", why);
    ts->site->clock = stopped_clock;
    ts->site->random = repeatable;
    ts->site->baton = ts;
    ts->site->started_at = ts->now;
    return ts;
}

hb_test_site_t *hb_test_site_make(apr_pool_t *pool)
{
    return hb_test_site_make_with("", pool);
}

void hb_test_site_open(hb_test_site_t *ts)
{
    ck_assert_int_eq(hb_site_open(ts->site, NULL, ts->pool), APR_SUCCESS);
}

hb_op_t *hb_test_site_op(hb_test_site_t *ts)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, ts->pool);
    return hb_op_make(ts->site, pool);
}

hb_op_t *hb_test_site_op_by(hb_test_site_t *ts, const char *user_id)
{
    hb_op_t *op = hb_test_site_op(ts);

    op->actor.user_id = user_id;
    return op;
}

hb_json_t *hb_test_json(const char *text)
{
    hb_json_t *json = hb_json_parse_own(text, strlen(text), hb_test_pool);

    ck_assert_ptr_nonnull(json);
    return json;
}

int hb_test_site_logged(hb_test_site_t *ts, const char *part)
{
    int i, found = 0;

    apr_thread_mutex_lock(ts->lock);
    for (i = 0; i < ts->lines->nelts && !found; i++) {
        found = strstr(APR_ARRAY_IDX(ts->lines, i, const char *), part) != NULL;
    }
    apr_thread_mutex_unlock(ts->lock);
    return found;
}

void hb_test_site_forget_log(hb_test_site_t *ts)
{
    apr_thread_mutex_lock(ts->lock);
    apr_array_clear(ts->lines);
    apr_thread_mutex_unlock(ts->lock);
}
