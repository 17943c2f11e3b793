/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Money that went back, and the coins that go with it. Nothing here counts what a single message
 * says: the record keeps how much was taken so far, each message only changes how much ought to
 * be, and the difference is booked. So messages may come twice, late and in any order.
 */
#include "hb_reversal_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_ledger.h"
#include "hb_notice.h"
#include "hb_og.h"
#include "hb_store.h"
#include "hb_time.h"

#define OWN_MAX 1000
#define FAILED_MAX 100

static apr_int64_t lesser(apr_int64_t a, apr_int64_t b)
{
    return a < b ? a : b;
}

/* --- the record --- */

apr_status_t hb_reversing_begin(hb_reversing_t *r, hb_op_t *op, const hb_order_t *order)
{
    apr_status_t rv = hb_store_get(&r->doc, op, HB_C_REVERSALS, order->id);

    r->op = op;
    r->order = order;
    r->is_new = rv == HB_E_STORE_MISSING;
    if (r->is_new) {
        r->doc = hb_json_object_make(op->pool);
        hb_json_set_string(r->doc, "_id", order->id);
        hb_json_set_string(r->doc, "userId", order->user_id);
        rv = APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Later states do not tell whether something was given before them; the record does. */
    r->is_given = strcmp(order->state, "review") == 0 ? 0
        : strcmp(order->state, "paid") == 0 ? 1 : hb_json_bool(r->doc, "isGiven", 1);
    hb_json_set_bool(r->doc, "isGiven", r->is_given);
    return APR_SUCCESS;
}

apr_status_t hb_reversing_end(hb_reversing_t *r)
{
    apr_status_t rv;

    hb_json_set_int(r->doc, "updatedAt", hb_time_to_msec(r->op->now));
    if (!r->is_new) {
        return hb_store_replace(NULL, r->op, HB_C_REVERSALS, r->doc);
    }
    rv = hb_store_insert(NULL, r->op, HB_C_REVERSALS, r->doc);
    return rv == HB_E_STORE_DUPLICATE ? HB_E_STORE_CONFLICT : rv;
}

static void add_to(hb_json_t *doc, const char *field, apr_int64_t n)
{
    hb_json_set_int(doc, field, hb_json_int(doc, field, 0) + n);
}

/* --- coins --- */

apr_int64_t hb_reversal_share(apr_int64_t coins, apr_int64_t minor, apr_int64_t amount_minor)
{
    if (minor <= 0) {
        return 0;
    }
    if (minor >= amount_minor) {
        return coins;
    }
    /* Whole part and rest apart, so that nothing overflows: minor is below amount_minor. */
    return coins / amount_minor * minor + (apr_int64_t)
        ((__int128)(coins % amount_minor) * minor / amount_minor);
}

/* From a purse as far as it goes; the rest is owed. */
static apr_status_t add_taking(hb_entry_t *entry, apr_int64_t *owed, hb_op_t *op,
                               const char *account, hb_currency_e currency, apr_int64_t coins)
{
    apr_int64_t there;
    apr_status_t rv = hb_ledger_balance(&there, op, account);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    there = lesser(there, coins);
    *owed = coins - there;
    rv = hb_entry_add(entry, account, currency, -there);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(entry, currency == HB_COIN ? HB_ACCOUNT_MINT : HB_ACCOUNT_BONUS_MINT,
                          currency, there);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(entry, HB_ACCOUNT_MINT, HB_COIN, *owed);
    }
    return rv == APR_SUCCESS
        ? hb_entry_add(entry, hb_account_debt(op, entry->user_id), HB_COIN, -*owed) : rv;
}

apr_status_t hb_reversal_take(hb_reversing_t *r, hb_taking_t *taking)
{
    const char *user_id = r->order->user_id;
    hb_entry_t entry = { .kind = taking->kind, .key = taking->key, .user_id = user_id,
                         .reference = r->order->id, .reason = taking->reason };
    apr_status_t rv;

    taking->owed_coins = taking->owed_bonus = 0;
    if (taking->coins == 0 && taking->bonus == 0) {
        return APR_SUCCESS;
    }
    rv = add_taking(&entry, &taking->owed_coins, r->op, hb_account_user(r->op, user_id),
                    HB_COIN, taking->coins);
    if (rv == APR_SUCCESS) {
        rv = add_taking(&entry, &taking->owed_bonus, r->op, hb_account_bonus(r->op, user_id),
                        HB_BONUS, taking->bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, r->op, &entry);
    }
    return rv == APR_SUCCESS ? hb_debt_settle(r->op, user_id, taking->key) : rv;
}

apr_status_t hb_reversal_give(hb_reversing_t *r, const char *key, const char *reason,
                              apr_int64_t coins, apr_int64_t bonus)
{
    const char *user_id = r->order->user_id;
    hb_entry_t entry = { .kind = "restitution", .key = key, .user_id = user_id,
                         .reference = r->order->id, .reason = reason };
    apr_status_t rv;

    if (coins == 0 && bonus == 0) {
        return hb_debt_settle(r->op, user_id, key);     /* a hold may have given coins back */
    }
    rv = hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -coins);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_user(r->op, user_id), HB_COIN, coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_bonus(r->op, user_id), HB_BONUS, bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(NULL, r->op, &entry);
    }
    return rv == APR_SUCCESS ? hb_debt_settle(r->op, user_id, key) : rv;
}

/* --- OG --- */

static apr_status_t terms_of(hb_og_terms_t *terms, hb_reversing_t *r)
{
    /* As it was offered; a price list may have changed since. */
    terms->tier = r->order->og_tier;
    terms->price_coins = hb_json_int(r->order->doc, "ogCoins", 0);
    terms->duration_days = hb_json_int(r->order->doc, "ogDays", 0);
    return terms->price_coins > 0 && terms->duration_days > 0
        ? APR_SUCCESS : hb_og_terms(terms, r->op, r->order->og_tier);
}

apr_status_t hb_reversal_og_take(apr_int64_t *msec, hb_reversing_t *r)
{
    hb_og_terms_t terms;
    apr_status_t rv = terms_of(&terms, r);

    *msec = 0;
    return rv == APR_SUCCESS ? hb_og_shorten(msec, r->op, r->order->user_id, &terms) : rv;
}

apr_status_t hb_reversal_og_give(hb_reversing_t *r, apr_int64_t msec)
{
    hb_og_terms_t terms;
    apr_status_t rv = msec > 0 ? terms_of(&terms, r) : APR_SUCCESS;

    return rv == APR_SUCCESS && msec > 0
        ? hb_og_lengthen(r->op, r->order->user_id, &terms, msec) : rv;
}

/* --- making it fit --- */

static const char *next_key(hb_reversing_t *r)
{
    add_to(r->doc, "steps", 1);
    return apr_psprintf(r->op->pool, "refund:%s:%" APR_INT64_T_FMT, r->order->id,
                        hb_json_int(r->doc, "steps", 0));
}

static apr_status_t take_more(hb_reversal_t *reversal, hb_reversing_t *r, apr_int64_t coins,
                              apr_int64_t bonus)
{
    hb_taking_t taking = { .kind = "refund", .key = next_key(r), .coins = coins,
                           .bonus = bonus,
                           .reason = apr_psprintf(r->op->pool, "refund of %s",
                                                  r->order->title) };
    apr_status_t rv = hb_reversal_take(r, &taking);

    add_to(r->doc, "coins", coins);
    add_to(r->doc, "bonus", bonus - taking.owed_bonus);
    add_to(r->doc, "bonusOwed", taking.owed_bonus);
    reversal->coins += coins;
    reversal->bonus += bonus;
    reversal->owed += taking.owed_coins + taking.owed_bonus;
    return rv;
}

/* What stands for bonus coins that were owed in coins comes back as coins. */
static apr_status_t give_back(hb_reversal_t *reversal, hb_reversing_t *r, apr_int64_t coins,
                              apr_int64_t bonus)
{
    apr_int64_t as_coins = lesser(hb_json_int(r->doc, "bonusOwed", 0), bonus);

    add_to(r->doc, "coins", -coins);
    add_to(r->doc, "bonus", as_coins - bonus);
    add_to(r->doc, "bonusOwed", -as_coins);
    reversal->coins -= coins;
    reversal->bonus -= bonus;
    return hb_reversal_give(r, next_key(r), apr_psprintf(r->op->pool, "refund of %s was not made",
                                                         r->order->title),
                            coins + as_coins, bonus - as_coins);
}

static apr_status_t settle_og(hb_reversing_t *r, int is_due, const hb_disputed_t *disputed)
{
    int has_taken = hb_json_bool(r->doc, "hasOgTaken", 0);
    apr_int64_t msec = hb_json_int(r->doc, "ogMsec", 0);
    apr_status_t rv = APR_SUCCESS;

    if (is_due && !has_taken && disputed->n_open + disputed->n_lost == 0) {
        rv = hb_reversal_og_take(&msec, r);
        hb_json_set_int(r->doc, "ogMsec", msec);
        hb_json_set_bool(r->doc, "hasOgTaken", 1);
    }
    else if (!is_due && has_taken) {
        rv = hb_reversal_og_give(r, msec);
        hb_json_set_int(r->doc, "ogMsec", 0);
        hb_json_set_bool(r->doc, "hasOgTaken", 0);
    }
    return rv;
}

apr_status_t hb_reversal_settle(hb_reversal_t *reversal, hb_reversing_t *r)
{
    const hb_order_t *order = r->order;
    apr_int64_t minor = r->is_given ? hb_json_int(r->doc, "refundedMinor", 0) : 0;
    apr_int64_t coins = hb_reversal_share(order->coins, minor, order->amount_minor);
    apr_int64_t bonus = hb_reversal_share(order->bonus, minor, order->amount_minor);
    hb_disputed_t disputed;
    apr_status_t rv = hb_dispute_sum(&disputed, r->op, order->id, NULL);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    coins = lesser(coins, order->coins - disputed.coins)
        - hb_json_int(r->doc, "coins", 0);
    bonus = lesser(bonus, order->bonus - disputed.bonus)
        - hb_json_int(r->doc, "bonus", 0) - hb_json_int(r->doc, "bonusOwed", 0);
    if (coins > 0 || bonus > 0) {
        rv = take_more(reversal, r, coins > 0 ? coins : 0, bonus > 0 ? bonus : 0);
    }
    if (rv == APR_SUCCESS && (coins < 0 || bonus < 0)) {
        rv = give_back(reversal, r, coins < 0 ? -coins : 0, bonus < 0 ? -bonus : 0);
    }
    if (rv == APR_SUCCESS && order->og_tier > 0) {
        rv = settle_og(r, minor >= order->amount_minor, &disputed);
    }
    return rv;
}

apr_status_t hb_reversal_tell(hb_reversal_t *reversal, hb_reversing_t *r)
{
    apr_pool_t *pool = r->op->pool;
    const hb_order_t *order = r->order;
    hb_disputed_t disputed;
    apr_status_t rv = hb_dispute_sum(&disputed, r->op, order->id, NULL);
    const char *moved = "";

    reversal->refunded_minor = hb_json_int(r->doc, "refundedMinor", 0);
    reversal->is_whole = reversal->refunded_minor >= order->amount_minor;
    reversal->is_given = r->is_given;
    reversal->is_disputed = disputed.n_open > 0;
    reversal->is_lost = disputed.n_open == 0 && disputed.n_lost > 0;
    if (reversal->coins > 0 || reversal->bonus > 0) {
        moved = apr_psprintf(pool, "; %" APR_INT64_T_FMT " coins and %" APR_INT64_T_FMT
                             " bonus coins taken back, %" APR_INT64_T_FMT " of them owed",
                             reversal->coins, reversal->bonus, reversal->owed);
    }
    else if (reversal->coins < 0 || reversal->bonus < 0) {
        moved = apr_psprintf(pool, "; %" APR_INT64_T_FMT " coins and %" APR_INT64_T_FMT
                             " bonus coins given back", -reversal->coins, -reversal->bonus);
    }
    reversal->note = apr_pstrcat(pool, reversal->note != NULL ? reversal->note
        : apr_psprintf(pool, "refunded %s of %s so far",
                       hb_money_text(pool, reversal->refunded_minor, order->currency),
                       hb_money_text(pool, order->amount_minor, order->currency)), moved, NULL);
    return rv;
}

apr_status_t hb_reversal_warn(hb_reversing_t *r, apr_int64_t owed)
{
    hb_json_t *values = hb_json_object_make(r->op->pool);

    if (owed <= 0) {
        return APR_SUCCESS;
    }
    hb_json_set_string(values, "item", r->order->title);
    hb_json_set_int(values, "coins", owed);
    return hb_notice_add(r->op, HB_N_DEBT_NEW, r->order->user_id, values);
}

/* --- what a provider says of refunds --- */

/* A refund of ours that was done has failed after all. */
static apr_status_t note_own_failure(hb_op_t *op, hb_json_t *refund)
{
    hb_json_set_string(refund, "state", hb_refund_state_name(HB_REFUND_FAILED));
    hb_json_set_string(refund, "problem", "the provider says it failed after all");
    hb_json_set_int(refund, "endedAt", hb_time_to_msec(op->now));
    return hb_store_replace(NULL, op, HB_C_REFUNDS, refund);
}

static int is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What refunds of ours came to, without the one that failed just now. */
static apr_status_t own_sum(apr_int64_t *minor, hb_op_t *op, const char *order_id,
                            const char *failed_id)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(order_id) } };
    const hb_query_t query = { .in = HB_C_REFUNDS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = OWN_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *minor = 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        if (hb_json_string(page.items[i], "flagId") != NULL
            || strcmp(hb_json_string(page.items[i], "state"), "done") != 0) {
            continue;
        }
        if (is_same(hb_json_string(page.items[i], "refundId"), failed_id)) {
            rv = note_own_failure(op, page.items[i]);
            continue;
        }
        *minor += hb_json_int(page.items[i], "amountMinor", 0);
    }
    return rv;
}

/* Did this refund's failure count before? Notes that it has now. */
static int is_told(hb_reversing_t *r, const char *refund_id)
{
    hb_json_t *failed = hb_json_get(r->doc, "failed");
    int i;

    if (failed == NULL) {
        failed = hb_json_array_make(r->op->pool);
        hb_json_set(r->doc, "failed", failed);
    }
    for (i = 0; i < hb_json_length(failed); i++) {
        const char *id = hb_json_string_value(hb_json_item(failed, i));

        if (id != NULL && strcmp(id, refund_id) == 0) {
            return 1;
        }
    }
    if (hb_json_length(failed) < FAILED_MAX) {
        hb_json_push_string(failed, refund_id);
    }
    return 0;
}

/* A refund that failed: what the provider told so far is less by it. */
static void note_failure(hb_reversing_t *r, const hb_pay_fact_t *fact)
{
    apr_int64_t told = hb_json_int(r->doc, "toldMinor", 0);
    const char *id = fact->refund_id != NULL ? fact->refund_id : "unnamed";

    if (is_told(r, id)) {
        return;
    }
    if (fact->refunded_minor >= 0) {
        told = fact->refunded_minor;
    }
    else if (fact->amount_minor > 0) {
        told -= lesser(told, fact->amount_minor);
    }
    hb_json_set_int(r->doc, "toldMinor", told);
}

apr_status_t hb_refund_apply(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order,
                             const hb_pay_fact_t *fact)
{
    apr_int64_t own = 0, told, minor, before;
    hb_reversing_t r;
    apr_status_t rv;

    memset(reversal, 0, sizeof(*reversal));
    rv = hb_reversing_begin(&r, op, order);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (fact->payment_id != NULL && order->payment_id != NULL
        && strcmp(fact->payment_id, order->payment_id) != 0) {
        reversal->note = "a refund of another payment";
        return hb_reversal_tell(reversal, &r);
    }
    before = hb_json_int(r.doc, "refundedMinor", 0);
    if (fact->outcome == HB_PAY_REFUND_FAILED) {
        note_failure(&r, fact);
    }
    else if (fact->refunded_minor > hb_json_int(r.doc, "toldMinor", 0)) {
        hb_json_set_int(r.doc, "toldMinor", fact->refunded_minor);
    }
    told = hb_json_int(r.doc, "toldMinor", 0);
    rv = own_sum(&own, op, order->id,
                 fact->outcome == HB_PAY_REFUND_FAILED ? fact->refund_id : NULL);
    minor = lesser(own > told ? own : told, order->amount_minor);
    hb_json_set_int(r.doc, "refundedMinor", minor);
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_settle(reversal, &r);
    }
    reversal->is_news = minor != before || reversal->coins != 0 || reversal->bonus != 0;
    if (rv == APR_SUCCESS) {
        rv = hb_reversing_end(&r);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_warn(&r, reversal->owed);
    }
    return rv == APR_SUCCESS ? hb_reversal_tell(reversal, &r) : rv;
}

apr_status_t hb_refund_given(hb_reversal_t *reversal, hb_op_t *op, const hb_order_t *order)
{
    hb_reversing_t r;
    apr_status_t rv;

    memset(reversal, 0, sizeof(*reversal));
    rv = hb_reversing_begin(&r, op, order);
    if (rv != APR_SUCCESS || r.is_new) {
        return rv;
    }
    r.is_given = 1;
    hb_json_set_bool(r.doc, "isGiven", 1);
    rv = hb_dispute_catch_up(reversal, &r);
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_settle(reversal, &r);
    }
    reversal->is_news = reversal->coins != 0 || reversal->bonus != 0;
    if (rv == APR_SUCCESS) {
        rv = hb_reversing_end(&r);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_reversal_warn(&r, reversal->owed);
    }
    return rv == APR_SUCCESS ? hb_reversal_tell(reversal, &r) : rv;
}
