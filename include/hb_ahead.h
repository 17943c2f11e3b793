/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ahead.h
 * One round trip instead of several. Where the cache is a server, whoever knows what the steps of an
 * op are going to ask notes it and asks for all of it at once; the steps ask as ever
 * (hb_cache_get, hb_ahead_take) and find the answers there. An answer is used once, and not
 * at all when the op itself changed the key meanwhile. Where the cache answers at once, or did not
 * answer this time, the steps ask by themselves.
 */
#ifndef HB_AHEAD_H
#define HB_AHEAD_H

#include "hb_cache.h"
#include "hb_limit.h"
#include "hb_op.h"

#define HB_AHEAD_VALUES 4

/** A value that hb_cache_get() will be asked for. */
typedef struct hb_ahead_value_t {
    const char *key;            /* NULL once it is of no more use */
    int is_answered;
    apr_status_t status;        /* as a driver's get gives it */
    const char *value;
    apr_size_t len;
    hb_cache_lease_t lease;
} hb_ahead_value_t;

typedef enum hb_ahead_turn_e {
    HB_AHEAD_NONE,              /* not asked, or not counted: whoever wants one asks */
    HB_AHEAD_COUNTED,           /* verdict says how it went */
    HB_AHEAD_LOST               /* asked, and nobody knows whether it was counted */
} hb_ahead_turn_e;

/** A turn of the limiter; at most one an op. */
typedef struct hb_ahead_turn_t {
    const hb_limit_rule_t *rule;        /* NULL for none */
    const void *key;
    apr_size_t len;
    const char *proof;          /* a key of the cache; NULL: the turn counts anyway */
    const char *proof_begins;   /* it counts only if the value there begins so */
    hb_ahead_turn_e state;
    hb_limit_verdict_t verdict;
} hb_ahead_turn_t;

typedef struct hb_ahead_t {
    hb_ahead_value_t values[HB_AHEAD_VALUES];
    int n_values;
    hb_ahead_turn_t turn;
} hb_ahead_t;

/** Begin to take notes. @return 0 where it would save nothing; then notes are not kept */
int hb_ahead_begin(hb_op_t *op);

/** This value will be asked for. The key has to live as long as the op. */
void hb_ahead_value(hb_op_t *op, const char *key);

/** As hb_ahead_value(); and what begins otherwise, or is not there, is no reason to count a turn. */
void hb_ahead_proof(hb_op_t *op, const char *key, const char *begins);

/** This turn will be taken. The key is copied; the rule has to live as long as the op. */
void hb_ahead_turn(hb_op_t *op, const hb_limit_rule_t *rule, const void *key, apr_size_t len);

/** Ask for what was noted, if that is more than one thing. Waits as hb_cache_get() does. */
void hb_ahead_ask(hb_op_t *op);

/**
 * As hb_limit_take(), with the turn that was asked for ahead when it was this one. Another one that
 * was counted is given back.
 */
void hb_ahead_take(hb_limit_verdict_t *verdict, hb_op_t *op, const hb_limit_rule_t *rule,
                   const void *key, apr_size_t len);

#endif /* HB_AHEAD_H */
