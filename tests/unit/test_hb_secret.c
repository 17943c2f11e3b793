/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "hb_error.h"
#include "hb_test.h"

#define VALUE "correct-horse-battery"

static const char *directory(void)
{
    char *name = apr_pstrdup(hb_test_pool, "/tmp/hb_secret.XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(name));
    return name;
}

static const char *file_with(const char *dir, const char *text, apr_size_t len, int mode)
{
    const char *path = apr_pstrcat(hb_test_pool, dir, "/secret", NULL);
    apr_file_t *file;

    unlink(path);
    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_CREATE | APR_FOPEN_WRITE,
                                   APR_FPROT_OS_DEFAULT, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, len, NULL), APR_SUCCESS);
    apr_file_close(file);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

static void clean_up(const char *dir)
{
    unlink(apr_pstrcat(hb_test_pool, dir, "/secret", NULL));
    rmdir(dir);
}

static const char *read_ok(const char *reference)
{
    const char *value, *why;
    apr_status_t rv = hb_secret_read(&value, &why, reference, hb_test_pool);

    ck_assert_msg(rv == APR_SUCCESS, "%s: %s", reference, why);
    return value;
}

/* Refused, and the sentence holds what helps and not the value. */
static void read_fails(const char *reference, const char *hint)
{
    const char *value = "untouched", *why = NULL;

    ck_assert_int_eq(hb_secret_read(&value, &why, reference, hb_test_pool), HB_E_CONFIG);
    ck_assert_ptr_null(value);
    ck_assert_msg(strstr(why, hint) != NULL, "\"%s\" is not in: %s", hint, why);
    ck_assert_msg(strstr(why, VALUE) == NULL, "%s", why);
}

START_TEST(only_the_three_forms_are_taken)
{
    ck_assert_ptr_null(hb_secret_check("file:/etc/x", hb_test_pool));
    ck_assert_ptr_null(hb_secret_check("env:JWT_SECRET", hb_test_pool));
    ck_assert_ptr_null(hb_secret_check("exec:/bin/cat /etc/x", hb_test_pool));
    read_fails("", "empty");
    read_fails(VALUE, "file:/path, env:NAME or exec:/path");
    read_fails("file:relative", "absolute");
    read_fails("exec:cat x", "absolute");
    read_fails("env:", "env:NAME");
    read_fails("env:A B", "env:NAME");
    read_fails("FILE:/x", "file:/path");
}
END_TEST

START_TEST(a_file_gives_its_text_without_the_newline)
{
    const char *dir = directory();
    const char *reference = apr_pstrcat(hb_test_pool, "file:", dir, "/secret", NULL);

    file_with(dir, VALUE "\n", sizeof(VALUE), 0640);
    ck_assert_str_eq(read_ok(reference), VALUE);
    file_with(dir, VALUE "\r\n", sizeof(VALUE) + 1, 0400);
    ck_assert_str_eq(read_ok(reference), VALUE);
    file_with(dir, VALUE, sizeof(VALUE) - 1, 0600);
    ck_assert_str_eq(read_ok(reference), VALUE);
    clean_up(dir);
}
END_TEST

START_TEST(a_file_that_is_not_fit_is_refused)
{
    const char *dir = directory();
    const char *reference = apr_pstrcat(hb_test_pool, "file:", dir, "/secret", NULL);
    char *large = apr_pcalloc(hb_test_pool, 70000);

    read_fails(reference, "does not exist");
    file_with(dir, VALUE, strlen(VALUE), 0644);
    read_fails(reference, "chmod 0640");
    file_with(dir, VALUE, strlen(VALUE), 0660);
    read_fails(reference, "mode 0660");
    file_with(dir, "\n", 1, 0600);
    read_fails(reference, "is empty");
    file_with(dir, VALUE "\0x", sizeof(VALUE) + 1, 0600);
    read_fails(reference, "0 byte");
    memset(large, 'x', 70000);
    file_with(dir, large, 70000, 0600);
    read_fails(reference, "larger than");
    read_fails(apr_pstrcat(hb_test_pool, "file:", dir, NULL), "not a regular file");
    clean_up(dir);
    /* A pipe without a writer must not hold us up. */
    dir = directory();
    ck_assert_int_eq(mkfifo(apr_pstrcat(hb_test_pool, dir, "/secret", NULL), 0600), 0);
    read_fails(apr_pstrcat(hb_test_pool, "file:", dir, "/secret", NULL), "not a regular file");
    clean_up(dir);
}
END_TEST

START_TEST(the_environment_gives_its_value)
{
    setenv("HB_TEST_SECRET", VALUE, 1);
    ck_assert_str_eq(read_ok("env:HB_TEST_SECRET"), VALUE);
    setenv("HB_TEST_SECRET", "", 1);
    read_fails("env:HB_TEST_SECRET", "is empty");
    unsetenv("HB_TEST_SECRET");
    read_fails("env:HB_TEST_SECRET", "HB_TEST_SECRET is not set");
}
END_TEST

START_TEST(a_program_gives_its_first_line)
{
    ck_assert_str_eq(read_ok("exec:/bin/echo " VALUE), VALUE);
    ck_assert_str_eq(read_ok("exec:/bin/sh -c 'echo " VALUE "; echo more'"), VALUE);
    /* No shell looks at the words. */
    ck_assert_str_eq(read_ok("exec:/bin/echo $HOME;ls `id`"), "$HOME;ls `id`");
    read_fails("exec:/nonexistent/program", "cannot be started");
    read_fails("exec:/bin/false", "status 1");
    read_fails("exec:/bin/true", "is empty");
    read_fails("exec:/bin/sh -c 'echo " VALUE "; exit 3'", "status 3");
    read_fails("exec:/bin/sh -c 'kill -9 $$'", "signal 9");
}
END_TEST

/* The program counts how often it is asked, and fails the second time. */
START_TEST(a_program_that_fails_later_leaves_its_secret_in_force)
{
    const char *dir = directory();
    const char *here = apr_pstrcat(hb_test_pool, dir, "/secret", NULL);
    const char *reference = apr_psprintf(hb_test_pool, "exec:/bin/sh -c 'echo >>%s; n=$(wc -l <%s);"
                                         " test $n -ne 2 && echo value $n'", here, here);
    const char *why;
    struct stat asked;

    ck_assert_str_eq(read_ok(reference), "value 1");
    ck_assert_str_eq(read_ok(reference), "value 1");
    ck_assert_ptr_null(hb_secret_settle(hb_test_pool));
    ck_assert_str_eq(read_ok(reference), "value 1");
    ck_assert_str_eq(read_ok(reference), "value 1");
    ck_assert_int_eq(stat(here, &asked), 0);
    ck_assert_int_eq(asked.st_size, 2);
    why = hb_secret_settle(hb_test_pool);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_nonnull(strstr(why, "ended with status 1"));
    ck_assert_str_eq(read_ok(reference), "value 3");
    ck_assert_ptr_null(hb_secret_settle(hb_test_pool));
    clean_up(dir);
}
END_TEST

START_TEST(a_program_that_hangs_is_ended)
{
    apr_time_t since = apr_time_now();

    read_fails("exec:/bin/sleep 60", "10 s");
    ck_assert_int_lt(apr_time_now() - since, apr_time_from_sec(20));
}
END_TEST

START_TEST(bytes_are_wiped_when_the_pool_goes)
{
    unsigned char bytes[16];
    apr_size_t i;
    apr_pool_t *pool;

    memset(bytes, 'x', sizeof(bytes));
    apr_pool_create(&pool, hb_test_pool);
    hb_secret_wipe_with(pool, bytes, sizeof(bytes));
    ck_assert_int_eq(bytes[0], 'x');
    apr_pool_destroy(pool);
    for (i = 0; i < sizeof(bytes); i++) {
        ck_assert_int_eq(bytes[i], 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        only_the_three_forms_are_taken, a_file_gives_its_text_without_the_newline,
        a_file_that_is_not_fit_is_refused, the_environment_gives_its_value,
        a_program_gives_its_first_line, a_program_that_fails_later_leaves_its_secret_in_force,
        a_program_that_hangs_is_ended,
        bytes_are_wiped_when_the_pool_goes, NULL
    };
    return hb_test_main("hb_secret", cases);
}
