/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disputes. What is still there of the coins in dispute is held, so that the payer sees it
 * and cannot spend it; what was spent is a debt at once. Won: both come back. Lost: the
 * held coins leave. Providers tell the steps in any order, and may take a verdict back.
 */
#include "hb_reversal_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ledger.h"
#include "hb_notice.h"
#include "hb_store.h"
#include "hb_time.h"

#define DISPUTES_MAX 100
#define NEVER (APR_INT64_C(253402300799) * APR_USEC_PER_SEC)

static apr_status_t disputes_of(hb_page_t *page, hb_op_t *op, const char *order_id)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(order_id) } };
    const hb_query_t query = { .in = HB_C_DISPUTES, .where = where, .n_where = 1,
                               .sort = { { "disputeId", 0 } }, .limit = DISPUTES_MAX };

    return hb_store_find(page, op, &query);
}

static int is_in(const hb_json_t *dispute, const char *state)
{
    return strcmp(hb_json_string(dispute, "state"), state) == 0;
}

static apr_int64_t figure(const hb_json_t *dispute, const char *field)
{
    return hb_json_int(dispute, field, 0);
}

apr_status_t hb_dispute_sum(hb_disputed_t *sum, hb_op_t *op, const char *order_id,
                            const char *but_id)
{
    hb_page_t page;
    apr_status_t rv = disputes_of(&page, op, order_id);
    int i;

    memset(sum, 0, sizeof(*sum));
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const hb_json_t *dispute = page.items[i];

        if (is_in(dispute, "won")
            || (but_id != NULL && strcmp(hb_json_string(dispute, "_id"), but_id) == 0)) {
            continue;
        }
        sum->coins += figure(dispute, "coins") + figure(dispute, "owedCoins");
        sum->bonus += figure(dispute, "bonus") + figure(dispute, "owedBonus");
        sum->minor += figure(dispute, "amountMinor");
        sum->n_open += is_in(dispute, "open");
        sum->n_lost += is_in(dispute, "lost");
    }
    return rv;
}

/* --- holding, giving back, losing --- */

static const char *next_key(hb_op_t *op, hb_json_t *dispute, const char *what)
{
    hb_json_set_int(dispute, "steps", figure(dispute, "steps") + 1);
    return apr_psprintf(op->pool, "dispute:%s:%" APR_INT64_T_FMT ":%s",
                        hb_json_string(dispute, "_id"), figure(dispute, "steps"), what);
}

/* Hold what is there of a purse; gives how much that is. */
static apr_status_t hold(apr_int64_t *held, hb_op_t *op, hb_json_t *dispute, const char *field,
                         const char *account, hb_currency_e currency, apr_int64_t coins)
{
    const char *hold_id;
    apr_status_t rv = hb_ledger_balance(held, op, account);

    *held = *held < coins ? *held : coins;
    if (rv == APR_SUCCESS && *held > 0) {
        rv = hb_hold_reserve(&hold_id, op, account, currency, *held,
                             next_key(op, dispute, field), NEVER);
        hb_json_set_string(dispute, field, hold_id);
    }
    return rv;
}

/* Never more of an order than it brought, whatever else went back of it. */
static apr_int64_t left_of(apr_int64_t brought, apr_int64_t refunded, apr_int64_t disputed,
                           apr_int64_t share)
{
    apr_int64_t left = brought - refunded - disputed;

    left = left > 0 ? left : 0;
    return share < left ? share : left;
}

static apr_status_t freeze(hb_reversal_t *reversal, hb_reversing_t *r, hb_json_t *dispute)
{
    hb_op_t *op = r->op;
    const hb_order_t *order = r->order;
    apr_int64_t minor = figure(dispute, "amountMinor"), coins, bonus, held = 0, held_bonus = 0;
    hb_taking_t owing = { .kind = "dispute" };
    apr_int64_t msec = 0;
    hb_disputed_t others;
    apr_status_t rv = hb_dispute_sum(&others, op, order->id, hb_json_string(dispute, "_id"));

    if (rv != APR_SUCCESS || !r->is_given) {
        return rv;
    }
    coins = left_of(order->coins, figure(r->doc, "coins"), others.coins,
                    hb_reversal_share(order->coins, minor, order->amount_minor));
    bonus = left_of(order->bonus, figure(r->doc, "bonus") + figure(r->doc, "bonusOwed"),
                    others.bonus, hb_reversal_share(order->bonus, minor, order->amount_minor));
    rv = hold(&held, op, dispute, "holdId", hb_account_user(op, order->user_id), HB_COIN, coins);
    if (rv == APR_SUCCESS) {
        rv = hold(&held_bonus, op, dispute, "bonusHoldId", hb_account_bonus(op, order->user_id),
                  HB_BONUS, bonus);
    }
    /* Nothing is left of what is taken now, so all of it becomes a debt. */
    owing.coins = coins - held;
    owing.bonus = bonus - held_bonus;
    owing.key = next_key(op, dispute, "owed");
    owing.reason = apr_psprintf(op->pool, "the payment of %s is in dispute", order->title);
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_take(r, &owing);
    }
    if (rv == APR_SUCCESS && order->og_tier > 0 && !hb_json_bool(r->doc, "hasOgTaken", 0)
        && others.n_open + others.n_lost == 0) {
        rv = hb_reversal_og_take(&msec, r);
    }
    hb_json_set_int(dispute, "coins", held);
    hb_json_set_int(dispute, "bonus", held_bonus);
    hb_json_set_int(dispute, "owedCoins", owing.owed_coins);
    hb_json_set_int(dispute, "owedBonus", owing.owed_bonus);
    hb_json_set_int(dispute, "ogMsec", msec);
    reversal->coins += coins;
    reversal->bonus += bonus;
    reversal->owed += owing.owed_coins + owing.owed_bonus;
    return rv;
}

static apr_status_t void_hold(hb_op_t *op, hb_json_t *dispute, const char *field,
                              const char *reason)
{
    const char *hold_id = hb_json_string(dispute, field);

    if (hold_id == NULL) {
        return APR_SUCCESS;
    }
    hold_id = apr_pstrdup(op->pool, hold_id);
    hb_json_remove(dispute, field);
    return hb_hold_void(op, hold_id, reason);
}

static apr_status_t void_holds(hb_op_t *op, hb_json_t *dispute, const char *reason)
{
    apr_status_t rv = void_hold(op, dispute, "holdId", reason);

    return rv == APR_SUCCESS ? void_hold(op, dispute, "bonusHoldId", reason) : rv;
}

/* Everything comes back: what is held, what left the ledger, what is owed. */
static apr_status_t thaw(hb_reversal_t *reversal, hb_reversing_t *r, hb_json_t *dispute)
{
    apr_int64_t owed = figure(dispute, "owedCoins") + figure(dispute, "owedBonus");
    apr_int64_t coins = figure(dispute, "coins"), bonus = figure(dispute, "bonus");
    const char *reason = "the dispute was won";
    apr_status_t rv = APR_SUCCESS;

    reversal->coins -= coins + figure(dispute, "owedCoins");
    reversal->bonus -= bonus + figure(dispute, "owedBonus");
    if (is_in(dispute, "open")) {
        rv = void_holds(r->op, dispute, reason);
        coins = bonus = 0;
    }
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_give(r, next_key(r->op, dispute, "back"), reason, coins + owed, bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_og_give(r, figure(dispute, "ogMsec"));
    }
    hb_json_set_int(dispute, "coins", 0);
    hb_json_set_int(dispute, "bonus", 0);
    hb_json_set_int(dispute, "owedCoins", 0);
    hb_json_set_int(dispute, "owedBonus", 0);
    hb_json_set_int(dispute, "ogMsec", 0);
    return rv;
}

/* What is held leaves the ledger: back to its purse, and from there, with a reason. */
static apr_status_t lose(hb_reversing_t *r, hb_json_t *dispute)
{
    hb_taking_t taking = { .kind = "dispute", .coins = figure(dispute, "coins"),
                           .bonus = figure(dispute, "bonus"), .reason = "the dispute was lost" };
    apr_status_t rv = void_holds(r->op, dispute, taking.reason);

    taking.key = next_key(r->op, dispute, "lost");
    return rv == APR_SUCCESS ? hb_reversal_take(r, &taking) : rv;
}

/* --- what a provider says --- */

static hb_json_t *dispute_make(hb_op_t *op, const hb_order_t *order, const hb_pay_fact_t *fact,
                               const char *dispute_id)
{
    hb_json_t *dispute = hb_json_object_make(op->pool);
    apr_int64_t minor = fact->amount_minor;

    /* In another currency it cannot be compared, so all of it is in dispute. */
    if (minor < 0 || minor > order->amount_minor
        || (fact->currency != NULL && strcmp(fact->currency, order->currency) != 0)) {
        minor = order->amount_minor;
    }
    hb_json_set_string(dispute, "_id", hb_id_make(op));
    hb_json_set_string(dispute, "orderId", order->id);
    hb_json_set_string(dispute, "disputeId", dispute_id);
    hb_json_set_string(dispute, "userId", order->user_id);
    hb_json_set_string(dispute, "provider", order->provider);
    hb_json_set_int(dispute, "amountMinor", minor);
    hb_json_set_string(dispute, "currency", order->currency);
    hb_json_set_string(dispute, "state", "open");
    hb_json_set_int(dispute, "coins", 0);
    hb_json_set_int(dispute, "bonus", 0);
    hb_json_set_int(dispute, "owedCoins", 0);
    hb_json_set_int(dispute, "owedBonus", 0);
    hb_json_set_int(dispute, "createdAt", hb_time_to_msec(op->now));
    return dispute;
}

static apr_status_t find(hb_json_t **dispute, hb_op_t *op, const char *order_id,
                         const char *dispute_id)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(order_id) },
                                { "disputeId", HB_IS, HB_STR(dispute_id) } };
    const hb_query_t query = { .in = HB_C_DISPUTES, .where = where, .n_where = 2 };

    return hb_store_find_one(dispute, op, &query);
}

/* From one state to what the fact says; a new dispute comes in as open, not yet frozen. */
static apr_status_t step(hb_reversal_t *reversal, hb_reversing_t *r, hb_json_t *dispute,
                         hb_pay_outcome_e outcome, int is_new)
{
    int was_lost = is_in(dispute, "lost"), was_won = is_in(dispute, "won");
    const char *state = outcome == HB_PAY_DISPUTE_WON ? "won"
        : outcome == HB_PAY_DISPUTE_LOST ? "lost" : "open";
    apr_status_t rv = APR_SUCCESS;

    if (!is_new && (is_in(dispute, state) || outcome == HB_PAY_DISPUTED)) {
        return APR_SUCCESS;     /* so it was before, or is older news */
    }
    reversal->is_news = 1;
    if (outcome == HB_PAY_DISPUTE_WON) {
        rv = is_new ? APR_SUCCESS : thaw(reversal, r, dispute);
    }
    else if (is_new || was_won) {
        rv = freeze(reversal, r, dispute);
    }
    if (rv == APR_SUCCESS && outcome == HB_PAY_DISPUTE_LOST && !was_lost) {
        rv = lose(r, dispute);
    }
    hb_json_set_string(dispute, "state", state);
    if (outcome != HB_PAY_DISPUTED) {
        hb_json_set_int(dispute, "endedAt", hb_time_to_msec(r->op->now));
    }
    return rv;
}

static apr_status_t tell_team(hb_op_t *op, const hb_order_t *order, const hb_json_t *dispute)
{
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_string(values, "item", order->title);
    hb_json_set_string(values, "amount", hb_money_text(op->pool, figure(dispute, "amountMinor"),
                                                       order->currency));
    hb_json_set_string(values, "provider", order->provider);
    return hb_notice_team(op, HB_N_DISPUTE_OPENED, values);
}

apr_status_t hb_dispute_apply(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order,
                              const hb_pay_fact_t *fact)
{
    const char *dispute_id = fact->refund_id != NULL ? fact->refund_id : "dispute";
    hb_json_t *dispute;
    hb_reversing_t r;
    apr_status_t rv;
    int is_new;

    memset(reversal, 0, sizeof(*reversal));
    rv = hb_reversing_begin(&r, op, order);
    if (rv == APR_SUCCESS) {
        rv = find(&dispute, op, order->id, dispute_id);
    }
    is_new = rv == HB_E_STORE_MISSING;
    if (is_new) {
        dispute = dispute_make(op, order, fact, dispute_id);
        rv = APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        rv = step(reversal, &r, dispute, fact->outcome, is_new);
    }
    reversal->note = apr_psprintf(op->pool, "dispute about %s: %s",
                                  hb_money_text(op->pool, rv == APR_SUCCESS
                                                ? figure(dispute, "amountMinor") : 0,
                                                order->currency),
                                  rv == APR_SUCCESS ? hb_json_string(dispute, "state") : "");
    if (rv == APR_SUCCESS && reversal->is_news) {
        rv = is_new ? hb_store_insert(NULL, op, HB_C_DISPUTES, dispute)
                    : hb_store_replace(NULL, op, HB_C_DISPUTES, dispute);
        rv = rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
        if (rv == APR_SUCCESS && is_new && is_in(dispute, "open")) {
            rv = tell_team(op, order, dispute);
        }
        /* Refunds may take now what a won dispute gave back. */
        if (rv == APR_SUCCESS) {
            rv = hb_reversal_settle(reversal, &r);
        }
        if (rv == APR_SUCCESS) {
            rv = hb_reversing_end(&r);
        }
        if (rv == APR_SUCCESS) {
            rv = hb_reversal_warn(&r, reversal->owed);
        }
    }
    return rv == APR_SUCCESS ? hb_reversal_tell(reversal, &r) : rv;
}

apr_status_t hb_dispute_catch_up(hb_reversal_t *reversal, hb_reversing_t *r)
{
    hb_page_t page;
    apr_status_t rv = disputes_of(&page, r->op, r->order->id);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        hb_json_t *dispute = page.items[i];

        if (is_in(dispute, "won") || figure(dispute, "coins") + figure(dispute, "bonus")
            + figure(dispute, "owedCoins") + figure(dispute, "owedBonus") > 0) {
            continue;
        }
        rv = freeze(reversal, r, dispute);
        if (rv == APR_SUCCESS && is_in(dispute, "lost")) {
            rv = lose(r, dispute);
        }
        if (rv == APR_SUCCESS) {
            rv = hb_store_replace(NULL, r->op, HB_C_DISPUTES, dispute);
        }
    }
    return rv;
}

apr_status_t hb_dispute_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                             const char *after)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t query = { .in = HB_C_DISPUTES, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}
