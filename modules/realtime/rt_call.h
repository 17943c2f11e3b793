/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_call.h
 * A call of a client on its way: made in the loop, run in a thread, answered in the loop. Used
 * inside rt_call.c alone but for the feed; rt_call() itself is rt_house.h's.
 */
#ifndef RT_CALL_H
#define RT_CALL_H

#include "hb_json.h"
#include "hb_viewer.h"
#include "rt_house.h"

typedef struct rt_call_t {
    rt_task_t task;
    rt_peer_t *peer;
    hb_call_e number;
    int wants_ack;
    apr_uint64_t ack_id;
    const char *token, *session_id;     /* the peer's when it called */
    hb_json_t *input;           /* as sent */
    apr_status_t rv;            /* of reading it */
    const char *stream_id;      /* where input names one that may exist, else NULL */
    const char *actor_id;       /* set when the token was good */
    const char *answer;         /* JSON text of the ack */
    apr_size_t answer_len;
    /* stream:join */
    rt_room_t *room;            /* held */
    apr_uint64_t since;         /* the newest event before the core was asked */
    apr_uint64_t sent_out_before;
    char epoch[17];
    const char *offset, *old_epoch;
    hb_json_t *messages;
    int is_again, is_full, did_join;
    /* stream:leave */
    int was_in;
    /* reaction:new */
    int kind, is_heard;
    /* auth:refresh */
    const char *new_token;
    apr_time_t expires_at;
} rt_call_t;

/** Send the answer, with more members when it is a success (",\"a\":1"). */
void rt_call_answer_with(rt_call_t *call, const char *members);

#endif /* RT_CALL_H */
