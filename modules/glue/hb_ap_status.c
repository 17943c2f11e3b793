/* SPDX-License-Identifier: Apache-2.0 */
/* Our section of mod_status: a table for people, "Key: value" lines for ?auto. */
#include "mod_halobuzz.h"

#include <string.h>

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <mod_status.h>

#include "hb_metrics.h"
#include "hb_store.h"

APLOG_USE_MODULE(halobuzz);

/* Counters worth a look here; the whole list is the metrics page's. */
static const struct {
    hb_metric_e metric;
    const char *key;            /* of ?auto */
    const char *label;
} shown[] = {
    { HB_M_STREAMS_ACTIVE,  "HaloBuzzStreamsActive",  "Streams live now" },
    { HB_M_RT_WEBSOCKETS,   "HaloBuzzWebSockets",     "WebSockets open" },
    { HB_M_RT_HELD,         "HaloBuzzHeldRequests",   "Polls and event streams held" },
    { HB_M_REGISTRATIONS,   "HaloBuzzRegistrations",  "Registrations" },
    { HB_M_LOGIN_SUCCESS,   "HaloBuzzLogins",         "Sign-ins" },
    { HB_M_LOGIN_FAILURE,   "HaloBuzzLoginFailures",  "Failed sign-ins" },
    { HB_M_LIMIT_REFUSED,   "HaloBuzzRateRefused",    "Requests refused by the limiter" },
    { HB_M_STORE_READS,     "HaloBuzzStoreReads",     "Store reads" },
    { HB_M_STORE_WRITES,    "HaloBuzzStoreWrites",    "Store writes" },
    { HB_M_STORE_ERRORS,    "HaloBuzzStoreErrors",    "Store errors" },
    { HB_M_MAIL_SPOOLED,    "HaloBuzzMailSpooled",    "Mails spooled" }
};

static void row(request_rec *r, int is_short, const char *key, const char *label,
                const char *value)
{
    if (is_short) {
        ap_rprintf(r, "%s: %s\n", key, value);
    } else {
        ap_rprintf(r, "<tr><th align=\"left\">%s</th><td>%s</td></tr>\n", label,
                   ap_escape_html(r->pool, value));
    }
}

static void show_programs(request_rec *r, int is_short)
{
    const hb_ap_program_t *const *rows;
    int i, n = hb_ap_programs(&rows, r->pool);

    for (i = 0; i < n; i++) {
        pid_t pid = hb_ap_program_pid(rows[i]->role);

        row(r, is_short, apr_pstrcat(r->pool, "HaloBuzzProgram-", rows[i]->role, NULL),
            rows[i]->file, pid == 0 ? "down"
                                    : apr_psprintf(r->pool, "process %" APR_PID_T_FMT, pid));
    }
}

static int show(request_rec *r, int flags)
{
    hb_site_t *site = hb_ap_state.site;
    int is_short = (flags & AP_STATUS_SHORT) != 0;
    hb_op_t *op;
    apr_size_t i;

    if (site == NULL) {
        return DECLINED;
    }
    op = hb_ap_op(r);
    if (!is_short) {
        ap_rputs("<hr>\n<h2>HaloBuzz</h2>\n<table>\n", r);
    }
    row(r, is_short, "HaloBuzzVersion", "Version", HB_VERSION);
    row(r, is_short, "HaloBuzzStore", "Store",
        apr_psprintf(r->pool, "%s %s", hb_ap_scheme(site->settings->store_url, r->pool),
                     site->store != NULL && hb_store_ping(op) == APR_SUCCESS ? "up" : "down"));
    hb_op_recover(op);
    row(r, is_short, "HaloBuzzMaintenance", "Maintenance",
        __atomic_load_n(site->maintenance, __ATOMIC_RELAXED) != 0 ? "on" : "off");
    show_programs(r, is_short);
    hb_ap_gauges_set(r->pool);
    for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        row(r, is_short, shown[i].key, shown[i].label,
            apr_psprintf(r->pool, "%" APR_INT64_T_FMT,
                         hb_metric_value(site->metrics, shown[i].metric)));
    }
    if (!is_short) {
        ap_rputs("</table>\n", r);
    }
    return OK;
}

void hb_ap_status_register(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, show, NULL, NULL, APR_HOOK_MIDDLE);
}
