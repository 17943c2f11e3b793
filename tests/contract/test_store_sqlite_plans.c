/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether every index of hb_schema.def serves the queries it is there for, and what is said of a
 * query without one and of a slow one.
 */
#include "contract.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_test.h"

/* A value of a field's kind. */
static hb_value_t sample(hb_collection_e in, const char *field)
{
    const hb_field_row_t *row = hb_shape_field(in, field);
    hb_value_t text = HB_STR("x"), number = HB_INT(5), truth = HB_BOOL(1);

    ck_assert_ptr_nonnull(row);
    switch (row->kind) {
    case HB_KIND_INT:
    case HB_KIND_TIME:
    case HB_KIND_COINS:
        return number;
    case HB_KIND_BOOL:
        return truth;
    default:
        return text;
    }
}

/* All that an index is there for: its fields but the last fixed and the last sorted by, both
 * ways and page after page; the last bounded; all fixed; counts, changes and removals. */
static void try_index(contract_t *c, hb_collection_e in, const hb_index_row_t *index)
{
    hb_cond_t conds[8] = { { 0 } };
    hb_edit_t touch = { NULL, HB_UNSET, HB_NIL };
    hb_query_t query = { .in = in, .where = conds, .limit = 2 };
    char *fields = apr_pstrdup(c->op->pool, index->fields), *state = NULL, *field;
    hb_page_t page;
    apr_int64_t n;
    int i, n_fields = 0, ways;

    for (field = apr_strtok(fields, " ", &state); field != NULL;
         field = apr_strtok(NULL, " ", &state)) {
        if (field[strlen(field) - 1] == '-') {
            field[strlen(field) - 1] = '\0';
        }
        conds[n_fields].field = field;
        conds[n_fields].how = HB_IS;
        conds[n_fields++].value = sample(in, field);
    }
    for (i = 0; i < 7; i++) {   /* something to page through */
        hb_json_t *doc = hb_json_object_make(c->op->pool);
        int k;

        for (k = 0; k < n_fields; k++) {
            if (conds[k].value.kind == HB_VALUE_INT) {
                hb_json_set_int(doc, conds[k].field, k < n_fields - 1 ? 5
                                : index->flags & HB_INDEX_UNIQUE ? i : i / 3);
            }
            else if (conds[k].value.kind == HB_VALUE_BOOL) {
                hb_json_set_bool(doc, conds[k].field, 1);
            }
            else {
                hb_json_set_string(doc, conds[k].field, index->flags & HB_INDEX_UNIQUE
                                   ? apr_psprintf(c->op->pool, "x%d", i) : "x");
            }
        }
        ASSERT_OK(hb_store_insert(NULL, c->op, in, doc));
    }
    query.sort[0].field = conds[n_fields - 1].field;
    query.n_where = n_fields - 1;
    for (ways = 0; ways < 2; ways++) {
        query.sort[0].descending = ways;
        query.after = NULL;
        do {
            ASSERT_OK(hb_store_find(&page, c->op, &query));
            query.after = page.next;
        } while (page.next != NULL);
    }
    for (i = HB_IS; i <= HB_AT_LEAST; i++) {
        if (i == HB_IS_NOT || (i != HB_IS && conds[n_fields - 1].value.kind == HB_VALUE_BOOL)) {
            continue;
        }
        conds[n_fields - 1].how = i;
        query.n_where = n_fields;
        ASSERT_OK(hb_store_find(&page, c->op, &query));
        ASSERT_OK(hb_store_count(&n, c->op, &query));
    }
    if (conds[n_fields - 1].value.kind == HB_VALUE_STRING) {
        conds[n_fields - 1].how = HB_STARTS_WITH;
        ASSERT_OK(hb_store_find(&page, c->op, &query));
        conds[n_fields - 1].how = HB_IS;
    }
    conds[n_fields - 1].how = HB_IS;
    query.sort[0].field = NULL;     /* all fixed: in the order of ids */
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    touch.field = conds[0].field;
    ASSERT_OK(hb_store_change_all(&n, c->op, &query, &touch, 1));
    ASSERT_OK(hb_store_remove_all(&n, c->op, &query));
    query.n_where = 0;
    query.limit = 0;
    ASSERT_OK(hb_store_remove_all(&n, c->op, &query));
    ck_assert_int_gt(n, 0);
}

START_TEST(every_index_serves_what_it_is_there_for)
{
    contract_t *c = contract_open(_i);
    int s, i;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        const hb_shape_row_t *shape = hb_shape(s);

        for (i = 0; shape->role == HB_IS_COLLECTION && i < shape->n_indexes; i++) {
            try_index(c, s, &shape->indexes[i]);
            ck_assert_msg(!hb_test_site_logged(c->ts, "HB01101"), "%s of %s: see above",
                          shape->indexes[i].name, shape->name);
        }
    }
    contract_is_whole(c->op);
}
END_TEST

START_TEST(a_query_without_an_index_is_told_once)
{
    contract_t *c = contract_open(_i);
    hb_cond_t where = { .field = "bio", .how = HB_IS, .value = HB_STR("x") };
    hb_query_t query = { .in = HB_C_USERS, .where = &where, .n_where = 1 };
    hb_page_t page;

    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert(hb_test_site_logged(c->ts, "HB01101"));
    hb_test_site_forget_log(c->ts);
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

START_TEST(a_slow_call_is_logged_without_values)
{
    contract_t *c = contract_make(_i, "HaloBuzzStoreSlow 1ms\n");
    hb_cond_t where = { .field = "email", .how = HB_IS, .value = HB_STR("secret@example.com") };
    hb_query_t query = { .in = HB_C_USERS, .where = &where, .n_where = 1 };
    hb_settings_t *settings;
    apr_int64_t n;

    contract_start(c);
    settings = apr_pmemdup(c->ts->pool, c->ts->site->settings, sizeof(*settings));
    settings->store_slow = 1;   /* a microsecond: everything is slow */
    c->ts->site->settings = settings;
    ASSERT_OK(hb_store_count(&n, c->op, &query));
    ck_assert(hb_test_site_logged(c->ts, "HB01001"));
    ck_assert(hb_test_site_logged(c->ts, "slow: store count users took"));
    ck_assert(hb_test_site_logged(c->ts, "where email is"));
    ck_assert(!hb_test_site_logged(c->ts, "secret"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        every_index_serves_what_it_is_there_for,
        a_query_without_an_index_is_told_once,
        a_slow_call_is_logged_without_values,
        NULL
    };

    return contract_main_of("sqlite", "store_sqlite_plans", cases);
}
