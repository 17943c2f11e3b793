/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an op is going to ask, noted to be asked in one go. Asking is a backend's (its member ask);
 * finding the answer to a hb_cache_get() is hb_cache.c's, through hb_ahead_private.h.
 */
#include "hb_ahead.h"

#include <string.h>

#include <apr_strings.h>

#include "hb_ahead_private.h"

int hb_ahead_begin(hb_op_t *op)
{
    if (!cache_asks_ahead(op->site->cache)) {
        return 0;
    }
    op->ahead = apr_pcalloc(op->pool, sizeof(*op->ahead));
    return 1;
}

void hb_ahead_value(hb_op_t *op, const char *key)
{
    hb_ahead_t *ahead = op->ahead;

    if (ahead != NULL && ahead->n_values < HB_AHEAD_VALUES) {
        ahead->values[ahead->n_values++].key = key;
    }
}

void hb_ahead_proof(hb_op_t *op, const char *key, const char *begins)
{
    hb_ahead_value(op, key);
    if (op->ahead != NULL) {
        op->ahead->turn.proof = key;
        op->ahead->turn.proof_begins = begins;
    }
}

void hb_ahead_turn(hb_op_t *op, const hb_limit_rule_t *rule, const void *key, apr_size_t len)
{
    if (op->ahead != NULL && hb_limit_is_remote(op->site->limit)) {
        op->ahead->turn.rule = rule;
        op->ahead->turn.key = apr_pmemdup(op->pool, key, len);
        op->ahead->turn.len = len;
    }
}

void hb_ahead_ask(hb_op_t *op)
{
    hb_ahead_t *ahead = op->ahead;

    if (ahead != NULL && ahead->n_values + (ahead->turn.rule != NULL) > 1) {
        cache_ask(op->site->cache, op, ahead);
    }
}

void hb_ahead_take(hb_limit_verdict_t *verdict, hb_op_t *op, const hb_limit_rule_t *rule,
                   const void *key, apr_size_t len)
{
    hb_ahead_turn_t *turn = op->ahead != NULL ? &op->ahead->turn : NULL;
    hb_limit_t *limit = op->site->limit;
    hb_ahead_turn_e state = turn != NULL ? turn->state : HB_AHEAD_NONE;
    int is_it;

    if (state == HB_AHEAD_NONE) {
        hb_limit_take(verdict, limit, rule, key, len, hb_limit_now());
        return;
    }
    turn->state = HB_AHEAD_NONE;
    is_it = turn->rule == rule && turn->len == len && memcmp(turn->key, key, len) == 0;
    if (is_it && state == HB_AHEAD_COUNTED) {
        *verdict = turn->verdict;
    } else if (is_it) {
        hb_limit_take_here(verdict, limit, rule, key, len, hb_limit_now());
    } else {
        if (state == HB_AHEAD_COUNTED && turn->verdict.is_allowed) {
            hb_limit_give_back(limit, turn->rule, turn->key, turn->len, hb_limit_now());
        }
        hb_limit_take(verdict, limit, rule, key, len, hb_limit_now());
    }
}

/* --- for the front of the cache --- */

static hb_ahead_value_t *find(hb_op_t *op, const char *key)
{
    hb_ahead_t *ahead = op->ahead;
    int i;

    for (i = 0; ahead != NULL && i < ahead->n_values; i++) {
        if (ahead->values[i].key != NULL && strcmp(ahead->values[i].key, key) == 0) {
            return &ahead->values[i];
        }
    }
    return NULL;
}

const hb_ahead_value_t *hb_ahead_answer(hb_op_t *op, const char *key)
{
    hb_ahead_value_t *value = find(op, key);

    if (value == NULL || !value->is_answered) {
        return NULL;
    }
    value->key = NULL;
    return value;
}

void hb_ahead_forget(hb_op_t *op, const char *key)
{
    hb_ahead_value_t *value = find(op, key);

    if (value != NULL) {
        value->key = NULL;
    }
}

void hb_ahead_forget_all(hb_op_t *op)
{
    if (op->ahead != NULL) {
        op->ahead->n_values = 0;
    }
}
