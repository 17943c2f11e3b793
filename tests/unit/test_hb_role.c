/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_role.h"

#include "hb_test.h"
#include "hb_test_op.h"

START_TEST(names_and_bits_belong_together)
{
    hb_roles_t seen = 0;
    int i;

    for (i = 0; hb_role_name(i) != NULL; i++) {
        ck_assert_uint_ne(hb_role_bit(hb_role_name(i)), 0);
        seen |= hb_role_bit(hb_role_name(i));
    }
    ck_assert_int_eq(i, 7);
    ck_assert_uint_eq(seen, 0x7f);
    ck_assert_ptr_null(hb_role_name(-1));
    ck_assert_uint_eq(hb_role_bit("root"), 0);
    ck_assert_uint_eq(hb_role_bit("Admin"), 0);
    ck_assert_str_eq(hb_roles_text(hb_test_pool, HB_ROLE_ADMIN | HB_ROLE_USER), "user admin");
    ck_assert_str_eq(hb_roles_text(hb_test_pool, 0), "");
}
END_TEST

START_TEST(roles_imply_others)
{
    ck_assert_uint_eq(hb_roles_expand(0), 0);
    ck_assert_uint_eq(hb_roles_expand(HB_ROLE_HOST), HB_ROLE_HOST | HB_ROLE_USER);
    ck_assert_uint_eq(hb_roles_expand(HB_ROLE_ADMIN), HB_ROLE_ADMIN | HB_ROLE_MODERATOR
                      | HB_ROLE_SUPPORT | HB_ROLE_USER);
    ck_assert_uint_eq(hb_roles_expand(HB_ROLE_FINANCE), HB_ROLE_FINANCE | HB_ROLE_USER);
    ck_assert_uint_eq(hb_roles_expand(HB_ROLE_SUPERADMIN), 0x7f);
}
END_TEST

/* Who asks, for which roles, and what they hear. */
static const struct {
    const char *label;
    int signed_in, is_system, has_totp, staff_totp;
    hb_roles_t roles, any_of;
    apr_status_t answer;
} asks[] = {
    { "a stranger", 0, 0, 0, 1, 0, HB_ROLE_USER, HB_E_AUTH_REQUIRED },
    { "a job", 0, 1, 0, 1, 0, HB_ROLE_SUPERADMIN, APR_SUCCESS },
    { "a user as user", 1, 0, 0, 1, HB_ROLE_USER, HB_ROLE_USER, APR_SUCCESS },
    { "a user without any bit", 1, 0, 0, 1, 0, HB_ROLE_USER, APR_SUCCESS },
    { "a user as admin", 1, 0, 1, 1, HB_ROLE_USER, HB_ROLE_ADMIN, HB_E_ROLE_REQUIRED },
    { "an admin without totp", 1, 0, 0, 1, HB_ROLE_ADMIN, HB_ROLE_ADMIN, HB_E_TOTP_SETUP },
    { "an admin with totp", 1, 0, 1, 1, HB_ROLE_ADMIN, HB_ROLE_ADMIN, APR_SUCCESS },
    { "totp not asked for", 1, 0, 0, 0, HB_ROLE_ADMIN, HB_ROLE_ADMIN, APR_SUCCESS },
    { "an admin as moderator", 1, 0, 1, 1, HB_ROLE_ADMIN, HB_ROLE_MODERATOR, APR_SUCCESS },
    { "an admin as finance", 1, 0, 1, 1, HB_ROLE_ADMIN, HB_ROLE_FINANCE, HB_E_ROLE_REQUIRED },
    { "an admin as user without totp", 1, 0, 0, 1, HB_ROLE_ADMIN, HB_ROLE_USER, APR_SUCCESS },
    { "a superadmin as host without totp", 1, 0, 0, 1, HB_ROLE_SUPERADMIN, HB_ROLE_HOST,
      HB_E_TOTP_SETUP },
    { "a host as host or admin", 1, 0, 0, 1, HB_ROLE_HOST, HB_ROLE_HOST | HB_ROLE_ADMIN,
      APR_SUCCESS },
};

START_TEST(who_may)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    apr_size_t i;

    for (i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        hb_op_t *op = hb_test_op_make(desk, hb_test_pool);

        desk->settings.staff_totp = asks[i].staff_totp;
        op->actor.user_id = asks[i].signed_in ? "64b000000000000000000001" : NULL;
        op->actor.is_system = asks[i].is_system;
        op->actor.has_totp = asks[i].has_totp;
        op->actor.roles = asks[i].roles;
        ck_assert_msg(hb_role_need(op, asks[i].any_of) == asks[i].answer, "%s", asks[i].label);
        ck_assert_int_eq(op->problem.status, asks[i].answer);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        names_and_bits_belong_together, roles_imply_others, who_may, NULL
    };
    return hb_test_main("hb_role", cases);
}
