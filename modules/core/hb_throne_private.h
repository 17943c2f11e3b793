/* SPDX-License-Identifier: Apache-2.0 */
/* The seat as a claim and a look find it; hb_throne.c and hb_throne_seat.c share it. */
#ifndef HB_THRONE_PRIVATE_H
#define HB_THRONE_PRIVATE_H

#include "hb_json.h"
#include "hb_op.h"

typedef struct hb_seat_t {
    hb_json_t *doc;             /* of the room; NULL when nobody ever claimed it */
    hb_json_t *holder;          /* the account that sits there now; NULL for an empty throne */
    apr_int64_t price;          /* fewest coins of the next claim */
} hb_seat_t;

/** Look at a seat at op->now; the price of an empty one is the settings'. Waits. */
apr_status_t hb_seat_read(hb_seat_t *seat, hb_op_t *op, const char *host_id);

/** HB_R_THRONE. @param holder  a view of the holder, NULL when the reader may not see them */
hb_json_t *hb_seat_json(hb_op_t *op, const hb_seat_t *seat, const char *stream_id,
                        hb_json_t *holder);

/**
 * Inside a transaction: note in its record that the newest claim of a seat is over, and how: by the
 * clock when its time was up, else as told. Nothing for a seat whose claims all have ended.
 * @param reason  "outbid", "vacated", "expired"
 */
apr_status_t hb_seat_end_claim(hb_op_t *op, const hb_json_t *doc, const char *reason);

/**
 * Inside the same transaction: tell who sat there until now that they do not any more.
 * @param coins   what the new claim paid; 0: nobody claimed it, a moderator took it
 * @param reason  why, or NULL
 */
apr_status_t hb_seat_tell_holder(hb_op_t *op, const hb_seat_t *seat, const char *host_id,
                                 apr_int64_t coins, const char *reason);

#endif /* HB_THRONE_PRIVATE_H */
