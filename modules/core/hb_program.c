/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program beside httpd, on its own side: takes over the descriptors that httpd left open,
 * writes lines that look like httpd's, and moves to the new error log when httpd does.
 */
#include "hb_program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_error.h"

/* mod_halobuzz writes it into httpd's runtime directory, which Debian has there. */
#define USUAL_SETTINGS "/run/apache2/halobuzz-settings"

struct hb_program_t {
    const char *module;
    int control;                /* -1 without httpd */
    int level;                  /* hb_level_e; read by all threads */
};

/* --- meeting httpd --- */

/* A descriptor that httpd left open; -1 when there is none. Programs started by us do not
 * get it. */
static int inherited(const char *name)
{
    const char *text = getenv(name);
    int fd = text != NULL ? atoi(text) : -1;

    if (fd < 3 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        fd = -1;
    }
    unsetenv(name);
    return fd;
}

hb_program_t *hb_program_open(const char *module, apr_pool_t *pool)
{
    hb_program_t *program = apr_pcalloc(pool, sizeof(*program));

    program->module = apr_pstrdup(pool, module);
    program->level = HB_LOG_NOTICE;
    program->control = inherited(HB_PROGRAM_CONTROL);
    hb_program_reload(program);     /* a note with the level waits there from the start */
    return program;
}

void hb_program_reload(hb_program_t *program)
{
    hb_program_note_t note;
    struct iovec part = { &note, sizeof(note) };
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } extra;
    struct msghdr message;
    struct cmsghdr *head;
    ssize_t n;

    while (program->control >= 0) {
        int fd = -1;

        memset(&message, 0, sizeof(message));
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = &extra;
        message.msg_controllen = sizeof(extra);
        n = recvmsg(program->control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        head = CMSG_FIRSTHDR(&message);
        if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            memcpy(&fd, CMSG_DATA(head), sizeof(fd));
        }
        if (n == sizeof(note) && note.size == sizeof(note)) {
            __atomic_store_n(&program->level, note.level, __ATOMIC_RELAXED);
        }
        if (fd >= 0) {
            dup2(fd, STDERR_FILENO);
            dup2(fd, STDOUT_FILENO);
            close(fd);
        }
    }
}

/* --- the log --- */

/* As httpd writes it by default, so that one reader understands both. */
static void to_error_log(void *baton, hb_level_e level, apr_status_t status,
                         const char *request_id, const char *line)
{
    static const char *const levels[] = {
        "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1"
    };
    const hb_program_t *program = baton;
    char text[4096], space[120], when[32];
    const char *reason = "";
    struct timespec now;
    struct tm local;
    int n;

    if ((int)level > (int)hb_program_level(program)) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(when, sizeof(when), "%a %b %d %H:%M:%S", &local);
    if (status != APR_SUCCESS) {
        reason = hb_strerror(status, space, sizeof(space));
    }
    n = apr_snprintf(text, sizeof(text) - 1, "[%s.%06ld %d] [%s:%s] [pid %ld] %s%s%s%s%s", when,
                     now.tv_nsec / 1000, local.tm_year + 1900, program->module,
                     levels[(int)level < 8 ? (int)level : 8], (long)getpid(), line,
                     *reason != '\0' ? ": " : "", reason,
                     request_id != NULL ? ", request " : "",
                     request_id != NULL ? request_id : "");
    text[n++] = '\n';
    while (write(STDERR_FILENO, text, (size_t)n) < 0 && errno == EINTR) {
        continue;
    }
}

hb_log_t hb_program_log(hb_program_t *program)
{
    hb_log_t log = { to_error_log, program, hb_program_level(program) };

    return log;
}

hb_level_e hb_program_level(const hb_program_t *program)
{
    return (hb_level_e)__atomic_load_n(&program->level, __ATOMIC_RELAXED);
}

void hb_program_set_level(hb_program_t *program, hb_level_e level)
{
    __atomic_store_n(&program->level, level, __ATOMIC_RELAXED);
}

/* --- by hand --- */

const char *hb_program_settings(void)
{
    const char *path = getenv("HALOBUZZ_SETTINGS");

    return path != NULL ? path : access(USUAL_SETTINGS, F_OK) == 0 ? USUAL_SETTINGS : NULL;
}

const char *hb_program_become_owner(const char *dir, apr_pool_t *pool)
{
    const struct passwd *user;
    const char *owner;
    struct stat st;

    if (geteuid() != 0) {
        return NULL;
    }
    if (stat(dir, &st) != 0) {
        return apr_psprintf(pool, "the state directory %s: %s", dir, strerror(errno));
    }
    if (st.st_uid == 0) {
        return NULL;
    }
    user = getpwuid(st.st_uid);
    owner = user != NULL ? apr_pstrdup(pool, user->pw_name)
        : apr_psprintf(pool, "#%lu", (unsigned long)st.st_uid);
    if (initgroups(owner, st.st_gid) != 0 || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0) {
        return apr_psprintf(pool, "cannot become %s, who owns %s: %s", owner, dir,
                            strerror(errno));
    }
    if (setuid(0) == 0) {
        return "root's rights could not be given up";
    }
    umask(027);
    return NULL;
}
