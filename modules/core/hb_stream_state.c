/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life cycle of a stream: states down, events across, every pair spelled out. Who may
 * cause an event is not here but in hb_stream.c and hb_viewer.c.
 */
#include "hb_stream.h"

#include <string.h>

typedef struct cell_t {
    apr_status_t refusal;       /* APR_SUCCESS when it is allowed */
    hb_stream_state_e next;
} cell_t;

#define TO(state)  { APR_SUCCESS, HB_STREAM_##state }
#define NOT_ALLOWED(error) { HB_E_STREAM_##error, HB_STREAM_GONE }

static const cell_t cells[HB_STREAM_GONE][HB_STREAM_N_EVENTS] = {
/*             EDIT                START               JOIN                GIFT                CHAT                THRONE              END                 DROP */
/* pending */ { TO(PENDING),        TO(LIVE),           NOT_ALLOWED(STATE), NOT_ALLOWED(STATE), NOT_ALLOWED(STATE), NOT_ALLOWED(STATE), NOT_ALLOWED(STATE), TO(GONE) },
/* live    */ { TO(LIVE),           NOT_ALLOWED(STATE), TO(LIVE),           TO(LIVE),           TO(LIVE),           TO(LIVE),           TO(ENDED),          NOT_ALLOWED(STATE) },
/* ended   */ { NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED), NOT_ALLOWED(ENDED) },
};

static const char *const state_names[] = { "pending", "live", "ended", "gone" };

/* What the caller wanted, for the refusal's sentence. */
static const char *const event_names[] = {
    "changed", "started", "joined", "given gifts", "spoken in", "reigned over",
    "ended", "withdrawn"
};

apr_status_t hb_stream_next(hb_stream_state_e *next, hb_op_t *op, hb_stream_state_e state,
                            hb_stream_event_e event)
{
    const cell_t *cell;

    if (state >= HB_STREAM_GONE) {
        return hb_fail(op, HB_E_STREAM_UNKNOWN, "there is no such stream any more");
    }
    cell = &cells[state][event];
    if (cell->refusal != APR_SUCCESS) {
        return hb_fail(op, cell->refusal, "a stream that %s cannot be %s",
                       state == HB_STREAM_PENDING ? "has not started"
                       : state == HB_STREAM_LIVE ? "is live" : "has ended",
                       event_names[event]);
    }
    if (next != NULL) {
        *next = cell->next;
    }
    return APR_SUCCESS;
}

const char *hb_stream_state_name(hb_stream_state_e state)
{
    return state_names[state];
}

hb_stream_state_e hb_stream_state(const hb_json_t *stream)
{
    const char *name = hb_json_string(stream, "status");
    int i;

    for (i = 0; i < HB_STREAM_GONE; i++) {
        if (name != NULL && strcmp(name, state_names[i]) == 0) {
            return (hb_stream_state_e)i;
        }
    }
    return HB_STREAM_GONE;
}
