/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of festivals share. */
#ifndef HB_FESTIVAL_PRIVATE_H
#define HB_FESTIVAL_PRIVATE_H

#include "hb_json.h"
#include "hb_op.h"

/** Records that are enabled and not over, and begin by a moment (ms), as an array. Waits. */
apr_status_t hb_festival_open(hb_json_t **items, hb_op_t *op, apr_int64_t until_msec);

/** What is in the cache is not so any more; after the commit. */
void hb_festival_changed(hb_op_t *op);

/**
 * Set startsAt and endsAt from from, to and zone. HB_E_INPUT_INVALID with the field. May
 * read a file.
 */
apr_status_t hb_festival_set_window(hb_json_t *doc, hb_op_t *op);

/**
 * Inside a transaction that writes doc: bring its phase in line with what it is now, and
 * tell the rooms, and everybody in their list, when it turned on, the rooms when it turned
 * off. An edit may turn it on again; a clock only goes forward, so that hosts whose clocks
 * differ by a second tell of an end once.
 */
apr_status_t hb_festival_turn(hb_json_t *doc, hb_op_t *op, int is_edited);

/** The same for a record that goes away. */
void hb_festival_turn_off(const hb_json_t *doc, hb_op_t *op);

#endif /* HB_FESTIVAL_PRIVATE_H */
