/* SPDX-License-Identifier: Apache-2.0 */
/* One record at a time: insert, get, change with every kind of guard and edit, remove. */
#include "contract.h"

#include <string.h>

#include <apr_strings.h>

#define MISSING_ID "000000000000000000000000"

START_TEST(what_was_inserted_is_found_again)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc = contract_json(c->op, "{'username':'a','createdAt':5,'bio':'\\u00e9 \\\\ /',"
                                   "'coins':{'balance':9007199254740993}}");
    hb_json_t *back;
    const char *id;

    ASSERT_OK(hb_store_insert(NULL, c->op, HB_C_USERS, doc));
    id = hb_json_string(doc, "_id");
    ck_assert(hb_id_is_valid(id));
    ASSERT_OK(hb_store_get(&back, c->op, HB_C_USERS, id));
    ck_assert(hb_json_equal(doc, back));
    ck_assert_str_eq(hb_json_string(back, "_id"), id);
    ASSERT_RV(hb_store_get(&back, c->op, HB_C_SESSIONS, id), HB_E_STORE_MISSING);
    ck_assert_ptr_null(back);
    ASSERT_RV(hb_store_get(&back, c->op, HB_C_USERS, MISSING_ID), HB_E_STORE_MISSING);
    ck_assert_int_eq(c->op->problem.status, APR_SUCCESS);
}
END_TEST

START_TEST(an_id_of_ones_own_is_kept)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc = contract_json(c->op, "{'_id':'a1:b2','followerId':'x'}");
    hb_json_t *back;
    const char *index;

    ASSERT_OK(hb_store_insert(&index, c->op, HB_C_FOLLOWS, doc));
    ASSERT_OK(hb_store_get(&back, c->op, HB_C_FOLLOWS, "a1:b2"));
    ck_assert_str_eq(hb_json_string(back, "_id"), "a1:b2");
    ASSERT_RV(hb_store_insert(&index, c->op, HB_C_FOLLOWS, doc), HB_E_STORE_DUPLICATE);
    ck_assert_str_eq(index, "_id");
    ck_assert_str_eq(hb_json_string(doc, "_id"), "a1:b2");
}
END_TEST

START_TEST(ids_from_outside_that_are_none_are_missing)
{
    static const char *const ids[] = {
        "", " ", "a b", "\x01", "\xc3\xa9", "' OR 1=1 --", "\"", "../x", "%s", NULL
    };
    contract_t *c = contract_open(_i);
    hb_json_t *doc;
    char longest[4096];
    int i;

    contract_user(c->op, "anna");
    for (i = 0; ids[i] != NULL; i++) {
        ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, ids[i]), HB_E_STORE_MISSING);
        ASSERT_RV(hb_store_remove(c->op, HB_C_USERS, ids[i], NULL, 0), HB_E_STORE_MISSING);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, longest), HB_E_STORE_MISSING);
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, NULL), HB_E_STORE_MISSING);
}
END_TEST

START_TEST(a_duplicate_names_its_index)
{
    static const struct { const char *doc, *index; } rows[] = {
        { "{'email':'anna@example.com'}", "email" },
        { "{'usernameSkeleton':'anna'}", "username" },
        { "{'phone':'+4312345678'}", "phone" },
    };
    contract_t *c = contract_open(_i);
    hb_edit_t phone = { "phone", HB_SET, HB_STR("+4312345678") };
    const char *index, *anna = contract_user(c->op, "anna"), *ben;
    unsigned int i;

    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, anna, NULL, 0, &phone, 1));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ASSERT_RV(hb_store_insert(&index, c->op, HB_C_USERS, contract_json(c->op, rows[i].doc)),
                  HB_E_STORE_DUPLICATE);
        ck_assert_str_eq(index, rows[i].index);
        ck_assert_int_eq(c->op->problem.status, APR_SUCCESS);
    }
    /* Sparse: any number of records may lack the field. */
    ben = contract_insert(c->op, HB_C_USERS, "{'username':'ben'}");
    contract_insert(c->op, HB_C_USERS, "{'username':'carl','email':null}");
    contract_insert(c->op, HB_C_USERS, "{'username':'dora','email':null}");
    ASSERT_RV(hb_store_change(NULL, &index, c->op, HB_C_USERS, ben, NULL, 0, &phone, 1),
              HB_E_STORE_DUPLICATE);
    ck_assert_str_eq(index, "phone");
    ck_assert_str_eq(contract_text(c->op, HB_C_USERS, ben), "{\"username\":\"ben\"}");
    /* A value is free again once its record is gone. */
    ASSERT_OK(hb_store_remove(c->op, HB_C_USERS, anna, NULL, 0));
    contract_user(c->op, "anna");
    contract_is_whole(c->op);
}
END_TEST

/* Every kind of edit, and what the record is afterwards. */
static const struct {
    const char *label, *before;
    hb_edit_t edits[3];
    const char *after;          /* NULL: refused as overflow; "": as damaged */
} edit_rows[] = {
    { "set a string", "{'bio':'a'}", { { "bio", HB_SET, HB_STR("b\"\\/\x7f") } }, "{'bio':'b\\'\\\\/\x7f'}" },
    { "set a number", "{}", { { "ogLevel", HB_SET, HB_INT(-5) } }, "{'ogLevel':-5}" },
    { "set a bool", "{'isStaff':true}", { { "isStaff", HB_SET, HB_BOOL(0) } }, "{'isStaff':false}" },
    { "set null", "{'bio':'a'}", { { "bio", HB_SET, HB_NIL } }, "{'bio':null}" },
    { "set inside", "{}", { { "coins.balance", HB_SET, HB_INT(7) } }, "{'coins':{'balance':7}}" },
    { "set inside null", "{'coins':null}", { { "coins.balance", HB_SET, HB_INT(7) } },
      "{'coins':{'balance':7}}" },
    { "add", "{'followers':40}", { { "followers", HB_INC, HB_INT(2) } }, "{'followers':42}" },
    { "take away", "{'followers':40}", { { "followers", HB_INC, HB_INT(-50) } }, "{'followers':-10}" },
    { "add to nothing", "{}", { { "followers", HB_INC, HB_INT(2) } }, "{'followers':2}" },
    { "add to null", "{'followers':null}", { { "followers", HB_INC, HB_INT(2) } }, "{'followers':2}" },
    { "add inside", "{'coins':{'balance':1,'totalSpent':2}}", { { "coins.balance", HB_INC, HB_INT(1) } },
      "{'coins':{'balance':2,'totalSpent':2}}" },
    { "up to the last", "{'followers':9223372036854775806}", { { "followers", HB_INC, HB_INT(1) } },
      "{'followers':9223372036854775807}" },
    { "beyond the last", "{'followers':9223372036854775807}", { { "followers", HB_INC, HB_INT(1) } }, NULL },
    { "beyond the first", "{'followers':-9223372036854775807}", { { "followers", HB_INC, HB_INT(-2) } }, NULL },
    { "one of two overflows", "{'followers':1,'following':9223372036854775807}",
      { { "followers", HB_INC, HB_INT(1) }, { "following", HB_INC, HB_INT(1) } }, NULL },
    { "push", "{'roles':['host']}", { { "roles", HB_PUSH, HB_STR("admin") } }, "{'roles':['host','admin']}" },
    { "push to nothing", "{}", { { "roles", HB_PUSH, HB_STR("admin") } }, "{'roles':['admin']}" },
    { "push to null", "{'roles':null}", { { "roles", HB_PUSH, HB_INT(3) } }, "{'roles':[3]}" },
    { "pull every one", "{'roles':['a','b','a',1]}", { { "roles", HB_PULL, HB_STR("a") } }, "{'roles':['b',1]}" },
    { "pull a number", "{'roles':['1',1]}", { { "roles", HB_PULL, HB_INT(1) } }, "{'roles':['1']}" },
    { "pull what is not there", "{'roles':['b']}", { { "roles", HB_PULL, HB_STR("a") } }, "{'roles':['b']}" },
    { "pull from nothing", "{'bio':'x'}", { { "roles", HB_PULL, HB_STR("a") } }, "{'bio':'x'}" },
    { "unset", "{'bio':'x','zone':'UTC'}", { { "bio", HB_UNSET, HB_NIL } }, "{'zone':'UTC'}" },
    { "unset inside", "{'coins':{'balance':1,'totalSpent':2}}", { { "coins.balance", HB_UNSET, HB_NIL } },
      "{'coins':{'totalSpent':2}}" },
    { "unset all of it", "{'bio':'x','coins':{'balance':1}}", { { "coins", HB_UNSET, HB_NIL } }, "{'bio':'x'}" },
    { "unset nothing", "{'bio':'x'}", { { "totp.secret", HB_UNSET, HB_NIL } }, "{'bio':'x'}" },
    { "set what is absent", "{}", { { "bio", HB_SET_IF_ABSENT, HB_STR("y") } }, "{'bio':'y'}" },
    { "set what is null", "{'bio':null}", { { "bio", HB_SET_IF_ABSENT, HB_STR("y") } }, "{'bio':'y'}" },
    { "leave what is there", "{'bio':'x'}", { { "bio", HB_SET_IF_ABSENT, HB_STR("y") } }, "{'bio':'x'}" },
    { "leave an empty one", "{'bio':''}", { { "bio", HB_SET_IF_ABSENT, HB_STR("y") } }, "{'bio':''}" },
    { "edits follow each other", "{}", { { "followers", HB_SET, HB_INT(1) }, { "followers", HB_INC, HB_INT(1) },
      { "bio", HB_SET, HB_STR("z") } }, "{'followers':2,'bio':'z'}" },
    { "add to a string", "{'zone':'UTC','totp':{'lastStep':'x'}}", { { "totp.lastStep", HB_INC, HB_INT(1) } }, "" },
};

START_TEST(every_edit_does_what_it_says)
{
    contract_t *c = contract_open(_i);
    unsigned int i;

    for (i = 0; i < sizeof(edit_rows) / sizeof(edit_rows[0]); i++) {
        const char *id = contract_insert(c->op, HB_C_USERS, edit_rows[i].before);
        const char *before = contract_text(c->op, HB_C_USERS, id);
        apr_status_t wanted = edit_rows[i].after == NULL ? HB_E_INPUT_INVALID
            : *edit_rows[i].after == '\0' ? HB_E_STORE_DAMAGED : APR_SUCCESS;
        hb_op_t *op = contract_op(c);
        hb_json_t *after;
        apr_status_t rv;
        int n = 0;

        while (n < 3 && edit_rows[i].edits[n].field != NULL) {
            n++;
        }
        rv = hb_store_change(&after, NULL, op, HB_C_USERS, id, NULL, 0, edit_rows[i].edits, n);
        ck_assert_msg(rv == wanted, "%s: %d", edit_rows[i].label, rv);
        if (wanted == APR_SUCCESS) {
            hb_json_t *expected = contract_json(op, edit_rows[i].after);

            ck_assert_str_eq(hb_json_string(after, "_id"), id);
            hb_json_remove(after, "_id");
            ck_assert_msg(hb_json_equal(after, expected), "%s: %s", edit_rows[i].label,
                          hb_json_text(after, op->pool, NULL));
            ck_assert_str_eq(contract_text(op, HB_C_USERS, id),
                             hb_json_text(after, op->pool, NULL));
        }
        else {
            ck_assert_ptr_null(after);
            ck_assert_str_eq(contract_text(op, HB_C_USERS, id), before);
            ck_assert_int_eq(op->problem.n_fields, edit_rows[i].after == NULL ? 1 : 0);
        }
    }
    contract_is_whole(c->op);
}
END_TEST

START_TEST(json_is_written_as_it_is)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_insert(c->op, HB_C_STREAMS, "{'title':'t'}");
    hb_json_t *analytics = contract_json(c->op, "{'peak':3,'list':[1,2.5,null,true,{'a':'b'}]}");
    hb_edit_t edits[] = { { "analytics", HB_SET, HB_DOC(analytics) } };
    hb_json_t *after;

    ASSERT_OK(hb_store_change(&after, NULL, c->op, HB_C_STREAMS, id, NULL, 0, edits, 1));
    ck_assert(hb_json_equal(hb_json_get(after, "analytics"), analytics));
    hb_json_set_int(analytics, "peak", 4);      /* the record does not follow */
    ck_assert_int_eq(hb_json_int(hb_json_get(after, "analytics"), "peak", 0), 3);
    ASSERT_OK(hb_store_get(&after, c->op, HB_C_STREAMS, id));
    ck_assert_int_eq(hb_json_int(hb_json_get(after, "analytics"), "peak", 0), 3);
}
END_TEST

/* Every kind of condition on one record: as a guard and as a query it has to say the same. */
static const hb_value_t in_list[] = { HB_STR("x"), HB_STR("anna") };
static const hb_value_t not_in_list[] = { HB_STR("x"), HB_STR("ann") };
static const hb_value_t in_numbers[] = { HB_INT(1), HB_INT(30), HB_INT(3) };
static const struct {
    const char *label;
    hb_cond_t cond;
    int holds;
} cond_rows[] = {
    { "is string", { "username", HB_IS, HB_STR("anna"), NULL, 0 }, 1 },
    { "is other string", { "username", HB_IS, HB_STR("Anna"), NULL, 0 }, 0 },
    { "is number", { "followers", HB_IS, HB_INT(30), NULL, 0 }, 1 },
    { "is other number", { "followers", HB_IS, HB_INT(31), NULL, 0 }, 0 },
    { "is true", { "isStaff", HB_IS, HB_BOOL(1), NULL, 0 }, 1 },
    { "is false", { "isStaff", HB_IS, HB_BOOL(0), NULL, 0 }, 0 },
    { "is null: null", { "phone", HB_IS, HB_NIL, NULL, 0 }, 1 },
    { "is null: missing", { "bio", HB_IS, HB_NIL, NULL, 0 }, 1 },
    { "is null: there", { "username", HB_IS, HB_NIL, NULL, 0 }, 0 },
    { "missing is string", { "bio", HB_IS, HB_STR(""), NULL, 0 }, 0 },
    { "is not string", { "username", HB_IS_NOT, HB_STR("ben"), NULL, 0 }, 1 },
    { "is not same string", { "username", HB_IS_NOT, HB_STR("anna"), NULL, 0 }, 0 },
    { "missing is not", { "bio", HB_IS_NOT, HB_STR("x"), NULL, 0 }, 1 },
    { "null is not", { "phone", HB_IS_NOT, HB_STR("x"), NULL, 0 }, 1 },
    { "is not null", { "username", HB_IS_NOT, HB_NIL, NULL, 0 }, 1 },
    { "missing is not null", { "bio", HB_IS_NOT, HB_NIL, NULL, 0 }, 0 },
    { "below", { "followers", HB_BELOW, HB_INT(31), NULL, 0 }, 1 },
    { "below itself", { "followers", HB_BELOW, HB_INT(30), NULL, 0 }, 0 },
    { "missing below", { "following", HB_BELOW, HB_INT(31), NULL, 0 }, 0 },
    { "at most itself", { "followers", HB_AT_MOST, HB_INT(30), NULL, 0 }, 1 },
    { "at most less", { "followers", HB_AT_MOST, HB_INT(29), NULL, 0 }, 0 },
    { "above", { "followers", HB_ABOVE, HB_INT(29), NULL, 0 }, 1 },
    { "above itself", { "followers", HB_ABOVE, HB_INT(30), NULL, 0 }, 0 },
    { "at least itself", { "followers", HB_AT_LEAST, HB_INT(30), NULL, 0 }, 1 },
    { "at least more", { "followers", HB_AT_LEAST, HB_INT(31), NULL, 0 }, 0 },
    { "string above", { "username", HB_ABOVE, HB_STR("ann"), NULL, 0 }, 1 },
    { "string below", { "username", HB_BELOW, HB_STR("annb"), NULL, 0 }, 1 },
    { "inside at least", { "coins.balance", HB_AT_LEAST, HB_INT(5), NULL, 0 }, 1 },
    { "inside above", { "coins.balance", HB_ABOVE, HB_INT(5), NULL, 0 }, 0 },
    { "starts with", { "username", HB_STARTS_WITH, HB_STR("an"), NULL, 0 }, 1 },
    { "starts with all", { "username", HB_STARTS_WITH, HB_STR("anna"), NULL, 0 }, 1 },
    { "starts with more", { "username", HB_STARTS_WITH, HB_STR("annab"), NULL, 0 }, 0 },
    { "starts with nothing", { "username", HB_STARTS_WITH, HB_STR(""), NULL, 0 }, 1 },
    { "starts with a wild card", { "username", HB_STARTS_WITH, HB_STR("a%"), NULL, 0 }, 0 },
    { "starts with last bytes", { "displayName", HB_STARTS_WITH, HB_STR("\xf4\x8f\xbf\xbf"), NULL, 0 }, 1 },
    { "missing starts with", { "bio", HB_STARTS_WITH, HB_STR(""), NULL, 0 }, 0 },
    { "one of", { "username", HB_ONE_OF, HB_NIL, in_list, 2 }, 1 },
    { "one of one", { "username", HB_ONE_OF, HB_NIL, in_list + 1, 1 }, 1 },
    { "one of others", { "username", HB_ONE_OF, HB_NIL, not_in_list, 2 }, 0 },
    { "one of numbers", { "followers", HB_ONE_OF, HB_NIL, in_numbers, 3 }, 1 },
    { "one of none", { "followers", HB_ONE_OF, HB_NIL, NULL, 0 }, 0 },
    { "missing one of", { "bio", HB_ONE_OF, HB_NIL, in_list, 2 }, 0 },
    { "has", { "roles", HB_HAS, HB_STR("host"), NULL, 0 }, 1 },
    { "has not", { "roles", HB_HAS, HB_STR("hos"), NULL, 0 }, 0 },
    { "empty has not", { "totp.recovery", HB_HAS, HB_STR("host"), NULL, 0 }, 0 },
    { "id is", { "_id", HB_IS, HB_STR("u1"), NULL, 0 }, 1 },
    { "id is other", { "_id", HB_IS, HB_STR("u2"), NULL, 0 }, 0 },
    { "id above", { "_id", HB_ABOVE, HB_STR("u0"), NULL, 0 }, 1 },
    { "id starts with", { "_id", HB_STARTS_WITH, HB_STR("u"), NULL, 0 }, 1 },
    { "not of its id", { "_id", HB_IS_NOT, HB_STR("u2"), NULL, 0 }, 1 },
};

START_TEST(every_condition_means_the_same_as_guard_and_query)
{
    contract_t *c = contract_open(_i);
    hb_edit_t touch = { "updatedAt", HB_SET, HB_INT(1) };
    unsigned int i;

    contract_insert(c->op, HB_C_USERS, "{'_id':'u1','username':'anna','followers':30,"
                    "'isStaff':true,'phone':null,'coins':{'balance':5},'roles':['host','admin'],"
                    "'displayName':'\xf4\x8f\xbf\xbf!'}");
    for (i = 0; i < sizeof(cond_rows) / sizeof(cond_rows[0]); i++) {
        hb_query_t query = { .in = HB_C_USERS, .where = &cond_rows[i].cond, .n_where = 1 };
        apr_int64_t n;
        apr_status_t rv;

        rv = hb_store_change(NULL, NULL, c->op, HB_C_USERS, "u1", &cond_rows[i].cond, 1,
                             &touch, 1);
        ck_assert_msg(rv == (cond_rows[i].holds ? APR_SUCCESS : HB_E_STORE_GUARD),
                      "%s as a guard: %d", cond_rows[i].label, rv);
        ASSERT_OK(hb_store_count(&n, c->op, &query));
        ck_assert_msg(n == cond_rows[i].holds, "%s in a query", cond_rows[i].label);
    }
}
END_TEST

START_TEST(guards_hold_all_or_nothing_is_written)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_insert(c->op, HB_C_USERS, "{'coins':{'balance':10},'status':'active'}");
    hb_cond_t guards[] = { { .field = "coins.balance", .how = HB_AT_LEAST, .value = HB_INT(7) },
                           { .field = "status", .how = HB_IS, .value = HB_STR("active") } };
    hb_edit_t pay = { "coins.balance", HB_INC, HB_INT(-7) };
    hb_json_t *after = (hb_json_t *)1;

    ASSERT_OK(hb_store_change(&after, NULL, c->op, HB_C_USERS, id, guards, 2, &pay, 1));
    ck_assert_int_eq(hb_json_int(hb_json_get(after, "coins"), "balance", 0), 3);
    ASSERT_RV(hb_store_change(&after, NULL, c->op, HB_C_USERS, id, guards, 2, &pay, 1),
              HB_E_STORE_GUARD);
    ck_assert_ptr_null(after);
    ASSERT_RV(hb_store_change(&after, NULL, c->op, HB_C_USERS, MISSING_ID, guards, 2, &pay, 1),
              HB_E_STORE_MISSING);
    ck_assert_int_eq(c->op->problem.status, APR_SUCCESS);
    ASSERT_RV(hb_store_remove(c->op, HB_C_USERS, id, guards, 2), HB_E_STORE_GUARD);
    ASSERT_OK(hb_store_remove(c->op, HB_C_USERS, id, guards + 1, 1));
    ASSERT_RV(hb_store_remove(c->op, HB_C_USERS, id, NULL, 0), HB_E_STORE_MISSING);
}
END_TEST

START_TEST(a_change_moves_a_record_in_every_index)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_user(c->op, "anna");
    hb_edit_t edits[] = { { "email", HB_SET, HB_STR("new@example.com") },
                          { "phone", HB_SET, HB_STR("+4366412345") } };
    hb_cond_t old_mail = { .field = "email", .how = HB_IS, .value = HB_STR("anna@example.com") };
    hb_cond_t new_mail = { .field = "email", .how = HB_IS, .value = HB_STR("new@example.com") };
    hb_query_t query = { .in = HB_C_USERS, .where = &old_mail, .n_where = 1 };
    hb_json_t *doc;

    ASSERT_OK(hb_store_find_one(&doc, c->op, &query));
    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_USERS, id, NULL, 0, edits, 2));
    ASSERT_RV(hb_store_find_one(&doc, c->op, &query), HB_E_STORE_MISSING);
    query.where = &new_mail;
    ASSERT_OK(hb_store_find_one(&doc, c->op, &query));
    ck_assert_str_eq(hb_json_string(doc, "_id"), id);
    contract_insert(c->op, HB_C_USERS, "{'email':'anna@example.com'}");
    contract_is_whole(c->op);
}
END_TEST

START_TEST(our_own_mistakes_are_refused_and_told)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_user(c->op, "anna");
    hb_cond_t conds[] = {
        { .field = "emial", .how = HB_IS, .value = HB_STR("x") },
        { .field = "x') OR 1=1 --", .how = HB_IS, .value = HB_STR("x") },
        { .field = "followers", .how = HB_IS, .value = HB_STR("1") },
        { .field = "email", .how = HB_IS, .value = HB_INT(1) },
        { .field = "email", .how = HB_BELOW, .value = HB_NIL },
        { .field = "email", .how = HB_HAS, .value = HB_STR("x") },
        { .field = "roles", .how = HB_IS, .value = HB_STR("x") },
        { .field = NULL, .how = HB_IS, .value = HB_STR("x") },
    };
    hb_edit_t edits[] = {
        { "_id", HB_SET, HB_STR("x") },
        { "emial", HB_SET, HB_STR("x") },
        { "email", HB_SET, HB_INT(1) },
        { "email", HB_INC, HB_INT(1) },
        { "email", HB_PUSH, HB_STR("x") },
        { "followers", HB_SET, HB_STR("1") },
        { NULL, HB_SET, HB_STR("x") },
    };
    hb_edit_t good = { "bio", HB_SET, HB_STR("x") };
    hb_query_t query = { .in = HB_C_USERS, .n_where = 1 };
    hb_page_t page;
    unsigned int i;

    for (i = 0; i < sizeof(conds) / sizeof(conds[0]); i++) {
        hb_test_site_forget_log(c->ts);
        query.where = &conds[i];
        ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_INTERNAL);
        ck_assert(hb_test_site_logged(c->ts, "HB01030"));
        ASSERT_RV(hb_store_change(NULL, NULL, c->op, HB_C_USERS, id, &conds[i], 1, &good, 1),
                  HB_E_INTERNAL);
    }
    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        ASSERT_RV(hb_store_change(NULL, NULL, c->op, HB_C_USERS, id, NULL, 0, &edits[i], 1),
                  HB_E_INTERNAL);
    }
    query.n_where = 0;
    query.sort[0].field = "roles";
    ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_INTERNAL);
    query.in = HB_SHAPE_NONE;
    ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_INTERNAL);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, contract_json(c->op, "[]")),
              HB_E_INTERNAL);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, contract_json(c->op, "{'emial':'x'}")),
              HB_E_INTERNAL);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, contract_json(c->op, "{'email':{'$gt':''}}")),
              HB_E_INTERNAL);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, contract_json(c->op, "{'_id':'a b'}")),
              HB_E_INTERNAL);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, contract_json(c->op, "{'_id':5}")),
              HB_E_INTERNAL);
}
END_TEST

START_TEST(a_record_has_a_largest_size)
{
    contract_t *c = contract_open(_i);
    char *text = apr_palloc(c->op->pool, 5 * 1024 * 1024 + 1);
    hb_json_t *doc = hb_json_object_make(c->op->pool);

    memset(text, 'x', 5 * 1024 * 1024);
    text[5 * 1024 * 1024] = '\0';
    hb_json_set_string(doc, "bio", text);
    ASSERT_RV(hb_store_insert(NULL, c->op, HB_C_USERS, doc), HB_E_INPUT_INVALID);
    text[1024 * 1024] = '\0';
    hb_json_set_string(doc, "bio", text);
    ASSERT_OK(hb_store_insert(NULL, contract_op(c), HB_C_USERS, doc));
}
END_TEST

START_TEST(ids_are_made_in_order_and_differ)
{
    contract_t *c = contract_open(_i);
    const char *before = hb_id_make(c->op), *id;
    int i;

    ck_assert(strncmp(before, "6a44de18", 8) == 0);     /* 2026-07-01T09:30:00Z */
    for (i = 0; i < 1000; i++) {
        id = hb_id_make(c->op);
        ck_assert(hb_id_is_valid(id));
        ck_assert_str_ne(id, before);
        ck_assert(strncmp(id, before, 18) == 0);
        before = id;
    }
    ck_assert(!hb_id_is_valid(NULL));
    ck_assert(!hb_id_is_valid(""));
    ck_assert(!hb_id_is_valid("6A44DB58aaaaaaaaaaaaaaaa"));
    ck_assert(!hb_id_is_valid("6a44db58aaaaaaaaaaaaaaaa0"));
    ck_assert(!hb_id_is_valid("6a44db58aaaaaaaaaaaaaaag"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        what_was_inserted_is_found_again,
        an_id_of_ones_own_is_kept,
        ids_from_outside_that_are_none_are_missing,
        a_duplicate_names_its_index,
        every_edit_does_what_it_says,
        json_is_written_as_it_is,
        every_condition_means_the_same_as_guard_and_query,
        guards_hold_all_or_nothing_is_written,
        a_change_moves_a_record_in_every_index,
        our_own_mistakes_are_refused_and_told,
        a_record_has_a_largest_size,
        ids_are_made_in_order_and_differ,
        NULL
    };

    return contract_main("store_records", cases);
}
