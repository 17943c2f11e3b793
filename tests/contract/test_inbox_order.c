/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ten thousand recorded events, once as they came, once doubled and shuffled: the same balances
 * of every account, on every backend. Eight threads deliver, as many connections would.
 */
#include "contract.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "hb_inbox.h"
#include "hb_ledger.h"
#include "hb_sandbox.h"
#include "hb_test.h"
#include "hb_time.h"

#define N_ORDERS 3400
#define N_EVENTS 10000
#define N_USERS 40
#define N_THREADS 8

static hb_pay_message_t events[N_EVENTS];
static int order_of[N_EVENTS];
static int n_events;

/* What may come of an order, in the order of things. */
static const char *const stories[][5] = {
    { "payment.paid", "payment.paid", "payment.paid", NULL },
    { "payment.failed", "payment.paid", "payment.refunded", NULL },
    { "payment.failed", "payment.failed", "payment.canceled", NULL },
    { "payment.paid", "dispute.opened", "dispute.won", NULL },
    { "payment.paid", "dispute.opened", "dispute.lost", NULL },
    { "payment.canceled", "payment.paid", "payment.failed", NULL },
};

#define N_STORIES ((int)(sizeof(stories) / sizeof(stories[0])))

static const char *order_id(apr_pool_t *pool, int i)
{
    return apr_psprintf(pool, "0d%022x", i + 1);
}

static const char *user_id(apr_pool_t *pool, int i)
{
    return apr_psprintf(pool, "%024x", i + 1);
}

static apr_status_t fill(hb_op_t *op, void *baton)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    (void)baton;
    for (i = 0; i < N_USERS && rv == APR_SUCCESS; i++) {
        hb_json_t *user = hb_json_object_make(op->pool);

        hb_json_set_string(user, "_id", user_id(op->pool, i));
        hb_json_set_string(user, "username", apr_psprintf(op->pool, "user%d", i));
        hb_json_set_string(user, "status", "active");
        hb_json_set_int(user, "createdAt", hb_time_to_msec(op->now));
        rv = hb_store_insert(NULL, op, HB_C_USERS, user);
    }
    for (i = 0; i < N_ORDERS && rv == APR_SUCCESS; i++) {
        hb_json_t *order = hb_json_object_make(op->pool);

        hb_json_set_string(order, "_id", order_id(op->pool, i));
        hb_json_set_string(order, "userId", user_id(op->pool, i % N_USERS));
        hb_json_set_string(order, "provider", "sandbox");
        hb_json_set_string(order, "kind", "coins");
        hb_json_set_string(order, "product", "npr-500");
        hb_json_set_string(order, "title", "500 coins");
        hb_json_set_int(order, "coins", 100 + i % 7);
        hb_json_set_int(order, "bonus", i % 3);
        hb_json_set_int(order, "ogTier", 0);
        hb_json_set_int(order, "amountMinor", 1000);
        hb_json_set_string(order, "currency", "npr");
        hb_json_set_bool(order, "isLive", 0);
        hb_json_set_string(order, "state", "open");
        hb_json_set_int(order, "createdAt", hb_time_to_msec(op->now));
        hb_json_set_int(order, "expiresAt", hb_time_to_msec(op->now) + 3600000);
        hb_json_set_int(order, "openUntil", hb_time_to_msec(op->now) + 3600000);
        rv = hb_store_insert(NULL, op, HB_C_ORDERS, order);
    }
    return rv;
}

/* One secret for both sites, so that both take the same bytes. */
static contract_t *site_with_orders(int i)
{
    const char *path = apr_pstrcat(hb_test_pool, "/tmp/hb-secret-", apr_itoa(hb_test_pool,
                                   (int)getpid()), NULL);
    apr_file_t *file;
    contract_t *c;

    ck_assert_int_eq(apr_file_open(&file, path, APR_WRITE | APR_CREATE | APR_TRUNCATE,
                                   APR_FPROT_UREAD | APR_FPROT_UWRITE, hb_test_pool),
                     APR_SUCCESS);
    apr_file_puts("one-secret-for-both-sites-0123456789abcdef\n", file);
    apr_file_close(file);
    c = contract_make(i, apr_pstrcat(hb_test_pool, "HaloBuzzPaySandbox on\n"
                                     "HaloBuzzPaySandboxSecret file:", path, "\n", NULL));
    apr_file_remove(path, hb_test_pool);
    contract_start(c);
    ASSERT_OK(hb_store_transact(contract_op(c), fill, NULL));
    return c;
}

static void record_events(contract_t *c)
{
    const hb_pay_provider_t *sandbox = hb_pay_provider("sandbox");
    int i, k;

    for (i = 0; i < N_ORDERS; i++) {
        hb_op_t *op = contract_op(c);
        hb_order_t order;

        ASSERT_OK(hb_order_load(&order, op, order_id(op->pool, i)));
        for (k = 0; stories[i % N_STORIES][k] != NULL && n_events < N_EVENTS; k++) {
            hb_pay_message_t *event = &events[n_events];

            ASSERT_OK(sandbox->sample(event, op, &order, stories[i % N_STORIES][k]));
            event->body = apr_pstrmemdup(hb_test_pool, event->body, event->len);
            event->signature = apr_pstrdup(hb_test_pool, event->signature);
            order_of[n_events++] = i;
        }
        apr_pool_destroy(op->pool);
    }
    ck_assert_int_eq(n_events, N_EVENTS);
}

typedef struct delivery_t {
    const int *turns;           /* numbers of events */
    int n;
    int by_order;               /* a thread has whole orders, so each comes as it was recorded */
} delivery_t;

static int deliver(contract_t *c, int number, void *baton)
{
    const delivery_t *delivery = baton;
    int i;

    for (i = 0; i < delivery->n; i++) {
        int event = delivery->turns[i];
        hb_inbox_result_t result;
        hb_op_t *op;

        if ((delivery->by_order ? order_of[event] : i) % N_THREADS != number) {
            continue;
        }
        op = contract_op(c);
        events[event].received_at = op->now;
        if (hb_inbox_receive(&result, op, hb_pay_provider("sandbox"), &events[event])
            != APR_SUCCESS) {
            return 1;
        }
        apr_pool_destroy(op->pool);
    }
    return 0;
}

static void tell(apr_array_header_t *lines, contract_t *c, const char *account)
{
    hb_op_t *op = contract_op(c);
    apr_int64_t coins;

    ASSERT_OK(hb_ledger_balance(&coins, op, account));
    APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(hb_test_pool, "%s %" APR_INT64_T_FMT,
                                                       account, coins);
}

static apr_array_header_t *balances(contract_t *c)
{
    apr_array_header_t *lines = apr_array_make(hb_test_pool, 200, sizeof(const char *));
    hb_op_t *op = contract_op(c);
    int i;

    for (i = 0; i < N_USERS; i++) {
        const char *id = user_id(op->pool, i);

        tell(lines, c, hb_account_user(op, id));
        tell(lines, c, hb_account_bonus(op, id));
        tell(lines, c, hb_account_debt(op, id));
        tell(lines, c, hb_account_held(op, hb_account_user(op, id)));
    }
    tell(lines, c, HB_ACCOUNT_MINT);
    tell(lines, c, HB_ACCOUNT_BONUS_MINT);
    return lines;
}

static void is_proved(contract_t *c)
{
    hb_ledger_proof_t proof;

    ASSERT_OK(hb_ledger_verify(&proof, contract_op(c), NULL, NULL));
    ck_assert_msg(proof.findings == 0, "%s", proof.what);
    ck_assert(proof.sum_coin == 0 && proof.sum_bonus == 0 && proof.entries > N_ORDERS / 2);
}

START_TEST(events_shuffled_and_doubled_give_the_same_balances)
{
    static int turns[2 * N_EVENTS];
    delivery_t delivery = { turns, N_EVENTS, 1 };
    apr_array_header_t *first, *second;
    contract_t *c = site_with_orders(_i);
    int i;

    n_events = 0;
    record_events(c);
    for (i = 0; i < N_EVENTS; i++) {
        turns[i] = i;
    }
    contract_threads(c, N_THREADS, deliver, &delivery);
    is_proved(c);
    first = balances(c);
    contract_stop(c);

    c = site_with_orders(_i);
    srand(7);
    for (i = 0; i < 2 * N_EVENTS; i++) {
        int k = rand() % (i + 1);

        turns[i] = turns[k];
        turns[k] = i % N_EVENTS;
    }
    delivery.n = 2 * N_EVENTS;
    delivery.by_order = 0;
    contract_threads(c, N_THREADS, deliver, &delivery);
    is_proved(c);
    second = balances(c);
    for (i = 0; i < first->nelts; i++) {
        ck_assert_str_eq(APR_ARRAY_IDX(first, i, const char *),
                         APR_ARRAY_IDX(second, i, const char *));
    }
}
END_TEST

int main(void)
{
    const TTest *const cases[] = { events_shuffled_and_doubled_give_the_same_balances, NULL };

    return contract_main("inbox_order", cases);
}
