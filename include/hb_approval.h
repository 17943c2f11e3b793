/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_approval.h
 * Four eyes: what one member of staff asks for, another one decides. An approval is a
 * record that says who asked, for what, and who decided; never the same person, and never
 * the one whose money it is. What a decision does is named by the kind's row in
 * hb_approval.c.
 */
#ifndef HB_APPROVAL_H
#define HB_APPROVAL_H

#include "hb_json.h"
#include "hb_op.h"

typedef struct hb_approval_ask_t {
    const char *kind;           /* "payout", "refund": row of the table */
    const char *subject;        /* id of the record it is about */
    const char *owner_id;       /* whose money it is; may be NULL */
    const char *summary;        /* sentence for whoever decides; at most 300 */
} hb_approval_ask_t;

/**
 * Ask, in the name of the actor. Inside hb_store_transact, with the record it is about.
 * @param id  of the approval; may be NULL
 * @return HB_E_AUTH_REQUIRED for an actor without a name, HB_E_APPROVAL_FOUR_EYES when it is the
 *         actor's own money
 */
apr_status_t hb_approval_ask(const char **id, hb_op_t *op, const hb_approval_ask_t *ask);

/**
 * What was asked for is no longer wanted: close the open approval of a subject, if there is
 * one. Inside hb_store_transact.
 */
apr_status_t hb_approval_withdraw(hb_op_t *op, const char *kind, const char *subject);

/**
 * Decide, in the name of the actor: the decision, what it does and its entry in the audit trail
 * are one transaction. What an approval sets going outside (money sent back) comes behind
 * it; when that fails the decision stands, and the record it is about tells how to go on.
 * @param view  "approvals:staff"
 * @param note  may be NULL
 * @return HB_E_APPROVAL_UNKNOWN, HB_E_APPROVAL_STATE (decided or withdrawn before),
 *         HB_E_APPROVAL_FOUR_EYES, or what the kind's effect said. Waits.
 */
apr_status_t hb_approval_decide(hb_json_t **view, hb_op_t *op, const char *id, int is_approved,
                                const char *note);

/** Newest first: {items, next} of "approvals:staff". @param state  of the record */
apr_status_t hb_approval_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                              const char *after);

#endif /* HB_APPROVAL_H */
