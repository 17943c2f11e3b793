/* SPDX-License-Identifier: Apache-2.0 */
/* All or nothing: transactions, what they see, how they nest. */
#include "contract.h"

#include <string.h>

#include <apr_strings.h>

typedef struct order_t {
    const char *from, *to;
    apr_int64_t coins;
    apr_status_t inner_rv;
    apr_status_t end_with;
    int n_runs;
    const char *seen;
} order_t;

static const char *account(hb_op_t *op, const char *id, int coins)
{
    return contract_insert(op, HB_C_USERS, apr_psprintf(op->pool,
        "{'_id':'%s','coins':{'balance':%d}}", id, coins));
}

static apr_int64_t coins_of(hb_op_t *op, const char *id)
{
    hb_json_t *doc;

    ASSERT_OK(hb_store_get(&doc, op, HB_C_USERS, id));
    return hb_json_int(hb_json_get(doc, "coins"), "balance", -1);
}

static apr_status_t move_coins(hb_op_t *op, void *baton)
{
    order_t *o = baton;
    hb_cond_t enough = { .field = "coins.balance", .how = HB_AT_LEAST, .value = HB_INT(o->coins) };
    hb_edit_t take = { "coins.balance", HB_INC, HB_INT(-o->coins) };
    hb_edit_t give = { "coins.balance", HB_INC, HB_INT(o->coins) };
    apr_status_t rv;

    o->n_runs++;
    rv = hb_store_change(NULL, NULL, op, HB_C_USERS, o->to, NULL, 0, &give, 1);
    if (rv == APR_SUCCESS) {
        rv = hb_store_change(NULL, NULL, op, HB_C_USERS, o->from, &enough, 1, &take, 1);
    }
    return rv;
}

START_TEST(both_sides_or_none)
{
    contract_t *c = contract_open(_i);
    order_t o = { .from = "a", .to = "b", .coins = 7 };

    account(c->op, "a", 10);
    account(c->op, "b", 0);
    ASSERT_OK(hb_store_transact(c->op, move_coins, &o));
    ck_assert_int_eq(coins_of(c->op, "a"), 3);
    ck_assert_int_eq(coins_of(c->op, "b"), 7);
    ASSERT_RV(hb_store_transact(c->op, move_coins, &o), HB_E_STORE_GUARD);
    ck_assert_int_eq(coins_of(c->op, "a"), 3);
    ck_assert_int_eq(coins_of(c->op, "b"), 7);
    o.from = "nobody";
    ASSERT_RV(hb_store_transact(c->op, move_coins, &o), HB_E_STORE_MISSING);
    ck_assert_int_eq(coins_of(c->op, "b"), 7);
    ck_assert_ptr_null(c->op->tx);
    ck_assert_int_eq(c->op->problem.status, APR_SUCCESS);
}
END_TEST

static apr_status_t read_own_writes(hb_op_t *op, void *baton)
{
    hb_cond_t where = { .field = "email", .how = HB_IS, .value = HB_STR("x@example.com") };
    hb_query_t query = { .in = HB_C_USERS, .where = &where, .n_where = 1,
                         .sort = { { "createdAt", 1 } }, .limit = 1 };
    hb_edit_t edit = { "email", HB_SET, HB_STR("x@example.com") };
    hb_json_t *doc;
    hb_page_t page;
    apr_int64_t n;

    (void)baton;
    ASSERT_RV(hb_store_find_one(&doc, op, &query), HB_E_STORE_MISSING);
    contract_insert(op, HB_C_USERS, "{'_id':'x1','createdAt':1}");
    ASSERT_OK(hb_store_change(NULL, NULL, op, HB_C_USERS, "x1", NULL, 0, &edit, 1));
    ASSERT_OK(hb_store_get(&doc, op, HB_C_USERS, "x1"));
    ASSERT_OK(hb_store_find_one(&doc, op, &query));
    ASSERT_OK(hb_store_count(&n, op, &query));
    ck_assert_int_eq(n, 1);
    contract_insert(op, HB_C_USERS, "{'_id':'x2','createdAt':2}");
    query.n_where = 0;          /* pages work inside, too */
    ASSERT_OK(hb_store_find(&page, op, &query));
    query.after = page.next;
    ASSERT_OK(hb_store_find(&page, op, &query));
    ck_assert_str_eq(hb_json_string(page.items[0], "_id"), "x1");
    ASSERT_OK(hb_store_remove(op, HB_C_USERS, "x1", NULL, 0));
    ASSERT_RV(hb_store_get(&doc, op, HB_C_USERS, "x1"), HB_E_STORE_MISSING);
    query.after = NULL;
    ASSERT_OK(hb_store_remove_all(&n, op, &query));
    ck_assert_int_eq(n, 1);
    contract_insert(op, HB_C_USERS, "{'_id':'x3','createdAt':3}");
    return APR_SUCCESS;
}

START_TEST(reads_see_the_writes_before_them)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc;

    ASSERT_OK(hb_store_transact(c->op, read_own_writes, NULL));
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, "x1"), HB_E_STORE_MISSING);
    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "x3"));
}
END_TEST

static apr_status_t look_from_outside(hb_op_t *op, void *baton)
{
    contract_t *c = baton;
    hb_op_t *other = contract_op(c);
    hb_json_t *doc;

    contract_insert(op, HB_C_USERS, "{'_id':'x1'}");
    ASSERT_OK(hb_store_get(&doc, op, HB_C_USERS, "x1"));
    ASSERT_RV(hb_store_get(&doc, other, HB_C_USERS, "x1"), HB_E_STORE_MISSING);
    /* A write by another op would wait for this one for ever: a mistake, and told. */
    ASSERT_RV(hb_store_insert(NULL, other, HB_C_USERS, contract_json(other, "{'_id':'x9'}")),
              HB_E_INTERNAL);
    return APR_SUCCESS;
}

START_TEST(others_see_it_only_when_it_is_kept)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc;

    ASSERT_OK(hb_store_transact(c->op, look_from_outside, c));
    ASSERT_OK(hb_store_get(&doc, contract_op(c), HB_C_USERS, "x1"));
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, "x9"), HB_E_STORE_MISSING);
}
END_TEST

static apr_status_t a_part(hb_op_t *op, void *baton)
{
    order_t *o = baton;

    contract_insert(op, HB_C_USERS, "{'_id':'inner'}");
    return o->inner_rv;
}

static apr_status_t a_whole(hb_op_t *op, void *baton)
{
    order_t *o = baton;
    hb_json_t *doc;

    contract_insert(op, HB_C_USERS, "{'_id':'before'}");
    ASSERT_RV(hb_store_transact(op, a_part, o), o->inner_rv);
    ASSERT_RV(hb_store_get(&doc, op, HB_C_USERS, "inner"),
              o->inner_rv == APR_SUCCESS ? APR_SUCCESS : HB_E_STORE_MISSING);
    contract_insert(op, HB_C_USERS, "{'_id':'after'}");
    return o->end_with;
}

START_TEST(a_nested_one_joins)
{
    static const struct { apr_status_t inner, outer; const char *kept; } rows[] = {
        { APR_SUCCESS, APR_SUCCESS, "before inner after" },
        { HB_E_STREAM_ENDED, APR_SUCCESS, "before after" },     /* the part is undone alone */
        { APR_SUCCESS, HB_E_STREAM_ENDED, "" },
        { HB_E_STREAM_ENDED, HB_E_STREAM_ENDED, "" },
    };
    static const char *const ids[] = { "before", "inner", "after" };
    contract_t *c = contract_open(_i);
    unsigned int i, k;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        order_t o = { .inner_rv = rows[i].inner, .end_with = rows[i].outer };

        ASSERT_RV(hb_store_transact(c->op, a_whole, &o), rows[i].outer);
        for (k = 0; k < 3; k++) {
            apr_status_t rv = hb_store_remove(c->op, HB_C_USERS, ids[k], NULL, 0);

            ck_assert_int_eq(rv == APR_SUCCESS, strstr(rows[i].kept, ids[k]) != NULL);
        }
    }
}
END_TEST

static apr_status_t go_on_after_a_refusal(hb_op_t *op, void *baton)
{
    const char *index;

    (void)baton;
    contract_insert(op, HB_C_USERS, "{'_id':'one','email':'a@example.com'}");
    ASSERT_RV(hb_store_insert(&index, op, HB_C_USERS,
                              contract_json(op, "{'_id':'two','email':'a@example.com'}")),
              HB_E_STORE_DUPLICATE);
    ck_assert_str_eq(index, "email");
    contract_insert(op, HB_C_USERS, "{'_id':'three','email':'b@example.com'}");
    return APR_SUCCESS;
}

START_TEST(a_refused_write_does_not_end_a_transaction)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc;

    ASSERT_OK(hb_store_transact(c->op, go_on_after_a_refusal, NULL));
    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "one"));
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, "two"), HB_E_STORE_MISSING);
    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "three"));
}
END_TEST

static apr_status_t say_no(hb_op_t *op, void *baton)
{
    (void)baton;
    contract_insert(op, HB_C_USERS, "{'_id':'one'}");
    return hb_fail(op, HB_E_STREAM_ENDED, "it has ended");
}

static apr_status_t do_nothing(hb_op_t *op, void *baton)
{
    (void)op;
    (void)baton;
    return APR_SUCCESS;
}

START_TEST(a_rules_own_refusal_comes_back_as_it_is)
{
    contract_t *c = contract_open(_i);
    hb_json_t *doc;

    ASSERT_RV(hb_store_transact(c->op, say_no, NULL), HB_E_STREAM_ENDED);
    ck_assert_int_eq(c->op->problem.status, HB_E_STREAM_ENDED);
    ck_assert_str_eq(c->op->problem.detail, "it has ended");
    ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, "one"), HB_E_STORE_MISSING);
    ASSERT_OK(hb_store_transact(c->op, do_nothing, NULL));
}
END_TEST

static apr_status_t replace_inside(hb_op_t *op, void *baton)
{
    const char *index = NULL;
    hb_json_t *doc;

    ASSERT_OK(hb_store_get(&doc, op, HB_C_USERS, baton));
    hb_json_remove(doc, "bio");
    hb_json_set_string(doc, "username", "other");
    ASSERT_OK(hb_store_replace(NULL, op, HB_C_USERS, doc));
    ck_assert_str_eq(hb_json_string(doc, "_id"), baton);
    ck_assert_str_eq(contract_text(op, HB_C_USERS, baton),
                     "{\"email\":\"a@example.com\",\"username\":\"other\"}");
    hb_json_set_string(doc, "email", "b@example.com");
    ASSERT_RV(hb_store_replace(&index, op, HB_C_USERS, doc), HB_E_STORE_DUPLICATE);
    ck_assert_str_eq(index, "email");
    ASSERT_RV(hb_store_replace(NULL, op, HB_C_USERS, contract_json(op, "{'_id':'none'}")),
              HB_E_STORE_MISSING);
    ASSERT_RV(hb_store_replace(NULL, op, HB_C_USERS, contract_json(op, "{'bio':'x'}")),
              HB_E_INTERNAL);
    return APR_SUCCESS;
}

START_TEST(what_was_read_inside_is_written_back_whole)
{
    contract_t *c = contract_open(_i);
    const char *id = contract_insert(c->op, HB_C_USERS,
                                     "{'email':'a@example.com','username':'one','bio':'long'}");

    contract_insert(c->op, HB_C_USERS, "{'email':'b@example.com'}");
    ASSERT_OK(hb_store_transact(c->op, replace_inside, (void *)id));
    ck_assert_str_eq(contract_text(c->op, HB_C_USERS, id),
                     "{\"email\":\"a@example.com\",\"username\":\"other\"}");
    ASSERT_RV(hb_store_replace(NULL, c->op, HB_C_USERS, contract_json(c->op, "{'_id':'one'}")),
              HB_E_INTERNAL);
    contract_is_whole(c->op);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        both_sides_or_none,
        reads_see_the_writes_before_them,
        others_see_it_only_when_it_is_kept,
        a_nested_one_joins,
        a_refused_write_does_not_end_a_transaction,
        a_rules_own_refusal_comes_back_as_it_is,
        what_was_read_inside_is_written_back_whole,
        NULL
    };

    return contract_main("store_transact", cases);
}
