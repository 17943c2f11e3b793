/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_notice_private.h
 * What the files of notices share: whom one is for, their words, and the outbox.
 */
#ifndef HB_NOTICE_PRIVATE_H
#define HB_NOTICE_PRIVATE_H

#include "hb_notice.h"
#include "hb_zone.h"

/* The audience of what everybody is told. */
#define HB_NOTICE_TO_ALL "all"

/** A reader: how to speak to them, and what they want. */
typedef struct hb_notice_reader_t {
    const char *user_id;        /* NULL: nobody in particular */
    const char *username, *email, *phone;       /* NULL without */
    const char *language;       /* of which there are texts */
    const hb_zone_t *zone;      /* never NULL */
    const hb_json_t *wishes;    /* record of noticeWishes, or NULL */
} hb_notice_reader_t;

/** Everybody, or the team: English, the site's zone. */
void hb_notice_reader_any(hb_notice_reader_t *reader, hb_op_t *op);
/** From a record; wishes are read. HB_E_STORE_... */
apr_status_t hb_notice_reader_of(hb_notice_reader_t *reader, hb_op_t *op, const hb_json_t *user);
/** HB_E_USER_UNKNOWN, without a problem, when the account is gone. */
apr_status_t hb_notice_reader_load(hb_notice_reader_t *reader, hb_op_t *op, const char *user_id);

/** The ways of a kind that a reader wants; whether they are set up is another matter. */
unsigned int hb_notice_ways_of(const hb_notice_reader_t *reader, hb_notice_e kind);
/** When a notice of now may disturb: 0 at once, else the end of the reader's quiet hours. */
apr_time_t hb_notice_quiet_end(const hb_notice_reader_t *reader, apr_time_t now);

/** The language of which there are texts that serves this tag ("ne-NP"); "en" for none. */
const char *hb_notice_language(const hb_notice_texts_t *texts, const char *tag);
/** In op->pool; a value that is missing reads as nothing. */
const char *hb_notice_title(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                            const hb_json_t *values);
const char *hb_notice_text(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                           const hb_json_t *values);
/** A mail of it, for hb_mail_add(); NULL when none can be written (which is logged). */
hb_json_t *hb_notice_mail(hb_op_t *op, const hb_notice_reader_t *reader, hb_notice_e kind,
                          const hb_json_t *values);

/** A record as its reader sees it: HB_R_NOTICE. */
hb_json_t *hb_notice_view(hb_op_t *op, const hb_notice_reader_t *reader, const hb_json_t *doc,
                          int is_read);
/** Tell the devices of a reader (everybody for an audience of all) that it is there. */
void hb_notice_publish(hb_op_t *op, const hb_notice_reader_t *reader, const hb_json_t *doc);

/** A text that people wrote, in a language if there is a translation ("text-ne"); NULL for none. */
const char *hb_notice_said(hb_op_t *op, const char *language, const hb_json_t *values,
                           const char *name);

/** The kind of a value: 't'ext, 'i'nt, 't'ime as 'm'; 0 when the row has no such value. */
char hb_notice_value_kind(hb_notice_e kind, const char *name, apr_size_t len);

/** What is told, to one after the other. */
typedef struct hb_notice_telling_t {
    hb_notice_e kind;
    hb_json_t *values;          /* kept, not copied */
    unsigned int ways;          /* HB_BY_... it may take; those that are fixed it takes anyway */
    const hb_json_t *to_all;    /* the record everybody has; NULL: each gets one */
    const char *announcement_id;    /* for rows of the outbox; may be NULL */
    int is_single;              /* of what happened to one account: what goes out is limited */
    int n_written;              /* rows, records and events so far: what it cost */
} hb_notice_telling_t;

/** Tell a reader, inside a transaction. @param is_told  by some way; may be NULL */
apr_status_t hb_notice_tell(int *is_told, hb_op_t *op, hb_notice_telling_t *telling,
                            const hb_notice_reader_t *reader);

/**
 * Begin to tell everybody, inside a transaction: the record in all lists, the event, a line to the
 * team, and a row of the outbox that goes from user to user where there is more to do.
 */
apr_status_t hb_notice_tell_all(hb_op_t *op, const hb_notice_telling_t *telling);

/**
 * One step of a row "each", a hb_store_tx_fn inside a transaction: the next users, as many as may
 * be told at once; the row knows how far it came. @param baton  the row
 */
apr_status_t hb_notice_each(hb_op_t *op, void *baton);

/** An announcement is due, inside a transaction. Nothing when it is gone or was called off. */
apr_status_t hb_announce_begin(hb_op_t *op, const char *id);

/**
 * Put a row into the outbox, inside a transaction. @param due_at  0: now
 * @return what was written, for more fields before hb_notice_outbox_add()
 */
hb_json_t *hb_notice_outbox_row(hb_op_t *op, const char *way, hb_notice_e kind,
                                hb_json_t *values, const char *notice_id, apr_time_t due_at);
apr_status_t hb_notice_outbox_add(hb_op_t *op, hb_json_t *row);

/** What became of a try. */
typedef enum hb_notice_verdict_e {
    HB_NOTICE_SENT,
    HB_NOTICE_LATER,
    HB_NOTICE_SILENT,           /* the service did not answer: later, and so what else goes there */
    HB_NOTICE_NEVER             /* the service will not take this one, however often */
} hb_notice_verdict_e;

/**
 * Send by SMS, push or to the team, once.
 * @param key  the Idempotency-Key
 * @param why  sentence for the log; @param after_sec  when the service wants to be asked again; 0
 */
hb_notice_verdict_e hb_notice_send(const char **why, int *after_sec, hb_op_t *op,
                                   unsigned int way, const hb_notice_reader_t *reader,
                                   hb_notice_e kind, const hb_json_t *values, const char *key);

#endif /* HB_NOTICE_PRIVATE_H */
