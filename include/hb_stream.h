/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_stream.h
 * Live rooms (STR-01..07): planned, live, ended. The life cycle's table is in hb_stream_state.c,
 * who is in the room is hb_viewer.h, lists and the ranking are hb_stream_list.h.
 * All calls but the state's wait for the store.
 */
#ifndef HB_STREAM_H
#define HB_STREAM_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_schema.h"
#include "hb_store.h"

/* --- life cycle (hb_stream_state.c) --- */

typedef enum hb_stream_state_e {
    HB_STREAM_PENDING,          /* planned; only its host and staff see it */
    HB_STREAM_LIVE,
    HB_STREAM_ENDED,
    HB_STREAM_GONE              /* removed: there is no record any more */
} hb_stream_state_e;

typedef enum hb_stream_event_e {
    HB_STREAM_EDIT,             /* title and the like */
    HB_STREAM_START,
    HB_STREAM_JOIN,             /* somebody enters the room, or takes a media token for it */
    HB_STREAM_GIFT,             /* somebody gives its host a gift */
    HB_STREAM_CHAT,             /* somebody speaks in its room */
    HB_STREAM_THRONE,           /* somebody claims its room's throne */
    HB_STREAM_END,
    HB_STREAM_DROP,             /* the plan is withdrawn */
    HB_STREAM_N_EVENTS
} hb_stream_event_e;

/**
 * What an event makes of a state.
 * @param next  set on success; may be NULL
 * @return HB_E_STREAM_STATE or HB_E_STREAM_ENDED with the problem set when the table says
 *         that this is not allowed. Does not wait.
 */
apr_status_t hb_stream_next(hb_stream_state_e *next, hb_op_t *op, hb_stream_state_e state,
                            hb_stream_event_e event);

/** The state of a record. */
hb_stream_state_e hb_stream_state(const hb_json_t *stream);
/** "pending", "live", "ended"; "gone" is in no record. */
const char *hb_stream_state_name(hb_stream_state_e state);

/* --- the room's owner --- */

/**
 * Plan a stream; the actor becomes its host.
 * @param input  fits HB_F_STREAM_NEW
 * @return HB_E_STREAM_LIVE when the actor has one that has not ended
 */
apr_status_t hb_stream_create(hb_json_t **stream, hb_op_t *op, const hb_json_t *input);

/** Change what HB_F_STREAM_EDIT names; null clears. Only the host. */
apr_status_t hb_stream_edit(hb_json_t **stream, hb_op_t *op, const char *id,
                            const hb_json_t *input);

/** Go live. Only the host; of two at once one gets HB_E_STREAM_STATE. */
apr_status_t hb_stream_start(hb_json_t **stream, hb_op_t *op, const char *id);

/**
 * End a live stream: everybody leaves, the analytics are written, all in one transaction.
 * The host, or a moderator (which goes into the audit trail).
 */
apr_status_t hb_stream_end(hb_json_t **stream, hb_op_t *op, const char *id);

/** Withdraw a stream that was never live. Only the host. */
apr_status_t hb_stream_drop(hb_op_t *op, const char *id);

/**
 * The host leaves the platform or may not act any more: end what is live, withdraw what is
 * planned. For the account's code, which has checked that this is right. Inside a
 * transaction it stands or falls with it, and lists may be HB_STREAM_LIST_TTL late.
 * @param reason  goes into endReason: "deleted", "disabled"
 */
apr_status_t hb_stream_end_of_host(hb_op_t *op, const char *host_id, const char *reason);

/* --- hosts who went silent (hb_stream_silent.c) --- */

/** The actor did something about this stream: if it is live and theirs, note when. Never fails. */
void hb_stream_host_seen(hb_op_t *op, const hb_json_t *stream);
/** When its host gave the last sign, in milliseconds. Does not wait. */
apr_int64_t hb_stream_seen_msec(const hb_json_t *stream);
/**
 * End a live stream whose host was last seen before a moment; one that was seen, or is not live
 * any more, is left alone. For hb_stream_reap().
 */
apr_status_t hb_stream_end_silent(int *did_end, hb_op_t *op, const char *id,
                                  apr_int64_t before_msec);
/** End all whose hosts gave no sign for HaloBuzzStreamSilence. @param n how many. APR_EINTR */
apr_status_t hb_stream_reap(apr_int64_t *n, hb_op_t *op, hb_store_report_fn *report, void *baton);

/* --- looking --- */

/**
 * One stream. HB_E_STREAM_UNKNOWN also for an id that is none, and for a planned one when
 * the actor is neither its host nor staff.
 */
apr_status_t hb_stream_get(hb_json_t **stream, hb_op_t *op, const char *id);

/** The record as the actor may see it: public, its host's or staff's view. Does not wait. */
hb_json_t *hb_stream_to_json(hb_op_t *op, const hb_json_t *stream);
/** The record as anybody may see it. Does not wait. */
hb_json_t *hb_stream_to_public_json(hb_op_t *op, const hb_json_t *stream);

/** Is the actor this stream's host? */
int hb_stream_is_host(const hb_op_t *op, const hb_json_t *stream);
/** Is the actor staff in a session that may act as such: who sees planned streams too? */
int hb_stream_is_for_staff(hb_op_t *op);

/** As categories are stored and looked for: ASCII letters in lower case. NULL for NULL. */
const char *hb_stream_category(apr_pool_t *pool, const char *category);

/**
 * A stream appeared, changed or went: cached lists are out of date, and its place in the
 * ranking may be. Called after the commit by everything here. Does not wait for the store.
 */
void hb_stream_changed(hb_op_t *op, const hb_json_t *stream);

/**
 * Tell the room (hb_event.def): the stream went live; its title or the like changed while
 * it is live; it ended; its counts changed. Inside a
 * transaction, after its commit. Does not wait for the store.
 */
void hb_stream_tell_started(hb_op_t *op, const hb_json_t *stream);
void hb_stream_tell_edited(hb_op_t *op, const hb_json_t *stream);
void hb_stream_tell_ended(hb_op_t *op, const hb_json_t *stream);
void hb_stream_tell_metrics(hb_op_t *op, const hb_json_t *stream);

/** Bring the gauge STREAMS_ACTIVE in line with the store; for whoever serves the metrics. */
apr_status_t hb_stream_gauge(hb_op_t *op);

/* --- media (hb_stream_media.c) --- */

typedef enum hb_stream_role_e { HB_STREAM_HOST, HB_STREAM_VIEWER } hb_stream_role_e;
const char *hb_stream_role_name(hb_stream_role_e role);

/**
 * What a client needs to enter the channel, as HB_R_STREAM_MEDIA. The caller has checked that
 * the actor may have this role. HB_E_MEDIA_UNSET when no media service is configured.
 */
apr_status_t hb_stream_media(hb_json_t **media, hb_op_t *op, const hb_json_t *stream,
                             hb_stream_role_e role);

/**
 * The same for somebody who asks by id: only a live stream, only its host may be host, nobody
 * whom the host blocked or who blocked the host, or who was sent out of the room.
 * @param role  "host", "viewer", or NULL for what the actor is
 */
apr_status_t hb_stream_token(hb_json_t **media, hb_op_t *op, const char *id,
                             const char *role);

#endif /* HB_STREAM_H */
