/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as Socket.IO packets, payloads of polling, frames, chunked bodies: slices stay within
 * what was given, and what the strict JSON parser of the core takes the scanner takes, too.
 */
#include "fuzz.h"

#include <string.h>

#include <apr_general.h>

#include "hb_json.h"
#include "rt_deflate.h"
#include "rt_eio.h"
#include "rt_frame.h"
#include "rt_http.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return apr_initialize();
}

static int is_within(rt_bytes_t part, const char *bytes, size_t size)
{
    return part.at >= bytes && part.at + part.len <= bytes + size;
}

static void try_packet(const char *text, size_t size)
{
    char *own = malloc(size > 0 ? size : 1);
    rt_packet_t packet;
    rt_event_t event;
    rt_scan_t scan;

    memcpy(own, text, size);
    if (rt_packet_read(&packet, own, size) == NULL) {
        FUZZ_EXPECT(packet.nsp.len > 0 && packet.nsp.at[0] == '/');
        FUZZ_EXPECT(packet.n_attachments <= RT_ATTACHMENTS_MAX);
        FUZZ_EXPECT(packet.json.at == NULL || is_within(packet.json, own, size));
        if (packet.type == RT_PACKET_EVENT || packet.type == RT_PACKET_BINARY_EVENT) {
            rt_packet_event(&event, &packet);
            FUZZ_EXPECT(is_within(event.name, own, size));
            FUZZ_EXPECT(event.args.len == 2 || is_within(event.args, own, size));
            FUZZ_EXPECT(rt_scan(&scan, event.args.at, event.args.len, packet.n_attachments));
            FUZZ_EXPECT(scan.kind == '[' && scan.start == 0 && scan.end == event.args.len);
        }
    }
    free(own);
}

static void try_json(const char *text, size_t size)
{
    rt_scan_t scan;
    hb_json_t *json;
    const char *why;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    if (hb_json_parse(&json, &why, text, size, pool) == APR_SUCCESS) {
        FUZZ_EXPECT(rt_scan(&scan, text, size, 0));
    }
    else {
        rt_scan(&scan, text, size, 3);
    }
    apr_pool_destroy(pool);
}

static void try_payload(const char *text, size_t size)
{
    rt_bytes_t rest = { text, size }, packet;
    char *out = malloc(RT_BASE64_BYTES(size) + 1), *back = malloc(size + 3);
    size_t n = 0;

    while (rt_eio_next(&packet, &rest)) {
        FUZZ_EXPECT(is_within(packet, text, size));
        n += packet.len + 1;
    }
    FUZZ_EXPECT(n == size + 1);
    n = rt_base64_write(out, text, size);
    FUZZ_EXPECT(n == RT_BASE64_BYTES(size));
    FUZZ_EXPECT(rt_base64_read(back, out, n) == (apr_ssize_t)size);
    FUZZ_EXPECT(memcmp(back, text, size) == 0);
    if (size > 0) {
        memcpy(back, text, size);
        rt_base64_read(back, back, size);
    }
    free(out);
    free(back);
}

static void try_frame(const char *bytes, size_t size)
{
    rt_ws_frame_t frame;
    rt_frame_t *made;
    rt_bytes_t rest, packet;
    int is_binary;

    if (rt_ws_head_read(&frame, bytes, size, 1) == 1) {
        FUZZ_EXPECT(frame.head_len <= (int)size && frame.len >> 63 == 0);
        FUZZ_EXPECT(!frame.is_packed || frame.opcode == RT_WS_TEXT || frame.opcode == RT_WS_BINARY);
    }
    if (rt_ws_head_read(&frame, bytes, size, 0) == 1) {
        FUZZ_EXPECT(frame.head_len <= (int)size && frame.len >> 63 == 0);
    }
    rt_ws_close_read(bytes, size);
    made = rt_frame_message(bytes, size, 1);
    rest = made->eio;
    FUZZ_EXPECT(rt_frame_next(&packet, &is_binary, &rest) && is_binary && packet.len == size);
    FUZZ_EXPECT(memcmp(packet.at, bytes, size) == 0 && !rt_frame_next(&packet, &is_binary, &rest));
    rt_frame_release(made);
}

/* As compressed bytes, and compressed. */
static void try_deflate(const char *bytes, size_t size)
{
    rt_frame_t *made = rt_frame_message(bytes, size, 1);
    rt_bytes_t form = rt_frame_packed(made, RT_DOOR_ENGINE_IO), packet;
    char *text = strndup(bytes, size), *out;
    apr_size_t len;
    int is_binary;

    FUZZ_EXPECT(form.len <= made->eio.len);
    if ((form.at[0] & RT_WS_PACKED) != 0) {
        FUZZ_EXPECT(rt_frame_next(&packet, &is_binary, &form) && is_binary);
        FUZZ_EXPECT(rt_inflate(&out, &len, packet.at, packet.len, size) == RT_INFLATED);
        FUZZ_EXPECT(len == size && memcmp(out, bytes, size) == 0);
        free(out);
    }
    rt_frame_release(made);
    if (rt_inflate(&out, &len, bytes, size, 5000) == RT_INFLATED) {
        FUZZ_EXPECT(len <= 5000 && out[len] == '\0');
        free(out);
    }
    rt_deflate_accepts(text);
    free(text);
}

/* However it comes, a chunked body is the same. */
static void try_chunks(const char *bytes, size_t size)
{
    char *whole = malloc(size + 1), *pieces = malloc(size + 1);
    rt_chunks_t first = { 0 }, second = { 0 };
    apr_size_t body = 0, raw = size, body2 = 0, raw2 = 0, at;
    int rv, rv2 = 0;

    memcpy(whole, bytes, size);
    rv = rt_chunks_read(&first, whole, &body, &raw);
    for (at = 0; at < size && rv2 == 0; at++) {
        pieces[body2 + raw2++] = bytes[at];
        rv2 = rt_chunks_read(&second, pieces, &body2, &raw2);
    }
    FUZZ_EXPECT(body <= size && raw <= size);
    if (rv == 1) {
        FUZZ_EXPECT(rv2 == 1 && body == body2 && memcmp(whole, pieces, body) == 0);
    }
    free(whole);
    free(pieces);
}

static void try_head(const char *bytes, size_t size)
{
    apr_size_t end = rt_head_end(bytes, size, 0);
    apr_pool_t *pool;
    rt_head_t head;

    apr_pool_create(&pool, NULL);
    FUZZ_EXPECT(end <= size);
    if (end > 0 && rt_head_read(&head, bytes, end, pool) == 0) {
        FUZZ_EXPECT(rt_head_path(&head)[0] == '/');
        rt_head_query(&head, "sid", pool);
        rt_head_cookie(&head, "io", pool);
        rt_head_field(&head, "origin");
    }
    apr_pool_destroy(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;

    try_packet(bytes, size);
    try_json(bytes, size);
    try_payload(bytes, size);
    try_frame(bytes, size);
    try_deflate(bytes, size);
    try_chunks(bytes, size);
    try_head(bytes, size);
    return 0;
}
