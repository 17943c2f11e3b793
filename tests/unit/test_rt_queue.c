/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_queue.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

static rt_queue_limits_t limits = { { 200, 100, 60, 40 } };
static apr_uint64_t n_dropped;

/* Push a plain message; the frame's only hold is then the queue's. */
static rt_queued_e push(rt_queue_t *queue, const char *text, rt_lane_e lane, apr_uint64_t key)
{
    rt_frame_t *frame = rt_frame_bare();
    rt_queued_e queued;

    rt_frame_set_plain(frame, text, strlen(text), 0);
    rt_frame_set_key(frame, key);
    queued = rt_queue_push(queue, frame, lane, &limits, &n_dropped);
    rt_frame_release(frame);
    return queued;
}

/* What would be sent, heads of frames left out, joined by blanks. */
static const char *peek(const rt_queue_t *queue)
{
    struct iovec vec[64];
    int n = rt_queue_peek(queue, vec, 64, 1 << 20), i;
    const char *all = "";

    for (i = 0; i < n; i++) {
        all = apr_pstrcat(hb_test_pool, all, i > 0 ? " " : "",
                          apr_pstrmemdup(hb_test_pool, (char *)vec[i].iov_base + 2,
                                         vec[i].iov_len - 2), NULL);
    }
    return all;
}

static rt_queue_t *queue_make(void)
{
    rt_queue_t *queue = apr_pcalloc(hb_test_pool, sizeof(*queue));

    queue->door = RT_DOOR_PLAIN;
    n_dropped = 0;
    return queue;
}

START_TEST(frames_leave_as_they_came)
{
    rt_queue_t *queue = queue_make();
    int i;

    push(queue, "chat1", RT_LANE_CHAT, 0);
    push(queue, "gift1", RT_LANE_MONEY, 0);
    push(queue, "like1", RT_LANE_REACTION, 0);
    push(queue, "chat2", RT_LANE_CHAT, 0);
    push(queue, "view1", RT_LANE_METRIC, 7);
    ck_assert_str_eq(peek(queue), "chat1 gift1 like1 chat2 view1");
    ck_assert_uint_eq(rt_queue_bytes(queue), 5 * (7 + RT_ENTRY_COST));
    for (i = 0; i < 35; i++) {
        ck_assert(!rt_queue_is_empty(queue));
        rt_queue_sent(queue, 1);
    }
    ck_assert(rt_queue_is_empty(queue));
    ck_assert_ptr_null(queue->entries);
    ck_assert_uint_eq(rt_queue_bytes(queue), 0);
}
END_TEST

START_TEST(many_wrap_around)
{
    rt_queue_t *queue = queue_make();
    int i;

    for (i = 0; i < 100; i++) {
        rt_frame_t *frame = rt_frame_bare();

        rt_frame_set_plain(frame, "x", 1, 0);
        rt_queue_force(queue, frame);
        rt_queue_force(queue, frame);
        rt_frame_release(frame);
        ck_assert_uint_eq(rt_queue_sent(queue, 3), 1);
    }
    ck_assert_uint_eq(queue->n, 100);
    ck_assert_uint_eq(rt_queue_sent(queue, 300), 100);
    ck_assert(rt_queue_is_empty(queue));
}
END_TEST

START_TEST(money_and_chat_are_never_dropped)
{
    rt_queue_t *queue = queue_make();
    int i;

    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(push(queue, "chat1", RT_LANE_CHAT, 0), RT_QUEUED);
    }
    ck_assert_int_eq(push(queue, "chat1", RT_LANE_CHAT, 0), RT_QUEUED_FULL);
    for (i = 0; i < 8; i++) {
        ck_assert_int_eq(push(queue, "gift1", RT_LANE_MONEY, 0), RT_QUEUED);
    }
    ck_assert_int_eq(push(queue, "gift1", RT_LANE_MONEY, 0), RT_QUEUED_FULL);
    ck_assert_uint_eq(n_dropped, 0);
    rt_queue_clear(queue);
    /* One frame of any size passes. */
    ck_assert_int_eq(push(queue, apr_pstrcat(hb_test_pool, "0123456789012345678901234567890123456789"
                                 "0123456789012345678901234567890123456789012345678901", NULL),
                          RT_LANE_CHAT, 0), RT_QUEUED);
    rt_queue_clear(queue);
}
END_TEST

START_TEST(old_reactions_make_room)
{
    rt_queue_t *queue = queue_make();

    push(queue, "like1", RT_LANE_REACTION, 0);
    push(queue, "chat1", RT_LANE_CHAT, 0);
    push(queue, "like2", RT_LANE_REACTION, 0);
    push(queue, "like3", RT_LANE_REACTION, 0);
    ck_assert_str_eq(peek(queue), "chat1 like2 like3");
    ck_assert_uint_eq(n_dropped, 1);
    /* Not what has left in part. */
    rt_queue_sent(queue, 7 + 1);
    push(queue, "like4", RT_LANE_REACTION, 0);
    push(queue, "like5", RT_LANE_REACTION, 0);
    ck_assert_uint_eq(n_dropped, 3);
    ck_assert_uint_eq(queue->sent, 1);
    rt_queue_clear(queue);
}
END_TEST

START_TEST(the_latest_metric_counts)
{
    rt_queue_t *queue = queue_make();

    push(queue, "view1", RT_LANE_METRIC, 7);
    push(queue, "chat1", RT_LANE_CHAT, 0);
    push(queue, "view2", RT_LANE_METRIC, 7);
    ck_assert_str_eq(peek(queue), "view2 chat1");
    ck_assert_uint_eq(n_dropped, 1);
    ck_assert_int_eq(push(queue, "rank1", RT_LANE_METRIC, 8), RT_QUEUED_NOT);
    ck_assert_str_eq(peek(queue), "view2 chat1");
    rt_queue_clear(queue);
}
END_TEST

START_TEST(a_cut_leaves_whole_frames)
{
    rt_queue_t *queue = queue_make();

    push(queue, "chat1", RT_LANE_CHAT, 0);
    push(queue, "chat2", RT_LANE_CHAT, 0);
    rt_queue_sent(queue, 3);
    rt_queue_cut(queue);
    ck_assert_uint_eq(queue->n, 1);
    ck_assert_uint_eq(rt_queue_sent(queue, 4), 1);
    ck_assert_ptr_null(queue->entries);
    push(queue, "chat1", RT_LANE_CHAT, 0);
    rt_queue_cut(queue);
    ck_assert_ptr_null(queue->entries);
}
END_TEST

START_TEST(frames_without_a_form_are_not_queued)
{
    rt_queue_t *queue = queue_make();
    rt_frame_t *frame = rt_frame_event("/", "x", "", 0);

    ck_assert_int_eq(rt_queue_push(queue, frame, RT_LANE_CHAT, &limits, &n_dropped), RT_QUEUED);
    rt_queue_force(queue, frame);
    ck_assert(rt_queue_is_empty(queue));
    rt_frame_release(frame);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        frames_leave_as_they_came, many_wrap_around, money_and_chat_are_never_dropped,
        old_reactions_make_room, the_latest_metric_counts, a_cut_leaves_whole_frames,
        frames_without_a_form_are_not_queued, NULL
    };
    return hb_test_main("rt_queue", cases);
}
