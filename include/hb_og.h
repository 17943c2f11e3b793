/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_og.h
 * OG subscriptions (OG-01..05). A user has one tier or none: ogLevel and ogExpiresAt of the
 * record, written when a tier is bought. Nothing runs when one ends: whoever reads a level
 * asks hb_og_level(), for which an expired tier is 0.
 *
 * Buying: the tier that runs is extended by its duration. A higher one starts at once and costs its
 * full price; the whole days left of the old one are credited as days of the new one, by the prices
 * of a day, rounded down. A lower one is refused while a higher one runs. Bonus coins pay first,
 * coins the rest.
 */
#ifndef HB_OG_H
#define HB_OG_H

#include "hb_json.h"
#include "hb_op.h"
#include "hb_store.h"
#include "hb_zone.h"

/** A tier cannot be bought further ahead than this. */
#define HB_OG_DAYS_MAX 3660

/* --- arithmetic; none of it waits --- */

/** The tier that runs for a user record at a moment, 0 for none. */
int hb_og_level(const hb_json_t *user, apr_time_t now);

/** Bonus coins a day: 60 percent of the price over its days, rounded down. */
apr_int64_t hb_og_daily_bonus(apr_int64_t price_coins, apr_int64_t duration_days);

/** A tier's price and duration, as far as arithmetic needs it. */
typedef struct hb_og_terms_t {
    int tier;
    apr_int64_t price_coins;
    apr_int64_t duration_days;
} hb_og_terms_t;

/** Days of `to` that so many whole days left of `from` are worth. At most HB_OG_DAYS_MAX days_left. */
apr_int64_t hb_og_credit_days(apr_int64_t days_left, const hb_og_terms_t *from,
                              const hb_og_terms_t *to);

/* --- tiers --- */

/** HB_R_OG_TIER_LIST. */
apr_status_t hb_og_tiers(hb_json_t **list, hb_op_t *op);

/** One tier's terms. HB_E_OG_UNKNOWN. */
apr_status_t hb_og_terms(hb_og_terms_t *terms, hb_op_t *op, int tier);

/**
 * Add the tiers that are not there; the others stay as they are.
 * @param tiers  array of what fits HB_F_OG_SEED; all of it or nothing
 */
apr_status_t hb_og_seed(int *n_new, hb_op_t *op, const hb_json_t *tiers);

/* --- buying --- */

typedef struct hb_og_step_t {
    int level;
    apr_time_t expires_at;
    apr_int64_t credited_days;
} hb_og_step_t;

/**
 * Let a tier begin or go on that is paid for in the same transaction; whoever pays, with coins
 * or money, calls this. Inside hb_store_transact; hb_user_changed() after the commit.
 * @return HB_E_OG_LOWER, HB_E_OG_TOO_LONG, HB_E_OG_UNKNOWN, HB_E_USER_UNKNOWN
 */
apr_status_t hb_og_activate(hb_og_step_t *step, hb_op_t *op, const char *user_id,
                            const hb_og_terms_t *terms);

/**
 * What was paid for a tier went back: its days go too, as far as they lie ahead; days of it that
 * became days of a higher tier go as those. Inside hb_store_transact, as above.
 * @param msec  how much was taken; 0 when nothing of it was left, or the account is gone
 */
apr_status_t hb_og_shorten(apr_int64_t *msec, hb_op_t *op, const char *user_id,
                           const hb_og_terms_t *terms);

/** The other way: give so much of a tier again. */
apr_status_t hb_og_lengthen(hb_op_t *op, const char *user_id, const hb_og_terms_t *terms,
                            apr_int64_t msec);

/**
 * The actor buys a tier with coins; repeated with its Idempotency-Key it gives the first answer.
 * @param reply  HB_R_OG_SUBSCRIBED
 * @param input  fits HB_F_OG_SUBSCRIBE
 * @return as hb_og_activate; HB_E_WALLET_SHORT, HB_E_WALLET_DEBT, HB_E_IDEM_MISMATCH
 */
apr_status_t hb_og_subscribe(hb_json_t **reply, hb_op_t *op, const hb_json_t *input);

/* --- the daily bonus (hb_og_bonus.c) --- */

typedef struct hb_og_bonus_run_t {
    apr_int64_t entitled;       /* users looked at */
    apr_int64_t paid;           /* of them by this run; the others had it, or were not active */
    apr_int64_t coins;
} hb_og_bonus_run_t;

/**
 * Pay all the bonus of a date, each once: ledger key og-bonus:<date>:<user>. Entitled is who had OG
 * when the date began, so a duration of 30 days brings 30 of them; the amount is that of the
 * tier that runs now, or ran last. May be stopped anywhere and run again, also twice at once:
 * nobody is left out and nobody paid twice. Many users are one transaction, which keeps other
 * writers waiting for some 10 ms. Memory: 12 bytes a user who has OG. Waits for the store.
 * @param date        YYYY-MM-DD, in the zone of HaloBuzzZone
 * @param day_begins  that date's first moment
 * @param report      may be NULL; APR_EINTR when it stops the run
 */
apr_status_t hb_og_bonus_pay_all(hb_og_bonus_run_t *run, hb_op_t *op, const char *date,
                                 apr_time_t day_begins, hb_store_report_fn *report,
                                 void *baton);

/**
 * Where HaloBuzzBonusDay is user: pay all whose own date began after a moment and not after
 * another, in the zone of their profile, or the site's when they have none. The date is
 * theirs; who moves to another zone still has each date once.
 */
apr_status_t hb_og_bonus_pay_zones(hb_og_bonus_run_t *run, hb_op_t *op, apr_time_t after,
                                   apr_time_t until, const hb_zone_t *site_zone,
                                   hb_store_report_fn *report, void *baton);

#endif /* HB_OG_H */
