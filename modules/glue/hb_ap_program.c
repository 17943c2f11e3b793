/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs beside httpd: started from the parent, started again when they die, told of new
 * settings, stopped. One row each (hb_ap_program_t), offered by the module that needs it.
 *
 * A graceful reload leaves them running, because logrotate makes one each day, and because
 * thousands of viewers hang on one of them. What is known of a running one is in httpd's
 * retained data, which outlives the configuration; the parent's statics may not. Nothing waits for
 * a program: not at start, not at a reload. A program that has to wait (for its turn after it
 * died, for its forerunner's lock) does so in the forked process, before it becomes the program.
 */
#include "mod_halobuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ap_mpm.h>
#include <ap_provider.h>
#include <apr_signal.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <http_config.h>
#include <http_core.h>
#include <http_main.h>
#include <mpm_common.h>
#include <unixd.h>

#include "hb_ap_program.h"
#include "hb_clock.h"
#include "hb_program.h"
#include "hb_share.h"

APLOG_USE_MODULE(halobuzz);

#define RETAINED "halobuzz-programs"
#define PROGRAMS_MAX 4
#define ROLE_BYTES 16
#define PATH_BYTES 512

#define HEALTHY_SEC 10          /* having lived so long, a death counts as the first */
#define DELAY_MAX_SEC 64
#define STOP_SEC 5              /* then it is killed */

/* No process has this id, so nothing happens to it. 0 and -1 would mean many. */
#define NO_PROCESS INT_MAX

/* In the forked process, descriptors before the program takes over. */
#define FD_CONTROL 3
#define FD_MEMORY 4
#define FD_LOCK 5

/* What is known of a role, over all configurations. */
typedef struct running_t {
    char role[ROLE_BYTES];      /* "" for a free one */
    pid_t pid;                  /* 0 while none runs */
    apr_proc_t proc;            /* the same as APR wants it; see note_pid() */
    int is_noted;               /* the process pool ends it when httpd ends */
    int is_wanted;              /* by the configuration in force */
    int is_stopping;            /* told to end */
    int is_outdated;            /* httpd restarted all the rest */
    int control;                /* our end of its control socket; -1 for none */
    int deaths;                 /* in a row */
    apr_time_t started_at, stopped_at;  /* of the monotonic clock */
    apr_uint64_t identity;      /* of what cannot be changed while it runs */
    char path[PATH_BYTES];
    char conf[PATH_BYTES];
    char module_file[40];
} running_t;

typedef struct retained_t {
    running_t programs[PROGRAMS_MAX];
} retained_t;

static void start(running_t *program, int delay_sec);
static void watch(int reason, void *baton, int status);

static retained_t *retained(void)
{
    retained_t *kept = ap_retained_data_get(RETAINED);
    int i;

    if (kept == NULL) {
        kept = ap_retained_data_create(RETAINED, sizeof(*kept));
        for (i = 0; i < PROGRAMS_MAX; i++) {
            kept->programs[i].control = -1;
        }
    }
    return kept;
}

static running_t *program_of(const char *role)
{
    retained_t *kept = retained();
    running_t *open = NULL;
    int i;

    for (i = 0; i < PROGRAMS_MAX; i++) {
        if (strcmp(kept->programs[i].role, role) == 0) {
            return &kept->programs[i];
        }
        if (open == NULL && kept->programs[i].role[0] == '\0') {
            open = &kept->programs[i];
        }
    }
    if (open != NULL) {
        apr_cpystrn(open->role, role, sizeof(open->role));
    }
    return open;
}

static int is_alive(const running_t *program)
{
    return program->pid > 0;
}

/* httpd's process pool sends signals to proc.pid at its end, whatever stands there. */
static void note_pid(running_t *program, pid_t pid)
{
    program->pid = pid;
    program->proc.pid = pid > 0 ? pid : NO_PROCESS;
}

static int is_closing_down(void)
{
    int state = AP_MPMQ_STARTING;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING;
}

/* --- the forked process --- */

static void say_and_exit(const char *role, const char *what, const char *path, int code)
{
    char text[PATH_BYTES + 160];
    int e = errno, n;

    n = apr_snprintf(text, sizeof(text), "halobuzz %s: %s %s: %s\n", role, what, path,
                     strerror(e));
    if (write(STDERR_FILENO, text, (size_t)n) < 0) {
        _exit(code);            /* nobody can be told */
    }
    _exit(code);
}

static void reset_signals(void)
{
    sigset_t none;
    int i;

    for (i = 1; i < NSIG; i++) {
        if (i != SIGKILL && i != SIGSTOP) {
            signal(i, SIG_DFL);
        }
    }
    /* A reload may come before the program listens for it; that is nothing to die of. */
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* One program of a role at a time, whoever started it: the lock is held until it is gone. */
static void take_lock(const running_t *program, const char *path)
{
    char text[24];
    int fd, tries, n;

    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0640);
    if (fd < 0 || (fd != FD_LOCK && dup2(fd, FD_LOCK) < 0)) {
        say_and_exit(program->role, "cannot open", path, HB_PROGRAM_MISCONFIGURED);
    }
    for (tries = 0; flock(FD_LOCK, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (tries == 200) {
            say_and_exit(program->role, "another one holds", path, 1);
        }
        usleep(50000);
    }
    n = apr_snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(FD_LOCK, 0) != 0 || pwrite(FD_LOCK, text, (size_t)n, 0) != n) {
        errno = 0;              /* the number is for people; the lock is what counts */
    }
    fcntl(FD_LOCK, F_SETFD, 0);
}

static void arrange_descriptors(int control, int memory)
{
    int null = open("/dev/null", O_RDWR);

    /* Out of the way first, because either may stand where the other has to go. */
    control = fcntl(control, F_DUPFD, FD_LOCK + 1);
    memory = fcntl(memory, F_DUPFD, FD_LOCK + 1);
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    dup2(control, FD_CONTROL);
    dup2(memory, FD_MEMORY);
    close_range(FD_LOCK, ~0U, 0);       /* listeners above all: httpd may want to rebind them */
}

static void become(const running_t *program, pid_t parent, int control, int delay_sec)
{
    char lock[PATH_BYTES], text[12];
    char *args[] = { (char *)program->path, "--config", (char *)program->conf, NULL };

    apr_snprintf(lock, sizeof(lock), "%s/%s.pid", hb_ap_state.socket_dir, program->role);
    reset_signals();
    /* What prefork sends to all of its own, to end them, is none of the program's business. */
    setpgid(0, 0);
    arrange_descriptors(control, hb_ap_memory_fd());
    if (ap_run_drop_privileges(ap_server_conf->process->pool, ap_server_conf) != OK) {
        _exit(HB_PROGRAM_MISCONFIGURED);        /* it was logged */
    }
    umask(027);
    /* Behind the change of user, which clears it; and httpd may be gone already. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(0);
    }
    if (delay_sec > 0) {
        struct timespec delay = { delay_sec, 0 };

        nanosleep(&delay, NULL);
    }
    take_lock(program, lock);
    apr_snprintf(text, sizeof(text), "%d", FD_CONTROL);
    setenv(HB_PROGRAM_CONTROL, text, 1);
    apr_snprintf(text, sizeof(text), "%d", FD_MEMORY);
    setenv(HB_SHARE_VARIABLE, text, 1);
    execv(program->path, args);
    say_and_exit(program->role, "cannot run", program->path, HB_PROGRAM_MISCONFIGURED);
}

/* --- the parent: one program --- */

/* The current error log, and the level its module has. A program that does not listen
 * misses it, and httpd does not care. */
static void send_note(running_t *program)
{
    const module *m = ap_find_linked_module(program->module_file);
    hb_program_note_t note = { sizeof(note), HB_LOG_NOTICE };
    struct iovec part = { &note, sizeof(note) };
    int log = STDERR_FILENO;
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } extra;
    struct msghdr message;

    note.level = ap_get_server_module_loglevel(ap_server_conf, m != NULL ? m->module_index
                                                                         : APLOG_MODULE_INDEX);
    if (note.level > HB_LOG_TRACE) {
        note.level = HB_LOG_TRACE;
    }
    memset(&message, 0, sizeof(message));
    memset(&extra, 0, sizeof(extra));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &extra;
    message.msg_controllen = sizeof(extra);
    extra.head.cmsg_level = SOL_SOCKET;
    extra.head.cmsg_type = SCM_RIGHTS;
    extra.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&extra.head), &log, sizeof(log));
    if (sendmsg(program->control, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
        && errno != EAGAIN) {
        ap_log_error(APLOG_MARK, APLOG_INFO, errno, ap_server_conf, HBLOGNO(02051)
                     "%s could not be handed the new error log", program->role);
    }
}

/* The pool is that of the configuration: it forgets, at a reload, that we watch. */
static void register_watch(running_t *program, apr_pool_t *pconf)
{
    apr_proc_other_child_register(&program->proc, watch, program, NULL, pconf);
}

static void start(running_t *program, int delay_sec)
{
    apr_pool_t *process_pool = ap_server_conf->process->pool;
    pid_t parent = getpid();
    sigset_t all, before;
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, ap_server_conf, HBLOGNO(02052)
                     "%s cannot be started: no control socket", program->path);
        return;
    }
    /* Told to end before it is itself, it would only note it for httpd: reset_signals() lets it come. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        become(program, parent, pair[1], delay_sec);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, ap_server_conf, HBLOGNO(02053)
                     "%s cannot be started: no process for it; the next reload tries again",
                     program->path);
        close(pair[0]);
        return;
    }
    program->control = pair[0];
    note_pid(program, pid);
    program->is_stopping = program->is_outdated = 0;
    program->started_at = hb_clock() + apr_time_from_sec(delay_sec);
    if (!program->is_noted) {
        /* Once and for good: the pool looks at the process id when httpd ends. */
        apr_pool_note_subprocess(process_pool, &program->proc, APR_KILL_AFTER_TIMEOUT);
        program->is_noted = 1;
    }
    send_note(program);
    if (delay_sec == 0) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, ap_server_conf, HBLOGNO(02054)
                     "%s started as process %ld", program->path, (long)pid);
    }
}

static void stop(running_t *program)
{
    if (is_alive(program) && !program->is_stopping) {
        program->is_stopping = 1;
        program->stopped_at = hb_clock();
        kill(program->pid, SIGTERM);
    }
}

/* "status" is an exit code or a signal, or both as wait() gives them: APR does not say which. */
static void say_ended(const running_t *program, int status, int delay_sec)
{
    char how[40] = "for an unknown reason", when[24] = "at once";

    if (status > 255) {
        apr_snprintf(how, sizeof(how), "with exit code %d", status >> 8);
    }
    else if (status >= 0) {
        apr_snprintf(how, sizeof(how), "with exit code or signal %d", status);
    }
    if (delay_sec > 0) {
        apr_snprintf(when, sizeof(when), "in %d s", delay_sec);
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf, HBLOGNO(02055) "%s ended %s; it starts "
                 "again %s", program->path, how, when);
}

static void ended(running_t *program, int status)
{
    int was_told = program->is_stopping;
    int delay_sec = 0;

    note_pid(program, 0);
    program->is_stopping = 0;
    if (program->control >= 0) {
        close(program->control);
        program->control = -1;
    }
    if (is_closing_down() || !program->is_wanted) {
        return;
    }
    if (was_told) {
        start(program, 0);      /* it was to make room for its successor */
    }
    else if (status == HB_PROGRAM_MISCONFIGURED
             || status == HB_PROGRAM_MISCONFIGURED << 8) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, ap_server_conf, HBLOGNO(02056)
                     "%s says that its configuration is wrong (see above): it is not started "
                     "again before the next reload", program->path);
    }
    else {
        if (hb_clock() - program->started_at >= apr_time_from_sec(HEALTHY_SEC)) {
            program->deaths = 0;
        }
        if (program->deaths > 0) {
            delay_sec = program->deaths < 6 ? 1 << program->deaths : DELAY_MAX_SEC;
        }
        program->deaths++;
        say_ended(program, status, delay_sec);
        start(program, delay_sec);
    }
}

/* Every way a program can end, and every way httpd can. */
static void watch(int reason, void *baton, int status)
{
    running_t *program = baton;

    switch (reason) {
    case APR_OC_REASON_DEATH:
    case APR_OC_REASON_LOST:
        /* APR wants the record gone before we return; this calls us again, below. */
        apr_proc_other_child_unregister(program);
        ended(program, status);
        if (is_alive(program)) {
            register_watch(program, ap_server_conf->process->pconf);
        }
        break;
    case APR_OC_REASON_RESTART:
        /* httpd stops, or restarts without grace. Its children go first, and take leave of
         * their clients; then the process pool ends the program, or the next configuration. */
        program->is_outdated = 1;
        break;
    default:
        break;                  /* a reload: the next configuration watches it again */
    }
}

/* --- configuration --- */

static const char *runtime_file(const hb_ap_program_t *row, const char *what, apr_pool_t *pool)
{
    return ap_runtime_dir_relative(pool, apr_pstrcat(pool, "halobuzz-", row->role, ".", what,
                                                     NULL));
}

/* What a running process cannot change about itself: then a new one takes its place. */
static apr_uint64_t identity_of(const char *path)
{
    struct stat info;
    apr_uint64_t hash = 5381;

    if (stat(path, &info) == 0) {
        hash = hash * 33 + (apr_uint64_t)info.st_ino;
        hash = hash * 33 + (apr_uint64_t)info.st_mtim.tv_sec;
        hash = hash * 33 + (apr_uint64_t)info.st_mtim.tv_nsec;
        hash = hash * 33 + (apr_uint64_t)info.st_size;
    }
    if (fstat(hb_ap_memory_fd(), &info) == 0) {
        hash = hash * 33 + (apr_uint64_t)info.st_ino;
    }
    return hash;
}

static void reload(running_t *program, apr_pool_t *pconf)
{
    int status;

    if (is_alive(program)) {
        pid_t pid = waitpid(program->pid, &status, WNOHANG);

        if (pid != 0) {         /* it died while nobody watched */
            ended(program, pid > 0 ? status : -1);
        }
    }
    if (!is_alive(program)) {
        program->deaths = 0;
        start(program, 0);
    }
    else if (program->is_stopping) {
        ;                       /* its successor starts when it is gone */
    }
    else if (!program->is_wanted || program->is_outdated) {
        stop(program);
    }
    else {
        send_note(program);
        kill(program->pid, SIGHUP);
    }
    if (is_alive(program)) {
        register_watch(program, pconf);
    }
}

static void take_row(const hb_ap_program_t *row, apr_pool_t *pconf, apr_pool_t *ptemp,
                     server_rec *s)
{
    const char *path = *(const char *const *)((const char *)hb_ap_state.settings
                                              + row->path_offset);
    running_t *program = program_of(row->role);
    const char *why;
    apr_uint64_t identity;

    if (program == NULL) {
        return;
    }
    if (*path == '\0') {
        path = apr_pstrcat(ptemp, HB_LIBEXECDIR, "/", row->file, NULL);
    }
    program->is_wanted = 1;
    apr_cpystrn(program->path, path, sizeof(program->path));
    apr_cpystrn(program->conf, runtime_file(row, "conf", ptemp), sizeof(program->conf));
    apr_cpystrn(program->module_file, row->module_file, sizeof(program->module_file));
    why = hb_ap_program_settings(row, program->conf, ptemp);
    if (why != NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HBLOGNO(02057) "%s is not given its settings: %s",
                     program->path, why);
    }
    identity = identity_of(path);
    if (is_alive(program) && identity != program->identity) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(02058) "%s is another one now, or shared "
                     "memory is: process %ld makes room for a new one", program->path,
                     (long)program->pid);
        stop(program);
    }
    program->identity = identity;
    reload(program, pconf);
}

int hb_ap_programs(const hb_ap_program_t *const **rows, apr_pool_t *pool)
{
    const apr_array_header_t *names = ap_list_provider_names(pool, HB_AP_PROGRAMS, "0");
    const hb_ap_program_t **found = apr_pcalloc(pool, (apr_size_t)(names->nelts + 1)
                                                * sizeof(*found));
    int i;

    for (i = 0; i < names->nelts; i++) {
        const ap_list_provider_names_t *name = &APR_ARRAY_IDX(names, i, ap_list_provider_names_t);

        found[i] = ap_lookup_provider(HB_AP_PROGRAMS, name->provider_name, "0");
    }
    *rows = found;
    return names->nelts;
}

void hb_ap_programs_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    const hb_ap_program_t *const *rows;
    retained_t *kept = retained();
    const char *why = NULL;
    int i, n = hb_ap_programs(&rows, ptemp);

    for (i = 0; i < PROGRAMS_MAX; i++) {
        kept->programs[i].is_wanted = 0;
    }
    if (n > 0) {
        why = hb_ap_directory_make(hb_ap_state.socket_dir, "DefaultRuntimeDir says where it "
                                   "lies", ptemp);
    }
    if (why != NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, HBLOGNO(02059) "%s", why);
    }
    if (n > 0 && s->error_log == NULL) {
        /* Programs write to what the parent has as standard error, and that is nowhere then. */
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(02064) "ErrorLog is no file: what programs "
                     "beside httpd say is lost; write ErrorLog \"|/usr/bin/logger -t apache\"");
    }
    for (i = 0; i < n; i++) {
        take_row(rows[i], pconf, ptemp, s);
    }
    for (i = 0; i < PROGRAMS_MAX; i++) {
        if (is_alive(&kept->programs[i]) && !kept->programs[i].is_wanted) {
            reload(&kept->programs[i], pconf);
        }
    }
}

void hb_ap_programs_child_init(void)
{
    retained_t *kept = retained();
    int i;

    for (i = 0; i < PROGRAMS_MAX; i++) {
        if (kept->programs[i].control >= 0) {
            close(kept->programs[i].control);
            kept->programs[i].control = -1;
        }
    }
}

/* In the parent, every ten seconds: who was told to end and did not. */
static int kill_stuck(apr_pool_t *pool, server_rec *s)
{
    retained_t *kept = retained();
    int i;

    (void)pool;
    for (i = 0; i < PROGRAMS_MAX; i++) {
        running_t *program = &kept->programs[i];

        if (is_alive(program) && program->is_stopping
            && hb_clock() - program->stopped_at > apr_time_from_sec(STOP_SEC)) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, HBLOGNO(02060) "%s (process %ld) did not "
                         "end when told to; it is killed", program->path,
                         (long)program->pid);
            kill(program->pid, SIGKILL);
        }
    }
    return OK;
}

/* A child knows only who ran when it was forked, so it looks at the lock. */
pid_t hb_ap_program_pid(const char *role)
{
    char path[PATH_BYTES], text[24] = "";
    pid_t pid = 0;
    int fd;

    apr_snprintf(path, sizeof(path), "%s/%s.pid", hb_ap_state.socket_dir, role);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return 0;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && pread(fd, text, sizeof(text) - 1, 0) > 0) {
        pid = (pid_t)atol(text);
    }
    close(fd);
    return pid;
}

void hb_ap_programs_register(void)
{
    ap_hook_monitor(kill_stuck, NULL, NULL, APR_HOOK_MIDDLE);
}
