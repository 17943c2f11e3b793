/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_order_private.h
 * What the files of orders share: the table of states, and writing records.
 */
#ifndef HB_ORDER_PRIVATE_H
#define HB_ORDER_PRIVATE_H

#include "hb_order.h"

/** What a fact does to an order in a state. */
typedef enum hb_order_act_e {
    HB_ACT_NOTHING,             /* it was so before, or is older news */
    HB_ACT_MOVE,                /* to the cell's state, nothing else */
    HB_ACT_WAIT,                /* note it; the provider does not know yet itself */
    HB_ACT_CREDIT,              /* give what was bought */
    HB_ACT_PAID_AGAIN,          /* the same payment: nothing; another one: flag */
    HB_ACT_UNPAID,              /* the provider takes its word back: flag when it was asked, else old news */
    HB_ACT_EARLY,               /* keep until the payment itself is told of */
    HB_ACT_REFUND,
    HB_ACT_REFUND_FAILED,
    HB_ACT_DISPUTE              /* opened, won or lost */
} hb_order_act_e;

typedef struct hb_order_cell_t {
    hb_order_act_e act;
    hb_order_state_e next;      /* for HB_ACT_MOVE */
} hb_order_cell_t;

/** The cell; never NULL. */
const hb_order_cell_t *hb_order_cell(hb_order_state_e state, hb_pay_outcome_e outcome);

/** May it still be begun at the provider? */
int hb_order_is_startable(hb_order_state_e state);
/** Is money awaited, so that it can expire? */
int hb_order_is_awaited(hb_order_state_e state);
/** Did money come, whatever became of it? */
int hb_order_is_paid(hb_order_state_e state);

hb_order_state_e hb_order_state_read(const char *name);

/** Put a step behind the time line of a record that is going to be written. */
void hb_order_step(hb_op_t *op, hb_json_t *doc, const char *what, const char *detail);

/** Put a record into a state: state and openUntil. */
void hb_order_set_state(hb_json_t *doc, hb_order_state_e state);

/** Write a record that was loaded in this transaction; order is read from it again. */
apr_status_t hb_order_write(hb_order_t *order, hb_op_t *op, hb_json_t *doc);

/** "stripe:pi_...", or of an id that is too long for a record id a hash of it. NULL for NULL. */
const char *hb_order_ref(hb_op_t *op, const char *provider, const char *id);

/**
 * Note that a provider's id belongs to an order. Inside hb_store_transact.
 * @param owner  set to the order that has it: this one, or another that had it before
 */
apr_status_t hb_order_ref_take(const char **owner, hb_op_t *op, const char *provider,
                               const char *id, const char *order_id);

#endif /* HB_ORDER_PRIVATE_H */
