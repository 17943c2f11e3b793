/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAME
 *     bench_deflate - what permessage-deflate saves and costs
 *
 * DESCRIPTION
 *     Events as rooms have them, compressed as the sidecar does: bytes before and after, and the time
 *     of one compression (once for a whole room) beside that of copying the frame, measured in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>

#include "rt_deflate.h"
#include "rt_frame.h"

#define ROUNDS 20000

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A chat message, and n of them as the answer to a join has them. */
static char *chat(int n)
{
    char *text = malloc(32 + 400 * (size_t)n), *to = text;
    int i;

    to += sprintf(to, n > 1 ? "{\"messages\":[" : "");
    for (i = 0; i < n; i++) {
        to += sprintf(to, "%s{\"message\":{\"id\":\"6b017e7a2bba5687%08x\",\"streamId\":"
                      "\"6b017e7a2bba568792ca5d76\",\"user\":{\"id\":\"6b017e7a2bba568792%06x\","
                      "\"username\":\"viewer%d\",\"ogLevel\":%d,\"badge\":\"none\"},\"text\":\"message %d "
                      "of somebody who likes this song\",\"createdAt\":\"2026-11-21T11:%02d:%02d.%03dZ\""
                      "},\"offset\":\"%d\",\"epoch\":\"1795260026-33508\"}", i > 0 ? "," : "",
                      (unsigned)(i * 2654435761u), i * 7919, i * 31 % 997, i % 6, i * 17, i % 60,
                      i * 7 % 60, i * 131 % 1000, 100000 + i);
    }
    sprintf(to, n > 1 ? "]}" : "");
    return text;
}

static void measure(const char *what, int n)
{
    char *text = chat(n), *copy;
    apr_size_t len = strlen(text);
    rt_frame_t *frame = rt_frame_event("/", "chat:new", text, len);
    rt_bytes_t packed = { NULL, 0 };
    int i, rounds = ROUNDS / (n < 5 ? 1 : n);
    double begin = now(), pack, plain;
    volatile char sink = 0;

    for (i = 0; i < rounds; i++) {
        free((char *)packed.at);
        packed = rt_deflate_frames(frame->eio);
    }
    pack = (now() - begin) / rounds;
    begin = now();
    for (i = 0; i < rounds; i++) {
        copy = malloc(frame->eio.len);
        memcpy(copy, frame->eio.at, frame->eio.len);
        sink = (char)(sink + copy[i % (int)frame->eio.len]);
        free(copy);
    }
    plain = (now() - begin) / rounds;
    printf("%-28s %6lu bytes become %5lu (%.2f), %6.1f us once a room against %.2f to copy\n", what,
           (unsigned long)frame->eio.len, (unsigned long)packed.len,
           (double)packed.len / (double)frame->eio.len, pack * 1e6, plain * 1e6);
    free((char *)packed.at);
    free(text);
    rt_frame_release(frame);
}

int main(void)
{
    apr_initialize();
    measure("a chat message", 1);
    measure("30 of them, after a join", 30);
    return 0;
}
