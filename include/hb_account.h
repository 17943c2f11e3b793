/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_account.h
 * Proving who one is: registration, sign-in, passwords, mailed codes, second factor (ACC-01..07,
 * U-18). Sessions are hb_session.h's, profiles hb_user.h's.
 *
 * What a stranger can learn about who has an account:
 * - Sign-in, forgotten password, resend of a code: nothing. Same answer, same time (a hash is
 *   computed for unknown names, mail calls take a fixed quarter of a second), same lock-out.
 * - Usernames are public: a registration says that one is taken.
 * - E-mail: whoever registers is signed in at once (DEP's sequence), so somebody who tries to
 *   register a foreign address must notice that it did not become theirs, whatever the
 *   answer's wording. So it is refused plainly (409 email.taken) instead of by a show that the next
 *   sign-in would expose. The question costs the asker: it needs an acceptable registration with
 *   a free username, costs a password hash either way, counts in the class `auth`, and the owner
 *   of the address gets a mail about it (at most one a day).
 */
#ifndef HB_ACCOUNT_H
#define HB_ACCOUNT_H

#include "hb_json.h"
#include "hb_op.h"

/* --- registration and sign-in (hb_account.c) --- */

/**
 * Make an account and a session for it in one transaction, and mail a code that verifies the
 * address. @param reply  "signedIn"; input fits HB_F_REGISTER
 * HB_E_USERNAME_TAKEN (also for reserved names and look-alikes), HB_E_EMAIL_TAKEN,
 * HB_E_PHONE_TAKEN, HB_E_INPUT_INVALID, HB_E_AUTH_BUSY. Hashes, waits.
 */
apr_status_t hb_account_register(hb_json_t **reply, hb_op_t *op, const hb_json_t *input);

/**
 * The same without session and mail, for the operator: reserved names are allowed.
 * @param is_verified  the address needs no proof
 */
apr_status_t hb_account_create(hb_json_t **user, hb_op_t *op, const hb_json_t *input,
                               hb_roles_t roles, int is_verified);

/**
 * Sign in. @param reply  "signedIn"; input fits HB_F_LOGIN
 * HB_E_AUTH_CREDENTIALS, HB_E_AUTH_LOCKED, HB_E_AUTH_BUSY, and only after the right password:
 * HB_E_TOTP_REQUIRED, HB_E_TOTP_INVALID, HB_E_ACCOUNT_DISABLED.
 */
apr_status_t hb_account_login(hb_json_t **reply, hb_op_t *op, const hb_json_t *input);

/** New password for the actor; all other sessions end. HB_E_AUTH_CREDENTIALS, HB_E_AUTH_LOCKED. */
apr_status_t hb_account_password_change(hb_op_t *op, const char *current,
                                        const char *password);

/** The same by the operator's hand, for any account and without the current one; all sessions end. */
apr_status_t hb_account_password_set(hb_op_t *op, const char *user_id, const char *password);

/** Is it this user's password? Counted by the lock-out. HB_E_AUTH_CREDENTIALS ... Hashes, waits. */
apr_status_t hb_account_prove(hb_op_t *op, const hb_json_t *user, const char *password);

/* --- mailed codes (hb_account_recover.c): single use, each replaces the one before --- */

/** Mail a code that resets the password, if there is such an account. Takes 250 ms. */
apr_status_t hb_account_forgot(hb_op_t *op, const char *email);

/**
 * Set a password by a code; it also proves the address, and ends all sessions.
 * HB_E_CODE_INVALID.
 */
apr_status_t hb_account_reset(hb_op_t *op, const char *code, const char *password);

/** Mail the code that verifies the address again, if it is unverified. Takes 250 ms. */
apr_status_t hb_account_resend(hb_op_t *op, const char *email);

/**
 * Prove an address. @param reply  "verified". HB_E_CODE_INVALID.
 * While there is no superadmin who may act, an address of HaloBuzzAdminEmail makes one, but only
 * when the code comes from that account's own session (or in hb_account_reset): a code alone would let somebody who
 * registered a foreign address wait for its owner to click.
 */
apr_status_t hb_account_verify(hb_json_t **reply, hb_op_t *op, const char *code);

#define HB_CODE_VERIFY "verify_email"
#define HB_CODE_RESET  "reset_password"

/** A code and its row for HB_C_CODES, for a caller who writes it with something else. */
apr_status_t hb_code_prepare(const char **code, hb_json_t **row, hb_op_t *op,
                             const hb_json_t *user, const char *purpose);
/** Twelve letters and digits in groups, for a person to type; NULL without randomness. */
const char *hb_code_make(hb_op_t *op);
/** What is kept of a code, however it was typed; NULL as above. */
const char *hb_code_id(hb_op_t *op, const char *purpose, const char *typed);
/**
 * The mail with a code, for hb_mail_add() where the code's row is written. NULL when there can
 * be none, which is logged: an account is worth more than a mail that can be asked for again.
 */
hb_json_t *hb_code_mail(hb_op_t *op, const hb_json_t *user, const char *purpose,
                        const char *code);

/** Tell the owner of a changed password, in the transaction that changes it. */
apr_status_t hb_account_password_tell(hb_op_t *op, const char *user_id);

/* --- second factor (hb_second_factor.c) --- */

/**
 * A new secret, not in force before it is confirmed. @param reply  "totpSecret"
 * @param password  may be NULL when the session signed in less than ten minutes ago
 * HB_E_TOTP_STATE when one is in force.
 */
apr_status_t hb_second_factor_start(hb_json_t **reply, hb_op_t *op, const char *password);

/** Put it in force; this session counts as having passed it. @param reply  "recovery" */
apr_status_t hb_second_factor_confirm(hb_json_t **reply, hb_op_t *op, const char *code);

/** Drop it: no session of the user counts as having passed one. HB_E_TOTP_INVALID. */
apr_status_t hb_second_factor_remove(hb_op_t *op, const char *password, const char *code);

/**
 * The same for somebody who lost it, and without proof: for the operator, who knows them.
 * HB_E_TOTP_STATE when there is none.
 */
apr_status_t hb_second_factor_drop(hb_op_t *op, const char *user_id);

/** Use up a code or a recovery code of this user. HB_E_TOTP_INVALID. Writes, waits. */
apr_status_t hb_second_factor_pass(hb_op_t *op, const hb_json_t *user, const char *code);

#endif /* HB_ACCOUNT_H */
