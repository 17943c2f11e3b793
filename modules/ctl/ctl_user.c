/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts by the operator's hand. The rules are hb_account.c's and hb_user.c's; what is here is
 * reading the command line and printing.
 */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "hb_account.h"
#include "hb_role.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_user.h"

/* "moderator,finance", or "none". @return NULL, or a sentence */
static const char *roles_read(hb_roles_t *roles, const char *text, apr_pool_t *pool)
{
    char *rest = apr_pstrdup(pool, text), *last, *name;
    int i;

    *roles = 0;
    if (strcmp(text, "none") == 0) {
        return NULL;
    }
    for (name = apr_strtok(rest, ", ", &last); name != NULL;
         name = apr_strtok(NULL, ", ", &last)) {
        hb_roles_t bit = hb_role_bit(name);

        if (bit == 0) {
            const char *known = "";

            for (i = 0; hb_role_name(i) != NULL; i++) {
                known = apr_pstrcat(pool, known, " ", hb_role_name(i), NULL);
            }
            return apr_psprintf(pool, "there is no role \"%s\"; there are:%s", name, known);
        }
        *roles |= bit & ~HB_ROLE_USER;
    }
    return NULL;
}

static const char *roles_of(const hb_json_t *user, apr_pool_t *pool)
{
    const hb_json_t *roles = hb_json_get(user, "roles");
    const char *text = "";
    int i;

    for (i = 0; i < hb_json_length(roles); i++) {
        text = apr_pstrcat(pool, text, i > 0 ? "," : "",
                           hb_json_string_value(hb_json_item(roles, i)), NULL);
    }
    return text[0] != '\0' ? text : "-";
}

/* The account an argument names: an id, a username, an address. */
apr_status_t ctl_user_find(hb_json_t **user, hb_op_t *op, const char *name)
{
    apr_status_t rv = hb_id_is_valid(name) ? hb_user_load(user, op, name) : HB_E_USER_UNKNOWN;

    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(op);
        rv = hb_user_load_named(user, op, name);
    }
    return rv;
}

static int load(hb_json_t **user, hb_op_t **op, ctl_t *ctl, const char *name)
{
    int rc = ctl_site(op, ctl);
    apr_status_t rv;

    if (rc != CTL_OK) {
        return rc;
    }
    rv = ctl_user_find(user, *op, name);
    if (rv == HB_E_USER_UNKNOWN) {
        return ctl_fail(ctl, "there is no account \"%s\"", name);
    }
    return rv == APR_SUCCESS ? CTL_OK : ctl_fail_op(ctl, *op, rv);
}

/* What was done to an account, or as JSON the account as it is now. */
static int tell(ctl_t *ctl, hb_op_t *op, hb_json_t *user, const char *what)
{
    apr_status_t rv;

    if (!ctl->wants_json) {
        ctl_say(ctl, "%s%s", hb_json_string(user, "username"), what);
        return CTL_OK;
    }
    rv = hb_user_load(&user, op, hb_user_id(user));
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_json(ctl, hb_schema_view(op, HB_C_USERS, user, HB_ALL | HB_STAFF));
    return CTL_OK;
}

static void print(const ctl_t *ctl, const hb_json_t *user)
{
    ctl_say(ctl, "%s  %-20s %-30s %-9s %s", hb_json_string(user, "id"),
            hb_json_string(user, "username"),
            ctl_text(user, "email", "-"),
            hb_json_string(user, "status"), roles_of(user, ctl->pool));
}

int ctl_user_create(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *email = NULL, *username = NULL, *role = "none", *path = NULL;
    int is_verified = 0;
    const ctl_option_t options[] = {
        { "email", &email, NULL },
        { "username", &username, NULL },
        { "role", &role, NULL },
        { "verified", NULL, &is_verified },
        { "password-file", &path, NULL },
        { NULL, NULL, NULL }
    };
    const char *password, *why;
    hb_json_t *raw, *input, *user;
    hb_roles_t roles;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    if (email == NULL || username == NULL) {
        return ctl_misuse(ctl, "--email and --username are needed");
    }
    why = roles_read(&roles, role, ctl->pool);
    if (why != NULL) {
        return ctl_misuse(ctl, "%s", why);
    }
    rc = ctl_read_secret(&password, ctl, path, "password");     /* before root is given up */
    if (rc == CTL_OK) {
        rc = ctl_site(&op, ctl);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    raw = hb_json_object_make(ctl->pool);
    hb_json_set_string(raw, "email", email);
    hb_json_set_string(raw, "username", username);
    hb_json_set_string(raw, "password", password);
    rv = hb_schema_check(&input, op, HB_F_REGISTER, raw);
    if (rv == APR_SUCCESS) {
        rv = hb_account_create(&user, op, input, roles, is_verified);
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    user = hb_schema_view(op, HB_C_USERS, user, HB_ALL | HB_STAFF);
    if (ctl->wants_json) {
        ctl_json(ctl, user);
    }
    else {
        print(ctl, user);
    }
    return CTL_OK;
}

int ctl_user_role(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[3], *why;
    hb_json_t *user;
    hb_roles_t roles;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 2, 2);

    if (rc != CTL_OK) {
        return rc;
    }
    why = roles_read(&roles, args[1], ctl->pool);
    if (why != NULL) {
        return ctl_misuse(ctl, "%s", why);
    }
    rc = load(&user, &op, ctl, args[0]);
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_user_roles_set(op, hb_user_id(user), roles);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    return tell(ctl, op, user, apr_pstrcat(ctl->pool, ": ", roles != 0
                ? hb_roles_text(ctl->pool, roles) : "no role beyond user", NULL));
}

int ctl_user_list(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *after = NULL;
    int only_staff = 0;
    int limit = 100;
    const ctl_option_t options[] = {
        { "staff", NULL, &only_staff },
        { "limit", .limit = &limit },
        { "after", &after, NULL },
        { NULL, NULL, NULL }
    };
    hb_json_t *list;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_begin(&op, ctl, argc, argv, options, NULL, 0, 0);

    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_user_list(&list, op, only_staff, limit, after);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    ctl_list(ctl, list, print);
    return CTL_OK;
}

int ctl_user_show(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2];
    hb_json_t *user;
    hb_op_t *op;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 1, 1);

    if (rc == CTL_OK) {
        rc = load(&user, &op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    user = hb_schema_view(op, HB_C_USERS, user, HB_ALL | HB_STAFF);
    if (ctl->wants_json) {
        ctl_json(ctl, user);
    }
    else {
        ctl_say(ctl, "%s", hb_json_pretty(user, ctl->pool));
    }
    return CTL_OK;
}

static int set_disabled(ctl_t *ctl, int argc, const char *const *argv, int is_disabled)
{
    const char *args[2];
    hb_json_t *user;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, NULL, args, 1, 1);

    if (rc == CTL_OK) {
        rc = load(&user, &op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_user_disable(op, hb_user_id(user), is_disabled);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    return tell(ctl, op, user, is_disabled ? " is disabled" : " is enabled");
}

int ctl_user_disable(ctl_t *ctl, int argc, const char *const *argv)
{
    return set_disabled(ctl, argc, argv, 1);
}

int ctl_user_enable(ctl_t *ctl, int argc, const char *const *argv)
{
    return set_disabled(ctl, argc, argv, 0);
}

int ctl_user_password(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *path = NULL, *password, *args[2];
    const ctl_option_t options[] = {
        { "password-file", &path, NULL },
        { NULL, NULL, NULL }
    };
    hb_json_t *user;
    hb_op_t *op;
    apr_status_t rv;
    int rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK) {
        rc = ctl_read_secret(&password, ctl, path, "new password");
    }
    if (rc == CTL_OK) {
        rc = load(&user, &op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    rv = hb_account_password_set(op, hb_user_id(user), password);
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    return tell(ctl, op, user, " has a new password; all sessions ended");
}

int ctl_user_totp(ctl_t *ctl, int argc, const char *const *argv)
{
    const char *args[2];
    int wants_removed = 0;
    const ctl_option_t options[] = {
        { "remove", NULL, &wants_removed },
        { NULL, NULL, NULL }
    };
    hb_json_t *user;
    hb_op_t *op;
    apr_status_t rv = APR_SUCCESS;
    int rc = ctl_options(ctl, argc, argv, options, args, 1, 1);

    if (rc == CTL_OK) {
        rc = load(&user, &op, ctl, args[0]);
    }
    if (rc != CTL_OK) {
        return rc;
    }
    if (wants_removed) {
        rv = hb_second_factor_drop(op, hb_user_id(user));
    }
    if (rv != APR_SUCCESS) {
        return ctl_fail_op(ctl, op, rv);
    }
    return tell(ctl, op, user, wants_removed ? " has no second factor any more"
                : hb_user_has_totp(user) ? " has a second factor" : " has no second factor");
}
