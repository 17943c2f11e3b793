/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on a connection of the sidecar, as they come from the kernel: request heads, bodies,
 * frames, packets. The first byte of an input says what was said before and in which pieces the
 * rest comes. Afterwards nothing may be left of connection, session or socket.
 */
#include "fuzz.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "rt_echo.h"
#include "rt_engine.h"
#include "rt_session.h"

#define UPGRADE(path) "GET " path " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* A masked frame whose mask is 0. */
#define CONNECT "\x81\x82\0\0\0\0" "40"

typedef struct start_t {
    const char *bytes;
    size_t len;
} start_t;

#define START(bytes) { bytes, sizeof(bytes) - 1 }

static const start_t starts[] = {
    START(""),
    START(UPGRADE("/ws-echo")),
    START(UPGRADE("/socket.io/?EIO=4&transport=websocket") CONNECT),
    START(UPGRADE("/engine.io/?EIO=4&transport=websocket")),
};
#define N_STARTS (sizeof(starts) / sizeof(starts[0]))

/* What comes as the body of a POST to a session that polls. */
#define POLLING N_STARTS

static rt_engine_t *engine;
static rt_loop_t *loop;

/* What is left at the end is a leak. */
static void end(void)
{
    rt_echo_app.loop_stop(NULL, loop);
    rt_engine_free(engine);
    apr_terminate();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static rt_config_t config;
    static hb_log_t log;
    apr_pool_t *pool;

    (void)argc;
    (void)argv;
    apr_initialize();
    signal(SIGPIPE, SIG_IGN);
    apr_pool_create(&pool, NULL);
    rt_config_echo(&config);
    config.loops = 1;
    config.payload_max = config.stranger_payload_max = config.plain_payload_max = 65536;
    engine = rt_engine_make(&rt_echo_app, NULL, &config, &log, pool);
    loop = rt_engine_loop(engine, 0);
    rt_echo_app.loop_start(NULL, loop);
    atexit(end);
    return 0;
}

/* Let the loop take what is there, and throw away what it says. */
static void run(int fd)
{
    char answer[4096];
    int i;

    for (i = 0; i < 3; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
        }
    }
}

static int begin(void)
{
    int fds[2];

    FUZZ_EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    engine->n_connections++;
    rt_conn_open(loop, fds[1], 1, NULL, 0);
    return fds[0];
}

static void say(int fd, const char *bytes, size_t len)
{
    /* A peer that has hung up is no finding. */
    if (send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return;
    }
    run(fd);
}

/* A session that polls, and the request whose body comes. */
static int begin_post(size_t len)
{
    int fd = begin(), n;
    char request[512];

    say(fd, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n", 52);
    FUZZ_EXPECT(loop->sessions != NULL);
    n = snprintf(request, sizeof(request), "POST /socket.io/?EIO=4&transport=polling&sid=%s "
                 "HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", loop->sessions->sid, len);
    say(fd, request, (size_t)n);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t kind, step, at;
    int fd;

    if (size < 1 || size > 60000) {
        return 0;
    }
    kind = (data[0] & 15) % (N_STARTS + 1);
    step = data[0] >> 4 == 0 ? size : data[0] >> 4;
    data++;
    size--;
    if (kind == POLLING) {
        fd = begin_post(size);
    }
    else {
        fd = begin();
        if (starts[kind].len > 0) {
            say(fd, starts[kind].bytes, starts[kind].len);
        }
    }
    for (at = 0; at < size; at += step) {
        say(fd, (const char *)data + at, size - at < step ? size - at : step);
    }
    close(fd);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    while (loop->conns != NULL) {
        rt_conn_close(loop->conns);
    }
    while (loop->sessions != NULL) {
        rt_session_end(loop->sessions, RT_GONE_FORCED_CLOSE, 0);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    FUZZ_EXPECT(loop->counters.sockets == 0 && loop->counters.sessions == 0);
    FUZZ_EXPECT(loop->counters.connections == 0 && loop->n_sessions == 0);
    FUZZ_EXPECT(engine->n_connections == 0);
    return 0;
}
