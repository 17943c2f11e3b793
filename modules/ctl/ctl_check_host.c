/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine around the configuration: the state directory, the clock, file limits, and
 * who answers at the public address.
 */
#include "ctl_check.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <apr_strings.h>

#define NFS_MAGIC        0x6969
#define SMB2_MAGIC       0xfe534d42UL
#define FREE_PERCENT_MIN 5
#define FILES_MIN        4096
#define YEAR_OF_RELEASE  apr_time_from_sec(APR_INT64_C(1767225600))     /* 2026-01-01 */
#define CERTIFICATE_SOON apr_time_from_sec(14 * 86400)
#define DEPTH_MAX        8
#define SOCKETS_FEW      1000

/* --- what jobs and requests read and write --- */

/* backup makes the last directory of the path, no more. */
static void check_backup_dir(check_t *check)
{
    const char *dir = check->ctl->settings->backup_dir;
    char *place = apr_pstrdup(check->ctl->pool, dir), *slash = strrchr(place, '/');
    struct stat st;

    if (stat(dir, &st) != 0 && errno == ENOENT && slash != NULL && slash != place) {
        *slash = '\0';
    }
    if (access(place, W_OK | X_OK) != 0) {
        check_note(check, CHECK_CONFIG, CTL_BAD,
                   apr_psprintf(check->ctl->pool, "install -d -m 750 -o OWNER %s, OWNER being the "
                                "owner of %s", dir, check->ctl->settings->state_dir),
                   "no backup can be taken, because %s cannot be written: %s", place,
                   strerror(errno));
    }
}

static void check_readable(check_t *check, const char *directive, const char *path, const char *what)
{
    if (*path != '\0' && access(path, R_OK) != 0) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "make it readable for the owner of HaloBuzzStateDir",
                   "%s: %s cannot be read by the server (%s): %s", directive, path, strerror(errno),
                   what);
    }
}

void check_places(check_t *check)
{
    const hb_settings_t *settings = check->ctl->settings;
    char *files = apr_pstrdup(check->ctl->pool, settings->backup_files), *last = NULL;
    const char *one;

    if (access(settings->state_dir, F_OK) != 0) {
        return;                 /* that was said, and all of this comes after it */
    }
    check_backup_dir(check);
    for (one = apr_strtok(files, ", ", &last); one != NULL; one = apr_strtok(NULL, ", ", &last)) {
        check_readable(check, "HaloBuzzBackupFiles", one, "each backup goes without it");
    }
    check_readable(check, "HaloBuzzReservedNames", settings->reserved_names,
                   "only the built-in names are reserved");
}

/* --- the state directory --- */

/* Files that the owner of the directory cannot change, or that everybody may read. */
static int check_tree(check_t *check, const char *dir, uid_t owner, int depth)
{
    DIR *list = opendir(dir);
    struct dirent *entry;
    int n_wrong = 0;

    if (list == NULL) {
        return 0;
    }
    while ((entry = readdir(list)) != NULL && n_wrong < 5) {
        const char *path = apr_pstrcat(check->ctl->pool, dir, "/", entry->d_name, NULL);
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0
            || lstat(path, &st) != 0) {
            continue;
        }
        if (st.st_uid != owner) {
            check_note(check, CHECK_CONFIG, CTL_BAD,
                       apr_pstrcat(check->ctl->pool, "chown --reference=",
                                   check->ctl->settings->state_dir, " ", path, NULL),
                       "%s belongs to another user than its directory: the server cannot write it",
                       path);
            n_wrong++;
        }
        else if (S_ISREG(st.st_mode) && (st.st_mode & 07) != 0) {
            check_note(check, CHECK_SECURITY, CTL_BAD,
                       apr_pstrcat(check->ctl->pool, "chmod o= ", path, NULL),
                       "%s is open to everybody on this machine", path);
            n_wrong++;
        }
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            n_wrong += check_tree(check, path, owner, depth + 1);
        }
    }
    closedir(list);
    return n_wrong;
}

static void check_disk(check_t *check, const char *dir)
{
    struct statvfs space;
    struct statfs kind;

    if (statvfs(dir, &space) == 0 && space.f_blocks > 0
        && space.f_bavail * 100 / space.f_blocks < FREE_PERCENT_MIN) {
        check_note(check, CHECK_CONFIG, CTL_BAD,
                   apr_pstrcat(check->ctl->pool, "du -xsh ", dir, "/*", NULL),
                   "the disk of %s has less than %d %% left: soon nothing can be written", dir,
                   FREE_PERCENT_MIN);
    }
    if (strncmp(check->ctl->settings->store_url, "sqlite", 6) == 0 && statfs(dir, &kind) == 0
        && ((unsigned long)kind.f_type == NFS_MAGIC
            || (unsigned long)kind.f_type == SMB2_MAGIC)) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "HaloBuzzStateDir on a local disk",
                   "%s is on a network file system, where SQLite loses data", dir);
    }
}

void check_state_dir(check_t *check)
{
    const char *dir = check->ctl->settings->state_dir;
    apr_pool_t *pool = check->ctl->pool;
    const struct passwd *user;
    const char *owner;
    struct stat st;
    int n_wrong = 0;

    if (stat(dir, &st) != 0) {
        check_note(check, CHECK_REQUIRED, CTL_BAD,
                   apr_pstrcat(pool, "install -d -o www-data -g www-data -m 750 ", dir, NULL),
                   "the state directory %s: %s", dir, strerror(errno));
        return;
    }
    user = getpwuid(st.st_uid);
    owner = user != NULL ? apr_pstrdup(pool, user->pw_name) : "?";
    if (!S_ISDIR(st.st_mode)) {
        check_note(check, CHECK_REQUIRED, CTL_BAD, "HaloBuzzStateDir DIRECTORY",
                   "%s is not a directory", dir);
        return;
    }
    if ((st.st_mode & 07) != 0) {
        check_note(check, CHECK_SECURITY, CTL_BAD, apr_pstrcat(pool, "chmod 750 ", dir, NULL),
                   "the state directory %s has mode %04o: everybody on this machine may look in",
                   dir, (unsigned int)(st.st_mode & 07777));
        n_wrong++;
    }
    if (st.st_uid == 0) {
        check_note(check, CHECK_CONFIG, CTL_BAD,
                   apr_pstrcat(pool, "chown -R www-data:www-data ", dir, NULL),
                   "the state directory %s belongs to root, but the server does not run as root",
                   dir);
        n_wrong++;
    }
    n_wrong += check_tree(check, dir, st.st_uid, 0);
    check_disk(check, dir);
    if (n_wrong == 0) {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL, "the state directory %s belongs to %s", dir,
                   owner);
    }
}

/* --- clock and limits --- */

void check_clock(check_t *check)
{
    struct timex clock = { .modes = 0 };

    if (apr_time_now() < YEAR_OF_RELEASE) {
        check_note(check, CHECK_CONFIG, CTL_BAD, "timedatectl set-ntp true",
                   "the clock is before this release was made: tokens and records will be wrong");
    }
    else if (adjtimex(&clock) == TIME_ERROR || (clock.status & STA_UNSYNC) != 0) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, "timedatectl set-ntp true",
                   "nothing keeps this machine's clock in time, as far as its kernel knows");
    }
    else {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL, "the clock is kept in time");
    }
}

/* The running server's own limit, when its pid file is beside the settings. */
static long server_file_limit(check_t *check, const char **who)
{
    static const char *const pid_files[] = { "apache2.pid", "httpd.pid", "../httpd.pid", NULL };
    const char *path = check->ctl->settings_path, *slash;
    apr_pool_t *pool = check->ctl->pool;
    long limit = -1;
    int i;

    slash = path != NULL ? strrchr(path, '/') : NULL;
    for (i = 0; slash != NULL && limit < 0 && pid_files[i] != NULL; i++) {
        char line[200];
        long pid = 0;
        FILE *file = fopen(apr_psprintf(pool, "%.*s/%s", (int)(slash - path), path, pid_files[i]),
                           "re");

        if (file != NULL) {
            if (fscanf(file, "%ld", &pid) != 1) {
                pid = 0;
            }
            fclose(file);
        }
        file = pid > 1 ? fopen(apr_psprintf(pool, "/proc/%ld/limits", pid), "re") : NULL;
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            if (strncmp(line, "Max open files", 14) == 0) {
                limit = atol(line + 14);
            }
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    *who = "the running server";
    return limit;
}

void check_file_limit(check_t *check)
{
    const char *who;
    struct rlimit limit;
    long files = server_file_limit(check, &who);

    if (files < 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        who = "this shell, and what it starts,";
        files = limit.rlim_cur == RLIM_INFINITY ? FILES_MIN : (long)limit.rlim_cur;
    }
    if (files >= 0 && files < FILES_MIN) {
        check_note(check, CHECK_CONFIG, CTL_NOTE,
                   "APACHE_ULIMIT_MAX_FILES='ulimit -n 65536' in /etc/apache2/envvars, or "
                   "LimitNOFILE=65536 in the unit",
                   "%s may open %ld files; each connection takes one or two", who, files);
    }
    else {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL, "%s may open %ld files", who, files);
    }
}

/* --- the public address --- */

static int is_local(const char *url)
{
    const char *host = strstr(url, "://");

    host = host != NULL ? host + 3 : url;
    return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0
           || strncmp(host, "[::1]", 5) == 0;
}

static void check_certificate(check_t *check, const char *url)
{
    ctl_t *ctl = check->ctl;
    const char *why, *ignored;
    apr_time_t end = ctl_certificate_end(ctl, url, &why), now = apr_time_now();
    int was_insecure = ctl->is_insecure;

    if (end == 0) {
        /* Who does not trust a certificate can still read in it. */
        ctl->is_insecure = 1;
        end = ctl_certificate_end(ctl, url, &ignored);
        ctl->is_insecure = was_insecure;
        if (end == 0) {
            check_note(check, CHECK_CONFIG, CTL_NOTE, "apache2ctl start, when it should be up",
                       "nothing answers at %s: %s", url, why);
            return;
        }
        check_note(check, CHECK_SECURITY, is_local(url) ? CTL_NOTE : CTL_BAD,
                   "a certificate that clients trust: mod_md gets and renews one",
                   "the certificate of %s is not trusted: %s", url, why);
    }
    if (end < now) {
        check_note(check, CHECK_SECURITY, CTL_BAD, "renew it, then apache2ctl graceful",
                   "the certificate of %s has ended", url);
    }
    else if (end - now < CERTIFICATE_SOON) {
        check_note(check, CHECK_SECURITY, CTL_NOTE, "renew it, then apache2ctl graceful",
                   "the certificate of %s ends in %d days", url,
                   (int)(apr_time_sec(end - now) / 86400));
    }
    if (ctl_takes_old_tls(ctl, url)) {
        check_note(check, CHECK_SECURITY, CTL_BAD, "SSLProtocol -all +TLSv1.2 +TLSv1.3",
                   "%s still speaks TLS below 1.2", url);
    }
    else {
        check_note(check, CHECK_SECURITY, CTL_GOOD, NULL, "%s speaks TLS 1.2 and above", url);
    }
}

void check_address(check_t *check)
{
    const char *url = check->ctl->settings->public_url;
    ctl_reply_t reply;

    if (strncmp(url, "https://", 8) == 0) {
        check_certificate(check, url);
        return;
    }
    check_note(check, CHECK_SECURITY, is_local(url) ? CTL_NOTE : CTL_BAD,
               "HaloBuzzPublicURL https://...", "HaloBuzzPublicURL %s is not encrypted", url);
    ctl_http(&reply, check->ctl, "GET", url, NULL, NULL);
    if (reply.status == 0) {
        check_note(check, CHECK_CONFIG, CTL_NOTE, "apache2ctl start, when it should be up",
                   "nothing answers at %s: %s", url, reply.why);
    }
}

void check_sockets(check_t *check)
{
    static const char name[] = "\nhalobuzz_realtime_room ";
    ctl_t *ctl = check->ctl;
    ctl_reply_t reply;
    const char *at;
    int room, was_insecure = ctl->is_insecure;

    ctl->is_insecure = 1;       /* of the certificate enough was said */
    ctl_http(&reply, ctl, "GET", apr_pstrcat(ctl->pool, ctl->settings->public_url,
                                             "/api/v1/monitoring/metrics", NULL), NULL, NULL);
    ctl->is_insecure = was_insecure;
    at = reply.status == 200 && reply.body != NULL ? strstr(reply.body, name) : NULL;
    room = at != NULL ? atoi(at + sizeof(name) - 1) : 0;
    if (room > 0 && room < SOCKETS_FEW) {
        check_note(check, CHECK_CONFIG, CTL_NOTE,
                   "the event MPM, AsyncRequestWorkerFactor 400, and a ulimit -n of twice the sockets",
                   "a child of the server can hold %d sockets and still answer requests", room);
    }
    else if (room > 0) {
        check_note(check, CHECK_CONFIG, CTL_GOOD, NULL,
                   "a child of the server can hold %d sockets", room);
    }
}
