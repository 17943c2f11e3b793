/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_role.h
 * Roles of requirements U-14. Every account is a user; the others are granted.
 * None of it waits.
 */
#ifndef HB_ROLE_H
#define HB_ROLE_H

#include "hb_op.h"

#define HB_ROLE_USER       0x01u
#define HB_ROLE_HOST       0x02u
#define HB_ROLE_MODERATOR  0x04u
#define HB_ROLE_SUPPORT    0x08u
#define HB_ROLE_FINANCE    0x10u
#define HB_ROLE_ADMIN      0x20u
#define HB_ROLE_SUPERADMIN 0x40u

/** Roles that may act only with a second factor (HaloBuzzAuthStaffTOTP). */
#define HB_ROLES_STAFF (HB_ROLE_MODERATOR | HB_ROLE_SUPPORT | HB_ROLE_FINANCE \
                        | HB_ROLE_ADMIN | HB_ROLE_SUPERADMIN)

/** The bit of a name, 0 when unknown. */
hb_roles_t hb_role_bit(const char *name);
/** Names of the bits in order; NULL behind the last. i counts from 0. */
const char *hb_role_name(int i);
/** With everything each role implies: superadmin all, admin moderator and support, all user. */
hb_roles_t hb_roles_expand(hb_roles_t roles);
/** Blank-separated names, for tokens and logs. */
const char *hb_roles_text(apr_pool_t *pool, hb_roles_t roles);

/**
 * May the actor act in one of these roles? APR_SUCCESS, HB_E_AUTH_REQUIRED,
 * HB_E_ROLE_REQUIRED, HB_E_TOTP_SETUP (staff without second factor in this session).
 */
apr_status_t hb_role_need(hb_op_t *op, hb_roles_t any_of);

#endif /* HB_ROLE_H */
