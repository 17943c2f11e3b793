/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for bench_realtime.py: many Socket.IO clients over WebSocket in one thread, cheap enough to
 * keep up with the servers it measures. Prints one line of figures.
 *
 *     bench_realtime PORT MEMBERS SENDERS WINDOW RATE SECONDS [TEXT_BYTES]
 *
 * Every member joins "/" and counts the "m" events it gets. SENDERS of them emit "m": RATE a
 * second in all, or, with RATE 0, as fast as WINDOW unanswered ones of each allow. SECONDS 0: stay
 * until stdin ends, for memory to be looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define WARM_NSEC 1000000000ll

typedef struct member_t {
    int fd;
    int has_joined;
    int in_flight;
    unsigned char *part;            /* a frame's beginning */
    size_t part_len, part_size;
} member_t;

static member_t *members;
static int n_members, n_senders, window, rate, port, n_joined, text_bytes = 32;
static uint64_t n_delivered, n_sent, latency_sum, latency_n, latency_max;
static char text[4096];

static int64_t now_nsec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* One masked text frame; the mask is 0, so the bytes stay as they are. */
static void send_text(member_t *member, const char *bytes, size_t len)
{
    unsigned char frame[sizeof(text) + 128];
    size_t at = 0;

    frame[at++] = 0x81;
    if (len < 126) {
        frame[at++] = (unsigned char)(0x80 | len);
    }
    else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (unsigned char)(len >> 8);
        frame[at++] = (unsigned char)len;
    }
    memset(frame + at, 0, 4);
    at += 4;
    memcpy(frame + at, bytes, len);
    at += len;
    if (write(member->fd, frame, at) != (ssize_t)at) {
        die("write");
    }
}

static void emit(int who)
{
    char event[sizeof(text) + 64];
    int len = snprintf(event, sizeof(event), "42[\"m\",%d,%lld,\"%s\"]", who, (long long)now_nsec(),
                       text);

    send_text(&members[who], event, (size_t)len);
    members[who].in_flight++;
    n_sent++;
}

static void on_text(int i, const unsigned char *bytes, size_t len)
{
    member_t *member = &members[i];

    if (len == 1 && bytes[0] == '2') {
        send_text(member, "3", 1);
    }
    else if (len > 7 && memcmp(bytes, "42[\"m\",", 7) == 0) {
        int who = atoi((const char *)bytes + 7);

        n_delivered++;
        if (who == i) {
            const char *at = memchr(bytes + 7, ',', len - 7);
            uint64_t took = (uint64_t)(now_nsec() - atoll(at + 1));

            latency_sum += took;
            latency_n++;
            latency_max = took > latency_max ? took : latency_max;
            member->in_flight--;
        }
    }
    else if (bytes[0] == '0') {
        send_text(member, "40", 2);
    }
    else if (len > 2 && memcmp(bytes, "40", 2) == 0 && !member->has_joined) {
        member->has_joined = 1;
        n_joined++;
    }
}

/* @return bytes of whole frames */
static size_t read_frames(int i, const unsigned char *bytes, size_t len)
{
    size_t at = 0;

    while (len - at >= 2) {
        size_t head = 2, size = bytes[at + 1] & 127;

        if (size == 126) {
            head = 4;
            if (len - at < head) {
                break;
            }
            size = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        }
        if (len - at < head + size) {
            break;
        }
        if ((bytes[at] & 15) == 8) {
            fprintf(stderr, "member %d was closed\n", i);
            exit(1);
        }
        on_text(i, bytes + at + head, size);
        at += head + size;
    }
    return at;
}

static void read_member(int i)
{
    static unsigned char bytes[2 * READ_BYTES];
    member_t *member = &members[i];
    size_t len = member->part_len, used;
    ssize_t n;

    memcpy(bytes, member->part, len);
    n = read(member->fd, bytes + len, READ_BYTES);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        die("read");
    }
    len += (size_t)n;
    used = read_frames(i, bytes, len);
    member->part_len = len - used;
    if (member->part_len > member->part_size) {
        member->part_size = member->part_len;
        member->part = realloc(member->part, member->part_size);
    }
    memcpy(member->part, bytes + used, member->part_len);
}

static void connect_member(int i, int poll)
{
    static const char request[] = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
    member_t *member = &members[i];
    char c, tail[4] = "";
    int one = 1;

    /* Several addresses, because one has but some 28 000 ports. */
    address.sin_addr.s_addr = htonl(0x7f000001u);
    member->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (member->fd < 0 || connect(member->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die("connect");
    }
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (write(member->fd, request, sizeof(request) - 1) < 0) {
        die("write");
    }
    while (memcmp(tail, "\r\n\r\n", 4) != 0) {
        if (read(member->fd, &c, 1) != 1) {
            die("handshake");
        }
        memmove(tail, tail + 1, 3);
        tail[3] = c;
    }
    fcntl(member->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poll, EPOLL_CTL_ADD, member->fd, &event);
}

static void turn(int poll, int wait_msec)
{
    struct epoll_event events[1024];
    int n = epoll_wait(poll, events, 1024, wait_msec), i;

    for (i = 0; i < n; i++) {
        if (events[i].data.u32 == UINT32_MAX) {
            exit(0);
        }
        read_member((int)events[i].data.u32);
    }
}

static void offer(int64_t from, int64_t now, uint64_t *n_offered)
{
    int i;

    if (rate > 0) {
        while (*n_offered < (uint64_t)((now - from) * rate / 1000000000ll)) {
            emit((int)((*n_offered)++ % (uint64_t)n_senders));
        }
        return;
    }
    for (i = 0; i < n_senders; i++) {
        while (members[i].in_flight < window) {
            emit(i);
        }
    }
}

static void hold(int poll)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = UINT32_MAX };

    printf("joined\n");
    fflush(stdout);
    epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
    for (;;) {
        turn(poll, -1);
    }
}

int main(int argc, char **argv)
{
    int poll = epoll_create1(0), i, seconds;
    int64_t from, counted_from = 0, now, end;
    uint64_t n_offered = 0;

    if (argc < 7) {
        fprintf(stderr, "see the comment at the head\n");
        return 2;
    }
    port = atoi(argv[1]);
    n_members = atoi(argv[2]);
    n_senders = atoi(argv[3]);
    window = atoi(argv[4]);
    rate = atoi(argv[5]);
    seconds = atoi(argv[6]);
    if (argc > 7) {
        text_bytes = atoi(argv[7]);
    }
    memset(text, 'x', (size_t)text_bytes);
    members = calloc((size_t)n_members, sizeof(*members));
    for (i = 0; i < n_members; i++) {
        connect_member(i, poll);
        turn(poll, 0);
    }
    while (n_joined < n_members) {
        turn(poll, 100);
    }
    if (seconds == 0) {
        hold(poll);
    }
    from = now = now_nsec();
    end = from + WARM_NSEC + seconds * 1000000000ll;
    while (now < end) {
        if (counted_from == 0 && now - from >= WARM_NSEC) {
            counted_from = now;
            n_delivered = n_sent = latency_sum = latency_n = latency_max = 0;
            printf("begin\n");
            fflush(stdout);
        }
        offer(from, now, &n_offered);
        turn(poll, 1);
        now = now_nsec();
    }
    printf("end deliveries=%llu sent=%llu seconds=%.3f mean_usec=%llu max_usec=%llu\n",
           (unsigned long long)n_delivered, (unsigned long long)n_sent,
           (double)(now - counted_from) / 1e9,
           (unsigned long long)(latency_n > 0 ? latency_sum / latency_n / 1000 : 0),
           (unsigned long long)latency_max / 1000);
    fflush(stdout);
    return 0;
}
