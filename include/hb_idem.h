/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_idem.h
 * Calls that may be repeated: an Idempotency-Key, the fingerprint of the body it came with, and
 * the first answer, written in the transaction of the work itself (PAY-05, M-03). Same key and
 * same body give the first answer again (Idempotency-Replayed: true); same key and another body
 * are refused. A call that failed left nothing, so it may be tried again with its key.
 * All but hb_idem_event() wait for the store.
 */
#ifndef HB_IDEM_H
#define HB_IDEM_H

#include "hb_json.h"
#include "hb_op.h"

/** The work; inside the transaction. It may run more than once, as hb_store_tx_fn. */
typedef apr_status_t hb_idem_fn(hb_json_t **answer, hb_op_t *op, void *baton);

/**
 * Do the work in one transaction, or give its first answer again and set op->is_replayed.
 * The key is op->idem_key of the actor for this action; without one the work is just done.
 * @param action  "gift", "og" ...: one key may serve several actions
 * @param body    what came in, as hb_schema_check() gave it, plus what the path says; may be NULL
 * @return HB_E_IDEM_MISMATCH for another body; else as the work or hb_store_transact
 */
apr_status_t hb_idem_transact(hb_json_t **answer, hb_op_t *op, const char *action,
                              const hb_json_t *body, hb_idem_fn *fn, void *baton);

/**
 * "<action>:<64 digits>", one for the actor, action and op->idem_key: a ledger entry's key.
 * NULL without an Idempotency-Key.
 */
const char *hb_idem_event(hb_op_t *op, const char *action);

/**
 * The two halves, for who has a transaction already. First thing in it: was this done before?
 * @param answer  the first answer when it was; NULL when the work is to be done now
 */
apr_status_t hb_idem_begin(hb_json_t **answer, hb_op_t *op, const char *action,
                           const hb_json_t *body);
/** Last thing: keep the answer, an object. */
apr_status_t hb_idem_keep(hb_op_t *op, const char *action, const hb_json_t *body,
                          hb_json_t *answer);

#endif /* HB_IDEM_H */
