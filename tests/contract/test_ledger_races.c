/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger under threads, under kill -9, and against who tampers with it. */
#include "contract.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "hb_idem.h"
#include "hb_ledger.h"
#include "hb_test.h"

#define N_PEOPLE 6
#define N_THREADS 6
#define N_MOVES 60
#define N_KILLS 12

static const char *people[N_PEOPLE];

static apr_status_t buy(hb_op_t *op, void *baton)
{
    const char *id = baton;
    hb_entry_t entry = { .kind = "purchase", .user_id = id,
                         .key = apr_pstrcat(op->pool, "buy:", hb_id_make(op), NULL) };

    hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -1000);
    hb_entry_add(&entry, hb_account_user(op, id), HB_COIN, 1000);
    return hb_ledger_post(NULL, op, &entry);
}

static void make_people(hb_op_t *op)
{
    int i;

    for (i = 0; i < N_PEOPLE; i++) {
        people[i] = contract_user(op, apr_psprintf(op->pool, "person%d", i));
        ASSERT_OK(hb_store_transact(op, buy, (void *)people[i]));
    }
}

typedef struct gift_t {
    const char *from, *host, *key;
    apr_int64_t coins;
} gift_t;

static apr_status_t give(hb_op_t *op, void *baton)
{
    const gift_t *gift = baton;
    hb_entry_t entry = { .kind = "gift", .user_id = gift->from, .key = gift->key };

    hb_entry_add(&entry, hb_account_user(op, gift->from), HB_COIN, -gift->coins);
    hb_entry_add(&entry, hb_account_earned(op, gift->host), HB_COIN, gift->coins / 2);
    hb_entry_add(&entry, HB_ACCOUNT_REVENUE, HB_COIN, gift->coins - gift->coins / 2);
    return hb_ledger_post(NULL, op, &entry);
}

static int tell(void *baton, const char *what, apr_int64_t done, apr_int64_t total)
{
    (void)baton;
    (void)total;
    if (done < 0) {
        printf("finding: %s\n", what);
    }
    return 0;
}

static void prove(hb_ledger_proof_t *proof, contract_t *c)
{
    ASSERT_OK(hb_ledger_verify(proof, contract_op(c), tell, NULL));
}

static void is_clean(contract_t *c, apr_int64_t n_entries)
{
    hb_ledger_proof_t proof;

    prove(&proof, c);
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
    if (n_entries >= 0) {
        ck_assert_int_eq(proof.entries, n_entries);
    }
    ck_assert_int_eq(proof.sum_coin, 0);
    ck_assert_int_eq(proof.sum_bonus, 0);
}

static int give_the_last(contract_t *c, int number, void *baton)
{
    hb_op_t *op = contract_op(c);
    gift_t gift = { people[0], people[1], apr_psprintf(op->pool, "last:%d", number), 1000 };
    apr_status_t rv = hb_store_transact(op, give, &gift);

    ((apr_status_t *)baton)[number] = rv;
    return 0;
}

START_TEST(two_gifts_race_for_the_last_coin)
{
    contract_t *c = contract_open(_i);
    apr_status_t rvs[2];

    make_people(c->op);
    contract_threads(c, 2, give_the_last, rvs);
    ck_assert((rvs[0] == APR_SUCCESS && rvs[1] == HB_E_WALLET_SHORT)
              || (rvs[1] == APR_SUCCESS && rvs[0] == HB_E_WALLET_SHORT));
    is_clean(c, N_PEOPLE + 1);
}
END_TEST

static int give_at_random(contract_t *c, int number, void *baton)
{
    unsigned int seed = 7919u * (unsigned int)number + 1;
    int i;

    (void)baton;
    for (i = 0; i < N_MOVES; i++) {
        hb_op_t *op = contract_op(c);
        gift_t gift = { people[rand_r(&seed) % N_PEOPLE], people[rand_r(&seed) % N_PEOPLE],
                        apr_psprintf(op->pool, "random:%d:%d", number, i / 2 * 2 + 1),
                        1 + rand_r(&seed) % 200 };
        apr_status_t rv = hb_store_transact(op, give, &gift);

        /* Every second key was used before. */
        if (rv != APR_SUCCESS && rv != HB_E_WALLET_SHORT && rv != HB_E_LEDGER_REPEATED) {
            return 1;
        }
    }
    return 0;
}

/* Proves while others write: nothing that is only new may seem wrong. */
static int write_or_prove(contract_t *c, int number, void *baton)
{
    hb_ledger_proof_t proof;
    int i;

    if (number > 0) {
        return give_at_random(c, number, baton);
    }
    for (i = 0; i < 10; i++) {
        if (hb_ledger_verify(&proof, contract_op(c), tell, NULL) != APR_SUCCESS
            || proof.findings != 0) {
            return 2;
        }
    }
    return 0;
}

START_TEST(random_gifts_at_once_keep_the_sums)
{
    contract_t *c = contract_open(_i);

    make_people(c->op);
    contract_threads(c, N_THREADS, write_or_prove, NULL);
    is_clean(c, -1);
    contract_is_whole(c->op);
}
END_TEST

/* --- kill -9 --- */

/* Writes until it is killed; says each gift that it was told is kept. */
static void write_until_killed(contract_t *c, int round, int out)
{
    char line[64];
    int i;

    contract_start(c);
    for (i = 0; ; i++) {
        hb_op_t *op = contract_op(c);
        gift_t gift = { people[i % N_PEOPLE], people[(i + 1) % N_PEOPLE],
                        apr_psprintf(op->pool, "kill:%d:%d", round, i), 2 };

        if (hb_store_transact(op, give, &gift) != APR_SUCCESS) {
            _exit(1);
        }
        memset(line, 0, sizeof(line));
        apr_cpystrn(line, gift.key, sizeof(line));
        if (write(out, line, sizeof(line)) != sizeof(line)) {
            _exit(2);
        }
    }
}

START_TEST(kill_9_loses_nothing_that_was_promised)
{
    contract_t *c = contract_make(_i, "");
    apr_int64_t promised = 0;
    char line[64];
    int round;

    contract_start(c);
    make_people(c->op);
    contract_stop(c);
    for (round = 0; round < N_KILLS; round++) {
        int pipes[2], status, n = 0;
        hb_op_t *op;
        pid_t pid;

        ck_assert_int_eq(pipe(pipes), 0);
        fflush(stdout);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            close(pipes[0]);
            write_until_killed(c, round, pipes[1]);
        }
        close(pipes[1]);
        while (n < 3 + round && read(pipes[0], line, sizeof(line)) == sizeof(line)) {
            n++;
        }
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFSIGNALED(status), "the writer ended by itself: %x",
                      (unsigned int)status);
        contract_start(c);
        op = contract_op(c);
        do {
            const hb_cond_t where[] = { { "key", HB_IS, HB_STR(line) } };
            hb_query_t query = { HB_C_TRANSACTIONS, where, 1 };
            hb_json_t *entry;

            ASSERT_OK(hb_store_find_one(&entry, op, &query));
            promised++;
        } while (read(pipes[0], line, sizeof(line)) == sizeof(line));
        close(pipes[0]);
        is_clean(c, -1);
        contract_stop(c);
    }
    ck_assert_int_ge(promised, N_KILLS);
}
END_TEST

/* --- tampering: everything a record says is either hashed or recomputed --- */

static const struct {
    const char *label;
    hb_collection_e in;
    const char *field;
    int is_number;
    int names_entry;
} lies[] = {
    { "a reason", HB_C_TRANSACTIONS, "reason", 0, 1 },
    { "a key", HB_C_TRANSACTIONS, "key", 0, 1 },
    { "a user", HB_C_TRANSACTIONS, "userId", 0, 1 },
    { "a kind", HB_C_TRANSACTIONS, "type", 0, 1 },
    { "a status", HB_C_TRANSACTIONS, "status", 0, 1 },
    { "a reference", HB_C_TRANSACTIONS, "reference", 0, 1 },
    { "a reversal", HB_C_TRANSACTIONS, "reverses", 0, 1 },
    { "a hash", HB_C_TRANSACTIONS, "hash", 0, 1 },
    { "the hash before", HB_C_TRANSACTIONS, "prevHash", 0, 1 },
    { "a time", HB_C_TRANSACTIONS, "createdAt", 1, 1 },
    { "an amount", HB_C_TRANSACTIONS, "amount", 1, 1 },
    { "a number", HB_C_TRANSACTIONS, "seq", 1, 1 },
    { "a balance", HB_C_ACCOUNTS, "balance", 1, 0 },
    { "a count", HB_C_ACCOUNTS, "entries", 1, 0 },
    { "a last entry", HB_C_ACCOUNTS, "lastEntry", 0, 0 },
    { "an account's type", HB_C_ACCOUNTS, "type", 0, 0 },
    { "a user's balance", HB_C_USERS, "coins.balance", 1, 0 },
    { "a user's bonus", HB_C_USERS, "coins.bonusBalance", 1, 0 },
    { "what a user spent", HB_C_USERS, "coins.totalSpent", 1, 0 },
    { "what a host earned", HB_C_USERS, "coins.totalEarned", 1, 0 },
};

START_TEST(every_lie_is_found)
{
    contract_t *c = contract_open(_i);
    const hb_cond_t third[] = { { "seq", HB_IS, HB_INT(3) } };
    hb_query_t query = { HB_C_TRANSACTIONS, third, 1 };
    hb_json_t *entry;
    const char *entry_id;
    apr_size_t i;

    make_people(c->op);
    ASSERT_OK(hb_store_find_one(&entry, c->op, &query));
    entry_id = hb_json_string(entry, "_id");
    for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        const char *id = lies[i].in == HB_C_TRANSACTIONS ? entry_id
            : lies[i].in == HB_C_USERS ? people[2] : hb_account_user(c->op, people[2]);
        hb_edit_t lie = { lies[i].field, HB_INC, HB_INT(100) };
        hb_edit_t mend = { lies[i].field, HB_INC, HB_INT(-100) };
        hb_ledger_proof_t proof;
        hb_json_t *doc, *old;

        ASSERT_OK(hb_store_get(&doc, c->op, lies[i].in, id));
        old = hb_json_at(doc, lies[i].field);
        if (!lies[i].is_number) {
            lie = (hb_edit_t){ lies[i].field, HB_SET, HB_STR(people[5]) };
            mend = (hb_edit_t){ lies[i].field, old != NULL ? HB_SET : HB_UNSET, HB_DOC(old) };
        }
        ASSERT_OK(hb_store_change(NULL, NULL, c->op, lies[i].in, id, NULL, 0, &lie, 1));
        prove(&proof, c);
        ck_assert_msg(proof.findings > 0, "%s was not found", lies[i].label);
        if (lies[i].names_entry && strcmp(lies[i].field, "seq") != 0) {
            ck_assert_msg(proof.first_wrong != NULL
                          && strcmp(proof.first_wrong, entry_id) == 0, "%s: %s",
                          lies[i].label, proof.what);
        }
        ASSERT_OK(hb_store_change(NULL, NULL, c->op, lies[i].in, id, NULL, 0, &mend, 1));
        is_clean(c, N_PEOPLE);
    }
}
END_TEST

START_TEST(what_is_missing_is_found)
{
    contract_t *c = contract_open(_i);
    const hb_collection_e in[] = { HB_C_ACCOUNTS, HB_C_LEDGER, HB_C_LEDGER, HB_C_TRANSACTIONS };
    int i;

    make_people(c->op);
    for (i = 0; i < 4; i++) {
        const char *const ids[] = { hb_account_user(c->op, people[0]), "purchase:coin", "head",
                                    NULL };
        const char *id = ids[i];
        hb_ledger_proof_t proof;
        hb_json_t *doc;

        if (id == NULL) {       /* the last entry: only the head and the account know of it */
            ASSERT_OK(hb_store_get(&doc, c->op, HB_C_LEDGER, "head"));
            id = hb_json_string(doc, "lastEntry");
        }
        ASSERT_OK(hb_store_get(&doc, c->op, in[i], id));
        ASSERT_OK(hb_store_remove(c->op, in[i], id, NULL, 0));
        prove(&proof, c);
        ck_assert_int_gt(proof.findings, 0);
        ASSERT_OK(hb_store_insert(NULL, c->op, in[i], doc));
        is_clean(c, N_PEOPLE);
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = {
        two_gifts_race_for_the_last_coin, random_gifts_at_once_keep_the_sums,
        kill_9_loses_nothing_that_was_promised, every_lie_is_found, what_is_missing_is_found,
        NULL
    };

    return contract_main("ledger_races", cases);
}
