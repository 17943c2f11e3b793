/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: loops and their threads, listening, signals. */
#include "rt_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

#include "rt_conn.h"
#include "rt_loop.h"
#include "rt_memory.h"

#define LISTENERS_MAX 4
#define BACKLOG 4096
#define ACCEPTS_A_TURN 64
#define LOOPS_MAX 64            /* what the first character of an id can name */
#define FULL_SAID_MSEC 60000
#define LOCK_TRIES 50
#define LOCK_WAIT_USEC 100000

/* Descriptors that are not connections: logs, stores, the loops' own. */
#define DESCRIPTORS_KEPT 128

typedef struct listener_t {
    uv_poll_t io;
    rt_engine_t *engine;
    int fd;
    int is_local;
    const char *path;           /* of a unix socket, unlinked at the end */
} listener_t;

struct rt_listener_t {
    listener_t listeners[LISTENERS_MAX];
    int n;
    int spare_fd;               /* given up to be able to refuse when there are no more */
    uint64_t full_said_msec;    /* when that was told last; 0 for never */
    uv_signal_t term, interrupt, hangup;
    const rt_config_t *(*reload)(void *baton);
    void *reload_baton;
};

static int default_loops(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    /* One core is left for httpd. */
    return cores <= 2 ? 1 : cores > 9 ? 8 : (int)cores - 1;
}

rt_engine_t *rt_engine_make(const rt_app_t *app, void *app_data, const rt_config_t *config,
                            const hb_log_t *log, apr_pool_t *pool)
{
    rt_engine_t *engine = apr_pcalloc(pool, sizeof(*engine));
    int i;

    engine->app = app;
    engine->app_data = app_data;
    engine->config = config;
    engine->log = *log;
    engine->pool = pool;
    engine->n_loops = config->loops > 0 ? config->loops : default_loops();
    if (engine->n_loops > LOOPS_MAX) {
        engine->n_loops = LOOPS_MAX;
    }
    engine->started_msec = uv_hrtime() / 1000000;
    engine->addresses = rt_addresses_make(pool);
    engine->listener = apr_pcalloc(pool, sizeof(*engine->listener));
    engine->listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    engine->loops = rt_need((apr_size_t)engine->n_loops * sizeof(*engine->loops));
    for (i = 0; i < engine->n_loops; i++) {
        rt_loop_init(&engine->loops[i], engine, i);
    }
    return engine;
}

/* Taking connections */

static int connections_max(const rt_engine_t *engine)
{
    int max = __atomic_load_n(&engine->config, __ATOMIC_ACQUIRE)->connections_max;
    struct rlimit limit;

    if (max == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY) {
        max = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (int)limit.rlim_cur - DESCRIPTORS_KEPT
              : DESCRIPTORS_KEPT;
    }
    return max;
}

typedef struct taken_t {
    int fd, is_local;
} taken_t;

static void take(rt_loop_t *loop, void *baton)
{
    taken_t *taken = baton;

    rt_conn_open(loop, taken->fd, taken->is_local, NULL, 0);
    free(taken);
}

static void give(rt_engine_t *engine, int fd, int is_local)
{
    rt_loop_t *loop = &engine->loops[engine->next_loop];

    engine->next_loop = (engine->next_loop + 1) % engine->n_loops;
    __atomic_add_fetch(&engine->n_connections, 1, __ATOMIC_RELAXED);
    RT_COUNT(&engine->loops[0], accepted, 1);
    if (loop->index == 0) {
        rt_conn_open(loop, fd, is_local, NULL, 0);
    }
    else {
        taken_t *taken = rt_need(sizeof(*taken));

        taken->fd = fd;
        taken->is_local = is_local;
        rt_post(loop, take, taken);
    }
}

static void say_full(rt_engine_t *engine, const char *what)
{
    uint64_t now = rt_now(&engine->loops[0]), said = engine->listener->full_said_msec;

    /* Where one goes as another comes it is full again and again. */
    if (said == 0 || now - said >= FULL_SAID_MSEC) {
        engine->listener->full_said_msec = now > 0 ? now : 1;
        hb_log_to(&engine->log, HB_LOG_WARNING, 0, HBLOGNO(06101) "connections are refused: "
                  "%s; %d are open; raise the limit of open files", what,
                  __atomic_load_n(&engine->n_connections, __ATOMIC_RELAXED));
    }
}

/* Without a descriptor left, a connection can only be taken to be closed by giving up the spare
 * one; else the loop would be woken for it for ever. */
static void refuse_one(rt_engine_t *engine, int listening)
{
    struct rt_listener_t *all = engine->listener;
    int fd;

    close(all->spare_fd);
    fd = accept(listening, NULL, NULL);
    if (fd >= 0) {
        close(fd);
    }
    all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    RT_COUNT(&engine->loops[0], refused, 1);
}

static void on_listener(uv_poll_t *io, int status, int events)
{
    listener_t *listener = io->data;
    rt_engine_t *engine = listener->engine;
    int i, one = 1;

    (void)status;
    (void)events;
    for (i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                say_full(engine, "no descriptor is left");
                refuse_one(engine, listener->fd);
                continue;
            }
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return;
        }
        if (__atomic_load_n(&engine->n_connections, __ATOMIC_RELAXED)
            >= connections_max(engine)) {
            say_full(engine, "as many are open as may be");
            RT_COUNT(&engine->loops[0], refused, 1);
            close(fd);
            continue;
        }
        if (!listener->is_local) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        }
        give(engine, fd, listener->is_local);
    }
}

static const char *problem(rt_engine_t *engine, const char *what, const char *where)
{
    return apr_psprintf(engine->pool, "%s %s: %s", what, where, strerror(errno));
}

static const char *add_listener(rt_engine_t *engine, int fd, int is_local, const char *where)
{
    struct rt_listener_t *all = engine->listener;
    listener_t *listener = &all->listeners[all->n];

    if (listen(fd, BACKLOG) != 0 || uv_poll_init(&engine->loops[0].uv, &listener->io, fd) != 0) {
        close(fd);
        return problem(engine, "cannot listen at", where);
    }
    listener->io.data = listener;
    listener->engine = engine;
    listener->fd = fd;
    listener->is_local = is_local;
    listener->path = is_local ? where : NULL;
    uv_poll_start(&listener->io, UV_READABLE, on_listener);
    all->n++;
    return NULL;
}

/* The lock is held as long as the process lives: who has it may unlink what a dead one left. */
static const char *listen_unix(rt_engine_t *engine, const char *path)
{
    const char *lock_path = apr_pstrcat(engine->pool, path, ".lock", NULL);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int lock, fd, i;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return apr_psprintf(engine->pool, "the path %s is too long for a socket (%d bytes)",
                            path, (int)sizeof(address.sun_path) - 1);
    }
    strcpy(address.sun_path, path);
    lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        return problem(engine, "cannot open", lock_path);
    }
    for (i = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == LOCK_TRIES) {
            close(lock);
            return apr_psprintf(engine->pool, "another process serves %s", path);
        }
        usleep(LOCK_WAIT_USEC);
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0
        || chmod(path, 0660) != 0) {
        return problem(engine, "cannot bind", path);
    }
    return add_listener(engine, fd, 1, path);
}

static const char *listen_tcp(rt_engine_t *engine, const char *where)
{
    const char *colon = strrchr(where, ':'), *why;
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                              .ai_socktype = SOCK_STREAM }, *found;
    char *host;
    int fd, one = 1, rv;

    if (colon == NULL) {
        return apr_psprintf(engine->pool, "%s is neither ADDRESS:PORT nor unix:PATH", where);
    }
    host = apr_pstrmemdup(engine->pool, where, (apr_size_t)(colon - where));
    if (host[0] == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = '\0';
        host++;
    }
    rv = getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &hints, &found);
    if (rv != 0) {
        return apr_psprintf(engine->pool, "%s is no address: %s", where, gai_strerror(rv));
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0
        || bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
        why = problem(engine, "cannot bind", where);
    }
    else {
        why = add_listener(engine, fd, 0, where);
    }
    freeaddrinfo(found);
    return why;
}

const char *rt_engine_listen(rt_engine_t *engine, const char *where)
{
    if (engine->listener->n == LISTENERS_MAX) {
        return "too many addresses to listen at";
    }
    return strncmp(where, "unix:", 5) == 0
           ? listen_unix(engine, apr_pstrdup(engine->pool, where + 5))
           : listen_tcp(engine, where);
}

/* Signals and threads */

static void stop_listening(struct rt_listener_t *all)
{
    int i;

    for (i = 0; i < all->n; i++) {
        listener_t *listener = &all->listeners[i];

        if (!uv_is_closing((uv_handle_t *)&listener->io)) {
            uv_close((uv_handle_t *)&listener->io, NULL);
            close(listener->fd);
            if (listener->path != NULL) {
                unlink(listener->path);
            }
        }
    }
    if (!uv_is_closing((uv_handle_t *)&all->term)) {
        uv_close((uv_handle_t *)&all->term, NULL);
        uv_close((uv_handle_t *)&all->interrupt, NULL);
        uv_close((uv_handle_t *)&all->hangup, NULL);
    }
}

static void stop_loop(rt_loop_t *loop, void *baton)
{
    (void)baton;
    if (loop->index == 0) {
        stop_listening(loop->engine->listener);
    }
    rt_loop_stop(loop);
}

void rt_engine_stop(rt_engine_t *engine)
{
    int i;

    for (i = 0; i < engine->n_loops; i++) {
        rt_post(&engine->loops[i], stop_loop, NULL);
    }
}

static void on_stop_signal(uv_signal_t *handle, int signum)
{
    rt_engine_t *engine = handle->data;

    hb_log_to(&engine->log, HB_LOG_NOTICE, 0, HBLOGNO(06102) "signal %d: ending", signum);
    rt_engine_stop(engine);
}

static void configure_loop(rt_loop_t *loop, void *baton)
{
    (void)baton;
    rt_loop_configure(loop);
}

static void on_hangup(uv_signal_t *handle, int signum)
{
    rt_engine_t *engine = handle->data;
    struct rt_listener_t *all = engine->listener;
    const rt_config_t *config = all->reload != NULL ? all->reload(all->reload_baton) : NULL;
    int i;

    (void)signum;
    if (config == NULL) {
        return;
    }
    __atomic_store_n(&engine->config, config, __ATOMIC_RELEASE);
    for (i = 0; i < engine->n_loops; i++) {
        rt_post(&engine->loops[i], configure_loop, NULL);
    }
    hb_log_to(&engine->log, HB_LOG_NOTICE, 0, HBLOGNO(06103) "settings read again");
}

static void watch_signals(rt_engine_t *engine)
{
    struct rt_listener_t *all = engine->listener;
    uv_loop_t *uv = &engine->loops[0].uv;
    sigset_t hangup;

    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(uv, &all->term);
    uv_signal_init(uv, &all->interrupt);
    uv_signal_init(uv, &all->hangup);
    all->term.data = all->interrupt.data = all->hangup.data = engine;
    uv_signal_start(&all->term, on_stop_signal, SIGTERM);
    uv_signal_start(&all->interrupt, on_stop_signal, SIGINT);
    uv_signal_start(&all->hangup, on_hangup, SIGHUP);
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &hangup, NULL);
}

static void loop_thread(void *baton)
{
    rt_loop_run(baton);
}

void rt_engine_run(rt_engine_t *engine, const rt_config_t *(*reload)(void *baton), void *baton)
{
    int i;

    engine->listener->reload = reload;
    engine->listener->reload_baton = baton;
    watch_signals(engine);
    for (i = 1; i < engine->n_loops; i++) {
        if (uv_thread_create(&engine->loops[i].thread, loop_thread, &engine->loops[i]) != 0) {
            abort();
        }
    }
    rt_loop_run(&engine->loops[0]);
    for (i = 1; i < engine->n_loops; i++) {
        uv_thread_join(&engine->loops[i].thread);
    }
}

void rt_engine_free(rt_engine_t *engine)
{
    int i;

    for (i = 0; i < engine->n_loops; i++) {
        rt_loop_free(&engine->loops[i]);
    }
    close(engine->listener->spare_fd);
    free(engine->loops);
    engine->loops = NULL;
}

/* What applications see of it. */

int rt_engine_loops(const rt_engine_t *engine)
{
    return engine->n_loops;
}

rt_loop_t *rt_engine_loop(const rt_engine_t *engine, int index)
{
    return &engine->loops[index];
}
