/* SPDX-License-Identifier: Apache-2.0 */
/* What a program beside httpd finds on disk while its settings change. */
#include "hb_ap_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <unixd.h>

#include "hb_file.h"
#include "hb_test.h"

unixd_config_rec ap_unixd_config;
hb_ap_state_t hb_ap_state;

static const hb_ap_program_t program = { .role = "test", .secrets = "auth_secret smtp_password" };
static const char *dir;
static int looks;

gid_t hb_ap_run_group(void)
{
    return (gid_t)-1;
}

static const char *file_of(const char *name)
{
    return apr_pstrcat(hb_test_pool, dir, "/", name, NULL);
}

char *ap_runtime_dir_relative(apr_pool_t *pool, const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

/* As a program does that starts now. */
static void settings_name_what_is_there(void)
{
    const hb_settings_t *read;

    if (dir == NULL || access(file_of("conf"), F_OK) != 0) {
        return;
    }
    ck_assert_ptr_null(hb_settings_load(&read, file_of("conf"), hb_test_pool));
    if (*read->auth_secret != '\0') {
        ck_assert_str_eq(read->auth_secret, apr_pstrcat(hb_test_pool, "file:",
                                                        file_of("halobuzz-test.auth_secret"), NULL));
        ck_assert_int_eq(access(file_of("halobuzz-test.auth_secret"), R_OK), 0);
    }
    looks++;
}

/* Before and after each file that changes. */
__attribute__((visibility("default")))
int rename(const char *from, const char *to)
{
    int rc;

    settings_name_what_is_there();
    rc = renameat(AT_FDCWD, from, AT_FDCWD, to);
    settings_name_what_is_there();
    return rc;
}

__attribute__((visibility("default")))
int unlink(const char *path)
{
    int rc = unlinkat(AT_FDCWD, path, 0);

    settings_name_what_is_there();
    return rc;
}

START_TEST(settings_name_only_what_is_there)
{
    hb_settings_draft_t *draft = hb_settings_draft_make(hb_test_pool);
    hb_settings_t settings;
    const char *tmp;

    ck_assert_int_eq(apr_temp_dir_get(&tmp, hb_test_pool), 0);
    dir = mkdtemp(apr_pstrcat(hb_test_pool, tmp, "/hb-program-XXXXXX", NULL));
    ck_assert_ptr_nonnull(dir);
    ck_assert_int_eq(hb_file_replace(file_of("auth"), "key", 3, (gid_t)-1, hb_test_pool), 0);
    ck_assert_ptr_null(hb_settings_finish(draft, hb_test_pool));
    settings = draft->values;
    hb_ap_state.settings = &settings;

    settings.auth_secret = apr_pstrcat(hb_test_pool, "file:", file_of("auth"), NULL);
    ck_assert_ptr_null(hb_ap_program_settings(&program, file_of("conf"), hb_test_pool));
    ck_assert_int_eq(access(file_of("halobuzz-test.auth_secret"), F_OK), 0);
    ck_assert_int_gt(looks, 0);
    looks = 0;
    settings.auth_secret = "";          /* and nobody is given it any more */
    ck_assert_ptr_null(hb_ap_program_settings(&program, file_of("conf"), hb_test_pool));
    ck_assert_int_ne(access(file_of("halobuzz-test.auth_secret"), F_OK), 0);
    ck_assert_int_gt(looks, 0);
    unlinkat(AT_FDCWD, file_of("auth"), 0);
    unlinkat(AT_FDCWD, file_of("conf"), 0);
    ck_assert_int_eq(rmdir(dir), 0);
    dir = NULL;                 /* Check unlinks a file of its own behind the case */
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { settings_name_only_what_is_there, NULL };

    return hb_test_main("hb_ap_program", cases);
}
