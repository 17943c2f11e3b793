/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that all processes of the server share: limits, cache, counters, switches. One
 * memory file, mapped by the parent and inherited by fork, so nothing of it has a name that a
 * crash could leave behind. What survives a reload is in httpd's retained data, since
 * statics may not (the modules are unloaded and loaded again). hb_share.h has the layout.
 */
#include "mod_halobuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>
#include <http_config.h>

#include "hb_share.h"

APLOG_USE_MODULE(halobuzz);

#define RETAINED "halobuzz"

typedef struct retained_t {
    apr_time_t started_at;
    hb_share_head_t *base;      /* NULL until made */
    int fd;
    int lock_fd;                /* -1: not locked */
    dev_t lock_dev;
    ino_t lock_ino;
} retained_t;

static retained_t *retained(void)
{
    retained_t *kept = ap_retained_data_get(RETAINED);

    if (kept == NULL) {
        kept = ap_retained_data_create(RETAINED, sizeof(*kept));
        kept->started_at = apr_time_now();
        kept->fd = -1;
        kept->lock_fd = -1;
    }
    return kept;
}

apr_time_t hb_ap_started_at(void)
{
    return retained()->started_at;
}

static int fits(const hb_share_head_t *base, const hb_share_head_t *want)
{
    return base != NULL && memcmp(base, want, sizeof(*want)) == 0;
}

static apr_status_t make(retained_t *kept, const hb_share_head_t *want)
{
    int fd = memfd_create("halobuzz", MFD_CLOEXEC);
    void *base;

    if (fd < 0) {
        return errno;
    }
    if (ftruncate(fd, (off_t)want->bytes) != 0) {
        int e = errno;

        close(fd);
        return e;
    }
    base = mmap(NULL, want->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        int e = errno;

        close(fd);
        return e;
    }
    if (kept->base != NULL) {
        /* Children of the old configuration have mappings of their own. */
        munmap(kept->base, kept->base->bytes);
        close(kept->fd);
    }
    kept->fd = fd;
    kept->base = base;
    *kept->base = *want;
    return APR_SUCCESS;
}

apr_status_t hb_ap_memory_get(hb_site_memory_t *memory, int *was_replaced,
                              const hb_ap_wants_t *wants)
{
    retained_t *kept = retained();
    hb_share_head_t want = hb_share_head(wants->limit_bytes, wants->cache_bytes,
                                         wants->metrics_bytes);

    *was_replaced = 0;
    if (!fits(kept->base, &want)) {
        apr_status_t rv;

        *was_replaced = kept->base != NULL;
        rv = make(kept, &want);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    hb_share_parts(memory, kept->base);
    return APR_SUCCESS;
}

int hb_ap_memory_fd(void)
{
    return retained()->fd;
}

/*
 * Two servers with one state directory would have two caches and two sets of limits over
 * the same records: a session ended in one would live on in the other. The lock's
 * descriptor is inherited by the children, so that it holds as long as any of them lives.
 */
apr_status_t hb_ap_memory_lock(const char **why, const char *state_dir, apr_pool_t *pool)
{
    const char *path = apr_pstrcat(pool, state_dir, "/httpd.lock", NULL);
    retained_t *kept = retained();
    char holder[32] = "";
    struct stat info, dir;
    int fd, tries;

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fstat(fd, &info) != 0) {
        *why = apr_psprintf(pool, "%s cannot be opened: %s; give HaloBuzzStateDir a directory "
                            "that the server may write", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return HB_E_CONFIG;
    }
    /* As all in this directory, so that the run user can start the server the next time. */
    if (geteuid() == 0 && stat(state_dir, &dir) == 0 && dir.st_uid != info.st_uid
        && fchown(fd, dir.st_uid, dir.st_gid) != 0) {
        *why = apr_psprintf(pool, "%s cannot be given to the owner of its directory: %s", path,
                            strerror(errno));
        close(fd);
        return HB_E_CONFIG;
    }
    if (kept->lock_fd >= 0 && kept->lock_dev == info.st_dev && kept->lock_ino == info.st_ino) {
        close(fd);              /* ours, from before the reload */
        return APR_SUCCESS;
    }
    /* A server that is just stopping gets a moment. */
    for (tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        ssize_t n;

        if (tries < 30) {
            apr_sleep(apr_time_from_msec(100));
            continue;
        }
        n = pread(fd, holder, sizeof(holder) - 1, 0);
        holder[n > 0 ? strcspn(holder, "\n") : 0] = '\0';
        close(fd);
        *why = apr_psprintf(pool, "another server (process %s) works on %s; stop it, or give "
                            "this one a HaloBuzzStateDir of its own", holder, state_dir);
        return HB_E_CONFIG;
    }
    apr_snprintf(holder, sizeof(holder), "%" APR_PID_T_FMT "\n", getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, strlen(holder), 0) < 0) {
        holder[0] = '\0';       /* the number is for people; the lock is what counts */
    }
    if (kept->lock_fd >= 0) {
        close(kept->lock_fd);
    }
    kept->lock_fd = fd;
    kept->lock_dev = info.st_dev;
    kept->lock_ino = info.st_ino;
    return APR_SUCCESS;
}
