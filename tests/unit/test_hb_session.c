/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_session.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_cache.h"
#include "hb_metrics.h"
#include "hb_role.h"
#include "hb_store.h"
#include "hb_test.h"
#include "hb_test_people.h"
#include "hb_user.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya;

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
}

static apr_status_t refresh(hb_session_grant_t *grant, const char *token)
{
    return hb_session_refresh(grant, hb_test_site_op(ts), token);
}

START_TEST(a_token_says_who_is_calling)
{
    hb_op_t *op;

    open_site();
    op = hb_test_op_of(ts, maya);
    ck_assert_str_eq(op->actor.session_id, maya->session_id);
    ck_assert_uint_eq(op->actor.roles, HB_ROLE_USER);
    ck_assert_int_eq(op->actor.has_totp, 0);
    ck_assert_int_eq(op->actor.authenticated_at, ts->now);
    /* The same from the cache, and from the store again when the cache was lost. */
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_cache_flush(hb_test_site_op(ts), "session"), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, "nonsense"), HB_E_TOKEN_INVALID);
}
END_TEST

START_TEST(refreshing_rotates)
{
    hb_session_grant_t first, second;

    open_site();
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(refresh(&first, maya->refresh), APR_SUCCESS);
    ck_assert_str_ne(first.refresh_token, maya->refresh);
    ck_assert_str_eq(first.session_id, maya->session_id);
    ck_assert_int_eq(first.expires_in_sec, 86400);
    ck_assert_int_eq(hb_test_check(ts, first.access_token), APR_SUCCESS);
    ts->now += apr_time_from_sec(60);
    ck_assert_int_eq(refresh(&second, first.refresh_token), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, second.access_token), APR_SUCCESS);
}
END_TEST

START_TEST(asking_twice_gives_the_same_successor)
{
    hb_session_grant_t first, again;

    open_site();
    ck_assert_int_eq(refresh(&first, maya->refresh), APR_SUCCESS);
    ts->now += apr_time_from_sec(10);
    ck_assert_int_eq(refresh(&again, maya->refresh), APR_SUCCESS);
    ck_assert_str_eq(again.refresh_token, first.refresh_token);
    ck_assert_int_eq(refresh(&again, first.refresh_token), APR_SUCCESS);
}
END_TEST

START_TEST(a_used_token_ends_the_session)
{
    hb_session_grant_t first, second;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(refresh(&first, maya->refresh), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, first.access_token), APR_SUCCESS);
    ts->now += apr_time_from_sec(11);
    op = hb_test_site_op(ts);
    ck_assert_int_eq(hb_session_refresh(&second, op, maya->refresh), HB_E_TOKEN_REUSED);
    ck_assert_int_eq(op->problem.status, HB_E_TOKEN_REUSED);
    ck_assert(!op->actor.is_system);
    ck_assert(hb_test_site_logged(ts, "HB00402"));
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_REFRESH_REUSE), 1);
    /* For both holders, at once, although the cache had said that it lives. */
    ck_assert_int_eq(hb_test_check(ts, first.access_token), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(refresh(&second, first.refresh_token), HB_E_TOKEN_REVOKED);
}
END_TEST

START_TEST(a_token_two_back_is_reuse_within_the_grace)
{
    hb_session_grant_t first, second, third;

    open_site();
    ck_assert_int_eq(refresh(&first, maya->refresh), APR_SUCCESS);
    ck_assert_int_eq(refresh(&second, first.refresh_token), APR_SUCCESS);
    ck_assert_int_eq(refresh(&third, maya->refresh), HB_E_TOKEN_REUSED);
}
END_TEST

START_TEST(invented_tokens_end_nothing)
{
    static const char *const wrong[] = {
        "", ".", "x", "65a1b2c3d4e5f60718293a4b", "65a1b2c3d4e5f60718293a4b.0.x.y",
        "65a1b2c3d4e5f60718293a4b..", "........................................",
    };
    hb_session_grant_t grant;
    const char *forged;
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_eq(refresh(&grant, wrong[i]), HB_E_TOKEN_INVALID);
    }
    /* Another generation, another end: our mac does not fit any more. */
    forged = apr_pstrcat(hb_test_pool, maya->session_id, ".1",
                         maya->refresh + HB_ID_LENGTH + 2, NULL);
    ck_assert_int_eq(refresh(&grant, forged), HB_E_TOKEN_INVALID);
    forged = apr_pstrcat(hb_test_pool, maya->refresh, "0", NULL);
    ck_assert_int_eq(refresh(&grant, forged), HB_E_TOKEN_INVALID);
    ck_assert_int_eq(refresh(&grant, maya->access), HB_E_TOKEN_INVALID);
    ck_assert_int_eq(refresh(&grant, maya->refresh), APR_SUCCESS);
}
END_TEST

START_TEST(a_refresh_token_is_no_access_token)
{
    open_site();
    ck_assert_int_eq(hb_test_check(ts, maya->refresh), HB_E_TOKEN_INVALID);
}
END_TEST

START_TEST(unused_sessions_end)
{
    hb_session_grant_t grant;

    open_site();
    ts->now += apr_time_from_sec(29 * 86400);
    ck_assert_int_eq(refresh(&grant, maya->refresh), APR_SUCCESS);
    ts->now += apr_time_from_sec(30 * 86400);
    ck_assert_int_eq(refresh(&grant, grant.refresh_token), HB_E_TOKEN_EXPIRED);
}
END_TEST

START_TEST(used_sessions_end_at_last)
{
    hb_session_grant_t grant = { .refresh_token = NULL };
    apr_time_t last = 0;
    apr_status_t rv;
    int i;

    open_site();
    last = ts->now + apr_time_from_sec(180 * 86400);
    grant.refresh_token = maya->refresh;
    for (i = 0; i < 8; i++) {
        ts->now += apr_time_from_sec(25 * 86400);
        rv = refresh(&grant, grant.refresh_token);
        if (rv != APR_SUCCESS) {
            break;
        }
        /* No access token outlives its session. */
        ck_assert(ts->now + apr_time_from_sec(grant.expires_in_sec) <= last);
    }
    ck_assert_int_eq(rv, HB_E_TOKEN_EXPIRED);
    ck_assert(ts->now >= last);
}
END_TEST

START_TEST(an_ended_session_is_refused_at_once)
{
    hb_test_person_t other;
    hb_json_t *list;

    open_site();
    other = *maya;
    ck_assert_int_eq(hb_test_login(&other, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_session_list(&list, hb_test_op_of(ts, &other), 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 2);
    ck_assert_int_eq(hb_session_end(hb_test_op_of(ts, &other), maya->session_id, "logout"),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_check(ts, other.access), APR_SUCCESS);
    /* Once more is harmless. */
    ck_assert_int_eq(hb_session_end(hb_test_op_of(ts, &other), maya->session_id, "logout"),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_session_list(&list, hb_test_op_of(ts, &other), 20, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_json_length(hb_json_get(list, "items")), 1);
    ck_assert(hb_json_bool(hb_json_item(hb_json_get(list, "items"), 0), "current", 0));
    ck_assert_int_eq(hb_metric_value(ts->site->metrics, HB_M_SESSIONS_ENDED), 1);
}
END_TEST

START_TEST(sessions_of_others_are_unknown)
{
    hb_test_person_t *noor;

    open_site();
    noor = hb_test_person(ts, "noor");
    ck_assert_int_eq(hb_session_end(hb_test_op_of(ts, noor), maya->session_id, "logout"),
                     HB_E_SESSION_UNKNOWN);
    ck_assert_int_eq(hb_session_end(hb_test_op_of(ts, noor), "65a1b2c3d4e5f60718293a4b", "x"),
                     HB_E_SESSION_UNKNOWN);
    ck_assert_int_eq(hb_session_end(hb_test_op_of(ts, noor), "../x", "x"),
                     HB_E_SESSION_UNKNOWN);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
}
END_TEST

START_TEST(all_sessions_end_but_one)
{
    hb_test_person_t other;
    apr_int64_t n;

    open_site();
    other = *maya;
    ck_assert_int_eq(hb_test_login(&other, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
    ck_assert_int_eq(hb_session_end_all(&n, hb_test_op_of(ts, &other), maya->id,
                                        other.session_id, "logout_all"), APR_SUCCESS);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_check(ts, other.access), APR_SUCCESS);
    ck_assert_int_eq(hb_session_end_all(&n, hb_test_op_of(ts, &other), maya->id, NULL,
                                        "logout_all"), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, other.access), HB_E_TOKEN_REVOKED);
}
END_TEST

START_TEST(a_held_session_is_asked_of_the_store)
{
    const hb_edit_t edits[] = { { "endedAt", HB_SET, HB_INT(1) } };
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    op = hb_test_op_of(ts, maya);
    /* What a process does that dies before it can release. */
    hb_session_hold_all(op, maya->id);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_store_change(NULL, NULL, op, HB_C_SESSIONS, maya->session_id, NULL, 0,
                                     edits, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
}
END_TEST

/* As halobuzzctl does it: the row changes, and nobody tells our cache. */
START_TEST(what_others_changed_is_asked_anew)
{
    const hb_edit_t ended[] = { { "endedAt", HB_SET, HB_INT(1) } };
    const hb_edit_t living[] = { { "endedAt", HB_UNSET, HB_NIL } };

    open_site();
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_SESSIONS,
                                     maya->session_id, NULL, 0, ended, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
    hb_session_forget(hb_test_site_op(ts), maya->session_id);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    /* A change that is under way keeps its hold. */
    hb_session_hold(hb_test_site_op(ts), maya->session_id);
    hb_session_forget_all(hb_test_site_op(ts), maya->id);
    ck_assert_int_eq(hb_store_change(NULL, NULL, hb_test_site_op(ts), HB_C_SESSIONS,
                                     maya->session_id, NULL, 0, living, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), APR_SUCCESS);
}
END_TEST

START_TEST(roles_and_state_work_in_living_sessions)
{
    hb_op_t *operator;

    open_site();
    operator = hb_test_site_op(ts);
    operator->actor.is_system = 1;
    ck_assert_int_eq(hb_role_need(hb_test_op_of(ts, maya), HB_ROLE_MODERATOR),
                     HB_E_ROLE_REQUIRED);
    ck_assert_int_eq(hb_user_roles_set(operator, maya->id, HB_ROLE_MODERATOR), APR_SUCCESS);
    /* A staff role acts only after a second factor. */
    ck_assert_int_eq(hb_role_need(hb_test_op_of(ts, maya), HB_ROLE_MODERATOR), HB_E_TOTP_SETUP);
    ck_assert_int_eq(hb_role_need(hb_test_op_of(ts, maya), HB_ROLE_USER), APR_SUCCESS);
    ck_assert_int_eq(hb_user_roles_set(operator, maya->id, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_role_need(hb_test_op_of(ts, maya), HB_ROLE_MODERATOR),
                     HB_E_ROLE_REQUIRED);
    ck_assert_int_eq(hb_user_disable(operator, maya->id, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), HB_E_ACCOUNT_DISABLED);
    ck_assert_int_eq(hb_user_disable(operator, maya->id, 0), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), APR_SUCCESS);
}
END_TEST

START_TEST(rows_tell_no_token)
{
    hb_session_grant_t grant;
    hb_json_t *row;
    const char *text;

    open_site();
    ck_assert_int_eq(refresh(&grant, maya->refresh), APR_SUCCESS);
    ck_assert_int_eq(hb_store_get(&row, hb_test_site_op(ts), HB_C_SESSIONS, maya->session_id),
                     APR_SUCCESS);
    text = hb_json_text(row, hb_test_pool, NULL);
    ck_assert_ptr_null(strstr(text, grant.refresh_token));
    ck_assert_ptr_null(strstr(text, grant.refresh_token + HB_ID_LENGTH + 3));
    ck_assert_ptr_null(strstr(text, maya->refresh + HB_ID_LENGTH + 3));
}
END_TEST

int main(void)
{
    const TTest *cases[] = {
        a_token_says_who_is_calling, refreshing_rotates, asking_twice_gives_the_same_successor,
        a_used_token_ends_the_session, a_token_two_back_is_reuse_within_the_grace,
        invented_tokens_end_nothing, a_refresh_token_is_no_access_token, unused_sessions_end,
        used_sessions_end_at_last, an_ended_session_is_refused_at_once,
        sessions_of_others_are_unknown, all_sessions_end_but_one,
        a_held_session_is_asked_of_the_store, what_others_changed_is_asked_anew,
        roles_and_state_work_in_living_sessions,
        rows_tell_no_token, NULL
    };

    return hb_test_main("hb_session", cases);
}
