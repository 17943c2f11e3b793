/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_lockout.h
 * How often a password or code may be tried: per account and per address, counted for all
 * processes of the host in the limiter's table. A try is counted before the hash is
 * computed, so that many at once cannot slip through, and has to be judged afterwards by one
 * of the other calls. Names that no account has are counted like accounts: a lock tells
 * nothing.
 */
#ifndef HB_LOCKOUT_H
#define HB_LOCKOUT_H

#include "hb_op.h"

/**
 * Count a try. While all that may fail are under way and none is judged, it waits for
 * their outcome, at most two seconds: many right ones at once are no attack.
 * @param account  user id, or what was typed when no account has it
 * @return HB_E_AUTH_LOCKED with the time to come back
 */
apr_status_t hb_lockout_try(hb_op_t *op, const char *account);

/** It was wrong. */
void hb_lockout_failed(hb_op_t *op, const char *account);

/** It was right: the account starts anew, the address gets its try back. */
void hb_lockout_passed(hb_op_t *op, const char *account);

/** It was not judged (no turn to hash, store away): both get their try back. */
void hb_lockout_undo(hb_op_t *op, const char *account);

/** Forget what was counted for an account: password reset, operator's pardon. */
void hb_lockout_pardon(hb_op_t *op, const char *account);

#endif /* HB_LOCKOUT_H */
