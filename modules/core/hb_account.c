/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registration, sign-in and change of password. Codes that come by mail are hb_account_recover.c's,
 * the second factor is hb_second_factor.c's.
 *
 * Order in every call: cheap checks, lock-out, hash, then one transaction. Nothing slow runs
 * while other writers wait.
 */
#include "hb_account.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_limit.h"
#include "hb_lockout.h"
#include "hb_mail.h"
#include "hb_metrics.h"
#include "hb_notice.h"
#include "hb_password.h"
#include "hb_role.h"
#include "hb_session.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"
#include "hb_username.h"

/* Where a new account's trust begins; reputation events move it. */
#define TRUST_SCORE 50
#define TRUST_LEVEL "medium"

/* The owner of an address hears at most once a day that somebody tried to register it. */
#define DEVICES_MAX 20          /* sessions that are looked at for a device */

static const hb_limit_rule_t notice_rule = { "mail.taken", 1, apr_time_from_sec(86400) };

static hb_json_t *signed_in_json(hb_op_t *op, const hb_json_t *user,
                                 const hb_session_grant_t *grant)
{
    hb_json_t *reply = hb_session_grant_json(op, grant);

    hb_json_set(reply, "user", hb_user_to_self_json(op, user));
    return reply;
}

/* --- registration --- */

typedef struct registration_t {
    hb_json_t *user;
    hb_json_t *session;         /* NULL: none */
    hb_json_t *code;            /* NULL: none */
    hb_json_t *mail;            /* NULL: none */
    const char *action;         /* for the audit trail; NULL: the record tells enough */
    const char *taken;          /* name of the unique index that was met */
} registration_t;

static apr_status_t register_in_store(hb_op_t *op, void *baton)
{
    registration_t *reg = baton;
    apr_status_t rv;

    reg->taken = "";
    rv = hb_store_insert(&reg->taken, op, HB_C_USERS, reg->user);
    if (rv == APR_SUCCESS && reg->session != NULL) {
        rv = hb_store_insert(NULL, op, HB_C_SESSIONS, reg->session);
    }
    if (rv == APR_SUCCESS && reg->code != NULL) {
        rv = hb_store_insert(NULL, op, HB_C_CODES, reg->code);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_mail_add(op, reg->mail);
    }
    if (rv == APR_SUCCESS && reg->action != NULL) {
        rv = hb_audit_add(op, NULL, reg->action,
                          apr_pstrcat(op->pool, "user:", hb_user_id(reg->user), NULL), 1,
                          NULL);
    }
    return rv;
}

static apr_status_t check_new(hb_op_t *op, const hb_json_t *input, int may_be_reserved)
{
    const char *username = hb_json_string(input, "username");
    apr_status_t rv;

    rv = hb_user_check_birth(op, input);
    if (rv == APR_SUCCESS) {
        rv = hb_user_check_name(op, input);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_password_check(op, "password", hb_json_string(input, "password"), username,
                               hb_json_string(input, "email"));
    }
    if (rv == APR_SUCCESS && !may_be_reserved) {
        rv = hb_username_check(op, username);
    }
    return rv;
}

static hb_json_t *new_coins(const hb_op_t *op)
{
    static const char *const fields[] = { "balance", "bonusBalance", "totalEarned",
                                          "totalSpent", NULL };
    hb_json_t *coins = hb_json_object_make(op->pool);
    int i;

    for (i = 0; fields[i] != NULL; i++) {
        hb_json_set_int(coins, fields[i], 0);
    }
    return coins;
}

static hb_json_t *new_user(hb_op_t *op, const hb_json_t *input, const char *hash)
{
    static const char *const as_given[] = { "email", "username", "phone", "displayName",
                                            "country", "language", "zone", "birthDate",
                                            NULL };
    const char *username = hb_json_string(input, "username");
    hb_json_t *user = hb_json_object_make(op->pool);
    hb_json_t *trust = hb_json_object_make(op->pool);
    apr_int64_t now = hb_time_to_msec(op->now);
    int i;

    hb_json_set_string(user, "_id", hb_id_make(op));
    for (i = 0; as_given[i] != NULL; i++) {
        if (hb_json_string(input, as_given[i]) != NULL) {
            hb_json_set_string(user, as_given[i], hb_json_string(input, as_given[i]));
        }
    }
    if (!hb_json_has(user, "displayName")) {
        hb_json_set_string(user, "displayName", username);
    }
    hb_json_set_string(user, "usernameKey", hb_username_key(op->pool, username));
    hb_json_set_string(user, "usernameSkeleton", hb_username_skeleton(op->pool, username));
    hb_json_set_string(user, "passwordHash", hash);
    hb_json_set(user, "roles", hb_json_array_make(op->pool));
    hb_json_set_string(user, "status", "active");
    hb_json_set(user, "coins", new_coins(op));
    hb_json_set_int(user, "ogLevel", 0);
    hb_json_set_int(trust, "score", TRUST_SCORE);
    hb_json_set_string(trust, "level", TRUST_LEVEL);
    hb_json_set(user, "trust", trust);
    hb_json_set_int(user, "followers", 0);
    hb_json_set_int(user, "following", 0);
    hb_json_set_int(user, "createdAt", now);
    hb_json_set_int(user, "updatedAt", now);
    return user;
}

static void tell_owner(hb_op_t *op, const char *email)
{
    hb_limit_verdict_t verdict;
    const char *text;
    apr_status_t rv;

    if (op->site->limit != NULL) {
        hb_limit_take(&verdict, op->site->limit, &notice_rule, email, strlen(email),
                      hb_limit_now());
        if (!verdict.is_allowed) {
            return;
        }
    }
    text = apr_psprintf(op->pool, "Hello,\n\nsomebody tried to open an account at %s with this "
                        "address. You have one already, so nothing was changed.\n\nIf it was "
                        "you: sign in, or ask for a new password. If it was not, you need not "
                        "do anything.\n", op->site->settings->public_url);
    rv = hb_mail_send(op, email, "Somebody tried to register with your address", text);
    if (rv != APR_SUCCESS) {
        hb_op_recover(op);
        hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00403) "the owner of an address could not be "
               "told that somebody tried to register it");
    }
}

/* Which refusal a duplicate becomes. An address is only spoken of to somebody whose username
 * would have been free. */
static apr_status_t taken(hb_op_t *op, const registration_t *reg)
{
    const char *skeleton = hb_json_string(reg->user, "usernameSkeleton");
    const hb_cond_t where[] = { { "usernameSkeleton", HB_IS, HB_STR(skeleton) } };
    hb_query_t query = { HB_C_USERS, where, 1 };
    apr_int64_t n = 0;
    apr_status_t rv;

    hb_op_recover(op);
    rv = hb_store_count(&n, op, &query);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (n > 0 || strcmp(reg->taken, "username") == 0) {
        return hb_fail(op, HB_E_USERNAME_TAKEN, NULL);
    }
    if (strcmp(reg->taken, "email") == 0) {
        tell_owner(op, hb_json_string(reg->user, "email"));
        return hb_fail(op, HB_E_EMAIL_TAKEN, NULL);
    }
    if (strcmp(reg->taken, "phone") == 0) {
        return hb_fail(op, HB_E_PHONE_TAKEN, NULL);
    }
    return hb_fail(op, HB_E_INTERNAL, NULL);
}

apr_status_t hb_account_register(hb_json_t **reply, hb_op_t *op, const hb_json_t *input)
{
    registration_t reg = { NULL };
    hb_session_grant_t grant;
    const char *hash, *code;
    apr_status_t rv;

    rv = check_new(op, input, 0);
    if (rv == APR_SUCCESS) {
        rv = hb_password_hash(&hash, op, hb_json_string(input, "password"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reg.user = new_user(op, input, hash);
    rv = hb_session_prepare(&grant, &reg.session, op, reg.user,
                            hb_json_string(input, "device"), 0);
    if (rv == APR_SUCCESS) {
        rv = hb_code_prepare(&code, &reg.code, op, reg.user, HB_CODE_VERIFY);
    }
    if (rv == APR_SUCCESS) {
        reg.mail = hb_code_mail(op, reg.user, HB_CODE_VERIFY, code);
        rv = hb_store_transact(op, register_in_store, &reg);
    }
    if (rv == HB_E_STORE_DUPLICATE) {
        return taken(op, &reg);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_metric_add(op->site->metrics, HB_M_REGISTRATIONS, 1);
    *reply = signed_in_json(op, reg.user, &grant);
    return APR_SUCCESS;
}

apr_status_t hb_account_create(hb_json_t **user, hb_op_t *op, const hb_json_t *input,
                               hb_roles_t roles, int is_verified)
{
    registration_t reg = { NULL };
    const char *hash;
    apr_status_t rv;

    rv = check_new(op, input, 1);
    if (rv == APR_SUCCESS) {
        rv = hb_password_hash(&hash, op, hb_json_string(input, "password"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reg.user = new_user(op, input, hash);
    if (is_verified) {
        hb_json_set_int(reg.user, "emailVerifiedAt", hb_time_to_msec(op->now));
    }
    hb_json_set(reg.user, "roles", hb_user_role_names(op, roles));
    if (roles & HB_ROLES_STAFF) {
        hb_json_set_bool(reg.user, "isStaff", 1);
    }
    reg.action = "user.create";
    rv = hb_store_transact(op, register_in_store, &reg);
    if (rv == HB_E_STORE_DUPLICATE) {
        return taken(op, &reg);
    }
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_REGISTRATIONS, 1);
        *user = reg.user;
    }
    return rv;
}

/* --- is it they? --- */

/*
 * One counted try of a password; hash is NULL when no account has the name. After a right one
 * the caller says whether all was passed by it.
 */
static apr_status_t try_password(hb_op_t *op, const char *account, const char *password,
                                 const char *hash)
{
    apr_status_t rv = hb_lockout_try(op, account);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = hb_password_verify(op, password, hash);
    if (rv == HB_E_AUTH_CREDENTIALS) {
        hb_lockout_failed(op, account);
    } else if (rv != APR_SUCCESS) {
        hb_lockout_undo(op, account);
    }
    return rv;
}

/* The trail of a refused proof; the refusal itself is what the caller hears about. */
static void refused(hb_op_t *op, const char *action, const hb_json_t *user,
                    const char *reason)
{
    const char *id = user != NULL ? hb_user_id(user) : NULL;
    hb_json_t *details = hb_json_object_make(op->pool);
    hb_problem_t problem = op->problem;
    apr_status_t rv;

    hb_json_set_string(details, "reason", reason);
    /* Also for names that nobody has, so that it takes as long; never the name itself, because
     * people type passwords into it. */
    rv = hb_audit_add(op, id, action,
                      apr_pstrcat(op->pool, "user:", id != NULL ? id : "?", NULL), 0, details);
    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00404) "%s was refused (%s), and the audit trail "
               "could not be written", action, reason);
    }
    op->problem = problem;
}

apr_status_t hb_account_prove(hb_op_t *op, const hb_json_t *user, const char *password)
{
    const char *id = hb_user_id(user);
    apr_status_t rv;

    /* None given proves nothing, and is one more wrong one. */
    rv = try_password(op, id, password != NULL ? password : "",
                      hb_json_string(user, "passwordHash"));
    if (rv == APR_SUCCESS && hb_user_has_totp(user)) {
        hb_lockout_undo(op, id);    /* who knows the password alone may still guess codes */
    } else if (rv == APR_SUCCESS) {
        hb_lockout_passed(op, id);
    } else if (rv == HB_E_AUTH_CREDENTIALS) {
        refused(op, "auth.prove", user, "password");
    }
    return rv;
}

/* --- sign-in --- */

typedef struct sign_in_t {
    const hb_json_t *user;
    const char *new_hash;       /* NULL: the stored one is good */
    hb_json_t *session;
} sign_in_t;

/* Has a session of the newest been on a device of that name? */
static apr_status_t is_known_device(int *is, hb_op_t *op, const char *user_id,
                                    const char *device)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(user_id) } };
    const hb_query_t query = { .in = HB_C_SESSIONS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = DEVICES_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    const char *other;
    int i;

    *is = 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items && !*is; i++) {
        other = hb_json_string(page.items[i], "device");
        *is = other == NULL ? device == NULL : device != NULL && strcmp(other, device) == 0;
    }
    return rv;
}

/* A sign-in on a device that the account does not know (NTF-01); before its session is there. */
static apr_status_t tell_of_device(hb_op_t *op, const char *user_id, const hb_json_t *session)
{
    const char *device = hb_json_string(session, "device");
    hb_json_t *values;
    int is_known;
    apr_status_t rv = is_known_device(&is_known, op, user_id, device);

    if (rv != APR_SUCCESS || is_known) {
        return rv;
    }
    values = hb_json_object_make(op->pool);
    hb_json_set_int(values, "at", hb_time_to_msec(op->now));
    if (device != NULL) {
        hb_json_set_string(values, "device", device);
    }
    if (hb_json_string(session, "address") != NULL) {
        hb_json_set_string(values, "address", hb_json_string(session, "address"));
    }
    return hb_notice_add(op, HB_N_NEW_SESSION, user_id, values);
}

static apr_status_t sign_in_in_store(hb_op_t *op, void *baton)
{
    sign_in_t *sign_in = baton;
    const char *id = hb_user_id(sign_in->user);
    const char *hash = hb_json_string(sign_in->user, "passwordHash");
    const hb_edit_t edits[] = { { "passwordHash", HB_SET, HB_STR(sign_in->new_hash) } };
    const char *hash_now;
    hb_json_t *user;
    apr_status_t rv;

    /* The password may have changed, or the account gone, while we hashed. */
    rv = hb_store_get(&user, op, HB_C_USERS, id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hash_now = hb_json_string(user, "passwordHash");
    if (hash_now == NULL || strcmp(hash_now, hash) != 0 || !hb_user_is_active(user)) {
        return hb_fail(op, HB_E_AUTH_CREDENTIALS, NULL);
    }
    if (sign_in->new_hash != NULL) {
        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, id, NULL, 0, edits, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = tell_of_device(op, id, sign_in->session);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_insert(NULL, op, HB_C_SESSIONS, sign_in->session);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, id, "auth.login",
                          apr_pstrcat(op->pool, "session:",
                                      hb_json_string(sign_in->session, "_id"), NULL),
                          1, NULL);
    }
    return rv;
}

static apr_status_t find_by_name(hb_json_t **user, hb_op_t *op, const char *name)
{
    apr_status_t rv = hb_user_load_named(user, op, name);

    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        *user = NULL;
        return APR_SUCCESS;
    }
    return rv;
}

/* Password, then what else stands in the way; each only told to who passed the one before. */
static apr_status_t prove_sign_in(hb_op_t *op, const hb_json_t *user, const char *account,
                                  const hb_json_t *input)
{
    const char *hash = user != NULL ? hb_json_string(user, "passwordHash") : NULL;
    const char *code = hb_json_string(input, "totp");
    apr_status_t rv;

    rv = try_password(op, account, hb_json_string(input, "password"), hash);
    if (rv == HB_E_AUTH_CREDENTIALS) {
        refused(op, "auth.login", user, "password");
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!hb_user_is_active(user)) {
        hb_lockout_passed(op, account);
        refused(op, "auth.login", user, "disabled");
        return hb_fail(op, HB_E_ACCOUNT_DISABLED, NULL);
    }
    if (hb_user_has_totp(user) && code == NULL) {
        hb_lockout_undo(op, account);   /* half a sign-in, and no guess */
        return hb_fail(op, HB_E_TOTP_REQUIRED, NULL);
    }
    if (hb_user_has_totp(user)) {
        rv = hb_second_factor_pass(op, user, code);
    }
    if (rv == APR_SUCCESS) {
        hb_lockout_passed(op, account);
    } else if (rv == HB_E_TOTP_INVALID) {
        hb_lockout_failed(op, account);
        refused(op, "auth.login", user, "totp");
    } else {
        hb_lockout_undo(op, account);
    }
    return rv;
}

static void count_refusal(const hb_op_t *op, apr_status_t rv)
{
    if (rv == HB_E_AUTH_BUSY) {
        hb_metric_add(op->site->metrics, HB_M_LOGIN_BUSY, 1);
    } else if (rv == HB_E_AUTH_CREDENTIALS || rv == HB_E_TOTP_INVALID
               || rv == HB_E_ACCOUNT_DISABLED) {
        hb_metric_add(op->site->metrics, HB_M_LOGIN_FAILURE, 1);
    }
}

static const char *renewed_hash(hb_op_t *op, const hb_json_t *user, const char *password)
{
    const char *hash;

    if (!hb_password_is_outdated(op, hb_json_string(user, "passwordHash"))) {
        return NULL;
    }
    if (hb_password_hash(&hash, op, password) != APR_SUCCESS) {
        hb_op_recover(op);      /* the next sign-in will do it */
        return NULL;
    }
    return hash;
}

apr_status_t hb_account_login(hb_json_t **reply, hb_op_t *op, const hb_json_t *input)
{
    const char *name = hb_json_string(input, "email");
    sign_in_t sign_in = { NULL };
    hb_session_grant_t grant;
    const char *account;
    hb_json_t *user;
    apr_status_t rv;

    if (name == NULL) {
        name = hb_json_string(input, "username");
    }
    if (name == NULL) {
        return hb_fail_field(op, "email", "required", "an address or a username is needed");
    }
    rv = find_by_name(&user, op, name);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    account = user != NULL ? hb_user_id(user) : hb_username_key(op->pool, name);
    rv = prove_sign_in(op, user, account, input);
    if (rv != APR_SUCCESS) {
        count_refusal(op, rv);
        return rv;
    }
    sign_in.user = user;
    sign_in.new_hash = renewed_hash(op, user, hb_json_string(input, "password"));
    rv = hb_session_prepare(&grant, &sign_in.session, op, user,
                            hb_json_string(input, "device"), hb_user_has_totp(user));
    if (rv == APR_SUCCESS) {
        rv = hb_store_transact(op, sign_in_in_store, &sign_in);
    }
    if (rv != APR_SUCCESS) {
        count_refusal(op, rv);
        return rv;
    }
    hb_metric_add(op->site->metrics, HB_M_LOGIN_SUCCESS, 1);
    *reply = signed_in_json(op, user, &grant);
    return APR_SUCCESS;
}

/* --- change of password --- */

typedef struct password_t {
    const hb_json_t *user;
    const char *hash;
    apr_int64_t n_ended;
} password_t;

static apr_status_t password_in_store(hb_op_t *op, void *baton)
{
    password_t *change = baton;
    const char *id = hb_user_id(change->user);
    const char *reset = HB_CODE_RESET;
    const hb_cond_t guards[] = {
        { "passwordHash", HB_IS, HB_STR(hb_json_string(change->user, "passwordHash")) },
    };
    const hb_cond_t of_user[] = { { "userId", HB_IS, HB_STR(id) },
                                  { "purpose", HB_IS, HB_STR(reset) } };
    const hb_edit_t edits[] = {
        { "passwordHash", HB_SET, HB_STR(change->hash) },
        { "updatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    const hb_edit_t proved[] = {
        { "authenticatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    hb_query_t codes = { HB_C_CODES, of_user, 2 };
    apr_status_t rv;

    rv = hb_store_change(NULL, NULL, op, HB_C_USERS, id, guards, 1, edits, 2);
    if (rv == HB_E_STORE_GUARD) {
        hb_op_recover(op);
        return hb_fail(op, HB_E_AUTH_CREDENTIALS, NULL);    /* changed meanwhile */
    }
    if (rv == APR_SUCCESS) {
        rv = hb_session_end_rows(&change->n_ended, op, id, op->actor.session_id, "password");
    }
    if (rv == APR_SUCCESS && op->actor.session_id != NULL) {
        rv = hb_store_change(NULL, NULL, op, HB_C_SESSIONS, op->actor.session_id, NULL, 0,
                             proved, 1);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove_all(NULL, op, &codes);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, id, "auth.password",
                          apr_pstrcat(op->pool, "user:", id, NULL), 1, NULL);
    }
    return rv == APR_SUCCESS ? hb_account_password_tell(op, id) : rv;
}

/* The account, when it may have this password. */
static apr_status_t load_for_password(hb_json_t **user, hb_op_t *op, const char *id,
                                      const char *field, const char *password)
{
    apr_status_t rv = hb_user_load(user, op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_password_check(op, field, password, hb_json_string(*user, "username"),
                               hb_json_string(*user, "email"));
    }
    return rv;
}

/* Whoever calls has made sure that it may be. */
static apr_status_t password_replace(hb_op_t *op, const hb_json_t *user, const char *password)
{
    const char *id = hb_user_id(user);
    password_t change = { NULL };
    apr_status_t rv;

    rv = hb_password_hash(&change.hash, op, password);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    change.user = user;
    hb_session_hold_all(op, id);
    rv = hb_store_transact(op, password_in_store, &change);
    hb_session_release_all(op, id);
    hb_user_changed(op, id);
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_SESSIONS_ENDED, change.n_ended);
    }
    return rv;
}

apr_status_t hb_account_password_change(hb_op_t *op, const char *current,
                                        const char *password)
{
    hb_json_t *user;
    apr_status_t rv;

    rv = load_for_password(&user, op, op->actor.user_id, "newPassword", password);
    if (rv == APR_SUCCESS) {
        rv = hb_account_prove(op, user, current);
    }
    if (rv == APR_SUCCESS) {
        rv = password_replace(op, user, password);
    }
    return rv;
}

apr_status_t hb_account_password_set(hb_op_t *op, const char *user_id, const char *password)
{
    hb_json_t *user;
    apr_status_t rv;

    rv = load_for_password(&user, op, user_id, "password", password);
    if (rv == APR_SUCCESS) {
        rv = password_replace(op, user, password);
    }
    return rv;
}
