/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refunds that finance asks for. The record is written before the provider is called and holds the
 * key of that call, so a death anywhere leaves a refund that is "approved" or "sending", and
 * sending it again completes it: the provider does it once, and what its answer moves is one
 * transaction. No transaction is open while the provider is waited for.
 */
#include "hb_refund.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_approval.h"
#include "hb_audit.h"
#include "hb_idem.h"
#include "hb_notice.h"
#include "hb_reversal_private.h"
#include "hb_schema.h"
#include "hb_store.h"
#include "hb_time.h"

#define LEASE_MSEC 60000        /* nobody else sends it meanwhile, at least */
#define OF_ORDER_MAX 1000
#define RESUME_MAX 100
#define PROBLEM_MAX 300

/* --- states and events --- */

#define NO (-1)

static const signed char cells[HB_REFUND_STATES][HB_REFUND_EVENTS] = {
/*                 approve             refuse              send               by hand           succeed         fail */
/* waiting */    { HB_REFUND_APPROVED, HB_REFUND_REFUSED,  NO,                NO,               NO,             NO },
/* approved */   { NO,                 NO,                 HB_REFUND_SENDING, HB_REFUND_MANUAL, NO,             HB_REFUND_FAILED },
/* sending */    { NO,                 NO,                 HB_REFUND_SENDING, NO,               HB_REFUND_DONE, HB_REFUND_FAILED },
/* manual */     { NO,                 NO,                 NO,                NO,               HB_REFUND_DONE, HB_REFUND_FAILED },
/* done: a provider may find out later */
                 { NO,                 NO,                 NO,                NO,               NO,             HB_REFUND_FAILED },
/* failed */     { NO,                 NO,                 NO,                NO,               NO,             NO },
/* refused */    { NO,                 NO,                 NO,                NO,               NO,             NO },
};

static const char *const state_names[HB_REFUND_STATES] = {
    "waiting", "approved", "sending", "manual", "done", "failed", "refused"
};
static const char *const event_names[HB_REFUND_EVENTS] = {
    "approved", "refused", "sent", "made by hand", "done", "given up"
};

const char *hb_refund_state_name(hb_refund_state_e state)
{
    return state_names[state];
}

apr_status_t hb_refund_next(hb_refund_state_e *next, hb_op_t *op, hb_refund_state_e state,
                            hb_refund_event_e event)
{
    if (cells[state][event] == NO) {
        return hb_fail(op, HB_E_REFUND_STATE, "a refund that is %s cannot be %s",
                       state_names[state], event_names[event]);
    }
    *next = (hb_refund_state_e)cells[state][event];
    return APR_SUCCESS;
}

static hb_refund_state_e state_of(const hb_json_t *refund)
{
    const char *name = hb_json_string(refund, "state");
    int i;

    for (i = 0; i < HB_REFUND_STATES - 1; i++) {
        if (name != NULL && strcmp(name, state_names[i]) == 0) {
            break;
        }
    }
    return (hb_refund_state_e)i;
}

static apr_status_t move(hb_op_t *op, hb_json_t *refund, hb_refund_event_e event)
{
    hb_refund_state_e next;
    apr_status_t rv = hb_refund_next(&next, op, state_of(refund), event);

    if (rv == APR_SUCCESS) {
        hb_json_set_string(refund, "state", state_names[next]);
        if (next >= HB_REFUND_DONE) {
            hb_json_set_int(refund, "endedAt", hb_time_to_msec(op->now));
        }
    }
    return rv;
}

static apr_status_t load(hb_json_t **refund, hb_op_t *op, const char *id)
{
    apr_status_t rv = hb_id_is_valid(id) ? hb_store_get(refund, op, HB_C_REFUNDS, id)
                                         : HB_E_STORE_MISSING;

    return rv == HB_E_STORE_MISSING ? hb_fail(op, HB_E_REFUND_UNKNOWN, NULL) : rv;
}

static hb_json_t *view_of(hb_op_t *op, const hb_json_t *refund)
{
    return hb_schema_view(op, HB_C_REFUNDS, refund, HB_ALL | HB_STAFF);
}

static const char *amount_text(hb_op_t *op, const hb_json_t *refund)
{
    return hb_money_text(op->pool, hb_json_int(refund, "amountMinor", 0),
                         hb_json_string(refund, "currency"));
}

/* --- asking --- */

typedef struct asking_t {
    const char *id;             /* made once, so that a second try books the same */
    const hb_json_t *input;
    hb_order_t order;
    hb_json_t *refund;
} asking_t;

/* What one member of finance may send back alone. */
static apr_int64_t limit_of(const hb_op_t *op, const char *currency)
{
    return strcmp(currency, "npr") == 0 ? op->site->settings->refund_alone_npr
        : strcmp(currency, "usd") == 0 ? op->site->settings->refund_alone_usd : 0;
}

/* What was asked for of this payment before, and is not over with nothing; of that, what
 * nobody approved. */
static apr_status_t asked_before(apr_int64_t *pending, apr_int64_t *alone, asking_t *a,
                                 hb_op_t *op, const char *flag_id)
{
    const hb_cond_t where[] = { { "orderId", HB_IS, HB_STR(a->order.id) } };
    const hb_query_t query = { .in = HB_C_REFUNDS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = OF_ORDER_MAX };
    hb_page_t page;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    *pending = *alone = 0;
    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        const hb_json_t *one = page.items[i];
        const char *its_flag = hb_json_string(one, "flagId");
        hb_refund_state_e state = state_of(one);
        apr_int64_t minor = hb_json_int(one, "amountMinor", 0);

        if (state == HB_REFUND_FAILED || state == HB_REFUND_REFUSED) {
            continue;
        }
        if (hb_json_string(one, "approvedBy") == NULL) {
            *alone += minor;
        }
        if ((its_flag == NULL) != (flag_id == NULL)
            || (flag_id != NULL && strcmp(its_flag, flag_id) != 0)) {
            continue;
        }
        /* A payment's own refunds that are done are in what was refunded of it. */
        if (state != HB_REFUND_DONE || flag_id != NULL) {
            *pending += minor;
        }
    }
    return rv;
}

/* What can still go back of the order's own payment. */
static apr_status_t left_of_order(apr_int64_t *left, asking_t *a, hb_op_t *op,
                                  apr_int64_t pending)
{
    hb_disputed_t disputed;
    hb_reversing_t r;
    apr_status_t rv;

    if (a->order.paid_at == 0) {
        return hb_fail(op, HB_E_REFUND_NOTHING, "the order is %s", a->order.state);
    }
    rv = hb_reversing_begin(&r, op, &a->order);
    if (rv == APR_SUCCESS) {
        rv = hb_dispute_sum(&disputed, op, a->order.id, NULL);
    }
    if (rv == APR_SUCCESS) {
        *left = a->order.amount_minor - hb_json_int(r.doc, "refundedMinor", 0)
            - disputed.minor - pending;
        hb_json_set_string(a->refund, "paymentId", a->order.payment_id);
        if (a->order.charge_id != NULL) {
            hb_json_set_string(a->refund, "chargeId", a->order.charge_id);
        }
    }
    return rv;
}

/* The same of a payment that finance was told of, because it does not fit the order. */
static apr_status_t left_of_flag(apr_int64_t *left, asking_t *a, hb_op_t *op,
                                 const char *flag_id, apr_int64_t pending)
{
    const char *payment_id, *currency;
    hb_json_t *flag;
    apr_status_t rv = hb_store_get(&flag, op, HB_C_FLAGS, flag_id);

    if (rv == HB_E_STORE_MISSING
        || (rv == APR_SUCCESS && strcmp(hb_json_string(flag, "orderId"), a->order.id) != 0)) {
        return hb_fail_field(op, "flagId", "value", "no flag of this order");
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    payment_id = hb_json_string(flag, "paymentId");
    currency = hb_json_string(flag, "currency");
    if (payment_id == NULL || (a->order.payment_id != NULL
                               && strcmp(payment_id, a->order.payment_id) == 0)) {
        return hb_fail_field(op, "flagId", "value", "the flag names no other payment");
    }
    if (currency != NULL && strcmp(currency, a->order.currency) != 0) {
        return hb_fail_field(op, "flagId", "value", "paid in another currency: refund it in the "
                             "provider's portal");
    }
    *left = hb_json_int(flag, "amountMinor", 0) - pending;
    hb_json_set_string(a->refund, "flagId", flag_id);
    hb_json_set_string(a->refund, "paymentId", payment_id);
    if (hb_json_string(flag, "chargeId") != NULL) {
        hb_json_set_string(a->refund, "chargeId", hb_json_string(flag, "chargeId"));
    }
    return APR_SUCCESS;
}

static void fill(asking_t *a, hb_op_t *op, apr_int64_t minor, int is_alone)
{
    hb_json_set_string(a->refund, "_id", a->id);
    hb_json_set_string(a->refund, "orderId", a->order.id);
    hb_json_set_string(a->refund, "userId", a->order.user_id);
    hb_json_set_string(a->refund, "provider", a->order.provider);
    hb_json_set_int(a->refund, "amountMinor", minor);
    hb_json_set_string(a->refund, "currency", a->order.currency);
    hb_json_set_string(a->refund, "reason", hb_json_string(a->input, "reason"));
    hb_json_set_string(a->refund, "state",
                       state_names[is_alone ? HB_REFUND_APPROVED : HB_REFUND_WAITING]);
    hb_json_set_string(a->refund, "askedBy", op->actor.user_id);
    hb_json_set_int(a->refund, "createdAt", hb_time_to_msec(op->now));
}

static apr_status_t write_asked(asking_t *a, hb_op_t *op, int is_alone)
{
    hb_approval_ask_t ask = { .kind = "refund", .subject = a->id,
                              .owner_id = a->order.user_id };
    apr_status_t rv = hb_store_insert(NULL, op, HB_C_REFUNDS, a->refund);

    if (rv == APR_SUCCESS && !is_alone) {
        ask.summary = apr_psprintf(op->pool, "refund %s of \"%s\" by %s",
                                   amount_text(op, a->refund), a->order.title,
                                   a->order.provider);
        rv = hb_approval_ask(NULL, op, &ask);
    }
    if (rv == APR_SUCCESS) {
        rv = hb_order_note(op, a->order.id, "refund",
                           apr_psprintf(op->pool, "%s asked for%s: %.200s",
                                        amount_text(op, a->refund),
                                        is_alone ? "" : ", waits for approval",
                                        hb_json_string(a->input, "reason")));
    }
    return rv == APR_SUCCESS
        ? hb_audit_add(op, NULL, "refund.asked", a->id, 1, view_of(op, a->refund)) : rv;
}

static apr_status_t ask_work(hb_json_t **answer, hb_op_t *op, void *baton)
{
    asking_t *a = baton;
    const char *flag_id = hb_json_string(a->input, "flagId");
    apr_int64_t pending, alone, left = 0, minor;
    apr_status_t rv = hb_order_load(&a->order, op, hb_json_string(a->input, "orderId"));
    int is_alone;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (strcmp(a->order.user_id, op->actor.user_id) == 0) {
        return hb_fail(op, HB_E_APPROVAL_FOUR_EYES, "it is your own money");
    }
    a->refund = hb_json_object_make(op->pool);
    rv = asked_before(&pending, &alone, a, op, flag_id);
    if (rv == APR_SUCCESS) {
        rv = flag_id != NULL ? left_of_flag(&left, a, op, flag_id, pending)
                             : left_of_order(&left, a, op, pending);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    minor = hb_json_int(a->input, "amountMinor", left);
    if (left <= 0 || minor > left) {
        return hb_fail(op, HB_E_REFUND_TOO_MUCH, "%s can still go back",
                       hb_money_text(op->pool, left > 0 ? left : 0, a->order.currency));
    }
    /* Many small ones are a big one. */
    is_alone = minor + alone <= limit_of(op, a->order.currency);
    fill(a, op, minor, is_alone);
    rv = write_asked(a, op, is_alone);
    *answer = view_of(op, a->refund);
    return rv;
}

apr_status_t hb_refund_begin(hb_json_t **view, hb_op_t *op, const hb_json_t *input)
{
    asking_t a = { .id = hb_id_make(op), .input = input };
    const char *state;
    apr_status_t rv;

    if (op->actor.user_id == NULL) {
        return hb_fail(op, HB_E_AUTH_REQUIRED, "refunds are asked for in one's own name");
    }
    rv = hb_idem_transact(view, op, "refund", input, ask_work, &a);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* The first call may have died here: the one that repeats it goes on. */
    state = hb_json_string(*view, "state");
    if (strcmp(state, state_names[HB_REFUND_APPROVED]) == 0) {
        rv = hb_refund_send(view, op, hb_json_string(*view, "id"));
        if (rv == HB_E_REFUND_STATE || rv == HB_E_REFUND_BUSY) {
            hb_op_recover(op);
            rv = hb_refund_show(view, op, hb_json_string(*view, "id"));
        }
    }
    return rv;
}

/* --- sending --- */

typedef struct sending_t {
    const char *id;
    const char *actor_id;       /* who says so, by hand; NULL when the provider does */
    const char *reference;      /* the provider's id */
    const char *problem;        /* NULL when all is well */
    hb_refund_event_e event;    /* how it ended; HB_REFUND_SEND: not known yet */
    int is_unsure;              /* an earlier try may have reached the provider */
    int may_have_worked;        /* this one may have */
    hb_pay_fact_t fact;
    hb_order_t order;
    hb_json_t *refund;
    hb_order_effect_e effect;
} sending_t;

/* Longer than sending takes: a question how things stand, and the refund itself. */
static apr_int64_t lease_msec(const hb_op_t *op)
{
    apr_int64_t wait = 3 * hb_time_to_msec(op->site->settings->payment_wait);

    return wait > LEASE_MSEC ? wait : LEASE_MSEC;
}

static apr_status_t begin_in_store(hb_op_t *op, void *baton)
{
    sending_t *s = baton;
    const hb_pay_provider_t *provider;
    apr_int64_t now = hb_time_to_msec(op->now), sent;
    apr_status_t rv = load(&s->refund, op, s->id);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    provider = hb_pay_provider(hb_json_string(s->refund, "provider"));
    s->event = provider != NULL && (provider->can & HB_PAY_CAN_REFUND) != 0
        ? HB_REFUND_SEND : HB_REFUND_BY_HAND;
    sent = state_of(s->refund) == HB_REFUND_SENDING ? hb_json_int(s->refund, "sentAt", 0) : 0;
    s->is_unsure = sent != 0;
    if (sent != 0 && sent + lease_msec(op) > now) {
        return hb_fail_later(op, HB_E_REFUND_BUSY, (int)(lease_msec(op) / 1000), NULL);
    }
    rv = move(op, s->refund, s->event);
    if (rv == APR_SUCCESS) {
        rv = hb_order_load(&s->order, op, hb_json_string(s->refund, "orderId"));
    }
    if (rv == APR_SUCCESS && s->event == HB_REFUND_SEND) {
        hb_json_set_int(s->refund, "sentAt", now);
        hb_json_set_int(s->refund, "tries", hb_json_int(s->refund, "tries", 0) + 1);
    }
    return rv == APR_SUCCESS ? hb_store_replace(NULL, op, HB_C_REFUNDS, s->refund) : rv;
}

/* A payment that did not fit its order went back, so nobody has to look at it any more. */
static apr_status_t close_flag(hb_op_t *op, const hb_json_t *refund)
{
    const char *order_id = hb_json_string(refund, "orderId");
    hb_json_t *flag;
    apr_status_t rv = hb_store_get(&flag, op, HB_C_FLAGS, hb_json_string(refund, "flagId"));

    if (rv == APR_SUCCESS) {
        rv = hb_order_unflag(op, order_id, hb_json_string(flag, "code"),
                             hb_json_string(flag, "paymentId"), "refunded");
    }
    return rv == APR_SUCCESS
        ? hb_order_note(op, order_id, "refunded", "a payment that did not fit went back") : rv;
}

/* The order's own payment: what was bought goes with the money. */
static apr_status_t apply_to_order(hb_op_t *op, sending_t *s)
{
    const char *note;
    apr_status_t rv = hb_order_load(&s->order, op, hb_json_string(s->refund, "orderId"));

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (hb_json_string(s->refund, "flagId") != NULL) {
        s->effect = HB_ORDER_APPLIED;
        return close_flag(op, s->refund);
    }
    s->fact.outcome = HB_PAY_REFUNDED;
    s->fact.order_id = s->order.id;
    s->fact.payment_id = s->order.payment_id;
    s->fact.refund_id = s->reference;
    s->fact.amount_minor = -1;
    s->fact.currency = s->order.currency;
    s->fact.is_live = -1;
    return hb_order_apply(&s->effect, &note, op, &s->order, &s->fact, "lookup");
}

static apr_status_t tell_payer(hb_op_t *op, const sending_t *s)
{
    hb_json_t *values = hb_json_object_make(op->pool);

    hb_json_set_string(values, "amount", amount_text(op, s->refund));
    hb_json_set_string(values, "provider", hb_json_string(s->refund, "provider"));
    hb_json_set_string(values, "reason", hb_json_string(s->refund, "reason"));
    return hb_notice_add(op, HB_N_REFUND_DONE, hb_json_string(s->refund, "userId"), values);
}

static apr_status_t end_in_store(hb_op_t *op, void *baton)
{
    sending_t *s = baton;
    apr_status_t rv = load(&s->refund, op, s->id);

    s->effect = HB_ORDER_IGNORED;
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (s->actor_id == NULL && state_of(s->refund) != HB_REFUND_SENDING) {
        return APR_SUCCESS;     /* somebody else has ended it meanwhile */
    }
    rv = move(op, s->refund, s->event);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (s->reference != NULL) {
        hb_json_set_string(s->refund, "refundId", s->reference);
    }
    hb_json_remove(s->refund, "problem");
    if (s->problem != NULL) {
        hb_json_set_string(s->refund, "problem",
                           apr_pstrndup(op->pool, s->problem, PROBLEM_MAX));
    }
    if (s->event == HB_REFUND_SEND && !s->may_have_worked) {
        hb_json_set_int(s->refund, "sentAt", 0);        /* may be tried again at once */
    }
    rv = hb_store_replace(NULL, op, HB_C_REFUNDS, s->refund);
    if (rv == APR_SUCCESS && s->event == HB_REFUND_SUCCEED) {
        rv = apply_to_order(op, s);
    }
    if (rv == APR_SUCCESS && s->event != HB_REFUND_SEND) {
        rv = hb_audit_add(op, NULL, s->event == HB_REFUND_SUCCEED ? "refund.done"
                          : "refund.failed", s->id, s->event == HB_REFUND_SUCCEED,
                          view_of(op, s->refund));
    }
    return rv == APR_SUCCESS && s->event == HB_REFUND_SUCCEED ? tell_payer(op, s) : rv;
}

static apr_status_t end(hb_json_t **view, hb_op_t *op, sending_t *s)
{
    apr_status_t rv;

    rv = hb_store_transact(op, end_in_store, s);
    if (rv == APR_SUCCESS) {
        if (s->effect != HB_ORDER_IGNORED) {
            hb_order_applied(op, &s->order, s->effect);
        }
        *view = view_of(op, s->refund);
    }
    return rv;
}

/*
 * Does a provider without keys leave open what an earlier try did? It tells whether anything went
 * back, which says nothing of this refund when another one of the order did.
 */
static int is_risky(const sending_t *s, const hb_pay_provider_t *provider)
{
    return s->is_unsure && s->order.refunded_minor > 0
        && (provider->can & HB_PAY_NO_REFUND_KEYS) != 0;
}

apr_status_t hb_refund_send(hb_json_t **view, hb_op_t *op, const char *id)
{
    sending_t s = { .id = id };
    const hb_pay_provider_t *provider;
    char text[200];
    apr_status_t rv = hb_store_transact(op, begin_in_store, &s);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (s.event == HB_REFUND_BY_HAND) {
        *view = view_of(op, s.refund);
        return APR_SUCCESS;
    }
    provider = hb_pay_provider(hb_json_string(s.refund, "provider"));
    s.order.payment_id = hb_json_string(s.refund, "paymentId");
    s.order.charge_id = hb_json_string(s.refund, "chargeId");
    s.fact.refunded_minor = -1;
    rv = is_risky(&s, provider)
        ? hb_fail(op, HB_E_PAY_REFUSED, "it is not known whether an earlier try reached %s; "
                  "compare with the merchant portal", provider->title)
        : provider->refund(&s.fact, op, &s.order, hb_json_int(s.refund, "amountMinor", 0),
                           apr_pstrcat(op->pool, "refund-", id, NULL));
    s.may_have_worked = rv != APR_SUCCESS && s.fact.outcome == HB_PAY_AMBIGUOUS;
    s.event = rv == APR_SUCCESS && s.fact.outcome != HB_PAY_REFUND_FAILED ? HB_REFUND_SUCCEED
        : rv == APR_SUCCESS || rv == HB_E_PAY_REFUSED ? HB_REFUND_FAIL : HB_REFUND_SEND;
    if (rv != APR_SUCCESS) {
        s.problem = op->problem.detail != NULL ? op->problem.detail
            : apr_pstrdup(op->pool, hb_strerror(rv, text, sizeof(text)));
        hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00421) "refund %s of order %s by %s: %s", id,
               s.order.id, s.order.provider, s.problem);
    }
    else if (s.event == HB_REFUND_FAIL) {
        s.problem = s.fact.status != NULL ? s.fact.status : "the provider says it failed";
    }
    s.reference = s.fact.refund_id;
    hb_op_recover(op);
    return end(view, op, &s);
}

/* --- by hand --- */

/* What a member of finance says came of it. */
static apr_status_t say(hb_json_t **view, hb_op_t *op, const char *id, sending_t *s)
{
    apr_status_t rv;

    s->id = id;
    s->actor_id = op->actor.user_id;
    s->fact.refunded_minor = -1;
    rv = load(&s->refund, op, id);
    return rv == APR_SUCCESS ? end(view, op, s) : rv;
}

apr_status_t hb_refund_made(hb_json_t **view, hb_op_t *op, const char *id,
                            const char *reference)
{
    sending_t s = { .event = HB_REFUND_SUCCEED, .reference = reference };

    return say(view, op, id, &s);
}

apr_status_t hb_refund_give_up(hb_json_t **view, hb_op_t *op, const char *id,
                               const char *reason)
{
    sending_t s = { .event = HB_REFUND_FAIL, .problem = reason };
    hb_json_t *refund;
    apr_status_t rv = load(&refund, op, id);

    if (rv == APR_SUCCESS && state_of(refund) == HB_REFUND_DONE) {
        return hb_fail(op, HB_E_REFUND_STATE, "only the provider can say that it failed");
    }
    return rv == APR_SUCCESS ? say(view, op, id, &s) : rv;
}

/* --- approvals --- */

apr_status_t hb_refund_decided(hb_op_t *op, const hb_json_t *approval, int is_approved)
{
    hb_json_t *refund;
    apr_status_t rv = load(&refund, op, hb_json_string(approval, "subject"));

    if (rv == APR_SUCCESS) {
        rv = move(op, refund, is_approved ? HB_REFUND_APPROVE : HB_REFUND_REFUSE);
    }
    if (rv == APR_SUCCESS) {
        if (is_approved) {
            hb_json_set_string(refund, "approvedBy", op->actor.user_id);
        }
        rv = hb_store_replace(NULL, op, HB_C_REFUNDS, refund);
    }
    return rv;
}

void hb_refund_go_on(hb_op_t *op, const hb_json_t *approval)
{
    hb_json_t *view;
    const char *id = hb_json_string(approval, "subject");
    apr_status_t rv = hb_refund_send(&view, op, id);

    if (rv != APR_SUCCESS) {
        hb_log(op, HB_LOG_WARNING, rv, HBLOGNO(00422) "refund %s is approved but not sent yet", id);
        hb_op_recover(op);
    }
}

/* --- what is left over --- */

static apr_status_t resume_in(apr_int64_t *n, hb_op_t *op, hb_refund_state_e state)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state_names[state]) } };
    const hb_query_t query = { .in = HB_C_REFUNDS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = RESUME_MAX };
    hb_page_t page;
    hb_json_t *view;
    apr_status_t rv = hb_store_find(&page, op, &query);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < page.n_items; i++) {
        rv = hb_refund_send(&view, op, hb_json_string(page.items[i], "_id"));
        if (rv == HB_E_REFUND_STATE || rv == HB_E_REFUND_BUSY) {
            hb_op_recover(op);  /* somebody else is at it */
            rv = APR_SUCCESS;
        }
        else if (rv == APR_SUCCESS) {
            *n += state_of(view) >= HB_REFUND_DONE;
        }
    }
    return rv;
}

apr_status_t hb_refund_resume(apr_int64_t *n, hb_op_t *op)
{
    apr_status_t rv;

    *n = 0;
    rv = resume_in(n, op, HB_REFUND_SENDING);
    return rv == APR_SUCCESS ? resume_in(n, op, HB_REFUND_APPROVED) : rv;
}

/* --- showing --- */

apr_status_t hb_refund_list(hb_json_t **list, hb_op_t *op, const char *state, int limit,
                            const char *after)
{
    const hb_cond_t where[] = { { "state", HB_IS, HB_STR(state) } };
    const hb_query_t query = { .in = HB_C_REFUNDS, .where = where, .n_where = 1,
                               .sort = { { "createdAt", 1 } }, .limit = limit,
                               .after = after };

    return hb_store_list(list, op, &query, HB_ALL | HB_STAFF);
}

apr_status_t hb_refund_show(hb_json_t **view, hb_op_t *op, const char *id)
{
    hb_json_t *refund;
    apr_status_t rv = load(&refund, op, id);

    if (rv == APR_SUCCESS) {
        *view = view_of(op, refund);
    }
    return rv;
}
