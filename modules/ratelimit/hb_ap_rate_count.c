/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting one request: under which key, and what the caller is told. The way of a request
 * that is admitted is short: no allocation but the header values, no op, no lock.
 */
#include "hb_ap_rate.h"

#include <string.h>

#include <apr_strings.h>
#include <http_protocol.h>

#include "hb_ahead.h"
#include "hb_metrics.h"

APLOG_USE_MODULE(halobuzz_ratelimit);

/* What tells callers apart is at most this: kind and id of a user or a session. */
#define KEY_BYTES 80

/* Of this process and configuration. */
static APR_OPTIONAL_FN_TYPE(hb_ap_op) *op_of;
static APR_OPTIONAL_FN_TYPE(hb_ap_identify) *identify;
static hb_site_t *site;
static apr_uint32_t full_said_at;       /* seconds; when the full table was logged */

void hb_ap_rate_count_init(server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(hb_ap_site) *site_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_site);

    op_of = APR_RETRIEVE_OPTIONAL_FN(hb_ap_op);
    identify = APR_RETRIEVE_OPTIONAL_FN(hb_ap_identify);
    site = site_of(s);
}

/* --- the key --- */

static int is_exempt(request_rec *r, const hb_ap_rates_t *rates)
{
    int i;

    for (i = 0; i < rates->exempt->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(rates->exempt, i, apr_ipsubnet_t *),
                              r->useragent_addr)) {
            return 1;
        }
    }
    return 0;
}

/*
 * Who calls, when a token that is accepted says so. A made-up token counts by address like
 * none at all: else it would be a fresh key with each request.
 */
static const hb_actor_t *actor_of(request_rec *r)
{
    hb_op_t *op;

    if (identify == NULL || apr_table_get(r->headers_in, "Authorization") == NULL) {
        return NULL;
    }
    op = op_of(r);
    if (identify(r) != APR_SUCCESS) {
        hb_op_recover(op);      /* whoever needs a signed-in caller asks again, and refuses */
        return NULL;
    }
    return op->actor.user_id != NULL ? &op->actor : NULL;
}

static apr_size_t key_make(char *key, const request_rec *r, const hb_ap_rate_t *rate,
                           const char *user_id, const char *session_id)
{
    const char *id = NULL;

    if (rate->key != HB_AP_RATE_BY_IP) {
        id = rate->key == HB_AP_RATE_BY_TOKEN ? session_id : user_id;
    }
    if (id != NULL) {
        apr_size_t len = strlen(id);

        len = len < KEY_BYTES - 1 ? len : KEY_BYTES - 1;
        key[0] = rate->key == HB_AP_RATE_BY_TOKEN ? 't' : 'u';
        memcpy(key + 1, id, len);
        return len + 1;
    }
    key[0] = 'i';
    return hb_limit_address_key((unsigned char *)key + 1, r->useragent_ip) + 1;
}

static apr_size_t key_of(char *key, request_rec *r, const hb_ap_rate_t *rate)
{
    const hb_actor_t *actor = rate->key != HB_AP_RATE_BY_IP ? actor_of(r) : NULL;

    return actor != NULL ? key_make(key, r, rate, actor->user_id, actor->session_id)
        : key_make(key, r, rate, NULL, NULL);
}

static request_rec *first_of(request_rec *r)
{
    while (r->prev != NULL) {
        r = r->prev;
    }
    return r;
}

/*
 * Is this request to be counted in this class? Both the location and the API may ask for one: it counts
 * once in it.
 */
static int is_due(request_rec *r, const hb_ap_rates_t *rates, const hb_ap_rate_t *rate)
{
    return rates->mode != HB_AP_RATE_OFF && rate->mode != HB_AP_RATE_OFF && site != NULL
        && site->limit != NULL && !is_exempt(r, rates)
        && ap_get_module_config(first_of(r)->request_config, &halobuzz_ratelimit_module) != rate;
}

/* --- what the caller is told --- */

static void set_headers(request_rec *r, const hb_ap_rate_t *rate,
                        const hb_limit_verdict_t *verdict)
{
    apr_table_t *headers = r->err_headers_out;  /* sent with errors too */

    apr_table_setn(headers, "RateLimit-Limit", rate->max_text);
    apr_table_setn(headers, "RateLimit-Remaining",
                   apr_itoa(r->pool, (int)verdict->remaining));
    apr_table_setn(headers, "RateLimit-Reset", apr_itoa(r->pool, verdict->reset_sec));
}

/* Once a minute and process: admitting uncounted is better than refusing, but not unsaid. */
static void say_full(request_rec *r)
{
    apr_uint32_t now = (apr_uint32_t)apr_time_sec(r->request_time);
    apr_uint32_t last = __atomic_load_n(&full_said_at, __ATOMIC_RELAXED);

    if ((last == 0 || now - last >= 60)
        && __atomic_compare_exchange_n(&full_said_at, &last, now, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, HBLOGNO(03505)
                      "the limiter's table is full; callers that do not fit are admitted "
                      "uncounted: raise HaloBuzzRateLimitSize");
    }
}

static apr_status_t refuse(request_rec *r, const hb_ap_rates_t *rates,
                           const hb_ap_rate_t *rate, const hb_limit_verdict_t *verdict)
{
    if (rates->mode == HB_AP_RATE_WATCH || rate->mode == HB_AP_RATE_WATCH) {
        hb_metric_add(site->metrics, HB_M_LIMIT_WATCHED, 1);
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, HBLOGNO(03506)
                      "watching: class %s would have refused %s %s from %s", rate->rule.name,
                      r->method, r->uri, r->useragent_ip);
        return APR_SUCCESS;
    }
    hb_metric_add(site->metrics, HB_M_LIMIT_REFUSED, 1);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, HBLOGNO(03507)
                  "class %s refused %s %s from %s", rate->rule.name, r->method, r->uri,
                  r->useragent_ip);
    return hb_fail_later(op_of(r), HB_E_LIMITED, verdict->reset_sec,
                         "%s requests in %" APR_TIME_T_FMT " seconds are allowed here (%s)",
                         rate->max_text, apr_time_sec(rate->rule.window_usec + 999999),
                         rate->rule.name);
}

apr_status_t hb_ap_rate_count(request_rec *r, const hb_ap_rates_t *rates,
                              const hb_ap_rate_t *rate)
{
    hb_limit_verdict_t verdict;
    char key[KEY_BYTES];
    apr_size_t len;

    if (!is_due(r, rates, rate)) {
        return APR_SUCCESS;
    }
    ap_set_module_config(first_of(r)->request_config, &halobuzz_ratelimit_module, (void *)rate);
    len = key_of(key, r, rate);
    if (hb_limit_is_remote(site->limit)) {
        hb_ahead_take(&verdict, op_of(r), &rate->rule, key, len);
    } else {
        hb_limit_take(&verdict, site->limit, &rate->rule, key, len, hb_limit_now());
    }
    if (verdict.was_full) {
        say_full(r);
        return APR_SUCCESS;
    }
    if (rates->mode != HB_AP_RATE_WATCH && rate->mode != HB_AP_RATE_WATCH) {
        set_headers(r, rate, &verdict);
    }
    return verdict.is_allowed ? APR_SUCCESS : refuse(r, rates, rate, &verdict);
}

void hb_ap_rate_ahead(request_rec *r, const hb_ap_rates_t *rates, const hb_ap_rate_t *rate,
                      const hb_claims_t *claims)
{
    char key[KEY_BYTES];

    if (is_due(r, rates, rate)) {
        hb_ahead_turn(op_of(r), &rate->rule, key,
                      key_make(key, r, rate, claims->user_id, claims->session_id));
    }
}
