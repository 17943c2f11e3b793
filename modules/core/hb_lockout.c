/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock-out after failed tries. The counts are the limiter's; the settings are lock_account_after,
 * lock_address_after and lock_window.
 *
 * Each of account and address has two counts: tries that may fail yet or have failed, and
 * those that have failed. The first admits exactly as many as the setting says; the second tells
 * a lock from a crowd of sign-ins that are still being hashed.
 */
#include "hb_lockout.h"

#include <string.h>

#include "hb_clock.h"
#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_site.h"

#define WAIT_MOST apr_time_from_sec(2)
#define WAIT_STEP apr_time_from_msec(10)

/* One count of one thing. */
typedef struct count_t {
    hb_limit_rule_t tries, failures;
    const void *key;
    apr_size_t len;             /* 0: not counted */
} count_t;

/* Both counts of an op; address is where its key lies. */
typedef struct counts_t {
    count_t account, address;
    unsigned char bytes[16];
} counts_t;

static void set_rules(count_t *count, const char *tries, const char *failures,
                      apr_int64_t most, apr_interval_time_t window)
{
    count->tries = (hb_limit_rule_t){ tries, (apr_uint32_t)most, window };
    count->failures = (hb_limit_rule_t){ failures, (apr_uint32_t)most, window };
}

static void counts_of(counts_t *counts, const hb_op_t *op, const char *account)
{
    const hb_settings_t *settings = op->site->settings;

    memset(counts, 0, sizeof(*counts));
    set_rules(&counts->account, "lock.account", "lock.account.failed",
              settings->lock_account_after, settings->lock_window);
    set_rules(&counts->address, "lock.address", "lock.address.failed",
              settings->lock_address_after, settings->lock_window);
    if (op->site->limit == NULL) {
        return;
    }
    counts->account.key = account;
    counts->account.len = strlen(account);
    counts->address.key = counts->bytes;
    if (op->address != NULL) {
        counts->address.len = hb_limit_address_key(counts->bytes, op->address);
    }
}

/* Guessing goes uncounted while strangers fill the table: to be told, once a minute and process. */
static void say_full(const hb_op_t *op)
{
    static apr_time_t said_at;
    apr_time_t now = hb_clock(), last = __atomic_load_n(&said_at, __ATOMIC_RELAXED);

    if ((last == 0 || now - last >= apr_time_from_sec(60))
        && __atomic_compare_exchange_n(&said_at, &last, now, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)) {
        hb_log(op, HB_LOG_WARNING, 0, HBLOGNO(00530) "the limiter's table is full; sign-ins that do not "
               "fit are not locked: raise HaloBuzzRateLimitSize");
    }
}

/* Take a try, or tell how long the lock holds. */
static int admit(hb_limit_verdict_t *verdict, const hb_op_t *op, const count_t *count)
{
    apr_time_t until = hb_limit_now() + WAIT_MOST;
    hb_limit_verdict_t failed;
    apr_time_t now;

    if (count->len == 0) {
        return 1;
    }
    for (;;) {
        now = hb_limit_now();
        hb_limit_take(verdict, op->site->limit, &count->tries, count->key, count->len, now);
        if (verdict->was_full) {
            say_full(op);
        }
        if (verdict->is_allowed) {
            return 1;
        }
        hb_limit_peek(&failed, op->site->limit, &count->failures, count->key, count->len, now);
        if (!failed.is_allowed || now >= until) {
            return 0;
        }
        apr_sleep(WAIT_STEP);
    }
}

static void fail(const hb_op_t *op, const count_t *count)
{
    hb_limit_verdict_t verdict;

    if (count->len > 0) {
        hb_limit_take(&verdict, op->site->limit, &count->failures, count->key, count->len,
                      hb_limit_now());
    }
}

static void give_back(const hb_op_t *op, const count_t *count)
{
    if (count->len > 0) {
        hb_limit_give_back(op->site->limit, &count->tries, count->key, count->len,
                           hb_limit_now());
    }
}

apr_status_t hb_lockout_try(hb_op_t *op, const char *account)
{
    hb_limit_verdict_t verdict;
    counts_t counts;

    counts_of(&counts, op, account);
    if (admit(&verdict, op, &counts.address)) {
        if (admit(&verdict, op, &counts.account)) {
            return APR_SUCCESS;
        }
        fail(op, &counts.address);      /* whoever tries locked doors goes on guessing */
    }
    hb_metric_add(op->site->metrics, HB_M_LOGIN_LOCKED, 1);
    return hb_fail_later(op, HB_E_AUTH_LOCKED, verdict.reset_sec, NULL);
}

void hb_lockout_failed(hb_op_t *op, const char *account)
{
    counts_t counts;

    counts_of(&counts, op, account);
    fail(op, &counts.address);
    fail(op, &counts.account);
}

void hb_lockout_passed(hb_op_t *op, const char *account)
{
    counts_t counts;

    counts_of(&counts, op, account);
    give_back(op, &counts.address);
    hb_lockout_pardon(op, account);
}

void hb_lockout_undo(hb_op_t *op, const char *account)
{
    counts_t counts;

    counts_of(&counts, op, account);
    give_back(op, &counts.address);
    give_back(op, &counts.account);
}

void hb_lockout_pardon(hb_op_t *op, const char *account)
{
    counts_t counts;

    counts_of(&counts, op, account);
    if (counts.account.len > 0) {
        hb_limit_forget(op->site->limit, &counts.account.tries, account, counts.account.len);
        hb_limit_forget(op->site->limit, &counts.account.failures, account,
                        counts.account.len);
    }
}
