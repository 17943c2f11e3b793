/* SPDX-License-Identifier: Apache-2.0 */
/* Many records: queries, sorting, pages and cursors, changes and removals by query. */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

/* Streams 0 .. n-1; viewers come in runs of equal numbers, so that ids break ties. */
static void make_streams(hb_op_t *op, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        contract_insert(op, HB_C_STREAMS, apr_psprintf(op->pool,
            "{'_id':'s%04d','status':'%s','viewers':%d,'category':'%s','title':'t','createdAt':%d}",
            i * 7919 % n, i % 4 == 3 ? "ended" : "live", i / 5 % 7, i % 2 ? "talk" : "music", i));
    }
}

/* Read a query page by page; gives every id in order, checked for repeats. */
static apr_array_header_t *read_all(contract_t *c, hb_query_t query)
{
    apr_array_header_t *ids = apr_array_make(c->op->pool, 100, sizeof(const char *));
    hb_page_t page;
    int i, n_pages = 0;

    do {
        ASSERT_OK(hb_store_find(&page, c->op, &query));
        ck_assert_int_le(page.n_items, query.limit);
        ck_assert(page.next == NULL || page.n_items == query.limit);
        for (i = 0; i < page.n_items; i++) {
            APR_ARRAY_PUSH(ids, const char *) = hb_json_string(page.items[i], "_id");
        }
        query.after = page.next;
        ck_assert_int_lt(++n_pages, 1000);
    } while (page.next != NULL);
    return ids;
}

#define ID_AT(ids, i) APR_ARRAY_IDX(ids, i, const char *)

START_TEST(all_come_in_the_order_of_ids)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .limit = 7 };
    hb_page_t page;
    apr_array_header_t *ids;
    int i;

    make_streams(c->op, 50);
    ids = read_all(c, query);
    ck_assert_int_eq(ids->nelts, 50);
    for (i = 0; i < 50; i++) {
        ck_assert_str_eq(ID_AT(ids, i), apr_psprintf(c->op->pool, "s%04d", i));
    }
    query.sort[0].field = "_id";
    query.sort[0].descending = 1;
    ids = read_all(c, query);
    for (i = 0; i < 50; i++) {
        ck_assert_str_eq(ID_AT(ids, i), apr_psprintf(c->op->pool, "s%04d", 49 - i));
    }
    query.limit = 0;            /* the default */
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert_int_eq(page.n_items, 20);
    query.limit = 100000;       /* no more than the most */
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert_int_eq(page.n_items, 50);
    ck_assert_ptr_null(page.next);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

static apr_int64_t viewers_of(contract_t *c, const char *id)
{
    hb_json_t *doc;

    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_STREAMS, id));
    return hb_json_int(doc, "viewers", -1);
}

START_TEST(pages_sort_and_ids_break_ties)
{
    static const hb_cond_t live[] = { { .field = "status", .how = HB_IS, .value = HB_STR("live") } };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = live, .n_where = 1,
                         .sort = { { "viewers", 1 } } };
    int i, limit;

    make_streams(c->op, 97);
    for (limit = 1; limit <= 80; limit = limit * 3 + 1) {
        apr_array_header_t *ids;

        query.limit = limit;
        ids = read_all(c, query);
        ck_assert_int_eq(ids->nelts, 73);
        for (i = 1; i < ids->nelts; i++) {
            apr_int64_t a = viewers_of(c, ID_AT(ids, i - 1)), b = viewers_of(c, ID_AT(ids, i));

            ck_assert(a > b || (a == b && strcmp(ID_AT(ids, i - 1), ID_AT(ids, i)) > 0));
        }
    }
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

START_TEST(two_fields_sort_and_mix_directions)
{
    contract_t *c = contract_open(_i);
    int first, second, i;

    make_streams(c->op, 60);
    for (first = 0; first < 2; first++) {
        for (second = 0; second < 2; second++) {
            hb_query_t query = { .in = HB_C_STREAMS, .limit = 4,
                                 .sort = { { "viewers", first }, { "category", second } } };
            apr_array_header_t *ids = read_all(c, query);

            ck_assert_int_eq(ids->nelts, 60);
            for (i = 1; i < 60; i++) {
                hb_json_t *a, *b;
                apr_int64_t order;

                ASSERT_OK(hb_store_get(&a, c->op, HB_C_STREAMS, ID_AT(ids, i - 1)));
                ASSERT_OK(hb_store_get(&b, c->op, HB_C_STREAMS, ID_AT(ids, i)));
                order = hb_json_int(a, "viewers", 0) - hb_json_int(b, "viewers", 0);
                order = first ? -order : order;
                if (order == 0) {
                    order = strcmp(hb_json_string(a, "category"), hb_json_string(b, "category"));
                    order = second ? -order : order;
                }
                if (order == 0) {
                    order = strcmp(ID_AT(ids, i - 1), ID_AT(ids, i));
                    order = second ? -order : order;
                }
                ck_assert_int_lt(order, 0);
            }
        }
    }
}
END_TEST

START_TEST(what_lacks_the_sort_field_is_not_listed)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .sort = { { "startedAt", 1 } }, .limit = 5 };
    apr_int64_t n;

    contract_insert(c->op, HB_C_STREAMS, "{'title':'a','startedAt':5}");
    contract_insert(c->op, HB_C_STREAMS, "{'title':'b','startedAt':null}");
    contract_insert(c->op, HB_C_STREAMS, "{'title':'c'}");
    ck_assert_int_eq(read_all(c, query)->nelts, 1);
    ASSERT_OK(hb_store_count(&n, c->op, &query));
    ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(a_cursor_stays_where_it_is_while_others_write)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .sort = { { "viewers", 1 } }, .limit = 10 };
    hb_edit_t up = { "viewers", HB_SET, HB_INT(100) };
    hb_page_t first, second;
    int i, k;

    make_streams(c->op, 40);
    ASSERT_OK(hb_store_find(&first, c->op, &query));
    /* New ones before the cursor, the last one seen gone, another moved up: no repeats. */
    contract_insert(c->op, HB_C_STREAMS, "{'title':'new','viewers':50}");
    ASSERT_OK(hb_store_remove(c->op, HB_C_STREAMS, hb_json_string(first.items[9], "_id"), NULL, 0));
    ASSERT_OK(hb_store_change(NULL, NULL, c->op, HB_C_STREAMS,
                              hb_json_string(first.items[3], "_id"), NULL, 0, &up, 1));
    query.after = first.next;
    ASSERT_OK(hb_store_find(&second, c->op, &query));
    ck_assert_int_eq(second.n_items, 10);
    for (i = 0; i < second.n_items; i++) {
        ck_assert_str_ne(hb_json_get(second.items[i], "title") != NULL
                         ? hb_json_string(second.items[i], "title") : "", "new");
        for (k = 0; k < first.n_items; k++) {
            ck_assert_str_ne(hb_json_string(second.items[i], "_id"),
                             hb_json_string(first.items[k], "_id"));
        }
    }
}
END_TEST

START_TEST(a_cursor_of_another_list_is_refused)
{
    static const hb_cond_t live[] = { { .field = "status", .how = HB_IS, .value = HB_STR("live") } };
    static const hb_cond_t ended[] = { { .field = "status", .how = HB_IS, .value = HB_STR("ended") } };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = live, .n_where = 1,
                         .sort = { { "viewers", 1 } }, .limit = 5 };
    hb_query_t others[4] = { query, query, query, query };
    static const char *const forged[] = {
        "", "x", "====", "AQ", "AAAAAAAAAAAAAAAA", "../../etc/passwd", "AQ\xff", NULL
    };
    hb_page_t page;
    const char *good;
    char *bad;
    int i;

    make_streams(c->op, 40);
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    good = page.next;
    ck_assert_ptr_nonnull(good);

    others[0].where = ended;
    others[1].sort[0].descending = 0;
    others[2].n_where = 0;
    others[3].sort[0].field = "createdAt";
    for (i = 0; i < 4; i++) {
        hb_op_t *op = contract_op(c);

        others[i].after = good;
        ASSERT_RV(hb_store_find(&page, op, &others[i]), HB_E_CURSOR_INVALID);
        ck_assert_int_eq(op->problem.status, HB_E_CURSOR_INVALID);
        ck_assert_int_eq(page.n_items, 0);
    }
    for (i = 0; forged[i] != NULL; i++) {
        query.after = forged[i];
        ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_CURSOR_INVALID);
    }
    bad = apr_palloc(c->op->pool, 100001);
    memset(bad, 'A', 100000);
    bad[100000] = '\0';
    query.after = bad;
    ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_CURSOR_INVALID);
    for (i = (int)strlen(good) - 1; i > 0; i--) {   /* cut anywhere */
        query.after = apr_pstrmemdup(c->op->pool, good, (apr_size_t)i);
        ASSERT_RV(hb_store_find(&page, c->op, &query), HB_E_CURSOR_INVALID);
    }
    query.after = good;
    query.limit = 9;            /* another size of page is the same list */
    ASSERT_OK(hb_store_find(&page, c->op, &query));
    ck_assert_int_eq(page.n_items, 9);
}
END_TEST

START_TEST(a_cursor_can_hold_text_and_truth)
{
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_USERS, .sort = { { "usernameKey", 0 } }, .limit = 3 };
    apr_array_header_t *ids;
    int i;

    for (i = 0; i < 20; i++) {
        contract_insert(c->op, HB_C_USERS, apr_psprintf(c->op->pool,
            "{'_id':'u%02d','usernameKey':'\xc3\xa9%c\\\"%02d','isStaff':%s}", i, 'a' + i % 3, i / 6,
            i % 2 ? "true" : "false"));
    }
    ids = read_all(c, query);
    ck_assert_int_eq(ids->nelts, 20);
    query.sort[0].field = "isStaff";
    query.sort[0].descending = 1;
    ids = read_all(c, query);
    ck_assert_int_eq(ids->nelts, 20);
    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(atoi(ID_AT(ids, i) + 1), i < 10 ? 19 - 2 * i : 18 - 2 * (i - 10));
    }
}
END_TEST

START_TEST(find_one_and_count)
{
    static const hb_cond_t where[] = {
        { .field = "status", .how = HB_IS, .value = HB_STR("live") },
        { .field = "category", .how = HB_IS, .value = HB_STR("music") },
    };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = where, .n_where = 2,
                         .sort = { { "viewers", 1 } } };
    hb_json_t *doc;
    apr_int64_t n;

    ASSERT_RV(hb_store_find_one(&doc, c->op, &query), HB_E_STORE_MISSING);
    ck_assert_ptr_null(doc);
    ASSERT_OK(hb_store_count(&n, c->op, &query));
    ck_assert_int_eq(n, 0);
    make_streams(c->op, 40);
    ASSERT_OK(hb_store_find_one(&doc, c->op, &query));
    ck_assert_int_eq(hb_json_int(doc, "viewers", 0), 6);
    ASSERT_OK(hb_store_count(&n, c->op, &query));
    ck_assert_int_eq(n, 20);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

START_TEST(all_of_a_query_are_changed_at_once)
{
    static const hb_cond_t live[] = { { .field = "status", .how = HB_IS, .value = HB_STR("live") } };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = live, .n_where = 1, .limit = 3 };
    hb_edit_t edits[] = { { "status", HB_SET, HB_STR("ended") }, { "viewers", HB_INC, HB_INT(1) } };
    hb_edit_t clash = { "activeHostId", HB_SET, HB_STR("000000000000000000000001") };
    hb_edit_t burst[] = { { "totalCoins", HB_INC, HB_INT(1) } };
    apr_int64_t n;

    make_streams(c->op, 200);
    /* A unique field for many: none of them has it. */
    ASSERT_RV(hb_store_change_all(&n, c->op, &query, &clash, 1), HB_E_STORE_DUPLICATE);
    ck_assert_int_eq(n, 0);
    /* One of many overflows: none is changed. */
    contract_insert(c->op, HB_C_STREAMS, "{'status':'live','totalCoins':9223372036854775807}");
    ASSERT_RV(hb_store_change_all(&n, c->op, &query, burst, 1), HB_E_INPUT_INVALID);
    hb_op_recover(c->op);
    ck_assert_ptr_null(strstr(contract_text(c->op, HB_C_STREAMS, "s0000"), "totalCoins"));
    ck_assert_ptr_null(strstr(contract_text(c->op, HB_C_STREAMS, "s0000"), "activeHostId"));

    ASSERT_OK(hb_store_change_all(&n, c->op, &query, edits, 2));
    ck_assert_int_eq(n, 151);
    ASSERT_OK(hb_store_change_all(&n, c->op, &query, edits, 2));
    ck_assert_int_eq(n, 0);
    ASSERT_OK(hb_store_change_all(NULL, c->op, &query, edits, 2));
    contract_is_whole(c->op);
}
END_TEST

START_TEST(all_or_some_of_a_query_are_removed)
{
    static const hb_cond_t old[] = { { .field = "expiresAt", .how = HB_BELOW, .value = HB_INT(50) } };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_CODES, .where = old, .n_where = 1,
                         .sort = { { "expiresAt", 0 } }, .limit = 20 };
    apr_int64_t n;
    int i;

    for (i = 0; i < 100; i++) {
        contract_insert(c->op, HB_C_CODES, apr_psprintf(c->op->pool, "{'_id':'c%d','expiresAt':%d}",
                                                        i, i));
    }
    ASSERT_OK(hb_store_remove_all(&n, c->op, &query));
    ck_assert_int_eq(n, 20);
    query.limit = 0;            /* all */
    ASSERT_OK(hb_store_remove_all(&n, c->op, &query));
    ck_assert_int_eq(n, 30);
    ASSERT_OK(hb_store_remove_all(NULL, c->op, &query));
    query.n_where = 0;
    query.sort[0].field = NULL;
    ASSERT_OK(hb_store_count(&n, c->op, &query));
    ck_assert_int_eq(n, 50);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
    contract_is_whole(c->op);
}
END_TEST

typedef struct walked_t {
    hb_op_t *op;
    int n, stop_at;
    apr_int64_t last;
    const char *last_id;
} walked_t;

static int count_up(void *baton, const char *id, const char *text, apr_size_t len)
{
    walked_t *walked = baton;
    hb_json_t *doc = hb_json_parse_own(text, len, walked->op->pool);

    (void)id;
    ck_assert_ptr_nonnull(doc);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert(!hb_json_has(doc, "_id"));
    ck_assert_int_gt(hb_json_int(doc, "mediaUid", 0), walked->last);
    walked->last = hb_json_int(doc, "mediaUid", 0);
    return ++walked->n == walked->stop_at;
}

static int count_ids(void *baton, const char *id, const char *text, apr_size_t len)
{
    walked_t *walked = baton;

    (void)text;
    (void)len;
    ck_assert(walked->last_id == NULL || strcmp(id, walked->last_id) > 0);
    walked->last_id = apr_pstrdup(walked->op->pool, id);
    return ++walked->n == walked->stop_at;
}

static apr_status_t make_many(hb_op_t *op, void *baton)
{
    int i;

    (void)baton;
    for (i = 0; i < 2500; i++) {
        contract_insert(op, HB_C_USERS, apr_psprintf(op->pool, "{'mediaUid':%d}",
                                                     1 + i * 7919 % 2500));
    }
    return APR_SUCCESS;
}

START_TEST(a_walk_meets_each_once_in_order)
{
    contract_t *c = contract_open(_i);
    const hb_value_t above = HB_INT(1000);
    walked_t walked = { .op = c->op };

    ASSERT_OK(hb_store_walk(c->op, HB_C_USERS, "_id", NULL, count_ids, &walked));
    ck_assert_int_eq(walked.n, 0);
    ASSERT_OK(hb_store_transact(c->op, make_many, NULL));
    ASSERT_OK(hb_store_walk(c->op, HB_C_USERS, "_id", NULL, count_ids, &walked));
    ck_assert_int_eq(walked.n, 2500);
    walked = (walked_t){ .op = c->op };
    ASSERT_OK(hb_store_walk(c->op, HB_C_USERS, "mediaUid", NULL, count_up, &walked));
    ck_assert_int_eq(walked.n, 2500);
    walked = (walked_t){ .op = c->op, .last = 1000 };
    ASSERT_OK(hb_store_walk(c->op, HB_C_USERS, "mediaUid", &above, count_up, &walked));
    ck_assert_int_eq(walked.n, 1500);
    walked = (walked_t){ .op = c->op, .stop_at = 1200 };
    ASSERT_OK(hb_store_walk(c->op, HB_C_USERS, "mediaUid", NULL, count_up, &walked));
    ck_assert_int_eq(walked.n, 1200);
    ASSERT_RV(hb_store_walk(c->op, HB_C_USERS, "no such", NULL, count_up, &walked),
              HB_E_INTERNAL);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

static int join(void *baton, const char *text)
{
    char *all = baton;

    strcat(strcat(all, text), " ");
    return strcmp(text, "stop") == 0;
}

START_TEST(one_field_of_many_comes_alone)
{
    static const hb_cond_t live[] = { { .field = "status", .how = HB_IS, .value = HB_STR("live") } };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = live, .n_where = 1,
                         .sort = { { "viewers", 1 } } };
    char all[200] = "";

    contract_insert(c->op, HB_C_STREAMS, "{'_id':'a','status':'live','viewers':1,'category':'x','title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'b','status':'live','viewers':3,'category':'x','title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'c','status':'live','viewers':2,'title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'d','status':'ended','viewers':2,'category':'y','title':'t','createdAt':1}");
    ASSERT_OK(hb_store_values(c->op, &query, "_id", join, all));
    ck_assert_str_eq(all, "b c a ");
    all[0] = '\0';
    ASSERT_OK(hb_store_values(c->op, &query, "category", join, all));
    ck_assert_str_eq(all, "x x ");
    all[0] = '\0';
    query.limit = 2;
    ASSERT_OK(hb_store_values(c->op, &query, "_id", join, all));
    ck_assert_str_eq(all, "b c ");
    all[0] = '\0';
    query.limit = 0;
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'stop','status':'live','viewers':2,'title':'t','createdAt':1}");
    ASSERT_OK(hb_store_values(c->op, &query, "_id", join, all));
    ck_assert_str_eq(all, "b stop ");
    ASSERT_RV(hb_store_values(c->op, &query, "viewers", join, all), HB_E_INTERNAL);
    ASSERT_RV(hb_store_values(c->op, &query, "nonsense", join, all), HB_E_INTERNAL);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

START_TEST(the_store_counts_by_values_and_adds_up)
{
    static const hb_value_t either[] = { HB_STR("live"), HB_STR("ended") };
    static const hb_cond_t live[] = { { .field = "status", .how = HB_ONE_OF, .any = either, .n_any = 2 } };
    static const char *const by[2] = { "status", "category" }, *const nothing[2] = { NULL, NULL };
    contract_t *c = contract_open(_i);
    hb_query_t query = { .in = HB_C_STREAMS, .where = live, .n_where = 1 };
    hb_group_t *groups;
    int n;

    ASSERT_OK(hb_store_groups(&groups, &n, c->op, &query, by, "viewers"));
    ck_assert_int_eq(n, 0);
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'a','status':'live','viewers':1,'category':'x','title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'b','status':'live','viewers':3,'category':'x','title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'c','status':'live','title':'t','createdAt':1}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'d','status':'ended','viewers':-2,'category':'y','title':'t','createdAt':1,"
                    "'analytics':{'watchSec':40}}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'e','status':'pending','viewers':9,'category':'y','title':'t','createdAt':1}");
    ASSERT_OK(hb_store_groups(&groups, &n, c->op, &query, by, "viewers"));
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(groups[0].keys[0], "ended");
    ck_assert_str_eq(groups[0].keys[1], "y");
    ck_assert_int_eq(groups[0].sum, -2);
    ck_assert_str_eq(groups[1].keys[1], "");
    ck_assert_int_eq(groups[1].n, 1);
    ck_assert_int_eq(groups[1].sum, 0);
    ck_assert_int_eq(groups[2].n, 2);
    ck_assert_int_eq(groups[2].sum, 4);
    ASSERT_OK(hb_store_groups(&groups, &n, c->op, &query, nothing, "analytics.watchSec"));
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(groups[0].n, 4);
    ck_assert_int_eq(groups[0].sum, 40);
    ASSERT_RV(hb_store_groups(&groups, &n, c->op, &query, by, "title"), HB_E_INTERNAL);
    contract_insert(c->op, HB_C_STREAMS, apr_psprintf(c->op->pool, "{'_id':'f','status':'live',"
        "'viewers':%" APR_INT64_T_FMT ",'category':'x','title':'t','createdAt':1}", APR_INT64_MAX));
    /* Some servers give the sum as a double, others fail themselves. */
    ck_assert_int_ne(hb_store_groups(&groups, &n, c->op, &query, by, "viewers"), APR_SUCCESS);
    ck_assert_int_eq(n, 0);
    ck_assert(!hb_test_site_logged(c->ts, "HB01101"));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        all_come_in_the_order_of_ids,
        pages_sort_and_ids_break_ties,
        two_fields_sort_and_mix_directions,
        what_lacks_the_sort_field_is_not_listed,
        a_cursor_stays_where_it_is_while_others_write,
        a_cursor_of_another_list_is_refused,
        a_cursor_can_hold_text_and_truth,
        find_one_and_count,
        all_of_a_query_are_changed_at_once,
        all_or_some_of_a_query_are_removed,
        a_walk_meets_each_once_in_order,
        one_field_of_many_comes_alone,
        the_store_counts_by_values_and_adds_up,
        NULL
    };

    return contract_main("store_lists", cases);
}
