/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

wire_t wire;

static int epoll;
static SSL_CTX *tls;

long long usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

void die(const char *what)
{
    fprintf(stderr, "bench_sockets: %s: %s\n", what, strerror(errno));
    exit(1);
}

void raise_files(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* --- frames --- */

size_t frame_bytes(const unsigned char *buf, size_t len, size_t *head)
{
    size_t n, h = 2;

    if (len < 2) {
        return 0;
    }
    n = buf[1] & 127;
    if (n == 126) {
        if (len < 4) {
            return 0;
        }
        n = (size_t)buf[2] << 8 | buf[3];
        h = 4;
    }
    h += (buf[1] & 128) != 0 ? 4 : 0;
    *head = h;
    return len >= h + n ? h + n : 0;
}

size_t frame_head(unsigned char *out, int opcode, size_t n, int is_masked)
{
    size_t h = 2;

    out[0] = (unsigned char)(0x80 | opcode);
    out[1] = (unsigned char)((is_masked ? 128 : 0) | (n < 126 ? n : 126));
    if (n >= 126) {
        out[2] = (unsigned char)(n >> 8);
        out[3] = (unsigned char)n;
        h = 4;
    }
    if (is_masked) {
        memset(out + h, 0, 4);  /* a mask of zeroes masks nothing */
        h += 4;
    }
    return h;
}

/* --- bytes --- */

static ssize_t wire_read(conn_t *c, void *buf, size_t len)
{
    int n;

    if (!wire.tls) {
        return read(c->fd, buf, len);
    }
    n = SSL_read(c->ssl, buf, (int)len);
    if (n > 0) {
        return n;
    }
    n = SSL_get_error(c->ssl, n);
    errno = n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return n == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

void wire_write(conn_t *c, const void *data, size_t len)
{
    ssize_t n = wire.tls ? SSL_write(c->ssl, data, (int)len)
                         : send(c->fd, data, len, MSG_NOSIGNAL);

    if (n != (ssize_t)len) {
        wire.ended(c, "a message did not fit");
    }
}

void wire_say(conn_t *c, const char *text, size_t len)
{
    static unsigned char frame[WIRE_BUF];
    size_t head = frame_head(frame, 1, len, 1);

    memcpy(frame + head, text, len);
    wire_write(c, frame, head + len);
}

/* --- life --- */

void wire_start(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (wire.tls) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    }
}

static void ask(conn_t *c)
{
    char head[700];
    int n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", wire.path);

    c->state = 2;
    wire_write(c, head, (size_t)n);
}

void wire_begin(conn_t *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((unsigned short)wire.port) };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    wire.n_begun++;
    c->step = c->code = 0;
    c->len = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    if (wire.tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
        c->state = 1;
    }
    else {
        ask(c);
    }
}

void wire_drop(conn_t *c, int is_rude)
{
    struct linger linger = { 1, 0 };

    if (c->fd < 0) {
        return;
    }
    if (is_rude) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    else if (c->ssl != NULL && c->state > 1) {
        SSL_shutdown(c->ssl);
    }
    SSL_free(c->ssl);
    close(c->fd);
    free(c->buf);
    wire.n_begun--;
    wire.n_open -= c->state == 3;
    c->ssl = NULL;
    c->buf = NULL;
    c->fd = -1;
    c->state = 0;
    c->life++;
}

/* The answer to the upgrade; the bytes behind it, 0 when it is not here or not what it should be. */
static size_t take_answer(conn_t *c, const unsigned char *data, size_t len)
{
    const unsigned char *end = memmem(data, len, "\r\n\r\n", 4);

    if (memcmp(data, "HTTP/1.1 101", len < 12 ? len : 12) != 0) {
        char why[64];

        snprintf(why, sizeof(why), "%.*s", (int)(len < 40 ? len : 40), data);
        why[strcspn(why, "\r")] = '\0';
        wire.ended(c, why);
        return 0;
    }
    if (end == NULL) {
        wire.ended(c, "half a head");   /* it comes in one segment on loopback */
        return 0;
    }
    c->state = 3;
    wire.n_open++;
    wire.opened(c);
    return (size_t)(end - data) + 4;
}

/* Takes whole frames. The caller may end the connection meanwhile: then it is another. */
static void take(conn_t *c, unsigned char *data, size_t len)
{
    size_t at = 0, n, head;
    unsigned int life = c->life;

    if (c->state == 2) {
        at = take_answer(c, data, len);
        if (at == 0 || c->life != life) {
            return;
        }
    }
    while ((n = frame_bytes(data + at, len - at, &head)) > 0) {
        int opcode = data[at] & 15;

        if (opcode == 8) {
            c->code = n >= head + 2 ? data[at + head] << 8 | data[at + head + 1] : 1005;
        }
        else if (opcode <= 2) {
            wire.heard(c, (char *)data + at + head, n - head);
            if (c->life != life) {
                return;
            }
        }
        at += n;
    }
    c->len = len - at;
    if (c->len > 0) {
        c->buf = c->buf != NULL ? c->buf : malloc(WIRE_BUF);
        memmove(c->buf, data + at, c->len);
    }
}

static void ready(conn_t *c)
{
    static unsigned char space[WIRE_BUF];
    unsigned int life = c->life;

    if (c->state == 1) {
        int done = SSL_do_handshake(c->ssl);

        if (done != 1) {
            done = SSL_get_error(c->ssl, done);
            if (done != SSL_ERROR_WANT_READ && done != SSL_ERROR_WANT_WRITE) {
                wire.ended(c, "TLS handshake");
            }
            return;
        }
        ask(c);
    }
    while (c->life == life) {
        unsigned char *at = c->len > 0 ? c->buf : space;
        ssize_t got = wire_read(c, at + c->len, WIRE_BUF - c->len);

        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            wire.ended(c, c->code > 0 ? "closed by a frame" : "closed");
            return;
        }
        take(c, at, c->len + (size_t)got);
    }
}

void wire_turn(int msec)
{
    struct epoll_event events[512];
    int i, n = epoll_wait(epoll, events, 512, msec);

    for (i = 0; i < n; i++) {
        conn_t *c = events[i].data.ptr;

        if (c->fd >= 0) {
            ready(c);
        }
    }
}
