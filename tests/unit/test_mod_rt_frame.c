/* SPDX-License-Identifier: Apache-2.0 */
#include "mod_rt_frame.h"

#include <stdlib.h>
#include <string.h>

#include "hb_test.h"

/* A frame of a server with n bytes of payload. */
static apr_size_t frame(unsigned char *out, apr_size_t n)
{
    apr_size_t h = 2;
    int i;

    out[0] = 0x82;
    out[1] = (unsigned char)(n < 126 ? n : n < 65536 ? 126 : 127);
    for (i = n < 126 ? 0 : n < 65536 ? 2 : 8; i > 0; i--) {
        out[h++] = (unsigned char)((apr_uint64_t)n >> (8 * (i - 1)));
    }
    memset(out + h, 0xff, n);
    return h + n;
}

START_TEST(ends_are_found_however_bytes_come)
{
    static const apr_size_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536, 100000, 0, 5 };
    static unsigned char stream[500000];
    apr_size_t ends[10], len = 0, at = 0;
    rt_frames_t frames = { 0 };
    int i, n = 0;

    for (i = 0; i < 10; i++) {
        len += frame(stream + len, sizes[i]);
        ends[i] = len;
    }
    ck_assert_int_eq(rt_frames_is_between(&frames), 1);
    srand(7);
    while (at < len) {
        apr_size_t step = (apr_size_t)rand() % (rand() % 3 == 0 ? 40000 : 7) + 1;

        step = step < len - at ? step : len - at;
        rt_frames_pass(&frames, (char *)stream + at, step);
        at += step;
        while (n < 10 && ends[n] < at) {
            n++;
        }
        ck_assert_int_eq(rt_frames_is_between(&frames), ends[n] == at);
        ck_assert_uint_le(rt_frames_room(&frames, 1000000), ends[n] - at);
    }
}
END_TEST

START_TEST(room_leads_to_the_end)
{
    unsigned char bytes[70010];
    apr_size_t len = frame(bytes, 70000), at = 0;
    rt_frames_t frames = { 0 };
    int turns = 0;

    ck_assert_uint_eq(rt_frames_room(&frames, 16384), 0);
    rt_frames_pass(&frames, (char *)bytes, 1);
    at = 1;
    while (!rt_frames_is_between(&frames)) {
        apr_size_t room = rt_frames_room(&frames, 16384);

        ck_assert_uint_gt(room, 0);
        rt_frames_pass(&frames, (char *)bytes + at, room);
        at += room;
        ck_assert_int_lt(turns++, 20);
    }
    ck_assert_uint_eq(at, len);
}
END_TEST

START_TEST(close_frames)
{
    unsigned char bytes[4];

    rt_frames_close(bytes, 1012);
    ck_assert_int_eq(memcmp(bytes, "\x88\x02\x03\xf4", 4), 0);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        ends_are_found_however_bytes_come, room_leads_to_the_end, close_frames, NULL
    };
    return hb_test_main("mod_rt_frame", cases);
}
