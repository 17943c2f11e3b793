/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pay_world.h
 * A site whose payment providers are the simulator (tests/sim), run as a process of its own,
 * and the payer at them. For the contract of hb_pay.h.
 */
#ifndef PAY_WORLD_H
#define PAY_WORLD_H

#include "hb_fetch.h"
#include "hb_order.h"
#include "hb_test_site.h"

typedef struct pay_world_t {
    hb_test_site_t *ts;
    hb_op_t *op;                /* one to use; hb_test_site_op(ts) makes more */
    const char *url;            /* of the simulator */
} pay_world_t;

/** Start the simulator and open a site that uses it; both go with hb_test_pool. */
pay_world_t *pay_world_open(const char *more_settings);

/** Order number n (1 up) for a provider: 12.50, or rupees; begun now, for an hour. */
hb_order_t *pay_world_order(pay_world_t *w, const hb_pay_provider_t *provider, int n);

/** Start it and put into the order what is stored before the payer is sent on. */
apr_status_t pay_world_start(pay_world_t *w, const hb_pay_provider_t *provider,
                             hb_order_t *order);

/** The payer pays all of it. A start by page came before. */
void pay_world_pay(pay_world_t *w, const hb_pay_provider_t *provider, hb_order_t *order);

/** Tell the simulator: verb and JSON ('...' may stand for "..."); gives its answer. */
hb_json_t *pay_world_tell(pay_world_t *w, const char *verb, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** How many calls a provider got so far. */
int pay_world_calls(pay_world_t *w, const char *provider);

/** Forget the op's problem and take a fresh op. */
hb_op_t *pay_world_next(pay_world_t *w);

#endif /* PAY_WORLD_H */
