/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_file.h
 * Files that are written whole: keys and mails. Records are hb_store.h's.
 */
#ifndef HB_FILE_H
#define HB_FILE_H

#include <apr.h>

/** Write all of it, over interruptions and short writes. @return 0, or an errno. Waits. */
int hb_file_write(int fd, const char *text, apr_size_t len);

#endif /* HB_FILE_H */
