/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_order.h
 * Orders: what somebody wants to buy with money, and what became of it. Made at a price of
 * hb_price.h, paid at a provider of hb_pay.h, told of by messages that hb_inbox.h keeps. The
 * life cycle is one table in hb_order_state.c; what money turns into is hb_order_apply()'s, and
 * nobody else's. Refunds and disputes take coins back by hb_refund.h.
 *
 * An order is one payment at its provider. Who pays a second time (two windows, a retry that
 * crossed the first) is not credited again: the payment is flagged for finance.
 */
#ifndef HB_ORDER_H
#define HB_ORDER_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_pay.h"
#include "hb_store.h"

typedef enum hb_order_state_e {
    HB_ORDER_CREATED,           /* ours only: the provider has not answered yet */
    HB_ORDER_OPEN,              /* begun at the provider, not paid */
    HB_ORDER_FAILED,            /* a try to pay failed; another may still succeed */
    HB_ORDER_CANCELED,
    HB_ORDER_EXPIRED,           /* paid all the same, it is credited all the same */
    HB_ORDER_REVIEW,            /* paid, nothing given for it yet: staff decide */
    HB_ORDER_PAID,              /* paid, and given what was bought */
    HB_ORDER_DISPUTED,          /* the payer's bank asks for the money back */
    HB_ORDER_CHARGED_BACK,      /* ... and got it */
    HB_ORDER_REFUNDED,          /* all of it */
    HB_ORDER_N_STATES
} hb_order_state_e;

/** Read view of a paymentOrders record; texts are the record's. */
typedef struct hb_order_t {
    const char *id, *user_id, *provider;
    const char *kind;           /* "coins" or "og" */
    const char *product;        /* code of the price */
    const char *title;          /* "500 coins" */
    apr_int64_t coins, bonus;   /* what is credited; 0 0 for og */
    int og_tier;                /* 0 for coins */
    apr_int64_t amount_minor;   /* what is asked */
    const char *currency;       /* lower case ISO 4217 */
    const char *state;          /* name of the row below */
    hb_order_state_e at;
    int is_live;                /* real money */
    const char *attempt_id, *session_id, *payment_id, *charge_id;   /* NULL until known */
    const char *entry_id;       /* of the ledger; NULL while nothing was credited, and for og */
    apr_int64_t refunded_minor; /* so far */
    apr_time_t created_at, expires_at, paid_at;     /* paid_at 0 until then */
    const hb_json_t *doc;
} hb_order_t;

const char *hb_order_state_name(hb_order_state_e state);

/** The view of a record. Does not wait. */
void hb_order_read(hb_order_t *order, hb_json_t *doc);

/** HB_E_ORDER_UNKNOWN, with the problem set. */
apr_status_t hb_order_load(hb_order_t *order, hb_op_t *op, const char *id);

/**
 * The order that a fact is about: by our id, else by any of the provider's ids.
 * HB_E_ORDER_UNKNOWN, without a problem, also when the order is another provider's.
 */
apr_status_t hb_order_find(hb_order_t *order, hb_op_t *op, const char *provider,
                           const hb_pay_fact_t *fact);

/* --- buying (hb_order_begin.c) --- */

/**
 * The actor buys something: makes the order, begins the payment at the provider, and says where the
 * payer goes now. Repeated with its Idempotency-Key it gives the same order and the same payment,
 * wherever the first call died. Waits for the store and for the provider, never for both at once.
 * @param reply  HB_R_ORDER_STARTED
 * @param input  fits HB_F_ORDER_NEW
 * @param how    HB_PAY_AS_PAGE or HB_PAY_AS_INTENT
 * @return HB_E_PAY_UNSET, HB_E_PRICE_UNKNOWN, HB_E_OG_LOWER, HB_E_IDEM_MISMATCH, HB_E_INPUT_INVALID;
 *         HB_E_PAY_UPSTREAM: try again with the same key; HB_E_PAY_REFUSED: the order has failed
 */
apr_status_t hb_order_begin(hb_json_t **reply, hb_op_t *op, const hb_pay_provider_t *provider,
                            const hb_json_t *input, int how);

/**
 * API-10: an intent over an amount, which has to be that of a coin pack on the price list.
 * @param input  fits HB_F_INTENT_NEW
 */
apr_status_t hb_order_begin_amount(hb_json_t **reply, hb_op_t *op,
                                   const hb_pay_provider_t *provider, const hb_json_t *input);

/* --- where payers come back to (hb_order_return.c); do not wait --- */

/** May payers be sent to this address (HaloBuzzPaymentReturn)? NULL is no address, and may. */
apr_status_t hb_order_return_check(hb_op_t *op, const char *field, const char *url);

/**
 * Where to send the payer of an order now, with the order and its state as a query; in
 * op->pool. NULL when neither the order nor the site names a place.
 * @param is_failure  they came by the location for those who gave up
 */
const char *hb_order_return_url(hb_op_t *op, const hb_order_t *order, int is_failure);

/* --- what a provider says (hb_order_apply.c) --- */

typedef enum hb_order_effect_e {
    HB_ORDER_APPLIED,           /* the order is another now */
    HB_ORDER_ALREADY,           /* it was so before */
    HB_ORDER_WAITS,             /* noted; something else has to come */
    HB_ORDER_FLAGGED,           /* it does not fit: nothing moved, finance is told */
    HB_ORDER_IGNORED            /* nothing to us */
} hb_order_effect_e;

/**
 * Let a proven fact act on its order: credit, close, refund, flag. THE one function by which
 * money from outside becomes coins. Inside hb_store_transact, in which the caller has found
 * the order and writes its own record of the fact; afterwards order is as it stands now, and after
 * the commit hb_order_applied() is due.
 *
 * An order is credited once, and a payment is credited to one order: whichever of webhook,
 * return and lookup comes first. What differs from our order in amount, currency or mode is flagged
 * and credits nothing. Facts may come in any order: what is told of a payment
 * before the payment itself (a refund, a dispute) is kept and acted on behind it.
 * @param effect  what it did
 * @param note    sentence for time lines, at most 300 bytes
 * @param proof   "hmac", "lookup" or "both"
 */
apr_status_t hb_order_apply(hb_order_effect_e *effect, const char **note, hb_op_t *op,
                            hb_order_t *order, const hb_pay_fact_t *fact, const char *proof);

/** After the commit of an apply: drops what is cached of the payer, counts. Does not fail. */
void hb_order_applied(hb_op_t *op, const hb_order_t *order, hb_order_effect_e effect);

/**
 * Staff let go what was held for review: give what was paid for, less what went back
 * meanwhile. Inside hb_store_transact;
 * hb_order_applied() after it. HB_E_ORDER_STATE when it is not in review, or still
 * cannot be given.
 */
apr_status_t hb_order_release(hb_op_t *op, hb_order_t *order, const char *why);

/**
 * Append to the order's time line (what moves its state does that itself). Inside
 * hb_store_transact.
 * @param what    a word: "refund", "review"
 * @param detail  sentence, at most 300 bytes; may be NULL
 */
apr_status_t hb_order_note(hb_op_t *op, const char *order_id, const char *what,
                           const char *detail);

/* --- what does not fit (hb_order_flag.c): paymentFlags, for finance --- */

typedef struct hb_order_flag_t {
    const char *code;           /* word of the schema's list: "amount", "extra_payment" ... */
    const char *payment_id;     /* the payment it is about; may be NULL */
    const char *charge_id;      /* may be NULL */
    apr_int64_t amount_minor;   /* -1 when not said */
    const char *currency;       /* may be NULL */
    const char *detail;         /* sentence, at most 300 bytes */
} hb_order_flag_t;

/**
 * Flag an order; the same flag of the same payment stands once. Inside hb_store_transact.
 * @param is_new  0 when it stood already, open or dealt with; may be NULL
 */
apr_status_t hb_order_flag(int *is_new, hb_op_t *op, const hb_order_t *order,
                           const hb_order_flag_t *flag);

/**
 * Close the open flags of an order, all of a code and, when it is not NULL, of a payment. Inside
 * hb_store_transact.
 */
apr_status_t hb_order_unflag(hb_op_t *op, const char *order_id, const char *code,
                             const char *payment_id, const char *note);

/** Staff have dealt with it. HB_E_FLAG_UNKNOWN, HB_E_FLAG_STATE. @param view "paymentFlags:staff" */
apr_status_t hb_order_flag_resolve(hb_json_t **view, hb_op_t *op, const char *flag_id,
                                   const char *note);

/** Newest first: {items of paymentFlags:staff, next}; query fits HB_F_FLAG_LIST. */
apr_status_t hb_order_flag_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query);

/* --- showing (hb_order_list.c) --- */

/** The actor's own, newest first: {items of paymentOrders:self, next}. */
apr_status_t hb_order_list_own(hb_json_t **list, hb_op_t *op, int limit, const char *after);
/** One of the actor's own, paymentOrders:self. HB_E_ORDER_UNKNOWN. */
apr_status_t hb_order_show_own(hb_json_t **view, hb_op_t *op, const char *id);
/** For staff: {items of paymentOrders:staff, next}; query fits HB_F_ORDER_LIST. */
apr_status_t hb_order_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query);
/** For staff: HB_R_ORDER_SHOWN, the order, its flags and its time line. HB_E_ORDER_UNKNOWN. */
apr_status_t hb_order_show(hb_json_t **shown, hb_op_t *op, const char *id);

/* --- time and doubt (hb_order_expire.c, hb_order_reconcile.c) --- */

/**
 * Close what was not paid in time, each in a transaction of its own. Asks nobody: what is
 * paid later is credited all the same. @param n  how many
 */
apr_status_t hb_order_expire(apr_int64_t *n, hb_op_t *op);

/**
 * Ask the provider about one order and act on what it says. Waits for it. Within
 * HB_ORDER_ASK_APART of the last question nothing is asked.
 * @param why  "payer", "operator": for the record
 * @return HB_E_PAY_UPSTREAM, HB_E_PAY_UNSET; order as it stands afterwards, in any case
 */
apr_status_t hb_order_check(hb_order_t *order, hb_op_t *op, const char *why);

#define HB_ORDER_ASK_APART apr_time_from_sec(5)

typedef struct hb_reconcile_t {
    apr_int64_t asked;
    apr_int64_t agreed;
    apr_int64_t settled;        /* the provider knew better, and we do now */
    apr_int64_t differ;         /* it does not fit: flagged for finance */
    apr_int64_t waiting;        /* the provider does not know itself */
    apr_int64_t unanswered;     /* the provider did not answer */
    apr_int64_t expired;        /* closed behind that, because nobody paid them in time */
    apr_int64_t skipped;        /* by a provider that is no longer configured */
    hb_json_t *rows;            /* HB_R_RECONCILE_ROW of all that did not agree, the first
                                   HB_RECONCILE_ROWS of them */
} hb_reconcile_t;

#define HB_RECONCILE_ROWS 1000

/**
 * Ask the providers about all orders made since a moment, whatever state they are in, and
 * act on what they say: what a lost message, a return that never came or an outage left
 * behind. Then close what was not paid in time (hb_order_expire). May be stopped anywhere
 * and run again, also twice at once. Waits long.
 * @param since      0: of orders that are created or open, all; of the others none
 * @param report     may be NULL; APR_EINTR when it stops the run
 */
apr_status_t hb_order_reconcile(hb_reconcile_t *run, hb_op_t *op, apr_time_t since,
                                hb_store_report_fn *report, void *baton);

#endif /* HB_ORDER_H */
