/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles (U-14): names, what each implies, and the question whether an actor may act in one.
 */
#include "hb_role.h"

#include <string.h>

#include <apr_strings.h>

#define ROLES_ALL (HB_ROLE_USER | HB_ROLE_HOST | HB_ROLES_STAFF)

static const struct {
    const char *name;
    hb_roles_t bit;
    hb_roles_t implies;         /* all of it, already followed to the end */
} roles_table[] = {
    { "user",       HB_ROLE_USER,       HB_ROLE_USER },
    { "host",       HB_ROLE_HOST,       HB_ROLE_HOST | HB_ROLE_USER },
    { "moderator",  HB_ROLE_MODERATOR,  HB_ROLE_MODERATOR | HB_ROLE_USER },
    { "support",    HB_ROLE_SUPPORT,    HB_ROLE_SUPPORT | HB_ROLE_USER },
    { "finance",    HB_ROLE_FINANCE,    HB_ROLE_FINANCE | HB_ROLE_USER },
    { "admin",      HB_ROLE_ADMIN,      HB_ROLE_ADMIN | HB_ROLE_MODERATOR | HB_ROLE_SUPPORT
                                        | HB_ROLE_USER },
    { "superadmin", HB_ROLE_SUPERADMIN, ROLES_ALL },
};

#define N_ROLES ((int)(sizeof(roles_table) / sizeof(roles_table[0])))

hb_roles_t hb_role_bit(const char *name)
{
    int i;

    for (i = 0; i < N_ROLES; i++) {
        if (strcmp(roles_table[i].name, name) == 0) {
            return roles_table[i].bit;
        }
    }
    return 0;
}

const char *hb_role_name(int i)
{
    return i < 0 || i >= N_ROLES ? NULL : roles_table[i].name;
}

hb_roles_t hb_roles_expand(hb_roles_t roles)
{
    hb_roles_t all = 0;
    int i;

    for (i = 0; i < N_ROLES; i++) {
        if (roles & roles_table[i].bit) {
            all |= roles_table[i].implies;
        }
    }
    return all;
}

const char *hb_roles_text(apr_pool_t *pool, hb_roles_t roles)
{
    const char *text = "";
    int i;

    for (i = 0; i < N_ROLES; i++) {
        if (roles & roles_table[i].bit) {
            text = *text == '\0' ? roles_table[i].name
                : apr_pstrcat(pool, text, " ", roles_table[i].name, NULL);
        }
    }
    return text;
}

apr_status_t hb_role_need(hb_op_t *op, hb_roles_t any_of)
{
    const hb_actor_t *actor = &op->actor;
    hb_roles_t plain;

    if (actor->is_system) {
        return APR_SUCCESS;
    }
    if (actor->user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, NULL);
    }
    /* What staff may do without being staff needs no second factor. */
    plain = hb_roles_expand((actor->roles & ~HB_ROLES_STAFF) | HB_ROLE_USER);
    if (plain & any_of) {
        return APR_SUCCESS;
    }
    if ((hb_roles_expand(actor->roles) & any_of) == 0) {
        return hb_fail(op, HB_E_ROLE_REQUIRED, "one of these roles is needed: %s",
                       hb_roles_text(op->pool, any_of));
    }
    if (op->site->settings->staff_totp && !actor->has_totp) {
        return hb_fail(op, HB_E_TOTP_SETUP, NULL);
    }
    return APR_SUCCESS;
}
