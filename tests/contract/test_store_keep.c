/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the store: ping, backup of a live store, verify, figures. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_metrics.h"

#define USERS 300

static void make_users(hb_op_t *op)
{
    int i;

    for (i = 0; i < USERS; i++) {
        contract_user(op, apr_psprintf(op->pool, "user%03d", i));
    }
}

START_TEST(ping_answers)
{
    contract_t *c = contract_open(_i);
    int i;

    for (i = 0; i < 3; i++) {
        ASSERT_OK(hb_store_ping(c->op));
    }
    make_users(c->op);
    ASSERT_OK(hb_store_ping(c->op));
}
END_TEST

START_TEST(stats_tell_what_is_there)
{
    contract_t *c = contract_make(_i, "");
    hb_json_t *stats;

    ASSERT_OK(hb_metrics_open(&c->ts->site->metrics, NULL, 0, c->ts->pool));
    contract_start(c);
    make_users(c->op);
    ASSERT_OK(hb_store_stats(&stats, c->op));
    ck_assert_str_eq(hb_json_string(stats, "driver"), c->backend);
    ck_assert_int_eq(hb_json_int(stats, "schema", 0), HB_SCHEMA_VERSION);
    ck_assert_ptr_nonnull(hb_json_string(stats, "version"));
    ck_assert_int_gt(hb_json_int(stats, "bytes", 0), 0);
    ck_assert_int_eq(hb_json_int(hb_json_at(stats, "collections.users"), "records", -1), USERS);
    ck_assert_int_eq(hb_json_int(hb_json_at(stats, "collections.sessions"), "records", -1), 0);
    if (strcmp(c->backend, "mongodb") == 0) {   /* what its driver sends is counted, too */
        apr_int64_t good = hb_metric_value(c->ts->site->metrics, HB_M_MONGODB_GOOD);

        ck_assert_int_gt(good, USERS);
        ck_assert_int_gt(hb_metric_value(c->ts->site->metrics, HB_M_MONGODB_USEC), good);
        ck_assert_int_le(hb_json_int(stats, "commands", 0), good);
    }
}
END_TEST

typedef struct steps_t {
    int n, n_findings, stop_after;
    apr_int64_t last_done, last_total;
} steps_t;

static int note_step(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    steps_t *s = baton;

    ck_assert_ptr_nonnull(what);
    if (done < 0) {
        s->n_findings++;
        return 0;
    }
    s->last_done = done;
    s->last_total = total;
    return ++s->n == s->stop_after;
}

/* A site on a copy. */
static hb_op_t *open_copy(contract_t *c, const char *path)
{
    hb_site_t *site = apr_pmemdup(c->ts->pool, c->ts->site, sizeof(*site));

    ASSERT_OK(hb_store_open(&site->store, site,
                            apr_pstrcat(c->ts->pool, "sqlite:", path, NULL),
                            c->ts->pool));
    return hb_op_make(site, c->ts->pool);
}

START_TEST(a_backup_is_a_store)
{
    contract_t *c = contract_open(_i);
    const char *path = apr_pstrcat(c->op->pool, c->ts->dir, "/copy.db", NULL);
    hb_query_t all = { .in = HB_C_USERS };
    steps_t steps = { .stop_after = 0 };
    struct stat st;
    apr_int64_t n;
    hb_op_t *copy;

    make_users(c->op);
    ASSERT_OK(hb_store_backup(c->op, path, note_step, &steps));
    ck_assert_int_gt(steps.n, 0);
    ck_assert_int_eq(steps.last_done, steps.last_total);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    contract_insert(c->op, HB_C_USERS, "{'_id':'later'}");

    copy = open_copy(c, path);
    contract_is_whole(copy);
    ASSERT_OK(hb_store_count(&n, copy, &all));
    ck_assert_int_eq(n, USERS);
    contract_insert(copy, HB_C_USERS, "{'_id':'copy-only'}");
}
END_TEST

START_TEST(a_backup_overwrites_nothing)
{
    contract_t *c = contract_open(_i);
    const char *path = apr_pstrcat(c->op->pool, c->ts->dir, "/copy.db", NULL);
    steps_t steps = { .stop_after = 1 };
    struct stat st;
    FILE *f;

    f = fopen(path, "w");
    fputs("precious", f);
    fclose(f);
    ASSERT_RV(hb_store_backup(c->op, path, NULL, NULL), HB_E_UNAVAILABLE);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 8);
    ck_assert_int_eq(unlink(path), 0);
    ASSERT_RV(hb_store_backup(contract_op(c), "/nowhere/copy.db", NULL, NULL),
              HB_E_UNAVAILABLE);
    /* Stopped by the operator: nothing is left. */
    make_users(c->op);
    ASSERT_RV(hb_store_backup(c->op, path, note_step, &steps), APR_EINTR);
    ck_assert_int_ne(stat(path, &st), 0);
    ck_assert_int_ne(stat(apr_pstrcat(c->op->pool, path, ".part", NULL), &st), 0);
    ASSERT_OK(hb_store_backup(c->op, path, NULL, NULL));
}
END_TEST

typedef struct pair_t {
    hb_op_t *op;
    int i;
} pair_t;

static apr_status_t insert_pair(hb_op_t *op, void *baton)
{
    pair_t *p = baton;
    hb_json_t *doc = hb_json_object_make(op->pool);
    apr_status_t rv;

    hb_json_set_string(doc, "_id", apr_psprintf(op->pool, "left%d", p->i));
    rv = hb_store_insert(NULL, op, HB_C_USERS, doc);
    if (rv == APR_SUCCESS) {
        doc = hb_json_object_make(op->pool);
        hb_json_set_string(doc, "_id", apr_psprintf(op->pool, "right%d", p->i));
        rv = hb_store_insert(NULL, op, HB_C_SESSIONS, doc);
    }
    return rv;
}

static int write_or_copy(contract_t *c, int number, void *baton)
{
    const char *path = baton;
    pair_t p = { NULL, 0 };
    apr_pool_t *pool;
    int rc = 0;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    p.op = hb_op_make(c->ts->site, pool);
    if (number == 0) {
        rc = hb_store_backup(p.op, path, NULL, NULL) == APR_SUCCESS ? 0 : 1;
    }
    else {
        for (p.i = 0; p.i < 150 && rc == 0; p.i++) {
            rc = hb_store_transact(p.op, insert_pair, &p) == APR_SUCCESS ? 0 : 2;
        }
    }
    apr_pool_destroy(pool);
    return rc;
}

START_TEST(a_backup_under_load_is_of_one_moment)
{
    contract_t *c = contract_open(_i);
    char *path = apr_pstrcat(c->op->pool, c->ts->dir, "/copy.db", NULL);
    hb_query_t users = { .in = HB_C_USERS }, sessions = { .in = HB_C_SESSIONS };
    apr_int64_t n_users, n_sessions;
    hb_op_t *copy;

    contract_threads(c, 2, write_or_copy, path);
    copy = open_copy(c, path);
    contract_is_whole(copy);
    ASSERT_OK(hb_store_count(&n_users, copy, &users));
    ASSERT_OK(hb_store_count(&n_sessions, copy, &sessions));
    ck_assert_int_eq(n_users, n_sessions);
}
END_TEST

START_TEST(verify_reports_and_can_be_stopped)
{
    contract_t *c = contract_open(_i);
    steps_t steps = { .stop_after = 0 };
    apr_int64_t findings = -1;

    make_users(c->op);
    ASSERT_OK(hb_store_verify(&findings, c->op, note_step, &steps));
    ck_assert_int_eq(findings, 0);
    ck_assert_int_eq(steps.n_findings, 0);
    ck_assert_int_gt(steps.n, 0);
    memset(&steps, 0, sizeof(steps));
    steps.stop_after = 1;
    ASSERT_RV(hb_store_verify(&findings, c->op, note_step, &steps), APR_EINTR);
    ASSERT_OK(hb_store_verify(&findings, c->op, NULL, NULL));
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        ping_answers,
        stats_tell_what_is_there,
        a_backup_is_a_store,
        a_backup_overwrites_nothing,
        a_backup_under_load_is_of_one_moment,
        verify_reports_and_can_be_stopped,
        NULL
    };

    return contract_main("store_keep", cases);
}
