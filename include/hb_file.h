/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_file.h
 * Files that are written whole: keys, mails, backups. Records are hb_store.h's.
 */
#ifndef HB_FILE_H
#define HB_FILE_H

#include <sys/types.h>

#include <apr.h>
#include <apr_errno.h>
#include <apr_pools.h>

/** Write all of it, over interruptions and short writes. @return 0, or an errno. Waits. */
int hb_file_write(int fd, const char *text, apr_size_t len);

/**
 * Put a file of mode 0640 in place of path, whole or not at all, never through a link. It belongs to
 * the group before it has its name, so whoever opens path may read it at any moment; (gid_t)-1 is
 * our own. @return an errno; the file that was there is then untouched. Waits.
 */
apr_status_t hb_file_replace(const char *path, const char *text, apr_size_t len, gid_t group,
                             apr_pool_t *pool);

/**
 * Give what was written to fd, under a temporary name, its name: it is on the disk by then, and fd
 * is closed. @return an errno; temporary is then gone, path untouched. Waits.
 */
apr_status_t hb_file_place(int fd, const char *temporary, const char *path);

/** What was written to a file, or the names in a directory, onto the disk. @return an errno. Waits. */
apr_status_t hb_file_sync(const char *path);

#endif /* HB_FILE_H */
