/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle's table, cell by cell, as the product describes it. */
#include "hb_stream.h"

#include "hb_test.h"

typedef struct row_t {
    const char *label;
    hb_stream_state_e state;
    hb_stream_event_e event;
    apr_status_t status;
    hb_stream_state_e next;     /* when status is APR_SUCCESS */
} row_t;

static const row_t table[] = {
    { "a plan may be changed",            HB_STREAM_PENDING, HB_STREAM_EDIT,  APR_SUCCESS, HB_STREAM_PENDING },
    { "a plan goes live",                 HB_STREAM_PENDING, HB_STREAM_START, APR_SUCCESS, HB_STREAM_LIVE },
    { "nobody joins a plan",              HB_STREAM_PENDING, HB_STREAM_JOIN,  HB_E_STREAM_STATE, 0 },
    { "a plan cannot end",                HB_STREAM_PENDING, HB_STREAM_END,   HB_E_STREAM_STATE, 0 },
    { "a plan is withdrawn",              HB_STREAM_PENDING, HB_STREAM_DROP,  APR_SUCCESS, HB_STREAM_GONE },
    { "a live stream may be changed",     HB_STREAM_LIVE,    HB_STREAM_EDIT,  APR_SUCCESS, HB_STREAM_LIVE },
    { "a live stream starts only once",   HB_STREAM_LIVE,    HB_STREAM_START, HB_E_STREAM_STATE, 0 },
    { "a live stream is joined",          HB_STREAM_LIVE,    HB_STREAM_JOIN,  APR_SUCCESS, HB_STREAM_LIVE },
    { "a plan gets no gifts",             HB_STREAM_PENDING, HB_STREAM_GIFT,  HB_E_STREAM_STATE, 0 },
    { "a live stream gets gifts",         HB_STREAM_LIVE,    HB_STREAM_GIFT,  APR_SUCCESS, HB_STREAM_LIVE },
    { "what ended gets no gifts",         HB_STREAM_ENDED,   HB_STREAM_GIFT,  HB_E_STREAM_ENDED, 0 },
    { "nobody speaks in a plan",          HB_STREAM_PENDING, HB_STREAM_CHAT,  HB_E_STREAM_STATE, 0 },
    { "people speak in a live stream",    HB_STREAM_LIVE,    HB_STREAM_CHAT,  APR_SUCCESS, HB_STREAM_LIVE },
    { "nobody speaks in what ended",      HB_STREAM_ENDED,   HB_STREAM_CHAT,  HB_E_STREAM_ENDED, 0 },
    { "a plan has no throne",             HB_STREAM_PENDING, HB_STREAM_THRONE, HB_E_STREAM_STATE, 0 },
    { "a live stream's throne is claimed", HB_STREAM_LIVE,   HB_STREAM_THRONE, APR_SUCCESS, HB_STREAM_LIVE },
    { "what ended has no throne to claim", HB_STREAM_ENDED,  HB_STREAM_THRONE, HB_E_STREAM_ENDED, 0 },
    { "a live stream ends",               HB_STREAM_LIVE,    HB_STREAM_END,   APR_SUCCESS, HB_STREAM_ENDED },
    { "a live stream is not withdrawn",   HB_STREAM_LIVE,    HB_STREAM_DROP,  HB_E_STREAM_STATE, 0 },
    { "history is not changed",           HB_STREAM_ENDED,   HB_STREAM_EDIT,  HB_E_STREAM_ENDED, 0 },
    { "what ended does not start again",  HB_STREAM_ENDED,   HB_STREAM_START, HB_E_STREAM_ENDED, 0 },
    { "nobody joins what ended",          HB_STREAM_ENDED,   HB_STREAM_JOIN,  HB_E_STREAM_ENDED, 0 },
    { "what ended does not end again",    HB_STREAM_ENDED,   HB_STREAM_END,   HB_E_STREAM_ENDED, 0 },
    { "history is not withdrawn",         HB_STREAM_ENDED,   HB_STREAM_DROP,  HB_E_STREAM_ENDED, 0 },
    { "what is gone stays gone",          HB_STREAM_GONE,    HB_STREAM_START, HB_E_STREAM_UNKNOWN, 0 },
};

START_TEST(every_pair_has_its_answer)
{
    apr_size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        hb_op_t op = { .pool = hb_test_pool };
        hb_stream_state_e next = HB_STREAM_GONE;
        apr_status_t rv = hb_stream_next(&next, &op, table[i].state, table[i].event);

        ck_assert_msg(rv == table[i].status, "%s", table[i].label);
        ck_assert_msg(op.problem.status == table[i].status, "%s", table[i].label);
        if (rv == APR_SUCCESS) {
            ck_assert_msg(next == table[i].next, "%s", table[i].label);
        }
        else {
            ck_assert_msg(op.problem.detail != NULL, "%s", table[i].label);
        }
    }
}
END_TEST

START_TEST(a_record_says_its_state)
{
    hb_json_t *stream = hb_json_object_make(hb_test_pool);
    int state;

    ck_assert_int_eq(hb_stream_state(stream), HB_STREAM_GONE);
    hb_json_set_string(stream, "status", "paused");
    ck_assert_int_eq(hb_stream_state(stream), HB_STREAM_GONE);
    for (state = HB_STREAM_PENDING; state < HB_STREAM_GONE; state++) {
        hb_json_set_string(stream, "status", hb_stream_state_name(state));
        ck_assert_int_eq(hb_stream_state(stream), state);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { every_pair_has_its_answer, a_record_says_its_state, NULL };

    return hb_test_main("hb_stream_state", cases);
}
