/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_pay.h
 * Payment providers: one contract, one const struct each (pay_stripe.c, pay_esewa.c,
 * pay_khalti.c, pay_sandbox.c). A provider translates: our order into its calls, what it
 * says into facts. It never writes a record of ours and never moves a coin: that is
 * hb_order.h's. Every call out goes through hb_fetch.h.
 */
#ifndef HB_PAY_H
#define HB_PAY_H

#include "hb_json.h"
#include "hb_op.h"

struct hb_order_t;      /* hb_order.h */

/** What became of a payment, as its provider says. */
typedef enum hb_pay_outcome_e {
    HB_PAY_UNKNOWN,         /* a word we do not know, or nothing about a payment: keep, do nothing */
    HB_PAY_OPEN,            /* begun, not paid */
    HB_PAY_AMBIGUOUS,       /* the provider itself does not know yet: hold, ask again, tell staff */
    HB_PAY_PAID,
    HB_PAY_FAILED,          /* this attempt failed; Stripe intents may still succeed later */
    HB_PAY_CANCELED,
    HB_PAY_EXPIRED,
    HB_PAY_REFUNDED,        /* refunded_minor is what was refunded so far, cumulative */
    HB_PAY_REFUND_FAILED,   /* a refund of ours did not go through */
    HB_PAY_DISPUTED,        /* chargeback opened; amount_minor in dispute */
    HB_PAY_DISPUTE_WON,
    HB_PAY_DISPUTE_LOST
} hb_pay_outcome_e;

/** What a provider says about a payment, by whichever way we heard of it. */
typedef struct hb_pay_fact_t {
    hb_pay_outcome_e outcome;
    const char *order_id;       /* ours, as the provider gives it back; NULL when it does not */
    const char *attempt_id;     /* intent, session, pidx, transaction uuid: finds the order
                                   when order_id is NULL */
    const char *payment_id;     /* what the money hangs on: pi_..., pidx, transaction uuid; once
                                   per payment; NULL when not said */
    const char *charge_id;      /* what a refund is asked against, when it is another id; may be NULL */
    const char *refund_id;      /* refund or dispute; may be NULL */
    apr_int64_t amount_minor;   /* paid, or in dispute; -1 when not said */
    apr_int64_t refunded_minor; /* so far; -1 when not said */
    const char *currency;       /* lower case ISO 4217; NULL when not said */
    const char *status;         /* the provider's own word, for the time line */
    int is_live;                /* real money; -1 when not said */
} hb_pay_fact_t;

/** How far an incoming message is to be believed. */
typedef enum hb_pay_verdict_e {
    HB_PAY_TRUSTED,         /* signature right and fresh: the fact may be acted on (Stripe, sandbox) */
    HB_PAY_HINT,            /* well-formed, but only the provider's own answer counts: lookup
                               (eSewa after a right signature; Khalti and every return) */
    HB_PAY_FORGED,          /* signature missing, wrong, old, from the future */
    HB_PAY_MALFORMED        /* not what this provider sends */
} hb_pay_verdict_e;

/** A message from outside, byte for byte. */
typedef struct hb_pay_message_t {
    const char *body;           /* raw; of a return: the raw query string, "" without one */
    apr_size_t len;
    const char *signature;      /* value of sig_header; NULL without */
    const char *order_id;       /* from the path of a return location; NULL for a webhook */
    int is_return;              /* the payer's browser came back */
    int is_failure;             /* ... by the failure location */
    apr_time_t received_at;
} hb_pay_message_t;

/** A message after judgement; texts in op->pool. */
typedef struct hb_pay_event_t {
    hb_pay_verdict_e verdict;
    int is_signed;              /* of a hint: it carried a right signature all the same (eSewa) */
    const char *why;            /* when forged or malformed: sentence for log and inbox, no secret */
    const char *event_id;       /* the provider's id of this message, or one derived from its content;
                                   NULL when forged or malformed */
    const char *type;           /* the provider's word: payment_intent.succeeded, return, ...; may be
                                   NULL when forged or malformed */
    hb_pay_fact_t fact;         /* outcome HB_PAY_UNKNOWN unless trusted or a hint */
} hb_pay_event_t;

/** Where to send the payer; texts in op->pool. */
typedef struct hb_pay_start_t {
    const char *url;            /* page to open (Checkout, Khalti) or to post the form to (eSewa);
                                   NULL for an intent */
    hb_json_t *form;            /* eSewa: fields to post, object of texts; NULL otherwise */
    const char *client_secret;  /* Stripe intent: for the app only, never stored or logged */
    const char *public_key;     /* for the app's SDK of the provider; NULL when none is configured */
    const char *attempt_id;     /* to be stored with the order before the payer is sent on */
    const char *session_id;     /* Stripe: checkout session; NULL otherwise */
    apr_time_t expires_at;      /* 0 when the provider does not say */
} hb_pay_start_t;

#define HB_PAY_CAN_WEBHOOK 1    /* sends us messages by itself */
#define HB_PAY_CAN_RETURN  2    /* sends the payer's browser back */
#define HB_PAY_CAN_REFUND  4    /* refund() is there */
#define HB_PAY_CAN_INTENT  8    /* start() takes HB_PAY_AS_INTENT */
#define HB_PAY_NO_REFUND_KEYS 16    /* the provider knows no refund_key: see refund() */

#define HB_PAY_AS_PAGE   0
#define HB_PAY_AS_INTENT 1

typedef struct hb_pay_provider_t {
    const char *name;           /* "stripe": as in paths and orders */
    const char *title;          /* "Stripe", for people */
    unsigned int can;
    const char *currencies;     /* "usd", "npr": blank separated; what orders by it may be in */
    const char *sig_header;     /* request header with the signature, or NULL */

    /**
     * NULL when configured, else a sentence that names the directive. Does not wait. Call
     * hb_pay_unusable() instead, which knows HaloBuzzPayments too.
     */
    const char *(*missing)(const hb_site_t *site);

    /**
     * Begin a payment; order->id makes it idempotent: the same order gives the same payment.
     * Waits for the provider. HB_E_PAY_UPSTREAM when it did not answer usefully,
     * HB_E_PAY_REFUSED when it will not take this order.
     */
    apr_status_t (*start)(hb_pay_start_t *start, hb_op_t *op, const struct hb_order_t *order,
                          int how);

    /**
     * Judge a webhook or a return, and say what it tells. Does not wait, does not touch
     * the store. Whatever comes in, the answer is a verdict; fails only for want of
     * what the process needs (HB_E_INTERNAL).
     */
    apr_status_t (*read)(hb_pay_event_t *event, hb_op_t *op, const hb_pay_message_t *message);

    /**
     * Ask the provider what became of an order: the authority. Waits. HB_E_PAY_UPSTREAM when it
     * did not answer usefully: nothing is known then.
     */
    apr_status_t (*lookup)(hb_pay_fact_t *fact, hb_op_t *op, const struct hb_order_t *order);

    /**
     * Send money back; refund_key makes it idempotent. Waits. NULL without HB_PAY_CAN_REFUND.
     * HB_E_PAY_UPSTREAM: unknown whether it happened, ask again with the same key;
     * HB_E_PAY_REFUSED: it will not happen. With HB_PAY_NO_REFUND_KEYS the outcome is
     * HB_PAY_AMBIGUOUS beside HB_E_PAY_UPSTREAM when the call may have arrived.
     */
    apr_status_t (*refund)(hb_pay_fact_t *fact, hb_op_t *op, const struct hb_order_t *order,
                           apr_int64_t amount_minor, const char *refund_key);

    /**
     * Make the bytes this provider would send for an order, signed with our own configured
     * secret (halobuzzctl webhook send). HB_E_INPUT_INVALID for a type it does not know.
     */
    apr_status_t (*sample)(hb_pay_message_t *message, hb_op_t *op,
                           const struct hb_order_t *order, const char *type);
    const char *const *samples; /* types sample() knows, NULL behind the last */

    /**
     * One harmless call that shows credentials and reachability. Waits.
     * @param said  sentence for the operator, whatever comes out
     */
    apr_status_t (*probe)(const char **said, hb_op_t *op);
} hb_pay_provider_t;

/** By name as in paths; NULL when there is none. */
const hb_pay_provider_t *hb_pay_provider(const char *name);
/** All of them in the order they are shown; NULL behind the last. */
const hb_pay_provider_t *hb_pay_provider_at(int i);

/**
 * NULL when orders by this provider can be taken, else a sentence that names the directive
 * (for logs and operators; clients hear HB_E_PAY_UNSET). Does not wait. Messages about
 * earlier orders are read even where no new ones are taken: they need missing() only.
 */
const char *hb_pay_unusable(const hb_site_t *site, const hb_pay_provider_t *provider);

/** May orders by this provider be in this currency (lower case)? */
int hb_pay_takes(const hb_pay_provider_t *provider, const char *currency);

/** "paid", "ambiguous": for records and time lines. */
const char *hb_pay_outcome_name(hb_pay_outcome_e outcome);
/** The other way; HB_PAY_UNKNOWN for other words. */
hb_pay_outcome_e hb_pay_outcome_read(const char *name);
/** "trusted", "hint", "forged", "malformed". */
const char *hb_pay_verdict_name(hb_pay_verdict_e verdict);

/**
 * The providers' secrets, read from where the settings say; hb_site_make() does this.
 * HB_E_CONFIG with *why. A secret of blank-separated words is several, all accepted, the
 * first one used for what we send: that is how a secret is rolled over.
 */
apr_status_t hb_pay_keys_make(struct hb_pay_keys_t **keys, const char **why,
                              const hb_settings_t *settings, apr_pool_t *pool);

#endif /* HB_PAY_H */
