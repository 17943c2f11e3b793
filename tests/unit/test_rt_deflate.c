/* SPDX-License-Identifier: Apache-2.0 */
/* permessage-deflate: offers, the vectors of RFC 7692 7.2.3, bombs, one frame for many threads. */
#include "rt_deflate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"
#include "rt_frame.h"
#include "rt_queue.h"

#define MAX 1000000

START_TEST(offers)
{
    static const struct { const char *text; int rv; } rows[] = {
        { NULL, 0 }, { "", 0 }, { "permessage-deflate", 1 }, { "PerMessage-Deflate", 1 },
        { "permessage-deflate; client_max_window_bits", 1 },
        { "permessage-deflate; client_max_window_bits=10", 1 },
        { "permessage-deflate; client_max_window_bits=\"10\"", 1 },
        { "permessage-deflate;client_max_window_bits = 8 ;server_no_context_takeover", 1 },
        { "permessage-deflate; server_max_window_bits=15", 1 },
        { "permessage-deflate; server_max_window_bits=10", 0 },
        { "permessage-deflate; server_max_window_bits=10, permessage-deflate", 1 },
        { "permessage-deflate; server_max_window_bits", 0 },
        { "permessage-deflate; client_max_window_bits=7", 0 },
        { "permessage-deflate; client_max_window_bits=16", 0 },
        { "permessage-deflate; client_max_window_bits=010", 0 },
        { "permessage-deflate; client_max_window_bits=", 0 },
        { "permessage-deflate; server_no_context_takeover=1", 0 },
        { "permessage-deflate; server_no_context_takeover; server_no_context_takeover", 0 },
        { "permessage-deflate; unheard_of", 0 }, { "permessage-deflate x", 0 },
        { "x-webkit-deflate-frame", 0 }, { "x-webkit-deflate-frame, permessage-deflate", 1 },
        { ",,permessage-deflate", 1 }, { ";;;", 0 }, { "permessage-deflate;", 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rt_deflate_accepts(rows[i].text) == rows[i].rv, "%s",
                      rows[i].text != NULL ? rows[i].text : "none");
    }
}
END_TEST

START_TEST(vectors)
{
    static const struct { const char *bytes; apr_size_t len; const char *text; } rows[] = {
        { "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello" },             /* 7.2.3.1 */
        { "\x00\x05\x00\xfa\xffHello\x00", 11, "Hello" },            /* 7.2.3.3: no compression */
        { "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello" },         /* 7.2.3.4: a last block */
        { "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello" }, /* 7.2.3.5 */
        { "\x00", 1, "" },                                          /* 7.2.3.6 */
        { "", 0, "" },
    };
    static const struct { const char *bytes; apr_size_t len; } bad[] = {
        { "\xff\xff\xff\xff", 4 }, { "\x06\x00", 2 }, { "\x00\x05\x00\xfa\xfeHello", 10 },
    };
    apr_size_t i, len;
    char *out;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rt_inflate(&out, &len, rows[i].bytes, rows[i].len, MAX) == RT_INFLATED,
                      "row %d", (int)i);
        ck_assert_str_eq(out, rows[i].text);
        ck_assert_int_eq(len, strlen(rows[i].text));
        free(out);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(rt_inflate(&out, &len, bad[i].bytes, bad[i].len, MAX) == RT_INFLATED_BAD,
                      "bad row %d", (int)i);
        ck_assert_ptr_null(out);
    }
}
END_TEST

/* The payload of a frame's only message, as a client would read it. */
static char *read_back(apr_size_t *len, rt_bytes_t frames)
{
    rt_bytes_t payload;
    char *out;
    int is_binary;

    ck_assert_int_ne(frames.at[0] & RT_WS_PACKED, 0);
    ck_assert_int_eq(rt_frame_next(&payload, &is_binary, &frames), 1);
    ck_assert_int_eq(rt_inflate(&out, len, payload.at, payload.len, MAX), RT_INFLATED);
    return out;
}

static char *text_of(apr_size_t len)
{
    char *text = apr_palloc(hb_test_pool, len + 1);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        text[i] = "{\"chat\":\"namaste\"}"[i % 18];
    }
    text[len] = '\0';
    return text;
}

START_TEST(frames_get_smaller_or_stay)
{
    static const apr_size_t sizes[] = { RT_DEFLATE_MIN, 1000, 65535, 65536, 300000 };
    rt_frame_t *frame;
    rt_bytes_t form;
    apr_size_t i, len;
    char *text, *noise = apr_palloc(hb_test_pool, 4096);
    unsigned seed = 7;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        text = text_of(sizes[i]);
        frame = rt_frame_message(text, sizes[i], 0);
        form = rt_frame_packed(frame, RT_DOOR_ENGINE_IO);
        ck_assert_int_lt(form.len, frame->eio.len);
        ck_assert_ptr_eq(rt_frame_packed(frame, RT_DOOR_ENGINE_IO).at, form.at);
        text = read_back(&len, form);
        ck_assert_int_eq(len, sizes[i] + 1);    /* Engine.IO's 4 before it */
        ck_assert_str_eq(text + 1, text_of(sizes[i]));
        free(text);
        rt_frame_release(frame);
    }
    frame = rt_frame_message("short", 5, 0);
    ck_assert_ptr_eq(rt_frame_packed(frame, RT_DOOR_ENGINE_IO).at, frame->eio.at);
    rt_frame_release(frame);
    for (i = 0; i < 4096; i++) {
        seed = seed * 1103515245u + 12345u;
        noise[i] = (char)(seed >> 16);
    }
    frame = rt_frame_message(noise, 4096, 1);
    ck_assert_ptr_eq(rt_frame_packed(frame, RT_DOOR_ENGINE_IO).at, frame->eio.at);
    rt_frame_release(frame);
}
END_TEST

/* Text and attachments are messages of their own, each as it suits it. */
START_TEST(attachments_are_messages)
{
    char *text = text_of(2000);
    rt_bytes_t attachments[2] = { { "tiny", 4 }, { text, 2000 } }, form, payload, rest;
    rt_frame_t *frame = rt_frame_binary("/", "x", "\"y\"", 3, attachments, 2);
    int is_binary, n, packed = 0;

    form = rest = rt_frame_packed(frame, RT_DOOR_SOCKET_IO);
    for (n = 0; rest.len > 0; n++) {
        packed += (rest.at[0] & RT_WS_PACKED) != 0;
        ck_assert_int_eq(rt_frame_next(&payload, &is_binary, &rest), 1);
    }
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(packed, 1);
    ck_assert_int_lt(form.len, 300);
    rt_frame_release(frame);
}
END_TEST

/* 10 MB out of 10 kB: no more memory is taken than may be. */
START_TEST(bombs_are_too_big)
{
    apr_size_t len = 10 * 1000 * 1000, i;
    char *zeros = calloc(1, len), *out;
    rt_frame_t *frame = rt_frame_message(zeros, len, 1);
    rt_bytes_t form = rt_frame_packed(frame, RT_DOOR_ENGINE_IO), payload;
    int is_binary;

    ck_assert_int_eq(rt_frame_next(&payload, &is_binary, &form), 1);
    ck_assert_int_lt(payload.len, 20000);
    for (i = 1; i <= len; i *= 10) {
        apr_size_t got;
        rt_inflated_e how = rt_inflate(&out, &got, payload.at, payload.len, i);

        ck_assert_int_eq(how, i < len ? RT_INFLATED_TOO_BIG : RT_INFLATED);
        free(out);
    }
    rt_frame_release(frame);
    free(zeros);
}
END_TEST

static void *pack_in_thread(void *data)
{
    return (void *)rt_frame_packed(data, RT_DOOR_SOCKET_IO).at;
}

START_TEST(loops_share_one_packed_form)
{
    pthread_t threads[4];
    void *at[4];
    rt_frame_t *frame;
    int i, round;

    for (round = 0; round < 50; round++) {
        frame = rt_frame_event("/", "chat:new", "\"", 0);
        rt_frame_release(frame);
        frame = rt_frame_message(text_of(3000), 3000, 0);
        for (i = 0; i < 4; i++) {
            ck_assert_int_eq(pthread_create(&threads[i], NULL, pack_in_thread, frame), 0);
        }
        for (i = 0; i < 4; i++) {
            pthread_join(threads[i], &at[i]);
            ck_assert_ptr_eq(at[i], at[0]);
        }
        rt_frame_release(frame);
    }
}
END_TEST

/* What waited for a poll leaves compressed by the WebSocket that took over; the bounds go with it. */
START_TEST(queues_count_what_leaves)
{
    rt_queue_limits_t limits = { { 100000, 100000, 100000, 100000 } };
    rt_queue_t queue = { .door = RT_DOOR_ENGINE_IO };
    rt_frame_t *frame = rt_frame_message(text_of(3000), 3000, 0);
    apr_uint64_t dropped = 0;
    apr_size_t before, bytes = 0;
    struct iovec vec[4];
    int i, n;

    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(rt_queue_push(&queue, frame, RT_LANE_CHAT, &limits, &dropped),
                         RT_QUEUED);
    }
    before = rt_queue_bytes(&queue);
    rt_queue_pack(&queue);
    ck_assert_int_lt(rt_queue_bytes(&queue), before / 4);
    rt_queue_push(&queue, frame, RT_LANE_CHAT, &limits, &dropped);
    n = rt_queue_peek(&queue, vec, 4, 1 << 20);
    for (i = 0; i < n; i++) {
        bytes += vec[i].iov_len;
    }
    ck_assert_int_eq(rt_queue_bytes(&queue), bytes + 4 * RT_ENTRY_COST);
    ck_assert_int_eq(rt_queue_sent(&queue, bytes - 1), 3);
    ck_assert_int_eq(rt_queue_sent(&queue, 1), 1);
    ck_assert_int_eq(rt_queue_bytes(&queue), 0);
    rt_frame_release(frame);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        offers, vectors, frames_get_smaller_or_stay, attachments_are_messages, bombs_are_too_big,
        loops_share_one_packed_form, queues_count_what_leaves, NULL
    };

    return hb_test_main("rt_deflate", cases);
}
