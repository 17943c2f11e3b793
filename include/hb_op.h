/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_op.h
 * One unit of work: an HTTP request, a job run, a socket event, an operator's
 * command, a test case. Whoever starts the work makes the op; every domain function
 * takes it. It fixes the clock, the caller and the first problem met, so that
 * the same rule gives the same answer whoever asks.
 */
#ifndef HB_OP_H
#define HB_OP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "hb_error.h"
#include "hb_log.h"
#include "hb_site.h"

/** Roles of requirements U-14, as bits. hb_role.h has names and what each implies. */
typedef unsigned int hb_roles_t;

/** Who asks. A zeroed actor is a stranger. */
typedef struct hb_actor_t {
    const char *user_id;        /* NULL for a stranger */
    const char *session_id;     /* NULL when the actor came without one (job, operator) */
    hb_roles_t roles;           /* 0 for a stranger */
    int is_system;              /* a job or the operator's command: every role */
    int has_totp;               /* this session passed a second factor */
    apr_time_t authenticated_at; /* when the password was last given */
} hb_actor_t;

/** One unacceptable field. */
typedef struct hb_field_error_t {
    const char *field;          /* dotted path, "" for the whole body */
    const char *code;           /* "required", "type", "range", "length", "format", ... */
    const char *detail;         /* sentence for the client's developer */
} hb_field_error_t;

/** The first problem an op met. */
typedef struct hb_problem_t {
    apr_status_t status;        /* APR_SUCCESS while there is none */
    const char *detail;         /* for the client; nothing internal; may be NULL */
    const hb_field_error_t *fields;
    int n_fields;
    int retry_after_sec;        /* 0: do not say */
} hb_problem_t;

struct hb_ahead_t;
struct hb_store_tx_t;
struct hb_bus_kept_t;

typedef struct hb_op_t {
    apr_pool_t *pool;           /* everything a domain function returns lives here */
    hb_site_t *site;            /* store, cache, keys, settings: shared, thread-safe */
    apr_time_t now;             /* read once when the op is made; UTC microseconds */
    hb_actor_t actor;
    const char *request_id;     /* never NULL */
    const char *address;        /* client's address as text, after mod_remoteip; may be NULL */
    const char *user_agent;     /* may be NULL; untrusted bytes */
    const char *idem_key;       /* Idempotency-Key, NULL when none */
    int is_replayed;            /* the answer is that of an earlier call (hb_idem.h) */
    hb_log_t log;
    hb_problem_t problem;
    struct hb_ahead_t *ahead;   /* answers that came before their questions (hb_ahead.h) */
    struct hb_store_tx_t *tx;   /* inside hb_store_transact only; the store's own */
    struct hb_bus_kept_t *kept; /* events to tell of after the commit; the bus' own */
} hb_op_t;

/**
 * Make an op with the site's clock and a fresh request id.
 * The caller fills in actor, address and the rest. Does not wait.
 */
hb_op_t *hb_op_make(hb_site_t *site, apr_pool_t *pool);

/** The same for work that already has an id, which has to live as long as the pool. */
hb_op_t *hb_op_make_as(hb_site_t *site, apr_pool_t *pool, const char *request_id);

/**
 * Note why the op fails and return status, so that callers can write
 * `return hb_fail(op, HB_E_X, "...")`. The first problem wins; later ones are
 * only returned. The detail is shown to the client: nothing internal.
 */
apr_status_t hb_fail(hb_op_t *op, apr_status_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** As hb_fail, and tell the client when to come back. */
apr_status_t hb_fail_later(hb_op_t *op, apr_status_t status, int retry_after_sec,
                           const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * Note one unacceptable field; gives HB_E_INPUT_INVALID. May be called for several
 * fields of one input: all of them are told.
 */
apr_status_t hb_fail_field(hb_op_t *op, const char *field, const char *code,
                           const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** Where a code is explained, for the type of a problem document; in op->pool. Does not wait. */
const char *hb_problem_type(const hb_op_t *op, const char *code);

/** Forget the problem, because the caller has another way (a retry, a fallback). */
void hb_op_recover(hb_op_t *op);

#endif /* HB_OP_H */
