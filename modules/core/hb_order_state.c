/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life cycle of an order: states down, what a provider says across, every pair spelled
 * out. Providers tell things late, twice and in any order, so no pair is an error: a cell
 * says what is news and what is not. What each act does is in hb_order_apply.c.
 */
#include "hb_order_private.h"

#include <string.h>

#define NOTHING     { HB_ACT_NOTHING, HB_ORDER_N_STATES }
#define WAIT        { HB_ACT_WAIT, HB_ORDER_N_STATES }
#define CREDIT      { HB_ACT_CREDIT, HB_ORDER_N_STATES }
#define AGAIN       { HB_ACT_PAID_AGAIN, HB_ORDER_N_STATES }
#define UNPAID      { HB_ACT_UNPAID, HB_ORDER_N_STATES }
#define EARLY       { HB_ACT_EARLY, HB_ORDER_N_STATES }
#define REFUND      { HB_ACT_REFUND, HB_ORDER_N_STATES }
#define RF_FAILED   { HB_ACT_REFUND_FAILED, HB_ORDER_N_STATES }
#define DISPUTE     { HB_ACT_DISPUTE, HB_ORDER_N_STATES }
#define TO(state)   { HB_ACT_MOVE, HB_ORDER_##state }

#define N_OUTCOMES (HB_PAY_DISPUTE_LOST + 1)

/*
 * An order opens when its payer can be sent on, which only our own call to the provider makes so.
 * A failed try is not the end (an intent can succeed after it), and an order that was called off or
 * ran out of time may have been paid the moment before: money that came is always credited.
 */
static const hb_order_cell_t cells[HB_ORDER_N_STATES][N_OUTCOMES] = {
/*                   UNKNOWN  OPEN      AMBIG    PAID    FAILED      CANCELED      EXPIRED      REFUNDED REFUND_FAILED DISPUTED WON      LOST */
/* created      */ { NOTHING, NOTHING,  WAIT,    CREDIT, TO(FAILED), TO(CANCELED), TO(EXPIRED), EARLY,   EARLY,        EARLY,   EARLY,   EARLY },
/* open         */ { NOTHING, NOTHING,  WAIT,    CREDIT, TO(FAILED), TO(CANCELED), TO(EXPIRED), EARLY,   EARLY,        EARLY,   EARLY,   EARLY },
/* failed       */ { NOTHING, NOTHING,  WAIT,    CREDIT, NOTHING,    TO(CANCELED), TO(EXPIRED), EARLY,   EARLY,        EARLY,   EARLY,   EARLY },
/* canceled     */ { NOTHING, NOTHING,  WAIT,    CREDIT, NOTHING,    NOTHING,      NOTHING,     EARLY,   EARLY,        EARLY,   EARLY,   EARLY },
/* expired      */ { NOTHING, NOTHING,  WAIT,    CREDIT, NOTHING,    TO(CANCELED), NOTHING,     EARLY,   EARLY,        EARLY,   EARLY,   EARLY },
/* review       */ { NOTHING, NOTHING,  NOTHING, AGAIN,  UNPAID,     UNPAID,       UNPAID,      REFUND,  RF_FAILED,    DISPUTE, DISPUTE, DISPUTE },
/* paid         */ { NOTHING, NOTHING,  NOTHING, AGAIN,  UNPAID,     UNPAID,       UNPAID,      REFUND,  RF_FAILED,    DISPUTE, DISPUTE, DISPUTE },
/* disputed     */ { NOTHING, NOTHING,  NOTHING, AGAIN,  NOTHING,    NOTHING,      NOTHING,     REFUND,  RF_FAILED,    DISPUTE, DISPUTE, DISPUTE },
/* charged_back */ { NOTHING, NOTHING,  NOTHING, AGAIN,  NOTHING,    NOTHING,      NOTHING,     REFUND,  RF_FAILED,    DISPUTE, DISPUTE, DISPUTE },
/* refunded     */ { NOTHING, NOTHING,  NOTHING, AGAIN,  NOTHING,    NOTHING,      NOTHING,     REFUND,  RF_FAILED,    DISPUTE, DISPUTE, DISPUTE },
};

static const struct {
    const char *name;
    int is_startable, is_awaited, is_paid;
} states[HB_ORDER_N_STATES] = {
    [HB_ORDER_CREATED]      = { "created",      1, 1, 0 },
    [HB_ORDER_OPEN]         = { "open",         1, 1, 0 },
    [HB_ORDER_FAILED]       = { "failed",       0, 0, 0 },
    [HB_ORDER_CANCELED]     = { "canceled",     0, 0, 0 },
    [HB_ORDER_EXPIRED]      = { "expired",      0, 0, 0 },
    [HB_ORDER_REVIEW]       = { "review",       0, 0, 1 },
    [HB_ORDER_PAID]         = { "paid",         0, 0, 1 },
    [HB_ORDER_DISPUTED]     = { "disputed",     0, 0, 1 },
    [HB_ORDER_CHARGED_BACK] = { "charged_back", 0, 0, 1 },
    [HB_ORDER_REFUNDED]     = { "refunded",     0, 0, 1 },
};

const hb_order_cell_t *hb_order_cell(hb_order_state_e state, hb_pay_outcome_e outcome)
{
    static const hb_order_cell_t nothing = NOTHING;

    if ((int)state < 0 || state >= HB_ORDER_N_STATES || (int)outcome < 0
        || (int)outcome >= N_OUTCOMES) {
        return &nothing;
    }
    return &cells[state][outcome];
}

int hb_order_is_startable(hb_order_state_e state)
{
    return state < HB_ORDER_N_STATES && states[state].is_startable;
}

int hb_order_is_awaited(hb_order_state_e state)
{
    return state < HB_ORDER_N_STATES && states[state].is_awaited;
}

int hb_order_is_paid(hb_order_state_e state)
{
    return state < HB_ORDER_N_STATES && states[state].is_paid;
}

const char *hb_order_state_name(hb_order_state_e state)
{
    return state < HB_ORDER_N_STATES ? states[state].name : "unknown";
}

hb_order_state_e hb_order_state_read(const char *name)
{
    int i;

    for (i = 0; name != NULL && i < HB_ORDER_N_STATES; i++) {
        if (strcmp(states[i].name, name) == 0) {
            return (hb_order_state_e)i;
        }
    }
    return HB_ORDER_N_STATES;
}
