/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What httpd's own limits allow. The event MPM counts suspended connections: a child takes no
 * more connections, of any kind, when there are AsyncRequestWorkerFactor for each idle thread.
 * That factor can be asked of nobody, so it is looked up in the configuration.
 */
#include "mod_rt.h"

#include <stdlib.h>
#include <sys/resource.h>

#include <ap_mpm.h>
#include <http_config.h>

APLOG_USE_MODULE(halobuzz_realtime);

#define FACTOR_DEFAULT 2.0      /* of httpd */
#define FILES_KEPT 256          /* for requests, the store, logs */
#define FILES_A_LINK 2
#define FEW 1000

static double factor_in(const ap_directive_t *at, double factor)
{
    for (; at != NULL; at = at->next) {
        if (ap_cstr_casecmp(at->directive, "AsyncRequestWorkerFactor") == 0) {
            factor = atof(at->args);
        }
        if (at->first_child != NULL) {
            factor = factor_in(at->first_child, factor);
        }
    }
    return factor;
}

static int threads(void)
{
    int n = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &n);
    return n > 0 ? n : 1;
}

/* A quarter is left to requests that are on their way or kept alive. */
static int by_factor(void)
{
    double links = factor_in(ap_conftree, FACTOR_DEFAULT) * threads() * 3 / 4;

    return links < 1 ? 1 : links > 1e9 ? 1000000000 : (int)links;
}

static int by_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY
        || limit.rlim_cur > 1000000000) {
        return 1000000000 / FILES_A_LINK;
    }
    return limit.rlim_cur > FILES_KEPT + FILES_A_LINK
        ? (int)(limit.rlim_cur - FILES_KEPT) / FILES_A_LINK : 1;
}

int rt_limits_links(void)
{
    return by_factor() < by_files() ? by_factor() : by_files();
}

apr_interval_time_t rt_limits_idle(const hb_settings_t *settings)
{
    apr_interval_time_t beat = settings->realtime_ping + settings->realtime_pong;

    return settings->realtime_idle > beat ? settings->realtime_idle : beat;
}

void rt_limits_advise(server_rec *s)
{
    int is_async = 0, limit = 0, active = 0;

    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    if (!is_async) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(06503)
                     "on this MPM each open socket takes a request thread; the event MPM holds "
                     "thousands without");
        return;
    }
    if (by_factor() < FEW) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(06504)
                     "a child can hold %d sockets and still answer requests; "
                     "AsyncRequestWorkerFactor %d would make it %d", by_factor(),
                     15000 / threads(), 15000 / threads() * threads() * 3 / 4);
    }
    if (by_files() < FEW) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(06505)
                     "a child may open files for %d sockets; raise it (ulimit -n, LimitNOFILE)",
                     by_files());
    }
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &active);
    if (limit < 2 * active + 1) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, HBLOGNO(06506)
                     "ServerLimit %d leaves no room for children that hold sockets over a "
                     "reload: %d would do", limit, 2 * active + 1);
    }
}
