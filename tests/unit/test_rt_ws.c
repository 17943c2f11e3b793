/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_ws.h"

#include <string.h>

#include "hb_test.h"

#define BYTES(text) text, sizeof(text) - 1

static const struct { const char *label, *bytes; apr_size_t len; int rv, head_len; apr_uint64_t size; }
heads[] = {
    { "text of 5", BYTES("\x81\x85" "abcd"), 1, 6, 5 },
    { "empty", BYTES("\x82\x80" "abcd"), 1, 6, 0 },
    { "126 bytes", BYTES("\x81\xfe\x00\x7e" "abcd"), 1, 8, 126 },
    { "65536 bytes", BYTES("\x81\xff\0\0\0\0\0\x01\0\0" "abcd"), 1, 14, 65536 },
    { "first fragment", BYTES("\x01\x81" "abcd"), 1, 6, 1 },
    { "nothing", "", 0, 0, 0, 0 },
    { "one byte", BYTES("\x81"), 0, 0, 0 },
    { "half a mask", BYTES("\x81\x85" "ab"), 0, 0, 0 },
    { "half a length", BYTES("\x81\xff\0\0\0"), 0, 0, 0 },
    { "reserved bit", BYTES("\xc1\x85" "abcd"), -1, 0, 0 },
    { "reserved bit, one byte", BYTES("\x91"), -1, 0, 0 },
    { "not masked", BYTES("\x81\x05"), -1, 0, 0 },
    { "unknown opcode", BYTES("\x83\x80" "abcd"), -1, 0, 0 },
    { "unknown control", BYTES("\x8b\x80" "abcd"), -1, 0, 0 },
    { "ping in fragments", BYTES("\x09\x80" "abcd"), -1, 0, 0 },
    { "ping of 126", BYTES("\x89\xfe\x00\x7e" "abcd"), -1, 0, 0 },
    { "125 in the long form", BYTES("\x81\xfe\x00\x7d" "abcd"), -1, 0, 0 },
    { "65535 in the longest form", BYTES("\x81\xff\0\0\0\0\0\0\xff\xff" "abcd"), -1, 0, 0 },
    { "top bit of the length", BYTES("\x81\xff\x80\0\0\0\0\0\0\0" "abcd"), -1, 0, 0 },
};

START_TEST(heads_are_read)
{
    rt_ws_frame_t frame;
    apr_size_t i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        ck_assert_msg(rt_ws_head_read(&frame, heads[i].bytes, heads[i].len, 0) == heads[i].rv,
                      "%s", heads[i].label);
        if (heads[i].rv == 1) {
            ck_assert_int_eq(frame.head_len, heads[i].head_len);
            ck_assert_uint_eq(frame.len, heads[i].size);
            ck_assert_mem_eq(frame.mask, "abcd", 4);
        }
    }
}
END_TEST

START_TEST(heads_are_written_in_the_shortest_form)
{
    static const apr_uint64_t sizes[] = { 0, 125, 126, 65535, 65536, 16777216 };
    static const int lens[] = { 2, 2, 4, 4, 10, 10 };
    char head[RT_WS_HEAD_MAX + 4];
    rt_ws_frame_t frame;
    apr_size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int n = rt_ws_head_write(head, RT_WS_BINARY, sizes[i]);

        ck_assert_int_eq(n, lens[i]);
        ck_assert_int_eq(rt_ws_head_len(sizes[i]), n);
        /* With a mask it is one that we read. */
        head[1] = (char)(head[1] | 0x80);
        memcpy(head + n, "abcd", 4);
        ck_assert_int_eq(rt_ws_head_read(&frame, head, (apr_size_t)n + 4, 0), 1);
        ck_assert_uint_eq(frame.len, sizes[i]);
        ck_assert_int_eq(frame.opcode, RT_WS_BINARY);
    }
}
END_TEST

START_TEST(masks_come_off)
{
    char bytes[41], plain[41];
    static const unsigned char mask[4] = { 1, 2, 4, 0x80 };
    apr_size_t len, i;

    for (len = 0; len <= sizeof(bytes); len++) {
        for (i = 0; i < len; i++) {
            plain[i] = (char)(i * 7);
            bytes[i] = (char)(plain[i] ^ mask[i % 4]);
        }
        rt_ws_unmask(bytes, len, mask);
        ck_assert_int_eq(memcmp(bytes, plain, len), 0);
    }
}
END_TEST

START_TEST(close_codes)
{
    static const struct { const char *payload; apr_size_t len; int code; } rows[] = {
        { "", 0, 0 }, { BYTES("\x03"), 1002 }, { BYTES("\x03\xe8"), 1000 },
        { BYTES("\x03\xe9" "bye"), 1001 }, { BYTES("\x03\xec"), 1002 },
        { BYTES("\x03\xed"), 1002 }, { BYTES("\x03\xee"), 1002 }, { BYTES("\x03\xef"), 1007 },
        { BYTES("\x03\xf7"), 1002 }, { BYTES("\x0b\xb8"), 3000 }, { BYTES("\x13\x87"), 4999 },
        { BYTES("\x13\x88"), 1002 }, { BYTES("\x00\x00"), 1002 }, { BYTES("\xff\xff"), 1002 },
        { BYTES("\x03\xe8" "\xc3"), 1007 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(rt_ws_close_read(rows[i].payload, rows[i].len), rows[i].code);
    }
}
END_TEST

START_TEST(keys_are_answered)
{
    char out[29];

    /* RFC 6455, 1.3. */
    ck_assert(rt_ws_accept(out, "dGhlIHNhbXBsZSBub25jZQ=="));
    ck_assert_str_eq(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ck_assert(!rt_ws_accept(out, ""));
    ck_assert(!rt_ws_accept(out, "dGhlIHNhbXBsZSBub25jZQ"));
    ck_assert(!rt_ws_accept(out, "dGhlIHNhbXBsZSBub25jZSEh"));
    ck_assert(!rt_ws_accept(out, "!!hlIHNhbXBsZSBub25jZQ=="));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        heads_are_read, heads_are_written_in_the_shortest_form, masks_come_off, close_codes,
        keys_are_answered, NULL
    };
    return hb_test_main("rt_ws", cases);
}
