/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets in numbers: a load generator, and an echo server to stand where the sidecar stands, so
 * that what is between them can be measured. One thread each.
 *
 *   bench_sockets --config FILE
 *       serve at HaloBuzzRealtimeSocket of a settings file (as httpd starts the sidecar)
 *   bench_sockets echo --port N [--tls] [--path P] [--connections C] [--bytes B] [--seconds S]
 *       each connection sends, waits for the echo, sends ...; prints: messages/s p50 p99 (usec)
 *   bench_sockets hold --port N [--tls] [--path P] [--connections C] [--bytes B]
 *       opens them all, then obeys lines from stdin, one line of answer each:
 *       echo       all send at once:      "echoed N in USEC"
 *       broadcast  one sends to all:      "heard N p50 p99 max"
 *       updates N  a TLS key update before each of N echoes, in one segment: "updated N"
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#define BUF 70000
#define BURST 64                /* handshakes at once */
#define SAMPLES_MAX 4000000

static long long usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_sockets: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void raise_files(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Length of the first frame in buf, head included; 0 when it is not complete. */
static size_t frame_bytes(const unsigned char *buf, size_t len, size_t *head)
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

static size_t put_head(unsigned char *out, int opcode, size_t n, int is_masked)
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

/* --- the echo server --- */

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
    static unsigned char out[BUF];

    while ((n = frame_bytes(peer->buf + at, peer->len - at, &head)) > 0) {
        const unsigned char *frame = peer->buf + at;
        size_t h = put_head(out + out_len, frame[0] & 15, n - head, 0), i;

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
    ssize_t n = read(peer->fd, peer->buf + peer->len, BUF - 1 - peer->len);

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

static void serve(const char *config)
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
                peer = calloc(1, sizeof(*peer) + BUF);
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

/* --- the load --- */

typedef struct conn_t {
    int fd;
    int state;                  /* 0 none, 1 TLS handshake, 2 waits for 101, 3 open */
    SSL *ssl;
    long long sent_at;
    size_t len;
    unsigned char *buf;         /* what did not fit a whole frame yet; NULL mostly */
} conn_t;

static struct {
    int port, tls, connections, bytes, seconds;
    const char *path;
} o = { 0, 0, 1, 128, 3, "/socket.io/?EIO=4&transport=websocket" };

static conn_t *conns;
static int epoll;
static SSL_CTX *tls;
static unsigned int *samples;
static size_t n_samples;
static int n_open, n_begun;
static unsigned char message[BUF];
static size_t message_len;

static void failed(const char *what)
{
    fprintf(stderr, "bench_sockets: %s, %d open\n", what, n_open);
    exit(1);
}

static ssize_t conn_read(conn_t *c, void *buf, size_t len)
{
    int n;

    if (!o.tls) {
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

static void conn_write(conn_t *c, const void *data, size_t len)
{
    ssize_t n = o.tls ? SSL_write(c->ssl, data, (int)len)
                      : send(c->fd, data, len, MSG_NOSIGNAL);

    if (n != (ssize_t)len) {
        failed("a message did not fit");
    }
}

static void send_message(conn_t *c)
{
    c->sent_at = usec();
    conn_write(c, message, message_len);
}

static void ask(conn_t *c)
{
    char head[700];
    int n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", o.path);

    conn_write(c, head, (size_t)n);
    c->state = 2;
}

static void begin(conn_t *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)o.port) };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    n_begun++;
    if (o.tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
        c->state = 1;
    }
    else {
        ask(c);
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* Takes whole frames; says how many. */
static int take(conn_t *c, unsigned char *data, size_t len)
{
    size_t at = 0, n, head;
    int frames = 0;

    if (c->state == 2) {
        unsigned char *end = memmem(data, len, "\r\n\r\n", 4);

        if (memcmp(data, "HTTP/1.1 101", len < 12 ? len : 12) != 0) {
            fprintf(stderr, "%.*s\n", (int)len, data);
            failed("no WebSocket");
        }
        if (end == NULL) {
            failed("half a head");      /* it comes in one segment on loopback */
        }
        c->state = 3;
        n_open++;
        at = (size_t)(end - data) + 4;
    }
    while ((n = frame_bytes(data + at, len - at, &head)) > 0) {
        if ((data[at] & 15) == 8) {
            failed("closed by a frame");
        }
        at += n;
        frames++;
    }
    c->len = len - at;
    if (c->len > 0) {
        c->buf = c->buf != NULL ? c->buf : malloc(BUF);
        memmove(c->buf, data + at, c->len);
    }
    return frames;
}

/* One look at the sockets; hears(c) is told of each whole message. */
static void turn(int msec, void (*hears)(conn_t *c))
{
    static unsigned char space[BUF];
    struct epoll_event events[512];
    int i, n = epoll_wait(epoll, events, 512, msec);

    for (i = 0; i < n; i++) {
        conn_t *c = events[i].data.ptr;

        if (c->state == 1) {
            int done = SSL_do_handshake(c->ssl);

            if (done != 1) {
                done = SSL_get_error(c->ssl, done);
                if (done != SSL_ERROR_WANT_READ && done != SSL_ERROR_WANT_WRITE) {
                    failed("TLS handshake");
                }
                continue;
            }
            ask(c);
        }
        for (;;) {
            unsigned char *at = c->len > 0 ? c->buf : space;
            ssize_t got = conn_read(c, at + c->len, BUF - c->len);
            int frames;

            if (got < 0 && errno == EAGAIN) {
                break;
            }
            if (got <= 0) {
                failed("closed");
            }
            frames = take(c, at, c->len + (size_t)got);
            while (frames-- > 0) {
                hears(c);
            }
        }
    }
}

static void hears_nothing(conn_t *c)
{
    (void)c;
}

static void open_all(void)
{
    long long by = usec() + 120000000;
    int i;

    epoll = epoll_create1(0);
    conns = calloc((size_t)o.connections, sizeof(*conns));
    for (i = 0; i < o.connections; i++) {
        while (n_begun - n_open >= BURST) {
            turn(100, hears_nothing);
            if (usec() > by) {
                failed("opening takes too long");
            }
        }
        begin(&conns[i]);
    }
    while (n_open < o.connections) {
        turn(100, hears_nothing);
        if (usec() > by) {
            failed("opening takes too long");
        }
    }
}

static int compare(const void *a, const void *b)
{
    unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

    return x < y ? -1 : x > y;
}

static unsigned int quantile(double q)
{
    return n_samples == 0 ? 0 : samples[(size_t)((double)(n_samples - 1) * q)];
}

static void hears_echo(conn_t *c)
{
    if (n_samples < SAMPLES_MAX) {
        samples[n_samples++] = (unsigned int)(usec() - c->sent_at);
    }
    send_message(c);
}

static int echo(void)
{
    long long began, until;
    int i;

    open_all();
    began = usec();
    until = began + o.seconds * 1000000LL;
    for (i = 0; i < o.connections; i++) {
        send_message(&conns[i]);
    }
    while (usec() < until) {
        turn(100, hears_echo);
    }
    qsort(samples, n_samples, sizeof(*samples), compare);
    printf("%.0f %u %u\n", (double)n_samples * 1e6 / (double)(usec() - began), quantile(0.5),
           quantile(0.99));
    return 0;
}

static long long spoken_at;

static void hears_other(conn_t *c)
{
    (void)c;
    samples[n_samples++] = (unsigned int)(usec() - spoken_at);
}

static void gather(size_t wanted)
{
    long long by = usec() + 30000000;

    while (n_samples < wanted) {
        turn(100, hears_other);
        if (usec() > by) {
            fprintf(stderr, "%zu of %zu came\n", n_samples, wanted);
            failed("silence");
        }
    }
}

static void obey(const char *line)
{
    int i, n;

    n_samples = 0;
    spoken_at = usec();
    if (strncmp(line, "echo", 4) == 0) {
        for (i = 0; i < o.connections; i++) {
            send_message(&conns[i]);
        }
        gather((size_t)o.connections);
        printf("echoed %zu in %lld\n", n_samples, usec() - spoken_at);
    }
    else if (strncmp(line, "broadcast", 9) == 0) {
        message[message_len - (size_t)o.bytes] = 'B';
        send_message(&conns[0]);
        message[message_len - (size_t)o.bytes] = 'x';
        gather((size_t)o.connections);
        qsort(samples, n_samples, sizeof(*samples), compare);
        printf("heard %zu %u %u %u\n", n_samples, quantile(0.5), quantile(0.99), quantile(1));
    }
    else if (sscanf(line, "updates %d", &n) == 1 && o.tls) {
        for (i = 0; i < n; i++) {
            conn_t *c = &conns[i % o.connections];

            /* Goes out with the message behind it. */
            SSL_key_update(c->ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED
                                         : SSL_KEY_UPDATE_NOT_REQUESTED);
            send_message(c);
            gather((size_t)i + 1);
        }
        printf("updated %d\n", n);
    }
    else {
        printf("what?\n");
    }
    fflush(stdout);
}

static int hold(void)
{
    char line[100];

    open_all();
    printf("open %d\n", n_open);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        obey(line);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int i;

    if (argc == 3 && strcmp(argv[1], "--config") == 0) {
        serve(argv[2]);         /* until it is told to end */
        return 0;
    }
    for (i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--tls") == 0) {
            o.tls = 1;
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--port") == 0) {
            o.port = atoi(value);
        }
        else if (strcmp(argv[i - 1], "--path") == 0) {
            o.path = value;
        }
        else if (strcmp(argv[i - 1], "--connections") == 0) {
            o.connections = atoi(value);
        }
        else if (strcmp(argv[i - 1], "--bytes") == 0) {
            o.bytes = atoi(value);
        }
        else if (strcmp(argv[i - 1], "--seconds") == 0) {
            o.seconds = atoi(value);
        }
        else {
            argc = 0;
        }
    }
    if (argc < 2 || o.port == 0 || o.bytes < 1 || o.bytes > 60000) {
        fprintf(stderr, "usage: see the head of bench_sockets.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    samples = malloc(SAMPLES_MAX * sizeof(*samples));
    message_len = put_head(message, 1, (size_t)o.bytes, 1);
    memset(message + message_len, 'x', (size_t)o.bytes);
    message_len += (size_t)o.bytes;
    if (o.tls) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    }
    return strcmp(argv[1], "echo") == 0 ? echo() : hold();
}
