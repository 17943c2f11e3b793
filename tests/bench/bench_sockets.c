/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets in numbers: a load generator, and an echo server to stand where the sidecar stands, so
 * that what is between them can be measured. One thread each.
 *
 *   bench_sockets --config FILE
 *       serve at HaloBuzzRealtimeSocket of a settings file (as httpd starts the sidecar)
 *   bench_sockets MODE --port N [--tls] [--path P] [--connections C] [--bytes B] [--seconds S]
 *                 [--total T] [--stream ID --tokens FILE]
 *
 * With --stream the server is the real sidecar: each connection says whose it is (a line of
 * FILE, in turn) and joins that room. A connection is in when it has joined; without
 * --stream, when it is open.
 *
 *   echo    each connection sends, waits for the echo, sends ...; prints: messages/s p50 p99 (usec)
 *   hold    opens them all, then obeys lines from stdin, one line of answer each:
 *           ask        all ask at once (an echo, or the state of the room):  "answered N in USEC"
 *           broadcast  one says something to all:                   "heard N p50 p99 max"
 *           updates N  a TLS key update before each of N echoes, in one segment:  "updated N"
 *   stay    as hold, but who is sent away (1012, 1001) comes back; obeys
 *           count      "in N back N refused N odd N"
 *   churn   C at a time until T were in, each left in one of three ways;
 *           prints: "churned T in USEC odd N"
 */
#include "bench_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST 64                /* handshakes at once */
#define SAMPLES_MAX 4000000
#define TOKENS_MAX 20000
#define RETRY_USEC 100000
#define ODD_TOLD 5

/* Steps of a conversation. */
enum { COMING, CONNECTING, JOINING, IN, LEAVING };

static struct {
    int connections, bytes, seconds, total;
    const char *stream;
} o = { 1, 128, 3, 0, NULL };

static char *tokens[TOKENS_MAX];
static int n_tokens;

static conn_t *conns;
static int n_in;
static unsigned int *samples;
static size_t n_samples;
static unsigned char message[WIRE_BUF];
static size_t message_len;

static void (*came_in)(conn_t *c);
static void (*answered)(conn_t *c);

static void failed(const char *what)
{
    fprintf(stderr, "bench_sockets: %s, %d in\n", what, n_in);
    exit(1);
}

static void ended_badly(conn_t *c, const char *why)
{
    if (c->code > 0) {
        fprintf(stderr, "bench_sockets: close code %d\n", c->code);
    }
    failed(why);
}

static void nothing(conn_t *c)
{
    (void)c;
}

static void sample(long long since)
{
    if (n_samples < SAMPLES_MAX) {
        samples[n_samples++] = (unsigned int)(usec() - since);
    }
}

/* --- what is said --- */

static void say(conn_t *c, const char *before, const char *value, const char *after)
{
    char text[4096];

    wire_say(c, text, (size_t)snprintf(text, sizeof(text), "%s%s%s", before, value, after));
}

static void get_in(conn_t *c)
{
    c->step = IN;
    n_in++;
    came_in(c);
}

static void opened(conn_t *c)
{
    if (o.stream == NULL) {
        get_in(c);
    }
}

static int begins(const char *data, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(data, with, strlen(with)) == 0;
}

static void heard(conn_t *c, const char *data, size_t len)
{
    if (o.stream == NULL) {
        answered(c);
    }
    else if (len == 1 && data[0] == '2') {
        wire_say(c, "3", 1);
    }
    else if (c->step == COMING && begins(data, len, "0{")) {
        c->step = CONNECTING;
        say(c, "40{\"token\":\"", tokens[c->number % (unsigned int)n_tokens], "\"}");
    }
    else if (c->step == CONNECTING && begins(data, len, "40{")) {
        c->step = JOINING;
        say(c, "420[\"stream:join\",{\"streamId\":\"", o.stream, "\"}]");
    }
    else if (c->step == JOINING && begins(data, len, "430[{\"ok\":true")) {
        get_in(c);
    }
    else if (c->step == CONNECTING || (c->step == JOINING && begins(data, len, "430"))) {
        fprintf(stderr, "bench_sockets: %.*s\n", (int)(len < 300 ? len : 300), data);
        wire.ended(c, "refused");
    }
    else if (c->step == IN && (begins(data, len, "431[{\"ok\":true")
                               || begins(data, len, "42[\"chat:new\""))) {
        answered(c);
    }
}

static void send_message(conn_t *c)
{
    c->sent_at = usec();
    if (o.stream != NULL) {
        say(c, "421[\"stream:join\",{\"streamId\":\"", o.stream, "\"}]");
    }
    else {
        wire_write(c, message, message_len);
    }
}

static void send_to_all(conn_t *c)
{
    if (o.stream != NULL) {
        say(c, "42[\"chat:new\",{\"text\":\"Good evening to everybody who is here, and to those who "
            "are on their way\",\"streamId\":\"", o.stream, "\"}]");
        return;
    }
    message[message_len - (size_t)o.bytes] = 'B';
    wire_write(c, message, message_len);
    message[message_len - (size_t)o.bytes] = 'x';
}

/* --- opening them all --- */

static void make_conns(void)
{
    int i;

    conns = calloc((size_t)o.connections, sizeof(*conns));
    for (i = 0; i < o.connections; i++) {
        conns[i].fd = -1;
        conns[i].number = (unsigned int)i;
    }
}

static int n_coming(void)
{
    return wire.n_begun - n_in;
}

static void open_all(void)
{
    long long by = usec() + 240000000;
    int i = 0;

    make_conns();
    while (n_in < o.connections) {
        while (i < o.connections && n_coming() < BURST) {
            wire_begin(&conns[i++]);
        }
        wire_turn(100);
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

/* --- echo --- */

static void send_again(conn_t *c)
{
    sample(c->sent_at);
    send_message(c);
}

static int echo(void)
{
    long long began, until;
    int i;

    open_all();
    answered = send_again;
    began = usec();
    until = began + o.seconds * 1000000LL;
    for (i = 0; i < o.connections; i++) {
        send_message(&conns[i]);
    }
    while (usec() < until) {
        wire_turn(100);
    }
    qsort(samples, n_samples, sizeof(*samples), compare);
    printf("%.0f %u %u\n", (double)n_samples * 1e6 / (double)(usec() - began), quantile(0.5),
           quantile(0.99));
    return 0;
}

/* --- hold --- */

static long long spoken_at;

static void note(conn_t *c)
{
    (void)c;
    sample(spoken_at);
}

static void gather(size_t wanted)
{
    long long by = usec() + 60000000;

    while (n_samples < wanted) {
        wire_turn(100);
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
    if (strncmp(line, "ask", 3) == 0) {
        for (i = 0; i < o.connections; i++) {
            send_message(&conns[i]);
        }
        gather((size_t)o.connections);
        printf("answered %zu in %lld\n", n_samples, usec() - spoken_at);
    }
    else if (strncmp(line, "broadcast", 9) == 0) {
        send_to_all(&conns[0]);
        gather((size_t)o.connections);
        qsort(samples, n_samples, sizeof(*samples), compare);
        printf("heard %zu %u %u %u\n", n_samples, quantile(0.5), quantile(0.99), quantile(1));
    }
    else if (sscanf(line, "updates %d", &n) == 1 && wire.tls) {
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

/* Lines of stdin while connections are served; 0 at its end. */
static int hear_orders(void (*fn)(const char *line))
{
    static char line[200];
    static size_t len;
    char *end;
    ssize_t n = read(STDIN_FILENO, line + len, sizeof(line) - 1 - len);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        return 0;
    }
    len += n > 0 ? (size_t)n : 0;
    line[len] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        fn(line);
        len -= (size_t)(end + 1 - line);
        memmove(line, end + 1, len + 1);
    }
    return 1;
}

static int hold(void)
{
    open_all();
    answered = note;
    printf("open %d\n", n_in);
    fflush(stdout);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    while (hear_orders(obey)) {
        wire_turn(20);          /* pings are answered meanwhile */
    }
    return 0;
}

/* --- stay --- */

static struct {
    conn_t **waiting;           /* to come back, a ring */
    int first, n;
    int back, refused, odd;
} stay;

static void wait_for_a_turn(conn_t *c)
{
    c->sent_at = usec();
    stay.waiting[(stay.first + stay.n++) % o.connections] = c;
}

static void sent_away(conn_t *c, const char *why)
{
    int is_asked = c->code == 1012 || c->code == 1001;

    n_in -= c->step == IN;
    stay.back += is_asked;
    if (!is_asked && strncmp(why, "HTTP/1.1 503", 12) == 0) {
        stay.refused++;
    }
    else if (!is_asked && stay.odd++ < ODD_TOLD) {
        fprintf(stderr, "bench_sockets: step %d, code %d: %s\n", c->step, c->code, why);
    }
    wire_drop(c, 0);
    wait_for_a_turn(c);
}

static void count(const char *line)
{
    (void)line;
    printf("in %d back %d refused %d odd %d\n", n_in, stay.back, stay.refused, stay.odd);
    fflush(stdout);
}

static int stay_there(void)
{
    long long now;

    open_all();
    stay.waiting = calloc((size_t)o.connections, sizeof(*stay.waiting));
    wire.ended = sent_away;
    printf("open %d\n", n_in);
    fflush(stdout);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    while (hear_orders(count)) {
        wire_turn(20);
        now = usec();
        while (stay.n > 0 && n_coming() < BURST
               && stay.waiting[stay.first]->sent_at + RETRY_USEC < now) {
            wire_begin(stay.waiting[stay.first]);
            stay.first = (stay.first + 1) % o.connections;
            stay.n--;
        }
    }
    return 0;
}

/* --- churn --- */

static int n_done, n_odd;

static void next_one(conn_t *c, int is_rude)
{
    n_in -= c->step >= IN;
    wire_drop(c, is_rude);
    if (n_done + wire.n_begun < o.total) {
        c->number += (unsigned int)o.connections;
        wire_begin(c);
    }
}

static void leave(conn_t *c)
{
    static const unsigned char close_frame[8] = { 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8 };

    if (c->number % 3 == 0) {
        c->step = LEAVING;      /* and wait for the answer */
        wire_write(c, close_frame, sizeof(close_frame));
        return;
    }
    n_done++;
    next_one(c, c->number % 3 == 1);
}

static void leave_or_ask(conn_t *c)
{
    if (o.stream != NULL) {
        leave(c);
    }
    else {
        send_message(c);
    }
}

static void left(conn_t *c, const char *why)
{
    if (c->step != LEAVING && n_odd++ < ODD_TOLD) {
        fprintf(stderr, "bench_sockets: step %d, code %d: %s\n", c->step, c->code, why);
    }
    n_done++;
    next_one(c, 0);
}

static int churn(void)
{
    long long began = usec();
    int i;

    make_conns();
    came_in = leave_or_ask;
    answered = leave;
    wire.ended = left;
    for (i = 0; i < o.connections && i < o.total; i++) {
        wire_begin(&conns[i]);
    }
    while (n_done < o.total) {
        wire_turn(100);
        if (usec() - began > 500000000LL) {
            failed("it takes too long");
        }
    }
    printf("churned %d in %lld odd %d\n", n_done, usec() - began, n_odd);
    return 0;
}

static void read_tokens(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[2048];

    if (file == NULL) {
        die(path);
    }
    while (n_tokens < TOKENS_MAX && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        tokens[n_tokens++] = strdup(line);
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = { { "echo", echo }, { "hold", hold }, { "stay", stay_there }, { "churn", churn } };
    size_t mode;
    int i;

    if (argc == 3 && strcmp(argv[1], "--config") == 0) {
        bench_echo(argv[2]);
        return 0;
    }
    wire.path = "/socket.io/?EIO=4&transport=websocket";
    for (i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--tls") == 0) {
            wire.tls = 1;
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--port") == 0) {
            wire.port = atoi(value);
        }
        else if (strcmp(argv[i - 1], "--path") == 0) {
            wire.path = value;
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
        else if (strcmp(argv[i - 1], "--total") == 0) {
            o.total = atoi(value);
        }
        else if (strcmp(argv[i - 1], "--stream") == 0) {
            o.stream = value;
        }
        else if (strcmp(argv[i - 1], "--tokens") == 0) {
            read_tokens(value);
        }
        else {
            argc = 0;
        }
    }
    for (mode = 0; argc > 1 && mode < sizeof(modes) / sizeof(*modes); mode++) {
        if (strcmp(argv[1], modes[mode].name) == 0) {
            break;
        }
    }
    if (argc < 2 || mode == sizeof(modes) / sizeof(*modes) || wire.port == 0 || o.bytes < 1
        || o.bytes > 60000 || o.connections < 1 || (o.stream != NULL && n_tokens == 0)) {
        fprintf(stderr, "usage: see the head of bench_sockets.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_files();
    samples = malloc(SAMPLES_MAX * sizeof(*samples));
    message_len = frame_head(message, 1, (size_t)o.bytes, 1);
    memset(message + message_len, 'x', (size_t)o.bytes);
    message_len += (size_t)o.bytes;
    came_in = answered = nothing;
    wire.opened = opened;
    wire.heard = heard;
    wire.ended = ended_badly;
    wire_start();
    return modes[mode].run();
}
