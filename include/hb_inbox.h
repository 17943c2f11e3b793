/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_inbox.h
 * Everything that a payment provider told us, by whichever way: its own messages, the payer's
 * browser coming back, its answers to our questions (webhook_events). Each is kept as it
 * came, with the verdict on it, and acted on once. What a message says is hb_pay.h's,
 * what it does to an order is hb_order.h's.
 *
 * What is kept when. Nobody is told that a message was taken before it is on the disk.
 *   trusted   (signed by the provider) The record and what the message does are one
 *             transaction. When what it does fails, the message is kept by itself with the
 *             error, and the sender hears of the failure, so that it sends again.
 *   hint      (a payer's return, which nobody sends twice) Kept first, by itself; then the
 *             provider is asked, and its answer is acted on in one transaction.
 *   refused   (forged, malformed, about no order of ours) One a second of each provider, in
 *             HB_INBOX_SLOTS places used in turn: whoever sends them cannot fill the disk.
 *   answer    (of a provider that we asked) Kept once per content, with what it does.
 */
#ifndef HB_INBOX_H
#define HB_INBOX_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_order.h"
#include "hb_pay.h"

/** How many refused messages are kept of each provider; about half an hour of an attack. */
#define HB_INBOX_SLOTS 2048

/** Of a refused message larger than this only the length is kept. */
#define HB_INBOX_REFUSED_MAX 16384

/** Copies of a message that come within this time count as one in "repeats". */
#define HB_INBOX_REPEAT_APART apr_time_from_sec(60)

/** Returns of one order that are kept; further ones are looked at and not kept. */
#define HB_INBOX_RETURNS_MAX 50

typedef struct hb_inbox_result_t {
    const char *id;             /* record of webhook_events; NULL when it is not known or not kept */
    int is_repeat;              /* it came before, and was not acted on again */
    hb_pay_verdict_e verdict;
    hb_order_effect_e effect;   /* HB_ORDER_IGNORED when nothing was done */
    const char *order_id;       /* NULL when it belongs to none of ours */
    const char *note;           /* sentence for people; may be NULL */
} hb_inbox_result_t;

/**
 * A webhook or a return came in: judge it, keep it, act on it. Waits for the store, and for a
 * hint for the provider.
 * @return APR_SUCCESS: kept, and acted on as far as its order allows;
 *         HB_E_HOOK_FORGED, HB_E_HOOK_MALFORMED: the verdict, with the problem set;
 *         HB_E_ORDER_UNKNOWN: a return that names no order of this provider;
 *         HB_E_PAY_UPSTREAM: the hint is kept, but the provider did not answer: ask again later;
 *         anything else: it could not be acted on, and should be sent again
 */
apr_status_t hb_inbox_receive(hb_inbox_result_t *result, hb_op_t *op,
                              const hb_pay_provider_t *provider,
                              const hb_pay_message_t *message);

/**
 * Ask the provider about an order, keep its answer, act on it (reconcile, an app that asks).
 * Waits for the provider.
 * @param why  for the log: "reconcile", "operator"
 * @return HB_E_PAY_UPSTREAM; else as the store and hb_order_apply()
 */
apr_status_t hb_inbox_lookup(hb_inbox_result_t *result, hb_op_t *op,
                             const hb_pay_provider_t *provider, const hb_order_t *order,
                             const char *why);

/**
 * Act on a kept event again: its bytes are judged anew, by the secrets of today and the clock
 * of its arrival, so that what a wrong secret refused can be taken once the secret is right. A
 * trusted event stays trusted. Harmless for what was applied: orders credit once.
 * @return HB_E_EVENT_UNKNOWN; HB_E_EVENT_BODY when the bytes were not kept; else as receive
 */
apr_status_t hb_inbox_replay(hb_inbox_result_t *result, hb_op_t *op, const char *event_id);

/** Newest first: {items of webhook_events:staff, next}; query fits HB_F_EVENT_LIST. */
apr_status_t hb_inbox_list(hb_json_t **list, hb_op_t *op, const hb_json_t *query);

/**
 * One event with its bytes; fits HB_R_EVENT_SHOWN. HB_E_EVENT_UNKNOWN.
 * @param id  of the record, or the event's ("stripe:evt_...")
 */
apr_status_t hb_inbox_show(hb_json_t **shown, hb_op_t *op, const char *id);

/** A result as finance sees it; fits HB_R_EVENT_REPLAYED. In op->pool. */
hb_json_t *hb_inbox_result_json(hb_op_t *op, const hb_inbox_result_t *result);

/** "applied", "already", "waits", "flagged", "ignored". */
const char *hb_inbox_effect_name(hb_order_effect_e effect);

#endif /* HB_INBOX_H */
