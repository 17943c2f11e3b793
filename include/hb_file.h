/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_file.h
 * Files that are written whole: keys, mails, backups. Records are hb_store.h's.
 */
#ifndef HB_FILE_H
#define HB_FILE_H

#include <apr.h>
#include <apr_errno.h>

/** Write all of it, over interruptions and short writes. @return 0, or an errno. Waits. */
int hb_file_write(int fd, const char *text, apr_size_t len);

/** What was written to a file, or the names in a directory, onto the disk. @return an errno. Waits. */
apr_status_t hb_file_sync(const char *path);

#endif /* HB_FILE_H */
