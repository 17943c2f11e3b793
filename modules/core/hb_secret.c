/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets come from: a file, the environment, a program. The sentences made here
 * teach the sysadmin what to change and never hold a secret: a reference that has none of
 * the three forms may be the secret itself, so it is not repeated either.
 */
#include "hb_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_env.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <apr_time.h>

#include <openssl/crypto.h>

#include "hb_error.h"
#include "hb_secret_kept.h"

#define FILE_MAX_BYTES (64 * 1024)
#define LINE_MAX_BYTES 4096
#define EXEC_WAIT apr_time_from_sec(10)

typedef struct wipe_t {
    void *bytes;
    apr_size_t len;
} wipe_t;

static apr_status_t wipe_now(void *baton)
{
    wipe_t *wipe = baton;

    OPENSSL_cleanse(wipe->bytes, wipe->len);
    return APR_SUCCESS;
}

void hb_secret_wipe_with(apr_pool_t *pool, void *bytes, apr_size_t len)
{
    wipe_t *wipe = apr_palloc(pool, sizeof(*wipe));

    wipe->bytes = bytes;
    wipe->len = len;
    apr_pool_cleanup_register(pool, wipe, wipe_now, apr_pool_cleanup_null);
}

/* The part behind "file:" and the like, or NULL. */
static const char *form_of(const char *reference, const char *form)
{
    apr_size_t n = strlen(form);

    return strncmp(reference, form, n) == 0 ? reference + n : NULL;
}

const char *hb_secret_check(const char *reference, apr_pool_t *pool)
{
    const char *rest;
    const char *c;

    (void)pool;
    if (reference == NULL || *reference == '\0') {
        return "the secret is empty: write file:/path, env:NAME or exec:/path args";
    }
    rest = form_of(reference, "file:");
    if (rest != NULL) {
        return *rest == '/' ? NULL
            : "a secret in a file needs the absolute path of the file: file:/etc/halobuzz/name";
    }
    rest = form_of(reference, "exec:");
    if (rest != NULL) {
        return *rest == '/' ? NULL
            : "a secret from a program needs its absolute path: exec:/usr/local/bin/program args";
    }
    rest = form_of(reference, "env:");
    if (rest != NULL) {
        for (c = rest; apr_isalnum(*c) || *c == '_'; c++) {
            continue;
        }
        return c != rest && *c == '\0' ? NULL
            : "a secret from the environment needs the name of a variable: env:NAME "
              "(letters, digits and _)";
    }
    return "a secret is written as file:/path, env:NAME or exec:/path args; the value itself "
           "is not taken, because server-info would show it";
}

apr_status_t hb_secret_read_file(char **text, const char **why, const char *path,
                                 apr_pool_t *pool)
{
    struct stat st;
    char buf[120];
    apr_size_t len = 0;
    apr_status_t rv;
    ssize_t n = 0;
    /* A named pipe would hold up the start for ever without O_NONBLOCK. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        rv = errno;
        if (rv == ENOENT) {
            return APR_ENOENT;
        }
        *why = apr_psprintf(pool, "%s cannot be opened: %s", path,
                            apr_strerror(rv, buf, sizeof(buf)));
        return HB_E_CONFIG;
    }
    rv = HB_E_CONFIG;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        *why = apr_psprintf(pool, "%s is not a regular file", path);
        goto leave;
    }
    if ((st.st_mode & 037) != 0) {
        *why = apr_psprintf(pool, "%s has mode %04o, so that others than its owner may read or "
                            "change it: use chmod 0640 or 0600", path,
                            (unsigned int)(st.st_mode & 07777));
        goto leave;
    }
    if (st.st_size > FILE_MAX_BYTES) {
        *why = apr_psprintf(pool, "%s is larger than %d bytes: is it the right file?", path,
                            FILE_MAX_BYTES);
        goto leave;
    }
    *text = apr_pcalloc(pool, FILE_MAX_BYTES + 2);
    hb_secret_wipe_with(pool, *text, FILE_MAX_BYTES + 2);
    while (len <= FILE_MAX_BYTES) {
        n = read(fd, *text + len, FILE_MAX_BYTES + 1 - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        len += n;
    }
    if (n < 0 || len > FILE_MAX_BYTES) {
        *why = apr_psprintf(pool, "%s cannot be read, or it grows", path);
    }
    else if (memchr(*text, 0, len) != NULL) {
        *why = apr_psprintf(pool, "%s holds a 0 byte: a secret is one line of text", path);
    }
    else {
        rv = APR_SUCCESS;
    }
leave:
    close(fd);
    return rv;
}

/* Everything a program writes, until it closes its end, the buffer is full or time is up. */
static apr_status_t read_output(char *buf, apr_size_t size, apr_proc_t *proc, apr_time_t until)
{
    apr_size_t len = 0, n;
    apr_interval_time_t left;
    apr_status_t rv = APR_SUCCESS;

    while (len < size) {
        left = until - apr_time_now();
        if (left <= 0) {
            return APR_TIMEUP;
        }
        apr_file_pipe_timeout_set(proc->out, left);
        n = size - len;
        rv = apr_file_read(proc->out, buf + len, &n);
        if (rv != APR_SUCCESS) {
            break;
        }
        len += n;
    }
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}

/* Wait for a program's end until a moment, then end it by force. */
static apr_status_t reap(int *code, apr_exit_why_e *exit_why, apr_proc_t *proc,
                         apr_time_t until)
{
    apr_status_t rv;

    for (;;) {
        rv = apr_proc_wait(proc, code, exit_why, APR_NOWAIT);
        if (rv != APR_CHILD_NOTDONE) {
            return rv;
        }
        if (apr_time_now() >= until) {
            apr_proc_kill(proc, SIGKILL);
            apr_proc_wait(proc, code, exit_why, APR_WAIT);
            return APR_TIMEUP;
        }
        apr_sleep(apr_time_from_msec(5));
    }
}

static apr_status_t read_exec(char **text, const char **why, const char *command,
                              apr_pool_t *pool)
{
    apr_time_t until = apr_time_now() + EXEC_WAIT;
    apr_procattr_t *attr;
    apr_file_t *nothing;
    apr_proc_t proc;
    apr_exit_why_e exit_why = APR_PROC_EXIT;
    apr_status_t rv, ended;
    apr_pool_t *scratch;
    char **argv = NULL, *line_end;
    char buf[120];
    int code = 0;

    *text = apr_pcalloc(pool, LINE_MAX_BYTES + 1);
    hb_secret_wipe_with(pool, *text, LINE_MAX_BYTES + 1);
    apr_pool_create(&scratch, pool);
    rv = apr_tokenize_to_argv(command, &argv, scratch);
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_create(&attr, scratch);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_io_set(attr, APR_NO_PIPE, APR_FULL_BLOCK, APR_NO_PIPE);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_open(&nothing, "/dev/null", APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, scratch);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_child_in_set(attr, nothing, NULL);
    }
    if (rv == APR_SUCCESS) {
        /* No shell: what is written is what is started. The environment is handed on. */
        rv = apr_procattr_cmdtype_set(attr, APR_PROGRAM_ENV);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_procattr_error_check_set(attr, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_proc_create(&proc, argv[0], (const char *const *)argv, NULL, attr, scratch);
    }
    if (rv != APR_SUCCESS) {
        *why = apr_psprintf(pool, "the program of exec:%s cannot be started: %s",
                            argv != NULL && argv[0] != NULL ? argv[0] : command,
                            apr_strerror(rv, buf, sizeof(buf)));
        apr_pool_destroy(scratch);
        return HB_E_CONFIG;
    }
    rv = read_output(*text, LINE_MAX_BYTES, &proc, until);
    apr_file_close(proc.out);
    ended = reap(&code, &exit_why, &proc, until);
    if (APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_TIMEUP(ended)) {
        *why = apr_psprintf(pool, "the program of exec:%s did not end within 10 s", argv[0]);
        rv = HB_E_CONFIG;
    }
    else if (rv != APR_SUCCESS) {
        *why = apr_psprintf(pool, "the output of exec:%s cannot be read", argv[0]);
        rv = HB_E_CONFIG;
    }
    else if (exit_why != APR_PROC_EXIT || code != 0) {
        *why = apr_psprintf(pool, "the program of exec:%s ended with %s %d; it has to print the "
                            "secret as its first line and end with status 0", argv[0],
                            exit_why == APR_PROC_EXIT ? "status" : "signal", code);
        rv = HB_E_CONFIG;
    }
    else {
        line_end = strchr(*text, '\n');
        if (line_end != NULL) {
            line_end[1] = '\0';
        }
        rv = APR_SUCCESS;
    }
    apr_pool_destroy(scratch);
    return rv;
}

static void drop_newline(char *text)
{
    apr_size_t len = strlen(text);

    if (len > 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
        if (len > 0 && text[len - 1] == '\r') {
            text[len - 1] = '\0';
        }
    }
}

/* What a program gives; what it gave for the configuration before this one, when it fails now. */
static apr_status_t ask(char **text, const char **why, const char *command, apr_pool_t *pool)
{
    apr_status_t rv;

    if (!hb_secret_is_due(command)) {
        *text = hb_secret_kept(command, pool);
        return APR_SUCCESS;
    }
    rv = read_exec(text, why, command, pool);
    if (rv == APR_SUCCESS) {
        drop_newline(*text);
        if (**text == '\0') {
            *why = apr_psprintf(pool, "the secret of exec:%s is empty", command);
            rv = HB_E_CONFIG;
        }
    }
    if (rv == APR_SUCCESS) {
        hb_secret_keep(command, *text);
        return APR_SUCCESS;
    }
    *text = hb_secret_fall_back(command, *why, pool);
    return *text != NULL ? APR_SUCCESS : rv;
}

apr_status_t hb_secret_read(const char **value, const char **why, const char *reference,
                            apr_pool_t *pool)
{
    const char *rest;
    char *text = NULL, *from_env;
    apr_status_t rv = APR_SUCCESS;

    *value = NULL;
    *why = hb_secret_check(reference, pool);
    if (*why != NULL) {
        return HB_E_CONFIG;
    }
    if ((rest = form_of(reference, "file:")) != NULL) {
        rv = hb_secret_read_file(&text, why, rest, pool);
        if (APR_STATUS_IS_ENOENT(rv)) {
            *why = apr_psprintf(pool, "%s does not exist: put the secret there, mode 0640 or 0600",
                                rest);
            rv = HB_E_CONFIG;
        }
    }
    else if ((rest = form_of(reference, "env:")) != NULL) {
        if (apr_env_get(&from_env, rest, pool) == APR_SUCCESS) {
            text = apr_pstrdup(pool, from_env);
            hb_secret_wipe_with(pool, text, strlen(text) + 1);
        }
        else {
            *why = apr_psprintf(pool, "the environment variable %s is not set", rest);
            rv = HB_E_CONFIG;
        }
    }
    else {
        rv = ask(&text, why, form_of(reference, "exec:"), pool);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    drop_newline(text);
    if (*text == '\0') {
        *why = apr_psprintf(pool, "the secret of %s is empty", reference);
        return HB_E_CONFIG;
    }
    *value = text;
    return APR_SUCCESS;
}
