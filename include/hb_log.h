/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_log.h
 * Log lines of the core. The core does not know where they go: the op carries the
 * sink of its host (httpd's error log, a program's own log, a test's buffer).
 */
#ifndef HB_LOG_H
#define HB_LOG_H

#include <apr_errno.h>

/**
 * The number of a log message, printed as HBnnnnn. Every message of level debug or
 * above has one; write HBLOGNO() empty and `make log-numbers` fills it in. Numbers
 * are never reused. Ranges: core 00100, store 01000, cache 01500, glue 02000,
 * auth 03000, ratelimit 03500, api 04000, ctl 05000, realtime 06000, cron 07000,
 * pay 08000, bus 08500, webhooks 09000, redis 09500.
 */
#define HBLOGNO(n) "HB" #n ": "

/** httpd's levels, same numbers. */
typedef enum hb_level_e {
    HB_LOG_CRIT = 2,
    HB_LOG_ERR = 3,
    HB_LOG_WARNING = 4,
    HB_LOG_NOTICE = 5,
    HB_LOG_INFO = 6,
    HB_LOG_DEBUG = 7,
    HB_LOG_TRACE = 8
} hb_level_e;

/** Takes one finished line, without newline or secret. Does not wait. */
typedef void hb_log_sink_fn(void *baton, hb_level_e level, apr_status_t status,
                            const char *request_id, const char *line);

typedef struct hb_log_t {
    hb_log_sink_fn *sink;       /* NULL drops everything */
    void *baton;
    hb_level_e level;           /* lines above this level are not made */
} hb_log_t;

struct hb_op_t;

/** Log in the name of an op; status 0 for none. */
void hb_log(const struct hb_op_t *op, hb_level_e level, apr_status_t status,
            const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** Log outside any op (start-up, background threads). */
void hb_log_to(const hb_log_t *log, hb_level_e level, apr_status_t status,
               const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif /* HB_LOG_H */
