/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_inbox_private.h
 * What the files of the inbox share: records of webhook_events (hb_inbox_record.c) and acting
 * on them (hb_inbox_apply.c).
 */
#ifndef HB_INBOX_PRIVATE_H
#define HB_INBOX_PRIVATE_H

#include "hb_inbox.h"
#include "hb_store.h"

/** A fact as records have it, and back; texts of the fact are the record's. */
hb_json_t *hb_inbox_fact_json(hb_op_t *op, const hb_pay_fact_t *fact);
void hb_inbox_fact_read(hb_pay_fact_t *fact, const hb_json_t *json);

/** "provider:id", in op->pool. */
const char *hb_inbox_event_id(hb_op_t *op, const char *provider, const char *id);

/** A record of a message, with everything but what becomes of it. message may be NULL (an answer). */
hb_json_t *hb_inbox_record(hb_op_t *op, const hb_pay_provider_t *provider,
                           const hb_pay_message_t *message, const hb_pay_event_t *event,
                           apr_interval_time_t verify_usec);

/** The bytes that a record keeps; HB_E_EVENT_BODY when it has none. */
apr_status_t hb_inbox_body(const char **body, apr_size_t *len, hb_op_t *op,
                           const hb_json_t *record);

/** By event id; *record is NULL when there is none. */
apr_status_t hb_inbox_find(hb_json_t **record, hb_op_t *op, const char *event_id);

/** Keep a refused message in a slot, one a second, and say so in the log. Never fails its caller. */
void hb_inbox_keep_refused(const char **id, hb_op_t *op, const hb_pay_provider_t *provider,
                           hb_json_t *record, const char *why);

/** Acting on a record. Zero it, fill in the first four. */
typedef struct hb_inbox_work_t {
    const hb_pay_provider_t *provider;
    const hb_pay_fact_t *fact;
    const char *proof;          /* "hmac", "lookup", "both" */
    hb_json_t *record;          /* to be inserted, unless its event is there already */
    int has_record;             /* it is there, and record is how it was read */
    int again;                  /* act even when that was done before */
    hb_json_t *answer;          /* what the provider said when asked; may be NULL */
    apr_interval_time_t wait_usec;  /* how long that took */
    /* results */
    int is_repeat;
    hb_order_effect_e effect;
    const char *note;
    const char *id;
    const char *order_id;       /* NULL when it belongs to none of ours */
    hb_order_t order;           /* as it stands now, when order_id is set and it is no repeat */
    apr_time_t started_at;
} hb_inbox_work_t;

/**
 * Apply the fact and write the record in one transaction. When applying fails the record is
 * written with the error in another one, and the failure is returned.
 */
apr_status_t hb_inbox_apply(hb_inbox_work_t *work, hb_op_t *op);

/**
 * Note in a record that is there already that something went wrong; what is left is to be
 * done again.
 */
void hb_inbox_note_failure(hb_op_t *op, const char *id, const char *state, apr_status_t rv);

#endif /* HB_INBOX_PRIVATE_H */
