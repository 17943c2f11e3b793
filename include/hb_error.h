/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_error.h
 * The codes of everything that can go wrong, made from hb_error.def. They sit in
 * APR's application range, so every function returns plain apr_status_t.
 * How a class becomes an HTTP status is in glue/hb_ap_reply.c, and nowhere else.
 */
#ifndef HB_ERROR_H
#define HB_ERROR_H

#include <apr_errno.h>

/** What kind of refusal it is, for whoever answers the caller. */
typedef enum hb_class_e {
    HB_CLASS_BAD_INPUT,         /* cannot be read at all */
    HB_CLASS_INVALID,           /* read, but a value is not acceptable */
    HB_CLASS_UNAUTHENTICATED,
    HB_CLASS_FORBIDDEN,
    HB_CLASS_NOT_FOUND,
    HB_CLASS_METHOD,
    HB_CLASS_TIMEOUT,
    HB_CLASS_CONFLICT,
    HB_CLASS_GONE,
    HB_CLASS_TOO_LARGE,
    HB_CLASS_UNSUPPORTED,       /* media type or encoding */
    HB_CLASS_LIMITED,
    HB_CLASS_INTERNAL,
    HB_CLASS_UPSTREAM,
    HB_CLASS_UNAVAILABLE
} hb_class_e;

/* 2000 up, because other modules in the process number from the start. */
#define HB_E_BASE (APR_OS_START_USERERR + 2000)

enum {
    HB_E_BEFORE_FIRST = HB_E_BASE - 1,
#define HB_ERROR(symbol, code, class, text) HB_E_##symbol,
#include "hb_error.def"
#undef HB_ERROR
    HB_E_AFTER_LAST
};

typedef struct hb_error_row_t {
    apr_status_t status;
    const char *symbol;         /* "WALLET_SHORT" */
    const char *code;           /* "wallet.short", what the client sees */
    hb_class_e class;
    const char *text;
} hb_error_row_t;

/** The row of any status: foreign APR statuses map to INTERNAL's row. Never NULL. */
const hb_error_row_t *hb_error_row(apr_status_t status);

/** All rows in table order, for docs and guards; ends where symbol is NULL. */
const hb_error_row_t *hb_error_rows(void);

/** Text for a log line: ours from the table, others from APR. buf is used for APR's. */
const char *hb_strerror(apr_status_t status, char *buf, apr_size_t size);

#endif /* HB_ERROR_H */
