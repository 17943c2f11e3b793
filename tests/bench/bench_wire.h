/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bench_wire.h
 * WebSocket clients by the thousand, over TCP or TLS, in one thread: what opens them and takes
 * their frames apart. What is said over them is bench_sockets.c's.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <openssl/ssl.h>

#define WIRE_BUF 70000          /* no frame may be longer */

typedef struct conn_t {
    int fd;                     /* -1 while there is none */
    int state;                  /* 0 none, 1 TLS handshake, 2 waits for 101, 3 open */
    int step;                   /* the caller's: how far the conversation is */
    unsigned int number;        /* the caller's */
    unsigned int life;          /* counts wire_drop() */
    SSL *ssl;
    long long sent_at;          /* the caller's, usec() */
    int code;                   /* of the close frame that came; 0 for none */
    size_t len;
    unsigned char *buf;         /* what did not fit a whole frame yet; NULL mostly */
} conn_t;

typedef struct wire_t {
    int port, tls;
    const char *path;
    int n_begun, n_open;        /* so far; open: had their 101 */
    void (*opened)(conn_t *c);
    void (*heard)(conn_t *c, const char *data, size_t len);     /* a text or binary message */
    /* It is over: why is a word. The caller may begin it anew, after wire_drop(). */
    void (*ended)(conn_t *c, const char *why);
} wire_t;

extern wire_t wire;

/** Microseconds of a clock that does not jump. */
long long usec(void);

/** Say what failed, with errno, and exit. */
void die(const char *what);

/** As many descriptors as this process may have. */
void raise_files(void);

void wire_start(void);

/** Connect (this waits: loopback only), then go on in wire_turn(). */
void wire_begin(conn_t *c);

/** Give up a connection: by RST, or with what TLS and TCP have for an end. */
void wire_drop(conn_t *c, int is_rude);

/** One look at all connections, up to msec long; calls back. */
void wire_turn(int msec);

/** All of it at once, or ended() is called. */
void wire_write(conn_t *c, const void *data, size_t len);

/** A text message. */
void wire_say(conn_t *c, const char *text, size_t len);

/** Length of the first frame in buf, head included; 0 when it is not complete. */
size_t frame_bytes(const unsigned char *buf, size_t len, size_t *head);

/** @return bytes of the head */
size_t frame_head(unsigned char *out, int opcode, size_t n, int is_masked);

/** An echo server at HaloBuzzRealtimeSocket of a settings file, until the process is ended. */
void bench_echo(const char *config);

#endif /* BENCH_WIRE_H */
