/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_report_private.h
 * What the parts of a day's figures share: hb_report.c (counts, the record),
 * hb_report_ledger.c (coins), hb_report_people.c (who was there); and the crowd of
 * hb_crowd.c.
 */
#ifndef HB_REPORT_PRIVATE_H
#define HB_REPORT_PRIVATE_H

#include "hb_crowd.h"
#include "hb_report.h"

typedef struct hb_report_work_t {
    hb_op_t *op;
    hb_json_t *doc;             /* the record as far as it is known */
    apr_int64_t from, to;       /* milliseconds */
    hb_crowd_t *givers;         /* who gave gifts; the ledger's part finds them */
    hb_store_report_fn *report;
    void *baton;
    apr_int64_t steps;
    apr_time_t began;           /* of work without a rest */
} hb_report_work_t;

/** Between parts: tell of progress, rest as long as it worked. APR_EINTR. */
apr_status_t hb_report_step(hb_report_work_t *w);
/** A figure: doc.name.figure = n. */
void hb_report_set(hb_report_work_t *w, const char *name, const char *figure, apr_int64_t n);
/** The least id that is made at a moment. */
hb_value_t hb_report_id_at(hb_report_work_t *w, apr_int64_t msec);

/** Coins: minted, burned, in circulation, gifts. */
apr_status_t hb_report_ledger(hb_report_work_t *w);
/** Who was active. */
apr_status_t hb_report_people(hb_report_work_t *w);

#endif /* HB_REPORT_PRIVATE_H */
