/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_user.h
 * User records: looked up, shown, changed, deleted (ENT-01). Proving who one is (sign-in,
 * passwords, codes) is hb_account.h's; follow and block are hb_social.h's.
 */
#ifndef HB_USER_H
#define HB_USER_H

#include "hb_json.h"
#include "hb_op.h"

/* --- reading a record --- */

const char *hb_user_id(const hb_json_t *user);
/** May the account act: neither disabled nor deleted? */
int hb_user_is_active(const hb_json_t *user);
/** Whole years since the declared date of birth, UTC; -1 when none was declared. */
int hb_user_age(const hb_json_t *user, apr_time_t now);
int hb_user_has_totp(const hb_json_t *user);
/** Roles with all they imply. */
hb_roles_t hb_user_roles(const hb_json_t *user);
/** Roles as a record keeps them: names of those beyond user, in op->pool. */
hb_json_t *hb_user_role_names(const hb_op_t *op, hb_roles_t roles);
/**
 * The record as a reader may see it (hb_schema_view), with the OG tier that runs now. In
 * op->pool. Does not wait.
 */
hb_json_t *hb_user_view(hb_op_t *op, const hb_json_t *user, unsigned int who);
/** What the user sees of it, in op->pool. */
hb_json_t *hb_user_to_self_json(hb_op_t *op, const hb_json_t *user);

/**
 * The whole record, for the core. HB_E_USER_UNKNOWN also when the account was
 * deleted; disabled ones are given. Waits.
 */
apr_status_t hb_user_load(hb_json_t **user, hb_op_t *op, const char *id);

/** By what people type: an address (it has an @ inside), or a username with or without @ in front. */
apr_status_t hb_user_load_named(hb_json_t **user, hb_op_t *op, const char *name);

/* --- showing --- */

/**
 * The actor's own view as ready-made JSON text, from the cache when it is there
 * ("cache:user:me:<id>"): a warm call neither reads the store nor builds JSON.
 */
apr_status_t hb_user_me_text(const char **text, apr_size_t *len, hb_op_t *op);

/** Note what that will ask of the cache (hb_ahead.h), once the actor is this user. */
void hb_user_me_ahead(hb_op_t *op, const char *id);

/**
 * What anybody may see of an active user, by id or "@username". HB_E_USER_UNKNOWN also when
 * the user has blocked the actor; HB_E_USER_BLOCKED when the actor has blocked the user.
 */
apr_status_t hb_user_show(hb_json_t **view, hb_op_t *op, const char *id_or_name);

/**
 * Active users whose username starts with q, by name, without those who block or are
 * blocked: {items, next}.
 */
apr_status_t hb_user_search(hb_json_t **list, hb_op_t *op, const char *q, int limit,
                            const char *after);

/** For staff and the operator, newest first: {items, next} of "users:staff". */
apr_status_t hb_user_list(hb_json_t **list, hb_op_t *op, int only_staff, int limit,
                          const char *after);

/**
 * Views ("users:all") of these ids in this order, without accounts that are not active and those
 * between whom and the actor there is a block. At most 100 ids.
 */
apr_status_t hb_user_views(hb_json_t **items, hb_op_t *op, const char *const *ids, int n_ids);

/* --- changing --- */

/**
 * Change the actor's own profile; input fits HB_F_PROFILE.
 * HB_E_USERNAME_TAKEN, HB_E_PHONE_TAKEN, HB_E_INPUT_INVALID (a second date of birth).
 */
apr_status_t hb_user_update(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/** The checks of a profile that a table cannot make: a date of birth lies in the past. */
apr_status_t hb_user_check_birth(hb_op_t *op, const hb_json_t *input);
/** And the name that is shown is one line of text that shows something, in the order of its letters. */
apr_status_t hb_user_check_name(hb_op_t *op, const hb_json_t *input);

/**
 * Delete the actor's account: sessions end, follows and blocks go, personal fields are erased,
 * e-mail, phone and username are free again. The record stays as a pseudonym, because streams and
 * the ledger name it. HB_E_AUTH_CREDENTIALS, HB_E_AUTH_LOCKED.
 */
apr_status_t hb_user_delete(hb_op_t *op, const char *password);

/** Set the roles beyond user; works at once in every session. For the operator and superadmins. */
apr_status_t hb_user_roles_set(hb_op_t *op, const char *id, hb_roles_t roles);

/** Disable (sessions and the live stream end) or enable an account again. */
apr_status_t hb_user_disable(hb_op_t *op, const char *id, int is_disabled);

/** To be called after the commit of every change of a user record: drops what is cached of it. */
void hb_user_changed(hb_op_t *op, const char *id);

#endif /* HB_USER_H */
