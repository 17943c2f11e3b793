/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_festival.h
 * Festivals (FES-01, U-05): a window of time, a theme, gifts, and more coins for money.
 *
 * The window is given as clocks on the wall of its zone show it, to the minute; from is inside, to
 * is not. Where clocks are put forward over a time, the next moment that exists stands for it; of a
 * time that comes twice, from is the first and to the second, so that all of it is inside.
 * Whether a festival is on is read from the clock by whoever asks, to the millisecond;
 * jobs only tell the rooms of it, and follow a zone whose rules change.
 *
 * While one is on:
 *   gifts   A gift that the catalogue marks isFestivalOnly is listed, and can be sent, while a
 *           festival that names it is on; otherwise it is refused (gift.festival). Other gifts
 *           that it names are only recommended.
 *   coins   A coin pack whose order begins now brings coins * (coinPercent - 100) / 100 bonus coins,
 *           rounded down, beside its own. The order keeps the sum, so it is what is
 *           paid out whenever the payment comes, and what a refund takes back: money and ledger
 *           know no festivals. As bonus coins they buy OG and games, never gifts or payouts.
 * Of several at once the gifts of all can be sent; the highest coinPercent counts, alone.
 *
 * What is on is kept in the cache as "festival:active" for a minute, and dropped from it by every
 * edit: at once on all hosts that share a Redis, within that minute on hosts that share none.
 * All calls but the arithmetic may wait for the store.
 */
#ifndef HB_FESTIVAL_H
#define HB_FESTIVAL_H

#include "hb_job.h"
#include "hb_json.h"
#include "hb_op.h"

/** What is on at op->now. */
typedef struct hb_festival_now_t {
    hb_json_t *items;           /* array of records, the one that began last first */
    int coin_percent;           /* 100 when none brings more */
    const char *coin_id;        /* of the festival that does; NULL for none */
} hb_festival_now_t;

apr_status_t hb_festival_now(hb_festival_now_t *now, hb_op_t *op);

/** Does one of them name this gift? Does not wait. */
int hb_festival_has_gift(const hb_festival_now_t *now, const char *gift_id);

/** Bonus coins that so many bought ones bring beside their own, rounded down. Does not wait. */
apr_int64_t hb_festival_bonus(apr_int64_t coins, int coin_percent);

/** Is the festival of this record on at a moment? Does not wait. */
int hb_festival_is_on(const hb_json_t *doc, apr_time_t when);

/* --- for anybody --- */

/** What is on: HB_R_FESTIVALS_NOW. */
apr_status_t hb_festival_show_now(hb_json_t **reply, hb_op_t *op);

/**
 * What is on or to come, by its end: {items, next} of "festivals:all"; pages may be short, and a
 * cursor is good until midnight UTC.
 */
apr_status_t hb_festival_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/* --- for administrators (hb_festival_edit.c); each change goes into the audit trail --- */

/** All of them, the one that begins last first: {items, next} of "festivals:staff". */
apr_status_t hb_festival_list_all(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/** One, as "festivals:staff". HB_E_FESTIVAL_UNKNOWN. */
apr_status_t hb_festival_show(hb_json_t **view, hb_op_t *op, const char *id);

/** @param input  fits HB_F_FESTIVAL_NEW. HB_E_INPUT_INVALID for what a table cannot check. */
apr_status_t hb_festival_create(hb_json_t **view, hb_op_t *op, const hb_json_t *input);

/** Change what HB_F_FESTIVAL_EDIT names. The rooms are told at once when it turns on or off by that. */
apr_status_t hb_festival_edit(hb_json_t **view, hb_op_t *op, const char *id,
                              const hb_json_t *input);

/** HB_E_FESTIVAL_UNKNOWN the second time. */
apr_status_t hb_festival_remove(hb_op_t *op, const char *id);

/* --- jobs (hb_festival_turn.c) --- */

/** Reckon all windows to come again by today's rules of their zones, then as below. 01:00. */
apr_status_t hb_festival_check_all(hb_op_t *op, const hb_job_run_t *run);

/** Tell all rooms which festivals began and ended, each once. Every minute. */
apr_status_t hb_festival_turn_all(hb_op_t *op, const hb_job_run_t *run);

#endif /* HB_FESTIVAL_H */
