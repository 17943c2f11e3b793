/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_fetch.h
 * Calls out to other services over HTTP. https only, but for this host itself; no redirects,
 * no proxy, TLS 1.2 and certificates checked; bounded in time and size. A host that fails
 * again and again is left alone for a while, so that its outage does not take our threads.
 * Mail is hb_mail.h's.
 */
#ifndef HB_FETCH_H
#define HB_FETCH_H

#include "hb_json.h"
#include "hb_metrics.h"
#include "hb_op.h"

/** One call. Zeroed members take their defaults. */
typedef struct hb_fetch_t {
    const char *service;            /* "stripe", for log lines */
    hb_metric_e count;              /* HB_M_FETCH_STRIPE and the like; 0: HB_M_FETCH */
    const char *method;             /* "GET", "POST" */
    const char *url;
    const char *type;               /* of the body */
    const char *body;               /* NULL: none */
    apr_size_t len;
    const char *const *headers;     /* "Name: value", NULL behind the last; never logged */
    int is_path_secret;             /* the path is not logged: who knows it may call */
    int tries;                      /* 0: one; more only for what may be repeated */
    apr_interval_time_t wait_usec;  /* for all tries together; 0: HaloBuzzPaymentTimeout */
    apr_size_t answer_max_bytes;    /* 0: 256 KB */
} hb_fetch_t;

/** What came back; texts in op->pool. */
typedef struct hb_fetch_answer_t {
    int status;                     /* 0: no whole answer came; why says it */
    int was_sent;                   /* the call may have reached the service, answer or not */
    const char *why;                /* sentence for the log */
    const char *type;               /* never NULL */
    const char *body;               /* 0 byte behind it; never NULL */
    apr_size_t len;
    hb_json_t *json;                /* NULL when the body is none */
    const char *request_id;         /* Request-Id of the service; NULL without */
    int retry_after_sec;            /* 0: not said */
    int is_replayed;                /* Idempotent-Replayed: true */
} hb_fetch_answer_t;

/**
 * Call, and try again where that can help: as Stripe-Should-Retry says, else after no
 * answer, 409, 429 and 5xx, with growing pauses, inside the given time.
 * @return APR_SUCCESS with any whole answer, whatever its status; HB_E_UPSTREAM without
 *         one, or when the host is being left alone (then answer->was_sent is 0);
 *         HB_E_CONFIG for an address that is none. No problem is noted in the op:
 *         the caller knows what its client should hear.
 * Waits for the service. Not inside a store transaction.
 */
apr_status_t hb_fetch(hb_fetch_answer_t *answer, hb_op_t *op, const hb_fetch_t *fetch);

/** NULL, or a sentence why hb_fetch() would refuse this address. Does not wait. */
const char *hb_fetch_url_check(const char *url, apr_pool_t *pool);

/**
 * Kept connections and what is known of hosts, for a process; hb_site_open() does this.
 * pool is where they end.
 */
apr_status_t hb_fetch_open(struct hb_fetch_pool_t **made, apr_pool_t *pool);

#endif /* HB_FETCH_H */
