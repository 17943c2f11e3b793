/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_account.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_limit.h"
#include "hb_lockout.h"
#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_session.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_totp.h"
#include "hb_user.h"

#define NEW_PASSWORD "Pokhara-27?"

static hb_test_site_t *ts;

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
}

static apr_status_t registration(hb_op_t **op, const char *email, const char *username,
                                 const char *more_key, const char *more)
{
    hb_json_t *reply;

    *op = hb_test_site_op(ts);
    return hb_account_register(&reply, *op, hb_test_input("email", email, "username", username,
                                                          "password", HB_TEST_PASSWORD,
                                                          more_key, more, NULL));
}

START_TEST(a_registration_signs_in)
{
    hb_json_t *reply;
    hb_op_t *op;

    open_site();
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_account_register(&reply, op, hb_test_input(
        "email", "maya@example.com", "username", "Maya", "password", HB_TEST_PASSWORD,
        "country", "NP", "birthDate", "2000-02-29", NULL)), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_SIGNED_IN, reply, hb_test_pool));
    ck_assert_str_eq(hb_json_string_value(hb_json_at(reply, "user.username")), "Maya");
    ck_assert_str_eq(hb_json_string_value(hb_json_at(reply, "user.displayName")), "Maya");
    ck_assert_str_eq(hb_json_string(reply, "tokenType"), "Bearer");
    ck_assert_ptr_null(strstr(hb_json_text(reply, hb_test_pool, NULL), "$2"));
    ck_assert_int_eq(hb_test_check(ts, hb_json_string(reply, "accessToken")), APR_SUCCESS);
    ck_assert_int_eq(hb_test_mails(ts, "maya@example.com"), 1);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_REGISTRATIONS), 1);
}
END_TEST

START_TEST(names_addresses_and_phones_are_unique)
{
    static const struct { const char *label, *email, *name, *phone; apr_status_t rv; } rows[] = {
        { "same name", "b@example.com", "maya", "+9779800000002", HB_E_USERNAME_TAKEN },
        { "other case", "b@example.com", "MAYA", "+9779800000002", HB_E_USERNAME_TAKEN },
        { "look-alike", "b@example.com", "rn.aya", "+9779800000002", HB_E_USERNAME_TAKEN },
        { "reserved", "b@example.com", "Admin", "+9779800000002", HB_E_USERNAME_TAKEN },
        { "same address", "maya@example.com", "noor", "+9779800000002", HB_E_EMAIL_TAKEN },
        { "name before address", "maya@example.com", "maya", "+9779800000002",
          HB_E_USERNAME_TAKEN },
        { "same phone", "b@example.com", "noor", "+9779800000001", HB_E_PHONE_TAKEN },
        { "all free", "b@example.com", "noor", "+9779800000002", APR_SUCCESS },
    };
    apr_size_t i;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(registration(&op, "maya@example.com", "maya", "phone", "+9779800000001"),
                     APR_SUCCESS);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_status_t rv = registration(&op, rows[i].email, rows[i].name, "phone",
                                       rows[i].phone);

        ck_assert_msg(rv == rows[i].rv, "%s: %s", rows[i].label, hb_error_row(rv)->code);
        ck_assert_int_eq(op->problem.status, rv);
    }
    /* The owner hears of the one attempt on the address, not of each. */
    ck_assert_int_eq(hb_test_mails(ts, "maya@example.com"), 2);
    registration(&op, "maya@example.com", "other", NULL, NULL);
    ck_assert_int_eq(hb_test_mails(ts, "maya@example.com"), 2);
}
END_TEST

START_TEST(bad_registrations_name_their_field)
{
    hb_json_t *reply;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(registration(&op, "a@example.com", "maya", "birthDate", "2026-07-02"),
                     HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "birthDate");
    ck_assert_int_eq(registration(&op, "a@example.com", "_maya", NULL, NULL),
                     HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "username");
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_account_register(&reply, op, hb_test_input(
        "email", "a@example.com", "username", "longenough", "password", "LongEnough", NULL)),
        HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "password");
}
END_TEST

START_TEST(sign_in_takes_address_or_name)
{
    static const struct { const char *label, *key, *name; apr_status_t rv; } rows[] = {
        { "address", "email", "maya@example.com", APR_SUCCESS },
        { "address in capitals", "email", "Maya@Example.com", APR_SUCCESS },
        { "name as email", "email", "MAYA", APR_SUCCESS },
        { "name", "username", "maya", APR_SUCCESS },
        { "name with @", "username", "@maya", APR_SUCCESS },
        { "look-alike", "username", "rnaya", HB_E_AUTH_CREDENTIALS },
        { "nobody", "username", "nobody", HB_E_AUTH_CREDENTIALS },
        { "nobody's address", "email", "nobody@example.com", HB_E_AUTH_CREDENTIALS },
        { "only @", "email", "@", HB_E_AUTH_CREDENTIALS },
        { "neither", "device", "phone", HB_E_INPUT_INVALID },
    };
    apr_size_t i;

    open_site();
    hb_test_person(ts, "maya");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_op_t *op = hb_test_site_op(ts);
        hb_json_t *reply;
        apr_status_t rv = hb_account_login(&reply, op, hb_test_input(
            rows[i].key, rows[i].name, "password", HB_TEST_PASSWORD, NULL));

        ck_assert_msg(rv == rows[i].rv, "%s: %s", rows[i].label, hb_error_row(rv)->code);
    }
}
END_TEST

START_TEST(failures_lock_the_account)
{
    hb_test_person_t *maya;
    hb_json_t *reply;
    hb_op_t *op;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    for (i = 0; i < 9; i++) {
        ck_assert_int_eq(hb_test_login(maya, ts, "wrong-password", NULL),
                         HB_E_AUTH_CREDENTIALS);
    }
    /* A success starts anew. */
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    for (i = 0; i < 10; i++) {
        /* By name or by address, it is one account. */
        op = hb_test_site_op(ts);
        ck_assert_int_eq(hb_account_login(&reply, op, hb_test_input(
            i % 2 ? "username" : "email", i % 2 ? maya->name : maya->email,
            "password", "wrong-password", NULL)), HB_E_AUTH_CREDENTIALS);
    }
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_account_login(&reply, op, hb_test_input(
        "email", maya->email, "password", HB_TEST_PASSWORD, NULL)), HB_E_AUTH_LOCKED);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    ck_assert_int_le(op->problem.retry_after_sec, 900);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LOGIN_LOCKED), 1);
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_LOGIN_FAILURE), 19);
    /* Others are not concerned. */
    ck_assert_int_eq(hb_test_login(hb_test_person(ts, "noor"), ts, HB_TEST_PASSWORD, NULL),
                     APR_SUCCESS);
}
END_TEST

START_TEST(a_lock_tells_nothing_about_who_exists)
{
    hb_test_person_t *maya;
    hb_test_person_t nobody = { .email = "nobody@example.com" };
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    for (i = 0; i < 12; i++) {
        ck_assert_int_eq(hb_test_login(maya, ts, "wrong-password", NULL),
                         hb_test_login(&nobody, ts, "wrong-password", NULL));
    }
}
END_TEST

/* Who cannot be counted is let try: strangers who fill the table must not lock everybody out. */
START_TEST(without_room_nobody_is_locked_and_the_operator_is_told)
{
    const hb_limit_rule_t rule = { "crowd", 100, apr_time_from_sec(600) };
    hb_limit_verdict_t verdict;
    hb_test_person_t *maya;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_limit_open(&ts->site->limit, NULL, 8192, hb_test_pool), APR_SUCCESS);
    for (i = 0; i < 2000; i++) {
        hb_limit_take(&verdict, ts->site->limit, &rule, &i, sizeof(i), hb_limit_now());
    }
    for (i = 0; i < 12; i++) {
        ck_assert_int_eq(hb_test_login(maya, ts, "wrong-password", NULL), HB_E_AUTH_CREDENTIALS);
    }
    ck_assert(hb_test_site_logged(ts, "HB00530"));
    hb_test_site_forget_log(ts);
    ck_assert_int_eq(hb_test_login(maya, ts, "wrong-password", NULL), HB_E_AUTH_CREDENTIALS);
    ck_assert(!hb_test_site_logged(ts, "HB00530"));
}
END_TEST

START_TEST(failures_lock_the_address)
{
    hb_json_t *reply;
    apr_status_t rv = APR_SUCCESS;
    hb_op_t *op;
    int i;

    open_site();
    hb_test_person(ts, "maya");
    for (i = 0; i < 51; i++) {
        op = hb_test_site_op(ts);
        op->address = "192.0.2.7";
        rv = hb_account_login(&reply, op, hb_test_input(
            "username", apr_psprintf(hb_test_pool, "guess%d", i), "password", "some-password",
            NULL));
        ck_assert_int_eq(rv, i < 50 ? HB_E_AUTH_CREDENTIALS : HB_E_AUTH_LOCKED);
    }
    op = hb_test_site_op(ts);
    op->address = "192.0.2.8";
    ck_assert_int_eq(hb_account_login(&reply, op, hb_test_input(
        "username", "maya", "password", HB_TEST_PASSWORD, NULL)), APR_SUCCESS);
}
END_TEST

START_TEST(good_sign_ins_do_not_lock_an_address)
{
    hb_json_t *reply;
    int i;

    open_site();
    hb_test_person(ts, "maya");
    for (i = 0; i < 60; i++) {
        hb_op_t *op = hb_test_site_op(ts);

        op->address = "192.0.2.7";
        ck_assert_int_eq(hb_account_login(&reply, op, hb_test_input(
            "username", "maya", "password", HB_TEST_PASSWORD, NULL)), APR_SUCCESS);
    }
}
END_TEST

START_TEST(an_outdated_hash_is_renewed)
{
    hb_test_person_t *maya;
    hb_json_t *user;
    const char *before;

    open_site();
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), maya->id), APR_SUCCESS);
    before = hb_json_string(user, "passwordHash");
    ((hb_settings_t *)ts->site->settings)->password_cost = 5;
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), maya->id), APR_SUCCESS);
    ck_assert_str_ne(hb_json_string(user, "passwordHash"), before);
    ck_assert_int_eq(strncmp(hb_json_string(user, "passwordHash"), "$2y$05$", 7), 0);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
}
END_TEST

START_TEST(a_new_password_ends_other_sessions)
{
    hb_test_person_t *maya, other;

    open_site();
    maya = hb_test_person(ts, "maya");
    other = *maya;
    ck_assert_int_eq(hb_test_login(&other, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_account_password_change(hb_test_op_of(ts, maya), "wrong", NEW_PASSWORD),
                     HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(hb_account_password_change(hb_test_op_of(ts, maya), NULL, NEW_PASSWORD),
                     HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(hb_account_password_change(hb_test_op_of(ts, maya), HB_TEST_PASSWORD,
                                                "maya@example.com"), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_test_check(ts, other.access), APR_SUCCESS);
    ck_assert_int_eq(hb_account_password_change(hb_test_op_of(ts, maya), HB_TEST_PASSWORD,
                                                NEW_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, other.access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_login(&other, ts, HB_TEST_PASSWORD, NULL), HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(hb_test_login(&other, ts, NEW_PASSWORD, NULL), APR_SUCCESS);
}
END_TEST

START_TEST(the_operator_sets_passwords)
{
    hb_test_person_t *maya;
    hb_op_t *operator;

    open_site();
    maya = hb_test_person(ts, "maya");
    operator = hb_test_site_op(ts);
    operator->actor.is_system = 1;
    ck_assert_int_eq(hb_account_password_set(operator, maya->id, "maya@example.com"),
                     HB_E_INPUT_INVALID);
    ck_assert_str_eq(operator->problem.fields[0].field, "password");
    hb_op_recover(operator);
    ck_assert_int_eq(hb_account_password_set(operator, maya->id, NEW_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_login(maya, ts, NEW_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_account_password_set(operator, "65a1b2c3d4e5f60718293a4b", NEW_PASSWORD),
                     HB_E_USER_UNKNOWN);
}
END_TEST

START_TEST(a_forgotten_password_is_reset_once)
{
    hb_test_person_t *maya;
    const char *code, *first;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_account_forgot(hb_test_site_op(ts), "nobody@example.com"), APR_SUCCESS);
    ck_assert_int_eq(hb_test_mails(ts, "nobody@example.com"), 0);
    ck_assert_int_eq(hb_account_forgot(hb_test_site_op(ts), maya->email), APR_SUCCESS);
    first = hb_test_mailed_code(ts, maya->email);
    ck_assert_int_eq(hb_account_forgot(hb_test_site_op(ts), maya->email), APR_SUCCESS);
    code = hb_test_mailed_code(ts, maya->email);
    ck_assert_str_ne(first, code);
    for (i = 0; i < 10; i++) {
        hb_test_login(maya, ts, "wrong-password", NULL);
    }
    /* The older code was replaced; a code is for its purpose only. */
    ck_assert_int_eq(hb_account_reset(hb_test_site_op(ts), first, NEW_PASSWORD),
                     HB_E_CODE_INVALID);
    {
        hb_json_t *reply;

        ck_assert_int_eq(hb_account_verify(&reply, hb_test_site_op(ts), code),
                         HB_E_CODE_INVALID);
    }
    ck_assert_int_eq(hb_account_reset(hb_test_site_op(ts), code, "short"), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_account_reset(hb_test_site_op(ts), code, NEW_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_account_reset(hb_test_site_op(ts), code, NEW_PASSWORD),
                     HB_E_CODE_INVALID);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    /* It also opens the lock, and proves the address. */
    ck_assert_int_eq(hb_test_login(maya, ts, NEW_PASSWORD, NULL), APR_SUCCESS);
    {
        hb_json_t *user;

        ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), maya->id), APR_SUCCESS);
        ck_assert_int_ne(hb_json_int(user, "emailVerifiedAt", 0), 0);
    }
}
END_TEST

START_TEST(codes_expire_and_forgive_typing)
{
    hb_test_person_t *maya;
    hb_json_t *reply;
    const char *code;
    char *typed;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    code = hb_test_mailed_code(ts, maya->email);
    ts->now += apr_time_from_sec(86400);
    ck_assert_int_eq(hb_account_verify(&reply, hb_test_site_op(ts), code), HB_E_CODE_INVALID);
    ck_assert_int_eq(hb_account_resend(hb_test_site_op(ts), maya->email), APR_SUCCESS);
    typed = apr_pstrdup(hb_test_pool, hb_test_mailed_code(ts, maya->email));
    for (i = 0; typed[i] != '\0'; i++) {
        typed[i] = typed[i] == '-' ? ' ' : typed[i] == '0' ? 'o' : typed[i] == '1' ? 'l'
            : typed[i] >= 'A' ? (char)(typed[i] + 32) : typed[i];
    }
    ck_assert_int_eq(hb_account_verify(&reply, hb_test_site_op(ts), typed), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_VERIFIED, reply, hb_test_pool));
    ck_assert_int_eq(hb_account_verify(&reply, hb_test_site_op(ts), typed), HB_E_CODE_INVALID);
    /* A verified address gets no more codes. */
    i = hb_test_mails(ts, maya->email);
    ck_assert_int_eq(hb_account_resend(hb_test_site_op(ts), maya->email), APR_SUCCESS);
    ck_assert_int_eq(hb_test_mails(ts, maya->email), i);
}
END_TEST

static hb_roles_t roles_of(const hb_test_person_t *person)
{
    hb_json_t *user;

    ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), person->id), APR_SUCCESS);
    return hb_user_roles(user);
}

/* A new password by the code of a mail. */
static void reset(hb_test_person_t *person)
{
    ts->now += apr_time_from_sec(3600);
    ck_assert_int_eq(hb_account_forgot(hb_test_site_op(ts), person->email), APR_SUCCESS);
    ck_assert_int_eq(hb_account_reset(hb_test_site_op(ts), hb_test_mailed_code(ts, person->email),
                                      NEW_PASSWORD), APR_SUCCESS);
}

START_TEST(the_first_superadmin_proves_address_and_account)
{
    hb_test_person_t *boss, *other;
    hb_json_t *reply;

    ts = hb_test_site_make_with("HaloBuzzAdminEmail x@example.com,boss@example.com\n",
                                hb_test_pool);
    hb_test_site_open(ts);
    boss = hb_test_person(ts, "boss");
    ck_assert_uint_eq(roles_of(boss) & HB_ROLE_SUPERADMIN, 0);
    /* The code alone (somebody else may have registered the address) does not do it. */
    ck_assert_int_eq(hb_account_verify(&reply, hb_test_site_op(ts),
                                       hb_test_mailed_code(ts, boss->email)), APR_SUCCESS);
    ck_assert_uint_eq(roles_of(boss) & HB_ROLE_SUPERADMIN, 0);
    reset(boss);
    ck_assert_uint_ne(roles_of(boss) & HB_ROLE_SUPERADMIN, 0);
    ck_assert(hb_test_site_logged(ts, "HB00406"));
    /* All others get the role from the first, and lose it for good. */
    other = hb_test_person(ts, "x");
    ck_assert_int_eq(hb_account_verify(&reply, hb_test_op_of(ts, other),
                                       hb_test_mailed_code(ts, other->email)), APR_SUCCESS);
    ck_assert_uint_eq(roles_of(other) & HB_ROLES_STAFF, 0);
    ck_assert_int_eq(hb_user_roles_set(hb_test_site_op(ts), other->id, HB_ROLE_SUPERADMIN), 0);
    ck_assert_int_eq(hb_user_roles_set(hb_test_site_op(ts), boss->id, HB_ROLE_FINANCE), 0);
    reset(boss);
    ck_assert_uint_eq(roles_of(boss) & HB_ROLES_STAFF, HB_ROLE_FINANCE);
    /* When nobody is left who could give it, the configuration does. */
    ck_assert_int_eq(hb_user_disable(hb_test_site_op(ts), other->id, 1), 0);
    reset(boss);
    ck_assert_uint_ne(roles_of(boss) & HB_ROLE_SUPERADMIN, 0);
}
END_TEST

/* Set a second factor up; gives its secret. */
static const char *set_up_totp(hb_test_person_t *person, hb_json_t **recovery)
{
    hb_json_t *reply;
    const char *secret;

    ck_assert_int_eq(hb_second_factor_start(&reply, hb_test_op_of(ts, person), NULL),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_TOTP_SECRET, reply, hb_test_pool));
    secret = apr_pstrdup(hb_test_pool, hb_json_string(reply, "secret"));
    ck_assert_int_eq(hb_second_factor_confirm(recovery, hb_test_op_of(ts, person), "000000"),
                     HB_E_TOTP_INVALID);
    ck_assert_int_eq(hb_second_factor_confirm(recovery, hb_test_op_of(ts, person),
                                              hb_totp_code(hb_test_pool, secret, ts->now)),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_RECOVERY, *recovery, hb_test_pool));
    *recovery = hb_json_copy(hb_json_get(*recovery, "recoveryCodes"), hb_test_pool);
    return secret;
}

START_TEST(a_second_factor_is_asked_for)
{
    hb_test_person_t *maya;
    hb_json_t *recovery, *user;
    const char *secret, *code;

    open_site();
    maya = hb_test_person(ts, "maya");
    secret = set_up_totp(maya, &recovery);
    ck_assert_int_eq(hb_test_op_of(ts, maya)->actor.has_totp, 1);
    ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), maya->id), APR_SUCCESS);
    ck_assert_ptr_null(strstr(hb_json_text(user, hb_test_pool, NULL), secret));
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), HB_E_TOTP_REQUIRED);
    ck_assert_int_eq(hb_test_login(maya, ts, "wrong-password", "000000"),
                     HB_E_AUTH_CREDENTIALS);
    /* The code that confirmed it was used by that. */
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD,
                                   hb_totp_code(hb_test_pool, secret, ts->now)),
                     HB_E_TOTP_INVALID);
    ts->now += apr_time_from_sec(60);
    code = hb_totp_code(hb_test_pool, secret, ts->now);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, code), APR_SUCCESS);
    ck_assert_int_eq(hb_test_op_of(ts, maya)->actor.has_totp, 1);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, code), HB_E_TOTP_INVALID);
}
END_TEST

START_TEST(recovery_codes_work_once)
{
    hb_test_person_t *maya;
    hb_json_t *recovery;
    const char *code;

    open_site();
    maya = hb_test_person(ts, "maya");
    set_up_totp(maya, &recovery);
    code = hb_json_string_value(hb_json_item(recovery, 3));
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, code), APR_SUCCESS);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, code), HB_E_TOTP_INVALID);
    code = hb_json_string_value(hb_json_item(recovery, 4));
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, code), APR_SUCCESS);
}
END_TEST

START_TEST(wrong_factors_lock_the_account)
{
    hb_test_person_t *maya;
    hb_json_t *recovery, *user;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    set_up_totp(maya, &recovery);
    ck_assert_int_eq(hb_user_load(&user, hb_test_site_op(ts), maya->id), APR_SUCCESS);
    for (i = 0; i < 10; i++) {
        ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, "wrong-recovery"),
                         HB_E_TOTP_INVALID);
        /* Giving the password alone is no way to clear the count, in a session neither. */
        ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL),
                         i < 9 ? HB_E_TOTP_REQUIRED : HB_E_AUTH_LOCKED);
        ck_assert_int_eq(hb_account_prove(hb_test_op_of(ts, maya), user, HB_TEST_PASSWORD),
                         i < 9 ? APR_SUCCESS : HB_E_AUTH_LOCKED);
    }
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD,
                                   hb_json_string_value(hb_json_item(recovery, 0))),
                     HB_E_AUTH_LOCKED);
}
END_TEST

START_TEST(a_second_factor_can_be_dropped)
{
    hb_test_person_t *maya;
    hb_json_t *recovery, *reply;
    const char *code;
    int i;

    open_site();
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_second_factor_remove(hb_test_op_of(ts, maya), HB_TEST_PASSWORD, NULL),
                     HB_E_TOTP_STATE);
    ck_assert_int_eq(hb_second_factor_confirm(&reply, hb_test_op_of(ts, maya), "123456"),
                     HB_E_TOTP_STATE);
    set_up_totp(maya, &recovery);
    ck_assert_int_eq(hb_second_factor_start(&reply, hb_test_op_of(ts, maya), NULL),
                     HB_E_TOTP_STATE);
    ck_assert_int_eq(hb_second_factor_remove(hb_test_op_of(ts, maya), HB_TEST_PASSWORD, NULL),
                     HB_E_INPUT_INVALID);
    code = hb_json_string_value(hb_json_item(recovery, 0));
    ck_assert_int_eq(hb_second_factor_remove(hb_test_op_of(ts, maya), "wrong", code),
                     HB_E_AUTH_CREDENTIALS);
    /* Codes are counted although the password is right each time. */
    for (i = 0; i < 11; i++) {
        ck_assert_int_eq(hb_second_factor_remove(hb_test_op_of(ts, maya), HB_TEST_PASSWORD,
                                                 "000000"),
                         i < 10 ? HB_E_TOTP_INVALID : HB_E_AUTH_LOCKED);
    }
    hb_lockout_pardon(hb_test_site_op(ts),
                      apr_pstrcat(hb_test_pool, "totp:", maya->id, NULL));
    ck_assert_int_eq(hb_second_factor_remove(hb_test_op_of(ts, maya), HB_TEST_PASSWORD, code),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_test_op_of(ts, maya)->actor.has_totp, 0);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
}
END_TEST

START_TEST(a_lost_second_factor_is_dropped_by_the_operator)
{
    hb_test_person_t *maya;
    hb_json_t *recovery;

    open_site();
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_second_factor_drop(hb_test_site_op(ts), maya->id), HB_E_TOTP_STATE);
    set_up_totp(maya, &recovery);
    ck_assert_int_eq(hb_test_op_of(ts, maya)->actor.has_totp, 1);
    ck_assert_int_eq(hb_second_factor_drop(hb_test_site_op(ts), maya->id), APR_SUCCESS);
    ck_assert_int_eq(hb_test_op_of(ts, maya)->actor.has_totp, 0);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    set_up_totp(maya, &recovery);
}
END_TEST

START_TEST(an_old_session_gives_the_password_for_a_factor)
{
    hb_test_person_t *maya;
    hb_json_t *reply;
    hb_op_t *op;

    open_site();
    maya = hb_test_person(ts, "maya");
    ts->now += apr_time_from_sec(601);
    op = hb_test_op_of(ts, maya);
    ck_assert_int_eq(hb_second_factor_start(&reply, op, NULL), HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "password");
    ck_assert_int_eq(hb_second_factor_start(&reply, hb_test_op_of(ts, maya), "wrong"),
                     HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(hb_second_factor_start(&reply, hb_test_op_of(ts, maya), HB_TEST_PASSWORD),
                     APR_SUCCESS);
}
END_TEST

START_TEST(the_operator_makes_accounts)
{
    hb_op_t *op;
    hb_json_t *user;

    open_site();
    op = hb_test_site_op(ts);
    op->actor.is_system = 1;
    ck_assert_int_eq(hb_account_create(&user, op, hb_test_input(
        "email", "admin@example.com", "username", "admin", "password", HB_TEST_PASSWORD, NULL),
        HB_ROLE_ADMIN | HB_ROLE_FINANCE, 1), APR_SUCCESS);
    ck_assert_uint_eq(hb_user_roles(user), HB_ROLE_USER | HB_ROLE_ADMIN | HB_ROLE_FINANCE
                      | HB_ROLE_MODERATOR | HB_ROLE_SUPPORT);
    ck_assert_int_ne(hb_json_int(user, "emailVerifiedAt", 0), 0);
    ck_assert_int_eq(hb_test_mails(ts, "admin@example.com"), 0);
    ck_assert_int_eq(hb_user_list(&user, op, 1, 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(user, "items")), 1);
}
END_TEST

int main(void)
{
    const TTest *cases[] = {
        a_registration_signs_in, names_addresses_and_phones_are_unique,
        bad_registrations_name_their_field, sign_in_takes_address_or_name,
        failures_lock_the_account, without_room_nobody_is_locked_and_the_operator_is_told,
        a_lock_tells_nothing_about_who_exists,
        failures_lock_the_address, good_sign_ins_do_not_lock_an_address,
        an_outdated_hash_is_renewed, a_new_password_ends_other_sessions,
        the_operator_sets_passwords,
        a_forgotten_password_is_reset_once, codes_expire_and_forgive_typing,
        the_first_superadmin_proves_address_and_account, a_second_factor_is_asked_for,
        recovery_codes_work_once, wrong_factors_lock_the_account,
        a_second_factor_can_be_dropped, a_lost_second_factor_is_dropped_by_the_operator,
        an_old_session_gives_the_password_for_a_factor,
        the_operator_makes_accounts, NULL
    };

    return hb_test_main("hb_account", cases);
}
