/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_notice.h
 * Telling people what concerns them (NTF-01 to NTF-04): a list in the app with an event, mail, SMS,
 * push, and the channel of those who run the site. What there is to tell is the table
 * hb_notice.def, in words conf/notices/. What a user chose and their quiet hours decide which
 * ways a notice takes, and when.
 *
 * A notice is written in the transaction of what it tells of, so it is told exactly when that
 * happened; what leaves the house waits in an outbox (hb_notice_run) and goes at least once,
 * each time under the same id.
 */
#ifndef HB_NOTICE_H
#define HB_NOTICE_H

#include "hb_json.h"
#include "hb_op.h"

/* --- the table --- */

typedef enum hb_notice_e {
#define HB_NOTICE(symbol, name, may, usual, flags, values, sentence) HB_N_##symbol,
#include "hb_notice.def"
#undef HB_NOTICE
    HB_N_COUNT
} hb_notice_e;

/** The ways, as bits. */
#define HB_BY_LIST 0x01u
#define HB_BY_MAIL 0x02u
#define HB_BY_SMS  0x04u
#define HB_BY_PUSH 0x08u
#define HB_BY_TEAM 0x10u
#define HB_BY_N 5

#define HB_NOTICE_FIXED  0x01u  /* LIST and MAIL stay on where they are usual */
#define HB_NOTICE_URGENT 0x02u  /* does not wait for the end of quiet hours */
#define HB_NOTICE_ALL    0x04u  /* only to everybody, with one record */

typedef struct hb_notice_row_t {
    const char *name;           /* "order.paid" */
    unsigned int may, usual;    /* HB_BY_ ... */
    unsigned int flags;
    const char *values;         /* "amount:text startsAt:time" */
    const char *sentence;
} hb_notice_row_t;

/** Do not wait. hb_notice_named: HB_N_COUNT when there is no such kind. */
const hb_notice_row_t *hb_notice_row(hb_notice_e kind);
hb_notice_e hb_notice_named(const char *name);
/** "list", "mail", "sms", "push", "team" of bit number i; NULL beyond. */
const char *hb_notice_way(int i);

/* --- telling --- */

/**
 * Tell a user, by the ways they want. Belongs inside hb_store_transact, with what it tells of;
 * outside it is a transaction of its own. An account that is gone is told nothing. At most 20 SMS,
 * and 20 mails that may be switched off, go to one person, number or address in an hour.
 * @param values  what the row's texts name; times in ms as records have them; a value that is not
 *                known is left out. NULL for none. Kept, not copied.
 * @return what the store says; a mail that cannot be written here is logged and left out
 */
apr_status_t hb_notice_add(hb_op_t *op, hb_notice_e kind, const char *user_id,
                           hb_json_t *values);

/**
 * Tell everybody: one record, which everybody who had an account by then finds in their list, an
 * event, and a line to the team. As hb_notice_add. The event is one to all when the kind cannot be
 * switched off there, or is urgent; else each gets it who wants it, at the end of their quiet hours.
 * @param ways  HB_BY_MAIL, HB_BY_SMS, HB_BY_PUSH: also so to each who wants that; from the outbox,
 *              some hundreds a second at most, wherever it was stopped
 */
apr_status_t hb_notice_announce(hb_op_t *op, hb_notice_e kind, hb_json_t *values,
                                unsigned int ways);

/** Tell the team (a kind that may take TEAM). Nothing where HaloBuzzTeamHook is not set. */
apr_status_t hb_notice_team(hb_op_t *op, hb_notice_e kind, hb_json_t *values);

/** "NPR 200.00": minor units of a currency with two decimals. */
const char *hb_money_text(apr_pool_t *pool, apr_int64_t amount_minor, const char *currency);

/* --- the list --- */

/** The actor's, newest first: {items, next} of HB_R_NOTICE, in the actor's language and zone. */
apr_status_t hb_notice_list(hb_json_t **list, hb_op_t *op, int limit, const char *after);

/** How many wait: HB_R_NOTICE_UNREAD. */
apr_status_t hb_notice_unread(hb_json_t **reply, hb_op_t *op);

/**
 * The actor has seen one (id), or all there are (NULL); their devices are told. Gives
 * HB_R_NOTICE_UNREAD. HB_E_NOTICE_UNKNOWN. Repeating it is harmless.
 */
apr_status_t hb_notice_read(hb_json_t **reply, hb_op_t *op, const char *id);

/* --- what a user wants --- */

/** HB_R_NOTICE_WISHES: every kind with its ways, and the quiet hours. */
apr_status_t hb_notice_wishes(hb_json_t **reply, hb_op_t *op);

/** Change them; input fits HB_F_NOTICE_WISHES. HB_E_INPUT_INVALID for a way that cannot be chosen. */
apr_status_t hb_notice_wish(hb_json_t **reply, hb_op_t *op, const hb_json_t *input);

/** Drop what an account that goes away has, in steps of bounded size. */
apr_status_t hb_notice_drop_all(hb_op_t *op, const char *user_id);

/* --- what leaves the house --- */

typedef struct hb_notice_run_t {
    int n_done;                 /* rows that came to their end, well or not */
    int is_more;                /* there is more than one round takes */
} hb_notice_run_t;

/**
 * One round over the outbox: what is due, oldest first. Mail goes into the mail outbox,
 * events to the bus, SMS, push and the team by HTTP: at least once, each time with the id
 * of the notice as Idempotency-Key. What fails is tried again with back-off (30 s,
 * doubling, at most an hour) and given up after ten tries, or when the service refuses it
 * for good. One process of a host at a time; several hosts share the work, a row is leased
 * for the time of its try. Waits for the store and the network; between rows it ends early
 * when hb_mail_stop() was called.
 */
apr_status_t hb_notice_run(hb_notice_run_t *run, hb_op_t *op);

/**
 * Try a way at once, for the operator: HB_BY_SMS to a phone number, HB_BY_PUSH in the name
 * of a user,
 * HB_BY_TEAM. @param said  what the service answered, or why it was not asked
 * @return HB_E_UPSTREAM when it did not take it, HB_E_CONFIG when it is not set up. Waits.
 */
apr_status_t hb_notice_try(const char **said, hb_op_t *op, unsigned int way, const char *to);

/* --- texts --- */

typedef struct hb_notice_texts_t hb_notice_texts_t;     /* never changes; threads share it */

/**
 * The texts of this build, and over them those of HaloBuzzNoticeTexts. hb_site_make() does this.
 * @return HB_E_CONFIG with *why: file, line and what is wrong
 */
apr_status_t hb_notice_texts_make(hb_notice_texts_t **texts, const char **why, const char *dir,
                                  apr_pool_t *pool);

#endif /* HB_NOTICE_H */
