/* SPDX-License-Identifier: Apache-2.0 */
/* Files that others read while we write them. */
#include "hb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_test.h"

/* Of a file as it gets its name: from then on others open it. */
static struct stat named;
static int rename_errno;

__attribute__((visibility("default")))
int rename(const char *from, const char *to)
{
    ck_assert_int_eq(stat(from, &named), 0);
    if (rename_errno != 0) {
        errno = rename_errno;
        return -1;
    }
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* One that is not ours by itself, where we may give files away. */
static gid_t some_group(void)
{
    return geteuid() == 0 ? getegid() + 1 : getegid();
}

static const char *directory(void)
{
    const char *tmp;
    char *dir;

    ck_assert_int_eq(apr_temp_dir_get(&tmp, hb_test_pool), 0);
    dir = apr_pstrcat(hb_test_pool, tmp, "/hb-file-XXXXXX", NULL);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

static const char *text_of(const char *path)
{
    char *text = apr_pcalloc(hb_test_pool, 64);
    int fd = open(path, O_RDONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, 63), 0);
    close(fd);
    return text;
}

START_TEST(it_may_be_read_from_the_first_moment)
{
    const char *dir = directory(), *path = apr_pstrcat(hb_test_pool, dir, "/it", NULL);
    int round;

    for (round = 0; round < 2; round++) {       /* made, then replaced */
        const char *text = round == 0 ? "one\n" : "another\n";

        memset(&named, 0, sizeof(named));
        ck_assert_int_eq(hb_file_replace(path, text, strlen(text), some_group(), hb_test_pool), 0);
        ck_assert_uint_eq(named.st_gid, some_group());
        ck_assert_uint_eq(named.st_mode & 07777, 0640);
        ck_assert_str_eq(text_of(path), text);
    }
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);            /* nothing else is in it */
}
END_TEST

START_TEST(a_link_is_replaced_not_followed)
{
    const char *dir = directory(), *path = apr_pstrcat(hb_test_pool, dir, "/it", NULL);
    const char *other = apr_pstrcat(hb_test_pool, dir, "/other", NULL);

    ck_assert_int_eq(hb_file_replace(other, "kept", 4, (gid_t)-1, hb_test_pool), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    ck_assert_int_eq(hb_file_replace(path, "new", 3, (gid_t)-1, hb_test_pool), 0);
    ck_assert_str_eq(text_of(path), "new");
    ck_assert_str_eq(text_of(other), "kept");
    unlink(path);
    unlink(other);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(what_fails_leaves_what_was_there)
{
    const char *dir = directory(), *path = apr_pstrcat(hb_test_pool, dir, "/it", NULL);

    ck_assert_int_eq(hb_file_replace(path, "kept", 4, (gid_t)-1, hb_test_pool), 0);
    rename_errno = ENOSPC;
    ck_assert_int_eq(hb_file_replace(path, "new", 3, (gid_t)-1, hb_test_pool), ENOSPC);
    rename_errno = 0;
    ck_assert_str_eq(text_of(path), "kept");
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(hb_file_replace(path, "new", 3, (gid_t)-1, hb_test_pool), ENOENT);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        it_may_be_read_from_the_first_moment, a_link_is_replaced_not_followed,
        what_fails_leaves_what_was_there, NULL
    };

    return hb_test_main("hb_file", cases);
}
