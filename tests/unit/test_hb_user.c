/* SPDX-License-Identifier: Apache-2.0 */
/* User records, follows and blocks: what one does to the other is the point of most cases. */
#include "hb_user.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_account.h"
#include "hb_session.h"
#include "hb_social.h"
#include "hb_store.h"
#include "hb_stream.h"
#include "hb_test.h"
#include "hb_test_people.h"

static hb_test_site_t *ts;
static hb_test_person_t *maya, *noor, *ravi;

static void open_site(void)
{
    ts = hb_test_site_make(hb_test_pool);
    hb_test_site_open(ts);
    maya = hb_test_person(ts, "maya");
    noor = hb_test_person(ts, "noor");
    ravi = hb_test_person(ts, "ravi");
}

static hb_op_t *as(const hb_test_person_t *person)
{
    return hb_test_op_of(ts, person);
}

static hb_json_t *self_of(const hb_test_person_t *person)
{
    const char *text;
    apr_size_t len;

    ck_assert_int_eq(hb_user_me_text(&text, &len, as(person)), APR_SUCCESS);
    ck_assert_uint_eq(strlen(text), len);
    return hb_json_parse_own(text, len, hb_test_pool);
}

/* Names in a list, in order. */
static const char *names(const hb_json_t *list)
{
    const hb_json_t *items = hb_json_get(list, "items");
    const char *text = "";
    int i;

    for (i = 0; i < hb_json_length(items); i++) {
        text = apr_pstrcat(hb_test_pool, text, i > 0 ? " " : "",
                           hb_json_string(hb_json_item(items, i), "username"), NULL);
    }
    return text;
}

static const char *search(const hb_test_person_t *person, const char *q)
{
    hb_json_t *list;

    ck_assert_int_eq(hb_user_search(&list, as(person), q, 20, NULL), APR_SUCCESS);
    return names(list);
}

static void follow(const hb_test_person_t *who, const hb_test_person_t *whom)
{
    hb_json_t *relation;

    ck_assert_int_eq(hb_follow_set(&relation, as(who), whom->id), APR_SUCCESS);
    ck_assert_ptr_null(hb_schema_misfit(HB_R_RELATION, relation, hb_test_pool));
    ck_assert(hb_json_bool(relation, "following", 0));
}

/* Counters on the record against the rows. */
static void counters_are_exact(const hb_test_person_t *person, int followers, int following)
{
    const hb_cond_t of[] = { { "followedId", HB_IS, HB_STR(person->id) } };
    const hb_cond_t by[] = { { "followerId", HB_IS, HB_STR(person->id) } };
    hb_query_t query = { HB_C_FOLLOWS, of, 1 };
    hb_json_t *me = self_of(person);
    apr_int64_t n;

    ck_assert_int_eq(hb_json_int(me, "followers", -1), followers);
    ck_assert_int_eq(hb_json_int(me, "following", -1), following);
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    ck_assert_int_eq(n, followers);
    query.where = by;
    ck_assert_int_eq(hb_store_count(&n, hb_test_site_op(ts), &query), APR_SUCCESS);
    ck_assert_int_eq(n, following);
}

START_TEST(the_own_view_shows_every_change_at_once)
{
    hb_json_t *view, *me;

    open_site();
    me = self_of(maya);
    ck_assert_str_eq(hb_json_string(me, "email"), "maya@example.com");
    ck_assert_str_eq(hb_json_string(me, "displayName"), "maya");
    ck_assert(!hb_json_has(me, "passwordHash"));
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input(
        "displayName", "Maya K.", "bio", "hi", "zone", "Asia/Kathmandu", NULL)), APR_SUCCESS);
    me = self_of(maya);
    ck_assert(hb_json_equal(me, view));
    ck_assert_str_eq(hb_json_string(me, "displayName"), "Maya K.");
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("bio", NULL, NULL)),
                     APR_SUCCESS);
    ck_assert_ptr_null(hb_json_string(self_of(maya), "bio"));
    /* Nothing to change is fine. */
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_json_object_make(hb_test_pool)),
                     APR_SUCCESS);
}
END_TEST

START_TEST(a_shown_name_shows_something)
{
    static const char *const refused[] = {
        " ", "\xe2\x80\x8b\xe2\x80\x8d", "Ma\nya", "Ma\xe2\x80\xa8ya", "Ma\xe2\x80\xaeya", NULL
    };
    hb_json_t *view;
    int i;

    open_site();
    for (i = 0; refused[i] != NULL; i++) {
        hb_op_t *op = as(maya);

        ck_assert_int_eq(hb_user_update(&view, op, hb_test_input("displayName", refused[i], NULL)),
                         HB_E_INPUT_INVALID);
        ck_assert_str_eq(op->problem.fields[0].field, "displayName");
    }
    /* Joiners belong to Nepali and to emoji. */
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("displayName",
        "\xe0\xa4\xae\xe0\xa4\xbe\xe0\xa4\xaf\xe0\xa4\xbe \xe2\x80\x8d", NULL)),
        APR_SUCCESS);
}
END_TEST

START_TEST(a_new_name_keeps_the_rules)
{
    hb_json_t *view;

    open_site();
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "NOOR", NULL)),
                     HB_E_USERNAME_TAKEN);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "n0.or", NULL)),
                     HB_E_USERNAME_TAKEN);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "admin", NULL)),
                     HB_E_USERNAME_TAKEN);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "a..b", NULL)),
                     HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "Ma.ya", NULL)),
                     APR_SUCCESS);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "@ma.YA"), APR_SUCCESS);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "@maya"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input("username", "priya", NULL)),
                     APR_SUCCESS);
    /* The old one is free now. */
    ck_assert_int_eq(hb_user_update(&view, as(noor), hb_test_input("username", "maya", NULL)),
                     APR_SUCCESS);
}
END_TEST

START_TEST(a_date_of_birth_is_declared_once)
{
    hb_json_t *view;
    hb_op_t *op;

    open_site();
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input(
        "birthDate", "2099-01-01", NULL)), HB_E_INPUT_INVALID);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input(
        "birthDate", "2010-01-01", NULL)), APR_SUCCESS);
    ck_assert_int_eq(hb_user_update(&view, as(maya), hb_test_input(
        "birthDate", "2010-01-01", "bio", "same again", NULL)), APR_SUCCESS);
    op = as(maya);
    ck_assert_int_eq(hb_user_update(&view, op, hb_test_input("birthDate", "2000-01-01", NULL)),
                     HB_E_INPUT_INVALID);
    ck_assert_str_eq(op->problem.fields[0].field, "birthDate");
}
END_TEST

START_TEST(what_others_see)
{
    hb_json_t *view;

    open_site();
    ck_assert_int_eq(hb_user_show(&view, as(noor), maya->id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(view, "username"), "maya");
    ck_assert(!hb_json_has(view, "email") && !hb_json_has(view, "coins")
              && !hb_json_has(view, "roles") && !hb_json_has(view, "usernameSkeleton"));
    ck_assert_int_eq(hb_user_show(&view, as(noor), "@nobody"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "maya"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "65a1b2c3d4e5f60718293a4b"),
                     HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "@"), HB_E_USER_UNKNOWN);
}
END_TEST

START_TEST(search_goes_by_the_start_of_the_name)
{
    hb_json_t *list;
    hb_op_t *op;
    const char *next;

    open_site();
    hb_test_person(ts, "maybe");
    hb_test_person(ts, "Mayor");
    ck_assert_str_eq(search(noor, "may"), "maya maybe Mayor");
    ck_assert_str_eq(search(noor, "@MAYO"), "Mayor");
    ck_assert_str_eq(search(noor, "ayo"), "");
    ck_assert_str_eq(search(noor, "%"), "");
    ck_assert_int_eq(hb_user_search(&list, as(noor), "may", 2, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "maya maybe");
    next = hb_json_string(list, "next");
    ck_assert_ptr_nonnull(next);
    ck_assert_int_eq(hb_user_search(&list, as(noor), "may", 2, next), APR_SUCCESS);
    ck_assert_str_eq(names(list), "Mayor");
    ck_assert_ptr_null(hb_json_string(list, "next"));
    op = as(noor);
    ck_assert_int_eq(hb_user_search(&list, op, "@", 20, NULL), HB_E_INPUT_INVALID);
}
END_TEST

START_TEST(following_counts_once)
{
    hb_json_t *relation, *list;

    open_site();
    follow(maya, noor);
    follow(maya, noor);
    ts->now += apr_time_from_sec(1);
    follow(ravi, noor);
    counters_are_exact(noor, 2, 0);
    counters_are_exact(maya, 0, 1);
    ck_assert_int_eq(hb_followers_list(&list, as(maya), noor->id, 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "ravi maya");
    ck_assert_int_eq(hb_followers_list(&list, as(maya), "@noor", 1, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "ravi");
    ck_assert_int_eq(hb_followers_list(&list, as(maya), noor->id, 1,
                                       hb_json_string(list, "next")), APR_SUCCESS);
    ck_assert_str_eq(names(list), "maya");
    ck_assert_int_eq(hb_following_list(&list, as(maya), maya->id, 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "noor");
    ck_assert_int_eq(hb_follow_show(&relation, as(noor), maya->id), APR_SUCCESS);
    ck_assert(!hb_json_bool(relation, "following", 1)
              && hb_json_bool(relation, "followedBy", 0));
    ck_assert_int_eq(hb_follow_clear(&relation, as(maya), noor->id), APR_SUCCESS);
    ck_assert_int_eq(hb_follow_clear(&relation, as(maya), noor->id), APR_SUCCESS);
    ck_assert_int_eq(hb_json_int(relation, "followers", -1), 1);
    counters_are_exact(noor, 1, 0);
    counters_are_exact(maya, 0, 0);
    ck_assert_int_eq(hb_block_set(as(noor), maya->id), APR_SUCCESS);
    ck_assert_int_eq(hb_follow_clear(&relation, as(maya), noor->id), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_follow_clear(&relation, as(noor), maya->id), APR_SUCCESS);
}
END_TEST

START_TEST(whom_one_cannot_follow)
{
    static const struct { const char *label, *id; apr_status_t rv; } rows[] = {
        { "nobody", "65a1b2c3d4e5f60718293a4b", HB_E_USER_UNKNOWN },
        { "no id", "@noor", HB_E_USER_UNKNOWN },
        { "empty", "", HB_E_USER_UNKNOWN },
    };
    hb_json_t *relation;
    apr_size_t i;

    open_site();
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(hb_follow_set(&relation, as(maya), rows[i].id) == rows[i].rv, "%s",
                      rows[i].label);
        ck_assert_int_eq(hb_block_set(as(maya), rows[i].id), rows[i].rv);
    }
    ck_assert_int_eq(hb_follow_set(&relation, as(maya), maya->id), HB_E_USER_SELF);
    ck_assert_int_eq(hb_block_set(as(maya), maya->id), HB_E_USER_SELF);
    counters_are_exact(maya, 0, 0);
}
END_TEST

static void note_block(void *baton, const char *user_id, int is_mine)
{
    const hb_test_person_t *const people[] = { maya, noor, ravi };
    const char **text = baton;
    int i;

    for (i = 0; i < 3; i++) {
        if (strcmp(people[i]->id, user_id) == 0) {
            *text = apr_pstrcat(hb_test_pool, *text, is_mine ? "" : "by ", people[i]->name, " ",
                                NULL);
        }
    }
}

/* "noor by ravi ": whom somebody blocks, and by whom they are blocked. */
static const char *blocks_of(const hb_test_person_t *person)
{
    const char *text = "";

    ck_assert_int_eq(hb_block_each(as(person), 100, note_block, &text), APR_SUCCESS);
    return text;
}

START_TEST(a_block_works_both_ways)
{
    hb_json_t *view, *list;

    open_site();
    follow(maya, noor);
    follow(noor, maya);
    follow(ravi, maya);
    follow(ravi, noor);
    ck_assert_int_eq(hb_block_set(as(maya), noor->id), APR_SUCCESS);
    ck_assert_int_eq(hb_block_set(as(maya), noor->id), APR_SUCCESS);
    counters_are_exact(maya, 1, 0);
    counters_are_exact(noor, 1, 0);
    /* Who blocks is told so; to the other it is as if there was nobody. */
    ck_assert_int_eq(hb_user_show(&view, as(maya), noor->id), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_user_show(&view, as(noor), "@maya"), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_follow_set(&view, as(maya), noor->id), HB_E_USER_BLOCKED);
    ck_assert_int_eq(hb_follow_set(&view, as(noor), maya->id), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_follow_show(&view, as(noor), maya->id), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_followers_list(&list, as(noor), maya->id, 20, NULL),
                     HB_E_USER_UNKNOWN);
    ck_assert_str_eq(search(maya, "noor"), "");
    ck_assert_str_eq(search(noor, "maya"), "");
    ck_assert_str_eq(search(ravi, "maya"), "maya");
    ck_assert_int_eq(hb_following_list(&list, as(noor), ravi->id, 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "noor");
    ck_assert_int_eq(hb_block_list(&list, as(maya), 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "noor");
    ck_assert_int_eq(hb_block_list(&list, as(noor), 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "");
    ck_assert_int_eq(hb_block_set(as(ravi), noor->id), APR_SUCCESS);
    ck_assert_str_eq(blocks_of(maya), "noor ");
    ck_assert_str_eq(blocks_of(noor), "by maya by ravi ");
    ck_assert_int_eq(hb_block_clear(as(ravi), noor->id), APR_SUCCESS);
    ck_assert_str_eq(blocks_of(ravi), "");
    /* Lifting it brings no follow back. */
    ck_assert_int_eq(hb_block_clear(as(maya), noor->id), APR_SUCCESS);
    ck_assert_int_eq(hb_block_clear(as(maya), noor->id), APR_SUCCESS);
    ck_assert_int_eq(hb_user_show(&view, as(noor), maya->id), APR_SUCCESS);
    counters_are_exact(maya, 1, 0);
    follow(noor, maya);
}
END_TEST

START_TEST(a_deleted_account_is_gone)
{
    hb_json_t *view, *list, *user;
    hb_op_t *op;

    open_site();
    follow(maya, noor);
    follow(ravi, maya);
    ck_assert_int_eq(hb_block_set(as(maya), ravi->id), APR_SUCCESS);
    follow(noor, maya);
    op = as(maya);
    ck_assert_int_eq(hb_user_delete(op, "wrong"), HB_E_AUTH_CREDENTIALS);
    counters_are_exact(noor, 1, 1);
    ck_assert_int_eq(hb_user_delete(as(maya), HB_TEST_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_test_check(ts, maya->access), HB_E_TOKEN_REVOKED);
    ck_assert_int_eq(hb_test_login(maya, ts, HB_TEST_PASSWORD, NULL), HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(hb_user_show(&view, as(noor), maya->id), HB_E_USER_UNKNOWN);
    ck_assert_str_eq(search(noor, "ma"), "");
    ck_assert_str_eq(search(noor, "deleted"), "");
    counters_are_exact(noor, 0, 0);
    ck_assert_int_eq(hb_following_list(&list, as(noor), noor->id, 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "");
    /* The record stays, and tells nothing of the person. */
    ck_assert_int_eq(hb_store_get(&user, hb_test_site_op(ts), HB_C_USERS, maya->id),
                     APR_SUCCESS);
    ck_assert_ptr_null(strstr(hb_json_text(user, hb_test_pool, NULL), "maya"));
    ck_assert_ptr_null(strstr(hb_json_text(user, hb_test_pool, NULL), "$2"));
    /* Name and address are free. */
    maya = hb_test_person(ts, "maya");
    ck_assert_int_eq(hb_user_show(&view, as(ravi), "@maya"), APR_SUCCESS);
}
END_TEST

START_TEST(disabled_accounts_do_not_show)
{
    hb_json_t *view, *list;
    hb_op_t *operator;

    open_site();
    follow(maya, noor);
    operator = hb_test_site_op(ts);
    operator->actor.is_system = 1;
    ck_assert_int_eq(hb_user_disable(operator, maya->id, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_user_show(&view, as(noor), maya->id), HB_E_USER_UNKNOWN);
    ck_assert_int_eq(hb_follow_set(&view, as(noor), maya->id), HB_E_USER_UNKNOWN);
    ck_assert_str_eq(search(noor, "maya"), "");
    ck_assert_int_eq(hb_followers_list(&list, as(noor), noor->id, 20, NULL), APR_SUCCESS);
    ck_assert_str_eq(names(list), "");
    ck_assert_int_eq(hb_user_disable(operator, "65a1b2c3d4e5f60718293a4b", 1),
                     HB_E_USER_UNKNOWN);
}
END_TEST

START_TEST(who_may_not_act_does_not_stream)
{
    hb_json_t *stream;
    hb_op_t *operator;
    const char *id;

    open_site();
    ck_assert_int_eq(hb_stream_create(&stream, as(maya), hb_test_input("title", "Songs", NULL)),
                     APR_SUCCESS);
    id = hb_json_string(stream, "_id");
    ck_assert_int_eq(hb_stream_start(&stream, as(maya), id), APR_SUCCESS);
    operator = hb_test_site_op(ts);
    operator->actor.is_system = 1;
    ck_assert_int_eq(hb_user_disable(operator, maya->id, 1), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_get(&stream, as(noor), id), APR_SUCCESS);
    ck_assert_str_eq(hb_json_string(stream, "status"), "ended");
    ck_assert_str_eq(hb_json_string(stream, "endReason"), "disabled");

    ck_assert_int_eq(hb_stream_create(&stream, as(noor), hb_test_input("title", "Plan", NULL)),
                     APR_SUCCESS);
    id = hb_json_string(stream, "_id");
    ck_assert_int_eq(hb_user_delete(as(noor), HB_TEST_PASSWORD), APR_SUCCESS);
    ck_assert_int_eq(hb_stream_get(&stream, operator, id), HB_E_STREAM_UNKNOWN);
}
END_TEST

int main(void)
{
    const TTest *cases[] = {
        the_own_view_shows_every_change_at_once, a_shown_name_shows_something,
        a_new_name_keeps_the_rules,
        a_date_of_birth_is_declared_once, what_others_see,
        search_goes_by_the_start_of_the_name, following_counts_once, whom_one_cannot_follow,
        a_block_works_both_ways, a_deleted_account_is_gone, disabled_accounts_do_not_show,
        who_may_not_act_does_not_stream, NULL
    };

    return hb_test_main("hb_user", cases);
}
