/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_frame.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

/* The packets of a frame as polling has them, joined by '|'; lets the frame go. */
static const char *packets(rt_frame_t *frame)
{
    rt_bytes_t rest = frame->eio, packet;
    const char *all = "";
    int is_binary;

    while (rt_frame_next(&packet, &is_binary, &rest)) {
        all = apr_pstrcat(hb_test_pool, all, all[0] != '\0' ? "|" : "", is_binary ? "binary:" : "",
                          apr_pstrmemdup(hb_test_pool, packet.at, packet.len), NULL);
    }
    rt_frame_release(frame);
    return all;
}

START_TEST(events_are_written)
{
    rt_bytes_t two[] = { { "abc", 3 }, { "", 0 } };

    ck_assert_str_eq(packets(rt_frame_event("/", "hey", "1,\"x\"", 5)), "42[\"hey\",1,\"x\"]");
    ck_assert_str_eq(packets(rt_frame_event("/", "hey", "", 0)), "42[\"hey\"]");
    ck_assert_str_eq(packets(rt_frame_event("/chat", "a\"b\\c\n", "", 0)),
                     "42/chat,[\"a\\\"b\\\\c\\u000a\"]");
    ck_assert_str_eq(packets(rt_frame_binary("/c", "img", "1", 1, two, 2)),
                     "452-/c,[\"img\",1]|binary:abc|binary:");
    ck_assert_str_eq(packets(rt_frame_answer("/", 12, "", 0, NULL, 0)), "4312[]");
    ck_assert_str_eq(packets(rt_frame_answer("/c", 12, "\"ok\"", 4, NULL, 0)), "43/c,12[\"ok\"]");
    ck_assert_str_eq(packets(rt_frame_answer("/c", 7, "1", 1, two, 1)), "461-/c,7[1]|binary:abc");
    ck_assert_str_eq(packets(rt_frame_packet(RT_PACKET_DISCONNECT, "/c", NULL, NULL, 0, NULL, 0)),
                     "41/c,");
    ck_assert_str_eq(packets(rt_frame_packet(RT_PACKET_CONNECT, "/", NULL, "{\"sid\":\"x\"}", 11,
                                             NULL, 0)), "40{\"sid\":\"x\"}");
    ck_assert_str_eq(packets(rt_frame_message("hello", 5, 0)), "4hello");
    ck_assert_str_eq(packets(rt_frame_message("hello", 5, 1)), "binary:hello");
}
END_TEST

START_TEST(long_ones_have_long_heads)
{
    static const apr_size_t sizes[] = { 100, 1000, 70000 };
    apr_size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *text = apr_pcalloc(hb_test_pool, sizes[i] + 1);
        rt_bytes_t attachment = { text, sizes[i] };
        const char *all;

        memset(text, '7', sizes[i]);
        all = packets(rt_frame_binary("/", "x", text, sizes[i], &attachment, 1));
        ck_assert_uint_eq(strlen(all), strlen("451-[\"x\",]|binary:") + 2 * sizes[i]);
    }
}
END_TEST

START_TEST(each_door_has_its_form)
{
    rt_frame_t *frame = rt_frame_event("/", "x", "", 0);

    ck_assert_uint_eq(rt_frame_form(frame, RT_DOOR_PLAIN).len, 0);
    ck_assert_uint_eq(rt_frame_form(frame, RT_DOOR_STREAM).len, 0);
    rt_frame_set_plain(frame, "{}", 2, 0);
    rt_frame_set_stream(frame, "data: {}\n\n", 10);
    ck_assert_mem_eq(rt_frame_form(frame, RT_DOOR_PLAIN).at, "\x81\x02{}", 4);
    ck_assert_mem_eq(rt_frame_form(frame, RT_DOOR_STREAM).at, "data: {}\n\n", 10);
    ck_assert_uint_eq(rt_frame_form(frame, RT_DOOR_SOCKET_IO).len, 9);
    ck_assert(!rt_frame_is_control(frame));
    rt_frame_hold(frame);
    rt_frame_release(frame);
    rt_frame_release(frame);
}
END_TEST

START_TEST(control_frames_are_for_websockets)
{
    rt_frame_t *frame = rt_frame_close(4008, "slow reader");

    ck_assert(rt_frame_is_control(frame));
    ck_assert_mem_eq(frame->eio.at, "\x88\x0d\x0f\xa8slow reader", 15);
    ck_assert_mem_eq(frame->plain.at, frame->eio.at, 15);
    rt_frame_release(frame);
    frame = rt_frame_close(0, "");
    ck_assert_uint_eq(frame->eio.len, 2);
    rt_frame_release(frame);
    frame = rt_frame_pong("abc", 3);
    ck_assert_mem_eq(frame->eio.at, "\x8a\x03" "abc", 5);
    rt_frame_release(frame);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        events_are_written, long_ones_have_long_heads, each_door_has_its_form,
        control_frames_are_for_websockets, NULL
    };
    return hb_test_main("rt_frame", cases);
}
