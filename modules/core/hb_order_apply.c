/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider says, done to an order. The table of hb_order_state.c says what is news in
 * which state; here is what each act does. All of it happens in the caller's transaction, so
 * a death anywhere leaves either all of a fact's effect or none, and the fact comes again.
 *
 * Credited once: the order's state is read and written in that transaction, the payment's id
 * is taken for one order (orderRefs), and the ledger takes the payment's key once. Any of the three
 * alone would do; together they also survive a restored backup of one of them.
 */
#include "hb_order_private.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_debt.h"
#include "hb_fraud.h"
#include "hb_ledger.h"
#include "hb_log.h"
#include "hb_metrics.h"
#include "hb_notice.h"
#include "hb_og.h"
#include "hb_refund.h"
#include "hb_time.h"
#include "hb_user.h"

#define EARLY_MAX 20
/* Answers of a provider that were asked for about when another message told of the payment. */
#define STALE_USEC apr_time_from_sec(60)

typedef struct apply_t {
    hb_op_t *op;
    hb_order_t *order;
    hb_json_t *doc;             /* the record, changed on the way */
    const char *id;             /* as it was given: outlives the record's own */
    const char *proof;
    hb_order_effect_e effect;
    const char *note;
    int is_changed;             /* doc has to be written */
} apply_t;

/* --- small things --- */

static apr_status_t end(apply_t *w, hb_order_effect_e effect, const char *note)
{
    w->effect = effect;
    w->note = note;
    return APR_SUCCESS;
}

/* The record was changed: the order as it is now. */
static void changed(apply_t *w)
{
    hb_order_read(w->order, w->doc);
    w->order->id = w->id;
    w->is_changed = 1;
}

static void step(apply_t *w, const char *what, const char *detail)
{
    hb_order_step(w->op, w->doc, what, detail);
    changed(w);
}

static void move(apply_t *w, hb_order_state_e next, const char *detail)
{
    hb_order_set_state(w->doc, next);
    step(w, hb_order_state_name(next), detail);
}

static const char *money(apply_t *w, apr_int64_t minor, const char *currency)
{
    return apr_psprintf(w->op->pool, "%" APR_INT64_T_FMT ".%02d %s", minor / 100,
                        (int)(minor % 100), currency != NULL ? currency : w->order->currency);
}

static apr_status_t flag(apply_t *w, const hb_pay_fact_t *fact, const char *code,
                         const char *detail)
{
    const hb_order_flag_t row = {
        .code = code, .payment_id = fact->payment_id, .charge_id = fact->charge_id,
        .amount_minor = fact->amount_minor, .currency = fact->currency, .detail = detail
    };
    int is_new;
    apr_status_t rv = hb_order_flag(&is_new, w->op, w->order, &row);

    if (rv == APR_SUCCESS && is_new) {
        hb_json_set_bool(w->doc, "hasFlags", 1);
        step(w, "flagged", detail);
    }
    if (rv == APR_SUCCESS) {
        end(w, HB_ORDER_FLAGGED, detail);
    }
    return rv;
}

/* Most orders have no flag, and nobody has to look for it. */
static apr_status_t unflag(apply_t *w, const char *code, const char *payment_id,
                           const char *note)
{
    return hb_json_bool(w->doc, "hasFlags", 0)
        ? hb_order_unflag(w->op, w->id, code, payment_id, note) : APR_SUCCESS;
}

/* --- does the payment fit the order? --- */

/* NULL when it fits, else the flag's code. */
static const char *misfit(const char **detail, apply_t *w, const hb_pay_fact_t *fact)
{
    const hb_order_t *order = w->order;

    if (fact->is_live >= 0 && fact->is_live != order->is_live) {
        *detail = fact->is_live ? "real money for an order of the test mode"
                                : "play money for an order of the live mode";
        return "mode";
    }
    if (fact->currency != NULL && strcmp(fact->currency, order->currency) != 0) {
        *detail = apr_psprintf(w->op->pool, "paid in %.10s, ordered in %s", fact->currency,
                               order->currency);
        return "currency";
    }
    if (fact->amount_minor != order->amount_minor) {
        *detail = fact->amount_minor < 0 ? "the provider does not say how much was paid"
            : apr_psprintf(w->op->pool, "%s was paid, %s was asked",
                           money(w, fact->amount_minor, NULL),
                           money(w, order->amount_minor, NULL));
        return "amount";
    }
    return NULL;
}

/* --- giving what was bought --- */

static apr_status_t give_coins(apply_t *w, const char **why)
{
    hb_op_t *op = w->op;
    const hb_order_t *order = w->order;
    const char *ref = hb_order_ref(op, order->provider, order->payment_id);
    hb_entry_t entry = { .kind = "purchase", .user_id = order->user_id,
                         .reference = order->id, .metadata = hb_json_object_make(op->pool) };
    const char *id = NULL;
    apr_status_t rv;

    entry.key = apr_pstrcat(op->pool, "purchase:", ref != NULL ? ref : order->id, NULL);
    hb_json_set_string(entry.metadata, "provider", order->provider);
    hb_json_set_int(entry.metadata, "amountMinor", order->amount_minor);
    hb_json_set_string(entry.metadata, "currency", order->currency);
    rv = hb_entry_add(&entry, HB_ACCOUNT_MINT, HB_COIN, -order->coins);
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_user(op, order->user_id), HB_COIN, order->coins);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, HB_ACCOUNT_BONUS_MINT, HB_BONUS, -order->bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_entry_add(&entry, hb_account_bonus(op, order->user_id), HB_BONUS, order->bonus);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_ledger_post(&id, op, &entry);
    }
    if (rv == HB_E_LEDGER_REPEATED) {
        *why = "the ledger has this payment already";
        return APR_SUCCESS;
    }
    if (rv == HB_E_INPUT_INVALID) {
        hb_op_recover(op);
        *why = "the account cannot hold so many coins";
        return APR_SUCCESS;
    }
    if (rv == APR_SUCCESS) {
        hb_json_set_string(w->doc, "entryId", id);
        rv = hb_debt_settle(op, order->user_id, entry.key);
    }
    return rv;
}

static apr_status_t give_og(apply_t *w, const char **why)
{
    hb_op_t *op = w->op;
    const hb_og_terms_t terms = {
        .tier = w->order->og_tier,
        .price_coins = hb_json_int(w->doc, "ogCoins", 0),
        .duration_days = hb_json_int(w->doc, "ogDays", 0)
    };
    hb_og_step_t og;
    apr_status_t rv = hb_og_activate(&og, op, w->order->user_id, &terms);

    if (rv == HB_E_OG_LOWER || rv == HB_E_OG_TOO_LONG || rv == HB_E_OG_UNKNOWN) {
        *why = op->problem.detail != NULL ? op->problem.detail : hb_error_row(rv)->text;
        hb_op_recover(op);
        return APR_SUCCESS;
    }
    return rv;
}

/* Give it, or say why it cannot be given; that is for staff to settle, not for the provider. */
static apr_status_t give(apply_t *w, const char **why)
{
    hb_json_t *user;
    apr_status_t rv = hb_user_load(&user, w->op, w->order->user_id);

    *why = NULL;
    if (rv == HB_E_USER_UNKNOWN) {
        hb_op_recover(w->op);
        *why = "the account was deleted";
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = w->order->og_tier > 0 ? give_og(w, why) : give_coins(w, why);
    if (rv == APR_SUCCESS && *why == NULL) {
        hb_json_set_int(w->doc, "givenAt", hb_time_to_msec(w->op->now));
    }
    return rv;
}

/* --- the acts --- */

static apr_status_t act(apply_t *w, const hb_pay_fact_t *fact);

/* Ids of the payment: taken for this order, unless another has them. */
static apr_status_t take_ids(const char **owner, apply_t *w, const hb_pay_fact_t *fact)
{
    const char *payment_id = fact->payment_id, *attempt_id = fact->attempt_id;
    apr_status_t rv = APR_SUCCESS;

    *owner = w->id;
    if (payment_id != NULL) {
        rv = hb_order_ref_take(owner, w->op, w->order->provider, payment_id, w->id);
    }
    if (rv == APR_SUCCESS && strcmp(*owner, w->id) == 0 && attempt_id != NULL
        && (payment_id == NULL || strcmp(attempt_id, payment_id) != 0)
        && (w->order->attempt_id == NULL || strcmp(attempt_id, w->order->attempt_id) != 0)) {
        rv = hb_order_ref_take(owner, w->op, w->order->provider, attempt_id, w->id);
    }
    return rv;
}

static void note_payment(apply_t *w, const hb_pay_fact_t *fact)
{
    const char *payment_id = fact->payment_id != NULL ? fact->payment_id : fact->attempt_id;

    if (payment_id != NULL) {
        hb_json_set_string(w->doc, "paymentId", payment_id);
    }
    if (fact->charge_id != NULL) {
        hb_json_set_string(w->doc, "chargeId", fact->charge_id);
    }
    if (fact->attempt_id != NULL && w->order->attempt_id == NULL) {
        hb_json_set_string(w->doc, "attemptId", fact->attempt_id);
    }
    hb_json_set_int(w->doc, "paidAt", hb_time_to_msec(w->op->now));
    hb_json_set_string(w->doc, "proof", w->proof);
    changed(w);
}

static hb_json_t *early_make(hb_op_t *op, const hb_pay_fact_t *fact);
static void early_read(hb_pay_fact_t *fact, const hb_json_t *json);

/* What was told before its payment has its turn now. */
static apr_status_t act_on_early(apply_t *w)
{
    /* A copy: what is taken out of its record is gone with it. */
    hb_json_t *early = hb_json_has(w->doc, "early")
        ? hb_json_copy(hb_json_get(w->doc, "early"), w->op->pool) : NULL;
    const hb_order_effect_e effect = w->effect;
    const char *note = w->note;
    apr_status_t rv = APR_SUCCESS;
    int i;

    hb_json_remove(w->doc, "early");
    for (i = 0; i < hb_json_length(early) && rv == APR_SUCCESS; i++) {
        hb_pay_fact_t fact;

        early_read(&fact, hb_json_item(early, i));
        rv = act(w, &fact);
    }
    w->effect = effect;
    w->note = note;
    return rv;
}

/* What was bought is there. */
static apr_status_t tell_payer(apply_t *w)
{
    hb_json_t *values = hb_json_object_make(w->op->pool);

    hb_json_set_string(values, "item", w->order->title);
    hb_json_set_string(values, "amount", hb_money_text(w->op->pool, w->order->amount_minor,
                                                       w->order->currency));
    return hb_notice_add(w->op, HB_N_ORDER_PAID, w->order->user_id, values);
}

static apr_status_t credit(apply_t *w, const hb_pay_fact_t *fact)
{
    const hb_order_state_e was = w->order->at;
    const char *why, *code = misfit(&why, w, fact), *owner, *note;
    hb_fraud_finding_t finding;
    apr_status_t rv;

    if (code != NULL) {
        return flag(w, fact, code, why);
    }
    rv = take_ids(&owner, w, fact);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcmp(owner, w->order->id) != 0) {
        return flag(w, fact, "payment_reused",
                    apr_pstrcat(w->op->pool, "this payment belongs to order ", owner, NULL));
    }
    note_payment(w, fact);
    rv = hb_fraud_check_order(&finding, w->op, w->order);
    if (rv == APR_SUCCESS && finding.verdict != HB_FRAUD_HOLD) {
        rv = give(w, &why);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (finding.verdict == HB_FRAUD_HOLD) {
        note = apr_psprintf(w->op->pool, "held for finance, score %d: %.200s", finding.score,
                            finding.note);
        move(w, HB_ORDER_REVIEW, note);
        end(w, HB_ORDER_APPLIED, note);
    }
    else if (why != NULL) {
        rv = flag(w, fact, "undeliverable", why);
        move(w, HB_ORDER_REVIEW, why);
    }
    else {
        note = apr_psprintf(w->op->pool, "%s by %s%s", w->order->title, w->proof,
                            hb_order_is_awaited(was) ? "" : ", late");
        move(w, HB_ORDER_PAID, note);
        end(w, HB_ORDER_APPLIED, note);
        rv = tell_payer(w);
    }
    if (rv == APR_SUCCESS) {
        rv = unflag(w, "ambiguous", NULL, "the provider knows now");
    }
    return rv == APR_SUCCESS ? act_on_early(w) : rv;
}

static apr_status_t paid_again(apply_t *w, const hb_pay_fact_t *fact)
{
    const char *owner;
    apr_status_t rv;

    if (fact->payment_id == NULL || w->order->payment_id == NULL
        || strcmp(fact->payment_id, w->order->payment_id) == 0) {
        if (fact->charge_id != NULL && w->order->charge_id == NULL) {
            hb_json_set_string(w->doc, "chargeId", fact->charge_id);
            changed(w);
        }
        return end(w, HB_ORDER_ALREADY, "this payment is known");
    }
    /* Later news of it (its refund) has to find the order. */
    rv = take_ids(&owner, w, fact);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcmp(owner, w->order->id) != 0) {
        return flag(w, fact, "payment_reused",
                    apr_pstrcat(w->op->pool, "this payment belongs to order ", owner, NULL));
    }
    return flag(w, fact, "extra_payment",
                apr_psprintf(w->op->pool, "paid a second time: %s",
                             fact->amount_minor >= 0
                             ? money(w, fact->amount_minor, fact->currency) : "amount unknown"));
}

static apr_status_t unpaid(apply_t *w, const hb_pay_fact_t *fact)
{
    if (strcmp(w->proof, "hmac") == 0 || w->order->paid_at + STALE_USEC > w->op->now) {
        return end(w, HB_ORDER_ALREADY, "older than the payment");
    }
    return flag(w, fact, "not_paid",
                apr_psprintf(w->op->pool, "asked again, the provider says %.60s",
                             fact->status != NULL ? fact->status
                                                  : hb_pay_outcome_name(fact->outcome)));
}

/* --- told before the payment --- */

static void set_when_there(hb_json_t *json, const char *key, const char *value)
{
    if (value != NULL) {
        hb_json_set_string(json, key, value);
    }
}

static hb_json_t *early_make(hb_op_t *op, const hb_pay_fact_t *fact)
{
    hb_json_t *json = hb_json_object_make(op->pool);

    hb_json_set_string(json, "outcome", hb_pay_outcome_name(fact->outcome));
    set_when_there(json, "attemptId", fact->attempt_id);
    set_when_there(json, "paymentId", fact->payment_id);
    set_when_there(json, "chargeId", fact->charge_id);
    set_when_there(json, "refundId", fact->refund_id);
    set_when_there(json, "currency", fact->currency);
    set_when_there(json, "status", fact->status);
    hb_json_set_int(json, "amountMinor", fact->amount_minor);
    hb_json_set_int(json, "refundedMinor", fact->refunded_minor);
    hb_json_set_int(json, "isLive", fact->is_live);
    return json;
}

static void early_read(hb_pay_fact_t *fact, const hb_json_t *json)
{
    memset(fact, 0, sizeof(*fact));
    fact->outcome = hb_pay_outcome_read(hb_json_string(json, "outcome"));
    fact->attempt_id = hb_json_string(json, "attemptId");
    fact->payment_id = hb_json_string(json, "paymentId");
    fact->charge_id = hb_json_string(json, "chargeId");
    fact->refund_id = hb_json_string(json, "refundId");
    fact->currency = hb_json_string(json, "currency");
    fact->status = hb_json_string(json, "status");
    fact->amount_minor = hb_json_int(json, "amountMinor", -1);
    fact->refunded_minor = hb_json_int(json, "refundedMinor", -1);
    fact->is_live = (int)hb_json_int(json, "isLive", -1);
}

static apr_status_t keep_early(apply_t *w, const hb_pay_fact_t *fact)
{
    hb_json_t *early = hb_json_get(w->doc, "early"), *one = early_make(w->op, fact);
    const char *what = hb_pay_outcome_name(fact->outcome);
    int i;

    for (i = 0; i < hb_json_length(early); i++) {
        if (hb_json_equal(hb_json_item(early, i), one)) {
            return end(w, HB_ORDER_ALREADY, "waits for the payment itself");
        }
    }
    if (hb_json_length(early) >= EARLY_MAX) {
        return flag(w, fact, "refund_unknown", "too much is told of a payment nobody made");
    }
    if (early == NULL) {
        early = hb_json_array_make(w->op->pool);
        hb_json_set(w->doc, "early", early);
    }
    hb_json_push(early, one);
    step(w, what, "told before the payment itself");
    return end(w, HB_ORDER_WAITS, "waits for the payment itself");
}

/* A refund that says how much was paid tells of the payment, too. */
static apr_status_t early(apply_t *w, const hb_pay_fact_t *fact)
{
    apr_status_t rv;

    if (fact->outcome != HB_PAY_REFUNDED || fact->payment_id == NULL
        || fact->amount_minor < 0 || fact->refunded_minor < 0) {
        return keep_early(w, fact);
    }
    rv = credit(w, fact);
    if (rv == APR_SUCCESS && hb_order_is_paid(w->order->at)) {
        rv = act(w, fact);
    }
    return rv;
}

/* --- money that goes back --- */

/* Is it about a payment other than the one that was credited? */
static int is_of_another(const apply_t *w, const hb_pay_fact_t *fact)
{
    return fact->payment_id != NULL && w->order->payment_id != NULL
        && strcmp(fact->payment_id, w->order->payment_id) != 0;
}

/* Coins moved by hb_refund.h; here is what the order is after it. */
static apr_status_t reversed(apply_t *w, const hb_reversal_t *r, hb_pay_outcome_e outcome)
{
    const hb_order_state_e next = r->is_disputed ? HB_ORDER_DISPUTED
        : r->is_lost ? HB_ORDER_CHARGED_BACK : r->is_whole ? HB_ORDER_REFUNDED
        : r->is_given ? HB_ORDER_PAID : HB_ORDER_REVIEW;
    apr_status_t rv = APR_SUCCESS;

    hb_json_set_int(w->doc, "refundedMinor", r->refunded_minor);
    if (next != w->order->at) {
        move(w, next, r->note);
    }
    else {
        step(w, hb_pay_outcome_name(outcome), r->note);
    }
    if (r->is_whole) {
        rv = unflag(w, "undeliverable", NULL, "refunded");
    }
    end(w, HB_ORDER_APPLIED, r->note);
    return rv;
}

static apr_status_t refund(apply_t *w, const hb_pay_fact_t *fact)
{
    hb_reversal_t r;
    apr_status_t rv;

    if (is_of_another(w, fact) && fact->outcome == HB_PAY_REFUND_FAILED) {
        return flag(w, fact, "refund_failed", "a refund of a payment beyond the first");
    }
    if (is_of_another(w, fact)) {
        int is_part = fact->refunded_minor >= 0 && fact->refunded_minor < fact->amount_minor;
        const char *note = is_part ? "a part of a payment beyond the first went back"
                                   : "a payment beyond the first went back";

        step(w, "refunded", note);
        end(w, HB_ORDER_APPLIED, note);
        return is_part ? APR_SUCCESS : unflag(w, "extra_payment", fact->payment_id, "refunded");
    }
    if (fact->refunded_minor > w->order->amount_minor) {
        return flag(w, fact, "amount", "more went back than was paid");
    }
    rv = hb_refund_apply(&r, w->op, w->order, fact);
    if (rv == APR_SUCCESS && fact->outcome == HB_PAY_REFUND_FAILED) {
        if (r.is_news) {
            rv = reversed(w, &r, fact->outcome);
        }
        return rv == APR_SUCCESS
            ? flag(w, fact, "refund_failed", "a refund did not go through") : rv;
    }
    if (rv == APR_SUCCESS && !r.is_news && fact->refunded_minor < 0) {
        /* eSewa and Khalti never say how much; what was made here is known all the same. */
        return r.refunded_minor > 0 ? end(w, HB_ORDER_WAITS, "how much went back is not said")
            : flag(w, fact, "refund_unknown", "money went back that is not recorded here, and the "
                                              "provider does not say how much");
    }
    if (rv == APR_SUCCESS && !r.is_news) {
        return end(w, HB_ORDER_ALREADY, "this refund is known");
    }
    if (rv == APR_SUCCESS) {
        rv = unflag(w, "refund_unknown", w->order->payment_id, "it is recorded here now");
    }
    return rv == APR_SUCCESS ? reversed(w, &r, fact->outcome) : rv;
}

static apr_status_t dispute(apply_t *w, const hb_pay_fact_t *fact)
{
    hb_reversal_t r;
    apr_status_t rv;

    if (is_of_another(w, fact)) {
        return flag(w, fact, "refund_unknown", apr_pstrcat(w->op->pool, "a payment beyond the "
                    "first: ", hb_pay_outcome_name(fact->outcome), NULL));
    }
    rv = hb_dispute_apply(&r, w->op, w->order, fact);
    if (rv == APR_SUCCESS && !r.is_news) {
        return end(w, HB_ORDER_ALREADY, "this dispute is known");
    }
    return rv == APR_SUCCESS ? reversed(w, &r, fact->outcome) : rv;
}

static apr_status_t wait_for(apply_t *w, const hb_pay_fact_t *fact)
{
    apr_status_t rv = flag(w, fact, "ambiguous", "the provider does not know itself yet");

    w->effect = HB_ORDER_WAITS;
    return rv;
}

static apr_status_t act(apply_t *w, const hb_pay_fact_t *fact)
{
    const hb_order_cell_t *cell = hb_order_cell(w->order->at, fact->outcome);
    const char *said = fact->status != NULL ? fact->status : hb_pay_outcome_name(fact->outcome);

    switch (cell->act) {
    case HB_ACT_NOTHING:
        return end(w, HB_ORDER_ALREADY, "nothing new");
    case HB_ACT_MOVE:
        move(w, cell->next, apr_psprintf(w->op->pool, "%s says %.100s", w->order->provider, said));
        return end(w, HB_ORDER_APPLIED, hb_order_state_name(cell->next));
    case HB_ACT_WAIT:
        return wait_for(w, fact);
    case HB_ACT_CREDIT:
        return credit(w, fact);
    case HB_ACT_PAID_AGAIN:
        return paid_again(w, fact);
    case HB_ACT_UNPAID:
        return unpaid(w, fact);
    case HB_ACT_EARLY:
        return early(w, fact);
    case HB_ACT_REFUND:
        return refund(w, fact);
    case HB_ACT_REFUND_FAILED:
        return refund(w, fact);
    case HB_ACT_DISPUTE:
        return dispute(w, fact);
    }
    return HB_E_INTERNAL;
}

apr_status_t hb_order_apply(hb_order_effect_e *effect, const char **note, hb_op_t *op,
                            hb_order_t *order, const hb_pay_fact_t *fact, const char *proof)
{
    apply_t w = { .op = op, .order = order, .doc = (hb_json_t *)order->doc, .proof = proof,
                  .id = order->id, .effect = HB_ORDER_IGNORED };
    apr_status_t rv = APR_SUCCESS;

    if (fact->outcome != HB_PAY_UNKNOWN) {
        rv = act(&w, fact);
    }
    if (rv == APR_SUCCESS && w.is_changed) {
        rv = hb_order_write(order, op, w.doc);
    }
    *effect = w.effect;
    *note = w.note;
    return rv;
}

void hb_order_applied(hb_op_t *op, const hb_order_t *order, hb_order_effect_e effect)
{
    if (effect == HB_ORDER_FLAGGED) {
        hb_metric_add(op->site->metrics, HB_M_PAYMENTS_FLAGGED, 1);
    }
    if (effect != HB_ORDER_APPLIED) {
        return;
    }
    hb_user_changed(op, order->user_id);
    if (hb_time_to_msec(order->paid_at) == hb_time_to_msec(op->now)) {
        hb_metric_add(op->site->metrics, HB_M_PAYMENTS_PAID, 1);
    }
    else if (!hb_order_is_paid(order->at) && !hb_order_is_awaited(order->at)) {
        hb_metric_add(op->site->metrics, HB_M_PAYMENTS_FAILED, 1);
    }
}

apr_status_t hb_order_release(hb_op_t *op, hb_order_t *order, const char *why)
{
    apply_t w = { .op = op, .order = order, .doc = (hb_json_t *)order->doc, .id = order->id };
    hb_reversal_t r;
    const char *because;
    apr_status_t rv;

    if (order->at != HB_ORDER_REVIEW) {
        return hb_fail(op, HB_E_ORDER_STATE, "the order is %s, not in review", order->state);
    }
    rv = give(&w, &because);
    if (rv == APR_SUCCESS && because != NULL) {
        return hb_fail(op, HB_E_ORDER_STATE, "%s", because);
    }
    if (rv == APR_SUCCESS) {
        move(&w, HB_ORDER_PAID, why);
        rv = tell_payer(&w);
    }
    if (rv == APR_SUCCESS) {
        rv = unflag(&w, "undeliverable", NULL, "given after all");
    }
    if (rv == APR_SUCCESS) {
        rv = hb_refund_given(&r, op, order);
    }
    if (rv == APR_SUCCESS && r.is_news) {       /* what was told of while it waited */
        rv = reversed(&w, &r, HB_PAY_REFUNDED);
    }
    return rv == APR_SUCCESS ? hb_order_write(order, op, w.doc) : rv;
}
