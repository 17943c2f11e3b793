/* SPDX-License-Identifier: Apache-2.0 */
/* Writing files whole. */
#include "hb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

int hb_file_write(int fd, const char *text, apr_size_t len)
{
    ssize_t n;

    while (len > 0) {
        n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : ENOSPC;
        }
        text += n;
        len -= (apr_size_t)n;
    }
    return 0;
}

static int fill(int fd, const char *text, apr_size_t len, gid_t group)
{
    if (group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) != 0) {
        return errno;
    }
    if (fchmod(fd, 0640) != 0) {
        return errno;
    }
    return hb_file_write(fd, text, len);
}

apr_status_t hb_file_replace(const char *path, const char *text, apr_size_t len, gid_t group,
                             apr_pool_t *pool)
{
    char *temporary = apr_pstrcat(pool, path, ".XXXXXX", NULL);
    int fd = mkostemp(temporary, O_CLOEXEC);
    int problem;

    if (fd < 0) {
        return errno;
    }
    problem = fill(fd, text, len, group);
    if (problem != 0) {
        close(fd);
        unlink(temporary);
        return problem;
    }
    return hb_file_place(fd, temporary, path);
}

apr_status_t hb_file_place(int fd, const char *temporary, const char *path)
{
    int problem = fsync(fd) != 0 ? errno : 0;

    if (close(fd) != 0 && problem == 0) {
        problem = errno;
    }
    if (problem == 0 && rename(temporary, path) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        unlink(temporary);
    }
    return problem;
}

apr_status_t hb_file_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    apr_status_t rv = APR_SUCCESS;

    if (fd < 0) {
        return errno;
    }
    if (fsync(fd) != 0) {
        rv = errno;
    }
    close(fd);
    return rv;
}
