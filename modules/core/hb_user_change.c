/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of user records: profile, roles, disabled and deleted accounts. Each ends with
 * hb_user_changed(), and those that sessions have to heed hold them meanwhile.
 */
#include "hb_user.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_account.h"
#include "hb_audit.h"
#include "hb_chat.h"
#include "hb_direct.h"
#include "hb_ink.h"
#include "hb_notice.h"
#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_session.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_time.h"
#include "hb_username.h"
#include "hb_wordlist.h"

#define EDITS_MAX 24

/* Nobody alive was born before. */
#define BIRTH_FIRST "1900-01-01"

typedef struct edits_t {
    hb_edit_t at[EDITS_MAX];
    int n;
} edits_t;

static void add_edit(edits_t *edits, const char *field, hb_edit_e how, hb_value_t value)
{
    edits->at[edits->n++] = (hb_edit_t){ field, how, value };
}

static void add_string(edits_t *edits, const char *field, const char *value)
{
    add_edit(edits, field, HB_SET, (hb_value_t)HB_STR(value));
}

static void add_unset(edits_t *edits, const char *field)
{
    add_edit(edits, field, HB_UNSET, (hb_value_t)HB_NIL);
}

/* --- profile --- */

apr_status_t hb_user_check_birth(hb_op_t *op, const hb_json_t *input)
{
    const char *date = hb_json_string(input, "birthDate");
    char today[HB_TIME_BYTES];

    /* Both are YYYY-MM-DD, so text order is time order. */
    if (date != NULL && (strncmp(date, hb_time_write(today, op->now), 10) > 0
                         || strcmp(date, BIRTH_FIRST) < 0)) {
        return hb_fail_field(op, "birthDate", "range", "has to lie in the past, not before "
                             BIRTH_FIRST);
    }
    return APR_SUCCESS;
}

apr_status_t hb_user_check_name(hb_op_t *op, const hb_json_t *input)
{
    const char *name = hb_json_string(input, "displayName");

    return name != NULL ? hb_ink_check(op, "displayName", name, "a name", 0) : APR_SUCCESS;
}

static apr_status_t add_username(edits_t *edits, hb_op_t *op, const hb_json_t *input)
{
    const char *username = hb_json_string(input, "username");
    apr_status_t rv;

    if (username == NULL) {
        return APR_SUCCESS;
    }
    rv = hb_username_check(op, username);
    if (rv == APR_SUCCESS) {
        add_string(edits, "username", username);
        add_string(edits, "usernameKey", hb_username_key(op->pool, username));
        add_string(edits, "usernameSkeleton", hb_username_skeleton(op->pool, username));
    }
    return rv;
}

/* A declared date of birth decides what one may do, so it is declared once. */
static apr_status_t add_birth(edits_t *edits, hb_op_t *op, const hb_json_t *input,
                              const hb_json_t *user)
{
    const char *date = hb_json_string(input, "birthDate");
    const char *had = hb_json_string(user, "birthDate");

    if (date == NULL || (had != NULL && strcmp(had, date) == 0)) {
        return APR_SUCCESS;
    }
    if (had != NULL) {
        return hb_fail_field(op, "birthDate", "value",
                             "was declared before; ask support to correct it");
    }
    add_string(edits, "birthDate", date);
    return hb_user_check_birth(op, input);
}

static void add_profile(edits_t *edits, const hb_json_t *input)
{
    static const char *const fields[] = { "displayName", "bio", "avatarUrl", "country",
                                          "language", "zone", "phone", NULL };
    int i;

    for (i = 0; fields[i] != NULL; i++) {
        if (!hb_json_has(input, fields[i])) {
            continue;
        }
        if (hb_json_string(input, fields[i]) == NULL) {
            add_unset(edits, fields[i]);
        } else {
            add_string(edits, fields[i], hb_json_string(input, fields[i]));
        }
    }
}

apr_status_t hb_user_update(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    const hb_cond_t guards[] = { { "status", HB_IS, HB_STR("active") },
                                 { "birthDate", HB_IS, HB_NIL } };
    const char *id = op->actor.user_id;
    const char *index = "";
    edits_t edits = { .n = 0 };
    hb_json_t *user;
    apr_status_t rv;
    int n_guards = 1;

    rv = hb_user_load(&user, op, id);
    if (rv == APR_SUCCESS) {
        rv = add_birth(&edits, op, input, user);
        n_guards += edits.n;    /* still undeclared when it is written */
    }
    if (rv == APR_SUCCESS) {
        rv = add_username(&edits, op, input);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_user_check_name(op, input);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    add_profile(&edits, input);
    if (edits.n > 0) {
        add_edit(&edits, "updatedAt", HB_SET,
                 (hb_value_t)HB_INT(hb_time_to_msec(op->now)));
        rv = hb_store_change(&user, &index, op, HB_C_USERS, id, guards, n_guards, edits.at,
                             edits.n);
        hb_user_changed(op, id);
    }
    if (rv == HB_E_STORE_DUPLICATE) {
        hb_op_recover(op);
        return hb_fail(op, strcmp(index, "phone") == 0 ? HB_E_PHONE_TAKEN
                                                       : HB_E_USERNAME_TAKEN, NULL);
    }
    if (rv == APR_SUCCESS) {
        *view = hb_user_to_self_json(op, user);
    }
    return rv;
}

/* --- changes that sessions have to heed --- */

/* One transaction: the record, what its sessions become of it, and the trail. */
typedef struct change_t {
    const char *id;
    const hb_cond_t *guards;
    int n_guards;
    edits_t edits;
    const char *end_reason;     /* not NULL: sessions and streams end */
    int is_deletion;
    const char *action;
    hb_json_t *details;
    apr_int64_t n_ended;
} change_t;

static apr_status_t erase_traces(hb_op_t *op, const change_t *change)
{
    const hb_cond_t of_user[] = { { "userId", HB_IS, HB_STR(change->id) } };
    const hb_edit_t no_device[] = { { "device", HB_UNSET, HB_NIL },
                                    { "address", HB_UNSET, HB_NIL } };
    hb_query_t sessions = { HB_C_SESSIONS, of_user, 1 };
    hb_query_t codes = { HB_C_CODES, of_user, 1 };
    apr_status_t rv;

    rv = hb_social_drop_all(op, change->id);    /* those who followed since */
    if (rv == APR_SUCCESS) {
        rv = hb_chat_drop_all(op, change->id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_direct_drop_all(op, change->id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_wordlist_drop(op, change->id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_notice_drop_all(op, change->id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change_all(NULL, op, &sessions, no_device, 2);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_remove_all(NULL, op, &codes);
    }
    return rv;
}

static apr_status_t change_in_store(hb_op_t *op, void *baton)
{
    change_t *change = baton;
    apr_status_t rv = APR_SUCCESS;

    if (change->is_deletion) {
        rv = erase_traces(op, change);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, change->id, change->guards,
                             change->n_guards, change->edits.at, change->edits.n);
    }
    if (rv == APR_SUCCESS && change->end_reason != NULL) {
        rv = hb_session_end_rows(&change->n_ended, op, change->id, NULL,
                                 change->end_reason);
    }
    if (rv == APR_SUCCESS && change->end_reason != NULL) {
        rv = hb_stream_end_of_host(op, change->id, change->end_reason);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, NULL, change->action,
                          apr_pstrcat(op->pool, "user:", change->id, NULL), 1,
                          change->details);
    }
    return rv;
}

static apr_status_t change_run(hb_op_t *op, change_t *change)
{
    apr_status_t rv;

    hb_session_hold_all(op, change->id);
    rv = hb_store_transact(op, change_in_store, change);
    hb_session_release_all(op, change->id);
    hb_user_changed(op, change->id);
    if (rv == APR_SUCCESS) {
        hb_metric_add(op->site->metrics, HB_M_SESSIONS_ENDED, change->n_ended);
    }
    return rv;
}

apr_status_t hb_user_delete(hb_op_t *op, const char *password)
{
    static const char *const personal[] = {
        "email", "emailVerifiedAt", "phone", "passwordHash", "usernameKey",
        "usernameSkeleton", "displayName", "bio", "avatarUrl", "country", "language",
        "zone", "birthDate", "totp", "isStaff", NULL
    };
    const hb_cond_t guards[] = { { "status", HB_IS_NOT, HB_STR("deleted") } };
    change_t change = { op->actor.user_id, guards, 1 };
    apr_int64_t now = hb_time_to_msec(op->now);
    hb_json_t *user;
    apr_status_t rv;
    int i;

    rv = hb_user_load(&user, op, change.id);
    if (rv == APR_SUCCESS) {
        rv = hb_account_prove(op, user, password);
    }
    if (rv == APR_SUCCESS) {
        /* Most of it in small transactions; the last one only has to catch up. */
        rv = hb_social_drop_all(op, change.id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_chat_drop_all(op, change.id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_direct_drop_all(op, change.id);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_notice_drop_all(op, change.id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    for (i = 0; personal[i] != NULL; i++) {
        add_unset(&change.edits, personal[i]);
    }
    add_string(&change.edits, "status", "deleted");
    add_string(&change.edits, "username",
               apr_pstrcat(op->pool, "deleted_", change.id + HB_ID_LENGTH - 8, NULL));
    add_edit(&change.edits, "roles", HB_SET,
             (hb_value_t)HB_DOC(hb_json_array_make(op->pool)));
    add_edit(&change.edits, "deletedAt", HB_SET, (hb_value_t)HB_INT(now));
    add_edit(&change.edits, "updatedAt", HB_SET, (hb_value_t)HB_INT(now));
    change.end_reason = "deleted";
    change.is_deletion = 1;
    change.action = "user.delete";
    rv = change_run(op, &change);
    if (rv == HB_E_STORE_GUARD) {
        hb_op_recover(op);
        return APR_SUCCESS;     /* a twin was faster */
    }
    return rv;
}

apr_status_t hb_user_roles_set(hb_op_t *op, const char *id, hb_roles_t roles)
{
    const hb_cond_t guards[] = { { "status", HB_IS_NOT, HB_STR("deleted") } };
    change_t change = { id, guards, 1 };
    hb_json_t *user;
    apr_status_t rv;

    rv = hb_user_load(&user, op, id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    add_edit(&change.edits, "roles", HB_SET,
             (hb_value_t)HB_DOC(hb_user_role_names(op, roles)));
    if (roles & HB_ROLES_STAFF) {
        add_edit(&change.edits, "isStaff", HB_SET, (hb_value_t)HB_BOOL(1));
    } else {
        add_unset(&change.edits, "isStaff");    /* its index holds staff only */
    }
    change.action = "user.roles";
    change.details = hb_json_object_make(op->pool);
    hb_json_set_string(change.details, "roles", hb_roles_text(op->pool, roles));
    return change_run(op, &change);
}

apr_status_t hb_user_disable(hb_op_t *op, const char *id, int is_disabled)
{
    const hb_cond_t guards[] = { { "status", HB_IS_NOT, HB_STR("deleted") } };
    change_t change = { id, guards, 1 };
    hb_json_t *user;
    apr_status_t rv;

    rv = hb_user_load(&user, op, id);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    add_string(&change.edits, "status", is_disabled ? "disabled" : "active");
    change.end_reason = is_disabled ? "disabled" : NULL;
    change.action = is_disabled ? "user.disable" : "user.enable";
    return change_run(op, &change);
}
