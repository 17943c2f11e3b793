/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An echo server that stands where the sidecar stands, one thread. A message that begins
 * with B goes to all.
 */
#include "bench_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

typedef struct peer_t {
    int fd;
    int is_open;
    size_t len;
    struct peer_t *next, *before;
    unsigned char buf[];
} peer_t;

static peer_t *peers;

static void peer_end(peer_t *peer)
{
    close(peer->fd);
    if (peer->before != NULL) {
        peer->before->next = peer->next;
    }
    else {
        peers = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->before = peer->before;
    }
    free(peer);
}

static void write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            struct timespec moment = { 0, 50000 };

            nanosleep(&moment, NULL);
            continue;
        }
        if (n <= 0) {
            return;
        }
        at += n;
        len -= (size_t)n;
    }
}

static void greet(peer_t *peer, size_t end)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA_DIGEST_LENGTH], text[100];
    char reply[256], *key = strcasestr((char *)peer->buf, "sec-websocket-key: ");
    size_t n = key != NULL ? strcspn(key + 19, "\r") : 0;
    int len;

    if (n == 0 || n > 40) {
        static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

        write_all(peer->fd, plain, sizeof(plain) - 1);
        shutdown(peer->fd, SHUT_WR);
        return;
    }
    memcpy(text, key + 19, n);
    memcpy(text + n, guid, sizeof(guid));
    SHA1(text, n + sizeof(guid) - 1, digest);
    EVP_EncodeBlock(text, digest, sizeof(digest));
    len = snprintf(reply, sizeof(reply), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", text);
    write_all(peer->fd, reply, (size_t)len);
    peer->is_open = 1;
    peer->len -= end;
    memmove(peer->buf, peer->buf + end, peer->len);
}

static void answer(peer_t *peer)
{
    size_t at = 0, n, head, out_len = 0;
    static unsigned char out[WIRE_BUF];

    while ((n = frame_bytes(peer->buf + at, peer->len - at, &head)) > 0) {
        const unsigned char *frame = peer->buf + at;
        size_t h = frame_head(out + out_len, frame[0] & 15, n - head, 0), i;

        for (i = 0; i < n - head; i++) {
            out[out_len + h + i] = frame[head + i] ^ frame[head - 4 + i % 4];
        }
        if (n > head && out[out_len + h] == 'B') {
            peer_t *to;

            for (to = peers; to != NULL; to = to->next) {
                write_all(to->fd, out + out_len, h + n - head);
            }
        }
        else {
            out_len += h + n - head;
        }
        at += n;
    }
    write_all(peer->fd, out, out_len);
    peer->len -= at;
    memmove(peer->buf, peer->buf + at, peer->len);
}

static int hear(peer_t *peer)
{
    ssize_t n = read(peer->fd, peer->buf + peer->len, WIRE_BUF - 1 - peer->len);

    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    peer->len += (size_t)n;
    peer->buf[peer->len] = '\0';
    if (!peer->is_open) {
        unsigned char *end = memmem(peer->buf, peer->len, "\r\n\r\n", 4);

        if (end != NULL) {
            greet(peer, (size_t)(end - peer->buf) + 4);
        }
    }
    if (peer->is_open) {
        answer(peer);
    }
    return 1;
}

void bench_echo(const char *config)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int epoll = epoll_create1(0), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event events[256], event = { .events = EPOLLIN };
    FILE *file = fopen(config, "re");
    char line[600];

    if (file == NULL) {
        die(config);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "HaloBuzzRealtimeSocket %107s", address.sun_path) == 1) {
            break;
        }
    }
    fclose(file);
    signal(SIGHUP, SIG_IGN);
    raise_files();
    unlink(address.sun_path);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0
        || listen(listener, 4096) != 0) {
        die(address.sun_path);
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int i, n = epoll_wait(epoll, events, 256, -1);

        for (i = 0; i < n; i++) {
            peer_t *peer = events[i].data.ptr;
            int fd;

            if (peer != NULL) {
                if (!hear(peer)) {
                    peer_end(peer);
                }
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                peer = calloc(1, sizeof(*peer) + WIRE_BUF);
                peer->fd = fd;
                peer->next = peers;
                if (peers != NULL) {
                    peers->before = peer;
                }
                peers = peer;
                event.data.ptr = peer;
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
