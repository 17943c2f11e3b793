/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pay_private.h
 * What the providers share: secrets, signatures, small texts. Only modules/pay includes it.
 */
#ifndef PAY_PRIVATE_H
#define PAY_PRIVATE_H

#include "hb_fetch.h"
#include "hb_order.h"
#include "hb_pay.h"

/** Lists end with NULL and are never NULL themselves; the first one is what we send with. */
typedef struct hb_pay_keys_t {
    const char *const *stripe_key;
    const char *const *stripe_webhook;
    const char *const *esewa;
    const char *const *khalti;
    const char *const *sandbox;
} hb_pay_keys_t;

extern const hb_pay_provider_t pay_stripe, pay_esewa, pay_khalti, pay_sandbox;

/** Oldest and newest a signed message may be. */
#define PAY_TOLERANCE_SEC 300

/* --- signatures of the form t=SECONDS,v1=HEX (pay_signature.c) --- */

/**
 * Is this header the signature of these bytes under one of the secrets, made no more than
 * PAY_TOLERANCE_SEC away from now? Compares with every v1 and every secret, in constant
 * time each. Gives NULL when it is, else a sentence without anything secret.
 */
const char *pay_signature_check(const char *header, const char *body, apr_size_t len,
                                const char *const *secrets, apr_time_t now);

/** The header for these bytes; NULL when OpenSSL fails. */
const char *pay_signature_make(const char *secret, apr_time_t when, const char *body,
                               apr_size_t len, apr_pool_t *pool);

/* --- texts (hb_pay.c) --- */

/** The value of a query parameter, decoded; NULL without one or when it is not UTF-8 text. */
const char *pay_query_value(const char *query, const char *name, apr_pool_t *pool);

/** Where the payer's browser comes back to. @param tail "" or "/failure" */
const char *pay_return_url(const hb_op_t *op, const char *provider, const char *order_id,
                           const char *tail);

/** An id for a message that has none: the same bytes give the same id. */
const char *pay_content_id(hb_op_t *op, const char *prefix, const char *a, const char *b);

/**
 * The payer's browser came back: a hint at most, whose id is made of its bytes.
 * @return HB_E_INTERNAL when there is no digest
 */
apr_status_t pay_came_back(hb_pay_event_t *event, hb_op_t *op, const char *prefix,
                           const hb_pay_message_t *message);

/** 12345 as "123.45", 12340 as "123.4", 12300 as "123": the forms that eSewa prints. */
const char *pay_major_text(apr_pool_t *pool, apr_int64_t minor);

/** "123.45", "123", "123.4" to 12345, 12300, 12340; 0 when it is anything else. */
int pay_major_read(apr_int64_t *minor, const char *text);

/** Fill a fact with "nothing said". */
void pay_fact_clear(hb_pay_fact_t *fact);

/** Judge: no id, no fact. Give APR_SUCCESS, for `return`. */
apr_status_t pay_forged(hb_pay_event_t *event, const char *why);
apr_status_t pay_malformed(hb_pay_event_t *event, const char *why);

/** The same text, when it is 1 to 255 printable ASCII characters without blanks; else NULL. */
const char *pay_plain(const char *text);

/** The same with blanks inside. */
const char *pay_text(const char *text);

/** Letters, digits, hyphen and underscore only: may stand in a path as it is. */
int pay_is_name(const char *text);

/** An address that a payer's browser may be sent to: https, or this host itself. */
int pay_is_page(const char *url, apr_pool_t *pool);

/** The configured address, else the mode's; without a slash at its end. */
const char *pay_base_url(const hb_op_t *op, const char *setting, const char *live,
                         const char *test);

/** Note that a provider did not answer usefully, and when to come back. HB_E_PAY_UPSTREAM. */
apr_status_t pay_no_answer(hb_op_t *op, const char *title, const hb_fetch_answer_t *answer);

/* --- what an answer says, apart from asking: NULL, or a sentence why it is not used --- */

const char *khalti_answer_fact(hb_pay_fact_t *fact, int *is_refunded, int http_status,
                               const hb_json_t *answer, const char *pidx);
const char *esewa_answer_fact(hb_pay_fact_t *fact, const hb_json_t *answer,
                              const char *merchant, const char *uuid, apr_pool_t *pool);

#endif /* PAY_PRIVATE_H */
