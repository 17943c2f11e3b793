/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of backups: what is there, what of it can be restored, which one is meant. */
#include "hb_backup_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_time.h"

#define MANIFEST_MAX_BYTES 65536
#define CHAIN_MAX 100000

const char *backup_name(apr_pool_t *pool, apr_int64_t number, apr_time_t at, int is_full)
{
    char text[HB_TIME_BYTES];

    hb_time_write(text, at);    /* 2026-11-21T14:30:00.000Z */
    return apr_psprintf(pool, "%05" APR_INT64_T_FMT "-%.4s%.2s%.5s%.2s%.2sZ-%s", number, text,
                        text + 5, text + 8, text + 14, text + 17, is_full ? "full" : "incr");
}

/* The number that a directory's name begins with; 0 when it is no backup. */
static apr_int64_t number_of(const char *name)
{
    apr_size_t len = strlen(name);
    char *end;
    apr_int64_t number = apr_strtoi64(name, &end, 10);

    if (number <= 0 || *end != '-' || len < 5
        || (strcmp(name + len - 5, "-full") != 0 && strcmp(name + len - 5, "-incr") != 0)) {
        return 0;
    }
    return number;
}

static const char *read_all(apr_size_t *len, const char *path, apr_pool_t *pool)
{
    char *text = NULL;
    struct stat st;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    *len = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size < MANIFEST_MAX_BYTES) {
        text = apr_palloc(pool, (apr_size_t)st.st_size + 1);
        n = read(fd, text, (size_t)st.st_size);
        *len = n > 0 ? (apr_size_t)n : 0;
        text[*len] = '\0';
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static apr_time_t proved_at(const char *dir, apr_pool_t *pool)
{
    apr_size_t len;
    const char *text = read_all(&len, apr_pstrcat(pool, dir, "/" BACKUP_PROVED, NULL), pool);
    apr_time_t when = 0;

    if (text != NULL && len >= HB_TIME_BYTES - 1) {
        hb_time_read(&when, apr_pstrndup(pool, text, HB_TIME_BYTES - 1));
    }
    return when;
}

static const char *read_manifest(hb_backup_t *backup, apr_pool_t *pool)
{
    const char *path = apr_pstrcat(pool, backup->path, "/" BACKUP_MANIFEST, NULL), *text, *why;
    hb_json_t *json;
    apr_size_t len;

    text = read_all(&len, path, pool);
    if (text == NULL) {
        return "its manifest.json is missing or cannot be read";
    }
    if (hb_json_parse(&json, &why, text, len, pool) != APR_SUCCESS) {
        return "its manifest.json is damaged";
    }
    if (hb_json_int(json, "format", 0) != BACKUP_FORMAT) {
        return "another version of this program made it";
    }
    backup->is_full = hb_json_bool(json, "full", 0);
    backup->base = hb_json_string(json, "base");
    backup->page_bytes = hb_json_int(json, "pageBytes", 0);
    backup->pages = hb_json_int(json, "pages", 0);
    if (hb_json_string(json, "takenAt") == NULL
        || !hb_time_read(&backup->taken_at, hb_json_string(json, "takenAt"))
        || backup->page_bytes < 512 || backup->pages < 1
        || backup->is_full == (backup->base != NULL)) {
        return "its manifest.json is damaged";
    }
    if (access(apr_pstrcat(pool, backup->path, backup->is_full ? "/" BACKUP_STORE
                           : "/" BACKUP_PAGES, NULL), R_OK) != 0) {
        return backup->is_full ? "its store.db is missing" : "its pages are missing";
    }
    return NULL;
}

void backup_read(hb_backup_t *backup, hb_op_t *op, const char *dir, const char *name)
{
    memset(backup, 0, sizeof(*backup));
    backup->name = apr_pstrdup(op->pool, name);
    backup->path = apr_pstrcat(op->pool, dir, "/", name, NULL);
    backup->number = number_of(name);
    backup->damage = read_manifest(backup, op->pool);
    backup->proved_at = proved_at(backup->path, op->pool);
    backup->bytes = backup_dir_bytes(backup->path, op->pool);
}

static int newest_first(const void *a, const void *b)
{
    apr_int64_t x = ((const hb_backup_t *)a)->number, y = ((const hb_backup_t *)b)->number;

    return x < y ? 1 : x > y ? -1 : 0;
}

static const hb_backup_t *by_name(const hb_backup_t *list, int n, const char *name)
{
    while (n > 0 && strcmp(list->name, name) != 0) {
        list++;
        n--;
    }
    return n > 0 ? list : NULL;
}

/* What stands on a damaged one is of no use either. From the oldest on. */
static void spread_damage(hb_backup_t *list, int n, hb_op_t *op)
{
    const hb_backup_t *base;
    int i;

    for (i = n - 1; i >= 0; i--) {
        if (list[i].damage == NULL && list[i].base != NULL) {
            base = by_name(list + i + 1, n - i - 1, list[i].base);
            if (base == NULL) {
                list[i].damage = apr_psprintf(op->pool, "%s, which it stands on, is missing",
                                              list[i].base);
            }
            else if (base->damage != NULL) {
                list[i].damage = apr_psprintf(op->pool, "%s, which it stands on, is damaged",
                                              base->name);
            }
            else if (base->page_bytes != list[i].page_bytes) {
                list[i].damage = "its pages are not of the size of those it stands on";
            }
        }
    }
}

apr_status_t hb_backup_list(const hb_backup_t **list, int *n, hb_op_t *op)
{
    const char *dir = op->site->settings->backup_dir;
    apr_array_header_t *found = apr_array_make(op->pool, 32, sizeof(hb_backup_t));
    struct dirent *entry;
    DIR *open_dir = opendir(dir);

    *list = NULL;
    *n = 0;
    if (open_dir == NULL) {
        return errno == ENOENT ? APR_SUCCESS : backup_io(op, dir, errno);
    }
    while ((entry = readdir(open_dir)) != NULL) {
        if (number_of(entry->d_name) > 0) {
            backup_read(apr_array_push(found), op, dir, entry->d_name);
        }
    }
    closedir(open_dir);
    qsort(found->elts, (size_t)found->nelts, sizeof(hb_backup_t), newest_first);
    spread_damage((hb_backup_t *)found->elts, found->nelts, op);
    *list = (const hb_backup_t *)found->elts;
    *n = found->nelts;
    return APR_SUCCESS;
}

apr_status_t backup_chain(const hb_backup_t ***chain, int *n, hb_op_t *op,
                          const hb_backup_t *backup)
{
    apr_array_header_t *links = apr_array_make(op->pool, 32, sizeof(hb_backup_t *));
    const hb_backup_t *list, *link = backup;
    int i, n_list;
    apr_status_t rv = hb_backup_list(&list, &n_list, op);

    while (rv == APR_SUCCESS && link != NULL && links->nelts < CHAIN_MAX) {
        if (link->damage != NULL) {
            return backup_damaged(op, "%s: %s", link->name, link->damage);
        }
        APR_ARRAY_PUSH(links, const hb_backup_t *) = link;
        link = link->base != NULL ? by_name(list, n_list, link->base) : NULL;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *n = links->nelts;
    *chain = apr_palloc(op->pool, sizeof(**chain) * (apr_size_t)(*n + 1));
    for (i = 0; i < *n; i++) {
        (*chain)[*n - 1 - i] = APR_ARRAY_IDX(links, i, const hb_backup_t *);
    }
    if (*n == 0 || !(*chain)[0]->is_full) {
        return backup_damaged(op, "%s: what it stands on is missing", backup->name);
    }
    return APR_SUCCESS;
}

/* Those that stand on the newest usable full one are the present lot; the previous lot is before. */
static int skip_lot(const hb_backup_t *list, int n)
{
    int i = 0;

    while (i < n && (list[i].damage != NULL || !list[i].is_full)) {
        i++;
    }
    return i < n ? i + 1 : n;
}

apr_status_t hb_backup_find(const hb_backup_t **backup, hb_op_t *op,
                            const hb_backup_choice_t *choice)
{
    const hb_backup_t *list;
    int i, n;
    apr_status_t rv = hb_backup_list(&list, &n, op);

    *backup = NULL;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (choice->name != NULL) {
        *backup = by_name(list, n, choice->name);
        if (*backup != NULL && (*backup)->damage != NULL) {
            return backup_damaged(op, "%s: %s", choice->name, (*backup)->damage);
        }
    }
    for (i = choice->is_previous ? skip_lot(list, n) : 0;
         choice->name == NULL && *backup == NULL && i < n; i++) {
        if (list[i].damage == NULL && (choice->at == 0 || list[i].taken_at <= choice->at)) {
            *backup = &list[i];
        }
    }
    if (*backup == NULL) {
        return hb_fail(op, HB_E_BACKUP_UNKNOWN, "%s holds %s", op->site->settings->backup_dir,
                       n == 0 ? "no backups" : "no such backup that can be restored; "
                       "halobuzzctl backup list shows them");
    }
    return APR_SUCCESS;
}
