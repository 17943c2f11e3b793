/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_keyring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_error.h"
#include "hb_test.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"

static const char *ring_path(void)
{
    char *name = apr_pstrdup(hb_test_pool, "/tmp/hb_keyring.XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(name));
    return apr_pstrcat(hb_test_pool, name, "/access.keys", NULL);
}

static void clean_up(const char *path)
{
    unlink(path);
    unlink(apr_pstrcat(hb_test_pool, path, ".new", NULL));
    rmdir(apr_pstrmemdup(hb_test_pool, path, strrchr(path, '/') - path));
}

static void write_ring(const char *path, const char *text)
{
    apr_file_t *file;

    unlink(path);
    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_CREATE | APR_FOPEN_WRITE,
                                   APR_FPROT_UREAD | APR_FPROT_UWRITE, hb_test_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, strlen(text), NULL), APR_SUCCESS);
    apr_file_close(file);
}

START_TEST(a_missing_ring_is_made_and_kept)
{
    const char *path = ring_path(), *why;
    hb_keyring_t *first, *second;
    struct stat st;

    ck_assert_msg(hb_keyring_load(&first, &why, path, hb_test_pool) == APR_SUCCESS, "%s", why);
    ck_assert_int_eq(hb_keyring_count(first), 1);
    ck_assert_uint_eq(hb_keyring_newest(first)->len, 32);
    ck_assert_uint_eq(strlen(hb_keyring_newest(first)->kid), 12);
    ck_assert_int_gt(hb_keyring_newest(first)->created_at, apr_time_from_sec(1700000000));
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(access(apr_pstrcat(hb_test_pool, path, ".new", NULL), F_OK), -1);

    ck_assert_int_eq(hb_keyring_load(&second, &why, path, hb_test_pool), APR_SUCCESS);
    ck_assert_str_eq(hb_keyring_newest(first)->kid, hb_keyring_newest(second)->kid);
    ck_assert_mem_eq(hb_keyring_mark(first), hb_keyring_mark(second), 32);
    clean_up(path);
}
END_TEST

START_TEST(a_temporary_file_of_a_dead_process_is_no_obstacle)
{
    const char *path = ring_path(), *why;
    hb_keyring_t *ring;

    write_ring(apr_pstrcat(hb_test_pool, path, ".new", NULL), "half a li");
    ck_assert_int_eq(hb_keyring_load(&ring, &why, path, hb_test_pool), APR_SUCCESS);
    clean_up(path);
}
END_TEST

START_TEST(processes_that_start_at_once_agree)
{
    const char *path = ring_path(), *why;
    hb_keyring_t *ring;
    int pipes[2], i, status;
    char marks[8][32];

    ck_assert_int_eq(pipe(pipes), 0);
    for (i = 0; i < 8; i++) {
        if (fork() == 0) {
            if (hb_keyring_load(&ring, &why, path, hb_test_pool) != APR_SUCCESS
                || write(pipes[1], hb_keyring_mark(ring), 32) != 32) {
                _exit(1);
            }
            _exit(0);
        }
    }
    for (i = 0; i < 8; i++) {
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(read(pipes[0], marks[i], 32), 32);
        ck_assert_mem_eq(marks[i], marks[0], 32);
    }
    clean_up(path);
}
END_TEST

START_TEST(the_newest_stands_last)
{
    const char *path = ring_path(), *why;
    hb_keyring_t *ring;

    write_ring(path, "# a remark\n\nkey-0001 1700000000 " KEY_A "\n"
                     "key-0002\t1700086400  " KEY_B "\r\n");
    ck_assert_msg(hb_keyring_load(&ring, &why, path, hb_test_pool) == APR_SUCCESS, "%s", why);
    ck_assert_int_eq(hb_keyring_count(ring), 2);
    ck_assert_str_eq(hb_keyring_newest(ring)->kid, "key-0002");
    ck_assert_str_eq(hb_keyring_oldest(ring)->kid, "key-0001");
    ck_assert_int_eq(hb_keyring_oldest(ring)->created_at, apr_time_from_sec(1700000000));
    ck_assert_ptr_eq(hb_keyring_find(ring, "key-0001"), hb_keyring_item(ring, 0));
    ck_assert_ptr_null(hb_keyring_find(ring, "KEY-0001"));
    ck_assert_ptr_null(hb_keyring_find(ring, ""));
    ck_assert_ptr_null(hb_keyring_item(ring, 2));
    ck_assert_ptr_null(hb_keyring_item(ring, -1));
    clean_up(path);
}
END_TEST

START_TEST(a_damaged_ring_is_refused_with_its_line)
{
    static const struct { const char *text, *hint; } rings[] = {
        { "", "holds no key" },
        { "# nothing\n", "holds no key" },
        { "key-0001 1700000000\n", "line 1: it is not" },
        { "key-0001 1700000000 " KEY_A " more\n", "line 1: it is not" },
        { "a-kid-of-more-than-32-characters! 1700000000 " KEY_A "\n", "line 1: the kid" },
        { "key/0001 1700000000 " KEY_A "\n", "line 1: the kid" },
        { "\nkey-0001 yesterday " KEY_A "\n", "line 2: the second word" },
        { "key-0001 99999999999999999999 " KEY_A "\n", "line 1: the second word" },
        { "key-0001 -1 " KEY_A "\n", "line 1: the second word" },
        { "key-0001 1700000000 AAAA\n", "line 1: the key" },
        { "key-0001 1700000000 " KEY_A "=\n", "line 1: the key" },
        { "key-0001 1 " KEY_A "\nkey-0001 2 " KEY_B "\n", "line 2: the kid is there twice" },
    };
    const char *path = ring_path(), *why;
    hb_keyring_t *ring;
    apr_size_t i;

    for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        write_ring(path, rings[i].text);
        ck_assert_int_eq(hb_keyring_load(&ring, &why, path, hb_test_pool), HB_E_CONFIG);
        ck_assert_msg(strstr(why, rings[i].hint) != NULL, "%s", why);
        ck_assert_msg(strstr(why, "AAAA") == NULL, "%s", why);
    }
    write_ring(path, "key-0001 1 " KEY_A "\n");
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(hb_keyring_load(&ring, &why, path, hb_test_pool), HB_E_CONFIG);
    ck_assert_msg(strstr(why, "chmod 0640") != NULL, "%s", why);
    clean_up(path);
    ck_assert_int_eq(hb_keyring_load(&ring, &why, path, hb_test_pool), HB_E_CONFIG);
    ck_assert_msg(strstr(why, "cannot be made") != NULL, "%s", why);
}
END_TEST

START_TEST(a_secret_makes_a_ring)
{
    const char *why;
    hb_keyring_t *a, *b;
    char secret[65];

    memset(secret, 'x', 64);
    secret[64] = '\0';
    ck_assert_int_eq(hb_keyring_from_secret(&a, &why, secret, hb_test_pool), APR_SUCCESS);
    ck_assert_uint_eq(hb_keyring_newest(a)->len, 64);
    secret[0] = 'y';
    ck_assert_int_eq(hb_keyring_from_secret(&b, &why, secret, hb_test_pool), APR_SUCCESS);
    ck_assert_str_ne(hb_keyring_newest(a)->kid, hb_keyring_newest(b)->kid);
    ck_assert_mem_ne(hb_keyring_mark(a), hb_keyring_mark(b), 32);
    secret[63] = '\0';
    ck_assert_int_eq(hb_keyring_from_secret(&b, &why, secret, hb_test_pool), HB_E_CONFIG);
    ck_assert_msg(strstr(why, "63 characters") != NULL, "%s", why);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_missing_ring_is_made_and_kept, a_temporary_file_of_a_dead_process_is_no_obstacle,
        processes_that_start_at_once_agree, the_newest_stands_last,
        a_damaged_ring_is_refused_with_its_line, a_secret_makes_a_ring, NULL
    };
    return hb_test_main("hb_keyring", cases);
}
