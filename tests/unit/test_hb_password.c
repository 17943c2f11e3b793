/* SPDX-License-Identifier: Apache-2.0 */
#include "hb_password.h"

#include <string.h>
#include <sys/resource.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "hb_test.h"
#include "hb_test_op.h"

/* Published with crypt_blowfish: "U*U" at cost 5. */
#define PUBLISHED "05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static apr_status_t verify(const char *password, const char *hash)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    apr_status_t rv = hb_password_verify(op, password, hash);

    ck_assert_int_eq(op->problem.status, rv);
    return rv;
}

static const char *hash_of(hb_op_t *op, const char *password)
{
    const char *hash;

    ck_assert_int_eq(hb_password_hash(&hash, op, password), APR_SUCCESS);
    return hash;
}

START_TEST(a_hash_fits_its_password)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    const char *hash = hash_of(op, "Test123!");

    ck_assert_uint_eq(strlen(hash), 60);
    ck_assert_int_eq(strncmp(hash, "$2y$04$", 7), 0);
    ck_assert_str_ne(hash, hash_of(op, "Test123!"));
    ck_assert_int_eq(verify("Test123!", hash), APR_SUCCESS);
    ck_assert_int_eq(verify("test123!", hash), HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(verify("", hash), HB_E_AUTH_CREDENTIALS);
}
END_TEST

START_TEST(hashes_of_other_platforms_are_taken)
{
    ck_assert_int_eq(verify("U*U", "$2a$" PUBLISHED), APR_SUCCESS);
    ck_assert_int_eq(verify("U*U", "$2b$" PUBLISHED), APR_SUCCESS);
    ck_assert_int_eq(verify("U*U", "$2y$" PUBLISHED), APR_SUCCESS);
    ck_assert_int_eq(verify("U*V", "$2b$" PUBLISHED), HB_E_AUTH_CREDENTIALS);
}
END_TEST

START_TEST(nothing_but_bcrypt_is_taken)
{
    static const char *const others[] = {
        "", "secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
        "$1$salt$abcdefghijklmnop", "ab01FAX.bQRSU", "$2y$04$short", ("$2x$" PUBLISHED),
        "$2y$0x$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO:W"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        ck_assert_msg(verify("secret", others[i]) == HB_E_AUTH_CREDENTIALS, "%s", others[i]);
    }
}
END_TEST

START_TEST(every_character_of_a_long_password_counts)
{
    hb_op_t *op = hb_test_op_make(hb_test_desk_make(hb_test_pool), hb_test_pool);
    char exact[73], longer[129], other[129];
    const char *hash;

    memset(exact, 'x', 72);
    exact[72] = '\0';
    memset(longer, 'x', 128);
    longer[128] = '\0';
    memcpy(other, longer, 129);
    other[127] = 'y';
    hash = hash_of(op, longer);
    ck_assert_int_eq(verify(longer, hash), APR_SUCCESS);
    ck_assert_int_eq(verify(other, hash), HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(verify(exact, hash), HB_E_AUTH_CREDENTIALS);
    ck_assert_int_eq(verify(exact, hash_of(op, exact)), APR_SUCCESS);
    ck_assert_int_eq(verify(longer, hash_of(op, exact)), HB_E_AUTH_CREDENTIALS);
}
END_TEST

START_TEST(the_rule_for_long_passwords_stays)
{
    char longer[101];

    memset(longer, 'x', 100);
    longer[100] = '\0';
    /* bcrypt, cost 4, of base64(SHA-256("xxx...")), made by crypt(3): must verify for ever. */
    ck_assert_int_eq(verify(longer, "$2y$04$abcdefghijklmnopqrstuuMStnCU0ISmwB6DYVG67BQ54kYyEazIO"), APR_SUCCESS);
}
END_TEST

START_TEST(an_unknown_account_costs_the_same_work)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    apr_time_t since, known = 0, unknown = 0;
    const char *hash;
    int i;

    desk->settings.password_cost = 8;
    hash = hash_of(hb_test_op_make(desk, hb_test_pool), "right one");
    for (i = 0; i < 8; i++) {
        since = apr_time_now();
        ck_assert_int_eq(hb_password_verify(hb_test_op_make(desk, hb_test_pool), "wrong", hash),
                         HB_E_AUTH_CREDENTIALS);
        known += apr_time_now() - since;
        since = apr_time_now();
        ck_assert_int_eq(hb_password_verify(hb_test_op_make(desk, hb_test_pool), "wrong", NULL),
                         HB_E_AUTH_CREDENTIALS);
        unknown += apr_time_now() - since;
    }
    /* Wide bounds, because the machine may be busy: leaving the work out is 100 times less. */
    ck_assert_int_gt(unknown, known / 4);
    ck_assert_int_lt(unknown, known * 4);
}
END_TEST

START_TEST(another_cost_is_outdated)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    const char *hash = hash_of(op, "Test123!");

    ck_assert(!hb_password_is_outdated(op, hash));
    desk->settings.password_cost = 12;
    ck_assert(hb_password_is_outdated(op, hash));
    ck_assert(hb_password_is_outdated(op, "{SHA}x"));
}
END_TEST

static const struct { const char *password, *code; } choices[] = {
    { "Test123!", NULL },                       /* of the deployment runbook */
    { "correct horse battery", NULL },
    { "\xe0\xa4\xa8\xe0\xa5\x87\xe0\xa4\xaa\xe0\xa4\xbe\xe0\xa4\xb2 123", NULL },
    { "", "length" },
    { "1234567", "length" },
    { "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "length" },    /* 4 characters in 8 bytes */
    { "testuser1", "value" },
    { "TestUser1", "value" },
    { "some.body", "value" },
    { "Some.Body@example.com", "value" },
    { "Password1", "value" },
    { "12345678", "value" },
    { "qwertyuiop", "value" },
    { "zzzzzzzzzzzz", "value" },
};

START_TEST(passwords_are_checked)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    char *longest = apr_pcalloc(hb_test_pool, 130);
    hb_op_t *op;
    apr_size_t i;

    for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        op = hb_test_op_make(desk, hb_test_pool);
        if (hb_password_check(op, "password", choices[i].password, "testuser1",
                              "some.body@example.com") == APR_SUCCESS) {
            ck_assert_msg(choices[i].code == NULL, "%s", choices[i].password);
            continue;
        }
        ck_assert_msg(choices[i].code != NULL, "%s", choices[i].password);
        ck_assert_int_eq(op->problem.status, HB_E_INPUT_INVALID);
        ck_assert_str_eq(op->problem.fields[0].field, "password");
        ck_assert_str_eq(op->problem.fields[0].code, choices[i].code);
        ck_assert(*choices[i].password == '\0'
                  || strstr(op->problem.fields[0].detail, choices[i].password) == NULL);
    }
    op = hb_test_op_make(desk, hb_test_pool);
    ck_assert_int_eq(hb_password_check(op, "p", "Test123!", NULL, NULL), APR_SUCCESS);
    memset(longest, 'x', 128);
    longest[0] = 'y';
    ck_assert_int_eq(hb_password_check(op, "p", longest, NULL, NULL), APR_SUCCESS);
    longest[128] = 'x';
    ck_assert_int_eq(hb_password_check(op, "p", longest, NULL, NULL), HB_E_INPUT_INVALID);
}
END_TEST

/* Work that is done when the case says so. */
static int may_end;

static void until_told(void *baton)
{
    (void)baton;
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE)) {
        apr_sleep(apr_time_from_msec(2));
    }
}

typedef struct runner_t {
    hb_hashgate_t *gate;
    hb_hashgate_fn *fn;
    apr_thread_t *thread;
    int order;
    apr_status_t status;
} runner_t;

static int turns;

/* One at a time: the gate orders this. */
static void note_order(void *baton)
{
    ((runner_t *)baton)->order = ++turns;
}

static void *APR_THREAD_FUNC run(apr_thread_t *thread, void *baton)
{
    runner_t *runner = baton;

    runner->status = hb_hashgate_run(runner->gate, apr_time_from_sec(20), runner->fn, runner);
    (void)thread;
    return NULL;
}

static void start(runner_t *runner, hb_hashgate_t *gate, hb_hashgate_fn *fn)
{
    *runner = (runner_t){ gate, fn, NULL, 0, APR_EGENERAL };
    ck_assert_int_eq(apr_thread_create(&runner->thread, NULL, run, runner, hb_test_pool),
                     APR_SUCCESS);
    apr_sleep(apr_time_from_msec(50));  /* until it queues */
}

static void end(runner_t *runners, int n)
{
    apr_status_t rv;
    int i;

    __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
    for (i = 0; i < n; i++) {
        apr_thread_join(&rv, runners[i].thread);
        ck_assert_int_eq(runners[i].status, APR_SUCCESS);
    }
    __atomic_store_n(&may_end, 0, __ATOMIC_RELEASE);
}

START_TEST(the_gate_serves_in_order)
{
    runner_t runners[5];
    hb_hashgate_t *gate;
    int i;

    ck_assert_int_eq(hb_hashgate_make(&gate, 1, 48, hb_test_pool), APR_SUCCESS);
    start(&runners[0], gate, until_told);
    for (i = 1; i < 5; i++) {
        start(&runners[i], gate, note_order);
    }
    ck_assert_int_eq(turns, 0);
    end(runners, 5);
    for (i = 1; i < 5; i++) {
        ck_assert_int_eq(runners[i].order, i);
    }
}
END_TEST

START_TEST(who_gets_no_turn_goes_away_and_leaves_no_trace)
{
    runner_t runners[2];
    hb_hashgate_t *gate;
    apr_time_t since;

    ck_assert_int_eq(hb_hashgate_make(&gate, 2, 48, hb_test_pool), APR_SUCCESS);
    start(&runners[0], gate, until_told);
    start(&runners[1], gate, until_told);
    since = apr_time_now();
    turns = 0;
    ck_assert_int_eq(hb_hashgate_run(gate, apr_time_from_msec(100), note_order, &runners[0]),
                     APR_TIMEUP);
    ck_assert_int_ge(apr_time_now() - since, apr_time_from_msec(95));
    ck_assert_int_eq(hb_hashgate_run(gate, 0, note_order, &runners[0]), APR_TIMEUP);
    end(runners, 2);
    ck_assert_int_eq(turns, 0);
    ck_assert_int_eq(hb_hashgate_run(gate, apr_time_from_sec(20), note_order, &runners[0]),
                     APR_SUCCESS);
    ck_assert_int_eq(turns, 1);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once)
{
    runner_t runners[3];
    hb_hashgate_t *gate;
    apr_time_t since;

    ck_assert_int_eq(hb_hashgate_make(&gate, 1, 2, hb_test_pool), APR_SUCCESS);
    start(&runners[0], gate, until_told);       /* runs */
    start(&runners[1], gate, note_order);       /* the queue */
    start(&runners[2], gate, note_order);
    since = apr_time_now();
    ck_assert_int_eq(hb_hashgate_run(gate, apr_time_from_sec(60), note_order, &runners[0]),
                     APR_TIMEUP);
    ck_assert_int_lt(apr_time_now() - since, apr_time_from_sec(30));
    end(runners, 3);
}
END_TEST

static void note_priority(void *baton)
{
    *(int *)baton = getpriority(PRIO_PROCESS, 0);
}

START_TEST(hashes_yield_to_everybody_else)
{
    int ours = getpriority(PRIO_PROCESS, 0), theirs = -100;
    hb_hashgate_t *gate;

    ck_assert_int_eq(hb_hashgate_make(&gate, 1, 48, hb_test_pool), APR_SUCCESS);
    ck_assert_int_eq(hb_hashgate_run(gate, apr_time_from_sec(20), note_priority, &theirs),
                     APR_SUCCESS);
    ck_assert_int_eq(theirs, ours + 10 > 19 ? 19 : ours + 10);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), ours);
}
END_TEST

START_TEST(a_gate_may_go_while_work_is_under_way)
{
    runner_t runners[1];
    hb_hashgate_t *gate;
    apr_pool_t *pool;

    apr_pool_create(&pool, NULL);
    ck_assert_int_eq(hb_hashgate_make(&gate, 2, 48, pool), APR_SUCCESS);
    start(&runners[0], gate, until_told);
    apr_pool_destroy(pool);
    end(runners, 1);
    /* And one that nobody ever used. */
    apr_pool_create(&pool, NULL);
    ck_assert_int_eq(hb_hashgate_make(&gate, 0, 48, pool), APR_SUCCESS);
    apr_pool_destroy(pool);
}
END_TEST

START_TEST(a_full_gate_is_told_to_the_caller)
{
    hb_test_desk_t *desk = hb_test_desk_make(hb_test_pool);
    hb_op_t *op = hb_test_op_make(desk, hb_test_pool);
    runner_t runners[1];
    const char *hash;

    ck_assert_int_eq(hb_hashgate_make(&desk->site.hashgate, 1, 48, hb_test_pool), APR_SUCCESS);
    start(&runners[0], desk->site.hashgate, until_told);
    ck_assert_int_eq(hb_password_hash(&hash, op, "Test123!"), HB_E_AUTH_BUSY);
    ck_assert_int_eq(op->problem.status, HB_E_AUTH_BUSY);
    ck_assert_int_eq(op->problem.retry_after_sec, 1);
    end(runners, 1);
    op = hb_test_op_make(desk, hb_test_pool);
    ck_assert_int_eq(hb_password_hash(&hash, op, "Test123!"), APR_SUCCESS);
    ck_assert_int_eq(hb_password_verify(op, "Test123!", hash), APR_SUCCESS);
    ck_assert_int_eq(hb_password_verify(op, "Test123", hash), HB_E_AUTH_CREDENTIALS);
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        a_hash_fits_its_password, hashes_of_other_platforms_are_taken,
        nothing_but_bcrypt_is_taken, every_character_of_a_long_password_counts,
        the_rule_for_long_passwords_stays, an_unknown_account_costs_the_same_work,
        another_cost_is_outdated, passwords_are_checked, the_gate_serves_in_order,
        who_gets_no_turn_goes_away_and_leaves_no_trace, a_full_queue_refuses_at_once,
        hashes_yield_to_everybody_else, a_gate_may_go_while_work_is_under_way,
        a_full_gate_is_told_to_the_caller, NULL
    };
    return hb_test_main("hb_password", cases);
}
