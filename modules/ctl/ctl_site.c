/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site as the operator's command sees it: settings of the running server, its keys and its
 * store, opened as the user the server runs as.
 */
#include "ctl.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <apr_file_info.h>
#include <apr_strings.h>

#include "hb_program.h"
#include "hb_store.h"

#define SECRET_MAX_BYTES 1024

const char *ctl_settings(ctl_t *ctl)
{
    const hb_settings_t *loaded;
    const char *why;

    if (ctl->settings != NULL) {
        return NULL;
    }
    if (ctl->settings_path == NULL) {
        ctl->settings_path = hb_program_settings();
    }
    if (ctl->settings_path != NULL && access(ctl->settings_path, R_OK) != 0) {
        return apr_psprintf(ctl->pool, "the settings file %s cannot be read: %s%s",
                            ctl->settings_path, strerror(errno),
                            errno == EACCES ? "; run this as root or as the server's user"
                            : errno == ENOENT ? "; the server writes it when it starts" : "");
    }
    why = hb_settings_load(&loaded, ctl->settings_path, ctl->pool);
    /* Who may not read the file of a URL can still ask the server how it is: opening the site tells. */
    if (why == NULL && hb_settings_resolve(&ctl->settings, loaded, ctl->pool) != NULL) {
        ctl->settings = loaded;
    }
    return why;
}

static const char *user_name(apr_pool_t *pool, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    return user != NULL ? apr_pstrdup(pool, user->pw_name)
                        : apr_psprintf(pool, "#%lu", (unsigned long)uid);
}

/* Who the server runs as, and whether we may be that. @return NULL, or a sentence with the fix */
static const char *find_owner(const ctl_t *ctl)
{
    const char *dir = ctl->settings->state_dir, *owner;
    struct stat st;

    if (stat(dir, &st) != 0) {
        return apr_psprintf(ctl->pool, "the state directory %s: %s%s%s%s", dir, strerror(errno),
                            errno == ENOENT ? "; make it for the server's user: install -d -o "
                                              "www-data -g www-data -m 750 " : "",
                            errno == ENOENT ? dir : "",
                            errno == EACCES ? "; run this as root" : "");
    }
    if (!S_ISDIR(st.st_mode)) {
        return apr_psprintf(ctl->pool, "%s is not a directory", dir);
    }
    if (geteuid() != 0 && geteuid() != st.st_uid) {
        owner = user_name(ctl->pool, st.st_uid);
        return apr_psprintf(ctl->pool, "%s belongs to %s: run this as root, or: runuser -u %s "
                            "-- halobuzzctl %s", dir, owner, owner, ctl->command);
    }
    return NULL;
}

static void to_stderr(void *baton, hb_level_e level, apr_status_t status,
                      const char *request_id, const char *line)
{
    char buf[200];

    (void)baton;
    (void)level;
    (void)request_id;
    fprintf(stderr, "%s%s%s\n", line, status != 0 ? ": " : "",
            status != 0 ? hb_strerror(status, buf, sizeof(buf)) : "");
}

typedef apr_status_t open_fn(hb_site_t *site, const hb_site_memory_t *memory,
                             apr_pool_t *pool);

static int make_op(hb_op_t **op, ctl_t *ctl, open_fn *open_site)
{
    hb_log_t log = { to_stderr, NULL, ctl->is_verbose ? HB_LOG_DEBUG : HB_LOG_WARNING };
    const char *why = ctl_settings(ctl);
    hb_op_t *made;
    apr_status_t rv;

    if (why == NULL && ctl->site == NULL) {
        why = find_owner(ctl);
    }
    if (why != NULL) {
        return ctl_fail(ctl, "%s", why);
    }
    if (ctl->site == NULL) {
        /* Key and secret files may be root's alone, so they are read before root is given up. */
        if (hb_site_make(&ctl->site, &why, ctl->settings, &log, ctl->pool) == APR_SUCCESS) {
            why = hb_program_become_owner(ctl->settings->state_dir, ctl->pool);
        }
        if (why != NULL) {
            ctl->site = NULL;
            return ctl_fail(ctl, "%s", why);
        }
        rv = open_site(ctl->site, NULL, ctl->pool);
        if (rv != APR_SUCCESS) {
            char buf[200];

            ctl_fail(ctl, "the site cannot be opened: %s", hb_strerror(rv, buf, sizeof(buf)));
            return CTL_UNREACHABLE;
        }
    }
    made = hb_op_make(ctl->site, ctl->pool);
    made->actor.is_system = 1;
    made->user_agent = "halobuzzctl";
    *op = made;
    return CTL_OK;
}

int ctl_site_closed(hb_op_t **op, ctl_t *ctl)
{
    return make_op(op, ctl, hb_site_open_storeless);
}

int ctl_site(hb_op_t **op, ctl_t *ctl)
{
    int rc = make_op(op, ctl, hb_site_open);
    apr_status_t rv;

    if (rc == CTL_OK && (rv = hb_store_ping(*op)) != APR_SUCCESS) {
        rc = ctl_fail_op(ctl, *op, rv);
    }
    return rc;
}

/* --- secrets from the operator --- */

static apr_size_t read_line(char *buf, apr_size_t size, FILE *file)
{
    apr_size_t len;

    if (fgets(buf, (int)size, file) == NULL) {
        return 0;
    }
    len = strlen(buf);
    while (len > 0 && (buf[len - 1] == '\n' || buf[len - 1] == '\r')) {
        buf[--len] = '\0';
    }
    return len;
}

static apr_size_t ask(char *buf, apr_size_t size, const char *prompt)
{
    struct termios before, silent;
    apr_size_t len;

    fprintf(stderr, "%s: ", prompt);
    fflush(stderr);
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return 0;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    len = read_line(buf, size, stdin);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return len;
}

int ctl_read_secret(const char **secret, ctl_t *ctl, const char *path, const char *prompt)
{
    char buf[SECRET_MAX_BYTES];
    apr_size_t len = 0;

    if (path != NULL && strcmp(path, "-") != 0) {
        FILE *file = fopen(path, "re");

        if (file == NULL) {
            return ctl_fail(ctl, "%s: %s", path, strerror(errno));
        }
        len = read_line(buf, sizeof(buf), file);
        fclose(file);
    }
    else if (path != NULL) {
        len = read_line(buf, sizeof(buf), stdin);
    }
    else if (isatty(STDIN_FILENO)) {
        len = ask(buf, sizeof(buf), prompt);
    }
    else {
        return ctl_misuse(ctl, "no terminal to ask for the %s: give --password-file FILE, or - "
                          "for standard input", prompt);
    }
    if (len == 0) {
        return ctl_fail(ctl, "the %s is empty", prompt);
    }
    *secret = apr_pstrmemdup(ctl->pool, buf, len);
    memset(buf, 0, sizeof(buf));
    __asm__ volatile("" : : "r"(buf) : "memory");
    return CTL_OK;
}

int ctl_begin(hb_op_t **op, ctl_t *ctl, int argc, const char *const *argv,
              const ctl_option_t *options, const char **args, int min, int max)
{
    int rc = ctl_options(ctl, argc, argv, options, args, min, max);

    return rc == CTL_OK ? ctl_site(op, ctl) : rc;
}

int ctl_list_command(ctl_t *ctl, int argc, const char *const *argv,
                     apr_status_t (*list)(hb_json_t **list, hb_op_t *op, int limit,
                                          const char *after),
                     void (*print)(const ctl_t *ctl, const hb_json_t *item))
{
    const char *after = NULL;
    int limit = 20;
    const ctl_option_t options[] = {
        { "limit", .limit = &limit },
        { "after", &after, NULL },
        { NULL, NULL, NULL }
    };
    hb_json_t *found;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = list(&found, op, limit, after);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_list(ctl, found, print);
    return CTL_OK;
}

int ctl_one_command(ctl_t *ctl, int argc, const char *const *argv,
                    apr_status_t (*act)(hb_json_t **view, hb_op_t *op, const char *id),
                    void (*print)(const ctl_t *ctl, const hb_json_t *item))
{
    const char *args[2];
    hb_json_t *view;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, NULL, args, 1, 1);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = act(&view, op, args[0]);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_one(ctl, view, print);
    return CTL_OK;
}
