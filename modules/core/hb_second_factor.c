/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second factor of an account: its state on the user record. The arithmetic is hb_totp.c's.
 * The secret is sealed for its user, so that a copy of the records opens no account. A code's
 * time step is written by a guarded change: the same code in two sign-ins at once passes one.
 */
#include "hb_account.h"

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_crypto.h"
#include "hb_lockout.h"
#include "hb_session.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_totp.h"
#include "hb_user.h"

/* A session that proved itself so lately need not do it again. */
#define FRESH apr_time_from_sec(600)

#define RECOVERY_CODES 10
#define RECOVERY "recovery"

static const char *seal_purpose(const hb_op_t *op, const hb_json_t *user)
{
    return apr_pstrcat(op->pool, "totp:", hb_user_id(user), NULL);
}

/* Codes are counted apart from passwords: knowing the password must not clear their count. */
static const char *lock_key(const hb_op_t *op)
{
    return apr_pstrcat(op->pool, "totp:", op->actor.user_id, NULL);
}

/* What became of a code that hb_lockout_try() counted. */
static void judge(hb_op_t *op, apr_status_t rv)
{
    if (rv == APR_SUCCESS) {
        hb_lockout_passed(op, lock_key(op));
    } else if (rv == HB_E_TOTP_INVALID) {
        hb_lockout_failed(op, lock_key(op));
    } else {
        hb_lockout_undo(op, lock_key(op));
    }
}

static const char *sealed_secret(const hb_json_t *user)
{
    return hb_json_string_value(hb_json_at(user, "totp.secret"));
}

static apr_status_t check_code(apr_int64_t *step, hb_op_t *op, const hb_json_t *user,
                               const char *code, apr_int64_t last_step)
{
    const char *plain, *secret;
    apr_size_t len;
    apr_status_t rv;

    rv = hb_unseal(&plain, &len, op, seal_purpose(op, user), sealed_secret(user));
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00407) "the second factor of user %s cannot be "
               "opened: was a key taken off the ring?", hb_user_id(user));
        hb_op_recover(op);
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    secret = apr_pstrndup(op->pool, plain, len);
    rv = hb_totp_verify(step, op, secret, code, last_step);
    return rv == APR_SUCCESS ? rv : hb_fail(op, rv, NULL);
}

/* --- setting up --- */

apr_status_t hb_second_factor_start(hb_json_t **reply, hb_op_t *op, const char *password)
{
    const hb_cond_t guards[] = { { "totp.confirmedAt", HB_IS, HB_NIL } };
    const char *secret, *uri, *sealed;
    hb_json_t *user;
    apr_status_t rv;

    rv = hb_user_load(&user, op, op->actor.user_id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (password == NULL && op->actor.authenticated_at + FRESH < op->now) {
        return hb_fail_field(op, "password", "required",
                             "this session signed in more than ten minutes ago");
    }
    if (password != NULL) {
        rv = hb_account_prove(op, user, password);
    }
    if (rv == APR_SUCCESS && hb_user_has_totp(user)) {
        rv = hb_fail(op, HB_E_TOTP_STATE, "a second factor is in force; remove it first");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_totp_make(&secret, &uri, op, hb_json_string(user, "email"));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_seal(&sealed, op, seal_purpose(op, user), secret, strlen(secret));
    }
    if (rv == APR_SUCCESS) {
        const hb_edit_t edits[] = { { "totp.secret", HB_SET, HB_STR(sealed) } };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, hb_user_id(user), guards, 1,
                             edits, 1);
        if (rv == HB_E_STORE_GUARD) {
            hb_op_recover(op);
            rv = hb_fail(op, HB_E_TOTP_STATE, NULL);
        }
    }
    if (rv == APR_SUCCESS) {
        *reply = hb_json_object_make(op->pool);
        hb_json_set_string(*reply, "secret", secret);
        hb_json_set_string(*reply, "uri", uri);
    }
    return rv;
}

typedef struct confirm_t {
    const hb_json_t *user;
    apr_int64_t step;
    hb_json_t *hashes;
} confirm_t;

static apr_status_t confirm_in_store(hb_op_t *op, void *baton)
{
    confirm_t *confirm = baton;
    const char *id = hb_user_id(confirm->user);
    const hb_cond_t guards[] = {
        { "totp.confirmedAt", HB_IS, HB_NIL },
        { "totp.secret", HB_IS, HB_STR(sealed_secret(confirm->user)) },
    };
    const hb_edit_t edits[] = {
        { "totp.confirmedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
        { "totp.lastStep", HB_SET, HB_INT(confirm->step) },
        { "totp.recovery", HB_SET, HB_DOC(confirm->hashes) },
    };
    const hb_edit_t passed[] = { { "hasTotp", HB_SET, HB_BOOL(1) } };
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_USERS, id, guards, 2, edits, 3);
    if (rv == HB_E_STORE_GUARD) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_TOTP_STATE, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_SESSIONS, op->actor.session_id, NULL, 0,
                             passed, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, id, "auth.totp_on", apr_pstrcat(op->pool, "user:", id, NULL), 1,
                          NULL);
    }
    return rv;
}

/* Codes for paper, and what is kept of them. */
static apr_status_t make_recovery(hb_json_t **codes, hb_json_t **hashes, hb_op_t *op)
{
    int i;

    *codes = hb_json_array_make(op->pool);
    *hashes = hb_json_array_make(op->pool);
    for (i = 0; i < RECOVERY_CODES; i++) {
        const char *code = hb_code_make(op);
        const char *hash = code != NULL ? hb_code_id(op, RECOVERY, code) : NULL;

        if (hash == NULL) {
            return hb_fail(op, HB_E_INTERNAL, NULL);
        }
        hb_json_push_string(*codes, code);
        hb_json_push_string(*hashes, hash);
    }
    return APR_SUCCESS;
}

apr_status_t hb_second_factor_confirm(hb_json_t **reply, hb_op_t *op, const char *code)
{
    const char *id = op->actor.user_id;
    confirm_t confirm = { NULL };
    hb_json_t *user, *codes;
    apr_status_t rv;

    rv = hb_user_load(&user, op, id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_user_has_totp(user) || sealed_secret(user) == NULL) {
        return hb_fail(op, HB_E_TOTP_STATE, hb_user_has_totp(user)
                       ? "a second factor is in force" : "ask for a secret first");
    }
    rv = hb_lockout_try(op, lock_key(op));
    if (rv == APR_SUCCESS) {
        rv = check_code(&confirm.step, op, user, code, 0);
        judge(op, rv);
    }
    if (rv == APR_SUCCESS) {
        rv = make_recovery(&codes, &confirm.hashes, op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    confirm.user = user;
    hb_session_hold_all(op, id);
    rv = hb_store_transact(op, confirm_in_store, &confirm);
    hb_session_release_all(op, id);
    hb_user_changed(op, id);
    if (rv == APR_SUCCESS) {
        *reply = hb_json_object_make(op->pool);
        hb_json_set(*reply, "recoveryCodes", codes);
    }
    return rv;
}

/* --- passing --- */

static int is_totp_code(const char *code)
{
    return strlen(code) == 6 && strspn(code, "0123456789") == 6;
}

static apr_status_t pass_code(hb_op_t *op, const hb_json_t *user, const char *code)
{
    apr_int64_t last = hb_json_int_value(hb_json_at(user, "totp.lastStep"), 0);
    apr_int64_t step;
    apr_status_t rv = check_code(&step, op, user, code, last);

    if (rv == APR_SUCCESS) {
        const hb_cond_t guards[] = {
            { "totp.secret", HB_IS, HB_STR(sealed_secret(user)) },
            { "totp.lastStep", HB_BELOW, HB_INT(step) },
        };
        const hb_edit_t edits[] = { { "totp.lastStep", HB_SET, HB_INT(step) } };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, hb_user_id(user), guards, 2,
                             edits, 1);
    }
    return rv;
}

static apr_status_t pass_recovery(hb_op_t *op, const hb_json_t *user, const char *code)
{
    const char *hash = hb_code_id(op, RECOVERY, code);
    apr_status_t rv;

    if (hash == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    {
        const hb_cond_t guards[] = { { "totp.recovery", HB_HAS, HB_STR(hash) } };
        const hb_edit_t edits[] = { { "totp.recovery", HB_PULL, HB_STR(hash) } };

        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, hb_user_id(user), guards, 1,
                             edits, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, hb_user_id(user), "auth.recovery_code",
                          apr_pstrcat(op->pool, "user:", hb_user_id(user), NULL), 1, NULL);
    }
    return rv;
}

apr_status_t hb_second_factor_pass(hb_op_t *op, const hb_json_t *user, const char *code)
{
    apr_status_t rv;

    rv = is_totp_code(code) ? pass_code(op, user, code) : pass_recovery(op, user, code);
    if (rv == HB_E_STORE_GUARD) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_TOTP_INVALID, NULL);
    }
    return rv;
}

/* --- dropping --- */

static apr_status_t remove_in_store(hb_op_t *op, void *baton)
{
    const char *id = baton;
    const hb_cond_t of_user[] = { { "userId", HB_IS, HB_STR(id) } };
    const hb_edit_t edits[] = { { "totp", HB_UNSET, HB_NIL } };
    const hb_edit_t not_passed[] = { { "hasTotp", HB_SET, HB_BOOL(0) } };
    hb_query_t sessions = { HB_C_SESSIONS, of_user, 1 };
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_USERS, id, NULL, 0, edits, 1);
    if (rv == APR_SUCCESS) {
        /* Another factor may be set up later: these sessions did not pass that one. */
        rv = hb_store_change_all(NULL, op, &sessions, not_passed, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, id, "auth.totp_off", apr_pstrcat(op->pool, "user:", id, NULL),
                          1, NULL);
    }
    return rv;
}

static apr_status_t drop(hb_op_t *op, const char *id)
{
    apr_status_t rv;

    hb_session_hold_all(op, id);
    rv = hb_store_transact(op, remove_in_store, (void *)id);
    hb_session_release_all(op, id);
    hb_user_changed(op, id);
    return rv;
}

static apr_status_t load_with_factor(hb_json_t **user, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_user_load(user, op, id);

    return rv == APR_SUCCESS && sealed_secret(*user) == NULL
        ? hb_fail(op, HB_E_TOTP_STATE, "there is no second factor") : rv;
}

apr_status_t hb_second_factor_drop(hb_op_t *op, const char *user_id)
{
    hb_json_t *user;
    apr_status_t rv = load_with_factor(&user, op, user_id);

    return rv == APR_SUCCESS ? drop(op, user_id) : rv;
}

apr_status_t hb_second_factor_remove(hb_op_t *op, const char *password, const char *code)
{
    const char *id = op->actor.user_id;
    hb_json_t *user;
    apr_status_t rv = load_with_factor(&user, op, id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_user_has_totp(user) && code == NULL) {
        return hb_fail_field(op, "code", "required",
                             "the second factor is in force; give a code of it");
    }
    rv = hb_account_prove(op, user, password);
    if (rv == APR_SUCCESS && hb_user_has_totp(user)) {
        rv = hb_lockout_try(op, lock_key(op));
        if (rv == APR_SUCCESS) {
            rv = hb_second_factor_pass(op, user, code);
            judge(op, rv);
        }
    }
    return rv == APR_SUCCESS ? drop(op, id) : rv;
}
