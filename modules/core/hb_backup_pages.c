/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store as pages: which of them differ from those of the backup before, and back again.
 * A backup keeps 16 bytes of SHA-256 of each page, so that the next one needs to
 * read nothing of it but these. In the file of pages each stands behind its number (4 bytes, the
 * highest first, counted from 1 as SQLite does).
 */
#include "hb_backup_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_crypto.h"

#define FILE_MODE 0600
#define NUMBER_BYTES 4
#define STEP_PAGES 64
#define SQLITE_MAGIC "SQLite format 3"

apr_int64_t backup_page_bytes(const char *path)
{
    unsigned char head[18];
    FILE *file = fopen(path, "re");
    apr_int64_t bytes = 0;

    if (file != NULL) {
        if (fread(head, 1, sizeof(head), file) == sizeof(head)
            && memcmp(head, SQLITE_MAGIC, sizeof(SQLITE_MAGIC)) == 0) {
            bytes = head[16] << 8 | head[17];
            bytes = bytes == 1 ? 65536 : bytes;
        }
        fclose(file);
    }
    return bytes >= 512 && (bytes & (bytes - 1)) == 0 ? bytes : 0;
}

/* The files of one pass over a store. */
typedef struct pass_t {
    backup_work_t *work;
    apr_int64_t page_bytes, total;
    FILE *store, *sums, *base, *out;
    unsigned char *page;        /* with room for its number before it */
} pass_t;

static FILE *file_make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (file == NULL && fd >= 0) {
        close(fd);
    }
    return file;
}

static apr_status_t sum_of(unsigned char sum[BACKUP_SUM_BYTES], const unsigned char *page,
                           apr_int64_t bytes)
{
    unsigned char digest[32];
    apr_status_t rv = hb_sha256(digest, page, (apr_size_t)bytes, NULL, 0);

    memcpy(sum, digest, BACKUP_SUM_BYTES);
    return rv;
}

/* The next page, and whether it is as it was. 0 at the end. */
static int next_page(apr_status_t *rv, pass_t *pass, unsigned char sum[BACKUP_SUM_BYTES],
                     int *is_known)
{
    unsigned char before[BACKUP_SUM_BYTES];

    if (fread(pass->page + NUMBER_BYTES, (size_t)pass->page_bytes, 1, pass->store) != 1) {
        return 0;
    }
    *rv = sum_of(sum, pass->page + NUMBER_BYTES, pass->page_bytes);
    *is_known = pass->base != NULL && fread(before, sizeof(before), 1, pass->base) == 1
        && memcmp(before, sum, sizeof(before)) == 0;
    return 1;
}

static void number_write(unsigned char *out, apr_int64_t number)
{
    out[0] = (unsigned char)(number >> 24);
    out[1] = (unsigned char)(number >> 16);
    out[2] = (unsigned char)(number >> 8);
    out[3] = (unsigned char)number;
}

static apr_status_t run_pass(apr_int64_t *pages, apr_int64_t *changed, pass_t *pass)
{
    unsigned char sum[BACKUP_SUM_BYTES];
    apr_status_t rv = APR_SUCCESS;
    int is_known;

    while (rv == APR_SUCCESS && next_page(&rv, pass, sum, &is_known)) {
        ++*pages;
        if (rv == APR_SUCCESS && fwrite(sum, sizeof(sum), 1, pass->sums) != 1) {
            rv = backup_io(pass->work->op, BACKUP_SUMS, errno);
        }
        if (rv == APR_SUCCESS && pass->out != NULL && !is_known) {
            ++*changed;
            number_write(pass->page, *pages);
            if (fwrite(pass->page, (size_t)pass->page_bytes + NUMBER_BYTES, 1, pass->out)
                != 1) {
                rv = backup_io(pass->work->op, BACKUP_PAGES, errno);
            }
        }
        if (rv == APR_SUCCESS && *pages % STEP_PAGES == 0) {
            rv = backup_step(pass->work, "sums", *pages, pass->total);
        }
    }
    if (rv == APR_SUCCESS && *pages != pass->total) {
        rv = backup_io(pass->work->op, "the copy of the store", EIO);
    }
    return rv;
}

/* Close a file that was written; what did not get to the disk shows here at the latest. */
static apr_status_t file_end(apr_status_t rv, hb_op_t *op, FILE *file, const char *path)
{
    if (file != NULL) {
        if (rv == APR_SUCCESS && (fflush(file) != 0 || fsync(fileno(file)) != 0)) {
            rv = backup_io(op, path, errno);
        }
        fclose(file);
    }
    return rv;
}

apr_status_t backup_pages_write(apr_int64_t *pages, apr_int64_t *changed, backup_work_t *work,
                                const char *store, apr_int64_t page_bytes,
                                const char *sums_path, const char *base_sums,
                                const char *pages_path)
{
    pass_t pass = { .work = work, .page_bytes = page_bytes };
    apr_status_t rv = APR_SUCCESS;
    struct stat st;

    *pages = *changed = 0;
    if (stat(store, &st) != 0) {
        return backup_io(work->op, store, errno);
    }
    pass.total = st.st_size / page_bytes;
    pass.page = malloc((size_t)page_bytes + NUMBER_BYTES);
    pass.store = fopen(store, "re");
    pass.sums = file_make(sums_path);
    pass.base = base_sums != NULL ? fopen(base_sums, "re") : NULL;
    pass.out = base_sums != NULL ? file_make(pages_path) : NULL;
    if (pass.page == NULL || pass.store == NULL || pass.sums == NULL
        || (base_sums != NULL && (pass.base == NULL || pass.out == NULL))) {
        rv = backup_io(work->op, sums_path, errno);
    }
    else {
        rv = run_pass(pages, changed, &pass);
    }
    rv = file_end(rv, work->op, pass.sums, sums_path);
    rv = file_end(rv, work->op, pass.out, pages_path);
    if (pass.store != NULL) {
        fclose(pass.store);
    }
    if (pass.base != NULL) {
        fclose(pass.base);
    }
    free(pass.page);
    return rv;
}

/* --- back again --- */

static apr_status_t apply(backup_work_t *work, const hb_backup_t *backup, FILE *in,
                          unsigned char *page, int fd)
{
    const apr_int64_t bytes = backup->page_bytes;
    apr_int64_t number, n = 0;
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && fread(page, (size_t)bytes + NUMBER_BYTES, 1, in) == 1) {
        number = (apr_int64_t)page[0] << 24 | page[1] << 16 | page[2] << 8 | page[3];
        if (number < 1 || number > backup->pages) {
            return backup_damaged(work->op, "%s in %s has a page that its store has not",
                                  BACKUP_PAGES, backup->name);
        }
        if (pwrite(fd, page + NUMBER_BYTES, (size_t)bytes, (number - 1) * bytes) != bytes) {
            rv = backup_io(work->op, "the restored store", errno);
        }
        if (rv == APR_SUCCESS && ++n % STEP_PAGES == 0) {
            rv = backup_step(work, "pages", n, 0);
        }
    }
    if (rv == APR_SUCCESS && ferror(in)) {
        rv = backup_io(work->op, backup->path, EIO);
    }
    if (rv == APR_SUCCESS && ftruncate(fd, backup->pages * bytes) != 0) {
        rv = backup_io(work->op, "the restored store", errno);
    }
    return rv;
}

apr_status_t backup_pages_apply(backup_work_t *work, const hb_backup_t *backup, int store_fd)
{
    const char *path = apr_pstrcat(work->op->pool, backup->path, "/" BACKUP_PAGES, NULL);
    FILE *in = fopen(path, "re");
    unsigned char *page = malloc((size_t)backup->page_bytes + NUMBER_BYTES);
    apr_status_t rv;

    if (in == NULL || page == NULL) {
        rv = in == NULL ? backup_damaged(work->op, "%s has no %s", backup->name, BACKUP_PAGES)
                        : APR_ENOMEM;
    }
    else {
        rv = apply(work, backup, in, page, store_fd);
    }
    if (in != NULL) {
        fclose(in);
    }
    free(page);
    return rv;
}

static apr_status_t compare(backup_work_t *work, const hb_backup_t *backup, pass_t *pass)
{
    unsigned char sum[BACKUP_SUM_BYTES];
    apr_status_t rv = APR_SUCCESS;
    apr_int64_t n = 0;
    int is_known;

    while (rv == APR_SUCCESS && next_page(&rv, pass, sum, &is_known)) {
        n++;
        if (rv == APR_SUCCESS && !is_known) {
            rv = backup_damaged(work->op, "page %" APR_INT64_T_FMT " that %s makes is not as "
                                "it was in the store", n, backup->name);
        }
        if (rv == APR_SUCCESS && n % STEP_PAGES == 0) {
            rv = backup_step(work, "pages checked", n, backup->pages);
        }
    }
    if (rv == APR_SUCCESS && n != backup->pages) {
        rv = backup_damaged(work->op, "%s makes a store of %" APR_INT64_T_FMT " pages, not %"
                            APR_INT64_T_FMT, backup->name, n, backup->pages);
    }
    return rv;
}

apr_status_t backup_pages_check(backup_work_t *work, const hb_backup_t *backup,
                                const char *store)
{
    const char *sums = apr_pstrcat(work->op->pool, backup->path, "/" BACKUP_SUMS, NULL);
    pass_t pass = { .work = work, .page_bytes = backup->page_bytes };
    apr_status_t rv;

    pass.page = malloc((size_t)backup->page_bytes + NUMBER_BYTES);
    pass.store = fopen(store, "re");
    pass.base = fopen(sums, "re");
    if (pass.page == NULL || pass.store == NULL) {
        rv = backup_io(work->op, store, errno);
    }
    else if (pass.base == NULL) {
        rv = backup_damaged(work->op, "%s has no %s", backup->name, BACKUP_SUMS);
    }
    else {
        rv = compare(work, backup, &pass);
    }
    if (pass.store != NULL) {
        fclose(pass.store);
    }
    if (pass.base != NULL) {
        fclose(pass.base);
    }
    free(pass.page);
    return rv;
}
