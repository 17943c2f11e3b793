/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock-out after failed tries. The counts are the limiter's; the settings are lock_account_after,
 * lock_address_after and lock_window.
 */
#include "hb_lockout.h"

#include <string.h>

#include "hb_limit.h"
#include "hb_metrics.h"
#include "hb_site.h"

static hb_limit_rule_t account_rule(const hb_op_t *op)
{
    const hb_settings_t *settings = op->site->settings;
    hb_limit_rule_t rule = { "lock.account", (apr_uint32_t)settings->lock_account_after,
                             settings->lock_window };

    return rule;
}

static hb_limit_rule_t address_rule(const hb_op_t *op)
{
    const hb_settings_t *settings = op->site->settings;
    hb_limit_rule_t rule = { "lock.address", (apr_uint32_t)settings->lock_address_after,
                             settings->lock_window };

    return rule;
}

/* 0 when the op came from nowhere (a job, the operator). */
static apr_size_t address_key(unsigned char key[16], const hb_op_t *op)
{
    return op->address == NULL ? 0 : hb_limit_address_key(key, op->address);
}

static apr_status_t locked(hb_op_t *op, const hb_limit_verdict_t *verdict)
{
    hb_metric_add(op->site->metrics, HB_M_LOGIN_LOCKED, 1);
    return hb_fail_later(op, HB_E_AUTH_LOCKED, verdict->reset_sec, NULL);
}

apr_status_t hb_lockout_try(hb_op_t *op, const char *account)
{
    hb_limit_rule_t by_account = account_rule(op), by_address = address_rule(op);
    apr_time_t now = hb_limit_now();
    hb_limit_verdict_t verdict;
    unsigned char key[16];
    apr_size_t len = address_key(key, op);

    if (op->site->limit == NULL) {
        return APR_SUCCESS;
    }
    if (len > 0) {
        hb_limit_take(&verdict, op->site->limit, &by_address, key, len, now);
        if (!verdict.is_allowed) {
            return locked(op, &verdict);
        }
    }
    hb_limit_take(&verdict, op->site->limit, &by_account, account, strlen(account), now);
    if (!verdict.is_allowed) {
        /* The address tried a locked door: that was a try as well, and stays counted. */
        return locked(op, &verdict);
    }
    return APR_SUCCESS;
}

static void give_back_address(hb_op_t *op)
{
    hb_limit_rule_t by_address = address_rule(op);
    unsigned char key[16];
    apr_size_t len = address_key(key, op);

    if (len > 0) {
        hb_limit_give_back(op->site->limit, &by_address, key, len, hb_limit_now());
    }
}

void hb_lockout_passed(hb_op_t *op, const char *account)
{
    if (op->site->limit != NULL) {
        give_back_address(op);
        hb_lockout_pardon(op, account);
    }
}

void hb_lockout_undo(hb_op_t *op, const char *account)
{
    hb_limit_rule_t by_account = account_rule(op);

    if (op->site->limit != NULL) {
        give_back_address(op);
        hb_limit_give_back(op->site->limit, &by_account, account, strlen(account),
                           hb_limit_now());
    }
}

void hb_lockout_pardon(hb_op_t *op, const char *account)
{
    hb_limit_rule_t by_account = account_rule(op);

    if (op->site->limit != NULL) {
        hb_limit_forget(op->site->limit, &by_account, account, strlen(account));
    }
}
