/* SPDX-License-Identifier: Apache-2.0 */
/* Writing files whole. */
#include "hb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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
