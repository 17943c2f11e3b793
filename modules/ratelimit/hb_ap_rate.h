/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap_rate.h
 * Classes of requests and their rates, as the files of this module share them. A class is
 * made while the configuration is read and does not change after that.
 */
#ifndef HB_AP_RATE_H
#define HB_AP_RATE_H

#include "hb_ap.h"

#include <apr_network_io.h>
#include <apr_tables.h>
#include <http_config.h>
#include <http_log.h>

#include "hb_limit.h"
#include "hb_site.h"

/** The one symbol that leaves this shared object. */
extern __attribute__((visibility("default")))
module AP_MODULE_DECLARE_DATA halobuzz_ratelimit_module;

/** By what a caller is told from others; whoever lacks it counts by address. */
typedef enum hb_ap_rate_key_e {
    HB_AP_RATE_BY_IP,           /* IPv4 address, /64 of an IPv6 one */
    HB_AP_RATE_BY_USER,
    HB_AP_RATE_BY_TOKEN         /* the session behind an accepted token */
} hb_ap_rate_key_e;

typedef enum hb_ap_rate_mode_e {
    HB_AP_RATE_ENFORCE, HB_AP_RATE_WATCH, HB_AP_RATE_OFF
} hb_ap_rate_mode_e;

typedef struct hb_ap_rate_t {
    hb_limit_rule_t rule;       /* its name is the class; max 0 while it is not defined */
    hb_ap_rate_key_e key;
    hb_ap_rate_mode_e mode;
    const char *max_text;       /* for the header */
    const char *source;         /* who said so, for the dump */
    const ap_directive_t *asked_at;     /* where a location wants it, for messages */
} hb_ap_rate_t;

/** Of a configuration. */
typedef struct hb_ap_rates_t {
    apr_array_header_t *classes;        /* hb_ap_rate_t * */
    apr_array_header_t *exempt;         /* apr_ipsubnet_t * */
    hb_ap_rate_mode_e mode;     /* of all classes */
    int has_env_off;            /* ENABLE_RATE_LIMITING=false */
    apr_pool_t *pool;
} hb_ap_rates_t;

/** Of a location. */
typedef struct hb_ap_rate_dir_t {
    int is_set;
    hb_ap_rate_t *rate;         /* NULL: requests here are not counted */
} hb_ap_rate_dir_t;

/* hb_ap_rate_config.c */

/** The classes there are with their defaults. */
hb_ap_rates_t *hb_ap_rates_make(apr_pool_t *pool);
/** NULL when there is none of that name; one that a location asked for may be undefined. */
hb_ap_rate_t *hb_ap_rates_find(const hb_ap_rates_t *rates, const char *name);
/** As they stand in httpd.conf; wants is the hb_ap_rates_t behind them. */
extern const command_rec hb_ap_rate_directives[];
/**
 * Environment, and what could not be checked line by line. 0 when something is wrong; it
 * was logged.
 */
int hb_ap_rates_finish(hb_ap_rates_t *rates, server_rec *s);
/** httpd -t -D DUMP_HB_LIMITS */
void hb_ap_rates_dump(const hb_ap_rates_t *rates, apr_pool_t *pool);

/* hb_ap_rate_count.c */

/** Find the other modules; call in child_init. */
void hb_ap_rate_count_init(server_rec *s);
/**
 * Count a request once in a class. HB_E_LIMITED with the op's problem set, APR_SUCCESS
 * otherwise. Sets RateLimit-* headers unless the class only watches.
 */
apr_status_t hb_ap_rate_count(request_rec *r, const hb_ap_rates_t *rates,
                              const hb_ap_rate_t *rate);

/** Note the turn that it will take, if the caller is who the claims say. */
void hb_ap_rate_ahead(request_rec *r, const hb_ap_rates_t *rates, const hb_ap_rate_t *rate,
                      const hb_claims_t *claims);

/* mod_halobuzz_ratelimit.c */

/** Being read or in force. */
extern hb_ap_rates_t *hb_ap_rates;

#endif /* HB_AP_RATE_H */
