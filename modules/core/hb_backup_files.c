/* SPDX-License-Identifier: Apache-2.0 */
/* Backups as plain files: directories, copies that are on the disk when they are made, sums. */
#include "hb_backup_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/evp.h>

#include "hb_crypto.h"
#include "hb_file.h"

#define DIR_MODE 0750
#define FILE_MODE 0600          /* keys are among them */
#define CHUNK_BYTES 262144
#define DEPTH_MAX 16
#define DIGEST_BYTES 32

/* --- directories --- */

apr_status_t backup_dir_make(const char *path, apr_pool_t *pool)
{
    char *above = apr_pstrdup(pool, path), *slash;

    if (mkdir(path, DIR_MODE) == 0 || errno == EEXIST) {
        return APR_SUCCESS;
    }
    slash = strrchr(above, '/');
    if (errno != ENOENT || slash == NULL || slash == above) {
        return errno;
    }
    *slash = '\0';
    if (backup_dir_make(above, pool) != APR_SUCCESS) {
        return errno;
    }
    return mkdir(path, DIR_MODE) == 0 || errno == EEXIST ? APR_SUCCESS : errno;
}

/* What a walk does with each plain file; rel is its path below the root. */
typedef apr_status_t visit_fn(void *baton, const char *path, const char *rel,
                              const struct stat *st);

/* Visit the plain files below a directory in the order of their names, so that what is made
 * from them is the same each time. Links and sockets are passed over. */
static apr_status_t walk(const char *path, const char *rel, int depth, visit_fn *fn,
                         void *baton, apr_pool_t *pool)
{
    struct dirent **names;
    apr_status_t rv = APR_SUCCESS;
    int i, n = scandir(path, &names, NULL, alphasort);

    if (n < 0) {
        return errno;
    }
    for (i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        const char *below = apr_pstrcat(pool, path, "/", name, NULL);
        const char *below_rel = rel[0] == '\0' ? apr_pstrdup(pool, name)
            : apr_pstrcat(pool, rel, "/", name, NULL);
        struct stat st;

        if (rv == APR_SUCCESS && strcmp(name, ".") != 0 && strcmp(name, "..") != 0
            && lstat(below, &st) == 0) {
            if (S_ISREG(st.st_mode)) {
                rv = fn(baton, below, below_rel, &st);
            }
            else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
                rv = walk(below, below_rel, depth + 1, fn, baton, pool);
            }
        }
        free(names[i]);
    }
    free(names);
    return rv;
}

apr_status_t backup_dir_remove(const char *path, apr_pool_t *pool)
{
    struct dirent **names;
    apr_status_t rv = APR_SUCCESS;
    int i, n = scandir(path, &names, NULL, NULL);

    if (n < 0) {
        return errno == ENOENT ? APR_SUCCESS : errno;
    }
    for (i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        const char *below = apr_pstrcat(pool, path, "/", name, NULL);

        if (rv == APR_SUCCESS && strcmp(name, ".") != 0 && strcmp(name, "..") != 0
            && unlink(below) != 0) {
            rv = errno == EISDIR || errno == EPERM ? backup_dir_remove(below, pool) : errno;
        }
        free(names[i]);
    }
    free(names);
    return rv == APR_SUCCESS && rmdir(path) != 0 ? errno : rv;
}

static apr_status_t add_bytes(void *baton, const char *path, const char *rel,
                              const struct stat *st)
{
    (void)path;
    (void)rel;
    *(apr_int64_t *)baton += st->st_size;
    return APR_SUCCESS;
}

apr_int64_t backup_dir_bytes(const char *path, apr_pool_t *pool)
{
    apr_int64_t bytes = 0;

    walk(path, "", 0, add_bytes, &bytes, pool);
    return bytes;
}

/* --- copies and digests --- */

/* Read all of a file; write it too when to is not -1. */
static apr_status_t pour(const char **digest, backup_work_t *work, const char *from, int to)
{
    apr_pool_t *pool = work->op->pool;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sum[DIGEST_BYTES];
    char *chunk = malloc(CHUNK_BYTES);
    apr_int64_t done = 0;
    apr_status_t rv = APR_SUCCESS;
    struct stat st;
    ssize_t n = 0;
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (in < 0 || fstat(in, &st) != 0) {
        rv = backup_io(work->op, from, errno);
    }
    else if (ctx == NULL || chunk == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) {
        rv = APR_ENOMEM;
    }
    while (rv == APR_SUCCESS && (n = read(in, chunk, CHUNK_BYTES)) != 0) {
        if (n < 0) {
            rv = errno == EINTR ? APR_SUCCESS : backup_io(work->op, from, errno);
            continue;
        }
        EVP_DigestUpdate(ctx, chunk, (size_t)n);
        done += n;
        if (to >= 0 && (errno = hb_file_write(to, chunk, (apr_size_t)n)) != 0) {
            rv = backup_io(work->op, "the copy", errno);
        }
        else if (done >= CHUNK_BYTES) {
            rv = backup_step(work, "bytes", done, st.st_size > done ? st.st_size : done);
        }
    }
    if (rv == APR_SUCCESS) {
        EVP_DigestFinal_ex(ctx, sum, NULL);
        *digest = hb_hex(pool, sum, sizeof(sum));
    }
    EVP_MD_CTX_free(ctx);
    free(chunk);
    if (in >= 0) {
        close(in);
    }
    return rv;
}

apr_status_t backup_digest(const char **digest, backup_work_t *work, const char *path)
{
    return pour(digest, work, path, -1);
}

apr_status_t backup_copy(const char **digest, backup_work_t *work, const char *from,
                         const char *to)
{
    const char *unwanted;
    apr_status_t rv;
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

    if (fd < 0) {
        return backup_io(work->op, to, errno);
    }
    rv = pour(digest != NULL ? digest : &unwanted, work, from, fd);
    if (rv == APR_SUCCESS && fsync(fd) != 0) {
        rv = backup_io(work->op, to, errno);
    }
    close(fd);
    if (rv != APR_SUCCESS) {
        unlink(to);
    }
    return rv;
}

/* --- files of the site --- */

#define KEYS "keys"             /* below BACKUP_FILES, as below the state directory */
#define MAIL "mail"             /* HaloBuzzMailSpool */
#define OTHER "other"           /* what HaloBuzzBackupFiles names, by its whole path */

typedef struct taking_t {
    backup_work_t *work;
    const char *to;
} taking_t;

static apr_status_t take_file(void *baton, const char *path, const char *rel,
                              const struct stat *st)
{
    taking_t *taking = baton;
    backup_work_t *work = taking->work;
    hb_op_t *op = work->op;
    const char *to = apr_pstrcat(op->pool, taking->to, "/", rel, NULL);
    apr_status_t rv;

    (void)st;
    rv = backup_dir_make(apr_pstrndup(op->pool, to, (apr_size_t)(strrchr(to, '/') - to)),
                         op->pool);
    if (rv != APR_SUCCESS) {
        return backup_io(op, to, rv);
    }
    rv = backup_copy(NULL, work, path, to);
    if (rv != APR_SUCCESS && rv != APR_EINTR && access(path, F_OK) != 0) {
        hb_op_recover(op);      /* a mail that was sent meanwhile */
        rv = APR_SUCCESS;
    }
    return rv;
}

/* One path that the sysadmin named: a file or a directory. */
static apr_status_t take_other(taking_t *taking, const char *path)
{
    hb_op_t *op = taking->work->op;
    const char *root = taking->to;
    struct stat st;
    apr_status_t rv;

    if (path[0] != '/' || lstat(path, &st) != 0 || access(path, R_OK) != 0) {
        /* Without it the rest is still worth having, but somebody has to know. */
        hb_log(op, HB_LOG_ERR, path[0] == '/' ? errno : 0, HBLOGNO(00506)
               "HaloBuzzBackupFiles: %s is not in the backup: it is %s", path,
               path[0] == '/' ? "not to be read by this user" : "no absolute path");
        return APR_SUCCESS;
    }
    if (S_ISREG(st.st_mode)) {
        return take_file(taking, path, path + 1, &st);
    }
    taking->to = apr_pstrcat(op->pool, root, path, NULL);
    rv = walk(path, "", 0, take_file, taking, op->pool);
    taking->to = root;
    return rv == EACCES || rv == ENOENT ? APR_SUCCESS : rv;
}

/* What is in the state directory besides is made anew, is of this host alone (its name among the
 * hosts), or is the store's, which has a copy of its own. */
apr_status_t backup_files_copy(backup_work_t *work, const char *dir)
{
    hb_op_t *op = work->op;
    const hb_settings_t *settings = op->site->settings;
    const char *keys = apr_pstrcat(op->pool, settings->state_dir, "/" KEYS, NULL);
    taking_t taking = { work, apr_pstrcat(op->pool, dir, "/" BACKUP_FILES "/" KEYS, NULL) };
    char *last, *path;
    apr_status_t rv = backup_dir_make(taking.to, op->pool);

    if (rv != APR_SUCCESS) {
        return backup_io(op, taking.to, rv);
    }
    rv = walk(keys, "", 0, take_file, &taking, op->pool);
    if (rv == APR_SUCCESS || rv == ENOENT) {    /* a site may have all its keys elsewhere */
        taking.to = apr_pstrcat(op->pool, dir, "/" BACKUP_FILES "/" MAIL, NULL);
        rv = walk(settings->mail_spool, "", 0, take_file, &taking, op->pool);
    }
    rv = rv == ENOENT ? APR_SUCCESS : rv;
    taking.to = apr_pstrcat(op->pool, dir, "/" BACKUP_FILES "/" OTHER, NULL);
    path = apr_strtok(apr_pstrdup(op->pool, settings->backup_files), ", ", &last);
    for (; rv == APR_SUCCESS && path != NULL; path = apr_strtok(NULL, ", ", &last)) {
        rv = take_other(&taking, path);
    }
    return rv;
}

typedef struct giving_t {
    backup_work_t *work;
    int n;
} giving_t;

static apr_status_t give_file(void *baton, const char *path, const char *rel,
                              const struct stat *st)
{
    giving_t *giving = baton;
    hb_op_t *op = giving->work->op;
    const char *to = apr_pstrcat(op->pool, op->site->settings->state_dir,
                                 "/" KEYS "/", rel, NULL);
    apr_status_t rv;

    (void)st;
    if (access(to, F_OK) == 0) {
        return APR_SUCCESS;
    }
    rv = backup_dir_make(apr_pstrndup(op->pool, to, (apr_size_t)(strrchr(to, '/') - to)),
                         op->pool);
    if (rv != APR_SUCCESS) {
        return backup_io(op, to, rv);
    }
    giving->n++;
    return backup_copy(NULL, giving->work, path, to);
}

apr_status_t backup_files_restore(int *n, backup_work_t *work, const hb_backup_t *backup)
{
    giving_t giving = { work, 0 };
    const char *from = apr_pstrcat(work->op->pool, backup->path, "/" BACKUP_FILES "/" KEYS,
                                   NULL);
    apr_status_t rv = walk(from, "", 0, give_file, &giving, work->op->pool);

    *n = giving.n;
    return rv == ENOENT ? APR_SUCCESS : rv;
}

/* --- sums of a backup --- */

typedef struct summing_t {
    backup_work_t *work;
    int fd;                     /* of the list being written; or */
    apr_hash_t *sums;           /* what it says */
    const hb_backup_t *backup;
} summing_t;

static apr_status_t write_sum(void *baton, const char *path, const char *rel,
                              const struct stat *st)
{
    summing_t *summing = baton;
    hb_op_t *op = summing->work->op;
    const char *digest, *line;
    apr_status_t rv;

    (void)st;
    if (strcmp(rel, BACKUP_CHECK) == 0) {
        return APR_SUCCESS;
    }
    rv = backup_digest(&digest, summing->work, path);
    if (rv == APR_SUCCESS) {
        line = apr_pstrcat(op->pool, digest, "  ", rel, "\n", NULL);
        errno = hb_file_write(summing->fd, line, strlen(line));
        rv = errno != 0 ? backup_io(op, BACKUP_CHECK, errno) : hb_file_sync(path);
    }
    return rv;
}

apr_status_t backup_check_write(backup_work_t *work, const char *dir)
{
    const char *path = apr_pstrcat(work->op->pool, dir, "/" BACKUP_CHECK, NULL);
    summing_t summing = { .work = work };
    apr_status_t rv;

    summing.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (summing.fd < 0) {
        return backup_io(work->op, path, errno);
    }
    rv = walk(dir, "", 0, write_sum, &summing, work->op->pool);
    if (rv == APR_SUCCESS && fsync(summing.fd) != 0) {
        rv = backup_io(work->op, path, errno);
    }
    close(summing.fd);
    return rv;
}

apr_status_t backup_check_read(apr_hash_t **sums, hb_op_t *op, const hb_backup_t *backup)
{
    const char *path = apr_pstrcat(op->pool, backup->path, "/" BACKUP_CHECK, NULL);
    FILE *file = fopen(path, "re");
    char line[4352];

    *sums = apr_hash_make(op->pool);
    if (file == NULL) {
        return backup_damaged(op, "%s has no %s", backup->name, BACKUP_CHECK);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end = strchr(line, '\n');

        if (end == NULL || end - line < 2 * DIGEST_BYTES + 3) {
            fclose(file);
            return backup_damaged(op, "%s of %s is cut off", BACKUP_CHECK, backup->name);
        }
        *end = '\0';
        line[2 * DIGEST_BYTES] = '\0';
        apr_hash_set(*sums, apr_pstrdup(op->pool, line + 2 * DIGEST_BYTES + 2),
                     APR_HASH_KEY_STRING, apr_pstrdup(op->pool, line));
    }
    fclose(file);
    return APR_SUCCESS;
}

apr_status_t backup_check_one(hb_op_t *op, const hb_backup_t *backup, apr_hash_t *sums,
                              const char *file, const char *digest)
{
    const char *wanted = apr_hash_get(sums, file, APR_HASH_KEY_STRING);

    if (wanted == NULL) {
        return backup_damaged(op, "%s says nothing of %s in %s", BACKUP_CHECK, file,
                              backup->name);
    }
    if (strcmp(wanted, digest) != 0) {
        return backup_damaged(op, "%s in %s is not as it was written", file, backup->name);
    }
    return APR_SUCCESS;
}

apr_status_t backup_check_files(backup_work_t *work, const hb_backup_t *backup)
{
    apr_pool_t *pool = work->op->pool;
    apr_hash_index_t *i;
    apr_hash_t *sums;
    apr_status_t rv = backup_check_read(&sums, work->op, backup);

    for (i = apr_hash_first(pool, sums); rv == APR_SUCCESS && i != NULL; i = apr_hash_next(i)) {
        const void *file;
        const char *digest;

        apr_hash_this(i, &file, NULL, NULL);
        if (strcmp(file, BACKUP_STORE) != 0 && strcmp(file, BACKUP_PAGES) != 0) {
            const char *path = apr_pstrcat(pool, backup->path, "/", file, NULL);

            rv = access(path, F_OK) != 0
                ? backup_damaged(work->op, "%s has no %s", backup->name, (const char *)file)
                : backup_digest(&digest, work, path);
            if (rv == APR_SUCCESS) {
                rv = backup_check_one(work->op, backup, sums, file, digest);
            }
        }
    }
    return rv;
}
