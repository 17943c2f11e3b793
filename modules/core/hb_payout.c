/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payouts: what may become of one, and each step of it. A step is the change of its record, the
 * move of its coins and the entry in the audit trail in one transaction; the mail of an
 * outcome goes with it. The hold in the ledger has no end of its own: a payout ends by a
 * decision, however long that takes.
 */
#include "hb_payout.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_approval.h"
#include "hb_audit.h"
#include "hb_debt.h"
#include "hb_fraud.h"
#include "hb_idem.h"
#include "hb_ledger.h"
#include "hb_notice.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"
#include "hb_user.h"

#define RATE_COINS 10000        /* what the rates are for */
#define NEVER (APR_INT64_C(253402300799) * APR_USEC_PER_SEC)

/* --- states and events --- */

#define NO (-1)

static const signed char cells[HB_PAYOUT_STATES][HB_PAYOUT_EVENTS] = {
/*                   review              approve             refuse               export              pay             reject               cancel */
/* requested */    { HB_PAYOUT_REVIEWED, NO,                 NO,                  NO,                 NO,             HB_PAYOUT_REJECTED,  HB_PAYOUT_CANCELLED },
/* reviewed */     { NO,                 HB_PAYOUT_APPROVED, HB_PAYOUT_REQUESTED, NO,                 NO,             HB_PAYOUT_REJECTED,  NO },
/* approved */     { NO,                 NO,                 NO,                  HB_PAYOUT_EXPORTED, NO,             HB_PAYOUT_REJECTED,  NO },
/* exported */     { NO,                 NO,                 NO,                  NO,                 HB_PAYOUT_PAID, HB_PAYOUT_REJECTED,  NO },
/* paid */         { NO,                 NO,                 NO,                  NO,                 NO,             NO,                  NO },
/* rejected */     { NO,                 NO,                 NO,                  NO,                 NO,             NO,                  NO },
/* cancelled */    { NO,                 NO,                 NO,                  NO,                 NO,             NO,                  NO },
};

static const char *const state_names[HB_PAYOUT_STATES] = {
    "requested", "reviewed", "approved", "exported", "paid", "rejected", "cancelled"
};
static const char *const event_names[HB_PAYOUT_EVENTS] = {
    "reviewed", "approved", "refused", "exported", "paid", "rejected", "cancelled"
};

const char *hb_payout_state_name(hb_payout_state_e state)
{
    return state_names[state];
}

apr_status_t hb_payout_next(hb_payout_state_e *next, hb_op_t *op, hb_payout_state_e state,
                            hb_payout_event_e event)
{
    if (cells[state][event] == NO) {
        return hb_fail(op, HB_E_PAYOUT_STATE, "a payout that is %s cannot be %s",
                       state_names[state], event_names[event]);
    }
    *next = (hb_payout_state_e)cells[state][event];
    return APR_SUCCESS;
}

static hb_payout_state_e state_of(const hb_json_t *payout)
{
    const char *name = hb_json_string(payout, "state");
    int i;

    for (i = 0; i < HB_PAYOUT_STATES - 1; i++) {
        if (name != NULL && strcmp(name, state_names[i]) == 0) {
            break;
        }
    }
    return (hb_payout_state_e)i;
}

/* --- reckoning --- */

apr_int64_t hb_payout_amount(apr_int64_t coins, apr_int64_t rate)
{
    apr_int64_t whole, rest;

    if (__builtin_mul_overflow(coins / RATE_COINS, rate, &whole)
        || __builtin_mul_overflow(coins % RATE_COINS, rate, &rest)
        || __builtin_add_overflow(whole, rest / RATE_COINS, &whole)) {
        return -1;
    }
    return whole;
}

static apr_int64_t rate_of(const hb_op_t *op, const char *currency)
{
    return strcmp(currency, "usd") == 0 ? op->site->settings->payout_rate_usd
                                        : op->site->settings->payout_rate_npr;
}

static const char *summary(hb_op_t *op, const hb_json_t *payout)
{
    return apr_psprintf(op->pool, "%" APR_INT64_T_FMT " coins as %s by %s",
                        hb_json_int(payout, "coins", 0),
                        hb_money_text(op->pool, hb_json_int(payout, "amountMinor", 0),
                                      hb_json_string(payout, "currency")),
                        hb_json_string(payout, "method"));
}

/* --- a step of one payout --- */

typedef struct step_t step_t;
typedef apr_status_t step_fn(hb_op_t *op, step_t *step);

struct step_t {
    const char *id;
    hb_payout_event_e event;
    step_fn *more;              /* what else belongs to it; may be NULL */
    int is_own;                 /* only the host may take it */
    const char *text;           /* reason or reference */
    hb_json_t *payout;          /* as the step left it */
};

static apr_status_t load(hb_json_t **payout, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(payout, op, HB_C_PAYOUTS, id)
                                         : HB_E_STORE_MISSING;

    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_PAYOUT_UNKNOWN, NULL) : rv;
}

static apr_status_t load_own(hb_json_t **payout, hb_op_t *op, const char *id)
{
    apr_status_t rv = load(payout, op, id);

    if (rv == APR_SUCCESS && (op->actor.user_id == NULL
        || strcmp(hb_json_string(*payout, "userId"), op->actor.user_id) != 0)) {
        return hb_fail(op, HB_E_PAYOUT_UNKNOWN, NULL);
    }
    return rv;
}

static void set_state(hb_op_t *op, hb_json_t *payout, hb_payout_state_e state)
{
    hb_json_set_string(payout, "state", state_names[state]);
    hb_json_remove(payout, "heldUntil");
    if (state >= HB_PAYOUT_PAID) {
        hb_json_set_int(payout, "endedAt", hb_time_to_msec(op->now));
        hb_json_remove(payout, "openUserId");
    }
}

/* Of an outcome: it was paid, or the coins came back. */
static apr_status_t tell_owner(hb_op_t *op, const step_t *step)
{
    const hb_json_t *payout = step->payout;
    hb_json_t *values;
    int is_paid = step->event == HB_PAYOUT_PAY;

    if (!is_paid && step->event != HB_PAYOUT_REJECT) {
        return APR_SUCCESS;
    }
    values = hb_json_object_make(op->pool);
    hb_json_set_string(values, "amount", summary(op, payout));
    hb_json_set_int(values, "askedAt", hb_json_int(payout, "createdAt", 0));
    hb_json_set_string(values, is_paid ? "reference" : "reason", step->text);
    return hb_notice_add(op, is_paid ? HB_N_PAYOUT_SENT : HB_N_PAYOUT_FAILED,
                         hb_json_string(payout, "userId"), values);
}

static apr_status_t step_in_store(hb_op_t *op, void *baton)
{
    step_t *step = baton;
    hb_json_t *details = hb_json_object_make(op->pool);
    hb_payout_state_e next;
    apr_status_t rv = step->is_own ? load_own(&step->payout, op, step->id)
                                   : load(&step->payout, op, step->id);

    if (rv == APR_SUCCESS) {
        rv = hb_payout_next(&next, op, state_of(step->payout), step->event);
    }
    if (rv == APR_SUCCESS && step->more != NULL) {
        rv = step->more(op, step);
    }
    if (rv == APR_SUCCESS) {
        set_state(op, step->payout, next);
        rv = hb_store_replace(NULL, op, HB_C_PAYOUTS, step->payout);
    }
    if (rv == APR_SUCCESS) {
        hb_json_set_string(details, "userId", hb_json_string(step->payout, "userId"));
        hb_json_set_string(details, "summary", summary(op, step->payout));
        if (step->text != NULL) {
            hb_json_set_string(details, "text", step->text);
        }
        rv = hb_audit_add(op, NULL, apr_pstrcat(op->pool, "payout.", event_names[step->event],
                                                NULL), step->id, 1, details);
    }
    return rv == APR_SUCCESS ? tell_owner(op, step) : rv;
}

static apr_status_t take(hb_json_t **view, hb_op_t *op, step_t *step)
{
    apr_status_t rv = hb_store_transact(op, step_in_store, step);

    if (rv == APR_SUCCESS) {
        hb_user_changed(op, hb_json_string(step->payout, "userId"));
        *view = hb_schema_view(op, HB_C_PAYOUTS, step->payout,
                               HB_ALL | (step->is_own ? HB_SELF : HB_STAFF));
    }
    return rv;
}

/* --- the host --- */

typedef struct request_t {
    const char *id;             /* made once, so that a second try books the same */
    const hb_json_t *input;
    apr_int64_t amount_minor;
} request_t;

static void keep(hb_json_t *doc, const hb_json_t *input, const char *field)
{
    if (hb_json_string(input, field) != NULL) {
        hb_json_set_string(doc, field, hb_json_string(input, field));
    }
}

static hb_json_t *payout_make(hb_op_t *op, const request_t *request)
{
    hb_json_t *doc = hb_json_object_make(op->pool);

    hb_json_set_string(doc, "_id", request->id);
    hb_json_set_string(doc, "userId", op->actor.user_id);
    hb_json_set_string(doc, "openUserId", op->actor.user_id);
    hb_json_set_int(doc, "coins", hb_json_int(request->input, "coins", 0));
    keep(doc, request->input, "currency");
    hb_json_set_int(doc, "amountMinor", request->amount_minor);
    keep(doc, request->input, "method");
    keep(doc, request->input, "account");
    keep(doc, request->input, "accountName");
    keep(doc, request->input, "bankName");
    hb_json_set_string(doc, "state", state_names[HB_PAYOUT_REQUESTED]);
    hb_json_set_int(doc, "createdAt", hb_time_to_msec(op->now));
    hb_json_set_int(doc, "reviewAt",
                    hb_time_to_msec(op->now + op->site->settings->payout_hold));
    hb_json_set_int(doc, "heldUntil", hb_json_int(doc, "reviewAt", 0));
    return doc;
}

static apr_status_t request_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    const request_t *request = baton;
    const char *user_id = op->actor.user_id, *hold_id, *index;
    const char *key = apr_pstrcat(op->pool, "payout:", request->id, NULL);
    hb_json_t *doc = payout_make(op, request);
    apr_status_t rv = hb_debt_check(op, user_id);

    if (rv == APR_SUCCESS) {
        rv = hb_hold_reserve(&hold_id, op, hb_account_earned(op, user_id), HB_COIN,
                             hb_json_int(doc, "coins", 0), key, NEVER);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    hb_json_set_string(doc, "holdId", hold_id);
    rv = hb_store_insert(&index, op, HB_C_PAYOUTS, doc);
    if (rv == HB_E_STORE_DUPLICATE && strcmp(index, "open") == 0) {
        return hb_fail(op, HB_E_PAYOUT_OPEN, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_audit_add(op, NULL, "payout.requested", request->id, 1, NULL);
    }
    *answer = hb_schema_view(op, HB_C_PAYOUTS, doc, HB_ALL | HB_SELF);
    return rv;
}

apr_status_t hb_payout_request(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    request_t request = { hb_id_make(op), input, 0 };
    const char *currency = hb_json_string(input, "currency");
    apr_int64_t coins = hb_json_int(input, "coins", 0);
    apr_int64_t rate = rate_of(op, currency);
    apr_status_t rv;

    if (coins < op->site->settings->payout_min) {
        return hb_fail_field(op, "coins", "range", "at least %" APR_INT64_T_FMT,
                             op->site->settings->payout_min);
    }
    if (rate == 0) {
        return hb_fail_field(op, "currency", "value", "payouts are not made in %s", currency);
    }
    if (strcmp(hb_json_string(input, "method"), "bank") == 0
        && hb_json_string(input, "bankName") == NULL) {
        return hb_fail_field(op, "bankName", "required", "which bank");
    }
    request.amount_minor = hb_payout_amount(coins, rate);
    if (request.amount_minor < 1) {
        return hb_fail_field(op, "coins", "range", "this cannot be paid as money");
    }
    rv = hb_idem_transact(view, op, "payout", input, request_work, &request);
    if (rv == APR_SUCCESS && !op->is_replayed) {
        hb_user_changed(op, op->actor.user_id);
    }
    return rv;
}

static apr_status_t give_back(hb_op_t *op, step_t *step)
{
    const char *user_id = hb_json_string(step->payout, "userId");
    apr_status_t rv = hb_hold_void(op, hb_json_string(step->payout, "holdId"),
                                   step->text != NULL ? step->text : "payout cancelled");

    if (step->text != NULL) {
        hb_json_set_string(step->payout, "reason", step->text);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_approval_withdraw(op, "payout", step->id);
    }
    return rv == APR_SUCCESS
        ? hb_debt_settle(op, user_id, apr_pstrcat(op->pool, "payout-void:", step->id, NULL)) : rv;
}

apr_status_t hb_payout_cancel(hb_json_t **view, hb_op_t *op, const char *id)
{
    step_t step = { .id = id, .event = HB_PAYOUT_CANCEL, .more = give_back, .is_own = 1 };

    return take(view, op, &step);
}

apr_status_t hb_payout_list_own(hb_json_t **list, hb_op_t *op, int limit, const char *after)
{
    const hb_cond_t where[] = { { "userId", HB_IS, HB_STR(op->actor.user_id) } };
    const hb_query_t query = { .in = HB_C_PAYOUTS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_SELF);
}

/* --- finance --- */

apr_status_t hb_payout_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                            const char *after)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t query = { .in = HB_C_PAYOUTS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 0 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

apr_status_t hb_payout_show(hb_json_t **view, hb_op_t *op, const char *id)
{
    hb_json_t *payout;
    apr_status_t rv = load(&payout, op, id);

    if (rv == APR_SUCCESS) {
        *view = hb_schema_view(op, HB_C_PAYOUTS, payout, HB_ALL | HB_STAFF);
    }
    return rv;
}

static apr_status_t ask_approval(hb_op_t *op, step_t *step)
{
    apr_time_t due = hb_time_from_msec(hb_json_int(step->payout, "reviewAt", 0));
    hb_approval_ask_t ask = { .kind = "payout", .subject = step->id };
    apr_status_t rv;

    if (op->now < due) {
        return hb_fail(op, HB_E_PAYOUT_HELD, "it is held until %s",
                       hb_time_text(op->pool, due));
    }
    ask.owner_id = hb_json_string(step->payout, "userId");
    ask.summary = summary(op, step->payout);
    rv = hb_debt_check(op, ask.owner_id);
    if (rv == APR_SUCCESS) {
        rv = hb_approval_ask(NULL, op, &ask);
    }
    hb_json_set_string(step->payout, "reviewedBy", op->actor.user_id);
    hb_json_set_int(step->payout, "reviewedAt", hb_time_to_msec(op->now));
    return rv;
}

apr_status_t hb_payout_review(hb_json_t **view, hb_op_t *op, const char *id)
{
    step_t step = { .id = id, .event = HB_PAYOUT_REVIEW, .more = ask_approval };
    hb_fraud_finding_t finding;
    hb_payout_state_e next;
    hb_json_t *payout;
    apr_status_t rv = load(&payout, op, id);

    if (rv == APR_SUCCESS) {
        rv = hb_payout_next(&next, op, state_of(payout), HB_PAYOUT_REVIEW);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_fraud_check_payout(&finding, op, payout);
    }
    if (rv == APR_SUCCESS && finding.verdict == HB_FRAUD_HOLD) {
        return hb_fail(op, HB_E_FRAUD_HELD, "case %s has to be decided first", id);
    }
    return rv == APR_SUCCESS ? take(view, op, &step) : rv;
}

/* A debt may be younger than the review. */
static apr_status_t note_decision(hb_op_t *op, step_t *step)
{
    if (step->event == HB_PAYOUT_APPROVE) {
        apr_status_t rv = hb_debt_check(op, hb_json_string(step->payout, "userId"));

        if (rv != APR_SUCCESS) {
            return rv;
        }
        hb_json_set_string(step->payout, "approvedBy", op->actor.user_id);
        hb_json_set_int(step->payout, "approvedAt", hb_time_to_msec(op->now));
    }
    return APR_SUCCESS;
}

apr_status_t hb_payout_decided(hb_op_t *op, const hb_json_t *approval, int is_approved)
{
    step_t step = { .id = hb_json_string(approval, "subject"),
                    .event = is_approved ? HB_PAYOUT_APPROVE : HB_PAYOUT_REFUSE,
                    .more = note_decision };

    return step_in_store(op, &step);
}

apr_status_t hb_payout_reject(hb_json_t **view, hb_op_t *op, const char *id,
                              const char *reason)
{
    step_t step = { .id = id, .event = HB_PAYOUT_REJECT, .more = give_back, .text = reason };

    return take(view, op, &step);
}

static apr_status_t burn(hb_op_t *op, step_t *step)
{
    hb_json_set_string(step->payout, "reference", step->text);
    hb_json_set_string(step->payout, "paidBy", op->actor.user_id);
    return hb_hold_post(NULL, op, hb_json_string(step->payout, "holdId"), "payout",
                        HB_ACCOUNT_MINT);
}

apr_status_t hb_payout_paid(hb_json_t **view, hb_op_t *op, const char *id,
                            const char *reference)
{
    step_t step = { .id = id, .event = HB_PAYOUT_PAY, .more = burn, .text = reference };

    return take(view, op, &step);
}
