/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_audit.h
 * The audit trail (ENT-05, AUD-01): who did what to what, from where, with which outcome.
 * Every call waits for the store.
 */
#ifndef HB_AUDIT_H
#define HB_AUDIT_H

#include "hb_json.h"
#include "hb_op.h"

/**
 * Add an entry; inside a transaction it stands or falls with it.
 * @param user_id  whose doing; NULL takes the actor's
 * @param details  may be NULL; no secret in it
 */
apr_status_t hb_audit_add(hb_op_t *op, const char *user_id, const char *action,
                          const char *resource, int succeeded, hb_json_t *details);

#endif /* HB_AUDIT_H */
