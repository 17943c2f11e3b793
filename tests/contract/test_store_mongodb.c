/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a MongoDB can answer: that a transaction did not get through, that it is not
 * known whether it did. The server is told to (failCommand, for the connections of this
 * store alone); one that takes no such orders is left out. And transactions that nobody ends, and the views that runbooks look
 * into.
 */
#include "contract.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>
#include <mongoc/mongoc.h>

#include "hb_clock.h"
#include "hb_test.h"

#define APP "contract_fails"

/* What the server shall do wrong. 0: it does not do that. */
static int fail_next(const char *url, const char *text)
{
    mongoc_client_t *client = mongoc_client_new(url);
    bson_t *bson = bson_new_from_json((const uint8_t *)text, -1, NULL);
    bson_error_t error;
    bool good;

    ck_assert_ptr_nonnull(client);
    ck_assert_ptr_nonnull(bson);
    good = mongoc_client_command_simple(client, "admin", bson, NULL, NULL, &error);
    bson_destroy(bson);
    mongoc_client_destroy(client);
    if (!good) {
        printf("left out: %s\n", error.message);
    }
    return good;
}

/* An answer in the place of the real one, the next few times. */
static int answer_next(const contract_t *c, const char *url, const char *command, int times,
                       int code, const char *label)
{
    return fail_next(url, apr_psprintf(
        c->pool, "{\"configureFailPoint\":\"failCommand\",\"mode\":{\"times\":%d},\"data\":"
        "{\"failCommands\":[\"%s\"],\"errorCode\":%d,\"errorLabels\":[\"%s\"],"
        "\"appName\":\"" APP "%ld\"}}", times, command, code, label, (long)getpid()));
}

/* Reads in all ways, then writes. */
static apr_status_t count_up(hb_op_t *op, void *baton)
{
    const char *const by[2] = { "_id", NULL };
    hb_cond_t where = { .field = "email", .how = HB_IS, .value = HB_STR("x@example.com") };
    hb_query_t query = { .in = HB_C_USERS, .where = &where, .n_where = 1 };
    hb_edit_t edit = { "coins.balance", HB_INC, HB_INT(1) };
    hb_group_t *groups;
    hb_page_t page;
    apr_int64_t n;
    apr_status_t rv;
    int n_groups, *n_runs = baton;

    ++*n_runs;
    rv = hb_store_find(&page, op, &query);
    if (rv == APR_SUCCESS) {
        rv = hb_store_count(&n, op, &query);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_store_groups(&groups, &n_groups, op, &query, by, NULL);
    }
    return rv == APR_SUCCESS
        ? hb_store_change(NULL, NULL, op, HB_C_USERS, "x", NULL, 0, &edit, 1) : rv;
}

static const struct {
    const char *command;
    int times, code;
    const char *label;
    int n_runs;
} answers[] = {
    { "find",              1, 246, "TransientTransactionError", 2 },       /* SnapshotUnavailable */
    { "find",              2, 267, "TransientTransactionError", 3 },
    { "aggregate",         2, 250, "TransientTransactionError", 3 },
    { "update",            1, 112, "TransientTransactionError", 2 },
    { "commitTransaction", 1, 251, "TransientTransactionError", 2 },
    { "commitTransaction", 3, 64,  "UnknownTransactionCommitResult", 1 },  /* asked again, not run */
};

/* And a URL whose readPreference would forbid transactions is no hindrance. */
START_TEST(a_transaction_goes_on_as_the_labels_say)
{
    contract_t *c = contract_make(_i, "");
    const char *plain = c->url;
    hb_json_t *doc;
    unsigned int i;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    c->url = apr_psprintf(hb_test_pool, "%s%cappName=" APP "%ld&readPreference=secondaryPreferred",
                          plain, strchr(plain, '?') != NULL ? '&' : '?', (long)getpid());
    contract_start(c);
    contract_insert(c->op, HB_C_USERS, "{'_id':'x','email':'x@example.com','coins':{'balance':0}}");
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        int n_runs = 0;

        if (!answer_next(c, plain, answers[i].command, answers[i].times, answers[i].code,
                         answers[i].label)) {
            break;
        }
        ASSERT_OK(hb_store_transact(c->op, count_up, &n_runs));
        ck_assert_msg(n_runs == answers[i].n_runs, "%s %d: ran %d times", answers[i].command,
                      answers[i].code, n_runs);
        ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "x"));
        ck_assert_int_eq(hb_json_int(hb_json_get(doc, "coins"), "balance", -1), (int)i + 1);
    }
    ck_assert_int_eq(c->op->problem.status, APR_SUCCESS);
}
END_TEST

/* What a caller is told who asks when the server cannot answer well. */
START_TEST(every_answer_has_its_meaning)
{
    static const struct { const char *command; int code; apr_status_t rv; } rows[] = {
        { "find",          43,    HB_E_UNAVAILABLE },       /* the cursor went with its server */
        { "find",          175,   HB_E_UNAVAILABLE },       /* an index was dropped beneath it */
        { "find",          11601, HB_E_STORE_CONFLICT },
        { "find",          16500, HB_E_STORE_CONFLICT },    /* more calls than were paid for */
        { "insert",        365,   HB_E_STORE_CONFLICT },
        { "insert",        371,   HB_E_STORE_READONLY },    /* a hosted cluster's disk is full */
        { "insert",        14031, HB_E_STORE_READONLY },
        { "insert",        100,   HB_E_STORE_READONLY },    /* no majority is left */
        { "insert",        10334, HB_E_INPUT_INVALID },
        { "insert",        134,   HB_E_STORE_DOWN },        /* the last: the gate closes */
    };
    contract_t *c = contract_make(_i, "");
    const char *plain = c->url;
    unsigned int i;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    c->url = apr_psprintf(hb_test_pool, "%s%cappName=" APP "%ld", plain,
                          strchr(plain, '?') != NULL ? '&' : '?', (long)getpid());
    contract_start(c);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hb_op_t *op = contract_op(c);
        hb_json_t *doc = contract_json(op, "{'email':'x@example.com'}");
        apr_status_t rv;

        if (!answer_next(c, plain, rows[i].command, 1, rows[i].code, "None")) {
            break;
        }
        rv = rows[i].command[0] == 'f' ? hb_store_get(&doc, op, HB_C_USERS, "x")
            : hb_store_insert(NULL, op, HB_C_USERS, doc);
        ck_assert_msg(rv == rows[i].rv, "%d: %s", rows[i].code, hb_error_row(rv)->code);
        ck_assert_msg(op->problem.retry_after_sec > 0 || rv == HB_E_INPUT_INVALID, "%d",
                      rows[i].code);
    }
}
END_TEST

/* Told to a server directly, in the store's database. */
static void tell(const char *url, const char *text)
{
    mongoc_client_t *client = mongoc_client_new(url);
    mongoc_uri_t *uri = mongoc_uri_new(url);
    bson_t *bson = bson_new_from_json((const uint8_t *)text, -1, NULL);
    bson_error_t error;

    ck_assert_msg(mongoc_client_command_simple(client, mongoc_uri_get_database(uri), bson, NULL, NULL,
                                               &error), "%s: %s", text, error.message);
    bson_destroy(bson);
    mongoc_uri_destroy(uri);
    mongoc_client_destroy(client);
}

/* As after an update that wants another index under the same name. */
START_TEST(an_index_of_an_older_version_is_made_anew)
{
    contract_t *c = contract_make(_i, "");

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    contract_start(c);
    contract_stop(c);
    tell(c->url, "{\"dropIndexes\":\"users\",\"index\":\"email\"}");
    tell(c->url, "{\"createIndexes\":\"users\",\"indexes\":[{\"key\":{\"email\":1,\"phone\":1},"
         "\"name\":\"email\"}]}");
    tell(c->url, "{\"update\":\"halobuzz_meta\",\"updates\":[{\"q\":{\"_id\":\"layout\"},"
         "\"u\":{\"$set\":{\"hash\":\"older\"}}}]}");
    contract_start(c);
    contract_is_whole(c->op);
}
END_TEST

typedef struct holding_t {
    hb_op_t *op, *other;
    pthread_barrier_t *met;
    apr_status_t rv;
} holding_t;

/* Two at once hold their turns until a third one was refused. */
static apr_status_t hold_turn(hb_op_t *op, void *baton)
{
    holding_t *holding = baton;
    hb_json_t *doc;

    (void)op;
    pthread_barrier_wait(holding->met);
    pthread_barrier_wait(holding->met);
    /* Who has a turn may ask beside it. */
    return hb_store_get(&doc, holding->other, HB_C_USERS, "x");
}

static void *hold(void *baton)
{
    holding_t *holding = baton;

    holding->rv = hb_store_transact(holding->op, hold_turn, holding);
    return NULL;
}

START_TEST(some_threads_never_wait_for_it)
{
    contract_t *c = contract_make(_i, "");
    pthread_barrier_t met;
    holding_t holding[2];
    pthread_t threads[2];
    hb_json_t *doc;
    hb_op_t *op;
    int i;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    c->ts->site->n_threads = 3;
    contract_start(c);
    contract_insert(c->op, HB_C_USERS, "{'_id':'x','email':'x@example.com'}");
    pthread_barrier_init(&met, NULL, 3);
    for (i = 0; i < 2; i++) {
        holding[i] = (holding_t){ contract_op(c), contract_op(c), &met, APR_EGENERAL };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold, &holding[i]), 0);
    }
    pthread_barrier_wait(&met);
    op = contract_op(c);
    ck_assert_int_eq(hb_store_get(&doc, op, HB_C_USERS, "x"), HB_E_STORE_DOWN);
    ck_assert_int_gt(op->problem.retry_after_sec, 0);
    pthread_barrier_wait(&met);
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ASSERT_OK(holding[i].rv);
    }
    ASSERT_OK(hb_store_get(&doc, contract_op(c), HB_C_USERS, "x"));
    pthread_barrier_destroy(&met);
}
END_TEST

/* --- what nobody ended --- */

#define SOON_USEC 30000000      /* the server's own limit is a minute */

static apr_status_t give_one(hb_op_t *op, void *baton)
{
    hb_edit_t edit = { "coins.balance", HB_INC, HB_INT(1) };

    (void)baton;
    return hb_store_change(NULL, NULL, op, HB_C_USERS, "x", NULL, 0, &edit, 1);
}

static apr_status_t give_and_hang(hb_op_t *op, void *baton)
{
    const int *pipe = baton;
    apr_status_t rv = give_one(op, NULL);

    if (rv != APR_SUCCESS || write(pipe[1], "x", 1) != 1) {
        return APR_EGENERAL;
    }
    for (;;) {
        pause();
    }
}

static int hang_inside(contract_t *c, int number, void *baton)
{
    (void)number;
    contract_insert(c->op, HB_C_USERS, "{'_id':'x','email':'x@example.com','coins':{'balance':0}}");
    return hb_store_transact(c->op, give_and_hang, baton) != APR_SUCCESS;
}

static void check_given(contract_t *c, int wanted)
{
    apr_int64_t began = hb_clock();
    hb_json_t *doc;

    ASSERT_OK(hb_store_transact(c->op, give_one, NULL));
    ck_assert_int_lt(hb_clock() - began, SOON_USEC);
    ASSERT_OK(hb_store_get(&doc, c->op, HB_C_USERS, "x"));
    ck_assert_int_eq(hb_json_int(hb_json_get(doc, "coins"), "balance", -1), wanted);
}

START_TEST(who_is_killed_inside_a_transaction_holds_nobody_up)
{
    contract_t *c = contract_make(_i, "");
    int fds[2], status;
    char said;
    pid_t pid;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    ck_assert_int_eq(pipe(fds), 0);
    contract_fork(&pid, c, 1, hang_inside, fds);
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &said, 1), 1);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    contract_start(c);
    check_given(c, 1);
    close(fds[0]);
}
END_TEST

static apr_status_t give_and_fail(hb_op_t *op, void *baton)
{
    apr_status_t rv = give_one(op, baton);

    return rv == APR_SUCCESS ? HB_E_FORBIDDEN : rv;
}

/* The driver asks twice, and says nothing when neither came through. */
START_TEST(an_abort_that_is_lost_is_made_good)
{
    contract_t *c = contract_make(_i, "");
    const char *plain = c->url;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    c->url = apr_psprintf(hb_test_pool, "%s%cappName=" APP "%ld", plain,
                          strchr(plain, '?') != NULL ? '&' : '?', (long)getpid());
    contract_start(c);
    contract_insert(c->op, HB_C_USERS, "{'_id':'x','email':'x@example.com','coins':{'balance':0}}");
    if (!fail_next(plain, apr_psprintf(c->pool, "{\"configureFailPoint\":\"failCommand\",\"mode\":"
                   "{\"times\":2},\"data\":{\"failCommands\":[\"abortTransaction\"],"
                   "\"closeConnection\":true,\"appName\":\"" APP "%ld\"}}", (long)getpid()))) {
        return;
    }
    ck_assert_int_eq(hb_store_transact(c->op, give_and_fail, NULL), HB_E_FORBIDDEN);
    check_given(c, 1);
}
END_TEST

/* How many a runbook of the platform before this one finds in a collection of its name. */
static apr_int64_t ask(const char *url, const char *collection, const char *filter)
{
    mongoc_client_t *client = mongoc_client_new(url);
    mongoc_uri_t *uri = mongoc_uri_new(url);
    mongoc_collection_t *there = mongoc_client_get_collection(client, mongoc_uri_get_database(uri),
                                                              collection);
    bson_t *bson = bson_new_from_json((const uint8_t *)filter, -1, NULL);
    bson_error_t error;
    apr_int64_t n = mongoc_collection_count_documents(there, bson, NULL, NULL, NULL, &error);

    bson_destroy(bson);
    mongoc_collection_destroy(there);
    mongoc_uri_destroy(uri);
    mongoc_client_destroy(client);
    return n;
}

START_TEST(runbooks_find_records_under_their_names)
{
    static const struct { const char *collection, *filter; int n; } rows[] = {
        { "streams", "{\"isLive\":true,\"userId\":\"h\"}", 1 },
        { "streams", "{\"isLive\":false}", 1 },
        { "streams", "{\"startTime\":{\"$gt\":{\"$date\":1000}}}", 1 },
        { "chat",    "{\"streamId\":\"a\"}", 1 },
    };
    contract_t *c = contract_make(_i, "");
    unsigned int i;

    if (strcmp(c->backend, "mongodb") != 0) {
        return;
    }
    contract_start(c);
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'a','hostId':'h','status':'live','createdAt':1,"
                    "'startedAt':2000,'viewers':0,'score':0}");
    contract_insert(c->op, HB_C_STREAMS, "{'_id':'b','hostId':'h','status':'pending','createdAt':1,"
                    "'viewers':0,'score':0}");
    contract_insert(c->op, HB_C_MESSAGES, "{'_id':'m','streamId':'a','createdAt':1}");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_int64_t n = ask(c->url, rows[i].collection, rows[i].filter);

        ck_assert_msg(n == rows[i].n, "%s %s: %d", rows[i].collection, rows[i].filter, (int)n);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { a_transaction_goes_on_as_the_labels_say, every_answer_has_its_meaning,
                                   an_index_of_an_older_version_is_made_anew, some_threads_never_wait_for_it,
                                   who_is_killed_inside_a_transaction_holds_nobody_up,
                                   an_abort_that_is_lost_is_made_good,
                                   runbooks_find_records_under_their_names, NULL };

    return contract_main("store_mongodb", cases);
}
