/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back by mail: proof of an address, and a new password for who forgot theirs. A code is
 * twelve letters and digits that are not mistaken for each other, 60 random bits. Its row's id is
 * a keyed hash of purpose and code: the records tell no code, and none works for
 * another purpose. Removing the row in the transaction that uses it makes it single use.
 */
#include "hb_account.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "hb_audit.h"
#include "hb_crypto.h"
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

/* What forgot and resend take in any case; far above what a mail costs. */
#define ANSWER_AFTER apr_time_from_msec(250)

/* Mails of one purpose to one account. */
static const hb_limit_rule_t mail_rule = { "mail.code", 5, apr_time_from_sec(3600) };

/* --- codes --- */

#define CODE_CHARS 12
#define CODE_GROUP 4

#define STAFF_PAGE 100

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* As it was made, whatever case, blanks, dashes and look-alikes it was typed with. */
static const char *code_canonical(apr_pool_t *pool, const char *typed)
{
    char *code = apr_palloc(pool, strlen(typed) + 1);
    char *to = code;

    for (; *typed != '\0'; typed++) {
        char c = (char)apr_toupper(*typed);

        if (c == '-' || c == ' ') {
            continue;
        }
        *to++ = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
    }
    *to = '\0';
    return code;
}

const char *hb_code_id(hb_op_t *op, const char *purpose, const char *typed)
{
    return hb_keyed_hash(op, apr_pstrcat(op->pool, "code.", purpose, NULL),
                         code_canonical(op->pool, typed));
}

const char *hb_code_make(hb_op_t *op)
{
    unsigned char bytes[CODE_CHARS];
    char *code = apr_palloc(op->pool, CODE_CHARS + CODE_CHARS / CODE_GROUP);
    char *to = code;
    int i;

    if (hb_random_bytes(op, bytes, sizeof(bytes)) != APR_SUCCESS) {
        return NULL;
    }
    for (i = 0; i < CODE_CHARS; i++) {
        if (i > 0 && i % CODE_GROUP == 0) {
            *to++ = '-';
        }
        *to++ = digits[bytes[i] & 31];
    }
    *to = '\0';
    return code;
}

apr_status_t hb_code_prepare(const char **code, hb_json_t **row, hb_op_t *op,
                             const hb_json_t *user, const char *purpose)
{
    apr_interval_time_t ttl = strcmp(purpose, HB_CODE_RESET) == 0
        ? op->site->settings->reset_ttl : op->site->settings->verify_ttl;
    const char *id;

    *code = hb_code_make(op);
    id = *code != NULL ? hb_code_id(op, purpose, *code) : NULL;
    if (id == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    *row = hb_json_object_make(op->pool);
    hb_json_set_string(*row, "_id", id);
    hb_json_set_string(*row, "userId", hb_user_id(user));
    hb_json_set_string(*row, "purpose", purpose);
    hb_json_set_string(*row, "email", hb_json_string(user, "email"));
    hb_json_set_int(*row, "createdAt", hb_time_to_msec(op->now));
    hb_json_set_int(*row, "expiresAt", hb_time_to_msec(op->now + ttl));
    return APR_SUCCESS;
}

/* --- mails --- */

static hb_json_t *mail(hb_op_t *op, const hb_json_t *user, const char *subject,
                       const char *text)
{
    hb_json_t *row;
    apr_status_t rv = hb_mail_prepare(&row, op, hb_json_string(user, "email"), subject, text);

    if (rv != APR_SUCCESS) {
        hb_op_recover(op);
        hb_log(op, HB_LOG_ERR, rv, HBLOGNO(00405) "mail to user %s could not be written: %s",
               hb_user_id(user), subject);
    }
    return row;
}

hb_json_t *hb_code_mail(hb_op_t *op, const hb_json_t *user, const char *purpose,
                        const char *code)
{
    const char *url = op->site->settings->public_url;
    const char *name = hb_json_string(user, "username");

    if (strcmp(purpose, HB_CODE_RESET) == 0) {
        return mail(op, user, "Your code for a new password",
            apr_psprintf(op->pool, "Hello %s,\n\nthis code sets a new password at %s:\n\n"
                         "    %s\n\nIt works once, for %d minutes. If you did not ask for "
                         "it, ignore this mail: your password has not changed.\n",
                         name, url, code,
                         (int)(apr_time_sec(op->site->settings->reset_ttl) / 60)));
    }
    return mail(op, user, "Your code to confirm this address",
        apr_psprintf(op->pool, "Hello %s,\n\nthis code confirms your address at %s:\n\n"
                     "    %s\n\nIt works once, for %d minutes. If you did not open an "
                     "account there, ignore this mail.\n",
                     name, url, code,
                     (int)(apr_time_sec(op->site->settings->verify_ttl) / 60)));
}

apr_status_t hb_account_password_tell(hb_op_t *op, const char *user_id)
{
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_int(values, "at", hb_time_to_msec(op->now));
    return hb_notice_add(op, HB_N_NEW_PASSWORD, user_id, values);
}

/* --- sending a code --- */

typedef struct sending_t {
    hb_json_t *code;
    hb_json_t *mail;
} sending_t;

static apr_status_t replace_code(hb_op_t *op, void *baton)
{
    sending_t *sending = baton;
    const hb_cond_t where[] = {
        { "userId", HB_IS, HB_STR(hb_json_string(sending->code, "userId")) },
        { "purpose", HB_IS, HB_STR(hb_json_string(sending->code, "purpose")) },
    };
    hb_query_t old = { HB_C_CODES, where, 2 };
    apr_status_t rv = hb_store_remove_all(NULL, op, &old);

    if (rv == APR_SUCCESS) {
        rv = hb_store_insert(NULL, op, HB_C_CODES, sending->code);
    }
    return rv == APR_SUCCESS ? hb_mail_add(op, sending->mail) : rv;
}

static apr_status_t send_code(hb_op_t *op, const hb_json_t *user, const char *purpose)
{
    const char *key = apr_pstrcat(op->pool, purpose, ":", hb_user_id(user), NULL);
    hb_limit_verdict_t verdict;
    sending_t sending;
    const char *code;
    apr_status_t rv;

    if (op->site->limit != NULL) {
        hb_limit_take(&verdict, op->site->limit, &mail_rule, key, strlen(key),
                      hb_limit_now());
        if (!verdict.is_allowed) {
            return APR_SUCCESS; /* silently: the answer is the same for everybody */
        }
    }
    rv = hb_code_prepare(&code, &sending.code, op, user, purpose);
    if (rv == APR_SUCCESS) {
        sending.mail = hb_code_mail(op, user, purpose, code);
        rv = hb_store_transact(op, replace_code, &sending);
    }
    return rv;
}

/* Who measures the time learns nothing about whether there was an account to mail to. */
static apr_status_t send_if_known(hb_op_t *op, const char *email, const char *purpose)
{
    apr_time_t until = hb_limit_now() + ANSWER_AFTER;
    apr_interval_time_t left;
    hb_json_t *user;
    apr_status_t rv;

    rv = hb_user_load_named(&user, op, email);
    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        rv = APR_SUCCESS;
    } else if (rv == APR_SUCCESS && hb_user_is_active(user)
               && (strcmp(purpose, HB_CODE_RESET) == 0
                   || hb_json_int(user, "emailVerifiedAt", 0) == 0)) {
        rv = send_code(op, user, purpose);
    }
    left = until - hb_limit_now();
    if (left > 0) {
        apr_sleep(left);
    }
    return rv;
}

apr_status_t hb_account_forgot(hb_op_t *op, const char *email)
{
    return send_if_known(op, email, HB_CODE_RESET);
}

apr_status_t hb_account_resend(hb_op_t *op, const char *email)
{
    return send_if_known(op, email, HB_CODE_VERIFY);
}

/* --- using a code --- */

typedef struct proof_t {
    const char *code_id;
    hb_json_t *code;
    hb_json_t *user;
    const char *new_hash;       /* not NULL: a new password, and all sessions end */
    int makes_admin;
    apr_int64_t n_ended;
    hb_json_t *after;
} proof_t;

static apr_status_t code_invalid(hb_op_t *op)
{
    hb_op_recover(op);
    return hb_fail(op, HB_E_CODE_INVALID, NULL);
}

static int is_admin_address(const hb_op_t *op, const char *email)
{
    char *list = apr_pstrdup(op->pool, op->site->settings->admin_emails);
    char *last = NULL;
    const char *item;

    for (item = apr_strtok(list, ", ", &last); item != NULL;
         item = apr_strtok(NULL, ", ", &last)) {
        if (apr_cstr_casecmp(item, email) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Whom the code is for, if it is good. Wrong, used, expired and outdated ones are alike. */
static apr_status_t proof_load(proof_t *proof, hb_op_t *op, const char *purpose,
                               const char *typed)
{
    const char *email;
    apr_status_t rv;

    proof->code_id = hb_code_id(op, purpose, typed);
    if (proof->code_id == NULL) {
        return hb_fail(op, HB_E_INTERNAL, NULL);
    }
    rv = hb_store_get(&proof->code, op, HB_C_CODES, proof->code_id);
    if (rv == HB_E_STORE_MISSING) {
        return code_invalid(op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_time_from_msec(hb_json_int(proof->code, "expiresAt", 0)) <= op->now) {
        return code_invalid(op);
    }
    rv = hb_user_load(&proof->user, op, hb_json_string(proof->code, "userId"));
    if (rv == HB_E_USER_UNKNOWN) {
        return code_invalid(op);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    email = hb_json_string(proof->user, "email");
    if (email == NULL || !hb_user_is_active(proof->user)
        || strcmp(email, hb_json_string(proof->code, "email")) != 0) {
        return code_invalid(op);
    }
    return APR_SUCCESS;
}

static hb_json_t *with_superadmin(hb_op_t *op, const hb_json_t *user)
{
    const hb_json_t *had = hb_json_get(user, "roles");
    hb_json_t *roles = hb_json_array_make(op->pool);
    int i;

    for (i = 0; i < hb_json_length(had); i++) {
        const char *name = hb_json_string_value(hb_json_item(had, i));

        if (name != NULL && strcmp(name, "superadmin") != 0) {
            hb_json_push_string(roles, name);
        }
    }
    hb_json_push_string(roles, "superadmin");
    return roles;
}

static apr_status_t prove_in_store(hb_op_t *op, void *baton)
{
    proof_t *proof = baton;
    const char *id = hb_user_id(proof->user);
    const hb_cond_t guards[] = {
        { "email", HB_IS, HB_STR(hb_json_string(proof->user, "email")) },
        { "status", HB_IS, HB_STR("active") },
    };
    hb_edit_t edits[5] = {
        { "emailVerifiedAt", HB_SET_IF_ABSENT, HB_INT(hb_time_to_msec(op->now)) },
        { "updatedAt", HB_SET, HB_INT(hb_time_to_msec(op->now)) },
    };
    const char *action = proof->new_hash != NULL ? "auth.reset" : "auth.verify";
    const char *resource = apr_pstrcat(op->pool, "user:", id, NULL);
    apr_status_t rv;
    int n = 2;

    rv = hb_store_remove(op, HB_C_CODES, proof->code_id, NULL, 0);
    if (rv == HB_E_STORE_MISSING) {
        return code_invalid(op);        /* a twin used it first */
    }
    if (proof->new_hash != NULL) {
        edits[n++] = (hb_edit_t){ "passwordHash", HB_SET, HB_STR(proof->new_hash) };
    }
    if (proof->makes_admin) {
        edits[n++] = (hb_edit_t){ "roles", HB_SET, HB_DOC(with_superadmin(op, proof->user)) };
        edits[n++] = (hb_edit_t){ "isStaff", HB_SET, HB_BOOL(1) };
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(&proof->after, NULL, op, HB_C_USERS, id, guards, 2, edits, n);
        if (rv == HB_E_STORE_GUARD) {
            return code_invalid(op);
        }
    }
    if (rv == APR_SUCCESS && proof->new_hash != NULL) {
        rv = hb_session_end_rows(&proof->n_ended, op, id, NULL, "password");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, id, action, resource, 1, NULL);
    }
    if (rv == APR_SUCCESS && proof->makes_admin) {
        rv = hb_audit_add(op, id, "user.first_superadmin", resource, 1, NULL);
    }
    if (rv == APR_SUCCESS && proof->new_hash != NULL) {
        rv = hb_account_password_tell(op, id);
    }
    return rv;
}

static apr_status_t proof_run(hb_op_t *op, proof_t *proof)
{
    const char *id = hb_user_id(proof->user);
    apr_status_t rv;

    hb_session_hold_all(op, id);
    rv = hb_store_transact(op, prove_in_store, proof);
    hb_session_release_all(op, id);
    hb_user_changed(op, id);
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_SESSIONS_ENDED, proof->n_ended);
    }
    if (rv == APR_SUCCESS && proof->makes_admin) {
        hb_log(op, HB_LOG_NOTICE, 0, HBLOGNO(00406) "user %s proved an address of "
               "HaloBuzzAdminEmail and is superadmin now", id);
    }
    return rv;
}

/* Is there a superadmin who may act? */
static apr_status_t has_superadmin(int *is_there, hb_op_t *op)
{
    const hb_cond_t where[] = { { "isStaff", HB_IS, HB_BOOL(1) } };
    hb_query_t query = { HB_C_USERS, where, 1 };
    hb_page_t page;
    apr_status_t rv;
    int i;

    *is_there = 0;
    query.sort[0].field = "createdAt";
    query.sort[0].descending = 1;
    query.limit = STAFF_PAGE;
    do {
        rv = hb_store_find(&page, op, &query);
        for (i = 0; rv == APR_SUCCESS && i < page.n_items && !*is_there; i++) {
            *is_there = hb_user_is_active(page.items[i])
                && (hb_user_roles(page.items[i]) & HB_ROLE_SUPERADMIN) != 0;
        }
        query.after = page.next;
    } while (rv == APR_SUCCESS && !*is_there && page.next != NULL);
    return rv;
}

/*
 * The first superadmin comes from the configuration, all others from one who is: from whom they took
 * the role, a new password must not give it back.
 */
static apr_status_t find_admin(proof_t *proof, hb_op_t *op)
{
    int is_there = 1;
    apr_status_t rv = APR_SUCCESS;

    if (is_admin_address(op, hb_json_string(proof->user, "email"))) {
        rv = has_superadmin(&is_there, op);
    }
    proof->makes_admin = rv == APR_SUCCESS && !is_there;
    return rv;
}

apr_status_t hb_account_reset(hb_op_t *op, const char *code, const char *password)
{
    proof_t proof = { NULL };
    apr_status_t rv;

    rv = proof_load(&proof, op, HB_CODE_RESET, code);
    if (rv == APR_SUCCESS) {
        rv = hb_password_check(op, "password", password,
                               hb_json_string(proof.user, "username"),
                               hb_json_string(proof.user, "email"));
    }
    if (rv == APR_SUCCESS) {
        rv = hb_password_hash(&proof.new_hash, op, password);
    }
    if (rv == APR_SUCCESS) {
        rv = find_admin(&proof, op);
    }
    if (rv == APR_SUCCESS) {
        rv = proof_run(op, &proof);
    }
    if (rv == APR_SUCCESS) {
        hb_lockout_pardon(op, hb_user_id(proof.user));
    }
    return rv;
}

apr_status_t hb_account_verify(hb_json_t **reply, hb_op_t *op, const char *code)
{
    const char *me = op->actor.user_id;
    proof_t proof = { NULL };
    apr_status_t rv;

    rv = proof_load(&proof, op, HB_CODE_VERIFY, code);
    if (rv == APR_SUCCESS && me != NULL && strcmp(me, hb_user_id(proof.user)) == 0) {
        rv = find_admin(&proof, op);
    }
    if (rv == APR_SUCCESS) {
        rv = proof_run(op, &proof);
    }
    if (rv == APR_SUCCESS) {
        *reply = hb_json_object_make(op->pool);
        hb_json_set_string(*reply, "email", hb_json_string(proof.after, "email"));
        hb_json_set_time(*reply, "verifiedAt",
                         hb_time_from_msec(hb_json_int(proof.after, "emailVerifiedAt", 0)));
    }
    return rv;
}
