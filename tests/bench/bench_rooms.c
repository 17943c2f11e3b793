/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_rooms - what a delivery costs the sidecar
 *
 * SYNOPSIS
 *     bench_rooms --settings FILE --token TOKEN --members N --rate R --seconds S STREAM...
 *
 * DESCRIPTION
 *     Opens N Socket.IO connections straight to the sidecar of a running server, spreads them over the
 *     streams and joins. Then tells each room R messages a second over the bus, spread evenly, and
 *     counts what arrives. Prints: deliveries expected, delivered, microseconds of the
 *     sidecar's CPU for each, bytes of its memory for each connection. Nothing is asked of the
 *     store meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "hb_bus.h"
#include "hb_settings.h"

#define BUF 65536
#define AT_ONCE 64              /* that are coming in */

typedef struct client_t {
    int fd;
    int step;                   /* 0 upgrade, 1 open, 2 connect, 3 join, 4 in */
    const char *stream;
    char *buf;
    size_t len;
} client_t;

static const char *token;
static client_t *clients;
static int n_clients, n_in, n_begun, epoll;
static long long delivered;
static struct sockaddr_un address = { AF_UNIX, "" };

static void die(const char *what)
{
    fprintf(stderr, "bench_rooms: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* CPU of a process so far, in microseconds. */
static long long cpu_of(pid_t pid)
{
    unsigned long long user, system;
    char path[40], line[1024], *at;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
        die(path);
    }
    fclose(file);
    at = strrchr(line, ')');
    if (sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2) {
        die("stat");
    }
    return (long long)(user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

/* Resident memory in bytes. */
static long long memory_of(pid_t pid)
{
    char path[40];
    long long size, resident = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%lld %lld", &size, &resident) != 2) {
        die(path);
    }
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void send_text(const client_t *client, const char *text)
{
    unsigned char frame[4096];
    size_t len = strlen(text), head = 2, i;

    frame[0] = 0x81;
    if (len < 126) {
        frame[1] = (unsigned char)(0x80 | len);
    }
    else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(len >> 8);
        frame[3] = (unsigned char)len;
        head = 4;
    }
    memset(frame + head, 0, 4);         /* a mask of zeros */
    for (i = 0; i < len; i++) {
        frame[head + 4 + i] = (unsigned char)text[i];
    }
    if (write(client->fd, frame, head + 4 + len) != (ssize_t)(head + 4 + len)) {
        die("write");
    }
}

static void begin(client_t *client)
{
    static const char upgrade[] = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->buf = malloc(BUF);
    if (client->fd < 0 || client->buf == NULL
        || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0
        || write(client->fd, upgrade, sizeof(upgrade) - 1) != sizeof(upgrade) - 1
        || epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) {
        die(address.sun_path);
    }
    n_begun++;
}

static void hear(client_t *client, const char *text, size_t len)
{
    char say[4096];

    if (text[0] == '2' && len == 1) {
        send_text(client, "3");
    }
    else if (client->step == 1 && text[0] == '0') {
        snprintf(say, sizeof(say), "40{\"token\":\"%s\"}", token);
        send_text(client, say);
        client->step = 2;
    }
    else if (client->step == 2) {
        if (strncmp(text, "40", 2) != 0) {
            fprintf(stderr, "bench_rooms: refused: %.*s\n", (int)len, text);
            exit(1);
        }
        snprintf(say, sizeof(say), "420[\"stream:join\",{\"streamId\":\"%s\"}]", client->stream);
        send_text(client, say);
        client->step = 3;
    }
    else if (client->step == 3 && strncmp(text, "430", 3) == 0) {
        if (len < 20 || strncmp(text, "430[{\"ok\":true", 14) != 0) {
            fprintf(stderr, "bench_rooms: no way in: %.*s\n", (int)len, text);
            exit(1);
        }
        client->step = 4;
        n_in++;
    }
    else if (len > 14 && memcmp(text, "42[\"chat:new\"", 13) == 0) {
        delivered++;
    }
}

static void readable(client_t *client)
{
    ssize_t n = read(client->fd, client->buf + client->len, BUF - client->len);
    size_t at = 0;

    if (n <= 0) {
        die("the sidecar closed");
    }
    client->len += (size_t)n;
    if (client->step == 0) {
        char *end = memmem(client->buf, client->len, "\r\n\r\n", 4);

        if (end == NULL) {
            return;
        }
        if (strncmp(client->buf, "HTTP/1.1 101", 12) != 0) {
            fprintf(stderr, "bench_rooms: %.200s\n", client->buf);
            exit(1);
        }
        at = (size_t)(end + 4 - client->buf);
        client->step = 1;
    }
    while (client->len - at >= 2) {
        const unsigned char *frame = (unsigned char *)client->buf + at;
        size_t len = frame[1] & 127, head = 2;

        if (len == 126) {
            if (client->len - at < 4) {
                break;
            }
            len = (size_t)frame[2] << 8 | frame[3];
            head = 4;
        }
        if (client->len - at < head + len) {
            break;
        }
        hear(client, (const char *)frame + head, len);
        at += head + len;
    }
    memmove(client->buf, client->buf + at, client->len - at);
    client->len -= at;
}

/* Serve what comes for so long. */
static void serve(int msec)
{
    struct epoll_event events[256];
    int i, n = epoll_wait(epoll, events, 256, msec);

    for (i = 0; i < n; i++) {
        readable(events[i].data.ptr);
    }
}

static void print_line(void *baton, hb_level_e level, apr_status_t status,
                       const char *request_id, const char *line)
{
    (void)baton;
    (void)level;
    (void)status;
    (void)request_id;
    fprintf(stderr, "%s\n", line);
}

static pid_t peer_of(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
        die("SO_PEERCRED");
    }
    return cred.pid;
}

static void run(hb_site_t *site, const char *const *streams, int n_streams, int rate, int seconds,
                long long memory)
{
    static char payload[512];
    hb_event_t event = { HB_EV_CHAT_NEW, 0, 0, NULL, NULL, payload, 0 };
    long long total = (long long)rate * seconds * n_streams, sent = 0, start, cpu, before;
    long long expected = (long long)rate * seconds * n_clients;
    pid_t pid = peer_of(clients[0].fd);

    memset(payload, 'x', 300);
    memcpy(payload, "{\"text\":\"", 9);
    memcpy(payload + 298, "\"}", 2);
    event.payload_bytes = 300;
    delivered = 0;
    before = cpu_of(pid);
    start = usec();
    while (sent < total) {
        long long due = (usec() - start) * rate * n_streams / 1000000;

        while (sent < due && sent < total) {
            event.id = streams[sent % n_streams];
            if (hb_bus_append(NULL, site, &event) != APR_SUCCESS) {
                die("append");
            }
            sent++;
        }
        serve(1);
    }
    while (delivered < expected && usec() - start < (seconds + 20) * 1000000LL) {
        serve(10);
    }
    cpu = cpu_of(pid) - before;
    printf("%lld %lld %.3f %lld\n", expected, delivered, (double)cpu / (double)(delivered + 1),
           memory);
}

int main(int argc, char **argv)
{
    const hb_settings_t *settings = NULL;
    hb_log_t log = { print_line, NULL, HB_LOG_ERR };
    const char *streams[1000], *why = NULL;
    int n_streams = 0, rate = 20, seconds = 3, i;
    long long memory = 0, n_before = 0;
    struct rlimit limit;
    apr_pool_t *pool;
    hb_site_t *site;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--settings") == 0) {
            why = hb_settings_load(&settings, argv[++i], pool);
        }
        else if (i + 1 < argc && strcmp(argv[i], "--token") == 0) {
            token = argv[++i];
        }
        else if (i + 1 < argc && strcmp(argv[i], "--members") == 0) {
            n_clients = atoi(argv[++i]);
        }
        else if (i + 1 < argc && strcmp(argv[i], "--rate") == 0) {
            rate = atoi(argv[++i]);
        }
        else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            seconds = atoi(argv[++i]);
        }
        else if (n_streams < 1000) {
            streams[n_streams++] = argv[i];
        }
    }
    if (settings == NULL || why != NULL || token == NULL || n_clients < 1 || n_streams < 1) {
        fprintf(stderr, "bench_rooms: %s\n", why != NULL ? why : "see the head of the source");
        return 2;
    }
    apr_cpystrn(address.sun_path, settings->realtime_socket, sizeof(address.sun_path));
    if (hb_site_make(&site, &why, settings, &log, pool) != APR_SUCCESS
        || hb_site_open(site, NULL, pool) != APR_SUCCESS) {
        fprintf(stderr, "bench_rooms: %s\n", why != NULL ? why : "no site");
        return 1;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t)n_clients, sizeof(*clients));
    for (i = 0; i < n_clients; i++) {
        clients[i].stream = streams[i % n_streams];
    }
    while (n_in < n_clients) {
        if (n_in < n_clients / 10) {
            /* By then each thread of the sidecar has its connection to the store. */
            n_before = n_in;
            memory = n_begun > 0 ? memory_of(peer_of(clients[0].fd)) : 0;
        }
        while (n_begun < n_clients && n_begun - n_in < AT_ONCE) {
            begin(&clients[n_begun]);
        }
        serve(1000);
    }
    for (i = 0; i < 150; i++) {
        serve(10);                      /* until coming in has been told, too */
    }
    run(site, streams, n_streams, rate, seconds,
        (memory_of(peer_of(clients[0].fd)) - memory) / (n_clients - n_before));
    return 0;
}
