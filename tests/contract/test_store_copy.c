/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of a whole store, from an SQLite file into each backend: all kinds of values, a copy that
 * is stopped or killed and goes on, a target that is not empty, a source that changed, memory.
 * HB_COPY_DOCS sets how many documents the case about memory sends (12 000).
 */
#include "contract.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_store_backend.h"
#include "hb_store_copy.h"
#include "hb_test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_WATCHED 1
#else
#define IS_WATCHED 0
#endif
#define USERS 5000              /* more than two batches */

/* --- both sides --- */

/* An op on a store of its own, beside c's site. */
static hb_op_t *open_at(contract_t *c, const char *url, int is_to_copy, apr_pool_t *pool)
{
    hb_site_t *site = apr_pmemdup(pool, c->ts->site, sizeof(*site));

    if (is_to_copy) {
        ASSERT_OK(hb_store_open_to_copy(&site->store, site, url, pool));
    }
    else {
        ASSERT_OK(hb_store_open(&site->store, site, url, pool));
    }
    return hb_op_make(site, pool);
}

static apr_pool_t *pool_of(contract_t *c)
{
    apr_pool_t *pool;

    apr_pool_create(&pool, c->ts->pool);
    return pool;
}

static apr_status_t make_users(hb_op_t *op, void *baton)
{
    int i;

    for (i = 0; i < *(int *)baton; i++) {
        contract_user(op, apr_psprintf(op->pool, "user%05d", i));
    }
    return APR_SUCCESS;
}

/* The source: a file beside c's records. Gives its URL. */
static const char *make_source(contract_t *c, int n)
{
    const char *url = apr_pstrcat(c->ts->pool, "sqlite:", c->ts->dir, "/source.db", NULL);
    apr_pool_t *pool = pool_of(c);
    hb_op_t *op = open_at(c, url, 0, pool);

    ASSERT_OK(hb_store_transact(op, make_users, &n));
    contract_insert(op, HB_C_SESSIONS, "{'_id':'s1','createdAt':1700000000123}");
    contract_insert(op, HB_C_AUDIT, "{'_id':'aaaaaaaaaaaaaaaaaaaaaaaa','details':{'one':1.0,"
                    "'n':1,'big':9007199254740993,'small':-0.1,'none':null,'yes':true,'text':'\\u00e4 "
                    "\\ud83d\\ude00 \\n','deep':{'$set':[1,[2,{}],'x'],'a.b':{'c':[]}},'empty':''}}");
    apr_pool_destroy(pool);
    return url;
}

typedef struct run_t {
    const char *from, *to;
    unsigned int flags;
    int n_reports, stop_after, n_findings;
    int die_after;              /* reports */
    const char *finding;
    hb_copy_proof_t proof;
    hb_op_t *target;
    apr_pool_t *pool;           /* of both stores; still there when a run failed */
} run_t;

static int note_step(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    run_t *run = baton;

    (void)total;
    if (done < 0) {
        run->n_findings++;
        run->finding = apr_pstrdup(hb_test_pool, what);
    }
    if (++run->n_reports == run->die_after) {
        kill(getpid(), SIGKILL);        /* the other thread is writing, or not */
    }
    return run->n_reports == run->stop_after;
}

static apr_status_t copy_now(hb_op_t *op, void *baton)
{
    run_t *run = baton;
    hb_copy_source_t source;

    hb_store_copy_source(&source, op);
    source.name = run->from;
    return hb_store_copy(&run->proof, run->target, &source, run->flags, note_step, run);
}

static apr_status_t copy(contract_t *c, run_t *run)
{
    apr_status_t rv;

    run->pool = pool_of(c);
    run->target = open_at(c, run->to, 1, run->pool);
    run->n_reports = 0;
    rv = hb_store_freeze(open_at(c, run->from, 0, run->pool), copy_now, run);
    if (rv != APR_SUCCESS && run->target->problem.detail != NULL) {
        printf("%s\n", run->target->problem.detail);
    }
    return rv;
}

static int next_text(void *baton, const char *id, const char *text, apr_size_t len)
{
    apr_array_header_t *lines = baton;

    (void)len;
    APR_ARRAY_PUSH(lines, const char *) = apr_pstrcat(lines->pool, id, " ", text, NULL);
    return 0;
}

/* Every record of both, side by side. */
static void assert_same(contract_t *c, const char *from, const char *to)
{
    apr_pool_t *pool = pool_of(c);
    hb_op_t *ops[2] = { open_at(c, from, 0, pool), open_at(c, to, 0, pool) };
    int s, i, k;

    for (s = HB_SHAPE_NONE + 1; s < HB_SHAPE_COUNT; s++) {
        apr_array_header_t *lines[2];

        if (hb_shape((hb_shape_e)s)->role != HB_IS_COLLECTION) {
            continue;
        }
        for (k = 0; k < 2; k++) {
            lines[k] = apr_array_make(pool, 16, sizeof(const char *));
            ASSERT_OK(hb_store_walk(ops[k], (hb_collection_e)s, "_id", NULL, next_text,
                                    lines[k]));
        }
        ck_assert_int_eq(lines[0]->nelts, lines[1]->nelts);
        for (i = 0; i < lines[0]->nelts; i++) {
            ck_assert_str_eq(APR_ARRAY_IDX(lines[0], i, const char *),
                             APR_ARRAY_IDX(lines[1], i, const char *));
        }
    }
    contract_is_whole(ops[1]);
    apr_pool_destroy(pool);
}

/* --- cases --- */

START_TEST(a_copy_is_the_same)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, USERS), .to = c->url };
    hb_json_t *list;
    hb_op_t *op;
    int i;

    ASSERT_OK(copy(c, &run));
    ck_assert_int_eq(run.proof.records, USERS + 2);
    ck_assert_int_eq(run.proof.written, USERS + 2);
    ck_assert_int_eq(run.proof.is_resumed, 0);
    ck_assert_int_eq(hb_json_int(hb_json_at(run.proof.collections, "users"), "records", 0), USERS);
    ck_assert_int_eq(strlen(hb_json_string(hb_json_at(run.proof.collections, "users"), "sum")), 64);
    apr_pool_destroy(run.pool);
    assert_same(c, run.from, run.to);
    /* It is a store like any other: its indexes serve and refuse. */
    contract_start(c);
    ASSERT_OK(hb_store_indexes(&list, c->op));
    for (i = 0; i < hb_json_length(list); i++) {
        ck_assert_str_eq(hb_json_string(hb_json_item(list, i), "state"), "good");
    }
    op = contract_op(c);
    ASSERT_RV(hb_store_insert(NULL, op, HB_C_USERS, contract_json(op,
        "{'email':'user00007@example.com'}")), HB_E_STORE_DUPLICATE);
    contract_user(op, "later");
}
END_TEST

START_TEST(a_target_has_to_be_empty)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, 10), .to = c->url };

    contract_start(c);
    contract_insert(c->op, HB_C_USERS, "{'_id':'precious','email':'p@example.com'}");
    contract_stop(c);
    ASSERT_RV(copy(c, &run), HB_E_STORE_NOT_EMPTY);
    apr_pool_destroy(run.pool);
    contract_start(c);
    ck_assert_str_ne(contract_text(c->op, HB_C_USERS, "precious"), "");
    contract_is_whole(c->op);
    contract_stop(c);
    run.flags = HB_COPY_FORCE;
    ASSERT_OK(copy(c, &run));
    apr_pool_destroy(run.pool);
    assert_same(c, run.from, run.to);
    /* A copy that is finished is a store with records, too. */
    run.flags = 0;
    ASSERT_RV(copy(c, &run), HB_E_STORE_NOT_EMPTY);
}
END_TEST

START_TEST(a_stopped_copy_goes_on)
{
    contract_t *c = contract_make(_i, "HaloBuzzStoreWait 1s\n");
    run_t run = { .from = make_source(c, USERS), .to = c->url };
    hb_json_t *doc;
    int stop_after, n_stopped = 0;

    /* Wherever it is stopped: within a collection, between two, among the indexes, at the proof. */
    for (stop_after = 3; stop_after < 10; stop_after += 3) {
        apr_status_t rv;

        run.flags = HB_COPY_FORCE;
        run.stop_after = stop_after;
        rv = copy(c, &run);
        apr_pool_destroy(run.pool);
        if (rv == APR_SUCCESS) {
            continue;
        }
        ck_assert_int_eq(rv, APR_EINTR);
        n_stopped++;
        contract_start(c);      /* no server takes it for its records */
        ASSERT_RV(hb_store_get(&doc, c->op, HB_C_USERS, "x"), HB_E_STORE_DOWN);
        contract_stop(c);
        run.flags = 0;
        run.stop_after = 0;
        ASSERT_OK(copy(c, &run));
        ck_assert_int_eq(run.proof.is_resumed, 1);
        ck_assert_int_eq(run.proof.records, USERS + 2);
        apr_pool_destroy(run.pool);
        assert_same(c, run.from, run.to);
    }
    ck_assert_int_eq(n_stopped, 3);
    ck_assert(hb_test_site_logged(c->ts, "not finished"));
}
END_TEST

START_TEST(a_killed_copy_goes_on)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, 2 * USERS), .to = c->url };
    int status, n_killed = 0;
    pid_t pid;

    for (run.die_after = 3; run.die_after < 30; run.die_after += run.die_after < 6 ? 3 : 20) {
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            _exit(copy(c, &run) == APR_SUCCESS ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        n_killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    ck_assert_int_ge(n_killed, 2);
    run.die_after = 0;
    ASSERT_OK(copy(c, &run));
    printf("killed %d times; the last run wrote %d of %d\n", n_killed, (int)run.proof.written,
           (int)run.proof.records);
    ck_assert_int_eq(run.proof.is_resumed, 1);
    ck_assert_int_lt(run.proof.written, 2 * USERS);
    ck_assert_int_eq(run.proof.records, 2 * USERS + 2);
    apr_pool_destroy(run.pool);
    assert_same(c, run.from, run.to);
}
END_TEST

START_TEST(another_copy_does_not_go_on)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, USERS), .to = c->url, .stop_after = 4 };
    apr_pool_t *pool;
    hb_op_t *op;
    const char *from = run.from;
    hb_edit_t edit = { "followers", HB_INC, HB_INT(1) };
    hb_query_t first = { .in = HB_C_USERS };
    hb_json_t *doc;

    ASSERT_RV(copy(c, &run), APR_EINTR);
    apr_pool_destroy(run.pool);
    run.stop_after = 0;
    run.from = apr_pstrcat(c->ts->pool, from, "x", NULL);   /* an empty one, of another name */
    ASSERT_RV(copy(c, &run), HB_E_STORE_NOT_EMPTY);
    apr_pool_destroy(run.pool);
    /* What was copied already changes behind its back: the proof finds it. */
    pool = pool_of(c);
    op = open_at(c, from, 0, pool);
    ASSERT_OK(hb_store_find_one(&doc, op, &first));
    ASSERT_OK(hb_store_change(NULL, NULL, op, HB_C_USERS, hb_json_string(doc, "_id"), NULL, 0,
                              &edit, 1));
    apr_pool_destroy(pool);
    run.from = from;
    ASSERT_RV(copy(c, &run), HB_E_STORE_DIFFERS);
    ck_assert_int_eq(run.n_findings, 1);
    ck_assert_ptr_nonnull(strstr(run.finding, "users: 5000 records there, 5000 here, of other"));
    apr_pool_destroy(run.pool);
    run.flags = HB_COPY_FORCE;
    ASSERT_OK(copy(c, &run));
    apr_pool_destroy(run.pool);
    assert_same(c, run.from, run.to);
}
END_TEST

START_TEST(indexes_are_listed_and_made)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, 3), .to = c->url, .stop_after = 3 };
    run_t steps = { .stop_after = 0 };
    apr_pool_t *pool;
    hb_json_t *list;
    hb_op_t *op;
    int i, n_missing = 0, n_good = 0, n_indexes;

    ASSERT_RV(copy(c, &run), APR_EINTR);
    apr_pool_destroy(run.pool);
    pool = pool_of(c);
    op = open_at(c, run.to, 1, pool);
    ASSERT_OK(hb_store_indexes(&list, op));
    n_indexes = hb_json_length(list);
    for (i = 0; i < n_indexes; i++) {
        n_missing += strcmp(hb_json_string(hb_json_item(list, i), "state"), "missing") == 0;
        ck_assert_ptr_nonnull(hb_json_string(hb_json_item(list, i), "fields"));
    }
    ck_assert_int_gt(n_missing, 20);
    ck_assert_int_eq(n_missing, n_indexes);
    steps.stop_after = 5;
    ASSERT_RV(hb_store_reindex(op, 0, note_step, &steps), APR_EINTR);
    ASSERT_OK(hb_store_reindex(op, 0, NULL, NULL));
    ASSERT_OK(hb_store_reindex(op, 1, note_step, &steps));
    ASSERT_OK(hb_store_indexes(&list, op));
    for (i = 0; i < n_indexes; i++) {
        n_good += strcmp(hb_json_string(hb_json_item(list, i), "state"), "good") == 0;
    }
    ck_assert_int_eq(n_good, n_indexes);
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(records_that_break_an_index_are_told)
{
    contract_t *c = contract_make(_i, "");
    run_t run = { .from = make_source(c, 3), .to = c->url, .stop_after = 4 };
    hb_store_raw_t twice[2] = { { "t1", "{\"email\":\"x@y.z\"}", 17, NULL },
                                { "t2", "{\"email\":\"x@y.z\"}", 17, NULL } };
    apr_pool_t *pool;
    hb_op_t *op;

    ASSERT_RV(copy(c, &run), APR_EINTR);
    apr_pool_destroy(run.pool);
    pool = pool_of(c);
    op = open_at(c, run.to, 1, pool);
    twice[0].json = twice[1].json = contract_json(op, twice[0].text);
    ASSERT_OK(hb_store_load(op, HB_C_USERS, twice, 2, "{}"));
    ASSERT_RV(hb_store_reindex(op, 0, NULL, NULL), HB_E_STORE_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(op->problem.detail, "email"));
    apr_pool_destroy(pool);
}
END_TEST

/* --- a source that is none: so many documents, made as they are asked for --- */

typedef struct mill_t {
    apr_int64_t n;
} mill_t;

static apr_int64_t mill_count(void *baton, hb_collection_e in)
{
    return in == HB_C_MESSAGES ? ((mill_t *)baton)->n : 0;
}

static apr_status_t mill_walk(void *baton, hb_collection_e in, const char *above,
                              hb_store_walk_fn *fn, void *fn_baton)
{
    apr_int64_t i = above != NULL ? apr_strtoi64(above, NULL, 16) + 1 : 0;
    char id[HB_ID_LENGTH + 1], text[512];

    for (; in == HB_C_MESSAGES && i < ((mill_t *)baton)->n; i++) {
        int len;

        apr_snprintf(id, sizeof(id), "%024" APR_UINT64_T_HEX_FMT, (apr_uint64_t)i);
        len = apr_snprintf(text, sizeof(text), "{\"streamId\":\"%024d\",\"userId\":\"%024d\","
                           "\"createdAt\":%" APR_INT64_T_FMT ",\"text\":\"message number %d, of some "
                           "words as people write them\",\"kind\":\"chat\"}", (int)(i % 1000),
                           (int)(i % 50000), APR_INT64_C(1700000000000) + i, (int)i);
        if (fn(fn_baton, id, text, (apr_size_t)len) != 0) {
            break;
        }
    }
    return APR_SUCCESS;
}

static long resident_kb(void)
{
    long pages = 0, dropped;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f != NULL) {
        if (fscanf(f, "%ld %ld", &dropped, &pages) != 2) {
            pages = 0;
        }
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

typedef struct watch_t {
    long early_kb, most_kb;     /* after a tenth of the way; from there on */
} watch_t;

static int watch_memory(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    watch_t *w = baton;
    long now = resident_kb();

    (void)what;
    if (done >= total / 10 && w->early_kb == 0) {
        w->early_kb = now;
    }
    if (w->early_kb != 0 && now > w->most_kb) {
        w->most_kb = now;
    }
    return 0;
}

START_TEST(memory_does_not_grow)
{
    contract_t *c = contract_make(_i, "");
    mill_t mill = { getenv("HB_COPY_DOCS") != NULL ? apr_atoi64(getenv("HB_COPY_DOCS")) : 12000 };
    hb_copy_source_t source = { "mill", "ever", &mill, mill_count, mill_walk };
    apr_pool_t *pool = pool_of(c);
    hb_op_t *op = open_at(c, c->url, 1, pool);
    hb_copy_proof_t proof;
    watch_t watch = { 0, 0 };

    ASSERT_OK(hb_store_copy(&proof, op, &source, 0, watch_memory, &watch));
    ck_assert_int_eq(proof.records, mill.n);
    printf("%s: %ld documents; resident %ld kB after a tenth, %ld kB at most; read %d ms, write %d "
           "ms, indexes %d ms, proof %d ms\n", c->backend, (long)mill.n, watch.early_kb,
           watch.most_kb, (int)(proof.read_usec / 1000), (int)(proof.write_usec / 1000),
           (int)(proof.index_usec / 1000), (int)(proof.proof_usec / 1000));
    /* Two batches, SQLite's caches and a sort's buffers: no share of the documents. What is
     * freed stays in quarantine where addresses are watched, up to 256 MB. */
    ck_assert_int_le(watch.most_kb - watch.early_kb, IS_WATCHED ? 384 * 1024 : 64 * 1024);
    apr_pool_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_copy_is_the_same,
        a_target_has_to_be_empty,
        a_stopped_copy_goes_on,
        a_killed_copy_goes_on,
        another_copy_does_not_go_on,
        indexes_are_listed_and_made,
        records_that_break_an_index_are_told,
        memory_does_not_grow,
        NULL
    };

    return contract_main("store_copy", cases);
}
